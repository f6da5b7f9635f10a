"""`up`, `up` again, `status` and `down`, against the same calls without ctwatch.

Against a bare thread pool with prepared clients, which makes them in the same order of dependency;
against one call after another; and against a script of the AWS CLI with the same writes. Each on an
account of its own, 50 ms away, and what they have made is compared with what `up` has made. Calls
in series are counted without a clock.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import counting
from away import LATENCY, Away, away, run, written
from counting import Counted
from measuring import CTWATCH, Row, alternately, at_most, middle, timed, used
from taped import Again, Tape, account, aws_command

VERBS: Mapping[str, tuple[str, ...]] = {
    "up": ("up",),
    "up again": ("up",),
    "status": ("status",),
    "down": ("down", "--yes", "--wait", "0"),  # how long its alert takes is no matter of calls
}
SERIES = {"up again": 3, "status": 3, "down": 5}
POOL, SERIAL, SCRIPT = 1.3, 3, 10

Taken = dict[str, float]
"""What was done -> how many seconds it took."""


def counted(config: Path) -> dict[str, Counted]:
    """The calls of each command."""
    with counting.account() as here:
        return {name: here.run(config, *verb) for name, verb in VERBS.items()}


@contextmanager
def emptied(config: Path) -> Iterator[Away]:
    """An account that is empty again: a sandbox loads much when something is first asked of it."""
    with away() as there:
        run(config, "up")
        run(config, "down", "--yes", "--delete-logs")
        yield there


def ours(config: Path) -> Taken:
    """ctwatch in a process that has imported all it needs."""
    with emptied(config):
        return {name: timed(partial(run, config, *verb)) for name, verb in VERBS.items()}


def alone(config: Path) -> Taken:
    """ctwatch in a process of its own each time."""
    with emptied(config):
        return {
            name: used([CTWATCH, *verb, "--config", str(config)]).wall
            for name, verb in VERBS.items()
        }


def accounts(config: Path, reads: Tape) -> dict[str, list[str]]:
    """What is in the account after `up`, and after `down`."""
    found = {}
    with away() as there:
        for name in ("up", "down"):
            run(config, *VERBS[name])
            found[name] = account(reads, there)
    return found


def pool(config: Path, made: Mapping[str, Tape], there_is: Mapping[str, list[str]]) -> Taken:
    """The same calls, through a bare thread pool with prepared clients."""
    taken: Taken = {}
    with emptied(config) as there:
        for name, tape in made.items():
            again = Again(tape, there)
            taken[name] = timed(again.together)
            if name in there_is:
                _same(account(made["status"], there), there_is[name], f"{name} by the bare pool")
    return taken


def without(config: Path, make: Callable[[Away], Any], reads: Tape) -> tuple[float, list[str]]:
    """What another way to make the watch takes, and what is in the account then."""
    with emptied(config) as there:
        work = make(there)
        return timed(work), account(reads, there)


def measure(rounds: int) -> list[Row]:
    """The table."""
    with written() as config:
        known = counted(config)
        made = {name: one.tape for name, one in known.items()}
        there_is = accounts(config, made["status"])
        mine, bare, apart = alternately(
            rounds,
            partial(ours, config),
            partial(pool, config, made, there_is),
            partial(alone, config),
        )
        rows = {}
        for name in VERBS:
            times = [middle(one[name] for one in many) for many in (mine, bare, apart)]
            rows[name] = _rows(name, *times, known[name])
        rows["up"] += _slower(config, made, there_is["up"], middle(one["up"] for one in mine))
    return [one for many in rows.values() for one in many]


def _rows(name: str, mine: float, bare: float, apart: float, known: Counted) -> list[Row]:
    most = SERIES.get(name)
    row = at_most(f"`{name}`, {LATENCY} ms away", f"{mine:.2f} s", mine / bare, POOL)
    bar, met = row.bar, row.met
    if name == "down":
        bar, met = "", True
    if most:
        bar, met = f"{bar}, {most} in series".lstrip(", "), met and known.series <= most
    numbers = str(known.calls), str(known.series)
    return [
        Row(row.what, row.value, *numbers, row.ratio, bar, met),
        Row("- the same calls, bare thread pool", f"{bare:.2f} s"),
        Row("- in a process of its own", f"{apart:.2f} s"),
    ]


def _slower(config: Path, made: Mapping[str, Tape], there_is: list[str], mine: float) -> list[Row]:
    """What `up` must be so many times faster than."""
    reads, up = made["status"], made["up"]
    one_by_one, found = without(config, lambda there: Again(up, there).one_by_one, reads)
    _same(found, there_is, "one call after another")
    rows = [_faster("- the same calls, one after another", one_by_one, mine, SERIAL, up)]
    aws = aws_command()
    if not aws:
        return [*rows, Row("- AWS CLI script", "there is no `aws` command here")]
    script, found = without(
        config,
        lambda there: partial(Again(up.writes, there).by_command, aws),
        reads,
    )
    _same(found, there_is, "the AWS CLI script")
    return [*rows, _faster("- AWS CLI script of its writes", script, mine, SCRIPT, up.writes)]


def _faster(what: str, theirs: float, mine: float, bar: float, tape: Tape) -> Row:
    calls, ratio = str(len(tape.calls)), theirs / mine
    told = f"`up` at least {bar} times faster"
    return Row(what, f"{theirs:.2f} s", calls, calls, ratio, told, ratio >= bar)


def _same(found: list[str], there_is: list[str], who: str) -> None:
    """Stop where it has not made what `up` has made.

    Raises:
        RuntimeError: it has not.
    """
    if found != there_is:
        more, less = [set(a) - set(b) for a, b in ((found, there_is), (there_is, found))]
        raise RuntimeError(f"{who} made another account\nonly it: {more}\nonly up: {less}")
