"""As `test_faults_always` and `test_faults_five_times`, where AWS is slow to agree.

What AWS does not know yet is asked again, and what fails for good is not taken for that. Those
operations are tried that ctwatch waits for, or that others wait for.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from faulty import ALWAYS, Faults, Plan, always, faulty_world
from killed import is_write
from killing import again, writing
from test_faults_always import LONGEST, _listed, _undone, _unnamed, spoke
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
KINDS = ("denied", "throttled", "page", "503")
"""What befalls them, by turns."""
AT_LEAST = {"up": len(BUILDING), "down": len(CLEARING)}
"""Faults that always last, each of which is told."""
FIVE_TIMES = {"up": len(BUILDING), "down": len(CLEARING)}
"""Operations that are throttled five times, and done all the same."""


def struck(world: World, wire: Faults, plan: Plan, *arguments: str) -> Ran:
    """A command whose calls meet this; it ends, and says why where it did not do all."""
    wire.begin(plan)
    start = wire.clock.monotonic()
    ran = world.run(*arguments)
    assert wire.met, ran.text
    assert wire.clock.monotonic() - start < LONGEST, ran.text
    return ran


def to_build(world: World, wire: Faults) -> Callable[[str], None]:
    """Makes an account in which `up` makes that call."""
    standing = again(world, lambda: stand(world, wire))
    standing()

    def prepare(call: str) -> None:
        if call != "sqs:SetQueueAttributes":
            world.use(PLAIN)
            return
        standing()
        DRIFTS["queue"](world, of_kind(world, "queue")[1])
        world.settle()

    return prepare


def goes_on(world: World, said: object) -> None:
    """The next `up` does the rest; when AWS has agreed, the one after it has nothing to write."""
    assert world.run("up").code == 0, said
    world.settle()
    ran, wrote = writing(world, "up")
    assert (ran.code, wrote) == (0, ()), (said, ran.text)


def test_up_that_one_operation_always_fails(tmp_path: Path) -> None:
    tried = 0
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        prepare = to_build(world, wire)
        resources, whole = world.open().watch.resources, _listed(world)
        for place, call in enumerate(BUILDING):
            kind = KINDS[place % len(KINDS)]
            prepare(call)
            ran = struck(world, wire, always(call, ALWAYS[kind]), "up")
            assert (ran.code, spoke(ran, call, kind)) == (1, True), (call, kind, ran.text)
            assert [*_unnamed(ran, resources)] == [], (call, kind, ran.text)
            missing = whole - _listed(world)
            assert [*_undone(ran, resources, missing)] == [], (call, kind, ran.text)
            tried += 1
            wire.begin()
            goes_on(world, (call, ran.text))
    assert tried >= AT_LEAST["up"]


def test_up_that_is_throttled_five_times(tmp_path: Path) -> None:
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        prepare = to_build(world, wire)
        for call in BUILDING:
            prepare(call)
            ran = struck(world, wire, five_times(call), "up")
            assert ran.code == 0, (call, ran.text)
            world.settle()
            wire.begin()
            ran = world.run("up")
            assert (ran.code, [*filter(is_write, wire.calls)]) == (0, []), (call, ran.text)


def test_down(tmp_path: Path) -> None:
    """What stays is said, and goes with the next; throttled five times, nothing stays."""
    tried = 0
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        prepare = again(world, lambda: stand(world, wire))
        for place, call in enumerate(CLEARING):
            kind = KINDS[place % len(KINDS)]
            prepare()
            ran = struck(world, wire, always(call, ALWAYS[kind]), *DOWN)
            assert (ran.code, spoke(ran, call, kind)) == (1, True), (call, kind, ran.text)
            tried += 1
            wire.begin()
            ran = world.run(*DOWN)
            assert (ran.code, world.sandbox.listing()) == (0, []), (call, ran.text)
            prepare()
            ran = struck(world, wire, five_times(call), *DOWN)
            assert (ran.code, world.sandbox.listing()) == (0, []), (call, ran.text)
    assert tried >= AT_LEAST["down"]
