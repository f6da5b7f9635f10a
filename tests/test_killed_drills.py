"""What a killed drill left, the next `up` heals; where a killed `down` ended, the next goes on."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from killed import is_write
from watch_world import MAIL_ONLY, World, world_of

from ctwatch.sandbox.server import Sandbox

pytestmark = pytest.mark.exhaustive

TRAIL = "ct-trail-monitor"
CONFIG = {**MAIL_ONLY, "trail": {"insights": ["api-error-rate"]}}
CANARY = f"{TRAIL}-canary"
DRILLS = {
    "stop-logging": ("stop-logging", "--on", "trail", "--yes"),
    "delete-trail": ("delete-trail", "--on", "trail", "--yes"),
    "put-event-selectors": ("put-event-selectors", "--on", "trail", "--yes"),
    "update-trail-validation": ("update-trail-validation", "--on", "trail", "--yes"),
    "update-trail-multi-region": ("update-trail-multi-region", "--on", "trail", "--yes"),
    "canary": ("stop-logging", "--on", "canary"),
}


@pytest.fixture(scope="module")
def world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("killed")) as here:
        here.use(CONFIG)
        assert here.run("up").code == 0
        yield here


@pytest.fixture(scope="module")
def process(world: World) -> Iterator[subprocess.Popen[str]]:
    """Leads its children to the sandbox by the environment of the world."""
    program = [sys.executable, str(Path(__file__).with_name("killed.py"))]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        yield started
        assert started.stdin
        started.stdin.close()


def die(
    process: subprocess.Popen[str], world: World, asked: Any, at: int | None, of: str = "calls"
) -> Any:
    arguments = [*asked, "--config", str(world.config)]
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps({"arguments": arguments, "at": at, "of": of}) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def trails(world: World) -> dict[str, Any]:
    """Every trail of the account, as another client sees it."""
    cloudtrail = world.client("cloudtrail")
    return {
        one["Name"]: {
            **one,
            "logging": cloudtrail.get_trail_status(Name=one["Name"])["IsLogging"],
            "selectors": cloudtrail.get_event_selectors(TrailName=one["Name"])["EventSelectors"],
        }
        for one in cloudtrail.describe_trails()["trailList"]
    }


def amiss(before: dict[str, Any], now: dict[str, Any]) -> set[str]:
    """What a kill has left: settings of the own trail, "gone", or the name of another trail."""
    there = now.get(TRAIL)
    changed = {key for key, value in before[TRAIL].items() if there and there.get(key) != value}
    return changed | ({"gone"} if there is None else set()) | {*now} - {TRAIL}


LEFT = {
    "stop-logging": {"logging"},
    "delete-trail": {"gone", "logging", "HasInsightSelectors"},
    "put-event-selectors": {"selectors", "HasCustomEventSelectors"},
    "update-trail-validation": {"LogFileValidationEnabled"},
    "update-trail-multi-region": {"IsMultiRegionTrail"},
    "canary": {CANARY},
}
"""Per drill, what its kills leave altogether; so it is known that there was something to heal."""


MENDED = [f"{word} trail {TRAIL}" for word in ("created", "repaired", "deleted")]


@pytest.mark.parametrize("name", DRILLS)
def test_the_next_up_heals_what_a_killed_drill_left(
    world: World, process: subprocess.Popen[str], name: str
) -> None:
    before = trails(world)
    asked = ("simulate", *DRILLS[name], "--timeout", "0.1")
    whole = die(process, world, asked, None)["calls"]
    assert trails(world) == before
    strikes = [call.startswith("cloudtrail:") and is_write(call) for call in whole]
    first, proof = strikes.index(True), whole.index("sqs:ReceiveMessage")
    assert not any(strikes[proof:])  # what comes then changes no trail
    left: set[str] = set()
    for at in range(first, proof + 1):
        if not die(process, world, asked, at)["killed"]:
            continue  # this time it has asked less often whether the alert is there
        off = amiss(before, trails(world))
        if not off:
            continue  # there is nothing to heal
        left |= off
        if CANARY in trails(world):
            time.sleep(1.05 - time.time() % 1)  # its drill's tenth of a second is over
        healed = world.run(*(("up",), ("simulate", "--heal"))[at % 2])
        assert healed.code == 0, (whole[at], healed.text)
        assert any(word in healed.err for word in MENDED), healed.text
        assert trails(world) == before, whole[at]
    assert left == LEFT[name]


def test_the_next_down_goes_on_where_a_killed_one_ended(
    world: World, process: subprocess.Popen[str]
) -> None:
    """Each of its calls that changes something is the last one that is not made."""
    down = ("down", "--yes", "--wait", "0", "--delete-logs")
    writes = sum(map(is_write, die(process, world, down, None)["calls"]))
    assert writes >= 9
    for number in range(writes):
        world.use(CONFIG)  # SQS gives a name again only after a minute
        assert world.run("up").code == 0
        assert die(process, world, down, number, of="writes")["killed"]
        assert world.sandbox.listing() != []
        ran = world.run(*down)
        assert ran.code == 0, (number, ran.text)
        assert world.sandbox.listing() == [], number
