"""The names of events, and the parameters of their requests."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ctwatch.lint.branches import Case, Condition, Subject, Verdicts
from ctwatch.lint.calls import FAMILIAR, PERMISSIONS, RENAMED, Call
from ctwatch.lint.complaint import Complaint, Level, nearest, shown
from ctwatch.lint.fields import literal_star
from ctwatch.lint.record import API, RECORD, SERVICE_EVENT, SIGN_IN


def names(subject: Subject) -> Iterator[Complaint]:
    """Names that no event has, and parameters that the events of those names have not."""
    dead = _dead(subject)
    verdicts = Verdicts()
    # A branch for requests too large for a record proves nothing of the others.
    cases = [case for case in subject.cases if not case.omission] or subject.cases
    for case in cases:
        for place, text in case.names.texts() if case.names else ():
            verdicts.add(place, _name(place, text, case, dead))
            yield from _data_event(place, text, case)
        for place, value in case.names.operators() if case.names else ():
            verdicts.add(place, _no_name(place, value, case))
            yield from _excepted_names(place, value, case)
    yield from verdicts.complaints()
    yield from dead.values()


def _dead(subject: Subject) -> dict[str, Complaint]:
    """The conditions on parameters that none of the calls has, by place."""
    verdicts = Verdicts()
    for case in subject.cases:
        calls = [call for _, call in case.calls]
        for condition, path in case.parameters() if calls else ():
            verdicts.add(condition.place, _without(condition, path, calls))
    return {complaint.path: complaint for complaint in verdicts.complaints()}


def _name(place: str, text: str, case: Case, dead: Collection[str]) -> Complaint | None:
    """Why no event of that name gets through one branch."""
    if not case.words or case.open_names:
        return None
    found = [call for _, call in case.find(text)]
    if not found:
        return _unknown_name(place, text, case)
    typed = [call for call in found if call.types & case.types]
    if not typed:
        kinds = found[0].types
        right = SIGN_IN if SIGN_IN in kinds else min(kinds)
        return Complaint(place, f"{text} comes with another detail-type", right)
    for condition, path in case.parameters():
        missing = [_missing(call, path) for call in typed]
        if all(missing) and not condition.takes_absence and condition.place not in dead:
            key, near = _nearest_key(missing)
            reason = f"{text} has no request parameter '{key}', so it never matches"
            return Complaint(place, reason, near)
    return None


def markers(subject: Subject) -> Iterator[Complaint]:
    """Parameters of S3 that stand in every record and say nothing."""
    for case in subject.cases:
        for condition, path in case.parameters():
            for _, call in case.calls:
                if call.parameters and path[0] in call.parameters.markers:
                    yield _marker(condition, path[0], call)


def named_calls(case: Case) -> Iterator[tuple[str, str, list[Call]]]:
    """Each alternative of the name: its place, how it reads, and the calls it means."""
    if case.names is None:
        return
    for place, text in case.names.texts():
        yield place, text, [call for _, call in case.find(text) if API in call.types & case.types]
    for place, value in case.names.operators():
        alone = Condition("", "", [value])
        yield place, shown(value), [call for _, call in case.calls if alone.takes(call.name)]


def _data_event(place: str, text: str, case: Case) -> Iterator[Complaint]:
    if any(call.data for _, call in case.find(text)):
        reason = f"{text} is a data event: it comes only if a trail is told to log those, for a fee"
        yield Complaint(place, reason, level="warning")


def _no_name(place: str, value: Mapping[str, Any], case: Case) -> Complaint | None:
    if not case.few or case.open_names:
        return None
    alone = Condition("", "", [value])
    every = [call for word in case.words for call in case.known[word].values()]
    fitting = [call for call in every if alone.takes(call.name)]
    if any(call.types & case.types for call in fitting):
        return None
    if fitting:
        right = min(fitting[0].types)
        reason = f"events that fit {shown(value)} come with another detail-type"
        return Complaint(place, reason, right)
    text = "".join(re.findall(r"\w+", str(next(iter(value.values())))))
    near = nearest(text, (call.name for call in every))
    return Complaint(place, f"no event of {_signers(case)} fits {shown(value)}", near)


def _excepted_names(place: str, value: Mapping[str, Any], case: Case) -> Iterator[Complaint]:
    operand = value.get("anything-but", ())
    texts = [operand] if isinstance(operand, str) else operand
    for text in texts if isinstance(texts, list) else ():
        if isinstance(text, str) and case.few and not case.find(text):
            wrong = _unknown_name(place, text, case)
            reason = f"leaves out nothing: {wrong.reason}"
            yield Complaint(place, reason, wrong.suggestion, "warning")


def _signers(case: Case) -> str:
    first, *others = case.words
    if not case.few:
        return "any service"
    return "these services" if others else f"{first}.amazonaws.com"


def _unknown_name(place: str, text: str, case: Case) -> Complaint:
    """There is no such event: why somebody may think so, and the right name."""
    if "*" in text:
        return literal_star(place, text)
    explicit = "detail-type" in case.branch and SERVICE_EVENT in case.types
    reason, right = _explained(text, case)
    return Complaint(place, reason, right, "warning" if explicit else "error")


def _explained(text: str, case: Case) -> tuple[str, str]:
    prefix, colon, action = text.rpartition(":")
    if colon:
        reason = f"{shown(text)} is written as in an IAM policy; an event's name has no '{prefix}:'"
        return reason, action if case.find(action) else _explained(action, case)[1]
    for word in case.words if case.few else FAMILIAR:
        if right := RENAMED.get(word, {}).get(text):
            return f"{text} is the API's name; CloudTrail records it under another", right
    if text in PERMISSIONS:
        return f"{text} is an action of IAM policies, never an event", PERMISSIONS[text]
    near = nearest(text, _all_names(case))
    if near.casefold() == text.casefold():
        return f"{shown(text)} is written with other capitals", near
    for word in FAMILIAR:
        if word in case.known and word not in case.words and text in case.known[word]:
            return f"{text} is an event of {word}.amazonaws.com, not of {_signers(case)}", ""
    return f"there is no event {shown(text)} of {_signers(case)}", near


def _all_names(case: Case) -> Iterator[str]:
    for word in case.words if case.few else FAMILIAR:
        yield from case.known.get(word, {})


_Missing: TypeAlias = tuple[str, Collection[str]]


def _missing(call: Call, path: Sequence[str]) -> _Missing | None:
    """As `Parameters.missing`, for what is known of the call's parameters and certain."""
    if call.parameters is None or not call.parameters.certain:
        return None
    return call.parameters.missing(path)


def _nearest_key(missing: Iterable[_Missing | None]) -> tuple[str, str]:
    """The key that is missing, and the nearest of those that are not."""
    faults = [fault for fault in missing if fault]
    key = faults[0][0]
    names = sorted({name for _, names in faults for name in names})
    if key in RECORD and not nearest(key, names):
        return key, f"detail.{key}"
    return key, nearest(key, names)


def _without(condition: Condition, path: Sequence[str], calls: list[Call]) -> Complaint | None:
    """Why none of the calls has the parameter."""
    missing = [call.parameters.missing(path) if call.parameters else None for call in calls]
    if not all(missing):
        return None
    key, near = _nearest_key(missing)
    named = calls[0].name if len(calls) == 1 else "none of these events"
    verb = "has no" if len(calls) == 1 else "has a"
    certain = all(call.parameters and call.parameters.certain for call in calls)
    level: Level = "error" if certain and not condition.takes_absence else "warning"
    return Complaint(condition.place, f"{named} {verb} request parameter '{key}'", near, level)


def _marker(condition: Condition, key: str, call: Call) -> Complaint:
    body = next((name for name in sorted(_bodies(call)) if name.casefold() != key.casefold()), "")
    if condition.takes("") or condition.takes_absence:
        reason = f"'{key}' stands empty in every {call.name}, whatever it does"
        return Complaint(condition.place, reason, body, "warning")
    return Complaint(condition.place, f"'{key}' stands empty in every {call.name}", body)


def _bodies(call: Call) -> Iterator[str]:
    """The keys of S3's parameters that hold the request's body: not headers, bucket and host."""
    for name in call.parameters.keys if call.parameters else ():
        if name[:1].isupper() and "-" not in name and name != "Host":
            yield name
