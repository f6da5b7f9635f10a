import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from ctwatch.clock import Clock


def test_outside_tests_a_second_is_a_second():
    assert Clock().speed == 1


def test_a_fast_clock_lets_an_hour_pass_in_a_moment():
    clock, started = Clock(speed=100_000), time.monotonic()
    before = clock.monotonic()
    clock.sleep(3600)
    assert clock.monotonic() - before >= 3600
    assert time.monotonic() - started < 5


def test_the_time_of_day_passes_with_it_and_is_utc():
    clock = Clock(speed=100_000)
    before = clock.now()
    clock.sleep(3600)
    assert clock.now() - before >= timedelta(hours=1)
    assert before.tzinfo is UTC
    assert abs(Clock().now() - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize("seconds", [0, -5])
def test_no_time_and_less_than_none_pass_at_once(seconds):
    clock, started = Clock(), time.monotonic()
    clock.sleep(seconds)
    assert not clock.wait(threading.Event(), seconds)
    assert time.monotonic() - started < 1


def test_waiting_ends_when_the_event_is_set():
    event, started = threading.Event(), time.monotonic()
    threading.Timer(0.01, event.set).start()
    assert Clock().wait(event, 60)
    assert time.monotonic() - started < 30


def test_waiting_ends_with_the_time_when_it_is_not():
    clock = Clock(speed=100_000)
    before = clock.monotonic()
    assert not clock.wait(threading.Event(), 3600)
    assert clock.monotonic() - before >= 3600
