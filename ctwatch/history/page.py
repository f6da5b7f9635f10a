"""What the detections would have fired on, as one page for a browser.

The page asks nobody for anything and runs nothing: no script, no font, no picture from elsewhere,
and a policy that lets the browser load none. What stands in records was chosen by strangers, so
every text passes `_text`; a bar's length is a number that was counted here.

Pure.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from html import escape

from ctwatch.detections import Detection, Language
from ctwatch.history.tally import NOISIEST, Tally
from ctwatch.history.told import Past, finding_values, moment
from ctwatch.inert import inert, one_line

_PLACES = 120
_WIDTH, _HEIGHT = 960, 60
_LONGEST = 300

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --dim: #666; --line: #ddd; --bar: #c2410c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e5e5e5; --dim: #999; --line: #333; --bar: #fb923c; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 0; }
section { border-top: 1px solid var(--line); padding: 1rem 0; overflow-wrap: anywhere; }
p { margin: .2rem 0; } .dim { color: var(--dim); }
.count { float: right; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; margin: .5rem 0; }
rect { fill: var(--bar); } line { stroke: var(--line); } text { fill: var(--dim); font-size: 11px; }
code { font-size: .9em; } ul { margin: .3rem 0; padding-left: 1.2rem; }
"""

_WORDS: Mapping[str, Mapping[Language, str]] = {
    "title": {"en": "What would have fired", "ko": "울렸을 경보"},
    "of": {"en": "{:,} records of {}", "ko": "{1}의 기록 {0:,}건"},
    "times": {"en": "{:,} times", "ko": "{:,}번"},
    "last": {"en": "The last", "ko": "마지막"},
    "noisiest": {"en": "Most by", "ko": "가장 잦은 주체"},
    "saves": {"en": "would leave out {:,}", "ko": "이면 {:,}건이 빠집니다"},
    "leaves out": {
        "en": "The except of the rule {} leaves out {:,}",
        "ko": "규칙 {}의 except 이 {:,}건을 뺍니다",
    },
    "not known": {
        "en": "Not asked, as they mean what a watch owns, and which that is was not known",
        "ko": "감시가 소유한 것을 뜻하는데 그것이 무엇인지 알 수 없어 묻지 않음",
    },
    "not held": {
        "en": "Not asked, as the source does not hold what they go by",
        "ko": "판단에 필요한 값이 출처에 없어 묻지 않음",
    },
    "not recorded": {"en": "Not recorded by CloudTrail", "ko": "CloudTrail에 기록되지 않음"},
    "unreadable": {"en": "Not read", "ko": "읽지 못한 파일"},
}


def page(past: Past, language: Language) -> str:
    """The page.

    Args:
        past: what it is about.
        language: of its words.
    """
    title = _text(_WORDS["title"][language])
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return "\n".join(
        (
            f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>ctwatch: {title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            f"<h1>{title}</h1>",
            *_summary(past, language),
            *(part for one in _ordered(past) for part in _section(one, past, language)),
            "</body>\n</html>\n",
        )
    )


def _text(text: str) -> str:
    """A text that cannot be markup, act on its reader, or go on for ever."""
    return escape(one_line(inert(text), _LONGEST), quote=True)


def _ordered(past: Past) -> list[Detection]:
    """Those that fired most first."""
    return sorted(past.asked.detections, key=lambda one: -past.tallies[one.id].count)


def _summary(past: Past, language: Language) -> Iterator[str]:
    said = _WORDS["of"][language].format(past.seen.records, past.source)
    span = " to ".join(f"{one:%Y-%m-%d}" for one in past.days or ())
    when = f", {span} ({past.zone})" if span else ""
    yield f'<p class="dim">{_text(said)}{_text(when)}</p>'
    asked = past.asked
    left_out = {"known": asked.ours, "held": asked.unheld, "recorded": asked.unrecorded}
    for why, ids in left_out.items():
        if ids:
            told = _text(", ".join(ids))
            yield f'<p class="dim">{_text(_WORDS[f"not {why}"][language])}: {told}</p>'
    for why, files in past.seen.troubles.items():
        told = f"{len(files):,}: {why}"
        yield f'<p class="dim">{_text(_WORDS["unreadable"][language])}: {_text(told)}</p>'


def _section(one: Detection, past: Past, language: Language) -> Iterator[str]:
    tally = past.tallies[one.id]
    count = _WORDS["times"][language].format(tally.count)
    yield f'<section id="{_text(one.id)}">\n<p class="count">{_text(count)}</p>'
    yield f"<h2>{_text(one.title[language])}</h2>"
    yield f'<p class="dim">{_text(one.id)} · {_text(one.severity)}</p>'
    if tally.count:
        yield _timeline(one, past)
        yield from _details(tally, past, language)
        yield from _left_out(past.rules.get(one.id, {}), language)
    yield "</section>"


def _timeline(one: Detection, past: Past) -> str:
    """A bar for each day, or for some days together, from the first day to the last."""
    counts = past.line(one, _PLACES)
    days = past.days
    if not counts or days is None:
        return ""
    most, width = max(counts), _WIDTH / len(counts)
    span = -(-((days[1] - days[0]).days + 1) // len(counts))
    bars = [
        _bar(at, count, most, width, f"{days[0] + timedelta(days=at * span):%Y-%m-%d}: {count:,}")
        for at, count in enumerate(counts)
        if count
    ]
    ends = (("start", 0, days[0]), ("end", _WIDTH, days[1]))
    labels = [
        f'<text x="{x}" y="{_HEIGHT + 14}" text-anchor="{anchor}">{day:%Y-%m-%d}</text>'
        for anchor, x, day in ends
    ]
    axis = f'<line x1="0" y1="{_HEIGHT}" x2="{_WIDTH}" y2="{_HEIGHT}"/>'
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT + 18}"'
    label = f'role="img" aria-label="{_text(one.id)}: {past.tallies[one.id].count:,}"'
    return f"<svg {box} {label}>{''.join(bars)}{axis}{''.join(labels)}</svg>"


def _bar(at: int, count: int, most: int, width: float, told: str) -> str:
    height = max(_HEIGHT * count / most, 2)
    place = f'x="{at * width:.1f}" y="{_HEIGHT - height:.1f}"'
    size = f'width="{max(width - 1, 1):.1f}" height="{height:.1f}"'
    return f"<rect {place} {size}><title>{_text(told)}</title></rect>"


def _details(tally: Tally, past: Past, language: Language) -> Iterator[str]:
    last = [
        f"{_when(told['time'], past)} {told['event']} {told['result']} {told['target']} "
        f"{told['actor']} {told['address']} {told['region']}"
        for told in map(finding_values, tally.newest)
    ]
    noisy = [f"{who} {count:,}" for who, count in tally.noisiest]
    yield from _listed(_WORDS["last"][language], last)
    yield from _listed(_WORDS["noisiest"][language], noisy)
    for one in tally.exclusions()[:NOISIEST]:
        line = f'except: {{{one.key}: ["{one.value}"]}}'
        saves = _WORDS["saves"][language].format(one.saved)
        yield f"<p><code>{_text(line)}</code> {_text(saves)}</p>"


def _left_out(rules: Mapping[str, int], language: Language) -> Iterator[str]:
    for name, count in rules.items():
        yield f"<p>{_text(_WORDS['leaves out'][language].format(name, count))}</p>"


def _listed(head: str, items: Sequence[str]) -> Iterator[str]:
    if items:
        yield f"<p>{_text(head)}</p>\n<ul>"
        yield from (f"<li>{_text(one)}</li>" for one in items)
        yield "</ul>"


def _when(time: str, past: Past) -> str:
    found = moment(time)
    return f"{found.astimezone(past.zone):%Y-%m-%d %H:%M:%S %Z}" if found else time
