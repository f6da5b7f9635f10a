"""A CloudTrail record as EventBridge would have handed it to a rule.

A log file holds what EventBridge calls `detail`; a pattern also asks about what stands round it.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html

Pure.
"""

from collections.abc import Mapping
from typing import Any

from ctwatch.lint.record import API, INSIGHT, SERVICE_EVENT, SIGN_IN

Record = dict[str, Any]
"""A record as CloudTrail writes it."""

_SIGNER = ".amazonaws.com"

# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
DETAIL_TYPES: Mapping[str, str] = {
    "AwsApiCall": API,
    "AwsServiceEvent": SERVICE_EVENT,
    "AwsConsoleSignIn": SIGN_IN,
    "AwsConsoleAction": "AWS Console Action via CloudTrail",
    "AwsVpceEvent": "AWS Network Activity Event via CloudTrail",
    "AwsCloudTrailInsight": INSIGHT,
}
"""The event's detail-type by the record's eventType; of any other, as of none, it is `API`."""

INSIGHT_SOURCE = "aws.cloudtrail"
"""The source of Insights events, whose records have no eventSource."""


def detail_type(record: Mapping[str, Any]) -> str:
    """The detail-type of the event that carries a record."""
    kind = record.get("eventType")
    return DETAIL_TYPES.get(kind, API) if isinstance(kind, str) else API


def source(record: Mapping[str, Any]) -> str:
    """The source of the event that carries a record: "aws.cloudtrail"; "" where it names none."""
    if record.get("eventType") == "AwsCloudTrailInsight":
        return INSIGHT_SOURCE
    signer = record.get("eventSource")
    return f"aws.{signer.removesuffix(_SIGNER)}" if isinstance(signer, str) else ""


def event(record: Record) -> dict[str, Any]:
    """The EventBridge event that carries a record, which it holds as it is.

    Of the envelope's own fields those are there that follow from the record.
    """
    return {
        "version": "0",
        "detail-type": detail_type(record),
        "source": source(record),
        "account": record.get("recipientAccountId"),
        "time": record.get("eventTime"),
        "region": record.get("awsRegion"),
        "resources": [],
        "detail": record,
    }
