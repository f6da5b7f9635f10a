"""How many calls each command makes, and how many of them in series: no more than it takes."""

from collections.abc import Iterator
from typing import Any

import pytest
from rounds import Rounds
from watch_world import PLAIN, RICH, World, world_of

from ctwatch.resources.base import Resource
from ctwatch.sandbox.server import Sandbox
from ctwatch.watch import Watch

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


@pytest.mark.parametrize("route", ROUTES)
def test_a_first_up_takes_no_more_rounds_than_lean_on_each_other(
    route: str, world: World, wire: Rounds
) -> None:
    world.use(ROUTES[route])
    needed = len(BEFORE) + critical_path(world.open().watch) + len(AFTER)
    with wire.counted() as rounds:
        assert world.run("up").code == 0
    assert len(rounds) == needed, rounds


COST: dict[str, dict[tuple[str, ...], tuple[int, int]]] = {
    "plain": {
        ("up",): (110, 9),
        ("up", "-q"): (52, 3),
        ("status",): (49, 3),
        ("plan",): (52, 3),
        ("down", "--yes", "--wait", "0"): (155, 17),
    },
    "rich": {
        ("up",): (297, 30),
        ("up", "-q"): (91, 6),
        ("status",): (89, 6),
        ("plan",): (91, 6),
        ("down", "--yes", "--wait", "0"): (230, 20),
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
