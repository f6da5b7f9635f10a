"""What the sandbox does behind an answered call: now, or when the clock says so.

Tasks run in a few threads; a task that is due later waits on the injectable clock. `idle` counts
both. A task that raises is a mistake of the sandbox itself and is told, never swallowed.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ctwatch.clock import Clock

Task = Callable[[], None]


class Work:
    """A small pool of threads and a queue of what is due.

    Args:
        clock: every delay goes through it.
        broken: is told of a task that raised.
        threads: how many tasks run side by side.
    """

    def __init__(
        self, clock: Clock, broken: Callable[[Exception], None], threads: int = 16
    ) -> None:
        self._clock = clock
        self._broken = broken
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sandbox")
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Task]] = []
        self._count = itertools.count()
        self._running = 0
        self._ended = 0
        self._paused = False
        self._closed = False
        self._timer: threading.Thread | None = None

    def start(self, task: Task) -> None:
        """Run `task` as soon as a thread is free; nothing after `close`."""
        with self._changed:
            if self._paused:
                return
            self._submit(task)

    def later(self, seconds: float, task: Task) -> None:
        """Run `task` when `seconds` have passed on the clock."""
        with self._changed:
            if self._paused:
                return
            due = self._clock.monotonic() + seconds
            heapq.heappush(self._due, (due, next(self._count), task))
            if self._timer is None:
                self._timer = threading.Thread(
                    target=self._watch, name="sandbox-timer", daemon=True
                )
                self._timer.start()
            self._changed.notify_all()

    def idle(self, timeout: float) -> bool:
        """Wait until nothing runs and nothing is due; False when `timeout` real seconds pass."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._running or self._due:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._clock.wait(self._changed, left * self._clock.speed)
            return True

    @property
    def ended(self) -> int:
        """How many tasks have ended so far."""
        return self._ended

    def wait(self, ended: int, seconds: float) -> None:
        """Wait until more tasks than `ended` have ended, at most `seconds` of the clock."""
        with self._changed:
            if self._ended == ended:
                self._clock.wait(self._changed, seconds)

    def drop(self, hasten: Task, timeout: float = 5) -> None:
        """Forget what is due and let what runs end, without starting anything new.

        Args:
            hasten: makes what runs end soon.
            timeout: real seconds to wait for it.
        """
        with self._changed:
            self._paused = True
            self._due.clear()
        hasten()
        self.idle(timeout)
        with self._changed:
            self._paused = self._closed

    def close(self, hasten: Task) -> None:
        """End the threads after what runs; forget the rest. May be called twice."""
        self._closed = True
        self.drop(hasten)
        with self._changed:
            self._changed.notify_all()
        if self._timer is not None:
            self._timer.join()
        self._pool.shutdown(wait=True)

    def _submit(self, task: Task) -> None:
        self._running += 1
        self._clock.begin()
        self._pool.submit(self._run, task)

    def _run(self, task: Task) -> None:
        try:
            task()
        except Exception as error:  # noqa: BLE001 - told, so that a mistake of ours is seen
            self._broken(error)
        finally:
            with self._changed:
                self._running -= 1
                self._ended += 1
                self._changed.notify_all()
            self._clock.end()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                self._clock.wait(self._changed, self._hand_over(), patient=True)

    def _hand_over(self) -> float | None:
        """Start what is due; the seconds until the next is."""
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now:
            self._submit(heapq.heappop(self._due)[2])
        return self._due[0][0] - now if self._due else None
