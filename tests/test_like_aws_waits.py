"""Each wait of ctwatch's is needed on an AWS that is slow to agree: without it something fails.

That nothing fails with all of them is for `test_like_aws_seeds`.
"""

from collections.abc import Iterator

import pytest
from slow_world import SlowWorld, slow_world
from watch_world import CONFIGS, PLAIN

from ctwatch.aws import Aws

pytestmark = pytest.mark.exhaustive

UP, DOWN = ("up",), ("down", "--yes", "--delete-logs")


@pytest.fixture
def world(tmp_path) -> Iterator[SlowWorld]:
    with slow_world(tmp_path, seed=1) as made:
        yield made


def believe_at_once(monkeypatch, refusal):
    """Wait for everything but for one refusal."""
    patiently = Aws.patiently

    def hasty(self, call, *, code, **others):
        codes = (code,) if isinstance(code, str) else tuple(code)
        return patiently(self, call, code=tuple(x for x in codes if x != refusal), **others)

    monkeypatch.setattr(Aws, "patiently", hasty)


def ended(world: SlowWorld, *runs: tuple[str, ...]) -> list[tuple[int, str]]:
    """How each run ended; the last is the one that is to fail."""
    done = [world.run(*arguments) for arguments in runs]
    return [(one.code, one.text) for one in done]


@pytest.mark.parametrize(
    ("refusal", "config", "runs"),
    [
        ("InvalidParameterValueException", "plain", [UP]),
        ("ResourceConflictException", "plain", [UP]),
        ("InsufficientS3BucketPolicyException", "plain", [UP]),
        ("NoSuchBucket", "plain", [UP]),
        ("ConflictException", "plain", [UP]),
        ("ValidationException", "elsewhere", [UP]),
        ("ValidationException", "plain", [UP, DOWN]),
        ("QueueDeletedRecently", "plain", [UP, DOWN, UP]),
    ],
)
def test_a_refusal_that_is_believed_at_once_ends_a_run(world, monkeypatch, refusal, config, runs):
    world.use(CONFIGS[config])
    believe_at_once(monkeypatch, refusal)
    *before, (code, said) = ended(world, *runs)
    assert [code for code, _ in before] == [0] * len(before)
    assert (code, refusal in said) == (1, True)


@pytest.mark.parametrize("refusal", ["StaleTag", "OperationAborted"])
def test_one_who_does_not_wait_for_the_old_to_go_needs_to_wait_for_its_name(
    tmp_path, monkeypatch, refusal
):
    with slow_world(tmp_path, seed=2) as world:
        world.use(PLAIN)
        monkeypatch.setattr("ctwatch.verbs.down._SHOWN", 0)
        believe_at_once(monkeypatch, refusal)
        assert refusal in ended(world, UP, DOWN, UP)[-1][1]


def test_up_that_believes_its_first_look_says_not_yet(world, monkeypatch):
    world.use(PLAIN)
    monkeypatch.setattr("ctwatch.verbs.up._SETTLES", 0)
    assert ended(world, UP)[-1][0] == 3


def test_down_that_believes_its_first_look_says_that_something_is_left(world, monkeypatch):
    world.use(PLAIN)
    monkeypatch.setattr("ctwatch.verbs.down._SHOWN", 0)
    assert [code for code, _ in ended(world, UP, DOWN)] == [0, 1]
