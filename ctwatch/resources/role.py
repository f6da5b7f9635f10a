"""What a service of AWS does in our name: what it needs, named by ARN, and nothing else."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from ctwatch.aws import Aws, code_of, unless
from ctwatch.diff import State, statements
from ctwatch.permissions import Actions, allow
from ctwatch.resources.base import Live, Resource, owner, pairs

_GONE = "NoSuchEntity"

HOME = "ctwatch:region"
"""The tag of a role that says in which region its watch lives, as a role itself lives in none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Role(Resource):
    """A role for one service with one inline policy.

    A watch of the same name in another region would have the same role: it is that watch's then,
    and to this one a stranger's.

    Attributes:
        service: the service that may assume it.
        grants: (actions, resource ARN) pairs.
        policy_name: the name of the inline policy.
        sources: what the service may act for, as ARNs; empty where it tells no ARN.
    """

    service: str
    grants: tuple[tuple[tuple[str, ...], str], ...]
    policy_name: str = "notifier"
    sources: tuple[str, ...] = ()

    kind: ClassVar[str] = "role"

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.place.role_arn(self.name)

    @property
    def tags(self) -> dict[str, str]:
        """The tags it is created with."""
        return {**super().tags, HOME: self.place.region}

    @property
    def trust(self) -> State:
        """Who may assume it."""
        principal = {"Service": self.service}
        statement: State = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        if self.sources:
            statement["Condition"] = {"ArnEquals": {"aws:SourceArn": list(self.sources)}}
        return {"Version": "2012-10-17", "Statement": [{"Sid": "Assume", **statement}]}

    @property
    def policy(self) -> State:
        """What it may do."""
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": f"{actions[0].title().replace(':', '')}{number}",
                    "Effect": "Allow",
                    "Action": list(actions),
                    "Resource": resource,
                }
                for number, (actions, resource) in enumerate(self.grants)
            ],
        }

    @property
    def wanted(self) -> State:
        """The trust, the one inline policy, nothing attached, no boundary that takes away."""
        return {
            "trust": statements(self.trust),
            "inline": {self.policy_name: statements(self.policy)},
            "attached": [],
            "boundary": None,
        }

    @property
    def actions(self) -> Actions:
        """https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html."""
        mine, strip = self.arn, "DetachRolePolicy DeleteRolePolicy"
        mend = f"UpdateAssumeRolePolicy DeleteRolePermissionsBoundary PutRolePolicy {strip}"
        look = "GetRole ListRolePolicies GetRolePolicy ListAttachedRolePolicies"
        return Actions(
            read=(allow("iam", look, mine),),
            write=(allow("iam", f"CreateRole TagRole {mend}", mine),),
            delete=(allow("iam", f"{strip} DeleteRole", mine),),
            tampering=(
                allow("iam", "AttachRolePolicy PutRolePermissionsBoundary UntagRole", mine),
            ),
        )

    def read(self, aws: Aws) -> Live | None:
        """Look at the role and at all it is granted."""
        iam, name = aws.iam, self.name
        role, inline, attached = aws.together(
            lambda: unless(lambda: iam.get_role(RoleName=name)["Role"], _GONE),
            lambda: unless(lambda: self._inline(aws), _GONE),
            lambda: unless(
                lambda: iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"],
                _GONE,
            ),
        )
        if role is None:
            return None
        state = {
            "trust": statements(role["AssumeRolePolicyDocument"], statements(self.trust)),
            "inline": inline or {},
            "attached": sorted(one["PolicyArn"] for one in attached or []),
            "boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        }
        tags = role.get("Tags") or []
        home = next((one["Value"] for one in tags if one["Key"] == HOME), self.place.region)
        if home != self.place.region:
            return Live(
                state, None, {"anothers": f"it is that of the watch {self.watch} in {home}"}
            )
        return Live(state, owner(tags), tags=pairs(tags))

    def _inline(self, aws: Aws) -> State:
        names = aws.iam.list_role_policies(RoleName=self.name)["PolicyNames"]
        found: State = {}
        for name in names:
            document: Any = aws.iam.get_role_policy(RoleName=self.name, PolicyName=name)
            like = statements(self.policy) if name == self.policy_name else None
            found[name] = statements(document["PolicyDocument"], like)
        return found

    def write(self, aws: Aws, live: Live | None) -> None:
        """Create it, or mend what differs."""
        iam, name, wanted = aws.iam, self.name, self.wanted
        have = live.state if live else self._create(aws)
        if have["trust"] != wanted["trust"]:
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(self.trust))
        if have["boundary"]:
            self._without(partial(iam.delete_role_permissions_boundary, RoleName=name))
        for arn in have["attached"]:
            self._without(partial(iam.detach_role_policy, RoleName=name, PolicyArn=arn))
        for extra in have["inline"].keys() - {self.policy_name}:
            self._without(partial(iam.delete_role_policy, RoleName=name, PolicyName=extra))
        if have["inline"].get(self.policy_name) != wanted["inline"][self.policy_name]:
            # IAM may not show a role, or still be writing it, that it has just made.
            aws.patiently(
                lambda: iam.put_role_policy(
                    RoleName=name,
                    PolicyName=self.policy_name,
                    PolicyDocument=json.dumps(self.policy),
                ),
                code=(_GONE, "ConcurrentModification"),
            )

    def _create(self, aws: Aws) -> State:
        aws.iam.create_role(
            RoleName=self.name,
            AssumeRolePolicyDocument=json.dumps(self.trust),
            Description=f"What the {self.policy_name} of the watch {self.watch} may do",
            Tags=self.tag_list,
        )
        return {**self.wanted, "inline": {}}

    def label(self, aws: Aws) -> None:
        """Put them on."""
        aws.iam.tag_role(RoleName=self.name, Tags=self.tag_list)

    def delete(self, aws: Aws) -> None:
        """Delete it, and take away its policies, as long as it has any and IAM refuses.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
        """
        unless(lambda: self._delete(aws), _GONE)

    def delete_found(self, aws: Aws, live: Live) -> None:
        """The same, of which the policies that were found go first."""
        unless(lambda: self._strip(aws, live.state["inline"], live.state["attached"]), _GONE)
        self.delete(aws)

    def _delete(self, aws: Aws) -> None:
        try:
            aws.iam.delete_role(RoleName=self.name)
        except ClientError as error:
            if code_of(error) != "DeleteConflict":
                raise
            self._strip(aws, *self._policies(aws))
            aws.iam.delete_role(RoleName=self.name)

    def _policies(self, aws: Aws) -> tuple[list[str], list[str]]:
        """The names of its inline policies, and the ARNs of those attached to it."""
        iam, name = aws.iam, self.name
        inline, attached = aws.together(
            lambda: iam.list_role_policies(RoleName=name)["PolicyNames"],
            lambda: iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"],
        )
        return inline, [one["PolicyArn"] for one in attached]

    def _strip(self, aws: Aws, inline: Iterable[str], attached: Iterable[str]) -> None:
        iam, name = aws.iam, self.name
        for policy in inline:
            self._without(partial(iam.delete_role_policy, RoleName=name, PolicyName=policy))
        for arn in attached:
            self._without(partial(iam.detach_role_policy, RoleName=name, PolicyArn=arn))

    @staticmethod
    def _without(take: Callable[[], Any]) -> None:
        """Take a part away; that it is gone already says nothing of the role."""
        unless(take, _GONE)
