"""Questions put to log files, on all cores.

    files ─ in parcels ─> processes, each with a reader of its own ─> findings ─> whoever asked

Decoding holds Python's lock, so threads would take turns; processes do not. They are forked where
that is safe (Linux, and no thread runs yet): a fork costs milliseconds and has all that was
imported and compiled, where a process that starts anew would spend as long on imports as on tens
of thousands of records. Elsewhere they start anew. A few files are read in this process alone.

Ctrl-C is the parent's: the processes do not hear it, end with the parcel they have, and are waited
for; nothing is kept, so that the same can be asked again.
"""

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeAlias

from ctwatch.history.events import Record, event
from ctwatch.history.questions import Question
from ctwatch.history.records import Passed, Reader, Seen
from ctwatch.history.sieve import Sieve

_PARCEL = 2 * 1024 * 1024
"""Bytes of files that a process is given at a time: a fraction of a second's work."""
_ALONE = 4 * _PARCEL
"""Bytes for which no process is worth starting."""


class Blob(NamedTuple):
    """What a file would hold that lies on no disk.

    Attributes:
        name: what it is called.
        content: its bytes, zipped or not.
    """

    name: str
    content: bytes


Piece: TypeAlias = Path | Blob
"""Something to search."""


class Finding(NamedTuple):
    """A record that a question means.

    Attributes:
        question: its place among the questions.
        time: the record's `eventTime`, "" where it has none.
        id: its `eventID`, the same.
        cells: what the question's columns say of it.
        record: the record itself where the question asks for it whole.
    """

    question: int
    time: str
    id: str
    cells: tuple[str, ...]
    record: Record | None = None


@dataclass(frozen=True)
class Search:
    """What to look for.

    Attributes:
        questions: what is asked.
        since: the first `eventTime` that counts; "" for all.
        until: the first that counts no more; "" for all.
        hours: whether to count records by hour.
    """

    questions: tuple[Question, ...]
    since: str = ""
    until: str = ""
    hours: bool = False


@dataclass
class Found:
    """What was found in some files.

    Attributes:
        seen: what was gone through.
        findings: in no order.
        size: bytes of the files, as they lie there.
    """

    seen: Seen = field(default_factory=Seen)
    findings: list[Finding] = field(default_factory=list)
    size: int = 0


class Searcher:
    """Searches in this process.

    Args:
        search: what for.

    Attributes:
        sieve: the first test of its questions.
    """

    def __init__(self, search: Search) -> None:
        self._questions = search.questions
        self.sieve = Sieve(search.questions)
        self._reader = Reader(self.sieve, search.since, search.until, hours=search.hours)

    def files(self, pieces: Iterable[Piece]) -> Found:
        """Look through some files."""
        found = Found(self._fresh())
        for one in pieces:
            if isinstance(one, Path):
                found.findings += self._findings(self._reader.file(one))
            else:
                found.findings += self._findings(self._reader.content(one.name, one.content))
            found.size += _size(one)
        return found

    def document(self, name: str, data: bytes) -> Found:
        """Look through what a file of that name would hold."""
        found = Found(self._fresh(), size=len(data))
        found.findings += self._findings(self._reader.document(name, data))
        return found

    def _fresh(self) -> Seen:
        self._reader.seen = Seen()
        return self._reader.seen

    def _findings(self, passed: Iterable[Passed]) -> Iterator[Finding]:
        for places, record in passed:
            whole = event(record)
            for at in places:
                question = self._questions[at]
                if self.sieve.patterns[at].matches(whole) and question.admits(record):
                    yield _finding(at, question, record)


def _finding(at: int, question: Question, record: Record) -> Finding:
    time, name = record.get("eventTime"), record.get("eventID")
    return Finding(
        at,
        time if isinstance(time, str) else "",
        name if isinstance(name, str) else "",
        tuple(one.of(record) for one in question.columns),
        record if question.whole else None,
    )


class Searching(AbstractContextManager["Searching"]):
    """Searches files by as many processes as there are cores, where there is enough to do.

    To be entered before any thread is started.

    Args:
        search: what for.
        size: bytes of the files, as far as that is known.
        workers: processes; None for as many as this one may use cores.
    """

    def __init__(self, search: Search, size: int, workers: int | None = None) -> None:
        self.search, self._size = search, size
        self._workers = workers or _cores()
        self._pool: ProcessPoolExecutor | None = None
        self._searcher = Searcher(search)

    def __enter__(self) -> Self:
        """Start the processes."""
        if self._workers > 1 and self._size > _ALONE:
            self._pool = ProcessPoolExecutor(
                self._workers,
                mp_context=_context(),
                initializer=_begin,
                initargs=(self.search,),
            )
            with _deaf():
                self._pool.submit(_warm)  # which starts them all, where they are forked
        return self

    @property
    def named(self) -> tuple[str, tuple[str, ...]] | None:
        """A field, and the few values of which whatever is looked for has one; None for no such."""
        return None if self.search.hours else self._searcher.sieve.named

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for them, who finish what they have and begin nothing more."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def document(self, name: str, data: bytes) -> Found:
        """Search, here and now, what a log file would hold."""
        return self._searcher.document(name, data)

    def through(self, files: Iterable[Piece]) -> Iterator[Found]:
        """Search files, taken as they are needed; yields what was found in some of them."""
        parcels = _parcels(files)
        if self._pool is None:
            yield from map(self._searcher.files, parcels)
            return
        running: set[Future[Found]] = set()
        for one in parcels:
            with _deaf():
                running.add(self._pool.submit(_work, one))
            until = None if len(running) > 2 * self._workers else 0
            done, running = wait(running, until, FIRST_COMPLETED)
            yield from (each.result() for each in done)
        while running:
            done, running = wait(running, None, FIRST_COMPLETED)
            yield from (each.result() for each in done)


@contextmanager
def _deaf() -> Iterator[None]:
    """Hear no Ctrl-C for a moment, so that no process is started that would; it is heard after."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def _context() -> multiprocessing.context.BaseContext:
    safe = sys.platform == "linux" and threading.active_count() == 1
    return multiprocessing.get_context("fork" if safe else "spawn")


def _parcels(files: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Files in order, some at a time."""
    parcel: list[Piece] = []
    size = 0
    for one in files:
        parcel.append(one)
        size += _size(one)
        if size >= _PARCEL:
            yield parcel
            parcel, size = [], 0
    if parcel:
        yield parcel


def _size(one: Piece) -> int:
    try:
        return one.stat().st_size if isinstance(one, Path) else len(one.content)
    except OSError:
        return 0


# In a process of its own

_RARELY = 100_000
_OWN: list[Searcher] = []


def _begin(search: Search) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # what is there stays, and is not copied for being looked at
    gc.set_threshold(_RARELY)
    _OWN[:] = [Searcher(search)]


def _warm() -> None:
    """Nothing: to be asked for it starts the processes."""


def _work(paths: Sequence[Piece]) -> Found:
    return _OWN[0].files(paths)
