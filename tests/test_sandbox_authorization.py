"""What the sandbox lets a caller do: what a call asks, who may, and how AWS says who may not."""

import json
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import boto3.session
import pytest
from botocore.config import Config
from conftest import Ran
from permitted import made
from sandbox_stand_ins import ACCOUNT, SEOUL, code, refused
from shared_clients import past_sockets

from ctwatch.sandbox.asking import asked
from ctwatch.sandbox.authorization import denial
from ctwatch.sandbox.identities import ACCESS_KEY, Identities
from ctwatch.sandbox.server import Sandbox

TRAIL = f"arn:aws:cloudtrail:{SEOUL}:{ACCOUNT}:trail/ours"
EVE = f"arn:aws:iam::{ACCOUNT}:user/eve"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/runner"
KEY = f"arn:aws:kms:{SEOUL}:{ACCOUNT}:key/1"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
TAGGED = ("aws:RequestTag/team", "security")
Client = Callable[[str], Any]
"""Makes a client of a service for one access key."""
Keys = Callable[[str, str], Any]
"""Makes a client of a service for any."""


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


# What a call asks

ASKED = [
    ("cloudtrail", "StopLogging", {"Name": "ours"}, [("cloudtrail:StopLogging", TRAIL)]),
    ("cloudtrail", "DescribeTrails", {}, [("cloudtrail:DescribeTrails", "*")]),
    (
        "cloudtrail",
        "CreateTrail",
        {
            "Name": "ours",
            "TagsList": [{"Key": "team", "Value": "security"}],
            "CloudWatchLogsRoleArn": ROLE,
        },
        [
            ("cloudtrail:CreateTrail", TRAIL, TAGGED),
            ("cloudtrail:AddTags", TRAIL, TAGGED),
            ("iam:PassRole", ROLE, ("iam:PassedToService", "cloudtrail.amazonaws.com"), TAGGED),
        ],
    ),
    (
        "events",
        "PutTargets",
        {"Rule": "r", "Targets": [{"Id": "1", "Arn": "a", "RoleArn": ROLE}, {"Id": "2"}]},
        [
            ("events:PutTargets", f"arn:aws:events:{SEOUL}:{ACCOUNT}:rule/r"),
            ("iam:PassRole", ROLE, ("iam:PassedToService", "events.amazonaws.com")),
        ],
    ),
    (
        "lambda",
        "UpdateFunctionConfiguration",
        {"FunctionName": "f", "Role": ROLE},
        [
            (
                "lambda:UpdateFunctionConfiguration",
                f"arn:aws:lambda:{SEOUL}:{ACCOUNT}:function:f",
            ),
            ("iam:PassRole", ROLE, ("iam:PassedToService", "lambda.amazonaws.com")),
        ],
    ),
    ("s3", "HeadBucket", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
    ("s3", "HeadObject", {"Bucket": "b", "Key": "k"}, [("s3:GetObject", "arn:aws:s3:::b/k")]),
    (
        "s3",
        "DeleteObjects",
        {"Bucket": "b", "Delete": {"Objects": [{"Key": "k"}, {"Key": "l", "VersionId": "1"}]}},
        [
            ("s3:DeleteObject", "arn:aws:s3:::b/k"),
            ("s3:DeleteObjectVersion", "arn:aws:s3:::b/l"),
        ],
    ),
    (
        "sqs",
        "SendMessage",
        {"QueueUrl": f"https://x/{ACCOUNT}/q"},
        [("sqs:SendMessage", f"arn:aws:sqs:{SEOUL}:{ACCOUNT}:q")],
    ),
    (
        "ssm",
        "PutParameter",
        {"Name": "/a/b", "Tags": [{"Key": "team", "Value": "security"}]},
        [
            ("ssm:PutParameter", f"arn:aws:ssm:{SEOUL}:{ACCOUNT}:parameter/a/b", TAGGED),
            ("ssm:AddTagsToResource", f"arn:aws:ssm:{SEOUL}:{ACCOUNT}:parameter/a/b", TAGGED),
        ],
    ),
    (
        "iam",
        "AttachRolePolicy",
        {"RoleName": "runner", "PolicyArn": ADMINISTRATOR},
        [("iam:AttachRolePolicy", ROLE, ("iam:PolicyARN", ADMINISTRATOR))],
    ),
    ("kms", "GetKeyPolicy", {"KeyId": "1"}, [("kms:GetKeyPolicy", KEY)]),
    ("sts", "AssumeRole", {"RoleArn": ROLE}, [("sts:AssumeRole", ROLE)]),
    ("sts", "GetCallerIdentity", {}, []),
    ("iam", "CreateUser", {"UserName": "eve"}, [("iam:CreateUser", EVE)]),
    ("organizations", "LeaveOrganization", {}, [("organizations:LeaveOrganization", "*")]),
    ("sns", "ListSubscriptions", {}, [("sns:ListSubscriptions", "*")]),
]  # fmt: skip


@pytest.mark.parametrize(("service", "operation", "params", "expected"), ASKED)
def test_what_a_call_asks(
    service: str, operation: str, params: dict[str, Any], expected: list[Any]
) -> None:
    found = asked(made(service, operation, params, SEOUL))
    assert [(one.action, one.arn, *one.context) for one in found] == expected


# Who may


@pytest.fixture(scope="module")
def by_key(running: Sandbox) -> Keys:
    session = boto3.session.Session()
    past_sockets(running)(session)
    config = Config(retries={"total_max_attempts": 1})

    @cache
    def client(service: str, key: str) -> Any:
        keys = {"aws_access_key_id": key, "aws_secret_access_key": "any"}
        where = {"endpoint_url": running.url, "region_name": SEOUL}
        return session.client(service, config=config, **where, **keys)

    return client


@pytest.fixture
def client(sandbox: Sandbox, by_key: Keys) -> Client:
    """Those of the administrator."""
    del sandbox
    return lambda service: by_key(service, ACCESS_KEY)


@pytest.fixture
def iam(client: Client) -> Any:
    return client("iam")


@pytest.fixture
def eve(iam: Any, by_key: Keys) -> Client:
    """Hers."""
    iam.create_user(UserName="eve")
    key = iam.create_access_key(UserName="eve")["AccessKey"]["AccessKeyId"]
    return lambda service: by_key(service, key)


@pytest.fixture
def let(iam: Any) -> Callable[..., None]:
    """Gives Eve a policy of these statements."""

    def put(*statements: dict[str, Any]) -> None:
        iam.put_user_policy(UserName="eve", PolicyName="p", PolicyDocument=document(*statements))

    return put


NOT_ALLOWED = "because no identity-based policy allows the {} action"


def test_a_new_user_may_ask_who_he_is_and_nothing_else(eve: Client) -> None:
    assert eve("sts").get_caller_identity()["Arn"] == EVE
    assert refused(eve("cloudtrail").stop_logging, Name="ours") == (
        "AccessDeniedException",
        f"User: {EVE} is not authorized to perform: cloudtrail:StopLogging on resource: {TRAIL} "
        + NOT_ALLOWED.format("cloudtrail:StopLogging"),
    )


def test_a_policy_allows_what_it_names_and_no_other_thing(eve: Client, let: Any) -> None:
    let(allow("cloudtrail:StopLogging", TRAIL))
    trails = eve("cloudtrail")
    assert code(trails.stop_logging, Name="ours") == "TrailNotFoundException"
    assert code(trails.stop_logging, Name="theirs") == "AccessDeniedException"
    assert code(trails.start_logging, Name="ours") == "AccessDeniedException"


def test_an_explicit_deny_wins_and_is_called_so(eve: Client, let: Any) -> None:
    let(allow("*"), deny("sns:*"))
    assert eve("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
    said = refused(eve("sns").create_topic, Name="t")
    assert said[0] == "AuthorizationError"
    assert said[1].endswith(":t with an explicit deny in an identity-based policy")


def test_a_group_s_policy_and_one_that_aws_manages_count(eve: Client, iam: Any) -> None:
    iam.create_group(GroupName="all")
    iam.put_group_policy(
        GroupName="all", PolicyName="p", PolicyDocument=document(allow("sqs:ListQueues"))
    )
    iam.add_user_to_group(GroupName="all", UserName="eve")
    assert eve("sqs").list_queues()
    assert code(eve("sns").list_topics) == "AuthorizationError"
    iam.attach_user_policy(UserName="eve", PolicyArn=ADMINISTRATOR)
    assert eve("sns").list_topics()


def test_of_a_managed_policy_the_default_version_counts(eve: Client, iam: Any) -> None:
    arn = iam.create_policy(PolicyName="p", PolicyDocument=document(allow("sns:*")))["Policy"][
        "Arn"
    ]
    iam.attach_user_policy(UserName="eve", PolicyArn=arn)
    assert eve("sns").list_topics()
    changed = document(allow("sqs:*"))
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=changed, SetAsDefault=True)
    assert code(eve("sns").list_topics) == "AuthorizationError"
    assert eve("sqs").list_queues()


def test_a_boundary_allows_nothing_and_limits(eve: Client, iam: Any, let: Any) -> None:
    let(allow("*"))
    arn = iam.create_policy(PolicyName="b", PolicyDocument=document(allow("sns:*")))["Policy"][
        "Arn"
    ]
    iam.put_user_permissions_boundary(UserName="eve", PermissionsBoundary=arn)
    assert eve("sns").list_topics()
    said = refused(eve("events").list_rules)[1]
    assert said.endswith("because no permissions boundary allows the events:ListRules action")
    iam.delete_user_permissions_boundary(UserName="eve")
    assert "Rules" in eve("events").list_rules()


GRANTS = [
    ({"AWS": EVE}, None, True),
    ({"AWS": [ACCOUNT, EVE]}, None, True),
    ("*", None, True),
    ("*", {"StringEquals": {"aws:PrincipalArn": EVE}}, True),
    ("*", {"StringEquals": {"AWS:SourceOwner": ACCOUNT}}, False),
    ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, None, False),
    ({"AWS": ACCOUNT}, None, False),
    ({"Service": "events.amazonaws.com"}, None, False),
]


@pytest.mark.parametrize(("principal", "condition", "may"), GRANTS)
def test_what_a_topic_grants_to_her_she_needs_not_be_allowed(
    eve: Client, client: Client, principal: Any, condition: Any, may: bool
) -> None:
    """But what it grants to her account is for that account's own policies to hand on."""
    topic = client("sns").create_topic(Name="t")["TopicArn"]
    granted = {**allow("sns:Publish", topic), "Principal": principal}
    granted |= {"Condition": condition} if condition else {}
    put = {"AttributeName": "Policy", "AttributeValue": document(granted)}
    client("sns").set_topic_attributes(TopicArn=topic, **put)
    publish = partial(eve("sns").publish, TopicArn=topic, Message="hello")
    assert bool(publish()) if may else code(publish) == "AuthorizationError"
    assert code(eve("sns").get_topic_attributes, TopicArn=topic) == "AuthorizationError"


def test_neither_a_deny_nor_a_boundary_of_hers_is_granted_away(
    eve: Client, client: Client, iam: Any, let: Any
) -> None:
    queue = client("sqs").create_queue(QueueName="q")["QueueUrl"]
    arn = f"arn:aws:sqs:{SEOUL}:{ACCOUNT}:q"
    policy = document({**allow("sqs:SendMessage", arn), "Principal": {"AWS": EVE}})
    client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    send = partial(eve("sqs").send_message, QueueUrl=queue, MessageBody="hello")
    assert send()["MessageId"]
    let(deny("sqs:SendMessage"))
    assert refused(send)[1].endswith("with an explicit deny in an identity-based policy")
    let(allow("sns:*"))
    assert send()["MessageId"]
    narrow = iam.create_policy(PolicyName="b", PolicyDocument=document(allow("sns:*")))["Policy"]
    iam.put_user_permissions_boundary(UserName="eve", PermissionsBoundary=narrow["Arn"])
    assert refused(send)[1].endswith(
        "because no permissions boundary allows the sqs:sendmessage action"
    )


def test_a_boundary_that_is_not_there_is_refused(eve: Client, iam: Any) -> None:
    absent = {"PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/absent"}
    assert code(iam.put_user_permissions_boundary, UserName="eve", **absent) == "NoSuchEntity"
    there = {"PermissionsBoundary": ADMINISTRATOR}
    assert code(iam.put_user_permissions_boundary, UserName="adam", **there) == "NoSuchEntity"
    assert code(iam.create_user, UserName="adam", **absent) == "NoSuchEntity"


def test_a_session_has_its_role_s_policies_as_far_as_its_own_goes(
    client: Client, iam: Any, by_key: Keys
) -> None:
    trust = document({**allow("sts:AssumeRole"), "Principal": {"AWS": ACCOUNT}})
    trust = trust.replace(', "Resource": "*"', "")
    iam.create_role(RoleName="runner", AssumeRolePolicyDocument=trust)
    grants = document(allow(["sns:*", "sqs:*"]))
    iam.put_role_policy(RoleName="runner", PolicyName="p", PolicyDocument=grants)

    def session(**limits: Any) -> Client:
        asked = {"RoleArn": ROLE, "RoleSessionName": "me", **limits}
        key = client("sts").assume_role(**asked)["Credentials"]["AccessKeyId"]
        return lambda service: by_key(service, key)

    whole, part = session(), session(Policy=document(allow("sqs:*")))
    assert whole("sns").list_topics()
    assert part("sqs").list_queues()
    assert refused(part("sns").list_topics)[1] == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/runner/me is not authorized to perform: "
        "sns:ListTopics on resource: * because no session policy allows the sns:ListTopics action"
    )
    assert NOT_ALLOWED.format("events:ListRules") in refused(whole("events").list_rules)[1]
    read_only = session(PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"}])
    assert read_only("sqs").list_queues()
    assert code(read_only("sqs").create_queue, QueueName="q") == "AccessDenied"


def test_a_role_is_passed_to_the_service_that_the_policy_names(
    eve: Client, iam: Any, let: Any
) -> None:
    trust = document({"Effect": "Allow", "Action": "sts:AssumeRole",
                      "Principal": {"Service": "events.amazonaws.com"}})  # fmt: skip
    iam.create_role(RoleName="runner", AssumeRolePolicyDocument=trust)
    events = eve("events")
    queue = f"arn:aws:sqs:{SEOUL}:{ACCOUNT}:q"
    target = {"Id": "1", "Arn": queue, "RoleArn": ROLE}
    put = {"Rule": "r", "Targets": [target]}
    to = {"Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}}
    let(allow("events:*"), allow("iam:PassRole", ROLE, **to))
    events.put_rule(Name="r", EventPattern='{"source": ["a"]}')
    said = refused(events.put_targets, **put)[1]
    assert f"is not authorized to perform: iam:PassRole on resource: {ROLE} because" in said
    to["Condition"]["StringEquals"]["iam:PassedToService"] = "events.amazonaws.com"
    let(allow("events:*"), allow("iam:PassRole", ROLE, **to))
    assert events.put_targets(**put)["FailedEntryCount"] == 0


def test_conditions_go_by_the_tags_asked_for_and_the_tags_there(eve: Client, let: Any) -> None:
    tagged = {"StringEquals": {"aws:RequestTag/team": "security"}}
    worn = {"StringEquals": {"aws:ResourceTag/team": "security"}}
    let(
        allow(["sns:CreateTopic", "sns:TagResource"], Condition=tagged),
        allow("sns:DeleteTopic", Condition=worn),
    )
    sns = eve("sns")
    assert code(sns.create_topic, Name="bare") == "AuthorizationError"
    mine = sns.create_topic(Name="mine", Tags=[{"Key": "team", "Value": "security"}])["TopicArn"]
    other = mine.replace("mine", "other")
    assert code(sns.delete_topic, TopicArn=other) == "AuthorizationError"
    sns.delete_topic(TopicArn=mine)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aws:PrincipalArn", EVE),
        ("aws:username", "eve"),
        ("aws:RequestedRegion", SEOUL),
        ("aws:SourceIp", "127.0.0.1"),
        ("aws:PrincipalAccount", ACCOUNT),
    ],
)
def test_a_condition_on_who_calls_from_where(key: str, value: str, eve: Client, let: Any) -> None:
    let(allow("sns:ListTopics", Condition={"StringEquals": {key: value}}))
    assert eve("sns").list_topics()
    let(allow("*"), deny("sns:ListTopics", Condition={"StringEquals": {key: value}}))
    assert code(eve("sns").list_topics) == "AuthorizationError"


def test_a_key_that_was_deleted_is_nobody_s(iam: Any, by_key: Keys) -> None:
    iam.create_user(UserName="adam")
    key = iam.create_access_key(UserName="adam")["AccessKey"]["AccessKeyId"]
    iam.delete_access_key(UserName="adam", AccessKeyId=key)
    assert code(by_key("sts", key).get_caller_identity) == "InvalidClientTokenId"


def test_a_service_control_policy_binds_the_administrator_too(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.attach_service_control_policy(json.loads(document(deny("sns:CreateTopic"))))
    sns = client("sns")
    said = refused(sns.create_topic, Name="t")[1]
    assert said.endswith("with an explicit deny in a service control policy")
    assert sns.list_topics()
    sandbox.reset()
    assert sns.create_topic(Name="t")


# How it is said

SAID = [
    ("sns", "create_topic", {"Name": "t"}, "AuthorizationError", 403, "sns:CreateTopic"),
    ("sqs", "create_queue", {"QueueName": "q"}, "AccessDenied", 403, "sqs:createqueue"),
    ("iam", "create_role", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}, "AccessDenied",
     403, "iam:CreateRole"),
    ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "me"}, "AccessDenied", 403,
     "sts:AssumeRole"),
    ("s3", "get_bucket_policy", {"Bucket": "b"}, "AccessDenied", 403, "s3:GetBucketPolicy"),
    ("s3", "head_bucket", {"Bucket": "b"}, "403", 403, ""),
    ("lambda", "get_function", {"FunctionName": "f"}, "AccessDeniedException", 403,
     "lambda:GetFunction"),
    ("kms", "create_key", {}, "AccessDeniedException", 400, "kms:CreateKey"),
    ("logs", "create_log_group", {"logGroupName": "g"}, "AccessDeniedException", 400,
     "logs:CreateLogGroup"),
    ("ssm", "get_parameter", {"Name": "/p"}, "AccessDeniedException", 400, "ssm:GetParameter"),
    ("events", "list_rules", {}, "AccessDeniedException", 400, "events:ListRules"),
    ("account", "list_regions", {}, "AccessDeniedException", 403, "account:ListRegions"),
    ("resourcegroupstaggingapi", "get_resources", {}, "AccessDeniedException", 400,
     "tag:GetResources"),
]  # fmt: skip


def test_each_service_says_it_in_its_own_way(eve: Client) -> None:
    for service, operation, params, error, status, action in SAID:
        one = eve(service)
        with pytest.raises(one.exceptions.ClientError) as raised:
            getattr(one, operation)(**params)
        told: Any = raised.value.response
        assert told["Error"]["Code"] == error, operation
        assert told["ResponseMetadata"]["HTTPStatusCode"] == status, operation
        assert not action or f"not authorized to perform: {action} on" in told["Error"]["Message"]


def test_s3_quotes_the_resource(eve: Client) -> None:
    said = refused(eve("s3").get_bucket_policy, Bucket="b")[1]
    assert 'on resource: "arn:aws:s3:::b" because' in said


def test_ec2_begins_with_its_own_words_and_is_recorded_with_whose_fault_it_was() -> None:
    """Without a client: its model takes a second to load."""
    call = made("ec2", "AuthorizeSecurityGroupIngress", {"GroupId": "sg-1"}, SEOUL)
    eve = Identities(ACCOUNT)
    eve.add_user(EVE, "AKIA")
    [one], who = asked(call), eve.of("AKIA")
    assert who is not None
    refusal = denial(call, who, one, "because no identity-based policy allows the {action} action")
    assert (refusal.code, refusal.status) == ("UnauthorizedOperation", 403)
    assert refusal.recorded == "UnauthorizedOperation"
    assert refusal.message == (
        f"You are not authorized to perform this operation. User: {EVE} is not authorized to "
        f"perform: ec2:AuthorizeSecurityGroupIngress on resource: arn:aws:ec2:{SEOUL}:{ACCOUNT}:"
        f"security-group/sg-1 {NOT_ALLOWED.format('ec2:AuthorizeSecurityGroupIngress')}"
    )


def test_of_many_objects_those_are_kept_that_may_not_be_deleted(
    client: Client, eve: Client, let: Any
) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="b-1", CreateBucketConfiguration={"LocationConstraint": SEOUL})
    for key in ("mine/1", "theirs/1"):
        s3.put_object(Bucket="b-1", Key=key, Body=b"x")
    let(allow("s3:DeleteObject", "arn:aws:s3:::b-1/mine/*"))
    objects = [{"Key": "theirs/1"}, {"Key": "mine/1"}]
    told = eve("s3").delete_objects(Bucket="b-1", Delete={"Objects": objects})
    assert [one["Key"] for one in told["Deleted"]] == ["mine/1"]
    [kept] = told["Errors"]
    assert (kept["Key"], kept["Code"]) == ("theirs/1", "AccessDenied")
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="b-1")["Contents"]] == ["theirs/1"]


def test_a_denied_call_is_in_the_history_by_the_name_that_cloudtrail_uses(
    client: Client, eve: Client
) -> None:
    code(eve("cloudtrail").stop_logging, Name="ours")
    code(eve("kms").disable_key, KeyId="1")
    found = client("cloudtrail").lookup_events()["Events"]
    records = {one["EventName"]: json.loads(one["CloudTrailEvent"]) for one in found}
    assert records["StopLogging"]["errorCode"] == "AccessDenied"
    assert records["StopLogging"]["userIdentity"]["arn"] == EVE
    assert "cloudtrail:StopLogging" in records["StopLogging"]["errorMessage"]
    assert records["DisableKey"]["errorCode"] == "AccessDenied"


def test_whoever_is_denied_stoplogging_is_told_of(
    armed: None, sandbox: Sandbox, eve: Client, run: Callable[..., Ran]
) -> None:
    del armed
    assert sandbox.idle()
    before = len(sandbox.inbox.posts)
    assert code(eve("cloudtrail").stop_logging, Name="ct-trail-monitor") == "AccessDeniedException"
    assert sandbox.idle()
    [post] = sandbox.inbox.posts[before:]
    told = json.dumps(post.payload, ensure_ascii=False)
    assert "StopLogging" in told
    assert "DENIED ATTEMPT" in told
    assert "user/eve" in told
    assert run("status").code == 0
