"""How many calls each command makes, and how many of them in series: no more than it takes."""

from collections.abc import Iterator
from typing import Any

import pytest
from rounds import Rounds
from watch_world import PLAIN, RICH, World, world_of

from ctwatch.resources.base import Resource
from ctwatch.sandbox.server import Sandbox
from ctwatch.watch import Watch

EXHAUSTIVE = pytest.mark.exhaustive
DOWN = ("down", "--yes", "--wait", "0")

ROUTES = {
    "fanout": PLAIN,
    "direct": {**PLAIN, "route": "direct"},
    "formatted": {**PLAIN, "route": "formatted"},
}

SERIES = {
    "bucket": ("CreateBucket", "PutBucketVersioning", "PutBucketPolicy"),
    "trail": ("CreateTrail", "StartLogging"),
    "topic": ("CreateTopic",),
    "queue": ("CreateQueue",),
    "secret": ("PutParameter",),
    "log group": ("CreateLogGroup", "PutRetentionPolicy"),
    "role": ("CreateRole", "PutRolePolicy"),
    "function": ("CreateFunction", "AddPermission"),
    "subscription": ("Subscribe",),
    "rule": ("DescribeRule", "PutRule", "PutTargets"),
}
"""The calls that make a thing, each of which needs the one before it.

S3 refuses to change a bucket twice at once. Versioning comes before the policy, so that nothing is
ever written there that is not kept. A trail starts to log when it is there; a log group keeps for
so long, and a role may do, when they are there. Lambda takes permissions of a function that it has,
and checks by the role's policy where failures go, which is told it beside the permissions. PutRule
overwrites, so that it is looked once more whose the rule is; targets need their rule.
"""

BEFORE = ("who we are, as ARNs hold the account", "what is there")
AFTER = ("what is there then", "what names itself by an id of AWS's: subscriptions, selectors")

ENDS = {
    "function": ("DeleteFunction",),
    "log group": ("DeleteLogGroup",),
    "queue": ("DeleteQueue",),
    "role": ("DeleteRolePolicy", "DeleteRole"),
    "rule": ("RemoveTargets", "DeleteRule"),
    "secret": ("DeleteParameter",),
    "topic": ("DeleteTopic",),
}
"""The calls that end a thing, each of which needs the one before it.

IAM deletes no role that has policies, EventBridge no rule that has targets, but once these are off,
what the rule leaned on may go. SNS deletes a topic with its subscriptions. A role goes after the
function, which could tell nobody any more without it, as that might be what cannot be deleted.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteRule.html
https://docs.aws.amazon.com/sns/latest/api/API_DeleteTopic.html
"""

FIRST = (
    "who we are, and meanwhile which regions the account has",
    "what is there, and whose it is, in all of them",
    "what names itself by an id of AWS's; only with that it is known what the alarm still hears",
    "the trail, in a wave of its own, as the alarm that goes after it tells of that",
)
LAST = ("what is there then: success is what AWS says",)
"""What `down` cannot do in fewer, so that with what leans on what it is no less than eight.

It would be five if nobody looked before it deletes, and again after that, and if the trail went
while what tells of its going goes, too.
"""


@pytest.fixture(scope="module")
def wire() -> Rounds:
    return Rounds()


@pytest.fixture(scope="module")
def world(
    wire: Rounds, running: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("rounds"), through=wire.through) as here:
        yield here


def critical_path(watch: Watch) -> int:
    """Calls in series on the longest way through what leans on what."""
    known: dict[Resource, int] = {}

    def length(one: Resource) -> int:
        if one not in known:
            before = max((length(need) for need in one.needs if need in watch.resources), default=0)
            known[one] = before + len(SERIES[one.kind])
        return known[one]

    return max(map(length, watch.resources))


def way_down(watch: Watch) -> int:
    """Calls in series on the longest way back through what leans on what, the trail gone."""
    parts = [one for one in watch.resources if one.kind in ENDS and not one.data]

    def begins(one: Resource) -> int:
        leaning = (other for other in parts if one in other.needs)
        return max((begins(x) + (1 if x.tied else len(ENDS[x.kind])) for x in leaning), default=0)

    return max(begins(one) + len(ENDS[one.kind]) for one in parts)


@pytest.mark.parametrize("route", ROUTES)
def test_a_first_up_takes_no_more_rounds_than_lean_on_each_other(
    route: str, world: World, wire: Rounds
) -> None:
    world.use(ROUTES[route])
    needed = len(BEFORE) + critical_path(world.open().watch) + len(AFTER)
    with wire.counted() as rounds:
        assert world.run("up").code == 0
    assert len(rounds) == needed, rounds


@pytest.mark.parametrize(
    "route", [pytest.param(one, marks=[] if one == "fanout" else EXHAUSTIVE) for one in ROUTES]
)
def test_down_takes_no_more_rounds_than_wait_for_each_other(
    route: str, world: World, wire: Rounds
) -> None:
    world.use(ROUTES[route])
    assert world.run("up").code == 0
    needed = len(FIRST) + way_down(world.open().watch) + len(LAST)
    with wire.counted() as rounds:
        assert world.run(*DOWN).code == 0
    assert len(rounds) == needed, rounds


COST: dict[str, dict[tuple[str, ...], tuple[int, int]]] = {
    "plain": {
        ("up",): (110, 9),
        ("up", "-q"): (52, 3),
        ("status",): (49, 3),
        ("plan",): (52, 3),
        DOWN: (139, 8),
    },
    "rich": {
        ("up",): (297, 26),
        ("up", "-q"): (87, 3),
        ("status",): (85, 3),
        ("plan",): (87, 3),
        DOWN: (215, 9),  # the keys, which it keeps, name themselves by ids when it looks again
    },
}
"""By config and command: calls, and how many of them in series."""

CONFIGS: dict[str, Any] = {"plain": PLAIN, "rich": RICH}


@pytest.mark.parametrize("config", ["plain", pytest.param("rich", marks=pytest.mark.exhaustive)])
def test_each_command_makes_so_many_calls_and_so_many_in_series(
    config: str, world: World, wire: Rounds
) -> None:
    world.use(CONFIGS[config])
    cost = {}
    for command in COST[config]:
        with wire.counted() as rounds:
            assert world.run(*command).code == 0
        cost[command] = sum(map(len, rounds)), len(rounds)
        if command == ("up",):
            world.click()
    assert cost == COST[config]


def wide(regions: int = 1, rules: int = 1, mails: int = 1) -> dict[str, Any]:
    """A watch with so many of them."""
    many = [{"name": f"rule-{at}", "detection": "root-activity"} for at in range(rules)]
    return {
        **PLAIN,
        "topic": {"emails": [f"security{at}@example.com" for at in range(mails)]},
        "regions": REGIONS[1:regions],
        "rules": many,
    }


REGIONS = (
    *("ap-northeast-2", "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-south-1"),
    *("ap-northeast-1", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ca-central-1"),
    *("eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "sa-east-1"),
)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(wide(regions=5), id="5 regions"),
        pytest.param(wide(regions=17), id="17 regions", marks=EXHAUSTIVE),
        pytest.param(wide(rules=10, mails=10), id="10 rules, 10 mails", marks=EXHAUSTIVE),
        pytest.param(wide(rules=50), id="50 rules", marks=EXHAUSTIVE),
    ],
)
def test_calls_in_series_grow_neither_with_regions_nor_with_rules_nor_with_mails(
    config: dict[str, Any], world: World, wire: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctwatch.sandbox.server._BY_DEFAULT", REGIONS[: len(config["regions"]) + 1])
    world.use(config)
    series = {}
    for command in COST["plain"]:
        with wire.counted() as rounds:
            assert world.run(*command).code == 0
        series[command] = len(rounds)
        if command == ("up",):
            world.click()
    assert series == {command: of for command, (_, of) in COST["plain"].items()}
