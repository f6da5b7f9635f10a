"""What a rule must be for a pattern to work, and what is known to go wrong."""

from collections.abc import Collection, Iterator

from ctwatch.lint.branches import REQUEST, Case, Subject
from ctwatch.lint.calls import BY_ENDPOINT, GLOBAL, OF_TRAILS, US_EAST_1
from ctwatch.lint.complaint import Complaint
from ctwatch.lint.names import named_calls
from ctwatch.lint.record import API

_WIDER = "only a rule in the state ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS gets it"
_READ_ONLY = "read_only: true"
_EVERYWHERE = "where: every-region"
_SELECTORS = ("eventSelectors", "advancedEventSelectors")


def states(subject: Subject) -> Iterator[Complaint]:
    """Whether the rule gets events that only read, and whether it needs to.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html
    """
    reading = False
    for case in subject.cases:
        for place, what in _reading(case):
            reading = True
            if not subject.read_only:
                yield Complaint(place, f"{what} only reads: {_WIDER}", _READ_ONLY)
    conditions = [case.names for case in subject.cases if case.names and case.few]
    if subject.read_only and conditions and len(conditions) == len(subject.cases) and not reading:
        reason = "none of these events only reads, so the rule need not see all that do"
        yield Complaint(conditions[0].place, reason, "read_only: false", "warning")


def _reading(case: Case) -> Iterator[tuple[str, str]]:
    """What a branch looks for that only reads, with its place."""
    for place, what, calls in named_calls(case):
        if calls and all(call.read_only and not call.data for call in calls):
            yield place, what
    only = case.branch.get("detail.readOnly")
    if only and only.takes(True) and not only.takes(False):
        yield only.place, "such a call"


def regions(subject: Subject) -> Iterator[Complaint]:
    """Whether the events are recorded where the rule is."""
    for case in subject.cases:
        if case.names is None:
            source = case.branch.get("source")
            if source and case.few:
                yield from _region(source.place, "", set(case.words), case, subject.where)
            continue
        for place, text in case.names.texts():
            words = {word for word, _ in case.find(text)}
            if words:
                yield from _region(place, text, words, case, subject.where)


def _region(
    place: str, name: str, words: set[str], case: Case, where: str | None
) -> Iterator[Complaint]:
    what = name or "what it looks for"
    if words <= GLOBAL:
        if _elsewhere(where):
            reason = f"{what} is recorded in us-east-1 only, a rule in another region misses it"
            yield Complaint(place, reason, "where: us-east-1")
        yield from _wrong_region(what, case)
    elif name == "ConsoleLogin":
        yield from _sign_in_region(place, case, where)
    elif where == US_EAST_1 and not words & (GLOBAL | BY_ENDPOINT):
        home = name in OF_TRAILS
        reason = "in the trail's home region" if home else "in the region of the call"
        right = "where: home" if home else _EVERYWHERE
        yield Complaint(place, f"{what} is recorded {reason}", right, "warning")


def _elsewhere(where: str | None) -> bool:
    """Whether the rule sees nothing of us-east-1; the home region may be that one all the same."""
    return where not in {None, US_EAST_1, "every-region"}


def _sign_in_region(place: str, case: Case, where: str | None) -> Iterator[Complaint]:
    """Source: the page of console sign-in events, "Events for IAM users" and "for root users"."""
    who = case.branch.get("detail.userIdentity.type")
    others = who is None or who.takes("IAMUser") or who.takes("AssumedRole")
    if _elsewhere(where) and not others:
        reason = "the root user's ConsoleLogin is recorded in us-east-1 only"
        yield Complaint(place, reason, "where: us-east-1")
    elif others and where not in {None, "every-region"}:
        reason = "ConsoleLogin is recorded in the region one signs in by, root's in us-east-1"
        yield Complaint(place, reason, _EVERYWHERE, "warning")


def pitfalls(subject: Subject) -> Iterator[Complaint]:
    """What published patterns get wrong although each name in them is right."""
    for case in subject.cases:
        yield from _only_cloudtrail(case)
        yield from _without_mfa(case)
    yield from _half_the_selectors(subject)


def _half_the_selectors(subject: Subject) -> Iterator[Complaint]:
    """PutEventSelectors can blind a trail by three settings, in two forms."""
    looks = [_selectors(case) for case in subject.cases if _puts_selectors(case)]
    seen = {path: place for look in looks for path, place in look.items()}
    for setting in _unseen(seen) if all(looks) else ():
        reason = f"PutEventSelectors also blinds a trail by {setting}, not looked at here"
        place = next(iter(seen.values()))
        yield Complaint(place, reason, f"{REQUEST}.{setting}", "warning")


def _puts_selectors(case: Case) -> bool:
    named = case.names is not None and case.names.takes("PutEventSelectors")
    return named and "cloudtrail" in case.words and not case.omission


def _selectors(case: Case) -> dict[str, str]:
    """The settings that a branch looks at, with the place of each."""
    return {
        ".".join(path): condition.place
        for condition, path in case.parameters()
        if path[0] in _SELECTORS
    }


def _wrong_region(what: str, case: Case) -> Iterator[Complaint]:
    for path in ("region", "detail.awsRegion"):
        condition = case.branch.get(path)
        if condition and not condition.takes(US_EAST_1):
            reason = f"{what} is recorded in us-east-1 only"
            yield Complaint(condition.place, reason, US_EAST_1)


def _only_cloudtrail(case: Case) -> Iterator[Complaint]:
    """The name of the messenger taken for that of all it brings."""
    source = case.branch.get("source")
    asks = {path for path in case.branch if path.startswith("detail.userIdentity")}
    free = case.names is None and not any(case.parameters()) and API in case.types
    if source and case.words == ("cloudtrail",) and free and asks:
        reason = (
            "aws.cloudtrail is the source of calls to CloudTrail itself; calls to other services "
            "come with the source of each"
        )
        yield Complaint(source.place, reason, '{"prefix": "aws."}', "warning")


def _without_mfa(case: Case) -> Iterator[Complaint]:
    used = case.branch.get("detail.additionalEventData.MFAUsed")
    who = case.branch.get("detail.userIdentity.type")
    if used and used.takes("No") and (who is None or who.takes("AssumedRole")):
        reason = (
            "sign-ins by SSO or a role say 'No' even with MFA, ask for "
            "detail.userIdentity.type IAMUser or Root"
        )
        yield Complaint(used.place, reason, level="warning")


def _unseen(seen: Collection[str]) -> Iterator[str]:
    """The settings of PutEventSelectors that a pattern looking at some of them leaves out."""
    if not seen:
        return
    forms = {path.partition(".")[0] for path in seen}
    yield from (form for form in _SELECTORS if form not in forms)
    if "eventSelectors" in forms and "eventSelectors" not in seen:
        for setting in ("readWriteType", "includeManagementEvents"):
            if f"eventSelectors.{setting}" not in seen:
                yield f"eventSelectors.{setting}"
