"""`ctwatch history --from athena` and `--sql`: the same answers, said beforehand, taken away."""

import json
import re

import pytest
from agreeing import Table
from permitted import Judge, judged
from watch_world import PLACE, PLAIN, World, world_of

from ctwatch.sandbox import duck

REGIONS = [PLACE.region, "us-east-1"]


@pytest.fixture(scope="module")
def world(running, tmp_path_factory):
    """A watch that was built and struck, whose trail has delivered."""
    with (
        world_of(running, tmp_path_factory.mktemp("watch")) as world,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("ctwatch.sandbox.server._BY_DEFAULT", REGIONS)  # all that the account has
        patch.setattr("ctwatch.history.athena._FIRST_PAUSE", 0.01)
        world.use(PLAIN)
        assert world.run("up").code == 0
        assert world.run("simulate", "stop-logging", "delete-trail").code in {0, 3}
        running.deliver_logs(running.clock.now())
        yield world


def asked(world: World, source: str, *words: str):
    ran = world.run("history", *words, "--from", source, "--since", "2h", "--json")
    assert ran.code == 0, ran
    return json.loads(ran.out)


QUESTIONS = [
    (),
    ("ask", "denied"),
    ("ask", "root"),
    ("ask", "outside", "--allow", "10.0.0.0/8"),
    ("ask", "failed-logins"),
    ("ask", "actor", f"arn:aws:iam::{PLACE.account}:user/sandbox", "--around", "1m"),
]


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_athena_answers_what_the_bucket_answers(world, words):
    told, right = (asked(world, source, *words) for source in ("athena", "bucket"))
    if words:
        assert sorted(told["rows"], key=str) == sorted(right["rows"], key=str)
        return
    assert told["not_asked"].pop("not_held") == ["insight"]
    assert told["detections"] == [one for one in right["detections"] if one["id"] != "insight"]
    counts = {one["id"]: one["count"] for one in told["detections"]}
    assert counts["trail-tampering"] == 2


def test_what_the_table_does_not_hold_is_said(world):
    ran = world.run("history", "--from", "athena", "--since", "2h")
    assert ran.code == 0
    assert "Not asked, as Athena's table does not hold what they go by: insight." in ran.err


def test_what_it_will_read_is_said_beforehand_and_what_it_has_read_at_the_end(world):
    ran = world.run("history", "ask", "denied", "--from", "athena", "--since", "2h")
    lines = ran.err_lines
    before = next(
        i for i, one in enumerate(lines) if re.match(r"Athena will read about .* in", one)
    )
    after = next(i for i, one in enumerate(lines) if one.startswith("Athena read "))
    assert before < after
    assert lines[before].endswith("less than a cent.")
    said = re.search(r"about (.*) in [1-9]\d* files", lines[before])
    assert said
    assert lines[after].startswith(f"Athena read {said[1]}, which costs less than a cent")


def test_only_the_statement_asks_nothing(world):
    with world.sandbox.recording() as calls:
        ran = world.run("history", "ask", "denied", "--since", "2d", "--sql")
    assert ran.code == 0
    assert not calls
    assert ran.out.startswith("SELECT")
    assert 'FROM "ctwatch_history"."cloudtrail" WHERE "timestamp" BETWEEN' in ran.out


def test_gaps_are_those_of_the_bucket_and_are_read_twice(world):
    told, right = (_gaps(world, source) for source in ("athena", "bucket"))
    assert told["gaps"] == right["gaps"] != []
    assert sorted(told["stops"], key=str) == sorted(right["stops"], key=str) != []
    names = ("records", "first", "last")
    assert [told[one] for one in names] == [right[one] for one in names]
    assert told["digests"] == []


def _gaps(world, source):
    ran = world.run("history", "ask", "gaps", "--from", source, "--since", "5h", "--json")
    assert ran.code == 3, ran
    if source == "athena":
        (said,) = re.findall(r"about (.*) in \d+ files, twice, which costs", ran.err)
        assert f"Athena read {_twice(said)}, which costs" in ran.err
    return json.loads(ran.out)


def _twice(said):
    number, unit = said.split()
    assert unit == "KB"
    return f"{int(number) * 2} KB"


def test_gaps_has_statements(world):
    with world.sandbox.recording() as calls:
        ran = world.run("history", "ask", "gaps", "--sql")
    hours, stops, end = ran.out.replace('"ctwatch_history"."cloudtrail"', "logs").split(";")
    assert not end.strip()
    assert not calls
    logs = Table([], [], keys=("region", "timestamp"))
    for one in (hours, stops):
        assert logs.connection.execute(duck.spelled(one)).fetchall() == []
    assert [one[0] for one in logs.connection.description][:2] == ["time", "event"]


def test_the_statement_of_the_tally_is_one_that_runs(world):
    with world.sandbox.recording() as calls:
        ran = world.run("history", "--since", "2d", "--sql", "--detection", "trail-tampering")
    assert ran.code == 0
    assert not [one for one in calls if one.call.service in {"athena", "glue"}]
    statement = ran.out.replace('"ctwatch_history"."cloudtrail"', "logs")
    logs = Table([], [], keys=("region", "timestamp"))
    assert logs.connection.execute(duck.spelled(statement)).fetchall() == []


def test_its_policy_is_enough(world):
    world.client("athena").delete_work_group(
        WorkGroup="ctwatch-history", RecursiveDeleteOption=True
    )
    world.client("glue").delete_database(Name="ctwatch_history")
    words = ("history", "ask", "root", "--from", "athena", "--since", "2h")
    with judged(Judge([*words, "--config", str(world.config)])) as judge:
        assert world.run(*words).code == 0
    assert judge.outside == []
    assert {"athena:CreateWorkGroup", "glue:CreateTable", "athena:GetQueryResults"} <= judge.used


def test_up_leaves_it_and_down_takes_it_away(world):
    assert asked(world, "athena", "ask", "root")
    athena = world.client("athena")
    assert world.run("up").code == 0
    assert athena.get_work_group(WorkGroup="ctwatch-history")
    ran = world.run("down", "--yes", "--wait", "0")
    assert ran.code == 0, ran
    with pytest.raises(athena.exceptions.InvalidRequestException, match="not found"):
        athena.get_work_group(WorkGroup="ctwatch-history")
    glue = world.client("glue")
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_database(Name="ctwatch_history")
