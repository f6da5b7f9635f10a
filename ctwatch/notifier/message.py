"""Event -> Message: the verdict first, then the facts, in the words of one language.

It knows no channel. A channel hands in `quote`, its way of making a stranger's text harmless, and
every text out of a record goes through it; what is not quoted is ours.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from .changes import Change, same
from .detections import DETECTIONS, described, detections_of
from .event import INSIGHT, OBJECT, SIGN_IN, SUCCEEDED, Event
from .inert import units
from .settings import LEVELS, Settings
from .severity import CONSEQUENCES, follows, severity
from .words import words

Quote = Callable[[str, int], str]  # (a stranger's text, the most characters) -> harmless text

MARKS = {"low": "🔵", "medium": "🟡", "high": "🟠", "critical": "🔴"}

# AWS Lambda's images have been without tzdata, and Korea has had no summer time since 1988.
_FIXED_ZONES: dict[str, tzinfo] = {"Asia/Seoul": timezone(timedelta(hours=9), "KST"), "UTC": UTC}
_PLAIN = re.compile(r"[A-Za-z0-9]{1,64}")
_EVENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_REGION = re.compile(r"[a-z]{2}(-[a-z]{2,10}){1,2}-[0-9]{1,2}")
_CONSOLES = {
    "cn-": "{region}.console.amazonaws.cn",
    "us-gov-": "console.amazonaws-us-gov.com",
    "": "{region}.console.aws.amazon.com",
}


@dataclass(frozen=True)
class Fact:
    """A label and what is to be said there; `short` ones may stand side by side.

    `key` is the label's in words.py, the same in every language.
    """

    key: str
    label: str
    text: str
    short: bool = False


@dataclass(frozen=True)
class Message:
    """What a person reads, ready for a channel.

    Attributes:
        event: what it is about.
        watch: the name of the watch.
        headline: the verdict and the trail, for a phone's lock screen.
        ascii_headline: the same in English without the mark; its words are all ASCII.
        title: what happened, how it went, how bad it is.
        notes: sentences a reader must not miss.
        facts: in the order to be read.
        trail: the fact about the trail, whether it is among the facts or not.
        ours: whether the trail is this watch's; None when there is none, or it cannot be told.
        level: one of settings.LEVELS.
        detections: ids of the user's own and of the catalogue, the most particular first.
        mitre: their ATT&CK ids.
        consequences: keys of severity.CONSEQUENCES.
        link: the event in the AWS console, or "".
        link_label: what the link is called.
        footer: who is speaking.
    """

    event: Event
    watch: str
    headline: str
    ascii_headline: str
    title: str
    notes: tuple[str, ...]
    facts: tuple[Fact, ...]
    trail: Fact
    ours: bool | None
    level: str
    detections: tuple[str, ...]
    mitre: tuple[str, ...]
    consequences: tuple[str, ...]
    link: str
    link_label: str
    footer: str


def compose(event: Event, settings: Settings, quote: Quote) -> Message:
    """The message about one event."""
    return _Composer(event, settings, quote).message()


def when(recorded: str, zone: tzinfo) -> tuple[str, ...]:
    """The moment in `zone` and in UTC, once where they are the same; () when it is no time.

    CloudTrail writes `YYYY-MM-DDTHH:MM:SSZ`; anything ISO 8601 is read.
    """
    try:
        moment = datetime.fromisoformat(recorded)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        told = (moment.astimezone(each) for each in (zone, UTC))
        return tuple(dict.fromkeys(f"{each:%Y-%m-%d %H:%M:%S %Z}" for each in told))
    except (ValueError, OverflowError):
        return ()


def title_of(event: Event, settings: Settings) -> str:
    """What it is in our own words, or the user's: nothing of the record's; "" for what is unknown.

    The detection's title, where the user wrote it, or where there is no better word for the call.
    """
    text, found = words(settings.language), detections_of(event, settings)
    if event.unreadable:
        return text["unreadable"]
    called = text.get(f"event.{event.name}", "")
    if found and (found[0] not in DETECTIONS or not called):
        one = described(found[0], settings)
        return one.ko if settings.language == "ko" else one.en
    return called


def time_zone(name: str) -> tzinfo:
    """The zone of this IANA name; UTC when the runtime does not know it."""
    if name in _FIXED_ZONES:
        return _FIXED_ZONES[name]
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - Korea and UTC start without it

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def console_link(event: Event) -> str:
    """The event in CloudTrail's event history, or "" when id or region are not plain ones."""
    if event.kind == OBJECT or not (
        _EVENT_ID.fullmatch(event.id) and _REGION.fullmatch(event.region)
    ):
        return ""
    host = next(host for prefix, host in _CONSOLES.items() if event.region.startswith(prefix))
    region = event.region
    page = f"cloudtrailv2/home?region={region}#/events/{event.id}"
    return f"https://{host.format(region=region)}/{page}"


_CHANGES = 800  # characters of the fact that tells them


def _fitting(lines: Iterable[str], most: int) -> str:
    """The first lines that fit, and an ellipsis where there are more."""
    kept: list[str] = []
    for line in lines:
        if units("\n".join([*kept, line])) > most:
            return "\n".join([*kept, "…"])
        kept.append(line)
    return "\n".join(kept)


def _by_severity(consequence: str) -> tuple[int, str]:
    return -LEVELS.index(CONSEQUENCES[consequence]), consequence


class _Composer:
    """The parts of one message, one method each."""

    def __init__(self, event: Event, settings: Settings, quote: Quote) -> None:
        self.event = event
        self.settings = settings
        self.quote = quote
        self.words = words(settings.language)
        self.level = severity(event, settings)
        self.detections = detections_of(event, settings)
        self.ours = event.is_on(settings.trail)
        self.consequences = tuple(sorted(follows(event, settings), key=_by_severity))

    def message(self) -> Message:
        readable = not self.event.unreadable
        return Message(
            event=self.event,
            watch=self.settings.watch,
            headline=self.headline(),
            ascii_headline=self.ascii_headline(),
            title=" · ".join(self.title()),
            notes=tuple(self.words[note] for note in self.notes()),
            facts=tuple(self.facts() if readable else self.unreadable_facts()),
            trail=self.trail_fact(),
            ours=self.ours,
            level=self.level,
            detections=self.detections,
            mitre=self.mitre(),
            consequences=self.consequences,
            link=console_link(self.event),
            link_label=self.words["link"],
            footer=f"ctwatch · {self.settings.watch}"[:100],
        )

    def headline(self) -> str:
        mark = MARKS[self.level]
        return f"{mark} {' · '.join([*self.verdict(self.what()), *self.about(100)])}"

    def ascii_headline(self) -> str:
        english = replace(self.settings, language="en")
        composer = _Composer(self.event, english, self.quote)
        return " - ".join([*composer.verdict(composer.what()), *composer.about(60)])

    def what(self) -> str:
        insight = self.event.kind == INSIGHT
        return f"CloudTrail Insights: {self.name()}" if insight else self.name()

    def title(self) -> Iterator[str]:
        what = title_of(self.event, self.settings)
        if what and what != self.words.get(f"event.{self.event.name}"):
            what = f"{what}: {self.name()}"
        first, *others = self.verdict(what or self.name())
        yield f"{MARKS[self.level]} {first}"
        yield from others

    def verdict(self, what: str) -> Iterator[str]:
        """What, how it went, how bad; before all that, whether it is real."""
        if self.event.synthetic:
            yield self.words["synthetic"]
        if self.event.drill:
            yield self.words["drill"]
        yield self.words["unreadable"] if self.event.unreadable else what
        if self.event.kind == INSIGHT:
            yield self.words["insight_end" if self.event.state == "End" else "insight_start"]
        elif not self.event.unreadable:
            yield self.words[self.event.result]
        yield f"{self.words['severity']} {self.words[self.level]}"

    def about(self, most: int) -> Iterator[str]:
        """What it was done to, as a headline says it."""
        if self.names_trail():
            yield f"{self.words['trail']} {self.trail(most)}"
        elif self.event.kind == OBJECT:
            yield from (self.quote(bucket, most) for bucket in self.event.targets)
        elif self.event.target:
            yield self.quote(self.event.target, most)
        elif self.event.kind == SIGN_IN:
            root = self.event.identity == "Root"
            yield self.words["identity.Root"] if root else self.said(self.event.actor, most)

    def names_trail(self) -> bool:
        """Whether a trail, or that none is named, is to the point."""
        of_cloudtrail = self.event.source in {"", "cloudtrail.amazonaws.com"}
        elsewhere = self.event.kind == INSIGHT or bool(self.event.target)
        return not self.event.unreadable and of_cloudtrail and not elsewhere

    def mitre(self) -> tuple[str, ...]:
        known = (described(one, self.settings) for one in self.detections)
        found = (each for one in known for each in one.mitre.split())
        return tuple(dict.fromkeys(found))

    def notes(self) -> Iterator[str]:
        event = self.event
        if event.synthetic:
            yield "note_synthetic"
        if event.unreadable:
            yield "note_unreadable"
        if event.drill:
            yield "note_drill" if event.trail else "note_drill_target"
        elif event.result != SUCCEEDED:
            yield "note_attempt"
        else:
            yield from (f"note_{one}" for one in self.consequences)
        if event.is_foreign_to(self.settings.trail):
            yield "note_account"

    def facts(self) -> Iterator[Fact]:
        event = self.event
        yield self.fact("event", self.name(), short=True)
        if event.kind not in {INSIGHT, OBJECT}:
            yield self.fact("result", self.result())
        if self.names_trail():
            yield self.trail_fact()
        if event.target:
            yield self.fact("target", self.quote(event.target, 300))
        if changes := _fitting(self.changes(), _CHANGES):
            yield self.fact("changes", changes)
        if event.requested:
            yield self.fact("requested", self.quote(event.requested, 900))
        yield from self.who()
        yield self.fact("time", self.time())
        yield self.fact("region", self.said(event.region, 60), short=True)
        yield self.fact("account", self.said(event.account, 60), short=True)
        yield from self.catalogued()
        yield self.fact("event_id", self.said(event.id, 100))
        yield self.fact("request_id", self.said(event.request_id, 100))

    def who(self) -> Iterator[Fact]:
        event = self.event
        yield self.fact("actor", self.actor())
        if event.kind != INSIGHT:
            yield self.fact("identity", self.identity())
        if event.kind not in {INSIGHT, OBJECT}:
            yield self.fact("mfa", self.words[event.mfa or "none"], short=True)
        if event.kind != INSIGHT:
            yield self.fact("ip", self.source(), short=True)
        if event.kind != OBJECT:
            yield self.fact("agent", self.said(event.agent, 200))

    def catalogued(self) -> Iterator[Fact]:
        """What the catalogue calls it: `ctwatch detections ID` tells the rest."""
        if self.detections:
            yield self.fact("detection", ", ".join(self.detections), short=True)
        if mitre := ", ".join(self.mitre()):
            # The second is the first one's number in newer releases of ATT&CK.
            yield self.fact("mitre", mitre.replace("8, T1685.002", "8 → T1685.002"), short=True)

    def trail_fact(self) -> Fact:
        return self.fact("trail", self.trail(300))

    def unreadable_facts(self) -> Iterator[Fact]:
        yield self.fact("reason", self.words[self.event.unreadable])
        yield self.fact("excerpt", self.said(self.event.excerpt, 1000, "empty"))

    def fact(self, label: str, text: str, *, short: bool = False) -> Fact:
        return Fact(label, self.words[label], text, short)

    def said(self, text: str, most: int, otherwise: str = "none") -> str:
        return self.quote(text, most) if text.strip() else self.words[otherwise]

    def name(self) -> str:
        """An event name of letters and digits cannot do harm and reads best bare."""
        name = self.event.name
        plain = _PLAIN.fullmatch(name) or self.event.kind == OBJECT
        return name if plain else self.said(name, 100)

    def actor(self) -> str:
        hidden = f" ({self.words['hidden']})" if self.event.hidden else ""
        return self.said(self.event.actor, 500) + hidden

    def result(self) -> str:
        parts = [self.words[self.event.result]]
        parts.append(self.quote(self.event.code, 100) if self.event.code else self.words["no_code"])
        if self.event.error:
            parts.append(self.quote(self.event.error, 400))
        return " · ".join(parts)

    def changes(self) -> Iterator[str]:
        """Before -> after, one a line; what this watch's own trail had before is known."""
        known = {
            "change.bucket": self.settings.bucket,
            "change.key": self.settings.key,
            "change.log_group": self.settings.log_group,
            "change.topic": self.settings.deliveries,
        }
        for one in self.event.changes:
            before = one.before or (known.get(one.what) if self.ours else "")
            if before is None or not same(one.after, before):
                yield self.change(one, before or "")

    def change(self, one: Change, before: str) -> str:
        what = self.words.get(one.what) or self.quote(one.what, 40)
        arrow = f"{self.quote(before, 100)} → " if before else "→ "
        return f"{what}: {arrow}{self.said(one.after, 100, 'nothing')}"

    def trail(self, most: int) -> str:
        ours = {True: "ours", False: "not_ours", None: "ours_unknown"}
        if not self.event.trail.strip():
            return self.words["none"]
        return f"{self.quote(self.event.trail, most)} ({self.words[ours[self.ours]]})"

    def identity(self) -> str:
        event = self.event
        if event.kind == OBJECT:
            return self.words["identity_of_object"]
        parts = [self.said(event.identity, 60)]
        parts += filter(None, [self.words.get(f"identity.{event.identity}")])
        if event.issuer and event.issuer != event.actor:
            parts.append(f"{self.words['issued_by']} {self.quote(event.issuer, 400)}")
        if event.home:
            parts.append(f"{self.words['of_account']} {self.quote(event.home, 60)}")
        return " · ".join(parts)

    def source(self) -> str:
        ip = self.event.ip
        service = ip == "AWS Internal" or ip.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        return self.said(ip, 200) + (f" ({self.words['service']})" if service else "")

    def time(self) -> str:
        zone = time_zone(self.settings.timezone)
        return "\n".join(when(self.event.time, zone)) or self.said(self.event.time, 100)
