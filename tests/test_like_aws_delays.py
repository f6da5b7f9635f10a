"""Each delay of the sandbox that is like AWS is there, is AWS's own refusal, and ends by itself."""

import io
import json
import zipfile
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from sandbox_stand_ins import bucket_policy, client, refused

from ctwatch.clock import LeapingClock
from ctwatch.sandbox import slowness
from ctwatch.sandbox.calls import Call, Refusal
from ctwatch.sandbox.server import Sandbox

SEOUL = {"CreateBucketConfiguration": {"LocationConstraint": "ap-northeast-2"}}


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(clock=LeapingClock(), like_aws=True) as sandbox:
        yield sandbox


@pytest.fixture
def aws(running: Sandbox):
    """Makes clients that try nothing a second time."""
    running.reset()
    running.clock.sleep(60)
    return lambda service: client(running, service)


def later(running: Sandbox, lag: slowness.Lag) -> None:
    running.clock.sleep(lag.most)


def told(running: Sandbox) -> list[str]:
    return [hop.text.partition(":")[0] for hop in running.story if hop.stage == "delay"]


def make_role(aws, name="new"):
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    services = ["lambda.amazonaws.com", "events.amazonaws.com"]
    document = {
        "Version": "2012-10-17",
        "Statement": [{**trust, "Principal": {"Service": services}}],
    }
    made = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
    return made["Role"]["Arn"]


def function(role):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("code.py", "def handler(event, context): pass")
    code = {"ZipFile": held.getvalue()}
    settings = {"Runtime": "python3.13", "Handler": "code.handler", "Role": role}
    return {"FunctionName": "new", "Code": code, **settings}


def test_a_new_role_cannot_be_assumed_by_lambda_or_eventbridge_for_some_seconds(running, aws):
    role, functions, events = make_role(aws), aws("lambda"), aws("events")
    assert refused(functions.create_function, **function(role)) == (
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
    )
    events.put_rule(Name="new", EventPattern='{"source": ["aws.s3"]}')
    bus = "arn:aws:events:us-east-1:123456789012:event-bus/default"
    target = {"Rule": "new", "Targets": [{"Id": "far", "Arn": bus, "RoleArn": role}]}
    code, said = refused(events.put_targets, **target)
    assert code == "ValidationException"
    assert "cannot be assumed by principal 'events.amazonaws.com'" in said
    later(running, slowness.ROLE)
    functions.create_function(**function(role))
    assert events.put_targets(**target)["FailedEntryCount"] == 0
    assert told(running).count("role not assumable yet") == 1


def test_a_role_is_read_late_and_so_is_that_it_is_gone(running, aws):
    make_role(aws)
    iam = aws("iam")
    assert refused(iam.get_role, RoleName="new")[0] == "NoSuchEntity"
    later(running, slowness.ROLE_READ)
    iam.get_role(RoleName="new")
    iam.put_role_policy(RoleName="new", PolicyName="p", PolicyDocument=json.dumps(ALLOW))
    policy = {"RoleName": "new", "PolicyName": "p"}
    assert refused(iam.get_role_policy, **policy)[0] == "NoSuchEntity"
    assert iam.list_role_policies(RoleName="new")["PolicyNames"] == []
    later(running, slowness.ROLE_READ)
    assert iam.get_role_policy(**policy)["PolicyDocument"] == ALLOW
    iam.delete_role_policy(**policy)
    iam.delete_role(RoleName="new")
    shown = iam.get_role(RoleName="new")["Role"]
    assert shown["AssumeRolePolicyDocument"]["Version"] == "2012-10-17"
    later(running, slowness.ROLE_READ)
    assert refused(iam.get_role, RoleName="new")[0] == "NoSuchEntity"


ALLOW = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}],
}


def test_what_a_role_may_is_in_force_late(running, aws):
    role, functions = make_role(aws), aws("lambda")
    later(running, slowness.ROLE)
    functions.create_function(**function(role))
    later(running, slowness.PENDING)
    url = aws("sqs").create_queue(QueueName="dead")["QueueUrl"]
    later(running, slowness.QUEUE)
    asked = {"QueueUrl": url, "AttributeNames": ["QueueArn"]}
    arn = aws("sqs").get_queue_attributes(**asked)["Attributes"]["QueueArn"]
    aws("iam").put_role_policy(RoleName="new", PolicyName="p", PolicyDocument=json.dumps(ALLOW))
    invoke = {"FunctionName": "new", "DestinationConfig": {"OnFailure": {"Destination": arn}}}
    code, said = refused(functions.put_function_event_invoke_config, **invoke)
    assert (code, "role" in said) == ("InvalidParameterValueException", True)
    later(running, slowness.ROLE_POLICY)
    functions.put_function_event_invoke_config(**invoke)


def test_a_function_is_pending_and_an_update_in_progress_and_neither_is_changed(running, aws):
    role, functions = make_role(aws), aws("lambda")
    later(running, slowness.ROLE)
    made = functions.create_function(**function(role))
    assert (made["State"], made["LastUpdateStatus"]) == ("Pending", "InProgress")
    more = {"FunctionName": "new", "Timeout": 9}
    code, said = refused(functions.update_function_configuration, **more)
    assert (code, said[-7:]) == ("ResourceConflictException", "Pending")
    later(running, slowness.PENDING)
    functions.update_function_configuration(**more)
    shown = functions.get_function(FunctionName="new")["Configuration"]
    assert (shown["State"], shown["LastUpdateStatus"]) == ("Active", "InProgress")
    code, said = refused(functions.delete_function, FunctionName="new")
    assert code == "ResourceConflictException"
    assert "An update is in progress" in said
    later(running, slowness.UPDATING)
    shown = functions.get_function_configuration(FunctionName="new")
    assert shown["LastUpdateStatus"] == "Successful"
    functions.delete_function(FunctionName="new")


def test_a_new_bucket_and_its_policy_are_seen_late(running, aws):
    s3, trails = aws("s3"), aws("cloudtrail")
    s3.create_bucket(Bucket="logs-of-ours", **SEOUL)
    policy = {"Bucket": "logs-of-ours", "Policy": bucket_policy("logs-of-ours", "watched")}
    assert refused(s3.put_bucket_policy, **policy)[0] == "NoSuchBucket"
    trail = {"Name": "watched", "S3BucketName": "logs-of-ours"}
    assert refused(trails.create_trail, **trail)[0] == "S3BucketDoesNotExistException"
    later(running, slowness.BUCKET)
    s3.put_bucket_policy(**policy)
    assert refused(trails.create_trail, **trail) == (
        "InsufficientS3BucketPolicyException",
        "Incorrect S3 bucket policy is detected for bucket: logs-of-ours",
    )
    later(running, slowness.BUCKET_POLICY)
    trails.create_trail(**trail)


def test_the_name_of_a_deleted_bucket_is_not_free_at_once(running, aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket="logs-of-ours", **SEOUL)
    s3.delete_bucket(Bucket="logs-of-ours")
    assert refused(s3.create_bucket, Bucket="logs-of-ours", **SEOUL)[0] == "OperationAborted"
    later(running, slowness.BUCKET_GONE)
    s3.create_bucket(Bucket="logs-of-ours", **SEOUL)


def call_of(running: Sandbox, service: str, operation: str, **params) -> Call:
    own = running._own_call(service, operation, running.region, params)
    assert isinstance(own, Call)
    return own


def test_a_bucket_takes_one_change_at_a_time(running, aws):
    del aws
    call = call_of(running, "s3", "PutBucketVersioning", Bucket="busy")
    other = call_of(running, "s3", "PutBucketVersioning", Bucket="idle")
    slow = running.slowness

    def meanwhile():
        assert slow.answer(other, lambda: {"done": True}, running._ask) == {"done": True}
        with pytest.raises(Refusal, match="OperationAborted"):
            slow.answer(call, dict, running._ask)
        return {"done": True}

    assert slow.answer(call, meanwhile, running._ask) == {"done": True}
    assert slow.answer(call, lambda: {"again": True}, running._ask) == {"again": True}


def make_trail(running, aws, name="watched"):
    s3, trails = aws("s3"), aws("cloudtrail")
    s3.create_bucket(Bucket=f"{name}-logs", **SEOUL)
    later(running, slowness.BUCKET)
    s3.put_bucket_policy(Bucket=f"{name}-logs", Policy=bucket_policy(f"{name}-logs", name))
    later(running, slowness.BUCKET_POLICY)
    trails.create_trail(Name=name, S3BucketName=f"{name}-logs")
    return trails


def test_a_trail_is_read_late_and_so_is_that_it_logs(running, aws):
    trails = make_trail(running, aws)
    for look in (trails.get_trail, trails.get_trail_status):
        assert refused(look, Name="watched")[0] == "TrailNotFoundException"
    assert trails.describe_trails()["trailList"] == []
    running.clock.sleep(10)
    assert trails.get_trail(Name="watched")["Trail"]["Name"] == "watched"
    trails.start_logging(Name="watched")
    assert not trails.get_trail_status(Name="watched")["IsLogging"]
    later(running, slowness.TRAIL_READ)
    assert trails.get_trail_status(Name="watched")["IsLogging"]


def test_some_trails_take_their_time_to_be_loaded(running, aws):
    names = [f"trail-{number}" for number in range(20)]
    slow = [one for one in names if running.slowness._loads_slowly(f"ap-northeast-2 {one}")]
    assert 0 < len(slow) < len(names)
    trails = make_trail(running, aws, slow[0])
    running.clock.sleep(1)  # the rate
    assert refused(trails.start_logging, Name=slow[0])[0] == "ConflictException"
    later(running, slowness.LOADING)
    trails.start_logging(Name=slow[0])


@pytest.mark.parametrize(
    ("most", "call"),
    [
        (1, lambda trails: trails.stop_logging(Name="absent")),
        (2, lambda trails: trails.lookup_events()),
        (10, lambda trails: trails.describe_trails()),
    ],
    ids=["writes", "lookups", "reads"],
)
def test_cloudtrail_takes_so_many_calls_a_second(running, aws, most, call):
    trails = aws("cloudtrail")

    def code() -> str:
        try:
            call(trails)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return ""

    running.clock.begin()  # time stands nearly still: a slow machine must not spread the calls
    codes = [code() for _ in range(most + 1)]
    running.clock.end()
    assert "ThrottlingException" not in codes[:most]
    assert codes[most] == "ThrottlingException"
    running.clock.sleep(1)
    assert code() != "ThrottlingException"
    elsewhere = client(running, "cloudtrail", "us-east-1")
    call(elsewhere) if most > 1 else refused(elsewhere.stop_logging, Name="absent")


def test_a_rule_s_targets_are_gone_late(running, aws):
    events = aws("events")
    events.put_rule(Name="new", EventPattern='{"source": ["aws.s3"]}')
    queue = "arn:aws:sqs:ap-northeast-2:123456789012:q"
    events.put_targets(Rule="new", Targets=[{"Id": "1", "Arn": queue}])
    later(running, slowness.TARGETS)
    events.remove_targets(Rule="new", Ids=["1"])
    assert len(events.list_targets_by_rule(Rule="new")["Targets"]) == 1
    assert refused(events.delete_rule, Name="new") == (
        "ValidationException",
        "Rule can't be deleted since it has targets.",
    )
    later(running, slowness.TARGETS)
    assert events.list_targets_by_rule(Rule="new")["Targets"] == []
    events.delete_rule(Name="new")


def test_a_queue_is_seen_late_and_shown_when_it_is_gone_and_its_name_kept_a_minute(running, aws):
    sqs = aws("sqs")
    sqs.create_queue(QueueName="new")
    absent = "AWS.SimpleQueueService.NonExistentQueue"
    assert refused(sqs.get_queue_url, QueueName="new")[0] == absent
    later(running, slowness.QUEUE)
    url = sqs.get_queue_url(QueueName="new")["QueueUrl"]
    shown = {"QueueUrl": url, "AttributeNames": ["All"]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "7"})
    assert sqs.get_queue_attributes(**shown)["Attributes"]["DelaySeconds"] == "0"
    later(running, slowness.QUEUE_READ)
    assert sqs.get_queue_attributes(**shown)["Attributes"]["DelaySeconds"] == "7"
    sqs.delete_queue(QueueUrl=url)
    sqs.get_queue_attributes(**shown)
    assert "QueueDeletedRecently" in refused(sqs.create_queue, QueueName="new")[0]
    later(running, slowness.QUEUE_GONE)
    assert refused(sqs.get_queue_attributes, **shown)[0] == absent
    assert "QueueDeletedRecently" in refused(sqs.create_queue, QueueName="new")[0]
    running.clock.sleep(60 - slowness.QUEUE_GONE.most)
    sqs.create_queue(QueueName="new")


def test_a_topic_and_its_subscriptions_are_seen_late(running, aws):
    sns = aws("sns")
    arn = sns.create_topic(Name="new")["TopicArn"]
    assert refused(sns.get_topic_attributes, TopicArn=arn)[0] == "NotFound"
    later(running, slowness.TOPIC_READ)
    named = {"TopicArn": arn, "AttributeName": "DisplayName"}
    sns.set_topic_attributes(**named, AttributeValue="alarm")
    assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"] == ""
    sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="a@example.com")
    assert sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"] == []
    later(running, slowness.LISTING)
    assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"] == "alarm"
    assert len(sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]) == 1
    sns.delete_topic(TopicArn=arn)
    assert refused(sns.create_topic, Name="new")[0] == "StaleTag"
    later(running, slowness.TOPIC_GONE)
    sns.create_topic(Name="new")


def test_a_log_group_and_a_parameter_are_read_late(running, aws):
    logs, ssm = aws("logs"), aws("ssm")
    logs.create_log_group(logGroupName="/aws/lambda/new")
    listed = {"logGroupNamePrefix": "/aws/lambda/new"}
    assert logs.describe_log_groups(**listed)["logGroups"] == []
    later(running, slowness.LOG_GROUP)
    assert len(logs.describe_log_groups(**listed)["logGroups"]) == 1
    for before, after in ((None, "one"), ("one", "two")):
        given = {"Name": "/a/b", "Value": after, "Type": "SecureString"}
        ssm.put_parameter(**given, Overwrite=before is not None)
        if before:
            assert (
                ssm.get_parameter(Name="/a/b", WithDecryption=True)["Parameter"]["Value"] == before
            )
        else:
            assert refused(ssm.get_parameter, Name="/a/b")[0] == "ParameterNotFound"
        later(running, slowness.PARAMETER)
        shown = ssm.get_parameter(Name="/a/b", WithDecryption=True)["Parameter"]["Value"]
        assert shown == after


def test_a_rule_is_in_force_late(running, aws):
    events = aws("events")
    events.put_rule(Name="new", EventPattern='{"source": ["aws.s3"]}')

    def states():
        in_force = running.slowness.rules(running.account, running.region, "default")
        return [one["State"] for one in in_force]

    assert states() == []
    later(running, slowness.RULE)
    assert states() == ["ENABLED"]
    events.disable_rule(Name="new")
    assert states() == ["ENABLED"]
    later(running, slowness.RULE)
    assert states() == ["DISABLED"]


def test_an_event_comes_late_sometimes_twice_and_rarely_never(running, aws):
    del aws
    slow = running.slowness
    events = [{"detail-type": "x", "detail": {"eventName": "StopLogging"}}] * 2000
    came = [slow.travels(event) for event in events]
    often = [len(after) for after in came]
    assert often.count(0) < 10
    assert 40 < often.count(2) < 200
    assert all(0.5 <= after[0] <= 8 and after == sorted(after) for after in came if after)
    assert len({after[0] for after in came if after}) > 1000


def test_a_seed_decides_every_delay(running):
    one, same, other = (slowness.Slowness(running, seed) for seed in (1, 1, 2))
    event = {"detail-type": "x", "detail": {"eventName": "StopLogging"}}
    assert one.travels(event) == same.travels(event) != other.travels(event)
    assert one._drawn(slowness.ROLE, "r") == same._drawn(slowness.ROLE, "r")


def test_nothing_of_it_is_there_unless_it_is_asked_for():
    assert Sandbox().slowness is None
