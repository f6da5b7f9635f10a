"""A process that stays warm, and lets children of its die of SIGKILL at a call of their choice.

    {"arguments": ["simulate", ...], "at": 7, "of": "calls"}     one line in: the command, and which
                                                of its calls, or of its "writes", it dies at
    {"calls": ["cloudtrail:DescribeTrails", ...], "killed": true}      one line out

It is a program of its own, as a fork of the tests' process would take its threads' locks along. It
has loaded what a command loads and has made its clients; a child has only to send its calls.
"""

import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import boto3

sys.path.insert(0, str(Path(__file__).parent))

# What only a command imports is imported here once.
import pytest
from shared_clients import lead, sharing

import ctwatch.opening
import ctwatch.render
import ctwatch.simulate  # noqa: F401
from ctwatch import aws
from ctwatch.cli import main

_READS = ("Describe", "Get", "List", "Head", "Receive", "Filter", "Lookup")


def is_write(call: str) -> bool:
    """Whether a call changes something."""
    return not call.partition(":")[2].startswith(_READS)


class Death:
    """Counts the calls that leave, and ends the process in front of one of them."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.counts: Callable[[str], bool] = lambda _: True
        self.calls: list[str] = []
        self.lock = threading.Lock()
        self.told: Any = None

    def watch(self, session: boto3.Session) -> None:
        """See every call of the session's clients just before it is sent."""
        session.events.register("before-send", self._before_send, unique_id="death")

    def _before_send(self, event_name: str, **_: Any) -> None:
        _, service, operation = event_name.split(".")
        call = f"{service}:{operation}"
        with self.lock:
            if self.counts(call):
                if self.at == len(self.calls):
                    os.kill(os.getpid(), signal.SIGKILL)
                self.calls.append(call)
            self.told.write(f"{call}\n")
            self.told.flush()


def serve(death: Death) -> None:
    """Run each command that is asked for in a child of its own."""
    for line in sys.stdin:
        asked = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            death.at, death.told = asked["at"], os.fdopen(writer, "w")
            death.counts = is_write if asked["of"] == "writes" else death.counts
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                main(asked["arguments"])
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as told:
            calls = told.read().split()
        status = os.waitpid(child, 0)[1]
        sys.stdout.write(f"{json.dumps({'calls': calls, 'killed': os.WIFSIGNALED(status)})}\n")
        sys.stdout.flush()


def warm() -> None:
    """Make the clients, which children take along; nothing is sent."""
    door = aws.connect(None, os.environ["AWS_REGION"])
    for service in (*aws._SERVICES, "resourcegroupstaggingapi", "account"):
        door.client(service)


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        death = Death()
        lead(patch, sharing(death.watch))
        warm()
        serve(death)
