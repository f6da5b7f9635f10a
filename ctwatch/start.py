"""`ctwatch init`: the commented example becomes a config of one's own."""

import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Literal

from ctwatch.config import InvalidConfigError, parse
from ctwatch.errors import ConfigError

_NAME = "config.example.yaml"

PROPOSED = {
    "region": "ap-northeast-2",
    "email": "security@example.com",
    "webhook": "env:DISCORD_WEBHOOK_URL",
}
"""What is asked for, and what it is when the answer is empty."""


def example() -> str:
    """The commented example: in a wheel beside the code, in a checkout at the top."""
    packaged = files("ctwatch") / _NAME
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parent.parent / _NAME).read_text(encoding="utf-8")


def fresh(
    text: str, language: Literal["en", "ko"], *, region: str, email: str, webhook: str
) -> str:
    """Give the example with a region, addresses and a webhook of one's own.

    Args:
        text: the example.
        language: of the alerts; times are shown in UTC alone unless it is Korean.
        region: the home region.
        email: who gets mail; several with commas between them.
        webhook: where the webhook's URL is; a reference, never the URL.

    Raises:
        ConfigError: one of them is not right; the sentence names the key.
    """
    _check(region, email, webhook, "ctwatch init")
    text = re.sub(r"(?m)^region: \S+", f"region: {region}", text, count=1)
    # In quotes, as an address may hold what YAML reads as its own; it never holds a quote.
    text = text.replace("[security@example.com]", json.dumps(_addresses(email)))
    if language != "ko":
        text = text.replace("  language: ko ", f"  language: {language} ")
        text = text.replace("  timezone: Asia/Seoul ", "  timezone: UTC ")
    return text.replace('"env:DISCORD_WEBHOOK_URL"', json.dumps(webhook, ensure_ascii=False))


def check_answer(key: str, value: str) -> None:
    """See whether one answer, "region", "email" or "webhook", may stand in a config.

    Raises:
        ConfigError: it may not; the sentence does not repeat a secret.
    """
    try:
        _check(**PROPOSED | {key: value}, source="")
    except InvalidConfigError as error:
        reasons = (str(replace(one, path="")) for one in error.complaints)
        raise ConfigError("; ".join(reasons)) from None


def _check(region: str, email: str, webhook: str, source: str) -> None:
    channel = {"type": "discord", "url": webhook}
    parse({"region": region, "topic": {"emails": _addresses(email)}, "channels": [channel]}, source)


def _addresses(email: str) -> list[str]:
    return [one.strip() for one in email.split(",")]
