"""What a call asks of IAM: which actions, on what, and under which conditions.

    CreateTrail, TagsList, CloudWatchLogsRoleArn
        ├─ cloudtrail:CreateTrail   on the trail
        ├─ cloudtrail:AddTags       on the trail
        └─ iam:PassRole             on the role, iam:PassedToService = cloudtrail.amazonaws.com

What an action is called, and what it is on, is told by the Service Authorization Reference, a page
for each service. Of a call that is not known here the action of its name is asked, on "*".

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ctwatch.sandbox import belongings
from ctwatch.sandbox.calls import Call

Context = tuple[tuple[str, str], ...]
"""Condition keys and their values."""


@dataclass(frozen=True)
class Asked:
    """What IAM is asked.

    Attributes:
        action: such as "sns:Publish".
        arn: of what it is on; "*" where the action takes none.
        context: what the call itself brings for conditions to go by.
    """

    action: str
    arn: str = "*"
    context: Context = ()


Ways = Callable[[Call], Iterable[Asked]]


# What an action is called that is not called as its operation.
_RENAMED = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:PutObjectLockConfiguration": "s3:PutBucketObjectLockConfiguration",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:DeletePublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:DeleteBucketOwnershipControls": "s3:PutBucketOwnershipControls",
    "s3:DeleteBucketTagging": "s3:PutBucketTagging",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:DeleteBucketLifecycle": "s3:PutLifecycleConfiguration",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "s3:PutBucketNotificationConfiguration": "s3:PutBucketNotification",
    "lambda:Invoke": "lambda:InvokeFunction",
    "resourcegroupstaggingapi:GetResources": "tag:GetResources",
}

# Those that take no ARN.
_ON_NOTHING = {
    *("cloudtrail:ListPublicKeys", "cloudtrail:LookupEvents", "cloudwatch:GetMetricData"),
    *("cloudtrail:DescribeTrails", "events:ListRules", "events:TestEventPattern"),
    *("kms:CreateKey", "kms:ListAliases", "kms:ListKeys", "lambda:ListFunctions"),
    *("logs:DescribeLogGroups", "s3:ListAllMyBuckets", "sns:CheckIfPhoneNumberIsOptedOut"),
    *("sns:GetSubscriptionAttributes", "sns:ListTopics", "sns:SetSubscriptionAttributes"),
    *("sns:Unsubscribe", "ssm:DescribeParameters", "tag:GetResources"),
    *("config:DeleteDeliveryChannel",),
}


# Those that are called otherwise of a version of an object.
_OF_VERSIONS = {"s3:GetObject", "s3:DeleteObject"}


def asked(call: Call) -> list[Asked]:
    """All that IAM is asked for a call; nothing where it needs nobody's leave.

    Of DeleteObjects, what is asked for each object, in their order.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    operation = f"{call.service}:{call.operation}"
    if operation == "sts:GetCallerIdentity":
        return []
    if operation == "s3:DeleteObjects":
        return [_deletion(call, one) for one in call.params["Delete"]["Objects"]]
    action, tags = _action(operation, call.params), _requested_tags(call)
    arns = ["*"] if action in _ON_NOTHING else _named(call)
    found = [Asked(action, arn, (*tags, *_policy(call))) for arn in arns]
    beside = BESIDE.get(operation, _nothing)(call)
    return found + [replace(one, context=(*one.context, *tags)) for one in beside]


def _action(operation: str, params: Mapping[str, Any]) -> str:
    action = _RENAMED.get(operation, operation)
    return f"{action}Version" if action in _OF_VERSIONS and "VersionId" in params else action


def _deletion(call: Call, which: Mapping[str, Any]) -> Asked:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html."""
    arn = f"arn:aws:s3:::{call.params['Bucket']}/{which['Key']}"
    return Asked(_action("s3:DeleteObject", which), arn)


def withheld(call: Call) -> Asked | None:
    """What a call is answered without, where it is not allowed.

    https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html
    """
    if (call.service, call.operation) == ("lambda", "GetFunction"):
        return Asked("lambda:ListTags", _function(call))
    return None


def _requested_tags(call: Call) -> Context:
    """The tags that a call would put on something, in whichever shape its service has them."""
    given: Any = next(
        (call.params[x] for x in ("Tags", "TagsList", "tags") if x in call.params), ()
    )
    pairs = given.items() if isinstance(given, Mapping) else map(_pair, given)
    return tuple((f"aws:RequestTag/{name}", value) for name, value in pairs)


def _pair(tag: Mapping[str, str]) -> tuple[str, str]:
    return tag.get("Key", tag.get("TagKey", "")), tag.get("Value", tag.get("TagValue", ""))


def _policy(call: Call) -> Context:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html."""
    arn = call.params.get("PolicyArn") if call.service == "iam" else None
    return (("iam:PolicyARN", str(arn)),) if arn else ()


# What a call is on


def _named(call: Call) -> list[str]:
    """The ARNs that a call is on; "*" where it names nothing that is known here."""
    if call.service == "kms" and "Alias" in call.operation:
        return _on_alias(call)
    if call.service == "cloudtrail" and "ResourceIdList" in call.params:
        return list(call.params["ResourceIdList"])
    if call.operation == "PutEvents":
        return _buses(call)
    if call.service == "glue":
        return _in_catalog(call)
    try:
        return [_ONE[call.service](call)]
    except LookupError:
        return ["*"]


def _arn(call: Call, service: str, resource: str) -> str:
    return f"arn:aws:{service}:{call.region}:{call.account}:{resource}"


def _first(call: Call, *names: str) -> str:
    """The first parameter that is given of these.

    Raises:
        LookupError: none is.
    """
    found = [call.params[name] for name in names if name in call.params]
    return str(found[0])


def _on_alias(call: Call) -> list[str]:
    """The alias, the key that it leads to, and the one that it shall lead to."""
    name, target = call.params["AliasName"], call.params.get("TargetKeyId")
    leads = belongings.key(call, name)
    found = [_arn(call, "kms", name), leads, belongings.key(call, target) if target else None]
    return [one for one in found if one]


def _in_catalog(call: Call) -> list[str]:
    """The catalog, the database and the table; of a database that goes, all that is in it.

    https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
    """
    given = call.params.get("DatabaseInput") or call.params.get("TableInput") or call.params
    database = call.params.get("DatabaseName")
    where = database or given.get("Name", "*")
    tables = [f"table/{where}/{given['Name']}"] if database else []
    if call.operation == "DeleteDatabase":
        tables = [f"{kind}/{where}/*" for kind in ("table", "userDefinedFunction")]
    return [_arn(call, "glue", one) for one in ("catalog", f"database/{where}", *tables)]


def _workgroup(call: Call) -> str:
    """The workgroup that is named, or that of a query."""
    if arn := call.params.get("ResourceARN"):
        return str(arn)
    query = call.params.get("QueryExecutionId")
    name = belongings.workgroup(query) if query else _first(call, "WorkGroup", "Name")
    return _arn(call, "athena", f"workgroup/{name}")


def _key(call: Call) -> str:
    name = _first(call, "KeyId")
    return belongings.key(call, name) or _arn(call, "kms", "key/none")


def _trail(call: Call) -> str:
    name = _first(call, "Name", "TrailName", "ResourceId", "ResourceArn")
    return name if name.startswith("arn:") else _arn(call, "cloudtrail", f"trail/{name}")


def _topic(call: Call) -> str:
    name = _first(call, "TopicArn", "ResourceArn", "Name")
    return name if name.startswith("arn:") else _arn(call, "sns", name)


def _buses(call: Call) -> list[str]:
    """The buses that events are put on, each once."""
    names = (one.get("EventBusName") or "default" for one in call.params["Entries"])
    arns = (x if x.startswith("arn:") else _arn(call, "events", f"event-bus/{x}") for x in names)
    return list(dict.fromkeys(arns))


def _rule(call: Call) -> str:
    if call.operation == "DescribeEventBus":
        return _arn(call, "events", "event-bus/default")
    name = _first(call, "ResourceARN", "Rule", "Name")
    return name if name.startswith("arn:") else _arn(call, "events", f"rule/{name}")


def _function(call: Call) -> str:
    name = _first(call, "FunctionName", "Resource")
    return name if name.startswith("arn:") else _arn(call, "lambda", f"function:{name}")


def _bucket(call: Call) -> str:
    one = f"/{call.params['Key']}" if "Key" in call.params else ""
    return f"arn:aws:s3:::{call.params['Bucket']}{one}"


def _log_group(call: Call) -> str:
    """Without ":*" for tags: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html."""
    if "resourceArn" in call.params:
        return str(call.params["resourceArn"])
    return _arn(call, "logs", f"log-group:{call.params['logGroupName']}:log-stream:")


def _parameter(call: Call) -> str:
    return _arn(call, "ssm", f"parameter/{_first(call, 'Name', 'ResourceId').removeprefix('/')}")


def _of_iam(call: Call) -> str:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html."""
    for kind in ("Role", "User", "Group"):
        if name := call.params.get(f"{kind}Name"):
            return belongings.principal(call.account, kind.lower(), name)
    return _first(call, "PolicyArn")


_ONE: dict[str, Callable[[Call], str]] = {
    "account": lambda call: f"arn:aws:account::{call.account}:account",
    "athena": _workgroup,
    "cloudtrail": _trail,
    "config": lambda call: _arn(
        call, "config", f"configuration-recorder/{call.params['ConfigurationRecorderName']}/id"
    ),
    "dynamodb": lambda call: _arn(call, "dynamodb", f"table/{call.params['TableName']}"),
    "ec2": lambda call: _arn(call, "ec2", f"security-group/{_first(call, 'GroupId', 'GroupName')}"),
    "events": _rule,
    "guardduty": lambda call: _arn(call, "guardduty", f"detector/{call.params['DetectorId']}"),
    "iam": _of_iam,
    "kms": _key,
    "lambda": _function,
    "logs": _log_group,
    "s3": _bucket,
    "sns": _topic,
    "sqs": lambda call: _arn(call, "sqs", _first(call, "QueueName", "QueueUrl").rpartition("/")[2]),
    "ssm": _parameter,
    "sts": lambda call: _first(call, "RoleArn"),
}


# What a call asks for beside the action of its name


def _nothing(_: Call) -> Iterator[Asked]:
    return iter(())


def _passed(arn: Any, service: str) -> Iterator[Asked]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html."""
    if arn:
        yield Asked(
            "iam:PassRole", str(arn), (("iam:PassedToService", f"{service}.amazonaws.com"),)
        )


def _tagging(action: str, key: str) -> Ways:
    """Tags in the call that creates a thing are asked for by an action of their own."""

    def also(call: Call) -> Iterator[Asked]:
        if call.params.get(key):
            yield Asked(action, _arn(call, "kms", "key/new") if "kms" in action else _plain(call))

    return also


def _plain(call: Call) -> str:
    """A log group's tags are on its ARN without a stream."""
    return _named(call)[0].removesuffix(":log-stream:")


def _using_key(call: Call) -> Iterator[Asked]:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html."""
    if key := belongings.topic_key(call):
        yield from (Asked(action, key) for action in ("kms:GenerateDataKey", "kms:Decrypt"))


def _deciphered(call: Call) -> Iterator[Asked]:
    """What a trail has encrypted is read by who may use its key."""
    for key in belongings.trail_keys(call.account, call.params["Bucket"]):
        yield Asked("kms:Decrypt", key)


def _trail_role(call: Call) -> Iterator[Asked]:
    return _passed(call.params.get("CloudWatchLogsRoleArn"), "cloudtrail")


def _function_role(call: Call) -> Iterator[Asked]:
    return _passed(call.params.get("Role"), "lambda")


def _target_roles(call: Call) -> Iterator[Asked]:
    for target in call.params["Targets"]:
        yield from _passed(target.get("RoleArn"), "events")


def _bucket_tags(call: Call) -> Iterator[Asked]:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html."""
    if (call.params.get("CreateBucketConfiguration") or {}).get("Tags"):
        yield Asked("s3:TagResource", _bucket(call))


def _several(*ways: Ways) -> Ways:
    return lambda call: (one for way in ways for one in way(call))


BESIDE: dict[str, Ways] = {
    "athena:CreateWorkGroup": _tagging("athena:TagResource", "Tags"),
    "cloudtrail:CreateTrail": _several(_tagging("cloudtrail:AddTags", "TagsList"), _trail_role),
    "cloudtrail:UpdateTrail": _trail_role,
    "events:PutRule": _tagging("events:TagResource", "Tags"),
    "events:PutTargets": _target_roles,
    "glue:CreateDatabase": lambda call: (
        [Asked("glue:TagResource", _named(call)[1])] if call.params.get("Tags") else []
    ),
    "iam:CreateRole": _tagging("iam:TagRole", "Tags"),
    "kms:CreateKey": _tagging("kms:TagResource", "Tags"),
    "lambda:CreateFunction": _several(_tagging("lambda:TagResource", "Tags"), _function_role),
    "lambda:UpdateFunctionConfiguration": _function_role,
    "logs:CreateLogGroup": _tagging("logs:TagResource", "tags"),
    "s3:CreateBucket": _bucket_tags,
    "s3:GetObject": _deciphered,
    "sns:CreateTopic": _tagging("sns:TagResource", "Tags"),
    "sns:Publish": _using_key,
    "sqs:CreateQueue": _tagging("sqs:TagQueue", "tags"),
    "ssm:PutParameter": _tagging("ssm:AddTagsToResource", "Tags"),
}
"""By operation; what is asked of these may depend on more than the names in the call."""
