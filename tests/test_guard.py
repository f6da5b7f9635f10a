"""Who guards the guard: every part of the alarm is cut, one at a time, and what is told of it.

Each cut is a real call against the sandbox. The table says by which way its alert still arrives:
`topic` (the first set of rules, or a rule of the config, by the topic: people, and the function if
it is still subscribed) and `function` (the second set, straight to the function: Discord). Where
neither can, `status` must say so.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from watch_world import ADDRESS, DISCORD, PLACE, World, world_of

from ctwatch.aws import Aws
from ctwatch.diagnose import diagnose
from ctwatch.engine import build, inspect
from ctwatch.findings import Finding, Verdict
from ctwatch.resources.base import Resource
from ctwatch.sandbox.server import Observed, Sandbox
from ctwatch.watch import Watch

CONFIG: dict[str, Any] = {
    "topic": {"emails": [ADDRESS]},
    "channels": DISCORD,
    "alerts": {"language": "en"},
    "rules": [
        {"name": "ct-detect", "detection": "trail-tampering"},
        {"name": "root", "detection": "root-login"},
        {"name": "guard", "detection": "pipeline-tampering"},
    ],
}
FAR = "us-east-1"
FUNCTION, TOPIC, ROLE = "lambda-ct-detect-alarm", "sns-cloudtrail-alarm", "ctwatch-notifier"
TOPIC_ARN = PLACE.arn("sns", TOPIC)
LOG = f"/aws/lambda/{FUNCTION}"
MAIL, POST = "mail", "discord"
ALL = {MAIL, POST}


@dataclass(frozen=True)
class Ground:
    """An armed watch, and how all of it looked."""

    world: World
    watch: Watch
    aws: Aws
    whole: dict[Resource, Finding]

    def look(self, some: Iterable[Resource]) -> dict[Resource, Finding]:
        return {one.resource: one for one in inspect(some, self.aws)}

    def verdict(self, seen: dict[Resource, Finding]) -> str:
        found = {**self.whole, **seen}
        return diagnose(self.watch, [found[x] for x in self.watch.resources], self.aws).verdict


@pytest.fixture(scope="module")
def ground(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with world_of(running, tmp_path_factory.mktemp("guard")) as world:
        world.use(CONFIG)
        up = world.run("up")
        assert up.code == 0, up.text
        world.click()
        here = world.open()
        whole = {one.resource: one for one in inspect(here.watch.resources, here.aws)}
        assert {one.verdict for one in whole.values()} == {Verdict.OK}
        yield Ground(world, here.watch, here.aws, whole)


Cut = Callable[["Hands"], Any]


@dataclass(frozen=True)
class Hands:
    """Clients of whoever cuts, at home and far away."""

    world: World

    def far(self, service: str) -> Any:
        return self.world.client(service, FAR)

    def __getattr__(self, service: str) -> Any:
        return self.world.client(service.rstrip("_"))

    def forget(self) -> None:
        """End the function's containers: a warm one goes on for a while with what it knows.

        Before a cut, not after it: the event of the cut is on its way to them at once. And what
        the mending before has set off would start new ones.
        """
        self.world.settle()
        self.world.sandbox._delivery.functions.drop()

    def queue(self, role: str, region: str = PLACE.region) -> str:
        sqs = self.far("sqs") if region == FAR else self.sqs
        return str(sqs.get_queue_url(QueueName=f"ctwatch-{role}")["QueueUrl"])

    def subscription(self, protocol: str) -> str:
        listed = self.sns.list_subscriptions_by_topic(TopicArn=TOPIC_ARN)["Subscriptions"]
        [found] = [one["SubscriptionArn"] for one in listed if one["Protocol"] == protocol]
        return str(found)


def disable(rule: str, *, far: bool = False) -> Cut:
    return lambda by: (by.far("events") if far else by.events).disable_rule(Name=rule)


def untarget(rule: str, target: str, *, far: bool = False) -> Cut:
    return lambda by: (by.far("events") if far else by.events).remove_targets(
        Rule=rule, Ids=[target]
    )


def narrow(rule: str) -> Cut:
    return lambda by: by.events.put_rule(Name=rule, EventPattern='{"source": ["aws.none"]}')


def redirect(rule: str, target: str) -> Cut:
    elsewhere = {"Id": target, "Arn": PLACE.arn("sqs", "theirs")}
    return lambda by: by.events.put_targets(Rule=rule, Targets=[elsewhere])


def shut_topic(by: Hands) -> None:
    policy = by.sns.get_topic_attributes(TopicArn=TOPIC_ARN)["Attributes"]["Policy"]
    document = json.loads(policy)
    document["Statement"] = document["Statement"][:1]
    by.sns.set_topic_attributes(
        TopicArn=TOPIC_ARN, AttributeName="Policy", AttributeValue=json.dumps(document)
    )


def narrow_subscription(protocol: str) -> Cut:
    return lambda by: by.sns.set_subscription_attributes(
        SubscriptionArn=by.subscription(protocol),
        AttributeName="FilterPolicy",
        AttributeValue='{"none": ["such"]}',
    )


def forbid(service: str) -> Cut:
    def cut(by: Hands) -> None:
        policy = json.loads(by.lambda_.get_policy(FunctionName=FUNCTION)["Policy"])
        sids = [one["Sid"] for one in policy["Statement"] if service in str(one["Principal"])]
        for sid in sids:
            by.lambda_.remove_permission(FunctionName=FUNCTION, StatementId=sid)

    return cut


def other_code(by: Hands) -> None:
    by.lambda_.update_function_configuration(FunctionName=FUNCTION, Handler="notifier.main.none")


def strip(role: str, policy: str) -> Cut:
    def cut(by: Hands) -> None:
        by.forget()
        by.iam.delete_role_policy(RoleName=role, PolicyName=policy)

    return cut


def trust_nobody(role: str) -> Cut:
    nobody = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"},
         "Action": "sts:AssumeRole"}]}  # fmt: skip

    def cut(by: Hands) -> None:
        by.forget()
        by.iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(nobody))

    return cut


def swap_webhook(by: Hands) -> None:
    by.forget()
    by.ssm.put_parameter(
        Name="/ctwatch/discord", Value="http://127.0.0.1:9/", Type="SecureString", Overwrite=True
    )


def attribute(role: str, region: str = PLACE.region) -> Cut:
    def cut(by: Hands) -> None:
        sqs = by.far("sqs") if region == FAR else by.sqs
        sqs.set_queue_attributes(QueueUrl=by.queue(role, region), Attributes={"Policy": ""})

    return cut


# What is cut, how, what still arrives of the alert about it, and what `status` calls it.
CUTS: list[tuple[str, Cut, set[str], str]] = [
    ("the rule, disabled", disable("ct-detect"), ALL, "DEAF"),
    ("the rule, without its target", untarget("ct-detect", "topic"), ALL, "DEAF"),
    ("the rule, with another target", redirect("ct-detect", "topic"), ALL, "DEAF"),
    ("the rule, narrowed", narrow("ct-detect"), ALL, "DEAF"),
    ("the first set's own rule, disabled", disable("guard-events"), {POST}, "DEAF"),
    ("the first set's own target", untarget("guard-events", "topic"), {POST}, "DEAF"),
    ("the second set's own rule, disabled", disable("guard-events-b"), ALL, "DEAF"),
    ("the second set's own target", untarget("guard-events-b", "function"), ALL, "DEAF"),
    ("another rule of the first set", disable("guard-lambda"), ALL, "DEAF"),
    ("another rule of the second set", narrow("guard-sns-b"), ALL, "DEAF"),
    ("the twin of a rule elsewhere", disable("root"), ALL, "DEAF"),
    ("a rule elsewhere, disabled", disable("root", far=True), ALL, "DEAF"),
    ("a rule elsewhere, without target", untarget("root", "home", far=True), ALL, "DEAF"),
    ("the guard elsewhere, first set", disable("guard-events", far=True), ALL, "DEAF"),
    ("the guard elsewhere, second set", disable("guard-events-b", far=True), ALL, "DEAF"),
    ("the guard of the role", disable("guard-iam", far=True), ALL, "DEAF"),
    ("the topic's policy", shut_topic, {POST}, "MUTE"),
    ("the topic", lambda by: by.sns.delete_topic(TopicArn=TOPIC_ARN), {POST}, "MUTE"),
    ("the function's subscription", lambda by: by.sns.unsubscribe(
        SubscriptionArn=by.subscription("lambda")), ALL, "DEGRADED"),
    ("the person's subscription", lambda by: by.sns.unsubscribe(
        SubscriptionArn=by.subscription("email")), {POST}, "DEGRADED"),
    ("the receipts' subscription", narrow_subscription("sqs"), ALL, "DEGRADED"),
    ("a filter before the function", narrow_subscription("lambda"), ALL, "DEGRADED"),
    ("the topic's right to call", forbid("sns.amazonaws.com"), ALL, "DEGRADED"),
    ("the rules' right to call", forbid("events.amazonaws.com"), ALL, "MUTE"),
    ("the function's code", other_code, {MAIL}, "MUTE"),
    ("the function, throttled", lambda by: by.lambda_.put_function_concurrency(
        FunctionName=FUNCTION, ReservedConcurrentExecutions=0), {MAIL}, "MUTE"),
    ("the function", lambda by: by.lambda_.delete_function(FunctionName=FUNCTION), {MAIL}, "MUTE"),
    ("the log group", lambda by: by.logs.delete_log_group(logGroupName=LOG), ALL, "DEGRADED"),
    ("its retention", lambda by: by.logs.put_retention_policy(
        logGroupName=LOG, retentionInDays=1), ALL, "DEGRADED"),
    ("the webhook, another one", swap_webhook, {MAIL}, "MUTE"),
    ("the webhook, deleted", lambda by: (
        by.forget(), by.ssm.delete_parameter(Name="/ctwatch/discord")), {MAIL}, "MUTE"),
    ("the receipts queue", lambda by: by.sqs.delete_queue(QueueUrl=by.queue("receipts")),
     ALL, "DEGRADED"),
    ("the receipts queue's policy", attribute("receipts"), ALL, "DEGRADED"),
    ("the dead-letter queue", lambda by: by.sqs.delete_queue(QueueUrl=by.queue("dead-letter")),
     ALL, "DEGRADED"),
    ("the dead-letter queue elsewhere", attribute("dead-letter", FAR), ALL, "DEGRADED"),
    ("the function's role, its rights", strip(ROLE, "notifier"), {MAIL}, "MUTE"),
    ("the function's role, its trust", trust_nobody(ROLE), {MAIL}, "MUTE"),
    ("the forwarder, its rights", strip("ctwatch-forwarder", "forwarder"), set(), "DEAF"),
    ("the forwarder, its trust", trust_nobody("ctwatch-forwarder"), set(), "DEAF"),
]  # fmt: skip


def arrived(world: World, calls: list[Observed]) -> set[str]:
    """By which ways the alert about one of these calls has come."""
    world.settle()
    ids = {one.event_id for one in calls if one.writes and one.event_id}
    inbox = world.sandbox.inbox
    mails = [one.text for one in inbox.mails]
    posts = [json.dumps(one.payload) for one in inbox.posts if one.status == 200]
    told = {MAIL: mails, POST: posts}
    return {way for way, texts in told.items() if any(i in text for i in ids for text in texts)}


def touched(ground: Ground, calls: list[Observed]) -> list[Resource]:
    """What these calls named; of all that hangs on a topic, all."""
    text = str([one.call.params for one in calls if one.writes])
    on_topic = {"topic", "subscription"} if TOPIC in text else set()
    return [x for x in ground.watch.resources if x.name in text or x.kind in on_topic]


@pytest.mark.parametrize(("what", "cut", "ways", "judged"), CUTS, ids=[one[0] for one in CUTS])
def test_whatever_is_cut_is_told_by_the_way_that_is_left(
    what: str, cut: Cut, ways: set[str], judged: str, ground: Ground
) -> None:
    with ground.world.sandbox.recording() as calls:
        cut(Hands(ground.world))
    here = touched(ground, calls)
    found = ground.look(here)
    try:
        assert arrived(ground.world, calls) == ways
        assert ground.verdict(found) == judged
    finally:
        errors = [one.error.problem for one in build([*found.values()], ground.aws) if one.error]
    assert errors == []
    if any(one.name == ADDRESS for one in here):
        ground.world.click()
    assert ground.verdict(ground.look(here)) == "ARMED"


def test_it_is_armed_after_all_that_and_down_leaves_nothing(ground: Ground) -> None:
    world = ground.world
    assert world.run("status").out.split()[0] == "ARMED"
    down = world.run("down", "--yes", "--delete-logs")
    assert down.code == 0
    assert world.sandbox.listing() == []


def test_every_kind_of_part_is_among_what_is_cut(ground: Ground) -> None:
    carried = {"rule", "topic", "subscription", "function", "role", "log group", "secret", "queue"}
    kinds = {one.kind for one in ground.watch.resources}
    assert kinds - carried == {"bucket", "trail"}  # log-bucket-tampering and trail-tampering
