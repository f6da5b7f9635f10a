"""How a watch is looked at, built and cleared; this module knows no resource.

The story, in order:

1. `inspect` reads every resource at once. Reading depends on nothing. What is there is compared
   with the promise, and each resource becomes a `Finding`: as promised, missing, drifted, foreign
   (our name without our tag), or unknown (AWS would not let us look; denied is never "absent").
   What the same watch had by an earlier config and must not have by this one is looked at, too:
   where it is there, it is a stray.
2. `build` first clears away the strays that would be in its way, then walks the graph of what leans
   on what and writes the findings that need it, independent ones side by side. What is foreign or
   unknown is left alone; what leans on it is skipped by name. What was given, as it is somebody
   else's, is only looked at. When all that is done, so that the alarm had no gap, the other strays
   go. There is no rollback: whatever failed, the next `build` goes on from there. Where AWS belies
   what was seen, as an answer was lost or somebody else is at work, it is looked at again.
3. `clear` walks the same graph with the arrows turned and deletes what carries our tag. Data is
   kept unless told. What a thing leans on waits until that thing leans on it no more: mostly until
   it is gone, and where AWS wants the tie taken off first, until that is done.

Each yields values as they come, `STARTED` ones included, and prints nothing. A dry run is `inspect`
and no more. The caller ends by inspecting again: success is what AWS says, not what we sent.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from functools import partial
from graphlib import TopologicalSorter

from ctwatch.aws import TROUBLE, Aws, belied
from ctwatch.diff import Difference, compare
from ctwatch.errors import CtwatchError, ForeignError
from ctwatch.findings import Action, Finding, Step, Verdict, foreign
from ctwatch.resources.base import Live, Resource


def inspect(
    resources: Iterable[Resource], aws: Aws, unwanted: Sequence[Resource] = ()
) -> list[Finding]:
    """Look at every resource, all at once; of those that must not be there, tell what is."""
    asked = [*((one, False) for one in resources), *((one, True) for one in unwanted)]
    found = aws.crew.map(lambda one: look(one[0], aws, unwanted=one[1]), asked)
    return [one for one in found if not one.unwanted or one.verdict is not Verdict.OK]


def look(resource: Resource, aws: Aws, *, unwanted: bool = False) -> Finding:
    """Look at one resource."""
    try:
        live = _read(resource, aws.at(resource.place.region))
    except TROUBLE as error:
        trouble = resource.complaint(error, "looking at")
        return Finding(resource, error=trouble, unwanted=unwanted)
    except CtwatchError as error:
        return Finding(resource, error=error, unwanted=unwanted)
    return found(resource, live, unwanted=unwanted)


def found(resource: Resource, live: Live | None, *, unwanted: bool = False) -> Finding:
    """What it means for a resource that this is there in its place."""
    if unwanted or live is None or not (resource.given or live.owner == resource.watch):
        return Finding(resource, live, unwanted=unwanted)
    differences = (*compare(resource.wanted, live.state), *_tags_amiss(resource, live))
    return Finding(resource, live, differences)


def _read(resource: Resource, aws: Aws) -> Live | None:
    """What is there; one without our tag may have been made while its tags were asked for."""
    live = resource.read(aws)
    return resource.read(aws) if live and live.owner is None and not resource.given else live


def _tags_amiss(resource: Resource, live: Live) -> Iterator[Difference]:
    """Tags of the config's that are missing or changed; others that it carries are nobody's."""
    if resource.tagged:
        worn = {key: live.tags[key] for key in resource.labels if key in live.tags}
        yield from compare(resource.labels, worn, _TAGS)


_TAGS = "tags"


def build(findings: Sequence[Finding], aws: Aws) -> Iterator[Step]:
    """Make every promise true; yields each step as it happens."""
    stayed: set[Resource] = set()
    by_resource = {one.resource: one for one in findings if not one.unwanted}
    strays = [one for one in findings if one.unwanted]
    first = [one for one in strays if any(map(one.resource.hinders, by_resource))]
    for step in clear(first, aws):
        stayed |= {step.resource} if step.action is Action.FAILED else set()
        yield step
    graph = {one: [need for need in one.needs if need in by_resource] for one in by_resource}

    def work(one: Resource) -> Work:
        hindrance = next((stray for stray in stayed if stray.hinders(one)), None)
        return _waiting(one, hindrance) if hindrance else _plan_build(by_resource[one], aws)

    whole = True
    for step in _walk(graph, aws.crew, work, lambda step: bool(step.error)):
        whole = whole and not step.error
        yield step
    # What is elsewhere goes before the role at home by which it is known that something may be.
    rest = [one for one in strays if one not in first]
    for away in (True, False):
        for step in clear([one for one in rest if whole and one.resource.away is away], aws):
            whole = whole and not step.error
            yield step


def clear(findings: Sequence[Finding], aws: Aws, *, keep_data: bool = True) -> Iterator[Step]:
    """Delete what carries our tag, in reverse order; yields each step as it happens.

    What goes with another needs no call of its own: it has gone when that has, and it waits for
    that where nobody knows whether it is there.
    """
    plans = {one.resource: _plan_clear(one, aws, keep_data=keep_data) for one in findings}
    graph: Graph = {one: [] for one in plans}
    for one, (step, work) in plans.items():
        host = one.goes_with
        if work and host in plans and plans[host][0].action in {Action.DELETED, Action.FAILED}:
            graph[one].append(host)
            plans[one] = step, ()
            continue
        for need in one.needs:
            if need in graph:
                graph[need].append(one)
    yield from _walk(
        graph,
        aws.crew,
        plans.__getitem__,
        lambda step: bool(step.error) and not isinstance(step.error, ForeignError),
    )


Work = tuple[Step, Sequence[Callable[[], None]]]
"""The step it will have been, and what to call for it; only the first must precede what waits."""


def _plan_build(finding: Finding, aws: Aws) -> Work:
    one = finding.resource
    if one.given:
        return Step(one, Action.KEPT), ()
    match finding.verdict:
        case Verdict.UNKNOWN:
            return Step(one, Action.FAILED, finding.error), ()
        case Verdict.FOREIGN:
            return Step(one, Action.SKIPPED, foreign(finding)), ()
        case Verdict.OK:
            return Step(one, Action.KEPT), ()
    if finding.only_by_hand:
        return Step(one, Action.KEPT, differences=finding.differences), ()
    action = Action.REPAIRED if finding.live else Action.CREATED
    view = aws.at(one.place.region)
    step = Step(one, action, differences=finding.differences)
    return step, (lambda: _write(finding, view),)


_TRIES = 3
"""How often a thing is written again that others change meanwhile."""
_PAUSE = 2.0


def _write(finding: Finding, aws: Aws) -> None:
    """Write it; where AWS belies what was seen of it, look again and go on from there.

    That it is there by now may be of an answer that was lost, after which botocore asked for the
    same again; of another `up`; or it is a stranger's, which stays as it is.

    Raises:
        ForeignError: it is a stranger's.
    """
    one = finding.resource
    if finding.live is None and one.overwrites:
        finding = look(one, aws)
    for _ in range(_TRIES):
        try:
            return _put(finding, aws)
        except TROUBLE as error:
            if not belied(error):
                raise
            before, finding = finding, look(one, aws)
            if finding.live and finding.live == before.live:
                raise  # it is something else that is not there
        if finding.live is None:  # AWS may show late what it says is there
            aws.clock.sleep(_PAUSE)
    return _put(finding, aws)


def _put(finding: Finding, aws: Aws) -> None:
    one = finding.resource
    if finding.error:
        raise finding.error
    if finding.verdict is Verdict.FOREIGN:
        raise foreign(finding)
    if finding.verdict is Verdict.OK:
        return
    tags = [each for each in finding.differences if each.path.startswith(f"{_TAGS}.")]
    if finding.live is None or len(tags) < len(finding.differences):
        one.write(aws, finding.live)
    if tags:
        one.label(aws)


def _plan_clear(finding: Finding, aws: Aws, *, keep_data: bool) -> Work:
    one, live = finding.resource, finding.live
    if one.given:
        return Step(one, Action.KEPT), ()
    match finding.verdict:
        case Verdict.UNKNOWN:
            return Step(one, Action.FAILED, finding.error), ()
        case Verdict.FOREIGN:
            return Step(one, Action.SKIPPED, foreign(finding)), ()
    if live is None:
        return Step(one, Action.SKIPPED), ()
    if one.data and keep_data:
        return Step(one, Action.KEPT), ()
    verbs = (one.untie, one.delete_found) if one.tied else (one.delete_found,)
    view = aws.at(one.place.region)
    return Step(one, Action.DELETED), [partial(verb, view, live) for verb in verbs]


Graph = dict[Resource, list[Resource]]


def _walk(
    graph: Graph, crew: Executor, plan: Callable[[Resource], Work], blocks: Callable[[Step], bool]
) -> Iterator[Step]:
    """Take every resource after what the graph puts before it, independent ones side by side.

    What comes after a step that `blocks` is skipped and says what it waits for. It waits for the
    first call of what is before it, and no longer.
    """
    order = TopologicalSorter(graph)
    order.prepare()
    blocked: set[Resource] = set()
    running: dict[Future[Step], tuple[Resource, Sequence[Callable[[], None]]]] = {}
    passed: set[Resource] = set()
    try:
        while order.is_active() or running:
            for one in order.get_ready():
                step, work = _unless_blocked(one, graph[one], blocked, plan)
                if work:
                    yield Step(one, Action.STARTED)
                running[crew.submit(_carry_out, step, work[:1])] = one, work[1:]
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                (one, rest), step = running.pop(future), future.result()
                if blocks(step):
                    blocked.add(one)
                if one not in passed:
                    passed.add(one)
                    order.done(one)
                if rest and not step.error:
                    running[crew.submit(_carry_out, step, rest)] = one, ()
                else:
                    yield step
    finally:
        wait(running)  # what is begun is ended, whoever has stopped listening


def _unless_blocked(
    one: Resource, before: list[Resource], blocked: set[Resource], plan: Callable[[Resource], Work]
) -> Work:
    if hindrance := next((need for need in before if need in blocked), None):
        return _waiting(one, hindrance)
    return plan(one)


def _waiting(one: Resource, hindrance: Resource) -> Work:
    return Step(one, Action.SKIPPED, CtwatchError(f"waits for {hindrance.title}")), ()


def _carry_out(step: Step, work: Iterable[Callable[[], None]]) -> Step:
    try:
        for call in work:
            call()
    except TROUBLE as error:
        verb = {Action.CREATED: "creating", Action.REPAIRED: "repairing"}.get(step.action)
        sentence = step.resource.complaint(error, verb or "deleting")
        return Step(step.resource, Action.FAILED, sentence)
    except ForeignError as error:
        return Step(step.resource, Action.SKIPPED, error)
    except CtwatchError as error:
        return Step(step.resource, Action.FAILED, error)
    return step
