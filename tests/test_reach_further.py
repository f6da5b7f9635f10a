"""As `test_reach`, with every command in the life of every kind of watch."""

from collections.abc import Iterator

import pytest
from fenced import fenced, fenced_world, noted_beyond
from marked import EVERY, KINDS
from watch_world import World

from ctwatch.demo import confirmation_link

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with fenced_world(tmp_path_factory.mktemp("reach")) as here:
        yield here


@pytest.mark.parametrize("kind", KINDS)
def test_no_command_leaves_this_machine(world: World, kind: str) -> None:
    world.use(KINDS[kind])
    with fenced() as beyond:
        for line in EVERY:
            world.sandbox.idle()
            mails = [one for one in world.sandbox.inbox.mails if "/confirm?" in one.text]
            link = confirmation_link(mails[-1]) if mails else ""
            world.run(*line.replace("LINK", link).split())
    assert beyond == []
    assert world.sandbox.inbox.posts
    assert noted_beyond(world.config.with_name("noted")) == []
