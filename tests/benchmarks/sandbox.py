"""The sandbox: from StopLogging to Discord, its start, a burst, and its memory.

From the moment a call is made to the moment the Discord stand-in has the message; the first starts
the function. For that the sandbox runs in this process, as in the tests.
"""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import boto3
import measuring
from away import Away, away, led, run, written
from botocore.exceptions import ClientError
from measuring import Row, middle

from ctwatch.sandbox.server import Sandbox

DELIVERY, START, BURST, CALLS = 0.12, 0.6, 200, 10_000
MEMORY = 10  # MB


def measure(rounds: int) -> list[Row]:
    """The table."""
    with armed() as (sandbox, stop):
        cold, *warm = (deliver(sandbox, stop, number) for number in range(4 * rounds))
        arrived, seconds = burst(sandbox, stop)
    start = starts(rounds)
    before, after = memory()
    return [
        Row("StopLogging to Discord, first", f"{1000 * cold:.0f} ms"),
        _under("- median", middle(warm), DELIVERY),
        _under("start", start, START),
        Row(
            f"{BURST} alerts in a burst: arrived",
            f"{arrived} in {seconds:.1f} s",
            bar="all",
            met=arrived == BURST,
        ),
        Row(
            f"memory before and after {CALLS:,} calls",
            f"{before:.0f} MB, {after:.0f} MB",
            bar=f"not {MEMORY} MB more",
            met=after - before < MEMORY,
        ),
    ]


def _under(what: str, seconds: float, most: float) -> Row:
    value, bar = f"{1000 * seconds:.0f} ms", f"under {1000 * most:.0f} ms"
    return Row(what, value, bar=bar, met=seconds < most)


@contextmanager
def armed() -> Iterator[tuple[Sandbox, Callable[[str], Any]]]:
    """A sandbox in this process with a watch, and how to try to stop a trail that is not there."""
    with Sandbox() as sandbox, led(sandbox.env(), sandbox.unset()), written() as config:
        run(config, "up")
        cloudtrail = boto3.client("cloudtrail")

        def stop(name: str) -> None:
            with suppress(ClientError):
                cloudtrail.stop_logging(Name=name)

        yield sandbox, stop


def deliver(sandbox: Sandbox, stop: Callable[[str], Any], number: int) -> float:
    """Seconds until the alert has arrived."""
    began, probe = time.perf_counter(), f"ctwatch-probe-{number}`"
    stop(probe.rstrip("`"))
    if not sandbox.inbox.wait_for(lambda box: probe in str(box.posts[-1:]), 10):
        sys.exit(f"{probe}: nothing arrived")
    taken = time.perf_counter() - began
    sandbox.idle()
    return taken


def burst(sandbox: Sandbox, stop: Callable[[str], Any]) -> tuple[int, float]:
    """How many alerts of a burst arrive, and in how many seconds."""
    seen, began = len(sandbox.inbox.posts), time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(stop, (f"ctwatch-burst-{one}" for one in range(BURST))))
    sandbox.inbox.wait_for(lambda box: len(box.posts) >= seen + BURST, 60)
    taken = time.perf_counter() - began
    told = " ".join(str(one.payload) for one in sandbox.inbox.posts[seen:])
    return sum(f"ctwatch-burst-{one}`" in told for one in range(BURST)), taken


def starts(rounds: int) -> float:
    """Seconds from the command to the exports."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        there = Away(0)
        taken.append(time.perf_counter() - began)
        there.end()
    return middle(taken)


def memory() -> tuple[float, float]:
    """Megabytes that the sandbox holds after some calls, and after so many more."""
    with away(0) as there:
        sts, sns = boto3.client("sts"), boto3.client("sns")

        def both(_: int) -> None:
            sts.get_caller_identity()
            sns.list_topics()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(both, range(250)))
            before = measuring.memory(there.pid, "VmRSS")
            list(pool.map(both, range(CALLS // 2)))
            return before, measuring.memory(there.pid, "VmRSS")
