"""The floor plan: a config and a place become the resources of a watch.

The constructor arguments are the arrows: what a resource is given, it leans on. What only has to
be named (a bucket policy names its trail, a queue policy its rule) is given as an ARN, or the graph
would go round in a circle.

    bucket <- trail, and the rule that hears the bucket itself
    key, log group, role, deliveries topic, each if asked for <- trail
    key, if asked for <- topic <- rule (targets it) -> dead-letter queue
    topic <- subscriptions -> function -> role, log group, secrets, dead-letter queue
                           -> receipts queue

A trail that was there already (`trail.existing`) stands in the place of the trail, its bucket in
that of the bucket; both are only looked at.

How alerts travel is the config's `route`. No route lets the function both listen to the topic and
publish to it, which would go round for ever:

    fanout     rule -> topic -> people, receipts, function -> channels
    direct     rule -> function -> channels; rule -> topic, as text -> people, receipts;
               rule -> receipts
    formatted  rule -> function -> channels; function -> topic -> people, receipts
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypedDict

from ctwatch.aws import Place
from ctwatch.config import CREATE, TOPIC, ChannelConfig, Config, deliveries_name, key_name
from ctwatch.detections.names import Names, with_derived
from ctwatch.diff import State
from ctwatch.existing import ExistingTrail
from ctwatch.listening import OF_OBJECTS, Heard, has_notifier, heard, names_of, own_detections
from ctwatch.readable import transformer
from ctwatch.resources.base import Resource
from ctwatch.resources.bucket import Bucket
from ctwatch.resources.canary import Canary
from ctwatch.resources.function import Function
from ctwatch.resources.given import GivenBucket, GivenTrail
from ctwatch.resources.key import USE, GivenKey, Key, for_topics, for_trail
from ctwatch.resources.log_group import OF_FUNCTIONS, DeliveredLogs, LogGroup
from ctwatch.resources.queue import Queue
from ctwatch.resources.role import Role
from ctwatch.resources.rule import Rule, default_bus
from ctwatch.resources.secret import Secret
from ctwatch.resources.subscription import Subscription
from ctwatch.resources.topic import DeliveryTopic, Topic
from ctwatch.resources.trail import Trail
from ctwatch.secret import ASKED, VARIABLES


class _Mine(TypedDict):
    """What every resource of a watch is given."""

    place: Place
    watch: str
    labels: Mapping[str, str]


def _mine(config: Config, place: Place) -> _Mine:
    return {"place": place, "watch": config.name, "labels": config.labels}


_DAY = 86_400
_TWO_WEEKS = 14 * _DAY
_READER_PAUSE = 2
"""Seconds for which a receipt read by one reader is hidden from the next."""
_EVENTS, _SNS = "events.amazonaws.com", "sns.amazonaws.com"


@dataclass(frozen=True)
class Watch:
    """A watch as it shall be, each part by its role in the alarm.

    Attributes:
        bucket: its log bucket; None where the trail is not its own.
        trail: its own, or the one that was there already.
        away: rules in other regions, each of which feeds its twin among `rules`.
        people: who gets mail or a text message.
        receipt: what leads from the topic to the receipts queue.
        webhook: what leads from the topic to the function, in the route `fanout`.
        canary: the disposable trail of a drill, which must not be there when none is under way;
            None where the trail is not its own, as there is no bucket for it then.
        unwanted: what the same watch would have by another route, and must not have by this one,
            and a canary that was left over.
    """

    name: str
    place: Place
    bucket: Bucket | None
    trail: Trail | GivenTrail
    topic: Topic
    receipts: Queue
    dead_letter: Queue
    rules: tuple[Rule, ...]
    away: tuple[Rule, ...]
    people: tuple[Subscription, ...]
    receipt: Subscription
    canary: Canary | None = None
    function: Function | None = None
    webhook: Subscription | None = None
    unwanted: tuple[Resource, ...] = ()

    @property
    def owns_trail(self) -> bool:
        """Whether the trail is its own, and not one that was there already."""
        return isinstance(self.trail, Trail)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys of its own, if any."""
        trail = self.trail.key if isinstance(self.trail, Trail) else None
        return tuple(one for one in (trail, self.topic.key) if isinstance(one, Key))

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
        options = (one for one in self.trail.needs if one is not self.bucket)
        tellers = (rule.teller for rule in self.rules)
        start = (self.bucket, self.trail, *options, *tellers)
        way = (*start, *rules, self.topic, *self.topic.needs, self.receipt, *self.people)
        ends = (self.webhook, self.function, *notifier, self.receipts, self.dead_letter)
        elsewhere = (part for one in self.away for part in (one.forwarder, one.dead_letter))
        return [one for one in dict.fromkeys((*way, *ends, *elsewhere)) if one]

    @property
    def publishes(self) -> bool:
        """Whether it is the function that writes to the topic."""
        return bool(self.function and TOPIC in self.function.channels)

    @property
    def hears_deletion(self) -> bool:
        """Whether one of its rules tells of a trail's deletion, and so of that of its own."""
        told = (event["detail"].get("eventName") for rule in self.rules for event in rule.fires)
        return self.owns_trail and "DeleteTrail" in told

    @property
    def pairs(self) -> list[tuple[Rule, ...]]:
        """Each rule at home, with those elsewhere that feed it."""
        return [(rule, *(one for one in self.away if rule in one.targets)) for rule in self.rules]


def canary_name(trail: str) -> str:
    """The name of the disposable trail that a drill may make beside `trail`."""
    return f"{trail}-canary"


Secrets = Mapping[str, str | None]
"""Each channel's webhook URL by the channel's name, None where it is not known here."""


def plan(
    config: Config,
    place: Place,
    secrets: Secrets,
    keys: Mapping[str, str] | None = None,
    existing: ExistingTrail | None = None,
) -> Watch:
    """The watch that `config` asks for at `place`.

    Args:
        config: with account and region filled in.
        place: where.
        secrets: of its channels.
        keys: the ARNs of its own keys, as far as AWS has made them, by their names.
        existing: what AWS tells of the trail that the config calls existing.
    """
    listened = heard(config, place, keys, existing)
    topic = _topic(config, place, listened)
    dead_letter = _queue(
        "dead-letter", config, place, (*_failures(place, listened), (_SNS, topic.arn)), _TWO_WEEKS
    )
    notifier = _function(config, listened, topic, dead_letter, secrets)
    notifier = _knowing_trail(notifier, place, existing)
    notifier = _knowing_keys(notifier, config, keys or {}, existing)
    notifier = _knowing(notifier, _own(names_of(config, place, keys, existing), listened))
    function = notifier if has_notifier(config) else None
    receipts = _queue("receipts", config, place, _senders(config, place, listened, topic), _DAY)
    logs = _logs(config, listened, topic, existing)
    ends = _Ends(topic, function, receipts)
    rules = _told_by(logs.teller, _rules(config, listened, ends, dead_letter))
    receipt, listener, *people = _subscriptions(config, topic, receipts, notifier, dead_letter)
    listens = function is not None and config.route == "fanout"
    left = (*(() if listens else (listener,)), *(() if function else _alone(notifier)))
    return Watch(
        name=config.name,
        place=place,
        bucket=logs.bucket,
        trail=logs.trail,
        topic=topic,
        receipts=receipts,
        dead_letter=dead_letter,
        rules=rules,
        away=_elsewhere(config, place, listened, rules),
        people=tuple(people),
        receipt=receipt,
        canary=logs.canary,
        function=function,
        webhook=listener if listens else None,
        unwanted=tuple(filter(None, (*left, logs.canary))),
    )


def _alone(notifier: Function) -> tuple[Resource, ...]:
    """The function with what only it needs."""
    return (notifier, notifier.role, notifier.log_group)


class _Ends(NamedTuple):
    """What a rule may hand its events to."""

    topic: Topic
    function: Function | None
    receipts: Queue


def _ways(config: Config, one: Heard) -> tuple[str, ...]:
    """The fields of `_Ends` that this rule uses."""
    if one.path == "function":
        return ("function", "receipts")
    if one.path == "topic" or config.route == "fanout":
        return ("topic",)
    return ("topic", "function", "receipts") if config.route == "direct" else ("function",)


def _sources(
    config: Config, place: Place, listened: Sequence[Heard], way: str
) -> tuple[tuple[str, str], ...]:
    """EventBridge, on behalf of each rule at home that uses this way."""
    using = (one.name for one in listened if way in _ways(config, one))
    return tuple((_EVENTS, place.arn("events", f"rule/{name}")) for name in using)


def _senders(
    config: Config, place: Place, listened: Sequence[Heard], topic: Topic
) -> tuple[tuple[str, str], ...]:
    """Who may put receipts into their queue."""
    return (*_sources(config, place, listened, "receipts"), (_SNS, topic.arn))


def _topic(config: Config, place: Place, listened: Sequence[Heard]) -> Topic:
    used = any("topic" in _ways(config, one) for one in listened)
    key = _topic_key(config, place, from_rules=used)
    return Topic(name=config.topic.name, key=key, from_rules=used, **_mine(config, place))


def _trail(config: Config, place: Place, bucket: Bucket, topic: Topic) -> Trail:
    """The trail with what it leans on, of which all but its bucket is off unless asked for."""
    mine, arn = _mine(config, place), _trail_arn(config, place)
    group = (
        DeliveredLogs(
            name=config.trail.log_group, retention=config.trail.log_retention_days, **mine
        )
        if config.trail.log_group
        else None
    )
    # A topic apart from the alerts': this news comes every few minutes, and nobody would read on.
    deliveries = (
        DeliveryTopic(
            name=deliveries_name(config.name), trail=arn, key=topic.key, from_rules=False, **mine
        )
        if config.trail.delivery_notifications
        else None
    )
    return Trail(
        name=config.trail.name,
        bucket=bucket,
        insights=tuple(config.trail.insights),
        multi_region=config.trail.multi_region,
        key=_encryption(config, place, config.trail.kms, "trail", for_trail(place, arn)),
        log_group=group,
        log_role=_delivery_role(config, place, group) if group else None,
        deliveries=deliveries,
        **mine,
    )


class _Logs(NamedTuple):
    """The trail, and where it keeps its log files.

    Attributes:
        bucket: None where that is not the watch's; so is the canary then.
        teller: what a rule leans on that hears the bucket itself.
    """

    trail: Trail | GivenTrail
    bucket: Bucket | None
    canary: Canary | None
    teller: Bucket | GivenBucket


def _logs(
    config: Config, listened: Sequence[Heard], topic: Topic, existing: ExistingTrail | None
) -> _Logs:
    place = topic.place
    if existing is None:
        bucket = _bucket(config, place, listened)
        name = canary_name(config.trail.name)
        canary = Canary(name=name, bucket=bucket, **_mine(config, place))
        return _Logs(_trail(config, place, bucket, topic), bucket, canary, bucket)
    trail = GivenTrail(name=existing.name, known=existing, **_mine(config, place))
    return _Logs(trail, None, None, _teller(config, place, existing))


def _teller(config: Config, place: Place, existing: ExistingTrail) -> GivenBucket:
    """The bucket of an existing trail, where that is."""
    region = existing.bucket_region or existing.home
    mine = _mine(config, replace(place, region=region))
    return GivenBucket(name=existing.bucket, away=region != place.region, **mine)


def _trail_arn(config: Config, place: Place) -> str:
    return place.arn("cloudtrail", f"trail/{config.trail.name}")


def _topic_key(config: Config, place: Place, *, from_rules: bool) -> Key | GivenKey | None:
    notifying = _trail_arn(config, place) if config.trail.delivery_notifications else None
    grants = for_topics(notifying, from_rules=from_rules)
    return _encryption(config, place, config.topic.kms, "topic", grants)


def _encryption(
    config: Config, place: Place, wish: str | None, role: str, grants: tuple[State, ...]
) -> Key | GivenKey | None:
    """The key that the config asks for: one of the watch's own, the user's, or none."""
    if wish == CREATE:
        return Key(name=key_name(config.name, role), grants=grants, **_mine(config, place))
    return GivenKey(wish) if wish else None


def _delivery_role(config: Config, place: Place, group: LogGroup) -> Role:
    """What CloudTrail writes to the log group as: its own streams, named after account and region.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-required-policy-for-cloudwatch-logs.html
    """
    streams = f"{group.arn}:log-stream:{place.account}_CloudTrail_{place.region}*"
    return Role(
        name=f"{config.name}-trail-logs",
        service="cloudtrail.amazonaws.com",
        grants=((("logs:CreateLogStream", "logs:PutLogEvents"), streams),),
        policy_name="trail-logs",
        **_mine(config, place),
    )


def _subscriptions(
    config: Config, topic: Topic, receipts: Queue, function: Function, dead_letter: Queue
) -> tuple[Subscription, ...]:
    """Those of the receipts queue and of the function, then the people's."""
    mine = _mine(config, topic.place)

    def listener(name: str, protocol: str, ends_in: Resource) -> Subscription:
        return Subscription(
            name=name,
            topic=topic,
            protocol=protocol,
            listener=ends_in,
            dead_letter=dead_letter,
            **mine,
        )

    people = [
        *(("email", address) for address in config.topic.emails),
        *(("sms", number) for number in config.topic.sms),
    ]
    return (
        listener("receipts", "sqs", receipts),
        listener("function", "lambda", function),
        *(Subscription(name=n, topic=topic, protocol=p, **mine) for p, n in people),
    )


def _queue(
    role: str, config: Config, place: Place, senders: tuple[tuple[str, str], ...], retention: int
) -> Queue:
    return Queue(
        name=f"{config.name}-{role}",
        **_mine(config, place),
        senders=senders,
        retention=retention,
        visibility=_READER_PAUSE if role == "receipts" else 30,
    )


def _bucket(config: Config, place: Place, listened: Sequence[Heard]) -> Bucket:
    trails = (config.trail.name, canary_name(config.trail.name))
    return Bucket(
        name=config.bucket.name,
        **_mine(config, place),
        account_regional=config.bucket.account_regional,
        writers=tuple(place.arn("cloudtrail", f"trail/{name}") for name in trails),
        lifecycle=_lifecycle(config),
        announces=any(one.detection == OF_OBJECTS for one in listened),
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
    return tuple((_EVENTS, place.arn("events", f"rule/{one.name}")) for one in listened)


def _rules(
    config: Config, listened: Sequence[Heard], ends: _Ends, dead_letter: Queue
) -> tuple[Rule, ...]:
    """The rules at home: one for all that is heard, wherever that is."""
    return tuple(
        Rule(
            name=one.name,
            **_mine(config, ends.topic.place),
            pattern=one.pattern,
            detection=one.detection,
            targets=_targets(config, one, ends),
            dead_letter=dead_letter,
            read_only=one.read_only,
            fires=one.fires,
            text=None if config.route == "fanout" else _text(config, ends.topic.place, one),
        )
        for one in listened
    )


def _targets(config: Config, one: Heard, ends: _Ends) -> tuple[Resource, ...]:
    ways = _ways(config, one)
    return tuple(end for way, end in ends._asdict().items() if end and way in ways)


def _text(config: Config, place: Place, one: Heard) -> State:
    """What a mail says that no function writes."""
    told = config.known[one.detection]
    return transformer(told, one.pattern, config.alerts.language, config.name, place.partition)


def _told_by(bucket: Bucket | GivenBucket, rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules, of which those that hear the bucket itself lean on it."""
    return tuple(
        replace(one, teller=bucket) if one.detection == OF_OBJECTS else one for one in rules
    )


def _elsewhere(
    config: Config, place: Place, listened: Sequence[Heard], rules: Sequence[Rule]
) -> tuple[Rule, ...]:
    """The rules in other regions, each of which feeds its twin at home."""
    twins = list(zip(listened, rules, strict=True))
    regions = dict.fromkeys(region for one in listened for region in one.regions)
    others = [region for region in regions if region != place.region]
    if not others:
        return ()
    forwarder = _forwarder(
        config, place, [one.name for one in listened if {*one.regions} & {*others}]
    )
    found: list[Rule] = []
    for region in others:
        there = [(one, rule) for one, rule in twins if region in one.regions]
        found += _in_region(config, replace(place, region=region), there, forwarder)
    return tuple(found)


def _in_region(
    config: Config, there: Place, twins: Sequence[tuple[Heard, Rule]], forwarder: Role
) -> list[Rule]:
    """The rules of one other region, with the dead-letter queue that they share."""
    failures = _failures(there, [one for one, _ in twins])
    dead_letter = replace(_queue("dead-letter", config, there, failures, _TWO_WEEKS), away=True)
    return [
        replace(
            rule,
            place=there,
            away=True,
            targets=(rule,),
            dead_letter=dead_letter,
            forwarder=forwarder,
        )
        for _, rule in twins
    ]


def _forwarder(config: Config, place: Place, names: Sequence[str]) -> Role:
    """Put events on the home region's default bus, for rules of these names in any region.

    Their full ARNs, one for each region, would soon be more than a trust policy may hold.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    anywhere = replace(place, region="*")
    return Role(
        name=f"{config.name}-forwarder",
        **_mine(config, place),
        service=_EVENTS,
        grants=((("events:PutEvents",), default_bus(place)),),
        policy_name="forwarder",
        sources=tuple(anywhere.arn("events", f"rule/{name}") for name in names),
    )


def _function(
    config: Config,
    listened: Sequence[Heard],
    topic: Topic,
    dead_letter: Queue,
    secrets: Secrets,
) -> Function:
    """The notifier with all it leans on."""
    place = topic.place
    mine = _mine(config, place)
    name = config.function.name
    in_environment = config.function.secret == "env"  # noqa: S105 - a mode, not a secret
    kept = tuple(
        Secret(name=_parameter(config, one), value=secrets.get(one.name), **mine)
        for one in config.channels
        if not in_environment
    )
    log_group = LogGroup(
        name=f"{OF_FUNCTIONS}{name}", retention=config.function.log_retention_days, **mine
    )
    return Function(
        name=name,
        runtime=config.function.runtime,
        architecture=config.function.architecture,
        environment=_environment(config, place, secrets if in_environment else None),
        hidden=frozenset(VARIABLES[one.type] for one in config.channels),
        channels=(*(one.name for one in config.channels), *_publishing(config)),
        unasked=frozenset(one.name for one in config.channels if one.type not in ASKED),
        invokers=_invokers(config, place, listened, topic),
        choosy=frozenset(one.name for one in config.channels if _chooses(one)),
        role=_role(config, log_group, kept, dead_letter, topic),
        log_group=log_group,
        dead_letter=dead_letter,
        secrets=kept,
        custom=own_detections(config, listened),
        **mine,
    )


def _publishing(config: Config) -> tuple[str, ...]:
    """The topic, where the function writes to it as to a channel."""
    return (TOPIC,) if config.route == "formatted" else ()


def _invokers(
    config: Config, place: Place, listened: Sequence[Heard], topic: Topic
) -> tuple[tuple[str, str], ...]:
    rules = _sources(config, place, listened, "function")
    return (*rules, *([(_SNS, topic.arn)] if config.route == "fanout" else ()))


def _chooses(channel: ChannelConfig) -> bool:
    """Whether a channel is told of some alerts only."""
    return bool(channel.only) or channel.min_severity != _LEAST


_LEAST = ChannelConfig.model_fields["min_severity"].default
_MOST = 3_000
"""Characters that the variables take at most together with CTWATCH_OWN: Lambda has room for 4 KB,
and what is not counted here (a secret's value) needs some of it.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""


def _own(names: Names, listened: Sequence[Heard]) -> list[str]:
    """The names of what is the watch's, by which the notifier knows it."""
    names = with_derived(names)
    single = {str(names[word]) for word in ("bucket", "function")}
    topics = {arn.rpartition(":")[2] for arn in names["topic_arns"]}
    several = ("roles", "log_groups", "parameters", "queue_names", "key_names")
    ours = {one.name for one in listened}
    return sorted(single | topics | ours | {name for word in several for name in names[word]})


def _knowing(function: Function, own: Sequence[str]) -> Function:
    """The function, told what is the watch's; not where that is more than there is room for.

    To a notifier that is not told, all counts as the watch's: too much is told, not less.
    """
    told = {"CTWATCH_OWN": json.dumps(own, separators=(",", ":"))}
    plain = {k: v for k, v in function.environment.items() if k not in function.hidden} | told
    fits = sum(len(name) + len(value or "") for name, value in plain.items()) <= _MOST
    return replace(function, environment={**function.environment, **(told if fits else {})})


def _parameter(config: Config, channel: ChannelConfig) -> str:
    return f"/{config.name}/{channel.name}"


def _environment(
    config: Config, place: Place, secrets: Mapping[str, str | None] | None
) -> dict[str, str | None]:
    """The notifier's variables; `secrets` is given when they are to stand among them."""
    channels = [_entry(config, one, in_environment=secrets is not None) for one in config.channels]
    topic = place.arn("sns", config.topic.name)
    channels += [{"name": name, "type": "sns", "topic": topic} for name in _publishing(config)]
    variables: dict[str, str | None] = {
        "CTWATCH_WATCH": config.name,
        "CTWATCH_TRAIL": _trail_arn(config, place),
        "CTWATCH_BUCKET": config.bucket.name,
        **_delivered_to(config, place),
        "CTWATCH_LANGUAGE": config.alerts.language,
        "CTWATCH_TIMEZONE": config.alerts.timezone,
        "CTWATCH_CHANNELS": json.dumps(channels, separators=(",", ":")),
    }
    if secrets is not None:
        variables |= {VARIABLES[one.type]: secrets.get(one.name) for one in config.channels}
    return variables


def _delivered_to(config: Config, place: Place) -> dict[str, str | None]:
    """What else than the bucket the trail delivers to, as far as there is any."""
    group, topic = config.trail.log_group, deliveries_name(config.name)
    told: dict[str, str | None] = {}
    if group:
        told["CTWATCH_LOG_GROUP"] = place.arn("logs", f"log-group:{group}")
    if config.trail.delivery_notifications:
        told["CTWATCH_DELIVERIES"] = place.arn("sns", topic)
    return told


def _knowing_trail(function: Function, place: Place, existing: ExistingTrail | None) -> Function:
    """The notifier told of the trail that was there already, where that is the watch's."""
    if existing is None:
        return function
    told = _of_existing(existing, place)
    return replace(function, environment={**function.environment, **told})


def _of_existing(existing: ExistingTrail, place: Place) -> dict[str, str | None]:
    there = replace(place, account=existing.account, region=existing.home)
    group = there.arn("logs", f"log-group:{existing.log_group}") if existing.log_group else ""
    told = {
        "CTWATCH_TRAIL": existing.arn,
        "CTWATCH_BUCKET": existing.bucket,
        "CTWATCH_LOG_GROUP": group,
        "CTWATCH_DELIVERIES": existing.deliveries,
    }
    return {name: value for name, value in told.items() if value}


def _knowing_keys(
    function: Function,
    config: Config,
    keys: Mapping[str, str],
    existing: ExistingTrail | None,
) -> Function:
    """The notifier told of the trail's key, and let use the topic's: once these have an ARN."""
    of_trail = (existing or config.trail).kms
    trail, topic = (
        keys.get(key_name(config.name, role)) if wish == CREATE else wish
        for role, wish in (("trail", of_trail), ("topic", config.topic.kms))
    )
    known = {"CTWATCH_KEY": trail} if trail else {}
    use = ((USE, topic),) if topic and _publishing(config) else ()
    role = replace(function.role, grants=(*function.role.grants, *use))
    return replace(function, environment={**function.environment, **known}, role=role)


def _entry(config: Config, channel: ChannelConfig, *, in_environment: bool) -> State:
    """A channel as `notifier/settings.py` reads it; what is the default is left out."""
    parameter, variable = f"ssm:{_parameter(config, channel)}", f"env:{VARIABLES[channel.type]}"
    entry: State = {
        "name": channel.name,
        "type": channel.type,
        "secret": variable if in_environment else parameter,
    }
    if channel.min_severity != _LEAST:
        entry["min_severity"] = channel.min_severity
    if channel.only:
        entry["only"] = list(channel.only)
    return entry


def _role(
    config: Config,
    log_group: LogGroup,
    secrets: tuple[Secret, ...],
    dead_letter: Queue,
    topic: Topic,
) -> Role:
    """Write its own log, read its own secrets, hand over what it failed to deliver.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    return Role(
        name=f"{config.name}-notifier",
        **_mine(config, topic.place),
        service="lambda.amazonaws.com",
        grants=(
            (("logs:CreateLogStream", "logs:PutLogEvents"), f"{log_group.arn}:*"),
            *((("ssm:GetParameter",), one.arn) for one in secrets),
            (("sqs:SendMessage",), dead_letter.arn),
            *((("sns:Publish",), topic.arn) for _ in _publishing(config)),
        ),
    )
