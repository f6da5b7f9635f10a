"""Log files as bytes -> the records of them that may match, decoded whole.

    file ─ gzip or not ─ inflated, within bounds ─┬─ {"Records": [...]}, as CloudTrail writes it
                                                  ├─ a record a line, or one record alone
                                                  └─ what LookupEvents answers: {"Events": [...]}

Of every record only the sieve's fields are decoded, into objects that hold nothing else; of a file
in which something passes, the records that did are then decoded whole. Whatever is not as
CloudTrail writes it is read in the slow way, record by record; what cannot be read at all is told,
and the rest goes on.

msgspec decodes and libdeflate inflates; both come with the extra `history`.
"""

import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from operator import attrgetter
from os import fstat
from pathlib import Path
from typing import Any, Literal, Self

from ctwatch.errors import CtwatchError
from ctwatch.history.events import Record
from ctwatch.history.sieve import ABSENT, Sieve

MOST = 64 * 1024 * 1024
"""Bytes of one document, inflated. CloudTrail's own files have a few megabytes at the most."""
_BLOCK = 8 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_MEMBER = b"\x1f\x8b\x08"
# As CloudTrail names its files: ACCOUNT_CloudTrail_REGION_20261121T0905Z_UNIQUE.json.gz
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
NAME = re.compile(r"(\d{12})_CloudTrail(?:-Insight)?_([a-z0-9-]+)_(\d{8}T\d{4}Z)_[^/]*")
_TAIL = 4
"""Bytes at a gzip file's end that tell how long it is inflated."""


def check_installed() -> None:
    """Make sure that what reads records quickly is there.

    Raises:
        CtwatchError: it is not.
    """
    try:
        import deflate  # noqa: F401, PLC0415 - an extra
        import msgspec  # noqa: F401, PLC0415 - as above
    except ImportError as error:
        raise CtwatchError(
            f"ctwatch history needs {error.name}, which is not installed",
            "Run: pip install 'ctwatch[history]'",
        ) from None


# What is said of files


NOT_GZIP = "no gzip file, though it is called one"
CUT = "cut: its end is missing"
BROKEN = "no gzip file that can be read"
TOO_LARGE = f"larger than {MOST // 1024 // 1024} MiB in one document, which no log file is"
NOT_JSON = "no JSON"
DIGEST = "a digest file, which holds no records"
STRANGE = "JSON, but no records of CloudTrail"
ODD_RECORDS = "something among its records is none"
ODD_LINES = "lines that are no records"


class UnreadableError(Exception):
    """A file, or what is left of it, cannot be read; says why."""


@dataclass
class Seen:
    """What was gone through.

    Attributes:
        files: how many.
        records: how many.
        first: the first `eventTime`; "" for none.
        last: the last.
        hours: records by region and hour, ("us-east-1", "2026-11-21T09"), where that was asked for.
        troubles: why something could not be read -> the names of the files.
        sifted: whether only what may be meant came here, and not all that there is.
    """

    files: int = 0
    records: int = 0
    first: str = ""
    last: str = ""
    hours: dict[tuple[str, str], int] = field(default_factory=dict)
    troubles: dict[str, list[str]] = field(default_factory=dict)
    sifted: bool = False

    def __ior__(self, other: "Seen") -> Self:
        """Take what another has seen to it."""
        self.files += other.files
        self.records += other.records
        self.spans([one for one in (other.first, other.last) if one])
        for hour, count in other.hours.items():
            self.hours[hour] = self.hours.get(hour, 0) + count
        for reason, names in other.troubles.items():
            self.troubles.setdefault(reason, []).extend(names)
        return self

    def spans(self, times: Sequence[str]) -> None:
        """Note times of records."""
        if times:
            first, last = min(times), max(times)
            self.first = min(self.first or first, first)
            self.last = max(self.last, last)


# Bytes


def inflated(data: bytes, *, sole: bool = False) -> bytes | bytearray:
    """What a file holds, all of it.

    Args:
        data: the file.
        sole: whether it is sure that it is one gzip file, and not several behind each other.

    Raises:
        UnreadableError: it is cut, is no gzip, or is larger than `MOST`.
    """
    import deflate  # noqa: PLC0415 - an extra

    if not data.startswith(_GZIP):
        if len(data) > MOST:
            raise UnreadableError(TOO_LARGE)
        return data
    size = int.from_bytes(data[-_TAIL:], "little")
    if size <= MOST and (sole or data.find(_MEMBER, len(_MEMBER)) < 0):
        try:
            content = deflate.gzip_decompress(data, size or 1)
            if len(content) == size:
                return content
        except (deflate.DeflateError, ValueError):
            pass  # zlib tells why
    return b"".join(_slowly(data))


def _slowly(data: bytes) -> Iterator[bytes]:
    """The same by zlib, which takes several files in one, and tells what is wrong."""
    total, rest = 0, data
    while rest.startswith(_GZIP):
        gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
        while not gzip.eof:
            try:
                piece = gzip.decompress(rest, _BLOCK)
            except zlib.error:
                raise UnreadableError(BROKEN) from None
            rest = gzip.unconsumed_tail
            total += len(piece)
            if total > MOST:
                raise UnreadableError(TOO_LARGE)
            if not piece and not gzip.eof:
                raise UnreadableError(CUT)
            yield piece
        rest = gzip.unused_data


def blocks(path: Path) -> Iterator[bytes | bytearray]:
    """What a file holds, whole or, where it is long and has lines, some lines at a time.

    Raises:
        OSError: it cannot be read.
        UnreadableError: as for `inflated`.
    """
    with path.open("rb") as file:
        start = file.read(min(fstat(file.fileno()).st_size or _BLOCK, _BLOCK))
        gzipped = start.startswith(_GZIP)
        if not gzipped and path.suffix == ".gz":
            raise UnreadableError(NOT_GZIP if start else CUT)
        if gzipped and len(start) < _BLOCK and int.from_bytes(start[-_TAIL:], "little") <= MOST:
            yield inflated(start, sole=NAME.fullmatch(path.name) is not None)
            return
        pieces = chain([start], iter(partial(file.read, _BLOCK), b""))
        yield from _lines(_unzipped(pieces) if gzipped else pieces)


def _unzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if gzip.eof:
                    gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
                yield gzip.decompress(rest, _BLOCK)
                rest = gzip.unconsumed_tail or gzip.unused_data
    except zlib.error:
        raise UnreadableError(BROKEN) from None
    if not gzip.eof:
        raise UnreadableError(CUT)


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces that end where a line does."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        head, end, tail = piece.rpartition(b"\n")
        if end and size + len(head) >= _BLOCK:
            yield b"".join((*held, head))
            held, size = [tail], len(tail)
        else:
            held.append(piece)
            size += len(piece)
        if size > MOST:
            raise UnreadableError(TOO_LARGE)
    yield b"".join(held)


# Records


Passed = tuple[tuple[int, ...], Record]
"""A record, and the places of the questions that it may match."""

_MOST_KEYS = 50_000
"""Keys that are remembered, so that addresses and ids do not fill the memory."""
_LATEST = "~"  # after every time


class Reader:
    """Reads documents for a sieve.

    Args:
        sieve: which records are wanted.
        since: the first `eventTime` that counts; "" for all.
        until: the first that counts no more; "" for all.
        hours: whether to count records by hour.

    Attributes:
        seen: what was gone through.
    """

    def __init__(
        self, sieve: Sieve, since: str = "", until: str = "", *, hours: bool = False
    ) -> None:
        import msgspec  # noqa: PLC0415 - an extra

        self.sieve, self.since, self.until = sieve, since, until or _LATEST
        self.seen = Seen()
        self._hours = hours
        noted = ("eventTime", "awsRegion") if hours else ("eventTime",)
        shape = Shape(sieve.fields, noted)
        self._key, self._values = shape.key, shape.values
        self._known: dict[Any, tuple[int, ...]] = {}
        self._partly = msgspec.json.Decoder(_batch(shape.record))
        self._one = msgspec.json.Decoder(shape.record)
        self._lines = msgspec.json.Decoder(Shape(sieve.fields, noted, alone=True).record)
        self._raw = msgspec.json.Decoder(_batch(msgspec.Raw))
        self._whole = msgspec.json.Decoder()
        self._invalid: Any = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

    def file(self, path: Path) -> Iterator[Passed]:
        """The records of a file that may match; what cannot be read is noted in `seen`."""
        self.seen.files += 1
        name = str(path)
        try:
            for block in blocks(path):
                yield from self.document(name, block)
        except UnreadableError as error:
            self._trouble(str(error), name)
        except OSError as error:
            self._trouble(f"could not be opened: {error.strerror}", name)

    def content(self, name: str, data: bytes) -> Iterator[Passed]:
        """The same of what a file holds that lies on no disk, zipped or not."""
        self.seen.files += 1
        try:
            yield from self.document(name, inflated(data))
        except UnreadableError as error:
            self._trouble(str(error), name)

    def document(self, name: str, data: bytes | bytearray) -> Iterator[Passed]:
        """The same of a document.

        Args:
            name: of the file, to tell what cannot be read.
            data: a document, or records line by line.
        """
        found = self._quickly(data)
        if found is None:
            found = list(self._slowly(name, data))
        yield from found

    def _quickly(self, data: bytes | bytearray) -> list[Passed] | None:
        """The same where all is as CloudTrail writes it; else None, and nothing is noted."""
        apart: Callable[[Sequence[Any], Sequence[int]], Sequence[Any]]
        try:
            try:
                records, apart = self._partly.decode(data).Records, partial(self._apart, data)
            except self._invalid:
                records, apart = self._lines.decode_lines(data), partial(_lines_apart, data)
                if not all(map(_TIME, records)):  # it may be something else
                    return None
            passed = self._passed(list(map(self._key, records)))
            raw = apart(records, [at for at, _ in passed]) if passed else ()
            found = [
                (places, self._whole.decode(one))
                for (_, places), one in zip(passed, raw, strict=True)
            ]
        except self._invalid:
            return None
        self._note(records)
        return [one for one in found if self._in_time(one[1])]

    def _apart(
        self, data: bytes | bytearray, records: Sequence[Any], wanted: Sequence[int]
    ) -> Sequence[Any]:
        """Some records of a document, each as it is written.

        Args:
            data: the document.
            records: all of them, decoded partly.
            wanted: the places of those that are wanted, in their order.
        """
        with suppress(IndexError, *self._invalid):
            found = list(self._from_both_ends(data, len(records), wanted))
            if all(
                self._one.decode(one) == records[at] for at, one in zip(wanted, found, strict=True)
            ):
                return found
        whole = self._raw.decode(data).Records
        return [whole[at] for at in wanted]

    def _from_both_ends(
        self, data: bytes | bytearray, count: int, wanted: Sequence[int]
    ) -> Iterator[Any]:
        """The same from the beginning and the end of a document, as little of both as can be.

        It is cut between two records, a few further than they are expected by their share of all.
        What is left of it, with its brackets, is a document only if it was cut between elements of
        `Records` indeed; so these are counted from that end of it which is as it was.

        Raises:
            IndexError: they are not in that part.
            MsgspecError: it was not cut there.
        """
        few = count // _FEWER + _FEW
        ends = [0, *(at + 1 for at in wanted)], [*(count - at for at in wanted), 0]
        split = min(range(len(wanted) + 1), key=lambda at: ends[0][at] + ends[1][at])
        if head := wanted[:split]:
            end = _between(data, (head[-1] + few) / count) + len(_CLOSED)
            part = self._with(data, slice(end), slice(end - len(_CLOSED), end), _CLOSED)
            yield from (part[at] for at in head)
        if tail := wanted[split:]:
            start = _between(data, (tail[0] - few) / count) + 1 - len(_OPENED)
            part = self._with(data, slice(start, None), slice(start, start + len(_OPENED)), _OPENED)
            yield from (part[at - count] for at in tail)

    def _with(
        self, data: bytes | bytearray, part: slice, place: slice, brackets: bytes
    ) -> Sequence[Any]:
        """The records of a part of a document in which brackets stand at a place for a moment.

        So no copy is made, which would take longer than it takes to read it.
        """
        whole = data if isinstance(data, bytearray) else bytearray(data)
        before = whole[place]
        whole[place] = brackets
        try:
            records: Sequence[Any] = self._raw.decode(memoryview(whole)[part]).Records
        finally:
            whole[place] = before
        return records

    def _passed(self, keys: Sequence[Any]) -> list[tuple[int, tuple[int, ...]]]:
        """Which of some records pass, by their places."""
        distinct, known = set(keys), self._known
        if len(known) > _MOST_KEYS:
            known.clear()
        for key in distinct - known.keys():
            known[key] = self.sieve.passed(self._values(key))
        if not any(map(known.get, distinct)):
            return []
        return [(at, known[key]) for at, key in enumerate(keys) if known[key]]

    def _note(self, records: Sequence[Any]) -> None:
        times = list(map(_TIME, records))
        self.seen.records += len(records)
        try:
            self.seen.spans(times)
        except TypeError:  # one has none, which is too rare to be looked for
            self.seen.spans([one for one in times if one])
        if self._hours:
            self._count((one.awsRegion or "", one.eventTime or "") for one in records)

    def _count(self, found: Iterable[tuple[str, str]]) -> None:
        for (region, hour), count in Counter(
            (where, when[:_HOUR]) for where, when in found
        ).items():
            self.seen.hours[region, hour] = self.seen.hours.get((region, hour), 0) + count

    def _in_time(self, record: Record) -> bool:
        return self.since <= _text(record, "eventTime") < self.until

    def _slowly(self, name: str, data: bytes | bytearray) -> Iterator[Passed]:
        """The same of anything, record by record."""
        every, seen = self.sieve.every, self.seen
        for document in self._documents(name, data):
            for record in self._records(name, document):
                seen.records += 1
                time = _text(record, "eventTime")
                seen.spans([time] if time else [])
                if self._hours:
                    self._count([(_text(record, "awsRegion"), time)])
                if self._in_time(record):
                    yield every, record

    def _documents(self, name: str, data: bytes | bytearray) -> Iterator[Any]:
        """The one JSON document that it is, or those of its lines."""
        whole = _parsed(data)
        if whole is not UNREADABLE:
            yield whole
            return
        lines = _split(data)
        read = [one for one in map(_parsed, lines) if one is not UNREADABLE]
        if len(read) < len(lines) or not lines:
            self._trouble(ODD_LINES if read else NOT_JSON, name)
        yield from read

    def _records(self, name: str, document: Any) -> Iterator[Record]:
        """The records of a document, whatever that is."""
        if isinstance(document, list):
            for one in document:
                yield from self._records(name, one)
            return
        if isinstance(document, dict) and isinstance(listed := document.get("Records"), list):
            yield from (one for one in listed if isinstance(one, dict))
            if not all(isinstance(one, dict) for one in listed):
                self._trouble(ODD_RECORDS, name)
            return
        inner = _inner(document)
        if inner is not None:
            yield from self._records(name, inner)
        elif isinstance(document, dict) and not _MARKS.isdisjoint(document):
            yield document
        elif isinstance(document, dict) and "digestS3Object" in document:
            self._trouble(DIGEST, name)
        else:
            self._trouble(STRANGE, name)

    def _trouble(self, reason: str, name: str) -> None:
        names = self.seen.troubles.setdefault(reason, [])
        if name not in names[-1:]:
            names.append(name)


_FEWER, _FEW = 20, 4
_OPENED, _CLOSED = b'{"Records":[', b"]}"
_NEXT = b'},{"eventVersion":'
"""Between two records, as CloudTrail writes them."""


def _between(data: bytes | bytearray, share: float) -> int:
    """Where the first record ends that does so behind that share of a document.

    Raises:
        IndexError: none seems to.
    """
    found = data.find(_NEXT, max(int(len(data) * share), len(_OPENED)))
    if found < 0:
        raise IndexError
    return found + 1


def _lines_apart(
    data: bytes | bytearray, _: Sequence[Any], wanted: Sequence[int]
) -> Sequence[bytes | bytearray]:
    lines = _split(data)
    return [lines[at] for at in wanted]


def _split(data: bytes | bytearray) -> list[bytes | bytearray]:
    """The lines, but for empty ones."""
    return [one for one in data.split(b"\n") if one.strip()]


_TIME = attrgetter("eventTime")
_HOUR = len("2026-11-21T09")
_MARKS = frozenset({"eventName", "eventTime", "eventSource", "eventType", "eventVersion"})
"""Of which a record has one."""

UNREADABLE: Any = object()


def _parsed(text: bytes | bytearray) -> Any:
    """What JSON says, as leniently as can be; `UNREADABLE` where it is none."""
    try:
        return json.loads(text.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return UNREADABLE


def _inner(document: Any) -> Any:
    """What a document wraps: answers of LookupEvents, an event of EventBridge; else None.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Event.html
    """
    if not isinstance(document, dict):
        return None
    if isinstance(events := document.get("Events"), list):
        return events
    if isinstance(text := document.get("CloudTrailEvent"), str):
        return _parsed(text.encode("utf-8", "replace"))
    return document["detail"] if {"detail", "detail-type"} <= document.keys() else None


def _text(record: Record, name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""


# Types


class Shape:
    """The type that holds of a record what a sieve asks for, and how to make a key of it.

    A field that is no text, as one that is spelled with a dot ("userIdentity.type"), which
    EventBridge reads as well, does not fit it: such a record is for the slow way.

    Args:
        fields: the sieve's.
        noted: further ones, of the first level, of which none is known as null.
        alone: whether a record stands alone; what else might is then refused, too.
    """

    def __init__(self, fields: Sequence[str], noted: Sequence[str], *, alone: bool = False) -> None:
        self._fields = fields
        tree: dict[str, Any] = {}
        for path in (*noted, *fields):
            *way, last = path.split(".")
            node = tree
            for step in way:
                node = node.setdefault(step, {})
            node[last] = None
        wrappers = ("Records", "Events", "CloudTrailEvent", "detail", "digestS3Object")
        self.record: Any = _struct(tree, wrappers if alone else ())
        self._tops = list(dict.fromkeys(one.partition(".")[0] for one in fields))
        self.key: Callable[[Any], Any] = attrgetter(*self._tops) if fields else lambda _: ()

    def values(self, key: Any) -> dict[str, Any]:
        """The fields' values that a key stands for."""
        tops = key if len(self._tops) != 1 else (key,)
        found = dict(zip(self._tops, tops, strict=True))
        return {path: _at(found, path) for path in self._fields}


def _at(tops: dict[str, Any], path: str) -> Any:
    import msgspec  # noqa: PLC0415 - an extra

    top, *way = path.split(".")
    node = tops[top]
    for step in way:
        if node is None or node is msgspec.UNSET:
            return ABSENT
        node = getattr(node, step)
    return ABSENT if node is msgspec.UNSET else node


# Nothing is this text: a field of this type makes whatever has the field unfit.
_Never = Literal["no record says 5d0c0d3e-8f0b-4c57-9a53-3a1f5a2f6f5e"]


def _struct(tree: dict[str, Any], never: Sequence[str]) -> Any:
    import msgspec  # noqa: PLC0415 - an extra

    fields: list[Any] = []
    for name, below in tree.items():
        kind: Any = str if below is None else _struct(below, ())
        optional = kind | None if name in _NOTED else kind | None | msgspec.UnsetType
        fields.append((name, optional, None if name in _NOTED else msgspec.UNSET))
    unfit = {f"unfit{at}": name for at, name in enumerate((*never, *_dotted(tree)))}
    fields += [(one, _Never | msgspec.UnsetType, msgspec.UNSET) for one in unfit]
    return msgspec.defstruct("Partly", fields, frozen=True, gc=False, rename=unfit)


_NOTED = frozenset({"eventTime", "awsRegion"})


def _dotted(tree: dict[str, Any], before: str = "") -> Iterator[str]:
    """How fields below the first level are spelled with dots."""
    for name, below in tree.items():
        if before:
            yield f"{before}{name}"
        if below:
            yield from _dotted(below, f"{before}{name}.")


def _batch(record: Any) -> Any:
    import msgspec  # noqa: PLC0415 - an extra

    fields = [("Records", list[record])]
    return msgspec.defstruct("Batch", fields, forbid_unknown_fields=True)
