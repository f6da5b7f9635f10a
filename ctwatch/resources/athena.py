"""What Athena needs to read the log files: a workgroup, and a database with one table.

`ctwatch history --from athena` makes them when it is first asked, and `ctwatch down` takes them
away. They cost nothing while nothing is asked. Results are kept by Athena itself, for a day, so
that no bucket has to be written to.

Database and table are made through Glue's API and not by Athena's DDL, which says the same: Glue
answers at once and in parameters that can be compared, where DDL is a query to be waited for, whose
words are all that is left of it.

    https://docs.aws.amazon.com/athena/latest/ug/managed-results.html
    https://docs.aws.amazon.com/athena/latest/ug/create-cloudtrail-table-partition-projection.html
    https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
    https://docs.aws.amazon.com/athena/latest/ug/querying-glacier.html
    https://docs.aws.amazon.com/glue/latest/webapi/API_CreateTable.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from ctwatch.aws import Aws, unless
from ctwatch.diff import State
from ctwatch.permissions import Actions, allow
from ctwatch.resources.base import TAG, Live, Resource, owner, pairs

TABLE = "cloudtrail"
ENGINE = "Athena engine version 3"
CUTOFF = 10**12
"""Bytes that one query may read; Athena cancels what reads more. Of a terabyte it costs $5.

https://docs.aws.amazon.com/athena/latest/ug/workgroups-setting-control-limits-cloudwatch.html
"""
_BEGIN = "2013/11/13"
"""The day on which CloudTrail first delivered anything to anybody."""
_GONE = "EntityNotFoundException"
_UNKNOWN = "is not found"
"""What Athena says in an InvalidRequestException of a workgroup that is not there."""


def workgroup_name(watch: str) -> str:
    """What a watch's workgroup is called."""
    return f"{watch}-history"


def database_name(watch: str) -> str:
    """What a watch's database is called: in small letters, and without "-".

    https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html
    """
    return f"{watch.lower().replace('-', '_')}_history"


def table_name(watch: str) -> str:
    """A watch's table, as SQL writes it."""
    return f'"{database_name(watch)}"."{TABLE}"'


@dataclass(frozen=True, kw_only=True, eq=False)
class Workgroup(Resource):
    """A workgroup: the engine that runs the queries, and what becomes of their results."""

    kind: ClassVar[str] = "Athena workgroup"
    asked_for: ClassVar[bool] = True
    origin: ClassVar[str] = "made by ctwatch history"

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.place.arn("athena", f"workgroup/{self.name}")

    @property
    def wanted(self) -> State:
        """Results that Athena keeps, whatever a query says; a known dialect; an end to costs."""
        return {"engine": ENGINE, "managed": True, "enforced": True, "cutoff": CUTOFF}

    @property
    def actions(self) -> Actions:
        """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonathena.html."""
        return Actions(
            read=(allow("athena", "GetWorkGroup ListTagsForResource", self.arn),),
            write=(allow("athena", "CreateWorkGroup UpdateWorkGroup TagResource", self.arn),),
            delete=(allow("athena", "DeleteWorkGroup", self.arn),),
        )

    def read(self, aws: Aws) -> Live | None:
        """Look at it and at its tags."""
        athena = aws.client("athena")
        try:
            known = athena.get_work_group(WorkGroup=self.name)["WorkGroup"]["Configuration"]
            tags = athena.list_tags_for_resource(ResourceARN=self.arn)["Tags"]
        except athena.exceptions.InvalidRequestException as error:
            if _UNKNOWN in str(error):
                return None
            raise
        state = {
            "engine": known.get("EngineVersion", {}).get("SelectedEngineVersion"),
            "managed": known.get("ManagedQueryResultsConfiguration", {}).get("Enabled", False),
            "enforced": known.get("EnforceWorkGroupConfiguration", False),
            "cutoff": known.get("BytesScannedCutoffPerQuery"),
        }
        return Live(state, owner(tags), tags=pairs(tags))

    def write(self, aws: Aws, live: Live | None) -> None:
        """Make it, or set it right."""
        athena = aws.client("athena")
        settings = {
            "BytesScannedCutoffPerQuery": CUTOFF,
            "EnforceWorkGroupConfiguration": True,
            "EngineVersion": {"SelectedEngineVersion": ENGINE},
            "ManagedQueryResultsConfiguration": {"Enabled": True},
            "PublishCloudWatchMetricsEnabled": False,
        }
        if live is None:
            said = f"Queries of ctwatch history for the watch {self.watch}"
            athena.create_work_group(
                Name=self.name, Configuration=settings, Description=said, Tags=self.tag_list
            )
        else:
            managed = {"ManagedQueryResultsConfigurationUpdates": {"Enabled": True}}
            del settings["ManagedQueryResultsConfiguration"]
            athena.update_work_group(
                WorkGroup=self.name, ConfigurationUpdates={**settings, **managed}
            )

    def delete(self, aws: Aws) -> None:
        """Delete it with what it remembers of its queries."""
        athena = aws.client("athena")
        try:
            athena.delete_work_group(WorkGroup=self.name, RecursiveDeleteOption=True)
        except athena.exceptions.InvalidRequestException as error:
            if _UNKNOWN not in str(error):
                raise


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalog(Resource):
    """A database of Glue's with the table of the log files.

    Attributes:
        bucket: in which they lie.
        folder: what stands before "CloudTrail/" in their keys.
        regions: whose there may be.
        columns: the table's, each with its type.
    """

    bucket: str = ""
    folder: str = ""
    regions: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    kind: ClassVar[str] = "Glue database"
    asked_for: ClassVar[bool] = True
    origin: ClassVar[str] = "made by ctwatch history"

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.place.arn("glue", f"database/{self.name}")

    @property
    def wanted(self) -> State:
        """Where the files lie, and how they are read."""
        where = f"s3://{self.bucket}/{self.folder}CloudTrail"
        return {
            "location": f"{where}/",
            "columns": {name: "".join(kind.lower().split()) for name, kind in self.columns.items()},
            "projection.enabled": "true",
            "projection.region.type": "enum",
            "projection.region.values": ",".join(self.regions),
            "projection.timestamp.type": "date",
            "projection.timestamp.format": "yyyy/MM/dd",
            "projection.timestamp.interval": "1",
            "projection.timestamp.interval.unit": "DAYS",
            "projection.timestamp.range": f"{_BEGIN},NOW",
            "storage.location.template": f"{where}/${{region}}/${{timestamp}}",
            "read_restored_glacier_objects": "true",
        }

    @property
    def actions(self) -> Actions:
        """Glue asks for the catalog, the database and the table alike.

        https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
        """
        on = (self.place.arn("glue", "catalog"), self.arn, self.table_arn)
        return Actions(
            read=(allow("glue", "GetDatabase GetTable", *on),),
            write=(allow("glue", "CreateDatabase TagResource CreateTable UpdateTable", *on),),
            delete=(allow("glue", "DeleteDatabase", *on[:2], *self._within),),
        )

    @property
    def _within(self) -> tuple[str, ...]:
        """All that goes with it, as Glue asks for each.

        https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteDatabase.html
        """
        kinds = ("table", "userDefinedFunction")
        return tuple(self.place.arn("glue", f"{kind}/{self.name}/*") for kind in kinds)

    @property
    def table_arn(self) -> str:
        """The ARN of the table."""
        return self.place.arn("glue", f"table/{self.name}/{TABLE}")

    def read(self, aws: Aws) -> Live | None:
        """Look at the database, whose parameters say whose it is, and at its table."""
        glue = aws.client("glue")
        found: Any = unless(partial(glue.get_database, Name=self.name), _GONE)
        if found is None:
            return None
        ask = partial(glue.get_table, DatabaseName=self.name, Name=TABLE)
        table: Any = unless(ask, _GONE)
        owned = found["Database"].get("Parameters", {}).get(TAG)
        return Live(_state(table["Table"]) if table else {}, owned)

    def write(self, aws: Aws, live: Live | None) -> None:
        """Make both, or set the table right."""
        glue = aws.client("glue")
        if live is None:
            said = f"Log files, for ctwatch history of the watch {self.watch}"
            given = {"Name": self.name, "Description": said, "Parameters": {TAG: self.watch}}
            glue.create_database(DatabaseInput=given, Tags=self.tags)
        change = glue.update_table if live and live.state else glue.create_table
        change(DatabaseName=self.name, TableInput=self._input)

    @property
    def _input(self) -> dict[str, Any]:
        wanted = dict(self.wanted)
        location, columns = wanted.pop("location"), wanted.pop("columns")
        return {
            "Name": TABLE,
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": one, "Type": "string"} for one in ("region", "timestamp")],
            "Parameters": {"EXTERNAL": "TRUE", TAG: self.watch, **wanted},
            "StorageDescriptor": {
                "Location": location,
                "Columns": [{"Name": name, "Type": kind} for name, kind in columns.items()],
                "InputFormat": "com.amazon.emr.cloudtrail.CloudTrailInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                "SerdeInfo": {
                    "SerializationLibrary": "org.apache.hive.hcatalog.data.JsonSerDe",
                    "Parameters": {"serialization.format": "1"},
                },
            },
        }

    def delete(self, aws: Aws) -> None:
        """Delete it with its table; the log files are none of its."""
        glue = aws.client("glue")
        unless(partial(glue.delete_database, Name=self.name), _GONE)


def _state(table: Mapping[str, Any]) -> State:
    stored = table["StorageDescriptor"]
    properties = table.get("Parameters", {}).items()
    return {
        "location": stored["Location"],
        "columns": {one["Name"]: one["Type"] for one in stored["Columns"]},
        **{k: v for k, v in properties if k.startswith(("projection.", "storage.", "read_"))},
    }
