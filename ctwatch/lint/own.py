"""A user's own detections: read like the catalogue's, with everything that is wrong at once.

The keys are the catalogue's. `id`, `title`, `severity` and either `pattern` or `parts` must be
there; `why` is otherwise the title, `mitre` empty, `scope` "account", and a text may stand for both
languages. `where` and `read_only` are otherwise what the pattern's events need, as far as what is
wrong with the plainest rule (in the home region, without what only reads) tells. `examples`, if
given, stand in the same document and are whole events.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, get_args

from ctwatch import patterns
from ctwatch.detections import (
    SAMPLE,
    WORDS,
    Detection,
    Examples,
    Language,
    Part,
    Scope,
    Severity,
    Where,
    catalogue,
)
from ctwatch.detections.names import fill, words
from ctwatch.errors import ConfigError
from ctwatch.lint.calls import Known
from ctwatch.lint.complaint import Complaint, nearest

_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MITRE = re.compile(r"T\d{4}(\.\d{3})?")
_CHOICES: dict[str, tuple[str, ...]] = {
    "severity": get_args(Severity),
    "where": tuple(one for one in get_args(Where) if one != "rules"),  # the guard's alone
    "scope": get_args(Scope),
}
_DEFAULTS: dict[str, Any] = {"mitre": [], "scope": "account", "examples": {}}
_NEEDED = ("id", "title", "severity")
_PATTERNS = ("pattern", "parts")
_FOUND = ("where", "read_only")
_KEYS = (*_NEEDED, "why", *_FOUND, *_DEFAULTS, *_PATTERNS)
# UTF-16 units of a title, which an alert's title, with 256 of them in Discord, must have room for.
_LONGEST = 80
_PART_KEYS = ("pattern", "where", "read_only")

Check = Callable[..., list[Complaint]]
"""`ctwatch.lint.check`."""


class InvalidDetectionError(ConfigError):
    """All that is wrong with a user's detection, a line for each error.

    Args:
        source: what is complained about ("my-detection.yaml"); begins each line.
        complaints: at least one.
    """

    def __init__(self, source: str, complaints: Sequence[Complaint]) -> None:
        self.complaints = tuple(complaints)
        super().__init__(
            "\n".join(f"{source}: {each}" for each in complaints),
            "Compare it with one of the catalogue: ctwatch detections trail-tampering",
        )


def looks_whole(document: Any) -> bool:
    """Whether a document is meant as a detection, not as a pattern alone."""
    return isinstance(document, Mapping) and bool({*_NEEDED[1:], *_PATTERNS} & set(document))


def completed(document: Mapping[str, Any], check: Check, known: Known | None = None) -> Any:
    """The same with `where` and `read_only`, of each part where it has several.

    Args:
        document: as in `complaints_of`, but a mapping.
        check: as in `complaints_of`.
        known: as in `complaints_of`.
    """
    parts = document.get("parts")
    if "pattern" in document or not isinstance(parts, Mapping):
        return {**_needs(document.get("pattern"), document, check, known), **document}
    given = {key: document[key] for key in _FOUND if key in document}
    whole = {
        name: {**_needs(part.get("pattern"), {**given, **part}, check, known), **given, **part}
        if isinstance(part, Mapping)
        else part
        for name, part in parts.items()
    }
    return {"where": _HOME, "read_only": False, **document, "parts": whole}


_HOME = "home"


def _needs(
    pattern: Any, given: Mapping[str, Any], check: Check, known: Known | None
) -> dict[str, Any]:
    """Where a pattern's events are seen and whether they only read, by the linter's own advice."""
    found: list[Complaint] = []
    if not all(key in given for key in _FOUND):
        with suppress(TypeError):  # it cannot be filled in, which is complained of elsewhere
            filled = _filled(pattern)
            found = check(filled, where=_HOME, read_only=False, known=known, limit=None)
    advice = {one.suggestion for one in found if one.level == "error"}
    where = "us-east-1" if "where: us-east-1" in advice else _HOME
    return {"where": where, "read_only": "read_only: true" in advice}


def complaints_of(document: Any, check: Check, known: Known | None = None) -> list[Complaint]:
    """Tell all that is wrong with a detection.

    Args:
        document: its YAML or JSON, parsed; anything at all.
        check: tells what is wrong with a pattern.
        known: as in `ctwatch.lint.check`.
    """
    if not isinstance(document, Mapping):
        return [Complaint("", "a detection is an object with id, title, severity, pattern …")]
    whole = {**_DEFAULTS, **completed(document, check, known)}
    found = [*_wrong_keys(document, _KEYS, _NEEDED), *_wrong_values(whole)]
    if len([key for key in _PATTERNS if key in document]) != 1:
        found.append(Complaint("", "must have either pattern or parts"))
    sound = True
    for path, part in _raw_parts(whole):
        wrong = _wrong_part(path, part, whole, check, known)
        sound &= not any(one.level == "error" for one in wrong)
        found += wrong
    if sound and _raw_parts(whole):
        found += _wrong_examples(whole)
    return found


def build(document: Mapping[str, Any]) -> Detection:
    """The detection of a document without errors."""
    whole = {**_DEFAULTS, **document}
    title = _spoken(whole["title"])
    examples = whole["examples"]
    return Detection(
        id=whole["id"],
        title=title,
        why=_spoken(whole["why"]) if "why" in whole else title,
        severity=whole["severity"],
        mitre=tuple(whole["mitre"]),
        where=whole["where"],
        read_only=whole["read_only"],
        scope=whole["scope"],
        parts=tuple(_part(path, part, whole) for path, part in _raw_parts(whole)),
        examples=Examples(tuple(examples.get("fires", ())), tuple(examples.get("quiet", ()))),
    )


def _spoken(text: Any) -> dict[Language, str]:
    return dict.fromkeys(get_args(Language), text) if isinstance(text, str) else dict(text)


def _part(path: str, raw: Mapping[str, Any], whole: Mapping[str, Any]) -> Part:
    inherited = {**whole, **raw}
    name = path.partition(".")[2]
    return Part(name, raw["pattern"], inherited["where"], inherited["read_only"])


# ------------------------------------------------------------------------------- the keys


def _wrong_keys(
    raw: Mapping[str, Any], allowed: Sequence[str], needed: Sequence[str], at: str = ""
) -> Iterator[Complaint]:
    for key in raw:
        if key not in allowed:
            yield Complaint(f"{at}{key}", "there is no such key", nearest(str(key), allowed))
    for key in needed:
        if key not in raw:
            yield Complaint(f"{at}{key}", "must be there")


def _wrong_values(whole: Mapping[str, Any]) -> Iterator[Complaint]:
    if "id" in whole:
        yield from _wrong_id(whole["id"])
    for key in ("title", "why"):
        if key in whole and not _is_spoken(whole[key]):
            languages = " and ".join(get_args(Language))
            yield Complaint(key, f"must be a text, or one for each of {languages}")
    if _is_spoken(title := whole.get("title")) and not all(map(_is_line, _spoken(title).values())):
        yield Complaint("title", f"must be one line of at most {_LONGEST} characters")
    yield from _wrong_choices(whole)
    mitre = whole["mitre"]
    if not _listed(mitre, lambda one: isinstance(one, str) and bool(_MITRE.fullmatch(one))):
        yield Complaint("mitre", "must list ATT&CK technique ids such as T1562.008")


def _wrong_id(value: Any) -> Iterator[Complaint]:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        yield Complaint("id", "must be small letters, digits and single hyphens, as in my-rule")
    elif value in catalogue():
        yield Complaint("id", f"ctwatch has a detection '{value}' of its own, take another id")


def _wrong_choices(raw: Mapping[str, Any], at: str = "") -> Iterator[Complaint]:
    for key, allowed in _CHOICES.items():
        if key in raw and raw[key] not in allowed:
            reason = f"must be one of {', '.join(allowed)}"
            yield Complaint(f"{at}{key}", reason, nearest(str(raw[key]), allowed))
    if "read_only" in raw and not isinstance(raw["read_only"], bool):
        yield Complaint(f"{at}read_only", "must be true or false")


def _is_spoken(value: Any) -> bool:
    texts = list(value.values()) if isinstance(value, Mapping) else [value]
    complete = not isinstance(value, Mapping) or set(value) == set(get_args(Language))
    return complete and all(isinstance(text, str) and bool(text.strip()) for text in texts)


def _is_line(text: str) -> bool:
    return text.isprintable() and len(text.encode("utf-16-le")) // 2 <= _LONGEST


def _listed(value: Any, good: Callable[[Any], bool]) -> bool:
    return isinstance(value, list | tuple) and all(map(good, value))


# ------------------------------------------------------------------------------- the patterns


def _raw_parts(whole: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Each part by its path: "" for the only one."""
    if "pattern" in whole:
        return [("", {"pattern": whole["pattern"]})]
    parts = whole.get("parts")
    if not isinstance(parts, Mapping):
        return [("parts", parts)] if "parts" in whole else []
    return [(f"parts.{name}", part) for name, part in parts.items()] or [("parts", None)]


def _wrong_part(
    path: str, raw: Any, whole: Mapping[str, Any], check: Check, known: Known | None
) -> list[Complaint]:
    if not isinstance(raw, Mapping):
        return [Complaint(path, "must hold a pattern, as in {'mine': {'pattern': {…}}}")]
    at = f"{path}." if path else ""
    found = [*_wrong_keys(raw, _PART_KEYS, ("pattern",), at), *_wrong_choices(raw, at)]
    if "pattern" in raw:
        inherited = {**whole, **raw}
        where = inherited.get("where")
        wrong = _wrong_pattern(raw["pattern"], where, inherited["read_only"], check, known)
        found += [_under(f"{at}pattern", one) for one in wrong]
    return found


def _under(place: str, one: Complaint) -> Complaint:
    path = f"{place}.{one.path}" if one.path else place
    return Complaint(path, one.reason, one.suggestion, one.level)


def _wrong_pattern(
    pattern: Any, where: Any, read_only: Any, check: Check, known: Known | None
) -> list[Complaint]:
    try:
        filled = _filled(pattern)
    except TypeError as error:
        return [Complaint("", f"cannot be filled in: {error}")]
    seen = where if where in _CHOICES["where"] else None
    found = check(filled, where=seen, read_only=read_only is True, known=known, limit=None)
    if _refused(filled):
        return found
    strange = sorted(words(filled) - WORDS)
    found += [
        Complaint("", f"{{{one}}} stands for nothing", nearest(one, WORDS)) for one in strange
    ]
    return [*found, *_uncut(filled)]


def _filled(pattern: Any) -> Any:
    """The pattern with the names of `SAMPLE`, if it can be filled in."""
    if _refused(pattern) or words(pattern) - WORDS:
        return pattern
    return fill(pattern, SAMPLE) or pattern


def _refused(pattern: Any) -> bool:
    if not isinstance(pattern, Mapping):
        return True
    try:
        patterns.check(pattern)
    except patterns.PatternError:
        return True
    return False


def _uncut(pattern: Mapping[str, Any]) -> Iterator[Complaint]:
    """Whether ctwatch can make several rules of it where one is too short."""
    try:
        patterns.split(pattern)
    except patterns.PatternError as error:
        yield Complaint("", f"has {error.reason}")


# ------------------------------------------------------------------------------- the examples


def _wrong_examples(whole: Mapping[str, Any]) -> Iterator[Complaint]:
    examples = whole["examples"]
    if not isinstance(examples, Mapping):
        yield Complaint("examples", "must hold fires and quiet, lists of whole events")
        return
    yield from _wrong_keys(examples, ("fires", "quiet"), (), "examples.")
    filled = [fill(part["pattern"], SAMPLE) for _, part in _raw_parts(whole)]
    for kind, wanted in (("fires", True), ("quiet", False)):
        yield from _wrong_events(kind, wanted, examples.get(kind, ()), [f for f in filled if f])


def _wrong_events(
    kind: str, wanted: bool, events: Any, filled: Collection[Mapping[str, Any]]
) -> Iterator[Complaint]:
    if not _listed(events, lambda one: isinstance(one, Mapping)):
        yield Complaint(f"examples.{kind}", "must list whole events")
        return
    for at, event in enumerate(events):
        if any(patterns.matches(pattern, event) for pattern in filled) is not wanted:
            reason = "the pattern does not match it" if wanted else "the pattern matches it"
            yield Complaint(f"examples.{kind}[{at}]", reason)
