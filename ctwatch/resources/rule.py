"""The EventBridge rule on a region's default bus, with its targets.

What the home region does not see is seen by a rule of the region that does; its target is the home
region's default bus, where a second rule of the same pattern has the targets that tell people.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-region.html
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar, cast

from botocore.exceptions import ClientError

from ctwatch.aws import Aws, Place, code_of, unless
from ctwatch.diff import State, statements
from ctwatch.errors import AwsError
from ctwatch.patterns import PatternError, canonical
from ctwatch.permissions import Actions, allow, passing
from ctwatch.resources.base import Live, Resource, owner, pairs
from ctwatch.resources.bucket import Bucket
from ctwatch.resources.given import GivenBucket
from ctwatch.resources.queue import Queue
from ctwatch.resources.role import Role

PROOF = "ctwatch:proof:"
"""What the keys of the tags begin with that remember proofs, before the technique's name.

The value is when, how it ended, and the seconds it took: "2026-11-25T12:00:00Z proven 9.1".
"""

_GONE = "ResourceNotFoundException"
_CONCURRENT = "ConcurrentModificationException"
_WIDE = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
_MAX_AGE = 86_400
_MAX_ATTEMPTS = 185

_IDS = {"topic": "topic", "function": "function", "queue": "receipts", "rule": "home"}
"""What a target is called, by the kind of resource that it is."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule(Resource):
    """A rule and what it hands its events to.

    Attributes:
        pattern: the event pattern.
        detection: the detection it stands for.
        targets: the topic, the function, the receipts queue, each at most once; or, of a rule in
            another region, the rule at home that it feeds.
        dead_letter: where an event goes that a target refused.
        forwarder: the role that may put events on the home region's bus, of a rule elsewhere.
        read_only: whether it must hear of read-only events, too.
        fires: events that it must fire on, whole.
        text: the InputTransformer that makes text of the event for the topic; None: it is sent as
            it is.
        teller: the bucket that tells EventBridge of them itself; None where CloudTrail does.
    """

    pattern: Mapping[str, Any]
    detection: str
    targets: tuple[Resource, ...]
    dead_letter: Queue
    forwarder: Role | None = None
    read_only: bool = False
    fires: Sequence[Mapping[str, Any]] = ()
    text: State | None = None
    teller: Bucket | GivenBucket | None = None

    kind: ClassVar[str] = "rule"
    tied: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[Resource, ...]:
        """All it is given but the rule at home: what it aims at is that region's bus.

        That is always there, and neither of the two rules tells anybody without the other, so
        that neither need be the first: other regions make nothing longer.
        """
        return tuple(one for one in super().needs if not isinstance(one, Rule))

    def reads_as(self, other: Resource) -> bool:
        """Whatever it promises: only whether the wider state is enough depends on that."""
        return isinstance(other, Rule) and self.read_only == other.read_only

    @property
    def arn(self) -> str:
        """Its ARN; that of a rule on the default bus does not name the bus."""
        return self.place.arn("events", f"rule/{self.name}")

    @property
    def aims(self) -> dict[str, State]:
        """By target id, the part of it that decides where events go, and as what."""
        return {_IDS[one.kind]: self._aim(one) for one in self.targets}

    def _aim(self, target: Resource) -> State:
        if isinstance(target, Rule):
            role = {"RoleArn": self.forwarder.arn} if self.forwarder else {}
            return {"Arn": default_bus(target.place), **role}
        text = {"InputTransformer": self.text} if self.text and target.kind == "topic" else {}
        return {"Arn": target.arn, **text}

    @property
    def _targets(self) -> list[Any]:
        """Targets as PutTargets takes them; the retry policy restates EventBridge's own.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
        """
        return [
            {
                "Id": name,
                **aim,
                "RetryPolicy": {
                    "MaximumEventAgeInSeconds": _MAX_AGE,
                    "MaximumRetryAttempts": _MAX_ATTEMPTS,
                },
                "DeadLetterConfig": {"Arn": self.dead_letter.arn},
            }
            for name, aim in self.aims.items()
        ]

    @property
    def state(self) -> str:
        """The state it shall have."""
        return _WIDE if self.read_only else "ENABLED"

    @property
    def wanted(self) -> State:
        """Its pattern, enabled, and its targets by id."""
        return {
            "pattern": self._canonical,
            "state": self.state,
            "schedule": None,
            "role": None,
            "targets": _by_id(self._targets),
        }

    @property
    def overwrites(self) -> bool:
        """PutRule creates or changes.

        https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
        """
        return True

    @cached_property
    def _canonical(self) -> dict[str, Any]:
        return canonical(self.pattern)

    @property
    def actions(self) -> Actions:
        """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html."""
        mine = self.arn
        handed = (passing(self.forwarder.arn, self.forwarder.service),) if self.forwarder else ()
        return Actions(
            read=(allow("events", "DescribeRule ListTargetsByRule ListTagsForResource", mine),),
            write=(allow("events", "PutRule TagResource PutTargets RemoveTargets", mine), *handed),
            delete=(allow("events", "RemoveTargets DeleteRule", mine),),
            tampering=(allow("events", "DisableRule UntagResource", mine),),
        )

    def read(self, aws: Aws) -> Live | None:
        """Look at the rule, its targets and its tags, drills' among them."""
        rule, targets, tags = aws.together(
            lambda: unless(lambda: aws.events.describe_rule(Name=self.name), _GONE),
            lambda: unless(lambda: self.listed(aws), _GONE),
            lambda: unless(
                lambda: aws.events.list_tags_for_resource(ResourceARN=self.arn)["Tags"], _GONE
            ),
        )
        if rule is None:
            return None
        state = {
            "pattern": _pattern(rule.get("EventPattern")),
            "state": self._enough(rule.get("State")),
            "schedule": rule.get("ScheduleExpression") or None,
            "role": rule.get("RoleArn") or None,
            "targets": _by_id(targets or []),
        }
        worn = pairs(tags)
        proofs = {key.removeprefix(PROOF): worn[key] for key in worn if key.startswith(PROOF)}
        return Live(state, owner(tags), {"proofs": proofs}, worn)

    def _enough(self, state: Any) -> Any:
        """The wider state hears all that ENABLED hears."""
        return self.state if state == _WIDE else state

    def listed(self, aws: Aws) -> list[Any]:
        """Its targets as ListTargetsByRule answers them."""
        pages = aws.events.get_paginator("list_targets_by_rule").paginate(Rule=self.name)
        return [target for page in pages for target in page["Targets"]]

    def write(self, aws: Aws, live: Live | None) -> None:
        """Put the whole rule, as PutRule resets what it is not given; then its targets."""
        have = live.state if live else {"targets": {}}
        wanted = self.wanted
        if any(have.get(part) != wanted[part] for part in wanted if part != "targets"):
            self._put(aws)
        if extra := sorted(have["targets"].keys() - wanted["targets"].keys()):
            self._remove(aws, extra)
        if have["targets"] != wanted["targets"]:
            answer = aws.patiently(
                lambda: aws.events.put_targets(Rule=self.name, Targets=self._targets),
                code=("ValidationException", _CONCURRENT),  # a role just made is not known at once
                says=("cannot be assumed", _CONCURRENT),
            )
            _check(answer, self.title)

    def _remove(self, aws: Aws, ids: list[str]) -> None:
        answer = aws.patiently(
            lambda: aws.events.remove_targets(Rule=self.name, Ids=ids), code=_CONCURRENT
        )
        _check(answer, self.title)

    def _put(self, aws: Aws) -> None:
        """Put it with its tags, which AWS ignores of a rule that is there: it may be no more.

        https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
        """
        aws.patiently(
            lambda: aws.events.put_rule(
                Name=self.name,
                EventPattern=json.dumps(self.pattern, separators=(",", ":")),
                State=cast("Any", self.state),
                Description=f"{self.detection}{said_of_rule(self.watch)}",
                Tags=self.tag_list,
            ),
            code=_CONCURRENT,
        )

    def label(self, aws: Aws) -> None:
        """Put them on."""
        aws.events.tag_resource(ResourceARN=self.arn, Tags=self.tag_list)

    def tell(self, aws: Aws, proofs: Mapping[str, str]) -> None:
        """Remember the last proof of each technique on it; no part of what is compared.

        Args:
            aws: the account.
            proofs: by the technique's name, when it was, how it ended, after how many seconds.
        """
        tags: Any = [{"Key": f"{PROOF}{name}", "Value": value} for name, value in proofs.items()]
        aws.events.tag_resource(ResourceARN=self.arn, Tags=tags)

    def untie(self, aws: Aws, live: Live) -> None:
        """Remove the targets that were found, or, where that is not what it has, those it has.

        EventBridge deletes no rule that has targets.
        https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteRule.html
        """
        if ids := sorted(live.state["targets"]):
            try:
                unless(lambda: self._remove(aws, ids), _GONE)
            except AwsError:
                unless(lambda: self._remove_all(aws), _GONE)

    def delete(self, aws: Aws) -> None:
        """Delete the rule as soon as EventBridge sees its targets gone.

        One may have been put since they were found, and may not be listed yet, so each try looks.
        """
        aws.patiently(
            lambda: unless(lambda: self._delete(aws), _GONE),
            code=("ValidationException", _CONCURRENT),
            says=("targets", _CONCURRENT),
            limit=300,
        )

    def _delete(self, aws: Aws) -> None:
        try:
            aws.events.delete_rule(Name=self.name)
        except ClientError as error:
            if code_of(error) != "ValidationException" or "targets" not in str(error):
                raise
            self._remove_all(aws)
            aws.events.delete_rule(Name=self.name)

    def _remove_all(self, aws: Aws) -> None:
        if ids := [target["Id"] for target in self.listed(aws)]:
            self._remove(aws, ids)


def _check(answer: Any, title: str) -> None:
    """PutTargets and RemoveTargets answer 200 whatever became of each target.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html
    """
    if answer.get("FailedEntryCount"):
        first = answer["FailedEntries"][0]
        raise AwsError(
            f"{title}: target {first.get('TargetId')} was refused: {first.get('ErrorCode')}: "
            f"{first.get('ErrorMessage')}",
            "Run again; what is done already is not done twice.",
            code=str(first.get("ErrorCode")),
        )


def _by_id(targets: list[Any]) -> State:
    return {one["Id"]: {k: v for k, v in one.items() if k != "Id"} for one in targets}


@lru_cache(maxsize=256)
def _pattern(text: str | None) -> Any:
    """The live pattern in canonical form; as it stands where it is none that AWS would take."""
    if not text:
        return None
    try:
        return canonical(json.loads(text))
    except PatternError:
        return text


def said_of_rule(watch: str) -> str:
    """How the description of every rule of a watch ends."""
    return f", for the watch {watch}"


def bus_policy(aws: Aws) -> list[tuple[str, State]]:
    """The default bus's policy, as (Sid or "", what `diff.statements` makes of it) by statement.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeEventBus.html
    """
    policy = json.loads(aws.events.describe_event_bus().get("Policy") or "{}")
    listed = policy.get("Statement", [])
    raw = listed if isinstance(listed, list) else [listed]
    return [(one.get("Sid", ""), statements({"Statement": one})) for one in raw]


def default_bus(place: Place) -> str:
    """The ARN of the bus to which AWS's own events go."""
    return place.arn("events", "event-bus/default")
