"""Whatever `status` may not look at: never ARMED by mistake, never ABSENT, the right exit code."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from watch_world import ELSEWHERE, PLAIN, World, world_of

from ctwatch.diagnose import Alarm, Diagnosis, Flow, diagnose
from ctwatch.engine import inspect
from ctwatch.opening import Opened
from ctwatch.sandbox.server import Sandbox

CONFIGS = {"plain": PLAIN, "elsewhere": {**ELSEWHERE, "regions": ["eu-west-1"]}}

DECIDING = {
    *("cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"),
    *("cloudtrail:GetInsightSelectors", "cloudtrail:ListTags"),
    *("events:DescribeRule", "events:ListTargetsByRule", "events:ListTagsForResource"),
    *("sns:GetTopicAttributes", "sns:ListTagsForResource", "sns:ListSubscriptionsByTopic"),
    "sns:GetSubscriptionAttributes",
}
"""What every alert passes is read by these."""
OF_FORWARDING = {
    *("events:DescribeEventBus", "iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy"),
    "iam:ListAttachedRolePolicies",
}
"""What decides, too, where other regions hand on to home."""
OF_CHANNEL = {
    *("lambda:GetFunction", "lambda:GetPolicy", "lambda:GetFunctionEventInvokeConfig"),
    *("lambda:GetFunctionConcurrency", "iam:GetRole", "iam:ListRolePolicies"),
    *("iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "ssm:GetParameter"),
    "ssm:ListTagsForResource",
}
"""What decides where the webhook is all there is."""


@pytest.fixture(
    scope="module", params=["plain", pytest.param("elsewhere", marks=pytest.mark.exhaustive)]
)
def standing(
    request: pytest.FixtureRequest, running: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, World, Opened]]:
    with world_of(running, tmp_path_factory.mktemp("watch")) as world:
        world.use(CONFIGS[request.param])
        assert world.run("up").code == 0
        world.click()
        yield request.param, world, world.open()


def refusing(call: str) -> Callable[..., tuple[str, str] | None]:
    no = ("AccessDenied", f"not authorized to perform {call}")
    return lambda service, name, _: no if f"{service}:{name}" == call else None


def looked(here: Opened) -> tuple[Diagnosis, Diagnosis]:
    """With the people, and without."""
    found = {one.resource: one for one in inspect(here.watch.resources, here.aws)}
    alone = replace(here.watch, people=())
    topic = found[alone.topic]
    if topic.live:
        machines = [x for x in topic.live.facts["subscriptions"] if x[0] != "email"]
        facts = {**topic.live.facts, "subscriptions": machines}
        found[alone.topic] = replace(topic, live=replace(topic.live, facts=facts))
    with_mail = diagnose(here.watch, [found[one] for one in here.watch.resources], here.aws)
    return with_mail, diagnose(alone, [found[one] for one in alone.resources], here.aws)


def test_each_read_that_is_denied_in_turn(standing: tuple[str, World, Opened]) -> None:
    name, world, here = standing
    with world.sandbox.recording() as calls:
        assert [one.verdict for one in looked(here)] == [Alarm.ARMED, Alarm.ARMED]
    reads = sorted({f"{one.service}:{one.operation}" for one in calls})
    decisive = DECIDING | (OF_FORWARDING if name == "elsewhere" else set())
    assert not any(one.writes for one in calls)
    assert {*reads} >= decisive | OF_CHANNEL
    for call in reads if name == "plain" else sorted(OF_FORWARDING):
        world.refuse = refusing(call)
        with_mail, alone = looked(here)
        unknown = (call in decisive, call in decisive | OF_CHANNEL)
        expected = [Alarm.UNKNOWN if one else Alarm.DEGRADED for one in unknown]
        assert [with_mail.verdict, alone.verdict] == expected, call
        assert "AccessDenied" in str(with_mail.faults), call
        assert {one.flow for one in with_mail.hops} <= {Flow.OK, Flow.WORN, Flow.UNKNOWN}, call
        assert all(one.remedy for one in with_mail.faults)
    world.refuse = lambda *_: None


@pytest.mark.parametrize(
    ("call", "verdict", "code"),
    [("sns:GetTopicAttributes", "UNKNOWN", 1), ("lambda:GetPolicy", "DEGRADED", 3)],
)
def test_the_command_says_so_with_the_verdicts_exit_code(
    call: str, verdict: str, code: int, standing: tuple[str, World, Opened]
) -> None:
    world = standing[1]
    world.refuse = refusing(call)
    ran = world.run("status", "--json")
    world.refuse = lambda *_: None
    document: Any = json.loads(ran.out)
    assert (document["verdict"], ran.code) == (verdict, code)
    faults = [fault for hop in document["hops"] for fault in hop["faults"]]
    assert {fault["remedy"] for fault in faults} == {
        f"Your credentials may not call {call.split(':')[1]}: ask for that permission."
    }


def test_who_may_not_even_ask_who_he_is_is_told_so(standing: tuple[str, World, Opened]) -> None:
    world = standing[1]
    world.refuse = refusing("sts:GetCallerIdentity")
    ran = world.run("status")
    world.refuse = lambda *_: None
    assert (ran.code, ran.out) == (1, "")
    assert "GetCallerIdentity answered AccessDenied" in ran.err
