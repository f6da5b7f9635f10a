"""One action less than `ctwatch policy up` prints: several at once, as each run is dear."""

from pathlib import Path

import pytest
from lacking import Account, leaping
from test_one_action_less import check

pytestmark = pytest.mark.exhaustive


def test_each_action_in_turn(tmp_path: Path) -> None:
    with leaping(tmp_path) as world:
        check(Account(world), "up", together=5)
