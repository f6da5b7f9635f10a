"""Log files that lie in a folder, or are named one by one."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from ctwatch.errors import ConfigError
from ctwatch.history.questions import Column, Question
from ctwatch.history.records import NAME
from ctwatch.history.search import Search, Searcher

ENDINGS = (".json.gz", ".json", ".jsonl.gz", ".jsonl", ".ndjson.gz", ".ndjson")
"""What a file's name ends in that is taken from a folder; one that is named may end in anything."""

_LATE = timedelta(hours=1)
"""How long before it was delivered the records of a file may be, and more: most are of minutes."""
_PEEKED = 20


@dataclass(frozen=True)
class Listing:
    """Files to read.

    Attributes:
        files: in the order of their names.
        size: their bytes.
        others: files of a folder whose names are no log file's.
        early: files that by their names are of another time or region.
        regions: of these, as far as they were named.
        odd: what is called like a log file in a folder, and is no file.
    """

    files: tuple[Path, ...]
    size: int
    others: int = 0
    early: int = 0
    regions: frozenset[str] = frozenset()
    odd: tuple[Path, ...] = ()


def listed(
    places: Sequence[Path], since: datetime | None, until: datetime | None, regions: Sequence[str]
) -> Listing:
    """The files of folders, however deep, and those that are named.

    What by its name, as CloudTrail gives it, can hold nothing of the time or the regions is not
    read.

    Args:
        places: folders and files.
        since: the first moment that counts, or None.
        until: the first that counts no more, or None.
        regions: which; none for all.

    Raises:
        ConfigError: one is not there, or there is nothing to read.
    """
    files: dict[Path, None] = {}
    others = early = 0
    passed: set[str] = set()
    odd: list[Path] = []
    for place in places:
        for one in _below(place):
            if not one.is_file():
                odd.append(one)
            elif one != place and not one.name.endswith(ENDINGS):
                others += 1
            elif may_hold(one.name, since, until, regions):
                files[one] = None
            else:
                early += 1
                passed.update(NAME.findall(one.name)[0][1:2])
    if not files and not early:
        named = ", ".join(map(str, places))
        hint = f"Files whose names end in {', '.join(ENDINGS)} are read from a folder."
        raise ConfigError(f"--from: there is no log file in {named}", hint)
    size = sum(one.stat().st_size for one in files)
    return Listing(tuple(files), size, others, early, frozenset(passed), tuple(odd))


def _below(place: Path) -> Iterator[Path]:
    """The files of a folder, and what else is called like a log file; or a file itself."""
    if place.is_dir():
        below = sorted(place.rglob("*"))
        yield from (one for one in below if one.is_file() or one.name.endswith(ENDINGS))
    elif place.exists():
        yield place
    else:
        raise ConfigError(
            f"--from: there is no {place}", "Give a folder, a file, lookup, bucket or athena."
        )


def may_hold(
    name: str, since: datetime | None, until: datetime | None, regions: Sequence[str]
) -> bool:
    """Whether a file of that name may hold anything of a time, in some regions.

    A file holds what happened some minutes before the time in its name, never what came after; a
    record may be late by hours, and so only what is a day too old is passed over.
    """
    found = NAME.fullmatch(name)
    if not found:
        return True
    try:
        delivered = datetime.strptime(found[3], "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
    except ValueError:
        return True
    if regions and found[2] not in regions:
        return False
    too_early = since is not None and delivered + _LATE < since
    return not too_early and not (until is not None and delivered - timedelta(days=1) > until)


def account(files: Iterable[Path]) -> str:
    """The account whose records these are, as its first files tell; "" where they do not."""
    whose = Column("account", (), ("recipientAccountId", "userIdentity.accountId"))
    first = Question("", {"detail": {"eventTime": [{"exists": True}]}}, columns=(whose,))
    searcher = Searcher(Search((first,)))
    for one in islice(files, _PEEKED):
        if named := NAME.fullmatch(one.name):
            return named[1]
        for found in searcher.files([one]).findings:
            if re.fullmatch(r"\d{12}", found.cells[0]):
                return found.cells[0]
    return ""
