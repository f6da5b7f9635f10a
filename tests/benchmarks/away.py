"""`ctwatch sandbox` in a process of its own, as far away as one likes, and ctwatch led to it."""

import io
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from measuring import CTWATCH

from ctwatch.cli import main

LATENCY = 50
"""Milliseconds: a call to AWS from not too far away."""

PLAIN: dict[str, Any] = {
    "topic": {"emails": ["security@example.com"]},
    "channels": [{"type": "discord", "url": "env:DISCORD_WEBHOOK_URL"}],
    "alerts": {"language": "en"},
}


class Away:
    """An empty account.

    Attributes:
        env: what its exports set.
        pid: of its process.
    """

    def __init__(self, latency: int = LATENCY) -> None:
        self._process = subprocess.Popen(
            [CTWATCH, "sandbox", "--latency", str(latency), "-q"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.env: dict[str, str] = {}
        self.unset: list[str] = []
        self.pid = self._process.pid
        for line in self._process.stdout or ():
            self._read(shlex.split(line))
            if "DISCORD_WEBHOOK_URL" in self.env:  # the last of them
                return
        sys.exit("the sandbox did not start")

    def _read(self, words: list[str]) -> None:
        if words[0] == "unset":
            self.unset = words[1:]
        else:
            name, _, value = words[1].partition("=")
            self.env[name] = value

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.env["AWS_ENDPOINT_URL"]

    def end(self) -> None:
        """End it, and forget all that is in it."""
        self._process.terminate()
        self._process.wait(30)
        if self._process.stdout:
            self._process.stdout.close()


@contextmanager
def led(env: Mapping[str, str], unset: Iterable[str]) -> Iterator[None]:
    """Lead this process's clients, and its children's, there."""
    before = dict(os.environ)
    try:
        for name in unset:
            os.environ.pop(name, None)
        os.environ.update(env)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def away(latency: int = LATENCY) -> Iterator[Away]:
    """An empty account that this process's clients are led to."""
    there = Away(latency)
    try:
        with led(there.env, there.unset):
            yield there
    finally:
        there.end()


@contextmanager
def written(config: Mapping[str, Any] = PLAIN) -> Iterator[Path]:
    """A config as a file."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
        yield path


def run(config: Path, *arguments: str) -> None:
    """Run a command in this process; ends everything where it does not do what it is asked to."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*arguments, "--config", str(config)])
    if code not in {0, 3}:  # 3: not as promised, as a mail is not confirmed
        sys.exit(f"ctwatch {' '.join(arguments)} ended with {code}: {err.getvalue()}")
