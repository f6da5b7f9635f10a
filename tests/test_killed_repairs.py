"""Where an `up` that repairs ended, the next goes on, at each boundary between two writes."""

from collections.abc import Iterator

import pytest
from killing import (
    POINTS,
    WHEN,
    Killer,
    Onward,
    again,
    arm,
    armed,
    killing,
    nothing_left,
    survived,
    writing,
)
from watch_world import PLAIN, World

from ctwatch.sandbox.server import Sandbox

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def killer(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with killing(running, tmp_path_factory.mktemp("killed"), PLAIN) as one:
        yield one


def amiss(world: World) -> None:
    """An armed watch with much that is off, and a topic and a rule of an earlier config."""
    arm(world, PLAIN)
    cloudtrail, events, sns = map(world.client, ("cloudtrail", "events", "sns"))
    cloudtrail.stop_logging(Name="ct-trail-monitor")
    cloudtrail.update_trail(Name="ct-trail-monitor", IsMultiRegionTrail=False)
    events.disable_rule(Name="eventbridge-ct-detect")
    events.remove_targets(Rule="eventbridge-ct-detect", Ids=["topic"])
    world.client("s3").delete_bucket_policy(Bucket=BUCKET)
    world.client("iam").delete_role_policy(RoleName="ctwatch-notifier", PolicyName="notifier")
    world.client("lambda").remove_permission(FunctionName=FUNCTION, StatementId=PERMISSION)
    for one in sns.list_subscriptions()["Subscriptions"]:
        if one["Protocol"] == "sqs":
            sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
    world.client("logs").delete_log_group(logGroupName=f"/aws/lambda/{FUNCTION}")
    ours = {"Key": "ctwatch:watch", "Value": "ctwatch"}
    sns.create_topic(Name="left", Tags=[ours])
    events.put_rule(Name="left", EventPattern='{"source": ["left"]}', Tags=[ours])
    world.settle()


BUCKET = "s3-cloudtrail-monitor-123456789012-ap-northeast-2-an"
FUNCTION = "lambda-ct-detect-alarm"
PERMISSION = "sns-sns-cloudtrail-alarm"


@pytest.fixture(scope="module")
def onward(killer: Killer) -> Onward:
    world = killer.world
    amiss(world)
    whole = writing(world, "up")[1]
    ways = {"up": armed(world, whole), "down": nothing_left(world)}
    return Onward(ways, world)


@pytest.mark.parametrize("when", WHEN)
def test_the_next_up_goes_on_where_a_killed_repair_ended(
    killer: Killer, onward: Onward, when: str
) -> None:
    tried = survived(
        lambda at: killer.run("up", at=at, of="writes", when=when),
        again(killer.world, lambda: amiss(killer.world)),
        onward,
    )
    assert tried >= POINTS["repair"]
