"""How a watch is looked at, built and cleared; this module knows no resource.

The story, in order:

1. `inspect` reads every resource at once. Reading depends on nothing. What is there is compared
   with the promise, and each resource becomes a `Finding`: as promised, missing, drifted, foreign
   (our name without our tag), or unknown (AWS would not let us look; denied is never "absent").
2. `build` walks the graph of what leans on what and writes the findings that need it, independent
   ones side by side. What is foreign or unknown is left alone; what leans on it is skipped by name.
   There is no rollback: whatever failed, the next `build` goes on from there.
3. `clear` walks the same graph with the arrows turned and deletes what carries our tag. Data is
   kept unless told.

Each yields values as they come, `STARTED` ones included, and prints nothing. A dry run is `inspect`
and no more. The caller ends by inspecting again: success is what AWS says, not what we sent.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum
from graphlib import TopologicalSorter

from ctwatch.aws import TROUBLE, WORKERS, Aws
from ctwatch.diff import Difference, compare
from ctwatch.errors import CtwatchError, ForeignError
from ctwatch.resources.base import Live, Resource


class Verdict(StrEnum):
    """What a look at one resource found."""

    OK = "ok"
    MISSING = "missing"
    DRIFTED = "drifted"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What became of one resource."""

    STARTED = "started"
    CREATED = "created"
    REPAIRED = "repaired"
    DELETED = "deleted"
    KEPT = "kept"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """One resource as it was found."""

    resource: Resource
    live: Live | None = None
    differences: tuple[Difference, ...] = ()
    error: CtwatchError | None = None

    @property
    def verdict(self) -> Verdict:
        """What was found."""
        if self.error:
            return Verdict.UNKNOWN
        if self.live is None:
            return Verdict.MISSING
        if self.live.owner != self.resource.watch:
            return Verdict.FOREIGN
        return Verdict.DRIFTED if self.differences else Verdict.OK

    @property
    def only_by_hand(self) -> bool:
        """Whether all that is amiss is what only a person can mend."""
        hand = self.resource.by_hand
        return self.verdict is Verdict.DRIFTED and all(d.path in hand for d in self.differences)

    @property
    def settled(self) -> bool:
        """Whether nothing is amiss but, at most, what only a person can mend."""
        return self.verdict is Verdict.OK or self.only_by_hand


@dataclass(frozen=True)
class Step:
    """What was done to one resource.

    Attributes:
        resource: the resource.
        action: what became of it.
        error: why it failed or was skipped.
        differences: what a repair mended.
    """

    resource: Resource
    action: Action
    error: CtwatchError | None = None
    differences: tuple[Difference, ...] = ()


def inspect(resources: Iterable[Resource], aws: Aws) -> list[Finding]:
    """Look at every resource, all at once."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda one: look(one, aws), resources))


def look(resource: Resource, aws: Aws) -> Finding:
    """Look at one resource."""
    try:
        live = resource.read(aws.at(resource.place.region))
    except TROUBLE as error:
        return Finding(resource, error=resource.complaint(error, "looking at"))
    except CtwatchError as error:
        return Finding(resource, error=error)
    if live is None or live.owner != resource.watch:
        return Finding(resource, live)
    return Finding(resource, live, tuple(compare(resource.wanted, live.state)))


def build(findings: Sequence[Finding], aws: Aws) -> Iterator[Step]:
    """Make every promise true; yields each step as it happens."""
    by_resource = {finding.resource: finding for finding in findings}
    graph = {one: [need for need in one.needs if need in by_resource] for one in by_resource}
    yield from _walk(graph, lambda one: _plan_build(by_resource[one], aws), lambda s: bool(s.error))


def clear(findings: Sequence[Finding], aws: Aws, *, keep_data: bool = True) -> Iterator[Step]:
    """Delete what carries our tag, in reverse order; yields each step as it happens."""
    by_resource = {finding.resource: finding for finding in findings}
    graph: dict[Resource, list[Resource]] = {one: [] for one in by_resource}
    for one in by_resource:
        for need in one.needs:
            if need in graph:
                graph[need].append(one)
    yield from _walk(
        graph,
        lambda one: _plan_clear(by_resource[one], aws, keep_data=keep_data),
        lambda step: bool(step.error) and not isinstance(step.error, ForeignError),
    )


Work = tuple[Step, Callable[[], None] | None]
"""The step it will have been, and what to call for it (None: nothing)."""


def _plan_build(finding: Finding, aws: Aws) -> Work:
    one = finding.resource
    match finding.verdict:
        case Verdict.UNKNOWN:
            return Step(one, Action.FAILED, finding.error), None
        case Verdict.FOREIGN:
            return Step(one, Action.SKIPPED, foreign(one)), None
        case Verdict.OK:
            return Step(one, Action.KEPT), None
    if finding.only_by_hand:
        return Step(one, Action.KEPT, differences=finding.differences), None
    action = Action.REPAIRED if finding.live else Action.CREATED
    view = aws.at(one.place.region)
    step = Step(one, action, differences=finding.differences)
    return step, lambda: one.write(view, finding.live)


def _plan_clear(finding: Finding, aws: Aws, *, keep_data: bool) -> Work:
    one = finding.resource
    match finding.verdict:
        case Verdict.UNKNOWN:
            return Step(one, Action.FAILED, finding.error), None
        case Verdict.FOREIGN:
            return Step(one, Action.SKIPPED, foreign(one)), None
        case Verdict.MISSING:
            return Step(one, Action.SKIPPED), None
    if one.data and keep_data:
        return Step(one, Action.KEPT), None
    view = aws.at(one.place.region)
    return Step(one, Action.DELETED), lambda: one.delete(view)


def foreign(resource: Resource) -> ForeignError:
    """The sentence for a thing that has our name without our tag."""
    return ForeignError(
        f"{resource.title} is there already and is not this watch's: it lacks the tag "
        f"ctwatch:watch={resource.watch}",
        "Choose another name in the config, or delete it yourself if nobody needs it.",
    )


Graph = dict[Resource, list[Resource]]


def _walk(
    graph: Graph, plan: Callable[[Resource], Work], blocks: Callable[[Step], bool]
) -> Iterator[Step]:
    """Take every resource after what the graph puts before it, independent ones side by side.

    What comes after a step that `blocks` is skipped and says what it waits for.
    """
    order = TopologicalSorter(graph)
    order.prepare()
    blocked: set[Resource] = set()
    running: dict[Future[Step], Resource] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        while order.is_active():
            for one in order.get_ready():
                step, work = _unless_blocked(one, graph[one], blocked, plan)
                if work:
                    yield Step(one, Action.STARTED)
                running[pool.submit(_carry_out, step, work)] = one
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                done = running.pop(future)
                if blocks(future.result()):
                    blocked.add(done)
                order.done(done)
                yield future.result()


def _unless_blocked(
    one: Resource, before: list[Resource], blocked: set[Resource], plan: Callable[[Resource], Work]
) -> Work:
    if hindrance := next((need for need in before if need in blocked), None):
        return Step(one, Action.SKIPPED, CtwatchError(f"waits for {hindrance.title}")), None
    return plan(one)


def _carry_out(step: Step, work: Callable[[], None] | None) -> Step:
    try:
        if work:
            work()
    except TROUBLE as error:
        verb = {Action.CREATED: "creating", Action.REPAIRED: "repairing"}.get(step.action)
        sentence = step.resource.complaint(error, verb or "deleting")
        return Step(step.resource, Action.FAILED, sentence)
    except CtwatchError as error:
        return Step(step.resource, Action.FAILED, error)
    return step
