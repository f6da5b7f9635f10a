"""How it goes on after a kill on a sandbox that is as slow to agree as AWS."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from killing import DOWN, Ended, Killer, Way, arm, killer_of, more, writing
from slow_world import slow_world
from watch_world import PLAIN


@contextmanager
def slow_killing(folder: Path) -> Iterator[Killer]:
    """A slow world, and what kills commands in it."""
    with slow_world(folder) as world, killer_of(world, PLAIN, world.sandbox.url) as killer:
        yield killer


def too_much(both: Sequence[str], whole: Sequence[str]) -> Iterator[str]:
    """What was written beyond the whole, but for what was said twice that changes nothing then.

    What is there already is answered, or put in the place of what is the same.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
    https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StartLogging.html
    """
    known = ("sqs:CreateQueue ", "sns:CreateTopic ", "sns:Subscribe ", "cloudtrail:StartLogging ")
    for one, often in Counter(more(both, whole)).items():
        repeatable = one.startswith(known) or one.partition(":")[2].startswith("Put")
        if not repeatable or one not in whole or often > 1:
            yield one


def armed_at_once(world: Any, whole: Sequence[str] | None = None) -> Way:
    """The next `up` goes on at once; when AWS has agreed on it, it is ARMED and has no work.

    Of a killed `up` it writes what is missing of the `whole`, and no more; but what AWS does not
    show yet it may say once more in the same words, where AWS takes that for the same.
    """

    def up(ended: Ended) -> None:
        ran, wrote = writing(world, "up")
        assert ran.code == 0, (ended, ran.text)
        both = [*ended.wrote, *wrote]
        if whole is not None:
            assert more(whole, both) == [], ended
            assert [*too_much(both, whole)] == [], ended
        world.click()
        world.settle()
        ran, wrote = writing(world, "up")
        assert (ran.code, wrote) == (0, ()), (ended, ran.text)
        assert "ARMED" in ran.err, (ended, ran.text)

    return up


def later(world: Any, way: Way) -> Way:
    """The same when AWS has agreed on all that was done."""

    def on(ended: Ended) -> None:
        world.settle()
        way(ended)

    return on


def nothing_left(world: Any) -> Way:
    """The next `down` leaves nothing, and comes at once."""

    def down(ended: Ended) -> None:
        ran = world.run(*DOWN)
        assert (ran.code, world.sandbox.listing()) == (0, []), (ended, ran.text)

    return down


def standing(world: Any) -> None:
    """An account with nothing but an armed watch, of which all of AWS knows."""
    arm(world, PLAIN)
    world.settle()
