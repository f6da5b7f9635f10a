"""A pattern as its branches, one for each way through its `$or`s, and what each can mean."""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ctwatch import patterns
from ctwatch.lint.calls import FAMILIAR, Call, Known, lookup
from ctwatch.lint.complaint import Complaint
from ctwatch.lint.record import API, SIGN_IN_TYPES, TYPES


@dataclass(frozen=True, eq=False)
class Condition:
    """What a pattern asks of one field.

    Attributes:
        path: the field, "detail.eventName".
        place: where the pattern says so, "detail.$or[1].eventName".
        values: the alternatives.
    """

    path: str
    place: str
    values: Sequence[Any]
    _compiled: list[patterns.Pattern] = field(default_factory=list)

    def _matches(self, event: Mapping[str, Any]) -> bool:
        if not self._compiled:
            self._compiled.append(patterns.compile_pattern({"it": list(self.values)}))
        return self._compiled[0].matches(event)

    def takes(self, scalar: Any) -> bool:
        """Whether a field of that value will do."""
        return self._matches({"it": scalar})

    @property
    def takes_absence(self) -> bool:
        """Whether the want of the field will do."""
        return self._matches({})

    def each(self) -> Iterator[tuple[str, Any]]:
        """Every alternative with its place."""
        for at, value in enumerate(self.values):
            yield f"{self.place}[{at}]", value

    def texts(self) -> Iterator[tuple[str, str]]:
        """The alternatives that name one value, with their places."""
        for place, value in self.each():
            text = value.get("exactly") if isinstance(value, Mapping) else value
            if isinstance(text, str):
                yield place, text

    def operators(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The alternatives that do not, with their places."""
        for place, value in self.each():
            if isinstance(value, Mapping) and "exactly" not in value:
                yield place, value


Branch: TypeAlias = dict[str, Condition]


def branches(pattern: Mapping[str, Any]) -> list[Branch]:
    """Every way through the `$or`s of a valid pattern, as path -> condition."""
    return _branches(pattern, [{}])


def _branches(
    pattern: Mapping[str, Any], so_far: list[Branch], name: str = "", place: str = ""
) -> list[Branch]:
    for key, value in pattern.items():
        here, path = f"{place}.{key}".lstrip("."), f"{name}{key}"
        if key == "$or":
            so_far = [
                branch
                for at, choice in enumerate(value)
                for branch in _branches(choice, so_far, name, f"{here}[{at}]")
            ]
        elif isinstance(value, Mapping):
            so_far = _branches(value, so_far, f"{path}.", here)
        else:
            so_far = [{**branch, path: Condition(path, here, value)} for branch in so_far]
    return so_far


REQUEST = "detail.requestParameters"


class Verdicts:
    """What each place came to in each branch; one good branch makes it good."""

    def __init__(self) -> None:
        self._bad: dict[str, Complaint] = {}
        self._good: set[str] = set()

    def add(self, place: str, complaint: Complaint | None) -> None:
        """Note what the place came to in one branch."""
        if complaint is None:
            self._good.add(place)
        else:
            self._bad.setdefault(place, complaint)

    def complaints(self) -> list[Complaint]:
        """The complaint about each place that was good in no branch."""
        return [one for place, one in self._bad.items() if place not in self._good]


@dataclass(frozen=True, eq=False)
class Case:
    """One branch and the calls it can mean.

    Attributes:
        branch: the conditions.
        known: all services.
        words: the first words of the eventSources that it lets through.
        types: CloudTrail's detail-types that it lets through.
    """

    branch: Branch
    known: Known
    words: tuple[str, ...]
    types: frozenset[str]

    @property
    def names(self) -> Condition | None:
        """The condition on the event's name."""
        return self.branch.get("detail.eventName")

    @property
    def few(self) -> bool:
        """Whether it is about services that were named, so that all their calls may be read."""
        return 0 < len(self.words) <= len(FAMILIAR)

    @property
    def open_names(self) -> bool:
        """Whether it is only about events that are no calls: those may have any name."""
        return not self.types & {API, *SIGN_IN_TYPES}

    @property
    def omission(self) -> bool:
        """Whether it is there for requests too large for a record."""
        return f"{REQUEST}.omitted" in self.branch

    def find(self, name: str) -> list[tuple[str, Call]]:
        """The calls of that name in the services it can mean."""
        near = [word for word in FAMILIAR if word in self.words]
        return self._find(name, near) or self._find(name, self.words)

    def _find(self, name: str, words: Iterable[str]) -> list[tuple[str, Call]]:
        found = ((word, lookup(self.known[word], word, name)) for word in words)
        return [(word, call) for word, call in found if call]

    @functools.cached_property
    def calls(self) -> list[tuple[str, Call]]:
        """The calls it can mean, by name and detail-type; none when it names no services."""
        if not self.few:
            return []
        every = [(word, call) for word in self.words for call in self.known[word].values()]
        named = [one for one in every if self.names is None or self.names.takes(one[1].name)]
        if self.names:
            named += [one for _, text in self.names.texts() for one in self.find(text)]
        return [one for one in dict.fromkeys(named) if one[1].types & self.types]

    def parameters(self) -> Iterator[tuple[Condition, list[str]]]:
        """The conditions on the request's parameters, each with its path below them."""
        for path, condition in self.branch.items():
            if path.startswith(f"{REQUEST}."):
                yield condition, path.removeprefix(f"{REQUEST}.").split(".")


# The fields by which a pattern shows that it means a record of CloudTrail.
_TELLTALES = frozenset({"eventname", "eventsource", "useridentity", "requestparameters"})


def _of_cloudtrail(branch: Branch) -> bool:
    """Whether a branch is about CloudTrail's events, or was meant to be."""
    kinds = branch.get("detail-type")
    if kinds and any(map(kinds.takes, TYPES)):
        return True
    if kinds and any("cloudtrail" in text.casefold() for _, text in kinds.texts()):
        return True
    below = [path.casefold().split(".") for path in branch if path.startswith("detail.")]
    return any(names[1] in _TELLTALES for names in below)


class Subject:
    """A valid pattern under inspection.

    Attributes:
        known: all services.
        where: the region of its rule, as in `ctwatch.lint.check`.
        read_only: whether its rule gets reading management events too.
        every: all its branches.
        cases: those about events of CloudTrail.
    """

    def __init__(
        self, pattern: Mapping[str, Any], known: Known, where: str | None, *, read_only: bool
    ) -> None:
        self.known, self.where, self.read_only = known, where, read_only
        self._words: dict[tuple[int, int], tuple[str, ...]] = {}
        self.every = [self._case(branch) for branch in branches(pattern)]
        self.cases = [case for case in self.every if _of_cloudtrail(case.branch)]

    def _case(self, branch: Branch) -> Case:
        source, signer = branch.get("source"), branch.get("detail.eventSource")
        key = (id(source), id(signer))  # most branches share both
        if key not in self._words:
            self._words[key] = tuple(
                word
                for word in self.known
                if (source is None or source.takes(f"aws.{word}"))
                and (signer is None or signer.takes(f"{word}.amazonaws.com"))
            )
        kinds = branch.get("detail-type")
        taken = frozenset(each for each in TYPES if kinds is None or kinds.takes(each))
        return Case(branch, self.known, self._words[key], taken)
