"""A Lambda function's code in a subprocess of its own, kept warm between invocations.

The subprocess is our own Python with `-I`, a clean environment and the unpacked zip as its
folder; `runtime.py` runs in it. Where the system can fork, it is forked off one that has started
already. It is not confined otherwise: it has the user's files and network. A container serves one
invocation at a time and is ended by its own pid.
"""

import contextlib
import io
import json
import queue
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ctwatch.sandbox import runtime
from ctwatch.sandbox.zygote import Forked, can_fork

_INIT_SECONDS = 10.0
"""Lambda's own limit: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html"""


@dataclass(frozen=True)
class Outcome:
    """How one invocation ended.

    Attributes:
        payload: what it answered, JSON text; the error object when it failed.
        error: that error (`errorType`, `errorMessage`, `stackTrace`), or None.
        output: what it printed, a line each.
        seconds: how long the handler ran.
        init_seconds: how long a cold start took; None when it was warm.
        timed_out: whether it was ended for taking too long.
    """

    payload: str
    error: dict[str, Any] | None = None
    output: list[str] = field(default_factory=list)
    seconds: float = 0.0
    init_seconds: float | None = None
    timed_out: bool = False


class Container:
    """One execution environment of a function.

    Args:
        code: the zip.
        environment: all variables that the process gets, but for its folders.
        stream: the log stream it writes to.
    """

    def __init__(self, code: bytes, environment: Mapping[str, str], stream: str) -> None:
        self.stream = stream
        self._folder = Path(tempfile.mkdtemp(prefix="ctwatch-function-"))
        self._unreadable = _unpack(code, self._folder)
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._outputs: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._lines: list[str] = []
        self._process = self._start(environment)
        self._readers = [
            _reading(self._read_answers, self._process.stdout),
            _reading(self._read_log, self._process.stderr),
        ]
        self._init: float | None = None

    @property
    def alive(self) -> bool:
        """Whether it can take another invocation."""
        return self._process.poll() is None

    def invoke(
        self, request_id: str, arn: str, event: str, seconds: float, ahead: float = 0.0
    ) -> Outcome:
        """Run the handler once.

        Args:
            request_id: the invocation's.
            arn: the function's.
            event: JSON text.
            seconds: the function's timeout, in real time: the process lives in that.
            ahead: seconds by which the time of day is ahead of this machine's.
        """
        cold = self._init is None
        if cold:
            failed = self._wait_until_ready(request_id)
            if failed:
                return failed
        began = time.monotonic()
        deadline = (time.time() + seconds) * 1000
        request = {"id": request_id, "arn": arn, "deadline_ms": deadline, "event": event}
        request["ahead"] = ahead
        with contextlib.suppress(OSError, ValueError):  # it has ended: then no answer comes
            print(json.dumps(request), file=self._process.stdin, flush=True)
        outcome = self._outcome(request_id, seconds)
        return _timed(outcome, time.monotonic() - began, self._init if cold else None)

    def kill(self) -> None:
        """End the process; whoever waits for its answer learns of it."""
        self._process.kill()

    def close(self) -> None:
        """End the process and remove its folder. May be called twice."""
        self.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(1)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):  # what was not flushed to a dead process
                if pipe is not None:
                    pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, environment: Mapping[str, str]) -> "subprocess.Popen[str] | Forked":
        folders = {"LAMBDA_TASK_ROOT": str(self._folder), "LAMBDA_RUNTIME_DIR": str(self._folder)}
        if can_fork():
            return Forked({**environment, **folders})
        return subprocess.Popen(
            [sys.executable, "-I", str(Path(runtime.__file__))],
            cwd=self._folder,
            env={**environment, **folders},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )

    def _wait_until_ready(self, request_id: str) -> Outcome | None:
        began = time.monotonic()
        if self._unreadable:
            self.close()
            return _failure("Runtime.ImportModuleError", _DENIED.format(self._unreadable), [])
        outcome = self._outcome(request_id, _INIT_SECONDS)
        self._init = time.monotonic() - began
        return outcome if outcome.error else None

    def _outcome(self, request_id: str, seconds: float) -> Outcome:
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            self.close()
            message = f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
            return _failure("Sandbox.Timedout", message, self._lines, timed_out=True)
        if answer is None:
            self.close()
            message = f"RequestId: {request_id} Error: Runtime exited with error: {self._ending()}"
            return _failure("Runtime.ExitError", message, self._lines)
        output = self._outputs.get(timeout=seconds)
        reply = json.loads(answer)
        if reply.get("exit"):
            self.close()
        if "error" in reply:
            return Outcome(json.dumps(reply["error"], ensure_ascii=False), reply["error"], output)
        return Outcome(reply.get("payload", "null"), None, output)

    def _ending(self) -> str:
        code = self._process.returncode or 0
        return f"signal: {-code}" if code < 0 else f"exit status {code}"

    def _read_answers(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._answers.put(line)
        self._answers.put(None)

    def _read_log(self, pipe: IO[str]) -> None:
        """Collect lines; at a mark hand over what came since the last."""
        for line in pipe:
            if not line.startswith(runtime.MARK):
                self._lines.append(line.rstrip("\r\n"))
                continue
            output, self._lines = self._lines, []
            self._outputs.put(output[:-1] if output and not output[-1] else output)


_DENIED = "[Errno 13] Permission denied: '/var/task/{}'"


def _unpack(code: bytes, folder: Path) -> str:
    """Unpack the zip; the first file that Lambda's user could not read, or "".

    Lambda keeps the zip's permissions and runs as another user:
    https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
    """
    unreadable = ""
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        archive.extractall(folder)
        for entry in archive.infolist():
            mode = entry.external_attr >> 16
            if mode and not entry.is_dir() and not mode & stat.S_IROTH:
                unreadable = unreadable or entry.filename
    return unreadable


def _reading(read: Any, pipe: IO[str] | None) -> threading.Thread:
    thread = threading.Thread(target=read, args=(pipe,), name="function", daemon=True)
    thread.start()
    return thread


def _failure(kind: str, message: str, output: list[str], *, timed_out: bool = False) -> Outcome:
    error = {"errorType": kind, "errorMessage": message}
    return Outcome(json.dumps(error), error, list(output), timed_out=timed_out)


def _timed(outcome: Outcome, seconds: float, init: float | None) -> Outcome:
    return Outcome(outcome.payload, outcome.error, outcome.output, seconds, init, outcome.timed_out)
