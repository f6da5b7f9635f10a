"""EventBridge in the sandbox: an event meets the rules of its bus and goes to their targets.

    event ─ rules of the region's bus ─ pattern ─ input ─ permission ─ target
                                                              └─ retries ─ dead-letter queue ─ lost

Rules are read as they are at that moment, and each target is served on its own. What happens
behind a target (subscriptions, functions) is the business of `topics` and `functions`; a failure
there never comes back here. Every hop is told, and a failed one says what AWS would have done.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from ctwatch import patterns
from ctwatch.sandbox import resource_policies
from ctwatch.sandbox.calls import Call, Forward, Handler, Hop, Refusal, World
from ctwatch.sandbox.cloud import rules
from ctwatch.sandbox.faults import Undeliverable
from ctwatch.sandbox.functions import Functions
from ctwatch.sandbox.inbox import Inbox, Post
from ctwatch.sandbox.inputs import shape
from ctwatch.sandbox.metrics import EVENTS
from ctwatch.sandbox.queues import Queues, text
from ctwatch.sandbox.roles import Roles
from ctwatch.sandbox.topics import Topics
from ctwatch.sandbox.work import Work

_SERVICE = "events.amazonaws.com"
_ALL_MANAGEMENT = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
_ATTEMPTS, _AGE = 185, 86400
"""EventBridge's defaults: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html"""
_LONGEST_WAIT = 600.0
_REQUIRED = ("id", "detail-type", "source", "account", "time", "region", "resources")


Seen = Callable[[str, str, str], list[dict[str, Any]] | None]
"""Tells the rules of an account's bus in a region; None where there is no such bus."""


@dataclass(frozen=True)
class _Errand:
    """One event on its way to one target.

    Attributes:
        hops: how many buses handed the event on before.
        retries: how many attempts were made after the first.
    """

    event: dict[str, Any]
    rule_arn: str
    target: dict[str, Any]
    received: datetime
    hops: int = 0
    retries: int = 0

    @property
    def rule(self) -> str:
        return self.rule_arn.rsplit("/", 1)[-1]


class Delivery:
    """The back half of the sandbox: everything behind an answered call.

    Args:
        world: moto's clients, the clock, the story.
        inbox: where alerts arrive; each POST it gets is told as a hop.
        seen: the rules of a bus, as `cloud.rules` or `slowness` tells them.
    """

    def __init__(self, world: World, inbox: Inbox, seen: Seen = rules) -> None:
        self._world = world
        self._rules = seen
        self._work = Work(world.clock, self._broken)
        self._queues = Queues(world)
        self._roles = Roles(world)
        self.functions = Functions(world, self._work, self._queues, self._roles, self.publish)
        self.topics = Topics(world, inbox, self._work, self._queues, self.functions)
        self._send: dict[str, Callable[[_Errand, str], None]] = {
            "sns": self._to_topic,
            "sqs": self._to_queue,
            "lambda": self._to_function,
            "events": self._to_bus,
        }
        inbox.listen(self._arrived)

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """The operations answered here in moto's stead, by (service, operation)."""
        return {
            ("events", "PutEvents"): self._put_events,
            ("events", "TestEventPattern"): _test_event_pattern,
            **self.topics.handlers(),
            **self.functions.handlers(),
        }

    def deliver(self, event: dict[str, Any], region: str, after: float = 0.0) -> None:
        """Put an EventBridge envelope on the region's default bus; returns at once.

        Args:
            event: the envelope.
            region: the region.
            after: seconds that it takes to get there.
        """
        if after:
            self._work.later(after, partial(self._evaluate, event, region, "default", 0))
        else:
            self._enter(event, region, "default")

    @property
    def ended(self) -> int:
        """How much of what was under way has ended."""
        return self._work.ended

    def wait(self, ended: int, seconds: float) -> None:
        """Wait until more than that has ended, at most so many seconds of the clock."""
        self._work.wait(ended, seconds)

    def publish(self, arn: str, message: str) -> None:
        """Publish to a topic on behalf of a service that may."""
        self.topics.publish(arn, message)

    def idle(self, timeout: float = 10) -> bool:
        """Wait until nothing is under way, retries that wait on the clock included.

        Args:
            timeout: real seconds; False when they pass.
        """
        return self._work.idle(timeout)

    def reset(self) -> None:
        """Forget everything: what is under way, function code, confirmations."""
        self._work.drop(self.functions.end)
        self.functions.reset()
        self.topics.reset()

    def close(self) -> None:
        """End every subprocess and thread."""
        self._work.close(self.functions.end)
        self.functions.drop()

    def _enter(self, event: dict[str, Any], region: str, bus: str, hops: int = 0) -> None:
        self._work.start(partial(self._evaluate, event, region, bus, hops))

    def _evaluate(self, event: dict[str, Any], region: str, bus: str, hops: int) -> None:
        received = self._world.clock.now()
        for rule in self._rules(self._world.account, region, bus) or ():
            if self._fires(rule, event):
                self._world.metrics.count(EVENTS, "MatchedEvents", rule["Arn"])
                self._tell_fired(rule["Name"], rule["Targets"])
                for target in rule["Targets"]:
                    errand = _Errand(event, rule["Arn"], target, received, hops)
                    self._work.start(partial(self._attempt, errand))

    def _fires(self, rule: dict[str, Any], event: dict[str, Any]) -> bool:
        """Whether a rule passes an event on; a match that its state holds back is told.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
        """
        try:
            matched = patterns.matches(rule.get("EventPattern") or "{}", event)
        except patterns.PatternError:  # a schedule, or what AWS would not have let in
            return False
        if not matched:
            return False
        if rule.get("State") == "DISABLED":
            self._tell("rule", rule["Name"], False, "would match, but is disabled: AWS drops it")
            return False
        if _is_read(event) and rule.get("State") != _ALL_MANAGEMENT:
            self._tell("rule", rule["Name"], False, "would match, but read-only management events "
                       f"reach only rules in state {_ALL_MANAGEMENT}")  # fmt: skip
            return False
        return True

    def _tell_fired(self, rule: str, targets: list[dict[str, Any]]) -> None:
        names = ", ".join(target["Arn"].rsplit(":", 1)[-1] for target in targets)
        if targets:
            self._tell("rule", rule, True, f"matched, to {names}")
        else:
            self._tell("rule", rule, False, "matched, but has no target: AWS drops the event")

    def _attempt(self, errand: _Errand) -> None:
        """Try to serve a target; see what becomes of it when that fails."""
        try:
            given = shape(errand.target, errand.event, errand.rule_arn, _stamp(errand.received))
            self._hand_over(errand, given)
        except Undeliverable as fault:
            wait = self._pause(errand) if fault.retryable else None
            if wait is None:
                self._bury(errand, fault)
                return
            self._tell_target(errand, False, f"{fault.message}; AWS tries again after {wait:.0f} s")
            again = replace(errand, retries=errand.retries + 1)
            self._work.later(wait, partial(self._attempt, again))
        else:
            self._world.metrics.count(EVENTS, "Invocations", errand.rule_arn)
            self._tell_target(errand, True, "delivered")

    def _hand_over(self, errand: _Errand, given: str) -> None:
        service = errand.target["Arn"].split(":")[2]
        send = self._send.get(service)
        if send is None:
            raise Undeliverable("NO_RESOURCE", f"the sandbox has no targets of {service}")
        send(errand, given)

    def _pause(self, errand: _Errand) -> float | None:
        """Seconds until the next attempt; None when the target's retry policy is exhausted."""
        policy = errand.target.get("RetryPolicy") or {}
        wait = min(2.0**errand.retries, _LONGEST_WAIT)
        age = (self._world.clock.now() - errand.received).total_seconds()
        if errand.retries >= policy.get("MaximumRetryAttempts", _ATTEMPTS):
            return None
        return wait if age + wait <= policy.get("MaximumEventAgeInSeconds", _AGE) else None

    def _to_topic(self, errand: _Errand, given: str) -> None:
        arn = errand.target["Arn"]
        if errand.target.get("RoleArn"):
            self._by_role(errand, "sns:Publish", arn)
            self._admitted(errand, "sns:Publish", f"topic {arn.rpartition(':')[2]}")
        else:
            self.topics.admit(arn)
        self.topics.publish(arn, given)

    def _to_queue(self, errand: _Errand, given: str) -> None:
        arn, principal = errand.target["Arn"], _SERVICE
        if errand.target.get("RoleArn"):
            self._by_role(errand, "sqs:SendMessage", arn)
            self._admitted(errand, "sqs:SendMessage", f"queue {arn.rpartition(':')[2]}")
            principal = ""
        self._queues.send(arn, given, principal=principal or None, source_arn=errand.rule_arn)

    def _to_function(self, errand: _Errand, given: str) -> None:
        arn = errand.target["Arn"]
        if errand.target.get("RoleArn"):
            self._by_role(errand, "lambda:InvokeFunction", arn)
        else:
            self.functions.admit(arn, _SERVICE, errand.rule_arn)
        try:
            json.loads(given)
        except ValueError as error:
            raise Undeliverable(
                "INVALID_JSON", f"a function takes JSON only, and the input is none: {error}"
            ) from error
        self.functions.accept(arn, given)

    def _to_bus(self, errand: _Errand, given: str) -> None:
        """Hand the event itself to a bus of another region, which keeps its region and source.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-region.html
        """
        del given
        arn = errand.target["Arn"]
        if errand.hops:
            raise Undeliverable(
                "THIRD_REGION_HOP_DETECTED", "an event is handed from bus to bus only once"
            )
        if not errand.target.get("RoleArn"):
            raise Undeliverable(
                "NO_PERMISSIONS", "the target has no RoleArn, without which EventBridge may not "
                "put events on another bus"
            )  # fmt: skip
        self._by_role(errand, "events:PutEvents", arn)
        region, bus = arn.split(":")[3], arn.rsplit("/", 1)[-1]
        if rules(self._world.account, region, bus) is None:
            raise Undeliverable("NO_RESOURCE", f"event bus {bus} does not exist in {region}")
        self._admitted(errand, "events:PutEvents", f"event bus {bus} of {region}")
        self._enter(errand.event, region, bus, errand.hops + 1)

    def _admitted(self, errand: _Errand, action: str, told: str) -> None:
        """Ask the policy of a target that is reached by a role, which may have the right taken.

        That of a bus is about calls: what services tell, it is not asked of.
        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html
        """
        account = self._world.account
        decision = resource_policies.forbidden(
            account,
            errand.target["Arn"],
            principal=errand.target["RoleArn"],
            action=action,
            context={"aws:SourceArn": errand.rule_arn, "aws:SourceAccount": account},
        )
        if not decision.allowed:
            raise Undeliverable("NO_PERMISSIONS", f"{told} refuses it: {decision.reason}")

    def _by_role(self, errand: _Errand, action: str, arn: str) -> None:
        role = errand.target["RoleArn"]
        trusted = self._roles.trusts(role, _SERVICE, errand.rule_arn)
        if not trusted.allowed:
            raise Undeliverable(
                "FAILED_TO_ASSUME_ROLE", f"EventBridge cannot assume {role}: {trusted.reason}"
            )
        decision = self._roles.may(role, action, arn)
        if not decision.allowed:
            name = role.rsplit("/", 1)[-1]
            raise Undeliverable(
                "NO_PERMISSIONS", f"role {name} may not {action} on {arn}: {decision.reason}"
            )

    def _bury(self, errand: _Errand, fault: Undeliverable) -> None:
        """Send an event to the target's dead-letter queue, or tell that it is lost.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
        """
        for metric in ("Invocations", "FailedInvocations"):
            self._world.metrics.count(EVENTS, metric, errand.rule_arn)
        retried = f" after {errand.retries} retries" if errand.retries else ", without a retry"
        queue = (errand.target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue:
            self._tell_target(errand, False, f"{fault.message}; event lost{retried}: the target "
                                             "has no dead-letter queue")  # fmt: skip
            return
        name = queue.rsplit(":", 1)[-1]
        self._tell_target(errand, False, f"{fault.message}; to dead-letter queue {name}{retried}")
        body = json.dumps(errand.event, ensure_ascii=False)
        attributes = self._post_mortem(errand, fault)
        try:
            self._queues.send(
                queue, body, principal=_SERVICE, source_arn=errand.rule_arn, attributes=attributes
            )
        except Undeliverable as second:
            self._tell("queue", name, False, f"event lost: {second.message}")
        else:
            self._tell("queue", name, True, "kept what could not be delivered")

    def _post_mortem(self, errand: _Errand, fault: Undeliverable) -> dict[str, Any]:
        attributes = {
            "RULE_ARN": text(errand.rule_arn),
            "TARGET_ARN": text(errand.target["Arn"]),
            "ERROR_CODE": text(fault.code),
            "ERROR_MESSAGE": text(fault.message),
            "RETRY_ATTEMPTS": {"DataType": "Number", "StringValue": str(errand.retries)},
        }
        if fault.retryable:
            policy = errand.target.get("RetryPolicy") or {}
            most = policy.get("MaximumRetryAttempts", _ATTEMPTS)
            by_count = errand.retries >= most
            condition = "MaximumRetryAttempts" if by_count else "MaximumEventAgeInSeconds"
            attributes["EXHAUSTED_RETRY_CONDITION"] = text(condition)
        return attributes

    def _put_events(self, call: Call, _: Forward) -> dict[str, Any]:
        answers = [self._put_event(call, entry) for entry in call.params["Entries"]]
        failed = sum("ErrorCode" in answer for answer in answers)
        return {"FailedEntryCount": failed, "Entries": answers}

    def _put_event(self, call: Call, entry: dict[str, Any]) -> dict[str, str]:
        refused = _refusal(entry)
        if refused:
            return {"ErrorCode": refused[0], "ErrorMessage": refused[1]}
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": entry["DetailType"],
            "source": entry["Source"],
            "account": call.account,
            "time": f"{entry.get('Time') or call.time:%Y-%m-%dT%H:%M:%SZ}",
            "region": call.region,
            "resources": list(entry.get("Resources") or []),
            "detail": json.loads(entry["Detail"]),
        }
        bus = (entry.get("EventBusName") or "default").rsplit("/", 1)[-1]
        self._enter(event, call.region, bus)
        return {"EventId": event["id"]}

    def _arrived(self, post: Post) -> None:
        said = f"message received, {post.status}" if post.taken else f"refused with {post.status}"
        if not post.status:
            said = "connection broken before an answer"
        self._tell("webhook", post.service, post.taken, said, payload=post.payload)

    def _broken(self, error: Exception) -> None:
        said = f"the sandbox itself failed here: {type(error).__name__}: {error}"
        if isinstance(error, ClientError):
            said = f"dropped: something was removed while an event was under way: {error}"
        self._tell("rule", "sandbox", False, said)

    def _tell_target(self, errand: _Errand, ok: bool, said: str) -> None:
        service, name = errand.target["Arn"].split(":")[2], errand.target["Arn"].rsplit(":", 1)[-1]
        self._tell("rule", errand.rule, ok, f"{service} {name}: {said}", id=errand.event.get("id"))

    def _tell(self, stage: str, subject: str, ok: bool, said: str, **extra: Any) -> None:
        self._world.tell(Hop(self._world.clock.now(), stage, subject, ok, said, extra))


def _is_read(event: dict[str, Any]) -> bool:
    """Whether it is a read-only management event."""
    detail = event.get("detail") or {}
    return (
        event.get("detail-type") == "AWS API Call via CloudTrail"
        and str(event.get("source", "")).startswith("aws.")
        and detail.get("readOnly") is True
        and detail.get("eventCategory", "Management") == "Management"
    )


def _refusal(entry: dict[str, Any]) -> tuple[str, str] | None:
    """What is wrong with an entry of PutEvents, as AWS answers it entry by entry.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
    """
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            reason = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return "InvalidArgument", reason
    if entry["Source"].startswith("aws."):
        return "NotAuthorizedForSourceException", "Not authorized for the source."
    if _as_object(entry["Detail"]) is None:
        return "MalformedDetail", "Detail is malformed."
    return None


def _test_event_pattern(call: Call, _: Forward) -> dict[str, Any]:
    """Answer what moto leaves unanswered.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html
    """
    event = _as_object(call.params["Event"])
    missing = [name for name in _REQUIRED if name not in (event or {})]
    if event is None or missing:
        reason = f"Parameter Event is not valid. Reason: it lacks {', '.join(missing)}."
        raise Refusal("ValidationException", reason)
    try:
        return {"Result": patterns.matches(call.params["EventPattern"], event)}
    except patterns.PatternError as error:
        raise Refusal(
            "InvalidEventPatternException", f"Event pattern is not valid. Reason: {error}"
        ) from error


def _as_object(text: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _stamp(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
