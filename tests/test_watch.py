import json

import pytest

from ctwatch.aws import Place
from ctwatch.config import parse
from ctwatch.detections import catalogue
from ctwatch.patterns import canonical
from ctwatch.resources.base import Resource
from ctwatch.resources.subscription import Subscription
from ctwatch.watch import plan

ACCOUNT, REGION = "123456789012", "ap-northeast-2"
HOOK = "https://discord.com/api/webhooks/1/secret"
WEBHOOK_VARIABLE = "DISCORD_WEBHOOK_URL"
MAIL = {"topic": {"emails": ["a@example.com", "b@example.com"]}}
CHANNEL = {"channels": [{"type": "discord", "url": "env:X"}]}
BOTH = {**MAIL, **CHANNEL}
PLANS = {
    "default": BOTH,
    "mail only": MAIL,
    "webhook only": CHANNEL,
    "env": {**CHANNEL, "function": {"secret": "env"}},
    "lifecycle": {**MAIL, "bucket": {"lifecycle": {"expire_days": 365, "archive_days": 90}}},
    "two rules": {
        **BOTH,
        "rules": [{"name": f"rule-{n}", "detection": "trail-tampering"} for n in (1, 2)],
    },
}


def planned(document, secrets=None, partition="aws", region=REGION):
    config = parse({"region": region, **document}).filled(account=ACCOUNT)
    known = {one.name: HOOK for one in config.channels} if secrets is None else secrets
    return plan(config, Place(partition, ACCOUNT, region), known)


@pytest.fixture
def watch():
    return planned(BOTH)


every_plan = pytest.mark.parametrize("document", PLANS.values(), ids=PLANS.keys())


def titles(found):
    return [one.title for one in found]


# ---------------------------------------------------------------- names and ARNs


def test_the_default_watch_has_the_scenario_s_names(watch):
    assert titles(watch.resources) == [
        f"bucket s3-cloudtrail-monitor-{ACCOUNT}-{REGION}-an",
        "trail ct-trail-monitor",
        "rule eventbridge-ct-detect",
        "topic sns-cloudtrail-alarm",
        "subscription receipts",
        "subscription a@example.com",
        "subscription b@example.com",
        "subscription function",
        "function lambda-ct-detect-alarm",
        "role ctwatch-notifier",
        "log group /aws/lambda/lambda-ct-detect-alarm",
        "queue ctwatch-dead-letter",
        "secret /ctwatch/discord",
        "queue ctwatch-receipts",
    ]


def test_mail_only_needs_no_function_and_nothing_that_serves_it():
    watch = planned(MAIL)
    assert (watch.function, watch.webhook) == (None, None)
    assert watch.subscriptions == (watch.receipt, *watch.people)
    assert {one.kind for one in watch.resources} == {
        "bucket", "trail", "rule", "topic", "subscription", "queue",
    }  # fmt: skip


def test_webhook_only_needs_no_people():
    watch = planned(CHANNEL)
    assert watch.people == ()
    assert watch.function in watch.resources


def test_every_arn_follows_from_partition_account_region_and_name():
    watch = planned(CHANNEL, partition="aws-cn", region="cn-north-1")
    arns = {one.kind: one.arn for one in watch.resources if one.kind != "queue"}
    here = f"cn-north-1:{ACCOUNT}"
    assert arns == {
        "bucket": f"arn:aws-cn:s3:::{watch.bucket.name}",
        "trail": f"arn:aws-cn:cloudtrail:{here}:trail/ct-trail-monitor",
        "rule": f"arn:aws-cn:events:{here}:rule/eventbridge-ct-detect",
        "topic": f"arn:aws-cn:sns:{here}:sns-cloudtrail-alarm",
        "subscription": f"arn:aws-cn:sns:{here}:sns-cloudtrail-alarm",
        "function": f"arn:aws-cn:lambda:{here}:function:lambda-ct-detect-alarm",
        "role": f"arn:aws-cn:iam::{ACCOUNT}:role/ctwatch-notifier",
        "log group": f"arn:aws-cn:logs:{here}:log-group:/aws/lambda/lambda-ct-detect-alarm",
        "secret": f"arn:aws-cn:ssm:{here}:parameter/ctwatch/discord",
    }
    assert watch.receipts.arn == f"arn:aws-cn:sqs:{here}:ctwatch-receipts"


def test_two_watches_share_no_name_but_those_the_config_gives():
    mine = {one.title for one in planned(BOTH).resources}
    theirs = {one.title for one in planned({**BOTH, "name": "other"}).resources}
    assert {title.split()[0] for title in mine & theirs} == {
        "bucket", "trail", "rule", "topic", "subscription", "function", "log",
    }  # fmt: skip


@every_plan
def test_everything_is_of_this_watch_and_in_its_place(document):
    for one in planned({**document, "name": "mine"}).resources:
        assert (one.watch, one.place) == ("mine", Place("aws", ACCOUNT, REGION))
        home = {"ctwatch:region": REGION} if one.kind == "role" else {}
        assert one.tags == {"ctwatch:watch": "mine", **home}


@every_plan
def test_nothing_is_there_twice_and_nothing_that_is_leaned_on_is_left_out(document):
    resources = planned(document).resources
    assert len(resources) == len(set(resources)) == len(set(titles(resources)))
    for one in resources:
        assert set(one.needs) <= set(resources)


@every_plan
def test_every_promise_can_be_written_down_and_holds_no_secret(document):
    for one in planned(document).resources:
        assert HOOK not in json.dumps(one.wanted)
        assert HOOK not in repr(one)


# ---------------------------------------------------------------- what leans on what


def test_the_arrows_are_these_and_no_others(watch):
    def needs(one):
        return {need.title.split()[0] + " " + need.name.split("/")[-1] for need in one.needs}

    function = "function lambda-ct-detect-alarm"
    topic, dead = "topic sns-cloudtrail-alarm", "queue ctwatch-dead-letter"
    assert needs(watch.trail) == {f"bucket {watch.bucket.name}"}
    assert needs(watch.rules[0]) == {topic, dead}
    assert needs(watch.receipt) == {topic, dead, "queue ctwatch-receipts"}
    assert needs(watch.webhook) == {topic, dead, function}
    assert [needs(one) for one in watch.people] == [{topic}, {topic}]
    assert needs(watch.function) == {
        dead, "role ctwatch-notifier", "log lambda-ct-detect-alarm", "secret discord",
    }  # fmt: skip
    grounds = (watch.bucket, watch.topic, watch.receipts, watch.dead_letter, watch.function.role,
               watch.function.log_group, *watch.function.secrets)  # fmt: skip
    assert [one.needs for one in grounds] == [()] * len(grounds)


def reached(one):
    return {one, *(deeper for need in one.needs for deeper in reached(need))}


@every_plan
def test_the_trail_waits_for_its_bucket_alone(document):
    watch = planned(document)
    assert reached(watch.trail) == {watch.trail, watch.bucket}


def test_the_function_does_not_wait_for_the_topic(watch):
    assert watch.topic not in reached(watch.function)


# ---------------------------------------------------------------- who may do what


def policies(watch):
    return [one.policy for one in watch.resources if hasattr(one, "policy")]


def allowed(policy):
    return [one for one in policy["Statement"] if one["Effect"] == "Allow"]


@every_plan
def test_no_grant_is_for_everything(document):
    for policy in policies(planned(document)):
        for one in allowed(policy):
            assert one["Resource"] != "*"
            assert one["Resource"].startswith("arn:aws:")
            actions = one["Action"] if isinstance(one["Action"], list) else [one["Action"]]
            assert not [action for action in actions if "*" in action]


@every_plan
def test_who_is_anybody_is_held_to_this_account(document):
    for policy in policies(planned(document)):
        for one in allowed(policy):
            if one.get("Principal") == {"AWS": "*"}:
                assert one["Condition"] == {"StringEquals": {"AWS:SourceOwner": ACCOUNT}}


def test_the_notifier_may_write_its_log_read_its_secret_and_hand_over_what_failed(watch):
    log = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/lambda-ct-detect-alarm:*"
    assert watch.function.role.grants == (
        (("logs:CreateLogStream", "logs:PutLogEvents"), log),
        (("ssm:GetParameter",), f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ctwatch/discord"),
        (("sqs:SendMessage",), f"arn:aws:sqs:{REGION}:{ACCOUNT}:ctwatch-dead-letter"),
    )
    assert watch.function.role.service == "lambda.amazonaws.com"


@every_plan
def test_nobody_may_make_a_log_group(document):
    assert "createloggroup" not in json.dumps(policies(planned(document))).lower()


def test_the_bucket_is_written_by_the_trail_and_its_canary(watch):
    trail = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/ct-trail-monitor"
    assert watch.bucket.writers == (trail, f"{trail}-canary")


def test_the_queues_take_from_their_senders_alone():
    watch = planned(PLANS["two rules"])
    topic = ("sns.amazonaws.com", watch.topic.arn)
    rules = [("events.amazonaws.com", rule.arn) for rule in watch.rules]
    assert watch.receipts.senders == (topic,)
    assert watch.dead_letter.senders == (*rules, topic)


def test_the_topic_alone_may_invoke_the_function(watch):
    assert watch.function.invokers == (("sns.amazonaws.com", watch.topic.arn),)


# ---------------------------------------------------------------- shapes


def test_receipts_are_kept_a_day_and_dead_letters_two_weeks(watch):
    assert (watch.receipts.retention, watch.receipts.visibility) == (86_400, 2)
    assert (watch.dead_letter.retention, watch.dead_letter.visibility) == (1_209_600, 30)


def test_each_rule_has_its_detection_s_pattern_and_the_topic_as_target():
    watch = planned(PLANS["two rules"])
    assert [rule.name for rule in watch.rules] == ["rule-1", "rule-2"]
    for rule in watch.rules:
        assert rule.wanted["pattern"] == canonical(catalogue()["trail-tampering"].pattern)
        assert rule.wanted["targets"]["topic"]["Arn"] == watch.topic.arn
        assert rule.wanted["targets"]["topic"]["DeadLetterConfig"]["Arn"] == watch.dead_letter.arn


def test_subscriptions_end_where_they_should(watch):
    listed = [one for one in watch.resources if isinstance(one, Subscription)]
    assert set(listed) == set(watch.subscriptions)
    assert [(one.protocol, one.endpoint) for one in listed] == [
        ("sqs", watch.receipts.arn),
        ("email", "a@example.com"),
        ("email", "b@example.com"),
        ("lambda", watch.function.arn),
    ]
    assert [one.wanted["dead_letter"] for one in listed] == [
        watch.dead_letter.arn, None, None, watch.dead_letter.arn,
    ]  # fmt: skip


def test_a_secret_is_kept_as_a_parameter_that_the_function_is_told_of(watch):
    variables = watch.function.environment
    assert json.loads(variables["CTWATCH_CHANNELS"]) == [
        {"name": "discord", "type": "discord", "secret": "ssm:/ctwatch/discord"}
    ]
    assert WEBHOOK_VARIABLE not in variables
    assert [one.value for one in watch.function.secrets] == [HOOK]


def test_a_secret_in_the_environment_needs_no_parameter():
    watch = planned(PLANS["env"])
    variables = watch.function.environment
    assert json.loads(variables["CTWATCH_CHANNELS"])[0]["secret"] == f"env:{WEBHOOK_VARIABLE}"
    assert variables[WEBHOOK_VARIABLE] == HOOK
    assert watch.function.hidden == {WEBHOOK_VARIABLE}
    assert watch.function.secrets == ()
    actions = [action for actions, _ in watch.function.role.grants for action in actions]
    assert "ssm:GetParameter" not in actions
    assert watch.function.wanted["environment"][WEBHOOK_VARIABLE].startswith("sha256:")


@pytest.mark.parametrize("name", ["default", "env"])
def test_a_secret_that_is_not_known_here_is_not_compared(name):
    watch = planned(PLANS[name], secrets={"discord": None})
    assert WEBHOOK_VARIABLE not in watch.function.wanted["environment"]
    assert all("value" not in one.wanted for one in watch.function.secrets)


def test_the_notifier_is_told_the_watch_the_trail_and_how_alerts_read():
    alerts = {"language": "en", "timezone": "Europe/Berlin"}
    variables = planned({**CHANNEL, "name": "mine", "alerts": alerts}).function.environment
    lists = {"CTWATCH_CHANNELS", "CTWATCH_OWN"}
    assert {key: variables[key] for key in variables if key not in lists} == {
        "CTWATCH_WATCH": "mine",
        "CTWATCH_TRAIL": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/ct-trail-monitor",
        "CTWATCH_BUCKET": f"s3-cloudtrail-monitor-{ACCOUNT}-{REGION}-an",
        "CTWATCH_LANGUAGE": "en",
        "CTWATCH_TIMEZONE": "Europe/Berlin",
    }


def test_the_notifier_is_told_what_else_the_trail_delivers_to():
    trail = {"cloudwatch_logs": True, "delivery_notifications": True}
    variables = planned({**CHANNEL, "name": "mine", "trail": trail}).function.environment
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/cloudtrail/ct-trail-monitor"
    assert variables["CTWATCH_LOG_GROUP"] == group
    assert variables["CTWATCH_DELIVERIES"] == f"arn:aws:sns:{REGION}:{ACCOUNT}:mine-deliveries"


def test_an_entry_of_a_channel_says_nothing_of_what_is_the_default():
    given = [
        {"type": "slack", "url": "env:A", "min_severity": "low", "only": []},
        {"type": "teams", "url": "env:B", "min_severity": "high", "only": ["root-login"]},
    ]
    function = planned({"channels": given}).function
    assert json.loads(function.environment["CTWATCH_CHANNELS"]) == [
        {"name": "slack", "type": "slack", "secret": "ssm:/ctwatch/slack"},
        {
            "name": "teams",
            "type": "teams",
            "secret": "ssm:/ctwatch/teams",
            "min_severity": "high",
            "only": ["root-login"],
        },
    ]
    assert [one.name for one in function.secrets_of("teams")] == ["/ctwatch/teams"]
    assert function.secrets_of("discord") == ()


@pytest.mark.parametrize(
    ("kind", "variable"),
    [
        ("discord", "DISCORD_WEBHOOK_URL"),
        ("slack", "SLACK_WEBHOOK_URL"),
        ("teams", "TEAMS_WEBHOOK_URL"),
        ("webhook", "WEBHOOK_URL"),
    ],
)
def test_a_secret_in_the_environment_has_the_variable_of_its_type(kind, variable):
    channel = {"type": kind, "url": "env:X", "name": "mine"}
    function = planned({"channels": [channel], "function": {"secret": "env"}}).function
    assert json.loads(function.environment["CTWATCH_CHANNELS"])[0]["secret"] == f"env:{variable}"
    assert function.environment[variable] == HOOK
    assert function.hidden == {variable}
    assert function.confidential == (HOOK,)
    assert function.secrets_of("mine") == ()


def test_the_function_is_as_the_config_says():
    wish = {"name": "f", "runtime": "python3.12", "architecture": "arm64", "log_retention_days": 7}
    function = planned({**CHANNEL, "function": wish}).function
    assert (function.name, function.runtime, function.architecture) == (
        "f", "python3.12", "arm64",
    )  # fmt: skip
    assert (function.log_group.name, function.log_group.retention) == ("/aws/lambda/f", 7)
    assert function.channels == ("discord",)
    assert (function.wanted["timeout"], function.wanted["memory"]) == (15, 256)


def test_a_target_is_tried_for_a_day_as_often_as_aws_allows():
    [rule] = planned(CHANNEL).rules
    for target in rule.wanted["targets"].values():
        assert target["RetryPolicy"] == {
            "MaximumEventAgeInSeconds": 86_400,
            "MaximumRetryAttempts": 185,
        }


def test_insights_are_off_unless_asked_for():
    assert planned(MAIL).trail.wanted["insights"] == []
    asked = planned({**MAIL, "trail": {"insights": ["api-error-rate", "api-call-rate"]}})
    assert asked.trail.wanted["insights"] == ["api-call-rate", "api-error-rate"]


def test_a_bucket_is_in_the_account_s_namespace_exactly_when_its_name_says_so():
    assert planned(MAIL).bucket.account_regional
    assert not planned({**MAIL, "bucket": {"name": "logs"}}).bucket.account_regional


def test_old_logs_are_kept_unless_the_config_says_otherwise():
    assert planned(MAIL).bucket.lifecycle is None


def test_old_logs_are_archived_deleted_and_their_old_versions_too():
    [rule] = planned(PLANS["lifecycle"]).bucket.lifecycle
    assert rule == {
        "ID": "ctwatch",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Days": 365},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "Transitions": [{"Days": 90, "StorageClass": "GLACIER_IR"}],
    }
    [plain] = planned({**MAIL, "bucket": {"lifecycle": {"expire_days": 30}}}).bucket.lifecycle
    assert "Transitions" not in plain


@every_plan
def test_every_part_is_a_resource(document):
    assert all(isinstance(one, Resource) for one in planned(document).resources)
