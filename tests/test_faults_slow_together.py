"""As `test_faults_together`, where AWS is slow to agree: what one does, the other sees late.

Nobody's thing is taken over, and one `up` alone mends what is left.
"""

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from faulty import Faults, faulty_world
from killed import is_write
from test_faults_together import (
    DOWN,
    DRIFTS,
    ORDERS,
    STRANGERS,
    _remove,
    of_kind,
    said_why,
    together,
    unchanged,
)
from watch_world import PLAIN, World

pytestmark = pytest.mark.exhaustive

BUILDING = (1, 60)
CLEARING = (50,)
"""After how many calls of the first the second sets out."""
GONE = ("function", "queue", "topic")
TOLD = ("queue", "topic")
"""Of these, whose loss is told, and mended by the next `up`."""
TAKEN = ("bucket", "function", "queue", "topic", "trail")
"""Kinds that a stranger takes first."""
LEANING = {"function", "trail"}
"""Of these, those that need what is there when a watch is up."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Faults]]:
    with faulty_world(tmp_path_factory.mktemp("together"), like_aws=True) as found:
        yield found


def alone(world: World, wire: Faults) -> None:
    """One `up` makes it so; when AWS has agreed, it is ARMED, and the next writes nothing."""
    world.settle()
    wire.begin()
    ran = world.run("up")
    assert ran.code == 0, ran.text
    world.click()
    world.settle()
    wire.begin()
    ran = world.run("up")
    assert (ran.code, [*filter(is_write, wire.calls)]) == (0, []), ran.text
    assert "ARMED" in ran.text


def cleared(world: World, wire: Faults) -> None:
    """One `down` leaves nothing."""
    wire.begin()
    ran = world.run(*DOWN)
    assert (ran.code, world.sandbox.listing()) == (0, []), ran.text


@pytest.mark.parametrize("offset", BUILDING)
def test_two_that_build(here: tuple[World, Faults], offset: int) -> None:
    world, wire = here
    world.use(PLAIN)
    for ran in together(world, wire, ("up",), ("up",), offset):
        assert ran.code == 0, ran.text
    alone(world, wire)
    cleared(world, wire)


@pytest.mark.parametrize("offset", CLEARING)
@pytest.mark.parametrize("order", ORDERS)
def test_one_that_builds_and_one_that_clears_away(
    here: tuple[World, Faults], order: str, offset: int
) -> None:
    world, wire = here
    world.use(PLAIN)
    if order == "down first":
        wire.begin()
        assert world.run("up").code == 0
        world.settle()
    resources = world.open().watch.resources
    ended = together(world, wire, *ORDERS[order], offset)
    for ran in ended:
        assert ran.code in {0, 1, 3}, ran.text
        assert not ran.code or said_why(ran, resources), ran.text
        assert "is not this watch's" not in ran.text
    world.settle()
    if world.sandbox.listing() and not any(ran.code for ran in ended):
        unchanged(world, wire)
    alone(world, wire)
    cleared(world, wire)


@pytest.mark.parametrize("kind", GONE)
def test_what_goes_while_it_is_mended(here: tuple[World, Faults], kind: str) -> None:
    world, wire = here
    world.use(PLAIN)
    wire.begin()
    assert world.run("up").code == 0
    world.click()
    world.settle()
    aws, one = of_kind(world, kind)
    DRIFTS[kind](world, one)
    world.settle()
    gone = threading.Event()

    def meanwhile(call: str, _: int) -> None:
        if is_write(call) and not gone.is_set():
            gone.set()
            _remove(world, aws, one)

    wire.begin()
    wire.meanwhile = meanwhile
    ran = world.run("up")
    assert gone.is_set()
    assert (ran.code != 0) is (kind in TOLD), ran.text
    world.settle()
    if ran.code:
        assert said_why(ran, world.open().watch.resources), ran.text
    else:
        unchanged(world, wire)
    alone(world, wire)


@pytest.mark.parametrize("kind", TAKEN)
def test_what_a_stranger_takes_first_stays_the_strangers(
    here: tuple[World, Faults], kind: str
) -> None:
    world, wire = here
    world.use(PLAIN)
    wire.begin()
    aws, one = of_kind(world, kind)
    before, take = STRANGERS[kind]
    if kind in LEANING:
        assert world.run("up").code == 0
        one.delete(aws)
        world.settle()
    take(world, one)
    world.settle()
    theirs = one.read(aws)
    world.use(PLAIN)
    taken: list[Any] = []
    lock = threading.Lock()

    def meanwhile(call: str, _: int) -> None:
        with lock, suppress(ClientError):  # another write waits, too
            if not taken and (call == before or (not before and is_write(call))):
                take(world, one)
                taken.append(one)

    wire.begin()
    wire.meanwhile = meanwhile
    for _ in range(2):  # as it is met, and as it is found
        ran = world.run("up")
        assert ran.code == 1, ran.text
        world.settle()
        assert f"skipped {one.title}: is there already and is not this watch's" in ran.err, ran.text
        live = one.read(aws)
        assert (live.state, live.owner) == (theirs.state, None)
        wire.begin()
    one.delete(aws)
    alone(world, wire)
