"""Every operation in turn is throttled five times: what goes by it is slow, and ends as ever."""

import io
from pathlib import Path

import pytest
from faulty import Faults, Plan, faulty_world, throttled
from keeping import kept
from killed import is_write
from killing import again
from test_faults_always import stand
from test_faults_always_down import DOWN
from test_faults_always_drills import made
from watch_world import PLAIN, World

pytestmark = pytest.mark.exhaustive

TRIED = {"up": 55, "status": 36, "simulate": 43, "down": 62}
"""Operations that are throttled."""
DRILLS = (
    ("simulate", "stop-logging"),
    ("simulate", "stop-logging", "--on", "canary"),
    ("simulate", "stop-logging", "--on", "trail", "--yes"),
)


def five_times(call: str) -> Plan:
    return lambda seen, _, attempt: throttled if seen == call and attempt <= 5 else None


def test_up(tmp_path: Path) -> None:
    with faulty_world(tmp_path) as (world, wire):
        calls, standing, tried = stand(world, wire), kept(world), 0
        for call in calls:
            if is_write(call):
                world.use(PLAIN)
            else:
                standing.put_back()
            wire.begin(five_times(call))
            ran = world.run("up")
            assert (ran.code, bool(wire.met)) == (0, True), (call, ran.text)
            tried += 1
        assert tried == TRIED["up"]


def test_status(tmp_path: Path) -> None:
    with faulty_world(tmp_path) as (world, wire):
        stand(world, wire)
        wire.begin()
        assert world.run("status").code == 0
        tried = 0
        for call in sorted(set(wire.calls)):
            wire.begin(five_times(call))
            ran = world.run("status")
            assert (ran.code, bool(wire.met)) == (0, True), (call, ran.text)
            tried += 1
        assert tried == TRIED["status"]


def test_a_drill(tmp_path: Path) -> None:
    """A probe has its turn at what it calls, another drill at what only that calls."""
    with faulty_world(tmp_path) as (world, wire):
        known, tried, prepare = set[str](), 0, again(world, lambda: stand(world, wire))
        prepare()
        for drill in DRILLS:
            calls = made(world, wire, drill)
            for call in sorted(calls - known):
                wire.begin(five_times(call))
                ran = world.run(*drill)
                assert (ran.code, bool(wire.met)) == (0, True), (call, ran.text)
                tried += 1
            known |= calls
            prepare()
        assert tried == TRIED["simulate"]


def test_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the question whether it may, a watch that stands is looked at again and again."""
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody answers the question
    with faulty_world(tmp_path) as (world, wire):
        prepare = again(world, lambda: stand(world, wire))
        prepare()
        wire.begin()
        asked = world.run("down", "--delete-logs")
        before = set(wire.calls)
        wire.begin()
        assert world.run(*DOWN).code == 0
        whole = sorted(set(wire.calls), key=lambda call: (call not in before, call))
        for call in whole:
            if not world.sandbox.listing():
                prepare()
            _down(world, wire, call, asked.err if call in before else "")
        assert len(whole) == TRIED["down"]


def _down(world: World, wire: Faults, call: str, question: str) -> None:
    wire.begin(five_times(call))
    ran = world.run(*(("down", "--delete-logs") if question else DOWN))
    assert wire.met, call
    if question:
        assert ran.err == question, (call, ran.text)
    else:
        assert (ran.code, world.sandbox.listing()) == (0, []), (call, ran.text)
