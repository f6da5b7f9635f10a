"""As `test_marked_secret`, where the wire fails under a call that carries the secret or returns it.

Whatever the answer is, cut in the middle of it, a page or a failure that repeats all that was sent,
or none: no command tells it, and nothing keeps it. Nor does an `up` that is killed right there.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from faulty import Faults, Wire, always, faults, reset
from killed import body_of
from marked import ECHOES, Told, children, leaks, narrating, telling
from watch_world import PLAIN, PLAIN_SECRET, World

from ctwatch.sandbox.server import Sandbox
from ctwatch.sandbox.wire import Answer

KINDS = {"ssm": PLAIN, "env": PLAIN_SECRET}
CTWATCH = [sys.executable, "-c", "from ctwatch.cli import run; run()"]
LOOKS = ("status -v", "status --json", "simulate stop-logging --timeout 1")
DOWN = "down --yes --wait 0 --delete-logs"


@dataclass(frozen=True)
class Carried:
    """A call that carries the secret or returns it: how it is kept, and what makes the call."""

    kind: str
    call: str
    by: tuple[str, ...]

    @property
    def makes(self) -> bool:
        """Whether it is only made where the watch is not there yet."""
        return self.call in {"ssm:PutParameter", "lambda:CreateFunction"}


CALLS = {
    "PutParameter": Carried("ssm", "ssm:PutParameter", ("up -v", "up --json")),
    "GetParameter": Carried("ssm", "ssm:GetParameter", ("up -v", *LOOKS, DOWN)),
    "CreateFunction": Carried("env", "lambda:CreateFunction", ("up -v",)),
    "UpdateFunction": Carried("env", "lambda:UpdateFunctionConfiguration", ("up --json",)),
    "GetFunction": Carried("env", "lambda:GetFunction", ("up -v", *LOOKS, DOWN)),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Faults]]:
    folder = tmp_path_factory.mktemp("marked")
    with faults() as wire, narrating(folder, wire.through, wire.clock) as world:
        yield world, wire


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files come that nobody has named: the home, the temporary folder, and the current."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kept_in(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file below a folder, name and content."""
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # a container's, which has ended meanwhile
                yield name, (Path(where) / name).read_text("latin-1")


# ---------------------------------------------------------------- what answers


def _held(wire: Wire, url: str) -> str:
    """All that was sent, and the webhook in every way."""
    sent = body_of(wire.request).decode(errors="replace")
    return f"{' '.join(echo(url) for echo in ECHOES)} {sent} {wire.request.headers}"


def _cut(wire: Wire, url: str) -> AWSResponse:
    """It ends in the middle of the secret, or of the answer where that has none."""
    answer = wire.send(wire.request)
    body = answer.content
    at = body.find(url.encode())
    end = at + len(url) - 20 if at >= 0 else len(body) // 2
    return wire.answered(answer.status_code, body[:end], answer.headers.get("Content-Type", ""))


def _page(wire: Wire, url: str) -> AWSResponse:
    """A proxy's, which repeats what it did not let pass."""
    text = f"<!DOCTYPE html><html><body><h1>Blocked</h1><br>{_held(wire, url)}</body></html>"
    return wire.answered(200, text.encode(), "text/html")


def _failure(wire: Wire, url: str) -> AWSResponse:
    return wire.refused(500, "InternalFailure", f"no luck with {_held(wire, url)}")


def _not_even_json(wire: Wire, url: str) -> AWSResponse:
    return wire.answered(500, f"trouble: {_held(wire, url)}".encode(), "text/plain")


def _expired(wire: Wire, url: str) -> AWSResponse:
    return wire.refused(400, "ExpiredTokenException", f"expired: {_held(wire, url)}")


Answers = Callable[[Wire, str], AWSResponse]
ANSWERS: dict[str, Answers] = {
    "cut": _cut,
    "page": _page,
    "500 that repeats": _failure,
    "500 of text that repeats": _not_even_json,
    "expired": _expired,
    "reset": lambda wire, _: reset(wire),
}


# ---------------------------------------------------------------- the commands


def stand(told: Told, one: Carried) -> None:
    """The account as the call is made in it: with the watch, or with none, or with one to mend."""
    if not one.makes:
        assert told.run("up") == 0
    if one.call == "lambda:UpdateFunctionConfiguration":
        told.world.client("lambda").update_function_configuration(
            FunctionName="lambda-ct-detect-alarm", Timeout=99
        )


def met(told: Told, wire: Faults, one: Carried, answers: Answers) -> set[str]:
    """Run each command that makes the call, which is always answered so; returns who met it."""
    wire.begin()
    stand(told, one)
    url, found = told.world.sandbox.inbox.webhook_url, set[str]()
    for line in one.by:
        wire.begin(always(one.call, lambda sent: answers(sent, url)))
        told.run(line)
        found |= {line} if wire.met else set()
    wire.begin()
    return found


TELLING = {("PutParameter", "500 that repeats"), ("GetParameter", "cut")}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        pytest.param(*one, marks=[] if one in TELLING else pytest.mark.exhaustive)
        for one in product(CALLS, ANSWERS)
    ],
)
def test_a_wire_that_fails_tells_nothing(
    here: tuple[World, Faults],
    name: str,
    answer: str,
    alone: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What was done, though its answer was cut, is not done again by the next command."""
    (world, wire), one = here, CALLS[name]
    with telling(world, KINDS[one.kind]) as told:
        found = met(told, wire, one, ANSWERS[answer])
        assert found == {*one.by} or (answer == "cut" and one.by[0] in found)
        assert told.leaks() == []
        beside = iter([("beside", str(capfd.readouterr()))])
        assert leaks(told.secrets, beside, kept_in(alone)) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["GetParameter", "GetFunction"])
def test_who_does_not_know_it_is_not_told_it(
    here: tuple[World, Faults], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever only looks or clears away needs no variable: what is half there cannot be masked."""
    (world, wire), one = here, CALLS[name]
    with telling(world, KINDS[one.kind]) as told:
        wire.begin()
        assert told.run("up") == 0
        monkeypatch.delenv("DISCORD_WEBHOOK_URL")
        url = world.sandbox.inbox.webhook_url
        for line in (*LOOKS, DOWN):
            wire.begin(always(one.call, lambda sent: _cut(sent, url)))
            told.run(line)
            assert wire.met, line
        wire.begin()
        assert told.leaks() == []


# ---------------------------------------------------------------- killed right there


@dataclass
class Killed:
    """A process, and what is to be seen of it when it dies."""

    process: "subprocess.Popen[bytes]"
    seen: list[tuple[str, str]] = field(default_factory=list)

    def kill(self) -> None:
        """See what the list of processes tells of it, and end it."""
        entry = Path(f"/proc/{self.process.pid}")
        self.seen += [
            (what, (entry / what).read_text("latin-1")) for what in ("cmdline", "environ")
        ]
        self.seen += children(self.process.pid)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.mark.exhaustive
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["PutParameter", "CreateFunction"])
def test_an_up_that_is_killed_there_leaves_nothing_of_it(
    here: tuple[World, Faults], alone: Path, name: str, when: str
) -> None:
    """A process like a user's, whose secret is in a file of his; the sandbox hears the call."""
    world, kind = here[0], KINDS[CALLS[name].kind]
    hook = world.config.with_name("hook")
    hook.write_text(world.sandbox.inbox.webhook_url)
    with telling(world, {**kind, "channels": [{"type": "discord", "url": f"file:{hook}"}]}) as told:
        told.in_environment = kind == PLAIN_SECRET
        ended = killed(world, told, alone, (name, when))
        assert {what for what, _ in ended.seen} == {"cmdline", "environ"}
        assert leaks(told.secrets, iter(ended.seen), kept_in(alone)) == []
        assert told.leaks() == []


def killed(world: World, told: Told, folder: Path, where: tuple[str, str]) -> Killed:
    """An `up` that dies when the sandbox hears that call, or has done what it asks."""
    given = {k: v for k, v in os.environ.items() if not any(one in v for one in told.secrets)}
    with (folder / "said").open("wb") as said, holding(world.sandbox, where) as end:
        program = [*CTWATCH, "up", "-v", "--config", str(world.config)]
        one = Killed(subprocess.Popen(program, stdout=said, stderr=said, env=given, cwd=folder))
        end.append(one)
        one.process.wait(60)
    assert one.process.returncode == -signal.SIGKILL, (folder / "said").read_text()
    return one


@contextmanager
def holding(sandbox: Sandbox, where: tuple[str, str]) -> Iterator[list[Killed]]:
    """Whoever is put in the list dies at that call."""
    operation, when = where
    answer, end, calls = sandbox._serve, list[Killed](), threading.Lock()

    def serve(request: Any, *rest: Any) -> Any:
        if request.call.operation != operation or not end or end[0].seen:
            return answer(request, *rest)
        with calls:
            answered = answer(request, *rest) if when == "after" else None
            end[0].kill()
            return answered or Answer(503, {}, b"")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "_serve", serve)
        yield end
