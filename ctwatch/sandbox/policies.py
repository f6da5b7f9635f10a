"""Policy documents judged as AWS judges them: may this principal do this here?

Resource policies (topic, queue, function, bucket) and identity policies (of a role) alike.
An explicit deny wins, then any allow; otherwise no. Nothing here calls AWS or knows a service.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import ipaddress
import json
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Document = dict[str, Any] | str | None


@dataclass(frozen=True)
class Decision:
    """A judgement and what decided it.

    Attributes:
        allowed: whether it may.
        reason: which statement decided, or what each allow that came close lacked.
        denied: whether a statement forbids it, rather than none allowing it.
    """

    allowed: bool
    reason: str
    denied: bool = False


@dataclass(frozen=True)
class _Request:
    principal: str | None
    action: str
    resource: str
    context: Mapping[str, str]


def allowed(
    document: Document, *, principal: str, action: str, resource: str, context: Mapping[str, str]
) -> bool:
    """Whether a resource policy lets `principal` do `action` on `resource`.

    Args:
        document: the policy, as JSON text or parsed; None when there is none.
        principal: a service ("events.amazonaws.com"), an ARN, or an account id.
        action: such as "sns:Publish".
        resource: the ARN of what it is done to.
        context: condition keys and their values; `aws:SecureTransport` is "true" unless given.
    """
    return explain(
        document, principal=principal, action=action, resource=resource, context=context
    ).allowed


def explain(
    document: Document, *, principal: str, action: str, resource: str, context: Mapping[str, str]
) -> Decision:
    """The same judgement with its reason, for the story."""
    request = _Request(principal, action, resource, _completed(context, principal))
    return _judge([document] if document else [], request)


def forbids(
    document: Document, *, principal: str, action: str, resource: str, context: Mapping[str, str]
) -> Decision:
    """The same, for who has the right by his own policies: only a deny takes it away.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics-id-rdp.html
    """
    own = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}
    request = _Request(principal, action, resource, _completed(context, principal))
    return _judge([document, own] if document else [own], request)


def explain_identity(
    documents: Iterable[Document], *, action: str, resource: str, context: Mapping[str, str]
) -> Decision:
    """Whether the policies of an identity (a role's, all together) let it do `action`."""
    return _judge(documents, _Request(None, action, resource, _completed(context, None)))


def statements(document: Document) -> list[dict[str, Any]]:
    """The statements of a policy; none when it is empty or is no policy.

    AWS takes a single statement without its list.
    """
    try:
        parsed = json.loads(document) if isinstance(document, str) else document
    except ValueError:
        return []
    found = parsed.get("Statement", []) if isinstance(parsed, dict) else []
    return [one for one in _listed(found) if isinstance(one, dict)]


def grants_itself(
    document: Document, *, principal: str, action: str, resource: str, context: Mapping[str, str]
) -> bool:
    """Whether a resource policy gives somebody of the resource's own account a right by itself.

    A statement that names the account, or its root, only leaves it to the account's own policies.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    account = _account(principal)
    whole = {account, f"arn:aws:iam::{account}:root"}
    own = [_without(one, whole) for one in statements(document) if one.get("Effect") == "Allow"]
    asked: Any = {"principal": principal, "action": action, "resource": resource}
    return explain({"Statement": own}, **asked, context=context).allowed


def _without(statement: dict[str, Any], principals: Container[str]) -> dict[str, Any]:
    named = statement.get("Principal")
    if not isinstance(named, dict):
        return statement
    left = [one for one in _texts(named.get("AWS", [])) if one not in principals]
    return {**statement, "Principal": {**named, "AWS": left}}


def without_conditioned_grants(document: Document, service: str) -> dict[str, Any]:
    """The policy as a service sees it that supports no conditions in grants to itself.

    EventBridge and topic policies are such a pair: an allow with a `Condition` that names the
    service does not count. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """
    kept = [
        one
        for one in statements(document)
        if not (one.get("Effect") == "Allow" and one.get("Condition") and _names(one, service))
    ]
    return {"Statement": kept}


def _names(statement: dict[str, Any], service: str) -> bool:
    principal = statement.get("Principal")
    return principal is not None and _principal_in(principal, service)


def _judge(documents: Iterable[Document], request: _Request) -> Decision:
    near: list[str] = []
    grants: list[str] = []
    for number, one in enumerate((s for d in documents for s in statements(d)), start=1):
        label = f'"{one["Sid"]}"' if one.get("Sid") else f"number {number}"
        missing = _missing(one, request)
        if one.get("Effect") == "Deny" and missing is None:
            return Decision(False, f"statement {label} denies {request.action}", denied=True)
        if one.get("Effect") == "Allow" and missing is None:
            grants.append(f"statement {label} allows {request.action}")
        elif one.get("Effect") == "Allow":
            near.append(f"statement {label}: {missing}")
    if grants:
        return Decision(True, grants[0])
    return Decision(False, "; ".join(near) or f"no statement allows {request.action}")


def _missing(statement: dict[str, Any], request: _Request) -> str | None:
    """What keeps a statement from applying; None when it applies."""
    if request.principal is not None and not _principal_applies(statement, request.principal):
        return f"does not name {request.principal}"
    if not _applies(statement, "Action", request.action, _action_like):
        return f"does not cover {request.action}"
    if not _applies(statement, "Resource", request.resource, _like):
        return f"does not cover {request.resource}"
    return _failed_condition(statement.get("Condition") or {}, request.context)


def _applies(
    statement: dict[str, Any], key: str, value: str, like: Callable[[str, str], bool]
) -> bool:
    if f"Not{key}" in statement:
        return not any(like(one, value) for one in _texts(statement[f"Not{key}"]))
    if key == "Resource" and key not in statement:  # a trust policy has none
        return True
    return any(like(one, value) for one in _texts(statement.get(key, [])))


def _principal_applies(statement: dict[str, Any], principal: str) -> bool:
    if "NotPrincipal" in statement:
        return not _principal_in(statement["NotPrincipal"], principal)
    return _principal_in(statement.get("Principal", {}), principal)


def _principal_in(wanted: Any, principal: str) -> bool:
    if wanted == "*":
        return True
    if not isinstance(wanted, dict):
        return False
    if "*" in _texts(wanted.get("AWS", [])):
        return True
    if _is_service(principal):
        return principal in _texts(wanted.get("Service", []))
    return any(_same_principal(one, principal) for one in _texts(wanted.get("AWS", [])))


def _is_service(principal: str) -> bool:
    return principal.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _same_principal(wanted: str, principal: str) -> bool:
    account = _account(principal)
    session_of = re.fullmatch(r"arn:([\w-]+):sts::(\d+):assumed-role/([^/]+)/.+", principal)
    same = {principal, account, f"arn:aws:iam::{account}:root"}
    if session_of:
        same.add("arn:{}:iam::{}:role/{}".format(*session_of.groups()))
    return wanted in same


def _account(principal: str) -> str:
    return principal.split(":")[4] if principal.startswith("arn:") else principal


def _completed(context: Mapping[str, str], principal: str | None) -> dict[str, str]:
    """The request context with what AWS itself always puts there; keys in lower case."""
    facts = {"aws:securetransport": "true"}
    if principal is not None and _is_service(principal):
        facts |= {"aws:principalservicename": principal, "aws:principalisawsservice": "true"}
    elif principal is not None:
        facts |= {
            "aws:principalarn": principal,
            "aws:principalaccount": _account(principal),
            "aws:principalisawsservice": "false",
        }
    return facts | {key.lower(): value for key, value in context.items()}


def _failed_condition(conditions: dict[str, Any], context: Mapping[str, str]) -> str | None:
    for operator, keys in conditions.items():
        for key, wanted in keys.items():
            value = context.get(key.lower())
            if not _holds(operator, value, _texts(wanted)):
                shown = "absent" if value is None else value
                return f"its condition {operator} {key} = {_shown(wanted)} fails ({shown})"
    return None


def _shown(wanted: Any) -> str:
    return " or ".join(_texts(wanted))


def _holds(operator: str, value: str | None, wanted: list[str]) -> bool:
    name = operator.removeprefix("ForAnyValue:").removeprefix("ForAllValues:").lower()
    if name == "null":
        return (value is None) == (wanted[:1] == ["true"])
    optional = name.endswith("ifexists") or operator.startswith("ForAllValues:")
    name = name.removesuffix("ifexists")
    negated = name in _NEGATED
    compare = _COMPARE.get(_NEGATED.get(name, name))
    if compare is None:  # unknown: AWS refuses such a policy when it is written
        return False
    if value is None:
        return optional or negated
    return negated != any(_safely(compare, one, value) for one in wanted)


def _safely(compare: Callable[[str, str], bool], wanted: str, value: str) -> bool:
    try:
        return compare(wanted, value)
    except ValueError:
        return False


def _same_text(wanted: str, value: str) -> bool:
    return wanted == value


def _same_letters(wanted: str, value: str) -> bool:
    return wanted.lower() == value.lower()


def _arn_like(wanted: str, value: str) -> bool:
    """Each of the six parts on its own: a wildcard never reaches over a colon."""
    parts, values = wanted.split(":", 5), value.split(":", 5)
    return len(parts) == len(values) and all(map(_like, parts, values))


def _in_network(wanted: str, value: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)


def _like(pattern: str, value: str) -> bool:
    return _wildcard(pattern).fullmatch(value) is not None


def _action_like(pattern: str, value: str) -> bool:
    return _like(pattern.lower(), value.lower())


@lru_cache(maxsize=1024)
def _wildcard(pattern: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.compile("".join(parts), re.DOTALL)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _texts(value: Any) -> list[str]:
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in _listed(value)]


_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "stringequals": _same_text,
    "stringequalsignorecase": _same_letters,
    "stringlike": _like,
    "arnequals": _arn_like,
    "arnlike": _arn_like,
    "bool": _same_letters,
    "ipaddress": _in_network,
    "numericequals": lambda wanted, value: float(value) == float(wanted),
    "numericlessthan": lambda wanted, value: float(value) < float(wanted),
    "numericlessthanequals": lambda wanted, value: float(value) <= float(wanted),
    "numericgreaterthan": lambda wanted, value: float(value) > float(wanted),
    "numericgreaterthanequals": lambda wanted, value: float(value) >= float(wanted),
}
_NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "notipaddress": "ipaddress",
    "numericnotequals": "numericequals",
}
