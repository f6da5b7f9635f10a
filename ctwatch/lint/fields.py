"""Fields that no event has, and values that they never have."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ctwatch.lint.branches import Condition, Subject
from ctwatch.lint.complaint import Complaint, Level, nearest, shown
from ctwatch.lint.record import ENVELOPE, VALUES, field_elsewhere

_LETTER_BY_LETTER = frozenset({"source", "detail.eventSource", "detail-type"})
_OPERATORS = frozenset(
    {
        *("prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "exists", "cidr"),
        *("wildcard", "exactly"),
    }
)


def misplaced(subject: Subject) -> Iterator[Complaint]:
    """Fields that no event has."""
    for case in subject.cases:
        for condition in case.branch.values():
            if wrong := _misplaced(condition):
                yield wrong


def values(subject: Subject) -> Iterator[Complaint]:
    """Values that a field never has, or that are not compared as they look."""
    for case in subject.cases:
        for path, condition in case.branch.items():
            yield from _not_allowed(condition, VALUES.get(path, ()))
            if path in _LETTER_BY_LETTER or path.startswith("detail.userIdentity."):
                yield from _starred(condition)
            if path == "detail.sourceIPAddress":
                yield from _ranges(condition)


def _misplaced(condition: Condition) -> Complaint | None:
    """Why no event has a field there."""
    level: Level = "warning" if condition.takes_absence else "error"
    fields: Mapping[str, Any] | None = ENVELOPE
    above = ""
    for part in condition.path.split("."):
        if fields is None:
            return None
        if part in fields:
            fields, above = fields[part], f"{above}{part}."
            continue
        if not fields and part in _OPERATORS:
            reason = f"'{part}' is taken for a field here; an operator stands in a list"
            return Complaint(condition.place, reason, f'[{{"{part}": …}}]', level)
        reason = f"no event has a field '{above}{part}'"
        return Complaint(condition.place, reason, _right_field(above, part), level)
    return None


def _right_field(above: str, part: str) -> str:
    fields: dict[str, Any] = ENVELOPE
    for name in above.split(".")[:-1]:
        fields = fields[name]
    same = {name.casefold(): name for name in fields}.get(part.casefold())
    if same:
        return above + same
    near = nearest(part, fields)
    return field_elsewhere(part) or (above + near if near else "")


def _not_allowed(condition: Condition, allowed: Sequence[Any]) -> Iterator[Complaint]:
    right = [json.dumps(each) for each in allowed]
    for place, value in condition.each():
        text = json.dumps(value, default=str)
        if not allowed or isinstance(value, Mapping) or value is None or text in right:
            continue
        reason = f"{condition.path} is never {shown(value)}"
        if len(right) == len({True, False}):  # true or "true": that is often the difference
            yield Complaint(place, f"{reason}, it is {' or '.join(right)}")
        else:
            yield Complaint(place, reason, nearest(str(value), allowed))


def _starred(condition: Condition) -> Iterator[Complaint]:
    for place, text in condition.texts():
        if "*" in text:
            yield literal_star(place, text)


def literal_star(place: str, text: str) -> Complaint:
    """A plain value with a star in it, where no value has one."""
    reason = "a plain value is compared letter by letter, its '*' stands for nothing else"
    return Complaint(place, reason, json.dumps({"wildcard": text}, ensure_ascii=False))


def _ranges(condition: Condition) -> Iterator[Complaint]:
    for place, text in condition.texts():
        if re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]+", text):
            reason = f"{text} is compared letter by letter, no address is written so"
            yield Complaint(place, reason, json.dumps({"cidr": text}))
