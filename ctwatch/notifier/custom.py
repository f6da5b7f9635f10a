"""The detections that the user wrote himself: `custom.json`, which the zip carries beside this.

Their titles and patterns are told here, as the catalogue's table cannot know them. They are in the
zip, not in the environment: all variables of a function share 4 KB, and one pattern may have 2,048
characters. And it is the patterns of the rules, exclusions and all, not just the names of calls:
what a rule does not tell shall not go by its name when another rule tells it, nor a call on
something else than the pattern means.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html

    [{"id": "...", "ko": "...", "en": "...", "severity": "high", "mitre": "T1562.008 T1485",
      "patterns": [{...}, ...]}, ...]

There is no such file when there are none.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Custom:
    """One of them: what `detections.Detection` has, its id, and the patterns of its rules."""

    id: str
    ko: str
    en: str
    severity: str
    mitre: str
    patterns: tuple[dict[str, Any], ...]

    def fits(self, envelope: dict[str, Any]) -> bool:
        """Whether one of its rules tells of this EventBridge event."""
        from .matching import matches  # noqa: PLC0415 - most watches have none, and start without

        return any(matches(pattern, envelope) for pattern in self.patterns)


def read_custom() -> tuple[Custom, ...]:
    """All that the zip carries, be it unpacked, as by Lambda, or not."""
    file = os.path.join(os.path.dirname(__file__), "custom.json")  # noqa: PTH118, PTH120 - no import
    loader: Any = globals()["__loader__"]
    try:
        return parse_custom(loader.get_data(file))
    except OSError:
        return ()


def parse_custom(content: bytes) -> tuple[Custom, ...]:
    """All of them; none where the file is broken: an alert without a name is still an alert.

    Args:
        content: JSON as above.
    """
    try:
        return tuple(_entries(json.loads(content)))
    except (ValueError, TypeError, KeyError):
        return ()


def _entries(listed: Any) -> Iterator[Custom]:
    for one in listed:
        yield Custom(**{**one, "patterns": tuple(one["patterns"])})
