"""What AWS refuses or fills in and an emulator is apt not to, row by row.

`ROWS` is the table: each row is a test that asks with boto3 for one refusal or one default and sees
AWS's own code and message, or value. Those that say more than a row stand with their service
(`test_sandbox_strictness`, `test_sandbox_trails`), the rest here. What the sandbox has not is in
`LEFT` with the reason, and the table says how many there are of each.

`MEASURED` is a second table, of what was once seen to differ in moto.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import test_like_aws_delays as slow
import test_sandbox_delivery as delivery
import test_sandbox_records as records
import test_sandbox_strictness as strictness
import test_sandbox_trails as trails
from delivery_world import zipped
from sandbox_stand_ins import ACCOUNT, SEOUL, VIRGINIA, bucket_policy, refused
from shared_clients import by_hand

from ctwatch.sandbox.server import Sandbox

Ask = Callable[..., Any]
"""A client by service and region."""

PATTERN = json.dumps({"source": ["ours"]})
TAG = {"Key": "ctwatch", "Value": "1"}


@pytest.fixture(scope="module")
def reach(running: Sandbox) -> Ask:
    return by_hand(running)


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


@pytest.fixture
def ask(sandbox: Sandbox, reach: Ask) -> Ask:
    """Clients of an empty account."""
    del sandbox
    return reach


# S3: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html


def test_head_bucket_has_a_bare_404_for_none(ask: Ask) -> None:
    assert refused(ask("s3").head_bucket, Bucket="nobody-s-bucket") == ("404", "Not Found")


def test_a_bucket_is_made_where_it_is_asked_for(ask: Ask) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html."""
    why, message = refused(ask("s3").create_bucket, Bucket="our-bucket")
    assert why == "IllegalLocationConstraintException"
    assert message.startswith("The unspecified location constraint is incompatible for the region ")
    virginia = {"CreateBucketConfiguration": {"LocationConstraint": VIRGINIA}}
    assert refused(ask("s3", VIRGINIA).create_bucket, Bucket="our-bucket", **virginia) == (
        "InvalidLocationConstraint",
        "The specified location-constraint is not valid",
    )


# CloudTrail: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html


def make_bucket(ask: Ask, name: str = "our-logs", *watched: str) -> str:
    ask("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": SEOUL})
    ask("s3").put_bucket_policy(Bucket=name, Policy=bucket_policy(name, *(watched or ["watched"])))
    return name


@pytest.fixture
def trail(ask: Ask) -> str:
    """A trail that does not log yet: its ARN."""
    made = ask("cloudtrail").create_trail(Name="watched", S3BucketName=make_bucket(ask))
    return str(made["TrailARN"])


def test_a_new_trail_logs_only_when_it_is_started(ask: Ask, trail: str) -> None:
    assert not ask("cloudtrail").get_trail_status(Name=trail)["IsLogging"]
    ask("cloudtrail").start_logging(Name=trail)
    assert ask("cloudtrail").get_trail_status(Name=trail)["IsLogging"]


def test_a_trail_s_times_are_times(ask: Ask, trail: str) -> None:
    for one in (ask("cloudtrail").start_logging, ask("cloudtrail").stop_logging):
        one(Name=trail)
    told = ask("cloudtrail").get_trail_status(Name=trail)
    for field in ("StartLoggingTime", "StopLoggingTime", "LatestDeliveryTime"):
        assert isinstance(told[field], datetime)
        assert told[field].tzinfo
    assert isinstance(told["TimeLoggingStarted"], str)


def test_the_history_has_the_call_that_was_just_made(ask: Ask, trail: str) -> None:
    ask("cloudtrail").stop_logging(Name=trail)
    asked = [{"AttributeKey": "EventName", "AttributeValue": "StopLogging"}]
    [found] = ask("cloudtrail").lookup_events(LookupAttributes=asked)["Events"]
    record = json.loads(found["CloudTrailEvent"])
    assert record["requestParameters"] == {"name": trail}
    assert (record["eventName"], record["readOnly"]) == ("StopLogging", False)


def test_a_trail_that_logs_delivers_its_files(ask: Ask, sandbox: Sandbox, trail: str) -> None:
    """Every five minutes on AWS; here it is the test that says when these are over."""
    ask("cloudtrail").start_logging(Name=trail)
    ask("sns").create_topic(Name="recorded")
    delivered = sandbox.deliver_logs()
    listed = ask("s3").list_objects_v2(Bucket="our-logs")["Contents"]
    assert [one["Key"] for one in listed] == delivered
    assert delivered[0].startswith(f"AWSLogs/{ACCOUNT}/CloudTrail/{SEOUL}/")
    ask("cloudtrail").stop_logging(Name=trail)
    assert sandbox.deliver_logs() == []


# SNS: https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html


@pytest.fixture
def topic(ask: Ask) -> str:
    return str(ask("sns").create_topic(Name="alerts")["TopicArn"])


def subscribe(ask: Ask, topic: str, **more: Any) -> str:
    asked = {"TopicArn": topic, "Protocol": "email", "Endpoint": "we@example.com", **more}
    return str(ask("sns").subscribe(**asked)["SubscriptionArn"])


def test_an_email_address_is_asked_before_it_gets_anything(ask: Ask, topic: str) -> None:
    assert subscribe(ask, topic) == "pending confirmation"
    arn = subscribe(ask, topic, ReturnSubscriptionArn=True)
    told = ask("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert told["PendingConfirmation"] == "true"


def test_what_is_pending_is_listed_without_its_arn(ask: Ask, topic: str) -> None:
    subscribe(ask, topic)
    for listed in (
        ask("sns").list_subscriptions_by_topic(TopicArn=topic),
        ask("sns").list_subscriptions(),
    ):
        [one] = listed["Subscriptions"]
        assert one["SubscriptionArn"] == "PendingConfirmation"


def test_an_address_is_subscribed_once(ask: Ask, topic: str) -> None:
    first, again = (subscribe(ask, topic, ReturnSubscriptionArn=True) for _ in range(2))
    assert first == again
    assert len(ask("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 1


def test_an_address_that_is_none_is_refused(ask: Ask, topic: str) -> None:
    asked = {"TopicArn": topic, "Protocol": "email", "Endpoint": "nobody"}
    assert refused(ask("sns").subscribe, **asked) == (
        "InvalidParameter",
        "Invalid parameter: Email address",
    )


def test_a_token_that_sns_never_sent_confirms_nothing(ask: Ask, topic: str) -> None:
    subscribe(ask, topic)
    assert refused(ask("sns").confirm_subscription, TopicArn=topic, Token="0" * 128) == (
        "InvalidParameter",
        "Invalid parameter: Token",
    )
    assert ask("sns").get_topic_attributes(TopicArn=topic)["Attributes"][
        "SubscriptionsPending"
    ] == ("1")


def test_what_is_pending_cannot_be_ended_and_what_is_gone_may_be_ended_again(
    ask: Ask, topic: str
) -> None:
    pending = subscribe(ask, topic, ReturnSubscriptionArn=True)
    why = "Invalid parameter: SubscriptionArn Reason: "
    for arn, reason in (
        ("PendingConfirmation", "An ARN must have at least 6 elements, not 1"),
        (pending, "Cannot unsubscribe a subscription that is pending confirmation"),
    ):
        asked = {"SubscriptionArn": arn}
        assert refused(ask("sns").unsubscribe, **asked) == ("InvalidParameter", why + reason)
    queue = f"arn:aws:sqs:{SEOUL}:{ACCOUNT}:letters"
    arn = subscribe(ask, topic, Protocol="sqs", Endpoint=queue)
    for _ in range(2):
        ask("sns").unsubscribe(SubscriptionArn=arn)


SUBJECT = ("InvalidParameter", "Invalid parameter: Subject")


def test_a_subject_is_shorter_than_100_characters(ask: Ask, topic: str) -> None:
    """https://docs.aws.amazon.com/sns/latest/api/API_Publish.html."""
    asked = {"TopicArn": topic, "Message": "hello"}
    ask("sns").publish(**asked, Subject="a" * 99)
    assert refused(ask("sns").publish, **asked, Subject="a" * 101) == SUBJECT


@pytest.mark.parametrize("subject", ["", "two\nlines"])
def test_a_subject_is_one_line_of_text(ask: Ask, topic: str, subject: str) -> None:
    asked = {"TopicArn": topic, "Message": "hello", "Subject": subject}
    assert refused(ask("sns").publish, **asked) == SUBJECT


# Lambda: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html


@pytest.fixture
def role(ask: Ask) -> str:
    made = ask("iam").create_role(RoleName="runner", AssumeRolePolicyDocument=strictness.TRUST)
    allow = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    ask("iam").put_role_policy(RoleName="runner", PolicyName="log", PolicyDocument=document)
    return str(made["Role"]["Arn"])


def test_a_function_is_pending_until_it_is_active(ask: Ask, role: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html."""
    made = strictness.make_function(ask("lambda"), Role=role)
    assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating")
    ask("lambda").get_waiter("function_active_v2").wait(FunctionName="ours")
    told = ask("lambda").get_function_configuration(FunctionName="ours")
    assert (told["State"], "StateReasonCode" in told) == ("Active", False)


def test_a_function_tells_the_digest_of_its_code(ask: Ask, role: str) -> None:
    content = strictness.archive()
    made = strictness.make_function(ask("lambda"), Role=role, Code={"ZipFile": content})
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(content).digest()).decode()


def test_what_a_function_prints_is_in_its_log(ask: Ask, sandbox: Sandbox, role: str) -> None:
    ask("logs").create_log_group(logGroupName="/aws/lambda/ours")
    code = zipped(main="def handler(event, context): return event")
    strictness.make_function(ask("lambda"), Role=role, Code={"ZipFile": code})
    ran = ask("lambda").invoke(FunctionName="ours", Payload=b'{"a": 1}')
    assert json.load(ran["Payload"]) == {"a": 1}
    assert sandbox.idle()
    written = ask("logs").filter_log_events(logGroupName="/aws/lambda/ours")["events"]
    kinds = [one["message"].split()[0] for one in written]
    assert [one for one in kinds if one in {"START", "END", "REPORT"}] == ["START", "END", "REPORT"]


# EventBridge: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html


def test_nobody_puts_events_in_the_name_of_aws(ask: Ask) -> None:
    entries = [
        {"Source": source, "DetailType": "Test", "Detail": "{}"}
        for source in ("aws.cloudtrail", "ours")
    ]
    told = ask("events").put_events(Entries=entries)
    assert told["FailedEntryCount"] == 1
    assert told["Entries"][0] == {
        "ErrorCode": "NotAuthorizedForSourceException",
        "ErrorMessage": "Not authorized for the source.",
    }
    assert told["Entries"][1].keys() == {"EventId"}


# Parameter Store, the tagging API, Organizations


def test_a_secure_string_is_deciphered_only_when_asked(ask: Ask) -> None:
    put = {"Name": "/ctwatch/webhook", "Value": "in the clear", "Type": "SecureString"}
    ask("ssm").put_parameter(**put)
    for operation, which, of in (
        ("get_parameter", {"Name": put["Name"]}, lambda told: told["Parameter"]),
        ("get_parameters", {"Names": [put["Name"]]}, lambda told: told["Parameters"][0]),
        ("get_parameters_by_path", {"Path": "/ctwatch"}, lambda told: told["Parameters"][0]),
        ("get_parameter_history", {"Name": put["Name"]}, lambda told: told["Parameters"][0]),
    ):
        read = getattr(ask("ssm"), operation)
        assert "in the clear" not in of(read(**which))["Value"]
        assert of(read(**which, WithDecryption=True))["Value"] == "in the clear"


def test_everything_is_found_by_its_tag(ask: Ask, role: str) -> None:
    """https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html."""
    bucket = make_bucket(ask)
    ask("s3").put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [TAG]})
    made = {"Name": "watched", "S3BucketName": bucket, "TagsList": [TAG]}
    function = strictness.make_function(ask("lambda"), Role=role, Tags={"ctwatch": "1"})
    wanted = [
        f"arn:aws:s3:::{bucket}",
        ask("cloudtrail").create_trail(**made)["TrailARN"],
        ask("sns").create_topic(Name="alerts", Tags=[TAG])["TopicArn"],
        ask("events").put_rule(Name="ours", EventPattern=PATTERN, Tags=[TAG])["RuleArn"],
        function["FunctionArn"],
    ]
    ask("sns").create_topic(Name="theirs")
    asked = [{"Key": "ctwatch", "Values": ["1"]}]
    found = ask("resourcegroupstaggingapi").get_resources(TagFilters=asked)
    assert {one["ResourceARN"] for one in found["ResourceTagMappingList"]} == {*wanted}


def test_an_account_of_its_own_has_no_organization(ask: Ask) -> None:
    """https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeOrganization.html."""
    assert refused(ask("organizations", VIRGINIA).describe_organization) == (
        "AWSOrganizationsNotInUseException",
        "Your account is not a member of an organization.",
    )


# The tables

Test = Callable[..., Any]

ROWS: dict[str, tuple[Test, ...]] = {
    "s3": (
        strictness.test_a_new_bucket_is_encrypted_by_s3,
        strictness.test_a_new_bucket_is_private_and_keeps_its_tags,
        strictness.test_a_malformed_bucket_policy_is_refused,
        strictness.test_a_bucket_policy_is_about_its_own_bucket_alone,
        strictness.test_a_public_policy_is_refused_while_public_policies_are_blocked,
        strictness.test_objects_come_back_and_a_bucket_with_objects_stays,
        test_head_bucket_has_a_bare_404_for_none,
        strictness.test_a_bucket_made_again_is_owned_already_and_in_virginia_is_left_as_it_was,
        strictness.test_a_name_that_no_bucket_can_have_is_refused,
    ),
    "cloudtrail": (
        test_a_new_trail_logs_only_when_it_is_started,
        test_a_trail_s_times_are_times,
        trails.test_a_new_trail_logs_all_management_events,
        trails.test_one_kind_of_event_selectors_replaces_the_other,
        trails.test_insight_selectors_are_replaced_not_added_to,
        test_the_history_has_the_call_that_was_just_made,
        trails.test_a_trail_is_changed_only_at_home,
        trails.test_describe_trails_gives_those_asked_for,
        trails.test_a_second_trail_of_a_name_is_refused_and_the_first_stays,
        trails.test_a_trail_needs_a_bucket_that_exists,
        trails.test_a_trail_needs_a_bucket_policy,
        trails.test_a_name_that_no_trail_can_have_is_refused,
        trails.test_a_trail_is_not_named_like_an_ip_address,
        trails.test_a_multi_region_trail_includes_global_events,
        trails.test_every_operation_says_when_there_is_no_such_trail,
        trails.test_an_arn_does_for_a_name_everywhere,
        trails.test_a_log_group_for_the_trail_must_exist_and_so_must_its_role,
        trails.test_the_sixth_trail_of_a_region_is_refused_and_shadows_count,
        test_a_trail_that_logs_delivers_its_files,
    ),
    "sns": (
        strictness.test_a_topic_made_again_has_the_same_tags,
        strictness.test_a_malformed_topic_policy_is_refused,
        test_an_email_address_is_asked_before_it_gets_anything,
        test_what_is_pending_is_listed_without_its_arn,
        test_an_address_is_subscribed_once,
        test_an_address_that_is_none_is_refused,
        test_a_token_that_sns_never_sent_confirms_nothing,
        test_what_is_pending_cannot_be_ended_and_what_is_gone_may_be_ended_again,
        test_a_subject_is_shorter_than_100_characters,
    ),
    "iam": (
        strictness.test_a_malformed_role_policy_is_refused_and_one_in_use_keeps_its_role,
        strictness.test_a_malformed_trust_policy_is_refused,
    ),
    "lambda": (
        strictness.test_a_function_needs_a_role_that_is_there,
        test_a_function_is_pending_until_it_is_active,
        test_a_function_tells_the_digest_of_its_code,
        strictness.test_a_permission_is_given_once,
        strictness.test_a_second_function_of_a_name_is_refused,
        strictness.test_a_function_that_does_not_exist_is_not_found,
        strictness.test_a_runtime_that_lambda_does_not_have_is_refused,
        strictness.test_code_that_is_no_zip_is_refused,
    ),
    "events": (
        strictness.test_a_pattern_that_is_not_valid_is_refused_with_the_reason,
        strictness.test_an_operator_that_patterns_do_not_have_is_refused,
        strictness.test_a_name_that_no_rule_can_have_is_refused,
        strictness.test_a_rule_has_at_most_five_targets,
        strictness.test_a_rule_with_targets_is_not_deleted,
        test_nobody_puts_events_in_the_name_of_aws,
    ),
    "ssm": (test_a_secure_string_is_deciphered_only_when_asked,),
    "logs": (test_what_a_function_prints_is_in_its_log,),
    "tagging": (test_everything_is_found_by_its_tag,),
    "organizations": (test_an_account_of_its_own_has_no_organization,),
    "every service": (strictness.test_an_unknown_access_key_is_refused,),
}
"""The rows that are right, by service."""

LEFT: dict[str, tuple[str, Test]] = {
    "lambda: a role that was just made cannot be assumed yet": (
        "here it is assumed at once; the sandbox that is as slow to agree as AWS refuses it",
        slow.test_a_new_role_cannot_be_assumed_by_lambda_or_eventbridge_for_some_seconds,
    )
}
"""The rows that are not, each with the reason, and the test of the slow sandbox that has it."""

MEASURED: dict[str, tuple[Test, ...]] = {
    "CreateTrail without a bucket policy": (trails.test_a_trail_needs_a_bucket_policy,),
    "from CloudTrail to EventBridge": (
        records.test_nothing_travels_until_a_trail_logs,
        records.test_a_multi_region_trail_watches_every_region,
    ),
    "StartLogging, StopLogging": (trails.test_a_name_that_a_trail_can_have_is_only_not_found,),
    "DeleteTrail": (trails.test_every_operation_says_when_there_is_no_such_trail,),
    "UpdateTrail and the rest": (trails.test_a_single_region_trail_is_not_found_by_name_elsewhere,),
    "CreateTrail again, or once too often": (
        trails.test_a_second_trail_of_a_name_is_refused_and_the_first_stays,
        trails.test_the_sixth_trail_of_a_region_is_refused_and_shadows_count,
    ),
    "GetInsightSelectors of none": (trails.test_insight_selectors_are_replaced_not_added_to,),
    "GetEventSelectors of a new trail": (trails.test_a_new_trail_logs_all_management_events,),
    "LookupEvents": (records.test_the_history_needs_no_trail_and_shows_the_newest_first,),
    "TestEventPattern": (strictness.test_a_pattern_can_be_tried_on_an_event,),
    "PutEvents": (test_nobody_puts_events_in_the_name_of_aws,),
    "a pattern, or targets, too many": (
        strictness.test_a_pattern_has_at_most_2048_characters,
        strictness.test_a_rule_has_at_most_five_targets,
    ),
    "DeleteRule with targets": (strictness.test_a_rule_with_targets_is_not_deleted,),
    "Subscribe by mail": (test_an_email_address_is_asked_before_it_gets_anything,),
    "Publish": (test_a_subject_is_one_line_of_text,),
    "AddPermission again": (strictness.test_a_permission_is_given_once,),
    "CreateFunction without a role": (strictness.test_a_function_needs_a_role_that_is_there,),
    "DeleteRole": (
        strictness.test_a_malformed_role_policy_is_refused_and_one_in_use_keeps_its_role,
    ),
    "DeleteBucket": (strictness.test_objects_come_back_and_a_bucket_with_objects_stays,),
    "CreateBucket": (test_a_bucket_is_made_where_it_is_asked_for,),
    "CreateTopic again": (strictness.test_a_topic_made_again_has_the_same_tags,),
    "CreateRole in Korean": (strictness.test_a_description_that_iam_cannot_keep_is_refused,),
    "policies that decide": (
        trails.test_a_bucket_policy_must_let_cloudtrail_in_for_this_trail,
        delivery.test_a_topic_needs_an_unconditioned_grant_for_eventbridge,
        delivery.test_an_encrypted_topic_s_key_must_let_eventbridge_in_without_condition,
    ),
    "a bucket of the account's own": (
        strictness.test_a_bucket_in_the_accounts_own_namespace_has_its_form,
    ),
}


def all_rows() -> Iterator[Test]:
    for rows in ROWS.values():
        yield from rows


def every_test() -> Iterator[Test]:
    yield from all_rows()
    yield from (one for rows in MEASURED.values() for one in rows)
    yield from (one for _, one in LEFT.values())


def test_the_table_has_59_rows_of_which_at_least_55_are_right() -> None:
    assert len(set(all_rows())) == sum(map(len, ROWS.values()))  # no test proves two
    assert (len(set(all_rows())), len(LEFT)) == (58, 1)


def test_no_row_rests() -> None:
    marks = {mark.name for one in every_test() for mark in getattr(one, "pytestmark", ())}
    assert marks == {"parametrize"}  # neither skipped nor expected to fail


def test_every_test_here_is_a_row() -> None:
    here = {one for name, one in globals().items() if name.startswith("test_") and callable(one)}
    assert {one.__name__ for one in here - {*every_test()}} == {
        "test_the_table_has_59_rows_of_which_at_least_55_are_right",
        "test_no_row_rests",
        "test_every_test_here_is_a_row",
    }
    assert len(MEASURED) == 24  # as many as were seen
