"""The drills, in one watch that is built once and mended after each test that breaks it."""

import json
import secrets
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError, EndpointConnectionError

from ctwatch.aws import connect
from ctwatch.blows import Blow, Proof, Rung, probe
from ctwatch.clock import Clock
from ctwatch.demo import confirmation_link, follow
from ctwatch.engine import build, inspect
from ctwatch.errors import AwsError, CtwatchError
from ctwatch.opening import Choice, opened
from ctwatch.proof import Receipt
from ctwatch.simulate import Drill, Order, _people, drill, heard_of_deletion
from ctwatch.techniques import DECOY, TECHNIQUES, Probe

ADDRESS = "security@example.com"
CONFIG = {
    "topic": {"emails": [ADDRESS]},
    "channels": [{"type": "discord", "url": "env:DISCORD_WEBHOOK_URL"}],
}
STOP = TECHNIQUES["stop-logging"]
WAY = ["recorded", "matched", "topic", "function", "discord", ADDRESS]
PLENTY = 60.0
BRIEF = 1.2


@dataclass
class World:
    """A sandbox with a watch in it."""

    sandbox: Any
    watch: Any
    aws: Any

    def findings(self):
        return inspect(self.watch.resources, self.aws)

    def mend(self):
        failed = [step for step in build(self.findings(), self.aws) if step.error]
        assert failed == []

    def drills(self, *techniques, limit=PLENTY, watch=None, findings=None):
        """The blows, and each ladder as {hop: rung}, by technique."""
        looked = self.findings() if findings is None else findings
        told = list(
            drill(Order(techniques or [STOP], limit), watch or self.watch, looked, self.aws)
        )
        self.blows = [one for one in told if isinstance(one, Blow)]
        return [one for one in told if isinstance(one, Drill)]

    def ladder(self, **options):
        [one] = self.drills(**options)
        return {rung.hop: rung for rung in one.rungs}


@pytest.fixture(scope="module")
def world(running, tmp_path_factory):
    config = tmp_path_factory.mktemp("config") / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name in running.unset():
            patch.delenv(name, raising=False)
        for name, value in running.env().items():
            patch.setenv(name, value)
        found = opened(Choice(config), need_secrets=True)
        here = World(running, found.watch, found.aws)
        here.mend()
        assert running.idle()
        [mail] = running.inbox.mails
        follow(confirmation_link(mail))
        yield here


@pytest.fixture
def broken(world):
    """The world, for tests that break something in it: mended afterwards."""
    yield world
    world.sandbox._delivery._work.drop(lambda: None)  # retries that would wait a minute
    world.sandbox.inbox.reset()
    world.mend()


def proofs(ladder):
    return {hop: rung.proof for hop, rung in ladder.items()}


# ---------------------------------------------------------------- the whole ladder


def test_all_is_struck_first_and_then_proven(world):
    struck = [STOP, TECHNIQUES["put-event-selectors"], STOP]
    drills = world.drills(*struck)
    assert [blow.technique for blow in world.blows] == struck
    assert {one.blow.target for one in drills} == {blow.target for blow in world.blows}
    for one in drills:
        assert one.proven
        assert [rung.hop for rung in one.rungs] == WAY
        assert {blow.answer for blow in world.blows} == {"TrailNotFoundException"}


def test_the_ladder_says_when_by_whose_clock_and_with_what_answer(world):
    ladder = world.ladder()
    for hop in ("recorded", "matched", "topic"):
        assert ladder[hop] == Rung(hop, Proof.PROVEN, ladder["topic"].seconds, by=True)
    seconds = [ladder[hop].seconds for hop in ("topic", "function", "discord")]
    assert -1 < seconds[0] <= seconds[1] <= seconds[2] < PLENTY
    assert not ladder["function"].by
    assert ladder["discord"].note == "200"
    assert ladder[ADDRESS] == Rung(ADDRESS, Proof.UNPROVABLE, note="confirmed, handed to SNS")


def test_a_drill_knows_its_call_and_its_event(world):
    [one] = world.drills()
    assert one.blow.target.startswith(DECOY)
    assert one.blow.target.removeprefix(DECOY).isalnum()
    [event] = [
        json.loads(event["CloudTrailEvent"])
        for event in world.aws.cloudtrail.lookup_events()["Events"]
        if one.event_id in event["CloudTrailEvent"]
    ]
    assert event["eventName"] == "StopLogging"
    assert event["requestParameters"] == {"name": one.blow.target}
    assert event["requestID"] == one.blow.request_id
    assert abs(one.blow.at - datetime.fromisoformat(event["eventTime"])) < timedelta(seconds=5)
    assert one.blow.at.microsecond == 0


def test_the_alert_of_a_drill_reaches_discord_and_the_mailbox(world):
    world.sandbox.inbox.reset()
    [one] = world.drills()
    assert world.sandbox.idle()
    [post] = world.sandbox.inbox.posts
    [mail] = world.sandbox.inbox.mails
    assert one.event_id in json.dumps(post.payload)
    assert one.blow.target in mail.text


def test_two_drills_at_once_each_find_their_own(world):
    looked = world.findings()

    def one_drill():
        _, ended = drill(Order([STOP], PLENTY), world.watch, looked, world.aws)
        return ended

    first, second = world.aws.together(one_drill, one_drill)
    assert first.proven
    assert second.proven
    assert first.event_id != second.event_id


def test_a_watch_without_a_function_ends_at_the_topic_and_the_people(world):
    ladder = world.ladder(watch=replace(world.watch, function=None, webhook=None))
    assert [*ladder] == ["recorded", "matched", "topic", ADDRESS]


# ---------------------------------------------------------------- what is not proven


def test_a_webhook_that_refuses_is_told_and_the_rest_is_proven(broken):
    broken.sandbox.inbox.answer_with(500, times=10)
    ladder = broken.ladder(limit=BRIEF)
    assert ladder["topic"].proof is ladder["function"].proof is Proof.PROVEN
    assert ladder["discord"].proof is Proof.SILENT
    assert "500" in ladder["discord"].note
    assert ladder["discord"].seconds is None


def test_a_function_that_nobody_calls_is_told(broken):
    look = next(one for one in broken.findings() if one.resource is broken.watch.webhook)
    broken.aws.sns.unsubscribe(SubscriptionArn=look.live.facts["arn"])
    ladder = broken.ladder(limit=BRIEF)
    assert ladder["topic"].proof is Proof.PROVEN
    assert ladder["function"] == Rung("function", Proof.SILENT)
    assert ladder["discord"] == Rung("discord", Proof.SILENT)


def remove_receipts(world):
    look = next(one for one in world.findings() if one.resource is world.watch.receipt)
    world.aws.sns.unsubscribe(SubscriptionArn=look.live.facts["arn"])


def disable_rule(world):
    world.aws.events.disable_rule(Name=world.watch.rules[0].name)


def narrow_pattern(world):
    other = json.dumps({"source": ["aws.s3"]})
    world.aws.events.put_rule(Name=world.watch.rules[0].name, EventPattern=other)


def stop_trail(world):
    world.aws.cloudtrail.stop_logging(Name=world.watch.trail.name)


@pytest.mark.parametrize("sabotage", [remove_receipts, disable_rule, narrow_pattern, stop_trail])
def test_without_a_receipt_no_hop_is_proven(broken, sabotage):
    sabotage(broken)
    [one] = broken.drills(limit=BRIEF)
    assert {rung.proof for rung in one.rungs} == {Proof.SILENT}
    assert [rung.hop for rung in one.rungs] == WAY[:-1]
    assert (one.proven, one.event_id) == (False, "")


def test_without_a_function_its_silence_is_not_told(broken):
    disable_rule(broken)
    ladder = broken.ladder(limit=0.5, watch=replace(broken.watch, function=None, webhook=None))
    assert [*ladder] == ["recorded", "matched", "topic"]


def test_without_a_receipts_queue_nothing_is_struck(world):
    gone = replace(world.watch, receipts=replace(world.watch.receipts, name="gone"))
    with (
        world.sandbox.recording() as calls,
        pytest.raises(CtwatchError, match="queue gone does not exist") as told,
    ):
        world.drills(watch=gone, findings=[])
    assert "ctwatch up" in told.value.hint
    assert [call.operation for call in calls] == ["GetQueueUrl"]


def test_a_receipts_queue_that_may_not_be_looked_for_is_a_sentence(world, monkeypatch):
    monkeypatch.setattr(type(world.watch.receipts), "url", refusing("AccessDenied"))
    with pytest.raises(AwsError, match="looking for queue ctwatch-receipts") as told:
        world.drills(findings=[])
    assert told.value.denied
    with pytest.raises(AwsError, match="looking for queue ctwatch-receipts"):
        heard_of_deletion(world.watch, world.aws, datetime.now(UTC), 1)


# ---------------------------------------------------------------- the people


def people(world, **change):
    findings = [
        replace(one, **change) if one.resource in world.watch.people else one
        for one in world.findings()
    ]
    [rung] = _people(world.watch, findings)
    assert rung.proof is Proof.UNPROVABLE
    return rung.note


def test_what_can_be_said_of_an_inbox(world):
    look = next(one for one in world.findings() if one.resource in world.watch.people)
    pending = replace(look.live, state={**look.live.state, "confirmed": False})
    assert people(world) == "confirmed, handed to SNS"
    assert people(world, live=pending) == "not confirmed"
    filtered = replace(look.live, state={**look.live.state, "filter": {"source": ["x"]}})
    assert people(world, live=filtered) == "a filter may keep it back"
    assert people(world, live=None) == "not subscribed"
    assert people(world, live=None, error=AwsError("no")) == "AWS would not say"


# ---------------------------------------------------------------- the blow


def refusing(code, request_id=None, **headers):
    """A strike that AWS refuses."""

    def strike(*_):
        made = str(uuid.uuid4()) if request_id is None else request_id
        metadata = {"RequestId": made, "HTTPHeaders": headers}
        error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": metadata}
        raise ClientError(error, "StopLogging")

    return strike


def technique(strike):
    class Faked(Probe):
        def strike(self, aws, decoy):
            return strike(aws, decoy.name)

    about = ("t", "A story.", "trail-tampering", "cloudtrail", "StopLogging")
    return Faked(*about, lambda _: {})


def test_a_denied_call_counts_as_made(world):
    date = "Sat, 21 Nov 2026 12:00:00 GMT"
    blow = probe(
        technique(refusing("AccessDeniedException", "r", date=date)), world.aws, world.watch.place
    )
    assert (blow.answer, blow.request_id) == ("AccessDeniedException", "r")
    assert blow.at == datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_without_a_date_our_own_clock_tells_it(world):
    blow = probe(technique(refusing("AccessDeniedException")), world.aws, world.watch.place)
    assert abs(blow.at - datetime.now(UTC)) < timedelta(seconds=5)
    assert blow.at.microsecond == 0


@pytest.mark.parametrize("code", ["ThrottlingException", "Throttling", "TooManyRequestsException"])
def test_a_call_that_was_throttled_away_was_not_made(world, code):
    with pytest.raises(AwsError, match=f"calling StopLogging on {DECOY}.*{code}"):
        probe(technique(refusing(code)), world.aws, world.watch.place)


def unreachable(*_):
    raise EndpointConnectionError(endpoint_url="https://cloudtrail.example")


@pytest.mark.parametrize("strike", [refusing("ServiceUnavailable", request_id=""), unreachable])
def test_a_call_that_never_reached_aws_was_not_made(world, strike):
    with pytest.raises(AwsError, match=f"calling StopLogging on {DECOY}"):
        probe(technique(strike), world.aws, world.watch.place)


def test_each_blow_has_a_target_of_its_own(world):
    targets = {probe(STOP, world.aws, world.watch.place).target for _ in range(5)}
    assert len(targets) == 5


def test_a_call_that_succeeds_is_a_failed_drill(broken, monkeypatch):
    taken = "abc123"
    monkeypatch.setattr("ctwatch.blows.secrets.token_hex", lambda _: taken)
    past_all_checks = broken.sandbox.client("cloudtrail", broken.sandbox.region)
    past_all_checks.create_trail(Name=DECOY + taken, S3BucketName=broken.watch.bucket.name)
    [one] = broken.drills()
    past_all_checks.delete_trail(Name=DECOY + taken)
    assert one.blow.answer == ""
    assert {rung.proof for rung in one.rungs} == {Proof.PROVEN, Proof.UNPROVABLE}
    assert not one.proven


@pytest.mark.parametrize(
    ("answer", "rungs", "proven"),
    [
        ("TrailNotFoundException", [Proof.PROVEN, Proof.UNPROVABLE], True),
        ("TrailNotFoundException", [Proof.PROVEN, Proof.SILENT], False),
        ("", [Proof.PROVEN], False),
    ],
)
def test_a_drill_is_proven_when_all_that_can_be_was_and_the_call_failed(answer, rungs, proven):
    blow = Blow(STOP, DECOY, datetime.now(UTC), "r", answer)
    assert Drill(blow, tuple(Rung("h", proof) for proof in rungs)).proven is proven


# ---------------------------------------------------------------- receipts put by hand


@pytest.fixture
def queue(world):
    """A watch whose receipts queue is another one, and a way to put receipts there."""
    receipts = replace(world.watch.receipts, name="other-receipts")
    receipts.write(world.aws, None)
    url = receipts.url(world.aws)

    def put(name="ct-trail-monitor", call="DeleteTrail", at="2026-11-21T12:00:06.000Z"):
        event_id = secrets.token_hex(8)
        event = {"detail": {"eventID": event_id, "eventName": call,
                            "requestParameters": {"name": name}}}  # fmt: skip
        body = json.dumps({"Message": json.dumps(event), "Timestamp": at})
        world.aws.sqs.send_message(QueueUrl=url, MessageBody=body)
        return event_id

    yield replace(world.watch, receipts=receipts), put
    receipts.delete(world.aws)


def log_delivery(world, event_id):
    """Write the line of the notifier that says that Discord has taken it."""
    now = datetime.now(UTC).isoformat()
    line = {"ctwatch": "delivered", "event_id": event_id, "channel": "discord", "status": 200,
            "received": now, "sent": now}  # fmt: skip
    logs = world.sandbox.client("logs", world.sandbox.region)
    where = {"logGroupName": world.watch.function.log_group.name, "logStreamName": event_id}
    logs.create_log_stream(**where)
    stamp = int(datetime.now(UTC).timestamp() * 1000)
    logs.put_log_events(**where, logEvents=[{"timestamp": stamp, "message": json.dumps(line)}])


def test_a_silent_channel_holds_back_no_other_alert(world, queue):
    watch, put = queue
    now = datetime.now(UTC).isoformat()

    def unheard(_, target):
        put(target, "StopLogging", now)
        refusing("TrailNotFoundException")()

    def heard(_, target):
        log_delivery(world, put(target, "StopLogging", now))
        refusing("TrailNotFoundException")()

    silent, proven = technique(unheard), technique(heard)
    looked, started = world.findings(), world.aws.clock.monotonic()
    told = drill(Order([silent, proven], 8.0), watch, looked, world.aws)
    first = next(one for one in told if isinstance(one, Drill))
    assert first.blow.technique is proven
    assert first.proven
    assert world.aws.clock.monotonic() - started < 5.0


def test_what_stays_silent_is_told_last_as_far_as_it_came(world, queue):
    watch, put = queue

    def unheard(_, target):
        put(target, "StopLogging")
        refusing("TrailNotFoundException")()

    ended = world.drills(technique(unheard), technique(unheard), limit=1.0, watch=watch)
    assert [[rung.proof for rung in one.rungs] for one in ended] == [
        [Proof.PROVEN] * 3 + [Proof.SILENT] * 2 + [Proof.UNPROVABLE]
    ] * 2


# ---------------------------------------------------------------- the trail's own end

SINCE = datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC)


def test_the_deletion_of_the_own_trail_is_heard_and_the_function_has_time_to_tell(world, queue):
    watch, put = queue
    put(name=watch.trail.arn)
    clock = Clock(speed=10)
    began = clock.monotonic()
    receipt = heard_of_deletion(watch, connect(None, watch.place.region, clock), SINCE, PLENTY)
    assert isinstance(receipt, Receipt)
    assert receipt.trail == watch.trail.name
    assert clock.monotonic() - began >= 10  # as no log line says that it has


def test_a_receipt_in_the_same_second_counts_and_one_before_does_not(world, queue):
    watch, put = queue
    hasty = connect(None, watch.place.region, Clock(speed=100))
    put(at="2026-11-21T12:00:04.999Z")
    assert heard_of_deletion(watch, hasty, SINCE, 50) is None
    put(at="2026-11-21T12:00:05.000Z")
    assert heard_of_deletion(watch, world.aws, SINCE, PLENTY)


def test_another_trail_and_another_call_do_not_count(queue):
    watch, put = queue
    hasty = connect(None, watch.place.region, Clock(speed=100))
    put(name="another-trail")
    put(name=f"{DECOY}1")
    put(call="StopLogging")
    assert heard_of_deletion(watch, hasty, SINCE, 50) is None


def test_without_a_receipts_queue_nothing_is_heard(world):
    gone = replace(world.watch, receipts=replace(world.watch.receipts, name="gone"))
    assert heard_of_deletion(gone, world.aws, SINCE, PLENTY) is None


def test_the_real_deletion_is_heard_by_the_real_queue(broken):
    start = broken.aws.time()
    broken.watch.trail.delete(broken.aws)
    assert heard_of_deletion(broken.watch, broken.aws, start, PLENTY)


# ---------------------------------------------------------------- where nobody hears


def test_a_drill_that_nobody_can_have_heard_proves_nothing(world):
    [one] = world.drills()
    way = tuple(rung for rung in one.rungs if rung.hop in {"recorded", "matched", "topic"})
    alone = replace(one, rungs=(*way, Rung(ADDRESS, Proof.UNPROVABLE, note="not confirmed")))
    assert (one.proven, one.deserted) == (True, False)
    assert (alone.proven, alone.deserted) == (False, True)
    heard = replace(
        one, rungs=(*way, Rung(ADDRESS, Proof.UNPROVABLE, note="confirmed, handed to SNS"))
    )
    assert (heard.proven, heard.deserted) == (True, False)
