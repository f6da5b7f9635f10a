"""Where an `up` that was killed before a call ended, the next run goes on, on a slow sandbox.

It goes on at once, when AWS does not yet show everywhere what the killed one made.
"""

from pathlib import Path

import pytest
from killing import POINTS, Killer, survived
from slow_killing import armed_at_once, nothing_left, slow_killing
from watch_world import PLAIN

pytestmark = pytest.mark.exhaustive


def test_the_next_run_goes_on_where_a_killed_up_ended(tmp_path: Path) -> None:
    with slow_killing(tmp_path) as killer:
        goes_on(killer, "before")


def goes_on(killer: Killer, when: str) -> None:
    """Kill it at each of its writes."""
    world = killer.world
    tried = survived(
        lambda at: killer.run("up", at=at, of="writes", when=when),
        lambda: world.use(PLAIN),
        {"up": armed_at_once(world), "down": nothing_left(world)},
    )
    assert tried >= POINTS["slow up"]
