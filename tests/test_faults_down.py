"""One fault at any single call of `down`: it ends as ever, and nothing is left."""

import io
from pathlib import Path

import pytest
from faulty import ONCE, Faults, faulty_world, singles, struck
from killed import is_write
from killing import again
from watch_world import PLAIN, World

pytestmark = pytest.mark.exhaustive

AT_LEAST = 180
"""Faults that are tried; what is looked at until it shows is looked at once more or less."""
DOWN = ("down", "--yes", "--delete-logs", "--wait", "3")


def stand(world: World, wire: Faults) -> None:
    world.use(PLAIN)
    wire.begin()
    assert world.run("up").code == 0


def test_down_leaves_nothing_whatever_befalls_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the question whether it may, a watch that stands is looked at again and again."""
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody answers the question
    with faulty_world(tmp_path) as (world, wire):
        prepare = again(world, lambda: stand(world, wire))
        prepare()
        wire.begin()
        asked = world.run("down", "--delete-logs")
        before = list(wire.calls)
        assert not any(map(is_write, before))
        wire.begin()
        assert world.run(*DOWN).code == 0
        whole = list(wire.calls)
        prepare()
        tried = 0
        for call, number, kind in singles(whole, whole=is_write, spread=True):
            early = number < before.count(call)
            if not world.sandbox.listing():
                prepare()
            wire.begin(struck(call, number, ONCE[kind]))
            ran = world.run(*(("down", "--delete-logs") if early else DOWN))
            if not wire.met and not is_write(call):
                continue  # it asks for what is heard of the trail's deletion until that has come
            told = (call, number, kind, ran.text)
            assert wire.met == [call], told
            if early:
                assert (ran.code, ran.out) == (asked.code, asked.out), told
                assert "Warning" not in ran.err, told
            else:
                assert (ran.code, world.sandbox.listing()) == (0, []), told
            tried += 1
        assert tried >= AT_LEAST, tried
