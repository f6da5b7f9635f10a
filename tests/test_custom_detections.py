"""Detections of the user's own and exclusions: from the config to what the rules hear."""

import copy
import fnmatch
import ipaddress
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from watch_world import PLACE, PLAIN, World, planned, world_of

from ctwatch import config as module
from ctwatch.config import InvalidConfigError, load, parse
from ctwatch.detections import catalogue
from ctwatch.errors import ConfigError
from ctwatch.listening import check_striker, examined, heard
from ctwatch.looping import doings, filings
from ctwatch.patterns import matches
from ctwatch.sandbox.server import Sandbox

API = "AWS API Call via CloudTrail"
NOTIFIER = f"arn:aws:iam::{PLACE.account}:role/ctwatch-notifier"


def pattern(service: str, *names: str, **detail: Any) -> dict[str, Any]:
    named = {"eventName": list(names)} if names else {}
    found = {"eventSource": [f"{service}.amazonaws.com"], **named, **detail}
    return {"source": [f"aws.{service}"], "detail-type": [API], "detail": found}


def own(of: Any, **changes: Any) -> dict[str, Any]:
    whole = {"id": "mine", "title": "Mine", "severity": "high", "pattern": of}
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


def watching(*rules: Any, **more: Any) -> dict[str, Any]:
    named = [{"name": f"rule-{at}", **one} for at, one in enumerate(rules)]
    insights = {"trail": {"insights": ["api-call-rate"], "kms": "create"}}
    return {**PLAIN, **insights, "rules": named, **more}


def hears(document: Any) -> Any:
    return heard(parse(document).filled(account=PLACE.account), PLACE)


def complaints(document: Any) -> dict[str, str]:
    with pytest.raises(InvalidConfigError) as told:
        hears(document)
    return {one.path: str(one) for one in told.value.complaints}


# --- exclusions

ACTORS = [
    "arn:aws:iam::123456789012:role/deploy",
    "arn:aws:iam::123456789012:user/mallory",
    "arn:aws:sts::123456789012:assumed-role/ci/*",
    "arn:aws:iam::123456789012:user/team/*",
]
IPS = ["203.0.113.24", "203.0.113.0/24", "10.0.0.0/14", "cloudformation.amazonaws.com"]
AGENTS = ["aws-cli*", "*terraform*", "Mozilla/5.0"]

IDENTITIES: list[Any] = [
    {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/mallory"},
    {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/team/eve"},
    {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/bob"},
    {"type": "AssumedRole", "arn": "arn:aws:sts::123456789012:assumed-role/ci/run-1"},
    {
        "type": "AssumedRole",
        "arn": "arn:aws:sts::123456789012:assumed-role/deploy/x",
        "sessionContext": {"sessionIssuer": {"arn": ACTORS[0]}},
    },
    {"type": "AssumedRole", "arn": None, "sessionContext": None},
    {"type": "AWSService", "invokedBy": "cloudformation.amazonaws.com"},
    None,
]
PLACES = [
    "203.0.113.24",
    "10.3.9.9",
    "10.4.0.1",
    "cloudformation.amazonaws.com",
    None,
    "2001:db8::1",
]
TOOLS = ["aws-cli/2.27", "HashiCorp terraform/1.9", "Mozilla/5.0", "Mozilla/5.0 (X11)", None]


def excluded(event: Any, actors: list[str], ips: list[str], agents: list[str]) -> bool:
    """The plain meaning of exclusions, said without a pattern."""
    detail = event["detail"]
    identity = detail.get("userIdentity") or {}
    issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
    who = [arn for arn in (identity.get("arn"), issuer.get("arn")) if arn]
    place, tool = detail.get("sourceIPAddress"), detail.get("userAgent")
    return (
        any(fnmatch.fnmatchcase(arn, one) for arn in who for one in actors)
        or any(lies_in(place, one) for one in ips)
        or any(tool is not None and fnmatch.fnmatchcase(tool, one) for one in agents)
    )


def lies_in(place: str | None, wanted: str) -> bool:
    if not place or place.endswith(".com") or wanted.endswith(".com"):
        return place == wanted
    return ipaddress.ip_address(place) in ipaddress.ip_network(wanted)


absent = object()


@cache
def heard_whole(detection: str) -> Any:
    return hears(watching({"detection": detection}))


@settings(deadline=None)  # a whole config is read for each
@given(
    st.sampled_from([*catalogue()]),
    st.tuples(*(st.lists(st.sampled_from(one), unique=True) for one in (ACTORS, IPS, AGENTS))),
    st.fixed_dictionaries(
        {},
        optional={
            "userIdentity": st.sampled_from([*IDENTITIES, absent]),
            "sourceIPAddress": st.sampled_from([*PLACES, absent]),
            "userAgent": st.sampled_from([*TOOLS, absent]),
        },
    ),
    st.integers(0),
)
def test_an_event_is_told_if_the_detection_fires_and_nothing_leaves_it_out(
    detection: str, exclusions: Any, laid: Any, which: int
) -> None:
    left_out = dict(zip(("actors", "ips", "user_agents"), exclusions, strict=True))
    plain = heard_whole(detection)
    mine = hears(watching({"detection": detection, "except": left_out}))
    fires = [event for one in plain for event in one.fires]
    event = copy.deepcopy(fires[which % len(fires)])
    event["detail"] |= {key: value for key, value in laid.items() if value is not absent}
    for key in (key for key, value in laid.items() if value is absent):
        event["detail"].pop(key, None)
    fired = any(matches(one.pattern, event) for one in plain)
    told = any(matches(one.pattern, event) for one in mine)
    assert told is (fired and not excluded(event, *exclusions))


def test_an_account_may_be_left_open_in_an_arn() -> None:
    deploy = {"actors": ["arn:aws:iam::{account}:role/deploy"]}
    [one] = hears(watching({"detection": "trail-tampering", "except": deploy}))
    assert ACTORS[0] in json.dumps(one.pattern)


def test_a_long_pattern_with_exclusions_is_several_rules_and_none_leaves_them_out() -> None:
    roles = {
        "actors": [f"arn:aws:iam::123456789012:role/service-number-{at:03}" for at in range(14)]
    }
    mine = hears(watching({"detection": "guardduty-tampering", "except": roles}))
    assert [one.name for one in mine][:2] == ["rule-0", "rule-0-2"]
    for one in mine:
        assert len(json.dumps(one.pattern, separators=(",", ":"))) <= 2048
        assert all(role in json.dumps(one.pattern) for role in roles["actors"])


def test_exclusions_that_leave_no_room_are_told_by_their_key() -> None:
    addresses = {"ips": [f"10.{at}.0.{at}" for at in range(200)]}
    found = complaints(
        watching({"detection": "root-login"}, {"detection": "trail-tampering", "except": addresses})
    )
    assert "leave out less" in found["rules[1].except"]


def test_an_exclusion_that_a_pattern_cannot_take_is_told_by_its_key() -> None:
    of = pattern("s3", "DeleteBucket", userIdentity={"arn": [{"prefix": "arn:aws:iam"}]})
    rule = {"detection": "mine", "except": {"actors": [ACTORS[0]]}}
    found = complaints(watching(rule, detections=[own(of)]))
    assert "a condition of its own" in found["rules[0].except"]


# --- what is wrong, all of it at once


def test_everything_wrong_comes_at_once_with_path_and_nearest_word() -> None:
    found = complaints(
        {
            "chanels": [],
            "topic": {"emails": ["nobody"]},
            "detections": [
                own(pattern("iam", "CreateUsr"), id="root-login", titel="x", severity="hihg"),
                "text",
                own(pattern("iam", "CreateUser"), id="twice", where="home"),
                own(pattern("sts", "AssumeRole"), id="twice", read_only=False),
            ],
            "rules": [
                {"name": "a", "detection": "twise", "exept": {}},
                {
                    "name": "b",
                    "detection": "twice",
                    "except": {
                        "actors": ["*", "arn:aws:iam::{acount}:role/x"],
                        "ips": ["10.1.2.3/8"],
                        "user_agent": ["x"],
                    },
                },
            ],
        }
    )
    for path, right in {
        "chanels": "'channels'",
        "detections[0].titel": "'title'",
        "detections[0].severity": "'high'",
        "detections[0].pattern.detail.eventName[0]": "'CreateUser'",
        "detections[2].pattern.detail.eventName[0]": "'where: us-east-1'",
        "detections[3].pattern.detail.eventName[0]": "'read_only: true'",
        "rules[0].detection": "'twice'",
        "rules[0].exept": "'except'",
        "rules[1].except.actors[1]": "'{account}'",
        "rules[1].except.ips[0]": "'10.0.0.0/8'",
        "rules[1].except.user_agent": "'user_agents'",
    }.items():
        assert found[path].endswith(f"did you mean {right}?"), found[path]
    assert "of its own" in found["detections[0].id"]
    assert "must be a mapping" in found["detections[1]"]
    assert "already at detections[2].id" in found["detections[3].id"]
    assert "is not an ARN" in found["rules[1].except.actors[0]"]
    assert "topic.emails[0]" in found


SECRET = "https://discord.com/api/webhooks/1/aVerySecretToken"


@pytest.mark.parametrize(
    "changes",
    [
        {"rules": [{"name": "a", "detection": "mine", "except": {key: [SECRET]}}]}
        for key in ("actors", "ips")
    ]
    + [
        {"detections": [{**own(pattern("s3", SECRET)), SECRET: 1}]},
        {"detections": [own({"source": [SECRET], "detail-type": [API], "detail": {"x": [1]}})]},
        {"detections": [own(SECRET, severity=SECRET)]},
    ],
)
def test_no_complaint_repeats_what_may_be_a_secret(changes: Any) -> None:
    with pytest.raises(ConfigError) as told:
        parse({**PLAIN, "detections": [own(pattern("s3", "DeleteBucket"))], **changes})
    assert "SecretToken" not in f"{told.value.problem} {told.value.hint}"


def test_what_is_hardly_meant_is_warned_of() -> None:
    agent = {"detection": "trail-tampering", "except": {"user_agents": ["terraform*"]}}
    document = watching(agent, detections=[own(pattern("s3", "DeleteBucket"))])
    assert hears(document)
    told = {one.path: one.reason for one in module.warnings(document)}
    assert "intruder" in told["rules[0].except.user_agents[0]"]
    assert "no rule names it" in told["detections[0]"]
    insight = {"detection": "insight", "except": {"actors": [ACTORS[0]]}}
    [nobody] = module.warnings(watching(insight))
    assert (nobody.path, "do not say who" in nobody.reason) == ("rules[0].except", True)


def test_a_config_of_ones_own_detections_survives_another_region_and_account() -> None:
    of = pattern("s3", "PutBucketPolicy", requestParameters={"bucketName": ["{bucket}"]})
    document = watching({"detection": "mine"}, detections=[own(of)])
    watch = parse(document)
    assert watch.with_region("us-east-1").filled(account=PLACE.account).own == watch.own
    [one] = hears(document)
    assert one.pattern["detail"]["requestParameters"]["bucketName"] == [
        planned(document).bucket.name
    ]


def test_an_own_detection_is_heard_where_and_how_its_events_need() -> None:
    document = watching(
        {"detection": "mine"},
        {"detection": "looked"},
        detections=[
            own(pattern("iam", "CreateUser")),
            own(pattern("sts", "GetCallerIdentity"), id="looked"),
        ],
    )
    assert [(one.regions, one.read_only) for one in hears(document)] == [
        (("us-east-1",), False),
        (("ap-northeast-2",), True),
    ]


def test_the_readmes_own_detection_is_right() -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    [block] = [one for one in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "except:" in one]
    document = {**PLAIN, **yaml.safe_load(block)}
    assert [one.path for one in examined(document)] == ["rules[0].except.user_agents[0]"]


def test_an_own_detection_of_us_east_1_is_out_of_a_single_regions_hearing() -> None:
    document = watching({"detection": "mine"}, detections=[own(pattern("iam", "CreateUser"))])
    found = complaints({**document, "trail": {"multi_region": False}})
    assert "'mine' is recorded in us-east-1" in found["rules[0].detection"]


def test_a_mail_that_no_function_writes_begins_with_its_title() -> None:
    mine = own(pattern("s3", "DeleteBucket"), title='A "bucket" <gone>')
    [rule] = planned(watching({"detection": "mine"}, detections=[mine], route="direct")).rules
    assert rule.text
    assert rule.text["InputTemplate"].startswith(
        "\"A 'bucket' (gone) (severity if it succeeded: high)"
    )


# --- a rule that would tell of its own alerts

TRAIL = "cloudtrail.amazonaws.com"
DELIVERING: dict[str, Any] = {
    "trail": {
        "insights": ["api-call-rate"],
        "kms": "create",
        "cloudwatch_logs": True,
        "delivery_notifications": True,
    },
    "topic": {"emails": ["a@example.com"], "kms": "create"},
}


@pytest.mark.parametrize("route", ["fanout", "direct", "formatted"])
@pytest.mark.parametrize("detection", catalogue())
def test_no_detection_of_the_catalogue_alerts_for_ever(detection: str, route: str) -> None:
    rules = [{"detection": detection}, {"detection": "log-object-deletion"}]
    assert hears(watching(*rules, route=route, **DELIVERING))


def test_a_function_that_writes_the_mails_publishes_too() -> None:
    published = watching({"detection": "mine"}, detections=[own(pattern("sns"))], route="formatted")
    [told] = complaints(published).values()
    line = {"actors": [NOTIFIER], "ips": ["events.amazonaws.com"]}
    assert told.endswith(f"except: {json.dumps(line)}")


HANDING_ON = ["events.amazonaws.com", "sns.amazonaws.com"]
LOOPS = {
    "sts:AssumeRole": (pattern("sts", "AssumeRole"), {"ips": ["lambda.amazonaws.com"]}),
    "ssm:GetParameter": (pattern("ssm", "GetParameter"), {"actors": [NOTIFIER]}),
    "kms:Decrypt": (pattern("kms", "Decrypt"), {"actors": [NOTIFIER]}),
    "logs:CreateLogStream": (pattern("logs", "CreateLogStream"), {"actors": [NOTIFIER]}),
    "sns:Publish": (pattern("sns"), {"ips": ["events.amazonaws.com"]}),
    "sqs:SendMessage": (pattern("sqs"), {"actors": [NOTIFIER], "ips": HANDING_ON}),
    "lambda:Invoke": (pattern("lambda"), {"ips": HANDING_ON}),
}


@pytest.mark.parametrize("call", LOOPS)
def test_a_rule_that_tells_of_its_own_alert_is_refused_and_the_line_mends_it(call: str) -> None:
    of, line = LOOPS[call]
    document = watching({"detection": "mine"}, detections=[own(of)])
    [told] = complaints(document).values()
    assert told.startswith("rules[0]: 'rule-0' would alert for ever: ")
    assert call in told
    said = json.loads(re.findall(r"except: (\{.*\})", told)[0])
    assert said == line
    assert hears(watching({"detection": "mine", "except": said}, detections=[own(of)]))


def test_the_key_of_a_topic_is_used_for_each_alert() -> None:
    decrypted = own(pattern("kms", "Decrypt", userIdentity={"type": ["AWSService"]}))
    topic = {"topic": {"emails": ["a@example.com"], "kms": "create"}}
    assert hears(watching({"detection": "mine"}, detections=[decrypted]))
    [told] = complaints(watching({"detection": "mine"}, detections=[decrypted], **topic)).values()
    assert told.endswith(f"except: {json.dumps({'ips': HANDING_ON})}")


def by_trail(service: str, *names: str) -> dict[str, Any]:
    return pattern(service, *names, userIdentity={"invokedBy": [TRAIL]})


# Each with what of the config makes CloudTrail do it, and the line that mends it.
FILINGS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "s3:PutObject": (by_trail("s3", "PutObject"), "", {"ips": [TRAIL]}),
    "kms:GenerateDataKey": (
        pattern("kms", "GenerateDataKey", requestParameters={"keyId": ["{keys}"]}),
        "kms",
        {"ips": [TRAIL]},
    ),
    "kms:Decrypt": (by_trail("kms", "Decrypt"), "delivery_notifications", {"ips": [TRAIL]}),
    "sns:Publish": (by_trail("sns", "Publish"), "delivery_notifications", {"ips": [TRAIL]}),
    "sts:AssumeRole": (by_trail("sts", "AssumeRole"), "cloudwatch_logs", {"ips": [TRAIL]}),
    "logs:PutLogEvents": (
        by_trail("logs", "PutLogEvents"),
        "cloudwatch_logs",
        {"actors": [f"arn:aws:iam::{PLACE.account}:role/ctwatch-trail-logs"]},
    ),
}


@pytest.mark.parametrize("call", FILINGS)
def test_a_rule_that_tells_of_every_log_file_is_refused_and_the_line_mends_it(call: str) -> None:
    of, option, line = FILINGS[call]
    mine = [own(of)]
    [told] = complaints(watching({"detection": "mine"}, detections=mine, **DELIVERING)).values()
    assert told.startswith("rules[0]: 'rule-0' would alert for ever: ")
    assert (
        f"it matches {call}, which comes with every log file of CloudTrail, about every five"
        " minutes. " in told
    )
    assert ("as soon as some trail records data events, " in told) is (
        call in {"s3:PutObject", "sns:Publish", "logs:PutLogEvents"}
    )
    assert json.loads(re.findall(r"except: (\{.*\})", told)[0]) == line
    left_out = {"detection": "mine", "except": line}
    assert hears(watching(left_out, detections=mine, **DELIVERING))
    if option:  # and without it, CloudTrail does no such thing
        trail = {key: value for key, value in DELIVERING["trail"].items() if key != option}
        without = {**DELIVERING, "trail": trail}
        assert hears(watching({"detection": "mine"}, detections=mine, **without))


def test_who_is_told_of_a_loop_is_told_how_to_look_at_it_without_aws() -> None:
    looping = watching({"detection": "mine"}, detections=[own(pattern("ssm", "GetParameter"))])
    with pytest.raises(InvalidConfigError) as told:
        hears(looping)
    assert told.value.hint.startswith("ctwatch detections --lint FILE tells")


def test_the_making_of_cloudtrails_log_stream_is_not_endless() -> None:
    made = own(by_trail("logs", "CreateLogStream"))
    assert hears(watching({"detection": "mine"}, detections=[made], **DELIVERING))


def test_new_log_files_that_the_bucket_announces_are_told_for_ever() -> None:
    created = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": ["{bucket}"]}},
    }
    mine = [own(created)]
    assert hears(watching({"detection": "mine"}, detections=mine))  # nobody hears of it
    beside = watching({"detection": "mine"}, {"detection": "log-object-deletion"}, detections=mine)
    [told] = complaints(beside).values()
    assert "it matches S3's Object Created, which comes with every log file" in told
    assert told.endswith("Narrow its pattern, so that it does not")


def test_what_an_alert_and_what_a_log_file_brings_is_told_apart() -> None:
    assumed = own(pattern("sts", "AssumeRole", userIdentity={"type": ["AWSService"]}))
    [told] = complaints(
        watching({"detection": "mine"}, detections=[assumed], **DELIVERING)
    ).values()
    assert (
        "it matches sts:AssumeRole, which delivering an alert brings with it and sts:AssumeRole,"
        " which comes with every log file" in told
    )
    assert told.endswith(f"except: {json.dumps({'ips': ['lambda.amazonaws.com', TRAIL]})}")


def test_the_line_keeps_what_was_left_out_before() -> None:
    rule = {"detection": "mine", "except": {"actors": [ACTORS[0]], "user_agents": ["a*"]}}
    document = watching(rule, detections=[own(pattern("logs", "CreateLogStream"))])
    [told] = complaints(document).values()
    line = {"actors": [ACTORS[0], NOTIFIER], "user_agents": ["a*"]}
    assert told.endswith(f"except: {json.dumps(line)}")


def test_where_no_line_would_mend_it_the_pattern_must() -> None:
    of = pattern("logs", "CreateLogStream", userIdentity={"arn": [{"prefix": "arn:"}]})
    [told] = complaints(watching({"detection": "mine"}, detections=[own(of)])).values()
    assert told.endswith("Narrow its pattern, so that it does not")


def test_what_is_not_done_or_not_seen_is_no_loop() -> None:
    ssm = own(pattern("ssm", "GetParameter"))
    in_environment = {"function": {"secret": "env"}}
    assert hears(watching({"detection": "mine"}, detections=[ssm], **in_environment))
    mail_only = {"channels": [], "topic": {"emails": ["a@example.com"]}}
    assert hears(watching({"detection": "mine"}, detections=[ssm], **mail_only))
    whole = own(pattern("ssm"), read_only=False)  # GetParameter only reads
    assert hears(watching({"detection": "mine"}, detections=[whole]))
    assert complaints(watching({"detection": "mine"}, detections=[{**whole, "read_only": True}]))


def test_the_forwarders_role_is_taken_on_only_where_there_is_one() -> None:
    assumed = own(
        pattern("sts", "AssumeRole", userIdentity={"invokedBy": ["events.amazonaws.com"]})
    )
    alone = watching({"detection": "mine"}, detections=[assumed])
    assert hears(alone)
    beside = watching({"detection": "mine"}, {"detection": "root-login"}, detections=[assumed])
    assert "sts:AssumeRole" in complaints(beside)["rules[0]"]


def test_the_records_of_what_is_done_are_whole() -> None:
    whole = set(catalogue()["assume-role"].examples.fires[0]["detail"]) - {
        "tlsDetails",
        "resources",
    }
    names = {
        **dict.fromkeys(("account", "region", "function", "function_arn"), "x"),
        **dict.fromkeys(("bucket", "bucket_arn", "trail_arn", "deliveries_arn"), "x"),
        "keys": ("arn:aws:kms:r:a:key/k",),
        "topic_arn": "arn:aws:sns:r:a:t",
        "roles": ("x-notifier", "x-forwarder", "x-trail-logs"),
        "queue_urls": ("a", "b"),
        "log_groups": ("/aws/lambda/x",),
        "parameters": ("/x/y",),
    }
    by_alert = doings(names, notified=True, publishing=True, encrypted=True, forwarded=True)
    by_file = filings(names, encrypted=True, announced=False, logged=True, told=True, sealed=True)
    assert {one.by_itself for one in by_file} == {True}
    for one in (*by_alert, *by_file):
        assert set(one.event["detail"]) == whole
        assert bool(one.actor) is not bool(one.service)


# --- who strikes


def test_a_drill_by_somebody_who_is_left_out_is_refused() -> None:
    rule = {"detection": "trail-tampering", "except": {"actors": ACTORS[:2]}}
    watch = parse(watching(rule))
    session = "arn:aws:sts::123456789012:assumed-role/deploy/me"
    for arn in (ACTORS[1], session):
        with pytest.raises(ConfigError, match=re.escape(f"rule-0: except.actors leaves out {arn}")):
            check_striker(watch, ["trail-tampering"], arn)
    for arn in (ACTORS[1] + "x", "arn:aws:iam::123456789012:root", session.replace("dep", "emp")):
        check_striker(watch, ["trail-tampering", "root-login"], arn)
    check_striker(
        parse(watching(rule, {"detection": "trail-tampering"})), ["trail-tampering"], session
    )


def test_a_config_is_examined_as_a_whole() -> None:
    looping = watching({"detection": "mine"}, detections=[own(pattern("logs", "CreateLogStream"))])
    assert [(one.path, one.level) for one in examined(looping)] == [("rules[0]", "error")]
    wrong = {**looping, "region": "cn-north-1", "topic": {"emails": ["x"]}}
    assert [one.path for one in examined(wrong)] == ["topic.emails[0]"]
    china = watching({"detection": "root-login"}, region="cn-north-1", bucket={"name": "the-logs"})
    assert examined(china) == []


# --- in the sandbox

OPENED: dict[str, Any] = {
    **PLAIN,
    "detections": [
        {
            "id": "logs-opened",
            "title": "Somebody's policy on the logs",
            "severity": "critical",
            "pattern": pattern(
                "s3", "PutBucketPolicy", requestParameters={"bucketName": ["{bucket}"]}
            ),
        }
    ],
    "rules": [
        {"name": "tampered", "detection": "trail-tampering"},
        {
            "name": "opened",
            "detection": "logs-opened",
            "except": {"actors": ["arn:aws:iam::{account}:user/deploy"]},
        },
    ],
}


@pytest.fixture(scope="module")
def opened(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("opened")) as world:
        world.use(OPENED)
        assert world.run("up").code == 0
        world.click()
        yield world


def as_user(world: World, name: str) -> Any:
    iam = world.client("iam")
    iam.create_user(UserName=name)
    everything = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.attach_user_policy(UserName=name, PolicyArn=everything)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    by_key = boto3.session.Session(key["AccessKeyId"], key["SecretAccessKey"])
    return by_key.client("s3")


def posts(world: World) -> str:
    return json.dumps([one.payload for one in world.sandbox.inbox.posts], ensure_ascii=False)


def test_an_excluded_actor_stays_silent_and_anothers_call_arrives_with_title_and_severity(
    opened: World,
) -> None:
    bucket = load(opened.config).filled(account=PLACE.account).bucket.name
    policy = opened.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
    opened.settle()
    before = len(opened.sandbox.inbox.posts)
    as_user(opened, "deploy").put_bucket_policy(Bucket=bucket, Policy=policy)
    opened.settle()
    assert len(opened.sandbox.inbox.posts) == before
    as_user(opened, "mallory").put_bucket_policy(Bucket=bucket, Policy=policy)
    opened.settle()
    assert len(opened.sandbox.inbox.posts) == before + 1
    told = json.dumps(opened.sandbox.inbox.posts[-1].payload, ensure_ascii=False)
    assert "Somebody's policy on the logs: PutBucketPolicy" in told
    assert "mallory" in told
    assert "Severity critical" in told


def test_status_and_detections_know_it_and_a_second_up_writes_nothing(opened: World) -> None:
    status = opened.run("status", "-v")
    assert (status.code, status.out.split()[0]) == (0, "ARMED")
    assert "logs-opened" in status.out
    assert "Nothing to do" in opened.run("up").err
    assert "Somebody's policy on the logs" in opened.run("detections").out
    shown = opened.run("detections", "logs-opened", "--json")
    assert json.loads(shown.out)[0]["own"] is True


def test_who_is_left_out_neither_drills_nor_waits_for_the_alert_of_a_deletion(
    opened: World,
) -> None:
    config = copy.deepcopy(OPENED)
    config["rules"][0]["except"] = {"actors": ["arn:aws:iam::{account}:user/sandbox"]}
    opened.config.write_text(json.dumps(config), encoding="utf-8")
    refused = opened.run("simulate", "stop-logging")
    assert refused.code == 2
    assert "tampered: except.actors leaves out" in refused.err
    assert opened.run("up").code == 0
    down = opened.run("down", "--yes", "--delete-logs")
    assert down.code == 0
    assert "raises an alert" not in down.text
    assert "its deletion" not in down.text
