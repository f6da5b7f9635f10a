"""What a rule shall not tell: actors, addresses and user agents, written into its pattern.

An event is left out if any exclusion fits it. So it is told if, for every field that is asked
about, it has no such field or a value that is not excluded: one condition per field, all of which
must hold, as

    "sourceIPAddress": [{"anything-but": ["203.0.113.7"]}, {"exists": false}]

`exists` stands there because "anything-but" wants a field to be there: without it, a record
without an ARN (a service's, a failed sign-in's) would never be told. Two conditions on one field
cannot both be asked for, so all that is excluded of a field stands in one operator.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html

EventBridge has "cidr", but no "anything-but" of it. An address is text as well: 10.0.0.0/8 is
whatever begins with "10.", and what does not end at a dot is written out, up to `MAX_PIECES`.

Pure.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ctwatch.errors import ConfigError
from ctwatch.lint.branches import Condition, branches
from ctwatch.lint.complaint import Complaint, nearest, shown

MAX_PIECES = 64
"""Texts that one CIDR may become; a pattern has room for 2,048 characters."""

# The session's own ARN, and that of the user or role it was issued for.
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
_ACTORS = ("detail.userIdentity.arn", "detail.userIdentity.sessionContext.sessionIssuer.arn")
_ADDRESS = "detail.sourceIPAddress"
_AGENT = "detail.userAgent"

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_OCTET, _HEXTET = 8, 16  # bits
_OCTETS = 4
_SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?|AWS Internal")
# What a record's ARNs say: those of people, and of the sessions of roles.
_KINDS = {"user/": "iam", "role/": "iam", "assumed-role/": "sts", "federated-user/": "sts"}
_NOBODY = "000000000000"


def exclusions(
    pattern: Mapping[str, Any],
    *,
    actors: Sequence[str] = (),
    ips: Sequence[str] = (),
    user_agents: Sequence[str] = (),
) -> dict[str, Any]:
    """The pattern without the events of some people, places or tools.

    Args:
        pattern: a valid event pattern; it is left as it is.
        actors: ARNs of users, roles or sessions; "*" stands for any text. A role's or a user's
            ARN also leaves out the sessions that were issued for it.
        ips: IP addresses, CIDRs, or services as records name them, such as
            "cloudformation.amazonaws.com".
        user_agents: user agents; "*" stands for any text.

    Returns:
        A pattern that matches what `pattern` does, but for events that fit any of these.

    Raises:
        ConfigError: one of them cannot be excluded (see `exclusion_complaints`), or the pattern
            has a condition of its own on the same field that cannot be joined with it.
    """
    found = exclusion_complaints(actors=actors, ips=ips, user_agents=user_agents)
    if faults := [str(one) for one in found if one.level == "error"]:
        raise ConfigError("\n".join(faults), "See `except` in config.example.yaml.")
    excepted: dict[str, Any] = _thawed(pattern)
    for path, texts in _texts(actors, ips, user_agents).items():
        _leave_out(excepted, path, texts)
    return excepted


def leaves_out(actors: Sequence[str], arn: str) -> bool:
    """Whether exclusions leave out what somebody does.

    Args:
        actors: as in `exclusions`.
        arn: his own, as STS names him; of a session that tells the name of its role, not the path.
    """
    _, partition, _, _, account, resource = [*arn.split(":", 5), *[""] * 5][:6]
    kind, _, name = resource.partition("/")
    role = f"arn:{partition}:iam::{account}:role/{name.partition('/')[0]}"
    who = (arn, role) if kind == "assumed-role" else (arn,)
    return any(_fits(text, one) for text in actors for one in who)


def exclusion_complaints(
    pattern: Mapping[str, Any] | None = None,
    *,
    actors: Sequence[str] = (),
    ips: Sequence[str] = (),
    user_agents: Sequence[str] = (),
) -> list[Complaint]:
    """Tell what is wrong with exclusions.

    Args:
        pattern: what they are for; None: not known.
        actors: as in `exclusions`.
        ips: as in `exclusions`.
        user_agents: as in `exclusions`.

    Returns:
        Complaints; their paths are "actors[0]", "ips[0]", "user_agents[0]".
    """
    found = [
        *_each("actors", actors, _wrong_actor),
        *_each("ips", ips, _wrong_address),
        *_each("user_agents", user_agents, _wrong_agent),
    ]
    if not any(one.level == "error" for one in found):
        found += _together(actors, ips)
    if pattern is not None and (actors or ips or user_agents):
        found += _useless(pattern)
    return found


def _together(actors: Sequence[str], ips: Sequence[str]) -> Iterator[Complaint]:
    """Whether exclusions leave nothing that each by itself would."""
    everybody = (len(_fitted(actors, one)) > 1 for one in actors)
    if any(everybody):
        yield Complaint("actors", "together they fit everybody, so the rule would tell nothing")
    networks = [ipaddress.ip_network(one) for one in ips if not _SERVICE.fullmatch(one)]
    four = [one for one in networks if isinstance(one, ipaddress.IPv4Network)]
    if any(one.prefixlen == 0 for one in ipaddress.collapse_addresses(four)):
        yield Complaint("ips", "together they fit every address, so the rule would tell nothing")


def _each(
    key: str, texts: Sequence[str], wrong: Callable[[str, str], Complaint | None]
) -> Iterator[Complaint]:
    for at, text in enumerate(texts):
        if complaint := wrong(f"{key}[{at}]", text):
            yield complaint


def _wrong_actor(place: str, text: str) -> Complaint | None:
    if not text.startswith("arn:"):
        example = "arn:aws:iam::123456789012:role/deploy"
        return Complaint(place, f"{shown(text)} is not an ARN such as {example}")
    fitted = _fitted([text], text)
    if len(fitted) > 1:
        return Complaint(place, f"{shown(text)} fits everybody, so the rule would tell nothing")
    if fitted:
        reason = f"{shown(text)} fits every {fitted[0]}, so the rule tells nothing that one does"
        return Complaint(place, reason, level="warning")
    return _no_actor(place, text)


def _fitted(texts: Sequence[str], like: str) -> list[str]:
    """Which of "user" and "role" all are left out, in the account that one of the texts names.

    Strangers stand for them: whatever fits one whom nobody knows fits everybody.
    """
    _, partition, _, _, account, *_ = [*like.split(":"), *[""] * 5]
    whose = f":{account if account.isdigit() else _NOBODY}:"
    start = f"arn:{partition if partition.startswith('aws') and '*' not in partition else 'aws'}:"
    sessions = (f"{start}iam:{whose}role/?", f"{start}sts:{whose}assumed-role/?/?")
    users = any(_fits(text, f"{start}iam:{whose}user/?") for text in texts)
    roles = any(_fits(text, one) for text in texts for one in sessions)
    return ["user"] * users + ["role"] * roles


def _no_actor(place: str, text: str) -> Complaint | None:
    """Why no record can name such an actor.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
    """
    _, _, service, _, _, resource = [*text.split(":", 5), *[""] * 5][:6]
    kind, slash, name = resource.partition("/")
    if "*" in text.partition("/")[0] or (service, resource) == ("iam", "root"):
        return None
    right = _KINDS.get(kind + slash)
    if right is None:
        reason = f"{shown(text)} is no user, role or session, so no record says that it did it"
        near = nearest(kind, [one.rstrip("/") for one in _KINDS]) if kind else ""
        return Complaint(place, reason, text.replace(f":{kind}", f":{near}") if near else "")
    if service != right:
        reason = f"the ARN of '{kind}' is one of {right}, not of {service}"
        return Complaint(place, reason, text.replace(f":{service}:", f":{right}:", 1))
    if kind == "assumed-role" and "/" not in name and "*" not in name:
        reason = "the ARN of a session ends in the session's name, so this fits none"
        return Complaint(place, reason, f"{text}/*")
    return None


def _wrong_agent(place: str, text: str) -> Complaint:
    if not text.strip("*"):
        return Complaint(place, f"{shown(text)} fits everybody, so the rule would tell nothing")
    reason = "whoever makes a call chooses its user agent: an intruder who says this is not told"
    return Complaint(place, reason, level="warning")


def _wrong_address(place: str, text: str) -> Complaint | None:
    if _SERVICE.fullmatch(text):
        return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return Complaint(place, f"{shown(text)} is neither an IP address nor a CIDR")
    if "/" in text and str(network.network_address) != str(_address(text)):
        return Complaint(place, f"{text} has bits set behind its mask", str(network))
    reason = _too_wide(network)
    return Complaint(place, reason) if reason else None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text.partition("/")[0])


def _too_wide(network: _Network) -> str:
    """Why the network cannot be written as the beginnings of addresses; "" when it can."""
    if network.prefixlen == 0:
        return f"{network} fits every address, so the rule would tell nothing"
    if isinstance(network, ipaddress.IPv6Network):
        return "" if _plain_v6(network) else _V6_REASON.format(network)
    pieces = 2 ** (-network.prefixlen % _OCTET)
    if pieces <= MAX_PIECES:
        return ""
    return (
        f"EventBridge cannot exclude a CIDR, and {network} would take {pieces} texts in its place "
        f"(at most {MAX_PIECES}): give one that ends nearer before /8, /16, /24 or /32"
    )


_V6_REASON = (
    "EventBridge cannot exclude a CIDR, and the addresses of {} do not all begin alike: "
    "give one of /16, /32, /48 or /64 without a zero group, or single addresses"
)


def _plain_v6(network: ipaddress.IPv6Network) -> bool:
    """Whether its addresses begin alike however zeros are shortened: whole groups, none zero."""
    return network.num_addresses == 1 or (
        network.prefixlen % _HEXTET == 0 and "0" not in _groups(network)
    )


def _groups(network: ipaddress.IPv6Network) -> list[str]:
    spelled = network.network_address.exploded.split(":")
    return [group.lstrip("0") or "0" for group in spelled[: network.prefixlen // _HEXTET]]


def _useless(pattern: Mapping[str, Any]) -> Iterator[Complaint]:
    kinds = [branch.get("detail-type") for branch in branches(pattern)]
    of_cloudtrail = "AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail"
    if kinds and all(kind and not any(map(kind.takes, of_cloudtrail)) for kind in kinds):
        reason = "these events do not say who did it from where, so nothing is left out"
        yield Complaint("", reason, level="warning")


# ------------------------------------------------------------------------ texts with stars


def _texts(
    actors: Iterable[str], addresses: Iterable[str], agents: Iterable[str]
) -> dict[str, list[str]]:
    """Field -> what to leave out of it, "*" for any text."""
    places = [text for one in addresses for text in _spelled(one)]
    wanted = {**dict.fromkeys(_ACTORS, actors), _ADDRESS: places, _AGENT: agents}
    return {path: sorted(set(texts)) for path, texts in wanted.items() if texts}


def _spelled(address: str) -> Iterator[str]:
    """An address as records spell it; a CIDR as the beginnings of its addresses."""
    if _SERVICE.fullmatch(address):
        yield address
        return
    network = ipaddress.ip_network(address)
    if network.num_addresses == 1:
        yield str(network.network_address)
    elif isinstance(network, ipaddress.IPv6Network):
        yield ":".join([*_groups(network), "*"])
    else:
        dots = -(-network.prefixlen // _OCTET)
        for piece in network.subnets(new_prefix=dots * _OCTET):
            octets = str(piece.network_address).split(".")[:dots]
            yield ".".join(octets if len(octets) == _OCTETS else [*octets, "*"])


def _fits(text: str, value: str) -> bool:
    return not Condition("", "", [_anything_but([text])]).takes(value)


def _anything_but(texts: list[str]) -> dict[str, Any]:
    """One operator for all of them, the plainest that will do."""
    texts = [re.sub(r"\*+", "*", text) for text in texts]
    if not any("*" in text for text in texts):
        return {"anything-but": texts}
    if all(text.find("*") == len(text) - 1 > 0 for text in texts):
        return {"anything-but": {"prefix": [text[:-1] for text in texts]}}
    return {"anything-but": {"wildcard": [text.replace("\\", "\\\\") for text in texts]}}


# ------------------------------------------------------------------------ into the pattern


def _thawed(value: Any) -> Any:
    """A copy in dicts and lists."""
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    return [_thawed(item) for item in value] if isinstance(value, list | tuple) else value


def _leave_out(pattern: dict[str, Any], path: str, texts: list[str]) -> None:
    values = [_anything_but(texts), {"exists": False}]
    own = {id(branch[path]): branch[path] for branch in branches(pattern) if path in branch}
    if not own:
        _put(pattern, path, values)
        return
    condition = next(iter(own.values()))
    if len(own) > 1 or "$or" in condition.place or not _plain(condition):
        raise ConfigError(
            f"The pattern has a condition of its own on {path}, which cannot be joined with an "
            "exclusion.",
            "Write the exclusion into that condition.",
        )
    alone = Condition("", "", values)
    left = [value for value in condition.values if alone.takes(value)]
    if not left:
        raise ConfigError(
            f"The exclusions leave nothing of what the pattern wants at {path}.",
            "Take away an exclusion, or the rule.",
        )
    holder, key = _holder(pattern, path) or (pattern, path)
    holder[key] = left


def _plain(condition: Condition) -> bool:
    return all(isinstance(value, str) for value in condition.values)


def _holder(node: dict[str, Any], path: str) -> tuple[dict[str, Any], str] | None:
    """The object that asks about a field, and by which key; the last one, which is what counts."""
    for key, value in reversed(node.items()):
        if key == path:
            return node, key
        if path.startswith(f"{key}.") and isinstance(value, dict):
            found = _holder(value, path.removeprefix(f"{key}."))
            if found:
                return found
    return None


def _put(node: dict[str, Any], path: str, values: list[Any]) -> None:
    """Ask about a field that nothing asks about yet."""
    name, dot, rest = path.partition(".")
    if not dot:
        node[name] = values
        return
    below = node.setdefault(name, {})
    if not isinstance(below, dict):
        raise ConfigError(
            f"The pattern has values for {name}, which holds fields and never a value.",
            "Take them away, or give them to one of its fields.",
        )
    _put(below, rest, values)
