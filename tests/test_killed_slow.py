"""Where a killed `up` ended, the next run goes on, on a sandbox that is as slow to agree as AWS.

It goes on at once, when AWS does not yet show everywhere what the killed one made.
"""

from collections.abc import Iterator

import pytest
from killing import POINTS, WHEN, Killer, killer_of, survived
from slow_killing import armed_at_once, nothing_left
from slow_world import slow_world
from watch_world import PLAIN

pytestmark = pytest.mark.exhaustive


@pytest.fixture
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with (
        slow_world(tmp_path_factory.mktemp("slow")) as world,
        killer_of(world, PLAIN, world.sandbox.url) as one,
    ):
        yield one


@pytest.mark.parametrize("when", WHEN)
def test_the_next_run_goes_on_where_a_killed_up_ended(killer: Killer, when: str) -> None:
    world = killer.world
    tried = survived(
        lambda at: killer.run("up", at=at, of="writes", when=when),
        lambda: world.use(PLAIN),
        {"up": armed_at_once(world), "down": nothing_left(world)},
    )
    assert tried >= POINTS["slow up"]
