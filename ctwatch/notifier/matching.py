"""Whether an event fits an EventBridge pattern, as far as naming an alert needs it.

EventBridge has matched the event already, and does not say by which rule. Here the patterns of a
user's own detections are asked once more. They are known to be valid (`ctwatch up` saw to that), so
nothing is checked. Three things are read more simply than by EventBridge: an event's key with a dot
in it is not found, an address fits as it is spelled, a number may have any number of decimals. What
then does not fit goes by the catalogue's name, and is told all the same.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"""

import ipaddress
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matches(pattern: dict[str, Any], event: Any) -> bool:
    """Whether the event fits.

    Args:
        pattern: valid, as parsed from JSON.
        event: whatever came.
    """
    if isinstance(event, list) and event:
        return any(matches(pattern, one) for one in event)
    return all(_member(key, want, event) for key, want in pattern.items())


def _member(key: str, want: Any, event: Any) -> bool:
    if key == "$or":
        return any(matches(choice, event) for choice in want)
    first, _, rest = key.partition(".")
    below = event.get(first) if isinstance(event, dict) else None
    there = isinstance(event, dict) and first in event
    if rest:
        return matches({rest: want}, below)
    if isinstance(want, dict):
        return matches(want, below)
    values = list(_scalars(below)) if there else []
    return any(_fits(one, values) for one in want)


def _scalars(value: Any) -> Iterator[Any]:
    """What stands at the end of a path; an object is nothing there."""
    if isinstance(value, list):
        for one in value:
            yield from _scalars(one)
    elif not isinstance(value, dict):
        yield value


def _fits(wanted: Any, values: list[Any]) -> bool:
    if wanted == {"exists": False}:
        return not values
    return any(_takes(wanted, value) for value in values)


def _takes(wanted: Any, value: Any) -> bool:
    """Whether one alternative takes one value; 1 is not true, and 5 is 5.0."""
    if not isinstance(wanted, dict):
        return isinstance(wanted, bool) == isinstance(value, bool) and wanted == value
    ((name, operand),) = wanted.items()
    if name == "exists":
        return True
    if name == "anything-but":
        return not any(_takes(one, value) for one in _excepted(operand))
    if name == "numeric":
        return _in_range(operand, value)
    return isinstance(value, str) and _like(name, operand, value)


def _excepted(operand: Any) -> Iterator[Any]:
    """The alternatives that "anything-but" leaves out."""
    if isinstance(operand, dict):
        ((name, texts),) = operand.items()
        yield from ({name: text} for text in (texts if isinstance(texts, list) else [texts]))
    else:
        yield from operand if isinstance(operand, list) else [operand]


def _in_range(terms: list[Any], value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    pairs = zip(terms[::2], terms[1::2], strict=False)
    return number and all(_COMPARISONS[sign](value, bound) for sign, bound in pairs)


def _like(name: str, operand: Any, text: str) -> bool:
    """The operators for texts."""
    if isinstance(operand, dict):  # {"prefix": {"equals-ignore-case": ...}}
        return _like(name, operand["equals-ignore-case"].casefold(), text.casefold())
    return name in _TEXTS and _TEXTS[name](text, operand)


def _star(text: str, operand: str) -> bool:
    r"""`*` is any text; `\*` and `\\` are what they look like without the first stroke."""
    parts = re.findall(r"\\.|\*|[^\\*]+", operand, re.DOTALL)
    wanted = "".join(
        ".*" if part == "*" else re.escape(part[1:] if part[0] == "\\" else part) for part in parts
    )
    return re.fullmatch(wanted, text, re.DOTALL) is not None


def _inside(text: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(text) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "exactly": operator.eq,
    "prefix": str.startswith,
    "suffix": str.endswith,
    "equals-ignore-case": lambda text, operand: text.casefold() == operand.casefold(),
    "wildcard": _star,
    "cidr": _inside,
}
