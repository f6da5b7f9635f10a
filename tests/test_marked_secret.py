"""A webhook's URL is in nothing that ctwatch says, keeps or runs, whatever fails meanwhile.

Every command once, and the most telling faults; each write and each answer of a webhook in turn is
for `test_marked_secret_faults`.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from marked import ECHOES, Told, leaks, narrating, own_processes, telling
from watch_world import PLAIN, PLAIN_SECRET, World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with narrating(tmp_path_factory.mktemp("marked")) as here:
        yield here


@pytest.fixture
def told(world: World) -> Iterator[Told]:
    with telling(world, PLAIN) as here:
        yield here


USUAL = ("plan --json", "up -v", "confirm LINK", "status -v", "policy", "detections")


def test_no_usual_command_tells_it_and_nothing_keeps_it(
    told: Told, capfd: pytest.CaptureFixture[str]
) -> None:
    inbox = told.world.sandbox.inbox
    for line in USUAL:
        told.run(line)
    inbox.answer_with(400, {"message": " ".join(echo(inbox.webhook_url) for echo in ECHOES)})
    told.run("simulate stop-logging --timeout 1")
    told.world.settle()  # whatever the drill could wait for
    assert told.run("alerts") == 3
    assert 'Discord answered 400, no: `{"message": "***' in told.heard
    assert told.leaks() == []
    assert leaks(told.secrets, own_processes()) == []
    assert {"cmdline", "environ"} == {place.split()[0] for place, _ in own_processes()}
    told.run("down --yes --wait 0")
    assert told.leaks() == []
    assert "webhook" in told.narrated
    assert leaks(told.secrets, iter([("rest", str(capfd.readouterr()))])) == []


def test_what_a_stranger_put_beside_it_is_not_told_either(
    told: Told, capfd: pytest.CaptureFixture[str]
) -> None:
    assert told.run("up") == 0
    functions, name = told.world.client("lambda"), told.world.open().watch.function.name
    given = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**given, "API_KEY": "a-strangers-own"}}
    )
    for line in ("status -v", "status --json", "plan", "plan --json", "up -v"):
        told.run(line)
    assert "API_KEY" in told.heard
    assert "a-strangers-own" not in told.heard + str(capfd.readouterr())


def test_what_is_looked_for_would_be_found(told: Told) -> None:
    """It is where it must be, and there it is seen: in the secure string and with the function."""
    assert told.run("up") == 0
    url = told.world.sandbox.inbox.webhook_url
    ssm = told.world.client("ssm")
    kept = ssm.get_parameter(Name="/ctwatch/discord", WithDecryption=True)["Parameter"]["Value"]
    assert kept == url
    assert leaks(told.secrets, iter([("here", kept)])) == ["here"]
    ssm.add_tags_to_resource(
        ResourceType="Parameter", ResourceId="/ctwatch/discord", Tags=[{"Key": "a", "Value": url}]
    )
    assert [one for one in told.leaks() if "/ctwatch/discord" in one]


def test_aws_repeats_what_it_was_sent_and_ctwatch_does_not(told: Told) -> None:
    url = told.world.sandbox.inbox.webhook_url
    said = " ".join(echo(url) for echo in ECHOES)
    told.world.refuse = lambda _, name, __: (
        ("ValidationException", f"Value '{said}' is bad") if name == "PutParameter" else None
    )
    assert told.run("up") == 1
    assert told.world.refused
    assert "Value '(secret) " in told.heard
    assert told.leaks() == []


def test_a_url_where_something_else_belongs_is_not_repeated(
    told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Pasted at a question of `init`, or given as the link of a mail."""
    url = told.world.sandbox.inbox.webhook_url
    lines = f"eu-west-1\nme@example.com\n{url}\nenv:DISCORD_WEBHOOK_URL"
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    told.world.config = tmp_path / "fresh.yaml"
    assert told.run("init") == 0
    monkeypatch.undo()
    assert leaks(told.secrets, iter([("config", told.world.config.read_text())])) == []
    for line in (f"confirm {url}", f"confirm {url}?TopicArn=a&Token=b"):
        assert told.run(line) == 2
    assert told.leaks() == []


def test_the_trail_of_calls_hides_it(told: Told) -> None:
    """What CloudTrail writes of PutParameter and of a function's environment holds no value.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/monitoring-cloudtrail-logs.html
    """
    told.world.use(PLAIN_SECRET)
    told.run("up")
    told.world.client("ssm").put_parameter(
        Name="/x", Value=told.world.sandbox.inbox.webhook_url, Type="SecureString"
    )
    told.world.client("lambda").update_function_configuration(
        FunctionName="lambda-ct-detect-alarm",
        Environment={"Variables": {"A": told.world.sandbox.inbox.webhook_url}},
    )
    found = {one["eventName"]: one["requestParameters"] for one in told.world.sandbox._history}
    assert found["PutParameter"]["value"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    for name in ("CreateFunction20150331", "UpdateFunctionConfiguration20150331v2"):
        assert found[name]["environment"] == {}
    assert leaks(told.secrets, iter([("records", json.dumps(found))])) == []
