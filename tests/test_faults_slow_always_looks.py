"""What only looks, and drills, where AWS is slow to agree: each operation fails, by turns.

The kinds are those of `test_faults_always`, one for each operation of each command.
"""

from pathlib import Path

import pytest
from faulty import ALWAYS, always, faulty_world
from killing import again
from test_faults_always import ONLY_WARNED, spoke
from test_faults_always_drills import HARMLESS, made
from test_faults_slow_always import by_turns, struck
from test_faults_slow_later import DRILLS, stand
from test_killed_drills import trails
from watch_world import World

pytestmark = pytest.mark.exhaustive

TRIED = {"status": 36, "plan": 37, "probe": 40, "canary": 43, "trail": 41}
"""Operations that fail always."""
SURVIVED = {"status": 0, "plan": 1, "probe": 35, "canary": 34, "trail": 30}
"""Of these, those of which the failure did no harm; a drill proves it all the same."""


@pytest.mark.parametrize("command", ["status", "plan"])
def test_what_only_looks(tmp_path: Path, command: str) -> None:
    tried, survived = 0, 0
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        stand(world, wire)
        for place, call in enumerate(sorted(made(world, wire, (command,)))):
            [kind] = by_turns(place, call)
            ran = struck(world, wire, always(call, ALWAYS[kind]), command)
            told, said = spoke(ran, call, kind), (call, kind, ran.text)
            warned = command == "plan" and call in ONLY_WARNED
            assert (ran.code in {1, 3}) is (told and not warned), said
            tried += 1
            survived += ran.code == 0
        wire.begin()
        assert world.run(command).code == 0
    assert (tried, survived) == (TRIED[command], SURVIVED[command])


@pytest.mark.parametrize("on", DRILLS)
def test_a_drill(tmp_path: Path, on: str) -> None:
    tried, survived = 0, 0
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        prepare = again(world, lambda: stand(world, wire))
        prepare()
        before = trails(world)
        for place, call in enumerate(sorted(made(world, wire, DRILLS[on]))):
            [kind] = by_turns(place, call)
            prepare()
            ran = struck(world, wire, always(call, ALWAYS[kind]), *DRILLS[on])
            told, said = spoke(ran, call, kind), (call, kind, ran.text)
            assert told or (ran.code == 0 and kind in HARMLESS), said
            assert ran.code in {0, 1, 3}, said
            tried += 1
            survived += ran.code == 0
            if on != "probe":
                wire.begin()
                _whole_again(world, before, said)
    assert (tried, survived) == (TRIED[on], SURVIVED[on])


def _whole_again(world: World, before: object, said: object) -> None:
    """What the drill could not mend itself is mended by the next that may."""
    world.settle()
    ran = world.run("simulate", "--heal")
    assert ran.code == 0, (said, ran.text)
    world.settle()
    assert trails(world) == before, said
