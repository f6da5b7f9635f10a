"""`status --watch` and `status --json`: what is shown again and again, and by which keys."""

import io
import json
import os
import pty
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from terminal import _all, _screen
from watch_world import WEBHOOK_ONLY, World, world_of

from ctwatch.cli import main
from ctwatch.sandbox.server import Sandbox

RULE = "eventbridge-ct-detect"
README = Path(__file__).parent.parent / "README.md"
Act = Callable[[], Any]


@pytest.fixture(scope="module")
def world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("watch")) as world:
        world.use(WEBHOOK_ONLY)
        assert world.run("up").code == 0
        yield world


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> list[Act]:
    """What happens in each pause between two looks; after the last of them, Ctrl-C."""
    waiting: list[Act] = []
    slept: list[float] = []

    def sleep(_: Any, seconds: float) -> None:
        slept.append(seconds)
        if not waiting:
            raise KeyboardInterrupt
        waiting.pop(0)()

    monkeypatch.setattr("ctwatch.clock.Clock.sleep", sleep)
    return waiting


def nothing() -> None:
    """Nothing happens."""


def verdicts(text: str) -> list[str]:
    return re.findall(r"UTC, every \S+ s (\w+)", text)


def test_a_block_is_printed_when_the_verdict_or_a_hop_changes(
    world: World, acts: list[Act]
) -> None:
    events = world.client("events")
    acts += [nothing, lambda: events.disable_rule(Name=RULE), nothing]
    acts += [lambda: events.enable_rule(Name=RULE)]
    ran = world.run("status", "--watch", "--interval", "30")
    assert verdicts(ran.out) == ["ARMED", "DEAF", "ARMED"]
    assert (ran.code, ran.err) == (0, "")
    assert "UTC, every 30 s" in ran.out


def test_the_exit_code_is_the_last_verdicts(world: World, acts: list[Act]) -> None:
    events = world.client("events")
    acts += [lambda: events.disable_rule(Name=RULE)]
    ran = world.run("status", "--watch")
    events.enable_rule(Name=RULE)
    assert (verdicts(ran.out), ran.code) == (["ARMED", "DEAF"], 3)
    assert "every 10 s" in ran.out


@pytest.mark.usefixtures("acts")
def test_a_look_that_is_interrupted_before_any_verdict_is_an_interruption(world: World) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    here = world.open()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ctwatch.opening.opened", lambda _, **__: here)  # who we are was asked before
        world.refuse = interrupt
        ran = world.run("status", "--watch")
    world.refuse = lambda *_: None
    assert (ran.code, ran.out) == (130, "")


def test_a_network_that_fails_is_said_and_tried_again(world: World, acts: list[Act]) -> None:
    def cut(*_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://events.example")

    def mend() -> None:
        world.refuse = lambda *_: None

    acts += [lambda: setattr(world, "refuse", cut), mend]
    ran = world.run("status", "--watch")
    assert (verdicts(ran.out), ran.code) == (["ARMED", "UNKNOWN", "ARMED"], 0)
    assert "events.example" in ran.out


def test_as_json_every_look_is_a_line(world: World, acts: list[Act]) -> None:
    acts += [nothing, lambda: world.client("events").disable_rule(Name=RULE)]
    ran = world.run("status", "--watch", "--json")
    world.client("events").enable_rule(Name=RULE)
    told = [json.loads(one) for one in ran.out.replace("} {", "}\n{").splitlines()]
    assert [one["verdict"] for one in told] == ["ARMED", "ARMED", "DEAF"]
    assert {tuple(one) for one in told} == {("verdict", "meaning", "at", "rules", "hops", "proofs")}
    assert ran.code == 3


def test_a_terminal_shows_the_newest_in_the_place_of_the_old(
    world: World, acts: list[Act], monkeypatch: pytest.MonkeyPatch
) -> None:
    acts += [nothing, lambda: world.client("events").disable_rule(Name=RULE)]
    ours, theirs = pty.openpty()
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("LINES", "50")
    monkeypatch.setenv("TERM", "xterm")
    with ThreadPoolExecutor(1) as pool, redirect_stderr(io.StringIO()):
        read = pool.submit(_all, ours)
        with os.fdopen(theirs, "w", encoding="utf-8") as out, redirect_stdout(out):
            code = main(["status", "--watch", "--config", str(world.config)])
        shown = _screen(read.result().decode())
    os.close(ours)
    world.client("events").enable_rule(Name=RULE)
    assert code == 3
    assert re.fullmatch(r"[-0-9]+ [:0-9]+ UTC, every 10 s", shown[0])
    assert shown[1].startswith("DEAF")
    assert [line for line in shown[2:] if "UTC" in line or "ARMED" in line] == []


@pytest.mark.parametrize("interval", ["0", "-1", "soon"])
def test_an_interval_that_is_none_is_refused(interval: str, world: World) -> None:
    ran = world.run("status", "--watch", "--interval", interval)
    assert ran.code == 2
    assert "--interval" in ran.err


def test_the_readme_names_every_key_of_the_json(world: World) -> None:
    world.client("events").disable_rule(Name=RULE)
    document = json.loads(world.run("status", "--json").out)
    world.client("events").enable_rule(Name=RULE)
    hop = next(hop for hop in document["hops"] if hop["faults"])
    keys = {*document, *hop, *hop["faults"][0], "technique", "proven", "seconds"}
    section = README.read_text("utf-8").partition("| key | holds |")[2].partition("###")[0]
    assert keys <= set(re.findall(r"`([a-z]+)`", section))
    flows = {hop["flow"] for hop in document["hops"]}
    assert flows <= set(re.findall(r"`([a-z ]+)`", section))
