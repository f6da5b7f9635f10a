"""Every operation in turn fails always: `status` says so, and shows what it could look at."""

import itertools
from pathlib import Path

import pytest
from faulty import ALWAYS, always, faulty_world
from test_faults_always import LONGEST, spoke, stand

pytestmark = pytest.mark.exhaustive

TRIED = {"status": 324}
"""Faults that are tried."""
SURVIVED = {"status": 2}
"""Of these, those that did no harm: there was nothing of the answer to cut, or to read."""


def test_status(tmp_path: Path) -> None:
    with faulty_world(tmp_path) as (world, wire):
        stand(world, wire)
        wire.begin()
        assert world.run("status").code == 0
        tried, survived = 0, 0
        for call, kind in itertools.product(sorted(set(wire.calls)), ALWAYS):
            wire.begin(always(call, ALWAYS[kind]))
            start = wire.clock.monotonic()
            ran = world.run("status")
            tried += bool(wire.met)
            told = spoke(ran, call, kind)
            survived += ran.code == 0
            assert (ran.code in {1, 3}) is told, (call, kind, ran.text)
            assert wire.clock.monotonic() - start < LONGEST, (call, kind)
        wire.begin()
        assert world.run("status").code == 0
        assert (tried, survived) == (TRIED["status"], SURVIVED["status"])
