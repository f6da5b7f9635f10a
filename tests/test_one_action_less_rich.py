"""One action less, of those that only a richer watch takes, or one that something has befallen.

A key, other regions, text messages, two channels, CloudWatch Logs, tags; what `up` mends by a call
of its own, and what it clears away; drills of each kind, and one that nobody hears; an alert that
was given up. Not what strikes as another technique than `stop-logging`: a refusal is a strike, too.
`up` has a file of its own.

Several are taken away at once, one of them from here and one from there.
"""

from collections.abc import Iterator

import pytest
import yaml
from lacking import Account, Scene, in_turn, leaping
from test_policy import EVERYTHING, Hand
from watch_world import PLAIN, World

pytestmark = pytest.mark.exhaustive

SMALLER = {
    **{key: EVERYTHING[key] for key in ("bucket", "rules")},
    "trail": {"name": "trail-all"},
    "topic": {"name": "topic-less", "emails": []},
    "channels": EVERYTHING["channels"][:1],
    "function": {"name": "function-less"},
}
"""What leaves of `EVERYTHING` much to be cleared away."""


class Richer(Account):
    """The same user with a watch that has everything."""

    def empty(self) -> None:
        super().empty()
        url = self.world.sandbox.env()["DISCORD_WEBHOOK_URL"]
        ssm = self.world.client("ssm")
        ssm.put_parameter(Name="/hooks/second", Value=url, Type="SecureString")

    def broken(self) -> None:
        """With all of it broken by hand."""
        self.standing()
        Hand(self.world).break_everything()

    def shrunk(self) -> None:
        """With a config that wants less."""
        self.standing()
        self.world.config.write_text(yaml.safe_dump(SMALLER), encoding="utf-8")

    def missed(self) -> None:
        """With an alert that was given up, and a key without its alias."""
        self.standing()
        Hand(self.world).take_the_alias()
        sqs = self.world.client("sqs")
        url = sqs.get_queue_url(QueueName="ctwatch-dead-letter")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="an alert")

    def silenced(self) -> None:
        """With a rule that hears nothing, beside what was missed."""
        self.missed()
        Hand(self.world).silence()


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Richer]:
    with leaping(tmp_path_factory.mktemp("less")) as world:
        world.use(PLAIN)
        yield Richer(world, EVERYTHING)


SCENES = {
    "up": (
        Scene("up", Richer.empty),
        Scene("up", Richer.broken),
        Scene("up", Richer.shrunk),
    ),
    "plan": (Scene("plan", Richer.missed),),
    "status": (Scene("status", Richer.missed),),
    "simulate": (
        Scene("simulate", Richer.standing, ("--on", "canary")),
        Scene("simulate", Richer.standing, ("--on", "trail", "--yes")),
        Scene("simulate", Richer.silenced),
    ),
    "down": (Scene("down", Richer.missed),),
}
TRIED = {"up": (1, 45), "plan": (1, 7), "status": (0, 9), "simulate": (5, 9), "down": (2, 9)}
"""How many actions of each are taken away: those without which it is done, and those told."""
TOGETHER = 5
"""Actions that are taken away at once."""
OF_SILENCE = {"cloudtrail:LookupEvents", "cloudwatch:GetMetricData"}
"""What a drill asks for when its alert does not come, or comes late, as on a slow machine."""


@pytest.mark.parametrize("command", [one for one in SCENES if one != "up"])
def test_each_action_in_turn(command: str, account: Richer) -> None:
    check(account, command)


def check(account: Richer, command: str) -> None:
    """Not what the command takes of a plain watch, too, as that has been taken away there."""
    known, came = used_of_plain(account.world, command), list[str]()
    for scene in SCENES[command]:
        taken, used = in_turn(account, scene, known, TOGETHER)
        came += taken
        known |= used
    done, said = TRIED[command]
    assert len(came) == done + said, sorted(known)
    assert came.count("done") <= done  # a slow drill says what it could not ask of its silence


def used_of_plain(world: World, command: str) -> set[str]:
    plain = Account(world)
    plain.prepare(command)
    return plain.run(plain.printed(command), command).used - OF_SILENCE
