"""A terminal for a real process: what is on its screen in the end, and all that went there."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")


class Terminal:
    """Runs a command in a terminal of so many columns.

    Attributes:
        code: its exit code.
        raw: all that was written.
        screen: the lines as they stand in the end, as wide as they are long.
    """

    def __init__(
        self, command: Sequence[str], columns: int, env: Mapping[str, str] | None = None
    ) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
        os.close(theirs)
        self.raw = _all(ours).decode()
        os.close(ours)
        self.code = process.wait(10)
        self.screen = _screen(self.raw)


def _all(descriptor: int) -> bytes:
    found = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side has hung up
        while more := os.read(descriptor, 65536):
            found += more
    return found


def _screen(raw: str) -> list[str]:
    """Obey what rich writes (line ends, cursor up, erase line); colours are lost."""
    lines, row, column = [""], 0, 0
    for part in re.split(r"(\x1b\[[?\d;]*[A-Za-z]|[\r\n])", raw):
        control = CONTROL.fullmatch(part)
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif control and control[2] == "A":
            row -= int(control[1] or 1)
        elif control and control[2] == "K":
            lines[row] = ""
        elif control:
            assert control[2] in "mhl", part
        else:
            before = lines[row].ljust(column)
            lines[row] = before[:column] + part + before[column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]
