"""As `test_marked_secret`, with every command, every write refused in turn, every bad answer."""

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from marked import ECHOES, EVERY, KINDS, MAILS, Told, leaks, narrating, own_processes, telling
from watch_world import EVERY_CHANNEL, PLAIN, World

from ctwatch.cli import cli

pytestmark = pytest.mark.exhaustive

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with narrating(tmp_path_factory.mktemp("marked")) as here:
        yield here


@pytest.mark.parametrize(
    ("kind", "forks"),
    [*((kind, True) for kind in KINDS), ("kept by SSM", False), ("in the environment", False)],
)
def test_no_command_tells_it_and_nothing_keeps_it(
    world: World, kind: str, forks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a container is made: a variable of its own is all that may hold it, if asked for."""
    assert {line.split()[0] for line in EVERY} | {"init", "sandbox", "demo"} == {*cli.commands}
    monkeypatch.setattr("ctwatch.sandbox.containers.can_fork", lambda: forks)
    with telling(world, KINDS[kind]) as told:
        for line in EVERY:
            if line == "status --logs":
                world.sandbox.deliver_logs()
            if line.startswith("down"):
                run = [place.split()[0] for place in leaks(told.secrets, own_processes())]
                asked_for = kind == "in the environment" and not forks
                assert {*run} == ({"environ"} if asked_for else set())
                assert told.leaks() == []
            told.run(line)
        assert told.leaks() == []


def echoing(told: Told, params: Mapping[str, Any]) -> str:
    """What was sent, as it is and cut; and each webhook that is in it in every way."""
    urls = told.world.sandbox.inbox.webhook_urls.values()
    held = [echo(one) for echo in ECHOES for one in urls if one in str(params)]
    return f"Value {' '.join(held)} {params} is not valid"


@pytest.mark.parametrize("kind", ["kept by SSM", "in the environment"])
def test_every_write_in_turn_is_refused_and_repeats_what_it_was_sent(
    world: World, kind: str
) -> None:
    """Of those that differ, where the secret is in the function's environment."""
    names: dict[str, None] = {}
    with telling(world, KINDS[kind]) as told:
        with world.sandbox.recording() as calls:
            assert told.run("up") == 0
        for one in calls:
            if one.writes and (kind == "kept by SSM" or one.service == "lambda"):
                names[one.operation] = None
        assert len(names) > (15 if kind == "kept by SSM" else 1)
        for refused in names:
            world.use(KINDS[kind])
            world.refuse = lambda _, name, params, refused=refused: (  # type: ignore[misc]
                ("ValidationException", echoing(told, params)) if name == refused else None
            )
            assert told.run("up") == 1, refused
            assert f"{refused} answered ValidationException" in told.witness.heard[-1]
            world.refuse = lambda *_: None
        assert "Value (secret)" in told.heard
        assert told.leaks() == []
    if kind == "kept by SSM":
        row = f"the webhook's URL too | {len(names)} | 0 | {len(names)} | 0 |"
        assert row in README.read_text("utf-8")


ANSWERS = ("400", "401", "403", "404", "410", "429", "500", "503", "302", "200", "hang", "reset")


@pytest.mark.parametrize("answer", ANSWERS)
def test_every_bad_answer_of_a_webhook_repeats_it(world: World, answer: str) -> None:
    with telling(world, {**EVERY_CHANNEL, **MAILS}) as told:
        assert told.run("up") == 0
        inbox = world.sandbox.inbox
        for service, url in inbox.webhook_urls.items():
            said = " ".join(echo(url) for echo in ECHOES)
            status: Any = int(answer) if answer.isdigit() else answer
            headers = {"Location": url, "Retry-After": url, "X-Was": url}
            inbox.answer_with(status, f"<html>{said}{'[' * 50_000}", headers, 1, service)
        told.run(f"simulate stop-logging --timeout {6 if answer == 'hang' else 1}")
        told.run("alerts -v")
        told.run("alerts --json")
        told.run("status -v")
        assert told.leaks() == []


def test_a_secret_that_the_function_cannot_read_is_not_told(world: World) -> None:
    with telling(world, PLAIN) as told:
        assert told.run("up") == 0
        world.client("ssm").delete_parameter(Name="/ctwatch/discord")
        told.run("simulate stop-logging --timeout 2")
        assert told.run("alerts") == 3
        assert told.leaks() == []


@pytest.mark.parametrize("at", ["PutParameter", "CreateFunction", "GetParameter"])
def test_ctrl_c_tells_nothing(world: World, at: str) -> None:
    def interrupt(_: str, name: str, __: Mapping[str, Any]) -> None:
        if name == at:
            raise KeyboardInterrupt

    with telling(world, PLAIN) as told:
        world.refuse = interrupt
        told.run("up")
        told.run("status")
        world.refuse = lambda *_: None
        assert told.leaks() == []


class BugError(Exception):
    """What nobody thought of."""


def test_a_bug_whose_traceback_is_shown_does_not_show_it(world: World) -> None:
    """Python shows lines of source, and no values: what is raised must not hold any."""

    def fail(_: str, name: str, __: Mapping[str, Any]) -> None:
        if name == "PutParameter":
            raise BugError("of ours")

    with telling(world, PLAIN) as told:
        world.refuse = fail
        with pytest.raises(BugError) as caught:
            told.run("up")
        world.refuse = lambda *_: None
        shown = "".join(traceback.format_exception(caught.value))
        assert leaks(told.secrets, iter([("traceback", shown)])) == []


def test_a_parameter_of_the_users_own_is_read_and_not_told(world: World) -> None:
    channel = {"type": "discord", "url": "ssm:/hooks/own"}
    with telling(world, {**PLAIN, "channels": [channel]}) as told:
        url = world.sandbox.inbox.webhook_url
        world.client("ssm").put_parameter(Name="/hooks/own", Value=url, Type="SecureString")
        for line in ("plan --json", "up -v", "status -v", "simulate stop-logging", "alerts"):
            told.run(line)
        assert told.leaks() == []
        world.client("ssm").put_parameter(
            Name="/hooks/own", Value=f"{url}/slack", Type="SecureString", Overwrite=True
        )
        assert told.run("up") == 2
        assert told.leaks() == []
