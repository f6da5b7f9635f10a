"""Every operation that looks fails always: `down` says so, does the rest, and goes on."""

from pathlib import Path

import pytest
from faulty import faulty_world
from killed import is_write
from test_faults_always_down import Clearing

pytestmark = pytest.mark.exhaustive

TRIED = {"down, looks": 200}
"""Faults that are tried: of a look those kinds that differ, and one of the rest by turns."""
SURVIVED = {"down, looks": 9}
"""Of these, those after which nothing was left: mostly at what waits for the last alert."""


def test_down(tmp_path: Path) -> None:
    with faulty_world(tmp_path) as (world, wire):
        tried, survived = Clearing(world, wire).each(lambda one: not is_write(one))
        assert (tried, survived) == (TRIED["down, looks"], SURVIVED["down, looks"])
