"""What has been alerted lately, and how each channel took it: told by the function's own log.

The notifier writes a line for each channel and each try. AWS tries again what failed, and may hand
over twice what did not, so that the lines of one event are gathered into one alert. CloudWatch Logs
may show a line late, after others that are younger: who follows the log therefore looks back a
while each time, and passes on only what was not passed on before.

What AWS itself has given up stands in no log, but in the dead-letter queues.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from ctwatch.aws import TROUBLE, Aws, complaint, unless
from ctwatch.engine import inspect
from ctwatch.errors import CtwatchError
from ctwatch.permissions import Grant, allow
from ctwatch.proof import moment
from ctwatch.resources.queue import Queue
from ctwatch.watch import Watch

_PATTERN = '"event_id"'
"""What stands in every line of ours, and in none of Lambda's own."""
_PAUSE = 3.0
_LATE = timedelta(minutes=10)
"""How late a line may be shown; also longer than AWS takes to try again twice, so that a success
is told with the failures before it. https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html"""

_ARRIVED = {"delivered", "duplicate"}
_OUTCOMES = ("delivered", "duplicate", "skipped", "failed")
"""The first of these that any try had is what became of it in the end."""


class NoLogError(CtwatchError):
    """The log that the watch promises is not there."""

    exit_code = 3


@dataclass(frozen=True)
class About:
    """What a line says of the event, "" for nothing. All of it may be a stranger's text.

    Attributes:
        name: of the event ("StopLogging"); "" for what could not be read.
        title: what that is, in the language of the alerts.
        severity: "low", "medium", "high" or "critical".
        result: "succeeded", "failed" or "denied": what became of the call.
        label: "DRILL", "SYNTHETIC" or "".
        actor: who did it.
    """

    event_id: str
    request_id: str
    name: str
    title: str
    severity: str
    result: str
    label: str
    actor: str


@dataclass(frozen=True)
class Attempt:
    """One line of the log: one try to tell one channel of one event.

    Attributes:
        at: when it was logged, in UTC.
        key: the same for all lines about one event.
    """

    at: datetime
    key: str
    about: About
    channel: str
    outcome: str
    status: int | None
    error: str
    received: datetime
    sent: datetime
    message_id: str | None


@dataclass(frozen=True)
class Taken:
    """How one channel took an alert.

    Attributes:
        outcome: "delivered", "duplicate" (delivered earlier than the lines go back), "failed", or
            "skipped" (the channel is not to be told of such an alert).
        status: what the channel answered last, or None.
        retries: how often it was tried again because it had failed.
        times: how often it was delivered; AWS may hand an event to two functions side by side.
        duplicates: how often it came again, and was not told again.
        error: why it failed; "" where it did not in the end.
        sent: when the channel had answered, in UTC.
        message_id: the channel's own id of the message, where it tells one.
    """

    channel: str
    outcome: str
    status: int | None
    retries: int
    times: int
    duplicates: int
    error: str
    sent: datetime
    message_id: str | None

    @property
    def arrived(self) -> bool:
        """Whether the channel has taken it, now or before."""
        return self.outcome in _ARRIVED


@dataclass(frozen=True)
class Alert:
    """One event that the function was handed.

    Attributes:
        received: when the function was first handed it, in UTC.
        channels: in the order in which they were told.
    """

    key: str
    received: datetime
    about: About
    channels: tuple[Taken, ...]

    @property
    def failed(self) -> bool:
        """Whether a channel that is to be told of it was not, so far."""
        return any(one.outcome == "failed" for one in self.channels)

    @property
    def told(self) -> bool:
        """Whether any channel was told."""
        return any(one.arrived for one in self.channels)


@dataclass(frozen=True)
class Lost:
    """A dead-letter queue that is not empty.

    Attributes:
        messages: about how many are in it.
    """

    queue: Queue
    messages: int

    @property
    def sentence(self) -> str:
        """What that means."""
        what = "a message" if self.messages == 1 else f"{self.messages} messages"
        return f"{self.queue.title} holds {what} that AWS could not deliver and has given up"

    @property
    def remedy(self) -> str:
        """How to see what it was, and how to be rid of it."""
        place = self.queue.place
        which = f"--region {place.region} --queue-url {place.queue_url(self.queue.name)}"
        return (
            "What is broken: ctwatch status. What was lost: "
            f"aws sqs receive-message --message-attribute-names All {which}. "
            f"Once that is mended: aws sqs purge-queue {which}"
        )


def log_of(watch: Watch) -> str:
    """The name of the log group that tells of the alerts.

    Raises:
        CtwatchError: the watch has no function, and what mails AWS sends it tells nobody.
    """
    if watch.function:
        return watch.function.log_group.name
    raise CtwatchError(
        f"the watch {watch.name} has mails alone, and no function whose log would tell of alerts",
        "A channel, or route: formatted, makes one. That mails are sent proves: ctwatch simulate",
    )


def alerts(aws: Aws, log_group: str, since: datetime) -> list[Alert]:
    """The alerts since then, the newest last.

    Raises:
        NoLogError: there is no such log group.
        AwsError: the log could not be read.
    """
    return gathered(_attempts(aws, log_group, since))


def following(aws: Aws, log_group: str, since: datetime) -> Iterator[list[Alert]]:
    """The alerts since then, and at each later look what is new of any: for ever.

    Of an alert that was passed on before comes what became otherwise: the channels that were told
    in the end, or failed where they had not. Nothing comes twice.

    Raises:
        NoLogError: there is no such log group, or no longer.
        AwsError: the log could not be read.
    """
    passed: set[tuple[str, str, str]] = set()
    while True:
        read = _attempts(aws, log_group, since)
        yield list(_new(gathered(read), passed))
        since = max([since, *(one.at - _LATE for one in read)])
        aws.clock.sleep(_PAUSE)


def _new(found: Iterable[Alert], passed: set[tuple[str, str, str]]) -> Iterator[Alert]:
    """What was not passed on, which then counts as passed on."""
    for alert in found:
        named = {one: (alert.key, one.channel, _end(one)) for one in alert.channels}
        fresh = tuple(one for one, name in named.items() if name not in passed)
        passed.update(named.values())
        if fresh:
            yield replace(alert, channels=fresh)


def _end(taken: Taken) -> str:
    """The outcome; a duplicate of what was told is nothing new."""
    return "arrived" if taken.arrived else taken.outcome


def gathered(attempts: Iterable[Attempt]) -> list[Alert]:
    """The alerts that the lines of the log are about, the newest last."""
    by_key = sorted(attempts, key=attrgetter("key", "received", "sent"))
    found = [_alert(key, list(ones)) for key, ones in groupby(by_key, attrgetter("key"))]
    return sorted(found, key=attrgetter("received", "key"))


def _alert(key: str, attempts: Sequence[Attempt]) -> Alert:
    by_channel: dict[str, list[Attempt]] = {}
    for one in attempts:
        by_channel.setdefault(one.channel, []).append(one)
    channels = tuple(_taken(ones) for ones in by_channel.values())
    return Alert(key, attempts[0].received, attempts[-1].about, channels)


def _taken(tries: Sequence[Attempt]) -> Taken:
    """What became of the tries of one channel, the oldest first."""
    outcomes = [one.outcome for one in tries]
    end = next((one for one in _OUTCOMES if one in outcomes), outcomes[-1])
    last = [one for one in tries if one.outcome == end][-1]
    failures = outcomes.count("failed")
    return Taken(
        channel=last.channel,
        outcome=end,
        status=last.status,
        retries=failures - (end == "failed"),
        times=outcomes.count("delivered"),
        duplicates=outcomes.count("duplicate"),
        error=last.error,
        sent=last.sent,
        message_id=last.message_id,
    )


def _attempts(aws: Aws, log_group: str, since: datetime) -> list[Attempt]:
    """What the log says since then. A page may be empty and not the last.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    """
    pages = aws.logs.get_paginator("filter_log_events").paginate(
        logGroupName=log_group,
        filterPattern=_PATTERN,
        startTime=int(since.timestamp() * 1000),
    )
    try:
        lines: Any = unless(
            lambda: [one for page in pages for one in page["events"]], "ResourceNotFoundException"
        )
    except TROUBLE as error:
        raise complaint(error, f"reading log group {log_group}") from error
    if lines is None:
        raise NoLogError(
            f"log group {log_group} is not there, and nothing else tells of alerts",
            "What else is missing: ctwatch status. What makes it: ctwatch up",
        )
    once = {one.get("eventId") or number: one for number, one in enumerate(lines)}
    return [found for one in once.values() for found in _attempt(one)]


_ABOUT = {
    "event_id": "event_id",
    "request_id": "request_id",
    "name": "event_name",
    "title": "title",
    "severity": "severity",
    "result": "result",
    "label": "label",
    "actor": "actor",
}
"""What an alert calls it -> what the notifier's line calls it; an older one said less."""


def _attempt(logged: Any) -> Iterator[Attempt]:
    """The try that a line of the log tells of; none for a line of another kind."""
    try:
        entry = json.loads(logged["message"])
        received, sent = moment(entry["received"]), moment(entry["sent"])
        yield Attempt(
            at=datetime.fromtimestamp(logged["timestamp"] / 1000, received.tzinfo),
            # What could not be read has no id: it is known by the moment at which it came.
            key=str(entry["event_id"] or entry.get("request_id") or entry["received"]),
            about=About(**{ours: str(entry.get(theirs) or "") for ours, theirs in _ABOUT.items()}),
            channel=str(entry["channel"]),
            outcome=str(entry["ctwatch"]),
            status=entry.get("status"),
            error=str(entry.get("error") or ""),
            received=received,
            sent=sent,
            message_id=entry.get("message_id"),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return


def needs(watch: Watch) -> Iterator[Grant]:
    """What it takes to read the function's log and to look at the dead-letter queues."""
    if watch.function:
        yield allow("logs", "FilterLogEvents", f"{watch.function.log_group.arn}:*")
    for queue in (watch.dead_letter, *(one.dead_letter for one in watch.away)):
        yield from queue.actions.read


def lost(watch: Watch, aws: Aws) -> list[Lost]:
    """The dead-letter queues that are not empty, in any region.

    Raises:
        AwsError: one of them could not be looked at.
    """
    queues = dict.fromkeys((watch.dead_letter, *(one.dead_letter for one in watch.away)))
    found: list[Lost] = []
    for finding in inspect(list(queues), aws):
        if finding.error:
            raise finding.error
        messages = finding.live.facts["messages"] if finding.live else 0
        if messages and isinstance(finding.resource, Queue):
            found.append(Lost(finding.resource, messages))
    return found
