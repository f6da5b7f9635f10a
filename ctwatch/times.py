"""When something begins, as a person types it: 24h ago, on a day, at a time of a day.

Pure. What is typed is read first and placed in time afterwards, so that a slip of the fingers is
told before anybody is asked what time it is.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from ctwatch.errors import ConfigError

Given = timedelta | datetime
"""How long ago; or a time, of no zone where none was typed."""

_AGO = re.compile(r"([0-9]{1,9}) ?([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_HINT = (
    "Say how long ago (15m, 24h, 90d, 2w) or when (2026-11-21, or 2026-11-21T14:00); a time is one "
    "of the config's alerts.timezone unless it ends in Z or +09:00."
)


def read(text: str, option: str = "--since") -> Given:
    """What was typed.

    Args:
        text: "90d", "2h", "15m", "30s", "2w"; or a date, or a date and a time, as ISO 8601 has it.
        option: what an error calls it.

    Raises:
        ConfigError: it is neither.
    """
    word = text.strip()
    try:
        ago = _AGO.fullmatch(word)
        return timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(word)
    except OverflowError:
        return timedelta.max
    except ValueError:
        problem = f"{option}: {text!r} is neither a span of time nor a date"
        raise ConfigError(problem, _HINT) from None


def begin(given: Given, now: datetime, zone: tzinfo, option: str = "--since") -> datetime:
    """The moment that is meant, in UTC; none before 1970, where AWS begins to count.

    Args:
        given: what `read` has made of it.
        now: the time, with its zone.
        zone: of a time that names none.
        option: what an error calls it.

    Raises:
        ConfigError: that moment is still to come.
    """
    try:
        moment = now - given if isinstance(given, timedelta) else _placed(given, zone)
    except OverflowError:
        return _EARLIEST
    if moment > now:
        raise ConfigError(f"{option}: {moment:%Y-%m-%d %H:%M:%S %Z} is still to come", _HINT)
    return max(moment.astimezone(UTC), _EARLIEST)


def _placed(given: datetime, zone: tzinfo) -> datetime:
    """A time of a zone, in UTC."""
    try:
        return (given if given.tzinfo else given.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:  # at either end of the calendar, a zone leads out of it
        return given.replace(tzinfo=UTC)


def told(given: Given, moment: datetime, zone: tzinfo) -> str:
    """The same in words: "in the last 24 h", "since 2026-11-21 00:00:00 KST"."""
    if not isinstance(given, timedelta) or moment == _EARLIEST:
        return f"since {moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
    seconds = int(given.total_seconds())
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size and seconds % size == 0:
            return f"in the last {seconds // size} {unit}"
    return f"in the last {seconds} s"
