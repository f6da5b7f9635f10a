"""Every command that a test runs is judged by the policy that `ctwatch policy` prints for it.

`lead` (in `shared_clients`) has each command and each client of ctwatch pass by here. What a call
asks of IAM is told here by its operation and its parameters, whatever ctwatch says of itself; the
printed documents are asked by the sandbox's own policy engine. What they do not let through fails
the test that made the command call it.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from moto.awslambda_simple.models import lambda_simple_backends
from moto.cloudtrail.models import cloudtrail_backends
from moto.kms.models import kms_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends

from ctwatch.aws import Place
from ctwatch.blows import On
from ctwatch.cli import cli
from ctwatch.config import Config, load
from ctwatch.existing import ExistingTrail
from ctwatch.policy import COMMANDS, policy, subject
from ctwatch.resources.base import TAG
from ctwatch.sandbox import policies
from ctwatch.sandbox.cloud import bucket_region, tagged
from ctwatch.techniques import DECOY, TECHNIQUES, Probe

ACCOUNT = "123456789012"


BLOWS = {(one.service, one.operation) for one in TECHNIQUES.values() if isinstance(one, Probe)}
"""The calls of the probes."""


@dataclass(frozen=True)
class Asked:
    """What IAM is asked: an action, the ARN of what it is on, and what conditions may go by."""

    action: str
    arn: str = "*"
    context: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Made:
    """A call as it is made."""

    service: str
    operation: str
    params: Mapping[str, Any]
    region: str

    @property
    def key(self) -> tuple[str, ...]:
        """The same for calls of which IAM is asked the same; () where that may not be so."""
        operation = f"{self.service}:{self.operation}"
        hangs = operation in BESIDE or self.service == "kms" or "ResourceIdList" in self.params
        told = (one for one in self.params.values() if isinstance(one, str))
        return () if hangs else (operation, self.region, *told)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{ACCOUNT}:{resource}"

    def first(self, *names: str) -> str:
        """The first parameter that is given of these."""
        return str(next(self.params[name] for name in names if name in self.params))

    @property
    def requested_tags(self) -> tuple[tuple[str, str], ...]:
        return tuple(
            (f"aws:RequestTag/{one['TagKey']}", one["TagValue"])
            for one in self.params.get("Tags", [])
            if "TagKey" in one
        )


# What an action is called that is not called as its operation.
RENAMED = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObjectVersion",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:DeleteObjects": "s3:DeleteObjectVersion",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:DeletePublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:DeleteBucketLifecycle": "s3:PutLifecycleConfiguration",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "s3:PutBucketNotificationConfiguration": "s3:PutBucketNotification",
    "lambda:Invoke": "lambda:InvokeFunction",
    "resourcegroupstaggingapi:GetResources": "tag:GetResources",
}

# Those that take no ARN.
ON_NOTHING = {
    *("cloudtrail:ListPublicKeys", "cloudtrail:LookupEvents", "cloudwatch:GetMetricData"),
    *("cloudtrail:DescribeTrails", "events:ListRules", "events:TestEventPattern"),
    *("kms:CreateKey", "kms:ListAliases", "kms:ListKeys", "lambda:ListFunctions"),
    *("logs:DescribeLogGroups", "s3:ListAllMyBuckets", "sns:CheckIfPhoneNumberIsOptedOut"),
    *("sns:GetSubscriptionAttributes", "sns:ListTopics", "sns:SetSubscriptionAttributes"),
    *("sns:Unsubscribe", "ssm:DescribeParameters", "tag:GetResources"),
    *("config:DeleteDeliveryChannel",),
}


def named(made: Made) -> Iterator[str]:
    """The ARNs that a call is on."""
    if made.service == "kms" and "Alias" in made.operation:
        yield from on_alias(made)
    elif made.service == "cloudtrail" and "ResourceIdList" in made.params:
        yield from made.params["ResourceIdList"]
    else:
        yield ONE[made.service](made)


def on_alias(made: Made) -> Iterator[str]:
    """The alias, the key that it leads to, and the one that it shall lead to."""
    name = made.params["AliasName"]
    yield made.arn("kms", name)
    if not (leads := key_of(made, name)).endswith("key/none"):
        yield leads
    if "TargetKeyId" in made.params:
        yield key_of(made, made.params["TargetKeyId"])


def key_of(made: Made, name: str) -> str:
    """The ARN of a key, which may be told by its id, its ARN, an alias or that one's ARN."""
    backend = kms_backends[ACCOUNT][made.region]
    bare = name.rpartition(":")[2].removeprefix("key/")
    found = backend.get_key_id_from_alias(bare) if bare.startswith("alias/") else bare
    return made.arn("kms", f"key/{(found or 'none').removeprefix('key/')}")


def trail(made: Made) -> str:
    name = made.first("Name", "TrailName", "ResourceId", "ResourceArn")
    return name if name.startswith("arn:") else made.arn("cloudtrail", f"trail/{name}")


def topic(made: Made) -> str:
    name = made.first("TopicArn", "ResourceArn", "Name")
    return name if name.startswith("arn:") else made.arn("sns", name)


def rule(made: Made) -> str:
    if made.operation == "DescribeEventBus":
        return made.arn("events", "event-bus/default")
    name = made.first("ResourceARN", "Rule", "Name")
    return name if name.startswith("arn:") else made.arn("events", f"rule/{name}")


def function(made: Made) -> str:
    name = made.first("FunctionName", "Resource")
    return name if name.startswith("arn:") else made.arn("lambda", f"function:{name}")


def bucket(made: Made) -> str:
    objects = "/any" if made.operation == "DeleteObjects" else ""
    one = f"/{made.params['Key']}" if "Key" in made.params else ""
    return f"arn:aws:s3:::{made.params['Bucket']}{objects}{one}"


def log_group(made: Made) -> str:
    """Without ":*" for tags: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html."""
    if "resourceArn" in made.params:
        return str(made.params["resourceArn"])
    return made.arn("logs", f"log-group:{made.params['logGroupName']}:log-stream:")


def parameter(made: Made) -> str:
    return made.arn("ssm", f"parameter/{made.first('Name', 'ResourceId').removeprefix('/')}")


def role(made: Made) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{made.params['RoleName']}"


ONE: dict[str, Callable[[Made], str]] = {
    "account": lambda _: f"arn:aws:account::{ACCOUNT}:account",
    "cloudtrail": trail,
    "config": lambda made: made.arn(
        "config", f"configuration-recorder/{made.params['ConfigurationRecorderName']}/id"
    ),
    "dynamodb": lambda made: made.arn("dynamodb", f"table/{made.params['TableName']}"),
    "ec2": lambda made: made.arn("ec2", "security-group/sg-1"),
    "events": rule,
    "guardduty": lambda made: made.arn("guardduty", f"detector/{made.params['DetectorId']}"),
    "iam": role,
    "kms": lambda made: key_of(made, made.params["KeyId"]),
    "lambda": function,
    "logs": log_group,
    "s3": bucket,
    "sns": topic,
    "sqs": lambda made: made.arn("sqs", made.first("QueueName", "QueueUrl").rpartition("/")[2]),
    "ssm": parameter,
    "sts": lambda made: str(made.params["RoleArn"]),
}


def passed(made: Made, arn: Any, service: str) -> Iterator[Asked]:
    if arn:
        context = (("iam:PassedToService", f"{service}.amazonaws.com"),)
        yield Asked("iam:PassRole", str(arn), context)


def tagging(action: str, key: str) -> Callable[[Made], Iterator[Asked]]:
    """Tags in the call that creates a thing are asked for by an action of their own."""

    def also(made: Made) -> Iterator[Asked]:
        if made.params.get(key):
            yield Asked(action, made.arn("kms", "key/new") if "kms" in action else plain(made))

    return also


def plain(made: Made) -> str:
    """A log group's tags are on its ARN without a stream."""
    return next(named(made)).removesuffix(":log-stream:")


def using_key(made: Made) -> Iterator[Asked]:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html."""
    found = sns_backends[ACCOUNT][made.region].topics.get(made.params.get("TopicArn"))
    if found and found.kms_master_key_id:
        for action in ("kms:GenerateDataKey", "kms:Decrypt"):
            yield Asked(action, key_of(made, found.kms_master_key_id))


def deciphered(made: Made) -> Iterator[Asked]:
    """What a trail has encrypted is read by who may use its key."""
    for region in list(cloudtrail_backends[ACCOUNT]):
        for one in cloudtrail_backends[ACCOUNT][region].trails.values():
            if one.bucket_name == made.params["Bucket"] and one.kms_key_id:
                yield Asked("kms:Decrypt", str(one.kms_key_id))


def several(*ways: Callable[[Made], Iterator[Asked]]) -> Callable[[Made], Iterator[Asked]]:
    return lambda made: (one for way in ways for one in way(made))


def trail_role(made: Made) -> Iterator[Asked]:
    return passed(made, made.params.get("CloudWatchLogsRoleArn"), "cloudtrail")


def function_role(made: Made) -> Iterator[Asked]:
    return passed(made, made.params.get("Role"), "lambda")


def target_roles(made: Made) -> Iterator[Asked]:
    return several(
        *(
            lambda made, one=one: passed(made, one.get("RoleArn"), "events")
            for one in made.params["Targets"]
        )
    )(made)


# What an operation asks for beside the action of its name.
BESIDE: dict[str, Callable[[Made], Iterator[Asked]]] = {
    "cloudtrail:CreateTrail": several(tagging("cloudtrail:AddTags", "TagsList"), trail_role),
    "cloudtrail:UpdateTrail": trail_role,
    "events:PutRule": tagging("events:TagResource", "Tags"),
    "events:PutTargets": target_roles,
    "iam:CreateRole": tagging("iam:TagRole", "Tags"),
    "kms:CreateKey": tagging("kms:TagResource", "Tags"),
    "lambda:CreateFunction": several(tagging("lambda:TagResource", "Tags"), function_role),
    # https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html
    "lambda:GetFunction": lambda made: iter([Asked("lambda:ListTags", function(made))]),
    "lambda:UpdateFunctionConfiguration": function_role,
    "logs:CreateLogGroup": tagging("logs:TagResource", "tags"),
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    "s3:CreateBucket": lambda made: (
        Asked("s3:TagResource", bucket(made))
        for _ in made.params.get("CreateBucketConfiguration", {}).get("Tags", [])[:1]
    ),
    "s3:GetObject": deciphered,
    "sns:CreateTopic": tagging("sns:TagResource", "Tags"),
    "sns:Publish": using_key,
    "sqs:CreateQueue": tagging("sqs:TagQueue", "tags"),
    "ssm:PutParameter": tagging("ssm:AddTagsToResource", "Tags"),
}


def asked(made: Made) -> list[Asked]:
    """All that IAM is asked for a call."""
    operation = f"{made.service}:{made.operation}"
    if operation == "sts:GetCallerIdentity":
        return []  # https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    action = RENAMED.get(operation, operation)
    arns = ["*"] if action in ON_NOTHING else list(named(made))
    found = [Asked(action, arn, made.requested_tags) for arn in arns]
    beside = BESIDE.get(operation, lambda _: iter(()))(made)
    return found + [replace(one, context=(*one.context, *made.requested_tags)) for one in beside]


def tags_of(arn: str) -> dict[str, str]:
    """The tags of a thing, as it is there now."""
    _, _, service, region, _, _ = arn.split(":", 5)
    if service in {"events", "cloudtrail"}:
        return next((tags for one, tags in tagged(ACCOUNT, region) if one == arn), {})
    bare = arn.removesuffix(":log-stream:")
    if service == "s3":
        bare = arn.partition("/")[0]
    backends: Any = {
        "kms": kms_backends,
        "lambda": lambda_simple_backends,
        "logs": logs_backends,
        "s3": s3_backends,
        "sns": sns_backends,
    }.get(service)
    if backends is None:
        return {}
    there = backends[ACCOUNT][region or "aws"].iter_tagged_resources()
    return next((one.tags for one in there if one.arn.removesuffix(":*") == bare), {})


@dataclass
class Judge:
    """The policy of one command, what was asked of it, and what it did not let through.

    Attributes:
        arguments: of the command.
        without: an action that is taken out of the policy.
        refusing: whether what it does not let through is refused, as AWS would.
    """

    arguments: Sequence[str]
    without: str = ""
    refusing: bool = False
    used: set[str] = field(default_factory=set)
    outside: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        return "plan" if "--dry-run" in self.arguments else self.arguments[0]

    @cached_property
    def policies(self) -> "Policies":
        option = {one: self.arguments[at + 1] for at, one in enumerate(self.arguments[:-1])}
        path = option.get("--config", option.get("-c", os.environ.get("CTWATCH_CONFIG")))
        data = "--delete-logs" in self.arguments
        file, region = Path(path or "config.yaml"), option.get("--region")
        on = "trail" if "--heal" in self.arguments else option.get("--on", "probe")
        extent = {
            "command": self.command,
            "data": data,
            "on": On(on),
            "logs": "--logs" in self.arguments,
        }
        existing = existing_of(configured(file, text := file.read_text("utf-8"), region))
        return printed(file, text, region, existing, **extent)

    def lets(self, one: Asked) -> bool:
        if one.action == self.without:
            return False
        if self.policies.let(one):
            return True
        tags = tags_of(one.arn) if one.arn != "*" else {}
        if TAG not in tags:
            return False
        tag = (f"aws:ResourceTag/{TAG}", tags[TAG])
        return self.policies.let(replace(one, context=(*one.context, tag)))

    def sees(self, made: Made) -> str:
        """What of a call it does not let through; "" where all of it is."""
        if not self.without and made.key in self.policies.passed:
            self.used |= self.policies.passed[made.key]
            return ""
        asks = asked(made)
        for one in asks:
            self.used.add(one.action)
            # A blow at a decoy may be denied: CloudTrail records it all the same.
            struck = (made.service, made.operation) in BLOWS and DECOY in str(made.params)
            if not self.lets(one) and not struck:
                self.outside.append(f"{one.action} on {one.arn}")
                return one.action
        if made.key and all(map(self.policies.let, asks)):  # whatever tags there are
            self.policies.passed[made.key] = {one.action for one in asks}
        return ""


class Policies:
    """Printed policies, which are asked the same over and over."""

    def __init__(self, documents: Sequence[dict[str, Any]]) -> None:
        self.documents = documents
        self.known: dict[Asked, bool] = {}
        self.passed: dict[tuple[str, ...], set[str]] = {}

    def let(self, one: Asked) -> bool:
        if one not in self.known:
            self.known[one] = allowed(self.documents, one.action, one.arn, dict(one.context))
        return self.known[one]


def allowed(
    documents: Sequence[dict[str, Any]], action: str, arn: str, context: Mapping[str, str]
) -> bool:
    return policies.explain_identity(
        documents, action=action, resource=arn, context=context
    ).allowed


@cache
def configured(path: Path, text: str, region: str | None) -> Config:
    """A config by what stands in it now."""
    del text
    config = load(path)
    return config.with_region(region) if region else config


@cache
def printed(
    path: Path, text: str, region: str | None, existing: ExistingTrail | None, **extent: Any
) -> Policies:
    """The policies of a command for a config."""
    config = configured(path, text, region)
    place = Place("aws", ACCOUNT, config.region)
    command = extent.pop("command")
    return Policies(policy(command, subject(config, place, existing, **extent)))


def existing_of(config: Config) -> ExistingTrail | None:
    """The trail that a config calls existing, as AWS would tell of it; the one at home first."""
    wish, home = config.trail.existing, config.region
    if wish is None:
        return None
    regions = sorted(cloudtrail_backends[ACCOUNT], key=lambda one: one != home)
    for one in (
        trail for at in regions for trail in cloudtrail_backends[ACCOUNT][at].trails.values()
    ):
        if wish in {one.arn, one.trail_name}:
            where = bucket_region(ACCOUNT, f"arn:aws:s3:::{one.bucket_name}") or ""
            return ExistingTrail(one.arn, one.bucket_name, where, kms=one.kms_key_id or None)
    named = f"arn:aws:cloudtrail:{home}:{ACCOUNT}:trail/{wish}"
    return ExistingTrail(wish if wish.startswith("arn:") else named, bucket="*")


CURRENT: list[Judge] = []
"""The commands that run now."""


def listen(session: boto3.Session) -> None:
    """Have the calls of a session's clients judged by the command that runs."""

    def before(params: Mapping[str, Any], model: Any, context: Any, **_: Any) -> None:
        made = Made(model.service_model.service_name, model.name, params, context["client_region"])
        for judge in CURRENT:
            denied = judge.sees(made)
            context["denied"] = denied if judge.refusing else ""

    def refused(context: Any, **_: Any) -> tuple[AWSResponse, Any] | None:
        if not context.get("denied"):
            return None
        said = f"User is not authorized to perform: {context['denied']}"
        error = {"Code": "AccessDenied", "Message": said}
        return AWSResponse("", 403, {}, None), {"Error": error, "ResponseMetadata": {}}

    session.events.register_last("before-parameter-build", before, unique_id="judge")
    session.events.register_first("before-call", refused, unique_id="judge refuses")


@contextmanager
def judged(judge: Judge) -> Iterator[Judge]:
    """While this lasts, the calls that are made are judged."""
    CURRENT.append(judge)
    try:
        yield judge
    finally:
        CURRENT.remove(judge)


def judging(patch: pytest.MonkeyPatch) -> None:
    """Have every command judged that is run from here on."""
    run = cli.main

    def main(arguments: Sequence[str] | None = None, **given: Any) -> Any:
        command = next(iter(arguments or ()), "")
        if command not in COMMANDS or CURRENT:
            return run(arguments, **given)
        with judged(Judge(list(arguments or ()))) as judge:
            answer = run(arguments, **given)
        said = f"ctwatch {judge.command} called what ctwatch policy does not allow it"
        assert not judge.outside, f"{said}: {', '.join(sorted(set(judge.outside)))}"
        return answer

    patch.setattr("ctwatch.cli.cli.main", main)
