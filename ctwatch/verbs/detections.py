"""`ctwatch detections`: the catalogue, and what is wrong with your own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ctwatch.verbs.common import (
    AS_PROMISED,
    NOT_AS_PROMISED,
    config_option,
    json_option,
    spoken,
)

if TYPE_CHECKING:
    from ctwatch.detections import Detection
    from ctwatch.render import Screen


@click.command(short_help="The catalogue: what is detected, and why.")
@click.argument("detection_id", required=False, metavar="[ID]")
@click.option("--language", type=click.Choice(["en", "ko"]), default=None, help="en or ko.")
@click.option(
    "--lint",
    "linted",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[FILE]",
    help="Check an event pattern or a detection of your own, in YAML or JSON, or a config with all "
    "its detections and exclusions; without FILE, that of --config.",
)
@json_option
@config_option
def detections(
    detection_id: str | None,
    language: Literal["en", "ko"] | None,
    linted: str | None,
    as_json: bool,
    config: Path,
) -> int:
    """The catalogue: what is detected, why, how bad it is, where it can be seen.

    Where there is a config, with the detections that are its own.

    With --lint: whether a pattern can fire at all, and on what it fires wrongly.
    """
    if linted is not None:
        if language or detection_id:
            raise click.UsageError("--lint goes with no ID and no --language: it speaks English.")
        if linted and not Path(linted).is_file():
            raise click.BadParameter(f"There is no file {linted!r}.", param_hint="'--lint'")
        return _lint(Path(linted) if linted else config, as_json)
    from ctwatch.render import Screen

    screen, known, tongue = Screen(), _known(config), language or spoken()
    shown = [named(detection_id, known)] if detection_id else list(known.values())
    if as_json:
        screen.json([_detection_json(one) for one in shown])
    else:
        _show_detections(screen, shown, tongue, whole=bool(detection_id))
    return AS_PROMISED


def named(name: str, known: Mapping[str, "Detection"]) -> "Detection":
    """The detection of that id.

    Raises:
        ConfigError: there is none.
    """
    from ctwatch.config import nearest
    from ctwatch.errors import ConfigError

    if name not in known:
        near = nearest(name, known)
        guess = f"Did you mean {near}? " if near else ""
        raise ConfigError(
            f"there is no detection {name!r}", f"{guess}There are: {', '.join(known)}"
        )
    return known[name]


def _known(config: Path) -> Mapping[str, "Detection"]:
    """The catalogue, and what the config adds to it, if there is one."""
    from ctwatch.config import load
    from ctwatch.detections import catalogue
    from ctwatch.errors import ConfigError
    from ctwatch.render import Screen

    source = click.get_current_context().get_parameter_source("config")
    chosen = source is not click.core.ParameterSource.DEFAULT
    if not chosen and not config.exists():
        return catalogue()
    try:
        return load(config).known
    except ConfigError:
        if chosen:
            raise
        lint = "ctwatch detections --lint"
        Screen().talk(f"Without your own: {config} has mistakes, which {lint} tells.", "yellow")
        return catalogue()


def _show_detections(
    screen: "Screen", shown: Sequence["Detection"], tongue: Literal["en", "ko"], *, whole: bool
) -> None:
    from ctwatch.render import (
        detection_view,
        detections_view,
        example_view,
        part_head,
        proof_view,
    )

    if whole:
        screen.data(*detection_view(shown[0], tongue), *proof_view(shown[0].id), "")
        screen.data(*example_view(shown[0], tongue))
        for part in shown[0].parts:
            screen.data(part_head(part))
            screen.json(part.pattern)
        return
    screen.data(*detections_view(shown, tongue))
    if own := ", ".join(one.id for one in shown if _is_own(one)):
        screen.talk(f"Of your own: {own}.")


def _is_own(one: "Detection") -> bool:
    from ctwatch.detections import catalogue

    return one.id not in catalogue()


def _lint(path: Path, as_json: bool) -> int:
    """Say everything that is wrong with a pattern; exit code 3 when it cannot do what it should."""
    from dataclasses import asdict

    from ctwatch.config import is_meant, read
    from ctwatch.lint import examine, report
    from ctwatch.listening import examined
    from ctwatch.render import Screen

    document = read(path)
    complaints = examined(document) if is_meant(document) else examine(document)
    if as_json:
        Screen().json([asdict(one) for one in complaints])
    else:
        Screen().data(*report(complaints))
    wrong = any(one.level == "error" for one in complaints)
    return NOT_AS_PROMISED if wrong else AS_PROMISED


def _detection_json(one: "Detection") -> dict[str, Any]:
    from ctwatch.render import technique_json
    from ctwatch.techniques import techniques_of

    words = ("id", "title", "why", "severity", "mitre", "where", "scope")
    parts = [vars(part) for part in one.parts]
    techniques = [technique_json(each) for each in techniques_of(one.id)]
    told = {word: getattr(one, word) for word in words}
    return {**told, "own": _is_own(one), "parts": parts, "techniques": techniques}
