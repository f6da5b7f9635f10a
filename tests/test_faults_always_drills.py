"""Every operation in turn fails always: a drill says so, and what it struck is whole again.

A probe calls what all drills call first and last: of that another drill tries one kind for each
call, which goes round, and of what it alone calls every kind.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty import ALWAYS, Faults, always, faulty_world
from killed import is_write
from killing import again
from test_faults_always import LONGEST, kinds, spoke, stand
from watch_world import World

pytestmark = pytest.mark.exhaustive

TRIED = {"probe": 170, "canary": 67, "trail": 49}
"""Faults that are tried."""
SURVIVED = {"probe": 145, "canary": 34, "trail": 30}
"""Of these, those with which it is proven all the same: it says what could not be looked at."""
HARMLESS = ("cut", "silent", "page")
"""What may befall a call of which the answer is not looked at, or has nothing to be cut."""
PROBE = ("simulate", "stop-logging", "--timeout", "20")
DRILLS = {
    "probe": PROBE,
    "canary": (*PROBE, "--on", "canary"),
    "trail": (*PROBE, "--on", "trail", "--yes"),
}


def made(world: World, wire: Faults, drill: tuple[str, ...]) -> set[str]:
    """The calls that a drill takes."""
    wire.begin()
    ran = world.run(*drill)
    assert ran.code == 0, ran.text
    return set(wire.calls)


def faults(common: set[str], calls: set[str]) -> Iterator[tuple[str, str]]:
    """What to try: a call, and what befalls it."""
    for place, call in enumerate(sorted(calls)):
        some = [*ALWAYS] if call not in common or is_write(call) else kinds(place, call)
        seen_by_the_probe = call in common and common != calls
        yield from ((call, kind) for kind in ([some[place % 4]] if seen_by_the_probe else some))


@pytest.mark.parametrize("on", DRILLS)
def test_a_drill(tmp_path: Path, on: str) -> None:
    """A watch that cannot be looked at is struck all the same, and what is not proven is said."""
    with faulty_world(tmp_path) as (world, wire):
        prepare = again(world, lambda: stand(world, wire))
        prepare()
        common, calls = made(world, wire, PROBE), made(world, wire, DRILLS[on])
        tried, survived = 0, 0
        for number, (call, kind) in enumerate(faults(common if on != "probe" else calls, calls)):
            if number % 20 == 19:
                prepare()  # the receipts of all drills before would have to be read
            wire.begin(always(call, ALWAYS[kind]))
            start = wire.clock.monotonic()
            ran = world.run(*DRILLS[on])
            tried += bool(wire.met)
            told, said = spoke(ran, call, kind), (call, kind, ran.text)
            survived += ran.code == 0
            assert told or (ran.code == 0 and kind in HARMLESS), said
            assert ran.code in {0, 1, 3}, said
            assert wire.clock.monotonic() - start < LONGEST, said
            if on != "probe":
                _whole_again(world, wire, said)
        wire.begin()
        assert world.run("status").code == 0
        assert (tried, survived) == (TRIED[on], SURVIVED[on])


def _whole_again(world: World, wire: Faults, said: tuple[str, str, str]) -> None:
    """What the drill could not mend itself is mended by the next that may."""
    wire.begin()
    ran = world.run("simulate", "--heal")
    assert ran.code == 0, (said, ran.text)
    cloudtrail = world.client("cloudtrail")
    [trail] = cloudtrail.describe_trails()["trailList"]
    assert trail["Name"] == "ct-trail-monitor", said
    assert cloudtrail.get_trail_status(Name=trail["Name"])["IsLogging"], said
