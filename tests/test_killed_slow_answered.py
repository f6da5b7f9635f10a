"""Where an `up` that was killed after a call ended, the next run goes on, on a slow sandbox."""

from pathlib import Path

import pytest
from slow_killing import slow_killing
from test_killed_slow import goes_on

pytestmark = pytest.mark.exhaustive


def test_the_next_run_goes_on_where_a_killed_up_ended(tmp_path: Path) -> None:
    with slow_killing(tmp_path) as killer:
        goes_on(killer, "after")
