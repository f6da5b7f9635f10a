"""Whether a call that a drill made could have changed anything, read from the call itself.

Nothing is trusted but what is listed here: whatever a call says in words must name the decoy, be
one of the values that botocore's model knows, or be one of the few words below.
"""

from collections.abc import Iterator
from typing import Any

from botocore.loaders import create_loader
from botocore.model import OperationModel, ServiceModel

from ctwatch.sandbox.server import Observed
from ctwatch.techniques import Decoy

# Words of a call that name nothing of anybody's.
INERT = {
    ("s3", "ID"): {"all"},
    ("s3", "Prefix"): {""},
    ("sns", "AttributeName"): {"Policy", "FilterPolicy"},
    ("ec2", "IpProtocol"): {"tcp"},
    ("ec2", "CidrIp"): {"192.0.2.1/32"},  # RFC 5737: nobody's address
}

# Where the model does not require what the service does require.
TARGETS = {
    ("ec2", "AuthorizeSecurityGroupIngress"): "GroupName",
    ("cloudtrail", "PutInsightSelectors"): "TrailName",  # it may be an event data store instead
}

# Calls that no name of ours makes harmless.
NEVER = {
    "creates or overwrites what it names": {
        "cloudtrail": "CreateTrail CreateEventDataStore",
        "config": "PutConfigurationRecorder PutDeliveryChannel PutConfigRule",
        "dynamodb": "CreateTable PutItem",
        "ec2": "CreateSecurityGroup",
        "events": "PutRule PutPermission PutEvents",
        "guardduty": "CreateDetector",
        "iam": "CreateRole CreateUser CreatePolicy",
        "kms": "CreateAlias CreateKey",
        "lambda": "CreateFunction",
        "logs": "CreateLogGroup PutResourcePolicy",
        "s3": "CreateBucket PutObject",
        "sns": "CreateTopic Subscribe",
        "sqs": "CreateQueue",
        "ssm": "PutParameter",
    },
    "is about the account": {
        "cloudtrail": "RegisterOrganizationDelegatedAdmin DeregisterOrganizationDelegatedAdmin",
        "config": "PutRetentionConfiguration",
        "events": "UpdateEventBus RemovePermission",
        "guardduty": "DisassociateFromMasterAccount DisassociateFromAdministratorAccount "
        "DisableOrganizationAdminAccount",
        "iam": "DeleteAccountPasswordPolicy UpdateAccountPasswordPolicy DeleteAccountAlias",
        "organizations": "LeaveOrganization DeleteOrganization RemoveAccountFromOrganization "
        "CloseAccount",
        "s3control": "PutPublicAccessBlock DeletePublicAccessBlock",
    },
    "succeeds where there is nothing": {
        "events": "DeleteRule",
        "sns": "DeleteTopic Unsubscribe",
        "sqs": "DeleteQueue",
        "ssm": "DeleteParameters",
    },
}


def faults(call: Observed, decoy: Decoy) -> list[str]:
    """All that is wrong with a call as a drill; empty when it can do no harm."""
    found = [*_forbidden(call), *_untargeted(call, decoy), *_shared(call, decoy)]
    found += [f"names {value!r}" for value in _strangers(call, decoy)]
    return found if call.error else [*found, "succeeded"]


def _forbidden(call: Observed) -> Iterator[str]:
    for why, services in NEVER.items():
        if call.operation in services.get(call.service, "").split():
            yield why


def _untargeted(call: Observed, decoy: Decoy) -> Iterator[str]:
    """No call without a target: one that it cannot be made without, and that is the decoy."""
    shape = _model(call).input_shape
    required = [*(shape.required_members if shape else ())]
    if named := TARGETS.get((call.service, call.operation)):
        required.append(named)
    if not any(decoy.name in str(call.params.get(member)) for member in required):
        yield "has no target"


def _shared(call: Observed, decoy: Decoy) -> Iterator[str]:
    """What has one namespace for all accounts must say whose it is."""
    account = decoy.place.account
    if call.service == "s3":
        if call.params.get("ExpectedBucketOwner") != account:
            yield "may reach another account's bucket"
        if not call.params.get("Bucket", "").endswith(f"-{account}-{decoy.place.region}-an"):
            yield "names a bucket that another account can own"
    for _, value in _words(call.params, "", None):
        if value.startswith(("arn:", "https://")) and account not in value:
            yield f"names another account's {value!r}"


def _strangers(call: Observed, decoy: Decoy) -> Iterator[str]:
    """What is named and is neither the decoy nor one of the words that are known."""
    for member, value in _words(call.params, "", _model(call).input_shape):
        inert = INERT.get((call.service, member), set())
        own = member == "ExpectedBucketOwner" and value == decoy.place.account
        if decoy.name not in value and value not in inert and not own:
            yield value


def _words(value: Any, member: str, shape: Any) -> Iterator[tuple[str, str]]:
    """Each string with the member that holds it, but those that are of the model's own choice."""
    if isinstance(value, dict):
        members = getattr(shape, "members", {})
        for key, item in value.items():
            yield from _words(item, key, members.get(key))
    elif isinstance(value, list):
        for item in value:
            yield from _words(item, member, getattr(shape, "member", None))
    elif isinstance(value, str) and value not in getattr(shape, "enum", ()):
        yield member, value


def _model(call: Observed) -> OperationModel:
    description = create_loader().load_service_model(call.service, "service-2")
    return ServiceModel(description, call.service).operation_model(call.operation)
