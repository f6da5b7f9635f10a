"""When something begins, as a person types it."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctwatch.errors import ConfigError
from ctwatch.times import begin, read, told

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SEOUL = ZoneInfo("Asia/Seoul")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    ("typed", "meant", "said"),
    [
        ("90d", "2026-08-23T12:00:00Z", "in the last 90 days"),
        ("24h", "2026-11-20T12:00:00Z", "in the last 24 h"),
        ("2h", "2026-11-21T10:00:00Z", "in the last 2 h"),
        ("15m", "2026-11-21T11:45:00Z", "in the last 15 min"),
        ("1 m", "2026-11-21T11:59:00Z", "in the last 60 s"),
        ("90s", "2026-11-21T11:58:30Z", "in the last 90 s"),
        ("2w", "2026-11-07T12:00:00Z", "in the last 14 days"),
        ("0s", "2026-11-21T12:00:00Z", "in the last 0 s"),
        ("2026-11-21", "2026-11-20T15:00:00Z", "since 2026-11-21 00:00:00 KST"),
        ("2026-11-21 14:00", "2026-11-21T05:00:00Z", "since 2026-11-21 14:00:00 KST"),
        (" 2026-11-21T14:00:05 ", "2026-11-21T05:00:05Z", "since 2026-11-21 14:00:05 KST"),
        ("2026-11-21T05:00:00Z", "2026-11-21T05:00:00Z", "since 2026-11-21 14:00:00 KST"),
        ("2026-11-21T02:00+02:00", "2026-11-21T00:00:00Z", "since 2026-11-21 09:00:00 KST"),
        ("999999999w", "1970-01-01T00:00:00Z", "since 1970-01-01 09:00:00 KST"),
        ("99999999d", "1970-01-01T00:00:00Z", "since 1970-01-01 09:00:00 KST"),
        ("0001-01-01", "1970-01-01T00:00:00Z", "since 1970-01-01 09:00:00 KST"),
    ],
)
def test_a_span_or_a_date_is_a_moment_and_can_be_said(typed, meant, said):
    found = read(typed)
    moment = begin(found, NOW, SEOUL)
    assert (moment, moment.tzinfo) == (datetime.fromisoformat(meant), UTC)
    assert told(found, moment, SEOUL) == said


@pytest.mark.parametrize(
    "typed", ["", "yesterday", "24", "h", "-1h", "1.5h", "1h30m", "\N{FULLWIDTH DIGIT TWO}h", "3 y"]
)
def test_anything_else_is_one_sentence_and_a_hint(typed):
    with pytest.raises(
        ConfigError, match=r"--since: .* is neither a span of time nor a date"
    ) as no:
        read(typed)
    assert "15m, 24h, 90d, 2w" in no.value.hint


@pytest.mark.parametrize(
    "typed", ["2026-11-22", "2026-11-21T12:00:01Z", "9999-12-31T23:59:59-12:00"]
)
def test_what_is_still_to_come_is_refused(typed):
    with pytest.raises(ConfigError, match="is still to come"):
        begin(read(typed), NOW, SEOUL)


@given(st.integers(0, 10**9 - 1), st.sampled_from("smhdw"))
def test_any_span_leads_back_and_never_before_1970(number, unit):
    moment = begin(read(f"{number}{unit}"), NOW, UTC)
    assert EPOCH <= moment <= NOW
    seconds = number * {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[unit]
    assert moment == EPOCH or (NOW - moment).total_seconds() == seconds


@given(st.datetimes(), ZONES)
def test_any_date_is_a_moment_of_its_zone_or_still_to_come(date, zone):
    try:
        moment = begin(read(date.isoformat()), NOW, zone)
    except ConfigError:
        assert date.replace(tzinfo=UTC) > NOW - timedelta(days=1)
        return
    assert moment == EPOCH or moment.astimezone(zone).replace(tzinfo=None) == date


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ConfigError):
        assert EPOCH <= begin(read(text), NOW, SEOUL) <= NOW
