"""The log files that a trail has delivered, checked region by region against its digest files.

This is the part of the check that asks AWS; what it makes of the answers is in `digests`. Nothing
is kept but numbers and faults, so that ninety days take no more memory than a day.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-intro.html
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ctwatch.aws import TROUBLE, Aws, complaint, unless
from ctwatch.digests import LogFile, Looked, Place, Walk, fault_of, stamp
from ctwatch.errors import CtwatchError
from ctwatch.parallel import side_by_side
from ctwatch.permissions import Grant, allow

_REGIONS, _FILES = 4, 8  # looked at side by side: no more together than a client has connections
_LATE = timedelta(hours=2)
"""How old the end of the newest digest may be: one comes every hour, some time after its end."""
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
        begun: since when it logs without a break; None where it does not log.
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
    """

    region: str
    digests: int = 0
    files: int = 0
    faults: tuple[Looked, ...] = ()
    unknown: str = ""


def needs(arn: str, bucket: str) -> Iterator[Grant]:
    """What the check needs, beside the right to decrypt where a key encrypts the files.

    Args:
        arn: the trail's.
        bucket: the ARN of its bucket.
    """
    yield allow("cloudtrail", "DescribeTrails ListPublicKeys")
    yield allow("cloudtrail", "GetTrailStatus", arn)
    yield allow("s3", "ListBucket", bucket)
    yield allow("s3", "GetObject", f"{bucket}/*")


def deliveries(arn: str, account: str, aws: Aws) -> Deliveries:
    """Where a trail delivers what it records of an account.

    Raises:
        CtwatchError: there is no such trail.
        AwsError: AWS would not say.
    """
    try:
        known = aws.cloudtrail.describe_trails(trailNameList=[arn])["trailList"]
        if not known:
            raise CtwatchError(f"there is no trail {arn}: nothing is delivered", "Run: ctwatch up")
        trail: Any = known[0]
        status = aws.cloudtrail.get_trail_status(Name=arn)
        return Deliveries(
            arn=arn,
            account=account,
            bucket=trail["S3BucketName"],
            folder=_folder(trail, account, aws),
            everywhere=trail["IsMultiRegionTrail"],
            validated=trail["LogFileValidationEnabled"],
            begun=status.get("StartLoggingTime") if status["IsLogging"] else None,
        )
    except TROUBLE as error:
        raise complaint(error, f"looking at trail {arn}") from error


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
        regions = check.regions()
    except TROUBLE as error:
        raise complaint(error, f"listing bucket {where.bucket}") from error
    yield from side_by_side(regions, check.region, _REGIONS)


class _Check:
    """One check: its time, and where it reads."""

    def __init__(self, where: Deliveries, aws: Aws, since: datetime, now: datetime) -> None:
        self.where, self.aws, self.since, self.now = where, aws, since, now

    def regions(self) -> list[str]:
        """Those that the trail has ever delivered anything of; a region has a folder of its own."""
        if not self.where.everywhere:
            return [self.where.home]
        kinds = ("CloudTrail-Digest/", "CloudTrail/")
        asked = [f"{self.where.folder}{kind}" for kind in kinds]
        found = self.aws.together(
            *(partial(_folders, self.aws, self.where.bucket, one) for one in asked)
        )
        return sorted({self.where.home, *found[0], *found[1]})

    def region(self, region: str) -> Report:
        """Walk through what a region has."""
        counts: Counter[str] = Counter()
        faults: list[Looked] = []
        unknown = ""
        try:
            for one in self._looks(region):
                faults += [one] if one.fault else []
                counts[one.what] += not one.fault
        except TROUBLE as error:
            unknown = complaint(error, f"checking the files of {region}").problem
        return Report(region, counts["digest"], counts["log file"], tuple(faults), unknown)

    def _looks(self, region: str) -> Iterator[Looked]:
        listed = list(self._listed(region))
        yield from self._lateness([end for _, end, _ in listed])
        if not listed:
            return
        keys = self._keys(region)
        seen: set[Place] = set()
        for backfilled in (False, True):  # what is delivered later has a chain of its own
            places = [(self.where.bucket, key) for key, _, late in listed if late is backfilled]
            walk = Walk(_Bucket(self.aws), keys, places, self.since, seen)
            yield from walk
            seen = walk.seen

    def _listed(self, region: str) -> Iterator[tuple[str, datetime, bool]]:
        """Key, end, and whether it was delivered later for what its hour had left out."""
        folder = f"{self.where.folder}CloudTrail-Digest/{region}/"
        pages = self.aws.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.where.bucket,
            Prefix=folder,
            StartAfter=f"{folder}{self.since:%Y/%m/%d}/",
        )
        for page in pages:
            for one in page.get("Contents", []):
                found = self.where.digest_name.fullmatch(one["Key"])
                end = _time(found[1]) if found else None
                if found and end and end >= self.since:
                    yield one["Key"], end, bool(found[2])

    def _lateness(self, ends: list[datetime]) -> Iterator[Looked]:
        """Whether the newest digest is as new as it must be."""
        begun = self.where.begun
        newest = max(ends, default=max(self.since, begun) if begun else self.since)
        if begun and self.now - newest > _LATE:
            when = f"{stamp(newest)} to {stamp(self.now)}"
            yield Looked("time", when, "no digest vouches for it, and one is delivered every hour")

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
