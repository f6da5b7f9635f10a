"""What IAM has for those who try a policy, and moto has not.

Permissions boundaries of users, and the policies that AWS manages: these are read (4 MB of them)
when a call first names one.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPermissionsBoundary.html
"""

from typing import Any

from ctwatch.sandbox import belongings
from ctwatch.sandbox.calls import Call, Forward, Refusal
from ctwatch.sandbox.cloud import Cloud


def name_managed(call: Call, cloud: Cloud) -> None:
    """Let the account know AWS's own policies, when a call names one."""
    for name in ("PolicyArn", "PermissionsBoundary"):
        if arn := call.params.get(name):
            belongings.managed(cloud.account, arn)


def create(call: Call, forward: Forward, cloud: Cloud) -> dict[str, Any]:
    """A user, with his boundary from the first."""
    arn = call.params.get("PermissionsBoundary")
    if arn:
        _check_policy(cloud.account, arn)
    answer = forward(call)
    if arn:
        belongings.bound(cloud.account, call.params["UserName"], arn)
    return answer


def put_boundary(call: Call, _: Forward, cloud: Cloud) -> dict[str, Any]:
    """Set the boundary of a user."""
    _check_policy(cloud.account, call.params["PermissionsBoundary"])
    _bind(call, cloud, call.params["PermissionsBoundary"])
    return {}


def delete_boundary(call: Call, _: Forward, cloud: Cloud) -> dict[str, Any]:
    """Take it away."""
    _bind(call, cloud, None)
    return {}


def _bind(call: Call, cloud: Cloud, arn: str | None) -> None:
    name = call.params["UserName"]
    if not belongings.bound(cloud.account, name, arn):
        raise Refusal("NoSuchEntity", f"The user with name {name} cannot be found.", 404)


def _check_policy(account: str, arn: str) -> None:
    if belongings.managed(account, arn) is None:
        raise Refusal("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", 404)
