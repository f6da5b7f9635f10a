"""Whether log files are as CloudTrail delivered them: what its digest files say, and who signed.

Every hour CloudTrail delivers, for each region, a digest file. It names the log files of that hour
with a hash of each, and the digest file before it with its hash and signature: a chain, of which
every link is signed with a key that only CloudTrail has. `Walk` follows it backwards from the
newest. A digest whose signature does not fit is not believed; the walk then goes on with the next
that is there. Where two neighbours do not meet, nothing vouches for the time between.

Pure: what is stored comes from a `Store`. RSA is verified here, as it takes a power, a padding and
one comparison of the whole (RFC 8017, 8.2.2), and so no library.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html
"""

import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

ALGORITHM = "SHA256withRSA"
_HASH = "SHA-256"
_LONGEST = 64 * 1024 * 1024
"""Bytes of a digest file, uncompressed; AWS's are of some kilobytes."""
_PIECE = 1024 * 1024
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")

# The keys


@dataclass(frozen=True)
class PublicKey:
    """An RSA public key."""

    modulus: int
    exponent: int


def public_key(der: bytes) -> PublicKey:
    """A key from its DER, as ListPublicKeys gives it: RSAPublicKey of RFC 8017, A.1.1.

    Raises:
        ValueError: it is none.
    """
    numbers, behind = _element(der, _SEQUENCE)
    modulus, rest = _element(numbers, _INTEGER)
    exponent, more = _element(rest, _INTEGER)
    if behind or more:
        raise ValueError("something follows the key")
    return PublicKey(_positive(modulus), _positive(exponent))


_SEQUENCE, _INTEGER, _LONG = 0x30, 0x02, 0x80


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The contents of a DER element, and what is behind it."""
    if len(data) < 2 or data[0] != tag:  # noqa: PLR2004 - a tag and a length
        raise ValueError("not the DER of a key")
    length, start = data[1], 2
    if length & _LONG:
        start += length & ~_LONG
        told = data[2:start]
        length = int.from_bytes(told)
        if not told or told[0] == 0 or length < _LONG:
            raise ValueError("a length that DER does not write so")
    if len(data) < start + length:
        raise ValueError("it ends too early")
    return data[start : start + length], data[start + length :]


def _positive(number: bytes) -> int:
    """A positive INTEGER, in its shortest form as DER wants it."""
    if not number or number[0] & _LONG or (number[0] == 0 and not number[1:2] >= b"\x80"):
        raise ValueError("a number that no key has")
    return int.from_bytes(number)


# What stands before the hash in what is signed: https://www.rfc-editor.org/rfc/rfc8017#section-9.2
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


def verifies(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether a signature is the key's owner's for a message: RSASSA-PKCS1-v1_5 with SHA-256."""
    size = (key.modulus.bit_length() + 7) // 8
    info = _SHA256 + hashlib.sha256(message).digest()
    padding = size - len(info) - 3
    number = int.from_bytes(signature)
    if padding < 8 or len(signature) != size or number >= key.modulus:  # noqa: PLR2004 - the RFC's
        return False
    expected = b"\x00\x01" + b"\xff" * padding + b"\x00" + info
    return hmac.compare_digest(pow(number, key.exponent, key.modulus).to_bytes(size), expected)


# The files


@dataclass(frozen=True)
class LogFile:
    """A log file as its digest names it: where it is, and the hash of its uncompressed content."""

    bucket: str
    key: str
    hash: str


@dataclass(frozen=True)
class Previous:
    """The digest file before another, as that names it."""

    bucket: str
    key: str
    hash: str
    signature: str


@dataclass(frozen=True)
class Digest:
    """A digest file.

    Attributes:
        start: from when on log files were delivered that it names, in UTC.
        end: until when.
        bucket: where CloudTrail put it.
        key: the same.
        fingerprint: of the key that it is signed with.
        previous: the one before it; None where a chain begins.
        files: the log files that it names.
        hash: of its own uncompressed content.
    """

    start: datetime
    end: datetime
    bucket: str
    key: str
    fingerprint: str
    previous: Previous | None
    files: tuple[LogFile, ...]
    hash: str

    @property
    def signed(self) -> bytes:
        """What CloudTrail has signed of it; "null" where there is none before it."""
        before = self.previous.signature if self.previous else "null"
        place = f"{self.bucket}/{self.key}"
        return f"{stamp(self.end)}\n{place}\n{self.hash}\n{before}".encode()


def stamp(time: datetime) -> str:
    """A time as CloudTrail writes it."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What a gzip file holds, piece by piece.

    Raises:
        ValueError: it is none, is cut, or something has been put behind it: whatever reads on
            there would read what CloudTrail never wrote.
    """
    gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for chunk in chunks:
            rest = chunk
            while rest and not gzip.eof:
                yield gzip.decompress(rest, _PIECE)
                rest = gzip.unconsumed_tail
            if gzip.unused_data or (rest and gzip.eof):
                raise ValueError("something was put behind its end")
        yield gzip.flush()
    except zlib.error as error:
        raise ValueError("it is no gzip file") from error
    if not gzip.eof:
        raise ValueError("it is cut")


def read(compressed: bytes) -> Digest:
    """A digest file.

    Raises:
        ValueError: it is none.
    """
    content = bytearray()
    for piece in inflated([compressed]):
        content += piece
        if len(content) > _LONGEST:
            raise ValueError("it is far too long")
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    if not isinstance(told, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - one kind for all that is no digest
    return Digest(
        start=_time(told, "digestStartTime"),
        end=_time(told, "digestEndTime"),
        bucket=_text(told, "digestS3Bucket"),
        key=_text(told, "digestS3Object"),
        fingerprint=_text(told, "digestPublicKeyFingerprint"),
        previous=_previous(told),
        files=tuple(map(_file, _list(told, "logFiles"))),
        hash=hashlib.sha256(content).hexdigest(),
    )


def _text(told: Any, name: str) -> str:
    value = told.get(name) if isinstance(told, dict) else None
    if not isinstance(value, str):
        raise ValueError(f"it lacks {name}")  # noqa: TRY004 - as above
    return value


def _list(told: dict[str, Any], name: str) -> list[Any]:
    value = told.get(name)
    if not isinstance(value, list):
        raise ValueError(f"it lacks {name}")  # noqa: TRY004 - as above
    return value


def _time(told: dict[str, Any], name: str) -> datetime:
    text = _text(told, name)
    try:
        time = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        time = None
    if time is None or stamp(time) != text:
        raise ValueError(f"its {name} is no time")
    return time


def _previous(told: dict[str, Any]) -> Previous | None:
    if told.get("previousDigestSignature") is None:
        return None
    _is_sha256(_text(told, "previousDigestHashAlgorithm"))
    names = ("S3Bucket", "S3Object", "HashValue", "Signature")
    return Previous(*(_text(told, f"previousDigest{name}") for name in names))


def _file(told: Any) -> LogFile:
    _is_sha256(_text(told, "hashAlgorithm"))
    return LogFile(*(_text(told, name) for name in ("s3Bucket", "s3Object", "hashValue")))


def _is_sha256(algorithm: str) -> None:
    if algorithm != _HASH:
        raise ValueError(f"it has a hash by {algorithm}, which is unknown here")


MISSING = "is missing: it was deleted"


def fault_of(file: LogFile, chunks: Iterable[bytes] | None) -> str:
    """What is wrong with a log file; "" where it is as CloudTrail delivered it.

    Args:
        file: as its digest names it.
        chunks: what is stored there, None for nothing.
    """
    if chunks is None:
        return MISSING
    found = hashlib.sha256()
    try:
        for piece in inflated(chunks):
            found.update(piece)
    except ValueError as error:
        return f"was changed: {error}"
    return "" if hmac.compare_digest(found.hexdigest(), file.hash.lower()) else "was changed"


# The chain


class Store(Protocol):
    """Where the files are."""

    def digest(self, bucket: str, key: str) -> tuple[bytes, Mapping[str, str]] | None:
        """A digest file as it is stored, with its metadata; None where nothing is."""

    def check(self, files: Iterable[LogFile]) -> Iterator[tuple[LogFile, str]]:
        """Each of these log files with what is wrong with it (see `fault_of`)."""


@dataclass(frozen=True)
class Looked:
    """One look.

    Attributes:
        what: "digest", "log file", or "time" for a time for which nothing vouches.
        subject: the file's place, "s3://bucket/key", or the time.
        fault: what is wrong; "" for nothing.
    """

    what: str
    subject: str
    fault: str = ""


Place = tuple[str, str]
"""A bucket and a key."""


class Walk:
    """A walk through one region's chain, backwards.

    Args:
        store: where the files are.
        keys: CloudTrail's public keys of that region, DER by fingerprint.
        listed: the places of the digest files of the time that is looked at, oldest first.
        since: where that begins.
        seen: what another walk has been to; it is not gone to again.
    """

    def __init__(
        self,
        store: Store,
        keys: Mapping[str, bytes],
        listed: Sequence[Place],
        since: datetime,
        seen: Iterable[Place] = (),
    ) -> None:
        self._store, self._keys, self._since = store, keys, since
        self._listed = list(listed)
        self.seen = set(seen)

    def __iter__(self) -> Iterator[Looked]:
        """Look at one after the other, newest first."""
        place, named = self._next_listed(), None
        met: datetime | None = None  # where the digest after this one begins
        while place:
            self.seen.add(place)
            digest, fault = self._look(place, named)
            yield Looked("digest", _url(place), fault)
            if digest is None:
                place, named, met = self._next_listed(place), None, None
                continue
            yield from _gap(digest.end, met)
            for file, wrong in self._store.check(digest.files):
                yield Looked("log file", _url((file.bucket, file.key)), wrong)
            place, named, met = self._before(digest), digest.previous, digest.start
        for other in self._listed:
            if other not in self.seen:
                yield Looked("digest", _url(other), "is in no chain: no later one names it")

    def _next_listed(self, than: Place | None = None) -> Place | None:
        """The newest that is there, or the newest older than one that led nowhere."""
        older = [one for one in self._listed if one not in self.seen and (not than or one < than)]
        return older[-1] if older else None

    def _before(self, digest: Digest) -> Place | None:
        """The one that it names, or, where a chain begins, the end of the one before that."""
        if digest.start <= self._since:
            return None
        if digest.previous is None:
            return self._next_listed((digest.bucket, digest.key))
        place = digest.previous.bucket, digest.previous.key
        return None if place in self.seen else place

    def _look(self, place: Place, named: Previous | None) -> tuple[Digest | None, str]:
        """A digest that can be believed, or None; and what is wrong."""
        stored = self._store.digest(*place)
        if stored is None:
            return None, MISSING
        try:
            digest = read(stored[0])
        except ValueError as error:
            return None, f"was changed: {error}"
        if (digest.bucket, digest.key) != place:
            return None, f"was put here from s3://{digest.bucket}/{digest.key}"
        signature = stored[1].get("signature", "")
        if fault := self._unsigned(digest, signature, stored[1].get("signature-algorithm")):
            return None, fault
        if named and (named.hash, named.signature) != (digest.hash, signature):
            return digest, "is not the one that the digest after it names"
        return digest, ""

    def _unsigned(self, digest: Digest, signature: str, algorithm: str | None) -> str:
        """Why its signature does not make it CloudTrail's; "" where it does."""
        if algorithm != ALGORITHM or not _HEX.fullmatch(signature):
            return "has no signature of CloudTrail's"
        if digest.fingerprint not in self._keys:
            return f"is signed with a key that is not CloudTrail's here: {digest.fingerprint}"
        try:
            key = public_key(self._keys[digest.fingerprint])
        except ValueError as error:
            return f"cannot be checked: CloudTrail's key {digest.fingerprint}: {error}"
        if not verifies(key, digest.signed, bytes.fromhex(signature)):
            return "was changed: its signature does not fit"
        return ""


def _url(place: Place) -> str:
    return f"s3://{place[0]}/{place[1]}"


def _gap(end: datetime, start: datetime | None) -> Iterator[Looked]:
    """The time between two neighbours, where they do not meet."""
    if start and end < start:
        yield Looked("time", f"{stamp(end)} to {stamp(start)}", GAP)


GAP = "no digest vouches for it: logging was stopped, or the validation of log files"
