"""`ctwatch down`: clear away what this watch made, the alarm last."""

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from ctwatch.verbs.common import (
    AS_PROMISED,
    COULD_NOT,
    Options,
    Seconds,
    agreed,
    judged,
    refuse_namesake,
    say_which,
    surveyed,
    watching,
)

if TYPE_CHECKING:
    from ctwatch.diagnose import Diagnosis
    from ctwatch.findings import Finding, Step
    from ctwatch.opening import Opened
    from ctwatch.render import Screen
    from ctwatch.resources.base import Resource
    from ctwatch.resources.bucket import Bucket


@click.command(short_help="Clear away what this watch made.")
@click.option(
    "--delete-logs", is_flag=True, help="Also delete the logs, and the keys that encrypt them."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait",
    type=Seconds(min=0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the alert that the trail's own deletion raises.",
)
@watching
def down(options: Options, delete_logs: bool, yes: bool, wait: float) -> int:
    """Clear away what this watch made; logs and what encrypts them are kept unless you say so."""
    from ctwatch.diagnose import Alarm
    from ctwatch.engine import clear
    from ctwatch.findings import Action
    from ctwatch.opening import opened
    from ctwatch.render import show_steps

    screen, watch = options.screen, opened(options.choice, search="thorough", need_keys=False)
    say_which(screen, watch)
    with screen.working("Looking at what is there"):
        watch, findings, diagnosis = _all_there(screen, _with_canary(watch))
    refuse_namesake(findings)
    awake = diagnosis.verdict in {Alarm.ARMED, Alarm.DEGRADED}
    would_tell = awake and watch.watch.hears_deletion and not _is_left_out(watch)
    ours = [one for one in findings if one.ours]
    going = [one for one in ours if delete_logs or not one.resource.data]
    warning = _ALERT if would_tell and any(one.resource.heard for one in going) else ""
    if yes and warning:
        screen.talk(warning)
    bucket = watch.watch.bucket
    if bucket and bucket.announces and any(one.resource is bucket for one in going):
        screen.talk(_UNHEARD)
    if going and not yes:
        for one in going:
            screen.talk(f"- {one.resource.title}{_aside(watch, one.resource)}")
        these = f"these {len(going)}" if len(going) > 1 else "it"
        if not agreed(f"{warning}\nDelete {these}?".lstrip()):
            screen.talk("Aborted: nothing was deleted.")
            return COULD_NOT
    heard = [one for one in findings if one.resource.heard]
    rest = [one for one in findings if not one.resource.heard]
    readable = {watch.watch.receipt, watch.watch.receipts} <= {one.resource for one in ours}
    stayed = _clear_heard(screen, watch, heard, wait if would_tell and readable else 0)
    needed = {need for one in stayed for need in one.needs}  # a trail that stays needs its bucket
    rest = [one for one in rest if one.resource not in needed]
    if delete_logs:
        rest = _clear_buckets(screen, watch, rest, stayed)
    work = clear(rest, watch.aws, keep_data=not delete_logs)
    steps = show_steps(screen, work, "Clearing", clearing=True)
    gone = [step.resource for step in steps if step.action is Action.DELETED]
    for resource in gone:
        if resource.lingers:
            screen.talk(f"{resource.title}: {resource.lingers}.")
    return _cleared(options, watch, gone, keep_data=not delete_logs)


_YOUNG = 10.0
"""Seconds in which AWS may not yet show what was made, as by an `up` that was killed just now.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
"""


def _all_there(screen: "Screen", watch: "Opened") -> tuple["Opened", list["Finding"], "Diagnosis"]:
    """The watch with its strays, and what is there: twice, where at first not all of it is."""
    from ctwatch.diagnose import asked_bus
    from ctwatch.findings import Verdict

    ask = partial(asked_bus, watch.watch, watch.aws)
    whole, findings, policy = surveyed(screen, watch, ask, thorough=True)
    if any(one.verdict is Verdict.MISSING for one in findings):
        watch.aws.clock.sleep(_YOUNG)
        whole, findings, policy = surveyed(screen, watch, ask, thorough=True)
    return whole, findings, judged(whole, findings, policy)


def _with_canary(watch: "Opened") -> "Opened":
    """The watch, whose canary goes, too, while a drill is using it: so does all that it needs."""
    from dataclasses import replace

    from ctwatch.resources.canary import Canary

    unwanted = tuple(
        replace(one, at_work=True) if isinstance(one, Canary) else one
        for one in watch.watch.unwanted
    )
    return replace(watch, watch=replace(watch.watch, unwanted=unwanted))


def _aside(watch: "Opened", one: "Resource") -> str:
    """What becomes of a thing after its deletion, or what goes with it."""
    from ctwatch.aws import TROUBLE
    from ctwatch.render import contents_line
    from ctwatch.resources.bucket import Bucket

    said = one.lingers
    if isinstance(one, Bucket):
        with contextlib.suppress(*TROUBLE):  # it is only said; whether it may go is seen later
            held = one.contents(watch.aws.at(one.place.region))
            said = contents_line(held) if held else ""
    return f" ({said})" if said else ""


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
    """Delete what the alarm itself listens for, and wait until it has been heard, or may not.

    Returns:
        What could not be deleted.
    """
    from ctwatch.engine import clear
    from ctwatch.errors import AwsError
    from ctwatch.findings import Action
    from ctwatch.render import show_steps
    from ctwatch.simulate import heard_of_deletion

    start = watch.aws.time() if wait else None
    steps = show_steps(screen, clear(findings, watch.aws), "Clearing", clearing=True)
    stayed = [step.resource for step in steps if step.action is Action.FAILED]
    if start is None or not any(step.action is Action.DELETED for step in steps):
        return stayed
    try:
        with screen.working("Waiting for the alert that this raises"):
            receipt = heard_of_deletion(watch.watch, watch.aws, start, wait)
    except AwsError as error:
        unknown = f"{error.problem}. Who was told of its deletion is not known. {error.hint}"
        screen.talk(f"Warning: {unknown}".rstrip(), "yellow")
        return stayed
    if receipt:
        screen.talk("  its deletion was heard: the alert has arrived", "green")
    else:
        screen.talk(f"  its deletion was not heard within {wait:.0f} s; going on", "yellow")
    return stayed


def _clear_buckets(
    screen: "Screen",
    watch: "Opened",
    findings: Sequence["Finding"],
    stayed: Sequence["Resource"],
) -> list["Finding"]:
    """Empty and delete the log buckets, which takes longest, while the alarm still listens.

    Args:
        screen: where to print.
        watch: the watch.
        findings: what there is to clear.
        stayed: the trails that could not be deleted.

    Returns:
        What is left to clear. Where logs stay, the keys that they are read with stay, too.
    """
    from ctwatch.errors import CtwatchError
    from ctwatch.findings import Action, Step
    from ctwatch.render import show_steps
    from ctwatch.resources.bucket import Bucket
    from ctwatch.resources.key import Key

    rest, waits = list(findings), list(stayed)
    for finding in findings:
        if isinstance(finding.resource, Bucket) and finding.ours:
            rest.remove(finding)
            step = _clear_bucket(screen, watch, finding.resource)
            show_steps(screen, [step], "Clearing", clearing=True)
            waits += [step.resource] if step.error else []
        elif isinstance(finding.resource, Bucket) and finding.error:
            waits.append(finding.resource)
    if not waits:
        return rest
    why = CtwatchError(f"waits for {waits[0].title}")
    keys = [one for one in rest if isinstance(one.resource, Key)]
    held = [Step(one.resource, Action.SKIPPED, why) for one in keys if one.ours]
    show_steps(screen, held, "Clearing", clearing=True)
    return [one for one in rest if one not in keys]


def _clear_bucket(screen: "Screen", watch: "Opened", bucket: "Bucket") -> "Step":
    """Delete one, and show how far that is; returns what became of it."""
    from ctwatch.aws import TROUBLE
    from ctwatch.errors import CtwatchError
    from ctwatch.findings import Action, Step

    aws = watch.aws.at(bucket.place.region)
    try:
        held = bucket.contents(aws)
        total = held.versions if held and not held.more else None
        with screen.counting(f"Emptying {bucket.title}", total) as say:
            for now in bucket.clearing(aws):
                say(now.deleted)
    except TROUBLE as error:
        return Step(bucket, Action.FAILED, bucket.complaint(error, "deleting"))
    except CtwatchError as error:
        return Step(bucket, Action.FAILED, error)
    return Step(bucket, Action.DELETED)


_SHOWN = 90.0
"""Seconds for which AWS may go on to show what was deleted: SQS takes a minute to delete a queue.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html
"""


def _looked_again(watch: "Opened", gone: Sequence["Resource"]) -> list["Finding"]:
    """What is there, when what was deleted is no longer shown or had time enough to go."""
    from ctwatch.engine import inspect

    own, clock = watch.watch, watch.aws.clock
    end, pause = clock.monotonic() + _SHOWN, 1.0
    while True:
        there = inspect((*own.resources, *own.unwanted), watch.aws)  # also what nobody must have
        # A subscription that was never confirmed goes with its topic, and stays where that stays.
        shown = [one for one in there if one.live and one.live.state.get("confirmed", True)]
        late = [one for one in shown if one.resource in gone]
        if not late or clock.monotonic() + pause > end:
            return there
        clock.sleep(pause)
        pause = min(2 * pause, 10.0)


def _cleared(
    options: Options, watch: "Opened", gone: Sequence["Resource"], *, keep_data: bool
) -> int:
    """Look, and say what is left."""
    from ctwatch.findings import Verdict

    screen = options.screen
    with screen.working("Looking again"):
        there = _looked_again(watch, gone)
    left = [one for one in there if one.ours or one.verdict is Verdict.UNKNOWN]
    left = [one for one in left if not one.resource.given]
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
    untagged = _say_untagged(screen, [one for one in there if one.verdict is Verdict.FOREIGN])
    if watch.unseen:
        screen.talk(f"What could not be looked for may be left: {'; '.join(watch.unseen)}.", "red")
    if stuck:
        screen.talk("Run ctwatch down again to go on.")
    if stuck or watch.unseen:
        return COULD_NOT
    whose = "that carries the tag of this watch " if untagged else "" if kept else "of this watch "
    screen.talk(f"Nothing {'else ' if kept else ''}{whose}is left.")
    return AS_PROMISED


def _say_untagged(screen: "Screen", findings: Sequence["Finding"]) -> bool:
    """Name what has a name of ours and lost our tag, or never had it; returns whether any has."""
    from ctwatch.findings import LOST

    untagged = [one.resource for one in findings if one.live and "anothers" not in one.live.facts]
    for one in untagged:
        why = f"it lacks the tag ctwatch:watch={one.watch}"
        screen.talk(f"Not touched: {one.title}: {why}", "yellow")
    if untagged:
        screen.talk(f"{LOST} Then run: ctwatch down")
    return bool(untagged)
