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
