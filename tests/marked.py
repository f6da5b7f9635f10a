"""A secret that occurs nowhere else, and where it might turn up: what is said, kept and run.

What is looked for is the token of a webhook, its beginning alone, and what an encoding makes of it:
whoever finds a half of it has found too much.
"""

import gzip
import io
import json
import logging
import os
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pytest
from needles import needles
from shared_clients import past_sockets
from watch_world import EVERY_CHANNEL, PLAIN, PLAIN_SECRET, RICH, World, world_of

from ctwatch import cli
from ctwatch.clock import Clock
from ctwatch.demo import _Story, confirmation_link
from ctwatch.findings import Finding, Step
from ctwatch.render import Screen
from ctwatch.sandbox.server import Sandbox

EVERY = (
    *("plan", "plan --json", "up -v", "confirm LINK", "up --json", "plan -v --json"),
    *("status -v", "status --json", "status --logs", "simulate stop-logging"),
    "simulate stop-logging --on canary --json",
    *("simulate stop-logging --on trail --yes", "simulate --heal", "simulate --list"),
    *("alerts", "alerts --json", "policy", "detections", "detections --lint"),
    *("history --since 2h", "history --since 2h --json", "history --from bucket --since 2h"),
    *("history ask root --since 2h", "history ask gaps --from bucket --since 2h"),
    "policy --scp --except arn:aws:iam::123456789012:role/a",
    "down --yes --wait 0 --delete-logs",
)
"""Every command that looks at a watch, in the order of its life; LINK is the newest mail's."""

MAILS = {"topic": PLAIN["topic"]}
KINDS: dict[str, dict[str, Any]] = {
    "kept by SSM": PLAIN,
    "in the environment": PLAIN_SECRET,
    "every channel": {**RICH, **EVERY_CHANNEL},
    "formatted": {**EVERY_CHANNEL, **MAILS, "route": "formatted"},
}
"""Every kind of keeping a secret, and of telling it on."""


class Witness:
    """Hears all that ctwatch says by the ways that a test's own redirection does not."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @contextmanager
    def listening(self) -> Iterator[Self]:
        """Keep each complaint with its chain, and each record of the loggers of ours."""
        handler = logging.Handler(logging.DEBUG)
        handler.emit = lambda record: self.heard.append(  # type: ignore[method-assign]
            f"{record.getMessage()} {logging.Formatter().format(record)}"
        )
        ours, level = logging.getLogger("ctwatch"), logging.getLogger("ctwatch").level
        ours.addHandler(handler)
        ours.setLevel(logging.DEBUG)
        with pytest.MonkeyPatch.context() as patch:
            for kind in (Step, Finding):
                patch.setattr(kind, "__init__", self._carried(kind.__init__))
            patch.setattr(cli, "_complaint", self._raised(cli._complaint))
            yield self
        ours.setLevel(level)
        ours.removeHandler(handler)

    def _carried(self, init: Callable[..., None]) -> Callable[..., None]:
        """The errors that steps and findings carry."""

        def kept(one: Any, *of: Any, **named: Any) -> None:
            init(one, *of, **named)
            self._hear(one.error)

        return kept

    def _raised(self, complaint: Callable[[Exception], Any]) -> Callable[[Exception], Any]:
        """What a command has failed of, be it told or not."""

        def told(error: Exception) -> Any:
            self._hear(error)
            return complaint(error)

        return told

    def _hear(self, error: Exception | None) -> None:
        if error:
            self.heard.append(f"{vars(error)} {''.join(traceback.format_exception(error))}")


def stored(world: World) -> Iterator[tuple[str, str]]:
    """Everything that is in the account, place and content, but secure strings decrypted."""
    wrote = {one.call.region for one in world.sandbox.calls if one.writes and one.call.region}
    for region in sorted(wrote):
        for service, ask in _KEPT.items():
            client = world.client(service, region)
            for place, answer in ask(client):
                yield f"{region} {service} {place}", json.dumps(answer, default=str)
    yield from _told(world)


def _told(world: World) -> Iterator[tuple[str, str]]:
    """What arrived, what the sandbox narrates, and its own files."""
    sandbox = world.sandbox
    yield "story", "\n".join(map(str, sandbox.story))
    yield "posts", "\n".join(json.dumps(one.payload) for one in sandbox.inbox.posts)
    for path in sandbox.folder.rglob("*"):
        if path.is_file():
            yield path.name, path.read_text("utf-8", "replace")


Found = Iterator[tuple[str, Any]]


def _s3(s3: Any) -> Found:
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        for what in ("policy", "tagging", "lifecycle_configuration", "encryption", "versioning"):
            try:
                yield f"{name} {what}", getattr(s3, f"get_bucket_{what}")(Bucket=name)
            except s3.exceptions.ClientError:
                continue
        for one in s3.list_object_versions(Bucket=name).get("Versions", []):
            got = s3.get_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"])
            body = got.pop("Body").read()
            text = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
            yield one["Key"], [got, text.decode("utf-8", "replace")]


def _cloudtrail(cloudtrail: Any) -> Found:
    for trail in cloudtrail.describe_trails()["trailList"]:
        name = trail["TrailARN"]
        yield name, [trail, cloudtrail.get_trail_status(Name=name)]
        yield name, cloudtrail.list_tags(ResourceIdList=[name])
    yield "history", [*cloudtrail.get_paginator("lookup_events").paginate()]


def _sns(sns: Any) -> Found:
    for topic in sns.list_topics()["Topics"]:
        arn = topic["TopicArn"]
        yield arn, sns.get_topic_attributes(TopicArn=arn)
        yield arn, sns.list_tags_for_resource(ResourceArn=arn)
        yield arn, sns.list_subscriptions_by_topic(TopicArn=arn)


def _sqs(sqs: Any) -> Found:
    for url in sqs.list_queues().get("QueueUrls", []):
        yield url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        yield url, sqs.list_queue_tags(QueueUrl=url)
        ask = {"MaxNumberOfMessages": 10, "VisibilityTimeout": 0, "WaitTimeSeconds": 0}
        named = {"AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
        yield url, [sqs.receive_message(QueueUrl=url, **ask, **named) for _ in range(3)]


def _lambda(functions: Any) -> Found:
    for one in functions.list_functions()["Functions"]:
        name = one["FunctionName"]
        yield f"{name} environment", one.pop("Environment", None)
        got = functions.get_function(FunctionName=name)
        got["Configuration"].pop("Environment", None)
        yield name, [one, got]
        for what in ("policy", "function_event_invoke_config"):
            try:
                yield f"{name} {what}", getattr(functions, f"get_{what}")(FunctionName=name)
            except functions.exceptions.ResourceNotFoundException:
                continue


def _iam(iam: Any) -> Found:
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        yield name, [role, iam.list_role_tags(RoleName=name)]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            yield name, iam.get_role_policy(RoleName=name, PolicyName=policy)


def _ssm(ssm: Any) -> Found:
    for one in ssm.describe_parameters()["Parameters"]:
        name = one["Name"]
        yield name, [one, ssm.get_parameter(Name=name), ssm.get_parameter_history(Name=name)]
        yield name, ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)


def _logs(logs: Any) -> Found:
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        yield (
            name,
            [group, logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))],
        )
        yield f"log {name}", logs.filter_log_events(logGroupName=name)["events"]


def _events(events: Any) -> Found:
    for rule in events.list_rules()["Rules"]:
        name = rule["Name"]
        yield name, [rule, events.list_targets_by_rule(Rule=name)]
        yield name, events.list_tags_for_resource(ResourceARN=rule["Arn"])


def _kms(kms: Any) -> Found:
    for one in kms.list_keys()["Keys"]:
        key = one["KeyId"]
        yield (
            key,
            [kms.describe_key(KeyId=key), kms.get_key_policy(KeyId=key, PolicyName="default")],
        )
        yield key, kms.list_resource_tags(KeyId=key)


_KEPT: dict[str, Callable[[Any], Found]] = {
    "s3": _s3,
    "cloudtrail": _cloudtrail,
    "sns": _sns,
    "sqs": _sqs,
    "lambda": _lambda,
    "iam": _iam,
    "ssm": _ssm,
    "logs": _logs,
    "events": _events,
    "kms": _kms,
}


def zips(world: World) -> Iterator[tuple[str, str]]:
    """Every file of every function's zip, and the zip as it is."""
    for (_, name), code in world.sandbox._delivery.functions._code.items():
        yield name, code.decode("latin-1")
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            for one in archive.namelist():
                yield f"{name}/{one}", archive.read(one).decode("latin-1")


def children(of: int) -> Iterator[tuple[str, str]]:
    """What the list of processes tells of those that were started: arguments and environment."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == of:
                for what in ("cmdline", "environ"):
                    yield f"{what} of {entry.name}", (entry / what).read_text("utf-8", "replace")
                yield from children(int(entry.name))
        except OSError:  # it has ended meanwhile
            continue


def leaks(secrets: set[str], *of: Iterator[tuple[str, str]]) -> list[str]:
    """The places whose content gives a secret away."""
    return [place for told in of for place, text in told if any(one in text for one in secrets)]


ECHOES: tuple[Callable[[str], str], ...] = (
    str,
    lambda url: quote(url, safe=""),
    lambda url: json.dumps(url).replace("/", "\\/"),
    lambda url: url[: len(url) - 30],  # what says it cuts it off
    lambda url: url[-40:],
)
"""How somebody repeats a URL that he was sent."""


def own_processes() -> Iterator[tuple[str, str]]:
    """Those of this process's children."""
    return children(os.getpid())


class Told:
    """A world in which everything that is said is kept."""

    def __init__(self, world: World, witness: Witness, in_environment: bool) -> None:
        self.world = world
        self.in_environment = in_environment
        self.witness = witness
        self.secrets = set().union(*map(needles, world.sandbox.inbox.webhook_urls.values()))

    def run(self, line: str) -> int:
        """Run a command; LINK in it stands for the link of the newest confirmation mail."""
        ran = self.world.run(*line.replace("LINK", self._link() if "LINK" in line else "").split())
        self.witness.heard += [f"{line.split(maxsplit=1)[0]}: {ran.text}"]
        return ran.code

    def _link(self) -> str:
        assert self.world.sandbox.idle()
        mails = [one for one in self.world.sandbox.inbox.mails if "/confirm?" in one.text]
        return confirmation_link(mails[-1])

    @property
    def heard(self) -> str:
        return "\n".join(self.witness.heard)

    @property
    def narrated(self) -> str:
        """What `ctwatch sandbox` shows."""
        story: Any = self.world.sandbox._narrate
        return str(story.__self__.screen.err.file.getvalue())

    def said(self) -> Iterator[tuple[str, str]]:
        yield from ((one[:60], one) for one in self.witness.heard)
        yield "narration", self.narrated

    def leaks(self) -> list[str]:
        """All that gives it away, but for the function's environment where that is asked for."""
        found = leaks(self.secrets, self.said(), stored(self.world), zips(self.world))
        return [one for one in found if not (self.in_environment and one.endswith(" environment"))]


@contextmanager
def narrating(
    folder: Path,
    through: Callable[[Sandbox], Callable[[Any], None]] = past_sockets,
    clock: Clock | None = None,
) -> Iterator[World]:
    """A world whose sandbox tells of itself as `ctwatch sandbox` does.

    Args:
        folder: for its config.
        through: the wire to the sandbox.
        clock: the sandbox's; None for that of this machine.
    """
    story = _Story(Screen())
    story.screen.err.file = io.StringIO()
    with (
        Sandbox(narrate=story.tell, clock=clock) as story.sandbox,
        world_of(story.sandbox, folder, through=through) as here,
    ):
        yield here


@contextmanager
def telling(world: World, config: Mapping[str, Any]) -> Iterator[Told]:
    """An empty account, a config, and somebody who hears all."""
    world.refuse = lambda *_: None
    world.refused.clear()
    world.use(config)
    with Witness().listening() as witness:
        yield Told(world, witness, config == PLAIN_SECRET)
