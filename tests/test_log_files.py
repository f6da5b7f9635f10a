"""A log file is deleted: the bucket itself says so, and the alert arrives.

One watch for the whole file; what a test breaks, it mends.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sabotage import (
    DEAF,
    Ground,
    Table,
    leaves,
    line,
    rearmed,
    shows_means_and_mends,
)
from watch_world import PLACE, PLAIN, World, planned, world_of

from ctwatch.engine import build, inspect
from ctwatch.sandbox.server import Sandbox

WATCHED = {
    **PLAIN,
    "rules": [
        {"name": "on-the-trail", "detection": "trail-tampering"},
        {"name": "on-the-files", "detection": "log-object-deletion"},
    ],
}
BUCKET = planned(WATCHED).bucket
KEY = f"AWSLogs/{PLACE.account}/CloudTrail/{PLACE.region}/2026/11/25/a.json.gz"


@pytest.fixture(scope="module")
def world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("watch")) as world:
        world.use(WATCHED)
        assert world.run("up").code == 0
        world.click()
        yield world


@pytest.fixture
def quiet(world: World) -> World:
    """The same, with nothing under way and nothing arrived."""
    world.settle()
    world.sandbox.inbox.reset()
    return world


def put(world: World, key: str = KEY) -> str:
    stored = world.client("s3").put_object(Bucket=BUCKET.name, Key=key, Body=b"log")
    return str(stored["VersionId"])


def told(world: World) -> list[dict[str, Any]]:
    """The events that came by mail, whole."""
    world.settle()
    return [json.loads(one.text.split("\n\n--")[0]) for one in _alerts(world)]


def _alerts(world: World) -> list[Any]:
    return [one for one in world.sandbox.inbox.mails if '"Object Deleted"' in one.text]


def posted(world: World) -> list[str]:
    world.settle()
    return [json.dumps(one.payload, ensure_ascii=False) for one in world.sandbox.inbox.posts]


def delete_one(world: World) -> None:
    world.client("s3").delete_object(Bucket=BUCKET.name, Key=KEY)


def delete_several(world: World) -> None:
    doomed = {"Objects": [{"Key": KEY, "VersionId": put(world)}, {"Key": KEY}], "Quiet": True}
    world.client("s3").delete_objects(Bucket=BUCKET.name, Delete=doomed)


def notifications(world: World) -> dict[str, Any]:
    found = world.client("s3").get_bucket_notification_configuration(Bucket=BUCKET.name)
    return {key: value for key, value in found.items() if key != "ResponseMetadata"}


def test_a_deletion_arrives_on_every_channel_without_a_name_and_says_so(quiet: World) -> None:
    put(quiet)
    delete_one(quiet)
    [event] = told(quiet)
    assert event["source"] == "aws.s3"
    assert event["region"] == PLACE.region
    assert event["resources"] == [BUCKET.arn]
    detail = event["detail"]
    assert detail["object"]["key"] == KEY
    assert (detail["reason"], detail["requester"]) == ("DeleteObject", PLACE.account)
    assert detail["deletion-type"] == "Delete Marker Created"
    [message] = posted(quiet)
    assert "Log file deletion" in message
    assert "requester's account alone" in message
    assert event["id"] in message


def test_versions_deleted_in_one_call_are_told_one_by_one_and_as_gone_for_good(
    quiet: World,
) -> None:
    delete_several(quiet)
    kinds = sorted(one["detail"]["deletion-type"] for one in told(quiet))
    assert kinds == ["Delete Marker Created", "Permanently Deleted"]
    gone = [one for one in posted(quiet) if "gone for good" in one]
    assert len(gone) == 1
    assert "critical" in gone[0]


def test_a_log_file_that_expires_is_nobody_s_deletion(quiet: World) -> None:
    put(quiet)
    quiet.sandbox.expire(BUCKET.name, KEY)
    assert told(quiet) == []
    assert any("S3 tells EventBridge" in hop.text for hop in quiet.sandbox.story)


def test_the_same_event_twice_is_one_message(quiet: World) -> None:
    delete_one(quiet)
    assert quiet.sandbox.idle()  # `settle` would end the container, and with it its memory
    [event] = [json.loads(one.text.split("\n\n--")[0]) for one in _alerts(quiet)]
    quiet.sandbox._delivery.deliver(event, PLACE.region)
    assert quiet.sandbox.idle()
    assert [one["id"] for one in told(quiet)] == [event["id"]] * 2
    assert len(posted(quiet)) == 1


def test_a_deletion_is_told_while_no_trail_records(quiet: World) -> None:
    trail = quiet.open().watch.trail
    quiet.client("cloudtrail").stop_logging(Name=trail.name)
    delete_one(quiet)
    assert len(told(quiet)) == 1
    rules = json.loads(quiet.run("status", "--json").out)["rules"]
    assert rules == {"on-the-trail": "BLIND", "on-the-files": "DEGRADED"}
    quiet.client("cloudtrail").start_logging(Name=trail.name)


def turn_off(ground: Any) -> None:
    off: dict[str, Any] = {"Bucket": BUCKET.name, "NotificationConfiguration": {}}
    ground.s3.put_bucket_notification_configuration(**off)


def a_deletion(ground: Any) -> tuple[bool, bool]:
    """Delete a log file; whether mail and webhook told of it."""
    delete_one(ground.world)
    return bool(told(ground.world)), bool(posted(ground.world))


SABOTAGE = Table(
    config=WATCHED,
    parts=lambda watch: {"bucket": watch.bucket},
    lines=[line("bucket", "eventbridge", turn_off, DEAF)],
    on_the_way=frozenset(),
    hops={"bucket": "trail"},
    strike=a_deletion,
)


@pytest.fixture
def ground(quiet: World) -> Ground:
    here = quiet.open()
    parts = SABOTAGE.parts(here.watch)
    return rearmed(Ground(world=quiet, watch=here.watch, aws=here.aws, parts=parts))


def test_what_the_bucket_promises_besides_shows_means_and_mends(ground: Ground) -> None:
    assert SABOTAGE.untold("bucket") == set(leaves(planned(PLAIN).bucket.wanted))
    [only] = SABOTAGE.lines
    shows_means_and_mends(only, SABOTAGE, ground)


def test_with_the_notification_off_nothing_arrives_and_up_turns_it_on(ground: Ground) -> None:
    quiet = ground.world
    turn_off(ground)
    delete_one(quiet)
    assert told(quiet) == []
    status = quiet.run("status", "--json")
    assert json.loads(status.out)["rules"] == {"on-the-trail": "DEGRADED", "on-the-files": "DEAF"}
    assert f"{BUCKET.title}: eventbridge: off, nobody would be told" in status.out
    up = quiet.run("up")
    assert f"~ repaired {BUCKET.title}: eventbridge" in up.err
    assert quiet.run("status").out.startswith("ARMED")
    delete_one(quiet)
    assert len(told(quiet)) == 1


def test_a_stranger_s_notifications_are_kept_and_are_no_drift(quiet: World) -> None:
    queue = {"QueueArn": PLACE.arn("sqs", "siem"), "Events": ["s3:ObjectCreated:*"], "Id": "siem"}
    theirs = {"QueueConfigurations": [queue]}
    s3, here = quiet.client("s3"), quiet.open()
    s3.put_bucket_notification_configuration(Bucket=BUCKET.name, NotificationConfiguration=theirs)
    found = inspect([here.watch.bucket], here.aws)
    assert [one.path for one in found[0].differences] == ["eventbridge"]
    assert not [step.error for step in build(found, here.aws) if step.error]
    assert notifications(quiet) == {**theirs, "EventBridgeConfiguration": {}}
    assert inspect([here.watch.bucket], here.aws)[0].settled


def test_without_such_a_rule_the_bucket_is_asked_and_told_nothing_of_it(quiet: World) -> None:
    calls = [one.operation for one in quiet.sandbox.calls]
    assert "PutBucketNotificationConfiguration" in calls
    plain = planned(PLAIN)
    assert "eventbridge" not in plain.bucket.wanted
    with quiet.sandbox.recording() as seen:
        plain.bucket.read(quiet.open().aws)
    assert not [one.operation for one in seen if "Notification" in one.operation]


def test_down_with_the_logs_says_so_and_raises_no_alert_of_its_own(quiet: World) -> None:
    """The last of the file: nothing is left."""
    kept = quiet.run("down", "--yes", "--wait", "0")
    assert "notifications are turned off" not in kept.err
    assert quiet.run("up").code == 0
    quiet.click()
    put(quiet)
    quiet.sandbox.inbox.reset()
    with quiet.sandbox.recording() as calls:
        down = quiet.run("down", "--yes", "--wait", "0", "--delete-logs")
    assert down.code == 0
    assert "The log bucket's own notifications are turned off first" in down.err
    writes = [one.operation for one in calls if one.service == "s3" and not _reads(one.operation)]
    assert writes[0] == "PutBucketNotificationConfiguration"
    assert "DeleteObjects" in writes
    assert told(quiet) == []
    assert quiet.sandbox.listing() == []


def _reads(operation: str) -> bool:
    return operation.startswith(("Get", "Head", "List"))
