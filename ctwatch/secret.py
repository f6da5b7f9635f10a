"""Secret references: how one is written, what it stands for, whether the webhook it names answers.

A secret is written in the configuration as a reference (`env:NAME`, `ssm:/path`, `file:path`),
never as a value. No sentence raised here holds a secret, nor does the chain of exceptions behind
it.
"""

import hashlib
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ctwatch.errors import AwsError, ConfigError, CtwatchError

USER_AGENT = "DiscordBot (https://github.com/ctwatch/ctwatch, 0.1.0)"
"""The form Discord asks for; others are turned away before they reach it.

https://docs.discord.com/developers/reference#user-agent
"""

TIMEOUT = 5
"""Seconds that `probe` waits for the connection, and again for the answer."""

HOW_TO_WRITE = "write a reference: env:NAME, ssm:/path or file:path"

_LARGEST_FILE = 65_536
_ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
_PARAMETER = re.compile(r"(?:/[A-Za-z0-9_.-]+){1,15}")
_LONGEST_PARAMETER = 1011

_TAIL = r"/api/(?:v\d{1,2}/)?webhooks/\d{1,20}/[A-Za-z0-9_-]{1,200}(?:\?thread_id=\d{1,20})?"
_REAL = re.compile(rf"https://(?:(?:ptb|canary)\.)?discord(?:app)?\.com{_TAIL}")
_STAND_IN = re.compile(rf"http://127\.0\.0\.1(?::\d{{1,5}})?{_TAIL}")


def reference_fault(reference: str) -> str:
    """Say what is wrong with the way a reference is written.

    Args:
        reference: what stands in the configuration; perhaps, by mistake, the secret itself.

    Returns:
        The reason, without any part of `reference`; "" when nothing is wrong.
    """
    kind, colon, rest = reference.partition(":")
    if "://" in reference or "webhooks/" in reference:
        return f"a URL may not stand here, it is a secret: {HOW_TO_WRITE}"
    if not colon or kind not in {"env", "ssm", "file"}:
        return f"is not a reference to a secret: {HOW_TO_WRITE}"
    if kind == "env" and not _ENVIRONMENT.fullmatch(rest):
        return "after env: comes the name of an environment variable, such as DISCORD_WEBHOOK_URL"
    if kind == "ssm" and not (_PARAMETER.fullmatch(rest) and len(rest) <= _LONGEST_PARAMETER):
        return "after ssm: comes the name of an SSM parameter, such as /ctwatch/discord"
    if kind == "file" and not (rest.strip() and rest.isprintable()):
        return "after file: comes a path, such as secrets/discord"
    return ""


def resolve(
    reference: str,
    *,
    environ: Mapping[str, str],
    read_parameter: Callable[[str], str] | None,
    folder: Path,
    key: str = "",
) -> str:
    """Fetch the secret that a reference stands for.

    Args:
        reference: `env:NAME`, `ssm:/path` or `file:path`.
        environ: the environment variables.
        read_parameter: gives an SSM parameter's decrypted value by name, or raises `AwsError`; None
            where AWS is out of reach.
        folder: where relative paths begin: the folder of the configuration file.
        key: the reference's place in the configuration ("channels[0].url"); begins the sentence.

    Returns:
        The secret, without one newline at its end.

    Raises:
        ConfigError: the reference is wrong or what it names is missing, unreadable or empty.
        AwsError: AWS refused to read the parameter.
    """
    place = f"{key}: " if key else ""
    if fault := reference_fault(reference):
        raise ConfigError(f"{place}{fault}")
    kind, _, rest = reference.partition(":")
    place += f"{reference}: "
    if kind == "env":
        secret = _from_environment(rest, environ, place)
    elif kind == "ssm":
        secret = _from_parameter(rest, read_parameter, place)
    else:
        secret = _from_file(folder / rest, place)
    secret = secret.removesuffix("\n").removesuffix("\r")
    if not secret.strip():
        raise ConfigError(f"{place}it is empty", "Put the secret there and try again.")
    return secret


def _from_environment(name: str, environ: Mapping[str, str], place: str) -> str:
    if name not in environ:
        raise ConfigError(
            f"{place}the environment variable {name} is not set",
            f"Set it first: read -rs {name} && export {name}",
        )
    return environ[name]


def _from_parameter(name: str, read: Callable[[str], str] | None, place: str) -> str:
    if read is None:
        raise ConfigError(f"{place}an SSM parameter cannot be read here")
    try:
        return read(name)
    except AwsError as error:
        if error.code != "ParameterNotFound":
            raise
        raise ConfigError(
            f"{place}the SSM parameter {name} does not exist in this account and region",
            f"aws ssm put-parameter --type SecureString --name {name} --value file://FILE",
        ) from error


def _from_file(path: Path, place: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{place}there is no file {path}", "The path begins at the configuration's folder."
        ) from None
    except OSError as error:
        raise ConfigError(f"{place}{path} cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST_FILE:
        raise ConfigError(f"{place}{path} is larger than 64 KB, that is no webhook URL")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{place}{path} is not UTF-8 text") from None


def check_webhook(url: str, kind: str, *, loopback_allowed: bool, key: str = "") -> None:
    """Make sure that a webhook URL leads where alerts may go.

    Args:
        url: the webhook URL.
        kind: the channel's type; "discord" is the only one.
        loopback_allowed: whether AWS itself is the sandbox on 127.0.0.1. Then the webhook has to be
            there too, else drills would reach people; without a sandbox it may not be there.
        key: the channel's place in the configuration; begins the sentence.

    Raises:
        ConfigError: it leads elsewhere. The sentence does not hold the URL.
    """
    place = f"{key}: " if key else ""
    if kind != "discord":
        raise ConfigError(f"{place}'discord' is the only type of channel in this version")
    if fault := _webhook_fault(url, loopback_allowed=loopback_allowed):
        raise ConfigError(
            f"{place}{fault}",
            "Discord: edit the channel > Integrations > Webhooks > Copy Webhook URL.",
        )


def _webhook_fault(url: str, *, loopback_allowed: bool) -> str:
    stand_in, real = _STAND_IN.fullmatch(url), _REAL.fullmatch(url)
    if stand_in and not loopback_allowed:
        return "the webhook leads to the sandbox on 127.0.0.1, but AWS is not the sandbox"
    if real and loopback_allowed:
        return (
            "the webhook is a real Discord channel, but AWS is the sandbox: the sandbox would post"
            " to a real channel; use the DISCORD_WEBHOOK_URL that it prints"
        )
    return "" if stand_in or real else _slip(url)


def _slip(url: str) -> str:
    """Name the usual slips of those who copy a webhook URL."""
    if url != url.strip():
        return "there is white space before or after the webhook URL"
    if url.endswith(("/slack", "/github")):
        return "the webhook URL ends in /slack or /github: leave that off"
    if _REAL.fullmatch(url.replace("http://", "https://", 1)):
        return "the webhook URL must begin with https://"
    return "this is not the URL of a Discord webhook (https://discord.com/api/webhooks/ID/TOKEN)"


def fingerprint(secret: str) -> str:
    """Tell two secrets apart without showing either: "sha256:" and 16 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()[:16]


def probe(url: str) -> int:
    """Ask a Discord webhook whether it exists, without posting anything.

    A GET returns the webhook without needing a token of one's own
    (https://docs.discord.com/developers/resources/webhook#get-webhook-with-token).

    Args:
        url: a webhook URL that `check_webhook` let pass.

    Returns:
        The HTTP status: 200 it is there, 404 it was deleted, 401 its token is wrong. A redirect is
        not followed: its own status is returned.

    Raises:
        CtwatchError: nobody answered. The sentence does not hold the URL.
    """
    try:
        return _status(url)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (OSError, HTTPException, ValueError) as error:
        reason = _unreachable(error)
    # Raised outside the handler: the first exception may hold the URL and must not come along.
    raise CtwatchError(
        f"the Discord webhook could not be reached: {reason}",
        "Look at the network and the proxy settings, then try again.",
    )


def _status(url: str) -> int:
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if urlsplit(url).hostname == "127.0.0.1":
        handlers.append(urllib.request.ProxyHandler({}))  # a proxy's 127.0.0.1 is another machine
    request = urllib.request.Request(  # noqa: S310 - check_webhook let only http(s) pass
        url, headers={"User-Agent": USER_AGENT, "Accept": "application/json"}
    )
    with urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT) as response:
        return int(response.status)


def _unreachable(error: Exception) -> str:
    """Name a failure in our own words, as the library's may repeat the host or the path."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    reasons: list[tuple[type[Exception], str]] = [
        (TimeoutError, f"no answer within {TIMEOUT} s"),
        (socket.gaierror, "its host name was not found"),
        (ssl.SSLError, "its TLS certificate was not accepted"),
        (ConnectionRefusedError, "the connection was refused"),
        (ConnectionError, "the connection was cut"),
        (HTTPException, "the answer was not HTTP"),
    ]
    found = (words for kind, words in reasons if isinstance(cause, kind))
    return next(found, type(cause).__name__)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: a webhook that moved is not the one that was configured."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Refuse; urllib then raises HTTPError with the redirect's own status."""
