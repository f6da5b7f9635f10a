"""The log bucket of the watch's trail, of which only the days that are asked for are listed.

Every region has a folder of its own, and in it each day; keys are in the order of time, so that a
region is listed from the first of the days to the last. Its files are fetched several at once and
read as they come: they lie on no disk, but for a cache, where there is one. What is there is never
fetched again, as CloudTrail does not change a file that it has delivered.

What lies in an archive, where a lifecycle rule has put it, cannot be fetched until it is restored:
it is left out, and told of at the end, as is each file that AWS will not hand out.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from ctwatch.aws import TROUBLE, Aws, code_of, complaint
from ctwatch.delivered import Deliveries
from ctwatch.errors import AwsError, CtwatchError
from ctwatch.history.folder import may_hold
from ctwatch.history.search import Blob, Found, Piece, Searching
from ctwatch.inert import one_line
from ctwatch.parallel import side_by_side

_KINDS = ("CloudTrail/", "CloudTrail-Insight/")
_FETCHING = 16
_PAGE = 1000
"""Keys of one listing, the most that S3 tells at once."""
_ENOUGH = 200
"""Files in a row, the first, that AWS may refuse before no other is asked for."""
_NAMED = 3
ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""The storage classes of which nothing can be fetched at once."""
ARCHIVED = "archived, and must be restored before it can be read (aws s3api restore-object)"
# Why a file is not handed out that others may well be: all else is trouble of the whole.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_Errors
_WHY = {
    "NoSuchKey": "deleted while it was looked for",
    "InvalidObjectState": ARCHIVED,
    "AccessDenied": "AWS does not let you read it (AccessDenied)",
}


@dataclass(frozen=True)
class _Object:
    key: str
    size: int
    archived: bool = False


@dataclass
class Bucket:
    """A log bucket as a source.

    Attributes:
        aws: the account.
        where: the trail delivers.
        objects: its log files of the time and the regions that are asked for.
        cache: a folder to keep them in, or None.
    """

    aws: Aws
    where: Deliveries
    objects: Sequence[_Object]
    cache: Path | None = None
    notes: Sequence[str] = ()
    _refused: dict[str, list[str]] = field(default_factory=dict)
    _had: bool = False

    @property
    def what(self) -> str:
        """What it is called."""
        return f"s3://{self.where.bucket}"

    @property
    def size(self) -> int:
        """Bytes of its files, as far as they are not archived."""
        return sum(one.size for one in self._at_hand)

    @property
    def total(self) -> float:
        """The same."""
        return self.size

    @cached_property
    def _at_hand(self) -> list[_Object]:
        """The files that are no archive's, or lie in the cache."""
        return [one for one in self.objects if not one.archived or self._cached(one.key)]

    @property
    def doubts(self) -> Sequence[str]:
        """Files that could not be had, a line for each reason."""
        fetched = {one.key for one in self._at_hand}
        archived = [one.key for one in self.objects if one.key not in fetched]
        reasons = {ARCHIVED: archived} if archived else {}
        for why, keys in self._refused.items():
            reasons[why] = [*reasons.get(why, ()), *keys]
        return [not_read(self.where.bucket, why, keys) for why, keys in reasons.items()]

    def through(self, searching: Searching) -> Iterator[tuple[float, Found]]:
        """Fetch and search them.

        Raises:
            AwsError: AWS hands none out, or cannot be asked.
        """
        fetched = side_by_side(self._at_hand, self._fetched, _FETCHING)
        for found in searching.through(one for one in fetched if one is not None):
            yield found.size, found
        if not self._had and self.doubts:
            raise AwsError("Nothing could be read", " ".join(self.doubts))

    def _fetched(self, one: _Object) -> Piece | None:
        place = self._cached(one.key)
        content = None if place else self._content(one.key)
        if not place and content is None:
            return None
        self._had = True
        if place or content is None:
            return place
        place = self._place(one.key)
        return _kept(place, content) if place else Blob(one.key, content)

    def _content(self, key: str) -> bytes | None:
        """What a file holds; None where it alone is not to be had.

        Raises:
            AwsError: it is trouble with more than the one, or none of many is.
        """
        try:
            answer: Any = self.aws.s3.get_object(Bucket=self.where.bucket, Key=key)
            return bytes(answer["Body"].read())
        except TROUBLE as error:
            keys = self._refused.setdefault(_WHY.get(code_of(error), ""), [])
            keys.append(key)
            if code_of(error) not in _WHY or (len(keys) >= _ENOUGH and not self._had):
                raise complaint(error, f"fetching {self.what}/{key}") from error
            return None

    def _cached(self, key: str) -> Path | None:
        """Where it is in the cache; None where it is not."""
        place = self._place(key)
        return place if place and place.exists() else None

    def _place(self, key: str) -> Path | None:
        """Where it is kept; one whose name leads out of the folder is kept nowhere."""
        parts = key.split("/")
        if not self.cache or {"", ".", ".."}.intersection(parts):
            return None
        return self.cache.joinpath(self.where.bucket, *parts)


def _kept(place: Path, content: bytes) -> Path:
    """Keep a file, whole or not at all, for its user alone."""
    try:
        _make_private(place.parent)
        _write(place, content)
    except OSError as error:
        hint = "Name another folder, or leave --cache out."
        raise CtwatchError(f"--cache: {place} cannot be written: {error.strerror}", hint) from error
    return place


def _write(place: Path, content: bytes) -> None:
    with NamedTemporaryFile(dir=place.parent, prefix=".", delete=False) as unfinished:  # 0600
        part = Path(unfinished.name)
        try:
            unfinished.write(content)
            unfinished.close()
            part.replace(place)
        except BaseException:  # Ctrl-C, too
            part.unlink(missing_ok=True)
            raise


def _make_private(folder: Path) -> None:
    """Make a folder, and those above it, where they are not there yet."""
    if not folder.exists():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def bucket(  # noqa: PLR0913 - all by name
    aws: Aws,
    where: Deliveries,
    *,
    since: datetime,
    until: datetime,
    regions: Sequence[str] = (),
    cache: Path | None = None,
) -> Bucket:
    """List the log files of a time.

    Args:
        aws: the account.
        where: the trail delivers.
        since: the first moment that counts.
        until: the first that counts no more.
        regions: which; none for all.
        cache: a folder to keep the files in.

    Raises:
        AwsError: the bucket may not be listed.
    """
    try:
        folders = [
            folder
            for kind in _KINDS
            for folder in _folders(aws, where.bucket, f"{where.folder}{kind}")
            if not regions or folder.rstrip("/").rpartition("/")[2] in regions
        ]
        listing = partial(_listed, aws, where.bucket, since=since, until=until)
        objects = [one for each in side_by_side(folders, listing, _FETCHING) for one in each]
    except TROUBLE as error:
        raise complaint(error, f"listing bucket {where.bucket}") from error
    return Bucket(aws, where, sorted(objects, key=lambda one: one.key), cache)


def _folders(aws: Aws, name: str, prefix: str) -> list[str]:
    pages = aws.s3.get_paginator("list_objects_v2").paginate(
        Bucket=name, Prefix=prefix, Delimiter="/"
    )
    return [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])]


def _listed(aws: Aws, name: str, folder: str, *, since: datetime, until: datetime) -> list[_Object]:
    """The log files of a region, from the day on which the time begins to the day after it."""
    pages = aws.s3.get_paginator("list_objects_v2").paginate(
        Bucket=name,
        Prefix=folder,
        StartAfter=f"{folder}{since:%Y/%m/%d}/",
        OptionalObjectAttributes=["RestoreStatus"],
        PaginationConfig={"PageSize": _PAGE},
    )
    end = f"{folder}{until + timedelta(days=1):%Y/%m/%d}0"  # behind all of that day
    found: list[_Object] = []
    for page in pages:
        for one in page.get("Contents", []):
            if one["Key"] > end:
                return found
            if may_hold(one["Key"].rpartition("/")[2], since, until, ()):
                found.append(_Object(one["Key"], one["Size"], is_archived(one)))
    return found


def not_read(bucket: str, why: str, keys: Sequence[str]) -> str:
    """A line that says of some files that they were not read, and why."""
    several = "1 file" if len(keys) == 1 else f"{len(keys):,} files"
    named = ", ".join(f"s3://{bucket}/{one_line(key)}" for key in keys[:_NAMED])
    return f"{several} not read: {why}: {named}{', …' if len(keys) > _NAMED else ''}"


def is_archived(one: Any) -> bool:
    """Whether an object that was listed lies in an archive and no copy of it is restored.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreStatus.html
    """
    restored = "RestoreExpiryDate" in one.get("RestoreStatus", {})
    return one.get("StorageClass") in ARCHIVES and not restored
