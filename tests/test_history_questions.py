"""The standing questions, each against a record that it means and near misses that it does not."""

from datetime import UTC, datetime, timedelta

import pytest

from ctwatch.detections import SAMPLE, catalogue
from ctwatch.history import questions
from ctwatch.history.events import event
from ctwatch.history.search import Finding
from ctwatch.history.tally import Tally
from ctwatch.patterns import compiled

ROLE = "arn:aws:iam::123456789012:role/deploy"
SESSION = "arn:aws:sts::123456789012:assumed-role/deploy/ci"
INSTANCE, GROUP = "i-0abc1234def567890", "sg-0a1b2c3d4e5f60718"


def record(name, **fields):
    return {
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "eventType": "AwsApiCall",
        "eventTime": "2026-11-21T09:00:00Z",
        "awsRegion": "ap-northeast-2",
        "sourceIPAddress": "203.0.113.7",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": SESSION,
            "sessionContext": {"sessionIssuer": {"arn": ROLE}},
        },
        "eventID": "b31716e9-13e5-4fb5-9c60-1c723c59f5a6",
        **fields,
    }


def terminated(*instances, **fields):
    items = {"items": [{"instanceId": one} for one in instances]}
    return record("TerminateInstances", requestParameters={"instancesSet": items}, **fields)


def login(outcome):
    return record(
        "ConsoleLogin",
        eventSource="signin.amazonaws.com",
        eventType="AwsConsoleSignIn",
        responseElements={"ConsoleLogin": outcome},
    )


def named(group, name, group_id, rules):
    """Of a group that was named by its name, so that only EC2's answer has its id."""
    return record(
        name,
        requestParameters={"groupName": group, "ipPermissions": {}},
        responseElements={"_return": True, rules: {"items": [{"groupId": group_id}]}},
    )


NINE = datetime(2026, 11, 21, 9, tzinfo=UTC)
MEANT = [
    (questions.who_terminated(INSTANCE), terminated("i-1", INSTANCE)),
    (
        questions.who_terminated(INSTANCE),
        record("BidEvictedEvent", serviceEventDetails={"instanceIdSet": [INSTANCE]}),
    ),
    (
        questions.who_changed_security_group(GROUP),
        record("AuthorizeSecurityGroupIngress", requestParameters={"groupId": GROUP}),
    ),
    (
        questions.who_changed_security_group(GROUP),
        record(
            "ModifySecurityGroupRules",
            requestParameters={"ModifySecurityGroupRulesRequest": {"GroupId": GROUP}},
        ),
    ),
    (questions.outside(["10.0.0.0/8"]), record("RunInstances")),
    (questions.denied(), record("RunInstances", errorCode="Client.UnauthorizedOperation")),
    (questions.denied(), record("GetKey", errorCode="AccessDeniedException")),
    (questions.denied(ROLE), record("RunInstances", errorCode="AccessDenied")),
    (questions.failed_logins(), login("Failure")),
    (questions.root(), record("GetUser", userIdentity={"type": "Root"})),
    (questions.actor(ROLE, NINE, timedelta(hours=1)), record("RunInstances")),
    (questions.actor(SESSION, NINE, timedelta(hours=1)), record("RunInstances")),
    (questions.actor(SESSION, NINE, timedelta(0)), record("RunInstances")),
    (questions.one_event("b31716e9-13e5-4fb5-9c60-1c723c59f5a6"), record("RunInstances")),
    (questions.stops(), record("StopLogging", eventSource="cloudtrail.amazonaws.com")),
]
# One row for each name of an event and each error code that a question goes by.
CHANGES = (
    *("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"),
    *("RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"),
    "UpdateSecurityGroupRuleDescriptionsIngress",
    "UpdateSecurityGroupRuleDescriptionsEgress",
    *("AssociateSecurityGroupVpc", "DisassociateSecurityGroupVpc", "DeleteSecurityGroup"),
)
STOPS = (
    *("StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"),
    *("StartLogging", "CreateTrail"),
)
DENIALS = (
    *("AccessDenied", "AccessDeniedException", "Client.AccessDenied", "S3.AccessDenied"),
    *("UnauthorizedOperation", "Client.UnauthorizedOperation"),
    *("AuthorizationError", "AuthorizationErrorException", "NotAuthorized", "Client.NotAuthorized"),
)
MEANT += [
    (
        questions.who_terminated(INSTANCE),
        record("TerminateInstanceInAutoScalingGroup", requestParameters={"instanceId": INSTANCE}),
    ),
    *(
        (questions.who_changed_security_group(GROUP), record(name, **{at: {"groupId": GROUP}}))
        for at, names in (
            ("requestParameters", CHANGES),
            ("responseElements", ("CreateSecurityGroup", "DeleteSecurityGroup")),
        )
        for name in names
    ),
    *(
        (questions.who_changed_security_group(GROUP), named("default", name, GROUP, rules))
        for name, rules in (
            ("AuthorizeSecurityGroupIngress", "securityGroupRuleSet"),
            ("AuthorizeSecurityGroupEgress", "securityGroupRuleSet"),
            ("RevokeSecurityGroupIngress", "revokedSecurityGroupRuleSet"),
        )
    ),
    *((questions.stops(), record(name, eventSource="cloudtrail.amazonaws.com")) for name in STOPS),
    *((questions.denied(), record("GetKey", errorCode=code)) for code in DENIALS),
]
NOT_MEANT = [
    (questions.who_terminated(INSTANCE), terminated("i-1", "i-2")),
    (questions.who_terminated(INSTANCE), record("RunInstances", requestParameters=None)),
    (
        questions.who_changed_security_group(GROUP),
        record("DescribeSecurityGroups", requestParameters={"groupId": GROUP}),
    ),
    (questions.outside(["203.0.113.0/24"]), record("RunInstances")),
    (questions.outside(["203.0.113.0/24"]), record("X", sourceIPAddress="::ffff:203.0.113.7")),
    (questions.outside(["10.0.0.0/8"]), record("X", sourceIPAddress="AWS Internal")),
    (questions.denied(), record("RunInstances")),
    (questions.denied(), record("RunInstances", errorCode="Client.RequestLimitExceeded")),
    (questions.denied(f"{ROLE}2"), record("RunInstances", errorCode="AccessDenied")),
    (questions.failed_logins(), login("Success")),
    (questions.root(), record("X", userIdentity={"type": "Root", "invokedBy": "AWS Internal"})),
    (questions.actor(ROLE, NINE + timedelta(hours=2), timedelta(hours=1)), record("X")),
    (questions.one_event("another"), record("RunInstances")),
    (
        questions.who_changed_security_group(GROUP),
        named(GROUP, "AuthorizeSecurityGroupIngress", "sg-1", "securityGroupRuleSet"),
    ),
    (
        questions.who_changed_security_group(GROUP),
        named("default", "DescribeSecurityGroupRules", GROUP, "securityGroupRuleSet"),
    ),
    (questions.stops(), record("StopLogging")),
    (
        questions.who_terminated(INSTANCE),
        record("TerminateInstanceInAutoScalingGroup", requestParameters={"instanceId": "i-1"}),
    ),
]


def answers(question, one):
    fits = compiled(question.pattern).matches(event(one))
    return fits and all(each.holds(one) for each in question.conditions)


def told(one):
    """What a row is called."""
    return (
        one.name if isinstance(one, questions.Question) else one.get("errorCode", one["eventName"])
    )


@pytest.mark.parametrize(("question", "one"), MEANT, ids=told)
def test_a_question_means_a_record(question, one):
    assert answers(question, one)


@pytest.mark.parametrize(("question", "one"), NOT_MEANT, ids=told)
def test_a_question_does_not_mean_a_near_miss(question, one):
    assert not answers(question, one)


def test_who_is_told_is_whom_an_exclusion_would_name():
    assert questions.ACTOR.of(record("X")) == ROLE
    assert questions.SESSION.of(record("X")) == SESSION
    assert questions.ACTOR.of({"userIdentity": {"type": "AWSService"}}) == "AWSService"
    assert questions.ACTOR.of({"userIdentity": None}) == ""


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        ({"requestParameters": {"name": "a-trail", "s3BucketName": "logs"}}, "a-trail"),
        ({"requestParameters": {"trailName": "a-trail", "eventSelectors": []}}, "a-trail"),
        ({"requestParameters": {"bucketName": "logs", "Host": "logs.s3"}}, "logs"),
        ({"requestParameters": {"tableName": "orders"}}, "orders"),
        ({"requestParameters": {"roleSessionName": "mallory", "roleArn": ROLE}}, ROLE),
        ({"requestParameters": {"policyArn": "arn:deny", "roleName": "deploy"}}, "deploy"),
        ({"requestParameters": {"groupName": "admins", "userName": "eve"}}, "eve"),
        ({"requestParameters": {"functionName": "f", "role": ROLE}}, "f"),
        ({"requestParameters": {"groupName": "default", "groupId": GROUP}}, GROUP),
        ({"requestParameters": {"dBInstanceIdentifier": "db"}}, "db"),
        ({"requestParameters": {"keyId": "k", "policyName": "default"}}, "k"),
        ({"requestParameters": {"rule": "r", "ids": ["topic"]}}, "r"),
        (
            {"requestParameters": {"instancesSet": {"items": [{"instanceId": INSTANCE}, {}]}}},
            INSTANCE,
        ),
        ({"requestParameters": {"name": {"x": 1}, "bucketName": "logs"}}, "logs"),
        ({"requestParameters": None, "resources": [{"ARN": "arn:one"}, {"ARN": "two"}]}, "arn:one"),
        ({"requestParameters": {"x": "y"}, "resources": []}, ""),
        ({}, ""),
    ],
    ids=str,
)
def test_the_target_is_what_was_touched(fields, target):
    assert questions.TARGET.of(record("X", **fields)) == target
    assert questions.TARGET in questions.WHO_DID


@pytest.mark.parametrize(
    ("fields", "reaches"),
    [
        ({"readOnly": True, "managementEvent": True}, False),
        ({"readOnly": True}, False),
        ({"readOnly": True, "managementEvent": False}, True),
        ({"readOnly": False, "managementEvent": True}, True),
        ({}, True),
    ],
)
def test_what_only_reads_reaches_no_ordinary_rule(fields, reaches):
    assert questions.Written().holds(fields) is reaches


def test_a_detection_is_a_question_for_each_of_its_parts():
    tampering = catalogue()["pipeline-tampering"]
    asked = questions.of_detection(tampering, tampering.filled(SAMPLE))
    assert [one.name for one in asked][:2] == [
        "pipeline-tampering.events",
        "pipeline-tampering.sns",
    ]
    (alone,) = questions.of_detection(catalogue()["assume-role"], catalogue()["assume-role"].parts)
    assert (alone.name, alone.conditions) == ("assume-role", ())


def test_the_exclusion_that_saves_most_is_told_first():
    columns = (questions.ACTOR, questions.ADDRESS)
    tally = Tally(tuple(one.name for one in columns))
    seen = [(f"{ROLE}-a", "192.0.2.1")] * 2 + [(ROLE, "192.0.2.2")] * 3 + [(ROLE, "192.0.2.1")] * 2
    for number, cells in enumerate(seen):
        tally.add(Finding(0, f"2026-11-21T09:00:0{number}Z", f"id-{number}", cells))
    told = [(one.key, one.value, one.saved) for one in tally.exclusions()]
    assert told == [
        ("actors", ROLE, 5),
        ("ips", "192.0.2.1", 4),
        ("ips", "192.0.2.2", 3),
        ("actors", f"{ROLE}-a", 2),
    ]


ENVELOPES = [
    (two["source"], two["detail-type"], two["detail"])
    for one in catalogue().values()
    for two in (*one.examples.fires, *one.examples.quiet)
    if two["source"].startswith("aws.") and "eventName" in two.get("detail", {})
]


@pytest.mark.parametrize(
    "wanted",
    [one for one in ENVELOPES if one[1] != "AWS Console Signin via CloudTrail"],
    ids=lambda one: one[2].get("eventName", ""),
)
def test_what_stands_round_a_record_follows_from_it(wanted):
    source, kind, detail = wanted
    got = event(detail)
    assert (got["source"], got["detail-type"]) == (source, kind)
