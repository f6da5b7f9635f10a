"""The words the sandbox's parts speak to each other: a call, its answer, a refusal, a hop."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, Self

from ctwatch.clock import Clock


@dataclass(frozen=True)
class Call:
    """One API call as it came over the wire.

    Attributes:
        service: botocore's service name ("cloudtrail", "lambda").
        operation: the API operation ("StopLogging").
        params: the input in botocore's shape (blobs as bytes).
        time: when it came in, in UTC.
    """

    service: str
    operation: str
    region: str
    account: str
    access_key: str
    params: dict[str, Any]
    user_agent: str
    source_ip: str
    time: datetime
    request_id: str

    def but(self, **params: Any) -> Self:
        """The same call with some parameters changed."""
        return replace(self, params={**self.params, **params})


class Refusal(Exception):  # noqa: N818 - AWS refuses; that is not an error of ours
    """What AWS would answer instead: its own code, message and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True)
class Hop:
    """One step of an event's journey, as the sandbox tells it.

    Attributes:
        time: when, in UTC.
        stage: "call", "record", "rule", "topic", "mail", "queue", "function", "log", "webhook",
            "delay".
        subject: the thing it happened at (a name, not an ARN).
        ok: whether it went on from here.
        text: what happened; when not ok, what AWS would have done and why.
    """

    time: datetime
    stage: str
    subject: str
    ok: bool
    text: str
    extra: dict[str, Any] = field(default_factory=dict)


class Account(Protocol):
    """What is in the account, seen past everything else."""

    account: str

    def client(self, service: str, region: str) -> Any:
        """A boto3 client that reaches moto past checks, records and delivery."""


class Counting(Protocol):
    """What CloudWatch will know: `metrics.Metrics`."""

    def count(self, namespace: str, metric: str, arn: str) -> None:
        """Add one to a metric of what an ARN names."""


class World(Account, Protocol):
    """What every part of the sandbox may lean on."""

    region: str
    clock: Clock
    url: str
    metrics: Counting

    def credentials(self, role_arn: str, session: str) -> dict[str, str]:
        """The `AWS_*` variables of a session of that role, endpoint and region included."""

    def tell(self, hop: Hop) -> None:
        """Add a line to the story."""


Forward = Callable[[Call], dict[str, Any]]
"""Sends a call on to moto; returns its output in botocore's shape or raises `Refusal`."""

Handler = Callable[[Call, Forward], dict[str, Any]]
"""Answers one operation in AWS's stead; returns botocore's output shape or raises `Refusal`."""
