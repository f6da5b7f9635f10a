"""EventBridge event patterns: what AWS would refuse, and what a rule would match.

The road of a pattern, in the order of this file:

    text or mapping ─ freeze ─> JSON values, duplicate keys kept
                    ─ branches ─> [{path: Field}], one dict per way through the `$or`s
                    ─ Pattern ─> closures that answer most events by dictionary look-ups alone,
                                 and join array elements only where arrays of objects are met

The last chapter writes patterns: shorter ones that together match what one too long would.

As in AWS's own engine, an event is seen as flat fields: "detail.eventName" names the same field
whether it is written nested or as one key with a dot. A later condition on the same path replaces
an earlier one (a duplicate key, or a field inside `$or` that also stands outside).

Pure: reads nothing, prints nothing, knows no service. AWS's words for it all:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
https://github.com/aws/event-ruler (the open-source engine behind it)
"""

import functools
import ipaddress
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from ctwatch.errors import ConfigError

MAX_SIZE = 2048
"""Characters in a rule's event pattern by default; the quota can be raised.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
"""

MAX_COMBINATIONS = 1000
"""Ways through all the `$or`s of one pattern that EventBridge supports.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"""

MAX_DEPTH = 100
"""Levels of nesting accepted here; AWS publishes no number, and no real record comes near."""

_LIMIT = 5_000_000_000
_DECIMALS = 6

_OR = "$or"
# Words the engine keeps for itself among the field names inside `$or`, future ones included.
_RESERVED = frozenset(
    {
        *("exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists"),
        *("wildcard", "numeric", "cidr", "=", "<", "<=", ">", ">=", "regex", "not-wildcard"),
        *("not-equals-ignore-case", "date-after", "date-on-or-after", "date-before"),
        *("date-on-or-before", "in-date-range", "ip-address-in-range", "ip-address-not-in-range"),
    }
)

Test: TypeAlias = Callable[[Any], bool]
"""Whether one scalar of an event satisfies one field of a pattern."""


class PatternError(ConfigError):
    """AWS would refuse this pattern.

    Args:
        reason: why, in AWS's own words where it has some; follows "Event pattern is not valid.
            Reason: " in its InvalidEventPatternException.
        path: where, as in "detail.$or[1].eventName[0]"; "" for the pattern as a whole.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        place = f" at {path}" if path else ""
        super().__init__(
            f"The event pattern is not valid{place}: {reason}",
            "Every leaf is a list of values or of operators such as {'prefix': 'Put'}; see "
            "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html",
        )
        self.reason = reason
        self.path = path


# ---------------------------------------------------------------------- reading the pattern


class _Object(tuple[tuple[str, Any], ...]):
    """A JSON object as its members, in order, duplicates kept."""

    __slots__ = ()


def _freeze(value: Any, path: str = "", depth: int = 0) -> Any:
    """Turn `value` into `_Object`s, lists and scalars, or refuse what JSON has no form for."""
    if depth > MAX_DEPTH:
        raise PatternError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, _Object):
        return _freeze_members(value, path, depth)
    if isinstance(value, Mapping):
        return _freeze_members(value.items(), path, depth)
    if isinstance(value, list | tuple):
        return [_freeze(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
    if value is None or isinstance(value, str | int) or _finite(value):
        return value
    raise PatternError("Match value must be String, number, true, false, or null", path)


def _freeze_members(members: Iterable[tuple[Any, Any]], path: str, depth: int) -> _Object:
    frozen = []
    for key, value in members:
        if not isinstance(key, str):
            raise PatternError(f"a field name must be a string, not {key!r}", path)
        frozen.append((key, _freeze(value, _join_path(path, key), depth + 1)))
    return _Object(frozen)


def _finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _join_path(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _load(pattern: Any) -> _Object:
    """Read a pattern, given as JSON text or as a mapping."""
    if isinstance(pattern, str):
        try:
            pattern = json.loads(pattern, object_pairs_hook=_Object, parse_constant=_no_constant)
        except RecursionError:
            raise PatternError(f"nested deeper than {MAX_DEPTH} levels") from None
        except ValueError as error:
            raise PatternError(f"not JSON: {error}") from None
    frozen = _freeze(pattern)
    if not isinstance(frozen, _Object):
        raise PatternError("Filter is not an object")
    return frozen


def _text(value: Any) -> str:
    """The compact JSON of a frozen value."""
    if isinstance(value, _Object):
        return "{" + ",".join(f"{_text(key)}:{_text(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def size(pattern: Mapping[str, Any] | str) -> int:
    """Characters of the pattern as compact JSON, to be held against `MAX_SIZE`.

    Raises:
        PatternError: it is no JSON object.
    """
    return len(_text(_load(pattern)))


# ------------------------------------------------------- one alternative of a list of values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def comparable(value: Any) -> bool:
    """Whether the engine can compare this scalar as a number: +-5e9, six decimals.

    Source:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    return (
        _is_number(value)
        and -_LIMIT <= value <= _LIMIT
        and (isinstance(value, int) or round(value, _DECIMALS) == value)
    )


def _number(value: Any, path: str, complaint: str) -> int | float:
    """Return `value` if it is a number that can be compared, or refuse it."""
    if not _is_number(value):
        raise PatternError(complaint, path)
    if not -_LIMIT <= value <= _LIMIT:
        raise PatternError("Value must be between -5.0E9 and 5.0E9, inclusive", path)
    if not comparable(value):
        raise PatternError("Only values upto 6 decimals are supported", path)
    return value  # type: ignore[no-any-return]  # JSON: a number by the lines above


def _string(value: Any, path: str, complaint: str) -> str:
    if not isinstance(value, str):
        raise PatternError(complaint, path)
    return value


_V4 = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,10}){3}")
_V6 = re.compile(r"[0-9a-fA-F:]*:[0-9a-fA-F:]*")

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


@functools.lru_cache(maxsize=4096)
def address_of(text: str) -> _Address | None:
    """The IP address that `text` spells, if it does; IPv4 mapped into IPv6 is IPv4."""
    try:
        if _V4.fullmatch(text):
            return ipaddress.IPv4Address(".".join(str(int(part)) for part in text.split(".")))
        if _V6.fullmatch(text):
            address = ipaddress.IPv6Address(text)
            return address.ipv4_mapped or address
    except ValueError:
        pass
    return None


def _equals(value: Any) -> Test:
    """A bare value: equal, and of the same JSON type; 5 is 5.0, an address any spelling of it."""
    if isinstance(value, str):
        address = address_of(value)
        if address is None:
            return lambda scalar: isinstance(scalar, str) and scalar == value
        return lambda scalar: isinstance(scalar, str) and address_of(scalar) == address
    if comparable(value):
        return lambda scalar: _is_number(scalar) and scalar == value
    # None, true, false; and numbers too large to compare (account ids) match as they are written.
    kind = type(value)
    return lambda scalar: type(scalar) is kind and scalar == value


def _exactly(operand: Any, path: str) -> Test:
    text = _string(operand, path, "exact match pattern must be a string")
    return lambda scalar: isinstance(scalar, str) and scalar == text


def _caseless(text: str) -> str:
    """A regular expression for `text` in any case, character by character as the engine does."""
    return "".join(f"(?:{re.escape(char.lower())}|{re.escape(char.upper())})" for char in text)


def _ignore_case(operand: Any, path: str, start: str = r"\A", end: str = r"\Z") -> Test:
    text = _string(operand, path, "equals-ignore-case match pattern must be a string")
    search = re.compile(f"{start}{_caseless(text)}{end}").search
    return lambda scalar: isinstance(scalar, str) and search(scalar) is not None


def _only_member(operand: _Object, path: str, complaint: str) -> tuple[str, Any]:
    """The one operator of an object and its operand."""
    if not operand:
        raise PatternError("Match expression name not found", path)
    if len(operand) > 1:
        raise PatternError(complaint, path)
    return operand[0]


def _case_operand(operand: _Object, path: str, operator: str) -> Any:
    """The operand of {"prefix": {"equals-ignore-case": operand}}."""
    name, text = _only_member(operand, path, "Only one key allowed in match expression")
    if name != "equals-ignore-case":
        raise PatternError(f"Unsupported {operator} pattern: {name}", path)
    return text


def _prefix(operand: Any, path: str) -> Test:
    if isinstance(operand, _Object):
        return _ignore_case(_case_operand(operand, path, "prefix"), path, end="")
    text = _string(operand, path, "prefix match pattern must be a string")
    return lambda scalar: isinstance(scalar, str) and scalar.startswith(text)


def _suffix(operand: Any, path: str) -> Test:
    if isinstance(operand, _Object):
        return _ignore_case(_case_operand(operand, path, "suffix"), path, start="")
    text = _string(operand, path, "suffix match pattern must be a string")
    return lambda scalar: isinstance(scalar, str) and scalar.endswith(text)


def wildcard_parts(text: str, path: str = "") -> list[str]:
    """The literal stretches between the wildcards, escapes resolved."""
    parts = [""]
    at = 0
    while at < len(text):
        char, following = text[at], text[at + 1 : at + 2]
        if char == "*" and following == "*":
            raise PatternError(f"Consecutive wildcard characters at pos {at + 1}", path)
        if char == "\\" and following not in {"*", "\\"}:
            raise PatternError(f"Invalid escape character at pos {at + 1}", path)
        if char == "*":
            parts.append("")
        else:
            at += char == "\\"
            parts[-1] += text[at]
        at += 1
    return parts


def _wildcard(operand: Any, path: str) -> Test:
    """Stretch by stretch, leftmost first: linear, where a regular expression could backtrack."""
    text = _string(operand, path, "wildcard match pattern must be a string")
    first, *between = wildcard_parts(text, path)
    if not between:
        return lambda scalar: isinstance(scalar, str) and scalar == first
    *between, last = between

    def test(scalar: Any) -> bool:
        if not (isinstance(scalar, str) and scalar.startswith(first)):
            return False
        at = len(first)
        for part in between:
            found = scalar.find(part, at)
            if found < 0:
                return False
            at = found + len(part)
        return len(scalar) - at >= len(last) and scalar.endswith(last)

    return test


def _cidr(operand: Any, path: str) -> Test:
    network = _network(_string(operand, path, "prefix match pattern must be a string"), path)

    def test(scalar: Any) -> bool:
        address = address_of(scalar) if isinstance(scalar, str) else None
        return address is not None and address.version == network.version and address in network

    return test


def _network(text: str, path: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The addresses of a CIDR; host bits are allowed, a mask that leaves one address is not."""
    place, *masks = text.split("/")
    if len(masks) != 1:
        raise PatternError("Malformed CIDR, one '/' required", path)
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", masks[0]):
        raise PatternError("Malformed CIDR, mask bits must be an integer", path)
    bits, address = int(masks[0]), address_of(place)
    if bits < 0:
        raise PatternError("Malformed CIDR, mask bits must not be negative", path)
    if address is None:
        raise PatternError(f"Nonstandard IP address: {place}", path)
    if bits >= address.max_prefixlen:
        raise PatternError(
            f"IPv{address.version} mask bits must be < {address.max_prefixlen}", path
        )
    return ipaddress.ip_network((address, bits), strict=False)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}
_COMPARISON_TERMS = 2
_RANGE_TERMS = 4


def _numeric(operand: Any, path: str) -> Test:
    """One comparison, or a range: lower bound first, then the upper one."""
    if not isinstance(operand, list):
        raise PatternError("Value of numeric must be an array.", path)
    operator, bound = _comparison(operand, path)
    compare = _COMPARISONS[operator]
    if len(operand) == _COMPARISON_TERMS:
        if (operator, bound) in {("<", -_LIMIT), ("<=", -_LIMIT), (">", _LIMIT), (">=", _LIMIT)}:
            raise PatternError("Bottom must be less than top", path)
        return lambda scalar: comparable(scalar) and compare(scalar, bound)
    if operator not in {">", ">="}:
        raise PatternError("Too many elements in numeric expression", path)
    upper, top = _upper_bound(operand, path)
    if bound >= top:
        raise PatternError("Bottom must be less than top", path)
    below = _COMPARISONS[upper]
    return lambda scalar: comparable(scalar) and compare(scalar, bound) and below(scalar, top)


def _comparison(terms: list[Any], path: str) -> tuple[str, int | float]:
    operator = terms[0] if terms else "]"
    if not terms or not isinstance(operator, str):
        raise PatternError(f"Invalid member in numeric match: {_text(operator)}", path)
    if operator not in _COMPARISONS:
        raise PatternError(f"Unrecognized numeric range operator: {operator}", path)
    complaint = f"Value of {'equals' if operator == '=' else operator} must be numeric"
    return operator, _number(terms[1] if len(terms) > 1 else None, path, complaint)


def _upper_bound(terms: list[Any], path: str) -> tuple[str, int | float]:
    operator = terms[2]
    if not isinstance(operator, str):
        raise PatternError(f"Bad value in numeric range: {_text(operator)}", path)
    if operator not in {"<", "<="}:
        raise PatternError(f"Bad numeric range operator: {operator}", path)
    if len(terms) > _RANGE_TERMS:
        raise PatternError("Too many terms in numeric range expression", path)
    bound = terms[3] if len(terms) == _RANGE_TERMS else None
    return operator, _number(bound, path, f"Value of {operator} must be numeric")


_NO_VALUE = "Value of anything-but must be an array or single string/number value."
_NOT_PLAIN = "Inside anything but list, start|null|boolean is not supported."
_MIXED = (
    "Inside anything but list, either all values are number or string, mixed type is not supported"
)


def _anything_but(operand: Any, path: str) -> Test:
    """True for any scalar that is there, null too, except what is named."""
    if isinstance(operand, _Object):
        return _anything_but_like(operand, path)
    if operand is None or isinstance(operand, bool):
        raise PatternError(_NO_VALUE, path)
    values = operand if isinstance(operand, list) else [operand]
    if not all(isinstance(value, str) or _is_number(value) for value in values):
        raise PatternError(_NOT_PLAIN, path)
    if len({isinstance(value, str) for value in values}) != 1:
        raise PatternError(_MIXED, path)
    if isinstance(values[0], str):
        named = frozenset(values)
        return lambda scalar: not (isinstance(scalar, str) and scalar in named)
    numbers = frozenset(_number(value, path, _NO_VALUE) for value in values)
    return lambda scalar: not (_is_number(scalar) and scalar in numbers)


_AFFIX = "prefix/suffix match pattern must be a string"
_EXCEPTIONS: dict[str, tuple[Callable[[Any, str], Test], str]] = {
    "equals-ignore-case": (
        _ignore_case,
        "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.",
    ),
    "prefix": (_prefix, _AFFIX),
    "suffix": (_suffix, _AFFIX),
    "wildcard": (_wildcard, "wildcard match pattern must be a string"),
}


def _anything_but_like(operand: _Object, path: str) -> Test:
    name, given = _only_member(operand, path, "Too many elements in numeric expression")
    if name not in _EXCEPTIONS:
        raise PatternError(f"Unsupported anything-but pattern: {name}", path)
    make, complaint = _EXCEPTIONS[name]
    if isinstance(given, _Object | bool) or given is None or given == []:
        raise PatternError(_NO_VALUE, path)
    tests = []
    for text in given if isinstance(given, list) else [given]:
        if not _string(text, path, complaint) and name in {"prefix", "suffix"}:
            raise PatternError("Null prefix/suffix not allowed", path)
        tests.append(make(text, path))
    return lambda scalar: not any(test(scalar) for test in tests)


def _present(_scalar: Any) -> bool:
    return True


def _absent(_scalar: Any) -> bool:
    """The mark of {"exists": false}: no scalar satisfies it, only the want of one."""
    return False


def _exists(operand: Any, path: str) -> Test:
    if not isinstance(operand, bool):
        raise PatternError("exists match pattern must be either true or false.", path)
    return _present if operand else _absent


_OPERATORS: dict[str, Callable[[Any, str], Test]] = {
    "anything-but": _anything_but,
    "cidr": _cidr,
    "equals-ignore-case": _ignore_case,
    "exactly": _exactly,
    "exists": _exists,
    "numeric": _numeric,
    "prefix": _prefix,
    "suffix": _suffix,
    "wildcard": _wildcard,
}


def _alternative(value: Any, path: str) -> Test:
    if isinstance(value, list):
        raise PatternError("Match value must be String, number, true, false, or null", path)
    if not isinstance(value, _Object):
        return _equals(value)
    name = value[0][0] if value else ""
    if value and name not in _OPERATORS:
        raise PatternError(f"Unrecognized match type {name}", path)
    name, operand = _only_member(value, path, "Only one key allowed in match expression")
    return _OPERATORS[name](operand, path)


# ------------------------------------------------------------------ the pattern as branches


@dataclass(frozen=True, eq=False, slots=True)
class _Field:
    """What one path of the event must hold.

    Args:
        path: names joined by dots, as the engine sees them.
        test: whether one scalar there will do.
        absent: whether the want of any scalar there will do.
        values: the alternatives as they were written, frozen.
    """

    path: str
    test: Test
    absent: bool
    values: list[Any]


_Branch: TypeAlias = dict[str, _Field]


def _field(name: str, values: list[Any], path: str) -> _Field:
    if not values:
        raise PatternError("Empty arrays are not allowed", path)
    tests = [_alternative(value, f"{path}[{i}]") for i, value in enumerate(values)]
    return _Field(name, _any_of(values, tests), _absent in tests, values)


def _any_of(values: list[Any], tests: list[Test]) -> Test:
    """One test for all alternatives: plain strings by one look into a set."""
    plain = [isinstance(value, str) and address_of(value) is None for value in values]
    strings = frozenset(value for value, easy in zip(values, plain, strict=True) if easy)
    others = tuple(test for test, easy in zip(tests, plain, strict=True) if not easy)
    if not others:
        return strings.__contains__
    if not strings and len(others) == 1:
        return others[0]
    return lambda scalar: scalar in strings or any(test(scalar) for test in others)


def _branches(
    members: _Object, so_far: list[_Branch], name: str = "", path: str = "", *, inside: bool = False
) -> list[_Branch]:
    """Add the conditions of one object to every branch; a `$or` multiplies the branches."""
    if not members:
        raise PatternError("Empty objects are not allowed", path)
    for key, value in members:
        place = _join_path(path, key)
        if key == _OR:
            so_far = _fork(value, so_far, name, place)
        elif inside and key in _RESERVED:
            raise PatternError(
                f"{key} is Ruler reserved fieldName which cannot be used inside {_OR}.", place
            )
        elif isinstance(value, _Object):
            so_far = _branches(value, so_far, f"{name}{key}.", place, inside=inside)
        elif isinstance(value, list):
            field = _field(f"{name}{key}", value, place)
            so_far = [{**branch, field.path: field} for branch in so_far]
        else:
            raise PatternError(f'"{key}" must be an object or an array', place)
    return so_far


_MIN_ALTERNATIVES = 2


def _fork(choices: Any, so_far: list[_Branch], name: str, path: str) -> list[_Branch]:
    if not isinstance(choices, list):
        raise PatternError(f"It must be an Array followed with {_OR}.", path)
    forked: list[_Branch] = []
    for i, choice in enumerate(choices):
        if not isinstance(choice, _Object):
            raise PatternError(
                f"Only JSON object is allowed in array of {_OR} relationship.", f"{path}[{i}]"
            )
        forked += _branches(choice, so_far, name, f"{path}[{i}]", inside=True)
        if len(forked) > MAX_COMBINATIONS:
            raise PatternError(f"over {MAX_COMBINATIONS} rule combinations", path)
    if len(choices) < _MIN_ALTERNATIVES:
        raise PatternError(
            f"There must have at least {_MIN_ALTERNATIVES} Objects in {_OR} relationship.", path
        )
    return forked


# -------------------------------------------------------------------- the fields of an event

_Trail: TypeAlias = tuple[str | int, ...]
_Membership: TypeAlias = tuple[tuple[_Trail, int], ...]
"""Which element of which arrays a field lies in, outermost first; an array is named by the way
to it. A scalar that is itself an element belongs to the outer arrays only, as in the engine."""

_OPAQUE = object()  # something JSON has no form for (a datetime): there, and equal to nothing


@functools.lru_cache(maxsize=4096)
def _steps(path: str) -> tuple[tuple[str, str | None], ...]:
    """The ways to take one step along `path`: (key, what is left of the path, None at its end).

    An event's own keys may hold dots, so "a.b" can be "a" then "b", or the one key "a.b".
    """
    dots = [at for at, char in enumerate(path) if char == "."]
    return (*((path[:at], path[at + 1 :]) for at in dots), (path, None))


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _found(event: Mapping[str, Any], path: str) -> list[tuple[Any, _Membership]]:
    """Every scalar of the event at `path`, however many arrays lie on the way."""
    found: list[tuple[Any, _Membership]] = []
    todo: list[tuple[Any, str | None, _Trail, _Membership]] = [(event, path, (), ())]
    while todo:
        node, rest, trail, inside = todo.pop()
        if isinstance(node, list | tuple):
            for i, item in enumerate(node):
                nested = _is_container(item)
                element = (*inside, (trail, i)) if nested else inside
                todo.append((item, rest, (*trail, i), element))
        elif isinstance(node, Mapping):
            for key, left in _steps(rest) if rest is not None else ():
                if key in node:
                    todo.append((node[key], left, (*trail, key), inside))
        elif rest is None:
            known = node is None or isinstance(node, str | int | float)
            found.append((node if known else _OPAQUE, inside))
    return found


# --------------------------------------------------------------------- quick answers, mostly

_MISSING = object()
_SCALARS = frozenset({str, int, float, bool, type(None)})

Quick: TypeAlias = Callable[[Mapping[str, Any]], bool | None]
"""Whether an event satisfies one field; None when array elements must first be joined."""


def _quick(field: _Field) -> Quick:
    """The answer from dictionary look-ups alone wherever the event is as plain as most are."""
    *way, last = field.path.split(".")
    levels, rest = [], field.path
    for step in way:
        levels.append((step, tuple(key for key, _ in _steps(rest)[1:])))
        rest = rest[len(step) + 1 :]
    test, absent = field.test, field.absent

    def quick(event: Mapping[str, Any]) -> bool | None:
        node: Any = event
        for step, joined in levels:
            for key in joined:
                if key in node:
                    return _settle(field, event)
            node = node.get(step, _MISSING)
            if node.__class__ is not dict:
                gone = node is _MISSING or node.__class__ in _SCALARS
                return absent if gone else _settle(field, event)
        value = node.get(last, _MISSING)
        if value.__class__ in _SCALARS:
            return test(value)
        return absent if value is _MISSING else _settle(field, event)

    return quick


def _settle(field: _Field, event: Mapping[str, Any]) -> bool | None:
    """The slow answer for one field alone, or None when it lies in elements of arrays."""
    found = _found(event, field.path)
    if any(inside for _, inside in found):
        return None
    return any(field.test(value) for value, _ in found) or (field.absent and not found)


# ---------------------------------------------------------- joining the elements of arrays

_State: TypeAlias = dict[_Trail, int]
_Groups: TypeAlias = dict[_Trail | None, dict[int, list[_Membership]]]


def _join(fields: tuple[_Field, ...], event: Mapping[str, Any]) -> bool:
    """Whether one choice of array elements satisfies all fields, taken in order of their paths.

    A state is a choice made so far, of only those arrays that a later field lies in: so the
    states stay few however long the arrays are.
    """
    found = [_found(event, field.path) for field in fields]
    states: list[_State] = [{}]
    for i, field in enumerate(fields):
        ahead = {trail for later in found[i + 1 :] for _, way in later for trail, _ in way}
        fitting = _group(way for value, way in found[i] if field.test(value))
        anywhere = _group(way for _, way in found[i]) if field.absent else {}
        following = {}
        for state in states:
            chosen = list(_compatible(state, fitting))
            if field.absent and next(_compatible(state, anywhere), None) is None:
                chosen.append(state)
            for choice in chosen:
                kept = {trail: at for trail, at in choice.items() if trail in ahead}
                following[frozenset(kept.items())] = kept
        states = list(following.values())
    return bool(states)


def _group(ways: Iterable[_Membership]) -> _Groups:
    """The distinct memberships by outermost array and element, so that few need a comparison."""
    groups: _Groups = {}
    for way in dict.fromkeys(ways):
        trail, at = way[0] if way else (None, 0)
        groups.setdefault(trail, {}).setdefault(at, []).append(way)
    return groups


def _compatible(state: _State, groups: _Groups) -> Iterator[_State]:
    """The state joined with each membership that chooses no other element of the same array."""
    for outer, elements in groups.items():
        if outer is not None and outer in state:
            near: Iterable[list[_Membership]] = [elements.get(state[outer], [])]
        else:
            near = elements.values()
        for ways in near:
            for way in ways:
                if all(state.get(trail, at) == at for trail, at in way):
                    yield {**state, **dict(way)}


# -------------------------------------------------------------------------------- in public


class Pattern:
    """A valid event pattern, compiled.

    Args:
        branches: the ways through the pattern, as `compile_pattern` reads them.
    """

    __slots__ = ("_always", "_branches")

    def __init__(self, branches: list[_Branch]) -> None:
        ordered = [tuple(_sorted(branch)) for branch in branches]
        first, *others = ordered
        # What every branch asks is asked once, first; the envelope's own fields before its detail.
        shared = [field for field in first if all(field in other for other in others)]
        quick = {field: _quick(field) for fields in ordered for field in fields}
        self._always = tuple(quick[field] for field in sorted(shared, key=_nearness))
        self._branches = tuple(
            (tuple(quick[field] for field in fields if field not in shared), fields)
            for fields in ordered
        )

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Tell whether a rule with this pattern would match `event`.

        Args:
            event: a whole EventBridge event as parsed from JSON: source, detail-type, detail...
        """
        certain: bool | None = True
        for quick in self._always:
            answer = quick(event)
            if not answer:
                if answer is False:
                    return False
                certain = None
        return any(_branch(own, fields, event, certain) for own, fields in self._branches)


def _nearness(field: _Field) -> tuple[int, str]:
    return field.path.count("."), field.path


def _branch(
    quicks: tuple[Quick, ...],
    fields: tuple[_Field, ...],
    event: Mapping[str, Any],
    certain: bool | None,
) -> bool:
    for quick in quicks:
        answer = quick(event)
        if answer is False:
            return False
        certain = certain and answer
    return certain is True or _join(fields, event)


def compile_pattern(pattern: Mapping[str, Any] | str) -> Pattern:
    """Check a pattern as AWS does and make it ready to match many events.

    Args:
        pattern: a JSON object, as text or parsed. A key that stands twice in the text is no
            error: the last one counts, as in AWS.

    Raises:
        PatternError: AWS would refuse it (InvalidEventPatternException). Its length is not
            looked at: see `size`.
    """
    return Pattern(_branches(_load(pattern), [{}]))


@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """What a pattern asks of one field, for those who say it in another language.

    Attributes:
        path: names joined by dots, as in "detail.eventName".
        values: the alternatives as they were written, of which one must fit.
        test: whether one scalar there will do.
        absent: whether the want of any scalar there will do.
    """

    path: str
    values: tuple[Any, ...]
    test: Test
    absent: bool


def ways(pattern: Mapping[str, Any] | str) -> list[list[Asked]]:
    """The ways through the `$or`s of a pattern: what each asks, in order of their paths.

    Raises:
        PatternError: AWS would refuse the pattern.
    """
    return [
        [Asked(one.path, tuple(_plain(one.values)), one.test, one.absent) for one in _sorted(way)]
        for way in _branches(_load(pattern), [{}])
    ]


def _sorted(branch: _Branch) -> list[_Field]:
    return [branch[path] for path in sorted(branch)]


def check(pattern: Mapping[str, Any] | str) -> None:
    """Raise PatternError if AWS would refuse the pattern."""
    _branches(_load(pattern), [{}])


@functools.lru_cache(maxsize=256)
def _compiled(text: str) -> Pattern:
    return compile_pattern(text)


def compiled(pattern: Mapping[str, Any]) -> Pattern:
    """The same as `compile_pattern` for what came out of JSON, remembered.

    Raises:
        PatternError: AWS would refuse the pattern.
    """
    return _compiled(json.dumps(pattern, ensure_ascii=False))


def matches(pattern: Mapping[str, Any] | str, event: Mapping[str, Any]) -> bool:
    """Tell whether `event` matches `pattern`; compiled patterns are remembered by their JSON.

    Raises:
        PatternError: AWS would refuse the pattern.
    """
    text = pattern if isinstance(pattern, str) else _text(_load(pattern))
    return _compiled(text).matches(event)


def canonical(pattern: Mapping[str, Any] | str) -> dict[str, Any]:
    """Write a pattern so that two that differ only in the order of alternatives are equal.

    Lists of alternatives, the operands of anything-but and the members of `$or` are sorted and
    without doubles; numbers and CIDRs have one spelling; {"anything-but": "x"} is written as the
    list it means. The result is a valid pattern that matches the same events.

    Raises:
        PatternError: AWS would refuse the pattern.
    """
    frozen = _load(pattern)
    branches = _branches(frozen, [{}])
    if _doubled(frozen):
        return _spelled_out(branches)
    return _canonical_object(frozen)


def _doubled(value: Any) -> bool:
    """Whether a key stands twice in one object, which a dict cannot hold."""
    if isinstance(value, _Object):
        doubled = len({key for key, _ in value}) < len(value)
        return doubled or any(_doubled(item) for _, item in value)
    return isinstance(value, list) and any(map(_doubled, value))


def _spelled_out(branches: list[_Branch]) -> dict[str, Any]:
    """The same pattern as one flat object per branch."""
    flat = [
        {path: _canonical_values(field.values) for path, field in branch.items()}
        for branch in branches
    ]
    return flat[0] if len(flat) == 1 else {_OR: _in_order(flat)}


def _canonical_object(members: _Object) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for key, value in members:
        if isinstance(value, _Object):
            written[key] = _canonical_object(value)
        elif key == _OR:
            written[key] = _in_order([_canonical_object(choice) for choice in value])
        else:
            written[key] = _canonical_values(value)
    return written


def _in_order(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    distinct = _distinct(choices)
    # `$or` must have two members: two equal ones stay two.
    return distinct if len(distinct) >= _MIN_ALTERNATIVES else distinct * _MIN_ALTERNATIVES


def _distinct(values: Iterable[Any]) -> list[Any]:
    by_text = {json.dumps(value, sort_keys=True): value for value in values}
    return [by_text[text] for text in sorted(by_text)]


def _canonical_values(values: list[Any]) -> list[Any]:
    return _distinct(map(_canonical_alternative, values))


def _canonical_alternative(value: Any) -> Any:
    if not isinstance(value, _Object):
        return _canonical_number(value)
    ((name, operand),) = value
    if name == "anything-but":
        return {name: _canonical_exception(operand)}
    if name == "numeric":
        return {name: [_canonical_number(term) for term in operand]}
    if name == "cidr":
        return {name: str(_network(operand, ""))}
    return {name: dict(operand) if isinstance(operand, _Object) else operand}


def _canonical_exception(operand: Any) -> Any:
    if isinstance(operand, _Object):
        ((name, given),) = operand
        return {name: _distinct(given if isinstance(given, list) else [given])}
    return _canonical_values(operand if isinstance(operand, list) else [operand])


def _canonical_number(value: Any) -> Any:
    whole = isinstance(value, float) and comparable(value) and value.is_integer()
    return int(value) if whole else value


# ------------------------------------------------------------------------ cutting to the quota


def unwrapped(pattern: Mapping[str, Any] | str) -> dict[str, Any]:
    """Write a pattern so that a `$or` whose members are all the same is that member.

    EventBridge wants two members in a `$or`; whoever has one left puts it there twice and comes
    here. A pattern that says it only by setting one field twice is written out, one flat object
    for each way through it.

    Raises:
        PatternError: AWS would refuse the pattern.
    """
    frozen = _load(pattern)
    branches = _branches(frozen, [{}])
    nested = _unwrapped(frozen)
    same = _ways(_branches(_load(nested), [{}])) == _ways(branches)
    return nested if same else _spelled_out(branches)


def _unwrapped(members: _Object) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for key, value in members:
        if key == _OR:
            choices = [_unwrapped(choice) for choice in value]
            alone = len(_distinct(choices)) == 1
            _lay(written, choices[0] if alone else {_OR: choices})
        else:
            _lay(written, {key: _unwrapped(value) if isinstance(value, _Object) else _plain(value)})
    return written


def _lay(under: dict[str, Any], over: dict[str, Any]) -> None:
    """Put the fields of `over` into `under`."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            _lay(under[key], value)
        else:
            under[key] = value


def _plain(value: Any) -> Any:
    """A frozen value as dicts and lists."""
    if isinstance(value, _Object):
        return {key: _plain(item) for key, item in value}
    return [_plain(item) for item in value] if isinstance(value, list) else value


_Way: TypeAlias = frozenset[tuple[str, str]]


def _ways(branches: list[_Branch]) -> set[_Way]:
    return {
        frozenset((path, _text(field.values)) for path, field in branch.items())
        for branch in branches
    }


def split(pattern: Mapping[str, Any] | str, limit: int = MAX_SIZE) -> tuple[dict[str, Any], ...]:
    """Cut a pattern that is too long for one rule into several that together match the same.

    The alternatives of the longest list, of a field or of a `$or`, are dealt out in order, as many
    to each part as fit; then the next longest, until every part fits. An event may match more than
    one part.

    Args:
        pattern: what to cut.
        limit: characters that a part may have.

    Raises:
        PatternError: AWS would refuse the pattern, or it cannot be cut so small.
    """
    check(pattern)
    if size(pattern) <= limit and not _doubled(frozen := _load(pattern)):
        return (_plain(frozen),)
    return tuple(_parts(unwrapped(pattern), limit))


def _parts(pattern: dict[str, Any], limit: int) -> Iterator[dict[str, Any]]:
    length = size(pattern)
    if length <= limit:
        yield pattern
        return
    lists = list(_lists(pattern))
    if not lists:
        raise PatternError(f"{length} characters, over {limit}, and nothing in it can be dealt out")
    path, longest = max(lists, key=lambda one: _length(one[1]))
    fitting, half = limit - length + _length(longest), _length(longest) // 2
    # Where the rest leaves little room, the rest must be cut as well: fewer parts by halves.
    room = fitting if fitting >= limit // 4 else half
    for items in _dealt(longest, room):
        alone = path[-1] == _OR and len(items) == 1
        yield from _parts(unwrapped(_with(pattern, path, items * (alone + 1))), limit)


_Path: TypeAlias = tuple[str, ...]


def _lists(members: dict[str, Any], path: _Path = ()) -> Iterator[tuple[_Path, list[Any]]]:
    """Every list of two or more alternatives that stands in no `$or`."""
    for key, value in members.items():
        if isinstance(value, dict):
            yield from _lists(value, (*path, key))
        elif len(value) > 1:
            yield (*path, key), value


def _length(value: Any) -> int:
    return len(_text(_freeze(value)))


def _with(members: dict[str, Any], path: _Path, items: list[Any]) -> dict[str, Any]:
    key, *rest = path
    return {**members, key: _with(members[key], tuple(rest), items) if rest else items}


def _dealt(items: list[Any], room: int) -> Iterator[list[Any]]:
    """The items in order, in lists whose text fits into `room` or that hold one item."""
    hand: list[Any] = []
    for item in items:
        if hand and _length([*hand, item]) > room:
            yield hand
            hand = []
        hand.append(item)
    yield hand
