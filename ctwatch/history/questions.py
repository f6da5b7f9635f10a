"""What can be asked of the past, as data: a pattern, and what no pattern can say.

    Question ─┬─ pattern       an event pattern, as a rule's, over source, detail-type and detail
              ├─ conditions    all of them hold, too: between two times, outside these networks
              └─ columns       what is told of each record, or of each group of records

The engine here answers a question record by record, Athena by SQL made of the same object; so what
a condition means is said in its docstring and nowhere else. Pure.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, reduce
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol, TypeAlias

from ctwatch.detections import Detection, Language, Part
from ctwatch.digests import stamp
from ctwatch.history.events import Record

# What no pattern can say


class Condition(Protocol):
    """What a record must fulfil beside a pattern."""

    def holds(self, record: Record) -> bool:
        """Whether a record does."""


@dataclass(frozen=True)
class Between:
    """From one moment on, and before another, by `eventTime`.

    Times are compared as CloudTrail writes them, "2026-11-21T09:00:00Z", letter by letter; a record
    whose `eventTime` is no text is not among them.

    Attributes:
        since: the first moment that counts.
        until: the first that counts no more.
    """

    since: str
    until: str

    @classmethod
    def of(cls, since: datetime, until: datetime) -> "Between":
        """The same of two moments."""
        return cls(stamp(since), stamp(until))

    def holds(self, record: Record) -> bool:
        """Whether a record is of that time."""
        time = record.get("eventTime")
        return isinstance(time, str) and self.since <= time < self.until


@dataclass(frozen=True)
class Outside:
    """From an IP address that is in none of these networks.

    What is no address ("cloudformation.amazonaws.com", "AWS Internal") is not outside. IPv4 mapped
    into IPv6 is IPv4.

    Attributes:
        networks: CIDRs, such as "10.0.0.0/8"; none of their host bits is set.
    """

    networks: tuple[str, ...]

    def holds(self, record: Record) -> bool:
        """Whether a record's `sourceIPAddress` is outside."""
        address = _address(record.get("sourceIPAddress"))
        return address is not None and not any(address in one for one in _networks(self.networks))


@dataclass(frozen=True)
class Written:
    """No management event that only reads, as those reach no rule in the state ENABLED.

    That is one whose `readOnly` is true and whose `managementEvent` is not false.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html
    """

    def holds(self, record: Record) -> bool:
        """Whether a record reaches such a rule."""
        return record.get("readOnly") is not True or record.get("managementEvent") is False


@dataclass(frozen=True)
class Within:
    """Recorded in one of these regions, by `awsRegion`.

    Attributes:
        regions: their names.
    """

    regions: tuple[str, ...]

    def holds(self, record: Record) -> bool:
        """Whether a record was."""
        return record.get("awsRegion") in self.regions


_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_NETWORKS: dict[tuple[str, ...], list[_Network]] = {}


def _networks(texts: tuple[str, ...]) -> list[_Network]:
    if texts not in _NETWORKS:
        _NETWORKS[texts] = [ipaddress.ip_network(one) for one in texts]
    return _NETWORKS[texts]


def _address(text: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text) if isinstance(text, str) else None
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


# What is told


@dataclass(frozen=True)
class Column:
    """One column of an answer.

    Attributes:
        name: what it is called in JSON and SQL.
        titles: what people call it, by language.
        paths: where a record has it, names joined by dots, 0 for the first in a list; the first
            that is there and is neither null nor an object or a list counts, "" where none is.
    """

    name: str
    titles: tuple[tuple[Language, str], ...]
    paths: tuple[str, ...]

    def of(self, record: Record) -> str:
        """What a record says there; true and false as JSON writes them."""
        for top, ways in self._ways:
            there = record.get(top)
            if there is None:
                continue
            for steps in ways:
                if steps and isinstance(there, dict) and steps[0] not in there:
                    continue  # as it is with most ways of a column that has many
                text = _text(reduce(_below, steps, there))
                if text is not None:
                    return text
        return ""

    @cached_property
    def _ways(self) -> Sequence[tuple[str, Sequence[Sequence[str]]]]:
        """The paths, those together that begin with the same field, without it."""
        split = [path.split(".") for path in self.paths]
        return [(top, [one[1:] for one in some]) for top, some in groupby(split, itemgetter(0))]


def _below(node: Any, step: str) -> Any:
    """What a value has under a step of a path; None for nothing."""
    if step == "0":
        return node[0] if isinstance(node, list) and node else None
    return node.get(step) if isinstance(node, dict) else None


def _text(node: Any) -> str | None:
    """What is neither null nor an object or a list, as text."""
    if isinstance(node, bool):
        return str(node).lower()
    return str(node) if isinstance(node, str | int | float) else None


def _column(name: str, korean: str, english: str, *paths: str) -> Column:
    return Column(name, (("ko", korean), ("en", english)), paths)


TIME = _column("time", "시각", "time", "eventTime")
EVENT = _column("event", "이벤트", "event", "eventName")
SERVICE = _column("service", "서비스", "service", "eventSource")
_NAMED = (
    *("name", "trailName", "eventDataStore", "bucketName", "tableName", "functionName", "rule"),
    *("topicArn", "subscriptionArn", "queueUrl", "logGroupName", "stackName", "secretId"),
    *("roleName", "userName", "groupId", "groupName", "policyArn"),
    *("instancesSet.items.0.instanceId", "instanceId", "volumeId", "snapshotId", "imageId"),
    *("ModifySecurityGroupRulesRequest.GroupId", "dBInstanceIdentifier", "dBClusterIdentifier"),
    *("keyId", "aliasName", "detectorId", "configurationRecorderName", "deliveryChannelName"),
    *("resourceArn", "resourceARN", "resourceId", "roleArn"),
)
"""What calls name the thing by that they touch; what others name beside it stands behind."""

TARGET = _column(
    *("target", "대상", "target"),
    *(f"requestParameters.{one}" for one in _NAMED),
    "resources.0.ARN",
)
"""The thing that was touched, the first where there are several.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""
ACTOR = _column(
    *("actor", "주체", "who"),
    "userIdentity.sessionContext.sessionIssuer.arn",
    "userIdentity.arn",
    "userIdentity.userName",
    "userIdentity.invokedBy",
    "userIdentity.principalId",
    "userIdentity.type",
)
"""Whom an exclusion would name: behind a session, the role or user that it was issued for.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""
SESSION = _column("session", "세션", "session", "userIdentity.arn", "userIdentity.principalId")
ADDRESS = _column("address", "주소", "from", "sourceIPAddress")
REGION = _column("region", "리전", "region", "awsRegion")
RESULT = _column("result", "오류", "error", "errorCode")
REASON = _column("reason", "이유", "reason", "errorMessage")
ID = _column("event_id", "이벤트 ID", "event id", "eventID")
_MFA = _column("mfa", "MFA", "MFA", "additionalEventData.MFAUsed")
_AGENT = _column("user_agent", "사용자 에이전트", "user agent", "userAgent")

WHO_DID = (TIME, EVENT, TARGET, ACTOR, SESSION, ADDRESS, REGION, RESULT, ID)
"""Of each record by itself: who did what to what from where, and with what result."""
_TO_THIS = tuple(one for one in WHO_DID if one is not TARGET)
"""The same of a thing that was asked about, which may not be the first that a record names."""


# What is asked


@dataclass(frozen=True)
class Question:
    """Something asked of the past.

    Attributes:
        name: as the command line calls it; a detection's id, or "ID.PART".
        pattern: an event pattern.
        conditions: what must hold beside.
        columns: what is told.
        grouped: whether records that are alike in all columns are told together: how many they
            are, the first and the last of their times.
        whole: whether each record is told whole.
    """

    name: str
    pattern: Mapping[str, Any]
    conditions: tuple[Condition, ...] = ()
    columns: tuple[Column, ...] = WHO_DID
    grouped: bool = False
    whole: bool = False

    def admits(self, record: Record) -> bool:
        """Whether its conditions, beside the pattern, hold of a record."""
        return all(one.holds(record) for one in self.conditions)

    def only(self, *conditions: Condition) -> "Question":
        """The same with further conditions."""
        return replace(self, conditions=(*self.conditions, *conditions))


def of_detection(detection: Detection, parts: Sequence[Part]) -> list[Question]:
    """On what a detection would have fired: a question for each of its parts.

    Args:
        detection: which.
        parts: its parts, their words filled in (see `Detection.filled`).
    """
    names = {one.name: f"{detection.id}.{one.name}".rstrip(".") for one in parts}
    return [
        Question(names[one.name], one.pattern, () if one.read_only else (Written(),))
        for one in parts
    ]


def who_terminated(instance: str) -> Question:
    """Who terminated an instance, or tried to; Auto Scaling and Spot take some back by themselves.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-with-cloudtrail.html
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-requests.html
    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_TerminateInstanceInAutoScalingGroup.html
    """
    detail = [
        {
            "eventName": ["TerminateInstances"],
            "requestParameters": {"instancesSet": {"items": {"instanceId": [instance]}}},
        },
        {
            "eventName": ["TerminateInstanceInAutoScalingGroup"],
            "requestParameters": {"instanceId": [instance]},
        },
        {
            "eventName": ["BidEvictedEvent"],
            "serviceEventDetails": {"instanceIdSet": [instance]},
        },
    ]
    return Question("who-terminated", {"detail": {"$or": detail}}, columns=_TO_THIS)


def who_changed_security_group(group: str) -> Question:
    """Who changed a security group: its rules, their descriptions, itself.

    Who names it by name in place of its id has the id only in what EC2 answers.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-rules.html
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html
    """
    changes = [
        *("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"),
        *("RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"),
        *("UpdateSecurityGroupRuleDescriptionsIngress", "DeleteSecurityGroup"),
        *("UpdateSecurityGroupRuleDescriptionsEgress", "AssociateSecurityGroupVpc"),
        "DisassociateSecurityGroupVpc",
    ]
    modified = {"ModifySecurityGroupRulesRequest": {"GroupId": [group]}}
    itself = ["CreateSecurityGroup", "DeleteSecurityGroup"]
    ruled = {"items": {"groupId": [group]}}
    detail = [
        {"eventName": changes, "requestParameters": {"groupId": [group]}},
        {"eventName": ["ModifySecurityGroupRules"], "requestParameters": modified},
        {"eventName": itself, "responseElements": {"groupId": [group]}},
        {"eventName": changes, "responseElements": {"securityGroupRuleSet": ruled}},
        {"eventName": changes, "responseElements": {"revokedSecurityGroupRuleSet": ruled}},
    ]
    return Question("who-changed-security-group", {"detail": {"$or": detail}}, columns=_TO_THIS)


def outside(networks: Sequence[str]) -> Question:
    """What came from addresses that are in none of these networks, together by who and whence.

    Args:
        networks: CIDRs, without host bits.
    """
    return Question(
        "outside",
        {"detail": {"sourceIPAddress": [{"exists": True}]}},
        (Outside(tuple(networks)),),
        (ADDRESS, ACTOR, SERVICE, EVENT, RESULT),
        grouped=True,
    )


# As the metric filter of the CIS benchmark has it, and what EC2 and others write before or behind.
# https://docs.aws.amazon.com/securityhub/latest/userguide/cloudwatch-controls.html#cloudwatch-2
_DENIALS = (
    {"prefix": "AccessDenied"},
    {"suffix": "AccessDenied"},
    {"suffix": "UnauthorizedOperation"},
    {"prefix": "AuthorizationError"},
    {"suffix": "NotAuthorized"},
)


def denied(by: str = "") -> Question:
    """What was denied for want of permission, together by who and what.

    Args:
        by: the ARN of a user, a role or a session; "" for anybody.
    """
    asked = {"errorCode": list(_DENIALS)}
    pattern = _done_by(by, asked) if by else {"detail": asked}
    columns = (ACTOR, SERVICE, EVENT, RESULT, ADDRESS)
    return Question("denied", pattern, columns=columns, grouped=True)


def failed_logins() -> Question:
    """The sign-ins to the console that failed.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-aws-console-sign-in-events.html
    """
    asked = {"eventName": ["ConsoleLogin"], "responseElements": {"ConsoleLogin": ["Failure"]}}
    columns = (TIME, ACTOR, ADDRESS, REGION, REASON, _MFA, _AGENT, ID)
    return Question("failed-logins", {"detail": asked}, columns=columns)


def root() -> Question:
    """What the root user did, reading too, but not what a service did on its behalf."""
    asked = {"userIdentity": {"type": ["Root"], "invokedBy": [{"exists": False}]}}
    columns = (SERVICE, EVENT, ADDRESS, REGION, RESULT)
    return Question("root", {"detail": asked}, columns=columns, grouped=True)


def actor(arn: str, around: datetime, reach: timedelta) -> Question:
    """What somebody did around a time, one thing after the other.

    Args:
        arn: of a user, a role (whose sessions count, too) or a session.
        around: the time.
        reach: how far before and after.
    """
    when = Between.of(around - reach, around + reach + timedelta(seconds=1))
    columns = (TIME, SERVICE, EVENT, TARGET, ADDRESS, REGION, RESULT, SESSION, ID)
    return Question("actor", _done_by(arn, {}), (when,), columns)


def one_event(event_id: str) -> Question:
    """The event of an id; of one that concerns two accounts, each has a record."""
    return Question("event", {"detail": {"eventID": [event_id]}}, whole=True)


def stops() -> Question:
    """What stopped, narrowed or took away the logging, or began it anew: for `gaps`."""
    names = [
        *("StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"),
        *("StartLogging", "CreateTrail"),
    ]
    asked = {"eventSource": ["cloudtrail.amazonaws.com"], "eventName": names}
    return Question("gaps", {"detail": asked})


def _done_by(arn: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody did himself, and what was done in sessions that were issued for him."""
    issuer = {"sessionContext": {"sessionIssuer": {"arn": [arn]}}}
    identities = ({"arn": [arn]}, issuer)
    return {"detail": {**asked, "$or": [{"userIdentity": one} for one in identities]}}


NAMES = (
    *("who-terminated", "who-changed-security-group", "outside", "denied", "failed-logins"),
    *("root", "actor", "gaps", "event"),
)
"""The standing questions, as the command line calls them."""
