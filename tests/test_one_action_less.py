"""A user with just what `ctwatch policy` prints, and the same user with one action less.

He is a user of the sandbox's IAM with an access key of his own, and IAM judges what he calls. Each
command does its work under its policy; where one action is taken away it says which one, ends with
1 or 3, and does its work as soon as it is given back.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from watch_world import PLACE, PLAIN, Ran, World, world_of

from ctwatch.demo import confirmation_link
from ctwatch.sandbox.asking import asked, withheld
from ctwatch.sandbox.server import Sandbox

USER = "ace"
Document = dict[str, Any]

COMMANDS = {
    "plan": [],
    "up": [],
    "confirm": [],
    "status": [],
    "simulate": ["stop-logging", "--timeout", "3"],
    "alerts": [],
    "down": ["--yes", "--delete-logs", "--wait", "0"],
}
"""What each is called with."""


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(documents: Sequence[Document]) -> list[str]:
    statements = [one for document in documents for one in document["Statement"]]
    return sorted({action for one in statements for action in listed(one["Action"])})


def less(documents: Sequence[Document], action: str) -> list[Document]:
    """The policies without one action."""
    kept = []
    for document in documents:
        lefts = [[x for x in listed(one["Action"]) if x != action] for one in document["Statement"]]
        pairs = zip(document["Statement"], lefts, strict=True)
        kept.append({**document, "Statement": [{**one, "Action": x} for one, x in pairs if x]})
    return kept


@dataclass(frozen=True)
class Came:
    """What came of a command: how it ran, the actions it asked for, and those refused to it."""

    ran: Ran
    used: set[str]
    denied: set[str]


class Account:
    """A watch in a sandbox, and the user who has to do with it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.key = ""

    def printed(self, command: str) -> list[Document]:
        more = ["--delete-logs"] if command == "down" else []
        return listed(json.loads(self.world.run("policy", command, *more).out))

    def empty(self) -> None:
        """Nothing but the user."""
        self.world.use(PLAIN)
        iam = self.world.client("iam")
        iam.create_user(UserName=USER)
        self.key = iam.create_access_key(UserName=USER)["AccessKey"]["AccessKeyId"]

    def standing(self) -> None:
        """With the watch, which has delivered logs and alerts."""
        self.empty()
        assert self.world.run("up").code == 0
        self.world.settle()

    def give(self, documents: Sequence[Document]) -> None:
        iam = self.world.sandbox.client("iam", PLACE.region)
        for one in iam.list_attached_user_policies(UserName=USER)["AttachedPolicies"]:
            iam.detach_user_policy(UserName=USER, PolicyArn=one["PolicyArn"])
            iam.delete_policy(PolicyArn=one["PolicyArn"])
        for number, document in enumerate(documents):
            name, text = f"{USER}-{number}", json.dumps(document)
            made = iam.create_policy(PolicyName=name, PolicyDocument=text)["Policy"]
            iam.attach_user_policy(UserName=USER, PolicyArn=made["Arn"])

    def run(self, documents: Sequence[Document], command: str) -> Came:
        """Run a command as the user, who has these policies."""
        arguments = COMMANDS[command]
        if command == "confirm":
            self.world.settle()
            mails = [one for one in self.world.sandbox.inbox.mails if "/confirm?" in one.text]
            arguments = [confirmation_link(mails[-1])]
        self.give(documents)
        with pytest.MonkeyPatch.context() as patch, self.world.sandbox.recording() as seen:
            patch.setitem(os.environ, "AWS_ACCESS_KEY_ID", self.key)
            ran = self.world.run(command, *arguments)
        calls = [one for one in [*seen] if one.call.access_key == self.key]
        asks = [(one, x) for one in calls for x in (*asked(one.call), withheld(one.call)) if x]
        denied = {x.action for one, x in asks if f": {x.action.lower()} on" in one.message.lower()}
        return Came(ran, {x.action for _, x in asks}, denied)

    def prepare(self, command: str) -> None:
        """The account in the state in which a command has most to do."""
        if command == "up":
            self.empty()
        elif command == "down" or not self.key:
            self.standing()


@pytest.fixture(scope="module")
def account(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("less")
    with world_of(running, folder) as world:
        world.use(PLAIN)
        yield Account(world)


def told(action: str, ran: Ran) -> bool:
    """Whether it says what is missing: with AWS's sentence, or the call that has none.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    """
    name = action.lower() if action.startswith("sqs:") else action
    said = f"not authorized to perform: {name} on resource: " in ran.text
    return said or (action == "s3:ListBucket" and "HeadBucket answered 403" in ran.text)


def outcome(account: Account, command: str, action: str, documents: Sequence[Document]) -> str:
    """How a command takes it that it lacks an action: "told", "done" nevertheless, or what it said.

    Looking for what strays is done as far as may be, with a warning; and a drill that has proven
    the alert need not say what it could not look at before, as `status` says it. Whether objects
    are locked, S3 says again of each when it is deleted.
    """
    account.prepare(command)
    ran = account.run(less(documents, action), command).ran
    if "Traceback" not in ran.text and ran.code in {1, 3} and told(action, ran):
        return "told"
    warned = action == "tag:GetResources" and told(action, ran)
    proven = command == "simulate" and "stop-logging proven" in ran.text
    again = (command, action) == ("down", "s3:GetBucketObjectLockConfiguration")
    done = "Traceback" not in ran.text and ran.code == 0 and (warned or proven or again)
    return "done" if done else f"{action}: {ran.code} {ran.text[-300:]}"


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
    assert outcome(account, command, action, documents) == "told"
    again = account.run(documents, command)
    assert again.ran.code in ({0, 3} if command == "status" else {0}), again.ran.text


TRIED = {
    "plan": (1, 36),
    "up": (1, 64),
    "confirm": (0, 2),
    "status": (0, 36),
    "simulate": (37, 3),
    "alerts": (0, 4),
    "down": (1, 60),
}
"""How many actions of each are taken away: those without which it is done, and those told.

Not those that this run does not need: to ask for a region that fails, to repair what has drifted,
or to strike what `stop-logging` is not; that each of these is used is seen in `test_policy`.
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", COMMANDS)
def test_each_action_in_turn(command: str, account: Account) -> None:
    account.key = ""
    documents = account.printed(command)
    account.prepare(command)
    whole = account.run(documents, command)
    assert (whole.ran.code in {0, 3}, whole.denied) == (True, set()), whole.ran.text
    asks = [one for one in actions(documents) if one in whole.used]
    came = [outcome(account, command, one, documents) for one in asks]
    assert [one for one in came if one not in {"told", "done"}] == []
    less_done, said = TRIED[command]
    assert came.count("told") == said
    # A slow drill asks once more what became of its alert.
    assert less_done <= came.count("done") <= less_done + (command == "simulate")


def test_the_documentation_has_the_numbers() -> None:
    done, said = (sum(numbers) for numbers in zip(*TRIED.values(), strict=True))
    text = Path(__file__).parent.parent.joinpath("README.md").read_text("utf-8")
    row = f"{done + said} | {done} | {said} | 0 |"
    assert f"| one action less than `ctwatch policy`, each in turn | {row}" in text
