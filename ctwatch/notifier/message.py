"""Event -> Message: the verdict first, then the facts, in the words of one language.

It knows no channel. A channel hands in `quote`, its way of making a stranger's text harmless, and
every text out of a record goes through it; what is not quoted is ours.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from .event import SUCCEEDED, Event
from .settings import Settings
from .severity import SEVERITY, severity
from .words import words

Quote = Callable[[str, int], str]  # (a stranger's text, the most characters) -> harmless text

MARKS = {"low": "🔵", "medium": "🟡", "high": "🟠", "critical": "🔴"}
MITRE = "T1562.008 → T1685.002"  # Disable or Modify Cloud Logs: its number, and the new one

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
    """A label and what is to be said there; `short` ones may stand side by side."""

    label: str
    text: str
    short: bool = False


@dataclass(frozen=True)
class Message:
    """What a person reads, ready for a channel.

    Attributes:
        headline: the verdict and the trail, for a phone's lock screen.
        title: what happened, how it went, how bad it is.
        notes: sentences a reader must not miss.
        facts: in the order to be read.
        level: one of severity.LEVELS.
        link: the event in the AWS console, or "".
        footer: who is speaking.
    """

    headline: str
    title: str
    notes: tuple[str, ...]
    facts: tuple[Fact, ...]
    level: str
    link: str
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
    if not (_EVENT_ID.fullmatch(event.id) and _REGION.fullmatch(event.region)):
        return ""
    host = next(host for prefix, host in _CONSOLES.items() if event.region.startswith(prefix))
    region = event.region
    page = f"cloudtrailv2/home?region={region}#/events/{event.id}"
    return f"https://{host.format(region=region)}/{page}"


class _Composer:
    """The parts of one message, one method each."""

    def __init__(self, event: Event, settings: Settings, quote: Quote) -> None:
        self.event = event
        self.settings = settings
        self.quote = quote
        self.words = words(settings.language)
        self.level = severity(event)

    def message(self) -> Message:
        readable = not self.event.unreadable
        return Message(
            headline=" · ".join(self.headline() if readable else self.unreadable_title()),
            title=" · ".join(self.title() if readable else self.unreadable_title()),
            notes=tuple(self.words[note] for note in self.notes()),
            facts=tuple(self.facts() if readable else self.unreadable_facts()),
            level=self.level,
            link=console_link(self.event),
            footer=f"ctwatch · {self.settings.watch}"[:100],
        )

    def headline(self) -> Iterator[str]:
        yield from self.verdict(self.name())
        yield f"{self.words['trail']} {self.trail(100)}"

    def title(self) -> Iterator[str]:
        yield from self.verdict(self.words.get(f"event.{self.event.name}") or self.name())

    def verdict(self, what: str) -> Iterator[str]:
        mark = MARKS[self.level]
        if self.event.drill:
            yield f"{mark} {self.words['drill']}"
            yield what
        else:
            yield f"{mark} {what}"
        yield self.words[self.event.result]
        yield f"{self.words['severity']} {self.words[self.level]}"

    def unreadable_title(self) -> Iterator[str]:
        yield f"{MARKS[self.level]} {self.words['unreadable']}"
        yield f"{self.words['severity']} {self.words[self.level]}"

    def notes(self) -> Iterator[str]:
        event = self.event
        if event.unreadable:
            yield "note_unreadable"
        if event.drill:
            yield "note_drill"
        elif event.result != SUCCEEDED:
            yield "note_attempt"
        if event.blinds:
            yield "note_blinds"
        if event.is_foreign_to(self.settings.trail):
            yield "note_account"

    def facts(self) -> Iterator[Fact]:
        event = self.event
        yield self.fact("event", self.name(), short=True)
        yield self.fact("result", self.result())
        yield self.fact("trail", self.trail(300))
        if event.requested:
            yield self.fact("requested", self.quote(event.requested, 900))
        yield self.fact("actor", self.said(event.actor, 500))
        yield self.fact("identity", self.identity())
        yield self.fact("mfa", self.words[event.mfa or "none"], short=True)
        yield self.fact("ip", self.source(), short=True)
        yield self.fact("agent", self.said(event.agent, 200))
        yield self.fact("time", self.time())
        yield self.fact("region", self.said(event.region, 60), short=True)
        yield self.fact("account", self.said(event.account, 60), short=True)
        if event.name in SEVERITY:
            yield self.fact("mitre", MITRE, short=True)
        yield self.fact("event_id", self.said(event.id, 100))
        yield self.fact("request_id", self.said(event.request_id, 100))

    def unreadable_facts(self) -> Iterator[Fact]:
        yield self.fact("reason", self.words[self.event.unreadable])
        yield self.fact("excerpt", self.said(self.event.excerpt, 1000, "empty"))

    def fact(self, label: str, text: str, *, short: bool = False) -> Fact:
        return Fact(self.words[label], text, short)

    def said(self, text: str, most: int, otherwise: str = "none") -> str:
        return self.quote(text, most) if text.strip() else self.words[otherwise]

    def name(self) -> str:
        """An event name of letters and digits cannot do harm and reads best bare."""
        name = self.event.name
        return name if _PLAIN.fullmatch(name) else self.said(name, 100)

    def result(self) -> str:
        parts = [self.words[self.event.result]]
        parts.append(self.quote(self.event.code, 100) if self.event.code else self.words["no_code"])
        if self.event.error:
            parts.append(self.quote(self.event.error, 400))
        return " · ".join(parts)

    def trail(self, most: int) -> str:
        ours = {True: "ours", False: "not_ours", None: "ours_unknown"}
        if not self.event.trail.strip():
            return self.words["none"]
        whose = self.words[ours[self.event.is_on(self.settings.trail)]]
        return f"{self.quote(self.event.trail, most)} ({whose})"

    def identity(self) -> str:
        event = self.event
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
