"""Whether a caller may do what he calls for, by the policies that IAM holds for him now.

    service control policies ─┐
    his own and his groups'   ├─ a deny in any of them wins, then each of them has to allow
    permissions boundary      │
    session policies ─────────┘

The sandbox's own user and the root user may do everything, as far as no service control policy
and no policy of the thing itself (`resource_policies`) forbids it; a user that was made in the
sandbox may do nothing until a policy allows it, and so it is with a role's session. Where the
policy of a bucket, a topic, a queue or a bus names him, he needs no allow of his own. What those of
functions and keys grant is not looked at: who shall use those has to be allowed by his own.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics-id-rdp.html
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ctwatch.sandbox import asking, belongings, policies, resource_policies
from ctwatch.sandbox.asking import Asked
from ctwatch.sandbox.calls import Call, Refusal
from ctwatch.sandbox.identities import ACCESS_KEY, ROOT_KEY, Identity
from ctwatch.sandbox.policies import Decision, Document
from ctwatch.sandbox.roles import Roles

ADMINISTRATORS = frozenset({ACCESS_KEY, ROOT_KEY})
"""The keys whose callers are asked for nothing."""

_OWN = "an identity-based policy"
"""Whom a thing's own policy names needs no allow in one.

Nor in a boundary, where it names a user, nor in a session's, where it names that: here these bind
everybody.
"""

_EVERYTHING: Document = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}

Layer = tuple[str, Sequence[Document]]
"""A kind of policy, as AWS's sentences call it, and those of it that apply to a caller."""

_FORBIDDEN = 403

# The code and the status of a denial; (AccessDeniedException, 400) of the services that speak JSON.
# https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
# https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html
_CODES = {
    "account": ("AccessDeniedException", _FORBIDDEN),
    "cloudwatch": ("AccessDenied", _FORBIDDEN),
    "ec2": ("UnauthorizedOperation", _FORBIDDEN),
    "guardduty": ("AccessDeniedException", _FORBIDDEN),
    "iam": ("AccessDenied", _FORBIDDEN),
    "lambda": ("AccessDeniedException", _FORBIDDEN),
    "s3": ("AccessDenied", _FORBIDDEN),
    "sns": ("AuthorizationError", _FORBIDDEN),
    "sqs": ("AccessDenied", _FORBIDDEN),
    "sts": ("AccessDenied", _FORBIDDEN),
}


class Denial(Refusal):
    """What AWS answers to a caller who may not."""

    @property
    def recorded(self) -> str:
        """The code in CloudTrail's record of it, which is the same for all services but EC2.

        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
        """
        return self.code if self.code == "UnauthorizedOperation" else "AccessDenied"


class Authorization:
    """Judges the callers of the account.

    Attributes:
        service_control: the service control policies that are attached beside FullAWSAccess; they
            bind the sandbox's user and the root user, too.
    """

    def __init__(self, roles: Roles) -> None:
        self._roles = roles
        self.service_control: list[Document] = []

    def exempts(self, call: Call) -> bool:
        """Whether nothing has to be asked about the caller."""
        return (
            call.access_key in ADMINISTRATORS
            and not self.service_control
            and not any(resource_policies.can_deny(call.account, x.arn) for x in asking.asked(call))
        )

    def perform(
        self, call: Call, identity: Identity, act: Callable[[Call], dict[str, Any]]
    ) -> dict[str, Any]:
        """The answer of `act` to as much of a call as its caller may do.

        Raises:
            Denial: he may not do it.
        """
        layers = list(self._layers(call, identity))
        if (call.service, call.operation) == ("s3", "DeleteObjects"):
            return _delete_objects(call, identity, layers, act)
        for one in asking.asked(call):
            if why := _lacking(call, identity, layers, one):
                raise denial(call, identity, one, why)
        answer, beside = act(call), asking.withheld(call)
        if beside and (why := _lacking(call, identity, layers, beside)):
            hidden = denial(call, identity, beside, why)
            told = {"ErrorCode": hidden.code, "Message": hidden.message}
            return {key: answer[key] for key in answer if key != "Tags"} | {"TagsError": told}
        return answer

    def _layers(self, call: Call, identity: Identity) -> Iterator[Layer]:
        if self.service_control:
            yield "a service control policy", [*self.service_control, _EVERYTHING]
        if call.access_key in ADMINISTRATORS:
            return
        held = self._roles.held(identity.principal)
        yield _OWN, held.documents or []
        if held.boundary is not None:
            yield "a permissions boundary", [held.boundary]
        if identity.session_policies:
            yield "a session policy", identity.session_policies


def denial(call: Call, identity: Identity, asked: Asked, why: str) -> Denial:
    """AWS's own sentence, with what is its own in it of a service.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """
    action = _spelled(asked.action)
    resource = f'"{asked.arn}"' if call.service == "s3" else asked.arn
    said = f"User: {identity.arn} is not authorized to perform: {action} on resource: {resource} "
    if call.service == "ec2":
        said = f"You are not authorized to perform this operation. {said}"
    code, status = _CODES.get(call.service, ("AccessDeniedException", 400))
    if call.service == "sns" and asked.action.startswith("kms:"):
        code, status = "KMSAccessDenied", 400
    return Denial(code, said + why.format(action=action), status)


def _spelled(action: str) -> str:
    """SQS tells its actions in small letters."""
    return action.lower() if action.startswith("sqs:") else action


def _lacking(call: Call, identity: Identity, layers: Sequence[Layer], one: Asked) -> str:
    """Why something is not allowed, in AWS's words; "" where it is.

    A deny in any kind of policy is told before an allow that is missing.
    """
    context = _context(call, identity, one)
    asked: Any = {"principal": identity.arn, "action": one.action, "context": context}
    if not resource_policies.forbidden(call.account, one.arn, **asked).allowed:
        return "with an explicit deny in a resource-based policy"
    decided = [(kind, _decide(documents, one, context)) for kind, documents in layers]
    for kind, decision in decided:
        if decision.denied:
            return f"with an explicit deny in {kind}"
    for kind, decision in decided:
        named = partial(resource_policies.granted, call.account, one.arn, **asked)
        if not decision.allowed and not (kind == _OWN and named()):
            return f"because no {kind.partition(' ')[2]} allows the {{action}} action"
    return ""


def _decide(documents: Sequence[Document], one: Asked, context: Mapping[str, str]) -> Decision:
    asked: Any = {"action": one.action, "resource": one.arn, "context": context}
    return policies.explain_identity(documents, **asked)


def _context(call: Call, identity: Identity, one: Asked) -> dict[str, str]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html."""
    worn = belongings.tags(call.account, one.arn)
    return {
        "aws:PrincipalArn": identity.principal,
        "aws:PrincipalAccount": call.account,
        "aws:PrincipalType": str(identity.element["type"]),
        "aws:PrincipalIsAWSService": "false",
        "aws:RequestedRegion": call.region,
        "aws:SourceIp": call.source_ip,
        "aws:userid": identity.user_id,
        **({"aws:username": name} if (name := identity.element.get("userName")) else {}),
        **{f"aws:ResourceTag/{key}": value for key, value in worn.items()},
        **dict(one.context),
    }


def _delete_objects(
    call: Call, identity: Identity, layers: Sequence[Layer], act: Callable[[Call], dict[str, Any]]
) -> dict[str, Any]:
    """Each object is judged for itself, and what may not be deleted is told beside the rest.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    """
    kept: list[dict[str, Any]] = []
    left: list[dict[str, Any]] = []
    for which, one in zip(call.params["Delete"]["Objects"], asking.asked(call), strict=True):
        if why := _lacking(call, identity, layers, one):
            refused = denial(call, identity, one, why)
            kept.append({**which, "Code": refused.code, "Message": refused.message})
        else:
            left.append(which)
    if not kept:
        return act(call)
    answer = act(call.but(Delete={**call.params["Delete"], "Objects": left})) if left else {}
    return {**answer, "Errors": [*answer.get("Errors", []), *kept]}
