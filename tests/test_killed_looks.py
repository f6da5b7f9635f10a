"""What only looks, and a drill of what does not exist, changes nothing wherever it is killed."""

from collections.abc import Iterator
from typing import Any

import pytest
from killing import POINTS, WHEN, Killer, arm, killing, writing
from watch_world import PLAIN, World

from ctwatch.sandbox.server import Sandbox

pytestmark = pytest.mark.exhaustive

LOOKS = {
    "status": ("status",),
    "plan": ("plan",),
    "probe": ("simulate", "stop-logging", "--timeout", "0.1"),
}
REMEMBERED = "events:TagResource eventbridge-ct-detect"
"""The proof, which a drill leaves where status sees it."""


@pytest.fixture(scope="module")
def killer(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with killing(running, tmp_path_factory.mktemp("killed"), PLAIN) as one:
        arm(one.world, PLAIN)
        yield one


def seen(world: World) -> tuple[list[str], Any]:
    """All that there is, and how the trail is doing."""
    trail = world.client("cloudtrail").get_trail_status(Name="ct-trail-monitor")
    return world.sandbox.listing(), trail["IsLogging"]


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("look", LOOKS)
def test_a_look_that_is_killed_has_changed_nothing(killer: Killer, look: str, when: str) -> None:
    world, before, tried = killer.world, seen(killer.world), 0
    while (ended := killer.run(*LOOKS[look], at=tried, when=when)).killed:
        assert not [one for one in ended.wrote if not one.startswith(REMEMBERED)]
        tried += 1
    assert seen(world) == before
    ran, wrote = writing(world, "up")
    assert (ran.code, wrote) == (0, ())
    assert world.run("status").code == 0
    assert tried >= POINTS[look]
