"""`ctwatch up` and `ctwatch plan`: make it so, or show what that would mean."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from ctwatch.verbs.common import (
    AS_PROMISED,
    COULD_NOT,
    NOT_AS_PROMISED,
    Options,
    before_up,
    json_option,
    judged,
    looked,
    refuse_namesake,
    say_which,
    surveyed,
    warn,
    watching,
)

if TYPE_CHECKING:
    from ctwatch.diagnose import BusPolicy, Diagnosis
    from ctwatch.findings import Finding, Step
    from ctwatch.opening import Opened
    from ctwatch.render import Screen
    from ctwatch.resources.base import Resource


@click.command(short_help="Make the watch as the config wants it.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and stop.")
@click.option("--exit-code", is_flag=True, help="With --dry-run: exit 3 when there is work to do.")
@json_option
@watching
def up(options: Options, dry_run: bool, exit_code: bool) -> int:
    """Make the watch as the config wants it; repeat as often as you like."""
    if dry_run:
        return _plan(options, exit_code)
    if exit_code:
        raise click.UsageError("--exit-code goes with --dry-run.")
    from ctwatch.diagnose import asked_bus
    from ctwatch.engine import build
    from ctwatch.opening import check_webhooks, opened
    from ctwatch.parallel import settled
    from ctwatch.preflight import ask
    from ctwatch.render import show_steps

    screen = options.screen
    watch = opened(
        options.choice, need_secrets=True, need_trail=True, search="near", need_keys=False
    )
    say_which(screen, watch)
    warn(screen, watch)
    with screen.working("Looking at what is there"):
        watch, findings, answers, webhooks, policy = surveyed(
            screen,
            watch,
            partial(ask, watch),
            partial(settled, partial(check_webhooks, watch)),
            partial(asked_bus, watch.watch, watch.aws),
        )
    before_up(screen, watch, answers, stop=True)
    for warning in webhooks():
        screen.talk(f"Warning: {warning}", "yellow")
    refuse_namesake(findings)
    watch, findings, first = _keys_first(screen, watch, findings)
    steps = show_steps(screen, build(findings, watch.aws), "Building")
    return _look_again(options, watch, findings, policy, [*first, *steps])


def _keys_first(
    screen: "Screen", watch: "Opened", findings: list["Finding"]
) -> tuple["Opened", list["Finding"], list["Step"]]:
    """Make the watch's own keys, if any, as rules and function name them by ids that AWS gives.

    Returns:
        The watch with these ids, what there is of it, and what was done.
    """
    from ctwatch.engine import build, inspect
    from ctwatch.findings import Action, Verdict
    from ctwatch.opening import with_its_keys
    from ctwatch.render import show_steps

    keys = watch.watch.keys
    lacking = [one for one in findings if one.resource in keys and one.verdict is Verdict.MISSING]
    steps = show_steps(screen, build(lacking, watch.aws), "Building")
    if any(step.action is Action.CREATED for step in steps):
        watch = with_its_keys(watch)
        with screen.working("Looking at what is there"):
            findings = inspect(watch.watch.resources, watch.aws, watch.watch.unwanted)
    return watch, findings, steps


def _look_again(
    options: Options,
    watch: "Opened",
    findings: list["Finding"],
    policy: "BusPolicy",
    steps: Sequence["Step"],
) -> int:
    """What `up` ends with: success is what AWS says, not what was sent.

    Args:
        options: of the command.
        watch: what was built.
        findings: what there was before; there still is where nothing was sent.
        policy: what the event bus's was then.
        steps: what was done.
    """
    from ctwatch.findings import Action, Verdict
    from ctwatch.render import diagnosis_json, status_view, step_json, verdict_line, waiting_line

    screen, wrote = options.screen, {Action.CREATED, Action.REPAIRED}
    if all(step.action is Action.KEPT for step in steps):
        diagnosis = judged(watch, findings, policy)
    else:
        with screen.working("Looking again"):
            findings, diagnosis = _settled(
                watch, {step.resource for step in steps if step.action in wrote}
            )
    if options.as_json:
        by_resource = {step.resource: step for step in steps}
        known = (*watch.watch.resources, *watch.watch.unwanted)
        ended = [by_resource[one] for one in known if one in by_resource]
        screen.json({"steps": [step_json(one) for one in ended], **diagnosis_json(diagnosis)})
    if any(step.error for step in steps):
        screen.talk("Not all could be done; run ctwatch up again when that is mended.", "yellow")
        return COULD_NOT
    if not diagnosis.left_to_people:
        if not options.as_json:
            screen.data(*status_view(diagnosis))
        unseen = any(one.verdict is Verdict.UNKNOWN for one in findings)
        return COULD_NOT if unseen else NOT_AS_PROMISED
    if not any(step.action in wrote for step in steps):
        waiting = " but what waits for a person" if diagnosis.faults else ", all is as promised"
        screen.talk(f"Nothing to do{waiting}.")
    screen.talk(verdict_line(diagnosis.verdict))
    for fault in diagnosis.faults:
        screen.talk(waiting_line(fault))
    return AS_PROMISED


_SETTLES = 30.0
"""Seconds within which what was written is given time to be seen: SQS and SNS show it late."""


def _settled(watch: "Opened", wrote: set["Resource"]) -> tuple[list["Finding"], "Diagnosis"]:
    """Look until all that was written shows as written, or until it had time enough to."""
    clock = watch.aws.clock
    end, pause = clock.monotonic() + _SETTLES, 1.0
    while True:
        findings, diagnosis = looked(watch)
        late = [one for one in findings if one.resource in wrote and not one.settled]
        if not late or clock.monotonic() + pause > end:
            return findings, diagnosis
        clock.sleep(pause)
        pause *= 2


def _plan(options: Options, exit_code: bool) -> int:
    from ctwatch.findings import Verdict
    from ctwatch.opening import opened
    from ctwatch.preflight import ask, unconfirmed
    from ctwatch.prices import monthly, second_copy
    from ctwatch.render import cost_json, cost_view, finding_json, plan_summary, plan_view

    screen, watch = (
        options.screen,
        opened(options.choice, need_trail=True, search="near", need_keys=False),
    )
    warn(screen, watch)
    with screen.working("Looking at what is there"):
        watch, findings, answers = surveyed(screen, watch, partial(ask, watch))
    doubts = before_up(screen, watch, answers, stop=False)
    _say_what_is_not_at_hand(options, watch)
    refuse_namesake(findings)
    for one in unconfirmed(findings):
        screen.talk(f"Warning: {one.sentence}.", "yellow")
    priced = [(one.title, one.price) for one in watch.watch.resources]
    if any(one.copies for one in doubts):
        priced.append((watch.watch.trail.title, (second_copy(),)))
    cost = monthly(priced)
    if options.as_json:
        screen.json({"changes": [*map(finding_json, findings)], "cost": cost_json(cost)})
    else:
        say_which(screen, watch)
        screen.data(*plan_view(findings, verbose=options.verbose))
        screen.talk(plan_summary(findings))
        screen.data(*cost_view(cost))
    if any(one.verdict is Verdict.UNKNOWN for one in findings):
        return COULD_NOT
    work = any(not one.settled for one in findings)
    return NOT_AS_PROMISED if work and exit_code else AS_PROMISED


def _say_what_is_not_at_hand(options: Options, watch: "Opened") -> None:
    from ctwatch.errors import ConfigError
    from ctwatch.opening import check_at_hand

    try:
        check_at_hand(watch.config, options.config.parent, watch.aws)
    except ConfigError as error:
        options.screen.talk(f"ctwatch up would stop: {error.problem}. {error.hint}", "red")


@click.command(short_help="Show what `up` would do, and stop.")
@click.option("--exit-code", is_flag=True, help="Exit 3 when there is work to do.")
@json_option
@watching
def plan(options: Options, exit_code: bool) -> int:
    """Show what `up` would do, and stop; the same as `up --dry-run`."""
    return _plan(options, exit_code)
