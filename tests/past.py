"""A past for tests and benchmarks: records as an account's everyday life leaves them, and files.

Most are calls that read, many are services taking on their roles; few are of what the catalogue
tells. Of about 1.4 KB each, as CloudTrail's are.
"""

import gzip
import json
import random
from datetime import UTC, datetime, timedelta

ACCOUNT = "123456789012"
REGIONS = ("ap-northeast-2", "us-east-1", "eu-west-1")
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
PER_FILE = 500

# Of a thousand records: (how many, service, call, whether it reads, who).
EVERYDAY = (
    (150, "ec2", "DescribeInstances", True, "role"),
    (100, "kms", "Decrypt", True, "role"),
    (90, "sts", "AssumeRole", True, "service"),
    (90, "s3", "GetBucketAcl", True, "service"),
    (80, "ec2", "DescribeVolumes", True, "role"),
    (80, "logs", "CreateLogStream", False, "role"),
    (60, "monitoring", "DescribeAlarms", True, "role"),
    (60, "kms", "GenerateDataKey", True, "role"),
    (50, "ssm", "UpdateInstanceInformation", False, "role"),
    (50, "iam", "GetUser", True, "user"),
    (50, "cloudtrail", "LookupEvents", True, "user"),
    (40, "lambda", "GetFunction20150331v2", True, "role"),
    (40, "ec2", "RunInstances", False, "role"),
    (30, "ec2", "CreateTags", False, "user"),
    (26, "rds", "DescribeDBInstances", True, "role"),
)
# Of ten thousand: what the catalogue tells.
TOLD = (
    (4, "sts", "AssumeRole", True, "user"),
    (2, "ec2", "AuthorizeSecurityGroupIngress", False, "user"),
    (2, "signin", "ConsoleLogin", False, "user"),
    (1, "cloudtrail", "StopLogging", False, "role"),
    (1, "dynamodb", "DeleteTable", False, "role"),
)


def identity(rng, who):
    if who == "service":
        return {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}
    if who == "user":
        name = rng.choice(("alice", "bob", "carol"))
        return {
            "type": "IAMUser",
            "principalId": f"AIDA{name.upper()}",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
            "accountId": ACCOUNT,
            "accessKeyId": f"AKIA{rng.getrandbits(64):016X}",
            "userName": name,
        }
    name = rng.choice(("deploy", "ci", "backup", "monitor"))
    return {
        "type": "AssumedRole",
        "principalId": f"AROA{name.upper()}:i-{rng.getrandbits(64):017x}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/i-{rng.getrandbits(64):017x}",
        "accountId": ACCOUNT,
        "accessKeyId": f"ASIA{rng.getrandbits(64):016X}",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": f"AROA{name.upper()}",
                "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
                "accountId": ACCOUNT,
                "userName": name,
            },
            "attributes": {"creationDate": "2026-11-01T00:00:00Z", "mfaAuthenticated": "false"},
        },
    }


def record(rng, call, at, region):
    """One record of a kind."""
    _, service, name, reads, who = call
    login = service == "signin"
    return {
        "eventVersion": "1.11",
        "userIdentity": identity(rng, who),
        "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": rng.choice(("203.0.113.7", "198.51.100.9", "10.1.2.3", "2001:db8::7")),
        "userAgent": "aws-cli/2.27.1 md/awscrt#0.26.1 ua/2.1 os/linux#6.1 md/arch#x86_64 "
        "lang/python#3.13.3 md/pyimpl#CPython m/Z,b,E cfg/retry-mode#standard",
        "requestParameters": _parameters(rng),
        "responseElements": {"ConsoleLogin": rng.choice(("Success", "Failure"))} if login else None,
        "requestID": _uuid(rng),
        "eventID": _uuid(rng),
        "readOnly": reads,
        "eventType": "AwsConsoleSignIn" if login else "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": f"{service}.{region}.amazonaws.com",
        },
    }


def _uuid(rng):
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _parameters(rng):
    instances = [{"instanceId": f"i-{rng.getrandbits(68):017x}"} for _ in range(2)]
    return {
        "groupId": f"sg-{rng.getrandbits(68):017x}",
        "instancesSet": {"items": instances},
        "clientToken": f"{rng.getrandbits(256):064x}",
        "filterSet": {"items": [{"name": "vpc-id", "valueSet": {"items": [{"value": "vpc-1"}]}}]},
        "maxResults": 100,
    }


def records(seed, count, begin=BEGIN, step=timedelta(seconds=2), rate=0.001):
    """So many records, in their order; `rate` of them are of what the catalogue tells."""
    rng = random.Random(seed)
    everyday = [one for one in EVERYDAY for _ in range(one[0])]
    told = [one for one in TOLD for _ in range(one[0])]
    for number in range(count):
        call = rng.choice(told if rng.random() < rate else everyday)
        region = "us-east-1" if call[1] in {"iam", "signin"} else REGIONS[number % len(REGIONS)]
        yield record(rng, call, begin + number * step, region)


def zipped(several, level=6):
    """A log file of some records, as CloudTrail writes it."""
    document = json.dumps({"Records": list(several)}, separators=(",", ":"))
    return gzip.compress(document.encode(), level)


def key(at, region, name):
    """Where CloudTrail puts a log file."""
    folder = f"AWSLogs/{ACCOUNT}/CloudTrail/{region}/{at:%Y/%m/%d}"
    return f"{folder}/{ACCOUNT}_CloudTrail_{region}_{at:%Y%m%dT%H%MZ}_{name:>016}.json.gz"
