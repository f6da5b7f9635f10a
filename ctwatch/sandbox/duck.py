r"""Athena's queries, run by DuckDB: its spelling of Trino's SQL, and log files as rows.

DuckDB is not among what the sandbox needs (it comes with the development tools); without it a query
is refused. Where the two differ in what ctwatch's statements use:

    Trino                               DuckDB
    x -> …                              lambda x: …
    TRY_CAST(json AS ARRAY(JSON))       no such cast of JSON that is no array: a macro
    json_extract of what is no JSON     NULL there, an error here: a macro
    $["a key"]                          $."a key"
    U&'\0007'                            'a' || chr(7)
    element_at of an array              list_extract, as element_at is of maps alone
    any_match                           NULL when nothing is true and something NULL: a macro

What it cannot stand in for, as nobody has asked Athena itself:

    the SerDe        writes JSON into a column of strings in its own spacing and order; here as
                     Python does, without spaces
    numbers in JSON  are written anew by json_format, 5.0 and 1e300 each in its own way; they are
                     compared as DOUBLE, and integers beyond that as they are written
    regular          are Joni's there and RE2's here: only classes, alternatives, repeats, \A and \z
    expressions      are used, which mean the same in both
    letters          of any case are spelled out, as lower() does not know the same in both

    https://trino.io/docs/current/functions/array.html#any_match
    https://trino.io/docs/current/functions/json.html
    https://duckdb.org/docs/stable/sql/functions/lambda.html
"""

import importlib
import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

_MACROS = """
CREATE MACRO any_match(list, said) AS
    list_reduce(list_transform(list, said), lambda one, other: one OR other, false);
CREATE MACRO trino_extract(json, path) AS TRY(json_extract(json, path));
CREATE MACRO json_extract_scalar(json, path) AS
    TRY(CASE WHEN json_type(json, path) NOT IN ('OBJECT', 'ARRAY')
        THEN json_extract_string(json, path) END);
CREATE MACRO array_of(json) AS CASE
    WHEN json_type(json) = 'ARRAY' THEN json_extract(json, '$[*]') END;
CREATE MACRO json_format(json) AS CAST(json AS VARCHAR);
CREATE MACRO regexp_like(text, expression) AS regexp_matches(text, expression);
"""

_LITERAL = re.compile(r"((?:U&)?'(?:[^']|'')*')")
_NUMBERED = re.compile(r"\\(\\|[0-9A-F]{4}|\+[0-9A-F]{6})")
_BRACKETED = re.compile(r"\[(\"[^\"]*\")\]")


class MissingError(RuntimeError):
    """DuckDB is not there."""


def spelled(statement: str) -> str:
    """A statement of Trino's as DuckDB spells it, as far as ctwatch's go."""
    pieces = _LITERAL.split(statement)
    return "".join(_said_again(one) if at % 2 else _words(one) for at, one in enumerate(pieces))


def _words(piece: str) -> str:
    piece = re.sub(r"\b([xyz]\d*) ->", r"lambda \1:", piece)
    piece = piece.replace("TRY_CAST(json_extract(", "array_of(json_extract(")
    piece = piece.replace(" AS ARRAY(JSON))", ")")
    piece = re.sub(r"\belement_at\((\w+), 1\)", r"(list_extract(\1, 1))", piece)
    return re.sub(r"\bjson_extract\(", "trino_extract(", piece)


def _said_again(literal: str) -> str:
    if literal.startswith("'$["):
        return _BRACKETED.sub(r".\1", literal)
    if not literal.startswith("U&"):
        return literal
    pieces = _NUMBERED.split(literal[3:-1])
    parts = [f"chr({_code(one)})" if at % 2 else f"'{one}'" for at, one in enumerate(pieces)]
    return f"({' || '.join(parts)})"


def _code(number: str) -> int:
    return ord("\\") if number == "\\" else int(number.removeprefix("+"), 16)


def connect() -> Any:
    """A database in memory that knows what Trino knows.

    Raises:
        MissingError: DuckDB is not installed.
    """
    try:
        duckdb = importlib.import_module("duckdb")
    except ImportError:
        raise MissingError from None
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(_MACROS)
    return connection


def lay(
    connection: Any,
    table: str,
    columns: Mapping[str, str],
    partitions: Sequence[str],
    records: Iterable[tuple[Mapping[str, Any], Sequence[str]]],
) -> None:
    """Make a table of records.

    Args:
        connection: of `connect`.
        table: its name.
        columns: their types, as Hive's DDL writes them.
        partitions: the names of the partition's columns.
        records: each with the values of these.
    """
    types = {name.lower(): parsed(one) for name, one in columns.items()}
    kinds = {**{name: _kind(one) for name, one in types.items()}, **dict.fromkeys(partitions, TEXT)}
    listed = ", ".join(f"'{name}': '{kind}'" for name, kind in kinds.items())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.json")
        with file.open("w", encoding="utf-8") as rows:
            for record, values in records:
                row = {**_fields(types, record), **dict(zip(partitions, values, strict=True))}
                rows.write(json.dumps(row) + "\n")
        connection.execute(
            f"CREATE TABLE {table} AS SELECT * FROM "  # noqa: S608 - the sandbox's own words
            f"read_json('{file}', format='newline_delimited', columns={{{listed}}})"
        )


TEXT = "VARCHAR"

Type: TypeAlias = "str | list[Any] | dict[str, Any]"
"""A string; an array of one type; a struct's fields."""

_TOKEN = re.compile(r"\s*(\w+|[<>:,])")


def parsed(text: str) -> Type:
    """A type of Hive's: STRING, ARRAY<…> or STRUCT<name: type, …>.

    Raises:
        ValueError: it is another.
    """
    found, rest = _read(_TOKEN.findall(text.lower()))
    if rest:
        raise ValueError(text)
    return found


def _read(words: list[str]) -> tuple[Type, list[str]]:
    kind, *rest = words or [""]
    if kind == "array":
        inner, rest = _read(rest[1:])
        return [inner], rest[1:]
    if kind == "struct":
        fields: dict[str, Any] = {}
        while rest and rest[0] != ">":
            fields[rest[1]], rest = _read(rest[3:])
        return fields, rest[1:]
    if kind != "string":
        raise ValueError(kind)
    return kind, rest


def _kind(one: Type) -> str:
    if isinstance(one, dict):
        return f"STRUCT({', '.join(f'{name} {_kind(each)}' for name, each in one.items())})"
    return f"{_kind(one[0])}[]" if isinstance(one, list) else TEXT


def _fields(types: Mapping[str, Type], found: Mapping[str, Any]) -> dict[str, Any]:
    """An object as the SerDe reads it: its fields by their names in any case."""
    lower = {key.lower(): value for key, value in found.items()}
    return {name: _cell(one, lower.get(name)) for name, one in types.items()}


def _cell(one: Type, value: Any) -> Any:
    """What a column holds; in one of strings, whatever is none stands as its JSON."""
    if value is None:
        return None
    if isinstance(one, dict):
        return _fields(one, value) if isinstance(value, Mapping) else None
    if isinstance(one, list):
        return [_cell(one[0], each) for each in value] if isinstance(value, list) else None
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
