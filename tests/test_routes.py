"""The three ways that alerts travel: each goes up, is proven, is cut, and becomes another one."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise, permutations
from typing import Any

import pytest
from watch_world import ADDRESS, DISCORD, MAIL_ONLY, PLACE, World, planned, world_of

from ctwatch.sandbox.server import Sandbox

NUMBER = "+821012345678"
BOTH: dict[str, Any] = {
    "topic": {"emails": [ADDRESS], "sms": [NUMBER]},
    "channels": DISCORD,
    "alerts": {"language": "en"},
}
ROUTES: dict[str, dict[str, Any]] = {
    "fanout": BOTH,
    "direct": {**BOTH, "route": "direct"},
    "formatted": {**BOTH, "route": "formatted"},
}
BEFORE = ["recorded", "matched"]
LADDERS = {
    "fanout": [*BEFORE, "topic", "function", "discord", ADDRESS, NUMBER],
    "direct": [*BEFORE, "topic", "function", "discord", ADDRESS, NUMBER],
    "formatted": [*BEFORE, "function", "discord", "topic", ADDRESS, NUMBER],
}
RULE, TOPIC, FUNCTION, ROLE = (
    "eventbridge-ct-detect",
    "sns-cloudtrail-alarm",
    "lambda-ct-detect-alarm",
    "ctwatch-notifier",
)


@pytest.fixture(scope="module")
def worlds(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("routes")) as world:
        yield world


@pytest.fixture(scope="module", params=["direct", "formatted"])
def world(request: pytest.FixtureRequest, worlds: World) -> World:
    """Armed by one route after the other; each cut is mended before the next."""
    worlds.use(ROUTES[request.param])
    assert worlds.run("up").code == 0
    worlds.click()
    worlds.route = request.param  # type: ignore[attr-defined]
    return worlds


def verdict(world: World) -> str:
    return world.run("status").out.split()[0]


def struck(world: World, name: str) -> tuple[bool, bool]:
    """Stop a trail that does not exist; whether people and Discord were told of it."""
    cloudtrail = world.client("cloudtrail")
    with pytest.raises(cloudtrail.exceptions.TrailNotFoundException):
        cloudtrail.stop_logging(Name=name)
    world.settle()
    inbox = world.sandbox.inbox
    mail = any(name in one.text for one in inbox.mails)
    assert mail is any(name in one.text for one in inbox.texts)
    return mail, any(name in str(one.payload) for one in inbox.posts if one.status == 200)


def drilled(world: World, seconds: str = "30") -> tuple[int, dict[str, str], dict[str, Any]]:
    """The exit code of a drill, what became of each hop, and all that is known of it."""
    ran = world.run("simulate", "stop-logging", "--json", "--timeout", seconds)
    [drill] = json.loads(ran.out)
    return ran.code, {one["hop"]: one["proof"] for one in drill["hops"]}, drill


def test_every_hop_is_proven_in_the_order_in_which_it_is_passed(world: World) -> None:
    route = world.route  # type: ignore[attr-defined]
    code, proofs, drill = drilled(world)
    assert code == 0
    assert list(proofs) == LADDERS[route]
    assert {*proofs.values()} == {"proven", "cannot be proven"}
    seconds = [one["seconds"] for one in drill["hops"] if one["proof"] == "proven"]
    assert all(-1.5 < one < 30 for one in seconds)
    assert [one["by"] for one in drill["hops"]][:2] == [True, True]
    world.settle()
    [record] = [c for c in world.sandbox.calls if c.event_id == drill["event_id"]]
    assert record.call.params == {"Name": drill["target"]}


def test_up_again_writes_nothing(world: World) -> None:
    with world.sandbox.recording() as calls:
        up = world.run("up")
    assert (up.code, [one.call.operation for one in calls if one.writes]) == (0, [])


FACTS = ("Event: StopLogging", "TrailNotFoundException", "Trail: {}", "Actor: arn:aws:iam::",
         "Source IP: 127.0.0.1", "Region: ap-northeast-2", "Account: 123456789012", "MFA",
         "Event ID: ", "Request ID: ", " UTC")  # fmt: skip


def test_a_mail_can_be_read_and_says_every_fact_on_a_line_of_its_own(world: World) -> None:
    name = f"ctwatch-probe-{world.route}"  # type: ignore[attr-defined]
    assert struck(world, name) == (True, True)
    [mail] = [one for one in world.sandbox.inbox.mails if name in one.text]
    [sms] = [one for one in world.sandbox.inbox.texts if name in one.text]
    lines = [line.strip('"') for line in mail.text.splitlines()]
    for fact in FACTS[:-1]:
        assert [line for line in lines if fact.format(name) in line], fact
    assert len(sms.text) <= 1600
    if world.route == "formatted":  # type: ignore[attr-defined]
        assert mail.subject.startswith("🟡 DRILL · StopLogging · FAILED ATTEMPT · Severity medium")
        assert len(mail.subject) < 100
        assert any(line.startswith("Time: ") and line.endswith(" UTC") for line in lines)
    else:
        assert mail.subject == "AWS Notification Message"
        assert lines[0] == "CloudTrail trail tampering (severity if it succeeded: critical)"
        assert any(line.startswith("Time (UTC): 20") for line in lines)


Cut = Callable[[World], Any]


def without_grant(world: World) -> None:
    sns, arn = world.client("sns"), world.open().watch.topic.arn
    policy = json.loads(sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])
    policy["Statement"] = [x for x in policy["Statement"] if x["Sid"].startswith("__default")]
    sns.set_topic_attributes(
        TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(policy)
    )


def deny_publishing(world: World) -> None:
    sns, arn = world.client("sns"), world.open().watch.topic.arn
    policy = json.loads(sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])
    deny = {"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "sns:Publish",
            "Resource": arn}  # fmt: skip
    policy["Statement"].append(deny)
    sns.set_topic_attributes(
        TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(policy)
    )


def publish_nothing(world: World) -> None:
    iam = world.client("iam")
    asked = {"RoleName": ROLE, "PolicyName": "notifier"}
    policy = iam.get_role_policy(**asked)["PolicyDocument"]
    policy["Statement"] = [x for x in policy["Statement"] if x["Action"] != ["sns:Publish"]]
    iam.put_role_policy(**asked, PolicyDocument=json.dumps(policy))
    world.sandbox._delivery.functions.drop()


def narrow_text(world: World) -> None:
    events = world.client("events")
    targets = events.list_targets_by_rule(Rule=RULE)["Targets"]
    [topic] = [one for one in targets if one["Id"] == "topic"]
    topic["InputTransformer"] = {"InputPathsMap": {}, "InputTemplate": '"all is well"'}
    events.put_targets(Rule=RULE, Targets=[topic])


def untarget(*ids: str) -> Cut:
    return lambda world: world.client("events").remove_targets(Rule=RULE, Ids=list(ids))


def forbid_calls(world: World) -> None:
    functions = world.client("lambda")
    policy = json.loads(functions.get_policy(FunctionName=FUNCTION)["Policy"])
    for statement in policy["Statement"]:
        functions.remove_permission(FunctionName=FUNCTION, StatementId=statement["Sid"])


def throttle(world: World) -> None:
    world.client("lambda").put_function_concurrency(
        FunctionName=FUNCTION, ReservedConcurrentExecutions=0
    )


CUTS: dict[str, list[tuple[str, Cut, str, tuple[bool, bool]]]] = {
    "direct": [
        ("the topic takes nothing", without_grant, "DEGRADED", (False, True)),
        ("the rule tells the topic nothing", untarget("topic"), "DEGRADED", (False, True)),
        ("the mail says something else", narrow_text, "DEGRADED", (False, True)),
        ("the rule does not tell the function", untarget("function"), "DEGRADED", (True, False)),
        ("the function may not be called", forbid_calls, "DEGRADED", (True, False)),
        ("the function never runs", throttle, "DEGRADED", (True, False)),
        ("no receipts", untarget("receipts"), "DEGRADED", (True, True)),
        ("neither way", untarget("topic", "function"), "DEAF", (False, False)),
    ],
    "formatted": [
        ("the function may publish nothing", publish_nothing, "DEGRADED", (False, True)),
        ("the function may not be called", forbid_calls, "MUTE", (False, False)),
        ("the function never runs", throttle, "MUTE", (False, False)),
        ("the rule does not tell the function", untarget("function"), "DEAF", (False, False)),
    ],
}


@pytest.mark.parametrize(
    "world", ["direct", pytest.param("formatted", marks=pytest.mark.exhaustive)], indirect=True
)
def test_each_end_cut_is_judged_by_what_still_arrives_and_up_mends_it(world: World) -> None:
    for number, (what, cut, judged, told) in enumerate(CUTS[world.route]):  # type: ignore[attr-defined]
        cut(world)
        assert verdict(world) == judged, what
        assert struck(world, f"ctwatch-probe-cut-{number}") == told, what
        assert world.run("up").code == 0, what
        assert verdict(world) == "ARMED", what
        assert struck(world, f"ctwatch-probe-mended-{number}") == (True, True), what


def test_a_topic_that_forbids_publishing_is_worn_for_the_people_alone(worlds: World) -> None:
    """What a topic's policy denies a role, the sandbox does not judge: status says the worst."""
    worlds.use(ROUTES["formatted"])
    assert worlds.run("up").code == 0
    worlds.click()
    deny_publishing(worlds)
    status = worlds.run("status", "--json")
    flows = {hop["hop"]: hop["flow"] for hop in json.loads(status.out)["hops"]}
    assert (json.loads(status.out)["verdict"], flows["topic"]) == ("DEGRADED", "cut")
    assert flows["discord"] == "ok"


def test_a_drill_names_the_way_that_stays_silent(worlds: World) -> None:
    worlds.use(ROUTES["direct"])
    assert worlds.run("up").code == 0
    worlds.click()
    without_grant(worlds)
    code, proofs, _ = drilled(worlds, "3")
    assert code == 3
    assert [hop for hop, proof in proofs.items() if proof == "not proven"] == ["topic"]
    assert worlds.run("up").code == 0
    forbid_calls(worlds)
    code, proofs, _ = drilled(worlds, "3")
    silent = [hop for hop, proof in proofs.items() if proof == "not proven"]
    assert (code, silent) == (3, ["function", "discord"])


def made(world: World) -> list[str]:
    """All there is, without the ids that SNS gives its subscriptions."""
    world.settle()
    return sorted(re.sub(r"[0-9a-f-]{36}", "id", one) for one in world.sandbox.listing())


# From each route to each other one

FAR = "us-east-1"
GUARDED = {
    **BOTH,
    "rules": [
        {"name": RULE, "detection": "trail-tampering"},
        {"name": "root-login", "detection": "root-login"},
        {"name": "guard", "detection": "pipeline-tampering"},
    ],
}
WALK = ("fanout", "direct", "formatted", "fanout", "formatted", "direct", "fanout")


def by(route: str) -> dict[str, Any]:
    return {**GUARDED, "route": route}


def test_the_walk_goes_from_each_route_to_each_other_one_once() -> None:
    assert sorted(pairwise(WALK)) == sorted(permutations(ROUTES, 2))


@contextmanager
def unheard(world: World) -> Iterator[None]:
    """Drop what `up` sets off: the guard tells of every call, which is shown in `test_guard`."""
    work = world.sandbox._delivery._work
    work._paused = True
    try:
        yield
    finally:
        work._paused = False


def holds(world: World) -> dict[str, Any]:
    """All there is, with every policy, target and setting in which a route could leave a trace."""
    found: dict[str, Any] = {"made": made(world)}
    for region in (PLACE.region, FAR):
        found |= _rules_of(world, region) | _queues_of(world, region)
    sns, iam, function = world.client("sns"), world.client("iam"), world.client("lambda")
    topic = sns.get_topic_attributes(TopicArn=PLACE.arn("sns", TOPIC))["Attributes"]
    listed = sns.list_subscriptions_by_topic(TopicArn=PLACE.arn("sns", TOPIC))["Subscriptions"]
    found["topic"] = json.loads(topic["Policy"])
    found["listeners"] = sorted((one["Protocol"], one["Endpoint"]) for one in listed)
    for role, policy in ((ROLE, "notifier"), ("ctwatch-forwarder", "forwarder")):
        trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        inline = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        found[role] = (trust, inline)
    found["variables"] = function.get_function_configuration(FunctionName=FUNCTION)["Environment"]
    invokers = json.loads(function.get_policy(FunctionName=FUNCTION)["Policy"])["Statement"]
    found["invokers"] = sorted(invokers, key=lambda one: one["Sid"])
    return found


def _rules_of(world: World, region: str) -> dict[str, Any]:
    events, found = world.client("events", region), {}
    for rule in events.list_rules()["Rules"]:
        targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        found[rule["Arn"]] = rule, sorted(targets, key=lambda one: one["Id"])
    return found


def _queues_of(world: World, region: str) -> dict[str, Any]:
    sqs, kept = world.client("sqs", region), ("Policy", "VisibilityTimeout", "RedrivePolicy")
    listed = sqs.list_queues().get("QueueUrls", [])
    asked = [
        (url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])) for url in listed
    ]
    return {f"{region} {url}": {name: found["Attributes"].get(name) for name in kept}
            for url, found in asked}  # fmt: skip


Letter = tuple[bool, bool]
"""Whether a mail has a subject of its own, and whether it is the event itself."""
AS_EVENT, AS_TEXT, WRITTEN = (False, True), (False, False), (True, False)


def letters(world: World, name: str) -> list[Letter]:
    """What mails told of the name; each is told by a text message and by Discord, too."""
    inbox = world.sandbox.inbox
    mails = [one for one in inbox.mails if name in one.text]
    assert len(mails) == len([one for one in inbox.texts if name in one.text])
    assert [one for one in inbox.posts if one.status == 200 and name in str(one.payload)]
    return [(one.subject != "AWS Notification Message", one.text.startswith("{")) for one in mails]


# A rule of the guard's tells by the topic, and its twin straight to the function.
WAYS = {
    "fanout": ([AS_EVENT], {AS_EVENT}),
    "direct": ([AS_TEXT], {AS_TEXT}),
    "formatted": ([WRITTEN], {AS_TEXT, WRITTEN}),
}


def strike_both(world: World, step: int) -> tuple[list[Letter], set[Letter]]:
    """Stop a trail at home, and touch a role far away; neither is there. How each was told."""
    home, far = f"ctwatch-probe-home-{step}", f"ctwatch-probe-far-{step}"
    cloudtrail, iam = world.client("cloudtrail"), world.client("iam")
    with pytest.raises(cloudtrail.exceptions.TrailNotFoundException):
        cloudtrail.stop_logging(Name=home)
    world.settle()  # or each would start a container of its own
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.delete_role_policy(RoleName=far, PolicyName="notifier")
    world.settle()
    posts = [one for one in world.sandbox.inbox.posts if home in str(one.payload)]
    assert [one.status for one in posts] == [200]
    return letters(world, home), {*letters(world, far)}


@pytest.fixture(scope="module")
def fresh(worlds: World) -> dict[str, dict[str, Any]]:
    """What a watch of each route holds that never had another one."""
    found = {}
    for route in ("direct", "formatted", "fanout"):
        worlds.use(by(route))
        with unheard(worlds):
            assert worlds.run("up").code == 0
        found[route] = holds(worlds)
    return found


@pytest.mark.parametrize(
    "walk", [pytest.param(WALK, marks=pytest.mark.exhaustive), WALK[:2]], ids=["whole", "begun"]
)
def test_another_route_converges_and_leaves_nothing_of_the_old_one(
    fresh: dict[str, dict[str, Any]], worlds: World, walk: tuple[str, ...]
) -> None:
    """The world that `fresh` leaves is that of the walk's first route."""
    worlds.click()
    for step, (first, second) in enumerate(pairwise(walk)):
        worlds.config.write_text(json.dumps(by(second)), encoding="utf-8")
        with unheard(worlds):
            up = worlds.run("up")
        assert up.code == 0, up.text
        assert ("- deleted subscription function" in up.err) is (first == "fanout")
        assert holds(worlds) == fresh[second], (first, second)
        assert verdict(worlds) == "ARMED", (first, second)
        assert "Nothing to do" in worlds.run("plan").err, (first, second)
        assert strike_both(worlds, step) == WAYS[second], (first, second)
    with unheard(worlds):
        assert worlds.run("down", "--yes", "--wait", "0").code == 0
    assert made(worlds) == [f"s3 bucket {worlds.open().watch.bucket.name}"]


def rewrite(world: World, config: dict[str, Any]) -> None:
    text = json.dumps(config)  # JSON is YAML
    world.config.write_text(text, encoding="utf-8")


def test_a_function_that_cannot_be_unsubscribed_is_not_told_to_publish(worlds: World) -> None:
    """Else each message that it publishes would call it again."""
    worlds.use(BOTH)
    assert worlds.run("up").code == 0
    worlds.click()
    rewrite(worlds, ROUTES["formatted"])
    denied = ("AuthorizationError", "not authorized to perform: SNS:Unsubscribe")
    worlds.refuse = lambda service, call, _: denied if call == "Unsubscribe" else None
    up, worlds.refuse = worlds.run("up"), lambda *_: None
    assert up.code == 1
    assert "✗ failed subscription function" in up.err
    waiting = f"· skipped function {FUNCTION}: waits for subscription function"
    assert waiting in up.err
    environment = worlds.client("lambda").get_function_configuration(FunctionName=FUNCTION)
    assert '"sns"' not in environment["Environment"]["Variables"]["CTWATCH_CHANNELS"]
    assert "subscription function is of an earlier config" in worlds.run("status").out
    assert worlds.run("up").code == 0
    assert verdict(worlds) == "ARMED"


def test_a_watch_without_channels_keeps_no_function_of_before(worlds: World) -> None:
    worlds.use(BOTH)
    assert worlds.run("up").code == 0
    worlds.click()
    rewrite(worlds, MAIL_ONLY)
    up = worlds.run("up")
    gone = [f"function {FUNCTION}", f"role {ROLE}", f"log group /aws/lambda/{FUNCTION}"]
    assert all(f"- deleted {one}" in up.err for one in ["subscription function", *gone])
    assert [one for one in made(worlds) if FUNCTION in one or ROLE in one] == []


def test_an_address_still_asked_that_the_config_names_no_more_is_named(worlds: World) -> None:
    worlds.use(BOTH)
    assert worlds.run("up").code == 0
    rewrite(worlds, {**ROUTES["direct"], "topic": {"sms": BOTH["topic"]["sms"]}})
    assert worlds.run("up").code == 0  # who is asked, and does not answer, hears nothing
    status = worlds.run("status")
    assert (status.code, status.out.split()[0]) == (0, "ARMED")
    assert f"email {ADDRESS} was asked, and is not in the config" in status.out
    assert "it expires 48 hours after it was asked" in status.out
    assert "unsubscribe --subscription-arn PendingConfirmation" not in status.out


def test_without_channels_the_function_that_writes_the_mails_has_a_line_of_its_own(
    worlds: World,
) -> None:
    worlds.use({**MAIL_ONLY, "route": "formatted"})
    assert worlds.run("up").code == 0
    worlds.click()
    assert "✓ function lambda-ct-detect-alarm" in worlds.run("status").out
    worlds.client("lambda").delete_function(FunctionName=FUNCTION)
    status = worlds.run("status")
    assert status.out.split()[0] == "MUTE"
    assert f"function {FUNCTION} does not exist → ctwatch up" in status.out


def test_a_target_that_is_too_many_is_called_so(worlds: World) -> None:
    worlds.use(ROUTES["direct"])
    assert worlds.run("up").code == 0
    rewrite(worlds, BOTH)
    assert f"rule {RULE}: targets.function was added" in worlds.run("status").out


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_lets_the_function_hear_what_it_publishes(route: str) -> None:
    watch = planned(ROUTES[route])
    hears = watch.webhook is not None
    assert not (hears and watch.publishes)
    assert hears is (route == "fanout")
    publish = (
        [x for x in watch.function.role.grants if "sns:Publish" in x[0]] if watch.function else []
    )
    assert bool(publish) is watch.publishes is (route == "formatted")
