"""What a role or a user of the sandbox may do, by the policies that IAM holds now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ctwatch.sandbox import belongings, policies
from ctwatch.sandbox.calls import Account
from ctwatch.sandbox.policies import Decision


@dataclass(frozen=True)
class Held:
    """What a role or a user holds, read once for several questions.

    Attributes:
        arn: whose it is.
        documents: the policies; None when there is no such role or user.
        boundary: what the permissions boundary allows at most; None when there is none.
    """

    arn: str
    documents: list[policies.Document] | None
    boundary: policies.Document | None = None

    def may(self, action: str, resource: str, context: Mapping[str, str] | None = None) -> Decision:
        """Whether they allow `action` on `resource`."""
        if self.documents is None:
            return Decision(False, f"role {self.arn} does not exist")
        asked: Any = {"action": action, "resource": resource, "context": context or {}}
        decision = policies.explain_identity(self.documents, **asked)
        if self.boundary is None or not decision.allowed:
            return decision
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
        bounded = policies.explain_identity([self.boundary], **asked)
        return bounded if bounded.allowed else Decision(False, f"boundary: {bounded.reason}")


class Roles:
    """The roles and users of the sandbox's account."""

    def __init__(self, world: Account) -> None:
        self._world = world

    def held(self, arn: str) -> "Held":
        """Its own policies, inline and attached, its groups' and its boundary, as they are now."""
        found = belongings.holdings(self._world.account, arn)
        return Held(arn, *found) if found else Held(arn, None)

    def may(self, role_arn: str, action: str, resource: str) -> Decision:
        """Whether the role's own policies allow `action` on `resource`."""
        return self.held(role_arn).may(action, resource)

    def trusts(self, role_arn: str, service: str, source_arn: str = "") -> Decision:
        """Whether the role exists and lets `service` assume it."""
        try:
            role = self._iam.get_role(RoleName=role_arn.rsplit("/", 1)[-1])["Role"]
        except ClientError:
            return Decision(False, f"role {role_arn} does not exist")
        return policies.explain(
            belongings.parsed(role["AssumeRolePolicyDocument"]),
            principal=service,
            action="sts:AssumeRole",
            resource=role_arn,
            context={"aws:SourceArn": source_arn, "aws:SourceAccount": self._world.account},
        )

    @property
    def _iam(self) -> Any:
        return self._world.client("iam", "us-east-1")
