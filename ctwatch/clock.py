"""One clock for every wait, so that minutes can pass in milliseconds under test."""

import threading
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """The time, and the passing of it.

    Args:
        speed: how many seconds pass here in one real second; 1 outside tests.
    """

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

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let `seconds` pass, or fewer when `event` is set; tell whether it was set."""
        return event.wait(max(0.0, seconds) / self.speed)


def ago(then: datetime, now: datetime) -> str:
    """How long ago that was, in words: "just now", "5 min ago", "3 h ago", "12 days ago"."""
    seconds = (now - then).total_seconds()
    for unit, length, from_ in (("days", 86_400, 2 * 86_400), ("h", 3600, 3600), ("min", 60, 60)):
        if seconds >= from_:
            return f"{seconds // length:.0f} {unit} ago"
    return "just now"
