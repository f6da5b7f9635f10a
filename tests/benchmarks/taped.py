"""The calls of a command, kept as they were made, and made again without it.

A call waits for those that had ended before it began. Where all that do not wait for one another
are under way at once, as in `counting`, they fall into rounds. Made again they go round by round
through a bare thread pool, or one after another, or as a script of the AWS CLI.

What AWS draws by itself, such as the id of a subscription, is another one each time. Where a later
call names it, the new one takes the place of the old.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import boto3
from away import Away
from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from ctwatch.aws import _SETTINGS, WORKERS
from ctwatch.sandbox.records import is_read

Spot = tuple[str, ...]
"""Where in an answer something stands."""

Client = tuple[str, str]
"""A service in a region."""

_ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(eq=False)
class Call:
    """A call that was made.

    Attributes:
        gives: where in its answer something stands that later calls name, and what it was.
        takes: whether it names something of an earlier answer.
    """

    client: Client
    operation: str
    params: Any
    began: float
    ended: float = 0.0
    answer: Any = None
    gives: list[tuple[Spot, str]] = field(default_factory=list)
    takes: bool = False


@dataclass
class Tape:
    """The calls of a command, in the order in which they began, and where they were made."""

    env: Mapping[str, str]
    calls: list[Call] = field(default_factory=list)

    @property
    def clients(self) -> list[Client]:
        """Those that it uses."""
        return sorted({one.client for one in self.calls})

    @property
    def writes(self) -> "Tape":
        """Only what changes something."""
        return Tape(self.env, [one for one in self.calls if not is_read(one.operation)])

    def rounds(self) -> list[list[Call]]:
        """The calls in rounds: each in the one after the last of those that it waited for."""
        found: list[list[Call]] = []
        number: dict[Call, int] = {}
        for call in self.calls:
            before = [number[one] for one in number if one.ended <= call.began]
            number[call] = max(before, default=-1) + 1
            found += [[]] * (number[call] == len(found))
            found[number[call]] = [*found[number[call]], call]
        return found


@contextmanager
def taping(env: Mapping[str, str]) -> Iterator[Tape]:
    """Keep the calls that ctwatch makes meanwhile in this process, where a sandbox may make others.

    Args:
        env: where they lead.
    """
    tape, make = Tape(env), BaseClient._make_api_call

    def kept(client: Any, operation: str, params: Any) -> Any:
        meta = client.meta
        if meta.config.user_agent_appid != _SETTINGS.user_agent_appid:
            return make(client, operation, params)
        name = (meta.service_model.service_name, meta.region_name)
        call = Call(name, operation, params, time.monotonic())
        tape.calls.append(call)
        try:
            call.answer = make(client, operation, params)
        finally:
            call.ended = time.monotonic()
        return call.answer

    with patch.object(BaseClient, "_make_api_call", kept):
        yield tape
    tape.calls.sort(key=lambda one: one.began)
    _mark(tape.calls)


def _mark(calls: Sequence[Call]) -> None:
    """Find what calls name of earlier answers."""
    named = [" ".join(text for _, text in _leaves(one.params)) for one in calls]
    for at, call in enumerate(calls):
        for spot, text in _leaves(call.answer):
            later = [one for one in range(at + 1, len(calls)) if text in named[one]]
            if _ID.search(text) and later:
                call.gives.append((spot, text))
                for one in later:
                    calls[one].takes = True


def _leaves(value: Any, spot: Spot = ()) -> Iterator[tuple[Spot, str]]:
    if isinstance(value, str):
        yield spot, value
    elif isinstance(value, dict):
        for key, one in value.items():
            if key != "ResponseMetadata":
                yield from _leaves(one, (*spot, key))
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, (*spot, _Like(_plain(one))))


class _Like(str):
    """Stands for the one of a list that looks so but for its ids; the order is never the same."""

    __slots__ = ()


def _at(answer: Any, spot: Spot) -> Any:
    for key in spot:
        if isinstance(key, _Like) and isinstance(answer, list):
            answer = next((one for one in answer if _plain(one) == key), None)
        else:
            answer = answer.get(key) if isinstance(answer, dict) else None
    return answer


def _swapped(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for old, new in known.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        return {key: _swapped(one, known) for key, one in value.items()}
    return [_swapped(one, known) for one in value] if isinstance(value, list) else value


class Again:
    """A tape made again in another account; what can be done beforehand is done."""

    def __init__(self, tape: Tape, there: Away) -> None:
        moved = {old: there.env[name] for name, old in tape.env.items() if "://" in old}
        self._calls = {one: _swapped(one.params, moved) for one in tape.calls}
        self._known: dict[str, str] = {}
        session = boto3.Session()
        self._clients = {
            (service, region): session.client(service, region_name=region, config=_SETTINGS)
            for service, region in tape.clients
        }
        self._there, self._rounds = there, tape.rounds()
        self._pool = ThreadPoolExecutor(2 * WORKERS)

    def together(self) -> list[Any]:
        """The answers, each round at once."""
        return [
            answer for calls in self._rounds for answer in list(self._pool.map(self._send, calls))
        ]

    def one_by_one(self) -> list[Any]:
        """The answers, each call after the one before."""
        return [self._send(call) for call in self._calls]

    def _send(self, call: Call) -> Any:
        return self._learn(call, answered(self._clients[call.client], *self._asked(call)))

    def _asked(self, call: Call) -> tuple[str, Any]:
        params = self._calls[call]
        return call.operation, _swapped(params, self._known) if call.takes else params

    def _learn(self, call: Call, answer: Any) -> Any:
        for spot, old in call.gives:
            new = _at(answer, spot)
            if isinstance(new, str):
                self._known[old] = new
        return answer

    def by_command(self, aws: str) -> None:
        """Each call as a command of the AWS CLI, one after another, as a script would."""
        with TemporaryDirectory() as folder:
            for call in self._calls:
                operation, params = self._asked(call)
                told = _command(Path(folder), operation, params)
                service = {"s3": "s3api"}.get(call.client[0], call.client[0])
                where = ("--endpoint-url", self._there.url, "--region", call.client[1])
                ran = subprocess.run(
                    [aws, service, xform_name(operation, "-"), *told, *where, "--output", "json"],
                    capture_output=True,
                    check=False,
                    env={**os.environ, "AWS_PAGER": ""},
                )
                if ran.returncode:
                    sys.exit(f"aws {service} {operation}: {ran.stderr.decode()}")
                self._learn(call, json.loads(ran.stdout or b"{}"))


def answered(client: Any, operation: str, params: Any) -> Any:
    """The answer, or the code of the refusal."""
    try:
        return client._make_api_call(operation, params)
    except ClientError as error:
        return error.response["Error"]["Code"]


def _command(folder: Path, operation: str, params: Any) -> list[str]:
    """The options of a command: a document, and the code of a function as the file that it is."""
    more = []
    if zipped := params.get("ZipFile") or params.get("Code", {}).get("ZipFile"):
        code = folder / "code.zip"
        code.write_bytes(zipped)
        more = ["--zip-file", f"fileb://{code}"]
        params = {key: one for key, one in params.items() if key not in {"Code", "ZipFile"}}
    document = folder / f"{operation}.json"
    document.write_text(json.dumps(params), encoding="utf-8")
    return ["--cli-input-json", f"file://{document}", *more]


def aws_command() -> str | None:
    """The `aws` command, past the shell script that some managers of Pythons put before it."""
    beside = Path(sys.base_prefix, "bin", "aws")
    found = str(beside) if beside.exists() else shutil.which("aws")
    works = found and subprocess.run([found, "--version"], capture_output=True, check=False)
    return found if works and works.returncode == 0 else None


# ---------------------------------------------------------------- what is in an account

_PASSING = {
    *("LookupEvents", "GetMetricData", "FilterLogEvents", "GetCallerIdentity"),
    *("DescribeLogStreams", "GetLogEvents", "GetFunction"),  # of the last, a link that ends
}
_DRAWN = re.compile(
    rf"{_ID.pattern}|A(RO|ID)A\w{{10,}}|127\.0\.0\.1:\d+|\d{{4}}-\d\d-\d\dT[\d:.]+Z?"
    r"|\b1\d{9}(\d{3}|\.\d+)?\b"
)
_LISTS: Mapping[str, tuple[str, ...]] = {
    "s3": ("ListBuckets",),
    "cloudtrail": ("DescribeTrails",),
    "sns": ("ListTopics", "ListSubscriptions"),
    "sqs": ("ListQueues",),
    "lambda": ("ListFunctions",),
    "iam": ("ListRoles",),
    "events": ("ListRules",),
    "logs": ("DescribeLogGroups",),
    "ssm": ("DescribeParameters",),
}


def account(reads: Tape, there: Away) -> list[str]:
    """What is in an account: its lists, and the answers to the reads of `ctwatch status`.

    What AWS draws by itself (ids, times) and where the sandbox listens stand apart; the order does
    not count, as subscriptions are listed in the order in which they came.
    """
    asked = Tape(reads.env, [one for one in reads.calls if one.operation not in _PASSING])
    again = Again(asked, there)
    told = zip(again._calls, again.one_by_one(), strict=True)
    found = [f"{call.operation} {_plain(answer)}" for call, answer in told]
    for service, operations in _LISTS.items():
        client = boto3.client(service)
        found += [f"{one} {_plain(answered(client, one, {}))}" for one in operations]
    secrets = [one for name, one in there.env.items() if name.endswith("WEBHOOK_URL")]
    for secret in secrets:
        found = [one.replace(_DRAWN.sub("-", secret), "webhook") for one in found]
    return sorted(found)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if key != "ResponseMetadata"}
        return "{" + ", ".join(f"{key}: {_plain(kept[key])}" for key in sorted(kept)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(sorted(map(_plain, value))) + "]"
    if hasattr(value, "isoformat"):
        return "a time"
    return _DRAWN.sub("-", str(value))
