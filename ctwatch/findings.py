"""What a look at a watch finds, and what is done about it: the values that the engine yields.

A finding is one resource as it was found; a step is what became of one. Neither knows how to look
or to act, and neither prints.
"""

from dataclasses import dataclass
from enum import StrEnum

from ctwatch.diff import Difference
from ctwatch.errors import CtwatchError, ForeignError
from ctwatch.resources.base import Live, Resource


class Verdict(StrEnum):
    """What a look at one resource found."""

    OK = "ok"
    MISSING = "missing"
    DRIFTED = "drifted"
    FOREIGN = "foreign"
    STRAY = "stray"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What became of one resource."""

    STARTED = "started"
    CREATED = "created"
    REPAIRED = "repaired"
    DELETED = "deleted"
    KEPT = "kept"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """One resource as it was found.

    Attributes:
        resource: the resource.
        live: what is there.
        differences: between the promise and what is there.
        error: why it could not be looked at.
        unwanted: whether the promise is that it is not there.
    """

    resource: Resource
    live: Live | None = None
    differences: tuple[Difference, ...] = ()
    error: CtwatchError | None = None
    unwanted: bool = False

    @property
    def verdict(self) -> Verdict:
        """What was found."""
        if self.error:
            return Verdict.UNKNOWN
        if self.live is None:
            return Verdict.OK if self.unwanted else Verdict.MISSING
        if self.live.owner != self.resource.watch and not self.resource.given:
            return Verdict.OK if self.unwanted else Verdict.FOREIGN
        if self.unwanted:
            return Verdict.STRAY
        return Verdict.DRIFTED if self.differences else Verdict.OK

    @property
    def ours(self) -> bool:
        """Whether it is there and is the watch's own."""
        there = {Verdict.OK, Verdict.DRIFTED, Verdict.STRAY}
        return self.live is not None and self.verdict in there and not self.resource.given

    @property
    def outlives(self) -> bool:
        """Whether it is of an earlier config and stays all the same, as it is data."""
        return self.verdict is Verdict.STRAY and self.resource.data

    @property
    def only_by_hand(self) -> bool:
        """Whether all that is amiss is what only a person can mend."""
        hand = self.resource.by_hand
        return self.verdict is Verdict.DRIFTED and all(d.path in hand for d in self.differences)

    @property
    def settled(self) -> bool:
        """Whether nothing is amiss but, at most, what only a person can mend."""
        return self.verdict is Verdict.OK or self.only_by_hand or self.outlives


@dataclass(frozen=True)
class Step:
    """What was done to one resource.

    Attributes:
        resource: the resource.
        action: what became of it.
        error: why it failed or was skipped.
        differences: what a repair mended.
    """

    resource: Resource
    action: Action
    error: CtwatchError | None = None
    differences: tuple[Difference, ...] = ()


def foreign(finding: Finding) -> ForeignError:
    """The sentence for a thing that has our name without our tag, or is known to be another's."""
    one, facts = finding.resource, finding.live.facts if finding.live else {}
    anothers = facts.get("anothers")
    why = anothers or f"it lacks the tag ctwatch:watch={one.watch}"
    hint = _HINT if anothers else f"{_HINT} {LOST}"
    return ForeignError(f"{one.title} is there already and is not this watch's: {why}", hint)


_HINT = "Choose another name in the config, or delete it yourself if nobody needs it."
LOST = "If this watch made it, put that tag on it again."
"""What to do about a thing of ours that has lost its tag."""
