"""What `ctwatch up` alone does not mend: each remedy is carried out to the letter.

A remedy is read as a user reads it: of its words, those that begin with `aws` or `ctwatch` are
commands. They are run, an `aws` command as the call that it makes, and the watch is ARMED again.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sabotage import ARMED, DEGRADED
from watch_world import ADDRESS, PLAIN, World, world_of

from ctwatch.demo import confirmation_link
from ctwatch.diagnose import Alarm
from ctwatch.sandbox.server import Sandbox

RULE = "eventbridge-ct-detect"
COMMAND = re.compile(r"\b(?:aws|ctwatch) .+?(?=, |; |: | shows |$)")


@pytest.fixture(scope="module")
def world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("watch")) as world:
        world.use(PLAIN)
        assert world.run("up").code == 0
        world.click()
        yield world


def status(world: World) -> Any:
    ran = world.run("status", "--json")
    return {**json.loads(ran.out), "code": ran.code}


def told(document: Any, what: str) -> list[tuple[str, Any]]:
    return [(hop["hop"], one) for hop in document["hops"] for one in hop[what]]


def arn(world: World, protocol: str, endpoint: str) -> str:
    sns, topic = world.client("sns"), world.open().watch.topic.arn
    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return next(str(one["SubscriptionArn"]) for one in listed
                if (one["Protocol"], one["Endpoint"]) == (protocol, endpoint))  # fmt: skip


# Hands


def carry_out(world: World, remedy: str) -> None:
    """Do what a remedy says."""
    for command in COMMAND.findall(remedy):
        program, *words = shlex.split(command)
        if program == "aws":
            called(world, words)
        else:
            ran = world.run(*[_meant(world, one) for one in words])
            assert ran.code == 0, ran.text


def _meant(world: World, word: str) -> str:
    """A word of a command, with what a user puts in the place of LINK."""
    if word != "LINK":
        return word
    world.settle()
    return confirmation_link(world.sandbox.inbox.mails[-1])


def called(world: World, words: list[str]) -> None:
    """Make the call of an `aws` command: `aws sns unsubscribe --subscription-arn ARN`."""
    service, operation, *rest = words
    given = dict(zip(rest[::2], rest[1::2], strict=True))
    region = given.pop("--region", None)
    client = world.client(service, region)
    method = operation.replace("-", "_")
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
    names = {re.sub(r"(?<!^)(?=[A-Z])", "-", one).lower(): one for one in shape.input_shape.members}
    getattr(client, method)(**{names[key.removeprefix("--")]: given[key] for key in given})


def remember(world: World, how: str) -> None:
    tags = [{"Key": "ctwatch:proof:stop-logging", "Value": f"2026-11-25T12:00:00Z {how}"}]
    rule = world.open().watch.rules[0].arn
    world.client("events").tag_resource(ResourceARN=rule, Tags=tags)


def eavesdrop(world: World) -> None:
    queue = world.client("sqs").create_queue(QueueName="theirs")["QueueUrl"]
    topic = world.open().watch.topic
    where = topic.place.arn("sqs", queue.rpartition("/")[2])
    world.client("sns").subscribe(TopicArn=topic.arn, Protocol="sqs", Endpoint=where)


def dead_letter(world: World) -> None:
    sqs = world.client("sqs")
    url = sqs.get_queue_url(QueueName=world.open().watch.dead_letter.name)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="an alert")


@dataclass(frozen=True)
class Case:
    """What was done, and the hop, the words and the beginning of the remedy that tell of it."""

    by: Callable[[World], Any]
    hop: str
    words: str
    remedy: str
    verdict: Alarm = DEGRADED
    what: str = "faults"

    @property
    def code(self) -> int:
        return 0 if self.verdict is ARMED else 3


CASES = {
    "a stranger listens": Case(
        eavesdrop, "topic", "listens too", "aws sns unsubscribe --subscription-arn"
    ),
    "a dead letter": Case(
        dead_letter,
        "undelivered",
        "1 alert that could not be delivered waits",
        "aws sqs receive-message",
        ARMED,
        "warnings",
    ),
    "a drill stayed silent": Case(
        lambda world: remember(world, "silent 600"),
        "proof",
        "stop-logging stayed silent",
        "ctwatch simulate stop-logging",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_remedy_to_the_letter_brings_back_armed(case: Case, world: World) -> None:
    case.by(world)
    ill = status(world)
    [(hop, fault)] = [one for one in told(ill, case.what) if one[0] != ADDRESS]
    assert (ill["verdict"], ill["code"], hop) == (case.verdict, case.code, case.hop)
    assert case.words in fault["sentence"]
    assert fault["remedy"].startswith(case.remedy)
    carry_out(world, fault["remedy"])
    well = status(world)
    assert (well["verdict"], well["code"]) == ("ARMED", 0)
    assert [hop for hop, _ in [*told(well, "faults"), *told(well, "warnings")]] == [ADDRESS]


def test_up_has_done_its_part_though_a_drill_stayed_silent_and_says_so(world: World) -> None:
    remember(world, "silent 600")
    up = world.run("up")
    assert up.code == 0
    assert "ago. To prove it now: ctwatch simulate stop-logging" in up.err
    assert "Nothing to do but what waits for a person" in up.err
    assert status(world)["verdict"] == "DEGRADED"


def test_a_drill_is_remembered_and_up_leaves_that_alone(world: World) -> None:
    remember(world, "proven 9.1")
    world.client("events").put_rule(Name=RULE, EventPattern='{"source": ["aws.s3"]}')
    assert world.run("up").code == 0
    document = status(world)
    assert document["verdict"] == "ARMED"
    [proof] = document["proofs"]
    assert proof == {
        "technique": "stop-logging", "at": "2026-11-25T12:00:00+00:00", "proven": True,
        "seconds": 9.1,
    }  # fmt: skip
    [hop] = [one for one in document["hops"] if one["hop"] == "proof"]
    assert re.fullmatch(r"stop-logging proven .+ in 9\.1 s", hop["sentence"])


def test_an_address_confirmed_by_its_link_alone_can_be_confirmed_better(world: World) -> None:
    document = status(world)
    assert document["verdict"] == "ARMED"
    [(hop, warning)] = told(document, "warnings")
    assert f"! {ADDRESS} confirmed, but one click" in world.run("status").out
    assert (hop, warning["path"]) == (ADDRESS, "authenticated")
    carry_out(world, warning["remedy"])
    document = status(world)
    assert (document["verdict"], told(document, "warnings")) == ("ARMED", [])
    assert arn(world, "email", ADDRESS).startswith("arn:")
