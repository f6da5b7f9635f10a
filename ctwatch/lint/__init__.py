"""What a pattern gets wrong that EventBridge accepts without a word: a rule that never fires.

    pattern ─ branches ─> each way through its `$or`s: field -> condition, and its place
            ─ calls ────> the calls that each way can mean, by botocore's models and our tables
            ─ origin, fields, names, rules: one look each at what no event will ever match
            ─ complaint > path, one sentence, the nearest right word; error or warning

A value is wrong when no branch gives it an event to match: PutEventSelectors may find no `name` in
one member of a `$or` if it finds `trailName` in another. An error never fires, or fires on what
anybody can forge; a warning fires, but not on all that was meant, or on more.

Beside it, as they need the same knowledge: a user's own detections (`custom`), and what a rule
shall not tell (`exclusions`).

Reads the files of botocore's models, when a service is first asked for, and nothing else. Builds
nothing, prints nothing, and raises for no pattern, whatever it is.
"""

from collections.abc import Mapping
from typing import Any

from ctwatch import patterns
from ctwatch.detections import Detection
from ctwatch.lint import fields, names, origin, own, rules
from ctwatch.lint.branches import Subject
from ctwatch.lint.calls import Known, models
from ctwatch.lint.complaint import Complaint, Level, report
from ctwatch.lint.excepted import exclusion_complaints, exclusions, leaves_out
from ctwatch.lint.own import InvalidDetectionError

__all__ = [
    "Complaint",
    "InvalidDetectionError",
    "Known",
    "Level",
    "built",
    "check",
    "complaints",
    "completed",
    "custom",
    "examine",
    "exclusion_complaints",
    "exclusions",
    "leaves_out",
    "models",
    "report",
]

_LOOKS = (
    *(origin.forgery, origin.sources, origin.signers, origin.detail_types),
    *(fields.misplaced, fields.values, names.names, names.markers),
    *(rules.states, rules.regions, rules.pitfalls),
)


def check(
    pattern: Any,
    *,
    where: str | None = None,
    read_only: bool = False,
    known: Known | None = None,
    limit: int | None = patterns.MAX_SIZE,
) -> list[Complaint]:
    """Tell what is wrong with a pattern, whatever it is.

    Args:
        pattern: an event pattern, parsed from JSON; anything else is complained about.
        where: the region of its rule: "home", "us-east-1", "every-region" or a region's name;
            None: not known.
        read_only: whether its rule is in the state that also gets reading management events.
        known: what CloudTrail records, by service; None: `models()`.
        limit: characters that a rule's pattern may have; None: however many, as it will be split.

    Returns:
        The complaints, each once; none when nothing is wrong.
    """
    if not isinstance(pattern, Mapping):
        return [Complaint("", "a pattern is an object, such as {'source': ['aws.cloudtrail']}")]
    try:
        patterns.check(pattern)
    except patterns.PatternError as error:
        return [Complaint(error.path, f"EventBridge refuses it: {error.reason}")]
    subject = Subject(pattern, models() if known is None else known, where, read_only=read_only)
    found = [complaint for look in _LOOKS for complaint in look(subject)]
    if limit is not None and (length := patterns.size(pattern)) > limit:
        found.insert(
            0, Complaint("", f"has {length} characters, a rule's pattern may have {limit}")
        )
    return list(dict.fromkeys(found))


def examine(document: Any, known: Known | None = None) -> list[Complaint]:
    """Tell what is wrong with a file: a detection, or a pattern alone.

    Args:
        document: the YAML or JSON of it, parsed; anything at all.
        known: as in `check`.
    """
    if own.looks_whole(document):
        return own.complaints_of(document, check, known)
    return check(document, known=known)


def custom(document: Any, source: str, known: Known | None = None) -> Detection:
    """Read a user's own detection.

    Args:
        document: its YAML or JSON, parsed; the keys are the catalogue's, with examples or without.
        source: where it is from ("my-detection.yaml"), for complaints.
        known: as in `check`.

    Raises:
        InvalidDetectionError: something is wrong with it; all errors at once. What is only worth a
            warning is left to `examine`.
    """
    errors = [one for one in own.complaints_of(document, check, known) if one.level == "error"]
    if errors:
        raise InvalidDetectionError(source, errors)
    return own.build(own.completed(document, check, known))


def completed(document: Mapping[str, Any]) -> dict[str, Any]:
    """A user's own detection with what it left open: where it is seen, whether it only reads.

    Args:
        document: its YAML or JSON, parsed; it need not be right.
    """
    whole: dict[str, Any] = own.completed(document, check)
    return whole


def complaints(document: Any) -> list[Complaint]:
    """Tell what is wrong with a user's own detection.

    Args:
        document: its YAML or JSON, parsed; anything at all.
    """
    return own.complaints_of(document, check)


def built(document: Mapping[str, Any]) -> Detection:
    """The detection of a document that is complete and has no error."""
    return own.build(document)
