"""What a call changed, as far as its record says, and which of it people must not miss.

A record holds what was asked for and never what was before; only an Insights event tells both.
A console sends the settings that stay as they are along with those that change, so a parameter
that is named may be an old one: severity.py knows what this watch's own trail has and compares.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .shapes import first, listing, mapping, string, text

_DATED = re.compile(r"20\d{6}(v\d+)?$")  # Lambda's events are named after versions of its API
_DEPTH = 12


@dataclass(frozen=True)
class Change:
    """One thing and what it became; `before` is "" where the record does not say.

    `what` is a key of words.py where it begins with "change.", else the parameter's own name.
    """

    what: str
    after: str
    before: str = ""


def undated(name: str) -> str:
    """The API's own name: PutFunctionConcurrency20171031 -> PutFunctionConcurrency."""
    return _DATED.sub("", name)


def same(named: str, known: str) -> bool:
    """Whether what a caller typed is what is known by its name or ARN.

    A topic may be named without the rest of its ARN, and a log group's ARN may end in ":*".
    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_UpdateTrail.html
    """
    return named.removesuffix(":*") in {known, known.rpartition(":")[2]}


# (eventSource up to the first dot, event name) -> parameter -> what it is called.
# https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_UpdateTrail.html
_PARAMETERS: dict[tuple[str, str], dict[str, str]] = {
    ("cloudtrail", "UpdateTrail"): {
        "s3BucketName": "change.bucket",
        "s3KeyPrefix": "change.prefix",
        "isMultiRegionTrail": "change.multi_region",
        "includeGlobalServiceEvents": "change.global_events",
        "enableLogFileValidation": "change.validation",
        "kmsKeyId": "change.key",
        "cloudWatchLogsLogGroupArn": "change.log_group",
        "snsTopicName": "change.topic",
        "isOrganizationTrail": "change.organization",
    },
    ("lambda", "PutFunctionConcurrency"): {"reservedConcurrentExecutions": "change.concurrency"},
    ("events", "PutRule"): {"state": "change.state", "eventPattern": "change.pattern"},
    ("logs", "PutRetentionPolicy"): {"retentionInDays": "change.retention"},
    ("guardduty", "UpdateDetector"): {"enable": "enable"},
}
_ATTRIBUTES = {("sns", "SetTopicAttributes"), ("sns", "SetSubscriptionAttributes")}
_INGRESS = {("ec2", "AuthorizeSecurityGroupIngress"), ("ec2", "ModifySecurityGroupRules")}


def changes(source: str, name: str, asked: Any) -> tuple[Change, ...]:
    """What the call asked to be otherwise.

    Args:
        source: eventSource.
        name: eventName.
        asked: requestParameters.
    """
    call = (source.partition(".")[0], undated(name))
    given = mapping(asked)
    if call in _ATTRIBUTES:
        named, value = string(given.get("attributeName")), text(given.get("attributeValue"))
        return (Change(named, value),) if named else ()
    if call in _INGRESS:
        return tuple(Change("change.open_to", opened) for opened, _ in _opened(given))
    if call == ("s3", "PutBucketVersioning"):
        status = text(_versioning(given))
        return (Change("change.versioning", status),) if status else ()
    known = _PARAMETERS.get(call, {})
    return tuple(Change(known[key], text(given[key])) for key in known if key in given)


def consequences(source: str, name: str, asked: Any) -> frozenset[str]:
    """What follows from the call if it succeeds: keys of severity.CONSEQUENCES."""
    call = (source.partition(".")[0], undated(name))
    given = mapping(asked)
    found = set(_JUDGES[call](given)) if call in _JUDGES else set()
    # https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    if given.get("omitted") is True:
        found.add("omitted")
    return frozenset(found)


def insight_changes(details: Any) -> tuple[Change, ...]:
    """The rate that an Insights event found unusual: baseline -> now, per minute.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-insight-details.html
    """
    details = mapping(details)
    statistics = mapping(mapping(details.get("insightContext")).get("statistics"))
    errors = "Error" in string(details.get("insightType"))
    return (
        Change(
            "change.error_rate" if errors else "change.call_rate",
            first(mapping(statistics.get("insight")).get("average")),
            first(mapping(statistics.get("baseline")).get("average")),
        ),
    )


# --- CloudTrail ------------------------------------------------------------------------------


def _update_trail(asked: dict[str, Any]) -> Iterator[str]:
    if asked.get("s3BucketName"):
        yield "moves_bucket"
    for parameter, consequence in (  # "" takes it away, any other puts another in its place
        ("kmsKeyId", "changes_key"),
        ("cloudWatchLogsLogGroupArn", "drops_log_group"),
        ("snsTopicName", "drops_topic"),
    ):
        if parameter in asked:
            yield consequence
    for parameter, consequence in (
        ("isMultiRegionTrail", "single_region"),
        ("includeGlobalServiceEvents", "no_global_events"),
        ("enableLogFileValidation", "no_validation"),
        ("isOrganizationTrail", "no_organization"),
    ):
        if asked.get(parameter) is False:
            yield consequence


def _put_event_selectors(asked: dict[str, Any]) -> Iterator[str]:
    """Whether event selectors were set and none of them records management write events.

    EventBridge gets only what a trail records:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html

    An empty list has none that does. AWS refuses it, as a trail has one to five selectors, so that
    it comes as a call that failed; what it asks for is as bad as what a list of others asks for.
    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_PutEventSelectors.html
    """
    basic, advanced = asked.get("eventSelectors"), asked.get("advancedEventSelectors")
    if isinstance(advanced, list) and advanced:
        records = any(_records_writes_advanced(mapping(selector)) for selector in advanced)
    elif isinstance(basic, list) and basic:
        records = any(_records_writes(mapping(selector)) for selector in basic)
    elif isinstance(basic, list) or isinstance(advanced, list):
        records = False
    else:
        return
    if not records:
        yield "blinds"


def _records_writes(selector: dict[str, Any]) -> bool:
    # Both members default to the wider choice:
    # https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_EventSelector.html
    managed = selector.get("includeManagementEvents") is not False
    return managed and selector.get("readWriteType") != "ReadOnly"


# What a trail may leave out because it is so much, and no harm is done to the watch:
# https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_AdvancedFieldSelector.html
_NOISY = {"kms.amazonaws.com", "rdsdata.amazonaws.com"}


def _records_writes_advanced(selector: dict[str, Any]) -> bool:
    """Whether it takes CloudTrail's own write events: no condition may keep them out."""
    fields = [mapping(field) for field in listing(selector.get("fieldSelectors"))]
    categories = [one.get("equals") for one in fields if one.get("field") == "eventCategory"]
    return categories == [["Management"]] and all(
        _lets_writes_through(one) for one in fields if one.get("field") != "eventCategory"
    )


def _lets_writes_through(condition: dict[str, Any]) -> bool:
    """Any other condition keeps some services, events or people out of the record."""
    said = {key: value for key, value in condition.items() if key != "field" and value}
    if condition.get("field") == "readOnly":
        excluded = "false" in listing(said.get("notEquals"))
        return not excluded and "false" in listing(said.get("equals", ["false"]))
    left_out = {string(one) for one in listing(said.pop("notEquals", []))}
    return condition.get("field") == "eventSource" and not said and left_out <= _NOISY


# --- the log bucket, the alarm's own pipeline, others ----------------------------------------


def _versioning(asked: dict[str, Any]) -> Any:
    return mapping(asked.get("VersioningConfiguration")).get("Status")


def _put_bucket_versioning(asked: dict[str, Any]) -> Iterator[str]:
    if _versioning(asked) == "Suspended":
        yield "suspends_versioning"


def _silences_rule(_: dict[str, Any]) -> Iterator[str]:
    yield "silences_rule"


def _put_rule(asked: dict[str, Any]) -> Iterator[str]:
    if asked.get("state") == "DISABLED":
        yield "silences_rule"


def _put_function_concurrency(asked: dict[str, Any]) -> Iterator[str]:
    # A function with no concurrency is never run:
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
    if text(asked.get("reservedConcurrentExecutions")) == "0":
        yield "throttles"


def _update_detector(asked: dict[str, Any]) -> Iterator[str]:
    if asked.get("enable") is False:
        yield "stops_detector"


def _ingress(asked: dict[str, Any]) -> Iterator[str]:
    if any(_is_the_world(network) for _, network in _opened(asked)):
        yield "opens_to_world"


_JUDGES: dict[tuple[str, str], Callable[[dict[str, Any]], Iterator[str]]] = {
    ("cloudtrail", "UpdateTrail"): _update_trail,
    ("cloudtrail", "PutEventSelectors"): _put_event_selectors,
    ("s3", "PutBucketVersioning"): _put_bucket_versioning,
    ("events", "DisableRule"): _silences_rule,
    ("events", "DeleteRule"): _silences_rule,
    ("events", "RemoveTargets"): _silences_rule,
    ("events", "PutRule"): _put_rule,
    ("lambda", "PutFunctionConcurrency"): _put_function_concurrency,
    ("guardduty", "UpdateDetector"): _update_detector,
    **dict.fromkeys(_INGRESS, _ingress),
}


# --- security groups -------------------------------------------------------------------------

_NETWORKS = ("cidrip", "cidripv4", "cidripv6")
_INHERITED = ("ipprotocol", "fromport", "toport")


def _opened(asked: Any) -> list[tuple[str, str]]:
    """Each network that is let in, as (network with protocol and ports, network alone).

    Three shapes are recorded: `ipPermissions.items[]`, the flat parameters of the older call, and
    `ModifySecurityGroupRulesRequest` with capitals; so the names are sought at every depth, and
    protocol and ports are those of the nearest object above.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html
    """
    found: list[tuple[str, str]] = []
    todo: list[tuple[Any, dict[str, str], int]] = [(asked, {}, 0)]
    while todo:
        value, above, depth = todo.pop()
        if isinstance(value, dict):
            own = {str(key).lower(): each for key, each in value.items()}
            above = above | {key: text(own[key]) for key in _INHERITED if key in own}
            networks = filter(None, (string(own.get(key)) for key in _NETWORKS))
            found += [(_described(network, above), network) for network in networks]
        inner = value.values() if isinstance(value, dict) else value
        if depth < _DEPTH and isinstance(value, dict | list):
            todo += [(each, above, depth + 1) for each in reversed(list(inner))]
    return found


def _described(network: str, said: dict[str, str]) -> str:
    protocol = {"-1": "all", "": "all"}.get(said.get("ipprotocol", ""), said.get("ipprotocol", ""))
    ports = [said[key] for key in ("fromport", "toport") if said.get(key)]
    return " ".join([network, protocol, "-".join(dict.fromkeys(ports))]).strip()


_WIDE_IPV4, _WIDE_IPV6 = 8, 16  # a prefix shorter than this is no one's network


def _is_the_world(network: str) -> bool:
    """Whether it is everywhere, or so large a part (0.0.0.0/1) that a few make everywhere."""
    address, _, length = network.partition("/")
    if not (length.isascii() and length.isdigit() and len(length) < _WIDE_IPV4):
        return False
    if ":" in address:
        local = address.lower().startswith(("fc", "fd", "fe"))  # RFC 4193, RFC 4291: not routed
        return int(length) < _WIDE_IPV6 and not local
    return int(length) < _WIDE_IPV4
