"""One action less than `ctwatch policy` prints: told, and done once it is given back.

Here for a plain watch, `up` and `down` in a file each; what only a richer one takes, or a broken
one, is taken away in `test_one_action_less_rich`.
"""

from collections.abc import Iterator
from functools import partial

import pytest
from lacking import Account, Scene, in_turn, judged, leaping, less
from watch_world import PLAIN


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with leaping(tmp_path_factory.mktemp("less")) as world:
        world.use(PLAIN)
        yield Account(world)


TELLING = [
    ("up", "cloudtrail:CreateTrail"),
    ("up", "iam:PassRole"),
    ("status", "sns:GetTopicAttributes"),
    ("down", "sqs:DeleteQueue"),
]


@pytest.mark.parametrize(("command", "action"), TELLING)
def test_one_action_less_is_told_with_its_resource(
    command: str, action: str, account: Account
) -> None:
    documents = account.printed(command)
    account.prepare(command)
    ran = account.run(less(documents, action), command).ran
    assert judged(command, action, ran) == "told"
    again = account.run(documents, command)
    assert again.ran.code in ({0, 3} if command == "status" else {0}), again.ran.text


TRIED = {
    "plan": (1, 36),
    "up": (1, 64),
    "confirm": (0, 2),
    "status": (0, 36),
    "simulate": (37, 3),
    "alerts": (0, 4),
    "history": (0, 2),
    "down": (1, 59),
}
"""How many actions of each are taken away: those without which it is done, and those told.

Not those that this run does not need: to ask for a region that fails, to repair what has drifted,
or to strike what `stop-logging` is not; that each of these is used is seen in `test_policy`.
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", [one for one in TRIED if one not in {"up", "down"}])
def test_each_action_in_turn(command: str, account: Account) -> None:
    account.key = ""
    check(account, command)


def check(account: Account, command: str, together: int = 1) -> None:
    scene = Scene(command, partial(Account.prepare, command=command))
    came, _ = in_turn(account, scene, set(), together)
    less_done, said = TRIED[command]
    assert came.count("told") == said
    # A slow drill asks once more what became of its alert.
    assert less_done <= came.count("done") <= less_done + (command == "simulate")
