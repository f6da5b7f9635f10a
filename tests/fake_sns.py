"""A loopback SNS that answers Publish as it is told, and remembers what it was asked."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:sns-cloudtrail-alarm"
_NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"


class _Handler(BaseHTTPRequestHandler):
    server: "FakeSns"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.requests.append(dict(parse_qsl(raw, keep_blank_values=True)))
        self.server.hosts.append(self.headers.get("Authorization", ""))
        refusal = self.server.refusals.pop(0) if self.server.refusals else None
        body = _refused(*refusal) if refusal else _published()
        self.send_response(400 if refusal else 200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _published() -> bytes:
    result = "<PublishResult><MessageId>sns-777</MessageId></PublishResult>"
    return f'<PublishResponse xmlns="{_NAMESPACE}">{result}</PublishResponse>'.encode()


def _refused(code: str, message: str) -> bytes:
    error = f"<Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>"
    return f'<ErrorResponse xmlns="{_NAMESPACE}"><Error>{error}</Error></ErrorResponse>'.encode()


class FakeSns(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusals: list[tuple[str, str] | None] = []
        self.requests: list[dict[str, str]] = []
        self.hosts: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
