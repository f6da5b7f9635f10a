"""Every operation in turn fails always: `down` and a drill say so, do the rest, and go on."""

import itertools
from pathlib import Path

import pytest
from faulty import ALWAYS, Faults, always, faulty_world
from killed import is_write
from test_faults_always import LONGEST, kinds, spoke, stand
from watch_world import PLAIN, World

pytestmark = pytest.mark.exhaustive

AT_LEAST = {"down": 85, "drill": 118}
"""Faults that are tried."""
SURVIVED = {"down": 2, "drill": 105}
"""Of these, those that did no harm: a drill is proven though the watch cannot be looked at."""
DOWN = ("down", "--yes", "--delete-logs", "--wait", "3")


def test_down(tmp_path: Path) -> None:
    """Where it writes, by what differs most; where it looks, by one, which goes round."""
    with faulty_world(tmp_path) as (world, wire):
        stand(world, wire)
        wire.begin()
        assert world.run(*DOWN).code == 0
        tried, survived = 0, 0
        for place, call in enumerate(sorted(set(wire.calls))):
            round_ = [*ALWAYS][place % len(ALWAYS)]
            for kind in {round_, "denied", "silent"} if is_write(call) else {round_}:
                told = _cleared(world, wire, call, kind)
                tried += bool(wire.met)
                survived += not told
        assert tried >= AT_LEAST["down"], (tried, survived)
        assert survived <= SURVIVED["down"], (tried, survived)


def _cleared(world: World, wire: Faults, call: str, kind: str) -> bool:
    """Whether it was told; whatever came of it, the next `down` leaves nothing."""
    world.use(PLAIN)
    wire.begin()
    assert world.run("up").code == 0
    wire.begin(always(call, ALWAYS[kind]))
    start = wire.clock.monotonic()
    ran = world.run(*DOWN)
    told = spoke(ran, call, kind)
    met = wire.met
    # What was done though no answer came is gone at the look that `down` ends with.
    assert told or ran.code == 0, (call, kind, ran.text)
    assert (ran.code == 0) <= (world.sandbox.listing() == []), (call, kind, ran.text)
    assert wire.clock.monotonic() - start < LONGEST, (call, kind)
    wire.begin()
    ran = world.run(*DOWN)
    assert (ran.code, world.sandbox.listing()) == (0, []), (call, kind, ran.text)
    wire.met = met
    return told


def test_a_drill(tmp_path: Path) -> None:
    """A watch that cannot be looked at is struck all the same, and what is not proven is said."""
    drill = ("simulate", "stop-logging", "--timeout", "20")
    with faulty_world(tmp_path) as (world, wire):
        stand(world, wire)
        wire.begin()
        assert world.run(*drill).code == 0
        tried, survived = 0, 0
        asked = sorted(set(wire.calls))
        for number, (place, call) in enumerate(
            itertools.product(range(3), asked),
        ):
            kind = kinds(number, "")[(place + number) % 4]
            if number % 20 == 19:
                stand(world, wire)  # the receipts of all drills before would have to be read
            wire.begin(always(call, ALWAYS[kind]))
            start = wire.clock.monotonic()
            ran = world.run(*drill)
            tried += bool(wire.met)
            told = spoke(ran, call, kind)
            survived += not told
            assert told or ran.code == 0, (call, kind, ran.text)
            assert ran.code in {0, 1, 3}, (call, kind, ran.text)
            assert wire.clock.monotonic() - start < LONGEST, (call, kind)
        wire.begin()
        assert world.run("status").code == 0
        assert tried >= AT_LEAST["drill"], (tried, survived)
        assert survived <= SURVIVED["drill"], (tried, survived)
