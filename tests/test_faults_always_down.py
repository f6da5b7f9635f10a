"""Every operation that writes fails always: `down` says so, does the rest, and goes on.

What stays, as its deletion was refused, is refused to the next `down`, too: so one watch serves
several kinds of fault, until one comes that lets all go.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faulty import ALWAYS, Faults, always, faulty_world
from killed import is_write
from test_faults_always import LONGEST, kinds, spoke, stand
from watch_world import PLAIN, World

pytestmark = pytest.mark.exhaustive

AT_LEAST = {"down": 117}
"""Faults that are tried."""
SURVIVED = {"down": 5}
"""Of these, those that did no harm: it was done, though no answer came."""
DOWN = ("down", "--yes", "--delete-logs", "--wait", "3")


def test_down(tmp_path: Path) -> None:
    with faulty_world(tmp_path) as (world, wire):
        tried, survived = cleared(world, wire, is_write)
        assert tried >= AT_LEAST["down"], (tried, survived)
        assert survived <= SURVIVED["down"], (tried, survived)


def cleared(world: World, wire: Faults, which: Callable[[str], bool]) -> tuple[int, int]:
    """How many faults were tried, and how many of these were not told, as they did no harm."""
    stand(world, wire)
    wire.begin()
    assert world.run(*DOWN).code == 0
    asked = enumerate(sorted(set(wire.calls)))
    ended = [one for place, call in asked if which(call) for one in _each(world, wire, place, call)]
    return len(ended), ended.count(False)


def _each(world: World, wire: Faults, place: int, call: str) -> Iterator[bool]:
    """Whether it was told, for each kind; whatever came of them, the next `down` leaves nothing."""
    for kind in kinds(place, call):
        told = _struck(world, wire, call, kind) if world.sandbox.listing() else None
        if told is None:
            world.use(PLAIN)
            wire.begin()
            assert world.run("up").code == 0
            told = _struck(world, wire, call, kind)
        if told is not None:
            yield told
    wire.begin()
    ran = world.run(*DOWN)
    assert (ran.code, world.sandbox.listing()) == (0, []), (call, ran.text)


def _struck(world: World, wire: Faults, call: str, kind: str) -> bool | None:
    """Whether it was told; None where the call was not made."""
    wire.begin(always(call, ALWAYS[kind]))
    start = wire.clock.monotonic()
    ran = world.run(*DOWN)
    told, said = spoke(ran, call, kind), (call, kind, ran.text)
    # What was done though no answer came is gone at the look that `down` ends with.
    assert told or ran.code == 0, said
    assert (ran.code == 0) <= (world.sandbox.listing() == []), said
    assert wire.clock.monotonic() - start < LONGEST, said
    return told if wire.met else None
