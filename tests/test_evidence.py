"""On any collection of CloudTrail records: what fires is what must, and nothing else.

What must fire is said here once more, in words of the record and without any event pattern. The
records are made up: every name that matters, or nearly does, of every type of identity, with every
shape of the parameters and every ending that is documented or has been seen in published records.
They are put into the envelope that EventBridge puts them in, and shown to the rules of a watch.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from notifier_records import ACCOUNT, IDENTITIES, REGION, TRAIL
from trials import trials
from watch_world import PLAIN, planned

from ctwatch.notifier.detections import detections_of
from ctwatch.notifier.event import unpack
from ctwatch.notifier.message import compose
from ctwatch.notifier.plain import quote
from ctwatch.notifier.settings import read_settings
from ctwatch.patterns import compile_pattern

WATCHED = {
    **PLAIN,
    "rules": [
        {"name": "on-the-trail", "detection": "trail-tampering"},
        {"name": "on-the-root", "detection": "root-login"},
    ],
}
WATCH = planned(WATCHED)
RULES = [(one.detection, compile_pattern(one.pattern)) for one in (*WATCH.rules, *WATCH.away)]
SETTINGS = read_settings({k: v or "" for k, v in WATCH.function.environment.items()})

TAMPERING = ("StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors")


def must_fire(record: dict[str, Any]) -> set[str]:
    """The detections that a record is for: scenario 000's four calls, and root at the console."""
    call = record["eventType"] == "AwsApiCall"
    found = set()
    if call and record["eventSource"] == "cloudtrail.amazonaws.com":
        found |= {"trail-tampering"} if record["eventName"] in TAMPERING else set()
    if record["eventType"] == "AwsConsoleSignIn" and record["eventName"] == "ConsoleLogin":
        root = (record["userIdentity"] or {}).get("type") == "Root"
        found |= {"root-login"} if root else set()
    return found


# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
DETAIL_TYPES = {
    "AwsApiCall": ("AWS API Call via CloudTrail",),
    "AwsConsoleSignIn": ("AWS Console Sign In via CloudTrail", "AWS Console Signin via CloudTrail"),
    "AwsConsoleAction": ("AWS Console Action via CloudTrail",),
    "AwsServiceEvent": ("AWS Service Event via CloudTrail",),
    "AwsCloudTrailInsight": ("AWS Insight via CloudTrail",),
}


def enveloped(record: dict[str, Any], spelling: int = 0) -> dict[str, Any]:
    spelt = DETAIL_TYPES[record["eventType"]]
    return {
        "version": "0",
        "id": "3f0d1b6c-6f6e-4c1e-9a43-5a3f5c1f2a10",
        "detail-type": spelt[spelling % len(spelt)],
        "source": f"aws.{record['eventSource'].partition('.')[0]}",
        "account": ACCOUNT,
        "time": "2026-03-02T04:11:09Z",
        "region": record["awsRegion"],
        "resources": [],
        "detail": record,
    }


# What a record may hold besides: None where the key is null, ABSENT where it is not there.

ABSENT = object()
OMITTED = {"reason": "requestParameters too large", "originalSize": 123456, "omitted": True}
NAMES = ["ct-trail-monitor", TRAIL, "another", "ctwatch-probe-1", "", "5", "트레일", "*", "{x}"]
READS = [{"readWriteType": "ReadOnly"}]
NO_PARAMETERS = [None, ABSENT, {}, OMITTED]
EVERYBODY: list[Any] = [*(one for one, _, _ in IDENTITIES.values()), None]
ENDINGS: list[dict[str, Any]] = [
    {},
    {"errorCode": None, "errorMessage": None},
    {"errorCode": "AccessDenied", "errorMessage": "not authorized: an explicit deny"},
    {"errorCode": "AccessDeniedException", "errorMessage": None},
    {"errorCode": "TrailNotFoundException", "errorMessage": "Unknown trail"},
    {"errorCode": "InvalidHomeRegionException"},
    {"errorCode": "Client.UnauthorizedOperation"},
    {"errorCode": "ThrottlingException", "errorMessage": "Rate exceeded"},
]
TIMES = ["2026-03-02T04:11:09Z", "2026-3-2T4:1:9Z", "2026-03-02", "", "9"]
ADDRESSES = ["203.0.113.24", "AWS Internal", "cloudformation.amazonaws.com", ABSENT]


def named(key: str, name: str) -> dict[str, Any]:
    return {key: name}


parameters = (
    st.sampled_from(NO_PARAMETERS)
    | st.builds(named, st.sampled_from(["name", "trailName"]), st.sampled_from(NAMES))
    | st.fixed_dictionaries({"name": st.sampled_from(NAMES), "isMultiRegionTrail": st.booleans()})
    | st.fixed_dictionaries({"trailName": st.sampled_from(NAMES), "eventSelectors": st.just(READS)})
)
common: dict[str, Any] = {
    "eventVersion": st.sampled_from(["1.0", "1.08", "1.1", "1.11", "2"]),
    "eventTime": st.sampled_from(TIMES),
    "awsRegion": st.sampled_from([REGION, "us-east-1", "us-gov-west-1"]),
    "sourceIPAddress": st.sampled_from(ADDRESSES),
    "userAgent": st.sampled_from(["aws-cli/2.27.0", "signin.amazonaws.com", "5", None, ABSENT]),
    "requestID": st.sampled_from(["0b4c9f0e-63d5-4b1f-8a1c-3f6d0f9b7e21", None, ABSENT]),
    "eventID": st.sampled_from(["6a9e1f7c-2d7b-47c5-9d0f-7b1f7a3f4c55", "7"]),
    "recipientAccountId": st.sampled_from([ACCOUNT, "999988887777", ABSENT]),
}
calls = st.fixed_dictionaries(
    {
        **common,
        "userIdentity": st.sampled_from(EVERYBODY),
        "requestParameters": parameters,
        "readOnly": st.sampled_from([False, ABSENT]),
        "ending": st.sampled_from(ENDINGS),
    }
)
ANSWERS = [{"ConsoleLogin": "Success"}, {"ConsoleLogin": "Failure"}, {"CheckMfa": "Success"}, None]
sign_ins = st.fixed_dictionaries(
    {
        **common,
        "requestParameters": st.none(),
        "responseElements": st.sampled_from(ANSWERS),
        "errorMessage": st.sampled_from([ABSENT, "Failed authentication", "No username found"]),
        "additionalEventData": st.sampled_from([{"MFAUsed": "Yes"}, {"MFAUsed": "No"}, None]),
        "readOnly": st.sampled_from([False, ABSENT]),
        "ending": st.just({}),
    }
)

NEARLY = ("stopLogging", "StopLogging2", "DeleteTrail20131101", "PutEventSelector", "UpdateTrails")
NEIGHBOURS = ("StartLogging", "CreateTrail", "DescribeTrails", "PutInsightSelectors", "")
CALLS = [
    *(("cloudtrail", name) for name in (*TAMPERING, *NEIGHBOURS, *NEARLY)),
    *((other, name) for name in TAMPERING for other in ("cloudtrail-data", "waf", "wafv2", "5")),
    *((other, "DeleteRule") for other in ("waf", "waf-regional", "events")),
    *(("redshift", "DisableLogging"), ("s3", "DeleteBucket"), ("signin", "ConsoleLogin")),
]
SIGN_INS = ("ConsoleLogin", "SwitchRole", "CheckMfa", "consoleLogin", "ConsoleLoginX")


def record(shape: dict[str, Any], kind: str, service: str, name: str) -> dict[str, Any]:
    held = {key: value for key, value in shape.items() if value is not ABSENT and key != "ending"}
    what = {"eventType": kind, "eventSource": f"{service}.amazonaws.com", "eventName": name}
    return {**held, **shape["ending"], **what}


def fired(event: dict[str, Any]) -> set[str]:
    """What fires on an event: the same at home and where it is heard first."""
    told = {name for name, pattern in RULES if pattern.matches(event)}
    assert not [name for name, pattern in RULES if name in told and not pattern.matches(event)]
    return told


@settings(deadline=None)
@given(calls)
def test_on_any_collection_of_calls_exactly_what_must_fires(shape: dict[str, Any]) -> None:
    for service, name in CALLS:
        for kind in ("AwsApiCall", "AwsServiceEvent", "AwsConsoleAction"):
            one = record(shape, kind, service, name)
            assert fired(enveloped(one)) == must_fire(one)


@trials(90)  # each is shown as 150 records
@given(sign_ins)
def test_on_any_collection_of_sign_ins_exactly_what_must_fires(shape: dict[str, Any]) -> None:
    for name in SIGN_INS:
        for identity in EVERYBODY:
            one = record({**shape, "userIdentity": identity}, "AwsConsoleSignIn", "signin", name)
            assert fired(enveloped(one, 0)) == fired(enveloped(one, 1)) == must_fire(one)


@settings(deadline=None)
@given(calls)
def test_what_fires_is_told_by_the_name_of_its_detection_and_in_words(shape) -> None:
    for name in TAMPERING:
        one = record(shape, "AwsApiCall", "cloudtrail", name)
        told = unpack(enveloped(one))[0]
        assert must_fire(one) <= set(detections_of(told, SETTINGS))
        assert name in compose(told, SETTINGS, quote).headline


def test_what_must_fire_is_what_the_scenarios_say() -> None:
    """The statement above is no empty one."""
    plain = {"userIdentity": None, "awsRegion": REGION, "ending": {}}
    four = [name for _, name in CALLS if must_fire(record(plain, "AwsApiCall", "cloudtrail", name))]
    assert set(four) == set(TAMPERING)
    signed = [
        one
        for one in EVERYBODY
        if must_fire(
            record({**plain, "userIdentity": one}, "AwsConsoleSignIn", "signin", "ConsoleLogin")
        )
    ]
    assert [one["type"] for one in signed] == ["Root"]
