"""Where records come from, all of one kind: what is searched, and how far it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ctwatch.history.folder import Listing
from ctwatch.history.search import Found, Searching
from ctwatch.inert import one_line


class Source(Protocol):
    """Where records come from."""

    @property
    def what(self) -> str:
        """What it is called in a sentence: "logs/"."""

    @property
    def size(self) -> int:
        """Bytes that are to be searched, as far as is known; few are not worth a process."""

    @property
    def total(self) -> float:
        """Of the progress that `through` tells."""

    @property
    def notes(self) -> Sequence[str]:
        """What else is to be said of it when it has been gone through."""

    @property
    def doubts(self) -> Sequence[str]:
        """What could not be found out, when it has been gone through."""

    def through(self, searching: Searching) -> Iterator[tuple[float, Found]]:
        """Search all of it; yields how much further it is, and what was found there."""


@dataclass(frozen=True)
class Files:
    """Files that lie on this machine.

    Attributes:
        what: as they were named.
        listing: them.
    """

    what: str
    listing: Listing

    @property
    def size(self) -> int:
        """The bytes of the files."""
        return self.listing.size

    @property
    def total(self) -> float:
        """The same: the time that it takes goes by the bytes."""
        return self.listing.size

    @property
    def notes(self) -> Sequence[str]:
        """What was passed over."""
        passed = []
        if self.listing.others:
            passed.append(f"Passed over {self.listing.others:,} by their names: no log files.")
        called = "called like a log file, but it is none"
        return [*passed, *(f"{one_line(str(one))} is {called}." for one in self.listing.odd)]

    @property
    def doubts(self) -> Sequence[str]:
        """None: what cannot be read is told by whoever reads it."""
        return ()

    def through(self, searching: Searching) -> Iterator[tuple[float, Found]]:
        """Search them."""
        for found in searching.through(self.listing.files):
            yield found.size, found
