import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from ctwatch.clock import Clock, LeapingClock


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


def waited(clock, seconds, condition=None, **how):
    condition = condition or threading.Condition()
    with condition:
        return clock.wait(condition, seconds, **how)


def notify(condition):
    with condition:
        condition.notify_all()


@pytest.mark.parametrize("seconds", [0, -5])
@pytest.mark.parametrize("clock", [Clock(), LeapingClock()])
def test_no_time_and_less_than_none_pass_at_once(clock, seconds):
    started = time.monotonic()
    clock.sleep(seconds)
    assert not waited(clock, seconds)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("seconds", [60, None])
@pytest.mark.parametrize("clock", [Clock(), LeapingClock()])
def test_waiting_ends_when_somebody_notifies(clock, seconds):
    condition, started = threading.Condition(), time.monotonic()
    clock.begin()
    threading.Timer(0.01, notify, [condition]).start()
    assert waited(clock, seconds, condition)
    clock.end()
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("clock", [Clock(speed=100_000), LeapingClock()])
def test_waiting_ends_with_the_time_when_nobody_does(clock):
    before, started = clock.monotonic(), time.monotonic()
    assert not waited(clock, 3600)
    assert clock.monotonic() - before >= 3600
    assert time.monotonic() - started < 5


# ---------------------------------------------------------------- leaping


def test_time_leaps_from_wake_up_to_wake_up_and_never_over_one():
    clock, woke = LeapingClock(grace=0.05), []  # in which each comes to wait, and gets up

    def sleep(seconds):
        clock.sleep(seconds)
        woke.append((seconds, clock.monotonic()))

    with ThreadPoolExecutor() as pool:
        list(pool.map(sleep, [500, 20, 3, 100]))
    assert [seconds for seconds, _ in woke] == [3, 20, 100, 500]
    assert all(seconds <= at < seconds + 2 for seconds, at in woke)


def test_the_time_of_day_leaps_along():
    clock = LeapingClock()
    before = clock.now()
    clock.sleep(3600)
    assert clock.now() - before >= timedelta(hours=1)
    assert clock.ahead == pytest.approx((clock.now() - datetime.now(UTC)).total_seconds(), abs=1)
    assert Clock().ahead == 0


def test_time_does_not_leap_while_somebody_works_at_what_others_wait_for():
    clock = LeapingClock()
    clock.begin()
    with ThreadPoolExecutor() as pool:
        sleeping = pool.submit(clock.sleep, 100)
        time.sleep(0.05)
        assert clock.monotonic() < 50
        assert not sleeping.done()
        clock.end()
        sleeping.result(timeout=5)
    assert clock.monotonic() >= 100


def test_a_patient_wait_passes_when_others_let_time_pass_and_not_before():
    clock = LeapingClock()
    with ThreadPoolExecutor() as pool:
        patient = pool.submit(waited, clock, 10, patient=True)
        time.sleep(0.05)
        assert clock.monotonic() < 5
        clock.sleep(4)
        assert not patient.done()
        clock.sleep(20)
        assert patient.result(timeout=5) is False
