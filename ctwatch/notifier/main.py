"""The handler: for each event, for each channel: render, send, log; raise at the end.

The channels are told side by side: one that hangs uses up nobody else's time. A channel may want
only some detections, or only what is bad enough; what no catalogue knows is kept from nobody by
that unless somebody else gets it.

Nothing is swallowed. SNS and EventBridge invoke asynchronously: what raises is tried twice more
and then goes to the dead-letter queue, what returns is done, whatever it returns.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html

That a retry does not repeat itself where the message has already arrived, a warm container
remembers what it has sent. Another container does not know: a duplicate is better than silence.
"""

import json
import os
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from . import discord, post, slack, sns, teams, webhook
from .custom import read_custom
from .detections import detections_of
from .errors import DeliveryError
from .event import Event, unpack
from .message import compose, title_of
from .post import Receipt
from .settings import LEVELS, Channel, Secrets, Settings, read_settings
from .severity import severity

Line = dict[str, Any]

REMEMBERED = 1000  # deliveries, about 100 kB
RESERVE = 1.0  # seconds of the function's time that no waiting may use up


class Sent:
    """The last deliveries that succeeded, as (event, channel).

    Args:
        most: how many are remembered.
    """

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._sent: OrderedDict[tuple[str, str], None] = OrderedDict()

    def has(self, delivery: tuple[str, str]) -> bool:
        """Whether it was made."""
        return delivery in self._sent

    def add(self, delivery: tuple[str, str]) -> None:
        """Remember this one, and forget the oldest."""
        with self._lock:
            self._sent[delivery] = None
            self._sent.move_to_end(delivery)
            while len(self._sent) > self._most:
                self._sent.popitem(last=False)


_CUSTOM = read_custom()
_SECRETS = Secrets()
_SENT = Sent()
_ONE_AT_A_TIME = threading.Lock()  # a line of the log stays one line


@dataclass(frozen=True)
class Invocation:
    """What one call of the handler works with."""

    received: datetime
    settings: Settings
    secrets: Secrets
    sent: Sent
    context: Any


def handler(event: Any, context: Any) -> dict[str, int]:
    """Lambda's entry point.

    Returns:
        How many deliveries were made, and how many left out because they had been made before.

    Raises:
        SettingsError: the environment names no channel.
        DeliveryError: at least one channel did not take at least one message; says which.
    """
    received = datetime.now(UTC)
    run = Invocation(received, read_settings(os.environ, _CUSTOM), _SECRETS, _SENT, context)
    events = unpack(event)
    lines = _side_by_side([partial(_tell, run, events, to) for to in run.settings.channels])
    failed = [f"{line['channel']}: {line['error']}" for line in lines if "error" in line]
    if failed:
        raise DeliveryError(f"{len(failed)} of {len(lines)} not delivered. {' '.join(failed)}")
    outcomes = [line["ctwatch"] for line in lines]
    return {"delivered": outcomes.count("delivered"), "duplicates": outcomes.count("duplicate")}


def _side_by_side(jobs: list[Callable[[], list[Line]]]) -> list[Line]:
    """All that they return, in their order. A single one needs no thread."""
    if len(jobs) == 1:
        return jobs[0]()
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - one channel starts without

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [line for lines in pool.map(lambda job: job(), jobs) for line in lines]


def _tell(run: Invocation, events: list[Event], channel: Channel) -> list[Line]:
    """One channel, all events in their order."""
    return [_deliver(run, event, channel) for event in events]


def _deliver(run: Invocation, event: Event, channel: Channel) -> Line:
    """Try one delivery; whatever comes of it is one line in the log, and that line returned."""
    started = time.monotonic()
    outcome: Line = {}
    try:
        outcome |= _judged(event, run.settings)
        outcome |= _attempt(run, event, channel)
    except Exception as error:  # noqa: BLE001 - logged, the others have their turn, then raised
        run.secrets.forget(channel.secret)
        outcome |= _failure(error)
    outcome["ms"] = round((time.monotonic() - started) * 1000)
    return _log(run, event, channel, outcome)


def _judged(event: Event, settings: Settings) -> Line:
    """What it is called, and how bad it is."""
    return {"title": title_of(event, settings)[:100], "severity": severity(event, settings)}


def _attempt(run: Invocation, event: Event, channel: Channel) -> Line:
    delivery = (event.key, channel.name)
    if not _wants(channel, event, run.settings):
        return {"ctwatch": "skipped"}
    if event.key and run.sent.has(delivery):
        return {"ctwatch": "duplicate"}
    receipt = _send(run, event, channel)
    run.sent.add(delivery)
    return _success(receipt)


def _wants(channel: Channel, event: Event, settings: Settings) -> bool:
    """Whether this channel is to be told.

    How bad an unreadable event is, and what an unknown one belongs to, nobody can tell: the one
    is bad enough for everybody, and the other goes to the channels without `only`, or to all
    where each has its own.
    """
    least = LEVELS.index(channel.min_severity)
    if not event.unreadable and LEVELS.index(severity(event, settings)) < least:
        return False
    known = detections_of(event, settings)
    if known:
        return not channel.only or not channel.only.isdisjoint(known)
    return not channel.only or all(one.only for one in settings.channels)


# each makes a stranger's text harmless in its way (quote), and sends
_WEBHOOKS: dict[str, Any] = {
    "discord": discord,
    "slack": slack,
    "teams": teams,
    "webhook": webhook,
}


def _send(run: Invocation, event: Event, channel: Channel) -> Receipt:
    if channel.type == "sns":
        return sns.send(channel.topic, compose(event, run.settings, sns.quote))
    if channel.type not in _WEBHOOKS:
        raise DeliveryError(f"The channel {channel.name} is of no known type.")
    service = _WEBHOOKS[channel.type]
    message = compose(event, run.settings, service.quote)
    url = run.secrets.get(channel.secret)
    receipt: Receipt = service.send(url, message, patience=_patience(run.context))
    return receipt


def _patience(context: Any) -> float:
    """Seconds that may be waited so that a second try still fits into the function's time."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    if remaining is None:
        return post.PATIENCE
    left = float(remaining()) / 1000 - post.TIMEOUT - RESERVE
    return min(post.PATIENCE, left)


def _success(receipt: Receipt) -> Line:
    return {
        "ctwatch": "delivered",
        "status": receipt.status,
        "message_id": receipt.message_id or None,
    }


def _failure(error: Exception) -> Line:
    """An error that is not ours is told by type and place only: its text may hold a secret."""
    if isinstance(error, DeliveryError):
        return {"ctwatch": "failed", "status": error.status, "error": str(error)}
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    return {"ctwatch": "failed", "error": f"{type(error).__name__} at {place}."}


def _log(run: Invocation, event: Event, channel: Channel, outcome: Line) -> Line:
    """One JSON line, all ASCII: `ctwatch simulate` and `ctwatch alerts` read it.

    `received` is when the handler was entered, `sent` when the channel answered or was given up.
    Name and actor are a stranger's text as it came: whoever shows them makes them harmless.
    """
    line = {
        "ctwatch": "",
        "event_id": event.id[:100],
        "request_id": event.request_id[:100],
        "event_name": event.name[:100],
        "title": "",
        "severity": "",
        "result": "" if event.unreadable else event.result,
        "label": "SYNTHETIC" if event.synthetic else "DRILL" if event.drill else "",
        "actor": event.actor[:500],
        "channel": channel.name,
        "status": None,
        "ms": 0,
        "received": _stamp(run.received),
        "sent": _stamp(datetime.now(UTC)),
        "message_id": None,
    } | outcome
    with _ONE_AT_A_TIME:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    return line


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
