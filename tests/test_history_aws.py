"""`ctwatch history` of what AWS keeps: its event history, the log bucket, and that by Athena."""

import json
import os
import random
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import past
import pytest
from agreeing import Table
from lacking import listed
from permitted import Judge, judged
from watch_world import PLACE, PLAIN, World, world_of

from ctwatch.errors import CtwatchError
from ctwatch.history import questions
from ctwatch.history.bucket import _kept
from ctwatch.sandbox import duck

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
        patch.setattr("ctwatch.history.athena._FIRST_PAUSE", 0.01)
        world.use(PLAIN)
        assert world.run("up").code == 0
        cloudtrail = world.client("cloudtrail")
        for strike in (cloudtrail.stop_logging, cloudtrail.delete_trail):
            with pytest.raises(cloudtrail.exceptions.TrailNotFoundException):
                strike(Name="ctwatch-probe-0")
        cloudtrail.start_logging(Name=world.open().watch.trail.name)  # succeeds, stops nothing
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


@pytest.mark.parametrize(
    "source",
    ["bucket", *(pytest.param(one, marks=pytest.mark.exhaustive) for one in ("lookup", "athena"))],
)
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


@pytest.mark.parametrize("source", ["lookup", "bucket", "athena"])
def test_a_region_that_the_account_has_not_is_refused(world, source):
    with world.sandbox.recording() as calls:
        ran = world.run("history", "ask", "root", "--from", source, "--region", "us-eats-1")
    assert (ran.code, ran.out) == (2, "")
    assert "--region: the account has no region 'us-eats-1'" in ran.err
    assert "Did you mean us-east-1?" in ran.err
    told = {"LookupEvents", "ListObjectsV2", "StartQueryExecution"}
    assert not told.intersection(one.operation for one in calls)


@pytest.mark.parametrize(
    ("source", "question", "sifted"),
    [
        ("lookup", "failed-logins", True),
        ("lookup", "root", False),
        ("bucket", "failed-logins", False),
        ("athena", "root", True),
        ("athena", "gaps", False),
    ],
)
def test_what_came_back_is_not_told_as_all_that_there_is(world, source, question, sifted):
    ran = world.run("history", "ask", question, "--from", source, "--since", "2h")
    [last] = [one for one in ran.err_lines if re.match(r"(Of )?\d+ records? ", one)]
    assert (" came back of " in last) == sifted
    assert last.startswith("Of ") != sifted


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
    assert looked_up("ask", "root") == set()


def test_of_the_bucket_only_the_time_and_the_regions_are_fetched(world):
    def fetched(*words):
        with world.sandbox.recording() as calls:
            assert world.run("history", "--from", "bucket", *words).code == 0
        return [one.call.params["Key"] for one in calls if one.operation == "GetObject"]

    every = fetched("--since", "2h")
    assert every
    assert all("/CloudTrail/" in one for one in every)
    assert all("/us-east-1/" in one for one in fetched("--since", "2h", "--region", "us-east-1"))
    assert fetched("--since", "30d", "--until", "20d") == []


def test_of_the_bucket_only_the_days_that_are_asked_for_are_listed(world):
    """A region's listing ends with the first page that is behind them, however many follow."""
    watch, now = world.open().watch, world.sandbox.clock.now()
    region = f"AWSLogs/{watch.place.account}/CloudTrail/us-east-1/"
    s3, where = world.client("s3"), {"Bucket": watch.bucket.name}
    keys = [f"{region}{now - timedelta(days=20):%Y/%m/%d}/{at}.json.gz" for at in range(3)]
    for key in keys:
        s3.put_object(**where, Key=key, Body=past.zipped([]))

    def listings(*words):
        with world.sandbox.recording() as calls, pytest.MonkeyPatch.context() as patch:
            patch.setattr("ctwatch.history.bucket._PAGE", 1)
            assert world.run("history", "--from", "bucket", *words).code == 0
        found = [one.call.params for one in calls if one.operation == "ListObjectsV2"]
        return [one for one in found if one["Prefix"] == region]

    before, within = (
        listings("--since", f"{days}d", "--until", f"{days - 1}d") for days in (30, 20)
    )
    for key in keys:
        s3.delete_object(**where, Key=key)
    assert [one["StartAfter"] for one in before] == [
        f"{region}{now - timedelta(days=30):%Y/%m/%d}/"
    ]
    assert len(within) == len(keys) + 1


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
    s3, where = world.client("s3"), {"Bucket": watch.bucket.name, "Key": key}
    s3.put_object(**where, Body=body.encode())
    cache = tmp_path / "cache"
    with world.sandbox.recording() as calls:
        ran = world.run("history", "--from", "bucket", "--since", "2h", "--cache", str(cache))
    s3.delete_object(**where)  # Athena takes no file that is not as CloudTrail writes it
    assert ran.code == 0
    assert key in [one.call.params["Key"] for one in calls if one.operation == "GetObject"]
    assert [*tmp_path.iterdir()] == [cache]
    assert not [*cache.rglob("out.json")]


def test_a_cache_that_cannot_be_written_is_told(world, tmp_path):
    (tmp_path / f"{world.open().watch.bucket.name}").write_text("in the way")
    words = ("--from", "bucket", "--since", "2h", "--cache", str(tmp_path))
    ran = world.run("history", "ask", "root", *words)
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
    assert "Nothing could be read" in ran.err
    assert "AWS does not let you read it" in ran.err


LONG_AGO = "0a1b2c3d-0000-4000-8000-00000a2c417e"
"""The id of what the archived file tells."""


@pytest.fixture
def archived(world) -> Iterator[str]:
    """The key of a log file that a lifecycle rule has moved into an archive."""
    watch, now = world.open().watch, world.sandbox.clock.now()
    day = f"AWSLogs/{watch.place.account}/CloudTrail/us-east-1/{now:%Y/%m/%d}"
    key = f"{day}/{watch.place.account}_CloudTrail_us-east-1_{now:%Y%m%dT%H%MZ}_archived.json.gz"
    body = past.zipped(
        [{**past.record(RNG, past.EVERYDAY[0], now, "us-east-1"), "eventID": LONG_AGO}]
    )
    s3, where = world.client("s3"), {"Bucket": watch.bucket.name, "Key": key}
    s3.put_object(**where, Body=body, StorageClass="GLACIER")
    yield key
    s3.delete_object(**where)


def test_an_archived_file_is_told_of_and_the_others_are_read(world, archived, tmp_path):
    words = ("--since", "2h", "--detection", "trail-tampering", "--json")
    with world.sandbox.recording() as calls:
        ran = world.run("history", "--from", "bucket", *words)
    [detection] = json.loads(ran.out)["detections"]
    assert (ran.code, detection["count"]) == (1, 2)
    assert "1 file not read: archived, and must be restored" in ran.err
    assert archived in ran.err
    asked = [one.call.params["Key"] for one in calls if one.operation == "GetObject"]
    assert asked
    assert archived not in asked
    watch = world.open().watch
    place = tmp_path / watch.bucket.name / archived  # fetched before it was archived
    place.parent.mkdir(parents=True)
    place.write_bytes(past.zipped([]))
    assert world.run("history", "--from", "bucket", *words, "--cache", str(tmp_path)).code == 0


def test_athena_passes_over_an_archived_file_and_is_told_of(world, archived):
    ran = world.run("history", "--from", "athena", "--since", "2h", "--json")
    assert ran.code == 1, ran
    counts = {one["id"]: one["count"] for one in json.loads(ran.out)["detections"]}
    assert counts["trail-tampering"] == 2
    assert "1 file not read: archived, and must be restored" in ran.err
    assert archived in ran.err


@pytest.mark.parametrize("source", ["lookup", "bucket", "athena"])
def test_a_time_that_is_none_is_said_before_aws_is_asked(world, source):
    with world.sandbox.recording() as calls:
        ran = world.run("history", "--from", source, "--until", "soon")
    assert (ran.code, list(calls)) == (2, [])
    assert "--until: 'soon' is neither a span of time nor a date" in ran.err


def test_a_time_that_ends_before_it_begins_by_default_is_told_so(world):
    ran = world.run("history", "--until", "2020-01-01")
    assert (ran.code, "Name a --since before it" in ran.err) == (2, True), ran


def test_where_the_bucket_is_gone_the_hint_leads_on(world):
    def refuse(_, operation, __):
        return ("NoSuchBucket", "gone") if operation == "ListObjectsV2" else None

    world.refuse = refuse
    ran = world.run("history", "--from", "bucket", "--since", "2h")
    assert (ran.code, "ctwatch up makes what is not" in ran.err) == (1, True), ran


def test_where_all_is_archived_athena_is_not_asked(world, archived):
    words = ("ask", "root", "--from", "athena", "--since", "2h", "--region", "eu-west-1")
    s3, bucket = world.client("s3"), world.open().watch.bucket.name
    alone = archived.replace("us-east-1", "eu-west-1")
    s3.put_object(Bucket=bucket, Key=alone, Body=past.zipped([]), StorageClass="DEEP_ARCHIVE")
    with world.sandbox.recording() as calls:
        ran = world.run("history", *words)
    s3.delete_object(Bucket=bucket, Key=alone)
    assert (ran.code, f"{bucket} but what is archived" in ran.err) == (1, True), ran
    assert alone in ran.err
    assert not [one for one in calls if one.call.service in {"athena", "glue"}]


@pytest.mark.parametrize("source", ["bucket", "athena"])
def test_what_is_archived_and_too_old_to_tell_of_that_time_is_not_missed(world, archived, source):
    s3, bucket = world.client("s3"), world.open().watch.bucket.name
    s3.delete_object(Bucket=bucket, Key=archived)
    then = world.sandbox.clock.now() - timedelta(hours=5)
    old = re.sub(r"_\d{8}T\d{4}Z_", f"_{then:%Y%m%dT%H%MZ}_", archived)
    s3.put_object(Bucket=bucket, Key=old, Body=past.zipped([]), StorageClass="GLACIER")
    words = ("history", "ask", "root", "--from", source, "--json")
    within, without = (world.run(*words, "--since", one) for one in ("2d", "1m"))
    s3.delete_object(Bucket=bucket, Key=old)
    assert (within.code, "1 file not read" in within.err) == (1, True), within
    assert (without.code, "1 file not read" in without.err) == (0, False), without


def test_a_table_that_does_not_ask_for_what_is_restored_is_without_it(world, archived):
    words = ("history", "ask", "event", LONG_AGO, "--from", "athena", "--since", "2h")
    world.run(*words)  # and what it needs is there
    where = {"Bucket": world.open().watch.bucket.name, "Key": archived}
    world.client("s3").restore_object(**where, RestoreRequest={"Days": 1})
    glue, statement = world.client("glue"), world.run(*words, "--sql").out
    table = glue.get_table(DatabaseName="ctwatch_history", Name="cloudtrail")["Table"]
    fields = ("Name", "TableType", "PartitionKeys", "Parameters", "StorageDescriptor")
    whole = {one: table[one] for one in fields}
    without = dict(table["Parameters"])
    del without["read_restored_glacier_objects"]
    answered = []
    for one in ({**whole, "Parameters": without}, whole):
        glue.update_table(DatabaseName="ctwatch_history", TableInput=one)
        answered.append(LONG_AGO in queried(world.client("athena"), statement))
    assert answered == [False, True]


def queried(athena, statement: str) -> str:
    """What Athena answers to a statement."""
    started = athena.start_query_execution(
        QueryString=statement.strip().rstrip(";"),
        WorkGroup="ctwatch-history",
        QueryExecutionContext={"Database": "ctwatch_history"},
    )
    state = "QUEUED"
    while state in {"QUEUED", "RUNNING"}:
        told = athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])
        state = told["QueryExecution"]["Status"]["State"]
    assert state == "SUCCEEDED", told
    return json.dumps(athena.get_query_results(QueryExecutionId=started["QueryExecutionId"]))


@pytest.mark.parametrize("source", ["bucket", "athena"])
def test_an_archived_file_of_which_a_copy_is_restored_is_read(world, archived, source):
    watch = world.open().watch
    where = {"Bucket": watch.bucket.name, "Key": archived}
    words = ("history", "ask", "event", LONG_AGO, "--from", source, "--since", "2h", "--json")
    assert world.run(*words).code == 1
    world.client("s3").restore_object(**where, RestoreRequest={"Days": 1})
    ran = world.run(*words)
    assert (ran.code, "1 file not read" in ran.err) == (0, False), ran
    assert LONG_AGO in ran.out


@pytest.mark.parametrize(
    ("code", "says"),
    [("InvalidObjectState", "must be restored"), ("AccessDenied", "does not let you read it")],
)
def test_a_file_that_alone_is_refused_is_told_of_and_the_others_are_read(world, code, says):
    refused = []

    def refuse(_, operation, __):
        if operation != "GetObject" or refused:
            return None
        refused.append(operation)
        return code, "no"

    world.refuse = refuse
    ran = world.run("history", "--from", "bucket", "--since", "2h", "--json")
    assert (ran.code, json.loads(ran.out)["files"] > 0) == (1, True)
    assert "1 file not read: " in ran.err
    assert says in ran.err


def test_a_file_that_cannot_be_kept_leaves_nothing_behind(tmp_path):
    (tmp_path / "in the way" / "of it").mkdir(parents=True)
    with pytest.raises(CtwatchError, match="cannot be written"):
        _kept(tmp_path / "in the way", b"x")
    assert [one.name for one in tmp_path.iterdir()] == ["in the way"]


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
    """And nothing else is: the trail's time lies within an hour, and what was struck failed."""
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


# By Athena


def asked(world: World, source: str, *words: str):
    ran = world.run("history", *words, "--from", source, "--since", "2h", "--json")
    assert ran.code == 0, ran
    return json.loads(ran.out)


def test_where_no_file_is_of_that_time_athena_is_not_asked(world):
    with world.sandbox.recording() as calls:
        words = ("ask", "gaps", "--from", "athena", "--since", "40d", "--until", "30d")
        ran = world.run("history", *words)
    assert not [one for one in calls if one.call.service in {"athena", "glue"}]
    assert "There is no log file of that time in s3-cloudtrail-monitor" in ran.err
    assert "Athena was asked nothing, and that costs nothing." in ran.err
    assert (ran.code, "no record" in ran.out) == (3, True)  # ten days of no record


ACTOR = f"arn:aws:iam::{PLACE.account}:user/sandbox"
# Each question has its answer from Athena, too, in test_history_sources.
QUESTIONS = [(), ("ask", "actor", ACTOR, "--around", "1m")]


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_athena_answers_what_the_bucket_answers(world, words):
    told, right = (asked(world, source, *words) for source in ("athena", "bucket"))
    if words:
        assert sorted(told["rows"], key=str) == sorted(right["rows"], key=str) != []
        return
    assert told["not_asked"].pop("not_held") == ["insight"]
    assert told["detections"] == [one for one in right["detections"] if one["id"] != "insight"]
    counts = {one["id"]: one["count"] for one in told["detections"]}
    assert counts["trail-tampering"] == 2


def test_what_it_will_read_is_said_beforehand_and_what_it_has_read_at_the_end(world):
    ran = world.run("history", "--from", "athena", "--since", "2h")
    assert ran.code == 0
    assert (
        "Not asked, as Athena's table does not hold what they go by (--from bucket does): insight."
        in ran.err
    )
    lines = ran.err_lines
    before = next(
        i for i, one in enumerate(lines) if re.match(r"Athena will read about .* in", one)
    )
    after = next(i for i, one in enumerate(lines) if one.startswith("Athena read "))
    assert before < after
    assert lines[before].endswith("less than a cent.")
    said = re.search(r"about (.*) in [1-9]\d* files", lines[before])
    assert said
    assert lines[after].startswith(f"Athena read {said[1]}, which costs less than a cent")


@pytest.mark.parametrize("call", [("StartQueryExecution", 1), ("GetQueryExecution", 2)], ids=str)
def test_ctrl_c_stops_its_query_and_it_can_be_asked_again(world, call):
    asked_about = []

    def interrupted(_, operation, __):
        asked_about.append(operation)
        if operation == call[0] and asked_about.count(operation) == call[1]:
            world.refuse = lambda *_: None
            raise KeyboardInterrupt

    words = ("history", "ask", "denied", "--from", "athena", "--since", "2h")
    right = world.run(*words)
    world.refuse = interrupted
    with world.sandbox.recording() as calls:
        ran = world.run(*words)
    assert (ran.code, ran.out) == (130, "")
    [started] = [one for one in calls if one.operation == "StartQueryExecution"]
    [stopped] = [one for one in calls if one.operation == "StopQueryExecution"]
    assert stopped.call.params["QueryExecutionId"]
    assert started.call.params["WorkGroup"] == "ctwatch-history"
    again = world.run(*words)
    assert (again.code, again.out) == (right.code, right.out)


def test_only_the_statement_asks_nothing(world):
    with world.sandbox.recording() as calls:
        ran = world.run("history", "ask", "denied", "--since", "2d", "--sql")
    assert ran.code == 0
    assert not calls
    assert ran.out.startswith("SELECT")
    assert 'FROM "ctwatch_history"."cloudtrail" WHERE "timestamp" BETWEEN' in ran.out


def test_gaps_are_those_of_the_bucket_and_are_read_twice(world):
    told, right = (_gaps(world, source) for source in ("athena", "bucket"))
    assert told["gaps"] == right["gaps"] != []
    assert [one["event"] for one in told["stops"]] == ["StartLogging"]  # no call that failed
    assert told["stops"] == right["stops"]
    names = ("records", "first", "last")
    assert [told[one] for one in names] == [right[one] for one in names]
    assert told["digests"] is None  # nobody looked


def _gaps(world, source):
    ran = world.run("history", "ask", "gaps", "--from", source, "--since", "5h", "--json")
    assert ran.code == 3, ran
    if source == "athena":
        [said] = re.findall(r"about (\d+) KB in \d+ files, twice, which costs", ran.err)
        [read] = re.findall(r"Athena read (\d+) KB, which costs", ran.err)
        assert abs(int(read) - 2 * int(said)) <= 1
    return json.loads(ran.out)


EACH = {
    "who-terminated": ["i-0123456789abcdef0"],
    "who-changed-security-group": ["sg-0123456789abcdef0"],
    "outside": ["--allow", "10.0.0.0/8"],
    "denied": ["--by", ACTOR],
    "actor": [ACTOR, "--around", "1h"],
    "event": ["b31716e9"],
}


def test_each_question_has_a_statement_that_runs(world):
    logs = Table([], [], keys=("region", "timestamp"))
    with world.sandbox.recording() as calls:
        for name in questions.NAMES:
            ran = world.run("history", "ask", name, *EACH.get(name, ()), "--sql")
            assert ran.code == 0, ran
            for one in ran.out.replace('"ctwatch_history"."cloudtrail"', "logs").split(";"):
                logs.connection.execute(duck.spelled(one))
    assert not calls


def test_gaps_has_statements(world):
    with world.sandbox.recording() as calls:
        ran = world.run("history", "ask", "gaps", "--sql")
    hours, stops, end = ran.out.replace('"ctwatch_history"."cloudtrail"', "logs").split(";")
    assert not end.strip()
    assert not calls
    logs = Table([], [], keys=("region", "timestamp"))
    for one in (hours, stops):
        assert logs.connection.execute(duck.spelled(one)).fetchall() == []
    assert [one[0] for one in logs.connection.description][:2] == ["time", "event"]


def test_the_statement_of_the_tally_is_one_that_runs(world):
    with world.sandbox.recording() as calls:
        ran = world.run("history", "--since", "2d", "--sql", "--detection", "trail-tampering")
    assert ran.code == 0
    assert not [one for one in calls if one.call.service in {"athena", "glue"}]
    statement = ran.out.replace('"ctwatch_history"."cloudtrail"', "logs")
    logs = Table([], [], keys=("region", "timestamp"))
    assert logs.connection.execute(duck.spelled(statement)).fetchall() == []


def test_its_policy_is_enough(world):
    world.client("athena").delete_work_group(
        WorkGroup="ctwatch-history", RecursiveDeleteOption=True
    )
    world.client("glue").delete_database(Name="ctwatch_history")
    words = ("history", "ask", "root", "--from", "athena", "--since", "2h")
    with judged(Judge([*words, "--config", str(world.config)])) as judge:
        assert world.run(*words).code == 0
    assert judge.outside == []
    assert {"athena:CreateWorkGroup", "glue:CreateTable", "athena:GetQueryResults"} <= judge.used


def test_up_leaves_it_and_down_takes_it_away(world):
    assert asked(world, "athena", "ask", "root")
    athena = world.client("athena")
    assert world.run("up").code == 0
    assert athena.get_work_group(WorkGroup="ctwatch-history")
    ran = world.run("down", "--yes", "--wait", "0")
    assert ran.code == 0, ran
    with pytest.raises(athena.exceptions.InvalidRequestException, match="not found"):
        athena.get_work_group(WorkGroup="ctwatch-history")
    glue = world.client("glue")
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_database(Name="ctwatch_history")


def test_what_a_watch_has_kept_is_read_when_it_is_down(world):
    """The last of this file, as it ends the watch."""
    assert world.run("down", "--yes", "--wait", "0").code == 0
    words = ("--from", "bucket", "--since", "2h", "--detection", "trail-tampering", "--json")
    ran = world.run("history", *words)
    assert ran.code == 0, ran
    [found] = json.loads(ran.out)["detections"]
    assert found["count"] == 2
    world.run("down", "--yes", "--wait", "0", "--delete-logs")
    assert world.run("history", *words).code == 1
