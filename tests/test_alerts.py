"""`ctwatch alerts`: what the function's log says, gathered, shown, and followed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from botocore.stub import ANY, Stubber
from watch_world import ADDRESS, ELSEWHERE, MAIL_ONLY, PLAIN, World, world_of

from ctwatch.alerts import alerts, following
from ctwatch.aws import connect
from ctwatch.cli import main
from ctwatch.errors import AwsError

LOG = "/aws/lambda/lambda-ct-detect-alarm"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EVIL = "a\x1b]0;owned\x07b\n✓ 2026\u202ed\x9b31m"


@pytest.fixture(scope="module")
def world(running, tmp_path_factory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("home")) as world:
        yield world


@pytest.fixture
def logged(world) -> World:
    """An account with nothing of the watch but the function's log."""
    world.use(PLAIN)
    world.client("logs").create_log_group(logGroupName=LOG)
    world.client("logs").create_log_stream(logGroupName=LOG, logStreamName="one")
    return world


@pytest.fixture
def aws(logged):
    return connect(None, logged.sandbox.region)


def stamp(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def line(event_id="e", channel="discord", outcome="delivered", status=200, at=0.0, **more):
    """What the notifier writes, so many seconds after it was called first."""
    sent = stamp(datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1, seconds=-at))
    return json.dumps({
        "ctwatch": outcome, "event_id": event_id, "request_id": "r", "event_name": "StopLogging",
        "title": "Stop CloudTrail logging", "severity": "high", "result": "succeeded", "label": "",
        "actor": "arn:aws:iam::123456789012:user/mallory", "channel": channel, "status": status,
        "ms": 5, "received": sent, "sent": sent, "message_id": None, **more,
    })  # fmt: skip


def write(world, *lines, ago=timedelta(hours=1)):
    stamped = int((datetime.now(UTC) - ago).timestamp() * 1000)
    world.client("logs").put_log_events(
        logGroupName=LOG,
        logStreamName="one",
        logEvents=[{"timestamp": stamped, "message": one} for one in lines],
    )


FAILED = {"outcome": "failed", "status": 500, "error": "Discord answered 500, no: `x`"}


@pytest.mark.parametrize(
    ("lines", "code", "says"),
    [
        ([line()], 0, "discord delivered 200"),
        ([line(outcome="skipped", status=None)], 0, "discord skipped"),
        ([line(outcome="duplicate", status=None)], 0, "discord duplicate"),
        ([line(**FAILED)], 3, "✗ discord failed 500: Discord answered 500, no: `x`"),
        ([line(**FAILED, at=n) for n in range(3)], 3, "discord failed 500 after 2 retries: Disc"),
        ([line(**FAILED), line(at=60)], 0, "discord delivered 200 after 1 retry"),
        ([line(at=60), line(**FAILED)], 0, "discord delivered 200 after 1 retry"),
        ([line(), line(at=1)], 0, "discord delivered 200, 2 times"),
        (
            [line(), line(outcome="duplicate", at=1), line(channel="slack", **FAILED)],
            3,
            "discord delivered 200, 1 duplicate held back ✗ slack failed 500: Disc",
        ),
        (
            [line(channel="slack", outcome="skipped", status=None), line(at=1)],
            0,
            "slack skipped · discord delivered 200",
        ),
    ],
)
def test_the_lines_of_an_event_are_one_alert_with_what_became_of_each_channel(
    logged, lines, code, says
):
    write(logged, *lines)
    one = logged.run("alerts")
    assert (one.code, one.err) == (code, "")
    assert says in one.out
    assert one.out.count("StopLogging") == 1


@pytest.mark.parametrize(
    ("sign", "lines"),
    [
        ("✓", [line()]),
        ("!", [line(**FAILED), line(at=60)]),
        ("✗", [line(), line(channel="slack", **FAILED)]),
        ("·", [line(outcome="skipped")]),
    ],
)
def test_its_sign_says_whether_it_arrived(logged, sign, lines):
    write(logged, *lines)
    assert logged.run("alerts").out[0] == sign


def test_alerts_come_in_order_the_newest_last_in_the_zone_of_the_config(logged):
    write(logged, line("b", event_name="Second", at=5), line("a", event_name="First"))
    write(logged, line("c", event_name="Third", at=9), ago=timedelta(hours=2))
    told = logged.run("alerts").out
    assert told.index("First") < told.index("Second") < told.index("Third")
    seoul = datetime.now(UTC) + timedelta(hours=8)
    assert f"✓ {seoul:%Y-%m-%d %H:}" in told
    assert told.count(" KST ") == 3


def test_what_could_not_be_read_has_no_id_and_is_one_alert_all_the_same(logged):
    odd = {"event_name": "", "title": "Unreadable event", "request_id": "", "result": ""}
    both = [line("", at=n, **odd) for n in (0, 0, 1)]
    write(logged, *both)
    told = logged.run("alerts").out
    assert told.count("Unreadable event, high") == 2
    assert "discord delivered 200, 2 times" in told


def test_a_line_of_an_older_notifier_says_what_it_can(logged):
    old = json.loads(line())
    for word in ("title", "severity", "result", "label"):
        del old[word]
    write(logged, json.dumps(old))
    told = logged.run("alerts").out
    assert " KST StopLogging by arn:aws:iam::123456789012:user/mallory discord delivered" in told


@pytest.mark.parametrize(
    ("label", "result", "says"),
    [
        ("DRILL", "failed", "DRILL StopLogging: Stop CloudTrail logging, high, failed attempt by"),
        ("SYNTHETIC", "denied", "SYNTHETIC StopLogging: Stop CloudTrail logging, high, denied att"),
        ("REAL", "succeeded", " KST StopLogging: Stop CloudTrail logging, high by"),
    ],
)
def test_a_drill_is_labelled_and_an_attempt_called_one(logged, label, result, says):
    write(logged, line(label=label, result=result))
    assert says in logged.run("alerts").out


def test_no_line_but_the_notifiers_is_an_alert(logged):
    write(
        logged, "START RequestId: event_id", '"event_id"', '["event_id"]', '{"event_id": "e"}',
        line(received="noon"), line(sent="2026-11-21T12:00:00"), line()[:-9] + '"event_id"',
        "[ERROR] event_id\nTraceback",
    )  # fmt: skip
    one = logged.run("alerts")
    assert (one.code, one.out, one.err) == (0, "", "No alerts in the last 24 h.")


def test_only_what_is_young_enough_is_told(logged):
    write(logged, line())
    assert logged.run("alerts", "--since", "30m").err == "No alerts in the last 30 min."
    assert "StopLogging" in logged.run("alerts", "--since", "2h").out


def test_what_the_log_no_longer_holds_is_said(logged):
    write(logged, line())
    one = logged.run("alerts", "--since", "90d")
    assert one.err == "The log is kept for 30 days; what is older is gone."
    assert one.code == 0


@pytest.mark.parametrize("field", ["event_name", "title", "severity", "actor", "channel", "error"])
def test_what_an_intruder_wrote_moves_no_terminal_and_makes_no_line_of_its_own(
    logged, field, capsys
):
    write(logged, line(**FAILED, **{field: EVIL} if field != "error" else {}))
    if field == "error":
        write(logged, line(**{**FAILED, "error": EVIL}, at=60))
    main(["alerts", "--config", str(logged.config)])
    told = capsys.readouterr().out
    assert "owned" in told
    assert not set(told) & set(EVIL) - set("a]0;ownedb\n✓ 201631m")
    assert len(told.splitlines()) == 3


def test_json_says_all_of_it_and_keeps_a_terminal_safe(logged, capsys):
    said = {"actor": EVIL, "title": "CloudTrail 로깅 중지"}
    write(logged, line(**said), line(**said, **FAILED, channel="slack"))
    assert main(["alerts", "--json", "--config", str(logged.config)]) == 3
    printed = capsys.readouterr()
    assert "로깅" in printed.out
    assert not set(printed.out) & set("\x1b\x07\x9b\u202e")
    document = json.loads(printed.out)
    assert (list(document), printed.err) == (["since", "alerts", "dead_letters"], "")
    (one,) = document["alerts"]
    assert datetime.fromisoformat(one["received"]).tzinfo
    assert (one["event_id"], one["name"], one["label"]) == ("e", "StopLogging", None)
    first, second = one.pop("channels")
    assert {**first, "sent": ""} == {
        "channel": "discord", "outcome": "delivered", "status": 200, "retries": 0, "times": 1,
        "duplicates": 0, "error": None, "sent": "", "message_id": None,
    }  # fmt: skip
    assert (second["outcome"], second["error"]) == ("failed", FAILED["error"])


def test_no_alerts_as_json_is_an_empty_list(logged):
    one = logged.run("alerts", "--json", "-q")
    assert (one.code, one.err) == (0, "")
    assert json.loads(one.out)["alerts"] == json.loads(one.out)["dead_letters"] == []


# What AWS has given up


def bury(world, messages, region=None):
    queues = world.client("sqs", region)
    url = queues.create_queue(QueueName="ctwatch-dead-letter")["QueueUrl"]
    for number in range(messages):
        queues.send_message(QueueUrl=url, MessageBody=str(number))


def test_dead_letters_are_named_at_the_end_with_what_to_do(logged):
    write(logged, line())
    bury(logged, 2)
    one = logged.run("alerts")
    assert one.code == 3
    _, end = one.out.split("discord delivered 200 ")
    assert end.startswith(
        "• queue ctwatch-dead-letter holds 2 messages that AWS could not deliver and has given up "
        "→ What is broken: ctwatch status. What was lost: aws sqs receive-message "
    )
    where = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/ctwatch-dead-letter"
    assert end.endswith(f"aws sqs purge-queue --region ap-northeast-2 --queue-url {where}")


def test_dead_letters_of_other_regions_count_and_json_has_them(logged):
    logged.config.write_text(yaml.safe_dump(ELSEWHERE), encoding="utf-8")
    bury(logged, 0)
    bury(logged, 1, "us-east-1")
    one = logged.run("alerts", "--json")
    (lost,) = json.loads(one.out)["dead_letters"]
    assert (one.code, lost["region"], lost["messages"]) == (3, "us-east-1", 1)
    told = logged.run("alerts")
    assert "queue ctwatch-dead-letter in us-east-1 holds a message that" in told.out
    assert told.err == "No alerts in the last 24 h."


def test_a_queue_that_may_not_be_looked_at_is_not_empty(logged):
    bury(logged, 1)
    logged.refuse = lambda _, name, __: (
        ("AccessDenied", "no") if name == "GetQueueAttributes" else None
    )
    one = logged.run("alerts")
    logged.refuse = lambda *_: None
    assert (one.code, one.out) == (1, "")
    assert "queue ctwatch-dead-letter: GetQueueAttributes answered AccessDenied" in one.err


# No log


def test_without_a_log_group_nothing_is_as_promised(world):
    world.use(PLAIN)
    for more in ([], ["--follow"], ["--json"]):
        one = world.run("alerts", *more)
        assert (one.code, one.out) == (3, "")
        assert one.err == (
            f"Error: log group {LOG} is not there, and nothing else tells of alerts "
            "What else is missing: ctwatch status. What makes it: ctwatch up"
        )


def test_a_watch_of_mails_alone_has_no_log(world):
    world.use(MAIL_ONLY)
    one = world.run("alerts")
    assert (one.code, one.out) == (1, "")
    assert "the watch ctwatch has mails alone, and no function whose log would tell" in one.err


@pytest.mark.parametrize("since", ["yesterday", "3y"])
def test_a_slip_of_the_fingers_is_told_before_aws_is_asked(logged, since):
    before = len(logged.sandbox.calls)
    one = logged.run("alerts", "--since", since)
    assert (one.code, one.out) == (2, "")
    assert one.err.startswith(f"Error: --since: '{since}' is neither a span of time nor a date Say")
    assert len(logged.sandbox.calls) == before


def test_every_page_is_read_though_one_is_empty_and_no_event_twice(aws):
    asked = {"logGroupName": LOG, "filterPattern": '"event_id"', "startTime": 1000}
    told = {"timestamp": 2000, "message": line(), "eventId": "1"}
    with Stubber(aws.logs) as stub:
        stub.add_response("filter_log_events", {"events": [], "nextToken": "more"}, asked)
        for more in ({"nextToken": "and more"}, {}):
            answer = {"events": [told], **more}
            stub.add_response("filter_log_events", answer, {**asked, "nextToken": ANY})
        (alert,) = alerts(aws, LOG, datetime.fromtimestamp(1, UTC))
        stub.assert_no_pending_responses()
    assert [one.times for one in alert.channels] == [1]


def test_a_log_that_may_not_be_read_is_not_an_empty_log(aws):
    with Stubber(aws.logs) as stub:
        stub.add_client_error("filter_log_events", "AccessDeniedException", "no")
        with pytest.raises(AwsError, match=f"reading log group {LOG}: .*AccessDeniedExc") as told:
            alerts(aws, LOG, NOON)
    assert told.value.denied


# Following


class Looks:
    """What happens between two looks of `--follow`; after the last, Ctrl-C."""

    def __init__(self, *between) -> None:
        self.between = iter(between)

    def __call__(self, seconds: float) -> None:
        assert 1 <= seconds <= 10
        happens = next(self.between, None)
        if happens is None:
            raise KeyboardInterrupt
        happens()


def test_following_prints_what_comes_and_nothing_twice(logged, monkeypatch):
    write(logged, line("a", event_name="First"))
    looks = Looks(
        lambda: write(logged, line("b", event_name="Second", at=3, **FAILED)),
        lambda: write(logged, line("b", event_name="Second", at=63, **FAILED)),
        lambda: write(logged, line("b", event_name="Second", at=183)),
        lambda: write(logged, line("b", event_name="Second", outcome="duplicate", at=190)),
        lambda: write(logged, line("late", event_name="Late"), ago=timedelta(hours=1, minutes=5)),
        lambda: None,
    )
    monkeypatch.setattr("ctwatch.clock.Clock.sleep", looks)
    one = logged.run("alerts", "--follow")
    assert (one.code, one.err) == (130, "")
    told = [part.split(":")[0] for part in one.out.split(" KST ")[1:]]
    assert told == ["First", "Second", "Second", "Late"]
    assert "✗ discord failed 500: Disc" in one.out
    assert "discord delivered 200 after 2 retries" in one.out


def test_a_duplicate_of_what_was_told_long_ago_is_not_told_again(logged, monkeypatch):
    write(logged, line("a", event_name="First"))
    write(logged, line("b", event_name="Second"), ago=timedelta(minutes=30))
    again = line("a", event_name="First", outcome="duplicate", at=2400)
    looks = Looks(lambda: write(logged, again, ago=timedelta(minutes=25)), lambda: None)
    monkeypatch.setattr("ctwatch.clock.Clock.sleep", looks)
    told = logged.run("alerts", "--follow").out
    assert (told.count("First"), told.count("Second")) == (1, 1)


def test_following_as_json_is_an_object_a_line(logged, monkeypatch, capsys):
    write(logged, line("a"), line("b", at=1))
    bury(logged, 1)
    looks = Looks(lambda: write(logged, line("c", channel="slack", at=2)))
    monkeypatch.setattr("ctwatch.clock.Clock.sleep", looks)
    assert main(["alerts", "-f", "--json", "--config", str(logged.config)]) == 130
    printed = capsys.readouterr()
    told = [json.loads(one) for one in printed.out.splitlines()]
    assert [one["event_id"] for one in told] == ["a", "b", "c"]
    assert "holds a message that AWS could not deliver" in printed.err


def test_following_does_not_read_the_whole_log_at_each_look(aws, logged):
    write(logged, line())
    looks = following(aws, LOG, NOON - timedelta(days=365))
    aws.clock.speed = 1000
    before = len(logged.sandbox.calls)
    assert [len(next(looks)) for _ in range(3)] == [1, 0, 0]
    asked = [one.params["startTime"] for one in logged.sandbox.calls[before:]]
    assert asked[0] < asked[1] == asked[2]


# The whole way


def test_what_a_drill_has_made_is_told_by_the_log_in_korean(world):
    world.use({**PLAIN, "alerts": {"language": "ko"}})
    assert world.run("up").code == 0
    assert world.run("simulate", "stop-logging", "--timeout", "60").code == 0
    world.settle()
    one = world.run("alerts")
    assert (one.code, one.err) == (0, "")
    assert " KST DRILL StopLogging: CloudTrail 로깅 중지, medium, failed attempt by arn:" in one.out
    assert one.out.endswith("discord delivered 200")
    assert ADDRESS not in one.out
