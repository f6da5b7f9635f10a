"""The same for what a watch has only when asked: keys, CloudWatch Logs, news of log files, tags,
text messages."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hands import (
    inline_policy,
    on_log_group,
    on_role,
    queue_url,
    set_subscription,
    set_topic,
    topic_policy,
    trust,
    unsubscribe,
    update_trail,
)
from sabotage import (
    ARMED,
    DEAF,
    DEGRADED,
    MUTE,
    UNKNOWN,
    Break,
    Document,
    Ground,
    Line,
    Policy,
    Table,
    impossible,
    is_named_and_mended,
    is_proven,
    judged,
    leaves,
    line,
    look,
    of_each,
    rearmed,
    shows_means_and_mends,
    struck,
)
from watch_world import PLACE, PLAIN, World, planned

from ctwatch.diagnose import Alarm, faults_of
from ctwatch.engine import build
from ctwatch.findings import Action, Verdict
from ctwatch.resources.base import TAG, Resource, pairs
from ctwatch.resources.key import Key
from ctwatch.sandbox.server import Sandbox
from ctwatch.watch import Watch

pytestmark = pytest.mark.usefixtures("unmeasured")

PHONE_NUMBER = "+821012345678"
OPTIONS: dict[str, Any] = {
    **PLAIN,
    "trail": {"kms": "create", "cloudwatch_logs": True, "delivery_notifications": True},
    "topic": {**PLAIN["topic"], "sms": [PHONE_NUMBER], "kms": "create"},
    "rules": [
        {"name": "eventbridge-ct-detect", "detection": "trail-tampering"},
        {"name": "log-key", "detection": "log-key-tampering"},
    ],
    "tags": {"team": "security"},
}
THEIR_ALIAS = "alias/the-intruders"
MANAGED = f"arn:aws:iam::{PLACE.account}:policy/the-intruders"


def parts(watch: Watch) -> dict[str, Resource]:
    """What the options add, and what they change."""
    trail, function = watch.trail, watch.function
    assert isinstance(trail.key, Key)
    assert isinstance(watch.topic.key, Key)
    assert trail.log_group
    assert trail.log_role
    assert trail.deliveries
    assert function
    return {
        "trail": trail,
        "key": trail.key,
        "delivered": trail.log_group,
        "deliverer": trail.log_role,
        "deliveries": trail.deliveries,
        "phone": watch.people[1],
        "topic": watch.topic,
        "topic key": watch.topic.key,
        "bucket": watch.bucket,
        "rule": watch.rules[0],
        "queue": watch.receipts,
        "function": function,
        "role": function.role,
        "log group": function.log_group,
        "secret": function.secrets[0],
    }


ADDED = ("key", "topic key", "delivered", "deliverer", "deliveries", "phone")
PLANNED = parts(planned(OPTIONS))


# The keys


def own(ground: Ground, at: str) -> str:
    return str(ground.at(at).found(ground.aws))


def on_key(operation: str, at: str, **given: Any) -> Break:
    return lambda ground: getattr(ground.kms, operation)(KeyId=own(ground, at), **given)


def delete_alias(at: str) -> Break:
    return lambda ground: ground.kms.delete_alias(AliasName=ground.at(at).alias)


def theirs(ground: Ground) -> str:
    return str(ground.kms.describe_key(KeyId=THEIR_ALIAS)["KeyMetadata"]["Arn"])


def lead_elsewhere(at: str) -> Break:
    return lambda ground: ground.kms.update_alias(
        AliasName=ground.at(at).alias, TargetKeyId=theirs(ground)
    )


def key_policy(at: str) -> Policy:
    def get(ground: Ground) -> str:
        return str(on_key("get_key_policy", at, PolicyName="default")(ground)["Policy"])

    def put(ground: Ground, policy: Document) -> None:
        on_key("put_key_policy", at, PolicyName="default", Policy=json.dumps(policy))(ground)

    return Policy(at, "policy", "policy", get, put)


SHUT = "policy.EnableIAMUserPermissions.effect"


def key_lines(at: str, verdict: Alarm) -> list[Line]:
    """What stops the key is as bad as `verdict`; all else only is not as promised."""
    used = of_each(PLANNED[at].policy, "AllowEventBridge", verdict=MUTE)
    return [
        line(at, "rotation", on_key("disable_key_rotation", at)),
        line(at, "state", on_key("disable_key", at), verdict),
        line(at, "alias", delete_alias(at)),
        *(one for one in key_policy(at).lines(PLANNED, used) if one.paths != (SHUT,)),
        impossible(at, SHUT, "it shuts out everybody, who looks and who mends: only AWS can help"),
        line(at, "rotation state",
             on_key("schedule_key_deletion", at, PendingWindowInDays=7), verdict),
        line(at, "alias", lead_elsewhere(at)),
    ]  # fmt: skip


# What leans on them, and what CloudTrail delivers to


def with_their_key(ground: Ground) -> None:
    update_trail(KmsKeyId=theirs(ground))(ground)


def with_their_key_too(ground: Ground) -> None:
    set_topic("KmsMasterKeyId", theirs(ground))(ground)


NO_GROUP = {"CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": ""}

TRAIL = [
    line("trail", "key", update_trail(KmsKeyId="")),
    line("trail", "log_group log_role", update_trail(**NO_GROUP), why="CloudTrail takes both"),
    line("trail", "notifications", update_trail(SnsTopicName="")),
    line("trail", "key", with_their_key),
    line("topic", "key", set_topic("KmsMasterKeyId", "")),
    line("topic", "key", set_topic("KmsMasterKeyId", "alias/aws/sns"), MUTE),
    line("topic", "key", with_their_key_too, UNKNOWN, why="whom it lets in is not looked at"),
]
DELIVERIES = [
    line("delivered", "retention", on_log_group("put_retention_policy", "delivered",
                                                retentionInDays=1)),
    line("delivered", "", on_log_group("delete_log_group", "delivered")),
    line("deliverer", "attached", on_role("attach_role_policy", "deliverer", PolicyArn=MANAGED)),
    line("deliverer", "boundary", on_role("put_role_permissions_boundary", "deliverer",
                                          PermissionsBoundary=MANAGED)),
    *trust("deliverer").lines(PLANNED, {}),
    *inline_policy("trail-logs", "deliverer").lines(PLANNED, {}),
    line("deliveries", "key", set_topic("KmsMasterKeyId", "", "deliveries")),
    *topic_policy("deliveries").lines(PLANNED, {}),
    line("deliveries", "",
         lambda ground: ground.sns.delete_topic(TopicArn=ground.at("deliveries").arn)),
]  # fmt: skip


# The text messages

THEIR_QUEUE = json.dumps({"deadLetterTargetArn": PLACE.arn("sqs", "ctwatch-dead-letter")})
NARROW = json.dumps({"severity": ["none"]})
PHONE = [
    impossible("phone", "confirmed", "a number is not asked: it is confirmed at once"),
    impossible("phone", "raw", "SNS refuses raw delivery to a telephone"),
    impossible("phone", "opted_in", "who has it does that, by no call: see test_text_messages"),
    line("phone", "filter", set_subscription("phone", "FilterPolicy", NARROW), alone=ARMED),
    line("phone", "dead_letter", set_subscription("phone", "RedrivePolicy", THEIR_QUEUE),
         alone=ARMED),
    line("phone", "", unsubscribe("phone"), alone=ARMED),
]  # fmt: skip


# The tags

TEAM = "team"
Tags = dict[str, str]


@dataclass(frozen=True)
class Tagging:
    """How tags are put on one kind of thing by hand, and how they are taken off."""

    put: Callable[[Ground, Tags], Any]
    take: Callable[[Ground, str], Any]


def _listed(tags: Tags, key: str = "Key", value: str = "Value") -> list[Any]:
    return [{key: one, value: tags[one]} for one in tags]


def _on_bucket(change: Callable[[Tags], Tags]) -> Break:
    """S3 puts all tags at once."""

    def by(ground: Ground) -> None:
        name = ground.at("bucket").name
        found = pairs(ground.s3.get_bucket_tagging(Bucket=name)["TagSet"])
        ground.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": _listed(change(found))})

    return by


def _of_parameter(ground: Ground) -> dict[str, str]:
    return {"ResourceType": "Parameter", "ResourceId": ground.at("secret").name}


def _led_to(ground: Ground) -> str:
    """The watch's key, or else the one that its alias leads to, whosever that is."""
    key = ground.at("key")
    if found := key.found(ground.aws):
        return str(found)
    return str(ground.kms.describe_key(KeyId=key.alias)["KeyMetadata"]["Arn"])


HANDS = {
    "bucket": Tagging(
        lambda g, tags: _on_bucket(lambda found: {**found, **tags})(g),
        lambda g, key: _on_bucket(lambda found: {k: found[k] for k in found if k != key})(g),
    ),
    "trail": Tagging(
        lambda g, tags: g.cloudtrail.add_tags(
            ResourceId=g.at("trail").arn, TagsList=_listed(tags)),
        lambda g, key: g.cloudtrail.remove_tags(
            ResourceId=g.at("trail").arn, TagsList=[{"Key": key}]),
    ),
    "topic": Tagging(
        lambda g, tags: g.sns.tag_resource(ResourceArn=g.at("topic").arn, Tags=_listed(tags)),
        lambda g, key: g.sns.untag_resource(ResourceArn=g.at("topic").arn, TagKeys=[key]),
    ),
    "queue": Tagging(
        lambda g, tags: g.sqs.tag_queue(QueueUrl=queue_url(g, "queue"), Tags=tags),
        lambda g, key: g.sqs.untag_queue(QueueUrl=queue_url(g, "queue"), TagKeys=[key]),
    ),
    "rule": Tagging(
        lambda g, tags: g.events.tag_resource(ResourceARN=g.at("rule").arn, Tags=_listed(tags)),
        lambda g, key: g.events.untag_resource(ResourceARN=g.at("rule").arn, TagKeys=[key]),
    ),
    "function": Tagging(
        lambda g, tags: g.lambda_.tag_resource(Resource=g.at("function").arn, Tags=tags),
        lambda g, key: g.lambda_.untag_resource(Resource=g.at("function").arn, TagKeys=[key]),
    ),
    "role": Tagging(
        lambda g, tags: on_role("tag_role", Tags=_listed(tags))(g),
        lambda g, key: on_role("untag_role", TagKeys=[key])(g),
    ),
    "log group": Tagging(
        lambda g, tags: g.logs.tag_resource(resourceArn=g.at("log group").arn, tags=tags),
        lambda g, key: g.logs.untag_resource(resourceArn=g.at("log group").arn, tagKeys=[key]),
    ),
    "secret": Tagging(
        lambda g, tags: g.ssm.add_tags_to_resource(**_of_parameter(g), Tags=_listed(tags)),
        lambda g, key: g.ssm.remove_tags_from_resource(**_of_parameter(g), TagKeys=[key]),
    ),
    "key": Tagging(
        lambda g, tags: g.kms.tag_resource(
            KeyId=_led_to(g), Tags=_listed(tags, "TagKey", "TagValue")),
        lambda g, key: g.kms.untag_resource(KeyId=_led_to(g), TagKeys=[key]),
    ),
}  # fmt: skip


def taken_and_changed(at: str) -> list[Line]:
    hand = HANDS[at]
    return [
        line(at, f"tags.{TEAM}", lambda ground: hand.take(ground, TEAM)),
        line(at, f"tags.{TEAM}", lambda ground: hand.put(ground, {TEAM: "theirs"})),
    ]


TAGS = [one for at in HANDS for one in taken_and_changed(at)]

LINES = [
    *TRAIL,
    *key_lines("key", Alarm.DEGRADED),
    *key_lines("topic key", MUTE),
    *DELIVERIES,
    *PHONE,
    *TAGS,
]
TABLE = Table(
    config=OPTIONS,
    parts=parts,
    lines=LINES,
    on_the_way=frozenset({"topic"}),
    hops={
        **dict.fromkeys(("bucket", "trail", "key", "delivered"), "trail"),
        **dict.fromkeys(("deliverer", "deliveries"), "trail"),
        "rule": "rule",
        **dict.fromkeys(("topic", "topic key"), "topic"),
        **dict.fromkeys(("function", "role", "log group", "secret"), "discord"),
        "phone": PHONE_NUMBER,
        "queue": "proof",
    },
)


@pytest.mark.parametrize("part", ADDED)
def test_every_promised_leaf_of_what_is_added_has_a_line(part: str) -> None:
    assert TABLE.untold(part) == set()


def test_every_promise_that_an_option_changes_has_a_line() -> None:
    plain, optional = planned(PLAIN), planned(OPTIONS)
    for part, one, other in (
        ("trail", plain.trail, optional.trail),
        ("topic", plain.topic, optional.topic),
    ):
        changed = {
            key for key in leaves(other.wanted) if other.wanted.get(key) != one.wanted.get(key)
        }
        assert changed & TABLE.untold(part) == set()


def test_whatever_carries_tags_has_a_line_for_its_kind() -> None:
    told = {PLANNED[one.at].kind for one in TAGS}
    assert {one.kind for one in planned(OPTIONS).resources if one.tagged} == told


WITHIN = {
    "key": ("rotation", "trail"),
    "delivered": ("retention", "trail"),
    "deliverer": ("attached", "trail"),
    "deliveries": ("key", "trail"),
    "topic key": ("rotation", "topic"),
    "phone": ("filter", PHONE_NUMBER),
    "rule": ("tags.team", "rule"),
    "function": ("tags.team", "discord"),
}
"""Of each thing that an option adds or labels, a path, and the hop of `status` that shows it."""


def test_each_option_has_its_place_in_status(ground: Ground) -> None:
    whole = dict(ground.whole)
    ground.whole.clear()
    for at, (path, _) in WITHIN.items():
        next(one.by for one in LINES if one.by and (one.at, one.paths) == (at, (path,)))(ground)
    told = json.loads(ground.world.run("status", "--json").out)
    hops = {(fault["resource"], fault["path"], hop["hop"], hop["flow"] != "ok")
            for hop in told["hops"] for fault in hop["faults"]}  # fmt: skip
    assert told["verdict"] == "DEGRADED"
    assert hops == {(ground.at(at).title, *place, True) for at, place in WITHIN.items()}
    assert ground.world.run("up").code == 0
    ground.whole.update(whole)


LOST = {
    "rule": (DEAF, DEAF),
    "topic": (MUTE, MUTE),
    "function": (DEGRADED, MUTE),
    "role": (DEGRADED, MUTE),
    "secret": (DEGRADED, MUTE),
}
"""What is said of a thing that is not known to be ours, with the people and without them."""


@pytest.mark.parametrize("at", HANDS)
def test_what_has_lost_our_tag_is_left_alone_until_a_person_puts_it_on_again(
    at: str, ground: Ground
) -> None:
    one, hand = ground.at(at), HANDS[at]
    hand.take(ground, TAG)
    [found] = look(ground, [one])
    verdicts = judged(ground, [found])
    with ground.world.sandbox.recording() as calls:
        [step] = list(build([found], ground.aws))
    hand.put(ground, {TAG: ground.watch.name})
    [again] = look(ground, [one])
    assert (found.verdict, again.verdict) == (Verdict.FOREIGN, Verdict.OK)
    assert verdicts == LOST.get(at, (DEGRADED, DEGRADED))
    assert (step.action, [x.operation for x in calls if x.writes]) == (Action.SKIPPED, [])
    [fault] = faults_of(found)
    assert fault.sentence.endswith("is not this watch's: it lacks the tag ctwatch:watch=ctwatch")
    assert "If this watch made it, put that tag on it again" in fault.remedy


def prepare(world: World) -> None:
    """What an intruder brings along: a key that lets CloudTrail in, and a policy."""
    kms, iam = world.client("kms"), world.client("iam")
    policy = json.dumps(PLANNED["key"].policy)
    key = kms.create_key(Policy=policy)["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=THEIR_ALIAS, TargetKeyId=key)
    deny = {"Effect": "Deny", "Action": "logs:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [deny]}
    iam.create_policy(PolicyName="the-intruders", PolicyDocument=json.dumps(document))


@pytest.fixture(scope="module")
def armed(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with TABLE.armed(running, tmp_path_factory.mktemp("watch"), prepare) as ground:
        yield ground


@pytest.fixture
def ground(armed: Ground) -> Ground:
    return rearmed(armed)


def test_an_armed_watch_with_every_option_tells_of_it(ground: Ground) -> None:
    assert judged(ground, []) == (Alarm.ARMED, Alarm.ARMED)
    assert struck(ground, "ctwatch-probe-armed") == (True, True)


@pytest.mark.parametrize("line", TABLE.done, ids=str)
def test_a_sabotage_shows_where_it_is_means_what_it_says_and_mends(
    line: Line, ground: Ground
) -> None:
    shows_means_and_mends(line, TABLE, ground)


def test_status_names_each_path_and_up_mends_and_names_it(ground: Ground) -> None:
    """As much at once as may be; the rounds that are left are lines like these."""
    is_named_and_mended(TABLE.rounds[0], ground)


def test_after_all_that_it_is_armed_and_a_drill_proves_it(ground: Ground) -> None:
    is_proven(ground)
