"""CloudTrail as AWS has it and moto does not: names, home regions, selectors, who is recorded.

Error codes: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html and
the pages beside it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from moto.cloudtrail.models import Trail, cloudtrail_backends
from moto.utilities.utils import get_partition

from ctwatch.sandbox import keys, policies
from ctwatch.sandbox.calls import Call, Forward, Refusal
from ctwatch.sandbox.cloud import Cloud
from ctwatch.sandbox.records import GLOBAL_REGION, GLOBAL_SERVICES, is_read, region_of
from ctwatch.sandbox.roles import Roles

DEFAULT_SELECTOR = {
    "ReadWriteType": "All",
    "IncludeManagementEvents": True,
    "DataResources": [],
    "ExcludeManagementEventSources": [],
}

TRAILS_PER_REGION = 5
BASIC_SELECTORS = 5
SERVICE = "cloudtrail.amazonaws.com"

_ARN = re.compile(r"arn:[^:]+:cloudtrail:([^:]+):(\d{12}):trail/(.+)")
_IP = re.compile(r"\d{1,3}(\.\d{1,3}){3}")

Rule = Callable[[Call, Forward, Cloud], dict[str, Any]]


def every_trail(cloud: Cloud) -> Iterator[Any]:
    """Every trail of the account, in every region, as moto's own objects."""
    for backend in list(cloudtrail_backends[cloud.account].values()):
        yield from list(backend.trails.values())


def recording(cloud: Cloud, call: Call) -> list[Any]:
    """The trails that log a management call like this one, now.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
    """
    return [trail for trail in every_trail(cloud) if _logs(trail, call)]


def _logs(trail: Any, call: Call) -> bool:
    if not trail.status.is_logging or not _covers(trail, call):
        return False
    source = f"{call.service}.amazonaws.com"
    read = is_read(call.operation)
    if trail.advanced_event_selectors:
        return any(_advanced(one, source, read=read) for one in trail.advanced_event_selectors)
    basic = trail.event_selectors or [DEFAULT_SELECTOR]
    return any(_basic(one, source, read=read) for one in basic)


def _covers(trail: Any, call: Call) -> bool:
    """Whether the trail records the call's region, and global services if it is one of theirs."""
    if call.service in GLOBAL_SERVICES and not trail.include_global_service_events:
        return False
    if trail.is_multi_region:
        return True
    home = GLOBAL_REGION if call.service in GLOBAL_SERVICES else region_of(call)
    return bool(trail.region_name == home)


def _basic(selector: dict[str, Any], source: str, *, read: bool) -> bool:
    kind = selector.get("ReadWriteType", "All")
    return (
        selector.get("IncludeManagementEvents", True)
        and kind in {"All", "ReadOnly" if read else "WriteOnly"}
        and source not in selector.get("ExcludeManagementEventSources", [])
    )


def _advanced(selector: dict[str, Any], source: str, *, read: bool) -> bool:
    facts = {
        "eventCategory": "Management",
        "readOnly": str(read).lower(),
        "eventSource": source,
    }
    return all(
        field["Field"] in facts and _holds(field, facts[field["Field"]])
        for field in selector.get("FieldSelectors", [])
    )


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "Equals": lambda fact, wanted: fact == wanted,
    "StartsWith": lambda fact, wanted: fact.startswith(wanted),
    "EndsWith": lambda fact, wanted: fact.endswith(wanted),
}


def _holds(field: dict[str, Any], fact: str) -> bool:
    for name, test in _TESTS.items():
        if name in field and not any(test(fact, value) for value in field[name]):
            return False
        if any(test(fact, value) for value in field.get(f"Not{name}", [])):
            return False
    return True


class _Organization(Trail):
    """An organization's trail as a member sees it: the management account's, with its bucket."""

    def check_bucket_exists(self) -> None:
        """It is another account's."""


def share(cloud: Cloud, arn: str, bucket: str, selectors: Sequence[Mapping[str, Any]]) -> None:
    """Let the account be a member of an organization whose trail that is.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/creating-trail-organization.html
    """
    found = _ARN.fullmatch(arn)
    if found is None:
        raise ValueError(f"{arn} is not the ARN of a trail")
    region, owner, name = found.groups()
    trail = _Organization(
        account_id=owner,
        region_name=region,
        trail_name=name,
        bucket_name=bucket,
        s3_key_prefix="",
        sns_topic_name="",
        is_global=True,
        is_multi_region=True,
        log_validation=True,
        is_org_trail=True,
        cw_log_group_arn="",
        cw_role_arn="",
        kms_key_id="",
    )
    trail.put_event_selectors([{**DEFAULT_SELECTOR, **one} for one in selectors], [])
    trail.start_logging()
    cloudtrail_backends[cloud.account][region].trails[name] = trail


# Which trail is meant


def trail_arn(call: Call, name: str) -> str:
    """The ARN of a trail of that name whose home is the call's region."""
    partition = get_partition(call.region)
    return f"arn:{partition}:cloudtrail:{call.region}:{call.account}:trail/{name}"


def arn_of(call: Call, given: str) -> str:
    """The ARN of a trail by its name or ARN."""
    return given if given.startswith("arn:") else trail_arn(call, given)


def check_name(name: str) -> None:
    """Refuse a name that no trail can have.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-trail-naming-requirements.html
    """
    if len(name) < 3:  # noqa: PLR2004 - AWS's limit, as the next
        problem = "Trail name too short. Minimum allowed length: 3 characters."
    elif len(name) > 128:  # noqa: PLR2004
        problem = "Trail name too long. Maximum allowed length: 128 characters."
    elif not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        problem = (
            "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, "
            "periods (.), hyphens (-), and underscores (_)."
        )
    elif not re.match(r"[A-Za-z0-9]", name):
        problem = "Trail name must starts with a letter or number."
    elif not re.search(r"[A-Za-z0-9]$", name):
        problem = "Trail name must ends with a letter or number."
    elif re.search(r"[._-]{2}", name):
        problem = "Trail name can not have adjacent periods, hyphens or underscores."
    elif _IP.fullmatch(name):
        problem = "Trail name must not be formatted as an IP address."
    else:
        return
    raise Refusal("InvalidTrailNameException", problem)


def _meant(call: Call, cloud: Cloud, given: str) -> Any:
    """The trail of that name or ARN; by name also another region's that is multi-region.

    Raises:
        Refusal: the name is no name, the ARN no ARN, or there is no such trail.
    """
    arn = given
    if not given.startswith("arn:"):
        check_name(given)
        arn = trail_arn(call, given)
    elif not _ARN.fullmatch(given):
        raise Refusal("CloudTrailARNInvalidException", f"The trail ARN {given} is not valid.")
    trails = list(every_trail(cloud))
    for trail in trails:
        if trail.arn == arn:
            return trail
    for trail in trails:
        if trail.trail_name == given and trail.is_multi_region:
            return trail
    raise Refusal("TrailNotFoundException", f"Unknown trail: {arn} for the user: {cloud.account}")


def _own(call: Call, cloud: Cloud, given: str) -> Any:
    """The trail, which must be the account's and at home in the region of the call."""
    trail = _meant(call, cloud, given)
    _check_owner(trail, cloud)
    if trail.region_name != call.region:
        raise Refusal(
            "InvalidHomeRegionException",
            f"The trail {trail.trail_name} can only be changed in its home region, "
            f"{trail.region_name}; this call was made in {call.region}.",
        )
    return trail


def _readable(call: Call, cloud: Cloud, given: str) -> Any:
    """The trail; a shadow trail answers to its ARN only.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetTrailStatus.html
    """
    trail = _meant(call, cloud, given)
    if trail.region_name != call.region and given != trail.arn:
        arn = trail_arn(call, given)
        raise Refusal(
            "TrailNotFoundException", f"Unknown trail: {arn} for the user: {cloud.account}"
        )
    return trail


def _check_owner(trail: Any, cloud: Cloud) -> None:
    """Refuse what a member is not shown of an organization's trail, and may not do to it."""
    if trail.account_id != cloud.account:
        raise Refusal(
            "CloudTrailARNInvalidException",
            "AccountID in ARN is wrong, you can only access resources with AccountID "
            f"{cloud.account}.",
        )


def _on(call: Call, trail: Any, member: str) -> Call:
    """The call on the trail by its name at home, as moto wants it."""
    if call.params[member] == trail.trail_name and call.region == trail.region_name:
        return call
    return replace(call.but(**{member: trail.trail_name}), region=trail.region_name)


# One rule per operation


def _create(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    name = call.params["Name"]
    check_name(name)
    _check_scope(
        call.params.get("IsMultiRegionTrail"), call.params.get("IncludeGlobalServiceEvents")
    )
    here = [
        one for one in every_trail(cloud) if one.is_multi_region or one.region_name == call.region
    ]
    if any(one.trail_name == name and one.region_name == call.region for one in here):
        raise Refusal(
            "TrailAlreadyExistsException",
            f"Trail {name} already exists for customer: {cloud.account}",
        )
    if len(here) >= TRAILS_PER_REGION:
        raise Refusal(
            "MaximumNumberOfTrailsExceededException",
            f"User: {cloud.account} already has {TRAILS_PER_REGION} trails in {call.region}.",
        )
    _check_bucket(
        cloud, trail_arn(call, name), call.params["S3BucketName"], call.params.get("S3KeyPrefix")
    )
    return forward(_with_options(call, cloud, trail_arn(call, name)))


def _update(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    trail = _own(call, cloud, call.params["Name"])
    wanted = call.params
    _check_scope(
        wanted.get("IsMultiRegionTrail", trail.is_multi_region),
        wanted.get("IncludeGlobalServiceEvents", trail.include_global_service_events),
    )
    _check_bucket(
        cloud,
        trail.arn,
        wanted.get("S3BucketName", trail.bucket_name),
        wanted.get("S3KeyPrefix", trail.s3_key_prefix),
    )
    return forward(_on(_with_options(call, cloud, trail.arn), trail, "Name"))


def _check_scope(multi_region: bool | None, global_events: bool | None) -> None:
    if multi_region and global_events is False:
        raise Refusal(
            "InvalidParameterCombinationException",
            "Multi-Region trail must include global service events.",
        )


def _check_bucket(cloud: Cloud, arn: str, bucket: str, prefix: str | None) -> None:
    """The bucket exists and its policy lets CloudTrail in for this very trail.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
    """
    logs = f"{prefix + '/' if prefix else ''}AWSLogs/{cloud.account}/CloudTrail/log.gz"
    fault = undelivered(cloud, arn, bucket, logs)
    if fault == "NoSuchBucket":
        raise Refusal("S3BucketDoesNotExistException", f"S3 bucket {bucket} does not exist!")
    if fault:
        raise Refusal(
            "InsufficientS3BucketPolicyException",
            f"Incorrect S3 bucket policy is detected for bucket: {bucket}",
        )


def undelivered(cloud: Cloud, arn: str, bucket: str, key: str) -> str:
    """Why CloudTrail cannot put an object into a bucket for a trail, in S3's word; "" if it can."""
    s3 = cloud.client("s3", cloud.region)
    if cloud.found(s3.head_bucket, Bucket=bucket) is None:
        return "NoSuchBucket"
    found = cloud.found(s3.get_bucket_policy, Bucket=bucket)
    where = f"arn:{arn.split(':')[1]}:s3:::{bucket}"
    context = {"aws:SourceArn": arn, "aws:SourceAccount": cloud.account}
    full = context | {"s3:x-amz-acl": "bucket-owner-full-control"}
    may = all(
        policies.allowed(
            found["Policy"] if found else None,
            principal=SERVICE,
            action=action,
            resource=resource,
            context=facts,
        )
        for action, resource, facts in (
            ("s3:GetBucketAcl", where, context),
            ("s3:PutObject", f"{where}/{key}", full),
        )
    )
    return "" if may else "AccessDenied"


def _with_options(call: Call, cloud: Cloud, arn: str) -> Call:
    """The call as moto takes it: with the key by its own ARN, as AWS keeps it, the topic by name.

    Raises:
        Refusal: something that the trail is given does not let CloudTrail in for this very trail.
    """
    given = {}
    if key := call.params.get("KmsKeyId"):
        given["KmsKeyId"] = keys.for_trail(cloud, arn, key)
    _check_log_group(call, cloud)
    if topic := call.params.get("SnsTopicName"):
        _check_topic(call, cloud, topic, arn)
        given["SnsTopicName"] = topic.rpartition(":")[2]
    return call.but(**given)


def _check_topic(call: Call, cloud: Cloud, topic: str, arn: str) -> None:
    """The topic exists, and its policy lets CloudTrail publish for this very trail.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-permissions-for-sns-notifications.html
    """
    where = f"arn:{arn.split(':')[1]}:sns:{call.region}:{call.account}:{topic.rpartition(':')[2]}"
    if _unpublished(cloud, arn, where):
        raise Refusal(
            "InsufficientSnsTopicPolicyException",
            f"SNS Topic does not exist or the topic policy is incorrect: {where}",
        )


def _unpublished(cloud: Cloud, arn: str, topic: str) -> str:
    """Why CloudTrail cannot publish to a topic for a trail, in SNS' word; "" if it can."""
    sns = cloud.client("sns", topic.split(":")[3])
    found = cloud.found(sns.get_topic_attributes, TopicArn=topic)
    if found is None:
        return "NotFound"
    may = policies.allowed(
        found["Attributes"].get("Policy"),
        principal=SERVICE,
        action="sns:Publish",
        resource=topic,
        context={"aws:SourceArn": arn, "aws:SourceAccount": cloud.account},
    )
    return "" if may else "AuthorizationError"


def notices(cloud: Cloud, trail: Any, delivered: Sequence[str]) -> list[str]:
    """What CloudTrail publishes of the log files that it has delivered; none if it may not.

    The trail's status then tells why.
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/configure-sns-notifications-for-cloudtrail.html
    """
    files = [key for key in delivered if "/CloudTrail/" in key]
    if not trail.topic_arn or not files or trail.account_id != cloud.account:
        return []
    faults(trail).pop("LatestNotificationError", None)
    if fault := _unpublished(cloud, trail.arn, trail.topic_arn):
        faults(trail)["LatestNotificationError"] = fault
        return []
    return [json.dumps({"s3Bucket": trail.bucket_name, "s3ObjectKey": [one]}) for one in files]


def _check_log_group(call: Call, cloud: Cloud) -> None:
    arn, role = (call.params.get(f"CloudWatchLogs{one}Arn") for one in ("LogGroup", "Role"))
    if not arn and not role:
        return
    found = re.fullmatch(r"arn:[^:]+:logs:([^:]+):\d{12}:log-group:([^:]+):\*", arn or "")
    logs = cloud.client("logs", call.region)
    name = found.group(2) if found and found.group(1) == call.region else None
    groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"] if name else []
    if not any(one["logGroupName"] == name for one in groups):
        raise Refusal(
            "InvalidCloudWatchLogsLogGroupArnException",
            "CloudTrail cannot validate the specified log group ARN.",
        )
    if not _may_deliver(call, cloud, role or "-", str(name)):
        raise Refusal(
            "InvalidCloudWatchLogsRoleArnException",
            "Access denied. Verify in IAM that the role has adequate permissions.",
        )


def _may_deliver(call: Call, cloud: Cloud, role: str, group: str) -> bool:
    """Whether CloudTrail may assume the role, and may as that write to its streams there.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-required-policy-for-cloudwatch-logs.html
    """
    held = Roles(cloud)
    stream = f"{call.account}_CloudTrail_{call.region}"
    where = f"arn:{get_partition(call.region)}:logs:{call.region}:{call.account}:log-group:{group}"
    deeds = ("logs:CreateLogStream", "logs:PutLogEvents")
    may = held.held(role)
    return held.trusts(role, SERVICE).allowed and all(
        may.may(deed, f"{where}:log-stream:{stream}").allowed for deed in deeds
    )


def _change(member: str) -> Rule:
    """An operation that changes a trail, by name or ARN, in its home region."""

    def rule(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
        trail = _own(call, cloud, call.params[member])
        return forward(_on(call, trail, member))

    return rule


def _look(member: str) -> Rule:
    """An operation that reads a trail, by name, or by ARN from anywhere."""

    def rule(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
        trail = _readable(call, cloud, call.params[member])
        return forward(_on(call, trail, member))

    return rule


def _status(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """With the time of the last digest: one is made at the end of each hour of logging.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-intro.html
    """
    trail = _readable(call, cloud, call.params["Name"])
    answer = {**forward(_on(call, trail, "Name")), **faults(trail)}
    since, until = answer.get("StartLoggingTime"), answer.get("LatestDeliveryTime")
    if since and until and trail.log_validation and until - since >= _HOUR:
        return {**answer, "LatestDigestDeliveryTime": until - (until - since) % _HOUR}
    return answer


_HOUR = timedelta(hours=1)


def faults(trail: Any) -> dict[str, str]:
    """What went wrong with the trail's last deliveries, by GetTrailStatus' name for it.

    It is kept with the trail, and goes with it.
    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetTrailStatus.html
    """
    kept: dict[str, str] = vars(trail.status).setdefault("faults", {})
    return kept


def _delete(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    trail = _own(call, cloud, call.params["Name"])
    client = cloud.client("cloudtrail", call.region)
    tags = client.list_tags(ResourceIdList=[trail.arn])["ResourceTagList"][0]["TagsList"]
    answer = forward(_on(call, trail, "Name"))
    if tags:  # moto would hand them to the next trail of this name
        client.remove_tags(ResourceId=trail.arn, TagsList=tags)
    return answer


def _describe(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    answer = forward(call)
    wanted = call.params.get("trailNameList")
    named = {one if one.startswith("arn:") else trail_arn(call, one) for one in wanted or ()}
    bare = set(wanted or ())
    return {
        "trailList": [
            _completed(one, cloud)
            for one in answer["trailList"]
            if not wanted or one["TrailARN"] in named or one["Name"] in bare
        ]
    }


def _get(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    trail = _readable(call, cloud, call.params["Name"])
    answer = forward(_on(call, trail, "Name"))
    return {"Trail": {**_completed(answer["Trail"], cloud), "HomeRegion": trail.region_name}}


def _completed(told: Mapping[str, Any], cloud: Cloud) -> dict[str, Any]:
    trail = next(one for one in every_trail(cloud) if one.arn == told["TrailARN"])
    custom = trail.advanced_event_selectors or trail.event_selectors not in ([], [DEFAULT_SELECTOR])
    return {
        **told,
        "HasCustomEventSelectors": bool(custom),
        "HasInsightSelectors": bool(trail.insight_selectors),
    }


def _get_selectors(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    trail = _readable(call, cloud, call.params["TrailName"])
    _check_owner(trail, cloud)
    answer = forward(_on(call, trail, "TrailName"))
    kept = {key: value for key, value in answer.items() if value}
    if "EventSelectors" not in kept and "AdvancedEventSelectors" not in kept:
        kept["EventSelectors"] = [DEFAULT_SELECTOR]
    return kept


def _put_selectors(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    trail = _own(call, cloud, call.params["TrailName"])
    basic = call.params.get("EventSelectors")
    advanced = call.params.get("AdvancedEventSelectors")
    if bool(basic) == bool(advanced) or len(basic or ()) > BASIC_SELECTORS:
        raise Refusal(
            "InvalidEventSelectorsException",
            "Specify either one to five event selectors or advanced event selectors.",
        )
    if not basic:
        answer = forward(_on(call, trail, "TrailName"))
        return {key: value for key, value in answer.items() if value}
    complete = [{**DEFAULT_SELECTOR, **one} for one in basic]
    answer = forward(_on(call, trail, "TrailName").but(EventSelectors=complete))
    trail.advanced_event_selectors = []  # one kind replaces the other
    return {"TrailARN": answer["TrailARN"], "EventSelectors": complete}


def _put_insights(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    trail = _own(call, cloud, call.params["TrailName"])
    trail.insight_selectors = []  # what is put replaces what was there
    return forward(_on(call, trail, "TrailName"))


def _get_insights(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    trail = _readable(call, cloud, call.params["TrailName"])
    _check_owner(trail, cloud)
    if not trail.insight_selectors:
        raise Refusal(
            "InsightNotEnabledException",
            f"Insights is not enabled for the trail {trail.trail_name}.",
        )
    return forward(_on(call, trail, "TrailName"))


def _tags(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    given = call.params.get("ResourceIdList") or [call.params["ResourceId"]]
    known = {one.arn for one in every_trail(cloud)}
    for arn in given:
        if not _ARN.fullmatch(arn):
            raise Refusal("CloudTrailARNInvalidException", f"The ARN {arn} is not valid.")
        if arn not in known:
            raise Refusal("ResourceNotFoundException", f"The resource {arn} was not found.")
    return forward(call)


def _no_lake(call: Call, _: Forward, __: Cloud) -> dict[str, Any]:
    """There is no CloudTrail Lake here, and so nothing of it that has a policy.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DeleteResourcePolicy.html
    """
    arn = call.params["ResourceArn"]
    raise Refusal("ResourceNotFoundException", f"The resource {arn} was not found.")


RULES: dict[str, Rule] = {
    "CreateTrail": _create,
    "UpdateTrail": _update,
    "DeleteTrail": _delete,
    "StartLogging": _change("Name"),
    "StopLogging": _change("Name"),
    "DescribeTrails": _describe,
    "GetTrail": _get,
    "GetTrailStatus": _status,
    "GetEventSelectors": _get_selectors,
    "PutEventSelectors": _put_selectors,
    "GetInsightSelectors": _get_insights,
    "PutInsightSelectors": _put_insights,
    "AddTags": _tags,
    "RemoveTags": _tags,
    "ListTags": _tags,
    "DeleteResourcePolicy": _no_lake,
}
