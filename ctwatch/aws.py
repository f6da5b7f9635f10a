"""The only door to AWS: where we are, the clients, the waits, and boto3's exceptions made ours.

`Place` says where a thing lives, so that every ARN follows from names. `Aws` makes each
(service, region) client once, from one session, and hands out views of a region. `complaint`
is the one seam where botocore's exceptions become `AwsError`.

The session is botocore's own. boto3 makes its clients by one, too, with the same credentials,
profiles and settings, and adds resources and transfers, which nothing here uses: to import those
took a fifth of the time that importing botocore takes.

Nothing here knows a resource, and nothing here prints.
"""

import functools
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

from botocore.config import Config as BotoConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session

from ctwatch.clock import Clock
from ctwatch.errors import AwsError, ConfigError
from ctwatch.inert import one_line
from ctwatch.models import Models
from ctwatch.permissions import Grant, allow

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

T = TypeVar("T")

WORKERS = 64
"""Resources looked at or written side by side."""
CALLS = 256
"""Calls made side by side: a thread is there only once it is needed."""

_SERVICES = (
    "cloudtrail",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "s3",
    "sns",
    "sqs",
    "ssm",
    "sts",
)

_ALWAYS = ("s3", "lambda", "iam", "logs", "cloudtrail", "events", "sns")
"""Those that every watch asks, the dearest first."""

TROUBLE = (ClientError, BotoCoreError, ResponseParserError)
"""What botocore raises; the last, outside its own family, for what is no answer of AWS's at all."""


@dataclass(frozen=True)
class Place:
    """Where a watch lives.

    Attributes:
        partition: "aws", "aws-cn" or "aws-us-gov".
        account: the account's twelve digits.
        region: the home region.
    """

    partition: str
    account: str
    region: str

    @classmethod
    def of(cls, caller: str, region: str) -> "Place":
        """The account that an ARN of STS's or IAM's names, in a region."""
        _, partition, _, _, account, _ = caller.split(":", 5)
        return cls(partition, account, region)

    def arn(self, service: str, resource: str) -> str:
        """The ARN of `resource` of `service` in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def bucket_arn(self, name: str) -> str:
        """The ARN of a bucket, which names neither account nor region."""
        return f"arn:{self.partition}:s3:::{name}"

    def role_arn(self, name: str) -> str:
        """The ARN of an IAM role, which belongs to no region."""
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"

    def queue_url(self, name: str) -> str:
        """The URL of a queue, as SQS itself tells it."""
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"https://sqs.{self.region}.{suffix}/{self.account}/{name}"


def listing_regions(place: Place) -> Grant:
    """What `Aws.regions` needs.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsaccountmanagement.html
    """
    return allow(
        "account", "ListRegions", f"arn:{place.partition}:account::{place.account}:account"
    )


def code_of(error: BaseException) -> str:
    """AWS's error code, as boto3 reports it, or "" when it is not AWS that spoke.

    SQS may put a namespace before it ("AWS.SimpleQueueService.NonExistentQueue"); it is dropped.
    """
    if not isinstance(error, ClientError):
        return ""
    return error.response.get("Error", {}).get("Code", "").removeprefix("AWS.SimpleQueueService.")


def unless(call: Callable[[], T], *codes: str) -> T | None:
    """The answer of `call`, or None when AWS refuses it with one of `codes`."""
    try:
        return call()
    except ClientError as error:
        if code_of(error) in codes:
            return None
        raise


def belied(error: BaseException) -> bool:
    """Whether a refusal says that something is there already, or is not there at all."""
    told = any(word in code_of(error) for word in (*_PRESENT, *_ABSENT))
    return told or "already exist" in str(error).lower()


# https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html#API_CreateTrail_Errors
# and what the other services have for the same. Of SNS and Lambda only the sentence tells.
_PRESENT = ("AlreadyExists", "AlreadyOwnedByYou", "QueueNameExists")
_ABSENT = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")


class Aws:
    """Clients of one region, and the way to the other regions.

    Args:
        session: the one session; used under a lock, as sessions are not thread-safe.
        region: the region of this view.
        clock: what the consistency waits wait on.

    Attributes:
        crew: threads that whole resources are read and written in, `WORKERS` at a time.
    """

    def __init__(self, session: Session, region: str, clock: Clock | None = None) -> None:
        self.region = region
        self.clock = clock or Clock()
        self._session = session
        self._clients: dict[tuple[str, str], Any] = {}
        self._regions: list[str] = []
        self._lock = threading.Lock()
        self._pool = _pool()
        self.crew = _crew()

    def at(self, region: str) -> "Aws":
        """The same account seen from `region`; clients are shared."""
        if region == self.region:
            return self
        view = object.__new__(Aws)
        view.__dict__.update(self.__dict__, region=region)
        return view

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        """The answers of independent calls made side by side, in order.

        Raises what the first of them raises that fails, when all have ended.
        """
        under_way = [self._pool.submit(call) for call in calls]
        wait(under_way)
        return [future.result() for future in under_way]

    def patiently(
        self,
        call: Callable[[], T],
        *,
        code: str | tuple[str, ...],
        says: tuple[str, ...] = ("",),
        limit: float = 60.0,
    ) -> T:
        """Make `call` until AWS stops refusing it for want of consistency.

        Args:
            call: what to try; must be safe to repeat.
            code: the error code that means "not yet", or several.
            says: words of which the message must hold one for it to mean that.
            limit: seconds after which the refusal is believed.
        """
        codes = (code,) if isinstance(code, str) else code
        end = self.clock.monotonic() + limit
        pause = 0.5
        while True:
            try:
                return call()
            except ClientError as error:
                if code_of(error) not in codes or not any(word in str(error) for word in says):
                    raise
                if self.clock.monotonic() + pause > end:
                    raise
            self.clock.sleep(pause)
            pause = min(pause * 1.6, 10.0)

    def place(self) -> Place:
        """Ask STS who we are.

        Raises:
            AwsError: no credentials, or the call failed.
        """
        return Place.of(self.caller(), self.region)

    def caller(self) -> str:
        """Our own ARN.

        Raises:
            AwsError: as for `place`.
        """
        try:
            return self.sts.get_caller_identity()["Arn"]
        except TROUBLE as error:
            raise complaint(error, "asking AWS who you are") from error

    def time(self) -> datetime:
        """The time by AWS's clock, in UTC and whole seconds; this machine's may be wrong.

        Raises:
            AwsError: AWS could not be asked.
        """
        try:
            answer = self.sts.get_caller_identity()
        except TROUBLE as error:
            raise complaint(error, "asking AWS for the time") from error
        return self.date(answer)

    def date(self, answer: Any) -> datetime:
        """When AWS gave an answer, by its own clock; by ours where the answer does not say."""
        header = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
        return parsedate_to_datetime(header) if header else self.clock.now().replace(microsecond=0)

    @property
    def on_loopback(self) -> bool:
        """Whether the calls go to an emulator on this machine rather than to AWS.

        Raises:
            ConfigError: some go here and some go there.
        """
        asked = self._apart()
        here = {one for one in asked if is_loopback(self._client(one).meta.endpoint_url)}
        if here and (elsewhere := [one for one in asked if one not in here]):
            raise ConfigError(
                f"calls of {', '.join(sorted(here))} go to this machine, those of "
                f"{', '.join(elsewhere)} elsewhere",
                "Unset the AWS_ENDPOINT_URL_… variables, and endpoint_url in the profile.",
            )
        return bool(here)

    def _apart(self) -> Iterable[str]:
        """The services that may have endpoints of their own; one for all where none has.

        https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
        """
        by_variable = any(name.startswith("AWS_ENDPOINT_URL_") for name in os.environ)
        with self._lock:
            apart = by_variable or "services" in self._session.get_scoped_config()
        return _SERVICES if apart else ("sts",)

    def ahead(self) -> None:
        """Begin to make the clients that every watch needs, while the first call is on the wire."""
        with suppress(*TROUBLE):  # no credentials: whoever asks for a client is told
            _ = self.sts  # which that call needs, and would else wait for behind the others
            self._pool.submit(lambda: [*map(self._client, _ALWAYS)])

    def _client(self, service: str) -> Any:
        key = (service, self.region)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._made(service)
            return self._clients[key]

    def _made(self, service: str) -> Any:
        try:
            made = self._configured(service, _SETTINGS)
            if getproxies().keys() - {"no"} and is_loopback(made.meta.endpoint_url):
                return self._configured(service, _STRAIGHT)
        except ValueError as error:  # what botocore raises for an endpoint that is no URL
            raise ConfigError(
                f"a client for {service} cannot be made: {error}",
                "Look at AWS_ENDPOINT_URL: it begins with https:// or http://.",
            ) from error
        return made

    def _configured(self, service: str, settings: BotoConfig) -> Any:
        make: Any = self._session.create_client
        return make(service, region_name=self.region, config=settings)

    def regions(self) -> list[str]:
        """The regions that are enabled for the account; AWS is asked until it has said so once.

        https://docs.aws.amazon.com/accounts/latest/reference/API_ListRegions.html

        Raises:
            AwsError: AWS would not say.
        """
        if self._regions:
            return [*self._regions]
        pages = self._client("account").get_paginator("list_regions")
        enabled = {"RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"]}
        try:
            found = [
                one["RegionName"] for page in pages.paginate(**enabled) for one in page["Regions"]
            ]
        except TROUBLE as error:
            raise complaint(error, "asking which regions the account has") from error
        self._regions[:] = sorted(found)  # all views of the account share the list
        return [*self._regions]

    def opted_in(self, region: str) -> str:
        """Whether the account has a region enabled, in AWS's word: "ENABLED" or another.

        https://docs.aws.amazon.com/accounts/latest/reference/API_GetRegionOptStatus.html

        Raises:
            AwsError: AWS would not say.
        """
        try:
            answer = self._client("account").get_region_opt_status(RegionName=region)
        except TROUBLE as error:
            raise complaint(error, f"asking whether {region} is enabled") from error
        return str(answer["RegionOptStatus"])

    def expires(self) -> datetime | None:
        """When the session ends, as far as botocore knows; None for keys that last, or may.

        What can be renewed was renewed by the last call that was near its end, so that a time that
        is near after a call is the end. Botocore has no public name for it.
        https://docs.aws.amazon.com/boto3/latest/guide/credentials.html
        """
        with self._lock:
            credentials = self._session.get_credentials()
        return getattr(credentials, "_expiry_time", None)

    def client(self, service: str) -> Any:
        """A client by botocore's name of the service, for those that have no property here."""
        return self._client(service)

    @property
    def s3(self) -> "S3Client":
        """S3."""
        return cast("S3Client", self._client("s3"))

    @property
    def cloudtrail(self) -> "CloudTrailClient":
        """CloudTrail."""
        return cast("CloudTrailClient", self._client("cloudtrail"))

    @property
    def sns(self) -> "SNSClient":
        """SNS."""
        return cast("SNSClient", self._client("sns"))

    @property
    def sqs(self) -> "SQSClient":
        """SQS."""
        return cast("SQSClient", self._client("sqs"))

    @property
    def ssm(self) -> "SSMClient":
        """Systems Manager."""
        return cast("SSMClient", self._client("ssm"))

    @property
    def iam(self) -> "IAMClient":
        """IAM."""
        return cast("IAMClient", self._client("iam"))

    @property
    def kms(self) -> "KMSClient":
        """KMS."""
        return cast("KMSClient", self._client("kms"))

    @property
    def functions(self) -> "LambdaClient":
        """Lambda."""
        return cast("LambdaClient", self._client("lambda"))

    @property
    def logs(self) -> "CloudWatchLogsClient":
        """CloudWatch Logs."""
        return cast("CloudWatchLogsClient", self._client("logs"))

    @property
    def events(self) -> "EventBridgeClient":
        """EventBridge."""
        return cast("EventBridgeClient", self._client("events"))

    @property
    def sts(self) -> "STSClient":
        """STS."""
        return cast("STSClient", self._client("sts"))


# `legacy`, botocore's default, gives up on some 503s at once; CloudTrail takes one write a second.
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
_SETTINGS = BotoConfig(  # type: ignore[call-arg]  # the stubs lack user_agent_appid
    retries={"mode": "standard", "total_max_attempts": 8},
    connect_timeout=10,
    read_timeout=10,
    max_pool_connections=CALLS,
    user_agent_appid="ctwatch",
    s3={"addressing_style": "auto"},
)
_STRAIGHT = _SETTINGS.merge(BotoConfig(proxies={}))  # a proxy's 127.0.0.1 is another machine


def connect(profile: str | None, region: str, clock: Clock | None = None) -> Aws:
    """A door to the account that `profile` (or the environment) names.

    Raises:
        ConfigError: there is no such profile, or AWS's own config file cannot be read.
    """
    try:
        return Aws(_session(profile, region), region, clock)
    except ProfileNotFound as error:
        raise ConfigError(
            f"--profile: {error}", "List your profiles with: aws configure list-profiles"
        ) from error
    except BotoCoreError as error:
        raise ConfigError(
            f"{error}", "Mend that file, or name another in AWS_CONFIG_FILE."
        ) from error


def _session(profile: str | None, region: str) -> Session:
    """A session of its own that shares what botocore reads from its data files.

    Where it leads to this machine, nobody else is asked for credentials: not the metadata of an
    EC2 instance, which botocore looks for at a link-local address.
    https://docs.aws.amazon.com/boto3/latest/guide/credentials.html
    """
    core = Session(profile=profile)
    configured = core.get_scoped_config().get("endpoint_url", "")
    if is_loopback(os.environ.get("AWS_ENDPOINT_URL") or configured):
        core.set_config_variable("metadata_service_num_attempts", 0)
    core.register_component("data_loader", _models(core.get_config_variable("data_path")))
    core.register("before-sign", functools.partial(_still_valid, core))
    core.register("before-parse", _refuse_what_is_no_answer)
    core.register("creating-client-class", _name_calls)
    core.set_config_variable("region", region)  # for those who give out credentials, too
    return core


def _still_valid(core: Session, **_: Any) -> None:
    """Botocore has no exception of its own for credentials that it renewed, and ended all the same.

    Raises:
        CredentialRetrievalError: these are such.
    """
    credentials = core.get_credentials()
    if credentials is None:
        return
    try:
        credentials.get_frozen_credentials()
    except RuntimeError as error:
        how = str(credentials.method)
        raise CredentialRetrievalError(provider=how, error_msg=str(error)) from error


class _NamesCalls:
    """Lets whatever botocore raises say of which call it is, as AWS's own refusals do."""

    def _make_api_call(self, operation_name: str, api_params: Any) -> Any:
        try:
            return super()._make_api_call(operation_name, api_params)  # type: ignore[misc]
        except (BotoCoreError, ResponseParserError) as error:
            cast("Any", error).operation_name = operation_name
            raise


def _name_calls(**event: Any) -> None:
    """https://docs.aws.amazon.com/boto3/latest/guide/events.html#extensibility-guide."""
    event["base_classes"].insert(0, _NamesCalls)


def _refuse_what_is_no_answer(**event: Any) -> None:
    """Botocore takes a proxy's page, or half of a JSON document, for an answer that says nothing.

    That would read as "there is none". From a server that failed, the failure alone is an answer:
    without what it says, botocore asks again, which it does not where it cannot read it.

    Raises:
        ResponseParserError: that is none of AWS's.
    """
    answer, failed = event["response_dict"], event["response_dict"]["status_code"] >= _SERVER_ERROR
    protocol = event["operation_model"].service_model.resolved_protocol
    if not isinstance(answer["body"], bytes):  # of a log file, a stream
        return
    if failed:
        known = _is_answer(answer["body"], "query" if protocol == "rest-xml" else protocol)
        answer["body"] = answer["body"] if known else b""
    elif not _is_answer(answer["body"], protocol, answer["headers"]):
        raise ResponseParserError("what answered is not AWS")


def _is_answer(body: bytes, protocol: str, headers: Mapping[str, str] | None = None) -> bool:
    """Whether it is of the kind that a service answers with.

    Of S3, HEAD has no body, and a policy, which is JSON, is handed out as it is.
    https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonResponseHeaders.html
    """
    start = body.lstrip()[:15].lower()
    if not start:
        return protocol != "rest-xml" or headers is None or "x-amz-request-id" in headers
    if protocol in {"json", "rest-json"} or (protocol == "rest-xml" and start.startswith(b"{")):
        return _is_json(body)
    return not start.startswith(_PAGE) and (protocol == "rest-xml" or start.startswith(b"<"))


_PAGE = (b"<html", b"<!doctype html")


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """One pool a process: threads that are made anew for each door cost more than their calls."""
    return ThreadPoolExecutor(CALLS, thread_name_prefix="aws")


@functools.cache
def _crew() -> ThreadPoolExecutor:
    """Another for whole resources, which wait on what they ask side by side."""
    return ThreadPoolExecutor(WORKERS, thread_name_prefix="resource")


@functools.cache
def _models(path: str | None) -> Models:
    """One loader a process: reading the service models is most of what a client costs."""
    return Models(path)


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


_NO_CREDENTIALS = (
    *(NoCredentialsError, PartialCredentialsError),
    *(SSOError, TokenRetrievalError, CredentialRetrievalError),
)


_LOG_IN = "Log in again, with SSO by: aws sso login"


def complaint(error: Exception, doing: str) -> AwsError:
    """Our sentence for an exception of botocore's.

    Args:
        error: what botocore raised.
        doing: what was being done, "creating trail ct-trail-monitor".
    """
    if isinstance(error, ClientError):
        return _refusal(error, doing)
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        hint = "Log in (aws sso login), or name a profile with --profile. No account at hand?"
        hint += " Try: ctwatch demo"
        return AwsError(f"{doing}: no AWS credentials were found", hint)
    said = one_line(str(error))
    if isinstance(error, _NO_CREDENTIALS):
        return AwsError(f"{doing}: {said}", _LOG_IN)
    operation = getattr(error, "operation_name", "")
    why, hint = _silence(error, said)
    call = f"{operation}: " if operation else ""
    return AwsError(f"{doing}: {call}{why}", hint, operation=operation)


def _silence(error: Exception, said: str) -> tuple[str, str]:
    """What became of a call that AWS has not answered, and what to do about it."""
    if isinstance(error, ResponseParserError):
        return "what answered is not AWS", _NOT_AWS
    if not isinstance(error, (BotoConnectionError, HTTPClientError)):
        return said, "Run again; what is done already is not done twice."
    if _from_here(error):
        hint = "Is ctwatch sandbox still running? A new terminal, without its exports, leaves it."
        return f"nothing answers on this machine: {said}", hint
    return f"AWS cannot be reached: {said}", "Check the network; run again."


_NOT_AWS = (
    "A proxy, or the page where one logs in to a network, stands in between: look at the network "
    "and at HTTPS_PROXY; run again."
)


def passing(error: Exception) -> bool:
    """Whether what failed may well succeed a moment later, with nothing changed."""
    if not isinstance(error, ClientError):
        return not isinstance(error, (*_NO_CREDENTIALS, ParamValidationError))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code_of(error) in THROTTLED or status >= _SERVER_ERROR


_SERVER_ERROR = 500


def _from_here(error: Exception) -> bool:
    """Whether it was this machine, a sandbox on it, that did not answer."""
    return is_loopback(str(getattr(error, "kwargs", {}).get("endpoint_url", "")))


def _refusal(error: ClientError, doing: str) -> AwsError:
    code, operation = code_of(error), error.operation_name
    message = error.response.get("Error", {}).get("Message", "").strip()
    problem = f"{doing}: {operation} answered {one_line(code)}: {one_line(message)}"
    return AwsError(problem, _hint(code, operation, message), code=code, operation=operation)


def _hint(code: str, operation: str, message: str) -> str:
    if "service control policy" in message:
        return "An organization's policy forbids it: ask whoever keeps the organization."
    if operation == "HeadBucket" and code == "400":  # it answers without a word
        return "Your credentials may have expired: log in again."
    if operation == "HeadBucket":
        return (
            "Either your credentials may not call HeadBucket, or another account owns that "
            "bucket: then choose another bucket.name, best one that ends in -{account}-{region}-an."
        )
    if code in {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"}:
        return f"Your credentials may not call {operation}: ask for that permission."
    if code in LOGGED_OUT:
        return "Your credentials have expired or are not valid: log in again."
    return _HINTS.get(code, "Run again; what is done already is not done twice.")


# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html, and the names that other
# services have for the same.
THROTTLED = {
    *("ThrottlingException", "Throttling", "Throttled", "ThrottledException", "RequestThrottled"),
    *("TooManyRequestsException", "RequestLimitExceeded", "SlowDown"),
}
LOGGED_OUT = {
    *("ExpiredToken", "ExpiredTokenException", "RequestExpired"),
    *("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"),
}

_HINTS = {
    "NoSuchBucket": "ctwatch status tells what is there, and ctwatch up makes what is not.",
    "MaximumNumberOfTrailsExceededException": "A region holds five trails at most, shadows of "
    "trails elsewhere included: delete one that is not needed (aws cloudtrail list-trails).",
    "TrailAlreadyExistsException": "A trail of that name has its home in another region: choose "
    "another trail.name.",
    "BucketAlreadyExists": "Another account owns that bucket: choose another bucket.name, best "
    "one that ends in -{account}-{region}-an, which nobody else can take.",
    "InsufficientEncryptionPolicyException": "The key's policy must let cloudtrail.amazonaws.com "
    "call kms:GenerateDataKey* and kms:DescribeKey for this trail: "
    "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html",
    "InsufficientS3BucketPolicyException": "CloudTrail may not write to the bucket: compare with "
    "ctwatch plan, then run: ctwatch up",
}
