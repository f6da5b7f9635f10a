"""What AWS refuses or fills in, service by service, seen with boto3 over the wire."""

import io
import json
import zipfile
from functools import partial

import pytest
from sandbox_stand_ins import ACCOUNT, SEOUL, VIRGINIA, bucket_policy, client, code, front, refused

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
PATTERN = json.dumps({"source": ["aws.cloudtrail"]})
TAGS = [{"Key": "ctwatch:watch", "Value": "one"}]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/runner"


@pytest.fixture(scope="module")
def running():
    with front() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    running.reset()
    return running


@pytest.fixture
def s3(sandbox):
    return client(sandbox, "s3")


@pytest.fixture
def bucket(s3):
    place = {"LocationConstraint": SEOUL, "Tags": TAGS}
    s3.create_bucket(Bucket="our-bucket", CreateBucketConfiguration=place)
    return "our-bucket"


@pytest.fixture
def events(sandbox):
    return client(sandbox, "events")


@pytest.fixture
def sns(sandbox):
    return client(sandbox, "sns")


@pytest.fixture
def iam(sandbox):
    return client(sandbox, "iam")


@pytest.fixture
def functions(sandbox, iam):
    iam.create_role(RoleName="runner", AssumeRolePolicyDocument=TRUST)
    return client(sandbox, "lambda")


def archive():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as written:
        written.writestr("main.py", "def handler(event, context): return event")
    return held.getvalue()


def make_function(functions, **changes):
    wanted = {
        "FunctionName": "ours",
        "Runtime": "python3.13",
        "Role": ROLE,
        "Handler": "main.handler",
        "Code": {"ZipFile": archive()},
    }
    return functions.create_function(**{**wanted, **changes})


# S3


def test_a_new_bucket_is_private_and_keeps_its_tags(s3, bucket):
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == TAGS
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert len(block) == 4
    assert all(block.values())
    rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_a_new_bucket_is_encrypted_by_s3(s3, bucket):
    told = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    assert told["Rules"][0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_deleting_the_encryption_leaves_that_of_s3(s3, bucket):
    s3.delete_bucket_encryption(Bucket=bucket)
    told = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    assert told["Rules"][0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_a_bucket_made_again_is_owned_already_and_in_virginia_is_left_as_it_was(
    sandbox, s3, bucket
):
    place = {"LocationConstraint": SEOUL}
    again = {"Bucket": bucket, "CreateBucketConfiguration": place}
    assert refused(s3.create_bucket, **again) == (
        "BucketAlreadyOwnedByYou",
        "Your previous request to create the named bucket succeeded and you already own it.",
    )
    virginia = client(sandbox, "s3", VIRGINIA)
    virginia.create_bucket(Bucket="old-bucket")
    virginia.delete_public_access_block(Bucket="old-bucket")
    virginia.create_bucket(Bucket="old-bucket")
    assert (
        code(virginia.get_public_access_block, Bucket="old-bucket")
        == "NoSuchPublicAccessBlockConfiguration"
    )


def test_the_object_ownership_that_was_asked_for_is_kept(sandbox):
    s3 = client(sandbox, "s3", VIRGINIA)
    s3.create_bucket(Bucket="with-acls", ObjectOwnership="ObjectWriter")
    rules = s3.get_bucket_ownership_controls(Bucket="with-acls")["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "ObjectWriter"}]


@pytest.mark.parametrize(
    "name",
    [
        "Our-Bucket",
        "our_bucket",
        "-ours",
        "ours-",
        "a..b",
        "192.168.5.4",
        "xn--ours",
        "ours-s3alias",
    ],
)
def test_a_name_that_no_bucket_can_have_is_refused(sandbox, name):
    s3 = client(sandbox, "s3", VIRGINIA)
    assert refused(s3.create_bucket, Bucket=name) == (
        "InvalidBucketName",
        "The specified bucket is not valid.",
    )


def test_a_bucket_in_the_accounts_own_namespace_has_its_form(s3):
    place = {"CreateBucketConfiguration": {"LocationConstraint": SEOUL}}
    right = f"ours-{ACCOUNT}-{SEOUL}-an"
    assert code(s3.create_bucket, Bucket=right, **place) == "MissingNamespaceHeader"
    own = {"BucketNamespace": "account-regional", **place}
    assert code(s3.create_bucket, Bucket="ours-an", **own) == "InvalidNamespaceHeader"
    s3.create_bucket(Bucket=right, **own)
    assert s3.head_bucket(Bucket=right)["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: "[]", "Policies must be valid JSON and the first byte must be '{'"),
        (lambda _: "nonsense", "Policies must be valid JSON and the first byte must be '{'"),
        (lambda _: '{"Version": "2012-10-17"}', "Missing required field Statement"),
        (lambda text: text.replace('"Principal"', '"Who"'), "Missing required field Principal"),
        (lambda text: text.replace("s3:Get", "sns:Get"), "Policy has invalid action"),
    ],
)
def test_a_malformed_bucket_policy_is_refused(s3, bucket, change, message):
    policy = change(bucket_policy(bucket, "watched"))
    assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=policy) == (
        "MalformedPolicy",
        message,
    )


@pytest.mark.parametrize("other", ["other", "our-bucket-2", "*"])
def test_a_bucket_policy_is_about_its_own_bucket_alone(s3, bucket, other):
    policy = bucket_policy(bucket, "watched").replace(f"s3:::{bucket}", f"s3:::{other}")
    assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=policy) == (
        "MalformedPolicy",
        "Policy has invalid resource",
    )


def test_a_bucket_policy_comes_back_as_it_was_put(s3, bucket):
    policy = bucket_policy(bucket, "watched")
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(policy)
    assert code(s3.put_bucket_policy, Bucket="absent", Policy=policy) == "NoSuchBucket"


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["*"]}])
def test_a_public_policy_is_refused_while_public_policies_are_blocked(s3, bucket, principal):
    statement = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }

    def put(**more):
        policy = json.dumps({"Version": "2012-10-17", "Statement": {**statement, **more}})
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)

    assert code(put) == "AccessDenied"
    assert code(put, Condition={"StringLike": {"aws:SourceArn": "arn:aws:*"}}) == "AccessDenied"
    assert code(put, Condition={"Bool": {"aws:SecureTransport": "true"}}) == "AccessDenied"
    put(Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})
    put(Effect="Deny")
    put(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    s3.delete_public_access_block(Bucket=bucket)
    put()


def test_a_bucket_of_another_owner_than_expected_is_denied(s3, bucket):
    s3.get_bucket_tagging(Bucket=bucket, ExpectedBucketOwner=ACCOUNT)
    stranger = {"Bucket": bucket, "ExpectedBucketOwner": "999999999999"}
    assert code(s3.get_bucket_tagging, **stranger) == "AccessDenied"
    assert code(s3.head_bucket, **stranger) == "403"


def test_objects_come_back_and_a_bucket_with_objects_stays(s3, bucket):
    for key in ("a b/c", "über/100%", "x//y", "deep/"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"held", Metadata={"my_key": "kept"})
        got = s3.get_object(Bucket=bucket, Key=key)
        assert got["Body"].read() == b"held"
        assert got["Metadata"] == {"my_key": "kept"}
    assert refused(s3.delete_bucket, Bucket=bucket) == (
        "BucketNotEmpty",
        "The bucket you tried to delete is not empty",
    )
    assert s3.head_object(Bucket=bucket, Key="a b/c")["ContentLength"] == 4
    assert code(s3.head_object, Bucket=bucket, Key="absent") == "404"
    assert code(s3.get_object, Bucket=bucket, Key="absent") == "NoSuchKey"


# EventBridge


@pytest.mark.parametrize("name", ["a b", "a" * 65, "rule/one"])
def test_a_name_that_no_rule_can_have_is_refused(events, name):
    assert code(events.put_rule, Name=name, EventPattern=PATTERN) == "ValidationException"


@pytest.mark.parametrize("pattern", ["{", "{}", '{"source": "aws.s3"}', "[]"])
def test_a_pattern_that_is_not_valid_is_refused_with_the_reason(events, pattern):
    for ask in (
        lambda: events.put_rule(Name="ours", EventPattern=pattern),
        lambda: events.test_event_pattern(EventPattern=pattern, Event="{}"),
    ):
        why, message = refused(ask)
        assert why == "InvalidEventPatternException"
        assert message.startswith("Event pattern is not valid. Reason: ")
        assert len(message) > len("Event pattern is not valid. Reason: ")


def test_an_operator_that_patterns_do_not_have_is_refused(events):
    pattern = '{"source": [{"starts": "aws"}]}'
    assert refused(events.put_rule, Name="ours", EventPattern=pattern) == (
        "InvalidEventPatternException",
        "Event pattern is not valid. Reason: Unrecognized match type starts",
    )


def test_a_pattern_has_at_most_2048_characters(events):
    def pattern(length):
        short = '{"source":[""]}'
        return short.replace('""', '"' + "a" * (length - len(short)) + '"')

    events.put_rule(Name="ours", EventPattern=pattern(2048))
    assert (
        code(events.put_rule, Name="ours", EventPattern=pattern(2049))
        == "InvalidEventPatternException"
    )


def test_a_rule_needs_a_pattern_or_a_schedule(events):
    assert code(events.put_rule, Name="ours") == "ValidationException"
    events.put_rule(Name="ours", ScheduleExpression="rate(1 hour)")


def test_a_rule_put_again_is_reset_but_keeps_its_tags_and_targets(events):
    arn = events.put_rule(
        Name="ours", EventPattern=PATTERN, State="DISABLED", Description="d", Tags=TAGS
    )["RuleArn"]
    events.put_targets(Rule="ours", Targets=[target(1)])
    other = [{"Key": "ctwatch:watch", "Value": "two"}]
    events.put_rule(Name="ours", EventPattern=PATTERN, Tags=other)
    told = events.describe_rule(Name="ours")
    assert told["State"] == "ENABLED"
    assert "Description" not in told
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == TAGS
    assert len(events.list_targets_by_rule(Rule="ours")["Targets"]) == 1


def target(number):
    return {"Id": str(number), "Arn": f"arn:aws:sqs:{SEOUL}:{ACCOUNT}:queue-{number}"}


def test_a_rule_has_at_most_five_targets(events):
    events.put_rule(Name="ours", EventPattern=PATTERN)
    events.put_targets(Rule="ours", Targets=[target(number) for number in range(5)])
    events.put_targets(Rule="ours", Targets=[target(0)])
    assert refused(events.put_targets, Rule="ours", Targets=[target(5)]) == (
        "LimitExceededException",
        "The requested resource exceeds the maximum number allowed.",
    )


def test_a_rule_with_targets_is_not_deleted(events):
    events.put_rule(Name="ours", EventPattern=PATTERN)
    events.put_targets(Rule="ours", Targets=[target(1)])
    assert refused(events.delete_rule, Name="ours") == (
        "ValidationException",
        "Rule can't be deleted since it has targets.",
    )
    assert (
        code(events.put_targets, Rule="absent", Targets=[target(1)]) == "ResourceNotFoundException"
    )


def test_a_pattern_can_be_tried_on_an_event(events):
    event = {
        "id": "1",
        "account": ACCOUNT,
        "source": "aws.cloudtrail",
        "time": "2026-11-21T00:00:00Z",
        "region": SEOUL,
        "resources": [],
        "detail-type": "AWS API Call via CloudTrail",
    }

    def tried(**changes):
        text = json.dumps({**event, **changes})
        return events.test_event_pattern(EventPattern=PATTERN, Event=text)["Result"]

    assert tried() is True
    assert tried(source="aws.s3") is False
    for wrong in ("nonsense", "{}"):
        assert (
            code(events.test_event_pattern, EventPattern=PATTERN, Event=wrong)
            == "ValidationException"
        )


# SNS and SQS


def test_a_topic_made_again_has_the_same_tags(sns):
    arn = sns.create_topic(Name="alerts", Tags=TAGS)["TopicArn"]
    assert sns.create_topic(Name="alerts", Tags=TAGS)["TopicArn"] == arn
    assert sns.create_topic(Name="alerts")["TopicArn"] == arn
    other = [{"Key": "ctwatch:watch", "Value": "two"}]
    assert refused(sns.create_topic, Name="alerts", Tags=other) == (
        "InvalidParameter",
        "Invalid parameter: Tags Reason: Topic already exists with different tags",
    )


@pytest.mark.parametrize("name", ["two words", "a" * 257, "dot.ted"])
def test_a_name_that_no_topic_can_have_is_refused(sns, name):
    assert refused(sns.create_topic, Name=name) == (
        "InvalidParameter",
        "Invalid parameter: Topic Name",
    )


def test_a_fifo_topic_has_its_suffix(sns):
    fifo = {"Attributes": {"FifoTopic": "true"}}
    assert code(sns.create_topic, Name="alerts", **fifo) == "InvalidParameter"
    assert sns.create_topic(Name="alerts.fifo", **fifo)["TopicArn"].endswith("alerts.fifo")


@pytest.mark.parametrize(
    "policy",
    [
        "nonsense",
        "{}",
        '{"Statement": [{"Effect": "Maybe", "Principal": "*", "Action": "sns:Publish"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "sns:Publish"}]}',
        '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}]}',
    ],
)
def test_a_malformed_topic_policy_is_refused(sns, policy):
    arn = sns.create_topic(Name="alerts")["TopicArn"]
    put = {"TopicArn": arn, "AttributeName": "Policy", "AttributeValue": policy}
    assert code(sns.set_topic_attributes, **put) == "InvalidParameter"
    again = {"Name": "other", "Attributes": {"Policy": policy}}
    assert code(sns.create_topic, **again) == "InvalidParameter"


def test_a_topic_policy_comes_back_as_it_was_put(sns):
    arn = sns.create_topic(Name="alerts")["TopicArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    told = sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]
    assert json.loads(told)["Statement"] == [statement]
    sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="ours")
    assert code(sns.get_topic_attributes, TopicArn=f"{arn}-absent") == "NotFound"


def test_a_queue_keeps_its_policy_and_tags_and_a_missing_one_has_its_code(sandbox):
    sqs = client(sandbox, "sqs")
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": f"arn:aws:sqs:{SEOUL}:{ACCOUNT}:letters",
                }
            ],
        }
    )
    wanted = {"Policy": policy, "MessageRetentionPeriod": "86400"}
    url = sqs.create_queue(QueueName="letters", Attributes=wanted, tags={"a": "b"})["QueueUrl"]
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert json.loads(told["Policy"]) == json.loads(policy)
    assert told["MessageRetentionPeriod"] == "86400"
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "b"}
    bad = {"QueueUrl": url, "Attributes": {"Policy": "nonsense"}}
    assert code(sqs.set_queue_attributes, **bad) == "InvalidAttributeValue"
    nowhere = {"QueueUrl": f"{url}-absent", "Attributes": {"DelaySeconds": "1"}}
    for absent in (partial(sqs.set_queue_attributes, **nowhere),
                   partial(sqs.purge_queue, QueueUrl=f"{url}-absent")):  # fmt: skip
        assert code(absent) == "AWS.SimpleQueueService.NonExistentQueue"
    assert code(sqs.get_queue_url, QueueName="absent") == (
        "AWS.SimpleQueueService.NonExistentQueue"
    )
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.send_message(QueueUrl=f"{url}-absent", MessageBody="x")


# IAM and STS


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("nonsense", "This policy contains invalid Json"),
        ("{}", "Syntax errors in policy."),
        (TRUST.replace("Allow", "Maybe"), "Syntax errors in policy."),
        (TRUST.replace('"Principal"', '"Who"'), "Missing required field Principal"),
        (TRUST.replace('"Effect"', '"Resource": "*", "Effect"'), "Has prohibited field Resource"),
        (
            TRUST.replace("sts:AssumeRole", "s3:GetObject"),
            "AssumeRole policy may only specify STS AssumeRole actions.",
        ),
    ],
)
def test_a_malformed_trust_policy_is_refused(iam, document, message):
    refusal = ("MalformedPolicyDocument", message)
    wanted = {"RoleName": "other", "AssumeRolePolicyDocument": document}
    assert refused(iam.create_role, **wanted) == refusal
    iam.create_role(RoleName="runner", AssumeRolePolicyDocument=TRUST)
    change = {"RoleName": "runner", "PolicyDocument": document}
    assert refused(iam.update_assume_role_policy, **change) == refusal


def test_a_malformed_role_policy_is_refused_and_one_in_use_keeps_its_role(iam):
    iam.create_role(RoleName="runner", AssumeRolePolicyDocument=TRUST)
    put = {"RoleName": "runner", "PolicyName": "inline"}
    assert code(iam.put_role_policy, **put, PolicyDocument="x") == "MalformedPolicyDocument"
    assert code(iam.put_role_policy, **put, PolicyDocument=TRUST) == "MalformedPolicyDocument"
    allow = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [allow]}
    iam.put_role_policy(**put, PolicyDocument=json.dumps(document))
    assert iam.get_role_policy(**put)["PolicyDocument"] == document
    assert refused(iam.delete_role, RoleName="runner") == (
        "DeleteConflict",
        "Cannot delete entity, must delete policies first.",
    )


def test_a_description_that_iam_cannot_keep_is_refused(iam):
    wanted = {"RoleName": "runner", "AssumeRolePolicyDocument": TRUST}
    assert code(iam.create_role, **wanted, Description="알림") == "ValidationError"
    iam.create_role(**wanted, Description="alert é")
    assert code(iam.update_role, RoleName="runner", Description="알림") == "ValidationError"


def test_only_a_role_that_exists_is_assumed(sandbox, iam):
    sts = client(sandbox, "sts")
    wanted = {"RoleArn": ROLE, "RoleSessionName": "me"}
    assert code(sts.assume_role, **wanted) == "AccessDenied"
    iam.create_role(RoleName="runner", AssumeRolePolicyDocument=TRUST)
    lent = sts.assume_role(**wanted)["Credentials"]
    session = client(
        sandbox,
        "sts",
        aws_access_key_id=lent["AccessKeyId"],
        aws_secret_access_key=lent["SecretAccessKey"],
        aws_session_token=lent["SessionToken"],
    )
    assert session.get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/runner/me"
    wanted["RoleArn"] = f"arn:aws:iam::{ACCOUNT}:role/path/runner"
    assert code(sts.assume_role, **wanted) == "AccessDenied"


@pytest.mark.parametrize(
    ("service", "operation", "refusal"),
    [
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("iam", "list_roles", "InvalidClientTokenId"),
        ("cloudtrail", "describe_trails", "UnrecognizedClientException"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("ec2", "describe_security_groups", "AuthFailure"),
    ],
)
def test_an_unknown_access_key_is_refused(sandbox, service, operation, refusal):
    stranger = client(sandbox, service, aws_access_key_id="AKIAREALLOOKINGKEY00")
    assert code(getattr(stranger, operation)) == refusal


def test_only_a_detector_of_this_account_is_deleted_or_changed(sandbox):
    guardduty = client(sandbox, "guardduty")
    made = guardduty.create_detector(Enable=True)["DetectorId"]
    for one in (guardduty.update_detector, guardduty.delete_detector):
        assert code(one, DetectorId="ctwatch-probe-1") == "BadRequestException"
        one(DetectorId=made)
    assert code(guardduty.delete_detector, DetectorId=made) == "BadRequestException"


def test_the_key_of_a_new_user_is_known(sandbox, iam):
    iam.create_user(UserName="eve")
    made = iam.create_access_key(UserName="eve")["AccessKey"]
    sts = client(sandbox, "sts", aws_access_key_id=made["AccessKeyId"])
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/eve"


# Lambda


def test_a_runtime_that_lambda_does_not_have_is_refused(functions):
    why, message = refused(lambda: make_function(functions, Runtime="python2.0"))
    assert why == "InvalidParameterValueException"
    assert message.startswith(
        "Value python2.0 at 'runtime' failed to satisfy constraint: Member must satisfy enum value "
        "set: ["
    )


def test_code_that_is_no_zip_is_refused(functions):
    assert refused(lambda: make_function(functions, Code={"ZipFile": b"not a zip"})) == (
        "InvalidParameterValueException",
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
    )


def test_a_function_needs_a_role_that_is_there(functions):
    absent = f"arn:aws:iam::{ACCOUNT}:role/absent"
    assert refused(lambda: make_function(functions, Role=absent)) == (
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
    )


def test_a_function_is_changed_only_to_what_could_run(functions):
    make_function(functions)
    refusal = "InvalidParameterValueException"
    change = {"FunctionName": "ours"}
    assert code(functions.update_function_code, **change, ZipFile=b"junk") == refusal
    assert code(functions.update_function_configuration, **change, Runtime="python2.0") == refusal


def test_a_second_function_of_a_name_is_refused(functions):
    make_function(functions)
    assert refused(lambda: make_function(functions)) == (
        "ResourceConflictException",
        "Function already exist: ours",
    )


def test_a_function_that_does_not_exist_is_not_found(functions):
    missing = {"FunctionName": "absent"}
    permission = {"StatementId": "a", "Action": "lambda:InvokeFunction", "Principal": "x"}
    refusal = (
        "ResourceNotFoundException",
        f"Function not found: arn:aws:lambda:{SEOUL}:{ACCOUNT}:function:absent",
    )
    assert refused(functions.invoke, **missing) == refusal
    assert refused(functions.add_permission, **missing, **permission) == refusal


def test_a_permission_is_given_once(functions):
    make_function(functions)
    assert code(functions.get_policy, FunctionName="ours") == "ResourceNotFoundException"
    permission = {
        "FunctionName": "ours",
        "StatementId": "topic",
        "Action": "lambda:InvokeFunction",
        "Principal": "sns.amazonaws.com",
        "SourceArn": f"arn:aws:sns:{SEOUL}:{ACCOUNT}:alerts",
    }
    functions.add_permission(**permission)
    why, message = refused(functions.add_permission, **permission)
    assert why == "ResourceConflictException"
    assert message.startswith("The statement id (topic) provided already exists. Please provide ")
    functions.remove_permission(FunctionName="ours", StatementId="topic")
    assert code(functions.get_policy, FunctionName="ours") == "ResourceNotFoundException"
    functions.add_permission(**permission)


# SSM and CloudWatch Logs


def test_a_parameter_is_overwritten_only_when_asked_and_then_without_tags(sandbox):
    ssm = client(sandbox, "ssm")
    put = {"Name": "/ctwatch/webhook", "Value": "one", "Type": "SecureString"}
    ssm.put_parameter(**put, Tags=TAGS)
    assert code(ssm.put_parameter, **put) == "ParameterAlreadyExists"
    assert code(ssm.put_parameter, **put, Overwrite=True, Tags=TAGS) == "ValidationException"
    ssm.put_parameter(**put, Overwrite=True)
    where = {"ResourceType": "Parameter", "ResourceId": put["Name"]}
    assert ssm.list_tags_for_resource(**where)["TagList"] == TAGS


def test_a_log_group_keeps_its_tags_and_takes_only_real_retentions(sandbox):
    logs = client(sandbox, "logs")
    logs.create_log_group(logGroupName="/aws/lambda/ours", tags={"a": "b"})
    arn = f"arn:aws:logs:{SEOUL}:{ACCOUNT}:log-group:/aws/lambda/ours"
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "b"}
    keep = {"logGroupName": "/aws/lambda/ours", "retentionInDays": 14}
    logs.put_retention_policy(**keep)
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 14
    keep["retentionInDays"] = 15
    assert code(logs.put_retention_policy, **keep) == "InvalidParameterException"
    assert (
        code(logs.create_log_group, logGroupName="/aws/lambda/ours")
        == "ResourceAlreadyExistsException"
    )


# What moto would hand on to a namesake


def test_tags_go_with_what_they_were_on(sandbox, s3, bucket):
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": SEOUL})
    assert code(s3.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"

    logs = client(sandbox, "logs")
    arn = f"arn:aws:logs:{SEOUL}:{ACCOUNT}:log-group:ours"
    logs.create_log_group(logGroupName="ours", tags={"a": "b"})
    logs.delete_log_group(logGroupName="ours")
    assert code(logs.list_tags_for_resource, resourceArn=arn) == "ResourceNotFoundException"
    assert code(logs.delete_log_group, logGroupName="ours") == "ResourceNotFoundException"
    logs.create_log_group(logGroupName="ours")
    assert logs.list_tags_for_resource(resourceArn=f"{arn}:*")["tags"] == {}


@pytest.mark.parametrize("delete", ["one", "several"])
def test_tags_go_with_a_parameter(sandbox, delete):
    ssm = client(sandbox, "ssm")
    put = {"Name": "/webhook", "Value": "x", "Type": "String"}
    ssm.put_parameter(**put, Tags=TAGS)
    if delete == "one":
        ssm.delete_parameter(Name="/webhook")
        assert code(ssm.delete_parameter, Name="/webhook") == "ParameterNotFound"
    else:
        assert ssm.delete_parameters(Names=["/webhook", "/absent"])["InvalidParameters"]
    ssm.put_parameter(**put)
    where = {"ResourceType": "Parameter", "ResourceId": "/webhook"}
    assert ssm.list_tags_for_resource(**where)["TagList"] == []
