"""Comparing a promise with what is there, and policies by what they mean.

Pure: no AWS, no printing. States are JSON-shaped. The comparison is strict on both sides, because
an intruder narrows a pattern by *adding* a key.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

State = dict[str, Any]
"""What a resource promises or is, JSON-shaped; a secret only as a fingerprint."""


class _Absent(str):
    """A text that no other text is: its type is compared too."""

    __slots__ = ()


MISSING = _Absent("(absent)")
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
    elif not _same(wanted, live):
        yield Difference(path, wanted, live)


def _same(one: Any, other: Any) -> bool:
    """Whether two leaves are equal in JSON, where true is not 1, however deep it stands."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


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
    names = {_canonical(statement): sid for sid, statement in (like or {}).items()}
    given: dict[str, tuple[str | None, State]] = {}
    for raw in _listed(policy.get("Statement")):
        statement = _statement(raw)  # one that is there twice means what it means once
        given.setdefault(_canonical(statement), (raw.get("Sid"), statement))
    found: State = {}
    # Those of another meaning come first and keep their names: nobody hides behind one of ours.
    for same in sorted(given, key=names.__contains__):
        sid, statement = given[same]
        name = names.get(same)
        if name is None or name in found:
            name = _unused(sid or _digest(same), found)
        found[name] = statement
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


def denied(policy: State, action: str, resource: str, names: Iterable[str] | None = None) -> bool:
    """Whether a policy denies somebody an action on a resource, but for the want of TLS.

    Args:
        policy: its statements, as `statements` gives them.
        action: "sns:publish", in lower case.
        resource: the ARN that is acted on.
        names: by which a policy may call somebody: his ARN, the number of his account; None for
            anybody.
    """
    known = {"*", *(names or ())}
    return any(
        one["effect"] == "Deny"
        and not _tls_only(one)
        and (names is None or _meant(one, "principal", lambda who: _is_among(who, known)))
        and _meant(one, "action", lambda patterns: _matches(action, patterns))
        and _meant(one, "resource", lambda patterns: _matches(resource, patterns))
        for one in policy.values()
    )


def _touches(statement: State, service: str, action: str, resource: str) -> bool:
    """Whether principal, action and resource are meant, be it by a NotAction or the like."""
    return (
        _meant(statement, "principal", lambda who: _names(who, service))
        and _meant(statement, "action", lambda patterns: _matches(action, patterns))
        and _meant(statement, "resource", lambda patterns: _matches(resource, patterns))
    )


def _meant(statement: State, key: str, holds: Callable[[Any], bool]) -> bool:
    if key in statement:
        return holds(statement[key])
    negated = f"not{key.capitalize()}"
    return negated in statement and not holds(statement[negated])


def _is_among(principal: State, names: Collection[str]) -> bool:
    return not {one for who in principal.values() for one in who}.isdisjoint(names)


def _names(principal: State, service: str) -> bool:
    return any("*" in who for who in principal.values()) or service in principal.get("Service", [])


def _matches(value: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern with AWS's two wildcards, * and ?, matches; a bracket is none of them."""
    return any(fnmatchcase(value, pattern.replace("[", "[[]")) for pattern in patterns)


def _tls_only(statement: State) -> bool:
    """AWS's services always come by TLS."""
    return bool(statement.get("condition") == {"Bool": {"aws:securetransport": ["false"]}})


def _from(condition: State | None, source: str | None) -> bool:
    if not condition:
        return True
    if source is None or len(condition) != 1:
        return False
    operator, keys = next(iter(condition.items()))
    if keys.keys() != {"aws:sourcearn"}:
        return False
    if operator == "StringEquals":  # the one of the four that knows no wildcards
        return source in keys["aws:sourcearn"]
    wild = operator in {"ArnEquals", "ArnLike", "StringLike"}
    return wild and _matches(source, keys["aws:sourcearn"])


def _unused(name: str, taken: State) -> str:
    return name if name not in taken else _unused(f"{name}+", taken)


def _canonical(statement: State) -> str:
    return json.dumps(statement, sort_keys=True)


def _digest(canonical: str) -> str:
    """A name for a statement that has none."""
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


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
    return {kind: sorted({_account(one) for one in _listed(who)}) for kind, who in kinds.items()}


def _account(principal: str) -> str:
    """An account by its number, which AWS writes back as the ARN of its root, in any partition.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    root = re.fullmatch(r"arn:aws[a-z-]*:iam::(\d{12}):root", principal)
    return root[1] if root else principal


def _condition(value: Mapping[str, Mapping[str, Any]]) -> State:
    """Keys in lower case; what one key holds in two spellings is joined, so that it shows."""
    normal: State = {}
    for operator, keys in value.items():
        joined: dict[str, list[str]] = {}
        for key, one in keys.items():
            joined.setdefault(key.lower(), []).extend(map(_text, _listed(one)))
        normal[operator] = {key: sorted(set(texts)) for key, texts in joined.items()}
    return normal


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
