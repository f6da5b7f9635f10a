"""How much a command costs before it does anything, and beside what it waits for.

`--help`, `--version` and completion against `import click`; `status` and `up` against importing
boto3 and building the clients that they use, in one session, which is the least that a program with
boto3 does. Each in a process of its own, in turns. Times are the processor's, as nothing of this
waits, and the sandbox is not far away: neither processor time nor memory grows with distance.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from away import away, run, written
from measuring import CTWATCH, Row, Used, alternately, at_most, middle, used
from taped import Client, taping

HELP, CPU, MEMORY = 2.0, 1.2, 1.3
COMPLETION = {"_CTWATCH_COMPLETE": "bash_complete", "COMP_WORDS": "ctwatch st", "COMP_CWORD": "1"}


def measure(rounds: int) -> list[Row]:
    """The table."""
    return [*_starts(rounds), *_work(rounds)]


def _starts(rounds: int) -> list[Row]:
    click = partial(used, [sys.executable, "-c", "import click"])
    ways = {
        "`ctwatch --help`": partial(used, [CTWATCH, "--help"]),
        "`ctwatch --version`": partial(used, [CTWATCH, "--version"]),
        "completion": partial(used, [CTWATCH], COMPLETION),
    }
    base, *found = alternately(3 * rounds, click, *ways.values())
    least = _processor(base)
    rows = [Row("`python -c 'import click'`", f"{1000 * least:.0f} ms")]
    for name, many in zip(ways, found, strict=True):
        mine = _processor(many)
        rows.append(at_most(name, f"{1000 * mine:.0f} ms", mine / least, HELP))
    return rows


def _processor(many: Sequence[Used]) -> float:
    return middle(one.cpu for one in many)


def _work(rounds: int) -> list[Row]:
    with written() as config, away(0) as there:
        run(config, "up")
        with taping(there.env) as tape:
            run(config, "status")
        boto3, rich = (_script(tape.clients, more) for more in ("boto3", "boto3, rich.console"))
        status = [CTWATCH, "status", "--config", str(config)]
        least, mine = alternately(rounds, partial(used, boto3), partial(used, status))
        memory = [_up_beside(config, rich) for _ in range(rounds)]
    cpu, ours = _processor(least), _processor(mine)
    rows = [
        Row(f"importing boto3, {len(tape.clients)} clients", f"{1000 * cpu:.0f} ms"),
        at_most("`ctwatch status`", f"{1000 * ours:.0f} ms", ours / cpu, CPU),
    ]
    small, large = (middle(pair) for pair in zip(*memory, strict=True))
    return [
        *rows,
        Row("importing boto3 and rich, the clients: memory", f"{small:.0f} MB"),
        at_most("`ctwatch up`: memory", f"{large:.0f} MB", large / small, MEMORY),
    ]


def _up_beside(config: Path, script: Sequence[str]) -> tuple[float, float]:
    """The most memory of the script, and of `up` on an empty account."""
    with away(0):
        up = [CTWATCH, "up", "--config", str(config)]
        return used(script).memory, used(up).memory


def _script(clients: Sequence[Client], modules: str) -> list[str]:
    """A program that imports these and makes the clients, in one session."""
    make = "; ".join(f"boto3.client({one!r}, region_name={where!r})" for one, where in clients)
    return [sys.executable, "-c", f"import {modules}; {make}"]
