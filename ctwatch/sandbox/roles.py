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
    """

    role_arn: str
    documents: list[policies.Document] | None

    def may(self, action: str, resource: str) -> Decision:
        """Whether they allow `action` on `resource`."""
        if self.documents is None:
            return Decision(False, f"role {self.role_arn} does not exist")
        return policies.explain_identity(
            self.documents, action=action, resource=resource, context={}
        )


class Roles:
    """The roles of the sandbox's account."""

    def __init__(self, world: Account) -> None:
        self._world = world

    def held(self, role_arn: str) -> "Held":
        """The role's own policies, inline and attached, as they are now."""
        try:
            return Held(role_arn, list(self._documents(role_arn.rsplit("/", 1)[-1])))
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
        for one in attached:
            version = self._iam.get_policy(PolicyArn=one["PolicyArn"])["Policy"]["DefaultVersionId"]
            found = self._iam.get_policy_version(PolicyArn=one["PolicyArn"], VersionId=version)
            yield _parsed(found["PolicyVersion"]["Document"])


def _parsed(document: Any) -> policies.Document:
    """IAM answers policies URL-encoded, which boto3 undoes only where it knows of it."""
    return unquote(document) if isinstance(document, str) else document
