"""Two at a time, and what changes between a look and what is done about it.

Nobody's thing is taken over, nothing ends in a traceback, and one `up` alone mends what is left.
Lost would be what is half there though nobody said so.
"""

import io
import json
import re
import sys
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from faulty import Faults, Wire, faulty_world
from killed import is_write
from permitted import Judge, judged
from shared_clients import hand
from watch_world import PLAIN, Ran, World, leaning

from ctwatch.aws import Aws
from ctwatch.cli import main
from ctwatch.resources.base import Resource

pytestmark = pytest.mark.exhaustive

DOWN = ("down", "--yes", "--delete-logs", "--wait", "3")
OFFSETS = (1, 12, 25, 40, 50, 60, 70, 80, 95)
"""After how many calls of the first the second sets out; `up` makes some hundred."""
ORDERS = {"up first": (("up",), DOWN), "down first": (DOWN, ("up",))}
SURVIVED = {"up first": 3, "down first": 4}
"""How often both end as if they were alone, at the least."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Faults]]:
    with faulty_world(tmp_path_factory.mktemp("together")) as found:
        yield found


class _ByThread(io.StringIO):
    """What each thread prints, apart."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[int, str] = {}

    def write(self, text: str) -> int:
        mine = threading.get_ident()
        self.said[mine] = self.said.get(mine, "") + text
        return len(text)


def together(
    world: World, wire: Faults, first: tuple[str, ...], second: tuple[str, ...], offset: int
) -> list[Ran]:
    """Two commands, of which the second sets out while the first is under way."""
    under_way, ended = threading.Event(), dict[int, Ran]()
    said = _ByThread()

    def count(*_: Any) -> None:
        if len(wire.calls) >= offset:
            under_way.set()

    def run(number: int, arguments: tuple[str, ...]) -> None:
        if number:
            assert under_way.wait(20)
        code = main([*arguments, "--config", str(world.config)])
        text = said.said.get(threading.get_ident(), "")
        ended[number] = Ran(code, "", " ".join(text.split()))

    wire.begin()
    wire.meanwhile = count
    both = Judge(
        [*first, "--config", str(world.config)]
    )  # whose call it was cannot be told, so none of them is judged
    with pytest.MonkeyPatch.context() as patch, judged(both):
        patch.setattr(sys, "stdout", said)
        patch.setattr(sys, "stderr", said)
        threads = [threading.Thread(target=run, args=one) for one in enumerate((first, second))]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert len(ended) == 2, said.said  # none of them ended in a traceback
    return [ended[0], ended[1]]


def unchanged(world: World, wire: Faults) -> None:
    """The watch is whole: the next `up` finds nothing to write."""
    wire.begin()
    ran = world.run("up")
    assert (ran.code, [*filter(is_write, wire.calls)]) == (0, []), ran.text


def alone(world: World, wire: Faults) -> None:
    """One `up` makes it so; when people have clicked, it is ARMED, and the next writes nothing."""
    wire.begin()
    ran = world.run("up")
    assert ran.code == 0, ran.text
    world.click()
    unchanged(world, wire)
    wire.begin()
    ran = world.run("status")
    assert (ran.code, "ARMED" in ran.text) == (0, True), ran.text


def cleared(world: World, wire: Faults) -> None:
    """One `down` leaves nothing."""
    wire.begin()
    ran = world.run(*DOWN)
    assert (ran.code, world.sandbox.listing()) == (0, []), ran.text


def said_why(ran: Ran, resources: Iterable[Resource]) -> bool:
    """Whether it names a call that failed, or one of these that is not done or not as promised.

    That a mail waits for a click is said of every watch that is new.
    """
    titles = "|".join(re.escape(one.title) for one in resources)
    amiss = rf"(✗ failed|· skipped|•|Left:) ({titles})(?!:? confirmed)"
    gone = rf"[!✗] (\S+ )?({titles}) does not exist"  # where the other was the last
    return bool(re.search(rf"\b[A-Z]\w+ answered |{amiss}|{gone}", ran.text))


@pytest.mark.parametrize("offset", OFFSETS)
def test_two_that_build(here: tuple[World, Faults], offset: int) -> None:
    world, wire = here
    world.use(PLAIN)
    for ran in together(world, wire, ("up",), ("up",), offset):
        assert ran.code == 0, ran.text
    unchanged(world, wire)
    alone(world, wire)
    cleared(world, wire)


@pytest.mark.parametrize("order", ORDERS)
def test_one_that_builds_and_one_that_clears_away(here: tuple[World, Faults], order: str) -> None:
    assert sum(beside(*here, order, offset) for offset in OFFSETS) >= SURVIVED[order]


def beside(world: World, wire: Faults, order: str, offset: int) -> bool:
    """Whether both ended with 0, and all of the watch was there, or nothing; else who says why.

    Which of the two depends on who is faster.
    """
    world.use(PLAIN)
    if order == "down first":
        assert world.run("up").code == 0
    resources = world.open().watch.resources
    ended = together(world, wire, *ORDERS[order], offset)
    for ran in ended:
        assert ran.code in {0, 1, 3}, ran.text
        assert not ran.code or said_why(ran, resources), ran.text
        assert "is not this watch's" not in ran.text
    whole = not any(ran.code for ran in ended)
    if whole and world.sandbox.listing():
        unchanged(world, wire)
    world.sandbox.clock.sleep(90)  # SQS gives a name again only after a minute
    alone(world, wire)
    cleared(world, wire)
    return whole


# ---------------------------------------------------------------- gone between look and act


def _named(one: Resource) -> dict[str, Any]:
    return {"Name": one.name}


def _key(world: World, one: Resource) -> str:
    aliases = world.client("kms").list_aliases()["Aliases"]
    return next(each["TargetKeyId"] for each in aliases if each["AliasName"] == f"alias/{one.name}")


def _subscription(world: World, one: Any) -> str:
    held = world.client("sns").list_subscriptions_by_topic(TopicArn=one.topic.arn)["Subscriptions"]
    return next(each["SubscriptionArn"] for each in held if each["Endpoint"] == one.endpoint)


KEYED = {**PLAIN, "topic": {**PLAIN["topic"], "kms": "create"}}
"""A watch that has a key, too."""


DRIFTS: dict[str, Callable[[World, Resource], Any]] = {
    "bucket": lambda world, one: world.client("s3").put_bucket_versioning(
        Bucket=one.name, VersioningConfiguration={"Status": "Suspended"}
    ),
    "function": lambda world, one: world.client("lambda").update_function_configuration(
        FunctionName=one.name, Timeout=99
    ),
    "key": lambda world, one: world.client("kms").disable_key_rotation(KeyId=_key(world, one)),
    "log group": lambda world, one: world.client("logs").delete_retention_policy(
        logGroupName=one.name
    ),
    "queue": lambda world, one: world.client("sqs").set_queue_attributes(
        QueueUrl=world.client("sqs").get_queue_url(QueueName=one.name)["QueueUrl"],
        Attributes={"VisibilityTimeout": "31"},
    ),
    "role": lambda world, one: world.client("iam").delete_role_policy(
        RoleName=one.name, PolicyName="notifier"
    ),
    "rule": lambda world, one: world.client("events").disable_rule(**_named(one)),
    "secret": lambda world, one: world.client("ssm").put_parameter(
        **_named(one), Value="another", Overwrite=True
    ),
    "subscription": lambda world, one: world.client("sns").set_subscription_attributes(
        SubscriptionArn=_subscription(world, one),
        AttributeName="RawMessageDelivery",
        AttributeValue="true",
    ),
    "topic": lambda world, one: world.client("sns").set_topic_attributes(
        TopicArn=one.arn, AttributeName="KmsMasterKeyId", AttributeValue="alias/aws/sns"
    ),
    "trail": lambda world, one: world.client("cloudtrail").stop_logging(**_named(one)),
}
"""By kind, what somebody does to a thing so that `up` has something to mend."""


def of_kind(world: World, kind: str) -> tuple[Aws, Resource]:
    """A door of somebody else's, and the resource; of subscriptions one that nobody confirms."""
    watch = world.open().watch
    some = [one for one in watch.resources if one.kind == kind]
    clicked = getattr(some[0], "protocol", "") == "email"
    return Aws(hand()._session, watch.place.region), some[-1 if clicked else 0]


TOLD = {"key", "rule", "topic"}
"""The kinds whose loss is told, and mended by the next `up`: more went with them than was seen."""


def _remove(world: World, aws: Aws, one: Resource) -> None:
    """Delete it as somebody would who does not ask whether a trail delivers to it."""
    if one.kind == "key":
        world.client("kms").schedule_key_deletion(KeyId=_key(world, one))
        return
    if one.kind != "bucket":
        one.delete(aws)
        return
    s3 = world.client("s3")
    held = s3.list_object_versions(Bucket=one.name)
    for version in [*held.get("Versions", []), *held.get("DeleteMarkers", [])]:
        s3.delete_object(Bucket=one.name, Key=version["Key"], VersionId=version["VersionId"])
    s3.delete_bucket(Bucket=one.name)


def standing(world: World, wire: Faults, kind: str) -> Resource:
    """A thing of that kind in a watch that is up and confirmed."""
    world.use(KEYED if kind == "key" else PLAIN)
    wire.begin()
    assert world.run("up").code == 0
    world.click()
    return of_kind(world, kind)[1]


def meanwhile_gone(world: World, wire: Faults, one: Resource, *arguments: str) -> Ran:
    """A command, right before whose first write somebody deletes it."""
    aws, gone = of_kind(world, one.kind)[0], threading.Event()

    def meanwhile(call: str, _: int) -> None:
        if is_write(call) and not gone.is_set():
            gone.set()
            _remove(world, aws, one)

    wire.begin()
    wire.meanwhile = meanwhile
    ran = world.run(*arguments)
    assert gone.is_set()
    return ran


@pytest.mark.parametrize("kind", DRIFTS)
def test_what_goes_while_all_is_cleared_away_is_gone(here: tuple[World, Faults], kind: str) -> None:
    world, wire = here
    ran = meanwhile_gone(world, wire, standing(world, wire, kind), *DOWN)
    assert (ran.code, world.sandbox.listing()) == (0, []), ran.text


@pytest.mark.parametrize("kind", DRIFTS)
def test_what_goes_while_it_is_mended(here: tuple[World, Faults], kind: str) -> None:
    world, wire = here
    one = standing(world, wire, kind)
    DRIFTS[kind](world, one)
    ran = meanwhile_gone(world, wire, one, "up")
    assert (ran.code != 0) is (kind in TOLD), ran.text
    if ran.code:
        known = world.open().watch.resources
        [same] = (each for each in known if each.title == one.title)
        assert said_why(ran, {same, *leaning(same, known)}), ran.text
    else:
        unchanged(world, wire)
    world.sandbox.clock.sleep(90)
    alone(world, wire)


# ---------------------------------------------------------------- a name that is taken meanwhile

_ANYBODY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def _code() -> bytes:
    """The same whenever it is made: else a zip tells the time."""
    held, entry = io.BytesIO(), zipfile.ZipInfo("main.py")
    entry.external_attr = 0o644 << 16
    with zipfile.ZipFile(held, "w") as packed:
        packed.writestr(entry, "def handler(event, context): ...")
    return held.getvalue()


STRANGERS: dict[str, tuple[str, Callable[[World, Resource], Any]]] = {
    "bucket": (
        "s3:CreateBucket",
        lambda world, one: world.client("s3").create_bucket(
            Bucket=one.name,
            BucketNamespace="account-regional",
            CreateBucketConfiguration={"LocationConstraint": one.place.region},
        ),
    ),
    "function": (
        "lambda:CreateFunction",
        lambda world, one: world.client("lambda").create_function(
            FunctionName=one.name,
            Role=one.place.role_arn("ctwatch-notifier"),
            Runtime="python3.13",
            Handler="main.handler",
            Code={"ZipFile": _code()},
        ),
    ),
    "log group": (
        "logs:CreateLogGroup",
        lambda world, one: world.client("logs").create_log_group(logGroupName=one.name),
    ),
    "queue": (
        "",  # there are two, and which is made first is not known
        lambda world, one: world.client("sqs").create_queue(QueueName=one.name),
    ),
    "role": (
        "iam:CreateRole",
        lambda world, one: world.client("iam").create_role(
            RoleName=one.name, AssumeRolePolicyDocument=json.dumps(_ANYBODY)
        ),
    ),
    "rule": (
        "",  # PutRule would change it: between the look right before and the call is no defence
        lambda world, one: world.client("events").put_rule(
            **_named(one), EventPattern='{"source":["aws.ec2"]}'
        ),
    ),
    "secret": (
        "ssm:PutParameter",
        lambda world, one: world.client("ssm").put_parameter(
            **_named(one), Value="another's", Type="SecureString"
        ),
    ),
    "topic": (
        "sns:CreateTopic",
        lambda world, one: world.client("sns").create_topic(**_named(one)),
    ),
    "trail": (
        "cloudtrail:CreateTrail",
        lambda world, one: world.client("cloudtrail").create_trail(
            **_named(one), S3BucketName="s3-cloudtrail-monitor-123456789012-ap-northeast-2-an"
        ),
    ),
}
"""By kind, right before which call a stranger takes the name, and how; "" for the first write."""


@pytest.mark.parametrize("kind", STRANGERS)
def test_what_a_stranger_takes_first_stays_the_strangers(
    here: tuple[World, Faults], kind: str
) -> None:
    world, wire = here
    world.use(PLAIN)
    aws, one = of_kind(world, kind)
    before, take = STRANGERS[kind]
    taken: list[Any] = []
    lock = threading.Lock()

    def meanwhile(call: str, _: int) -> None:
        with lock:  # another write waits, too
            if not taken and (call == before or (not before and is_write(call))):
                take(world, one)
                taken.append(one.read(aws))

    wire.begin()
    wire.meanwhile = meanwhile
    for _ in range(2):  # as it is met, and as it is found
        ran = world.run("up")
        assert ran.code == 1, ran.text
        assert f"skipped {one.title}: is there already and is not this watch's" in ran.err, ran.text
        assert one.read(aws).state == taken[0].state
        assert one.read(aws).owner is None
        wire.begin()
    one.delete(aws)
    world.sandbox.clock.sleep(90)
    alone(world, wire)


def test_a_bucket_of_another_account_is_a_sentence(here: tuple[World, Faults]) -> None:
    """AWS says so at CreateBucket alone: to a look without permission it is as if denied."""
    world, wire = here
    world.use(PLAIN)

    def theirs(sent: Wire) -> Any:
        return sent.refused(
            409, "BucketAlreadyExists", "The requested bucket name is not available"
        )

    wire.begin(lambda call, *_: theirs if call == "s3:CreateBucket" else None)
    ran = world.run("up")
    assert ran.code == 1, ran.text
    assert "CreateBucket answered BucketAlreadyExists" in ran.err
    assert "Another account owns that bucket: choose another bucket.name" in ran.err
    assert "skipped trail ct-trail-monitor: waits for bucket" in ran.err, ran.text
    alone(world, wire)
