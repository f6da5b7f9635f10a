"""`ctwatch demo`: the whole circle as a newcomer sees it, and what it says when a step fails."""

import io
import os
import re
import socket
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from fenced import fenced, real_world
from needles import needles

from ctwatch.cli import main
from ctwatch.demo import (
    confirmation_link,
    discord_view,
    leading_to,
    slack_view,
    teams_view,
    webhook_view,
)
from ctwatch.errors import SandboxError
from ctwatch.sandbox import NEEDS
from ctwatch.sandbox.inbox import Inbox, Mail
from ctwatch.sandbox.server import Sandbox
from ctwatch.techniques import techniques_of

BUCKET = "s3-cloudtrail-monitor-123456789012-ap-northeast-2-an"
CHAPTERS = [
    "What would be made?",
    "Make it so",
    "security@example.com gets a mail, and confirms",
    "So that no click can end it",
    "Would I be told right now?",
    "Strike, and prove that the alerts arrive",
    "9 messages arrived in Discord, the first of them",
    "9 mails arrived, the first of them",
    "Still?",
    "Clear it away",
    "What is left in the account",
]
SAYS = {
    "en": (
        "DRILL",
        ("Event: ", "Actor: ", "Source IP: ", "Time: ", "Region: ", "Account: ", "Event ID: "),
    ),
    "ko": (
        "훈련",
        ("이벤트: ", "행위자: ", "소스 IP: ", "발생 시각: ", "리전: ", "계정: ", "이벤트 ID: "),
    ),
}


class Show:
    """A demo that ran: its exit code, all it printed, its chapters, and what it left behind."""

    def __init__(self, *options: str) -> None:
        before, self.reached, self.folders = dict(os.environ), set(), []
        self.secrets: set[str] = set()
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket.socket, "connect", self._noting(socket.socket.connect))
            patch.setattr(tempfile, "mkdtemp", self._keeping(tempfile.mkdtemp))
            patch.setattr(Inbox, "start", self._marking(Inbox.start))
            with redirect_stdout(printed), redirect_stderr(printed), fenced() as self.beyond:
                self.code = main(["demo", *options])
        self.environment_kept = before == dict(os.environ)
        self.text = printed.getvalue()
        titles = "|".join(re.escape(one) for one in CHAPTERS)
        parts = re.split(rf"(?m)^({titles}) ─+\n", self.text)
        self.chapters = dict(zip(parts[1::2], parts[2::2], strict=True))

    def _keeping(self, mkdtemp):
        def kept(*of, **how):
            self.folders.append(Path(mkdtemp(*of, **how)))
            return str(self.folders[-1])

        return kept

    def _marking(self, start):
        def marked(inbox):
            start(inbox)
            self.secrets = needles(inbox.webhook_url)

        return marked

    def _noting(self, connect):
        def noted(this, address):
            if this.family in {socket.AF_INET, socket.AF_INET6}:
                self.reached.add(address[0])
                assert ip_address(address[0]).is_loopback
            return connect(this, address)

        return noted


@pytest.fixture(scope="module", params=["en", pytest.param("ko", marks=pytest.mark.exhaustive)])
def show(request, tmp_path_factory) -> tuple[str, Show]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in real_world(tmp_path_factory.mktemp("home")).items():
            patch.setenv(name, value)
        patch.setenv("COLUMNS", "100")
        patch.setenv("AWS_ENDPOINT_URL_CLOUDTRAIL", "https://cloudtrail.example.com")
        return request.param, Show("--language", request.param)


def test_the_demo_ends_well_and_tells_the_whole_story_in_order(show):
    assert show[1].code == 0, show[1].text
    assert list(show[1].chapters) == CHAPTERS
    assert show[1].text.endswith(
        "Built, proven, and cleared away; the logs are kept until you say otherwise.\n"
    )


def test_the_demo_shows_the_commands_that_a_user_types(show):
    shown = re.findall(r"(?m)^\$ ctwatch (.*)$", show[1].text)
    link = shown.pop(2)
    assert re.fullmatch(r"confirm 'http://127\.0\.0\.1:\d+/confirm\?\w*…'", link)
    assert shown == ["plan", "up", "status", "simulate all --timeout 30", "status", "down --yes"]


def test_the_demo_shows_the_plan_and_makes_all_of_it(show):
    planned = re.findall(r"(?m)^\+ create   (.*)$", show[1].chapters[CHAPTERS[0]])
    made = re.findall(r"(?m)^\+ created  (.*)$", show[1].chapters[CHAPTERS[1]])
    assert len(planned) == 13
    assert set(planned) == set(made)


def test_the_demo_proves_each_technique_of_the_trail_with_its_ladder(show):
    told = show[1].chapters[CHAPTERS[5]]
    ladder = (
        r"(?m)^([\w-]+)  proven\n  called \d\d:\d\d:\d\d UTC ─ recorded, matched, topic: by "
        r"\+\d+\.\d s ─ function \+\d+\.\d s\n? +─ discord 200 \+\d+\.\d s\n"
        r"  security@example.com: confirmed, handed to SNS$"
    )
    drills = {one.name for one in techniques_of("trail-tampering")}
    assert set(re.findall(ladder, told)) == drills
    assert told.count("nothing was harmed") == len(drills)


def test_the_demo_shows_the_discord_message_as_a_person_sees_it(show):
    language, shown = show
    drill, labels = SAYS[language]
    told = shown.chapters[CHAPTERS[6]]
    assert told.startswith("╭─ Discord ──")
    assert len(re.findall(rf"(?m)^(?:│|and ) .*{drill} · \w+ ·", told)) >= 4
    assert [label for label in labels if f"│ {label}" not in told] == []
    assert "arn:aws:iam::123456789012:user/sandbox" in told
    assert "`" not in told


def test_the_demo_shows_both_mails_and_confirms_by_the_link_of_the_first(show):
    asked, got = show[1].chapters[CHAPTERS[2]], show[1].chapters[CHAPTERS[7]]
    assert "│ To: security@example.com " in asked
    assert "│ Subject: AWS Notification - Subscription Confirmation " in asked
    assert "/confirm?TopicArn=" in asked
    assert "│ Subject: AWS Notification Message " in got
    assert '"eventSource":"cloudtrail.amazonaws.com"' in got.replace(" │\n│ ", "")


def test_the_demo_is_armed_before_and_after_the_drills(show):
    for chapter in (CHAPTERS[4], CHAPTERS[8]):
        assert "\nARMED  You would be told.\n" in show[1].chapters[chapter]


def test_the_demo_leaves_nothing_but_the_kept_bucket(show):
    assert "its deletion was heard: the alert has arrived" in show[1].chapters[CHAPTERS[9]]
    assert show[1].chapters[CHAPTERS[10]].splitlines()[0] == f"s3 bucket {BUCKET}"
    assert len(show[1].chapters[CHAPTERS[10]].splitlines()) == 2


def test_the_demo_changes_no_environment_and_reaches_nothing_but_this_machine(show):
    assert show[1].environment_kept
    assert show[1].reached == {"127.0.0.1"}
    assert show[1].beyond == []


def test_the_demo_is_not_coloured_and_no_line_ends_in_blanks_where_nobody_watches(show):
    lines = show[1].text.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert "\x1b" not in show[1].text


def test_the_demo_never_shows_the_webhook(show):
    assert show[1].secrets
    assert [one for one in show[1].secrets if one in show[1].text] == []


def test_the_demo_leaves_no_folder_behind(show):
    assert [one for one in show[1].folders if one.exists()] == []
    assert {one.name.split("-")[1] for one in show[1].folders} >= {"demo", "sandbox"}


# A demo that fails


class Refusing(Sandbox):
    """Its Discord takes no message."""

    def start(self):
        started = super().start()
        started.inbox.answer_with(404, {"message": "Unknown Webhook", "code": 10015}, times=100)
        return started


class Cluttered(Sandbox):
    """Something is left in its account."""

    def listing(self):
        return [*super().listing(), "sqs queue forgotten"]


@pytest.fixture
def hasty(monkeypatch) -> None:
    """A demo that does not wait long for what never comes."""
    monkeypatch.setattr("ctwatch.demo._LIMIT", ("--timeout", "1"))
    monkeypatch.setattr("ctwatch.demo._ARRIVES", 1.0)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("hasty")
def test_a_discord_that_refuses_makes_the_demo_fail_and_is_named(monkeypatch):
    monkeypatch.setattr("ctwatch.demo.sandbox_class", lambda: Refusing)
    show = Show()
    assert show.code == 1
    assert len(re.findall(r"✗ .*discord: not proven within 1 s", show.text)) == len(
        techniques_of("trail-tampering")
    )
    assert "0 messages arrived in Discord ─" in show.text
    failed = (
        "The demo failed at: simulate (exit code 3), the Discord messages, status (exit code 3)"
    )
    assert " ".join(show.text.split()).endswith(failed)
    assert "Built, proven" not in show.text
    assert show.environment_kept


@pytest.mark.usefixtures("hasty")
def test_what_down_left_behind_makes_the_demo_fail(monkeypatch):
    monkeypatch.setattr("ctwatch.demo.sandbox_class", lambda: Cluttered)
    monkeypatch.setattr("ctwatch.demo.main", lambda _: 0)
    monkeypatch.setattr("ctwatch.demo._Demo._confirm", lambda _: None)
    monkeypatch.setattr("ctwatch.demo._Demo._show_arrivals", lambda _: None)
    show = Show()
    assert show.code == 1
    assert show.text.endswith("The demo failed at: down left something behind\n")


@pytest.mark.usefixtures("hasty")
def test_mails_that_never_come_make_the_demo_fail(monkeypatch):
    monkeypatch.setattr("ctwatch.demo.main", lambda _: 0)
    show = Show()
    assert show.code == 1
    missing = "the confirmation mail, the Discord messages, the mails"
    assert show.text.endswith(f"The demo failed at: {missing}\n")


@pytest.mark.parametrize("at", ["up", "simulate"])
def test_ctrl_c_ends_the_demo_there_and_takes_the_local_aws_away(monkeypatch, at):
    asked = []

    def interrupted(arguments):
        asked.append(arguments[0])
        return 130 if arguments[0] == at else 0

    monkeypatch.setattr("ctwatch.demo.main", interrupted)
    monkeypatch.setattr("ctwatch.demo._Demo._confirm", lambda _: None)
    show = Show()
    assert (show.code, asked[-1]) == (130, at)
    assert "failed" not in show.text
    assert show.environment_kept
    with Sandbox():  # there can only be one, so the demo's is gone
        pass


# Without the extra


@pytest.mark.parametrize("command", ["demo", "sandbox"])
@pytest.mark.parametrize("missing", NEEDS)
def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch, capsys, command, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    assert main([command]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    complaint, hint = printed.err.splitlines()
    assert complaint == "Error: The sandbox is not installed with ctwatch."
    assert "[sandbox]" in hint


def test_where_moto_is_not_installed_every_other_command_works():
    hidden = "import sys; sys.modules['moto'] = None; from ctwatch.cli import main; "
    hidden += "codes = main(['demo']), main(['detections', '--json']); print(codes)"
    ran = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=True)
    assert ran.stdout.endswith("(1, 0)\n")
    assert ran.stderr.startswith("Error: The sandbox is not installed with ctwatch.\n")


# What arrived, as a person sees it


def test_a_discord_message_is_shown_without_its_marks_and_with_all_its_parts():
    embed = {
        "title": "Stop `logging`",
        "description": "why",
        "fields": [{"name": "Time", "value": "`here`\n`there`"}],
        "url": "https://example.com/event",
        "footer": {"text": "ctwatch"},
    }
    shown = discord_view({"content": "DRILL `x`", "embeds": [embed]}).plain
    assert shown.splitlines() == [
        "DRILL x",
        "",
        "Stop logging",
        "why",
        "Time: here · there",
        "https://example.com/event",
        "ctwatch",
    ]


def test_a_discord_message_of_a_line_alone_is_that_line():
    assert discord_view({"content": "hello", "embeds": [{}]}).plain.strip() == "hello"
    assert discord_view({}).plain == ""


def test_a_slack_message_is_shown_without_its_marks():
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Stop logging"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "*Actor*  `a&lt;b`\n*Trail*  `t`"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "<https://example.com/x|Event>"}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "ctwatch"}]},
    ]
    assert slack_view({"text": "DRILL", "blocks": blocks}).plain.splitlines() == [
        "DRILL", "", "Stop logging", "Actor  a<b", "Trail  t", "Event: https://example.com/x",
        "ctwatch",
    ]  # fmt: skip


def test_a_teams_message_is_shown_line_by_line_with_its_link():
    body = [
        {"type": "RichTextBlock", "inlines": [{"text": "Stop logging", "weight": "Bolder"}]},
        {"type": "RichTextBlock", "inlines": [{"text": "Actor: "}, {"text": "a"}]},
    ]
    card = {"body": body, "actions": [{"url": "https://example.com/x"}]}
    shown = teams_view({"attachments": [{"content": card}]}).plain
    assert shown.splitlines() == ["Stop logging", "Actor: a", "https://example.com/x"]


def test_a_program_s_document_is_shown_as_far_as_it_is_for_people():
    document = {"headline": "h", "severity": "high", "detections": ["a", "b"], "text": "x\ny"}
    assert webhook_view(document).plain.splitlines() == ["h", "high, a, b", "", "x", "y"]


def test_a_mail_without_a_confirmation_link_is_said_to_have_none(tmp_path):
    mail = Mail(datetime.now(UTC), "a", "Hello", "http://example.com/confirm?x", tmp_path)
    with pytest.raises(SandboxError, match="'Hello' holds no confirmation link"):
        confirmation_link(mail)


def test_the_way_to_the_sandbox_is_forgotten_even_after_a_failure(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "mine")
    before, there = dict(os.environ), {}

    def fail(sandbox):
        with leading_to(sandbox):
            there.update(os.environ)
            raise ZeroDivisionError

    with Sandbox() as sandbox:
        with pytest.raises(ZeroDivisionError):
            fail(sandbox)
        assert there["AWS_ENDPOINT_URL"] == sandbox.url
    assert "AWS_PROFILE" not in there
    assert dict(os.environ) == before
