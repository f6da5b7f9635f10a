"""One fault at any single call of `status` and of a drill: what they say is what it would be."""

from pathlib import Path

import pytest
from faulty import ONCE, Faults, faulty_world, singles, struck
from killed import is_write
from killing import again
from test_killed_drills import trails
from watch_world import PLAIN, World

pytestmark = pytest.mark.exhaustive

TRIED = {"status": 350}
"""Faults that are tried."""
AT_LEAST = {"probe": 85, "canary": 112, "trail": 205}
"""The same of a drill, whose alert comes sooner or later."""
DRILLS = {
    "probe": (("simulate", "stop-logging"),),
    "canary": (("simulate", "stop-logging", "--on", "canary"),),
    "trail": tuple(
        ("simulate", name, "--on", "trail", "--yes") for name in ("stop-logging", "delete-trail")
    ),
}


def stand(world: World, wire: Faults) -> None:
    world.use(PLAIN)
    wire.begin()
    assert world.run("up").code == 0
    world.click()


def test_status_says_the_same_whatever_befalls_one_call(tmp_path: Path) -> None:
    with faulty_world(tmp_path) as (world, wire):
        stand(world, wire)
        wire.begin()
        assert world.run("status").code == 0
        tried = 0
        for call, number, kind in singles(wire.calls, whole=lambda _: True):
            wire.begin(struck(call, number, ONCE[kind]))
            ran = world.run("status")
            assert (ran.code, wire.met) == (0, [call]), (call, number, kind, ran.text)
            tried += 1
    assert tried == TRIED["status"]


@pytest.mark.parametrize("on", DRILLS)
def test_a_drill_proves_the_same_whatever_befalls_one_call(tmp_path: Path, on: str) -> None:
    tried = 0
    with faulty_world(tmp_path) as (world, wire):
        for drill in DRILLS[on]:
            tried += _drilled(world, wire, drill)
    assert tried >= AT_LEAST[on], tried


def _drilled(world: World, wire: Faults, drill: tuple[str, ...]) -> int:
    prepare = again(world, lambda: stand(world, wire))
    prepare()
    before = trails(world)
    wire.begin()
    ran = world.run(*drill)
    assert ran.code == 0, ran.text
    own = {"sqs:ReceiveMessage", "logs:FilterLogEvents"}
    calls = singles(wire.calls, whole=lambda one: is_write(one) or one in own)
    tried = 0
    for call, number, kind in calls:
        if tried % 20 == 19:
            prepare()  # the receipts of all drills before would have to be read
        wire.begin(struck(call, number, ONCE[kind]))
        ran = world.run(*drill)
        if not wire.met and not is_write(call):
            continue  # this time the proof has come sooner
        assert (ran.code, wire.met) == (0, [call]), (call, number, kind, ran.text)
        assert trails(world) == before, (call, number, kind)
        tried += 1
    wire.begin()
    assert world.run("status").code == 0
    return tried
