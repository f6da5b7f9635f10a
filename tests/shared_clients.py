"""AWS clients that the runs of a command share: making them anew is a third of what they cost.

A client keeps nothing of a run. Whatever decides how it is made (service, region, settings,
profile, and the AWS variables of the environment, with them the sandbox that it leads to) makes
another one.

They reach the sandbox without a socket and without a true signature, which it does not look at.
That its server answers just so is for the tests whose clients have both: those of the front, of the
command, and of the story.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from functools import cache
from typing import Any, ClassVar, cast

import boto3
import coverage
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.session import Session
from permitted import judging, listen

from ctwatch import aws
from ctwatch.sandbox.cloud import straight, unproven
from ctwatch.sandbox.server import Sandbox
from ctwatch.sandbox.wire import Answer


@cache
def hand() -> boto3.session.Session:
    """One session for all who do something by hand: each new one reads botocore's files again."""
    return boto3.session.Session()


def past_sockets(sandbox: Sandbox) -> Callable[[Any], None]:
    """Prepares a session so that its clients reach `sandbox` for a third less of CPU."""
    ask = straight(without_socket(sandbox))

    def before_send(request: Any, **_: Any) -> AWSResponse | None:
        """None for another endpoint: botocore goes there itself."""
        return ask(request) if request.url.startswith(f"{sandbox.url}/") else None

    def prepare(session: Any) -> None:
        # botocore's own code is not measured, and what is called from there would not be either.
        if not coverage.Coverage.current():
            session.events.register("choose-signer", unproven, unique_id="unproven")
            session.events.register("before-send", before_send, unique_id="past sockets")

    return prepare


def without_socket(sandbox: Sandbox) -> Callable[[Mapping[str, Any], bytes], Answer]:
    """The sandbox's answers as its server would send them."""

    def send(environ: Mapping[str, Any], body: bytes) -> Answer:
        answer = sandbox._answer(dict(environ), body)
        date = formatdate(time.time() + sandbox.clock.ahead, usegmt=True)
        return replace(answer, headers={**answer.headers, "Date": date})

    return send


def by_hand(sandbox: Sandbox) -> Callable[..., Any]:
    """Clients for who calls `sandbox` himself, by service, region, and whose key it is."""
    session, env = boto3.session.Session(), sandbox.env()
    past_sockets(sandbox)(session)
    once = Config(retries={"total_max_attempts": 1})

    @cache
    def client(service: str, region: str = sandbox.region, key: str = "") -> Any:
        return quick(
            session.client(
                cast("Any", service),
                region_name=region,
                endpoint_url=sandbox.url,
                aws_access_key_id=key or env["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
                config=once,
            )
        )

    return client


def _variables() -> frozenset[tuple[str, str]]:
    return frozenset(one for one in os.environ.items() if one[0].startswith("AWS_"))


def lead(patch: pytest.MonkeyPatch, shared: type[Session]) -> None:
    """Let ctwatch make its clients by `shared`, of which runs of one account share the session."""
    make, known = cast("Any", aws)._session, cast("Any", shared).sessions

    def session(profile: str | None, region: str) -> Session:
        key = (profile, region, _variables())
        if key not in known:
            known[key] = make(profile, region)
        return known[key]

    patch.setattr("ctwatch.aws.Session", shared)
    patch.setattr("ctwatch.aws._session", session)
    patch.setattr("ctwatch.verbs.down._YOUNG", 0.0)  # all is shown at once, but by a slow sandbox
    judging(patch)


class Emitting(Session):
    """A session of botocore's whose events have the name that boto3 gives them."""

    @property
    def events(self) -> Any:
        """What its clients' events are registered with."""
        return self.get_component("event_emitter")


def quick(client: Any) -> Any:
    """The client, which finds but once what botocore would put together anew at each call.

    It is what the client says of itself, and the classes of its paginators.
    """
    speaker = client._user_agent_creator
    speaker.to_string = cache(speaker.to_string)
    client.get_paginator = cache(client.get_paginator)
    return client


def sharing(prepare: Callable[["Emitting"], None] = lambda _: None) -> type[Session]:
    """A session of botocore's of which all instances share their clients.

    Args:
        prepare: called with a session before it makes a client.
    """
    made: dict[tuple[Any, ...], Any] = {}

    class Sharing(Emitting):
        sessions: ClassVar[dict[Any, Session]] = {}

        def create_client(self, service_name: Any, **named: Any) -> Any:
            region, config = named["region_name"], named["config"]
            key = (service_name, region, id(config), self.profile, _variables())
            if key not in made:
                prepare(self)
                listen(self)
                made[key] = quick(super().create_client(service_name, **named))
            return made[key]

    return Sharing
