"""A million records: progress in a terminal, memory that stays flat, Ctrl-C, and all once more."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import past
import pytest

pytestmark = pytest.mark.exhaustive

COMMAND = [sys.executable, "-c", "from ctwatch.cli import run; run()", "history", "--from"]
DIFFERENT, FILES = 20, 2000
MEMORY = 200 * 1024


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Some files, each under many names: a million records to read, ten thousand to tell."""
    folder = tmp_path_factory.mktemp("million")
    for number in range(DIFFERENT):
        at = past.BEGIN + past.timedelta(hours=number)
        first = folder / f"{number}-0.json.gz"
        first.write_bytes(past.zipped(past.records(f"million {number}", past.PER_FILE, at)))
        for name in range(1, FILES // DIFFERENT):
            os.link(first, folder / f"{number}-{name}.json.gz")
    return folder


@pytest.fixture(scope="module")
def asked(logs):
    """What it tells of them, undisturbed."""
    ran = subprocess.run(
        [*COMMAND, str(logs), "--json"], check=True, capture_output=True, text=True, cwd=logs
    )
    return json.loads(ran.stdout)


class Running:
    """The command in a terminal, with processes of its own.

    Attributes:
        said: what it has written so far.
        held: the KiB that all of its processes held together, from moment to moment.
    """

    def __init__(self, logs):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        self.process = subprocess.Popen(
            [*COMMAND, str(logs)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=logs,
            env={**os.environ, "TERM": "xterm", "LANG": "en_US.UTF-8"},
            start_new_session=True,
            # What runs in the background may have been told to ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        os.close(theirs)
        self.said, self.held = "", []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self):
        with contextlib.suppress(OSError):  # how Linux says that the other side has hung up
            while more := os.read(self._ours, 65536):
                self.said += more.decode(errors="replace")

    @property
    def shown(self):
        """The percents of its progress."""
        return [int(one) for one in re.findall(r"Reading.*?(\d+)%", self.said)]

    def watched(self):
        """Note what it holds until it has ended; returns its exit code."""
        while self.process.poll() is None:
            self.held.append(sum(map(_share, self.family())))
            time.sleep(0.05)
        return self.ended()

    def ended(self):
        code = self.process.wait(30)
        self._reading.join(10)
        os.close(self._ours)
        return code

    def family(self):
        """Its processes that are not yet done."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                state, _, its = (place / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            found += [place] if its == str(self.process.pid) and state != "Z" else []
        return found


def _share(place):
    """What a process holds alone, and its share of the rest; 0 where it has just ended."""
    try:
        text = (place / "smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(one.split()[1]) for one in text.splitlines() if one.startswith("Pss:")), 0)


def test_it_shows_progress_and_its_memory_stays_flat(logs):
    running = Running(logs)
    assert running.watched() == 0
    assert running.shown == sorted(running.shown)
    assert len({one for one in running.shown if 0 < one < 100}) > 3
    assert re.search(r"%\S* \S*0:00:0\d", running.said)  # how long it will still take
    assert "1,000,000 records in 2,000 files" in " ".join(running.said.split())
    half = len(running.held) // 2
    assert max(running.held) < MEMORY
    assert max(running.held[half:]) < 1.3 * max(running.held[:half])


@pytest.mark.parametrize("percent", [1, 40])
def test_it_is_interrupted_and_asked_again(logs, asked, percent):
    running = Running(logs)
    deadline = time.monotonic() + 20
    while max(running.shown, default=0) < percent:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(running.process.pid, signal.SIGINT)
    assert running.ended() == 130
    assert "Interrupted." in running.said
    assert "Traceback" not in running.said
    assert running.family() == []
    assert sorted(one.suffix for one in logs.iterdir()) == [".gz"] * FILES
    again = subprocess.run(
        [*COMMAND, str(logs), "--json"], check=True, capture_output=True, text=True, cwd=logs
    )
    told = json.loads(again.stdout)
    assert told == asked
    assert told["records"] == FILES * past.PER_FILE
