"""The catalogue of detections: one YAML file each, its examples in a second file beside it.

    NAME.yaml            what it tells, why it matters, how bad, where it can be seen, its pattern
    NAME.examples.yaml   whole EventBridge events: `fires` must match the pattern, `quiet` must not

Reads package data only; whether the examples do what they say is for the tests and for
`ctwatch detections --lint`, so that looking the catalogue up stays quick.
"""

import functools
import importlib.resources
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any, Literal, TypeAlias, get_args

import yaml

from ctwatch import patterns
from ctwatch.errors import CtwatchError

Language: TypeAlias = Literal["ko", "en"]
Severity: TypeAlias = Literal["low", "medium", "high", "critical"]
Where: TypeAlias = Literal["home", "us-east-1", "every-region"]

Event: TypeAlias = dict[str, Any]

_MITRE = re.compile(r"T\d{4}(\.\d{3})?")
_FILE = ".yaml"
_EXAMPLES_FILE = ".examples.yaml"


@dataclass(frozen=True)
class Examples:
    """Whole EventBridge events, as parsed from JSON.

    Args:
        fires: events that the pattern must match.
        quiet: near misses that it must not.
    """

    fires: tuple[Event, ...]
    quiet: tuple[Event, ...]


@dataclass(frozen=True)
class Detection:
    """Something worth an alert, and how EventBridge sees it.

    Args:
        id: its name in a configuration, and that of its file.
        title: a few words, by language.
        why: why it matters, in a sentence or two, by language.
        severity: how bad it is when it succeeds.
        mitre: ATT&CK technique ids.
        where: the region whose event bus gets the events: the trail's home region, us-east-1
            only, or that of each call.
        read_only: whether it needs a rule in the state
            ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS.
            https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html
        pattern: the event pattern of its rule.
        examples: events that prove the pattern.
    """

    id: str
    title: Mapping[Language, str]
    why: Mapping[Language, str]
    severity: Severity
    mitre: tuple[str, ...]
    where: Where
    read_only: bool
    pattern: Mapping[str, Any]
    examples: Examples


_KEYS = frozenset(Detection.__dataclass_fields__) - {"examples"}


@functools.cache
def catalogue() -> dict[str, Detection]:
    """All detections that ctwatch brings along, by id, in alphabetical order.

    Raises:
        CtwatchError: a file is broken; the sentence names the file and the key.
    """
    folder = importlib.resources.files(__name__)
    names = sorted(
        entry.name.removesuffix(_FILE)
        for entry in folder.iterdir()
        if entry.name.endswith(_FILE) and not entry.name.endswith(_EXAMPLES_FILE)
    )
    return {
        name: parse(name, _content(folder, name + _FILE), _content(folder, name + _EXAMPLES_FILE))
        for name in names
    }


def _content(folder: Traversable, file: str) -> str:
    try:
        return (folder / file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(file, f"it cannot be read ({error})") from None


def parse(name: str, text: str, examples: str) -> Detection:
    """Read one detection.

    Args:
        name: its file's name without the ending; its id must be the same.
        text: the YAML of the detection.
        examples: the YAML of its examples: `fires` and `quiet`, lists of whole events.

    Raises:
        CtwatchError: something is missing or wrong; the sentence names the file and the key.
    """
    file, shown = f"{name}{_FILE}", f"{name}{_EXAMPLES_FILE}"
    raw = _mapping(file, text)
    if set(raw) != _KEYS:
        stray = ", ".join(sorted(map(str, set(raw) ^ _KEYS)))
        raise _broken(file, f"missing or unknown keys: {stray}")
    if raw["id"] != name:
        raise _broken(file, f"id must be {name}, as the file is named")
    if not isinstance(raw["read_only"], bool):
        raise _broken(file, "read_only must be true or false")
    return Detection(
        id=name,
        title=_sentences(file, raw, "title"),
        why=_sentences(file, raw, "why"),
        severity=_one_of(file, raw, "severity", get_args(Severity)),
        mitre=_mitre(file, raw["mitre"]),
        where=_one_of(file, raw, "where", get_args(Where)),
        read_only=raw["read_only"],
        pattern=_pattern(file, raw["pattern"]),
        examples=_examples(shown, _mapping(shown, examples)),
    )


def _broken(file: str, problem: str) -> CtwatchError:
    return CtwatchError(
        f"The detection file {file} is broken: {problem}.",
        "Install ctwatch anew, or compare the file with another one of the catalogue.",
    )


def _mapping(file: str, text: str) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _broken(file, f"not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(raw, dict):
        raise _broken(file, "its keys are missing")
    return raw


def _sentences(file: str, raw: dict[str, Any], key: str) -> dict[Language, str]:
    value, languages = raw[key], get_args(Language)
    spoken = value if isinstance(value, dict) and set(value) == set(languages) else {}
    if not spoken or not all(isinstance(text, str) and text.strip() for text in spoken.values()):
        raise _broken(file, f"{key} must hold a text for each of {', '.join(languages)}")
    return spoken


def _one_of(file: str, raw: dict[str, Any], key: str, allowed: tuple[str, ...]) -> Any:
    if raw[key] not in allowed:
        raise _broken(file, f"{key} must be one of {', '.join(allowed)}")
    return raw[key]


def _mitre(file: str, value: Any) -> tuple[str, ...]:
    ids = value if isinstance(value, list) else []
    if not ids or not all(isinstance(one, str) and _MITRE.fullmatch(one) for one in ids):
        raise _broken(file, "mitre must list ATT&CK technique ids such as T1562.008")
    return tuple(ids)


def _pattern(file: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _broken(file, "pattern must be an object")
    try:
        patterns.check(value)
    except patterns.PatternError as error:
        place = f"pattern.{error.path}" if error.path else "pattern"
        raise _broken(file, f"{place} is refused by EventBridge ({error.reason})") from None
    if (length := patterns.size(value)) > patterns.MAX_SIZE:
        raise _broken(file, f"pattern has {length} characters, over {patterns.MAX_SIZE}")
    return value


def _examples(file: str, raw: dict[str, Any]) -> Examples:
    return Examples(fires=_events(file, raw, "fires"), quiet=_events(file, raw, "quiet"))


def _events(file: str, raw: dict[str, Any], key: str) -> tuple[Event, ...]:
    events = raw.get(key)
    if not isinstance(events, list) or not events or not all(isinstance(e, dict) for e in events):
        raise _broken(file, f"{key} must list at least one whole event")
    try:
        # What YAML shares by reference would change in every example that a caller changes.
        return tuple(json.loads(json.dumps(event)) for event in events)
    except (TypeError, ValueError) as error:
        raise _broken(file, f"{key} holds what JSON cannot ({error})") from None
