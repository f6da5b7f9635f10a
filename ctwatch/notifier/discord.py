"""Message -> a Discord webhook, within Discord's limits, with every stranger's text inert.

https://discord.com/developers/docs/resources/webhook#execute-webhook
https://discord.com/developers/docs/topics/rate-limits
"""

import json
import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode

from .inert import code, cut
from .message import Message
from .post import Answer, Service

# https://discord.com/developers/docs/reference#user-agent
USER_AGENT = "DiscordBot (https://github.com/ctwatch/ctwatch, 0.1.0)"

COLOURS = {"low": 0x3B88C3, "medium": 0xF1C40F, "high": 0xE67E22, "critical": 0xE01E5A}
_PING = re.compile(r"(?<![A-Za-z0-9])@|@(?=everyone|here)", re.IGNORECASE)


def quote(text: str, most: int) -> str:
    """A stranger's text as inline code: nothing in it acts, and all of it can be read.

    In inline code Discord renders no markdown, link or mention; a grave accent that would end it
    is replaced by its look-alike, an @ that could ping by the full-width one, and every character
    that cannot be seen or that moves others by its escape.

    Args:
        text: anything, lone surrogates included.
        most: the most UTF-16 units of the answer; what is cut off is shown as an ellipsis.
    """
    tame = _PING.sub("\uff20", text[:most])
    return f"`{cut(tame, most - len('``'), code)}`"


def payload(message: Message) -> dict[str, Any]:
    """The body of Execute Webhook. What message.py asks for in all stays below the limits.

    https://discord.com/developers/docs/resources/message#embed-object-embed-limits
    """
    embed: dict[str, Any] = {
        "title": message.title,
        "color": COLOURS[message.level],
        "fields": [
            {"name": fact.label, "value": fact.text, "inline": fact.short} for fact in message.facts
        ],
        "footer": {"text": message.footer},
    }
    if message.notes:
        embed["description"] = "\n".join(message.notes)
    if message.link:
        embed["url"] = message.link
    return {"content": message.headline, "embeds": [embed], "allowed_mentions": {"parse": []}}


def _target(url: SplitResult) -> str:
    """Path and query with `wait=true`: Discord answers once the message is saved, with its id."""
    query = [(key, value) for key, value in parse_qsl(url.query, True) if key != "wait"]
    return f"{url.path or '/'}?{urlencode([*query, ('wait', 'true')])}"


def _pause(answer: Answer) -> float | None:
    """Seconds Discord asks for; None when this 429 is not Discord's own but its front's."""
    asked = _json(answer).get("retry_after")
    return asked if isinstance(asked, int | float) else None


def _json(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _id(answer: Answer) -> str:
    return str(_json(answer).get("id", ""))[:40]


send = Service(
    "Discord", payload, user_agent=USER_AGENT, target=_target, pause=_pause, message_id=_id
).send
