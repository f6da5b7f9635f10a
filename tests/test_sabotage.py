"""One line for every promised leaf of the watch with a mail and a webhook.

What each means is told for that watch, and for one with the webhook alone. Where a line is on the
event's way, a real call is made on a trail that does not exist, and the verdict is held against
what really arrives. A promise that no line breaks fails `test_every_promised_leaf_has_a_line`.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from hands import (
    BLOCK,
    advanced,
    basic,
    bucket_policy,
    configure,
    encrypted_with,
    inline_policy,
    on_bucket,
    on_function,
    on_log_group,
    on_role,
    on_trail,
    put_inline,
    put_rule,
    put_secret,
    put_target,
    queue_policy,
    queue_url,
    set_queue,
    set_subscription,
    set_topic,
    topic_policy,
    trust,
    unblocked,
    unsubscribe,
    update_trail,
    with_target,
    with_variable,
)
from sabotage import (
    ARMED,
    BLIND,
    DEAF,
    DEGRADED,
    MUTE,
    UNKNOWN,
    Break,
    Document,
    Ground,
    Line,
    Table,
    impossible,
    is_named_and_mended,
    is_proven,
    judged,
    line,
    look,
    of_each,
    rearmed,
    shows_means_and_mends,
    struck,
    told_of,
)
from shared_clients import by_hand
from watch_world import ADDRESS, PLACE, PLAIN, World, answering, planned

from ctwatch.diagnose import Alarm
from ctwatch.diff import statements
from ctwatch.engine import Verdict, build
from ctwatch.resources.base import TAG, Resource
from ctwatch.resources.key import for_trail
from ctwatch.sandbox.identities import ROOT_KEY
from ctwatch.sandbox.server import Sandbox
from ctwatch.watch import Watch

# Hundreds of times over the same lines, which the other tests cover: what counts here is time.
pytestmark = pytest.mark.usefixtures("unmeasured")

ELSEWHERE = "the-intruders-bucket"
OTHER_ROLE = "the-intruders-role"
SPARE = "the-intruders-queue"
DELIVERER = "the-intruders-deliverer"
THEIR_TOPIC = "the-intruders-topic"


def parts(watch: Watch) -> dict[str, Resource]:
    """The watch's resources by what they are for."""
    assert watch.function
    assert watch.webhook
    return {
        "bucket": watch.bucket,
        "trail": watch.trail,
        "rule": watch.rules[0],
        "topic": watch.topic,
        "receipts": watch.receipts,
        "dead letter": watch.dead_letter,
        "person": watch.people[0],
        "receipt": watch.receipt,
        "webhook": watch.webhook,
        "function": watch.function,
        "role": watch.function.role,
        "log group": watch.function.log_group,
        "secret": watch.function.secrets[0],
    }


PLANNED = parts(planned(PLAIN))


# The bucket

EXPIRY = {"ID": "soon", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}


BUCKET = [
    line("bucket", "versioning", on_bucket(
        "put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"})),
    line("bucket", "encryption", encrypted_with("aws:kms")),
    line("bucket", "ownership", on_bucket("put_bucket_ownership_controls", OwnershipControls={
        "Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]})),
    line("bucket", "ownership", on_bucket("delete_bucket_ownership_controls")),
    line("bucket", "lifecycle", on_bucket(
        "put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [EXPIRY]})),
    *(line("bucket", f"public_access_block.{key}", unblocked(key)) for key in BLOCK),
    line("bucket", " ".join(f"public_access_block.{key}" for key in BLOCK),
         on_bucket("delete_public_access_block")),
    line("bucket", " ".join(f"policy.{sid}" for sid in statements(PLANNED["bucket"].policy)),
         on_bucket("delete_bucket_policy")),
    *bucket_policy().lines(PLANNED, {
        # As it would be public, S3 takes it only when public policies are not blocked.
        "DenyInsecureTransport.effect": {
            "first": unblocked("BlockPublicPolicy"),
            "along": "public_access_block.BlockPublicPolicy",
        },
        "DenyInsecureTransport.condition.Bool.aws:securetransport": {
            "why": "it would shut out everybody who could see it; only the root user could mend it",
        },
    }),
    line("bucket", "", on_bucket("delete_bucket")),
]  # fmt: skip


# The trail


def log_to_a_group(ground: Ground) -> None:
    group, role = ground.at("log group").arn, PLACE.role_arn(DELIVERER)
    update_trail(CloudWatchLogsLogGroupArn=f"{group}:*", CloudWatchLogsRoleArn=role)(ground)


def encrypt_the_trail(ground: Ground) -> None:
    policy = {"Version": "2012-10-17", "Statement": for_trail(PLACE, ground.at("trail").arn)}
    key = ground.kms.create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
    update_trail(KmsKeyId=key)(ground)


def delete_trail(ground: Ground) -> None:
    ground.cloudtrail.delete_trail(Name=ground.at("trail").name)


DATA = [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]
MANAGEMENT = {"eventCategory": {"Equals": ["Management"]}}
ALL_SELECTORS = "selectors.advanced selectors.data selectors.excluded selectors.management"
CLOUDTRAIL = "cloudtrail.amazonaws.com"

TRAIL = [
    line("trail", "logging",
         lambda ground: ground.cloudtrail.stop_logging(Name=ground.at("trail").name), BLIND),
    line("trail", "bucket", update_trail(S3BucketName=ELSEWHERE)),
    line("trail", "bucket prefix", update_trail(S3BucketName=ELSEWHERE, S3KeyPrefix="theirs"),
         why="the policy of our bucket lets CloudTrail write without a prefix only"),
    line("trail", "multi_region", update_trail(IsMultiRegionTrail=False)),
    line("trail", "global_events multi_region",
         update_trail(IsMultiRegionTrail=False, IncludeGlobalServiceEvents=False),
         why="a multi-region trail must include global events"),
    line("trail", "validation", update_trail(EnableLogFileValidation=False)),
    line("trail", "key", encrypt_the_trail),
    line("trail", "log_group log_role", log_to_a_group, why="CloudTrail takes both or none"),
    line("trail", "notifications", update_trail(SnsTopicName=THEIR_TOPIC)),
    line("trail", "organization", update_trail(IsOrganizationTrail=True)),
    line("trail", "insights", on_trail(
        "put_insight_selectors", InsightSelectors=[{"InsightType": "ApiCallRateInsight"}])),
    line("trail", "selectors.management", basic(ReadWriteType="ReadOnly"), BLIND),
    line("trail", "selectors.management", basic(ReadWriteType="WriteOnly")),
    line("trail", "selectors.data selectors.management",
         basic(IncludeManagementEvents=False, DataResources=DATA), BLIND),
    line("trail", "selectors.data", basic(DataResources=DATA)),
    line("trail", "selectors.excluded", basic(ExcludeManagementEventSources=["kms.amazonaws.com"])),
    line("trail", ALL_SELECTORS, advanced(**MANAGEMENT)),
    line("trail", ALL_SELECTORS, advanced(**MANAGEMENT, readOnly={"Equals": ["false"]})),
    line("trail", ALL_SELECTORS, advanced(**MANAGEMENT, eventSource={
        "NotEquals": ["kms.amazonaws.com"]})),
    line("trail", ALL_SELECTORS, advanced(**MANAGEMENT, readOnly={"Equals": ["true"]}), BLIND),
    line("trail", ALL_SELECTORS,
         advanced(**MANAGEMENT, eventSource={"NotEquals": [CLOUDTRAIL]}), BLIND),
    line("trail", ALL_SELECTORS,
         advanced(**MANAGEMENT, eventSource={"Equals": ["s3.amazonaws.com"]}), BLIND),
    line("trail", ALL_SELECTORS, advanced(
        eventCategory={"Equals": ["Data"]}, **{"resources.type": {"Equals": ["AWS::S3::Object"]}},
    ), BLIND),
    line("trail", "", delete_trail, BLIND),
]  # fmt: skip


# The rule


def only_on_schedule(ground: Ground) -> None:
    ground.events.put_rule(Name=ground.at("rule").name, ScheduleExpression="rate(1 day)")


def to_the_spare_queue(_: Ground, target: Any) -> None:
    target["Arn"] = PLACE.arn("sqs", SPARE)


def remove_targets(ground: Ground) -> None:
    ground.events.remove_targets(Rule=ground.at("rule").name, Ids=["topic"])


def delete_rule(ground: Ground) -> None:
    remove_targets(ground)
    ground.events.delete_rule(Name=ground.at("rule").name)


TRANSFORMER = {"InputPathsMap": {"who": "$.detail.userIdentity.arn"}, "InputTemplate": '"<who>"'}

RULE = [
    line("rule", "state",
         lambda ground: ground.events.disable_rule(Name=ground.at("rule").name), DEAF),
    line("rule", "pattern.source", put_rule(lambda one: one.update(source=["aws.s3"])), DEAF),
    line("rule", "pattern.detail-type",
         put_rule(lambda one: one.update({"detail-type": ["Scheduled Event"]})), DEAF),
    line("rule", "pattern.detail.eventSource",
         put_rule(lambda one: one["detail"].update(eventSource=["s3.amazonaws.com"])), DEAF),
    line("rule", "pattern.detail.eventName",
         put_rule(lambda one: one["detail"].update(eventName=["CreateTrail"])), DEAF),
    line("rule", "pattern.detail.eventName",
         put_rule(lambda one: one["detail"]["eventName"].remove("StopLogging")), DEAF),
    line("rule", "pattern.detail.eventName",
         put_rule(lambda one: one["detail"]["eventName"].append("CreateTrail"))),
    line("rule", "pattern.detail.eventSource",
         put_rule(lambda one: one["detail"].pop("eventSource"))),
    line("rule", "pattern.detail.userIdentity",
         put_rule(lambda one: one["detail"].update(userIdentity={"type": ["Root"]})), DEAF),
    line("rule", "pattern.region", put_rule(lambda one: one.update(region=["us-west-1"])), DEAF),
    line("rule", "pattern.$or", put_rule(
        lambda one: one.update({"$or": [{"account": ["1"]}, {"region": ["us-west-1"]}]})), DEAF),
    line("rule", "pattern schedule", only_on_schedule, DEAF),
    line("rule", "schedule", put_rule(ScheduleExpression="rate(1 day)")),
    line("rule", "role", put_rule(RoleArn=PLACE.role_arn(OTHER_ROLE))),
    line("rule", "targets.topic.Arn", put_target(to_the_spare_queue), DEAF),
    line("rule", "targets.topic.DeadLetterConfig.Arn",
         with_target(DeadLetterConfig={"Arn": PLACE.arn("sqs", SPARE)})),
    line("rule", "targets.topic.DeadLetterConfig",
         put_target(lambda _, target: target.pop("DeadLetterConfig"))),
    line("rule", "targets.topic.RetryPolicy.MaximumEventAgeInSeconds",
         put_target(lambda _, one: one["RetryPolicy"].update(MaximumEventAgeInSeconds=60))),
    line("rule", "targets.topic.RetryPolicy.MaximumRetryAttempts",
         put_target(lambda _, one: one["RetryPolicy"].update(MaximumRetryAttempts=0))),
    line("rule", "targets.topic.Input", with_target(Input='"all is well"'), DEAF),
    line("rule", "targets.topic.InputPath", with_target(InputPath="$.detail"), UNKNOWN),
    line("rule", "targets.topic.InputTransformer", with_target(InputTransformer=TRANSFORMER),
         UNKNOWN),
    line("rule", "targets.topic.RoleArn", with_target(RoleArn=PLACE.role_arn(OTHER_ROLE)), DEAF),
    line("rule", "targets.theirs", put_target(to_the_spare_queue, "theirs")),
    line("rule", "targets.topic", remove_targets, DEAF),
    line("rule", "", delete_rule, DEAF),
]  # fmt: skip


# The topic


def conditioned(statements: list[Document]) -> list[Document]:
    """The Condition that looks wise and silences everything."""
    rule = {"ArnEquals": {"aws:SourceArn": PLANNED["rule"].arn}}
    first, second = statements
    return [first, {**second, "Condition": rule}]


def denied(principal: Any) -> Break:
    deny = {"Sid": "Deny", "Effect": "Deny", "Principal": principal, "Action": "sns:Publish"}
    return topic_policy().changed(lambda all_: [*all_, {**deny, "Resource": PLANNED["topic"].arn}])


GRANT = of_each(PLANNED["topic"].policy, "AllowEventBridgePublish", verdict=MUTE)

TOPIC = [
    line("topic", "key", set_topic("KmsMasterKeyId", "alias/aws/sns"), MUTE),
    line("topic", "policy.AllowEventBridgePublish.condition",
         topic_policy().changed(conditioned), MUTE),
    line("topic", "policy.Deny", denied("*"), MUTE),
    line("topic", "policy.Deny",
         denied({"Service": ["events.amazonaws.com", "s3.amazonaws.com"]}), MUTE),
    line("topic", "policy.Deny", denied({"AWS": f"arn:aws:iam::{PLACE.account}:root"})),
    *topic_policy().lines(PLANNED, {
        **GRANT,
        "__default_statement_ID.effect": {"verdict": UNKNOWN},  # who a conditioned Deny may meet
    }),
    line("topic", "", lambda ground: ground.sns.delete_topic(TopicArn=ground.at("topic").arn), MUTE,
         elsewhere=(("person", ""), ("webhook", ""), ("receipt", ""))),
]  # fmt: skip


# The queues


def queue_lines(at: str) -> list[Line]:
    redrive = json.dumps({"deadLetterTargetArn": PLACE.arn("sqs", SPARE), "maxReceiveCount": 1})
    sids = statements(PLANNED[at].policy)

    return [
        line(at, "retention", set_queue(at, MessageRetentionPeriod="60")),
        line(at, "visibility", set_queue(at, VisibilityTimeout="43200")),
        line(at, "delay", set_queue(at, DelaySeconds="900")),
        line(at, "key", set_queue(at, KmsMasterKeyId="alias/aws/sqs")),
        line(at, "redrive", set_queue(at, RedrivePolicy=redrive)),
        line(at, " ".join(f"policy.{sid}" for sid in sids), set_queue(at, Policy="")),
        *queue_policy(at).lines(PLANNED, {}),
        line(at, "", lambda ground: ground.sqs.delete_queue(QueueUrl=queue_url(ground, at))),
    ]


# The subscriptions


def ask_again(ground: Ground) -> None:
    unsubscribe("person")(ground)
    topic = ground.at("topic").arn
    ground.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=ADDRESS)


SPARE_REDRIVE = json.dumps({"deadLetterTargetArn": PLACE.arn("sqs", SPARE)})
NARROW = json.dumps({"severity": ["none"]})
AT_ONCE = "a queue or function of the account is confirmed at once and cannot be unconfirmed"


def listener_lines(at: str, *, alone: Alarm) -> list[Line]:
    return [
        impossible(at, "confirmed", AT_ONCE),
        line(at, "filter", set_subscription(at, "FilterPolicy", NARROW), alone=alone),
        line(at, "dead_letter", set_subscription(at, "RedrivePolicy", SPARE_REDRIVE)),
        line(at, "", unsubscribe(at), alone=alone),
    ]


SUBSCRIPTIONS = [
    line("person", "confirmed", ask_again, alone=ARMED, by_hand=True,
         remedy=PLANNED["person"].by_hand["confirmed"]),
    line("person", "filter", set_subscription("person", "FilterPolicy", NARROW), alone=ARMED),
    line("person", "dead_letter", set_subscription("person", "RedrivePolicy", SPARE_REDRIVE),
         alone=ARMED),
    impossible("person", "raw", "SNS refuses raw delivery to a mailbox"),
    line("person", "", unsubscribe("person"), alone=ARMED),
    *listener_lines("webhook", alone=MUTE),
    impossible("webhook", "raw", "SNS refuses raw delivery to a function"),
    *listener_lines("receipt", alone=DEGRADED),
    line("receipt", "raw", set_subscription("receipt", "RawMessageDelivery", "true")),
]  # fmt: skip


# The function


def code_of_theirs() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("notifier/__init__.py", "")
        archive.writestr("notifier/main.py", "def handler(event, context):\n    return None\n")
    return content.getvalue()


def with_a_layer(ground: Ground) -> None:
    layer = ground.lambda_.publish_layer_version(
        LayerName="theirs", Content={"ZipFile": code_of_theirs()}
    )
    configure(Layers=[layer["LayerVersionArn"]])(ground)


[SID] = statements(PLANNED["function"].policy)
PERMISSION = f"permissions.{SID}"


def permit(sid: str, **given: Any) -> Break:
    def by(ground: Ground) -> None:
        usual = {
            "StatementId": sid,
            "Action": "lambda:InvokeFunction",
            "Principal": "sns.amazonaws.com",
            "SourceArn": ground.at("topic").arn,
        }
        sent = {key: value for key, value in {**usual, **given}.items() if value}
        on_function("add_permission", **sent)(ground)

    return by


def permit_instead(**given: Any) -> Break:
    def by(ground: Ground) -> None:
        on_function("remove_permission", StatementId=SID)(ground)
        permit(SID, **given)(ground)

    return by


NO_CHANNEL = json.dumps([{"name": "discord", "type": "discord", "secret": "ssm:/theirs"}])


def function(paths: str, by: Break, *, alone: Alarm = DEGRADED, **more: Any) -> Line:
    return line("function", paths, by, alone=alone, **more)


FUNCTION = [
    function("code", on_function("update_function_code", ZipFile=code_of_theirs()), alone=MUTE),
    impossible("function", "architecture", "moto's functions keep theirs; see below"),
    function("role", configure(Role=PLACE.role_arn(OTHER_ROLE)), alone=MUTE),
    function("runtime", configure(Runtime="nodejs22.x"), alone=MUTE),
    function("handler", configure(Handler="notifier.main.nothing"), alone=MUTE),
    function("timeout", configure(Timeout=14)),
    function("timeout", configure(Timeout=1), alone=UNKNOWN),
    function("memory", configure(MemorySize=128)),
    function("layers", with_a_layer, alone=UNKNOWN),
    function("network", configure(VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": []}),
             alone=UNKNOWN),
    function("concurrency", on_function(
        "put_function_concurrency", ReservedConcurrentExecutions=0), alone=MUTE),
    function("concurrency", on_function(
        "put_function_concurrency", ReservedConcurrentExecutions=5)),
    function("environment.CTWATCH_CHANNELS",
             with_variable("CTWATCH_CHANNELS", NO_CHANNEL), alone=MUTE),
    function("environment.CTWATCH_BUCKET", with_variable("CTWATCH_BUCKET", ELSEWHERE)),
    function("environment.CTWATCH_LANGUAGE", with_variable("CTWATCH_LANGUAGE", "tlh")),
    function("environment.CTWATCH_OWN", with_variable("CTWATCH_OWN", "[]")),
    function("environment.CTWATCH_TIMEZONE", with_variable("CTWATCH_TIMEZONE", "Moon/Tycho")),
    function("environment.CTWATCH_TRAIL", with_variable("CTWATCH_TRAIL", "")),
    function("environment.CTWATCH_WATCH", with_variable("CTWATCH_WATCH", "theirs")),
    function("environment.HTTP_PROXY", with_variable("HTTP_PROXY", "http://127.0.0.1:9"),
             alone=UNKNOWN),
    function("environment.PYTHONPATH", with_variable("PYTHONPATH", "/tmp/theirs"),
             alone=UNKNOWN),
    function(PERMISSION, on_function("remove_permission", StatementId=SID), alone=MUTE),
    function(f"{PERMISSION}.action", permit_instead(Action="lambda:GetFunction"), alone=MUTE),
    function(f"{PERMISSION}.principal.Service",
             permit_instead(Principal="s3.amazonaws.com"), alone=MUTE),
    function(f"{PERMISSION}.condition.ArnLike.aws:sourcearn",
             permit_instead(SourceArn=PLACE.arn("sns", "theirs")), alone=MUTE),
    function(f"{PERMISSION}.condition", permit_instead(SourceArn="")),
    function(f"{PERMISSION}.condition.StringEquals",
             permit_instead(SourceAccount=PLACE.account), alone=UNKNOWN),
    function("permissions.theirs", permit("theirs", Principal="s3.amazonaws.com")),
    impossible("function", f"{PERMISSION}.effect", "AddPermission only ever allows"),
    impossible("function", f"{PERMISSION}.resource",
               "AddPermission writes the function's own ARN, or that of an alias elsewhere"),
    function("on_failure retries", on_function("delete_function_event_invoke_config")),
    function("", on_function("delete_function"), alone=MUTE),
]  # fmt: skip


# The role, its log group, its secret


def inline(effect: str, action: str) -> Break:
    statement = {"Sid": "Theirs", "Effect": effect, "Action": action, "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return put_inline("theirs", policy)


def managed(effect: str) -> str:
    return f"arn:aws:iam::{PLACE.account}:policy/the-intruders-{effect}"


def delete_role(ground: Ground) -> None:
    on_role("delete_role_policy", PolicyName="notifier")(ground)
    on_role("delete_role")(ground)


READS_SECRETS = of_each(PLANNED["role"].policy, "Ssm", alone=MUTE)
ASSUMED = of_each(PLANNED["role"].trust, "Assume", alone=MUTE)

ROLE = [
    *trust().lines(PLANNED, ASSUMED),
    *inline_policy("notifier").lines(PLANNED, READS_SECRETS),
    line("role", "inline.notifier",
         on_role("delete_role_policy", PolicyName="notifier"), alone=MUTE),
    line("role", "inline.theirs", inline("Allow", "ec2:*")),
    line("role", "inline.theirs", inline("Deny", "ssm:*"), alone=MUTE),
    line("role", "inline.theirs", inline("Deny", "sqs:*")),
    line("role", "attached",
         on_role("attach_role_policy", PolicyArn=managed("Deny")), alone=UNKNOWN),
    line("role", "attached",
         on_role("attach_role_policy", PolicyArn=managed("Allow")), alone=UNKNOWN),
    line("role", "boundary", on_role(
        "put_role_permissions_boundary", PermissionsBoundary=managed("Deny")), alone=UNKNOWN),
    line("role", "", delete_role, alone=MUTE),
]  # fmt: skip


def plain_secret(ground: Ground) -> None:
    one = ground.at("secret")
    ground.ssm.delete_parameter(Name=one.name)
    tags = [{"Key": TAG, "Value": ground.watch.name}]
    ground.ssm.put_parameter(Name=one.name, Value=one.value, Type="String", Tags=tags)


LOOSE_ENDS = [
    line("log group", "retention", on_log_group("put_retention_policy", retentionInDays=1)),
    line("log group", "retention", on_log_group("delete_retention_policy")),
    line("log group", "", on_log_group("delete_log_group")),
    line("secret", "value", put_secret("http://127.0.0.1:9/"), alone=MUTE),
    line("secret", "type", plain_secret,
         why="SSM changes no parameter's type: it is deleted and made anew, with our tag"),
    line("secret", "", lambda ground: ground.ssm.delete_parameter(Name=ground.at("secret").name),
         alone=MUTE),
]  # fmt: skip


LINES: list[Line] = [
    *TRAIL, *BUCKET, *RULE, *TOPIC, *queue_lines("receipts"), *queue_lines("dead letter"),
    *SUBSCRIPTIONS, *FUNCTION, *ROLE, *LOOSE_ENDS,
]  # fmt: skip
TABLE = Table(
    config=PLAIN,
    parts=parts,
    lines=LINES,
    on_the_way=frozenset({"rule", "topic", "person", "webhook", "function", "role", "secret"}),
    hops={
        **dict.fromkeys(("bucket", "trail"), "trail"),
        "rule": "rule",
        "topic": "topic",
        **dict.fromkeys(("webhook", "function", "role", "log group", "secret"), "discord"),
        "person": ADDRESS,
        **dict.fromkeys(("receipts", "receipt"), "proof"),
        "dead letter": "undelivered",
    },
    remembered=frozenset({"role", "secret"}),
)


@pytest.mark.parametrize("part", PLANNED)
def test_every_promised_leaf_has_a_line(part: str) -> None:
    assert TABLE.untold(part) == set()


def test_there_are_enough_ways_to_break_a_watch() -> None:
    assert len(TABLE.done) >= 60


def test_what_cannot_be_broken_says_why() -> None:
    assert all(one.why for one in LINES if not one.by)


# The ground


def prepare(world: World) -> None:
    """What an intruder brings along."""
    s3, iam, sqs = (world.client(service) for service in ("s3", "iam", "sqs"))
    where = {"LocationConstraint": PLACE.region}
    s3.create_bucket(Bucket=ELSEWHERE, CreateBucketConfiguration=where)
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": CLOUDTRAIL},
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{ELSEWHERE}", f"arn:aws:s3:::{ELSEWHERE}/*"],
        "Condition": {"StringEquals": {"aws:SourceAccount": PLACE.account}},
    }
    document = {"Version": "2012-10-17", "Statement": [allow]}
    s3.put_bucket_policy(Bucket=ELSEWHERE, Policy=json.dumps(document))
    trusted = json.dumps(PLANNED["role"].trust)
    iam.create_role(RoleName=OTHER_ROLE, AssumeRolePolicyDocument=trusted)
    sqs.create_queue(QueueName=SPARE)
    cloudtrail = {"Effect": "Allow", "Principal": {"Service": CLOUDTRAIL}}
    trusted = json.dumps({"Statement": [{**cloudtrail, "Action": "sts:AssumeRole"}]})
    iam.create_role(RoleName=DELIVERER, AssumeRolePolicyDocument=trusted)
    write = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [write]})
    iam.put_role_policy(RoleName=DELIVERER, PolicyName="write", PolicyDocument=policy)
    publish = {**cloudtrail, "Action": "sns:Publish", "Resource": PLACE.arn("sns", THEIR_TOPIC)}
    attributes = {"Policy": json.dumps({"Statement": [publish]})}
    world.client("sns").create_topic(Name=THEIR_TOPIC, Attributes=attributes)
    for effect in ("Allow", "Deny"):
        statement = {"Effect": effect, "Action": "ssm:*", "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        iam.create_policy(PolicyName=f"the-intruders-{effect}", PolicyDocument=json.dumps(document))


@pytest.fixture(scope="module")
def armed(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with TABLE.armed(running, tmp_path_factory.mktemp("watch"), prepare) as ground:
        yield ground


@pytest.fixture
def ground(armed: Ground) -> Ground:
    return rearmed(armed)


def test_an_armed_watch_tells_of_it(ground: Ground) -> None:
    assert judged(ground, []) == (Alarm.ARMED, Alarm.ARMED)
    assert struck(ground, "ctwatch-probe-armed") == (True, True)


@pytest.mark.parametrize("line", TABLE.done, ids=str)
def test_a_sabotage_shows_where_it_is_means_what_it_says_and_mends(
    line: Line, ground: Ground
) -> None:
    shows_means_and_mends(line, TABLE, ground)


def test_a_pattern_that_no_rule_can_have_is_deaf(ground: Ground) -> None:
    """EventBridge would refuse it, and so does the sandbox."""

    def nonsense(answer: Any) -> None:
        answer["EventPattern"] = '{"source": "aws.cloudtrail"}'

    with answering(ground.aws.events, "events.DescribeRule", nonsense):
        found = look(ground, [ground.at("rule")])
    assert told_of(ground, found) == {("rule", "pattern")}
    assert judged(ground, found) == (DEAF, DEAF)


def test_another_architecture_is_seen_and_mended(ground: Ground) -> None:
    """As AWS would tell it; moto's UpdateFunctionCode leaves the architecture as it was."""
    function = ground.at("function")

    def on_arm(answer: Any) -> None:
        answer["Configuration"]["Architectures"] = ["arm64"]

    with answering(ground.aws.functions, "lambda.GetFunction", on_arm):
        found = look(ground, [function])
    assert told_of(ground, found) == {("function", "architecture")}
    assert judged(ground, found) == (DEGRADED, DEGRADED)
    with ground.world.sandbox.recording() as calls:
        assert [step.error for step in build(found, ground.aws) if step.error] == []
    [sent] = [one.params for one in calls if one.writes]
    assert sent["Architectures"] == ["x86_64"]
    assert told_of(ground, look(ground, [function])) == set()


def test_a_dead_letter_queue_is_taken_from_a_mailbox_by_sending_no_value(ground: Ground) -> None:
    """SNS refuses an empty one, which moto does not."""
    set_subscription("person", "RedrivePolicy", SPARE_REDRIVE)(ground)
    with ground.world.sandbox.recording() as calls:
        list(build(look(ground, [ground.at("person")]), ground.aws))
    [sent] = [one.params for one in calls if one.writes]
    assert sent["AttributeName"] == "RedrivePolicy"
    assert "AttributeValue" not in sent


def test_a_bucket_that_shuts_everybody_out_is_unknown_until_the_root_user_opens_it(
    ground: Ground,
) -> None:
    bucket = ground.at("bucket")
    everything = [f"arn:aws:s3:::{bucket.name}", f"arn:aws:s3:::{bucket.name}/*"]
    shut = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": everything}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [shut]})
    on_bucket("put_bucket_policy", Policy=policy)(ground)
    found = look(ground, [bucket])
    assert [one.verdict for one in found] == [Verdict.UNKNOWN]
    assert "HeadBucket answered 403" in str(found[0].error)
    assert [step.error for step in build(found, ground.aws)] != [None]
    root = by_hand(ground.world.sandbox)("s3", PLACE.region, ROOT_KEY)
    root.delete_bucket_policy(Bucket=bucket.name)
    mended = look(ground, [bucket])
    missing = {("bucket", f"policy.{sid}") for sid in statements(bucket.policy)}
    assert told_of(ground, mended) == missing
    assert [step.error for step in build(mended, ground.aws) if step.error] == []


def test_the_wider_state_of_a_rule_is_no_sabotage(ground: Ground) -> None:
    """It hears all that ENABLED hears, and read-only calls too."""
    rule = ground.at("rule")
    put_rule(State="ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")(ground)
    assert told_of(ground, look(ground, [rule])) == set()
    put_rule()(ground)


@pytest.mark.parametrize("number", range(len(TABLE.rounds)))
def test_status_names_each_path_and_up_mends_and_names_it(number: int, ground: Ground) -> None:
    is_named_and_mended(TABLE.rounds[number], ground)


def test_after_all_that_it_is_armed_and_a_drill_proves_it(ground: Ground) -> None:
    is_proven(ground)
