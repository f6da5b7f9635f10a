"""What was found, counted: how often, on which days, who the noisiest were, what they would save.

A record that lies in two files, as when two trails deliver into one bucket, counts once. What grows
with the past is bounded: of actors, ids and rows so many are kept, and what is over is counted.

Pure.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from heapq import heappush, heappushpop, nsmallest

from ctwatch.history.questions import ACTOR, ADDRESS, Question
from ctwatch.history.search import Finding
from ctwatch.lint.excepted import exclusion_complaints

LAST = 3
"""The newest findings that are told of a detection."""
NOISIEST = 3
"""Of whom is told."""
_MOST = 20_000
"""Actors, addresses, groups and rows that are kept of one question."""
_MOST_IDS = 500_000
"""Ids that are remembered, so that nothing counts twice."""
OTHERS = "others"


@dataclass(frozen=True)
class Exclusion:
    """An exclusion, as a config's `except` spells it, and what it would save.

    Attributes:
        key: "actors" or "ips".
        value: who, or from where.
        saved: of the findings, how many it would leave out.
    """

    key: str
    value: str
    saved: int


@dataclass
class Tally:
    """What was found for one question, or for the parts of one detection.

    Attributes:
        columns: of the findings.
        zone: of the days.
        count: how many.
        days: how many on each day.
        actors: how many by each actor.
        addresses: how many from each address.
        repeated: records that came again, and do not count.
    """

    columns: tuple[str, ...]
    zone: tzinfo = UTC
    keep: int = LAST
    count: int = 0
    days: Counter[date] = field(default_factory=Counter)
    actors: Counter[str] = field(default_factory=Counter)
    addresses: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    _newest: list[tuple[str, str, int, Finding]] = field(default_factory=list)
    _ids: set[int] = field(default_factory=set)

    def add(self, finding: Finding) -> None:
        """Count one, unless it has been counted."""
        if self._again(finding):
            self.repeated += 1
            return
        self.count += 1
        if day := _day(finding.time, self.zone):
            self.days[day] += 1
        told = dict(zip(self.columns, finding.cells, strict=True))
        _count(self.actors, told.get(ACTOR.name, ""))
        _count(self.addresses, told.get(ADDRESS.name, ""))
        entry = (finding.time, finding.id, self.count, finding)
        if len(self._newest) < self.keep:
            heappush(self._newest, entry)
        elif self.keep:
            heappushpop(self._newest, entry)

    def _again(self, finding: Finding) -> bool:
        if not finding.id:
            return False
        mark = hash((finding.id, finding.time))
        if mark in self._ids:
            return True
        if len(self._ids) < _MOST_IDS:
            self._ids.add(mark)
        return False

    @property
    def newest(self) -> list[Finding]:
        """The last of them, the newest first."""
        return [one for *_, one in sorted(self._newest, reverse=True)]

    @property
    def noisiest(self) -> list[tuple[str, int]]:
        """The actors with the most, and how many."""
        return _most(self.actors)

    def exclusions(self) -> list[Exclusion]:
        """What leaving out the noisiest would save, the most first.

        Each is one that a config may hold: what would fit everybody, or is no ARN, is not told.
        """
        found = [
            Exclusion(key, value, saved)
            for key, counted in (("actors", self.actors), ("ips", self.addresses))
            for value, saved in _most(counted)
            if _may_stand(key, value)
        ]
        return sorted(found, key=lambda one: (-one.saved, one.key, one.value))


def _most(counter: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent; of those that are equally so, whichever order they came in, the same."""
    return nsmallest(NOISIEST, counter.items(), key=lambda one: (-one[1], one[0]))


def _count(counter: Counter[str], name: str) -> None:
    if name:
        counter[name if name in counter or len(counter) < _MOST else OTHERS] += 1


def _may_stand(key: str, value: str) -> bool:
    """Whether a config takes it, with no complaint that it is no such thing."""
    one = [value]
    complaints = (
        exclusion_complaints(actors=one) if key == "actors" else exclusion_complaints(ips=one)
    )
    return not any(one.level == "error" for one in complaints) and "*" not in value


def _day(time: str, zone: tzinfo) -> date | None:
    try:
        return datetime.fromisoformat(time).astimezone(zone).date()
    except (ValueError, OverflowError):
        return None


def series(days: Counter[date], first: date, last: date) -> list[int]:
    """How many on each day of a time, of which each has a place."""
    count = max((last - first).days, 0) + 1
    return [days.get(first + timedelta(days=one), 0) for one in range(count)]


@dataclass
class Group:
    """Findings that are alike in all columns."""

    cells: tuple[str, ...]
    count: int
    first: str
    last: str


@dataclass
class Rows:
    """The answer to a question: its rows, or its groups.

    Attributes:
        question: which.
        count: of the records that it means, those that are not kept, too.
        repeated: records that came again, and do not count.
    """

    question: Question
    count: int = 0
    repeated: int = 0
    _groups: dict[tuple[str, ...], Group] = field(default_factory=dict)
    _rows: list[tuple[str, str, int, Finding]] = field(default_factory=list)
    _ids: set[int] = field(default_factory=set)

    def add(self, finding: Finding) -> None:
        """Take one to it, unless it was."""
        mark = hash((finding.id, finding.time))
        if finding.id and mark in self._ids:
            self.repeated += 1
            return
        if finding.id and len(self._ids) < _MOST_IDS:
            self._ids.add(mark)
        self.count += 1
        if self.question.grouped:
            self._group(finding)
        elif len(self._rows) < _MOST:
            heappush(self._rows, (finding.time, finding.id, self.count, finding))
        else:
            heappushpop(self._rows, (finding.time, finding.id, self.count, finding))

    def _group(self, finding: Finding) -> None:
        found = self._groups.get(finding.cells)
        if found is None:
            if len(self._groups) < _MOST:
                self._groups[finding.cells] = Group(finding.cells, 1, finding.time, finding.time)
            return
        found.count += 1
        found.first, found.last = min(found.first, finding.time), max(found.last, finding.time)

    @property
    def groups(self) -> list[Group]:
        """Those that are most first."""
        return sorted(self._groups.values(), key=lambda one: (-one.count, one.cells))

    @property
    def rows(self) -> list[Finding]:
        """The oldest first."""
        return [one for *_, one in sorted(self._rows, key=lambda one: one[:3])]

    @property
    def left_out(self) -> int:
        """Records of which no row and no group tells, as there were too many."""
        told = sum(one.count for one in self._groups.values()) + len(self._rows)
        return self.count - told


def tallies(
    asked: Sequence[tuple[str, Question]], zone: tzinfo, found: Iterable[Finding]
) -> dict[str, Tally]:
    """The tallies of detections, by their ids.

    Args:
        asked: each question with the detection that it is a part of.
        zone: of the days.
        found: for these questions.
    """
    names = [name for name, _ in asked]
    counted = dict(_empty(asked, zone))
    for one in found:
        counted[names[one.question]].add(one)
    return counted


def _empty(asked: Sequence[tuple[str, Question]], zone: tzinfo) -> Iterator[tuple[str, Tally]]:
    for name, question in asked:
        yield name, Tally(tuple(one.name for one in question.columns), zone)
