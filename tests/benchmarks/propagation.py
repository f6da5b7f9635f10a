"""By how much `up` ends after the moment when the function can be made.

AWS does not know a new role everywhere at once, and a function cannot be made before it does. Here
that takes eight seconds, by a real clock, and nothing else takes any; 50 ms away.
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
"""

import multiprocessing
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from away import LATENCY, led, run, written
from measuring import Row, middle

from ctwatch.sandbox.server import Sandbox
from ctwatch.sandbox.slowness import ROLE, Lag, Slowness

PROPAGATION, MOST = 8.0, 1.0


class OnlyTheRole(Slowness):
    """Of all delays, that of a role.

    Attributes:
        known: when the role is known, by the clock that all processes of this machine share.
    """

    known = 0.0

    def _drawn(self, lag: Lag, name: str) -> float:
        del name
        if lag is not ROLE:
            return 0.0
        self.known = time.monotonic() + PROPAGATION
        return PROPAGATION

    def _pace(self, call: Any) -> None:
        """At any rate."""

    def travels(self, event: Any) -> list[float]:
        """At once."""
        del event
        return [0.0]


def serve(pipe: Connection) -> None:
    """Run such a sandbox; tell when the role was known, when asked."""
    sandbox = Sandbox(latency=LATENCY / 1000)
    slow = sandbox.slowness = OnlyTheRole(sandbox, 0)
    with sandbox, suppress(EOFError):
        pipe.send((sandbox.env(), sandbox.unset()))
        pipe.recv()
        pipe.send(slow.known)


def once(config: Path) -> tuple[float, float]:
    """Seconds that `up` takes, and by how many of them it ends after the role is known."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    server.start()
    with led(*ours.recv()):
        began = time.monotonic()
        run(config, "up")
        ended = time.monotonic()
    ours.send(None)
    known = ours.recv()
    server.join()
    return ended - began, ended - known


def measure(rounds: int) -> list[Row]:
    """The table; half the rounds, as each takes ten seconds."""
    with written() as config:
        took, after = zip(*(once(config) for _ in range((rounds + 1) // 2)), strict=True)
    late = middle(after)
    return [
        Row("`up`", f"{middle(took):.2f} s"),
        Row(
            "- after the function can be made",
            f"{late:.2f} s",
            bar=f"at most {MOST:g} s",
            met=late <= MOST,
        ),
    ]
