"""An account in this process where each call waits for its round, so that rounds are counted.

No clock is looked at (see `rounds`): what this machine is slow at does not pass for a wait.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from away import led, run
from rounds import Rounds
from shared_clients import Emitting
from taped import Tape, taping

from ctwatch.sandbox.server import Sandbox


@dataclass(frozen=True)
class Counted:
    """How many calls a command makes, how many of them in series, and the calls themselves."""

    calls: int
    series: int
    tape: Tape


class Account:
    """An empty account, and the wire to it."""

    def __init__(self, sandbox: Sandbox, wire: Rounds) -> None:
        self._env, self._wire = sandbox.env(), wire

    def run(self, config: Path, *arguments: str) -> Counted:
        """Run a command and count its calls."""
        with taping(self._env) as tape, self._wire.counted() as rounds:
            run(config, *arguments)
        return Counted(sum(map(len, rounds)), len(rounds), tape)


@contextmanager
def account() -> Iterator[Account]:
    """Lead ctwatch to such an account."""
    wire = Rounds()
    with Sandbox() as sandbox, led(sandbox.env(), sandbox.unset()):
        prepare = wire.through(sandbox)

        class Held(Emitting):
            def __init__(self, **given: Any) -> None:
                super().__init__(**given)
                prepare(self)

        with patch("ctwatch.aws.Session", Held):
            yield Account(sandbox, wire)
