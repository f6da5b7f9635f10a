"""Text of others made safe to print: nothing in it moves a terminal, hides, or passes for ours.

What AWS answers holds what strangers chose: names, tags, addresses, log lines, an error's message.
Where it is printed, `inert` takes from it what a terminal would obey and what no eye would see;
where a sentence of ours quotes it, `one_line` keeps it from making lines of its own.

Pure.
"""

import json
import unicodedata
from collections.abc import Callable
from functools import cache

STANDS_FOR = "\N{REPLACEMENT CHARACTER}"

# What acts or cannot be seen, as of Unicode 16: control characters (a terminal obeys them), format
# characters (they turn the direction of reading, or are invisible), line and paragraph separators,
# halves of characters (no terminal takes them), blanks that are letters, and variation selectors
# that hide whole texts. https://www.unicode.org/reports/tr36/
_ACTING = (
    *((0x00, 0x09), (0x0B, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x34F, 0x34F), (0x600, 0x605)),
    *((0x61C, 0x61C), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2)),
    *((0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x2028, 0x202E)),
    *((0x2060, 0x206F), (0x3164, 0x3164), (0xD800, 0xDFFF), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0)),
    *((0xFFF0, 0xFFFB), (0x110BD, 0x110BD), (0x110CD, 0x110CD), (0x13430, 0x1343F)),
    *((0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)
_INERT = {code: STANDS_FOR for first, last in _ACTING for code in range(first, last + 1)}

_MARKS = 4
"""Marks on one letter, of which no script needs more; a flood of them covers the lines above."""


@cache
def _escaped() -> dict[int, str]:
    """JSON's escapes of those that JSON does not escape by itself."""
    return {code: json.dumps(chr(code))[1:-1] for code in _INERT if code >= ord(" ")}


def inert(text: str) -> str:
    """The text without what a terminal would obey or hide; line feeds stay."""
    return _drained(text.translate(_INERT), lambda _: STANDS_FOR)


def inert_json(document: str) -> str:
    """The same of a JSON document, where escapes stand for it, so that nothing is lost.

    JSON escapes the first 32 characters itself, and has no others but in strings.
    """
    return _drained(document.translate(_escaped()), lambda char: json.dumps(char)[1:-1])


def _drained(text: str, instead: Callable[[str], str]) -> str:
    """The text without floods of marks; what stands instead of a mark that is one too many."""
    if text.isascii():
        return text
    piled, shown = 0, []
    for char in text:
        piled = piled + 1 if unicodedata.category(char)[0] == "M" else 0
        shown.append(char if piled <= _MARKS else instead(char))
    return "".join(shown)


def one_line(text: str, most: int = 1000) -> str:
    """A stranger's text on one line, cut to `most` characters."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
