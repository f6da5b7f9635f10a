"""Athena and the catalog of Glue's that it reads: queries that really run on the bucket's files.

    StartQueryExecution ─> QUEUED ─> RUNNING ─> SUCCEEDED, or FAILED with AWS's reason
                             one step each time that somebody asks how far it is
        the table's projection ─ region, timestamp of the WHERE ─> folders ─> files ─> DuckDB

Of a statement the partitions that it names are read and no others, and count as DataScannedInBytes.
A table is read that is partitioned by region and timestamp, as ctwatch's is; another is refused.
Whether whoever asks may read the files is not judged here; whether he may ask is.

    https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html
    https://docs.aws.amazon.com/athena/latest/ug/partition-projection-how-it-works.html
    https://docs.aws.amazon.com/glue/latest/webapi/API_CreateTable.html
"""

import gzip
import json
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from ctwatch.sandbox import duck
from ctwatch.sandbox.calls import Account, Call, Forward, Handler, Refusal
from ctwatch.sandbox.versions import ARCHIVES, is_restored

_INVALID = "InvalidRequestException"
_ABSENT = "EntityNotFoundException"
_LARGEST_PAGE = 1000
_STEPS = ("QUEUED", "RUNNING")
_SOURCE = re.compile(r'\bFROM\s+"?(\w+)"?\."?(\w+)"?')
_REGIONS = re.compile(r"\bregion IN \(([^)]*)\)")
_DAYS = re.compile(r"\"timestamp\" BETWEEN '(\d{4}/\d\d/\d\d)' AND '(\d{4}/\d\d/\d\d)'")
_UNSEEN = "the sandbox runs queries by DuckDB, which is not installed: pip install duckdb"

WORKGROUPS: dict[str, str] = {}
"""The workgroup of each query that was started, by the query's id: IAM asks for it."""


@dataclass
class _Query:
    """A query that was started."""

    id: str
    call: Call
    steps: list[str] = field(default_factory=lambda: list(_STEPS))
    state: str = "QUEUED"
    reason: str = ""
    scanned: int = 0
    ended: datetime | None = None
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def workgroup(self) -> str:
        return str(self.call.params.get("WorkGroup", "primary"))

    @property
    def over(self) -> bool:
        return self.ended is not None


class Failure(Exception):  # noqa: N818 - the query fails; that is not an error of ours
    """Why a query ends as FAILED, in Athena's words."""


class CutoffError(Exception):
    """A query has read more than its workgroup lets one read.

    https://docs.aws.amazon.com/athena/latest/ug/workgroups-setting-control-limits-cloudwatch.html
    """


class Queries:
    """Workgroups, the catalog, and the queries of one account.

    Args:
        account: whose buckets are read.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._lock = threading.RLock()
        self._workgroups: dict[tuple[str, str], dict[str, Any]] = {}
        self._databases: dict[tuple[str, str], dict[str, Any]] = {}
        self._tables: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._worn: dict[str, dict[str, str]] = {}
        self._queries: dict[str, _Query] = {}

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """What is answered here, by service and operation."""
        athena = {
            "CreateWorkGroup": self._create_workgroup,
            "GetWorkGroup": self._get_workgroup,
            "UpdateWorkGroup": self._update_workgroup,
            "DeleteWorkGroup": self._delete_workgroup,
            "ListTagsForResource": self._tags_of,
            "StartQueryExecution": self._start,
            "GetQueryExecution": self._tell,
            "StopQueryExecution": self._stop,
            "GetQueryResults": self._results,
        }
        glue = {
            "CreateDatabase": self._create_database,
            "GetDatabase": self._get_database,
            "DeleteDatabase": self._delete_database,
            "CreateTable": self._create_table,
            "GetTable": self._get_table,
            "UpdateTable": self._update_table,
            "DeleteTable": self._delete_table,
        }
        return {
            **{("athena", name): self._alone(one) for name, one in athena.items()},
            **{("glue", name): self._alone(one) for name, one in glue.items()},
        }

    def _alone(self, answer: Any) -> Handler:
        def handler(call: Call, _: Forward) -> dict[str, Any]:
            with self._lock:
                return dict(answer(call))

        return handler

    def tagged(self, region: str) -> Iterator[tuple[str, dict[str, str]]]:
        """ARN and tags of the workgroups and databases of a region."""
        for arn, tags in list(self._worn.items()):
            if arn.split(":")[3] == region:
                yield arn, tags

    # Workgroups

    def _create_workgroup(self, call: Call) -> dict[str, Any]:
        name = call.params["Name"]
        if (call.region, name) in self._workgroups:
            raise Refusal(_INVALID, "WorkGroup is already created")
        settings = dict(call.params.get("Configuration", {}))
        managed = settings.get("ManagedQueryResultsConfiguration", {}).get("Enabled")
        if managed and settings.get("ResultConfiguration", {}).get("OutputLocation"):
            raise Refusal(
                _INVALID,
                "ManagedQueryResultsConfiguration and ResultConfiguration cannot be set together",
            )
        self._workgroups[call.region, name] = settings
        tags = {one["Key"]: one["Value"] for one in call.params.get("Tags", [])}
        self._worn[_arn(call, "athena", f"workgroup/{name}")] = tags
        return {}

    def _workgroup(self, call: Call, name: str) -> dict[str, Any]:
        if name == "primary":  # which every account has, without a place for results
            return self._workgroups.setdefault((call.region, name), {})
        found = self._workgroups.get((call.region, name))
        if found is None:
            raise Refusal(_INVALID, f"WorkGroup {name} is not found.")
        return found

    def _get_workgroup(self, call: Call) -> dict[str, Any]:
        name = call.params["WorkGroup"]
        settings = self._workgroup(call, name)
        told = {"Name": name, "State": "ENABLED", "Configuration": settings}
        return {"WorkGroup": told}

    def _update_workgroup(self, call: Call) -> dict[str, Any]:
        settings = self._workgroup(call, call.params["WorkGroup"])
        changes = dict(call.params.get("ConfigurationUpdates", {}))
        managed = changes.pop("ManagedQueryResultsConfigurationUpdates", None)
        if managed:
            settings["ManagedQueryResultsConfiguration"] = {"Enabled": managed.get("Enabled")}
        settings |= changes
        return {}

    def _delete_workgroup(self, call: Call) -> dict[str, Any]:
        name = call.params["WorkGroup"]
        self._workgroup(call, name)
        used = any(one.workgroup == name for one in self._queries.values())
        if used and not call.params.get("RecursiveDeleteOption"):
            raise Refusal(_INVALID, f"WorkGroup {name} is not empty")
        del self._workgroups[call.region, name]
        self._worn.pop(_arn(call, "athena", f"workgroup/{name}"), None)
        return {}

    def _tags_of(self, call: Call) -> dict[str, Any]:
        arn = call.params["ResourceARN"]
        if arn not in self._worn:
            raise Refusal(_INVALID, f"WorkGroup {arn.rpartition('/')[2]} is not found.")
        return {"Tags": [{"Key": k, "Value": v} for k, v in self._worn[arn].items()]}

    # The catalog

    def _create_database(self, call: Call) -> dict[str, Any]:
        given = call.params["DatabaseInput"]
        key = (call.region, given["Name"])
        if key in self._databases:
            raise Refusal("AlreadyExistsException", "Database already exists.")
        self._databases[key] = {**given, "CatalogId": call.account}
        self._worn[_arn(call, "glue", f"database/{key[1]}")] = dict(call.params.get("Tags", {}))
        return {}

    def _database(self, call: Call, name: str) -> dict[str, Any]:
        found = self._databases.get((call.region, name))
        if found is None:
            raise Refusal(_ABSENT, f"Database {name} not found.")
        return found

    def _get_database(self, call: Call) -> dict[str, Any]:
        return {"Database": self._database(call, call.params["Name"])}

    def _delete_database(self, call: Call) -> dict[str, Any]:
        name = call.params["Name"]
        self._database(call, name)
        del self._databases[call.region, name]
        self._worn.pop(_arn(call, "glue", f"database/{name}"), None)
        for key in [one for one in self._tables if one[:2] == (call.region, name)]:
            del self._tables[key]
        return {}

    def _create_table(self, call: Call) -> dict[str, Any]:
        database, given = call.params["DatabaseName"], call.params["TableInput"]
        self._database(call, database)
        key = (call.region, database, given["Name"])
        if key in self._tables:
            raise Refusal("AlreadyExistsException", "Table already exists.")
        self._tables[key] = {**given, "DatabaseName": database}
        return {}

    def _table(self, call: Call, database: str, name: str) -> dict[str, Any]:
        self._database(call, database)
        found = self._tables.get((call.region, database, name))
        if found is None:
            raise Refusal(_ABSENT, f"Table {name} not found.")
        return found

    def _get_table(self, call: Call) -> dict[str, Any]:
        return {"Table": self._table(call, call.params["DatabaseName"], call.params["Name"])}

    def _update_table(self, call: Call) -> dict[str, Any]:
        database, given = call.params["DatabaseName"], call.params["TableInput"]
        self._table(call, database, given["Name"])
        self._tables[call.region, database, given["Name"]] = {**given, "DatabaseName": database}
        return {}

    def _delete_table(self, call: Call) -> dict[str, Any]:
        database, name = call.params["DatabaseName"], call.params["Name"]
        self._table(call, database, name)
        del self._tables[call.region, database, name]
        return {}

    # Queries

    def _start(self, call: Call) -> dict[str, Any]:
        settings = self._workgroup(call, str(call.params.get("WorkGroup", "primary")))
        self._check_results(call, settings)
        token = call.params.get("ClientRequestToken")
        same = [x for x in self._queries.values() if x.call.params["ClientRequestToken"] == token]
        if same and same[0].call.params["QueryString"] != call.params["QueryString"]:
            raise Refusal(_INVALID, "Idempotent parameters do not match")
        query = same[0] if same else _Query(str(uuid.uuid4()), call)
        self._queries[query.id] = query
        WORKGROUPS[query.id] = query.workgroup
        return {"QueryExecutionId": query.id}

    def _check_results(self, call: Call, settings: Mapping[str, Any]) -> None:
        """Results need a place: Athena's own, or a bucket.

        https://docs.aws.amazon.com/athena/latest/ug/workgroups-troubleshooting.html
        """
        managed = settings.get("ManagedQueryResultsConfiguration", {}).get("Enabled")
        asked = call.params.get("ResultConfiguration", {}).get("OutputLocation")
        place = asked or settings.get("ResultConfiguration", {}).get("OutputLocation")
        if managed and asked:
            raise Refusal(
                _INVALID,
                "OutputLocation cannot be set when the workgroup has managed query results.",
            )
        if not managed and not place:
            raise Refusal(
                _INVALID,
                "No output location provided. An output location is required either through the "
                "Workgroup result configuration setting or as an API input.",
            )
        if not managed:
            raise Refusal(_INVALID, f"Unable to verify/create output bucket {place.split('/')[2]}")

    def _query(self, call: Call) -> _Query:
        name = call.params["QueryExecutionId"]
        if name not in self._queries:
            raise Refusal(_INVALID, f"QueryExecution {name} was not found")
        return self._queries[name]

    def _tell(self, call: Call) -> dict[str, Any]:
        query = self._query(call)
        if not query.over:
            if query.steps:
                query.state = query.steps.pop(0)
            else:
                self._run(query, call.time)
        return {"QueryExecution": _described(query)}

    def _stop(self, call: Call) -> dict[str, Any]:
        query = self._query(call)
        if not query.over:
            query.state, query.reason = "CANCELLED", "Query cancelled by user"
            query.ended = call.time
        return {}

    def _run(self, query: _Query, now: datetime) -> None:
        query.ended = now
        try:
            self._execute(query)
        except Failure as failure:
            query.state, query.reason = "FAILED", str(failure)
        except CutoffError:
            query.state, query.reason = "CANCELLED", "Bytes scanned limit was exceeded"
        else:
            query.state = "SUCCEEDED"

    def _execute(self, query: _Query) -> None:
        statement = query.call.params["QueryString"]
        source = _SOURCE.search(statement)
        if source is None:
            raise Failure("SYNTAX_ERROR: the sandbox's Athena answers only SELECT … FROM a table")
        table = self._tables.get((query.call.region, source[1], source[2]))
        if table is None:
            where = f"awsdatacatalog.{source[1]}.{source[2]}"
            raise Failure(f"TABLE_NOT_FOUND: line 1:1: Table '{where}' does not exist")
        try:
            connection = duck.connect()
        except duck.MissingError:
            raise Failure(_UNSEEN) from None
        with connection:
            self._lay(connection, query, table, statement)
            self._answer(connection, query, statement.replace(source[0], "FROM logs", 1))

    def _lay(self, connection: Any, query: _Query, table: Any, statement: str) -> None:
        """Put the rows of the partitions that are named into the database."""
        columns = {one["Name"]: one["Type"] for one in table["StorageDescriptor"]["Columns"]}
        rows = []
        for region, day in _partitions(table, statement, query.call.time.date()):
            for body in self._files(query, table, region, day):
                rows += [(one, (region, day)) for one in _records(body)]
        duck.lay(connection, "logs", columns, ("region", "timestamp"), rows)

    def _files(self, query: _Query, table: Any, region: str, day: str) -> Iterator[bytes]:
        template = table["Parameters"]["storage.location.template"]
        place = template.replace("${region}", region).replace("${timestamp}", day)
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        s3 = self._account.client("s3", query.call.region)
        try:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
            found = [one for page in pages for one in page.get("Contents", [])]
        except s3.exceptions.NoSuchBucket:
            raise Failure(f"The specified bucket does not exist (Bucket: {bucket})") from None
        for one in found:
            where = {"Bucket": bucket, "Key": one["Key"]}
            if one["StorageClass"] in ARCHIVES and not (
                _reads_restored(table) and is_restored(s3.head_object(**where))
            ):
                continue
            body = s3.get_object(**where)["Body"].read()
            query.scanned += len(body)
            most = self._workgroup(query.call, query.workgroup).get("BytesScannedCutoffPerQuery")
            if most and query.scanned > most:
                raise CutoffError
            yield body

    def _answer(self, connection: Any, query: _Query, statement: str) -> None:
        try:
            answer = connection.execute(duck.spelled(statement))
        except Exception as error:  # noqa: BLE001 - whatever DuckDB finds wrong with it
            raise Failure(f"SYNTAX_ERROR: {str(error).splitlines()[0]}") from None
        query.columns = [one[0] for one in answer.description]
        query.rows = answer.fetchall()

    def _results(self, call: Call) -> dict[str, Any]:
        """A page; the first row of the first names the columns."""
        query, size = self._query(call), call.params.get("MaxResults", _LARGEST_PAGE)
        if size > _LARGEST_PAGE:
            said = f"MaxResults is more than maximum allowed length {_LARGEST_PAGE}."
            raise Refusal(_INVALID, said)
        if not query.over:
            said = f"Query has not yet finished. Current state: {query.state}"
            raise Refusal(_INVALID, said)
        if query.state != "SUCCEEDED":
            said = f"Query did not finish successfully. Final query state: {query.state}"
            raise Refusal(_INVALID, said)
        at = _place(query, call.params.get("NextToken"))
        rows = [tuple(query.columns), *query.rows]
        answer: dict[str, Any] = {"ResultSet": {"Rows": [_row(x) for x in rows[at : at + size]]}}
        if at + size < len(rows):
            answer["NextToken"] = f"{query.id}.{at + size}"
        return answer


def _place(query: _Query, token: str | None) -> int:
    if token is None:
        return 0
    name, _, at = token.rpartition(".")
    if name != query.id or not at.isdigit():
        raise Refusal(_INVALID, "Invalid NextToken")
    return int(at)


def _row(values: tuple[Any, ...]) -> dict[str, Any]:
    return {"Data": [{} if one is None else {"VarCharValue": str(one)} for one in values]}


def _described(query: _Query) -> dict[str, Any]:
    status: dict[str, Any] = {
        "State": query.state,
        "SubmissionDateTime": query.call.time,
        **({"CompletionDateTime": query.ended} if query.ended else {}),
        **({"StateChangeReason": query.reason} if query.reason else {}),
    }
    return {
        "QueryExecutionId": query.id,
        "Query": query.call.params["QueryString"],
        "StatementType": "DML",
        "WorkGroup": query.workgroup,
        "Status": status,
        "Statistics": {"DataScannedInBytes": query.scanned},
    }


def _arn(call: Call, service: str, resource: str) -> str:
    return f"arn:aws:{service}:{call.region}:{call.account}:{resource}"


def _reads_restored(table: Any) -> bool:
    """Whether Athena reads what is restored from an archive, and does not pass over it.

    https://docs.aws.amazon.com/athena/latest/ug/querying-glacier.html
    """
    return bool(table["Parameters"].get("read_restored_glacier_objects") == "true")


def _partitions(table: Any, statement: str, today: date) -> Iterator[tuple[str, str]]:
    """The partitions of a projection that a statement asks for.

    Raises:
        Failure: the table has another projection than one by region and timestamp.
    """
    projection = table.get("Parameters", {})
    names = [one["Name"] for one in table.get("PartitionKeys", [])]
    if names != ["region", "timestamp"] or projection.get("projection.enabled") != "true":
        raise Failure("the sandbox's Athena knows only tables projected by region and timestamp")
    named = _REGIONS.search(statement)
    wanted = re.findall(r"'([^']*)'", named[1]) if named else None
    known = projection["projection.region.values"].split(",")
    days = list(_days(projection["projection.timestamp.range"], statement, today))
    for region in known:
        if wanted is None or region in wanted:
            yield from ((region, day) for day in days)


def _days(span: str, statement: str, today: date) -> Iterator[str]:
    first, _, last = span.replace("NOW", f"{today:%Y/%m/%d}").partition(",")
    asked = _DAYS.search(statement)
    if asked:
        first, last = max(first, asked[1]), min(last, asked[2])
    day, end = (date(*map(int, one.split("/"))) for one in (first, last))
    while day <= end:
        yield f"{day:%Y/%m/%d}"
        day += timedelta(days=1)


def _records(body: bytes) -> list[dict[str, Any]]:
    """The records of a log file; one that is none fails the query, as it does on AWS."""
    try:
        return list(json.loads(gzip.decompress(body))["Records"])
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        raise Failure("HIVE_BAD_DATA: Error reading a CloudTrail log file") from None
