"""One fault at any write of `up`, on a sandbox that takes AWS's time to agree."""

from pathlib import Path

import pytest
from faulty import ONCE, faulty_world, struck
from killed import is_write
from watch_world import PLAIN

pytestmark = pytest.mark.exhaustive

AT_LEAST = 50
"""Faults that are tried; AWS shows sooner or later what is there."""


def test_up_ends_as_promised_though_aws_is_slow_to_agree(tmp_path: Path) -> None:
    """At each write the loss of its answer, which is late to be seen, and another, by turns."""
    others = [one for one in ONCE if one != "lost"]
    with faulty_world(tmp_path, like_aws=True) as (world, wire):
        world.use(PLAIN)
        wire.begin()
        assert world.run("up").code == 0
        writes = [one for one in wire.calls if is_write(one)]
        tried = 0
        for place, call in enumerate(writes):
            number = writes[:place].count(call)
            if number > 2:
                continue  # it is made until what it needs is seen
            for kind in ("lost", others[place % len(others)]):
                world.use(PLAIN)
                wire.begin(struck(call, number, ONCE[kind]))
                ran = world.run("up")
                assert ran.code == 0, (call, number, kind, ran.text)
                tried += len(wire.met)  # none, where this time it was seen sooner
    assert tried >= AT_LEAST, tried
