"""What strangers wrote reaches neither a terminal nor a channel but as text that can be read.

Strangers' are AWS's error messages, all names, tags and addresses in its answers, log lines, dead
letters, user agents, the names in a call, and what a webhook answers.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hostile import ACTING, BROKEN, MARK, PINGING, assert_safe_to_print
from permitted import Judge, judged
from watch_world import ADDRESS, PLAIN, World, world_of

from ctwatch.cli import main
from ctwatch.demo import _Story
from ctwatch.render import Screen
from ctwatch.sandbox.calls import Hop
from ctwatch.sandbox.inbox import Mail
from ctwatch.sandbox.server import Sandbox
from ctwatch.secret import VARIABLES

CHANNELS = [{"type": kind, "url": f"env:{name}"} for kind, name in VARIABLES.items()]


@pytest.fixture(scope="module")
def world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("hostile")) as world:
        world.use({**PLAIN, "channels": CHANNELS})
        assert world.run("up").code == 0
        world.click()
        yield world


Say = Callable[..., str]


@pytest.fixture
def say(world: World, capsys: pytest.CaptureFixture[str]) -> Iterator[Say]:
    """Runs a command, sees that what it printed is safe, and returns that."""

    def run(*arguments: str) -> str:
        capsys.readouterr()
        given = [*arguments, "--config", str(world.config)]
        with judged(Judge(given)):  # whether it may ask things with such names is no matter here
            main(given)
        printed = "".join(capsys.readouterr())
        assert_safe_to_print(printed)
        return printed

    yield run
    world.refuse = world.spoil = lambda *_: None


_PAGE = "https://sns.ap-northeast-2.amazonaws.com/confirmation.html"
_TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:sns-cloudtrail-alarm"
COMMANDS = {
    "up": ("up",),
    "plan": ("plan",),
    "status": ("status",),
    "status as JSON": ("status", "--json"),
    "status of the logs": ("status", "--logs"),
    "simulate": ("simulate", "stop-logging", "--timeout", "0.1"),
    "alerts": ("alerts",),
    "confirm": ("confirm", f"{_PAGE}?TopicArn={_TOPIC}&Token=2336412f37"),
    "history": ("history", "--since", "2h"),
    "history of the bucket": ("history", "ask", "root", "--from", "bucket", "--since", "2h"),
    "down": ("down", "--yes"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_error_of_awss_is_quoted_on_one_line_and_inert(
    world: World, say: Say, command: tuple[str, ...]
) -> None:
    world.refuse = lambda service, *_: None if service == "sts" else (ACTING, ACTING)
    assert MARK in say(*command)


def test_whoever_cannot_even_be_asked_who_he_is_is_told_so_safely(world: World, say: Say) -> None:
    world.refuse = lambda *_: (ACTING, ACTING)
    assert MARK in say("status")


def spoiled(answer: Any, text: str) -> Any:
    """The answer of an AWS where strangers have named everything."""
    if isinstance(answer, dict):
        return {key: spoiled(value, text) for key, value in answer.items()}
    if isinstance(answer, list):
        return [spoiled(one, text) for one in answer]
    if not isinstance(answer, str) or answer in {"true", "false"} or answer.isdigit():
        return answer
    if answer.startswith("{"):  # a policy, which AWS has read itself
        return json.dumps(spoiled(json.loads(answer), text))
    return f"{answer}{text}"


def spoil_one(world: World, operation: str, **more: Any) -> None:
    """Let one operation answer so, or else with `more`."""

    def spoil(_: str, name: str, parsed: Any) -> None:
        if name == operation:
            named = {k: v for k, v in parsed.items() if k != "ResponseMetadata"}
            parsed |= more or spoiled(named, ACTING)

    world.spoil = spoil


TELLING: list[tuple[str, dict[str, Any]]] = [
    ("ListSubscriptionsByTopic", {}),
    ("GetTrailStatus", {"LatestDeliveryError": ACTING}),
]
# command -> of how many of the answers, at least, something is printed
READING = {"plan": 15, "status": 9, "status as JSON": 9, "status of the logs": 1, "history": 1}


@pytest.mark.parametrize(("operation", "more"), TELLING)
def test_what_aws_tells_of_strangers_is_printed_inert(
    world: World, say: Say, operation: str, more: dict[str, Any]
) -> None:
    spoil_one(world, operation, **more)
    assert MARK in say("status")


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", READING)
def test_whatever_any_answer_says_is_printed_inert(world: World, say: Say, command: str) -> None:
    with world.sandbox.recording() as calls:
        say(*COMMANDS[command])
    told = []
    for operation in dict.fromkeys(one.operation for one in calls):
        spoil_one(world, operation)
        told.append(MARK in say(*COMMANDS[command]))
    assert sum(told) >= READING[command]


# ---------------------------------------------------------------- an event that is hostile itself


def strike(world: World, name: str = BROKEN + PINGING) -> str:
    """A call on a trail of such a name, by a program that calls itself so; its request id."""
    client = world.client("cloudtrail")

    def introduce(request: Any, **_: Any) -> None:
        request.headers["User-Agent"] = f"{MARK} {PINGING}"

    client.meta.events.register("before-send.cloudtrail", introduce, unique_id="introduce")
    try:
        with pytest.raises(client.exceptions.ClientError) as caught:
            client.stop_logging(Name=name)
    finally:
        client.meta.events.unregister("before-send.cloudtrail", unique_id="introduce")
    assert world.sandbox.idle(20)
    return str(caught.value.response["ResponseMetadata"]["RequestId"])


@pytest.fixture(scope="module")
def struck(world: World) -> str:
    return strike(world)


# What would act in a channel, were it not inert there. A program's document alone holds the texts
# as they were recorded, in fields of their own, of which its description warns.
ACTS = {
    "discord": r"(?<!`)@(everyone|here)|<[@#]|\]\(https|\*\*b",
    "slack": r"<[!@#]",
    "teams": r"\{\{",
}


@pytest.mark.parametrize("service", ["discord", "slack", "teams", "webhook"])
def test_a_hostile_event_reaches_a_channel_as_text_alone(
    world: World, struck: str, service: str
) -> None:
    posts = [one.payload for one in world.sandbox.inbox.posts if one.service == service]
    [payload] = [one for one in posts if struck in json.dumps(one)]
    if service == "webhook":
        payload = {key: payload[key] for key in ("headline", "text", "notes", "severity")}
    texts = list(texts_of(payload))
    assert any(MARK in text for text in texts)
    for text in texts:
        assert_safe_to_print(text)
        outside = re.sub(r"`[^`]*`", "", text) if service in {"discord", "slack"} else ""
        assert MARK not in outside
        assert not re.search(ACTS.get(service, "never"), outside)
    if service == "discord":
        assert payload["allowed_mentions"] == {"parse": []}
        assert "@everyone" not in "".join(texts)
    if service == "teams":
        assert "{{" not in "".join(texts)
        assert_nothing_but_runs(payload)


def texts_of(payload: Any) -> Iterator[str]:
    """Every text in a message."""
    if isinstance(payload, str):
        yield payload
    elif isinstance(payload, list | dict):
        for one in payload.values() if isinstance(payload, dict) else payload:
            yield from texts_of(one)


def assert_nothing_but_runs(payload: Any) -> None:
    """A card renders markdown in all its texts but a TextRun's."""
    [card] = [one["content"] for one in payload["attachments"]]
    for block in card["body"]:
        assert block["type"] == "RichTextBlock"
        assert {run["type"] for run in block["inlines"]} == {"TextRun"}


def test_a_hostile_event_is_told_by_alerts_inert(say: Say, struck: str) -> None:
    told = say("alerts", "--json")
    assert struck in told
    assert say("alerts").count("StopLogging") >= 1


def test_a_log_may_hold_anything(world: World, say: Say) -> None:
    line = {
        **dict.fromkeys(("event_name", "title", "severity", "actor", "error", "channel"), BROKEN),
        "ctwatch": "failed",
        "event_id": "e",
        "request_id": BROKEN,
        "status": None,
        **dict.fromkeys(("received", "sent"), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"),
    }
    logs = {"logGroupName": "/aws/lambda/lambda-ct-detect-alarm", "logStreamName": "stranger"}
    world.client("logs").create_log_stream(**logs)
    stamped = int(datetime.now(UTC).timestamp() * 1000)
    event = {"timestamp": stamped, "message": json.dumps(line)}
    world.client("logs").put_log_events(**logs, logEvents=[event])
    assert MARK in say("alerts")
    alerts = json.loads(say("alerts", "--json"))["alerts"]
    assert [one["actor"] for one in alerts if one["event_id"] == "e"] == [BROKEN]


def test_a_mail_of_text_has_no_line_but_ours(world: World) -> None:
    world.use({"channels": [], "topic": {"emails": [ADDRESS]}, "route": "formatted"})
    assert world.run("up").code == 0
    world.click()
    with pytest.raises(ClientError):
        world.client("cloudtrail").stop_logging(Name=BROKEN + PINGING)
    assert world.sandbox.idle(20)
    mail = world.sandbox.inbox.mails[-1]
    assert MARK in mail.text
    assert_safe_to_print(mail.subject + "\n" + mail.text)
    assert "https://evil" not in mail.text


ENGLISH = {"alerts": {"language": "en"}}


def mailed(world: World, route: str) -> tuple[Mail, str]:
    """The mail of a hostile call that AWS words on this route, and the call's request id."""
    world.use({"channels": CHANNELS[:1], "topic": {"emails": [ADDRESS]}, "route": route, **ENGLISH})
    assert world.run("up").code == 0
    world.click()
    request = strike(world, ACTING + PINGING)  # AWS's own texts are UTF-8: no halves of characters
    [mail] = [one for one in world.sandbox.inbox.mails if request in one.text]
    return mail, request


def assert_plain(mail: Mail) -> None:
    """No program shows it as anything but text, and its subject is AWS's own."""
    sent = message_from_bytes(mail.path.read_bytes())
    assert (sent.get_content_type(), sent.is_multipart()) == ("text/plain", False)
    assert mail.subject == "AWS Notification Message"


def test_a_mail_that_eventbridge_words_begins_with_what_nobody_typed(world: World) -> None:
    """AWS escapes nothing in it, which SECURITY.md says; so its head must do without."""
    mail, request = mailed(world, "direct")
    assert_plain(mail)
    head, typed, rest = mail.text.partition(f'"Trail: {MARK}')
    [record] = [one for one in world.sandbox.calls if one.event_id and one.event_id in head]
    assert record.call.operation == "StopLogging"
    assert head.splitlines()[0].startswith('"CloudTrail trail tampering (severity')
    assert [line.strip('"').partition(": ")[0] for line in head.splitlines()[1:]] == [
        *("Event", "Result (empty", "Event ID", "See it in the AWS console")
    ]
    assert (MARK in head, typed != "") == (False, True)
    assert request in rest
    assert rest.count(MARK) == 0


def test_a_mail_of_json_holds_what_was_typed_as_values_of_known_keys(world: World) -> None:
    mail, request = mailed(world, "fanout")
    assert_plain(mail)
    event, _ = json.JSONDecoder().raw_decode(mail.text)
    assert event["detail"]["requestID"] == request
    assert {path for path, text in leaves_of(event) if MARK in text} == {
        *("detail.requestParameters.name", "detail.userAgent")
    }


def leaves_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value of a document by its path, each key as a value, too."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in pairs:
            yield "a key", str(key)
            yield from leaves_of(one, f"{path}.{key}".lstrip("."))
    else:
        yield path, str(value)


# ---------------------------------------------------------------- what the sandbox tells

PAYLOADS: dict[str, Any] = {
    "discord": {"content": BROKEN, "embeds": [{"title": BROKEN, "url": BROKEN}]},
    "slack": {"text": BROKEN, "blocks": [{"type": "header", "text": {"text": BROKEN}}]},
    "teams": {"attachments": [{"content": {"body": [{"inlines": [{"text": BROKEN}]}]}}]},
    "webhook": {"headline": BROKEN, "text": BROKEN, "severity": BROKEN},
}


@pytest.mark.parametrize("service", PAYLOADS)
def test_the_sandbox_shows_a_message_as_text(
    service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"payload": PAYLOADS[service]}
    _Story(Screen()).tell(Hop(datetime.now(UTC), "webhook", service, True, BROKEN, told))
    printed = "".join(capsys.readouterr())
    assert printed.count(MARK) > 1
    assert_safe_to_print(printed)


@pytest.mark.parametrize("stage", ["function", "rule", "topic", "mail"])
def test_the_sandbox_tells_what_strangers_chose_as_text(
    stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    link = {"link": BROKEN} if stage == "mail" else {}
    _Story(Screen()).tell(Hop(datetime.now(UTC), stage, BROKEN, False, BROKEN, link))
    printed = "".join(capsys.readouterr())
    assert MARK in printed
    assert_safe_to_print(printed)


@pytest.mark.parametrize("arguments", [[BROKEN], ["status", f"--{BROKEN}"], ["status", BROKEN]])
def test_what_click_repeats_of_an_argument_is_inert(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = "".join(capsys.readouterr())
    assert MARK in printed
    assert_safe_to_print(printed)
