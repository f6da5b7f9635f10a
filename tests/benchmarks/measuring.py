"""What every benchmark shares: rows of a table, medians, the machine, processes of their own."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

CTWATCH = str(Path(sys.executable).with_name("ctwatch"))

_LAUNCHER = """
import json, os, resource, sys, time
before = time.monotonic()
pid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(pid, 0)
wall = time.monotonic() - before
code = os.waitstatus_to_exitcode(status)
print(json.dumps([wall, used.ru_utime + used.ru_stime, used.ru_maxrss, code]), file=sys.stderr)
"""


@dataclass(frozen=True)
class Row:
    """A line of a section's table.

    Attributes:
        what: what was measured.
        value: the median, with its unit.
        calls: how many calls it made, or "".
        series: how many of them after one another, or "".
        ratio: to what it is held against, or None.
        bar: what it must be, in words; "" where nothing is asked of it.
        met: whether it is; None where nothing is asked of it.
    """

    what: str
    value: str
    calls: str = ""
    series: str = ""
    ratio: float | None = None
    bar: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Used:
    """What a process used: seconds, seconds of processor time, and its most memory in MB."""

    wall: float
    cpu: float
    memory: float


def used(command: Sequence[str], env: Mapping[str, str] | None = None) -> Used:
    """Run a command to its end; what it prints is dropped.

    A small process starts it, as Linux counts the memory of whoever starts a process as its own.
    """
    ran = subprocess.run(
        [sys.executable, "-S", "-E", "-c", _LAUNCHER, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, **(env or {})},
    )
    wall, cpu, memory, code = json.loads(ran.stderr.splitlines()[-1])
    if code not in {0, 3}:  # 3: not as promised, as a mail is not confirmed
        sys.exit(f"{' '.join(command)} ended with {code}: {ran.stderr}")
    return Used(wall, cpu, memory / 1024)


def memory(pid: int | str = "self", what: str = "VmHWM") -> float:
    """The most memory (VmHWM) that a process held, or what it holds (VmRSS), in MB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def timed(work: Callable[[], Any]) -> float:
    """Seconds that it takes."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


def middle(found: Iterable[float]) -> float:
    """The median."""
    return statistics.median(found)


def alternately(rounds: int, *works: Callable[[], Any]) -> list[list[Any]]:
    """What each returns, in turns, so that what else the machine does falls on all alike."""
    taken = [[work() for work in works] for _ in range(rounds)]
    return [list(one) for one in zip(*taken, strict=True)]


def at_most(what: str, value: str, ratio: float, bar: float, **more: Any) -> Row:
    """A row of which the ratio may be so much."""
    return Row(what, value, ratio=ratio, bar=f"at most {bar:g} times", met=ratio <= bar, **more)


def machine() -> str:
    """Where the numbers come from."""
    cpu = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.partition(":")[2].strip() for line in lines if line.startswith("model na"))
    return (
        f"{cpu}, {os.cpu_count()} cores, {platform.system()}; Python {platform.python_version()}, "
        f"boto3 {version('boto3')}; load {os.getloadavg()[0]:.1f}"
    )


def table(rows: Iterable[Row]) -> str:
    """Rows as Markdown; a column that nobody fills is left out."""
    head = ("what", "median", "calls", "in series", "ratio", "bar", "")
    cells = [head, *map(_cells, rows)]
    kept = [one for one in range(len(head)) if any(row[one] for row in cells[1:])]
    widths = {one: max(len(row[one]) for row in cells) for one in kept}
    lines = [" | ".join(row[one].ljust(widths[one]) for one in kept) for row in cells]
    rule = "|".join("-" * (widths[one] + 2) for one in kept)
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    met = {None: "", True: "✓", False: "✗"}[row.met]
    return row.what, row.value, row.calls, row.series, ratio, row.bar, met
