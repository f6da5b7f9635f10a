"""Comparing a promise with what is there, and policies by what they mean.

Pure: no AWS, no printing. States are JSON-shaped. The comparison is strict on both sides, because
an intruder narrows a pattern by *adding* a key.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

State = dict[str, Any]
"""What a resource promises or is, JSON-shaped; a secret only as a fingerprint."""

MISSING = "(absent)"
"""Stands for a value that one side does not have at all."""


@dataclass(frozen=True)
class Difference:
    """One leaf at which the promise and the world part.

    Attributes:
        path: keys joined by dots, "policy.AllowEventBridgePublish.condition".
        wanted: what was promised there, or `MISSING`.
        live: what is there, or `MISSING`.
    """

    path: str
    wanted: Any
    live: Any


def compare(wanted: Any, live: Any, path: str = "") -> Iterator[Difference]:
    """Every difference between two JSON-shaped values, in the order of the paths.

    Dictionaries are descended into; anything else is one leaf.
    """
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for key in sorted({*wanted, *live}):
            below = f"{path}.{key}" if path else str(key)
            yield from compare(wanted.get(key, MISSING), live.get(key, MISSING), below)
    elif type(wanted) is not type(live) or wanted != live:
        yield Difference(path, wanted, live)


def statements(document: str | Mapping[str, Any] | None, like: State | None = None) -> State:
    """A policy's statements in a normal form, each under its name.

    AWS hands a policy back in another order, with lists of one collapsed and accounts rewritten as
    root ARNs; two policies are equal here when they mean the same.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html

    Args:
        document: the policy, as text or read; None for none.
        like: statements in normal form whose names are given to equal ones here, as a statement's
            Sid means nothing.
    """
    if not document:
        return {}
    policy = json.loads(document) if isinstance(document, str) else document
    names = {_digest(statement): sid for sid, statement in (like or {}).items()}
    found: State = {}
    for raw in _listed(policy.get("Statement")):
        statement = _statement(raw)
        digest = _digest(statement)
        found[names.get(digest) or _unused(str(raw.get("Sid") or digest), found)] = statement
    return found


def granted(policy: State, service: str, action: str, resource: str, source: str | None) -> bool:
    """Whether a policy lets an AWS service act on a resource.

    Only what an alarm needs to be sure of: a grant counts when nothing but `source` conditions it,
    and any denial that may apply counts as one.

    Args:
        policy: its statements, as `statements` gives them.
        service: "events.amazonaws.com".
        action: "sns:publish", in lower case.
        resource: the ARN that is acted on.
        source: the ARN on whose behalf, or None where the service honours no conditions.
    """
    touching = [one for one in policy.values() if _touches(one, service, action, resource)]
    allows = [one for one in touching if one["effect"] == "Allow"]
    denies = [one for one in touching if one["effect"] == "Deny" and not _tls_only(one)]
    return not denies and any(_from(one.get("condition"), source) for one in allows)


def _touches(statement: State, service: str, action: str, resource: str) -> bool:
    principal = statement.get("principal", {})
    who = service in principal.get("Service", []) or "*" in principal.get("AWS", [])
    what = any(fnmatchcase(action, pattern) for pattern in statement.get("action", []))
    return who and what and any(fnmatchcase(resource, one) for one in statement.get("resource", []))


def _tls_only(statement: State) -> bool:
    """AWS's services always come by TLS."""
    return bool(statement.get("condition") == {"Bool": {"aws:securetransport": ["false"]}})


def _from(condition: State | None, source: str | None) -> bool:
    if not condition:
        return True
    if source is None or len(condition) != 1:
        return False
    operator, keys = next(iter(condition.items()))
    if operator not in {"ArnEquals", "ArnLike", "StringEquals", "StringLike"}:
        return False
    return keys.keys() == {"aws:sourcearn"} and any(
        fnmatchcase(source, pattern) for pattern in keys["aws:sourcearn"]
    )


def _unused(name: str, taken: State) -> str:
    return name if name not in taken else f"{name}+"


def _digest(statement: Any) -> str:
    return hashlib.sha256(json.dumps(statement, sort_keys=True).encode()).hexdigest()[:8]


def _statement(raw: Mapping[str, Any]) -> State:
    normal: State = {"effect": raw.get("Effect")}
    for key, value in raw.items():
        match key:
            case "Action" | "NotAction":
                normal[_lower(key)] = sorted({str(action).lower() for action in _listed(value)})
            case "Resource" | "NotResource":
                normal[_lower(key)] = sorted(set(_listed(value)))
            case "Principal" | "NotPrincipal":
                normal[_lower(key)] = _principal(value)
            case "Condition":
                normal["condition"] = _condition(value)
    return normal


def _lower(key: str) -> str:
    return key[0].lower() + key[1:]


def _principal(value: Any) -> State:
    kinds = {"AWS": value} if not isinstance(value, Mapping) else value
    return {kind: sorted({_root(one) for one in _listed(who)}) for kind, who in kinds.items()}


def _root(principal: str) -> str:
    """An account as AWS writes it back: 123456789012 becomes the ARN of its root."""
    return f"arn:aws:iam::{principal}:root" if principal.isdigit() else principal


def _condition(value: Mapping[str, Mapping[str, Any]]) -> State:
    return {
        operator: {key.lower(): sorted(map(_text, _listed(one))) for key, one in keys.items()}
        for operator, keys in value.items()
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
