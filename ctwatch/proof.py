"""Evidence that an alert arrived: the receipts queue and the function's log.

What comes into the queue is the event itself, from the topic or straight from a rule, or the text
that people get of it. Readers of the queue hide a message for a moment and never delete it, so that
several may read at once. Nothing here strikes, and nothing decides what a drill proves.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ctwatch.aws import TROUBLE, Aws, complaint, unless
from ctwatch.diff import State
from ctwatch.permissions import Grant, allow

_HIDDEN = 2
"""Seconds for which a message that one reader took is hidden from the others."""
_LONGEST_HIDDEN = 60
_FULL = 10
"""Messages of one page at the most."""
_LONG_POLL = 1
_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_SKEW = timedelta(minutes=1)
"""How far apart the clocks of two AWS services may be."""
_EVENT_ID = re.compile(r"(?:Event ID|이벤트 ID): ([0-9a-f-]{36})")
"""Where a text for people says it, in either language."""


Sender = Literal["topic", "rule"]


@dataclass(frozen=True)
class Signal:
    """What an event is known by in the function's log.

    Attributes:
        id: CloudTrail's id of the record, or AWS's id of the request.
        since: the log is read from about here on.
    """

    id: str
    since: datetime


@dataclass(frozen=True)
class Receipt:
    """One alert that came out of the topic, or straight from a rule.

    Attributes:
        event: the EventBridge event; empty where people get a text of it.
        at: when it was sent, in UTC, by the sender's own clock.
        text: what was sent, as it was sent.
        sender: who sent it.
    """

    event: State
    at: datetime
    text: str = ""
    sender: Sender = "topic"

    @property
    def detail(self) -> State:
        """The CloudTrail record; empty for an event of another kind, or a text."""
        detail = self.event.get("detail")
        return detail if isinstance(detail, dict) else {}

    @property
    def event_id(self) -> str:
        """CloudTrail's id of the record; that of the event where it is none, as from S3."""
        told = _EVENT_ID.search(self.text) if not self.event else None
        return told[1] if told else str(self.detail.get("eventID") or self.event.get("id") or "")

    @property
    def key(self) -> tuple[str, str]:
        """The same for one that arrives twice."""
        return self.sender, self.event_id or self.text

    @property
    def signal(self) -> Signal:
        """What to look for in the function's log."""
        return Signal(self.event_id, self.at)

    def mentions(self, word: str) -> bool:
        """Whether a run id or a request id stands anywhere in the event, or in the text of it."""
        return word in self.text

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


def needs(queue: str, log_group: str | None) -> Iterator[Grant]:
    """What it takes to read the receipts and the function's log.

    Args:
        queue: the ARN of the receipts queue.
        log_group: that of the log group; None where there is none.
    """
    yield allow("sqs", "GetQueueUrl ReceiveMessage", queue)
    if log_group:
        yield allow("logs", "FilterLogEvents", f"{log_group}:*")


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
    return [found for one in _page(aws, queue_url, _HIDDEN) for found in _receipt(one)]


def _page(aws: Aws, queue_url: str, hidden: int) -> list[Any]:
    """Messages that can be seen now; for so many seconds nobody sees them again."""
    try:
        answer = aws.sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=_FULL,
            VisibilityTimeout=hidden,
            WaitTimeSeconds=_LONG_POLL,
            MessageSystemAttributeNames=["SentTimestamp"],
        )
    except TROUBLE as error:
        raise complaint(error, "reading the receipts") from error
    return list(answer.get("Messages", []))


def _receipt(message: Any) -> Iterator[Receipt]:
    """The receipt in a message; none where it is what neither the topic nor a rule sends."""
    try:
        body = json.loads(message["Body"])
        if "detail-type" in body:
            sent = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
            yield Receipt(body, sent, message["Body"], "rule")
        else:
            text, sent = body["Message"], moment(body["Timestamp"])
            if isinstance(text, str):
                yield Receipt(_event(text), sent, text)
    except (ValueError, KeyError, TypeError):
        return


def _event(text: str) -> State:
    """The event that a text is the JSON of; empty for any other text."""
    try:
        event = json.loads(text)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def await_receipts(
    aws: Aws, queue_url: str, wanted: Callable[[Receipt], bool], count: int, seconds: float
) -> Iterator[Receipt]:
    """Receipts that are `wanted`, as they come, until `count` came or `seconds` have passed."""
    end, reader = aws.clock.monotonic() + seconds, _Reader(aws, queue_url)
    seen: set[tuple[str, str]] = set()
    while count and aws.clock.monotonic() < end:
        for receipt in reader.receipts():
            if receipt.key not in seen and wanted(receipt):
                seen.add(receipt.key)
                yield receipt
                if len(seen) == count:
                    return
        reader.rest()


class _Reader:
    """Reads on in a queue of which no reader takes anything away.

    A message is read again when its time is over. Where the queue holds more than can be read in
    that time, each page would be the one before, for ever: they are then hidden for longer.
    """

    def __init__(self, aws: Aws, queue_url: str) -> None:
        self._aws = aws
        self._url = queue_url
        self._hidden = _HIDDEN
        self._known: set[str] = set()
        self._full = False

    def receipts(self) -> list[Receipt]:
        """Those of the next page that were not read before."""
        page = _page(self._aws, self._url, self._hidden)
        fresh = [one for one in page if one["MessageId"] not in self._known]
        self._known |= {one["MessageId"] for one in fresh}
        self._full = len(page) == _FULL
        if self._full and not fresh:
            self._hidden = min(2 * self._hidden or 1, _LONGEST_HIDDEN)
        return [found for one in fresh for found in _receipt(one)]

    def rest(self) -> None:
        """Wait a moment before the next page, unless this one was full."""
        if not self._full:
            self._aws.clock.sleep(_PAUSE)


def deliveries(aws: Aws, log_group: str, signal: Signal) -> list[Delivery]:
    """What the function has written about an alert so far; empty without such a log group.

    A page of the answer may be empty and not the last:
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html

    Raises:
        AwsError: the log could not be read.
    """
    pages = aws.logs.get_paginator("filter_log_events").paginate(
        logGroupName=log_group,
        filterPattern=f'"{signal.id}"',
        startTime=int((signal.since - _SKEW).timestamp() * 1000),
    )
    try:
        events: list[Any] | None = unless(
            lambda: [one for page in pages for one in page["events"]], "ResourceNotFoundException"
        )
    except TROUBLE as error:
        raise complaint(error, f"reading log group {log_group}") from error
    return [found for one in events or [] for found in _delivery(one["message"], signal.id)]


def _delivery(line: str, known_by: str) -> Iterator[Delivery]:
    """The delivery in a line of the log; none in a line of another kind."""
    try:
        entry = json.loads(line)
        if known_by not in {entry["event_id"], entry.get("request_id")}:
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
    aws: Aws, log_group: str, signal: Signal, channels: frozenset[str], seconds: float
) -> dict[str, Delivery]:
    """Each channel's delivery of an alert, or as many as came within `seconds`.

    A delivery that AWS tried again counts as it ended: what was delivered outweighs what failed.
    A channel that is not to be told is not waited for.
    """
    end = aws.clock.monotonic() + seconds
    pause = _PAUSE
    while True:
        written = deliveries(aws, log_group, signal)
        # The last entry under a key wins: failures first, successes last, the earliest at the end.
        written.sort(key=lambda one: (one.arrived, one.skipped, -one.sent.timestamp()))
        found = {one.channel: one for one in written}
        done = {name for name, one in found.items() if one.arrived or one.skipped}
        left = end - aws.clock.monotonic()
        if done >= channels or left <= 0:
            return found
        aws.clock.sleep(min(pause, left))  # the last look is at the end
        pause = min(2 * pause, _LONGEST_PAUSE)
