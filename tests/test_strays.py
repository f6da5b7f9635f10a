"""What earlier configs of a watch left behind is found, shown, and goes; what is others' stays."""

from collections.abc import Iterator

import pytest
import yaml
from watch_world import ADDRESS, PLAIN, World, answering, world_of

from ctwatch.aws import Place
from ctwatch.remains import Remains

HOME, AWAY = "ap-northeast-2", "eu-west-1"
DATA = ("s3 bucket", "logs log-group /aws/cloudtrail", "kms")

MUCH = {
    **PLAIN,
    "bucket": {"name": "logs-a-{account}"},
    "trail": {
        "name": "trail-a",
        "kms": "create",
        "cloudwatch_logs": True,
        "delivery_notifications": True,
    },
    "topic": {"name": "topic-a", "emails": [ADDRESS], "kms": "create"},
    "function": {"name": "function-a"},
    "channels": [*PLAIN["channels"], {"type": "webhook", "url": "env:WEBHOOK_URL"}],
    "regions": [AWAY],
    "rules": [
        {"name": "rule-a", "detection": "trail-tampering"},
        {"name": "root", "detection": "root-login"},
        {"name": "ingress", "detection": "security-group-ingress"},
    ],
}
HALF = {**PLAIN, "rules": [{"name": "root", "detection": "root-login"}]}
LITTLE = {**PLAIN, "rules": [{"name": "rule-b", "detection": "trail-tampering"}]}
LEFT = """\
- remove queue ctwatch-dead-letter in eu-west-1
- remove queue ctwatch-dead-letter in us-east-1
- remove function function-a
- remove log group /aws/lambda/function-a
- remove role ctwatch-forwarder
- remove role ctwatch-trail-logs
- remove rule ingress
- remove rule ingress in eu-west-1
- remove rule root
- remove rule root in us-east-1
- remove rule rule-a
- remove secret /ctwatch/webhook
- remove topic ctwatch-deliveries
- remove topic topic-a
- remove trail trail-a
= keep bucket logs-a-123456789012
= keep key ctwatch-topic
= keep key ctwatch-trail
= keep log group /aws/cloudtrail/trail-a
""".splitlines()


@pytest.fixture(scope="module")
def opened(running, tmp_path_factory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("strays")) as world:
        yield world


@pytest.fixture
def world(opened) -> Iterator[World]:
    opened.use(PLAIN)
    yield opened
    opened.refuse = lambda *_: None


def configure(world, config):
    world.config.write_text(yaml.safe_dump(config), encoding="utf-8")


def up(world, config, *options):
    configure(world, config)
    ran = world.run("up", *options)
    world.settle()
    assert ran.code == 0, ran
    return ran


def without_data(listing):
    """What a listing of the account holds besides data, in whose names the sandbox is."""
    return {line.replace("http://", "") for line in listing if not line.startswith(DATA)}


def denying(*operations):
    no = ("AccessDeniedException", "User is not authorized to perform this")
    return lambda _, operation, __: no if operation in operations else None


def test_what_left_the_config_is_planned_away_goes_and_is_gone(world):
    up(world, LITTLE)
    fresh = without_data(world.sandbox.listing())
    world.use(MUCH)
    up(world, MUCH)
    configure(world, LITTLE)
    plan = world.run("plan", "--exit-code")
    assert plan.code == 3
    assert [line for line in LEFT if line not in plan.out] == []
    assert plan.out.count("of an earlier config") == len(LEFT)
    assert "not compared" not in plan.out
    assert "15 to remove, 4 of an earlier config kept" in plan.err

    said = up(world, LITTLE)
    removed = [
        line.split(" remove ")[1] for line in (f" {one}" for one in LEFT) if "remove" in line
    ]
    assert [one for one in removed if f"- deleted {one}" not in said.err] == []
    assert names(without_data(world.sandbox.listing())) == names(fresh)
    again = world.run("plan", "--exit-code")
    assert (again.code, "Nothing to do: 4 of an earlier config kept" in again.err) == (0, True)
    status = world.run("status", "--json")
    assert "earlier config" not in status.out


def names(listing):
    """A listing without the ids that AWS gives."""
    return {line.split()[-1] if "subscription" in line else line for line in listing}


def test_the_alarm_has_no_gap_when_a_rule_is_renamed(world):
    up(world, {**LITTLE, "rules": [{"name": "rule-a", "detection": "trail-tampering"}]})
    world.refuse = denying("PutTargets")
    configure(world, LITTLE)
    assert world.run("up").code == 1
    assert "rule-a" in str(world.client("events").list_rules())
    world.refuse = lambda *_: None
    before = len(world.sandbox.calls)
    up(world, LITTLE)
    made = [f"{one.operation} {one.params.get('Rule', '')}" for one in world.sandbox.calls[before:]]
    assert made.index("PutTargets rule-b") < made.index("RemoveTargets rule-a")


def test_the_role_by_which_other_regions_are_known_goes_after_what_is_there(world):
    up(world, MUCH)
    configure(world, LITTLE)
    no = ("AccessDeniedException", "User is not authorized to perform this")
    world.refuse = lambda _, operation, sent: (
        no if operation == "DeleteRule" and "ingress" in str(sent) else None
    )
    assert world.run("up").code == 1
    assert "iam role ctwatch-forwarder" in world.sandbox.listing()
    world.refuse = lambda *_: None
    up(world, LITTLE)
    assert "iam role ctwatch-forwarder" not in world.sandbox.listing()


def test_up_deletes_no_log_of_an_earlier_config_and_down_asks_for_it(world):
    up(world, MUCH)
    configure(world, LITTLE)
    bucket = "logs-a-123456789012"
    world.client("s3").put_object(Bucket=bucket, Key="AWSLogs/x", Body=b"x")
    up(world, LITTLE)
    kept = world.run("down", "--yes")
    assert kept.code == 0
    assert f"Kept: bucket {bucket}" in kept.err
    assert world.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] >= 1
    gone = world.run("down", "--delete-logs", "--yes")
    assert gone.code == 0, gone
    assert "Nothing of this watch is left." in gone.err
    assert world.sandbox.listing() == []


def test_down_finds_by_listing_what_the_tagging_api_will_not_tell(world):
    up(world, MUCH)
    configure(world, {**LITTLE, "name": "ctwatch"})
    world.refuse = denying("GetResources")
    down = world.run("down", "--delete-logs", "--yes")
    assert "Warning: what an earlier config left may stay unseen" in down.err
    assert world.sandbox.listing() == []
    # It cannot know that.
    assert down.code == 1, down
    assert "What could not be looked for may be left: its tag in 5 regions." in down.err
    assert "Nothing" not in down.err


def test_down_finds_by_their_tags_what_neither_name_nor_subscription_tells(world):
    """A log group whose function was never made, and a renamed topic that no queue listens to."""
    up(world, LITTLE)
    tags = {"ctwatch:watch": "ctwatch"}
    logs, sns = world.client("logs"), world.client("sns")
    for name, worn in {"function-a": tags, "theirs": {"ctwatch:watch": "another"}}.items():
        logs.create_log_group(logGroupName=f"/aws/lambda/{name}", tags=worn)
    logs.create_log_group(logGroupName="/aws/cloudtrail/trail-a", tags=tags)
    sns.create_topic(Name="topic-a", Tags=[{"Key": key, "Value": tags[key]} for key in tags])
    sns.create_topic(Name="theirs")
    tagging = world.open().aws.client("resourcegroupstaggingapi")
    kept = []

    def late(parsed):  # what was tagged comes to it after a while
        kept.append(parsed.pop("ResourceTagMappingList"))
        parsed["ResourceTagMappingList"] = []

    with answering(tagging, "resource-groups-tagging-api.GetResources", late):
        down = world.run("down", "--delete-logs", "--yes")
    assert "/aws/cloudtrail/trail-a" in str(kept)
    assert (down.code, "Nothing of this watch is left." in down.err) == (0, True), down
    assert world.sandbox.listing() == [
        "logs log-group /aws/lambda/theirs",
        f"sns topic arn:aws:sns:{HOME}:123456789012:theirs",
    ]


@pytest.mark.parametrize(
    ("operation", "unseen"),
    {"ListTopics": "topics", "ListRules": "rules", "GetResources": "its tag"}.items(),
)
def test_down_never_says_that_nothing_is_left_where_it_could_not_look(world, operation, unseen):
    world.refuse = denying(operation)
    down = world.run("down", "--yes")
    assert down.code == 1
    assert f"What could not be looked for may be left: {unseen} in " in down.err
    assert "Nothing" not in down.err


@pytest.mark.exhaustive
def test_what_one_listing_found_before_it_was_refused_goes_all_the_same(world):
    up(world, MUCH)
    configure(world, LITTLE)
    no = ("AccessDeniedException", "User is not authorized to perform this")

    def refuse(_, operation, sent):
        hidden = '"/aws/cloudtrail/"' in str(sent)
        return no if operation == "GetResources" or hidden else None

    world.refuse = refuse
    down = world.run("down", "--delete-logs", "--yes")
    assert down.code == 1
    assert "its tag in 5 regions; log groups in ap-northeast-2." in down.err
    assert world.sandbox.listing() == ["logs log-group /aws/cloudtrail/trail-a"]


def test_down_finds_by_the_tagging_api_what_hides_from_listing(world):
    """Their descriptions are the mark that listing goes by, and anybody may change them."""
    up(world, MUCH)
    events = world.client("events")
    pattern = events.describe_rule(Name="rule-a")["EventPattern"]
    events.put_rule(Name="rule-a", EventPattern=pattern, Description="changed")
    functions = world.client("lambda")
    functions.update_function_configuration(FunctionName="function-a", Description="changed")
    configure(world, LITTLE)
    assert world.run("down", "--delete-logs", "--yes").code == 0
    assert world.sandbox.listing() == []


def test_without_leave_to_look_plan_says_so_and_goes_on(world):
    up(world, LITTLE)
    world.refuse = denying("GetResources")
    plan = world.run("plan", "--exit-code")
    assert "may stay unseen: looking for its tag in ap-northeast-2: GetResources" in plan.err
    assert plan.code == 0
    world.refuse = denying("GetResources", "ListRegions")
    down = world.run("down", "--yes")
    assert "asking which regions the account has: ListRegions" in down.err
    assert "(and 1 more)" in down.err
    assert down.code == 1
    assert f"may be left: its tag in {HOME}; other regions." in down.err


def test_what_is_not_tagged_as_ours_stays(world):
    up(world, MUCH)
    tag = "ctwatch:watch"
    world.client("events").untag_resource(
        ResourceARN=f"arn:aws:events:{HOME}:123456789012:rule/rule-a", TagKeys=[tag]
    )
    world.client("sns").tag_resource(
        ResourceArn=f"arn:aws:sns:{HOME}:123456789012:topic-a",
        Tags=[{"Key": tag, "Value": "another"}],
    )
    configure(world, LITTLE)
    down = world.run("down", "--delete-logs", "--yes")
    assert down.code == 0
    assert "Not touched: rule rule-a: it lacks the tag ctwatch:watch=ctwatch" in down.err
    left = [line for line in world.sandbox.listing() if "subscription" not in line]
    assert left == [
        "events rule rule-a",
        "events target rule-a/topic",
        f"sns topic arn:aws:sns:{HOME}:123456789012:topic-a",
    ]


@pytest.mark.parametrize("options", [(), ("--delete-logs",)])
def test_down_names_at_the_end_what_has_lost_its_tag(world, options):
    up(world, LITTLE)
    account, tag = "123456789012", "ctwatch:watch"
    rule = f"arn:aws:events:{HOME}:{account}:rule/rule-b"
    world.client("events").untag_resource(ResourceARN=rule, TagKeys=[tag])
    trail = world.client("cloudtrail").describe_trails()["trailList"][0]
    worn = {"Key": tag, "Value": "ctwatch"}
    world.client("cloudtrail").remove_tags(ResourceId=trail["TrailARN"], TagsList=[worn])
    down = world.run("down", "--yes", "--wait", "0", *options)
    for title in (f"trail {trail['Name']}", "rule rule-b"):
        assert f"Not touched: {title}: it lacks the tag ctwatch:watch=ctwatch" in down.err
    assert "If this watch made it, put that tag on it again. Then run: ctwatch down" in down.err
    assert "Nothing else is left" not in down.err
    assert "Nothing of this watch" not in down.err
    if options:  # the trail, which is not ours now, still delivers to the bucket
        assert (down.code, "still delivers to it" in down.err) == (1, True)
        return
    assert down.code == 0
    assert "Nothing else that carries the tag of this watch is left." in down.err

    world.client("events").tag_resource(ResourceARN=rule, Tags=[worn])
    world.client("cloudtrail").add_tags(ResourceId=trail["TrailARN"], TagsList=[worn])
    assert world.run("down", "--yes", "--delete-logs").code == 0
    assert world.sandbox.listing() == []


@pytest.mark.parametrize("start", ["2026-01-01", "2999-01-01"])
def test_down_takes_a_canary_along_also_one_that_a_drill_is_using(world, start):
    up(world, LITTLE)
    trails = world.client("cloudtrail")
    trail = trails.describe_trails()["trailList"][0]
    worn = {"ctwatch:watch": "ctwatch", "ctwatch:drill": f"0123456789ab {start}T00:00:00Z 600"}
    trails.create_trail(
        Name=f"{trail['Name']}-canary",
        S3BucketName=trail["S3BucketName"],
        TagsList=[{"Key": key, "Value": value} for key, value in worn.items()],
    )
    before = len(world.sandbox.calls)
    down = world.run("down", "--yes", "--delete-logs")
    assert down.code == 0, down
    assert world.sandbox.listing() == []
    made = [one.operation for one in world.sandbox.calls[before:] if one.writes]
    assert made[:2] == ["DeleteTrail", "DeleteTrail"]


def test_a_rule_on_another_bus_is_nobody_s_of_ours_whatever_its_tag(world):
    up(world, LITTLE)
    events = world.client("events")
    events.create_event_bus(Name="theirs")
    tag = {"Key": "ctwatch:watch", "Value": "ctwatch"}
    events.put_rule(
        Name="rule-x", EventBusName="theirs", EventPattern='{"source": ["x"]}', Tags=[tag]
    )
    place = Place("aws", "123456789012", HOME)
    arn = place.arn("events", "rule/theirs/rule-x")
    assert Remains("ctwatch", place, HOME).of(arn, {"ctwatch:watch": "ctwatch"}) is None
    assert world.run("plan", "--exit-code").code == 0


def test_a_watch_of_the_same_name_that_lives_elsewhere_is_left_alone(world):
    mail_only = {"topic": {"emails": [ADDRESS]}, "channels": [], "rules": LITTLE["rules"]}
    theirs = {**mail_only, "region": AWAY}
    up(world, theirs)
    before = {line for line in world.sandbox.listing() if AWAY in line}
    up(world, {**mail_only, "region": HOME})
    down = world.run("down", "--delete-logs", "--yes")
    assert down.code == 0, down
    assert {line for line in world.sandbox.listing() if AWAY in line} == before
    world.refuse = denying("ListRules")
    assert "may be left: rules in 4 regions." in world.run("down", "--yes").err  # not in theirs
    world.refuse = lambda *_: None
    configure(world, theirs)
    assert world.run("plan", "--exit-code").code == 0


@pytest.mark.exhaustive
def test_a_rule_elsewhere_that_feeds_another_region_is_left_alone(world):
    up(world, MUCH)
    role = "arn:aws:iam::123456789012:role/ctwatch-forwarder"
    bus = "arn:aws:events:us-west-2:123456789012:event-bus/default"
    target = {"Id": "home", "Arn": bus, "RoleArn": role}
    world.client("events", AWAY).put_targets(Rule="ingress", Targets=[target])
    configure(world, LITTLE)
    assert world.run("down", "--delete-logs", "--yes").code == 0
    left = ["events rule ingress", "events target ingress/home"]
    assert world.sandbox.listing() == left


def asked(world, since=0):
    """The regions whose tagging API was asked."""
    observed = world.sandbox.calls[since:]
    return {one.call.region for one in observed if one.operation == "GetResources"}


def test_other_regions_are_looked_into_only_where_something_can_be(world):
    up(world, LITTLE)
    assert asked(world) == {HOME}
    up(world, MUCH)
    before = len(world.sandbox.calls)
    world.run("plan")
    assert {HOME, AWAY, "us-east-1", "sa-east-1"} <= asked(world, before)


def half_built(world, writes):
    """A watch of which `up` could make no more than so many writes."""
    left = writes

    def refuse(service, operation, params):
        nonlocal left
        if operation.startswith(("Get", "List", "Describe", "Head", "Lookup")):
            return None
        left -= 1
        return ("AccessDeniedException", "no more") if left < 0 else None

    configure(world, HALF)
    world.refuse = refuse
    assert world.run("up").code == 1
    assert left < 0
    world.refuse = lambda *_: None


# All of them are 26; what is tried each time are the first, one in the midst, and the last.
@pytest.mark.parametrize(
    "writes",
    [
        pytest.param(number, marks=[] if number % 12 == 1 else pytest.mark.exhaustive)
        for number in range(1, 26)
    ],
)
def test_down_leaves_nothing_of_a_watch_that_was_half_built(world, writes):
    half_built(world, writes)
    assert world.sandbox.listing() != []
    configure(world, LITTLE)
    down = world.run("down", "--delete-logs", "--yes")
    assert down.code == 0, down
    assert world.sandbox.listing() == []
