"""Where an `up` that was killed after a call ended, the next goes on; or `down` leaves nothing."""

from pathlib import Path

import pytest
from killing import killing
from test_killed_up import goes_on
from watch_world import PLAIN

from ctwatch.sandbox.server import Sandbox

pytestmark = pytest.mark.exhaustive


def test_the_next_run_goes_on_where_a_killed_up_ended(running: Sandbox, tmp_path: Path) -> None:
    with killing(running, tmp_path, PLAIN) as killer:
        goes_on(killer, "after")
