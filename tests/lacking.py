"""A user with just what `ctwatch policy` prints, and the same user with some of it taken away.

He is a user of the sandbox's IAM with an access key of his own, and IAM judges what he calls. Each
command does its work under its policy; where one action is taken away it says which one, ends with
1 or 3, and does its work as soon as it is given back.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from killing import again
from slow_world import led_by
from watch_world import PLACE, PLAIN, Ran, World, world_of

from ctwatch.clock import LeapingClock
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
    "history": ["--since", "2h"],
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


@contextmanager
def leaping(folder: Path) -> Iterator[World]:
    """A world in which what is not to be seen is waited for in no time."""
    clock = LeapingClock()
    with Sandbox(clock=clock) as sandbox, led_by(clock), world_of(sandbox, folder) as world:
        yield world


class Account:
    """A watch in a sandbox, and the user who has to do with it."""

    def __init__(self, world: World, config: dict[str, Any] = PLAIN) -> None:
        self.world = world
        self.config = config
        self.key = ""

    def printed(self, command: str, *more: str) -> list[Document]:
        more += ("--delete-logs",) if command == "down" else ()
        return listed(json.loads(self.world.run("policy", command, *more).out))

    def empty(self) -> None:
        """Nothing but the user."""
        self.world.use(self.config)
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

    def run(self, documents: Sequence[Document], command: str, *more: str) -> Came:
        """Run a command as the user, who has these policies."""
        arguments = [*COMMANDS[command], *more]
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

    def clear_canary(self) -> None:
        """One that stayed would have to grow old before anybody takes it away."""
        cloudtrail = self.world.client("cloudtrail")
        for one in cloudtrail.describe_trails()["trailList"]:
            if one["Name"].endswith("-canary"):
                cloudtrail.delete_trail(Name=one["Name"])

    def prepare(self, command: str) -> None:
        """The account in the state in which a command has most to do."""
        if command == "up":
            self.empty()
        elif command == "down" or not self.key:
            self.standing()


@dataclass(frozen=True)
class Scene:
    """A command, what it finds, and what else it is called with."""

    command: str
    before: Callable[[Any], None]
    more: tuple[str, ...] = ()


def told(action: str, ran: Ran) -> bool:
    """Whether it says what is missing: with AWS's sentence, or the call that has none.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    """
    name = action.lower() if action.startswith("sqs:") else action
    said = f"not authorized to perform: {name} on resource: " in ran.text
    return said or (action == "s3:ListBucket" and "HeadBucket answered 403" in ran.text)


_WARNED = {"tag:GetResources", "account:ListRegions"}
_UNSAID = {
    *("s3:GetBucketObjectLockConfiguration", "events:DescribeEventBus", "logs:FilterLogEvents"),
}
"""What `down` looks at with these, it says of nothing that goes."""


def judged(command: str, action: str, ran: Ran) -> str:
    """How a command took it that it lacks an action: "told", "done" nevertheless, or what it said.

    Looking for what strays is done as far as may be, with a warning; and a drill that has proven
    the alert need not say what it could not look at before, as `status` says it. Nor need `down`
    say what only a verdict goes by; and whether objects are locked, S3 says again of each when it
    is deleted (`test_delete_logs` holds that).
    """
    if "Traceback" in ran.text:
        return f"{action}: {ran.text}"
    warned = action in _WARNED and command in {"plan", "up"} and told(action, ran)
    if ran.code in {1, 3} and told(action, ran) and not warned:
        return "told"
    proven = command == "simulate" and "stop-logging proven" in ran.text
    unsaid = command == "down" and action in _UNSAID
    done = warned or (ran.code == 0 and (proven or unsaid))
    return "done" if done else f"{action}: {ran.code} {ran.text[-300:]}"


def lacking(
    account: Account, scene: Scene, documents: Sequence[Document], some: Sequence[str], whole: Ran
) -> Iterator[str]:
    """How it was taken that these were missing; given back, it ends as ever.

    Several are taken away at once. Which of them is not told then, as something else had to wait
    for another, is taken away alone.
    """
    scene.before(account)
    left = list(documents)
    for action in some:
        left = less(left, action)
    ran = account.run(left, scene.command, *scene.more).ran
    taken = {action: judged(scene.command, action, ran) for action in some}
    alone = (
        [action for action, how in taken.items() if how not in {"told", "done"}]
        if len(some) > 1
        else []
    )
    yield from (how for action, how in taken.items() if action not in alone)
    account.clear_canary()
    again = account.run(documents, scene.command, *scene.more).ran
    assert again.code == whole.code, (some, again.text)
    for action in alone:
        yield from lacking(account, scene, documents, [action], whole)


def in_turn(
    account: Account, scene: Scene, known: set[str], together: int = 1
) -> tuple[list[str], set[str]]:
    """Take each action away that a command uses and that is not known yet.

    Returns:
        How it took each, and all that it uses.
    """
    on = scene.more[:2] if "--on" in scene.more else ()
    if scene.command != "confirm":  # which needs a mail
        prepare = again(account.world, partial(scene.before, account))
        scene = replace(scene, before=lambda _: prepare())
    scene.before(account)
    documents = account.printed(scene.command, *on)
    whole = account.run(documents, scene.command, *scene.more)
    assert (whole.ran.code in {0, 3}, whole.denied) == (True, set()), whole.ran.text
    asks = [one for one in actions(documents) if one in whole.used - known]
    count = -(-len(asks) // together)
    groups = [asks[place::count] for place in range(count)]
    came = [x for some in groups for x in lacking(account, scene, documents, some, whole.ran)]
    assert [one for one in came if one not in {"told", "done"}] == []
    return came, whole.used
