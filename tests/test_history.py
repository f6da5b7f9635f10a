"""`ctwatch history` over files: what the detections would have fired on, and who did what."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import past
import pytest

from ctwatch.cli import main
from ctwatch.detections import SAMPLE, catalogue
from ctwatch.history.catalogue import asked
from ctwatch.history.events import event
from ctwatch.history.questions import stops
from ctwatch.history.records import Seen
from ctwatch.history.search import Blob, Search, Searching
from ctwatch.history.tally import Rows, Tally
from ctwatch.lint import exclusions
from ctwatch.patterns import compiled

INSTANCE, GROUP = "i-0abc1234def567890", "sg-0a1b2c3d4e5f60718"
STOP = (1, "cloudtrail", "StopLogging", False, "role")
STOPPED = {"requestParameters": {"name": "the-trail"}}
CONFIG = "{alerts: {timezone: Asia/Seoul}, topic: {emails: [a@example.com]}}"
RNG = random.Random("history")


def one(call, at, **fields):
    return past.record(RNG, call, past.BEGIN + at, "ap-northeast-2") | fields


def parameters(**fields):
    return {"requestParameters": fields, "eventID": f"id-{RNG.random()}"}


TERMINATED = one(
    (1, "ec2", "TerminateInstances", False, "user"),
    timedelta(days=1, hours=3),
    **parameters(instancesSet={"items": [{"instanceId": INSTANCE}]}),
)
OPENED = one(
    (1, "ec2", "AuthorizeSecurityGroupIngress", False, "user"),
    timedelta(days=2),
    **parameters(groupId=GROUP),
)
DENIED = one(
    (1, "ec2", "RunInstances", False, "user"),
    timedelta(days=2, hours=1),
    errorCode="Client.UnauthorizedOperation",
)
STRANGER = one(
    (1, "iam", "ListUsers", True, "user"), timedelta(days=2, hours=2), sourceIPAddress="192.0.2.66"
)
FAILED = one(
    (1, "signin", "ConsoleLogin", False, "user"),
    timedelta(days=3),
    responseElements={"ConsoleLogin": "Failure"},
    errorMessage="Failed authentication",
)
ROOT = one(
    (1, "iam", "CreateAccessKey", False, "user"),
    timedelta(days=3, hours=1),
    userIdentity={"type": "Root", "arn": f"arn:aws:iam::{past.ACCOUNT}:root"},
)
ASKED_FOR = (TERMINATED, OPENED, DENIED, STRANGER, FAILED, ROOT)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Four days of records, by day, as CloudTrail keeps them, with what the questions are about."""
    folder = tmp_path_factory.mktemp("logs")
    for day in range(4):
        at = past.BEGIN + timedelta(days=day)
        everyday = past.records(f"day {day}", 50, at, timedelta(minutes=20))
        mine = [each for each in ASKED_FOR if each["eventTime"].startswith(f"{at:%Y-%m-%d}")]
        stopped = [
            one(STOP, timedelta(days=day, minutes=minute), **STOPPED) for minute in range(day + 1)
        ]
        path = folder / past.key(at + timedelta(days=1), "ap-northeast-2", f"{day}")
        path.parent.mkdir(parents=True)
        path.write_bytes(past.zipped([*everyday, *mine, *stopped]))
    return folder


class Ran:
    def __init__(self, capfd, folder):
        self._capfd, self.logs = capfd, folder

    def __call__(self, *words, logs=None):
        self.code = main(["history", *words, "--from", str(logs or self.logs)])
        self.out, self.err = self._capfd.readouterr()
        return self

    @property
    def document(self):
        return json.loads(self.out)


@pytest.fixture
def ran(capfd, logs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.delenv("COLUMNS", raising=False)
    return Ran(capfd, logs)


def test_it_tells_how_often_each_detection_would_have_fired(ran):
    ran()
    assert ran.code == 0
    told = ran.out.split("trail-tampering")[1]
    assert "critical  10 times on 4 days" in told
    assert "▃▅▇█" in told
    assert (
        "2026-11-04 00:03:00 UTC StopLogging of the-trail by arn:aws:iam::123456789012:role/"
        in told
    )
    assert told.count("StopLogging of the-trail by") == 3
    assert re.search(
        r'except: {actors: \["arn:aws:iam::123456789012:role/\w+"\]} would leave out', told
    )
    assert "root-login  high  never" in ran.out
    assert "record tells which: log-bucket-tampering, log-key-tampering" in ran.err
    assert "216 records in 4 files" in ran.err


def test_it_tells_the_same_to_programs(ran):
    found = {each["id"]: each for each in ran("--json").document["detections"]}
    assert ran.code == 0
    tampering = found["trail-tampering"]
    assert tampering["count"] == 10
    assert tampering["days"] == {f"2026-11-0{day}": day for day in (1, 2, 3, 4)}
    assert [each["time"] for each in tampering["last"]] == [
        f"2026-11-04T00:0{minute}:00Z" for minute in (3, 2, 1)
    ]
    assert found["root-activity"]["count"] == 1
    assert found["console-login-failure"]["count"] == 1


def test_it_speaks_korean(ran):
    ran("--language", "ko", "--detection", "trail-tampering")
    assert "CloudTrail 추적 변조" in ran.out
    assert "4일 동안 10번" in ran.out
    assert "root-login" not in ran.out


def test_one_day_is_no_days(ran):
    words = ("--detection", "trail-tampering", "--since", "2026-11-04T00:00Z")
    assert "4 times on one day" in ran(*words).out
    assert "하루에 4번" in ran(*words, "--language", "ko").out


def test_a_finding_names_no_place_that_it_has_not(ran, tmp_path):
    """An Insights event was made by nobody, from nowhere."""
    [insight] = catalogue()["insight"].fires_on(SAMPLE)[:1]
    file = tmp_path / "insight.json"
    file.write_text(json.dumps({**insight["detail"], "awsRegion": "us-east-1"}))
    words = ("--detection", "insight")
    [said] = [line for line in ran(*words, logs=file).out.splitlines() if " · " in line]
    assert said.endswith("in us-east-1")
    assert not re.search(r" by | from ", said)
    [said] = [
        line
        for line in ran(*words, "--language", "ko", logs=file).out.splitlines()
        if " · " in line
    ]
    assert said.endswith("리전 us-east-1")


def test_what_is_called_like_a_log_file_and_is_none_is_told(ran, tmp_path):
    inside = tmp_path / "x.json.gz"
    inside.mkdir()
    (inside / "one.json.gz").write_bytes(past.zipped([ROOT]))
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    ran("ask", "root", logs=tmp_path)
    assert (ran.code, len(ran.out.splitlines())) == (0, 2)
    for name in ("x.json.gz", "gone.json"):
        assert f"{name} is called like a log file, but it is none." in " ".join(ran.err.split())


def test_only_the_time_and_the_region_that_are_asked_for_count(ran):
    def count(*words):
        [found] = ran("--json", "--detection", "trail-tampering", *words).document["detections"]
        return found["count"]

    assert count("--since", "2026-11-03T00:00Z") == 7
    assert count("--since", "2026-11-03T00:01Z", "--until", "2026-11-04T00:00Z") == 2
    assert count("--region", "us-east-1") == 0
    assert count("--region", "us-east-1", "--region", "ap-northeast-2") == 10


def test_what_a_watch_owns_is_asked_for_where_there_is_a_config(ran, tmp_path):
    bucket = f"s3-cloudtrail-monitor-{past.ACCOUNT}-ap-northeast-2-an"
    opened = (1, "s3", "PutBucketPolicy", False, "user")
    several = [
        one(opened, timedelta(0), **parameters(bucketName=each)) for each in (bucket, "other")
    ]
    (tmp_path / "one.json.gz").write_bytes(past.zipped(several))
    (tmp_path / "config.yaml").write_text(CONFIG)
    [found] = ran(
        "--json", "--detection", "log-bucket-tampering", logs=tmp_path / "one.json.gz"
    ).document["detections"]
    assert (found["count"], found["days"]) == (1, {"2026-11-01": 1})
    ran("--detection", "log-object-deletion", logs=tmp_path / "one.json.gz")
    assert "Not known, as CloudTrail does not record" in ran.err
    assert "log-object-deletion" in ran.err


QUESTIONS = {
    ("who-terminated", INSTANCE): (TERMINATED, 1),
    ("who-changed-security-group", GROUP): (OPENED, 1),
    ("denied",): (DENIED, 1),
    ("failed-logins",): (FAILED, 1),
    ("root",): (ROOT, 1),
    ("event", TERMINATED["eventID"]): (TERMINATED, 1),
    ("denied", "--by", DENIED["userIdentity"]["arn"]): (DENIED, 1),
    ("denied", "--by", f"{DENIED['userIdentity']['arn']}x"): (None, 0),
    ("who-terminated", "i-0"): (None, 0),
    (
        *("outside", "--allow", "203.0.113.7", "--allow", "198.51.100.0/24"),
        *("--allow", "10.0.0.0/8", "--allow", "2001:db8::/32"),
    ): (STRANGER, 1),
    (
        *("actor", TERMINATED["userIdentity"]["arn"], "--around", TERMINATED["eventTime"]),
        *("--within", "1m"),
    ): (TERMINATED, 1),
}


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_a_question_is_answered(ran, question):
    meant, count = QUESTIONS[question]
    document = ran("ask", *question, "--json").document
    assert (ran.code, document["count"], document["left_out"]) == (0, count, 0)
    for row in document["rows"]:
        who = meant["userIdentity"].get("arn", "")
        assert row.get("actor", who) == who
        assert row.get("event", meant["eventName"]) == meant["eventName"]
        assert row.get("time", row.get("first")) == meant["eventTime"]
    ran("ask", *question)
    assert ("No record of that." in ran.err) is (count == 0)
    assert len(ran.out.splitlines()) == (count + 1 if count else 0)


def test_an_event_is_told_whole(ran):
    assert ran("ask", "event", ROOT["eventID"], "--json").document["records"] == [ROOT]


EXCEPT = """
rules:
  - {name: mine, detection: trail-tampering, except: {actors: ["arn:aws:iam::{account}:role/c*"]}}
  - {name: all, detection: trail-tampering}
"""


def test_what_a_rule_leaves_out_already_is_told(ran, tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG[1:-1].replace("}, ", "}\n") + EXCEPT)
    html = tmp_path / "page.html"
    ran("--json", "--html", str(html), "--detection", "trail-tampering")
    [found] = ran.document["detections"]
    by_ci = found["actors"].get(f"arn:aws:iam::{past.ACCOUNT}:role/ci", 0)
    assert 0 < by_ci < found["count"] == 10
    assert found["rules"] == [{"rule": "mine", "leaves_out": by_ci}]
    assert f"The except of the rule mine leaves out {by_ci}" in html.read_text("utf-8")
    ran("--detection", "trail-tampering")
    assert f"the except of the rule mine leaves out {by_ci} of 10" in ran.out


def test_what_is_too_wide_for_the_screen_is_told_in_lines_of_its_own(ran, monkeypatch):
    ran("ask", "failed-logins")
    wide = ran.out.splitlines()
    monkeypatch.setenv("COLUMNS", "80")
    ran("ask", "failed-logins")
    lines = ran.out.splitlines()
    assert len(lines) > len(wide)
    assert max(map(len, lines)) <= 80
    heads = [one for one in lines if one.startswith("20")]
    assert len(heads) == len(wide) - 1
    assert all(one in ran.out for row in wide[1:] for one in row.split("  ")[:2])


def test_a_session_that_is_the_actor_again_is_not_told_twice(ran):
    ran("ask", "failed-logins")
    assert "session" not in ran.out.splitlines()[0]


def test_what_a_stranger_chose_cannot_act(ran, tmp_path):
    evil = {
        **FAILED,
        "userAgent": "\x1b[2J\n[bold]x",
        "errorMessage": "a\nb",
        "eventID": "\x1b]0;x\x07",
    }
    (tmp_path / "one.json").write_text(json.dumps(evil))
    ran("ask", "failed-logins", logs=tmp_path / "one.json")
    assert len(ran.out.splitlines()) == 2
    assert "\x1b" not in ran.out
    assert "[bold]x" in ran.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--since", "yesterday"), "--since: 'yesterday' is neither"),
        (("--since", ""), "--since: '' is neither"),
        (("--until", "yesterday"), "--until: 'yesterday' is neither"),
        (("--since", "2026-11-03", "--until", "2026-11-02"), "--until: that is not after --since"),
        (("--detection", "trail-tamperin"), "Did you mean trail-tampering?"),
        (("ask", "who-terminated", "x"), "no id that begins with i-"),
        (("ask", "outside"), "Missing option '--allow'"),
        (("ask", "outside", "--allow", "10.0.0.1/8"), "host bits set. Did you mean 10.0.0.0/8?"),
        (("ask", "outside", "--allow", "10.0.0.300/8"), "10.0.0.300/8' does not appear to be an"),
        (("ask", "denied", "--by", "bob"), "'bob' is no ARN"),
        (("ask", "actor", "arn:x", "--around", "2h", "--within", "2026"), "--within"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(ran, words, says):
    ran(*words)
    assert ran.code == 2
    assert says in ran.err


def test_a_region_of_which_there_is_no_record_is_told(ran):
    for words in ((), ("ask", "root"), ("ask", "gaps")):
        ran(*words, "--region", "ap-northeast-2", "--region", "ap-northeast-22")
        assert ran.code == 1
        said = "No record of region ap-northeast-22. Did you mean ap-northeast-2?"
        assert said in " ".join(ran.err.split())
        assert ran(*words, "--region", "ap-northeast-22").code == 1
        assert said in " ".join(ran.err.split())
        assert ran(*words, "--region", "ap-northeast-2").code != 1
        assert "No record of region" not in ran.err


def test_a_page_that_cannot_be_written_is_told_before_anything_is_read(ran, tmp_path):
    ran("--html", str(tmp_path / "gone" / "page.html"))
    assert (ran.code, ran.out) == (1, "")
    assert "--html:" in ran.err
    assert not [*tmp_path.iterdir()]


def test_a_page_is_written_after_what_could_not_be_read_was_told(ran, tmp_path):
    (tmp_path / "cut.json.gz").write_bytes(past.zipped([ROOT])[:-20])
    page = tmp_path / "page.html"
    ran("--html", str(page), logs=tmp_path / "cut.json.gz")
    assert "was not known: log-bucket-tampering" in page.read_text("utf-8")
    assert "(UTC)" not in page.read_text("utf-8")  # no days: nothing was read
    assert (ran.code, page.exists()) == (1, True)
    assert ran.err.index("cut: its end is missing") < ran.err.index("Written: ")


def test_a_folder_without_log_files_is_no_answer(ran, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for place in (tmp_path, tmp_path / "gone"):
        ran(logs=place)
        assert (ran.code, ran.out) == (2, "")
        assert "--from: there is no" in ran.err


def test_what_could_not_be_read_is_told_and_makes_the_answer_doubtful(ran, tmp_path):
    (tmp_path / "one.json.gz").write_bytes(past.zipped([TERMINATED]))
    (tmp_path / "digest.json").write_text('{"digestS3Object": "x"}')
    ran("ask", "who-terminated", INSTANCE, logs=tmp_path)
    assert ran.code == 0
    assert "1 file not read, or not all of it: a digest file" in ran.err
    for number in range(5):
        (tmp_path / f"cut{number}.json.gz").write_bytes(past.zipped([ROOT])[:-20])
    ran("ask", "who-terminated", INSTANCE, logs=tmp_path)
    assert ran.code == 1
    assert ran.err.count("cut: its end is missing") == 1
    assert "cut2.json.gz, …" in ran.err
    assert INSTANCE not in ran.err
    assert len(ran.out.splitlines()) == 2
    assert "cut4" in ran("ask", "root", "-v", logs=tmp_path).err


def test_hours_without_a_record_are_a_gap(ran, tmp_path):
    """Of all regions; and of one by itself only where something is recorded most of the time."""

    def at(hour, region):
        return past.record(RNG, past.EVERYDAY[0], past.BEGIN + timedelta(hours=hour), region)

    several = [at(hour, "busy") for hour in range(24) if hour not in {5, 6, 20}]
    several += [at(hour, "quiet") for hour in (1, 20, 23)]
    stopped = {**one(STOP, timedelta(hours=4, minutes=55)), "awsRegion": "busy"}
    (tmp_path / "one.json.gz").write_bytes(past.zipped([*several, stopped]))
    document = ran("ask", "gaps", "--json", logs=tmp_path).document
    told = [(each["region"], each["start"][11:13], each["hours"]) for each in document["gaps"]]
    assert (ran.code, told) == (3, [(None, "05", 2), ("busy", "20", 1)])
    assert [each["event"] for each in document["stops"]] == ["StopLogging"]
    ran("ask", "gaps", logs=tmp_path)
    assert "anywhere   2026-11-01 05:00 UTC  2026-11-01 07:00 UTC  2" in ran.out
    ran(
        "ask", "gaps", "--since", "2026-11-01T07:30Z", "--until", "2026-11-01T19:00Z", logs=tmp_path
    )
    assert (ran.code, "No gap." in ran.err) == (0, True)
    ran(
        "ask", "gaps", "--since", "2026-11-01T07:00Z", "--until", "2026-11-02T01:30Z", logs=tmp_path
    )
    assert (ran.code, "2026-11-02 00:00 UTC" in ran.out) == (3, True)


def test_a_region_that_falls_silent_or_begins_late_is_a_gap(ran, tmp_path):
    """However short it was busy; what was never busy for a day tells nothing by itself."""
    hours = {
        "us-east-1": range(100),
        "eu-west-1": range(40),
        "eu-north-1": range(70, 100),
        "ap-south-1": range(30, 42),
        "sa-east-1": range(0, 100, 3),
    }
    several = [
        past.record(RNG, past.EVERYDAY[0], past.BEGIN + timedelta(hours=hour), region)
        for region, busy in hours.items()
        for hour in busy
    ]
    (tmp_path / "one.json.gz").write_bytes(past.zipped(several))
    end = f"{past.BEGIN + timedelta(hours=100):%Y-%m-%dT%H:%MZ}"
    ran("ask", "gaps", "--until", end, "--json", logs=tmp_path)
    told = [(each["region"], each["start"][8:13], each["hours"]) for each in ran.document["gaps"]]
    assert told == [("eu-north-1", "01T00", 70), ("eu-west-1", "02T16", 60)]
    assert ran.code == 3


BLIND = {"eventSelectors": [{"includeManagementEvents": False}]}
EVERY = {"eventSelectors": [{"includeManagementEvents": True, "readWriteType": "All"}]}


@pytest.mark.parametrize(
    ("name", "fields", "told", "code"),
    [
        ("StopLogging", {}, 1, 3),
        ("DeleteTrail", {}, 1, 3),
        ("StopLogging", {"errorCode": "TrailNotFoundException"}, 0, 0),
        ("UpdateTrail", {"requestParameters": {"isMultiRegionTrail": False}}, 1, 3),
        ("UpdateTrail", {"requestParameters": {"enableLogFileValidation": True}}, 1, 0),
        ("PutEventSelectors", {"requestParameters": BLIND}, 1, 3),
        ("PutEventSelectors", {"requestParameters": EVERY}, 1, 0),
        ("StartLogging", {}, 1, 0),
        ("CreateTrail", {}, 1, 0),
    ],
)
def test_what_stopped_the_logging_is_a_gap(ran, name, fields, told, code):
    call = (1, "cloudtrail", name, False, "role")
    file = Path("one.json.gz")
    file.write_bytes(past.zipped([one(call, timedelta(), **fields)]))
    ran("ask", "gaps", logs=file)
    assert (ran.code, ran.out.count(name)) == (code, told)
    assert ("No gap." in ran.err) == (code == 0)


def test_a_time_before_the_first_record_may_be_no_gap_and_that_is_said(ran, tmp_path):
    """It is one all the same: a trail that was stopped before and began anew looks like it."""
    (tmp_path / "one.json.gz").write_bytes(past.zipped([one(STOP, timedelta(hours=9))]))
    ran("ask", "gaps", "--since", "2026-11-01T00:00Z", logs=tmp_path)
    assert (ran.code, "anywhere" in ran.out) == (3, True)
    assert "it is no gap: ask with --since 2026-11-01T09:00Z." in ran.err
    ran("ask", "gaps", "--since", "2026-11-01T09:00Z", logs=tmp_path)
    assert "anywhere" not in ran.out
    assert "it is no gap" not in ran.err


def test_processes_find_what_one_finds(logs):
    files = sorted(logs.rglob("*.gz")) * 3
    search = Search((stops(),))
    results = []
    for workers in (1, 3):
        with Searching(search, 1 << 40, workers) as searching:
            seen, found = Seen(), []
            for each in searching.through(files):
                seen |= each.seen
                found += each.findings
        results.append((seen.records, seen.first, seen.last, sorted(found)))
    assert results[0] == results[1]
    assert len(results[0][3]) == 30


def test_where_threads_run_the_processes_start_anew_and_find_the_same(logs):
    """A process that is forked beside a thread may wait for ever for what that thread held."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with Searching(Search((stops(),)), 1 << 40, 2) as searching:
            pieces = [Blob(one.name, one.read_bytes()) for one in sorted(logs.rglob("*.gz"))]
            found = [one for each in searching.through(pieces) for one in each.findings]
    finally:
        done.set()
        thread.join()
    assert len(found) == 10


def test_a_record_that_lies_in_two_files_counts_once(ran, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.json.gz").write_bytes(past.zipped([ROOT]))
    [found] = ran("--json", "--detection", "root-activity", logs=tmp_path).document["detections"]
    assert found["count"] == 1
    assert ran("ask", "root", "--json", logs=tmp_path).document["rows"][0]["count"] == 1


def test_an_exclusion_would_save_what_it_says(logs):
    """The pattern with that exclusion, as `up` would write it, matches so many less."""
    several = list(past.records("saves", 40)) + [
        one((1, "ec2", "AuthorizeSecurityGroupIngress", False, who), timedelta(minutes=minute))
        for who in ("role", "user", "service")
        for minute in range(20)
    ]
    known = {"security-group-ingress": catalogue()["security-group-ingress"]}
    [(_, question)] = asked(known, SAMPLE).questions
    with Searching(Search((question,)), 0) as searching:
        tally = Tally(tuple(each.name for each in question.columns))
        path = logs / "saves.json"
        path.write_text(json.dumps({"Records": several}))
        for found in searching.through([path]):
            for each in found.findings:
                tally.add(each)
        path.unlink()
    assert tally.exclusions()
    for each in tally.exclusions():
        pattern = exclusions(question.pattern, **{each.key: [each.value]})
        left = sum(compiled(pattern).matches(event(record)) for record in several)
        assert each.saved == tally.count - left > 0


def test_the_order_in_which_records_come_changes_nothing():
    question = stops()
    several = [one(STOP, timedelta(minutes=number // 4)) for number in range(40)]
    told = []
    for _ in range(5):
        RNG.shuffle(several)
        with Searching(Search((question,)), 0) as searching:
            found = searching.document("x", json.dumps({"Records": several}).encode()).findings
        tally, rows = Tally(tuple(each.name for each in question.columns)), Rows(question)
        for each in found:
            tally.add(each)
            rows.add(each)
        told.append((tally.newest, tally.noisiest, tally.exclusions(), rows.rows))
    assert all(each == told[0] for each in told)


def test_ctrl_c_ends_it_at_once_and_it_can_be_asked_again(tmp_path):
    """With files for many seconds: the process and all of its own are gone, and nothing is left."""
    zipped = past.zipped(past.records("many", 500))
    for number in range(3000):
        os.link(_written(tmp_path, zipped), tmp_path / f"{number}.json.gz")
    command = [sys.executable, "-c", "from ctwatch.cli import run; run()", "history"]
    with subprocess.Popen(
        [*command, "--from", str(tmp_path)],
        stderr=subprocess.PIPE,
        start_new_session=True,
        # What runs in the background may have been told to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as running:
        try:
            _until(lambda: len(_family(running.pid)) > 2)
            os.killpg(running.pid, signal.SIGINT)
            _, said = running.communicate(timeout=20)
        finally:
            running.kill()
    assert running.returncode == 130
    assert said.split()[0] == b"Interrupted."
    _until(lambda: not _family(running.pid))


def _written(folder, content):
    path = folder / "first.json.gz"
    if not path.exists():
        path.write_bytes(content)
    return path


def _family(group):
    """The processes of a group that are not yet done."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its = place.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        found += [place] if its == str(group) and state != "Z" else []
    return found


def _until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_without_the_extra_it_says_what_to_install(tmp_path):
    script = (
        "import sys; sys.modules['msgspec'] = None\n"
        "from ctwatch.cli import main; sys.exit(main(['history', '--from', '.']))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [
        "Error: ctwatch history needs msgspec, which is not installed",
        "Run: pip install 'ctwatch[history]'",
    ]


def test_times_are_those_of_the_configs_time_zone(ran, tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    ran("--detection", "trail-tampering")
    assert "2026-11-04 09:03:00 KST StopLogging" in ran.out
