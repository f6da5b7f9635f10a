"""One line for every promised leaf: who breaks it, where that shows, what it means, that it mends.

A line says what an intruder (or a careless colleague) does by hand, at which exact paths the watch
then differs from its promise, and what `status` makes of it: for the watch with a mail and a
webhook, and for one with the webhook alone. Where a line is on the event's way, a real call is made
on a trail that does not exist, and the verdict is held against what really arrives.

A promise that no line breaks fails `test_every_promised_leaf_has_a_line`.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from watch_world import ADDRESS, PLACE, PLAIN, World, answering, planned, world_of

from ctwatch.aws import Aws
from ctwatch.diagnose import Alarm, diagnose
from ctwatch.diff import statements
from ctwatch.engine import Finding, Verdict, build, inspect
from ctwatch.resources.base import TAG, Resource
from ctwatch.sandbox.server import Sandbox
from ctwatch.watch import Watch

# Hundreds of times over the same lines, which the other tests cover: what counts here is time.
pytestmark = pytest.mark.usefixtures("unmeasured")

ARMED, DEGRADED = Alarm.ARMED, Alarm.DEGRADED
MUTE, DEAF, BLIND = Alarm.MUTE, Alarm.DEAF, Alarm.BLIND

ELSEWHERE = "the-intruders-bucket"
OTHER_ROLE = "the-intruders-role"
SPARE = "the-intruders-queue"


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
ON_THE_WAY = {"rule", "topic", "person", "webhook", "function", "role", "secret"}


@dataclass(frozen=True, kw_only=True)
class Ground:
    """An armed watch, and the hands that break it."""

    world: World
    watch: Watch
    aws: Aws
    whole: dict[Resource, Finding] = field(default_factory=dict)

    def at(self, part: str) -> Any:
        return parts(self.watch)[part]

    def __getattr__(self, service: str) -> Any:
        return self.world.client(service.rstrip("_"))


Break = Callable[[Ground], Any]


@dataclass(frozen=True)
class Line:
    """One sabotage.

    Attributes:
        at: which part.
        paths: exactly where it then differs; "" where it is gone.
        by: how it is done; None where AWS or the emulator lets nobody do it, and `why` says so.
        verdict: what `status` then says.
        alone: what it says where the webhook is the only channel.
        elsewhere: what goes with it at other parts, as (part, path).
        by_hand: whether only a person can mend it.
        unproven: why what arrives is not held against the verdict.
        why: why it cannot be done, or not more directly.
    """

    at: str
    paths: tuple[str, ...]
    by: Break | None
    verdict: Alarm = DEGRADED
    alone: Alarm = DEGRADED
    elsewhere: tuple[tuple[str, str], ...] = ()
    by_hand: bool = False
    unproven: str = ""
    why: str = ""

    @property
    def differing(self) -> set[tuple[str, str]]:
        return {(self.at, path) for path in self.paths} | set(self.elsewhere)

    def __str__(self) -> str:
        return f"{self.at}: {', '.join(self.paths) or 'gone'}"


def line(at: str, paths: str, by: Break | None, verdict: Alarm = DEGRADED, **more: Any) -> Line:
    """A line; what is worse than DEGRADED with a mail is as bad without."""
    more.setdefault("alone", verdict)
    return Line(at, tuple(paths.split(" ")), by, verdict, **more)


def impossible(at: str, path: str, why: str) -> Line:
    return Line(at, (path,), None, why=why)


# Policies: each leaf of each statement, and what may be added or taken away

Document = dict[str, Any]
Change = Callable[[list[Document]], list[Document]]

ALTERED: dict[str, Callable[[Document], Any]] = {
    "effect": lambda one: {"Effect": "Deny" if one["Effect"] == "Allow" else "Allow"},
    "action": lambda one: {"Action": _other_action(one)},
    "resource": lambda one: {"Resource": f"{_one(one['Resource'])}/not"},
    "principal.Service": lambda _: {"Principal": {"Service": "config.amazonaws.com"}},
    "principal.AWS": lambda _: {"Principal": {"AWS": PLACE.account}},
}


def _one(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value)


def _other_action(statement: Document) -> str:
    service = _one(statement["Action"]).split(":")[0].lower()
    return "sts:AssumeRoleWithSAML" if service == "sts" else f"{service}:Tag*"


def altered(statement: Document, leaf: str) -> Document:
    """The statement, another at one leaf of its normal form."""
    if leaf in ALTERED:
        return {**statement, **ALTERED[leaf](statement)}
    _, operator, key = leaf.split(".")
    condition = deepcopy(statement["Condition"])
    [name] = [one for one in condition[operator] if one.lower() == key]
    other = "true" if key == "aws:securetransport" else f"not-ours-{statement['Sid']}"
    condition[operator][name] = other
    return {**statement, "Condition": condition}


def leaves(state: Any, path: str = "") -> Iterator[str]:
    """The paths at which `diff.compare` would look, for a promise."""
    if not isinstance(state, Mapping):
        yield path
        return
    for key in sorted(state):
        yield from leaves(state[key], f"{path}.{key}" if path else str(key))


@dataclass(frozen=True)
class Policy:
    """A policy, and how a hand gets at it.

    Attributes:
        at: the part that has it.
        path: where its statements stand in the promise.
        document: the name of the part's property that holds it as it is sent.
        get: how it is read.
        put: how it is put.
    """

    at: str
    path: str
    document: str
    get: Callable[[Ground], Document | str]
    put: Callable[[Ground, Document], Any]

    @property
    def promised(self) -> Document:
        return dict(getattr(PLANNED[self.at], self.document))

    def changed(self, change: Change) -> Break:
        """Put it with its statements changed; what else was changed before stays so."""

        def by(ground: Ground) -> None:
            live = self.get(ground)
            policy = json.loads(live) if isinstance(live, str) else live
            self.put(ground, {**policy, "Statement": change(deepcopy(policy["Statement"]))})

        return by

    def lines(self, special: Mapping[str, Mapping[str, Any]]) -> Iterator[Line]:
        """A line for each leaf, for each statement taken away, and for one added.

        Args:
            special: by path below `path`, the keywords of a line that is not simply DEGRADED;
                `first` is done before, and then differs `along`.
        """
        listed = self.promised["Statement"]
        for sid, statement in statements(self.promised).items():
            for leaf in leaves(statement):
                yield self._line(f"{sid}.{leaf}", _alter(sid, leaf), special)
            if len(listed) > 1:
                yield self._line(sid, _drop(sid), special)
        yield self._line("Added", _add(listed[0]), special)

    def _line(self, below: str, change: Change, special: Mapping[str, Mapping[str, Any]]) -> Line:
        given = dict(special.get(below, {}))
        first, along = given.pop("first", None), given.pop("along", "")
        then = self.changed(change)
        by = then if first is None else lambda ground: (first(ground), then(ground))
        return line(self.at, f"{self.path}.{below} {along}".strip(), by, **given)


def _alter(sid: str, leaf: str) -> Change:
    return lambda all_: [altered(one, leaf) if one.get("Sid") == sid else one for one in all_]


def _drop(sid: str) -> Change:
    return lambda all_: [one for one in all_ if one.get("Sid") != sid]


def _add(first: Document) -> Change:
    """Somebody else may do something."""
    who = {"Principal": {"Service": "config.amazonaws.com"}} if "Principal" in first else {}
    added = {**first, "Sid": "Added", **who, "Effect": "Allow", "Action": _other_action(first)}
    return lambda all_: [*all_, added]


def of_each(document: Document, prefix: str, **keywords: Any) -> dict[str, Mapping[str, Any]]:
    """The same keywords for all leaves of the statements whose Sid begins with `prefix`."""
    found: dict[str, Mapping[str, Any]] = {}
    for sid, statement in statements(document).items():
        if sid.startswith(prefix):
            found[sid] = keywords
            found |= {f"{sid}.{leaf}": keywords for leaf in leaves(statement)}
    return found


# The bucket

BLOCK = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)


def on_bucket(operation: str, **given: Any) -> Break:
    return lambda ground: getattr(ground.s3, operation)(Bucket=ground.at("bucket").name, **given)


def unblocked(key: str) -> Break:
    return on_bucket(
        "put_public_access_block", PublicAccessBlockConfiguration={**BLOCK, key: False}
    )


def encrypted_with(algorithm: str) -> Break:
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}]
    configuration = {"Rules": rules}
    return on_bucket("put_bucket_encryption", ServerSideEncryptionConfiguration=configuration)


EXPIRY = {"ID": "soon", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}


BUCKET_POLICY = Policy(
    "bucket",
    "policy",
    "policy",
    lambda ground: ground.s3.get_bucket_policy(Bucket=ground.at("bucket").name)["Policy"],
    lambda ground, policy: ground.s3.put_bucket_policy(
        Bucket=ground.at("bucket").name, Policy=json.dumps(policy)
    ),
)


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
    *BUCKET_POLICY.lines({
        # As it would be public, S3 takes it only when public policies are not blocked.
        "DenyInsecureTransport.effect": {
            "first": unblocked("BlockPublicPolicy"),
            "along": "public_access_block.BlockPublicPolicy",
        },
    }),
    line("bucket", "", on_bucket("delete_bucket")),
]  # fmt: skip


# The trail


def update_trail(**given: Any) -> Break:
    return lambda ground: ground.cloudtrail.update_trail(Name=ground.at("trail").name, **given)


def on_trail(operation: str, **given: Any) -> Break:
    return lambda ground: getattr(ground.cloudtrail, operation)(
        TrailName=ground.at("trail").name, **given
    )


def basic(**given: Any) -> Break:
    selector = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
    return on_trail("put_event_selectors", EventSelectors=[{**selector, **given}])


def advanced(**fields: Any) -> Break:
    asked = [{"Field": name, **test} for name, test in fields.items()]
    selectors = [{"Name": "theirs", "FieldSelectors": asked}]
    return on_trail("put_event_selectors", AdvancedEventSelectors=selectors)


def log_to_a_group(ground: Ground) -> None:
    group, role = ground.at("log group").arn, ground.at("role").arn
    update_trail(CloudWatchLogsLogGroupArn=f"{group}:*", CloudWatchLogsRoleArn=role)(ground)


def encrypt_the_trail(ground: Ground) -> None:
    key = ground.kms.create_key()["KeyMetadata"]["Arn"]
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
    line("trail", "notifications", update_trail(SnsTopicName="sns-cloudtrail-alarm")),
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


def put_rule(change: Callable[[Any], Any] | None = None, **given: Any) -> Break:
    """Put the rule with its pattern changed in place, or with other settings."""

    def by(ground: Ground) -> None:
        rule = ground.at("rule")
        pattern = json.loads(json.dumps(rule.pattern))
        if change:
            change(pattern)
        ground.events.put_rule(**{"Name": rule.name, "EventPattern": json.dumps(pattern), **given})

    return by


def only_on_schedule(ground: Ground) -> None:
    ground.events.put_rule(Name=ground.at("rule").name, ScheduleExpression="rate(1 day)")


def put_target(change: Callable[[Ground, Any], Any], target_id: str = "topic") -> Break:
    def by(ground: Ground) -> None:
        rule = ground.at("rule")
        [target] = deepcopy(rule._targets)
        change(ground, target)
        ground.events.put_targets(Rule=rule.name, Targets=[{**target, "Id": target_id}])

    return by


def with_target(**given: Any) -> Break:
    return put_target(lambda _, target: target.update(given))


def to_the_spare_queue(_: Ground, target: Any) -> None:
    target["Arn"] = PLACE.arn("sqs", SPARE)


def remove_targets(ground: Ground) -> None:
    ground.events.remove_targets(Rule=ground.at("rule").name, Ids=["topic"])


def delete_rule(ground: Ground) -> None:
    remove_targets(ground)
    ground.events.delete_rule(Name=ground.at("rule").name)


NOT_READ = "what the target is sent, or as which role, is not judged: status says the worst"
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
    line("rule", "targets.topic.InputPath", with_target(InputPath="$.detail"), DEAF,
         unproven=NOT_READ),
    line("rule", "targets.topic.InputTransformer", with_target(InputTransformer=TRANSFORMER), DEAF),
    line("rule", "targets.topic.RoleArn", with_target(RoleArn=PLACE.role_arn(OTHER_ROLE)), DEAF),
    line("rule", "targets.theirs", put_target(to_the_spare_queue, "theirs")),
    line("rule", "targets.topic", remove_targets, DEAF),
    line("rule", "", delete_rule, DEAF),
]  # fmt: skip


# The topic


def set_topic(attribute: str, value: str) -> Break:
    return lambda ground: ground.sns.set_topic_attributes(
        TopicArn=ground.at("topic").arn, AttributeName=attribute, AttributeValue=value
    )


def topic_policy(ground: Ground) -> str:
    attributes = ground.sns.get_topic_attributes(TopicArn=ground.at("topic").arn)["Attributes"]
    return str(attributes["Policy"])


TOPIC_POLICY = Policy(
    "topic",
    "policy",
    "policy",
    topic_policy,
    lambda ground, policy: set_topic("Policy", json.dumps(policy))(ground),
)


def conditioned(statements: list[Document]) -> list[Document]:
    """The Condition that looks wise and silences everything."""
    rule = {"ArnEquals": {"aws:SourceArn": PLANNED["rule"].arn}}
    first, second = statements
    return [first, {**second, "Condition": rule}]


def denied(principal: Any) -> Break:
    deny = {"Sid": "Deny", "Effect": "Deny", "Principal": principal, "Action": "sns:*"}
    return TOPIC_POLICY.changed(lambda all_: [*all_, {**deny, "Resource": PLANNED["topic"].arn}])


GRANT = of_each(PLANNED["topic"].policy, "AllowEventBridgePublish", verdict=MUTE)

TOPIC = [
    line("topic", "key", set_topic("KmsMasterKeyId", "alias/aws/sns"), MUTE),
    line("topic", "policy.AllowEventBridgePublish.condition",
         TOPIC_POLICY.changed(conditioned), MUTE),
    line("topic", "policy.Deny", denied("*"), MUTE),
    line("topic", "policy.Deny",
         denied({"Service": ["events.amazonaws.com", "s3.amazonaws.com"]}), MUTE),
    line("topic", "policy.Deny", denied({"AWS": f"arn:aws:iam::{PLACE.account}:root"})),
    *TOPIC_POLICY.lines({
        **GRANT,
        "__default_statement_ID.effect": {
            "verdict": MUTE,
            "unproven": "whether a conditioned Deny meets EventBridge is not judged",
        },
    }),
    line("topic", "", lambda ground: ground.sns.delete_topic(TopicArn=ground.at("topic").arn), MUTE,
         elsewhere=(("person", ""), ("webhook", ""), ("receipt", ""))),
]  # fmt: skip


# The queues


def set_queue(at: str, **attributes: str) -> Break:
    return lambda ground: ground.sqs.set_queue_attributes(
        QueueUrl=queue_url(ground, at), Attributes=attributes
    )


def queue_url(ground: Ground, at: str) -> str:
    return str(ground.sqs.get_queue_url(QueueName=ground.at(at).name)["QueueUrl"])


def queue_lines(at: str) -> list[Line]:
    redrive = json.dumps({"deadLetterTargetArn": PLACE.arn("sqs", SPARE), "maxReceiveCount": 1})
    sids = statements(PLANNED[at].policy)

    def get(ground: Ground) -> str:
        url = queue_url(ground, at)
        found = ground.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        return str(found["Attributes"]["Policy"])

    def put(ground: Ground, policy: Document) -> None:
        set_queue(at, Policy=json.dumps(policy))(ground)

    return [
        line(at, "retention", set_queue(at, MessageRetentionPeriod="60")),
        line(at, "visibility", set_queue(at, VisibilityTimeout="43200")),
        line(at, "delay", set_queue(at, DelaySeconds="900")),
        line(at, "key", set_queue(at, KmsMasterKeyId="alias/aws/sqs")),
        line(at, "redrive", set_queue(at, RedrivePolicy=redrive)),
        line(at, " ".join(f"policy.{sid}" for sid in sids), set_queue(at, Policy="")),
        *Policy(at, "policy", "policy", get, put).lines({}),
        line(at, "", lambda ground: ground.sqs.delete_queue(QueueUrl=queue_url(ground, at))),
    ]


# The subscriptions


def subscription(ground: Ground, at: str) -> str:
    one = ground.at(at)
    listed = ground.sns.list_subscriptions_by_topic(TopicArn=one.topic.arn)["Subscriptions"]
    [found] = [x["SubscriptionArn"] for x in listed if x["Endpoint"] == one.endpoint]
    return str(found)


def set_subscription(at: str, attribute: str, value: str) -> Break:
    return lambda ground: ground.sns.set_subscription_attributes(
        SubscriptionArn=subscription(ground, at), AttributeName=attribute, AttributeValue=value
    )


def unsubscribe(at: str) -> Break:
    return lambda ground: ground.sns.unsubscribe(SubscriptionArn=subscription(ground, at))


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
    line("person", "confirmed", ask_again, alone=ARMED, by_hand=True),
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


def configure(**given: Any) -> Break:
    return lambda ground: ground.lambda_.update_function_configuration(
        FunctionName=ground.at("function").name, **given
    )


def on_function(operation: str, **given: Any) -> Break:
    return lambda ground: getattr(ground.lambda_, operation)(
        FunctionName=ground.at("function").name, **given
    )


def with_variable(name: str, value: str) -> Break:
    def by(ground: Ground) -> None:
        variables = dict(ground.at("function").environment)
        configure(Environment={"Variables": {**variables, name: value}})(ground)

    return by


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
NO_JUDGE = "the sandbox does not judge what a session of a role may call"
NOT_JUDGED = "what it does to the notifier cannot be judged from here: status says the worst"


def function(paths: str, by: Break, *, alone: Alarm = DEGRADED, **more: Any) -> Line:
    return line("function", paths, by, alone=alone, **more)


FUNCTION = [
    function("code", on_function("update_function_code", ZipFile=code_of_theirs()), alone=MUTE),
    impossible("function", "architecture", "moto's functions keep theirs; see below"),
    function("role", configure(Role=PLACE.role_arn(OTHER_ROLE)), alone=MUTE, unproven=NO_JUDGE),
    function("runtime", configure(Runtime="nodejs22.x"), alone=MUTE),
    function("handler", configure(Handler="notifier.main.nothing"), alone=MUTE),
    function("timeout", configure(Timeout=14)),
    function("timeout", configure(Timeout=1), alone=MUTE, unproven=NOT_JUDGED),
    function("memory", configure(MemorySize=128)),
    function("layers", with_a_layer, alone=MUTE, unproven=NOT_JUDGED),
    function("network", configure(VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": []}),
             alone=MUTE, unproven=NOT_JUDGED),
    function("concurrency", on_function(
        "put_function_concurrency", ReservedConcurrentExecutions=0), alone=MUTE),
    function("concurrency", on_function(
        "put_function_concurrency", ReservedConcurrentExecutions=5)),
    function("environment.CTWATCH_CHANNELS",
             with_variable("CTWATCH_CHANNELS", NO_CHANNEL), alone=MUTE),
    function("environment.CTWATCH_BUCKET", with_variable("CTWATCH_BUCKET", ELSEWHERE)),
    function("environment.CTWATCH_LANGUAGE", with_variable("CTWATCH_LANGUAGE", "tlh")),
    function("environment.CTWATCH_TIMEZONE", with_variable("CTWATCH_TIMEZONE", "Moon/Tycho")),
    function("environment.CTWATCH_TRAIL", with_variable("CTWATCH_TRAIL", "")),
    function("environment.CTWATCH_WATCH", with_variable("CTWATCH_WATCH", "theirs")),
    function("environment.HTTP_PROXY", with_variable("HTTP_PROXY", "http://127.0.0.1:9"),
             alone=MUTE, unproven=NOT_JUDGED),
    function("environment.PYTHONPATH", with_variable("PYTHONPATH", "/tmp/theirs"),
             alone=MUTE, unproven=NOT_JUDGED),
    function(PERMISSION, on_function("remove_permission", StatementId=SID), alone=MUTE),
    function(f"{PERMISSION}.action", permit_instead(Action="lambda:GetFunction"), alone=MUTE),
    function(f"{PERMISSION}.principal.Service",
             permit_instead(Principal="s3.amazonaws.com"), alone=MUTE),
    function(f"{PERMISSION}.condition.ArnLike.aws:sourcearn",
             permit_instead(SourceArn=PLACE.arn("sns", "theirs")), alone=MUTE),
    function(f"{PERMISSION}.condition", permit_instead(SourceArn="")),
    function("permissions.theirs", permit("theirs", Principal="s3.amazonaws.com")),
    impossible("function", f"{PERMISSION}.effect", "AddPermission only ever allows"),
    impossible("function", f"{PERMISSION}.resource",
               "AddPermission writes the function's own ARN, or that of an alias elsewhere"),
    function("on_failure retries", on_function("delete_function_event_invoke_config")),
    function("", on_function("delete_function"), alone=MUTE),
]  # fmt: skip


# The role, its log group, its secret


def on_role(operation: str, **given: Any) -> Break:
    return lambda ground: getattr(ground.iam, operation)(RoleName=ground.at("role").name, **given)


TRUST = Policy(
    "role",
    "trust",
    "trust",
    lambda ground: on_role("get_role")(ground)["Role"]["AssumeRolePolicyDocument"],
    lambda ground, policy: on_role("update_assume_role_policy", PolicyDocument=json.dumps(policy))(
        ground
    ),
)


def put_inline(ground: Ground, policy: Document, name: str = "notifier") -> None:
    on_role("put_role_policy", PolicyName=name, PolicyDocument=json.dumps(policy))(ground)


INLINE = Policy(
    "role",
    "inline.notifier",
    "policy",
    lambda ground: on_role("get_role_policy", PolicyName="notifier")(ground)["PolicyDocument"],
    put_inline,
)


def inline(effect: str, action: str) -> Break:
    statement = {"Sid": "Theirs", "Effect": effect, "Action": action, "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return lambda ground: put_inline(ground, policy, "theirs")


def managed(effect: str) -> str:
    return f"arn:aws:iam::{PLACE.account}:policy/the-intruders-{effect}"


def delete_role(ground: Ground) -> None:
    on_role("delete_role_policy", PolicyName="notifier")(ground)
    on_role("delete_role")(ground)


READS_SECRETS = of_each(PLANNED["role"].policy, "Ssm", alone=MUTE, unproven=NO_JUDGE)
ASSUMED = of_each(PLANNED["role"].trust, "Assume", alone=MUTE)

ROLE = [
    *TRUST.lines(ASSUMED),
    *INLINE.lines(READS_SECRETS),
    line("role", "inline.notifier",
         on_role("delete_role_policy", PolicyName="notifier"), alone=MUTE, unproven=NO_JUDGE),
    line("role", "inline.theirs", inline("Allow", "ec2:*")),
    line("role", "inline.theirs", inline("Deny", "ssm:*"), alone=MUTE, unproven=NO_JUDGE),
    line("role", "inline.theirs", inline("Deny", "sqs:*")),
    line("role", "attached", on_role("attach_role_policy", PolicyArn=managed("Deny")), alone=MUTE,
         unproven=NO_JUDGE),
    line("role", "attached", on_role("attach_role_policy", PolicyArn=managed("Allow")), alone=MUTE,
         unproven=NOT_JUDGED),
    line("role", "boundary", on_role(
        "put_role_permissions_boundary", PermissionsBoundary=managed("Deny")), alone=MUTE,
        unproven=NO_JUDGE),
    line("role", "", delete_role, alone=MUTE),
]  # fmt: skip


def put_secret(ground: Ground, value: str) -> None:
    ground.ssm.put_parameter(
        Name=ground.at("secret").name, Value=value, Type="SecureString", Overwrite=True
    )


def plain_secret(ground: Ground) -> None:
    one = ground.at("secret")
    ground.ssm.delete_parameter(Name=one.name)
    tags = [{"Key": TAG, "Value": ground.watch.name}]
    ground.ssm.put_parameter(Name=one.name, Value=one.value, Type="String", Tags=tags)


def on_log_group(operation: str, **given: Any) -> Break:
    return lambda ground: getattr(ground.logs, operation)(
        logGroupName=ground.at("log group").name, **given
    )


LOOSE_ENDS = [
    line("log group", "retention", on_log_group("put_retention_policy", retentionInDays=1)),
    line("log group", "retention", on_log_group("delete_retention_policy")),
    line("log group", "", on_log_group("delete_log_group")),
    line("secret", "value", lambda ground: put_secret(ground, "http://127.0.0.1:9/"), alone=MUTE),
    line("secret", "type", plain_secret,
         why="SSM changes no parameter's type: it is deleted and made anew, with our tag"),
    line("secret", "", lambda ground: ground.ssm.delete_parameter(Name=ground.at("secret").name),
         alone=MUTE),
]  # fmt: skip


LINES: list[Line] = [
    *TRAIL, *BUCKET, *RULE, *TOPIC, *queue_lines("receipts"), *queue_lines("dead letter"),
    *SUBSCRIPTIONS, *FUNCTION, *ROLE, *LOOSE_ENDS,
]  # fmt: skip
DONE = [one for one in LINES if one.by]


@pytest.mark.parametrize("part", PLANNED)
def test_every_promised_leaf_has_a_line(part: str) -> None:
    promised = set(leaves(PLANNED[part].wanted))
    told = {path for one in LINES if one.at == part for path in one.paths}
    assert promised - told == set()


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
    trust = json.dumps(PLANNED["role"].trust)
    iam.create_role(RoleName=OTHER_ROLE, AssumeRolePolicyDocument=trust)
    sqs.create_queue(QueueName=SPARE)
    for effect in ("Allow", "Deny"):
        statement = {"Effect": effect, "Action": "ssm:*", "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        iam.create_policy(PolicyName=f"the-intruders-{effect}", PolicyDocument=json.dumps(document))


@pytest.fixture(scope="module")
def armed(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One armed watch for the whole file: each repair restores it."""
    with world_of(running, tmp_path_factory.mktemp("watch")) as world:
        world.use(PLAIN)
        prepare(world)
        assert world.run("up").code == 0
        here = world.open()
        yield Ground(world=world, watch=here.watch, aws=here.aws)


@pytest.fixture
def ground(armed: Ground) -> Ground:
    """The same, armed again should a test before have failed half way."""
    if not armed.whole:
        list(build(inspect(armed.watch.resources, armed.aws), armed.aws))
        armed.world.click()
        found = inspect(armed.watch.resources, armed.aws)
        assert {one.verdict for one in found} == {Verdict.OK}
        armed.whole.update({one.resource: one for one in found})
    return armed


def look(ground: Ground, some: Iterable[Resource]) -> list[Finding]:
    return inspect(list(some), ground.aws)


def told_of(ground: Ground, findings: Sequence[Finding]) -> set[tuple[str, str]]:
    """Where findings differ from the promise, as lines tell it."""
    names = {one: part for part, one in parts(ground.watch).items()}
    found = {(names[one.resource], d.path) for one in findings for d in one.differences}
    missing = (one for one in findings if one.verdict is Verdict.MISSING)
    return found | {(names[one.resource], "") for one in missing}


def judged(ground: Ground, findings: Sequence[Finding]) -> tuple[Alarm, Alarm]:
    """What `status` says of them, with the mail and without it."""
    seen = {**ground.whole, **{one.resource: one for one in findings}}
    with_mail = diagnose(ground.watch, [seen[one] for one in ground.watch.resources], ground.aws)
    alone, topic = replace(ground.watch, people=()), ground.watch.topic
    seen[topic] = _without_mail(seen[topic])
    without = diagnose(alone, [seen[one] for one in alone.resources], ground.aws)
    return with_mail.verdict, without.verdict


def _without_mail(topic: Finding) -> Finding:
    """The topic as it would be if nobody had asked for mail."""
    if not topic.live:
        return topic
    listeners = [one for one in topic.live.facts["subscriptions"] if one[0] != "email"]
    return replace(topic, live=replace(topic.live, facts={"subscriptions": listeners}))


def struck(ground: Ground, name: str, *, cold: bool = False) -> tuple[bool, bool]:
    """Stop the logging of a trail that does not exist; whether mail and webhook told of it."""
    sandbox = ground.world.sandbox
    if cold:  # a warm container still knows its secrets
        sandbox._delivery.functions.drop()
    with pytest.raises(ground.cloudtrail.exceptions.TrailNotFoundException):
        ground.cloudtrail.stop_logging(Name=name)
    ground.world.settle()
    mail = any("eventName" in one.text and name in one.text for one in sandbox.inbox.mails)
    post = any(one.status == 200 and name in str(one.payload) for one in sandbox.inbox.posts)
    return mail, post


def test_an_armed_watch_tells_of_it(ground: Ground) -> None:
    assert judged(ground, []) == (Alarm.ARMED, Alarm.ARMED)
    assert struck(ground, "ctwatch-probe-armed") == (True, True)


@pytest.mark.parametrize("line", DONE, ids=str)
def test_a_sabotage_shows_where_it_is_means_what_it_says_and_mends(
    line: Line, ground: Ground
) -> None:
    assert line.by
    whole, touched = dict(ground.whole), {ground.at(part) for part, _ in line.differing}
    ground.whole.clear()
    line.by(ground)
    found = look(ground, touched)
    assert told_of(ground, found) == line.differing
    ground.whole.update(whole)
    verdicts = judged(ground, found)
    ground.whole.clear()
    assert verdicts == (line.verdict, line.alone)

    if (line.at in ON_THE_WAY or line.verdict is not DEGRADED) and not line.unproven:
        name, cold = f"ctwatch-probe-{DONE.index(line)}", line.at in {"role", "secret"}
        mail, post = struck(ground, name, cold=cold)
        assert (mail or post) is (line.verdict is DEGRADED)
        assert post is (line.alone in {ARMED, DEGRADED})

    steps = list(build(found, ground.aws))
    assert [step.error for step in steps if step.error] == []
    if ("person", "") in line.differing or line.by_hand:
        ground.world.click()
    mended = look(ground, touched)
    assert told_of(ground, mended) == set()
    ground.whole.update({**whole, **{one.resource: one for one in mended}})


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


def test_the_wider_state_of_a_rule_is_no_sabotage(ground: Ground) -> None:
    """It hears all that ENABLED hears, and read-only calls too."""
    rule = ground.at("rule")
    put_rule(State="ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")(ground)
    assert told_of(ground, look(ground, [rule])) == set()
    put_rule()(ground)


# At the command line


def rounds() -> list[list[Line]]:
    """The lines in as few rounds as may be, none in the way of another in its round."""
    found: list[tuple[set[tuple[str, str]], list[Line]]] = []
    for one in DONE:
        taken = {(part, _reach(part, path, one)) for part, path in one.differing}
        for held, lines in found:
            if not any(_in_the_way(mine, theirs) for mine in taken for theirs in held):
                held.update(taken)
                lines.append(one)
                break
        else:
            found.append((taken, [one]))
    return [lines for _, lines in found]


def _reach(part: str, path: str, line: Line) -> str:
    """How much of a part a line leaves no room in: a policy is changed leaf by leaf."""
    if line.by_hand or not path or part == "secret":
        return ""
    for policy in ("policy.", "trust.", "inline.notifier."):
        if path.startswith(policy):
            leaf = path in leaves(PLANNED[part].wanted) or path.endswith((".Added", ".Deny"))
            return f"{path}." if leaf else policy
    if part == "rule":  # PutRule is given all but the targets, and resets what it is not given
        return "targets." if path.startswith("targets.") else "rule."
    return f"{path.partition('.')[0]}."


def _in_the_way(mine: tuple[str, str], theirs: tuple[str, str]) -> bool:
    one, other = mine[1], theirs[1]
    return mine[0] == theirs[0] and (one.startswith(other) or other.startswith(one))


ROUNDS = rounds()


@pytest.mark.parametrize("number", range(len(ROUNDS)))
def test_status_names_each_path_and_up_mends_and_names_it(number: int, ground: Ground) -> None:
    lines, whole = ROUNDS[number], dict(ground.whole)
    ground.whole.clear()
    for one in lines:
        assert one.by
        one.by(ground)
    status = ground.world.run("status", "-v")
    assert status.code == 3
    up = ground.world.run("up")
    assert up.code == 0
    told = [(ground.at(one.at).title, path, one) for one in lines for path in one.paths]
    assert [x for x in told if _as_status_says(*x[:2]) not in status.out] == []
    assert [x for x in told if not x[2].by_hand and not _mended(*x[:2], up.err_lines)] == []
    ground.world.click()
    status = ground.world.run("status")
    assert (status.code, status.out.split()[0]) == (0, "ARMED")
    ground.whole.update(whole)


def _as_status_says(title: str, path: str) -> str:
    return f"{title}: {path}" if path else f"{title} does not exist"


def _mended(title: str, path: str, lines: Sequence[str]) -> bool:
    done = f"~ repaired {title}: " if path else f"+ created {title}"
    return any(done in line and path in line for line in lines)
