"""When nothing was recorded: hours without a record, of a region or of all.

An account in which anybody works has records in every hour, and so has each region in which
something runs by itself. A region where most hours are empty is quiet, and its empty hours tell
nothing; it counts towards all regions together. What a region is, it is between its first record
and its last: one that has fallen silent was busy all the same, and its silence is what counts.

Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ctwatch.history.events import Record
from ctwatch.notifier.changes import consequences

_HOUR = timedelta(hours=1)
BUSY = 0.5
"""Of a region's hours, how many must have records for the others to tell something."""
_DAY = 24
"""Hours with records that a region must have to be known by them, and not by the whole time."""
_LESS = frozenset({"blinds", "single_region", "no_global_events", "no_organization"})
"""What follows from a change of a trail that records less from then on."""


@dataclass(frozen=True)
class Gap:
    """Hours without a record, one after another.

    Attributes:
        region: of which; "" for all that there are.
        start: the first of them, in UTC.
        end: the hour after the last.
    """

    region: str
    start: datetime
    end: datetime

    @property
    def hours(self) -> int:
        """How many."""
        return int((self.end - self.start) / _HOUR)


def gaps(
    counted: Mapping[tuple[str, str], int], since: datetime | None, until: datetime | None
) -> list[Gap]:
    """The gaps in a time, those of all regions first.

    The hours in which the time begins and ends are counted only if they are whole.

    Args:
        counted: records by region and hour, ("us-east-1", "2026-11-21T09").
        since: when the time begins; None for the first record.
        until: when it ends; None for the last record.
    """
    by_region: dict[str, set[datetime]] = {}
    for region, text in counted:
        if moment := _hour(text):
            by_region.setdefault(region, set()).add(moment)
    seen = {one for hours in by_region.values() for one in hours}
    start = _whole(since) if since else min(seen, default=None)
    end = _floor(until) if until else max(seen, default=None)
    if start is None or end is None:
        return []
    everywhere = list(_gaps("", seen, start, end))
    empty = {hour for one in everywhere for hour in _hours(one.start, one.end)}
    found = [
        one
        for region, hours in sorted(by_region.items())
        if region and len(by_region) > 1 and _busy(hours, start, end)
        for one in _gaps(region, hours | empty, start, end)
    ]
    return [*everywhere, *found]


def unbegun(found: Iterable[Gap], counted: Mapping[tuple[str, str], int]) -> Gap | None:
    """The gap before the first record of all: it may be that nothing was to be recorded yet."""
    first = min(filter(None, (_hour(text) for _, text in counted)), default=None)
    return next((one for one in found if not one.region and one.end == first), None)


def succeeded(record: Record) -> bool:
    """Whether a call did what it was to do."""
    return not record.get("errorCode")


def ends_logging(record: Record) -> bool:
    """Whether a call that succeeded stopped a trail, or left less for it to record."""
    name = str(record.get("eventName"))
    told = consequences("cloudtrail", name, record.get("requestParameters"))
    return name in {"StopLogging", "DeleteTrail"} or not _LESS.isdisjoint(told)


def _busy(hours: set[datetime], start: datetime, end: datetime) -> bool:
    """Whether most hours have records, of the whole time or of that which is a region's own."""
    inside = [one for one in hours if start <= one < end]
    if len(inside) >= _DAY:
        start, end = min(inside), max(inside) + _HOUR
    return len(inside) >= BUSY * ((end - start) / _HOUR)


def _gaps(region: str, hours: set[datetime], start: datetime, end: datetime) -> Iterator[Gap]:
    begun: datetime | None = None
    for hour in _hours(start, end):
        if hour in hours:
            if begun:
                yield Gap(region, begun, hour)
            begun = None
        else:
            begun = begun or hour
    if begun:
        yield Gap(region, begun, end)


def _hours(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += _HOUR


def _hour(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC)
    except ValueError:
        return None


def _floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _whole(moment: datetime) -> datetime:
    """The first whole hour of a time that begins then."""
    floor = _floor(moment)
    return floor if floor == moment else floor + _HOUR
