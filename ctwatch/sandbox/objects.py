"""S3's own notifications in the sandbox: a deletion becomes the event that EventBridge gets.

A bucket sends them when its notification configuration says so, whether a trail is logging or not,
and they are no CloudTrail records. Of all that S3 announces only deletions are told here.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

import itertools
import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ctwatch.sandbox.calls import Call
from ctwatch.sandbox.cloud import Cloud, tells_eventbridge

REMOVED, MARKED = "Permanently Deleted", "Delete Marker Created"
_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"  # the etag of nothing, which is what is left
_CALLS = {"DeleteObject", "DeleteObjects"}
_order = itertools.count(0x617F0837B476E463)


@dataclass(frozen=True)
class Deletion:
    """One object that was deleted.

    Attributes:
        key: the object's.
        version: the version that is gone, or that of the delete marker; "" without versioning.
        kind: REMOVED or MARKED.
    """

    key: str
    version: str
    kind: str


def events(call: Call, result: Mapping[str, Any], cloud: Cloud) -> Iterator[dict[str, Any]]:
    """The events of a call that has succeeded, one for each object that it deleted."""
    if call.service != "s3" or call.operation not in _CALLS:
        return
    if not tells_eventbridge(cloud.account, call.params["Bucket"]):
        return
    asked = {"requester": call.account, "source-ip-address": call.source_ip}
    found = _several(result) if call.operation == "DeleteObjects" else [_single(call, result)]
    for one in found:
        yield _event(call, cloud, one, {**asked, "reason": "DeleteObject"})


def expiry(call: Call, result: Mapping[str, Any], cloud: Cloud) -> Iterator[dict[str, Any]]:
    """The event of what a lifecycle rule has deleted, by the call that it was carried out with."""
    if tells_eventbridge(cloud.account, call.params["Bucket"]):
        asked = {"requester": "s3.amazonaws.com", "reason": "Lifecycle Expiration"}
        yield _event(call, cloud, _single(call, result), asked)


def _single(call: Call, result: Mapping[str, Any]) -> Deletion:
    asked = call.params.get("VersionId", "")
    marked = bool(result.get("DeleteMarker")) and not asked
    return Deletion(
        key=call.params["Key"],
        version=asked or result.get("VersionId", ""),
        kind=MARKED if marked else REMOVED,
    )


def _several(result: Mapping[str, Any]) -> Iterator[Deletion]:
    for one in result.get("Deleted", []):
        marker = one.get("DeleteMarkerVersionId", "")
        version = one.get("VersionId", "") or marker
        yield Deletion(one["Key"], version, MARKED if marker else REMOVED)


def _event(call: Call, cloud: Cloud, one: Deletion, asked: Mapping[str, str]) -> dict[str, Any]:
    bucket = call.params["Bucket"]
    version = {"version-id": one.version} if one.version else {}
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Object Deleted",
        "source": "aws.s3",
        "account": call.account,
        "time": f"{call.time:%Y-%m-%dT%H:%M:%SZ}",
        "region": _region(bucket, cloud),
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "event-version": "1.1",
            "bucket": {"name": bucket},
            "object": {
                "key": one.key,
                "etag": _EMPTY,
                **version,
                "sequencer": f"{next(_order):016x}",
            },
            "request-id": secrets.token_hex(8).upper(),
            **asked,
            "deletion-type": one.kind,
        },
    }


def _region(bucket: str, cloud: Cloud) -> str:
    ask = cloud.client("s3", cloud.region).get_bucket_location
    found = cloud.found(ask, Bucket=bucket) or {}
    return found.get("LocationConstraint") or "us-east-1"
