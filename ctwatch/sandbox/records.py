"""A call -> the CloudTrail record of it -> the EventBridge event, and the event history.

Shapes: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
Nothing here talks to anything; whether a record travels is for `server` to decide.
"""

import itertools
import json
import threading
import uuid
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.core.utils import get_service_model

from ctwatch.sandbox.calls import Call, Refusal

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
GLOBAL_REGION = "us-east-1"
GLOBAL_SERVICES = frozenset({"iam", "organizations"})
HISTORY_LENGTH = 20_000
_AT_HAND = 250
"""How many records are kept as they are at least, and how many are packed together."""

# Calls that CloudTrail counts as data events, not management events, by service:
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html
DATA_EVENTS = {
    "events": {"PutEvents"},
    "lambda": {"Invoke", "InvokeAsync", "InvokeWithResponseStream"},
    "logs": {"PutLogEvents", "FilterLogEvents", "GetLogEvents", "StartQuery", "GetQueryResults"},
    "s3": {"ListObjects", "ListObjectsV2", "ListObjectVersions", "DeleteObjects"},
    "sns": {"Publish", "PublishBatch"},
    "sqs": {
        "SendMessage",
        "SendMessageBatch",
        "ReceiveMessage",
        "DeleteMessage",
        "DeleteMessageBatch",
        "ChangeMessageVisibility",
        "ChangeMessageVisibilityBatch",
    },
}

# The names under which CloudTrail knows some calls:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html
# https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html
EVENT_NAMES = {
    "s3": {
        "PutBucketLifecycleConfiguration": "PutBucketLifecycle",
        "GetBucketLifecycleConfiguration": "GetBucketLifecycle",
        "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
        "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
        "DeletePublicAccessBlock": "DeleteBucketPublicAccessBlock",
        "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
        "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
        "PutBucketNotificationConfiguration": "PutBucketNotification",
        "GetBucketNotificationConfiguration": "GetBucketNotification",
    },
    "lambda": {
        "AddPermission": "AddPermission20150331v2",
        "CreateAlias": "CreateAlias20150331",
        "CreateEventSourceMapping": "CreateEventSourceMapping20150331",
        "CreateFunction": "CreateFunction20150331",
        "DeleteAlias": "DeleteAlias20150331",
        "DeleteEventSourceMapping": "DeleteEventSourceMapping20150331",
        "DeleteFunction": "DeleteFunction20150331",
        "DeleteFunctionConcurrency": "DeleteFunctionConcurrency20171031",
        "GetAlias": "GetAlias20150331",
        "GetFunction": "GetFunction20150331v2",
        "GetFunctionConfiguration": "GetFunctionConfiguration20150331v2",
        "GetPolicy": "GetPolicy20150331v2",
        "ListFunctions": "ListFunctions20150331",
        "ListTags": "ListTags20170331",
        "ListVersionsByFunction": "ListVersionsByFunction20150331",
        "PublishVersion": "PublishVersion20150331",
        "PutFunctionConcurrency": "PutFunctionConcurrency20171031",
        "RemovePermission": "RemovePermission20150331v2",
        "TagResource": "TagResource20170331v2",
        "UntagResource": "UntagResource20170331v2",
        "UpdateAlias": "UpdateAlias20150331",
        "UpdateEventSourceMapping": "UpdateEventSourceMapping20150331",
        "UpdateFunctionCode": "UpdateFunctionCode20150331v2",
        "UpdateFunctionConfiguration": "UpdateFunctionConfiguration20150331v2",
    },
}

# What CloudTrail never shows: name (camelCase) -> what stands there instead; None: nothing does.
_SECRETS: dict[str, dict[str, Any]] = {
    "lambda": {"code": {}, "environment": {}, "zipFile": None, "payload": None},
    "ssm": {"value": HIDDEN},
    "secretsmanager": {"secretString": None, "secretBinary": None},
    "iam": {"secretAccessKey": None, "password": None},
    "sts": {"secretAccessKey": None, "webIdentityToken": None},
    "sns": {"token": HIDDEN},
}

_READS = ("Get", "List", "Describe", "Lookup", "Head", "Search", "Test", "BatchGet", "Simulate")
_READ_CALLS = frozenset(
    {
        "AssumeRole",
        "AssumeRoleWithSAML",
        "AssumeRoleWithWebIdentity",
        "CheckIfPhoneNumberIsOptedOut",
    }
)
_RESOURCE_TYPES = {
    "cloudtrail": ("AWS::CloudTrail::Trail", ("name", "trailName")),
    "s3": ("AWS::S3::Bucket", ("bucketName",)),
    "iam": ("AWS::IAM::Role", ("roleName",)),
    "lambda": ("AWS::Lambda::Function", ("functionName",)),
    "sns": ("AWS::SNS::Topic", ("topicArn",)),
}
_LOOKUP_PAGE = 50


@dataclass(frozen=True)
class Outcome:
    """How a call ended.

    Attributes:
        result: the answer in botocore's output shape; empty when refused.
        refusal: why AWS said no, or None.
    """

    result: Mapping[str, Any]
    refusal: Refusal | None = None


def is_management(call: Call) -> bool:
    """Whether CloudTrail counts the call as a management event."""
    if call.service == "s3" and "Key" in call.params:
        return False
    return call.operation not in DATA_EVENTS.get(call.service, ())


def is_read(operation: str) -> bool:
    """Whether the operation only reads, as CloudTrail's `readOnly` has it."""
    return operation.startswith(_READS) or operation in _READ_CALLS


def region_of(call: Call) -> str:
    """Where the call is recorded: global services are recorded in us-east-1.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events
    """
    return GLOBAL_REGION if call.service in GLOBAL_SERVICES else call.region


def record(call: Call, outcome: Outcome, identity: Mapping[str, Any]) -> dict[str, Any]:
    """The CloudTrail record of one management call.

    Args:
        call: the call.
        outcome: how it ended; a refusal's code by its name in the service's model.
        identity: the caller's `userIdentity` element.
    """
    model = get_service_model(call.service)
    read_only = is_read(call.operation)
    written: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": dict(identity),
        "eventTime": _instant(call.time),
        "eventSource": f"{_prefix(model)}.amazonaws.com",
        "eventName": EVENT_NAMES.get(call.service, {}).get(call.operation, call.operation),
        "awsRegion": region_of(call),
        "sourceIPAddress": call.source_ip,
        "userAgent": call.user_agent,
    }
    if outcome.refusal:
        written["errorCode"] = _error_code(call, outcome.refusal)
        written["errorMessage"] = outcome.refusal.message
    written["requestParameters"] = _request_parameters(call, model)
    written["responseElements"] = None if read_only else _response_elements(call, outcome)
    if call.service == "s3":
        written["additionalEventData"] = _s3_extra()
    return written | {
        "requestID": call.request_id,
        "eventID": str(uuid.uuid4()),
        "readOnly": read_only,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": call.account,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": _host(call, model),
        },
    }


def envelope(written: Mapping[str, Any]) -> dict[str, Any]:
    """The EventBridge event that carries a CloudTrail record.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
    """
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "AWS API Call via CloudTrail",
        "source": f"aws.{written['eventSource'].removesuffix('.amazonaws.com')}",
        "account": written["recipientAccountId"],
        "time": written["eventTime"],
        "region": written["awsRegion"],
        "resources": [],
        "detail": dict(written),
    }


def _prefix(model: Any) -> str:
    return str(model.endpoint_prefix)


def _host(call: Call, model: Any) -> str:
    if call.service in GLOBAL_SERVICES:
        return f"{_prefix(model)}.amazonaws.com"
    host = f"{_prefix(model)}.{call.region}.amazonaws.com"
    bucket = call.params.get("Bucket") if call.service == "s3" else None
    return f"{bucket}.{host}" if bucket else host


def _instant(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _error_code(call: Call, refusal: Refusal) -> str:
    """EC2 says whose fault it was; others do not.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    whose = "Client" if refusal.status < 500 else "Server"  # noqa: PLR2004 - HTTP's own line
    return f"{whose}.{refusal.code}" if call.service == "ec2" else refusal.code


def _request_parameters(call: Call, model: Any) -> dict[str, Any] | None:
    if call.service == "s3":
        return _s3_parameters(call, model)
    found = _camel(call.params, _SECRETS.get(call.service, {})) or None
    return _itemized(found) if call.service == "ec2" else found


def _itemized(value: Any) -> Any:
    """EC2's records keep every list as the `items` of an object.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-with-cloudtrail.html
    """
    if isinstance(value, Mapping):
        return {key: _itemized(item) for key, item in value.items()}
    return {"items": [_itemized(item) for item in value]} if isinstance(value, list) else value


def _response_elements(call: Call, outcome: Outcome) -> dict[str, Any] | None:
    if outcome.refusal or call.service == "s3":
        return None
    return _camel(outcome.result, _SECRETS.get(call.service, {})) or None


def _camel(value: Any, secrets: Mapping[str, Any]) -> Any:
    """The value with its keys in CloudTrail's camelCase, without blobs and secrets."""
    if isinstance(value, Mapping):
        return dict(_members(value, secrets))
    if isinstance(value, (list, tuple)):
        return [_camel(item, secrets) for item in value]
    if isinstance(value, datetime):
        hour = value.hour % 12 or 12
        return f"{value:%b} {value.day}, {value:%Y}, {hour}:{value:%M:%S %p}"
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _members(value: Mapping[str, Any], secrets: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = key[:1].lower() + key[1:]
        if isinstance(item, (bytes, bytearray)) or hasattr(item, "read"):
            continue
        if name not in secrets:
            yield name, _camel(item, secrets)
        elif secrets[name] is not None:
            yield name, secrets[name]


def _s3_parameters(call: Call, model: Any) -> dict[str, Any]:
    """S3 writes its own: the body under its XML name, the subresource, bucket and host."""
    operation = model.operation_model(call.operation)
    found: dict[str, Any] = dict(operation.http_trait.query_args)
    shape = operation.input_shape
    payload = shape.serialization.get("payload") if shape else None
    if payload in call.params:
        found |= _s3_body(payload, shape.members[payload], call.params[payload])
    if "Bucket" in call.params:
        found["bucketName"] = call.params["Bucket"]
    return found | {"Host": _host(call, model)}


def _s3_body(payload: str, shape: Any, value: Any) -> dict[str, Any]:
    if payload == "Policy":
        return {"bucketPolicy": _document(value)}
    name = shape.serialization.get("name", payload)
    xmlns = "http://s3.amazonaws.com/doc/2006-03-01/"
    return {name: {"xmlns": xmlns, **_plain(value)} if isinstance(value, Mapping) else value}


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _s3_extra() -> dict[str, Any]:
    return {
        "SignatureVersion": "SigV4",
        "CipherSuite": "TLS_AES_128_GCM_SHA256",
        "bytesTransferredIn": 0,
        "bytesTransferredOut": 0,
        "AuthenticationMethod": "AuthHeader",
    }


class History:
    """The event history: the last management events of every region, whether a trail logs or not.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
    """

    def __init__(self) -> None:
        self._new: deque[dict[str, Any]] = deque()
        self._old: deque[bytes] = deque(maxlen=HISTORY_LENGTH // _AT_HAND)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every record, newest first."""
        with self._lock:
            new, old = list(self._new), list(self._old)
        yield from new
        for packed in old:
            yield from json.loads(zlib.decompress(packed))

    def add(self, written: dict[str, Any]) -> None:
        """Keep a record; the older ones in little room, as few are asked for."""
        with self._lock:
            self._new.appendleft(written)
            if len(self._new) < 2 * _AT_HAND:
                return
            older = [self._new.pop() for _ in range(_AT_HAND)][::-1]
            self._old.appendleft(zlib.compress(json.dumps(older).encode(), 1))

    def clear(self) -> None:
        """Forget every record."""
        with self._lock:
            self._new.clear()
            self._old.clear()

    def lookup(self, call: Call) -> dict[str, Any]:
        """Answer LookupEvents, newest first.

        Raises:
            Refusal: an attribute, the page size, the time range or the token is not valid.
        """
        start, size = _page(call)
        wanted = _wanted(call)
        there = (one for one in self if one["awsRegion"] == call.region)
        found = (event for event in map(_event, there) if _matches(event, call, wanted))
        events = list(itertools.islice(found, start, start + size + 1))
        answer: dict[str, Any] = {"Events": events[:size]}
        if len(events) > size:
            answer["NextToken"] = str(start + size)
        return answer


def _page(call: Call) -> tuple[int, int]:
    size = call.params.get("MaxResults", _LOOKUP_PAGE)
    if not 1 <= size <= _LOOKUP_PAGE:
        raise Refusal(
            "InvalidMaxResultsException",
            "A value of maximum results is invalid. Valid values are between 1 and 50.",
        )
    token = call.params.get("NextToken", "0")
    if not token.isdigit():
        raise Refusal("InvalidNextTokenException", "Invalid or expired next token.")
    return int(token), size


def _wanted(call: Call) -> dict[str, str]:
    attributes = call.params.get("LookupAttributes") or []
    if len(attributes) > 1:
        raise Refusal(
            "InvalidLookupAttributesException", "You can only specify one lookup attribute."
        )
    begin, end = call.params.get("StartTime"), call.params.get("EndTime")
    if begin and end and begin > end:
        raise Refusal("InvalidTimeRangeException", "The start time must not be after the end time.")
    return {one["AttributeKey"]: one["AttributeValue"] for one in attributes}


def _event(written: Mapping[str, Any]) -> dict[str, Any]:
    identity = written["userIdentity"]
    session = identity.get("arn", "").rsplit("/", 1)[-1]
    found = {
        "EventId": written["eventID"],
        "EventName": written["eventName"],
        "ReadOnly": str(written["readOnly"]).lower(),
        "EventTime": datetime.fromisoformat(written["eventTime"]),
        "EventSource": written["eventSource"],
        "Username": identity.get("userName") or session,
        "Resources": _resources(written),
        "CloudTrailEvent": json.dumps(written),
    }
    if "accessKeyId" in identity:
        found["AccessKeyId"] = identity["accessKeyId"]
    return found


def _resources(written: Mapping[str, Any]) -> list[dict[str, str]]:
    prefix = written["eventSource"].removesuffix(".amazonaws.com")
    kind, names = _RESOURCE_TYPES.get(prefix, ("", ()))
    parameters = written["requestParameters"] or {}
    return [
        {"ResourceType": kind, "ResourceName": str(parameters[name])}
        for name in names
        if name in parameters
    ]


def _matches(event: Mapping[str, Any], call: Call, wanted: Mapping[str, str]) -> bool:
    begin = call.params.get("StartTime", datetime.min.replace(tzinfo=UTC))
    end = call.params.get("EndTime", datetime.max.replace(tzinfo=UTC))
    if not begin <= event["EventTime"] <= end:
        return False
    return all(_has(event, key, value) for key, value in wanted.items())


def _has(event: Mapping[str, Any], key: str, value: str) -> bool:
    if key in {"ResourceName", "ResourceType"}:
        return any(one[key] == value for one in event["Resources"])
    return bool(event.get(key) == value)
