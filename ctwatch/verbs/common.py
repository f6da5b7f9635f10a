"""What the verbs share: the options, how a watch is looked at, and what is said of it first."""

import functools
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from ctwatch.diagnose import BusPolicy, Diagnosis
    from ctwatch.findings import Finding
    from ctwatch.opening import Choice, Opened
    from ctwatch.preflight import Answers, Doubt
    from ctwatch.render import Screen
    from ctwatch.resources.base import Resource
    from ctwatch.webhooks import Answer


AS_PROMISED, COULD_NOT, NOT_AS_PROMISED, INTERRUPTED = 0, 1, 3, 130


@dataclass(frozen=True)
class Options:
    """What every command that looks at a watch takes."""

    config: Path
    profile: str | None
    region: str | None
    quiet: bool
    verbose: bool
    as_json: bool = False

    @property
    def choice(self) -> "Choice":
        """What was chosen of config and account."""
        from ctwatch.opening import Choice

        return Choice(self.config, self.profile, self.region)

    @cached_property
    def screen(self) -> "Screen":
        """Where to print: one, so that what moves on it knows of all that is printed."""
        from ctwatch.render import Screen

        return Screen(quiet=self.quiet, verbose=self.verbose)


config_option = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default="config.yaml",
    envvar="CTWATCH_CONFIG",
    show_default=True,
    show_envvar=True,
    help="The watch's configuration.",
)


def agreed(question: str) -> bool:
    """The answer to a question that is about to do harm.

    Raises:
        click.UsageError: there is nobody to ask.
        click.Abort: Ctrl-C.
    """
    typed = sys.stdin is not None and sys.stdin.isatty()
    try:
        if typed:
            _forget_typed()
        return click.confirm(question, err=True)
    except click.Abort:
        if typed:
            raise
        click.echo(err=True)  # ends the line of the question
        raise click.UsageError("Nobody answers here: --yes says it beforehand.") from None


def _forget_typed() -> None:
    """Take nothing for an answer that was typed before the question was there to be read."""
    try:
        import termios
    except ImportError:  # Windows
        return
    termios.tcflush(sys.stdin, termios.TCIFLUSH)


class Seconds(click.FloatRange):
    """A span of time that ends, which "nan" and "inf" do not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no number of seconds.", param, ctx)
        return number


def watching(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that all of them take, as one `Options`."""

    @config_option
    @click.option("--profile", metavar="NAME", help="AWS profile; else what the environment says.")
    @click.option("--region", metavar="REGION", help="Home region; else what the config says.")
    @click.option("-q", "--quiet", is_flag=True, help="Print data and complaints only.")
    @click.option("-v", "--verbose", is_flag=True, help="Also name what is as promised.")
    @functools.wraps(command)
    def wrapped(**given: Any) -> Any:
        common = {one.name: given.pop(one.name) for one in fields(Options) if one.name in given}
        return command(Options(**common), **given)

    return wrapped


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def looked(watch: "Opened", *, ask: bool = False) -> tuple[list["Finding"], "Diagnosis"]:
    """What there is, and what that means.

    Args:
        watch: which.
        ask: whether to ask the webhooks, too, those that can be asked without posting.
    """
    from ctwatch.diagnose import asked_bus
    from ctwatch.parallel import abreast
    from ctwatch.webhooks import answers, urls

    aws, function = watch.aws, watch.watch.function
    (watch, findings), read, policy = abreast(
        partial(_inspected, watch),
        lambda: urls(function, aws) if ask and function else {},
        partial(asked_bus, watch.watch, aws),
    )
    function = watch.watch.function
    looks = {one.resource: one for one in findings}
    said = answers(function, looks, read, aws) if function else {}
    return findings, judged(watch, findings, policy, said)


def _inspected(watch: "Opened") -> tuple["Opened", list["Finding"]]:
    """What there is of a watch, and the watch, planned with the ids of its keys that were found.

    Some promises hang on these ids, and no look does where the keys are there: so all is looked at
    while they are asked for, and held against the promise afterwards.
    """
    from ctwatch.engine import inspect
    from ctwatch.opening import with_keys

    own, aws = watch.watch, watch.aws
    findings = inspect(own.resources, aws, own.unwanted)
    if watch.keys is not None:
        return watch, findings
    whole = with_keys(watch, _keys_among(watch, findings))
    seen = {_name(one.resource): one for one in findings if not one.unwanted}
    looks = {one: _again(seen.get(_name(one)), one) for one in whole.watch.resources}
    others = inspect([one for one, look in looks.items() if look is None], aws)
    looks |= {one.resource: one for one in others}
    return whole, [*filter(None, looks.values()), *(one for one in findings if one.unwanted)]


def _keys_among(watch: "Opened", findings: Sequence["Finding"]) -> dict[str, str]:
    """The ARNs of the watch's own keys, by their names, as they were found.

    Raises:
        AwsError: AWS would not say; what could not be looked at may be more than is needed here.
    """
    from ctwatch.opening import known_keys

    keys = [one for one in findings if one.resource in watch.watch.keys]
    if any(one.error for one in keys):
        return known_keys(watch.watch, watch.aws)
    return {one.resource.name: one.live.facts["arn"] for one in keys if one.live and one.ours}


def _again(finding: "Finding | None", resource: "Resource") -> "Finding | None":
    """The same look, held against another promise; None where it must be looked at anew."""
    from dataclasses import replace

    from ctwatch.engine import found

    if finding is None or finding.error:
        return finding and replace(finding, resource=resource)
    same = finding.live is None or resource.reads_as(finding.resource)
    return found(resource, finding.live) if same else None


def _name(one: "Resource") -> tuple[str, ...]:
    """What tells it from all others of its watch."""
    return one.kind, one.name, one.place.region


def judged(
    watch: "Opened",
    findings: Sequence["Finding"],
    policy: "BusPolicy",
    said: "Mapping[str, Answer] | None" = None,
) -> "Diagnosis":
    """What that means which was found.

    Args:
        watch: what was looked at.
        findings: what there is.
        policy: of the event bus.
        said: by the channels' webhooks, where they were asked.
    """
    from ctwatch.diagnose import diagnose
    from ctwatch.untold import untold

    last = untold(watch.watch, {one.resource: one for one in findings}, watch.aws)
    return diagnose(watch.watch, findings, watch.aws, said, last, policy=policy)


def surveyed(
    screen: "Screen",
    watch: "Opened",
    *besides: Callable[[], Any],
    thorough: bool = False,
) -> tuple["Opened", list["Finding"], *tuple[Any, ...]]:
    """What there is, all looked at side by side, with what is found out besides.

    Args:
        screen: where to say what could not be looked for.
        watch: as it is planned.
        besides: asked meanwhile.
        thorough: see `strays.strays`.

    Returns:
        The watch, with what earlier configs of it have left behind among what is unwanted; what
        there is; and the answers to what was asked besides.
    """
    from dataclasses import replace

    from ctwatch.findings import Verdict
    from ctwatch.parallel import abreast
    from ctwatch.strays import strays

    found, (watch, findings), *others = abreast(
        partial(strays, watch.watch, watch.aws, thorough=thorough),
        partial(_inspected, watch),
        *besides,
    )
    for warning in found.warnings:
        screen.talk(f"Warning: {warning}", "yellow")
    findings += [one for one in found.findings if one.verdict is not Verdict.OK]
    unwanted = (*watch.watch.unwanted, *found.resources)
    whole = replace(watch, watch=replace(watch.watch, unwanted=unwanted), unseen=found.unseen)
    return whole, findings, *others


def refuse_namesake(findings: Sequence["Finding"]) -> None:
    """Refuse to do anything beside a watch of the same name in another region.

    Raises:
        ConfigError: what belongs to the account as a whole is that watch's.
    """
    from ctwatch.errors import ConfigError
    from ctwatch.findings import foreign

    for one in findings:
        if one.live and "anothers" in one.live.facts:
            hint = "Two regions need two watches: give this one a `name` of its own in its config."
            raise ConfigError(foreign(one).problem, hint)


def warn(screen: "Screen", watch: "Opened") -> None:
    """Say what in the config is right, but hardly meant so."""
    for one in watch.doubts:
        screen.talk(f"Warning: {one}", "yellow")


def before_up(
    screen: "Screen", watch: "Opened", answers: "Answers", *, stop: bool
) -> "list[Doubt]":
    """Say what speaks against `ctwatch up`, before it touches anything.

    Args:
        screen: where to say it.
        watch: as it was opened.
        answers: what AWS said to what has to be known for it.
        stop: whether to stop where going on would be wrong; else that is only told.

    Returns:
        What was told.

    Raises:
        CtwatchError: it would be.
    """
    from ctwatch.errors import CtwatchError
    from ctwatch.preflight import doubts

    found = doubts(watch, answers)
    for one in found:
        if not one.stops:
            screen.talk(f"Warning: {one.sentence}. {one.hint}".rstrip(), "yellow")
    for one in found:
        if one.stops and stop:
            raise CtwatchError(one.sentence, one.hint)
        if one.stops:
            screen.talk(f"ctwatch up would stop: {one.sentence}. {one.hint}", "red")
    return found


def say_which(screen: "Screen", watch: "Opened") -> None:
    """Say which watch it is about, and in which account, before anything is done."""
    from ctwatch.render import watch_line

    place = watch.watch.place
    screen.talk(watch_line(watch.watch.name, place.account, place.region))


def spoken() -> Literal["en", "ko"]:
    """The reader's language, as far as the terminal knows it."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")
    return "ko" if locale.startswith("ko") else "en"
