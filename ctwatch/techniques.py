"""The drills: what an intruder does, done to what does not exist, and what can only be made up.

    Probe       one complete and valid call of the real API; it names a decoy of ours, and fails;
                some, with their Harm, can be made on a trail that exists as well (see `striking`)
    Synthetic   what no harmless call brings about; proven by an event that is made up and says so

A decoy is a name that begins with `ctwatch-probe-` and ends in a run id. What may be called is
narrow, and a test reads every call: it names the decoy and nothing of anybody's; AWS refuses it
because there is no such thing, so that it is none that creates or overwrites what it names, and
none that succeeds where nothing is to be deleted; and it is about its target alone, never about
the account. What AWS refuses for its form may not be recorded at all: the names are well formed.

Which decoy it is, and what is proven afterwards, is `simulate`'s affair.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, Literal

from botocore import xform_name

from ctwatch.aws import Aws, Place
from ctwatch.diff import State
from ctwatch.errors import ConfigError
from ctwatch.permissions import Grant, allow
from ctwatch.resources.trail import recorded

ALL = "all"

DECOY = "ctwatch-probe-"
"""What the name of every decoy begins with; the notifier labels such an alert a drill."""


@dataclass(frozen=True)
class Decoy:
    """A name of ours that nothing bears, and what AWS makes of it.

    Attributes:
        name: "ctwatch-probe-" and the run id, lower-case letters and digits.
        place: whose it would be.
    """

    name: str
    place: Place

    def arn(self, service: str, kind: str = "") -> str:
        """The ARN it would have in the home region; `kind` stands before the name, "trail/"."""
        return self.place.arn(service, kind + self.name)

    @property
    def role_arn(self) -> str:
        """The ARN of a role of this name."""
        return self.place.role_arn(self.name)

    @property
    def alias(self) -> str:
        """The alias of a KMS key."""
        return f"alias/{self.name}"

    @property
    def queue_url(self) -> str:
        """The URL of a queue."""
        return self.place.queue_url(self.name)

    @property
    def bucket(self) -> dict[str, str]:
        """A bucket that no other account can own, and a refusal if one did all the same.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
        """
        return {"Bucket": self.bucket_name, "ExpectedBucketOwner": self.place.account}

    @property
    def bucket_name(self) -> str:
        """Of the account's own namespace in its region."""
        return f"{self.name}-{self.place.account}-{self.place.region}-an"


@dataclass(frozen=True)
class Technique:
    """One way to do what a detection must tell of.

    Attributes:
        name: how it is asked for, "stop-logging".
        story: what an intruder gains by it.
        detection: the detection that must tell.
    """

    name: str
    story: str
    detection: str

    kind: ClassVar[Literal["probe", "synthetic"]]


@dataclass(frozen=True, eq=False)
class Harm:
    """What the same call does to a trail that exists, so that it can be undone.

    Attributes:
        asked: its parameters, by the trail's ARN.
        changes: what of the trail's promise is otherwise afterwards; None: the trail is gone.
    """

    asked: Callable[[str], Mapping[str, Any]]
    changes: State | None


@dataclass(frozen=True)
class Probe(Technique):
    """A call that fails because what it names does not exist.

    Attributes:
        service: botocore's name of the service.
        operation: the API operation.
        asked: its parameters.
        elsewhere: whether it is recorded in us-east-1 wherever it is made.
        harm: how it is made on a trail that exists; None where that is not done.
    """

    service: str
    operation: str
    asked: Callable[[Decoy], Mapping[str, Any]]
    elsewhere: bool = False
    harm: Harm | None = None

    kind = "probe"

    def strike(self, aws: Aws, decoy: Decoy) -> Any:
        """Make the call; lets botocore's ClientError pass."""
        return self._call(aws, self.asked(decoy))

    def hurt(self, aws: Aws, trail: str) -> Any:
        """Make the call on a trail that exists; lets botocore's ClientError pass."""
        if self.harm is None:
            raise ValueError(f"{self.name} is struck on nothing that exists")
        return self._call(aws, self.harm.asked(trail))

    def _call(self, aws: Aws, parameters: Mapping[str, Any]) -> Any:
        return getattr(aws.client(self.service), xform_name(self.operation))(**parameters)

    def hurting(self, trail: str) -> Grant:
        """What lets `hurt` through, by the trail's ARN."""
        return allow(self.service, self.operation, trail)

    def needs(self, place: Place) -> tuple[Grant, ...]:
        """What lets the call through to decoys, and to nothing else.

        None where IAM cannot tell a decoy from what is not one: AWS then refuses the call for
        want of permission, and CloudTrail records that as well.
        """
        named = _NAMED.get(self.service, {})
        arns = named.get(self.operation, named.get(ALL, lambda _: ()))(Decoy(f"{DECOY}*", place))
        action = _IN_IAM.get(self.operation, self.operation)
        return (allow(self.service, action, *arns),) if arns else ()


@dataclass(frozen=True)
class Synthetic(Technique):
    """What is proven by an event that is made up.

    Attributes:
        why: why no harmless call brings it about.
    """

    why: str

    kind = "synthetic"


_Named = Callable[[Decoy], tuple[str, ...]]


def _of(service: str, kind: str = "", end: str = "") -> dict[str, _Named]:
    """Of what the calls of a service are, whichever they are."""
    return {ALL: lambda decoy: (decoy.arn(service, kind) + end,)}


# What an action is on, by service and operation. Not here, as no ARN of a decoy confines them:
# ec2:AuthorizeSecurityGroupIngress (a group's ARN holds its id, not its name),
# config:DeleteDeliveryChannel and sns:SetSubscriptionAttributes (which take none).
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
_NAMED: dict[str, dict[str, _Named]] = {
    "cloudtrail": {
        **_of("cloudtrail", "trail/"),
        "DeleteResourcePolicy": lambda decoy: (decoy.arn("cloudtrail", "dashboard/"),),
    },
    "config": {
        "StopConfigurationRecorder": lambda decoy: (
            f"{decoy.arn('config', 'configuration-recorder/')}/*",
        )
    },
    "dynamodb": _of("dynamodb", "table/"),
    "events": _of("events", "rule/"),
    "guardduty": _of("guardduty", "detector/"),
    "iam": {ALL: lambda decoy: (decoy.role_arn,)},
    "kms": {
        **_of("kms", "key/"),
        "DeleteAlias": lambda decoy: (decoy.arn("kms", "alias/"), decoy.arn("kms", "key/")),
        "UpdateAlias": lambda decoy: (decoy.arn("kms", "alias/"), decoy.arn("kms", "key/")),
    },
    "lambda": _of("lambda", "function:"),
    "logs": _of("logs", "log-group:", ":*"),
    "s3": {ALL: lambda decoy: (decoy.place.bucket_arn(decoy.bucket_name),)},
    "sns": {"SetTopicAttributes": lambda decoy: (decoy.arn("sns"),)},
    "sqs": _of("sqs"),
    "ssm": _of("ssm", "parameter/"),
    "sts": {ALL: lambda decoy: (decoy.role_arn,)},
}

_IN_IAM = {
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
}
"""Operations that IAM calls otherwise."""


_EXPIRE_AT_ONCE = {
    "Rules": [
        {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    ]
}
_EVERY_MANAGEMENT_EVENT = {"ReadWriteType": "All", "IncludeManagementEvents": True}
# All but what is done with keys: what the drill itself does is recorded all the same.
_ALL_BUT_KEYS = {
    **_EVERY_MANAGEMENT_EVENT,
    "ExcludeManagementEventSources": ["kms.amazonaws.com"],
}
# RFC 5737: an address that is nobody's.
_SSH_FROM_NOBODY = {
    "IpProtocol": "tcp",
    "FromPort": 22,
    "ToPort": 22,
    "IpRanges": [{"CidrIp": "192.0.2.1/32"}],
}


def _locked_out(decoy: Decoy) -> str:
    """A key's policy that lets nobody but the account itself use it: not CloudTrail."""
    root = f"arn:{decoy.place.partition}:iam::{decoy.place.account}:root"
    statement = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Id": decoy.name, "Version": "2012-10-17", "Statement": [statement]})


def _denying(decoy: Decoy) -> str:
    """A topic's policy that lets nobody publish."""
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish"}
    statement = {**deny, "Resource": decoy.arn("sns")}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


_TRAIL = (
    Probe(
        "stop-logging",
        "The trail stays and looks well, and records nothing from now on.",
        "trail-tampering",
        "cloudtrail",
        "StopLogging",
        lambda decoy: {"Name": decoy.name},
        harm=Harm(lambda trail: {"Name": trail}, {"logging": False}),
    ),
    Probe(
        "delete-trail",
        "The trail goes, and with it the order to keep any log at all.",
        "trail-tampering",
        "cloudtrail",
        "DeleteTrail",
        lambda decoy: {"Name": decoy.name},
        harm=Harm(lambda trail: {"Name": trail}, None),
    ),
    Probe(
        "update-trail-bucket",
        "The log goes to another bucket from now on.",
        "trail-tampering",
        "cloudtrail",
        "UpdateTrail",
        lambda decoy: {"Name": decoy.name, "S3BucketName": decoy.bucket_name},
    ),
    Probe(
        "update-trail-multi-region",
        "The trail covers one region, and all others are free to work in.",
        "trail-tampering",
        "cloudtrail",
        "UpdateTrail",
        lambda decoy: {"Name": decoy.name, "IsMultiRegionTrail": False},
        harm=Harm(
            lambda trail: {"Name": trail, "IsMultiRegionTrail": False}, {"multi_region": False}
        ),
    ),
    Probe(
        "update-trail-global-events",
        "IAM, STS and root sign-ins are left out of the log.",
        "trail-tampering",
        "cloudtrail",
        "UpdateTrail",
        lambda decoy: {"Name": decoy.name, "IncludeGlobalServiceEvents": False},
        harm=Harm(
            lambda trail: {"Name": trail, "IncludeGlobalServiceEvents": False},
            {"global_events": False},
        ),
    ),
    Probe(
        "update-trail-validation",
        "Log files can be altered, and nothing will show it.",
        "trail-tampering",
        "cloudtrail",
        "UpdateTrail",
        lambda decoy: {"Name": decoy.name, "EnableLogFileValidation": False},
        harm=Harm(
            lambda trail: {"Name": trail, "EnableLogFileValidation": False}, {"validation": False}
        ),
    ),
    Probe(
        "update-trail-kms",
        "The log is encrypted with a key that its owner does not hold.",
        "trail-tampering",
        "cloudtrail",
        "UpdateTrail",
        lambda decoy: {"Name": decoy.name, "KmsKeyId": decoy.alias},
    ),
    Probe(
        "update-trail-sns",
        "Whoever waits for word of new log files waits in vain.",
        "trail-tampering",
        "cloudtrail",
        "UpdateTrail",
        lambda decoy: {"Name": decoy.name, "SnsTopicName": decoy.name},
    ),
    Probe(
        "put-event-selectors",
        "The trail logs on, but no longer what the intruder does.",
        "trail-tampering",
        "cloudtrail",
        "PutEventSelectors",
        lambda decoy: {"TrailName": decoy.name, "EventSelectors": [_EVERY_MANAGEMENT_EVENT]},
        harm=Harm(
            lambda trail: {"TrailName": trail, "EventSelectors": [_ALL_BUT_KEYS]},
            {"selectors": recorded({"EventSelectors": [_ALL_BUT_KEYS]})},
        ),
    ),
    Probe(
        "put-insight-selectors",
        "Insights is off: no unusual rate of calls is noticed.",
        "trail-reconfiguration",
        "cloudtrail",
        "PutInsightSelectors",
        lambda decoy: {"TrailName": decoy.name, "InsightSelectors": []},
    ),
    Probe(
        "start-logging",
        "Logging is on again, as if it had never been off.",
        "trail-reconfiguration",
        "cloudtrail",
        "StartLogging",
        lambda decoy: {"Name": decoy.name},
        harm=Harm(lambda trail: {"Name": trail}, {}),
    ),
    Probe(
        "remove-tags",
        "The trail loses the tag that says whose it is.",
        "trail-reconfiguration",
        "cloudtrail",
        "RemoveTags",
        lambda decoy: {
            "ResourceId": decoy.arn("cloudtrail", "trail/"),
            "TagsList": [{"Key": decoy.name}],
        },
    ),
    # Of what has a policy, a dashboard alone has a name that can be chosen.
    Probe(
        "delete-resource-policy",
        "What is kept in CloudTrail Lake loses the policy that kept others out.",
        "trail-reconfiguration",
        "cloudtrail",
        "DeleteResourcePolicy",
        lambda decoy: {"ResourceArn": decoy.arn("cloudtrail", "dashboard/")},
    ),
)

_LOG = (
    Probe(
        "delete-bucket-policy",
        "CloudTrail may no longer write to the bucket.",
        "log-bucket-tampering",
        "s3",
        "DeleteBucketPolicy",
        lambda decoy: decoy.bucket,
    ),
    Probe(
        "put-bucket-lifecycle",
        "S3 itself deletes every log file within a day.",
        "log-bucket-tampering",
        "s3",
        "PutBucketLifecycleConfiguration",
        lambda decoy: {**decoy.bucket, "LifecycleConfiguration": _EXPIRE_AT_ONCE},
    ),
    Probe(
        "put-bucket-versioning",
        "A log file that is overwritten or deleted cannot be had back.",
        "log-bucket-tampering",
        "s3",
        "PutBucketVersioning",
        lambda decoy: {**decoy.bucket, "VersioningConfiguration": {"Status": "Suspended"}},
    ),
    Probe(
        "delete-public-access-block",
        "The log can be opened to the whole internet.",
        "log-bucket-tampering",
        "s3",
        "DeletePublicAccessBlock",
        lambda decoy: decoy.bucket,
    ),
    Probe(
        "disable-key",
        "CloudTrail can write no log any more, and nobody can read what is there.",
        "log-key-tampering",
        "kms",
        "DisableKey",
        lambda decoy: {"KeyId": decoy.name},
    ),
    Probe(
        "schedule-key-deletion",
        "The same at once, and once the key is gone the logs are unreadable for ever.",
        "log-key-tampering",
        "kms",
        "ScheduleKeyDeletion",
        lambda decoy: {"KeyId": decoy.name, "PendingWindowInDays": 30},
    ),
    Probe(
        "put-key-policy",
        "The key is as it was, but CloudTrail may not use it.",
        "log-key-tampering",
        "kms",
        "PutKeyPolicy",
        lambda decoy: {"KeyId": decoy.name, "Policy": _locked_out(decoy)},
    ),
    Probe(
        "disable-key-rotation",
        "The key is never renewed: who once had it will read every log to come.",
        "log-key-tampering",
        "kms",
        "DisableKeyRotation",
        lambda decoy: {"KeyId": decoy.name},
    ),
    Probe(
        "delete-imported-key-material",
        "A key that was brought along loses what makes it a key.",
        "log-key-tampering",
        "kms",
        "DeleteImportedKeyMaterial",
        lambda decoy: {"KeyId": decoy.name},
    ),
    Probe(
        "revoke-grant",
        "Whoever was let in by a grant can use the key no longer.",
        "log-key-tampering",
        "kms",
        "RevokeGrant",
        lambda decoy: {"KeyId": decoy.name, "GrantId": decoy.name},
    ),
    Probe(
        "update-alias",
        "The key's name leads to another key from now on.",
        "log-key-tampering",
        "kms",
        "UpdateAlias",
        lambda decoy: {"AliasName": decoy.alias, "TargetKeyId": decoy.name},
    ),
    Probe(
        "delete-alias",
        "The key's name points nowhere: what is encrypted by it can no longer be written.",
        "log-key-tampering",
        "kms",
        "DeleteAlias",
        lambda decoy: {"AliasName": decoy.alias},
    ),
    Synthetic(
        "log-object-deletion",
        "The traces are removed where they are kept.",
        "log-object-deletion",
        "S3 announces only the deletion of what was there, and no log file is given up for a drill",
    ),
)

# What is not among them, as AWS answers them with success where there is nothing: DeleteRule,
# DeleteTopic, Unsubscribe, DeleteQueue.
_PIPELINE = (
    Probe(
        "disable-rule",
        "The rule is there, and matches nothing any more.",
        "pipeline-tampering",
        "events",
        "DisableRule",
        lambda decoy: {"Name": decoy.name},
    ),
    Probe(
        "remove-targets",
        "The rule matches, and tells nobody.",
        "pipeline-tampering",
        "events",
        "RemoveTargets",
        lambda decoy: {"Rule": decoy.name, "Ids": [decoy.name]},
    ),
    Probe(
        "set-topic-attributes",
        "The topic's policy keeps EventBridge out.",
        "pipeline-tampering",
        "sns",
        "SetTopicAttributes",
        lambda decoy: {
            "TopicArn": decoy.arn("sns"),
            "AttributeName": "Policy",
            "AttributeValue": _denying(decoy),
        },
    ),
    Probe(
        "set-subscription-attributes",
        "A filter that nothing passes keeps every alert from one listener.",
        "pipeline-tampering",
        "sns",
        "SetSubscriptionAttributes",
        lambda decoy: {
            "SubscriptionArn": f"{decoy.arn('sns')}:00000000-0000-4000-8000-000000000000",
            "AttributeName": "FilterPolicy",
            "AttributeValue": json.dumps({decoy.name: ["nothing"]}),
        },
    ),
    Probe(
        "delete-function",
        "No channel is told any more.",
        "pipeline-tampering",
        "lambda",
        "DeleteFunction",
        lambda decoy: {"FunctionName": decoy.name},
    ),
    Probe(
        "put-function-concurrency",
        "The function is there, and never runs.",
        "pipeline-tampering",
        "lambda",
        "PutFunctionConcurrency",
        lambda decoy: {"FunctionName": decoy.name, "ReservedConcurrentExecutions": 0},
    ),
    Probe(
        "delete-log-group",
        "What the function did and could not do is forgotten.",
        "pipeline-tampering",
        "logs",
        "DeleteLogGroup",
        lambda decoy: {"logGroupName": decoy.name},
    ),
    Probe(
        "delete-parameter",
        "The function no longer knows where to post.",
        "pipeline-tampering",
        "ssm",
        "DeleteParameter",
        lambda decoy: {"Name": decoy.name},
    ),
    Probe(
        "purge-queue",
        "What could not be delivered, and waits to be seen, is gone.",
        "pipeline-tampering",
        "sqs",
        "PurgeQueue",
        lambda decoy: {"QueueUrl": decoy.queue_url},
    ),
    Probe(
        "delete-role-policy",
        "The function may do nothing any more; the quietest way to end all alerts.",
        "pipeline-tampering",
        "iam",
        "DeleteRolePolicy",
        lambda decoy: {"RoleName": decoy.name, "PolicyName": decoy.name},
        elsewhere=True,
    ),
)

_ACCOUNT = (
    Synthetic(
        "root-login",
        "Whoever is root may do everything.",
        "root-login",
        "nobody signs in to the console by an API, as root or otherwise",
    ),
    Synthetic(
        "root-activity",
        "Whoever is root may do everything, and no policy of the account stops it.",
        "root-activity",
        "it takes the root user's credentials, which nobody should have at hand for a drill",
    ),
    Synthetic(
        "console-login-failure",
        "Passwords are tried until one fits.",
        "console-login-failure",
        "nobody signs in to the console by an API",
    ),
    Probe(
        "assume-role",
        "Another role has the rights that this one lacks.",
        "assume-role",
        "sts",
        "AssumeRole",
        lambda decoy: {"RoleArn": decoy.role_arn, "RoleSessionName": decoy.name},
    ),
    Probe(
        "delete-table",
        "A table is gone with all that is in it.",
        "dynamodb-delete-table",
        "dynamodb",
        "DeleteTable",
        lambda decoy: {"TableName": decoy.name},
    ),
    Probe(
        "authorize-security-group-ingress",
        "A door stays open for later.",
        "security-group-ingress",
        "ec2",
        "AuthorizeSecurityGroupIngress",
        lambda decoy: {"GroupName": decoy.name, "IpPermissions": [_SSH_FROM_NOBODY]},
    ),
    Probe(
        "delete-detector",
        "GuardDuty is off, and its findings are gone.",
        "guardduty-tampering",
        "guardduty",
        "DeleteDetector",
        lambda decoy: {"DetectorId": decoy.name},
    ),
    Probe(
        "update-detector",
        "GuardDuty is there, and looks at nothing.",
        "guardduty-tampering",
        "guardduty",
        "UpdateDetector",
        lambda decoy: {"DetectorId": decoy.name, "Enable": False},
    ),
    Probe(
        "stop-configuration-recorder",
        "AWS Config no longer notes what is changed.",
        "config-recorder-tampering",
        "config",
        "StopConfigurationRecorder",
        lambda decoy: {"ConfigurationRecorderName": decoy.name},
    ),
    Probe(
        "delete-delivery-channel",
        "AWS Config's history reaches nobody.",
        "config-recorder-tampering",
        "config",
        "DeleteDeliveryChannel",
        lambda decoy: {"DeliveryChannelName": decoy.name},
    ),
    Synthetic(
        "organization-leave",
        "Outside its organization the account is free of every limit.",
        "organization-leave",
        "its calls name no target, or an account by its number, which cannot be a name of ours",
    ),
    Synthetic(
        "insight",
        "Much is done, or tried, in a short time.",
        "insight",
        "CloudTrail works it out by itself, from what is usual over weeks",
    ),
)

TECHNIQUES: dict[str, Technique] = {
    one.name: one for one in (*_TRAIL, *_LOG, *_PIPELINE, *_ACCOUNT)
}


def techniques_of(detection: str) -> list[Technique]:
    """All that a detection is proven by, in the order of the table."""
    return [one for one in TECHNIQUES.values() if one.detection == detection]


def chosen(names: Sequence[str], listened: Collection[str] | None = None) -> list[Technique]:
    """The techniques of these names, each once, in the order asked for.

    Args:
        names: of techniques; of detections, which mean all of theirs; of calls, "update-trail",
            which mean all that make it; `all` means all that the watch listens for.
        listened: ids of the detections that the watch has rules of; None where it is not known.

    Raises:
        ConfigError: there is no technique of that name, `all` means none, or what can only be
            made up has no rule that it could be made up for.
    """
    found = [one for name in names for one in _meant(name, listened)]
    for one in found:
        if isinstance(one, Synthetic) and listened is not None and one.detection not in listened:
            raise ConfigError(
                f"no rule of this watch listens for {one.detection}, and {one.why}",
                f"Add a rule with detection: {one.detection} to the config, then: ctwatch up",
            )
    return list(dict.fromkeys(found))


def _meant(name: str, listened: Collection[str] | None) -> list[Technique]:
    if name == ALL:
        return _every(listened)
    if name in TECHNIQUES:
        return [TECHNIQUES[name]]
    found = [one for one in TECHNIQUES.values() if name in _other_names(one)]
    if not found:
        raise _unknown(name)
    return found


def _every(listened: Collection[str] | None) -> list[Technique]:
    known = TECHNIQUES.values()
    every = [one for one in known if listened is None or one.detection in listened]
    if not every:
        raise ConfigError(
            f"no technique strikes what this watch listens for: {', '.join(listened or ())}",
            "ctwatch status tells whether its rules are as promised.",
        )
    return every


def _other_names(one: Technique) -> Iterator[str]:
    """Its detection's, and the call's: "update-trail"."""
    yield one.detection
    if isinstance(one, Probe):
        yield re.sub(r"(?<!^)(?=[A-Z])", "-", one.operation).lower()


def _unknown(name: str) -> ConfigError:
    known = [
        ALL,
        *TECHNIQUES,
        *(other for one in TECHNIQUES.values() for other in _other_names(one)),
    ]
    near = get_close_matches(name, known, 1)
    guess = f"Did you mean {near[0]}? " if near else ""
    return ConfigError(
        f"there is no technique {name!r}", f"{guess}What there is: ctwatch simulate --list"
    )
