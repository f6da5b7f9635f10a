"""What a drill killed after a call left of a trail, `up` heals, and `down` takes away."""

from collections.abc import Iterator

import pytest
from killing import Killer, killing
from test_killed_drills import CONFIG, DRILLS, heals

from ctwatch.sandbox.server import Sandbox

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def killer(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with killing(running, tmp_path_factory.mktemp("killed"), CONFIG) as one:
        yield one


@pytest.mark.parametrize("name", DRILLS)
def test_the_next_run_heals_what_a_killed_drill_left(killer: Killer, name: str) -> None:
    heals(killer, name, "after")
