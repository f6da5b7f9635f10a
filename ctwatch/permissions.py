"""What IAM has to allow for a call, declared beside the code that makes the call.

A resource declares it for each of its verbs (`Resource.actions`); whoever else calls AWS does it in
a function or constant of its own. `policy` makes documents of it. What an action is called, and
whether it takes ARNs, is told by the Service Authorization Reference, a page for each service:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

ANY = "*"
"""The resource of actions that take no ARN."""


class Condition(NamedTuple):
    """One condition of a statement: operator, key and the one value that it compares with."""

    operator: str
    key: str
    value: str


@dataclass(frozen=True)
class Grant:
    """Some actions on some resources.

    Attributes:
        actions: as IAM calls them, "sqs:CreateQueue".
        arns: of what they are on, with wildcards; ("*",) where they take none.
        condition: what else must hold, or None.
        protective: whether denying the same to others protects the watch, and harms nobody: not
            where it only looks, or is also on what is not the watch's.
    """

    actions: tuple[str, ...]
    arns: tuple[str, ...]
    condition: Condition | None = None
    protective: bool = True

    def only_if(self, condition: Condition) -> "Grant":
        """The same under a condition; what takes no ARN, or has a condition already, as it is."""
        if self.condition or self.arns == (ANY,):
            return self
        return replace(self, condition=condition)


def allow(service: str, calls: str, *arns: str) -> Grant:
    """A grant.

    Args:
        service: IAM's prefix of the service, "sqs".
        calls: its actions without that prefix, between blanks.
        arns: what they are on; none where they take no ARN.
    """
    return Grant(tuple(f"{service}:{call}" for call in calls.split()), arns or (ANY,))


def passing(role: str, service: str) -> Grant:
    """Hand a role to a service, and to no other.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html

    Args:
        role: its ARN.
        service: the service's principal, "lambda.amazonaws.com".
    """
    to = Condition("StringEquals", "iam:PassedToService", service)
    return replace(allow("iam", "PassRole", role), condition=to, protective=False)


@dataclass(frozen=True)
class Actions:
    """What a resource's verbs need.

    Attributes:
        read: to look at it.
        write: to make and to mend it, beside `read`.
        delete: to delete it, beside `read`.
        tampering: what else would harm it, and no verb of ours does.
    """

    read: tuple[Grant, ...]
    write: tuple[Grant, ...] = ()
    delete: tuple[Grant, ...] = ()
    tampering: tuple[Grant, ...] = ()
