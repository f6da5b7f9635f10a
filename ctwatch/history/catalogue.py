"""The detections that can be asked of the past, and what of them cannot.

Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ctwatch.detections import Detection, Names
from ctwatch.history.questions import Condition, Question, of_detection
from ctwatch.history.sieve import Sieve


@dataclass(frozen=True)
class Asked:
    """What is asked of the past.

    Attributes:
        questions: with the detection that each is a part of.
        ours: detections that mean a watch's own resources, where no watch is known.
        unrecorded: detections that CloudTrail has no records of.
    """

    questions: tuple[tuple[Detection, Question], ...]
    ours: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()

    @property
    def detections(self) -> list[Detection]:
        """Each once."""
        return list({one.id: one for one, _ in self.questions}.values())


def asked(
    known: Mapping[str, Detection], names: Names | None, conditions: Sequence[Condition] = ()
) -> Asked:
    """What some detections ask of the past.

    Args:
        known: which, by id.
        names: what the words in their patterns stand for; None where no watch is known.
        conditions: that hold for all of them.
    """
    questions: list[tuple[Detection, Question]] = []
    ours: list[str] = []
    unrecorded: list[str] = []
    for one in known.values():
        if one.scope == "own" and names is None:
            ours.append(one.id)
            continue
        parts = one.parts if names is None else one.filled(names)
        mine = [each for each in of_detection(one, parts) if Sieve([each]).every]
        if parts and not mine:
            unrecorded.append(one.id)
        questions += [(one, each.only(*conditions)) for each in mine]
    return Asked(tuple(questions), tuple(ours), tuple(unrecorded))
