"""Message -> a Discord webhook, within Discord's limits, with every stranger's text inert.

https://discord.com/developers/docs/resources/webhook#execute-webhook
https://discord.com/developers/docs/topics/rate-limits
"""

import http.client
import json
import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from .errors import DeliveryError
from .message import Message

# https://discord.com/developers/docs/reference#user-agent
USER_AGENT = "DiscordBot (https://github.com/ctwatch/ctwatch, 0.1.0)"
TIMEOUT = 5.0  # seconds
PATIENCE = 5.0  # seconds: the longest pause that is waited for here and not left to Lambda
ANSWER_BYTES = 65_536

COLOURS = {"low": 0x3B88C3, "medium": 0xF1C40F, "high": 0xE67E22, "critical": 0xE01E5A}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_PING = re.compile(r"(?<![A-Za-z0-9])@|@(?=everyone|here)", re.IGNORECASE)
_INVISIBLE_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters to Unicode, blank to the eye


@dataclass(frozen=True)
class Receipt:
    """How Discord took it: the HTTP status and the id of the message, if it told one."""

    status: int
    message_id: str


def quote(text: str, most: int) -> str:
    """A stranger's text as inline code: nothing in it acts, and all of it can be read.

    In inline code Discord renders no markdown, link or mention; a grave accent that would end it
    is replaced by its look-alike, an @ that could ping by the full-width one, and every character
    that cannot be seen or that moves others by its escape.

    Args:
        text: anything, lone surrogates included.
        most: the most UTF-16 units of the answer; what is cut off is shown as an ellipsis.
    """
    room = most - len("`…`")
    shown: list[str] = []
    for char in _PING.sub("\uff20", text[:most]):
        visible = _visible(char)
        room -= _units(visible)
        if room < 0:
            break
        shown.append(visible)
    else:
        return f"`{''.join(shown)}{'…' * (len(text) > most)}`"
    return f"`{''.join(shown)}…`"


def _visible(char: str) -> str:
    if char == "`":
        return "\u02cb"
    if char == " ":
        return char
    # Control, format, surrogate, unassigned; separators; marks that pile up on their neighbour.
    if unicodedata.category(char)[0] in "CZM" or char in _INVISIBLE_LETTERS:
        return char.encode("unicode_escape").decode("ascii")
    return char


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


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


def send(
    url: str,
    message: Message,
    *,
    timeout: float = TIMEOUT,
    patience: float = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
) -> Receipt:
    """Post it, and once more when Discord asks for a pause no longer than `patience`.

    Args:
        url: the webhook's URL; a query (`thread_id`) is kept.
        message: what to say.
        timeout: seconds for the connection, and for each part of the answer.
        patience: seconds.
        sleep: passes the pause.

    Raises:
        DeliveryError: anything but success; its text never holds the URL or a part of it.
    """
    body = json.dumps(payload(message)).encode()
    status, answer = _post(url, body, timeout)
    pause = _pause(answer) if status == http.client.TOO_MANY_REQUESTS else None
    if pause is not None and 0 <= pause <= patience:
        sleep(pause)
        status, answer = _post(url, body, timeout)
    if status not in range(200, 300):
        raise DeliveryError(_refusal(status, answer, url), status)
    return Receipt(status, str(_json(answer).get("id", ""))[:40])


def _post(url: str, body: bytes, timeout: float) -> tuple[int, bytes]:
    """One POST. http.client follows no redirect, so the message goes nowhere else.

    The error is raised outside the `except`: chained to the original, which may quote the URL,
    it would give the secret away in Lambda's log.
    """
    try:
        return _exchange(urlsplit(url), body, timeout)
    except TimeoutError:
        problem = f"Discord did not answer within {timeout:g} s."
    except (OSError, http.client.HTTPException, ValueError) as error:
        problem = f"Discord could not be reached: {type(error).__name__}."
    raise DeliveryError(problem)


def _exchange(url: SplitResult, body: bytes, timeout: float) -> tuple[int, bytes]:
    connection = _connection(url, timeout)
    try:
        headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
        connection.request("POST", _target(url), body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_BYTES)
    finally:
        connection.close()


def _connection(url: SplitResult, timeout: float) -> http.client.HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "https" and host:
        return http.client.HTTPSConnection(host, url.port, timeout=timeout)
    if url.scheme == "http" and host in _LOOPBACK:
        return http.client.HTTPConnection(host, url.port, timeout=timeout)
    raise DeliveryError("The webhook is not an https URL.")


def _target(url: SplitResult) -> str:
    """Path and query with `wait=true`: Discord answers once the message is saved, with its id."""
    query = [(key, value) for key, value in parse_qsl(url.query, True) if key != "wait"]
    return f"{url.path or '/'}?{urlencode([*query, ('wait', 'true')])}"


def _pause(answer: bytes) -> float | None:
    """Seconds Discord asks for; None when this 429 is not Discord's own but its front's."""
    asked = _json(answer).get("retry_after")
    return asked if isinstance(asked, int | float) else None


def _refusal(status: int, answer: bytes, url: str) -> str:
    known = {
        401: "the webhook's token is wrong",
        404: "the webhook does not exist any more",
        429: "too many requests from here",
    }
    said = _without_secret(answer.decode("utf-8", "replace"), url)
    why = known.get(status, "a redirect is not followed" if status in range(300, 400) else "no")
    return f"Discord answered {status}, {why}: {quote(said, 300)}"


def _without_secret(text: str, url: str) -> str:
    """What Discord said without the webhook's id and token, should it repeat them."""
    secrets = list(filter(None, urlsplit(url).path.split("/")))[-2:]
    for secret in sorted({url, *secrets, *map(unquote, secrets)}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _json(answer: bytes) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
