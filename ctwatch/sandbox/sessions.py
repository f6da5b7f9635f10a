"""Whether a role lets its sessions call what the notifier calls.

Of all other calls, and of all other callers, nothing is judged: whoever has a key of the sandbox
may do what he likes, but a function that lost a right must not go on as if it had it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ctwatch.sandbox import keys
from ctwatch.sandbox.calls import Account, Call, Refusal
from ctwatch.sandbox.roles import Roles

_FORBIDDEN = 403


def _parameter(call: Call) -> str:
    name = str(call.params.get("Name", ""))
    return f"arn:aws:ssm:{call.region}:{call.account}:parameter/{name.lstrip('/')}"


# What is judged: the resource that the call is on, and the code that the service refuses with.
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html
_JUDGED: dict[tuple[str, str], tuple[Callable[[Call], str], str, int]] = {
    ("sns", "Publish"): (lambda call: str(call.params.get("TopicArn")), "AuthorizationError",
                         _FORBIDDEN),
    ("ssm", "GetParameter"): (_parameter, "AccessDeniedException", 400),
}  # fmt: skip


_USE = ("kms:GenerateDataKey", "kms:Decrypt")
"""What whoever publishes to an encrypted topic does with its key.

https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
"""


def check(call: Call, identity: Mapping[str, Any], roles: Roles, account: Account) -> None:
    """Refuse what the caller's role does not allow.

    Args:
        call: the call.
        identity: the caller, as a record's `userIdentity` has it.
        roles: of the account.
        account: where a topic's key is looked up.

    Raises:
        Refusal: with the service's own code.
    """
    judged = _JUDGED.get((call.service, call.operation))
    if not judged or identity.get("type") != "AssumedRole":
        return
    resource_of, code, status = judged
    action, resource = f"{call.service}:{call.operation}", resource_of(call)
    role = identity["sessionContext"]["sessionIssuer"]["arn"]
    if roles.may(role, action, resource).allowed:
        _check_key(call, resource, role, roles, account)
        return
    raise Refusal(
        code,
        f"User: {identity['arn']} is not authorized to perform: {action} on resource: {resource} "
        "because no identity-based policy allows the action",
        status,
    )


def _check_key(call: Call, topic: str, role: str, roles: Roles, account: Account) -> None:
    """See that the role may use the key of a topic that it publishes to."""
    if call.operation != "Publish":
        return
    sns = account.client("sns", call.region)
    try:
        found = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    except sns.exceptions.NotFoundException:
        return  # which SNS itself will say
    key = keys.kept(account.client("kms", call.region), found.get("KmsMasterKeyId") or "-")
    if key and not all(roles.may(role, action, key.arn).allowed for action in _USE):
        raise Refusal("KMSAccessDenied", f"{role} may not use {key.arn}, the key of {topic}")
