"""Where a `down` or drill that was killed ended, the next run goes on, if AWS is slow.

It comes when AWS shows no longer what is gone, and shows a trail that was struck.
"""

from pathlib import Path

import pytest
from killing import DOWN, POINTS, WHEN, Killer, Onward, again, survived
from slow_killing import armed_at_once, later, nothing_left, slow_killing, standing

pytestmark = pytest.mark.exhaustive

COMMANDS = {
    "down": DOWN,
    "trail": ("simulate", "stop-logging", "--on", "trail", "--yes", "--timeout", "30"),
    "canary": ("simulate", "stop-logging", "--on", "canary", "--timeout", "30"),
    "probe": ("simulate", "stop-logging", "--timeout", "30"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_next_run_goes_on_where_a_killed_one_ended(tmp_path: Path, name: str) -> None:
    with slow_killing(tmp_path) as killer:
        goes_on(killer, name)


def goes_on(killer: Killer, name: str) -> None:
    """Kill it at each of its writes."""
    world = killer.world
    ways = {"up": later(world, armed_at_once(world)), "down": later(world, nothing_left(world))}
    onward, prepare = Onward(ways, world), again(world, lambda: standing(world))
    for when in WHEN:
        tried = survived(
            lambda at, when=when: killer.run(*COMMANDS[name], at=at, of="writes", when=when),
            prepare,
            onward,
        )
        assert tried >= POINTS[f"slow {name}"]
