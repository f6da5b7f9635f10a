import json
import re

import pytest
from botocore.exceptions import EndpointConnectionError
from delivery_world import (
    ACCOUNT,
    EVENTS,
    LAMBDA,
    REGION,
    SNS,
    Stage,
    client_error,
    event,
    fast,
    grant,
    stage,
)

from ctwatch.sandbox.calls import Refusal

__all__ = ["fast", "stage"]  # fixtures
POST = """
import json, os, urllib.request
def handler(event, context):
    sns = event["Records"][0]["Sns"] if "Records" in event else {"Message": json.dumps(event)}
    body = json.dumps({"content": json.loads(sns["Message"])["detail"]["eventName"]}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "DiscordBot (test, 1)"}
    request = urllib.request.Request(os.environ["URL"] + "?wait=true", body, headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        print("posted", answer.status)
"""


def whole(stage: Stage):
    """rule -> topic -> mail, queue, function -> webhook; the topic's ARN."""
    topic = stage.topic()
    variables = {"Variables": {"URL": stage.inbox.webhook_url}}
    function = stage.function(POST, Environment=variables)
    queue = stage.queue("receipts", SNS, topic)
    stage.permit("notify", SNS, topic)
    for protocol, endpoint in (("lambda", function), ("sqs", queue), ("email", "a@example.com")):
        stage.do("sns", "Subscribe", TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
    stage.rule(topic)
    return topic


def test_an_event_travels_from_the_rule_to_webhook_mailbox_and_queue(stage):
    topic = whole(stage)
    token = re.search(r"Token=(\w+)", stage.inbox.mails[0].text)[1]
    stage.do("sns", "ConfirmSubscription", key="", TopicArn=topic, Token=token)
    stage.deliver()
    assert [post.payload for post in stage.inbox.posts] == [{"content": "StopLogging"}]
    assert json.loads(stage.inbox.mails[1].text.splitlines()[0]) == event()
    receipt = json.loads(stage.messages(f"arn:aws:sqs:{REGION}:{ACCOUNT}:receipts")[0]["Body"])
    assert json.loads(receipt["Message"]) == event()
    assert "posted 200" in stage.logged()
    assert [hop for hop in stage.hops if not hop.ok] == []
    assert {"rule", "topic", "mail", "function", "log", "webhook"} == {h.stage for h in stage.hops}


def test_a_refusal_of_the_webhook_is_told(stage):
    whole(stage)
    stage.inbox.answer_with(500, {"message": "no"})
    stage.delivery.deliver(event(), REGION)
    assert stage.inbox.wait_for(lambda _: stage.told("webhook"), 5)
    assert stage.told("webhook", ok=False) == ["refused with 500"]


@pytest.mark.parametrize(
    ("state", "detail", "reaches"),
    [
        ("ENABLED", {}, True),
        ("DISABLED", {}, False),
        ("ENABLED", {"readOnly": True}, False),
        ("ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS", {"readOnly": True}, True),
        ("ENABLED", {"readOnly": True, "eventCategory": "Data"}, True),
    ],
)
def test_a_rule_s_state_decides_what_reaches_its_target(stage, state, detail, reaches):
    queue = stage.queue("q", EVENTS)
    stage.rule(queue, state=state)
    stage.deliver(event(detail=detail))
    assert bool(stage.messages(queue)) is reaches
    assert bool(stage.told("rule", ok=False)) is not reaches


def test_a_disabled_rule_and_a_rule_without_targets_say_so(stage):
    stage.rule("arn:x", name="off", state="DISABLED")
    stage.rule(name="bare")
    stage.rule("arn:x", name="other", pattern={"source": ["aws.s3"]})
    stage.deliver()
    assert sorted(stage.told()) == [
        "matched, but has no target: AWS drops the event",
        "would match, but is disabled: AWS drops it",
    ]


def test_a_rule_of_another_region_hears_nothing(stage):
    queue = stage.queue("q", EVENTS, region="us-east-1")
    stage.rule(queue, region="us-east-1")
    stage.deliver()
    assert stage.hops == []


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (grant(EVENTS, "sns:Publish", "*", StringEquals={"aws:SourceAccount": ACCOUNT}),
         "its grant has a Condition"),
        (grant(EVENTS, "sns:Publish", "*", Bool={"aws:SecureTransport": "true"}),
         "its grant has a Condition"),
        (grant(SNS, "sns:Publish", "*"), "no statement without a Condition grants it"),
        (grant(EVENTS, "sns:Subscribe", "*"), "no statement without a Condition grants it"),
    ],
)  # fmt: skip
def test_a_topic_needs_an_unconditioned_grant_for_eventbridge(stage, policy, reason):
    topic = stage.topic(policy=policy)
    stage.rule(topic)
    stage.deliver()
    assert reason in stage.told("rule", ok=False)[0]
    assert "event lost, without a retry: the target has no dead-letter queue" in stage.told()[1]


def test_a_topic_encrypted_with_aws_s_own_key_is_closed_to_eventbridge(stage):
    topic = stage.topic()
    stage.set_topic(topic, KmsMasterKeyId="alias/aws/sns")
    stage.rule(topic)
    stage.deliver()
    assert "needs a customer managed key" in stage.told("rule", ok=False)[0]


@pytest.mark.parametrize("condition", [{}, {"StringEquals": {"aws:SourceAccount": ACCOUNT}}])
def test_an_encrypted_topic_s_key_must_let_eventbridge_in_without_condition(stage, condition):
    policy = grant(EVENTS, ["kms:GenerateDataKey*", "kms:Decrypt"], "*", **condition)
    key = stage.do("kms", "CreateKey", Policy=policy)["KeyMetadata"]["KeyId"]
    topic = stage.topic()
    stage.set_topic(topic, KmsMasterKeyId=key)
    stage.rule(topic)
    stage.deliver()
    refused = "the key of alarm does not let events.amazonaws.com kms:GenerateDataKey"
    assert any(refused in told for told in stage.told("rule")) is bool(condition)


def test_a_queue_s_condition_on_the_rule_is_honoured(stage):
    rule = stage.rule()
    mine, other = stage.queue("mine", EVENTS, rule), stage.queue("other", EVENTS, rule + "-2")
    stage.rule(mine, other)
    stage.deliver()
    assert len(stage.messages(mine)) == 1
    assert stage.messages(other) == []
    assert "fails (" + rule + ")" in stage.told("rule", ok=False)[0]


@pytest.mark.parametrize(("more", "reaches"), [({}, True), ({"SourceAccount": ACCOUNT}, False)])
def test_a_source_account_keeps_eventbridge_from_invoking_a_function(stage, more, reaches):
    function = stage.function("def handler(event, context): print(event['detail-type'])")
    rule = stage.rule(function)
    stage.permit("notify", EVENTS, rule, **more)
    stage.deliver()
    assert ("AWS API Call via CloudTrail" in "".join(stage.logged())) is reaches
    if not reaches:
        assert "AWS:SourceAccount = 123456789012 fails (absent)" in stage.told("rule", ok=False)[0]


def test_an_undeliverable_event_goes_to_the_target_s_dead_letter_queue(stage):
    rule = stage.rule()
    letters = stage.queue("letters", EVENTS, rule)
    missing = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:gone"
    stage.rule({"Arn": missing, "DeadLetterConfig": {"Arn": letters}})
    stage.deliver()
    letter = stage.messages(letters)[0]
    attributes = {k: v["StringValue"] for k, v in letter["MessageAttributes"].items()}
    assert json.loads(letter["Body"]) == event()
    assert attributes.pop("ERROR_MESSAGE").startswith("Function not found")
    assert attributes == {
        "RULE_ARN": rule, "TARGET_ARN": missing, "ERROR_CODE": "NO_RESOURCE", "RETRY_ATTEMPTS": "0",
    }  # fmt: skip


@pytest.mark.parametrize("exists", [True, False])
def test_an_event_is_lost_when_its_dead_letter_queue_takes_none(stage, exists):
    letters = f"arn:aws:sqs:{REGION}:{ACCOUNT}:letters"
    if exists:
        stage.queue("letters")
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:gone"
    stage.rule({"Arn": topic, "DeadLetterConfig": {"Arn": letters}})
    stage.deliver()
    assert stage.told("queue", ok=False)[0].startswith("event lost: ")
    assert ("does not let events.amazonaws.com send" in stage.told("queue")[0]) is exists


@pytest.mark.parametrize(
    ("policy", "condition", "retries"),
    [
        ({"MaximumRetryAttempts": 3}, "MaximumRetryAttempts", [3]),
        ({"MaximumRetryAttempts": 0}, "MaximumRetryAttempts", [0]),
        ({"MaximumEventAgeInSeconds": 120}, "MaximumEventAgeInSeconds", range(1, 7)),
    ],
)
def test_what_may_pass_is_retried_until_the_policy_is_exhausted(fast, policy, condition, retries):
    letters, topic = fast.queue("letters", EVENTS), fast.topic()
    fast.faults["get_topic_attributes"] = [client_error("InternalError", 500) for _ in range(9)]
    fast.rule({"Arn": topic, "DeadLetterConfig": {"Arn": letters}, "RetryPolicy": policy})
    fast.deliver()
    letter = fast.messages(letters)[0]["MessageAttributes"]
    assert letter["EXHAUSTED_RETRY_CONDITION"]["StringValue"] == condition
    assert letter["ERROR_CODE"]["StringValue"] == "INTERNAL_ERROR"
    assert int(letter["RETRY_ATTEMPTS"]["StringValue"]) in retries


def test_a_retry_that_succeeds_delivers_once(fast):
    queue = fast.queue("q", EVENTS)
    fast.faults["send_message"] = [client_error("ThrottlingException") for _ in range(2)]
    fast.rule(queue)
    fast.deliver()
    assert len(fast.messages(queue)) == 1
    waits = [re.search(r"after (\d+) s", told)[1] for told in fast.told("rule", ok=False)]
    assert waits == ["1", "2"]


def test_idle_waits_for_what_waits_on_the_clock(stage):
    queue = stage.queue("q", EVENTS)
    stage.faults["send_message"] = [client_error("Throttling") for _ in range(9)]
    stage.rule(queue)
    stage.delivery.deliver(event(), REGION)
    assert stage.delivery.idle(0.3) is False
    stage.delivery.reset()
    assert stage.delivery.idle(0) is True


@pytest.mark.parametrize(
    ("role_may", "trusted", "code"),
    [
        ("events:PutEvents", EVENTS, None),
        ("events:PutRule", EVENTS, "NO_PERMISSIONS"),
        ("events:PutEvents", LAMBDA, "FAILED_TO_ASSUME_ROLE"),
        (None, None, "NO_PERMISSIONS"),
    ],
)
def test_a_bus_of_another_region_is_reached_by_a_role(stage, role_may, trusted, code):
    home = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    letters = stage.queue("letters", EVENTS, region="us-east-1")
    target = {"Arn": home, "DeadLetterConfig": {"Arn": letters}}
    if role_may:
        target["RoleArn"] = stage.role("forward", ([role_may], home), trusted=trusted)
    stage.rule(target, name="far", region="us-east-1", pattern={"source": ["aws.signin"]})
    queue = stage.queue("q", EVENTS)
    stage.rule(queue, pattern={"source": ["aws.signin"]})
    stage.deliver(event(source="aws.signin", region="us-east-1"), "us-east-1")
    arrived = [json.loads(one["Body"])["region"] for one in stage.messages(queue)]
    buried = [
        one["MessageAttributes"]["ERROR_CODE"]["StringValue"] for one in stage.messages(letters)
    ]
    assert (arrived, buried) == ((["us-east-1"], []) if code is None else ([], [code]))


ORDERS = {"StringEquals": {"aws:SourceArn": "arn:aws:events:us-east-1:1:rule/orders"}}


@pytest.mark.parametrize(
    ("changed", "handed_on"),
    [
        ({}, False),
        ({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}, False),
        ({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/forward"}}, False),
        ({"Principal": {"AWS": "arn:aws:iam::999999999999:root"}}, True),
        ({"Action": "events:PutRule"}, True),
        ({"Effect": "Allow"}, True),
        ({"Condition": ORDERS}, True),
    ],
)
def test_a_bus_that_denies_takes_from_services_alone(stage, changed, handed_on):
    home = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    role = stage.role("forward", (["events:PutEvents"], home), trusted=EVENTS)
    stage.rule({"Arn": home, "RoleArn": role}, name="far", region="us-east-1")
    queue = stage.queue("q", EVENTS)
    stage.rule(queue)
    statement = {"Sid": "s", "Effect": "Deny", "Principal": "*", "Action": "events:PutEvents",
                 "Resource": home, **changed}  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    stage.do("events", "PutPermission", Policy=policy)
    for region in ("us-east-1", REGION):
        stage.deliver(event(region=region), region)
    arrived = {json.loads(one["Body"])["region"] for one in stage.messages(queue)}
    assert arrived == {REGION, *(["us-east-1"] if handed_on else [])}
    refused = [one for one in stage.told("rule", ok=False) if "refuses it: statement" in one]
    assert bool(refused) is not handed_on


def test_an_event_is_handed_from_bus_to_bus_only_once(stage):
    for region, other in (("us-east-1", REGION), (REGION, "us-east-1")):
        bus = f"arn:aws:events:{other}:{ACCOUNT}:event-bus/default"
        role = stage.role(f"to-{other}", (["events:PutEvents"], bus), trusted=EVENTS)
        stage.rule({"Arn": bus, "RoleArn": role}, region=region)
    stage.deliver(region="us-east-1")
    assert "handed from bus to bus only once" in stage.told("rule", ok=False)[0]
    assert len(stage.told("rule", ok=True)) == 3


def test_a_missing_bus_is_named(stage):
    bus = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/other"
    role = stage.role("to-other", (["events:PutEvents"], bus), trusted=EVENTS)
    stage.rule({"Arn": bus, "RoleArn": role})
    stage.deliver()
    assert "event bus other does not exist in us-east-1" in stage.told("rule", ok=False)[0]


def test_a_missing_role_is_named(stage):
    bus = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default"
    stage.rule({"Arn": bus, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/none"})
    stage.deliver()
    assert "role/none does not exist" in stage.told("rule", ok=False)[0]


@pytest.mark.parametrize("service", ["sns", "sqs", "lambda"])
def test_a_target_role_stands_in_for_the_target_s_own_policy(stage, service):
    arns = {
        "sns": lambda: stage.topic(policy=grant(SNS, "sns:Subscribe", "*")),
        "sqs": lambda: stage.queue("q"),
        "lambda": lambda: stage.function("def handler(event, context): pass"),
    }
    arn = arns[service]()
    may = {"sns": "sns:Publish", "sqs": "sqs:SendMessage", "lambda": "lambda:InvokeFunction"}
    role = stage.role("deliver", ([may[service]], arn), trusted=EVENTS)
    stage.rule({"Arn": arn, "RoleArn": role})
    stage.deliver()
    assert stage.told("rule", ok=False) == []
    stage.allow("deliver", (["sns:GetTopicAttributes"], "*"))
    stage.deliver()
    assert f"role deliver may not {may[service]}" in stage.told("rule", ok=False)[0]


def test_a_function_takes_json_only(stage):
    function = stage.function("def handler(event, context): print('ran')")
    letters = stage.queue("letters", EVENTS)
    transformer = {"InputTemplate": '"one"\n"two"'}
    target = {
        "Arn": function,
        "InputTransformer": transformer,
        "DeadLetterConfig": {"Arn": letters},
    }
    stage.permit("notify", EVENTS, stage.rule(target))
    stage.deliver()
    code = stage.messages(letters)[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"]
    assert code == "INVALID_JSON"
    assert stage.told("function") == []


def test_a_scheduled_rule_matches_no_event(stage):
    stage.do("events", "PutRule", Name="daily", ScheduleExpression="rate(1 day)")
    stage.deliver()
    assert stage.hops == []


def test_a_target_role_that_is_gone_by_now_may_nothing(stage):
    bus = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default"
    role = stage.role("forward", trusted=EVENTS)
    stage.faults["list_role_policies"] = [client_error("NoSuchEntity", 404)]
    stage.rule({"Arn": bus, "RoleArn": role})
    stage.deliver()
    assert "role forward may not events:PutEvents" in stage.told("rule", ok=False)[0]


@pytest.mark.parametrize(
    ("error", "code", "tried_again"),
    [
        (client_error("AccessDenied", 403), "NO_PERMISSIONS", False),
        (client_error("InvalidMessageContents"), "SDK_CLIENT_ERROR", False),
        (EndpointConnectionError(endpoint_url="x"), "CONNECTION_FAILURE", True),
    ],
)
def test_what_a_target_answers_decides_on_retry_and_error_code(fast, error, code, tried_again):
    queue, letters = fast.queue("q", EVENTS), fast.queue("letters", EVENTS)
    fast.faults["send_message"] = [error]
    policy = {"MaximumRetryAttempts": 0}
    fast.rule({"Arn": queue, "DeadLetterConfig": {"Arn": letters}, "RetryPolicy": policy})
    fast.deliver()
    letter = fast.messages(letters)[0]["MessageAttributes"]
    assert letter["ERROR_CODE"]["StringValue"] == code
    assert ("EXHAUSTED_RETRY_CONDITION" in letter) is tried_again


def test_a_connection_that_breaks_is_told(stage):
    whole(stage)
    stage.inbox.answer_with("reset")
    stage.delivery.deliver(event(), REGION)
    assert stage.inbox.wait_for(lambda _: stage.told("webhook"), 5)
    assert stage.told("webhook", ok=False) == ["connection broken before an answer"]


def test_each_target_is_served_on_its_own(stage):
    good, bad = stage.queue("good", EVENTS), stage.queue("bad")
    stage.rule(bad, good, f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/x")
    stage.deliver()
    assert len(stage.messages(good)) == 1
    assert len(stage.told("rule", ok=False)) == 2
    assert any("no targets of firehose" in told for told in stage.told())


def test_a_failure_behind_the_topic_never_fails_the_rule_s_target(stage):
    topic = stage.topic()
    gone = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:gone"
    stage.do("sns", "Subscribe", TopicArn=topic, Protocol="lambda", Endpoint=gone)
    stage.rule(topic)
    stage.deliver()
    assert stage.told("rule", ok=False) == []
    assert len(stage.told("topic", ok=False)) == 2


# PutEvents and TestEventPattern


def entry(**changes):
    return {"Source": "my.app", "DetailType": "Test", "Detail": '{"a": 1}', **changes}


def test_put_events_delivers_a_full_envelope(stage):
    queue = stage.queue("q", EVENTS)
    stage.rule(queue, pattern={"source": ["my.app"]})
    answer = stage.do("events", "PutEvents", Entries=[entry(Resources=["arn:r"])])
    assert stage.delivery.idle()
    got = json.loads(stage.messages(queue)[0]["Body"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", got.pop("time"))
    assert answer == {"FailedEntryCount": 0, "Entries": [{"EventId": got.pop("id")}]}
    assert got == {
        "version": "0", "detail-type": "Test", "source": "my.app", "account": ACCOUNT,
        "region": REGION, "resources": ["arn:r"], "detail": {"a": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Source": "aws.cloudtrail"}, "NotAuthorizedForSourceException"),
        ({"Source": "aws.signin"}, "NotAuthorizedForSourceException"),
        ({"Source": ""}, "InvalidArgument"),
        ({"Detail": "nonsense"}, "MalformedDetail"),
        ({"Detail": "[]"}, "MalformedDetail"),
    ],
)
def test_put_events_refuses_entry_by_entry(stage, change, code):
    stage.rule(stage.queue("q", EVENTS), pattern={"source": ["my.app", "aws.cloudtrail"]})
    answer = stage.do("events", "PutEvents", Entries=[entry(**change), entry()])
    assert stage.delivery.idle()
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == code
    assert "EventId" in answer["Entries"][1]
    assert stage.told("rule")[0] == "matched, to q"
    assert len(stage.hops) == 2


@pytest.mark.parametrize(("name", "result"), [("StopLogging", True), ("StartLogging", False)])
def test_test_event_pattern_answers(stage, name, result):
    pattern = json.dumps({"detail": {"eventName": [name]}})
    answer = stage.do("events", "TestEventPattern", EventPattern=pattern, Event=json.dumps(event()))
    assert answer == {"Result": result}


@pytest.mark.parametrize(
    ("pattern", "an_event", "code"),
    [
        ('{"source": "aws.s3"}', json.dumps(event()), "InvalidEventPatternException"),
        ('{"source": ["aws.s3"]}', "nonsense", "ValidationException"),
        ('{"source": ["aws.s3"]}', '{"source": "aws.s3"}', "ValidationException"),
    ],
)
def test_test_event_pattern_refuses_what_aws_refuses(stage, pattern, an_event, code):
    with pytest.raises(Refusal) as refused:
        stage.do("events", "TestEventPattern", EventPattern=pattern, Event=an_event)
    assert refused.value.code == code


def test_a_mistake_of_the_sandbox_itself_is_told(stage):
    stage.rule(stage.topic())
    stage.faults["get_paginator"] = [KeyError("list_subscriptions")]
    stage.deliver()
    assert stage.told(ok=False) == [
        "the sandbox itself failed here: KeyError: 'list_subscriptions'"
    ]


def test_what_is_removed_while_an_event_is_under_way_is_told(stage):
    stage.rule(stage.topic())
    stage.faults["get_paginator"] = [client_error("NotFound")]
    stage.deliver()
    (said,) = stage.told(ok=False)
    assert said.startswith("dropped: something was removed while an event was under way: ")


def test_after_close_nothing_is_taken_and_closing_again_is_fine(stage):
    stage.rule(stage.queue("q", EVENTS))
    stage.delivery.close()
    stage.delivery.deliver(event(), REGION)
    assert stage.delivery.idle(0)
    assert stage.hops == []
    stage.delivery.close()
