"""The function's environment -> Settings, and where the secrets are.

    CTWATCH_WATCH      name of the watch
    CTWATCH_TRAIL      ARN of the watch's own trail
    CTWATCH_LANGUAGE   ko or en
    CTWATCH_TIMEZONE   IANA name
    CTWATCH_CHANNELS   JSON: [{"name": "discord", "type": "discord", "secret": "ssm:/path"}, ...]

A secret is a reference, `ssm:/path` or `env:NAME`; its value is fetched when it is needed.
Only the channels are indispensable: an alert in the wrong language is still an alert.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import DeliveryError, SettingsError

SECRET_SECONDS = 300.0  # so that a rotated secret is used after five minutes at most


@dataclass(frozen=True)
class Channel:
    """One place where people read: its name, its type ("discord"), the reference of its secret."""

    name: str
    type: str
    secret: str


@dataclass(frozen=True)
class Settings:
    """What the notifier was told by `ctwatch up`."""

    watch: str
    trail: str
    language: str
    timezone: str
    channels: tuple[Channel, ...]


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings in the function's environment.

    Raises:
        SettingsError: CTWATCH_CHANNELS is missing, empty or not as documented.
    """
    language = environ.get("CTWATCH_LANGUAGE", "")
    return Settings(
        watch=environ.get("CTWATCH_WATCH", ""),
        trail=environ.get("CTWATCH_TRAIL", ""),
        language=language if language in {"ko", "en"} else "en",
        timezone=environ.get("CTWATCH_TIMEZONE", "UTC"),
        channels=_channels(environ.get("CTWATCH_CHANNELS", "")),
    )


def _channels(text: str) -> tuple[Channel, ...]:
    try:
        listed = json.loads(text)
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not listed:
        raise SettingsError(
            "CTWATCH_CHANNELS is not a JSON list of at least one channel: nobody would be told."
        )
    return tuple(_channel(entry) for entry in listed)


def _channel(entry: Any) -> Channel:
    keys = ("name", "type", "secret")
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in keys):
        raise SettingsError("Each channel in CTWATCH_CHANNELS needs the texts name, type, secret.")
    return Channel(entry["name"], entry["type"], entry["secret"])


class Secrets:
    """The values behind the references, kept for five minutes at most.

    Args:
        environ: where `env:` references look.
        clock: seconds of the wall clock; a container that AWS freezes has no other that goes on.
    """

    def __init__(
        self, environ: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.time
    ) -> None:
        self._environ = environ
        self._clock = clock
        self._kept: dict[str, tuple[float, str]] = {}

    def get(self, reference: str) -> str:
        """The value behind `reference`.

        Raises:
            DeliveryError: there is no such secret, or it is empty, or it may not be read.
        """
        kept_at, value = self._kept.get(reference, (0.0, ""))
        if value and 0 <= self._clock() - kept_at < SECRET_SECONDS:
            return value
        value = self._fetch(reference).strip()
        if not value:
            raise DeliveryError(f"The secret {reference} is empty or not there.")
        self._kept[reference] = (self._clock(), value)
        return value

    def forget(self, reference: str) -> None:
        """Fetch it anew next time: what did not work may have been replaced."""
        self._kept.pop(reference, None)

    def _fetch(self, reference: str) -> str:
        kind, _, name = reference.partition(":")
        if kind == "env":
            return self._environ.get(name, "")
        if kind == "ssm":
            return _parameter(name)
        # Not quoted: whoever wrote a value where a reference belongs wrote a secret.
        raise DeliveryError("A channel's secret is neither env:NAME nor ssm:/path.")


def _parameter(name: str) -> str:
    # boto3 takes longer to import than all the rest; the `env:` form starts without it.
    import boto3  # noqa: PLC0415 - see above
    from botocore.config import Config  # noqa: PLC0415 - see above
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see above

    # Two tries of four seconds leave the channel its five of the function's fifteen.
    patience = Config(
        connect_timeout=2, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2}
    )
    try:
        ssm = boto3.client("ssm", region_name=os.environ.get("AWS_REGION"), config=patience)
        return ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    except ClientError as error:
        reason = str(error.response.get("Error", {}).get("Code", "ClientError"))
    except BotoCoreError as error:
        reason = type(error).__name__
    raise DeliveryError(f"The SSM parameter {name} could not be read: {reason}.")
