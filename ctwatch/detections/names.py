"""Names in a pattern: `{bucket}` in a detection becomes the bucket of the watch.

A word in braces stands in a string of the pattern. One whose value is a sequence, `{rules}`, makes
its alternative stand once for each value; with no value the alternative falls away, with its last
alternative a field, and with a field the member of `$or` that it stands in. Pure.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ctwatch import patterns

Names: TypeAlias = Mapping[str, str | Sequence[str]]
"""What the words stand for, by word without its braces."""

_ACCOUNT, _REGION = "123456789012", "ap-northeast-2"
_TOPIC_ARN = f"arn:aws:sns:{_REGION}:{_ACCOUNT}:sns-cloudtrail-alarm"

SAMPLE: dict[str, str | tuple[str, ...]] = {
    "account": _ACCOUNT,
    "region": _REGION,
    "trail": "ct-trail-monitor",
    "trail_arn": f"arn:aws:cloudtrail:{_REGION}:{_ACCOUNT}:trail/ct-trail-monitor",
    "bucket": f"s3-cloudtrail-monitor-{_ACCOUNT}-{_REGION}-an",
    "bucket_arn": f"arn:aws:s3:::s3-cloudtrail-monitor-{_ACCOUNT}-{_REGION}-an",
    "topic": "sns-cloudtrail-alarm",
    "topic_arn": _TOPIC_ARN,
    "topic_arns": (_TOPIC_ARN, f"arn:aws:sns:{_REGION}:{_ACCOUNT}:ctwatch-deliveries"),
    "subscriptions_prefix": f"{_TOPIC_ARN}:",
    "function": "lambda-ct-detect-alarm",
    "function_arn": f"arn:aws:lambda:{_REGION}:{_ACCOUNT}:function:lambda-ct-detect-alarm",
    "roles": ("ctwatch-notifier", "ctwatch-forwarder"),
    "rules": ("eventbridge-ct-detect",),
    "rule_prefixes": ("ctwatch-guard-",),
    "log_groups": ("/aws/lambda/lambda-ct-detect-alarm",),
    "parameters": ("/ctwatch/discord",),
    "queue_urls": (
        f"https://sqs.{_REGION}.amazonaws.com/{_ACCOUNT}/ctwatch-receipts",
        f"https://sqs.{_REGION}.amazonaws.com/{_ACCOUNT}/ctwatch-dead-letter",
    ),
    "keys": (f"arn:aws:kms:{_REGION}:{_ACCOUNT}:key/1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d",),
}
"""Every word, with what it is in a watch of the default configuration (and with one KMS key)."""

_WORD = re.compile(r"\{([a-z_]+)\}")


def with_derived(names: Names) -> dict[str, str | Sequence[str]]:
    """Add the words that follow from others: `{partition}`, `{key_names}`, `{queue_names}`.

    A key's name is its id, or "alias/NAME" where the ARN is that of an alias.
    """
    known = dict(names)
    if isinstance(topic := names.get("topic_arn"), str):
        known["partition"] = topic.split(":")[1]
    if "keys" in names:
        known["key_names"] = tuple(
            arn.rpartition(":")[2].removeprefix("key/") for arn in names["keys"]
        )
    if "queue_urls" in names:
        known["queue_names"] = tuple(url.rpartition("/")[2] for url in names["queue_urls"])
    return known


WORDS = frozenset(with_derived(SAMPLE))


def words(value: Any) -> set[str]:
    """The words that stand in the strings of a pattern."""
    if isinstance(value, str):
        return set(_WORD.findall(value))
    inner = value.values() if isinstance(value, Mapping) else value
    return set().union(*map(words, inner)) if isinstance(value, Mapping | list) else set()


def fill(pattern: Mapping[str, Any], names: Names) -> dict[str, Any] | None:
    """The pattern with its words replaced; None when nothing is left of it.

    Args:
        pattern: of a detection.
        names: what the words stand for; those that do not stand in the pattern may be missing.

    Raises:
        KeyError: a word of the pattern is missing in `names`.
        TypeError: a sequence stands where only one string can (in "anything-but": "{word}").
    """
    filled = _object(pattern, with_derived(names))
    return None if filled is None else patterns.unwrapped(filled)


_Values: TypeAlias = Mapping[str, str | Sequence[str]]

_OR = "$or"


def _object(members: Mapping[str, Any], values: _Values) -> dict[str, Any] | None:
    filled = {key: _member(key, value, values) for key, value in members.items()}
    return None if None in filled.values() else filled


def _member(key: str, value: Any, values: _Values) -> Any:
    """What an object holds under `key`, filled; None when nothing is left of it."""
    if key == _OR:
        left = [one for choice in value if (one := _object(choice, values)) is not None]
        return left * 2 if len(left) == 1 else left or None
    if isinstance(value, Mapping):
        return _object(value, values)
    return list(_alternatives(value, values)) or None


def _alternatives(items: Sequence[Any], values: _Values) -> Iterator[Any]:
    for item in items:
        if isinstance(item, Mapping) and "anything-but" in item:
            yield _replaced(item, values)  # its operands belong together
        else:
            yield from _each(item, values)


def _each(item: Any, values: _Values) -> Iterator[Any]:
    """The item once for each value of the sequences it names."""
    several = next((w for w in sorted(words(item)) if not isinstance(values[w], str)), None)
    if several is None:
        yield _replaced(item, values)
        return
    for value in values[several]:
        yield from _each(item, {**values, several: value})


def _replaced(value: Any, values: _Values) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return list(_alternatives(value, values))
    return (
        _WORD.sub(lambda found: _one(values[found[1]]), value) if isinstance(value, str) else value
    )


def _one(value: str | Sequence[str]) -> str:
    if not isinstance(value, str):
        raise TypeError(f"one string can stand here, not {value!r}")
    return value
