"""Message -> a Microsoft Teams channel, as an Adaptive Card posted to a Workflows URL.

Every text is a TextRun, the one element in which a card renders no markdown.
https://adaptivecards.io/explorer/TextRun.html
https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook

A Workflow answers 202 before it posts: whether the card reached the channel cannot be told.
"""

import re
from collections.abc import Iterator
from typing import Any

from . import plain
from .message import Message
from .post import Service

_BRACES = re.compile(r"\{(?=\{)")
COLOURS = {"low": "accent", "medium": "warning", "high": "attention", "critical": "attention"}


def quote(text: str, most: int) -> str:
    """As in plain text; and `{{`, with which a card's date functions begin, is parted."""
    return plain.quote(_BRACES.sub("{ ", text[:most]), most)


def payload(message: Message) -> dict[str, Any]:
    """The message with one card; its JSON stays below Teams' 28 KB."""
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": message.headline,
        "msteams": {"width": "Full"},
        "body": list(_body(message)),
    }
    if message.link:
        card["actions"] = [
            {"type": "Action.OpenUrl", "title": message.link_label, "url": message.link}
        ]
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}


def _body(message: Message) -> Iterator[dict[str, Any]]:
    colour = COLOURS[message.level]
    yield _text(_run(message.title, weight="Bolder", size="Medium", color=colour))
    for note in message.notes:
        yield _text(_run(note))
    for fact in message.facts:
        yield _text(_run(f"{fact.label}: ", weight="Bolder"), _run(_line(fact.text)))
    yield _text(_run(message.footer, isSubtle=True, size="Small"))


def _line(text: str) -> str:
    return text.replace("\n", " · ")


def _text(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}


send = Service("Teams", payload, ascii=False).send
