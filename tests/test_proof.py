import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from botocore.stub import ANY, Stubber

from ctwatch.aws import connect
from ctwatch.clock import Clock
from ctwatch.errors import AwsError
from ctwatch.proof import (
    Delivery,
    Receipt,
    Signal,
    await_deliveries,
    await_receipts,
    deliveries,
    moment,
    receipts,
)

REGION = "ap-northeast-2"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LOG = "/aws/lambda/f"


@pytest.fixture
def aws(sandbox):
    return connect(None, sandbox.region)


@pytest.fixture
def queue(aws):
    return aws.sqs.create_queue(QueueName="receipts")["QueueUrl"]


def event(event_id="e", trail="t", **more):
    detail = {"eventID": event_id, "requestParameters": {"name": trail}, **more}
    return {"id": f"bus-{event_id}", "detail": detail}


def body(one, at="2026-11-21T12:00:00.250Z"):
    """What SNS would put into the queue."""
    message = one if isinstance(one, str) else json.dumps(one)
    return json.dumps({"Type": "Notification", "Message": message, "Timestamp": at})


def put(aws, queue, *bodies):
    for one in bodies:
        aws.sqs.send_message(QueueUrl=queue, MessageBody=one)


def anything(_):
    return True


def found(aws, queue, wanted=anything, count=1, seconds=5.0):
    return list(await_receipts(aws, queue, wanted, count, seconds))


# ---------------------------------------------------------------- one receipt


def test_a_receipt_is_the_event_and_when_the_topic_sent_it(aws, queue):
    put(aws, queue, body(event("e1")))
    [receipt] = receipts(aws, queue)
    assert receipt.event == event("e1")
    assert receipt.at == NOON + timedelta(milliseconds=250)
    assert receipt.event_id == "e1"


@pytest.mark.parametrize(
    ("given", "trail"),
    [
        ({"name": "t"}, "t"),
        ({"trailName": "t"}, "t"),
        ({"name": "arn:aws:cloudtrail:ap-northeast-2:123456789012:trail/t"}, "t"),
        ({"name": None, "trailName": "t"}, "t"),
        ({"name": 5}, "5"),
        ({}, ""), (None, ""), ("omitted", ""), (["name"], ""),
    ],
)  # fmt: skip
def test_the_trail_is_what_the_call_named(given, trail):
    assert Receipt({"detail": {"requestParameters": given}}, NOON).trail == trail


@pytest.mark.parametrize("strange", [{}, {"detail": None}, {"detail": "text"}, {"detail": [1]}])
def test_an_event_of_another_kind_names_no_trail_and_has_no_record(strange):
    receipt = Receipt(strange, NOON)
    assert (receipt.detail, receipt.trail, receipt.event_id) == ({}, "", "")


GARBAGE = [
    "plain text", "[]", "5", "null", "{}", '{"Message": "{}"}', '{"Timestamp": "2026-11-21"}',
    body(event(), "yesterday"), body(event(), None), body(event(), 5),
    body(event(), "2026-11-21T12:00:00"), '{"Message": {}, "Timestamp": "2026-11-21T12:00:00Z"}',
]  # fmt: skip


def test_what_the_topic_would_not_send_is_no_receipt(aws, queue):
    put(aws, queue, *GARBAGE)
    assert found(aws, queue, seconds=0.2) == []


TEXT = "CloudTrail\nTrail: ctwatch-probe-1\n{}: 5f0d1b6c-6f6e-4c1e-9a43-5a3f5c1f2a10\nRequest ID: r"


@pytest.mark.parametrize("label", ["Event ID", "이벤트 ID"])
def test_a_text_for_people_is_a_receipt_that_names_its_event(aws, queue, label):
    put(aws, queue, body(TEXT.format(label)))
    [receipt] = receipts(aws, queue)
    assert (receipt.event, receipt.sender) == ({}, "topic")
    assert receipt.event_id == "5f0d1b6c-6f6e-4c1e-9a43-5a3f5c1f2a10"
    assert receipt.mentions("ctwatch-probe-1")
    assert not receipt.mentions("ctwatch-probe-2")


@pytest.mark.parametrize("text", ["plain text", '"text"', "5", "null", "[1]", ""])
def test_any_other_text_is_one_that_names_none(aws, queue, text):
    put(aws, queue, body(text))
    [receipt] = receipts(aws, queue)
    assert (receipt.event, receipt.event_id, receipt.trail) == ({}, "", "")


def test_an_event_straight_from_a_rule_came_when_the_queue_got_it(aws, queue):
    before = datetime.now(UTC) - timedelta(seconds=2)
    put(aws, queue, json.dumps({"detail-type": "AWS API Call via CloudTrail", **event("e1")}))
    [receipt] = receipts(aws, queue)
    assert (receipt.sender, receipt.event_id, receipt.trail) == ("rule", "e1", "t")
    assert before < receipt.at < datetime.now(UTC) + timedelta(seconds=2)


def test_the_same_event_from_the_topic_and_from_a_rule_are_two_receipts(aws, queue):
    put(aws, queue, body(event("e")), json.dumps({"detail-type": "x", **event("e")}))
    assert {one.sender for one in found(aws, queue, count=2, seconds=20)} == {"topic", "rule"}


def test_a_queue_that_cannot_be_read_is_a_sentence(aws, queue):
    aws.sqs.delete_queue(QueueUrl=queue)
    with pytest.raises(AwsError, match="reading the receipts: ReceiveMessage answered"):
        receipts(aws, queue)


# ---------------------------------------------------------------- waiting for receipts


def test_its_own_event_is_found_among_others_and_garbage(aws, queue):
    others = [body(event(f"e{n}", f"other-{n}")) for n in range(15)]
    put(aws, queue, *GARBAGE[:9], *others, body(event("mine", "ctwatch-probe-1")), *GARBAGE[9:])
    [receipt] = found(aws, queue, lambda one: one.trail == "ctwatch-probe-1", seconds=20)
    assert receipt.event_id == "mine"


def test_a_receipt_that_comes_late_is_waited_for(aws, queue):
    later = threading.Timer(0.3, put, (aws, queue, body(event("late"))))
    later.start()
    [receipt] = found(aws, queue, seconds=20)
    later.join()
    assert receipt.event_id == "late"


def test_reading_ends_when_all_that_is_asked_for_has_come(aws, queue):
    put(aws, queue, *[body(event(f"e{n}")) for n in range(5)])
    assert len(found(aws, queue, count=2, seconds=60)) == 2


def test_it_ends_with_the_time_too(sandbox, queue):
    aws = connect(None, sandbox.region, Clock(speed=1000))
    put(aws, queue, body(event("e")))
    before = aws.clock.monotonic()
    assert len(found(aws, queue, count=2, seconds=1500)) == 1
    assert aws.clock.monotonic() - before >= 1500


def test_no_time_reads_nothing(aws, queue, sandbox):
    put(aws, queue, body(event()))
    with sandbox.recording() as calls:
        assert found(aws, queue, seconds=0) == []
        assert found(aws, queue, count=0) == []
    assert calls == []


def test_an_event_that_comes_twice_is_told_once(aws, queue):
    put(aws, queue, body(event("same")), body(event("same"), "2026-11-21T12:00:09.000Z"),
        body(event("another")))  # fmt: skip
    ids = [one.event_id for one in found(aws, queue, count=2, seconds=20)]
    assert sorted(ids) == ["another", "same"]


def test_events_without_a_record_are_told_apart_by_the_bus_s_own_id(aws, queue):
    put(aws, queue, *[body({"id": name, "detail": {}}) for name in "aab"])
    ids = [one.event["id"] for one in found(aws, queue, count=2, seconds=20)]
    assert sorted(ids) == ["a", "b"]


def test_an_event_is_known_by_its_record_and_else_by_the_bus_s_own_id():
    assert Receipt({"id": "a", "detail": {"eventID": "b"}}, NOON).event_id == "b"
    assert Receipt({"id": "a", "detail": {"bucket": {}}}, NOON).event_id == "a"


def test_a_run_is_found_wherever_it_stands_in_the_event():
    sent = {"detail": {"resources": [{"ARN": "arn:aws:x:::추적-run1"}]}}
    receipt = Receipt(sent, NOON, json.dumps(sent, ensure_ascii=False))
    assert receipt.mentions("run1")
    assert receipt.mentions("추적")
    assert not receipt.mentions("run2")


def test_receipts_are_hidden_for_a_moment_and_never_deleted(aws, queue, sandbox):
    put(aws, queue, body(event("e")))
    with sandbox.recording() as calls:
        assert found(aws, queue)
        assert found(aws, queue, seconds=20)
    assert {call.operation for call in calls} == {"ReceiveMessage"}
    assert all(call.params["VisibilityTimeout"] == 2 for call in calls)


def test_more_than_can_be_read_before_the_first_come_back_is_read_all_the_same(
    aws, queue, monkeypatch
):
    """As where a page is visible again before the next can be asked for."""
    monkeypatch.setattr("ctwatch.proof._HIDDEN", 0)
    put(aws, queue, *[body(event(f"e{n}")) for n in range(35)], body(event("mine", "mine")))
    [receipt] = found(aws, queue, lambda one: one.trail == "mine", seconds=20)
    assert receipt.event_id == "mine"


def test_two_who_read_at_once_both_find_theirs(aws, queue):
    put(aws, queue, body(event("x", "a")), body(event("y", "b")), body(event("z", "c")))
    seen = aws.together(
        lambda: found(aws, queue, lambda one: one.trail in {"a", "b"}, 2, 30),
        lambda: found(aws, queue, lambda one: one.trail in {"b", "c"}, 2, 30),
    )
    assert [sorted(one.event_id for one in each) for each in seen] == [["x", "y"], ["y", "z"]]


# ---------------------------------------------------------------- deliveries


def line(event_id="e", outcome="delivered", sent=1, channel="discord", **more):
    """What the notifier writes; `sent` in seconds after noon."""
    return json.dumps({
        "ctwatch": outcome,
        "event_id": event_id,
        "channel": channel,
        "status": 200,
        "received": "2026-11-21T12:00:00.500Z",
        "sent": f"2026-11-21T12:00:{sent:02}.000Z",
        **more,
    })  # fmt: skip


def failed(sent=0, **more):
    return line(outcome="failed", sent=sent, status=500, error="Discord answered 500.", **more)


def write(sandbox, *lines, at=NOON):
    """Write a function's log past the sandbox's checks."""
    logs = sandbox.client("logs", sandbox.region)
    streams = logs.describe_log_groups(logGroupNamePrefix=LOG)["logGroups"]
    if not streams:
        logs.create_log_group(logGroupName=LOG)
        logs.create_log_stream(logGroupName=LOG, logStreamName="s")
    events = [{"timestamp": int(at.timestamp() * 1000), "message": one} for one in lines]
    logs.put_log_events(logGroupName=LOG, logStreamName="s", logEvents=events)


MINE = Receipt(event("e"), NOON)


@pytest.fixture
def today(monkeypatch):
    """CloudWatch Logs takes no lines from the future or the far past: let noon be now."""
    now = datetime.now(UTC)
    monkeypatch.setattr(f"{__name__}.MINE", Receipt(event("e"), now))
    return now


def test_a_line_of_the_notifier_is_a_delivery(sandbox, aws, today):
    write(sandbox, line(), at=today)
    assert deliveries(aws, LOG, MINE.signal) == [
        Delivery("discord", "delivered", 200, NOON + timedelta(seconds=0.5),
                 NOON + timedelta(seconds=1))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "arrived"),
    [
        ("delivered", True),
        ("duplicate", True),
        ("skipped", False),
        ("failed", False),
        ("", False),
    ],
)
def test_a_channel_has_taken_it_when_it_was_delivered_now_or_before(outcome, arrived):
    assert Delivery("discord", outcome, None, NOON, NOON).arrived is arrived


def test_lines_of_another_kind_or_of_another_event_are_none(sandbox, aws, today):
    write(
        sandbox,
        "START RequestId: e Version: $LATEST", 'REPORT "e"', '["e"]', '"e"', '{"event_id": "e"}',
        line("another", actor="e"), line(received="e"), line(received="2026-11-21T12:00:00"),
        line(channel="discord")[:-5] + "e",
        at=today,
    )  # fmt: skip
    assert deliveries(aws, LOG, MINE.signal) == []


def test_a_line_is_found_by_the_id_of_the_request_too(sandbox, aws, today):
    write(sandbox, line("another", request_id="r"), line("e"), at=today)
    assert [one.channel for one in deliveries(aws, LOG, Signal("r", today))] == ["discord"]


def test_a_function_that_never_wrote_has_delivered_nothing(aws):
    assert deliveries(aws, LOG, MINE.signal) == []


@pytest.fixture
def stubbed(aws):
    with Stubber(aws.logs) as stub:
        yield stub
        stub.assert_no_pending_responses()


def test_every_page_of_the_log_is_read_from_just_before_the_alert_on(aws, stubbed):
    asked = {
        "logGroupName": LOG,
        "filterPattern": '"e"',
        "startTime": int((NOON - timedelta(minutes=1)).timestamp() * 1000),
    }
    stubbed.add_response("filter_log_events", {"events": [], "nextToken": "more"}, asked)
    stubbed.add_response(
        "filter_log_events", {"events": [{"message": line()}]}, {**asked, "nextToken": ANY}
    )
    assert [one.channel for one in deliveries(aws, LOG, MINE.signal)] == ["discord"]


def test_a_log_that_may_not_be_read_is_not_an_empty_log(aws, stubbed):
    stubbed.add_client_error("filter_log_events", "AccessDeniedException", "no")
    with pytest.raises(AwsError, match=f"reading log group {LOG}: .*AccessDeniedException") as told:
        deliveries(aws, LOG, MINE.signal)
    assert told.value.denied


# ---------------------------------------------------------------- waiting for deliveries


@pytest.fixture
def hasty(sandbox):
    """The same account with a clock on which minutes are moments."""
    return connect(None, sandbox.region, Clock(speed=100))


def told(aws, *channels, seconds=60.0):
    return await_deliveries(aws, LOG, MINE.signal, frozenset(channels or ["discord"]), seconds)


@pytest.mark.usefixtures("today")
def test_a_delivery_that_is_there_is_told_without_waiting(sandbox, aws, today):
    write(sandbox, line(), at=today)
    assert told(aws, seconds=-1)["discord"].outcome == "delivered"


def test_what_failed_first_and_was_delivered_then_is_delivered(sandbox, hasty, today):
    write(sandbox, line(sent=5), failed(2), failed(9), at=today)
    assert told(hasty)["discord"].sent == NOON + timedelta(seconds=5)


def test_of_several_deliveries_the_first_counts(sandbox, hasty, today):
    write(sandbox, line(sent=7, outcome="duplicate"), line(sent=3), line(sent=5), at=today)
    assert told(hasty)["discord"].sent == NOON + timedelta(seconds=3)


def test_of_several_failures_the_first_is_told_when_the_time_is_over(sandbox, hasty, today):
    write(sandbox, failed(9), failed(2), at=today)
    one = told(hasty)["discord"]
    assert (one.outcome, one.sent, one.error) == (
        "failed", NOON + timedelta(seconds=2), "Discord answered 500.",
    )  # fmt: skip
    assert not one.arrived


def test_a_failure_without_a_reason_is_still_a_failure(sandbox, hasty, today):
    write(sandbox, line(outcome="failed", status=None), at=today)
    assert not told(hasty)["discord"].arrived


def test_a_delivery_that_comes_late_is_waited_for(sandbox, aws, today):
    write(sandbox, failed(), at=today)
    later = threading.Timer(0.3, write, (sandbox, line(sent=4)), {"at": today})
    later.start()
    assert told(aws)["discord"].arrived
    later.join()


def test_a_channel_that_skipped_it_is_not_waited_for(sandbox, hasty, today):
    write(sandbox, line(), line(channel="second", outcome="skipped", status=None), at=today)
    before = hasty.clock.monotonic()
    both = told(hasty, "discord", "second", seconds=600)
    assert hasty.clock.monotonic() - before < 300
    assert (both["second"].skipped, both["second"].arrived) == (True, False)
    assert not both["discord"].skipped


@pytest.mark.parametrize(
    ("outcomes", "counts"),
    [(["failed", "skipped"], "skipped"), (["delivered", "skipped"], "delivered")],
)
def test_a_skip_outweighs_a_failure_and_a_delivery_outweighs_a_skip(
    sandbox, hasty, today, outcomes, counts
):
    lines = [line(outcome=one, sent=n) for n, one in enumerate(outcomes, 1)]
    write(sandbox, *lines, *reversed(lines), at=today)
    assert told(hasty)["discord"].outcome == counts


def test_every_channel_is_waited_for_and_what_came_is_told(sandbox, hasty, today):
    write(sandbox, line(), line(channel="second", outcome="failed", error="no"), at=today)
    before = hasty.clock.monotonic()
    both = told(hasty, "discord", "second")
    assert hasty.clock.monotonic() - before > 30
    assert {name: one.arrived for name, one in both.items()} == {"discord": True, "second": False}


def test_the_log_is_asked_less_and_less_often(hasty, sandbox):
    with sandbox.recording() as calls:
        assert told(hasty, seconds=200) == {}
    asked = [call for call in calls if call.operation == "FilterLogEvents"]
    assert 5 < len(asked) < 45


# ---------------------------------------------------------------- time


@pytest.mark.parametrize(
    "text",
    ["2026-11-21T12:00:00.000Z", "2026-11-21T21:00:00+09:00", "2026-11-21T12:00:00Z"],
)
def test_a_moment_is_utc_however_it_is_written(text):
    assert moment(text) == NOON
    assert moment(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "now", "2026-11-21T12:00:00", "2026-11-21"])
def test_a_time_of_no_zone_is_no_moment(text):
    with pytest.raises(ValueError, match=r"zone|Invalid isoformat"):
        moment(text)
