"""Two kills of `up` for every run of the tests; those at each call are marked exhaustive."""

import re
from pathlib import Path

import pytest
from killing import DOWN, TRIED, TRIED_SLOW, again, arm, armed, killing, writing
from watch_world import PLAIN, world_of

from ctwatch.sandbox.server import Sandbox


def test_the_next_up_goes_on_where_a_killed_one_ended(running: Sandbox, tmp_path: Path) -> None:
    with killing(running, tmp_path, PLAIN) as killer:
        whole = writing(killer.world, "up")[1]
        for at, when in ((9, "before"), (14, "after")):
            killer.world.use(PLAIN)
            ended = killer.run("up", at=at, of="writes", when=when)
            assert ended.killed
            assert 0 < len(ended.wrote) < len(whole)
            armed(killer.world, whole)(ended)


@pytest.mark.exhaustive
def test_an_account_that_is_put_back_is_as_it_was(running: Sandbox, tmp_path: Path) -> None:
    with world_of(running, tmp_path) as world:
        prepare = again(world, lambda: arm(world, PLAIN))
        prepare()
        there = running.listing()
        for _ in range(2):  # what is put back is not what was kept
            assert world.run(*DOWN).code == 0
            assert running.listing() == []
            prepare()
            assert running.listing() == there
        ran, wrote = writing(world, "up")
        assert (ran.code, wrote) == (0, ())
        assert "ARMED" in ran.err
        assert world.run("simulate", "stop-logging").code == 0


def test_the_readme_tells_how_many_were_tried() -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|.*SIGKILL.*$", readme, re.MULTILINE)
    numbers = [[one.strip() for one in row.split("|")[-5:-1]] for row in rows]
    assert numbers == [[f"at least {one}", "all", "0", "0"] for one in (TRIED, TRIED_SLOW)]
