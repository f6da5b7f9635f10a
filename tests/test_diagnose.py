"""Would I be told right now? Findings made by hand, and the verdict each of them leads to."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sabotage import leaves
from watch_world import (
    CONFIGS,
    DISCORD,
    HOOK,
    MAIL_ONLY,
    PLACE,
    PLAIN,
    PLAIN_SECRET,
    RICH,
    WEBHOOK_ONLY,
    World,
    planned,
    world_of,
)

from ctwatch.diagnose import UP, Alarm, Diagnosis, Flow, diagnose
from ctwatch.diff import MISSING, Difference, compare
from ctwatch.errors import AwsError
from ctwatch.findings import Finding
from ctwatch.meaning import sentence
from ctwatch.resources.base import Live, Resource
from ctwatch.sandbox.server import Sandbox
from ctwatch.untold import Untold
from ctwatch.watch import Watch
from ctwatch.webhooks import Answer, Reply

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ARMED, DEGRADED, UNKNOWN = Alarm.ARMED, Alarm.DEGRADED, Alarm.UNKNOWN
MUTE, DEAF, BLIND, ABSENT = Alarm.MUTE, Alarm.DEAF, Alarm.BLIND, Alarm.ABSENT

BOTH = planned(PLAIN)
MAIL = planned(MAIL_ONLY)
WEBHOOK = planned(WEBHOOK_ONLY)
TWO_RULES = planned(RICH)
AWAY = planned({**PLAIN, "rules": [{"name": "root", "detection": "root-login"}]})

Change = Callable[[Any], Any]
Look = Callable[[Resource], Finding]


# What a look may have found


def found(one: Resource, change: Change | None = None, **facts: Any) -> Finding:
    """A look at a resource that is as promised, but for a change of its state in place."""
    state = deepcopy(one.wanted)
    if change:
        change(state)
    known = {"subscriptions": []} if one.kind == "topic" else {}
    live = Live(state, one.watch, {**known, **facts})
    return Finding(one, live, tuple(compare(one.wanted, state)))


def drifted(change: Change, **facts: Any) -> Look:
    return lambda one: found(one, change, **facts)


def knowing(**facts: Any) -> Look:
    """As promised, with what AWS tells besides."""
    return drifted(lambda _: None, **facts)


def setting(**leaves: Any) -> Look:
    return drifted(lambda state: state.update(leaves))


def missing(one: Resource) -> Finding:
    return Finding(one)


def foreign(one: Resource) -> Finding:
    return Finding(one, Live(deepcopy(one.wanted), None, {"subscriptions": []}))


def denied(one: Resource) -> Finding:
    return Finding(one, error=AwsError("looking: Get answered AccessDenied", code="AccessDenied"))


class Account:
    """The other trails of the account, by ARN: what GetTrailStatus and GetEventSelectors say."""

    def __init__(self, **trails: Any) -> None:
        self.trails = trails
        self.cloudtrail = self.events = self
        self.asked: list[str] = []
        self.bus: Any = {"Name": "default"}
        self.clock = self

    def now(self) -> datetime:
        return NOW

    def describe_event_bus(self) -> Any:
        self.asked.append("describe_event_bus")
        if isinstance(self.bus, Exception):
            raise self.bus
        return self.bus

    def describe_trails(self, **_: Any) -> Any:
        self.asked.append("describe_trails")
        return {"trailList": [{"TrailARN": name} for name in self.trails]}

    def get_trail_status(self, Name: str) -> Any:  # noqa: N803 - AWS's name
        if self.trails[Name] is None:
            raise ClientError(
                {"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetTrailStatus"
            )
        return {"IsLogging": self.trails[Name].get("logging", True)}

    def get_event_selectors(self, TrailName: str) -> Any:  # noqa: N803 - AWS's name
        return self.trails[TrailName].get("selectors", {})

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        return [call() for call in calls]


def parts(watch: Watch) -> dict[str, Resource]:
    named = {
        "bucket": watch.bucket,
        "trail": watch.trail,
        "rule": watch.rules[0],
        "topic": watch.topic,
        "receipts": watch.receipts,
        "receipt": watch.receipt,
        "dead_letter": watch.dead_letter,
    }
    named |= {"person": watch.people[0]} if watch.people else {}
    if watch.function and watch.webhook:
        named |= {"webhook": watch.webhook, "function": watch.function}
        named |= {"role": watch.function.role, "log_group": watch.function.log_group}
        named |= dict(zip(["secret"], watch.function.secrets, strict=False))
    return named


def told(watch: Watch, account: Account | None = None, **looks: Look) -> Diagnosis:
    """The diagnosis of a watch that is as promised, but for some looks at some parts."""
    special = {parts(watch)[part]: look for part, look in looks.items()}
    findings = [special.get(one, found)(one) for one in watch.resources]
    aws: Any = account or Account()
    return diagnose(watch, findings, aws)


def verdict(watch: Watch, account: Account | None = None, **looks: Look) -> Alarm:
    return told(watch, account, **looks).verdict


@pytest.mark.parametrize("watch", [BOTH, MAIL, WEBHOOK, TWO_RULES, AWAY])
def test_all_as_promised_is_armed(watch: Watch) -> None:
    answer = told(watch)
    assert answer.verdict is ARMED
    assert answer.verdict.exit_code == 0
    assert answer.faults == ()
    assert {hop.flow for hop in answer.hops} == {Flow.OK}
    assert answer.left_to_people


# Absent


def all_but(watch: Watch, other: Look, **looks: Look) -> Diagnosis:
    return told(watch, **{**dict.fromkeys(parts(watch), other), **looks})


def test_nothing_there_is_absent() -> None:
    answer = all_but(BOTH, missing)
    assert answer.verdict is ABSENT
    assert answer.verdict.exit_code == 3


@pytest.mark.parametrize("bucket", [found, foreign, denied, setting(versioning="Suspended")])
def test_a_kept_bucket_alone_is_absent(bucket: Look) -> None:
    assert all_but(BOTH, missing, bucket=bucket).verdict is ABSENT


def test_what_is_a_strangers_is_not_of_this_watch() -> None:
    assert all_but(BOTH, foreign).verdict is ABSENT
    assert all_but(BOTH, missing, topic=foreign, bucket=found).verdict is ABSENT


@pytest.mark.parametrize("part", [part for part in parts(BOTH) if part != "bucket"])
def test_one_thing_there_is_not_absent(part: str) -> None:
    assert all_but(BOTH, missing, **{part: found}).verdict is not ABSENT


# Blind


def selectors(**wanted: Any) -> Look:
    return setting(selectors={"management": "All", "excluded": [], "data": [], **wanted})


def advanced(*selectors: Mapping[str, Mapping[str, list[str]]]) -> Look:
    named = [
        {"FieldSelectors": [{"Field": field, **test} for field, test in one.items()]}
        for one in selectors
    ]
    return setting(selectors={"advanced": named})


MANAGEMENT = {"eventCategory": {"Equals": ["Management"]}}
CLOUDTRAIL = "cloudtrail.amazonaws.com"

BLINDED = {
    "missing": missing,
    "stopped": setting(logging=False),
    "read-only": selectors(management="ReadOnly"),
    "no management events": selectors(management=None),
    "data events only": advanced({"eventCategory": {"Equals": ["Data"]}}),
    "advanced, none": advanced(),
    "advanced, read-only": advanced({**MANAGEMENT, "readOnly": {"Equals": ["true"]}}),
    "advanced, without CloudTrail": advanced(
        {**MANAGEMENT, "eventSource": {"NotEquals": [CLOUDTRAIL]}}
    ),
    "advanced, another source": advanced(
        {**MANAGEMENT, "eventSource": {"Equals": ["s3.amazonaws.com"]}}
    ),
    "advanced, one user's": advanced({**MANAGEMENT, "userIdentity.arn": {"Equals": ["arn"]}}),
    "advanced, not one user's": advanced({**MANAGEMENT, "userIdentity.arn": {"NotEquals": ["a"]}}),
    "advanced, by beginnings": advanced({**MANAGEMENT, "eventName": {"StartsWith": ["Get"]}}),
}
SEEING = {
    "write-only": selectors(management="WriteOnly"),
    "one source left out": selectors(excluded=["kms.amazonaws.com"]),
    "advanced, management": advanced(MANAGEMENT),
    "advanced, writes": advanced({**MANAGEMENT, "readOnly": {"Equals": ["false"]}}),
    "advanced, reads or writes": advanced(
        {**MANAGEMENT, "readOnly": {"Equals": ["true"]}},
        {**MANAGEMENT, "readOnly": {"Equals": ["false"]}},
    ),
    "advanced, but for KMS": advanced(
        {**MANAGEMENT, "eventSource": {"NotEquals": ["kms.amazonaws.com"], "Equals": []}}
    ),
    "advanced, CloudTrail's": advanced({**MANAGEMENT, "eventSource": {"Equals": [CLOUDTRAIL]}}),
}


@pytest.mark.parametrize("look", BLINDED.values(), ids=BLINDED)
def test_a_trail_that_records_no_writes_is_blind(look: Look) -> None:
    answer = told(BOTH, trail=look)
    assert answer.verdict is BLIND
    assert answer.verdict.exit_code == 3


@pytest.mark.parametrize("look", SEEING.values(), ids=SEEING)
def test_a_trail_that_records_writes_all_the_same_is_degraded(look: Look) -> None:
    account = Account()
    assert verdict(BOTH, account, trail=look) is DEGRADED
    assert account.asked == []


@pytest.mark.parametrize("look", BLINDED.values(), ids=BLINDED)
def test_another_trail_that_records_makes_it_degraded(look: Look) -> None:
    answer = told(BOTH, Account(theirs={}), trail=look)
    assert answer.verdict is DEGRADED
    [events] = [hop for hop in answer.hops if hop.name == "events"]
    assert events.sentence == "theirs records in our trail's stead"


@pytest.mark.parametrize(
    "other",
    [
        {"logging": False},
        {"selectors": {"EventSelectors": [{"ReadWriteType": "ReadOnly"}]}},
        {"selectors": {"EventSelectors": [{"IncludeManagementEvents": False}]}},
        {"selectors": {"AdvancedEventSelectors": [{"FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Data"]}]}]}},
    ],
)  # fmt: skip
def test_another_trail_that_records_nothing_does_not_help(other: Any) -> None:
    assert verdict(BOTH, Account(theirs=other), trail=missing) is BLIND


# The bus that rules elsewhere hand on to


BUS = AWAY.place.arn("events", "event-bus/default")
CLOSED = {"Sid": "Closed", "Effect": "Deny", "Principal": "*", "Action": "events:PutEvents",
          "Resource": BUS}  # fmt: skip
ROOT = "arn:aws:iam::{}:root".format
FORWARDER = ROOT(AWAY.place.account).replace("root", "role/ctwatch-forwarder")
OF_ORGANIZATION = {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}
WITHOUT_TLS = {"Bool": {"aws:SecureTransport": "false"}}


def fed_by(*statements: Any) -> Diagnosis:
    account = Account()
    policy = {"Version": "2012-10-17", "Statement": [*statements]}
    account.bus = {"Name": "default", "Policy": json.dumps(policy)}
    return told(AWAY, account)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, DEAF),
        ({"Principal": {"AWS": "*"}}, DEAF),
        ({"Principal": {"AWS": ROOT(AWAY.place.account)}}, DEAF),
        ({"Principal": {"AWS": FORWARDER}}, DEAF),
        ({"Action": "events:*", "Resource": "*"}, DEAF),
        ({"Condition": OF_ORGANIZATION}, UNKNOWN),
        ({"Condition": WITHOUT_TLS}, ARMED),
        ({"Principal": {"AWS": ROOT("999999999999")}}, ARMED),
        ({"Action": "events:PutRule"}, ARMED),
        ({"Resource": f"{BUS}-2"}, ARMED),
        ({"Effect": "Allow"}, ARMED),
    ],
)
def test_a_bus_that_keeps_out_what_is_handed_on_is_deaf(changed: Any, expected: Alarm) -> None:
    answer = fed_by({**CLOSED, **changed})
    assert answer.verdict is expected
    remedies = [one.remedy for one in answer.faults]
    mended = f"aws events remove-permission --statement-id Closed --region {AWAY.place.region}"
    assert remedies == ([] if expected is ARMED else [mended])


def test_a_statement_without_a_name_goes_with_all_of_them() -> None:
    nameless = {key: value for key, value in CLOSED.items() if key != "Sid"}
    [fault] = fed_by(nameless, {**CLOSED, "Effect": "Allow"}).faults
    assert "--remove-all-permissions" in fault.remedy


def test_a_bus_that_may_not_be_looked_at_is_unknown() -> None:
    account, refusal = Account(), {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
    account.bus = ClientError(refusal, "DescribeEventBus")
    answer = told(AWAY, account)
    assert answer.verdict is UNKNOWN
    [bus] = [hop for hop in answer.hops if hop.name == "bus"]
    assert "looking at the policy of the default event bus" in bus.sentence
    [fault] = answer.faults
    assert "ask for that permission" in fault.remedy


def test_a_bus_that_nothing_is_handed_on_to_is_not_asked_about() -> None:
    account = Account()
    assert verdict(BOTH, account) is ARMED
    assert account.asked == []


def test_our_own_stopped_trail_is_not_another() -> None:
    assert verdict(BOTH, Account(**{BOTH.trail.arn: {}}), trail=setting(logging=False)) is BLIND


def test_another_trail_that_may_not_be_looked_at_is_unknown() -> None:
    answer = told(BOTH, Account(hidden=None), trail=setting(logging=False))
    assert answer.verdict is UNKNOWN
    assert answer.verdict.exit_code == 1
    assert "GetTrailStatus answered AccessDenied" in str(answer.hops)


@pytest.mark.parametrize("names", [("hidden", "open"), ("open", "hidden")])
def test_one_that_records_is_enough_though_another_is_hidden(names: tuple[str, str]) -> None:
    trails = {name: None if name == "hidden" else {} for name in names}
    assert verdict(BOTH, Account(**trails), trail=setting(logging=False)) is DEGRADED


def test_a_strangers_trail_of_our_name_that_logs_is_degraded() -> None:
    assert verdict(BOTH, trail=foreign) is DEGRADED


@pytest.mark.parametrize("leaf", [
    {"validation": False}, {"multi_region": False}, {"bucket": "theirs"}, {"key": "arn:key"},
    {"log_group": "theirs"}, {"notifications": "theirs"}, {"insights": ["api-call-rate"]},
])  # fmt: skip
def test_what_the_trail_promises_besides_does_not_stop_an_alert(leaf: dict[str, Any]) -> None:
    assert verdict(BOTH, trail=setting(**leaf)) is DEGRADED


def test_a_log_file_that_cloudtrail_could_not_deliver_is_told() -> None:
    answer = told(BOTH, trail=drifted(lambda _: None, LatestDeliveryError="AccessDenied"))
    assert answer.verdict is DEGRADED
    assert "AccessDenied" in answer.faults[0].sentence


@pytest.mark.parametrize("fact", [
    "LatestDeliveryError", "LatestDigestDeliveryError", "LatestCloudWatchLogsDeliveryError",
    "LatestNotificationError",
])  # fmt: skip
def test_each_delivery_that_fails_is_told_with_what_helps(fact: str) -> None:
    [fault] = told(BOTH, trail=knowing(**{fact: "NoSuchBucket"})).faults
    assert "was not delivered: NoSuchBucket" in fault.sentence
    assert fault.remedy.startswith("ctwatch up, then wait")


def before(**past: float) -> datetime:
    return NOW - timedelta(**past)


def line_of(answer: Diagnosis, name: str) -> tuple[Flow, str]:
    [hop] = [hop for hop in answer.hops if hop.name == name]
    return hop.flow, hop.sentence


STARTED_LONG_AGO = {"StartLoggingTime": before(days=9)}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "no log file yet, no digest yet"),
        ({"LatestDeliveryTime": before(seconds=59)}, "last log file just now, no digest yet"),
        (
            {
                **STARTED_LONG_AGO,
                "LatestDeliveryTime": before(minutes=4),
                "LatestDigestDeliveryTime": before(hours=2, minutes=59),
            },
            "last log file 4 min ago, last digest 2 h ago",
        ),
        (
            {"LatestDeliveryTime": before(hours=47), "LatestDigestDeliveryTime": before(hours=3)},
            "last log file 47 h ago, last digest 3 h ago",
        ),
        ({"StartLoggingTime": before(hours=3)}, "no log file yet, no digest yet"),
    ],
)
def test_the_trails_line_tells_the_age_of_what_was_delivered(
    facts: dict[str, datetime], words: str
) -> None:
    answer = told(BOTH, trail=knowing(**facts))
    assert line_of(answer, "trail") == (Flow.OK, f"every region, validated; {words}")
    assert answer.verdict is ARMED


@pytest.mark.parametrize("digest", [None, before(hours=3, seconds=1), before(days=3)])
def test_a_digest_that_is_overdue_is_a_fault(digest: datetime | None) -> None:
    look = knowing(**STARTED_LONG_AGO, LatestDigestDeliveryTime=digest)
    answer = told(BOTH, trail=look)
    assert answer.verdict is DEGRADED
    [fault] = answer.faults
    came = {None: "no digest has ever come", before(days=3): "the last digest came 3 days ago"}
    assert came.get(digest, "the last digest came 3 h ago") in fault.sentence
    assert fault.remedy.startswith("ctwatch up, then wait")


@pytest.mark.parametrize("leaf", [{"validation": False}, {"logging": False}])
def test_no_digest_is_due_of_a_trail_that_makes_none(leaf: dict[str, bool]) -> None:
    answer = told(BOTH, trail=drifted(lambda state: state.update(leaf), **STARTED_LONG_AGO))
    assert [fault.path for fault in answer.faults] == list(leaf)


# Deaf


def pattern(**changes: Any) -> Look:
    return drifted(lambda state: state["pattern"].update(changes))


def detail(**changes: Any) -> Look:
    return drifted(lambda state: state["pattern"]["detail"].update(changes))


def target(**changes: Any) -> Look:
    return drifted(lambda state: state["targets"]["topic"].update(changes))


DEAFENED = {
    "missing": missing,
    "a stranger's": foreign,
    "disabled": setting(state="DISABLED"),
    "no pattern": setting(pattern=None),
    "no pattern that AWS takes": setting(pattern='{"source": "aws.cloudtrail"}'),
    "narrowed by a key": pattern(region=["us-west-1"]),
    "narrowed to root": detail(userIdentity={"type": ["Root"]}),
    "narrowed to success": detail(errorCode=[{"exists": False}]),
    "other names": detail(eventName=["CreateTrail"]),
    "a name left out": detail(eventName=["DeleteTrail", "PutEventSelectors", "StopLogging"]),
    "another source": pattern(source=["mine"]),
    "no targets": setting(targets={}),
    "another target": setting(targets={"topic": {"Arn": "arn:aws:sqs:r:1:theirs"}}),
    "other words": target(Input='"all is well"'),
    "as a role of theirs": target(RoleArn="arn:aws:iam::1:role/theirs"),
}
DOUBTFUL = {
    "a part of it": ("rule", target(InputPath="$.time")),
    "a text of theirs": ("rule", target(InputTransformer={"InputTemplate": '"x"'})),
}
HEARING = {
    "widened": detail(eventName=[
        "CreateTrail", "DeleteTrail", "PutEventSelectors", "StopLogging", "UpdateTrail"]),
    "wide open": setting(pattern={"source": ["aws.cloudtrail"]}),
    "one more target": drifted(lambda state: state["targets"].update(more={"Arn": "arn:x"})),
    "our target by another name": drifted(
        lambda state: state["targets"].update(other=state["targets"].pop("topic"))),
    "a schedule": setting(schedule="rate(1 day)"),
    "no retries": target(RetryPolicy={"MaximumRetryAttempts": 0}),
    "no dead-letter queue": drifted(
        lambda state: state["targets"]["topic"].pop("DeadLetterConfig")),
}  # fmt: skip


@pytest.mark.parametrize("look", DEAFENED.values(), ids=DEAFENED)
def test_a_rule_that_would_not_tell_the_topic_is_deaf(look: Look) -> None:
    answer = told(BOTH, rule=look)
    assert answer.verdict is DEAF
    assert answer.verdict.exit_code == 3


@pytest.mark.parametrize("look", HEARING.values(), ids=HEARING)
def test_a_rule_that_would_tell_it_all_the_same_is_degraded(look: Look) -> None:
    assert verdict(BOTH, rule=look) is DEGRADED


def test_a_watch_is_as_well_as_its_worst_rule() -> None:
    answer = told(TWO_RULES, rule=missing)
    assert answer.rules == {"rule-a": DEAF, "rule-b": ARMED, "rule-c": ARMED, "rule-d": ARMED}
    assert answer.verdict is DEAF


# Mute


def topic_statement(**changes: Any) -> Look:
    return drifted(lambda state: state["policy"]["AllowEventBridgePublish"].update(changes))


def topic_deny(**given: Any) -> Look:
    deny = {"effect": "Deny", "action": ["sns:*"], "resource": ["*"], **given}
    return drifted(lambda state: state["policy"].update(Deny=deny))


ANYBODY = {"principal": {"AWS": ["*"]}}

MUTED = {
    "missing": missing,
    "a stranger's": foreign,
    "a key": setting(key="alias/aws/sns"),
    "no policy": setting(policy={}),
    "no grant": drifted(lambda state: state["policy"].pop("AllowEventBridgePublish")),
    "a condition": topic_statement(condition={"ArnEquals": {"aws:sourcearn": ["arn:rule"]}}),
    "another service": topic_statement(principal={"Service": ["config.amazonaws.com"]}),
    "another action": topic_statement(action=["sns:subscribe"]),
    "another topic": topic_statement(resource=["arn:other"]),
    "denied to all": topic_deny(**ANYBODY),
    "denied to EventBridge": topic_deny(principal={"Service": ["events.amazonaws.com"]}),
    "denied to all but root": topic_deny(notPrincipal={"AWS": ["123456789012"]}),
    "denied all but reading": topic_deny(**ANYBODY, action=["sns:p*"]),
}
DOUBTFUL |= {
    "denied under a condition": (
        "topic", topic_deny(**ANYBODY, condition={"Null": {"aws:x": ["true"]}})),
    "a key that is not looked at": ("topic", setting(key="alias/theirs")),
}  # fmt: skip
SPEAKING = {
    "denied to somebody": topic_deny(principal={"AWS": ["123456789012"]}),
    "denied something else": topic_deny(**ANYBODY, action=["sns:subscribe"]),
    "denied without TLS": topic_deny(
        **ANYBODY, condition={"Bool": {"aws:securetransport": ["false"]}}
    ),
    "no owner's statement": drifted(lambda state: state["policy"].pop("__default_statement_ID")),
    "granted to more": topic_statement(
        principal={"Service": ["config.amazonaws.com", "events.amazonaws.com"]}
    ),
}


@pytest.mark.parametrize("look", MUTED.values(), ids=MUTED)
def test_a_topic_that_eventbridge_may_not_use_is_mute(look: Look) -> None:
    answer = told(BOTH, topic=look)
    assert answer.verdict is MUTE
    assert answer.verdict.exit_code == 3


@pytest.mark.parametrize("look", SPEAKING.values(), ids=SPEAKING)
def test_a_topic_that_eventbridge_may_use_all_the_same_is_degraded(look: Look) -> None:
    assert verdict(BOTH, topic=look) is DEGRADED


def test_a_stranger_who_listens_too_is_told() -> None:
    listeners = [("email", "eve@example.com", "arn:eve"), ("sqs", BOTH.receipts.arn, "arn:ours")]
    answer = told(BOTH, topic=drifted(lambda _: None, subscriptions=listeners))
    assert answer.verdict is DEGRADED
    [fault] = answer.faults
    assert "eve@example.com" in fault.sentence
    assert fault.remedy == "aws sns unsubscribe --subscription-arn arn:eve"


def permission(**changes: Any) -> Look:
    return drifted(lambda state: next(iter(state["permissions"].values())).update(changes))


def variable(name: str, value: str) -> Look:
    return drifted(lambda state: state["environment"].update({name: value}))


def inline(**statement: Any) -> Look:
    return drifted(lambda state: state["inline"].update(theirs={"Theirs": statement}))


def own(**changes: Any) -> Look:
    """Our statement that lets the notifier read its secret, changed."""

    def change(state: Any) -> None:
        ours = state["inline"]["notifier"]
        [sid] = [sid for sid in ours if sid.startswith("Ssm")]
        ours[sid].update(changes)

    return drifted(change)


def trust(**changes: Any) -> Look:
    return drifted(lambda state: state["trust"]["Assume"].update(changes))


SILENCED: dict[str, tuple[str, Look]] = {
    "function missing": ("function", missing),
    "function a stranger's": ("function", foreign),
    "never runs": ("function", setting(concurrency=0)),
    "other code": ("function", setting(code="theirs")),
    "another role": ("function", setting(role="arn:theirs")),
    "another handler": ("function", setting(handler="theirs")),
    "another runtime": ("function", setting(runtime="nodejs22.x")),
    "no permission": ("function", setting(permissions={})),
    "permission for another": ("function", permission(principal={"Service": ["s3.amazonaws.com"]})),
    "permission from elsewhere": ("function", permission(
        condition={"ArnLike": {"aws:sourcearn": ["arn:theirs"]}})),
    "permission of another account": ("function", permission(
        condition={"StringEquals": {"aws:sourceaccount": ["1"]}})),
    "other channels": ("function", variable("CTWATCH_CHANNELS", "[]")),
    "could not be set up": ("function", drifted(
        lambda _: None, State="Failed", StateReason="no image")),
    "no subscription": ("webhook", missing),
    "a filter": ("webhook", setting(filter={"x": ["y"]})),
    "unconfirmed": ("webhook", setting(confirmed=False)),
    "not wrapped": ("webhook", setting(raw=True)),
    "secret gone": ("secret", missing),
    "secret a stranger's": ("secret", foreign),
    "another secret": ("secret", setting(value="sha256:other")),
    "no role": ("role", missing),
    "a role that nobody may assume": ("role", setting(trust={})),
    "a role that Lambda may not assume": ("role", trust(effect="Deny")),
    "a role of another service": ("role", trust(principal={"Service": ["ec2.amazonaws.com"]})),
    "a trust that is conditioned": ("role", trust(condition={"Bool": {"aws:x": ["true"]}})),
    "no right at all": ("role", setting(inline={})),
    "no right to the secret": ("role", own(resource=["arn:other"])),
    "another right": ("role", own(action=["ssm:putparameter"])),
    "denied": ("role", inline(effect="Deny", action=["*"], resource=["*"])),
    "denied all but": ("role", inline(effect="Deny", notAction=["logs:*"], resource=["*"])),
    "denied all others": ("role", inline(effect="Deny", action=["ssm:*"], notResource=["arn:x"])),
}  # fmt: skip
UNJUDGED: dict[str, tuple[str, Look]] = {
    "no time": ("function", setting(timeout=1)),
    "in a network": ("function", setting(network=["subnet-1"])),
    "with a layer": ("function", setting(layers=["arn:layer"])),
    "a proxy": ("function", variable("HTTPS_PROXY", "http://theirs")),
    "a boundary": ("role", setting(boundary="arn:boundary")),
    "an attached policy": ("role", setting(attached=["arn:policy"])),
    "a permission for the account": ("function", drifted(
        lambda state: next(iter(state["permissions"].values()))["condition"].update(
            StringEquals={"aws:sourceaccount": [PLACE.account]}))),
    "denied under a condition": ("role", inline(
        effect="Deny", action=["*"], resource=["*"], condition={"Null": {"aws:x": ["true"]}})),
}  # fmt: skip
TELLING: dict[str, tuple[str, Look]] = {
    "some concurrency": ("function", setting(concurrency=5)),
    "less memory": ("function", setting(memory=128)),
    "less time": ("function", setting(timeout=14)),
    "another architecture": ("function", setting(architecture="arm64")),
    "no dead-letter queue": ("function", setting(on_failure=None)),
    "another language": ("function", variable("CTWATCH_LANGUAGE", "tlh")),
    "another time zone": ("function", variable("CTWATCH_TIMEZONE", "Moon/Tycho")),
    "anybody may": ("function", drifted(
        lambda state: next(iter(state["permissions"].values())).pop("condition"))),
    "permission for one more": ("function", drifted(
        lambda state: state["permissions"].update(more={"effect": "Allow"}))),
    "no dead-letter queue of the subscription": ("webhook", setting(dead_letter=None)),
    "a plain parameter": ("secret", setting(type="String")),
    "more rights": ("role", inline(effect="Allow", action=["ec2:*"], resource=["*"])),
    "denied something else": ("role", inline(effect="Deny", action=["ec2:*"], resource=["*"])),
    "no log group": ("log_group", missing),
    "log group a stranger's": ("log_group", foreign),
    "another retention": ("log_group", setting(retention=1)),
}  # fmt: skip


@pytest.mark.parametrize(("part", "look"), SILENCED.values(), ids=SILENCED)
def test_a_webhook_that_is_silenced_is_mute_unless_a_mail_is_sent(part: str, look: Look) -> None:
    assert verdict(WEBHOOK, **{part: look}) is MUTE
    assert verdict(BOTH, **{part: look}) is DEGRADED


@pytest.mark.parametrize(("part", "look"), UNJUDGED.values(), ids=UNJUDGED)
def test_what_cannot_be_judged_from_here_is_unknown_unless_a_mail_is_sent(
    part: str, look: Look
) -> None:
    assert verdict(WEBHOOK, **{part: look}) is UNKNOWN
    assert verdict(BOTH, **{part: look}) is DEGRADED


@pytest.mark.parametrize(("part", "look"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_cannot_be_judged_on_the_only_way_is_unknown(part: str, look: Look) -> None:
    answer = told(BOTH, **{part: look})
    assert (answer.verdict, answer.verdict.exit_code) == (UNKNOWN, 1)
    assert answer.faults


CHOOSY = {
    "by severity": {"min_severity": "medium"},
    "by detection": {"only": ["trail-tampering"]},
}


@pytest.mark.parametrize("name", ["BUCKET", "DELIVERIES", "LOG_GROUP", "KEY", "OWN", "TRAIL"])
@pytest.mark.parametrize("wish", CHOOSY.values(), ids=CHOOSY)
def test_who_is_told_of_some_alerts_only_may_miss_one_that_is_judged_wrongly(
    name: str, wish: dict[str, Any]
) -> None:
    judged = variable(f"CTWATCH_{name}", "theirs")
    choosy = planned({"channels": [{**DISCORD[0], **wish}]})
    beside = planned({"channels": [{**DISCORD[0], **wish}, {"type": "slack", "url": "env:X"}]})
    assert verdict(choosy, function=judged) is UNKNOWN
    assert verdict(beside, function=judged) is DEGRADED
    assert verdict(WEBHOOK, function=judged) is DEGRADED
    assert verdict(choosy, function=variable("CTWATCH_LANGUAGE", "tlh")) is DEGRADED


@pytest.mark.parametrize(("part", "look"), TELLING.values(), ids=TELLING)
def test_a_webhook_that_is_told_all_the_same_is_degraded(part: str, look: Look) -> None:
    assert verdict(WEBHOOK, **{part: look}) is DEGRADED
    assert verdict(BOTH, **{part: look}) is DEGRADED


@pytest.mark.parametrize("look", [missing, setting(confirmed=False), setting(filter={"x": ["y"]})])
def test_a_mail_that_is_not_sent_is_mute_where_it_is_the_only_channel(look: Look) -> None:
    assert verdict(MAIL, person=look) is MUTE
    assert verdict(BOTH, person=look) is DEGRADED


def test_all_channels_cut_is_mute() -> None:
    assert verdict(BOTH, person=setting(confirmed=False), function=missing) is MUTE


def test_one_of_two_people_is_enough() -> None:
    mail_to_two = replace(TWO_RULES, function=None, webhook=None)
    assert verdict(mail_to_two, person=setting(confirmed=False)) is DEGRADED


@pytest.mark.parametrize("part", ["bucket", "receipts", "receipt", "dead_letter"])
@pytest.mark.parametrize("look", [missing, foreign, denied])
def test_what_no_alert_passes_is_never_worse_than_degraded(part: str, look: Look) -> None:
    for watch in (BOTH, MAIL, WEBHOOK):
        assert verdict(watch, **{part: look}) is DEGRADED


# Unknown


@pytest.mark.parametrize("part", ["trail", "rule", "topic"])
def test_what_may_not_be_looked_at_on_the_only_way_is_unknown(part: str) -> None:
    answer = told(BOTH, **{part: denied})
    assert answer.verdict is UNKNOWN
    assert answer.verdict.exit_code == 1
    assert "AccessDenied" in answer.faults[0].sentence


@pytest.mark.parametrize("part", ["function", "webhook", "role", "secret"])
def test_a_channel_that_may_not_be_looked_at_is_unknown_unless_another_is_fine(part: str) -> None:
    assert verdict(WEBHOOK, **{part: denied}) is UNKNOWN
    assert verdict(BOTH, **{part: denied}) is DEGRADED
    assert verdict(BOTH, person=setting(confirmed=False), **{part: denied}) is UNKNOWN


def test_a_trail_that_may_not_be_looked_at_matters_not_when_another_records() -> None:
    assert verdict(BOTH, Account(theirs={}), trail=denied) is DEGRADED


# The order of severity


def test_the_worst_is_told_first() -> None:
    """Each step mends the worst: what was below it comes to light."""
    broken: dict[str, Look] = {
        "trail": missing,
        "rule": missing,
        "topic": missing,
        "person": denied,
        "function": denied,
        "bucket": setting(versioning="Suspended"),
    }
    seen = []
    for worst in (None, "trail", "rule", "topic", ("person", "function"), "bucket"):
        for part in (worst,) if isinstance(worst, str) else worst or ():
            broken.pop(part)
        seen.append(verdict(BOTH, **broken))
    assert seen == [BLIND, DEAF, MUTE, UNKNOWN, DEGRADED, ARMED]
    assert list(Alarm) == [ARMED, DEGRADED, UNKNOWN, MUTE, DEAF, BLIND, ABSENT]


def test_exit_codes() -> None:
    codes = {alarm: alarm.exit_code for alarm in Alarm}
    others = dict.fromkeys([DEGRADED, MUTE, DEAF, BLIND, ABSENT], 3)
    assert codes == {ARMED: 0, UNKNOWN: 1, **others}


# Faults and hops


def test_a_fault_names_the_thing_the_path_the_meaning_and_the_remedy() -> None:
    [fault] = told(BOTH, rule=setting(state="DISABLED")).faults
    assert fault.resource == "rule eventbridge-ct-detect"
    assert fault.path == "state"
    assert fault.sentence.startswith("rule eventbridge-ct-detect: state: disabled")
    assert fault.remedy == UP


def test_what_was_added_changed_or_taken_away_is_called_so() -> None:
    def said(look: Look) -> str:
        [fault] = told(BOTH, rule=look).faults
        return fault.sentence.removeprefix("rule eventbridge-ct-detect: ")

    less = "it may hear less than it should, or more"
    assert said(pattern(region=["x"])) == f"pattern.region was added, {less}"
    assert said(detail(eventName=["x"])) == f"pattern.detail.eventName was changed, {less}"
    gone = drifted(lambda state: state["pattern"].pop("source"))
    assert said(gone) == f"pattern.source is missing, {less}"


@pytest.mark.parametrize("config", [*CONFIGS.values(), WEBHOOK_ONLY], ids=[*CONFIGS, "webhook"])
def test_of_every_leaf_it_is_said_what_its_change_means(config: dict[str, Any]) -> None:
    kinds = {one.kind: one for one in planned(config).resources}
    paths = [(kind, path) for kind, one in kinds.items() for path in leaves(one.wanted)]
    below = {(kind, f"{path.rpartition('.')[0]}.theirs") for kind, path in paths if "." in path}
    changes = [(where, values) for where in paths for values in ((1, 2), (1, MISSING))]
    changes += [(where, (MISSING, 2)) for where in below]
    told = [sentence(kinds[kind], Difference(path, *values)) for (kind, path), values in changes]
    assert [said for said in told if said.endswith(", ")] == []


def test_a_source_account_shuts_eventbridge_out_and_it_is_said() -> None:
    direct = planned({**WEBHOOK_ONLY, "route": "direct"})
    assert direct.function
    special = {direct.function: permission(
        condition={"ArnLike": {"aws:sourcearn": [direct.rules[0].arn]},
                   "StringEquals": {"aws:sourceaccount": [PLACE.account]}})}  # fmt: skip
    aws: Any = Account()
    answer = diagnose(direct, [special.get(x, found)(x) for x in direct.resources], aws)
    assert answer.verdict is MUTE
    [fault] = answer.faults
    assert fault.sentence.endswith("EventBridge names no account when it calls, so it is shut out")


TABLES: dict[str, tuple[str, dict[str, Look]]] = {
    "trail": ("trail", {**BLINDED, **SEEING}),
    "rule": ("rule", {**DEAFENED, **HEARING}),
    "topic": ("topic", {**MUTED, **SPEAKING}),
    "person": ("person", {"pending": setting(confirmed=False), "stopped": setting(opted_in=False)}),
    **{part: (part, {"denied": denied, "foreign": foreign}) for part in parts(BOTH)},
}
EVERY_LOOK = [
    *((part, look) for part, looks in TABLES.values() for look in looks.values()),
    *DOUBTFUL.values(),
    *SILENCED.values(),
    *UNJUDGED.values(),
    *TELLING.values(),
]
DO = re.compile(
    r"(ctwatch|aws) [a-z]|(Open|Copy|Ask|Choose|Look|In the) |Your credentials may not "
)


def test_every_fault_says_what_it_means_and_what_mends_it() -> None:
    """A command of ctwatch's or of AWS's, or what a person does."""
    hidden = Account(hidden=None)
    answers = [told(BOTH, hidden, **{part: look}) for part, look in EVERY_LOOK]
    faults = {fault for answer in answers for fault in (*answer.faults, *answer.warnings)}
    assert len(faults) > len(EVERY_LOOK) / 2
    assert [one for one in faults if not DO.match(one.remedy)] == []
    assert [one for one in faults if not one.sentence or one.sentence.endswith(", ")] == []


def test_only_a_click_is_missing_when_only_mails_wait_for_one() -> None:
    waits = told(TWO_RULES, person=setting(confirmed=False))
    assert waits.left_to_people
    [fault] = waits.faults
    assert "Confirm subscription" in fault.remedy
    assert not told(BOTH, person=setting(confirmed=False), bucket=missing).left_to_people
    assert not told(BOTH, person=missing).left_to_people


def test_a_function_that_lambda_could_not_set_up_is_a_fault_with_its_reason() -> None:
    answer = told(BOTH, function=SILENCED["could not be set up"][1])
    assert "no image" in answer.faults[0].sentence


@pytest.mark.parametrize(
    ("facts", "words", "remedy"),
    [
        (
            {"State": "Active", "LastUpdateStatus": "Failed", "LastUpdateStatusReason": "no image"},
            "could not carry out the last change, and runs what was before: no image",
            "aws lambda delete-function",
        ),
        ({"State": "Inactive"}, "the first alert comes late", "ctwatch simulate stop-logging"),
    ],
)
def test_a_function_that_lambda_did_not_change_or_that_sleeps_still_tells(
    facts: dict[str, str], words: str, remedy: str
) -> None:
    answer = told(WEBHOOK, function=knowing(**facts))
    assert answer.verdict is DEGRADED
    [fault] = answer.faults
    assert words in fault.sentence
    assert fault.remedy.startswith(remedy)


@pytest.mark.parametrize("state", ["Active", "Pending", None])
def test_a_function_that_is_well_or_being_set_up_is_no_fault(state: str | None) -> None:
    assert verdict(WEBHOOK, function=knowing(State=state, LastUpdateStatus="InProgress")) is ARMED


def test_dead_letters_are_a_warning_with_the_queue_to_read() -> None:
    answer = told(BOTH, dead_letter=knowing(messages=2, url="https://sqs/1/dead"))
    assert (answer.verdict, answer.faults) == (ARMED, ())
    flow, words = line_of(answer, "undelivered")
    assert (flow, "2 alerts that could not be delivered wait" in words) == (Flow.OK, True)
    [fault] = answer.warnings
    region = BOTH.place.region
    assert (
        f"aws sqs receive-message --queue-url https://sqs/1/dead --region {region}" in fault.remedy
    )
    assert fault.remedy.endswith(
        f"aws sqs purge-queue --queue-url https://sqs/1/dead --region {region}"
    )
    assert line_of(told(BOTH), "undelivered") == (Flow.OK, "no alert was left undelivered")
    assert verdict(BOTH, receipts=knowing(messages=9, url="u")) is ARMED


def test_dead_letters_of_another_region_are_told_too() -> None:
    [there] = {one.dead_letter for one in AWAY.away}
    looks = {there: knowing(messages=1, url="u")}
    aws: Any = Account()
    answer = diagnose(AWAY, [looks.get(x, found)(x) for x in AWAY.resources], aws)
    assert answer.verdict is ARMED
    assert "in us-east-1: 1 alert that could not be delivered waits" in answer.warnings[0].sentence


def test_an_address_that_one_click_can_end_is_a_warning_and_no_fault() -> None:
    answer = told(BOTH, person=knowing(arn="arn:s", authenticated=False))
    assert (answer.verdict, answer.faults) == (ARMED, ())
    name = BOTH.people[0].name
    flow, words = line_of(answer, name)
    [warning] = answer.warnings
    assert (flow, words) == (Flow.OK, warning.sentence)
    assert words.endswith("confirmed, but one click on the link in any of its mails ends it")
    assert "aws sns unsubscribe --subscription-arn arn:s, then ctwatch up" in warning.remedy
    assert "ctwatch confirm LINK" in warning.remedy
    assert told(BOTH, person=knowing(arn="arn:s", authenticated=True)).warnings == ()


def test_an_address_that_is_not_even_confirmed_is_not_warned_of() -> None:
    pending = drifted(lambda state: state.update(confirmed=False), arn=None, authenticated=False)
    assert told(BOTH, person=pending).warnings == ()


# The webhooks


REPLIES = {
    Reply.THERE: ("", ARMED, "subscribed, permitted, our code; answers"),
    Reply.UNASKED: (
        "its secret cannot be read from here",
        ARMED,
        "whether it takes alerts cannot be checked: its secret cannot be read from here",
    ),
    Reply.UNHEARD: ("no answer within 5 s", UNKNOWN, "discord: no answer within 5 s"),
    Reply.GONE: ("discord answers 404", MUTE, "discord: discord answers 404, no alert arrives"),
}


@pytest.mark.parametrize("reply", REPLIES)
def test_what_a_webhook_answers_decides_about_its_channel(reply: Reply) -> None:
    why, alone, words = REPLIES[reply]
    aws: Any = Account()
    verdicts = {}
    for watch in (WEBHOOK, BOTH):
        answer = diagnose(
            watch, [*map(found, watch.resources)], aws, {"discord": Answer(reply, why)}
        )
        verdicts[watch] = answer.verdict
        assert words in line_of(answer, "discord")[1]
        assert len(answer.faults) == (alone is not ARMED)
    assert verdicts == {WEBHOOK: alone, BOTH: ARMED if alone is ARMED else DEGRADED}


# The last alerts


MISSED = Untold({"discord": "Discord answered 400."})


@pytest.mark.parametrize(
    ("last", "reply", "alone", "words"),
    [
        (MISSED, Reply.UNASKED, MUTE, "discord: the last alert did not arrive: Discord answered"),
        (MISSED, Reply.UNHEARD, MUTE, "no answer within 5 s"),
        (MISSED, Reply.THERE, DEGRADED, "discord: the last alert did not arrive: Discord answered"),
        (Untold(error=AwsError("denied")), Reply.UNASKED, UNKNOWN, "denied"),
        (Untold({"another": "it is not there any more"}), Reply.UNASKED, ARMED, "our code"),
    ],
)
def test_a_channel_that_the_last_alert_did_not_reach_hears_nothing_unless_it_answers(
    last: Untold, reply: Reply, alone: Alarm, words: str
) -> None:
    aws: Any = Account()
    for watch in (WEBHOOK, BOTH):
        answers = {"discord": Answer(reply, "no answer within 5 s" * (reply is Reply.UNHEARD))}
        answer = diagnose(watch, [*map(found, watch.resources)], aws, answers, last)
        assert answer.verdict is (alone if watch is WEBHOOK or alone is ARMED else DEGRADED)
        assert answer.left_to_people is (reply is not Reply.UNHEARD and last.error is None)
        assert words in line_of(answer, "discord")[1]


# The last drills


def proof(value: str, technique: str = "stop-logging", **more: str) -> Look:
    return knowing(proofs={technique: value, **more})


LATER = {"root-login": "2026-11-25T11:59:00Z proven 4.5"}


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (found, "never proven"),
        (proof("2026-11-25T09:00:00Z proven 9.1"), "stop-logging proven 3 h ago in 9.1 s"),
        (proof("2026-11-25T12:00:09Z proven 12"), "stop-logging proven just now in 12.0 s"),
        (
            proof("2026-11-20T12:00:00Z proven 9", **LATER),
            "root-login proven 1 min ago in 4.5 s, and 1 more",
        ),
        (
            proof("2026-11-25T11:59:30Z proven 9", **LATER),
            "root-login proven 1 min ago in 4.5 s, and 1 more",
        ),
        (proof("yesterday proven 1"), "never proven"),
        (proof("2026-13-45T09:00:00Z proven 9.1"), "never proven"),
        (proof("2026-11-25T09:00:00Z fine 9.1"), "never proven"),
        (proof("2026-11-25T09:00:00Z proven 9.1", "$(reboot)"), "never proven"),
    ],
)  # fmt: skip
def test_the_last_drill_is_told_and_decides_nothing(look: Look, words: str) -> None:
    answer = told(BOTH, rule=look)
    assert line_of(answer, "proof") == (Flow.OK, words)
    assert answer.verdict is ARMED


def test_a_last_drill_that_stayed_silent_is_a_fault() -> None:
    silent = {"update-trail": "2026-11-25T11:00:00Z silent 600"}
    answer = told(BOTH, rule=proof("2026-11-25T09:00:00Z proven 9.1", **silent))
    assert answer.verdict is DEGRADED
    [fault] = answer.faults
    assert fault.sentence == "update-trail stayed silent 1 h ago"
    assert fault.remedy == "ctwatch simulate update-trail"
    assert [(one.technique, one.proven) for one in answer.proofs] == [
        ("update-trail", False), ("stop-logging", True),
    ]  # fmt: skip


def test_of_two_rules_the_newer_drill_counts() -> None:
    looks = [proof("2026-11-25T11:00:00Z silent 600"), proof("2026-11-25T11:30:00Z proven 7")]
    special = dict(zip(TWO_RULES.rules[:2], looks, strict=True))
    for watch in (TWO_RULES, replace(TWO_RULES, rules=TWO_RULES.rules[::-1])):
        aws: Any = Account()
        answer = diagnose(watch, [special.get(x, found)(x) for x in watch.resources], aws)
        assert (answer.verdict, len(answer.proofs)) == (ARMED, 1)
        assert line_of(answer, "proof")[1] == "stop-logging proven 30 min ago in 7.0 s"


def test_the_hops_follow_the_event() -> None:
    names = [hop.name for hop in told(BOTH).hops]
    assert names == [
        "trail", "events", "rule", "topic", "discord", BOTH.people[0].name, "undelivered", "proof",
    ]  # fmt: skip
    assert "discord" not in [hop.name for hop in told(MAIL).hops]


def test_a_secret_that_is_not_at_hand_is_said_to_be_not_compared() -> None:
    for config in (WEBHOOK_ONLY, {**WEBHOOK_ONLY, "function": {"secret": "env"}}):
        unknown = planned(config, hook=None)
        answer = told(unknown)
        assert answer.verdict is ARMED
        assert "not compared" in str(answer.hops)
        assert "not compared" not in str(told(planned(config)).hops)
        assert HOOK not in str(told(planned(config)))


# In the sandbox


@pytest.fixture(scope="module")
def world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("watch")) as world:
        yield world


def verdict_of(world: World) -> tuple[str, int]:
    status = world.run("status")
    return status.out.split()[0], status.code


def test_a_watch_with_mail_alone_goes_up_and_is_mute_until_the_click(world: World) -> None:
    world.use(MAIL_ONLY)
    up = world.run("up")
    assert up.code == 0
    assert "Only a click is missing" in up.err
    assert verdict_of(world) == ("MUTE", 3)
    world.click()
    assert verdict_of(world) == ("ARMED", 0)
    assert world.run("simulate", "stop-logging", "--timeout", "20").code == 0
    assert world.run("down", "--yes").code == 0


def test_a_watch_with_a_webhook_alone_is_armed_at_once(world: World) -> None:
    world.use(WEBHOOK_ONLY)
    assert world.run("up").code == 0
    assert verdict_of(world) == ("ARMED", 0)
    assert world.run("simulate", "stop-logging", "--timeout", "20").code == 0


def test_the_secret_in_the_functions_environment_works_and_its_drift_is_mended(
    world: World,
) -> None:
    world.use(PLAIN_SECRET)
    assert world.run("up").code == 0
    world.click()
    assert verdict_of(world) == ("ARMED", 0)
    assert world.run("simulate", "stop-logging", "--timeout", "20").code == 0
    assert not [line for line in world.sandbox.listing() if "ssm parameter" in line]

    here = world.open()
    assert here.watch.function
    functions, name = world.client("lambda"), here.watch.function.name
    live = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    assert live["DISCORD_WEBHOOK_URL"] == world.sandbox.inbox.webhook_url
    live["DISCORD_WEBHOOK_URL"] = "http://127.0.0.1:9/api/webhooks/1/theirs"
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": live})
    status = world.run("status", "-v")
    assert status.code == 3
    assert "environment.DISCORD_WEBHOOK_URL" in status.out
    assert "theirs" not in world.run("plan").text + world.run("plan", "--json").text
    up = world.run("up")
    assert f"~ repaired function {name}: environment.DISCORD_WEBHOOK_URL" in up.err
    assert verdict_of(world) == ("ARMED", 0)
