"""As `test_faults_always` and `test_faults_five_times`, where AWS is slow to agree.

What AWS does not know yet is asked again, and what fails for good is not taken for that. Each
operation of `up` fails always, in one way, by turns; those that ctwatch waits for, or that others
wait for, are throttled five times.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from faulty import ALWAYS, Faults, Plan, always, faulty_world
from killed import is_write
from killing import again, writing
from test_faults_always import LONGEST, ONLY_WARNED, _listed, _undone, _unnamed, spoke
from test_faults_five_times import five_times
from test_faults_slow_later import DOWN, stand
from test_faults_together import DRIFTS, of_kind
from watch_world import PLAIN, Ran, World

pytestmark = pytest.mark.exhaustive

BUILDING = (
    *("cloudtrail:StartLogging", "events:PutTargets", "lambda:CreateFunction"),
    *("s3:PutBucketPolicy", "sns:Subscribe", "sqs:SetQueueAttributes"),
)
CLEARING = ("cloudtrail:DeleteTrail", "events:RemoveTargets", "sqs:DeleteQueue")
TRIED = {"up": 56}
"""Operations that fail always."""
SURVIVED = {"up": 2}
"""Of these, those of which the failure did no harm."""
FIVE_TIMES = {"up": len(BUILDING), "down": len(CLEARING)}
"""Operations that are throttled five times, and done all the same."""


def by_turns(place: int, _: str) -> list[str]:
    """What befalls the operation in that place among all."""
    return [[*ALWAYS][place % len(ALWAYS)]]


def struck(world: World, wire: Faults, plan: Plan, *arguments: str) -> Ran:
    """A command whose calls meet this; it ends in time."""
    wire.begin(plan)
    start = wire.clock.monotonic()
    ran = world.run(*arguments)
    assert wire.met, ran.text
    assert wire.clock.monotonic() - start < LONGEST, ran.text
    return ran


def to_build(world: World, wire: Faults) -> tuple[list[str], Callable[[str], None]]:
    """The calls of `up`, and what makes an account in which it makes one of them."""
    standing = again(world, lambda: stand(world, wire))
    standing()
    from_nothing = set(wire.calls)
    wire.begin()
    assert world.run("up").code == 0
    whole = {*wire.calls}

    def prepare(call: str) -> None:
        if call in from_nothing and call not in whole:
            world.use(PLAIN)
            return
        standing()
        if is_write(call):
            DRIFTS["queue"](world, of_kind(world, "queue")[1])
            world.settle()

    return sorted({*from_nothing, "sqs:SetQueueAttributes"}), prepare


def goes_on(world: World, said: object) -> None:
    """The next `up` does the rest; when AWS has agreed, the one after it has nothing to write."""
    assert world.run("up").code == 0, said
    world.settle()
    ran, wrote = writing(world, "up")
    assert (ran.code, wrote) == (0, ()), (said, ran.text)


def test_up_that_one_operation_always_fails(tmp_path: Path) -> None:
    """Where it looks, on a watch that stands, if it looks there."""
    tried, survived = 0, 0
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        calls, prepare = to_build(world, wire)
        resources, whole = world.open().watch.resources, _listed(world)
        for place, call in enumerate(calls):
            [kind] = by_turns(place, call)
            prepare(call)
            ran = struck(world, wire, always(call, ALWAYS[kind]), "up")
            told, said = spoke(ran, call, kind), (call, kind, ran.text)
            assert ran.code == (1 if told and call not in ONLY_WARNED else 0), said
            assert [*_unnamed(ran, resources)] == [], said
            missing = whole - _listed(world)
            assert [*_undone(ran, resources, missing)] == [], said
            tried += 1
            survived += ran.code == 0
            wire.begin()
            if is_write(call):
                goes_on(world, said)
    assert (tried, survived) == (TRIED["up"], SURVIVED["up"])


def test_up_that_is_throttled_five_times(tmp_path: Path) -> None:
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        _, prepare = to_build(world, wire)
        for call in BUILDING:
            prepare(call)
            ran = struck(world, wire, five_times(call), "up")
            assert ran.code == 0, (call, ran.text)
            world.settle()
            wire.begin()
            ran = world.run("up")
            assert (ran.code, [*filter(is_write, wire.calls)]) == (0, []), (call, ran.text)


def test_down_that_is_throttled_five_times(tmp_path: Path) -> None:
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        prepare = again(world, lambda: stand(world, wire))
        for call in CLEARING:
            prepare()
            ran = struck(world, wire, five_times(call), *DOWN)
            assert (ran.code, world.sandbox.listing()) == (0, []), (call, ran.text)
