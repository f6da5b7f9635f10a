"""Evidence that an alert arrived: the receipts queue and the function's log.

Readers of the queue hide a message for a moment and never delete it, so that several may read at
once. Nothing here strikes, and nothing decides what a drill proves.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ctwatch.aws import TROUBLE, Aws, complaint, unless
from ctwatch.diff import State

_HIDDEN = 2
"""Seconds for which a message that one reader took is hidden from the others."""
_LONG_POLL = 1
_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_SKEW = timedelta(minutes=1)
"""How far apart the clocks of two AWS services may be."""


@dataclass(frozen=True)
class Receipt:
    """One alert that the topic sent.

    Attributes:
        event: the EventBridge event.
        at: when the topic sent it, in UTC, by SNS's own clock.
    """

    event: State
    at: datetime

    @property
    def detail(self) -> State:
        """The CloudTrail record; empty for an event of another kind."""
        detail = self.event.get("detail")
        return detail if isinstance(detail, dict) else {}

    @property
    def event_id(self) -> str:
        """CloudTrail's id of the record; "" for an event of another kind."""
        return str(self.detail.get("eventID") or "")

    @property
    def trail(self) -> str:
        """The trail that the call named, without what an ARN puts before it; "" for none."""
        given = self.detail.get("requestParameters")
        if not isinstance(given, dict):
            return ""
        return str(given.get("name") or given.get("trailName") or "").rpartition("/")[2]


@dataclass(frozen=True)
class Delivery:
    """What the function wrote about one alert and one channel.

    Attributes:
        channel: the channel's name.
        outcome: "delivered", "duplicate" (delivered before), "skipped" (the channel is not to be
            told of such an alert) or "failed".
        status: the HTTP status the channel answered, or None.
        received: when the function was entered, in UTC.
        sent: when the channel had answered, in UTC.
        error: why it failed.
    """

    channel: str
    outcome: str
    status: int | None
    received: datetime
    sent: datetime
    error: str = ""

    @property
    def arrived(self) -> bool:
        """Whether the channel has taken the alert."""
        return self.outcome in {"delivered", "duplicate"}

    @property
    def skipped(self) -> bool:
        """Whether the channel is not to be told of it: nothing more will come."""
        return self.outcome == "skipped"


def moment(text: str) -> datetime:
    """A time as AWS and the notifier write it ("2026-11-21T05:00:00.123Z"), in UTC.

    Raises:
        ValueError: it is no time, or does not say of which zone.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return time.astimezone(UTC)


def receipts(aws: Aws, queue_url: str) -> list[Receipt]:
    """The receipts that can be seen now, waiting a second for the first.

    Raises:
        AwsError: the queue could not be read.
    """
    try:
        answer = aws.sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_HIDDEN,
            WaitTimeSeconds=_LONG_POLL,
        )
    except TROUBLE as error:
        raise complaint(error, "reading the receipts") from error
    return [found for one in answer.get("Messages", []) for found in _receipt(one["Body"])]


def _receipt(body: str) -> Iterator[Receipt]:
    """The receipt in a message's body; none where it is not what the topic sends."""
    try:
        notification = json.loads(body)
        event, at = json.loads(notification["Message"]), moment(notification["Timestamp"])
    except (ValueError, KeyError, TypeError):
        return
    if isinstance(event, dict):
        yield Receipt(event, at)


def await_receipts(
    aws: Aws, queue_url: str, wanted: Callable[[Receipt], bool], count: int, seconds: float
) -> Iterator[Receipt]:
    """Receipts that are `wanted`, as they come, until `count` came or `seconds` have passed."""
    end = aws.clock.monotonic() + seconds
    seen: set[str] = set()
    while count and aws.clock.monotonic() < end:
        for receipt in receipts(aws, queue_url):
            key = receipt.event_id or str(receipt.event.get("id"))
            if key not in seen and wanted(receipt):
                seen.add(key)
                yield receipt
                if len(seen) == count:
                    return
        aws.clock.sleep(_PAUSE)  # a page of old receipts comes back at once


def deliveries(aws: Aws, log_group: str, receipt: Receipt) -> list[Delivery]:
    """What the function has written about an alert so far; empty without such a log group.

    A page of the answer may be empty and not the last:
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html

    Raises:
        AwsError: the log could not be read.
    """
    pages = aws.logs.get_paginator("filter_log_events").paginate(
        logGroupName=log_group,
        filterPattern=f'"{receipt.event_id}"',
        startTime=int((receipt.at - _SKEW).timestamp() * 1000),
    )
    try:
        events: list[Any] | None = unless(
            lambda: [one for page in pages for one in page["events"]], "ResourceNotFoundException"
        )
    except TROUBLE as error:
        raise complaint(error, f"reading log group {log_group}") from error
    return [found for one in events or [] for found in _delivery(one["message"], receipt.event_id)]


def _delivery(line: str, event_id: str) -> Iterator[Delivery]:
    """The delivery in a line of the log; none in a line of another kind."""
    try:
        entry = json.loads(line)
        if entry["event_id"] != event_id:
            return
        yield Delivery(
            channel=entry["channel"],
            outcome=entry["ctwatch"],
            status=entry.get("status"),
            received=moment(entry["received"]),
            sent=moment(entry["sent"]),
            error=entry.get("error") or "",
        )
    except (ValueError, KeyError, TypeError):
        return


def await_deliveries(
    aws: Aws, log_group: str, receipt: Receipt, channels: frozenset[str], seconds: float
) -> dict[str, Delivery]:
    """Each channel's delivery of an alert, or as many as came within `seconds`.

    A delivery that AWS tried again counts as it ended: what was delivered outweighs what failed.
    A channel that is not to be told is not waited for.
    """
    end = aws.clock.monotonic() + seconds
    pause = _PAUSE
    while True:
        written = deliveries(aws, log_group, receipt)
        # The last entry under a key wins: failures first, successes last, the earliest at the end.
        written.sort(key=lambda one: (one.arrived, one.skipped, -one.sent.timestamp()))
        found = {one.channel: one for one in written}
        done = {name for name, one in found.items() if one.arrived or one.skipped}
        if done >= channels or aws.clock.monotonic() + pause > end:
            return found
        aws.clock.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
