"""A small world for the tests of the sandbox's back half: moto in this process, no network."""

import io
import json
import zipfile
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache

import boto3
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from moto import mock_aws

from ctwatch.clock import Clock
from ctwatch.sandbox.calls import Call, Refusal
from ctwatch.sandbox.delivery import Delivery
from ctwatch.sandbox.inbox import Inbox
from ctwatch.sandbox.metrics import Metrics

REGION = "ap-northeast-2"
ACCOUNT = "123456789012"
EVENTS, SNS, LAMBDA = (f"{name}.amazonaws.com" for name in ("events", "sns", "lambda"))
ALL_LOGS = (["logs:CreateLogStream", "logs:PutLogEvents"], "*")


@cache
def _client(service, region):
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing")
    return session.client(service, region_name=region)


def event(**changes):
    detail = {"eventName": "StopLogging", "readOnly": False, **changes.pop("detail", {})}
    return {
        "version": "0",
        "id": "e-1",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.cloudtrail",
        "account": ACCOUNT,
        "time": "2026-11-21T05:00:00Z",
        "region": REGION,
        "resources": [],
        "detail": detail,
        **changes,
    }


def zipped(mode=0o644, **files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, source in files.items():
            entry = zipfile.ZipInfo(f"{name}.py")
            entry.external_attr = mode << 16
            archive.writestr(entry, source)
    return buffer.getvalue()


def grant(service, action, resource, **condition):
    statement = {
        "Sid": "granted",
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": resource,
    }
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [statement | ({"Condition": condition} if condition else {})],
        }
    )


class Stage:
    """The world, and hands to furnish it with. `faults` makes a client's calls fail."""

    account = ACCOUNT
    region = REGION
    url = "http://127.0.0.1:9"

    def __init__(self, folder, speed):
        self.clock = Clock(speed)
        self.metrics = Metrics(self.clock)
        self.hops = []
        self.faults = {}
        self.inbox = Inbox(folder / "mail", self.clock)
        self.inbox.start()
        self.delivery = Delivery(self, self.inbox)

    def client(self, service, region):
        client = _client(service, region)
        return _Faulty(client, self.faults) if self.faults else client

    def credentials(self, role_arn, session):
        return {"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": f"{role_arn}/{session}"}

    def tell(self, hop):
        self.hops.append(hop)

    def do(self, service, operation, *, region=REGION, key="AKIA", **params):
        now = datetime.now(UTC)
        call = Call(service, operation, region, ACCOUNT, key, params, "", "127.0.0.1", now, "r-1")
        handler = self.delivery.handlers().get((service, operation))
        return handler(call, _forward) if handler else _forward(call)

    def deliver(self, an_event=None, region=REGION):
        self.delivery.deliver(an_event or event(), region)
        assert self.delivery.idle(10)

    def told(self, stage=None, *, ok=None):
        return [
            hop.text for hop in self.hops
            if stage in (None, hop.stage) and ok in (None, hop.ok)
        ]  # fmt: skip

    def role(self, name, *grants, trusted=LAMBDA):
        iam = _client("iam", "us-east-1")
        trust = {"Effect": "Allow", "Principal": {"Service": trusted}, "Action": "sts:AssumeRole"}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document_of([trust]))["Role"][
            "Arn"
        ]
        self.allow(name, *grants)
        return arn

    def allow(self, role, *grants):
        statements = [{"Effect": "Allow", "Action": a, "Resource": r} for a, r in grants]
        if statements:
            _client("iam", "us-east-1").put_role_policy(
                RoleName=role, PolicyName="p", PolicyDocument=document_of(statements)
            )

    def topic(self, name="alarm", policy=None):
        arn = self.do("sns", "CreateTopic", Name=name)["TopicArn"]
        policy = policy or grant(EVENTS, "sns:Publish", arn)
        self.set_topic(arn, Policy=policy)
        return arn

    def set_topic(self, arn, **attributes):
        for name, value in attributes.items():
            self.do(
                "sns", "SetTopicAttributes", TopicArn=arn, AttributeName=name, AttributeValue=value
            )

    def queue(self, name="receipts", service=None, source=None, region=REGION):
        arn = f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"
        condition = {"ArnEquals": {"aws:SourceArn": source}} if source else {}
        attributes = (
            {"Policy": grant(service, "sqs:SendMessage", arn, **condition)} if service else {}
        )
        self.do("sqs", "CreateQueue", region=region, QueueName=name, Attributes=attributes)
        return arn

    def messages(self, arn):
        client = _client("sqs", arn.split(":")[3])
        url = client.get_queue_url(QueueName=arn.split(":")[5])["QueueUrl"]
        answer = client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return answer.get("Messages", [])

    def function(self, source, name="notify", role=None, **config):
        role = role or self.role(f"{name}-role", ALL_LOGS)
        self.do("logs", "CreateLogGroup", logGroupName=f"/aws/lambda/{name}")
        asked = {
            "Runtime": "python3.13",
            "Handler": "main.handler",
            "Timeout": 10,
            "Code": {"ZipFile": zipped(main=source)},
            **config,
        }
        return self.do("lambda", "CreateFunction", FunctionName=name, Role=role, **asked)[
            "FunctionArn"
        ]

    def permit(self, name, principal, source, **more):
        self.do(
            "lambda", "AddPermission", FunctionName=name, StatementId=principal[:3],
            Action="lambda:InvokeFunction", Principal=principal, SourceArn=source, **more,
        )  # fmt: skip

    def invoke(self, name="notify", payload=b"{}", **params):
        return self.do("lambda", "Invoke", FunctionName=name, Payload=payload, **params)

    def logged(self, name="notify"):
        answer = _client("logs", REGION).filter_log_events(logGroupName=f"/aws/lambda/{name}")
        return [one["message"] for one in answer["events"]]

    def rule(self, *targets, name="detect", pattern=None, region=REGION, state="ENABLED"):
        pattern = pattern or {"source": ["aws.cloudtrail"]}
        text = json.dumps(pattern)
        arn = self.do("events", "PutRule", region=region, Name=name, EventPattern=text, State=state)
        given = [
            {"Id": str(n), **({"Arn": t} if isinstance(t, str) else t)}
            for n, t in enumerate(targets)
        ]
        if given:
            self.do("events", "PutTargets", region=region, Rule=name, Targets=given)
        return arn["RuleArn"]


def document_of(statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _forward(call):
    client = _client(call.service, call.region)
    try:
        answer = getattr(client, xform_name(call.operation))(**call.params)
    except ClientError as error:
        told = error.response["Error"]
        raise Refusal(told["Code"], told["Message"]) from None
    answer.pop("ResponseMetadata")
    return answer


class _Faulty:
    """A client whose named methods raise what `faults` holds for them, as often as it holds."""

    def __init__(self, client, faults):
        self._client = client
        self._faults = faults

    def __getattr__(self, name):
        if self._faults.get(name):
            raise self._faults[name].pop(0)
        return getattr(self._client, name)


def client_error(code, status=400):
    answer = {"Error": {"Code": code, "Message": "as told"},
              "ResponseMetadata": {"HTTPStatusCode": status}}  # fmt: skip
    return ClientError(answer, "Operation")


@contextmanager
def _on_stage(folder, speed):
    with mock_aws(config={"lambda": {"use_docker": False}}):
        stage = Stage(folder, speed)
        try:
            yield stage
        finally:
            stage.delivery.close()
            stage.inbox.stop()


@pytest.fixture
def stage(tmp_path):
    with _on_stage(tmp_path, speed=1) as one:
        yield one


@pytest.fixture
def fast(tmp_path):
    """A stage on which an hour passes in 1.8 seconds."""
    with _on_stage(tmp_path, speed=2000) as one:
        yield one
