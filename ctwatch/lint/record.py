"""What an event of CloudTrail holds: its detail-types, its fields, and those with few values.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
"""

from collections.abc import Mapping
from typing import Any

API = "AWS API Call via CloudTrail"
SIGN_IN = "AWS Console Sign In via CloudTrail"
# AWS's own pages spell it both ways; the events that people have seen say "Sign In".
SIGN_IN_TYPES = frozenset({SIGN_IN, "AWS Console Signin via CloudTrail"})
SERVICE_EVENT = "AWS Service Event via CloudTrail"
INSIGHT = "AWS Insight via CloudTrail"
TYPES = (
    *(API, *sorted(SIGN_IN_TYPES), SERVICE_EVENT, INSIGHT),
    *("AWS Console Action via CloudTrail", "AWS Network Activity Event via CloudTrail"),
)

# userIdentity and the rest of a record: field -> its fields; None where anything may stand.
_ANYTHING: Mapping[str, Any] | None = None
_LEAF: Mapping[str, Any] = {}


def _fields(words: str, **nested: Mapping[str, Any] | None) -> dict[str, Any]:
    return {**dict.fromkeys(words.split(), _LEAF), **nested}


_ISSUER = _fields("type principalId arn accountId userName")
_SESSION = _fields(
    "assumedRoot sourceIdentity ec2RoleDelivery",
    sessionIssuer=_ISSUER,
    attributes=_fields("mfaAuthenticated creationDate"),
    webIdFederationData=_ANYTHING,
)
_IDENTITY = _fields(
    "type userName principalId arn accountId accessKeyId invokedBy identityProvider credentialId",
    sessionContext=_SESSION,
    onBehalfOf=_fields("userId identityStoreArn"),
    inScopeOf=_ANYTHING,
)
RECORD = _fields(
    "eventVersion eventTime eventSource eventName awsRegion sourceIPAddress userAgent errorCode "
    "errorMessage requestID eventID eventType apiVersion managementEvent readOnly "
    "recipientAccountId sharedEventID vpcEndpointId vpcEndpointAccountId eventCategory "
    "sessionCredentialFromConsole",
    userIdentity=_IDENTITY,
    requestParameters=_ANYTHING,
    responseElements=_ANYTHING,
    additionalEventData=_ANYTHING,
    serviceEventDetails=_ANYTHING,
    insightDetails=_ANYTHING,
    eventContext=_ANYTHING,
    edgeDeviceDetails=_ANYTHING,
    resources=_fields("ARN accountId type ARNPrefix"),
    addendum=_fields("reason updatedFields originalRequestID originalEventID"),
    tlsDetails=_fields("tlsVersion cipherSuite clientProvidedHostHeader"),
)
ENVELOPE = _fields(
    "version id detail-type source account time region resources replay-name", detail=RECORD
)

# Fields with few values; what they may be is on the page of record contents.
VALUES: dict[str, tuple[Any, ...]] = {
    "detail.userIdentity.type": (
        *("Root", "IAMUser", "AssumedRole", "Role", "FederatedUser", "Directory", "AWSAccount"),
        *("AWSService", "IdentityCenterUser", "SAMLUser", "WebIdentityUser", "Unknown"),
    ),
    "detail.eventType": (
        *("AwsApiCall", "AwsServiceEvent", "AwsConsoleAction", "AwsConsoleSignIn"),
        *("AwsVpceEvent", "AwsCloudTrailInsight"),
    ),
    "detail.eventCategory": ("Management", "Data", "NetworkActivity", "Insight"),
    "detail.readOnly": (True, False),
    "detail.managementEvent": (True, False),
    "detail.userIdentity.sessionContext.attributes.mfaAuthenticated": ("true", "false"),
    "detail.sessionCredentialFromConsole": ("true", "false"),
}


def field_elsewhere(key: str) -> str:
    """The path in an event of a field of that name, wherever it has its place."""
    todo = [("", ENVELOPE)]
    while todo:
        path, fields = todo.pop(0)
        if key in fields:
            return path + key
        todo += [(f"{path}{name}.", below) for name, below in fields.items() if below]
    return ""
