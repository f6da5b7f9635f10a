"""Where a `down` or drill killed after a call ended, the next run goes on, if AWS is slow."""

from pathlib import Path

import pytest
from slow_killing import slow_killing
from test_killed_slow_later import COMMANDS, goes_on

pytestmark = pytest.mark.exhaustive


@pytest.mark.parametrize("name", COMMANDS)
def test_the_next_run_goes_on_where_a_killed_one_ended(tmp_path: Path, name: str) -> None:
    with slow_killing(tmp_path) as killer:
        goes_on(killer, name, "after")
