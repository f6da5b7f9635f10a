"""The first test of a record, on the few fields that tell most records from what is asked for.

Of every way through a question's pattern one condition is picked, on a field that is plain in every
record: the event's name, or the error code, or the kind of identity. Only those fields are decoded
of every record. What their values together can still match is found out by the pattern's own
conditions; as few such keys occur, who asks remembers the answers.

What passes may match; what does not pass cannot. A record in which such a field is no text, or is
spelled with dots as EventBridge also reads it, is for whoever decodes to send past the sieve.

Pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ctwatch.history.events import DETAIL_TYPES
from ctwatch.history.questions import Question
from ctwatch.lint.branches import Branch, Condition, branches
from ctwatch.lint.record import API
from ctwatch.patterns import Pattern, compiled

ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "ABSENT"})()
"""Stands for a field that a record has not."""

_DETAIL = "detail."
# The most telling first.
_PREFERRED = (
    *("eventID", "eventName", "errorCode", "userIdentity.type", "userIdentity.arn"),
    *("userIdentity.sessionContext.sessionIssuer.arn", "eventSource", "eventType"),
    "sourceIPAddress",
)
_FEW = 16
"""Values of one field that are few."""
_TYPES = frozenset({*DETAIL_TYPES.values(), API})


class Sieve:
    """The first test for some questions.

    Args:
        questions: what is asked.

    Attributes:
        questions: the same.
        fields: the paths in a record whose values are asked for.
    """

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = tuple(questions)
        self._ways = [list(_possible(one)) for one in self.questions]
        self.fields = _fields(way for ways in self._ways for way in ways)
        self._patterns = [compiled(one.pattern) for one in self.questions]

    @property
    def patterns(self) -> Sequence[Pattern]:
        """The questions' patterns, compiled, in their order."""
        return self._patterns

    @property
    def every(self) -> tuple[int, ...]:
        """All questions that a record of any shape might match, by their places."""
        return tuple(at for at, ways in enumerate(self._ways) if ways)

    @property
    def named(self) -> tuple[str, tuple[str, ...]] | None:
        """A field, and the few texts of which whatever can match has one there; None for no such.

        By these, whoever keeps records by a field need only look at some of them.
        """
        ways = [way for ways in self._ways for way in ways]
        for field in ("eventID", "eventName"):
            texts = [_exact(way.get(f"{_DETAIL}{field}")) for way in ways]
            found = dict.fromkeys(one for some in texts for one in some)
            if ways and all(texts) and len(found) <= _FEW:
                return field, tuple(found)
        return None

    def passed(self, values: Mapping[str, Any]) -> tuple[int, ...]:
        """The questions that a record may match, by their places.

        Args:
            values: of the fields: text, None for null, or `ABSENT`.
        """
        ways = enumerate(self._ways)
        return tuple(at for at, those in ways if any(_may(one, values) for one in those))


def _possible(question: Question) -> Iterator[Branch]:
    """The ways through a pattern that a record can go at all: CloudTrail's, not S3's own events."""
    for way in branches(question.pattern):
        kinds = way.get("detail-type")
        if kinds is None or any(map(kinds.takes, _TYPES)):
            yield way


def _fields(ways: Iterable[Branch]) -> tuple[str, ...]:
    """One field of each way, those that others need anyway first."""
    wanted: set[str] = set()
    for way in ways:
        if found := next((one for one in _PREFERRED if f"{_DETAIL}{one}" in way), None):
            wanted.add(found)
    return tuple(one for one in _PREFERRED if one in wanted)


def _exact(condition: Condition | None) -> list[str]:
    """The texts of which a field must have one; [] where it may also have others."""
    values = condition.values if condition else ()
    return list(values) if all(isinstance(one, str) for one in values) else []


def _may(way: Branch, values: Mapping[str, Any]) -> bool:
    """Whether no field that is known speaks against it."""
    for path, value in values.items():
        condition = way.get(f"{_DETAIL}{path}")
        if condition is None:
            continue
        if not (condition.takes_absence if value is ABSENT else condition.takes(value)):
            return False
    return True
