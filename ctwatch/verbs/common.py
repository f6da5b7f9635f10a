"""What the verbs share: the options, how a watch is looked at, and what is said of it first."""

import functools
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from ctwatch.diagnose import Diagnosis
    from ctwatch.findings import Finding
    from ctwatch.opening import Choice, Opened
    from ctwatch.preflight import Answers, Doubt
    from ctwatch.render import Screen
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

    @property
    def screen(self) -> "Screen":
        """Where to print."""
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
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin is not None and sys.stdin.isatty():
            raise
        raise click.UsageError("Nobody answers here: --yes says it beforehand.") from None


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
    from ctwatch.engine import inspect
    from ctwatch.parallel import abreast
    from ctwatch.webhooks import answers, urls

    own, aws, function = watch.watch, watch.aws, watch.watch.function
    findings, read = abreast(
        lambda: inspect(own.resources, aws, own.unwanted),
        lambda: urls(function, aws) if ask and function else {},
    )
    looks = {one.resource: one for one in findings}
    said = answers(function, looks, read, aws) if function else {}
    return findings, judged(watch, findings, said)


def judged(
    watch: "Opened", findings: Sequence["Finding"], said: "Mapping[str, Answer] | None" = None
) -> "Diagnosis":
    """What that means which was found.

    Args:
        watch: what was looked at.
        findings: what there is.
        said: by the channels' webhooks, where they were asked.
    """
    from ctwatch.diagnose import diagnose
    from ctwatch.untold import untold

    last = untold(watch.watch, {one.resource: one for one in findings}, watch.aws)
    return diagnose(watch.watch, findings, watch.aws, said, last)


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

    from ctwatch.engine import inspect
    from ctwatch.parallel import abreast
    from ctwatch.strays import strays

    own, aws = watch.watch, watch.aws
    found, findings, *others = abreast(
        lambda: strays(own, aws, thorough=thorough),
        lambda: inspect(own.resources, aws, own.unwanted),
        *besides,
    )
    for warning in found.warnings:
        screen.talk(f"Warning: {warning}", "yellow")
    findings += inspect((), aws, found.resources)
    unwanted = (*own.unwanted, *found.resources)
    whole = replace(watch, watch=replace(own, unwanted=unwanted), unseen=found.unseen)
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
