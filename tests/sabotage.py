"""The machinery of sabotage: lines of who breaks what, and what is demanded of each.

A line says what an intruder (or a careless colleague) does by hand, at which exact paths a part of
the watch then differs from its promise, and what `status` makes of it. A table is the lines of one
watch, and the names of its parts. A test file brings a table, arms its watch once, and demands of
each line `shows_means_and_mends`, of each round of lines `is_named_and_mended`, and of each part
that no promise is `untold`. The hands that lines use are in `hands`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from watch_world import PLACE, World, planned, world_of

from ctwatch.aws import Aws
from ctwatch.diagnose import UP, Alarm, Diagnosis, Flow, diagnose
from ctwatch.diff import statements
from ctwatch.engine import build, inspect
from ctwatch.findings import Finding, Verdict
from ctwatch.resources.base import Resource
from ctwatch.sandbox.server import Sandbox
from ctwatch.watch import Watch

ARMED, DEGRADED, UNKNOWN = Alarm.ARMED, Alarm.DEGRADED, Alarm.UNKNOWN
MUTE, DEAF, BLIND = Alarm.MUTE, Alarm.DEAF, Alarm.BLIND


@dataclass(frozen=True, kw_only=True)
class Ground:
    """An armed watch, its parts by the names that lines use, and the hands that break it."""

    world: World
    watch: Watch
    aws: Aws
    parts: Mapping[str, Resource]
    whole: dict[Resource, Finding] = field(default_factory=dict)

    def at(self, part: str) -> Any:
        return self.parts[part]

    def __getattr__(self, service: str) -> Any:
        return self.world.client(service.rstrip("_"))


Break = Callable[[Ground], Any]


@dataclass(frozen=True)
class Line:
    """One sabotage.

    Attributes:
        at: which part.
        paths: exactly where it then differs; "" where it is gone.
        by: how it is done; None where AWS or the emulator lets nobody do it, and `why` says so.
        verdict: what `status` then says.
        alone: what it says where the webhook is the only channel.
        elsewhere: what goes with it at other parts, as (part, path).
        by_hand: whether only a person can mend it.
        remedy: what `status` says to do.
        why: why it cannot be done, or not more directly.
    """

    at: str
    paths: tuple[str, ...]
    by: Break | None
    verdict: Alarm = DEGRADED
    alone: Alarm = DEGRADED
    elsewhere: tuple[tuple[str, str], ...] = ()
    by_hand: bool = False
    remedy: str = UP
    why: str = ""

    @property
    def differing(self) -> set[tuple[str, str]]:
        return {(self.at, path) for path in self.paths} | set(self.elsewhere)

    def __str__(self) -> str:
        return f"{self.at}: {', '.join(self.paths) or 'gone'}"


def line(at: str, paths: str, by: Break | None, verdict: Alarm = DEGRADED, **more: Any) -> Line:
    """A line; what is worse than DEGRADED with a mail is as bad without."""
    more.setdefault("alone", verdict)
    return Line(at, tuple(paths.split(" ")), by, verdict, **more)


def impossible(at: str, path: str, why: str) -> Line:
    return Line(at, (path,), None, why=why)


# Policies: each leaf of each statement, and what may be added or taken away

Document = dict[str, Any]
Change = Callable[[list[Document]], list[Document]]

ALTERED: dict[str, Callable[[Document], Any]] = {
    "effect": lambda one: {"Effect": "Deny" if one["Effect"] == "Allow" else "Allow"},
    "action": lambda one: {"Action": _other_action(one)},
    "resource": lambda one: {"Resource": f"{_one(one['Resource'])}/not"},
    "principal.Service": lambda _: {"Principal": {"Service": "config.amazonaws.com"}},
    "principal.AWS": lambda one: {"Principal": {"AWS": _others(one["Principal"])}},
}


def _one(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value)


def _others(principal: Any) -> str:
    """The account, or everybody where that is whom it names already."""
    return "*" if PLACE.account in str(principal) else PLACE.account


def _other_action(statement: Document) -> str:
    service = _one(statement["Action"]).split(":")[0].lower()
    return "sts:AssumeRoleWithSAML" if service == "sts" else f"{service}:Tag*"


def altered(statement: Document, leaf: str) -> Document:
    """The statement, another at one leaf of its normal form."""
    if leaf in ALTERED:
        return {**statement, **ALTERED[leaf](statement)}
    _, operator, key = leaf.split(".")
    condition = deepcopy(statement["Condition"])
    [name] = [one for one in condition[operator] if one.lower() == key]
    other = "true" if key == "aws:securetransport" else f"not-ours-{statement['Sid']}"
    condition[operator][name] = other
    return {**statement, "Condition": condition}


def leaves(state: Any, path: str = "") -> Iterator[str]:
    """The paths at which `diff.compare` would look, for a promise."""
    if not isinstance(state, Mapping):
        yield path
        return
    for key in sorted(state):
        yield from leaves(state[key], f"{path}.{key}" if path else str(key))


@dataclass(frozen=True)
class Policy:
    """A policy, and how a hand gets at it.

    Attributes:
        at: the part that has it.
        path: where its statements stand in the promise.
        document: the name of the part's property that holds it as it is sent.
        get: how it is read.
        put: how it is put.
    """

    at: str
    path: str
    document: str
    get: Callable[[Ground], Document | str]
    put: Callable[[Ground, Document], Any]

    def changed(self, change: Change) -> Break:
        """Put it with its statements changed; what else was changed before stays so."""

        def by(ground: Ground) -> None:
            live = self.get(ground)
            policy = json.loads(live) if isinstance(live, str) else live
            self.put(ground, {**policy, "Statement": change(deepcopy(policy["Statement"]))})

        return by

    def lines(
        self, planned: Mapping[str, Resource], special: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[Line]:
        """A line for each leaf, for each statement taken away, and for one added.

        Args:
            planned: the parts as they are promised.
            special: by path below `path`, the keywords of a line that is not simply DEGRADED;
                `first` is done before, and then differs `along`; `why` alone says why it cannot
                be done.
        """
        promised = getattr(planned[self.at], self.document)
        listed = promised["Statement"]
        for sid, statement in statements(promised).items():
            for leaf in leaves(statement):
                yield self._line(f"{sid}.{leaf}", _alter(sid, leaf), special)
            if len(listed) > 1:
                yield self._line(sid, _drop(sid), special)
        yield self._line("Added", _add(listed[0]), special)

    def _line(self, below: str, change: Change, special: Mapping[str, Mapping[str, Any]]) -> Line:
        given = dict(special.get(below, {}))
        if given.keys() == {"why"}:
            return impossible(self.at, f"{self.path}.{below}", given["why"])
        first, along = given.pop("first", None), given.pop("along", "")
        then = self.changed(change)
        by = then if first is None else lambda ground: (first(ground), then(ground))
        return line(self.at, f"{self.path}.{below} {along}".strip(), by, **given)


def _alter(sid: str, leaf: str) -> Change:
    return lambda all_: [altered(one, leaf) if one.get("Sid") == sid else one for one in all_]


def _drop(sid: str) -> Change:
    return lambda all_: [one for one in all_ if one.get("Sid") != sid]


def _add(first: Document) -> Change:
    """Somebody else may do something."""
    who = {"Principal": {"Service": "config.amazonaws.com"}} if "Principal" in first else {}
    added = {**first, "Sid": "Added", **who, "Effect": "Allow", "Action": _other_action(first)}
    return lambda all_: [*all_, added]


def of_each(document: Document, prefix: str, **keywords: Any) -> dict[str, Mapping[str, Any]]:
    """The same keywords for all leaves of the statements whose Sid begins with `prefix`."""
    found: dict[str, Mapping[str, Any]] = {}
    for sid, statement in statements(document).items():
        if sid.startswith(prefix):
            found[sid] = keywords
            found |= {f"{sid}.{leaf}": keywords for leaf in leaves(statement)}
    return found


# The table

Parts = Callable[[Watch], dict[str, Resource]]
Prepare = Callable[[World], None]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The lines of one watch.

    Attributes:
        config: what it is planned from.
        parts: names its resources by what they are for.
        lines: what may be done to them.
        on_the_way: the parts that an event or its alert passes: a line on one of them, or one worse
            than DEGRADED with the people or without, is held against what really arrives.
        hops: the hop of `status` that tells of a part.
        remembered: the parts that a warm function asks for no second time.
        strike: what must be told, where it is no call on a trail; says whether mail and webhook
            told of it.
    """

    config: Mapping[str, Any]
    parts: Parts
    lines: Sequence[Line]
    on_the_way: frozenset[str]
    hops: Mapping[str, str]
    remembered: frozenset[str] = frozenset()
    strike: Callable[[Ground], tuple[bool, bool]] | None = None

    @cached_property
    def planned(self) -> dict[str, Resource]:
        return self.parts(planned(self.config))

    @cached_property
    def done(self) -> list[Line]:
        return [one for one in self.lines if one.by]

    def untold(self, part: str) -> set[str]:
        """The promises of a part that no line breaks."""
        told = {path for one in self.lines if one.at == part for path in one.paths}
        return set(leaves(self.planned[part].wanted)) - told

    def proven(self, line: Line) -> bool:
        """Whether a real call shows what a line means."""
        worse = {line.verdict, line.alone} & {MUTE, DEAF, BLIND}
        return line.at in self.on_the_way or bool(worse)

    def asks_anew(self, line: Line) -> bool:
        """Whether somebody must click after the mending."""
        gone = [self.planned[part] for part, path in line.differing if not path]
        return line.by_hand or any(getattr(one, "protocol", "") == "email" for one in gone)

    @cached_property
    def rounds(self) -> list[list[Line]]:
        """The lines in as few rounds as may be, none in the way of another in its round."""
        found: list[tuple[set[tuple[str, str]], list[Line]]] = []
        for one in self.done:
            taken = {(part, self._reach(part, path, one)) for part, path in one.differing}
            for held, lines in found:
                if not any(_in_the_way(mine, theirs) for mine in taken for theirs in held):
                    held.update(taken)
                    lines.append(one)
                    break
            else:
                found.append((taken, [one]))
        return [lines for _, lines in found]

    def _reach(self, part: str, path: str, line: Line) -> str:
        """How much of a part a line leaves no room in: a policy is changed leaf by leaf."""
        resource = self.planned[part]
        if line.by_hand or not path or resource.kind == "secret":
            return ""
        for policy in ("policy.", "trust.", "inline.notifier.", "inline.trail-logs."):
            if path.startswith(policy):
                leaf = path in leaves(resource.wanted) or path.endswith((".Added", ".Deny"))
                return f"{path}." if leaf else policy
        if resource.kind == "rule":  # PutRule resets what it is not given, but for the targets
            return "targets." if path.startswith("targets.") else "rule."
        return f"{path.partition('.')[0]}."

    @contextmanager
    def armed(self, sandbox: Sandbox, folder: Path, prepare: Prepare) -> Iterator[Ground]:
        """One armed watch for a whole file: each repair restores it.

        Args:
            prepare: makes what an intruder brings along.
        """
        with world_of(sandbox, folder) as world:
            world.use(self.config)
            prepare(world)
            assert world.run("up").code == 0
            here = world.open()
            parts = self.parts(here.watch)
            yield Ground(world=world, watch=here.watch, aws=here.aws, parts=parts)


def _in_the_way(mine: tuple[str, str], theirs: tuple[str, str]) -> bool:
    one, other = mine[1], theirs[1]
    return mine[0] == theirs[0] and (one.startswith(other) or other.startswith(one))


# What a line is held against


def rearmed(ground: Ground) -> Ground:
    """The same, armed again should a test before have failed half way."""
    if not ground.whole:
        list(build(inspect(ground.watch.resources, ground.aws), ground.aws))
        ground.world.click()
        found = inspect(ground.watch.resources, ground.aws)
        assert {one.verdict for one in found} == {Verdict.OK}
        ground.whole.update({one.resource: one for one in found})
    return ground


def look(ground: Ground, some: Iterable[Resource]) -> list[Finding]:
    return inspect(list(some), ground.aws)


def told_of(ground: Ground, findings: Sequence[Finding]) -> set[tuple[str, str]]:
    """Where findings differ from the promise, as lines tell it."""
    names = {one: part for part, one in ground.parts.items()}
    found = {(names[one.resource], d.path) for one in findings for d in one.differences}
    missing = (one for one in findings if one.verdict is Verdict.MISSING)
    return found | {(names[one.resource], "") for one in missing}


def judged(ground: Ground, findings: Sequence[Finding]) -> tuple[Alarm, Alarm]:
    """The verdicts of `status`, with the people and without them."""
    with_mail, without = diagnosed(ground, findings)
    return with_mail.verdict, without.verdict


def diagnosed(ground: Ground, findings: Sequence[Finding]) -> tuple[Diagnosis, Diagnosis]:
    """What `status` says of them, with the people and without them."""
    seen = {**ground.whole, **{one.resource: one for one in findings}}
    with_mail = diagnose(ground.watch, [seen[one] for one in ground.watch.resources], ground.aws)
    alone, topic = replace(ground.watch, people=()), ground.watch.topic
    seen[topic] = _without_people(seen[topic])
    without = diagnose(alone, [seen[one] for one in alone.resources], ground.aws)
    return with_mail, without


def is_told(line: Line, table: Table, ground: Ground, diagnosis: Diagnosis) -> None:
    """Each difference of a line stands in its hop, which is not whole, and has its remedy."""
    for part, path in line.differing:
        title, name = ground.at(part).title, table.hops[part]
        where = [hop for hop in diagnosis.hops if any(
            (one.resource, one.path, one.remedy) == (title, path, line.remedy)
            for one in hop.faults)]  # fmt: skip
        assert where, (title, path)
        assert where[0].name == name
        assert where[0].flow is not Flow.OK
    cut = {hop.name for hop in diagnosis.hops if hop.flow is Flow.CUT}
    assert {BLIND: "events", DEAF: "rule", MUTE: "topic"}.get(diagnosis.verdict, "") in {"", *cut}


def _without_people(topic: Finding) -> Finding:
    """The topic as it would be if nobody had asked for mail or text messages."""
    if not topic.live:
        return topic
    listeners = [x for x in topic.live.facts["subscriptions"] if x[0] not in {"email", "sms"}]
    return replace(topic, live=replace(topic.live, facts={"subscriptions": listeners}))


def struck(ground: Ground, name: str, *, cold: bool = False) -> tuple[bool, bool]:
    """Stop the logging of a trail that does not exist; whether mail and webhook told of it."""
    sandbox = ground.world.sandbox
    if cold:  # a warm container still knows its secrets, before the sabotage as after it
        ground.world.settle()
        sandbox._delivery.functions.drop()
    with pytest.raises(ground.cloudtrail.exceptions.TrailNotFoundException):
        ground.cloudtrail.stop_logging(Name=name)
    ground.world.settle()
    if cold:
        sandbox._delivery.functions.drop()
    mail = any(name in one.text for one in sandbox.inbox.mails)
    post = any(one.status == 200 and name in str(one.payload) for one in sandbox.inbox.posts)
    return mail, post


# What is demanded


def shows_means_and_mends(line: Line, table: Table, ground: Ground) -> None:
    """A line shows where it says, means what it says, and is mended."""
    assert line.by
    whole, touched = dict(ground.whole), {ground.at(part) for part, _ in line.differing}
    ground.whole.clear()
    line.by(ground)
    found = look(ground, touched)
    assert told_of(ground, found) == line.differing
    ground.whole.update(whole)
    with_mail, without = diagnosed(ground, found)
    ground.whole.clear()
    assert (with_mail.verdict, without.verdict) == (line.verdict, line.alone)
    is_told(line, table, ground, with_mail)

    if table.proven(line):
        name, cold = f"ctwatch-probe-{table.done.index(line)}", line.at in table.remembered
        mail, post = table.strike(ground) if table.strike else struck(ground, name, cold=cold)
        assert line.verdict is UNKNOWN or (mail or post) is (line.verdict is DEGRADED)
        assert line.alone is UNKNOWN or post is (line.alone in {ARMED, DEGRADED})

    steps = list(build(found, ground.aws))
    assert [step.error for step in steps if step.error] == []
    if table.asks_anew(line):
        ground.world.click()
    mended = look(ground, touched)
    assert told_of(ground, mended) == set()
    ground.whole.update({**whole, **{one.resource: one for one in mended}})


def is_named_and_mended(lines: Sequence[Line], ground: Ground) -> None:
    """At the command line, `status` names each path of a round, and `up` mends and names it.

    What was missed meanwhile counts against a channel until it has taken a later alert, so there
    is one before `status` is asked again.
    """
    whole = dict(ground.whole)
    ground.whole.clear()
    for one in lines:
        assert one.by
        one.by(ground)
    status = ground.world.run("status", "-v")
    assert status.code == Alarm(status.out.split()[0]).exit_code != 0
    up = ground.world.run("up")
    assert up.code == 0, up.err
    told = [(ground.at(one.at).title, path, one) for one in lines for path in one.paths]
    assert [x for x in told if _as_status_says(*x[:2]) not in status.out] == []
    assert [x for x in told if not x[2].by_hand and not _mended(*x[:2], up.err_lines)] == []
    ground.world.click()
    name = f"ctwatch-mended-{len(ground.world.sandbox.inbox.posts)}"
    assert struck(ground, name, cold=True) == (True, True)
    status = ground.world.run("status")
    assert (status.code, status.out.split()[0]) == (0, "ARMED"), status.out
    ground.whole.update(whole)


def is_proven(ground: Ground) -> None:
    """What `status` calls ARMED after all that was done and mended, a drill proves."""
    status = ground.world.run("status")
    assert (status.code, status.out.split()[0]) == (0, "ARMED"), status.out
    drill = ground.world.run("simulate", "stop-logging", "--timeout", "20")
    assert (drill.code, "not proven" in drill.out) == (0, False)


def _as_status_says(title: str, path: str) -> str:
    return f"{title}: {path}" if path else f"{title} does not exist"


def _mended(title: str, path: str, lines: Sequence[str]) -> bool:
    done = f"~ repaired {title}: " if path else f"+ created {title}"
    return any(done in line and path in line for line in lines)
