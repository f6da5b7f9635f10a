"""As `test_faults_always_down`, where AWS is slow to agree: each operation, one way, by turns."""

from pathlib import Path

import pytest
from faulty import faulty_world
from test_faults_always_down import Clearing
from test_faults_slow_always import by_turns
from test_faults_slow_later import DOWN, stand

pytestmark = pytest.mark.exhaustive

TRIED = {"down": 62}
"""Operations that fail always."""
SURVIVED = {"down": 3}
"""Of these, those after which nothing was left."""


def test_down(tmp_path: Path) -> None:
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        clearing = Clearing(world, wire, stand, by_turns, DOWN)
        assert clearing.each(lambda _: True) == (TRIED["down"], SURVIVED["down"])
