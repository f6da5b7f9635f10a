"""Which channels the last alert has not reached, as the function's log tells it."""

from datetime import UTC, datetime, timedelta

import pytest

from ctwatch.alerts import About, Attempt, gathered
from ctwatch.untold import missed

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
OF = About("", "", "StopLogging", "", "high", "succeeded", "", "")


def line(event: str, outcome: str, minute: int, channel: str = "slack") -> Attempt:
    """A line of the log, written so many minutes after noon."""
    at = NOON + timedelta(minutes=minute)
    error = f"no {event}" if outcome == "failed" else ""
    return Attempt(at, event, OF, channel, outcome, None, error, at, at, None)


LOGS: dict[str, tuple[list[Attempt], dict[str, str]]] = {
    "nothing": ([], {}),
    "delivered": ([line("a", "delivered", 0)], {}),
    "given up": ([line("a", "failed", n) for n in (0, 1, 3)], {"slack": "no a"}),
    "delivered in the end": ([line("a", "failed", 0), line("a", "delivered", 1)], {}),
    "delivered since": ([line("a", "failed", 0), line("b", "delivered", 5)], {}),
    "delivered before": ([line("b", "delivered", 0), line("a", "failed", 5)], {"slack": "no a"}),
    "delivered between its tries": (
        [line("a", "failed", 0), line("b", "delivered", 1), line("a", "failed", 3)],
        {"slack": "no a"},
    ),
    "skipped since": ([line("a", "failed", 0), line("b", "skipped", 5)], {"slack": "no a"}),
    "one of before came again since": (
        [line("b", "delivered", 0), line("a", "failed", 1), line("b", "duplicate", 5)],
        {"slack": "no a"},
    ),
    "another channel took it": (
        [line("a", "failed", 0), line("a", "delivered", 0, "discord")],
        {"slack": "no a"},
    ),
}


@pytest.mark.parametrize("log", LOGS)
def test_a_channel_missed_the_last_alert_unless_one_was_delivered_since(log: str) -> None:
    lines, found = LOGS[log]
    assert missed(gathered(lines)) == found
