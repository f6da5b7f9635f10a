"""Where an event comes from: its source, its eventSource, its detail-type."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ctwatch.lint.branches import Case, Condition, Subject, Verdicts
from ctwatch.lint.calls import NICKNAMES, Known
from ctwatch.lint.complaint import Complaint, nearest, shown
from ctwatch.lint.record import API, SIGN_IN, SIGN_IN_TYPES, TYPES

_SIGNER = ".amazonaws.com"
_OTHER_SPELLING = next(iter(SIGN_IN_TYPES - {SIGN_IN}))


def forgery(subject: Subject) -> Iterator[Complaint]:
    """Whether anybody in the account could send such an event: PutEvents refuses only "aws.".

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
    """
    for case in subject.every:
        source = case.branch.get("source")
        if source is None:
            near = f"aws.{case.words[0]}" if len(case.words) == 1 else ""
            reason = "without it, anybody who may put events on the bus can forge this one"
            yield Complaint("source", reason, near)
            continue
        for place, value in source.operators():
            if not _safe(value):
                reason = f"{shown(value)} takes more than AWS's own sources: easily forged"
                yield Complaint(place, reason, '{"prefix": "aws."}')


def _safe(operator: Mapping[str, Any]) -> bool:
    ((name, operand),) = operator.items()
    text = operand if name in {"prefix", "wildcard"} and isinstance(operand, str) else ""
    return text.startswith("aws.")


def sources(subject: Subject) -> list[Complaint]:
    """Whether there is such a source, and whether it goes with the eventSource."""
    verdicts = Verdicts()
    cloudtrail = set(map(id, subject.cases))
    for case in subject.every:
        source = case.branch.get("source")
        for place, text in source.texts() if source else ():
            wrong = _source(place, text, case, ours=id(case) in cloudtrail)
            verdicts.add(place, wrong)
    for case in subject.cases:
        source = case.branch.get("source")
        for place, value in source.operators() if source else ():
            verdicts.add(place, _nobody(place, value, "aws.{}", subject.known))
    return verdicts.complaints()


def _source(place: str, text: str, case: Case, *, ours: bool) -> Complaint | None:
    word = text.removeprefix("aws.")
    if not text.startswith("aws."):
        return _no_source(place, text, case.known)
    if not ours or "*" in text or word in case.words:
        return None
    if word not in case.known:
        return _no_service(place, text, "aws.{}", case.known)
    if _strange_signer(case):  # said at the eventSource
        return None
    reason = f"events of {text} have the eventSource {word}{_SIGNER}, which is not taken here"
    return Complaint(place, reason, level="warning" if case.words else "error")


def _strange_signer(case: Case) -> bool:
    signer = case.branch.get("detail.eventSource")
    texts = [text.removesuffix(_SIGNER) for _, text in signer.texts()] if signer else []
    return any(word not in case.known for word in texts)


def _no_source(place: str, text: str, known: Known) -> Complaint:
    word = text.casefold().removeprefix("aws.").removesuffix(_SIGNER)
    if word in known or word in NICKNAMES:
        reason = f"{shown(text)} is no source: AWS's begin with 'aws.', in small letters"
        return Complaint(place, reason, f"aws.{NICKNAMES.get(word, word)}")
    reason = f"{shown(text)} is not AWS's: anybody who may put events on the bus can send it"
    return Complaint(place, reason, level="warning")


def _no_service(place: str, text: str, form: str, known: Known) -> Complaint:
    before, after = form.split("{}")
    word = text.removeprefix(before).removesuffix(after)
    near = NICKNAMES.get(word.casefold()) or nearest(word, known)
    if near:
        return Complaint(place, f"no service's events say {shown(text)}", form.format(near))
    reason = f"no service is known to say {shown(text)}, so nothing more was looked at"
    return Complaint(place, reason, level="warning")


def _nobody(place: str, value: Mapping[str, Any], form: str, known: Known) -> Complaint | None:
    alone = Condition("", "", [value])
    if any(alone.takes(form.format(word)) for word in known):
        return None
    text = "".join(re.findall(r"[a-z0-9-]{3,}", str(value).replace("amazonaws.com", "")))
    near = nearest(text, known)
    return Complaint(place, f"no service's events fit {shown(value)}", near and form.format(near))


def signers(subject: Subject) -> list[Complaint]:
    """Whether there is such an eventSource, and whether it goes with the source."""
    verdicts = Verdicts()
    for case in subject.cases:
        signer = case.branch.get("detail.eventSource")
        for place, text in signer.texts() if signer else ():
            verdicts.add(place, _signer(place, text, case))
        for place, value in signer.operators() if signer else ():
            verdicts.add(place, _nobody(place, value, f"{{}}{_SIGNER}", case.known))
    return verdicts.complaints()


def _signer(place: str, text: str, case: Case) -> Complaint | None:
    word = text.removesuffix(_SIGNER)
    if "*" in text or word in case.words:
        return None
    if not text.endswith(_SIGNER):
        bare = text.removeprefix("aws.")
        near = bare if bare in case.known else NICKNAMES.get(bare) or nearest(bare, case.known)
        reason = f"{shown(text)} is no eventSource: those end in '{_SIGNER}'"
        return Complaint(place, reason, f"{near}{_SIGNER}" if near else "")
    if word not in case.known:
        return _no_service(place, text, f"{{}}{_SIGNER}", case.known)
    reason = f"{text} comes with the source aws.{word}, which is not taken here"
    return Complaint(place, reason)


def detail_types(subject: Subject) -> list[Complaint]:
    """Whether CloudTrail's events come with such a detail-type."""
    verdicts = Verdicts()
    for case in subject.cases:
        kinds = case.branch.get("detail-type")
        for place, text in kinds.texts() if kinds else ():
            verdicts.add(place, _detail_type(place, text, case))
    return verdicts.complaints()


def _detail_type(place: str, text: str, case: Case) -> Complaint | None:
    if "*" in text:
        return None
    if text not in TYPES:
        near = nearest(text, [each for each in TYPES if each != _OTHER_SPELLING]) or API
        return Complaint(place, f"CloudTrail has no detail-type {shown(text)}", near)
    if case.words == ("signin",) and text == API and not case.names:
        return Complaint(place, "sign-ins come with another detail-type than calls", SIGN_IN)
    if text in SIGN_IN_TYPES and SIGN_IN not in case.types:
        return Complaint(place, "AWS spells it in two ways, list both", SIGN_IN, "warning")
    return None
