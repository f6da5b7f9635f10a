"""`down --delete-logs`: every version goes, a thousand at a time, and what must not go stays.

One sandbox for the file. Most tests need no more of the watch than its bucket.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.s3.models import s3_backends
from terminal import Terminal
from test_cli import COMMAND, environment
from watch_world import PLACE, PLAIN, World, answering, planned, world_of

from ctwatch.clock import Clock, LeapingClock
from ctwatch.emptying import DELETERS
from ctwatch.engine import build, inspect
from ctwatch.parallel import side_by_side
from ctwatch.render import Screen
from ctwatch.resources.bucket import Bucket
from ctwatch.sandbox.server import Sandbox

KMS = {**PLAIN, "trail": {"kms": "create"}}
BUCKET = planned(PLAIN).bucket.name
LOG = f"AWSLogs/{PLACE.account}/CloudTrail/{PLACE.region}/2026/11/25/{{}}.json.gz"
DOWN = ("down", "--delete-logs", "--yes", "--wait", "0")


@pytest.fixture(scope="module")
def account(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("watch")) as world:
        yield world


@pytest.fixture
def world(account: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The log bucket and nothing else, on a clock on which waits are short."""
    monkeypatch.setattr("ctwatch.aws.Clock", lambda: Clock(speed=1000))
    account.refuse = lambda *_: None
    account.use(PLAIN)
    built(account, "bucket")
    return account


def built(world: World, *kinds: str) -> None:
    here = world.open()
    wanted = [one for one in here.watch.resources if one.kind in kinds]
    steps = list(build(inspect(wanted, here.aws), here.aws))
    assert not [step.error for step in steps if step.error]


def fill(versions: int, first: int = 0) -> None:
    """Put so many log files, as many a second as moto takes."""
    s3 = s3_backends[PLACE.account]["aws"]
    for number in range(first, first + versions):
        s3.put_object(BUCKET, LOG.format(f"{number:07}"), b"log")


def left(world: World) -> int:
    pages = world.client("s3").get_paginator("list_object_versions").paginate(Bucket=BUCKET)
    return sum(len(one.get("Versions", [])) + len(one.get("DeleteMarkers", [])) for one in pages)


def batches(calls: list[Any]) -> list[int]:
    asked = [one.params["Delete"]["Objects"] for one in calls if one.operation == "DeleteObjects"]
    return [len(one) for one in asked]


def there(world: World) -> list[str]:
    return [line for line in world.sandbox.listing() if line.startswith("s3 ")]


# All of it goes


def test_thousands_of_versions_go_in_full_batches_of_which_several_are_under_way(
    world: World,
) -> None:
    fill(2300)
    for number in range(300):
        s3_backends[PLACE.account]["aws"].delete_object(BUCKET, LOG.format(f"{number:07}"))
    together = threading.Barrier(2)  # the first two calls each wait for the other
    asked = iter(range(2))

    def refuse(service: str, operation: str, _: Any) -> None:
        if operation == "DeleteObjects" and next(asked, None) is not None:
            together.wait(timeout=10)

    world.refuse = refuse
    with world.sandbox.recording() as calls:
        down = world.run(*DOWN)
    assert down.code == 0, down
    assert "deleted bucket" in down.err
    assert sorted(batches(calls)) == [600, 1000, 1000]
    assert world.sandbox.listing() == []


def test_divided_by_folders_every_version_is_listed_exactly_once(world: World) -> None:
    s3 = s3_backends[PLACE.account]["aws"]
    keys = [f"flat-{number:03}" for number in range(150)]
    keys += [f"z/{one:02}/{two}" for one in range(12) for two in range(20)]
    keys += [LOG.format(f"{number:04}") for number in range(1050)]
    keys += [LOG.format("0700")] * 300
    for key in keys:
        s3.put_object(BUCKET, key, b"log")
    with world.sandbox.recording() as calls:
        assert world.run(*DOWN).code == 0
    doomed = [one.params["Delete"]["Objects"] for one in calls if one.operation == "DeleteObjects"]
    asked = [(one["Key"], one["VersionId"]) for batch in doomed for one in batch]
    assert len(set(asked)) == len(asked) == len(keys)
    assert [one for one in calls if one.params.get("Delimiter")]
    assert there(world) == []


def test_the_listing_runs_no_further_ahead_than_can_be_kept_busy() -> None:
    taken, ended, most = 0, 0, 0

    def pages() -> Iterator[int]:
        nonlocal taken, most
        for number in range(200):
            taken += 1
            most = max(most, taken - ended)
            yield number

    for _ in side_by_side(pages(), lambda number: number, DELETERS):
        ended += 1
    assert ended == taken == 200
    assert most <= 2 * DELETERS + 1


def test_what_arrives_while_the_bucket_is_emptied_goes_too(world: World) -> None:
    """However long it took to delete what was there before."""
    fill(3)
    first, late, clock = iter(["long"]), iter([100]), world.open().aws.clock

    def refuse(_: str, operation: str, __: Any) -> None:
        if operation == "DeleteObjects" and next(first, None):
            clock.sleep(400)
        if operation == "DeleteBucket" and (number := next(late, None)):
            fill(1, first=number)

    world.refuse = refuse
    with world.sandbox.recording() as calls:
        assert world.run(*DOWN).code == 0
    assert batches(calls) == [3, 1]
    assert there(world) == []


def test_where_more_and_more_arrives_it_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctwatch.aws.Clock", LeapingClock)
    count = iter(range(10_000))

    def refuse(_: str, operation: str, __: Any) -> None:
        if operation == "DeleteBucket":
            fill(1, first=next(count))

    world.refuse = refuse
    down = world.run(*DOWN)
    assert down.code == 1
    assert "after 300 s there is still more arriving in it" in down.err
    assert "See who else writes there" in down.err
    assert f"Left: bucket {BUCKET}" in down.err
    assert next(count) > 3


def test_uploads_that_nobody_finished_are_ended(world: World) -> None:
    s3 = world.client("s3")
    for key in ("a", "b"):
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=b"part")
    with world.sandbox.recording() as calls:
        assert world.run(*DOWN).code == 0
    ended = [one.params["Key"] for one in calls if one.operation == "AbortMultipartUpload"]
    assert sorted(ended) == ["a", "b"]


def test_a_bucket_that_somebody_deletes_meanwhile_is_gone(world: World) -> None:
    def refuse(_: str, operation: str, __: Any) -> None:
        if operation == "ListObjectVersions":
            world.client("s3").delete_bucket(Bucket=BUCKET)
            world.refuse = lambda *_: None

    here = world.open()
    world.refuse = refuse
    assert list(here.watch.bucket.clearing(here.aws)) == []
    assert here.watch.bucket.contents(here.aws) is None
    assert world.run(*DOWN).code == 0


def test_interrupted_it_goes_on_when_called_again(world: World) -> None:
    fill(1100)
    asked = iter(range(1))

    def refuse(_: str, operation: str, __: Any) -> None:
        if operation == "DeleteObjects" and next(asked, None) is None:
            raise KeyboardInterrupt

    world.refuse = refuse
    stopped = world.run(*DOWN)
    assert stopped.code == 130
    world.refuse = lambda *_: None
    assert left(world) == 100
    assert world.run(*DOWN).code == 0
    assert there(world) == []


# What S3 says of single objects


def failing(world: World, code: str, times: int) -> Any:
    """Let S3 say of the first object of a batch, so many times, that it was not deleted."""
    remaining = iter(range(times))

    def change(parsed: Any) -> None:
        if next(remaining, None) is not None:
            error = {"Key": LOG.format("0000000"), "Code": code, "Message": "Please try again."}
            parsed["Errors"] = [{**error, "VersionId": version}]

    pages = world.client("s3").list_object_versions(Bucket=BUCKET)
    version = pages["Versions"][0]["VersionId"]
    return answering(world.open().aws.s3, "s3.DeleteObjects", change)


@pytest.mark.parametrize("code", ["InternalError", "SlowDown"])
def test_what_s3_was_too_busy_for_is_asked_again_and_nothing_else(world: World, code: str) -> None:
    fill(5)
    with failing(world, code, times=2), world.sandbox.recording() as calls:
        down = world.run(*DOWN)
    assert down.code == 0, down
    assert batches(calls) == [5, 1, 1]


def test_what_s3_is_too_busy_for_again_and_again_is_named(world: World) -> None:
    fill(5)
    with failing(world, "SlowDown", times=100):
        down = world.run(*DOWN)
    assert down.code == 1
    first = LOG.format("0000000")
    assert f"1 version was not deleted, the first {first}: SlowDown: Please try again." in down.err


def test_what_s3_refuses_is_named_once_and_all_else_goes(world: World) -> None:
    fill(1010)
    with failing(world, "AccessDenied", times=1), world.sandbox.recording() as calls:
        down = world.run(*DOWN)
    assert down.code == 1
    assert "1 version was not deleted" in down.err
    assert sorted(batches(calls)) == [10, 1000]
    assert left(world) == 0
    assert not [one for one in calls if one.operation == "DeleteBucket"]


# Object Lock

UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)
Locked = Callable[..., None]


@pytest.fixture
def lock(world: World) -> Locked:
    """Puts an object that a lock keeps."""
    s3 = world.client("s3")
    s3.put_object_lock_configuration(
        Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
    )

    def put(key: str, mode: str = "", until: datetime = UNTIL, *, hold: bool = False) -> None:
        retained: Any = {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": until} if mode else {}
        held: Any = {"ObjectLockLegalHoldStatus": "ON"} if hold else {}
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"log", **retained, **held)

    return put


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
def test_what_a_retention_keeps_stays_and_its_end_is_told(
    world: World, lock: Locked, mode: str
) -> None:
    fill(20)
    lock(LOG.format("0000500-locked"), mode, UNTIL - timedelta(days=30))
    lock(LOG.format("0000501-locked"), mode)
    with world.sandbox.recording() as calls:
        down = world.run(*DOWN)
    assert down.code == 1
    assert f"Object Lock keeps 2 versions in it, by {mode} retention" in down.err
    assert f"until {UNTIL:%Y-%m-%d %H:%M} UTC" in down.err
    assert "ctwatch bypasses no retention" in down.err
    assert left(world) == 2
    deletions = [one.params for one in calls if one.operation == "DeleteObjects"]
    assert not [one for one in deletions if "BypassGovernanceRetention" in one]
    assert world.run(*DOWN).code == 1  # and again, as often as you like


def test_a_legal_hold_is_told_and_has_no_date(world: World, lock: Locked) -> None:
    lock("held", hold=True)
    down = world.run(*DOWN)
    assert down.code == 1
    assert "keeps 1 version in it, by a legal hold, which has no date" in down.err
    assert "Whoever set the hold can take it off" in down.err
    where = {"Bucket": BUCKET, "Key": "held"}
    world.client("s3").put_object_legal_hold(**where, LegalHold={"Status": "OFF"})
    assert world.run(*DOWN).code == 0
    assert there(world) == []


def test_a_lock_whose_end_may_not_be_read_is_told_without(world: World, lock: Locked) -> None:
    lock("kept", "COMPLIANCE")
    world.refuse = lambda _, operation, __: ("403", "no") if operation == "HeadObject" else None
    down = world.run(*DOWN)
    assert down.code == 1
    assert "Object Lock keeps 1 version in it, S3 does not say until when" in down.err


def test_that_a_bucket_may_lock_may_stay_unread_as_what_a_lock_keeps_is_told(
    world: World, lock: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is only said beside what is in the bucket; S3 says it again of each that it keeps."""
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody answers the question
    lock("kept", "COMPLIANCE")
    world.refuse = lambda _, operation, __: (
        ("AccessDenied", "no") if operation == "GetObjectLockConfiguration" else None
    )
    asked = world.run("down", "--delete-logs")
    assert f"bucket {BUCKET} (1 version, 3 bytes)" in asked.text, asked.text
    down = world.run(*DOWN)
    assert down.code == 1
    assert "Object Lock keeps 1 version in it, by COMPLIANCE retention" in down.err


def test_where_logs_stay_the_keys_that_they_are_read_with_stay_too(account: World) -> None:
    account.refuse = lambda *_: None
    account.use(KMS)
    built(account, "bucket", "key")
    account.refuse = lambda _, operation, __: (
        ("AccessDenied", "no") if operation == "DeleteObjects" else None
    )
    fill(1)
    down = account.run(*DOWN)
    assert down.code == 1
    assert f"skipped key ctwatch-trail: waits for bucket {BUCKET}" in down.err
    assert [line for line in account.sandbox.listing() if line.startswith("kms key")]
    account.refuse = lambda *_: None
    assert account.run(*DOWN).code == 0
    assert account.sandbox.listing() == []


# What still writes


def test_a_trail_that_stays_keeps_its_bucket_and_all_in_it(world: World) -> None:
    built(world, "trail")
    fill(3)
    world.refuse = lambda _, operation, __: (
        ("AccessDeniedException", "no") if operation == "DeleteTrail" else None
    )
    with world.sandbox.recording() as calls:
        down = world.run(*DOWN)
    assert down.code == 1
    assert left(world) == 3
    assert batches(calls) == []
    assert not [one for one in calls if one.operation == "DeleteBucketPolicy"]


def test_a_stray_trail_that_stays_keeps_its_bucket_too(world: World) -> None:
    world.use({**PLAIN, "trail": {"name": "trail-old"}})
    built(world, "bucket", "trail")
    fill(3)
    world.config.write_text(world.config.read_text().replace("trail-old", "trail-new"))
    world.refuse = lambda _, operation, __: (
        ("AccessDeniedException", "no") if operation == "DeleteTrail" else None
    )
    with world.sandbox.recording() as calls:
        down = world.run(*DOWN)
    assert down.code == 1
    arn = PLACE.arn("cloudtrail", "trail/trail-old")
    assert f"failed bucket {BUCKET}: {arn} still delivers to it" in down.err
    assert left(world) == 3
    assert batches(calls) == []
    world.refuse = lambda *_: None
    assert world.run(*DOWN).code == 0
    assert world.sandbox.listing() == []


def test_the_trail_is_gone_before_anything_in_the_bucket_is(world: World) -> None:
    built(world, "trail")
    fill(1)
    with world.sandbox.recording() as calls:
        assert world.run(*DOWN).code == 0
    order = ["DeleteTrail", "DeleteBucketPolicy", "DeleteObjects", "DeleteBucket"]
    assert [one.operation for one in calls if one.operation in order] == order


# What is asked and shown


def asked(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the question names, which nobody answers."""
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    return world.run("down", "--delete-logs").err


def test_the_question_says_how_much_there_is(
    world: World, lock: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"- bucket {BUCKET} (empty, some of them perhaps" in asked(world, monkeypatch)


def test_the_question_counts_no_further_than_one_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"- bucket {BUCKET} (empty)" in asked(world, monkeypatch)
    fill(1)
    assert f"- bucket {BUCKET} (1 version, 3 bytes)" in asked(world, monkeypatch)
    fill(1000, first=1)
    with world.sandbox.recording() as calls:
        assert f"- bucket {BUCKET} (more than 1,000 versions)" in asked(world, monkeypatch)
    assert [one.operation for one in calls].count("ListObjectVersions") == 1
    world.refuse = lambda _, operation, __: (
        ("AccessDenied", "no") if operation == "ListObjectVersions" else None
    )
    assert f"- bucket {BUCKET} " in asked(world, monkeypatch) + " "
    assert left(world) == 1001


@pytest.mark.exhaustive
def test_a_terminal_sees_how_far_it_is(world: World) -> None:
    fill(20)
    down = Terminal([*COMMAND, *DOWN, "-c", str(world.config)], 100, environment())
    assert down.code == 0
    assert f"Emptying bucket {BUCKET}" in down.raw
    assert not any("Emptying" in line for line in down.screen)


@pytest.mark.parametrize(("quiet", "terminal"), [(True, True), (False, False)])
def test_nothing_moves_where_nobody_watches_or_wants_to(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    quiet: bool,
    terminal: bool,
) -> None:
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: terminal)
    with Screen(quiet=quiet).counting("Emptying", 10) as say:
        say(5)
    assert capsys.readouterr() == ("", "")


def test_what_is_no_bucket_is_no_place_to_count(world: World) -> None:
    gone = Bucket(
        name="s3-nowhere", place=PLACE, watch="ctwatch", account_regional=False, writers=()
    )
    assert gone.contents(world.open().aws) is None
    gone.delete(world.open().aws)
