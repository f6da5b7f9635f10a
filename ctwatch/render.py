"""What the reader sees: the plan, the steps, the verdict, the ladder.

Data goes to stdout and talk to stderr. Every line holds its meaning without colour, and nothing
that came from AWS is read as markup.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ctwatch.detections import Detection, Language
from ctwatch.diagnose import MEANING, Alarm, Diagnosis, Flow, Hop
from ctwatch.diff import Difference
from ctwatch.engine import Action, Finding, Step, Verdict
from ctwatch.errors import CtwatchError
from ctwatch.simulate import Blow, Drill, Proof, Rung

_COLOURS = {
    Alarm.ARMED: "bold green",
    Alarm.DEGRADED: "bold yellow",
    Alarm.UNKNOWN: "bold magenta",
}
_ALARM = "bold red"

_FLOWS = {
    Flow.OK: ("✓", "green"),
    Flow.WORN: ("!", "yellow"),
    Flow.UNKNOWN: ("?", "magenta"),
    Flow.CUT: ("✗", "red"),
}
_ACTIONS = {
    Action.CREATED: ("+", "green"),
    Action.REPAIRED: ("~", "yellow"),
    Action.DELETED: ("-", "cyan"),
    Action.KEPT: ("=", "dim"),
    Action.FAILED: ("✗", "red"),
    Action.SKIPPED: ("·", "yellow"),
}
_PLANS = {
    Verdict.MISSING: ("+", "green", "create"),
    Verdict.DRIFTED: ("~", "yellow", "change"),
    Verdict.OK: ("=", "dim", "keep"),
    Verdict.FOREIGN: ("!", "red", "not ours"),
    Verdict.UNKNOWN: ("?", "magenta", "unknown"),
}
_INDENT = 12
_LONGEST = 60
"""Characters of a value shown in a plan."""


class Screen:
    """Where it all is printed.

    Args:
        quiet: print no talk, only data and complaints.
        verbose: also name what is as promised, and values that differ.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.out = Console(highlight=False)
        self.err = Console(stderr=True, highlight=False)
        self.quiet = quiet
        self.verbose = verbose

    def data(self, *what: RenderableType) -> None:
        """Print what was asked for."""
        for one in what:
            self.out.print(one)

    def json(self, document: Any) -> None:
        """Print a document that a program reads."""
        self.out.print_json(data=document, default=str)

    def talk(self, what: RenderableType, style: str = "") -> None:
        """Say something about what is being done."""
        if not self.quiet:
            self.err.print(what, style=style, markup=False)

    def complain(self, error: CtwatchError) -> None:
        """Say no, and what to do now."""
        self.err.print(Text.assemble(("Error: ", "bold red"), error.problem))
        if error.hint:
            self.err.print(Text(error.hint, "dim"))

    @contextmanager
    def working(self, what: str) -> Iterator[Any]:
        """Show that something is going on; only where somebody watches."""
        if self.quiet or not self.err.is_terminal:
            yield None
            return
        with self.err.status(Text(what)) as status:
            yield status


def show_steps(screen: Screen, steps: Iterable[Step], what: str) -> list[Step]:
    """Print steps as they happen; returns those that ended."""
    done: list[Step] = []
    under_way: list[str] = []
    with screen.working(what) as status:
        for step in steps:
            title = step.resource.title
            if step.action is Action.STARTED:
                under_way.append(title)
            else:
                if title in under_way:
                    under_way.remove(title)
                done.append(step)
                _show_step(screen, step)
            if status:
                status.update(Text(f"{what}: {', '.join(under_way) or '…'}"))
    return done


def _show_step(screen: Screen, step: Step) -> None:
    nothing = step.action is Action.SKIPPED and not step.error
    unchanged = step.action is Action.KEPT and not step.resource.data
    if (nothing or unchanged) and not screen.verbose:
        return
    sign, colour = _ACTIONS[step.action]
    line = Text.assemble((f"{sign} {step.action:<9}", colour), step.resource.title)
    if step.action is Action.REPAIRED:
        line.append(": " + ", ".join(one.path for one in step.differences), "dim")
    if step.error:
        line.append(f": {_reason(step)}")
    screen.talk(line)
    if step.error and step.error.hint:
        screen.talk(Padding(Text(step.error.hint, "dim"), (0, 0, 0, _INDENT)))


def _reason(step: Step) -> str:
    """The error without the resource's title, where it begins with that."""
    problem = step.error.problem if step.error else ""
    return problem.removeprefix(f"{step.resource.title} ")


def plan_view(findings: Sequence[Finding]) -> RenderableType:
    """What `up` would do, resource by resource."""
    table = _columns(3)
    for finding in findings:
        sign, colour, verb = _PLANS[finding.verdict]
        table.add_row(Text(sign, colour), Text(verb, colour), _planned(finding))
    return table


def _planned(finding: Finding) -> Text:
    text = Text(finding.resource.title)
    if finding.verdict is Verdict.UNKNOWN and finding.error:
        text.append(f"\n{finding.error.problem}", "dim")
    if finding.verdict is Verdict.FOREIGN:
        text.append(f"\nlacks the tag ctwatch:watch={finding.resource.watch}", "dim")
    for one in finding.differences if finding.verdict is Verdict.DRIFTED else ():
        text.append(f"\n{one.path}: {_short(one.live)} → {_short(one.wanted)}", "dim")
    return text


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def plan_summary(findings: Sequence[Finding]) -> str:
    """One line: how much there is to do."""
    counts = {verdict: sum(one.verdict is verdict for one in findings) for verdict in Verdict}
    words = [
        (counts[Verdict.MISSING], "to create"),
        (counts[Verdict.DRIFTED], "to change"),
        (counts[Verdict.OK], "as promised"),
        (counts[Verdict.FOREIGN], "not ours"),
        (counts[Verdict.UNKNOWN], "unknown"),
    ]
    return ", ".join(f"{number} {word}" for number, word in words if number)


def status_view(diagnosis: Diagnosis, *, verbose: bool = False) -> Iterator[RenderableType]:
    """The verdict, a line per hop, and each fault with its remedy."""
    yield verdict_line(diagnosis.verdict)
    table = _columns(3)
    for hop in diagnosis.hops:
        sign, colour = _FLOWS[hop.flow]
        what = hop.name if hop.name == hop.subject else f"{hop.name} {hop.subject}"
        table.add_row(Text(sign, colour), Text(what), _hop_line(hop, verbose=verbose))
    yield table
    if diagnosis.faults:
        yield Text("")
        faults = _columns(2)
        for fault in diagnosis.faults:
            faults.add_row(Text("•", "red"), Text(fault.sentence))
            faults.add_row(Text("→", "cyan"), Text(fault.remedy, "cyan"))
        yield faults


def _columns(count: int) -> Table:
    """Columns without lines; the last takes what is long."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number in range(count):
        table.add_column(overflow="fold", no_wrap=number == 0)
    return table


def _hop_line(hop: Hop, *, verbose: bool) -> Text:
    """The hop's sentence, without the name that stands before it."""
    sentence = hop.sentence
    if hop.faults and hop.faults[0].resource.endswith(f" {hop.subject}"):
        sentence = sentence.removeprefix(hop.faults[0].resource).lstrip(": ")
    more = len(hop.faults) - 1
    return Text(f"{sentence} (and {more} more)" if more > 0 and not verbose else sentence)


def verdict_line(verdict: Alarm) -> Text:
    """The verdict and what it means."""
    return Text.assemble((verdict, _COLOURS.get(verdict, _ALARM)), f"  {MEANING[verdict]}")


def blow_line(blow: Blow) -> Text:
    """What was called, and that nothing was harmed."""
    called = f"called {blow.technique.operation} on {blow.target}"
    if not blow.answer:
        return Text(f"{called}: it succeeded, which no probe may: the drill failed", "red")
    why = "no such trail" if blow.answer == _NO_TRAIL else f"AWS answered {blow.answer}"
    return Text(f"{called}: {why}, nothing was harmed", "dim")


_NO_TRAIL = "TrailNotFoundException"


def ladder(drill: Drill, timeout: float) -> Iterator[RenderableType]:
    """A drill's ladder, hop by hop."""
    verdict = ("proven", "bold green") if drill.proven else ("not proven", "bold red")
    yield Text.assemble((drill.blow.technique.name, "bold"), "  ", verdict)
    hops = [f"called {drill.blow.at:%H:%M:%S} UTC", *_rungs(drill.rungs, timeout)]
    lines = [_STEP.join(hops)]
    lines += [f"{rung.hop}: {rung.note}" for rung in drill.rungs if rung.proof is Proof.UNPROVABLE]
    for line in lines:
        yield Padding(Text(line), (0, 0, 0, 2))


_STEP = " ─ "


def _rungs(rungs: Sequence[Rung], timeout: float) -> Iterator[str]:
    """The provable hops; those without a clock of their own stand before the one they go by."""
    proven_by = [one.hop for one in rungs if one.by and one.proof is Proof.PROVEN]
    if proven_by:
        seconds = next(one.seconds for one in rungs if one.by) or 0.0
        yield f"{', '.join(proven_by)}: by {seconds:+.1f} s"
    for one in rungs:
        if one.proof is Proof.PROVEN and not one.by:
            yield f"{one.hop} {one.note} {one.seconds or 0.0:+.1f} s".replace("  ", " ")
        elif one.proof is Proof.SILENT:
            why = f" ({one.note})" if one.note else ""
            yield f"✗ {one.hop}: not proven within {timeout:.0f} s{why}"


def detections_view(detections: Iterable[Detection], language: Language) -> RenderableType:
    """The catalogue at a glance."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in ("detection", "severity", "seen in", "MITRE ATT&CK", "what"):
        table.add_column(head, overflow="fold")
    for one in detections:
        mitre = " ".join(one.mitre)
        table.add_row(one.id, one.severity, one.where, mitre, one.title[language])
    return table


def detection_view(one: Detection, language: Language) -> Iterator[RenderableType]:
    """One detection, explained."""
    yield Text.assemble((one.id, "bold"), f"  {one.title[language]}")
    yield Text(one.why[language])
    where = f"severity {one.severity}, seen in {one.where}, MITRE ATT&CK {', '.join(one.mitre)}"
    yield Text(where, "dim")
    yield Text("\nEvent pattern", "bold")


def panel(title: str, body: RenderableType) -> RenderableType:
    """Something that arrived, in a frame."""
    return Padding(Panel(body, title=title, title_align="left", expand=False), (1, 0))


def difference_json(one: Difference) -> dict[str, Any]:
    """A difference for programs."""
    return {"path": one.path, "wanted": one.wanted, "live": one.live}


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding for programs."""
    return {
        "kind": finding.resource.kind,
        "name": finding.resource.name,
        "verdict": finding.verdict,
        "differences": [difference_json(one) for one in finding.differences],
        "error": finding.error.problem if finding.error else None,
    }


def diagnosis_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """A diagnosis for programs."""
    return {
        "verdict": diagnosis.verdict,
        "meaning": MEANING[diagnosis.verdict],
        "rules": diagnosis.rules,
        "hops": [
            {
                "hop": hop.name,
                "subject": hop.subject,
                "flow": hop.flow,
                "sentence": hop.sentence,
                "faults": [vars(fault) for fault in hop.faults],
            }
            for hop in diagnosis.hops
        ],
    }


def drill_json(drill: Drill) -> dict[str, Any]:
    """A drill for programs; seconds are after the call."""
    return {
        "technique": drill.blow.technique.name,
        "proven": drill.proven,
        "called": drill.blow.at.isoformat(),
        "target": drill.blow.target,
        "request_id": drill.blow.request_id,
        "answer": drill.blow.answer,
        "event_id": drill.event_id or None,
        "hops": [vars(rung) for rung in drill.rungs],
    }
