"""The past asked of Athena, which reads the log files where they lie.

    scan_estimate   how much it would read, from the sizes of the files of the days asked for
    prepare         workgroup, database and table, made when they are first needed
    answered        the statement, its progress, its rows, each a record in the table's columns
    counted         how many records each hour has, so that those without one can be told

A query that nobody waits for any more is stopped: by Ctrl-C, by an error, by whoever asked ending
early. What it has read until then is paid for.

    https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html
    https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryExecution.html
    https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html

Nothing here prints.
"""

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from ctwatch.aws import TROUBLE, Aws, Place, complaint, listing_regions
from ctwatch.delivered import Deliveries
from ctwatch.errors import AwsError, CtwatchError, ForeignError
from ctwatch.history import sql, statements
from ctwatch.history.bucket import ARCHIVED, is_archived, not_read
from ctwatch.history.events import Record
from ctwatch.history.folder import may_hold
from ctwatch.history.questions import Question
from ctwatch.history.records import Seen
from ctwatch.history.search import Found, Search, Searching
from ctwatch.history.statements import Scope
from ctwatch.history.table import columns, record
from ctwatch.inert import one_line
from ctwatch.parallel import side_by_side
from ctwatch.permissions import Grant, allow
from ctwatch.prices import athena_query, cents
from ctwatch.resources.athena import (
    CUTOFF,
    Catalog,
    Workgroup,
    database_name,
    table_name,
    workgroup_name,
)
from ctwatch.resources.base import Resource

_PAGE = 1000
"""Rows of a page of results: https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html."""
_FIRST_PAUSE, _LAST_PAUSE = 0.25, 3.0
_LISTERS = 16


@dataclass(frozen=True)
class Logs:
    """Where the log files of a watch lie, and what Athena needs to read them.

    Attributes:
        place: where the watch lives; the queries run there.
        watch: its name.
        bucket: of the files.
        folder: what stands before "CloudTrail/" in their keys.
        regions: whose files there are.
        labels: the tags that the config wants on all that the watch makes.
    """

    place: Place
    watch: str
    bucket: str
    folder: str
    regions: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        where: Deliveries,
        place: Place,
        watch: str,
        regions: Sequence[str],
        labels: Mapping[str, str],
    ) -> "Logs":
        """Those that a trail delivers.

        Args:
            where: it delivers to.
            place: where the watch lives.
            watch: the watch's name.
            regions: those of the account.
            labels: the config's tags.
        """
        recorded = tuple(regions) if where.everywhere else (where.home,)
        return cls(place, watch, where.bucket, where.folder, recorded, labels)

    @property
    def workgroup(self) -> Workgroup:
        """The workgroup."""
        return Workgroup(
            name=workgroup_name(self.watch),
            place=self.place,
            watch=self.watch,
            labels=self.labels,
        )

    @property
    def catalog(self) -> Catalog:
        """The database with the table."""
        return Catalog(
            name=database_name(self.watch),
            place=self.place,
            watch=self.watch,
            labels=self.labels,
            bucket=self.bucket,
            folder=self.folder,
            regions=self.regions,
            columns=dict(columns()),
        )


def needs(place: Place, watch: str, bucket: str) -> Iterator[Grant]:
    """What it takes to ask, beside what it takes to read the bucket oneself.

    Athena reads with the rights of whoever asks.
    https://docs.aws.amazon.com/athena/latest/ug/s3-permissions.html

    Args:
        place: where the watch lives.
        watch: its name.
        bucket: the ARN of the bucket of its log files.
    """
    logs = Logs(place, watch, "", "", ())
    for one in (logs.workgroup, logs.catalog):
        yield from (*one.actions.read, *one.actions.write)
    running = "StartQueryExecution GetQueryExecution GetQueryResults StopQueryExecution"
    yield allow("athena", running, logs.workgroup.arn)
    yield listing_regions(place)
    yield allow("s3", "GetBucketLocation", bucket)


# How much it would be


@dataclass(frozen=True)
class Estimate:
    """How much a query would read.

    Attributes:
        size: bytes, as they lie there: what Athena bills.
        files: how many.
        archived: the keys of those that are not among them, as Athena passes over what is archived.
    """

    size: int = 0
    files: int = 0
    archived: tuple[str, ...] = ()

    @property
    def dollars(self) -> Decimal:
        """What one query of that costs."""
        return athena_query(self.size)


def scan_estimate(logs: Logs, aws: Aws, scope: Scope) -> Estimate:
    """How much a query of that time and these regions would read.

    Raises:
        AwsError: the bucket may not be listed.
        CtwatchError: that is more than Athena lets a query of the workgroup read.
    """
    regions = scope.regions or logs.regions
    root = f"{logs.folder}CloudTrail"
    days = list(scope.days())
    prefixes = [f"{root}/{region}/{part}/" for region in regions for part in _parts(days)]
    try:
        found = list(side_by_side(prefixes, lambda one: _listed(logs, aws, one, scope), _LISTERS))
    except TROUBLE as error:
        raise complaint(error, f"listing the log files in {logs.bucket}") from error
    archived = tuple(key for one in found for key in one.archived)
    whole = Estimate(sum(one.size for one in found), sum(one.files for one in found), archived)
    if whole.size > CUTOFF:
        said = f"Athena would read {shown(whole.size)}, which costs {money(whole.dollars)}"
        raise CtwatchError(f"{said}: more than the {shown(CUTOFF)} that a query may read", _LESS)
    return whole


_LESS = "Ask for less at once, by --since, --until or --region."


def _parts(days: Sequence[date]) -> Iterator[str]:
    """Days as folders: a month that is there whole is one, as listing it takes fewer calls."""
    there = set(days)
    for one in days:
        month = set(_month(one))
        if not month <= there:
            yield f"{one:%Y/%m/%d}"
        elif one.day == 1:
            yield f"{one:%Y/%m}"


def _month(day: date) -> Iterator[date]:
    first = one = day.replace(day=1)
    while one.month == first.month:
        yield one
        one += timedelta(days=1)


def _listed(logs: Logs, aws: Aws, prefix: str, scope: Scope) -> Estimate:
    """What lies in a folder; of what is archived only that is missed which may tell of the time."""
    pages = aws.s3.get_paginator("list_objects_v2").paginate(
        Bucket=logs.bucket, Prefix=prefix, OptionalObjectAttributes=["RestoreStatus"]
    )
    size, files, archived = 0, 0, []
    for one in (one for page in pages for one in page.get("Contents", [])):
        if is_archived(one):
            name = one["Key"].rpartition("/")[2]
            archived += [one["Key"]] if may_hold(name, scope.since, scope.until, ()) else []
        else:
            size, files = size + one["Size"], files + 1
    return Estimate(size, files, tuple(archived))


# What is needed


def prepare(logs: Logs, aws: Aws) -> list[str]:
    """Make what Athena needs, as far as it is not there.

    Returns:
        What was made or changed, as people call it.

    Raises:
        ForeignError: something of that name is somebody else's.
        AwsError: AWS refused.
    """
    return [one.title for one in (logs.workgroup, logs.catalog) if _made(one, aws)]


def _made(one: Resource, aws: Aws) -> bool:
    try:
        live = one.read(aws)
        if live is not None and live.owner != one.watch:
            hint = "Rename the watch, or ask whoever made it to take it away."
            raise ForeignError(f"the {one.title} is not this watch's", hint)
        if live is not None and live.state == one.wanted:
            return False
        one.write(aws, live)
    except TROUBLE as error:
        raise one.complaint(error, "making") from error
    return True


# The query


class Progress(NamedTuple):
    """How far a query is.

    Attributes:
        state: in Athena's word, "RUNNING".
        size: bytes that it has read.
    """

    state: str
    size: int


def unanswerable(question: Question) -> tuple[str, ...]:
    """The fields that a question asks about and the table does not hold."""
    return sql.asked(question).unknown


Cells = list[str | None]
_Row = TypeVar("_Row")


def answered(
    logs: Logs, aws: Aws, scope: Scope, questions: Sequence[Question]
) -> Iterator[Progress | Cells]:
    """How far the query is, again and again, and then all rows that any of some questions asks for.

    Whoever gets them asks each again.

    Args:
        logs: where they lie.
        aws: the account, seen from the watch's region.
        scope: when and where.
        questions: what is asked; none of them may be `unanswerable`.

    Raises:
        CtwatchError: that is more than a statement may hold.
        AwsError: AWS refused, or the query failed.
    """
    if sql.any_asked(questions) == sql.NONE:
        return
    statement = statements.rows(scope, questions)
    if len(statement.encode()) > statements.LONGEST:
        hint = "Ask for fewer detections at once: --detection."
        raise CtwatchError("Athena takes no question that long", hint)
    yield from _told(logs, aws, statement)


def counted(logs: Logs, aws: Aws, scope: Scope) -> Iterator[Progress | Seen]:
    """How far the query is, again and again, and then what there is of each region's hours.

    Raises:
        AwsError: AWS refused, or the query failed.
    """
    for one in _told(logs, aws, statements.hours(scope)):
        yield one if isinstance(one, Progress) else _seen(one)


def _seen(cells: Cells) -> Seen:
    region, hour, count, first, last = (one or "" for one in cells)
    return Seen(records=int(count), first=first, last=last, hours={(region, hour): int(count)})


def _told(logs: Logs, aws: Aws, statement: str) -> Iterator[Progress | Cells]:
    """What `_run` yields; what AWS refuses is said in a sentence."""
    try:
        yield from _run(logs, aws, statement)
    except TROUBLE as error:
        raise complaint(error, f"asking Athena in {logs.place.region}") from error


def _run(logs: Logs, aws: Aws, statement: str) -> Iterator[Progress | Cells]:
    """Run a statement; it is stopped when nobody waits for it any more."""
    athena = aws.client("athena")
    query = _started(
        athena,
        QueryString=statement,
        ClientRequestToken=secrets.token_hex(32),
        QueryExecutionContext={"Database": logs.catalog.name},
        WorkGroup=logs.workgroup.name,
    )
    done = False
    try:
        yield from _finishing(athena, aws, query)
        done = True
        yield from _pages(athena, query)
    finally:
        if not done:
            _stop(athena, query)


def _started(athena: Any, **asked: Any) -> str:
    """Start a query, and tell its id.

    Where Ctrl-C comes before AWS's answer, it may run already, and nobody knows its id; to ask with
    the same token again tells that.
    """
    try:
        return str(athena.start_query_execution(**asked)["QueryExecutionId"])
    except KeyboardInterrupt:
        with contextlib.suppress(*TROUBLE):
            _stop(athena, athena.start_query_execution(**asked)["QueryExecutionId"])
        raise


def _finishing(athena: Any, aws: Aws, query: str) -> Iterator[Progress]:
    """Wait until a query has succeeded.

    Raises:
        AwsError: it has not.
    """
    pause = _FIRST_PAUSE
    while True:
        known = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
        status = known["Status"]
        read = known.get("Statistics", {}).get("DataScannedInBytes", 0)
        yield Progress(status["State"], read)
        if status["State"] == "SUCCEEDED":
            return
        if status["State"] in {"FAILED", "CANCELLED"}:
            raise _failure(status)
        aws.clock.sleep(pause)
        pause = min(pause * 2, _LAST_PAUSE)


def _failure(status: Any) -> AwsError:
    reason = one_line(status.get("StateChangeReason", "")) or "it does not say why"
    if status["State"] == "CANCELLED":
        hint = _LESS if "limit" in reason.lower() else "Somebody stopped it; run again."
        return AwsError(f"Athena's query was cancelled: {reason}", hint, code="CANCELLED")
    hint = next((hint for word, hint in _HINTS if word in reason.lower()), _AGAIN)
    return AwsError(f"Athena's query failed: {reason}", hint, code="FAILED")


_AGAIN = "Run again; ask for less by --since, --until or --region; or take --from bucket."
_MAY_NOT_READ = (
    "Who asks needs s3:GetObject on the log files, and kms:Decrypt where a key encrypts them: "
    "ctwatch policy history"
)
_HINTS = (
    ("access denied", _MAY_NOT_READ),
    ("kms", _MAY_NOT_READ),
    ("exhausted", _LESS),
    ("table_not_found", "Run again: the table is made anew."),
    ("bad_data", "A log file is damaged: --from bucket tells which, and reads the rest."),
)


def _pages(athena: Any, query: str) -> Iterator[Cells]:
    """All rows but the first, which names the columns."""
    pages = athena.get_paginator("get_query_results").paginate(
        QueryExecutionId=query, PaginationConfig={"PageSize": _PAGE}
    )
    first = True
    for page in pages:
        for row in page["ResultSet"]["Rows"]:
            if not first:
                yield [one.get("VarCharValue") for one in row["Data"]]
            first = False


def _stop(athena: Any, query: str) -> None:
    """Stop a query that nobody waits for; should that fail, it ends by itself."""
    with contextlib.suppress(*TROUBLE):
        athena.stop_query_execution(QueryExecutionId=query)


def scoped(logs: Logs, since: datetime, until: datetime, regions: Sequence[str] = ()) -> Scope:
    """That time and these regions, of this table.

    Args:
        logs: where they lie.
        since: the first moment.
        until: the first that counts no more.
        regions: none for all.
    """
    return Scope(table_name(logs.watch), since, until, tuple(regions))


# As a source

_BATCH = 500
"""Records that are asked again at a time."""


@dataclass
class Athena:
    """Athena as a source.

    Where hours are counted there are two queries, each of which reads all files: one counts, and
    the other tells what was asked beside.

    Attributes:
        logs: which.
        aws: the account, seen from the watch's region.
        scope: when and where.
        estimate: how much one query will read.
        queries: how many there will be, 1 or 2.
    """

    logs: Logs
    aws: Aws
    scope: Scope
    estimate: Estimate
    queries: int = 1
    _read: list[int] = field(default_factory=list)
    _doubts: list[str] = field(default_factory=list)

    @property
    def what(self) -> str:
        """What it is called."""
        return f"Athena's {self.logs.catalog.name}"

    @property
    def size(self) -> int:
        """Nothing: what comes is little, and asked again here and now."""
        return 0

    @property
    def total(self) -> float:
        """Bytes that it will read."""
        return self.estimate.size * self.queries

    @property
    def forecast(self) -> str:
        """What is said before it is asked."""
        if not self.estimate.files:
            which = " but what is archived" if self.estimate.archived else ""
            return f"There is no log file of that time in {self.logs.bucket}{which}: {_UNASKED}"
        files = f"{shown(self.estimate.size)} in {self.estimate.files:,} files"
        often = ", twice" if self.queries > 1 else ""
        dollars = money(self.estimate.dollars * self.queries)
        return f"Athena will read about {files}{often}, which costs {dollars}."

    @property
    def notes(self) -> Sequence[str]:
        """How much it has read, and what that costs."""
        if not self._read:
            return ["Athena was asked nothing, and that costs nothing."]
        dollars = sum(map(athena_query, self._read), Decimal(0))
        return [f"Athena read {shown(sum(self._read))}, which costs {money(dollars)}."]

    @property
    def doubts(self) -> Sequence[str]:
        """What could not be asked, and the files that Athena passed over."""
        archived = self.estimate.archived
        unread = [not_read(self.logs.bucket, ARCHIVED, archived)] if archived else []
        return [*unread, *self._doubts]

    def through(self, searching: Searching) -> Iterator[tuple[float, Found]]:
        """Ask, if there is a file to read; what comes is asked again by the engine here.

        Raises:
            CtwatchError: that is more than a statement may hold.
            AwsError: AWS refused, or a query failed.
        """
        if not self.estimate.files:
            return
        if searching.search.hours:
            yield from self._hours()
        batch: list[Record] = []
        rows = answered(self.logs, self.aws, self.scope, self._asked(searching.search))
        for further, row in self._reading(rows):
            if row is None:
                yield further, Found()
                continue
            batch.append(record(row))
            if len(batch) == _BATCH:
                yield 0, _searched(searching, batch)
                batch = []
        yield 0, _searched(searching, batch)

    def _hours(self) -> Iterator[tuple[float, Found]]:
        for further, seen in self._reading(counted(self.logs, self.aws, self.scope)):
            yield further, Found(seen or Seen())

    def _reading(self, answers: Iterator[Progress | _Row]) -> Iterator[tuple[float, _Row | None]]:
        """Of a query how much further it is, or a row of its answer."""
        begun = False
        for one in answers:
            if not isinstance(one, Progress):
                yield 0, one
                continue
            if not begun:
                self._read.append(0)
                begun = True
            further, self._read[-1] = one.size - self._read[-1], one.size
            yield further, None

    def _asked(self, search: Search) -> list[Question]:
        """The questions that the table can answer."""
        asked = []
        for one in search.questions:
            if fields := unanswerable(one):
                told = ", ".join(map(one_line, fields))
                self._doubts.append(f"{one.name} was not asked: the table has no {told}")
            else:
                asked.append(one)
        return asked


def _searched(searching: Searching, batch: Sequence[Record]) -> Found:
    """What is found in some rows; which are none of the records that were counted by hours."""
    found = searching.document("Athena", json.dumps({"Records": batch}).encode())
    return Found(findings=found.findings) if searching.search.hours else found


def shown(size: int) -> str:
    """Bytes, as people say them."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1000:.0f} KB"


def money(dollars: Decimal) -> str:
    """Dollars; less than a cent is not worth its digits."""
    return f"${cents(dollars)}" if dollars >= _CENT else "less than a cent"


_UNASKED = "Athena is not asked."
_CENT = Decimal("0.01")
