"""One action less of what only a richer, a broken or a shrunk watch takes of `up`."""

from pathlib import Path

import pytest
from lacking import leaping
from test_one_action_less_rich import Richer, check
from test_policy import EVERYTHING

pytestmark = pytest.mark.exhaustive


def test_each_action_in_turn(tmp_path: Path) -> None:
    with leaping(tmp_path) as world:
        check(Richer(world, EVERYTHING), "up")
