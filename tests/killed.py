"""A process that stays warm, and lets children of its die of SIGKILL at a call of their choice.

    {"arguments": ["up", ...], "at": 7, "of": "calls", "when": "before"}     one line in: the
                command, which of its calls, or of its "writes", it dies at, and whether "before"
                that is sent, or "after" it was answered, of which the command hears nothing
    {"calls": ["cloudtrail:DescribeTrails", ...], "killed": true}      one line out

It is a program of its own, as a fork of the tests' process would take its threads' locks along. It
has loaded what a command loads and has made its clients; a child has only to send its calls. They
go to the sandbox by a socket that the tests' process listens on, for a third of what HTTP takes.
"""

import gc
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from functools import cache
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any, ClassVar

from botocore.awsrequest import AWSResponse

sys.path.insert(0, str(Path(__file__).parent))

from shared_clients import Emitting, quick
from slow_world import FarClock, led_by
from watch_world import ENABLED

# What only a command imports is imported here once.
import ctwatch.opening
import ctwatch.render
import ctwatch.simulate  # noqa: F401
from ctwatch import aws
from ctwatch.cli import main
from ctwatch.sandbox.cloud import unproven

_READS = ("Describe", "Get", "List", "Head", "Receive", "Filter", "Lookup")


def is_write(call: str) -> bool:
    """Whether a call changes something."""
    return not call.partition(":")[2].startswith(_READS)


class Death:
    """Counts the calls that leave, and ends the process in front of one of them, or behind it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.at: int | None = None
        self.after = False
        self.counts: Callable[[str], bool] = lambda _: True
        self.counted = 0
        self.lock = threading.Lock()
        self.told: Any = io.StringIO()
        self.lines = threading.local()

    def await_at(self, at: int | None, of: str, when: str) -> None:
        """Count from here on."""
        self.at, self.counted, self.after = at, 0, when == "after"
        self.counts = is_write if of == "writes" else lambda _: True

    def watch(self, session: Emitting) -> None:
        """See every call of the session's clients just before it is sent."""
        session.events.register("before-send", self._before_send, unique_id="death")

    def _before_send(self, event_name: str, request: Any, **_: Any) -> AWSResponse:
        _, service, operation = event_name.split(".")
        call = f"{service}:{operation}"
        with self.lock:
            if self.counts(call):
                if self.at == self.counted:
                    self._die(request)
                self.counted += 1
            self.told.write(f"{call}\n")
            self.told.flush()
        return self._send(request)

    def _die(self, request: Any) -> None:
        """Of what is under way in other threads AWS hears or not, as it happens."""
        if self.after:
            self._send(request)
        os.kill(os.getpid(), signal.SIGKILL)

    def _send(self, request: Any) -> AWSResponse:
        """Send a request over the thread's own connection."""
        if not hasattr(self.lines, "own"):
            self.lines.own = Client(self.address)
        asked = (request.method, request.url, dict(request.headers), body_of(request))
        self.lines.own.send(asked)
        status, headers, said = self.lines.own.recv()
        return AWSResponse(request.url, status, headers, Raw(said))


def body_of(request: Any) -> bytes:
    """What a request carries."""
    body = request.body.read() if hasattr(request.body, "read") else request.body or b""
    return body.encode() if isinstance(body, str) else body


class Raw(io.BytesIO):
    """The body of an answer, as urllib3 would hand it over."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        """All of it at once."""
        yield self.read()


def serve(death: Death) -> None:
    """Run each command that is asked for in a child of its own."""
    for line in sys.stdin:
        asked = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            death.await_at(asked["at"], asked["of"], asked["when"])
            death.told = os.fdopen(writer, "w")
            quietly(asked["arguments"])
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as told:
            calls = told.read().split()
        status = os.waitpid(child, 0)[1]
        sys.stdout.write(f"{json.dumps({'calls': calls, 'killed': os.WIFSIGNALED(status)})}\n")
        sys.stdout.flush()


def quietly(arguments: list[str]) -> None:
    """Run a command, whatever it says."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        main(arguments)


def warm(death: Death, config: str) -> None:
    """Make the clients, which children take along, and all else that a first command makes.

    It only looks. What children cannot take along, threads and connections, is done away with.
    """
    shared: Any = aws
    shared.Session, shared._session = Sharing, cache(aws._session)
    Sharing.prepare = death.watch
    for service in aws._SERVICES:
        aws.connect(None, os.environ["AWS_REGION"]).client(service)
    for region in ENABLED:  # in each of which a `down` asks for tags
        aws.connect(None, region).client("resourcegroupstaggingapi")
    quietly(["plan", "--config", config])
    death.lines = threading.local()
    for threads in (aws._pool, aws._crew):
        threads().shutdown()
        threads.cache_clear()
    gc.collect()
    gc.freeze()


class Sharing(Emitting):
    """Makes each client once."""

    made: ClassVar[dict[tuple[str, str], Any]] = {}
    prepare: ClassVar[Callable[[Emitting], None]]

    def create_client(self, service_name: Any, **named: Any) -> Any:
        """The client of a service and a region."""
        key = (service_name, named["region_name"])
        if key not in self.made:
            type(self).prepare(self)
            self.events.register("choose-signer", unproven, unique_id="unproven")
            self.made[key] = quick(super().create_client(service_name, **named))
        return self.made[key]


def live(config: str, address: str, *clock: str) -> None:
    """Be that process; by the clock of the sandbox at a URL, if one is told."""
    death = Death(address)
    with led_by(FarClock(*clock)) if clock else nullcontext():
        warm(death, config)
        serve(death)


if __name__ == "__main__":
    live(*sys.argv[1:])
