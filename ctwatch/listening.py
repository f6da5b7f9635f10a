"""What a config's rules listen for: each detection's parts as patterns, where each can be seen.

A detection is one rule where one pattern and one region see all of it, and several otherwise, each
named after its part. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctwatch.aws import Place
from ctwatch.config import Config, RuleConfig
from ctwatch.detections import Detection, Names, Part, catalogue
from ctwatch.errors import ConfigError
from ctwatch.patterns import compile_pattern, split

_LONGEST = 64  # https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html

# Where a partition's global services are recorded.
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events
_GLOBAL = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
_SUFFIX = {"aws-cn": "amazonaws.com.cn"}


@dataclass(frozen=True)
class Heard:
    """What one rule hears.

    Attributes:
        name: the rule's.
        detection: the id of the detection.
        pattern: the event pattern, filled in, at most 2,048 characters of JSON.
        region: whose event bus gets the events.
        read_only: whether read-only events are among them.
        fires: whole events that the pattern matches; may be empty.
    """

    name: str
    detection: str
    pattern: Mapping[str, Any]
    region: str
    read_only: bool
    fires: tuple[Mapping[str, Any], ...]


def heard(config: Config, place: Place) -> tuple[Heard, ...]:
    """What the rules of a config hear.

    Args:
        config: with account and region filled in.
        place: where the watch lives.

    Raises:
        ConfigError: the name of a rule grows longer than AWS allows.
    """
    known, names = catalogue(), names_of(config, place)
    return tuple(
        one for rule in config.rules for one in _parts(rule, known[rule.detection], names, place)
    )


def _parts(rule: RuleConfig, detection: Detection, names: Names, place: Place) -> Iterator[Heard]:
    examples = detection.fires_on(names)
    for part in detection.filled(names):
        name = _name(rule, detection, part)
        for number, pattern in enumerate(split(part.pattern), 1):
            matches = compile_pattern(pattern).matches
            yield Heard(
                name=_fitting(name if number == 1 else f"{name}-{number}"),
                detection=detection.id,
                pattern=pattern,
                region=_GLOBAL[place.partition] if part.where == "us-east-1" else place.region,
                read_only=part.read_only,
                fires=tuple(event for event in examples if matches(event)),
            )


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


def names_of(config: Config, place: Place) -> dict[str, str | Sequence[str]]:
    """What the words in the patterns stand for in this watch, as in `detections.SAMPLE`."""
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
        "role": f"{config.name}-notifier",
        "rules": tuple(_rule_names(config)),
        "log_groups": (f"/aws/lambda/{function}",) if config.channels else (),
        "parameters": tuple(f"/{config.name}/{one.name}" for one in kept),
        "queue_urls": tuple(f"{host}/{place.account}/{name}" for name in queues),
        "keys": (),
    }


def _rule_names(config: Config) -> Iterator[str]:
    for rule in config.rules:
        detection = catalogue()[rule.detection]
        yield from (_name(rule, detection, part) for part in detection.parts)
