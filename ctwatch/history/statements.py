"""Whole statements for Athena: the rows of some questions, one question's answer, and the tally.

Each names the days and regions that it wants, by the table's partitions, as Athena reads, and
bills, all files of a partition and no others. A file lies under the day on which it was delivered,
which can be the day after that of what it tells; so one more day is read.

    https://docs.aws.amazon.com/athena/latest/ug/partition-projection.html
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html

Pure.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ctwatch.history import sql
from ctwatch.history.questions import Between, Question
from ctwatch.history.sql import Clause, literal
from ctwatch.history.table import selected

LONGEST = 262_144
"""Bytes of a statement that Athena takes.

https://docs.aws.amazon.com/athena/latest/ug/service-limits.html
"""

_LATE = timedelta(days=1)


@dataclass(frozen=True)
class Scope:
    """Of which table, time and regions.

    Attributes:
        table: its name as SQL writes it, "database.table".
        since: the first moment.
        until: the first that counts no more.
        regions: in which the events were recorded; none for all that the table knows.
    """

    table: str
    since: datetime
    until: datetime
    regions: tuple[str, ...] = ()

    def days(self) -> Iterator[date]:
        """The days on which files were delivered that may tell of this time."""
        day, last = _day(self.since), _day(self.until + _LATE)
        while day <= last:
            yield day
            day += timedelta(days=1)

    @property
    def clauses(self) -> list[Clause]:
        """The partitions, and the time itself."""
        first, last = (f"'{one:%Y/%m/%d}'" for one in (_day(self.since), _day(self.until + _LATE)))
        return [
            *([Clause(f"region IN ({_listed(self.regions)})")] if self.regions else []),
            Clause(f'"timestamp" BETWEEN {first} AND {last}'),
            sql.condition(Between.of(self.since, self.until)),
        ]


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _listed(words: Iterable[str]) -> str:
    return ", ".join(map(literal, words))


def rows(scope: Scope, questions: Iterable[Question]) -> str:
    """All records that any of some questions asks for, each in the columns of `table.selected`."""
    asked = sql.any_asked(questions)
    return _told([asked]) + _statement(list(_whole()), scope, [asked], ["ORDER BY eventtime"])


def _whole() -> Iterator[str]:
    for text, one in selected():
        yield f"{text} AS {_name(one.path)}"


def _name(path: Sequence[str]) -> str:
    return f'"{".".join(path)}"'


def answer(scope: Scope, question: Question) -> str:
    """What a question tells, for people to run themselves; of one that asks for it, whole records.

    A record that was delivered twice counts once, as it does in `tally.Rows`; the order is its.
    """
    told = [(sql.told(one), f'"{one.name}"') for one in question.columns]
    if question.whole:
        told = [(text, _name(one.path)) for text, one in selected()]
    asked = sql.asked(question)
    inner = _statement([*(f"{text} AS {name}" for text, name in told), *_MARKS], scope, [asked], [])
    columns, end = [name for _, name in told], ["ORDER BY moment, mark"]
    if question.grouped:
        places = ", ".join(str(place + 1) for place in range(len(columns)))
        columns += ["count(*) AS times", 'min(moment) AS "first"', 'max(moment) AS "last"']
        end = [f"GROUP BY {places}", f"ORDER BY times DESC, {places}"]
    lines = ["SELECT", _in(",\n".join(columns)), f"FROM (\n{_in(inner)}\n)", "WHERE copy = 1", *end]
    return _told([asked]) + "\n".join(lines)


_MARKS = (
    "eventtime AS moment",
    "COALESCE(eventid, '') AS mark",
    """CASE WHEN COALESCE(eventid, '') = '' THEN 1
  ELSE row_number() OVER (PARTITION BY eventid, eventtime) END AS copy""",
)
"""When a record was, which it is, and the how-manieth of those that are the same."""


def tally(scope: Scope, detections: Mapping[str, Sequence[Question]]) -> str:
    """How often each detection would have fired on each day, in UTC, by one reading of the files.

    Events count by their ids, which CloudTrail writes since version 1.01 of its records.
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html

    Args:
        scope: when and where.
        detections: the questions of each, by its id.
    """
    asked = {name: sql.any_asked(parts) for name, parts in detections.items()}
    fired = (f"CASE WHEN {_laid(one.text)} THEN {literal(name)} END" for name, one in asked.items())
    listed = ",\n".join(fired)
    inner = _statement(
        ["eventid", "substr(eventtime, 1, 10) AS day", f"ARRAY[\n{_in(listed)}\n] AS fired"],
        scope,
        [],
        [],
    )
    notes = "".join(
        f"-- {_shown(name)}: {note}\n" for name, one in asked.items() for note in _notes(one)
    )
    return (
        f"{notes}SELECT detection, day, count(DISTINCT eventid) AS times\n"
        f"FROM (\n{_in(inner)}\n)\nCROSS JOIN UNNEST(fired) AS told (detection)\n"
        "WHERE detection IS NOT NULL\nGROUP BY 1, 2\nORDER BY 1, 2"
    )


def hours(scope: Scope) -> str:
    """How many records each region has of each hour, in UTC, and the times of the first and last.

    An hour that is left out has none.
    """
    columns = [
        "awsregion AS region",
        "substr(eventtime, 1, 13) AS hour",
        "count(*) AS records",
        'min(eventtime) AS "first"',
        'max(eventtime) AS "last"',
    ]
    return _statement(columns, scope, [], ["GROUP BY 1, 2", "ORDER BY 1, 2"])


def _statement(
    columns: Sequence[str], scope: Scope, asked: Sequence[Clause], end: Sequence[str]
) -> str:
    conditions = [one.text for one in (*scope.clauses, *asked) if one.text != sql.ALL.text]
    lines = [
        "SELECT\n" + _in(",\n".join(columns)),
        f"FROM {scope.table}",
        "WHERE " + "\n  AND ".join(map(_laid, conditions)),
        *end,
    ]
    return "\n".join(lines)


def _told(asked: Iterable[Clause]) -> str:
    """What a statement cannot say, as comments before it."""
    return "".join(f"-- {note}\n" for one in asked for note in _notes(one))


def _notes(clause: Clause) -> Iterator[str]:
    for note in clause.finished:
        yield f"lets more rows through than match: {note}"
    if clause.unknown:
        yield f"the table does not hold {', '.join(map(_shown, clause.unknown))}"


def _shown(name: str) -> str:
    return name if name.isprintable() else repr(name)


_PIECES = re.compile(r"((?:U&)?'(?:[^']|'')*')|(\(|\[)|(\)|\])|( BETWEEN \S+ AND )|( AND | OR )")
_DEEPEST = 3


def _laid(text: str) -> str:
    """A condition on lines, broken at its outer ANDs and ORs; nothing but white space changes."""
    laid, depth, at = [], 0, 0
    for piece in _PIECES.finditer(text):
        _, opened, closed, _, joint = piece.groups()
        depth += bool(opened) - bool(closed)
        said = piece[0]
        if joint and depth < _DEEPEST:
            said = f"\n{'  ' * (depth + 1)}{joint.lstrip()}"
        laid += [text[at : piece.start()], said]
        at = piece.end()
    return "".join([*laid, text[at:]])


def _in(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))
