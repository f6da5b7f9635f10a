"""The log files that a trail has delivered, checked region by region against its digest files.

This is the part of the check that asks AWS; what it makes of the answers is in `digests`. Nothing
is kept but numbers and faults, so that ninety days take no more memory than a day.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-intro.html
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ctwatch.aws import TROUBLE, Aws, Place, complaint, listing_regions, unless
from ctwatch.config import ALL_REGIONS
from ctwatch.digests import LogFile, Looked, Walk, fault_of, stamp
from ctwatch.digests import Place as Stored
from ctwatch.errors import AwsError, CtwatchError
from ctwatch.parallel import side_by_side
from ctwatch.permissions import Grant, allow

_REGIONS, _FILES = 4, 8  # looked at side by side: no more together than a client has connections
_LATE = timedelta(hours=2)
"""How old the end of the newest digest may be: one comes every hour, some time after its end."""
_HOUR = timedelta(hours=1)
"""What a digest tells of; the first ends as long after logging has begun."""
_FIRST = _HOUR + _LATE
"""How long after that each region must have one."""
_CHUNK = 256 * 1024
_MOST = 64 * 1024 * 1024
"""Bytes that are read of what is said to be a digest: AWS's have some kilobytes."""


@dataclass(frozen=True)
class Deliveries:
    """Where a trail delivers, and since when.

    Attributes:
        arn: the trail's.
        account: whose files are looked at; an organization's trail has those of others, too.
        bucket: where to.
        folder: what stands before "CloudTrail/" and "CloudTrail-Digest/" in its keys.
        everywhere: whether it records every region.
        validated: whether it delivers digest files at all.
        begun: since when it logs without a break, in UTC; None where it does not log.
    """

    arn: str
    account: str
    bucket: str
    folder: str
    everywhere: bool
    validated: bool
    begun: datetime | None

    @property
    def home(self) -> str:
        """The trail's home region."""
        return self.arn.split(":")[3]

    @property
    def digest_name(self) -> re.Pattern[str]:
        """How its digest files are called; those of another trail may lie beside them."""
        trail = self.arn.rpartition("/")[2]
        name = rf"{self.account}_CloudTrail-Digest_[^_/]+_{re.escape(trail)}_{self.home}_"
        return re.compile(rf".*/{name}(\d{{8}}T\d{{6}}Z)(_backfill)?\.json\.gz")


@dataclass(frozen=True)
class Report:
    """What was found of one region.

    Attributes:
        region: which.
        digests: digest files that are valid.
        files: log files that are valid.
        faults: what is not.
        unknown: why not all could be looked at; "" where it could.
        begun: since when it has digests, as far back as was looked; None where it has none.
    """

    region: str
    digests: int = 0
    files: int = 0
    faults: tuple[Looked, ...] = ()
    unknown: str = ""
    begun: datetime | None = None


def needs(arn: str, bucket: str, place: Place) -> Iterator[Grant]:
    """What the check needs, beside the right to decrypt where a key encrypts the files.

    Args:
        arn: the trail's.
        bucket: the ARN of its bucket.
        place: whose regions are looked at.
    """
    yield listing_regions(place)
    yield allow("cloudtrail", "DescribeTrails ListPublicKeys")
    yield allow("cloudtrail", "GetTrailStatus", arn)
    yield allow("s3", "ListBucket", bucket)
    yield allow("s3", "GetObject", f"{bucket}/*")


def deliveries(arn: str, account: str, aws: Aws, kept: str = "") -> Deliveries:
    """Where a trail delivers what it records of an account.

    Args:
        arn: the trail's.
        account: whose files.
        aws: the account that the trail is in.
        kept: a bucket that is looked into where the trail is no more, as its files outlive it.

    Raises:
        CtwatchError: there is no such trail, and no bucket that it may have left.
        AwsError: AWS would not say.
    """
    try:
        known = aws.cloudtrail.describe_trails(trailNameList=[arn])["trailList"]
        if not known and kept:
            return _left(arn, account, kept)
        if not known:
            raise CtwatchError(f"there is no trail {arn}: nothing is delivered", "Run: ctwatch up")
        trail: Any = known[0]
        status = aws.cloudtrail.get_trail_status(Name=arn)
        begun = status.get("StartLoggingTime") if status["IsLogging"] else None
        return Deliveries(
            arn=arn,
            account=account,
            bucket=trail["S3BucketName"],
            folder=_folder(trail, account, aws),
            everywhere=trail["IsMultiRegionTrail"],
            validated=trail["LogFileValidationEnabled"],
            begun=begun and begun.astimezone(UTC),
        )
    except TROUBLE as error:
        raise complaint(error, f"looking at trail {arn}") from error


def _left(arn: str, account: str, bucket: str) -> Deliveries:
    """Of what one of ours has left: it had no prefix, and delivers nothing that could be missed."""
    folder = f"AWSLogs/{account}/"
    return Deliveries(arn, account, bucket, folder, everywhere=True, validated=False, begun=None)


def _folder(trail: Any, account: str, aws: Aws) -> str:
    """An organization's trail has a folder of the organization's above those of the accounts.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
    """
    prefix = trail.get("S3KeyPrefix")
    root = f"{prefix}/AWSLogs/" if prefix else "AWSLogs/"
    if not trail.get("IsOrganizationTrail"):
        return f"{root}{account}/"
    folders = _folders(aws, trail["S3BucketName"], root)
    own = next((one for one in folders if one.startswith("o-")), "o-")  # as yet nothing came
    return f"{root}{own}/{account}/"


def _folders(aws: Aws, bucket: str, prefix: str) -> list[str]:
    pages = aws.s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, Delimiter="/"
    )
    found = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])]
    return [one[len(prefix) :].rstrip("/") for one in found]


def reports(where: Deliveries, aws: Aws, since: datetime, now: datetime) -> Iterator[Report]:
    """Check what was delivered in a time; yields a report for each region, as it is ready.

    Those of regions without a digest come last: the others tell, too, since when the trail logs, as
    who stops it and starts it anew makes it look young. Where AWS does not tell which regions the
    account has, a report for all of them says so.

    Args:
        where: the trail delivers.
        aws: the account.
        since: where the time begins.
        now: where it ends, by AWS's clock.

    Raises:
        AwsError: the bucket may not be looked at.
    """
    check = _Check(where, aws, since, now)
    try:
        regions, doubt = check.regions()
    except TROUBLE as error:
        raise complaint(error, f"listing bucket {where.bucket}") from error
    if doubt:
        yield Report(ALL_REGIONS, unknown=doubt)
    silent: list[Report] = []
    begun = where.begun or now
    for one in side_by_side(regions, check.region, _REGIONS):
        if one.begun or one.unknown:
            begun = min(begun, one.begun or now)
            yield one
        else:
            silent.append(one)
    yield from check.silent(silent, begun)


_Listed = tuple[str, datetime, bool]
"""A digest's key, its end, and whether it came later for what its hour had left out."""


class _Check:
    """One check: its time, and where it reads."""

    def __init__(self, where: Deliveries, aws: Aws, since: datetime, now: datetime) -> None:
        self.where, self.aws, self.since, self.now = where, aws, since, now
        self.listed_since = min(since, now - _FIRST)  # in a shorter time none need have come

    def regions(self) -> tuple[list[str], str]:
        """Those that must have digests or have files, and why one may be missing from them.

        A region has a folder of its own, until somebody deletes all that is in it; but a trail of
        every region delivers digests of each that is enabled, whether anything happened there or
        not, and so AWS is asked for those, too.

            https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html
        """
        if not self.where.everywhere:
            return [self.where.home], ""
        kinds = ("CloudTrail-Digest/", "CloudTrail/")
        asked = [f"{self.where.folder}{kind}" for kind in kinds]
        found = self.aws.together(
            *(partial(_folders, self.aws, self.where.bucket, one) for one in asked)
        )
        seen = {self.where.home, *found[0], *found[1]}
        try:
            return sorted(seen.union(self.aws.regions())), ""
        except AwsError as error:
            doubt = "a region of which nothing is left would not be missed"
            return sorted(seen), f"{doubt}: {error.problem}"

    def region(self, region: str) -> Report:
        """Walk through what a region has."""
        counts: Counter[str] = Counter()
        faults: list[Looked] = []
        unknown, begun = "", None
        try:
            listed = list(self._listed(region))
            begun = min((end - _HOUR for _, end, _ in listed), default=None)
            for one in self._looks(region, listed):
                faults += [one] if one.fault else []
                counts[one.what] += not one.fault
        except TROUBLE as error:
            unknown = complaint(error, f"checking the files of {region}").problem
        return Report(region, counts["digest"], counts["log file"], tuple(faults), unknown, begun)

    def silent(self, regions: Iterable[Report], begun: datetime) -> Iterator[Report]:
        """Judge those that have no digest, where the trail logs since `begun`."""
        first = max(begun, self.listed_since)
        due = self.now - begun >= _FIRST
        for one in regions:
            yield replace(one, faults=(self._unvouched(first),)) if due else one

    def _looks(self, region: str, listed: Sequence[_Listed]) -> Iterator[Looked]:
        yield from self._lateness([end for _, end, _ in listed])
        asked = [one for one in listed if one[1] >= self.since]
        if not asked:
            return
        keys = self._keys(region)
        seen: set[Stored] = set()
        for backfilled in (False, True):  # what is delivered later has a chain of its own
            places = [(self.where.bucket, key) for key, _, late in asked if late is backfilled]
            walk = Walk(_Bucket(self.aws), keys, places, self.since, seen)
            yield from walk
            seen = walk.seen

    def _listed(self, region: str) -> Iterator[_Listed]:
        folder = f"{self.where.folder}CloudTrail-Digest/{region}/"
        pages = self.aws.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.where.bucket,
            Prefix=folder,
            StartAfter=f"{folder}{self.listed_since:%Y/%m/%d}/",
        )
        for page in pages:
            for one in page.get("Contents", []):
                found = self.where.digest_name.fullmatch(one["Key"])
                end = _time(found[1]) if found else None
                if found and end and end >= self.listed_since:
                    yield one["Key"], end, bool(found[2])

    def _lateness(self, ends: list[datetime]) -> Iterator[Looked]:
        """Whether the newest digest is as new as it must be."""
        if ends and self.where.begun and self.now - max(ends) > _LATE:
            yield self._unvouched(max(ends))

    def _unvouched(self, since: datetime) -> Looked:
        when = f"{stamp(since)} to {stamp(self.now)}"
        return Looked("time", when, "no digest vouches for it, and one is delivered every hour")

    def _keys(self, region: str) -> Mapping[str, bytes]:
        """CloudTrail's public keys of that region, each region having its own.

        https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_ListPublicKeys.html
        """
        cloudtrail = self.aws.at(region).cloudtrail
        pages = cloudtrail.get_paginator("list_public_keys").paginate(StartTime=self.since)
        return {one["Fingerprint"]: one["Value"] for page in pages for one in page["PublicKeyList"]}


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


class _Bucket:
    """A store on S3."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def digest(self, bucket: str, key: str) -> tuple[bytes, Mapping[str, str]] | None:
        """One, whole."""
        found = self._get(bucket, key)
        return (found["Body"].read(_MOST), found["Metadata"]) if found else None

    def check(self, files: Iterable[LogFile]) -> Iterator[tuple[LogFile, str]]:
        """Several at once, each piece by piece."""
        yield from side_by_side(files, self._checked, _FILES)

    def _checked(self, file: LogFile) -> tuple[LogFile, str]:
        found = self._get(file.bucket, file.key)
        return file, fault_of(file, found["Body"].iter_chunks(_CHUNK) if found else None)

    def _get(self, bucket: str, key: str) -> Any:
        ask: Callable[[], Any] = partial(self._aws.s3.get_object, Bucket=bucket, Key=key)
        return unless(ask, "NoSuchKey", "NoSuchBucket")
