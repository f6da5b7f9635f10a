"""The log files and digests of the sandbox's trails, seen with boto3 over the wire."""

import gzip
import json
from datetime import timedelta

import pytest
from sandbox_stand_ins import ACCOUNT, SEOUL, client, front, make_trail


@pytest.fixture(scope="module")
def sandbox():
    with front() as sandbox:
        make_trail(sandbox, EnableLogFileValidation=True)
        yield sandbox


def content(sandbox, key):
    found = client(sandbox, "s3").get_object(Bucket="watched-logs", Key=key)
    return json.loads(gzip.decompress(found["Body"].read())), found["Metadata"]


def test_a_trail_s_log_file_has_the_records_since_the_last_and_its_digest_names_it(sandbox):
    now = sandbox.clock.now()
    sandbox.deliver_logs(now - timedelta(hours=1))
    client(sandbox, "sns").create_topic(Name="recorded")
    file, digest = sandbox.deliver_logs(now)
    records = content(sandbox, file)[0]["Records"]
    assert [one["eventName"] for one in records] == ["CreateTopic"]
    told, metadata = content(sandbox, digest)
    assert [one["s3Object"] for one in told["logFiles"]] == [file]
    assert told["previousDigestS3Object"].startswith(
        f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{SEOUL}/"
    )
    assert metadata.keys() == {"signature", "signature-algorithm"}
    [empty] = sandbox.deliver_logs(now + timedelta(hours=1))
    assert content(sandbox, empty)[0]["logFiles"] == []


def test_a_digest_names_every_log_file_since_the_last(sandbox):
    now = sandbox.clock.now()
    sandbox.deliver_logs(now + timedelta(hours=1, minutes=1))
    files = []
    for minutes in (5, 10):
        client(sandbox, "sns").create_topic(Name=f"recorded-{minutes}")
        files += sandbox.deliver_logs(now + timedelta(hours=1, minutes=minutes), digests=False)
    assert len(files) == 2
    [digest] = sandbox.deliver_logs(now + timedelta(hours=2))
    told = content(sandbox, digest)[0]
    assert [one["s3Object"] for one in told["logFiles"]] == files
    times = [record["eventTime"] for key in files for record in content(sandbox, key)[0]["Records"]]
    assert (told["oldestEventTime"], told["newestEventTime"]) == (min(times), max(times))
    [empty] = sandbox.deliver_logs(now + timedelta(hours=3))
    assert content(sandbox, empty)[0]["logFiles"] == []


def test_a_trail_that_was_stopped_delivers_nothing_and_begins_anew(sandbox):
    cloudtrail = client(sandbox, "cloudtrail")
    cloudtrail.stop_logging(Name="watched")
    assert sandbox.deliver_logs() == []
    cloudtrail.start_logging(Name="watched")
    *_, digest = sandbox.deliver_logs(sandbox.clock.now() + timedelta(hours=4))
    assert content(sandbox, digest)[0]["previousDigestS3Object"] is None


def test_a_trail_of_every_region_delivers_digests_of_each_that_is_enabled(sandbox):
    make_trail(sandbox, "everywhere", EnableLogFileValidation=True, IsMultiRegionTrail=True)
    listed = client(sandbox, "account").list_regions(
        RegionOptStatusContains=["ENABLED", "ENABLED_BY_DEFAULT"]
    )
    regions = [one["RegionName"] for one in listed["Regions"]]
    assert len(regions) > 1
    keys = sandbox.deliver_logs(sandbox.clock.now() + timedelta(hours=5))
    assert [one.split("/")[3] for one in keys if "_everywhere_" in one] == regions
