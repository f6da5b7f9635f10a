"""The detections that can be asked of the past, and what of them cannot.

Pure.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ctwatch.config import RuleConfig
from ctwatch.detections import Detection, Names
from ctwatch.history.questions import Condition, Question, of_detection
from ctwatch.history.sieve import Sieve
from ctwatch.lint import exclusions


@dataclass(frozen=True)
class Asked:
    """What is asked of the past.

    Attributes:
        questions: with the detection that each is a part of.
        rules: what is left of them for a rule with an `except`: a detection's id, the rule's name,
            and a question.
        ours: detections that mean a watch's own resources, where no watch is known.
        unrecorded: detections that CloudTrail has no records of.
        unheld: detections that go by what the source does not tell.
    """

    questions: tuple[tuple[Detection, Question], ...]
    ours: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()
    unheld: tuple[str, ...] = ()
    rules: tuple[tuple[str, str, Question], ...] = ()

    @property
    def detections(self) -> list[Detection]:
        """Each once."""
        return list({one.id: one for one, _ in self.questions}.values())


def asked(
    known: Mapping[str, Detection],
    names: Names | None,
    conditions: Sequence[Condition] = (),
    holds: Callable[[Question], bool] = lambda _: True,
    *,
    rules: Sequence[RuleConfig] = (),
) -> Asked:
    """What some detections ask of the past.

    Args:
        known: which, by id.
        names: what the words in their patterns stand for; None where no watch is known.
        conditions: that hold for all of them.
        holds: whether the source tells what a question goes by.
        rules: of the config.

    Raises:
        ConfigError: what a rule leaves out cannot be taken out of its pattern.
    """
    questions: list[tuple[Detection, Question]] = []
    ours: list[str] = []
    unrecorded: list[str] = []
    unheld: list[str] = []
    for one in known.values():
        if one.scope == "own" and names is None:
            ours.append(one.id)
            continue
        parts = one.parts if names is None else one.filled(names)
        mine = [each for each in of_detection(one, parts) if Sieve([each]).every]
        if parts and not mine:
            unrecorded.append(one.id)
        if not all(map(holds, mine)):
            unheld.append(one.id)
            continue
        questions += [(one, each.only(*conditions)) for each in mine]
    told = tuple(_left(questions, rules))
    return Asked(tuple(questions), tuple(ours), tuple(unrecorded), tuple(unheld), told)


def _left(
    questions: Sequence[tuple[Detection, Question]], rules: Sequence[RuleConfig]
) -> Iterator[tuple[str, str, Question]]:
    """The questions as the rules with an `except` put them."""
    for rule in rules:
        left_out = rule.excepted.model_dump()
        for detection, one in questions:
            if detection.id == rule.detection and any(left_out.values()):
                pattern = exclusions(one.pattern, **left_out)
                yield detection.id, rule.name, replace(one, pattern=pattern)
