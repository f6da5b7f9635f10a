"""Every operation that writes fails always: `down` says so, does the rest, and goes on.

What stays, as its deletion was refused, is refused to the next `down`, too: so one watch serves
several kinds of fault, until one comes that lets all go.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from faulty import ALWAYS, Faults, always, faulty_world
from killed import is_write
from killing import again, writing
from test_faults_always import LONGEST, failing, is_of, kinds, spoke, stand
from watch_world import PLAIN, Ran, World, planned

from ctwatch.resources.base import Resource

pytestmark = pytest.mark.exhaustive

TRIED = {"down": 108}
"""Faults that are tried."""
SURVIVED = {"down": 16}
"""Of these, those that did no harm: it was done, though no answer came."""
BEFORE_ALL = {"sts:GetCallerIdentity"}
"""Without which nothing can be begun."""
DOWN = ("down", "--yes", "--delete-logs", "--wait", "3")


def test_down(tmp_path: Path) -> None:
    with faulty_world(tmp_path) as (world, wire):
        tried, survived = Clearing(world, wire).each(is_write)
        assert (tried, survived) == (TRIED["down"], SURVIVED["down"])


class Clearing:
    """A watch that stands and is cleared away again and again, whatever fails.

    Where faults leave what others left, deleted by the same calls, the next `down` would do the
    same.

    Args:
        world: where.
        wire: the wire to it.
        make: makes the watch.
        befalls: what to try of a call, which has a place among all.
        down: how it is cleared away.
    """

    def __init__(
        self,
        world: World,
        wire: Faults,
        make: Callable[[World, Faults], object] = stand,
        befalls: Callable[[int, str], list[str]] = kinds,
        down: Sequence[str] = DOWN,
    ) -> None:
        self.world, self.wire, self.befalls, self.down = world, wire, befalls, down
        self.stands = again(world, lambda: make(world, wire))
        self.resources = planned(PLAIN).resources
        self.deleted: list[str] = []
        self.known: set[tuple[str, ...]] = set()

    def each(self, which: Callable[[str], bool]) -> tuple[int, int]:
        """How many faults were tried, and after how many of these nothing was left."""
        self.prepare()
        self.wire.begin()
        assert self.world.run(*self.down).code == 0
        asked = [one for one in enumerate(sorted(set(self.wire.calls))) if which(one[1])]
        ended = [one for place, call in asked for one in self.of(place, call)]
        return len(ended), ended.count(False)

    def prepare(self) -> None:
        self.stands()
        self.deleted.clear()

    def of(self, place: int, call: str) -> Iterator[bool]:
        """Whether something stayed, for each kind; whatever came of them, `down` leaves nothing."""
        for kind in self.befalls(place, call):
            stayed = self.struck(call, kind) if self.world.sandbox.listing() else None
            if stayed is None:
                self.prepare()
                stayed = self.struck(call, kind)
            if stayed is not None:
                yield stayed
        left = tuple(sorted(self.deleted))
        if left in self.known:
            self.prepare()
            return
        self.known.add(left)
        self.wire.begin()
        ran = self.world.run(*self.down)
        assert (ran.code, self.world.sandbox.listing()) == (0, []), (call, ran.text)

    def struck(self, call: str, kind: str) -> bool | None:
        """Whether something stayed, which was told; None where the call was not made."""
        self.wire.begin(always(call, ALWAYS[kind]))
        start = self.wire.clock.monotonic()
        ran, wrote = writing(self.world, *self.down)
        self.deleted += wrote
        told, said = spoke(ran, call, kind), (call, kind, ran.text)
        # What was done though no answer came is gone at the look that `down` ends with.
        assert told or ran.code == 0, said
        assert (ran.code == 0) <= (self.world.sandbox.listing() == []), said
        undone = [*_undone(ran, self.resources, self.world.sandbox.listing())]
        assert not undone or call in BEFORE_ALL, (undone, said)
        assert self.wire.clock.monotonic() - start < LONGEST, said
        return ran.code != 0 if self.wire.met else None


def _undone(ran: Ran, resources: Iterable[Resource], there: Iterable[str]) -> Iterator[str]:
    """What is there though it neither failed nor had to wait for what did."""
    excused = waiting(failing(ran, known := list(resources)), known)
    yield from (item for item in there if not any(is_of(item, one) for one in excused))


def waiting(failed: Iterable[Resource], known: Iterable[Resource]) -> set[Resource]:
    """These, what they lean on, and what goes with any of them; also by way of others."""
    found, more = set[Resource](), {*failed}
    while more:
        found |= more
        needed = {need for one in more for need in one.needs}
        more = {*needed, *(one for one in known if one.goes_with in more)} - found
    return found
