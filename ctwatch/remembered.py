"""What the drills of the past have left on the rules: the last one of each technique, and its end.

A drill writes it as a tag on the rule at home (see `resources.rule.PROOF`), so that whoever looks
from any machine sees it. Anybody who may tag the rule can write there what he likes: it is told,
and never counted as a hop. What is not in the form of such a tag is passed over.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ctwatch.findings import Finding

_TECHNIQUE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_ENDED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (proven|silent) (\d{1,6}(?:\.\d{1,3})?)")


@dataclass(frozen=True)
class Remembered:
    """The last drill of one technique.

    Attributes:
        technique: "stop-logging".
        at: when it was called, in UTC.
        proven: whether every hop that can be proven was.
        seconds: until the last hop was proven.
    """

    technique: str
    at: datetime
    proven: bool
    seconds: float


def remembered(findings: Iterable[Finding]) -> list[Remembered]:
    """The last drill of each technique, the newest first.

    Args:
        findings: the rules at home, as they were found.
    """
    last: dict[str, Remembered] = {}
    for finding in findings:
        facts = finding.live.facts if finding.live else {}
        for one in _read(facts.get("proofs", {})):
            known = last.get(one.technique)
            last[one.technique] = one if known is None or one.at > known.at else known
    return sorted(last.values(), key=lambda one: (one.at, one.technique), reverse=True)


def _read(proofs: Mapping[str, str]) -> Iterator[Remembered]:
    for technique, ended in proofs.items():
        told = _ENDED.fullmatch(ended)
        if not (told and _TECHNIQUE.fullmatch(technique)):
            continue
        try:
            at = datetime.strptime(told[1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:  # in the form of a time, and none
            continue
        yield Remembered(technique, at, told[2] == "proven", float(told[3]))
