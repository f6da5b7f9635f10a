"""The function's environment -> Settings, and where the secrets are.

    CTWATCH_WATCH      name of the watch
    CTWATCH_TRAIL      ARN of the watch's own trail
    CTWATCH_BUCKET     the bucket that trail delivers to, if known
    CTWATCH_KEY        ARN of the key it encrypts with, "" for none; left out when not known
    CTWATCH_LOG_GROUP  ARN of the log group that it delivers to; left out when there is none
    CTWATCH_DELIVERIES ARN of the topic that it tells of log files; left out when there is none
    CTWATCH_OWN        JSON list of the names of what else is the watch's: rules, topic, function,
                       role, queues, log groups, parameters, bucket, ids of keys; no ARNs. Left
                       out, as it is where there is no room for it: every resource counts as the
                       watch's, by the call alone
    CTWATCH_LANGUAGE   ko or en
    CTWATCH_TIMEZONE   IANA name
    CTWATCH_CHANNELS   JSON: [{"name": "discord", "type": "discord", "secret": "ssm:/path"}, ...]

An entry of CTWATCH_CHANNELS:

    name               what the log calls it; the memory of what was sent goes by it
    type               discord, slack, teams, webhook or sns
    secret             a reference, `ssm:/path` or `env:NAME`, to the webhook's URL (not for sns);
                       its value is fetched when it is needed
    topic              the ARN of the topic (sns alone)
    min_severity       optional: low, medium, high or critical; less is not told there
    only               optional: ids of detections; no other is told there

Only the channels are indispensable: an alert in the wrong language is still an alert. For the
same reason a min_severity or an `only` that is none is passed over: too much is told, not less.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import aws
from .custom import Custom
from .errors import DeliveryError, SettingsError

SECRET_SECONDS = 300.0  # so that a rotated secret is used after five minutes at most
LEVELS = ("low", "medium", "high", "critical")


@dataclass(frozen=True)
class Channel:
    """One place where people read.

    Attributes:
        name: what the log calls it.
        type: "discord", "slack", "teams", "webhook" or "sns".
        secret: the reference of the webhook's URL; "" for sns.
        topic: the topic's ARN; "" for all but sns.
        min_severity: the least of LEVELS that is told here.
        only: ids of detections; empty for all.
    """

    name: str
    type: str
    secret: str = ""
    topic: str = ""
    min_severity: str = LEVELS[0]
    only: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Settings:
    """What the notifier was told by `ctwatch up`; three of them are None when it was not.

    `own` holds names in lower case; `custom` are the detections that the user wrote himself.
    """

    watch: str
    trail: str
    language: str
    timezone: str
    channels: tuple[Channel, ...]
    bucket: str | None = None
    key: str | None = None
    log_group: str = ""
    deliveries: str = ""
    own: frozenset[str] | None = None
    custom: tuple[Custom, ...] = ()


def read_settings(environ: Mapping[str, str], custom: tuple[Custom, ...] = ()) -> Settings:
    """The settings in the function's environment, and the detections that its zip carries.

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
        bucket=environ.get("CTWATCH_BUCKET"),
        key=environ.get("CTWATCH_KEY"),
        log_group=environ.get("CTWATCH_LOG_GROUP", ""),
        deliveries=environ.get("CTWATCH_DELIVERIES", ""),
        own=_own(environ.get("CTWATCH_OWN", "")),
        custom=custom,
    )


def _own(text: str) -> frozenset[str] | None:
    """None, and so everything, when it is no list: rather too much is told than too little."""
    try:
        names = json.loads(text)
    except ValueError:
        return None
    return frozenset(str(name).casefold() for name in names) if isinstance(names, list) else None


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
    given = entry if isinstance(entry, dict) else {}
    address = "topic" if given.get("type") == "sns" else "secret"
    keys = ("name", "type", address)
    if not all(isinstance(given.get(key), str) for key in keys):
        raise SettingsError(
            f"Each channel in CTWATCH_CHANNELS needs the texts name, type, {address}."
        )
    least, only = given.get("min_severity"), given.get("only")
    return Channel(
        name=given["name"],
        type=given["type"],
        min_severity=least if least in LEVELS else LEVELS[0],
        only=frozenset(map(str, only)) if isinstance(only, list) else frozenset(),
        **{address: given[address]},
    )


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
    try:
        answer = aws.client("ssm").get_parameter(Name=name, WithDecryption=True)
    except aws.failures() as error:
        reason = aws.code(error)
    else:
        return str(answer["Parameter"]["Value"])
    raise DeliveryError(f"The SSM parameter {name} could not be read: {reason}.")
