"""The floor plan: a config and a place become the resources of a watch.

The constructor arguments are the arrows: what a resource is given, it leans on. What only has to
be named (a bucket policy names its trail, a queue policy its rule) is given as an ARN, or the graph
would go round in a circle.

    bucket <- trail
    topic <- rule (targets it) -> dead-letter queue
    topic <- subscriptions -> function -> role, log group, secrets, dead-letter queue
                           -> receipts queue
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from ctwatch.aws import Place
from ctwatch.config import ChannelConfig, Config
from ctwatch.diff import State
from ctwatch.listening import Heard, heard
from ctwatch.resources.base import Resource
from ctwatch.resources.bucket import Bucket
from ctwatch.resources.function import Function
from ctwatch.resources.log_group import LogGroup
from ctwatch.resources.queue import Queue
from ctwatch.resources.role import Role
from ctwatch.resources.rule import Rule, default_bus
from ctwatch.resources.secret import Secret
from ctwatch.resources.subscription import Subscription
from ctwatch.resources.topic import Topic
from ctwatch.resources.trail import Trail
from ctwatch.secret import ASKED, VARIABLES


class _Mine(TypedDict):
    """What every resource of a watch is given."""

    place: Place
    watch: str


_DAY = 86_400
_TWO_WEEKS = 14 * _DAY
_READER_PAUSE = 2
"""Seconds for which a receipt read by one reader is hidden from the next."""


@dataclass(frozen=True)
class Watch:
    """A watch as it shall be, each part by its role in the alarm."""

    name: str
    place: Place
    bucket: Bucket
    trail: Trail
    topic: Topic
    receipts: Queue
    dead_letter: Queue
    rules: tuple[Rule, ...]
    away: tuple[Rule, ...]
    people: tuple[Subscription, ...]
    receipt: Subscription
    function: Function | None = None
    webhook: Subscription | None = None

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """All who listen to the topic."""
        found = (self.receipt, self.webhook, *self.people)
        return tuple(one for one in found if one)

    @property
    def resources(self) -> list[Resource]:
        """All of it, in the order in which an event meets it."""
        notifier = self.function.needs if self.function else ()
        rules = [rule for pair in self.pairs for rule in reversed(pair)]
        way = (self.bucket, self.trail, *rules, self.topic, self.receipt, *self.people)
        ends = (self.webhook, self.function, *notifier, self.receipts, self.dead_letter)
        elsewhere = (part for one in self.away for part in (one.forwarder, one.dead_letter))
        return [one for one in dict.fromkeys((*way, *ends, *elsewhere)) if one]

    @property
    def hears_deletion(self) -> bool:
        """Whether one of its rules tells of a trail's deletion, and so of that of its own."""
        told = (event["detail"].get("eventName") for rule in self.rules for event in rule.fires)
        return "DeleteTrail" in told

    @property
    def pairs(self) -> list[tuple[Rule, ...]]:
        """Each rule at home, with those elsewhere that feed it."""
        return [(rule, *(one for one in self.away if one.target is rule)) for rule in self.rules]


def canary_name(trail: str) -> str:
    """The name of the disposable trail that a drill may make beside `trail`."""
    return f"{trail}-canary"


def plan(config: Config, place: Place, secrets: Mapping[str, str | None]) -> Watch:
    """The watch that `config` asks for at `place`.

    Args:
        config: with account and region filled in.
        place: where.
        secrets: each channel's webhook URL by the channel's name, None where it is not known here.
    """
    mine: _Mine = {"place": place, "watch": config.name}
    topic = Topic(name=config.topic.name, place=place, watch=config.name)
    listened = heard(config, place)
    failures = _failures(place, listened)
    dead_letter = _queue(
        "dead-letter", config, place, (*failures, ("sns.amazonaws.com", topic.arn)), _TWO_WEEKS
    )
    rules = _rules(config, place, listened, topic, dead_letter)
    receipts = _queue("receipts", config, place, (("sns.amazonaws.com", topic.arn),), _DAY)
    bucket = _bucket(config, place)
    function = _function(config, place, topic, dead_letter, secrets)

    def listener(name: str, protocol: str, ends_in: Resource) -> Subscription:
        return Subscription(
            name=name,
            topic=topic,
            protocol=protocol,
            listener=ends_in,
            dead_letter=dead_letter,
            **mine,
        )

    return Watch(
        name=config.name,
        place=place,
        bucket=bucket,
        trail=Trail(
            name=config.trail.name, bucket=bucket, insights=tuple(config.trail.insights), **mine
        ),
        topic=topic,
        receipts=receipts,
        dead_letter=dead_letter,
        rules=rules,
        away=_elsewhere(config, place, listened, rules),
        people=tuple(
            Subscription(name=address, topic=topic, protocol="email", **mine)
            for address in config.topic.emails
        ),
        receipt=listener("receipts", "sqs", receipts),
        function=function,
        webhook=listener("function", "lambda", function) if function else None,
    )


def _queue(
    role: str, config: Config, place: Place, senders: tuple[tuple[str, str], ...], retention: int
) -> Queue:
    return Queue(
        name=f"{config.name}-{role}",
        place=place,
        watch=config.name,
        senders=senders,
        retention=retention,
        visibility=_READER_PAUSE if role == "receipts" else 30,
    )


def _bucket(config: Config, place: Place) -> Bucket:
    trails = (config.trail.name, canary_name(config.trail.name))
    return Bucket(
        name=config.bucket.name,
        place=place,
        watch=config.name,
        account_regional=config.bucket.account_regional,
        writers=tuple(place.arn("cloudtrail", f"trail/{name}") for name in trails),
        lifecycle=_lifecycle(config),
    )


def _lifecycle(config: Config) -> list[State] | None:
    """S3's lifecycle rules for the config's; None when it is off."""
    wish = config.bucket.lifecycle
    if wish is None:
        return None
    rule: State = {"ID": "ctwatch", "Status": "Enabled", "Filter": {"Prefix": ""}}
    rule["Expiration"] = {"Days": wish.expire_days}
    # In a versioned bucket an expired object only becomes an old version, which would stay.
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
    rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": 1}
    if wish.archive_days is not None:
        rule["Transitions"] = [{"Days": wish.archive_days, "StorageClass": wish.archive_class}]
    return [rule]


def _failures(place: Place, listened: Sequence[Heard]) -> tuple[tuple[str, str], ...]:
    """Who may put on the dead-letter queue of a region what its rules could not deliver."""
    return tuple(
        ("events.amazonaws.com", place.arn("events", f"rule/{one.name}")) for one in listened
    )


def _rules(
    config: Config, place: Place, listened: Sequence[Heard], topic: Topic, dead_letter: Queue
) -> tuple[Rule, ...]:
    """The rules at home: one for all that is heard, wherever that is."""
    return tuple(
        Rule(
            name=one.name,
            place=place,
            watch=config.name,
            pattern=one.pattern,
            detection=one.detection,
            target=topic,
            dead_letter=dead_letter,
            read_only=one.read_only,
            fires=one.fires,
        )
        for one in listened
    )


def _elsewhere(
    config: Config, place: Place, listened: Sequence[Heard], rules: Sequence[Rule]
) -> tuple[Rule, ...]:
    """The rules in another region, each of which feeds its twin at home."""
    twins = [
        (one, rule) for one, rule in zip(listened, rules, strict=True) if one.region != place.region
    ]
    if not twins:
        return ()
    there = replace(place, region=twins[0][0].region)  # all that is seen elsewhere is seen there
    failures = _failures(there, [one for one, _ in twins])
    dead_letter = replace(_queue("dead-letter", config, there, failures, _TWO_WEEKS), away=True)
    forwarder = Role(
        name=f"{config.name}-forwarder",
        place=place,
        watch=config.name,
        service="events.amazonaws.com",
        grants=((("events:PutEvents",), default_bus(place)),),
        policy_name="forwarder",
        sources=tuple(arn for _, arn in failures),
    )
    return tuple(
        replace(
            rule,
            place=there,
            away=True,
            target=rule,
            dead_letter=dead_letter,
            forwarder=forwarder,
        )
        for _, rule in twins
    )


def _function(
    config: Config,
    place: Place,
    topic: Topic,
    dead_letter: Queue,
    secrets: Mapping[str, str | None],
) -> Function | None:
    """The notifier with all it leans on; None when there is no channel for it to serve."""
    if not config.channels:
        return None
    mine: _Mine = {"place": place, "watch": config.name}
    name = config.function.name
    in_environment = config.function.secret == "env"  # noqa: S105 - a mode, not a secret
    kept = tuple(
        Secret(name=_parameter(config, one), value=secrets.get(one.name), **mine)
        for one in config.channels
        if not in_environment
    )
    log_group = LogGroup(
        name=f"/aws/lambda/{name}", retention=config.function.log_retention_days, **mine
    )
    return Function(
        name=name,
        runtime=config.function.runtime,
        architecture=config.function.architecture,
        environment=_environment(config, place, secrets if in_environment else None),
        hidden=frozenset(VARIABLES[one.type] for one in config.channels),
        channels=tuple(one.name for one in config.channels),
        unasked=frozenset(one.name for one in config.channels if one.type not in ASKED),
        invokers=(("sns.amazonaws.com", topic.arn),),
        role=_role(config, place, log_group, kept, dead_letter),
        log_group=log_group,
        dead_letter=dead_letter,
        secrets=kept,
        **mine,
    )


def _parameter(config: Config, channel: ChannelConfig) -> str:
    return f"/{config.name}/{channel.name}"


def _environment(
    config: Config, place: Place, secrets: Mapping[str, str | None] | None
) -> dict[str, str | None]:
    """The notifier's variables; `secrets` is given when they are to stand among them."""
    channels = [_entry(config, one, in_environment=secrets is not None) for one in config.channels]
    variables: dict[str, str | None] = {
        "CTWATCH_WATCH": config.name,
        "CTWATCH_TRAIL": place.arn("cloudtrail", f"trail/{config.trail.name}"),
        "CTWATCH_BUCKET": config.bucket.name,
        "CTWATCH_LANGUAGE": config.alerts.language,
        "CTWATCH_TIMEZONE": config.alerts.timezone,
        "CTWATCH_CHANNELS": json.dumps(channels, separators=(",", ":")),
    }
    if secrets is not None:
        variables |= {VARIABLES[one.type]: secrets.get(one.name) for one in config.channels}
    return variables


def _entry(config: Config, channel: ChannelConfig, *, in_environment: bool) -> State:
    """A channel as `notifier/settings.py` reads it; what is the default is left out."""
    parameter, variable = f"ssm:{_parameter(config, channel)}", f"env:{VARIABLES[channel.type]}"
    entry: State = {
        "name": channel.name,
        "type": channel.type,
        "secret": variable if in_environment else parameter,
    }
    if channel.min_severity != ChannelConfig.model_fields["min_severity"].default:
        entry["min_severity"] = channel.min_severity
    if channel.only:
        entry["only"] = list(channel.only)
    return entry


def _role(
    config: Config,
    place: Place,
    log_group: LogGroup,
    secrets: tuple[Secret, ...],
    dead_letter: Queue,
) -> Role:
    """Write its own log, read its own secrets, hand over what it failed to deliver.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    return Role(
        name=f"{config.name}-notifier",
        place=place,
        watch=config.name,
        service="lambda.amazonaws.com",
        grants=(
            (("logs:CreateLogStream", "logs:PutLogEvents"), f"{log_group.arn}:*"),
            *((("ssm:GetParameter",), one.arn) for one in secrets),
            (("sqs:SendMessage",), dead_letter.arn),
        ),
    )
