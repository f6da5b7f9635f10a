"""IAM policies: the least one that lets a command do its work, and the one that protects the watch.

    resources' actions, and what strays, diagnose, simulate ... need ─┐
                                                                      ├─> grants of a command
    the config, planned as for the command ───────────────────────────┘        │
                                        merged: an ARN that another covers goes ▼
                                              documents, none larger than AWS takes

Pure: nothing here calls AWS, so that a policy can be had before there are any permissions.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ctwatch import (
    alerts,
    confirmation,
    delivered,
    diagnose,
    opening,
    preflight,
    silence,
    simulate,
    strays,
    untold,
)
from ctwatch.aws import Place
from ctwatch.blows import On
from ctwatch.config import Config
from ctwatch.errors import ConfigError
from ctwatch.existing import ExistingTrail
from ctwatch.history import athena, lookup
from ctwatch.permissions import ANY, Condition, Grant
from ctwatch.resources.base import Resource
from ctwatch.resources.key import GivenKey, decrypting
from ctwatch.resources.trail import Trail
from ctwatch.watch import Watch, plan

Document = dict[str, Any]
"""A policy."""

COMMANDS = ("plan", "up", "confirm", "status", "simulate", "alerts", "history", "down")
"""What a policy can be had for: all that looks at a watch."""

MANAGED_LIMIT = 6_144
"""Characters of a managed policy, white space not counted.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

SCP_LIMIT = 5_120
"""Characters of a service control policy; twice as many since May 2026, as far as that has come.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
"""


@dataclass(frozen=True)
class Subject:
    """What a policy is for.

    Attributes:
        config: with account and region filled in, and `regions: all` as it stands.
        watch: as it is planned.
        data: whether `down` deletes the logs, too.
        on: what `simulate` strikes.
        logs: whether `status` checks the log files, too, and `history` reads them.
        existing: as far as it is known, the trail that the config calls existing.
        athena: whether `history` asks Athena, too.
    """

    config: Config
    watch: Watch
    data: bool = False
    on: On = On.PROBE
    logs: bool = False
    existing: ExistingTrail | None = None
    athena: bool = False

    @property
    def bucket(self) -> str:
        """The name of the bucket of an existing trail; a star where nobody knows it."""
        return (self.existing.bucket if self.existing else "") or ANY

    @property
    def key(self) -> GivenKey | None:
        """What encrypts the log files of an existing trail, as far as it is known."""
        arn = self.existing.kms if self.existing else None
        return GivenKey(arn) if arn else None

    @property
    def resources(self) -> tuple[Resource, ...]:
        """All of the watch, and what it must not have by another route."""
        return (*self.watch.resources, *self.watch.unwanted)


def subject(  # noqa: PLR0913 - all by name
    config: Config,
    place: Place,
    existing: ExistingTrail | None = None,
    *,
    data: bool = False,
    on: On = On.PROBE,
    logs: bool = False,
    with_athena: bool = False,
) -> Subject:
    """What the policies of a config at a place are for; asks nobody for anything.

    Args:
        config: as it was loaded.
        place: where.
        existing: as far as it is known, the trail that the config calls existing.
        data: as for `Subject`.
        on: as for `Subject`.
        logs: as for `Subject`.
        with_athena: `athena` of `Subject`.
    """
    filled = config.filled(account=place.account)
    secrets = dict.fromkeys(one.name for one in filled.channels)
    watch = plan(filled.everywhere, place, secrets, existing=existing)
    return Subject(filled, watch, data, on, logs, existing, with_athena)


def policy(command: str | None, about: Subject) -> list[Document]:
    """The least policy of a command, or of all of them; more than one where it is too large.

    Args:
        command: one of `COMMANDS`, or None.
        about: what it is for.
    """
    commands = (command,) if command else COMMANDS
    granted = [grant for one in commands for grant in _NEEDS[one](about)]
    return documents(merged(granted), "Allow", MANAGED_LIMIT)


def _opening(about: Subject) -> Iterator[Grant]:
    return opening.needs(about.config, about.watch)


def _confirm(about: Subject) -> Iterator[Grant]:
    yield from (*_opening(about), *confirmation.needs(about.watch.topic))


def _alerts(about: Subject) -> Iterator[Grant]:
    yield from (*_opening(about), *alerts.needs(about.watch))


def _looking(about: Subject) -> Iterator[Grant]:
    yield from _opening(about)
    for one in about.resources:
        yield from one.actions.read


def _status(about: Subject) -> Iterator[Grant]:
    yield from _looking(about)
    yield from diagnose.needs(about.watch)
    yield from untold.needs(about.watch)


def _status_logs(about: Subject) -> Iterator[Grant]:
    """With `--logs`, the right to read them, too."""
    yield from _status(about)
    if about.logs:
        yield from _reading_logs(about)


def _reading_logs(about: Subject) -> Iterator[Grant]:
    """Of whose files alone the trail knows the key where that is not its own."""
    trail, place = about.watch.trail, about.watch.place
    yield from delivered.needs(trail.arn, _log_bucket(about), place)
    yield from decrypting(trail.key if isinstance(trail, Trail) else about.key)


def _log_bucket(about: Subject) -> str:
    """The ARN of the bucket that the trail delivers into."""
    name = about.watch.bucket.name if about.watch.bucket else about.bucket
    return about.watch.place.bucket_arn(name)


def _history(about: Subject) -> Iterator[Grant]:
    """To ask the event history; to read the log bucket, or to have Athena read it, too."""
    watch = about.watch
    yield from (*_opening(about), *lookup.needs(watch.place))
    if about.logs or about.athena:
        yield from _reading_logs(about)
    if about.athena:
        yield from athena.needs(watch.place, watch.name, _log_bucket(about))


def _plan(about: Subject) -> Iterator[Grant]:
    yield from _looking(about)
    yield from strays.search_needs(about.watch, thorough=False)
    yield from preflight.needs(about.watch)


def _up(about: Subject) -> Iterator[Grant]:
    yield from (*_plan(about), *_status(about))
    for one in about.watch.resources:
        yield from one.actions.write
    for one in about.watch.unwanted:
        yield from one.actions.delete
    yield from strays.removal_needs(about.watch, data=False)


def _simulate(about: Subject) -> Iterator[Grant]:
    yield from _status(about)
    yield from simulate.needs(about.watch, about.on)
    yield from silence.needs(about.watch)


def _down(about: Subject) -> Iterator[Grant]:
    yield from _status(about)
    yield from strays.search_needs(about.watch, thorough=True)
    yield from simulate.proving(about.watch)
    for one in about.resources:
        if (about.data or not one.data) and one.goes_with not in about.resources:
            yield from one.actions.delete
    yield from strays.removal_needs(about.watch, data=about.data)
    yield from strays.asked_for_needs(about.watch)


_NEEDS = {
    "plan": _plan,
    "up": _up,
    "confirm": _confirm,
    "status": _status_logs,
    "simulate": _simulate,
    "alerts": _alerts,
    "history": _history,
    "down": _down,
}


def protection(about: Subject, but: Sequence[str]) -> list[Document]:
    """The service control policy that lets nobody else change or clear away the watch.

    What takes no ARN (a subscription's own settings, new keys) is left out: it would be denied for
    the whole account.

    Args:
        about: what it is for.
        but: the ARNs of the principals who may, with wildcards.

    Raises:
        ConfigError: one is not the ARN of a user or a role.
    """
    for one in but:
        _check_principal(one)
    harm = [
        grant
        for one in about.watch.resources
        for grant in (*one.actions.write, *one.actions.delete, *one.actions.tampering)
        if grant.protective and grant.arns != (ANY,)
    ]
    others = {"ArnNotLike": {"aws:PrincipalArn": list(but)}}
    return documents(merged(harm), "Deny", SCP_LIMIT, others)


def _check_principal(arn: str) -> None:
    kind = arn.rpartition(":")[2].partition("/")[0]
    if re.fullmatch(r"arn:aws[a-z-]*:iam::(\d{12}|[\d?*]*\*[\d?*]*):(role|user)/\S+", arn):
        return
    problem = f"--except: '{arn}' is not the ARN of a role or a user"
    hint = "Write it as arn:aws:iam::123456789012:role/NAME; * stands for any text."
    if kind == "assumed-role":
        problem = f"--except: '{arn}' is a session, which is known by its role here"
    raise ConfigError(problem, hint)


def merged(grants: Iterable[Grant]) -> list[Grant]:
    """The same as few grants, each action of a condition once; what another covers is left out."""
    arns: dict[tuple[Condition | None, str], set[str]] = {}
    for grant in grants:
        for action in grant.actions:
            arns.setdefault((grant.condition, action), set()).update(grant.arns)
    by_arns: dict[tuple[str, Condition | None, tuple[str, ...]], list[str]] = {}
    for (condition, action), found in arns.items():
        free = arns.get((None, action), set()) if condition else set()
        if left := _uncovered(found, free):
            service = "" if left == (ANY,) else action.partition(":")[0]
            by_arns.setdefault((service, condition, left), []).append(action)
    ordered = sorted(by_arns.items(), key=lambda one: (one[0][0], min(one[1])))
    return [Grant(tuple(sorted(actions)), on, given) for (_, given, on), actions in ordered]


def _uncovered(arns: set[str], free: set[str]) -> tuple[str, ...]:
    """Those that no wider one covers, neither among them nor among `free`."""
    return tuple(
        sorted(
            one
            for one in arns
            if not any(_covers(wider, one) for wider in free)
            and not any(_covers(wider, one) for wider in arns - {one})
        )
    )


def _covers(wider: str, arn: str) -> bool:
    return fnmatchcase(arn, wider.replace("[", "[[]"))


def documents(
    grants: Sequence[Grant], effect: str, limit: int, others: Document | None = None
) -> list[Document]:
    """Policies of grants, in their order, as few as fit.

    Args:
        grants: as `merged` makes them.
        effect: "Allow" or "Deny".
        limit: characters of each at most.
        others: a further condition of every statement.
    """
    found: list[list[Document]] = [[]]
    for grant in grants:
        for statement in _small_enough(grant, effect, limit, others or {}):
            if found[-1] and size(_document([*found[-1], statement])) > limit:
                found.append([])
            found[-1].append(statement)
    return [_document(one) for one in found]


def _small_enough(grant: Grant, effect: str, limit: int, others: Document) -> Iterator[Document]:
    """The statement of a grant, or, where not even that fits, several of parts of its ARNs."""
    statement = _statement(grant, effect, others)
    if size(_document([statement])) <= limit or len(grant.arns) == 1:
        yield statement
        return
    half = len(grant.arns) // 2
    for arns in (grant.arns[:half], grant.arns[half:]):
        yield from _small_enough(Grant(grant.actions, arns, grant.condition), effect, limit, others)


def _statement(grant: Grant, effect: str, others: Document) -> Document:
    told: Document = {
        "Effect": effect,
        "Action": _one_or_all(grant.actions),
        "Resource": _one_or_all(grant.arns),
    }
    condition = dict(others)
    if grant.condition:
        operator, key, value = grant.condition
        condition[operator] = {key: value}
    return {**told, "Condition": condition} if condition else told


def _one_or_all(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _document(statements: Sequence[Document]) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def size(document: Document) -> int:
    """Its characters as AWS counts them, without white space between them."""
    return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
