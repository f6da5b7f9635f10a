"""How many calls came, and how many of them after one another.

    begin ├──── A ────┤   ├──── D ────┤ end        4 calls, 2 in series:
            ├──── B ────┤   ├── E …                A, then D
           ├──── C ────┤

What a command costs on a long wire is not its calls but those of them that wait for others. Those
in series are the most of which no two were under way at once: always the next one to end that began
after the last one's end. As calls are noted when they end, that is known at once, and no call has
to be kept.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Tally:
    """The calls of a span of time.

    Attributes:
        calls: how many ended.
        series: the most of them of which no two were under way at once.
        began: when the first began, by the clock that counts.
        ended: when the last ended.
    """

    calls: int = 0
    series: int = 0
    began: float = 0.0
    ended: float = 0.0
    _last: float = float("-inf")

    @property
    def seconds(self) -> float:
        """From the first one's beginning to the last one's end."""
        return self.ended - self.began

    def add(self, began: float, ended: float) -> None:
        """Add a call that ends now, after all that were added before."""
        self.began = min(self.began, began) if self.calls else began
        self.calls, self.ended = self.calls + 1, ended
        if began >= self._last:
            self.series, self._last = self.series + 1, ended


class Traffic:
    """The calls as they come and go; from any thread.

    Args:
        now: the seconds of the clock that counts.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._under_way = 0
        self._asked = Tally()
        self._burst = Tally()

    @contextmanager
    def call(self) -> Iterator[None]:
        """A call, for as long as the block lasts."""
        with self._lock:
            began = self._now()
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                ended = self._now()
                self._under_way -= 1
                for tally in (self._asked, self._burst):
                    tally.add(began, ended)

    def since_asked(self) -> Tally:
        """The calls that ended since this was last asked."""
        with self._lock:
            tally, self._asked = self._asked, Tally()
        return tally

    def burst(self, quiet: float) -> Tally | None:
        """The calls up to a silence of so many seconds, once; None while there are none, or more.

        Args:
            quiet: seconds in which no call was under way.
        """
        with self._lock:
            lasts = self._under_way or self._now() - self._burst.ended < quiet
            if lasts or not self._burst.calls:
                return None
            tally, self._burst = self._burst, Tally()
        return tally
