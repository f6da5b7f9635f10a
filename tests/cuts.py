"""The parts of a planned watch, and the hand that cuts each: one real call, as somebody makes it.

The parts are read off the promises of the watch's resources, so that whatever is added to a watch
has to be cut here, or said to carry nothing.
"""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from watch_world import World

from ctwatch.resources.base import TAG, Resource
from ctwatch.watch import Watch

ITSELF = ""

# What of a promise carries alerts, by kind: what is one part, and what is one for each item.
WHOLE = {
    "rule": {"state", "pattern"},
    "topic": {ITSELF, "key"},
    "subscription": {ITSELF, "filter"},
    "function": {ITSELF, "code", "role", "handler", "concurrency"},
    "log group": {ITSELF, "retention"},
    "secret": {ITSELF, "value"},
    "queue": {ITSELF, "policy"},
    "role": {"trust", "attached", "boundary"},
    "key": {"state"},
}
EACH = {
    "rule": {"targets"},
    "topic": {"policy"},
    "function": {"permissions", "environment"},
    "role": {"inline"},
    "key": {"policy"},
}
# Cut by another line, of no weight, or (who follows a mail's link or answers STOP) recorded by
# nobody: test_sabotage breaks every leaf, and holds what `status` says of it.
BESIDE = {
    "rule": {"role", "schedule"},
    "secret": {"type"},
    "subscription": {"confirmed", "raw", "dead_letter", "opted_in"},
    "function": {"architecture", "runtime", "timeout", "memory", "layers", "network",
                 "on_failure", "retries"},
    "queue": {"retention", "visibility", "delay", "key", "redrive"},
    "key": {"rotation", "alias"},
}  # fmt: skip
GUARDED_ELSEWHERE = {"bucket", "trail"}
"""By log-bucket-tampering and trail-tampering."""


@dataclass(frozen=True)
class Part:
    """One part of a resource: "targets.topic", or "" for all of it."""

    one: Resource
    path: str

    def __str__(self) -> str:
        return f"{self.one.title}: {self.path or 'itself'}"

    @property
    def promise(self) -> Any:
        """What was promised of it."""
        key, _, item = self.path.partition(".")
        promise = self.one.wanted.get(key) if key else ITSELF
        return promise[item] if item else promise


def parts_of(watch: Watch) -> list[Part]:
    """Every part of a watch that can be cut, each under its name."""
    kinds = [one for one in watch.resources if one.kind not in GUARDED_ELSEWHERE]
    return [Part(one, path) for one in kinds for path in _paths(one)]


def _paths(one: Resource) -> Iterator[str]:
    wanted = one.wanted
    for key in (ITSELF, *wanted):
        if key in WHOLE[one.kind] and (key != "key" or wanted["key"]):
            yield key
        for item in wanted[key] if key in EACH.get(one.kind, ()) else ():
            if key != "environment" or item == "CTWATCH_CHANNELS" or item in _hidden(one):
                yield f"{key}.{item}"


def _hidden(one: Resource) -> frozenset[str]:
    """The names of a function's variables that hold a secret."""
    return getattr(one, "hidden", frozenset())


def unnamed(watch: Watch) -> set[str]:
    """What is promised, and is neither cut nor said to carry nothing."""
    known = {kind: WHOLE[kind] | EACH.get(kind, set()) | BESIDE.get(kind, set()) for kind in WHOLE}
    kinds = [one for one in watch.resources if one.kind not in GUARDED_ELSEWHERE]
    return {f"{one.kind} {key}" for one in kinds for key in {*one.wanted} - known[one.kind]}


@dataclass(frozen=True)
class Hand:
    """Clients of whoever cuts a part, in the region where it is."""

    world: World
    part: Part

    @property
    def one(self) -> Any:
        return self.part.one

    @property
    def item(self) -> str:
        return self.part.path.partition(".")[2]

    def __getattr__(self, service: str) -> Any:
        return self.world.client(service.rstrip("_"), self.one.place.region)

    def forget(self) -> None:
        """End the function's containers: a warm one goes on for a while with what it knows.

        Before a cut, not after it: the event of the cut is on its way to them at once. And what
        the mending before has set off would start new ones.
        """
        self.world.settle()
        self.world.sandbox._delivery.functions.drop()

    @property
    def queue(self) -> str:
        return str(self.sqs.get_queue_url(QueueName=self.one.name)["QueueUrl"])

    @property
    def subscription(self) -> str:
        listed = self.sns.list_subscriptions_by_topic(TopicArn=self.one.topic.arn)["Subscriptions"]
        [arn] = [
            each["SubscriptionArn"]
            for each in listed
            if (each["Protocol"], each["Endpoint"]) == (self.one.protocol, self.one.endpoint)
        ]
        return str(arn)


Cut = Callable[[Hand], Any]


def _less(document: str | dict[str, Any], sid: str) -> str:
    """A policy without one of its statements, which moto does not take empty."""
    policy = json.loads(document) if isinstance(document, str) else document
    left = [each for each in policy["Statement"] if each.get("Sid") != sid]
    return json.dumps({**policy, "Statement": left})


def _topic_statement(by: Hand) -> None:
    live = by.sns.get_topic_attributes(TopicArn=by.one.arn)["Attributes"]["Policy"]
    by.sns.set_topic_attributes(
        TopicArn=by.one.arn, AttributeName="Policy", AttributeValue=_less(live, by.item)
    )


def _key_statement(by: Hand) -> None:
    live = by.kms.get_key_policy(KeyId=_id(by), PolicyName="default")["Policy"]
    by.kms.put_key_policy(KeyId=_id(by), PolicyName="default", Policy=_less(live, by.item))


def _id(by: Hand) -> str:
    return str(by.kms.describe_key(KeyId=by.one.arn)["KeyMetadata"]["KeyId"])


def _filter(by: Hand) -> None:
    by.sns.set_subscription_attributes(
        SubscriptionArn=by.subscription,
        AttributeName="FilterPolicy",
        AttributeValue='{"none": ["such"]}',
    )


def _stripped(by: Hand) -> None:
    by.forget()
    by.iam.delete_role_policy(RoleName=by.one.name, PolicyName=by.item)


def _trusting_nobody(by: Hand) -> None:
    nobody = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"},
         "Action": "sts:AssumeRole"}]}  # fmt: skip
    by.forget()
    by.iam.update_assume_role_policy(RoleName=by.one.name, PolicyDocument=json.dumps(nobody))


def _other_secret(by: Hand) -> None:
    by.forget()
    by.ssm.put_parameter(
        Name=by.one.name, Value="http://127.0.0.1:9/", Type="SecureString", Overwrite=True
    )


def _forgotten_secret(by: Hand) -> None:
    by.forget()
    by.ssm.delete_parameter(Name=by.one.name)


def _other_variable(by: Hand) -> None:
    live = by.lambda_.get_function_configuration(FunctionName=by.one.name)["Environment"]
    by.lambda_.update_function_configuration(
        FunctionName=by.one.name,
        Environment={"Variables": {**live["Variables"], by.item: "http://127.0.0.1:9/"}},
    )


def _other_code(by: Hand) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("notifier/main.py", "def handler(*_): return None\n")
    by.lambda_.update_function_code(FunctionName=by.one.name, ZipFile=buffer.getvalue())


NOTHING = "nothing"
"""The name of the policy that whoever cuts has made for it."""


def _denying(by: Hand) -> str:
    """The ARN of a policy that denies everything, made by whoever cuts."""
    arn = f"arn:aws:iam::{by.one.place.account}:policy/{NOTHING}"
    nothing = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Action": "*", "Resource": "*"}]}  # fmt: skip
    with contextlib.suppress(by.iam.exceptions.EntityAlreadyExistsException):
        by.iam.create_policy(PolicyName=NOTHING, PolicyDocument=json.dumps(nothing))
    return arn


def _bounded(by: Hand) -> None:
    policy = _denying(by)
    by.forget()
    by.iam.put_role_permissions_boundary(RoleName=by.one.name, PermissionsBoundary=policy)


def _denied(by: Hand) -> None:
    policy = _denying(by)
    by.forget()
    by.iam.attach_role_policy(RoleName=by.one.name, PolicyArn=policy)


CUTS: dict[tuple[str, str], Cut] = {
    ("rule", "state"): lambda by: by.events.disable_rule(Name=by.one.name),
    ("rule", "pattern"): lambda by: by.events.put_rule(
        Name=by.one.name, EventPattern='{"source": ["aws.none"]}'),
    ("rule", "targets"): lambda by: by.events.remove_targets(Rule=by.one.name, Ids=[by.item]),
    ("topic", ITSELF): lambda by: by.sns.delete_topic(TopicArn=by.one.arn),
    ("topic", "policy"): _topic_statement,
    ("topic", "key"): lambda by: by.sns.set_topic_attributes(
        TopicArn=by.one.arn, AttributeName="KmsMasterKeyId", AttributeValue=""),
    ("subscription", ITSELF): lambda by: by.sns.unsubscribe(SubscriptionArn=by.subscription),
    ("subscription", "filter"): _filter,
    ("function", ITSELF): lambda by: by.lambda_.delete_function(FunctionName=by.one.name),
    ("function", "code"): _other_code,
    ("function", "role"): lambda by: by.lambda_.update_function_configuration(
        FunctionName=by.one.name, Role=by.one.place.role_arn("ctwatch-forwarder")),
    ("function", "handler"): lambda by: by.lambda_.update_function_configuration(
        FunctionName=by.one.name, Handler="notifier.main.none"),
    ("function", "concurrency"): lambda by: by.lambda_.put_function_concurrency(
        FunctionName=by.one.name, ReservedConcurrentExecutions=0),
    ("function", "permissions"): lambda by: by.lambda_.remove_permission(
        FunctionName=by.one.name, StatementId=by.item),
    ("function", "environment"): _other_variable,
    ("log group", ITSELF): lambda by: by.logs.delete_log_group(logGroupName=by.one.name),
    ("log group", "retention"): lambda by: by.logs.put_retention_policy(
        logGroupName=by.one.name, retentionInDays=1),
    ("secret", ITSELF): _forgotten_secret,
    ("secret", "value"): _other_secret,
    ("queue", ITSELF): lambda by: by.sqs.delete_queue(QueueUrl=by.queue),
    ("queue", "policy"): lambda by: by.sqs.set_queue_attributes(
        QueueUrl=by.queue, Attributes={"Policy": ""}),
    ("role", "trust"): _trusting_nobody,
    ("role", "inline"): _stripped,
    ("role", "attached"): _denied,
    ("role", "boundary"): _bounded,
    ("key", "state"): lambda by: by.kms.disable_key(KeyId=_id(by)),
    ("key", "policy"): _key_statement,
}  # fmt: skip


def cut(world: World, part: Part) -> None:
    """Cut it."""
    CUTS[part.one.kind, part.path.partition(".")[0]](Hand(world, part))


UNTAGGED: dict[str, Cut] = {
    "rule": lambda by: by.events.untag_resource(ResourceARN=by.one.arn, TagKeys=[TAG]),
    "topic": lambda by: by.sns.untag_resource(ResourceArn=by.one.arn, TagKeys=[TAG]),
    "function": lambda by: by.lambda_.untag_resource(Resource=by.one.arn, TagKeys=[TAG]),
    "log group": lambda by: by.logs.untag_resource(resourceArn=by.one.arn, tagKeys=[TAG]),
    "secret": lambda by: by.ssm.remove_tags_from_resource(
        ResourceType="Parameter", ResourceId=by.one.name, TagKeys=[TAG]),
    "queue": lambda by: by.sqs.untag_queue(QueueUrl=by.queue, TagKeys=[TAG]),
    "role": lambda by: by.iam.untag_role(RoleName=by.one.name, TagKeys=[TAG]),
}  # fmt: skip


def untag(world: World, one: Resource) -> None:
    """Take the watch's tag off it, without which it looks foreign and is not repaired."""
    UNTAGGED[one.kind](Hand(world, Part(one, ITSELF)))
