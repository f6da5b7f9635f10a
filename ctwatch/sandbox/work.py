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
        self._wake = threading.Event()
        self._due: list[tuple[float, int, Task]] = []
        self._count = itertools.count()
        self._running = 0
        self._paused = False
        self._closed = False
        self._timer: threading.Thread | None = None

    def start(self, task: Task) -> None:
        """Run `task` as soon as a thread is free; nothing after `close`."""
        with self._changed:
            if self._paused:
                return
            self._running += 1
            self._pool.submit(self._run, task)

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
        self._wake.set()

    def idle(self, timeout: float) -> bool:
        """Wait until nothing runs and nothing is due; False when `timeout` real seconds pass."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._running or self._due:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    return not (self._running or self._due)
            return True

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
        self._wake.set()
        if self._timer is not None:
            self._timer.join()
        self._pool.shutdown(wait=True)

    def _run(self, task: Task) -> None:
        try:
            task()
        except Exception as error:  # noqa: BLE001 - told, so that a mistake of ours is seen
            self._broken(error)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _watch(self) -> None:
        while True:
            self._wake.clear()
            with self._changed:
                if self._closed:
                    return
                wait = self._hand_over()
            self._clock.wait(self._wake, wait)

    def _hand_over(self) -> float:
        """Start what is due; the seconds until the next is."""
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now:
            task = heapq.heappop(self._due)[2]
            self._running += 1
            self._pool.submit(self._run, task)
        return self._due[0][0] - now if self._due else 3600.0
