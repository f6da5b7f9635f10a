"""Lambda functions that run: their code, their invocations, what becomes of failed ones.

moto keeps what CreateFunction said; this module keeps the zip, runs it in warm containers, and
does what AWS does round an invocation: throttling, the log group, the two retries of an
asynchronous event, its destination. It does not decide who may invoke but by the function's own
policy, and knows nothing of rules or topics.
"""

import base64
import io
import json
import os
import platform
import secrets
import threading
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from ctwatch.sandbox import policies, resource_policies
from ctwatch.sandbox.calls import Call, Forward, Handler, Hop, Refusal, World
from ctwatch.sandbox.containers import Container, Outcome
from ctwatch.sandbox.faults import Undeliverable, translated
from ctwatch.sandbox.functionlogs import FunctionLogs, group_of, tail
from ctwatch.sandbox.metrics import LAMBDA
from ctwatch.sandbox.queues import Queues
from ctwatch.sandbox.roles import Roles
from ctwatch.sandbox.runtime import LEAPING
from ctwatch.sandbox.work import Work

Config = dict[str, Any]
Publish = Callable[[str, str], None]

_RETRIES, _AGE = 2, 21600
"""Lambda's defaults: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html"""
_BETWEEN = 60.0
_CREATING = {
    "State": "Pending",
    "StateReason": "The function is being created.",
    "StateReasonCode": "Creating",
}
_TAIL = 4096


@dataclass(frozen=True)
class _Event:
    """An asynchronous event in Lambda's own queue."""

    arn: str
    payload: str
    request_id: str
    accepted: datetime
    attempts: int = 0
    throttled: int = 0
    outcome: Outcome | None = None


_SIDE_BY_SIDE = 4
"""Containers at work at once. Lambda starts one for each event that finds none idle; on one machine
that many would only start the later, and the event goes to one that has become warm meanwhile."""


class Functions:
    """The functions of the sandbox.

    Args:
        world: for moto's clients, the clock and the story.
        work: where asynchronous events run.
        queues: for destinations and dead-letter queues.
        roles: what a function's role may do.
        publish: sends a text to a topic, for destinations.
    """

    def __init__(
        self, world: World, work: Work, queues: Queues, roles: Roles, publish: Publish
    ) -> None:
        self._publish = publish
        self._world = world
        self._work = work
        self._queues = queues
        self._roles = roles
        self._logs = FunctionLogs(world, roles)
        self._lock = threading.Lock()
        self._code: dict[tuple[str, str], bytes] = {}
        self._warm: dict[str, list[tuple[str, Container]]] = {}
        self._running: dict[str, int] = {}
        self._busy: set[Container] = set()
        self._room = threading.BoundedSemaphore(_SIDE_BY_SIDE)

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """What this module answers itself."""
        return {
            ("lambda", "CreateFunction"): self._create,
            ("lambda", "UpdateFunctionCode"): self._update_code,
            ("lambda", "DeleteFunction"): self._delete,
            ("lambda", "Invoke"): self._invoke,
        }

    def admit(self, arn: str, principal: str, source_arn: str, **context: str) -> None:
        """Check the function's policy before a service invokes it.

        Args:
            arn: the function's.
            principal: such as "sns.amazonaws.com".
            source_arn: the rule or topic.
            context: further condition keys, such as `SourceAccount`, when the service sends them.

        Raises:
            Undeliverable: no such function or no permission; AWS retries neither.
        """
        region, name = arn.split(":")[3], name_of(arn)
        client = self._world.client("lambda", region)
        with translated():
            config = client.get_function_configuration(FunctionName=name)
        facts = {"aws:SourceArn": source_arn, **{f"aws:{k}": v for k, v in context.items()}}
        decision = policies.explain(
            self._policy(client, name),
            principal=principal,
            action="lambda:InvokeFunction",
            resource=config["FunctionArn"],
            context=facts,
        )
        if not decision.allowed:
            raise Undeliverable(
                "NO_PERMISSIONS",
                f"the policy of function {name} does not let {principal} invoke it: "
                f"{decision.reason} (lambda add-permission with source ARN {source_arn})",
            )

    def accept(self, arn: str, payload: str) -> str:
        """Take an asynchronous event; its request id. It runs at once, elsewhere."""
        event = _Event(arn, payload, str(uuid.uuid4()), self._world.clock.now())
        self._work.start(partial(self._attempt, event))
        return event.request_id

    def drop(self) -> None:
        """End every warm container: the next invocation is a cold start."""
        with self._lock:
            pools, self._warm = self._warm, {}
        for pool in pools.values():
            for _, container in pool:
                container.close()

    def end(self) -> None:
        """End every container, those at work too."""
        with self._lock:
            busy = list(self._busy)
        for container in busy:
            container.kill()
        self.drop()

    def reset(self) -> None:
        """Forget all code and containers."""
        self.drop()
        with self._lock:
            self._code.clear()

    def _create(self, call: Call, forward: Forward) -> dict[str, Any]:
        """Answer that it is still being created, as AWS does: whoever asks next finds it active.

        https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
        """
        code = self._zip(call.params.get("Code") or {}, call)
        answer = forward(call)
        self._keep(call, code)
        return {**answer, **_CREATING}

    def _update_code(self, call: Call, forward: Forward) -> dict[str, Any]:
        code = self._zip(call.params, call)
        answer = forward(call)
        if not call.params.get("DryRun"):
            self._keep(call, code)
        return answer

    def _keep(self, call: Call, code: bytes | None) -> None:
        if code is not None:
            with self._lock:
                self._code[call.region, name_of(call.params["FunctionName"])] = code

    def _delete(self, call: Call, forward: Forward) -> dict[str, Any]:
        answer = forward(call)
        name = name_of(call.params["FunctionName"])
        if not call.params.get("Qualifier"):
            with self._lock:
                self._code.pop((call.region, name), None)
                pool = self._warm.pop(self._arn(call.region, name), [])
            for _, container in pool:
                container.close()
        return answer

    def _zip(self, given: dict[str, Any], call: Call) -> bytes | None:
        """The zip that a call brings or points at; None for an image."""
        code: bytes | None = given.get("ZipFile")
        if code is None and given.get("S3Bucket"):
            s3 = self._world.client("s3", call.region)
            code = s3.get_object(Bucket=given["S3Bucket"], Key=given["S3Key"])["Body"].read()
        if code is not None and not zipfile.is_zipfile(io.BytesIO(code)):
            raise Refusal(
                "InvalidParameterValueException",
                "Could not unzip uploaded file. Please check your file, then try to upload again.",
            )
        return code

    def _invoke(self, call: Call, _: Forward) -> dict[str, Any]:
        name = name_of(call.params["FunctionName"])
        config = self._config(call.region, name, call.params.get("Qualifier"))
        payload = _json_text(call.params.get("Payload") or b"{}")
        kind = call.params.get("InvocationType", "RequestResponse")
        if kind == "DryRun":
            return {"StatusCode": 204, "Payload": b""}
        if kind == "Event":
            self.accept(config["FunctionArn"], payload)
            return {"StatusCode": 202, "Payload": b""}
        outcome = self._run(config, payload, call.request_id)
        if outcome is None:
            raise Refusal("TooManyRequestsException", "Rate Exceeded.", 429)
        self._tell_outcome(config, outcome, call.request_id)
        return _answer(outcome, call.params.get("LogType") == "Tail", config, call.request_id)

    def _config(self, region: str, name: str, qualifier: str | None = None) -> Config:
        client = self._world.client("lambda", region)
        asked = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
        try:
            config: Config = client.get_function_configuration(**asked)
        except ClientError:
            arn = self._arn(region, name) + (f":{qualifier}" if qualifier else "")
            raise Refusal("ResourceNotFoundException", f"Function not found: {arn}", 404) from None
        return config | {"Region": region, "FunctionArn": self._arn(region, name)}

    def _arn(self, region: str, name: str) -> str:
        return f"arn:aws:lambda:{region}:{self._world.account}:function:{name}"

    def _policy(self, client: Any, name: str) -> str | None:
        try:
            policy: str = client.get_policy(FunctionName=name)["Policy"]
        except ClientError:  # it has none
            return None
        return policy

    def _run(self, config: Config, payload: str, request_id: str) -> Outcome | None:
        """Run the function once in a warm or a new container; None when it is throttled."""
        arn = config["FunctionArn"]
        if not self._enter(config):
            self._world.metrics.count(LAMBDA, "Throttles", arn)
            return None
        self._world.metrics.count(LAMBDA, "Invocations", arn)
        try:
            with self._room:
                began = self._world.clock.now()
                stream, outcome = self._in_container(config, payload, request_id)
        finally:
            with self._lock:
                self._running[arn] -= 1
        if outcome.error:
            self._world.metrics.count(LAMBDA, "Errors", arn)
        write = partial(self._logs.write, config, stream, request_id, began, outcome)
        self._work.start(write)
        return outcome

    def _enter(self, config: Config) -> bool:
        """Count an execution, if the function's reserved concurrency leaves room."""
        reserved = self._reserved(config)
        with self._lock:
            running = self._running.get(config["FunctionArn"], 0)
            if reserved is not None and running >= reserved:
                return False
            self._running[config["FunctionArn"]] = running + 1
            return True

    def _reserved(self, config: Config) -> int | None:
        client = self._world.client("lambda", config["Region"])
        found = client.get_function_concurrency(FunctionName=config["FunctionName"])
        reserved: int | None = found.get("ReservedConcurrentExecutions")
        return reserved

    def _in_container(self, config: Config, payload: str, request_id: str) -> tuple[str, Outcome]:
        container = self._take_warm(config)
        if container is None:
            unable = self._unable(config)
            if unable:
                error = {"errorType": "AccessDeniedException", "errorMessage": unable}
                return "", Outcome(json.dumps(error), error)
            container = self._new(config)
        with self._lock:
            self._busy.add(container)
        seconds, ahead = float(config.get("Timeout", 3)), self._world.clock.ahead
        outcome = container.invoke(request_id, config["FunctionArn"], payload, seconds, ahead)
        self._give_back(config, container)
        return container.stream, outcome

    def _take_warm(self, config: Config) -> Container | None:
        """A container that fits the function as it is now; outdated ones are ended."""
        key = _key(config)
        with self._lock:
            pool = self._warm.pop(config["FunctionArn"], [])
            fitting = [one for one in pool if one[0] == key and one[1].alive]
            outdated = [one for one in pool if one not in fitting]
            taken = fitting.pop() if fitting else None
            self._warm[config["FunctionArn"]] = fitting
        for _, container in outdated:
            container.close()
        return taken[1] if taken else None

    def _give_back(self, config: Config, container: Container) -> None:
        with self._lock:
            self._busy.discard(container)
            kept = config["FunctionArn"] in self._warm
            if kept:
                self._warm[config["FunctionArn"]].append((_key(config), container))
        if not kept:
            container.close()

    def _unable(self, config: Config) -> str | None:
        """Why no container can be started."""
        if not str(config.get("Runtime", "")).startswith("python"):
            return f"the sandbox runs Python only, not {config.get('Runtime', 'an image')}"
        if (config["Region"], config["FunctionName"]) not in self._code:
            return "the sandbox has no code of this function"
        trusted = self._roles.trusts(config["Role"], "lambda.amazonaws.com")
        if trusted.allowed:
            return None
        return f"The role defined for the function cannot be assumed by Lambda: {trusted.reason}."

    def _new(self, config: Config) -> Container:
        with self._lock:
            code = self._code[config["Region"], config["FunctionName"]]
        day = self._world.clock.now()
        stream = f"{day:%Y/%m/%d}/[$LATEST]{secrets.token_hex(16)}"
        self._tell(config, True, f"cold start on Python {platform.python_version()}, "
                                 f"configured for {config['Runtime']}")  # fmt: skip
        return Container(code, self._environment(config, stream), stream)

    def _environment(self, config: Config, stream: str) -> dict[str, str]:
        """What Lambda sets, the function's own variables, the role's credentials; nothing else.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        """
        system = {key: os.environ[key] for key in ("SYSTEMROOT",) if key in os.environ}
        name = config["FunctionName"]
        return {
            **system,
            "PATH": os.defpath,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            **(LEAPING if self._world.clock.leaps else {}),
            **(config.get("Environment") or {}).get("Variables", {}),
            **self._world.credentials(config["Role"], name),
            "_HANDLER": config["Handler"],
            "AWS_REGION": config["Region"],
            "AWS_DEFAULT_REGION": config["Region"],
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": group_of(config),
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        }

    def _attempt(self, event: _Event) -> None:
        """Run an asynchronous event once, and see what becomes of it."""
        region, name = event.arn.split(":")[3], name_of(event.arn)
        try:
            config = self._config(region, name)
        except Refusal as refusal:
            self._tell({"FunctionName": name}, False, f"event lost: {refusal.message}")
            return
        settings = self._settings(config)
        if (self._world.clock.now() - event.accepted).total_seconds() > settings["age"]:
            self._give_up(config, settings, event, "EventAgeExceeded")
        elif self._reserved(config) == 0:
            self._give_up(config, settings, event, "ZeroReservedConcurrency")
        else:
            self._execute(config, settings, event)

    def _execute(self, config: Config, settings: dict[str, Any], event: _Event) -> None:
        outcome = self._run(config, event.payload, event.request_id)
        if outcome is None:
            self._throttle(config, event)
            return
        event = replace(event, attempts=event.attempts + 1, outcome=outcome)
        if not outcome.error:
            self._tell_outcome(config, outcome, event.request_id)
            self._destine(config, settings["on_success"], event, "Success")
        elif event.attempts > settings["retries"]:
            self._tell_outcome(config, outcome, event.request_id, "; that was the last attempt")
            self._give_up(config, settings, event, "RetriesExhausted")
        else:
            wait = _BETWEEN * event.attempts
            then = f"; AWS tries again after {wait / 60:.0f} min"
            self._tell_outcome(config, outcome, event.request_id, then)
            self._work.later(wait, partial(self._attempt, event))

    def _throttle(self, config: Config, event: _Event) -> None:
        wait = min(2.0**event.throttled, 300.0)
        self._tell(config, False, "throttled: its reserved concurrency is in use; "
                                  f"AWS tries again after {wait:.0f} s")  # fmt: skip
        again = replace(event, throttled=event.throttled + 1)
        self._work.later(wait, partial(self._attempt, again))

    def _settings(self, config: Config) -> dict[str, Any]:
        client = self._world.client("lambda", config["Region"])
        try:
            found = client.get_function_event_invoke_config(FunctionName=config["FunctionName"])
        except ClientError:  # never put
            found = {}
        to = found.get("DestinationConfig") or {}
        return {
            "retries": found.get("MaximumRetryAttempts", _RETRIES),
            "age": found.get("MaximumEventAgeInSeconds", _AGE),
            "on_failure": (to.get("OnFailure") or {}).get("Destination"),
            "on_success": (to.get("OnSuccess") or {}).get("Destination"),
        }

    def _give_up(
        self, config: Config, settings: dict[str, Any], event: _Event, condition: str
    ) -> None:
        lost = "" if settings["on_failure"] else ": event lost, there is no destination on failure"
        self._tell(config, False, f"given up ({condition}){lost}")
        self._destine(config, settings["on_failure"], event, condition)

    def _destine(
        self, config: Config, destination: str | None, event: _Event, condition: str
    ) -> None:
        """Send the record of an event to a destination, as the function's role may."""
        if not destination:
            return
        record = _record(config, event, condition, self._world.clock.now())
        name = destination.rsplit(":", 1)[-1]
        try:
            self._send(config, destination, json.dumps(record, ensure_ascii=False))
        except Undeliverable as error:
            self._tell(config, False, f"event lost: {name} did not take it: {error.message}")
        else:
            self._tell(config, True, f"event handed to {name}")

    def _send(self, config: Config, arn: str, body: str) -> None:
        service, role = arn.split(":")[2], config["Role"]
        action = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}.get(service)
        if action is None:
            raise Undeliverable("NO_RESOURCE", f"the sandbox has no destinations of {service}")
        decision = self._roles.may(role, action, arn)
        if not decision.allowed:
            name = role.rsplit("/", 1)[-1]
            raise Undeliverable(
                "NO_PERMISSIONS", f"role {name} may not {action}: {decision.reason}"
            )
        kept = resource_policies.forbidden(
            self._world.account, arn, principal=role, action=action, context={}
        )
        if not kept.allowed:
            raise Undeliverable("NO_PERMISSIONS", f"its policy forbids it: {kept.reason}")
        if service == "sqs":
            self._queues.send(arn, body, principal=None)
        else:
            self._publish(arn, body)

    def _tell_outcome(
        self, config: Config, outcome: Outcome, request_id: str, then: str = ""
    ) -> None:
        extra = {"request_id": request_id, "milliseconds": round(outcome.seconds * 1000, 1)}
        said = f"failed: {_message(outcome)}" if outcome.error else "done"
        heat = "warm" if outcome.init_seconds is None else "cold"
        took = f"in {extra['milliseconds']} ms, {heat}"
        self._tell(config, not outcome.error, f"{said} {took}{then}", extra)

    def _tell(
        self, config: Config, ok: bool, said: str, extra: dict[str, Any] | None = None
    ) -> None:
        now = self._world.clock.now()
        self._world.tell(Hop(now, "function", config["FunctionName"], ok, said, extra or {}))


def name_of(function: str) -> str:
    """The bare name of a function given by name, partial or full ARN, with or without qualifier."""
    parts = function.split(":")
    if "function" in parts[:-1]:
        return parts[parts.index("function") + 1]
    return parts[0]


def _key(config: Config) -> str:
    """What makes a container outdated when it changes."""
    parts = ("CodeSha256", "Environment", "Handler", "MemorySize", "Role", "Runtime", "Timeout",
)  # fmt: skip
    return json.dumps([config.get(part) for part in parts], sort_keys=True, default=str)


def _json_text(payload: bytes) -> str:
    try:
        given = payload.decode()
        json.loads(given)
    except ValueError as error:
        raise Refusal(
            "InvalidRequestContentException", f"Could not parse request body into json: {error}"
        ) from error
    return given


def _answer(outcome: Outcome, with_log: bool, config: Config, request_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "StatusCode": 200,
        "ExecutedVersion": "$LATEST",
        "Payload": outcome.payload.encode(),
    }
    if outcome.error:
        answer["FunctionError"] = "Unhandled"
    if with_log:
        said = tail(config, request_id, outcome).encode()[-_TAIL:]
        answer["LogResult"] = base64.b64encode(said).decode()
    return answer


def _message(outcome: Outcome | None) -> str:
    error = (outcome.error if outcome else None) or {}
    return f"{error['errorType']}: {error['errorMessage']}" if error else ""


def _record(config: Config, event: _Event, condition: str, now: datetime) -> dict[str, Any]:
    """The record that a destination gets.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z",
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": f"{config['FunctionArn']}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": event.attempts,
        },
        "requestPayload": json.loads(event.payload),
    }
    if event.outcome is not None:
        failed = {"functionError": "Unhandled"} if event.outcome.error else {}
        context = {"statusCode": 200, "executedVersion": "$LATEST", **failed}
        record["responseContext"] = context
        record["responsePayload"] = json.loads(event.outcome.payload)
    return record
