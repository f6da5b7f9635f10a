"""The drills as calls: what they name, what AWS answers, what is recorded, who must hear of it."""

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from harmless import faults
from watch_world import PLAIN, world_of

from ctwatch.aws import Place
from ctwatch.blows import Blow, probe
from ctwatch.config import parse
from ctwatch.detections import catalogue
from ctwatch.engine import build, inspect
from ctwatch.errors import ConfigError, CtwatchError
from ctwatch.listening import names_of
from ctwatch.notifier.event import unpack
from ctwatch.patterns import compile_pattern
from ctwatch.sandbox.identities import ACCESS_KEY
from ctwatch.sandbox.records import envelope
from ctwatch.sandbox.server import Observed
from ctwatch.simulate import Order, _way, drill
from ctwatch.synthetic import made_up, marked, rendered
from ctwatch.techniques import (
    DECOY,
    TECHNIQUES,
    Decoy,
    Probe,
    Synthetic,
    Technique,
    chosen,
    techniques_of,
)
from ctwatch.watch import plan

PROBES = {one.name: one for one in TECHNIQUES.values() if isinstance(one, Probe)}
SYNTHETIC = {one.name: one for one in TECHNIQUES.values() if isinstance(one, Synthetic)}

each = pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=TECHNIQUES.keys())
each_probe = pytest.mark.parametrize("name", PROBES)


# ---------------------------------------------------------------- which


def names(*wanted: str, listened=None) -> list[str]:
    return [one.name for one in chosen(wanted, listened)]


def test_all_is_every_technique():
    assert names("all") == list(TECHNIQUES)


def test_the_order_is_that_of_the_asking():
    assert names("delete-trail", "stop-logging") == ["delete-trail", "stop-logging"]
    assert names("insight", "all") == ["insight", *(x for x in TECHNIQUES if x != "insight")]


def test_each_is_struck_once_however_often_it_is_asked_for():
    assert names("stop-logging", "trail-tampering", "stop-logging").count("stop-logging") == 1
    assert names() == []


def test_a_detection_means_all_of_its_techniques():
    assert names("guardduty-tampering") == ["delete-detector", "update-detector"]
    assert names("root-login") == ["root-login"]
    assert names("trail-tampering") == [one.name for one in techniques_of("trail-tampering")]


def test_a_call_means_all_that_make_it():
    variants = ["bucket", "multi-region", "global-events", "validation", "kms", "sns"]
    assert names("update-trail") == [f"update-trail-{one}" for one in variants]
    asked = [PROBES[one].asked(DECOY_OF_NOBODY) for one in names("update-trail")]
    assert len({tuple(one) for one in asked}) == 6
    assert {len(one) for one in asked} == {2}  # the trail, and one thing of it


@pytest.mark.parametrize(
    ("name", "guess"), [("stop-loging", "stop-logging"), ("root-logn", "root-login"), ("xyz", "")]
)
def test_an_unknown_one_is_told_with_the_nearest(name, guess):
    with pytest.raises(ConfigError, match=f"there is no technique '{name}'") as told:
        chosen(["stop-logging", name])
    near = f"Did you mean {guess}? " if guess else ""
    assert told.value.hint == f"{near}What there is: ctwatch simulate --list"
    assert told.value.exit_code == 2


def test_all_is_what_the_watch_listens_for():
    heard = ["trail-reconfiguration", "root-login"]
    assert names("all", listened=heard) == [
        "put-insight-selectors", "start-logging", "remove-tags", "delete-resource-policy",
        "root-login",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"no technique strikes .* listens for: my-own"):
        chosen(["all"], ["my-own"])


def test_what_nobody_listens_for_can_be_struck_but_not_made_up():
    assert names("stop-logging", listened=["root-login"]) == ["stop-logging"]
    with pytest.raises(ConfigError, match="no rule of this watch listens for insight") as told:
        chosen(["insight"], ["root-login"])
    assert "detection: insight" in told.value.hint


# ---------------------------------------------------------------- the table


def test_every_detection_has_a_technique():
    assert {one.detection for one in TECHNIQUES.values()} == set(catalogue())
    assert len(TECHNIQUES) == len(PROBES) + len(SYNTHETIC)


@each
def test_it_has_a_name_and_a_story(technique: Technique):
    assert TECHNIQUES[technique.name] is technique
    assert technique.story.endswith(".")
    assert technique.name not in {"all", *catalogue()} - {technique.detection}


@pytest.mark.parametrize("technique", SYNTHETIC.values(), ids=SYNTHETIC.keys())
def test_what_can_only_be_made_up_says_why_and_is_all_that_its_detection_has(technique: Synthetic):
    assert len(technique.why.split()) > 4
    assert techniques_of(technique.detection) == [technique]


# ---------------------------------------------------------------- the calls


PLACE = Place("aws", "123456789012", "ap-northeast-2")
DECOY_OF_NOBODY = Decoy(f"{DECOY}0123456789ab", PLACE)
HEARD = list(catalogue())
EVERYTHING = {
    **PLAIN,
    "trail": {"insights": ["api-call-rate"], "kms": "create"},
    "rules": [{"name": f"rule-{one}", "detection": one} for one in HEARD],
}


@dataclass
class Struck:
    """What one probe came to: the call, and the event of its record."""

    target: str
    call: Observed
    event: dict[str, Any]

    @property
    def decoy(self) -> Decoy:
        return Decoy(self.target, PLACE)


@dataclass
class Night:
    """All that the watch listens for, struck at once."""

    code: int
    drills: dict[str, dict[str, Any]]
    calls: list[Observed]
    posts: list[str]
    mails: list[str]
    changed: bool


@pytest.fixture(scope="module")
def account(running, tmp_path_factory):
    """A watch of every detection, up and confirmed."""
    with world_of(running, tmp_path_factory.mktemp("techniques")) as world:
        world.use(EVERYTHING)
        assert world.run("up").code == 0
        world.click()
        yield world


@pytest.fixture(scope="module")
def night(account) -> Night:
    account.settle()
    account.sandbox.inbox.reset()
    before = account.sandbox.listing(), states(account)
    with account.sandbox.recording() as calls:
        ran = account.run("simulate", "all", "--json", "--timeout", "300")
        account.settle()
    inbox = account.sandbox.inbox
    return Night(
        code=ran.code,
        drills={one["technique"]: one for one in json.loads(ran.out)},
        calls=[one for one in calls if one.call.access_key == ACCESS_KEY],  # not the notifier's
        posts=[one.payload["content"] for one in inbox.posts],
        mails=[one.subject for one in inbox.mails],
        changed=before != (account.sandbox.listing(), states(account)),
    )


def states(account):
    found = account.open()
    looks = inspect(found.watch.resources, found.aws)
    return [(one.resource.title, one.live and one.live.state) for one in looks]


@pytest.fixture(scope="module")
def struck(account, night) -> dict[str, Struck]:
    """Every probe; those that the watch does not listen for are struck by themselves."""
    found = {
        name: seen(account, one["target"], one["request_id"])
        for name, one in night.drills.items()
        if one["kind"] == "probe"
    }
    aws = account.open().aws
    for name in PROBES.keys() - found.keys():
        blow = probe(PROBES[name], aws, PLACE)
        found[name] = seen(account, blow.target, blow.request_id)
    return found


def seen(account, target, request_id) -> Struck:
    [call] = [one for one in account.sandbox.calls if one.call.request_id == request_id]
    [record] = [one for one in account.sandbox._history if one["requestID"] == request_id]
    return Struck(target, call, envelope(record))


# ---------------------------------------------------------------- all at once


@pytest.mark.exhaustive
def test_all_that_the_watch_listens_for_is_struck_at_once_and_proven(night):
    assert night.code == 0
    assert night.drills.keys() == {
        one.name for one in TECHNIQUES.values() if one.detection in HEARD
    }
    assert [one for one in night.drills.values() if not one["proven"]] == []
    for name, one in night.drills.items():
        assert one["kind"] == TECHNIQUES[name].kind
        hops = {hop["hop"]: hop["proof"] for hop in one["hops"]}
        assert hops["topic"] == hops["function"] == hops["discord"] == "proven"
        assert hops["matched"] == "proven"
        assert hops["recorded"] == ("proven" if name in PROBES else "cannot be proven")


def test_what_is_heard_in_us_east_1_is_forwarded_and_a_made_up_event_cannot_prove_it(night):
    forwarded = {
        name: hop["proof"]
        for name, one in night.drills.items()
        for hop in one["hops"]
        if hop["hop"] == "forwarded"
    }
    assert forwarded == {
        "delete-role-policy": "proven",
        "root-login": "cannot be proven",
        "organization-leave": "cannot be proven",
    }


def test_every_alert_says_in_its_first_line_that_it_is_none(night):
    probes = [one for one in night.drills.values() if one["kind"] == "probe"]
    labels = [re.split(r"[ ·]+", post)[1] for post in night.posts]
    assert {*labels} == {"DRILL", "SYNTHETIC"}  # the guard's two sets of rules may tell one twice
    assert labels.count("SYNTHETIC") == len(night.drills) - len(probes)
    for one in probes:
        drills = [post for post in night.posts if one["target"] in post]
        assert drills
        assert [post for post in drills if " DRILL " not in post] == []


def test_the_mail_of_a_made_up_event_says_so_in_its_subject(night):
    told = [one for one in night.mails if one == "SYNTHETIC: ctwatch is being tested"]
    assert len(told) == len([one for one in night.drills.values() if one["kind"] == "synthetic"])


def test_nothing_is_changed_by_it_and_no_call_is_made_twice(night):
    assert not night.changed
    proofs = [one for one in night.calls if one.operation == "TagResource"]  # on the rules
    assert len(proofs) == len({one.detection for one in TECHNIQUES.values()})
    written = [
        one
        for one in night.calls
        if (one.writes or one.operation == "AssumeRole") and one not in proofs
    ]
    assert len(written) == len([one for one in night.drills.values() if one["kind"] == "probe"])


# ---------------------------------------------------------------- what is made up, and not proven


def matched(account, limit="30") -> tuple[int, dict[str, Any]]:
    ran = account.run("simulate", "root-login", "--json", "--timeout", limit)
    [one] = json.loads(ran.out)
    return ran.code, next(hop for hop in one["hops"] if hop["hop"] == "matched")


def narrow(events):
    events.put_rule(Name="rule-root-login", EventPattern=json.dumps({"source": ["aws.s3"]}))


def disable(events):
    events.disable_rule(Name="rule-root-login")


def untarget(events):
    ids = [one["Id"] for one in events.list_targets_by_rule(Rule="rule-root-login")["Targets"]]
    events.remove_targets(Rule="rule-root-login", Ids=ids)


def delete(events):
    untarget(events)
    events.delete_rule(Name="rule-root-login")


@pytest.mark.parametrize(
    ("region", "cut", "said"),
    [
        ("us-east-1", narrow, "rule-root-login in us-east-1 does not match, says TestEventPattern"),
        pytest.param(
            *("ap-northeast-2", disable, "rule-root-login is in the state DISABLED"),
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            "us-east-1",
            untarget,
            "rule-root-login in us-east-1 has not the targets that it shall have",
            marks=pytest.mark.exhaustive,
        ),
        ("ap-northeast-2", delete, "rule-root-login is not there"),
    ],
)
def test_a_rule_that_would_not_pass_it_on_is_told(account, night, region, cut, said):
    cut(account.sandbox.client("events", region))
    code, hop = matched(account)
    mend(account)
    assert code == 3
    assert hop["proof"] == "not proven"
    assert hop["note"] == f"rule {said}"


def mend(account):
    found = account.open()
    steps = [*build(inspect(found.watch.resources, found.aws), found.aws)]
    assert [one for one in steps if one.error] == []


def test_a_rule_that_cannot_be_looked_at_is_a_sentence_and_nothing_is_made_up(account, night):
    account.refuse = lambda _, call, asked: (
        ("AccessDeniedException", "no")
        if call == "DescribeRule" and b"rule-insight" in asked["body"]
        else None
    )
    with account.sandbox.recording() as calls:
        ran = account.run("simulate", "insight")
    account.refuse = lambda *_: None
    assert ran.code == 1
    assert "DescribeRule answered AccessDeniedException" in ran.err
    assert "Publish" not in {one.operation for one in calls}


def test_a_rule_that_no_example_fires_is_a_sentence(account, night):
    found = account.open()
    rules = tuple(replace(one, fires=()) for one in found.watch.rules)
    with pytest.raises(CtwatchError, match="rule-insight fires on none of the examples") as told:
        [
            *drill(
                Order([TECHNIQUES["insight"]], 1.0),
                replace(found.watch, rules=rules),
                [],
                found.aws,
            )
        ]
    assert "ctwatch detections insight" in told.value.hint


def test_a_topic_that_does_not_take_it_is_a_sentence(account, night):
    account.refuse = lambda service, call, _: (
        ("AuthorizationError", "no") if (service, call) == ("sns", "Publish") else None
    )
    ran = account.run("simulate", "insight")
    account.refuse = lambda *_: None
    assert ran.code == 1
    assert "to topic sns-cloudtrail-alarm: Publish answered AuthorizationError" in ran.err


def test_aws_that_does_not_say_whether_a_pattern_matches_is_a_sentence(account, night):
    account.refuse = lambda _, call, __: (
        ("AccessDeniedException", "no") if call == "TestEventPattern" else None
    )
    ran = account.run("simulate", "insight")
    account.refuse = lambda *_: None
    assert ran.code == 1
    assert "testing the pattern of rule rule-insight" in ran.err


def test_what_is_made_up_is_of_the_real_shape_and_of_now(account, night):
    [rule] = [one for one in account.open().watch.rules if one.detection == "root-activity"]
    now = datetime(2026, 11, 25, 13, 0, tzinfo=UTC)
    event = made_up(rule, "run-1", now)
    example = rule.fires[0]
    assert set(event) == set(example)
    assert event["time"] == event["detail"]["eventTime"] == "2026-11-25T13:00:00Z"
    assert event["id"] != example["id"]
    assert event["detail"]["eventID"] != example["detail"]["eventID"]
    assert event["detail"]["requestID"] == "run-1"
    same = {"eventTime", "eventID", "requestID"}
    assert {k: v for k, v in event["detail"].items() if k not in same} == {
        k: v for k, v in example["detail"].items() if k not in same
    }
    assert "ctwatch" not in event
    assert next(iter(marked(event, "run-1"))) == "ctwatch"


# ---------------------------------------------------------------- the calls


@each_probe
def test_no_probe_could_change_anything_real(name, struck):
    assert faults(struck[name].call, struck[name].decoy) == []
    assert struck[name].target.startswith(DECOY)


def bad(service, operation, asked) -> Probe:
    return Probe("bad", "A story.", "trail-tampering", service, operation, asked)


TOPIC = "arn:aws:sns:ap-northeast-2:999999999999:"
BAD = {
    "names 'ct-trail-monitor'": bad(
        "cloudtrail", "StopLogging", lambda _: {"Name": "ct-trail-monitor"}
    ),
    "names 'logs'": bad(
        "cloudtrail", "UpdateTrail", lambda decoy: {"Name": decoy.name, "S3BucketName": "logs"}
    ),
    "has no target": bad("organizations", "LeaveOrganization", lambda _: {}),
    "is about the account": bad("organizations", "LeaveOrganization", lambda _: {}),
    "creates or overwrites what it names": bad(
        "ssm", "PutParameter", lambda decoy: {"Name": decoy.name, "Value": decoy.name}
    ),
    "succeeds where there is nothing": bad(
        "sns", "DeleteTopic", lambda decoy: {"TopicArn": decoy.arn("sns")}
    ),
    "succeeded": bad("sns", "DeleteTopic", lambda decoy: {"TopicArn": decoy.arn("sns")}),
    "may reach another account's bucket": bad(
        "s3", "DeleteBucketPolicy", lambda decoy: {"Bucket": decoy.bucket_name}
    ),
    "names a bucket that another account can own": bad(
        "s3", "DeleteBucketPolicy", lambda decoy: {**decoy.bucket, "Bucket": decoy.name}
    ),
    "names another account's 'arn": bad(
        "sns", "DeleteTopic", lambda decoy: {"TopicArn": TOPIC + decoy.name}
    ),
    "names '0.0.0.0/0'": bad(
        "ec2",
        "AuthorizeSecurityGroupIngress",
        lambda decoy: {"GroupName": decoy.name, "CidrIp": "0.0.0.0/0"},
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_call_that_could_is_caught(fault, account):
    blow = probe(BAD[fault], account.open().aws, PLACE)
    [call] = [one for one in account.sandbox.calls if one.call.request_id == blow.request_id]
    told = faults(call, Decoy(blow.target, PLACE))
    assert [one for one in told if one.startswith(fault)]


# What AWS answers where a thing does not exist; a role that it will not speak of is denied.
ABSENT = ("NotFound", "NoSuch", "NonExistent", "AccessDenied", "BadRequestException")


@each_probe
def test_it_is_refused_as_there_is_no_such_thing_and_recorded_with_its_name(name, struck):
    one, detail = struck[name], struck[name].event["detail"]
    assert [word for word in ABSENT if word in one.call.error]
    assert detail["errorCode"].endswith(("Exception", one.call.error, "DoesNotExist"))
    assert one.target in json.dumps(detail["requestParameters"])
    assert detail["requestID"] == one.call.call.request_id


def hearing(event) -> set[tuple[str, str]]:
    """The parts of the detections, but for root's, that fire on it in a plain watch."""
    config = parse(PLAIN).filled(account=PLACE.account)
    return {
        (detection.id, part.name)
        for detection in catalogue().values()
        for part in detection.filled({**names_of(config, PLACE), "keys": ("arn:aws:kms:x",)})
        if compile_pattern(part.pattern).matches(event)
    }


@each_probe
def test_its_detection_hears_it_and_no_other(name, struck):
    assert {one for one, _ in hearing(struck[name].event)} == {PROBES[name].detection}


def test_every_part_of_a_detection_that_is_struck_hears_one(struck):
    heard = {each for one in struck.values() for each in hearing(one.event)}
    struck_at = {one.detection for one in PROBES.values()}
    assert heard == {
        (one.id, part.name)
        for one in catalogue().values()
        if one.id in struck_at
        for part in one.parts
    }


def test_every_call_that_harms_a_key_is_struck():
    [part] = catalogue()["log-key-tampering"].parts
    struck_at = {one.operation for one in techniques_of("log-key-tampering")}
    assert struck_at == set(part.pattern["detail"]["eventName"])


@each_probe
def test_where_it_is_recorded_is_where_its_rule_is(name, struck):
    [(detection, part)] = hearing(struck[name].event)
    where = {one.name: one.where for one in catalogue()[detection].parts}[part]
    assert (where == "us-east-1") is PROBES[name].elsewhere
    assert (struck[name].event["region"] == "us-east-1") is PROBES[name].elsewhere


@each_probe
def test_its_alert_is_labelled_a_drill(name, struck):
    [event] = unpack(struck[name].event)
    assert event.drill


# ---------------------------------------------------------------- valid as they are


@pytest.mark.parametrize(
    "name",
    ["stop-logging", "update-trail-multi-region", "update-trail-validation", "put-event-selectors",
     "put-insight-selectors", "start-logging"],
)  # fmt: skip
def test_struck_on_a_trail_that_is_there_it_is_accepted(name, account, struck):
    found = account.open()
    decoy = Decoy(found.watch.trail.name, PLACE)
    answer = PROBES[name].strike(found.aws, decoy)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    found.aws.cloudtrail.start_logging(Name=found.watch.trail.name)


@pytest.mark.parametrize("region", ["ap-northeast-2", "ap-southeast-1", "us-gov-east-1"])
def test_a_decoys_bucket_has_a_name_that_aws_would_take(region):
    name = Decoy(f"{DECOY}0123456789ab", Place("aws", "123456789012", region)).bucket_name
    assert len(name) <= 63
    assert name.endswith(f"-123456789012-{region}-an")


# ---------------------------------------------------------------- the other routes, which come last

# Who strikes is left out; what is made up is nobody's doing.
EXCEPT_ME = {"actors": ["arn:aws:iam::123456789012:user/sandbox"]}
ROUTED = {
    **PLAIN,
    "rules": [{"name": "root", "detection": "root-login", "except": EXCEPT_ME}],
}


@pytest.mark.parametrize("route", ["direct", "formatted"])
def test_by_every_route_what_is_made_up_says_so_to_all_who_are_told(account, route):
    account.use({**ROUTED, "route": route})
    assert account.run("up").code == 0
    account.click()
    account.settle()
    account.sandbox.inbox.reset()
    ran = account.run("simulate", "root-login", "--timeout", "120")
    account.settle()
    assert ran.code == 0, ran.text
    assert "proven as far as it can be" in ran.out
    [post] = account.sandbox.inbox.posts
    [mail] = account.sandbox.inbox.mails
    assert " SYNTHETIC " in post.payload["content"]
    assert "SYNTHETIC" in mail.subject
    assert "SYNTHETIC" in mail.text.strip().splitlines()[0]


def test_a_transformer_makes_the_text_that_eventbridge_makes():
    event = {"account": "1", "detail": {"a": {"b": "x"}, "n": 5, "none": None}}
    paths = {"b": "$.detail.a.b", "n": "$.detail.n", "none": "$.detail.none", "no": "$.no.way"}
    template = '"<b> of <n>"\n"<none><no>."'
    assert rendered({"InputPathsMap": paths, "InputTemplate": template}, event) == '"x of 5"\n"."'


@pytest.mark.parametrize(
    ("home", "hops"),
    [
        ("ap-northeast-2", ["recorded", "matched", "forwarded"]),
        ("us-east-1", ["recorded", "matched"]),  # though the guard has rules in Seoul, too
    ],
)
def test_only_what_another_region_hands_on_is_said_to_be_forwarded(home, hops):
    rules = [{"name": "guard", "detection": "pipeline-tampering"},
             {"name": "tables", "detection": "dynamodb-delete-table"}]  # fmt: skip
    wanted = {**PLAIN, "region": home, "regions": ["ap-northeast-2", "eu-west-1"], "rules": rules}
    place = Place("aws", PLACE.account, home)
    watch = plan(parse(wanted).filled(account=PLACE.account), place, {})
    assert [one for one in watch.away if one.detection == "pipeline-tampering"]
    blow = Blow(TECHNIQUES["delete-role-policy"], DECOY, datetime.now(UTC), "r", "NoSuchEntity")
    assert [*_way(blow, watch)] == hops
