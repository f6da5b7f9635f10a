"""The calls that succeed: on a canary, a disposable trail, or on the watch's own trail.

    canary   made beside the own trail, struck, deleted again; one at a time, a second drill waits
    trail    the own one, struck, and mended before anything else is done

From the first change to the last the process is `held`: Ctrl-C, SIGTERM and SIGHUP wait until all
is as it was. What was changed is undone by what is known of the call, not by a look, as CloudTrail
may show a change late; then it is looked whether that is so. What cannot be undone now is told with
what will undo it. Nothing survives SIGKILL: the next `ctwatch up` finds the own trail drifted and
mends it, and takes away a canary that is older than its drill was to last.
"""

import json
import secrets
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from ctwatch.aws import LOGGED_OUT, TROUBLE, Aws, belied, code_of, passing
from ctwatch.blows import Blow, On, called
from ctwatch.diff import State
from ctwatch.engine import look
from ctwatch.errors import AwsError, ConfigError, CtwatchError
from ctwatch.findings import Action, Finding, Step, Verdict, foreign
from ctwatch.permissions import Grant
from ctwatch.resources.base import Live
from ctwatch.resources.bucket import Bucket
from ctwatch.resources.canary import LASTS, Canary, Standing
from ctwatch.resources.trail import Trail, once_loaded
from ctwatch.techniques import TECHNIQUES, Probe, Technique
from ctwatch.watch import Watch

HEAL = "ctwatch simulate --heal"

_INSISTS = 120.0
"""Seconds for which what was changed is tried to be undone while AWS cannot be reached."""
_SHOWS = 30.0
"""Seconds within which CloudTrail is given time to show that it is undone."""
_PAUSE = 2.0


@dataclass(frozen=True)
class Waiting:
    """That something is waited for, and what."""

    sentence: str


def struck_on(
    on: On, techniques: Sequence[Technique], names: Collection[str], watch: Watch
) -> list[Technique]:
    """Those of the techniques that can be struck there; a trail that exists takes only some.

    Args:
        on: where.
        techniques: what is chosen.
        names: what was asked for by its own name; what was not, as by `all`, is left out where it
            is not possible, and on the own trail also `delete-trail`, which costs more than
            seconds.
        watch: whose.

    Raises:
        ConfigError: what was asked for by name is not possible there, or nothing is left.
    """
    if on is On.PROBE:
        return list(techniques)
    owned(watch)
    for one in techniques:
        if one.name in names and (why := _obstacle(one, on, watch)):
            raise ConfigError(f"{one.name} cannot be struck --on {on}: {why}", _offered(on, watch))
    costly = {one.name for one in techniques if on is On.TRAIL and _deletes(one)} - {*names}
    found = [one for one in techniques if not _obstacle(one, on, watch) and one.name not in costly]
    if not found:
        raise ConfigError(f"none of these can be struck --on {on}", _offered(on, watch))
    return found


class Owned(NamedTuple):
    """What a drill may strike, and the bucket that both write to."""

    trail: Trail
    canary: Canary
    bucket: Bucket


def owned(watch: Watch) -> Owned:
    """The watch's own trail, and what stands beside it.

    Raises:
        ConfigError: it has none, as it leans on one that was there already.
    """
    if isinstance(watch.trail, Trail) and watch.canary and watch.bucket:
        return Owned(watch.trail, watch.canary, watch.bucket)
    raise ConfigError(
        f"the config leans on the existing {watch.trail.title}: no drill touches it, nor makes a "
        "canary beside it",
        "Strike what does not exist, which needs no trail of one's own: --on probe",
    )


def _obstacle(one: Technique, on: On, watch: Watch) -> str:
    """Why a technique is not struck there; "" when it is."""
    if not (isinstance(one, Probe) and one.harm):
        return "it is not done to a trail that exists"
    if on is On.TRAIL and "global_events" in _changes(one) and watch.trail.multi_region:
        return "AWS leaves global events in the log of a trail that covers every region"
    return ""


def _changes(one: Technique) -> State:
    """What is otherwise on the trail afterwards; nothing where it is gone."""
    return (isinstance(one, Probe) and one.harm and one.harm.changes) or {}


def _deletes(one: Technique) -> bool:
    return isinstance(one, Probe) and one.harm is not None and one.harm.changes is None


def _offered(on: On, watch: Watch) -> str:
    names = [one.name for one in TECHNIQUES.values() if not _obstacle(one, on, watch)]
    return f"There are: {', '.join(names)}"


def striking_needs(on: On, techniques: Sequence[Probe], watch: Watch) -> Iterator[Grant]:
    """What it takes to strike a trail that exists, to mend it, and to heal what was cut off.

    Args:
        on: where; a probe needs nothing of this.
        techniques: those that may be asked for.
        watch: whose.
    """
    if on is On.PROBE or not watch.owns_trail:
        return
    own = owned(watch)
    trail: Trail | Canary = own.trail if on is On.TRAIL else own.canary
    yield from (*trail.actions.write, *own.canary.actions.delete)
    yield from (one.hurting(trail.arn) for one in techniques if not _obstacle(one, on, watch))


def check_own(watch: Watch, findings: Sequence[Finding]) -> None:
    """See that the own trail can be put back as it was.

    Raises:
        CtwatchError: it is not as promised, or AWS would not say.
    """
    [own] = [one for one in findings if one.resource is watch.trail]
    if own.error:
        raise own.error
    if own.verdict is not Verdict.OK:
        raise CtwatchError(
            f"{own.resource.title} is not as promised, and is struck only when it is",
            "Run: ctwatch up",
        )


def price_of(technique: Technique, trail: Trail) -> str:
    """What striking the own trail costs, in a sentence; seconds without a log go without saying."""
    insights = " Insights begins anew to learn what is usual, for up to 36 hours."
    lost = insights if trail.insights else ""
    if _deletes(technique):
        return (
            f"{technique.name} deletes {trail.title} and makes it anew: the chain of its digests "
            f"begins anew, and so do its delivery times.{lost}"
        )
    if "logging" in _changes(technique):
        return f"{technique.name} stops {trail.title} for some seconds.{lost}"
    changed = ", ".join(_changes(technique)) or "nothing"
    return f"{technique.name} changes {changed} of {trail.title} for some seconds."


@dataclass
class Held:
    """Signals that have come while nobody could be stopped."""

    came: list[int] = field(default_factory=list)

    def let_go(self) -> None:
        """Let who tried to stop the process have his way.

        Raises:
            KeyboardInterrupt: for Ctrl-C, SIGTERM and SIGHUP alike.
        """
        if self.came:
            raise KeyboardInterrupt


@contextmanager
def held() -> Iterator[Held]:
    """Let nobody stop the process within; call `let_go` of what this yields when all is told."""
    hold = Held()
    if threading.current_thread() is not threading.main_thread():  # to which signals do not come
        yield hold
        return
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {
        number: signal.signal(number, lambda one, _: hold.came.append(one))
        for number in (getattr(signal, name) for name in names)
    }
    try:
        yield hold
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---------------------------------------------------------------- the own trail


def on_trail(technique: Probe, trail: Trail, aws: Aws) -> Iterator[Waiting | Blow]:
    """Strike the own trail, and put it back as it was.

    Raises:
        AwsError: AWS did not answer the call; the trail is as it was.
        UnhealedError: the trail is not as it was.
        KeyboardInterrupt: somebody wanted to stop it meanwhile; the blow was told before.
    """
    yield Waiting(f"{trail.title} is struck and mended; Ctrl-C waits for that")
    began = aws.clock.monotonic()
    with held() as hold:
        try:
            blow = called(
                technique, trail.name, On.TRAIL, lambda: technique.hurt(aws, trail.arn), aws
            )
        except BaseException as error:
            gap = _mended(technique, trail, aws, began)
            if not isinstance(error, AwsError):
                raise
            put = f"{trail.title} was put back as it was after {gap:.1f} s, whatever came of it"
            raise AwsError(f"{error.problem}; {put}", error.hint, code=error.code) from error
        if not blow.turned_away:
            blow = replace(blow, gap=_mended(technique, trail, aws, began))
    yield blow
    hold.let_go()


def _mended(technique: Probe, trail: Trail, aws: Aws, began: float) -> float:
    """Put the trail back as it was; returns for how many seconds it was not, at the most.

    Raises:
        UnhealedError: it is not as it was.
    """
    _undo(technique, trail, aws)
    gap = aws.clock.monotonic() - began
    check_healed(trail, aws)
    return gap


class UnhealedError(CtwatchError):
    """The own trail is not as it was before a drill; says what is off, and what mends it."""


def _undo(technique: Probe, trail: Trail, aws: Aws) -> None:
    """Make the trail's promise true again, whatever a look may show yet."""
    changes = None if _deletes(technique) else _changes(technique)
    damaged = None if changes is None else Live({**trail.wanted, **changes}, trail.watch)

    def again() -> None:
        live = trail.read(aws)  # a first try that was cut off may have made it anew
        off = _NEW if changes is None else changes
        trail.write(aws, Live({**live.state, **off}, live.owner) if live else None)

    try:
        _insistently(lambda: trail.write(aws, damaged), again, aws)
    except TROUBLE as error:
        left = "is deleted" if changes is None else f"has {_told(changes)}"
        raise _unhealed(trail, left, trail.complaint(error, "mending")) from error


_NEW: State = {"logging": False}
"""What is off with a trail that was just made."""


def _told(off: State) -> str:
    """Paths and values: "logging: false"."""
    return ", ".join(f"{path}: {json.dumps(value)}" for path, value in off.items())


def _unhealed(trail: Trail, left: str, why: CtwatchError | None = None) -> UnhealedError:
    because = f" ({why.problem})" if why else ""
    lasting = isinstance(why, AwsError) and (why.denied or why.code in LOGGED_OUT)
    first = f"{why.hint} Then: " if why and lasting else "Run: "
    return UnhealedError(f"after the drill {trail.title} {left}{because}", f"{first}{HEAL}")


def check_healed(trail: Trail, aws: Aws) -> None:
    """Look, until CloudTrail shows the trail as promised or has had time enough to.

    Raises:
        UnhealedError: it does not.
    """
    end = aws.clock.monotonic() + _SHOWS
    while (found := look(trail, aws)).verdict is not Verdict.OK:
        if aws.clock.monotonic() + _PAUSE > end:
            off = {one.path: one.live for one in found.differences}
            left = f"has {_told(off)}" if off else "cannot be seen to be as it was"
            raise _unhealed(trail, left, found.error)
        aws.clock.sleep(_PAUSE)


def _insistently(call: Callable[[], Any], again: Callable[[], Any], aws: Aws) -> None:
    """Make `call`; while AWS cannot be reached, fails or is in a hurry, try `again`.

    So it is when AWS says that the trail is there: an answer was lost, and it was made before.

    Raises:
        TROUBLE: AWS refused it, or did not answer for too long.
    """
    end, trying = aws.clock.monotonic() + _INSISTS, call
    while True:
        try:
            trying()
        except TROUBLE as error:
            lasting = not (passing(error) or belied(error))
            if lasting or aws.clock.monotonic() + _PAUSE > end:
                raise
        else:
            return
        trying = again
        aws.clock.sleep(_PAUSE)


# ---------------------------------------------------------------- the canary


def on_canary(
    technique: Probe, canary: Canary, aws: Aws, limit: float
) -> Iterator[Waiting | Step | Blow]:
    """Make a canary as soon as there is none, strike it, and delete it.

    Args:
        technique: what to strike with.
        canary: the watch's.
        aws: the account.
        limit: seconds to wait for another drill's; also those after which ours is left over.

    Raises:
        AwsError: AWS refused to make it, or to delete it, or the call never reached AWS.
        CtwatchError: another drill's is still there, or a stranger's trail has its name.
    """
    end, told = aws.clock.monotonic() + limit, False
    while True:
        standing = _standing(canary, aws)
        if standing is None:
            with held() as hold:
                blow = _made_and_struck(technique, canary, aws, limit)
            if blow:
                yield blow
            hold.let_go()
            if blow:
                return
        elif standing.over:
            _removed(canary, aws)
            yield Step(canary, Action.DELETED)
        elif not told:
            told = True
            yield Waiting(f"waiting for another drill to delete {canary.title}")
        if aws.clock.monotonic() + _PAUSE > end:
            raise CtwatchError(
                f"{canary.title} of another drill is still there after {limit:g} s",
                f"If that drill was killed: {HEAL}, when it is older than it was to last",
            )
        aws.clock.sleep(_PAUSE)


def outlasted(canary: Canary, aws: Aws) -> Iterator[Waiting]:
    """Wait until a canary that is there is deleted by its drill, or is left over.

    Raises:
        AwsError: AWS would not say.
        ForeignError: it is a stranger's trail.
    """
    end, told = aws.clock.monotonic() + LASTS + _PAUSE, False
    while (found := _standing(canary, aws)) and not found.over and aws.clock.monotonic() < end:
        if not told:
            told = True
            yield Waiting(
                f"waiting, {LASTS:g} s at the most, whether a drill deletes {canary.title}"
            )
        aws.clock.sleep(_PAUSE)


def _standing(canary: Canary, aws: Aws) -> Standing | None:
    """The canary that is there.

    Raises:
        AwsError: AWS would not say.
        ForeignError: it is a stranger's trail.
    """
    try:
        found = canary.standing(aws)
    except TROUBLE as error:
        raise canary.complaint(error, "looking at") from error
    if found and found.owner != canary.watch:
        raise foreign(Finding(canary, Live({}, found.owner)))
    return found


def _made_and_struck(technique: Probe, canary: Canary, aws: Aws, limit: float) -> Blow | None:
    """The blow, with the canary gone again; None where another drill was faster to make one."""
    run, made = secrets.token_hex(6), True
    try:
        made = _made(canary, run, aws, limit)
        return _struck(technique, canary, aws) if made else None
    except TROUBLE as error:
        raise canary.complaint(error, "making") from error
    finally:
        if made:
            _removed(canary, aws)


def _made(canary: Canary, run: str, aws: Aws, limit: float) -> bool:
    try:
        canary.make(aws, run, limit)
    except ClientError as error:
        if code_of(error) != "TrailAlreadyExistsException":
            raise
        found = canary.standing(aws)  # it is ours where only the answer was lost
        return found is not None and found.run == run
    return True


def _struck(technique: Probe, canary: Canary, aws: Aws) -> Blow:
    if "logging" in _changes(technique):
        canary.start(aws)
    call = lambda: once_loaded(aws, lambda: technique.hurt(aws, canary.arn))  # noqa: E731
    return called(technique, canary.name, On.CANARY, call, aws)


def _removed(canary: Canary, aws: Aws) -> None:
    def delete() -> None:
        canary.delete(aws)

    try:
        _insistently(delete, delete, aws)
    except TROUBLE as error:
        told = canary.complaint(error, "deleting")
        raise AwsError(told.problem, f"{told.hint} Then: {HEAL}", code=told.code) from error
