"""What a fuzzer, and `test_any_input.py`, throws bytes at: each target takes all, or breaks.

A target ends without a word for every input that is dealt with as promised, be it refused in a
sentence; anything that it raises is a bug.
"""

import contextlib
import io
import json
import os
import tempfile
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from notifier_records import ACCOUNT, REGION, TRAIL

from ctwatch import lint, patterns
from ctwatch.config import InvalidConfigError, load
from ctwatch.detections import catalogue
from ctwatch.inert import inert
from ctwatch.notifier import discord, main, plain, slack, sns, teams, webhook
from ctwatch.notifier.errors import DeliveryError
from ctwatch.notifier.event import unpack
from ctwatch.notifier.message import compose
from ctwatch.notifier.post import Answer
from ctwatch.notifier.settings import Settings
from ctwatch.readable import transformer
from ctwatch.sandbox.inputs import shape

_FILE = Path(tempfile.mkdtemp(prefix="ctwatch-fuzz-"), "config.yaml")
_ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_ONE = [{"type": "discord", "name": "discord", "secret": "env:DISCORD_WEBHOOK_URL"}]
_SETTINGS = [
    Settings(watch="ctwatch", trail=TRAIL, language=tongue, timezone=zone, channels=())
    for tongue, zone in (("en", "UTC"), ("ko", "Asia/Seoul"))
]
_MAILS = [
    transformer(one, part.pattern, "en", "ctwatch")
    for one in catalogue().values()
    for part in one.parts
]
_RENDERED = (
    (discord.quote, discord.payload),
    (slack.quote, slack.payload),
    (teams.quote, teams.payload),
    (webhook.quote, webhook.payload),
    (plain.quote, sns.parts),
)


def config(data: bytes) -> None:
    """A file of these bytes is a config, or every complaint is a line of its own."""
    _FILE.write_bytes(data)
    try:
        load(_FILE)
    except InvalidConfigError as error:
        told = error.problem.splitlines()
        assert told
        assert all(line.startswith(f"{_FILE}: ") for line in told), told
        inert(error.problem).encode()


def pattern(data: bytes) -> None:
    """The first line is a pattern or not, its canonical form means the same, it can be linted."""
    first, _, rest = data.decode("utf-8", "replace").partition("\n")
    event = _json(rest.encode())
    event = event if isinstance(event, dict) else {}
    document = _json(first.encode())
    if isinstance(document, dict):
        lint.examine(document)
    try:
        patterns.check(first)
    except patterns.PatternError as error:
        inert(error.problem).encode()
        return
    found = patterns.matches(first, event)
    assert patterns.matches(patterns.canonical(first), event) is found


def notifier(data: bytes) -> None:
    """Lambda hands over this JSON: the channel is told, whatever it is."""
    given = _json(data)
    told = io.StringIO()
    with environment(CTWATCH_CHANNELS=json.dumps(_ONE)), contextlib.redirect_stdout(told):
        answer = main.handler(given, None)
    assert sum(answer.values()) >= 1
    for line in told.getvalue().splitlines():
        assert json.loads(line)["ctwatch"] in {"delivered", "duplicate", "skipped"}, line


def record(data: bytes) -> None:
    """A record of this JSON becomes a message, within limits and inert.

    Of which kind, in which language, and which rule's mail, the bytes themselves say: all of them
    at each run would make a tenth as many runs.
    """
    detail, choice = _json(data), zlib.crc32(data)
    quote, payload = _RENDERED[choice % len(_RENDERED)]
    settings, mail = _SETTINGS[choice % len(_SETTINGS)], _MAILS[choice % len(_MAILS)]
    envelope = {"id": "e", "detail-type": "AWS API Call via CloudTrail", "detail": detail}
    envelope |= {"source": "aws.cloudtrail", "account": ACCOUNT, "region": REGION}
    for event in unpack(envelope):
        _tame(payload(compose(event, settings, quote)))
    shape({"InputTransformer": mail}, envelope, "arn:aws:events:::rule/r", "")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "config": config,
    "pattern": pattern,
    "notifier": notifier,
    "record": record,
}


def _tame(message: Any) -> None:
    """It can be sent, and what people read of it holds nothing that acts or hides."""
    json.dumps(message).encode()
    shown = {key: message[key] for key in ("text", "headline") if key in message}
    shown = shown if message.get("schema") else message
    text = json.dumps(shown, ensure_ascii=False)
    acting = {one for one in set(text) if unicodedata.category(one) in _ACTING}
    assert not acting, acting
    if "allowed_mentions" in message:
        assert "@everyone" not in text
    assert "<!channel>" not in text or "blocks" not in message


def _json(data: bytes) -> Any:
    """What JSON makes of it; the text itself where it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")


@contextlib.contextmanager
def environment(**more: str) -> Any:
    """The function's variables, and a post that takes what it is given, if that is whole."""
    before, exchange = dict(os.environ), main.post._exchange
    os.environ.update(
        {
            "CTWATCH_WATCH": "ctwatch",
            "CTWATCH_TRAIL": TRAIL,
            "CTWATCH_LANGUAGE": "en",
            "DISCORD_WEBHOOK_URL": "http://127.0.0.1:1/api/webhooks/1/fuzzed",
            **more,
        }
    )
    main.post._exchange = _taken
    try:
        yield
    finally:
        main.post._exchange = exchange
        os.environ.clear()
        os.environ.update(before)


def _taken(_service: Any, _url: Any, body: bytes, _timeout: float) -> Answer:
    if not json.loads(body):
        raise DeliveryError("The body is empty.")
    return Answer(200, b'{"id": "1"}')
