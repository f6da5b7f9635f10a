import http.client
import json
import stat
import threading
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

from ctwatch.clock import Clock
from ctwatch.sandbox.inbox import Inbox

AGENT = "DiscordBot (https://example.invalid, 1)"


@pytest.fixture
def inbox(tmp_path):
    one = Inbox(tmp_path / "state" / "mail", Clock())
    one.start()
    yield one
    one.stop()


def send(url, body=None, *, raw=None, agent=AGENT, timeout=5):
    data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"User-Agent": agent} if agent else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), dict(error.headers)


def test_a_message_is_taken_without_a_word_or_shown_when_waited_for(inbox):
    assert send(inbox.webhook_url, {"content": "one"})[:2] == (204, "")
    status, body, _ = send(inbox.webhook_url + "?wait=true&thread_id=5", {"content": "두"})
    assert status == 200
    assert json.loads(body)["id"].isdigit()
    assert json.loads(body)["content"] == "두"
    assert [post.payload["content"] for post in inbox.posts] == ["one", "두"]
    assert inbox.posts[0].status == 204
    assert inbox.posts[0].headers["user-agent"] == AGENT


def test_the_webhook_can_be_looked_at(inbox):
    status, body, _ = send(inbox.webhook_url)
    assert (status, json.loads(body)["url"]) == (200, inbox.webhook_url)
    assert send(inbox.webhook_url + "x")[0] == 401
    assert inbox.posts == ()


def test_the_url_is_of_discord_s_form_on_loopback(inbox):
    parts = urlsplit(inbox.webhook_url)
    assert parts.hostname == "127.0.0.1"
    assert len(inbox.webhook_id) == 18
    assert parts.path == f"/api/webhooks/{inbox.webhook_id}/{inbox.token}"
    assert send(inbox.webhook_url.replace("/api/", "/api/v10/"), {"content": "x"})[0] == 204


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/webhooks/123456789012345678/{token}", 404, 10015),
        ("/api/webhooks/{id}/wrong", 401, 50027),
        ("/elsewhere", 404, 0),
    ],
)
def test_an_unknown_webhook_is_refused(inbox, path, status, code):
    base = inbox.webhook_url.split("/api/")[0]
    url = base + path.format(id=inbox.webhook_id, token=inbox.token)
    answer = send(url, {"content": "x"})
    assert (answer[0], json.loads(answer[1])["code"]) == (status, code)
    assert inbox.posts[0].status == status


@pytest.mark.parametrize("body", [None, {"content": "x"}])
def test_python_s_own_user_agent_is_refused_as_by_discord_s_gate(inbox, body):
    assert send(inbox.webhook_url, body, agent=None)[:2] == (403, "error code: 1010")


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff"])
def test_what_is_no_json_object_is_refused(inbox, raw):
    status, body, _ = send(inbox.webhook_url, raw=raw)
    assert (status, json.loads(body)["code"]) == (400, 50109)
    assert inbox.posts[0].payload == {}


def embed(**fields):
    return {"embeds": [{"title": "t", **fields}]}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, 50006),
        ({"content": ""}, 50006),
        ({"content": "x" * 2001}, 50035),
        ({"content": 5}, 50035),
        ({"content": "x", "username": ""}, 50035),
        ({"content": "x", "username": "x" * 81}, 50035),
        ({"content": "x", "username": "My Discord bot"}, 50035),
        ({"embeds": [{"title": "t"}] * 11}, 50035),
        ({"embeds": "no"}, 50035),
        ({"embeds": ["no"]}, 50035),
        (embed(title="x" * 257), 50035),
        (embed(description="x" * 4097), 50035),
        (embed(footer={"text": "x" * 2049}), 50035),
        (embed(author={"name": "x" * 257}), 50035),
        (embed(fields=[{"name": "n", "value": "v"}] * 26), 50035),
        (embed(fields=["no"]), 50035),
        (embed(fields="no"), 50035),
        (embed(fields=[{"name": "x" * 257, "value": "v"}]), 50035),
        (embed(fields=[{"name": "n", "value": "x" * 1025}]), 50035),
        (embed(fields=[{"name": "n", "value": ""}]), 50035),
        ({"embeds": [{"description": "x" * 3001}, {"description": "x" * 3000}]}, 50035),
    ],
)
def test_discord_s_limits_are_kept(inbox, payload, code):
    status, body, _ = send(inbox.webhook_url, payload)
    assert (status, json.loads(body)["code"]) == (400, code)


@pytest.mark.parametrize(
    "payload",
    [
        {"content": "x" * 2000, "username": "x" * 80, "embeds": None},
        {"content": None, **embed(description="x" * 4096)},
        {"embeds": [{"description": "x" * 3000}, {"description": "x" * 3000}]},
        embed(fields=[{"name": "x" * 100, "value": "v"}] * 25),
        embed(footer={"text": "x" * 2048}, author={"name": "x" * 256}),
    ],
)
def test_what_is_just_within_the_limits_is_taken(inbox, payload):
    assert send(inbox.webhook_url, payload)[0] == 204


def test_prepared_answers_are_given_in_turn(inbox):
    limited = {"message": "You are being rate limited.", "retry_after": 0.3, "global": False}
    inbox.answer_with(429, limited, {"Retry-After": "1"}, times=2)
    inbox.answer_with(520, "not JSON")
    answers = [send(inbox.webhook_url, {"content": "x"}) for _ in range(4)]
    assert [answer[0] for answer in answers] == [429, 429, 520, 204]
    assert json.loads(answers[0][1]) == limited
    assert answers[0][2]["Retry-After"] == "1"
    assert answers[2][1] == "not JSON"
    assert [post.status for post in inbox.posts] == [429, 429, 520, 204]


@pytest.mark.parametrize(("how", "error"), [("reset", ConnectionError), ("hang", TimeoutError)])
def test_a_connection_can_break_or_hang(inbox, how, error):
    inbox.answer_with(how)
    with pytest.raises(error):
        send(inbox.webhook_url, {"content": "x"}, timeout=0.2)
    assert inbox.posts[0].status == 0
    assert send(inbox.webhook_url, {"content": "x"})[0] == 204


def test_a_connection_is_kept_alive_and_ended_by_stop(inbox):
    parts = urlsplit(inbox.webhook_url)
    client = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=5)
    for _ in range(2):
        client.request("POST", parts.path, b'{"content": "x"}', {"User-Agent": AGENT})
        assert client.getresponse().read() == b""
    inbox.stop()
    with pytest.raises(RuntimeError):
        inbox.webhook_url  # noqa: B018 - reading it is what fails
    assert client.sock.recv(1) == b""
    client.close()
    inbox.stop()


def test_waiting_ends_with_the_arrival_or_the_time(inbox):
    assert not inbox.wait_for(lambda box: box.texts, 0.01)
    timer = threading.Timer(0.05, inbox.put_text, ("+82", "hi"))
    timer.start()
    assert inbox.wait_for(lambda box: box.texts, 5)
    timer.join()


def test_a_mail_is_a_private_file_that_reads_back(inbox):
    link = "https://example.invalid/confirm?Token=" + "a=b" * 400
    mail = inbox.put_mail("보안 <sec@example.com>", "제목 — 알림" * 9, f"본문\n{link}\n", "경보")
    assert inbox.mails == (mail,)
    assert (mail.subject, mail.text) == ("제목 — 알림" * 9, f"본문\n{link}\n")
    assert mail.to == "보안 <sec@example.com>"
    raw = mail.path.read_bytes()
    assert link.encode() in raw
    assert b"Content-Transfer-Encoding: 8bit" in raw
    assert b"no-reply@sns.amazonaws.com" in raw
    assert stat.S_IMODE(mail.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(mail.path.parent.stat().st_mode) == 0o700
    assert mail.path.suffix == ".eml"


def test_reset_forgets_everything(inbox):
    mail = inbox.put_mail("a@example.com", "s", "t")
    inbox.put_text("+82", "hi")
    inbox.answer_with(500)
    send(inbox.webhook_url, {"content": "x"})
    inbox.answer_with(500)
    inbox.reset()
    assert (inbox.posts, inbox.mails, inbox.texts) == ((), (), ())
    assert not mail.path.exists()
    assert send(inbox.webhook_url, {"content": "x"})[0] == 204


def test_listeners_hear_of_each_post(inbox):
    heard = []
    inbox.listen(heard.append)
    send(inbox.webhook_url, {"content": "x"})
    assert inbox.wait_for(lambda _: heard, 5)
    assert heard[0].payload == {"content": "x"}
