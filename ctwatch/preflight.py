"""What is looked at before anything is touched: what `up` would run into, and what is hardly meant.

Each check is a decision over what AWS answered, which is read all at once. A doubt is told and
gone past; where going on would only leave half a watch, it stops `up`. What may not be looked at
is told too, and stops nothing: denied is not absent.

The region itself is looked at when the watch is opened, as no call passes where it is not enabled.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from ctwatch.aws import TROUBLE, Aws, complaint, listing_regions
from ctwatch.errors import AwsError
from ctwatch.findings import Finding
from ctwatch.opening import Opened, not_enabled
from ctwatch.permissions import Grant, allow
from ctwatch.resources.subscription import Subscription
from ctwatch.resources.trail import known_trails, looking_at_any, recorders
from ctwatch.watch import Watch

_MOST_TRAILS = 5
"""In a region, shadows of trails elsewhere included; AWS does not raise it.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html"""
_SOON = timedelta(minutes=15)


@dataclass(frozen=True)
class Doubt:
    """What speaks against going on.

    Attributes:
        sentence: what was found.
        hint: what to do about it; "" for nothing.
        stops: whether going on would be wrong.
        copies: whether it is that another trail records already, so that a copy is paid for.
    """

    sentence: str
    hint: str = ""
    stops: bool = False
    copies: bool = False


class Trails(NamedTuple):
    """The trails of the home region.

    Attributes:
        known: as DescribeTrails answers them.
        recording: the ARNs of those that are nobody's of this watch, and record what is written.
        refused: why it cannot be told of others.
    """

    known: Sequence[Any]
    recording: Sequence[str]
    refused: Sequence[AwsError]


class Answers(NamedTuple):
    """What AWS says to what `doubts` has to know, or why it does not.

    Attributes:
        trails: of the home region; None where that is not asked.
        regions: those that the account has, by name; None where that is not asked.
    """

    trails: Trails | AwsError | None
    regions: Any


def ask(opened: Opened) -> Answers:
    """Ask AWS what `doubts` has to know."""
    watch, aws = opened.watch, opened.aws
    return Answers(
        *aws.together(
            partial(_asked, partial(_trails, watch, aws) if watch.owns_trail else _nothing),
            partial(_asked, aws.regions if watch.away else _nothing),
        )
    )


def doubts(opened: Opened, answers: Answers) -> list[Doubt]:
    """Say what speaks against `ctwatch up`.

    Args:
        opened: with what earlier configs have left behind among what is unwanted.
        answers: of `ask`.
    """
    watch, aws, (trails, regions) = opened.watch, opened.aws, answers
    others = sorted({one.place.region for one in watch.away})
    return [
        *_of_caller(opened.caller),
        *_of_session(aws.expires(), aws.clock.now()),
        *(_unseen(trails) if isinstance(trails, AwsError) else _of_trails(watch, trails)),
        *(_unseen(regions) if isinstance(regions, AwsError) else _of_regions(others, regions)),
    ]


def needs(watch: Watch) -> Iterator[Grant]:
    """What `doubts` needs."""
    if watch.owns_trail:
        yield from (allow("cloudtrail", "DescribeTrails"), looking_at_any(watch.place.partition))
    if watch.away:
        yield listing_regions(watch.place)


def _nothing() -> None:
    """The answer to what need not be asked."""


def _asked(call: Callable[[], Any]) -> Any:
    """The answer, or why there is none."""
    try:
        return call()
    except AwsError as error:
        return error


def _unseen(error: AwsError) -> Iterator[Doubt]:
    yield Doubt(f"not looked at, {error.problem}", error.hint)


def _trails(watch: Watch, aws: Aws) -> Trails:
    """Ask for the trails.

    Raises:
        AwsError: AWS would not say.
    """
    try:
        known = sorted(known_trails(aws), key=lambda one: str(one["Name"]))
    except TROUBLE as error:
        raise complaint(error, "looking for other trails") from error
    ours = {one.arn for one in (watch.trail, *watch.unwanted)}
    others = [one for one in known if one["TrailARN"] not in ours]
    recording, refusals = recorders(aws, others)
    return Trails(known, recording, [complaint(one, "looking at a trail") for one in refusals])


def _of_trails(watch: Watch, trails: Trails | None) -> Iterator[Doubt]:
    """A trail that records already, and room for no more."""
    if trails is None:
        return
    region, arns = watch.place.region, [one["TrailARN"] for one in trails.known]
    ours = {one.arn for one in watch.unwanted}
    recording = [arn for arn in trails.recording if arn not in ours]
    if watch.trail.arn not in arns and len(arns) >= _MOST_TRAILS:
        yield Doubt(
            f"{region} has {len(arns)} trails already, and AWS allows {_MOST_TRAILS}: "
            f"{', '.join(one['Name'] for one in trails.known)}",
            f"Delete one that nobody needs, or lean on one: {_leaning(watch, arns[0])}",
            stops=True,
        )
    if recording:
        names = " and ".join(recording)
        verb = "records" if len(recording) == 1 else "record"
        yield Doubt(
            f"{names} {verb} the management events of {region} already, and a copy beside the "
            "first costs $2.00 per 100,000 events",
            f"To lean on that in the place of a trail of the watch's own: "
            f"{_leaning(watch, trails.recording[0])}",
            copies=True,
        )
    for error in trails.refused[:1]:
        yield from _unseen(error)


def _leaning(watch: Watch, arn: str) -> str:
    """The line of the config that leans on a trail; one at home here goes by its name."""
    here = watch.place.arn("cloudtrail", "trail/")
    return f"trail: {{existing: {arn.removeprefix(here)}}}"


def _of_caller(arn: str) -> Iterator[Doubt]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/root-user-best-practices.html."""
    if arn.endswith(":root"):
        yield Doubt(
            "these are the root user's credentials, which nothing can limit",
            "Let a role do it, and keep the root user for what only it can do.",
        )


def _of_session(end: datetime | None, now: datetime) -> Iterator[Doubt]:
    if end is not None and end - now < _SOON:
        minutes = max(0, int((end - now).total_seconds() // 60))
        yield Doubt(
            f"your session ends in {minutes} min, and what is under way then fails",
            "Log in again first, with SSO by: aws sso login",
        )


def _of_regions(asked: Sequence[str], enabled: Sequence[str] | None) -> Iterator[Doubt]:
    """Regions other than home in which a rule is wanted."""
    for region in asked if enabled is not None else ():
        if region not in (enabled or ()):
            yield Doubt(*not_enabled(region), stops=True)


def unconfirmed(findings: Sequence[Finding]) -> Iterator[Doubt]:
    """Who was asked whether mail may come, and has not said yes."""
    for one in findings:
        person, state = one.resource, one.live.state if one.live else {}
        if isinstance(person, Subscription) and not state.get("confirmed", True):
            yield Doubt(f"{person.name} gets no mail yet: nobody has followed the link in the mail "
                        "that asks for it")  # fmt: skip
