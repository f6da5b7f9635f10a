"""Short examples: what a whole event has in common with others is written once, in _records.yaml.

    base: sns                       # take that record, then lay what follows over it
    detail:
      eventName: DeleteTopic
      requestParameters: {topicArn: ...}

An object is laid over an object key by key; anything else, and an object that has a `base` of its
own (another `userIdentity`), takes the place of what was there. Pure.
"""

from collections.abc import Mapping
from typing import Any

_BASE = "base"


def resolved(value: Any, records: Mapping[str, Any]) -> Any:
    """The value with every `base` replaced by the record of that name, sharing nothing with it.

    Args:
        value: an example, as parsed from YAML.
        records: by name, what examples may start from; they may have a `base` themselves.

    Raises:
        KeyError: there is no record of a name.
        RecursionError: a record starts from itself.
    """
    if isinstance(value, list):
        return [resolved(item, records) for item in value]
    if not isinstance(value, Mapping):
        return value
    whole = resolved(records[value[_BASE]], records) if _BASE in value else {}
    return _laid(whole, {key: item for key, item in value.items() if key != _BASE}, records)


def _laid(whole: dict[str, Any], over: Mapping[str, Any], records: Mapping[str, Any]) -> Any:
    """`whole`, which nobody else holds, with `over` laid over it."""
    for key, value in over.items():
        below = whole.get(key)
        if isinstance(below, dict) and isinstance(value, Mapping) and _BASE not in value:
            _laid(below, value, records)
        else:
            whole[key] = resolved(value, records)
    return whole
