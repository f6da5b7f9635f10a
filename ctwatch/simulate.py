"""Strike, then prove hop by hop that the alert arrived.

The probe, the one kind of drill there is yet, calls the real API on a trail that does not exist and
that is named by us, so that nothing can be harmed; CloudTrail records a failed call as it records
any other. A hop is proven, not proven within the time, skipped (a channel that is not to be
told of this), or cannot be proven by anybody from here (an inbox); none is ever guessed.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from botocore.exceptions import ClientError

from ctwatch.aws import TROUBLE, Aws, code_of, complaint
from ctwatch.engine import Finding
from ctwatch.errors import CtwatchError
from ctwatch.proof import Delivery, Receipt, await_deliveries, await_receipts
from ctwatch.resources.function import Function
from ctwatch.resources.subscription import Subscription
from ctwatch.techniques import Technique
from ctwatch.watch import Watch

PROBE = "ctwatch-probe-"
"""What the name of every probe's target begins with; the notifier labels such an alert a drill."""

DEFAULT_TIMEOUT = 600.0
"""Seconds to wait for proof: CloudTrail's delivery to EventBridge is best effort.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event.html"""

_TELLING = 10.0
"""Seconds that the function is given to tell its channels; its first retry is a minute away."""

_THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException"}


_HOPS = ("recorded", "matched", "topic", "function")
"""The way to the channels and the people."""


class Proof(StrEnum):
    """What is known of a hop."""

    PROVEN = "proven"
    SILENT = "not proven"
    SKIPPED = "skipped"
    UNPROVABLE = "cannot be proven"


@dataclass(frozen=True)
class Rung:
    """One hop of the ladder.

    Attributes:
        hop: "recorded", "matched", "topic", "function", or a channel's name or address.
        proof: what is known.
        seconds: after the call, by the hop's own clock or by that of the next; None if unknown.
        by: whether `seconds` is the next hop's, as this one has no clock of its own.
        note: what else there is to say, "200" or "confirmed, handed to SNS".
    """

    hop: str
    proof: Proof
    seconds: float | None = None
    by: bool = False
    note: str = ""


@dataclass(frozen=True)
class Blow:
    """One call that was made.

    Attributes:
        technique: which.
        target: the trail it named.
        at: when AWS answered, in UTC, by AWS's clock in whole seconds.
        request_id: AWS's id of the call.
        answer: AWS's error code; "" when the call, against all sense, succeeded.
    """

    technique: Technique
    target: str
    at: datetime
    request_id: str
    answer: str


@dataclass(frozen=True)
class Drill:
    """One technique, struck and followed to the end.

    Attributes:
        blow: the call.
        rungs: the ladder.
        event_id: CloudTrail's id of the record, "" when it never came.
    """

    blow: Blow
    rungs: tuple[Rung, ...]
    event_id: str = ""

    @property
    def proven(self) -> bool:
        """Whether every hop that can be proven was, and the call failed as it had to."""
        return bool(self.blow.answer) and all(one.proof is not Proof.SILENT for one in self.rungs)

    @property
    def untold(self) -> bool:
        """Whether every channel left it out and there is nobody else to tell."""
        ends = {one.proof for one in self.rungs if one.hop not in _HOPS}
        return ends == {Proof.SKIPPED}


def probe(technique: Technique, aws: Aws) -> Blow:
    """Make the technique's call on a trail that does not exist.

    Raises:
        AwsError: the call never reached the service, or was throttled away.
    """
    target = PROBE + secrets.token_hex(6)
    doing = f"calling {technique.operation} on {target}"
    try:
        answer, code = technique.strike(aws, target), ""
    except ClientError as error:
        answer, code = error.response, code_of(error)
        if code in _THROTTLED or not answer.get("ResponseMetadata", {}).get("RequestId"):
            raise complaint(error, doing) from error
    except TROUBLE as error:
        raise complaint(error, doing) from error
    metadata = answer["ResponseMetadata"]
    return Blow(technique, target, aws.date(answer), metadata["RequestId"], code)


def drill(
    techniques: Sequence[Technique],
    watch: Watch,
    findings: Sequence[Finding],
    aws: Aws,
    limit: float,
) -> Iterator[Blow | Drill]:
    """Strike with every technique, then follow each blow; yields blows and drills as they happen.

    Args:
        techniques: what to strike with.
        watch: the watch that must tell.
        findings: a fresh look at it, for what cannot be proven from here.
        aws: the account.
        limit: seconds to wait for all the proof.

    Raises:
        CtwatchError: there is no receipts queue to prove anything by.
        AwsError: a call never reached AWS, or AWS would not let the proof be read.
    """
    queue_url = _receipts_url(watch, aws)
    if queue_url is None:
        raise CtwatchError(
            f"{watch.receipts.title} does not exist: nothing can be proven", "Run: ctwatch up"
        )
    end = aws.clock.monotonic() + limit
    blows: dict[str, Blow] = {}
    for technique in techniques:
        blow = probe(technique, aws)
        blows[blow.target] = blow
        yield blow
    people = _people(watch, findings)
    late: list[tuple[Blow, Receipt]] = []
    arrived = await_receipts(aws, queue_url, lambda one: one.trail in blows, len(blows), limit)
    for receipt in arrived:
        blow = blows.pop(receipt.trail)
        # A channel that stays silent must not hold back the ladders of the other alerts.
        rungs = _followed(receipt, blow.at, watch, aws, limit / len(techniques) / 2)
        if any(rung.proof is Proof.SILENT for rung in rungs):
            late.append((blow, receipt))
        else:
            yield Drill(blow, (*rungs, *people), receipt.event_id)
    for blow, receipt in late:
        rungs = _followed(receipt, blow.at, watch, aws, end - aws.clock.monotonic())
        yield Drill(blow, (*rungs, *people), receipt.event_id)
    for blow in blows.values():
        yield Drill(blow, _unheard(watch))


def _receipts_url(watch: Watch, aws: Aws) -> str | None:
    try:
        return watch.receipts.url(aws)
    except TROUBLE as error:
        raise complaint(error, f"looking for {watch.receipts.title}") from error


def _followed(
    receipt: Receipt, start: datetime, watch: Watch, aws: Aws, seconds: float
) -> tuple[Rung, ...]:
    """The ladder from a receipt that has come to the channels that can be asked."""
    sent = (receipt.at - start).total_seconds()
    way = [Rung(hop, Proof.PROVEN, sent, by=True) for hop in _HOPS[:-1]]
    if watch.function:
        names, log = frozenset(watch.function.channels), watch.function.log_group.name
        delivered = await_deliveries(aws, log, receipt, names, seconds)
        way += _told(watch.function, start, delivered)
    return tuple(way)


def _told(function: Function, start: datetime, delivered: dict[str, Delivery]) -> Iterator[Rung]:
    """The function and its channels."""
    entered = min((one.received for one in delivered.values()), default=None)
    if entered:
        yield Rung("function", Proof.PROVEN, (entered - start).total_seconds())
    else:
        yield Rung("function", Proof.SILENT)
    for name in function.channels:
        one = delivered.get(name)
        if one and one.arrived:
            seconds = (one.sent - start).total_seconds()
            yield Rung(name, Proof.PROVEN, seconds, note=str(one.status))
        elif one and one.skipped:
            yield Rung(name, Proof.SKIPPED, note=_SKIPPED)
        else:
            yield Rung(name, Proof.SILENT, note=one.error if one else "")


_SKIPPED = "its min_severity or only leaves this out"


def _unheard(watch: Watch) -> tuple[Rung, ...]:
    hops = (*_HOPS, *watch.function.channels) if watch.function else _HOPS[:-1]
    return tuple(Rung(hop, Proof.SILENT) for hop in hops)


def _people(watch: Watch, findings: Sequence[Finding]) -> list[Rung]:
    """What can be said of each inbox: whether SNS was told to write to it, and no more."""
    looks: dict[Subscription, Finding] = {
        one.resource: one for one in findings if isinstance(one.resource, Subscription)
    }
    return [
        Rung(person.name, Proof.UNPROVABLE, note=_inbox(looks[person])) for person in watch.people
    ]


def _inbox(finding: Finding) -> str:
    if finding.error:
        return "AWS would not say"
    if finding.live is None:
        return "not subscribed"
    if not finding.live.state["confirmed"]:
        return "not confirmed"
    if finding.live.state["filter"]:
        return "a filter may keep it back"
    return "confirmed, handed to SNS"


def heard_of_deletion(watch: Watch, aws: Aws, since: datetime, limit: float) -> Receipt | None:
    """The receipt of the alert that the deletion of the watch's own trail raises, or None.

    Returns only when the function, too, has told its channels or has had time enough to, as what
    it needs for that is deleted next.

    Args:
        watch: the watch.
        aws: the account.
        since: when the deletion was begun, by AWS's clock.
        limit: seconds to wait for it.

    Raises:
        AwsError: AWS would not let the receipts be read.
    """
    queue_url = _receipts_url(watch, aws)
    if queue_url is None:
        return None

    def ours(receipt: Receipt) -> bool:
        made = receipt.detail.get("eventName") == "DeleteTrail"
        return made and receipt.trail == watch.trail.name and receipt.at >= since

    receipt = next(await_receipts(aws, queue_url, ours, 1, limit), None)
    if receipt and watch.function:
        channels, log = frozenset(watch.function.channels), watch.function.log_group.name
        await_deliveries(aws, log, receipt, channels, min(limit, _TELLING))
    return receipt
