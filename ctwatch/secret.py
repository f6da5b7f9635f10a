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
from dataclasses import dataclass
from http.client import HTTPException
from ipaddress import ip_address
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

VARIABLES = {
    "discord": "DISCORD_WEBHOOK_URL",
    "slack": "SLACK_WEBHOOK_URL",
    "teams": "TEAMS_WEBHOOK_URL",
    "webhook": "WEBHOOK_URL",
}
"""Type of a channel -> the environment variable that usually holds its webhook's URL."""


@dataclass(frozen=True)
class _Service:
    """What the URLs of one type of channel look like.

    Attributes:
        title: what it is the URL of, with its form.
        real: what it leads to, in words.
        hosts: a pattern of how the URLs begin.
        tail: a pattern of what follows; that of its stand-in on loopback, too.
        hint: where one gets such a URL.
    """

    title: str
    real: str
    hosts: str
    tail: str
    hint: str

    def is_real(self, url: str) -> bool:
        """Whether it leads to the service itself."""
        return bool(re.fullmatch(self.hosts + self.tail, url))

    def is_stand_in(self, url: str) -> bool:
        """Whether it leads to the sandbox's stand-in for the service."""
        return bool(re.fullmatch(rf"http://127\.0\.0\.1(?::\d{{1,5}})?{self.tail}", url))


_SEEN = r"[!-~]"  # all that may stand in a URL
_HOST = r"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])"

_SERVICES = {
    # https://docs.discord.com/developers/resources/webhook
    "discord": _Service(
        "a Discord webhook (https://discord.com/api/webhooks/ID/TOKEN)",
        "a real Discord channel",
        r"https://(?:(?:ptb|canary)\.)?discord(?:app)?\.com",
        r"/api/(?:v\d{1,2}/)?webhooks/\d{1,20}/[A-Za-z0-9_-]{1,200}(?:\?thread_id=\d{1,20})?",
        "Discord: edit the channel > Integrations > Webhooks > Copy Webhook URL.",
    ),
    # https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    "slack": _Service(
        "a Slack incoming webhook (https://hooks.slack.com/services/T.../B.../...)",
        "a real Slack channel",
        r"https://hooks\.slack(?:-gov)?\.com",
        r"/services/T[A-Z0-9]{1,30}/B[A-Z0-9]{1,30}/[A-Za-z0-9]{1,100}",
        "Slack: api.slack.com/apps > your app > Incoming Webhooks > Copy.",
    ),
    # https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
    "teams": _Service(
        "a Teams workflow (https://....logic.azure.com/workflows/...&sig=... or"
        " https://....powerplatform.com/...&sig=...)",
        "a real Teams channel",
        r"https://(?:[A-Za-z0-9-]+\.)+(?:logic\.azure|powerplatform)\.com(?::443)?",
        rf"/{_SEEN}*workflows/{_SEEN}+[?&]sig={_SEEN}+",
        "Teams: the channel's menu > Workflows > the one that posts webhook alerts > its URL.",
    ),
    "webhook": _Service(
        "a webhook (https://HOST/...)",
        "a real one",
        rf"https://{_HOST}(?::\d{{1,5}})?",
        rf"(?:[/?]{_SEEN}*)?",
        "Any https URL that takes a POST of JSON will do, but for one with a password in it.",
    ),
}
_RETIRED = re.compile(
    r"https://(?:[A-Za-z0-9-]+\.)*(?:webhook|outlook)\.office(?:365)?\.com(?:/.*)?", re.DOTALL
)


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
        kind: the channel's type, a key of `VARIABLES`.
        loopback_allowed: whether AWS itself is the sandbox on 127.0.0.1. Then the webhook has to be
            there too, else drills would reach people; without a sandbox it may not be there.
        key: the channel's place in the configuration; begins the sentence.

    Raises:
        ConfigError: it leads elsewhere. The sentence does not hold the URL.
    """
    if fault := _webhook_fault(url, kind, loopback_allowed=loopback_allowed):
        raise ConfigError(f"{key}: {fault}" if key else fault, _SERVICES[kind].hint)


def _webhook_fault(url: str, kind: str, *, loopback_allowed: bool) -> str:
    service = _SERVICES[kind]
    if kind == "webhook" and service.is_real(url) and _leads_nowhere(urlsplit(url).hostname or ""):
        return (
            "the webhook leads to this machine or into a private network, where the function,"
            " which is in none, cannot go"
        )
    if service.is_stand_in(url) and not loopback_allowed:
        return "the webhook leads to the sandbox on 127.0.0.1, but AWS is not the sandbox"
    if service.is_real(url) and loopback_allowed:
        return (
            f"the webhook is {service.real}, but AWS is the sandbox: the sandbox would post"
            f" to a real channel; use the {VARIABLES[kind]} that it prints"
        )
    if _RETIRED.fullmatch(url.strip()):
        return (
            "this is the URL of an Office 365 connector, which Microsoft has retired: make a"
            " workflow in Teams that posts webhook alerts, and take its URL"
        )
    for other, one in _SERVICES.items():
        if other not in {kind, "webhook"} and one.is_real(url):
            return f"this is the URL of {one.title}: write type: {other}"
    return "" if service.is_stand_in(url) or service.is_real(url) else _slip(url, kind)


def _leads_nowhere(host: str) -> bool:
    """Whether no part of the internet is called so: this machine, link-local and private ones.

    An address may be written as a number, too, "2130706433", "0x7f.1": whoever connects takes that.
    Names are asked of nobody.
    """
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name if ":" in name else socket.inet_aton(name))
    except (OSError, ValueError):
        return False
    return not address.is_global or address.is_multicast


def _slip(url: str, kind: str) -> str:
    """Name the usual slips of those who copy a webhook URL."""
    service = _SERVICES[kind]
    if url != url.strip():
        return "there is white space before or after the webhook URL"
    if kind == "discord" and url.endswith(("/slack", "/github")):
        return "the webhook URL ends in /slack or /github: leave that off"
    if service.is_real(url.replace("http://", "https://", 1)):
        return "the webhook URL must begin with https://"
    if kind == "teams" and service.is_real(f"{url}&sig=x"):
        return "the webhook URL has lost its end, &sig=...: a shell cuts it at & without quotes"
    return f"this is not the URL of {service.title}"


def masked(text: str, secret: str) -> str:
    """A text that may repeat a secret without it: not whole, and not the half of it.

    Whoever repeats what he was sent may cut it. So of each part that is long enough to be what
    makes the URL a secret, its beginning and its end go, with what of it stands beside them.

    Args:
        text: what somebody else wrote.
        secret: what he was sent.
    """
    text = text.replace(secret, _MASK)
    for part in re.findall(rf"[\w-]{{{_PART},}}", secret):
        head, tail = re.escape(part[:_TELLING]), re.escape(part[-_TELLING:])
        text = re.sub(rf"{head}[\w-]*|[\w-]*{tail}", _MASK, text)
    return text


_MASK = "(secret)"
_PART = 16  # characters: fewer are a word or an id
_TELLING = 12  # of them: fewer give nothing away


def fingerprint(secret: str) -> str:
    """Tell two secrets apart without showing either: "sha256:" and 16 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()[:16]


ASKED = frozenset({"discord"})
"""The types of channel whose webhook can be asked whether it is there without posting to it."""


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
