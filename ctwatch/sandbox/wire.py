"""HTTP on one side, `Call` and its answer on the other, for every protocol that we speak.

Decoding and encoding follow botocore's service models through moto's own parsers and serializers,
so that what moto would understand is what we understand. This module knows no rule of any service
and keeps no state.
"""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit
from xml.sax.saxutils import escape

import moto.core.request as moto_request
from botocore.parsers import create_parser
from botocore.utils import parse_timestamp
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.routing import get_service_router
from moto.core.serialize import SerializationContext, get_serializer_class

from ctwatch.sandbox.calls import Call, Refusal

# The service names of SigV4 scopes that we take apart; all others pass to moto as they are.
SERVICES = {
    "account": "account",
    "athena": "athena",
    "cloudtrail": "cloudtrail",
    "config": "config",
    "dynamodb": "dynamodb",
    "ec2": "ec2",
    "events": "events",
    "glue": "glue",
    "guardduty": "guardduty",
    "iam": "iam",
    "kms": "kms",
    "lambda": "lambda",
    "monitoring": "cloudwatch",
    "logs": "logs",
    "organizations": "organizations",
    "s3": "s3",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "sts": "sts",
    "tagging": "resourcegroupstaggingapi",
}
S3_CONTROL = "/v20180820/"  # signed as "s3", yet another API

_SCOPE = re.compile(r"Credential=([^/\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_REQUEST_ID = re.compile(rb"(<RequestI[dD]>)[^<]*(</RequestI[dD]>)")
_HTTP_ERROR = 300


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Scope:
    """What a SigV4 signature says about its request."""

    access_key: str
    region: str
    service: str


@dataclass(frozen=True)
class Request:
    """A call together with the models it was read by.

    Attributes:
        call: the call.
        model: moto's (botocore's) operation model.
        protocol: "json", "query", "ec2", "rest-json" or "rest-xml".
    """

    call: Call
    model: Any
    protocol: str

    @property
    def id_header(self) -> str:
        """The header under which AWS sends the request id."""
        return "x-amz-request-id" if self.call.service == "s3" else "x-amzn-RequestId"


def scope(environ: Mapping[str, Any]) -> Scope | None:
    """The SigV4 scope of a WSGI request; None when it is not signed in its header."""
    found = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return Scope(*found.groups()) if found else None


def decode(
    environ: Mapping[str, Any], body: bytes, *, account: str, time: datetime, request_id: str
) -> Request | None:
    """The call that a WSGI request makes; None when it cannot be told."""
    signed = scope(environ)
    service = SERVICES.get(signed.service) if signed else None
    if not signed or not service or environ.get("PATH_INFO", "").startswith(S3_CONTROL):
        return None
    http = moto_request.Request(with_body(environ, body))
    try:
        model, uri = get_service_router(service).match(http)
        protocol = moto_request.determine_request_protocol(model.service_model, http.content_type)
        params = _params(http, model, protocol, uri, body)
    except Exception:  # noqa: BLE001 - whatever a strange body does to moto's parsers
        return None
    call = Call(
        service=service,
        operation=model.name,
        region=signed.region,
        account=account,
        access_key=signed.access_key,
        params=params,
        user_agent=environ.get("HTTP_USER_AGENT", ""),
        source_ip=environ.get("REMOTE_ADDR", "127.0.0.1"),
        time=time,
        request_id=request_id,
    )
    return Request(call, model, protocol)


def _params(http: Any, model: Any, protocol: str, uri: dict[str, Any], body: bytes) -> Any:
    parser = PROTOCOL_PARSERS[protocol](model, timestamp_parser=_timestamp)
    parsed = parser.parse(
        {
            "method": http.method,
            "values": http.values,
            "headers": http.headers,
            "body": body,
            "url_path": http.path,
            "url_params": uri,
        }
    )
    return {name: value for name, value in parsed.items() if value is not None}


def _timestamp(value: Any) -> datetime:
    return parse_timestamp(value).astimezone(UTC)


def with_body(environ: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    """A copy of a WSGI environment whose body has not been read yet."""
    fresh = {key: value for key, value in environ.items() if key != "HTTP_TRANSFER_ENCODING"}
    fresh["wsgi.input"] = io.BytesIO(body)
    fresh["wsgi.input_terminated"] = True
    fresh["CONTENT_LENGTH"] = str(len(body))
    return fresh


def environ_of(method: str, url: str, headers: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    """The WSGI environment of a request that never sees a socket."""
    parts = urlsplit(url)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": _latin(parts.path),
        "QUERY_STRING": parts.query,
        "RAW_URI": f"{parts.path}?{parts.query}" if parts.query else parts.path,
        "HTTP_HOST": parts.netloc,
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        environ[_environ_key(name)] = text
    return with_body(environ, body)


def _latin(path: str) -> str:
    return unquote_to_bytes(path or "/").decode("latin-1")


def _environ_key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


def encode(request: Request, result: dict[str, Any]) -> Answer:
    """A result in botocore's output shape as the service would send it."""
    serializer = get_serializer_class(request.call.service, request.protocol)
    context = SerializationContext(request.call.request_id)
    raw = serializer(request.model, context=context).serialize(result)
    body = raw["body"]
    answer = Answer(
        _status(request, result, raw["status_code"]),
        {str(name): str(value) for name, value in raw["headers"].items()},
        body if isinstance(body, bytes) else str(body or "").encode(),
    )
    return stamped(request, answer)


def _status(request: Request, result: Mapping[str, Any], default: int) -> int:
    """The HTTP status, which some outputs (Lambda's Invoke) carry as a member."""
    shape = request.model.output_shape
    for name, member in (shape.members if shape else {}).items():
        if member.serialization.get("location") == "statusCode" and name in result:
            return int(result[name])
    return default


def stamped(request: Request, answer: Answer) -> Answer:
    """The answer with the call's request id wherever the protocol shows one."""
    headers = without(answer.headers, {"x-amzn-RequestId", "x-amz-request-id"})
    headers[request.id_header] = request.call.request_id
    body = answer.body
    if request.protocol in {"query", "ec2"}:
        body = _REQUEST_ID.sub(rb"\g<1>" + request.call.request_id.encode() + rb"\g<2>", body)
    return replace(answer, headers=headers, body=body)


def without(headers: Mapping[str, str], names: set[str]) -> dict[str, str]:
    """The headers but those of these names, in whatever case."""
    lowered = {name.lower() for name in names}
    return {name: value for name, value in headers.items() if name.lower() not in lowered}


def decode_result(request: Request, answer: Answer) -> dict[str, Any]:
    """What an HTTP answer says, in botocore's output shape.

    Raises:
        Refusal: the answer is an error.
    """
    parser = create_parser(request.protocol)
    # What streams is no text that the parser could read: an object's content, for one.
    streams = request.model.has_streaming_output and answer.status < _HTTP_ERROR
    parsed = parser.parse(
        {
            "status_code": answer.status,
            "headers": {name.lower(): value for name, value in answer.headers.items()},
            "body": io.BytesIO(answer.body) if streams else answer.body,
            "context": {"operation_name": request.call.operation},
        },
        request.model.output_shape,
    )
    if answer.status >= _HTTP_ERROR:
        error = parsed.get("Error", {})
        raise Refusal(error.get("Code", ""), error.get("Message", ""), answer.status)
    parsed.pop("ResponseMetadata", None)
    return dict(parsed)


def encode_refusal(request: Request, refusal: Refusal) -> Answer:
    """A refusal in the words of the service's protocol."""
    forms = {"query": _query_error, "ec2": _ec2_error, "rest-xml": _s3_error}
    form = forms.get(request.protocol, _json_error)
    answer = form(request, refusal)
    return stamped(request, replace(answer, status=refusal.status))


def _json_error(request: Request, refusal: Refusal) -> Answer:
    name = error_shape(request, refusal.code)
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": name}
    if "awsQueryCompatible" in request.model.service_model.metadata:
        fault = "Sender" if refusal.status < 500 else "Receiver"  # noqa: PLR2004 - HTTP's own line
        headers["x-amzn-query-error"] = f"{_query_code(request, name)};{fault}"
    body = {"__type": name, "message": refusal.message}
    return Answer(refusal.status, headers, json.dumps(body).encode())


def _query_error(request: Request, refusal: Refusal) -> Answer:
    fault = "Sender" if refusal.status < 500 else "Receiver"  # noqa: PLR2004 - HTTP's own line
    namespace = request.model.service_model.metadata.get("xmlNamespace", "")
    body = (
        f'<ErrorResponse xmlns="{escape(str(namespace))}"><Error><Type>{fault}</Type>'
        f"<Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message></Error>"
        f"<RequestId>{request.call.request_id}</RequestId></ErrorResponse>"
    )
    return Answer(refusal.status, {"Content-Type": "text/xml"}, body.encode())


def _ec2_error(request: Request, refusal: Refusal) -> Answer:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Response><Errors><Error><Code>{escape(refusal.code)}</Code>"
        f"<Message>{escape(refusal.message)}</Message></Error></Errors>"
        f"<RequestID>{request.call.request_id}</RequestID></Response>"
    )
    return Answer(refusal.status, {"Content-Type": "text/xml"}, body.encode())


def _s3_error(request: Request, refusal: Refusal) -> Answer:
    if request.model.http["method"] == "HEAD":
        return Answer(refusal.status, {"Content-Type": "application/xml"}, b"")
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message>"
        f"<Resource>/{quote(str(request.call.params.get('Bucket', '')))}</Resource>"
        f"<RequestId>{request.call.request_id}</RequestId></Error>"
    )
    return Answer(refusal.status, {"Content-Type": "application/xml"}, body.encode())


def error_shape(request: Request, code: str) -> str:
    """The name of an error in the service's model ("NoSuchEntityException" for "NoSuchEntity").

    CloudTrail's records and the JSON protocols use this name; the query protocol uses the code.
    """
    for shape in request.model.service_model.error_shapes:
        if code in {shape.error_code, shape.name}:
            return str(shape.name)
    return code


def _query_code(request: Request, name: str) -> str:
    for shape in request.model.service_model.error_shapes:
        if shape.name == name:
            return str(shape.error_code)
    return name
