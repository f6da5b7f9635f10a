"""Watches for the laws and the sabotage: their configs, their plans, and a sandbox to hold them."""

import io
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from botocore.awsrequest import AWSResponse
from needles import needles
from shared_clients import hand, lead, past_sockets, sharing

from ctwatch.aws import Place
from ctwatch.cli import main
from ctwatch.config import parse
from ctwatch.demo import confirmation_link, follow
from ctwatch.opening import Choice, Opened, opened
from ctwatch.resources.base import Resource
from ctwatch.sandbox.server import Sandbox
from ctwatch.watch import Watch, plan

ADDRESS = "security@example.com"
PLACE = Place("aws", "123456789012", "ap-northeast-2")
HOOK = "http://127.0.0.1:1/api/webhooks/1/planned"

ENABLED = ("ap-northeast-1", "ap-northeast-2", "eu-west-1", "sa-east-1", "us-east-1")
"""The regions of a world's account: fewer than most have, as `down` looks into each."""

DISCORD = [{"type": "discord", "url": "env:DISCORD_WEBHOOK_URL"}]
PLAIN: dict[str, Any] = {
    "topic": {"emails": [ADDRESS]},
    "channels": DISCORD,
    "alerts": {"language": "en"},
}
RICH = {
    **PLAIN,
    "name": "guard",
    "region": "us-east-1",
    "bucket": {"name": "logs-{account}", "lifecycle": {"expire_days": 400, "archive_days": 90}},
    "trail": {
        "name": "trail-a",
        "insights": ["api-call-rate", "api-error-rate"],
        "kms": "create",
        "cloudwatch_logs": True,
        "delivery_notifications": True,
    },
    "topic": {"emails": [ADDRESS, "second@example.com"], "kms": "create"},
    "function": {"name": "notify-{region}", "runtime": "python3.12", "architecture": "arm64"},
    "rules": [
        {"name": "rule-a", "detection": "trail-tampering"},
        {"name": "rule-b", "detection": "trail-tampering"},
        {"name": "rule-c", "detection": "log-object-deletion"},
        {"name": "rule-d", "detection": "log-key-tampering"},
    ],
    "tags": {"team": "security", "비용": "1234"},
}
MAIL_ONLY: dict[str, Any] = {"topic": {"emails": [ADDRESS]}, "channels": []}
WEBHOOK_ONLY = {"channels": DISCORD}
ELSEWHERE = {
    **PLAIN,
    "rules": [
        {"name": "root-login", "detection": "root-login"},
        {"name": "assume-role", "detection": "assume-role"},
    ],
}
PLAIN_SECRET = {**PLAIN, "function": {"secret": "env"}}

EVERY_CHANNEL: dict[str, Any] = {
    "channels": [
        *DISCORD,
        {"type": "slack", "url": "env:SLACK_WEBHOOK_URL", "min_severity": "high"},
        {"type": "teams", "url": "env:TEAMS_WEBHOOK_URL", "only": ["trail-tampering"]},
        {"type": "webhook", "url": "env:WEBHOOK_URL", "name": "program"},
    ]
}

CONFIGS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "rich": RICH,
    "mail only": MAIL_ONLY,
    "webhook only, direct": {**WEBHOOK_ONLY, "route": "direct"},
    "elsewhere": {**ELSEWHERE, "regions": ["eu-west-1"]},
    "secret in the environment": PLAIN_SECRET,
    "every channel, formatted": {**EVERY_CHANNEL, "route": "formatted"},
}


def planned(config: Mapping[str, Any], hook: str | None = HOOK) -> Watch:
    """The watch of a config as it would be planned, without any AWS."""
    filled = parse(config).filled(account=PLACE.account)
    return plan(filled, PLACE, {one.name: hook for one in filled.channels})


@dataclass(frozen=True)
class Ran:
    """A command that ran: its exit code, and what it printed, white space folded."""

    code: int
    out: str
    err: str
    err_lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.out} {self.err}"


Answer = tuple[str, str]
"""AWS's error code and message."""


def hurry(patch: pytest.MonkeyPatch) -> None:
    """The event history is asked at AWS's pace, which this sandbox does not count."""
    patch.setattr("ctwatch.history.lookup._TURN", 0.0)


@dataclass
class World:
    """A sandbox that this process's AWS clients are led to, a config, and a wire to cut."""

    sandbox: Sandbox
    config: Path
    refuse: Callable[[str, str, Mapping[str, Any]], Answer | None] = lambda *_: None
    refused: list[str] = field(default_factory=list)
    spoil: Callable[[str, str, Any], None] = lambda *_: None
    clients: dict[tuple[str, str | None], Any] = field(default_factory=dict)

    def use(self, config: Mapping[str, Any]) -> None:
        """An empty account and another config."""
        self.sandbox._delivery.reset()  # retries of what is gone now are not waited for
        self.sandbox.reset()
        self.config.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")

    def open(self) -> Opened:
        return opened(Choice(self.config), need_secrets=True)

    def run(self, *arguments: str) -> Ran:
        """Run a ctwatch command as a user would, on a screen so wide that no line breaks.

        Whatever goes wrong: none tells a webhook.
        """
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main([*arguments, "--config", str(self.config)])
        told = f"{out.getvalue()}{err.getvalue()}"
        hooks = self.sandbox.inbox.webhook_urls.values()
        assert not [one for hook in hooks for one in needles(hook) if one in told]
        lines = tuple(" ".join(line.split()) for line in err.getvalue().splitlines())
        return Ran(code, _folded(out), _folded(err), lines)

    def client(self, service: str, region: str | None = None) -> Any:
        """A client of the hand's: whatever is cut, it is not."""
        key = service, region
        if key not in self.clients:
            self.clients[key] = hand().client(service, region_name=region)
        return self.clients[key]

    def settle(self) -> None:
        """Wait for all that is under way; what is due in minutes, such as a retry, is dropped."""
        work, end = self.sandbox._delivery._work, time.monotonic() + 20
        while work._running and time.monotonic() < end:
            time.sleep(0.01)
        assert not work._running
        work.drop(lambda: None)

    def click(self) -> None:
        """Do what the people do with their newest confirmation mails."""
        self.settle()
        newest = {mail.to: mail for mail in self.sandbox.inbox.mails if "/confirm?" in mail.text}
        for mail in newest.values():
            follow(confirmation_link(mail))


def _folded(text: io.StringIO) -> str:
    return " ".join(text.getvalue().split())


W = TypeVar("W", bound=World)


@contextmanager
def world_of(
    sandbox: Sandbox,
    folder: Path,
    kind: type[W] = World,
    through: Callable[[Sandbox], Callable[[Any], None]] = past_sockets,
) -> Iterator[W]:
    """Lead this process's AWS clients to `sandbox`, and let the test cut the wire.

    `through` is the wire: it prepares a session so that its clients reach the sandbox.
    """
    world = kind(sandbox, folder / "config.yaml")

    def before(model: Any, params: Mapping[str, Any], **_: Any) -> tuple[Any, Any] | None:
        service = model.service_model.service_name
        refusal = world.refuse(service, model.name, params)
        if refusal is None:
            return None
        world.refused.append(f"{service}:{model.name}")
        code, message = refusal
        answer = AWSResponse("", 403, {}, None)
        metadata = {"RequestId": str(uuid.uuid4()), "HTTPStatusCode": 403}
        return answer, {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}

    def after(model: Any, parsed: Any, **_: Any) -> None:
        world.spoil(model.service_model.service_name, model.name, parsed)

    straight_on = through(sandbox)

    def wire(session: Any) -> None:
        session.events.register("before-call", before, unique_id="wire")
        session.events.register("after-call", after, unique_id="spoil")
        straight_on(session)

    with pytest.MonkeyPatch.context() as patch:
        for name in [*sandbox.unset(), "NO_COLOR", "FORCE_COLOR", "CTWATCH_CONFIG"]:
            patch.delenv(name, raising=False)
        for name, value in {**sandbox.env(), "COLUMNS": "1000", "LANG": "C.UTF-8"}.items():
            patch.setenv(name, value)
        lead(patch, sharing(wire))
        patch.setattr("ctwatch.sandbox.server._BY_DEFAULT", ENABLED)
        hurry(patch)
        yield world


@contextmanager
def answering(client: Any, call: str, change: Callable[[Any], Any]) -> Iterator[None]:
    """Let AWS answer one operation otherwise."""
    events, name = client.meta.events, f"after-call.{call}"
    events.register(name, lambda parsed, **_: change(parsed), unique_id=name)
    try:
        yield
    finally:
        events.unregister(name, unique_id=name)


def leaning(on: Resource, resources: list[Resource]) -> set[Resource]:
    """Everything that leans on a resource, also by way of others."""
    found: set[Resource] = set()
    grown = True
    while grown:
        more = {one for one in resources if {on, *found} & set(one.needs)} - found
        grown = bool(more)
        found |= more
    return found
