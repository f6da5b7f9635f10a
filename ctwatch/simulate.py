"""Strike, then prove hop by hop that the alert arrived.

All is struck first: a probe, what is made up (see `blows`), or a call on a trail that exists, which
is mended before the next (see `striking`). Then each blow is followed. A hop is proven, not proven
within the time, skipped (a channel that is not to be told of this), or cannot be proven by anybody
from here (an inbox, or what a made-up event cannot walk); none is ever guessed.

What came of each technique is remembered as a tag on a rule that it is for, where `ctwatch status`
sees it from any machine.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from ctwatch import proof, synthetic
from ctwatch.aws import TROUBLE, Aws, complaint
from ctwatch.blows import Blow, On, Proof, Rung, pretend, probe
from ctwatch.config import TOPIC
from ctwatch.errors import CtwatchError
from ctwatch.findings import Finding, Step
from ctwatch.permissions import Grant, allow
from ctwatch.proof import Delivery, Receipt, Sender, Signal, await_deliveries, await_receipts
from ctwatch.resources.function import Function
from ctwatch.resources.rule import Rule
from ctwatch.resources.subscription import Subscription
from ctwatch.striking import Waiting, on_canary, on_trail, owned, striking_needs
from ctwatch.techniques import Probe, Synthetic, Technique, techniques_of
from ctwatch.watch import Watch

DEFAULT_TIMEOUT = 600.0
"""Seconds to wait for proof: CloudTrail's delivery to EventBridge is best effort.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event.html"""

_TELLING = 10.0
"""Seconds that the function is given to tell its channels; its first retry is a minute away."""

_HOPS = ("recorded", "matched", "forwarded", "topic", "function")
"""The way to the channels and the people; an event is forwarded from another region."""


@dataclass(frozen=True)
class Order:
    """What is to be done.

    Attributes:
        techniques: what to strike with.
        limit: seconds to wait for all the proof.
        on: what is struck.
    """

    techniques: Sequence[Technique]
    limit: float = DEFAULT_TIMEOUT
    on: On = On.PROBE


@dataclass(frozen=True)
class Drill:
    """One technique, struck and followed to the end.

    Attributes:
        blow: the call, or the event that was made up.
        rungs: the ladder.
        event_id: CloudTrail's id of the record, "" when it never came.
    """

    blow: Blow
    rungs: tuple[Rung, ...]
    event_id: str = ""

    @property
    def proven(self) -> bool:
        """Whether every hop that can be proven was, and the call ended as it had to.

        Where nobody at all can have been told, the rest proves nothing.
        """
        silent = any(one.proof is Proof.SILENT for one in self.rungs)
        return self.blow.as_meant and not silent and not self.deserted

    @property
    def deserted(self) -> bool:
        """Whether there is no channel, and nobody has confirmed an address."""
        ends = [one for one in self.rungs if one.hop not in _HOPS]
        return bool(ends) and all(one.note in _UNHEARD for one in ends)

    @property
    def seconds(self) -> float:
        """From the call to the last hop that is known to have been reached."""
        return max((one.seconds for one in self.rungs if one.seconds is not None), default=0.0)

    @property
    def heard(self) -> bool:
        """Whether any hop that was walked is known to have been."""
        walked = [one for one in self.rungs if one not in self.blow.known]
        return any(one.proof is not Proof.SILENT for one in walked)

    @property
    def untold(self) -> bool:
        """Whether every channel left it out and there is nobody else to tell."""
        ends = {one.proof for one in self.rungs if one.hop not in _HOPS}
        return ends == {Proof.SKIPPED}


def _struck(
    technique: Technique, order: Order, watch: Watch, findings: Sequence[Finding], aws: Aws
) -> Iterator[Blow | Step | Waiting]:
    """A call's blow, or one for each rule that something is made up for."""
    if isinstance(technique, Synthetic):
        for rule in watch.rules:
            if rule.detection == technique.detection:
                yield pretend(technique, rule, watch, findings, aws)
    elif isinstance(technique, Probe):
        match order.on:
            case On.PROBE:
                yield probe(technique, aws, watch.place)
            case On.CANARY:
                yield from on_canary(technique, owned(watch).canary, aws, order.limit)
            case On.TRAIL:
                yield from on_trail(technique, owned(watch).trail, aws)


def drill(
    order: Order, watch: Watch, findings: Sequence[Finding], aws: Aws
) -> Iterator[Blow | Step | Waiting | Drill]:
    """Strike with every technique, then follow each blow; yields what happens as it does.

    Args:
        order: what is to be done.
        watch: the watch that must tell.
        findings: a fresh look at it, for what cannot be proven from here.
        aws: the account.

    Raises:
        CtwatchError: there is no receipts queue to prove anything by, or what was struck could not
            be mended.
        AwsError: a call never reached AWS, or AWS would not let the proof be read.
    """
    queue_url = _receipts_url(watch, aws)
    if queue_url is None:
        raise CtwatchError(
            f"{watch.receipts.title} does not exist: nothing can be proven", "Run: ctwatch up"
        )
    end = aws.clock.monotonic() + order.limit
    blows: dict[str, Blow] = {}
    for technique in order.techniques:
        for one in _struck(technique, order, watch, findings, aws):
            if isinstance(one, Blow):
                blows[one.request_id] = one
            yield one
        if order.on is On.CANARY:  # what it had to wait for is not taken from the proof's time
            end = aws.clock.monotonic() + order.limit
    people = _people(watch, findings)
    for ended in _ladders(blows, watch, aws, queue_url, end):
        yield replace(ended, rungs=(*ended.rungs, *people)) if ended.heard else ended


def remember(drills: Sequence[Drill], watch: Watch, aws: Aws) -> None:
    """Leave what came of each technique on the first rule of its detection, as a tag.

    Raises:
        AwsError: AWS would not take one.
    """
    first = {rule.detection: rule for rule in reversed(watch.rules)}
    proofs: dict[Rule, dict[str, str]] = {}
    for one in drills:
        if rule := first.get(one.blow.technique.detection):
            proofs.setdefault(rule, {})[one.blow.technique.name] = _outcome(one)
    aws.together(*(partial(_tell, aws, rule, told) for rule, told in proofs.items()))


def _tell(aws: Aws, rule: Rule, told: Mapping[str, str]) -> None:
    try:
        rule.tell(aws, told)
    except TROUBLE as error:
        raise rule.complaint(error, "remembering the proof on") from error


def _outcome(one: Drill) -> str:
    """When, whether it was proven, and after how many seconds."""
    ended = "proven" if one.proven else "silent"
    return f"{one.blow.at:%Y-%m-%dT%H:%M:%SZ} {ended} {one.seconds:.1f}"


def _ladders(
    blows: dict[str, Blow], watch: Watch, aws: Aws, queue_url: str, end: float
) -> Iterator[Drill]:
    """The ladder of each blow, up to the channels, as it is known; the silent ones last."""
    came: dict[str, _Came] = {target: {} for target in blows}
    late: dict[str, Blow] = {}
    asked = {target: _senders(watch, blow.technique) for target, blow in blows.items()}
    limit = end - aws.clock.monotonic()
    arriving = await_receipts(
        aws,
        queue_url,
        lambda one: any(blow.is_in(one) for blow in blows.values()),
        sum(map(len, asked.values())),
        limit,
    )
    for target, event_id in _complete(arriving, blows, asked, came):
        # A channel that stays silent must not hold back the ladders of the other alerts.
        rungs = _followed(came[target], blows[target], watch, aws, limit / len(asked) / 2)
        if any(rung.proof is Proof.SILENT for rung in rungs):
            late[target] = blows[target]
        else:
            yield Drill(blows.pop(target), rungs, event_id)
    for target, blow in {**late, **blows}.items():
        rungs = _followed(came[target], blow, watch, aws, end - aws.clock.monotonic())
        yield Drill(blow, rungs, _event_id(came[target]))


def _complete(
    arriving: Iterable[Receipt],
    blows: Mapping[str, Blow],
    asked: Mapping[str, set[Sender]],
    came: dict[str, "_Came"],
) -> Iterator[tuple[str, str]]:
    """Put the receipts into `came`; yields a target and its event's id when all of it have come."""
    for receipt in arriving:
        for target in [target for target, blow in blows.items() if blow.is_in(receipt)]:
            came[target][receipt.sender] = receipt
            if asked[target] <= came[target].keys():
                yield target, receipt.event_id


def _event_id(came: "_Came") -> str:
    return next((one.event_id for one in came.values() if one.event_id), "")


_Came = dict[Sender, Receipt]
"""What has come of one blow, by who sent it."""


def _rules(watch: Watch, technique: Technique) -> list[Rule]:
    """The rules that a technique is for; all, where the watch does not listen for it."""
    mine = [one for one in watch.rules if one.detection == technique.detection]
    return mine or list(watch.rules)


def _senders(watch: Watch, technique: Technique) -> set[Sender]:
    """From whom a receipt is to be had."""
    used = {name for rule in _rules(watch, technique) for name in rule.aims}
    topic = "topic" in used or ("function" in used and watch.publishes)
    senders: dict[Sender, bool] = {"topic": topic, "rule": "receipts" in used}
    return {sender for sender, used in senders.items() if used}


def _receipts_url(watch: Watch, aws: Aws) -> str | None:
    try:
        return watch.receipts.url(aws)
    except TROUBLE as error:
        raise complaint(error, f"looking for {watch.receipts.title}") from error


def _followed(came: _Came, blow: Blow, watch: Watch, aws: Aws, seconds: float) -> tuple[Rung, ...]:
    """The ladder from what has come to the channels that can be asked."""
    straight, topic = _straight(watch, blow.technique), came.get("topic")
    delivered = _delivered(came, blow, watch, aws, seconds) if came or straight else {}
    entered = min((one.received for one in delivered.values()), default=None)
    seen = [one.at for one in came.values()] + [one for one in (entered,) if one and straight]
    way = blow.known or tuple(_by(hop, seen, blow) for hop in _way(blow, watch))
    ends = list(_told(watch.function, blow, entered, delivered)) if watch.function else []
    published = _own("topic", topic.at if topic else None, blow)
    if watch.publishes and straight:
        return (*way, *ends, published)
    # From the topic alone, all before it is known by its clock.
    shared = {*came} == {"topic"} and not straight and not blow.known
    return (*way, _by("topic", seen, blow) if shared else published, *ends)


def _way(blow: Blow, watch: Watch) -> Iterator[str]:
    """The hops of a call's event that have no clock of their own."""
    yield from ("recorded", "matched")
    one = blow.technique
    if isinstance(one, Probe) and one.elsewhere:
        source, mine = f"aws.{one.service}", [r for r in watch.away if r.detection == one.detection]
        if any(source in rule.pattern.get("source", ()) for rule in mine):
            yield "forwarded"


def _delivered(
    came: _Came, blow: Blow, watch: Watch, aws: Aws, seconds: float
) -> dict[str, Delivery]:
    """What the function wrote; without a receipt that says the event's id, by that of the call."""
    if not watch.function:
        return {}
    known_by = (one.signal for one in came.values() if one.event_id)
    signal = next(known_by, Signal(blow.event_id or blow.request_id, blow.at))
    names, log = frozenset(watch.function.channels), watch.function.log_group.name
    return await_deliveries(aws, log, signal, names, seconds)


def _straight(watch: Watch, technique: Technique) -> bool:
    """Whether a rule invokes the function without the topic."""
    return any("function" in rule.aims for rule in _rules(watch, technique))


def _by(hop: str, seen: Sequence[datetime], blow: Blow) -> Rung:
    """A hop without a clock of its own, proven by the first that has one."""
    if not seen:
        return Rung(hop, Proof.SILENT)
    return Rung(hop, Proof.PROVEN, (min(seen) - blow.at).total_seconds(), by=True)


def _own(hop: str, at: datetime | None, blow: Blow, note: str = "") -> Rung:
    """A hop with its own clock."""
    if at is None:
        return Rung(hop, Proof.SILENT)
    return Rung(hop, Proof.PROVEN, (at - blow.at).total_seconds(), note=note)


def _told(
    function: Function, blow: Blow, entered: datetime | None, delivered: Mapping[str, Delivery]
) -> Iterator[Rung]:
    """The function and its channels."""
    yield _own("function", entered, blow)
    for name in function.channels:
        if name == TOPIC:
            continue
        one = delivered.get(name)
        if one and one.arrived:
            yield _own(name, one.sent, blow, str(one.status))
        elif one and one.skipped:
            yield Rung(name, Proof.SKIPPED, note=_SKIPPED)
        else:
            yield Rung(name, Proof.SILENT, note=one.error if one else "")


_SKIPPED = "its min_severity or only leaves this out"


def _people(watch: Watch, findings: Sequence[Finding]) -> list[Rung]:
    """What can be said of each inbox: whether SNS was told to write to it, and no more."""
    looks: dict[Subscription, Finding] = {
        one.resource: one for one in findings if isinstance(one.resource, Subscription)
    }
    return [
        Rung(person.name, Proof.UNPROVABLE, note=_inbox(looks[person])) for person in watch.people
    ]


_UNHEARD = ("not subscribed", "not confirmed")


def _inbox(finding: Finding) -> str:
    if finding.error:
        return "AWS would not say"
    if finding.live is None:
        return _UNHEARD[0]
    if not finding.live.state["confirmed"]:
        return _UNHEARD[1]
    if finding.live.state["filter"]:
        return "a filter may keep it back"
    sms = isinstance(finding.resource, Subscription) and finding.resource.protocol == "sms"
    return "handed to SNS" if sms else "confirmed, handed to SNS"


def needs(watch: Watch, on: On) -> Iterator[Grant]:
    """What every drill of what the watch listens for needs, probes and those struck on `on`."""
    yield from proving(watch)
    struck: list[Probe] = []
    for rule in watch.rules:
        yield allow("events", "TagResource", rule.arn)  # where the proof is remembered
        for one in techniques_of(rule.detection):
            if isinstance(one, Probe):
                struck.append(one)
                yield from one.needs(watch.place)
            else:
                yield from synthetic.needs(rule)
    yield from striking_needs(on, struck, watch)


def proving(watch: Watch) -> Iterator[Grant]:
    """What it takes to see that an alert arrived."""
    log = watch.function.log_group.arn if watch.function else None
    return proof.needs(watch.receipts.arn, log)


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
        told = receipt.mentions("DeleteTrail") and receipt.mentions(watch.trail.name)
        if receipt.event:
            made = receipt.detail.get("eventName") == "DeleteTrail"
            told = made and receipt.trail == watch.trail.name
        return told and receipt.sender == "topic" and receipt.at >= since

    receipt = next(await_receipts(aws, queue_url, ours, 1, limit), None)
    if receipt and watch.function:
        channels, log = frozenset(watch.function.channels), watch.function.log_group.name
        await_deliveries(aws, log, receipt.signal, channels, min(limit, _TELLING))
    return receipt
