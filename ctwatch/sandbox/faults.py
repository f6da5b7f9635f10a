"""Why something could not be delivered, in one shape for all targets."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from ctwatch.sandbox.calls import Refusal

_DENIED = ("AccessDenied", "AuthorizationError", "Forbidden")
_ABSENT = ("NotFound", "NonExistent", "NoSuch", "DoesNotExist")
_THROTTLED = ("Throttl", "TooManyRequests", "SlowDown", "RequestLimit")


class Undeliverable(Exception):  # noqa: N818 - AWS refuses; that is not an error of ours
    """A target that did not take what it was given.

    Attributes:
        code: one of EventBridge's codes ("NO_PERMISSIONS", "NO_RESOURCE", "THROTTLING"), as
            https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html lists them.
        message: one sentence saying why.
        retryable: whether AWS tries again; never for a missing permission or resource.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retryable = retryable


@contextmanager
def translated() -> Iterator[None]:
    """Turn what a client raises inside into `Undeliverable`.

    Raises:
        Undeliverable: for every error a call to AWS can end in.
    """
    try:
        yield
    except ClientError as error:
        raise _from(error) from error
    except BotoCoreError as error:
        raise Undeliverable("CONNECTION_FAILURE", str(error), retryable=True) from error


@contextmanager
def refused() -> Iterator[None]:
    """Turn what moto answers inside into the same refusal for whoever called us.

    Raises:
        Refusal: with moto's code, message and status.
    """
    try:
        yield
    except ClientError as error:
        told = error.response["Error"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        raise Refusal(told["Code"], told["Message"], status) from error


def _from(error: ClientError) -> Undeliverable:
    code = error.response["Error"].get("Code", "")
    message = error.response["Error"].get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    if any(part in code for part in _DENIED):
        return Undeliverable("NO_PERMISSIONS", message)
    if any(part in code for part in _ABSENT):
        return Undeliverable("NO_RESOURCE", message)
    if any(part in code for part in _THROTTLED):
        return Undeliverable("THROTTLING", message, retryable=True)
    return Undeliverable(
        "INTERNAL_ERROR" if status >= 500 else "SDK_CLIENT_ERROR",  # noqa: PLR2004 - HTTP
        f"{code}: {message}",
        retryable=status >= 500,  # noqa: PLR2004 - HTTP
    )
