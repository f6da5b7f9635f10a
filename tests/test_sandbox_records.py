"""The CloudTrail record of a call, where it travels, and the event history."""

import io
import json
import re
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from sandbox_stand_ins import (
    ACCOUNT,
    SEOUL,
    VIRGINIA,
    bucket_policy,
    client,
    code,
    front,
    make_bucket,
    make_trail,
    refused,
)

from ctwatch.sandbox import records
from ctwatch.sandbox.calls import Call, Refusal

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
)


@pytest.fixture(scope="module")
def running():
    with front() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    running.reset()
    return running


@pytest.fixture
def plane(sandbox):
    return sandbox._delivery


@pytest.fixture
def watched(sandbox, plane):
    make_trail(sandbox, IsMultiRegionTrail=True)
    plane.reset()
    return plane


def last(plane):
    return plane.events[-1][1]["detail"]


def test_a_stopped_trail_is_told_in_a_record_of_the_real_shape(sandbox, watched):
    answer = client(sandbox, "cloudtrail").stop_logging(Name="watched")
    ((region, event),) = watched.events
    assert region == SEOUL
    detail = event.pop("detail")
    assert re.fullmatch(r"[0-9a-f-]{36}", event.pop("id"))
    when = event.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", when)
    assert event == {
        "version": "0",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.cloudtrail",
        "account": ACCOUNT,
        "region": SEOUL,
        "resources": [],
    }
    assert "Boto3" in detail.pop("userAgent")
    assert re.fullmatch(r"[0-9a-f-]{36}", detail.pop("eventID"))
    key = sandbox.env()["AWS_ACCESS_KEY_ID"]
    assert detail == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": f"AIDA{key[4:]}",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/sandbox",
            "accountId": ACCOUNT,
            "accessKeyId": key,
            "userName": "sandbox",
        },
        "eventTime": when,
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging",
        "awsRegion": SEOUL,
        "sourceIPAddress": "127.0.0.1",
        "requestParameters": {"name": "watched"},
        "responseElements": None,
        "requestID": answer["ResponseMetadata"]["RequestId"],
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": f"cloudtrail.{SEOUL}.amazonaws.com",
        },
    }


def test_a_refused_call_is_recorded_with_its_error(sandbox, watched):
    _, message = refused(client(sandbox, "cloudtrail").delete_trail, Name="ctwatch-probe-1")
    assert last(watched)["errorCode"] == "TrailNotFoundException"
    assert last(watched)["errorMessage"] == message
    assert last(watched)["requestParameters"] == {"name": "ctwatch-probe-1"}


@pytest.mark.parametrize(
    ("asked", "params", "error"),
    [
        ("iam.delete_role", {"RoleName": "absent"}, "NoSuchEntityException"),
        ("sns.create_topic", {"Name": "two words"}, "InvalidParameterException"),
        ("s3.delete_bucket", {"Bucket": "absent"}, "NoSuchBucket"),
        ("s3.head_bucket", {"Bucket": "absent"}, "NoSuchBucket"),
        ("lambda.delete_function", {"FunctionName": "no"}, "ResourceNotFoundException"),
        ("dynamodb.delete_table", {"TableName": "no-such"}, "ResourceNotFoundException"),
        ("guardduty.delete_detector", {"DetectorId": "none"}, "BadRequestException"),
        (
            "config.stop_configuration_recorder",
            {"ConfigurationRecorderName": "none"},
            "NoSuchConfigurationRecorderException",
        ),
    ],
)
def test_an_error_is_recorded_by_the_name_that_cloudtrail_uses(
    sandbox, watched, asked, params, error
):
    service, operation = asked.split(".")
    code(getattr(client(sandbox, service), operation), **params)
    assert last(watched)["errorCode"] == error


def test_ec2_says_whose_fault_it_was_and_keeps_lists_as_items(sandbox, watched):
    opened = {"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "192.0.2.1/32"}]}
    asked = {"GroupName": "ctwatch-probe-1", "IpPermissions": [opened]}
    ec2 = client(sandbox, "ec2")
    with pytest.raises(ClientError) as told:
        ec2.authorize_security_group_ingress(**asked)
    assert told.value.response["Error"]["Code"] == "InvalidGroup.NotFound"
    detail = last(watched)
    assert detail["eventSource"] == "ec2.amazonaws.com"
    assert detail["errorCode"] == "Client.InvalidGroup.NotFound"
    assert detail["requestID"] == told.value.response["ResponseMetadata"]["RequestId"]
    assert detail["requestParameters"] == {
        "groupName": "ctwatch-probe-1",
        "ipPermissions": {
            "items": [{"ipProtocol": "tcp", "ipRanges": {"items": [{"cidrIp": "192.0.2.1/32"}]}}]
        },
    }


def test_what_a_call_answers_is_told_for_writes_only(sandbox, watched):
    sns = client(sandbox, "sns")
    arn = sns.create_topic(Name="alerts")["TopicArn"]
    assert last(watched)["requestParameters"] == {"name": "alerts"}
    assert last(watched)["responseElements"] == {"topicArn": arn}
    sns.get_topic_attributes(TopicArn=arn)
    assert last(watched)["responseElements"] is None
    assert last(watched)["readOnly"] is True
    sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="x")
    assert last(watched)["responseElements"] is None


def test_a_moment_is_told_as_cloudtrail_tells_it(sandbox, watched):
    client(sandbox, "iam").create_role(RoleName="runner", AssumeRolePolicyDocument=TRUST)
    role = last(watched)["responseElements"]["role"]
    assert role["roleName"] == "runner"
    assert re.fullmatch(r"[A-Z][a-z]{2} \d+, \d{4}, \d+:\d\d:\d\d [AP]M", role["createDate"])


def test_iam_is_recorded_in_virginia(sandbox, watched):
    client(sandbox, "iam").create_role(RoleName="runner", AssumeRolePolicyDocument=TRUST)
    region, event = watched.events[-1]
    assert (region, event["region"], last(watched)["awsRegion"]) == (VIRGINIA,) * 3
    assert last(watched)["tlsDetails"]["clientProvidedHostHeader"] == "iam.amazonaws.com"


def test_s3_has_names_and_parameters_of_its_own(sandbox, watched):
    s3 = client(sandbox, "s3")
    bucket = {"Bucket": "watched-logs"}
    s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Suspended"})
    assert last(watched)["requestParameters"] == {
        "bucketName": "watched-logs",
        "Host": f"watched-logs.s3.{SEOUL}.amazonaws.com",
        "versioning": "",
        "VersioningConfiguration": {
            "xmlns": "http://s3.amazonaws.com/doc/2006-03-01/",
            "Status": "Suspended",
        },
    }
    assert last(watched)["additionalEventData"]["SignatureVersion"] == "SigV4"
    s3.delete_public_access_block(**bucket)
    assert last(watched)["eventName"] == "DeleteBucketPublicAccessBlock"
    rule = {"ID": "x", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration={"Rules": [rule]})
    assert last(watched)["eventName"] == "PutBucketLifecycle"
    policy = bucket_policy("watched-logs", "watched")
    s3.put_bucket_policy(**bucket, Policy=policy)
    assert last(watched)["requestParameters"]["bucketPolicy"] == json.loads(policy)
    code(s3.put_bucket_policy, **bucket, Policy="nonsense")
    assert last(watched)["requestParameters"]["bucketPolicy"] == "nonsense"
    s3.list_buckets()
    host = {"Host": f"s3.{SEOUL}.amazonaws.com"}
    assert last(watched)["requestParameters"].items() >= host.items()


def test_a_function_is_told_under_its_versioned_name_without_code_or_environment(sandbox, watched):
    client(sandbox, "iam").create_role(RoleName="runner", AssumeRolePolicyDocument=TRUST)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as written:
        written.writestr("main.py", "")
    functions = client(sandbox, "lambda")
    functions.create_function(
        FunctionName="ours",
        Runtime="python3.13",
        Role=f"arn:aws:iam::{ACCOUNT}:role/runner",
        Handler="main.handler",
        Code={"ZipFile": held.getvalue()},
        Environment={"Variables": {"DISCORD_WEBHOOK_URL": "secret"}},
    )
    assert last(watched)["eventName"] == "CreateFunction20150331"
    assert last(watched)["requestParameters"]["code"] == {}
    assert last(watched)["requestParameters"]["environment"] == {}
    assert last(watched)["responseElements"]["functionName"] == "ours"
    functions.update_function_code(FunctionName="ours", ZipFile=held.getvalue())
    assert last(watched)["eventName"] == "UpdateFunctionCode20150331v2"
    assert last(watched)["requestParameters"] == {"functionName": "ours"}
    assert "secret" not in json.dumps(watched.events)


def test_secrets_are_hidden(sandbox, watched):
    ssm = client(sandbox, "ssm")
    ssm.put_parameter(Name="/webhook", Value="secret-value", Type="SecureString")
    assert last(watched)["requestParameters"]["value"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    client(sandbox, "iam").create_user(UserName="eve")
    key = client(sandbox, "iam").create_access_key(UserName="eve")["AccessKey"]
    told = json.dumps(watched.events)
    assert "secret-value" not in told
    assert key["AccessKeyId"] in told
    assert key["SecretAccessKey"] not in told


def test_data_events_are_not_recorded(sandbox, watched):
    s3, sqs, sns = (client(sandbox, one) for one in ("s3", "sqs", "sns"))
    url = sqs.create_queue(QueueName="letters")["QueueUrl"]
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    client(sandbox, "logs").create_log_group(logGroupName="ours")
    watched.reset()
    with sandbox.recording() as seen:
        s3.put_object(Bucket="watched-logs", Key="k", Body=b"x")
        s3.get_object(Bucket="watched-logs", Key="k")
        s3.list_objects_v2(Bucket="watched-logs")
        s3.delete_objects(Bucket="watched-logs", Delete={"Objects": [{"Key": "k"}]})
        sqs.send_message(QueueUrl=url, MessageBody="x")
        sqs.receive_message(QueueUrl=url)
        sns.publish(TopicArn=topic, Message="x")
        client(sandbox, "logs").filter_log_events(logGroupName="ours")
    assert watched.events == []
    assert len(seen) == 8
    assert {one.event_id for one in seen} == {""}
    sqs.purge_queue(QueueUrl=url)
    assert watched.names() == ["PurgeQueue"]


def test_a_session_of_a_role_is_told_with_its_issuer(sandbox, watched):
    iam, everything = client(sandbox, "iam"), "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.create_role(RoleName="runner", AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName="runner", PolicyArn=everything)
    lent = sandbox.credentials(f"arn:aws:iam::{ACCOUNT}:role/runner", "ours")
    assert lent["AWS_ENDPOINT_URL"] == sandbox.url
    assert lent["AWS_REGION"] == SEOUL
    cloudtrail = client(
        sandbox,
        "cloudtrail",
        aws_access_key_id=lent["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=lent["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=lent["AWS_SESSION_TOKEN"],
    )
    cloudtrail.stop_logging(Name="watched")
    identity = last(watched)["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/runner/ours"
    issuer = identity["sessionContext"]["sessionIssuer"]
    assert issuer["arn"] == f"arn:aws:iam::{ACCOUNT}:role/runner"
    assert identity["principalId"] == f"{issuer['principalId']}:ours"


# Which calls travel


def test_nothing_travels_until_a_trail_logs(sandbox, plane):
    make_trail(sandbox, logging=False)
    assert plane.events == []
    hop = sandbox.story[-1]
    assert (hop.stage, hop.ok) == ("record", False)
    assert "No trail was logging" in hop.text
    cloudtrail = client(sandbox, "cloudtrail")
    cloudtrail.start_logging(Name="watched")
    assert plane.events == []
    cloudtrail.update_trail(Name="watched")
    assert plane.names() == ["UpdateTrail"]
    assert sandbox.story[-1].ok


def test_the_state_before_the_call_decides(sandbox, watched):
    cloudtrail = client(sandbox, "cloudtrail")
    cloudtrail.stop_logging(Name="watched")
    cloudtrail.delete_trail(Name="watched")
    assert watched.names() == ["StopLogging"]


def test_deleting_a_logging_trail_travels(sandbox, watched):
    client(sandbox, "cloudtrail").delete_trail(Name="watched")
    assert watched.names() == ["DeleteTrail"]


def test_another_logging_trail_is_enough(sandbox, watched):
    make_trail(sandbox, "second")
    cloudtrail = client(sandbox, "cloudtrail")
    cloudtrail.stop_logging(Name="watched")
    watched.reset()
    cloudtrail.delete_trail(Name="watched")
    assert watched.names() == ["DeleteTrail"]


def test_a_single_region_trail_watches_its_region_alone(sandbox, plane):
    make_trail(sandbox)
    plane.reset()
    client(sandbox, "sns", VIRGINIA).create_topic(Name="away")
    client(sandbox, "iam").create_user(UserName="eve")
    assert plane.events == []
    client(sandbox, "sns").create_topic(Name="here")
    assert plane.names() == ["CreateTopic"]


def test_a_multi_region_trail_watches_every_region(sandbox, watched):
    client(sandbox, "sns", VIRGINIA).create_topic(Name="away")
    assert watched.events[-1][0] == VIRGINIA


def test_a_trail_in_virginia_watches_global_services_unless_told_not_to(sandbox, plane):
    make_trail(sandbox, region=VIRGINIA)
    plane.reset()
    client(sandbox, "iam").create_user(UserName="eve")
    assert plane.names() == ["CreateUser"]
    client(sandbox, "cloudtrail", VIRGINIA).update_trail(
        Name="watched", IncludeGlobalServiceEvents=False
    )
    plane.reset()
    client(sandbox, "iam").create_user(UserName="ann")
    assert plane.events == []


WRITES, READS = ["CreateTopic"], ["ListTopics"]


@pytest.mark.parametrize(
    ("selector", "travels"),
    [
        ({"ReadWriteType": "All"}, WRITES + READS),
        ({"ReadWriteType": "WriteOnly"}, WRITES),
        ({"ReadWriteType": "ReadOnly"}, READS),
        ({"ReadWriteType": "All", "IncludeManagementEvents": False}, []),
        (
            {"ReadWriteType": "All", "ExcludeManagementEventSources": ["kms.amazonaws.com"]},
            WRITES + READS,
        ),
    ],
)
def test_a_trails_basic_selectors_say_what_travels(sandbox, watched, selector, travels):
    client(sandbox, "cloudtrail").put_event_selectors(
        TrailName="watched", EventSelectors=[selector]
    )
    watched.reset()
    client(sandbox, "sns").create_topic(Name="alerts")
    client(sandbox, "sns").list_topics()
    assert watched.names() == travels


def test_an_excluded_source_does_not_travel(sandbox, watched):
    selector = {"ReadWriteType": "All", "ExcludeManagementEventSources": ["kms.amazonaws.com"]}
    client(sandbox, "cloudtrail").put_event_selectors(
        TrailName="watched", EventSelectors=[selector]
    )
    watched.reset()
    client(sandbox, "kms").create_key()
    assert watched.events == []


@pytest.mark.parametrize(
    ("fields", "travels"),
    [
        ([], WRITES + READS),
        ([{"Field": "readOnly", "Equals": ["false"]}], WRITES),
        ([{"Field": "readOnly", "Equals": ["true"]}], READS),
        ([{"Field": "eventSource", "NotEquals": ["sns.amazonaws.com"]}], []),
        ([{"Field": "eventSource", "NotStartsWith": ["kms"]}], WRITES + READS),
        ([{"Field": "eventSource", "StartsWith": ["sns", "kms"]}], WRITES + READS),
        ([{"Field": "eventSource", "EndsWith": [".example.org"]}], []),
        ([{"Field": "resources.type", "Equals": ["AWS::S3::Object"]}], []),
    ],
)
def test_a_trails_advanced_selectors_say_what_travels(sandbox, watched, fields, travels):
    management = {"Field": "eventCategory", "Equals": ["Management"]}
    client(sandbox, "cloudtrail").put_event_selectors(
        TrailName="watched", AdvancedEventSelectors=[{"FieldSelectors": [management, *fields]}]
    )
    watched.reset()
    client(sandbox, "sns").create_topic(Name="alerts")
    client(sandbox, "sns").list_topics()
    assert watched.names() == travels


# The event history


def looked_up(where, **params):
    events = where.lookup_events(**params)["Events"]
    return [event["EventName"] for event in events]


def by(key, value):
    return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


def test_the_history_needs_no_trail_and_shows_the_newest_first(sandbox, plane):
    cloudtrail = client(sandbox, "cloudtrail")
    code(cloudtrail.stop_logging, Name="absent")
    cloudtrail.describe_trails()
    assert plane.events == []
    assert looked_up(cloudtrail) == ["DescribeTrails", "StopLogging"]
    assert looked_up(cloudtrail)[0] == "LookupEvents"
    event = cloudtrail.lookup_events(**by("EventName", "StopLogging"))["Events"][0]
    assert event["Username"] == "sandbox"
    assert event["ReadOnly"] == "false"
    assert event["AccessKeyId"] == sandbox.env()["AWS_ACCESS_KEY_ID"]
    assert event["EventSource"] == "cloudtrail.amazonaws.com"
    assert event["Resources"] == [
        {"ResourceType": "AWS::CloudTrail::Trail", "ResourceName": "absent"}
    ]
    record = json.loads(event["CloudTrailEvent"])
    assert record["eventID"] == event["EventId"]
    assert datetime.fromisoformat(record["eventTime"]) == event["EventTime"]
    assert record["errorCode"] == "TrailNotFoundException"


def test_the_history_is_searched_by_one_attribute(sandbox):
    cloudtrail, sns = client(sandbox, "cloudtrail"), client(sandbox, "sns")
    arn = sns.create_topic(Name="alerts")["TopicArn"]
    sns.list_topics()
    sns.delete_topic(TopicArn=arn)
    event_id = cloudtrail.lookup_events(**by("EventName", "CreateTopic"))["Events"][0]["EventId"]
    assert looked_up(cloudtrail, **by("EventId", event_id)) == ["CreateTopic"]
    assert looked_up(cloudtrail, **by("ReadOnly", "false")) == ["DeleteTopic", "CreateTopic"]
    assert "ListTopics" in looked_up(cloudtrail, **by("EventSource", "sns.amazonaws.com"))
    assert looked_up(cloudtrail, **by("ResourceName", arn)) == ["DeleteTopic"]
    assert looked_up(cloudtrail, **by("ResourceType", "AWS::SNS::Topic")) == ["DeleteTopic"]
    assert looked_up(cloudtrail, **by("Username", "nobody")) == []
    two = by("EventName", "CreateTopic")["LookupAttributes"] * 2
    refusal = "InvalidLookupAttributesException"
    assert code(cloudtrail.lookup_events, LookupAttributes=two) == refusal


def test_the_history_is_searched_by_time(sandbox):
    cloudtrail = client(sandbox, "cloudtrail")
    cloudtrail.describe_trails()
    now = sandbox.clock.now()
    hour = timedelta(hours=1)
    assert looked_up(cloudtrail, StartTime=now + hour) == []
    assert looked_up(cloudtrail, EndTime=now - hour) == []
    names = looked_up(cloudtrail, StartTime=now - hour, EndTime=now + hour)
    assert names[-1] == "DescribeTrails"
    backwards = {"StartTime": now, "EndTime": now - hour}
    assert code(cloudtrail.lookup_events, **backwards) == "InvalidTimeRangeException"


def test_the_history_comes_in_pages(sandbox):
    cloudtrail, sns = client(sandbox, "cloudtrail"), client(sandbox, "sns")
    for number in range(5):
        sns.create_topic(Name=f"alerts-{number}")
    pages = cloudtrail.get_paginator("lookup_events").paginate(
        **by("EventName", "CreateTopic"), PaginationConfig={"PageSize": 2}
    )
    assert [len(page["Events"]) for page in pages] == [2, 2, 1]
    assert code(cloudtrail.lookup_events, MaxResults=51) == "InvalidMaxResultsException"
    assert code(cloudtrail.lookup_events, NextToken="x") == "InvalidNextTokenException"


def test_the_history_is_of_one_region(sandbox):
    make_bucket(sandbox, region=VIRGINIA)
    assert looked_up(client(sandbox, "cloudtrail")) == []
    assert "CreateBucket" in looked_up(client(sandbox, "cloudtrail", VIRGINIA))


# Without a server


def a_call(**changes):
    return Call(
        **{
            "service": "cloudtrail",
            "operation": "StopLogging",
            "region": SEOUL,
            "account": ACCOUNT,
            "access_key": "AKIA",
            "params": {"Name": "ours"},
            "user_agent": "aws-cli",
            "source_ip": "127.0.0.1",
            "time": datetime(2026, 11, 21, 0, 5, 9, tzinfo=UTC),
            "request_id": "r-1",
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("operation", "read"),
    [
        ("GetTrail", True),
        ("ListTrails", True),
        ("DescribeTrails", True),
        ("LookupEvents", True),
        ("HeadBucket", True),
        ("TestEventPattern", True),
        ("AssumeRole", True),
        ("StopLogging", False),
        ("PutRule", False),
        ("ConsoleLogin", False),
    ],
)
def test_read_only_is_what_only_reads(operation, read):
    assert records.is_read(operation) is read


def test_values_of_every_kind_have_a_place_in_a_record():
    params = {
        "Name": "ours",
        "At": datetime(2026, 11, 21, 0, 5, 9, tzinfo=UTC),
        "Later": datetime(2026, 11, 2, 15, 5, 9, tzinfo=UTC),
        "Blob": b"x",
        "Stream": io.BytesIO(b"x"),
        "Deep": [{"InnerName": 1.5, "Yes": True, "Nothing": None}],
        "Odd": timedelta(seconds=1),
    }
    told = records.record(a_call(params=params), records.Outcome({}), {"type": "Root"})
    assert told["requestParameters"] == {
        "name": "ours",
        "at": "Nov 21, 2026, 12:05:09 AM",
        "later": "Nov 2, 2026, 3:05:09 PM",
        "deep": [{"innerName": 1.5, "yes": True, "nothing": None}],
        "odd": "0:00:01",
    }
    assert told["eventTime"] == "2026-11-21T00:05:09Z"
    bare = records.record(a_call(params={}), records.Outcome({}), {"type": "Root"})
    assert bare["requestParameters"] is None


def test_a_refused_call_has_no_response_elements():
    refusal = Refusal("TrailNotFoundException", "Unknown trail")
    told = records.record(a_call(), records.Outcome({"X": 1}, refusal), {"type": "Root"})
    assert told["responseElements"] is None


def test_a_caller_without_a_key_or_an_arn_is_in_the_history_too():
    history = records.History()
    root = {"type": "AWSService", "invokedBy": "config.amazonaws.com"}
    history.add(records.record(a_call(), records.Outcome({}), root))
    (event,) = history.lookup(a_call(params={}))["Events"]
    assert "AccessKeyId" not in event
    assert event["Username"] == ""
