"""One fault at any single call of `up`: it ends as ever, and the next one writes nothing."""

from pathlib import Path

import pytest
from faulty import ONCE, Faults, faulty_world, singles, struck
from killed import is_write
from killing import writing
from watch_world import PLAIN, World

pytestmark = pytest.mark.exhaustive

AT_LEAST = 250
"""Faults that are tried; what is looked at until it shows is looked at once more or less."""


def test_up_ends_as_promised_whatever_befalls_one_call(tmp_path: Path) -> None:
    with faulty_world(tmp_path) as (world, wire):
        tried = _up(world, wire)
    assert tried >= AT_LEAST, tried


def _up(world: World, wire: Faults) -> int:
    """Whichever write, by every fault; every read by one, as `status` has them all."""
    world.use(PLAIN)
    wire.begin()
    assert world.run("up").code == 0
    tried, known = 0, set[tuple[str, ...]]()
    for call, number, kind in singles(wire.calls, whole=is_write):
        world.use(PLAIN)
        wire.begin(struck(call, number, ONCE[kind]))
        ran, wrote = writing(world, "up")
        if not wire.met and not is_write(call):
            continue  # this time it has looked less often whether all is there
        assert (ran.code, wire.met) == (0, [call]), (call, number, kind, ran.text)
        tried += 1
        if is_write(call) and wrote not in known:  # else it is the same that was left
            known.add(wrote)
            wire.begin()
            ran = world.run("up")
            written = [one for one in wire.calls if is_write(one)]
            assert (ran.code, written) == (0, []), (call, number, kind, ran.text)
    return tried
