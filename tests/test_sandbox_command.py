"""`ctwatch sandbox` as a process of its own, and other processes that use it."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError
from sandbox_stand_ins import client, make_trail
from watch_world import PLAIN

from ctwatch.cli import main
from ctwatch.clock import Clock
from ctwatch.demo import _told_to_end, exports, keep_sandbox

CTWATCH = [sys.executable, "-c", "from ctwatch.cli import run; run()"]
PATIENCE = 60.0
STAGES = ("call", "record", "rule", "topic", "mail", "queue", "function", "log", "webhook")
REAL = {
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "AKIAREALREALREALREAL",
    "AWS_SECRET_ACCESS_KEY": "real",
    "AWS_SESSION_TOKEN": "real",
    "AWS_ENDPOINT_URL": "https://example.com",
    "AWS_ENDPOINT_URL_CLOUDTRAIL": "https://cloudtrail.example.com",
    "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/real",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T1/B1/real",
    "TEAMS_WEBHOOK_URL": "https://x.logic.azure.com/workflows/1?sig=real",
    "WEBHOOK_URL": "https://example.com/real",
}


class Running:
    """A `ctwatch sandbox` that runs; what it prints is read as it comes."""

    def __init__(self, folder: Path, *options: str) -> None:
        env = {**os.environ, **REAL, "TMPDIR": str(folder)}
        env.pop("COLUMNS", None)
        self.folder = folder
        self.process = subprocess.Popen(
            [*CTWATCH, "sandbox", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=env,
        )
        self.lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in self.lines
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        with getattr(self.process, name) as stream:
            self.lines[name].extend(iter(stream.readline, ""))

    @property
    def story(self) -> str:
        return "".join(self.lines["stderr"])

    def wait_for(self, seen: Callable[["Running"], object]) -> None:
        """Wait until something was printed; real time, as it is another process."""
        end = time.monotonic() + PATIENCE
        while not seen(self):
            assert time.monotonic() < end, self.story
            assert self.process.poll() is None, self.story
            time.sleep(0.02)

    def wait_for_line(self, *words: str) -> str:
        found: list[str] = []

        def seen(_: "Running") -> bool:
            lines = list(self.lines["stderr"])
            found[:] = [one for one in lines if all(word in one for word in words)]
            return bool(found)

        self.wait_for(seen)
        return found[-1]

    def end(self, how: int) -> int:
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code


def started(folder: Path, *options: str) -> Running:
    running = Running(folder, *options)
    running.wait_for(lambda one: any("DISCORD_WEBHOOK_URL" in line for line in one.lines["stdout"]))
    return running


def environment(running: Running) -> dict[str, str]:
    """What a shell has after pasting what was printed, real credentials having been there."""
    lines = "".join(running.lines["stdout"])
    shell = subprocess.run(
        ["/bin/sh", "-e", "-c", f"{lines}env -0"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **REAL},
    )
    return dict(one.split("=", 1) for one in shell.stdout.split("\0") if one)


class Terminal:
    """Another terminal, in which the exports were pasted."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.running = running
        self.folder = folder
        self.env = environment(running)
        (folder / "config.yaml").write_text(yaml.safe_dump(PLAIN), encoding="utf-8")

    def run(self, *command: str, code: int = 0) -> str:
        ran = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert ran.returncode == code, ran.stderr
        return ran.stdout + ran.stderr

    def ctwatch(self, *arguments: str, code: int = 0) -> str:
        return self.run(*CTWATCH, *arguments, code=code)

    def client(self, service: str):
        return boto3.client(
            service,
            region_name=self.env["AWS_REGION"],
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
        )


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Running]:
    running = started(tmp_path_factory.mktemp("sandbox"))
    yield running
    running.process.kill()  # the last test has ended it already, unless something went wrong
    running.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def terminal(running, tmp_path_factory) -> Terminal:
    return Terminal(running, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def armed(terminal) -> Terminal:
    """A watch that another process has put up, its mail confirmed by the link that was printed."""
    up = terminal.ctwatch("up")
    assert "Only a click is missing" in up
    terminal.running.wait_for_line("security@example.com  asked to confirm:")
    link = terminal.running.wait_for_line("http://127.0.0.1:", "/confirm?").strip()
    with urllib.request.urlopen(link, timeout=PATIENCE) as page:
        assert page.status == 200
    return terminal


def test_stdout_holds_the_lines_for_a_shell_and_nothing_else(running):
    lines = running.lines["stdout"]
    assert lines[0].startswith("unset AWS_PROFILE ")
    assert all(re.fullmatch(r"export \w+=\S+\n", line) for line in lines[1:])
    running.wait_for_line("A local AWS is running. Paste these lines into another terminal")


def test_the_exports_override_real_credentials_and_endpoints(terminal):
    env = terminal.env
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", env["AWS_ENDPOINT_URL"])
    assert re.match(r"http://127\.0\.0\.1:\d+/api/webhooks/", env["DISCORD_WEBHOOK_URL"])
    assert env["AWS_REGION"] == env["AWS_DEFAULT_REGION"] == "ap-northeast-2"
    kept = {name for name, value in REAL.items() if env.get(name) == value}
    assert kept == set()
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"} & set(env) == set()


def test_the_exports_lead_to_a_stand_in_for_each_type_of_channel(terminal):
    env = terminal.env
    assert re.match(r"http://127\.0\.0\.1:\d+/services/T", env["SLACK_WEBHOOK_URL"])
    assert re.match(r"http://127\.0\.0\.1:\d+/workflows/.*&sig=", env["TEAMS_WEBHOOK_URL"])
    assert re.match(r"http://127\.0\.0\.1:\d+/hooks/", env["WEBHOOK_URL"])


def test_another_process_puts_the_watch_up_and_the_printed_link_confirms_the_mail(armed):
    assert armed.ctwatch("status").startswith("ARMED")


def test_another_process_strikes_and_each_message_is_shown_as_it_arrives(armed):
    proven = armed.ctwatch("simulate", "stop-logging", "--timeout", "60")
    assert "stop-logging  proven" in proven
    probe = re.search(r"ctwatch-probe-\w+", proven)[0]
    armed.running.wait_for_line("✓ webhook", "discord  message received, 200")
    armed.running.wait_for_line("│", "DRILL · StopLogging", probe)
    armed.running.wait_for_line("✓ mail", "received:")
    armed.running.wait_for_line("│ Subject: AWS Notification Message")
    for stage in ("call", "record", "rule", "topic", "function", "log"):
        armed.running.wait_for_line(f" {stage} ")


def test_plain_boto3_that_stops_the_trail_leads_to_a_discord_message(armed):
    armed.client("cloudtrail").stop_logging(Name="ct-trail-monitor")
    armed.running.wait_for_line("│", "StopLogging · SUCCEEDED", "ct-trail-monitor (ours)")
    assert armed.ctwatch("status", code=3).startswith("BLIND")
    assert "~ repaired trail ct-trail-monitor: logging" in armed.ctwatch("up")


def aws() -> str | None:
    """The aws command, where there is one that works."""
    found = shutil.which("aws")
    works = found and subprocess.run([found, "--version"], capture_output=True, check=False)
    return found if works and works.returncode == 0 else None


def test_the_aws_command_that_stops_the_trail_leads_to_a_discord_message(armed):
    """By boto3 again where there is no such command."""
    before = armed.running.story.count("│ Event: StopLogging")
    command = aws()
    if command:
        armed.run(command, "cloudtrail", "stop-logging", "--name", "ct-trail-monitor")
    else:
        armed.client("cloudtrail").stop_logging(Name="ct-trail-monitor")
    armed.running.wait_for(lambda one: one.story.count("│ Event: StopLogging") > before)


@pytest.mark.exhaustive
def test_what_comes_to_each_stand_in_is_shown(armed):
    channels = [
        {"type": "slack", "url": "env:SLACK_WEBHOOK_URL"},
        {"type": "teams", "url": "env:TEAMS_WEBHOOK_URL"},
        {"type": "webhook", "url": "env:WEBHOOK_URL"},
    ]
    config = armed.folder / "config.yaml"
    config.write_text(yaml.safe_dump({**PLAIN, "channels": channels}), encoding="utf-8")
    armed.ctwatch("up")
    armed.ctwatch("simulate", "delete-trail", "--timeout", "30")
    for kind, status, title in (
        ("slack", 200, "Slack"),
        ("teams", 202, "Teams"),
        ("webhook", 200, "Webhook"),
    ):
        armed.running.wait_for_line("webhook", f"{kind}  message received, {status}")
        armed.running.wait_for_line(f"╭─ {title} ─")
    config.write_text(yaml.safe_dump(PLAIN), encoding="utf-8")
    armed.ctwatch("up")


def test_a_hop_is_one_line_in_a_pipe_and_a_link_is_one_word(armed):
    story = armed.running.story.splitlines()
    hops = [one for one in story if re.match(r"\d\d:\d\d:\d\d ", one)]
    assert len(hops) > 30
    known = rf"\d\d:\d\d:\d\d [✓✗·] ({'|'.join(STAGES)}) +\S+  \S"
    assert [one for one in hops if not re.match(known, one) or one != one.rstrip()] == []
    [link] = [one for one in story if "/confirm?" in one and "│" not in one]
    assert re.fullmatch(r"http://\S+", link)


def test_ctrl_c_ends_it_well_with_the_function_that_it_kept_warm_and_its_folder(armed):
    running = armed.running
    children = below(running.process.pid)
    assert children
    assert list(running.folder.iterdir())
    assert running.end(signal.SIGINT) == 0
    assert running.story.endswith("The sandbox is gone, with everything in it.\n")
    assert [pid for pid in children if alive(pid)] == []
    assert list(running.folder.iterdir()) == []
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(armed.env["AWS_ENDPOINT_URL"], timeout=5)


@pytest.mark.exhaustive
def test_quiet_tells_a_link_and_no_more_while_a_watch_comes_and_goes_and_sigterm_ends_it_well(
    tmp_path,
):
    running = started(tmp_path, "--quiet", "--region", "eu-west-1")
    terminal = Terminal(running, tmp_path)
    terminal.ctwatch("up", "--region", "eu-west-1")
    down = terminal.ctwatch("down", "--region", "eu-west-1", "--yes", "--delete-logs")
    assert "its deletion was heard: the alert has arrived" in down
    assert "Nothing of this watch is left." in down
    assert running.end(signal.SIGTERM) == 0
    [link] = running.story.splitlines()
    assert link.startswith(f"{terminal.env['AWS_ENDPOINT_URL']}/confirm?")
    assert {one.name for one in tmp_path.iterdir()} == {"config.yaml"}


def test_with_latency_it_answers_later_and_tells_of_each_burst_of_calls(tmp_path):
    running = started(tmp_path, "--latency", "150")
    sts = Terminal(running, tmp_path).client("sts")
    for _ in range(2):
        before = time.monotonic()
        sts.get_caller_identity()
        assert time.monotonic() - before >= 0.15
    told = running.wait_for_line("2 calls, 2 in series, ")
    assert float(re.fullmatch(r"2 calls, 2 in series, (\d+\.\d\d) s\n", told)[1]) >= 0.3
    sts.get_caller_identity()
    running.wait_for_line("1 call, 1 in series, ")
    assert running.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("latency", ["-1", "5001", "0.5", "slow"])
def test_a_latency_that_is_none_is_refused_in_a_sentence(latency, capsys):
    assert main(["sandbox", "--latency", latency]) == 2
    assert "Invalid value for '--latency'" in capsys.readouterr().err


@pytest.mark.exhaustive
def test_like_aws_it_tells_each_delay(tmp_path):
    running = started(tmp_path, "--like-aws")
    Terminal(running, tmp_path).client("sqs").create_queue(QueueName="new")
    with pytest.raises(ClientError, match="NonExistentQueue"):
        Terminal(running, tmp_path).client("sqs").get_queue_url(QueueName="new")
    running.wait_for_line("· delay", "new  queue not known everywhere yet: ")
    assert running.end(signal.SIGTERM) == 0


def test_what_ends_it_is_undone_again_and_a_hang_up_is_ignored_where_it_was():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        with _told_to_end() as over:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not over.wait(0.05)
            os.kill(os.getpid(), signal.SIGINT)
            assert over.wait(5)
        assert signal.getsignal(signal.SIGINT) is interrupt
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def digests(s3) -> list[dict]:
    """The digest files in the bucket, the oldest first."""
    listed = s3.list_objects_v2(Bucket="watched-logs").get("Contents", [])
    keys = sorted(one["Key"] for one in listed if "CloudTrail-Digest" in one["Key"])
    found = [s3.get_object(Bucket="watched-logs", Key=key)["Body"].read() for key in keys]
    return [json.loads(gzip.decompress(one)) for one in found]


def watched() -> list[dict]:
    """Use the sandbox that this process is led to until two digests are there, then end it."""
    end = time.monotonic() + PATIENCE
    while not os.environ.get("AWS_ENDPOINT_URL"):
        assert time.monotonic() < end
        time.sleep(0.02)
    try:
        place = SimpleNamespace(url=os.environ["AWS_ENDPOINT_URL"], env=os.environ.copy)
        make_trail(place, EnableLogFileValidation=True)
        sns, s3 = client(place, "sns"), client(place, "s3")
        while len(found := digests(s3)) < 2 and time.monotonic() < end:
            sns.create_topic(Name="recorded")
            time.sleep(0.02)
        return found
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def test_log_files_are_delivered_every_five_minutes_and_digests_every_hour(monkeypatch):
    """By a clock of which an hour is a second."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with ThreadPoolExecutor(1) as hand:
        using = hand.submit(watched)
        assert keep_sandbox("ap-northeast-2", quiet=True, clock=Clock(3600)) == 0
        first, second = using.result(PATIENCE)[:2]
    begun, ended = (
        datetime.fromisoformat(second[name]) for name in ("digestStartTime", "digestEndTime")
    )
    assert second["previousDigestS3Object"] == first["digestS3Object"]
    assert ended - begun > timedelta(minutes=59)
    assert len(second["logFiles"]) > 1


def below(pid: int) -> set[int]:
    """The processes that a process has started, and theirs."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout.split()
    parents = dict(zip(map(int, listed[::2]), map(int, listed[1::2]), strict=True))
    found = {pid}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_value_that_a_shell_would_read_is_quoted():
    class Odd:
        def env(self) -> dict[str, str]:
            return {"A": "it's $HOME"}

        def unset(self) -> tuple[str, ...]:
            return ("B", "C")

    assert exports(Odd()) == ["unset B C", """export A='it'"'"'s $HOME'"""]
