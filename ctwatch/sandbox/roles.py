"""What a role of the sandbox may do, read from IAM as it is now."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from ctwatch.sandbox import policies
from ctwatch.sandbox.calls import Account
from ctwatch.sandbox.policies import Decision


@dataclass(frozen=True)
class Held:
    """What a role holds, read once for several questions.

    Attributes:
        documents: its policies; None when there is no such role.
        boundary: what its permissions boundary allows at most; None when it has none.
    """

    role_arn: str
    documents: list[policies.Document] | None
    boundary: policies.Document | None = None

    def may(self, action: str, resource: str) -> Decision:
        """Whether they allow `action` on `resource`."""
        if self.documents is None:
            return Decision(False, f"role {self.role_arn} does not exist")
        asked: Any = {"action": action, "resource": resource, "context": {}}
        decision = policies.explain_identity(self.documents, **asked)
        if self.boundary is None or not decision.allowed:
            return decision
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
        bounded = policies.explain_identity([self.boundary], **asked)
        return bounded if bounded.allowed else Decision(False, f"boundary: {bounded.reason}")


class Roles:
    """The roles of the sandbox's account."""

    def __init__(self, world: Account) -> None:
        self._world = world

    def held(self, role_arn: str) -> "Held":
        """The role's own policies, inline and attached, and its boundary, as they are now."""
        name = role_arn.rsplit("/", 1)[-1]
        try:
            return Held(role_arn, list(self._documents(name)), self._boundary(name))
        except ClientError:
            return Held(role_arn, None)

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
            _parsed(role["AssumeRolePolicyDocument"]),
            principal=service,
            action="sts:AssumeRole",
            resource=role_arn,
            context={"aws:SourceArn": source_arn, "aws:SourceAccount": self._world.account},
        )

    @property
    def _iam(self) -> Any:
        return self._world.client("iam", "us-east-1")

    def _documents(self, name: str) -> Iterator[policies.Document]:
        for inline in self._iam.list_role_policies(RoleName=name)["PolicyNames"]:
            found = self._iam.get_role_policy(RoleName=name, PolicyName=inline)
            yield _parsed(found["PolicyDocument"])
        attached = self._iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        yield from (self._managed(one["PolicyArn"]) for one in attached)

    def _boundary(self, name: str) -> policies.Document | None:
        bounded = self._iam.get_role(RoleName=name)["Role"].get("PermissionsBoundary")
        return self._managed(bounded["PermissionsBoundaryArn"]) if bounded else None

    def _managed(self, arn: str) -> policies.Document:
        version = self._iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = self._iam.get_policy_version(PolicyArn=arn, VersionId=version)
        return _parsed(found["PolicyVersion"]["Document"])


def _parsed(document: Any) -> policies.Document:
    """IAM answers policies URL-encoded, which boto3 undoes only where it knows of it."""
    return unquote(document) if isinstance(document, str) else document
