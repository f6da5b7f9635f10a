"""One clock for every wait, so that minutes can pass in milliseconds under test.

`Clock` is the machine's, or that many times as fast. On a `LeapingClock` time passes as it does
everywhere, until all who go by it only wait: then it leaps to the first moment that one of them
waits for. No wait is too short for what happens meanwhile, however slow the machine.
"""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import ClassVar


class Clock:
    """The time, and the passing of it.

    Args:
        speed: how many seconds pass here in one real second; 1 outside tests.
    """

    leaps: ClassVar[bool] = False

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._wall = datetime.now(UTC)
        self._started = time.monotonic()

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return (time.monotonic() - self._started) * self.speed

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return self._wall + timedelta(seconds=self.monotonic())

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        time.sleep(max(0.0, seconds) / self.speed)

    def wait(
        self, condition: threading.Condition, seconds: float | None, *, patient: bool = False
    ) -> bool:
        """Let `seconds` pass, or fewer when `condition` is notified; tell whether it was.

        Args:
            condition: held by the caller.
            seconds: None for as long as it takes.
            patient: whether time need not leap for this wait alone.
        """
        del patient
        return condition.wait(None if seconds is None else max(0.0, seconds) / self.speed)

    @property
    def ahead(self) -> float:
        """Seconds by which it has leapt ahead of this machine's."""
        return 0.0

    def begin(self) -> None:
        """Begin what others may be waiting for: until its `end`, no time is leapt over."""

    def end(self) -> None:
        """End what was begun; by whatever thread."""


class LeapingClock(Clock):
    """A clock that leaps over the time in which everybody who goes by it waits.

    Args:
        grace: real seconds of quiet after which everybody is taken to wait.
    """

    leaps = True

    def __init__(self, grace: float = 0.002) -> None:
        super().__init__()
        self._grace = grace
        self._lock = threading.Lock()
        self._ahead = 0.0
        self._stirred = 0.0  # when somebody last began, ended, or came to wait
        self._begun = 0
        self._waits = itertools.count()
        self._due: dict[int, tuple[float, bool]] = {}  # until when, and whether patiently

    @property
    def ahead(self) -> float:
        """Seconds by which it has leapt ahead of this machine's."""
        return self._ahead

    def monotonic(self) -> float:
        """Seconds since this clock was made, those leapt over included."""
        return super().monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        nobody = threading.Condition()
        with nobody:
            self.wait(nobody, seconds)

    def wait(
        self, condition: threading.Condition, seconds: float | None, *, patient: bool = False
    ) -> bool:
        """Let `seconds` pass, or fewer when `condition` is notified; tell whether it was."""
        if seconds is None:
            return condition.wait()
        until = self.monotonic() + seconds
        with self._waiting(until, patient=patient):
            while (left := until - self.monotonic()) > 0:
                if condition.wait(min(left, self._grace)):
                    return True
                self._leap()
        return False

    @contextmanager
    def _waiting(self, until: float, *, patient: bool) -> Iterator[None]:
        mine = next(self._waits)
        with self._lock:
            self._due[mine] = until, patient
            self._stir()
        try:
            yield
        finally:
            with self._lock:
                del self._due[mine]
                self._stir()

    def begin(self) -> None:
        """Begin what others may be waiting for: until its `end`, no time is leapt over."""
        with self._lock:
            self._begun += 1

    def end(self) -> None:
        """End what was begun; by whatever thread."""
        with self._lock:
            self._begun -= 1
            self._stir()

    def _stir(self) -> None:
        self._stirred = time.monotonic()

    def _leap(self) -> None:
        """Leap to the first moment that is waited for, if it is quiet and somebody is in a hurry.

        Whoever was leapt to and has not yet got up is still the first, and keeps time from passing.
        """
        with self._lock:
            quiet = not self._begun and time.monotonic() - self._stirred >= self._grace
            if quiet and not all(patient for _, patient in self._due.values()):
                first = min(until for until, _ in self._due.values())
                self._ahead += max(0.0, first - self.monotonic())


def ago(then: datetime, now: datetime) -> str:
    """How long ago that was, in words: "just now", "5 min ago", "3 h ago", "12 days ago"."""
    seconds = (now - then).total_seconds()
    for unit, length, from_ in (("days", 86_400, 2 * 86_400), ("h", 3600, 3600), ("min", 60, 60)):
        if seconds >= from_:
            return f"{seconds // length:.0f} {unit} ago"
    return "just now"
