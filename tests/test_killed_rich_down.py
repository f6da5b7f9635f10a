"""Of a killed `up` of a watch with all that there is `down` leaves nothing."""

from collections.abc import Iterator

import pytest
from killing import (
    POINTS,
    Killer,
    Onward,
    killing,
    nothing_left,
    survived,
)
from watch_world import RICH

from ctwatch.sandbox.server import Sandbox

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def killer(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with killing(running, tmp_path_factory.mktemp("killed"), RICH) as one:
        yield one


def test_the_next_down_leaves_nothing_of_a_killed_up(killer: Killer) -> None:
    world = killer.world
    tried = survived(
        lambda at: killer.run("up", at=at, of="writes", when="after"),
        lambda: world.use(RICH),
        Onward({"down": nothing_left(world)}),
    )
    assert tried >= POINTS["rich"]
