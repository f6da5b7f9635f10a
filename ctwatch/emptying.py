"""A versioned bucket is emptied: all versions and delete markers of it, however many there are.

DeleteObjects takes a thousand, as many as a page of the listing holds, and several such calls go
side by side. As each page says where the next begins, one listing could hardly keep them busy, so
a bucket that has more than a page is listed by several folders at once. It is never further ahead
than two batches for each of those calls: a hundred thousand versions take no more memory than
twenty thousand.

DeleteObjects answers 200 whatever became of each object. What S3 was too busy for is asked again;
what it refuses stays, and all the rest goes, before that is said. What an Object Lock keeps is
kept: governance is never bypassed, and its end is told as far as S3 tells it.

Nothing here prints. How far it is comes as values, one after each call, so that whoever watches can
show them and whoever does not can let them pass. There is no state but the bucket itself: cut
anywhere, the next run begins with what is left.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from ctwatch.aws import Aws, unless
from ctwatch.errors import AwsError
from ctwatch.parallel import side_by_side
from ctwatch.permissions import Grant, allow

DELETERS = 8
"""DeleteObjects calls side by side; S3 takes 3,500 deletions a second below one prefix:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html"""
LISTERS = 8
_BATCH = 1000
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before what S3 was too busy for is asked again."""
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_BUSY = {"InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted", "RequestTimeout"}


@dataclass(frozen=True)
class Lock:
    """What keeps a version.

    Attributes:
        mode: "COMPLIANCE" or "GOVERNANCE" of a retention, or "".
        until: when that ends, or None.
        held: whether a legal hold, which has no end, keeps it.
    """

    mode: str
    until: datetime | None
    held: bool


@dataclass(frozen=True)
class Emptied:
    """What has become of versions and delete markers.

    Attributes:
        deleted: how many are gone.
        locked: how many an Object Lock keeps.
        locks: what was seen of those locks: of each batch, those of its newest versions.
        refused: how many S3 did not delete for another reason.
        first: the first of those, as S3 told it.
    """

    deleted: int = 0
    locked: int = 0
    locks: frozenset[Lock] = frozenset()
    refused: int = 0
    first: Mapping[str, Any] = field(default_factory=dict)

    def __add__(self, other: "Emptied") -> "Emptied":
        """Both together."""
        return Emptied(
            deleted=self.deleted + other.deleted,
            locked=self.locked + other.locked,
            locks=self.locks | other.locks,
            refused=self.refused + other.refused,
            first=self.first or other.first,
        )


@dataclass(frozen=True)
class Contents:
    """What a bucket holds, as far as one call tells.

    Attributes:
        versions: versions and delete markers; as many as a page holds when there are more.
        size: bytes of those.
        more: whether there are more.
        lockable: whether an Object Lock may keep some of them.
    """

    versions: int
    size: int
    more: bool
    lockable: bool


def contents(aws: Aws, bucket: Mapping[str, str]) -> Contents | None:
    """What is in a bucket, by the first page of its listing; None for no bucket.

    Args:
        aws: seen from the bucket's region.
        bucket: its name and owner, as S3's calls take them.
    """
    s3, ours = aws.s3, cast("Any", bucket)
    page, lock = aws.together(
        lambda: unless(lambda: s3.list_object_versions(**ours), "NoSuchBucket"),
        lambda: unless(lambda: s3.get_object_lock_configuration(**ours), *_UNLOCKED),
    )
    if page is None:
        return None
    found = _listed(page)
    size = sum(one.get("Size", 0) for one in found)
    return Contents(len(found), size, page["IsTruncated"], lock is not None)


_UNLOCKED = ("ObjectLockConfigurationNotFoundError", "NoSuchBucket", "AccessDenied")


def emptied(aws: Aws, bucket: Mapping[str, str]) -> Iterator[Emptied]:
    """Empty a bucket once through; yields after each call how far that is.

    What arrives behind the place that the listing has come to is left for the next time.

    Args:
        aws: seen from the bucket's region.
        bucket: its name and owner, as S3's calls take them.

    Raises:
        ClientError: S3 refused a call as a whole.
    """
    so_far = Emptied()
    _abort_uploads(aws, bucket)
    batches = _full(_pages(aws, bucket))
    for done in side_by_side(batches, lambda batch: _deleted(aws, bucket, batch), DELETERS):
        so_far += done
        yield so_far


@dataclass(frozen=True)
class _Lane:
    """A listing of its own: of all below a folder, or of what lies flat in it.

    Attributes:
        prefix: the folder.
        marker: where it goes on, as S3's calls take it.
        flat: whether what is below its folders is left to lanes of their own.
        after: where the lane that this one divides has come to: what is before was listed.
    """

    prefix: str = ""
    marker: Mapping[str, str] = field(default_factory=dict)
    flat: bool = False
    after: Mapping[str, str] = field(default_factory=dict)


def _pages(aws: Aws, bucket: Mapping[str, str]) -> Iterator[list[Any]]:
    """All versions and delete markers, a page after another, in no order.

    A lane that is not at its end while too few are under way is divided by its folders, which with
    CloudTrail are AWSLogs/{account}/{kind}/{region}/{year}/{month}/{day}/.
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
    """
    waiting, running = deque([_Lane()]), dict[Future[Any], _Lane]()
    with ThreadPoolExecutor(LISTERS) as pool:
        while waiting or running:
            while waiting and len(running) < LISTERS:
                lane = waiting.popleft()
                running[pool.submit(_page, aws, bucket, lane)] = lane
            for future in wait(running, None, FIRST_COMPLETED).done:
                page, lane = future.result(), running.pop(future)
                few = len(waiting) + len(running) < 2 * LISTERS
                waiting.extend(_further(lane, page, divide=few))
                before = lane.after.get("KeyMarker", "")
                yield [one for one in _listed(page) if one["Key"] > before]


def _page(aws: Aws, bucket: Mapping[str, str], lane: _Lane) -> Any:
    flat = {"Delimiter": "/"} if lane.flat else {}
    asked: Any = {**bucket, "Prefix": lane.prefix, **lane.marker, **flat}
    return aws.s3.list_object_versions(**asked)


def _listed(page: Any) -> list[Any]:
    return [*page.get("Versions", []), *page.get("DeleteMarkers", [])]


def _further(lane: _Lane, page: Any, *, divide: bool) -> Iterator[_Lane]:
    """What is left to list of a lane after one of its pages."""
    come_to = lane.after.get("KeyMarker", "")
    for one in page.get("CommonPrefixes", []):
        if come_to.startswith(one["Prefix"]):
            yield _going_on(_Lane(one["Prefix"]), lane.after, divide=divide)
        elif one["Prefix"] > come_to:
            yield _Lane(one["Prefix"], flat=divide)
    if page["IsTruncated"]:
        told = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}
        behind = {ours: page[theirs] for ours, theirs in told.items() if page.get(theirs)}
        yield _going_on(lane, behind, divide=divide)


def _going_on(lane: _Lane, behind: Mapping[str, str], *, divide: bool) -> _Lane:
    """The lane from a place on: by its folders, or as it is."""
    if divide and not lane.flat:
        return _Lane(lane.prefix, flat=True, after=behind)
    return replace(lane, marker=behind)


def _full(pages: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """The same in batches that are full, but for the last."""
    rest: list[Any] = []
    for page in pages:
        rest += page
        while len(rest) >= _BATCH:
            yield rest[:_BATCH]
            del rest[:_BATCH]
    if rest:
        yield rest


def _abort_uploads(aws: Aws, bucket: Mapping[str, str]) -> None:
    """End the uploads in parts that nobody finished: they are in no listing of versions."""
    s3, ours = aws.s3, cast("Any", bucket)

    def abort(upload: Any) -> Callable[[], Any]:
        which = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
        return lambda: unless(lambda: s3.abort_multipart_upload(**ours, **which), "NoSuchUpload")

    for page in s3.get_paginator("list_multipart_uploads").paginate(**ours):
        aws.together(*map(abort, page.get("Uploads", [])))


def _deleted(aws: Aws, bucket: Mapping[str, str], batch: Sequence[Any]) -> Emptied:
    """Delete a batch; what S3 was too busy for, again."""
    left: Sequence[Any] = batch
    refused: list[Any] = []
    for pause in (*_PAUSES, None):
        errors = _delete(aws, bucket, left)
        busy = [one for one in errors if one.get("Code") in _BUSY]
        refused += [one for one in errors if one.get("Code") not in _BUSY]
        if not busy or pause is None:
            break
        aws.clock.sleep(pause)
        named = {_id(one) for one in busy}
        left = [one for one in left if _id(one) in named] or left
    return _tallied(aws, bucket, batch, [*refused, *busy])


def _id(one: Any) -> tuple[str, str | None]:
    return one["Key"], one.get("VersionId")


def _delete(aws: Aws, bucket: Mapping[str, str], batch: Sequence[Any]) -> list[Any]:
    doomed = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in batch]
    asked = cast("Any", {"Objects": doomed, "Quiet": True})
    answer = aws.s3.delete_objects(**cast("Any", bucket), Delete=asked)
    return cast("list[Any]", answer.get("Errors", []))


def _tallied(
    aws: Aws, bucket: Mapping[str, str], batch: Sequence[Any], refused: Sequence[Any]
) -> Emptied:
    """What became of a batch of which S3 has refused some."""
    denied = {_id(one) for one in refused if one.get("Code") == "AccessDenied"}
    kept = [one for one in batch if _id(one) in denied]
    newest = sorted(kept, key=lambda one: one["LastModified"])[-_LOOKS:]
    locks = [lock for one in newest if (lock := _lock(aws, bucket, one))]
    named = [one for one in refused if _LOCKED in one.get("Message", "").lower()]
    locked = kept if locks else named
    others = [one for one in refused if _id(one) not in {_id(each) for each in locked}]
    return Emptied(
        deleted=len(batch) - len(refused),
        locked=len(locked),
        locks=frozenset(locks),
        refused=len(others),
        first=others[0] if others else {},
    )


_LOOKS = 5
"""Versions of a batch of which it is asked what keeps them: the newest, which the bucket's own rule
keeps the longest."""
_LOCKED = "object lock"  # "Access Denied because object protected by object lock."


def _lock(aws: Aws, bucket: Mapping[str, str], one: Any) -> Lock | None:
    """What keeps a version; None where nothing does, or S3 does not say."""
    which = {"Key": one["Key"], "VersionId": one["VersionId"]}
    ask = aws.s3.head_object
    told: Any = unless(lambda: ask(**cast("Any", bucket), **which), "403", "404", "405")
    held = bool(told) and told.get("ObjectLockLegalHoldStatus") == "ON"
    mode = told.get("ObjectLockMode", "") if told else ""
    return Lock(mode, told.get("ObjectLockRetainUntilDate"), held) if held or mode else None


def emptying_needs(bucket: str) -> tuple[Grant, ...]:
    """What it takes to see what is in a bucket, to delete it, and to ask what keeps it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html

    Args:
        bucket: its ARN.
    """
    look = "ListBucketVersions ListBucketMultipartUploads GetBucketObjectLockConfiguration"
    return (
        replace(allow("s3", look, bucket), protective=False),
        replace(allow("s3", "GetObjectVersion", f"{bucket}/*"), protective=False),
        allow("s3", "AbortMultipartUpload DeleteObjectVersion", f"{bucket}/*"),
    )


def check(so_far: Emptied, title: str) -> None:
    """See that nothing was kept.

    Args:
        so_far: what became of a bucket's versions.
        title: how the bucket is called.

    Raises:
        AwsError: something was.
    """
    if so_far.refused:
        one, many = so_far.first, _counted(so_far.refused)
        raise AwsError(
            f"deleting {title}: {many} not deleted, the first {one.get('Key')}: "
            f"{one.get('Code')}: {one.get('Message')}",
            "The others are gone. When that is mended: ctwatch down --delete-logs",
            code=str(one.get("Code")),
            operation="DeleteObjects",
        )
    if so_far.locked:
        raise AwsError(
            f"deleting {title}: Object Lock keeps {so_far.locked:,} "
            f"version{'s' * (so_far.locked > 1)} in it, {_terms(so_far.locks)}",
            _HINTS[any(one.held for one in so_far.locks)],
            operation="DeleteObjects",
        )


def _counted(many: int) -> str:
    return f"{many:,} versions were" if many > 1 else "1 version was"


def _terms(locks: Iterable[Lock]) -> str:
    """By what and until when, as far as it was seen."""
    known = list(locks)
    modes = sorted({one.mode for one in known if one.mode})
    ends = [one.until for one in known if one.until]
    holds = ["by a legal hold, which has no date"] if any(one.held for one in known) else []
    until = f", some of them until {max(ends):%Y-%m-%d %H:%M} UTC" if ends else ""
    words = [f"by {' and '.join(modes)} retention{until}"] if modes else []
    return " and ".join([*words, *holds]) or "S3 does not say until when"


_HINTS = {
    False: "All else in it is gone. ctwatch bypasses no retention: after that date, run again "
    "ctwatch down --delete-logs",
    True: "All else in it is gone. Whoever set the hold can take it off; then run again "
    "ctwatch down --delete-logs",
}
