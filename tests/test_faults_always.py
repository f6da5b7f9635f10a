"""Every operation in turn fails always: `up` says so, does the rest, and goes on.

Lost would be what is neither done nor told in a sentence that names the call and what it is about.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from faulty import ALWAYS, Faults, always, faulty_world
from keeping import kept
from killed import is_write
from killing import writing
from watch_world import PLAIN, Ran, World, leaning, planned

from ctwatch.resources.base import Resource

pytestmark = pytest.mark.exhaustive

TRIED = {"up": 310}
"""Faults that are tried."""
SURVIVED = {"up": 9}
"""Of these, those that did no harm: it warned, or had nothing of the answer to read."""
LONGEST = 600.0
"""Seconds after which a command has ended, though AWS throttles a call for ever."""
FIRST = ("denied", "expired", "page")
"""What another operation does not stand for."""


KINDS = {
    "cloudtrail": ({"trail"}, "cloudtrail "),
    "events": ({"rule"}, "events "),
    "iam": ({"role"}, "iam "),
    "lambda": ({"function"}, "lambda "),
    "logs": ({"log group"}, "logs "),
    "s3": ({"bucket"}, "s3 "),
    "sns": ({"topic", "subscription"}, "sns "),
    "sqs": ({"queue"}, "sqs "),
    "ssm": ({"secret"}, "ssm "),
}
"""By service, what its calls are about, and how the sandbox begins when it lists that.

Whose account it is, which regions it has and what is tagged is asked about no single resource.
"""

OTHERS = (r"ctwatch-probe-\w+", r"ct-trail-monitor-canary", "the receipts", r"looking for [\w -]+")
"""What a drill makes and reads, and what is looked for without knowing its name."""


def spoke(ran: Ran, call: str, kind: str) -> bool:
    """Whether it told of it, in a sentence that names the call and what it was about."""
    service, _, operation = call.partition(":")
    if not re.search(rf"\b{operation}\b", ran.text):
        return False
    about, _ = KINDS.get(service, (set[str](), ""))
    names = [re.escape(one.name) for one in planned(PLAIN).resources if one.kind in about]
    named = "|".join([*names, *OTHERS]) if names else ""
    assert re.search(rf"(?:{named}):? {operation}\b", ran.text), (call, kind, ran.text)
    assert "Traceback" not in ran.text
    assert "<" not in ran.text.replace("<name>", ""), ran.text
    assert kind != "expired" or "log in again" in ran.text.lower(), ran.text
    return True


def kinds(place: int, call: str) -> list[str]:
    """All for what writes; for a look those that differ, and another, which goes round."""
    rest = [one for one in ALWAYS if one not in FIRST]
    return [*ALWAYS] if is_write(call) else [*FIRST, rest[place % len(rest)]]


def stand(world: World, wire: Faults) -> list[str]:
    """A watch that is up and confirmed; returns the operations that it took."""
    world.use(PLAIN)
    wire.begin()
    assert world.run("up").code == 0
    world.click()
    return sorted(set(wire.calls))


def test_up(tmp_path: Path) -> None:
    """Where it writes, from nothing; where it looks, on a watch that stands.

    Where a fault leaves what another left, written by the same calls from the same account, the
    next `up` would do the same.
    """
    with faulty_world(tmp_path) as (world, wire):
        calls, standing = stand(world, wire), kept(world)
        resources, whole = world.open().watch.resources, _listed(world)
        tried, survived, known = 0, 0, set[tuple[bool, tuple[str, ...]]]()
        for place, call in enumerate(calls):
            for kind in kinds(place, call):
                if is_write(call):
                    world.use(PLAIN)
                else:
                    standing.put_back()
                wire.begin(always(call, ALWAYS[kind]))
                start = wire.clock.monotonic()
                ran, wrote = writing(world, "up")
                tried += bool(wire.met)
                told = spoke(ran, call, kind)
                survived += ran.code == 0
                said = (call, kind, ran.text)
                assert ran.code == (1 if told and call not in ONLY_WARNED else 0), said
                assert wire.clock.monotonic() - start < LONGEST, said
                assert not (lost := list(_unnamed(ran, resources))), (lost, said)
                assert not (undone := list(_undone(ran, resources, whole - _listed(world)))), (
                    *(undone, said),
                )
                left = (is_write(call), wrote)
                if left not in known and (is_write(call) or kind == "cut"):
                    known.add(left)
                    _goes_on(world, wire, said)
        assert (tried, survived) == (TRIED["up"], SURVIVED["up"])


def _goes_on(world: World, wire: Faults, said: tuple[str, str, str]) -> None:
    """The next `up` does the rest, and the one after it has nothing to write."""
    for number in range(2):
        wire.begin()
        ran = world.run("up")
        assert ran.code == 0, (said, ran.text)
        assert not number or not any(map(is_write, wire.calls)), (said, wire.calls)


def _listed(world: World) -> set[str]:
    """What is there; the id of a subscription is another each time."""
    return {re.sub(r":[0-9a-f-]{36}", "", one) for one in world.sandbox.listing()}


def _undone(ran: Ran, resources: Iterable[Resource], missing: set[str]) -> Iterator[str]:
    """What is missing though it neither failed nor leans on what did."""
    known = list(resources)
    failed = failing(ran, known)
    excused = {*failed, *(other for one in failed for other in leaning(one, known))}
    for item in missing:
        if not any(is_of(item, one) for one in excused):
            yield item


def failing(ran: Ran, resources: Iterable[Resource]) -> list[Resource]:
    """Those of which it is said that they failed."""
    return [one for one in resources if f"✗ failed {one.title}: " in ran.err]


def is_of(item: str, one: Resource) -> bool:
    """Whether what the sandbox lists is this resource, or a part of it."""
    begins = next(begins for about, begins in KINDS.values() if one.kind in about)
    return item.startswith(begins) and one.name in item


ONLY_WARNED = {"resourcegroupstaggingapi:GetResources"}
"""What an earlier config left is looked for by it; that it may stay unseen is a warning."""


def _unnamed(ran: Ran, resources: tuple[Resource, ...]) -> Iterator[str]:
    """What leans on what failed, and is not said to wait."""
    lines = ran.err_lines
    for one in resources:
        if any(line.startswith(f"✗ failed {one.title}:") for line in lines):
            for other in leaning(one, list(resources)):
                ends = [line for line in lines if f" {other.title}" in line]
                if not any("waits for" in line or "failed" in line for line in ends):
                    yield f"{other.title} leans on {one.title}"
