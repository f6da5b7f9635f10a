import json

import pytest

from ctwatch.sandbox import policies

TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:alarm"
RULE = "arn:aws:events:ap-northeast-2:123456789012:rule/detect"
EVENTS = "events.amazonaws.com"


def statement(**changes):
    return {
        "Effect": "Allow",
        "Principal": {"Service": EVENTS},
        "Action": "sns:Publish",
        "Resource": TOPIC,
        **changes,
    }


def judge(*statements, principal=EVENTS, action="sns:Publish", resource=TOPIC, **context):
    context = {key.replace("_", ":"): value for key, value in context.items()}
    return policies.allowed(
        {"Statement": list(statements)},
        principal=principal, action=action, resource=resource, context=context,
    )  # fmt: skip


@pytest.mark.parametrize("document", [None, "", {}, "not JSON", "[]", {"Statement": ["x"]}])
def test_no_policy_allows_nothing(document):
    assert not policies.allowed(
        document, principal=EVENTS, action="sns:Publish", resource=TOPIC, context={}
    )


def test_a_policy_may_be_text_and_its_statement_may_stand_alone():
    document = json.dumps({"Statement": statement()})
    assert policies.allowed(
        document, principal=EVENTS, action="sns:Publish", resource=TOPIC, context={}
    )


def test_a_deny_wins_over_any_allow():
    assert not judge(statement(), statement(Effect="Deny", Principal="*"))
    assert judge(statement(), statement(Effect="Deny", Action="sns:Subscribe"))


@pytest.mark.parametrize(
    ("principal", "asking", "expected"),
    [
        ("*", EVENTS, True),
        ({"AWS": "*"}, EVENTS, True),
        ({"Service": ["sns.amazonaws.com", EVENTS]}, EVENTS, True),
        ({"Service": "sns.amazonaws.com"}, EVENTS, False),
        ({"AWS": "123456789012"}, EVENTS, False),
        ("123456789012", "123456789012", False),
        ({"AWS": "123456789012"}, "123456789012", True),
        ({"AWS": "123456789012"}, "arn:aws:iam::123456789012:user/kim", True),
        ({"AWS": "arn:aws:iam::123456789012:root"}, "arn:aws:iam::123456789012:user/kim", True),
        ({"AWS": "arn:aws:iam::123456789012:user/lee"},
         "arn:aws:iam::123456789012:user/kim", False),
        ({"AWS": "arn:aws:iam::123456789012:role/r"},
         "arn:aws:sts::123456789012:assumed-role/r/session", True),
        ({"AWS": "arn:aws:iam::123456789012:role/q"},
         "arn:aws:sts::123456789012:assumed-role/r/session", False),
        ({"AWS": "210987654321"}, "arn:aws:iam::123456789012:user/kim", False),
    ],
)  # fmt: skip
def test_principals(principal, asking, expected):
    assert judge(statement(Principal=principal), principal=asking) is expected


def test_not_principal_turns_the_match_round():
    other = statement(NotPrincipal={"Service": EVENTS})
    del other["Principal"]
    assert not judge(other)
    assert judge(other, principal="sns.amazonaws.com")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Action": "SNS:publish"}, True),
        ({"Action": ["sns:Get*", "sns:P?blish"]}, True),
        ({"Action": "sns:*"}, True),
        ({"Action": "sqs:*"}, False),
        ({"Resource": "*"}, True),
        ({"Resource": TOPIC + "-other"}, False),
        ({"Resource": TOPIC.upper()}, False),
        ({"Resource": "arn:aws:sns:*:alarm"}, True),
    ],
)
def test_actions_are_caseless_and_resources_are_not(change, expected):
    assert judge(statement(**change)) is expected


def test_not_action_and_not_resource_exclude():
    no_action = statement(NotAction="sns:Subscribe")
    del no_action["Action"]
    no_resource = statement(NotResource=TOPIC)
    del no_resource["Resource"]
    assert judge(no_action)
    assert not judge(no_action, action="SNS:Subscribe")
    assert not judge(no_resource)
    assert judge(no_resource, resource=TOPIC + "-other")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"aws:SourceArn": RULE}}, True),
        ({"StringEquals": {"AWS:sourcearn": ["other", RULE]}}, True),
        ({"StringEquals": {"aws:SourceArn": RULE.upper()}}, False),
        ({"StringEqualsIgnoreCase": {"aws:SourceArn": RULE.upper()}}, True),
        ({"StringNotEquals": {"aws:SourceArn": [RULE, "other"]}}, False),
        ({"StringNotEquals": {"aws:SourceArn": "other"}}, True),
        ({"StringNotEquals": {"aws:Absent": "x"}}, True),
        ({"StringEquals": {"aws:Absent": "x"}}, False),
        ({"StringEqualsIfExists": {"aws:Absent": "x"}}, True),
        ({"StringEqualsIfExists": {"aws:SourceArn": "x"}}, False),
        ({"StringLike": {"aws:SourceArn": "arn:aws:events:*"}}, True),
        ({"StringNotLike": {"aws:SourceArn": "arn:aws:events:*"}}, False),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:events:*:123456789012:rule/*"}}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:events:*:rule/*"}}, False),
        ({"ArnNotLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/d*"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"Bool": {"aws:SecureTransport": True}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"Null": {"aws:SourceArn": "false"}}, True),
        ({"Null": {"aws:SourceArn": "true"}}, False),
        ({"Null": {"aws:Absent": True}}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, True),
        ({"IpAddress": {"aws:SourceIp": "nonsense"}}, False),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, False),
        ({"NumericGreaterThanEquals": {"s3:TlsVersion": 1.2}}, True),
        ({"NumericLessThanEquals": {"s3:TlsVersion": "1.3"}}, True),
        ({"NumericGreaterThan": {"s3:TlsVersion": "1.3"}}, False),
        ({"NumericEquals": {"s3:TlsVersion": "1.30"}}, True),
        ({"NumericNotEquals": {"s3:TlsVersion": "1.30"}}, False),
        ({"ForAnyValue:StringEquals": {"aws:SourceArn": RULE}}, True),
        ({"ForAllValues:StringEquals": {"aws:Absent": "x"}}, True),
        ({"StringEquals": {"aws:SourceArn": RULE, "aws:Absent": "x"}}, False),
        ({"StringSounds": {"aws:SourceArn": RULE}}, False),
        ({"Bool": {"aws:PrincipalIsAWSService": "true"}}, True),
        ({"StringEquals": {"aws:PrincipalServiceName": EVENTS}}, True),
    ],
)
def test_conditions(condition, expected):
    context = {"aws_SourceArn": RULE, "aws_SourceIp": "10.1.2.3", "s3_TlsVersion": "1.3"}
    assert judge(statement(Condition=condition), **context) is expected


def test_an_account_s_principal_is_known_by_its_own_keys():
    kim = "arn:aws:iam::123456789012:user/kim"
    condition = {
        "StringEquals": {"aws:PrincipalAccount": "123456789012", "aws:PrincipalArn": kim},
        "Bool": {"aws:PrincipalIsAWSService": "false"},
    }
    assert judge(statement(Principal="*", Condition=condition), principal=kim)


def test_the_reason_names_the_statement_and_what_it_lacks():
    condition = {"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/other"}}
    decision = policies.explain(
        {"Statement": [statement(Sid="Grant", Condition=condition), statement(Action="sns:Get*")]},
        principal=EVENTS, action="sns:Publish", resource=TOPIC, context={"aws:SourceArn": RULE},
    )  # fmt: skip
    assert not decision.allowed
    assert 'statement "Grant": its condition ArnLike aws:SourceArn' in decision.reason
    assert f"fails ({RULE})" in decision.reason
    assert "statement number 2: does not cover sns:Publish" in decision.reason


def test_a_trust_policy_needs_no_resource():
    trust = statement(Action="sts:AssumeRole")
    del trust["Resource"]
    assert judge(trust, action="sts:AssumeRole", resource="arn:aws:iam::123456789012:role/r")


def test_an_identity_s_policies_are_judged_together_and_name_no_principal():
    allow = {"Statement": {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}}
    deny = {"Statement": {"Effect": "Deny", "Action": "sqs:SendMessage", "Resource": "*"}}

    def ask(*documents):
        return policies.explain_identity(
            documents, action="sqs:SendMessage", resource="arn:q", context={}
        ).allowed

    assert ask(allow)
    assert not ask(allow, deny)
    assert not ask()


def test_grants_to_a_service_count_only_without_a_condition():
    conditioned = statement(Condition={"StringEquals": {"aws:SourceArn": RULE}})
    denied = statement(Effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})
    owner = statement(Principal={"AWS": "123456789012"}, Condition={"Null": {"x": "true"}})
    kept = policies.without_conditioned_grants({"Statement": [conditioned, denied, owner]}, EVENTS)
    assert kept == {"Statement": [denied, owner]}
