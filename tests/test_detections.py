import copy
import dataclasses
import json
import re
from functools import cache

import botocore.session
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from test_patterns import events as any_event
from test_patterns import objects as any_pattern
from trials import trials

import ctwatch.detections
from ctwatch import patterns
from ctwatch.config import parse as parse_config
from ctwatch.detections import SAMPLE, WORDS, Detection, Part, catalogue, parse
from ctwatch.detections.names import words
from ctwatch.detections.records import resolved
from ctwatch.errors import CtwatchError
from ctwatch.patterns import PatternError
from ctwatch.sandbox.records import EVENT_NAMES

# The bucket's calls and the account's have one name in the API, and two in CloudTrail.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html
ACCOUNT_WIDE = {
    "PutAccountPublicAccessBlock": "PutPublicAccessBlock",
    "DeleteAccountPublicAccessBlock": "DeletePublicAccessBlock",
}

DETECTIONS = list(catalogue().values())
PARTS = {(d.id, part.name): part for d in DETECTIONS for part in d.filled(SAMPLE)}
each_detection = pytest.mark.parametrize("detection", DETECTIONS, ids=lambda d: d.id)
each_part = pytest.mark.parametrize(
    "part", PARTS.values(), ids=["-".join(filter(None, key)) for key in PARTS]
)
each_own = pytest.mark.parametrize(
    "detection", [d for d in DETECTIONS if d.scope == "own"], ids=lambda d: d.id
)


@cache
def compiled(detection, name, names=None):
    parts = catalogue()[detection].filled(dict(names) if names else SAMPLE)
    return [patterns.compile_pattern(part.pattern) for part in parts if part.name == name]


def fires(detection, event, names=SAMPLE):
    """The names of the parts on which the event fires."""
    key = tuple(sorted(names.items()))
    return {
        part.name
        for part in detection.parts
        if any(one.matches(event) for one in compiled(detection.id, part.name, key))
    }


def examples(kind):
    return [
        pytest.param(d, event, id=f"{d.id}-{kind}-{i}")
        for d in DETECTIONS
        for i, event in enumerate(getattr(d.examples, kind))
    ]


STOCK = [e for d in DETECTIONS for e in (*d.examples.fires, *d.examples.quiet)]
EVERY_EXAMPLE = [*examples("fires"), *examples("quiet")]


@pytest.mark.parametrize(("detection", "event"), examples("fires"))
def test_an_example_that_fires_matches_one_part(detection, event):
    assert len(fires(detection, event)) == 1


@pytest.mark.parametrize(("detection", "event"), examples("quiet"))
def test_a_near_miss_stays_quiet(detection, event):
    assert fires(detection, event) == set()


# ------------------------------------------------------------------- examples are whole records

ENVELOPE = {"version", "id", "detail-type", "source", "account", "time", "region", "resources"}
RECORD = {"eventVersion", "eventTime", "awsRegion", "eventID", "eventType", "recipientAccountId"}
ACT = {
    *("userIdentity", "eventSource", "eventName", "sourceIPAddress", "userAgent", "readOnly"),
    *("requestParameters", "responseElements", "managementEvent", "eventCategory"),
}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
NOTIFICATION = {
    *("version", "bucket", "object", "request-id", "requester", "source-ip-address", "reason"),
    "deletion-type",
}
IN_DETAIL = {
    "AwsApiCall": RECORD | ACT | {"requestID", "tlsDetails"},
    "AwsConsoleAction": RECORD | ACT | {"requestID"},
    "AwsServiceEvent": RECORD | ACT,
    "AwsConsoleSignIn": RECORD | ACT | {"additionalEventData"},
    "AwsCloudTrailInsight": RECORD | {"sharedEventID", "insightDetails", "eventCategory"},
    None: NOTIFICATION,
}


@pytest.mark.parametrize(("detection", "event"), EVERY_EXAMPLE)
def test_an_example_is_a_whole_event_with_a_whole_record(detection, event):
    assert set(event) == ENVELOPE | {"detail"}
    detail = event["detail"]
    assert set(detail) >= IN_DETAIL[detail.get("eventType")]
    assert "errorMessage" in detail or "errorCode" not in detail
    if detection.id != "log-object-deletion":
        assert event["account"] == detail["recipientAccountId"]
        assert event["time"] == detail["eventTime"]
        assert event["region"] == detail["awsRegion"]
    if "eventSource" in detail and event["source"].startswith("aws."):
        assert event["source"] == f"aws.{detail['eventSource'].removesuffix('.amazonaws.com')}"


@pytest.mark.parametrize("event", STOCK)
def test_no_error_comes_with_a_result(event):
    if event["detail"].get("errorCode"):
        assert event["detail"]["responseElements"] is None


def is_call(event):
    return event["detail"].get("eventType") == "AwsApiCall"


@each_detection
def test_a_detection_shows_three_of_each_kind_and_a_call_that_failed(detection):
    firing = detection.examples.fires
    assert min(len(firing), len(detection.examples.quiet)) >= 3
    calls = [event for event in firing if is_call(event)]
    assert bool(calls) is (
        detection.id
        not in {"insight", "log-object-deletion", "root-login", "console-login-failure"}
    )
    assert not calls or any("errorCode" in event["detail"] for event in calls)


@each_detection
def test_a_near_miss_is_an_event_that_somebody_forged(detection):
    if detection.scope == "account":
        forged = [e for e in detection.examples.quiet if not e["source"].startswith("aws.")]
        assert any(fires(detection, {**e, "source": first_source(detection)}) for e in forged)


def first_source(detection):
    source = detection.pattern["source"][0]
    return "aws.iam" if isinstance(source, dict) else source


# ---------------------------------------------------------- names as CloudTrail really has them


@cache
def service_model(source):
    return botocore.session.get_session().get_service_model(source.removesuffix(".amazonaws.com"))


@cache
def recorded(source):
    """CloudTrail's event name -> the operation, for one service."""
    service = source.removesuffix(".amazonaws.com")
    renamed = EVENT_NAMES.get(service, {})
    known = {renamed.get(one, one): one for one in service_model(source).operation_names}
    return known | (ACCOUNT_WIDE if service == "s3" else {})


def conditions(pattern, path):
    """All alternatives that a pattern lists at a path, inside `$or` too."""
    found = []
    for key, value in pattern.items():
        if key == "$or":
            found += [one for choice in value for one in conditions(choice, path)]
        elif key == path[0] and path[1:] and isinstance(value, dict):
            found += conditions(value, path[1:])
        elif (key,) == path:
            found += value
    return found


EVENT_NAME, EVENT_SOURCE = ("detail", "eventName"), ("detail", "eventSource")


def is_named(name, listed):
    if isinstance(listed, str):
        return name == listed
    return name.startswith(listed["prefix"])


@each_part
def test_every_event_name_is_one_that_the_service_has(part):
    for source in conditions(part.pattern, EVENT_SOURCE):
        for listed in conditions(part.pattern, EVENT_NAME):
            if source != "signin.amazonaws.com":  # no API: ConsoleLogin is in the examples
                assert any(is_named(name, listed) for name in recorded(source)), listed


@each_detection
def test_a_detection_shows_every_event_name_it_lists(detection):
    for part in detection.filled(SAMPLE):
        shown = {
            event["detail"].get("eventName")
            for event in detection.examples.fires
            if part.name in fires(detection, event)
        }
        for listed in conditions(part.pattern, EVENT_NAME):
            assert any(is_named(name, listed) for name in shown), listed


# CloudTrail writes S3's parameters under names of its own, and one call of EC2 as a document.
AS_IT_LIKES = {"s3.amazonaws.com"}
WRAPPED = {"ModifySecurityGroupRules", "RunInstances", "DescribeSecurityGroups"}


@pytest.mark.parametrize("event", STOCK)
def test_request_parameters_are_those_of_the_operation(event):
    detail = event["detail"]
    if not is_call(event) or detail["eventSource"] in AS_IT_LIKES or detail["eventName"] in WRAPPED:
        return
    given = detail["requestParameters"] or {}
    if detail["eventSource"] == "example.amazonaws.com" or given.get("omitted"):
        return
    operation = recorded(detail["eventSource"])[detail["eventName"]]
    shape = service_model(detail["eventSource"]).operation_model(operation).input_shape
    known = {name[:1].lower() + name[1:] for name in (shape.members if shape else ())}
    assert set(given) <= known


# ------------------------------------------------------------------------------- the catalogue


@each_part
def test_a_part_fits_the_quota_and_pins_a_source_of_aws(part):
    pieces = patterns.split(part.pattern)
    assert all(patterns.size(piece) <= patterns.MAX_SIZE for piece in pieces)
    for source in part.pattern["source"]:
        assert (source["prefix"] if isinstance(source, dict) else source).startswith("aws.")


@each_detection
def test_a_detection_speaks_both_languages_and_names_its_techniques(detection):
    for text in (detection.title, detection.why):
        assert re.search("[가-힣]", text["ko"])
        assert not re.search("[가-힣]", text["en"])
        assert text["ko"] == text["ko"].strip()
        assert text["en"] == text["en"].strip()
    assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", technique) for technique in detection.mitre)


def test_the_catalogue_holds_what_it_promises_and_where_it_can_be_seen():
    assert {d.id: (d.where, d.scope, d.read_only) for d in DETECTIONS} == {
        "assume-role": ("every-region", "account", True),
        "config-recorder-tampering": ("every-region", "account", False),
        "console-login-failure": ("every-region", "account", False),
        "dynamodb-delete-table": ("every-region", "account", False),
        "guardduty-tampering": ("every-region", "account", False),
        "insight": ("every-region", "account", False),
        "log-bucket-tampering": ("home", "own", False),
        "log-key-tampering": ("home", "own", False),
        "log-object-deletion": ("home", "own", False),
        "organization-leave": ("us-east-1", "account", False),
        "pipeline-tampering": ("home", "own", False),
        "root-activity": ("every-region", "account", False),
        "root-login": ("us-east-1", "account", False),
        "security-group-ingress": ("every-region", "account", False),
        "trail-reconfiguration": ("every-region", "account", False),
        "trail-tampering": ("home", "account", False),
    }


def test_the_pipeline_is_watched_service_by_service_and_its_role_in_us_east_1():
    parts = {part.name: part.where for part in catalogue()["pipeline-tampering"].parts}
    home = dict.fromkeys(["sns", "lambda", "logs", "ssm"], "home")
    beside_rules = dict.fromkeys(["events", "sqs"], "rules")
    assert parts == home | beside_rules | {"iam": "us-east-1"}


LAKE = "arn:aws:cloudtrail:eu-west-1:123456789012:{}/1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d"


@pytest.mark.parametrize(
    ("name", "asked", "part"),
    [
        ("CreateTrail", {"name": "a-second-trail"}, "trail"),
        ("StartLogging", None, "trail"),
        ("PutInsightSelectors", {"trailName": "ct-trail-monitor"}, "trail"),
        ("PutInsightSelectors", {"eventDataStore": LAKE.format("eventdatastore")}, "regional"),
        ("PutEventConfiguration", {"trailName": "ct-trail-monitor"}, "trail"),
        ("PutEventConfiguration", {"eventDataStore": "1a2b3c4d"}, "regional"),
        ("PutEventConfiguration", {"omitted": True}, "trail"),
        ("RemoveTags", {"resourceId": LAKE.format("trail")}, "trail"),
        ("RemoveTags", {"resourceId": LAKE.format("eventdatastore")}, "regional"),
        ("RemoveTags", {"resourceId": LAKE.format("channel")}, "regional"),
        ("RemoveTags", {"resourceId": LAKE.format("dashboard")}, "regional"),
        ("RemoveTags", None, "trail"),
        ("DeleteChannel", None, "regional"),
        ("StopImport", {"importId": "x"}, "regional"),
        ("PutResourcePolicy", {"resourceArn": LAKE.format("channel")}, "regional"),
        ("DeregisterOrganizationDelegatedAdmin", None, "regional"),
    ],
)
def test_a_trail_is_reconfigured_at_home_and_all_else_of_cloudtrail_where_it_is(name, asked, part):
    reconfigured = catalogue()["trail-reconfiguration"]
    assert {one.name: one.where for one in reconfigured.parts} == {
        "trail": "home",
        "regional": "every-region",
    }
    event = copy.deepcopy(reconfigured.examples.fires[0])
    event["detail"] |= {"eventName": name, "requestParameters": asked}
    assert fires(reconfigured, event, SAMPLE) == {part}


@each_detection
def test_a_pattern_names_the_watch_exactly_when_that_is_its_scope(detection):
    named = {word for part in detection.parts for word in words(dict(part.pattern))}
    assert bool(named) is (detection.scope == "own")
    assert named <= WORDS
    assert not {word for part in detection.filled(SAMPLE) for word in words(part.pattern)}


# ----------------------------------------------------------------------------- whose it is

OURS = {
    "bucket": "aws.s3",
    "topic": "aws.sns",
    "function": "aws.lambda",
    "roles": "aws.iam",
    "rules": "aws.events",
    "log_groups": "aws.logs",
    "parameters": "aws.ssm",
    "queue_urls": "aws.sqs",
    "keys": "aws.kms",
}
"""The words for what a watch owns, with the source of the events about it."""


def named_in(word):
    value = SAMPLE[word]
    for one in [value] if isinstance(value, str) else value:
        yield one.rpartition("/")[2] if word in {"queue_urls", "keys"} else one


def what_was_named(event):
    detail = event["detail"]
    asked = [detail.get("requestParameters"), detail.get("resources"), detail.get("bucket")]
    return json.dumps(asked).lower()


def stranger(value):
    """The same kind of name, of another watch in another account."""
    if not isinstance(value, str):
        return tuple(map(stranger, value))
    return re.sub(r"(-an|:)?$", r"-other\1", value).replace("123456789012", "999999999999")


STRANGER = {word: stranger(value) for word, value in SAMPLE.items()} | {"account": "999999999999"}


@each_own
def test_what_is_ours_does_not_concern_another_watch(detection):
    told = [
        event
        for event in detection.examples.fires
        if any(name.lower() in what_was_named(event) for word in OURS for name in named_in(word))
    ]
    assert len(told) >= 3
    for event in told:
        assert fires(detection, event, STRANGER) == set()


@each_own
def test_what_nobody_can_tell_apart_is_told_by_every_watch(detection):
    for event in detection.examples.fires:
        asked = event["detail"].get("requestParameters", {})
        if asked is None or "omitted" in asked:
            assert fires(detection, event, STRANGER)


def drills(event):
    """The event on a name that we invent instead of each name of ours that was typed in it."""
    # A key's name is KMS's own, and a drill takes an alias.
    for word in [word for word, source in OURS.items() if source == event["source"] != "aws.kms"]:
        for name in named_in(word):
            probe = "/ctwatch-probe-7f3k2" if word == "parameters" else "ctwatch-probe-7f3k2"
            if name in json.dumps(event["detail"].get("requestParameters")):
                yield json.loads(json.dumps(event).replace(name, probe))


@each_own
def test_a_drill_on_a_name_that_we_invent_fires(detection):
    struck = set()
    for event in detection.examples.fires:
        for drill in drills(event):
            now = fires(detection, drill)
            assert now, drill["detail"]["requestParameters"]
            struck |= now
    # Of a bucket that does not exist no object is ever deleted.
    none = {"log-object-deletion", "log-key-tampering"}
    assert struck == (set() if detection.id in none else {part.name for part in detection.parts})


def test_a_drill_on_the_key_takes_an_alias_or_an_id_that_we_invent():
    drills = [
        event
        for event in catalogue()["log-key-tampering"].examples.fires
        if "ctwatch-probe-" in json.dumps(event["detail"]["requestParameters"])
    ]
    assert [event["detail"]["errorCode"] for event in drills] == ["NotFoundException"] * 2


def test_without_a_key_only_drills_and_calls_that_hide_their_key_are_left():
    detection = catalogue()["log-key-tampering"]
    left = [
        event["detail"]["requestParameters"]
        for event in detection.examples.fires
        if fires(detection, event, SAMPLE | {"keys": ()})
    ]
    assert left == [
        None,
        {"reason": "requestParameters too large", "originalSize": 149893, "omitted": True},
        {"aliasName": "alias/ctwatch-probe-7f3k2"},
        {"keyId": "ctwatch-probe-7f3k2", "pendingWindowInDays": 30},
    ]


def test_an_alias_among_the_keys_is_watched_like_a_key():
    alias = "arn:aws:kms:ap-northeast-2:123456789012:alias/ctwatch-log"
    stolen = resolved(
        {
            "source": "aws.kms",
            "detail-type": "AWS API Call via CloudTrail",
            "detail": {
                "eventSource": "kms.amazonaws.com",
                "eventName": "UpdateAlias",
                "requestParameters": {"aliasName": "alias/ctwatch-log", "targetKeyId": "other"},
            },
        },
        {},
    )
    detection = catalogue()["log-key-tampering"]
    assert fires(detection, stolen) == set()
    assert fires(detection, stolen, SAMPLE | {"keys": (alias,)})


HERE = "ap-northeast-2:123456789012"
FUNCTION, FUNCTIONS = "lambda-ct-detect-alarm", f"arn:aws:lambda:{HERE}:function"
GROUP, GROUPS = "/aws/lambda/lambda-ct-detect-alarm", f"arn:aws:logs:{HERE}:log-group"
KEY = "1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d"
QUEUE = "ctwatch-dead-letter"
TOPICS = f"arn:aws:sns:{HERE}"
PROBE = "ctwatch-probe-7f3k2"
# What a caller may type for a parameter, and what may not be taken for it.
TYPED = {
    ("aws.lambda", "functionName"): (
        [
            *(FUNCTION, f"{FUNCTION}:live", f"function:{FUNCTION}", f"function:{FUNCTION}:$LATEST"),
            *(f"123456789012:function:{FUNCTION}", f"123456789012:function:{FUNCTION}:7"),
            *(f"{HERE}:function:{FUNCTION}", f"{FUNCTIONS}:{FUNCTION}"),
            *(f"{FUNCTIONS}:{FUNCTION}:live", PROBE, f"function:{PROBE}", f"{FUNCTIONS}:{PROBE}"),
        ],
        [
            *(f"{FUNCTION}-2", f"my-{FUNCTION}", f"function:{FUNCTION}-2", "live"),
            *(f"123456789012:function:{FUNCTION}-2", f"{FUNCTIONS}:other:{FUNCTION}"),
            f"arn:aws:lambda:ap-northeast-2:999999999999:function:{FUNCTION}",
            f"my-{PROBE}",
        ],
    ),
    ("aws.lambda", "resource"): (
        [f"{FUNCTIONS}:{FUNCTION}", f"{FUNCTIONS}:{FUNCTION}:live", f"{FUNCTIONS}:{PROBE}"],
        [f"{FUNCTIONS}:{FUNCTION}-2", f"{FUNCTIONS}:other", FUNCTION],
    ),
    ("aws.lambda", "resourceArn"): (
        [f"{FUNCTIONS}:{FUNCTION}", f"{FUNCTIONS}:{FUNCTION}:live", f"{FUNCTIONS}:{PROBE}"],
        [f"{FUNCTIONS}:{FUNCTION}-2", f"{FUNCTIONS}:other"],
    ),
    ("aws.logs", "logGroupName"): ([GROUP, PROBE], [f"{GROUP}-2", f"/x{GROUP}"]),
    ("aws.logs", "logGroupIdentifier"): (
        [
            *(GROUP, f"{GROUPS}:{GROUP}", f"{GROUPS}:{GROUP}:*", PROBE, f"{GROUPS}:{PROBE}"),
        ],
        [f"{GROUP}-2", f"{GROUPS}:{GROUP}-2", f"{GROUPS}:{GROUP}-2:*"],
    ),
    ("aws.logs", "resourceArn"): (
        [f"{GROUPS}:{GROUP}", f"{GROUPS}:{GROUP}:*", f"{GROUPS}:{PROBE}"],
        [f"{GROUPS}:{GROUP}-2", f"{GROUPS}:other", GROUP],
    ),
    ("aws.logs", "resourceIdentifier"): (
        [f"{GROUPS}:{GROUP}", f"{GROUPS}:{GROUP}:*", f"{GROUPS}:{PROBE}"],
        [f"{GROUPS}:{GROUP}-2", f"{GROUPS}:other"],
    ),
    ("aws.ssm", "name"): (
        ["/ctwatch/discord", PROBE, f"/{PROBE}"],
        ["/ctwatch/discord-2", "/ctwatch", "/ctwatch2/discord"],
    ),
    ("aws.ssm", "resourceId"): (
        ["/ctwatch/discord", PROBE, f"/{PROBE}"],
        ["/ctwatch/discord-2", "/ctwatch", "mi-0123"],
    ),
    ("aws.ssm", "names"): ([["/a", "/ctwatch/discord"], [PROBE], [f"/{PROBE}"]], [["/a"], []]),
    ("aws.sqs", "queueUrl"): (
        [
            f"https://sqs.ap-northeast-2.amazonaws.com/123456789012/{QUEUE}",
            f"https://ap-northeast-2.queue.amazonaws.com/123456789012/{QUEUE}",
            *(QUEUE, PROBE, f"https://sqs.ap-northeast-2.amazonaws.com/123456789012/{PROBE}"),
        ],
        [
            f"https://sqs.ap-northeast-2.amazonaws.com/999999999999/{QUEUE}",
            f"https://sqs.ap-northeast-2.amazonaws.com/123456789012/{QUEUE}-2",
            *(f"https://sqs.ap-northeast-2.amazonaws.com/123456789012/my-{QUEUE}", f"{QUEUE}-2"),
        ],
    ),
    ("aws.sns", "topicArn"): (
        [f"{TOPICS}:sns-cloudtrail-alarm", f"{TOPICS}:ctwatch-deliveries", f"{TOPICS}:{PROBE}"],
        [f"{TOPICS}:sns-cloudtrail-alarm-2", f"{TOPICS}:other", "sns-cloudtrail-alarm"],
    ),
    ("aws.sns", "resourceArn"): (
        [f"{TOPICS}:sns-cloudtrail-alarm", f"{TOPICS}:ctwatch-deliveries", f"{TOPICS}:{PROBE}"],
        [f"{TOPICS}:sns-cloudtrail-alarm-2"],
    ),
    ("aws.sns", "subscriptionArn"): (
        [f"{TOPICS}:sns-cloudtrail-alarm:1a2b", f"{TOPICS}:{PROBE}:1a2b"],
        [f"{TOPICS}:sns-cloudtrail-alarm-2:1a2b", "PendingConfirmation"],
    ),
    ("aws.events", "name"): (["eventbridge-ct-detect", PROBE], ["eventbridge-ct-detect-2"]),
    ("aws.events", "rule"): (["eventbridge-ct-detect", PROBE], ["eventbridge-ct-detect-2"]),
    ("aws.events", "eventBusName"): (["default", None, PROBE], ["orders", "default-2"]),
    ("aws.events", "resourceARN"): (
        [f"arn:aws:events:{HERE}:rule/any", "arn:aws:events:us-east-1:123456789012:rule/any"],
        ["arn:aws:events:ap-northeast-2:999999999999:rule/any", f"arn:aws:events:{HERE}:archive/a"],
    ),
    ("aws.iam", "roleName"): (
        ["ctwatch-notifier", "CTWATCH-NOTIFIER", PROBE],
        ["ctwatch-notifier-2", "notifier"],
    ),
    ("aws.kms", "keyId"): (
        [KEY, f"arn:aws:kms:{HERE}:key/{KEY}"],
        [f"arn:aws:kms:ap-northeast-2:999999999999:key/{KEY}", "alias/other", KEY[:-1]],
    ),
    ("aws.s3", "bucketName"): (
        ["s3-cloudtrail-monitor-123456789012-ap-northeast-2-an", PROBE],
        ["s3-cloudtrail-monitor", f"my-{PROBE}"],
    ),
}
CALLS = {
    one.pattern["source"][0]: (d, one)
    for d in DETECTIONS
    for one in d.parts
    if d.scope == "own" and one.pattern["detail-type"] != ["Object Deleted"]
}


def call(source, asked):
    """A call of a service that carries or keeps our alerts, with these parameters and no more."""
    detection, part = CALLS[source]
    name = conditions(part.pattern, EVENT_NAME)[0]
    example = next(e for e in detection.examples.fires if e["source"] == source)
    name = name if isinstance(name, str) else example["detail"]["eventName"]
    changed = {"eventName": name, "requestParameters": asked, "resources": []}
    return {**example, "detail": {**example["detail"], **changed}}


@pytest.mark.parametrize(
    ("source", "parameter", "typed", "ours"),
    [
        (*where, typed, ours)
        for where, both in TYPED.items()
        for ours, several in zip((True, False), both, strict=True)
        for typed in several
    ],
)
def test_what_is_ours_is_known_however_it_is_typed(source, parameter, typed, ours):
    detection, _ = CALLS[source]
    along = {"tagKeys": ["ctwatch:watch"]} if parameter == "resourceARN" else {}
    assert bool(fires(detection, call(source, {parameter: typed, **along}))) is ours


def test_whoever_names_no_bus_means_the_default_one():
    detection, _ = CALLS["aws.events"]
    example = next(e for e in detection.examples.fires if e["source"] == "aws.events")
    for name in ("PutPermission", "RemovePermission", "UpdateEventBus"):
        asked = {"statementId": "a"}
        event = {**example["detail"], "eventName": name, "requestParameters": asked}
        assert fires(detection, {**example, "detail": event})


def test_every_parameter_of_a_pattern_is_among_those_that_are_typed():
    listed = {
        (source, key)
        for source, (_, part) in CALLS.items()
        for key in re.findall(r'"requestParameters": {"(\w+)"', json.dumps(part.pattern))
    }
    assert listed - {(source, "omitted") for source in CALLS} == {*TYPED, ("aws.kms", "aliasName")}


@pytest.mark.parametrize("source", CALLS)
@pytest.mark.parametrize("omitted", [True, "true"])
def test_parameters_too_large_for_cloudtrail_hide_nothing(source, omitted):
    asked = {"reason": "requestParameters too large", "originalSize": 149893, "omitted": omitted}
    assert fires(CALLS[source][0], call(source, asked))


@pytest.mark.parametrize("source", CALLS)
def test_a_denied_call_of_which_nothing_is_kept_is_told(source):
    # S3 always keeps which bucket was meant.
    assert bool(fires(CALLS[source][0], call(source, None))) is (source != "aws.s3")


def test_the_sample_is_the_default_configuration():
    config = parse_config({"topic": {"emails": ["security@example.com"]}}).filled("123456789012")
    assert SAMPLE["region"] == config.region
    assert SAMPLE["trail"] == config.trail.name
    assert SAMPLE["bucket"] == config.bucket.name
    assert SAMPLE["topic"] == config.topic.name
    assert SAMPLE["function"] == config.function.name
    assert SAMPLE["rules"] == tuple(rule.name for rule in config.rules)
    for word in ("trail", "topic", "function", "bucket"):
        arn = SAMPLE[f"{word}_arn"]
        assert arn.startswith("arn:aws:")
        assert re.split("[:/]", arn)[-1] == SAMPLE[word]
    assert SAMPLE["subscriptions_prefix"] == f"{SAMPLE['topic_arn']}:"


# ------------------------------------------------------------------------------- filling in


def detection_of(pattern, **more):
    raw = {**GOOD, "scope": "own", "pattern": {"source": ["aws.quake"], **pattern}, **more}
    return parse("quake", yaml.safe_dump(raw), yaml.safe_dump(EXAMPLES))


def filled(pattern, **names):
    parts = detection_of(pattern).filled(SAMPLE | names)
    return [{k: v for k, v in part.pattern.items() if k != "source"} for part in parts]


FILLED = [
    ({"a": ["{bucket}"]}, {"bucket": "b"}, {"a": ["b"]}),
    ({"a": [{"prefix": "{bucket}/x"}]}, {"bucket": "b"}, {"a": [{"prefix": "b/x"}]}),
    ({"a": ["x", "{rules}", "y"]}, {"rules": ("b", "c")}, {"a": ["x", "b", "c", "y"]}),
    ({"a": ["x", "{rules}"]}, {"rules": ()}, {"a": ["x"]}),
    (
        {"a": [{"prefix": "{account}/{rules}"}]},
        {"rules": ("b", "c"), "account": "1"},
        {"a": [{"prefix": "1/b"}, {"prefix": "1/c"}]},
    ),
    (
        {"a": [{"anything-but": ["{rules}", "x"]}]},
        {"rules": ("b", "c")},
        {"a": [{"anything-but": ["b", "c", "x"]}]},
    ),
    ({"a": ["{not a word}", "{}", 5, None]}, {}, {"a": ["{not a word}", "{}", 5, None]}),
    (
        {"$or": [{"a": ["{rules}"]}, {"b": ["1"]}, {"c": ["2"]}]},
        {"rules": ()},
        {"$or": [{"b": ["1"]}, {"c": ["2"]}]},
    ),
    # One member left, which needs no `$or`; the object round an empty field goes with it.
    (
        {"d": {"e": ["5"]}, "$or": [{"d": {"a": ["{rules}"]}}, {"d": {"b": ["1"]}}]},
        {"rules": ()},
        {"d": {"e": ["5"], "b": ["1"]}},
    ),
    (
        {"$or": [{"x": ["1"], "$or": [{"a": ["{rules}"]}, {"b": ["{keys}"]}]}, {"c": ["2"]}]},
        {"rules": (), "keys": ()},
        {"c": ["2"]},
    ),
]


@pytest.mark.parametrize(("pattern", "names", "expected"), FILLED)
def test_words_are_replaced_by_what_they_stand_for(pattern, names, expected):
    assert filled(pattern, **names) == [expected]


@pytest.mark.parametrize(
    "pattern",
    [
        {"a": ["{rules}"]},
        {"d": {"a": ["{rules}"], "b": ["1"]}},
        {"$or": [{"a": ["{rules}"]}, {"b": ["{rules}"]}]},
    ],
)
def test_a_part_of_which_nothing_is_left_falls_away(pattern):
    assert filled(pattern, rules=()) == []


def test_words_that_follow_from_others_need_not_be_given():
    names = {
        "topic_arn": "arn:aws-cn:sns:cn-north-1:1:t",
        "keys": ["arn:aws:kms:r:1:key/k", "arn:aws:kms:r:1:alias/a/b"],
        "queue_urls": ["https://sqs.r.amazonaws.com/1/q"],
    }
    assert filled({"a": ["{partition}", "{key_names}", "{queue_names}"]}, **names) == [
        {"a": ["aws-cn", "k", "alias/a/b", "q"]}
    ]


def test_only_words_that_stand_in_the_pattern_are_needed():
    detection = detection_of({"a": ["{rules}"]})
    assert detection.filled({"rules": ["r"]})[0].pattern["a"] == ["r"]
    with pytest.raises(KeyError, match="rules"):
        detection.filled({"trail": "t"})
    with pytest.raises(KeyError, match="key_names"):
        detection_of({"a": ["{key_names}"]}).filled({"trail": "t"})


def test_filling_in_leaves_the_detection_as_it_is():
    detection = catalogue()["pipeline-tampering"]
    before = json.dumps([dict(part.pattern) for part in detection.parts])
    (first, *_) = detection.filled(SAMPLE)
    first.pattern["detail"]["eventName"].clear()
    assert json.dumps([dict(part.pattern) for part in detection.parts]) == before


@each_detection
def test_a_detection_of_the_whole_account_is_the_same_for_every_watch(detection):
    if detection.scope == "account":
        assert detection.filled(SAMPLE) == detection.filled(STRANGER) == detection.parts


# -------------------------------------------------------------------------------- cutting

CUT = [key for key, part in PARTS.items() if patterns.size(part.pattern) > 300]


@cache
def cut(key):
    whole = PARTS[key].pattern
    pieces = patterns.split(whole, limit=patterns.size(whole) * 3 // 5)
    return patterns.compile_pattern(whole), [patterns.compile_pattern(one) for one in pieces]


@st.composite
def crossed(draw):
    """An event of the catalogue with some of its fields from another one."""
    one, other = draw(st.sampled_from(STOCK)), draw(st.sampled_from(STOCK))
    taken = draw(st.sets(st.sampled_from(["eventName", "requestParameters", "resources"])))
    donated = {key: other["detail"][key] for key in taken if key in other["detail"]}
    return {**one, "detail": {**one["detail"], **donated}}


@trials(300)
@given(st.sampled_from(CUT), crossed())
def test_a_part_that_is_cut_fires_on_the_same_events(key, event):
    whole, pieces = cut(key)
    assert len(pieces) > 1
    assert any(piece.matches(event) for piece in pieces) is whole.matches(event)


@trials(300)
@given(any_pattern, any_event, st.floats(0.3, 1))
@example({"a": ["1", "2"], "$or": [{"a": ["3", "4"]}, {"b": ["5"]}]}, {"a": "3"}, 0.7)
@example({"b": {"a": ["1"]}, "$or": [{"b.a": ["2"]}, {"b": ["5"]}]}, {"b": {"a": "2"}}, 0.9)
def test_the_parts_of_any_pattern_match_what_the_whole_matches(pattern, event, share):
    limit = int(patterns.size(pattern) * share)
    try:
        pieces = patterns.split(pattern, limit)
    except PatternError:
        return
    assert all(patterns.size(piece) <= limit for piece in pieces)
    together = any(patterns.matches(piece, event) for piece in pieces)
    assert together is patterns.matches(pattern, event)


@trials(200)
@given(any_pattern, any_event)
@example({"$or": [{"a": ["1"]}, {"a": ["1"]}], "a": ["2"]}, {"a": "1"})
@example({"a": ["2"], "$or": [{"a": ["1"]}, {"a": ["1"]}]}, {"a": "1"})
@example({"a": ["2"], "$or": [{"a": {"b": ["1"]}}, {"a": {"b": ["1"]}}]}, {"a": {"b": "1"}})
def test_a_pattern_without_its_needless_or_matches_the_same(pattern, event):
    assert patterns.matches(patterns.unwrapped(pattern), event) is patterns.matches(pattern, event)


def test_a_member_that_stands_twice_in_an_or_takes_its_place():
    twice = {"detail": {"a": ["1"]}, "$or": [{"detail": {"b": ["2"]}}] * 2}
    assert patterns.unwrapped(twice) == {"detail": {"a": ["1"], "b": ["2"]}}


def test_a_pattern_that_fits_is_left_alone():
    pattern = {"source": ["aws.a", "aws.b"], "$or": [{"x": [1.5]}, {"y": [None]}]}
    assert patterns.split(pattern, patterns.size(pattern)) == (pattern,)
    assert patterns.split(json.dumps(pattern)) == (pattern,)
    assert patterns.split('{"a": ["1"], "a": ["2"]}') == ({"a": ["2"]},)
    assert patterns.split('{"d": {"a": ["1"]}, "d": {"b": ["2"]}}') == (
        {"d": {"a": ["1"], "b": ["2"]}},
    )


def test_a_cut_deals_out_as_many_as_fit():
    pattern = {"source": ["aws.a"], "f": [f"{n:08}" for n in range(400)]}
    pieces = patterns.split(pattern)
    assert len(pieces) == 3  # 400 of 11 characters each
    assert [name for piece in pieces for name in piece["f"]] == pattern["f"]
    assert {piece["source"][0] for piece in pieces} == {"aws.a"}


def test_two_long_lists_are_both_cut():
    names = [f"{n:08}" for n in range(400)]
    pieces = patterns.split({"f": names, "g": names})
    assert len(pieces) <= 40  # not one for each pair
    first, last = ({"f": names[at], "g": names[-1 - at]} for at in (0, -1))
    assert all(sum(patterns.matches(one, event) for one in pieces) == 1 for event in (first, last))


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ({"a": ["x" * 50]}, "60 characters, over 40, and nothing in it can be dealt out"),
        ({"a": ["x", "x" * 50]}, "60 characters, over 40, and nothing in it can be dealt out"),
        ({"a": []}, "Empty arrays are not allowed"),
    ],
)
def test_what_cannot_be_cut_is_said(pattern, reason):
    with pytest.raises(PatternError) as caught:
        patterns.split(pattern, 40)
    assert caught.value.reason == reason


def test_a_watch_of_many_rules_guards_each_of_them():
    rules = tuple(f"eventbridge-rule-with-quite-a-long-name-{n:03}" for n in range(90))
    (events, *_) = catalogue()["pipeline-tampering"].filled(SAMPLE | {"rules": rules})
    pieces = [patterns.compile_pattern(one) for one in patterns.split(events.pattern)]
    assert patterns.size(events.pattern) > 2 * patterns.MAX_SIZE
    assert len(pieces) <= 8
    disabled, removed = (
        next(e for e in catalogue()["pipeline-tampering"].examples.fires if key in str(e))
        for key in ("'name': 'eventbridge-ct-detect'", "'rule': 'eventbridge-ct-detect'")
    )
    for rule in (*rules, "eventbridge-rule-of-somebody"):
        for event in (disabled, removed):
            renamed = json.loads(json.dumps(event).replace("eventbridge-ct-detect", rule))
            assert any(one.matches(renamed) for one in pieces) is (rule in rules)


# ------------------------------------------------------------------------- short examples


RECORDS = {
    "event": {"source": "aws.a", "detail": {"who": {"type": "user", "name": "u"}, "tags": [1]}},
    "call": {"base": "event", "detail": {"who": {"base": "role"}}},
    "role": {"type": "role"},
}


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ({"base": "role"}, {"type": "role"}),
        ({"base": "role", "type": "r"}, {"type": "r"}),
        (
            {"base": "event", "detail": {"who": {"name": "v"}, "tags": [2], "x": None}},
            {
                "source": "aws.a",
                "detail": {"who": {"type": "user", "name": "v"}, "tags": [2], "x": None},
            },
        ),
        ({"base": "call"}, {"source": "aws.a", "detail": {"who": {"type": "role"}, "tags": [1]}}),
        (
            {"base": "role", "list": [{"base": "role"}]},
            {"type": "role", "list": [{"type": "role"}]},
        ),
        ({"base": "event", "detail": None}, {"source": "aws.a", "detail": None}),
        ({"no": {"other": 1}}, {"no": {"other": 1}}),
    ],
)
def test_an_example_is_laid_over_what_it_starts_from(short, whole):
    before = json.dumps(RECORDS)
    assert resolved(short, RECORDS) == whole
    assert json.dumps(RECORDS) == before


def test_an_example_of_a_record_that_there_is_not_is_told_in_one_sentence():
    with pytest.raises(
        CtwatchError, match=r"fires starts from 'sms', which _records\.yaml has not"
    ):
        parse("quake", yaml.safe_dump(GOOD), "{fires: [{base: sms}], quiet: [{a: 1}]}")


def test_trail_tampering_is_the_default_rule_of_the_product():
    detection = catalogue()["trail-tampering"]
    assert detection.pattern == {
        "source": ["aws.cloudtrail"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {
            "eventSource": ["cloudtrail.amazonaws.com"],
            "eventName": ["StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"],
        },
    }
    assert (detection.where, detection.read_only) == ("home", False)
    assert detection.severity == "critical"
    assert detection.mitre == ("T1562.008", "T1685.002")
    codes = {event["detail"].get("errorCode") for event in detection.examples.fires}
    assert codes == {None, "TrailNotFoundException", "AccessDenied"}


def test_the_catalogue_is_read_once_and_holds_examples_that_share_nothing():
    assert catalogue() is catalogue()
    first, second, *_ = catalogue()["trail-tampering"].examples.fires
    assert first["detail"]["userIdentity"] is not second["detail"]["userIdentity"]
    assert first["detail"]["tlsDetails"] is not second["detail"]["tlsDetails"]


def test_a_detection_cannot_be_changed_by_accident():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DETECTIONS[0].severity = "low"


GOOD = {
    "id": "quake",
    "title": {"ko": "지진", "en": "Quake"},
    "why": {"ko": "흔들림", "en": "It shakes"},
    "severity": "high",
    "mitre": ["T1562"],
    "where": "every-region",
    "read_only": True,
    "pattern": {"source": ["aws.quake"]},
}
EXAMPLES = {"fires": [{"source": "aws.quake"}], "quiet": [{"source": "custom"}]}


def test_a_detection_of_ones_own_is_read_the_same_way():
    detection = parse("quake", yaml.safe_dump(GOOD), yaml.safe_dump(EXAMPLES))
    assert isinstance(detection, Detection)
    assert detection.read_only
    assert detection.examples.fires == ({"source": "aws.quake"},)


@pytest.mark.parametrize("scope", ["account", "own"])
def test_a_scope_may_be_given(scope):
    text = yaml.safe_dump(GOOD | {"scope": scope})
    assert parse("quake", text, yaml.safe_dump(EXAMPLES)).scope == scope
    assert parse("quake", yaml.safe_dump(GOOD), yaml.safe_dump(EXAMPLES)).scope == "account"


def in_parts(parts, **more):
    raw = {key: value for key, value in GOOD.items() if key != "pattern"}
    return {**raw, "parts": parts, **more}


def test_a_detection_of_several_parts_hands_down_what_they_do_not_say():
    pattern, other = {"source": ["aws.quake"]}, {"source": ["aws.iam"]}
    parts = {
        "here": {"pattern": pattern},
        "there": {"pattern": other, "where": "us-east-1", "read_only": False},
    }
    detection = parse("quake", yaml.safe_dump(in_parts(parts)), yaml.safe_dump(EXAMPLES))
    assert detection.parts == (
        Part("here", pattern, "every-region", True),
        Part("there", other, "us-east-1", False),
    )
    assert detection.pattern == pattern
    assert detection.filled({}) == detection.parts


BROKEN_PARTS = [
    ({}, "parts must hold at least one part by its name"),
    ([{"pattern": {"source": ["aws.a"]}}], "parts must hold at least one part by its name"),
    ({"a": {"where": "home"}}, "parts.a must hold a pattern, and may hold where and read_only"),
    ({"a": None}, "parts.a must hold a pattern, and may hold where and read_only"),
    (
        {"a": {"pattern": {"source": ["aws.a"]}, "scope": "own"}},
        "parts.a must hold a pattern, and may hold where and read_only",
    ),
    (
        {"a": {"pattern": {"source": ["aws.a"]}, "where": "mars"}},
        "parts.a.where must be one of home, us-east-1, every-region, rules",
    ),
    (
        {"a": {"pattern": {"source": ["aws.a"]}, "read_only": 1}},
        "parts.a.read_only must be true or false",
    ),
    ({"a": {"pattern": []}}, "parts.a.pattern must be an object"),
    (
        {"a": {"pattern": {"source": []}}},
        "parts.a.pattern.source is refused by EventBridge (Empty arrays are not allowed)",
    ),
]


@pytest.mark.parametrize(("parts", "problem"), BROKEN_PARTS)
def test_a_broken_part_is_told_in_one_sentence(parts, problem):
    with pytest.raises(CtwatchError) as caught:
        parse("quake", yaml.safe_dump(in_parts(parts)), yaml.safe_dump(EXAMPLES))
    assert caught.value.problem == f"The detection file quake.yaml is broken: {problem}."


@pytest.mark.parametrize(
    "raw", [in_parts({"a": {"pattern": {"s": ["x"]}}}, pattern={"s": ["x"]}), "neither"]
)
def test_a_detection_has_either_a_pattern_or_parts(raw):
    raw = {k: v for k, v in GOOD.items() if k != "pattern"} if raw == "neither" else raw
    with pytest.raises(CtwatchError, match="it must have either pattern or parts"):
        parse("quake", yaml.safe_dump(raw), yaml.safe_dump(EXAMPLES))


BROKEN = [
    ({"id": "other"}, "id must be quake, as the file is named"),
    ({"title": {"en": "Quake"}}, "title must hold a text for each of ko, en"),
    ({"title": {"en": "Quake", "ko": " "}}, "title must hold a text for each of ko, en"),
    ({"why": "because"}, "why must hold a text for each of ko, en"),
    ({"severity": "huge"}, "severity must be one of low, medium, high, critical"),
    ({"where": ["home"]}, "where must be one of home, us-east-1, every-region, rules"),
    ({"read_only": "no"}, "read_only must be true or false"),
    ({"mitre": ["T15"]}, "mitre must list ATT&CK technique ids such as T1562.008"),
    ({"mitre": []}, "mitre must list ATT&CK technique ids such as T1562.008"),
    ({"mitre": "T1562"}, "mitre must list ATT&CK technique ids such as T1562.008"),
    ({"pattern": "{}"}, "pattern must be an object"),
    ({"pattern": {}}, "pattern is refused by EventBridge (Empty objects are not allowed)"),
    (
        {"pattern": {"source": ["a", {"prefiks": "b"}]}},
        "pattern.source[1] is refused by EventBridge (Unrecognized match type prefiks)",
    ),
    (
        {"pattern": {"source": ["x" * 2048]}},
        "pattern has 2063 characters, over 2048, and nothing in it can be dealt out",
    ),
    ({"scope": "mine"}, "scope must be one of account, own"),
    ({"pattern": {"a": ["{bukket}", "{rul}"]}}, "pattern holds {bukket}, {rul}, which stands"),
    ({"pattern": {"a": [{"anything-but": "{rules}"}]}}, "pattern cannot be filled in (one string"),
    ({"colour": "red"}, "missing or unknown keys: colour"),
]


@pytest.mark.parametrize(("change", "problem"), BROKEN)
def test_a_broken_detection_is_told_in_one_sentence(change, problem):
    with pytest.raises(CtwatchError) as caught:
        parse("quake", yaml.safe_dump(GOOD | change), yaml.safe_dump(EXAMPLES))
    assert caught.value.problem.startswith(f"The detection file quake.yaml is broken: {problem}")
    assert caught.value.problem.endswith(".")
    assert caught.value.hint


def test_a_missing_key_is_named():
    text = yaml.safe_dump({key: value for key, value in GOOD.items() if key != "mitre"})
    with pytest.raises(CtwatchError, match="missing or unknown keys: mitre"):
        parse("quake", text, yaml.safe_dump(EXAMPLES))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", r"broken: not YAML \(.*\)\.$"),
        ("- a", "its keys are missing"),
        ("fires: [{a: 1}]", "quiet must list at least one whole event"),
        ("{fires: [], quiet: [{a: 1}]}", "fires must list at least one whole event"),
        ("{fires: [{a: 2026-03-02}], quiet: [{a: 1}]}", "fires holds what JSON cannot"),
    ],
)
def test_broken_examples_are_told_in_one_sentence(text, problem):
    with pytest.raises(CtwatchError, match=problem) as caught:
        parse("quake", yaml.safe_dump(GOOD), text)
    assert "quake.examples.yaml" in caught.value.problem
    assert "\n" not in caught.value.problem


def test_a_detection_without_its_examples_is_a_broken_installation(tmp_path, monkeypatch):
    (tmp_path / "quake.yaml").write_text(yaml.safe_dump(GOOD), "utf-8")
    monkeypatch.setattr(ctwatch.detections.importlib.resources, "files", lambda _name: tmp_path)
    with pytest.raises(CtwatchError, match=r"quake\.examples\.yaml is broken: it cannot be read"):
        catalogue.__wrapped__()["quake"]
