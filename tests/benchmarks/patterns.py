"""How many events a second the pattern engine judges on one core.

The pattern is that of the catalogue's `trail-tampering`; the events are of one kilobyte, as
EventBridge hands them on, parsed already: some match, some differ in the last field that is asked
for, most in the first.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from measuring import Row, middle
from notifier_records import event

from ctwatch.detections import catalogue
from ctwatch.patterns import Pattern, compile_pattern

BAR, MANY, SIZE = 100_000, 200_000, 1024


def measure(rounds: int) -> list[Row]:
    """The table."""
    [detection] = [one for one in catalogue().values() if one.id == "trail-tampering"]
    [part] = detection.parts
    pattern = compile_pattern(part.pattern)
    kinds = {
        "events that match": (_padded(event()), True),
        "another call of CloudTrail's": (_padded(_called("LookupEvents")), False),
        "of another service": (_padded({**event(), "source": "aws.s3"}), False),
    }
    events = [document for document, _ in kinds.values()]
    assert [pattern.matches(one) for one in events] == [fires for _, fires in kinds.values()]
    rows = [_row(name, pattern, [one], rounds) for name, (one, _) in kinds.items()]
    return [*rows, _row("all three in turns", pattern, events, rounds)]


def _row(name: str, pattern: Pattern, events: Sequence[Mapping[str, Any]], rounds: int) -> Row:
    speed = middle(_speed(pattern, events) for _ in range(2 * rounds))
    bar = f"{BAR:,} events/s and more"
    return Row(name, f"{speed:,.0f} events/s", bar=bar, met=speed >= BAR)


def _speed(pattern: Pattern, events: Sequence[Mapping[str, Any]]) -> float:
    many = [events[number % len(events)] for number in range(MANY)]
    began = time.process_time()
    for one in many:
        pattern.matches(one)
    return MANY / (time.process_time() - began)


def _called(operation: str) -> dict[str, Any]:
    whole = event()
    return {**whole, "detail": {**whole["detail"], "eventName": operation}}


def _padded(document: dict[str, Any]) -> dict[str, Any]:
    """The event, a kilobyte long at least."""
    lacks = SIZE - len(json.dumps(document))
    detail = {**document["detail"], "userAgent": "a" * max(lacks, 8)}
    return {**document, "detail": detail}
