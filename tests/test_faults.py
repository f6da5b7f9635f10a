"""Answers that are lost, and answers that are none; the rest is tried by the other `test_faults`.

What botocore's own HTTP stack makes of a socket that fails is held here, too, as the others stand
where botocore sends, and raise the same.
"""

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import test_faults_always
import test_faults_always_down
import test_faults_always_down_looks
import test_faults_always_drills
import test_faults_always_plan
import test_faults_always_status
import test_faults_down
import test_faults_drills
import test_faults_five_times
import test_faults_slow
import test_faults_slow_always
import test_faults_slow_always_down
import test_faults_slow_always_looks
import test_faults_slow_later
import test_faults_slow_together
import test_faults_together
import test_faults_up
import test_one_action_less
import test_one_action_less_rich
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from faulty import Faults, always, denied, each_once, faults, lost, page
from killed import is_write
from watch_world import PLAIN, RICH, World, world_of

from ctwatch.aws import connect
from ctwatch.errors import AwsError
from ctwatch.sandbox.server import Sandbox

DOWN = ("down", "--yes", "--delete-logs", "--wait", "3")


@pytest.fixture(scope="module")
def wire() -> Iterator[Faults]:
    with faults() as found:
        yield found


@pytest.fixture(scope="module")
def world(
    wire: Faults, running: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("faults"), through=wire.through) as here:
        yield here


@pytest.mark.parametrize(
    "config",
    [PLAIN, pytest.param(RICH, marks=pytest.mark.exhaustive)],
    ids=["plain", "rich"],
)
def test_when_the_answer_to_every_write_is_lost_up_and_down_end_as_ever(
    world: World, wire: Faults, config: dict[str, Any]
) -> None:
    world.use(config)
    wire.begin(each_once(lost, is_write))
    ran = world.run("up")
    assert (ran.code, len(set(wire.met)) > 15) == (0, True), ran.text
    wire.begin()
    ran = world.run("up")
    assert (ran.code, [one for one in wire.calls if is_write(one)]) == (0, []), ran.text
    wire.begin(each_once(lost, is_write))
    ran = world.run(*DOWN)
    assert (ran.code, world.sandbox.listing()) == (0, []), ran.text
    kms = world.client("kms")  # which has made each key twice
    keys = [kms.describe_key(KeyId=one["KeyId"]) for one in kms.list_keys()["Keys"]]
    assert {one["KeyMetadata"]["KeyState"] for one in keys} <= {"PendingDeletion"}


@pytest.mark.parametrize("call", ["cloudtrail:DescribeTrails", "sns:GetTopicAttributes"])
def test_a_page_is_no_answer(world: World, wire: Faults, call: str) -> None:
    """Of the first, botocore would make an account without a trail."""
    world.use(PLAIN)
    wire.begin(always(call, page))
    ran = world.run("up")
    sentence = f"{call.partition(':')[2]}: what answered is not AWS"
    assert (ran.code, sentence in ran.err, "<" in ran.text) == (1, True, False), ran.text
    assert "A proxy, or the page where one logs in to a network, stands in between" in ran.text


def test_what_could_not_be_seen_at_the_end_of_up_is_said(world: World, wire: Faults) -> None:
    world.use(PLAIN)
    wire.begin(always("cloudtrail:GetTrailStatus", denied))
    ran = world.run("up")
    assert (ran.code, "GetTrailStatus answered AccessDenied" in ran.text) == (1, True), ran.text


def test_a_drill_says_what_it_could_not_look_at_and_proves_it_all_the_same(
    world: World, wire: Faults
) -> None:
    world.use(PLAIN)
    wire.begin()
    assert world.run("up").code == 0
    wire.begin(always("sns:GetTopicAttributes", denied))
    ran = world.run("simulate", "stop-logging")
    assert (ran.code, "stop-logging proven" in ran.out) == (0, True), ran.text
    said = "Warning: looking at topic sns-cloudtrail-alarm: GetTopicAttributes answered"
    assert said in ran.err, ran.text


@pytest.mark.parametrize("call", ["sqs:ReceiveMessage", "logs:FilterLogEvents"])
def test_down_says_that_it_may_not_hear_what_it_raised_and_does_the_rest(
    world: World, wire: Faults, call: str
) -> None:
    world.use(PLAIN)
    wire.begin()
    assert world.run("up").code == 0
    world.click()
    wire.begin(always(call, denied))
    ran = world.run(*DOWN)
    assert (ran.code, world.sandbox.listing()) == (0, []), ran.text
    assert f"{call.partition(':')[2]} answered AccessDenied" in ran.err
    assert "Who was told of its deletion is not known." in ran.err
    world.settle()


ALWAYS = (
    *(test_faults_always, test_faults_always_status, test_faults_always_plan),
    *(test_faults_always_drills, test_faults_always_down, test_faults_always_down_looks),
    *(test_faults_slow_always, test_faults_slow_always_down, test_faults_slow_always_looks),
)


def test_readme_tells_how_many_faults_are_tried() -> None:
    """Each of these files holds that it tries as many; or at least, where AWS's pace decides."""
    slowly, beside = test_faults_slow_always, test_faults_slow_together
    five_times = total(test_faults_five_times.TRIED, slowly.FIVE_TIMES)
    always_tried = total(*(one.TRIED for one in ALWAYS)) + five_times
    survived = total(*(one.SURVIVED for one in ALWAYS)) + five_times
    once = test_faults_up.AT_LEAST + test_faults_down.AT_LEAST + test_faults_slow.AT_LEAST
    once += total(test_faults_drills.TRIED, test_faults_drills.AT_LEAST)
    once += total(test_faults_slow_later.AT_LEAST)
    less = [*test_one_action_less.TRIED.values(), *test_one_action_less_rich.TRIED.values()]
    done, said = (sum(numbers) for numbers in zip(*less, strict=True))
    strangers, offsets = len(test_faults_together.STRANGERS) + 1, len(test_faults_together.OFFSETS)
    gone, gone_slowly = len(test_faults_together.DRIFTS), len(beside.GONE)
    told = strangers + len(test_faults_together.TOLD) + len(beside.TAKEN) + len(beside.TOLD)
    mended = offsets + 2 * gone - len(test_faults_together.TOLD)
    mended += len(beside.BUILDING) + gone_slowly - len(beside.TOLD)
    faster = (offsets + len(beside.CLEARING)) * len(test_faults_together.ORDERS)
    as_alone = total(test_faults_together.SURVIVED)
    rows: list[tuple[int | str, ...]] = [
        (f"at least {once}", "all", 0, 0),
        (always_tried, survived, always_tried - survived, 0),
        (done + said, done, said, 0),
        (mended + told, mended, told, 0),
        (faster, f"at least {as_alone}", f"at most {faster - as_alone}", 0),
    ]
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    for row in rows:
        assert f" | {' | '.join(map(str, row))} |\n" in readme, row


def total(*counts: dict[str, int]) -> int:
    return sum(sum(one.values()) for one in counts)


# ---------------------------------------------------------------- sockets


class Broken(socketserver.BaseRequestHandler):
    """What a client meets who sends a request to it."""

    def handle(self) -> None:
        server: Any = self.server
        asked = self.request.recv(65_536)
        if not asked:
            return
        server.asked += 1
        if server.how == "reset":
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif server.how == "cut":
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<GetCallerIdent")
        elif server.how == "page":
            html = b"<!DOCTYPE html><html><meta charset=utf-8><body>Log in<br></body></html>"
            self.request.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(html), html)
            )
        else:
            server.over.wait(5)


@contextmanager
def broken(how: str) -> Iterator[Any]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, asked, over = True, 0, threading.Event()

    with Server(("127.0.0.1", 0), Broken) as server:
        server.how = how  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


_MEETS: dict[str, tuple[type[Exception], int]] = {
    "reset": (ConnectionClosedError, 3),
    "cut": (ResponseParserError, 1),
    "silent": (ReadTimeoutError, 3),
    "page": (ResponseParserError, 1),
}
"""What becomes of it, and after how many attempts of three."""


@pytest.mark.parametrize("how", _MEETS)
def test_what_the_http_stack_makes_of_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, wire: Faults, how: str
) -> None:
    raised, attempts = _MEETS[how]
    short = Config(retries={"mode": "standard", "total_max_attempts": 3}, read_timeout=0.1)
    monkeypatch.setattr("ctwatch.aws._SETTINGS", short)
    with broken(how) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        with pytest.raises(AwsError) as told:
            connect(None, "ap-northeast-2", wire.clock).caller()
    assert isinstance(told.value.__cause__, raised)
    assert told.value.problem.startswith("asking AWS who you are: GetCallerIdentity: ")
    assert (told.value.operation, server.asked) == ("GetCallerIdentity", attempts)
