"""A stranger's text made harmless: nothing in it acts, and all of it can be read.

Each channel says what would act there; what cannot be seen is the same everywhere.
"""

import unicodedata
from collections.abc import Callable

_INVISIBLE_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters to Unicode, blank to the eye


def visible(char: str) -> str:
    """The character, or its escape when it cannot be seen or moves others.

    Control, format, surrogate, unassigned; separators; marks that pile up on their neighbour.
    """
    if char == " ":
        return char
    if unicodedata.category(char)[0] in "CZM" or char in _INVISIBLE_LETTERS:
        return char.encode("unicode_escape").decode("ascii")
    return char


def code(char: str) -> str:
    """As `visible`, for inline code: a grave accent that would end it becomes its look-alike."""
    return "\u02cb" if char == "`" else visible(char)


def units(text: str) -> int:
    """The length in UTF-16 units, as Discord, Java and JavaScript count."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, most: int, show: Callable[[str], str] = visible) -> str:
    """`text` by `show`, character by character; what is cut off is shown as an ellipsis.

    Args:
        text: anything, lone surrogates included.
        most: the most UTF-16 units of the answer, and of characters read.
        show: one character -> what stands for it.
    """
    room = most - len("…")
    shown: list[str] = []
    for char in text[:most]:
        seen = show(char)
        room -= units(seen)
        if room < 0:
            return "".join(shown) + "…"
        shown.append(seen)
    return "".join(shown)
