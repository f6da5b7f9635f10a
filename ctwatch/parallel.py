"""Work done side by side, of which no more is taken than can be kept busy with."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def abreast(*work: Callable[[], Any]) -> list[Any]:
    """What whole undertakings come to, each of which may wait for calls and for threads of its own.

    Raises what the first of them raises that fails, when all have ended.
    """
    with ThreadPoolExecutor(max(1, len(work))) as pool:
        under_way = [pool.submit(one) for one in work]
    return [future.result() for future in under_way]


def settled(work: Callable[[], R]) -> Callable[[], R]:
    """Do it now, and tell later: what is returned returns, or raises, what it came to."""
    future: Future[R] = Future()
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - raised where it is asked for
        future.set_exception(error)
    return future.result


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
