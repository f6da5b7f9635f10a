"""One line for every promised leaf that the route `fanout` has not: a rule's three targets, the
text that it makes of an event, and what the function needs to write the mails.

What arrives when one of the ways is cut is shown in `test_routes`.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from hands import inline_policy, queue_policy, topic_policy
from sabotage import (
    DEGRADED,
    MUTE,
    Break,
    Ground,
    Line,
    Table,
    leaves,
    line,
    of_each,
    rearmed,
    shows_means_and_mends,
)
from watch_world import PLACE, PLAIN, World, planned

from ctwatch.resources.base import Resource
from ctwatch.sandbox.server import Sandbox
from ctwatch.watch import Watch

pytestmark = pytest.mark.usefixtures("unmeasured")


def parts(watch: Watch) -> dict[str, Resource]:
    assert watch.function
    found: dict[str, Resource] = {
        "rule": watch.rules[0],
        "topic": watch.topic,
        "receipts": watch.receipts,
        "role": watch.function.role,
        "function": watch.function,
    }
    return found


HOPS = {
    "rule": "rule", "topic": "topic", "receipts": "proof", "role": "discord", "function": "discord",
}  # fmt: skip


DIRECT, FORMATTED = {**PLAIN, "route": "direct"}, {**PLAIN, "route": "formatted"}
PLANNED = {"direct": parts(planned(DIRECT)), "formatted": parts(planned(FORMATTED))}


def other(target: dict[str, Any], path: list[str]) -> None:
    """Another value at one leaf of a target."""
    for key in path[:-1]:
        target = target[key]
    value = target[path[-1]]
    if isinstance(value, int):
        target[path[-1]] = value - 1
    elif path[-1] == "InputTemplate":
        target[path[-1]] = value.replace("Event", "No event")
    else:
        target[path[-1]] = f"{value}not"


def changed(name: str, path: list[str]) -> Break:
    def by(ground: Ground) -> None:
        rule = ground.at("rule")
        [target] = [deepcopy(one) for one in rule._targets if one["Id"] == name]
        other(target, path)
        ground.events.put_targets(Rule=rule.name, Targets=[target])

    return by


def removed(name: str) -> Break:
    return lambda ground: ground.events.remove_targets(Rule=ground.at("rule").name, Ids=[name])


SID = "events-eventbridge-ct-detect"


def alone(name: str, key: str = "Arn") -> Any:
    """What it means where the webhook is all there is."""
    return MUTE if name == "function" and key == "Arn" else DEGRADED


def shut_out(ground: Ground) -> None:
    """The permission that looks wise: EventBridge names no account when it calls."""
    name, given = ground.at("function").name, {"SourceAccount": PLACE.account}
    [(service, source)] = ground.at("function").invokers
    ground.lambda_.remove_permission(FunctionName=name, StatementId=SID)
    ground.lambda_.add_permission(
        FunctionName=name, StatementId=SID, Action="lambda:InvokeFunction", Principal=service,
        SourceArn=source, **given,
    )  # fmt: skip


def of_targets() -> Iterator[Line]:
    targets = PLANNED["direct"]["rule"].wanted["targets"]
    for name, target in targets.items():
        yield line("rule", f"targets.{name}", removed(name), alone=alone(name))
        for leaf in leaves(target):
            path = leaf.split(".")
            by = changed(name, path)
            yield line("rule", f"targets.{name}.{leaf}", by, alone=alone(name, path[0]))


TABLES = {
    "direct": Table(
        config=DIRECT,
        parts=parts,
        lines=[
            *of_targets(),
            *queue_policy("receipts").lines(PLANNED["direct"], {}),
            line("function", f"permissions.{SID}.condition.StringEquals", shut_out, alone=MUTE),
        ],
        on_the_way=frozenset(),
        hops=HOPS,
    ),
    "formatted": Table(
        config=FORMATTED,
        parts=parts,
        lines=[
            *topic_policy().lines(PLANNED["formatted"], {}),
            *inline_policy("notifier").lines(
                PLANNED["formatted"],
                of_each(PLANNED["formatted"]["role"].policy, "Ssm", alone=MUTE),
            ),
        ],
        on_the_way=frozenset(),
        hops=HOPS,
    ),
}


@pytest.fixture(
    scope="module",
    params=["direct", pytest.param("formatted", marks=pytest.mark.exhaustive)],
)
def route(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def armed(
    route: str, running: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    prepare: Callable[[World], None] = lambda _: None  # noqa: E731 - an intruder without luggage
    with TABLES[route].armed(running, tmp_path_factory.mktemp(route), prepare) as ground:
        yield ground


def test_each_line_shows_where_it_is_means_what_it_says_and_mends(
    route: str, armed: Ground
) -> None:
    table, ground = TABLES[route], rearmed(armed)
    for one in table.done:
        shows_means_and_mends(one, table, ground)


@pytest.mark.parametrize(
    ("route", "part", "below"),
    [
        ("direct", "rule", "targets."),
        ("direct", "receipts", "policy."),
        ("formatted", "topic", "policy."),
        ("formatted", "role", "inline."),
    ],
)
def test_every_leaf_of_what_a_route_changes_has_a_line(route: str, part: str, below: str) -> None:
    untold = TABLES[route].untold(part)
    assert {one for one in untold if one.startswith(below)} == set()
