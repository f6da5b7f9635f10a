"""What a user sees of every command: whole outputs, streams, exit codes, complaints.

One watch lives through one long story; each command in it is run once and printed at two widths,
and the tests look at what was told.
"""

import errno
import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError
from golden_text import GOLDEN, Told, compare, masked
from rich.cells import cell_len
from rich.console import Console
from terminal import Terminal
from watch_world import PLAIN, World, world_of

from ctwatch.cli import cli, main
from ctwatch.verbs.common import Options

TRAIL, RULE = "ct-trail-monitor", "eventbridge-ct-detect"
TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:sns-cloudtrail-alarm"
BUCKET = "s3-cloudtrail-monitor-123456789012-ap-northeast-2-an"
WIDTHS = (80, 100)
LOG = "/aws/lambda/lambda-ct-detect-alarm"
LINK = f"https://sns.ap-northeast-2.amazonaws.com/confirmation.html?TopicArn={TOPIC}&Token=t"
WORDS = ("up", "plan", "status", "simulate stop-logging", "down --yes", "alerts", f"confirm {LINK}")


class Several:
    """Consoles of several widths, printed to at once."""

    def __init__(self, consoles: Sequence[Console]) -> None:
        self.consoles = consoles

    def print(self, *what, **how) -> None:
        for console in self.consoles:
            console.print(*what, **how)

    def print_json(self, **what) -> None:
        for console in self.consoles:
            console.print_json(**what)

    def __getattr__(self, name: str):
        return getattr(self.consoles[0], name)


class Pipe(io.StringIO):
    """What goes into it goes into others too."""

    def __init__(self, others: Sequence[io.StringIO] = ()) -> None:
        super().__init__()
        self.others = others

    def write(self, text: str) -> int:
        for other in self.others:
            other.write(text)
        return super().write(text)


def told(*arguments: str, stdin: str = "") -> Told:
    """Run a command as a user would, its output taken by pipes."""
    out, err = Pipe(), Pipe()
    code = ran(arguments, stdin, out, err)
    return Told(" ".join(["ctwatch", *arguments]), code, out.getvalue(), err.getvalue())


def told_at(widths: Sequence[int], *arguments: str, stdin: str = "") -> list[Told]:
    """Run a command once; what it prints at each of these widths."""
    printed = [(io.StringIO(), io.StringIO()) for _ in widths]

    def several(*, stderr: bool) -> Several:
        consoles = zip([both[stderr] for both in printed], widths, strict=True)
        return Several([Console(file=file, width=w, highlight=False) for file, w in consoles])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ctwatch.render._console", several)
        patch.setattr("ctwatch.render._after", lambda _: "+0.0 s")  # so that lines break alike
        patch.setattr("ctwatch.diagnose._took", lambda _: "0.0 s")
        patch.setattr("ctwatch.diagnose.ago", lambda *_: "just now")
        outs, errs = zip(*printed, strict=True)
        code = ran(arguments, stdin, Pipe(outs), Pipe(errs))
    command = " ".join(["ctwatch", *arguments])
    return [Told(command, code, out.getvalue(), err.getvalue()) for out, err in printed]


def ran(arguments: Sequence[str], stdin: str, out: io.StringIO, err: io.StringIO) -> int:
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr("sys.stdin", io.StringIO(stdin))
        return main(arguments)


def denying(*operations: str):
    """Cuts the wire of a world for these operations."""
    no = ("AccessDenied", "User is not authorized to perform this")
    return lambda _, operation, __: no if operation in operations else None


@contextmanager
def cut(world: World, *operations: str) -> Iterator[None]:
    world.refuse = denying(*operations)
    yield
    world.refuse = lambda *_: None


def writes(world: World) -> list[str]:
    return [f"{one.service}:{one.operation}" for one in world.sandbox.calls if one.writes]


class Story:
    """What was told of one watch's life, by name, and what was written to AWS meanwhile."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.told: dict[int, dict[str, Told]] = {width: {} for width in WIDTHS}
        self.wrote: dict[str, list[str]] = {}

    def tell(self, name: str, command: str, stdin: str = "") -> None:
        before = len(writes(self.world))
        both = told_at(WIDTHS, *command.split(), stdin=stdin)
        for width, one in zip(WIDTHS, both, strict=True):
            self.told[width][name] = one
        self.wrote[name] = writes(self.world)[before:]

    def __getitem__(self, name: str) -> Told:
        return self.told[WIDTHS[0]][name]

    def live(self) -> None:
        for chapter in (
            *(self.begin, self.arm, self.look_back),
            *(self.drift, self.mute, self.strangers, self.end),
        ):
            chapter()

    def begin(self) -> None:
        self.tell("status absent", "status")
        self.tell("plan absent", "plan")
        self.tell("plan absent dry run", "up --dry-run")
        self.tell("plan exit code", "plan --exit-code -q")
        self.tell("simulate absent", "simulate stop-logging")
        self.tell("down absent", "down --yes")
        self.tell("alerts absent", "alerts")
        self.tell("up fresh", "up")
        self.tell("up pending", "up")
        self.tell("plan pending", "plan --exit-code")
        self.tell("status pending", "status")

    def arm(self) -> None:
        self.world.click()
        self.tell("confirm clicked", "confirm -", stdin=self.mail())
        sns = self.world.client("sns")
        [person] = [one for one in sns.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]
                    if one["Protocol"] == "email"]  # fmt: skip
        sns.unsubscribe(SubscriptionArn=person["SubscriptionArn"])
        told("up", "-q")
        self.tell("confirm", "confirm", stdin=self.mail())
        self.tell("status armed", "status")
        self.tell("up nothing to do", "up")
        self.tell("plan nothing to do", "plan --exit-code")
        self.tell("plan verbose", "plan -v")

    def mail(self) -> str:
        """The newest mail as its file has it."""
        self.world.settle()
        return self.world.sandbox.inbox.mails[-1].path.read_text("utf-8")

    def look_back(self) -> None:
        """One alert by way of AWS, others by the hand of this test."""
        self.tell("alerts none", "alerts")
        told("simulate", "stop-logging", "-q", "--timeout", "60")
        self.world.settle()
        self.tell("alerts", "alerts")
        self.write(*LOGGED)
        queues = self.world.client("sqs")
        url = queues.get_queue_url(QueueName="ctwatch-dead-letter")["QueueUrl"]
        queues.send_message(QueueUrl=url, MessageBody="lost")
        self.tell("alerts amiss", "alerts")
        queues.purge_queue(QueueUrl=url)
        self.tell("simulate proven", "simulate all --timeout 60")

    def write(self, *lines: dict[str, object]) -> None:
        """Let the function's log say more, a line a second."""
        logs, now = self.world.client("logs"), datetime.now(UTC)
        logs.create_log_stream(logGroupName=LOG, logStreamName="hand")
        events = [
            {
                "timestamp": int(at.timestamp() * 1000),
                "message": json.dumps(one | {"received": at.isoformat(), "sent": at.isoformat()}),
            }
            for one, at in ((one, now + timedelta(seconds=n)) for n, one in enumerate(lines))
        ]
        logs.put_log_events(logGroupName=LOG, logStreamName="hand", logEvents=events)

    def drift(self) -> None:
        trails, buckets, events = map(self.world.client, ("cloudtrail", "s3", "events"))
        trails.stop_logging(Name=TRAIL)
        versioning = {"Status": "Suspended"}
        buckets.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=versioning)
        pattern = json.loads(events.describe_rule(Name=RULE)["EventPattern"])
        pattern["detail"]["eventName"].remove("DeleteTrail")
        events.put_rule(Name=RULE, EventPattern=json.dumps(pattern))
        self.tell("status blind", "status")
        self.tell("plan drift", "plan")
        self.tell("plan drift in full", "plan -v")
        with cut(self.world, "StartLogging"):
            self.tell("up failing", "up")
        self.tell("up repairs", "up")

    def mute(self) -> None:
        self.world.client("events").disable_rule(Name=RULE)
        self.tell("status deaf", "status")
        self.tell("simulate not proven", "simulate stop-logging --timeout 1")
        self.world.client("events").enable_rule(Name=RULE)
        self.world.client("sns").set_topic_attributes(
            TopicArn=TOPIC, AttributeName="Policy", AttributeValue=json.dumps(NO_EVENTBRIDGE)
        )
        self.tell("status mute", "status")
        self.tell("up after mute", "up -q")
        with cut(self.world, "DescribeRule", "GetTopicAttributes"):
            self.tell("status unknown", "status")
            self.tell("plan unknown", "plan")

    def strangers(self) -> None:
        queues = self.world.client("sqs")
        url = queues.get_queue_url(QueueName="ctwatch-receipts")["QueueUrl"]
        queues.untag_queue(QueueUrl=url, TagKeys=["ctwatch:watch"])
        self.tell("status degraded", "status")
        self.tell("plan foreign", "plan --exit-code")
        self.tell("up foreign", "up")
        queues.tag_queue(QueueUrl=url, Tags={"ctwatch:watch": "ctwatch"})

    def end(self) -> None:
        self.tell("down no", "down", stdin="n\n")
        self.tell("down quiet", "down -q", stdin="n\n")  # is told of the alert all the same
        with cut(self.world, "DeleteTopic"):
            self.tell("down leftovers", "down --yes")
        self.tell("down yes", "down", stdin="y\n")
        self.tell("down again", "down --yes")
        self.tell("down logs", "down --delete-logs --yes")


DEMO = "No account at hand? Try: ctwatch demo"
NO_EVENTBRIDGE = {
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "Mine", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
         "Action": "sns:Publish", "Resource": TOPIC}
    ],
}  # fmt: skip

MALLORY = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Administrator/mallory"


def logged(number: int, channel: str, outcome: str, **more: object) -> dict[str, object]:
    """A line of the notifier's log, as far as it is not a time."""
    event = {"event_id": f"event-{number}", "event_name": "DeleteTrail", "severity": "critical",
             "title": "CloudTrail 추적 삭제", "result": "succeeded", "actor": MALLORY}  # fmt: skip
    return {**event, "ctwatch": outcome, "channel": channel, "status": None, **more}


GONE = "Discord answered 404, the webhook does not exist any more: `Unknown Webhook`"
ODD = {"event_name": "StopLogging", "title": "CloudTrail 로깅 중지", "severity": "medium",
       "result": "denied", "actor": "\x1b[31mmal\nlory"}  # fmt: skip
LOGGED = (
    logged(1, "discord", "failed", status=404, error=GONE),
    logged(1, "discord", "failed", status=404, error=GONE),
    logged(1, "slack", "delivered", status=200),
    logged(2, "discord", "failed", status=500, error="Discord answered 500, no: ``", **ODD),
    logged(2, "discord", "delivered", status=200, **ODD),
    logged(2, "slack", "skipped", **ODD),
)

CODES = {
    "status absent": 3,
    "plan absent": 0,
    "plan absent dry run": 0,
    "plan exit code": 3,
    "simulate absent": 1,
    "down absent": 0,
    "alerts absent": 3,
    "up fresh": 0,
    "up pending": 0,
    "plan pending": 0,
    "status pending": 3,
    "confirm clicked": 3,
    "confirm": 0,
    "status armed": 0,
    "up nothing to do": 0,
    "plan nothing to do": 0,
    "plan verbose": 0,
    "alerts none": 0,
    "alerts": 0,
    "alerts amiss": 3,
    "simulate proven": 0,
    "status blind": 3,
    "plan drift": 0,
    "plan drift in full": 0,
    "up failing": 1,
    "up repairs": 0,
    "status deaf": 3,
    "simulate not proven": 3,
    "status mute": 3,
    "up after mute": 0,
    "status unknown": 1,
    "plan unknown": 1,
    "status degraded": 3,
    "plan foreign": 3,
    "up foreign": 1,
    "down no": 1,
    "down quiet": 1,
    "down leftovers": 1,
    "down yes": 0,
    "down again": 0,
    "down logs": 0,
}


@pytest.fixture(scope="module")
def world(running, tmp_path_factory) -> Iterator[World]:
    """An account, and a folder with a config.yaml that the commands are run in."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "config.yaml").write_text(yaml.safe_dump(PLAIN), encoding="utf-8")
    with world_of(running, folder) as world, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("COLUMNS")
        yield world


@pytest.fixture(scope="module")
def story(world) -> Story:
    world.sandbox.reset()
    story = Story(world)
    story.live()
    return story


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("name", CODES)
def test_a_command_says_what_it_always_says(story, name, columns):
    compare(f"{columns}/{name.replace(' ', '-')}", story.told[columns][name])


def test_every_exit_code_is_as_promised(story):
    assert {name: one.code for name, one in story.told[80].items()} == CODES


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_line_is_wider_than_the_terminal_or_ends_in_blanks(story, columns):
    for name, one in story.told[columns].items():
        for line in (one.out + one.err).splitlines():
            assert cell_len(line) <= columns, name
            # After a question comes the blank that click reads by.
            assert line == line.rstrip() or line.endswith("[y/N]: "), name


def test_nothing_is_coloured_where_nobody_watches(story):
    assert "\x1b" not in "".join(one.out + one.err for one in story.told[80].values())


def test_a_dry_run_is_the_plan_and_writes_nothing(story):
    plan, dry = story["plan absent"], story["plan absent dry run"]
    assert (plan.out, plan.err, plan.code) == (dry.out, dry.err, dry.code)
    quiet = [name for name in CODES if name.startswith(("plan", "status", "alerts"))]
    assert [story.wrote[name] for name in quiet] == [[]] * len(quiet)


def test_a_second_up_says_that_there_is_nothing_to_do_and_writes_nothing(story):
    assert "Nothing to do" in story["up nothing to do"].err
    assert story.wrote["up nothing to do"] == story.wrote["up pending"] == []


def test_down_deletes_nothing_when_told_no(story):
    assert story.wrote["down no"] == []
    assert "nothing was deleted" in story["down no"].err


@pytest.mark.parametrize("name", ["down no", "down leftovers"])
def test_down_says_beforehand_that_it_raises_an_alert(story, name):
    said = story[name].err
    assert "DeleteTrail" in said
    assert said.index("DeleteTrail") < said.find("deleted  trail") or name == "down no"


def test_down_names_the_bucket_it_keeps_and_what_deletes_it(story):
    said = f"Kept: bucket {BUCKET}\nTo delete it too: ctwatch down --delete-logs\n"
    assert said in story["down yes"].err


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_golden_file_is_of_a_command_that_is_no_more(columns):
    names = {name.replace(" ", "-") for name in [*CODES, *OTHERS]}
    assert {path.stem for path in (GOLDEN / str(columns)).iterdir()} <= names


# Commands that need no watch, and complaints

BROKEN = """\
nmae: x
route: direct
topic: 3
function: {runtime: python2.7}
"""
OTHERS = {
    "detections": "detections",
    "detection en": "detections trail-tampering --language en",
    "detection ko": "detections trail-tampering --language ko",
    "detection synthetic": "detections root-login --language en",
    "techniques": "simulate --list",
    "help": "--help",
    "error no config": "status -c none.yaml",
    "error config folder": "status -c .",
    "error broken config": "up -c broken.yaml",
    "error no yaml": "plan -c no-yaml.yaml",
    "error no secret": "up -c no-secret.yaml",
    "error unknown technique": "simulate stop-loging",
    "error unknown detection": "detections nonsense",
    "error unknown command": "nonsense",
    "error no technique": "simulate",
    "error bad timeout": "simulate all --timeout 0",
    "error exit code alone": "up --exit-code",
    "error no link": "confirm https://example.com/",
    "error bad since": "alerts --since yesterday",
    "error bad region": "plan --region nowhere",
    "error bad profile": "plan --profile nobody",
    "error sandbox region": "sandbox --region nowhere",
    "error no folder": "init --defaults -c none/config.yaml",
    "error init again": "init -c config.yaml",
    "init defaults": "init --defaults -c fresh.yaml",
}
GOOD = {"help", "init defaults", "techniques", *(one for one in OTHERS if "detection" in one)} - {
    "error unknown detection"
}
MISUSED = {name for name in OTHERS if name.startswith("error")} - {
    "error no folder",
    "error init again",
}


@pytest.fixture
def home(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with configs that are wrong."""
    assert world.config.exists()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(PLAIN), encoding="utf-8")
    (tmp_path / "broken.yaml").write_text(BROKEN, encoding="utf-8")
    (tmp_path / "no-yaml.yaml").write_text("a: [1", encoding="utf-8")
    channel = {"type": "discord", "url": "env:NOT_SET_ANYWHERE"}
    (tmp_path / "no-secret.yaml").write_text(yaml.safe_dump({"channels": [channel]}), "utf-8")
    return tmp_path


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.usefixtures("home")
def test_what_needs_no_watch_says_what_it_always_says(monkeypatch, name, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    one = told(*OTHERS[name].split())
    compare(f"{columns}/{name.replace(' ', '-')}", one)
    assert one.code == (0 if name in GOOD else 2 if name in MISUSED else 1)
    assert max(map(len, (one.out + one.err).splitlines())) <= columns
    assert "Traceback" not in one.err


@pytest.mark.usefixtures("home")
def test_every_command_helps():
    for name, command in cli.commands.items():
        one = told(name, "--help")
        assert (one.code, one.err) == (0, "")
        assert command.short_help
        assert one.out.startswith(f"Usage: ctwatch {name} ")


@pytest.mark.usefixtures("home")
def test_ctwatch_alone_shows_its_help():
    one = told()
    assert "Usage: ctwatch" in one.out + one.err


@pytest.mark.usefixtures("world")
def test_no_credentials_is_one_sentence_that_points_to_the_demo(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for word in WORDS:
        one = told(*word.split())
        assert (one.code, one.out) == (1, "")
        assert one.err.splitlines() == [
            "Error: asking AWS who you are: no AWS credentials were found",
            "Log in (aws sso login), or name a profile with --profile. " + DEMO,
        ]


@pytest.fixture
def impatient(monkeypatch) -> None:
    """Clients that try once."""
    once = BotoConfig(retries={"mode": "standard", "total_max_attempts": 1})
    monkeypatch.setattr("ctwatch.aws._SETTINGS", once)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.usefixtures("world", "impatient")
def test_an_endpoint_that_nobody_answers_at_is_one_sentence(monkeypatch, word):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    one = told(*word.split())
    assert (one.code, one.out) == (1, "")
    complaint, hint = one.err.splitlines()
    assert complaint.startswith(f"Error: {_ASKING}: nothing answers on this machine")
    assert hint.startswith("Is ctwatch sandbox still running?")


_ASKING = "asking AWS who you are: GetCallerIdentity"


class _Hopeless(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html>\n<title>500</title>\n<h1>Internal \x1b[31mError</h1>\n")

    def log_message(self, *_) -> None:
        """Say nothing."""


@pytest.fixture
def hopeless(monkeypatch) -> Iterator[None]:
    """An endpoint that answers every call with a page of HTML."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hopeless) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.usefixtures("world", "impatient", "hopeless")
def test_an_endpoint_that_answers_with_a_web_page_is_a_sentence(word):
    one = told(*word.split())
    assert (one.code, one.out) == (1, "")
    assert one.err.startswith("Error: asking AWS who you are: ")
    assert "Traceback" not in one.err
    assert "\x1b" not in one.err


@pytest.mark.usefixtures("world")
def test_what_boto_raises_anywhere_is_a_sentence(monkeypatch):
    refusal = ClientError({"Error": {"Code": "Odd", "Message": "no"}}, "SendMessage")
    monkeypatch.setattr("ctwatch.opening.opened", raising(refusal))
    one = told("status")
    assert one.code == 1
    assert one.err.startswith("Error: talking to AWS: SendMessage answered Odd: no")


@pytest.mark.usefixtures("world")
def test_a_bug_of_ours_is_not_hidden(monkeypatch):
    monkeypatch.setattr("ctwatch.opening.opened", raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        told("status")


def raising(error: BaseException):
    def raise_it(*_, **__):
        raise error

    return raise_it


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.usefixtures("world")
def test_ctrl_c_exits_130_and_says_how_to_go_on(monkeypatch, word):
    monkeypatch.setattr("ctwatch.opening.opened", raising(KeyboardInterrupt()))
    one = told(*word.split())
    assert (one.code, one.out) == (130, "")
    assert one.err.endswith(
        "\nInterrupted. What is done is done; ctwatch status tells where things stand.\n"
    )


def test_ctrl_c_at_a_question_exits_130_and_nothing_was_done(home, monkeypatch):
    monkeypatch.setattr("click.termui.visible_prompt_func", raising(KeyboardInterrupt()))
    one = told("init", "-c", "mine.yaml")
    assert one.code == 130
    assert one.err.endswith("\nAborted: nothing was done.\n")
    assert not (home / "mine.yaml").exists()


# A watch that is armed


@pytest.fixture(scope="module")
def armed(world) -> World:
    world.sandbox.reset()
    assert told("up", "-q").code == 0
    world.click()
    return world


@pytest.mark.parametrize("command", ["plan", "up", "status", "simulate stop-logging --timeout 60"])
@pytest.mark.usefixtures("armed")
def test_json_stands_alone_on_stdout(command):
    one = told(*command.split(), "--json")
    assert one.code == 0
    assert json.loads(one.out)


@pytest.mark.parametrize("command", ["detections --json", "detections trail-tampering --json"])
@pytest.mark.usefixtures("world")
def test_the_catalogue_as_json_stands_alone_on_stdout(command):
    one = told(*command.split())
    found = json.loads(one.out)
    only = next(each for each in found if each["id"] == "trail-tampering")
    assert (only["severity"], only["scope"], one.err) == ("critical", "account", "")
    assert only["parts"][0]["pattern"]["source"] == ["aws.cloudtrail"]
    assert only["title"]["ko"]


@pytest.mark.usefixtures("armed")
def test_the_json_of_a_status_says_all_that_the_lines_say():
    document = json.loads(told("status", "--json").out)
    assert document["verdict"] == "ARMED"
    assert document["rules"] == {RULE: "ARMED"}
    names = [hop["hop"] for hop in document["hops"]]
    assert names == [
        "trail", "events", "rule", "topic", "discord", "security@example.com", "undelivered",
        "proof",
    ]  # fmt: skip
    assert {hop["flow"] for hop in document["hops"]} == {"ok"}


def test_the_json_of_faults_has_path_and_remedy_and_of_a_plan_both_values(armed):
    armed.client("events").disable_rule(Name=RULE)
    status, plan, up = told("status", "--json"), told("plan", "--json"), told("up", "--json")
    assert (status.code, plan.code, up.code) == (3, 0, 0)
    [fault] = [fault for hop in json.loads(status.out)["hops"] for fault in hop["faults"]]
    assert (fault["resource"], fault["path"], fault["remedy"]) == (
        f"rule {RULE}",
        "state",
        "ctwatch up",
    )
    [changed] = [one for one in json.loads(plan.out)["changes"] if one["verdict"] != "ok"]
    assert changed["differences"] == [{"path": "state", "wanted": "ENABLED", "live": "DISABLED"}]
    document = json.loads(up.out)
    assert document["verdict"] == "ARMED"
    steps = {(one["kind"], one["name"]): one for one in document["steps"]}
    assert list(steps) == [(one["kind"], one["name"]) for one in json.loads(plan.out)["changes"]]
    repaired = steps.pop(("rule", RULE))
    assert (repaired["action"], repaired["error"]) == ("repaired", None)
    assert repaired["differences"] == changed["differences"]
    assert {one["action"] for one in steps.values()} == {"kept"}


def test_the_json_of_an_up_that_failed_says_where_and_why(armed):
    armed.client("events").disable_rule(Name=RULE)
    with cut(armed, "PutRule"):
        up = told("up", "--json")
    assert up.code == 1
    [failed] = [one for one in json.loads(up.out)["steps"] if one["error"]]
    assert (failed["name"], failed["action"]) == (RULE, "failed")
    assert "PutRule answered AccessDenied" in failed["error"]
    assert "ask for that permission" in failed["hint"]
    armed.client("events").enable_rule(Name=RULE)


def test_the_json_of_a_look_that_was_denied_says_why(armed):
    with cut(armed, "DescribeRule"):
        plan = told("plan", "--json")
    [unknown] = [one for one in json.loads(plan.out)["changes"] if one["verdict"] == "unknown"]
    assert (plan.code, unknown["name"]) == (1, RULE)
    assert "DescribeRule answered AccessDenied" in unknown["error"]


def test_an_up_that_ends_with_a_fault_shows_it_and_exits_3(armed, monkeypatch):
    """Something was broken while `up` was at work: it looks again, and does not call it done."""
    monkeypatch.setattr("ctwatch.engine.build", lambda *_: iter(()))
    armed.client("events").disable_rule(Name=RULE)
    shown, data = told("up"), told("up", "--json")
    monkeypatch.undo()
    assert told("up", "-q").code == 0
    assert shown.code == data.code == 3
    assert shown.out.startswith("DEAF")
    assert "Nothing to do" not in shown.err
    assert json.loads(data.out)["verdict"] == "DEAF"


def test_up_looks_until_what_it_wrote_is_seen(armed, monkeypatch):
    events, slept = armed.client("events"), []

    def sleep(_, seconds):
        slept.append(seconds)
        if len(slept) == 2:
            events.enable_rule(Name=RULE)

    events.disable_rule(Name=RULE)
    monkeypatch.setattr("ctwatch.resources.rule.Rule.write", lambda *_: None)
    monkeypatch.setattr("ctwatch.clock.Clock.sleep", sleep)
    one = told("up")
    assert (one.code, slept) == (0, [1.0, 2.0])
    assert one.err.endswith("ARMED  You would be told.\n")


@pytest.mark.parametrize("command", ["plan", "up", "status", "simulate stop-logging --timeout 60"])
@pytest.mark.usefixtures("armed")
def test_quiet_prints_no_talk(command):
    one = told(*command.split(), "-q")
    assert (one.code, one.err) == (0, "")


@pytest.mark.usefixtures("armed")
def test_quiet_still_complains():
    assert told("status", "-q", "-c", "none.yaml").err.startswith("Error: none.yaml")


@pytest.mark.usefixtures("armed")
def test_verbose_names_what_up_left_as_it_was():
    assert told("up", "-v").err.count("= kept ") == 13
    assert "kept" not in told("up").err


@pytest.mark.usefixtures("armed")
def test_the_config_may_be_named_by_the_environment(monkeypatch):
    monkeypatch.setenv("CTWATCH_CONFIG", "elsewhere.yaml")
    one = told("status")
    assert one.code == 2
    assert "elsewhere.yaml: there is no such file" in one.err


@pytest.mark.usefixtures("armed")
@pytest.mark.parametrize("command", ["plan", "up", "plan --json", "down --yes"])
def test_a_watch_of_the_same_name_in_another_region_is_refused_and_nothing_is_done(command):
    """A role lives in no region: the second watch would take it from the first."""
    one = told(*command.split(), "--region", "eu-west-1")
    assert (one.code, one.out) == (2, "")
    assert "role ctwatch-notifier is there already and is not this watch's" in one.err
    assert "it is that of the watch ctwatch in ap-northeast-2" in one.err
    assert "give this one a `name` of its own" in one.err
    assert told("plan", "--exit-code", "-q").code == 0


def test_another_name_in_another_region_is_another_watch(armed, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({**PLAIN, "name": "other", "region": "eu-west-1"}), "utf-8")
    one = told("plan", "-c", str(other))
    assert "Watch other in account 123456789012, eu-west-1:" in one.err
    assert "+ create   trail ct-trail-monitor\n" in one.out
    assert one.code == 0


@pytest.mark.usefixtures("armed")
def test_a_plan_without_the_secret_at_hand_says_what_it_does_not_compare(monkeypatch):
    monkeypatch.delenv("DISCORD_WEBHOOK_URL")
    one = told("plan", "--exit-code")
    assert one.code == 0
    assert "= keep     secret /ctwatch/discord\n" in one.out
    assert "its value is not compared" in one.out
    assert "Nothing to do: 12 as promised, 1 not compared." in one.err
    changes = json.loads(told("plan", "--json").out)["changes"]
    [secret] = [one for one in changes if one["kind"] == "secret"]
    assert "not compared" in secret["note"]


@pytest.mark.usefixtures("armed")
def test_a_webhook_that_cannot_be_asked_is_a_warning(monkeypatch):
    url = os.environ["DISCORD_WEBHOOK_URL"]
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", re.sub(r":\d+/", ":9/", url))
    one = told("up")
    assert "Warning: channels[0].url: could not be checked from here" in one.err
    monkeypatch.undo()


def test_down_does_not_wait_for_what_it_cannot_hear(armed):
    """Without its receipts nothing is waited for, and everything else goes all the same."""
    for one in armed.client("sns").list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]:
        if one["Protocol"] == "sqs":
            armed.client("sns").unsubscribe(SubscriptionArn=one["SubscriptionArn"])
    down = told("down", "--yes", "--wait", "60")
    assert down.code == 0
    assert "heard" not in down.err
    assert told("up", "-q").code == 0
    armed.click()


def test_down_says_when_its_deletion_was_not_heard(armed, monkeypatch):
    monkeypatch.setattr("ctwatch.simulate.heard_of_deletion", lambda *_: None)
    down = told("down", "--yes", "--wait", "3")
    monkeypatch.undo()
    assert down.code == 0
    assert "its deletion was not heard within 3 s; going on" in down.err
    assert told("up", "-q").code == 0
    armed.click()


# A terminal

COMMAND = [sys.executable, "-c", "from ctwatch.cli import run; run()"]
COLOUR = re.compile(r"\x1b\[([\d;]*;)?([349][0-7]|[34]8)[;m]")


def environment(**more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return {**plain, "TERM": "xterm-256color", **more}


def test_in_a_terminal_the_spinner_moves_and_leaves_nothing_behind(armed):
    armed.client("events").disable_rule(Name=RULE)
    up = Terminal([*COMMAND, "up"], 80, environment())
    drill = Terminal([*COMMAND, "simulate", "stop-logging", "--timeout", "60"], 80, environment())
    assert (up.code, drill.code) == (0, 0)
    assert "Building: rule" in up.raw
    assert "Waiting for the proof" in drill.raw
    assert up.screen == [
        "Watch ctwatch in account 123456789012, ap-northeast-2:",
        f"~ repaired rule {RULE}: state",
        "ARMED  You would be told.",
        "",
    ]
    assert masked("\n".join(drill.screen[:-1])).splitlines() == [
        "called StopLogging on ctwatch-probe-000000000000: no such trail, nothing was",
        "harmed",
        "stop-logging  proven",
        "  called 00:00:00 UTC ─ recorded, matched, topic: by +0.0 s ─ function +0.0 s",
        "  ─ discord 200 +0.0 s",
        "  security@example.com: confirmed, handed to SNS",
    ]


def test_a_command_has_one_screen_so_that_what_moves_knows_of_what_is_said():
    options = Options(Path("config.yaml"), None, None, quiet=False, verbose=False)
    assert options.screen is options.screen


def test_what_was_typed_before_the_question_could_be_read_is_no_answer():
    ours, theirs = pty.openpty()
    os.write(ours, b"y\n")
    asking = "from ctwatch.verbs.common import agreed; print('answer:', agreed('Delete it?'))"
    process = subprocess.Popen(
        [sys.executable, "-c", asking], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    while b"[y/N]" not in said:
        said += os.read(ours, 1024)
    os.write(ours, b"n\n")
    while b"answer: " not in said or not said.endswith(b"\n"):
        said += os.read(ours, 1024)
    assert said.endswith(b"answer: False\r\n")
    assert process.wait(10) == 0
    os.close(ours)


@pytest.mark.parametrize("quiet", [pytest.param("-q", marks=pytest.mark.exhaustive), "--json"])
@pytest.mark.usefixtures("armed")
def test_in_a_terminal_quiet_has_no_spinner_and_json_is_whole(quiet):
    status = Terminal([*COMMAND, "status", quiet], 80, environment(NO_COLOR="1"))
    assert status.code == 0
    assert ("Looking" in status.raw) == (quiet != "-q")
    if quiet == "--json":
        assert json.loads("\n".join(status.screen))["verdict"] == "ARMED"


@pytest.mark.usefixtures("armed")
def test_a_terminal_is_coloured_unless_no_color_says_otherwise():
    plain = Terminal([*COMMAND, "status"], 80, environment(NO_COLOR="1"))
    assert COLOUR.search(Terminal([*COMMAND, "status"], 80, environment()).raw)
    assert not COLOUR.search(plain.raw)


def piped(*arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, env=environment(**more), check=False
    )


@pytest.mark.usefixtures("armed")
def test_nothing_is_broken_or_coloured_in_a_pipe():
    one = piped("status")
    assert one.returncode == 0
    lines = one.stdout.decode().splitlines()
    assert lines[0] == "ARMED  You would be told."
    assert lines == [line.rstrip() for line in lines]
    assert b"\x1b" not in one.stdout + one.stderr


@pytest.mark.exhaustive
@pytest.mark.usefixtures("armed")
def test_a_pipe_that_is_to_be_coloured_has_no_spinner_all_the_same():
    one = piped("status", FORCE_COLOR="1")
    assert COLOUR.search(one.stdout.decode())
    assert one.stderr == b""


@pytest.mark.exhaustive
def test_no_line_is_broken_in_a_pipe_however_long_it_is(armed):
    armed.client("sqs").untag_queue(QueueUrl=receipts(armed), TagKeys=["ctwatch:watch"])
    one = piped("status")
    armed.client("sqs").tag_queue(QueueUrl=receipts(armed), Tags={"ctwatch:watch": "ctwatch"})
    line = "is there already and is not this watch's: it lacks the tag ctwatch:watch=ctwatch\n"
    assert f"• queue ctwatch-receipts {line}" in one.stdout.decode()
    assert one.stderr == b""


def receipts(world: World) -> str:
    return world.client("sqs").get_queue_url(QueueName="ctwatch-receipts")["QueueUrl"]


@pytest.mark.usefixtures("armed")
def test_a_terminal_that_knows_only_ascii_is_spoken_to_in_ascii():
    ascii_only = {"PYTHONIOENCODING": "ascii", "LANG": "C", "LC_ALL": "C"}
    status = piped("status", **ascii_only)
    drill = piped("simulate", "stop-logging", "--timeout", "60", **ascii_only)
    korean = piped("detections", "--json", **ascii_only)
    assert (status.returncode, drill.returncode, korean.returncode) == (0, 0, 0)
    assert b"v trail ct-trail-monitor" in status.stdout
    assert b" UTC - recorded, matched, topic: by " in drill.stdout
    titles = {one["id"]: one["title"]["ko"] for one in json.loads(korean.stdout.decode("ascii"))}
    assert titles["trail-tampering"].startswith("CloudTrail ")
    assert b"Traceback" not in status.stderr + drill.stderr + korean.stderr


@pytest.mark.usefixtures("armed")
def test_a_reader_who_goes_away_is_no_traceback():
    process = subprocess.Popen(
        [*COMMAND, "detections", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    _, err = process.communicate()
    assert b"Traceback" not in err


@pytest.mark.usefixtures("world")
def test_the_language_of_the_catalogue_is_that_of_the_terminal():
    korean = piped("detections", LC_ALL="ko_KR.UTF-8").stdout.decode()
    english = piped("detections", LC_ALL="", LC_MESSAGES="", LANG="en_US.UTF-8").stdout.decode()
    assert "CloudTrail 추적 변조" in korean
    assert "CloudTrail trail tampering" in english


def test_help_and_version_load_nothing_that_is_slow():
    asks = "import sys; from ctwatch.cli import main; main(['--help']); main(['--version']); "
    asks += "print({'boto3', 'rich', 'pydantic', 'moto', 'yaml'} & set(sys.modules))"
    asked = subprocess.run([sys.executable, "-c", asks], capture_output=True, check=True, text=True)
    assert asked.stdout.endswith(f"ctwatch {version()}\nset()\n")


def version() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["ctwatch"])
        return told("--version").out.split()[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", "stop-logging", "--timeout", "nan"),
        ("simulate", "stop-logging", "--timeout", "inf"),
        ("status", "--watch", "--interval", "nan"),
        ("down", "--yes", "--wait", "nan"),
    ],
)
def test_a_span_that_is_no_number_is_refused_before_aws_is_asked(arguments):
    ran = told(*arguments)
    assert ran.code == 2
    assert "is no number of seconds" in ran.err


class Full(io.StringIO):
    """A disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_an_output_that_cannot_be_written_is_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", Full())
    assert main(["detections"]) == 1
    said = "Error: the output cannot be written: No space left on device\n"
    assert capsys.readouterr().err == said


def test_an_output_that_is_closed_gets_nothing(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    assert main(["detections"]) == 0
