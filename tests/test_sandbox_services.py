"""The stand-ins for Slack, Teams and any webhook: what they take, and what they do not."""

import copy
import http.client
import json
from urllib.parse import urlsplit

import pytest

from ctwatch.clock import Clock
from ctwatch.sandbox.inbox import Inbox

KINDS = ["slack", "teams", "webhook"]
JSON = "application/json"
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "s"}}
SLACK = {
    "text": "t",
    "blocks": [
        {"type": "header", "text": {"type": "plain_text", "text": "h"}},
        SECTION,
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "c"}]},
    ],
}
CARD = {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "RichTextBlock"}]}
ATTACHMENT = {"contentType": "application/vnd.microsoft.card.adaptive", "content": CARD}
TEAMS = {"type": "message", "attachments": [ATTACHMENT]}
WEBHOOK = {"schema": "ctwatch.alert/1"}
GOOD = {"slack": SLACK, "teams": TEAMS, "webhook": WEBHOOK}


@pytest.fixture
def inbox(tmp_path):
    one = Inbox(tmp_path / "mail", Clock())
    one.start()
    yield one
    one.stop()


def send(url, body, *, method="POST", kind=JSON):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, f"{parts.path}?{parts.query}", raw, {"Content-Type": kind})
    answer = connection.getresponse()
    said = answer.status, answer.read().decode()
    connection.close()
    return said


@pytest.mark.parametrize(
    ("kind", "answer"), [("slack", (200, "ok")), ("teams", (202, "")), ("webhook", (200, ""))]
)
def test_each_takes_what_its_service_takes_and_answers_as_it(inbox, kind, answer):
    assert send(inbox.webhook_urls[kind], GOOD[kind], kind=f"{JSON}; charset=utf-8") == answer
    [post] = inbox.posts
    assert (post.service, post.payload, post.status, post.taken) == (
        kind, GOOD[kind], answer[0], True,
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_takes_nothing_of_another_s_form(inbox, kind):
    for other in [*KINDS, "discord"]:
        if other != kind:
            assert send(inbox.webhook_urls[kind], GOOD.get(other, {"content": "x"}))[0] == 400
    assert [post.taken for post in inbox.posts] == [False] * 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"", {}])
def test_what_is_no_such_document_is_refused(inbox, kind, body):
    assert send(inbox.webhook_urls[kind], body)[0] == 400


@pytest.mark.parametrize(("kind", "status"), [("slack", 400), ("teams", 400), ("webhook", 415)])
def test_what_does_not_say_that_it_is_json_is_refused(inbox, kind, status):
    assert send(inbox.webhook_urls[kind], GOOD[kind], kind="text/plain")[0] == status


@pytest.mark.parametrize("kind", KINDS)
def test_none_of_them_can_be_asked(inbox, kind):
    assert send(inbox.webhook_urls[kind], b"", method="GET")[0] == 405
    assert inbox.posts == ()


@pytest.mark.parametrize(("kind", "status"), [("slack", 404), ("teams", 401), ("webhook", 404)])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_secret_is_refused(inbox, kind, status, method):
    url = inbox.webhook_urls[kind]
    assert send(f"{url}x", GOOD[kind], method=method)[0] == status
    assert send(url[:-1], GOOD[kind], method=method)[0] == status
    if kind == "teams":
        assert send(url.partition("&sig=")[0], TEAMS)[0] == 401
    assert not any(post.taken for post in inbox.posts)


def test_no_two_have_the_same_urls(tmp_path):
    secrets = []
    for _ in range(2):
        inbox = Inbox(tmp_path, Clock())
        secrets += [one.address for one in inbox.stand_ins.values()]
    assert len(set(secrets)) == 6


def changed(document, path, value):
    document = copy.deepcopy(document)
    *way, last = path
    inner = document
    for key in way:
        inner = inner[key]
    inner[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["blocks"], [SECTION] * 51, "invalid_blocks"),
        (["blocks"], "no", "invalid_blocks"),
        (["blocks", 0], "no", "invalid_blocks"),
        (["blocks", 0, "type"], "heading", "invalid_blocks"),
        (["blocks", 0, "text", "text"], "x" * 151, "invalid_blocks"),
        (["blocks", 0, "text", "text"], "", "invalid_blocks"),
        (["blocks", 0, "text", "type"], "mrkdwn", "invalid_blocks"),
        (["blocks", 1, "text", "text"], "x" * 3001, "invalid_blocks"),
        (["blocks", 1, "text"], "s", "invalid_blocks"),
        (["blocks", 2, "elements"], [], "invalid_blocks"),
        (["blocks", 2, "elements"], [SECTION["text"]] * 11, "invalid_blocks"),
        (["blocks", 2, "elements", 0], "c", "invalid_blocks"),
    ],
)
def test_slack_s_limits_are_kept(inbox, path, value, said):
    answer = send(inbox.webhook_urls["slack"], changed(SLACK, path, value))
    assert answer == (400, said)


@pytest.mark.parametrize("payload", [{}, {"text": ""}, {"text": 5}, {"blocks": []}])
def test_slack_wants_a_text(inbox, payload):
    assert send(inbox.webhook_urls["slack"], payload) == (400, "no_text")


@pytest.mark.parametrize("payload", [{"text": "x"}, {"blocks": [SECTION, {"type": "divider"}]}])
def test_slack_takes_a_text_alone_and_blocks_alone(inbox, payload):
    assert send(inbox.webhook_urls["slack"], payload) == (200, "ok")


CONTENT = ["attachments", 0, "content"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["type"], "MessageCard"),
        (["attachments"], []),
        (["attachments"], "no"),
        (["attachments", 0], "no"),
        (["attachments", 0, "contentType"], "application/json"),
        (CONTENT, "no"),
        ([*CONTENT, "type"], "Card"),
        ([*CONTENT, "version"], 1.4),
        ([*CONTENT, "body"], []),
        ([*CONTENT, "body"], "no"),
        ([*CONTENT, "body", 0], "no"),
        ([*CONTENT, "body", 0], {}),
        (["summary"], "x" * 28 * 1024),
    ],
)
def test_a_card_that_teams_could_not_post_is_refused(inbox, path, value):
    status, said = send(inbox.webhook_urls["teams"], changed(TEAMS, path, value))
    assert (status, json.loads(said)["error"]["code"]) == (400, "InvalidCard")


def test_a_prepared_answer_is_given_by_the_stand_in_that_it_is_for(inbox):
    inbox.answer_with(500, "no", service="slack")
    inbox.answer_with(429, service="teams", times=2)
    statuses = {kind: send(inbox.webhook_urls[kind], GOOD[kind])[0] for kind in KINDS}
    assert statuses == {"slack": 500, "teams": 429, "webhook": 200}
    assert send(inbox.webhook_urls["slack"], SLACK)[0] == 200
    inbox.reset()
    assert send(inbox.webhook_urls["teams"], TEAMS)[0] == 202


def test_a_stand_in_can_break_the_connection(inbox):
    inbox.answer_with("reset", service="webhook")
    with pytest.raises(ConnectionError):
        send(inbox.webhook_urls["webhook"], WEBHOOK)
    [post] = inbox.posts
    assert (post.service, post.status, post.taken) == ("webhook", 0, False)
