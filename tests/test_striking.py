"""Drills that succeed: on a canary and on the own trail, and what is left whatever happens."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from watch_world import PLAIN, World, world_of

from ctwatch.clock import Clock
from ctwatch.sandbox.server import Sandbox
from ctwatch.techniques import TECHNIQUES, Probe
from ctwatch.watch import canary_name

TRAIL = "ct-trail-monitor"
CANARY = canary_name(TRAIL)
RULE = "eventbridge-ct-detect"
CONFIG = {
    **PLAIN,
    "trail": {"insights": ["api-error-rate"]},
    "rules": [
        {"name": RULE, "detection": "trail-tampering"},
        {"name": "changes", "detection": "trail-reconfiguration"},
    ],
}
HARMFUL = [one for one in TECHNIQUES.values() if isinstance(one, Probe) and one.harm]
ON_TRAIL = [one for one in HARMFUL if one.name != "update-trail-global-events"]
LIMIT = ("--timeout", "30")


@pytest.fixture(scope="module")
def standing(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("striking")) as world:
        world.use(CONFIG)
        assert world.run("up").code == 0
        world.click()
        assert world.run("status").code == 0
        yield world


@pytest.fixture
def world(standing: World) -> Iterator[World]:
    """An armed watch, and armed it must be left."""
    before = own_trail(standing)
    yield standing
    standing.refuse = lambda *_: None
    standing.settle()
    standing.sandbox.inbox.reset()
    assert own_trail(standing) == before
    assert canary(standing) is None


@pytest.fixture
def broken(standing: World) -> Iterator[World]:
    """The same, for tests that leave something amiss: `up` mends it."""
    yield standing
    standing.refuse = lambda *_: None
    standing.settle()
    standing.sandbox.inbox.reset()
    assert standing.run("up").code == 0


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two minutes pass in a second."""
    monkeypatch.setattr("ctwatch.aws.Clock", lambda: Clock(120.0))


def own_trail(world: World) -> dict[str, Any]:
    """All that can be said of the own trail, by other calls than ctwatch's."""
    cloudtrail = world.client("cloudtrail")
    trail = cloudtrail.get_trail(Name=TRAIL)["Trail"]
    return {
        **trail,
        "logging": cloudtrail.get_trail_status(Name=TRAIL)["IsLogging"],
        "selectors": cloudtrail.get_event_selectors(TrailName=TRAIL)["EventSelectors"],
        "insights": cloudtrail.get_insight_selectors(TrailName=TRAIL)["InsightSelectors"],
        "tags": cloudtrail.list_tags(ResourceIdList=[trail["TrailARN"]])["ResourceTagList"],
    }


def canary(world: World) -> Any:
    known = world.client("cloudtrail").describe_trails()["trailList"]
    return next((one for one in known if one["Name"] == CANARY), None)


def written(world: World, *arguments: str) -> tuple[Any, list[tuple[str, str]]]:
    """A command, and what it called that writes to CloudTrail: operation and trail."""
    with world.sandbox.recording() as calls:
        ran = world.run(*arguments)
    mine = [one for one in calls if one.service == "cloudtrail" and one.writes]
    names = ("Name", "TrailName", "ResourceId")
    named = [next(one.call.params[key] for key in names if key in one.call.params) for one in mine]
    return ran, [
        (one.operation, name.rpartition("/")[2]) for one, name in zip(mine, named, strict=True)
    ]


# ---------------------------------------------------------------- the canary


@pytest.mark.parametrize("technique", HARMFUL, ids=lambda one: one.name)
def test_a_canary_is_made_struck_and_deleted_and_the_own_trail_is_left_alone(
    world: World, technique: Probe
) -> None:
    ran, calls = written(world, "simulate", technique.name, "--on", "canary", *LIMIT)
    assert ran.code == 0, ran.text
    assert f"{technique.name} proven" in ran.out
    assert f"called {technique.operation} on {CANARY}: it succeeded" in ran.err
    starts = [("StartLogging", CANARY)] if technique.name == "stop-logging" else []
    assert calls == [
        ("CreateTrail", CANARY),
        *starts,
        (technique.operation, CANARY),
        ("DeleteTrail", CANARY),
    ]
    world.settle()
    told = [post.payload for post in world.sandbox.inbox.posts]
    assert any(CANARY in str(one) for one in told)
    assert not any("DRILL" in str(one) for one in told)


def test_all_on_a_canary_is_all_that_can_be_done_to_one(world: World) -> None:
    ran, calls = written(world, "simulate", "all", "--on", "canary", "--json", *LIMIT)
    assert ran.code == 0, ran.text
    assert [ran.out.count(f'"technique": "{one.name}"') for one in HARMFUL] == [1] * len(HARMFUL)
    assert ran.out.count('"on": "canary"') == len(HARMFUL)
    assert [one for one in calls if one[0] == "CreateTrail"] == [("CreateTrail", CANARY)] * len(
        HARMFUL
    )


def make_canary(world: World, mark: str | None, tags: dict[str, str] | None = None) -> None:
    worn = {"ctwatch:watch": "ctwatch", **({"ctwatch:drill": mark} if mark else {})}
    world.client("cloudtrail").create_trail(
        Name=CANARY,
        S3BucketName=own_trail(world)["S3BucketName"],
        TagsList=[
            {"Key": key, "Value": value} for key, value in (worn if tags is None else tags).items()
        ],
    )


LEFT = "0123456789ab 2026-01-01T00:00:00Z 600"
AT_WORK = "0123456789ab 2999-01-01T00:00:00Z 600"


COMMANDS: list[tuple[tuple[str, ...], str | None]] = [
    (("simulate", "start-logging", "--on", "canary", *LIMIT), LEFT),
    (("simulate", "--heal"), LEFT),
    (("plan", "--exit-code"), LEFT),
    (("status",), LEFT),
    (("up",), LEFT),
    (("up",), None),
    (("up",), "nonsense"),
]


@pytest.mark.parametrize(("command", "mark"), COMMANDS)
def test_a_canary_that_was_left_over_is_found_and_removed(
    broken: World, command: tuple[str, ...], mark: str | None
) -> None:
    make_canary(broken, mark)
    ran = broken.run(*command)
    if command[0] in {"plan", "status"}:
        assert ran.code == 3
        assert f"trail {CANARY} of a drill that was cut off" in ran.text.replace(" is of", " of")
        assert canary(broken)
        return
    assert ran.code == 0, ran.text
    assert f"deleted trail {CANARY}" in ran.err
    assert canary(broken) is None


def test_a_canary_at_work_is_nobodys_business(broken: World) -> None:
    make_canary(broken, AT_WORK)
    for command in (("up",), ("plan", "--exit-code"), ("status",)):
        assert (broken.run(*command).code, command) == (0, command)
    assert canary(broken)
    broken.client("cloudtrail").delete_trail(Name=CANARY)


def test_healing_waits_whether_a_canary_at_work_is_left_over(broken: World) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    make_canary(broken, f"0123456789ab {soon:%Y-%m-%dT%H:%M:%SZ} 0.1")
    ran = broken.run("simulate", "--heal")
    assert ran.code == 0, ran.text
    assert f"waiting, 60 s at the most, whether a drill deletes trail {CANARY}" in ran.err
    assert f"deleted trail {CANARY}" in ran.err


def test_a_canary_lasts_no_longer_than_a_minute_however_long_the_proof_may_take(
    world: World,
) -> None:
    marks: list[str] = []

    def note(_: str, operation: str, sent: Any) -> None:
        if operation == "CreateTrail":
            marks.append(str(sent["body"]))

    world.refuse = note
    assert world.run("simulate", "start-logging", "--on", "canary").code == 0
    [mark] = marks
    assert 'Z 60"' in mark


def test_a_second_canary_waits_for_the_first(broken: World, fast: None) -> None:
    make_canary(broken, AT_WORK)

    def gone_at_the_third_look(_: str, operation: str, sent: Any) -> None:
        if operation == "DescribeTrails" and CANARY in str(sent):
            looks.append(operation)
            if len(looks) == LOOKS:
                broken.client("cloudtrail").delete_trail(Name=CANARY)

    looks: list[str] = []
    broken.refuse = gone_at_the_third_look
    ran = broken.run("simulate", "start-logging", "--on", "canary", "--timeout", "600")
    assert ran.code == 0, ran.text
    assert ran.err.count(f"waiting for another drill to delete trail {CANARY}") == 1
    assert canary(broken) is None


LOOKS = 4  # one is the look at the watch


def test_a_canary_that_stays_at_work_ends_the_wait(broken: World, fast: None) -> None:
    make_canary(broken, AT_WORK)
    ran, calls = written(broken, "simulate", "start-logging", "--on", "canary", "--timeout", "20")
    assert ran.code == 1
    assert f"trail {CANARY} of another drill is still there after 20 s" in ran.err
    assert "ctwatch simulate --heal" in ran.err
    assert calls == []
    broken.client("cloudtrail").delete_trail(Name=CANARY)


def test_a_strangers_trail_of_that_name_is_left_alone(broken: World) -> None:
    make_canary(broken, None, tags={})
    ran, calls = written(broken, "simulate", "start-logging", "--on", "canary", *LIMIT)
    assert (ran.code, calls) == (1, [])
    assert f"trail {CANARY} is there already and is not this watch's" in ran.err
    assert broken.run("up").code == 0
    assert canary(broken)
    broken.client("cloudtrail").delete_trail(Name=CANARY)


def test_a_sixth_trail_is_refused_in_a_sentence(broken: World) -> None:
    cloudtrail, bucket = broken.client("cloudtrail"), own_trail(broken)["S3BucketName"]
    broken.refuse = refusing("CreateTrail", "MaximumNumberOfTrailsExceededException")
    ran = broken.run("simulate", "start-logging", "--on", "canary", *LIMIT)
    assert ran.code == 1
    assert f"making trail {CANARY}: CreateTrail answered MaximumNumberOfTrailsExceeded" in ran.err
    assert (cloudtrail, bucket, canary(broken)) == (cloudtrail, bucket, None)


def test_a_canary_that_cannot_be_deleted_is_named_with_what_deletes_it(broken: World) -> None:
    broken.refuse = refusing("DeleteTrail", "AccessDeniedException")
    ran = broken.run("simulate", "start-logging", "--on", "canary", "--timeout", "1")
    assert ran.code == 1
    assert f"deleting trail {CANARY}: DeleteTrail answered AccessDeniedException" in ran.err
    assert ran.err_lines[-1].endswith("Then: ctwatch simulate --heal")
    broken.refuse = lambda *_: None
    broken.client("cloudtrail").delete_trail(Name=CANARY)


# ---------------------------------------------------------------- the own trail


@pytest.mark.parametrize("technique", ON_TRAIL, ids=lambda one: one.name)
def test_the_own_trail_is_struck_mended_and_heard(world: World, technique: Probe) -> None:
    ran, calls = written(world, "simulate", technique.name, "--on", "trail", "--yes", *LIMIT)
    assert ran.code == 0, ran.text
    assert f"{technique.name} proven" in ran.out
    assert f"called {technique.operation} on {TRAIL}: it succeeded, and is mended" in ran.err
    assert calls[0] == (technique.operation, TRAIL)
    assert {name for _, name in calls} == {TRAIL}
    healing = [operation for operation, _ in calls[1:]]
    assert healing == {
        "stop-logging": ["StartLogging"],
        "delete-trail": ["CreateTrail", "PutInsightSelectors", "StartLogging"],
        "put-event-selectors": ["PutEventSelectors"],
        "start-logging": [],
    }.get(technique.name, ["UpdateTrail"])


def test_the_gap_is_measured_from_the_call_to_the_mending(world: World, fast: None) -> None:
    def slowly(_: str, operation: str, __: Any) -> None:
        if operation == "StartLogging":
            Clock().sleep(0.05)  # six seconds of the command's own

    world.refuse = slowly
    ran = world.run(
        "simulate", "stop-logging", "--on", "trail", "--yes", "--json", "--timeout", "600"
    )
    [told] = [line for line in ran.out.split(", ") if '"gap_seconds"' in line]
    assert 6.0 <= float(told.split(": ")[1]) < 60.0
    assert "there was no log for" in ran.err


def test_it_asks_first_and_says_what_is_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    ran, calls = written(world, "simulate", "delete-trail", "--on", "trail", *LIMIT)
    assert (ran.code, calls) == (1, [])
    assert "the chain of its digests begins anew" in ran.err
    assert "Insights begins anew to learn what is usual, for up to 36 hours" in ran.err
    assert "nothing was done" in ran.err


def test_all_never_means_to_delete_the_own_trail(world: World) -> None:
    ran, calls = written(world, "simulate", "all", "--on", "trail", "--yes", *LIMIT)
    assert ran.code == 0, ran.text
    assert "DeleteTrail" not in {operation for operation, _ in calls}
    assert [operation for operation, _ in calls].count("StopLogging") == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("disable-rule", "--on", "trail"), "not done to a trail that exists"),
        (("disable-rule", "--on", "canary"), "not done to a trail that exists"),
        (("update-trail-global-events", "--on", "trail"), "covers every region"),
        (("pipeline-tampering", "--on", "canary"), "none of these can be struck --on canary"),
    ],
)
def test_what_cannot_be_struck_there_is_refused(
    world: World, arguments: tuple[str, ...], why: str
) -> None:
    ran, calls = written(world, "simulate", *arguments, "--yes")
    assert (ran.code, calls) == (2, [])
    assert why in ran.err
    assert "There are: stop-logging, delete-trail" in ran.err


def test_a_trail_that_is_not_as_promised_is_not_struck(broken: World) -> None:
    broken.client("cloudtrail").stop_logging(Name=TRAIL)
    ran, calls = written(broken, "simulate", "update-trail", "--on", "trail", "--yes")
    assert (ran.code, calls) == (1, [])
    assert f"trail {TRAIL} is not as promised, and is struck only when it is" in ran.err
    assert ran.err_lines[-1] == "Run: ctwatch up"


# ---------------------------------------------------------------- whatever happens in between


Refusal = Callable[[str, str, Any], Any]


def refusing(operation: str, code: str, times: int = 1_000) -> Refusal:
    left = [times]

    def refuse(_: str, asked: str, __: Any) -> tuple[str, str] | None:
        if asked != operation or not left[0]:
            return None
        left[0] -= 1
        return code, "not now"

    return refuse


def cut_off(operation: str, times: int = 1_000) -> Refusal:
    """The network is gone, each time that a call of this operation is made."""
    left = [times]

    def cut(_: str, asked: str, __: Any) -> None:
        if asked == operation and left[0]:
            left[0] -= 1
            raise EndpointConnectionError(endpoint_url="https://cloudtrail.aws")

    return cut


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "StopLogging"),
        (signal.SIGINT, "StartLogging"),
        (signal.SIGINT, "GetTrailStatus"),
        (signal.SIGTERM, "StopLogging"),
        (signal.SIGTERM, "StartLogging"),
        (signal.SIGHUP, "StartLogging"),
    ],
)
def test_who_stops_it_waits_until_the_trail_is_mended(
    world: World, number: signal.Signals, moment: str
) -> None:
    began: list[str] = []

    def stop_twice(_: str, operation: str, __: Any) -> None:
        began.append(operation)
        if operation == moment and "StopLogging" in began:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)

    world.refuse = stop_twice
    before = signal.getsignal(number)
    ran, calls = written(world, "simulate", "stop-logging", "--on", "trail", "--yes", *LIMIT)
    assert ran.code == 130, ran.text
    assert (
        f"called StopLogging on {TRAIL}: it succeeded, and is mended; there was no log" in ran.err
    )
    assert "Interrupted" in ran.err
    assert calls == [("StopLogging", TRAIL), ("StartLogging", TRAIL)]
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_stops_it_waits_until_the_canary_is_deleted(
    world: World, number: signal.Signals
) -> None:
    def stop(_: str, operation: str, __: Any) -> None:
        if operation == "CreateTrail":
            os.kill(os.getpid(), number)

    world.refuse = stop
    ran, calls = written(world, "simulate", "stop-logging", "--on", "canary", *LIMIT)
    assert ran.code == 130, ran.text
    assert [operation for operation, _ in calls] == [
        *("CreateTrail", "StartLogging", "StopLogging", "DeleteTrail")
    ]


@pytest.mark.parametrize(
    ("technique", "operation", "way"),
    [
        ("stop-logging", "StartLogging", "cut off"),
        ("delete-trail", "CreateTrail", "cut off"),
        ("put-event-selectors", "PutEventSelectors", "throttled"),
        pytest.param("stop-logging", "StartLogging", "throttled", marks=pytest.mark.exhaustive),
        pytest.param(
            "delete-trail", "PutInsightSelectors", "throttled", marks=pytest.mark.exhaustive
        ),
        pytest.param("delete-trail", "StartLogging", "cut off", marks=pytest.mark.exhaustive),
        pytest.param(
            "update-trail-validation", "UpdateTrail", "cut off", marks=pytest.mark.exhaustive
        ),
    ],
)
def test_a_network_that_comes_back_finds_the_trail_mended(
    world: World, fast: None, technique: str, operation: str, way: str
) -> None:
    calls: list[str] = []
    throttled = refusing(operation, "ThrottlingException", 3)
    later = cut_off(operation, 3) if way == "cut off" else throttled

    def after_the_blow(service: str, asked: str, sent: Any) -> Any:
        calls.append(asked)
        struck = TECHNIQUES[technique].operation in calls[:-1]  # type: ignore[attr-defined]
        return later(service, asked, sent) if struck else None

    world.refuse = after_the_blow
    ran = world.run("simulate", technique, "--on", "trail", "--yes", "--timeout", "600")
    assert ran.code == 0, ran.text
    assert calls.count(operation) >= 4


def test_a_blow_that_only_seems_lost_is_undone(world: World, fast: None) -> None:
    """The call was made, and its answer never came."""

    def lost(_: str, operation: str, __: Any) -> None:
        if operation == "StopLogging":
            world.client("cloudtrail").stop_logging(Name=TRAIL)
            raise EndpointConnectionError(endpoint_url="https://cloudtrail.aws")

    world.refuse = lost
    ran, calls = written(world, "simulate", "stop-logging", "--on", "trail", "--yes", *LIMIT)
    assert ran.code == 1
    assert "on ct-trail-monitor: StopLogging: AWS cannot be reached" in ran.err
    assert f"trail {TRAIL} was put back as it was after" in ran.err
    assert [operation for operation, _ in calls] == ["StopLogging", "StartLogging"]


def test_a_blow_that_is_turned_away_is_a_failed_drill(world: World) -> None:
    world.refuse = refusing("StopLogging", "AccessDeniedException")
    asked = ("simulate", "stop-logging", "--on", "trail", "--yes", "--timeout", "1")
    ran, calls = written(world, *asked)
    assert (ran.code, calls) == (3, [])
    assert "AWS answered AccessDeniedException: the drill failed" in ran.err


UNMENDED: dict[str, tuple[str, Refusal, str, str]] = {
    "denied": (
        "stop-logging",
        refusing("StartLogging", "AccessDeniedException"),
        "has logging: false",
        "Your credentials may not call StartLogging: ask for that permission. Then: ",
    ),
    "expired": (
        "stop-logging",
        refusing("StartLogging", "ExpiredTokenException"),
        "has logging: false",
        "Your credentials have expired or are not valid: log in again. Then: ",
    ),
    "cut off": ("stop-logging", cut_off("StartLogging"), "has logging: false", "Run: "),
    "not made anew": ("delete-trail", cut_off("CreateTrail"), "is deleted", "Run: "),
    "made anew and stopped": ("delete-trail", cut_off("StartLogging"), "is deleted", "Run: "),
}


@pytest.mark.parametrize("way", UNMENDED)
def test_what_cannot_be_mended_is_the_last_thing_said(broken: World, fast: None, way: str) -> None:
    technique, broken.refuse, says, last = UNMENDED[way]
    ran = broken.run("simulate", technique, "--on", "trail", "--yes", "--timeout", "600")
    assert ran.code == 1
    assert f"after the drill trail {TRAIL} {says}" in ran.err
    assert ran.err_lines[-1] == f"{last}ctwatch simulate --heal"
    broken.refuse = lambda *_: None
    healed = broken.run("simulate", "--heal")
    assert healed.code == 0, healed.text
    assert f"trail {TRAIL} is as promised again" in healed.err
    assert own_trail(broken)["logging"] is True


# ---------------------------------------------------------------- --heal


def test_healing_what_is_well_says_so(world: World) -> None:
    ran, calls = written(world, "simulate", "--heal")
    assert (ran.code, calls) == (0, [])
    assert "nothing to heal" in ran.err


def test_healing_strikes_nothing(world: World) -> None:
    assert world.run("simulate", "--heal", "stop-logging").code == 2


def test_healing_says_what_it_mended(broken: World) -> None:
    broken.client("cloudtrail").stop_logging(Name=TRAIL)
    ran, calls = written(broken, "simulate", "--heal", "--json")
    assert (ran.code, calls) == (0, [("StartLogging", TRAIL)])
    assert f"repaired trail {TRAIL}: logging" in ran.err
    assert '"action": "repaired"' in ran.out


def test_where_there_is_no_watch_nothing_is_healed(
    running: Sandbox, tmp_path: Any, standing: World
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(
        "name: other\nbucket: {name: other-logs-1}\ntrail: {name: other}\n"
        "topic: {emails: [a@example.com]}\n"
    )
    ran = World(running, other).run("simulate", "--heal")
    assert ran.code == 1
    assert "bucket other-logs-1 does not exist: there is no watch to heal" in ran.err


# ---------------------------------------------------------------- what is remembered


def remembered(world: World, rule: str = RULE) -> dict[str, str]:
    """By technique, on the rules whose names begin so, each of which has other techniques."""
    events = world.client("events")
    arns = [one["Arn"] for one in events.list_rules(NamePrefix=rule)["Rules"]]
    tags = [tag for arn in arns for tag in events.list_tags_for_resource(ResourceARN=arn)["Tags"]]
    return {
        one["Key"].removeprefix("ctwatch:proof:"): one["Value"]
        for one in tags
        if one["Key"].startswith("ctwatch:proof:")
    }


def test_the_last_proof_of_each_technique_is_remembered_on_its_rule(world: World) -> None:
    ran = world.run("simulate", "stop-logging", "start-logging", *LIMIT)
    assert ran.code == 0, ran.text
    when, how, seconds = remembered(world)["stop-logging"].split()
    assert (when[10], when[-1], how) == ("T", "Z", "proven")
    assert 0 <= float(seconds) < 30
    assert "start-logging" in remembered(world, "changes")
    assert "start-logging" not in remembered(world)
    known = remembered(world)
    with world.sandbox.recording() as calls:
        assert world.run("up").code == 0
    assert [one.operation for one in calls if one.writes] == []
    assert remembered(world) == known


def test_silence_is_remembered_as_well(broken: World) -> None:
    broken.client("events").disable_rule(Name=RULE)
    assert broken.run("simulate", "stop-logging", "--timeout", "1").code == 3
    assert remembered(broken)["stop-logging"].split()[1] == "silent"


def test_a_proof_that_cannot_be_remembered_is_still_one(world: World) -> None:
    world.refuse = refusing("TagResource", "AccessDeniedException")
    ran = world.run("simulate", "stop-logging", *LIMIT)
    assert ran.code == 0, ran.text
    assert "remembering the proof on rule eventbridge-ct-detect: TagResource answered" in ran.err


def test_down_takes_a_left_over_canary_along(broken: World) -> None:
    make_canary(broken, LEFT)
    ran = broken.run("down", "--yes", "--wait", "0")
    assert ran.code == 0, ran.text
    assert f"deleted trail {CANARY}" in ran.err
    assert canary(broken) is None


def test_the_kept_bucket_of_a_watch_that_is_down_gets_no_trail(broken: World) -> None:
    assert broken.run("down", "--yes", "--wait", "0").code == 0
    ran, calls = written(broken, "simulate", "--heal")
    assert (ran.code, calls) == (1, [])
    assert "queue ctwatch-receipts does not exist: there is no watch to heal" in ran.err
