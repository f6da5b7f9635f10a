"""A sandbox without its back half, for tests of the front one."""

import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from ctwatch.sandbox.server import Sandbox

ACCOUNT = "123456789012"
SEOUL = "ap-northeast-2"
VIRGINIA = "us-east-1"


class EventLog:
    """Stands for the event plane: keeps what it is given."""

    def __init__(self, world, inbox):
        self.given = (world, inbox)
        self.events = []
        self.published = []
        self.answers = {}
        self.ended = 0

    def wait(self, ended, seconds):
        self.given[0].clock.sleep(seconds)

    def handlers(self):
        return self.answers

    def deliver(self, event, region):
        self.events.append((region, event))

    def publish(self, arn, message):
        self.published.append((arn, json.loads(message)))

    def idle(self, timeout):
        return timeout > 0

    def reset(self):
        self.events.clear()

    def close(self):
        self.events.clear()

    def names(self):
        return [event["detail"]["eventName"] for _, event in self.events]


class NoMail:
    """Stands for the mailbox."""

    def __init__(self, folder, clock):
        self.webhook_urls = dict.fromkeys(
            ("discord", "slack", "teams", "webhook"), "http://127.0.0.1:9/api/webhooks/1/x"
        )
        self.folder = folder
        self.clock = clock

    def start(self):
        pass

    def stop(self):
        pass

    def reset(self):
        pass


def front(**options):
    return Sandbox(**{"delivery_factory": EventLog, "inbox_factory": NoMail, **options})


def client(sandbox, service, region=SEOUL, **options):
    env = sandbox.env()
    keys = {
        "aws_access_key_id": env["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"],
    }
    config = Config(retries={"total_max_attempts": 1})
    given = {"endpoint_url": sandbox.url, "region_name": region, "config": config}
    return boto3.client(service, **{**given, **keys, **options})


def refused(call, **params):
    """The error code and message of a call that must fail."""
    try:
        call(**params)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError("the call was not refused")


def code(call, **params):
    return refused(call, **params)[0]


def bucket_policy(bucket, *trails, prefix="", region=SEOUL):
    """A bucket policy that lets CloudTrail in for these trails."""
    arns = [f"arn:aws:cloudtrail:{region}:{ACCOUNT}:trail/{name}" for name in trails]
    where = f"arn:aws:s3:::{bucket}"
    allow = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}}
    source = {"aws:SourceArn": arns}
    acl = {"s3:x-amz-acl": "bucket-owner-full-control"}
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    **allow,
                    "Action": "s3:GetBucketAcl",
                    "Resource": where,
                    "Condition": {"StringEquals": source},
                },
                {
                    **allow,
                    "Action": "s3:PutObject",
                    "Resource": f"{where}/{prefix}AWSLogs/{ACCOUNT}/*",
                    "Condition": {"StringEquals": {**source, **acl}},
                },
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [where, f"{where}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ],
        }
    )


def make_bucket(sandbox, name="logs-of-ours", trails=("watched",), region=SEOUL):
    """A bucket that CloudTrail may write to."""
    s3 = client(sandbox, "s3", region)
    place = {} if region == VIRGINIA else {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": place} if place else {}))
    s3.put_bucket_policy(Bucket=name, Policy=bucket_policy(name, *trails, region=region))
    return name


def make_trail(sandbox, name="watched", *, logging=True, region=SEOUL, **options):
    """A trail with a bucket of its own, by default logging."""
    bucket = make_bucket(sandbox, f"{name}-logs", (name,), region)
    cloudtrail = client(sandbox, "cloudtrail", region)
    made = cloudtrail.create_trail(Name=name, S3BucketName=bucket, **options)
    if logging:
        cloudtrail.start_logging(Name=name)
    return made["TrailARN"]
