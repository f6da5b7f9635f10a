"""What each region records by itself, heard in every region that is asked for."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from watch_world import ADDRESS, DISCORD, ENABLED, PLACE, World, world_of

from ctwatch.sandbox.server import Sandbox

CONFIG: dict[str, Any] = {
    "regions": "all",
    "topic": {"emails": [ADDRESS]},
    "channels": DISCORD,
    "alerts": {"language": "en"},
    "rules": [
        {"name": "ct-detect", "detection": "trail-tampering"},
        {"name": "root", "detection": "root-activity"},
    ],
}


@pytest.fixture(scope="module")
def world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("regions")) as world:
        world.use(CONFIG)
        up = world.run("up")
        assert up.code == 0, up.text
        world.click()
        yield world


def signed_as_root(region: str, number: str) -> dict[str, Any]:
    """A call of root's, as CloudTrail records it in that region."""
    identity = {"type": "Root", "arn": f"arn:aws:iam::{PLACE.account}:root"}
    detail = {
        "eventID": number,
        "eventName": "CreateKeyPair",
        "eventSource": "ec2.amazonaws.com",
        "eventTime": "2026-11-25T00:00:00Z",
        "eventType": "AwsApiCall",
        "awsRegion": region,
        "userIdentity": identity,
        "recipientAccountId": PLACE.account,
        "readOnly": False,
    }
    return {
        "version": "0",
        "id": number,
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ec2",
        "account": PLACE.account,
        "time": "2026-11-25T00:00:00Z",
        "region": region,
        "resources": [],
        "detail": detail,
    }


def told(world: World, region: str) -> int:
    """How many times Discord was told of a call in that region."""
    number = f"a-call-in-{region}"
    world.sandbox._delivery.deliver(signed_as_root(region, number), region)
    world.settle()
    return sum(number in json.dumps(one.payload) for one in world.sandbox.inbox.posts)


def test_a_call_in_any_region_of_the_account_arrives_once(world: World) -> None:
    regions = {one.place.region for one in world.open().watch.away}
    assert len(regions) == len(ENABLED) - 1
    assert PLACE.region not in regions
    for region in (PLACE.region, "us-east-1", "eu-west-1", "sa-east-1"):
        assert told(world, region) == 1, region
    assert told(world, "me-south-1") == 0  # not enabled, so nobody listens there


def test_status_looks_in_every_region_and_up_mends_there(world: World) -> None:
    assert world.run("status").out.split()[0] == "ARMED"
    far = world.client("events", "sa-east-1")
    far.disable_rule(Name="root")
    status = world.run("status")
    assert (status.code, status.out.split()[0]) == (3, "DEAF")
    assert "rule root in sa-east-1: state" in status.out
    up = world.run("up")
    assert "~ repaired rule root in sa-east-1: state" in up.err
    assert world.run("status").code == 0


def test_the_role_that_hands_on_is_one_for_all_and_may_nothing_else(world: World) -> None:
    watch = world.open().watch
    [forwarder] = {one.forwarder for one in watch.away if one.forwarder}
    [statement] = forwarder.policy["Statement"]
    bus = f"arn:aws:events:{PLACE.region}:{PLACE.account}:event-bus/default"
    assert (statement["Action"], statement["Resource"]) == (["events:PutEvents"], bus)
    [trust] = forwarder.trust["Statement"]
    rule = f"arn:aws:events:*:{PLACE.account}:rule/root"
    assert trust["Condition"] == {"ArnEquals": {"aws:SourceArn": [rule]}}


def test_down_leaves_nothing_in_any_region(world: World) -> None:
    down = world.run("down", "--yes", "--delete-logs")
    assert down.code == 0
    assert world.sandbox.listing() == []
