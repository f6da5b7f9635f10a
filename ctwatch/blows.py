"""A blow: one call, or one event that is made up, and what is known of its way from the start.

A probe calls the real API on something that does not exist and that is named by us, so that nothing
can be harmed; CloudTrail records a failed call as it records any other. What no such call brings
about is SYNTHETIC: AWS is asked whether the rule would match, and the rest of the way is walked by
an event that is made up and says so; see `synthetic`. Calls that succeed are in `striking`.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from ctwatch.aws import LOGGED_OUT, THROTTLED, TROUBLE, Aws, Place, code_of, complaint
from ctwatch.diff import State
from ctwatch.errors import AwsError, CtwatchError
from ctwatch.findings import Finding
from ctwatch.proof import Receipt
from ctwatch.resources.rule import Rule
from ctwatch.synthetic import hand_over, made_up, would_match
from ctwatch.techniques import DECOY, Decoy, Probe, Synthetic, Technique
from ctwatch.watch import Watch


class On(StrEnum):
    """What a call is made on."""

    PROBE = "probe"
    CANARY = "canary"
    TRAIL = "trail"


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
        hop: "recorded", "matched", "forwarded", "topic", "function", or a channel's name or
            address.
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
    """One call that was made, or one event that was made up and handed on.

    Attributes:
        technique: which.
        target: what the call named; of an event that was made up, the name of its run.
        at: when AWS answered, in UTC, by AWS's clock in whole seconds.
        request_id: AWS's id of the call, or of handing the event on.
        answer: AWS's error code; "" when the call succeeded, which no probe's may.
        event_id: of an event that was made up.
        known: of such an event, what is known of the hops that it did not walk.
        on: what the call was made on.
        gap: seconds for which the own trail was not as promised, at the most; None where it was
            not struck.
        began: when the call was first made, where it had to be made again: what was done may be of
            an answer that was lost, whose id nobody knows; None where the first was answered.
    """

    technique: Technique
    target: str
    at: datetime
    request_id: str
    answer: str
    event_id: str = ""
    known: tuple[Rung, ...] = ()
    on: On = On.PROBE
    gap: float | None = None
    began: datetime | None = None

    def is_in(self, receipt: Receipt) -> bool:
        """Whether an alert is of this blow."""
        # A decoy's name is nobody else's; that of a trail stands in other alerts, too.
        run = self.target if self.on is On.PROBE else ""
        if self._may_be_of_a_lost_answer(receipt):
            return True
        return any(receipt.mentions(one) for one in (run, self.request_id, self.event_id) if one)

    def _may_be_of_a_lost_answer(self, receipt: Receipt) -> bool:
        """Whether it tells of such a call on the same thing, made since this was first made."""
        one = self.technique
        if self.began is None or not isinstance(one, Probe) or receipt.at < self.began:
            return False
        return receipt.mentions(one.operation) and receipt.mentions(self.target)

    @property
    def turned_away(self) -> bool:
        """Whether AWS did not even look at the call, so that it has changed nothing."""
        return AwsError("", code=self.answer).denied or self.answer in LOGGED_OUT

    @property
    def as_meant(self) -> bool:
        """Whether a probe's call was refused, as it had to be, and any other was not."""
        probing = isinstance(self.technique, Probe) and self.on is On.PROBE
        return bool(self.answer) is probing


def probe(technique: Probe, aws: Aws, place: Place) -> Blow:
    """Make the technique's call on something that does not exist.

    Raises:
        AwsError: the call never reached the service, or was throttled away.
    """
    decoy = Decoy(DECOY + secrets.token_hex(6), place)
    return called(technique, decoy.name, On.PROBE, lambda: technique.strike(aws, decoy), aws)


def called(technique: Probe, target: str, on: On, call: Callable[[], Any], aws: Aws) -> Blow:
    """Make a technique's call; AWS's refusal of it is a blow, too.

    Raises:
        AwsError: the call never reached the service, or was throttled away.
    """
    doing, start = f"calling {technique.operation} on {target}", aws.clock.monotonic()
    try:
        answer, code = call(), ""
    except ClientError as error:
        answer, code = error.response, code_of(error)
        if on is not On.PROBE and _was_done_before(technique, error):
            code = ""
        if code in THROTTLED or not answer.get("ResponseMetadata", {}).get("RequestId"):
            raise complaint(error, doing) from error
    except TROUBLE as error:
        raise complaint(error, doing) from error
    metadata, at = answer["ResponseMetadata"], aws.date(answer)
    took = timedelta(seconds=aws.clock.monotonic() - start + 1)  # AWS's date has whole seconds
    began = at - took if metadata.get("RetryAttempts") else None
    return Blow(technique, target, at, metadata["RequestId"], code, on=on, began=began)


def _was_done_before(technique: Probe, error: ClientError) -> bool:
    """Whether a trail is not there as the same call has deleted it, whose answer was lost."""
    retried = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
    deletes = technique.harm is not None and technique.harm.changes is None
    return retried and deletes and code_of(error) == "TrailNotFoundException"


def pretend(
    technique: Synthetic, rule: Rule, watch: Watch, findings: Sequence[Finding], aws: Aws
) -> Blow:
    """Ask AWS whether the rule would match, and hand what is made up to what the rule tells.

    Args:
        technique: what is made up.
        rule: at home, of the technique's detection.
        watch: whose it is.
        findings: a fresh look at the watch, for the patterns as they are.
        aws: the account.

    Raises:
        AwsError: AWS would not say, or did not take it.
        CtwatchError: there is no example of what the rule fires on.
    """
    if not rule.fires:
        raise CtwatchError(
            f"{rule.title} fires on none of the examples of {rule.detection}: nothing can be made "
            "up for it",
            f"Compare its pattern with: ctwatch detections {rule.detection}",
        )
    run = DECOY + secrets.token_hex(6)
    event = made_up(rule, run, aws.clock.now())
    pair = next(pair for pair in watch.pairs if rule in pair)
    looks = {one.resource: one for one in findings}
    trouble = [_deaf(one, looks[one], event, aws) for one in pair]
    answer = hand_over(rule, event, run, aws)
    known = [
        Rung("recorded", Proof.UNPROVABLE, note=_UNCALLED),
        _tested(next(filter(None, trouble), "")),
    ]
    if len(pair) > 1:
        known.append(Rung("forwarded", Proof.UNPROVABLE, note=_UNFORWARDED))
    request_id = answer["ResponseMetadata"]["RequestId"]
    event_id = str(event["detail"].get("eventID") or event["id"])
    return Blow(technique, run, aws.date(answer), request_id, "", event_id, tuple(known))


_UNCALLED = "cannot be proven, as no call was made"
_UNFORWARDED = "cannot be proven, as AWS takes no made-up event there"


def _tested(trouble: str) -> Rung:
    if trouble:
        return Rung("matched", Proof.SILENT, note=trouble)
    return Rung("matched", Proof.PROVEN, note="by TestEventPattern")


def _deaf(rule: Rule, look: Finding, event: State, aws: Aws) -> str:
    """Why a rule would not pass the event on; "" when it would.

    Raises:
        CtwatchError: AWS would not say.
    """
    if look.error:
        raise look.error
    if look.live is None:
        return f"{rule.title} is not there"
    if look.live.state["state"] != rule.state:
        return f"{rule.title} is in the state {look.live.state['state']}"
    if any(one.path.startswith("targets") for one in look.differences):
        return f"{rule.title} has not the targets that it shall have"
    if not would_match(rule, look.live.state["pattern"], event, aws):
        return f"{rule.title} does not match, says TestEventPattern"
    return ""
