"""How it goes on after a kill on a sandbox that is as slow to agree as AWS."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from killing import DOWN, Ended, Killer, Way, arm, killer_of, writing
from slow_world import slow_world
from watch_world import PLAIN


@contextmanager
def slow_killing(folder: Path) -> Iterator[Killer]:
    """A slow world, and what kills commands in it."""
    with slow_world(folder) as world, killer_of(world, PLAIN, world.sandbox.url) as killer:
        yield killer


def armed_at_once(world: Any) -> Way:
    """The next `up` goes on at once; when AWS has agreed on it, it is ARMED and has no work."""

    def up(ended: Ended) -> None:
        ran = world.run("up")
        assert ran.code == 0, (ended, ran.text)
        world.click()
        world.settle()
        ran, wrote = writing(world, "up")
        assert (ran.code, wrote) == (0, ()), (ended, ran.text)
        assert "ARMED" in ran.err, (ended, ran.text)

    return up


def later(world: Any, way: Way) -> Way:
    """The same when AWS has agreed on all that was done."""

    def on(ended: Ended) -> None:
        world.settle()
        way(ended)

    return on


def nothing_left(world: Any) -> Way:
    """The next `down` leaves nothing, and comes at once."""

    def down(ended: Ended) -> None:
        ran = world.run(*DOWN)
        assert (ran.code, world.sandbox.listing()) == (0, []), (ended, ran.text)

    return down


def standing(world: Any) -> None:
    """An account with nothing but an armed watch, of which all of AWS knows."""
    arm(world, PLAIN)
    world.settle()
