"""A loopback server that answers as it is told, and remembers what it was asked."""

import json
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HANG, RESET = "hang", "reset"
WEBHOOK = "/api/webhooks/1199887766554433221/s3cr3t-TOKEN_of-the.webhook"


@dataclass
class Answer:
    status: int = 200
    body: Any = field(default_factory=lambda: {"id": "4242"})
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: Any


class _Handler(BaseHTTPRequestHandler):
    server: "FakeDiscord"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(Request(self.path, dict(self.headers), json.loads(raw)))
        answer = self.server.answers.pop(0) if self.server.answers else Answer()
        if answer == HANG:
            self.server.over.wait(10)
        elif answer == RESET:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            self._say(answer)

    def _say(self, answer: Answer) -> None:
        body = b"" if answer.status == 204 else answer.encoded()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class FakeDiscord(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *answers: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.over, self.hung_up = threading.Event(), threading.Event()
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.url = self.address + WEBHOOK

    def handle_error(self, *_: Any) -> None:
        """The client hung up before all was said."""
        self.hung_up.set()

    def shutdown_request(self, request: Any) -> None:
        # A plain close, without a shutdown before it, is what lets a linger of 0 reset.
        self.close_request(request)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()
