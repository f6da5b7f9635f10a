"""Findings become one verdict: would I be told right now?

The event's way is followed from the trail to each channel. A hop is `OK`, `WORN` (not as promised,
but it still carries), `CUT` (nothing passes), or `UNKNOWN` (AWS would not say, or what was changed
cannot be judged from here, such as a layer). What cuts a hop is written down here, per kind of
resource, and nowhere else; everything that differs is a fault, with its exact path, what it means
and the one command that mends it.

Pure but for two questions: whether another trail records in our own one's stead, asked only when
that is deaf, and what the policy of the event bus is, asked only where other regions hand on to it
(and better beforehand, while all the rest is looked at: see `asked_bus`).
What nobody promised and AWS tells all the same (the age of the last digest, dead letters, a drill
that stayed silent) is held against the clock here, too; so is what became of the last alert of each
channel, which is all that is known of one that cannot be asked (see `untold`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from ctwatch.aws import TROUBLE, Aws, complaint
from ctwatch.clock import ago
from ctwatch.config import TOPIC
from ctwatch.diff import State, denied, granted
from ctwatch.errors import CtwatchError
from ctwatch.findings import Finding, Verdict, foreign
from ctwatch.meaning import sentence
from ctwatch.parallel import settled
from ctwatch.patterns import PatternError, compiled
from ctwatch.permissions import Grant, allow
from ctwatch.remembered import Remembered, remembered
from ctwatch.resources.base import Resource
from ctwatch.resources.bucket import Bucket
from ctwatch.resources.function import Function
from ctwatch.resources.given import GivenBucket, GivenTrail
from ctwatch.resources.key import ENABLED, USE, Key
from ctwatch.resources.role import Role
from ctwatch.resources.rule import Rule, bus_policy, default_bus
from ctwatch.resources.subscription import PENDING, Subscription
from ctwatch.resources.topic import Topic
from ctwatch.resources.trail import looking_at_any, other_recorders, records_writes
from ctwatch.untold import Untold
from ctwatch.watch import Watch
from ctwatch.webhooks import Answer, Reply

UP = "ctwatch up"


class Alarm(StrEnum):
    """The answer, from best to worst."""

    ARMED = "ARMED"
    DEGRADED = "DEGRADED"
    UNKNOWN = "UNKNOWN"
    MUTE = "MUTE"
    DEAF = "DEAF"
    BLIND = "BLIND"
    ABSENT = "ABSENT"

    @property
    def exit_code(self) -> int:
        """0 as promised, 1 could not be found out, 3 not as promised."""
        return {Alarm.ARMED: 0, Alarm.UNKNOWN: 1}.get(self, 3)


MEANING = {
    Alarm.ARMED: "You would be told.",
    Alarm.DEGRADED: "You would still be told, but something is not as promised.",
    Alarm.UNKNOWN: "It cannot be told from here whether you would be told.",
    Alarm.MUTE: "The alarm would go off and nobody would hear it.",
    Alarm.DEAF: "CloudTrail would tell EventBridge, and no rule would listen.",
    Alarm.BLIND: "CloudTrail would tell EventBridge nothing.",
    Alarm.ABSENT: "There is no watch here.",
}


class Flow(StrEnum):
    """What passes at a hop, from best to worst."""

    OK = "ok"
    WORN = "not as promised"
    UNKNOWN = "unknown"
    CUT = "cut"


_ORDER = list(Flow)


def worst(flows: Sequence[Flow]) -> Flow:
    """The worst of them; `OK` for none."""
    return max(flows, key=_ORDER.index, default=Flow.OK)


@dataclass(frozen=True)
class Fault:
    """One thing that is not as promised.

    Attributes:
        resource: where, "rule eventbridge-ct-detect".
        path: the leaf within it, "state"; "" for the thing as a whole.
        sentence: what is wrong and what that means.
        remedy: the one command, or what a person has to do.
        missing: whether it is that the thing is not there at all.
    """

    resource: str
    path: str
    sentence: str
    remedy: str
    missing: bool = False


@dataclass(frozen=True)
class Hop:
    """One hop of the event's way.

    Attributes:
        name: "trail", "events", "bus", "rule", "topic", a channel's name, "function", an address,
            "undelivered", "left over", "proof".
        subject: the things it consists of.
        flow: what passes.
        sentence: one line about it.
        faults: what is not as promised.
        warnings: what is as promised, and could be better; it changes no verdict.
    """

    name: str
    subject: str
    flow: Flow
    sentence: str
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """The whole answer.

    Attributes:
        verdict: that of the worst rule.
        hops: in the order in which an event meets them.
        rules: each rule's own verdict.
        proofs: the last drill of each technique, the newest first.
        at: when that was, in UTC.
    """

    verdict: Alarm
    hops: tuple[Hop, ...]
    rules: dict[str, Alarm]
    proofs: tuple[Remembered, ...] = ()
    at: datetime | None = None

    @property
    def gist(self) -> tuple[Any, ...]:
        """What makes it another answer: not that what it tells of has become older."""
        told = [(hop.name, hop.flow, hop.faults, hop.warnings) for hop in self.hops]
        return self.verdict, self.rules, told

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All of them, in the order of the hops; what several channels share is told once."""
        return tuple(dict.fromkeys(fault for hop in self.hops for fault in hop.faults))

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """All of them, in the order of the hops."""
        return tuple(one for hop in self.hops for one in hop.warnings)

    @property
    def left_to_people(self) -> bool:
        """Whether no fault is left but what waits for a click, or to be proven anew by a drill."""
        return all(fault.path in {"confirmed", SILENT, UNTOLD} for fault in self.faults)


BusPolicy = Callable[[], list[tuple[str, State]]]
"""What `rule.bus_policy` comes to, or raises."""


def diagnose(  # noqa: PLR0913 - each is asked of somebody else
    watch: Watch,
    findings: Sequence[Finding],
    aws: Aws,
    answers: Mapping[str, Answer] | None = None,
    last: Untold | None = None,
    *,
    policy: BusPolicy | None = None,
) -> Diagnosis:
    """Follow the event's way through what was found.

    Args:
        watch: what was promised.
        findings: what there is.
        aws: the account.
        answers: what the channels' webhooks said, where they were asked.
        last: which channels the last alert has not reached.
        policy: tells what was asked of the event bus beforehand; None to ask now.
    """
    looks = {finding.resource: finding for finding in findings}
    now = aws.clock.now()
    proofs = remembered(looks[rule] for rule in watch.rules)
    trail = _trail_hop(watch, looks, now)
    events = _events_hop(watch, looks, aws)
    bus = _bus_hop(watch, policy or partial(bus_policy, aws))
    rules = {pair[0]: _rule_hop(pair, looks) for pair in watch.pairs}
    topic = _topic_hop(watch, looks)
    ends = _ends(watch, looks, answers or {}, last or Untold())
    after = [_undelivered(watch, looks), *_left_over(findings)]
    after += [_proof_hop(watch, looks, proofs, now)]
    beside = [trail, topic, *after]
    verdicts = {
        rule.name: _verdict(
            [_told(rule, events), _fed(watch, rule, hop, bus)],
            list(_reached(watch, rule, ends, looks)),
            beside,
        )
        for rule, hop in rules.items()
    }
    not_ours = {Verdict.MISSING, Verdict.FOREIGN}
    ours = [one for one in findings if not one.resource.given and not one.resource.data]
    if all(one.verdict in not_ours for one in ours):
        verdicts = dict.fromkeys(verdicts, Alarm.ABSENT)
    order = list(Alarm)
    verdict = max(verdicts.values(), key=order.index)
    writer = [replace(ends.publisher, name="function")] if ends.publisher else []
    channels = [_entered(watch, hop, looks) for hop in (*ends.channels, *writer)]
    hops = (trail, events, *bus, *rules.values(), topic, *channels, *ends.people, *after)
    return Diagnosis(verdict, hops, verdicts, tuple(proofs), now)


def _verdict(way: Sequence[Hop], ends: Sequence[Flow], beside: Sequence[Hop]) -> Alarm:
    """The verdict of one rule.

    Args:
        way: the hops that an event must pass: events, rule.
        ends: what comes through to each channel and each person, one of which is enough.
        beside: hops that no event passes, but that were promised.
    """
    for hop, verdict in zip(way, (Alarm.BLIND, Alarm.DEAF), strict=True):
        if hop.flow is Flow.CUT:
            return verdict
    heard = min(ends, key=_ORDER.index, default=Flow.CUT)
    if heard is Flow.CUT:
        return Alarm.MUTE
    if Flow.UNKNOWN in {heard, *(hop.flow for hop in way)}:
        return Alarm.UNKNOWN
    fine = all(one is Flow.OK for one in (*ends, *(hop.flow for hop in (*way, *beside))))
    return Alarm.ARMED if fine else Alarm.DEGRADED


Looks = dict[Resource, Finding]

Judge = Callable[[Finding], Flow]
"""What a thing that is there lets pass: `OK` all, `CUT` nothing, `UNKNOWN` one or the other."""


def _hop(
    name: str,
    parts: Sequence[Finding],
    judge: Judge | None,
    fine: str,
) -> Hop:
    """A hop made of some findings.

    Args:
        name: the hop's name.
        parts: what it consists of, the thing it is called after first.
        judge: what a part that is there lets pass; None where no event passes any part.
        fine: the sentence for when all is well.
    """
    flow = worst([_flow(one, judge) for one in parts])
    faults = tuple(fault for one in parts for fault in faults_of(one))
    sentence = faults[0].sentence if faults else fine
    return Hop(name, parts[0].resource.name, flow, sentence, faults)


def _flow(finding: Finding, judge: Judge | None) -> Flow:
    if judge and finding.verdict is Verdict.UNKNOWN:
        return Flow.UNKNOWN
    if judge and finding.verdict in {Verdict.MISSING, Verdict.FOREIGN}:
        return Flow.CUT
    passes = judge(finding) if judge and finding.live else Flow.OK
    if passes is not Flow.OK:
        return passes
    fine = finding.verdict is Verdict.OK and not any(_told_by_aws(finding))
    return Flow.OK if fine else Flow.WORN


def _unless(*faults: bool) -> Flow:
    """`CUT` if any of these holds, else all passes."""
    return Flow.CUT if any(faults) else Flow.OK


def _granting(policy: State, service: str, action: str, arn: str, source: str | None) -> Flow:
    """Whether a policy lets a service act; a denial under a condition only may mean it."""
    if granted(policy, service, action, arn, source):
        return Flow.OK
    rest = {sid: one for sid, one in policy.items() if not _conditioned_denial(one)}
    return Flow.UNKNOWN if granted(rest, service, action, arn, source) else Flow.CUT


def _conditioned_denial(statement: State) -> bool:
    return bool(statement["effect"] == "Deny" and statement.get("condition"))


def _state(finding: Finding) -> dict[str, Any]:
    return finding.live.state if finding.live else {}


def _with(hop: Hop, faults: Sequence[Fault], flow: Flow = Flow.WORN) -> Hop:
    """The hop with further faults, if there are any."""
    if not faults:
        return hop
    sentence = hop.sentence if hop.faults else faults[0].sentence
    flow, faults = worst([hop.flow, flow]), (*hop.faults, *faults)
    return replace(hop, flow=flow, sentence=sentence, faults=faults)


def _warning(hop: Hop, warnings: Sequence[Fault]) -> Hop:
    """The hop with what is said besides, if there is anything."""
    sentence = hop.sentence if hop.faults or not warnings else warnings[0].sentence
    return replace(hop, sentence=sentence, warnings=(*hop.warnings, *warnings))


def _trail_hop(watch: Watch, looks: Looks, now: datetime) -> Hop:
    trail, bucket = watch.trail, watch.bucket
    others = [one for one in trail.needs if one is not bucket]
    parts = [looks[one] for one in (trail, *([bucket] if bucket else []), *others)]
    where = "every region" if trail.multi_region else "the home region alone"
    facts = parts[0].live.facts if parts[0].live else {}
    told = ", ".join(_last(what, facts.get(fact), now) for what, fact in _DELIVERED.items())
    if isinstance(trail, GivenTrail):
        said = facts.get("records", "")
        return _hop("trail", parts, None, f"it was there already, {where}, {said}; {told}")
    hop = _hop("trail", parts, None, f"{where}, validated; {told}")
    return _with(hop, [*_overdue(parts[0], now)])


_DELIVERED = {"log file": "LatestDeliveryTime", "digest": "LatestDigestDeliveryTime"}


def _last(what: str, at: datetime | None, now: datetime) -> str:
    return f"last {what} {ago(at, now)}" if at else f"no {what} yet"


# Each hour one is made, of the log files of that hour, be there any or none. Log files themselves
# come about five minutes after an event, and none without one: their age alone says nothing.
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-intro.html
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html
_DIGESTS_WITHIN = timedelta(hours=3)


def _overdue(finding: Finding, now: datetime) -> Iterator[Fault]:
    """Digests that should long have come from a trail that logs and makes them."""
    state, one = _state(finding), finding.resource
    facts = finding.live.facts if finding.live else {}
    since, at = facts.get("StartLoggingTime"), facts.get("LatestDigestDeliveryTime")
    due = since and state["logging"] and state["validation"] and now - since > _DIGESTS_WITHIN
    if not due or (at and now - at <= _DIGESTS_WITHIN):
        return
    came = f"the last digest came {ago(at, now)}" if at else "no digest has ever come"
    said = f"{one.title}: {came}, though one is due each hour: a forged log file is not noticed"
    yield Fault(one.title, "", said, _DELIVERS)


_DELIVERS = (
    f"{UP}, then wait: CloudTrail tries again by itself, and makes digests an hour after validation"
    " was turned on. If it goes on, something else keeps cloudtrail.amazonaws.com out of the"
    " bucket: a resource control policy, or the policy of its key"
)
"""What helps against a delivery that fails, or that is overdue.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetTrailStatus.html
"""


def _events_hop(watch: Watch, looks: Looks, aws: Aws) -> Hop:
    """Whether CloudTrail tells EventBridge anything in this region."""
    finding = looks[watch.trail]
    which = "our trail" if watch.owns_trail else watch.trail.name

    def hop(flow: Flow, sentence: str, *faults: Fault) -> Hop:
        return Hop("events", "EventBridge", flow, sentence, faults)

    if finding.verdict is not Verdict.UNKNOWN and finding.live and _records(finding):
        return hop(Flow.OK, "CloudTrail tells of every write")
    try:
        others = other_recorders(aws, but=watch.trail.arn)
    except TROUBLE as error:
        refused = complaint(error, "looking for other trails")
        return hop(Flow.UNKNOWN, refused.problem, _refused("trails", refused))
    if others:
        return hop(Flow.WORN, f"{others[0]} records in {which}'s stead")
    if finding.verdict is Verdict.UNKNOWN:
        return hop(Flow.UNKNOWN, f"whether {which} records cannot be told")
    return hop(Flow.CUT, "no logging trail records what is written here")


def needs(watch: Watch) -> Iterator[Grant]:
    """What `diagnose` needs: other trails, an organization's among them, and the bus's policy."""
    yield looking_at_any(watch.place.partition)
    if watch.away:
        yield allow("events", "DescribeEventBus", default_bus(watch.place))


def asked_bus(watch: Watch, aws: Aws) -> BusPolicy:
    """Ask the default bus for its policy, where the watch hangs on it; told when it is called."""
    return settled(partial(bus_policy, aws) if watch.away else list)


def _bus_hop(watch: Watch, policy: BusPolicy) -> tuple[Hop, ...]:
    """Whether the default bus takes what rules elsewhere hand on; none where there are none.

    Its policy is asked about calls, such as a forwarder's PutEvents. Nowhere is it said to keep
    back what a service of AWS tells of itself, so what is heard at home does not hang on it.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html
    """
    if not watch.away:
        return ()
    try:
        found = [(sid, flow, one) for sid, one in policy() if (flow := _kept_out(watch, one))]
    except TROUBLE as error:
        refused = complaint(error, "looking at the policy of the default event bus")
        fault = _refused("event bus default", refused)
        return (Hop("bus", "default", Flow.UNKNOWN, refused.problem, (fault,)),)
    faults = tuple(_bus_fault(watch, sid, flow) for sid, flow, _ in found)
    sentence = faults[0].sentence if faults else "takes what other regions hand on"
    return (Hop("bus", "default", worst([flow for _, flow, _ in found]), sentence, faults),)


def _kept_out(watch: Watch, statement: State) -> Flow | None:
    """What a statement of the bus's policy leaves of a forwarder's events; None for all of it."""
    bus, account = default_bus(watch.place), watch.place.account
    forwarders = {one.forwarder.arn for one in watch.away if one.forwarder}
    if not denied(statement, "events:putevents", bus, {account, *forwarders}):
        return None
    conditioned = any(one.get("condition") for one in statement.values())
    return Flow.UNKNOWN if conditioned else Flow.CUT


def _bus_fault(watch: Watch, sid: str, flow: Flow) -> Fault:
    which = f"statement {sid}" if sid else "a statement without a Sid"
    what = f"event bus default: {which} of its policy keeps out what other regions hand on"
    if flow is Flow.UNKNOWN:
        what += ", if its condition holds, which only ctwatch simulate can tell"
    doomed = f"--statement-id {sid}" if sid else "--remove-all-permissions"
    remedy = f"aws events remove-permission {doomed} --region {watch.place.region}"
    return Fault("event bus default", f"policy.{sid}".rstrip("."), what, remedy)


def _fed(watch: Watch, rule: Rule, hop: Hop, bus: Sequence[Hop]) -> Hop:
    """A rule's hop with what its events pass on their way from another region."""
    handed_on = any(rule in one.targets for one in watch.away)
    return replace(hop, flow=worst([hop.flow, *(one.flow for one in bus if handed_on)]))


def _told(rule: Rule, events: Hop) -> Hop:
    """What a rule's events pass first: a bucket tells of its objects whatever any trail does."""
    return events if rule.teller is None else Hop("events", rule.teller.name, Flow.OK, "")


def _records(finding: Finding) -> bool:
    state = _state(finding)
    if isinstance(finding.resource, GivenTrail):
        return not finding.differences
    return bool(state["logging"] and records_writes(state["selectors"]))


def _seen(regions: Sequence[str]) -> str:
    """Where else a rule hears: the first regions by name."""
    if not regions:
        return ""
    more = len(regions) - _NAMED
    return f", seen in {', '.join(regions[:_NAMED])}" + f" and {more} more" * (more > 0)


_NAMED = 2
"""Regions that a hop names."""


def _rule_hop(pair: Sequence[Rule], looks: Looks) -> Hop:
    """A rule at home with the one elsewhere that feeds it, without which it hears nothing."""
    away = pair[1:]
    forwarders = [one.forwarder for one in away if one.forwarder]
    seen = _seen([one.place.region for one in away])
    parts = [looks[one] for one in (*pair, *forwarders)]
    parts += [_as_teller(looks[one.teller]) for one in pair[:1] if one.teller]
    return _hop("rule", parts, partial(_deaf, pair), f"enabled, {pair[0].detection}{seen}")


def _as_teller(finding: Finding) -> Finding:
    """The bucket as far as it tells EventBridge of its objects, and no further."""
    told = tuple(one for one in finding.differences if one.path == "eventbridge")
    return replace(finding, differences=told)


def _deaf(pair: Sequence[Rule], finding: Finding) -> Flow:
    """What this rule, or what its events pass before it, lets pass."""
    one, state = finding.resource, _state(finding)
    if isinstance(one, Bucket | GivenBucket):
        return _unless(not state["eventbridge"])
    if isinstance(one, Role):
        may = [("events:putevents", str(rule.aims["home"]["Arn"]), rule.arn) for rule in pair[1:]]
        return _powerless(one, state, may)
    rule = next(each for each in pair if each is one)
    ways = [_aimed(rule, name, finding) for name in rule.aims if name != _RECEIPTS]
    heard = _unless(state["state"] != rule.state, not _fires(rule, state["pattern"]))
    return worst([heard, min(ways, key=_ORDER.index, default=Flow.CUT)])


_RECEIPTS = "receipts"
"""The target that tells nobody but `ctwatch simulate`."""


def _aimed(rule: Rule, name: str, finding: Finding) -> Flow:
    """Whether one of a rule's targets still gets its events, as they were meant for it."""
    ways = [_aims(live, rule.aims[name]) for live in _state(finding)["targets"].values()]
    return min(ways, key=_ORDER.index, default=Flow.CUT)


def _beside(hop: Hop, findings: Sequence[Finding]) -> Hop:
    """The hop with what stands beside it: no event passes it, but it was promised."""
    other = _hop("", findings, None, hop.sentence)
    faults = (*hop.faults, *other.faults)
    sentence = hop.sentence if hop.faults else other.sentence
    return Hop(hop.name, hop.subject, worst([hop.flow, other.flow]), sentence, faults)


# Where a target's events go, by what right, and what is sent instead of any event.
_AIM = ("Arn", "RoleArn", "Input")
# What is made of an event: of another making it cannot be told what is left.
_MADE = ("InputPath", "InputTransformer")


def _aims(target: State, aim: State) -> Flow:
    """Whether a target hands what it shall to where it shall go, and by the same right."""
    if any(target.get(key) != aim.get(key) for key in _AIM):
        return Flow.CUT
    same = all(target.get(key) == aim.get(key) for key in _MADE)
    return Flow.OK if same else Flow.UNKNOWN


def _fires(rule: Rule, pattern: Any) -> bool:
    """Whether the live pattern still fires on all that it must fire on.

    Where no example says what that is, only the pattern that was promised is believed to.
    """
    try:
        live = compiled(pattern)
    except (PatternError, TypeError):
        return False
    if not rule.fires:
        return bool(pattern == rule.wanted["pattern"])
    return all(live.matches(event) for event in rule.fires)


def _topic_hop(watch: Watch, looks: Looks) -> Hop:
    fine = "EventBridge may publish" if watch.topic.from_rules else "the function publishes"
    parts = [looks[one] for one in (watch.topic, *watch.topic.needs)]
    hop = _hop("topic", parts, partial(_shut, by_rule=watch.topic.from_rules), fine)
    look = looks[watch.topic]
    asked = [*_strangers(watch, look, pending=True)]  # who has not answered hears nothing
    return _warning(_with(hop, [*_strangers(watch, look, pending=False)]), asked)


def _taken(watch: Watch, looks: Looks, *, by_rule: bool) -> Flow:
    """What the topic, with its key, takes from EventBridge, or else from the function."""
    parts = (looks[one] for one in (watch.topic, *watch.topic.needs))
    return worst([_flow(one, partial(_shut, by_rule=by_rule)) for one in parts])


def _shut(finding: Finding, *, by_rule: bool) -> Flow:
    """What the topic, or its key, takes from EventBridge, or else from the function."""
    one, state = finding.resource, _state(finding)
    if isinstance(one, Key):
        return _unless(bool(_useless(state, one.arn, by_rule=by_rule)))
    if by_rule:
        taken = _granting(state["policy"], _EVENTS, "sns:publish", one.arn, None)
    else:  # the function's own role lets it, unless the topic forbids it
        taken = _forbidding(state["policy"], one.arn)
    key = finding.live.facts.get("key") if finding.live else None
    useless = key and _useless(key, key["arn"], by_rule=by_rule)
    return worst([taken, _of_key(state["key"], one, by_rule=by_rule), _unless(bool(useless))])


def _forbidding(policy: State, topic: str) -> Flow:
    if not denied(policy, "sns:publish", topic):
        return Flow.OK
    rest = {sid: one for sid, one in policy.items() if not _conditioned_denial(one)}
    return Flow.CUT if denied(rest, "sns:publish", topic) else Flow.UNKNOWN


def _of_key(key: str | None, topic: Resource, *, by_rule: bool) -> Flow:
    """What a topic takes with a key: who may use another one than promised is not looked at.

    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """
    if key in {None, topic.wanted["key"]}:
        return Flow.OK
    return Flow.CUT if by_rule and key == _OF_SNS else Flow.UNKNOWN


_OF_SNS = "alias/aws/sns"
"""SNS's own key, whose policy nobody can change, and which does not let EventBridge in."""
_EVENTS = "events.amazonaws.com"


def _useless(key: State, arn: str, *, by_rule: bool) -> str:
    """Why nothing can be encrypted with a key, in words that follow "its key"; "" if it can.

    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html

    Args:
        key: its state and its policy.
        arn: what the policy may call it.
        by_rule: whether it is EventBridge that has to use it.
    """
    if key["state"] != ENABLED:
        return f"is {_WORDS.get(key['state'], key['state'])}"
    deeds = _USE if by_rule else ()
    if all(granted(key["policy"], _EVENTS, deed, arn, None) for deed in deeds):
        return ""
    return f"does not let {_EVENTS} use it, for which no Condition may stand in the grant"


_USE = ("kms:generatedatakey", "kms:decrypt")
"""What has to be done with the key of a topic."""

# https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
_WORDS = {None: "not there", "Disabled": "disabled", "PendingDeletion": "waiting to be deleted"}


def _of_given_key(finding: Finding) -> Iterator[Fault]:
    """What keeps a key of the user's, which ctwatch never changes, from serving a thing."""
    one, key = finding.resource, finding.live.facts.get("key") if finding.live else None
    if not key:
        return
    by_rule = isinstance(one, Topic) and one.from_rules
    if why := _useless(key, key["arn"], by_rule=by_rule):
        remedy = _REVIVALS.get(key["state"], "Change the policy of that key, or name another")
        said = f"{one.title}: its key {key['arn']} {why}"
        yield Fault(one.title, "key", said, remedy.format(key["arn"]))


_REVIVALS = {
    None: "Name a key that is there",
    "Disabled": "aws kms enable-key --key-id {0}",
    "PendingDeletion": "aws kms cancel-key-deletion --key-id {0}, then enable-key",
}


def _strangers(watch: Watch, finding: Finding, *, pending: bool) -> Iterator[Fault]:
    """Who listens to the topic, or is asked to, besides those whom the config names.

    They are shown, never removed.
    """
    if finding.verdict is Verdict.FOREIGN or not finding.live:
        return
    known = (*watch.subscriptions, *(x for x in watch.unwanted if isinstance(x, Subscription)))
    ours = {(one.protocol, one.endpoint) for one in known}
    topic = watch.topic
    for protocol, endpoint, arn in finding.live.facts["subscriptions"]:
        if (protocol, endpoint) not in ours and (arn == PENDING) is pending:
            what = f"{topic.title}: {protocol} {endpoint} listens too, and is not in the config"
            if arn == PENDING:
                what = f"{topic.title}: {protocol} {endpoint} was asked, and is not in the config"
            remedy = _EXPIRES if arn == PENDING else f"aws sns unsubscribe --subscription-arn {arn}"
            yield Fault(topic.title, "", what, remedy)


# https://docs.aws.amazon.com/sns/latest/api/API_Unsubscribe.html
_EXPIRES = "Nobody can remove it before it is confirmed; it expires 48 hours after it was asked"


@dataclass(frozen=True)
class _Ends:
    """Where an alert can end, each without the way that leads there.

    Attributes:
        channels: what the function posts to.
        people: what the topic writes to.
        publisher: the function as it writes to the topic, where it does.
    """

    channels: tuple[Hop, ...]
    people: tuple[Hop, ...]
    publisher: Hop | None


def _ends(watch: Watch, looks: Looks, answers: Mapping[str, Answer], last: Untold) -> _Ends:
    hops = {}
    if watch.function:
        hops = {name: _channel_hop(watch, watch.function, name, looks, answers.get(name))
                for name in watch.function.channels}  # fmt: skip
    hops = {name: _heard_last(hop, answers.get(name), last) for name, hop in hops.items()}
    publisher = hops.pop(TOPIC, None)
    people = tuple(_person_hop(looks[one], one) for one in watch.people)
    return _Ends(tuple(hops.values()), people, publisher)


def _person_hop(finding: Finding, one: Subscription) -> Hop:
    hop = _hop(
        one.name, [finding], _unheard, "subscribed" if one.protocol == "sms" else "confirmed"
    )
    return _warning(hop, [*_unprotected(finding, one)] if hop.flow is Flow.OK else [])


def _unprotected(finding: Finding, one: Subscription) -> Iterator[Fault]:
    """An address that was confirmed by its link alone: so it is ended, by a link in every mail.

    https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html
    """
    facts = finding.live.facts if finding.live else {}
    if one.protocol == "email" and not facts.get("authenticated", True):
        said = f"{one.title}: confirmed, but one click on the link in any of its mails ends it"
        again = f"aws sns unsubscribe --subscription-arn {facts['arn']}"
        remedy = f"{again}, then {UP}, and with the link of the new mail: ctwatch confirm LINK"
        yield Fault(one.title, "authenticated", said, remedy)


def _reached(watch: Watch, rule: Rule, ends: _Ends, looks: Looks) -> Iterator[Flow]:
    """What of a rule's events comes through to each end that it leads to."""
    topic, function = _by_topic(watch, rule, looks), _by_function(watch, rule, looks)
    listening = _listening(watch, looks) if topic and watch.webhook else None
    for hop in ends.channels:
        yield from _best([_all(topic, listening, hop.flow), _all(function, hop.flow)])
    written = (
        _all(function, ends.publisher.flow, _published(watch, looks)) if ends.publisher else None
    )
    for hop in ends.people:
        yield from _best([_all(topic, hop.flow), _all(written, hop.flow)])


def _all(*flows: Flow | None) -> Flow | None:
    """What passes hops in a row; None where one of them is not there."""
    known = [one for one in flows if one is not None]
    return worst(known) if len(known) == len(flows) else None


def _best(ways: Sequence[Flow | None]) -> Iterator[Flow]:
    """What passes the best of the ways there are."""
    known = [one for one in ways if one is not None]
    if known:
        yield min(known, key=_ORDER.index)


def _by_topic(watch: Watch, rule: Rule, looks: Looks) -> Flow | None:
    """Through the rule's topic target and into the topic; None where it has none."""
    if "topic" not in rule.aims:
        return None
    return worst([_target_flow(rule, "topic", looks), _taken(watch, looks, by_rule=True)])


def _by_function(watch: Watch, rule: Rule, looks: Looks) -> Flow | None:
    """Through the rule's function target and into the function; None where it has none."""
    if not watch.function or "function" not in rule.aims:
        return None
    return worst(
        [_target_flow(rule, "function", looks), _may_call(watch.function, rule.arn, looks)]
    )


def _published(watch: Watch, looks: Looks) -> Flow:
    return _taken(watch, looks, by_rule=False)


def _target_flow(rule: Rule, name: str, looks: Looks) -> Flow:
    finding = looks[rule]
    if finding.verdict is Verdict.UNKNOWN:
        return Flow.UNKNOWN
    there = finding.verdict in {Verdict.OK, Verdict.DRIFTED}
    return _aimed(rule, name, finding) if there else Flow.CUT


def _listening(watch: Watch, looks: Looks) -> Flow | None:
    """From the topic into the function."""
    if not (watch.function and watch.webhook):
        return None
    heard = _flow(looks[watch.webhook], _unread)
    return worst([heard, _may_call(watch.function, watch.topic.arn, looks)])


def _may_call(function: Function, source: str, looks: Looks) -> Flow:
    """Whether the function may be invoked for this source; its other faults are not counted."""
    finding = looks[function]
    if finding.verdict not in {Verdict.OK, Verdict.DRIFTED}:
        return Flow.OK
    service = next(service for service, arn in function.invokers if arn == source)
    policy, action = _state(finding)["permissions"], "lambda:invokefunction"
    may = _granting(policy, service, action, function.arn, source)
    if may is not Flow.CUT or service == _EVENTS:
        return may
    named = _for_account(policy, function.place.account)
    by_account = granted(named, service, action, function.arn, source)
    return Flow.UNKNOWN if by_account else Flow.CUT


def _for_account(policy: State, account: str) -> State:
    """The statements without the condition that it be for our account.

    EventBridge names no account and is shut out by it; of SNS it is not said whether it does.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html
    """
    ours, found = {"aws:sourceaccount": [account]}, {}
    for sid, one in policy.items():
        tests = one.get("condition") or {}
        found[sid] = {
            **one,
            "condition": {how: what for how, what in tests.items() if what != ours},
        }
    return found


def _entered(watch: Watch, hop: Hop, looks: Looks) -> Hop:
    """A channel's hop with the ways into the function, for the reader."""
    function = watch.function
    sources = [arn for _, arn in function.invokers] if function else []
    ways = [_may_call(function, arn, looks) for arn in sources] if function else []
    flow = worst([hop.flow, *ways, *filter(None, [_listening(watch, looks)])])
    return replace(hop, flow=flow)


def _publishing(watch: Watch, role: Role) -> list[tuple[str, str, None]]:
    """What the function does as its role to write to the topic, with a key to use that too."""
    keys = [arn for actions, arn in role.grants if actions == USE]
    used = [(deed, arn, None) for arn in keys for deed in _USE]
    return [("sns:publish", watch.topic.arn, None), *used]


def _channel_hop(
    watch: Watch, function: Function, name: str, looks: Looks, answer: Answer | None
) -> Hop:
    """One channel's way: the function that serves them all, and the secret that is its own."""
    secrets = function.secrets_of(name)
    listener = (watch.webhook,) if watch.webhook else ()
    way = (function, *listener, function.role, *secrets)
    deeds = [("ssm:getparameter", secret.arn, None) for secret in secrets]
    deeds += _publishing(watch, function.role) if name == TOPIC else []
    notes = [one.note for one in way if one.note]
    notes += [_UNASKED] * (name in function.unasked) + [*_answered(answer)]
    how = "subscribed, permitted, our code" if listener else "permitted, our code"
    told = _hop(name, [looks[one] for one in way], None, "; ".join([how, *notes]))
    idle = _HARMLESS if name in function.choosy else _HARMLESS | _JUDGING
    silent = partial(_silent, deeds, idle)
    carried = [_flow(looks[one], silent) for one in (function, function.role, *secrets)]
    hop = _beside(replace(told, flow=worst(carried)), [looks[function.log_group]])
    return _with(hop, [*_unanswered(name, answer)], _REPLIES[answer.reply] if answer else Flow.OK)


_REPLIES = {
    Reply.THERE: Flow.OK,
    Reply.UNASKED: Flow.OK,
    Reply.UNHEARD: Flow.UNKNOWN,
    Reply.GONE: Flow.CUT,
}


def _answered(answer: Answer | None) -> Iterator[str]:
    """What to say of a webhook with which nothing is known to be wrong."""
    if answer and answer.reply is Reply.THERE:
        yield "answers"
    if answer and answer.reply is Reply.UNASKED:
        yield f"whether it takes alerts cannot be checked: {answer.why}"


def _unanswered(channel: str, answer: Answer | None) -> Iterator[Fault]:
    """A webhook that takes no alert, or of which that cannot be found out."""
    if not answer or answer.reply not in _AMISS:
        return
    what, remedy = _AMISS[answer.reply]
    yield Fault(f"channel {channel}", "webhook", f"{channel}: {answer.why}{what}", remedy)


_AMISS = {
    Reply.GONE: (
        ", no alert arrives",
        f"Make a new webhook for it, store its URL where the config says, then: {UP}",
    ),
    Reply.UNHEARD: (
        "",
        "Look at the network and the proxy settings here, then: ctwatch status",
    ),
}


def _heard_last(hop: Hop, answer: Answer | None, last: Untold) -> Hop:
    """The channel's hop with what became of its last alert, where AWS has given that up.

    Nothing is known to come through until one has; a webhook that answers when it is asked may have
    been mended, or may refuse what is posted to it all the same.
    """
    which = f"channel {hop.name}"
    if last.error:
        return _with(hop, [_refused(which, last.error)], Flow.UNKNOWN)
    if hop.name not in last.why:
        return hop
    said = f"{hop.name}: the last alert did not arrive: {last.why[hop.name].rstrip('.')}"
    answers = answer is not None and answer.reply is Reply.THERE
    return _with(hop, [Fault(which, UNTOLD, said, _MENDED)], Flow.WORN if answers else Flow.CUT)


UNTOLD = "untold"
"""The path of the fault that the last alert did not reach a channel: proven anew by a drill."""
_MENDED = (
    "ctwatch simulate all, once that is mended; or read the dead letters and empty their queue"
)

_UNASKED = "whether it takes alerts cannot be checked from here, ctwatch simulate proves it"


def _unheard(finding: Finding) -> Flow:
    state = _state(finding)
    stopped = not state.get("opted_in", True)
    return _unless(stopped, not state["confirmed"], state["filter"] is not None)


def _unread(finding: Finding) -> Flow:
    """As `_unheard`, for the function, which reads nothing that SNS has not wrapped."""
    return worst([_unheard(finding), _unless(_state(finding)["raw"])])


def _silent(
    deeds: Sequence[tuple[str, str, str | None]], idle: frozenset[str], finding: Finding
) -> Flow:
    """What this part of a channel's way lets pass, as far as can be told from here.

    Args:
        deeds: what the function's role must be allowed, for this channel.
        idle: the function's variables of which none keeps anything from the channel.
        finding: the part.
    """
    one = finding.resource
    if isinstance(one, Function):
        return _alive(finding, idle)
    if isinstance(one, Role):
        return _powerless(one, _state(finding), deeds)
    return _unless(*(difference.path == "value" for difference in finding.differences))


def _powerless(role: Role, state: State, deeds: Sequence[tuple[str, str, str | None]]) -> Flow:
    """Whether its service may take on a role, and do as that role what it has to.

    What a boundary or an attached policy gives or takes away is not read.

    Args:
        role: as it was promised.
        state: as it is.
        deeds: what has to be done: the action, the ARN it is done to, the ARN it is done for.
    """
    service, trust = role.service, _completed(state["trust"])
    inline = _completed(
        {(name, sid): one for name, all_ in state["inline"].items() for sid, one in all_.items()}
    )
    done = [_granting(inline, service, action, arn, None) for action, arn, _ in deeds]
    sources = {source for _, _, source in deeds} or {None}
    assumed = [_granting(trust, service, "sts:assumerole", role.arn, one) for one in sources]
    others = Flow.UNKNOWN if state["boundary"] or state["attached"] else Flow.OK
    return worst([*done, *assumed, others])


def _completed(policy: dict[Any, State]) -> State:
    """Statements with what a trust policy (its resource) and a role's own (its principal) imply."""
    implied = {"principal": {"AWS": ["*"]}, "resource": ["*"]}
    return {sid: {**_without(implied, one), **one} for sid, one in policy.items()}


def _without(implied: State, statement: State) -> State:
    """What is implied, but for what a statement says in the negative."""
    return {key: value for key, value in implied.items() if f"not{key.title()}" not in statement}


# What of the function, when it differs, stops the alert; and what may, which is not judged.
_VITAL = {"code", "role", "runtime", "handler"}
_DOUBTFUL = {"network", "layers"}
_HARMLESS = frozenset(f"CTWATCH_{name}" for name in ("LANGUAGE", "TIMEZONE", "WATCH"))
"""Variables that colour an alert. One added by others (a proxy, a wrapper) may stop it."""
_JUDGING = frozenset(
    f"CTWATCH_{name}" for name in ("BUCKET", "DELIVERIES", "KEY", "LOG_GROUP", "OWN", "TRAIL")
)
"""Variables that say what is the watch's, and so how bad it is that it was touched: told wrongly,
the notifier may keep an alert from a channel that is told of some only."""
_FAILED, _INACTIVE = "Failed", "Inactive"
"""The state of a function that Lambda could not set up, or that it has taken down meanwhile.

https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
"""
_SHORTEST = 5
"""Seconds: a cold start and a post do not surely fit into fewer."""


def _alive(finding: Finding, idle: frozenset[str]) -> Flow:
    """What it tells a channel, if all that differs of its variables is `idle`, or else perhaps."""
    state, one = _state(finding), finding.resource
    paths = {d.path for d in finding.differences}
    variables = {path.removeprefix("environment.") for path in paths if "environment." in path}
    failed = finding.live is not None and finding.live.facts.get("State") == _FAILED
    known = one.environment.keys() - _JUDGING if isinstance(one, Function) else set()
    harmful = variables - idle
    if failed or state["concurrency"] == 0 or paths & _VITAL or harmful & known:
        return Flow.CUT
    doubtful = state["timeout"] < _SHORTEST or bool(paths & _DOUBTFUL) or bool(harmful)
    return Flow.UNKNOWN if doubtful else Flow.OK


def _left_over(findings: Sequence[Finding]) -> Iterator[Hop]:
    """What an earlier config of the watch has left behind, or may have."""
    left = [one for one in findings if one.unwanted and not one.outlives]
    if left:
        yield _hop("left over", left, None, "")


def _undelivered(watch: Watch, looks: Looks) -> Hop:
    """What reached nobody: EventBridge, SNS and Lambda leave it in the dead-letter queues."""
    queues = dict.fromkeys((watch.dead_letter, *(rule.dead_letter for rule in watch.away)))
    parts = [looks[one] for one in queues]
    hop = _hop("undelivered", parts, None, "no alert was left undelivered")
    return _warning(hop, [one for part in parts for one in _dead_letters(part)])


def _dead_letters(finding: Finding) -> Iterator[Fault]:
    """What is there is of the past: of itself it says nothing of whether the next will arrive."""
    one, facts = finding.resource, finding.live.facts if finding.live else {}
    if number := facts.get("messages"):
        noun, verb = ("alerts", "wait") if number > 1 else ("alert", "waits")
        said = f"{one.title}: {number} {noun} that could not be delivered {verb} there to be read"
        where = f"--queue-url {facts['url']} --region {one.place.region}"
        read = f"aws sqs receive-message {where} shows what was missed"
        yield Fault(one.title, "messages", said, f"{read}; then: aws sqs purge-queue {where}")


def _proof_hop(watch: Watch, looks: Looks, proofs: Sequence[Remembered], now: datetime) -> Hop:
    """The last drills: that none was made is no fault, that one stayed silent is."""
    parts = [looks[watch.receipt], looks[watch.receipts]]
    silent = [
        Fault(
            watch.receipts.title,
            SILENT,
            f"{one.technique} stayed silent {ago(one.at, now)}",
            f"ctwatch simulate {one.technique}",
        )
        for one in proofs
        if not one.proven
    ]
    return _with(_hop("proof", parts, None, _proven(proofs, now)), silent)


def _took(seconds: float) -> str:
    return f"{seconds:.1f} s"


_TOGETHER = timedelta(minutes=1)
SILENT = "silent"
"""The path of the fault that a drill stayed silent: what came of a cause, and never one itself."""


def _proven(proofs: Sequence[Remembered], now: datetime) -> str:
    """The newest drill, by name the first of those that were made together."""
    if not proofs:
        return "never proven"
    together = [one for one in proofs if proofs[0].at - one.at < _TOGETHER]
    last, more = min(together, key=lambda one: one.technique), len(proofs) - 1
    told = f"{last.technique} proven {ago(last.at, now)} in {_took(last.seconds)}"
    return f"{told}, and {more} more" if more else told


def faults_of(finding: Finding) -> Iterator[Fault]:
    """Everything about a finding that is not as promised."""
    one = finding.resource
    yield from _told_by_aws(finding)
    match finding.verdict:
        case Verdict.MISSING:
            remedy = one.by_hand.get("", UP)
            yield Fault(one.title, "", f"{one.title} does not exist", remedy, missing=True)
        case Verdict.FOREIGN:
            error = foreign(finding)
            yield Fault(one.title, "", error.problem, error.hint)
        case Verdict.STRAY:
            yield Fault(one.title, "", f"{one.title} is {one.origin} of this watch", UP)
        case Verdict.UNKNOWN if finding.error:
            yield _refused(one.title, finding.error)
        case Verdict.DRIFTED:
            for difference in finding.differences:
                remedy = one.by_hand.get(difference.path, UP)
                yield Fault(one.title, difference.path, sentence(one, difference), remedy)


def _refused(what: str, error: CtwatchError) -> Fault:
    """What could not be looked at."""
    return Fault(what, "", error.problem, error.hint or "Look again in a while: ctwatch status")


def _told_by_aws(finding: Finding) -> Iterator[Fault]:
    """What AWS itself says is wrong, though all is as promised."""
    one, facts = finding.resource, finding.live.facts if finding.live else {}
    yield from _of_given_key(finding)
    yield from _of_lambda(finding)
    for fact, what in _UNDELIVERED.items():
        if facts.get(fact):
            said = f"{one.title}: the last {what} was not delivered: {facts[fact]}"
            yield Fault(one.title, "", said, _ITS_OWNER if one.given else _DELIVERS)


def _of_lambda(finding: Finding) -> Iterator[Fault]:
    """What Lambda says of the function: that it cannot run, was not changed, or sleeps.

    https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
    """
    one, facts = finding.resource, finding.live.facts if finding.live else {}
    anew = f"aws lambda delete-function --function-name {one.name} --region {one.place.region}"
    if facts.get("State") == _FAILED:
        why = f"{one.title}: Lambda cannot run it: {facts.get('StateReason')}"
        yield Fault(one.title, "", why, f"{anew}, then {UP}")
    if facts.get("LastUpdateStatus") == _FAILED:
        why = f"{one.title}: Lambda could not carry out the last change, and runs what was before"
        reason = facts.get("LastUpdateStatusReason")
        yield Fault(one.title, "", f"{why}: {reason}", f"{anew}, then {UP}")
    if facts.get("State") == _INACTIVE:
        why = f"{one.title}: it sleeps, the first alert comes late, when Lambda has woken it up"
        yield Fault(one.title, "", why, "ctwatch simulate stop-logging")


_ITS_OWNER = "Its owner sees to what it delivers to, and to the policy of that"

# https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetTrailStatus.html
_UNDELIVERED = {
    "LatestDeliveryError": "log file",
    "LatestDigestDeliveryError": "digest",
    "LatestCloudWatchLogsDeliveryError": "log event for CloudWatch Logs",
    "LatestNotificationError": "news of a log file",
}
