"""Why a hop stayed silent: by metric, dead-letter queue, event history, and status."""

import json
from collections.abc import Callable, Iterator

import pytest
import yaml
from watch_world import PLAIN, World, world_of

from ctwatch.sandbox.server import Sandbox

RULE, TOPIC = "eventbridge-ct-detect", "sns-cloudtrail-alarm"
FUNCTION = "lambda-ct-detect-alarm"


@pytest.fixture(scope="module")
def standing(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("silence")) as world:
        world.use(PLAIN)
        assert world.run("up").code == 0
        world.click()
        yield world


@pytest.fixture
def world(standing: World) -> Iterator[World]:
    yield standing
    standing.refuse = lambda *_: None
    standing.sandbox.inbox.reset()
    standing.settle()
    standing.sandbox._metrics.clear()
    assert standing.run("up").code == 0


def arn(world: World, service: str, name: str) -> str:
    return f"arn:aws:{service}:{world.sandbox.region}:{world.sandbox.account}:{name}"


def disable_rule(world: World) -> None:
    world.client("events").disable_rule(Name=RULE)


def shut_topic(world: World) -> None:
    topic = arn(world, "sns", TOPIC)
    owner = {"AWS": world.sandbox.account}
    alone = {"Effect": "Allow", "Principal": owner, "Action": "sns:Publish", "Resource": topic}
    world.client("sns").set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [alone]}),
    )


def filter_listeners(world: World) -> None:
    sns = world.client("sns")
    for one in sns.list_subscriptions_by_topic(TopicArn=arn(world, "sns", TOPIC))["Subscriptions"]:
        sns.set_subscription_attributes(
            SubscriptionArn=one["SubscriptionArn"],
            AttributeName="FilterPolicy",
            AttributeValue=json.dumps({"never": ["ever"]}),
        )


def throttle_function(world: World) -> None:
    world.client("lambda").put_function_concurrency(
        FunctionName=FUNCTION, ReservedConcurrentExecutions=0
    )


def refuse_posts(world: World) -> None:
    world.sandbox.inbox.answer_with(500, times=20)


RECORDED = "event history: CloudTrail has recorded the call: what comes after it is silent"
SILENCES: dict[str, tuple[Callable[[World], None], list[str]]] = {
    "a rule that is disabled": (
        disable_rule,
        [RECORDED, f"metric: {RULE} matched nothing (MatchedEvents;", "status: ", "→ ctwatch up"],
    ),
    "a topic that keeps EventBridge out": (
        shut_topic,
        [
            RECORDED,
            f"metric: {RULE}: 1 could not be handed to a target (FailedInvocations)",
            "dead-letter queue: ctwatch-dead-letter holds 1 of these alerts: NO_PERMISSIONS",
            "status: ",
        ],
    ),
    "a filter before every listener": (
        filter_listeners,
        [f"metric: {TOPIC}: 3 held back by a filter policy", "status: "],
    ),
    "a function that never runs": (
        throttle_function,
        [
            "dead-letter queue: ctwatch-dead-letter holds 1 of these alerts: ZeroReservedConcurr",
            "status: ",
        ],
    ),
    "a channel that refuses": (
        refuse_posts,
        [f"metric: {FUNCTION}: 1 ended with an error (Errors)"],
    ),
}


@pytest.mark.parametrize("way", SILENCES)
def test_a_silent_drill_says_what_aws_knows_of_it(world: World, way: str) -> None:
    break_it, told = SILENCES[way]
    break_it(world)
    ran = world.run("simulate", "stop-logging", "--timeout", "1.5")
    assert ran.code == 3
    said = ran.err.partition("What AWS says of the cause:")[2]
    assert [one for one in told if one not in said] == [], said


def test_nobody_asks_why_where_all_is_proven(world: World) -> None:
    with world.sandbox.recording() as calls:
        assert world.run("simulate", "stop-logging", "--timeout", "30").code == 0
    asked = {one.operation for one in calls}
    assert not asked & {"GetMetricData", "LookupEvents"}


def test_what_aws_will_not_say_is_said(world: World) -> None:
    disable_rule(world)
    world.refuse = lambda _, operation, __: (
        ("AccessDenied", "no") if operation in {"GetMetricData", "LookupEvents"} else None
    )
    ran = world.run("simulate", "stop-logging", "--timeout", "1")
    assert ran.code == 3
    assert "metric: asking the metric: GetMetricData answered AccessDenied" in ran.err
    assert "event history: asking the event history: LookupEvents answered AccessDen" in ran.err


def test_another_drills_letters_are_not_taken_for_ones_own(world: World) -> None:
    shut_topic(world)
    assert world.run("simulate", "stop-logging", "--timeout", "1").code == 3
    ran = world.run("simulate", "delete-trail", "--timeout", "1")
    assert "ctwatch-dead-letter holds 1 of these alerts: NO_PERMISSIONS" in ran.err


def test_where_nobody_has_confirmed_no_drill_is_proven(world: World) -> None:
    here = yaml.safe_load(world.config.read_text(encoding="utf-8"))
    world.use({**here, "channels": []})
    assert world.run("up").code == 0  # but for a person's click
    ran = world.run("simulate", "stop-logging", "--timeout", "30")
    assert ran.code == 3
    assert "stop-logging nobody can have heard: no address is confirmed" in ran.out
    assert "Nobody can have heard. What AWS says of the cause:" in ran.err
