"""KMS as AWS has it and moto does not: what a key's state forbids, and who may use it for what.

https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ctwatch.sandbox import policies
from ctwatch.sandbox.calls import Call, Forward, Refusal
from ctwatch.sandbox.cloud import Cloud

ENABLED = "Enabled"
_PENDING = "PendingDeletion"
_DISABLED = "Disabled"

Rule = Callable[[Call, Forward, Cloud], dict[str, Any]]


@dataclass(frozen=True)
class Kept:
    """A key as it is.

    Attributes:
        state: "Enabled", "Disabled", "PendingDeletion".
        policy: its policy, as text.
    """

    arn: str
    state: str
    policy: str

    def lets(self, service: str, action: str, context: Mapping[str, str]) -> bool:
        """Whether its policy lets a service do that with it."""
        return policies.allowed(
            self.policy, principal=service, action=action, resource=self.arn, context=context
        )


def kept(kms: Any, name: str) -> Kept | None:
    """The key of that id, ARN or alias, or None.

    Args:
        kms: a client that reaches moto past everything else.
        name: what the caller typed.
    """
    try:
        found = kms.describe_key(KeyId=name)["KeyMetadata"]
        policy = kms.get_key_policy(KeyId=found["KeyId"], PolicyName="default")["Policy"]
    except kms.exceptions.NotFoundException:
        return None
    return Kept(found["Arn"], found["KeyState"], policy)


def _named(call: Call, cloud: Cloud, member: str) -> tuple[Call, Kept]:
    """The call with the key by its id, as moto knows some keys by nothing else.

    Raises:
        Refusal: there is no such key.
    """
    given = call.params[member]
    found = kept(cloud.client("kms", call.region), given)
    if found is None:
        raise Refusal("NotFoundException", f"Key '{given}' does not exist")
    return call.but(**{member: found.arn.rpartition("/")[2]}), found


def _unless(*forbidden: str, member: str = "KeyId") -> Rule:
    """An operation that a key in one of these states refuses."""

    def rule(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
        named, found = _named(call, cloud, member)
        if found.state in forbidden:
            if found.state == _DISABLED:
                raise Refusal("DisabledException", f"{found.arn} is disabled.")
            raise Refusal("KMSInvalidStateException", f"{found.arn} is pending deletion.")
        return forward(named)

    return rule


def _cancel(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """Only what waits for its deletion can be taken back; it is disabled then."""
    named, found = _named(call, cloud, "KeyId")
    if found.state != _PENDING:
        raise Refusal("KMSInvalidStateException", f"{found.arn} is not pending deletion.")
    return forward(named)


def _rotation(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """A key that waits for its deletion is not renewed.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyRotationStatus.html
    """
    named, found = _named(call, cloud, "KeyId")
    answer = forward(named)
    return {**answer, "KeyRotationEnabled": False} if found.state == _PENDING else answer


def _put_policy(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """A key has one policy, which need not be named.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_PutKeyPolicy.html
    """
    named, _ = _named(call, cloud, "KeyId")
    return forward(named.but(PolicyName=call.params.get("PolicyName", "default")))


def check_policy(call: Call, _: Cloud) -> None:
    """Refuse a policy that is none."""
    text = call.params.get("Policy")
    if text is not None and not policies.statements(text):
        raise Refusal("MalformedPolicyDocumentException", "The policy is not valid.")


def for_trail(cloud: Cloud, trail: str, name: str) -> str:
    """The ARN of a key with which CloudTrail may encrypt what that very trail writes.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html

    Args:
        cloud: the account.
        trail: the trail's ARN.
        name: of the key, as it was typed.

    Raises:
        Refusal: it may not, or there is no such key in the trail's region.
    """
    found = kept(cloud.client("kms", trail.split(":")[3]), name)
    if found is None:
        raise Refusal("KmsKeyNotFoundException", f"KMS key {name} does not exist in this Region.")
    if found.state != ENABLED:
        raise Refusal("KmsException", f"{found.arn} is not enabled.")
    facts = {"aws:SourceArn": trail, "aws:SourceAccount": cloud.account}
    encrypted = {**facts, "kms:EncryptionContext:aws:cloudtrail:arn": trail}
    asked = {"kms:GenerateDataKey": encrypted, "kms:DescribeKey": facts}
    if not all(found.lets("cloudtrail.amazonaws.com", *one) for one in asked.items()):
        raise Refusal(
            "InsufficientEncryptionPolicyException",
            f"Insufficient permissions to access S3 bucket or KMS key {found.arn}.",
        )
    return found.arn


RULES: dict[str, Rule] = {
    "CancelKeyDeletion": _cancel,
    "CreateAlias": _unless(_PENDING, member="TargetKeyId"),
    "DeleteImportedKeyMaterial": _unless(),
    "DisableKey": _unless(_PENDING),
    "DisableKeyRotation": _unless(_PENDING, _DISABLED),
    "EnableKey": _unless(_PENDING),
    "EnableKeyRotation": _unless(_PENDING, _DISABLED),
    "GetKeyRotationStatus": _rotation,
    "PutKeyPolicy": _put_policy,
    "RevokeGrant": _unless(),
    "ScheduleKeyDeletion": _unless(_PENDING),
    "TagResource": _unless(_PENDING),
    "UntagResource": _unless(_PENDING),
    "UpdateAlias": _unless(_PENDING, member="TargetKeyId"),
}
