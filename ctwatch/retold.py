"""What the reader sees of the past: detections with their days, and answers to questions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from ctwatch.detections import Language
from ctwatch.digests import Looked
from ctwatch.history.gaps import Gap
from ctwatch.history.questions import Column
from ctwatch.history.records import DIGEST, STRANGE, Seen
from ctwatch.history.search import Finding
from ctwatch.history.tally import NOISIEST, Rows, Tally
from ctwatch.history.told import Past, finding_values, moment
from ctwatch.inert import one_line
from ctwatch.render import Hanging

_BARS = "▁▂▃▄▅▆▇█"
_PLACES = 60
_LONGEST = 60
"""Characters of one cell of an answer."""
_BETWEEN = "  "
"""What stands between two columns."""
_NAMED = 3
"""Files that are named of those that could not be read for one reason."""

_WORDS: Mapping[str, Mapping[Language, str]] = {
    "never": {"en": "never", "ko": "없음"},
    "times": {"en": "{:,} times on {:,} days", "ko": "{1:,}일 동안 {0:,}번"},
    "times on a day": {"en": "{:,} times on one day", "ko": "하루에 {:,}번"},
    "once": {"en": "once", "ko": "한 번"},
    "of": {"en": "of {}", "ko": "대상 {}"},
    "by": {"en": "by {}", "ko": "주체 {}"},
    "from address": {"en": "from {}", "ko": "주소 {}"},
    "in": {"en": "in {}", "ko": "리전 {}"},
    "noisiest": {"en": "most by", "ko": "가장 잦은 주체"},
    "saves": {
        "en": 'except: {{{0}: ["{1}"]}} would leave out {2:,} of {3:,}',
        "ko": 'except: {{{0}: ["{1}"]}} 이면 {3:,}건 중 {2:,}건이 빠집니다',
    },
    "leaves out": {
        "en": "the except of the rule {0} leaves out {1:,} of {2:,}",
        "ko": "규칙 {0}의 except 이 {2:,}건 중 {1:,}건을 뺍니다",
    },
    "count": {"en": "times", "ko": "횟수"},
    "first": {"en": "first", "ko": "처음"},
    "last": {"en": "last", "ko": "마지막"},
    "gap": {"en": "no record", "ko": "기록 없음"},
    "from": {"en": "from", "ko": "부터"},
    "to": {"en": "to", "ko": "까지"},
    "hours": {"en": "hours", "ko": "시간"},
    "everywhere": {"en": "anywhere", "ko": "모든 리전"},
}


def past_view(past: Past, language: Language) -> Iterator[RenderableType]:
    """Each detection: how often it would have fired, its days, the last of them, the noisiest."""
    for one in past.asked.detections:
        tally = past.tallies[one.id]
        yield Text.assemble(
            (one.id, "bold"),
            f"  {one.severity}  ",
            (_often(tally, language), "bold yellow" if tally.count else "green"),
        )
        yield Hanging(Text("  "), Text(one.title[language], "dim"))
        if tally.count:
            yield Hanging(Text("  "), Text(sparkline(past.line(one, _PLACES)), "yellow"))
            yield from _details(tally, past.zone, language)
            yield from _left_out(past.rules.get(one.id, {}), tally, language)


def _often(tally: Tally, language: Language) -> str:
    if tally.count <= 1:
        return _WORDS["once" if tally.count else "never"][language]
    if len(tally.days) == 1:
        return _WORDS["times on a day"][language].format(tally.count)
    return _WORDS["times"][language].format(tally.count, len(tally.days))


def sparkline(counts: Sequence[int]) -> str:
    """A bar for each count: the lowest for none, and only for none."""
    most = max(counts, default=0)
    top = len(_BARS) - 1
    return "".join(_BARS[-(-one * top // most) if most else 0] for one in counts)


def _details(tally: Tally, zone: tzinfo, language: Language) -> Iterator[RenderableType]:
    for one in tally.newest:
        yield Hanging(Text("  · "), Text(_said(one, zone, language)))
    noisy = [f"{who} {count:,}" for who, count in tally.noisiest]
    if noisy:
        words = ", ".join(one_line(one, 2 * _LONGEST) for one in noisy)
        yield Hanging(Text(f"  {_WORDS['noisiest'][language]}: "), Text(words))
    for each in tally.exclusions()[:NOISIEST]:
        said = _WORDS["saves"][language].format(each.key, each.value, each.saved, tally.count)
        yield Hanging(Text("  → ", "cyan"), Text(said, "cyan"))


def _left_out(
    rules: Mapping[str, int], tally: Tally, language: Language
) -> Iterator[RenderableType]:
    """What the rules of the config do not tell of it."""
    for name, count in rules.items():
        said = _WORDS["leaves out"][language].format(name, count, tally.count)
        yield Hanging(Text("  · "), Text(said))


def _said(one: Finding, zone: tzinfo, language: Language) -> str:
    """One finding on a line: when, what; as far as it says, of what, why not, by whom, where."""
    told = finding_values(one)
    failed = f"({told['result']})" if told["result"] else ""
    named = (("by", "actor"), ("from address", "address"), ("in", "region"))
    target, *places = [
        _WORDS[word][language].format(told[name]) if told[name] else ""
        for word, name in (("of", "target"), *named)
    ]
    return one_line(
        " ".join((_when(one.time, zone), told["event"], target, failed, *places)), 4 * _LONGEST
    )


def _when(time: str, zone: tzinfo) -> str:
    found = moment(time)
    return f"{found.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" if found else one_line(time, _LONGEST)


def answer_view(answer: Rows, zone: tzinfo, language: Language) -> Iterator[RenderableType]:
    """The answer to a question: a table with a line for each record, or each group of records."""
    columns = answer.question.columns
    heads = [dict(one.titles)[language] for one in columns]
    if answer.question.grouped:
        heads += [_WORDS[one][language] for one in ("count", "first", "last")]
        rows = [
            [*one.cells, f"{one.count:,}", _when(one.first, zone), _when(one.last, zone)]
            for one in answer.groups
        ]
    else:
        rows = [_cells(one, columns, zone) for one in answer.rows]
    yield from _table(heads, rows)


def _cells(one: Finding, columns: Sequence[Column], zone: tzinfo) -> list[str]:
    told = {column.name: cell for column, cell in zip(columns, one.cells, strict=True)}
    if "time" in told:
        told["time"] = _when(told["time"], zone)
    if told.get("session") == told.get("actor"):  # of a user it tells nothing more
        told |= {"session": ""} if "session" in told else {}
    return list(told.values())


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[RenderableType]:
    """Columns as wide as what stands in them, but for those in which nothing does."""
    short = [[one_line(cell, _LONGEST) for cell in row] for row in rows]
    used = [at for at in range(len(heads)) if any(row[at] for row in short)]
    if short:
        yield _Table(*([row[at] for at in used] for row in (heads, *short)))


class _Table:
    """A line for each row; or, where the screen is too narrow for them, some lines for each.

    Args:
        heads: of the columns; the first two head what is told in some lines.
        rows: as many cells each.
    """

    def __init__(self, heads: Sequence[str], *rows: Sequence[str]) -> None:
        self._heads, self._rows = heads, rows

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        columns = zip(self._heads, *self._rows, strict=True)
        widths = [max(map(cell_len, column)) for column in columns]
        wide = sum(widths) + len(_BETWEEN) * (len(widths) - 1) > options.max_width
        yield from self._blocks() if wide else self._lines(widths)

    def _lines(self, widths: Sequence[int]) -> Iterator[RenderableType]:
        for row in (self._heads, *self._rows):
            cells = zip(row, widths, strict=True)
            padded = (f"{cell}{' ' * (width - cell_len(cell))}" for cell, width in cells)
            line = Text(_BETWEEN.join(padded).rstrip(), "bold" if row is self._heads else "")
            yield Hanging(Text(), line)

    def _blocks(self) -> Iterator[RenderableType]:
        for row in self._rows:
            yield Hanging(Text(), Text(_BETWEEN.join(row[:2]), "bold"))
            for head, cell in zip(self._heads[2:], row[2:], strict=True):
                if cell:
                    yield Hanging(Text(f"  {head} ", "dim"), Text(cell))


def gaps_view(
    found: Sequence[Gap],
    stopped: Rows,
    digests: Sequence[Looked],
    zone: tzinfo,
    language: Language,
) -> Iterator[RenderableType]:
    """The hours without a record, what stopped and began the logging, and the broken digests."""
    words = {word: _WORDS[word][language] for word in ("gap", "from", "to", "hours", "everywhere")}
    rows = [
        (
            *(one.region or words["everywhere"], _clock(one.start, zone), _clock(one.end, zone)),
            f"{one.hours:,}",
        )
        for one in found
    ]
    yield from _table([words["gap"], words["from"], words["to"], words["hours"]], rows)
    yield from answer_view(stopped, zone, language)
    for each in digests:
        yield Hanging(Text("✗ ", "red"), Text(f"{each.what} {each.subject}: {each.fault}"))


def _clock(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def seen_line(seen: Seen, source: str, zone: tzinfo) -> str:
    """What was gone through."""
    files = f" in {seen.files:,} {_plural('file', seen.files)}" if seen.files else ""
    span = f", {_when(seen.first, zone)} to {_when(seen.last, zone)}" if seen.records else ""
    if seen.sifted:
        return f"{seen.records:,} {_plural('record', seen.records)} came back of {source}{span}."
    return f"Of {seen.records:,} {_plural('record', seen.records)}{files} of {source}{span}."


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def troubles_view(seen: Seen, *, whole: bool = False) -> Iterator[tuple[str, bool]]:
    """What could not be read, a sentence for each reason, and whether something may be missing.

    Args:
        seen: what was gone through.
        whole: whether to name each file.
    """
    for why, names in seen.troubles.items():
        several = f"{len(names):,} {_plural('file', len(names))}"
        shown = names if whole else names[:_NAMED]
        named = ", ".join(one_line(one, 2 * _LONGEST) for one in shown)
        more = ", …" if len(names) > len(shown) else ""
        yield f"{several} not read, or not all of it: {why}: {named}{more}", is_loss(why)


def is_loss(why: str) -> bool:
    """Whether a file that was not read for that reason may have held records."""
    return why not in {DIGEST, STRANGE}


def not_asked_lines(past: Past) -> Iterator[str]:
    """Why some detections are not told of."""
    if past.asked.ours:
        names = ", ".join(past.asked.ours)
        why = "as they mean what a watch owns, and neither a config nor a record tells which"
        yield f"Not asked, {why}: {names}."
    if past.asked.unrecorded:
        names = ", ".join(past.asked.unrecorded)
        yield f"Not known, as CloudTrail does not record what they are told by: {names}."
    if past.asked.unheld:
        names = ", ".join(past.asked.unheld)
        why = "as Athena's table does not hold what they go by (--from bucket does)"
        yield f"Not asked, {why}: {names}."
