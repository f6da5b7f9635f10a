"""What a drill killed before a call left of a trail, `up` heals, and `down` takes away."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from killed import is_write
from killing import POINTS, Ended, Killer, Onward, again, killing, nothing_left, survived
from watch_world import MAIL_ONLY, World

from ctwatch.demo import confirmation_link
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
def killer(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with killing(running, tmp_path_factory.mktemp("killed"), CONFIG) as one:
        yield one


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
def test_the_next_run_heals_what_a_killed_drill_left(killer: Killer, name: str) -> None:
    heals(killer, name, "before")


def heals(killer: Killer, name: str, when: str) -> None:
    """Kill it at each call from the first strike to the proof, which alone change a trail.

    Of one drill on the trail and of one on the canary: at each call there is.
    """
    world, asked = killer.world, ("simulate", *DRILLS[name], "--timeout", "0.1")
    prepare = again(world, lambda: set_up(world))
    prepare()
    before, left = trails(world), set[str]()
    whole = killer.run(*asked).calls
    assert trails(world) == before
    every = name in {"stop-logging", "canary"}
    strikes = [call.startswith("cloudtrail:") and is_write(call) for call in whole]
    first, proof = strikes.index(True), whole.index("sqs:ReceiveMessage")
    assert not any(strikes[proof:])

    def up(ended: Ended) -> None:
        off = amiss(before, trails(world))
        left.update(off)
        if CANARY in trails(world):
            time.sleep(1.05 - time.time() % 1)  # its drill's tenth of a second is over
        healed = world.run(*(("up",), ("simulate", "--heal"))[len(ended.calls) % 2])
        assert healed.code == 0, (ended, healed.text)
        assert not off or any(word in healed.err for word in MENDED), healed.text
        assert trails(world) == before, ended
        confirmed(world)
        if any(one.startswith("events:TagResource") for one in ended.wrote):
            proven = world.run("simulate", DRILLS[name][0])  # as it has told of its silence
            assert proven.code == 0, (ended, proven.text)
        looked = world.run("status")
        assert (looked.code, "ARMED" in looked.text) == (0, True), (ended, looked.text)

    def kill(at: int) -> Ended:
        ended = killer.run(*asked, at=at, when=when)
        return ended if every or at <= proof else replace(ended, killed=False)

    onward = Onward({"up": up, "down": nothing_left(world)}, world)
    tried = survived(kill, prepare, onward, 0 if every else first)
    assert tried >= POINTS["whole drill" if every else "drill"]
    assert left == LEFT[name]


def confirmed(world: World) -> None:
    """Do what the person does who has asked for his mail again."""
    sns, [email] = world.client("sns"), CONFIG["topic"]["emails"]
    topic = sns.list_topics()["Topics"][0]["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=email)
    world.settle()
    mails = [one for one in world.sandbox.inbox.mails if "/confirm?" in one.text]
    assert world.run("confirm", confirmation_link(mails[-1])).code == 0


def set_up(world: World) -> None:
    """An empty account with nothing but the watch."""
    world.use(CONFIG)
    assert world.run("up").code == 0
