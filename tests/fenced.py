"""A fence round this machine: whoever talks, or asks for an address, beyond loopback is noted."""

import functools
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from shared_clients import lead, sharing, without_socket
from watch_world import World, hurry, world_of

from ctwatch.demo import leading_to
from ctwatch.sandbox import runtime
from ctwatch.sandbox.cloud import straight
from ctwatch.sandbox.server import Sandbox
from ctwatch.sandbox.zygote import Zygote

PROXY = "http://192.0.2.1:3128"  # RFC 5737: nobody's address
PROXIES = {
    name: PROXY for one in ("http_proxy", "https_proxy", "all_proxy") for name in (one, one.upper())
}
"""What a company's machine may have in its environment."""

_ASKING = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo")
_TALKING = ("connect", "connect_ex", "sendto")


def is_here(host: Any) -> bool:
    """Whether this machine is meant, by a number, so that no name server is asked."""
    try:
        return ip_address(str(host)).is_loopback
    except ValueError:
        return False


@contextmanager
def fenced() -> Iterator[list[str]]:
    """The list of all that wanted to leave this machine, which it could not.

    A call to a name server counts, be it for the name of 127.0.0.1.
    """
    beyond: list[str] = []

    def talking(method: Any) -> Any:
        @functools.wraps(method)
        def tried(this: socket.socket, *given: Any) -> Any:
            if this.family in {socket.AF_INET, socket.AF_INET6} and not is_here(given[-1][0]):
                beyond.append(f"{method.__name__} {given[-1]}")
                raise ConnectionRefusedError("fenced")
            return method(this, *given)

        return tried

    def asking(function: Any) -> Any:
        @functools.wraps(function)
        def tried(host: Any, *given: Any, **named: Any) -> Any:
            if function.__name__ != "getaddrinfo" or not (host is None or is_here(host)):
                beyond.append(f"{function.__name__} {host}")
                raise socket.gaierror("fenced")
            return function(host, *given, **named)

        return tried

    with pytest.MonkeyPatch.context() as patch:
        for name in _TALKING:
            patch.setattr(socket.socket, name, talking(getattr(socket.socket, name)))
        for name in _ASKING:
            patch.setattr(socket, name, asking(getattr(socket, name)))
        yield beyond


_FENCE = """
import os, runpy, sys
noted = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(event, given):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.bind"):
        told = given[1:] if event in ("socket.connect", "socket.sendto") else given
        os.write(noted, f"{{event}} {{told}}\\n".encode())
sys.addaudithook(note)
sys.argv[0] = {real!r}
runpy.run_path({real!r}, run_name="__main__")
"""


@contextmanager
def containers_noted(folder: Path) -> Iterator[Path]:
    """A file to which containers write whom they talk to and whose address they ask for."""
    log, program = folder / "noted", folder / "fence.py"
    program.write_text(_FENCE.format(log=str(log), real=runtime.__file__), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "__file__", str(program))
        patch.setattr(Zygote, "_begun", None)
        yield log
        if Zygote._begun:
            Zygote._begun.end()


def noted_beyond(log: Path) -> list[str]:
    """What containers wanted of others than this machine."""
    lines = log.read_text("utf-8").splitlines()
    assert any(line.startswith("socket.connect") for line in lines)  # else nothing was seen
    return [line for line in lines if "127.0.0.1" not in line]


def real_world(folder: Path) -> dict[str, str]:
    """The environment of somebody who works with AWS every day; the secrets are marked."""
    aws = folder / ".aws"
    aws.mkdir()
    keys = "aws_access_key_id = AKIAMARKEDMARKED1234\naws_secret_access_key = MarkedSecretKey0001\n"
    (aws / "credentials").write_text(f"[default]\n{keys}[work]\n{keys}", "utf-8")
    settings = "region = eu-west-3\nendpoint_url = https://marked.example.com\n"
    (aws / "config").write_text(f"[default]\n{settings}[profile work]\n{settings}", "utf-8")
    return {
        "HOME": str(folder),
        "AWS_PROFILE": "work",
        "AWS_ACCESS_KEY_ID": "AKIAMARKEDMARKED1234",
        "AWS_SECRET_ACCESS_KEY": "MarkedSecretKey0001",
        "AWS_SESSION_TOKEN": "MarkedSessionToken0001",
        "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z",
        "AWS_ENDPOINT_URL_STS": "https://marked.example.com",
        "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/MarkedWebhook0001",
        **PROXIES,
    }


@contextmanager
def world_of_aws_itself(
    sandbox: Sandbox, folder: Path, webhooks: Mapping[str, str]
) -> Iterator[tuple[World, set[str]]]:
    """A world whose endpoints are AWS's own, and the set of the hosts that its clients ask for.

    Behind those names `sandbox` answers, without a socket. It delivers no event, of which the
    function would tell a channel that is real. The webhooks come as the environment has them, a URL
    by the name of its variable.
    """
    hosts: set[str] = set()

    def through(_: Sandbox) -> Callable[[Any], None]:
        ask = straight(without_socket(sandbox))

        def before_send(request: Any, **_: Any) -> Any:
            url = urlsplit(request.url)
            hosts.add(f"{url.scheme}://{url.netloc}")
            bucket, s3, _rest = url.netloc.partition(".s3.")  # the sandbox has buckets in paths
            path = f"/{bucket}{url.path}" if s3 else url.path
            here = f"{sandbox.url}{path}?{url.query}"
            return ask(SimpleNamespace(**{**vars(request), "url": here}))

        def prepare(session: Any) -> None:
            session.events.register("before-send", before_send, unique_id="past AWS")

        return prepare

    with (
        world_of(sandbox, folder, through=through) as world,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sandbox._delivery, "deliver", lambda *_: None)
        patch.delenv("AWS_ENDPOINT_URL")
        for name, url in webhooks.items():
            patch.setenv(name, url)
        yield world, hosts


@contextmanager
def fenced_world(folder: Path) -> Iterator[World]:
    """A sandbox that is started within the fence, and clients that have their sockets."""
    with fenced() as beyond, containers_noted(folder), pytest.MonkeyPatch.context() as patch:
        lead(patch, sharing())
        hurry(patch)
        with Sandbox() as sandbox, leading_to(sandbox):
            yield World(sandbox, folder / "config.yaml")
    assert beyond == []
