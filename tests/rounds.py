"""How many rounds of calls a command takes: those that wait for others before them.

A call is held back until all that the command does without its answer is done: until nothing of
this process works any more. Then all that are held are answered, which is a round. So a round is
what passes on a wire of whatever length, and no clock is looked at.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSResponse
from shared_clients import without_socket

from ctwatch.sandbox.cloud import straight, unproven
from ctwatch.sandbox.server import Sandbox

_LOOK = 0.003  # seconds between two looks
_IDLE = 0.0005  # seconds of work between two looks that are none
_STILL = 3  # looks in a row
_TASKS = Path("/proc/self/task")


class Rounds:
    """A wire on which each call waits for its round."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: list[str] = []
        self._number = 0
        self._counting = False
        self.rounds: list[list[str]] = []

    @contextmanager
    def counted(self) -> Iterator[list[list[str]]]:
        """The calls of each round of what is done meanwhile, sorted."""
        self.rounds, self._counting = [], True
        keeper = threading.Thread(target=self._keep, daemon=True)
        keeper.start()
        try:
            yield self.rounds
        finally:
            self._counting = False
            keeper.join()

    def through(self, sandbox: Sandbox) -> Callable[[Any], None]:
        """Prepares a session so that its clients reach the sandbox round by round."""
        send = straight(without_socket(sandbox))

        def before_send(request: Any, event_name: str, **_: Any) -> AWSResponse | None:
            if not request.url.startswith(f"{sandbox.url}/"):
                return None
            if self._counting:
                _, service, operation = event_name.split(".")
                self._hold(f"{service}:{operation}")
            return send(request)

        def prepare(session: Any) -> None:
            session.events.register("choose-signer", unproven, unique_id="unproven")
            session.events.register("before-send", before_send, unique_id="rounds")

        return prepare

    def _hold(self, call: str) -> None:
        with self._changed:
            mine = self._number
            self._held.append(call)
            while self._number == mine and self._counting:
                self._changed.wait(1)

    def _keep(self) -> None:
        """Let a round pass whenever nobody does anything but wait for it."""
        still, worked = 0, _work()
        while self._counting:
            time.sleep(_LOOK)
            before, worked = worked, _work()
            still = still + 1 if worked - before < _IDLE and not _busy() else 0
            with self._changed:
                if still >= _STILL and self._held:
                    self.rounds.append(sorted(self._held))
                    self._held = []
                    self._number += 1
                    self._changed.notify_all()
                    still = 0


def _work() -> float:
    """Seconds of processor time of all threads but this one."""
    return time.process_time() - time.thread_time()


def _busy() -> bool:
    """Whether another thread would work if it were let: a machine may have more to do."""
    mine = str(threading.get_native_id())
    for task in _TASKS.iterdir() if _TASKS.exists() else ():
        with suppress(OSError):  # it has ended
            state = task.joinpath("stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
            if task.name != mine and state == "R":
                return True
    return False
