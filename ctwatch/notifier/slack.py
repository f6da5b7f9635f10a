"""Message -> a Slack incoming webhook, as blocks, with every stranger's text inert.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
https://docs.slack.dev/reference/block-kit/blocks
"""

from collections.abc import Iterable, Iterator
from typing import Any

from .inert import code, cut, units
from .message import Message
from .post import Answer, Service

_HEADER, _SECTION = 150, 3000  # characters of a block's text

# https://docs.slack.dev/messaging/formatting-message-text#escaping
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def quote(text: str, most: int) -> str:
    """A stranger's text as inline code, where Slack renders no markup.

    Mentions and links begin with `<`, which is escaped. `most` counts what an escape takes.
    """
    return f"`{cut(text, most - len('``'), _shown)}`"


def _shown(char: str) -> str:
    return _ESCAPES.get(char) or code(char)


def payload(message: Message) -> dict[str, Any]:
    """The body: `text` is what a notification shows, the blocks are what is read."""
    return {"text": message.headline, "blocks": list(_blocks(message))}


def _blocks(message: Message) -> Iterator[dict[str, Any]]:
    title = cut(message.title, _HEADER)
    yield {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}}
    if message.notes:
        yield _section("\n".join(message.notes))
    lines = (f"*{fact.label}*  {fact.text}" for fact in message.facts)
    yield from map(_section, _packed(lines))
    if message.link:
        yield _section(f"<{_escaped(message.link)}|{message.link_label}>")
    footer = {"type": "mrkdwn", "text": _escaped(message.footer)}
    yield {"type": "context", "elements": [footer]}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _packed(lines: Iterable[str]) -> Iterator[str]:
    """The lines, as many together as a section holds."""
    together = ""
    for line in lines:
        if together and units(together) + units(line) + 1 > _SECTION:
            yield together
            together = ""
        together += f"\n{line}" if together else line
    yield together


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(char, char) for char in text)


def _took(answer: Answer) -> bool:
    return answer.status == 200 and answer.body.strip() == b"ok"  # noqa: PLR2004 - HTTP's own


send = Service("Slack", payload, took=_took).send
