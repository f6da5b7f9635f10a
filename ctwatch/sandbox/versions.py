"""S3's versions as AWS has them and moto does not: their listing, and what a lock keeps.

moto copies every version of a bucket for each page of a listing, so that a hundred thousand take
it half an hour; and a page whose marker was deleted meanwhile it answers with nothing. Here a page
costs little more than what it holds, and a marker is a place in an order, whether anything is
there or not. And a folder whose every key has a delete marker is still there for moto, which does
not list either what was restored from an archive.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
"""

from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any
from urllib.parse import quote, unquote

from moto.s3.models import FakeDeleteMarker, s3_backends

from ctwatch.sandbox.calls import Call, Forward, Refusal
from ctwatch.sandbox.cloud import Cloud

ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes of which nothing is read that is not restored.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html
"""

PAGE = 1000
"""Versions that a page holds, and that one DeleteObjects takes, at most."""

Rule = Callable[[Call, Forward, Cloud], dict[str, Any]]


def _list(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """A page, by key and, within a key, the newest first."""
    asked = call.params
    bucket = s3_backends[cloud.account]["aws"].buckets.get(asked["Bucket"])
    if bucket is None:
        return forward(call)
    size = min(asked.get("MaxKeys", PAGE), PAGE)
    found = list(islice(_after(bucket.keys, asked), size + 1))
    page = found[:size]
    answer: dict[str, Any] = {
        **{name: asked[name] for name in _REPEATED if name in asked},
        "Name": asked["Bucket"],
        "MaxKeys": size,
        "IsTruncated": len(found) > size,
        "Versions": [one for one in page if "Size" in one],
        "DeleteMarkers": [one for one in page if "Key" in one and "Size" not in one],
        "CommonPrefixes": [one for one in page if "Prefix" in one],
    }
    if len(found) > size and page:
        last = page[-1]
        answer["NextKeyMarker"] = last.get("Key") or last["Prefix"]
        answer |= {"NextVersionIdMarker": last["VersionId"]} if "VersionId" in last else {}
    return answer


_REPEATED = ("Prefix", "Delimiter", "KeyMarker", "VersionIdMarker", "EncodingType")


def _after(keys: Any, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What is behind the markers: versions, delete markers, and what is below a delimiter."""
    prefix, delimiter, key, version = (asked.get(one, "") for one in _REPEATED[:4])
    below = ""
    every = list(keys.keys())  # a copy, as others put and delete meanwhile
    for name in sorted(one for one in every if one >= key and one.startswith(prefix)):
        head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        if found:
            before, below = below, f"{prefix}{head}{delimiter}"
            if below not in {before, key}:
                yield {"Prefix": _encoded(below, asked)}
            continue
        versions = list(reversed(keys.getlist(name) or []))
        ids = [one.version_id for one in versions]
        if key and name == key:
            behind = ids.index(version) + 1 if version in ids else 0
            versions = versions[behind:] if version else []
        for one in versions:
            yield _told(one, asked, newest=one.version_id == ids[0])


def _encoded(key: str, asked: Mapping[str, Any]) -> str:
    return quote(key, safe="/") if asked.get("EncodingType") == "url" else key


def _told(one: Any, asked: Mapping[str, Any], *, newest: bool) -> dict[str, Any]:
    told = {
        "Key": _encoded(one.name, asked),
        "VersionId": one.version_id,
        "IsLatest": newest,
        "LastModified": one.last_modified,
    }
    if isinstance(one, FakeDeleteMarker):
        return told
    return {**told, "ETag": one.etag, "Size": one.size, "StorageClass": one.storage_class}


def _folders(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """Leave out the folders in which nothing is left."""
    answer = forward(call)
    told = answer.get("CommonPrefixes", [])
    if not told:
        return answer
    keys = s3_backends[cloud.account]["aws"].buckets[call.params["Bucket"]].keys
    there = [one for one in list(keys.keys()) if not isinstance(keys.get(one), FakeDeleteMarker)]
    read = unquote if call.params.get("EncodingType") == "url" else str
    left = [one for one in told if any(key.startswith(read(one["Prefix"])) for key in there)]
    fewer = answer["KeyCount"] - len(told) + len(left)
    return {**answer, "CommonPrefixes": left, "KeyCount": fewer}


def _objects(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """Say of what lies in an archive whether a copy is restored, to who asks for that.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreStatus.html
    """
    answer = _folders(call, forward, cloud)
    if "RestoreStatus" not in call.params.get("OptionalObjectAttributes", ()):
        return answer
    s3, bucket = cloud.client("s3", cloud.region), call.params["Bucket"]
    read = unquote if call.params.get("EncodingType") == "url" else str
    contents = [
        {**one, **_restored(cloud.found(s3.head_object, Bucket=bucket, Key=read(one["Key"])))}
        if one["StorageClass"] in ARCHIVES
        else one
        for one in answer.get("Contents", [])
    ]
    return {**answer, "Contents": contents}


def is_restored(head: Mapping[str, Any]) -> bool:
    """Whether HeadObject tells of a copy that can be read."""
    return "RestoreExpiryDate" in _restored(head).get("RestoreStatus", {})


def _restored(head: Mapping[str, Any] | None) -> dict[str, Any]:
    """The status of a restored copy, as a listing has it, of a header: until when it is there."""
    told = (head or {}).get("Restore")
    if told is None:
        return {}
    _, _, until = told.partition('expiry-date="')
    if not until:
        return {"RestoreStatus": {"IsRestoreInProgress": True}}
    expiry = parsedate_to_datetime(until.rstrip('"'))
    return {"RestoreStatus": {"IsRestoreInProgress": False, "RestoreExpiryDate": expiry}}


def _delete(call: Call, forward: Forward, _: Cloud) -> dict[str, Any]:
    """Say of what was not deleted which version it is, which moto leaves out."""
    asked = call.params["Delete"]["Objects"]
    if len(asked) > PAGE:
        said = "The XML you provided was not well-formed or did not validate against our "
        raise Refusal("MalformedXML", f"{said}published schema")
    answer = forward(call)
    if not answer.get("Errors"):
        return answer
    gone = {(one["Key"], one.get("VersionId")) for one in answer.get("Deleted", [])}
    left = {(one["Key"], one.get("VersionId")) for one in asked} - gone
    said_of = {one["Key"]: one for one in answer["Errors"]}
    errors = [{**said_of[key], "VersionId": version} for key, version in left if key in said_of]
    return {
        **answer,
        "Errors": sorted(errors, key=lambda one: (one["Key"], one["VersionId"] or "")),
    }


RULES: dict[str, Rule] = {
    "DeleteObjects": _delete,
    "ListObjectVersions": _list,
    "ListObjectsV2": _objects,
}
