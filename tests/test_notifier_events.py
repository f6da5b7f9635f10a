"""What an event is, which detection it belongs to, what follows from it and how bad that is."""

import dataclasses

import pytest
from notifier_records import ACCOUNT, EVENT_ID, REGION, TRAIL, event, sns

from ctwatch.detections import catalogue
from ctwatch.notifier import main, plain
from ctwatch.notifier.detections import DETECTIONS, OWN, detections_of
from ctwatch.notifier.event import unpack
from ctwatch.notifier.message import compose, console_link
from ctwatch.notifier.settings import Settings
from ctwatch.notifier.severity import CONSEQUENCES, follows, severity
from ctwatch.notifier.words import LANGUAGES, words

BUCKET = "our-logs"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/ours"
PROBE = "ctwatch-probe-7f3k2"


def watch(language="en", **options):
    return Settings("ctwatch", TRAIL, language, "UTC", (), **options)


def call(service, name, asked=None, **changes):
    source = f"{service}.amazonaws.com"
    return event(eventSource=source, eventName=name, requestParameters=asked, **changes)


def level(invocation, **options):
    return severity(unpack(invocation)[0], watch(**options))


def following(invocation, **options):
    return set(follows(unpack(invocation)[0], watch(**options)))


def detections(invocation, **options):
    return detections_of(unpack(invocation)[0], watch(**options))


def message(invocation, language="en", **options):
    return compose(unpack(invocation)[0], watch(language, **options), plain.quote)


def facts(invocation, **options):
    return {fact.key: fact.text for fact in message(invocation, **options).facts}


# --- the catalogue ---------------------------------------------------------------------------


def test_the_notifiers_table_is_the_catalogues():
    known = {
        one.id: (one.title["ko"], one.title["en"], one.severity, " ".join(one.mitre))
        for one in catalogue().values()
    }
    assert {name: dataclasses.astuple(one) for name, one in DETECTIONS.items()} == known


def test_the_notifier_knows_what_looks_at_a_watchs_own_resources_alone():
    assert {one.id for one in catalogue().values() if one.scope == "own"} == OWN


@pytest.mark.parametrize("name", sorted(DETECTIONS))
def test_every_event_that_fires_is_known_to_be_of_its_detection(name):
    for example in catalogue()[name].examples.fires:
        assert name in detections(example), example["detail"].get("eventName")


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        (event(), ("trail-tampering",)),
        (event(eventName="StartLogging"), ("trail-reconfiguration",)),
        (event(userIdentity={"type": "Root"}), ("trail-tampering", "root-activity")),
        (call("waf", "DeleteRule", {"name": "x"}), ()),
        (call("lambda", "DeleteFunction20150331"), ("pipeline-tampering",)),
        (call("lambda", "GetFunction20150331v2"), ()),
        (event(eventSource=None), ()),
        (sns("garbage"), ()),
    ],
)
def test_an_event_belongs_to_what_its_service_and_name_say(came, expected):
    assert detections(came) == expected


OURS = frozenset({"our-rule", "/aws/lambda/our-function", "our-function", "our-role", "our-queue"})


@pytest.mark.parametrize(
    ("came", "own"),
    [
        (call("events", "DisableRule", {"name": "our-rule"}), True),
        (call("events", "DisableRule", {"name": "another"}), False),
        (call("events", "RemoveTargets", {"rule": "our-rule"}), True),
        (call("events", "UpdateEventBus", {"name": "default"}), True),
        (call("events", "DisableRule", {"name": PROBE}), True),
        (call("events", "DisableRule"), True),
        (call("events", "PutRule", {"omitted": True}), True),
        (call("iam", "DeleteRole", {"roleName": "OUR-Role"}), True),
        (call("logs", "DeleteLogGroup", {"logGroupName": "/aws/lambda/our-function"}), True),
        (call("logs", "DeleteLogGroup", {"logGroupName": "/aws/lambda/other"}), False),
        (call("sqs", "PurgeQueue", {"queueUrl": f"https://x/{ACCOUNT}/our-queue"}), True),
        (call("lambda", "AddPermission20150331v2", {"functionName": "our-function:$LATEST"}), True),
        (call("ssm", "DeleteParameters", {"names": ["/x", "our-rule"]}), True),
        (call("kms", "DisableKey", None, resources=[{"ARN": "a:key/other"}]), False),
        (call("kms", "DisableKey", None, resources=[{"ARN": "a:key/our-queue"}]), True),
    ],
)
def test_another_resource_than_the_watchs_own_is_no_attack_on_the_watch(came, own):
    assert bool(detections(came, own=OURS)) == own
    assert detections(came)


def test_root_on_anothers_rule_is_root_activity_and_silences_nobody_here():
    came = call("events", "DisableRule", {"name": "another"}, userIdentity={"type": "Root"})
    assert detections(came, own=OURS) == ("root-activity",)
    assert (following(came, own=OURS), level(came, own=OURS)) == (set(), "high")
    assert (following(came), level(came)) == ({"silences_rule"}, "critical")


def test_root_on_anothers_topic_is_graded_as_root_activity():
    came = call("sns", "DeleteTopic", {"topicArn": "arn:another"}, userIdentity={"type": "Root"})
    assert (level(came, own=OURS), level(came)) == ("high", "critical")


# --- what follows ----------------------------------------------------------------------------


def update(**asked):
    return event(eventName="UpdateTrail", requestParameters={"name": TRAIL, **asked})


def selectors(**asked):
    return event(eventName="PutEventSelectors", requestParameters={"trailName": TRAIL, **asked})


def advanced(*fields):
    management = {"field": "eventCategory", "equals": ["Management"]}
    return selectors(advancedEventSelectors=[{"fieldSelectors": [management, *fields]}])


def opened(**rule):
    return call("ec2", "AuthorizeSecurityGroupIngress", {"groupId": "sg-1", **rule})


def items(**rule):
    return opened(ipPermissions={"items": [{"ipProtocol": "tcp", "fromPort": 22, **rule}]})


def modified(**rule):
    inner = {"SecurityGroupRuleId": "sgr-1", "SecurityGroupRule": rule}
    request = {"GroupId": "sg-1", "SecurityGroupRule": inner}
    asked = {"ModifySecurityGroupRulesRequest": request}
    return call("ec2", "ModifySecurityGroupRules", asked)


@pytest.mark.parametrize(
    ("came", "expected", "bad"),
    [
        (update(), set(), "medium"),
        (update(isMultiRegionTrail=True, includeGlobalServiceEvents=True), set(), "medium"),
        (update(s3BucketName="evil"), {"moves_bucket"}, "critical"),
        (update(isMultiRegionTrail=False), {"single_region"}, "critical"),
        (update(includeGlobalServiceEvents=False), {"no_global_events"}, "critical"),
        (update(enableLogFileValidation=False), {"no_validation"}, "high"),
        (update(isOrganizationTrail=False), {"no_organization"}, "high"),
        (update(kmsKeyId="alias/evil"), {"changes_key"}, "high"),
        (update(kmsKeyId=""), {"changes_key"}, "high"),
        (update(cloudWatchLogsLogGroupArn="x"), set(), "medium"),
        (event(eventName="UpdateTrail", requestParameters={"omitted": True}), {"omitted"}, "high"),
        (advanced(), set(), "high"),
        (advanced({"field": "readOnly", "equals": ["true"]}), {"blinds"}, "critical"),
        (advanced({"field": "readOnly", "equals": ["false"]}), set(), "high"),
        (advanced({"field": "readOnly", "equals": None}), set(), "high"),
        (advanced({"field": "readOnly", "notEquals": ["false"]}), {"blinds"}, "critical"),
        (
            advanced({"field": "eventSource", "notEquals": ["kms.amazonaws.com"]}),
            set(),
            "high",
        ),
        (
            advanced({"field": "eventSource", "notEquals": ["cloudtrail.amazonaws.com"]}),
            {"blinds"},
            "critical",
        ),
        (
            advanced({"field": "eventSource", "equals": ["s3.amazonaws.com"]}),
            {"blinds"},
            "critical",
        ),
        (advanced({"field": "eventName", "startsWith": ["Put"]}), {"blinds"}, "critical"),
        (call("events", "DisableRule"), {"silences_rule"}, "critical"),
        (call("events", "DeleteRule"), {"silences_rule"}, "critical"),
        (call("events", "RemoveTargets"), {"silences_rule"}, "critical"),
        (call("events", "PutRule", {"state": "DISABLED"}), {"silences_rule"}, "critical"),
        (call("events", "PutRule", {"state": "ENABLED"}), set(), "high"),
        (call("events", "PutPermission", {"policy": "{}"}), set(), "high"),
        (call("lambda", "UntagResource20170331v2", {"tagKeys": ["team"]}), set(), "medium"),
        (
            call("lambda", "PutFunctionConcurrency20171031", {"reservedConcurrentExecutions": 0}),
            {"throttles"},
            "critical",
        ),
        (
            call("lambda", "PutFunctionConcurrency20171031", {"reservedConcurrentExecutions": 1}),
            set(),
            "medium",
        ),
        (
            call("s3", "PutBucketVersioning", {"VersioningConfiguration": {"Status": "Suspended"}}),
            {"suspends_versioning"},
            "high",
        ),
        (
            call("s3", "PutBucketVersioning", {"VersioningConfiguration": {"Status": "Enabled"}}),
            set(),
            "medium",
        ),
        (call("guardduty", "UpdateDetector", {"enable": False}), {"stops_detector"}, "critical"),
        (call("guardduty", "UpdateDetector", {"enable": True}), set(), "medium"),
        (items(ipRanges={"items": [{"cidrIp": "0.0.0.0/0"}]}), {"opens_to_world"}, "high"),
        (items(ipv6Ranges={"items": [{"cidrIpv6": "::/0"}]}), {"opens_to_world"}, "high"),
        (opened(cidrIp="0.0.0.0/0"), {"opens_to_world"}, "high"),
        (opened(cidrIp="128.0.0.0/1"), {"opens_to_world"}, "high"),
        (modified(CidrIpv4="0.0.0.0/0"), {"opens_to_world"}, "high"),
        (modified(CidrIpv6="2000::/3"), {"opens_to_world"}, "high"),
        (opened(cidrIp="10.0.0.0/8"), set(), "medium"),
        (opened(cidrIp="0.0.0.0"), set(), "medium"),
        (opened(cidrIp="0.0.0.0/²"), set(), "medium"),
        (modified(CidrIpv6="fc00::/7"), set(), "medium"),
        (modified(CidrIpv6="2001:db8::/32"), set(), "medium"),
        (modified(CidrIpv4=None), set(), "medium"),
    ],
)
def test_severity_follows_what_really_changed(came, expected, bad):
    assert (following(came), level(came)) == (expected, bad)


@pytest.mark.parametrize(("asked", "left"), [({}, True), ({"errorCode": "AccessDenied"}, False)])
def test_a_consequence_is_told_in_words_once_it_is_real(asked, left):
    came = event(
        eventName="UpdateTrail",
        requestParameters={"name": TRAIL, "isMultiRegionTrail": False},
        **asked,
    )
    assert (words("en")["note_single_region"] in message(came).notes) == left
    assert level(came) == ("critical" if left else "high")


def test_the_worst_consequence_is_told_first():
    notes = message(update(enableLogFileValidation=False, s3BucketName="evil")).notes
    assert notes == (words("en")["note_moves_bucket"], words("en")["note_no_validation"])


def test_every_consequence_has_its_words():
    for language in LANGUAGES:
        assert {f"note_{one}" for one in CONSEQUENCES} <= set(words(language))


def test_a_console_that_names_the_watchs_own_bucket_and_key_again_moves_nothing():
    came = update(s3BucketName=BUCKET, kmsKeyId=KEY)
    assert following(came, bucket=BUCKET, key=KEY) == set()
    assert following(came) == {"moves_bucket", "changes_key"}
    assert "changes" not in facts(came, bucket=BUCKET, key=KEY)


GROUP = "arn:aws:logs:ap-northeast-2:123456789012:log-group:/aws/cloudtrail/ct-trail-monitor"
NEWS = "arn:aws:sns:ap-northeast-2:123456789012:ctwatch-deliveries"
DELIVERING = {"log_group": GROUP, "deliveries": NEWS}


@pytest.mark.parametrize(
    ("asked", "follows"),
    [
        ({"cloudWatchLogsLogGroupArn": ""}, {"drops_log_group"}),
        ({"cloudWatchLogsLogGroupArn": f"{GROUP}-2:*"}, {"drops_log_group"}),
        ({"cloudWatchLogsLogGroupArn": f"{GROUP}:*"}, set()),
        ({"snsTopicName": ""}, {"drops_topic"}),
        ({"snsTopicName": "evil"}, {"drops_topic"}),
        ({"snsTopicName": NEWS.replace("123456789012", "999999999999")}, {"drops_topic"}),
        ({"snsTopicName": NEWS}, set()),
        ({"snsTopicName": "ctwatch-deliveries"}, set()),
    ],
)
def test_what_the_watchs_own_trail_delivers_to_is_dropped_when_it_is_another_or_none(
    asked, follows
):
    came = update(**asked)
    assert following(came, **DELIVERING) == follows
    assert level(came, **DELIVERING) == ("high" if follows else "medium")
    assert (following(came), level(came)) == (set(), "medium")  # there was none to be dropped
    others = event(eventName="UpdateTrail", requestParameters={"name": "other", **asked})
    assert following(others, **DELIVERING) == set()


def test_what_it_delivered_to_before_is_said():
    told = facts(update(snsTopicName="", cloudWatchLogsLogGroupArn=f"{GROUP}:*"), **DELIVERING)
    assert told["changes"] == f"Delivery notification topic: {NEWS} → nothing"


def test_without_a_key_an_empty_one_takes_nothing_away():
    assert following(update(kmsKeyId=""), key="") == set()
    assert following(update(kmsKeyId=""), key=KEY) == {"changes_key"}


def test_another_trails_bucket_is_not_compared_with_ours():
    came = event(
        eventName="UpdateTrail", requestParameters={"name": "other", "s3BucketName": BUCKET}
    )
    assert following(came, bucket=BUCKET) == {"moves_bucket"}
    assert facts(came, bucket="ours")["changes"] == f"Log bucket: → {BUCKET}"


@pytest.mark.parametrize(
    ("asked", "code", "bad"),
    [
        ({"name": "ct-trail-monitor"}, None, "high"),
        ({"name": "another"}, None, "medium"),
        ({"name": "another"}, "AccessDenied", "low"),
        ({"name": PROBE}, "TrailNotFoundException", "medium"),
        ({"name": PROBE}, None, "medium"),
        (None, None, "high"),
    ],
)
def test_another_trail_is_a_step_lower_but_a_drill_stands_for_ours(asked, code, bad):
    assert level(event(requestParameters=asked, errorCode=code)) == bad


def test_another_accounts_trail_is_not_made_light_of():
    assert level(event(recipientAccountId="999988887777")) == "high"


def test_nothing_is_less_than_low():
    came = event(
        eventName="StartLogging", requestParameters={"name": "other"}, errorCode="AccessDenied"
    )
    assert level(came) == "low"


def test_our_trail_named_in_another_region_is_still_ours():
    away = {"awsRegion": "eu-west-1", "errorCode": "InvalidHomeRegionException"}
    assert facts(event(**away))["trail"] == "ct-trail-monitor (ours)"
    assert facts(event(awsRegion="eu-west-1"))["trail"] == "ct-trail-monitor (not ours)"


# --- what changed ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("came", "told"),
    [
        (
            update(s3BucketName="evil", isMultiRegionTrail=False),
            "Log bucket: our-logs → evil\nMulti-region: → false",
        ),
        (update(kmsKeyId=""), f"Encryption key: {KEY} → nothing"),
        (
            call("lambda", "PutFunctionConcurrency", {"reservedConcurrentExecutions": 0}),
            "Reserved concurrency: → 0",
        ),
        (
            call("events", "PutRule", {"name": "r", "state": "DISABLED"}),
            "Rule state: → DISABLED",
        ),
        (
            call(
                "sns",
                "SetTopicAttributes",
                {"attributeName": "DisplayName", "attributeValue": "x"},
            ),
            "DisplayName: → x",
        ),
        (
            items(toPort=443, ipRanges={"items": [{"cidrIp": "10.0.0.0/8"}]}),
            "Let in: → “10.0.0.0/8 tcp 22-443”",
        ),
        (
            modified(CidrIpv4="0.0.0.0/0", IpProtocol="-1", FromPort=-1, ToPort=-1),
            "Let in: → “0.0.0.0/0 all -1”",
        ),
        (
            call("guardduty", "UpdateDetector", {"detectorId": "d", "enable": False}),
            "enable: → false",
        ),
    ],
)
def test_what_changed_is_told_as_before_and_after(came, told):
    assert facts(came, bucket=BUCKET, key=KEY)["changes"] == told


def test_more_changes_than_fit_end_in_an_ellipsis():
    ranges = [{"cidrIp": f"10.0.{n}.0/24", "description": "x"} for n in range(60)]
    told = facts(items(ipRanges={"items": ranges}))["changes"]
    assert len(told) <= 802
    assert told.endswith("\n…")


@pytest.mark.parametrize("asked", [{}, {"attributeName": None}, {"attributeName": ["x"]}])
def test_an_attribute_without_a_name_is_no_change(asked):
    assert "changes" not in facts(call("sns", "SetTopicAttributes", asked))


def test_rules_nested_without_end_are_not_followed():
    rule: dict = {"cidrIp": "0.0.0.0/0"}
    for _ in range(50_000):
        rule = {"ipPermissions": rule}
    assert following(opened(**rule)) == set()


# --- what it was about -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("came", "target"),
    [
        (call("events", "PutTargets", {"rule": "r"}), "r"),
        (call("sns", "Unsubscribe", {"subscriptionArn": "arn:x:y"}), "arn:x:y"),
        (call("kms", "DisableKey", None, resources=[{"ARN": "arn:k"}, None]), "arn:k"),
        (call("ssm", "DeleteParameters", {"names": ["/a", "/b"]}), "/a"),
        (modified(CidrIpv4="10.0.0.0/8"), "sg-1"),
    ],
)
def test_what_the_call_was_about_is_told(came, target):
    told = message(came)
    assert {fact.key: fact.text for fact in told.facts}["target"] == target
    assert told.headline.endswith(f" · {target}")
    assert "trail" not in facts(came)


@pytest.mark.parametrize(
    "asked",
    [
        {"rule": PROBE},
        {"topicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:{PROBE}"},
        {"subscriptionArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:{PROBE}:uuid"},
        {"functionName": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{PROBE}"},
        {"functionName": f"{ACCOUNT}:function:{PROBE}"},
        {"functionName": f"function:{PROBE}:$LATEST"},
        {"bucketName": PROBE},
        {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/{PROBE}"},
        {"logGroupName": f"/aws/lambda/{PROBE}"},
        {"name": f"/{PROBE}"},
        {"names": [PROBE, f"/{PROBE}"]},
        {"queueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{PROBE}"},
        {"keyId": f"alias/{PROBE}"},
    ],
)
def test_a_failed_call_on_a_probe_of_any_kind_is_a_drill(asked):
    told = message(call("events", "X", asked, errorCode="ResourceNotFoundException"))
    assert told.headline.split(" · ")[0].endswith("DRILL")
    assert told.notes == (words("en")["note_drill_target"],)
    assert "DRILL" not in message(call("events", "X", asked)).headline


@pytest.mark.parametrize(
    "asked",
    [
        {"rule": PROBE, "name": "real"},
        {"names": [PROBE, "/real"]},
        {"names": []},
        {"functionName": f"x:function:{PROBE}"},
        {"roleName": f"real-{PROBE}"},
        {"queueUrl": f"https://evil/x/{PROBE}"},
        {"description": PROBE},
    ],
)
def test_a_failed_call_on_anything_else_is_none(asked):
    came = call("events", "X", asked, errorCode="AccessDenied")
    assert "DRILL" not in message(came).headline


# --- sign-ins --------------------------------------------------------------------------------


def login(result="Success", mfa="Yes", identity=None, **changes):
    root = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}
    changes.setdefault("errorMessage", "Failed authentication" if result == "Failure" else None)
    return call(
        "signin",
        "ConsoleLogin",
        eventType="AwsConsoleSignIn",
        userIdentity=identity or root,
        responseElements={"ConsoleLogin": result},
        additionalEventData={"MFAUsed": mfa, "LoginTo": "https://console.aws.amazon.com/"},
        requestID=None,
        **changes,
    )


USER = {"type": "IAMUser", "userName": "HIDDEN_DUE_TO_SECURITY_REASONS", "accountId": ACCOUNT}


@pytest.mark.parametrize(
    ("came", "bad", "belongs"),
    [
        (login(), "high", ("root-login",)),
        (login(mfa="No"), "critical", ("root-login",)),
        (login("Failure"), "medium", ("root-login", "console-login-failure")),
        (login("Failure", mfa="No"), "medium", ("root-login", "console-login-failure")),
        (login("Failure", identity=USER), "low", ("console-login-failure",)),
        (login(identity={"type": "IAMUser"}), "medium", ()),
    ],
)
def test_a_sign_in_is_graded_by_who_how_and_whether(came, bad, belongs):
    assert (level(came), detections(came)) == (bad, belongs)


def test_a_root_login_says_so_in_its_first_line():
    assert message(login(mfa="No")).headline == (
        "🔴 ConsoleLogin · SUCCEEDED · Severity critical · the root user"
    )
    assert message(login(mfa="No")).notes == (words("en")["note_without_mfa"],)


def test_a_failed_sign_in_has_no_code_and_says_why():
    told = facts(login("Failure", identity=USER))
    assert told["result"] == "FAILED ATTEMPT · no error code · “Failed authentication”"
    assert told["actor"] == (
        "HIDDEN_DUE_TO_SECURITY_REASONS (no such user; AWS hides what was typed)"
    )
    assert told["request_id"] == "not recorded"
    assert "trail" not in told


def test_a_users_sign_in_says_whose_it_is():
    told = message(login("Failure", identity=USER)).headline
    assert told.endswith(" · HIDDEN_DUE_TO_SECURITY_REASONS")


# --- Insights --------------------------------------------------------------------------------


def insight(state="Start", kind="ApiCallRateInsight", **details):
    context = {
        "statistics": {"baseline": {"average": 0.5}, "insight": {"average": 12.4}},
        "attributions": [
            {"attribute": "userAgent", "insight": [{"value": "curl", "average": 12.4}]},
            {"attribute": "userIdentityArn", "insight": [{"value": "arn:m", "average": 12.4}]},
        ],
    }
    named = {"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances", "state": state}
    come = event(
        eventType="AwsCloudTrailInsight",
        insightDetails={**named, "insightType": kind, "insightContext": context, **details},
    )
    for key in ("eventName", "eventSource", "userIdentity", "requestParameters", "requestID"):
        del come["detail"][key]
    return come


def test_an_insight_tells_the_rate_before_and_now_and_who():
    told = message(insight())
    assert told.headline == (
        "🟡 CloudTrail Insights: RunInstances · STARTED · Severity medium · ec2.amazonaws.com"
    )
    assert facts(insight()) == {
        "event": "RunInstances",
        "target": "ec2.amazonaws.com",
        "changes": "Calls a minute: 0.5 → 12.4",
        "actor": "arn:m",
        "agent": "curl",
        "time": "2026-11-21 05:03:22 UTC",
        "region": REGION,
        "account": ACCOUNT,
        "detection": "insight",
        "mitre": "T1078.004",
        "event_id": EVENT_ID,
        "request_id": "not recorded",
    }


def test_an_insight_of_errors_names_the_error():
    told = facts(insight(kind="ApiErrorRateInsight", errorCode="AccessDenied"))
    assert told["changes"].startswith("Errors a minute: ")
    assert told["target"] == "“ec2.amazonaws.com AccessDenied”"


def test_an_insight_that_is_over_is_low():
    assert level(insight("End")) == "low"
    assert "ENDED" in message(insight("End")).headline


# --- S3's own notification -------------------------------------------------------------------


def deleted(kind="Permanently Deleted", **changes):
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Deleted",
        "source": "aws.s3",
        "account": ACCOUNT,
        "time": "2026-11-21T05:03:22Z",
        "region": REGION,
        "resources": [f"arn:aws:s3:::{BUCKET}"],
        "detail": {
            "bucket": {"name": BUCKET},
            "object": {"key": "AWSLogs/a.json.gz", "version-id": "v1"},
            "request-id": "R1",
            "requester": ACCOUNT,
            "source-ip-address": "203.0.113.7",
            "reason": "DeleteObject",
            "deletion-type": kind,
        },
    } | changes


def test_a_deleted_log_file_is_told_though_nobody_is_named():
    told = message(deleted(), own=frozenset({BUCKET}))
    assert told.headline == "🔴 Object Deleted · SUCCEEDED · Severity critical · our-logs"
    assert told.notes == (words("en")["note_lost_for_good"],)
    assert told.link == console_link(told.event) == ""
    assert facts(deleted()) == {
        "event": "Object Deleted",
        "target": "our-logs/AWSLogs/a.json.gz",
        "changes": "How it was deleted: → “Permanently Deleted”",
        "requested": '“{"reason": "DeleteObject", "version-id": "v1"}”',
        "actor": ACCOUNT,
        "identity": words("en")["identity_of_object"],
        "ip": "203.0.113.7",
        "time": "2026-11-21 05:03:22 UTC",
        "region": REGION,
        "account": ACCOUNT,
        "detection": "log-object-deletion",
        "mitre": "T1070, T1485",
        "event_id": "17793124-05d4-b198-2fde-7ededc63b103",
        "request_id": "R1",
    }


def test_a_delete_marker_can_be_taken_away_again():
    assert (level(deleted("Delete Marker Created")), level(deleted())) == ("high", "critical")


def test_it_is_known_again_by_its_envelope_and_not_by_the_message_it_came_in():
    first, second = sns(deleted()), sns("filler", deleted())
    assert unpack(first)[0].key == unpack(second)[1].key == deleted()["id"]


@pytest.mark.parametrize("changes", [{"source": "custom"}, {"detail-type": "Object Created"}])
def test_nothing_else_passes_for_it(changes):
    assert unpack(deleted(**changes))[0].unreadable == "no_record"


def test_a_deletion_that_says_nothing_is_told_all_the_same():
    told = facts({"source": "aws.s3", "detail-type": "Object Deleted", "detail": None})
    assert {"target", "changes", "requested"}.isdisjoint(told)
    assert told["actor"] == "not recorded"


# --- what was made up ------------------------------------------------------------------------

MARK = {"ctwatch": {"synthetic": True}}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_made_up_event_says_so_first_and_is_as_bad_as_a_real_one(language):
    told, real = message(event() | MARK, language), message(event(), language)
    assert told.headline.split(" ")[1] == "SYNTHETIC"
    assert told.title.split(" ")[1] == "SYNTHETIC"
    assert told.notes[0] == words(language)["note_synthetic"]
    assert (told.level, told.facts, told.detections) == (real.level, real.facts, real.detections)


@pytest.mark.parametrize("came", [login(), insight(), deleted(), {"detail": {}}])
def test_anything_can_be_made_up(came):
    assert "SYNTHETIC" in message(came | MARK).headline
    assert "SYNTHETIC" in message(sns(came | MARK)).headline


@pytest.mark.parametrize(
    "changes",
    [
        {"ctwatch": {"synthetic": "true"}},
        {"ctwatch": True},
        {"ctwatch": None},
        {"synthetic": True},
    ],
)
def test_nothing_but_the_mark_makes_an_event_synthetic(changes):
    assert not unpack(event() | changes)[0].synthetic


def test_a_record_cannot_mark_itself():
    assert not unpack(event(ctwatch={"synthetic": True}, ctwatchSynthetic=True))[0].synthetic


def test_a_made_up_event_does_not_silence_the_real_one_that_comes_later():
    made_up, real = (unpack(each)[0] for each in (event() | MARK, event()))
    sent = main.Sent()
    sent.add((made_up.key, "discord"))
    assert made_up.key
    assert not sent.has((real.key, "discord"))
