"""The sandbox: a local AWS whose events really travel.

    boto3 / aws CLI ──HTTP──> wire.decode ─> caller known? may he? ─> strictness.check ─> handler of
    the event plane, else strictness' rule, else moto as it is ─> answer
       └─ observe: CloudTrail record ─> event history
          │                          └─> EventBridge, if a trail was logging before the call
          └─ an object deleted ─> EventBridge, if the bucket sends its notifications there

The answer does not wait for what the event does next. This module decides the order and keeps the
story; what AWS refuses is in `authorization`, `strictness` and `trails`, what an event does is in
`delivery`. It binds 127.0.0.1 and nothing else.
"""

import html
import http.client
import json
import logging
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from socketserver import TCPServer
from typing import Any, Protocol, Self
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer
from werkzeug.test import run_wsgi_app

from ctwatch.clock import Clock
from ctwatch.errors import SandboxError
from ctwatch.sandbox import belongings, logfiles, objects, records, strictness, trails, wire
from ctwatch.sandbox.authorization import Authorization, Denial
from ctwatch.sandbox.calls import Call, Forward, Handler, Hop, Refusal, World
from ctwatch.sandbox.cloud import NOT_IMPLEMENTED, Cloud, bucket_region, tagged
from ctwatch.sandbox.identities import ACCESS_KEY, SECRET_KEY, Identities, Identity
from ctwatch.sandbox.metrics import Metrics
from ctwatch.sandbox.queries import Queries
from ctwatch.sandbox.roles import Roles
from ctwatch.sandbox.slowness import Slowness
from ctwatch.sandbox.traffic import Traffic

HOST = "127.0.0.1"
TOKEN_PATH = "/_ctwatch/token"  # noqa: S105 - a path; the token proves whose server answers
CLOCK_PATH = "/_ctwatch/clock"
TRAFFIC_PATH = "/_ctwatch/traffic"
CONFIRM_PATH = "/confirm"
UNSUBSCRIBE_PATH = "/unsubscribe"
_HOP_BY_HOP = {"Connection", "Transfer-Encoding", "Server", "Date", "Status"}
_BODILESS = {204, 304}
_LOOK = 0.25  # seconds after which a long poll looks again for what was hidden

# What could lead a client elsewhere than here.
_UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_CA_BUNDLE",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_ACCOUNT_ID",
)
_ENDPOINT_SERVICES = (
    "ACCOUNT", "ATHENA", "CLOUDTRAIL", "CLOUDWATCH_LOGS", "CONFIG_SERVICE", "DYNAMODB", "EC2",
    "EVENTBRIDGE", "GLUE", "GUARDDUTY", "IAM", "KMS", "LAMBDA", "RESOURCE_GROUPS_TAGGING_API", "S3",
    "SNS", "SQS", "SSM", "STS",
)  # fmt: skip

# The variable that holds a webhook's URL -> the type of channel that posts there.
_WEBHOOKS = {
    "SLACK_WEBHOOK_URL": "slack",
    "TEAMS_WEBHOOK_URL": "teams",
    "WEBHOOK_URL": "webhook",
    "DISCORD_WEBHOOK_URL": "discord",
}

# https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
_BY_DEFAULT = (
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1"),
    *("ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2"),
    *("eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
)

# Those that an account has only when it has opted in; the same page.
_OPT_IN = frozenset(
    {
        *("af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4"),
        *("ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2"),
        *("eu-south-1", "eu-south-2", "il-central-1", "me-central-1", "me-south-1", "mx-central-1"),
    }
)
_EVERYWHERE = records.GLOBAL_SERVICES | {"account"}

_live = threading.Lock()


class EventPlane(Protocol):
    """What becomes of an event: `delivery.Delivery`."""

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """The operations that it answers in moto's stead."""

    def deliver(self, event: dict[str, Any], region: str, after: float = 0.0) -> None:
        """Take an event on that region's default bus, after so many seconds; return at once."""

    @property
    def ended(self) -> int:
        """How much of what was under way has ended."""

    def wait(self, ended: int, seconds: float) -> None:
        """Wait until more than that has ended, at most so many seconds of the clock."""

    def publish(self, arn: str, message: str) -> None:
        """Publish to a topic on behalf of a service that may."""

    def idle(self, timeout: float) -> bool:
        """Wait until nothing is under way; tell whether that came about."""

    def reset(self) -> None:
        """Forget everything."""

    def close(self) -> None:
        """End what it started."""


class Mailbox(Protocol):
    """Where messages arrive: `inbox.Inbox`."""

    webhook_urls: Mapping[str, str]

    def start(self) -> None:
        """Begin to receive."""

    def stop(self) -> None:
        """Receive no more."""

    def reset(self) -> None:
        """Forget what arrived."""


@dataclass(frozen=True)
class Observed:
    """A call as it was seen, and how it ended.

    Attributes:
        call: the call.
        error: AWS's error code as boto3 shows it, or "".
        message: AWS's error message, or "".
        event_id: of its CloudTrail record, or "" where there is none.
    """

    call: Call
    error: str = ""
    message: str = ""
    event_id: str = ""

    @property
    def service(self) -> str:
        """The service, by botocore's name."""
        return self.call.service

    @property
    def operation(self) -> str:
        """The API operation."""
        return self.call.operation

    @property
    def params(self) -> dict[str, Any]:
        """The input in botocore's shape."""
        return self.call.params

    @property
    def writes(self) -> bool:
        """Whether it is a management call that changes something."""
        return records.is_management(self.call) and not records.is_read(self.call.operation)


class Sandbox(World):
    """A local AWS. One at a time in a process, because moto's state is the process's.

    Args:
        region: the home region.
        account: the account id.
        clock: every wait and every time goes through it.
        narrate: called with each `Hop` as it happens, from any thread.
        folder: where mails are kept; a temporary folder, removed at the end, when None.
        host: must be loopback.
        like_aws: whether it takes AWS's time to agree; see `slowness`.
        seed: of all that it draws then.
        latency: seconds after which each AWS call is looked at, as if it came from far away.
        kept: how many calls and lines of the story are remembered at least; all of them when None.
        delivery_factory: makes the event plane; the real one when None.
        inbox_factory: makes the mailbox; the real one when None.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        *,
        region: str = "ap-northeast-2",
        account: str = "123456789012",
        clock: Clock | None = None,
        narrate: Callable[[Hop], None] | None = None,
        folder: Path | None = None,
        host: str = HOST,
        like_aws: bool = False,
        seed: int = 0,
        latency: float = 0.0,
        kept: int | None = None,
        delivery_factory: Callable[["Sandbox", Any], EventPlane] | None = None,
        inbox_factory: Callable[[Path, Clock], Any] | None = None,
    ) -> None:
        if host != HOST:
            raise SandboxError(
                f"The sandbox answers on {HOST} only, not on {host}.", "Leave the host out."
            )
        self.region = region
        self.account = account
        self.clock = clock or Clock()
        self._metrics = Metrics(self.clock)
        self.metrics = self._metrics
        self.url = ""
        self.calls: list[Observed] = []
        self.story: list[Hop] = []
        self._narrate = narrate
        self._given_folder = folder
        self.slowness = Slowness(self, seed) if like_aws else None
        self.traffic = Traffic(self.clock.monotonic)
        self._latency = latency
        self._most = 2 * kept if kept else sys.maxsize
        self._written: set[str] = set()
        self._make_delivery = delivery_factory or _real_delivery
        self._make_inbox = inbox_factory or _real_inbox
        self._token = secrets.token_hex(16)
        self._cloud = Cloud(account, region, lambda: self.clock.ahead)
        self._identities = Identities(account)
        self._opted_in: set[str] = set()
        self._history = records.History()
        self._log_files = logfiles.LogFiles(self._cloud)
        self._lock = threading.Lock()
        self._recorders: list[list[Observed]] = []
        self._server: _Listening | None = None
        self._alive = False

    # Life

    def start(self) -> Self:
        """Listen on a free port of 127.0.0.1.

        Raises:
            SandboxError: another sandbox lives in this process, or the port is not ours.
        """
        if not _live.acquire(blocking=False):
            raise SandboxError(
                "Another sandbox is running in this process.", "Stop it first: one at a time."
            )
        self._alive = True
        try:
            self._open()
        except BaseException:
            self.stop()
            raise
        return self

    def _open(self) -> None:
        self.folder = self._given_folder or Path(tempfile.mkdtemp(prefix="ctwatch-sandbox-"))
        self._server = _Listening(HOST, 0, self, _QuietHandler)
        self.url = self._cloud.url = f"http://{HOST}:{self._server.server_port}"
        self._cloud.open()
        self.inbox = self._make_inbox(self.folder, self.clock)
        self.inbox.start()
        self._delivery = self._make_delivery(self, self.inbox)
        self._authorization = Authorization(Roles(self))
        self._queries = Queries(self._cloud)
        self._handlers = self._all_handlers()
        threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="ctwatch-sandbox",
            daemon=True,
        ).start()
        self._prove()

    def _prove(self) -> None:
        """See that the server that answers is this one."""
        port = int(self.url.rsplit(":", 1)[1])
        connection = http.client.HTTPConnection(HOST, port, timeout=10)
        try:
            connection.request("GET", TOKEN_PATH)
            answer = connection.getresponse().read().decode()
        except OSError as error:
            raise SandboxError(f"The sandbox does not answer at {self.url}: {error}.") from error
        finally:
            connection.close()
        if answer != self._token:
            raise SandboxError(
                f"The server that answers at {self.url} is not this sandbox.", "Try again."
            )

    def stop(self) -> None:
        """Stop listening and forget everything; may be called twice."""
        if not self._alive:
            return
        if self._server is not None:
            server, self._server = self._server, None
            server.shutdown()
            server.server_close()
        for name, end in (("_delivery", "close"), ("inbox", "stop")):
            if hasattr(self, name):
                getattr(getattr(self, name), end)()
        self._cloud.close()
        if self._given_folder is None and hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)
        self._alive = False
        _live.release()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def reset(self) -> None:
        """Forget every resource, event, message and call; the address stays."""
        self.idle()
        self._delivery.reset()
        self.inbox.reset()
        self._cloud.reset()
        self._history.clear()
        self._metrics.clear()
        self._log_files.clear()
        self._identities.clear()
        self._authorization.service_control.clear()
        self._opted_in.clear()
        if self.slowness:
            self.slowness.forget()
        with self._lock:
            self.calls.clear()
            self.story.clear()
            self._written.clear()

    def idle(self, timeout: float = 10.0) -> bool:
        """Wait until no event is under way, at most `timeout` seconds; tell whether it is so."""
        return self._delivery.idle(timeout)

    # What a client needs

    def env(self) -> dict[str, str]:
        """The environment that leads a client here and nowhere else."""
        return {
            **self._address(),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **{name: self.inbox.webhook_urls[kind] for name, kind in _WEBHOOKS.items()},
        }

    def unset(self) -> tuple[str, ...]:
        """The variables that must not be set beside `env()`."""
        prefix = "AWS_ENDPOINT_URL_"
        services = {prefix + name for name in _ENDPOINT_SERVICES}
        services |= {name for name in os.environ if name.startswith(prefix)}
        return (*_UNSET, *sorted(services))

    def _address(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": f"{HOST},localhost",
            "no_proxy": f"{HOST},localhost",
        }

    # World

    def client(self, service: str, region: str) -> Any:
        """A boto3 client that reaches moto past checks, records and delivery."""
        return self._cloud.client(service, region)

    def credentials(self, role_arn: str, session: str) -> dict[str, str]:
        """The `AWS_*` variables of a session of that role, endpoint and region included."""
        return {
            **self._address(),
            "AWS_ACCESS_KEY_ID": self._identities.lend(role_arn, session),
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_SESSION_TOKEN": f"session-of-{session}",
        }

    def tell(self, hop: Hop) -> None:
        """Add a line to the story."""
        with self._lock:
            self.story.append(hop)
            self._let_go(self.story)
        if self._narrate:
            self._narrate(hop)

    def join_organization(
        self, trail: str, bucket: str, selectors: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Make the account a member of an organization with a trail that logs.

        Args:
            trail: its ARN, in the management account.
            bucket: the name of its bucket, in whichever account.
            selectors: its event selectors, where it has others than the default.
        """
        trails.share(self._cloud, trail, bucket, selectors)

    def attach_service_control_policy(self, document: Mapping[str, Any]) -> None:
        """Limit everyone in the account, as its organization does: `ctwatch policy --scp`."""
        self._authorization.service_control.append(dict(document))

    # What was seen

    @contextmanager
    def recording(self) -> Iterator[list[Observed]]:
        """A list that every call is added to while the block lasts."""
        seen: list[Observed] = []
        with self._lock:
            self._recorders.append(seen)
        try:
            yield seen
        finally:
            with self._lock:
                self._recorders = [one for one in self._recorders if one is not seen]

    def listing(self) -> list[str]:
        """Everything that exists in the account, one "service kind name" line each."""
        with self._lock:  # where nothing was ever written, nothing is
            regions = self._written | {self.region}
        return self._cloud.inventory(regions)

    # Serving

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request (WSGI), unless it was cut off, as then nobody waits for an answer."""
        answer = self._answer(environ, _body(environ))
        length = {"Content-Length": str(len(answer.body))}
        ours = _HOP_BY_HOP if environ["REQUEST_METHOD"] == "HEAD" else _HOP_BY_HOP | set(length)
        headers = wire.without(answer.headers, ours)
        if environ["REQUEST_METHOD"] != "HEAD" and answer.status not in _BODILESS:
            headers |= length
        start_response(f"{answer.status} {_reason(answer.status)}", list(headers.items()))
        return [answer.body]

    def _answer(self, environ: dict[str, Any], body: bytes) -> wire.Answer:
        self.clock.begin()
        try:
            return self._answered(environ, body)
        finally:
            self.clock.end()

    def _answered(self, environ: dict[str, Any], body: bytes) -> wire.Answer:
        if self._server is None:  # a connection that outlived the sandbox
            return wire.Answer(503, {"Content-Type": "text/plain"}, b"the sandbox has stopped")
        page = self._page(environ)
        if page:
            return page
        with self.traffic.call():
            self._travel()
            return self._called(environ, body)

    def _travel(self) -> None:
        """Let pass what a call takes on its way, there and back."""
        if self._latency:
            with self._waiting():
                self.clock.sleep(self._latency)

    def _called(self, environ: dict[str, Any], body: bytes) -> wire.Answer:
        request = wire.decode(
            environ,
            body,
            account=self.account,
            time=self.clock.now(),
            request_id=str(uuid.uuid4()),
        )
        if request is None:
            return self._untouched(environ, body)
        return self._serve(request, environ, body)

    def _page(self, environ: Mapping[str, Any]) -> wire.Answer | None:
        """The sandbox's own pages, which are no part of AWS."""
        path = environ.get("PATH_INFO", "")
        query = parse_qs(environ.get("QUERY_STRING", ""))
        if path == TOKEN_PATH:
            return wire.Answer(200, {"Content-Type": "text/plain"}, self._token.encode())
        if path == CLOCK_PATH:
            return self._time(float(query.get("sleep", ["0"])[0]))
        if path == TRAFFIC_PATH:
            return self._counted()
        if path.startswith("/moto-api"):
            return wire.Answer(404, {"Content-Type": "text/plain"}, b"not part of the sandbox")
        links = {CONFIRM_PATH: ("ConfirmSubscription", "Token"),
                 UNSUBSCRIBE_PATH: ("Unsubscribe", "SubscriptionArn")}  # fmt: skip
        operation, needed = links.get(path, ("", ""))
        if needed and needed in query and environ["REQUEST_METHOD"] == "GET":
            return self._follow(operation, {key: values[0] for key, values in query.items()})
        return None

    def _time(self, seconds: float) -> wire.Answer:
        """The clock for another process that goes by it, after so many of its seconds."""
        if seconds > 0:
            with self._waiting():
                self.clock.sleep(seconds)
        told = f"{self.clock.monotonic()!r} {self.clock.ahead!r}"
        return wire.Answer(200, {"Content-Type": "text/plain"}, told.encode())

    def _counted(self) -> wire.Answer:
        """The calls since this was last asked."""
        tally = self.traffic.since_asked()
        told = {"calls": tally.calls, "series": tally.series, "seconds": tally.seconds}
        return wire.Answer(200, {"Content-Type": "application/json"}, json.dumps(told).encode())

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """A request that does nothing but wait keeps no time from being leapt over."""
        self.clock.end()
        try:
            yield
        finally:
            self.clock.begin()

    def _follow(self, operation: str, params: dict[str, Any]) -> wire.Answer:
        """Follow a link out of a mail: no signature, no record.

        https://docs.aws.amazon.com/sns/latest/dg/logging-using-cloudtrail.html
        """
        arn = params.get("TopicArn") or params.get("SubscriptionArn", "")
        region = arn.split(":")[3] if arn.count(":") > 3 else self.region  # noqa: PLR2004 - ARN
        known = {"TopicArn", "Token", "SubscriptionArn"}
        given = {key: value for key, value in params.items() if key in known}
        call = self._own_call("sns", operation, region, given)
        handler = self._handlers.get(("sns", operation))
        try:
            result = handler(call, self._cloud.forward) if handler else self._cloud.forward(call)
        except Refusal as refusal:
            return _html(refusal.status, refusal.code, refusal.message)
        if operation == "Unsubscribe":
            return _html(200, "Unsubscribed", f"Subscription {arn} was removed.")
        subscription = result.get("SubscriptionArn", "")
        return _html(200, "Subscription confirmed", f"Your subscription's id is: {subscription}")

    def _own_call(self, service: str, operation: str, region: str, params: dict[str, Any]) -> Call:
        """A call that nobody has signed."""
        return Call(
            service=service,
            operation=operation,
            region=region,
            account=self.account,
            access_key="",
            params=params,
            user_agent="",
            source_ip=HOST,
            time=self.clock.now(),
            request_id=str(uuid.uuid4()),
        )

    def _untouched(self, environ: dict[str, Any], body: bytes) -> wire.Answer:
        """A request that we cannot read goes to moto as it is and leaves no record."""
        try:
            return self._cloud.send(environ, body)
        except Refusal as refusal:
            self._tell("call", environ.get("PATH_INFO", "/"), refusal.message)
            said = f'{{"__type":"{refusal.code}","message":"not available in the sandbox"}}'
            return wire.Answer(refusal.status, {"x-amzn-ErrorType": refusal.code}, said.encode())
        finally:
            self._cloud.memory.forget()

    def _serve(self, request: wire.Request, environ: dict[str, Any], body: bytes) -> wire.Answer:
        call = request.call
        try:
            identity = self._identity(call)
        except Refusal as refusal:
            self._see(Observed(call, refusal.code, refusal.message))
            return wire.encode_refusal(request, refusal)
        loggers = trails.recording(self._cloud, call) if records.is_management(call) else []
        with self._changing(call):
            answer, outcome = self._attempt(request, _Exchange(self._cloud, request, environ, body))
        self._observe(request, outcome, identity.element, loggers)
        return answer

    @contextmanager
    def _changing(self, call: Call) -> Iterator[None]:
        """What was read before a call that changes something, or while it is made, is forgotten."""
        memory, changes = self._cloud.memory, not records.is_read(call.operation)
        if changes:
            memory.changed(call.service, call.operation)
        try:
            yield
        finally:
            if changes:
                memory.changed(call.service, call.operation)

    def _attempt(
        self, request: wire.Request, exchange: "_Exchange"
    ) -> tuple[wire.Answer, records.Outcome]:
        try:
            result = self._result(request.call, exchange)
        except Refusal as refusal:
            if refusal.status == NOT_IMPLEMENTED:
                self._tell("call", request.call.operation, refusal.message)
            answer = exchange.raw if refusal is exchange.refused else None
            return (
                answer or wire.encode_refusal(request, refusal),
                records.Outcome({}, refusal),
            )
        if result is exchange.result and exchange.raw:
            return exchange.raw, records.Outcome(result)
        return wire.encode(request, result), records.Outcome(result)

    def _result(self, call: Call, exchange: "_Exchange") -> dict[str, Any]:
        try:
            if self._authorization.exempts(call):
                return self._perform(call, exchange)
            act = partial(self._perform, exchange=exchange)
            return self._authorization.perform(call, self._identity(call), act)
        except Refusal:
            raise
        except Exception as error:
            # a fault of the sandbox must not look like one of the caller's
            said = f"The sandbox failed at {call.service}:{call.operation}."
            logging.getLogger(__name__).exception(said)
            raise Refusal("InternalFailure", said, NOT_IMPLEMENTED) from error

    def _perform(self, call: Call, exchange: "_Exchange") -> dict[str, Any]:
        key = (call.service, call.operation)
        strictness.check(call, self._cloud)
        forward = strictness.strict(key, exchange.forward, self._cloud)
        handler = self._handlers.get(key)
        answer = partial(handler, call, forward) if handler else partial(forward, call)
        return self.slowness.answer(call, answer, self._ask) if self.slowness else answer()

    def _ask(self, call: Call) -> dict[str, Any]:
        """What a call is answered that nobody makes."""
        key = (call.service, call.operation)
        forward = strictness.strict(key, self._cloud.forward, self._cloud)
        handler = self._handlers.get(key)
        return handler(call, forward) if handler else forward(call)

    # Observing

    def _observe(
        self,
        request: wire.Request,
        outcome: records.Outcome,
        identity: Mapping[str, Any],
        loggers: Sequence[Any],
    ) -> None:
        call, refusal, watched = request.call, outcome.refusal, bool(loggers)
        said = Observed(call, refusal.code if refusal else "", refusal.message if refusal else "")
        if not records.is_management(call):
            self._see(said)
            if not refusal:
                self._announce(objects.events(call, outcome.result, self._cloud))
            return
        written = records.record(call, _named(request, outcome), identity)
        self._history.add(written)
        self._log_files.add(loggers, written)
        if call.operation in {"StopLogging", "DeleteTrail"} and not refusal:
            self._log_files.end_chains(trails.arn_of(call, call.params["Name"]))
        self._see(replace(said, event_id=written["eventID"]))
        self._narrate_call(call, written, watched=watched)
        if watched:
            self._send(records.envelope(written), written["awsRegion"])

    def _announce(self, deletions: Iterable[dict[str, Any]]) -> None:
        """Send what S3 itself tells EventBridge, which no trail has to record."""
        for event in deletions:
            bucket, deleted = event["resources"][0].rpartition(":")[2], event["detail"]
            text = f"{deleted['object']['key']} {deleted['deletion-type']}: S3 tells EventBridge"
            self._tell("record", bucket, text, ok=True, extra={"event_id": event["id"]})
            self._send(event, event["region"])

    def _send(self, event: dict[str, Any], region: str) -> None:
        """Send an event to EventBridge; how often and how soon it comes there, AWS decides."""
        if not self.slowness:
            self._delivery.deliver(event, region)
            return
        for after in self.slowness.travels(event):
            self._delivery.deliver(event, region, after)

    def expire(self, bucket: str, key: str) -> None:
        """Delete an object as a lifecycle rule of its bucket does, which nobody calls for."""
        call = self._own_call("s3", "DeleteObject", self.region, {"Bucket": bucket, "Key": key})
        self._announce(objects.expiry(call, self._cloud.forward(call), self._cloud))

    def deliver_logs(
        self,
        at: datetime | None = None,
        regions: Sequence[str] | None = None,
        *,
        digests: bool = True,
    ) -> list[str]:
        """Let CloudTrail deliver the log files that are due, and the digest files of an hour.

        Args:
            at: as of when; now when None. Times must follow one another.
            regions: of which regions; when None of the trail's home region, and where it records
                every region of each that is enabled, whether anything happened there or not.
            digests: whether the hour is over; else the next digest files name these log files.

        Returns:
            The keys of what was put into the buckets.
        """
        when = at or self.clock.now()
        recording = [one for one in trails.every_trail(self._cloud) if one.status.is_logging]
        keys = []
        for trail in recording:
            which = regions or self._recorded(trail)
            keys += self._told(trail, self._log_files.deliver(trail, which, when, digests=digests))
        return keys

    def _told(self, trail: Any, keys: list[str]) -> list[str]:
        """What was delivered for a trail, of which its topic is told."""
        for message in trails.notices(self._cloud, trail, keys):
            self._delivery.publish(trail.topic_arn, message)
        return keys

    def _recorded(self, trail: Any) -> list[str]:
        """The regions that a trail records."""
        if not trail.is_multi_region:
            return [trail.region_name]
        return [name for name, status in self._statuses().items() if status != "DISABLED"]

    def _see(self, observed: Observed) -> None:
        with self._lock:
            self.calls.append(observed)
            self._let_go(self.calls)
            if observed.writes and observed.call.region:
                self._written.add(observed.call.region)
            for recorder in self._recorders:
                recorder.append(observed)

    def _let_go(self, remembered: list[Any]) -> None:
        """Forget the older half of what has become too much."""
        if len(remembered) > self._most:
            del remembered[: self._most // 2]

    def _narrate_call(self, call: Call, written: Mapping[str, Any], *, watched: bool) -> None:
        if written["readOnly"]:
            return
        subject, extra = _subject(call), {"event_id": written["eventID"]}
        who = written["userIdentity"].get("arn", "").rpartition(":")[2]
        ending = f": {written['errorCode']}" if "errorCode" in written else ""
        text = f"{written['eventName']} by {who}{ending}"
        self._tell("call", subject, text, ok=not ending, extra=extra)
        if watched:
            text = f"{written['eventName']} went to EventBridge in {written['awsRegion']}"
            self._tell("record", subject, text, ok=True, extra=extra)
            return
        text = (
            f"No trail was logging writes in {written['awsRegion']}: AWS sends no event, and keeps "
            f"{written['eventName']} in the event history only"
        )
        self._tell("record", subject, text, extra=extra)

    def _tell(
        self, stage: str, subject: str, text: str, *, ok: bool = False, extra: Any = None
    ) -> None:
        self.tell(Hop(self.clock.now(), stage, subject, ok, text, extra or {}))

    # What the front answers itself

    def _all_handlers(self) -> dict[tuple[str, str], Handler]:
        own: dict[tuple[str, str], Handler] = {
            ("account", "ListRegions"): self._regions,
            ("account", "GetRegionOptStatus"): self._region,
            ("account", "EnableRegion"): self._enable_region,
            ("resourcegroupstaggingapi", "GetResources"): self._tagged,
            ("cloudtrail", "ListPublicKeys"): logfiles.public_keys,
            ("cloudtrail", "LookupEvents"): lambda call, _: self._history.lookup(call),
            ("cloudwatch", "GetMetricData"): self._metrics.data,
            ("sts", "GetCallerIdentity"): self._caller,
            ("sts", "AssumeRole"): self._assume_role,
            ("iam", "CreateAccessKey"): self._create_access_key,
            ("iam", "DeleteAccessKey"): self._delete_access_key,
            ("sqs", "ReceiveMessage"): self._receive,
        }
        return own | self._queries.handlers() | dict(self._delivery.handlers())

    def _regions(self, call: Call, _: Forward) -> dict[str, Any]:
        """Those that every account has, and the home region.

        https://docs.aws.amazon.com/accounts/latest/reference/API_ListRegions.html
        """
        statuses = self._statuses()
        asked = call.params.get("RegionOptStatusContains") or statuses.values()
        listed = [
            {"RegionName": name, "RegionOptStatus": status}
            for name, status in statuses.items()
            if status in asked
        ]
        return {"Regions": listed}

    def _statuses(self) -> dict[str, str]:
        statuses = dict.fromkeys(_OPT_IN, "DISABLED")
        statuses |= dict.fromkeys([self.region, *self._opted_in], "ENABLED")
        statuses |= dict.fromkeys(_BY_DEFAULT, "ENABLED_BY_DEFAULT")
        return dict(sorted(statuses.items()))

    def _region(self, call: Call, forward: Forward) -> dict[str, Any]:
        """https://docs.aws.amazon.com/accounts/latest/reference/API_GetRegionOptStatus.html."""
        listed = self._regions(call.but(RegionOptStatusContains=None), forward)["Regions"]
        asked = call.params["RegionName"]
        for one in listed:
            if one["RegionName"] == asked:
                return dict(one)
        raise Refusal("ValidationException", f"{asked} is not a Region.")

    def _enable_region(self, call: Call, _: Forward) -> dict[str, Any]:
        """At once, where AWS takes minutes."""
        self._opted_in.add(call.params["RegionName"])
        return {}

    def _tagged(self, call: Call, forward: Forward) -> dict[str, Any]:
        """All in the region that has the tags; roles are not among it.

        https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html
        """
        answer = forward(call)
        if call.params.get("PaginationToken"):
            return answer
        region = call.region or self.region
        wish = {one["Key"]: one.get("Values") for one in call.params.get("TagFilters", [])}
        there = [
            one
            for one in answer.get("ResourceTagMappingList", [])
            if bucket_region(self.account, one["ResourceARN"]) in {None, region}
        ]
        more = [
            {"ResourceARN": arn, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
            for arn, tags in (*tagged(self.account, region), *self._queries.tagged(region))
            if all(key in tags and tags[key] in (of or [tags[key]]) for key, of in wish.items())
        ]
        return {**answer, "ResourceTagMappingList": [*there, *more]}

    def _identity(self, call: Call) -> Identity:
        identity = self._identities.of(call.access_key)
        here = call.region not in _OPT_IN - {self.region} - self._opted_in
        if identity is None or not (here or call.service in _EVERYWHERE):
            raise strictness.unknown_key(call)
        return identity

    def _caller(self, call: Call, _: Forward) -> dict[str, Any]:
        identity = self._identity(call)
        return {"UserId": identity.user_id, "Account": self.account, "Arn": identity.arn}

    def _assume_role(self, call: Call, forward: Forward) -> dict[str, Any]:
        answer = forward(call)
        key, user = answer["Credentials"]["AccessKeyId"], answer["AssumedRoleUser"]
        role_id = user["AssumedRoleId"].split(":")[0]
        named = [one["arn"] for one in call.params.get("PolicyArns", [])]
        given = [belongings.managed(self.account, arn) or {} for arn in named]
        limits = (*given, call.params["Policy"]) if call.params.get("Policy") else tuple(given)
        self._identities.add_session(
            call.params["RoleArn"], call.params["RoleSessionName"], key, role_id, limits
        )
        return answer

    def _create_access_key(self, call: Call, forward: Forward) -> dict[str, Any]:
        answer = forward(call)
        made = answer["AccessKey"]
        arn = belongings.principal(self.account, "user", made["UserName"])
        self._identities.add_user(arn, made["AccessKeyId"])
        return answer

    def _delete_access_key(self, call: Call, forward: Forward) -> dict[str, Any]:
        answer = forward(call)
        self._identities.forget(call.params["AccessKeyId"])
        return answer

    def _receive(self, call: Call, forward: Forward) -> dict[str, Any]:
        """Long polling by the sandbox's clock; moto would wait by its own."""
        end = self.clock.monotonic() + float(call.params.get("WaitTimeSeconds", 0))
        at_once = call.but(WaitTimeSeconds=0)
        while True:
            ended = self._delivery.ended
            answer = forward(at_once)
            left = end - self.clock.monotonic()
            if answer.get("Messages") or left <= 0:
                return answer
            with self._waiting():
                self._delivery.wait(ended, min(left, _LOOK))


class _Listening(ThreadedWSGIServer):
    """A thread for each connection; asks no name server what 127.0.0.1 is called."""

    def server_bind(self) -> None:
        """Bind, as an HTTPServer does but for that question."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])


class _QuietHandler(MotoRequestHandler):
    """Keeps connections alive, which werkzeug's own handler does not, and prints nothing.

    It may, because `Sandbox` reads every request to its end and tells every length.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request."""
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        chunks, status, headers = run_wsgi_app(self.server.app, self.make_environ(), buffered=True)
        code, reason = status.split(" ", 1)
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"".join(chunks))

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The time by the sandbox's clock."""
        now = time.time() if timestamp is None else timestamp
        sandbox: Any = self.server.app
        return super().date_time_string(now + sandbox.clock.ahead)

    def log(self, *_: Any, **__: Any) -> None:
        """Say nothing."""


class _Exchange:
    """One request and what moto said to it, kept so that it need not be encoded again."""

    def __init__(
        self, cloud: Cloud, request: wire.Request, environ: dict[str, Any], body: bytes
    ) -> None:
        self._cloud = cloud
        self._request = request
        self._environ = environ
        self._body = body
        self.raw: wire.Answer | None = None
        self.result: dict[str, Any] | None = None
        self.refused: Refusal | None = None

    def forward(self, call: Call) -> dict[str, Any]:
        """Send the call to moto: as it came when nothing was changed."""
        if call is not self._request.call:
            return self._cloud.forward(call)
        answer = self._cloud.memory.once(call, self._request.protocol, self._send)
        self.raw = wire.stamped(self._request, answer)
        try:
            self.result = wire.decode_result(self._request, self.raw)
        except Refusal as refusal:
            self.refused = refusal
            raise
        return self.result

    def _send(self) -> wire.Answer:
        return self._cloud.send(self._environ, self._body)


def _named(request: wire.Request, outcome: records.Outcome) -> records.Outcome:
    """The outcome with its error by the name that CloudTrail uses."""
    refusal = outcome.refusal
    if refusal is None:
        return outcome
    if isinstance(refusal, Denial):
        return records.Outcome({}, Refusal(refusal.recorded, refusal.message, refusal.status))
    bare = {"404": "NoSuchBucket", "403": "AccessDenied"}  # HeadBucket has no body to say it in
    code = bare.get(refusal.code) or wire.error_shape(request, refusal.code)
    return records.Outcome({}, Refusal(code, refusal.message, refusal.status))


_NAMES = (
    "Name", "TrailName", "Bucket", "FunctionName", "RoleName", "Rule", "QueueName", "QueueUrl",
    "TopicArn", "SubscriptionArn", "logGroupName", "ResourceId", "ResourceArn", "ResourceARN",
)  # fmt: skip


def _subject(call: Call) -> str:
    for name in _NAMES:
        if isinstance(call.params.get(name), str):
            return str(call.params[name]).rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    return call.service


def _body(environ: Mapping[str, Any]) -> bytes:
    """What was sent.

    Raises:
        ConnectionError: not all of what was announced, as the client has hung up meanwhile.
    """
    if environ.get("wsgi.input_terminated"):  # werkzeug has undone the chunks
        try:
            return bytes(environ["wsgi.input"].read())
        except OSError as error:
            raise ConnectionAbortedError(*error.args) from error
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = bytes(environ["wsgi.input"].read(length))
    if len(body) < length:
        raise ConnectionAbortedError(f"{len(body)} of {length} bytes")
    return body


def _reason(status: int) -> str:
    return http.client.responses.get(status, "Unknown")


def _html(status: int, title: str, text: str) -> wire.Answer:
    page = (
        "<!doctype html><meta charset=utf-8><title>ctwatch sandbox</title>"
        f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>"
        "<p>This is a local AWS; nothing left this machine.</p>"
    )
    return wire.Answer(status, {"Content-Type": "text/html; charset=utf-8"}, page.encode())


def _real_delivery(world: Sandbox, inbox: Any) -> EventPlane:
    from ctwatch.sandbox.delivery import Delivery  # noqa: PLC0415 - beside, not below

    return (
        Delivery(world, inbox, world.slowness.rules) if world.slowness else Delivery(world, inbox)
    )


def _real_inbox(folder: Path, clock: Clock) -> Any:
    from ctwatch.sandbox.inbox import Inbox  # noqa: PLC0415 - beside, not below

    return Inbox(folder, clock)
