"""Athena gives what the files give; and what of it is asked, read, paid, stopped and refused."""

import gzip
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agreeing import Dice
from watch_world import PLACE, PLAIN, World, world_of

from ctwatch.clock import LeapingClock
from ctwatch.detections import SAMPLE, catalogue
from ctwatch.errors import AwsError, CtwatchError, ForeignError
from ctwatch.history import athena, questions
from ctwatch.history.athena import Logs, Progress
from ctwatch.history.search import Search, Searcher
from ctwatch.history.table import record

BUCKET, FOLDER = "the-logs-of-all", f"AWSLogs/{PLACE.account}/"
REGIONS = (PLACE.region, "us-east-1")
BEGIN = datetime(2024, 10, 28, tzinfo=UTC)
DAYS = 6
LOGS = Logs(PLACE, "past", BUCKET, FOLDER, REGIONS)
ASKED = [
    part
    for name, one in catalogue().items()
    if name != "insight"
    for part in questions.of_detection(one, one.filled(SAMPLE))
] + [
    questions.stops(),
    questions.denied(),
    questions.failed_logins(),
    questions.root(),
    questions.outside(["10.0.0.0/8"]),
]

FEW = [questions.stops(), questions.denied()]


def records(logs, aws, scope, questions, tell=lambda _: None):
    """What Athena answers, as the records that its rows were; `tell` hears how far it is."""
    for one in athena.answered(logs, aws, scope, questions):
        if isinstance(one, Progress):
            tell(one)
        else:
            yield record(one)


def day_of(number: int) -> datetime:
    return BEGIN + timedelta(days=number)


def written(number: int, region: str) -> list[dict[str, Any]]:
    """What was recorded on a day in a region: what must fire, near misses, and anything."""
    dice = Dice(f"{number}{region}")
    events = [
        event["detail"]
        for one in catalogue().values()
        for event in (*one.fires_on(SAMPLE), *one.examples.quiet)
        if "eventType" in event["detail"]
    ]
    records = dice.sample(events, 25) + [dice.record() for _ in range(10)]
    return [
        {
            **one,
            "eventID": f"{region}-{number}-{i}",
            "eventTime": f"{day_of(number):%Y-%m-%d}T{i % 24:02}:00:00Z",
            "awsRegion": region,
        }
        for i, one in enumerate(records)
    ]


def key_of(number: int, region: str, name: str = "a.json.gz") -> str:
    return f"{FOLDER}CloudTrail/{region}/{day_of(number):%Y/%m/%d}/{name}"


@pytest.fixture(scope="module")
def world(running, tmp_path_factory):
    with world_of(running, tmp_path_factory.mktemp("past")) as world:
        world.use(PLAIN)
        s3 = world.client("s3")
        s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": PLACE.region}
        )
        for number in range(DAYS):
            for region in REGIONS:
                body = gzip.compress(json.dumps({"Records": written(number, region)}).encode())
                s3.put_object(Bucket=BUCKET, Key=key_of(number, region), Body=body)
        yield world


@pytest.fixture(autouse=True)
def unbroken(world: World):
    world.refuse = lambda *_: None


@pytest.fixture
def aws(world):
    aws = world.open().aws
    aws.clock = LeapingClock()
    return aws


@pytest.fixture
def prepared(aws):
    athena.prepare(LOGS, aws)


def scope(first=0, last=DAYS, regions=()):
    return athena.scoped(LOGS, day_of(first), day_of(last), regions)


def found(documents, asked=ASKED):
    """What the engine here finds: of which question, the id, and what is told."""
    searcher = Searcher(Search(tuple(asked)))
    return {
        (one.question, one.id, one.cells)
        for records in documents
        for one in searcher.document("a.json", json.dumps({"Records": records}).encode()).findings
    }


def ran(world, operation):
    return [one for one in world.sandbox.calls if one.call.operation == operation]


def test_the_answers_are_those_of_the_files(world, aws, prepared):
    rows = list(records(LOGS, aws, scope(), ASKED))
    files = [written(number, region) for number in range(DAYS) for region in REGIONS]
    right = found(files)
    assert found([rows]) == right
    assert {question for question, _, _ in right} >= {0, 1, len(ASKED) - 1}
    assert len(rows) < sum(map(len, files))  # not all of it came over the wire


def test_only_the_days_and_regions_asked_for_are_read_as_was_said(world, aws, prepared):
    told: list[athena.Progress] = []
    one = scope(1, 3, (REGIONS[0],))
    rows = list(records(LOGS, aws, one, FEW, told.append))
    s3 = world.client("s3")
    days = range(1, 5)  # the fourth is read, too: files come late
    sizes = [
        s3.head_object(Bucket=BUCKET, Key=key_of(number, REGIONS[0]))["ContentLength"]
        for number in days
    ]
    said = athena.scan_estimate(LOGS, aws, one)
    assert (said.size, said.files) == (sum(sizes), len(days))
    assert told[-1] == ("SUCCEEDED", said.size)
    assert [one.state for one in told] == ["QUEUED", "RUNNING", "SUCCEEDED"]
    assert {row["eventTime"][:10] for row in rows} == {f"{day_of(one):%Y-%m-%d}" for one in (1, 2)}
    assert {row["awsRegion"] for row in rows} == {REGIONS[0]}


def test_a_whole_month_is_listed_at_once(world, aws):
    whole = athena.scoped(LOGS, datetime(2024, 10, 1, tzinfo=UTC), day_of(DAYS), (REGIONS[0],))
    before = len(ran(world, "ListObjectsV2"))
    assert athena.scan_estimate(LOGS, aws, whole).files == DAYS
    listed = len(ran(world, "ListObjectsV2")) - before
    assert listed == 1 + 4  # October, and the first days of November


@pytest.mark.parametrize(
    ("size", "dollars"), [(0, "0.00005"), (10**7, "0.00005"), (10**12, "5"), (10**11, "0.5")]
)
def test_what_it_costs(size, dollars):
    assert str(athena.Estimate(size).dollars.normalize()) == str(
        athena.Estimate(size).dollars.__class__(dollars).normalize()
    )


def test_what_is_there_is_not_made_again(world, aws, prepared):
    before = len(world.sandbox.calls)
    assert athena.prepare(LOGS, aws) == []
    made = [one.call.operation for one in world.sandbox.calls[before:]]
    assert made == ["GetWorkGroup", "ListTagsForResource", "GetDatabase", "GetTable"]


def test_a_table_that_reads_elsewhere_is_set_right(world, aws, prepared):
    moved = Logs(PLACE, "past", "another-bucket", FOLDER, REGIONS)
    assert athena.prepare(moved, aws) == ["Glue database past_history"]
    assert athena.prepare(LOGS, aws) == ["Glue database past_history"]
    assert athena.prepare(LOGS, aws) == []


def test_a_workgroup_without_managed_results_is_set_right(world, aws, prepared):
    changes: Any = {"ManagedQueryResultsConfigurationUpdates": {"Enabled": False}}
    world.client("athena").update_work_group(WorkGroup="past-history", ConfigurationUpdates=changes)
    assert athena.prepare(LOGS, aws) == ["Athena workgroup past-history"]
    assert list(records(LOGS, aws, scope(0, 1), FEW))


def test_so_is_one_that_lets_a_query_read_whatever_it_costs(world, aws, prepared):
    client, changes = world.client("athena"), {"BytesScannedCutoffPerQuery": 10**13}
    client.update_work_group(WorkGroup="past-history", ConfigurationUpdates=changes)
    assert athena.prepare(LOGS, aws) == ["Athena workgroup past-history"]
    made = client.get_work_group(WorkGroup="past-history")["WorkGroup"]["Configuration"]
    assert made["BytesScannedCutoffPerQuery"] == 10**12


def test_what_would_read_more_than_that_is_refused_beforehand(world, aws, monkeypatch):
    size = athena.scan_estimate(LOGS, aws, scope()).size
    monkeypatch.setattr(athena, "CUTOFF", size - 1)
    with pytest.raises(CtwatchError, match=r"Athena would read \d+ KB, .*: more than the") as told:
        athena.scan_estimate(LOGS, aws, scope())
    assert "--since" in told.value.hint
    assert "--region" in told.value.hint
    assert athena.scan_estimate(LOGS, aws, scope(regions=REGIONS[:1])).files == DAYS
    monkeypatch.setattr(athena, "CUTOFF", size)
    assert athena.scan_estimate(LOGS, aws, scope()).size == size


def test_what_reads_more_than_that_is_cancelled(world, aws, prepared):
    least = 10_000_000  # that AWS takes as a limit
    body = bytes(least + 1)
    world.client("s3").put_object(Bucket=BUCKET, Key=key_of(30, REGIONS[0]), Body=body)
    world.client("athena").update_work_group(
        WorkGroup="past-history", ConfigurationUpdates={"BytesScannedCutoffPerQuery": least}
    )
    with pytest.raises(AwsError, match="was cancelled: Bytes scanned limit was exceeded") as told:
        list(records(LOGS, aws, scope(30, 31), FEW))
    assert "--since" in told.value.hint
    assert list(records(LOGS, aws, scope(0, 1), FEW))
    athena.prepare(LOGS, aws)


def test_what_is_somebody_elses_is_left_alone(world, aws):
    world.client("athena").create_work_group(Name="theirs-history")
    theirs = Logs(PLACE, "theirs", BUCKET, FOLDER, REGIONS)
    with pytest.raises(ForeignError, match="workgroup theirs-history is not this watch's"):
        athena.prepare(theirs, aws)


def test_the_types_of_columns_are_written_as_glue_takes_them(world, aws, prepared):
    """https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html"""
    ask = {"DatabaseName": LOGS.catalog.name, "Name": "cloudtrail"}
    table = world.client("glue").get_table(**ask)["Table"]
    types = [one["Type"] for one in table["StorageDescriptor"]["Columns"]]
    assert len(types) > 20
    assert [one for one in types if not re.fullmatch("[a-z0-9_<>:,]+", one)] == []


def test_what_was_made_carries_the_tag(world, aws, prepared):
    tagged = world.client("resourcegroupstaggingapi").get_resources(
        TagFilters=[{"Key": "ctwatch:watch", "Values": ["past"]}]
    )
    arns = {one["ResourceARN"] for one in tagged["ResourceTagMappingList"]}
    assert arns == {LOGS.workgroup.arn, LOGS.catalog.arn}


def test_what_was_made_goes_and_the_files_stay(world, aws, prepared):
    for one in (LOGS.workgroup, LOGS.catalog):
        one.delete(aws)
        one.delete(aws)  # already gone is fine
        assert one.read(aws) is None
    assert athena.scan_estimate(LOGS, aws, scope()).files == DAYS * len(REGIONS)


def test_many_rows_come_page_by_page(world, aws, prepared, monkeypatch):
    monkeypatch.setattr(athena, "_PAGE", 20)
    many = [
        {
            **written(0, REGIONS[0])[0],
            "eventTime": f"{day_of(20):%Y-%m-%d}T01:00:00Z",
            "eventName": "Put",
            "eventID": f"many-{i}",
        }
        for i in range(50)
    ]
    body = gzip.compress(json.dumps({"Records": many}).encode())
    world.client("s3").put_object(Bucket=BUCKET, Key=key_of(20, REGIONS[0]), Body=body)
    before = len(ran(world, "GetQueryResults"))
    put = questions.Question("put", {"detail": {"eventName": ["Put"]}})
    rows = list(records(LOGS, aws, scope(20, 21), [put]))
    assert {one["eventID"] for one in rows} == {one["eventID"] for one in many}
    assert len(ran(world, "GetQueryResults")) - before == 3


class EnoughError(Exception):
    pass


@pytest.mark.parametrize("kind", [KeyboardInterrupt, EnoughError])
def test_a_query_that_nobody_waits_for_is_stopped(world, aws, prepared, kind):
    def tell(one: athena.Progress) -> None:
        if one.state == "RUNNING":
            raise kind

    before = len(ran(world, "StopQueryExecution"))
    with pytest.raises(kind):
        list(records(LOGS, aws, scope(), FEW, tell))
    stopped = ran(world, "StopQueryExecution")[before:]
    (one,) = stopped
    query = one.call.params["QueryExecutionId"]
    told = world.client("athena").get_query_execution(QueryExecutionId=query)
    assert told["QueryExecution"]["Status"]["State"] == "CANCELLED"


def test_one_that_has_ended_is_not_stopped(world, aws, prepared):
    before = len(ran(world, "StopQueryExecution"))
    rows = records(LOGS, aws, scope(), FEW)
    next(rows)
    rows.close()
    assert len(ran(world, "StopQueryExecution")) == before


def test_a_query_that_somebody_else_stopped_says_so(world, aws, prepared):
    def tell(one: athena.Progress) -> None:
        if one.state == "RUNNING":
            (*_, last) = ran(world, "GetQueryExecution")
            query = last.call.params["QueryExecutionId"]
            world.client("athena").stop_query_execution(QueryExecutionId=query)

    with pytest.raises(AwsError, match="Athena's query was cancelled: Query cancelled by user"):
        list(records(LOGS, aws, scope(), FEW, tell))


def test_a_query_that_fails_says_why_and_what_to_do(world, aws, prepared):
    key = key_of(10, REGIONS[0])
    world.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"cut")
    with pytest.raises(AwsError, match=r"Athena's query failed: HIVE_BAD_DATA") as told:
        list(records(LOGS, aws, scope(10, 11), FEW))
    assert "--from bucket" in told.value.hint


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("StartQueryExecution", "TooManyRequestsException"),
        ("GetQueryExecution", "AccessDeniedException"),
        ("GetQueryResults", "AccessDeniedException"),
    ],
)
def test_what_is_refused_is_said_in_a_sentence(world, aws, prepared, operation, code):
    world.refuse = lambda _, called, __: (code, "No.") if called == operation else None
    with pytest.raises(AwsError, match=f"asking Athena in .*{operation} answered {code}: No") as it:
        list(records(LOGS, aws, scope(), FEW))
    assert it.value.hint


@pytest.mark.parametrize(
    "operation",
    ["GetWorkGroup", "CreateWorkGroup", "GetDatabase", "CreateDatabase", "CreateTable"],
)
def test_so_is_what_is_refused_beforehand(world, aws, operation):
    other = Logs(PLACE, f"other-{operation.lower()}", BUCKET, FOLDER, REGIONS)
    world.refuse = lambda _, called, __: (
        ("AccessDeniedException", "") if called == operation else None
    )
    with pytest.raises(AwsError, match=f"making .*{operation} answered AccessDenied"):
        athena.prepare(other, aws)


def test_nothing_is_asked_where_no_log_file_can_tell(world, aws):
    before = len(world.sandbox.calls)
    (part,) = catalogue()["log-object-deletion"].filled(SAMPLE)
    asked = [questions.Question("deleted", part.pattern)]
    assert list(records(LOGS, aws, scope(), asked)) == []
    assert len(world.sandbox.calls) == before


def test_what_the_table_does_not_hold_is_named():
    (part,) = catalogue()["insight"].filled(SAMPLE)
    asked = questions.Question("insight", part.pattern)
    assert athena.unanswerable(asked) == ("detail.insightDetails.state",)


# The sandbox's Athena


def test_results_need_a_place(world):
    client = world.client("athena")
    with pytest.raises(client.exceptions.InvalidRequestException, match="No output location"):
        client.start_query_execution(QueryString="SELECT 1")


def test_results_are_had_when_a_query_has_ended(world, aws, prepared):
    client = world.client("athena")
    started = client.start_query_execution(QueryString="SELECT 1", WorkGroup="past-history")
    query = started["QueryExecutionId"]
    with pytest.raises(client.exceptions.InvalidRequestException, match="not yet finished"):
        client.get_query_results(QueryExecutionId=query)


def test_the_same_token_is_the_same_query(world, aws, prepared):
    client, token = world.client("athena"), "t" * 32
    asked: Any = {"WorkGroup": "past-history", "ClientRequestToken": token}
    first, second = (
        client.start_query_execution(QueryString="SELECT 1", **asked) for _ in range(2)
    )
    assert first["QueryExecutionId"] == second["QueryExecutionId"]
    with pytest.raises(client.exceptions.InvalidRequestException, match="Idempotent"):
        client.start_query_execution(QueryString="SELECT 2", **asked)
