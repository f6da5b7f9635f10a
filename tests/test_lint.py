import ipaddress
import json
import re

import botocore.loaders
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctwatch import lint, patterns
from ctwatch.detections import SAMPLE, catalogue
from ctwatch.errors import ConfigError

API = "AWS API Call via CloudTrail"
SIGN_IN = "AWS Console Sign In via CloudTrail"


def pattern(service, *names, kind=API, **detail):
    """A pattern that is right but for what the test makes wrong."""
    return {
        "source": [f"aws.{service}"],
        "detail-type": [kind],
        "detail": {
            "eventSource": [f"{service}.amazonaws.com"],
            **({"eventName": list(names)} if names else {}),
            **detail,
        },
    }


def said(one, **rule):
    """What is said, as (path, suggestion)."""
    return [(each.path, each.suggestion) for each in lint.check(one, **rule)]


def names(*suggestions):
    return [(f"detail.eventName[{at}]", near) for at, near in enumerate(suggestions)]


# ------------------------------------------------------------------ the published mistakes

NOT_EXPRESSIBLE = {
    14: "the words of the message, 'Successful' for a failed login, stand outside the pattern",
}
EXPRESSIBLE = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15}


def test_each_published_mistake_is_caught_or_is_none_of_a_pattern():
    caught = {int(name.split("_")[2]) for name in globals() if name.startswith("test_mistake_")}
    assert caught == EXPRESSIBLE
    assert EXPRESSIBLE | set(NOT_EXPRESSIBLE) == set(range(1, 16))


def test_mistake_1_event_names_with_the_prefix_of_an_iam_action():
    one = pattern("cloudtrail", "cloudtrail:StopLogging", "cloudtrail:DeleteTrail")
    assert said(one) == names("StopLogging", "DeleteTrail")


def test_mistake_2_eventbridge_as_the_event_source_of_eventbridge():
    one = pattern("events", "DeleteRule")
    one["detail"]["eventSource"] = ["eventbridge.amazonaws.com"]
    assert said(one) == [("detail.eventSource[0]", "events.amazonaws.com")]


def test_mistake_3_lambda_names_without_their_date():
    one = pattern("lambda", "CreateFunction", "DeleteFunction", "UpdateFunctionCode")
    right = ("CreateFunction20150331", "DeleteFunction20150331", "UpdateFunctionCode20150331v2")
    assert said(one) == names(*right)
    assert said(pattern("lambda", *right)) == []


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("sts", "GetCallerIdentity"),
        ("ec2", "GetPasswordData"),
        ("iam", "GetAccountAuthorizationDetails"),
        ("sts", "AssumeRole"),
        ("cloudtrail", "LookupEvents"),
    ],
)
def test_mistake_4_reading_calls_in_a_rule_that_does_not_get_them(service, name):
    assert said(pattern(service, name)) == names("read_only: true")
    assert said(pattern(service, name), read_only=True) == []


def test_mistake_5_a_call_that_does_not_exist():
    ((path, near),) = said(pattern("ec2", "ModifyFlowLogs"))
    assert path == "detail.eventName[0]"
    assert near.endswith("FlowLogs")


def test_mistake_6_iam_actions_of_s3_as_event_names():
    actions = "PutEncryptionConfiguration", "PutLifecycleConfiguration"
    one = pattern("s3", *actions, "PutReplicationConfiguration", "ReplicateObject")
    right = "PutBucketEncryption", "PutBucketLifecycle", "PutBucketReplication"
    assert said(one) == names(*right, "")
    assert said(pattern("s3", *right)) == []


def test_mistake_7_pass_role_which_is_never_an_event():
    (one,) = lint.check(pattern("iam", "PassRole"))
    assert "IAM policies" in one.reason


def test_mistake_8_the_root_user_looked_for_in_calls_to_cloudtrail_alone():
    one = pattern("cloudtrail", userIdentity={"type": ["Root"]})
    del one["detail"]["eventSource"]
    assert said(one) == [("source", '{"prefix": "aws."}')]
    assert said({**one, "source": [{"prefix": "aws."}]}) == []


@pytest.mark.parametrize(("kind", "at"), [(API, 0), (SIGN_IN, 1)])
def test_mistake_9_sign_ins_and_calls_under_one_detail_type(kind, at):
    one = {
        "source": ["aws.signin", "aws.iam"],
        "detail-type": [kind],
        "detail": {"eventName": ["ConsoleLogin", "CreateUser"]},
    }
    other = SIGN_IN if kind == API else API
    assert said(one) == [(f"detail.eventName[{at}]", other)]
    assert said({**one, "detail-type": [API, SIGN_IN]}) == []


def test_mistake_10_misspelt_names():
    one = pattern("organizations", "DeleteOrganizationUnit", "DescribeOrgnanizationalUnit")
    assert said(one) == names("DeleteOrganizationalUnit", "DescribeOrganizationalUnit")
    assert said(pattern("s3", "PutBucketCORS")) == names("PutBucketCors")
    (one,) = lint.check(pattern("s3", "putbucketpolicy"))
    assert (one.suggestion, "capitals" in one.reason) == ("PutBucketPolicy", True)


def test_mistake_11_put_event_selectors_scoped_by_a_parameter_that_it_has_not():
    mine = {"name": ["my-trail"]}
    one = pattern("cloudtrail", "StopLogging", "PutEventSelectors", requestParameters=mine)
    assert said(one) == [("detail.eventName[1]", "trailName")]
    alone = pattern("cloudtrail", "PutEventSelectors", requestParameters=mine)
    assert said(alone) == [("detail.requestParameters.name", "trailName")]
    either = {"$or": [{"requestParameters": mine}, {"requestParameters": {"trailName": ["x"]}}]}
    assert said(pattern("cloudtrail", "StopLogging", "PutEventSelectors", **either)) == []


@pytest.mark.parametrize("value", ["", {"exists": True}, {"exists": False}])
def test_mistake_12_a_parameter_of_s3_that_is_always_there(value):
    one = pattern("s3", "PutBucketLogging", requestParameters={"logging": [value]})
    assert said(one) == [("detail.requestParameters.logging", "BucketLoggingStatus")]


def test_mistake_13_one_of_the_settings_by_which_selectors_blind_a_trail():
    looked_at = {"eventSelectors": {"includeManagementEvents": [False]}}
    one = pattern("cloudtrail", "PutEventSelectors", requestParameters=looked_at)
    missed = [near.removeprefix("detail.requestParameters.") for _, near in said(one)]
    assert missed == ["advancedEventSelectors", "eventSelectors.readWriteType"]
    advanced = {"advancedEventSelectors": {"name": ["x"]}}
    one = pattern("cloudtrail", "PutEventSelectors", requestParameters=advanced)
    assert [near for _, near in said(one)] == ["detail.requestParameters.eventSelectors"]
    omitted = {"$or": [{"requestParameters": each} for each in (looked_at, {"omitted": [True]})]}
    assert len(said(pattern("cloudtrail", "PutEventSelectors", **omitted))) == len(missed)
    any_other = {"$or": [{"requestParameters": looked_at}, {"errorCode": [{"exists": True}]}]}
    assert said(pattern("cloudtrail", "PutEventSelectors", **any_other)) == []


def test_mistake_15_sign_ins_without_mfa_that_are_single_sign_on():
    used = {"additionalEventData": {"MFAUsed": ["No"]}}
    one = pattern("signin", "ConsoleLogin", kind=SIGN_IN, **used)
    assert [path for path, _ in said(one)] == ["detail.additionalEventData.MFAUsed"]
    users = pattern("signin", "ConsoleLogin", kind=SIGN_IN, userIdentity={"type": ["IAMUser"]})
    users["detail"] |= used
    assert said(users) == []


# ------------------------------------------------------------------------- what is right


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(part, id=f"{one.id}-{part.name}")
        for one in catalogue().values()
        for part in one.filled(SAMPLE)
    ],
)
def test_there_is_nothing_to_complain_about_in_the_catalogue(part):
    rule = {"where": part.where, "read_only": part.read_only}
    assert lint.report(lint.check(part.pattern, **rule, limit=None)) == [
        "nothing to complain about"
    ]


def test_events_that_are_not_cloudtrails_are_only_asked_who_sends_them():
    one = {"source": ["aws.s3"], "detail-type": ["Object Deleted"], "detail": {"reason": ["x"]}}
    assert said(one) == []
    assert said({**one, "source": ["my.app"]}) == [("source[0]", "")]


def test_a_request_too_large_for_its_record_proves_nothing_of_the_others():
    mine = {"requestParameters": {"name": ["x"]}}
    evasion = {"requestParameters": {"omitted": [True]}}
    either = {"$or": [mine, evasion]}
    one = pattern("cloudtrail", "StopLogging", "PutEventSelectors", **either)
    assert said(one) == [("detail.eventName[1]", "trailName")]
    assert said(pattern("cloudtrail", "StopLogging", **evasion)) == []


def test_names_that_are_known_only_with_another_date_are_let_be():
    assert said(pattern("lambda", "UpdateFunctionCode20150331")) == []
    assert said(pattern("cloudfront", "UpdateDistribution2020_05_31")) == []


def test_models_of_ones_own_are_read_too(monkeypatch, tmp_path):
    folder = tmp_path / "mine" / "2020-01-01"
    folder.mkdir(parents=True)
    shape = {"type": "structure", "members": {"Name": {"shape": "S"}}}
    model = {
        "metadata": {"endpointPrefix": "mine", "protocol": "json", "serviceId": "mine"},
        "operations": {"DoIt": {"name": "DoIt", "input": {"shape": "I"}}},
        "shapes": {"I": shape, "S": {"type": "string"}},
    }
    (folder / "service-2.json").write_text(json.dumps(model))
    monkeypatch.setattr(botocore.loaders.Loader, "CUSTOMER_DATA_PATH", str(tmp_path))
    known = type(lint.models())()
    assert len(known) == len(lint.models()) + 1
    assert said(pattern("mine", "DoIt", requestParameters={"name": ["x"]}), known=known) == []
    assert said(pattern("mine", "DoIts"), known=known) == names("DoIt")


def test_every_service_of_the_renamed_calls_has_the_call_that_is_renamed():
    loader = botocore.loaders.Loader()
    for service, renamed in lint.calls.RENAMED.items():
        apis = loader.load_service_model(service, "service-2")["operations"]
        assert set(renamed) <= set(apis)
        assert set(renamed.values()) <= set(lint.models()[service])


def test_the_account_level_of_s3_is_recorded_as_s3():
    assert said(pattern("s3", "PutAccountPublicAccessBlock", "PutObjectLockConfiguration")) == []
    assert said(pattern("s3", "PutPublicAccessBlock")) == names("PutBucketPublicAccessBlock")


# ------------------------------------------------------------------- where an event is from


@pytest.mark.parametrize(
    ("source", "near"),
    [
        (["aws.cloudtrial"], "aws.cloudtrail"),
        (["cloudtrail.amazonaws.com"], "aws.cloudtrail"),
        (["AWS.CloudTrail"], "aws.cloudtrail"),
        (["eventbridge"], "aws.events"),
        (["aws.eventbridge"], "aws.events"),
        ([{"prefix": "aws.cloudtrial"}], "aws.cloudtrail"),
        (["aws.cloud*"], '{"wildcard": "aws.cloud*"}'),
    ],
)
def test_a_source_that_aws_has_not(source, near):
    one = {**pattern("cloudtrail", "StopLogging"), "source": source}
    del one["detail"]["eventSource"]
    assert said(one) == [("source[0]", near)]


@pytest.mark.parametrize(
    ("source", "near"),
    [
        (["cloudtrail"], "cloudtrail.amazonaws.com"),
        (["aws.events"], "events.amazonaws.com"),
        (["cloudtrial.amazonaws.com"], "cloudtrail.amazonaws.com"),
        (["cloudwatch.amazonaws.com"], "monitoring.amazonaws.com"),
        ([{"prefix": "cloudtrial"}], "cloudtrail.amazonaws.com"),
        (["cloudtrail.*"], '{"wildcard": "cloudtrail.*"}'),
    ],
)
def test_an_event_source_that_aws_has_not(source, near):
    one = pattern("cloudtrail", "StopLogging")
    one["source"] = [{"prefix": "aws."}]
    one["detail"]["eventSource"] = source
    assert said(one) == [("detail.eventSource[0]", near)]


def test_a_service_that_nobody_knows_is_not_looked_into():
    one = pattern("qqqqqqqqqqqq", "StopLoging")
    assert {each.level for each in lint.check(one)} == {"warning"}


def test_a_source_and_an_event_source_that_do_not_go_together():
    one = {**pattern("s3", "DeleteBucket"), "source": ["aws.cloudtrail"]}
    assert [path for path, _ in said(one)] == ["source[0]", "detail.eventSource[0]"]
    assert {each.level for each in lint.check(one)} == {"error"}
    one["source"] = ["aws.cloudtrail", "aws.s3"]
    (surplus,) = lint.check(one)
    assert (surplus.path, surplus.level) == ("source[0]", "warning")


def test_without_a_source_anybody_can_forge_the_event():
    one = pattern("cloudtrail", "StopLogging")
    del one["source"]
    assert said(one) == [("source", "aws.cloudtrail")]


@pytest.mark.parametrize(
    "operator",
    [{"prefix": "aws"}, {"suffix": "cloudtrail"}, {"anything-but": ["x"]}, {"exists": True}],
)
def test_an_operator_that_takes_more_than_the_sources_of_aws_is_forgeable(operator):
    one = {**pattern("cloudtrail", "StopLogging"), "source": [operator]}
    assert said(one) == [("source[0]", '{"prefix": "aws."}')]


@pytest.mark.parametrize(
    ("kind", "near"),
    [
        ("AWS API call via CloudTrail", API),
        ("AWS API Call from CloudTrail", API),
        ("AWS Console Sign-in via CloudTrail", SIGN_IN),
        ("Object Deleted", API),
        ("AWS API*", '{"wildcard": "AWS API*"}'),
    ],
)
def test_a_detail_type_that_cloudtrail_has_not(kind, near):
    one = pattern("cloudtrail", kind=kind)
    assert said(one) == [("detail-type[0]", near)]


def test_sign_ins_do_not_come_as_calls():
    assert said(pattern("signin")) == [("detail-type[0]", SIGN_IN)]
    other = pattern("signin", "ConsoleLogin", kind="AWS Console Signin via CloudTrail")
    (one,) = lint.check(other)
    assert (one.suggestion, one.level) == (SIGN_IN, "warning")


# ------------------------------------------------------------------------ fields and values


@pytest.mark.parametrize(
    ("detail", "path", "near"),
    [
        ({"eventname": ["x"]}, "detail.eventname", "detail.eventName"),
        ({"qqq": ["x"]}, "detail.qqq", ""),
        ({"userName": ["x"]}, "detail.userName", "detail.userIdentity.userName"),
        ({"userIdentity": {"Arn": ["x"]}}, "detail.userIdentity.Arn", "detail.userIdentity.arn"),
        (
            {"userIdentity": {"sourceIPAddress": ["x"]}},
            "detail.userIdentity.sourceIPAddress",
            "detail.sourceIPAddress",
        ),
        (
            {"errorCode": {"prefix": ["Access"]}},
            "detail.errorCode.prefix",
            '[{"prefix": …}]',
        ),
        (
            {"requestParameters": {"userIdentity": {"type": ["Root"]}}},
            "detail.requestParameters.userIdentity.type",
            "detail.userIdentity",
        ),
        (
            {"requestParameters": {"Name": ["x"]}},
            "detail.requestParameters.Name",
            "name",
        ),
    ],
)
def test_a_field_that_no_event_has(detail, path, near):
    assert said(pattern("cloudtrail", "StopLogging", **detail)) == [(path, near)]


def test_a_parameter_that_may_be_absent_excludes_no_event():
    either = {"name": ["x", {"exists": False}]}
    names_ = "StopLogging", "PutEventSelectors"
    assert said(pattern("cloudtrail", *names_, requestParameters=either)) == []


def test_only_calls_of_the_right_detail_type_count_for_a_parameter():
    one = {
        "source": ["aws.signin", "aws.iam"],
        "detail-type": [API],
        "detail": {
            "eventName": ["ConsoleLogin", "DeleteRole"],
            "requestParameters": {"rolName": ["x"]},
        },
    }
    assert ("detail.requestParameters.rolName", "roleName") in said(one)


def test_a_fault_in_two_branches_is_told_once():
    one = pattern("cloudtrail", "StopLogging", errorcode=["x"])
    one["detail"]["$or"] = [{"errorCode": ["x"]}, {"errorMessage": ["x"]}]
    assert said(one) == [("detail.errorcode", "detail.errorCode")]


def test_a_field_of_the_record_that_stands_outside_it():
    one = {**pattern("cloudtrail"), "eventName": ["StopLogging"]}
    assert said(one) == [("eventName", "detail.eventName")]


def test_the_want_of_a_field_that_no_event_has_is_always_there():
    detail = {"errorcode": [{"exists": False}], "requestParameters": {"trial": [{"exists": False}]}}
    found = lint.check(pattern("cloudtrail", "StopLogging", **detail))
    assert [one.level for one in found] == ["warning", "warning"]


def test_a_parameter_deep_in_a_request():
    def selectors(*way):
        value = ["x"]
        for key in reversed(way):
            value = {key: value}
        wide = {"$or": [{"requestParameters": value}, {"errorCode": ["x"]}]}
        return said(pattern("cloudtrail", "PutEventSelectors", **wide))

    assert selectors("eventSelectors", "dataResources", "type") == []
    assert selectors("eventSelectors", "readWritetype")[0][1] == "readWriteType"
    assert selectors("trailName", "prefix") != []


def test_parameters_whose_shape_is_not_the_apis_are_let_be():
    ingress = {"ipPermissions": {"items": {"ipRanges": {"items": {"cidrIp": ["0.0.0.0/0"]}}}}}
    one = pattern("ec2", "AuthorizeSecurityGroupIngress", requestParameters=ingress)
    assert said(one) == []


def test_a_call_of_two_generations_of_a_service_may_have_the_parameters_of_either():
    one = pattern("elasticloadbalancing", "DeleteLoadBalancer")
    for key in ("loadBalancerName", "loadBalancerArn"):
        one["detail"]["requestParameters"] = {key: ["x"]}
        assert said(one) == []


def test_a_map_among_the_parameters_may_hold_anything():
    tags = {"attributes": {"Policy": [{"exists": True}]}}
    assert said(pattern("sqs", "SetQueueAttributes", requestParameters=tags)) == []


def test_a_parameter_of_s3_by_the_apis_name_is_warned_of():
    (one,) = lint.check(pattern("s3", "DeleteBucket", requestParameters={"bucket": ["x"]}))
    assert (one.suggestion, one.level) == ("bucketName", "warning")
    (one,) = lint.check(pattern("s3", "PutBucketAcl", requestParameters={"acl": ["x"]}))
    assert one.level == "error"


@pytest.mark.parametrize(
    ("detail", "near"),
    [
        ({"userIdentity": {"type": ["root"]}}, "Root"),
        ({"eventType": ["AwsAPICall"]}, "AwsApiCall"),
        ({"readOnly": ["true"]}, ""),
        ({"userIdentity": {"sessionContext": {"attributes": {"mfaAuthenticated": [False]}}}}, ""),
        (
            {"userIdentity": {"arn": ["arn:aws:iam::*:root"]}},
            '{"wildcard": "arn:aws:iam::*:root"}',
        ),
        ({"sourceIPAddress": ["10.0.0.1", "10.0.0.0/8"]}, '{"cidr": "10.0.0.0/8"}'),
    ],
)
def test_a_value_that_the_field_never_has(detail, near):
    ((path, suggestion),) = said(pattern("cloudtrail", "StopLogging", **detail))
    assert path.endswith("]")
    assert suggestion == near


def test_the_two_values_of_a_field_are_told_as_they_are_written():
    (one,) = lint.check(pattern("cloudtrail", "StopLogging", readOnly=["false"]))
    assert one.reason == 'detail.readOnly is never "false", it is true or false'


# ------------------------------------------------------------------------------ event names


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Stop*", '{"wildcard": "Stop*"}'),
        ({"prefix": "StopLoging"}, "StopLogging"),
        ({"wildcard": "Stp*Logging"}, "StopLogging"),
        ({"prefix": "Stop"}, None),
        ({"equals-ignore-case": "stoplogging"}, None),
        ({"anything-but": ["StopLoging"]}, "StopLogging"),
        ({"anything-but": "StopLogging"}, None),
        ({"anything-but": {"prefix": "Get"}}, None),
    ],
)
def test_operators_on_the_name(name, near):
    found = said(pattern("cloudtrail", name))
    assert found == ([("detail.eventName[0]", near)] if near else [])


def test_an_event_of_another_service_is_named_with_that_service():
    (one,) = lint.check(pattern("ec2", "StopLogging"))
    assert "cloudtrail.amazonaws.com" in one.reason


def test_names_that_fit_an_operator_and_come_with_another_detail_type():
    assert said(pattern("signin", {"prefix": "Console"})) == names(SIGN_IN)


def test_service_events_may_have_any_name():
    kind = "AWS Service Event via CloudTrail"
    assert said(pattern("kms", "RotateKey", {"prefix": "Rot"}, kind=kind)) == []
    both = {**pattern("kms", "RotateKey"), "detail-type": [API, kind]}
    assert [one.level for one in lint.check(both)] == ["warning"]


def test_data_events_need_a_trail_that_logs_them():
    for name in ("DeleteObject", "GetObject"):
        (one,) = lint.check(pattern("s3", name))
        assert (one.path, one.level) == ("detail.eventName[0]", "warning")


def test_a_name_without_any_service_is_looked_for_everywhere():
    known = {f"none{at}": {} for at in range(40)} | {
        service: lint.models()[service] for service in ("cloudtrail", "kms")
    }
    one = {"source": [{"prefix": "aws."}], "detail": {"eventName": ["StopLoging"]}}
    assert said(one, known=known) == names("StopLogging")
    one["detail"] = {"eventName": ["DisableKey", {"prefix": "Whatever"}]}
    assert said(one, known=known) == []


# ------------------------------------------------------------------------ the rule's own side


def test_reading_events_that_a_rule_asks_for_in_vain():
    only = pattern("cloudtrail", readOnly=[True])
    assert said(only) == [("detail.readOnly", "read_only: true")]
    assert said(only, read_only=True) == []
    assert said(pattern("cloudtrail", {"prefix": "Describe"})) == names("read_only: true")
    assert said(pattern("sts", "GetFederationToken", "GetSessionToken")) == []


def test_a_rule_that_sees_all_reading_events_for_nothing():
    found = said(pattern("cloudtrail", "StopLogging"), read_only=True)
    assert found == [("detail.eventName", "read_only: false")]


@pytest.mark.parametrize("where", ["home", "ap-northeast-2"])
@pytest.mark.parametrize("service", ["iam", "organizations"])
def test_what_is_recorded_in_us_east_1_only(service, where):
    name = {"iam": "DeleteRole", "organizations": "LeaveOrganization"}[service]
    assert said(pattern(service, name), where=where) == names("where: us-east-1")
    assert said(pattern(service), where=where) == [("source", "where: us-east-1")]
    for good in ("us-east-1", "every-region", None):
        assert said(pattern(service, name), where=good) == []


def test_a_name_that_a_service_elsewhere_has_too():
    one = pattern("organizations", "TagResource")
    one["source"].append("aws.kms")
    one["detail"]["eventSource"].append("kms.amazonaws.com")
    assert said(one, where="home") == []


def test_a_condition_on_a_region_that_never_records_it():
    one = {**pattern("iam", "DeleteRole", awsRegion=["ap-northeast-2"]), "region": ["eu-west-1"]}
    assert said(one) == [("region", "us-east-1"), ("detail.awsRegion", "us-east-1")]


def test_the_sign_in_of_root_and_of_others():
    root = pattern("signin", "ConsoleLogin", kind=SIGN_IN, userIdentity={"type": ["Root"]})
    assert said(root, where="home") == names("where: us-east-1")
    assert said(root, where="us-east-1") == []
    anybody = pattern("signin", "ConsoleLogin", kind=SIGN_IN)
    for where in ("home", "us-east-1"):
        assert said(anybody, where=where) == names("where: every-region")
    assert said(anybody, where="every-region") == []


def test_what_is_not_recorded_in_us_east_1():
    found = said(pattern("cloudtrail", "StopLogging"), where="us-east-1")
    assert found == names("where: home")
    found = said(pattern("ec2", "AuthorizeSecurityGroupIngress"), where="us-east-1")
    assert found == names("where: every-region")


# ------------------------------------------------------------------------------- the whole


def test_what_eventbridge_refuses_is_said_with_its_path():
    assert [one.path for one in lint.check({"source": ["aws.s3"], "detail": "x"})] == ["detail"]
    assert [one.path for one in lint.check(["aws.s3"])] == [""]


def test_a_pattern_longer_than_a_rule_takes():
    names_ = [f"arn:aws:iam::123456789012:user/{at:040}" for at in range(30)]
    one = pattern("cloudtrail", "StopLogging", userIdentity={"arn": names_})
    (fault,) = lint.check(one)
    assert "2048" in fault.reason
    assert lint.check(one, limit=None) == []


def test_a_report_has_errors_first_and_a_count():
    one = pattern("s3", "DeleteObject", "PutBucketPolcy", "DeleteBuckt")
    first, second, third, count = lint.report(lint.check(one))
    assert first == (
        'error: detail.eventName[1]: there is no event "PutBucketPolcy" of s3.amazonaws.com, '
        "did you mean 'PutBucketPolicy'?"
    )
    assert second.startswith("error: detail.eventName[2]: ")
    assert third.startswith("warning: detail.eventName[0]: DeleteObject is a data event")
    assert count == "2 errors, 1 warning"
    assert lint.report([lint.Complaint("", "is odd")]) == ["error: is odd", "1 error"]


SMALL = {name: lint.models()[name] for name in ("cloudtrail", "s3", "signin", "lambda", "iam")}
KEYS = st.sampled_from(
    [
        *("source", "detail-type", "detail", "eventSource", "eventName", "userIdentity", "type"),
        *("requestParameters", "name", "$or", "prefix", "anything-but", "exists", "readOnly"),
        *("detail.eventName", "logging", "eventSelectors", "awsRegion", "additionalEventData"),
        *("MFAUsed", "wildcard", "sourceIPAddress", ""),
    ]
)
LEAVES = st.sampled_from(
    [
        *("aws.cloudtrail", "aws.s3", "cloudtrail.amazonaws.com", API, SIGN_IN, "StopLogging"),
        *("PutBucketLogging", "PutEventSelectors", "ConsoleLogin", "iam:*", "*", "", "No", "é"),
        *(True, False, None, 0, 1.5, 10**30),
    ]
)
ANY_JSON = st.recursive(
    LEAVES | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=25,
)
VALUES = st.lists(
    LEAVES | st.dictionaries(KEYS, LEAVES | st.lists(LEAVES, max_size=2), min_size=1, max_size=1),
    min_size=1,
    max_size=3,
)
OBJECTS = st.recursive(
    st.dictionaries(KEYS.filter(lambda key: key not in {"$or", ""}), VALUES, min_size=1),
    lambda inner: (
        st.dictionaries(
            KEYS.filter(lambda key: key != "$or"), inner | VALUES, min_size=1, max_size=4
        )
        | st.builds(lambda a, b: {"$or": [a, b]}, inner, inner)
    ),
    max_leaves=10,
)


@given(ANY_JSON | OBJECTS, st.sampled_from([None, "home", "us-east-1"]), st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_json_gives_complaints_and_never_an_exception(document, where, read_only):
    found = lint.check(document, where=where, read_only=read_only, known=SMALL)
    assert all(one.reason and one.level in {"error", "warning"} for one in found)
    assert len(set(found)) == len(found)
    assert isinstance(lint.examine(document, SMALL), list)
    assert isinstance(lint.report(found)[-1], str)


# ------------------------------------------------------------------------------- exclusions

ROLE = "arn:aws:iam::123456789012:role/deploy"
SESSION = "arn:aws:sts::123456789012:assumed-role/deploy/ci"
TAMPERING = pattern("cloudtrail", "StopLogging", "DeleteTrail")


ABSENT = object()  # a field may also be there and null


def event(arn=ABSENT, issuer=ABSENT, address=ABSENT, agent=ABSENT):
    detail = {"eventSource": "cloudtrail.amazonaws.com", "eventName": "StopLogging"}
    identity = {} if arn is ABSENT else {"arn": arn}
    if issuer is not ABSENT:
        identity["sessionContext"] = {"sessionIssuer": {"arn": issuer}}
    detail |= {"userIdentity": identity} if identity else {}
    detail |= {} if address is ABSENT else {"sourceIPAddress": address}
    detail |= {} if agent is ABSENT else {"userAgent": agent}
    return {"source": "aws.cloudtrail", "detail-type": API, "detail": detail}


def told(excepted, **facts):
    return patterns.matches(excepted, event(**facts))


def test_a_role_leaves_out_its_sessions_and_nobody_else():
    excepted = lint.exclusions(TAMPERING, actors=[ROLE])
    assert not told(excepted, arn=SESSION, issuer=ROLE)
    assert not told(excepted, arn=ROLE)
    assert told(excepted, arn=SESSION.replace("deploy", "admin"), issuer=ROLE + "er")


def test_a_record_without_the_field_is_told():
    excepted = lint.exclusions(
        TAMPERING, actors=[ROLE], ips=["203.0.113.7"], user_agents=["terraform*"]
    )
    assert told(excepted)
    assert told(excepted, arn="arn:aws:iam::123456789012:root")


def test_one_exclusion_that_fits_is_enough():
    excepted = lint.exclusions(TAMPERING, actors=[ROLE], ips=["203.0.113.0/24"])
    assert not told(excepted, arn="arn:aws:iam::1:user/x", address="203.0.113.9")
    assert not told(excepted, arn=ROLE, address="198.51.100.1")
    assert told(excepted, arn="arn:aws:iam::1:user/x", address="198.51.100.1")


@pytest.mark.parametrize(
    ("cidr", "texts"),
    [
        ("10.0.0.0/8", ["10.*"]),
        ("192.0.2.0/24", ["192.0.2.*"]),
        ("172.16.0.0/14", ["172.16.*", "172.17.*", "172.18.*", "172.19.*"]),
        ("192.0.2.4/31", ["192.0.2.4", "192.0.2.5"]),
        ("192.0.2.4/32", ["192.0.2.4"]),
        ("2001:db8:1::/48", ["2001:db8:1:*"]),
        ("2001:0DB8::1", ["2001:db8::1"]),
    ],
)
def test_a_cidr_becomes_the_beginnings_of_its_addresses(cidr, texts):
    excepted = lint.exclusions(TAMPERING, ips=[cidr])
    ((left_out,), _) = ([one] for one in excepted["detail"]["sourceIPAddress"])
    operand = left_out["anything-but"]
    spelled = [f"{one}*" for one in operand["prefix"]] if isinstance(operand, dict) else operand
    assert spelled == texts


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("ips", "10.0.0.0/9", "128 texts"),
        ("ips", "0.0.0.0/0", "every address"),
        ("ips", "10.1.2.3/8", "did you mean '10.0.0.0/8'?"),
        ("ips", "office", "neither an IP address nor a CIDR"),
        ("ips", "2001:db8::/33", "do not all begin alike"),
        ("ips", "2001:0:1::/48", "do not all begin alike"),
        ("actors", "deploy", "is not an ARN"),
        ("actors", "arn:aws:iam::*", "fits everybody"),
        ("actors", "arn:**", "fits everybody"),
        ("actors", "arn:aws:iam::123456789012:*", "fits everybody"),
        ("actors", "arn:aws:iam::1:group/x", "is no user, role or session"),
        ("actors", "arn:aws:iam::1:usr/x", "did you mean 'arn:aws:iam::1:user/x'?"),
        ("actors", "arn:aws:sts::1:role/x", "did you mean 'arn:aws:iam::1:role/x'?"),
        (
            "actors",
            "arn:aws:sts::1:assumed-role/x",
            "did you mean 'arn:aws:sts::1:assumed-role/x/*'?",
        ),
        ("user_agents", "*", "fits everybody"),
        ("user_agents", "", "fits everybody"),
    ],
)
def test_an_exclusion_that_cannot_be(key, value, words):
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        lint.exclusions(TAMPERING, **{key: [value]})
    assert str(caught.value).startswith(f"{key}[0]: ")


def test_a_user_agent_is_warned_of_and_nothing_else_is():
    given_ = {"actors": [ROLE], "ips": ["cloudformation.amazonaws.com", "10.0.0.0/8"]}
    assert lint.exclusion_complaints(**given_) == []
    (one,) = lint.exclusion_complaints(**given_, user_agents=["terraform*"])
    assert (one.path, one.level) == ("user_agents[0]", "warning")
    assert "intruder" in one.reason


@pytest.mark.parametrize(
    ("given_", "path", "level"),
    [
        ({"actors": ["arn:aws:iam::1:user/*"]}, "actors[0]", "warning"),
        ({"actors": ["arn:aws:sts::*:assumed-role/*"]}, "actors[0]", "warning"),
        ({"actors": ["arn:aws:iam::1:user/*", "arn:aws:iam::1:role/*"]}, "actors", "error"),
        ({"ips": [f"{first}.0.0.0/2" for first in (0, 64, 128, 192)]}, "ips", "error"),
    ],
)
def test_what_leaves_hardly_anybody_is_said(given_, path, level):
    found = {one.path: one.level for one in lint.exclusion_complaints(**given_)}
    assert found[path] == level


@pytest.mark.parametrize(
    "arn",
    ["arn:aws:iam::1:root", "arn:*:role/deploy", "arn:aws:sts::1:federated-user/x", SESSION],
)
def test_who_can_be_somebody_is_not_complained_about(arn):
    assert lint.exclusion_complaints(actors=[arn]) == []


def test_exclusions_from_events_that_name_nobody_are_warned_of():
    deleted = {"source": ["aws.s3"], "detail-type": ["Object Deleted"]}
    (one,) = lint.exclusion_complaints(deleted, actors=[ROLE])
    assert one.level == "warning"
    assert lint.exclusion_complaints(deleted) == []
    assert lint.exclusion_complaints(TAMPERING, actors=[ROLE]) == []


def test_the_pattern_that_was_given_is_left_as_it_is():
    before = json.dumps(TAMPERING)
    lint.exclusions(TAMPERING, actors=[ROLE], user_agents=["a*b", "c"])
    assert json.dumps(TAMPERING) == before


def test_nothing_to_exclude_changes_nothing():
    assert lint.exclusions(TAMPERING) == TAMPERING


EVE = "arn:aws:iam::123456789012:user/eve"


@pytest.mark.parametrize(
    "one",
    [
        pattern("cloudtrail", "StopLogging", userIdentity={"arn": [ROLE, EVE]}),
        {**TAMPERING, "detail.userIdentity.arn": [ROLE, EVE]},
        {"detail.userIdentity.arn": [ROLE, EVE], **TAMPERING},
        {
            **pattern("cloudtrail", "StopLogging", userIdentity={"arn": ["arn:other"]}),
            "detail.userIdentity.arn": [ROLE, EVE],
        },
    ],
)
def test_plain_values_of_the_same_field_are_thinned_out(one):
    excepted = lint.exclusions(one, actors=[ROLE])
    assert told(excepted, arn=EVE)
    assert not told(excepted, arn=ROLE)
    assert not told(excepted)
    with pytest.raises(ConfigError, match="leave nothing"):
        lint.exclusions(one, actors=[ROLE, EVE])


@pytest.mark.parametrize(
    "detail",
    [
        {"userIdentity": {"arn": [{"prefix": "arn:"}]}},
        {"$or": [{"userIdentity": {"arn": ["arn:x"]}}, {"errorCode": ["x"]}]},
        {"userIdentity": [{"exists": True}]},
    ],
)
def test_a_condition_that_cannot_be_joined_with_an_exclusion_is_refused(detail):
    with pytest.raises(ConfigError, match="The pattern has"):
        lint.exclusions(pattern("cloudtrail", "StopLogging", **detail), actors=[ROLE])


def fits(wanted, value):
    """The plain meaning of a text with stars; null is nobody."""
    return value is not None and re.fullmatch(
        ".*".join(map(re.escape, wanted.split("*"))), value, re.DOTALL
    )


def inside(wanted, value):
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted)
    except ValueError:
        return wanted == value


TEXTS = st.text(alphabet="ab*\\/", min_size=1, max_size=5)
ARNS = st.builds("arn:aws:iam::1:user/{}".format, TEXTS)
NULL = st.none()
ADDRESSES = st.builds("10.{}.0.{}".format, st.integers(0, 20), st.integers(0, 20)) | st.builds(
    lambda group, tail: str(ipaddress.ip_address(f"2001:db8:{group:x}::{tail:x}")),
    *(st.integers(1, 3), st.integers(0, 3)),
)
SERVICES = ["cloudformation.amazonaws.com", "lambda.amazonaws.com", "AWS Internal"]
RANGES = st.one_of(
    ADDRESSES,
    st.sampled_from(
        [
            *("10.0.0.0/8", "10.4.0.0/14", "10.3.0.0/24", "10.3.0.8/29", "10.16.0.0/12"),
            *("2001:db8:1::/48", "2001:db8::/32", "cloudformation.amazonaws.com"),
        ]
    ),
)


@given(
    st.lists(ARNS, max_size=3),
    st.lists(RANGES, max_size=3),
    st.lists(TEXTS.filter(lambda text: text.strip("*")), max_size=3),
    st.fixed_dictionaries(
        {},
        optional={
            "arn": ARNS | NULL,
            "issuer": ARNS | NULL,
            "address": ADDRESSES | NULL | st.sampled_from(SERVICES),
            "agent": TEXTS | NULL,
        },
    ),
)
def test_an_event_is_told_unless_one_of_the_exclusions_fits_it(actors, addresses, agents, facts):
    excepted = lint.exclusions(TAMPERING, actors=actors, ips=addresses, user_agents=agents)
    left_out = (
        any(fits(one, facts[who]) for one in actors for who in ("arn", "issuer") if who in facts)
        or any(inside(one, facts["address"]) for one in addresses if "address" in facts)
        or any(fits(one, facts["agent"]) for one in agents if "agent" in facts)
    )
    assert told(excepted, **facts) is not left_out


# ------------------------------------------------------------------------ a user's detection


def document(**changes):
    whole = {
        "id": "my-rule",
        "title": "A trail stopped",
        "severity": "high",
        "where": "home",
        "pattern": TAMPERING,
    }
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


def faults(one):
    return [each.path for each in lint.examine(one)]


def test_a_detection_of_ones_own_is_read():
    mine = lint.custom(document(examples={"fires": [event()]}), "mine.yaml")
    assert (mine.id, mine.scope, mine.read_only, mine.mitre) == ("my-rule", "account", False, ())
    assert mine.why == mine.title == {"ko": "A trail stopped", "en": "A trail stopped"}
    assert mine.pattern == TAMPERING
    assert mine.examples.fires == (event(),)


def test_parts_inherit_what_they_do_not_say():
    parts = {
        "stop": {"pattern": TAMPERING},
        "look": {
            "pattern": pattern("sts", "AssumeRole"),
            "where": "every-region",
            "read_only": True,
        },
    }
    mine = lint.custom(document(pattern=None, parts=parts, mitre=["T1562.008"]), "mine.yaml")
    assert [(one.name, one.where, one.read_only) for one in mine.parts] == [
        ("stop", "home", False),
        ("look", "every-region", True),
    ]


@pytest.mark.parametrize(
    ("one", "where", "read_only"),
    [
        (TAMPERING, "home", False),
        (pattern("iam", "CreateUser"), "us-east-1", False),
        (pattern("sts", "AssumeRole"), "home", True),
        (pattern("iam", "ListUsers"), "us-east-1", True),
    ],
)
def test_where_and_read_only_are_what_the_events_need(one, where, read_only):
    left_open = document(where=None, pattern=one)
    assert faults(left_open) == []
    mine = lint.custom(left_open, "mine.yaml")
    assert (mine.where, mine.read_only) == (where, read_only)
    parts = lint.custom(document(where=None, pattern=None, parts={"a": {"pattern": one}}), "x")
    assert (parts.parts[0].where, parts.parts[0].read_only) == (where, read_only)


def test_what_is_said_of_where_and_read_only_is_checked():
    assert faults(document(where="home", pattern=pattern("iam", "CreateUser"))) == [
        "pattern.detail.eventName[0]"
    ]
    assert faults(document(read_only=False, pattern=pattern("sts", "AssumeRole"))) == [
        "pattern.detail.eventName[0]"
    ]


@pytest.mark.parametrize("title", ["x" * 81, "🔥" * 41, "two\nlines"])
def test_a_title_is_one_short_line(title):
    assert faults(document(title=title)) == ["title"]
    assert faults(document(title="🔥" * 40)) == []


def test_words_in_braces_mean_the_watchs_own():
    own = pattern("s3", "DeleteBucket", requestParameters={"bucketName": ["{bucket}"]})
    mine = lint.custom(document(pattern=own, scope="own"), "mine.yaml")
    assert mine.filled(SAMPLE)[0].pattern["detail"]["requestParameters"]["bucketName"] == [
        SAMPLE["bucket"]
    ]
    wrong = pattern("s3", "DeleteBucket", requestParameters={"bucketName": ["{buket}"]})
    (one,) = lint.examine(document(pattern=wrong))
    assert (one.path, one.suggestion) == ("pattern", "bucket")


def test_all_that_is_wrong_is_said_at_once():
    wrong = document(
        id="My Rule",
        title="",
        severity="hihg",
        where="hom",
        read_only="no",
        mitre="T1",
        why={"en": "x"},
        scop="own",
        pattern=pattern("cloudtrail", "StopLoging"),
    )
    with pytest.raises(lint.InvalidDetectionError) as caught:
        lint.custom(wrong, "mine.yaml")
    paths = {one.path for one in caught.value.complaints}
    assert paths == {
        *("id", "title", "severity", "where", "read_only", "mitre", "why", "scop"),
        "pattern.detail.eventName[0]",
    }
    assert (
        "mine.yaml: severity: must be one of low, medium, high, critical, did you mean 'high'?"
        in (caught.value.problem.splitlines())
    )


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"title": None}, ["title"]),
        ({"id": "trail-tampering"}, ["id"]),
        ({"parts": {"a": {"pattern": TAMPERING}}}, [""]),
        ({"pattern": None}, [""]),
        ({"pattern": None, "parts": {}}, ["parts"]),
        ({"pattern": None, "parts": ["x"]}, ["parts"]),
        ({"pattern": None, "parts": {"a": {"patern": {}}}}, ["parts.a.patern", "parts.a.pattern"]),
        (
            {"pattern": None, "parts": {"a": {"pattern": TAMPERING, "where": "x"}}},
            ["parts.a.where"],
        ),
        ({"pattern": {"source": "x"}}, ["pattern.source"]),
        ({"pattern": "x"}, ["pattern"]),
        ({"examples": []}, ["examples"]),
        ({"examples": {"fire": []}}, ["examples.fire"]),
        ({"examples": {"fires": ["x"]}}, ["examples.fires"]),
        (
            {"examples": {"fires": [{}], "quiet": [event()]}},
            ["examples.fires[0]", "examples.quiet[0]"],
        ),
        (
            {"pattern": pattern("events", "PutRule", errorCode=[{"anything-but": "{rules}"}])},
            ["pattern"],
        ),
    ],
)
def test_what_can_be_wrong_with_a_detection(changes, paths):
    assert faults(document(**changes)) == paths


def test_a_pattern_that_cannot_be_cut_into_rules_is_refused():
    long = pattern("cloudtrail", "StopLogging", errorCode=["x" * 2100])
    assert faults(document(pattern=long)) == ["pattern"]
    many = [f"arn:aws:iam::123456789012:user/{at:040}" for at in range(60)]
    assert (
        faults(document(pattern=pattern("cloudtrail", "StopLogging", userIdentity={"arn": many})))
        == []
    )


def test_a_warning_does_not_keep_a_detection_from_being_read():
    data = document(pattern=pattern("s3", "DeleteObject"))
    assert [one.level for one in lint.examine(data)] == ["warning"]
    assert lint.custom(data, "mine.yaml").id == "my-rule"


def test_a_detection_is_an_object():
    with pytest.raises(lint.InvalidDetectionError, match="is an object"):
        lint.custom(["x"], "mine.yaml")


def test_a_pattern_alone_is_examined_as_one():
    assert lint.examine(TAMPERING) == []
    assert faults(pattern("cloudtrail", "StopLoging")) == ["detail.eventName[0]"]
