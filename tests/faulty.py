"""A wire that fails: at one call, or at an operation always, as real networks and servers do.

It stands where botocore sends, so that botocore's own retries meet it: each fault answers as a
server would, or raises what botocore's HTTP stack raises (`test_faults_wire` holds that it is so,
with sockets). What is "lost" was done before its answer went missing.

A command is a process of its own, with a store of retries of its own: `begin` goes before each.
Botocore's back-off and ctwatch's waits pass on one clock, which leaps over them.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.retries import quota
from shared_clients import without_socket
from slow_world import SlowWorld, led_by
from watch_world import World, world_of

from ctwatch.clock import LeapingClock
from ctwatch.sandbox.cloud import _Raw, straight, unproven
from ctwatch.sandbox.server import Sandbox

READ_TIMEOUT = 10.0
"""Seconds, as `ctwatch.aws` sets it."""

_QUERY = {"iam", "sns", "sts"}
_REST = {"lambda", "account"}


@dataclass(frozen=True)
class Wire:
    """One attempt to send a request, and the way to whom it is for."""

    request: Any
    service: str
    send: Callable[[Any], AWSResponse]
    clock: LeapingClock

    def answered(self, status: int, body: bytes, kind: str, **more: str) -> AWSResponse:
        """An answer that the sandbox knows nothing of; one to HEAD has no body."""
        text = b"" if self.request.method == "HEAD" else body
        headers: Any = {"Content-Type": kind, "Content-Length": str(len(text)), **more}
        return AWSResponse(self.request.url, status, headers, _Raw(text))

    def refused(self, status: int, code: str, message: str) -> AWSResponse:
        """A refusal as the service words it."""
        error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        if self.service == "s3":
            known = {"x-amz-request-id": "4442587FB7D0A2F9"}
            return self.answered(status, error.encode(), "application/xml", **known)
        if self.service in _QUERY:
            return self.answered(
                status, f"<ErrorResponse>{error}</ErrorResponse>".encode(), "text/xml"
            )
        body = json.dumps({"__type": code, "message": message}).encode()
        return self.answered(status, body, "application/json")


Fault = Callable[[Wire], AWSResponse]
Plan = Callable[[str, int, int], Fault | None]


def throttled(wire: Wire) -> AWSResponse:
    status, code = 400, "ThrottlingException"
    if wire.service == "s3":
        status, code = 503, "SlowDown"
    elif wire.service in _QUERY:
        code = "Throttling"
    elif wire.service in _REST:
        status, code = 429, "TooManyRequestsException"
    return wire.refused(status, code, "Rate exceeded")


def _failing(status: int, body: bytes, kind: str) -> Fault:
    return lambda wire: wire.answered(status, body, kind)


_JSON = b'{"__type":"InternalFailure","message":"try again"}'
_XML = b"<ErrorResponse><Error><Code>InternalFailure</Code></Error></ErrorResponse>"
_TEXT = b"Service trouble"


def reset(wire: Wire) -> AWSResponse:
    """The connection ends before anything was done."""
    raise ConnectionClosedError(endpoint_url=wire.request.url)


def lost(wire: Wire) -> AWSResponse:
    """It was done, and the connection ends before the answer."""
    wire.send(wire.request)
    return reset(wire)


def silent(wire: Wire) -> AWSResponse:
    """It was done, and nothing more is heard."""
    wire.send(wire.request)
    wire.clock.sleep(READ_TIMEOUT)
    raise ReadTimeoutError(endpoint_url=wire.request.url)


def cut(wire: Wire) -> AWSResponse:
    """Half of the answer, and nobody says that it is a half."""
    answer = wire.send(wire.request)
    kind = answer.headers.get("Content-Type", "")
    known = {k: v for k, v in answer.headers.items() if k.lower().startswith("x-amz")}
    half = answer.content[: len(answer.content) // 2]
    return wire.answered(answer.status_code, half, kind, **known)


def page(wire: Wire) -> AWSResponse:
    """A network that wants one to log in first."""
    text = "<!DOCTYPE html><html><head><meta charset=utf-8><title>Log in</title></head><body><br>"
    return wire.answered(200, text.encode(), "text/html; charset=utf-8")


def denied(wire: Wire) -> AWSResponse:
    code = "AccessDenied" if wire.service in {"s3", *_QUERY} else "AccessDeniedException"
    return wire.refused(403, "AuthorizationError" if wire.service == "sns" else code, "not allowed")


def expired(wire: Wire) -> AWSResponse:
    code = "ExpiredToken" if wire.service in {"s3", *_QUERY} else "ExpiredTokenException"
    return wire.refused(403 if wire.service in _QUERY else 400, code, "The token has expired")


ONCE: dict[str, Fault] = {
    "throttled": throttled,
    "500 as JSON": _failing(500, _JSON, "application/json"),
    "500 as XML": _failing(500, _XML, "text/xml"),
    "500 as text": _failing(500, _TEXT, "text/plain"),
    "503 as JSON": _failing(503, _JSON, "application/json"),
    "503 as XML": _failing(503, _XML, "text/xml"),
    "503 as text": _failing(503, _TEXT, "text/plain"),
    "reset": reset,
    "lost": lost,
}
"""What may befall any single call."""

ALWAYS: dict[str, Fault] = {
    "denied": denied,
    "throttled": throttled,
    "500": ONCE["500 as text"],
    "503": ONCE["503 as XML"],
    "reset": reset,
    "cut": cut,
    "expired": expired,
    "page": page,
    "silent": silent,
}
"""What may befall every call of an operation."""


def struck(call: str, number: int, fault: Fault) -> Plan:
    """One fault, at the first attempt of one call."""
    return lambda *seen: fault if seen == (call, number, 1) else None


def each_once(fault: Fault, calls: Callable[[str], bool] = lambda _: True) -> Plan:
    """The fault at the first attempt of every call of these."""
    return lambda call, _, attempt: fault if attempt == 1 and calls(call) else None


def always(call: str, fault: Fault) -> Plan:
    """The fault at every attempt of every call of an operation."""
    return lambda seen, *_: fault if seen == call else None


def singles(
    calls: Sequence[str], *, whole: Callable[[str], bool], spread: bool = False
) -> Iterator[tuple[str, int, str]]:
    """What to try of what may befall any single call: the call, which of its kind, and the fault.

    Each call is struck at least once, and of an operation that is `whole` the first by every fault
    and each by the loss of its answer. Which fault else strikes one goes round; with `spread`, so
    does which of the failures of a server strike the first.
    """
    kinds = list(ONCE)
    for place, (call, count) in enumerate(sorted(Counter(calls).items())):
        for number in range(count):
            some = {kinds[(place + number) % len(kinds)], *(["lost"] if whole(call) else [])}
            if whole(call) and not number:
                failures = [one for one in kinds if one[0] == "5"]
                left_out = {*failures} - {failures[place % len(failures)]} if spread else set()
                some = {*kinds} - left_out
            yield from ((call, number, kind) for kind in sorted(some))


@dataclass
class Faults:
    """What befalls the calls, and which were made.

    Attributes:
        plan: given a call ("sns:Publish"), which of its kind it is, and which attempt, says what
            befalls it, if anything.
        meanwhile: called before a call is sent, with the call and which of its kind it is.
        calls: those made, retries not counted.
        met: the faults that befell one.
    """

    clock: LeapingClock
    plan: Plan = lambda *_: None
    meanwhile: Callable[[str, int], None] = lambda *_: None
    calls: list[str] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    _stores: list[Any] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _attempts: Counter[str] = field(default_factory=Counter)
    _lock: Any = field(default_factory=threading.Lock)

    def begin(self, plan: Plan = lambda *_: None) -> None:
        """A new command, with nothing behind it."""
        self.plan, self.meanwhile = plan, lambda *_: None
        self.calls, self.met = [], []
        self._numbers, self._attempts = {}, Counter()
        for one in self._stores:
            one._available_capacity = one._max_capacity

    def _numbered(self, call: str, request: Any) -> tuple[int, int]:
        """Which of its kind a call is, and which attempt of it; retries have one id."""
        one = request.headers.get("amz-sdk-invocation-id")
        key = one.decode() if isinstance(one, bytes) else str(one)
        with self._lock:
            if key not in self._numbers:
                self._numbers[key] = self.calls.count(call)
                self.calls.append(call)
            self._attempts[key] += 1
            return self._numbers[key], self._attempts[key]

    def through(self, sandbox: Sandbox) -> Callable[[Any], None]:
        """Prepares a session so that its clients reach the sandbox, or do not."""
        send = straight(without_socket(sandbox))

        def before_send(request: Any, event_name: str, **_: Any) -> AWSResponse | None:
            if not request.url.startswith(f"{sandbox.url}/"):
                return None
            service = _service(request, event_name)
            call = f"{service}:{event_name.rpartition('.')[2]}"
            number, attempt = self._numbered(call, request)
            self.meanwhile(call, number)
            fault = self.plan(call, number, attempt)
            if fault is None:
                return send(request)
            self.met.append(call)
            return fault(Wire(request, service, send, self.clock))

        def prepare(session: Any) -> None:
            session.events.register("choose-signer", unproven, unique_id="unproven")
            session.events.register("before-send", before_send, unique_id="faults")

        return prepare


def _service(request: Any, event_name: str) -> str:
    """By botocore's short name; an event's is hyphenated, as "resource-groups-tagging-api"."""
    return {
        "resource-groups-tagging-api": "resourcegroupstaggingapi",
        "eventbridge": "events",
        "cloudwatch-logs": "logs",
    }.get(name := event_name.split(".")[1], name)


@contextmanager
def faults(clock: LeapingClock | None = None) -> Iterator[Faults]:
    """Faults whose clock is botocore's and ctwatch's, and whose clients' retries are known."""
    found = Faults(clock or LeapingClock())

    class Store(quota.RetryQuota):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            found._stores.append(self)

    with pytest.MonkeyPatch.context() as patch, led_by(found.clock):
        patch.setattr("botocore.retries.quota.RetryQuota", Store)
        yield found


@contextmanager
def faulty_world(folder: Path, *, like_aws: bool = False) -> Iterator[tuple[World, Faults]]:
    """A world, and the wire to it; all go by one clock."""
    clock, kind = LeapingClock(), SlowWorld if like_aws else World
    with Sandbox(clock=clock, like_aws=like_aws) as sandbox, faults(clock) as wire:
        if sandbox.slowness:
            sandbox.slowness.never = 0  # an event that never comes is no fault of the wire's
        with world_of(sandbox, folder, kind, through=wire.through) as world:
            yield world, wire
