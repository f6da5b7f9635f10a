"""AWS does not know at once what it has said yes to, and ctwatch does not mind."""

import pytest
from slow_world import FarClock, SlowWorld, slow_world
from watch_world import PLAIN


@pytest.fixture
def world(tmp_path):
    with slow_world(tmp_path) as made:
        yield made


def test_the_whole_story_on_an_aws_that_is_slow_to_agree(world: SlowWorld):
    world.use(PLAIN)
    began = world.sandbox.clock.monotonic()
    assert world.run("up").code == 0
    world.click()
    world.settle()
    with world.sandbox.recording() as seen:
        again = world.run("up")
    assert (again.code, [one.operation for one in seen if one.writes]) == (0, [])
    assert world.run("status").code == 0
    for arguments in ([], ["--on", "canary"], ["--on", "trail", "--yes"]):
        assert world.run("simulate", "stop-logging", *arguments).code == 0
    assert world.run("down", "--yes", "--delete-logs").code == 0
    assert world.sandbox.listing() == []
    assert world.sandbox.clock.monotonic() - began > 120


def test_another_process_can_go_by_the_same_clock(world: SlowWorld):
    clock, far = world.sandbox.clock, FarClock(world.sandbox.url)
    far.sleep(500)
    assert 500 <= far.monotonic() <= clock.monotonic()
    assert far.now().timestamp() == pytest.approx(clock.now().timestamp(), abs=20)
