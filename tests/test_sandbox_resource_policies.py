"""What the policies of buckets, topics, queues and buses forbid, to callers and to services."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from delivery_world import EVENTS, Stage, stage
from sandbox_stand_ins import ACCOUNT, SEOUL, bucket_policy, code, refused
from shared_clients import by_hand

from ctwatch.sandbox.identities import ROOT_KEY
from ctwatch.sandbox.server import Sandbox

Ask = Callable[..., Any]
"""A client by service and region."""

__all__ = ["stage"]  # a fixture

CALLER = f"arn:aws:iam::{ACCOUNT}:user/sandbox"
BUCKET = "arn:aws:s3:::our-logs"


@pytest.fixture(scope="module")
def reach(running: Sandbox) -> Ask:
    return by_hand(running)


@pytest.fixture
def ask(running: Sandbox, reach: Ask) -> Ask:
    """Clients of an empty account."""
    running.reset()
    return reach


def deny(action: Any, resource: Any, **changes: Any) -> dict[str, Any]:
    said = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource}
    return {key: value for key, value in {**said, **changes}.items() if value is not None}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def not_authorized(action: str, resource: str) -> str:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html."""
    return (
        f"User: {CALLER} is not authorized to perform: {action} on resource: {resource} "
        "with an explicit deny in a resource-based policy"
    )


# Buckets


@pytest.fixture
def bucket(ask: Ask) -> str:
    """A bucket in which one object lies."""
    place = {"LocationConstraint": SEOUL}
    ask("s3").create_bucket(Bucket="our-logs", CreateBucketConfiguration=place)
    ask("s3").put_object(Bucket="our-logs", Key="kept/log", Body=b"log")
    return "our-logs"


def close(ask: Ask, *statements: dict[str, Any]) -> None:
    ask("s3").put_bucket_policy(Bucket="our-logs", Policy=document(*statements))


def test_a_caller_is_refused_what_the_bucket_denies_him(ask: Ask, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html."""
    close(ask, deny("s3:GetObject", f"{BUCKET}/*"))
    assert refused(ask("s3").get_object, Bucket=bucket, Key="kept/log") == (
        "AccessDenied",
        not_authorized("s3:GetObject", f'"{BUCKET}/kept/log"'),
    )
    ask("s3").delete_bucket_policy(Bucket=bucket)
    assert ask("s3").get_object(Bucket=bucket, Key="kept/log")["Body"].read() == b"log"


@pytest.mark.parametrize(
    ("changes", "denied"),
    [
        ({"Principal": {"AWS": CALLER}}, True),
        ({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}, True),
        ({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/eve"}}, False),
        ({"Principal": {"Service": "cloudtrail.amazonaws.com"}}, False),
        ({"Principal": None, "NotPrincipal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/eve"}}, True),
        ({"Principal": None, "NotPrincipal": {"AWS": CALLER}}, False),
        ({"Action": "s3:Get*"}, True),
        ({"Action": "s3:GetObjectVersion"}, False),
        ({"Action": None, "NotAction": "s3:PutObject"}, True),
        ({"Action": None, "NotAction": "s3:GetObject"}, False),
        ({"Resource": f"{BUCKET}/kept/?og"}, True),
        ({"Resource": BUCKET}, False),
        ({"Resource": None, "NotResource": f"{BUCKET}/other/*"}, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": "false"}}}, False),
        ({"Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/eve"}}}, True),
        ({"Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/s*"}}}, False),
        ({"Condition": {"StringEquals": {"aws:username": "sandbox"}}}, True),
        ({"Condition": {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}}, False),
        ({"Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, True),
    ],
)
def test_a_deny_is_evaluated_whole(
    ask: Ask, bucket: str, changes: dict[str, Any], denied: bool
) -> None:
    close(ask, deny("s3:GetObject", f"{BUCKET}/*", **changes))
    asked = {"Bucket": bucket, "Key": "kept/log"}
    if denied:
        assert code(ask("s3").get_object, **asked) == "AccessDenied"
    else:
        assert ask("s3").get_object(**asked)["Body"].read() == b"log"


def test_a_session_is_known_by_its_role(ask: Ask, bucket: str) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    made = ask("iam").create_role(RoleName="runner", AssumeRolePolicyDocument=document(trust))
    role = made["Role"]["Arn"]
    may = document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    ask("iam").put_role_policy(RoleName="runner", PolicyName="all", PolicyDocument=may)
    lent = ask("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    session = ask("s3", SEOUL, lent["AccessKeyId"])
    close(ask, deny("s3:DeleteObject", f"{BUCKET}/*", Principal={"AWS": role}))
    assert code(session.delete_object, Bucket=bucket, Key="kept/log") == "AccessDenied"
    ask("s3").delete_object(Bucket=bucket, Key="kept/log")


def test_of_several_objects_those_that_are_denied_stay(ask: Ask, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html."""
    ask("s3").put_object(Bucket=bucket, Key="other", Body=b"")
    close(ask, deny("s3:DeleteObject", f"{BUCKET}/kept/*"))
    both = {"Objects": [{"Key": "kept/log"}, {"Key": "other"}]}
    told = ask("s3").delete_objects(Bucket=bucket, Delete=both)
    assert [one["Key"] for one in told["Deleted"]] == ["other"]
    assert [(one["Key"], one["Code"]) for one in told["Errors"]] == [("kept/log", "AccessDenied")]


def test_the_root_user_is_not_locked_out_of_the_policy_itself(ask: Ask, bucket: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html."""
    close(ask, deny("s3:*", [BUCKET, f"{BUCKET}/*"]))
    assert code(ask("s3").delete_bucket_policy, Bucket=bucket) == "AccessDenied"
    root = ask("s3", SEOUL, ROOT_KEY)
    assert code(root.get_object, Bucket=bucket, Key="kept/log") == "AccessDenied"
    assert code(root.list_objects_v2, Bucket=bucket) == "AccessDenied"
    root.get_bucket_policy(Bucket=bucket)
    root.delete_bucket_policy(Bucket=bucket)
    assert ask("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_a_denial_is_recorded(ask: Ask, bucket: str) -> None:
    close(ask, deny("s3:PutBucketVersioning", BUCKET))
    wanted = {"Bucket": bucket, "VersioningConfiguration": {"Status": "Suspended"}}
    assert code(ask("s3").put_bucket_versioning, **wanted) == "AccessDenied"
    asked = [{"AttributeKey": "EventName", "AttributeValue": "PutBucketVersioning"}]
    [event] = ask("cloudtrail").lookup_events(LookupAttributes=asked)["Events"]
    assert json.loads(event["CloudTrailEvent"])["errorCode"] == "AccessDenied"


# Topics, queues, buses


def test_a_caller_is_refused_what_the_topic_denies_him(ask: Ask) -> None:
    """https://docs.aws.amazon.com/sns/latest/api/API_Publish.html."""
    arn = ask("sns").create_topic(Name="alerts")["TopicArn"]
    policy = {"AttributeName": "Policy", "AttributeValue": document(deny("sns:Publish", arn))}
    ask("sns").set_topic_attributes(TopicArn=arn, **policy)
    assert refused(ask("sns").publish, TopicArn=arn, Message="hello") == (
        "AuthorizationError",
        not_authorized("sns:Publish", arn),
    )
    ask("sns").get_topic_attributes(TopicArn=arn)


def test_a_caller_is_refused_what_the_queue_denies_him(ask: Ask) -> None:
    arn = f"arn:aws:sqs:{SEOUL}:{ACCOUNT}:letters"
    policy = {"Policy": document(deny("sqs:ReceiveMessage", arn))}
    url = ask("sqs").create_queue(QueueName="letters", Attributes=policy)["QueueUrl"]
    why, message = refused(ask("sqs").receive_message, QueueUrl=url)
    assert why.endswith("AccessDenied")
    assert message == not_authorized("sqs:receivemessage", arn)
    ask("sqs").send_message(QueueUrl=url, MessageBody="hello")


def test_a_caller_is_refused_what_the_bus_denies_him(ask: Ask) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html."""
    arn = f"arn:aws:events:{SEOUL}:{ACCOUNT}:event-bus/default"
    ask("events").put_permission(Policy=document(deny("events:PutEvents", arn, Sid="closed")))
    entry = {"Source": "ours", "DetailType": "Test", "Detail": "{}"}
    assert refused(ask("events").put_events, Entries=[entry]) == (
        "AccessDeniedException",
        not_authorized("events:PutEvents", arn),
    )
    ask("events").list_rules()


# Services that come with a role

FAILING = "def handler(event, context): raise ValueError('no')"


def closed(stage: Stage, kind: str) -> str:
    """A topic or a queue that lets everybody in but a role called "runner"."""
    arn = stage.topic() if kind == "sns" else stage.queue("closed")
    action = {"sns": "sns:Publish", "sqs": "sqs:SendMessage"}[kind]
    who = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/runner"}
    policy = document(deny(action, arn, Sid="closed", Principal=who))
    if kind == "sns":
        stage.set_topic(arn, Policy=policy)
    else:
        url = stage.do("sqs", "GetQueueUrl", QueueName="closed")["QueueUrl"]
        stage.do("sqs", "SetQueueAttributes", QueueUrl=url, Attributes={"Policy": policy})
    return arn


@pytest.mark.parametrize("kind", ["sns", "sqs"])
def test_a_target_s_policy_takes_the_right_from_its_role(stage: Stage, kind: str) -> None:
    arn = closed(stage, kind)
    role = stage.role("runner", (["sns:Publish", "sqs:SendMessage"], "*"), trusted=EVENTS)
    letters = stage.queue("letters", EVENTS)
    stage.rule({"Arn": arn, "RoleArn": role, "DeadLetterConfig": {"Arn": letters}})
    stage.deliver()
    [kept] = stage.messages(letters)
    assert kept["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert 'refuses it: statement "closed" denies' in stage.told("rule", ok=False)[0]


@pytest.mark.parametrize("kind", ["sns", "sqs"])
def test_a_destination_s_policy_takes_the_right_from_the_function_s_role(
    stage: Stage,
    kind: str,
) -> None:
    arn = closed(stage, kind)
    role = stage.role("runner", (["logs:*", "sns:Publish", "sqs:SendMessage"], "*"))
    stage.function(FAILING, role=role)
    settings = {"MaximumRetryAttempts": 0, "DestinationConfig": {"OnFailure": {"Destination": arn}}}
    stage.do("lambda", "PutFunctionEventInvokeConfig", FunctionName="notify", **settings)
    stage.invoke(InvocationType="Event")
    assert stage.delivery.idle(10)
    assert (
        'its policy forbids it: statement "closed" denies' in stage.told("function", ok=False)[-1]
    )


# CloudTrail, when it delivers


@pytest.fixture
def trail(ask: Ask, bucket: str) -> str:
    """A trail that logs, and has a record to deliver."""
    ask("s3").put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket, "watched"))
    wanted = {"S3BucketName": bucket, "EnableLogFileValidation": True}
    ask("cloudtrail").create_trail(Name="watched", **wanted)
    ask("cloudtrail").start_logging(Name="watched")
    ask("sns").create_topic(Name="recorded")
    return "watched"


def status(ask: Ask, trail: str) -> tuple[str | None, str | None]:
    told = ask("cloudtrail").get_trail_status(Name=trail)
    return told.get("LatestDeliveryError"), told.get("LatestDigestDeliveryError")


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("*", ("AccessDenied", "AccessDenied")),
        (f"AWSLogs/{ACCOUNT}/CloudTrail/*", ("AccessDenied", None)),
        (f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/*", (None, "AccessDenied")),
    ],
)
def test_what_the_bucket_denies_cloudtrail_waits_and_is_told(
    ask: Ask, running: Sandbox, trail: str, folder: str, expected: tuple[str | None, str | None]
) -> None:
    """https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetTrailStatus.html."""
    policy = json.loads(bucket_policy("our-logs", "watched"))
    open_to_cloudtrail = policy["Statement"]
    close(ask, *open_to_cloudtrail, deny("s3:PutObject", f"{BUCKET}/{folder}"))
    assert status(ask, trail) == (None, None)
    now = running.clock.now()
    running.deliver_logs(now, [SEOUL])
    assert status(ask, trail) == expected
    close(ask, *open_to_cloudtrail)
    running.deliver_logs(now + timedelta(hours=1), [SEOUL])
    assert status(ask, trail) == (None, None)
    logs = ask("s3").list_objects_v2(Bucket="our-logs", Prefix=f"AWSLogs/{ACCOUNT}/CloudTrail/")
    assert logs["KeyCount"] >= 1


@pytest.mark.parametrize("changes", [{}, {"Condition": {"StringEquals": {"aws:SourceAccount": 1}}}])
def test_a_topic_hears_of_each_log_file_as_far_as_its_policy_lets_cloudtrail(
    ask: Ask, running: Sandbox, trail: str, changes: dict[str, Any]
) -> None:
    """https://docs.aws.amazon.com/awscloudtrail/latest/userguide/configure-sns-notifications-for-cloudtrail.html."""
    topic = ask("sns").create_topic(Name="deliveries")["TopicArn"]
    grant = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}}
    grant |= {"Action": "sns:Publish", "Resource": topic}

    def put(more: dict[str, Any]) -> None:
        policy = {"AttributeName": "Policy", "AttributeValue": document({**grant, **more})}
        ask("sns").set_topic_attributes(TopicArn=topic, **policy)

    put({})
    ask("cloudtrail").update_trail(Name=trail, SnsTopicName="deliveries")
    ask("sns").subscribe(TopicArn=topic, Protocol="sms", Endpoint="+821012345678")
    put(changes)
    now = running.clock.now()
    first = running.deliver_logs(now, [SEOUL])
    assert running.idle()
    told = ask("cloudtrail").get_trail_status(Name=trail)
    heard = [json.loads(one.text) for one in running.inbox.texts]
    expected = [] if changes else [{"s3Bucket": "our-logs", "s3ObjectKey": first[:1]}]
    assert heard == expected
    assert told.get("LatestNotificationError") == ("AuthorizationError" if changes else None)
    put({})
    running.deliver_logs(now + timedelta(hours=1), [SEOUL])
    assert "LatestNotificationError" not in ask("cloudtrail").get_trail_status(Name=trail)


def test_a_bucket_that_is_gone_is_told(ask: Ask, running: Sandbox, trail: str) -> None:
    ask("s3").delete_object(Bucket="our-logs", Key="kept/log")
    ask("s3").delete_bucket(Bucket="our-logs")
    assert running.deliver_logs(regions=[SEOUL]) == []
    assert status(ask, trail) == ("NoSuchBucket", "NoSuchBucket")
