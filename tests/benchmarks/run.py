"""Runs the benchmarks and prints their tables, as Markdown.

    python tests/benchmarks/run.py [--rounds N] [--records N] [NAME ...]

No tests: machines are noisy. Each number is a median, each ratio of what was measured in turns.
ctwatch is compiled first, as pip compiles what it installs, boto3 among it.
"""

import argparse
import importlib
import sys
import time
from compileall import compile_dir
from pathlib import Path

from measuring import machine, table

ROOT = Path(__file__).parent.parent.parent

SECTIONS = {
    "commands": "The commands, against the same calls without ctwatch",
    "propagation": "`up` while AWS does not know the role yet, 8 s",
    "startup": "Start, processor time and memory",
    "notifier": "The notifier's cold start",
    "sandbox": "The sandbox",
    "patterns": "The pattern engine",
    "history": "`history` over log files",
    "growth": "How cost grows",
    "delete_logs": "`down --delete-logs`",
}


SMALLEST = 10_000


def arguments() -> argparse.Namespace:
    """What to run, and how often."""
    parser = argparse.ArgumentParser(description="Runs the benchmarks and prints their tables.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=5, help="how often (default: 5)")
    parser.add_argument(
        "--records",
        type=int,
        default=1_000_000,
        help="history: of how many at most, 10000 to 10000000 (default: 1000000)",
    )
    given = parser.parse_args()
    if wrong := [one for one in given.names if one not in SECTIONS]:
        parser.error(f"there is no {wrong[0]}; there are {', '.join(SECTIONS)}")
    if given.rounds < 1:
        parser.error("--rounds: at least 1")
    if given.records < SMALLEST:
        parser.error(f"--records: at least {SMALLEST}")
    return given


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run what is asked for."""
    sys.path.insert(1, str(ROOT / "tests"))  # its own helpers
    given = arguments()
    compile_dir(ROOT / "ctwatch", quiet=1)
    say(machine())
    for name, title in SECTIONS.items():
        if not given.names or name in given.names:
            before = time.monotonic()
            more = {"most": given.records} if name == "history" else {}
            rows = importlib.import_module(name).measure(given.rounds, **more)
            say(f"\n## {title}\n\n{table(rows)}\n\n({name}: {time.monotonic() - before:.0f} s)")


if __name__ == "__main__":
    main()
