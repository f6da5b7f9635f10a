"""What arrived: stand-ins for the webhooks of channels on loopback, and a mailbox of `.eml` files.

That for Discord behaves as Discord documents
(https://discord.com/developers/docs/resources/webhook): its limits, its codes, its refusal of
Python's own User-Agent. Those for Slack, Teams and any other webhook are in `services`. Each can be
told to refuse, to hang or to break the connection. None reaches further than 127.0.0.1.
"""

import contextlib
import json
import os
import re
import secrets
import socket
import struct
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from ctwatch.clock import Clock
from ctwatch.sandbox.services import StandIn, posted, stand_ins

_UNFOLDED = policy.default.clone(cte_type="8bit", max_line_length=None)
_DISCORD = "discord"
_LINGER_NOT = struct.pack("ii", 1, 0)  # close() then sends a reset


@dataclass(frozen=True)
class Post:
    """One POST to a webhook, taken or refused.

    Attributes:
        payload: the JSON object that came; empty when it was none.
        headers: as they came, names in lower case.
        status: what was answered; 0 when the connection was left hanging or broken.
        service: which stand-in it came to: "discord", "slack", "teams" or "webhook".
    """

    time: datetime
    payload: dict[str, Any]
    headers: dict[str, str]
    status: int
    service: str = _DISCORD

    @property
    def taken(self) -> bool:
        """Whether it was answered with a success."""
        return self.status in range(200, 300)


@dataclass(frozen=True)
class Mail:
    """One mail as its file says it."""

    time: datetime
    to: str
    subject: str
    text: str
    path: Path


@dataclass(frozen=True)
class Sms:
    """One text message."""

    time: datetime
    to: str
    text: str


@dataclass(frozen=True)
class _Answer:
    status: int | Literal["hang", "reset"]
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    when_asked: bool = False


class Inbox:
    """The places where an alert can arrive.

    Args:
        folder: where mails are written, one `.eml` each; made private (0700) when missing.
        clock: what stamps arrivals.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.clock = clock
        self.webhook_id = f"1{secrets.randbelow(10**17):017d}"
        self.token = secrets.token_urlsafe(51)
        self.stand_ins = stand_ins()
        self.stopping = threading.Event()
        self._folder = folder
        self._arrived = threading.Condition()
        self._posts: list[Post] = []
        self._mails: list[Mail] = []
        self._texts: list[Sms] = []
        self._stopped: set[str] = set()
        self._answers: defaultdict[str, deque[_Answer]] = defaultdict(deque)
        self._broken: dict[str, _Answer] = {}
        self._listeners: list[Callable[[Post], None]] = []
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self.stopping.clear()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="discord", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; mails stay where they are. May be called twice."""
        self.stopping.set()
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None

    def reset(self) -> None:
        """Forget everything that arrived (mail files too) and every prepared answer."""
        with self._arrived:
            for mail in self._mails:
                mail.path.unlink(missing_ok=True)
            self._posts, self._mails, self._texts = [], [], []
            self._answers.clear()
            self._broken.clear()
            self._stopped.clear()

    @property
    def webhook_url(self) -> str:
        """The webhook of the Discord stand-in; only while it is started."""
        return self.webhook_urls[_DISCORD]

    @property
    def webhook_urls(self) -> dict[str, str]:
        """Each stand-in's webhook, by the type of channel; only while they are started."""
        if self._server is None:
            raise RuntimeError("the inbox is not started")
        root = f"http://127.0.0.1:{self._server.server_address[1]}"
        urls = {name: root + one.address for name, one in self.stand_ins.items()}
        return {_DISCORD: f"{root}/api/webhooks/{self.webhook_id}/{self.token}", **urls}

    @property
    def posts(self) -> tuple[Post, ...]:
        """Every POST to a webhook, oldest first."""
        with self._arrived:
            return tuple(self._posts)

    @property
    def mails(self) -> tuple[Mail, ...]:
        """Every mail, oldest first."""
        with self._arrived:
            return tuple(self._mails)

    @property
    def texts(self) -> tuple[Sms, ...]:
        """Every text message, oldest first."""
        with self._arrived:
            return tuple(self._texts)

    def wait_for(self, predicate: Callable[["Inbox"], bool], timeout: float) -> bool:
        """Wait until `predicate(inbox)` holds; False when `timeout` real seconds pass.

        It is asked again at each arrival.
        """
        deadline = time.monotonic() + timeout
        while True:
            with self._arrived:
                seen = self._size()
            if predicate(self):
                return True
            if not self._wait_for_more(seen, deadline - time.monotonic()):
                return False

    def answer_with(
        self,
        status: int | Literal["hang", "reset"],
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
        service: str = _DISCORD,
    ) -> None:
        """Make a stand-in answer the next POSTs so.

        Args:
            status: an HTTP status, "hang" (no answer until `stop`) or "reset".
            body: JSON when it is a dict, else text; None for none.
            headers: besides Content-Type and Content-Length.
            times: how many POSTs.
            service: which stand-in, by the type of channel.
        """
        with self._arrived:
            self._answers[service].extend([_Answer(status, body, headers or {})] * times)

    def break_down(
        self,
        status: int | Literal["hang", "reset"],
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        service: str = _DISCORD,
        when_asked: bool = True,
    ) -> None:
        """Make a stand-in answer every POST so, until `mend`.

        Args:
            status: as of `answer_with`.
            body: as of `answer_with`.
            headers: as of `answer_with`.
            service: which stand-in, by the type of channel.
            when_asked: whether it answers a GET so, too, as a webhook does that was deleted.
        """
        with self._arrived:
            self._broken[service] = _Answer(status, body, headers or {}, when_asked=when_asked)

    def mend(self, service: str = _DISCORD) -> None:
        """Let a stand-in take what comes, as before."""
        with self._arrived:
            self._answers[service].clear()
            self._broken.pop(service, None)

    def listen(self, listener: Callable[[Post], None]) -> None:
        """Be told of each POST, just before it is answered."""
        self._listeners.append(listener)

    def put_mail(self, to: str, subject: str, text: str, sender: str = "") -> Mail:
        """Write a mail from SNS into the mailbox.

        8 bit and unfolded, so that a link in the text stays one line for whoever reads the file.

        Args:
            to: an address.
            subject: one line.
            text: the whole body.
            sender: the name it comes from; AWS's own when empty.
        """
        message = EmailMessage(policy=_UNFOLDED)
        message["From"] = Address(sender or "AWS Notifications", "no-reply", "sns.amazonaws.com")
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = now = self.clock.now()
        message["Message-ID"] = f"<{secrets.token_hex(16)}@sns.amazonaws.com>"
        message.set_content(text, cte="8bit")
        with self._arrived:
            path = self._file(f"{len(self._mails) + 1:04d}-{secrets.token_hex(4)}.eml")
            _write_private(path, message.as_bytes())
            mail = _parsed(path, now)
            self._mails.append(mail)
            self._arrived.notify_all()
        return mail

    def put_text(self, to: str, text: str) -> None:
        """Keep a text message."""
        with self._arrived:
            self._texts.append(Sms(self.clock.now(), to, text))
            self._arrived.notify_all()

    def stop_texts(self, to: str) -> None:
        """Answer a text message with STOP, as whoever has that telephone may."""
        with self._arrived:
            self._stopped.add(to)

    def resume_texts(self, to: str) -> None:
        """Take text messages again."""
        with self._arrived:
            self._stopped.discard(to)

    def has_stopped(self, to: str) -> bool:
        """Whether that telephone takes no text messages."""
        with self._arrived:
            return to in self._stopped

    def take(
        self, payload: dict[str, Any], headers: dict[str, str], status: int, service: str
    ) -> None:
        """Keep a POST and tell the listeners."""
        post = Post(self.clock.now(), payload, headers, status, service)
        with self._arrived:
            self._posts.append(post)
            self._arrived.notify_all()
        for listener in self._listeners:
            listener(post)

    def next_answer(self, service: str) -> _Answer | None:
        """The prepared answer of a stand-in to the POST whose turn it is."""
        with self._arrived:
            if self._answers[service]:
                return self._answers[service].popleft()
            return self._broken.get(service)

    def answer_when_asked(self, service: str) -> _Answer | None:
        """The prepared answer of a stand-in to a GET."""
        with self._arrived:
            broken = self._broken.get(service)
        return broken if broken and broken.when_asked else None

    def _wait_for_more(self, seen: int, seconds: float) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: self._size() > seen, max(0.0, seconds))

    def _size(self) -> int:
        return len(self._posts) + len(self._mails) + len(self._texts)

    def _file(self, name: str) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder / name


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)


def _parsed(path: Path, time: datetime) -> Mail:
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    return Mail(time, message["To"], message["Subject"], message.get_content(), path)


class _Server(ThreadingHTTPServer):
    """Knows its open connections, so that closing it leaves none behind."""

    daemon_threads = False  # then server_close() waits for them

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Connection)

    def server_bind(self) -> None:
        """Bind, and ask no name server what 127.0.0.1 is called, as an HTTPServer does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that hung up in the middle of an answer, as it may."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """End connections that are kept alive, then stop listening."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):  # the other side was faster
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()


class _Connection(BaseHTTPRequestHandler):
    """One connection to the stand-ins; what is no other's is Discord's."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave in one packet
    disable_nagle_algorithm = True
    timeout = 30
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay quiet: the story tells what arrived."""

    def do_GET(self) -> None:
        """Show the webhook, as a check of its URL does; Discord alone does that."""
        inbox, other = self.server.inbox, self._stand_in()
        prepared = inbox.answer_when_asked(other.name if other else _DISCORD)
        if prepared:
            self._answer_as(prepared)
            return
        if other:
            self._answer(*self._judged(other, "GET", {}, None, 0))
            return
        refused = self._address()
        if refused:
            self._answer(*refused)
            return
        self._answer(200, {
            "application_id": None, "avatar": None, "channel_id": _CHANNEL, "guild_id": _GUILD,
            "id": inbox.webhook_id, "name": "ctwatch", "type": 1, "token": inbox.token,
            "url": inbox.webhook_url,
        })  # fmt: skip

    def do_POST(self) -> None:
        """Take a message or refuse it."""
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if len(raw) < length:  # cut off: nobody waits for an answer
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        payload, other = _object(raw), self._stand_in()
        service = other.name if other else _DISCORD
        prepared = self.server.inbox.next_answer(service)
        if prepared and prepared.status in ("hang", "reset"):
            self.server.inbox.take(payload or {}, headers, 0, service)
            self._answer_as(prepared)
            return
        if prepared:
            status, body = int(prepared.status), prepared.body
        elif other:
            status, body = self._judged(other, "POST", headers, payload, len(raw))
        else:
            status, body = self._verdict(payload)
        self.server.inbox.take(payload or {}, headers, status, service)
        self._answer(status, body, prepared.headers if prepared else {})

    def _answer_as(self, prepared: _Answer) -> None:
        if isinstance(prepared.status, int):
            self._answer(prepared.status, prepared.body, prepared.headers)
        else:
            self._misbehave(prepared.status == "hang")

    def _stand_in(self) -> StandIn | None:
        """Whose path it is; None for Discord's."""
        root = urlsplit(self.path).path.split("/")[1:2]
        return next(
            (one for one in self.server.inbox.stand_ins.values() if [one.root] == root), None
        )

    def _judged(
        self, other: StandIn, method: str, headers: Mapping[str, str], payload: Any, size: int
    ) -> tuple[int, Any]:
        parts = urlsplit(self.path)
        return other.answer(parts.path, parts.query, posted(method, headers, payload, size))

    def _verdict(self, payload: dict[str, Any] | None) -> tuple[int, Any]:
        """What Discord says."""
        refused = self._address()
        if refused:
            return refused
        if payload is None:
            return 400, {"message": "The request body contains invalid JSON.", "code": 50109}
        problem = problem_of(payload)
        if problem:
            return 400, problem
        if parse_qs(urlsplit(self.path).query).get("wait") != ["true"]:
            return 204, None
        return 200, self._message(payload)

    def _address(self) -> tuple[int, Any] | None:
        """What is wrong with who asks, or with the URL."""
        if self.headers.get("User-Agent", "").startswith("Python-urllib/"):
            return 403, "error code: 1010"
        inbox = self.server.inbox
        match = re.fullmatch(r"/api(?:/v\d+)?/webhooks/([^/]+)/([^/]+)", urlsplit(self.path).path)
        if match is None:
            return 404, {"message": "404: Not Found", "code": 0}
        if match[1] != inbox.webhook_id:
            return 404, {"message": "Unknown Webhook", "code": 10015}
        if not secrets.compare_digest(match[2].encode(), inbox.token.encode()):
            return 401, {"message": "Invalid Webhook Token", "code": 50027}
        return None

    def _message(self, payload: dict[str, Any]) -> dict[str, Any]:
        inbox = self.server.inbox
        return {
            "id": f"1{secrets.randbelow(10**18):018d}", "type": 0, "channel_id": _CHANNEL,
            "content": payload.get("content") or "", "embeds": payload.get("embeds") or [],
            "author": {"id": inbox.webhook_id, "username": payload.get("username") or "ctwatch",
                       "bot": True},
            "timestamp": inbox.clock.now().isoformat(), "webhook_id": inbox.webhook_id,
        }  # fmt: skip

    def _answer(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        is_json = isinstance(body, dict | list)
        content = (json.dumps(body) if is_json else str(body or "")).encode()
        self.send_response(status, HTTPStatus(status).phrase if status in _STATUSES else "")
        self.send_header("Content-Type", "application/json" if is_json else "text/plain")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if status != HTTPStatus.NO_CONTENT:
            self.wfile.write(content)
        self.wfile.flush()

    def _misbehave(self, hang: bool) -> None:
        self.close_connection = True
        if hang:
            self.server.inbox.stopping.wait(self.timeout)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.connection.close()


_CHANNEL = "199737254929760256"
_GUILD = "199737254929760257"
_STATUSES = {int(status) for status in HTTPStatus}
_EMBED_LIMITS = {"title": 256, "description": 4096}
_NAMED_LIMITS = {("footer", "text"): 2048, ("author", "name"): 256}
_FIELD_LIMITS = {"name": 256, "value": 1024}
_CONTENT, _EMBEDS, _FIELDS, _ALL_EMBEDS, _USERNAME = 2000, 10, 25, 6000, 80


def problem_of(payload: dict[str, Any]) -> dict[str, Any] | None:
    """What Discord would refuse a message for: the body of its 400; None when it takes it.

    https://discord.com/developers/docs/resources/message#embed-object-embed-limits
    """
    content, embeds = payload.get("content") or "", payload.get("embeds") or []
    if not content and not embeds:
        return {"message": "Cannot send an empty message", "code": 50006}
    wrong = {**_too_long("content", content, _CONTENT), **_username(payload.get("username"))}
    if not isinstance(embeds, list) or len(embeds) > _EMBEDS:
        wrong["embeds"] = f"Must be {_EMBEDS} or fewer in length."
        embeds = []
    for number, embed in enumerate(embeds):
        wrong |= {f"embeds.{number}.{key}": text for key, text in _embed(embed).items()}
    if not wrong and sum(map(_length, embeds)) > _ALL_EMBEDS:
        wrong["embeds"] = f"Embed size exceeds maximum size of {_ALL_EMBEDS}"
    return {"message": "Invalid Form Body", "code": 50035, "errors": wrong} if wrong else None


def _username(name: Any) -> dict[str, str]:
    if name is None:
        return {}
    if any(word in str(name).lower() for word in ("clyde", "discord")):
        return {"username": 'Username cannot contain "clyde" or "discord".'}
    return _too_long("username", name, _USERNAME, least=1)


def _embed(embed: Any) -> dict[str, str]:
    if not isinstance(embed, dict):
        return {"": "Only dictionaries may be used in an embed."}
    wrong: dict[str, str] = {}
    for key, most in _EMBED_LIMITS.items():
        wrong |= _too_long(key, _part(embed, key), most)
    for (key, inner), most in _NAMED_LIMITS.items():
        wrong |= _too_long(f"{key}.{inner}", _part(embed.get(key), inner), most)
    fields = embed.get("fields") or []
    if not isinstance(fields, list) or len(fields) > _FIELDS:
        return wrong | {"fields": f"Must be {_FIELDS} or fewer in length."}
    for number, one in enumerate(fields):
        for key, most in _FIELD_LIMITS.items():
            wrong |= _too_long(f"fields.{number}.{key}", _part(one, key), most, least=1)
    return wrong


def _too_long(key: str, value: Any, most: int, least: int = 0) -> dict[str, str]:
    if isinstance(value, str) and least <= len(value) <= most:
        return {}
    return {key: f"Must be between {least} and {most} in length."}


def _length(embed: dict[str, Any]) -> int:
    """The characters of an embed that count towards the sum over all."""
    plain = [_part(embed, key) for key in _EMBED_LIMITS]
    named = [_part(embed.get(key), inner) for key, inner in _NAMED_LIMITS]
    fields = [_part(one, key) for one in embed.get("fields") or [] for key in _FIELD_LIMITS]
    return sum(map(len, [*plain, *named, *fields]))


def _part(of: Any, key: str) -> Any:
    """A member of what should be an object; "" when it is absent or null."""
    return (of.get(key) or "") if isinstance(of, dict) else ""


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(raw)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
