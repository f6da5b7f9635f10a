"""What is said about a pattern: one sentence, where, and the nearest right word."""

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Level: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong.

    Attributes:
        path: where, as in "detail.eventName[0]"; "" for the pattern as a whole.
        reason: why, in words that follow the path and a colon.
        suggestion: the nearest right word; "" when there is none.
        level: "error" if it can never be right, "warning" if it may be meant so.
    """

    path: str
    reason: str
    suggestion: str = ""
    level: Level = "error"

    def __str__(self) -> str:
        """The complaint on one line."""
        place = f"{self.path}: " if self.path else ""
        return place + self.reason + f", did you mean '{self.suggestion}'?" * bool(self.suggestion)


def nearest(word: str, words: Iterable[str]) -> str:
    """The word that is most like another, in whatever case; "" when none is like it."""
    folded = {each.casefold(): each for each in words}
    near = difflib.get_close_matches(word.casefold(), folded)
    return folded[near[0]] if near else ""


def shown(value: Any) -> str:
    """The value as JSON, cut short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    longest = 60
    return text if len(text) <= longest else text[:longest] + "…"


def report(complaints: Sequence[Complaint]) -> list[str]:
    """The complaints as lines to print, errors first, with a count at the end."""
    counts = {
        level: sum(one.level == level for one in complaints) for level in ("error", "warning")
    }
    lines = [f"{one.level}: {one}" for level in counts for one in complaints if one.level == level]
    told = [f"{number} {level}{'s' * (number != 1)}" for level, number in counts.items() if number]
    return [*lines, ", ".join(told) or "nothing to complain about"]
