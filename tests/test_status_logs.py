"""`status --logs`: what was done to the delivered files is named; and nothing else is.

One trail for the file, with six hours of log files and digests; what a test breaks, it mends.
"""

import gzip
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from test_delete_logs import built
from watch_world import PLACE, PLAIN, World, answering, world_of

from ctwatch.delivered import deliveries
from ctwatch.sandbox.logfiles import signed
from ctwatch.sandbox.server import Sandbox

HOURS, AWAY = 6, "us-east-1"
REGIONS = [PLACE.region, AWAY]
CHECK = ("status", "--logs")


@pytest.fixture(scope="module")
def world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        world_of(running, tmp_path_factory.mktemp("watch")) as world,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("ctwatch.sandbox.server._BY_DEFAULT", REGIONS)  # all that the account has
        world.use(PLAIN)
        built(world, "bucket", "trail")
        now = running.clock.now()
        for hour in range(HOURS, 0, -1):
            record(world)
            running.deliver_logs(now - timedelta(hours=hour) + timedelta(minutes=50))
        yield world


@pytest.fixture(autouse=True)
def whole(world: World) -> Iterator[None]:
    """Whatever is put over what CloudTrail has delivered, or marks it deleted, goes again."""
    world.refuse = lambda *_: None
    before = versions(world)
    yield
    s3 = world.client("s3")
    for key, version in versions(world) - before:
        s3.delete_object(Bucket=bucket(world), Key=key, VersionId=version)


def record(world: World) -> None:
    """Make a call that the trail records in the home region."""
    world.client("sns").create_topic(Name="recorded")


def bucket(world: World) -> str:
    found = world.open().watch.bucket
    assert found
    return found.name


def versions(world: World) -> set[tuple[str, str]]:
    try:
        page = world.client("s3").list_object_versions(Bucket=bucket(world))
    except ClientError:  # a test has begun anew
        return set()
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return {(one["Key"], one["VersionId"]) for one in found}


def keys(world: World, kind: str, region: str = PLACE.region) -> list[str]:
    """Those of a kind, oldest first."""
    prefix = f"AWSLogs/{PLACE.account}/{kind}/{region}/"
    page = world.client("s3").list_objects_v2(Bucket=bucket(world), Prefix=prefix)
    return [one["Key"] for one in page["Contents"]]


def stored(world: World, key: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What a file holds, and its metadata."""
    found = world.client("s3").get_object(Bucket=bucket(world), Key=key)
    return json.loads(gzip.decompress(found["Body"].read())), found["Metadata"]


def put(world: World, key: str, document: Any, metadata: dict[str, str] | None = None) -> None:
    body = gzip.compress(json.dumps(document).encode())
    world.client("s3").put_object(Bucket=bucket(world), Key=key, Body=body, Metadata=metadata or {})


def delete(world: World, key: str) -> None:
    world.client("s3").delete_object(Bucket=bucket(world), Key=key)


def faults(world: World, *more: str) -> list[tuple[str, str]]:
    """File or time and fault of each that the command names."""
    ran = world.run(*CHECK, "--json", *more)
    told = json.loads(ran.out)
    assert ran.code == (3 if told["faults"] else 0), ran
    assert told["valid"] is not bool(told["faults"])
    return [(one["subject"].rpartition("/")[2], one["fault"]) for one in told["faults"]]


def name(key: str) -> str:
    return key.rpartition("/")[2]


def test_all_that_was_delivered_is_valid(world: World) -> None:
    ran = world.run(*CHECK)
    assert ran.code == 0, ran
    assert ran.out.startswith("VALID")
    files = len(keys(world, "CloudTrail"))
    assert files == HOURS
    assert f"{2 * HOURS} digest files and {files} log files of ap-northeast-2, us-east-1" in ran.out
    told = json.loads(world.run(*CHECK, "--json").out)
    assert (told["valid"], told["digests"], told["log_files"]) == (True, 2 * HOURS, files)
    assert told["faults"] == told["unknown"] == []


def test_each_region_s_digests_are_checked_with_that_region_s_keys(world: World) -> None:
    with world.sandbox.recording() as calls:
        world.run(*CHECK)
    asked = {one.call.region for one in calls if one.operation == "ListPublicKeys"}
    assert asked == set(REGIONS)


def test_a_log_file_that_was_changed(world: World) -> None:
    key = keys(world, "CloudTrail")[2]
    document, _ = stored(world, key)
    document["Records"].pop()
    put(world, key, document)
    assert faults(world) == [(name(key), "was changed")]
    ran = world.run(*CHECK)
    assert f"✗ log file s3://{bucket(world)}/{key}: was changed" in ran.out
    assert "NOT VALID" in ran.out
    assert f"list-object-versions --bucket {bucket(world)}" in ran.out


def test_a_log_file_that_was_deleted(world: World) -> None:
    key = keys(world, "CloudTrail")[2]
    delete(world, key)
    assert faults(world) == [(name(key), "is missing: it was deleted")]


@pytest.mark.parametrize("region", REGIONS)
def test_a_digest_that_was_deleted(world: World, region: str) -> None:
    key = keys(world, "CloudTrail-Digest", region)[2]
    delete(world, key)
    assert faults(world) == [(name(key), "is missing: it was deleted")]


@pytest.mark.parametrize("since", ["5m", "24h"])
def test_a_region_of_which_nothing_is_left(world: World, since: str) -> None:
    """A trail of every region delivers digests of each, whether anything happened there or not."""
    prefix = f"AWSLogs/{PLACE.account}"
    for key, _ in versions(world):
        if key.startswith((f"{prefix}/CloudTrail/{AWAY}/", f"{prefix}/CloudTrail-Digest/{AWAY}/")):
            delete(world, key)
    with logging_for(world, 24):
        ran = world.run(*CHECK, "--since", since)
        [(_, fault)] = faults(world, "--since", since)
    assert ran.code == 3
    assert fault == "no digest vouches for it, and one is delivered every hour"
    assert f" in {AWAY}: {fault}" in ran.out
    assert "NOT VALID" in ran.out


@pytest.mark.parametrize("hours", [0.1, None])
def test_who_stops_the_trail_hides_no_region_of_which_nothing_is_left(
    world: World, hours: float | None
) -> None:
    """Whether it was started anew or not."""
    for key in keys(world, "CloudTrail-Digest", AWAY):
        delete(world, key)
    with logging_for(world, hours):
        assert len(faults(world)) == 1


def test_regions_of_which_nothing_is_left_are_told_in_one_line(world: World) -> None:
    for region in REGIONS:
        for key in keys(world, "CloudTrail-Digest", region):
            delete(world, key)
    with logging_for(world, 24):
        ran = world.run(*CHECK)
    assert ran.code == 3
    assert ran.out.count("✗") == 1
    assert f" in {PLACE.region}, {AWAY}: no digest vouches for it" in ran.out
    assert "NOT VALID There is no valid digest file in the last 24 h." in ran.out


@pytest.mark.parametrize(("hours", "code"), [(2.9, 1), (3.1, 3)])
def test_a_region_s_first_digest_is_due_three_hours_after_logging_has_begun(
    world: World, hours: float, code: int
) -> None:
    for region in REGIONS:
        for key in keys(world, "CloudTrail-Digest", region):
            delete(world, key)
    with logging_for(world, hours):
        assert world.run(*CHECK).code == code


def test_where_the_regions_may_not_be_asked_for_it_is_not_valid_and_says_so(world: World) -> None:
    world.refuse = denying("ListRegions")
    ran = world.run(*CHECK)
    assert ran.code == 1
    assert "? a region of which nothing is left would not be missed: asking which" in ran.out
    assert "ListRegions answered AccessDenied" in ran.out
    assert f"of {PLACE.region}, {AWAY} are as CloudTrail delivered them" in ran.out


def test_a_trail_of_one_region_has_files_of_that_alone(world: World) -> None:
    for key in keys(world, "CloudTrail-Digest", AWAY):
        delete(world, key)

    def change(parsed: Any) -> None:
        parsed["trailList"][0]["IsMultiRegionTrail"] = False

    with answering(world.open().aws.cloudtrail, "cloudtrail.DescribeTrails", change):
        assert faults(world) == []


def logging_for(world: World, hours: float | None) -> AbstractContextManager[None]:
    """Let AWS say that the trail has been logging for so long, or does not log."""
    begun = datetime.now(UTC) - timedelta(hours=hours or 24)

    def change(parsed: Any) -> None:
        parsed.update(StartLoggingTime=begun, IsLogging=hours is not None)

    return answering(world.open().aws.cloudtrail, "cloudtrail.GetTrailStatus", change)


def test_a_digest_that_was_changed_so_that_it_fits_a_changed_log_file(world: World) -> None:
    key = keys(world, "CloudTrail-Digest")[3]
    document, metadata = stored(world, key)
    document["logFiles"] = []
    put(world, key, document, metadata)
    assert faults(world) == [(name(key), "was changed: its signature does not fit")]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"signature": "00" * 256}, "was changed: its signature does not fit"),
        ({"signature": "no"}, "has no signature of CloudTrail's"),
        ({"signature-algorithm": "none"}, "has no signature of CloudTrail's"),
    ],
)
def test_a_signature_that_was_changed(world: World, change: dict[str, str], fault: str) -> None:
    key = keys(world, "CloudTrail-Digest")[3]
    document, metadata = stored(world, key)
    put(world, key, document, {**metadata, **change})
    assert (name(key), fault) in faults(world)


def test_a_digest_of_another_place_put_here(world: World) -> None:
    older, newer = keys(world, "CloudTrail-Digest")[2:4]
    put(world, newer, *stored(world, older))
    assert faults(world) == [(name(newer), f"was put here from s3://{bucket(world)}/{older}")]


def test_a_digest_that_is_signed_with_a_key_of_another_region(world: World) -> None:
    key = keys(world, "CloudTrail-Digest")[3]
    document, metadata = stored(world, key)
    content = json.dumps(document).encode()
    put(world, key, document, {**metadata, "signature": signed(AWAY, document, content)})
    assert faults(world) == [(name(key), "was changed: its signature does not fit")]


def test_a_digest_that_names_a_key_that_nobody_has(world: World) -> None:
    key = keys(world, "CloudTrail-Digest")[3]
    document, metadata = stored(world, key)
    document["digestPublicKeyFingerprint"] = "deadbeef"
    put(world, key, document, metadata)
    said = "is signed with a key that is not CloudTrail's here: deadbeef"
    assert faults(world) == [(name(key), said)]


def test_a_valid_digest_that_is_not_the_one_that_the_next_names(world: World) -> None:
    """Who could sign could still not change what was delivered before."""
    key = keys(world, "CloudTrail-Digest")[3]
    document, metadata = stored(world, key)
    document["logFiles"] = []
    sign(world, key, document, metadata)
    assert faults(world) == [(name(key), "is not the one that the digest after it names")]


def sign(world: World, key: str, document: dict[str, Any], metadata: dict[str, str]) -> None:
    """Put a digest as CloudTrail would: whatever it says, it is signed."""
    signature = signed(PLACE.region, document, json.dumps(document).encode())
    put(world, key, document, {**metadata, "signature": signature})


def test_a_digest_that_no_other_names(world: World) -> None:
    key = keys(world, "CloudTrail-Digest")[3]
    document, metadata = stored(world, key)
    end = datetime.fromisoformat(document["digestEndTime"])
    extra = key.replace(f"{end:%H%M%S}Z", f"{end - timedelta(seconds=1):%H%M%S}Z")
    assert extra != key
    sign(world, extra, document | {"digestS3Object": extra, "logFiles": []}, metadata)
    assert faults(world) == [(name(extra), "is in no chain: no later one names it")]


def test_what_was_delivered_later_for_a_past_hour_has_a_chain_of_its_own(world: World) -> None:
    key = keys(world, "CloudTrail-Digest")[3]
    late = key.replace(".json", "_backfill.json")
    document, metadata = stored(world, key)
    sign(world, late, document | {"digestS3Object": late}, metadata)
    told = json.loads(world.run(*CHECK, "--json").out)
    assert (told["valid"], told["digests"]) == (True, 2 * HOURS + 1)
    put(world, late, document, metadata)
    assert len(faults(world)) == 1


def test_only_what_was_delivered_since_then_is_looked_at(world: World) -> None:
    delete(world, keys(world, "CloudTrail")[0])
    assert faults(world, "--since", "150m") == []
    assert len(faults(world, "--since", "1d")) == 1


def test_files_of_another_trail_and_of_nobody_are_not_this_trail_s(world: World) -> None:
    key = keys(world, "CloudTrail-Digest")[3]
    put(world, key.replace("ct-trail-monitor", "other"), {"x": 1})
    put(world, f"{key}.bak", {"x": 1})
    assert faults(world) == []


@pytest.mark.parametrize(
    ("changed", "folder"),
    [
        ({}, "AWSLogs/123456789012/"),
        ({"S3KeyPrefix": "deep/down"}, "deep/down/AWSLogs/123456789012/"),
        ({"IsOrganizationTrail": True}, "AWSLogs/o-abc123/123456789012/"),
    ],
)
def test_a_prefix_and_an_organization_have_folders_of_their_own(
    world: World, changed: dict[str, Any], folder: str
) -> None:
    put(world, f"AWSLogs/o-abc123/{PLACE.account}/CloudTrail/x", {})
    here = world.open()

    def change(parsed: Any) -> None:
        parsed["trailList"][0].update(changed)

    with answering(here.aws.cloudtrail, "cloudtrail.DescribeTrails", change):
        assert deliveries(here.watch.trail.arn, PLACE.account, here.aws).folder == folder


# What could not be found out


def denying(operation: str) -> Any:
    return lambda _, name, __: ("AccessDenied", "no") if name == operation else None


@pytest.mark.parametrize("operation", ["GetObject", "ListPublicKeys"])
def test_what_may_not_be_read_is_unknown_and_not_valid(world: World, operation: str) -> None:
    world.refuse = denying(operation)
    ran = world.run(*CHECK)
    assert ran.code == 1
    assert "UNKNOWN" in ran.out
    assert f"checking the files of {AWAY}: {operation} answered AccessDenied" in ran.out
    told = json.loads(world.run(*CHECK, "--json").out)
    assert told["valid"] is None
    assert [one["region"] for one in told["unknown"]] == REGIONS


@pytest.mark.parametrize("operation", ["DescribeTrails", "ListObjectsV2"])
def test_where_nothing_may_be_read_it_says_which_call(world: World, operation: str) -> None:
    world.refuse = denying(operation)
    ran = world.run(*CHECK)
    assert ran.code == 1
    assert f"{operation} answered AccessDenied" in ran.err


def test_a_key_that_is_none_is_told_and_is_no_traceback(world: World) -> None:
    def junk(parsed: Any) -> None:
        for one in parsed["PublicKeyList"]:
            one["Value"] = b"junk"

    client = world.open().aws.cloudtrail
    with answering(client, "cloudtrail.ListPublicKeys", junk):
        ran = world.run(*CHECK)
    assert ran.code == 3
    assert "not the DER of a key" in ran.out


# The command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "1h"], "--since goes with --logs."),
        (["--since", ""], "--since goes with --logs."),
        (["--logs", "--since", ""], "'' is neither a span of time nor a date"),
        (["--logs", "--since", "yesterday"], "'yesterday' is neither a span of time nor a date"),
    ],
)
def test_a_time_that_is_none_is_refused_before_aws_is_asked(
    world: World, arguments: list[str], said: str
) -> None:
    with world.sandbox.recording() as calls:
        ran = world.run("status", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert calls == []


@pytest.mark.parametrize("since", ["2026-01-01", "1w", "99999w"])
def test_a_time_may_be_told_in_several_ways(world: World, since: str) -> None:
    assert world.run(*CHECK, "--since", since).code == 0


def test_a_time_before_aws_began_to_count_is_told_as_what_is_looked_at(world: World) -> None:
    out = world.run(*CHECK, "--since", "99999999w").out
    assert "delivered them since 1970-01-01 " in out


def test_a_time_that_is_to_come_is_refused(world: World) -> None:
    ran = world.run(*CHECK, "--since", "2999-01-01")
    assert ran.code == 2
    assert "still to come" in ran.err


# The last: time passes, and logging stops


def at(world: World, hours: float) -> datetime:
    return world.sandbox.clock.now() + timedelta(hours=hours)


def test_after_logging_was_stopped_nothing_vouches_for_the_time_between(world: World) -> None:
    trail, home = world.open().watch.trail, world.client("cloudtrail")
    last = stored(world, keys(world, "CloudTrail-Digest")[-1])[0]["digestEndTime"]
    home.stop_logging(Name=trail.name)
    home.start_logging(Name=trail.name)
    world.sandbox.deliver_logs(at(world, 0.99), [PLACE.region])
    first = stored(world, keys(world, "CloudTrail-Digest")[-1])[0]
    assert first["previousDigestSignature"] is None
    said = "no digest vouches for it: logging was stopped, or the validation of log files"
    assert faults(world) == [(f"{last} to {first['digestStartTime']}", said)]
    for key in keys(world, "CloudTrail-Digest")[-1:]:
        delete(world, key)


def test_where_no_digest_comes_any_more_it_says_so(world: World) -> None:
    for region in REGIONS:
        for key in keys(world, "CloudTrail-Digest", region)[-3:]:
            delete(world, key)
    told = faults(world)
    assert len(told) == 2
    assert {said for _, said in told} == {
        "no digest vouches for it, and one is delivered every hour"
    }


def test_a_young_trail_has_nothing_to_check_yet(world: World) -> None:
    world.use(PLAIN)
    built(world, "bucket", "trail")
    ran = world.run(*CHECK)
    assert ran.code == 1
    begun = world.client("cloudtrail").get_trail_status(Name=world.open().watch.trail.arn)
    due = begun["StartLoggingTime"].astimezone(UTC) + timedelta(hours=1)
    said = f"the first digest file is due some time after {due:%Y-%m-%dT%H:%M:%SZ}."
    assert f"UNKNOWN Nothing to check yet: {said}" in ran.out


def test_a_trail_that_does_not_log_has_nothing_to_check(world: World) -> None:
    name = world.open().watch.trail.name
    world.client("cloudtrail").stop_logging(Name=name)
    said = "Nothing to check: no digest file came in the last 24 h, and the trail does not log."
    assert said in world.run(*CHECK).out
    world.client("cloudtrail").start_logging(Name=name)


def test_where_files_are_not_validated_it_says_so(world: World) -> None:
    trail = world.open().watch.trail.name
    world.client("cloudtrail").update_trail(Name=trail, EnableLogFileValidation=False)
    world.sandbox.deliver_logs()
    assert keys(world, "CloudTrail")
    assert "the trail's files are not validated" in world.run(*CHECK).out


def test_where_there_is_no_trail_it_says_so(world: World) -> None:
    world.use(PLAIN)
    ran = world.run(*CHECK)
    assert ran.code == 1
    assert "there is no trail" in ran.err
