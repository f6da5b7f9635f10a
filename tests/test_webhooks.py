"""`status` asks a Discord webhook whether it is there: by a GET, and never by a post."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from watch_world import HOOK, PLAIN_SECRET, WEBHOOK_ONLY, World, world_of

from ctwatch.sandbox.server import Sandbox

PARAMETER = "/ctwatch/discord"


@pytest.fixture(scope="module")
def world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("watch")) as world:
        world.use(WEBHOOK_ONLY)
        assert world.run("up").code == 0
        yield world


@contextmanager
def stored(world: World, url: str) -> Iterator[None]:
    """Another URL where the notifier reads it, of which the config knows nothing."""
    ssm, own = world.client("ssm"), world.sandbox.inbox.webhook_url
    ssm.put_parameter(Name=PARAMETER, Value=url, Type="SecureString", Overwrite=True)
    yield
    ssm.put_parameter(Name=PARAMETER, Value=own, Type="SecureString", Overwrite=True)


def status(world: World) -> tuple[Any, Any]:
    """The document of a status, and its hop of the channel; no post was made, no URL told."""
    before = len(world.sandbox.inbox.posts)
    ran, shown = world.run("status", "--json"), world.run("status", "-v")
    assert len(world.sandbox.inbox.posts) == before
    told = ran.text + shown.text
    assert [
        one for one in (world.sandbox.inbox.token[:-1], "127.0.0.1:", HOOK) if one in told
    ] == []
    document = {**json.loads(ran.out), "code": ran.code}
    return document, next(hop for hop in document["hops"] if hop["hop"] == "discord")


def test_one_that_is_there_answers(world: World) -> None:
    document, hop = status(world)
    assert (document["verdict"], hop["flow"]) == ("ARMED", "ok")
    assert hop["sentence"] == "subscribed, permitted, our code; answers"


def other_token(url: str) -> str:
    return url[:-1] + ("A" if url[-1] != "A" else "B")


def other_id(url: str) -> str:
    head, _, token = url.rpartition("/")
    return f"{head.rpartition('/')[0]}/1/{token}"


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (other_token, "discord answers 401"),
        (other_id, "discord answers 404"),
        (lambda _: "http://127.0.0.1:9/", "this is not the URL of a Discord webhook"),
        (lambda _: "https://discord.com/api/webhooks/1/x", "but AWS is the sandbox"),
    ],
)
def test_one_that_is_gone_or_leads_elsewhere_is_mute(
    change: Callable[[str], str], says: str, world: World
) -> None:
    with stored(world, change(world.sandbox.inbox.webhook_url)):
        document, hop = status(world)
    assert (document["verdict"], document["code"], hop["flow"]) == ("MUTE", 3, "cut")
    [fault] = hop["faults"]
    assert says in fault["sentence"]
    assert fault["remedy"].startswith("Make a new webhook")
    assert status(world)[0]["verdict"] == "ARMED"


@pytest.fixture
def no_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """The config's own value is not at hand: only what is stored can tell."""
    monkeypatch.delenv("DISCORD_WEBHOOK_URL")


@pytest.mark.usefixtures("no_hook")
def test_one_that_cannot_be_reached_is_unknown(world: World) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = HOOK.replace(":1/", f":{closed.getsockname()[1]}/")
        with stored(world, nowhere):
            document, hop = status(world)
    assert (document["verdict"], document["code"], hop["flow"]) == ("UNKNOWN", 1, "unknown")
    assert "could not be reached: the connection was refused" in hop["sentence"]
    [fault] = hop["faults"]
    assert fault["remedy"].endswith("then: ctwatch status")


@pytest.mark.usefixtures("no_hook")
def test_one_whose_secret_may_not_be_read_cannot_be_checked_and_that_is_no_fault(
    world: World,
) -> None:
    def hidden(service: str, operation: str, given: Any) -> tuple[str, str] | None:
        asked = (service, operation) == ("ssm", "GetParameter")
        decrypted = asked and '"WithDecryption": true' in str(given["body"])
        return ("AccessDeniedException", "not yours") if decrypted else None

    world.refuse = hidden
    document, hop = status(world)
    world.refuse = lambda *_: None
    assert (document["verdict"], hop["faults"]) == ("ARMED", [])
    assert "cannot be checked: its secret cannot be read from here" in hop["sentence"]


def test_one_that_stands_in_the_functions_environment_is_asked_too(world: World) -> None:
    world.use(PLAIN_SECRET)
    assert world.run("up").code == 0
    world.click()
    assert "answers" in status(world)[1]["sentence"]
    name = world.open().watch.function
    assert name
    functions = world.client("lambda")
    live = functions.get_function_configuration(FunctionName=name.name)["Environment"]["Variables"]
    live["DISCORD_WEBHOOK_URL"] = other_token(live["DISCORD_WEBHOOK_URL"])
    functions.update_function_configuration(FunctionName=name.name, Environment={"Variables": live})
    document, hop = status(world)
    assert (document["verdict"], hop["flow"]) == ("DEGRADED", "cut")
    assert "discord answers 401" in str(hop["faults"])
