"""Whatever the seed draws, on each route and option: ctwatch does not mind that AWS is slow."""

import pytest
from slow_world import DRILLS, slow_world, story
from watch_world import CONFIGS

pytestmark = pytest.mark.exhaustive

SEEDS = [("plain", seed) for seed in range(2, 4)]
OTHERS = [(name, 1) for name in CONFIGS if name != "elsewhere"]


@pytest.mark.parametrize(("config", "seed"), [*SEEDS, *OTHERS])
def test_the_whole_story(tmp_path, config, seed):
    with slow_world(tmp_path, seed) as world:
        world.use(CONFIGS[config])
        story(world, *DRILLS)


def test_the_story_of_rules_that_are_elsewhere(tmp_path):
    with slow_world(tmp_path, 1) as world:
        world.use(CONFIGS["elsewhere"])
        story(world, ("all",))
