"""What a config's rules listen for: each detection's parts as patterns, where each can be seen.

A detection is one rule where one pattern sees all of it, and several otherwise, each named after
its part. What a rule does not tell is written into its patterns (`ctwatch.lint`); a rule that would
tell of what the watch does to tell it is refused (`ctwatch.looping`). The guard, which looks after
the alarm itself, is there twice: its rules tell by the topic, and those of the second set
(`NAME-b`) tell the function, without the topic. All of them name each other, so that whichever is
cut first, the other set tells. Pure.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ctwatch import lint
from ctwatch.aws import Place
from ctwatch.config import (
    CREATE,
    Complaint,
    Config,
    InvalidConfigError,
    RuleConfig,
    deliveries_name,
    key_name,
    parse,
    warnings,
)
from ctwatch.detections import SAMPLE, Detection, Part
from ctwatch.errors import ConfigError
from ctwatch.existing import ExistingTrail
from ctwatch.lint import exclusions, leaves_out
from ctwatch.looping import Doing, doings, filings
from ctwatch.patterns import PatternError, canonical, compiled, split

_LONGEST = 64  # https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html

# Where a partition's global services are recorded.
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events
GLOBAL = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
_STARTS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}

GUARD = "pipeline-tampering"
"""The detection that looks after the alarm itself."""

OF_OBJECTS = "log-object-deletion"
"""The detection that hears the log bucket itself, and not CloudTrail."""

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


def heard(
    config: Config,
    place: Place,
    keys: Mapping[str, str] | None = None,
    existing: ExistingTrail | None = None,
) -> tuple[Heard, ...]:
    """What the rules of a config hear.

    Args:
        config: with account, region and regions filled in.
        place: where the watch lives.
        keys: as for `names_of`.
        existing: as for `names_of`.

    Raises:
        InvalidConfigError: the name of a rule grows longer than AWS allows, an exclusion cannot
            be written into a pattern, or a rule would tell of the telling; all of it at once.
    """
    listener = _Listener(config, place, keys, existing)
    found: list[tuple[int, RuleConfig, tuple[Heard, ...]]] = []
    wrong: list[Complaint] = []
    for at, rule in enumerate(config.rules):
        try:
            found.append((at, rule, listener.hear(at, rule)))
        except InvalidConfigError as error:
            wrong += error.complaints
    listened = tuple(_everywhere([one for _, _, mine in found for one in mine], place))
    done = listener.done(listened)
    wrong += (loop for one in found for loop in listener.loops(*one, done))
    if wrong:
        raise InvalidConfigError("config", wrong)
    return listened


def _everywhere(found: Sequence[Heard], place: Place) -> Iterator[Heard]:
    """The same, with what is to be heard wherever there is a rule in all those regions."""
    regions = dict.fromkeys((place.region, *(region for one in found for region in one.regions)))
    yield from (one if one.regions else replace(one, regions=tuple(regions)) for one in found)


def hears_elsewhere(config: Config) -> bool:
    """Whether a rule is in another region than home, as far as the config by itself tells."""
    known = config.known
    where = {part.where for rule in config.rules for part in known[rule.detection].parts}
    away = "us-east-1" in where and config.region not in GLOBAL.values()
    return away or ("every-region" in where and bool(config.regions))


def has_notifier(config: Config) -> bool:
    """Whether the watch has a function: for a channel to post to, or to write the mails."""
    return bool(config.channels) or config.route == "formatted"


class _Listener:
    """What the rules of one config become."""

    def __init__(
        self,
        config: Config,
        place: Place,
        keys: Mapping[str, str] | None,
        existing: ExistingTrail | None,
    ) -> None:
        self.config, self.place, self.existing = config, place, existing
        self.names, self.known = names_of(config, place, keys, existing), config.known

    def hear(self, at: int, rule: RuleConfig) -> tuple[Heard, ...]:
        """What one rule hears; `at` is its place in the config."""
        notifier, key = has_notifier(self.config), f"rules[{at}]"
        parts = self._parts(key, rule, self.known[rule.detection])
        return tuple(path for one in parts for path in _paths(key, one, notifier=notifier))

    def _parts(self, key: str, rule: RuleConfig, detection: Detection) -> Iterator[Heard]:
        examples = detection.fires_on(self.names)
        for part in detection.filled(self.names):
            name = _name(rule, detection, part)
            for number, pattern in enumerate(_patterns(key, rule, part), 1):
                hears = compiled(pattern).matches
                yield Heard(
                    name=_fitting(key, name if number == 1 else f"{name}-{number}"),
                    detection=detection.id,
                    pattern=pattern,
                    regions=self._regions(part, detection),
                    read_only=part.read_only,
                    fires=tuple(event for event in examples if hears(event)),
                )

    def _regions(self, part: Part, detection: Detection) -> tuple[str, ...]:
        """Where a part can be seen; none stands for wherever the watch has a rule."""
        if part.where == "rules":
            return ()
        if part.where == "us-east-1":
            return (GLOBAL[self.place.partition],)
        others = self.config.regions if part.where == "every-region" else ()
        if part.where == "home" and detection.id != GUARD:
            others = self._of_the_trail()
        return tuple(dict.fromkeys((self.place.region, *others)))

    def _of_the_trail(self) -> tuple[str, ...]:
        """Where else an existing trail is touched; another account's is not touched in this one."""
        ours = self.existing and self.existing.account == self.place.account
        return self.existing.regions if self.existing and ours else ()

    def done(self, listened: Sequence[Heard]) -> tuple[Doing, ...]:
        """What the watch does for an alert, and what CloudTrail does for a log file."""
        config, existing = self.config, self.existing
        trail = existing or config.trail
        told = {"deliveries_arn": self.place.arn("sns", deliveries_name(config.name))}
        roles = self.names["roles"]
        if existing:
            told, roles = {"deliveries_arn": existing.deliveries}, (*roles, existing.log_role)
        return doings(
            self.names,
            notified=has_notifier(config),
            publishing=config.route == "formatted",
            encrypted=bool(config.topic.kms),
            forwarded=any(set(one.regions) - {self.place.region} for one in listened),
        ) + filings(
            {**self.names, **told, "roles": roles},
            encrypted=bool(trail.kms),
            announced=any(one.detection == OF_OBJECTS for one in listened),
            logged=bool(trail.log_group),
            told=trail.delivery_notifications,
            sealed=bool(config.topic.kms),
        )

    def loops(
        self, at: int, rule: RuleConfig, mine: Sequence[Heard], done: Sequence[Doing]
    ) -> Iterator[Complaint]:
        """Why a rule would tell of its own alerts, if it would, and what mends that."""
        told = _told(mine, done)
        if not told:
            return
        when = "as soon as some trail records data events, " * all(one.data for one in told)
        why = f"{when}it matches {' and '.join(_causes(told))}"
        mends = self._mends(at, rule, told)
        yield Complaint(f"rules[{at}]", f"{rule.name!r} would alert for ever: {why}. {mends}")

    def _mends(self, at: int, rule: RuleConfig, told: Sequence[Doing]) -> str:
        """The line that leaves those calls out, if such a line would."""
        wish = rule.excepted
        actors = dict.fromkeys([*wish.actors, *(one.actor for one in told if one.actor)])
        ips = dict.fromkeys([*wish.ips, *(one.service for one in told if one.service)])
        wish = wish.model_copy(update={"actors": tuple(actors), "ips": tuple(ips)})
        try:
            mended = self.hear(at, rule.model_copy(update={"excepted": wish}))
        except InvalidConfigError:
            mended = ()
        if not mended or _told(mended, told):
            return "Narrow its pattern, so that it does not"
        line = {key: texts for key, texts in wish.model_dump().items() if texts}
        return f"Leave that out with except: {json.dumps(line)}"


def _causes(told: Sequence[Doing]) -> Iterator[str]:
    """The calls, with what brings each of them about."""
    brought = {
        False: "which delivering an alert brings with it",
        True: "which comes with every log file of CloudTrail, about every five minutes",
    }
    for by_itself, why in brought.items():
        if calls := dict.fromkeys(one.call for one in told if one.by_itself is by_itself):
            yield f"{', '.join(calls)}, {why}"


def _told(mine: Sequence[Heard], done: Sequence[Doing]) -> list[Doing]:
    """What of it the rules tell of."""
    ears = [(rule.read_only, compiled(rule.pattern).matches) for rule in mine]
    return [
        one
        for one in done
        if any(hears(one.event) for all_of_it, hears in ears if all_of_it or not one.reading)
    ]


def _paths(key: str, one: Heard, *, notifier: bool) -> Iterator[Heard]:
    """The rule, or the two that the guard makes of it where there are two ways to tell."""
    if one.detection != GUARD or not notifier:
        yield one
        return
    yield replace(one, path="topic")
    yield replace(one, path="function", name=_fitting(key, f"{one.name}-b"))


def _patterns(key: str, rule: RuleConfig, part: Part) -> tuple[dict[str, Any], ...]:
    """The part's pattern without what the rule does not tell, in pieces that AWS takes."""
    left_out = rule.excepted.model_dump()
    try:
        return split(exclusions(part.pattern, **left_out))
    except PatternError as error:
        if not any(left_out.values()):
            raise
        reason = f"with it, the pattern has {error.reason}: leave out less"
    except ConfigError as error:
        reason = f"{error.problem} {error.hint}"
    raise InvalidConfigError("config", [Complaint(f"{key}.except", reason)])


def _name(rule: RuleConfig, detection: Detection, part: Part) -> str:
    return rule.name if len(detection.parts) == 1 else f"{rule.name}-{part.name}"


def _fitting(key: str, name: str) -> str:
    if len(name) > _LONGEST:
        reason = (
            f"one of its rules would be called {name!r}, which is {len(name)} characters long; "
            f"AWS allows {_LONGEST}, so choose a shorter name"
        )
        raise InvalidConfigError("config", [Complaint(f"{key}.name", reason)])
    return name


def leaving_out(config: Config, detection: str, arn: str) -> tuple[str, ...]:
    """The names of a detection's rules, if all of them leave out what somebody does.

    Args:
        config: the watch's.
        detection: its id.
        arn: who does it, as STS names him.
    """
    rules = [one for one in config.rules if one.detection == detection]
    silent = all(leaves_out(one.excepted.actors, arn) for one in rules)
    return tuple(one.name for one in rules) if silent else ()


def check_striker(config: Config, detections: Iterable[str], arn: str) -> None:
    """Make sure that some rule tells of a drill.

    Args:
        config: the watch's.
        detections: ids of those that the drill is to be told by.
        arn: who strikes, as STS names him.

    Raises:
        ConfigError: all rules of one of them leave him out, so that nothing would arrive.
    """
    for detection in detections:
        if names := leaving_out(config, detection, arn):
            raise ConfigError(
                f"{', '.join(names)}: except.actors leaves out {arn}, who you are, so nothing "
                "would arrive",
                "Strike as somebody else (--profile), or take that out of the config and run up.",
            )


def examined(document: Mapping[str, Any]) -> list[lint.Complaint]:
    """Tell all that is wrong with a configuration, as if it were for some account.

    Args:
        document: what YAML gives.
    """
    found = []
    try:
        config = parse(document).filled(account=f"{SAMPLE['account']}")
        place = Place(partition_of(config.region), f"{SAMPLE['account']}", config.region)
        heard(config, place)
    except InvalidConfigError as error:
        found = [lint.Complaint(one.path, one.reason, one.suggestion) for one in error.complaints]
    warned = (
        lint.Complaint(one.path, one.reason, one.suggestion, "warning")
        for one in warnings(document)
    )
    return [*found, *warned]


def partition_of(region: str) -> str:
    """The partition that a region is in, as far as its name tells."""
    special = (one for one in _STARTS if region.startswith(one))
    return _STARTS.get(next(special, ""), "aws")


def own_detections(config: Config, listened: Sequence[Heard]) -> str:
    """What the notifier is to know of the user's own detections; "" when no rule names one.

    Returns:
        JSON, as `ctwatch/notifier/custom.py` reads it.
    """
    used = {one.detection for one in listened}
    found = [_described(one, listened) for one in config.own if one.id in used]
    return json.dumps(found, separators=(",", ":")) if found else ""


def _described(one: Detection, listened: Sequence[Heard]) -> dict[str, Any]:
    return {
        "id": one.id,
        "ko": one.title["ko"],
        "en": one.title["en"],
        "severity": one.severity,
        "mitre": " ".join(one.mitre),
        "patterns": [canonical(part.pattern) for part in listened if part.detection == one.id],
    }


def names_of(
    config: Config,
    place: Place,
    keys: Mapping[str, str] | None = None,
    existing: ExistingTrail | None = None,
) -> dict[str, str | Sequence[str]]:
    """What the words in the patterns stand for in this watch, as in `detections.SAMPLE`.

    Args:
        config: with account and region filled in.
        place: where the watch lives.
        keys: the ARNs of its own keys, as far as AWS has made them, by their names.
        existing: the trail in the place of one of its own.
    """
    trail, bucket = config.trail.name, config.bucket.name
    if existing:
        trail, bucket = existing.name, existing.bucket
    function, topic_arn = config.function.name, place.arn("sns", config.topic.name)
    kept = config.channels if config.function.secret == "ssm" else ()  # noqa: S105 - where it is
    queues = [f"{config.name}-{role}" for role in ("receipts", "dead-letter")]
    return {
        "account": place.account,
        "region": place.region,
        "trail": trail,
        "trail_arn": existing.arn if existing else place.arn("cloudtrail", f"trail/{trail}"),
        "bucket": bucket,
        "bucket_arn": place.bucket_arn(bucket),
        "topic": config.topic.name,
        "topic_arn": topic_arn,
        "topic_arns": (topic_arn, *_deliveries(config, place, existing)),
        "subscriptions_prefix": f"{topic_arn}:",
        "function": function,
        "function_arn": place.arn("lambda", f"function:{function}"),
        "roles": tuple(f"{config.name}-{role}" for role in ("notifier", "forwarder", "trail-logs")),
        "rules": tuple(_rule_names(config)),
        "rule_prefixes": tuple(_rule_prefixes(config)),
        "log_groups": tuple(_log_groups(config, existing)),
        "parameters": tuple(f"/{config.name}/{one.name}" for one in kept),
        "queue_urls": tuple(map(place.queue_url, queues)),
        "keys": tuple(_keys(config, place, keys or {}, existing)),
    }


def _deliveries(config: Config, place: Place, existing: ExistingTrail | None) -> Iterator[str]:
    """The topic that is told of each log file, if there is one."""
    if existing:
        yield from filter(None, [existing.deliveries])
    elif config.trail.delivery_notifications:
        yield place.arn("sns", deliveries_name(config.name))


def _log_groups(config: Config, existing: ExistingTrail | None) -> Iterator[str]:
    trail = existing or config.trail
    if has_notifier(config):
        yield f"/aws/lambda/{config.function.name}"
    if trail.log_group:
        yield trail.log_group


def _keys(
    config: Config, place: Place, known: Mapping[str, str], existing: ExistingTrail | None
) -> Iterator[str]:
    """The ARNs of the keys, and of the aliases that lead to the watch's own.

    CloudTrail names a key by its ARN, which a new key has only when AWS has made it.
    """
    trail = existing or config.trail
    for role, wish in (("trail", trail.kms), ("topic", config.topic.kms)):
        name = key_name(config.name, role)
        if wish == CREATE:
            yield from (known[name],) if name in known else ()
            yield place.arn("kms", f"alias/{name}")
        elif wish:
            yield wish


def _rule_names(config: Config) -> Iterator[str]:
    """The names of the rules that are one rule each."""
    known = config.known
    yield from (one.name for one in config.rules if len(known[one.detection].parts) == 1)


def _rule_prefixes(config: Config) -> Iterator[str]:
    """What the names of the others begin with."""
    yield from (f"{one.name}-" for one in config.rules)
