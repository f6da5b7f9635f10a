"""Where an `up` that was killed before a call ended, the next goes on; or `down` leaves nothing.

What the killed one and the next have written is together what one whole `up` writes, and no more.
"""

from collections.abc import Iterator

import pytest
from killing import POINTS, Killer, armed, killing, nothing_left, survived, writing
from watch_world import PLAIN

from ctwatch.sandbox.server import Sandbox

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def killer(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with killing(running, tmp_path_factory.mktemp("killed"), PLAIN) as one:
        yield one


def test_the_next_run_goes_on_where_a_killed_up_ended(killer: Killer) -> None:
    goes_on(killer, "before")


def goes_on(killer: Killer, when: str) -> None:
    """Kill it at each of its calls."""
    world = killer.world
    world.use(PLAIN)
    whole = writing(world, "up")[1]
    tried = survived(
        lambda at: killer.run("up", at=at, when=when),
        lambda: world.use(PLAIN),
        {"up": armed(world, whole), "down": nothing_left(world)},
    )
    assert tried >= POINTS["up"]
