"""The calls that a tool like ctwatch may need, group by group: each that it makes works here.

`CALLS` tells of each group the IAM actions that it takes, and what tries it on the sandbox with
boto3; a group of which ctwatch makes none of the calls has nothing that tries it. `UNUSED` are the
actions that ctwatch makes no use of. That both are so is asked of what `ctwatch policy` prints,
which has every action that the code declares, and no other: `test_policy` sees each of them used.
"""

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import pytest
import test_policy
import test_sandbox_strictness as strictness
from delivery_world import zipped
from sandbox_stand_ins import ACCOUNT, SEOUL, VIRGINIA, bucket_policy
from shared_clients import by_hand

from ctwatch.blows import On
from ctwatch.policy import policy
from ctwatch.sandbox.server import Sandbox

TAG = {"Key": "ctwatch", "Value": "1"}
PLACE = {"LocationConstraint": SEOUL}
PATTERN = json.dumps({"source": ["ours"]})
LETTERS = f"arn:aws:sqs:{SEOUL}:{ACCOUNT}:letters"
RULE = f"arn:aws:events:{SEOUL}:{ACCOUNT}:rule/ours"
GROUP = f"arn:aws:logs:{SEOUL}:{ACCOUNT}:log-group:/aws/lambda/ours"
FUNCTION = {"FunctionName": "ours"}
MANAGEMENT = {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}


class Things:
    """An account, and in it what the calls are made on, each made when it is first asked for."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.ask = by_hand(sandbox)

    @cached_property
    def bucket(self) -> str:
        self.s3.create_bucket(Bucket="our-logs", CreateBucketConfiguration=PLACE)
        self.s3.put_bucket_policy(Bucket="our-logs", Policy=bucket_policy("our-logs", "watched"))
        return "our-logs"

    @cached_property
    def trail(self) -> str:
        made = self.cloudtrail.create_trail(Name="watched", S3BucketName=self.bucket)
        return str(made["TrailARN"])

    @cached_property
    def topic(self) -> str:
        return str(self.sns.create_topic(Name="alerts", Tags=[TAG])["TopicArn"])

    @cached_property
    def role(self) -> str:
        made = self.iam.create_role(
            RoleName="runner", AssumeRolePolicyDocument=strictness.TRUST, Tags=[TAG]
        )
        return str(made["Role"]["Arn"])

    @cached_property
    def function(self) -> str:
        code = {"ZipFile": zipped(main="def handler(event, context): return event")}
        made = strictness.make_function(self.ask("lambda"), Role=self.role, Code=code)
        return str(made["FunctionArn"])

    @cached_property
    def rule(self) -> str:
        made = self.events.put_rule(Name="ours", EventPattern=PATTERN, Tags=[TAG])
        return str(made["RuleArn"])

    @cached_property
    def queue(self) -> str:
        made = self.sqs.create_queue(QueueName="letters", tags={"ctwatch": "1"})
        return str(made["QueueUrl"])

    @cached_property
    def key(self) -> str:
        return str(self.kms.create_key()["KeyMetadata"]["KeyId"])

    @cached_property
    def group(self) -> str:
        self.logs.create_log_group(logGroupName="/aws/lambda/ours", tags={"ctwatch": "1"})
        return "/aws/lambda/ours"

    def __getattr__(self, service: str) -> Any:
        return self.ask(service)


@pytest.fixture(scope="module")
def things(running: Sandbox) -> Things:
    return Things(running)


# STS, S3


def caller(on: Things) -> bool:
    return on.sts.get_caller_identity()["Account"] == ACCOUNT


def create_bucket(on: Things) -> bool:
    on.ask("s3", VIRGINIA).create_bucket(Bucket="far-bucket")
    return not on.ask("s3", VIRGINIA).list_objects_v2(Bucket="far-bucket")["KeyCount"]


def create_bucket_in_a_region(on: Things) -> bool:
    on.s3.create_bucket(Bucket="near-bucket", CreateBucketConfiguration=PLACE)
    return "near-bucket" in [one["Name"] for one in on.s3.list_buckets()["Buckets"]]


def look_for_bucket(on: Things) -> bool:
    return on.s3.head_bucket(Bucket=on.bucket)["BucketRegion"] == SEOUL


def versioning(on: Things) -> bool:
    on.s3.put_bucket_versioning(Bucket=on.bucket, VersioningConfiguration={"Status": "Enabled"})
    return on.s3.get_bucket_versioning(Bucket=on.bucket)["Status"] == "Enabled"


def kept(kind: str, member: str, wanted: Any) -> "Works":
    """What is put into a bucket under a name is got back under it."""

    def works(on: Things) -> bool:
        getattr(on.s3, f"put_{kind}")(Bucket=on.bucket, **{member: wanted})
        return getattr(on.s3, f"get_{kind}")(Bucket=on.bucket)[member] == wanted

    return works


def kept_policy(on: Things) -> bool:
    wanted = bucket_policy(on.bucket, "watched", "another")
    on.s3.put_bucket_policy(Bucket=on.bucket, Policy=wanted)
    return json.loads(on.s3.get_bucket_policy(Bucket=on.bucket)["Policy"]) == json.loads(wanted)


LIFECYCLE = {
    "ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 400}
}  # fmt: skip


def lifecycle(on: Things) -> bool:
    on.s3.put_bucket_lifecycle_configuration(
        Bucket=on.bucket, LifecycleConfiguration={"Rules": [LIFECYCLE]}
    )
    [rule] = on.s3.get_bucket_lifecycle_configuration(Bucket=on.bucket)["Rules"]
    return rule["Expiration"] == {"Days": 400}


def tagging(on: Things) -> bool:
    on.s3.put_bucket_tagging(Bucket=on.bucket, Tagging={"TagSet": [TAG]})
    return on.s3.get_bucket_tagging(Bucket=on.bucket)["TagSet"] == [TAG]


def object_lock(on: Things) -> bool:
    locked = {"ObjectLockEnabledForBucket": True, "CreateBucketConfiguration": PLACE}
    on.s3.create_bucket(Bucket="locked-bucket", **locked)
    told = on.s3.get_object_lock_configuration(Bucket="locked-bucket")
    return told["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"


def clear_bucket(on: Things) -> bool:
    which = {"Bucket": "full-bucket"}
    on.s3.create_bucket(**which, CreateBucketConfiguration=PLACE)
    on.s3.put_bucket_versioning(**which, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        on.s3.put_object(**which, Key="log", Body=b"")
    found = on.s3.list_object_versions(**which)["Versions"]
    objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
    on.s3.delete_objects(**which, Delete={"Objects": objects})
    on.s3.delete_bucket(**which)
    return len(found) == 2


# KMS


def create_key(on: Things) -> bool:
    everything = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:*"}
    wanted = {"Version": "2012-10-17", "Statement": [{**everything, "Resource": "*"}]}
    made = on.kms.create_key(Policy=json.dumps(wanted))["KeyMetadata"]
    told = on.kms.get_key_policy(KeyId=made["KeyId"], PolicyName="default")["Policy"]
    on.kms.put_key_policy(KeyId=made["KeyId"], PolicyName="default", Policy=told)
    return json.loads(told) == wanted


def alias_of_key(on: Things) -> bool:
    on.kms.create_alias(AliasName="alias/ours", TargetKeyId=on.key)
    on.kms.enable_key_rotation(KeyId=on.key)
    turns = on.kms.get_key_rotation_status(KeyId=on.key)["KeyRotationEnabled"]
    return turns and on.kms.describe_key(KeyId="alias/ours")["KeyMetadata"]["KeyId"] == on.key


def delete_key(on: Things) -> bool:
    which = {"KeyId": on.kms.create_key()["KeyMetadata"]["KeyId"]}
    on.kms.schedule_key_deletion(**which, PendingWindowInDays=7)
    return on.kms.describe_key(**which)["KeyMetadata"]["KeyState"] == "PendingDeletion"


# CloudTrail


def create_trail(on: Things) -> bool:
    return on.trail.endswith(":trail/watched")


def look_for_trail(on: Things) -> bool:
    return [one["TrailARN"] for one in on.cloudtrail.describe_trails()["trailList"]] == [on.trail]


def start_and_stop(on: Things) -> bool:
    seen = []
    for one in (on.cloudtrail.start_logging, on.cloudtrail.stop_logging):
        one(Name=on.trail)
        seen.append(on.cloudtrail.get_trail_status(Name=on.trail)["IsLogging"])
    return seen == [True, False]


def start_again(on: Things) -> bool:
    on.cloudtrail.stop_logging(Name=on.trail)
    on.cloudtrail.start_logging(Name=on.trail)
    return bool(on.cloudtrail.get_trail_status(Name=on.trail)["IsLogging"])


def update_trail(on: Things) -> bool:
    told = on.cloudtrail.update_trail(Name=on.trail, EnableLogFileValidation=True)
    return bool(told["LogFileValidationEnabled"])


def basic_selectors(on: Things) -> bool:
    wanted = [{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}]
    on.cloudtrail.put_event_selectors(TrailName=on.trail, EventSelectors=wanted)
    told = on.cloudtrail.get_event_selectors(TrailName=on.trail)
    return told["EventSelectors"][0].items() >= wanted[0].items()


def advanced_selectors(on: Things) -> bool:
    on.cloudtrail.put_event_selectors(TrailName=on.trail, AdvancedEventSelectors=[MANAGEMENT])
    told = on.cloudtrail.get_event_selectors(TrailName=on.trail)
    return told["AdvancedEventSelectors"] == [MANAGEMENT]


def insights(on: Things) -> bool:
    wanted = [{"InsightType": "ApiCallRateInsight"}]
    on.cloudtrail.put_insight_selectors(TrailName=on.trail, InsightSelectors=wanted)
    return on.cloudtrail.get_insight_selectors(TrailName=on.trail)["InsightSelectors"] == wanted


def trail_tags(on: Things) -> bool:
    on.cloudtrail.add_tags(ResourceId=on.trail, TagsList=[TAG])
    [told] = on.cloudtrail.list_tags(ResourceIdList=[on.trail])["ResourceTagList"]
    on.cloudtrail.remove_tags(ResourceId=on.trail, TagsList=[TAG])
    [left] = on.cloudtrail.list_tags(ResourceIdList=[on.trail])["ResourceTagList"]
    return (told["TagsList"], left["TagsList"]) == ([TAG], [])


def look_up(on: Things) -> bool:
    asked = [{"AttributeKey": "EventName", "AttributeValue": "CreateTrail"}]
    made = on.trail
    [found] = on.cloudtrail.lookup_events(LookupAttributes=asked)["Events"]
    return found["Resources"][0]["ResourceName"] in {made, "watched"}


# SNS


def create_topic(on: Things) -> bool:
    made = on.sns.create_topic(Name="sealed", Attributes={"KmsMasterKeyId": "alias/aws/sns"})
    told = on.sns.get_topic_attributes(TopicArn=made["TopicArn"])["Attributes"]
    return told["KmsMasterKeyId"] == "alias/aws/sns"


def change_topic(on: Things) -> bool:
    grant = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}
    grant |= {"Action": "sns:Publish", "Resource": on.topic}
    wanted = {
        "Policy": json.dumps({"Version": "2012-10-17", "Statement": [grant]}),
        "KmsMasterKeyId": "alias/aws/sns",
        "DisplayName": "alerts",
    }
    for name, value in wanted.items():
        on.sns.set_topic_attributes(TopicArn=on.topic, AttributeName=name, AttributeValue=value)
    told = on.sns.get_topic_attributes(TopicArn=on.topic)["Attributes"]
    assert json.loads(told.pop("Policy")) == json.loads(wanted.pop("Policy"))
    return told.items() >= wanted.items()


def subscribe_function(on: Things) -> bool:
    arn = on.sns.subscribe(TopicArn=on.topic, Protocol="lambda", Endpoint=on.function)[
        "SubscriptionArn"
    ]
    wanted = {
        "FilterPolicy": json.dumps({"kind": ["alert"]}),
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": LETTERS}),
    }
    for name, value in wanted.items():
        on.sns.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName=name, AttributeValue=value
        )
    told = on.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    return all(json.loads(told[name]) == json.loads(value) for name, value in wanted.items())


def topic_tags(on: Things) -> bool:
    on.sns.tag_resource(ResourceArn=on.topic, Tags=[TAG])
    return on.sns.list_tags_for_resource(ResourceArn=on.topic)["Tags"] == [TAG]


# IAM


def create_role(on: Things) -> bool:
    told = [on.role and on.iam.get_role(RoleName="runner")["Role"]]
    on.iam.tag_role(RoleName="runner", Tags=[TAG])
    return told[0]["Tags"] == [TAG]


ALLOW = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}],
}


def role_policy(on: Things) -> bool:
    which = {"RoleName": on.role.rpartition("/")[2], "PolicyName": "log"}
    on.iam.put_role_policy(**which, PolicyDocument=json.dumps(ALLOW))
    told = on.iam.get_role_policy(**which)["PolicyDocument"]
    on.iam.delete_role_policy(**which)
    return told == ALLOW and on.iam.list_role_policies(RoleName="runner")["PolicyNames"] == []


def trust(on: Things) -> bool:
    which = {"RoleName": on.role.rpartition("/")[2]}
    on.iam.update_assume_role_policy(**which, PolicyDocument=strictness.TRUST)
    told = on.iam.get_role(**which)["Role"]["AssumeRolePolicyDocument"]
    bound = on.iam.create_policy(PolicyName="most", PolicyDocument=json.dumps(ALLOW))["Policy"]
    on.iam.put_role_permissions_boundary(**which, PermissionsBoundary=bound["Arn"])
    on.iam.delete_role_permissions_boundary(**which)
    left = on.iam.get_role(**which)["Role"]
    return told == json.loads(strictness.TRUST) and "PermissionsBoundary" not in left


def assume_role(on: Things) -> bool:
    lent = on.sts.assume_role(RoleArn=on.role, RoleSessionName="me")
    return lent["AssumedRoleUser"]["Arn"].endswith(":assumed-role/runner/me")


# Lambda


def create_function(on: Things) -> bool:
    return on.function.endswith(":function:ours")


def wait_for_function(on: Things) -> bool:
    for name in ("function_active_v2", "function_updated_v2"):
        on.ask("lambda").get_waiter(name).wait(FunctionName=on.function)
    return True


def function_code(on: Things) -> bool:
    before = on.ask("lambda").get_function(FunctionName=on.function)["Configuration"]
    code = zipped(main="def handler(event, context): return {'new': event}")
    after = on.ask("lambda").update_function_code(FunctionName=on.function, ZipFile=code)
    return before["CodeSha256"] != after["CodeSha256"]


def function_configuration(on: Things) -> bool:
    wanted = {"Timeout": 20, "Environment": {"Variables": {"A": "b"}}}
    told = on.ask("lambda").update_function_configuration(FunctionName=on.function, **wanted)
    return {key: told[key] for key in wanted} == wanted


def permission(on: Things) -> bool:
    asked = {"StatementId": "topic", "Action": "lambda:InvokeFunction", "SourceArn": on.topic}
    function = {"FunctionName": on.function}
    on.ask("lambda").add_permission(**function, **asked, Principal="sns.amazonaws.com")
    told = json.loads(on.ask("lambda").get_policy(**function)["Policy"])["Statement"]
    on.ask("lambda").remove_permission(**function, StatementId="topic")
    return [one["Sid"] for one in told] == ["topic"]


def on_failure(on: Things) -> bool:
    wanted = {"OnFailure": {"Destination": LETTERS}}
    function = {"FunctionName": on.function}
    on.ask("lambda").put_function_event_invoke_config(**function, DestinationConfig=wanted)
    told = on.ask("lambda").get_function_event_invoke_config(**function)
    return told["DestinationConfig"]["OnFailure"] == wanted["OnFailure"]


def concurrency(on: Things) -> bool:
    function = {"FunctionName": on.function}
    on.ask("lambda").put_function_concurrency(**function, ReservedConcurrentExecutions=1)
    told = on.ask("lambda").get_function_concurrency(**function)["ReservedConcurrentExecutions"]
    on.ask("lambda").delete_function_concurrency(**function)
    left = on.ask("lambda").get_function_concurrency(**function)
    return told == 1 and "ReservedConcurrentExecutions" not in left


def function_tags(on: Things) -> bool:
    on.ask("lambda").tag_resource(Resource=on.function, Tags={"ctwatch": "1"})
    return on.ask("lambda").list_tags(Resource=on.function)["Tags"] == {"ctwatch": "1"}


def invoke(on: Things) -> bool:
    ran = on.ask("lambda").invoke(FunctionName=on.function, Payload=b'{"a": 1}')
    return {"a": 1} in (told := json.load(ran["Payload"]), told.get("new"))


def invoke_later(on: Things) -> bool:
    ran = on.ask("lambda").invoke(FunctionName=on.function, InvocationType="Event", Payload=b"{}")
    return ran["StatusCode"] == 202


# EventBridge


def put_rule(on: Things) -> bool:
    told = on.rule and on.events.describe_rule(Name="ours")
    return (told["Arn"], told["State"]) == (RULE, "ENABLED")


def all_management_events(on: Things) -> bool:
    state = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
    on.events.put_rule(Name="reads", EventPattern=PATTERN, State=state)
    return on.events.describe_rule(Name="reads")["State"] == state


TARGET = {
    "Id": "1",
    "Arn": LETTERS,
    "InputTransformer": {"InputPathsMap": {"id": "$.id"}, "InputTemplate": '"<id>"'},
    "DeadLetterConfig": {"Arn": LETTERS},
    "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600},
}


def put_targets(on: Things) -> bool:
    rule = on.rule.rpartition("/")[2]
    return not on.events.put_targets(Rule=rule, Targets=[TARGET])["FailedEntryCount"]


def list_targets(on: Things) -> bool:
    rule = on.rule.rpartition("/")[2]
    on.events.put_targets(Rule=rule, Targets=[TARGET])
    return on.events.list_targets_by_rule(Rule=rule)["Targets"] == [TARGET]


def list_rules(on: Things) -> bool:
    return on.rule in [one["Arn"] for one in on.events.list_rules()["Rules"]]


EVENT = {"id": "1", "account": ACCOUNT, "source": "ours", "time": "2026-11-21T00:00:00Z",
         "region": SEOUL, "resources": [], "detail-type": "Test"}  # fmt: skip


def test_pattern(on: Things) -> bool:
    return bool(
        on.events.test_event_pattern(EventPattern=PATTERN, Event=json.dumps(EVENT))["Result"]
    )


test_pattern.__test__ = False  # type: ignore[attr-defined]


def switch_rule(on: Things) -> bool:
    seen = []
    for one in (on.events.disable_rule, on.events.enable_rule):
        one(Name=on.rule.rpartition("/")[2])
        seen.append(on.events.describe_rule(Name="ours")["State"])
    return seen == ["DISABLED", "ENABLED"]


def rule_tags(on: Things) -> bool:
    on.events.tag_resource(ResourceARN=on.rule, Tags=[TAG])
    return on.events.list_tags_for_resource(ResourceARN=on.rule)["Tags"] == [TAG]


def delete_rule(on: Things) -> bool:
    on.events.put_rule(Name="gone", EventPattern=PATTERN)
    on.events.put_targets(Rule="gone", Targets=[TARGET])
    told = on.events.remove_targets(Rule="gone", Ids=["1"])
    on.events.delete_rule(Name="gone")
    return not told["FailedEntryCount"]


# The rest


def create_queue(on: Things) -> bool:
    asked = {"QueueUrl": on.queue, "AttributeNames": ["All"]}
    grant = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}
    grant |= {"Action": "sqs:SendMessage", "Resource": LETTERS}
    wanted = {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [grant]})}
    on.sqs.set_queue_attributes(QueueUrl=on.queue, Attributes=wanted)
    told = on.sqs.get_queue_attributes(**asked)["Attributes"]
    tagged = on.sqs.list_queue_tags(QueueUrl=on.queue)["Tags"]
    return (told["QueueArn"], told["Policy"], tagged) == (
        LETTERS,
        wanted["Policy"],
        {"ctwatch": "1"},
    )


def send(on: Things) -> bool:
    on.sqs.send_message(QueueUrl=on.queue, MessageBody="hello")
    [one] = on.sqs.receive_message(QueueUrl=on.queue)["Messages"]
    return one["Body"] == "hello"


def secret(on: Things) -> bool:
    on.ssm.put_parameter(Name="/ours", Value="hidden", Type="SecureString")
    told = on.ssm.get_parameter(Name="/ours", WithDecryption=True)["Parameter"]
    return told["Value"] == "hidden"


def log_group(on: Things) -> bool:
    on.logs.put_retention_policy(logGroupName=on.group, retentionInDays=30)
    [told] = on.logs.describe_log_groups(logGroupNamePrefix=on.group)["logGroups"]
    tags = on.logs.list_tags_for_resource(resourceArn=GROUP)["tags"]
    return (told["retentionInDays"], tags) == (30, {"ctwatch": "1"})


def log_events(on: Things) -> bool:
    return isinstance(on.logs.filter_log_events(logGroupName=on.group)["events"], list)


Works = Callable[[Things], bool]

BLOCK = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)
SEALED = {
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": False,
        }
    ]
}
OWNED = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}

BOUNDARY = ("iam:PutRolePermissionsBoundary", "iam:DeleteRolePermissionsBoundary")
METRICS = (
    *("cloudwatch:DescribeAlarms", "cloudwatch:GetMetricStatistics"),
    *("cloudwatch:PutMetricAlarm", "cloudwatch:PutMetricData"),
)

CALLS: dict[str, tuple[str, Works | None]] = {
    "who calls": ("sts:GetCallerIdentity", caller),
    "a bucket": ("s3:CreateBucket", create_bucket),
    "a bucket of a region": ("s3:CreateBucket", create_bucket_in_a_region),
    "whether a bucket is there": ("s3:ListBucket s3:GetBucketLocation", look_for_bucket),
    "its versioning": ("s3:PutBucketVersioning s3:GetBucketVersioning", versioning),
    "its encryption": (
        "s3:PutEncryptionConfiguration s3:GetEncryptionConfiguration",
        kept("bucket_encryption", "ServerSideEncryptionConfiguration", SEALED),
    ),
    "its public access block": (
        "s3:PutBucketPublicAccessBlock s3:GetBucketPublicAccessBlock",
        kept("public_access_block", "PublicAccessBlockConfiguration", BLOCK),
    ),
    "its ownership controls": (
        "s3:PutBucketOwnershipControls s3:GetBucketOwnershipControls",
        kept("bucket_ownership_controls", "OwnershipControls", OWNED),
    ),
    "its policy": ("s3:PutBucketPolicy s3:GetBucketPolicy", kept_policy),
    "whether its policy is public": ("s3:GetBucketPolicyStatus", None),
    "its lifecycle": ("s3:PutLifecycleConfiguration s3:GetLifecycleConfiguration", lifecycle),
    "its tags": ("s3:PutBucketTagging s3:GetBucketTagging", tagging),
    "its object lock": (
        "s3:PutBucketObjectLockConfiguration s3:GetBucketObjectLockConfiguration",
        object_lock,
    ),
    "its logging and ACL": ("s3:PutBucketLogging s3:GetBucketLogging s3:GetBucketAcl", None),
    "a bucket and all in it cleared away": (
        "s3:ListBucketVersions s3:DeleteObjectVersion s3:DeleteBucket",
        clear_bucket,
    ),
    "a key": ("kms:CreateKey", create_key),
    "its alias, policy and rotation": (
        "kms:CreateAlias kms:DescribeKey kms:PutKeyPolicy kms:EnableKeyRotation",
        alias_of_key,
    ),
    "a key cleared away": ("kms:ScheduleKeyDeletion", delete_key),
    "a trail": ("cloudtrail:CreateTrail", create_trail),
    "whether a trail is there": (
        "cloudtrail:GetTrail cloudtrail:DescribeTrails cloudtrail:ListTrails",
        look_for_trail,
    ),
    "a trail that logs": ("cloudtrail:StartLogging cloudtrail:GetTrailStatus", start_and_stop),
    "a trail stopped and started again": ("cloudtrail:StopLogging", start_again),
    "a trail changed": ("cloudtrail:UpdateTrail", update_trail),
    "its basic selectors": (
        "cloudtrail:PutEventSelectors cloudtrail:GetEventSelectors",
        basic_selectors,
    ),
    "its advanced selectors": ("cloudtrail:PutEventSelectors", advanced_selectors),
    "its insights": (
        "cloudtrail:PutInsightSelectors cloudtrail:GetInsightSelectors",
        insights,
    ),
    "its tags, as CloudTrail has them": (
        "cloudtrail:AddTags cloudtrail:ListTags cloudtrail:RemoveTags",
        trail_tags,
    ),
    "the event history": ("cloudtrail:LookupEvents", look_up),
    "a topic": ("sns:CreateTopic", create_topic),
    "a topic changed": ("sns:SetTopicAttributes", change_topic),
    "a function subscribed": (
        "sns:Subscribe sns:GetSubscriptionAttributes sns:SetSubscriptionAttributes",
        subscribe_function,
    ),
    "its tags, as SNS has them": ("sns:TagResource sns:ListTagsForResource", topic_tags),
    "a role": ("iam:CreateRole iam:GetRole iam:TagRole", create_role),
    "its policies": (
        "iam:PutRolePolicy iam:GetRolePolicy iam:DeleteRolePolicy",
        role_policy,
    ),
    "a policy of AWS's attached": ("iam:AttachRolePolicy", None),
    "what a principal may": ("iam:SimulatePrincipalPolicy", None),
    "its trust and boundary": (
        f"iam:UpdateAssumeRolePolicy {' '.join(BOUNDARY)}",
        trust,
    ),
    "a function": ("lambda:CreateFunction", create_function),
    "a function awaited": ("lambda:GetFunction", wait_for_function),
    "its code": ("lambda:UpdateFunctionCode", function_code),
    "its configuration": ("lambda:UpdateFunctionConfiguration", function_configuration),
    "its permissions": (
        "lambda:AddPermission lambda:GetPolicy lambda:RemovePermission",
        permission,
    ),
    "its destinations": (
        "lambda:PutFunctionEventInvokeConfig lambda:GetFunctionEventInvokeConfig",
        on_failure,
    ),
    "its concurrency": (
        "lambda:PutFunctionConcurrency lambda:GetFunctionConcurrency",
        concurrency,
    ),
    "its tags, as Lambda has them": ("lambda:TagResource lambda:ListTags", function_tags),
    "a version, an alias": ("lambda:PublishVersion lambda:CreateAlias", None),
    "a function run": ("lambda:InvokeFunction", invoke),
    "a function run later": ("lambda:InvokeFunction", invoke_later),
    "a rule": ("events:PutRule events:TagResource events:DescribeRule", put_rule),
    "a rule that sees reads": ("events:PutRule", all_management_events),
    "its targets": ("events:PutTargets", put_targets),
    "its targets as they were put": ("events:ListTargetsByRule", list_targets),
    "the rules": ("events:ListRules events:ListRuleNamesByTarget", list_rules),
    "a rule switched off and on": ("events:DisableRule events:EnableRule", switch_rule),
    "a pattern tried": ("events:TestEventPattern", test_pattern),
    "its tags, as EventBridge has them": (
        "events:TagResource events:ListTagsForResource",
        rule_tags,
    ),
    "a rule cleared away": ("events:RemoveTargets events:DeleteRule", delete_rule),
    "a queue": (
        "sqs:CreateQueue sqs:SetQueueAttributes sqs:GetQueueAttributes sqs:TagQueue",
        create_queue,
    ),
    "a message": ("sqs:SendMessage sqs:ReceiveMessage sqs:DeleteMessage", send),
    "a secret": ("ssm:PutParameter ssm:GetParameter", secret),
    "a secret of Secrets Manager": (
        "secretsmanager:CreateSecret secretsmanager:GetSecretValue secretsmanager:DeleteSecret",
        None,
    ),
    "a log group": (
        "logs:CreateLogGroup logs:PutRetentionPolicy logs:DescribeLogGroups logs:TagResource",
        log_group,
    ),
    "what is in a log": ("logs:PutMetricFilter logs:FilterLogEvents", log_events),
    "alarms and metrics": (" ".join(METRICS), None),
    "a query": ("athena:StartQueryExecution athena:GetQueryResults", None),
    "the regions, as EC2 has them": ("ec2:DescribeRegions", None),
    "a role assumed": ("sts:AssumeRole", assume_role),
    "a policy checked": ("access-analyzer:ValidatePolicy", None),
}
"""Each group: the actions of its calls, and what tries them; None where ctwatch makes none."""

UNUSED = {
    *("access-analyzer:ValidatePolicy", "athena:GetQueryResults", "athena:StartQueryExecution"),
    *("cloudtrail:GetTrail", "cloudtrail:ListTrails", "ec2:DescribeRegions", *METRICS),
    *("events:EnableRule", "events:ListRuleNamesByTarget", "iam:AttachRolePolicy"),
    *("iam:PutRolePermissionsBoundary", "iam:SimulatePrincipalPolicy", "lambda:CreateAlias"),
    *("lambda:PublishVersion", "logs:PutMetricFilter", "sqs:DeleteMessage"),
    *("s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketLogging"),
    *("s3:GetBucketPolicyStatus", "s3:PutBucketLogging", "s3:PutBucketObjectLockConfiguration"),
    *("secretsmanager:CreateSecret", "secretsmanager:DeleteSecret"),
    *("secretsmanager:GetSecretValue",),
}
"""What ctwatch does not call."""

FREE = {"sts:GetCallerIdentity"}
"""What ctwatch calls and nobody has to be allowed to."""

MADE = [name for name, (_, works) in CALLS.items() if works]


@pytest.mark.parametrize("name", MADE)
def test_what_ctwatch_calls_works(name: str, things: Things) -> None:
    _, works = CALLS[name]
    assert works is not None
    assert works(things)


def declared() -> Iterator[str]:
    """Every action that any command of any watch may take."""
    for config in (test_policy.PLAIN, test_policy.BIGGEST, test_policy.EVERYTHING):
        for on in On:
            watch = test_policy.about(config, data=True, logs=True, on=on)
            yield from test_policy.actions(policy(None, watch))


def test_what_ctwatch_does_not_call_its_policy_does_not_hold() -> None:
    asked = {action for actions, _ in CALLS.values() for action in actions.split()}
    assert asked - {*declared()} - FREE == UNUSED


def test_a_group_is_tried_exactly_where_ctwatch_makes_one_of_its_calls() -> None:
    used = [name for name, (actions, _) in CALLS.items() if {*actions.split()} - UNUSED]
    assert used == MADE
    assert (len(CALLS), len(MADE)) == (68, 58)
