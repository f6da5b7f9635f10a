"""What a config's rules listen for: each detection's parts as patterns, where each can be seen.

A detection is one rule where one pattern sees all of it, and several otherwise, each named after
its part. The guard, which looks after the alarm itself, is there twice: its rules tell by the
topic, and those of the second set (`NAME-b`) tell the function, without the topic. All of them name
each other, so that whichever is cut first, the other set tells. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ctwatch.aws import Place
from ctwatch.config import CREATE, Config, RuleConfig, key_name
from ctwatch.detections import Detection, Names, Part, catalogue
from ctwatch.errors import ConfigError
from ctwatch.patterns import compile_pattern, split

_LONGEST = 64  # https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html

# Where a partition's global services are recorded.
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events
_GLOBAL = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
_SUFFIX = {"aws-cn": "amazonaws.com.cn"}

GUARD = "pipeline-tampering"
"""The detection that looks after the alarm itself."""

_Path = Literal["route", "topic", "function"]


@dataclass(frozen=True)
class Heard:
    """What one rule hears.

    Attributes:
        name: the rule's.
        detection: the id of the detection.
        pattern: the event pattern, filled in, at most 2,048 characters of JSON.
        regions: whose event buses get the events.
        read_only: whether read-only events are among them.
        fires: whole events that the pattern matches; may be empty.
        path: by which way it tells: that of the config's `route`, or the topic or the function
            alone.
    """

    name: str
    detection: str
    pattern: Mapping[str, Any]
    regions: tuple[str, ...]
    read_only: bool
    fires: tuple[Mapping[str, Any], ...]
    path: _Path = "route"


def heard(config: Config, place: Place, keys: Mapping[str, str] | None = None) -> tuple[Heard, ...]:
    """What the rules of a config hear.

    Args:
        config: with account, region and regions filled in.
        place: where the watch lives.
        keys: as for `names_of`.

    Raises:
        ConfigError: the name of a rule grows longer than AWS allows.
    """
    known, names = catalogue(), names_of(config, place, keys)
    found = [
        one
        for rule in config.rules
        for one in _parts(rule, known[rule.detection], names, config, place)
    ]
    everywhere = dict.fromkeys((place.region, *(region for one in found for region in one.regions)))
    listened = (one if one.regions else replace(one, regions=tuple(everywhere)) for one in found)
    notifier = has_notifier(config)
    return tuple(path for one in listened for path in _paths(one, notifier=notifier))


def has_notifier(config: Config) -> bool:
    """Whether the watch has a function: for a channel to post to, or to write the mails."""
    return bool(config.channels) or config.route == "formatted"


def _paths(one: Heard, *, notifier: bool) -> Iterator[Heard]:
    """The rule, or the two that the guard makes of it where there are two ways to tell."""
    if one.detection != GUARD or not notifier:
        yield one
        return
    yield replace(one, path="topic")
    yield replace(one, path="function", name=_fitting(f"{one.name}-b"))


def _parts(
    rule: RuleConfig, detection: Detection, names: Names, config: Config, place: Place
) -> Iterator[Heard]:
    examples = detection.fires_on(names)
    for part in detection.filled(names):
        name = _name(rule, detection, part)
        for number, pattern in enumerate(split(part.pattern), 1):
            matches = compile_pattern(pattern).matches
            yield Heard(
                name=_fitting(name if number == 1 else f"{name}-{number}"),
                detection=detection.id,
                pattern=pattern,
                regions=_regions(part, config, place),
                read_only=part.read_only,
                fires=tuple(event for event in examples if matches(event)),
            )


def _regions(part: Part, config: Config, place: Place) -> tuple[str, ...]:
    """Where a part can be seen; none stands for wherever the watch has a rule."""
    if part.where == "rules":
        return ()
    if part.where == "us-east-1":
        return (_GLOBAL[place.partition],)
    others = config.regions if part.where == "every-region" else ()
    return tuple(dict.fromkeys((place.region, *others)))


def _name(rule: RuleConfig, detection: Detection, part: Part) -> str:
    return rule.name if len(detection.parts) == 1 else f"{rule.name}-{part.name}"


def _fitting(name: str) -> str:
    if len(name) > _LONGEST:
        raise ConfigError(
            f"rules: one of the rules would be called {name!r}, which is {len(name)} characters"
            f" long; AWS allows {_LONGEST}",
            "Choose a shorter name for that rule.",
        )
    return name


def names_of(
    config: Config, place: Place, keys: Mapping[str, str] | None = None
) -> dict[str, str | Sequence[str]]:
    """What the words in the patterns stand for in this watch, as in `detections.SAMPLE`.

    Args:
        config: with account and region filled in.
        place: where the watch lives.
        keys: the ARNs of its own keys, as far as AWS has made them, by their names.
    """
    function, topic_arn = config.function.name, place.arn("sns", config.topic.name)
    kept = config.channels if config.function.secret == "ssm" else ()  # noqa: S105 - where it is
    queues = [f"{config.name}-{role}" for role in ("receipts", "dead-letter")]
    host = f"https://sqs.{place.region}.{_SUFFIX.get(place.partition, 'amazonaws.com')}"
    return {
        "account": place.account,
        "region": place.region,
        "trail": config.trail.name,
        "trail_arn": place.arn("cloudtrail", f"trail/{config.trail.name}"),
        "bucket": config.bucket.name,
        "bucket_arn": place.bucket_arn(config.bucket.name),
        "topic": config.topic.name,
        "topic_arn": topic_arn,
        "subscriptions_prefix": f"{topic_arn}:",
        "function": function,
        "function_arn": place.arn("lambda", f"function:{function}"),
        "roles": tuple(f"{config.name}-{role}" for role in ("notifier", "forwarder")),
        "rules": tuple(_rule_names(config)),
        "rule_prefixes": tuple(_rule_prefixes(config)),
        "log_groups": tuple(_log_groups(config)),
        "parameters": tuple(f"/{config.name}/{one.name}" for one in kept),
        "queue_urls": tuple(f"{host}/{place.account}/{name}" for name in queues),
        "keys": tuple(_keys(config, place, keys or {})),
    }


def _log_groups(config: Config) -> Iterator[str]:
    if config.channels:
        yield f"/aws/lambda/{config.function.name}"
    if config.trail.log_group:
        yield config.trail.log_group


def _keys(config: Config, place: Place, known: Mapping[str, str]) -> Iterator[str]:
    """The ARNs of the keys, and of the aliases that lead to the watch's own.

    CloudTrail names a key by its ARN, which a new key has only when AWS has made it.
    """
    for role, wish in (("trail", config.trail.kms), ("topic", config.topic.kms)):
        name = key_name(config.name, role)
        if wish == CREATE:
            yield from (known[name],) if name in known else ()
            yield place.arn("kms", f"alias/{name}")
        elif wish:
            yield wish


def _rule_names(config: Config) -> Iterator[str]:
    """The names of the rules that are one rule each."""
    yield from (one.name for one in config.rules if len(catalogue()[one.detection].parts) == 1)


def _rule_prefixes(config: Config) -> Iterator[str]:
    """What the names of the others begin with."""
    yield from (f"{one.name}-" for one in config.rules)
