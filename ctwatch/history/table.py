"""The table that Athena sees log files as: its columns, and what of a record they keep.

The columns are those of AWS's page, and of CloudTrail's record contents those that it leaves out
(`managementEvent`, say). The SerDe finds a JSON field by the name of a column, whatever its case.

    https://docs.aws.amazon.com/athena/latest/ug/create-cloudtrail-table-partition-projection.html
    https://docs.aws.amazon.com/athena/latest/ug/cloudtrail-logs.html
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html

What a table cannot keep: whether a field is null or not there at all (`NULLABLE` says how that is
read), and fields that have no column (insightDetails, say, which no file below CloudTrail/ holds).

Pure.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ctwatch.history.events import Record

Kind: TypeAlias = Literal["text", "flag", "json", "list"]
"""A string; true or false; any JSON, kept as its text; an array of structs of strings."""

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Held:
    """A field of a record that the table holds.

    Attributes:
        path: its names, as CloudTrail spells them.
        kind: what it holds.
    """

    path: Path
    kind: Kind

    @property
    def sql(self) -> str:
        """How SQL names it."""
        return ".".join(self.path).lower()


def _held(kind: Kind, names: str, *above: str) -> Iterator[Held]:
    for name in names.split():
        yield Held((*above, *name.split(".")), kind)


FIELDS: tuple[Held, ...] = (
    *_held("text", "eventVersion"),
    *_held("text", "type principalId arn accountId invokedBy accessKeyId userName", "userIdentity"),
    *_held("text", "identityProvider credentialId", "userIdentity"),
    *_held("text", "userId identityStoreArn", "userIdentity", "onBehalfOf"),
    *_held(
        "text",
        "attributes.mfaAuthenticated attributes.creationDate sessionIssuer.type "
        "sessionIssuer.principalId sessionIssuer.arn sessionIssuer.accountId "
        "sessionIssuer.userName ec2RoleDelivery sourceIdentity assumedRoot "
        "webIdFederationData.federatedProvider",
        *("userIdentity", "sessionContext"),
    ),
    *_held(
        "text",
        "eventTime eventSource eventName awsRegion sourceIPAddress userAgent errorCode "
        "errorMessage",
    ),
    *_held("json", "requestParameters responseElements additionalEventData"),
    *_held("text", "requestID eventID"),
    *_held("flag", "readOnly"),
    *_held("list", "resources"),
    *_held("text", "eventType apiVersion"),
    *_held("flag", "managementEvent"),
    *_held("text", "recipientAccountId"),
    *_held("json", "serviceEventDetails"),
    *_held("text", "sharedEventID vpcEndpointId vpcEndpointAccountId eventCategory"),
    *_held("text", "reason updatedFields originalRequestID originalEventID", "addendum"),
    *_held("text", "sessionCredentialFromConsole"),
    *_held("json", "edgeDeviceDetails eventContext"),
    *_held("text", "tlsVersion cipherSuite clientProvidedHostHeader", "tlsDetails"),
)
"""All columns, those of structs one by one, in the order of AWS's page."""

RESOURCE = ("ARN", "accountId", "type")
"""What the structs of `resources` hold."""

NULLABLE = frozenset({"requestParameters", "responseElements"})
"""Of these, NULL is null in the record, as CloudTrail leaves neither out; of others, not there."""

BY_PATH: Mapping[Path, Held] = {one.path: one for one in FIELDS}
INNER: frozenset[Path] = frozenset(
    one.path[:length] for one in FIELDS for length in range(1, len(one.path))
)
"""The structs, by their paths."""

_Tree: TypeAlias = dict[str, Any]


def columns() -> Iterator[tuple[str, str]]:
    """The columns, with their types as Athena's DDL writes them."""
    tree: _Tree = {}
    for one in FIELDS:
        *above, last = one.path
        node = tree
        for step in above:
            node = node.setdefault(step.lower(), {})
        node[last.lower()] = _RESOURCES if one.kind == "list" else "STRING"
    for name, node in tree.items():
        yield name, _type(node)


_RESOURCES = f"ARRAY<STRUCT<{', '.join(f'{one.lower()}: STRING' for one in RESOURCE)}>>"


def _type(node: _Tree | str) -> str:
    if isinstance(node, str):
        return node
    return f"STRUCT<{', '.join(f'{name}: {_type(one)}' for name, one in node.items())}>"


def selected() -> Iterator[tuple[str, Held]]:
    """What is selected so that `record` can put a record together: SQL, and of which field."""
    for one in FIELDS:
        yield f"json_format(CAST({one.sql} AS JSON))" if one.kind == "list" else one.sql, one


def record(cells: Sequence[str | None]) -> Record:
    """A row of what `selected` names, as the record that it was.

    Args:
        cells: in the order of `FIELDS`, as text.
    """
    found: Record = {}
    for one, cell in zip(FIELDS, cells, strict=True):
        value = None if cell is None else _value(one.kind, cell)
        if value is not None or one.path[0] in NULLABLE:
            _put(found, one.path, value)
    return found


def _put(found: Record, path: Path, value: Any) -> None:
    *above, last = path
    for step in above:
        found = found.setdefault(step, {})
    found[last] = value


def _value(kind: Kind, cell: str) -> Any:
    if kind == "flag":
        return {"true": True, "false": False}.get(cell, cell)
    if kind == "text":
        return cell
    parsed = _parsed(cell)
    return [_resource(one) for one in parsed] if kind == "list" else parsed


def _parsed(cell: str) -> Any:
    """An object or an array; a string's text stands there without quotes."""
    if not cell.lstrip().startswith(("{", "[")):
        return cell
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _resource(one: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    """A struct as JSON: an object of engine version 3, a list of its values of older ones."""
    values: Iterable[Any] = (
        [one.get(name.lower()) for name in RESOURCE] if isinstance(one, Mapping) else one
    )
    named = zip(RESOURCE, values, strict=False)
    return {name: value for name, value in named if value is not None}
