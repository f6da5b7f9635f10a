"""One message -> one webhook over HTTP, and no word of the webhook's URL in any error.

What a service does its own way (how it asks for a pause, what it calls success) is in its
`Service`; the rest is the same for all.
"""

import http.client
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from .errors import DeliveryError
from .inert import code, cut
from .message import Message

USER_AGENT = "ctwatch/0.1.0 (+https://github.com/ctwatch/ctwatch)"
TIMEOUT = 5.0  # seconds
PATIENCE = 5.0  # seconds: the longest pause that is waited for here and not left to Lambda
ANSWER_BYTES = 65_536

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_LONG = 8  # a part of a path this long may be a token; a shorter one is a word like "hooks"
_READ = 2000  # characters of a refusal that are looked at: 298 are told, a search takes n * n steps
_TELLING = 12  # characters of a token: fewer give nothing away
_REASONS = {
    401: "the webhook's token is wrong",
    404: "the webhook does not exist any more",
    410: "the webhook does not exist any more",
    429: "too many requests from here",
}


@dataclass(frozen=True)
class Receipt:
    """How a channel took it: its status and the id of the message, if it told one."""

    status: int
    message_id: str = ""


@dataclass(frozen=True)
class Answer:
    """What came back; `retry_after` is the header as it came, or ""."""

    status: int
    body: bytes
    retry_after: str = ""


def succeeded(answer: Answer) -> bool:
    """Any 2xx."""
    return answer.status in range(200, 300)


def asked_pause(answer: Answer) -> float | None:
    """Seconds that the header Retry-After asks for; None when it is absent or a date.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    given = answer.retry_after.strip()
    return float(given) if given.isascii() and given.isdigit() else None


def path_and_query(url: SplitResult) -> str:
    """What is asked for at the host."""
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


def _no_id(answer: Answer) -> str:
    del answer
    return ""


@dataclass(frozen=True)
class Service:
    """What is particular about one kind of webhook.

    Attributes:
        name: what an error calls it.
        payload: the message as the service wants it.
        ascii: whether every other character is escaped; a Korean letter then takes six bytes and
            not three.
        user_agent: who it is told to be asking.
        target: URL -> path and query.
        pause: the answer 429 -> seconds it asks for, None when it is not for us to wait.
        took: whether this answer is a success.
        message_id: the id that it gave the message, "" for none.
    """

    name: str
    payload: Callable[[Message], dict[str, Any]]
    ascii: bool = True
    user_agent: str = USER_AGENT
    target: Callable[[SplitResult], str] = path_and_query
    pause: Callable[[Answer], float | None] = asked_pause
    took: Callable[[Answer], bool] = succeeded
    message_id: Callable[[Answer], str] = _no_id

    def send(
        self,
        url: str,
        message: Message,
        *,
        timeout: float = TIMEOUT,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Receipt:
        """Post it, and once more when the service asks for a pause no longer than `patience`.

        Args:
            url: the webhook's URL, https or on loopback.
            message: the alert.
            timeout: seconds for the connection, and for each part of the answer.
            patience: seconds.
            sleep: passes the pause.

        Raises:
            DeliveryError: anything but success; its text never holds the URL or a part of it.
        """
        text = json.dumps(self.payload(message), ensure_ascii=self.ascii)
        body = text.encode("utf-8", "replace")
        answer = _post(self, url, body, timeout)
        limited = answer.status == http.client.TOO_MANY_REQUESTS
        pause = self.pause(answer) if limited else None
        if pause is not None and 0 <= pause <= patience:
            sleep(pause)
            answer = _post(self, url, body, timeout)
        if not self.took(answer):
            raise DeliveryError(_refusal(self, answer, url), answer.status)
        return Receipt(answer.status, self.message_id(answer))


def _post(service: Service, url: str, body: bytes, timeout: float) -> Answer:
    """One POST. http.client follows no redirect, so the message goes nowhere else.

    The error is raised outside the `except`: chained to the original, which may quote the URL,
    it would give the secret away in Lambda's log.
    """
    try:
        return _exchange(service, urlsplit(url), body, timeout)
    except TimeoutError:
        problem = f"{service.name} did not answer within {timeout:g} s."
    except (OSError, http.client.HTTPException, ValueError) as error:
        problem = f"{service.name} could not be reached: {type(error).__name__}."
    raise DeliveryError(problem)


def _exchange(service: Service, url: SplitResult, body: bytes, timeout: float) -> Answer:
    connection = _connection(url, timeout)
    try:
        headers = {"Content-Type": "application/json", "User-Agent": service.user_agent}
        connection.request("POST", service.target(url), body, headers)
        answer = connection.getresponse()
        pause = answer.getheader("Retry-After", "")
        return Answer(answer.status, answer.read(ANSWER_BYTES), pause)
    finally:
        connection.close()


def _connection(url: SplitResult, timeout: float) -> http.client.HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "https" and host:
        return http.client.HTTPSConnection(host, url.port, timeout=timeout)
    if url.scheme == "http" and host in _LOOPBACK:
        return http.client.HTTPConnection(host, url.port, timeout=timeout)
    raise DeliveryError("The webhook is not an https URL.")


def _refusal(service: Service, answer: Answer, url: str) -> str:
    redirect = answer.status in range(300, 400)
    why = _REASONS.get(answer.status, "a redirect is not followed" if redirect else "no")
    said = _without_secret(answer.body.decode("utf-8", "replace")[:_READ], url)
    return f"{service.name} answered {answer.status}, {why}: `{cut(said, 298, code)}`"


def _without_secret(text: str, url: str) -> str:
    """What the service said without what makes the URL a secret, should it repeat it.

    That is the end of the path for Discord and Slack, and a query's values (`sig`) for Teams.
    """
    parts = urlsplit(url)
    path = list(filter(None, parts.path.split("/")))
    hidden = {*path[-2:], *(part for part in path if len(part) >= _LONG)}
    hidden |= {value for _, value in parse_qsl(parts.query) if len(value) >= _LONG}
    hidden |= {url, parts.query, *map(unquote, hidden)}
    for secret in sorted(filter(None, hidden), key=len, reverse=True):
        text = text.replace(secret, "***")
    # Whoever repeats it may cut it: what begins or ends as a token does goes as well.
    for token in (one for one in hidden if len(one) >= 2 * _LONG):
        head, tail = re.escape(token[:_TELLING]), re.escape(token[-_TELLING:])
        text = re.sub(rf"{head}[\w-]*|[\w-]*{tail}", "***", text)
    return text
