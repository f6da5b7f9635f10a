"""Where a `down` that was killed after a call ended, the next goes on; or `up` makes it whole."""

from collections.abc import Iterator

import pytest
from killing import DOWN, POINTS, Killer, again, arm, armed, killing, nothing_left, survived
from watch_world import PLAIN

from ctwatch.sandbox.server import Sandbox

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def killer(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with killing(running, tmp_path_factory.mktemp("killed"), PLAIN) as one:
        yield one


def test_the_next_run_goes_on_where_a_killed_down_ended(killer: Killer) -> None:
    world = killer.world
    tried = survived(
        lambda at: killer.run(*DOWN, at=at, when="after"),
        again(world, lambda: arm(world, PLAIN)),
        {"down": nothing_left(world), "up": armed(world)},
    )
    assert tried >= POINTS["down"]
