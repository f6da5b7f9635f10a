"""The whole configs of the README, and the examples of a course: each goes up, is proven, and goes.

They are run as they stand there, by the commands that stand there.
"""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from watch_world import ADDRESS, DISCORD, PLACE, World, world_of

from ctwatch.detections import catalogue
from ctwatch.sandbox.server import Sandbox

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
SECTION = README.partition("### Three examples")[2].partition("\n## ")[0]
EXAMPLES: list[dict[str, Any]] = [
    yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
]


@pytest.fixture(scope="module")
def world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("examples")) as world:
        yield world


NAMED: list[dict[str, Any]] = [
    {
        "region": "us-east-1",  # so that no rule elsewhere is needed
        "route": "direct",
        "bucket": {"name": "s3-root-login-detect-{account}"},
        "trail": {"name": "root-login-detect"},
        "topic": {"name": "sns-root-login-alarm", "emails": [ADDRESS]},
        "function": {"name": "lambda-root-login", "secret": "env"},
        "channels": DISCORD,
        "rules": [{"name": "eventbridge-root-login-pattern", "detection": "root-login"}],
    },
    {
        "route": "formatted",
        "bucket": {"name": "s3-cloudtrail-monitor-{account}"},
        "topic": {"name": "NotifyAdmin", "emails": [ADDRESS]},
        "channels": [],
        "rules": [{"name": "eventbridge-ct-detect", "detection": "trail-tampering"}],
    },
]
"""What a course builds by hand, under the names that it gives."""


@pytest.mark.parametrize(
    "config",
    [
        EXAMPLES[0],
        *(pytest.param(one, marks=pytest.mark.exhaustive) for one in (*EXAMPLES[1:], *NAMED)),
    ],
)
def test_an_example_goes_up_is_proven_whole_and_goes(config: dict[str, Any], world: World) -> None:
    world.use(config)
    up = world.run("up")
    assert up.code == 0, up.text
    world.click()
    assert world.run("status").out.split()[0] == "ARMED"
    drills = world.run("simulate", "all", "--json", "--timeout", "60")
    assert drills.code == 0, drills.text
    ladders = json.loads(drills.out)
    assert ladders
    assert {one["proven"] for one in ladders} == {True}
    world.settle()
    mails = [one for one in world.sandbox.inbox.mails if "/confirm?" not in one.text]
    assert {one.to for one in mails} == {ADDRESS}
    down = world.run("down", "--yes", "--delete-logs", "--wait", "20")
    assert (down.code, world.sandbox.listing()) == (0, [])


def test_there_are_three_of_them_and_each_tells_another_story() -> None:
    told = [(one.get("route", "fanout"), one["rules"][0]["detection"]) for one in EXAMPLES]
    assert told == [
        ("fanout", "trail-tampering"),
        ("formatted", "trail-tampering"),
        ("direct", "root-login"),
    ]


COURSE = ("assume-role", "dynamodb-delete-table", "security-group-ingress")


def test_a_role_taken_on_a_table_deleted_and_a_port_opened_are_told(world: World) -> None:
    rules = [{"name": f"rule-{one}", "detection": one} for one in COURSE]
    world.use({"topic": {"emails": [ADDRESS]}, "channels": DISCORD, "rules": rules})
    assert world.run("up").code == 0
    world.click()
    for one in COURSE:
        event = copy.deepcopy(catalogue()[one].examples.fires[0])
        event["id"] = event["detail"]["eventID"] = f"of-{one}"
        world.sandbox._delivery.deliver(event, PLACE.region)
    world.settle()
    posts = json.dumps([one.payload for one in world.sandbox.inbox.posts])
    mails = [one.text for one in world.sandbox.inbox.mails]
    for one in COURSE:
        assert f"of-{one}" in posts
        assert any(f"of-{one}" in text for text in mails)
