"""`ctwatch simulate`: strike, and prove that the alert arrived."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ctwatch.verbs.common import (
    AS_PROMISED,
    COULD_NOT,
    NOT_AS_PROMISED,
    Options,
    Seconds,
    agreed,
    json_option,
    looked,
    say_which,
    watching,
)

if TYPE_CHECKING:
    from ctwatch.findings import Finding
    from ctwatch.opening import Opened
    from ctwatch.render import Screen
    from ctwatch.simulate import Drill, Order


@dataclass(frozen=True)
class Wish:
    """How it is to be done, as the options say."""

    target: str
    timeout: float | None
    yes: bool
    heal: bool
    listing: bool


@click.command(short_help="Strike, and prove that the alert arrived.")
@click.argument("techniques", nargs=-1, metavar="TECHNIQUE...")
@click.option("--list", "listing", is_flag=True, help="Show the techniques there are, and stop.")
@click.option(
    "--on",
    "target",
    type=click.Choice(["probe", "canary", "trail"]),
    default="probe",
    show_default=True,
    help="What is struck. probe: something that does not exist, so that nothing can be harmed. "
    "canary: a disposable trail, made and deleted. trail: the watch's own, mended at once.",
)
@click.option(
    "--timeout",
    type=Seconds(min=0.1),
    metavar="SECONDS",
    help="How long to wait for the proof.  [default: 600]",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask before --on trail.")
@click.option(
    "--heal",
    is_flag=True,
    help="Strike nothing: mend the own trail, and delete a canary that a killed drill left.",
)
@json_option
@watching
def simulate(options: Options, techniques: tuple[str, ...], **how: Any) -> int:
    """Strike, and prove hop by hop that the alert arrived.

    TECHNIQUE is the name of one (stop-logging), of a detection (trail-tampering), which means all
    of its techniques, or all: every one that the watch listens for.

    What no harmless call brings about, such as a root login, is SYNTHETIC: AWS tests the rule's
    pattern, and an event that is made up, and says so, goes the rest of the way.
    """
    wish = Wish(**how)
    if wish.listing:
        return _list_techniques(options)
    if wish.heal:
        if techniques:
            raise click.UsageError("--heal goes with no TECHNIQUE: it strikes nothing.")
        return _heal(options)
    if not techniques:
        raise click.UsageError("Name a TECHNIQUE. What there is: ctwatch simulate --list")
    return _simulate(options, techniques, wish)


def _simulate(options: Options, names: tuple[str, ...], wish: Wish) -> int:
    from ctwatch.blows import On
    from ctwatch.errors import ConfigError
    from ctwatch.listening import check_striker
    from ctwatch.opening import opened
    from ctwatch.simulate import DEFAULT_TIMEOUT, Order
    from ctwatch.striking import struck_on
    from ctwatch.techniques import ALL, chosen

    on, limit = On(wish.target), DEFAULT_TIMEOUT if wish.timeout is None else wish.timeout
    chosen(names)  # a slip of the fingers is told before AWS is asked
    watch = opened(options.choice)
    listened = list(dict.fromkeys(rule.detection for rule in watch.watch.rules))
    drills = struck_on(on, chosen(names, listened), names, watch.watch)
    struck = dict.fromkeys(one.detection for one in drills)
    if any(rule.excepted.actors for rule in watch.config.rules):
        called = {one.detection for one in drills if one.kind == "probe"}
        check_striker(watch.config, sorted(called), watch.aws.caller())
    if ALL in names and (left := [one for one in listened if one not in struck]):
        lacking = "No technique, and so no proof" if on is On.PROBE else f"Not struck --on {on}"
        options.screen.talk(f"{lacking}: {', '.join(left)}.", "yellow")
    if deaf := [one for one in struck if one not in listened]:
        raise ConfigError(
            f"no rule of this watch listens for {', '.join(deaf)}: no alert could come",
            f"Add a rule with detection: {deaf[0]} to the config, then: ctwatch up",
        )
    return _drill(options, watch, Order(drills, limit, on), asks=not wish.yes)


def _list_techniques(options: Options) -> int:
    from ctwatch.render import technique_json, techniques_view
    from ctwatch.techniques import TECHNIQUES

    known = list(TECHNIQUES.values())
    if options.as_json:
        options.screen.json([technique_json(one) for one in known])
    else:
        options.screen.data(*techniques_view(known))
    return AS_PROMISED


def _drill(options: Options, watch: "Opened", order: "Order", *, asks: bool) -> int:
    from ctwatch.blows import On
    from ctwatch.diagnose import Alarm
    from ctwatch.render import drill_json, verdict_line

    screen, limit = options.screen, order.limit
    findings, diagnosis = looked(watch)
    _say_unseen(screen, findings)
    if diagnosis.verdict not in {Alarm.ARMED, Alarm.DEGRADED, Alarm.ABSENT}:
        screen.talk(verdict_line(diagnosis.verdict))
        screen.talk(
            f"ctwatch status tells what mends that; until then, {limit:g} s may pass in vain.",
            "yellow",
        )
    if order.on is On.TRAIL and not _warn_of_harm(screen, watch, order, findings, asks=asks):
        screen.talk("Aborted: nothing was done.")
        return COULD_NOT
    if order.on is not On.PROBE:
        screen.talk(_UNLABELLED)
    ended = _followed(options, watch, order, findings)
    if options.as_json:
        screen.json([drill_json(one) for one in ended])
    _remember(screen, watch, ended)
    if all(one.proven for one in ended):
        return AS_PROMISED
    _say_why(screen, watch, [one for one in ended if not one.proven])
    return NOT_AS_PROMISED


_UNLABELLED = (
    "What succeeds is told as any other call, without the label DRILL; so is what is done before "
    "and after it, as far as a rule listens for it."
)


def _say_unseen(screen: "Screen", findings: list["Finding"]) -> None:
    """Say what could not be looked at; a drill proves what arrives, and does not hang on it."""
    for one in findings:
        if one.error:
            screen.talk(f"Warning: {one.error.problem}. {one.error.hint}".rstrip(), "yellow")


def _warn_of_harm(
    screen: "Screen", watch: "Opened", order: "Order", findings: list["Finding"], *, asks: bool
) -> bool:
    """Say what it costs, and ask.

    Returns:
        Whether the answer is yes.
    """
    from ctwatch.striking import check_own, owned, price_of

    trail = owned(watch.watch).trail
    check_own(watch.watch, findings)
    for one in order.techniques:
        screen.talk(price_of(one, trail), "yellow")
    return not asks or agreed(f"Strike {trail.title} itself?")


def _followed(
    options: Options, watch: "Opened", order: "Order", findings: list["Finding"]
) -> list["Drill"]:
    """Strike, tell what happens, and show each ladder as it is known."""
    from ctwatch.blows import Blow
    from ctwatch.findings import Step
    from ctwatch.render import blow_line, ladder, show_step
    from ctwatch.simulate import Drill, drill
    from ctwatch.striking import Waiting

    screen, ended = options.screen, list[Drill]()
    with screen.waiting(order.limit) as count:
        for one in drill(order, watch.watch, findings, watch.aws):
            match one:
                case Blow():
                    screen.talk(blow_line(one))
                case Step():
                    show_step(screen, one)
                case Waiting():
                    screen.talk(one.sentence)
                case Drill():
                    ended.append(one)
                    count(f"{len(ended)} of {len(order.techniques)} followed")
                    screen.data(*(ladder(one, order.limit) if not options.as_json else ()))
    return ended


def _say_why(screen: "Screen", watch: "Opened", silent: list["Drill"]) -> None:
    """Say what AWS knows of the silence; a look at the watch as it is now is part of it."""
    from ctwatch.render import reason_view
    from ctwatch.silence import reasons

    with screen.working("Looking for the cause"):
        _, diagnosis = looked(watch)
        found = reasons(silent, watch.watch, diagnosis, watch.aws)
    deserted = all(one.deserted for one in silent)
    head = "Nobody can have heard" if deserted else "Not every hop was proven"
    screen.talk(f"{head}. What AWS says of the cause:", "yellow")
    for line in reason_view(found):
        screen.talk(line)


def _remember(screen: "Screen", watch: "Opened", ended: list["Drill"]) -> None:
    """Leave the proofs where status sees them; that this fails takes nothing from them."""
    from ctwatch.errors import AwsError
    from ctwatch.simulate import remember

    try:
        remember(ended, watch.watch, watch.aws)
    except AwsError as error:
        unknown = f"Warning: {error.problem}. ctwatch status will not know of it. {error.hint}"
        screen.talk(unknown.rstrip(), "yellow")


def _heal(options: Options) -> int:
    """Mend what a drill that was killed may have left."""
    from ctwatch.engine import build, inspect
    from ctwatch.errors import CtwatchError
    from ctwatch.findings import Action, Verdict
    from ctwatch.opening import opened
    from ctwatch.render import show_steps, step_json
    from ctwatch.striking import check_healed, outlasted, owned

    screen, opened_watch = options.screen, opened(options.choice)
    own, aws = owned(opened_watch.watch), opened_watch.aws
    say_which(screen, opened_watch)
    with screen.working("Looking at what is there"):
        needed = inspect([own.bucket, opened_watch.watch.receipts], aws)
        if gone := next((one.resource for one in needed if one.verdict is Verdict.MISSING), None):
            raise CtwatchError(
                f"{gone.title} does not exist: there is no watch to heal", "Run: ctwatch up"
            )
        for wait in outlasted(own.canary, aws):
            screen.talk(wait.sentence)
        findings = inspect([own.trail], aws, [own.canary])
    steps = show_steps(screen, build(findings, aws), "Healing")
    if options.as_json:
        screen.json([step_json(one) for one in steps])
    if any(step.error for step in steps):
        return COULD_NOT
    check_healed(own.trail, aws)
    healed = any(step.action is not Action.KEPT for step in steps)
    screen.talk(
        f"{own.trail.title} is as promised"
        + (" again." if healed else ", and no canary is left over: nothing to heal.")
    )
    return AS_PROMISED
