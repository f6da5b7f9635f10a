"""Where a killed `down` or drill ended, the next run goes on, on a sandbox as slow as AWS.

It comes when AWS shows no longer what is gone, and shows a trail that was struck.
"""

from collections.abc import Iterator

import pytest
from killing import DOWN, POINTS, WHEN, Killer, killer_of, survived
from slow_killing import armed_at_once, later, nothing_left, standing
from slow_world import slow_world
from watch_world import PLAIN

pytestmark = pytest.mark.exhaustive

COMMANDS = {
    "down": DOWN,
    "trail": ("simulate", "stop-logging", "--on", "trail", "--yes", "--timeout", "30"),
    "canary": ("simulate", "stop-logging", "--on", "canary", "--timeout", "30"),
}


@pytest.fixture
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with (
        slow_world(tmp_path_factory.mktemp("slow")) as world,
        killer_of(world, PLAIN, world.sandbox.url) as one,
    ):
        yield one


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("name", COMMANDS)
def test_the_next_run_goes_on_where_a_killed_one_ended(
    killer: Killer, name: str, when: str
) -> None:
    world = killer.world
    tried = survived(
        lambda at: killer.run(*COMMANDS[name], at=at, of="writes", when=when),
        lambda: standing(world),
        {"up": later(world, armed_at_once(world)), "down": later(world, nothing_left(world))},
    )
    assert tried >= POINTS[f"slow {name}"]
