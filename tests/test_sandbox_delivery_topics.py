import json
import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from delivery_world import (
    ACCOUNT,
    REGION,
    SNS,
    client_error,
    fast,
    grant,
    stage,
)

from ctwatch.sandbox.calls import Refusal

__all__ = ["fast", "stage"]  # fixtures
MAIL = "a@example.com"


def subscribe(stage, topic, protocol="email", endpoint=MAIL, **params):
    return stage.do("sns", "Subscribe", TopicArn=topic, Protocol=protocol, Endpoint=endpoint,
                    **params)["SubscriptionArn"]  # fmt: skip


def pending(stage, topic, **params):
    """The ARN and the token of an e-mail subscription that waits."""
    arn = subscribe(stage, topic, ReturnSubscriptionArn=True, **params)
    return arn, re.search(r"Token=(\w+)", stage.inbox.mails[-1].text)[1]


def confirmed(stage, topic, **params):
    arn, token = pending(stage, topic, **params)
    stage.do("sns", "ConfirmSubscription", key="", TopicArn=topic, Token=token)
    stage.inbox.reset()
    stage.hops.clear()
    return arn


def attributes(stage, arn):
    return stage.do("sns", "GetSubscriptionAttributes", SubscriptionArn=arn)["Attributes"]


def listed(stage, topic):
    answers = [
        stage.do("sns", "ListSubscriptionsByTopic", TopicArn=topic),
        stage.do("sns", "ListSubscriptions"),
    ]
    found = [[one["SubscriptionArn"] for one in answer["Subscriptions"]] for answer in answers]
    assert found[0] == found[1]
    return found[0]


def publish(stage, topic, message="hello", **params):
    answer = stage.do("sns", "Publish", TopicArn=topic, Message=message, **params)
    assert stage.delivery.idle()
    return answer["MessageId"]


def refusal(stage, operation, **params):
    with pytest.raises(Refusal) as refused:
        stage.do("sns", operation, **params)
    return refused.value.code, refused.value.message


# Subscriptions


def test_an_email_waits_for_its_link(stage):
    topic = stage.topic()
    assert subscribe(stage, topic) == "pending confirmation"
    (mail,) = stage.inbox.mails
    assert (mail.to, mail.subject) == (MAIL, "AWS Notification - Subscription Confirmation")
    assert f"{stage.url}/confirm?TopicArn=arn%3Aaws" in mail.text
    assert f"&Endpoint={quote(MAIL, safe='')}\n" in mail.text
    assert listed(stage, topic) == ["PendingConfirmation"]
    publish(stage, topic)
    assert len(stage.inbox.mails) == 1
    assert "pending confirmation" in stage.told("topic", ok=False)[0]


def test_a_followed_link_confirms_without_authentication(stage):
    topic = stage.topic()
    arn, token = pending(stage, topic)
    assert attributes(stage, arn)["PendingConfirmation"] == "true"
    answer = stage.do("sns", "ConfirmSubscription", key="", TopicArn=topic, Token=token)
    assert answer == {"SubscriptionArn": arn}
    assert listed(stage, topic) == [arn]
    seen = attributes(stage, arn)
    assert (seen["PendingConfirmation"], seen["ConfirmationWasAuthenticated"]) == ("false", "false")


def test_a_signed_confirmation_can_forbid_the_unsigned_link(stage):
    topic = stage.topic()
    arn, token = pending(stage, topic)
    asked = {"TopicArn": topic, "Token": token, "AuthenticateOnUnsubscribe": "true"}
    stage.do("sns", "ConfirmSubscription", **asked)
    stage.do("sns", "ConfirmSubscription", key="", TopicArn=topic, Token=token)
    assert attributes(stage, arn)["ConfirmationWasAuthenticated"] == "true"
    code, _ = refusal(stage, "Unsubscribe", key="", SubscriptionArn=arn)
    assert code == "AuthorizationError"
    stage.do("sns", "Unsubscribe", SubscriptionArn=arn)
    assert listed(stage, topic) == []


def test_a_link_already_followed_cannot_be_upgraded(stage):
    topic = stage.topic()
    arn, token = pending(stage, topic)
    stage.do("sns", "ConfirmSubscription", key="", TopicArn=topic, Token=token)
    stage.do("sns", "ConfirmSubscription", TopicArn=topic, Token=token,
             AuthenticateOnUnsubscribe="true")  # fmt: skip
    assert attributes(stage, arn)["ConfirmationWasAuthenticated"] == "false"
    stage.do("sns", "Unsubscribe", key="", SubscriptionArn=arn)
    assert listed(stage, topic) == []


def test_a_signed_confirmation_that_asks_for_nothing_leaves_the_link_open(stage):
    topic = stage.topic()
    arn, token = pending(stage, topic)
    stage.do("sns", "ConfirmSubscription", TopicArn=topic, Token=token)
    assert attributes(stage, arn)["ConfirmationWasAuthenticated"] == "false"


def test_an_unsigned_call_cannot_claim_authentication(stage):
    topic = stage.topic()
    arn, token = pending(stage, topic)
    stage.do("sns", "ConfirmSubscription", key="", TopicArn=topic, Token=token,
             AuthenticateOnUnsubscribe="true")  # fmt: skip
    assert attributes(stage, arn)["ConfirmationWasAuthenticated"] == "false"


def test_a_wrong_token_or_topic_is_refused(stage):
    topic, other = stage.topic(), stage.topic("other")
    _, token = pending(stage, topic)
    wrong = ("InvalidParameter", "Invalid parameter: Token")
    assert refusal(stage, "ConfirmSubscription", TopicArn=topic, Token="x") == wrong
    assert refusal(stage, "ConfirmSubscription", TopicArn=other, Token=token) == wrong
    gone = refusal(stage, "ConfirmSubscription", TopicArn=topic + "-gone", Token=token)
    assert gone[0] == "NotFound"


def test_asking_again_sends_another_mail_and_either_link_is_good(stage):
    topic = stage.topic()
    arn, first = pending(stage, topic)
    again, second = pending(stage, topic)
    assert again == arn
    assert first != second
    stage.do("sns", "ConfirmSubscription", key="", TopicArn=topic, Token=first)
    assert subscribe(stage, topic) == arn
    assert len(stage.inbox.mails) == 2
    assert listed(stage, topic) == [arn]


def test_the_same_subscription_with_other_attributes_is_refused(stage):
    topic = stage.topic()
    queue = stage.queue("q")
    arn = subscribe(stage, topic, "sqs", queue, Attributes={"RawMessageDelivery": "true"})
    again = subscribe(stage, topic, "sqs", queue, Attributes={"RawMessageDelivery": "true"})
    assert again == arn == subscribe(stage, topic, "sqs", queue)
    code, message = refusal(stage, "Subscribe", TopicArn=topic, Protocol="sqs", Endpoint=queue,
                            Attributes={"FilterPolicy": '{"a": ["b"]}'})  # fmt: skip
    assert code == "InvalidParameter"
    assert message.endswith("Subscription already exists with different attributes")


@pytest.mark.parametrize(
    ("protocol", "endpoint", "message"),
    [
        ("email", "nobody", "Invalid parameter: Email address"),
        ("email", "a@b, c@d", "Invalid parameter: Email address"),
        ("email-json", "", "Invalid parameter: Email address"),
        ("lambda", "notify", "Invalid parameter: Lambda endpoint ARN"),
    ],
)
def test_an_impossible_endpoint_is_refused(stage, protocol, endpoint, message):
    topic = stage.topic()
    asked = {"TopicArn": topic, "Protocol": protocol, "Endpoint": endpoint}
    assert refusal(stage, "Subscribe", **asked) == ("InvalidParameter", message)
    assert listed(stage, topic) == []


def test_a_missing_topic_is_refused(stage):
    gone = f"arn:aws:sns:{REGION}:{ACCOUNT}:gone"
    asked = {"TopicArn": gone, "Protocol": "email", "Endpoint": MAIL}
    assert refusal(stage, "Subscribe", **asked)[0] == "NotFound"
    assert refusal(stage, "Publish", TopicArn=gone, Message="x")[0] == "NotFound"
    assert stage.inbox.mails == ()


@pytest.mark.parametrize("name", ["FilterPolicy", "RedrivePolicy"])
@pytest.mark.parametrize("value", ["{", "[]"])
def test_malformed_attributes_are_refused(stage, name, value):
    topic = stage.topic()
    arn = confirmed(stage, topic)
    message = f"Invalid parameter: {name}: failed to parse JSON."
    set_one = refusal(stage, "SetSubscriptionAttributes", SubscriptionArn=arn, AttributeName=name,
                      AttributeValue=value)  # fmt: skip
    at_once = refusal(stage, "Subscribe", TopicArn=topic, Protocol="sms", Endpoint="+821012345678",
                      Attributes={name: value})  # fmt: skip
    assert set_one == at_once == ("InvalidParameter", message)


def test_an_impossible_filter_policy_is_refused(stage):
    arn = confirmed(stage, stage.topic())
    asked = {"AttributeName": "FilterPolicy", "AttributeValue": '{"a": [{"like": "x"}]}'}
    _, message = refusal(stage, "SetSubscriptionAttributes", SubscriptionArn=arn, **asked)
    assert message.startswith("Invalid parameter: FilterPolicy: ")


@pytest.mark.parametrize("real", [True, False])
def test_what_is_pending_cannot_be_unsubscribed(stage, real):
    topic = stage.topic()
    arn, _ = pending(stage, topic)
    code, message = refusal(stage, "Unsubscribe",
                            SubscriptionArn=arn if real else "PendingConfirmation")  # fmt: skip
    assert code == "InvalidParameter"
    assert ("pending confirmation" in message) is real
    assert ("at least 6 elements, not 1" in message) is not real
    assert listed(stage, topic) == ["PendingConfirmation"]


def test_a_topic_counts_its_subscriptions(stage):
    topic = stage.topic()
    pending(stage, topic)
    subscribe(stage, topic, "sms", "+821012345678")
    counts = stage.do("sns", "GetTopicAttributes", TopicArn=topic)["Attributes"]
    assert (counts["SubscriptionsPending"], counts["SubscriptionsConfirmed"]) == ("1", "1")


def test_what_nobody_confirms_is_gone_after_two_days_with_its_token(stage, monkeypatch):
    topic, now = stage.topic(), stage.clock.now()
    arn, token = pending(stage, topic)
    monkeypatch.setattr(stage.clock, "now", lambda: now + timedelta(hours=47))
    assert listed(stage, topic) == ["PendingConfirmation"]
    monkeypatch.setattr(stage.clock, "now", lambda: now + timedelta(hours=49))
    assert listed(stage, topic) == []
    asked = {"TopicArn": topic, "Token": token}
    assert refusal(stage, "ConfirmSubscription", **asked)[0] == "InvalidParameter"
    assert pending(stage, topic)[0] != arn


def test_a_token_is_good_for_two_days_though_its_subscription_was_asked_again(stage, monkeypatch):
    topic, now = stage.topic(), stage.clock.now()
    arn, first = pending(stage, topic)
    monkeypatch.setattr(stage.clock, "now", lambda: now + timedelta(hours=30))
    same, second = pending(stage, topic)
    monkeypatch.setattr(stage.clock, "now", lambda: now + timedelta(hours=50))
    asked = {"TopicArn": topic, "Token": first}
    assert refusal(stage, "ConfirmSubscription", **asked)[0] == "InvalidParameter"
    stage.do("sns", "ConfirmSubscription", key="", TopicArn=topic, Token=second)
    assert listed(stage, topic) == [arn] == [same]


def test_a_deleted_topic_takes_its_tokens_along(stage):
    topic, other = stage.topic(), stage.topic("alarm-2")
    _, token = pending(stage, topic)
    _, kept = pending(stage, other)
    stage.do("sns", "DeleteTopic", TopicArn=topic)
    assert stage.topic() == topic
    assert (
        refusal(stage, "ConfirmSubscription", TopicArn=topic, Token=token)[0] == "InvalidParameter"
    )
    stage.do("sns", "ConfirmSubscription", TopicArn=other, Token=kept)


def test_reset_forgets_who_waited(stage):
    topic = stage.topic()
    _, token = pending(stage, topic)
    stage.delivery.reset()
    assert (
        refusal(stage, "ConfirmSubscription", TopicArn=topic, Token=token)[0] == "InvalidParameter"
    )


def test_http_endpoints_are_never_called(stage):
    topic = stage.topic()
    assert subscribe(stage, topic, "https", "https://example.invalid/") == "pending confirmation"
    assert "calls no HTTP endpoint" in stage.told("topic", ok=False)[0]
    assert listed(stage, topic) == ["PendingConfirmation"]


def test_a_protocol_the_sandbox_does_not_serve_says_so(stage):
    topic = stage.topic()
    firehose = f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/x"
    subscribe(stage, topic, "firehose", firehose)
    publish(stage, topic)
    assert "the sandbox does not deliver to firehose" in stage.told("topic", ok=False)[0]


# Publish


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"Message": ""}, "Empty message"),
        ({"Message": "한" * 87382}, "Message too long"),
        ({"Subject": ""}, "Subject"),
        ({"Subject": "x" * 100}, "Subject"),
        ({"Subject": "one\ntwo"}, "Subject"),
        ({"Subject": "bell\x07"}, "Subject"),
        ({"MessageStructure": "json"}, "Message Structure - JSON message body failed to parse"),
        ({"MessageStructure": "json", "Message": "[]"},
         "Message Structure - JSON message body failed to parse"),
        ({"MessageStructure": "json", "Message": '{"sms": "x"}'},
         "Message Structure - No default entry in JSON message body"),
    ],
)  # fmt: skip
def test_publish_is_strict(stage, params, message):
    asked = {"TopicArn": stage.topic(), "Message": "hello", **params}
    assert refusal(stage, "Publish", **asked) == (
        "InvalidParameter",
        f"Invalid parameter: {message}",
    )


def test_a_mail_carries_subject_sender_and_a_way_out(stage):
    topic = stage.topic()
    arn = confirmed(stage, topic)
    stage.set_topic(topic, DisplayName="Trail alarm")
    publish(stage, topic, "한글 <b>text</b>", Subject="⚠️ 경보" + "x" * 94)
    publish(stage, topic)
    with_subject, without = stage.inbox.mails
    assert with_subject.subject == "⚠️ 경보" + "x" * 94
    assert with_subject.text.startswith("한글 <b>text</b>\n\n--\n")
    link = f"{stage.url}/unsubscribe?SubscriptionArn={arn.replace(':', '%3A')}"
    assert link in with_subject.text.splitlines()
    assert b"Trail alarm" in with_subject.path.read_bytes()
    assert without.subject == "AWS Notification Message"


def test_json_mail_carries_the_notification(stage):
    topic = stage.topic()
    confirmed(stage, topic, protocol="email-json")
    publish(stage, topic, "hi")
    assert json.loads(stage.inbox.mails[0].text)["Message"] == "hi"


def test_a_queue_gets_the_notification_aws_sends(stage):
    topic = stage.topic()
    queue = stage.queue("q", SNS, topic)
    arn = subscribe(stage, topic, "sqs", queue)
    given = {"n": {"DataType": "Number", "StringValue": "1"},
             "b": {"DataType": "Binary", "BinaryValue": b"\x00"}}  # fmt: skip
    message_id = publish(stage, topic, "hi", Subject="s", MessageAttributes=given)
    publish(stage, topic, "plain")
    full, plain = (json.loads(one["Body"]) for one in stage.messages(queue))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", full.pop("Timestamp"))
    assert full.pop("Signature")
    assert full.pop("SigningCertURL").startswith(stage.url)
    assert full.pop("UnsubscribeURL").endswith(arn.replace(":", "%3A"))
    assert full == {
        "Type": "Notification", "MessageId": message_id, "TopicArn": topic, "Subject": "s",
        "Message": "hi", "SignatureVersion": "1",
        "MessageAttributes": {"n": {"Type": "Number", "Value": "1"},
                              "b": {"Type": "Binary", "Value": "AA=="}},
    }  # fmt: skip
    assert not {"Subject", "MessageAttributes"} & plain.keys()


def test_raw_delivery_hands_on_message_and_attributes_bare(stage):
    topic = stage.topic()
    queue = stage.queue("q", SNS, topic)
    subscribe(stage, topic, "sqs", queue, Attributes={"RawMessageDelivery": "true"})
    publish(stage, topic, "hi", MessageAttributes={"a": {"DataType": "String", "StringValue": "x"}})
    (got,) = stage.messages(queue)
    assert got["Body"] == "hi"
    assert got["MessageAttributes"]["a"]["StringValue"] == "x"


def test_a_function_gets_all_the_keys_aws_sends(stage):
    topic = stage.topic()
    function = stage.function("import json\ndef handler(e, c): print(json.dumps(e))")
    arn = subscribe(stage, topic, "lambda", function)
    stage.permit("notify", SNS, topic, SourceAccount=ACCOUNT)
    message_id = publish(stage, topic, "hi")
    (record,) = json.loads(stage.logged()[1])["Records"]
    sns = record.pop("Sns")
    assert record == {
        "EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": arn,
    }  # fmt: skip
    assert sns.keys() == {
        "Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion",
        "Signature", "SigningCertUrl", "UnsubscribeUrl", "MessageAttributes",
    }  # fmt: skip
    assert (sns["MessageId"], sns["Subject"], sns["MessageAttributes"]) == (message_id, None, {})


@pytest.mark.parametrize("source", [None, "other"])
def test_a_function_must_let_this_topic_invoke_it(stage, source):
    topic = stage.topic()
    function = stage.function("def handler(e, c): pass")
    subscribe(stage, topic, "lambda", function)
    if source:
        stage.permit("notify", SNS, f"{topic}-{source}")
    publish(stage, topic)
    told = stage.told("topic", ok=False)
    assert "does not let sns.amazonaws.com invoke it" in told[0]
    assert "AWS does not try again" in told[0]
    assert told[1] == "lost for notify: it has no dead-letter queue"
    assert stage.told("function") == []


def test_what_a_subscription_cannot_take_goes_to_its_dead_letter_queue(stage):
    topic = stage.topic()
    letters, queue = stage.queue("letters", SNS, topic), stage.queue("q", SNS, topic + "-other")
    redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": letters})}
    subscribe(stage, topic, "sqs", queue, Attributes=redrive)
    message_id = publish(stage, topic, "hi")
    (letter,) = stage.messages(letters)
    assert json.loads(letter["Body"])["Message"] == "hi"
    said = {name: one["StringValue"] for name, one in letter["MessageAttributes"].items()}
    assert (said["RequestID"], said["ErrorCode"]) == (message_id, "NO_PERMISSIONS")
    assert "policy of queue q does not let sns.amazonaws.com send" in said["ErrorMessage"]


def test_a_closed_dead_letter_queue_loses_the_message(stage):
    topic = stage.topic()
    letters = stage.queue("letters")
    gone = f"arn:aws:sqs:{REGION}:{ACCOUNT}:gone"
    redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": letters})}
    subscribe(stage, topic, "sqs", gone, Attributes=redrive)
    publish(stage, topic)
    assert stage.told("queue", ok=False)[0].startswith("message lost: the policy of queue letters")


def test_a_passing_failure_is_tried_again(fast):
    topic = fast.topic()
    queue = fast.queue("q", SNS, topic)
    subscribe(fast, topic, "sqs", queue)
    fast.faults["send_message"] = [client_error("ServiceUnavailable", 503) for _ in range(6)]
    publish(fast, topic)
    assert len(fast.messages(queue)) == 1
    waits = [re.search(r"again after (\d+) s", told)[1] for told in fast.told("topic", ok=False)]
    assert waits == ["0", "0", "0", "1", "1", "10"]


def test_one_failing_subscription_leaves_the_others_alone(stage):
    topic = stage.topic()
    subscribe(stage, topic, "sqs", stage.queue("closed"))
    subscribe(stage, topic, "sms", "+821012345678")
    confirmed(stage, topic)
    publish(stage, topic, "hi")
    assert [(one.to, one.text) for one in stage.inbox.texts] == [("+821012345678", "hi")]
    assert len(stage.inbox.mails) == 1
    assert len(stage.told("topic", ok=False)) == 2


def test_a_topic_nobody_listens_to_says_so(stage):
    publish(stage, stage.topic())
    assert stage.told("topic", ok=False) == ["published; nobody has subscribed"]


def test_a_structured_message_differs_by_protocol(stage):
    topic = stage.topic()
    confirmed(stage, topic)
    subscribe(stage, topic, "sms", "+821012345678")
    text = json.dumps({"default": "long", "sms": "short"})
    publish(stage, topic, text, MessageStructure="json")
    assert stage.inbox.texts[0].text == "short"
    assert stage.inbox.mails[0].text.startswith("long\n")


def test_a_text_message_may_be_sent_without_a_topic(stage):
    stage.do("sns", "Publish", PhoneNumber="+821012345678", Message="hi")
    assert stage.inbox.texts[0].to == "+821012345678"


def test_a_telephone_that_answered_stop_gets_nothing_until_it_is_opted_in(stage):
    topic, number = stage.topic(), "+821012345678"
    subscribe(stage, topic, "sms", number)
    stage.inbox.stop_texts(number)
    assert stage.do("sns", "CheckIfPhoneNumberIsOptedOut", phoneNumber=number)["isOptedOut"]
    publish(stage, topic, "first")
    stage.do("sns", "Publish", PhoneNumber=number, Message="second")
    assert stage.inbox.texts == ()
    assert stage.told("topic", ok=False) == ["no text message: Phone number is opted out"] * 2
    stage.do("sns", "OptInPhoneNumber", phoneNumber=number)
    assert not stage.do("sns", "CheckIfPhoneNumberIsOptedOut", phoneNumber=number)["isOptedOut"]
    publish(stage, topic, "third")
    assert [one.text for one in stage.inbox.texts] == ["third"]


def test_a_topic_may_be_the_target_arn(stage):
    topic = stage.topic()
    subscribe(stage, topic, "sms", "+821012345678")
    stage.do("sns", "Publish", TargetArn=topic, Message="hi")
    assert stage.delivery.idle()
    assert len(stage.inbox.texts) == 1


STRING = {"DataType": "String", "StringValue": "red"}


@pytest.mark.parametrize(
    ("policy", "scope", "given", "passes"),
    [
        ({"c": ["red"]}, None, {"c": STRING}, True),
        ({"c": ["blue"]}, None, {"c": STRING}, False),
        ({"c": ["red"]}, None, {}, False),
        ({"c": [{"exists": False}]}, None, {}, True),
        ({"n": [{"numeric": [">", 1]}]}, None,
         {"n": {"DataType": "Number", "StringValue": "2"}}, True),
        ({"l": ["b"]}, None,
         {"l": {"DataType": "String.Array", "StringValue": '["a", "b"]'}}, True),
        ({"z": [{"exists": True}]}, None,
         {"z": {"DataType": "Binary", "BinaryValue": b"1"}}, False),
        ({"detail": {"eventName": [{"prefix": "Stop"}]}}, "MessageBody",
         '{"detail": {"eventName": "StopLogging"}}', True),
        ({"detail": {"eventName": ["DeleteTrail"]}}, "MessageBody",
         '{"detail": {"eventName": "StopLogging"}}', False),
        ({"a": ["b"]}, "MessageBody", "no JSON", False),
        ({"a": ["b"]}, "MessageBody", "[]", False),
    ],
)  # fmt: skip
def test_filter_policies(stage, policy, scope, given, passes):
    topic = stage.topic()
    settings = {
        "FilterPolicy": json.dumps(policy),
        **({"FilterPolicyScope": scope} if scope else {}),
    }
    subscribe(stage, topic, "sms", "+821012345678", Attributes=settings)
    published = {"message": given} if scope else {"MessageAttributes": given}
    publish(stage, topic, **published)
    assert bool(stage.inbox.texts) is passes
    assert stage.told("topic", ok=False) == (
        [] if passes else ["sms +821012345678: its filter policy held it back"]
    )


def test_a_filter_policy_can_be_taken_away(stage):
    topic = stage.topic()
    arn = subscribe(
        stage, topic, "sms", "+821012345678", Attributes={"FilterPolicy": '{"a": ["b"]}'}
    )
    stage.do("sns", "SetSubscriptionAttributes", SubscriptionArn=arn, AttributeName="FilterPolicy",
             AttributeValue="")  # fmt: skip
    publish(stage, topic)
    assert len(stage.inbox.texts) == 1


# PublishBatch


def entries(*texts):
    return [{"Id": str(n), "Message": text} for n, text in enumerate(texts)]


def test_a_batch_succeeds_and_fails_entry_by_entry(stage):
    topic = stage.topic()
    subscribe(stage, topic, "sms", "+821012345678")
    answer = stage.do("sns", "PublishBatch", TopicArn=topic,
                      PublishBatchRequestEntries=entries("one", ""))  # fmt: skip
    assert stage.delivery.idle()
    assert [one["Id"] for one in answer["Successful"]] == ["0"]
    assert answer["Failed"] == [
        {"Id": "1", "Code": "InvalidParameter", "Message": "Invalid parameter: Empty message",
         "SenderFault": True}
    ]  # fmt: skip
    assert [one.text for one in stage.inbox.texts] == ["one"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([], "EmptyBatchRequest"),
        (entries(*"x" * 11), "TooManyEntriesInBatchRequest"),
        (entries("x") * 2, "BatchEntryIdsNotDistinct"),
        (entries("x" * 200000, "x" * 100000), "BatchRequestTooLong"),
    ],
)
def test_a_batch_as_a_whole_can_be_refused(stage, given, code):
    topic = stage.topic()
    assert (
        refusal(stage, "PublishBatch", TopicArn=topic, PublishBatchRequestEntries=given)[0] == code
    )


def test_a_topic_policy_grant_is_not_needed_by_its_owner(stage):
    topic = stage.topic(policy=grant(SNS, "sns:Publish", "*"))
    subscribe(stage, topic, "sms", "+821012345678")
    publish(stage, topic)
    assert len(stage.inbox.texts) == 1


def test_nobody_publishes_to_a_topic_whose_key_cannot_be_used(stage):
    key = stage.do("kms", "CreateKey")["KeyMetadata"]["KeyId"]
    topic = stage.topic()
    stage.set_topic(topic, KmsMasterKeyId=key)
    publish(stage, topic)
    stage.do("kms", "DisableKey", KeyId=key)
    assert refusal(stage, "Publish", TopicArn=topic, Message="x")[0] == "KMSDisabled"
    stage.rule(topic)
    stage.deliver()
    assert "the key of alarm is Disabled" in stage.told("rule", ok=False)[0]
    stage.do("kms", "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    assert refusal(stage, "Publish", TopicArn=topic, Message="x")[0] == "KMSInvalidState"
    stage.set_topic(topic, KmsMasterKeyId="0a0b0c0d-0e0f-4a4b-8c8d-0123456789ab")
    assert refusal(stage, "Publish", TopicArn=topic, Message="x")[0] == "KMSNotFound"
