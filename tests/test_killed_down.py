"""Where a `down` that was killed ended, the next goes on; or `up` makes it whole."""

from collections.abc import Callable, Iterator

import pytest
from killing import (
    DOWN,
    POINTS,
    WHEN,
    Killer,
    Onward,
    again,
    arm,
    armed,
    killing,
    nothing_left,
    survived,
)
from watch_world import PLAIN

from ctwatch.sandbox.server import Sandbox

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def killer(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with killing(running, tmp_path_factory.mktemp("killed"), PLAIN) as one:
        yield one


@pytest.fixture(scope="module")
def prepare(killer: Killer) -> Callable[[], None]:
    return again(killer.world, lambda: arm(killer.world, PLAIN))


@pytest.fixture(scope="module")
def onward(killer: Killer) -> Onward:
    world = killer.world
    return Onward({"up": armed(world), "down": nothing_left(world)}, world)


@pytest.mark.parametrize("when", WHEN)
def test_the_next_run_goes_on_where_a_killed_down_ended(
    killer: Killer, prepare: Callable[[], None], onward: Onward, when: str
) -> None:
    """Killed at each of its calls."""
    tried = survived(lambda at: killer.run(*DOWN, at=at, when=when), prepare, onward)
    assert tried >= POINTS["down"]
