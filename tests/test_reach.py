"""ctwatch talks to nobody but whom the configuration names: on loopback, to this machine alone.

The clients have their sockets here, other than in most tests. Every command of all, and the demo,
are for `test_reach_further`; AWS's own endpoints for `test_reach_aws`.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from fenced import PROXIES, fenced, fenced_world, noted_beyond, real_world
from watch_world import DISCORD, PLAIN, World

from ctwatch.demo import leading_to

AWAY = {"AWS_ACCESS_KEY_ID": "AKIDUMMY", "AWS_SECRET_ACCESS_KEY": "dummy"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with fenced_world(tmp_path_factory.mktemp("reach")) as here:
        here.use(PLAIN)
        yield here


def test_nothing_leaves_this_machine_whatever_proxy_there_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):  # as if the exports had been pasted by half
        monkeypatch.delenv(name)
    for name, value in PROXIES.items():
        monkeypatch.setenv(name, value)
    for line in ("up", "simulate stop-logging", "status"):
        with fenced() as beyond:
            ran = world.run(*line.split())
        assert ran.code == (3 if line == "status" else 0), ran.text
        assert beyond == []
    assert noted_beyond(world.config.with_name("noted")) == []


def test_no_metadata_is_asked_where_the_endpoint_is_on_this_machine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*AWAY, "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name)
    with fenced() as beyond:
        ran = world.run("status")
    assert beyond == []
    assert ran.code == 1
    assert "no AWS credentials were found" in ran.err


def test_real_credentials_never_reach_the_sandbox(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither those of the environment nor those of the home, however a session has ended."""
    came: list[str] = []
    answer = world.sandbox._answer

    def kept(environ: Mapping[str, Any], body: bytes) -> Any:
        came.append(f"{environ} {body!r}")
        return answer(dict(environ), body)

    monkeypatch.setattr(world.sandbox, "_answer", kept)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in real_world(tmp_path).items():
            patch.setenv(name, value)
        with leading_to(world.sandbox):
            assert world.run("plan").code == 0
            assert {**os.environ}.items() >= world.sandbox.env().items()
    assert came
    assert [one for one in came if "MARKED" in one.upper()] == []


SAID = {
    "http://127.0.0.1:8123/api/webhooks/1/abc": "AWS is not the sandbox",
    "http://localhost/api/webhooks/1/abc": "must begin with https://",
    "https://localhost/abc": "this machine or into a private network",
    "https://[::1]/abc": "this machine or into a private network",
    "https://0.0.0.0/abc": "this machine or into a private network",
    "https://2130706433/abc": "this machine or into a private network",
    "https://169.254.169.254/latest": "this machine or into a private network",
    "https://192.168.0.1/abc": "this machine or into a private network",
}


@pytest.mark.parametrize("kind", ["discord", "webhook"])
@pytest.mark.parametrize("url", SAID)
def test_where_aws_is_real_a_webhook_on_this_machine_is_refused_before_any_call(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    url: str,
) -> None:
    world = World(world.sandbox, tmp_path / "config.yaml")
    channel = {**DISCORD[0], "type": kind}
    world.config.write_text(yaml.safe_dump({"channels": [channel]}), "utf-8")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**AWAY, "DISCORD_WEBHOOK_URL": url}.items():
        monkeypatch.setenv(name, value)
    with fenced() as beyond:
        ran = world.run("up")
    assert ran.code == 2, ran.text
    assert beyond == []
    words = SAID[url] if kind == "webhook" or "discord" in url else ""
    assert ran.err.startswith("Error: channels[0].url: ")
    assert words in ran.err
    assert "abc" not in ran.text


def test_the_fence_sees_who_leaves() -> None:
    with fenced() as beyond:
        for host in ("example.com", "192.0.2.1"):
            with pytest.raises(OSError, match="fenced"):
                socket.create_connection((host, 80), timeout=1)
    assert beyond == ["getaddrinfo example.com", "getaddrinfo 192.0.2.1"]
