"""Processes for containers, forked off one that has loaded already what all of them load.

    this process ──"fork" and three pipes──> zygote ──os.fork──> container
                 <──────its pid, its end────

Python takes longer to start, and botocore longer to be imported, than a function takes for all the
rest. So one process, the zygote, does both once and is copied for each container; its far end is
`runtime.multiply`. It has one thread, without which a fork would not be safe. It starts with the
first container and ends with this process, however that ends, and all that it forked with it.
"""

import atexit
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, ClassVar

from ctwatch.sandbox import runtime


def can_fork() -> bool:
    """Whether this system copies a process safely: not macOS, whose own libraries forbid it.

    https://docs.python.org/3/library/os.html#os.fork
    """
    return hasattr(os, "fork") and platform.system() != "Darwin"


class Zygote:
    """The process that others are forked off."""

    _begun: "ClassVar[Zygote | None]" = None
    _beginning = threading.Lock()

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._control, theirs = socket.socketpair()
        self._answers = self._control.makefile(encoding="ascii")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(Path(runtime.__file__)), str(theirs.fileno())],
                env={"LANG": "en_US.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # as those have that it forks; it writes nothing itself
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.end)

    @classmethod
    def living(cls) -> "Zygote":
        """The one of this process, begun when it is first needed."""
        with cls._beginning:
            if cls._begun is None or not cls._begun.alive:
                cls._begun = cls()
            return cls._begun

    @property
    def alive(self) -> bool:
        """Whether it can fork others."""
        return self._process.poll() is None

    def ask(self, request: str, *pipes: int) -> str:
        """What it answers.

        Args:
            request: "compile" with a folder; "fork"; "poll", "kill" or "wait" with a pid.
            pipes: those of what is forked.

        Raises:
            OSError: it has ended.
        """
        with self._asking:
            socket.send_fds(self._control, [os.fsencode(request)], pipes)
            answer = self._answers.readline()
        if not answer:
            raise ConnectionResetError("the zygote has ended")
        return answer.strip()

    def end(self) -> None:
        """End it, and with it all that it forked."""
        self._answers.close()
        self._control.close()
        with self._process:  # which waits for it
            pass


class Forked:
    """A container's process, as far as `subprocess.Popen` shows one.

    Args:
        environment: all variables that it gets; it lives in the folder LAMBDA_TASK_ROOT.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.returncode: int | None = None
        self._asking = threading.Lock()
        self._zygote = Zygote.living()
        (requests, stdin), (stdout, answers), (stderr, log) = (os.pipe() for _ in range(3))
        self.stdin, self.stdout, self.stderr = _text(stdin, "w"), _text(stdout), _text(stderr)
        try:
            self._zygote.ask(f"compile {environment['LAMBDA_TASK_ROOT']}")
            self._pid = self._zygote.ask("fork", requests, answers, log)
        finally:
            for theirs in (requests, answers, log):
                os.close(theirs)
        print(json.dumps(dict(environment)), file=self.stdin, flush=True)

    def poll(self) -> int | None:
        """How it ended; None while it lives."""
        return self._ask("poll")

    def kill(self) -> None:
        """End it at once."""
        self._ask("kill")

    def wait(self) -> None:
        """Wait until it has ended."""
        self._ask("wait")

    def _ask(self, word: str) -> int | None:
        """Only of what has not ended: its pid may be another's by now."""
        with self._asking:
            if self.returncode is None:
                try:
                    code = self._zygote.ask(f"{word} {self._pid}")
                except OSError:  # it is without the one that would know, and ends with its input
                    code = str(-signal.SIGKILL)
                self.returncode = int(code) if code else None
            return self.returncode


def _text(pipe: int, mode: str = "r") -> IO[str]:
    return open(pipe, mode, encoding="utf-8", errors="replace")
