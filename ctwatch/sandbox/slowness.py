"""`--like-aws`: what AWS has said yes to, and does not yet know everywhere.

    call ─> faster than the rate? ─> does it lean on what is too new? ─> read of what just changed?
              │ ThrottlingException      │ the refusal that AWS has         │ the answer of before
              └──────────────────────────┴────────────────> else answered as ever

A change starts a delay: something is refused for so long, or read as it was. How long, the seed
decides by the name of what was changed, so that no order of threads matters. All of it ends by
itself, and every delay that anybody notices is told once. Events, too, take their time.

What is delayed, and by whose word, stands in the constants. AWS names few numbers: where it names
none, the bounds are what users of AWS report, and short of what ctwatch is ready to wait.
"""

import json
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any
from urllib.parse import quote

from ctwatch.sandbox.calls import Call, Hop, Refusal, World
from ctwatch.sandbox.cloud import rules

Key = tuple[str, str]
Answer = Callable[[], dict[str, Any]]
Ask = Callable[[Call], dict[str, Any]]


@dataclass(frozen=True)
class Lag:
    """A delay: what it is called in the story, and between how many seconds it lasts."""

    told: str
    least: float
    most: float


ROLE = Lag("role not assumable yet", 4, 12)
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency"""

ROLE_POLICY = Lag("role's policy not in force yet", 2, 8)
"""The same page."""

ROLE_READ = Lag("role shown as it was", 0.5, 4)
"""The same page."""

BUCKET = Lag("bucket not known everywhere yet", 0.5, 3)
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel"""

BUCKET_POLICY = Lag("bucket policy not seen by CloudTrail yet", 3, 15)
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel"""

BUCKET_GONE = Lag("bucket's name not free yet", 5, 40)
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/delete-bucket.html"""

PENDING = Lag("function pending", 1, 6)
"""https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html"""

UPDATING = Lag("function's update in progress", 1, 6)
"""The same page."""

TARGETS = Lag("rule's targets not gone yet", 1, 10)
"""https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RemoveTargets.html"""

RULE = Lag("rule in force as it was", 1, 10)
"""https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html"""

QUEUE = Lag("queue not known everywhere yet", 0.2, 1)
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html"""

QUEUE_READ = Lag("queue shown as it was", 1, 15)
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"""

QUEUE_GONE = Lag("deleted queue still shown", 1, 30)
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html"""

QUEUE_NAME = Lag("queue deleted recently", 60, 60)
"""The same page."""

TOPIC_READ = Lag("topic shown as it was", 0.5, 4)
"""https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html"""

TOPIC_GONE = Lag("topic's tags not gone yet", 2, 15)
"""StaleTag: https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html"""

LISTING = Lag("subscriptions listed as they were", 1, 8)
"""https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html"""

TRAIL_READ = Lag("trail shown as it was", 1, 6)
"""https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html"""

LOADING = Lag("trail not loaded yet", 2, 8)
"""ConflictException: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StartLogging.html"""

LOG_GROUP = Lag("log group not listed yet", 0.5, 3)
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html"""

PARAMETER = Lag("parameter shown as it was", 0.5, 3)
"""https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html"""

ARRIVAL = Lag("on its way to EventBridge", 0.5, 8)
"""Near real time, on a best effort: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event.html"""

AGAIN = Lag("comes a second time", 1, 20)
"""At least once: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html"""

LOADING_SHARE = 0.3
"""How many of the trails take their time to load."""

_WRITES, _LOOKUPS, _READS = ("writes", 1), ("lookups", 2), ("reads", 10)
"""CloudTrail's calls a second, of an account in a region: https://docs.aws.amazon.com/general/latest/gr/ct.html"""

# ---------------------------------------------------------------- what a change starts

_STARTS: Mapping[Key, Lag] = {
    ("iam", "CreateRole"): ROLE,
    ("iam", "PutRolePolicy"): ROLE_POLICY,
    ("s3", "CreateBucket"): BUCKET,
    ("s3", "PutBucketPolicy"): BUCKET_POLICY,
    ("s3", "DeleteBucket"): BUCKET_GONE,
    ("lambda", "CreateFunction"): PENDING,
    ("lambda", "UpdateFunctionCode"): UPDATING,
    ("lambda", "UpdateFunctionConfiguration"): UPDATING,
    ("events", "RemoveTargets"): TARGETS,
    ("sqs", "CreateQueue"): QUEUE,
    ("sqs", "DeleteQueue"): QUEUE_NAME,
    ("sns", "DeleteTopic"): TOPIC_GONE,
    ("cloudtrail", "CreateTrail"): LOADING,
}

# What is read as it was for a while after a change; how a read names it, its other input.
_OF_ROLE: dict[str, dict[str, Any]] = {
    "GetRole": {},
    "ListRolePolicies": {},
    "ListAttachedRolePolicies": {},
}
_OF_QUEUE: dict[str, dict[str, Any]] = {
    "GetQueueUrl": {},
    "GetQueueAttributes": {"AttributeNames": ["All"]},
    "ListQueueTags": {},
}
_OF_TOPIC: dict[str, dict[str, Any]] = {"GetTopicAttributes": {}, "ListTagsForResource": {}}
_OF_LISTING: dict[str, dict[str, Any]] = {"ListSubscriptionsByTopic": {}}
_OF_TRAIL: dict[str, dict[str, Any]] = {
    "GetTrail": {},
    "GetTrailStatus": {},
    "GetEventSelectors": {},
    "GetInsightSelectors": {},
    "DescribeTrails": {"includeShadowTrails": True},
}
_OF_GROUP: dict[str, dict[str, Any]] = {"DescribeLogGroups": {}}
_LATE: Mapping[Key, tuple[Lag, dict[str, dict[str, Any]]]] = {
    ("iam", "CreateRole"): (ROLE_READ, _OF_ROLE),
    ("iam", "PutRolePolicy"): (ROLE_READ, _OF_ROLE | {"GetRolePolicy": {}}),
    ("iam", "DeleteRole"): (ROLE_READ, _OF_ROLE),
    ("sqs", "CreateQueue"): (QUEUE, _OF_QUEUE),
    ("sqs", "SetQueueAttributes"): (QUEUE_READ, _OF_QUEUE),
    ("sqs", "DeleteQueue"): (QUEUE_GONE, _OF_QUEUE),
    ("sns", "CreateTopic"): (TOPIC_READ, _OF_TOPIC | _OF_LISTING),
    ("sns", "SetTopicAttributes"): (TOPIC_READ, _OF_TOPIC),
    ("sns", "Subscribe"): (LISTING, _OF_LISTING),
    ("sns", "Unsubscribe"): (LISTING, _OF_LISTING),
    ("sns", "ConfirmSubscription"): (LISTING, _OF_LISTING),
    ("events", "PutTargets"): (TARGETS, {"ListTargetsByRule": {}}),
    ("events", "RemoveTargets"): (TARGETS, {"ListTargetsByRule": {}}),
    ("cloudtrail", "CreateTrail"): (TRAIL_READ, _OF_TRAIL),
    ("cloudtrail", "UpdateTrail"): (TRAIL_READ, _OF_TRAIL),
    ("cloudtrail", "StartLogging"): (TRAIL_READ, {"GetTrailStatus": {}}),
    ("cloudtrail", "StopLogging"): (TRAIL_READ, {"GetTrailStatus": {}}),
    ("cloudtrail", "PutEventSelectors"): (TRAIL_READ, {"GetEventSelectors": {}}),
    ("logs", "CreateLogGroup"): (LOG_GROUP, _OF_GROUP),
    ("ssm", "PutParameter"): (PARAMETER, {"GetParameter": {"WithDecryption": True}}),
}

_NAMES: Mapping[str, tuple[str, ...]] = {
    "iam": ("RoleName",),
    "s3": ("Bucket",),
    "lambda": ("FunctionName", "Resource"),
    "events": ("Rule", "Name"),
    "sqs": ("QueueName", "QueueUrl"),
    "sns": ("TopicArn", "ResourceArn", "SubscriptionArn", "Name"),
    "cloudtrail": ("Name", "TrailName", "ResourceId"),
    "logs": ("logGroupName", "logGroupNamePrefix"),
    "ssm": ("Name",),
}
"""The members of a call that name what it is about, in a name, an ARN or a URL."""

_READ_BY: Mapping[Key, str] = {
    ("sqs", "GetQueueUrl"): "QueueName",
    ("sqs", "GetQueueAttributes"): "QueueUrl",
    ("sqs", "ListQueueTags"): "QueueUrl",
    ("sns", "ListTagsForResource"): "ResourceArn",
    ("sns", "GetTopicAttributes"): "TopicArn",
    ("sns", "ListSubscriptionsByTopic"): "TopicArn",
    ("events", "ListTargetsByRule"): "Rule",
    ("cloudtrail", "GetTrail"): "Name",
    ("cloudtrail", "GetTrailStatus"): "Name",
    ("cloudtrail", "GetEventSelectors"): "TrailName",
    ("cloudtrail", "GetInsightSelectors"): "TrailName",
    ("logs", "DescribeLogGroups"): "logGroupNamePrefix",
    ("ssm", "GetParameter"): "Name",
}
_OF_ALL = {("cloudtrail", "DescribeTrails")}
"""Reads that name nothing."""


@dataclass(frozen=True)
class _Was:
    """What a read answered before a change, and until when it answers that."""

    until: float
    lag: Lag
    answer: Answer


class Slowness:
    """The delays of one sandbox.

    Args:
        world: for the clock and the story.
        seed: of all that is drawn.

    Attributes:
        twice: the share of events that come a second time.
        never: the share of those that never come: less than one in a thousand.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.twice = 0.05
        self.never = 0.0005
        self._world = world
        self._seed = seed
        self._lock = threading.RLock()
        self.forget()

    def forget(self) -> None:
        """Know of no change."""
        with self._lock:
            self._until: dict[tuple[Lag, str], float] = {}
            self._was: dict[tuple[str, str, str], list[_Was]] = defaultdict(list)
            self._rules: dict[tuple[str, str], tuple[float, dict[str, Any] | None]] = {}
            self._paced: dict[tuple[str, str], deque[float]] = defaultdict(deque)
            self._at_work: set[str] = set()
            self._events: Counter[str] = Counter()
            self._said: set[tuple[Lag, str, float]] = set()

    def answer(self, call: Call, answer: Answer, ask: Ask) -> dict[str, Any]:
        """A call's answer, as AWS gives it in these seconds.

        Args:
            call: the call.
            answer: answers it as it would be answered later.
            ask: answers another call, by which is kept how something was before.

        Raises:
            Refusal: later AWS would not refuse it, or later it would, too.
        """
        self._pace(call)
        if was := self._as_it_was(call):
            return was()
        self._refuse(call, ask)
        with self._one_at_a_time(call):
            late = self._looked(call, ask)
            rule = self._seen_rule(call)
            result = answer()
        self._changed(call, late, rule)
        return self._with_state(call, result)

    # Rates

    def _pace(self, call: Call) -> None:
        if call.service != "cloudtrail":
            return
        kind, most = _READS if _is_read(call.operation) else _WRITES
        if call.operation == "LookupEvents":
            kind, most = _LOOKUPS
        now = self._now()
        with self._lock:
            made = self._paced[call.region, kind]
            while made and made[0] <= now - 1:
                made.popleft()
            if len(made) < most:
                made.append(now)
                return
        raise Refusal("ThrottlingException", "Rate exceeded")

    # Refusals

    def _refuse(self, call: Call, ask: Ask) -> None:
        for lag, name, refusal in self._hindrances(call, ask):
            left = self._left(lag, name)
            if left > 0:
                self._say(lag, name, left)
                raise refusal

    def _hindrances(self, call: Call, ask: Ask) -> Iterator[tuple[Lag, str, Refusal]]:
        """What a call would have to wait for, if it is too new: the delay, of what, the refusal."""
        name = _about(call)
        match call.service:
            case "lambda":
                yield from _of_function(call, name, ask)
            case "events":
                yield from _of_rule(call, name)
            case "s3":
                yield from _of_bucket(call, name)
            case "cloudtrail":
                yield from _of_trail(call, name)
            case "sqs" if call.operation == "CreateQueue":
                said = "You must wait 60 seconds after deleting a queue before you can create "
                yield (
                    QUEUE_NAME,
                    name,
                    Refusal("QueueDeletedRecently", f"{said}another with the same name."),
                )
            case "sns" if call.operation == "CreateTopic":
                said = "A topic of this name was deleted with tags that are not gone yet."
                yield TOPIC_GONE, name, Refusal("StaleTag", said)

    @contextmanager
    def _one_at_a_time(self, call: Call) -> Iterator[None]:
        """S3 takes one change of a bucket's configuration at a time.

        https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        """
        name = _about(call)
        if call.service != "s3" or "Bucket" not in call.operation or _is_read(call.operation):
            yield
            return
        with self._lock:
            if name in self._at_work:
                raise _conflict()
            self._at_work.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._at_work.discard(name)

    # Late reads

    def _as_it_was(self, call: Call) -> Answer | None:
        """The answer of before a change that this read does not yet show."""
        key = (call.service, call.operation, self._read_of(call))
        now = self._now()
        with self._lock:
            shown = next((one for one in self._was.get(key, ()) if one.until > now), None)
        if shown is None or call.params.get("NextToken"):
            return None
        self._say(shown.lag, key[2], shown.until - now)
        return shown.answer

    def _read_of(self, call: Call) -> str:
        if (call.service, call.operation) in _OF_ALL:
            return call.region if not call.params.get("trailNameList") else "-"
        policy = f" {call.params['PolicyName']}" if call.operation == "GetRolePolicy" else ""
        return _about(call) + policy

    def _looked(self, call: Call, ask: Ask) -> list[tuple[str, Lag, str, Answer]]:
        """What is read of a thing before it is changed."""
        lag, reads = _LATE.get((call.service, call.operation), (ROLE_READ, {}))
        return [
            (operation, lag, self._read_of(read), _kept(partial(ask, read)))
            for operation, others in reads.items()
            for read in [_read(call, operation, others)]
        ]

    def _changed(
        self,
        call: Call,
        late: list[tuple[str, Lag, str, Answer]],
        rule: dict[str, Any] | None,
    ) -> None:
        """Begin the delays of a change that was made."""
        name, now = _about(call), self._now()
        with self._lock:
            for operation, lag, of, was in late:
                key = (call.service, operation, of)
                self._was[key].append(_Was(now + self._drawn(lag, of), lag, was))
            lag_begun = _STARTS.get((call.service, call.operation))
            if lag_begun and not (lag_begun is LOADING and not self._loads_slowly(name)):
                self._until[lag_begun, name] = now + self._drawn(lag_begun, name)
            if call.service == "events" and call.operation in _OF_RULES:
                self._rules[call.region, name] = now + self._drawn(RULE, name), rule

    def _loads_slowly(self, trail: str) -> bool:
        return self._random("loading", trail).random() < LOADING_SHARE

    # Rules and events

    def rules(self, account: str, region: str, bus: str) -> list[dict[str, Any]] | None:
        """The rules of a bus as EventBridge goes by them now."""
        found = rules(account, region, bus)
        if found is None or bus != "default":
            return found
        now = self._now()
        with self._lock:
            was = {
                name: rule
                for (where, name), (until, rule) in self._rules.items()
                if where == region and until > now
            }
        seen = [was.get(f"{region} {one['Name']}", one) for one in found]
        return [one for one in seen if one is not None]

    def _seen_rule(self, call: Call) -> dict[str, Any] | None:
        if call.service != "events" or call.operation not in _OF_RULES:
            return None
        name = call.params.get("Rule") or call.params.get("Name")
        seen = self.rules(call.account, call.region, "default") or []
        return next((one for one in seen if one["Name"] == name), None)

    def travels(self, event: Mapping[str, Any]) -> list[float]:
        """After how many seconds an event comes, once for each time that it does."""
        name = str(event.get("detail", {}).get("eventName") or event["detail-type"])
        with self._lock:
            self._events[name] += 1
            which = f"{name} {self._events[name]}"
        if self._random("never", which).random() < self.never:
            self._tell(name, "never comes to EventBridge, as rarely happens")
            return []
        after = [self._drawn(ARRIVAL, which)]
        if self._random("twice", which).random() < self.twice:
            after.append(after[0] + self._drawn(AGAIN, which))
            self._tell(name, f"{AGAIN.told}, after {after[1]:.0f} s")
        self._tell(name, f"{ARRIVAL.told}: {after[0]:.0f} s")
        return after

    # Functions

    def _with_state(self, call: Call, result: dict[str, Any]) -> dict[str, Any]:
        """A function's configuration with the state that it is in."""
        if call.service != "lambda" or call.operation not in _SHOW_STATE:
            return result
        name = _about(call)
        if self._left(PENDING, name) > 0:
            said = {"State": "Pending", "StateReasonCode": "Creating",
                    "StateReason": "The function is being created.",
                    "LastUpdateStatus": "InProgress"}  # fmt: skip
        elif self._left(UPDATING, name) > 0:
            said = {"LastUpdateStatus": "InProgress"}
        else:
            return result
        if "Configuration" in result:
            return {**result, "Configuration": {**result["Configuration"], **said}}
        return {**result, **said}

    # What all need

    def _now(self) -> float:
        return self._world.clock.monotonic()

    def _left(self, lag: Lag, name: str) -> float:
        with self._lock:
            return self._until.get((lag, name), 0.0) - self._now()

    def _drawn(self, lag: Lag, name: str) -> float:
        return self._random(lag.told, name).uniform(lag.least, lag.most)

    def _random(self, what: str, name: str) -> Random:
        return Random(f"{self._seed} {what} {name}")  # noqa: S311 - no secret hangs on it

    def _say(self, lag: Lag, name: str, left: float) -> None:
        """Tell of a delay, once."""
        until = round(self._now() + left, 1)
        with self._lock:
            if (lag, name, until) in self._said:
                return
            self._said.add((lag, name, until))
        self._tell(name.rpartition(" ")[2], f"{lag.told}: {left:.0f} s")

    def _tell(self, subject: str, text: str) -> None:
        self._world.tell(Hop(self._world.clock.now(), "delay", subject, False, text))


_SHOW_STATE = {
    *("GetFunction", "GetFunctionConfiguration", "CreateFunction"),
    *("UpdateFunctionCode", "UpdateFunctionConfiguration"),
}
_CHANGE_FUNCTION = {
    *("UpdateFunctionCode", "UpdateFunctionConfiguration", "PublishVersion", "TagResource"),
    *("AddPermission", "RemovePermission", "PutFunctionEventInvokeConfig", "DeleteFunction"),
    *("PutFunctionConcurrency", "DeleteFunctionConcurrency"),
}
_OF_RULES = {"PutRule", "PutTargets", "RemoveTargets", "EnableRule", "DisableRule"}


def _of_function(call: Call, name: str, ask: Ask) -> Iterator[tuple[Lag, str, Refusal]]:
    """https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html."""
    invalid = "InvalidParameterValueException"
    if call.operation in _CHANGE_FUNCTION:
        busy, said = "ResourceConflictException", "The operation cannot be performed at this time."
        state = f"{said} The function is currently in the following state: Pending"
        yield PENDING, name, Refusal(busy, state, 409)
        update = f"{said} An update is in progress for resource: {call.params.get('FunctionName')}"
        yield UPDATING, name, Refusal(busy, update, 409)
    if role := call.params.get("Role"):
        said = "The role defined for the function cannot be assumed by Lambda."
        yield ROLE, _last(role), Refusal(invalid, said)
    if call.operation == "PutFunctionEventInvokeConfig":
        asked = replace(
            call,
            operation="GetFunctionConfiguration",
            params={"FunctionName": _last(name.rpartition(" ")[2])},
        )
        said = "The function's execution role does not have permissions to call SendMessage"
        yield ROLE_POLICY, _last(ask(asked)["Role"]), Refusal(invalid, said)


def _of_rule(call: Call, name: str) -> Iterator[tuple[Lag, str, Refusal]]:
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteRule.html."""
    if call.operation == "DeleteRule":
        said = "Rule can't be deleted since it has targets."
        yield TARGETS, name, Refusal("ValidationException", said)
    for target in call.params.get("Targets") or []:
        if role := target.get("RoleArn"):
            said = f"Provided role '{role}' cannot be assumed by principal 'events.amazonaws.com'."
            yield ROLE, _last(role), Refusal("ValidationException", said)


def _of_bucket(call: Call, name: str) -> Iterator[tuple[Lag, str, Refusal]]:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html."""
    if call.operation == "CreateBucket":
        yield BUCKET_GONE, name, _conflict()
    elif call.operation.startswith("Put"):
        said = "The specified bucket does not exist"
        yield BUCKET, name, Refusal("NoSuchBucket", said, 404)


def _of_trail(call: Call, name: str) -> Iterator[tuple[Lag, str, Refusal]]:
    """https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html."""
    if bucket := call.params.get("S3BucketName"):
        absent = f"S3 bucket {bucket} does not exist!"
        yield BUCKET, bucket, Refusal("S3BucketDoesNotExistException", absent)
        closed = f"Incorrect S3 bucket policy is detected for bucket: {bucket}"
        yield BUCKET_POLICY, bucket, Refusal("InsufficientS3BucketPolicyException", closed)
    if role := call.params.get("CloudWatchLogsRoleArn"):
        denied = Refusal(
            "InvalidCloudWatchLogsRoleArnException",
            "Access denied. Verify in IAM that the role has adequate permissions.",
        )
        yield from ((lag, _last(role), denied) for lag in (ROLE, ROLE_POLICY))
    if not _is_read(call.operation) and call.operation != "DeleteTrail":
        said = "The specified resource is not ready for an operation. Wait a few minutes."
        yield LOADING, name, Refusal("ConflictException", said)


def _conflict() -> Refusal:
    said = "A conflicting conditional operation is currently in progress against this resource."
    return Refusal("OperationAborted", f"{said} Please try again.", 409)


def _is_read(operation: str) -> bool:
    return operation.startswith(("Describe", "Get", "List", "Head", "Lookup"))


def _about(call: Call) -> str:
    """What a call is about: its name, and before it the region where it has one."""
    given = (call.params.get(member) for member in _NAMES.get(call.service, ()))
    named = next((one for one in given if isinstance(one, str)), "")
    if call.service == "sns" and call.params.get("SubscriptionArn"):
        named = ":".join(named.split(":")[:6])  # the topic's, in the subscription's
    name = named if call.service in {"logs", "ssm"} else _last(named)
    return name if call.service in {"iam", "s3"} else f"{call.region} {name}"


def _last(name: str) -> str:
    """A bare name out of an ARN or a URL."""
    return name.rpartition("/")[2].rpartition(":")[2]


def _read(call: Call, operation: str, others: Mapping[str, Any]) -> Call:
    """The call that reads what another call changes."""
    key = (call.service, operation)
    if key in _OF_ALL:
        return replace(call, operation=operation, params=dict(others))
    member = _READ_BY.get(key, _NAMES[call.service][0])
    params = {member: _in_form(member, call), **others}
    if operation == "GetRolePolicy":
        params["PolicyName"] = call.params["PolicyName"]
    return replace(call, operation=operation, params=params)


def _in_form(member: str, call: Call) -> str:
    """What a call is about as a member of another takes it."""
    name = _about(call).rpartition(" ")[2]
    if call.service == "sns":
        return f"arn:aws:sns:{call.region}:{call.account}:{name}"
    if member == "QueueUrl":
        return str(call.params.get("QueueUrl") or f"https://sqs/{call.account}/{name}")
    return name


def _kept(ask: Answer) -> Answer:
    """The answer, or the refusal, of now, to be given again."""
    try:
        answered = ask()
    except Refusal as refusal:
        return partial(_raise, refusal)
    return lambda: _on_the_wire(answered)


def _on_the_wire(answered: Mapping[str, Any]) -> dict[str, Any]:
    """An answer with policies as IAM sends them: JSON, percent-encoded.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html
    """
    found: dict[str, Any] = {}
    for member, value in answered.items():
        if member.endswith("PolicyDocument") and isinstance(value, Mapping):
            found[member] = quote(json.dumps(value))
        else:
            found[member] = _on_the_wire(value) if isinstance(value, Mapping) else value
    return found


def _raise(refusal: Refusal) -> dict[str, Any]:
    raise Refusal(refusal.code, refusal.message, refusal.status)
