"""AWS does not know at once what it has said yes to, and ctwatch does not mind."""

import re
from pathlib import Path

import pytest
from slow_world import FarClock, SlowWorld, lasting, slow_world
from test_like_aws_seeds import OTHERS, SEEDS
from watch_world import PLAIN, WEBHOOK_ONLY

from ctwatch.sandbox.slowness import PENDING, ROLE


@pytest.fixture
def world(tmp_path):
    with slow_world(tmp_path) as made:
        yield made


def test_a_watch_comes_and_is_proven_and_goes_on_an_aws_that_is_slow_to_agree(world: SlowWorld):
    world.use(PLAIN)
    began = world.sandbox.clock.monotonic()
    assert world.run("up").code == 0
    world.click()
    world.settle()
    with world.sandbox.recording() as seen:
        again = world.run("up")
    assert (again.code, [one.operation for one in seen if one.writes]) == (0, [])
    assert world.run("simulate", "stop-logging").code == 0
    assert world.run("down", "--yes", "--delete-logs").code == 0
    assert world.sandbox.listing() == []
    assert world.sandbox.clock.monotonic() - began > 120


def test_another_process_can_go_by_the_same_clock(world: SlowWorld):
    clock, far = world.sandbox.clock, FarClock(world.sandbox.url)
    far.sleep(500)
    assert 500 <= far.monotonic() <= clock.monotonic()
    assert far.now().timestamp() == pytest.approx(clock.now().timestamp(), abs=20)


def test_what_is_logged_is_found_however_far_the_clock_has_leapt(world: SlowWorld):
    """CloudWatch Logs takes nothing of more than two hours ahead of its own clock."""
    logs, clock = world.client("logs"), world.sandbox.clock
    clock.sleep(3 * 60 * 60)
    stream = {"logGroupName": "/aws/lambda/any", "logStreamName": "one"}
    logs.create_log_group(logGroupName=stream["logGroupName"])
    logs.create_log_stream(**stream)
    line = {"timestamp": int(clock.now().timestamp() * 1000), "message": "told"}
    assert "rejectedLogEventsInfo" not in logs.put_log_events(**stream, logEvents=[line])
    found = logs.filter_log_events(logGroupName=stream["logGroupName"])["events"]
    assert [one["message"] for one in found] == ["told"]


@pytest.mark.exhaustive
def test_an_event_that_comes_twice_alerts_once(world: SlowWorld):
    world.use(WEBHOOK_ONLY)
    assert world.run("up").code == 0
    world.settle()
    world.sandbox.slowness.twice = 1
    before = len(world.sandbox.inbox.posts)
    assert world.run("simulate", "stop-logging").code == 0
    world.settle()
    assert len(world.sandbox.inbox.posts) == before + 1
    shown = world.run("alerts", "--json")
    assert "duplicate" in shown.out


@pytest.mark.exhaustive
def test_an_event_that_never_comes_is_not_proven(world: SlowWorld):
    world.use(WEBHOOK_ONLY)
    assert world.run("up").code == 0
    world.settle()
    world.sandbox.slowness.never = 1
    ran = world.run("simulate", "stop-logging")
    assert (ran.code, "not proven" in ran.text) == (3, True)


@pytest.mark.exhaustive
def test_each_delay_is_told_in_the_story(world: SlowWorld, monkeypatch):
    world.use(PLAIN)
    for lag in (ROLE, PENDING):
        lasting(monkeypatch, lag)
    assert world.run("up").code == 0
    told = [hop.text for hop in world.sandbox.story if hop.stage == "delay"]
    assert any(re.fullmatch(r"role not assumable yet: \d+ s", one) for one in told)
    assert any(re.fullmatch(r"function pending: \d+ s", one) for one in told)
    assert any(re.fullmatch(r"on its way to EventBridge: \d+ s", one) for one in told)


def test_the_readme_tells_how_many_stories_were_tried():
    tried = len(SEEDS) + len(OTHERS) + 1  # and that of the rules elsewhere
    readme = Path(__file__).parent.parent / "README.md"
    assert f"with each option | {tried} | {tried} | 0 | 0 |" in readme.read_text("utf-8")
