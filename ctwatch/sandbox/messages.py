"""What SNS carries: a message as it was published, checked, filtered and wrapped.

Pure: the shapes and rules of messages, no calls. Who gets them is the business of `topics`.
"""

import base64
import hashlib
import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from ctwatch import patterns
from ctwatch.sandbox.calls import Refusal

_LIMIT = 256 * 1024
_BATCH = 10
_SUBJECT = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class Message:
    """What was published, as every subscription is given it.

    Attributes:
        text: the message; JSON by protocol when `structured`.
        attributes: as Publish has them, in botocore's shape.
    """

    topic_arn: str
    text: str
    time: datetime
    subject: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    structured: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def body(self, protocol: str) -> str:
        """The text for one protocol."""
        if not self.structured:
            return self.text
        by_protocol = json.loads(self.text)
        return str(by_protocol.get(protocol, by_protocol["default"]))


def unsubscribe_link(url: str, arn: str) -> str:
    """The link that ends a subscription.

    Args:
        url: the sandbox's.
        arn: the subscription's.
    """
    return f"{url}/unsubscribe?{urlencode({'SubscriptionArn': arn})}"


def notification(
    message: Message, subscription: dict[str, Any], link_base: str, *, for_function: bool = False
) -> dict[str, Any]:
    """The JSON that carries a message; keys end in Url for functions, in URL elsewhere.

    The signature has the right shape but proves nothing, and its certificate's address is
    the sandbox's. https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html

    Args:
        message: what is carried.
        subscription: as ListSubscriptions has it.
        link_base: the sandbox's address.
        for_function: whether in the form that a function gets.
    """
    url = "Url" if for_function else "URL"
    signature = hashlib.sha256(message.id.encode()).digest() * 8
    named = _shown(message.attributes)
    given = {"Subject": message.subject} if message.subject or for_function else {}
    return {
        "Type": "Notification",
        "MessageId": message.id,
        "TopicArn": message.topic_arn,
        **given,
        "Message": message.body(subscription["Protocol"]),
        "Timestamp": _stamp(message.time),
        "SignatureVersion": "1",
        "Signature": base64.b64encode(signature).decode(),
        f"SigningCert{url}": f"{link_base}/SimpleNotificationService-sandbox.pem",
        f"Unsubscribe{url}": unsubscribe_link(link_base, subscription["SubscriptionArn"]),
        **({"MessageAttributes": named} if named or for_function else {}),
    }


def _stamp(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"


def requested(arn: str, params: dict[str, Any], time: datetime) -> Message:
    """The message of a Publish call or of a batch's entry.

    Raises:
        Refusal: as https://docs.aws.amazon.com/sns/latest/api/API_Publish.html has it.
    """
    text, subject = params.get("Message", ""), params.get("Subject")
    if not text:
        raise Refusal("InvalidParameter", "Invalid parameter: Empty message")
    if len(text.encode()) > _LIMIT:
        raise Refusal("InvalidParameter", "Invalid parameter: Message too long")
    if subject is not None:
        _check_subject(subject)
    structured = params.get("MessageStructure") == "json"
    if structured:
        _check_structure(text)
    attributes = params.get("MessageAttributes") or {}
    return Message(arn, text, time, subject, attributes, structured)


def _check_subject(subject: str) -> None:
    if not subject or len(subject) >= _SUBJECT or _CONTROL.search(subject):
        raise Refusal("InvalidParameter", "Invalid parameter: Subject")


def _check_structure(text: str) -> None:
    wrong = "Invalid parameter: Message Structure - "
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Refusal("InvalidParameter", f"{wrong}JSON message body failed to parse")
    if not isinstance(parsed.get("default"), str):
        raise Refusal("InvalidParameter", f"{wrong}No default entry in JSON message body")


def check_batch(entries: list[dict[str, Any]]) -> None:
    """Refuse a batch as a whole.

    https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
    """
    ids = [entry["Id"] for entry in entries]
    if not ids:
        raise Refusal("EmptyBatchRequest", "The batch request doesn't contain any entries.")
    if len(ids) > _BATCH:
        raise Refusal(
            "TooManyEntriesInBatchRequest",
            "The batch request contains more entries than permissible.",
        )
    if len(set(ids)) < len(ids):
        raise Refusal("BatchEntryIdsNotDistinct", "Two or more batch entries have the same Id.")
    if sum(len(entry.get("Message", "").encode()) for entry in entries) > _LIMIT:
        raise Refusal("BatchRequestTooLong", "The length of all the messages is above the limit.")


def _shown(attributes: dict[str, Any]) -> dict[str, Any]:
    """Message attributes as a notification shows them."""
    return {
        name: {"Type": one["DataType"], "Value": _value(one)} for name, one in attributes.items()
    }


def _value(attribute: dict[str, Any]) -> str:
    binary = attribute.get("BinaryValue")
    return base64.b64encode(binary).decode() if binary else attribute.get("StringValue", "")


def passes(settings: dict[str, Any], message: Message) -> bool:
    """Whether a subscription's filter policy lets a message through.

    https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
    """
    policy = json.loads(settings.get("FilterPolicy") or "{}")
    if not policy:
        return True
    if settings.get("FilterPolicyScope") != "MessageBody":
        return patterns.matches(policy, _as_event(message.attributes))
    try:
        body = json.loads(message.text)
    except ValueError:
        return False
    return isinstance(body, dict) and patterns.matches(policy, body)


def _as_event(attributes: dict[str, Any]) -> dict[str, Any]:
    """Message attributes as a pattern sees them; binary ones cannot be filtered on."""
    return {
        name: json.loads(one["StringValue"])
        if one["DataType"].split(".")[0] == "Number" or one["DataType"] == "String.Array"
        else one["StringValue"]
        for name, one in attributes.items()
        if "StringValue" in one
    }
