"""A function's log lines in CloudWatch Logs, if its group and its role let them in."""

import contextlib
import math
import threading
from datetime import datetime
from typing import Any

from ctwatch.sandbox.calls import Hop, World
from ctwatch.sandbox.containers import Outcome
from ctwatch.sandbox.faults import Undeliverable, translated
from ctwatch.sandbox.roles import Held, Roles


class FunctionLogs:
    """The log groups of functions."""

    def __init__(self, world: World, roles: Roles) -> None:
        self._world = world
        self._roles = roles
        self._lock = threading.Lock()

    def write(
        self,
        config: dict[str, Any],
        stream: str,
        request_id: str,
        began: datetime,
        outcome: Outcome,
    ) -> None:
        """Write what an invocation logged, and tell whether that was let in.

        Lambda writes with the role's permissions and loses silently what they do not allow.
        https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
        """
        group, ok = group_of(config), True
        said = f"written to {group}"
        lines = _timed(config, request_id, began, outcome, self._world.clock.now())
        try:
            with translated():
                self._put(config, group, stream, lines)
        except Undeliverable as error:
            ok, said = False, f"lost: {error.message}"
        self._world.tell(Hop(self._world.clock.now(), "log", config["FunctionName"], ok, said))

    def _put(
        self, config: dict[str, Any], group: str, stream: str, lines: list[tuple[int, str]]
    ) -> None:
        if not stream:
            raise Undeliverable("NO_RESOURCE", "the function never started")
        logs = self._world.client("logs", config["Region"])
        arn = f"arn:aws:logs:{config['Region']}:{self._world.account}:log-group:{group}"
        held = self._roles.held(config["Role"])
        with self._lock:  # two first invocations would both make the group
            if not self._made_stream(logs, held, group, stream, arn):
                _need(held, "logs:CreateLogGroup", arn, f"there is no log group {group} and ")
                logs.create_log_group(logGroupName=group)
                self._made_stream(logs, held, group, stream, arn)
        _need(held, "logs:PutLogEvents", f"{arn}:log-stream:{stream}")
        events = [{"timestamp": stamp, "message": line} for stamp, line in lines]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def _made_stream(self, logs: Any, held: Held, group: str, stream: str, arn: str) -> bool:
        """Make the stream unless it is there; False when there is no group for it."""
        found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        if group not in [one["logGroupName"] for one in found]:
            return False
        _need(held, "logs:CreateLogStream", f"{arn}:log-stream:{stream}")
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
        return True


def _need(held: Held, action: str, arn: str, why: str = "") -> None:
    if not held.may(action, arn).allowed:
        role = held.arn.rsplit("/", 1)[-1]
        raise Undeliverable("NO_PERMISSIONS", f"{why}role {role} may not {action}")


def group_of(config: dict[str, Any]) -> str:
    """The log group of a function: its default, for moto keeps no other."""
    return f"/aws/lambda/{config['FunctionName']}"


def tail(config: dict[str, Any], request_id: str, outcome: Outcome) -> str:
    """What an invocation logged, as `LogType=Tail` answers it."""
    first, lines, last = _lines(config, request_id, outcome)
    return "\n".join([first, *lines, *last]) + "\n"


def _timed(
    config: dict[str, Any], request_id: str, began: datetime, outcome: Outcome, ended: datetime
) -> list[tuple[int, str]]:
    first, lines, last = _lines(config, request_id, outcome)
    start, end = int(began.timestamp() * 1000), int(ended.timestamp() * 1000)
    return [(start, first), *((end, line) for line in [*lines, *last])]


def _lines(
    config: dict[str, Any], request_id: str, outcome: Outcome
) -> tuple[str, list[str], list[str]]:
    duration = outcome.seconds * 1000
    init, memory = outcome.init_seconds, config.get("MemorySize", 128)
    report = (
        f"REPORT RequestId: {request_id}\tDuration: {duration:.2f} ms"
        f"\tBilled Duration: {math.ceil(duration)} ms\tMemory Size: {memory} MB"
        f"\tMax Memory Used: {memory} MB"
    )
    if init is not None:
        report += f"\tInit Duration: {init * 1000:.2f} ms"
    printed = [line for line in outcome.output if line]
    return (
        f"START RequestId: {request_id} Version: $LATEST",
        printed + ([_error(outcome)] if outcome.error else []),
        [f"END RequestId: {request_id}", report],
    )


def _error(outcome: Outcome) -> str:
    error = outcome.error or {}
    first = f"[ERROR] {error['errorType']}: {error['errorMessage']}"
    stack = error.get("stackTrace") or []
    return "\n".join([first, "Traceback (most recent call last):", *stack]) if stack else first
