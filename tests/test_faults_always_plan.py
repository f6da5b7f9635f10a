"""Every operation in turn fails always: `plan` says so, and shows what it could look at."""

import itertools
from pathlib import Path

import pytest
from faulty import ALWAYS, always, faulty_world
from test_faults_always import LONGEST, ONLY_WARNED, spoke, stand

pytestmark = pytest.mark.exhaustive

TRIED = {"plan": 333}
"""Faults that are tried."""
SURVIVED = {"plan": 11}
"""Of these, those that did no harm: it warned, or had nothing of the answer to read."""


def test_plan(tmp_path: Path) -> None:
    with faulty_world(tmp_path) as (world, wire):
        stand(world, wire)
        wire.begin()
        assert world.run("plan").code == 0
        tried, survived = 0, 0
        for call, kind in itertools.product(sorted(set(wire.calls)), ALWAYS):
            wire.begin(always(call, ALWAYS[kind]))
            start = wire.clock.monotonic()
            ran = world.run("plan")
            tried += bool(wire.met)
            told = spoke(ran, call, kind)
            survived += ran.code == 0
            said = (call, kind, ran.text)
            assert ran.code == (1 if told and call not in ONLY_WARNED else 0), said
            assert wire.clock.monotonic() - start < LONGEST, said
        wire.begin()
        assert world.run("plan", "--exit-code").code == 0
        assert (tried, survived) == (TRIED["plan"], SURVIVED["plan"])
