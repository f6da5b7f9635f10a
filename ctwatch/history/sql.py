"""What is asked of the past, as SQL for Athena: engine version 3, which speaks Trino's.

    Question ─ pattern ─ ways ─┬─ field of the table ── text, flag ──> =, IN, LIKE, regexp_like
                               ├─ field of its JSON ───────────────> any_match over json_extract
                               └─ envelope ── source, detail-type ──> eventsource, eventtype
             ─ conditions ───────────────────────────────────────────────> AND …

A `Clause` never loses a match. Where SQL cannot say it exactly, it is weaker and `finished` says
why: whoever gets the rows asks the engine here again. `unknown` names what the table does not hold
at all, so that nobody can answer from it.

A field of JSON is looked for as EventBridge does it, through every array on its way; conditions in
the same array are on the same element, which nested `any_match` says exactly. The one thing left
out is an array right within an array, and a key with a dot that spells a path: a clause lets every
such row through. Nothing but the literals comes from a pattern, and `literal` writes each of them.

    https://docs.aws.amazon.com/athena/latest/ug/engine-versions-reference-0003.html
    https://trino.io/docs/current/functions/json.html
    https://trino.io/docs/current/language/types.html

Pure.
"""

import ipaddress
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ctwatch import patterns
from ctwatch.history.events import DETAIL_TYPES, INSIGHT_SOURCE, detail_type
from ctwatch.history.questions import Between, Column, Condition, Outside, Question, Within, Written
from ctwatch.history.table import BY_PATH, INNER, NULLABLE, RESOURCE, Held
from ctwatch.patterns import Asked

_TRUE, _FALSE = "TRUE", "FALSE"


@dataclass(frozen=True)
class Clause:
    """A condition in SQL, and what is left to do where it cannot say all.

    Attributes:
        text: SQL that is true, false or NULL; it binds as tight as AND, so only OR needs brackets.
        finished: why rows must be asked again, in words; none when the clause is exact.
        unknown: fields asked about that the table does not hold, as patterns name them.
    """

    text: str
    finished: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the rows that it lets through are those that match, and no more."""
        return not (self.finished or self.unknown)


ALL, NONE = Clause(_TRUE), Clause(_FALSE)


def both(clauses: Iterable[Clause]) -> Clause:
    """All of them."""
    given = list(dict.fromkeys(clauses))
    if NONE.text in (texts := [one.text for one in given]):
        return NONE
    told = [text for text in dict.fromkeys(texts) if text != _TRUE]
    return _noted(" AND ".join(told) or _TRUE, given)


def either(clauses: Iterable[Clause]) -> Clause:
    """Any of them; in brackets where there are several."""
    given = [one for one in dict.fromkeys(clauses) if one.text != _FALSE]
    texts = list(dict.fromkeys(one.text for one in given))
    if _TRUE in texts:
        return _noted(_TRUE, given)
    return _noted(f"({' OR '.join(texts)})" if len(texts) > 1 else "".join(texts) or _FALSE, given)


def _noted(text: str, given: Sequence[Clause]) -> Clause:
    finished = dict.fromkeys(note for one in given for note in one.finished)
    unknown = dict.fromkeys(name for one in given for name in one.unknown)
    return Clause(text, tuple(finished), tuple(unknown))


# -------------------------------------------------------------------------------- literals


class _UnsayableError(ValueError):
    """Half a surrogate pair: no text that a query can hold."""


def literal(text: str) -> str:
    """A string in SQL; what does not print is written as its number.

    https://trino.io/docs/current/language/types.html#varchar
    """
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise _UnsayableError
    quoted = text.replace("'", "''")
    if text.isprintable():
        return f"'{quoted}'"
    return f"U&'{''.join(map(_numbered, quoted))}'"


_BEYOND = 0xFFFF


def _numbered(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    number = ord(char)
    return f"\\{number:04X}" if number <= _BEYOND else f"\\+{number:06X}"


def _number(value: float) -> str:
    """A number as a DOUBLE, which a DECIMAL would not be."""
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(map(literal, words))


def _equal(left: str, words: Sequence[str]) -> str:
    if len(words) == 1:
        return f"{left} = {literal(words[0])}"
    return f"{left} IN ({_listed(words)})"


def _unequal(left: str, words: Sequence[str]) -> str:
    if len(words) == 1:
        return f"{left} <> {literal(words[0])}"
    return f"{left} NOT IN ({_listed(words)})"


def _like(left: str, *parts: str) -> str:
    """Like literal stretches with anything between."""
    escaped = [re.sub(r"([\\%_])", r"\\\1", one) for one in parts]
    escape = r" ESCAPE '\'" if any(map(str.__ne__, parts, escaped)) else ""
    return f"{left} LIKE {literal('%'.join(escaped))}{escape}"


def _caseless(text: str) -> str:
    """A regular expression for a text in any case, letter by letter as EventBridge does it."""
    return "".join(map(_any_case, text))


def _any_case(char: str) -> str:
    cases = [_plain(one) for one in dict.fromkeys((char.lower(), char.upper()))]
    if len(cases) == 1:
        return cases[0]
    return f"[{''.join(cases)}]" if char.isascii() else f"(?:{'|'.join(cases)})"


def _plain(text: str) -> str:
    return re.sub(r"([\\.^$|?*+()\[\]{}])", r"\\\1", text)


# ------------------------------------------------------------- one scalar, and what is asked


@dataclass(frozen=True)
class _Place:
    """Where SQL finds a scalar.

    Attributes:
        text: its string.
        there: SQL for whether there is a scalar.
        null: SQL for whether that is null.
        json: its JSON; "" where it can only be a string.
    """

    text: str
    there: str
    null: str = _FALSE
    json: str = ""

    @property
    def is_string(self) -> str:
        """SQL for whether the scalar is a string; "" where it can be nothing else."""
        return f"""{self.json} LIKE '"%'""" if self.json else ""


_LONE = "half a surrogate pair, which no query can hold"
_ADDRESSES = "addresses, which can be spelled in several ways"
_PLACES = "numbers of at most six places"
_LARGE = "a number too large or too fine to be compared"


def _fits(place: _Place, values: Iterable[Any]) -> Clause:
    """Whether the scalar at a place is one of the alternatives."""
    words: list[str] = []
    others: list[Any] = []
    for value in values:
        if isinstance(value, str) and patterns.address_of(value) is None:
            words.append(value)
        else:
            others.append(value)
    return either([*_words(place, words), *(_alternative(place, one) for one in others)])


def _words(place: _Place, words: Sequence[str]) -> Iterable[Clause]:
    sayable = [one for one in words if _sayable(one)]
    if len(sayable) < len(words):
        yield Clause(place.there, (_LONE,))
    if sayable:
        yield Clause(_string(place, _equal(place.text, sayable), *sayable))


def _sayable(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


_OF_OTHERS = frozenset("+-.0123456789eEtrufals")


def _string(place: _Place, said: str, *words: str) -> str:
    """What is said of a string; of a number or a flag it must not be true by chance."""
    unlike = all(set(word) - _OF_OTHERS for word in words)
    return said if unlike or not place.json else f"{place.is_string} AND {said}"


def _alternative(place: _Place, value: Any) -> Clause:
    if value is None:
        return Clause(place.null)
    if isinstance(value, str):
        return Clause(_string(place, _same_address(place.text, value)), (_ADDRESSES,))
    if isinstance(value, dict):
        return _operator(place, *next(iter(value.items())))
    if not place.json:
        return NONE  # a number or a flag where only strings are
    if isinstance(value, bool):
        return Clause(f"{place.json} = '{str(value).lower()}'")
    return _same_number(place, value)


def _operator(place: _Place, operator: str, operand: Any) -> Clause:
    if operator == "exists":
        return Clause(place.there) if operand else NONE
    if operator == "anything-but":
        return _anything_but(place, operand)
    if operator == "numeric":
        return _numeric(place, operand) if place.json else NONE
    return _like_operand(place, operator, operand)


def _like_operand(place: _Place, operator: str, operand: Any) -> Clause:
    """What only a string can be like."""
    if operator == "cidr":
        return Clause(_string(place, _in_network(place.text, operand)), (_ADDRESSES,))
    word = operand if isinstance(operand, str) else operand["equals-ignore-case"]
    if not _sayable(word):
        return Clause(place.there, (_LONE,))
    sure = "".join(patterns.wildcard_parts(word)) if operator == "wildcard" else word
    return Clause(_string(place, _STRINGS[operator](place.text, operand), sure))


def _starts(text: str, operand: Any) -> str:
    if isinstance(operand, str):
        return _like(text, operand, "")
    return _matching(text, rf"\A{_caseless(operand['equals-ignore-case'])}")


def _ends(text: str, operand: Any) -> str:
    if isinstance(operand, str):
        return _like(text, "", operand)
    return _matching(text, rf"{_caseless(operand['equals-ignore-case'])}\z")


def _matching(text: str, expression: str) -> str:
    return f"regexp_like({text}, {literal(expression)})"


_STRINGS: Mapping[str, Callable[[str, Any], str]] = {
    "exactly": lambda text, operand: _equal(text, [operand]),
    "equals-ignore-case": lambda text, operand: _matching(text, rf"\A{_caseless(operand)}\z"),
    "prefix": _starts,
    "suffix": _ends,
    "wildcard": lambda text, operand: _like(text, *patterns.wildcard_parts(operand)),
}


def _same_number(place: _Place, value: float) -> Clause:
    if patterns.comparable(value):
        return Clause(f"TRY_CAST({place.json} AS DOUBLE) = {_number(value)}")
    if isinstance(value, int):  # account ids, say: as they are written
        return Clause(f"{place.json} = '{value}'")
    return Clause(f"TRY_CAST({place.json} AS DOUBLE) = {_number(value)}", (_LARGE,))


_MOST = 5_000_000_000


def _numeric(place: _Place, terms: Sequence[Any]) -> Clause:
    number = f"TRY_CAST({place.json} AS DOUBLE)"
    compared = [
        f"{number} {operator} {_number(bound)}"
        for operator, bound in zip(terms[::2], terms[1::2], strict=True)
    ]
    within = f"{number} BETWEEN {_number(-_MOST)} AND {_number(_MOST)}"
    return Clause(" AND ".join([within, *compared]), (_PLACES,))


def _anything_but(place: _Place, operand: Any) -> Clause:
    """Any scalar, null too, but not what is named."""
    plain = [operand] if isinstance(operand, str) else operand
    if not place.json and isinstance(plain, list) and all(map(_is_sayable, plain)):
        return Clause(_or_null(place, _unequal(place.text, plain)))
    named = _named(place, operand)
    if not named:
        return Clause(place.there)
    if not place.json:
        known = " AND ".join(f"NOT {one}" for one in named)
        return Clause(_or_null(place, known))
    # What is said of a string is NULL of null, and so must be false.
    return Clause(
        " AND ".join([place.there, *(f"NOT COALESCE({one}, FALSE)" for one in named)]),
    )


def _or_null(place: _Place, said: str) -> str:
    return said if place.null == _FALSE else f"({place.null} OR {said})"


def _is_sayable(value: Any) -> bool:
    return isinstance(value, str) and _sayable(value)


def _named(place: _Place, operand: Any) -> list[str]:
    """What a scalar must not be; half a surrogate pair it cannot be."""
    name, given = next(iter(operand.items())) if isinstance(operand, dict) else ("", operand)
    values = given if isinstance(given, list) else [given]
    words = [one for one in values if isinstance(one, str) and _sayable(one)]
    if name:
        return [_quite_a_string(place, _STRINGS[name](place.text, one)) for one in words]
    if words:
        return [_quite_a_string(place, _equal(place.text, words))]
    numbers = ", ".join(_number(one) for one in values if not isinstance(one, str))
    return [f"TRY_CAST({place.json} AS DOUBLE) IN ({numbers})"] if place.json and numbers else []


def _quite_a_string(place: _Place, said: str) -> str:
    return f"{place.is_string} AND {said}" if place.json else said


# ------------------------------------------------------------------------------ addresses

_V6_LIKE = r"\A[0-9a-fA-F:]*:[0-9a-fA-F:]*\z"
_MAPPED = r"[0:]+[fF]{4}:[0-9a-fA-F:]+"


def _same_address(text: str, value: str) -> str:
    """IPv4 with or without leading zeros, or mapped into IPv6; IPv6 however it is spelled."""
    address = patterns.address_of(value)
    if isinstance(address, ipaddress.IPv4Address):
        parts = (rf"0*{part}" for part in str(address).split("."))
        return _matching(text, rf"\A(?:{'[.]'.join(parts)}|{_MAPPED})\z")
    return _matching(text, _V6_LIKE)


_BITS = 8


def _in_network(text: str, operand: str) -> str:
    """As much of a network as whole numbers between dots say."""
    place, bits = operand.split("/")
    address = patterns.address_of(place)
    if not isinstance(address, ipaddress.IPv4Address):
        return _matching(text, _V6_LIKE)
    network = ipaddress.IPv4Network((address, int(bits)), strict=False)
    whole = str(network.network_address).split(".")[: network.prefixlen // _BITS]
    parts = [rf"0*{part}" for part in whole] + ["[0-9]+"] * (4 - len(whole))
    return _matching(text, rf"\A(?:{'[.]'.join(parts)}|{_MAPPED})\z")


# ------------------------------------------------------------- one field, where it stands


_SIGNER = ".amazonaws.com"
_SPELLED = (
    f"(CASE WHEN eventtype = 'AwsCloudTrailInsight' THEN '{INSIGHT_SOURCE}' "
    "WHEN eventsource IS NULL THEN '' "
    rf"ELSE 'aws.' || regexp_replace(eventsource, '[.]amazonaws[.]com\z', '') END)"
)


def _constant(asked: Asked, *scalars: Any) -> Clause:
    """What is known beforehand, as of a field that no record has or that is always the same."""
    fits = any(map(asked.test, scalars)) or (asked.absent and not scalars)
    return ALL if fits else NONE


def _source(asked: Asked) -> Clause:
    """`source` goes by eventSource, which people know."""
    words = [one for one in asked.values if isinstance(one, str) and one.startswith("aws.")]
    if len(words) < len(asked.values) or not all(map(_sayable, words)):
        return _fits(_Place(_SPELLED, _TRUE), asked.values)
    signers = [
        spelled
        for one in (word.removeprefix("aws.") for word in words)
        for spelled in ((one + _SIGNER,) if one.endswith(_SIGNER) else (one + _SIGNER, one))
    ]
    insight = [Clause("eventtype = 'AwsCloudTrailInsight'")] if INSIGHT_SOURCE in words else []
    return either([Clause(_equal("eventsource", signers)), *insight])


def _detail_type(asked: Asked) -> Clause:
    """`detail-type` goes by eventType; what that says nothing of is a call."""
    fitting = [kind for kind, said in DETAIL_TYPES.items() if asked.test(said)]
    others = [kind for kind in DETAIL_TYPES if kind not in fitting]
    if asked.test(detail_type({})):
        left_out = f"COALESCE(eventtype, '') NOT IN ({_listed(others)})"
        return Clause(left_out) if others else ALL
    return Clause(_equal("eventtype", fitting)) if fitting else NONE


def _envelope(asked: Asked) -> Clause:
    """A field round `detail`, as `events.event` writes them."""
    nullable = {"account": "recipientaccountid", "time": "eventtime", "region": "awsregion"}
    if asked.path == "source":
        return _source(asked)
    if asked.path == "detail-type":
        return _detail_type(asked)
    if asked.path == "version":
        return _constant(asked, "0")
    if column := nullable.get(asked.path):
        return _fits(_Place(column, _TRUE, f"{column} IS NULL"), asked.values)
    return _constant(asked)


def _text(name: str, asked: Asked) -> Clause:
    """A column, or a field of a struct, that holds a string or NULL."""
    missing = [Clause(f"{name} IS NULL")] if asked.absent else []
    return either([_fits(_Place(name, f"{name} IS NOT NULL"), asked.values), *missing])


def _flag(name: str, asked: Asked) -> Clause:
    words = [word for word, value in (("true", True), ("false", False)) if asked.test(value)]
    missing = [Clause(f"{name} IS NULL")] if asked.absent else []
    return either([*([Clause(_equal(name, words))] if words else []), *missing])


_WHOLE = "a field that holds JSON, as a whole"


def _whole(held: Held, asked: Asked) -> Clause:
    """A column of JSON by itself, of which only null and objects are sure to be known."""
    name, nullable = held.sql, held.path[0] in NULLABLE
    null, other = f"{name} IS NULL", f"{name} NOT LIKE '{{%'"
    if nullable and asked.values == (None,):
        return Clause(null)
    if asked.absent:
        return Clause(_TRUE, (_WHOLE,))
    return Clause(f"({null} OR {other})" if nullable else other, (_WHOLE,))


# ------------------------------------------------------------------ fields in JSON, in arrays

_Way: TypeAlias = tuple[tuple[str, ...], Asked]
"""What is left of a field's path, and what is asked of it."""

_NAMES = "xyz"
_EASY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHARED = "fields that an array's elements may lack"
_KEYS = "a field's name that no JSON path can hold"


@dataclass(frozen=True)
class _Node:
    """A value on the way to a field.

    Attributes:
        sql: it, or an array of it.
        depth: how many arrays' elements have a name already.
        struct: whether it is an array of structs and not JSON.
    """

    sql: str
    depth: int = 0
    struct: bool = False

    @property
    def items(self) -> str:
        """It as an array: of one, where it is none."""
        if self.struct:
            return self.sql
        return f"COALESCE(TRY_CAST({self.sql} AS ARRAY(JSON)), ARRAY[{self.sql}])"

    @property
    def name(self) -> str:
        """What one of its elements is called."""
        beyond, letter = divmod(self.depth, len(_NAMES))
        return _NAMES[letter] + (str(beyond) if beyond else "")

    def any(self, said: Clause) -> Clause:
        """Whether that is said of any element, whose name it uses."""
        if said.text in {_TRUE, _FALSE}:
            return said
        return replace(said, text=f"any_match({self.items}, {self.name} -> {said.text})")

    def below(self, key: str) -> "_Node":
        """What an element has under a key."""
        if self.struct:
            return _Node(f"{self.name}.{key.lower()}", self.depth + 1)
        return _Node(_extracted(self.name, key), self.depth + 1)

    @property
    def place(self) -> _Place:
        """An element as a scalar."""
        json = f"json_format({self.name})"
        return _Place(
            f"json_extract_scalar({self.name}, '$')",
            f"{json} NOT LIKE '{{%'",
            f"{json} = 'null'",
            json,
        )


def _extracted(sql: str, key: str) -> str:
    path = f"$.{key}" if _EASY.fullmatch(key) else f'$["{key}"]'
    return f"json_extract({sql}, {literal(path)})"


def _in_json(held: Held, ways: Sequence[_Way]) -> Clause:
    """All that one way through a pattern asks of the fields of one column of JSON."""
    if any('"' in key or "\\" in key or not key.isprintable() for keys, _ in ways for key in keys):
        return Clause(_TRUE, (_KEYS,))
    clauses = []
    for key, below in _by_key(ways).items():
        clauses.append(_group(_Node(_extracted(held.sql, key)), below))
    said = both(clauses)
    if said.text in {_TRUE, _FALSE}:
        return said
    return replace(said, text=f"({said.text} OR {_matching(held.sql, _strange(ways))})")


def _strange(ways: Sequence[_Way]) -> str:
    """An array right within an array, or a key that spells a path, so that `any_match` errs."""
    joined = {".".join(pair) for keys, _ in ways for pair in itertools.pairwise(keys)}
    return "|".join([r"(?:\A|[\[,])\s*\[", *sorted(map(_plain, joined))])


def _by_key(ways: Sequence[_Way]) -> dict[str, list[_Way]]:
    """The ways by the next step that they take."""
    groups: dict[str, list[_Way]] = {}
    for (key, *left), asked in ways:
        groups.setdefault(key, []).append((tuple(left), asked))
    return groups


def _group(node: _Node, ways: Sequence[_Way]) -> Clause:
    """What is asked of the fields below one value: of the same element, where that is an array."""
    if len(ways) == 1:
        return _alone(node, ways[0])
    inner = []
    for keys, asked in ways:
        if not keys:
            inner.append(_alone(node, ((), asked)))
    deeper = [way for way in ways if way[0]]
    same = node.any(both(_group(node.below(key), one) for key, one in _by_key(deeper).items()))
    if all(asked.absent for _, asked in deeper):
        same = either([same, both(_nowhere(node, keys) for keys, _ in deeper)])
    said = both([*inner, same])
    if any(asked.absent for _, asked in ways):
        return replace(said, finished=(*said.finished, _SHARED))
    return said


def _alone(node: _Node, way: _Way) -> Clause:
    keys, asked = way
    found = _chain(node, keys, lambda place: _fits(place, asked.values))
    return either([found, _nowhere(node, keys)]) if asked.absent else found


def _chain(node: _Node, keys: tuple[str, ...], said: Callable[[_Place], Clause]) -> Clause:
    """Whether that is said of any scalar at the end of these keys."""
    if keys:
        return node.any(_chain(node.below(keys[0]), keys[1:], said))
    return node.any(said(node.place))


def _nowhere(node: _Node, keys: tuple[str, ...]) -> Clause:
    found = _chain(node, keys, lambda place: Clause(place.there))
    return Clause(f"NOT COALESCE({found.text}, FALSE)")


def _in_resources(ways: Sequence[_Way]) -> Clause:
    """`resources`, an array of structs of strings."""
    known = [(keys[0], asked) for keys, asked in ways if len(keys) == 1 and keys[0] in RESOURCE]
    others = [asked for keys, asked in ways if len(keys) != 1 or keys[0] not in RESOURCE]
    return both([*map(_constant, others), _in_structs(known)])


def _in_structs(known: Sequence[tuple[str, Asked]]) -> Clause:
    node = _Node("resources", struct=True)
    places = [_struct_place(f"{node.name}.{key.lower()}") for key, _ in known]
    fitting = [_fits(place, asked.values) for place, (_, asked) in zip(places, known, strict=True)]
    if len(known) == 1 and known[0][1].absent:
        there = node.any(Clause(places[0].there))
        return either([node.any(fitting[0]), Clause(f"NOT COALESCE({there.text}, FALSE)")])
    sure = [one for one, (_, asked) in zip(fitting, known, strict=True) if not asked.absent]
    said = node.any(both(sure))
    return said if len(sure) == len(known) else replace(said, finished=(*said.finished, _SHARED))


def _struct_place(name: str) -> _Place:
    return _Place(name, f"{name} IS NOT NULL")


# ---------------------------------------------------------------------- whole patterns


def where(pattern: Mapping[str, Any] | str) -> Clause:
    """An event pattern as a condition on the rows of the table.

    Raises:
        PatternError: AWS would refuse the pattern.
    """
    branches = [_branch(way) for way in patterns.ways(pattern)]
    possible = [one for one in branches if both(one) != NONE]
    if not possible:
        return NONE
    first, *others = possible
    shared = [one for one in first if all(one in other for other in others)]
    own = [both(one for one in branch if one not in shared) for branch in possible]
    return both([*shared, either(own)])


def _branch(way: Sequence[Asked]) -> list[Clause]:
    """What one way through a pattern asks; the envelope's own fields first."""
    envelope = [_envelope(one) for one in way if not one.path.startswith("detail.")]
    fields: dict[str, list[_Way]] = {}
    for one in way:
        top, *below = one.path.split(".")
        if top == "detail" and below:
            fields.setdefault(below[0], []).append((tuple(below[1:]), one))
    return [*envelope, *(clause for top, ways in fields.items() for clause in _field(top, ways))]


def _field(top: str, ways: Sequence[_Way]) -> Iterable[Clause]:
    """What is asked of a field of the record and of all below it."""
    held = BY_PATH.get((top,))
    if held is None or held.kind in {"text", "flag"}:
        yield from (_in_columns((top, *keys), asked) for keys, asked in ways)
    elif held.kind == "list":
        yield _in_resources(ways)
    else:
        yield from (_whole(held, asked) for keys, asked in ways if not keys)
        if deeper := [way for way in ways if way[0]]:
            yield _in_json(held, deeper)


def _in_columns(path: tuple[str, ...], asked: Asked) -> Clause:
    held = BY_PATH.get(path)
    if held is not None:
        return _flag(held.sql, asked) if held.kind == "flag" else _text(held.sql, asked)
    if path in INNER or any(path[:length] in BY_PATH for length in range(1, len(path))):
        return _constant(asked)  # an object, or below a string: no scalar is there
    return Clause(_TRUE, unknown=(".".join(("detail", *path)),))


# -------------------------------------------------------------------------- conditions


def condition(one: Condition) -> Clause:
    """What no pattern can say; see the classes in `questions` for what each means."""
    if isinstance(one, Between):
        since, until = literal(one.since), literal(one.until)
        return Clause(f"eventtime >= {since} AND eventtime < {until}")
    if isinstance(one, Within):
        return Clause(_equal("awsregion", one.regions)) if one.regions else NONE
    if isinstance(one, Written):
        return Clause("(COALESCE(readonly, '') <> 'true' OR managementevent = 'false')")
    if isinstance(one, Outside):
        return _outside(one.networks)
    return Clause(_TRUE, (type(one).__name__,))


_DOTTED = r"[0-9]{1,3}"
_LIKE_ADDRESS = rf"\A(?:{_DOTTED}(?:[.]{_DOTTED}){{3}}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:%.*)?)\z"


def _outside(networks: Sequence[str]) -> Clause:
    """Like an address, and in none of the IPv4 networks; IPv6 is left to the engine here."""
    known = [ipaddress.ip_network(one) for one in networks]
    inside = [_range(one) for one in known if isinstance(one, ipaddress.IPv4Network)]
    like = Clause(_matching("sourceipaddress", _LIKE_ADDRESS), (_ADDRESSES,))
    if not inside:
        return like
    within = _matching("sourceipaddress", rf"\A(?:{'|'.join(inside)})\z")
    return both([like, Clause(f"NOT {within}")])


def _range(network: ipaddress.IPv4Network) -> str:
    """The addresses of a network, written without leading zeros."""
    first, last = (str(network[at]).split(".") for at in (0, -1))
    return "[.]".join(map(_numbers, first, last))


def _numbers(first: str, last: str) -> str:
    if first == last:
        return first
    if (first, last) == ("0", "255"):
        return _DOTTED
    return f"(?:{'|'.join(map(str, range(int(first), int(last) + 1)))})"


# --------------------------------------------------------------------------- questions


def asked(question: Question) -> Clause:
    """A question as a condition on the rows of the table."""
    return both([where(question.pattern), *map(condition, question.conditions)])


def any_asked(questions: Iterable[Question]) -> Clause:
    """What any of the questions asks for: the rows that they all can be answered from."""
    return either(map(_bracketed, map(asked, questions)))


def _bracketed(clause: Clause) -> Clause:
    """For one of several between ORs, where people look for brackets."""
    return replace(clause, text=f"({clause.text})") if " AND " in clause.text else clause


def told(column: Column) -> str:
    """What a column of an answer tells, in SQL: the first of its fields that is there."""
    found = [text for path in column.paths for text in _told(path.split("."))]
    comma = ",\n  " if len(found) > _FEW else ", "
    return f"COALESCE({comma.join([*found, literal('')])})"


_FEW = 2
"""Fields that people read on one line."""


def _told(path: Sequence[str]) -> Iterable[str]:
    held = BY_PATH.get(tuple(path))
    if held is not None and held.kind in {"text", "flag"}:
        yield held.sql
        return
    top = BY_PATH.get((path[0],))
    if top is not None and top.kind == "list":  # beyond its end there is NULL, and no error
        yield f"element_at({top.sql}, 1).{path[2].lower()}"
    elif top is not None and top.kind == "json":
        steps = "".join("[0]" if key == "0" else f".{key}" for key in path[1:])
        yield f"json_extract_scalar({top.sql}, {literal(f'${steps}')})"
