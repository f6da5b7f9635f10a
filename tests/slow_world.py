"""A sandbox that takes AWS's time, and one clock for it and for ctwatch that leaps over waits.

A process of its own goes by the same clock: `led_by(FarClock(sandbox.url))`.
"""

import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from watch_world import World, world_of

from ctwatch.clock import Clock, LeapingClock
from ctwatch.sandbox.server import CLOCK_PATH, Sandbox
from ctwatch.sandbox.slowness import Lag
from ctwatch.verbs.down import _YOUNG

LATER = 90.0
"""Seconds after which AWS has agreed on everything: a person takes as long to find a mail."""


class FarClock(Clock):
    """The clock of a sandbox in another process.

    Args:
        url: the sandbox's.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._page = f"{url}{CLOCK_PATH}"

    def _told(self, seconds: float = 0.0) -> tuple[float, float]:
        with urllib.request.urlopen(f"{self._page}?sleep={max(0.0, seconds)!r}") as answer:
            monotonic, ahead = answer.read().split()
        return float(monotonic), float(ahead)

    @property
    def ahead(self) -> float:
        return self._told()[1]

    def monotonic(self) -> float:
        return self._told()[0]

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def sleep(self, seconds: float) -> None:
        self._told(seconds)


@contextmanager
def led_by(clock: Clock) -> Iterator[None]:
    """Let ctwatch, and botocore when it tries again, go by a clock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ctwatch.aws.Clock", lambda: clock)
        patch.setattr("botocore.endpoint.time", SimpleNamespace(time=time.time, sleep=clock.sleep))
        yield


class SlowWorld(World):
    """A world in which nothing that is late is forgotten."""

    def settle(self) -> None:
        """Wait for all that is under way, and until everybody knows of everything."""
        self.sandbox.clock.sleep(LATER)
        assert self.sandbox.idle(20)


@contextmanager
def slow_world(folder: Path, seed: int = 0) -> Iterator[SlowWorld]:
    """A world on a sandbox like AWS; no event is lost in it, unless a test wants it."""
    clock = LeapingClock()
    with Sandbox(clock=clock, like_aws=True, seed=seed) as sandbox, led_by(clock):
        assert sandbox.slowness
        sandbox.slowness.never = 0
        with world_of(sandbox, folder, SlowWorld) as world, pytest.MonkeyPatch.context() as patch:
            patch.setattr("ctwatch.verbs.down._YOUNG", _YOUNG)
            yield world


def lasting(patch: pytest.MonkeyPatch, lag: Lag, seconds: float = 30.0) -> None:
    """Let a delay last so long that it is met, however slow this machine is in getting there."""
    for bound in ("least", "most"):
        patch.setitem(vars(lag), bound, seconds)


DRILLS = (
    ("stop-logging",),
    ("stop-logging", "--on", "canary"),
    ("stop-logging", "--on", "trail", "--yes"),
)


def story(world: SlowWorld, *drills: tuple[str, ...]) -> None:
    """A watch comes, is confirmed, proven and looked at, goes, and comes again at once."""
    for some in (drills, ()):  # the second time right after it went
        assert world.run("up").code == 0
        world.click()
        world.settle()
        _as_it_was_made(world)
        for drill in some:
            ran = world.run("simulate", *drill)
            assert ran.code == 0, ran.text
            world.settle()  # after a drill on the trail, CloudTrail shows it stopped for a moment
        _as_it_was_made(world)
        gone = world.run("down", "--yes", "--delete-logs")
        assert (gone.code, world.sandbox.listing()) == (0, []), gone.text


def _as_it_was_made(world: SlowWorld) -> None:
    with world.sandbox.recording() as seen:
        looks = [world.run("plan", "--exit-code"), world.run("status"), world.run("up")]
    assert [one.code for one in looks] == [0, 0, 0], looks
    assert "ARMED" in looks[1].text
    assert [one.operation for one in seen if one.writes] == []
