"""A watch that leans on a trail that was there already, and never touches it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from watch_world import ADDRESS, MAIL_ONLY, PLACE, PLAIN, World, answering, planned, world_of

from ctwatch.config import InvalidConfigError, parse
from ctwatch.sandbox.server import Observed, Sandbox

HOME, AWAY = PLACE.region, "eu-west-1"
TRAIL, BUCKET = "company", "company-logs"
ARN = PLACE.arn("cloudtrail", f"trail/{TRAIL}")
OTHERS = f"arn:aws:cloudtrail:us-east-1:210987654321:trail/{TRAIL}"
RULES = [
    {"name": "tamper", "detection": "trail-tampering"},
    {"name": "logs", "detection": "log-bucket-tampering"},
    {"name": "files", "detection": "log-object-deletion"},
]
LEANING: dict[str, Any] = {**PLAIN, "trail": {"existing": TRAIL}, "rules": RULES}
OWN: dict[str, Any] = {**MAIL_ONLY, "rules": RULES}
LEANING_MAIL: dict[str, Any] = {**OWN, "trail": {"existing": TRAIL}}


def build_trail(world: World, name: str = TRAIL, region: str = HOME, **more: Any) -> None:
    """A trail of the company's, with a bucket, as somebody has made them long ago."""
    s3, where = world.client("s3", region), {"LocationConstraint": region}
    bucket, arn = f"{name}-logs", PLACE.arn("cloudtrail", f"trail/{name}").replace(HOME, region)
    s3.create_bucket(
        Bucket=bucket,
        **({} if region == "us-east-1" else {"CreateBucketConfiguration": where}),
    )
    service = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}}
    only = {"Condition": {"StringEquals": {"aws:SourceArn": arn}}}
    statements = [
        {**service, **only, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{bucket}"},
        {**service, **only, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"},
    ]
    policy = {"Version": "2012-10-17", "Statement": statements}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    cloudtrail = world.client("cloudtrail", region)
    asked = {"IsMultiRegionTrail": True, "TagsList": [{"Key": "team", "Value": "audit"}], **more}
    cloudtrail.create_trail(Name=name, S3BucketName=bucket, **asked)
    cloudtrail.start_logging(Name=name)


def announce(world: World, region: str = HOME) -> None:
    world.client("s3", region).put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )


@pytest.fixture(scope="module")
def opened(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("existing")) as world:
        yield world


@pytest.fixture(scope="module")
def armed(opened: World) -> World:
    """A watch that is up and armed; what a test breaks of it, that test mends."""
    opened.use(LEANING)
    build_trail(opened)
    announce(opened)
    ran = opened.run("up")
    assert ran.code == 0, ran
    opened.click()
    return opened


@pytest.fixture
def world(opened: World) -> World:
    opened.use(LEANING)
    return opened


def touching(calls: list[Observed]) -> list[str]:
    """The calls that could have changed something of CloudTrail's or of S3's, but for probes."""
    return [
        f"{one.service} {one.operation} {one.params}"
        for one in calls
        if one.service in {"cloudtrail", "s3"}
        and (one.writes or one.operation.startswith(("Put", "Delete", "Create")))
        and "ctwatch-probe-" not in str(one.params)
    ]


def state(world: World) -> Any:
    cloudtrail, s3 = world.client("cloudtrail"), world.client("s3")
    answers = [
        cloudtrail.get_trail(Name=TRAIL)["Trail"],
        cloudtrail.get_trail_status(Name=TRAIL)["IsLogging"],
        cloudtrail.get_event_selectors(TrailName=TRAIL)["EventSelectors"],
        cloudtrail.list_tags(ResourceIdList=[ARN])["ResourceTagList"],
        s3.get_bucket_policy(Bucket=BUCKET)["Policy"],
        s3.get_bucket_notification_configuration(Bucket=BUCKET)["EventBridgeConfiguration"],
    ]
    return json.dumps(answers, sort_keys=True, default=str)


# ---------------------------------------------------------------- what is built, and what is not


def test_no_command_touches_the_trail_or_its_bucket(world: World) -> None:
    build_trail(world)
    announce(world)
    before = state(world)
    with world.sandbox.recording() as calls:
        plan = world.run("plan")
        assert world.run("up").code == 0
        world.click()
        status = world.run("status")
        assert world.run("up").code == 0
        assert world.run("simulate", "stop-logging").code == 0
        assert world.run("down", "--yes", "--delete-logs").code == 0
    assert f"= keep trail {TRAIL} it was there already and stays as it is" in plan.out
    assert "create trail" not in plan.out
    assert "create bucket" not in plan.out
    assert status.out.startswith("ARMED"), status
    assert touching(calls) == []
    assert state(world) == before
    assert set(world.sandbox.listing()) == {f"cloudtrail trail {TRAIL}", f"s3 bucket {BUCKET}"}


def test_rules_and_notifier_name_that_trail_and_its_bucket(armed: World) -> None:
    def pattern(rule: str) -> Any:
        return json.loads(armed.client("events").describe_rule(Name=rule)["EventPattern"])

    assert BUCKET in json.dumps(pattern("logs"))
    assert pattern("files")["detail"]["bucket"] == {"name": [BUCKET]}
    function = armed.client("lambda").get_function_configuration(
        FunctionName="lambda-ct-detect-alarm"
    )
    variables = function["Environment"]["Variables"]
    assert variables["CTWATCH_TRAIL"] == ARN
    assert variables["CTWATCH_BUCKET"] == BUCKET
    assert BUCKET in json.loads(variables["CTWATCH_OWN"])


def test_an_alert_of_that_trail_is_an_alert_of_our_trail(armed: World) -> None:
    before = len(armed.sandbox.inbox.posts)
    armed.client("cloudtrail").stop_logging(Name=TRAIL)
    armed.client("cloudtrail").start_logging(Name=TRAIL)
    armed.settle()
    told = json.dumps(armed.sandbox.inbox.posts[before:], default=str)
    assert f"{TRAIL}` (ours)" in told


@pytest.mark.parametrize("how", [("stop-logging", "--on", "trail"), ("--heal",),
                                 ("stop-logging", "--on", "canary")])  # fmt: skip
def test_no_drill_strikes_it_or_makes_a_canary_beside_it(
    armed: World, how: tuple[str, ...]
) -> None:
    with armed.sandbox.recording() as calls:
        ran = armed.run("simulate", *how, *([] if how == ("--heal",) else ["--yes"]))
    assert ran.code == 2
    assert f"the config leans on the existing trail {TRAIL}: no drill touches it" in ran.err
    assert [one for one in calls if one.writes] == []


# ---------------------------------------------------------------- what status says of it


def verdict(world: World) -> str:
    return world.run("status").out.split()[0]


def test_a_trail_that_does_not_log_leaves_the_watch_blind(armed: World) -> None:
    armed.client("cloudtrail").stop_logging(Name=TRAIL)
    status = armed.run("status")
    armed.client("cloudtrail").start_logging(Name=TRAIL)
    assert status.code == 3
    assert status.out.startswith("BLIND")
    assert f"trail {TRAIL}: logging: stopped, CloudTrail records nothing" in status.out
    assert f"aws cloudtrail start-logging --name {ARN} --region {HOME}" in status.out
    assert verdict(armed) == "ARMED"


@pytest.mark.parametrize(
    ("selectors", "said"),
    [
        (
            {"EventSelectors": [{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True}]},
            "read-only management events alone, so EventBridge is told nothing",
        ),
        (
            {"AdvancedEventSelectors": [
                {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]},
                                    {"Field": "resources.type", "Equals": ["AWS::S3::Object"]}]}
            ]},
            '[[{"Field": "eventCategory", "Equals": ["Data"]}',
        ),
    ],
)  # fmt: skip
def test_a_trail_that_records_no_writes_leaves_the_watch_blind(
    armed: World, selectors: Mapping[str, Any], said: str
) -> None:
    cloudtrail = armed.client("cloudtrail")
    cloudtrail.put_event_selectors(TrailName=TRAIL, **selectors)
    status = armed.run("status")
    up = armed.run("up")
    everything = [{"ReadWriteType": "All", "IncludeManagementEvents": True}]
    cloudtrail.put_event_selectors(TrailName=TRAIL, EventSelectors=everything)
    assert status.out.startswith("BLIND")
    assert said in status.out
    assert f"put-event-selectors --trail-name {ARN} --region {HOME}" in status.out
    assert up.code == 3  # and says so, as nothing that it may do would mend it
    assert verdict(armed) == "ARMED"


def test_what_a_trail_leaves_out_is_named(armed: World) -> None:
    cloudtrail = armed.client("cloudtrail")
    some = {"ReadWriteType": "WriteOnly", "ExcludeManagementEventSources": ["kms.amazonaws.com"]}
    cloudtrail.put_event_selectors(TrailName=TRAIL, EventSelectors=[some])
    status = armed.run("status")
    everything = [{"ReadWriteType": "All", "IncludeManagementEvents": True}]
    cloudtrail.put_event_selectors(TrailName=TRAIL, EventSelectors=everything)
    assert status.out.startswith("ARMED")
    assert "every region, write management events but those of kms.amazonaws.com" in status.out


def test_log_files_that_were_not_delivered_are_its_owner_s_business(armed: World) -> None:
    def failing(answer: Any) -> None:
        answer["LatestDeliveryError"] = "AccessDenied"

    with answering(armed.open().aws.cloudtrail, "cloudtrail.GetTrailStatus", failing):
        status = armed.run("status")
    assert status.out.startswith("DEGRADED")
    assert f"trail {TRAIL}: the last log file was not delivered: AccessDenied" in status.out
    assert "Its owner sees to what it delivers to" in status.out


def test_a_bucket_that_does_not_tell_makes_the_rule_deaf_that_hears_it(armed: World) -> None:
    s3 = armed.client("s3")
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    status = armed.run("status")
    announce(armed)
    assert status.out.startswith("DEAF")
    assert f"bucket {BUCKET}: eventbridge: off" in status.out
    assert "Turn Amazon EventBridge on in the properties of that bucket" in status.out
    assert verdict(armed) == "ARMED"


def test_a_trail_that_may_not_be_looked_at_is_unknown_and_not_absent(armed: World) -> None:
    armed.refuse = lambda _, operation, __: (
        ("AccessDeniedException", "no") if operation == "GetTrailStatus" else None
    )
    status = armed.run("status")
    armed.refuse = lambda *_: None
    assert status.out.startswith("UNKNOWN")
    assert status.code == 1


def test_a_rule_is_made_though_the_bucket_that_it_hears_may_not_be_looked_at(world: World) -> None:
    build_trail(world)
    world.refuse = lambda _, operation, __: (
        ("AccessDenied", "no") if operation == "GetBucketNotificationConfiguration" else None
    )
    up = world.run("up")
    world.refuse = lambda *_: None
    assert f"bucket {BUCKET}: GetBucketNotificationConfiguration answered AccessDenied" in up.text
    assert world.client("events").describe_rule(Name="files")["State"] == "ENABLED"


# ---------------------------------------------------------------- a trail that is not there


def test_a_trail_that_is_not_there_is_refused_in_one_sentence(world: World) -> None:
    build_trail(world, "another")
    with world.sandbox.recording() as calls:
        up, plan = world.run("up"), world.run("plan")
    for ran in (up, plan):
        assert ran.code == 2
        assert f"trail.existing: there is no trail {TRAIL} in {HOME}" in ran.err
        assert "CloudTrail shows another there." in ran.err
    assert [one for one in calls if one.writes] == []


def test_a_trail_that_has_gone_is_told_by_status_and_down_clears_all_the_same(
    world: World,
) -> None:
    """What the rules name of it is remembered by the notifier, or they would seem changed."""
    build_trail(world)
    announce(world)
    assert world.run("up").code == 0
    world.click()
    world.client("cloudtrail").delete_trail(Name=TRAIL)
    status = world.run("status")
    assert status.out.startswith("BLIND")
    assert f"trail {TRAIL} does not exist" in status.out
    assert "Name another trail in trail.existing" in status.out
    assert "pattern" not in status.out
    assert "left over" not in status.out
    assert world.run("down", "--yes").code == 0
    assert world.sandbox.listing() == [f"s3 bucket {BUCKET}"]


def test_with_no_notifier_to_remember_it_the_watch_is_blind_all_the_same(world: World) -> None:
    """Nor need anybody see the bucket: it is taken to be where the trail is at home."""
    world.use({**LEANING_MAIL, "rules": RULES[:1]})
    build_trail(world)
    world.refuse = lambda _, operation, __: ("403", "no") if operation == "HeadBucket" else None
    up = world.run("up")
    world.client("cloudtrail").delete_trail(Name=TRAIL)
    status = world.run("status")
    world.refuse = lambda *_: None
    assert up.code == 0, up
    assert status.out.startswith("BLIND")
    assert world.run("down", "--yes").code == 0


def test_cloudtrail_that_does_not_say_is_no_missing_trail(world: World) -> None:
    world.refuse = lambda _, operation, __: (
        ("AccessDeniedException", "no") if operation == "DescribeTrails" else None
    )
    up = world.run("up")
    world.refuse = lambda *_: None
    assert up.code == 1
    assert f"looking for the trail {TRAIL}: DescribeTrails answered AccessDenied" in up.err


# ---------------------------------------------------------------- shadows and organizations


def test_a_trail_at_home_elsewhere_is_heard_where_it_is_touched(world: World) -> None:
    """It can be changed in its home region alone, and that is recorded there."""
    build_trail(world, region=AWAY)
    announce(world, AWAY)
    assert world.run("up").code == 0
    world.click()
    assert verdict(world) == "ARMED"
    away = world.client("events", AWAY).list_rules()["Rules"]
    assert {one["Name"] for one in away} == {"tamper", "logs", "files"}
    before = len(world.sandbox.inbox.posts)
    world.client("cloudtrail", AWAY).stop_logging(Name=TRAIL)
    world.settle()
    assert TRAIL in json.dumps(world.sandbox.inbox.posts[before:], default=str)
    assert verdict(world) == "BLIND"


def test_an_organization_s_trail_is_leant_on_without_its_selectors(world: World) -> None:
    """AWS shows them to the management account alone, but to all that it has only the default."""
    world.use({**MAIL_ONLY, "trail": {"existing": OTHERS}, "rules": RULES[:2]})
    world.sandbox.join_organization(OTHERS, "organization-logs")
    assert world.run("up").code == 0
    world.click()
    status = world.run("status")
    assert status.out.startswith("ARMED"), status
    assert "every region, all management events" in status.out
    assert world.client("events", "us-east-1").list_rules()["Rules"] == []
    assert world.run("simulate", "stop-logging").code == 0


def test_what_an_organization_s_trail_records_is_unknown_where_that_is_not_the_default(
    world: World,
) -> None:
    world.use({**MAIL_ONLY, "trail": {"existing": OTHERS}, "rules": RULES[:1]})
    everything = [{"ReadWriteType": "All"}, {"ReadWriteType": "WriteOnly"}]
    world.sandbox.join_organization(OTHERS, "organization-logs", everything)
    assert world.run("up").code == 1  # all is made, and something cannot be seen
    world.click()
    status = world.run("status")
    assert (status.code, status.out.split()[0]) == (1, "UNKNOWN")
    assert "AccountID in ARN is wrong" in status.out
    assert world.run("simulate", "stop-logging").code == 0


def test_two_trails_of_one_name_are_told_apart_by_their_arn(world: World) -> None:
    build_trail(world, region=AWAY)
    world.sandbox.join_organization(OTHERS, "organization-logs")
    up = world.run("up")
    assert up.code == 2
    assert f"2 trails in {HOME} are called {TRAIL}" in up.err
    assert OTHERS in up.err


# ---------------------------------------------------------------- from one's own and back


def test_from_one_s_own_trail_to_an_existing_one_and_back(world: World) -> None:
    world.use(OWN)
    build_trail(world)
    announce(world)
    assert world.run("up").code == 0
    world.click()
    own = world.open().watch
    before = state(world)
    configure(world, LEANING_MAIL)
    plan = world.run("plan")
    assert f"- remove trail {own.trail.name}" in plan.out
    assert f"= keep bucket {own.bucket.name if own.bucket else ''}" in plan.out
    assert world.run("up").code == 0
    trails = world.client("cloudtrail").describe_trails()["trailList"]
    assert [one["Name"] for one in trails] == [TRAIL]
    assert world.run("plan", "--exit-code").code == 0
    configure(world, OWN)
    assert world.run("up").code == 0
    assert verdict(world) == "ARMED"
    assert state(world) == before


def configure(world: World, config: Mapping[str, Any]) -> None:
    world.config.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")


def test_a_trail_of_the_watch_s_own_is_no_existing_one(world: World) -> None:
    world.use(OWN)
    assert world.run("up").code == 0
    configure(world, {**OWN, "trail": {"existing": "ct-trail-monitor"}})
    up = world.run("up")
    assert up.code == 2
    assert "ct-trail-monitor is a trail that this watch has made itself" in up.err


def test_a_bucket_of_the_watch_s_own_that_the_trail_delivers_to_is_left_alone(
    world: World,
) -> None:
    world.use({**LEANING_MAIL, "rules": RULES[:1]})
    build_trail(world)
    tags = [{"Key": "ctwatch:watch", "Value": "ctwatch"}]
    world.client("s3").put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": tags})
    assert world.run("up").code in {0, 3}
    assert world.run("down", "--yes", "--delete-logs").code == 0
    assert f"s3 bucket {BUCKET}" in world.sandbox.listing()


# ---------------------------------------------------------------- the config


@pytest.mark.parametrize(
    ("document", "path", "reason"),
    [
        (
            {"trail": {"existing": "a-trail", "name": "another"}},
            "trail.name",
            "beside trail.existing",
        ),
        ({"trail": {"existing": "a-trail", "kms": "create"}}, "trail.kms", "beside trail.existing"),
        ({"trail": {"existing": "a-trail"}, "bucket": {"name": "b-b"}}, "bucket.name", "beside"),
        ({"trail": {"existing": "a--trail"}}, "trail.existing", "two of '.', '_', '-' in a row"),
        ({"trail": {"existing": "arn:aws:s3:::x"}}, "trail.existing", "not the ARN of a trail"),
        ({"trail": {"existing": 7}}, "trail.existing", "must be text"),
        ({"trail": {"exsiting": "a-trail"}}, "trail.exsiting", "unknown key"),
    ],
)
def test_what_may_not_stand_beside_it_is_refused(
    document: Mapping[str, Any], path: str, reason: str
) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        parse({"topic": {"emails": [ADDRESS]}, **document})
    [one] = caught.value.complaints
    assert one.path == path
    assert reason in one.reason


@pytest.mark.parametrize("existing", [TRAIL, ARN, OTHERS, "t" * 128, "{account}-trail"])
def test_it_is_named_or_called_by_its_arn(existing: str) -> None:
    config = parse({"topic": {"emails": [ADDRESS]}, "trail": {"existing": existing}})
    filled = config.with_region("us-east-1").filled(PLACE.account)
    assert filled.trail.existing == existing.replace("{account}", PLACE.account)


UNHEARD = [
    ({"detection": "insight"}, {}, "records no Insights"),
    ({"detection": "log-key-tampering"}, {}, f"while the trail {TRAIL} has no key"),
    ({"detection": "root-login"}, {"IsMultiRegionTrail": False}, f"is one of {HOME} alone"),
]


@pytest.mark.parametrize(("rule", "trail", "said"), UNHEARD)
def test_a_rule_that_such_a_trail_lets_hear_nothing_is_refused(
    world: World, rule: Mapping[str, str], trail: Mapping[str, Any], said: str
) -> None:
    world.use({**LEANING, "rules": [{"name": "rule-x", **rule}]})
    build_trail(world, **trail)
    up = world.run("up")
    assert up.code == 2
    assert f"rules[0].detection: '{rule['detection']}'" in up.err
    assert said in up.err


def test_what_is_wrong_with_its_rules_is_told_without_aws(opened: World) -> None:
    configure(opened, {**LEANING, "rules": [{"name": "r", "detection": "log-bucket-tampering"}]})
    assert opened.run("detections", "--lint").code == 0
    configure(opened, {**LEANING, "rules": [{"name": "r", "detection": "log-bucket-tempering"}]})
    assert "did you mean 'log-bucket-tampering'" in opened.run("detections", "--lint").text


def test_a_watch_says_whether_the_trail_is_its_own() -> None:
    assert planned(OWN).owns_trail
