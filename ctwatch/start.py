"""`ctwatch init`: the commented example becomes a config of one's own."""

import re
from importlib.resources import files
from pathlib import Path

from ctwatch.config import parse

_NAME = "config.example.yaml"


def example() -> str:
    """The commented example: in a wheel beside the code, in a checkout at the top."""
    packaged = files("ctwatch") / _NAME
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parent.parent / _NAME).read_text(encoding="utf-8")


def fresh(text: str, *, region: str, email: str) -> str:
    """The example with a region and an address of one's own.

    Raises:
        ConfigError: one of them is not right; the sentence names the key.
    """
    wish = {"region": region, "topic": {"emails": [email]}}
    parse(wish, "ctwatch init")
    text = re.sub(r"(?m)^region: \S+", f"region: {region}", text, count=1)
    return text.replace("security@example.com", email)
