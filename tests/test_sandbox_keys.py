"""Keys in the sandbox: what their state forbids, and whom their policy lets in."""

import json

import pytest
from sandbox_stand_ins import ACCOUNT, SEOUL, VIRGINIA, client, code, front, make_bucket

from ctwatch.aws import Place
from ctwatch.resources.key import for_trail

PLACE = Place("aws", ACCOUNT, SEOUL)
TRAIL = PLACE.arn("cloudtrail", "trail/watched")
TOPIC = PLACE.arn("sns", "news")
ASKED = {"Name": "watched", "S3BucketName": "logs-of-ours"}
SERVICE = {"Service": "cloudtrail.amazonaws.com"}


@pytest.fixture(scope="module")
def running():
    with front() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    running.reset()
    return running


@pytest.fixture
def kms(sandbox):
    return client(sandbox, "kms")


@pytest.fixture
def cloudtrail(sandbox):
    make_bucket(sandbox)
    return client(sandbox, "cloudtrail")


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def key(kms, *statements):
    every = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:*", "Resource": "*"}
    return kms.create_key(Policy=policy(every, *statements))["KeyMetadata"]["Arn"]


def state(kms, arn):
    return kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]


def test_a_key_that_waits_to_be_deleted_can_only_be_taken_back(kms):
    arn = key(kms)
    kms.enable_key_rotation(KeyId=arn)
    assert code(kms.cancel_key_deletion, KeyId=arn) == "KMSInvalidStateException"
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    assert state(kms, arn) == "PendingDeletion"
    assert kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"] is False
    tags = [{"TagKey": "a", "TagValue": "b"}]
    for call, more in (
        (kms.enable_key, {}),
        (kms.disable_key, {}),
        (kms.enable_key_rotation, {}),
        (kms.tag_resource, {"Tags": tags}),
        (kms.schedule_key_deletion, {"PendingWindowInDays": 7}),
    ):
        assert code(call, KeyId=arn, **more) == "KMSInvalidStateException"
    refused = code(kms.create_alias, AliasName="alias/a", TargetKeyId=arn)
    assert refused == "KMSInvalidStateException"
    kms.cancel_key_deletion(KeyId=arn)
    assert state(kms, arn) == "Disabled"
    assert code(kms.disable_key_rotation, KeyId=arn) == "DisabledException"
    kms.enable_key(KeyId=arn)
    assert state(kms, arn) == "Enabled"


def test_a_policy_that_is_none_is_refused_and_so_is_a_key_that_is_not_there(kms):
    assert code(kms.create_key, Policy="nonsense") == "MalformedPolicyDocumentException"
    every = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    absent = PLACE.arn("kms", "key/0a0b0c0d-0e0f-4a4b-8c8d-0123456789ab")
    for call, more in (
        (kms.enable_key, {}),
        (kms.delete_imported_key_material, {}),
        (kms.put_key_policy, {"Policy": policy(every)}),
        (kms.revoke_grant, {"GrantId": "0a0b0c"}),
    ):
        assert code(call, KeyId=absent, **more) == "NotFoundException"


def test_a_policy_is_put_without_its_name_which_is_always_the_same(kms):
    arn = key(kms)
    text = policy({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"})
    kms.put_key_policy(KeyId=arn, Policy=text)
    assert kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"] == text


def test_a_deny_to_one_is_not_a_deny_to_all(kms):
    deny = {"Effect": "Deny", "Principal": SERVICE, "Action": "kms:DescribeKey", "Resource": "*"}
    assert state(kms, key(kms, deny)) == "Enabled"


GRANTS = for_trail(PLACE, TRAIL)


@pytest.mark.parametrize(
    "statements",
    [
        (),
        GRANTS[:1],
        GRANTS[1:],
        for_trail(PLACE, f"{TRAIL}-2"),
        [{**one, "Principal": {"Service": "config.amazonaws.com"}} for one in GRANTS],
    ],
    ids=["none", "no describing", "no encrypting", "another trail's", "another service's"],
)
def test_a_trails_key_must_let_cloudtrail_in_for_this_trail(kms, cloudtrail, statements):
    refused = code(cloudtrail.create_trail, **ASKED, KmsKeyId=key(kms, *statements))
    assert refused == "InsufficientEncryptionPolicyException"


def test_a_trails_key_may_be_given_by_its_alias_and_is_kept_by_its_arn(kms, cloudtrail):
    arn = key(kms, *GRANTS)
    kms.create_alias(AliasName="alias/log", TargetKeyId=arn)
    cloudtrail.create_trail(**ASKED, KmsKeyId="alias/log")
    assert cloudtrail.get_trail(Name="watched")["Trail"]["KmsKeyId"] == arn
    closed = key(kms)
    refused = code(cloudtrail.update_trail, Name="watched", KmsKeyId=closed)
    assert refused == "InsufficientEncryptionPolicyException"
    cloudtrail.update_trail(Name="watched", KmsKeyId="")
    assert not cloudtrail.get_trail(Name="watched")["Trail"].get("KmsKeyId")


def test_a_trails_key_is_there_and_enabled_in_the_trails_region(sandbox, kms, cloudtrail):
    arn = key(kms, *GRANTS)
    elsewhere = key(client(sandbox, "kms", VIRGINIA), *GRANTS)
    kms.disable_key(KeyId=arn)
    assert code(cloudtrail.create_trail, **ASKED, KmsKeyId=elsewhere) == "KmsKeyNotFoundException"
    assert code(cloudtrail.create_trail, **ASKED, KmsKeyId=arn) == "KmsException"


@pytest.mark.parametrize("given", ["news", TOPIC])
def test_a_trails_topic_must_let_cloudtrail_in_for_this_trail(sandbox, cloudtrail, given):
    sns = client(sandbox, "sns")

    def attempt():
        return code(cloudtrail.create_trail, **ASKED, SnsTopicName=given)

    assert attempt() == "InsufficientSnsTopicPolicyException"
    sns.create_topic(Name="news")
    assert attempt() == "InsufficientSnsTopicPolicyException"
    grant = {"Effect": "Allow", "Principal": SERVICE, "Action": "sns:Publish", "Resource": TOPIC}
    for trail in (f"{TRAIL}-2", TRAIL):
        condition = {"Condition": {"StringEquals": {"aws:SourceArn": trail}}}
        sns.set_topic_attributes(
            TopicArn=TOPIC, AttributeName="Policy", AttributeValue=policy({**grant, **condition})
        )
        if trail != TRAIL:
            assert attempt() == "InsufficientSnsTopicPolicyException"
    made = cloudtrail.create_trail(**ASKED, SnsTopicName=given)
    assert made["SnsTopicARN"] == TOPIC


@pytest.mark.parametrize(
    ("trusted", "resource", "refusal"),
    [
        ("lambda.amazonaws.com", "*", "InvalidCloudWatchLogsRoleArnException"),
        ("cloudtrail.amazonaws.com", "other", "InvalidCloudWatchLogsRoleArnException"),
        ("cloudtrail.amazonaws.com", f"{ACCOUNT}_CloudTrail_{SEOUL}*", ""),
    ],
)
def test_a_trails_role_must_let_cloudtrail_write_its_streams(
    sandbox, cloudtrail, trusted, resource, refusal
):
    group, iam = PLACE.arn("logs", "log-group:delivered"), client(sandbox, "iam")
    client(sandbox, "logs").create_log_group(logGroupName="delivered")
    assume = {"Effect": "Allow", "Principal": {"Service": trusted}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=policy(assume))["Role"]["Arn"]
    streams = {"Action": "logs:*", "Resource": f"{group}:log-stream:{resource}"}
    document = policy({"Effect": "Allow", **streams})
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document)
    options = {"CloudWatchLogsLogGroupArn": f"{group}:*", "CloudWatchLogsRoleArn": role}
    if refusal:
        assert code(cloudtrail.create_trail, **ASKED, **options) == refusal
    else:
        made = cloudtrail.create_trail(**ASKED, **options)
        assert made["CloudWatchLogsRoleArn"] == role
