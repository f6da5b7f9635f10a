"""What a watch has only when asked: keys, CloudWatch Logs, news of log files, tags."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from watch_world import PLACE, PLAIN, Ran, World, planned, world_of

from ctwatch.config import Complaint, InvalidConfigError, parse
from ctwatch.resources.base import TAG
from ctwatch.resources.key import ALIAS_TAG, for_topics, for_trail
from ctwatch.sandbox.server import Sandbox

PEOPLE = {"topic": {"emails": ["a@example.com"]}}
KEY = f"arn:aws:kms:{PLACE.region}:{PLACE.account}:key/0a0b0c0d-0e0f-4a4b-8c8d-0123456789ab"
TRAIL = PLACE.arn("cloudtrail", "trail/ct-trail-monitor")
OWN = {**PLAIN, "trail": {"kms": "create"}}


# What may be asked for


def complaints(document: Mapping[str, Any]) -> list[Complaint]:
    with pytest.raises(InvalidConfigError) as caught:
        parse({**PEOPLE, **document}).filled(PLACE.account)
    return list(caught.value.complaints)


@pytest.mark.parametrize(
    ("section", "value", "reason"),
    [
        ("topic", "alias/aws/sns", "EventBridge may not use it: no alert would arrive"),
        ("topic", PLACE.arn("kms", "alias/aws/sns"), "EventBridge may not use it"),
        ("trail", "alias/mine", "an alias can be led to another key"),
        ("trail", PLACE.arn("kms", "alias/mine"), "write that key's own ARN"),
        ("trail", "crate", "neither 'create' nor the ARN of a KMS key"),
        ("trail", PLACE.arn("s3", "key/x"), "neither 'create' nor the ARN"),
        ("trail", KEY.replace(PLACE.region, "us-east-1"), "has to be in the home region"),
        ("topic", KEY.replace(PLACE.account, "210987654321"), "account 210987654321's"),
        ("trail", True, "must be 'create' or the ARN of a KMS key; for none, remove the line"),
        ("trail", None, ""),
        ("trail", "create", ""),
        ("trail", KEY, ""),
        ("topic", KEY.replace("key/", "key/mrk-"), ""),
    ],
)
def test_a_key_is_made_or_named_by_its_own_arn(section: str, value: Any, reason: str) -> None:
    document = {section: {**PEOPLE.get(section, {}), "kms": value}}
    if not reason:
        assert parse({**PEOPLE, **document}).filled(PLACE.account)
        return
    [one] = complaints(document)
    assert one.path == f"{section}.kms"
    assert reason in one.reason


def test_a_slip_of_the_fingers_in_create_is_put_right() -> None:
    assert complaints({"trail": {"kms": "crate"}})[0].suggestion == "create"


@pytest.mark.parametrize(
    ("trail", "path", "reason"),
    [
        ({"cloudwatch_logs": 1}, "cloudwatch_logs", "must be true, false, or the name of a log"),
        ({"cloudwatch_logs": "a b"}, "cloudwatch_logs", "may hold only letters"),
        ({"cloudwatch_logs": "aws/x"}, "cloudwatch_logs", "CloudWatch Logs keeps for itself"),
        ({"log_retention_days": 364}, "log_retention_days", "does not keep logs for 364 days"),
        ({"delivery_notifications": "yes"}, "delivery_notifications", "must be true or false"),
    ],
)
def test_what_the_trail_may_be_asked_for(trail: Any, path: str, reason: str) -> None:
    [one] = complaints({"trail": trail})
    assert one.path == f"trail.{path}"
    assert reason in one.reason


def test_a_log_group_is_named_after_the_trail_or_as_the_config_says() -> None:
    for wish, name in ((True, "/aws/cloudtrail/t-1"), ("logs/{region}", f"logs/{PLACE.region}")):
        watch = planned({**PLAIN, "trail": {"name": "t-1", "cloudwatch_logs": wish}})
        assert watch.trail.log_group
        assert watch.trail.log_group.name == name


def test_the_alerts_do_not_go_where_the_news_of_log_files_goes() -> None:
    topic = {**PEOPLE["topic"], "name": "ctwatch-deliveries"}
    [one] = complaints({"topic": topic, "trail": {"delivery_notifications": True}})
    assert (one.path, "choose another" in one.reason) == ("topic.name", True)


@pytest.mark.parametrize(
    ("tags", "path", "reason"),
    [
        ({"AWS:team": "x"}, "tags.AWS:team", "begins with 'aws:', which AWS keeps for itself"),
        ({"ctwatch:x": "x"}, "tags.ctwatch:x", "begins with 'ctwatch:', which ctwatch keeps"),
        ({"team": 7}, "tags.team", "must be text, not a number (put it in quotes)"),
        ({7: "x"}, "tags.7", "a key must be text"),
        ({" ": "x"}, "tags. ", "is no key: it is empty"),
        ({"a*": "x"}, "tags.a*", "may hold only letters, digits, spaces"),
        ({"a": "x!"}, "tags.a", "its value may hold only letters"),
        ({"a": "x" * 257}, "tags.a", "its value is 257 characters long, and AWS takes 256"),
        ({"k" * 129: "x"}, "tags.(a key that is not shown)", "is 129 characters long"),
        ({"Team": "x", "team": "y"}, "tags.team", "differs from 'Team' in upper and lower case"),
        ({str(number): "x" for number in range(49)}, "tags", "are 49, and 48 at most fit"),
        (["team"], "tags", "must be a mapping of keys, not a list"),
    ],
)
def test_a_tag_that_aws_would_refuse_is_refused(tags: Any, path: str, reason: str) -> None:
    [one] = complaints({"tags": tags})
    assert one.path == path
    assert reason in one.reason


def test_a_tag_may_be_in_any_language_and_may_be_empty() -> None:
    tags = {"비용 센터": "보안 팀 + 1", "mail": "a@example.com", "note": ""}
    assert parse({**PEOPLE, "tags": tags}).filled(PLACE.account).labels == tags


# In the account


@pytest.fixture(scope="module")
def module_world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("watch")) as world:
        yield world


@pytest.fixture
def world(module_world: World) -> World:
    module_world.refuse = lambda *_: None
    module_world.use(OWN)
    return module_world


def once(operation: str, code: str, times: int = 1) -> Callable[..., tuple[str, str] | None]:
    """Refuse the first calls of an operation."""
    left = [(code, "not yet")] * times
    return lambda _, name, __: left.pop() if name == operation and left else None


def own_keys(world: World) -> list[str]:
    """The ids of the watch's own keys that do not wait to be deleted."""
    return [one.split()[-1] for one in world.sandbox.listing() if one.startswith("kms key ")]


def operations(world: World, *command: str) -> tuple[int, list[str]]:
    with world.sandbox.recording() as calls:
        ran = world.run(*command)
    return ran.code, [one.operation for one in calls if one.service == "kms" and one.writes]


def test_a_watch_that_asks_for_no_key_never_calls_kms(world: World) -> None:
    world.use(PLAIN)
    with world.sandbox.recording() as calls:
        assert [world.run(one).code for one in ("up", "plan")] == [0, 0]
    assert [one.operation for one in calls if one.service == "kms"] == []


def test_rule_and_function_know_the_key_as_soon_as_it_is_made(world: World) -> None:
    rules = [{"name": "log-key", "detection": "log-key-tampering"}]
    world.use({**OWN, "rules": rules})
    assert world.run("up").code == 0
    [key] = own_keys(world)
    rule = world.client("events").describe_rule(Name="log-key")
    assert f":key/{key}" in rule["EventPattern"]
    function = world.client("lambda").get_function_configuration(
        FunctionName="lambda-ct-detect-alarm"
    )
    assert function["Environment"]["Variables"]["CTWATCH_KEY"].endswith(f":key/{key}")
    world.click()
    world.client("kms").disable_key(KeyId=key)
    world.settle()
    told = [post for post in world.sandbox.inbox.posts if "DisableKey" in str(post.payload)]
    assert [one.status for one in told] == [200]


def test_a_key_whose_alias_was_not_made_is_found_by_its_tags(world: World) -> None:
    world.refuse = once("CreateAlias", "InternalException", times=20)
    assert world.run("up").code == 1
    world.refuse = lambda *_: None
    made = own_keys(world)
    assert len(made) == 1
    assert world.run("up").code == 0
    assert own_keys(world) == made


def test_a_key_that_waits_to_be_deleted_is_taken_into_use_again(world: World) -> None:
    assert world.run("up").code == 0
    made = own_keys(world)
    down = world.run("down", "--yes", "--wait", "0", "--delete-logs")
    assert down.code == 0
    assert "key ctwatch-trail: KMS deletes it in 30 days" in down.err
    assert world.sandbox.listing() == []
    assert operations(world, "down", "--yes") == (0, [])
    assert world.run("up").code == 0
    assert own_keys(world) == made
    found = world.client("kms").list_resource_tags(KeyId=made[0])["Tags"]
    tags = {one["TagKey"]: one["TagValue"] for one in found}
    assert tags == {TAG: "ctwatch", ALIAS_TAG: "alias/ctwatch-trail"}


def test_a_deletion_that_is_not_ours_is_drift_even_without_the_alias(world: World) -> None:
    assert world.run("up").code == 0
    kms, [key] = world.client("kms"), own_keys(world)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    kms.delete_alias(AliasName="alias/ctwatch-trail")
    status = world.run("status")
    assert "key ctwatch-trail: state: not enabled" in status.out
    assert operations(world, "up") == (
        0,
        ["CancelKeyDeletion", "UntagResource", "EnableKey", "CreateAlias", "EnableKeyRotation"],
    )
    assert own_keys(world) == [key]


def test_a_deletion_that_is_not_ours_becomes_ours_when_the_watch_goes(world: World) -> None:
    assert world.run("up").code == 0
    kms, [key] = world.client("kms"), own_keys(world)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    for wrote in (["CancelKeyDeletion", "TagResource", "ScheduleKeyDeletion", "DeleteAlias"], []):
        assert operations(world, "down", "--yes", "--wait", "0", "--delete-logs") == (0, wrote)
    assert world.run("status").code == 3


def test_a_key_that_may_not_be_looked_for_is_not_taken_for_missing(world: World) -> None:
    world.refuse = lambda _, name, __: (
        ("AccessDeniedException", "no") if name == "DescribeKey" else None
    )
    up = world.run("up")
    assert up.code == 1
    assert "looking for the watch's keys: DescribeKey answered AccessDeniedException" in up.err
    assert world.sandbox.listing() == []


def test_a_strangers_key_that_shows_us_no_tags_hides_none_of_ours(world: World) -> None:
    assert world.run("up").code == 0
    kms, [ours] = world.client("kms"), own_keys(world)
    hidden = {kms.create_key()["KeyMetadata"]["KeyId"]}
    kms.delete_alias(AliasName="alias/ctwatch-trail")
    world.refuse = lambda _, name, params: (
        ("AccessDeniedException", "no")
        if name == "ListResourceTags" and _key_in(params) in hidden
        else None
    )
    assert world.run("up").code == 0
    assert set(own_keys(world)) == {ours, *hidden}

    hidden.add(ours)
    kms.delete_alias(AliasName="alias/ctwatch-trail")
    up = world.run("up")
    assert up.code == 1
    assert "ListResourceTags answered AccessDeniedException" in up.err


def _key_in(params: Mapping[str, Any]) -> str:
    return str(json.loads(params["body"])["KeyId"]).rpartition("/")[2]


@pytest.mark.parametrize(
    "code", ["InsufficientEncryptionPolicyException", "KmsKeyNotFoundException"]
)
def test_cloudtrail_may_see_a_new_key_late(world: World, code: str) -> None:
    world.refuse = once("CreateTrail", code)
    assert world.run("up").code == 0


@pytest.mark.parametrize(
    "route", ["direct", pytest.param("formatted", marks=pytest.mark.exhaustive)]
)
def test_by_the_other_routes_too_an_encrypted_topic_takes_what_is_for_it(
    world: World, route: str
) -> None:
    """By `formatted` it is the function that publishes, and as its role uses the key."""
    topic = {**PLAIN["topic"], "kms": "create"}
    world.use({**PLAIN, "route": route, "topic": topic})
    assert world.run("up").code == 0
    world.click()
    assert world.run("status").code == 0
    tell(world, "ctwatch-probe-first")
    assert mailed(world, "ctwatch-probe-first")

    [key] = own_keys(world)
    world.client("kms").disable_key(KeyId=key)
    tell(world, "ctwatch-probe-second")
    assert not mailed(world, "ctwatch-probe-second")
    status = world.run("status")
    assert (status.code, status.out.split()[0]) == (3, "DEGRADED")  # the channel needs no topic
    assert operations(world, "up") == (0, ["EnableKey"])


def tell(world: World, trail: str) -> None:
    client = world.client("cloudtrail")
    with pytest.raises(client.exceptions.TrailNotFoundException):
        client.stop_logging(Name=trail)
    world.settle()


def mailed(world: World, trail: str) -> bool:
    return any(trail in mail.text for mail in world.sandbox.inbox.mails)


def test_a_function_that_may_not_use_the_key_cannot_write_to_the_topic(world: World) -> None:
    topic = {**PLAIN["topic"], "kms": "create"}
    world.use({**PLAIN, "channels": [], "route": "formatted", "topic": topic})
    assert world.run("up").code == 0
    world.click()
    iam = world.client("iam")
    found = iam.get_role_policy(RoleName="ctwatch-notifier", PolicyName="notifier")
    policy = found["PolicyDocument"]
    policy["Statement"] = [one for one in policy["Statement"] if "kms" not in str(one["Action"])]
    document = json.dumps(policy)
    iam.put_role_policy(RoleName="ctwatch-notifier", PolicyName="notifier", PolicyDocument=document)
    tell(world, "ctwatch-probe-third")
    assert not mailed(world, "ctwatch-probe-third")
    status = world.run("status")
    assert (status.code, status.out.split()[0]) == (3, "MUTE")
    assert world.run("up").code == 0


# Switched on in a watch that is there already, and cleared away

LATER: dict[str, tuple[Any, list[str]]] = {
    "trail.kms": (
        "create",
        ["+ created key ctwatch-trail", "~ repaired trail ct-trail-monitor: key"],
    ),
    "trail.cloudwatch_logs": (
        True,
        [
            "+ created log group /aws/cloudtrail/ct-trail-monitor",
            "+ created role ctwatch-trail-logs",
            "~ repaired trail ct-trail-monitor: log_group, log_role",
        ],
    ),
    "trail.delivery_notifications": (
        True,
        ["+ created topic ctwatch-deliveries", "~ repaired trail ct-trail-monitor: notifications"],
    ),
    "topic.kms": (
        "create",
        [
            "+ created key ctwatch-topic",
            "~ repaired topic ctwatch-deliveries: key",
            "~ repaired topic sns-cloudtrail-alarm: key",
        ],
    ),
    "tags.team": ("security", []),
}
DATA = [
    "bucket s3-cloudtrail-monitor-123456789012-ap-northeast-2-an",
    "key ctwatch-trail",
    "log group /aws/cloudtrail/ct-trail-monitor",
    "key ctwatch-topic",
]


def asked_for(config: Mapping[str, Any], option: str) -> dict[str, Any]:
    """The config with that option, too."""
    section, name = option.split(".")
    return {**config, section: {**config.get(section, {}), name: LATER[option][0]}}


def told(ran: Ran, but: str) -> list[str]:
    """The steps of a command, without those of one kind of resource."""
    lines = [line for line in ran.err_lines if line[:2] in {"+ ", "~ ", "- "}]
    return sorted(line for line in lines if not but or f" {but} " not in line)


@pytest.mark.exhaustive
def test_each_option_is_switched_on_later_without_a_gap_and_cleared_away_with_the_rest(
    world: World,
) -> None:
    """Nothing is recorded twice or not at all: a trail need not be stopped to be changed.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_UpdateTrail.html
    """
    config: dict[str, Any] = PLAIN
    world.use(config)
    assert world.run("up").code == 0
    world.click()
    there = {one.title for one in planned(config).resources if one.tagged}
    for option, (_, steps) in LATER.items():
        config = asked_for(config, option)
        world.config.write_text(json.dumps(config), encoding="utf-8")
        with world.sandbox.recording() as calls:
            up = world.run("up")
        assert up.code == 0, (option, up.text)
        there |= {step.removeprefix("+ created ") for step in steps if step.startswith("+ ")}
        labelled = sorted(f"~ repaired {one}: {option}" for one in there)
        assert told(up, but="function" if steps else "") == (steps or labelled), option
        touched = {one.operation for one in calls if one.service == "cloudtrail" and one.writes}
        assert touched <= {"UpdateTrail", "AddTags"}, option
        assert world.run("status").out.split()[0] == "ARMED", option
    tell(world, "ctwatch-probe-later")
    assert mailed(world, "ctwatch-probe-later")
    cleared_away(world)


def cleared_away(world: World) -> None:
    """What holds data is kept, and goes when that is asked for."""
    down = world.run("down", "--yes", "--wait", "0")
    assert down.code == 0
    assert [line for line in down.err_lines if line.startswith("Kept: ")] == [
        f"Kept: {one}" for one in DATA
    ]
    listed = [one for one in world.sandbox.listing() if not one.startswith("kms key ")]
    assert listed == [
        "kms alias alias/ctwatch-topic",
        "kms alias alias/ctwatch-trail",
        "logs log-group /aws/cloudtrail/ct-trail-monitor",
        f"s3 {DATA[0]}",
    ]
    assert len(own_keys(world)) == 2
    down = world.run("down", "--yes", "--wait", "0", "--delete-logs")
    assert down.code == 0
    assert told(down, but="") == sorted(f"- deleted {one}" for one in DATA)
    assert down.err.count("KMS deletes it in 30 days") == 2
    assert world.sandbox.listing() == []


# A key of the user's


def key_of_theirs(world: World, *grants: Mapping[str, Any]) -> str:
    root = {"Effect": "Allow", "Principal": {"AWS": PLACE.account}, "Action": "kms:*"}
    policy = {"Version": "2012-10-17", "Statement": [{**root, "Resource": "*"}, *grants]}
    made = world.client("kms").create_key(Policy=json.dumps(policy))["KeyMetadata"]
    return str(made["Arn"])


def given(world: World) -> tuple[str, str]:
    """A watch with two keys of the user's, one for the trail and one for the topics."""
    trail = key_of_theirs(world, *for_trail(PLACE, TRAIL))
    topic = key_of_theirs(world, *for_topics(None))
    config = {"trail": {"kms": trail}, "topic": {**PLAIN["topic"], "kms": topic}}
    world.config.write_text(json.dumps({**PLAIN, **config}), encoding="utf-8")
    return trail, topic


def test_a_key_of_the_users_is_used_and_never_changed(world: World) -> None:
    trail, topic = given(world)
    kms = world.client("kms")
    assert operations(world, "up") == (0, [])
    world.click()
    assert world.run("status").code == 0
    [used] = world.client("cloudtrail").describe_trails()["trailList"]
    assert used["KmsKeyId"] == trail

    kms.disable_key(KeyId=topic)
    status = world.run("status")
    assert (status.code, status.out.split()[0]) == (3, "MUTE")
    assert f"its key {topic} is disabled" in status.out
    assert f"aws kms enable-key --key-id {topic}" in status.out
    assert operations(world, "up") == (3, [])
    kms.enable_key(KeyId=topic)

    kms.put_key_policy(KeyId=topic, PolicyName="default", Policy=_without_grants(kms, topic))
    status = world.run("status")
    assert status.out.split()[0] == "MUTE"
    assert "does not let events.amazonaws.com use it" in status.out
    policy = {"Version": "2012-10-17", "Statement": [*for_topics(None)]}
    kms.put_key_policy(KeyId=topic, PolicyName="default", Policy=json.dumps(policy))

    kms.schedule_key_deletion(KeyId=trail, PendingWindowInDays=7)
    status = world.run("status")
    assert status.out.split()[0] == "DEGRADED"
    assert f"trail ct-trail-monitor: its key {trail} is waiting to be deleted" in status.out
    kms.cancel_key_deletion(KeyId=trail)
    assert operations(world, "down", "--yes", "--wait", "0", "--delete-logs") == (0, [])


def _without_grants(kms: Any, key: str) -> str:
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    return json.dumps({**policy, "Statement": policy["Statement"][:1]})


def test_a_key_of_the_users_that_does_not_let_cloudtrail_in_is_believed_at_once(
    world: World,
) -> None:
    given(world)
    world.refuse = once("CreateTrail", "InsufficientEncryptionPolicyException")
    up = world.run("up")
    assert up.code == 1
    assert "create-kms-key-policy-for-cloudtrail" in up.err
