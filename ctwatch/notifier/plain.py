"""Message -> text without any markup, one fact a line, for mail and whatever else shows text."""

import re

from .inert import cut, visible
from .message import Fact, Message

# What can be nothing but one word, so that nothing it says could be taken for ours.
_WORD = re.compile(r"[\w.:/@+=,*$-]{1,500}", re.ASCII)


def quote(text: str, most: int) -> str:
    """A stranger's text: bare when it is one word, else between quotation marks.

    A line break is escaped, so that no text makes a line of its own; a URL is parted, so that a
    mail program makes no link of it.
    """
    tame = text[:most].replace("://", "[:]//")
    if tame == text and _WORD.fullmatch(text):
        return text
    return f"“{cut(tame, most - len('“”'), _shown)}”"


def _shown(char: str) -> str:
    return {"“": "\u2033", "”": "\u2033"}.get(char) or visible(char)


def body(message: Message) -> str:
    """The whole message; event id, request id and trail are always among its lines."""
    lines = [
        message.headline,
        "",
        *message.notes,
        *([""] if message.notes else []),
        *map(_told, _facts(message)),
        *([f"{message.link_label}: {message.link}"] if message.link else []),
        "",
        message.footer,
    ]
    return "\n".join(lines)


# What somebody with nothing but a telephone at hand needs, and what says which event it is.
_BRIEF = {"actor", "ip", "time", "region", "account", "reason", "event_id", "request_id", "trail"}


def brief(message: Message) -> str:
    """The message for a telephone."""
    facts = [fact for fact in _facts(message) if fact.key in _BRIEF]
    return "\n".join([message.headline, *map(_told, facts)])


def _facts(message: Message) -> tuple[Fact, ...]:
    known = {fact.key for fact in message.facts}
    return message.facts if "trail" in known else (*message.facts, message.trail)


def _told(fact: Fact) -> str:
    return f"{fact.label}: " + fact.text.replace("\n", " · ")
