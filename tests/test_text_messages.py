"""Whoever gets text messages: what keeps them from it, what `status` says, and what mends it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from watch_world import ADDRESS, World, world_of

from ctwatch.sandbox.server import Sandbox

NUMBER = "+821012345678"
NAMED = f"subscription {NUMBER}"
ALONE: dict[str, Any] = {"topic": {"sms": [NUMBER]}, "channels": []}
BESIDE: dict[str, Any] = {"topic": {"sms": [NUMBER], "emails": [ADDRESS]}, "channels": []}


@pytest.fixture(scope="module")
def module_world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A watch that tells nobody but by a text message."""
    with world_of(running, tmp_path_factory.mktemp("watch")) as world:
        world.use(ALONE)
        assert world.run("up").code == 0
        yield world


@pytest.fixture
def world(module_world: World) -> World:
    """It is mended by each test before."""
    module_world.refuse = lambda *_: None
    return module_world


def subscription(world: World) -> str:
    topic = world.open().watch.topic.arn
    listed = world.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return next(one["SubscriptionArn"] for one in listed if one["Protocol"] == "sms")


def diagnosed(world: World) -> tuple[str, str, list[tuple[str, str]]]:
    """The verdict, what passes the number's hop, and its faults with what mends each."""
    told = json.loads(world.run("status", "--json").out)
    [hop] = [one for one in told["hops"] if one["hop"] == NUMBER]
    return told["verdict"], hop["flow"], [(one["path"], one["remedy"]) for one in hop["faults"]]


def texted(world: World, name: str) -> bool:
    cloudtrail = world.client("cloudtrail")
    with pytest.raises(cloudtrail.exceptions.TrailNotFoundException):
        cloudtrail.stop_logging(Name=name)
    world.settle()
    return any(name in one.text for one in world.sandbox.inbox.texts)


def test_a_number_is_told_without_being_asked(world: World) -> None:
    assert diagnosed(world) == ("ARMED", "ok", [])
    assert f"✓ {NUMBER} subscribed" in world.run("status").out
    assert texted(world, "ctwatch-probe-armed")


def test_a_number_that_is_subscribed_no_more_is_seen_and_subscribed_again(world: World) -> None:
    world.client("sns").unsubscribe(SubscriptionArn=subscription(world))
    assert diagnosed(world) == ("MUTE", "cut", [("", "ctwatch up")])
    assert f"{NAMED} does not exist → ctwatch up" in world.run("status").out
    assert not texted(world, "ctwatch-probe-gone")
    up = world.run("up")
    assert (up.code, f"+ created {NAMED}" in up.err) == (0, True)
    assert texted(world, "ctwatch-probe-again")


def test_a_filter_that_keeps_alerts_from_a_number_is_seen_and_taken_away(world: World) -> None:
    world.client("sns").set_subscription_attributes(
        SubscriptionArn=subscription(world),
        AttributeName="FilterPolicy",
        AttributeValue='{"severity": ["none"]}',
    )
    assert diagnosed(world) == ("MUTE", "cut", [("filter", "ctwatch up")])
    assert f"{NAMED}: filter: a filter keeps alerts back" in world.run("status").out
    assert not texted(world, "ctwatch-probe-filtered")
    up = world.run("up")
    assert (up.code, f"~ repaired {NAMED}: filter" in up.err) == (0, True)
    assert texted(world, "ctwatch-probe-unfiltered")


def test_a_number_that_answered_stop_is_seen_and_left_to_a_person(world: World) -> None:
    """The subscription looks as before; only SNS knows that nothing is sent."""
    world.sandbox.inbox.stop_texts(NUMBER)
    assert not texted(world, "ctwatch-probe-stopped")
    verdict, flow, [(path, remedy)] = diagnosed(world)
    assert (verdict, flow, path) == ("MUTE", "cut", "opted_in")
    assert "aws sns opt-in-phone-number --phone-number NUMBER" in remedy
    assert f"{NAMED}: opted_in: no, somebody has answered STOP" in world.run("status").out
    with world.sandbox.recording() as calls:
        up = world.run("up")
    assert (up.code, [one.operation for one in calls if one.writes]) == (3, [])
    assert f"! by hand {NAMED}" in world.run("plan").out
    world.client("sns").opt_in_phone_number(phoneNumber=NUMBER)
    assert diagnosed(world) == ("ARMED", "ok", [])
    assert texted(world, "ctwatch-probe-opted-in")


def test_beside_a_mail_a_number_that_is_lost_is_not_all_that_is_lost(world: World) -> None:
    world.config.write_text(json.dumps(BESIDE), encoding="utf-8")
    assert world.run("up").code == 0
    world.click()
    world.sandbox.inbox.stop_texts(NUMBER)
    verdict, flow, _ = diagnosed(world)
    assert (verdict, flow) == ("DEGRADED", "cut")
    assert not texted(world, "ctwatch-probe-beside")
    assert any("ctwatch-probe-beside" in one.text for one in world.sandbox.inbox.mails)
    world.client("sns").opt_in_phone_number(phoneNumber=NUMBER)
    assert diagnosed(world)[0] == "ARMED"


def test_whether_a_number_has_stopped_may_not_be_asked(world: World) -> None:
    """Denied is not "opted in": nobody knows whether the one channel tells anybody."""
    world.config.write_text(json.dumps(ALONE), encoding="utf-8")
    denied = ("AuthorizationError", "not authorized to perform this")
    world.refuse = lambda _, name, __: denied if name.startswith("CheckIfPhone") else None
    status = world.run("status", "--json")
    assert (status.code, json.loads(status.out)["verdict"]) == (1, "UNKNOWN")
    assert "CheckIfPhoneNumberIsOptedOut answered AuthorizationError" in status.out
