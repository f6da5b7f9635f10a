"""The sandbox's listing of versions, seen with boto3 over the wire."""

from datetime import UTC, datetime, timedelta

import pytest
from sandbox_stand_ins import SEOUL, client, front, make_bucket, refused

from ctwatch.sandbox.versions import _restored, is_restored

BUCKET = "logs-of-ours"


@pytest.fixture(scope="module")
def sandbox():
    with front() as sandbox:
        make_bucket(sandbox, BUCKET)
        s3 = client(sandbox, "s3")
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        for key in ("a", "b/1", "b/2", "b/c/3", "b/c/4", "d e/ä", "f", "a", "b/1", "a"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        s3.delete_object(Bucket=BUCKET, Key="b/2")
        yield sandbox


def pages(s3, **asked):
    """Each page: keys with versions, keys with delete markers, folders."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET, **asked):
        yield (
            [(one["Key"], one["VersionId"], one["IsLatest"]) for one in page.get("Versions", [])],
            [(one["Key"], one["VersionId"]) for one in page.get("DeleteMarkers", [])],
            [one["Prefix"] for one in page.get("CommonPrefixes", [])],
        )


def together(found):
    return tuple(sorted(one for page in found for one in page[kind]) for kind in range(3))


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "asked",
    [{}, {"Prefix": "b/"}, {"Delimiter": "/"}, {"Prefix": "b/", "Delimiter": "/"}, {"Prefix": "x"}],
    ids=["all", "below", "flat", "flat below", "nothing"],
)
def test_page_by_page_it_is_what_moto_lists_at_once(sandbox, asked, size):
    moto = list(pages(sandbox.client("s3", SEOUL), **asked))
    ours = list(pages(client(sandbox, "s3"), **asked, PaginationConfig={"PageSize": size}))
    assert together(ours) == together(moto)
    assert all(sum(map(len, page)) <= size for page in ours)


def test_a_marker_that_was_deleted_meanwhile_is_still_a_place(sandbox):
    s3 = client(sandbox, "s3")
    for key in ("m/1", "m/2", "m/3"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    first = s3.list_object_versions(Bucket=BUCKET, Prefix="m/", MaxKeys=1)
    gone = {"Key": "m/1", "VersionId": first["NextVersionIdMarker"]}
    s3.delete_object(Bucket=BUCKET, **gone)
    after = {"KeyMarker": first["NextKeyMarker"], "VersionIdMarker": gone["VersionId"]}
    found = s3.list_object_versions(Bucket=BUCKET, Prefix="m/", **after)
    assert [one["Key"] for one in found["Versions"]] == ["m/2", "m/3"]


def test_what_is_restored_from_an_archive_is_listed_as_such_to_who_asks(sandbox):
    s3, key = client(sandbox, "s3"), "archived/d e/ä"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"", StorageClass="GLACIER")
    asked = {"Bucket": BUCKET, "Prefix": "archived/"}

    def told(**more):
        [one] = s3.list_objects_v2(**asked, **more)["Contents"]
        assert (one["Key"], one["StorageClass"]) == (key, "GLACIER")
        return one.get("RestoreStatus")

    more = {"OptionalObjectAttributes": ["RestoreStatus"]}
    assert told(**more) is None
    s3.restore_object(Bucket=BUCKET, Key=key, RestoreRequest={"Days": 2})
    assert told() is None
    status = told(**more)
    assert status["IsRestoreInProgress"] is False
    assert timedelta(days=1) < status["RestoreExpiryDate"] - datetime.now(UTC) <= timedelta(days=2)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, {}),
        ('ongoing-request="true"', {"RestoreStatus": {"IsRestoreInProgress": True}}),
    ],
)
def test_a_copy_that_is_still_being_restored_cannot_be_read(header, status):
    head = {"Restore": header} if header else {}
    assert (_restored(head), is_restored(head)) == (status, False)


def test_more_than_a_thousand_at_once_are_refused(sandbox):
    doomed = [{"Key": str(number)} for number in range(1001)]
    asked = {"Bucket": BUCKET, "Delete": {"Objects": doomed}}
    assert refused(client(sandbox, "s3").delete_objects, **asked)[0] == "MalformedXML"


def test_a_bucket_that_is_not_there_has_no_versions(sandbox):
    asked = {"Bucket": "nobody-s-bucket-at-all"}
    assert refused(client(sandbox, "s3").list_object_versions, **asked)[0] == "NoSuchBucket"


def test_a_folder_is_there_as_long_as_anything_is_in_it(sandbox):
    s3 = client(sandbox, "s3")
    for key in ("f/emptied é/1", "f/emptied é/2", "f/kept é/1", "f/kept é/2"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    for key in ("f/emptied é/1", "f/emptied é/2", "f/kept é/1"):
        s3.delete_object(Bucket=BUCKET, Key=key)
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix="f/", Delimiter="/")
    assert (found["CommonPrefixes"], found["KeyCount"]) == ([{"Prefix": "f/kept é/"}], 1)
    s3.delete_object(Bucket=BUCKET, Key="f/kept é/2")
    assert "CommonPrefixes" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="f/", Delimiter="/")
