"""What AWS refuses or fills in and moto does not: one small function per rule, in two tables.

A check looks at a call and may refuse it. A rule stands in for an operation: it may change the
call, forward it, and change the answer. CloudTrail's rules are in `trails`. Codes and messages are
AWS's own; the rules of each service are on the pages of its API reference.
"""

import base64
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from moto.core.utils import get_service_model

from ctwatch import patterns
from ctwatch.sandbox import keys, trails, users, versions
from ctwatch.sandbox.calls import Call, Forward, Refusal
from ctwatch.sandbox.cloud import Cloud, tells_eventbridge
from ctwatch.sandbox.policies import statements

Key = tuple[str, str]
Check = Callable[[Call, Cloud], None]
Rule = Callable[[Call, Forward, Cloud], dict[str, Any]]

PATTERN_LENGTH = 2048
TARGETS_PER_RULE = 5


def check(call: Call, cloud: Cloud) -> None:
    """Let every rule look at a call before anything is done.

    Raises:
        Refusal: AWS would refuse it.
    """
    if call.service == "s3":
        _check_owner(call, cloud)
    for one in CHECKS.get((call.service, call.operation), ()):
        one(call, cloud)


def strict(key: Key, forward: Forward, cloud: Cloud) -> Forward:
    """The way to moto, with the operation's rule in it when there is one."""
    rule = RULES.get(key)
    if rule is None:
        return forward
    return lambda call: rule(call, forward, cloud)


def unknown_key(call: Call) -> Refusal:
    """What AWS says to an access key that it does not know."""
    if call.service == "s3":
        said = "The AWS Access Key Id you provided does not exist in our records."
        return Refusal("InvalidAccessKeyId", said, 403)
    if call.service == "ec2":
        said = "AWS was not able to validate the provided access credentials"
        return Refusal("AuthFailure", said, 401)
    query = call.service in {"iam", "sns", "sts"}
    code = "InvalidClientTokenId" if query else "UnrecognizedClientException"
    return Refusal(code, "The security token included in the request is invalid.", 403)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


# S3: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html


def _check_owner(call: Call, cloud: Cloud) -> None:
    if call.params.get("ExpectedBucketOwner", cloud.account) != cloud.account:
        raise Refusal("AccessDenied", "Access Denied", 403)


_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def _bucket_name(call: Call, _: Cloud) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html."""
    name = call.params["Bucket"]
    valid = (
        re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name)
        and ".." not in name
        and not re.fullmatch(r"\d+\.\d+\.\d+\.\d+", name)
        and not name.startswith(_RESERVED_PREFIXES)
        and not name.endswith(_RESERVED_SUFFIXES)
    )
    if not valid:
        raise Refusal("InvalidBucketName", "The specified bucket is not valid.")
    if name.endswith("-an") and call.params.get("BucketNamespace") != "account-regional":
        raise Refusal(
            "MissingNamespaceHeader",
            "The requested bucket is an account-regional namespace bucket, but your request is "
            "missing the required x-amz-bucket-namespace header.",
        )


def _create_bucket(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """A new bucket is private, encrypted and without ACLs, and keeps its tags.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
    """
    s3 = cloud.client("s3", cloud.region)
    bucket = call.params["Bucket"]
    with cloud.alone:  # as S3 shows no bucket without the tags that it is made with
        existed = cloud.found(s3.head_bucket, Bucket=bucket) is not None
        answer = forward(call)
        if not existed:
            _as_new(s3, bucket, call.params)
    return answer


def _as_new(s3: Any, bucket: str, params: Mapping[str, Any]) -> None:
    """Give a new bucket what S3 gives it: all of it closed, encrypted, and its tags."""
    ownership = params.get("ObjectOwnership", "BucketOwnerEnforced")
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]}
    )
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=_ALL_BLOCKED)
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=_SSE_S3)
    tags = (params.get("CreateBucketConfiguration") or {}).get("Tags")
    s3.delete_bucket_tagging(Bucket=bucket)  # moto remembers those of a deleted namesake
    if tags:
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})


_ALL_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_SSE_S3 = {
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": False,
        }
    ]
}


def _delete_encryption(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """What is left is S3's own encryption, never none."""
    answer = forward(call)
    s3 = cloud.client("s3", cloud.region)
    s3.put_bucket_encryption(
        Bucket=call.params["Bucket"], ServerSideEncryptionConfiguration=_SSE_S3
    )
    return answer


def _notifications(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    told = tells_eventbridge(cloud.account, call.params["Bucket"])
    return {**forward(call), **({"EventBridgeConfiguration": {}} if told else {})}


def _bucket_policy(call: Call, cloud: Cloud) -> None:
    bucket, text = call.params["Bucket"], call.params["Policy"]
    if cloud.found(cloud.client("s3", cloud.region).head_bucket, Bucket=bucket) is None:
        return  # moto says so
    problem = _bucket_policy_problem(text, bucket)
    if problem:
        raise Refusal("MalformedPolicy", problem)
    found = cloud.found(cloud.client("s3", cloud.region).get_public_access_block, Bucket=bucket)
    block = found["PublicAccessBlockConfiguration"] if found else {}
    if block.get("BlockPublicPolicy") and any(map(_is_public, statements(text))):
        raise Refusal(
            "AccessDenied",
            f'Not authorized to perform: s3:PutBucketPolicy on resource: "arn:aws:s3:::{bucket}" '
            "because public policies are prevented by the BlockPublicPolicy setting in S3 Block "
            "Public Access.",
            403,
        )


def _document(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _bucket_policy_problem(text: str, bucket: str) -> str:
    document = _document(text)
    if document is None:
        return "Policies must be valid JSON and the first byte must be '{'"
    if not statements(document):
        return "Missing required field Statement"
    for one in statements(document):
        for field in ("Effect", "Principal", "Action", "Resource"):
            if field not in one and f"Not{field}" not in one:
                return f"Missing required field {field}"
        if not all(re.match(r"\*$|s3:", action) for action in _listed(one.get("Action"))):
            return "Policy has invalid action"
        own = rf"arn:[^:]+:s3:::{re.escape(bucket)}(/.*)?"
        resources = _listed(one.get("Resource")) + _listed(one.get("NotResource"))
        if not all(re.fullmatch(own, resource, re.DOTALL) for resource in resources):
            return "Policy has invalid resource"
    return ""


# Conditions that keep an Allow to everyone from being public:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
_NARROWING = {
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
}


def _is_public(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        principal = _listed(principal.get("AWS"))
    if statement.get("Effect") != "Allow" or "*" not in _listed(principal):
        return False
    return not any(
        key.lower() in _NARROWING and not any("*" in str(value) for value in _listed(values))
        for condition in (statement.get("Condition") or {}).values()
        for key, values in condition.items()
    )


# EventBridge: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html


def _rule_name(call: Call, _: Cloud) -> None:
    name = call.params["Name"]
    if not re.fullmatch(r"[.\-_A-Za-z0-9]+", name):
        raise _constraint(name, "name", r"satisfy regular expression pattern: [\.\-_A-Za-z0-9]+")
    if len(name) > 64:  # noqa: PLR2004 - AWS's limit
        raise _constraint(name, "name", "have length less than or equal to 64")


def _constraint(value: str, member: str, must: str, code: str = "ValidationException") -> Refusal:
    return Refusal(
        code,
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy "
        f"constraint: Member must {must}",
    )


def _pattern(call: Call, _: Cloud) -> None:
    text = call.params.get("EventPattern")
    if text is None:
        return
    if len(text) > PATTERN_LENGTH:
        raise _invalid_pattern(f"Event pattern must be at most {PATTERN_LENGTH} characters")
    try:
        patterns.check(text)
    except patterns.PatternError as error:
        raise _invalid_pattern(error.reason) from error


def _invalid_pattern(reason: str) -> Refusal:
    return Refusal("InvalidEventPatternException", f"Event pattern is not valid. Reason: {reason}")


def _put_rule(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """Tags are for new rules; an update leaves those that are there."""
    events = cloud.client("events", call.region)
    bus = call.params.get("EventBusName", "default")
    if cloud.found(events.describe_rule, Name=call.params["Name"], EventBusName=bus) is None:
        return forward(call)
    params = {name: value for name, value in call.params.items() if name != "Tags"}
    return forward(replace(call, params=params))


def _targets(call: Call, cloud: Cloud) -> None:
    events = cloud.client("events", call.region)
    bus = call.params.get("EventBusName", "default")
    found = cloud.found(events.list_targets_by_rule, Rule=call.params["Rule"], EventBusName=bus)
    ids = {one["Id"] for one in (found or {"Targets": []})["Targets"]}
    ids |= {one["Id"] for one in call.params["Targets"]}
    if len(ids) > TARGETS_PER_RULE:
        raise Refusal(
            "LimitExceededException", "The requested resource exceeds the maximum number allowed."
        )


_EVENT_FIELDS = ("id", "account", "source", "time", "region", "resources", "detail-type")


def _test_pattern(call: Call, _: Forward, __: Cloud) -> dict[str, Any]:
    event = _document(call.params["Event"])
    if event is None or any(field not in event for field in _EVENT_FIELDS):
        raise Refusal(
            "ValidationException",
            "Parameter Event is not valid. Reason: it must be a JSON object with the fields "
            f"{', '.join(_EVENT_FIELDS)}.",
        )
    return {"Result": patterns.matches(call.params["EventPattern"], event)}


# SNS: https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html


def _topic_name(call: Call, _: Cloud) -> None:
    fifo = (call.params.get("Attributes") or {}).get("FifoTopic") == "true"
    form = r"[A-Za-z0-9_-]{1,251}\.fifo" if fifo else r"[A-Za-z0-9_-]{1,256}"
    if not re.fullmatch(form, call.params["Name"]):
        raise Refusal("InvalidParameter", "Invalid parameter: Topic Name")


def _topic_policies(call: Call, _: Cloud) -> None:
    policies = [(call.params.get("Attributes") or {}).get("Policy")]
    if call.params.get("AttributeName") == "Policy":
        policies.append(call.params.get("AttributeValue"))
    for text in filter(None, policies):
        problem = _topic_policy_problem(text)
        if problem:
            raise Refusal("InvalidParameter", f"Invalid parameter: {problem}")


def _topic_policy_problem(text: str) -> str:
    found = statements(_document(text))
    if not found:
        return "Policy Error: null"
    for one in found:
        if one.get("Effect") not in {"Allow", "Deny"} or "Principal" not in one:
            return "Policy Error: null"
        actions = _listed(one.get("Action")) + _listed(one.get("NotAction"))
        if not actions or not all(re.match(r"\*$|sns:", str(a), re.IGNORECASE) for a in actions):
            return "Policy statement action out of service scope!"
    return ""


def _topic_again(call: Call, cloud: Cloud) -> None:
    """Creating a topic again is fine, with the same tags."""
    sns = cloud.client("sns", call.region)
    arn = f"arn:aws:sns:{call.region}:{call.account}:{call.params['Name']}"
    if "Tags" not in call.params or cloud.found(sns.get_topic_attributes, TopicArn=arn) is None:
        return
    there = _tag_set(sns.list_tags_for_resource(ResourceArn=arn)["Tags"])
    if there != _tag_set(call.params["Tags"]):
        raise Refusal(
            "InvalidParameter",
            "Invalid parameter: Tags Reason: Topic already exists with different tags",
        )


def _tag_set(tags: list[dict[str, str]]) -> set[tuple[str, str]]:
    return {(tag["Key"], tag["Value"]) for tag in tags}


# SQS: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html


def _queue_policy(call: Call, _: Cloud) -> None:
    text = (call.params.get("Attributes") or {}).get("Policy")
    if text and not statements(_document(text)):
        raise Refusal("InvalidAttributeValue", "Invalid value for the parameter Policy.")


# IAM: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html


def _description(call: Call, _: Cloud) -> None:
    text = call.params.get("Description", "")
    if not re.fullmatch(r"[\t\n\r\x20-\x7e\xa1-\xff]*", text):
        form = r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*"
        must = f"satisfy regular expression pattern: {form}"
        raise _constraint(text, "description", must, "ValidationError")


def _trust_policy(call: Call, _: Cloud) -> None:
    text = call.params.get("AssumeRolePolicyDocument") or call.params.get("PolicyDocument", "")
    problem = _trust_problem(_document(text))
    if problem:
        raise Refusal("MalformedPolicyDocument", problem)


def _trust_problem(document: dict[str, Any] | None) -> str:
    if document is None:
        return "This policy contains invalid Json"
    found = statements(document)
    problems = map(_trust_statement_problem, found)
    return next(filter(None, problems), "" if found else "Syntax errors in policy.")


def _trust_statement_problem(statement: Mapping[str, Any]) -> str:
    if statement.get("Effect") not in {"Allow", "Deny"}:
        return "Syntax errors in policy."
    if "Principal" not in statement and "NotPrincipal" not in statement:
        return "Missing required field Principal"
    if "Resource" in statement or "NotResource" in statement:
        return "Has prohibited field Resource"
    if not all(str(one).lower().startswith("sts:") for one in _listed(statement.get("Action"))):
        return "AssumeRole policy may only specify STS AssumeRole actions."
    return ""


# STS


def _assume_role(call: Call, cloud: Cloud) -> None:
    arn = call.params["RoleArn"]
    iam = cloud.client("iam", cloud.region)
    found = cloud.found(iam.get_role, RoleName=arn.rsplit("/", 1)[-1])
    if found is None or found["Role"]["Arn"] != arn:
        said = f"Not authorized to perform: sts:AssumeRole on resource: {arn}"
        raise Refusal("AccessDenied", said, 403)


# EC2: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html


def _security_group(call: Call, _: Cloud) -> None:
    """A decoy is no group: moto's EC2, which takes a second to load, need not be asked."""
    name = call.params.get("GroupName", "")
    if name.startswith("ctwatch-probe-"):
        said = f"The security group '{name}' does not exist in default VPC 'vpc-0a1b2c3d'"
        raise Refusal("InvalidGroup.NotFound", said)


# GuardDuty: https://docs.aws.amazon.com/guardduty/latest/APIReference/API_DeleteDetector.html


def _detector(call: Call, cloud: Cloud) -> None:
    """There is nothing to delete or change of a detector that is not this account's."""
    guardduty = cloud.client("guardduty", call.region)
    if call.params["DetectorId"] not in guardduty.list_detectors()["DetectorIds"]:
        raise Refusal(
            "BadRequestException",
            "The request is rejected because the input detectorId is not owned by the current "
            "account.",
        )


# Lambda: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html


def _runtime(call: Call, _: Cloud) -> None:
    runtime = call.params.get("Runtime")
    shape: Any = get_service_model("lambda").shape_for("Runtime")
    known = shape.enum
    if runtime is not None and runtime not in known:
        raise Refusal(
            "InvalidParameterValueException",
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum "
            f"value set: [{', '.join(known)}] or be a valid ARN",
        )


def _archive(call: Call, _: Cloud) -> None:
    content = call.params.get("ZipFile") or (call.params.get("Code") or {}).get("ZipFile")
    if content is not None and not zipfile.is_zipfile(io.BytesIO(content)):
        raise Refusal(
            "InvalidParameterValueException",
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        )


def _function_exists(call: Call, cloud: Cloud) -> None:
    name = call.params["FunctionName"]
    function = cloud.client("lambda", call.region)
    if cloud.found(function.get_function, FunctionName=name) is None:
        arn = (
            name
            if name.startswith("arn:")
            else (f"arn:aws:lambda:{call.region}:{call.account}:function:{name}")
        )
        raise Refusal("ResourceNotFoundException", f"Function not found: {arn}", 404)


def _permission(call: Call, cloud: Cloud) -> None:
    function = cloud.client("lambda", call.region)
    found = cloud.found(function.get_policy, FunctionName=call.params["FunctionName"])
    wanted = call.params["StatementId"]
    if found and any(one.get("Sid") == wanted for one in statements(found["Policy"])):
        raise Refusal(
            "ResourceConflictException",
            f"The statement id ({wanted}) provided already exists. Please provide a new statement "
            "id, or remove the existing statement.",
            409,
        )


# CloudWatch Logs: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html

_RETENTIONS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
)  # fmt: skip


def _retention(call: Call, _: Cloud) -> None:
    days = call.params["retentionInDays"]
    if days not in _RETENTIONS:
        must = f"satisfy enum value set: {list(_RETENTIONS)}"
        raise _constraint(str(days), "retentionInDays", must, "InvalidParameterException")


def _delete_group(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """Its tags go with it; moto would hand them to the next group of this name."""
    logs = cloud.client("logs", call.region)
    name = call.params["logGroupName"]
    arn = f"arn:aws:logs:{call.region}:{call.account}:log-group:{name}"
    answer = forward(call)
    tags = logs.list_tags_for_resource(resourceArn=arn)["tags"]
    logs.untag_resource(resourceArn=arn, tagKeys=[*tags])
    return answer


def _group_exists(call: Call, cloud: Cloud) -> None:
    name = call.params["resourceArn"].split(":log-group:")[-1].removesuffix(":*")
    logs = cloud.client("logs", call.region)
    groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    if not any(one["logGroupName"] == name for one in groups):
        raise Refusal("ResourceNotFoundException", "The specified resource does not exist.")


# Parameter Store: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameter.html


def _delete_parameters(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """Their tags go with them, as above."""
    ssm = cloud.client("ssm", call.region)
    for name in call.params.get("Names") or [call.params["Name"]]:
        where = {"ResourceType": "Parameter", "ResourceId": name}
        found = cloud.found(ssm.list_tags_for_resource, **where)
        keys = [tag["Key"] for tag in (found or {"TagList": []})["TagList"]]
        if keys:
            ssm.remove_tags_from_resource(**where, TagKeys=keys)
    return forward(call)


def _sealed(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """A SecureString as it is stored, unless it is asked for decrypted; moto keeps it readable.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/secure-string-parameter-kms-encryption.html
    """
    del cloud
    answer = forward(call)
    if call.params.get("WithDecryption"):
        return answer
    if "Parameter" in answer:
        return {**answer, "Parameter": _ciphered(answer["Parameter"])}
    return {**answer, "Parameters": [_ciphered(one) for one in answer["Parameters"]]}


def _ciphered(parameter: dict[str, Any]) -> dict[str, Any]:
    if parameter["Type"] != "SecureString":
        return parameter
    stored = _CIPHERTEXT + hashlib.sha512(parameter["Value"].encode()).digest()
    return {**parameter, "Value": base64.b64encode(stored).decode()}


_CIPHERTEXT = b"\x01\x02\x02\x00\x78"  # what those of KMS begin with


_ELSEWHERE = (("cloudtrail", trails.RULES), ("kms", keys.RULES), ("s3", versions.RULES))


def _elsewhere() -> Iterator[tuple[Key, Rule]]:
    """The rules that have a module of their own."""
    for service, rules in _ELSEWHERE:
        for operation, rule in rules.items():
            yield (service, operation), rule


def _set_queue_attributes(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """Keep the attributes that a call does not name: moto drops the policy with every call."""
    url, given = call.params["QueueUrl"], call.params.get("Attributes", {})
    ask = cloud.client("sqs", call.region).get_queue_attributes
    kept = cloud.found(ask, QueueUrl=url, AttributeNames=["Policy"]) or {}
    return forward(call.but(Attributes={**kept.get("Attributes", {}), **given}))


CHECKS: dict[Key, tuple[Check, ...]] = {
    ("ec2", "AuthorizeSecurityGroupIngress"): (_security_group,),
    ("events", "PutRule"): (_rule_name, _pattern),
    ("events", "PutTargets"): (_targets,),
    ("events", "TestEventPattern"): (_pattern,),
    ("guardduty", "DeleteDetector"): (_detector,),
    ("guardduty", "UpdateDetector"): (_detector,),
    ("iam", "CreateRole"): (_description, _trust_policy, users.name_managed),
    ("iam", "CreateUser"): (users.name_managed,),
    **{("iam", f"Attach{kind}Policy"): (users.name_managed,) for kind in ("Group", "Role", "User")},
    ("iam", "GetPolicy"): (users.name_managed,),
    ("iam", "GetPolicyVersion"): (users.name_managed,),
    ("iam", "PutRolePermissionsBoundary"): (users.name_managed,),
    ("iam", "PutUserPermissionsBoundary"): (users.name_managed,),
    ("iam", "UpdateAssumeRolePolicy"): (_trust_policy,),
    ("iam", "UpdateRole"): (_description,),
    ("iam", "UpdateRoleDescription"): (_description,),
    ("kms", "CreateKey"): (keys.check_policy,),
    ("kms", "PutKeyPolicy"): (keys.check_policy,),
    ("lambda", "AddPermission"): (_function_exists, _permission),
    ("lambda", "CreateFunction"): (_runtime, _archive),
    ("lambda", "Invoke"): (_function_exists,),
    ("lambda", "UpdateFunctionCode"): (_archive,),
    ("lambda", "UpdateFunctionConfiguration"): (_runtime,),
    ("logs", "ListTagsForResource"): (_group_exists,),
    ("logs", "PutRetentionPolicy"): (_retention,),
    ("s3", "CreateBucket"): (_bucket_name,),
    ("s3", "PutBucketPolicy"): (_bucket_policy,),
    ("sns", "CreateTopic"): (_topic_name, _topic_policies, _topic_again),
    ("sns", "SetTopicAttributes"): (_topic_policies,),
    ("sqs", "CreateQueue"): (_queue_policy,),
    ("sqs", "SetQueueAttributes"): (_queue_policy,),
    ("sts", "AssumeRole"): (_assume_role,),
}

RULES: dict[Key, Rule] = {
    ("events", "PutRule"): _put_rule,
    ("events", "TestEventPattern"): _test_pattern,
    ("iam", "CreateUser"): users.create,
    ("iam", "DeleteUserPermissionsBoundary"): users.delete_boundary,
    ("iam", "PutUserPermissionsBoundary"): users.put_boundary,
    ("logs", "DeleteLogGroup"): _delete_group,
    ("s3", "CreateBucket"): _create_bucket,
    ("s3", "DeleteBucketEncryption"): _delete_encryption,
    ("s3", "GetBucketNotificationConfiguration"): _notifications,
    ("sqs", "SetQueueAttributes"): _set_queue_attributes,
    ("ssm", "DeleteParameter"): _delete_parameters,
    ("ssm", "DeleteParameters"): _delete_parameters,
    ("ssm", "GetParameter"): _sealed,
    ("ssm", "GetParameterHistory"): _sealed,
    ("ssm", "GetParameters"): _sealed,
    ("ssm", "GetParametersByPath"): _sealed,
    **dict(_elsewhere()),
}
