"""`ctwatch history` of what AWS keeps: its event history, and the log bucket."""

import json
import os
import random
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import past
import pytest
from botocore.exceptions import ClientError
from lacking import listed
from permitted import Judge, judged
from watch_world import PLACE, PLAIN, World, world_of

from ctwatch.clock import Clock
from ctwatch.history import questions
from ctwatch.history.lookup import Lookup
from ctwatch.history.search import Search, Searching

DAY = timedelta(days=1)
RNG = random.Random(7)
REGIONS = [PLACE.region, "us-east-1", "eu-west-1"]


@pytest.fixture(scope="module")
def world(running, tmp_path_factory) -> Iterator[World]:
    """A watch that was built and struck, whose trail has delivered."""
    with (
        world_of(running, tmp_path_factory.mktemp("watch")) as world,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("ctwatch.sandbox.server._BY_DEFAULT", REGIONS)  # all that the account has
        world.use(PLAIN)
        assert world.run("up").code == 0
        assert world.run("simulate", "stop-logging", "delete-trail").code in {0, 3}
        running.deliver_logs(running.clock.now())
        yield world


@pytest.fixture(autouse=True)
def let_through(world):
    world.refuse = lambda *_: None


@pytest.mark.parametrize("source", ["lookup", "bucket"])
def test_a_drill_is_in_the_past(world, source):
    ran = world.run("history", "--from", source, "--since", "2h", "--json")
    assert ran.code == 0, ran
    found = {one["id"]: one for one in json.loads(ran.out)["detections"]}
    assert found["trail-tampering"]["count"] == 2
    names = sorted(one["event"] for one in found["trail-tampering"]["last"])
    assert names == ["DeleteTrail", "StopLogging"]
    assert found["root-login"]["count"] == 0
    if source == "lookup":  # the bucket has what came after the trail was made
        assert found["pipeline-tampering"]["count"] > 0


@pytest.mark.parametrize("source", ["lookup", "bucket"])
def test_an_event_of_an_alert_is_found(world, source):
    ran = world.run("history", "--from", source, "--json", "--detection", "trail-tampering")
    [detection] = json.loads(ran.out)["detections"]
    event_id = detection["last"][0]["event_id"]
    asked = ("ask", "event", event_id, "--from", source, "--since", "2h", "--json")
    [record] = json.loads(world.run("history", *asked).out)["records"]
    assert record["eventID"] == event_id


def test_only_the_regions_that_are_asked_for_are_asked(world):
    with world.sandbox.recording() as calls:
        world.run("history", "--since", "2h")
    asked = {one.call.region for one in calls if one.operation == "LookupEvents"}
    assert asked == set(REGIONS)
    with world.sandbox.recording() as calls:
        world.run("history", "--region", "eu-west-1", "--since", "2h")
    assert {one.call.region for one in calls if one.operation == "LookupEvents"} == {"eu-west-1"}


def test_only_the_events_that_can_be_meant_are_looked_up(world):
    def looked_up(*words):
        with world.sandbox.recording() as calls:
            assert world.run("history", *words, "--since", "2h").code == 0
        calls = [one.call for one in calls if one.operation == "LookupEvents"]
        return {
            each["AttributeValue"]
            for one in calls
            for each in one.params.get("LookupAttributes", [])
        }

    assert looked_up("ask", "event", "b31716e9") == {"b31716e9"}
    assert looked_up("ask", "failed-logins") == {"ConsoleLogin"}
    tampering = {"StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"}
    assert looked_up("--detection", "trail-tampering") == tampering
    assert looked_up("ask", "root") == looked_up() == set()


def test_of_the_bucket_only_the_time_and_the_regions_are_fetched(world):
    def fetched(*words):
        with world.sandbox.recording() as calls:
            assert world.run("history", "--from", "bucket", *words).code == 0
        return [one.call.params["Key"] for one in calls if one.operation == "GetObject"]

    assert fetched("--since", "2h")
    assert all("/CloudTrail/" in one for one in fetched("--since", "2h"))
    assert all("/us-east-1/" in one for one in fetched("--since", "2h", "--region", "us-east-1"))
    assert fetched("--since", "30d", "--until", "20d") == []


def test_a_cache_fetches_nothing_twice(world, tmp_path):
    words = ("history", "--from", "bucket", "--since", "2h", "--cache", str(tmp_path), "--json")
    first = world.run(*words)
    with world.sandbox.recording() as calls:
        second = world.run(*words)
    assert first.code == second.code == 0
    assert json.loads(first.out)["detections"] == json.loads(second.out)["detections"]
    assert [one for one in calls if one.operation == "GetObject"] == []
    assert all(one.name.endswith(".json.gz") for one in tmp_path.rglob("*") if one.is_file())


def test_what_a_cache_keeps_is_private_whatever_the_umask(world, tmp_path):
    cache, before = tmp_path / "of mine" / "cache", os.umask(0)
    try:
        words = ("history", "--from", "bucket", "--since", "2h", "--cache", str(cache))
        assert world.run(*words).code == 0
    finally:
        os.umask(before)
    kinds = {(one.is_dir(), stat.S_IMODE(one.stat().st_mode)) for one in tmp_path.rglob("*")}
    assert kinds == {(True, 0o700), (False, 0o600)}


def test_a_file_whose_name_leads_out_of_the_cache_is_read_and_not_kept(world, tmp_path):
    watch = world.open().watch
    now = datetime.now(UTC)
    day = f"AWSLogs/{watch.place.account}/CloudTrail/us-east-1/{now:%Y/%m/%d}"
    key = f"{day}/../../../../../../../../out.json"
    body = json.dumps({"Records": [past.record(RNG, past.EVERYDAY[0], now, "us-east-1")]})
    world.client("s3").put_object(Bucket=watch.bucket.name, Key=key, Body=body.encode())
    cache = tmp_path / "cache"
    with world.sandbox.recording() as calls:
        ran = world.run("history", "--from", "bucket", "--since", "2h", "--cache", str(cache))
    assert ran.code == 0
    assert key in [one.call.params["Key"] for one in calls if one.operation == "GetObject"]
    assert [*tmp_path.iterdir()] == [cache]
    assert not [*cache.rglob("out.json")]


def test_a_cache_that_cannot_be_written_is_told(world, tmp_path):
    (tmp_path / f"{world.open().watch.bucket.name}").write_text("in the way")
    ran = world.run("history", "--from", "bucket", "--since", "2h", "--cache", str(tmp_path))
    assert ran.code == 1
    assert "--cache:" in ran.err


def test_where_no_region_may_be_asked_the_call_is_named(world):
    def refuse(_, operation, __):
        return ("AccessDeniedException", "no") if operation == "LookupEvents" else None

    world.refuse = refuse
    ran = world.run("history", "--since", "2h")
    assert (ran.code, ran.out) == (1, "")
    assert "LookupEvents" in ran.err


def test_who_may_not_read_the_bucket_is_told_which_call(world):
    def refuse(_, operation, __):
        return ("AccessDenied", "no") if operation == "GetObject" else None

    world.refuse = refuse
    ran = world.run("history", "--from", "bucket", "--since", "2h")
    assert ran.code == 1
    assert "fetching s3://" in ran.err


def test_every_right_of_its_policy_is_used(world):
    used = set()
    for question, source in (([], "lookup"), (["ask", "gaps"], "bucket")):
        words = ["history", *question, "--from", source, "--since", "2h"]
        with judged(Judge([*words, "--config", str(world.config)])) as judge:
            assert world.run(*words).code in {0, 3}
        assert not judge.outside
        used |= judge.used
    printed = json.loads(world.run("policy", "history", "--logs").out)
    granted = {one for each in printed["Statement"] for one in listed(each["Action"])}
    assert granted - used == {"account:GetRegionOptStatus"}  # asked where a region is refused


def test_a_digest_that_was_deleted_is_a_gap(world):
    """And nothing else is: the whole time of the trail lies within an hour."""
    s3, bucket = world.client("s3"), world.open().watch.bucket.name
    asked = ("history", "ask", "gaps", "--from", "bucket", "--since", "1h", "--json")
    ran = world.run(*asked)
    assert (ran.code, json.loads(ran.out)["digests"]) == (0, []), ran
    prefix = f"AWSLogs/{PLACE.account}/CloudTrail-Digest/{PLACE.region}/"
    now = world.sandbox.clock.now()
    world.sandbox.deliver_logs(now + timedelta(minutes=1))
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
    s3.delete_object(Bucket=bucket, Key=keys[0])
    ran = world.run(*asked)
    [fault] = json.loads(ran.out)["digests"]
    assert (ran.code, fault["fault"]) == (3, "is missing: it was deleted")


class Pages:
    """A client of CloudTrail's with pages for one region, that counts when it was asked."""

    def __init__(self, clock, pages, refusals=0):
        self.clock, self.pages, self.refusals = clock, list(pages), refusals
        self.asked = []

    def lookup_events(self, **params):
        self.asked.append(self.clock.monotonic())
        if self.refusals:
            self.refusals -= 1
            error = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
            raise ClientError(error, "LookupEvents")
        at = int(params.get("NextToken", 0))
        more = {"NextToken": str(at + 1)} if at + 1 < len(self.pages) else {}
        return {"Events": self.pages[at], **more}


class Account:
    """An account of which nothing is known but each region's pages."""

    def __init__(self, clock, regions):
        self.clock, self.regions = clock, regions

    def at(self, region):
        view = type("View", (), {})()
        view.cloudtrail = self.regions[region]
        return view


def events(*names):
    now = Clock().now()
    record = {"eventTime": "2026", "userIdentity": {"type": "Root"}}
    return [
        {
            "EventTime": now,
            "CloudTrailEvent": json.dumps({**record, "eventName": one, "eventID": f"{at}{one}"}),
        }
        for at, one in enumerate(names)
    ]


EVERYTHING = questions.root()


def test_a_region_is_asked_twice_a_second_at_the_most_and_again_where_it_was_too_often(world):
    clock = Clock(speed=50)
    regions = {
        "a": Pages(clock, [events("A"), events("B"), events("C")], refusals=2),
        "b": Pages(clock, [[]]),
    }
    now = clock.now()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ctwatch.history.lookup._TURN", 0.5)
        source = Lookup(Account(clock, regions), list(regions), now - 90 * DAY, now)
        with Searching(Search((EVERYTHING,)), source.size) as searching:
            parts = list(source.through(searching))
    assert len([one for _, found in parts for one in found.findings]) == 3
    assert sum(progress for progress, _ in parts) == pytest.approx(source.total)
    asked = regions["a"].asked
    assert len(asked) == 5
    assert all(later - before >= 0.5 for before, later in pairwise(asked))
    assert not source.doubts


def test_a_region_that_will_not_answer_is_told_of_and_the_others_are_searched():
    clock = Clock(speed=5000)
    regions = {"a": Pages(clock, [events("X")], refusals=1000), "b": Pages(clock, [events("X")])}
    source = Lookup(Account(clock, regions), list(regions), clock.now() - DAY, clock.now())
    with Searching(Search((EVERYTHING,)), source.size) as searching:
        records = sum(found.seen.records for _, found in source.through(searching))
    assert records == 1
    [doubt] = source.doubts
    assert doubt.startswith("a is not told of")
