"""Where an `up` that was killed ended, the next goes on; or `down` leaves nothing.

What the killed one and the next have written is together what one whole `up` writes, and no more.
"""

from collections.abc import Iterator

import pytest
from killing import (
    POINTS,
    WHEN,
    Killer,
    Onward,
    armed,
    killing,
    nothing_left,
    survived,
    writing,
)
from watch_world import PLAIN

from ctwatch.sandbox.server import Sandbox

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def killer(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with killing(running, tmp_path_factory.mktemp("killed"), PLAIN) as one:
        yield one


@pytest.fixture(scope="module")
def onward(killer: Killer) -> Onward:
    world = killer.world
    whole = writing(world, "up")[1]
    ways = {"up": armed(world, whole), "down": nothing_left(world)}
    return Onward(ways, world)


@pytest.mark.parametrize("when", WHEN)
def test_the_next_run_goes_on_where_a_killed_up_ended(
    killer: Killer, onward: Onward, when: str
) -> None:
    """Killed at each of its calls."""
    tried = survived(
        lambda at: killer.run("up", at=at, when=when),
        lambda: killer.world.use(PLAIN),
        onward,
    )
    assert tried >= POINTS["up"]
