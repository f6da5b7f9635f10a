"""Whole outputs, compared with the files of tests/golden.

What differs from run to run (ids, times, ports, the order of what goes on side by side) is masked
by as many characters, so that lines break where they broke. `CTWATCH_GOLDEN=write` writes the files
anew; look at the difference before you keep it.
"""

import os
import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
WRITES = os.environ.get("CTWATCH_GOLDEN") == "write"
CHANGING = {
    r"ctwatch-probe-[0-9a-f]{12}": "ctwatch-probe-000000000000",
    r"(?m)^([✓✗!·] )\d{4}-\d\d-\d\d(?= \d\d:)": r"\g<1>0000-00-00",
    r"\d\d:\d\d:\d\d": "00:00:00",
    r"(?<=sns-cloudtrail-alarm:)([\da-f-]\s*){35}[\da-f]": lambda found: zeros(found[0]),
    r"[+-]\d+\.\d s": "+0.0 s",
    r"127\.0\.0\.1:\d+": "127.0.0.1:00000",
    r"(?<=-alarm:)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": f"{0:08}-0000-0000-0000-{0:012}",
}
STEP = re.compile(
    r"(?m)[+~=✗·-] (created|repaired|deleted|kept|failed|skipped) |\S+  (not )?proven$"
)


def zeros(text: str) -> str:
    """A subscription's id without its digits, broken wherever it was."""
    return re.sub(r"[\da-f]", "0", text)


@dataclass(frozen=True)
class Told:
    """A command that ran: its exit code, and what it printed."""

    command: str
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        parts = {"stdout": self.out, "stderr": self.err, "exit code": f"{self.code}\n"}
        return f"$ {self.command}\n" + "".join(f"--- {k}\n{v}" for k, v in parts.items() if v)


def masked(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, instead in CHANGING.items():
        text = re.sub(pattern, instead, text)
    return "".join("".join(sorted(run) if steps else run) for steps, run in runs(text))


def runs(text: str):
    """Blocks (a line with those that are indented below it), neighbouring steps together."""
    blocks = re.findall(r"(?m)^(?! ).*\n(?: +.*\n)*|.+\n", text)
    return [(steps, list(run)) for steps, run in groupby(blocks, lambda one: bool(STEP.match(one)))]


def compare(name: str, told: object) -> None:
    """Hold a command's whole output against the golden file of that name."""
    hold(GOLDEN / f"{name}.txt", masked(str(told)))


def hold(path: Path, text: str) -> None:
    """Hold a text against a golden file as it is."""
    if WRITES:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{path.name} is missing: run with CTWATCH_GOLDEN=write"
    assert text == path.read_text("utf-8")
