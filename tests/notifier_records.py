"""CloudTrail events as EventBridge hands them on, with every documented type of userIdentity.

Shapes: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

import json
from typing import Any

from hypothesis import strategies as st

ACCOUNT = "123456789012"
REGION = "ap-northeast-2"
TRAIL = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/ct-trail-monitor"
EVENT_ID = "1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d"
REQUEST_ID = "0f0e0d0c-1111-4222-8333-444455556666"

ROLE_SESSION = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLE:alice@example.com",
    "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/alice@example.com",
    "accountId": ACCOUNT,
    "accessKeyId": "ASIAEXAMPLE",
    "sessionContext": {
        "sessionIssuer": {
            "type": "Role",
            "principalId": "AROAEXAMPLE",
            "arn": f"arn:aws:iam::{ACCOUNT}:role/Admin",
            "accountId": ACCOUNT,
            "userName": "Admin",
        },
        "attributes": {"mfaAuthenticated": "false", "creationDate": "2026-11-21T04:00:00Z"},
    },
}

# type -> (userIdentity, the actor a reader should see, what the identity line must hold)
IDENTITIES: dict[str, tuple[dict[str, Any], str, str]] = {
    "AssumedRole": (ROLE_SESSION, ROLE_SESSION["arn"], f"arn:aws:iam::{ACCOUNT}:role/Admin"),
    "IAMUser": (
        {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLE",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/Alice",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIAEXAMPLE",
            "userName": "Alice",
        },
        f"arn:aws:iam::{ACCOUNT}:user/Alice",
        "an IAM user",
    ),
    "Root": (
        {
            "type": "Root",
            "principalId": ACCOUNT,
            "arn": f"arn:aws:iam::{ACCOUNT}:root",
            "accountId": ACCOUNT,
            "accessKeyId": "",
        },
        f"arn:aws:iam::{ACCOUNT}:root",
        "the root user",
    ),
    "Role": (
        {
            "type": "Role",
            "principalId": "AROAEXAMPLE",
            "accountId": ACCOUNT,
            "userName": "Deployer",
        },
        "Deployer",
        "an IAM role",
    ),
    "FederatedUser": (
        {
            "type": "FederatedUser",
            "principalId": f"{ACCOUNT}:bob",
            "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
            "accountId": ACCOUNT,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "IAMUser",
                    "arn": f"arn:aws:iam::{ACCOUNT}:user/Alice",
                    "userName": "Alice",
                },
            },
        },
        f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
        f"arn:aws:iam::{ACCOUNT}:user/Alice",
    ),
    "Directory": (
        {"type": "Directory", "accountId": ACCOUNT, "userName": "someone@corp.example.com"},
        "someone@corp.example.com",
        "a directory service",
    ),
    "AWSAccount": (
        {"type": "AWSAccount", "principalId": "AIDAOTHER", "accountId": "999988887777"},
        "AIDAOTHER",
        "of account `999988887777`",
    ),
    "AWSService": (
        {"type": "AWSService", "invokedBy": "cloudformation.amazonaws.com"},
        "cloudformation.amazonaws.com",
        "an AWS service",
    ),
    "IdentityCenterUser": (
        {
            "type": "IdentityCenterUser",
            "accountId": ACCOUNT,
            "onBehalfOf": {
                "userId": "544894e8-80c1-707f-60e3-3ba6510dfac1",
                "identityStoreArn": f"arn:aws:identitystore::{ACCOUNT}:identitystore/d-90",
            },
            "credentialId": "EXAMPLE",
        },
        "544894e8-80c1-707f-60e3-3ba6510dfac1",
        f"arn:aws:identitystore::{ACCOUNT}:identitystore/d-90",
    ),
    "SAMLUser": (
        {
            "type": "SAMLUser",
            "principalId": "abcdefgh:carol",
            "userName": "carol",
            "identityProvider": f"arn:aws:iam::{ACCOUNT}:saml-provider/corp",
        },
        "carol",
        f"arn:aws:iam::{ACCOUNT}:saml-provider/corp",
    ),
    "WebIdentityUser": (
        {
            "type": "WebIdentityUser",
            "principalId": "accounts.example.com:aud:dave",
            "userName": "dave",
            "identityProvider": "accounts.example.com",
        },
        "dave",
        "a web identity user",
    ),
    "Unknown": ({"type": "Unknown", "principalId": "AIDAWHO"}, "AIDAWHO", "a type CloudTrail"),
}


def event(**changes: Any) -> dict[str, Any]:
    """A StopLogging that succeeded on our trail, but for `changes` in its record."""
    detail = {
        "eventVersion": "1.11",
        "userIdentity": ROLE_SESSION,
        "eventTime": "2026-11-21T05:03:22Z",
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging",
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.7",
        "userAgent": "aws-cli/2.31.0",
        "requestParameters": {"name": "ct-trail-monitor"},
        "responseElements": None,
        "requestID": REQUEST_ID,
        "eventID": EVENT_ID,
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    return {
        "version": "0",
        "id": "7bf73129-1428-4cd3-a780-95db273d1602",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.cloudtrail",
        "account": ACCOUNT,
        "time": "2026-11-21T05:03:22Z",
        "region": REGION,
        "resources": [],
        "detail": detail | changes,
    }


def sns(*messages: Any) -> dict[str, Any]:
    """What Lambda gets from SNS, one record for each message (JSON, or text as it is)."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in messages]
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "Sns": {"Type": "Notification", "MessageId": f"sns-{n}", "Message": text},
            }
            for n, text in enumerate(texts)
        ]
    }


def any_json(*texts: str) -> st.SearchStrategy[Any]:
    """Whatever JSON can hold and Python's own can say, these texts among it."""
    leaves = st.none() | st.booleans() | st.integers() | st.floats()
    leaves |= st.text(st.characters(categories=None)) | st.sampled_from(texts)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
