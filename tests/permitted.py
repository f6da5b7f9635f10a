"""Every command that a test runs is judged by the policy that `ctwatch policy` prints for it.

`lead` (in `shared_clients`) has each command and each client of ctwatch pass by here. What a call
asks of IAM is told by the sandbox from its operation and its parameters, whatever ctwatch says of
itself, and the sandbox's own policy engine asks the printed documents. What they do not let through
fails the test that made the command call it.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from moto.cloudtrail.models import cloudtrail_backends

from ctwatch.aws import Place
from ctwatch.blows import On
from ctwatch.cli import cli
from ctwatch.config import Config, load
from ctwatch.existing import ExistingTrail
from ctwatch.policy import COMMANDS, policy, subject
from ctwatch.resources.base import TAG
from ctwatch.sandbox import belongings, policies
from ctwatch.sandbox.asking import BESIDE, Asked, asked, withheld
from ctwatch.sandbox.calls import Call
from ctwatch.sandbox.cloud import bucket_region
from ctwatch.techniques import DECOY, TECHNIQUES, Probe

ACCOUNT = "123456789012"


BLOWS = {(one.service, one.operation) for one in TECHNIQUES.values() if isinstance(one, Probe)}
"""The calls of the probes."""


def made(service: str, operation: str, params: Mapping[str, Any], region: str) -> Call:
    """A call as a client makes it."""
    now = datetime.now(UTC)
    return Call(service, operation, region, ACCOUNT, "", {**params}, "", "127.0.0.1", now, "")


def key_of(call: Call) -> tuple[Any, ...]:
    """The same for calls of which IAM is asked the same; () where that may not be so."""
    operation = f"{call.service}:{call.operation}"
    hangs = operation in BESIDE or call.service == "kms" or "ResourceIdList" in call.params
    told = (one for one in call.params.values() if isinstance(one, str))
    objects = call.params.get("Delete", {}).get("Objects", []) if call.service == "s3" else []
    versions = {"VersionId" in one for one in objects}
    return () if hangs else (operation, call.region, *told, *sorted(versions))


def all_asked(call: Call) -> list[Asked]:
    """All that IAM is asked for a call, with what it may be answered without."""
    beside = withheld(call)
    return [*asked(call), *([beside] if beside else [])]


@dataclass
class Judge:
    """The policy of one command, what was asked of it, and what it did not let through.

    Attributes:
        arguments: of the command.
        without: an action that is taken out of the policy.
        refusing: whether what it does not let through is refused, as AWS would.
    """

    arguments: Sequence[str]
    without: str = ""
    refusing: bool = False
    used: set[str] = field(default_factory=set)
    outside: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        return "plan" if "--dry-run" in self.arguments else self.arguments[0]

    @cached_property
    def policies(self) -> "Policies":
        option = {one: self.arguments[at + 1] for at, one in enumerate(self.arguments[:-1])}
        path = option.get("--config", option.get("-c", os.environ.get("CTWATCH_CONFIG")))
        data = "--delete-logs" in self.arguments
        file = Path(path or "config.yaml")
        region = None if self.command == "history" else option.get("--region")  # there, of records
        on = "trail" if "--heal" in self.arguments else option.get("--on", "probe")
        extent = {
            "command": self.command,
            "data": data,
            "on": On(on),
            "logs": "--logs" in self.arguments or "bucket" in self.arguments,
            "with_athena": "athena" in self.arguments,
        }
        existing = existing_of(configured(file, text := file.read_text("utf-8"), region))
        return printed(file, text, region, existing, **extent)

    def lets(self, one: Asked) -> bool:
        if one.action == self.without:
            return False
        if self.policies.let(one):
            return True
        tags = belongings.tags(ACCOUNT, one.arn)
        if TAG not in tags:
            return False
        tag = (f"aws:ResourceTag/{TAG}", tags[TAG])
        return self.policies.let(replace(one, context=(*one.context, tag)))

    def sees(self, call: Call) -> str:
        """What of a call it does not let through; "" where all of it is."""
        key = key_of(call)
        if not self.without and key in self.policies.passed:
            self.used |= self.policies.passed[key]
            return ""
        asks = all_asked(call)
        for one in asks:
            self.used.add(one.action)
            # A blow at a decoy may be denied: CloudTrail records it all the same.
            struck = (call.service, call.operation) in BLOWS and DECOY in str(call.params)
            if not self.lets(one) and not struck:
                self.outside.append(f"{one.action} on {one.arn}")
                return one.action
        if key and all(map(self.policies.let, asks)):  # whatever tags there are
            self.policies.passed[key] = {one.action for one in asks}
        return ""


class Policies:
    """Printed policies, which are asked the same over and over."""

    def __init__(self, documents: Sequence[dict[str, Any]]) -> None:
        self.documents = documents
        self.known: dict[Asked, bool] = {}
        self.passed: dict[tuple[Any, ...], set[str]] = {}

    def let(self, one: Asked) -> bool:
        if one not in self.known:
            self.known[one] = allowed(self.documents, one.action, one.arn, dict(one.context))
        return self.known[one]


def allowed(
    documents: Sequence[dict[str, Any]], action: str, arn: str, context: Mapping[str, str]
) -> bool:
    return policies.explain_identity(
        documents, action=action, resource=arn, context=context
    ).allowed


@cache
def configured(path: Path, text: str, region: str | None) -> Config:
    """A config by what stands in it now."""
    del text
    config = load(path)
    return config.with_region(region) if region else config


@cache
def printed(
    path: Path, text: str, region: str | None, existing: ExistingTrail | None, **extent: Any
) -> Policies:
    """The policies of a command for a config."""
    config = configured(path, text, region)
    place = Place("aws", ACCOUNT, config.region)
    command = extent.pop("command")
    return Policies(policy(command, subject(config, place, existing, **extent)))


def existing_of(config: Config) -> ExistingTrail | None:
    """The trail that a config calls existing, as AWS would tell of it; the one at home first."""
    wish, home = config.trail.existing, config.region
    if wish is None:
        return None
    regions = sorted(cloudtrail_backends[ACCOUNT], key=lambda one: one != home)
    for one in (
        trail for at in regions for trail in cloudtrail_backends[ACCOUNT][at].trails.values()
    ):
        if wish in {one.arn, one.trail_name}:
            where = bucket_region(ACCOUNT, f"arn:aws:s3:::{one.bucket_name}") or ""
            return ExistingTrail(one.arn, one.bucket_name, where, kms=one.kms_key_id or None)
    named = f"arn:aws:cloudtrail:{home}:{ACCOUNT}:trail/{wish}"
    return ExistingTrail(wish if wish.startswith("arn:") else named, bucket="*")


CURRENT: list[Judge] = []
"""The commands that run now."""


def listen(session: Any) -> None:
    """Have the calls of a session's clients judged by the command that runs."""

    def before(params: Mapping[str, Any], model: Any, context: Any, **_: Any) -> None:
        if not CURRENT:
            return
        call = made(model.service_model.service_name, model.name, params, context["client_region"])
        for judge in CURRENT:
            denied = judge.sees(call)
            context["denied"] = denied if judge.refusing else ""

    def refused(context: Any, **_: Any) -> tuple[AWSResponse, Any] | None:
        if not context.get("denied"):
            return None
        said = f"User is not authorized to perform: {context['denied']}"
        error = {"Code": "AccessDenied", "Message": said}
        return AWSResponse("", 403, {}, None), {"Error": error, "ResponseMetadata": {}}

    session.events.register_last("before-parameter-build", before, unique_id="judge")
    session.events.register_first("before-call", refused, unique_id="judge refuses")


@contextmanager
def judged(judge: Judge) -> Iterator[Judge]:
    """While this lasts, the calls that are made are judged."""
    CURRENT.append(judge)
    try:
        yield judge
    finally:
        CURRENT.remove(judge)


def judging(patch: pytest.MonkeyPatch) -> None:
    """Have every command judged that is run from here on."""
    run = cli.main

    def main(arguments: Sequence[str] | None = None, **given: Any) -> Any:
        command = next(iter(arguments or ()), "")
        if command not in COMMANDS or CURRENT:
            return run(arguments, **given)
        with judged(Judge(list(arguments or ()))) as judge:
            answer = run(arguments, **given)
        said = f"ctwatch {judge.command} called what ctwatch policy does not allow it"
        assert not judge.outside, f"{said}: {', '.join(sorted(set(judge.outside)))}"
        return answer

    patch.setattr("ctwatch.cli.cli.main", main)
