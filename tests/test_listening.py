"""Which rules a detection becomes, where they live, and that what they hear elsewhere arrives."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from watch_world import ELSEWHERE, PLACE, PLAIN, World, planned, world_of

from ctwatch.config import parse
from ctwatch.detections import catalogue
from ctwatch.errors import ConfigError
from ctwatch.listening import heard
from ctwatch.patterns import matches
from ctwatch.sandbox.server import Sandbox

KEY = f"arn:aws:kms:{PLACE.region}:{PLACE.account}:key/0a0b0c0d-0e0f-4a4b-8c8d-0123456789ab"
OTHER_NAMES = {
    "name": "guard",
    "bucket": {"name": "the-logs-of-{account}"},
    "trail": {
        "name": "the-trail",
        "insights": ["api-call-rate"],
        "kms": KEY,
        "delivery_notifications": True,
    },
    "topic": {"name": "the-topic", "emails": ["a@example.com"]},
    "function": {"name": "the-function"},
    "channels": [{"type": "discord", "url": "env:HOOK", "name": "room"}],
}


def hears(*detections: str, **changes: Any):
    rules = [{"name": f"rule-{number}", "detection": one} for number, one in enumerate(detections)]
    config = parse({**OTHER_NAMES, "rules": rules, **changes})
    return heard(config.filled(account=PLACE.account), PLACE)


@pytest.mark.parametrize("detection", catalogue())
def test_a_detection_fires_on_its_examples_by_whatever_names(detection):
    parts = [one for one in hears("insight", detection) if one.detection == detection]
    fired = [json.dumps(event, sort_keys=True) for part in parts for event in part.fires]
    assert len(set(fired)) == len(catalogue()[detection].examples.fires)
    assert all(part.fires and len(json.dumps(part.pattern)) <= 2048 for part in parts)


@pytest.mark.parametrize("detection", catalogue())
def test_no_word_of_a_pattern_is_left_unfilled_and_no_name_is_the_samples(detection):
    text = json.dumps([one.pattern for one in hears(detection)])
    assert not [word for word in ("{trail", "{bucket", "{topic", "{rules}") if word in text]
    assert not [name for name in ("ct-trail-monitor", "sns-cloudtrail-alarm") if name in text]


@pytest.mark.parametrize("detection", catalogue())
def test_what_must_not_fire_does_not(detection):
    quiet = catalogue()[detection].examples.quiet
    assert not [one for part in hears(detection) for one in quiet if matches(part.pattern, one)]


def test_a_detection_of_several_parts_is_several_rules_named_after_them():
    parts = [part.name for part in catalogue()["pipeline-tampering"].parts]
    only_mail = {"channels": [], "route": "fanout"}
    names = [one.name for one in hears("pipeline-tampering", **only_mail)]
    assert names == [f"rule-0-{part}" for part in parts]


def test_the_guard_is_there_twice_where_there_are_two_ways_to_tell():
    guard = hears("pipeline-tampering", "root-login")
    paths = {one.name: one.path for one in guard}
    parts = [part.name for part in catalogue()["pipeline-tampering"].parts]
    assert paths == {
        **{f"rule-0-{part}": "topic" for part in parts},
        **{f"rule-0-{part}-b": "function" for part in parts},
        "rule-1": "route",
    }
    [first, second] = [one for one in guard if one.name.startswith("rule-0-events")]
    assert first.pattern == second.pattern
    for name in paths:
        for key in ("name", "rule"):
            assert matches(first.pattern, touched({key: name}))
    assert not matches(first.pattern, touched({"name": "rule-2"}))


def touched(parameters):
    [event, *_] = catalogue()["pipeline-tampering"].examples.fires
    found = copy.deepcopy(event)
    found["source"], found["detail"]["eventSource"] = "aws.events", "events.amazonaws.com"
    found["detail"] |= {"eventName": "RemoveTargets", "requestParameters": parameters}
    return found


def test_what_each_region_sees_is_heard_in_all_that_are_asked_for():
    asked = {"regions": ["eu-west-1", PLACE.region, "us-east-1"]}
    found = {one.detection: one.regions for one in hears(*catalogue(), **asked)}
    assert found["security-group-ingress"] == (PLACE.region, "eu-west-1", "us-east-1")
    assert (found["root-login"], found["trail-tampering"]) == (("us-east-1",), (PLACE.region,))


def test_what_is_changed_about_trails_is_heard_at_home_and_about_lake_everywhere():
    found = {one.name: one.regions for one in hears("trail-reconfiguration", regions=["eu-west-1"])}
    assert found == {
        "rule-0-trail": (PLACE.region,),
        "rule-0-regional": (PLACE.region, "eu-west-1"),
    }


def test_the_guard_stands_wherever_there_is_a_rule():
    def regions(*detections, **changes):
        found = {
            one.name: one.regions for one in hears("pipeline-tampering", *detections, **changes)
        }
        return found["rule-0-events"], found["rule-0-sqs"], found["rule-0-sns"], found["rule-0-iam"]

    home, far = PLACE.region, "us-east-1"  # the role is seen there in any case
    assert regions() == ((home, far), (home, far), (home,), (far,))
    everywhere = (home, far, "eu-west-1")
    asked = regions("security-group-ingress", regions=["eu-west-1"])
    assert asked == (everywhere, everywhere, (home,), (far,))


def keys_heard(known: dict[str, str], **wishes: str) -> list[str]:
    """The key names that a rule of log-key-tampering is told by."""
    config = parse({
        "name": "guard", "channels": OTHER_NAMES["channels"],
        "rules": [{"name": "keys", "detection": "log-key-tampering"}],
        **{section: {"kms": wish} for section, wish in wishes.items()},
    })  # fmt: skip
    [rule] = heard(config.filled(account=PLACE.account), PLACE, known)
    choices = rule.pattern["detail"]["$or"]
    return next(one["resources"]["ARN"] for one in choices if "resources" in one)


def test_a_key_of_the_watchs_own_is_told_by_its_alias_and_once_it_is_made_by_its_arn():
    alias = PLACE.arn("kms", "alias/guard-trail")
    assert keys_heard({}, trail="create") == [alias]
    assert keys_heard({"guard-trail": KEY}, trail="create") == [KEY, alias]


def test_the_key_of_the_topic_is_watched_as_that_of_the_trail_is():
    alias = PLACE.arn("kms", "alias/guard-topic")
    assert keys_heard({}, trail=KEY, topic="create") == [KEY, alias]


def test_a_rule_whose_name_grows_too_long_is_told():
    rules = [{"name": "r" * 60, "detection": "pipeline-tampering"}]
    with pytest.raises(ConfigError, match="AWS allows 64") as told:
        hears(rules=rules)
    assert told.value.exit_code == 2


def test_read_only_events_need_the_wider_state():
    watch = planned(ELSEWHERE)
    states = {rule.name: rule.wanted["state"] for rule in watch.rules}
    wide = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
    assert states == {"root-login": "ENABLED", "assume-role": wide}


def test_what_is_seen_elsewhere_is_a_pair_with_one_role_and_a_queue_there():
    watch = planned(ELSEWHERE)
    [away], home = watch.away, watch.rules[0]
    assert (away.place.region, away.targets, away.name) == ("us-east-1", (home,), home.name)
    assert (away.pattern, away.state) == (home.pattern, home.state)
    assert away.title == "rule root-login in us-east-1"
    assert away.dead_letter.place.region == "us-east-1"
    bus = f"arn:aws:events:{PLACE.region}:{PLACE.account}:event-bus/default"
    assert away.wanted["targets"]["home"]["Arn"] == bus
    role = away.forwarder
    assert role
    assert away.wanted["targets"]["home"]["RoleArn"] == role.arn
    [grant] = role.policy["Statement"]
    assert (grant["Action"], grant["Resource"]) == (["events:PutEvents"], bus)


def test_a_home_in_us_east_1_needs_no_forwarder():
    config = {**ELSEWHERE, "region": "us-east-1"}
    filled = parse(config).filled(account=PLACE.account)
    assert {one.regions for one in heard(filled, _at("us-east-1"))} == {("us-east-1",)}


def test_the_readme_s_root_login_is_heard_far_away():
    text = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    [block] = [
        one for one in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "root-login" in one
    ]
    watch = planned(yaml.safe_load(block))
    assert [len(pair) for pair in watch.pairs] == [2]
    assert [rule.detection for rule in watch.away] == ["root-login"]


def _at(region):
    return type(PLACE)("aws", PLACE.account, region)


# Up, heard, cut, mended, down


@pytest.fixture(scope="module")
def elsewhere(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("elsewhere")) as world:
        world.use(ELSEWHERE)
        assert world.run("up").code == 0
        world.click()
        yield world


def root_login(number: str) -> dict[str, Any]:
    event = copy.deepcopy(catalogue()["root-login"].examples.fires[0])
    event["detail"]["eventID"] = event["id"] = f"root-login-{number}"
    return event


def told(world: World, number: str) -> bool:
    """Whether a root login in us-east-1 comes to Discord."""
    world.settle()
    before = len(world.sandbox.inbox.posts)
    world.sandbox._delivery.deliver(root_login(number), "us-east-1")
    world.settle()
    return len(world.sandbox.inbox.posts) > before


def test_a_root_login_far_away_arrives(elsewhere: World) -> None:
    status = elsewhere.run("status", "-v")
    assert (status.code, status.out.split()[0]) == (0, "ARMED")
    assert "seen in us-east-1" in status.out
    assert "✓ queue ctwatch-dead-letter in us-east-1" in status.out
    assert "✓ queue" not in elsewhere.run("status").out
    assert told(elsewhere, "first")
    assert "root" in str(elsewhere.sandbox.inbox.posts[-1].payload).casefold()


def there(world: World, service: str) -> Any:
    return world.sandbox._cloud.client(service, "us-east-1")


OTHERS = {
    "Effect": "Allow",
    "Principal": {"Service": "ec2.amazonaws.com"},
    "Action": "sts:AssumeRole",
}

CUTS: dict[str, tuple[Callable[[World], Any], str]] = {
    "rule there disabled": (
        lambda world: there(world, "events").disable_rule(Name="root-login"),
        "rule root-login in us-east-1: state",
    ),
    "rule there without target": (
        lambda world: there(world, "events").remove_targets(Rule="root-login", Ids=["home"]),
        "rule root-login in us-east-1: targets.home",
    ),
    "rule there narrowed": (
        lambda world: there(world, "events").put_rule(
            Name="root-login", EventPattern='{"source": ["aws.none"]}'
        ),
        "rule root-login in us-east-1: pattern",
    ),
    "rule there deleted": (
        lambda world: (
            there(world, "events").remove_targets(Rule="root-login", Ids=["home"]),
            there(world, "events").delete_rule(Name="root-login"),
        ),
        "rule root-login in us-east-1 does not exist",
    ),
    "role may nothing": (
        lambda world: there(world, "iam").delete_role_policy(
            RoleName="ctwatch-forwarder", PolicyName="forwarder"
        ),
        "role ctwatch-forwarder: inline.forwarder",
    ),
    "role trusts nobody": (
        lambda world: there(world, "iam").update_assume_role_policy(
            RoleName="ctwatch-forwarder",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [OTHERS]}),
        ),
        "role ctwatch-forwarder: trust",
    ),
    "rule at home disabled": (
        lambda world: world.client("events").disable_rule(Name="root-login"),
        "rule root-login: state",
    ),
}


@pytest.mark.parametrize("cut", CUTS)
def test_either_end_cut_is_deaf_and_up_mends_it(cut: str, elsewhere: World) -> None:
    by, said = CUTS[cut]
    by(elsewhere)
    status = elsewhere.run("status")
    assert (status.code, status.out.split()[0]) == (3, "DEAF")
    assert said in status.out
    assert not told(elsewhere, cut)
    up = elsewhere.run("up")
    assert up.code == 0
    assert elsewhere.run("status").out.split()[0] == "ARMED"
    assert told(elsewhere, f"{cut}, mended")


def test_a_bus_that_takes_nothing_from_elsewhere_is_deaf_until_its_policy_is_gone(
    elsewhere: World,
) -> None:
    events = elsewhere.client("events")
    bus = PLACE.arn("events", "event-bus/default")
    deny = {"Sid": "Closed", "Effect": "Deny", "Principal": "*", "Action": "events:PutEvents"}
    policy = {"Version": "2012-10-17", "Statement": [{**deny, "Resource": bus}]}
    events.put_permission(Policy=json.dumps(policy))
    status = elsewhere.run("status")
    assert (status.code, status.out.split()[0]) == (3, "DEAF")
    assert "statement Closed of its policy keeps out what other regions hand on" in status.out
    mended = f"aws events remove-permission --statement-id Closed --region {PLACE.region}"
    assert mended in status.out
    assert not told(elsewhere, "kept out")
    rules = json.loads(elsewhere.run("status", "--json").out)["rules"]
    assert rules == {"root-login": "DEAF", "assume-role": "ARMED"}  # heard at home
    events.remove_permission(StatementId="Closed")
    assert elsewhere.run("status").out.split()[0] == "ARMED"
    assert told(elsewhere, "let in")


def test_a_missing_dead_letter_queue_there_is_only_a_degradation(elsewhere: World) -> None:
    url = there(elsewhere, "sqs").get_queue_url(QueueName="ctwatch-dead-letter")["QueueUrl"]
    there(elsewhere, "sqs").delete_queue(QueueUrl=url)
    status = elsewhere.run("status")
    assert status.out.split()[0] == "DEGRADED"
    assert "queue ctwatch-dead-letter in us-east-1 does not exist" in status.out
    assert told(elsewhere, "without the queue")
    assert elsewhere.run("up").code == 0


def test_all_proves_what_is_heard_elsewhere_as_far_as_it_can_be(elsewhere: World) -> None:
    simulated = elsewhere.run("simulate", "all", "--timeout", "60")
    assert simulated.code == 0
    assert "root-login SYNTHETIC proven as far as it can be" in simulated.out
    assert "forwarded: cannot be proven" in simulated.out
    assert "assume-role proven" in simulated.out


def test_down_leaves_nothing_in_either_region(
    running: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with world_of(running, tmp_path_factory.mktemp("down")) as world:
        world.use({**PLAIN, "rules": [{"name": "root", "detection": "root-login"}]})
        assert world.run("up").code == 0
        assert [one for one in world.sandbox.listing() if "root" in one and "target" in one]
        down = world.run("down", "--yes", "--delete-logs")
        assert down.code == 0
        assert "alert" not in down.text  # no rule listens for a trail's deletion
        assert world.sandbox.listing() == []
