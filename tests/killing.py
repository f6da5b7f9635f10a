"""Commands that are killed at a call of theirs, and what is looked at afterwards."""

import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from keeping import Kept, kept
from shared_clients import without_socket
from watch_world import World, world_of

from ctwatch.sandbox import wire
from ctwatch.sandbox.identities import ACCESS_KEY
from ctwatch.sandbox.server import Observed, Sandbox, _subject

WHEN = ("before", "after")
DOWN = ("down", "--yes", "--wait", "0", "--delete-logs")


POINTS = {
    "up": 107,
    "down": 146,
    "status": 47,
    "plan": 50,
    "probe": 50,
    "repair": 12,
    "rich": 42,
    "drill": 8,
    "whole drill": 90,
    "slow up": 35,
    "slow down": 24,
    "slow trail": 4,
    "slow canary": 5,
    "slow probe": 2,
}
"""The calls that each command is killed at, at the least; of `repair`, `rich` and slow ones writes.

A slow sandbox has some calls made again, which count anew.
"""

_WHOLE, _STRUCK = 2, 4
TRIED = POINTS["rich"] + len(WHEN) * (
    sum(POINTS[name] for name in ("up", "down", "status", "plan", "probe", "repair", "rich"))
    + _WHOLE * POINTS["whole drill"]
    + _STRUCK * POINTS["drill"]
)
"""How many kills the README tells of."""

TRIED_SLOW = len(WHEN) * sum(of for name, of in POINTS.items() if name.startswith("slow "))
"""The same, on the sandbox that is slow to agree."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        killed: whether by SIGKILL; else by itself.
        calls: what left of it, in order.
        wrote: what it has changed, sorted; the same for the same account.
    """

    killed: bool
    calls: tuple[str, ...]
    wrote: tuple[str, ...]


@dataclass(frozen=True)
class Killer:
    """Runs commands in children of one process that stays warm."""

    world: World
    process: subprocess.Popen[str]
    lines: "Lines"

    def run(
        self, *arguments: str, at: int | None = None, of: str = "calls", when: str = "before"
    ) -> Ended:
        """Run a command, killed at a call; by None, or where there are fewer, it is not."""
        asked = {
            "arguments": [*arguments, "--config", str(self.world.config)],
            "at": at,
            "of": of,
            "when": when,
        }
        assert self.process.stdin
        assert self.process.stdout
        with self.world.sandbox.recording() as seen:
            self.process.stdin.write(json.dumps(asked) + "\n")
            self.process.stdin.flush()
            told = json.loads(self.process.stdout.readline())
            self.lines.served()
        return Ended(told["killed"], tuple(told["calls"]), written(seen))


@contextmanager
def killing(sandbox: Sandbox, folder: Path, config: Mapping[str, Any]) -> Iterator[Killer]:
    """The process leads its children to the sandbox by the environment of the world."""
    with world_of(sandbox, folder) as world, killer_of(world, config) as killer:
        yield killer


@contextmanager
def killer_of(world: World, config: Mapping[str, Any], *clock: str) -> Iterator[Killer]:
    """The same in a world that is there; `clock` is the sandbox's URL, if they go by its clock."""
    world.use(config)
    lines = Lines(world.sandbox, str(world.config.with_name("line")))
    killed = Path(__file__).with_name("killed.py")
    program = [sys.executable, str(killed), str(world.config), lines.address, *clock]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        yield Killer(world, started, lines)
        assert started.stdin
        started.stdin.close()


Way = Callable[[Ended], None]
"""How it goes on after a kill; asserts what must have come of it."""


class Onward:
    """How it goes on after the kills of a command that finds the same account each time.

    Nothing but the account remembers a run: it has no file. So, where a kill leaves what another
    left that was gone on from already, it needs not be gone on from again in the same way.

    Args:
        ways: how it goes on, each from all that kills have left; who clicks in a mail comes first.
        world: whose account is kept for the next way, but for its mails; None where it matters
            how long ago the kill was, so that each way needs one of its own.
    """

    def __init__(self, ways: Mapping[str, Way], world: World | None = None) -> None:
        self._ways = ways
        self._world = world
        self._known = {way: set[tuple[str, ...]]() for way in ways}

    def go(self, ended: Ended, kill: Callable[[], Ended]) -> bool:
        """Go on each way that has not been gone from there; tell whether there was one.

        Args:
            ended: the kill.
            kill: makes the account anew and kills once more, where it is not kept.
        """
        if not self._new(ended):
            return False
        left = kept(self._world) if self._world else None
        while new := self._new(ended):
            self._known[new[0]].add(ended.wrote)
            self._ways[new[0]](ended)
            if left:
                left.put_back()
            elif new[1:]:
                ended = kill()
        return True

    def _new(self, ended: Ended) -> list[str]:
        return [way for way, known in self._known.items() if ended.wrote not in known]


def survived(
    kill: Callable[[int], Ended],
    prepare: Callable[[], None],
    onward: Onward,
    first: int = 0,
) -> int:
    """Kill a command at its first call, its second, and so on, until it ends by itself.

    Args:
        kill: runs the command, killed at its n-th call.
        prepare: makes the account as the command finds it, where it is not; it is not after a way.
        onward: how it goes on.
        first: the call to begin with.

    Returns:
        At how many calls it was killed.
    """

    def anew() -> Ended:
        prepare()
        return kill(at)

    prepare()
    for at in count(first):
        ended = kill(at)
        if not ended.killed:
            return at - first
        if onward.go(ended, anew) or ended.wrote:
            prepare()
    raise AssertionError


class Lines:
    """What children of the warm process reach the sandbox by.

    Each of their threads has a connection, which ends with it.

    Args:
        sandbox: what answers.
        address: of a socket.
    """

    def __init__(self, sandbox: Sandbox, address: str) -> None:
        self.address = address
        self._answer = without_socket(sandbox)
        self._threads: list[threading.Thread] = []
        self._listener = Listener(address, backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                serving = threading.Thread(target=self._serve, args=(self._listener.accept(),))
                serving.start()
                self._threads.append(serving)

    def _serve(self, line: Connection) -> None:
        with line, suppress(EOFError, OSError):  # it died in the middle of a word
            while True:
                asked = line.recv()
                if asked is None:
                    line.send(None)
                    continue
                method, url, headers, body = asked
                answer = self._answer(wire.environ_of(method, url, headers, body), body)
                line.send((answer.status, answer.headers, answer.body))

    def served(self) -> None:
        """Wait until all is done that was sent by who is dead now.

        Connections are taken in their order: after one of ours, all have been.
        """
        with Client(self.address) as line:
            line.send(None)
            line.recv()
        threads, self._threads = self._threads, []
        for one in threads:
            one.join(10)
            assert not one.is_alive()


def written(seen: Sequence[Observed]) -> tuple[str, ...]:
    """What calls have changed, sorted."""
    mine = [one for one in seen if one.call.access_key == ACCESS_KEY]
    return tuple(sorted(map(_told, (one for one in mine if one.writes and not one.error))))


def _told(one: Observed) -> str:
    """The call and what it is on, and a fingerprint of what it says."""
    given = {name: value for name, value in one.params.items() if name not in _SORTED}
    said = _DRAWN.sub("", json.dumps(given, default=str, sort_keys=True))
    subject = _DRAWN.sub("", _subject(one.call))
    return f"{one.service}:{one.operation} {subject} {sha256(said.encode()).hexdigest()[:8]}"


_DRAWN = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(\w+ )?\d{4}-\d\d-\d\dT[\d:]+Z( \w+)? [\d.]+"
)
"""What is another each time: the ids of keys and subscriptions, and what a drill says of itself."""


_SORTED = ("Code", "ZipFile", "Environment")
"""What holds such ids, too, packed, or in the order of what was drawn."""


def writing(world: World, *arguments: str) -> tuple[Any, tuple[str, ...]]:
    """A command that is not killed, and what it changes."""
    with world.sandbox.recording() as seen:
        ran = world.run(*arguments)
    return ran, written(seen)


def more(wrote: Sequence[str], than: Sequence[str]) -> list[str]:
    """What was written beyond that."""
    return sorted((Counter(wrote) - Counter(than)).elements())


def nothing_left(world: World) -> Way:
    """The next `down` leaves nothing."""

    def down(ended: Ended) -> None:
        ran = world.run(*DOWN)
        assert ran.code == 0, (ended, ran.text)
        assert world.sandbox.listing() == [], ended

    return down


def armed(world: World, whole: Sequence[str] | None = None) -> Way:
    """The next `up` makes the rest of the `whole` and no more, and is ARMED; one more does nothing.

    People do what only people can do meanwhile. What comes of it is looked at once, as all that
    have written the same as a whole `up` leave the same.
    """
    seen = set[tuple[str, ...]]()

    def up(ended: Ended) -> None:
        ran, wrote = writing(world, "up")
        assert ran.code == 0, (ended, ran.text)
        both = tuple(sorted([*ended.wrote, *wrote]))
        assert whole is None or (more(both, whole), more(whole, both)) == ([], []), ended
        if both in seen:
            return
        seen.add(both)
        world.click()
        ran, wrote = writing(world, "up")
        assert (ran.code, wrote) == (0, ()), (ended, ran.text)
        assert "ARMED" in ran.err, (ended, ran.text)

    return up


def again(world: World, make: Callable[[], object]) -> Callable[[], None]:
    """Makes an account the first time; whenever it is called again, puts back what came of it."""
    known: list[Kept] = []

    def prepare() -> None:
        if known:
            known[0].put_back()
            return
        make()
        known.append(kept(world))

    return prepare


def arm(world: World, config: Mapping[str, Any]) -> None:
    """An account with nothing but the watch of a config, ARMED."""
    world.use(config)  # SQS gives a name again only after a minute
    ran = world.run("up")
    assert ran.code == 0, ran.text
    world.click()
