"""moto in this process: the raw account behind the sandbox, past every check, record and delivery.

moto's state is global to the process, so there is one `Cloud` at a time. This module knows moto;
it knows nothing about what AWS would have said instead.
"""

import functools
import io
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import botocore.auth
import botocore.session
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from moto.cloudtrail import models as cloudtrail_models
from moto.cloudtrail.models import cloudtrail_backends
from moto.core import responses
from moto.core.config import default_user_config
from moto.events.models import events_backends
from moto.iam.access_control import PermissionResult
from moto.kms import responses as kms_responses
from moto.logs import models as logs_models
from moto.s3 import notifications
from moto.s3.models import FakeBucket, s3_backends
from moto.sqs import models as sqs_models

from ctwatch.sandbox import wire
from ctwatch.sandbox.calls import Call, Refusal
from ctwatch.sandbox.handlers import dispatcher
from ctwatch.sandbox.identities import ACCESS_KEY, SECRET_KEY
from ctwatch.sandbox.memory import Memory
from ctwatch.sandbox.records import is_read

# 501 rather than 500, because botocore retries the latter.
NOT_IMPLEMENTED = 501
_LONG_POLL = "AmazonSQS.ReceiveMessage"  # waits; the lock must not
_Bucket: Any = FakeBucket
_Notifications: Any = notifications
_Responses: Any = responses
_Kms: Any = kms_responses
_Sqs: Any = sqs_models
_CloudTrail: Any = cloudtrail_models
_Logs: Any = logs_models
_SEALED_SESSION = {
    # name: (configuration variable, environment variable, default, conversion): none is read
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "ignore_configured_endpoint_urls": (None, None, True, None),
}


@functools.cache
def _session() -> botocore.session.Session:
    """One session for all inner clients: a session of its own reads botocore's files anew."""
    return botocore.session.Session(session_vars=_SEALED_SESSION)


class Cloud:
    """The account as moto keeps it.

    Args:
        account: the account id.
        region: the home region.
        ahead: tells by how many seconds its clock is ahead of this machine's.

    Attributes:
        alone: held while a call is answered; whoever holds it longer makes several of them one.
    """

    def __init__(self, account: str, region: str, ahead: Callable[[], float] = lambda: 0.0) -> None:
        self._ahead = ahead
        self.account = account
        self.region = region
        self.url = "http://127.0.0.1"
        self._services = dispatcher()
        self.alone = threading.RLock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._clients_lock = threading.Lock()
        self.memory = Memory()
        self._judged = _Bucket.get_permission
        self._announced = _Notifications._send_event_bridge_message  # noqa: SLF001 - silenced here
        self._judged_key = _Kms.validate_policy
        self._names = _Responses.method_names_from_class
        self._now = _Sqs.unix_time_millis
        self._utc = _CloudTrail.utcnow
        self._draw_id = _Responses.gen_amzn_requestid_long
        self._used_docker = default_user_config["lambda"]["use_docker"]

    def open(self) -> None:
        """Start from an empty account.

        Functions never run in Docker, and moto does not judge object calls by the bucket policy:
        it knows no condition, so that a deny without TLS would deny everything. Nor does it judge
        calls by a key's policy: it knows no principal, so that a deny to one would be one to all.
        What S3 tells EventBridge is for `objects`: moto would serve some targets past every
        permission. What methods its classes have, moto would look up at each call, and is told
        from memory; the time, which it asks for several times a message, it gets by a short way, as
        it does a request's id, which it would draw letter by letter.
        """
        _Sqs.unix_time_millis = self._milliseconds
        _CloudTrail.utcnow = _Logs.utcnow = self._later
        _Responses.method_names_from_class = functools.cache(self._names)
        _Responses.gen_amzn_requestid_long = _request_id
        default_user_config["lambda"]["use_docker"] = False
        _Bucket.get_permission = _no_opinion
        _Notifications._send_event_bridge_message = _no_opinion  # noqa: SLF001 - see above
        _Kms.validate_policy = _no_opinion
        with self._clients_lock:
            self._clients.clear()  # they know the last address
        self.reset()

    def close(self) -> None:
        """Leave moto as it was found."""
        self.reset()
        default_user_config["lambda"]["use_docker"] = self._used_docker
        _Bucket.get_permission = self._judged
        _Responses.method_names_from_class = self._names
        _Responses.gen_amzn_requestid_long = self._draw_id
        _Notifications._send_event_bridge_message = self._announced  # noqa: SLF001 - as it was
        _Kms.validate_policy = self._judged_key
        _Sqs.unix_time_millis = self._now
        _CloudTrail.utcnow = _Logs.utcnow = self._utc

    def reset(self) -> None:
        """Empty the account."""
        url = f"{self.url}/moto-api/reset"
        self.send(wire.environ_of("POST", url, {}, b""), b"")
        self.memory.forget()

    def send(self, environ: Mapping[str, Any], body: bytes) -> wire.Answer:
        """Let moto answer a WSGI request.

        Raises:
            Refusal: moto has no answer to it.
        """
        asked = wire.with_body(environ, body) | {"HTTP_X_MOTO_ACCOUNT_ID": self.account}
        if asked.get("HTTP_X_AMZ_TARGET") == _LONG_POLL:
            return self._answer(asked)
        with self.alone:
            return self._answer(asked)

    def _answer(self, environ: dict[str, Any]) -> wire.Answer:
        try:
            answer = self._services.handlers(environ).answer(environ)
        except Exception as error:
            # whatever moto stumbles over is the sandbox's lack, and no caller's traceback
            logging.getLogger(__name__).debug("moto failed", exc_info=True)
            raise missing(environ) from error
        if answer.status >= 400 and _is_page(answer):  # noqa: PLR2004 - HTTP's own line
            raise missing(environ)
        return answer

    def _later(self) -> datetime:
        """The time by which CloudTrail and CloudWatch Logs go.

        Of what is more than two hours ahead of it, CloudWatch Logs would take no line.
        https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
        """
        now: datetime = self._utc()
        return now + timedelta(seconds=self._ahead())

    def _milliseconds(self) -> float:
        """Unix time, by which messages are hidden and seen again."""
        return (time.time() + self._ahead()) * 1000

    def client(self, service: str, region: str) -> Any:
        """A client as boto3 makes them that reaches moto in this process, past everything else."""
        with self._clients_lock:
            key = (service, region)
            if key not in self._clients:
                self._clients[key] = self._make_client(service, region)
            return self._clients[key]

    def _make_client(self, service: str, region: str) -> Any:
        config = Config(
            user_agent="sandbox",  # else botocore would put one together twice a call
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        client: Any = _session().create_client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=config,
        )
        client.get_paginator = functools.cache(client.get_paginator)  # else a new class each time
        client.meta.events.register("choose-signer", unproven)
        client.meta.events.register("before-send", straight(self.send))
        self.memory.watch(client, is_read)
        return client

    def forward(self, call: Call) -> dict[str, Any]:
        """Make a call on moto; its answer in botocore's output shape.

        Raises:
            Refusal: moto refused.
        """
        client = self.client(call.service, call.region or self.region)
        try:
            answer = getattr(client, xform_name(call.operation))(**call.params)
        except ClientError as error:
            raise refusal_of(error) from error
        except BotoCoreError as error:
            raise Refusal("ValidationException", str(error)) from error
        answer.pop("ResponseMetadata", None)
        return dict(answer)

    def found(self, ask: Callable[..., Any], **params: Any) -> Any:
        """What a read answers, or None when it is refused (the thing does not exist)."""
        try:
            return ask(**params)
        except ClientError:
            return None

    def inventory(self, regions: set[str]) -> list[str]:
        """Everything that exists, one "service kind name" line each, sorted."""
        lines = set(self._global_things())
        for region in sorted(regions):
            lines.update(self._things(region))
        return sorted(lines)

    def _global_things(self) -> Iterator[str]:
        s3, iam = self.client("s3", self.region), self.client("iam", self.region)
        for bucket in s3.list_buckets()["Buckets"]:
            yield f"s3 bucket {bucket['Name']}"
        for user in iam.list_users()["Users"]:
            yield f"iam user {user['UserName']}"
        for policy in iam.list_policies(Scope="Local")["Policies"]:
            yield f"iam policy {policy['PolicyName']}"
        for role in iam.get_paginator("list_roles").paginate().search("Roles[].RoleName"):
            yield f"iam role {role}"
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                yield f"iam role-policy {role}/{name}"

    def _things(self, region: str) -> Iterator[str]:
        for service, operation, query, kind in _LISTINGS:
            pages = self.client(service, region).get_paginator(operation).paginate()
            for name in pages.search(query):
                if name is not None:
                    yield f"{service} {kind} {name}"
        for trail in self.client("cloudtrail", region).list_trails()["Trails"]:
            yield f"cloudtrail trail {trail['Name']}"
        yield from self._rules(region)
        yield from self._keys(region)

    def _keys(self, region: str) -> Iterator[str]:
        """Keys and aliases of the account's own; a key that waits to be deleted counts as gone."""
        kms = self.client("kms", region)
        for alias in kms.list_aliases()["Aliases"]:
            if "TargetKeyId" in alias and not alias["AliasName"].startswith("alias/aws/"):
                yield f"kms alias {alias['AliasName']}"
        for key in kms.list_keys()["Keys"]:
            told = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            if told["KeyManager"] == "CUSTOMER" and told["KeyState"] != "PendingDeletion":
                yield f"kms key {told['KeyId']}"

    def _rules(self, region: str) -> Iterator[str]:
        events = self.client("events", region)
        for rule in events.get_paginator("list_rules").paginate().search("Rules[].Name"):
            yield f"events rule {rule}"
            for target in events.list_targets_by_rule(Rule=rule)["Targets"]:
                yield f"events target {rule}/{target['Id']}"


_LISTINGS = (
    ("sns", "list_topics", "Topics[].TopicArn", "topic"),
    ("sns", "list_subscriptions", "Subscriptions[].join(' ', [SubscriptionArn, Endpoint])",
     "subscription"),
    ("sqs", "list_queues", "QueueUrls[]", "queue"),
    ("lambda", "list_functions", "Functions[].FunctionName", "function"),
    ("logs", "describe_log_groups", "logGroups[].logGroupName", "log-group"),
    ("ssm", "describe_parameters", "Parameters[].Name", "parameter"),
)  # fmt: skip


def rules(account: str, region: str, bus: str) -> list[dict[str, Any]] | None:
    """The rules of a bus with their `Targets`, None for a bus that is not there.

    Every management event asks for them, which as API calls would be most of what a test costs.
    """
    found = events_backends[account][region].event_buses.get(bus)
    if found is None:
        return None
    return [
        {**rule.describe(), "Targets": [dict(target) for target in list(rule.targets)]}
        for rule in list(found.rules.values())
    ]


def tagged(account: str, region: str) -> Iterator[tuple[str, dict[str, str]]]:
    """ARN and tags of the rules and trails of a region, which moto's tagging API leaves out."""
    events, trails = events_backends[account][region], cloudtrail_backends[account][region]
    for rule in list(events.event_buses["default"].rules.values()):
        yield rule.arn, events.tagger.get_tag_dict_for_resource(rule.arn)
    for trail in list(trails.trails.values()):
        yield trail.arn, trails.tagging_service.get_tag_dict_for_resource(trail.arn)


def bucket_region(account: str, arn: str) -> str | None:
    """The region of a bucket by its ARN; None where it is none."""
    found = s3_backends[account]["aws"].buckets.get(arn.rpartition(":")[2])
    return found.region_name if found and ":s3:::" in arn else None


def bus_policy(account: str, region: str, bus: str) -> str | None:
    """The policy of a bus, None for none; as cheap as `rules`."""
    found = events_backends[account][region].event_buses.get(bus)
    policy: str | None = found.policy if found else None
    return policy


def tells_eventbridge(account: str, bucket: str) -> bool:
    """Whether a bucket sends its notifications to EventBridge, which moto keeps and never says."""
    found = s3_backends[account]["aws"].buckets.get(bucket)
    asked = found.notification_configuration if found else None
    return asked is not None and asked.event_bridge is not None


def _request_id(headers: dict[str, str]) -> str:
    headers["x-amzn-requestid"] = drawn = secrets.token_hex(26)
    return drawn


def _no_opinion(*_: object) -> PermissionResult:
    return PermissionResult.NEUTRAL


def straight(send: Callable[[Mapping[str, Any], bytes], wire.Answer]) -> Callable[..., AWSResponse]:
    """A handler of a client's "before-send" event: its requests go to `send`, past any socket."""

    def before_send(request: Any, **_: Any) -> AWSResponse:
        body = _bytes(request.body)
        environ = wire.environ_of(request.method, request.url, request.headers, body)
        answer = send(environ, body)
        headers: Any = answer.headers
        return AWSResponse(request.url, answer.status, headers, _Raw(answer.body))

    return before_send


class _Unproven(botocore.auth.SigV4Auth):
    """Says who calls what, as a signature does, and is none: it signs nothing of the request."""

    def canonical_request(self, request: Any) -> str:
        """What is signed."""
        del request
        return ""

    def headers_to_sign(self, request: Any) -> Any:
        """Those that are signed with it."""
        del request
        return {"host": ""}

    def signature(self, string_to_sign: str, request: Any) -> str:
        """What proves it, of a signature's length."""
        del string_to_sign, request
        return "0" * 64


class _UnprovenS3(_Unproven, botocore.auth.S3SigV4Auth):
    """As S3 has it, which says of the body how it is sent."""


botocore.auth.AUTH_TYPE_MAPS |= {"v4-unproven": _Unproven, "s3v4-unproven": _UnprovenS3}


def unproven(signature_version: Any, **_: Any) -> str | None:
    """A handler of a client's "choose-signer" event, for where a signature is looked at by nobody.

    To make one takes half as long as all else that a client does to its request.
    """
    return {"v4": "v4-unproven", "s3v4": "s3v4-unproven"}.get(signature_version)


class _Raw(io.BytesIO):
    """The body of an answer, as urllib3 would hand it over."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def _is_page(answer: wire.Answer) -> bool:
    """Whether it is a page for people, which no AWS API sends."""
    return answer.body.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))


def _bytes(body: Any) -> bytes:
    if hasattr(body, "read"):
        return bytes(body.read())
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def refusal_of(error: ClientError) -> Refusal:
    """A client's error as the refusal it was."""
    said = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    return Refusal(said.get("Code", ""), said.get("Message", ""), status)


def missing(environ: Mapping[str, Any]) -> Refusal:
    """What to say where the sandbox has no answer."""
    asked = environ.get("HTTP_X_AMZ_TARGET") or environ.get("PATH_INFO", "/")
    return Refusal(
        "InternalFailure",
        f"The sandbox cannot answer this call ({asked}); AWS could.",
        NOT_IMPLEMENTED,
    )
