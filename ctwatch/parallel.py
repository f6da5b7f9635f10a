"""Work done side by side, of which no more is taken than can be kept busy with."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Iterable[T], do: Callable[[T], R], workers: int) -> Iterator[R]:
    """What `do` makes of each, as it comes; raises what the first that fails raises.

    Args:
        work: taken as it is needed: at most two for each worker are under way or wait.
        do: called in a thread.
        workers: how many threads there are.
    """
    running: set[Future[R]] = set()
    pool = ThreadPoolExecutor(workers)
    try:
        for one in work:
            running.add(pool.submit(do, one))
            until = None if len(running) >= 2 * workers else 0
            done, running = wait(running, until, FIRST_COMPLETED)
            yield from (each.result() for each in done)
        while running:
            done, running = wait(running, None, FIRST_COMPLETED)
            yield from (each.result() for each in done)
    finally:
        pool.shutdown(cancel_futures=True)
