"""The catalogue of detections: one YAML file each, its examples in a second file beside it.

    NAME.yaml            what it tells, why it matters, how bad, where it can be seen, its pattern
    NAME.examples.yaml   whole EventBridge events: `fires` must match the pattern, `quiet` must not
    _records.yaml        what many examples have in common; see `records`

A detection has one `pattern`, or several `parts` where one rule cannot see it all. Patterns that
mean a watch's own resources hold words such as `{bucket}`; see `names`.

Reads package data only; whether the examples do what they say is for the tests and for
`ctwatch detections --lint`, so that looking the catalogue up stays quick.
"""

import functools
import importlib.resources
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from typing import Any, Literal, TypeAlias, get_args

import yaml

from ctwatch import patterns
from ctwatch.detections.names import SAMPLE, WORDS, Names, fill, with_derived, words
from ctwatch.detections.records import resolved
from ctwatch.errors import CtwatchError

__all__ = [
    "SAMPLE",
    "WORDS",
    "Detection",
    "Event",
    "Examples",
    "Language",
    "Names",
    "Part",
    "Scope",
    "Severity",
    "Where",
    "catalogue",
    "parse",
]

Language: TypeAlias = Literal["ko", "en"]
Severity: TypeAlias = Literal["low", "medium", "high", "critical"]
Where: TypeAlias = Literal["home", "us-east-1", "every-region", "rules"]
Scope: TypeAlias = Literal["account", "own"]

Event: TypeAlias = dict[str, Any]

_MITRE = re.compile(r"T\d{4}(\.\d{3})?")
_FILE = ".yaml"
_EXAMPLES_FILE = ".examples.yaml"
_RECORDS = "_records"
_RECORDS_FILE = f"{_RECORDS}{_FILE}"


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
class Part:
    """What one rule sees of a detection.

    Args:
        name: within the detection; "" where there is only one.
        pattern: the event pattern of its rule; longer than AWS takes only if
            `ctwatch.patterns.split` can cut it.
        where: the region whose event bus gets the events: the trail's home region, us-east-1
            only, that of each call, or ("rules") every one in which the watch has a rule.
        read_only: whether it needs a rule in the state
            ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS.
            https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html
    """

    name: str
    pattern: Mapping[str, Any]
    where: Where
    read_only: bool


@dataclass(frozen=True)
class Detection:
    """Something worth an alert, and how EventBridge sees it.

    Args:
        id: its name in a configuration, and that of its file.
        title: a few words, by language.
        why: why it matters, in a sentence or two, by language.
        severity: how bad it is when it succeeds.
        mitre: ATT&CK technique ids.
        where: where its parts are seen that do not say otherwise.
        read_only: whether those parts need read-only events.
        scope: whether it looks at the whole account, or only at what this watch owns.
        parts: what its rules see, each by itself; at least one.
        examples: events that prove the parts, with the names of `SAMPLE`.
    """

    id: str
    title: Mapping[Language, str]
    why: Mapping[Language, str]
    severity: Severity
    mitre: tuple[str, ...]
    where: Where
    read_only: bool
    scope: Scope
    parts: tuple[Part, ...]
    examples: Examples

    @property
    def pattern(self) -> Mapping[str, Any]:
        """The first part's pattern, its words not filled in."""
        return self.parts[0].pattern

    def fires_on(self, names: Names) -> tuple[Event, ...]:
        """The examples that its parts match, as if a watch with these names had seen them.

        They are remembered, so nobody may change them.

        Args:
            names: as for `filled`.
        """
        return _translated(self._fires, tuple(_translations(names)))

    @functools.cached_property
    def _fires(self) -> str:
        return json.dumps(self.examples.fires)

    def filled(self, names: Names) -> tuple[Part, ...]:
        """The parts for one watch.

        A word in braces becomes its value; an alternative with a word that stands for several
        values stands once for each. With none, the alternative falls away, then a field without
        alternatives, then the member of `$or` that holds it or the whole part.

        Args:
            names: what the words stand for, as in `SAMPLE`.

        Raises:
            KeyError: a word that the patterns hold is missing.
        """
        filled = ((part, fill(part.pattern, names)) for part in self.parts)
        return tuple(replace(part, pattern=one) for part, one in filled if one is not None)


@functools.lru_cache(maxsize=128)
def _translated(events: str, names: tuple[tuple[str, str], ...]) -> tuple[Event, ...]:
    """The events with each name of the sample's replaced by another, in whatever case it stands."""
    new = {old.casefold(): new for old, new in names}
    between, *found = _cut(events, tuple(sorted(new, key=len, reverse=True)))
    pieces = (new[piece.casefold()] if at % 2 == 0 else piece for at, piece in enumerate(found))
    return tuple(json.loads("".join([between, *pieces])))


@functools.lru_cache(maxsize=128)
def _cut(text: str, names: tuple[str, ...]) -> list[str]:
    """A text in pieces, of which every second is one of the names, casefolded or not."""
    return re.split(f"({'|'.join(map(re.escape, names))})", text, flags=re.IGNORECASE)


def _translations(names: Names) -> Iterator[tuple[str, str]]:
    """Each name of the sample's, with what it is called among these."""
    theirs = with_derived(names)
    for word, sample in with_derived(SAMPLE).items():
        if word != "partition":  # "aws", which is a part of much else
            yield from zip(_several(sample), _several(theirs[word]), strict=False)


def _several(value: str | Sequence[str]) -> Sequence[str]:
    return (value,) if isinstance(value, str) else value


_REQUIRED = frozenset({"id", "title", "why", "severity", "mitre", "where", "read_only"})
_OPTIONAL = frozenset({"scope"})
_PATTERNS = frozenset({"pattern", "parts"})
_PART_KEYS = frozenset({"pattern", "where", "read_only"})


class _Catalogue(Mapping[str, Detection]):
    """Reads a detection when it is asked for: a watch has few of them, and each takes a while."""

    def __init__(self, folder: Traversable) -> None:
        self._folder = folder
        files = [one.name for one in folder.iterdir() if one.name.endswith(_FILE)]
        names = {one.removesuffix(_FILE) for one in files if not one.endswith(_EXAMPLES_FILE)}
        self._read: dict[str, Detection | None] = dict.fromkeys(sorted(names - {_RECORDS}))

    def __getitem__(self, name: str) -> Detection:
        found = self._read[name]
        if found is None:
            folder = self._folder
            texts = (_content(folder, name + ending) for ending in (_FILE, _EXAMPLES_FILE))
            found = self._read[name] = parse(name, *texts)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._read

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)


@functools.cache
def catalogue() -> Mapping[str, Detection]:
    """All detections that ctwatch brings along, by id, in alphabetical order.

    To look one up may raise CtwatchError: its file is broken; the sentence names file and key.
    """
    return _Catalogue(importlib.resources.files(__name__))


def _content(folder: Traversable, file: str) -> str:
    try:
        return (folder / file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(file, f"it cannot be read ({error})") from None


def parse(name: str, text: str, examples: str) -> Detection:
    """Read one detection.

    Args:
        name: its file's name without the ending; its id must be the same.
        text: the YAML of the detection; `scope` is "account" when it is absent.
        examples: the YAML of its examples: `fires` and `quiet`, lists of events, whole or each
            with a `base` of _records.yaml.

    Raises:
        CtwatchError: something is missing or wrong; the sentence names the file and the key.
    """
    file, shown = f"{name}{_FILE}", f"{name}{_EXAMPLES_FILE}"
    raw = {"scope": "account"} | _mapping(file, text)
    _check_keys(file, raw)
    if raw["id"] != name:
        raise _broken(file, f"id must be {name}, as the file is named")
    where, read_only = _where(file, raw), _read_only(file, raw)
    return Detection(
        id=name,
        title=_sentences(file, raw, "title"),
        why=_sentences(file, raw, "why"),
        severity=_one_of(file, raw, "severity", get_args(Severity)),
        mitre=_mitre(file, raw["mitre"]),
        where=where,
        read_only=read_only,
        scope=_one_of(file, raw, "scope", get_args(Scope)),
        parts=_parts(file, raw, where, read_only),
        examples=_examples(shown, _mapping(shown, examples)),
    )


def _check_keys(file: str, raw: dict[str, Any]) -> None:
    patterned = _PATTERNS & set(raw)
    if stray := (_REQUIRED - set(raw)) | (set(raw) - _REQUIRED - _OPTIONAL - _PATTERNS):
        raise _broken(file, f"missing or unknown keys: {', '.join(sorted(map(str, stray)))}")
    if len(patterned) != 1:
        raise _broken(file, "it must have either pattern or parts")


def _where(file: str, raw: dict[str, Any], at: str = "") -> Where:
    return _one_of(file, raw, "where", get_args(Where), at)  # type: ignore[no-any-return]  # one of them, by the check


def _read_only(file: str, raw: dict[str, Any], at: str = "") -> bool:
    if not isinstance(value := raw["read_only"], bool):
        raise _broken(file, f"{at}read_only must be true or false")
    return value


def _parts(file: str, raw: dict[str, Any], where: Where, read_only: bool) -> tuple[Part, ...]:
    if "pattern" in raw:
        return (Part("", _pattern(file, raw["pattern"], "pattern"), where, read_only),)
    parts = raw["parts"]
    if not isinstance(parts, dict) or not parts:
        raise _broken(file, "parts must hold at least one part by its name")
    inherited = {"where": where, "read_only": read_only}
    return tuple(_part(file, str(name), one, inherited) for name, one in parts.items())


def _part(file: str, name: str, raw: Any, inherited: dict[str, Any]) -> Part:
    at = f"parts.{name}."
    if not isinstance(raw, dict) or "pattern" not in raw or not set(raw) <= _PART_KEYS:
        raise _broken(file, f"parts.{name} must hold a pattern, and may hold where and read_only")
    whole = inherited | raw
    pattern = _pattern(file, raw["pattern"], f"{at}pattern")
    return Part(name, pattern, _where(file, whole, at), _read_only(file, whole, at))


def _broken(file: str, problem: str) -> CtwatchError:
    return CtwatchError(
        f"The detection file {file} is broken: {problem}.",
        "Install ctwatch anew, or compare the file with another one of the catalogue.",
    )


# Ten times as quick where PyYAML was built with it, and as safe.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _mapping(file: str, text: str) -> dict[str, Any]:
    try:
        raw = yaml.load(text, Loader=_Loader)  # noqa: S506 - one of the two safe ones, above
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


def _one_of(
    file: str, raw: dict[str, Any], key: str, allowed: tuple[str, ...], at: str = ""
) -> Any:
    if raw[key] not in allowed:
        raise _broken(file, f"{at}{key} must be one of {', '.join(allowed)}")
    return raw[key]


def _mitre(file: str, value: Any) -> tuple[str, ...]:
    ids = value if isinstance(value, list) else []
    if not ids or not all(isinstance(one, str) and _MITRE.fullmatch(one) for one in ids):
        raise _broken(file, "mitre must list ATT&CK technique ids such as T1562.008")
    return tuple(ids)


def _pattern(file: str, value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _broken(file, f"{at} must be an object")
    try:
        patterns.check(value)
    except patterns.PatternError as error:
        place = f"{at}.{error.path}" if error.path else at
        raise _broken(file, f"{place} is refused by EventBridge ({error.reason})") from None
    if strange := words(value) - WORDS:
        named = ", ".join(f"{{{word}}}" for word in sorted(strange))
        raise _broken(file, f"{at} holds {named}, which stands for nothing")
    _check_length(file, value, at)
    return value


def _check_length(file: str, pattern: dict[str, Any], at: str) -> None:
    try:
        patterns.split(fill(pattern, SAMPLE) or pattern)
    except patterns.PatternError as error:
        raise _broken(file, f"{at} has {error.reason}") from None
    except TypeError as error:
        raise _broken(file, f"{at} cannot be filled in ({error})") from None


def _examples(file: str, raw: dict[str, Any]) -> Examples:
    return Examples(fires=_events(file, raw, "fires"), quiet=_events(file, raw, "quiet"))


def _events(file: str, raw: dict[str, Any], key: str) -> tuple[Event, ...]:
    events = raw.get(key)
    if not isinstance(events, list) or not events or not all(isinstance(e, dict) for e in events):
        raise _broken(file, f"{key} must list at least one whole event")
    try:
        # What YAML shares by reference would change in every example that a caller changes.
        return tuple(json.loads(json.dumps(resolved(event, _records()))) for event in events)
    except KeyError as error:
        raise _broken(file, f"{key} starts from {error}, which {_RECORDS_FILE} has not") from None
    except (TypeError, ValueError) as error:
        raise _broken(file, f"{key} holds what JSON cannot ({error})") from None


@functools.cache
def _records() -> dict[str, Any]:
    folder = importlib.resources.files(__name__)
    return _mapping(_RECORDS_FILE, _content(folder, _RECORDS_FILE))
