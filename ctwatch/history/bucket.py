"""The log bucket of the watch's trail, of which only the days that are asked for are listed.

Every region has a folder of its own, and in it each day; keys are in the order of time, so that a
region is listed from the first of the days to the last. Its files are fetched several at once and
read as they come: they lie on no disk, but for a cache, where there is one. What is there is never
fetched again, as CloudTrail does not change a file that it has delivered.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from ctwatch.aws import TROUBLE, Aws, complaint, unless
from ctwatch.delivered import Deliveries
from ctwatch.errors import CtwatchError
from ctwatch.history.folder import may_hold
from ctwatch.history.search import Blob, Found, Piece, Searching
from ctwatch.parallel import side_by_side

_KINDS = ("CloudTrail/", "CloudTrail-Insight/")
_FETCHING = 16
_GONE = "was deleted while it was looked for"


@dataclass(frozen=True)
class _Object:
    key: str
    size: int


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
    _doubts: list[str] = field(default_factory=list)

    @property
    def what(self) -> str:
        """What it is called."""
        return f"s3://{self.where.bucket}"

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(one.size for one in self.objects)

    @property
    def total(self) -> float:
        """The same."""
        return self.size

    @property
    def doubts(self) -> Sequence[str]:
        """Files that could not be had."""
        return self._doubts

    def through(self, searching: Searching) -> Iterator[tuple[float, Found]]:
        """Fetch and search them.

        Raises:
            AwsError: AWS does not hand one out.
        """
        fetched = side_by_side(self.objects, self._fetched, _FETCHING)
        for found in searching.through(one for one in fetched if one is not None):
            yield found.size, found

    def _fetched(self, one: _Object) -> Piece | None:
        place = self._place(one.key)
        if place and place.exists():
            return place
        try:
            ask = partial(self.aws.s3.get_object, Bucket=self.where.bucket, Key=one.key)
            answer: Any = unless(ask, "NoSuchKey")
            if answer is None:
                self._doubts.append(f"s3://{self.where.bucket}/{one.key} {_GONE}")
                return None
            content = answer["Body"].read()
        except TROUBLE as error:
            raise complaint(error, f"fetching s3://{self.where.bucket}/{one.key}") from error
        return _kept(place, content) if place else Blob(one.key, content)

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
        with NamedTemporaryFile(dir=place.parent, prefix=".", delete=False) as unfinished:  # 0600
            unfinished.write(content)
        Path(unfinished.name).replace(place)
    except OSError as error:
        hint = "Name another folder, or leave --cache out."
        raise CtwatchError(f"--cache: {place} cannot be written: {error.strerror}", hint) from error
    return place


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
    """The log files of a region, from the day before the time to the day after it."""
    pages = aws.s3.get_paginator("list_objects_v2").paginate(
        Bucket=name, Prefix=folder, StartAfter=f"{folder}{since:%Y/%m/%d}/"
    )
    end = f"{folder}{until + timedelta(days=1):%Y/%m/%d}0"  # behind all of that day
    found: list[_Object] = []
    for page in pages:
        for one in page.get("Contents", []):
            if one["Key"] > end:
                return found
            if may_hold(one["Key"].rpartition("/")[2], since, until, ()):
                found.append(_Object(one["Key"], one["Size"]))
    return found
