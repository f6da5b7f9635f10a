"""The log files of the sandbox's trails, and the digest files that vouch for them.

A trail that logs a call keeps its record until somebody lets CloudTrail deliver: `deliver` puts a
log file for each region that has records, and, where the trail wants its files validated, a digest
file for each region, signed with that region's key. What the bucket's policy keeps out waits, and
the trail's status tells why. The first digest of a chain names none before it; StopLogging ends a
chain. On AWS, and in `ctwatch sandbox`, that is every few minutes and every hour; here it is when
it is asked for, and as of the time that is asked for, so that a day can pass in a moment.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html
"""

import functools
import gzip
import hashlib
import json
import secrets
import threading
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ctwatch.sandbox import trails
from ctwatch.sandbox.calls import Call, Forward
from ctwatch.sandbox.cloud import Cloud
from ctwatch.sandbox.records import HISTORY_LENGTH

_HOUR = timedelta(hours=1)
_ALGORITHM = {"signature-algorithm": "SHA256withRSA"}
_NO_PREVIOUS = dict.fromkeys(
    f"previousDigest{name}"
    for name in ("S3Bucket", "S3Object", "HashValue", "HashAlgorithm", "Signature")
)


@functools.cache
def _key(region: str) -> rsa.RSAPrivateKey:
    """The key of a region; one a process, as making one takes a while."""
    del region
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _public(region: str) -> bytes:
    kind = serialization.PublicFormat.PKCS1
    return _key(region).public_key().public_bytes(serialization.Encoding.DER, kind)


def _fingerprint(region: str) -> str:
    return hashlib.md5(_public(region), usedforsecurity=False).hexdigest()


def public_keys(call: Call, _: Forward) -> dict[str, Any]:
    """ListPublicKeys: the region's one key, which is valid for ever."""
    told = {
        "Value": _public(call.region),
        "ValidityStartTime": datetime(2020, 1, 1, tzinfo=UTC),
        "ValidityEndTime": datetime(2040, 1, 1, tzinfo=UTC),
        "Fingerprint": _fingerprint(call.region),
    }
    return {"PublicKeyList": [told]}


@dataclass(frozen=True)
class _Chain:
    """Where a chain has come to: when its last digest ended, and how the next must name it."""

    end: datetime
    last: Mapping[str, Any]


@dataclass(frozen=True)
class _Hour:
    """What is delivered at once."""

    trail: Any
    region: str
    start: datetime
    end: datetime

    def key(self, account: str, kind: str, name: str) -> str:
        """Where a file of it goes."""
        prefix = f"{self.trail.s3_key_prefix}/" if self.trail.s3_key_prefix else ""
        folder = f"{prefix}AWSLogs/{account}/{kind}/{self.region}/{self.end:%Y/%m/%d}"
        return f"{folder}/{account}_{kind}_{self.region}_{name}.json.gz"


class LogFiles:
    """What CloudTrail has yet to deliver, and where each chain of digests has come to."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str], deque[Any]] = defaultdict(
            lambda: deque(maxlen=HISTORY_LENGTH)
        )
        self._undigested: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self._chains: dict[tuple[str, str], _Chain] = {}

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._pending.clear()
            self._undigested.clear()
            self._chains.clear()

    def add(self, trails: Sequence[Any], record: Mapping[str, Any]) -> None:
        """Keep a record for the trails that log it."""
        with self._lock:
            for trail in trails:
                self._pending[trail.arn, record["awsRegion"]].append(record)

    def end_chains(self, arn: str) -> None:
        """Let the trail's next digests name none before them."""
        with self._lock:
            self._chains = {key: one for key, one in self._chains.items() if key[0] != arn}

    def deliver(
        self, trail: Any, regions: Sequence[str], at: datetime, *, digests: bool = True
    ) -> list[str]:
        """Deliver what a trail has of these regions, as of a time.

        Args:
            trail: which one.
            regions: of which regions.
            at: as of when.
            digests: whether it is time for digests, too; else the next ones name these files.

        Returns:
            The keys of the objects, the digests last.
        """
        with self._lock:
            hours = [self._hour(trail, region, at.replace(microsecond=0)) for region in regions]
            files = [file for one in hours if (file := self._log_file(one))]
            keys = [file["s3Object"] for file in files]
            if trail.log_validation and digests:
                keys += filter(None, map(self._digest, hours))
            return keys

    def _hour(self, trail: Any, region: str, at: datetime) -> _Hour:
        chain = self._chains.get((trail.arn, region))
        return _Hour(trail, region, chain.end if chain else at - _HOUR, at)

    def _log_file(self, hour: _Hour) -> dict[str, Any] | None:
        which = (hour.trail.arn, hour.region)
        records = list(self._pending.get(which, ()))
        name = f"{hour.end:%Y%m%dT%H%MZ}_{secrets.token_hex(8)}"
        key = hour.key(self._cloud.account, "CloudTrail", name)
        if not records or not self._lets_in(hour.trail, key, "LatestDeliveryError"):
            return None
        del self._pending[which]
        content = json.dumps({"Records": records}).encode()
        self._put(hour.trail, key, content, {})
        times = sorted(one["eventTime"] for one in records)
        file = {
            "s3Bucket": hour.trail.bucket_name,
            "s3Object": key,
            "hashValue": hashlib.sha256(content).hexdigest(),
            "hashAlgorithm": "SHA-256",
            "newestEventTime": times[-1],
            "oldestEventTime": times[0],
        }
        if hour.trail.log_validation:
            self._undigested[which].append(file)
        return file

    def _digest(self, hour: _Hour) -> str | None:
        trail, bucket = hour.trail, hour.trail.bucket_name
        which = (trail.arn, hour.region)
        chain = self._chains.get(which)
        name = f"{trail.trail_name}_{trail.region_name}_{hour.end:%Y%m%dT%H%M%SZ}"
        key = hour.key(self._cloud.account, "CloudTrail-Digest", name)
        if not self._lets_in(trail, key, "LatestDigestDeliveryError"):
            return None
        files = self._undigested.pop(which, [])
        document = {
            "awsAccountId": self._cloud.account,
            "digestStartTime": _stamp(hour.start),
            "digestEndTime": _stamp(hour.end),
            "digestS3Bucket": bucket,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": _fingerprint(hour.region),
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": max((one["newestEventTime"] for one in files), default=None),
            "oldestEventTime": min((one["oldestEventTime"] for one in files), default=None),
            **(chain.last if chain else _NO_PREVIOUS),
            "logFiles": files,
        }
        content = json.dumps(document).encode()
        signature = signed(hour.region, document, content)
        self._put(trail, key, content, {"signature": signature, **_ALGORITHM})
        last = {
            "previousDigestS3Bucket": bucket,
            "previousDigestS3Object": key,
            "previousDigestHashValue": hashlib.sha256(content).hexdigest(),
            "previousDigestHashAlgorithm": "SHA-256",
            "previousDigestSignature": signature,
        }
        self._chains[which] = _Chain(hour.end, last)
        return key

    def _lets_in(self, trail: Any, key: str, told: str) -> bool:
        """Whether the bucket takes an object; the trail's status tells until it does.

        Whether that of another account does, which an organization's trail has, is for it to say.
        """
        fault = ""
        if trail.account_id == self._cloud.account:
            fault = trails.undelivered(self._cloud, trail.arn, trail.bucket_name, key)
        trails.faults(trail).pop(told, None)
        if fault:
            trails.faults(trail)[told] = fault
        return not fault

    def _put(self, trail: Any, key: str, content: bytes, metadata: Mapping[str, str]) -> None:
        self._cloud.client("s3", trail.region_name).put_object(
            Bucket=trail.bucket_name, Key=key, Body=gzip.compress(content), Metadata=dict(metadata)
        )


def signed(region: str, document: Mapping[str, Any], content: bytes) -> str:
    """The signature of a digest file, in hexadecimal digits.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html

    Args:
        region: whose key signs.
        document: the digest.
        content: the same as it is stored, uncompressed.
    """
    told = [
        document["digestEndTime"],
        f"{document['digestS3Bucket']}/{document['digestS3Object']}",
        hashlib.sha256(content).hexdigest(),
        document["previousDigestSignature"] or "null",
    ]
    scheme = padding.PKCS1v15()
    return _key(region).sign("\n".join(told).encode(), scheme, hashes.SHA256()).hex()


def _stamp(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
