"""What people read of every detection, on every channel, in both languages, as files to review.

    tests/golden/messages/DETECTION.LANGUAGE.CHANNEL.yaml

They are written anew with CTWATCH_GOLDEN=write in the environment, and at no other time.
"""

import json
import os
from pathlib import Path

import pytest
import yaml
from notifier_records import event, sns

from ctwatch.detections import SAMPLE, catalogue
from ctwatch.notifier import discord, slack, teams, webhook
from ctwatch.notifier import sns as sns_channel
from ctwatch.notifier.event import unpack
from ctwatch.notifier.message import compose
from ctwatch.notifier.settings import Settings
from ctwatch.notifier.severity import CONSEQUENCES, follows
from ctwatch.notifier.words import LANGUAGES

GOLDEN = Path(__file__).parent / "golden" / "messages"
WRITES = os.environ.get("CTWATCH_GOLDEN") == "write"
PROBE = "ctwatch-probe-7f3k2"


def watch(language):
    urls = [url.rpartition("/")[2] for url in SAMPLE["queue_urls"]]
    keys = [arn.rpartition("/")[2] for arn in SAMPLE["keys"]]
    single = [SAMPLE[word] for word in ("bucket", "topic", "function")]
    several = [
        one for word in ("roles", "rules", "log_groups", "parameters") for one in SAMPLE[word]
    ]
    own = [*single, *several, *urls, *keys]
    return Settings(
        watch="ctwatch",
        trail=SAMPLE["trail_arn"],
        language=language,
        timezone="Asia/Seoul",
        channels=(),
        bucket=SAMPLE["bucket"],
        key="",
        log_group="arn:aws:logs:ap-northeast-2:123456789012:log-group:/aws/cloudtrail/ct-trail-monitor",
        deliveries="arn:aws:sns:ap-northeast-2:123456789012:ctwatch-deliveries",
        own=frozenset(own),
    )


def told_by_sns(message):
    return {
        "subject": sns_channel.subject(message.headline),
        "ascii_subject": sns_channel.ascii_subject(message.ascii_headline),
        **sns_channel.parts(message),
    }


CHANNELS = {
    "discord": (discord.quote, discord.payload),
    "slack": (slack.quote, slack.payload),
    "teams": (teams.quote, teams.payload),
    "webhook": (webhook.quote, webhook.payload),
    "sns": (sns_channel.quote, told_by_sns),
}


def failed(one):
    detail = one["detail"]
    return bool(detail.get("errorCode") or detail.get("errorMessage"))


def telling(examples):
    """The first that succeeded and the first that did not, if there are both."""
    split = [[one for one in examples if failed(one) == wanted] for wanted in (False, True)]
    return [ones[0] for ones in split if ones]


def consequential():
    """For each consequence, the first example of the catalogue that succeeded and has it."""
    fired = [one for detection in catalogue().values() for one in detection.examples.fires]
    real = [(one, follows(unpack(one)[0], watch("en"))) for one in fired if not failed(one)]
    found = (next(one for one, ends in real if wanted in ends) for wanted in CONSEQUENCES)
    return list({json.dumps(one): one for one in found}.values())


DRILL = event(
    eventName="DeleteTrail",
    requestParameters={"name": PROBE},
    errorCode="TrailNotFoundException",
    errorMessage=f"Unknown trail: {PROBE}",
)
TOLD = {
    **{one.id: telling(one.examples.fires) for one in catalogue().values()},
    "_consequences": consequential(),
    "_drill": [DRILL],
    "_synthetic": [event(eventName="StopLogging") | {"ctwatch": {"synthetic": True}}],
    "_unreadable": [sns("hello @everyone <https://evil.example|click>")],
}


class _Readable(yaml.SafeDumper):
    """Texts of several lines as such."""


def _text(dumper, value):
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Readable.add_representer(str, _text)


def rendered(name, language, channel):
    quote, payload = CHANNELS[channel]
    events = [unpack(one)[0] for one in TOLD[name]]
    documents = [payload(compose(one, watch(language), quote)) for one in events]
    return yaml.dump_all(
        documents, Dumper=_Readable, allow_unicode=True, sort_keys=False, width=10_000
    )


def file_name(name, language, channel):
    return f"{name}.{language}.{channel}.yaml"


@pytest.mark.parametrize("name", TOLD)
def test_every_message_reads_as_it_was_reviewed(name):
    for language in LANGUAGES:
        for channel in CHANNELS:
            file = GOLDEN / file_name(name, language, channel)
            text = rendered(name, language, channel)
            if WRITES:
                file.write_text(text, "utf-8")
            assert file.is_file(), f"{file.name} is missing: run with CTWATCH_GOLDEN=write"
            assert file.read_text("utf-8") == text, file.name


def test_no_message_is_kept_of_what_is_no_more():
    known = {file_name(*key) for key in _all()}
    stale = {path for path in GOLDEN.iterdir() if path.name not in known}
    if WRITES:
        for path in stale:
            path.unlink()
        stale = set()
    assert stale == set()


def _all():
    return ((name, lang, channel) for name in TOLD for lang in LANGUAGES for channel in CHANNELS)
