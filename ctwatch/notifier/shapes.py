"""Values out of a record, which may be null, absent or of any type. Nothing here raises."""

import json
from typing import Any


def mapping(value: Any) -> dict[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def listing(value: Any) -> list[Any]:
    """A list, or an empty one. EC2's records wrap theirs as `{"items": [...]}`."""
    value = value.get("items") if isinstance(value, dict) else value
    return value if isinstance(value, list) else []


def string(value: Any) -> str:
    """A text, or an empty one."""
    return value if isinstance(value, str) else ""


def first(*values: Any) -> str:
    """The first that says something."""
    return next((said for said in map(text, values) if said), "")


def text(value: Any) -> str:
    """A text as it is, null as nothing, and what is strange as JSON, so that it is seen."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        return "…"
