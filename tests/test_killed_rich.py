"""A killed `up` of a watch with all that there is: keys, log groups, several rules and topics."""

from collections.abc import Iterator

import pytest
from killing import (
    POINTS,
    WHEN,
    Killer,
    Onward,
    armed,
    killing,
    survived,
    writing,
)
from watch_world import RICH

from ctwatch.sandbox.server import Sandbox

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def killer(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with killing(running, tmp_path_factory.mktemp("killed"), RICH) as one:
        yield one


@pytest.fixture(scope="module")
def onward(killer: Killer) -> Onward:
    whole = writing(killer.world, "up")[1]
    return Onward({"up": armed(killer.world, whole)})


@pytest.mark.parametrize("when", WHEN)
def test_the_next_up_goes_on_where_a_killed_one_ended(
    killer: Killer, onward: Onward, when: str
) -> None:
    tried = survived(
        lambda at: killer.run("up", at=at, of="writes", when=when),
        lambda: killer.world.use(RICH),
        onward,
    )
    assert tried >= POINTS["rich"]
