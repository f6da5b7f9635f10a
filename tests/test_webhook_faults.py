"""A webhook that misbehaves: what is tried again arrives, and what is lost is kept and told.

A real event takes the whole way: rule, topic, the zip in a process of its own, and a stand-in that
answers as Discord, Slack, Teams or whoever stands before them does on a bad day. Each fault is
tried twice: it passes, so that AWS's retry delivers the alert, or it stays, so that the alert ends
in the dead-letter queue, and `status` and `alerts` say so until the next one is taken. The minutes
between the retries pass on the sandbox's clock.
"""

import json
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from watch_world import PLAIN, World, world_of

from ctwatch.clock import Clock
from ctwatch.sandbox import sandbox_class
from ctwatch.secret import VARIABLES

TRAIL, DEAD = "ct-trail-monitor", "ctwatch-dead-letter"
README = Path(__file__).parent.parent / "README.md"
SPEED = 300  # so that the three minutes of Lambda's two retries take less than one second

_BLOCKED = "<!DOCTYPE html><title>Access denied | discord.com used Cloudflare</title>Error 1015"
_GATE = "<html><head><title>307 Temporary Redirect</title></head></html>"


@dataclass(frozen=True)
class Fault:
    """How a webhook misbehaves.

    Attributes:
        status: of HTTP, or "hang" or "reset".
        says: what the log says of it.
        body: of the answer.
        headers: of the answer.
        verdict: what `status` says when it has stayed, where no other channel is: DEGRADED where
            the webhook answers when it is asked.
        when_asked: whether a GET is answered so, too.
        posts: how many POSTs one run of the function makes of an alert.
    """

    status: int | Literal["hang", "reset"]
    says: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    verdict: str = "MUTE"
    when_asked: bool = False
    posts: int = 1


# https://docs.discord.com/developers/topics/opcodes-and-status-codes
# https://docs.discord.com/developers/topics/rate-limits (and Cloudflare's own bans, without JSON)
_OF_DISCORD = {
    "400": Fault(
        400,
        "answered 400",
        {"message": "Invalid Form Body", "code": 50035},
        verdict="DEGRADED",
    ),
    "401": Fault(
        401,
        "answered 401, the webhook's token is wrong",
        {"message": "Invalid Webhook Token", "code": 50027},
        when_asked=True,
    ),
    "403 of Cloudflare": Fault(403, "answered 403", _BLOCKED, when_asked=True),
    "404 deleted": Fault(
        404,
        "answered 404, the webhook does not exist any more",
        {"message": "Unknown Webhook", "code": 10015},
        when_asked=True,
    ),
    "429 for a moment": Fault(
        429,
        "answered 429, too many requests",
        {"message": "You are being rate limited.", "retry_after": 0.05, "global": False},
        verdict="DEGRADED",
        posts=2,
    ),
    "429 for an hour": Fault(
        429,
        "answered 429, too many requests",
        {"message": "You are being rate limited.", "retry_after": 3600, "global": True},
        verdict="DEGRADED",
    ),
    "429 of Cloudflare": Fault(
        429, "answered 429", "error code: 1015", {"Retry-After": "1"}, when_asked=True
    ),
    "500": Fault(500, "answered 500", "Internal Server Error", when_asked=True),
    "hang": Fault("hang", "did not answer within 5 s", when_asked=True),
    "reset": Fault("reset", "could not be reached", when_asked=True),
    "10 MB": Fault(502, "answered 502", "x" * 10_000_000, when_asked=True),
    "redirect": Fault(
        307,
        "answered 307, a redirect is not followed",
        _GATE,
        {"Location": "elsewhere"},
        when_asked=True,
    ),
}

# https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors
_OF_SLACK = {
    "400": Fault(400, "answered 400", "invalid_payload"),
    "403": Fault(403, "answered 403", "action_prohibited"),
    "404 deleted": Fault(404, "the webhook does not exist any more", "no_service"),
    "410 archived": Fault(410, "the webhook does not exist any more", "channel_is_archived"),
    "429 for a moment": Fault(429, "429", "rate_limited", {"Retry-After": "0"}, posts=2),
    "a page instead of ok": Fault(200, "answered 200, no", "<html>Sign in to the proxy</html>"),
    "500": Fault(500, "answered 500", "rollup_error"),
}

# https://learn.microsoft.com/azure/logic-apps/logic-apps-limits-and-configuration
_OF_TEAMS = {
    "401": Fault(401, "token is wrong", {"error": {"code": "DirectApiAuthorizationRequired"}}),
    "404 deleted": Fault(404, "does not exist any more", {"error": {"code": "WorkflowNotFound"}}),
    "429 for an hour": Fault(
        429, "429", {"error": {"code": "WorkflowTriggerThrottled"}}, {"Retry-After": "3600"}
    ),
    "502": Fault(502, "answered 502", {"error": {"code": "NoResponse"}}),
}

_OF_ANY = {
    "415": Fault(415, "answered 415", "only text/plain"),
    "429 until a date": Fault(429, "429", "", {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}),
    "503": Fault(503, "answered 503", "", {"Retry-After": "120"}),
    "10 MB": Fault(500, "answered 500", "x" * 10_000_000),
    "redirect": Fault(308, "a redirect is not followed", "", {"Location": "elsewhere"}),
}

FAULTS = {"discord": _OF_DISCORD, "slack": _OF_SLACK, "teams": _OF_TEAMS, "webhook": _OF_ANY}
ROWS = [(service, what) for service, faults in FAULTS.items() for what in faults]

_TELLING = {
    "passes": [("discord", "500"), ("discord", "429 for a moment")],
    "stays": [("discord", "404 deleted"), ("discord", "10 MB")],
}


def rows(how: str) -> list[Any]:
    """All of them; the ordinary suite tries those that tell most."""
    return [
        pytest.param(*row, marks=[] if row in _TELLING[how] else pytest.mark.exhaustive)
        for row in ROWS
    ]


class Fast(Clock):
    """A clock that can be set right, as CloudWatch Logs takes nothing from two hours ahead.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
    """

    def set_right(self) -> None:
        self._wall, self._started = datetime.now(UTC), time.monotonic()


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with sandbox_class()(clock=Fast(SPEED)) as sandbox:  # noqa: SIM117 - the second needs the first
        with world_of(sandbox, tmp_path_factory.mktemp("webhook")) as world:
            yield world


@pytest.fixture(scope="module")
def of_service(fast: World, service: str) -> World:
    """A watch that has this channel and no other."""
    fast.use({**PLAIN, "topic": {}, "channels": [_channel(service)]})
    assert fast.run("up").code == 0
    return fast


@pytest.fixture
def world(of_service: World, service: str) -> Iterator[World]:
    yield of_service
    of_service.sandbox.inbox.mend(service)
    for letter in letters(of_service):
        of_service.client("sqs").delete_message(
            QueueUrl=_queue(of_service), ReceiptHandle=letter["ReceiptHandle"]
        )


@pytest.fixture
def elsewhere() -> Iterator[socket.socket]:
    """Another host, where nobody may ever come."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server
        with pytest.raises(BlockingIOError):
            server.accept()


def _channel(service: str) -> dict[str, str]:
    return {"type": service, "url": f"env:{VARIABLES[service]}"}


def _queue(world: World) -> str:
    return str(world.client("sqs").get_queue_url(QueueName=DEAD)["QueueUrl"])


def misbehave(fault: Fault, server: socket.socket) -> tuple[Any, Any, dict[str, str]]:
    """The answer; where it leads elsewhere, then there."""
    there = f"http://localhost:{server.getsockname()[1]}/taken"
    headers = {name: there if name == "Location" else text for name, text in fault.headers.items()}
    return fault.status, fault.body, headers


def strike(world: World) -> str:
    """Stop the trail as an intruder does, start it again; the request id of the first."""
    assert isinstance(world.sandbox.clock, Fast)
    world.sandbox.clock.set_right()
    client = world.client("cloudtrail")
    stopped = client.stop_logging(Name=TRAIL)
    client.start_logging(Name=TRAIL)
    assert world.sandbox.idle(60)
    return str(stopped["ResponseMetadata"]["RequestId"])


def posts_of(world: World, request_id: str, service: str) -> list[Any]:
    """The POSTs that told of it, the oldest first."""
    return [
        post
        for post in world.sandbox.inbox.posts
        if post.service == service and request_id in json.dumps(post.payload)
    ]


def told_by_alerts(world: World, request_id: str) -> tuple[Any, Any, str]:
    """What `ctwatch alerts` says of it, of its channel, and of the dead letters."""
    ran = world.run("alerts", "--json", "--since", "30d")
    document = json.loads(ran.out)
    [alert] = [one for one in document["alerts"] if one["request_id"] == request_id]
    return alert["channels"], document["dead_letters"], world.run("alerts").text


def secret_of(world: World, service: str) -> list[str]:
    """What of the webhook's URL is in no other text."""
    parts = re.split(r"[/?&=]", world.sandbox.inbox.webhook_urls[service])
    return [part for part in parts if len(part) > 15]


@pytest.mark.parametrize(("service", "what"), rows("passes"), scope="module")
def test_what_passes_is_tried_again_and_the_alert_arrives(
    world: World, elsewhere: socket.socket, service: str, what: str
) -> None:
    fault = FAULTS[service][what]
    world.sandbox.inbox.answer_with(*misbehave(fault, elsewhere), service=service)
    request_id = strike(world)
    refused, taken = posts_of(world, request_id, service)
    assert (refused.taken, taken.taken) == (fault.status == 200, True)
    waited = (taken.time - refused.time).total_seconds()
    assert waited >= 60 if fault.posts == 1 else True  # by Lambda, or within one run of ours

    [channel], dead, _ = told_by_alerts(world, request_id)
    assert (channel["outcome"], channel["retries"]) == ("delivered", 2 - fault.posts)
    assert dead == []


@pytest.mark.parametrize(("service", "what"), rows("stays"), scope="module")
def test_what_stays_is_kept_in_the_dead_letter_queue_and_told(
    world: World, elsewhere: socket.socket, service: str, what: str
) -> None:
    fault = FAULTS[service][what]
    answer = misbehave(fault, elsewhere)
    world.sandbox.inbox.break_down(*answer, service=service, when_asked=fault.when_asked)
    request_id = strike(world)
    tries = posts_of(world, request_id, service)
    assert len(tries) == 3 * fault.posts  # Lambda's three runs: nothing is hammered
    first_of_each = [post.time for post in tries[:: fault.posts]]
    gaps = [(b - a).total_seconds() for a, b in pairwise(first_of_each)]
    assert gaps[0] >= 60
    assert gaps[1] >= 120

    letter = dead_letter(world)
    assert request_id in letter["requestPayload"]["Records"][0]["Sns"]["Message"]
    assert fault.says in letter["responsePayload"]["errorMessage"]
    [channel], [dead], shown = told_by_alerts(world, request_id)
    assert (channel["outcome"], channel["retries"]) == ("failed", 2)
    assert fault.says in channel["error"]
    assert (dead["queue"], dead["messages"]) == (DEAD, 1)
    assert f"{service} failed" in shown

    ran = world.run("status", "--json")
    found = json.loads(ran.out)
    assert (found["verdict"], ran.code) == (fault.verdict, 3)
    hops = {one["hop"]: one for one in found["hops"]}
    waits = hops["undelivered"]["warnings"][0]["sentence"]
    assert "1 alert that could not be delivered waits there" in waits
    missed = hops[service]["faults"][-1]["sentence"]
    assert missed.startswith(f"{service}: the last alert did not arrive: ")
    assert fault.says in missed
    said = json.dumps([letter, channel]) + shown + ran.text
    assert [part for part in secret_of(world, service) if part in said] == []

    world.sandbox.inbox.mend(service)
    strike(world)
    assert letters(world), "what was missed is still there to be read"
    ran = world.run("status")
    assert (ran.code, "ARMED" in ran.out) == (0, True), ran.text


@pytest.mark.parametrize("service", ["slack"], scope="module")
def test_whoever_has_emptied_the_queue_has_done_with_it(world: World, service: str) -> None:
    world.sandbox.inbox.break_down(404, "no_service", service=service)
    strike(world)
    ran = world.run("up")
    assert (ran.code, "MUTE" in ran.err) == (0, True), ran.text
    assert "To prove it now: ctwatch simulate all" in ran.err
    world.client("sqs").purge_queue(QueueUrl=_queue(world))
    ran = world.run("status")
    assert (ran.code, "ARMED" in ran.out) == (0, True), ran.text


@pytest.mark.parametrize("service", ["slack"], scope="module")
def test_beside_another_channel_one_that_missed_an_alert_is_half_the_alarm(
    fast: World, service: str
) -> None:
    fast.use({**PLAIN, "topic": {}, "channels": [_channel("discord"), _channel(service)]})
    assert fast.run("up").code == 0
    fast.sandbox.inbox.break_down(500, "rollup_error", service=service)
    strike(fast)
    ran = fast.run("status", "--json")
    assert (json.loads(ran.out)["verdict"], ran.code) == ("DEGRADED", 3)
    fast.sandbox.inbox.mend(service)


@pytest.mark.exhaustive
def test_whose_log_may_not_be_read_nobody_knows_of(fast: World) -> None:
    """Only while alerts lie in the queue, which somebody else has found to be so."""
    fast.use({**PLAIN, "topic": {}, "channels": [_channel("slack")]})
    assert fast.run("up").code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "refuse", _unread)
        assert fast.run("status").code == 0
        fast.client("sqs").send_message(QueueUrl=_queue(fast), MessageBody="an alert")
        ran = fast.run("status", "--json")
    assert (json.loads(ran.out)["verdict"], ran.code) == ("UNKNOWN", 1)
    assert "FilterLogEvents" in ran.out


def _unread(_: str, call: str, __: Mapping[str, Any]) -> tuple[str, str] | None:
    return ("AccessDeniedException", "not allowed") if call == "FilterLogEvents" else None


def letters(world: World) -> list[Any]:
    """What lies in the dead-letter queue, and stays there."""
    answer = world.client("sqs").receive_message(
        QueueUrl=_queue(world), MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    return list(answer.get("Messages", []))


def dead_letter(world: World) -> Any:
    """The only one that there is."""
    [message] = letters(world)
    return json.loads(message["Body"])


@pytest.mark.exhaustive
def test_beside_a_mail_a_deleted_webhook_is_half_the_alarm(fast: World) -> None:
    fast.use(PLAIN)
    assert fast.run("up").code == 0
    fast.click()
    fault = _OF_DISCORD["404 deleted"]
    fast.sandbox.inbox.break_down(fault.status, fault.body)
    request_id = strike(fast)
    assert [one for one in fast.sandbox.inbox.mails if request_id in one.text]
    assert request_id in json.dumps(dead_letter(fast))
    ran = fast.run("status", "--json")
    assert (json.loads(ran.out)["verdict"], ran.code) == ("DEGRADED", 3)


def test_the_readme_counts_them() -> None:
    [row] = [
        line for line in README.read_text("utf-8").splitlines() if "misbehaving webhook" in line
    ]
    tried, survived, told, lost = (int(cell) for cell in row.strip("| ").split("|")[1:])
    assert (tried, survived, told, lost) == (2 * len(ROWS), len(ROWS), len(ROWS), 0)
