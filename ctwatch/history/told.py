"""What was found in the past, as plain values: for the terminal, for JSON and for the page.

Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import Any

from ctwatch.detections import Detection
from ctwatch.digests import Looked
from ctwatch.history.catalogue import Asked
from ctwatch.history.gaps import Gap
from ctwatch.history.questions import WHO_DID
from ctwatch.history.records import Seen
from ctwatch.history.search import Finding
from ctwatch.history.tally import Rows, Tally, series

_COLUMNS = tuple(one.name for one in WHO_DID)


@dataclass(frozen=True)
class Past:
    """What the detections would have fired on.

    Attributes:
        source: where it was looked, in words.
        since: from when on, or None where everything was looked at.
        until: until when, or None.
        zone: of days and times.
        asked: what.
        seen: what was gone through.
        tallies: by the detections' ids.
        rules: of the detections' ids, how many each rule's `except` leaves out, by its name.
    """

    source: str
    since: datetime | None
    until: datetime | None
    zone: tzinfo
    asked: Asked
    seen: Seen
    tallies: Mapping[str, Tally]
    rules: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def days(self) -> tuple[date, date] | None:
        """The first and the last day that is told of; None where there is no record."""
        first = self.since or moment(self.seen.first)
        last = self.until or moment(self.seen.last)
        if first is None or last is None:
            return None
        return first.astimezone(self.zone).date(), last.astimezone(self.zone).date()

    def line(self, detection: Detection, places: int) -> list[int]:
        """How often a detection would have fired over the time, in so many places or fewer."""
        if self.days is None:
            return []
        return gathered(series(self.tallies[detection.id].days, *self.days), places)


def gathered(counts: Sequence[int], places: int) -> list[int]:
    """Counts in so many places or fewer, as many next to each other in each as are needed."""
    width = -(-len(counts) // places)
    return [sum(counts[at : at + width]) for at in range(0, len(counts), width)] if counts else []


def moment(time: str) -> datetime | None:
    """A record's time; None where it is none, or has no zone."""
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return None
    return found if found.tzinfo else None


def finding_values(one: Finding) -> dict[str, str]:
    """A finding of a detection, by the names of its columns."""
    return dict(zip(_COLUMNS, one.cells, strict=True))


def past_json(past: Past) -> dict[str, Any]:
    """What the detections would have fired on, for programs."""
    return {
        "source": past.source,
        "since": past.since and past.since.isoformat(),
        "until": past.until and past.until.isoformat(),
        **_seen_json(past.seen),
        "detections": [_detection_json(one, past) for one in past.asked.detections],
        "not_asked": {
            "without_a_watch": list(past.asked.ours),
            "not_recorded": list(past.asked.unrecorded),
            "not_held": list(past.asked.unheld),
        },
    }


def _detection_json(one: Detection, past: Past) -> dict[str, Any]:
    tally = past.tallies[one.id]
    return {
        "id": one.id,
        "title": dict(one.title),
        "severity": one.severity,
        "count": tally.count,
        "days": {day.isoformat(): count for day, count in sorted(tally.days.items())},
        "last": [finding_values(each) for each in tally.newest],
        "actors": dict(tally.noisiest),
        "exclusions": [
            {"except": {each.key: [each.value]}, "would_leave_out": each.saved}
            for each in tally.exclusions()
        ],
        "rules": [
            {"rule": name, "leaves_out": count}
            for name, count in past.rules.get(one.id, {}).items()
        ],
    }


def answer_json(answer: Rows, source: str, seen: Seen) -> dict[str, Any]:
    """The answer to a question, for programs."""
    names = [one.name for one in answer.question.columns]
    groups = [
        {**dict(zip(names, one.cells, strict=True)), "count": one.count}
        | {"first": one.first, "last": one.last}
        for one in answer.groups
    ]
    rows = [dict(zip(names, one.cells, strict=True)) for one in answer.rows]
    whole = [one.record for one in answer.rows if one.record is not None]
    return {
        "question": answer.question.name,
        "source": source,
        **_seen_json(seen),
        "count": answer.count,
        "left_out": answer.left_out,
        "rows": groups if answer.question.grouped else rows,
        **({"records": whole} if answer.question.whole else {}),
    }


def gaps_json(
    found: Sequence[Gap], stopped: Rows, digests: Sequence[Looked] | None, source: str, seen: Seen
) -> dict[str, Any]:
    """When nothing was recorded, for programs; `digests` is null where they were not checked."""
    names = [one.name for one in stopped.question.columns]
    return {
        "question": "gaps",
        "source": source,
        **_seen_json(seen),
        "gaps": [
            {
                "region": one.region or None,
                "start": one.start.isoformat(),
                "end": one.end.isoformat(),
                "hours": one.hours,
            }
            for one in found
        ],
        "stops": [dict(zip(names, one.cells, strict=True)) for one in stopped.rows],
        "digests": None if digests is None else [vars(one) for one in digests],
    }


def _seen_json(seen: Seen) -> dict[str, Any]:
    return {
        "files": seen.files,
        "records": seen.records,
        "first": seen.first or None,
        "last": seen.last or None,
        "unreadable": [{"why": why, "files": names} for why, names in seen.troubles.items()],
    }
