"""What the reader sees: the plan, the steps, the verdict, the ladder.

Data goes to stdout and talk to stderr. Every line holds its meaning without colour. Nothing that
came from AWS is read as markup or as a terminal's commands. Where nobody watches (a pipe, a file)
nothing moves, and a line is as long as what it says; `COLUMNS` says otherwise.
"""

import codecs
import io
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta, tzinfo
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from ctwatch.detections import SAMPLE
from ctwatch.diagnose import MEANING, SILENT, UNTOLD, Alarm, Flow
from ctwatch.errors import ForeignError
from ctwatch.findings import Action, Verdict, foreign
from ctwatch.inert import inert, inert_json, one_line
from ctwatch.notifier.inert import cut
from ctwatch.prices import AS_OF, ASSUMPTIONS, cents

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn
    from rich.status import Status

    from ctwatch.alerts import Alert, Lost, Taken
    from ctwatch.blows import Blow, Rung
    from ctwatch.confirmation import Confirmed
    from ctwatch.delivered import Deliveries, Report
    from ctwatch.detections import Detection, Language, Part
    from ctwatch.diagnose import Diagnosis, Fault, Hop
    from ctwatch.diff import Difference
    from ctwatch.digests import Looked
    from ctwatch.emptying import Contents
    from ctwatch.errors import CtwatchError
    from ctwatch.findings import Finding, Step
    from ctwatch.prices import Cost
    from ctwatch.silence import Reason
    from ctwatch.simulate import Drill
    from ctwatch.techniques import Technique

Bar = AbstractContextManager[Callable[[float], None]]
"""Shows how far something is, when it is told."""

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
    Verdict.STRAY: ("-", "cyan", "remove"),
    Verdict.UNKNOWN: ("?", "magenta", "unknown"),
}
_OUTLIVES = "of an earlier config; as it is data, it stays until ctwatch down --delete-logs"
_BY_HAND = ("!", "yellow", "by hand")
_LONGEST = 60
"""Characters of a value shown in a plan, unless all are asked for."""
_WIDEST = 100
"""Columns that a frame or a rule takes at most."""
_ENDLESS = 10_000
"""Columns of what is no terminal: no line is broken there."""
_LONGEST_LINK = 8192
"""Characters of a link, which no service's comes near."""
_NARROW = 8
"""Columns that a hanging text is given at least."""

# For a terminal that knows no more than ASCII.
_PLAINLY = {
    "✓": "v", "✗": "x", "·": ".", "─": "-", "•": "*", "→": "->", "…": "...",
    "▁": "_", "▂": ".", "▃": ":", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "█": "#",
}  # fmt: skip


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that a terminal cannot show; a codec's error handler."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAINLY.get(one, "?") for one in lost), error.end


codecs.register_error("ctwatch.plainly", _plainly)


def _console(*, stderr: bool) -> Console:
    """A console on stdout or stderr that can print anything."""
    stream = sys.stderr if stderr else sys.stdout
    if stream is None:  # closed by who started us
        stream = io.StringIO()
    if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
        stream.reconfigure(errors="ctwatch.plainly")
    endless = not stream.isatty() and not os.environ.get("COLUMNS", "").isdigit()
    return Console(stderr=stderr, highlight=False, width=_ENDLESS if endless else None)


class Screen:
    """Where it all is printed.

    Args:
        quiet: print no talk, only data and complaints.
        verbose: also name what is as promised, and show values in full.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)
        self.quiet = quiet
        self.verbose = verbose
        self._status: Status | Progress | None = None

    def data(self, *what: RenderableType) -> None:
        """Print what was asked for."""
        with self._still():
            for one in what:
                self.out.print(_hung(one))

    def json(self, document: Any) -> None:
        """Print a document that a program reads."""
        with self._still():
            self.out.print(self._as_json(document, indent=2), soft_wrap=True)

    def statement(self, text: str) -> None:
        """Print what another program takes, letter by letter; it holds nothing to be obeyed."""
        with self._still():
            self.out.print(Text(text), soft_wrap=True)

    def json_lines(self, documents: Iterable[Any]) -> None:
        """Print documents that a program reads as they come, each on a line of its own."""
        for one in documents:
            with self._still():
                self.out.print(self._as_json(one, indent=None), soft_wrap=True)

    def _as_json(self, document: Any, indent: int | None) -> Text:
        """JSON in which nothing that a terminal would obey stands as it is."""
        from rich.highlighter import JSONHighlighter

        ascii_only = not self.out.encoding.startswith("utf")
        text = json.dumps(document, indent=indent, ensure_ascii=ascii_only, default=_plain_value)
        return JSONHighlighter()(inert_json(text))

    @contextmanager
    def redrawing(self) -> Iterator[Callable[[Iterable[RenderableType], bool], None]]:
        """Show what changes with time; yields what is called with the new and whether it differs.

        On a terminal the old is drawn over; elsewhere what differs is printed after it.
        """
        from rich.live import Live

        if not self.out.is_terminal:
            yield lambda views, differs: self.data(*views) if differs else None
            return
        with Live(console=self.out, auto_refresh=False) as live:
            yield lambda views, _: live.update(Group(*map(_hung, views)), refresh=True)

    def talk(self, what: RenderableType, style: str = "") -> None:
        """Say something about what is being done."""
        if not self.quiet:
            self.err.print(_hung(what), style=style)

    def link(self, url: str) -> None:
        """Say a link in one piece, so that a click or a copy takes all of it.

        Quiet or not: without it there is no going on.
        """
        self.err.print(Text(one_line(inert(url), _LONGEST_LINK), "blue underline"), soft_wrap=True)

    def complain(self, error: "CtwatchError") -> None:
        """Say no, and what to do now."""
        self.err.print(Hanging(Text("Error: ", "bold red"), Text(error.problem)))
        if error.hint:
            self.err.print(_hung(Text(error.hint, "dim")))

    @contextmanager
    def working(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show that something is going on, only where somebody watches; yields what changes it."""
        if self.quiet or not (self.out.file.isatty() and self.err.file.isatty()):
            yield lambda _: None
            return
        with self.err.status(self._one_line(what), spinner=self._spinner) as status:
            self._status = status
            try:
                yield lambda text: status.update(self._one_line(text))
            finally:
                self._status = None

    @contextmanager
    def waiting(self, limit: float) -> Iterator[Callable[[str], None]]:
        """Show how much of `limit` seconds has passed; yields what says how far things are."""
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        if self.quiet or not (self.out.file.isatty() and self.err.file.isatty()):
            yield lambda _: None
            return
        said = f"Waiting for the proof, at most {limit:g} s"
        columns = (
            SpinnerColumn(self._spinner),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.err, transient=True) as progress:
            task = progress.add_task(said)
            self._status = progress
            try:
                yield lambda text: progress.update(task, description=f"{said}, {text}")
            finally:
                self._status = None

    def counting(self, what: str, total: int | None) -> Bar:
        """Show how many are done, only where somebody watches; yields what tells how many.

        Args:
            what: is being done.
            total: of how many, None where nobody knows.
        """
        from rich.progress import TextColumn

        return self._bar(what, total, TextColumn("{task.completed:,.0f}", "progress.download"))

    def estimating(self, what: str, total: float) -> Bar:
        """The same with how long it will still take, by how fast it went lately.

        Args:
            what: is being done.
            total: of how much.
        """
        from rich.progress import TaskProgressColumn, TimeRemainingColumn

        return self._bar(what, total, TaskProgressColumn(), TimeRemainingColumn())

    @contextmanager
    def _bar(
        self, what: str, total: float | None, *more: "ProgressColumn"
    ) -> Iterator[Callable[[float], None]]:
        from rich.progress import BarColumn, Progress, TextColumn

        if self.quiet or not (self.out.file.isatty() and self.err.file.isatty()):
            yield lambda _: None
            return
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), *more)
        with Progress(*columns, console=self.err, transient=True) as bar:
            task = bar.add_task(self._one_line(what).plain, total=total)
            yield lambda done: bar.update(task, completed=done)

    @property
    def _spinner(self) -> str:
        return "dots" if self.err.encoding.startswith("utf") else "line"

    def _one_line(self, what: str) -> Text:
        text = Text(inert(what))
        text.truncate(self.err.width - 4, overflow="ellipsis")
        return text

    @contextmanager
    def _still(self) -> Iterator[None]:
        """Take away for a moment what moves on stderr: stdout shares its line."""
        if self._status is None:
            yield
            return
        self._status.stop()
        try:
            yield
        finally:
            self._status.start()


def _plain_value(value: Any) -> str:
    """What JSON has no form for; a time as ISO 8601 writes it."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _hung(what: RenderableType) -> RenderableType:
    """Text at the left edge, as `Hanging` prints it; anything else as it is."""
    text = Text(what) if isinstance(what, str) else what
    return Hanging(Text(), text) if isinstance(text, Text) else text


def _inert(text: Text) -> Text:
    """The same text without what a terminal would obey."""
    text.plain = inert(text.plain)
    return text


class Hanging:
    """A text whose further lines stand under its first, behind a head.

    Args:
        head: what stands before the first line.
        body: the text; inert in every line.
        column: where the body begins; the head's width when None. A longer head has its own line.
    """

    def __init__(self, head: Text, body: Text, column: int | None = None) -> None:
        self.head = _inert(head)
        self.body = _inert(body)
        self.column = head.cell_len if column is None else column

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a line after another, none with blanks at its end."""
        head, indent = self.head.copy(), " " * self.column
        if head.cell_len > self.column:
            yield head
            head = Text(indent)
        head.pad_right(self.column - head.cell_len)
        width = max(options.max_width - self.column, _NARROW)
        for line in self.body.wrap(console, width, overflow="fold"):
            line.rstrip()
            yield Text.assemble(head, line)
            head = Text(indent)


def show_steps(
    screen: Screen, steps: "Iterable[Step]", what: str, *, clearing: bool = False
) -> "list[Step]":
    """Print steps as they end; returns those that ended."""
    done: list[Step] = []
    under_way: list[str] = []
    with screen.working(what) as say:
        for step in steps:
            title = step.resource.title
            if step.action is Action.STARTED:
                under_way.append(title)
            else:
                if title in under_way:
                    under_way.remove(title)
                done.append(step)
                show_step(screen, step, clearing=clearing)
            say(f"{what}: {', '.join(under_way)}" if under_way else what)
    return done


def show_step(screen: Screen, step: "Step", *, clearing: bool = False) -> None:
    """Print what was done to a resource, unless nothing was."""
    nothing = step.action is Action.SKIPPED and not step.error
    if (nothing or step.action is Action.KEPT) and not screen.verbose:
        return
    sign, colour = _ACTIONS[step.action]
    head = Text(f"{sign} {step.action:<8} ", colour)
    body = Text(step.resource.title)
    if step.action is Action.REPAIRED:
        body.append(": " + ", ".join(one.path for one in step.differences), "dim")
    if clearing and isinstance(step.error, ForeignError):
        body.append(" is not this watch's and stays")
    elif step.error:
        body.append(f": {_without(step.resource.title, step.error.problem)}")
        if step.error.hint:
            body.append(f"\n{step.error.hint}", "dim")
    screen.talk(Hanging(head, body))


def _without(title: str, sentence: str) -> str:
    """The sentence without the title that stands before it already, and what led up to that."""
    said = rf"((looking at|creating|repairing|deleting) )?{re.escape(title)}:? "
    return re.sub(rf"\A{said}", "", sentence)


def contents_line(held: "Contents") -> str:
    """What a bucket holds: "214 versions, 1.3 MB"."""
    from rich.filesize import decimal

    many = f"{held.versions:,} version{'s' * (held.versions != 1)}"
    told = f"more than {many}" if held.more else f"{many}, {decimal(held.size)}"
    lock = ", some of them perhaps under Object Lock, which keeps them" * held.lockable
    return (told if held.versions else "empty") + lock


def watch_line(name: str, account: str, region: str) -> str:
    """Which watch it is all about."""
    return f"Watch {name} in account {account}, {region}:"


def plan_view(findings: "Sequence[Finding]", *, verbose: bool = False) -> Iterator[RenderableType]:
    """What `up` would do, resource by resource; what is kept, only where it is not compared."""
    for finding in findings:
        if finding.verdict is Verdict.OK and not (verbose or finding.resource.note):
            continue
        known = _PLANS[Verdict.OK if finding.outlives else finding.verdict]
        sign, colour, verb = _BY_HAND if finding.only_by_hand else known
        yield Hanging(Text(f"{sign} {verb:<8} ", colour), _planned(finding, verbose=verbose))


def _planned(finding: "Finding", *, verbose: bool) -> Text:
    text = Text(finding.resource.title)
    if finding.verdict is Verdict.STRAY:
        text.append(f"\n{_OUTLIVES if finding.outlives else finding.resource.origin}", "dim")
    elif finding.resource.note:
        text.append(f"\n{finding.resource.note}", "dim")
    if finding.verdict is Verdict.UNKNOWN and finding.error:
        why = _without(finding.resource.title, finding.error.problem)
        text.append("".join(f"\n{one}" for one in (why, finding.error.hint) if one), "dim")
    if finding.verdict is Verdict.FOREIGN:
        why = foreign(finding).problem.rpartition(": ")[2].removeprefix("it ")
        text.append(f"\n{why}", "dim")
    for one in finding.differences if finding.verdict is Verdict.DRIFTED else ():
        live, wanted = (_shown(value, verbose=verbose) for value in (one.live, one.wanted))
        text.append(f"\n{one.path}: {live} → {wanted}", "dim")
        if one.path in finding.resource.by_hand:
            text.append(f"\n{finding.resource.by_hand[one.path]}", "dim")
    return text


def _shown(value: Any, *, verbose: bool) -> str:
    """A value on one line; JSON unless it is a plain text."""
    plain = isinstance(value, str) and value.isprintable()
    text = value if plain else json.dumps(value, ensure_ascii=False)
    return text if verbose or len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def cost_view(cost: "Cost") -> Iterator[RenderableType]:
    """What the watch costs a month, of what that is the sum, and what it goes by."""
    about = f"About ${cost.dollars} a month" if cost.items else "Less than a cent a month"
    yield f"{about}, by list prices of us-east-1 in {AS_OF}{':' if cost.items else '.'}"
    for title, one in cost.items:
        text = Text(f"{title}, {one.what}: ")
        text.append(one.how, "dim")
        yield Hanging(Text(f"{f'${cents(one.dollars)}':>7}  "), text)
    yield Hanging(Text("  "), Text(f"Assumed: {'; '.join(ASSUMPTIONS)}.", "dim"))


def cost_json(cost: "Cost") -> dict[str, Any]:
    """The same for programs; dollars as numbers, in cents."""
    return {
        "dollars_a_month": float(cost.dollars),
        "prices_of": AS_OF,
        "items": [
            {
                "resource": title,
                "what": one.what,
                "dollars_a_month": float(cents(one.dollars)),
                "how": one.how,
            }
            for title, one in cost.items
        ],
        "assumptions": list(ASSUMPTIONS),
    }


def plan_summary(findings: "Sequence[Finding]") -> str:
    """One line: how much there is to do."""
    by_hand = sum(one.only_by_hand for one in findings)
    counts = {verdict: sum(one.verdict is verdict for one in findings) for verdict in Verdict}
    outliving = sum(one.outlives for one in findings)
    in_part = sum(one.verdict is Verdict.OK and bool(one.resource.note) for one in findings)
    words = [
        (counts[Verdict.MISSING], "to create"),
        (counts[Verdict.DRIFTED] - by_hand, "to change"),
        (counts[Verdict.STRAY] - outliving, "to remove"),
        (outliving, "of an earlier config kept"),
        (by_hand, "by hand"),
        (counts[Verdict.OK] - in_part, "as promised"),
        (in_part, "not compared"),
        (counts[Verdict.FOREIGN], "not ours"),
        (counts[Verdict.UNKNOWN], "unknown"),
    ]
    line = ", ".join(f"{number} {word}" for number, word in words if number)
    idle = all(one.settled for one in findings)
    return f"Nothing to do: {line}." if idle else f"{line}."


def status_view(diagnosis: "Diagnosis") -> Iterator[RenderableType]:
    """The verdict, a line per hop, and the faults with what mends them."""
    yield verdict_line(diagnosis.verdict)
    names = [one.name if one.name == one.subject else f"{one.name} {one.subject}" for one in
             diagnosis.hops]  # fmt: skip
    column = 2 + min(max(map(cell_len, names)), _LONGEST_NAME) + 1
    for hop, name in zip(diagnosis.hops, names, strict=True):
        sign, colour = _FLOWS[Flow.WORN if hop.warnings and hop.flow is Flow.OK else hop.flow]
        yield Hanging(Text.assemble((sign, colour), f" {name}"), _hop_line(hop), column)
    if diagnosis.faults or diagnosis.warnings:
        yield Text()
    absent = diagnosis.verdict is Alarm.ABSENT
    yield from _remedies(diagnosis.faults, "red", all_gone=absent)
    yield from _remedies(diagnosis.warnings, "yellow")


def moment_line(diagnosis: "Diagnosis", interval: float) -> Text:
    """When a look that is made again and again was made."""
    return Text(f"{diagnosis.at:%Y-%m-%d %H:%M:%S} UTC, every {interval:g} s", "dim")


def promised_view(findings: "Sequence[Finding]") -> Iterator[RenderableType]:
    """All that is as promised, by name."""
    fine = [one for one in findings if one.verdict is Verdict.OK]
    if fine:
        yield Text("\nAs promised:")
    for one in fine:
        yield Hanging(Text("✓ ", "green"), Text(one.resource.title))


_LONGEST_NAME = 40
"""Columns that the names of the hops take at most; a longer one has its own line."""


def _hop_line(hop: "Hop") -> Text:
    """The hop's sentence, without the name that stands before it."""
    told = (*hop.faults, *hop.warnings)
    sentence = hop.sentence
    if told and told[0].resource.endswith(f" {hop.subject}"):
        sentence = _without(told[0].resource, sentence)
    more = len(told) - 1
    return Text(f"{sentence} (and {more} more)" if more > 0 else sentence)


def _remedies(
    faults: "Iterable[Fault]", colour: str, *, all_gone: bool = False
) -> Iterator[RenderableType]:
    """The faults, those together that one thing mends; not again that something is not there."""
    together: dict[str, list[Fault]] = {}
    for fault in faults:
        together.setdefault(fault.remedy, []).append(fault)
    for remedy, ones in together.items():
        for fault in ones:
            if not (all_gone and fault.missing):
                yield Hanging(Text("• ", colour), Text(fault.sentence))
        if remedy:
            yield Hanging(Text("→ ", "cyan"), Text(remedy, "cyan"))


def waiting_line(fault: "Fault") -> Text:
    """What to say of a drill to make anew, or an address whose confirmation is all that misses."""
    if fault.path in {SILENT, UNTOLD}:
        return Text(f"{fault.sentence}. To prove it now: {fault.remedy}", "yellow")
    address = fault.resource.partition(" ")[2]
    return Text(
        f"Only a click is missing: {address} has not followed the link in the confirmation mail. "
        f"{fault.remedy}",
        "yellow",
    )


def verdict_line(verdict: Alarm) -> Text:
    """The verdict and what it means."""
    return Text.assemble((verdict, _COLOURS.get(verdict, _ALARM)), f"  {MEANING[verdict]}")


def blow_line(blow: "Blow") -> Text:
    """What was called or made up, and that nothing was harmed."""
    from ctwatch.blows import On
    from ctwatch.techniques import Probe

    technique = blow.technique
    if not isinstance(technique, Probe):
        handed = f"made up {technique.name} as {blow.target}"
        return Text(f"{handed}: SYNTHETIC, handed on, nothing was called", "dim")
    called = f"called {technique.operation} on {blow.target}"
    if blow.on is not On.PROBE:
        return _struck_line(blow, called)
    if not blow.answer:
        return Text(f"{called}: it succeeded, which no probe may: the drill failed", "red")
    why = "no such trail" if blow.answer == _NO_TRAIL else f"AWS answered {blow.answer}"
    return Text(f"{called}: {why}, nothing was harmed", "dim")


_NO_TRAIL = "TrailNotFoundException"


def _struck_line(blow: "Blow", called: str) -> Text:
    """What became of a trail that exists."""
    from ctwatch.techniques import Probe

    if blow.answer:
        return Text(f"{called}: AWS answered {blow.answer}: the drill failed", "red")
    if blow.gap is None:
        return Text(f"{called}: it succeeded, and the canary is deleted", "dim")
    harm = blow.technique.harm if isinstance(blow.technique, Probe) else None
    stopped = harm is not None and (harm.changes is None or "logging" in harm.changes)
    gap = f"{'there was no log' if stopped else 'it was otherwise'} for {_at_most(blow.gap)} s"
    return Text(f"{called}: it succeeded, and is mended; {gap} at the most", "dim")


def _at_most(seconds: float) -> str:
    return f"{math.ceil(seconds * 10) / 10:.1f}"


def ladder(drill: "Drill", timeout: float) -> Iterator[RenderableType]:
    """A drill's ladder, hop by hop."""
    from ctwatch.blows import Proof

    verdict = ("proven", "bold green") if drill.proven else ("not proven", "bold red")
    if drill.deserted:
        verdict = ("nobody can have heard: no address is confirmed", "bold red")
    if drill.proven and drill.untold:
        verdict = ("proven up to the channels, and none of them is told of this", "bold yellow")
    synthetic = drill.blow.technique.kind == "synthetic"
    if drill.proven and synthetic and not drill.untold:
        verdict = ("proven as far as it can be", "bold green")
    label = "  SYNTHETIC" if synthetic else ""
    began = "handed on" if synthetic else "called"
    yield Text.assemble((drill.blow.technique.name, "bold"), label, "  ", verdict)
    yield _Chain([f"{began} {drill.blow.at:%H:%M:%S} UTC", *_rungs(drill.rungs, timeout)])
    for rung in drill.rungs:
        if rung.proof is Proof.UNPROVABLE:
            yield Hanging(Text("  "), Text(f"{rung.hop}: {rung.note}"))
        if rung.proof is Proof.SKIPPED:
            yield Hanging(Text("  "), Text(f"{rung.hop}: skipped, {rung.note}"))


def reason_view(reasons: "Sequence[Reason]") -> Iterator[RenderableType]:
    """What says why a hop stayed silent, by who says so."""
    if not reasons:
        yield Text("  nothing; on AWS an event may come late, or, rarely, never", "dim")
    for one in reasons:
        remedy = f" → {one.remedy}" if one.remedy else ""
        yield Hanging(Text(f"  {one.source}: "), _inert(Text(f"{one.sentence}{remedy}")))


class _Chain:
    """Links in a row; a line is broken between two links, as long as each fits by itself."""

    def __init__(self, links: Sequence[str]) -> None:
        self.links = links

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = ""
        for number, link in enumerate(self.links):
            longer = f"{line} ─ {link}" if number else link
            if cell_len(longer) <= options.max_width - 2:
                line = longer
                continue
            if line:
                yield Hanging(Text("  "), Text(line))
            line = f"─ {link}" if number else link
        yield Hanging(Text("  "), Text(line))


def _rungs(rungs: "Sequence[Rung]", timeout: float) -> Iterator[str]:
    """The provable hops; those without a clock of their own stand before the one they go by."""
    from ctwatch.blows import Proof

    proven_by = [one.hop for one in rungs if one.by and one.proof is Proof.PROVEN]
    if proven_by:
        yield f"{', '.join(proven_by)}: by {_after(next(one.seconds for one in rungs if one.by))}"
    for one in rungs:
        if one.proof is Proof.PROVEN and not one.by:
            after = "" if one.seconds is None else _after(one.seconds)
            yield " ".join(filter(None, (one.hop, one.note, after)))
    silent: dict[str, list[str]] = {}
    for one in rungs:
        if one.proof is Proof.SILENT:
            silent.setdefault(one.note, []).append(one.hop)
    for note, hops in silent.items():
        why = f" ({note})" if note else ""
        yield f"✗ {', '.join(hops)}: not proven within {timeout:g} s{why}"


def _after(seconds: float | None) -> str:
    """Seconds after the call."""
    return f"{seconds or 0.0:+.1f} s"


_ROW = 27
"""Columns of a sign, a date, a time and the letters of most zones, and the gap after them."""
_SAID = 200
"""Characters of a stranger's text in an alert."""


def alerts_view(alerts: "Iterable[Alert]", zone: tzinfo) -> Iterator[RenderableType]:
    """An alert after another: when and what; below, who, and how each channel took it."""
    for alert in alerts:
        sign, colour = _alert_sign(alert)
        when = f"{alert.received.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
        yield Hanging(Text.assemble((sign, colour), f" {when} "), _alert_text(alert), _ROW)
        yield from (Hanging(Text("  "), line) for line in _alert_lines(alert))


def _alert_sign(alert: "Alert") -> tuple[str, str]:
    if alert.failed:
        return _FLOWS[Flow.CUT]
    again = any(one.retries for one in alert.channels)
    return _FLOWS[Flow.WORN if again else Flow.OK] if alert.told else ("·", "dim")


def _alert_text(alert: "Alert") -> Text:
    """What happened. What is a stranger's in it can neither act nor make a line of its own."""
    about = alert.about
    name, title, severity = (cut(one, _SAID) for one in (about.name, about.title, about.severity))
    label = f"{about.label} " if about.label in {"DRILL", "SYNTHETIC"} else ""
    how = filter(None, (severity, _RESULTS.get(about.result)))
    return Text.assemble(
        (label, "bold yellow"),
        (": ".join(filter(None, (name, title))), "bold"),
        "".join(f", {one}" for one in how),
    )


def _alert_lines(alert: "Alert") -> Iterator[Text]:
    """Who did it; then how the channels took it, those that failed apart."""
    if alert.about.actor:
        yield Text(f"by {cut(alert.about.actor, _SAID)}", "dim")
    if taken := [_taken_text(one) for one in alert.channels if one.outcome != "failed"]:
        yield Text(" · ".join(taken))
    for one in alert.channels:
        if one.outcome == "failed":
            yield Text(f"✗ {_taken_text(one)}", "bold red")


_RESULTS = {"failed": "failed attempt", "denied": "denied attempt"}


def _taken_text(one: "Taken") -> str:
    """How one channel took it: "discord delivered 204 after 2 retries"."""
    status = f" {one.status}" if isinstance(one.status, int) else ""
    tried = f" after {_number(one.retries, 'retry', 'retries')}" if one.retries else ""
    often = f", {one.times} times" if one.times > 1 else ""
    count = one.duplicates if one.outcome != "duplicate" else 0
    held = f", {_number(count, 'duplicate', 'duplicates')} held back" if count else ""
    why = f": {cut(one.error, 2 * _SAID)}" if one.error else ""
    return f"{cut(one.channel, _SAID)} {cut(one.outcome, _SAID)}{status}{tried}{often}{held}{why}"


def _number(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def lost_view(lost: "Iterable[Lost]") -> Iterator[RenderableType]:
    """The dead letters, and what to do about them."""
    for one in lost:
        yield Hanging(Text("• ", "red"), Text(one.sentence))
        yield Hanging(Text("→ ", "cyan"), Text(one.remedy, "cyan"))


def confirmed_view(found: "Confirmed") -> Iterator[RenderableType]:
    """Who was confirmed, and what that is worth."""
    if found.pending:
        said = f"{found.endpoint}: AWS has taken the confirmation, and does not show it yet"
        yield Hanging(Text("! ", "yellow"), Text(said))
        yield Hanging(Text("→ ", "cyan"), Text("ctwatch status", "cyan"))
    elif found.protected:
        said = f"{found.endpoint} is confirmed; the unsubscribe link in its mails does nothing"
        yield Hanging(Text("✓ ", "green"), Text(said))
    else:
        said = (
            f"{found.endpoint} was confirmed before, by somebody or something that followed the "
            "link: whoever has one of its mails can unsubscribe it by a click, unseen by CloudTrail"
        )
        yield Hanging(Text("! ", "yellow"), Text(said))
        yield Hanging(Text("→ ", "cyan"), Text(found.remedy, "cyan"))


def detections_view(
    detections: "Sequence[Detection]", language: "Language"
) -> Iterator[RenderableType]:
    """The catalogue at a glance."""
    heads = ("detection", "severity", "seen in")
    rows = [heads, *((one.id, one.severity, one.where) for one in detections)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    whats = ["what", *(one.title[language] for one in detections)]
    for row, what in zip(rows, whats, strict=True):
        cells = "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=True))
        style = "bold" if row is heads else ""
        yield Hanging(Text(cells, style), Text(what, style))


def detection_view(one: "Detection", language: "Language") -> Iterator[RenderableType]:
    """One detection, explained; its pattern comes after."""
    yield Text.assemble((one.id, "bold"), f"  {one.title[language]}")
    yield Text(one.why[language])
    mitre = f" MITRE ATT&CK {', '.join(one.mitre)}." if one.mitre else ""
    yield Text(f"Severity {one.severity}, seen in {_seen_in(one)}.{mitre}", "dim")


def example_view(one: "Detection", language: "Language") -> Iterator[RenderableType]:
    """An alert about the first of its examples, as a mail of the route `formatted` says it."""
    from ctwatch.notifier import plain
    from ctwatch.notifier.event import unpack
    from ctwatch.notifier.message import compose
    from ctwatch.notifier.settings import Settings

    if not one.examples.fires:
        return
    trail = str(SAMPLE["trail_arn"])
    zone = {"ko": "Asia/Seoul", "en": "UTC"}[language]
    settings = Settings(watch="ctwatch", trail=trail, language=language, timezone=zone, channels=())
    [event] = unpack(one.examples.fires[0])
    yield Text("An alert", "bold")
    yield Hanging(Text("  "), _inert(Text(plain.body(compose(event, settings, plain.quote)))))
    yield Text()


def proof_view(detection: str) -> Iterator[RenderableType]:
    """How a detection is proven; nothing for one that no technique is about."""
    from ctwatch.techniques import Probe, Synthetic, techniques_of

    techniques = techniques_of(detection)
    if struck := [one.name for one in techniques if isinstance(one, Probe)]:
        said = f"ctwatch simulate {detection}: {', '.join(struck)}"
        yield Hanging(Text("Proven by: "), Text(said))
    for one in techniques:
        if isinstance(one, Synthetic):
            said = f"ctwatch simulate {one.name}, SYNTHETIC: {one.why}"
            yield Hanging(Text("Proven by: "), Text(said))


def techniques_view(techniques: "Sequence[Technique]") -> Iterator[RenderableType]:
    """What `simulate` can be asked for, by detection."""
    from ctwatch.techniques import Synthetic

    column = max(cell_len(one.name) for one in techniques) + 4
    for detection, ones in groupby(techniques, lambda one: one.detection):
        yield Text(detection, "bold")
        for one in ones:
            why = f" SYNTHETIC: {one.why}." if isinstance(one, Synthetic) else ""
            yield Hanging(Text(f"  {one.name}"), Text(one.story + why), column)
    real = ", ".join(one.name for one in techniques if _on_trails(one))
    yield Hanging(Text("--on canary, --on trail: ", "bold"), Text(real))


def _on_trails(one: "Technique") -> bool:
    """Whether it can be done to a trail that exists."""
    from ctwatch.techniques import Probe

    return isinstance(one, Probe) and one.harm is not None


def technique_json(one: "Technique") -> dict[str, Any]:
    """A technique for programs."""
    from ctwatch.blows import On
    from ctwatch.techniques import Probe, Synthetic

    words = ("name", "kind", "detection", "story")
    called = f"{one.service}:{one.operation}" if isinstance(one, Probe) else None
    why = one.why if isinstance(one, Synthetic) else None
    targets = [on for on in On if on is On.PROBE or _on_trails(one)] if called else []
    told = {word: getattr(one, word) for word in words}
    return {**told, "calls": called, "on": targets, "why": why}


def part_head(part: "Part") -> Text:
    """What stands over a pattern: of one of several, its name and where it is seen."""
    named = f": {part.name}, seen in {_SEEN[part.where]}" if part.name else ""
    return Text(f"Event pattern{named}", "bold")


def _seen_in(one: "Detection") -> str:
    """Where its parts are seen, each place once."""
    *others, last = (_SEEN[where] for where in dict.fromkeys(part.where for part in one.parts))
    return f"{', '.join(others)} and {last}" if others else last


_SEEN = {
    "home": "the trail's home region",
    "us-east-1": "us-east-1 only",
    "every-region": "the region of the call",
    "rules": "every region that holds a rule of the watch",
}


def heading(text: str) -> RenderableType:
    """The title of a part of a longer show."""
    from rich.constrain import Constrain
    from rich.rule import Rule

    return Constrain(Rule(Text(text, "bold"), align="left", style="dim"), _WIDEST)


def panel(title: str, body: Text) -> RenderableType:
    """Something that arrived, in a frame."""
    from rich.panel import Panel

    return Panel(_inert(body), title=title, title_align="left", expand=False, width=_WIDEST)


def difference_json(one: "Difference") -> dict[str, Any]:
    """A difference for programs."""
    return {"path": one.path, "wanted": one.wanted, "live": one.live}


def finding_json(finding: "Finding") -> dict[str, Any]:
    """A finding for programs."""
    return {
        "kind": finding.resource.kind,
        "name": finding.resource.name,
        "verdict": finding.verdict,
        "differences": [difference_json(one) for one in finding.differences],
        "error": finding.error.problem if finding.error else None,
        "note": finding.resource.note or (_OUTLIVES if finding.outlives else None),
    }


def step_json(step: "Step") -> dict[str, Any]:
    """What was done to one resource, for programs."""
    return {
        "kind": step.resource.kind,
        "name": step.resource.name,
        "action": step.action,
        "differences": [difference_json(one) for one in step.differences],
        "error": step.error.problem if step.error else None,
        "hint": (step.error.hint or None) if step.error else None,
    }


def diagnosis_json(diagnosis: "Diagnosis") -> dict[str, Any]:
    """A diagnosis for programs."""
    return {
        "verdict": diagnosis.verdict,
        "meaning": MEANING[diagnosis.verdict],
        "at": diagnosis.at.isoformat(timespec="seconds") if diagnosis.at else None,
        "rules": diagnosis.rules,
        "hops": [
            {
                "hop": hop.name,
                "subject": hop.subject,
                "flow": hop.flow,
                "sentence": hop.sentence,
                "faults": [vars(fault) for fault in hop.faults],
                "warnings": [vars(fault) for fault in hop.warnings],
            }
            for hop in diagnosis.hops
        ],
        "proofs": [
            {
                "technique": one.technique,
                "at": one.at.isoformat(),
                "proven": one.proven,
                "seconds": one.seconds,
            }
            for one in diagnosis.proofs
        ],
    }


def alert_json(alert: "Alert") -> dict[str, Any]:
    """An alert for programs. The texts about the event are as they came, a stranger's."""
    about = {key: value or None for key, value in vars(alert.about).items()}
    channels = [{**vars(one), "error": one.error or None} for one in alert.channels]
    return {"received": alert.received, **about, "channels": channels}


def lost_json(lost: "Lost") -> dict[str, Any]:
    """A dead-letter queue for programs."""
    return {
        "queue": lost.queue.name,
        "region": lost.queue.place.region,
        "messages": lost.messages,
        "remedy": lost.remedy,
    }


def logs_view(
    where: "Deliveries", found: "Sequence[Report]", when: str
) -> Iterator[RenderableType]:
    """What the check of log files has found: a line per fault, then how many are valid.

    Args:
        where: the trail delivers.
        found: of each region.
        when: in words, "in the last 24 h".
    """
    if not where.validated:
        yield Hanging(Text("! ", "yellow"), Text(_NOT_VALIDATED))
    for one, regions in _faults_of_logs(found).items():
        place = f" in {', '.join(regions)}" if one.what == "time" else ""
        yield Hanging(Text("✗ ", "red"), Text(f"{one.what} {one.subject}{place}: {one.fault}"))
    for report in found:
        if report.unknown:
            yield Hanging(Text("? ", "magenta"), Text(report.unknown))
    word, colour = "VALID", "bold green"
    if any(one.faults for one in found):
        word, colour = "NOT VALID", "bold red"
    elif any(one.unknown for one in found) or not any(one.digests for one in found):
        word, colour = "UNKNOWN", "bold magenta"
    yield Hanging(Text(f"{word}  ", colour), Text(_counted_logs(where, found, when)))
    if any(one.what != "time" for report in found for one in report.faults):
        yield Text(_VERSIONS.format(where.bucket), "dim")


def _faults_of_logs(found: "Sequence[Report]") -> "dict[Looked, list[str]]":
    """Each fault with the regions that have it: a time may be unvouched for in several."""
    regions: dict[Looked, list[str]] = {}
    for report in found:
        for one in report.faults:
            regions.setdefault(one, []).append(report.region)
    return regions


def _counted_logs(where: "Deliveries", found: "Sequence[Report]", when: str) -> str:
    """How much is valid, or why nothing is."""
    from ctwatch.digests import stamp

    digests, files = sum(one.digests for one in found), sum(one.files for one in found)
    if digests:
        regions = ", ".join(one.region for one in found if one.digests)
        counted = f"{_many(digests, 'digest file')} and {_many(files, 'log file')} of {regions}"
        return f"{counted} are as CloudTrail delivered them {when}."
    if any(one.faults for one in found):
        return f"There is no valid digest file {when}."
    if any(one.unknown for one in found):
        return f"Nothing that was delivered {when} could be checked."
    if any(one.begun for one in found):
        return f"Nothing to check: no digest file ends {when}, and one comes every hour."
    if where.begun and where.validated:
        due = stamp(where.begun + timedelta(hours=1))
        return f"Nothing to check yet: the first digest file is due some time after {due}."
    return f"Nothing to check: no digest file came {when}{'' if where.begun else _NOT_LOGGING}."


_NOT_LOGGING = ", and the trail does not log"
_NOT_VALIDATED = (
    "the trail's files are not validated, so no digest comes any more; where the trail is the "
    "watch's own, ctwatch up turns that on again"
)
_VERSIONS = (
    "A bucket with versions still has what was there before: "
    "aws s3api list-object-versions --bucket {} --prefix KEY"
)


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def logs_json(
    where: "Deliveries", found: "Sequence[Report]", since: datetime, now: datetime
) -> dict[str, Any]:
    """The same for programs; `valid` is null where it could not be found out."""
    faults = [{"region": one.region, **vars(each)} for one in found for each in one.faults]
    unknown = [{"region": one.region, "why": one.unknown} for one in found if one.unknown]
    digests = sum(one.digests for one in found)
    return {
        "trail": where.arn,
        "bucket": where.bucket,
        "since": since.isoformat(),
        "until": now.isoformat(),
        "valid": not faults if faults or (digests and not unknown) else None,
        "digests": digests,
        "log_files": sum(one.files for one in found),
        "faults": faults,
        "unknown": unknown,
    }


def drill_json(drill: "Drill") -> dict[str, Any]:
    """A drill for programs; seconds are after the call."""
    return {
        "technique": drill.blow.technique.name,
        "kind": drill.blow.technique.kind,
        "on": drill.blow.on,
        "proven": drill.proven,
        "called": drill.blow.at.isoformat(),
        "target": drill.blow.target,
        "request_id": drill.blow.request_id,
        "answer": drill.blow.answer,
        "gap_seconds": drill.blow.gap,
        "event_id": drill.event_id or None,
        "hops": [vars(rung) for rung in drill.rungs],
    }
