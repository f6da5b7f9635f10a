"""One fault at a write of `down` or a drill, or a look of `status`, where AWS is slow to agree."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty import ONCE, Faults, faulty_world, struck
from killed import is_write
from killing import again
from test_killed_drills import trails
from watch_world import PLAIN, World

pytestmark = pytest.mark.exhaustive

AT_LEAST = {"down": 30, "probe": 4, "canary": 8, "trail": 4, "status": 45}
"""Faults that are tried; AWS shows sooner or later what is there."""
DOWN = ("down", "--yes", "--delete-logs")
DRILLS = {
    "probe": ("simulate", "stop-logging"),
    "canary": ("simulate", "stop-logging", "--on", "canary"),
    "trail": ("simulate", "stop-logging", "--on", "trail", "--yes"),
}


def stand(world: World, wire: Faults) -> None:
    """A watch that is up, confirmed, and known to everybody."""
    world.use(PLAIN)
    wire.begin()
    assert world.run("up").code == 0
    world.click()
    world.settle()


def singles(calls: list[str], *kinds: str) -> Iterator[tuple[str, int, str]]:
    """At each call these, or else one of those that come before anything is done, by turns."""
    others = [one for one in ONCE if one != "lost"]
    for place, call in enumerate(calls):
        number = calls[:place].count(call)
        if number > 2:
            continue  # it is made until what it needs is seen
        for kind in kinds or (others[place % len(others)],):
            yield call, number, kind


def test_down_leaves_nothing(tmp_path: Path) -> None:
    """What is lost was done, and is late to be seen; all else is as where AWS is quick."""
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        prepare = again(world, lambda: stand(world, wire))
        prepare()
        wire.begin()
        assert world.run(*DOWN).code == 0
        tried = 0
        writes = [*filter(is_write, wire.calls)]
        for call, number, kind in [*singles(writes, "lost"), *singles(writes)]:
            prepare()
            wire.begin(struck(call, number, ONCE[kind]))
            ran = world.run(*DOWN)
            assert (ran.code, world.sandbox.listing()) == (0, []), (call, number, kind, ran.text)
            tried += len(wire.met)
    assert tried >= AT_LEAST["down"], tried


@pytest.mark.parametrize("on", DRILLS)
def test_a_drill_proves_the_same(tmp_path: Path, on: str) -> None:
    tried = 0
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        prepare = again(world, lambda: stand(world, wire))
        prepare()
        before = trails(world)
        wire.begin()
        ran = world.run(*DRILLS[on])
        assert ran.code == 0, ran.text
        for call, number, kind in singles([*filter(is_write, wire.calls)], "lost", "throttled"):
            prepare()
            wire.begin(struck(call, number, ONCE[kind]))
            ran = world.run(*DRILLS[on])
            assert ran.code == 0, (call, number, kind, ran.text)
            world.settle()
            assert trails(world) == before, (call, number, kind)
            tried += len(wire.met)
    assert tried >= AT_LEAST[on], tried


def test_status_says_the_same(tmp_path: Path) -> None:
    tried = 0
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        stand(world, wire)
        wire.begin()
        assert world.run("status").code == 0
        for call, number, kind in singles(wire.calls):
            wire.begin(struck(call, number, ONCE[kind]))
            ran = world.run("status")
            assert ran.code == 0, (call, number, kind, ran.text)
            tried += len(wire.met)
    assert tried >= AT_LEAST["status"], tried
