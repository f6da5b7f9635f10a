"""Where an `up` that was killed ended, the next run goes on, on a slow sandbox.

It goes on at once, when AWS does not yet show everywhere what the killed one made.
"""

from collections.abc import Iterator

import pytest
from killing import POINTS, WHEN, Killer, Onward, survived, writing
from slow_killing import armed_at_once, nothing_left, slow_killing
from watch_world import PLAIN

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with slow_killing(tmp_path_factory.mktemp("killed")) as one:
        yield one


@pytest.fixture(scope="module")
def onward(killer: Killer) -> Onward:
    world = killer.world
    whole = writing(world, "up")[1]
    return Onward({"up": armed_at_once(world, whole), "down": nothing_left(world)})


@pytest.mark.parametrize("when", WHEN)
def test_the_next_run_goes_on_where_a_killed_up_ended(
    killer: Killer, onward: Onward, when: str
) -> None:
    """Killed at each of its writes."""
    tried = survived(
        lambda at: killer.run("up", at=at, of="writes", when=when),
        lambda: killer.world.use(PLAIN),
        onward,
    )
    assert tried >= POINTS["slow up"]
