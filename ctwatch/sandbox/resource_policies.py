"""The policies that hang on things (a bucket, a topic, a queue, a bus): what they forbid and grant.

Within one account either will do: a right by one's own policies, or a grant in the thing's to
oneself; but what that denies, nobody may do. A function's policy is not asked here: it can deny
nothing, as `lambda:AddPermission` knows no deny, and what it grants is for services to invoke it.

Policies are read from moto's own memory, as every call asks for one.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics-id-rdp.html
"""

from collections.abc import Mapping
from typing import Any

from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from ctwatch.sandbox import policies
from ctwatch.sandbox.cloud import bus_policy
from ctwatch.sandbox.policies import Decision, Document

_ROOTS_OWN = {"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"}
"""What a bucket's policy cannot take from the root user, who would else be locked out for good.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
"""


def attached(account: str, arn: str) -> Document:
    """The policy of what an ARN names; None where there is none, or where it can deny nothing."""
    if arn.count(":") < 5:  # noqa: PLR2004 - no ARN
        return None
    _, _, service, region, _, resource = arn.split(":", 5)
    read = _READ.get(service)
    return read(account, region, resource) if read else None


def forbidden(
    account: str, arn: str, *, principal: str, action: str, context: Mapping[str, str]
) -> Decision:
    """Whether the policy of what an ARN names leaves somebody the right that he has.

    Args:
        account: whose thing it is.
        arn: the thing's, or of an object in a bucket, or of a rule of a bus.
        principal: the ARN of a user, a role, or a role's session.
        action: such as "sns:Publish".
        context: condition keys and their values, beside those that AWS always has.
    """
    if action in _ROOTS_OWN and principal.endswith(":root"):
        return Decision(True, "the root user keeps it")
    return policies.forbids(
        attached(account, arn), principal=principal, action=action, resource=arn, context=context
    )


def granted(
    account: str, arn: str, *, principal: str, action: str, context: Mapping[str, str]
) -> bool:
    """Whether the policy of what an ARN names gives somebody the right that he has not.

    The arguments are those of `forbidden`.
    """
    asked: Any = {"principal": principal, "action": action, "context": context}
    return policies.grants_itself(attached(account, arn), resource=arn, **asked)


def can_deny(account: str, arn: str) -> bool:
    """Whether the policy of what an ARN names denies anything to anyone."""
    found = policies.statements(attached(account, arn))
    return any(one.get("Effect") == "Deny" for one in found)


def _of_bucket(account: str, _: str, resource: str) -> Document:
    found: Any = s3_backends[account]["aws"].buckets.get(resource.partition("/")[0])
    return found.policy.decode() if found and found.policy else None


def _of_topic(account: str, region: str, name: str) -> Document:
    found: Any = sns_backends[account][region].topics.get(f"arn:aws:sns:{region}:{account}:{name}")
    return found.policy if found else None


def _of_queue(account: str, region: str, name: str) -> Document:
    found: Any = sqs_backends[account][region].queues.get(name)
    return found.policy if found else None


def _of_bus(account: str, region: str, resource: str) -> Document:
    """Of the bus, or of that which a rule belongs to."""
    kind, *names = resource.split("/")
    bus = names[0] if kind == "event-bus" or len(names) > 1 else "default"
    return bus_policy(account, region, bus)


_READ = {"events": _of_bus, "s3": _of_bucket, "sns": _of_topic, "sqs": _of_queue}
