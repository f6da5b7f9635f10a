"""The verbs: each command loads, looks, acts, shows, and is a short sentence.

Only click is imported with this module; what a command needs, that command imports, so that
`--help`, `--version` and completion start at once.
"""

import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click

from ctwatch.errors import CtwatchError

if TYPE_CHECKING:
    from ctwatch.detections import Detection
    from ctwatch.diagnose import Diagnosis
    from ctwatch.findings import Finding, Step
    from ctwatch.opening import Choice, Opened
    from ctwatch.render import Screen
    from ctwatch.resources.base import Resource

AS_PROMISED, COULD_NOT, NOT_AS_PROMISED, INTERRUPTED = 0, 1, 3, 130

_HELP = {"help_option_names": ["-h", "--help"]}


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


_config_option = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default="config.yaml",
    envvar="CTWATCH_CONFIG",
    show_default=True,
    show_envvar=True,
    help="The watch's configuration.",
)


def watching(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that all of them take, as one `Options`."""

    @_config_option
    @click.option("--profile", metavar="NAME", help="AWS profile; else what the environment says.")
    @click.option("--region", metavar="REGION", help="Home region; else what the config says.")
    @click.option("-q", "--quiet", is_flag=True, help="Print data and complaints only.")
    @click.option("-v", "--verbose", is_flag=True, help="Also name what is as promised.")
    @functools.wraps(command)
    def wrapped(**given: Any) -> Any:
        common = {one.name: given.pop(one.name) for one in fields(Options) if one.name in given}
        return command(Options(**common), **given)

    return wrapped


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


class _InOrder(click.Group):
    """Lists its commands in the order in which they are told here, which is that of use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names."""
        del ctx
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings=_HELP,
    epilog="Exit codes: 0 done or as promised, 1 could not be done or found out, 2 the call or the "
    "config is wrong, 3 not as promised, 130 interrupted.",
)
@click.version_option(package_name="ctwatch", message="%(prog)s %(version)s")
def cli() -> None:
    """Tells you that someone has touched your CloudTrail, and proves that it still would.

    \b
    No AWS account at hand?      ctwatch demo
    A config to begin with:      ctwatch init
    Make it so:                  ctwatch up
    Would I be told right now?   ctwatch status
    Strike, and prove it:        ctwatch simulate stop-logging
    Clear it away:               ctwatch down
    """  # noqa: D301 - \b is click's mark for lines that stay as they are


@cli.command(short_help="Write a commented config.yaml.")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default="config.yaml",
    envvar="CTWATCH_CONFIG",
    show_default=True,
    help="Where to write it.",
)
@click.option("--defaults", is_flag=True, help="Ask nothing.")
def init(config: Path, defaults: bool) -> int:
    """Write a commented config.yaml; never over one that is there."""
    from ctwatch.start import PROPOSED, example, fresh

    if config.exists():
        raise CtwatchError(f"{config} is there already", "Edit it, or name another with --config.")
    text = example()
    if not defaults:
        text = fresh(text, **{key: _answer(key) for key in PROPOSED})
    try:
        with config.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CtwatchError(f"{config} cannot be written: {error.strerror}") from error
    click.echo(
        f"Wrote {config}. See that each secret is where it says, then: ctwatch plan", err=True
    )
    return AS_PROMISED


_QUESTIONS = {
    "region": "Home region of the trail",
    "email": "Who gets mail",
    "webhook": "Where the webhook's URL is (env:NAME, ssm:/path or file:path)",
}


def _answer(key: str) -> str:
    """Ask until the answer is one that the config takes."""
    from ctwatch.errors import ConfigError
    from ctwatch.start import PROPOSED, check_answer

    def right(value: str) -> str:
        try:
            check_answer(key, value)
        except ConfigError as error:
            raise click.UsageError(error.problem) from None
        return value

    answer: str = click.prompt(_QUESTIONS[key], default=PROPOSED[key], value_proc=right, err=True)
    return answer


@cli.command(short_help="Make the watch as the config wants it.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and stop.")
@click.option("--exit-code", is_flag=True, help="With --dry-run: exit 3 when there is work to do.")
@_json_option
@watching
def up(options: Options, dry_run: bool, exit_code: bool) -> int:
    """Make the watch as the config wants it; repeat as often as you like."""
    if dry_run:
        return _plan(options, exit_code)
    if exit_code:
        raise click.UsageError("--exit-code goes with --dry-run.")
    from ctwatch.engine import build, inspect
    from ctwatch.findings import Action
    from ctwatch.opening import check_webhooks, opened
    from ctwatch.render import show_steps

    screen, watch = options.screen, opened(options.choice, need_secrets=True)
    _say_which(screen, watch)
    _warn(screen, watch)
    for warning in check_webhooks(watch):
        screen.talk(f"Warning: {warning}", "yellow")
    first = _keys_first(screen, watch)
    if any(step.action is Action.CREATED for step in first):
        watch = opened(options.choice, need_secrets=True)  # now with the ids of its keys
    with screen.working("Looking at what is there"):
        watch = _with_strays(screen, watch)
        findings = inspect(watch.watch.resources, watch.aws, watch.watch.unwanted)
    _refuse_namesake(findings)
    steps = show_steps(screen, build(findings, watch.aws), "Building")
    return _look_again(options, watch, [*first, *steps])


def _with_strays(screen: "Screen", watch: "Opened", *, thorough: bool = False) -> "Opened":
    """The watch, with what earlier configs of it have left behind among what is unwanted."""
    from dataclasses import replace

    from ctwatch.strays import strays

    found = strays(watch.watch, watch.aws, thorough=thorough)
    for warning in found.warnings:
        screen.talk(f"Warning: {warning}", "yellow")
    unwanted = (*watch.watch.unwanted, *found.resources)
    return replace(watch, watch=replace(watch.watch, unwanted=unwanted))


def _keys_first(screen: "Screen", watch: "Opened") -> list["Step"]:
    """Make the watch's own keys, if any, as rules and function name them by ids that AWS gives."""
    from ctwatch.engine import build, inspect
    from ctwatch.findings import Verdict
    from ctwatch.render import show_steps

    lacking = [
        one for one in inspect(watch.watch.keys, watch.aws) if one.verdict is Verdict.MISSING
    ]
    return show_steps(screen, build(lacking, watch.aws), "Building")


def _refuse_namesake(findings: Sequence["Finding"]) -> None:
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


def _warn(screen: "Screen", watch: "Opened") -> None:
    """Say what in the config is right, but hardly meant so."""
    for one in watch.doubts:
        screen.talk(f"Warning: {one}", "yellow")


def _say_which(screen: "Screen", watch: "Opened") -> None:
    """Say which watch it is about, and in which account, before anything is done."""
    from ctwatch.render import watch_line

    place = watch.watch.place
    screen.talk(watch_line(watch.watch.name, place.account, place.region))


def _look_again(options: Options, watch: "Opened", steps: Sequence["Step"]) -> int:
    """What `up` ends with: success is what AWS says, not what was sent."""
    from ctwatch.findings import Action
    from ctwatch.render import click_line, diagnosis_json, status_view, step_json, verdict_line

    screen, wrote = options.screen, {Action.CREATED, Action.REPAIRED}
    with screen.working("Looking again"):
        diagnosis = _settled(watch, {step.resource for step in steps if step.action in wrote})
    if options.as_json:
        by_resource = {step.resource: step for step in steps}
        known = (*watch.watch.resources, *watch.watch.unwanted)
        ended = [by_resource[one] for one in known if one in by_resource]
        screen.json({"steps": [step_json(one) for one in ended], **diagnosis_json(diagnosis)})
    if any(step.error for step in steps):
        screen.talk("Not all could be done; run ctwatch up again when that is mended.", "yellow")
        return COULD_NOT
    if diagnosis.faults and not diagnosis.only_a_click:
        if not options.as_json:
            screen.data(*status_view(diagnosis))
        return NOT_AS_PROMISED
    if not any(step.action in wrote for step in steps):
        waiting = " but what waits for a person" if diagnosis.faults else ", all is as promised"
        screen.talk(f"Nothing to do{waiting}.")
    screen.talk(verdict_line(diagnosis.verdict))
    for fault in diagnosis.faults:
        screen.talk(click_line(fault))
    return AS_PROMISED


_SETTLES = 30.0
"""Seconds within which what was written is given time to be seen: SQS and SNS show it late."""


def _settled(watch: "Opened", wrote: set["Resource"]) -> "Diagnosis":
    """Look until all that was written shows as written, or until it had time enough to."""
    clock = watch.aws.clock
    end, pause = clock.monotonic() + _SETTLES, 1.0
    while True:
        findings, diagnosis = _looked(watch)
        late = [one for one in findings if one.resource in wrote and not one.settled]
        if not late or clock.monotonic() + pause > end:
            return diagnosis
        clock.sleep(pause)
        pause *= 2


def _looked(watch: "Opened") -> tuple[list["Finding"], "Diagnosis"]:
    from ctwatch.diagnose import diagnose
    from ctwatch.engine import inspect

    findings = inspect(watch.watch.resources, watch.aws, watch.watch.unwanted)
    return findings, diagnose(watch.watch, findings, watch.aws)


def _plan(options: Options, exit_code: bool) -> int:
    from ctwatch.engine import inspect
    from ctwatch.findings import Verdict
    from ctwatch.opening import opened
    from ctwatch.render import finding_json, plan_summary, plan_view

    screen, watch = options.screen, opened(options.choice)
    _warn(screen, watch)
    with screen.working("Looking at what is there"):
        watch = _with_strays(screen, watch)
        findings = inspect(watch.watch.resources, watch.aws, watch.watch.unwanted)
    _refuse_namesake(findings)
    if options.as_json:
        screen.json([finding_json(one) for one in findings])
    else:
        _say_which(screen, watch)
        screen.data(*plan_view(findings, verbose=options.verbose))
        screen.talk(plan_summary(findings))
    if any(one.verdict is Verdict.UNKNOWN for one in findings):
        return COULD_NOT
    work = any(not one.settled for one in findings)
    return NOT_AS_PROMISED if work and exit_code else AS_PROMISED


@cli.command(short_help="Show what `up` would do, and stop.")
@click.option("--exit-code", is_flag=True, help="Exit 3 when there is work to do.")
@_json_option
@watching
def plan(options: Options, exit_code: bool) -> int:
    """Show what `up` would do, and stop; the same as `up --dry-run`."""
    return _plan(options, exit_code)


@cli.command(short_help="Would I be told right now?")
@_json_option
@watching
def status(options: Options) -> int:
    """Would I be told right now? One verdict, a line per hop, a remedy per fault.

    \b
    Exit code 0: ARMED.  3: not as promised.  1: AWS would not say.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    from ctwatch.opening import opened
    from ctwatch.render import diagnosis_json, promised_view, status_view

    screen, watch = options.screen, opened(options.choice)
    with screen.working("Looking"):
        findings, diagnosis = _looked(watch)
    if options.as_json:
        screen.json(diagnosis_json(diagnosis))
    else:
        screen.data(*status_view(diagnosis))
        screen.data(*promised_view(findings) if options.verbose else ())
    return diagnosis.verdict.exit_code


@cli.command(short_help="Strike, and prove that the alert arrived.")
@click.argument("techniques", nargs=-1, metavar="TECHNIQUE...")
@click.option("--list", "listing", is_flag=True, help="Show the techniques there are, and stop.")
@click.option(
    "--on",
    "target",
    type=click.Choice(["probe"]),
    default="probe",
    show_default=True,
    help="What is struck: something that does not exist, so that nothing can be harmed.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="How long to wait for the proof.  [default: 600]",
)
@_json_option
@watching
def simulate(
    options: Options, techniques: tuple[str, ...], listing: bool, target: str, timeout: float | None
) -> int:
    """Strike, and prove hop by hop that the alert arrived.

    TECHNIQUE is the name of one (stop-logging), of a detection (trail-tampering), which means all
    of its techniques, or all: every one that the watch listens for.

    What no harmless call brings about, such as a root login, is SYNTHETIC: AWS tests the rule's
    pattern, and an event that is made up, and says so, goes the rest of the way.
    """
    from ctwatch.listening import check_striker
    from ctwatch.opening import opened
    from ctwatch.simulate import DEFAULT_TIMEOUT
    from ctwatch.techniques import ALL, chosen

    del target  # the only choice there is
    if listing:
        return _list_techniques(options)
    if not techniques:
        raise click.UsageError("Name a TECHNIQUE. What there is: ctwatch simulate --list")
    limit = DEFAULT_TIMEOUT if timeout is None else timeout
    chosen(techniques)  # a slip of the fingers is told before AWS is asked
    watch = opened(options.choice)
    listened = list(dict.fromkeys(rule.detection for rule in watch.watch.rules))
    drills = chosen(techniques, listened)
    struck = dict.fromkeys(one.detection for one in drills)
    if any(rule.excepted.actors for rule in watch.config.rules):
        called = {one.detection for one in drills if one.kind == "probe"}
        check_striker(watch.config, sorted(called), watch.aws.caller())
    if ALL in techniques and (left := [one for one in listened if one not in struck]):
        options.screen.talk(f"No technique, and so no proof: {', '.join(left)}.", "yellow")
    if deaf := [one for one in struck if one not in listened]:
        options.screen.talk(f"No rule of this watch listens for {', '.join(deaf)}.", "yellow")
    return _drill(options, watch, drills, limit)


def _list_techniques(options: Options) -> int:
    from ctwatch.render import technique_json, techniques_view
    from ctwatch.techniques import TECHNIQUES

    known = list(TECHNIQUES.values())
    if options.as_json:
        options.screen.json([technique_json(one) for one in known])
    else:
        options.screen.data(*techniques_view(known))
    return AS_PROMISED


def _drill(options: Options, watch: "Opened", techniques: list[Any], limit: float) -> int:
    from ctwatch.diagnose import Alarm
    from ctwatch.render import blow_line, drill_json, ladder, verdict_line
    from ctwatch.simulate import Blow, Drill, drill

    screen = options.screen
    findings, diagnosis = _looked(watch)
    if diagnosis.verdict not in {Alarm.ARMED, Alarm.DEGRADED}:
        screen.talk(verdict_line(diagnosis.verdict))
        screen.talk(
            f"ctwatch status tells what mends that; until then, {limit:g} s may pass in vain.",
            "yellow",
        )
    ended: list[Drill] = []
    with screen.working(f"Waiting for the proof, at most {limit:g} s"):
        for one in drill(techniques, watch.watch, findings, watch.aws, limit):
            if isinstance(one, Blow):
                screen.talk(blow_line(one))
            else:
                ended.append(one)
                if not options.as_json:
                    screen.data(*ladder(one, limit))
    if options.as_json:
        screen.json([drill_json(one) for one in ended])
    if all(one.proven for one in ended):
        return AS_PROMISED
    screen.talk("Not every hop was proven. What may be the cause: ctwatch status", "yellow")
    return NOT_AS_PROMISED


@cli.command(short_help="Clear away what this watch made.")
@click.option(
    "--delete-logs", is_flag=True, help="Also delete the logs, and the keys that encrypt them."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default="120",
    metavar="SECONDS",
    help="How long to wait for the alert that the trail's own deletion raises.",
)
@watching
def down(options: Options, delete_logs: bool, yes: bool, wait: float) -> int:
    """Clear away what this watch made; logs and what encrypts them are kept unless you say so."""
    from ctwatch.diagnose import Alarm
    from ctwatch.engine import clear
    from ctwatch.findings import Action, Verdict
    from ctwatch.opening import opened
    from ctwatch.render import show_steps

    screen, watch = options.screen, opened(options.choice)
    _say_which(screen, watch)
    with screen.working("Looking at what is there"):
        watch = _with_strays(screen, watch, thorough=True)
        findings, diagnosis = _looked(watch)
    _refuse_namesake(findings)
    awake = diagnosis.verdict in {Alarm.ARMED, Alarm.DEGRADED}
    would_tell = awake and watch.watch.hears_deletion and not _is_left_out(watch)
    ours = [one for one in findings if one.verdict in {Verdict.OK, Verdict.DRIFTED, Verdict.STRAY}]
    going = [one for one in ours if delete_logs or not one.resource.data]
    warning = _ALERT if would_tell and any(one.resource.heard for one in going) else ""
    if yes and warning:
        screen.talk(warning)
    bucket = watch.watch.bucket
    if bucket.announces and any(one.resource is bucket for one in going):
        screen.talk(_UNHEARD)
    if going and not yes:
        for one in going:
            after = one.resource.lingers
            screen.talk(f"- {one.resource.title}" + (f" ({after})" if after else ""))
        these = f"these {len(going)}" if len(going) > 1 else "it"
        if not click.confirm(f"{warning} Delete {these}?".lstrip(), err=True):
            screen.talk("Aborted: nothing was deleted.")
            return COULD_NOT
    heard = [one for one in findings if one.resource.heard]
    rest = [one for one in findings if not one.resource.heard]
    readable = {watch.watch.receipt, watch.watch.receipts} <= {one.resource for one in ours}
    stayed = _clear_heard(screen, watch, heard, wait if would_tell and readable else 0)
    needed = {need for one in stayed for need in one.needs}  # a trail that stays needs its bucket
    rest = [one for one in rest if one.resource not in needed]
    work = clear(rest, watch.aws, keep_data=not delete_logs)
    for step in show_steps(screen, work, "Clearing", clearing=True):
        if step.action is Action.DELETED and step.resource.lingers:
            screen.talk(f"{step.resource.title}: {step.resource.lingers}.")
    return _cleared(options, watch, keep_data=not delete_logs)


_UNHEARD = (
    "The log bucket's own notifications are turned off first: no alert is raised for each log file."
)


def _is_left_out(watch: "Opened") -> bool:
    """Whether no rule would tell of the trail's deletion, as we are the one who deletes it."""
    from ctwatch.listening import leaving_out

    if not any(rule.excepted.actors for rule in watch.config.rules):
        return False
    arn = watch.aws.caller()
    heard = {
        rule.detection
        for rule in watch.watch.rules
        for event in rule.fires
        if event["detail"].get("eventName") == "DeleteTrail"
    }
    return all(leaving_out(watch.config, one, arn) for one in heard)


_ALERT = "Deleting the trail (DeleteTrail) raises an alert, and that is meant."


def _clear_heard(
    screen: "Screen", watch: "Opened", findings: Sequence["Finding"], wait: float
) -> list["Resource"]:
    """Delete what the alarm itself listens for, and wait until it has been heard.

    Returns:
        What could not be deleted.
    """
    from ctwatch.engine import clear
    from ctwatch.findings import Action
    from ctwatch.render import show_steps
    from ctwatch.simulate import heard_of_deletion

    start = watch.aws.time() if wait else None
    steps = show_steps(screen, clear(findings, watch.aws), "Clearing", clearing=True)
    stayed = [step.resource for step in steps if step.action is Action.FAILED]
    if start is None or not any(step.action is Action.DELETED for step in steps):
        return stayed
    with screen.working("Waiting for the alert that this raises"):
        receipt = heard_of_deletion(watch.watch, watch.aws, start, wait)
    if receipt:
        screen.talk("  its deletion was heard: the alert has arrived", "green")
    else:
        screen.talk(f"  its deletion was not heard within {wait:.0f} s; going on", "yellow")
    return stayed


def _cleared(options: Options, watch: "Opened", *, keep_data: bool) -> int:
    """Look, and say what is left."""
    from ctwatch.engine import inspect
    from ctwatch.findings import Verdict

    screen = options.screen
    left = [
        one
        for one in inspect(watch.watch.resources, watch.aws, watch.watch.unwanted)
        if one.verdict not in {Verdict.MISSING, Verdict.FOREIGN}
    ]
    kept = [one for one in left if one.resource.data and keep_data]
    for one in kept:
        screen.talk(f"Kept: {one.resource.title}")
    if kept:
        what = "it" if len(kept) == 1 else "them"
        screen.talk(f"To delete {what} too: ctwatch down --delete-logs")
    stuck = [one for one in left if one not in kept]
    for one in stuck:
        why = f": {one.error.problem}" if one.error else ""
        screen.talk(f"Left: {one.resource.title}{why}", "red")
    if stuck:
        screen.talk("Run ctwatch down again to go on.")
        return COULD_NOT
    screen.talk("Nothing of this watch is left." if not kept else "Nothing else is left.")
    return AS_PROMISED


@cli.command(short_help="The catalogue: what is detected, and why.")
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
@_json_option
@_config_option
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
    from ctwatch.errors import ConfigError
    from ctwatch.render import Screen

    screen, known, tongue = Screen(), _known(config), language or _language()
    if detection_id and detection_id not in known:
        raise ConfigError(
            f"there is no detection {detection_id!r}", f"There are: {', '.join(known)}"
        )
    shown = [known[detection_id]] if detection_id else list(known.values())
    if as_json:
        screen.json([_detection_json(one) for one in shown])
    else:
        _show_detections(screen, shown, tongue, whole=bool(detection_id))
    return AS_PROMISED


def _known(config: Path) -> dict[str, "Detection"]:
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


def _language() -> Literal["en", "ko"]:
    """The reader's language, as far as the terminal knows it."""
    spoken = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")
    return "ko" if spoken.startswith("ko") else "en"


@cli.command(short_help="Keep a local AWS running on this machine.")
@click.option("--region", default="ap-northeast-2", show_default=True, help="The home region.")
@click.option("-q", "--quiet", is_flag=True, help="Tell no more than the confirmation links.")
def sandbox(region: str, quiet: bool) -> int:
    """Keep a local AWS running on this machine, for ctwatch and any other AWS client.

    Prints the exports that lead there; every hop of every event is told as it happens. Ctrl-C ends
    it, and with it everything in it.
    """
    from ctwatch.demo import keep_sandbox

    return keep_sandbox(region, quiet=quiet)


@cli.command(short_help="The whole circle on this machine, no AWS needed.")
@click.option("--language", type=click.Choice(["en", "ko"]), default=None, help="Of the alerts.")
def demo(language: str | None) -> int:
    """The whole circle on this machine: no AWS account, no Docker, no network.

    Starts a local AWS, then: plan, up, status, simulate all, status, down; and shows the Discord
    messages and mails that arrived.
    """
    from ctwatch.demo import run_demo

    return run_demo(language or _language())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code, and prints complaints as one sentence and a hint."""
    try:
        return int(cli.main(arguments, prog_name="ctwatch", standalone_mode=False) or 0)
    except click.Abort as error:
        click.echo(f"\n{_stopped(error)}", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:
        said = _complaint(error)
        if not said:
            raise
        from ctwatch.render import Screen

        Screen().complain(said)
        return said.exit_code


def _stopped(error: click.Abort) -> str:
    """What to say of Ctrl-C: click makes the same of it at a question and at work."""
    at_work = isinstance(error.__cause__, KeyboardInterrupt)
    if at_work:
        return "Interrupted. What is done is done; ctwatch status tells where things stand."
    return "Aborted: nothing was done."


def _complaint(error: Exception) -> CtwatchError | None:
    """What to say of an exception; None for a bug of ours, whose traceback is worth more."""
    if isinstance(error, CtwatchError):
        return error
    from ctwatch.aws import TROUBLE, complaint

    return complaint(error, "talking to AWS") if isinstance(error, TROUBLE) else None


def run() -> NoReturn:
    """The entry point of the `ctwatch` command."""
    sys.exit(main())
