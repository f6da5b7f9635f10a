"""config.yaml -> Config: what the watch shall be, checked as far as a file alone can be checked.

`load` reads a file, `parse` takes a mapping; both give a frozen `Config` or one `ConfigError` that
holds every complaint at once, each with the key's path, the reason and the nearest right word. No
complaint repeats a value that may be a secret. Nothing here asks AWS, resolves a secret or reads
the environment. Only this module knows pydantic and YAML.

Detections of the user's own and exclusions are looked at by `ctwatch.lint`, whose complaints come
with the others; what it only warns of is told by `warnings`.
"""

import difflib
import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast, get_args
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from ctwatch import lint
from ctwatch.detections import Detection, Severity, catalogue
from ctwatch.errors import ConfigError
from ctwatch.existing import ExistingTrail
from ctwatch.secret import HOW_TO_WRITE, VARIABLES, reference_fault

DEFAULT_REGION = "ap-northeast-2"

ALL_REGIONS = "all"
"""In `regions`, by itself: every region that the account has enabled."""

TOPIC = "topic"
"""What the log calls the topic where the function publishes to it; no channel has that name."""

_LARGEST = 262_144  # bytes of a configuration file; 300 rules with patterns of 2,048 take less
_LONGEST = 1000  # entries of one list or mapping
_MOST_TOLD = 100  # complaints: who has more of them has given the wrong file
_DEEPEST = 20  # levels of YAML; ours has four
_SAMPLE_ACCOUNT = "123456789012"  # every account id is as long as this one

# https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html, and the lists
# of the other partitions.
_REGIONS = (
    *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
    *("ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3"),
    *("ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1"),
    *("ca-west-1", "cn-north-1", "cn-northwest-1", "eu-central-1", "eu-central-2", "us-west-2"),
    *("eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("eusc-de-east-1", "il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1"),
    *("us-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1", "us-iso-east-1", "us-iso-west-1"),
    *("us-isob-east-1", "us-isob-west-1", "us-isof-east-1", "us-isof-south-1", "us-west-1"),
    "eu-isoe-west-1",
)
# A number that is not there yet passes, with a warning: AWS opens regions oftener than we release.
_REGION = re.compile(
    rf"(?:{'|'.join(sorted({name.rsplit('-', 2)[0] for name in _REGIONS}))})"
    r"-(?:(?:north|south)(?:east|west)?|east|west|central)-[1-9]"
)

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html
_WITHOUT_ACCOUNT_NAMESPACE = frozenset({"me-south-1", "me-central-1"})

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
_RETENTIONS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong.

    Attributes:
        path: the key, as in "topic.emails[0]"; "" for the file as a whole.
        reason: why, in words that follow the path and a colon.
        suggestion: the nearest right word; "" when there is none.
    """

    path: str
    reason: str
    suggestion: str = ""

    def __str__(self) -> str:
        """The complaint on one line."""
        place = f"{self.path}: " if self.path else ""
        return (
            place + self.reason + (f", did you mean '{self.suggestion}'?" * bool(self.suggestion))
        )


_EXAMPLE = "config.example.yaml shows every key and what may stand there."
_HOW_TO_LINT = (
    "ctwatch detections --lint FILE tells all that is wrong with a config's detections and rules, "
    "and asks nothing of AWS."
)
# What is told of a detection, of what a rule leaves out, or of a rule as a whole is a judgement on
# what it hears, of which no example knows.
_JUDGED = re.compile(r"detections\[\d+\]|rules\[\d+\](\.except.*)?$")


class InvalidConfigError(ConfigError):
    """Everything that is wrong with one configuration, a line for each complaint up to a hundred.

    Args:
        source: what is complained about ("config.yaml"); begins each line.
        complaints: at least one.
        hint: what to do now; left out, where all that is wrong is told.
    """

    def __init__(
        self,
        source: str,
        complaints: Iterable[Complaint],
        hint: str | None = None,
    ) -> None:
        self.complaints = tuple(complaints)
        judged = all(_JUDGED.match(one.path) for one in self.complaints)
        hint = (_HOW_TO_LINT if judged else _EXAMPLE) if hint is None else hint
        told = [str(each) for each in self.complaints[:_MOST_TOLD]]
        if more := len(self.complaints) - len(told):
            told.append(f"and {more} mistakes more")
        super().__init__("\n".join(f"{source}: {each}" for each in told), hint)


def _wrong(reason: str, suggestion: str = "") -> PydanticCustomError:
    # The sentence travels in the context, as the template would read braces as fields.
    return PydanticCustomError("ctwatch", "see context", {"reason": reason, "near": suggestion})


def nearest(word: str, words: Iterable[str]) -> str:
    """The one of some words that was meant most likely; "" where none is near."""
    folded = {each.casefold(): each for each in words}
    near = difflib.get_close_matches(word.casefold(), folded)
    # The same letters in another order are a slip of the fingers: "us-esat-1" is not us-west-1.
    near.sort(key=lambda each: sorted(each) != sorted(word.casefold()))
    return folded[near[0]] if near else ""


def _shown(value: Any) -> str:
    """The value in quotes, unless it may be a secret put in the wrong place."""
    text = str(value)
    if text in VARIABLES:  # a type of channel, of which one is called "webhook"
        return f"'{text}'"
    if len(text) > 60 or "//" in text or "webhook" in text.casefold() or not text.isprintable():  # noqa: PLR2004 - a Discord token has 68
        return "the value"
    return f"'{text}'"


# --------------------------------------------------------------------------- names


@dataclass(frozen=True)
class _Naming:
    """AWS's rules for one kind of name: its length and what it may not look like."""

    kind: str
    shortest: int
    longest: int
    faults: tuple[tuple[str, str], ...]

    def fault(self, name: str) -> str:
        if not self.shortest <= len(name) <= self.longest:
            return (
                f"is {len(name)} characters long, the name of a {self.kind} has {self.shortest}"
                f" to {self.longest}"
            )
        if name.casefold().startswith("aws-controltower"):
            return "begins with 'aws-controltower', which AWS Control Tower keeps for itself"
        return next((words for pattern, words in self.faults if re.search(pattern, name)), "")


_ADDRESS = (r"^\d+\.\d+\.\d+\.\d+$", "looks like an IP address")
_ENDS = (r"^[^A-Za-z0-9]|[^A-Za-z0-9]$", "must begin and end with a letter or a digit")

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html (prefix)
_WATCH = _Naming(
    "watch",
    2,
    40,
    (
        (r"[^A-Za-z0-9-]", "may hold only letters, digits and '-'"),
        _ENDS,
        (r"^(?i:aws|ssm)", "may not begin with 'aws' or 'ssm': SSM refuses such parameter names"),
    ),
)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = _Naming(
    "bucket",
    3,
    63,
    (
        (r"[^a-z0-9.-]", "may hold only lowercase letters, digits, '.' and '-'"),
        _ENDS,
        (r"\.\.", "may not hold two dots in a row"),
        _ADDRESS,
        (r"^(xn--|sthree-|amzn-s3-demo-)", "begins with a prefix that S3 keeps for itself"),
        (
            r"(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$",
            "ends in a suffix that S3 keeps for itself",
        ),
    ),
)
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-trail-naming-requirements.html
# allows 128; seven are for "-canary".
_TRAIL = _Naming(
    "trail",
    3,
    121,
    (
        (r"[^A-Za-z0-9._-]", "may hold only letters, digits, '.', '_' and '-'"),
        _ENDS,
        (r"[._-]{2}", "may not hold two of '.', '_', '-' in a row"),
        _ADDRESS,
    ),
)
_TRAIL_ARN = re.compile(r"arn:aws[\w-]*:cloudtrail:[a-z0-9-]+:\d{12}:trail/(.+)")
# https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
_TOPIC = _Naming(
    "topic",
    1,
    256,
    (
        (r"\.fifo$", "is a FIFO topic, which cannot send e-mail: leave off '.fifo'"),
        (r"[^A-Za-z0-9_-]", "may hold only letters, digits, '_' and '-'"),
    ),
)
# https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
_FUNCTION = _Naming(
    "function", 1, 64, ((r"[^A-Za-z0-9_-]", "may hold only letters, digits, '_' and '-'"),)
)
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
_RULE = _Naming(
    "rule", 1, 64, ((r"[^A-Za-z0-9._-]", "may hold only letters, digits, '.', '_' and '-'"),)
)
_CHANNEL = _Naming(
    "channel", 1, 32, ((r"[^a-z0-9-]", "may hold only lowercase letters, digits and '-'"),)
)


def _place(info: ValidationInfo) -> tuple[str, str]:
    """The account and the region to measure names with."""
    context = info.context or {}
    return context.get("account") or _SAMPLE_ACCOUNT, context.get("region") or DEFAULT_REGION


def _fill(value: str, account: str, region: str) -> str:
    return value.replace("{account}", account).replace("{region}", region)


def _named(naming: _Naming) -> Callable[[str], str]:
    def check(value: str) -> str:
        if fault := naming.fault(value):
            raise _wrong(f"{_shown(value)} {fault}")
        return value

    return check


def _template(naming: _Naming) -> Callable[[str, ValidationInfo], str]:
    def check(value: str, info: ValidationInfo) -> str:
        _placeholders(value)
        if fault := naming.fault(name := _fill(value, *_place(info))):
            raise _wrong(f"{_shown(value)} {fault}" + " (filled in)" * (name != value))
        return value

    return check


def _existing(value: str, info: ValidationInfo) -> str:
    """Check the name or the ARN of a trail that somebody else has named."""
    arn = _TRAIL_ARN.fullmatch(value)
    if value.startswith("arn:") and not arn:
        raise _wrong(f"{_shown(value)} is not the ARN of a trail")
    name = arn[1] if arn else value
    _template(replace(_TRAIL, longest=128))(name, info)  # it has no canary beside it
    return value


def _namespace(value: str, info: ValidationInfo) -> str:
    # Only names in the account-regional namespace may end in -an:
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    account, region = _place(info)
    name = _fill(value, account, region)
    if not name.endswith("-an"):
        return value
    owner = re.fullmatch(rf".+-(\d{{12}})-{region}-an", name)
    if not owner or ((info.context or {}).get("account") and owner[1] != account):
        raise _wrong(f"{_shown(value)} may end in -an only as -{{account}}-{{region}}-an")
    if region in _WITHOUT_ACCOUNT_NAMESPACE:
        raise _wrong(f"{region} has no account-regional bucket names: leave off '-an'")
    return value


# --------------------------------------------------------------------------- other values


def _region(value: str) -> str:
    if not _REGION.fullmatch(value):
        raise _wrong(f"{_shown(value)} is not an AWS region", nearest(value, _REGIONS))
    return value


def unlisted_region(region: str) -> str:
    """Why a region is doubtful that looks like one; "" when it is known.

    Which of those beside it is meant, nobody can tell, so that all are named.
    """
    if region in _REGIONS or region == ALL_REGIONS:
        return ""
    beside = sorted(one for one in _REGIONS if one.rpartition("-")[0] == region.rpartition("-")[0])
    near = f"; beside it are {', '.join(beside)}" if beside else ""
    return f"'{region}' is no region that this version of ctwatch knows{near}"


def _further_region(value: str) -> str:
    return value if value == ALL_REGIONS else _region(value)


def _all_or_list(value: Any) -> Any:
    return (ALL_REGIONS,) if value == ALL_REGIONS else value


def _email(value: str) -> str:
    local = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    label = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    shape = rf"(?=.{{1,64}}@)(?=.{{1,254}}$){local}@(?:{label}\.)+(?=[A-Za-z]){label}"
    if not re.fullmatch(shape, value):
        raise _wrong(f"{_shown(value)} is not an e-mail address")
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        near = nearest(value, available_timezones())
        raise _wrong(f"{_shown(value)} is not an IANA time zone", near) from None
    return value


def _telephone(value: str) -> str:
    # https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html
    if not re.fullmatch(r"\+[1-9][0-9]{5,14}", value):
        raise _wrong(f"{_shown(value)} is not a telephone number as in '+821012345678' (E.164)")
    return value


def _retention(value: int) -> int:
    if value not in _RETENTIONS:
        near = min(_RETENTIONS, key=lambda days: abs(days - value))
        raise _wrong(f"CloudWatch Logs does not keep logs for {value} days", str(near))
    return value


def _reference(value: str) -> str:
    if fault := reference_fault(value):
        raise _wrong(fault)
    return value


def _known_detection(value: str, info: ValidationInfo) -> str:
    known = [*catalogue(), *(info.context or {}).get("own", ())]
    if value not in known:
        raise _wrong(f"there is no detection {_shown(value)}", nearest(value, known))
    return value


def _placeholders(value: str) -> str:
    """Complain of words in braces that stand for nothing."""
    for placeholder in re.findall(r"\{[^{}]*\}", value):
        if placeholder not in {"{account}", "{region}"}:
            near = nearest(placeholder, ["{account}", "{region}"])
            reason = f"{_shown(placeholder)} cannot be filled in; {{account}} and {{region}} can"
            raise _wrong(reason, near)
    return value


CREATE = "create"
"""In place of a key's ARN: one of the watch's own."""


def _no_switch(value: Any) -> Any:
    """A key is not switched on: which one it shall be is to be said."""
    if not isinstance(value, str):
        raise _wrong("must be 'create' or the ARN of a KMS key; for none, remove the line")
    return value


_KEY = re.compile(r"arn:aws[\w-]*:kms:([a-z0-9-]+):(\d{12}):key/[A-Za-z0-9-]+")


def _key(value: str, info: ValidationInfo) -> str:
    """Check a key; whether its policy lets AWS's services use it, only AWS knows."""
    if value == CREATE:
        return value
    if value.endswith("alias/aws/sns"):
        raise _wrong(
            "alias/aws/sns is a key of AWS's, whose policy cannot be changed, and EventBridge may"
            " not use it: no alert would arrive; write 'create', or the ARN of a key of yours"
        )
    if ":alias/" in value or value.startswith("alias/"):
        raise _wrong("an alias can be led to another key: write that key's own ARN")
    found = _KEY.fullmatch(value)
    if not found:
        near = nearest(value, [CREATE])
        raise _wrong(f"{_shown(value)} is neither 'create' nor the ARN of a KMS key", near)
    account, region = ((info.context or {}).get(one) for one in ("account", "region"))
    if region and found[1] != region:
        raise _wrong(f"this key is in {found[1]}, and has to be in the home region, {region}")
    if account and found[2] != account:
        raise _wrong(f"this key is account {found[2]}'s: who may use it cannot be seen from here")
    return value


# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
_GROUP = _Naming(
    "log group",
    1,
    512,
    (
        (r"[^A-Za-z0-9._/#-]", "may hold only letters, digits, '.', '_', '-', '/' and '#'"),
        (r"^aws/", "begins with 'aws/', which CloudWatch Logs keeps for itself"),
    ),
)


def _log_group(value: Any, info: ValidationInfo) -> bool | str:
    if isinstance(value, str):
        return _template(_GROUP)(value, info)
    if not isinstance(value, bool):
        raise _wrong("must be true, false, or the name of a log group")
    return value


def _pairs(value: Any) -> Any:
    """A mapping as something that can be frozen; what is wrong in it, `_tags` tells."""
    if isinstance(value, Mapping):
        return tuple((str(key), str(each)) for key, each in value.items())
    if isinstance(value, tuple):
        return value
    raise _wrong(_mistyped("model_type", value, {}))


Insight = Literal["api-call-rate", "api-error-rate"]
"""https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_InsightSelector.html"""

Runtime = Literal["python3.11", "python3.12", "python3.13", "python3.14"]
"""https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html"""

ChannelType = Literal["discord", "slack", "teams", "webhook"]

Route = Literal["fanout", "direct", "formatted"]
"""How alerts travel; see `watch`."""


# --------------------------------------------------------------------------- the model


class _Section(BaseModel):
    """Frozen, nothing unknown, no value turned into another type; a list becomes a tuple.

    Defaults are checked too: whether the default bucket's name is right depends on the region.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        revalidate_instances="always",
        hide_input_in_errors=True,
    )


class LifecycleConfig(_Section):
    """What becomes of old log files. Days count from the file's writing.

    Attributes:
        expire_days: deleted after so many days.
        archive_days: moved to `archive_class` after so many days; None: never.
        archive_class: an S3 storage class.
    """

    expire_days: Annotated[int, Field(ge=1, le=36_500)]
    archive_days: Annotated[int, Field(ge=0, le=36_500)] | None = None
    archive_class: Literal["GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"] = "GLACIER_IR"

    @model_validator(mode="after")
    def _archived_before_deleted(self) -> Self:
        if self.archive_days is not None and self.archive_days >= self.expire_days:
            raise _wrong("archive_days must be less than expire_days")
        return self


class BucketConfig(_Section):
    """The log bucket."""

    name: Annotated[str, AfterValidator(_template(_BUCKET)), AfterValidator(_namespace)] = (
        "s3-cloudtrail-monitor-{account}-{region}-an"
    )
    lifecycle: LifecycleConfig | None = None

    @property
    def account_regional(self) -> bool:
        """Whether it lives in the account-regional namespace, where nobody else can own it."""
        return self.name.endswith("-an")  # the name's check lets no other name end so


class TrailConfig(_Section):
    """The trail; what else it may do is priced, and off by default.

    Attributes:
        existing: the name or the ARN of a trail that is there already, which the watch then leans
            on and never changes; nothing else may stand beside it.
        multi_region: whether it records every region, without which the home region is all that
            any rule can hear.
        insights: the Insights to record, priced by the event.
        kms: `CREATE` for a key of the watch's own, or the ARN of one; None for S3's encryption.
        cloudwatch_logs: whether it delivers to CloudWatch Logs too; a text names the log group.
        log_retention_days: how long that keeps what was delivered.
        delivery_notifications: whether it tells a topic of each log file.
    """

    existing: Annotated[str, AfterValidator(_existing)] | None = None
    name: Annotated[str, AfterValidator(_template(_TRAIL))] = "ct-trail-monitor"
    multi_region: bool = True
    insights: Annotated[tuple[Insight, ...], Strict(strict=False)] = ()
    kms: Annotated[str, BeforeValidator(_no_switch), AfterValidator(_key)] | None = None
    cloudwatch_logs: Annotated[bool | str, BeforeValidator(_log_group)] = False
    log_retention_days: Annotated[int, AfterValidator(_retention)] = 365
    delivery_notifications: bool = False

    @property
    def log_group(self) -> str:
        """The name of the log group it delivers to; "" for none."""
        if isinstance(self.cloudwatch_logs, str):
            return self.cloudwatch_logs
        return f"/aws/cloudtrail/{self.name}" if self.cloudwatch_logs else ""


class TopicConfig(_Section):
    """The topic, and the people who read mail or text messages.

    Attributes:
        kms: `CREATE` for a key of the watch's own, or the ARN of one; None for no encryption.
    """

    name: Annotated[str, AfterValidator(_template(_TOPIC))] = "sns-cloudtrail-alarm"
    emails: Annotated[tuple[Annotated[str, AfterValidator(_email)], ...], Strict(strict=False)] = ()
    sms: Annotated[
        tuple[Annotated[str, AfterValidator(_telephone)], ...], Strict(strict=False)
    ] = ()
    kms: Annotated[str, BeforeValidator(_no_switch), AfterValidator(_key)] | None = None


class FunctionConfig(_Section):
    """The function.

    Attributes:
        secret: where it finds the webhook: an SSM SecureString or its own environment.
        log_retention_days: one of the numbers that CloudWatch Logs allows.
    """

    name: Annotated[str, AfterValidator(_template(_FUNCTION))] = "lambda-ct-detect-alarm"
    runtime: Runtime = "python3.13"
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    secret: Literal["ssm", "env"] = "ssm"  # noqa: S105 - where the secret is, not the secret
    log_retention_days: Annotated[int, AfterValidator(_retention)] = 30


class ChannelConfig(_Section):
    """Where the function posts.

    Attributes:
        url: a reference to the webhook's URL, which is a secret.
        name: by default the type.
        min_severity: what is less bad is not told here.
        only: the detections that are told here; none for all.
    """

    type: ChannelType
    url: Annotated[str, AfterValidator(_reference)]
    name: Annotated[str, AfterValidator(_named(_CHANNEL))] = Field(
        default_factory=lambda valid: valid.get("type", "discord")
    )
    min_severity: Severity = "low"
    only: Annotated[
        tuple[Annotated[str, AfterValidator(_known_detection)], ...], Strict(strict=False)
    ] = ()


class AlertsConfig(_Section):
    """How alerts read."""

    language: Literal["ko", "en"] = "ko"
    timezone: Annotated[str, AfterValidator(_timezone)] = "Asia/Seoul"


_Texts = Annotated[tuple[Annotated[str, AfterValidator(_placeholders)], ...], Strict(strict=False)]


class ExceptConfig(_Section):
    """What a rule does not tell; an event is left out if any of these fits it.

    Attributes:
        actors: ARNs of users, roles or sessions, "*" for any text.
        ips: addresses, CIDRs, or services as records name them.
        user_agents: with "*" for any text.
    """

    actors: _Texts = ()
    ips: _Texts = ()
    user_agents: _Texts = ()


class RuleConfig(_Section):
    """A rule, the detection that gives its pattern, and what of that is not told."""

    name: Annotated[str, AfterValidator(_template(_RULE))]
    detection: Annotated[str, AfterValidator(_known_detection)]
    excepted: ExceptConfig = Field(default=ExceptConfig(), alias="except")


def _default_rules() -> Any:
    # As the file would have it: an instance that is checked again does not know its own `except`.
    return ({"name": "eventbridge-ct-detect", "detection": "trail-tampering"},)


class Config(_Section):
    """The whole configuration; made by `load` or `parse`, which also check it as a whole."""

    name: Annotated[str, AfterValidator(_named(_WATCH))] = "ctwatch"
    region: Annotated[str, AfterValidator(_region)] = DEFAULT_REGION
    regions: Annotated[
        tuple[Annotated[str, AfterValidator(_further_region)], ...],
        Strict(strict=False),
        BeforeValidator(_all_or_list),
    ] = ()
    route: Route = "fanout"
    bucket: BucketConfig = BucketConfig()
    trail: TrailConfig = TrailConfig()
    topic: TopicConfig = TopicConfig()
    function: FunctionConfig = FunctionConfig()
    channels: Annotated[tuple[ChannelConfig, ...], Strict(strict=False)] = ()
    alerts: AlertsConfig = AlertsConfig()
    detections: Annotated[tuple[dict[str, Any], ...], Strict(strict=False)] = ()
    rules: Annotated[tuple[RuleConfig, ...], Strict(strict=False)] = Field(
        default_factory=_default_rules
    )
    tags: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs)] = ()

    @property
    def labels(self) -> dict[str, str]:
        """The tags that stand beside our own on all that the watch makes."""
        return dict(self.tags)

    @property
    def own(self) -> tuple[Detection, ...]:
        """The user's own detections."""
        return tuple(map(lint.built, self.detections))

    @property
    def known(self) -> Mapping[str, Detection]:
        """All detections that a rule may name, by id: the catalogue's and the user's own."""
        catalog = cast("dict[str, Detection]", catalogue())  # nothing is put into it
        return ChainMap({one.id: one for one in self.own}, catalog)

    @property
    def document(self) -> dict[str, Any]:
        """What YAML would have given for it."""
        document = self.model_dump(by_alias=True)
        if self.trail.existing:  # beside which nothing may stand
            del document["bucket"]
            document["trail"] = {"existing": self.trail.existing}
        return document

    def with_region(self, region: str) -> "Config":
        """The same with another home region.

        Raises:
            ConfigError: it is no region, or a name does not fit there.
        """
        try:
            return _build({**self.document, "region": region}, f"region {_shown(region)}")
        except InvalidConfigError as error:
            if any(one.path == "region" for one in error.complaints):  # nothing else can be judged
                said = f"--region: {_reason(error, 'region')}"
                raise ConfigError(said, "Regions are called like ap-northeast-2.") from None
            raise

    def with_regions(self, found: Sequence[str]) -> "Config":
        """The same with `regions: all` replaced by those that the account has.

        Raises:
            ConfigError: one is no region.
        """
        return _build({**self.document, "regions": tuple(found)}, "regions of the account")

    @property
    def everywhere(self) -> "Config":
        """The same with "*" for all regions, as it stands in the ARNs of a policy."""
        found = ("*",) if ALL_REGIONS in self.regions else self.regions
        return self.model_copy(update={"regions": found})

    def filled(self, account: str, region: str | None = None) -> "Config":
        """The same with `{account}` and `{region}` replaced in all names.

        Args:
            account: the AWS account id, twelve digits.
            region: another home region, or None.

        Raises:
            ConfigError: with them, a name is not one that AWS allows.
        """
        if not re.fullmatch(r"[0-9]{12}", account):
            raise ConfigError(f"{_shown(account)} is not an AWS account id: those have 12 digits")
        document = {**self.document, "region": region or self.region}
        document = _fill_all(document, account, document["region"])
        return _build(document, f"account {account}", account=account)


def _reason(error: InvalidConfigError, path: str) -> str:
    return next(str(replace(one, path="")) for one in error.complaints if one.path == path)


def _fill_all(value: Any, account: str, region: str) -> Any:
    if isinstance(value, str):
        return _fill(value, account, region)
    if isinstance(value, dict):
        return {key: _fill_all(each, account, region) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(_fill_all(each, account, region) for each in value)
    return value


# --------------------------------------------------------------------------- from outside


def load(path: Path) -> Config:
    """Read a configuration file.

    Args:
        path: a YAML file of at most 256 KB, UTF-8.

    Raises:
        ConfigError: it cannot be read or something in it is wrong; `complaints` holds all of it.
    """
    document, repeated = _read(path)
    document, wrong = _linted(document)
    return _build(document, str(path), [*repeated, *wrong])


def read(path: Path) -> dict[str, Any]:
    """Read any other YAML or JSON file with the same care.

    Raises:
        ConfigError: it cannot be read, is no mapping, or says something twice.
    """
    document, repeated = _read(path)
    if repeated:
        raise InvalidConfigError(str(path), repeated)
    return document


def parse(document: Mapping[str, Any], source: str = "config") -> Config:
    """Check a configuration that is no file.

    Args:
        document: what YAML would have given.
        source: what the complaints call it.

    Raises:
        ConfigError: something in it is wrong; `complaints` holds all of it.
    """
    document, wrong = _linted(document)
    return _build(document, source, wrong)


def warnings(document: Mapping[str, Any]) -> list[Complaint]:
    """What is right in a configuration, but hardly meant so: detections, exclusions, regions.

    Args:
        document: what YAML gives, or `Config.document`.
    """
    linted = [complaint for level, complaint in _complained_of(document) if level == "warning"]
    return [*_unlisted(document), *linted]


def _unlisted(document: Mapping[str, Any]) -> Iterator[Complaint]:
    """Regions that may be new, or a slip of the finger."""
    regions = {f"regions[{at}]": one for at, one in enumerate(_items(document, "regions"))}
    for path, one in {"region": _at(document, "region"), **regions}.items():
        if isinstance(one, str) and (reason := unlisted_region(one)):
            yield Complaint(path, reason)


def is_meant(document: Mapping[str, Any]) -> bool:
    """Whether a document is meant as a configuration, not as a pattern or a detection alone."""
    return bool({"rules", "detections", "channels", "topic", "trail", "function"} & set(document))


def _build(
    document: Mapping[str, Any],
    source: str,
    complaints: Iterable[Complaint] = (),
    account: str | None = None,
) -> Config:
    found = [*complaints, *_as_a_whole(document)]
    region = _at(document, "region")
    known = isinstance(region, str) and _REGION.fullmatch(region)
    context = {"account": account, "region": region if known else None, "own": _own(document)}
    try:
        config = Config.model_validate(dict(document), context=context)
    except ValidationError as error:
        found = [*_translated(error), *found]
    else:
        if not found:
            return config
    raise InvalidConfigError(source, found)


# --------------------------------------------------------------------------- the linter's words


def _linted(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Complaint]]:
    """The document with its own detections complete, and what is wrong with them."""
    wrong = [one for level, one in _complained_of(document) if level == "error"]
    whole = [
        lint.completed(one) if isinstance(one, Mapping) else one
        for one in _items(document, "detections")
    ]
    return {**document, **({"detections": whole} if whole else {})}, wrong


def _complained_of(document: Mapping[str, Any]) -> Iterator[tuple[lint.Level, Complaint]]:
    named = [_at(rule, "detection") for rule in _items(document, "rules")]
    for at, own in enumerate(_items(document, "detections")):
        for one in lint.complaints(own) if isinstance(own, Mapping) else ():
            yield one.level, _moved(f"detections[{at}]", one)
        if isinstance(own, Mapping) and own.get("id") not in named:
            reason = "no rule names it, so nothing listens for it"
            yield "warning", Complaint(f"detections[{at}]", reason)
    for at, rule in enumerate(_items(document, "rules")):
        actors, ips, agents = (_texts(rule, "except", key) for key in ExceptConfig.model_fields)
        known = catalogue().get(named[at]) if isinstance(named[at], str) else None
        heard = [known.pattern] if known else []
        for one in lint.exclusion_complaints(*heard, actors=actors, ips=ips, user_agents=agents):
            yield one.level, _moved(f"rules[{at}].except", one)


def _texts(document: Any, *keys: str) -> list[str]:
    """A list of texts; nothing of one that holds anything else, which is wrong by itself."""
    texts = _items(document, *keys)
    return texts if all(isinstance(one, str) for one in texts) else []


# What the linter repeats stands in such quotes.
_MAY_BE_SECRET = re.compile(r'"[^"]*(?://|webhook)[^"]*"', re.IGNORECASE)


def _moved(place: str, one: lint.Complaint) -> Complaint:
    path = ".".join([place, *(_word(each) for each in one.path.split(".") if each)])
    reason = _MAY_BE_SECRET.sub("the value", one.reason)
    plain = "".join(each if each.isprintable() else "?" for each in reason)
    return Complaint(path, plain, one.suggestion if plain == one.reason else "")


def _own(document: Mapping[str, Any]) -> list[str]:
    """The ids of the user's own detections, whatever else is wrong with them."""
    ids = (_at(one, "id") for one in _items(document, "detections"))
    return [one for one in ids if isinstance(one, str)]


# --------------------------------------------------------------------------- the whole


def _at(document: Any, *keys: str) -> Any:
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _items(document: Any, *keys: str) -> list[Any]:
    value = _at(document, *keys)
    return list(value) if isinstance(value, list | tuple) else []


def _as_a_whole(document: Mapping[str, Any]) -> Iterator[Complaint]:
    """What no single key shows; looks at the raw document, so that it comes with the rest."""
    people = _at(document, "topic", "emails") or _at(document, "topic", "sms")
    if not _at(document, "channels") and not people:
        yield Complaint(
            "channels", "nobody would hear an alert: add a channel, or an address to topic.emails"
        )
    channels, rules = _items(document, "channels"), _items(document, "rules")
    if _at(document, "rules") == [] or _at(document, "rules") == ():
        yield Complaint("rules", "nothing would be detected: add a rule or remove the key")
    names = [_at(each, "name") or _at(each, "type") for each in channels]
    yield from _twice("channels[{}].name", names)
    if TOPIC in names:
        reason = f"'{TOPIC}' is what the log calls the topic itself: choose another name"
        yield Complaint(f"channels[{names.index(TOPIC)}].name", reason)
    for number, each in enumerate(channels):
        yield from _twice(f"channels[{number}].only[{{}}]", _items(each, "only"))
    yield from _twice(
        "detections[{}].id", [_at(one, "id") for one in _items(document, "detections")]
    )
    yield from _twice("rules[{}].name", [_at(each, "name") for each in rules])
    yield from _twice("topic.emails[{}]", _items(document, "topic", "emails"))
    yield from _twice("topic.sms[{}]", _items(document, "topic", "sms"))
    yield from _regions_twice(document)
    yield from _twice("trail.insights[{}]", _items(document, "trail", "insights"))
    if _at(document, "trail", "existing") is None:
        yield from _unheard(document, _of_own_trail(document))
    else:
        yield from _beside_existing(document)
    if _at(document, "trail", "delivery_notifications") is True:
        yield from _same_topic(document)
    yield from _tags(_at(document, "tags"))
    if _at(document, "function", "secret") == "env" and len(channels) > 1:
        yield Complaint(
            "function.secret", "'env' has room for one channel only; use 'ssm' or one channel"
        )


def _regions_twice(document: Mapping[str, Any]) -> Iterator[Complaint]:
    regions = _items(document, "regions")
    yield from _twice("regions[{}]", regions)
    if ALL_REGIONS in regions and len(regions) > 1:
        yield Complaint("regions", f"'{ALL_REGIONS}' stands by itself: regions: {ALL_REGIONS}")


def _beside_existing(document: Mapping[str, Any]) -> Iterator[Complaint]:
    """What an existing trail leaves nothing to be said of."""
    others = [f"trail.{_word(str(key))}" for key in document["trail"] if key != "existing"]
    bucket = _at(document, "bucket")
    named = bucket if isinstance(bucket, Mapping) else ()
    for path in (*others, *(f"bucket.{_word(str(key))}" for key in named)):
        yield Complaint(path, "may not stand beside trail.existing: that trail stays as it is")


@dataclass(frozen=True)
class _Recorded:
    """What of a trail decides what can be heard.

    Attributes:
        one_region: why nothing of another region can be; "" where it can.
        lacks: by detection, why there is nothing to hear for it, where there is nothing.
    """

    one_region: str
    lacks: Mapping[str, str]


def _of_own_trail(document: Mapping[str, Any]) -> _Recorded:
    trail, lacks = partial(_at, document, "trail"), {}
    if not trail("insights"):
        lacks["insight"] = "while trail.insights is empty"
    if not trail("kms") and not _at(document, "topic", "kms"):
        lacks["log-key-tampering"] = "without a key: set trail.kms or topic.kms"
    return _Recorded(_ONE_REGION if trail("multi_region") is False else "", lacks)


_NOT_ANOTHER = "a trail of one region tells EventBridge nothing of another"
_ONE_REGION = f"trail.multi_region is false: {_NOT_ANOTHER}"


def check_existing(config: Config, trail: ExistingTrail) -> None:
    """Make sure that the rules can hear something of an existing trail.

    Raises:
        ConfigError: one cannot; `complaints` holds all of it.
    """
    lacks = {}
    if not trail.insights:
        lacks["insight"] = f"while the trail {trail.name} records no Insights"
    if not trail.kms and not config.topic.kms:
        lacks["log-key-tampering"] = f"while the trail {trail.name} has no key: set topic.kms"
    single = f"the trail {trail.name} is one of {trail.home} alone: {_NOT_ANOTHER}"
    recorded = _Recorded("" if trail.multi_region else single, lacks)
    if wrong := list(_unheard(config.document, recorded)):
        raise InvalidConfigError("config", wrong)


def _unheard(document: Mapping[str, Any], trail: _Recorded) -> Iterator[Complaint]:
    """What a trail does not record, and a rule would listen for."""
    yield from _out_of_hearing(document, trail.one_region)
    for number, each in enumerate(_items(document, "rules")):
        detection = _at(each, "detection")
        if isinstance(detection, str) and detection in trail.lacks:
            reason = f"'{detection}' hears nothing {trail.lacks[detection]}"
            yield Complaint(f"rules[{number}].detection", reason)


def _out_of_hearing(document: Mapping[str, Any], one_region: str) -> Iterator[Complaint]:
    """What is recorded in other regions alone, and the trail's being a trail of one region."""
    regions = _items(document, "regions")
    if not one_region:
        return
    if regions or _at(document, "regions"):
        yield Complaint("regions", one_region)
    for index, each in enumerate(_items(document, "rules")):
        seen = _seen_in(_at(each, "detection"), document)
        if seen and not _records_global(str(_at(document, "region"))):
            reason = f"'{each['detection']}' is recorded in {seen}, and {one_region}"
            yield Complaint(f"rules[{index}].detection", reason)


def _records_global(region: str) -> bool:
    """Whether it is the region of its partition in which global services are recorded."""
    return region in {"us-east-1", "cn-north-1", "us-gov-west-1"}


def _seen_in(detection: Any, document: Mapping[str, Any]) -> str:
    """The one region in which something of a detection is seen; "" for none."""
    known = catalogue().get(detection) if isinstance(detection, str) else None
    seen: set[str] = {part.where for part in known.parts} if known else set()
    for own in _items(document, "detections"):
        if _at(own, "id") == detection:
            parts = _at(own, "parts")
            each = parts.values() if isinstance(parts, Mapping) else ()
            seen |= {where for one in (own, *each) if isinstance(where := _at(one, "where"), str)}
    return "us-east-1" if "us-east-1" in seen else ""


def _same_topic(document: Mapping[str, Any]) -> Iterator[Complaint]:
    """The topic for news of log files has a name of ours, which the alerts' may not have too."""
    name = _at(document, "name") or Config.model_fields["name"].default
    if _at(document, "topic", "name") == deliveries_name(name):
        reason = "is the name of the topic for trail.delivery_notifications: choose another"
        yield Complaint("topic.name", reason)


def deliveries_name(watch: str) -> str:
    """The topic to which a watch's trail tells of each log file."""
    return f"{watch}-deliveries"


def key_name(watch: str, role: str) -> str:
    """The alias, without "alias/", of a watch's own key for its "trail" or its "topic"."""
    return f"{watch}-{role}"


def key_names(watch: str) -> list[str]:
    """The same of every key that a watch may have of its own."""
    return [key_name(watch, role) for role in ("trail", "topic")]


# What every service takes: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
# A resource carries 50 at most, and two of a key's are ours.
_MOST_TAGS = 48
_TAG_KEY, _TAG_VALUE = 128, 256  # characters
_NO_TAG = re.compile(r"[^\w +=.:/@-]")


def _tags(tags: Any) -> Iterator[Complaint]:
    if not isinstance(tags, Mapping):
        return
    if len(tags) > _MOST_TAGS:
        yield Complaint("tags", f"are {len(tags)}, and {_MOST_TAGS} at most fit beside our own")
    for key, value in tags.items():
        path = f"tags.{_word(str(key))}"
        if fault := _tag_key_fault(key):
            yield Complaint(path, fault)
        if not isinstance(value, str):
            yield Complaint(path, _mistyped("string_type", value, {}))
        elif fault := _tag_fault(value, _TAG_VALUE):
            yield Complaint(path, f"its value {fault}")
    # IAM tells keys apart by their letters alone:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
    yield from _same_keys([key for key in tags if isinstance(key, str)])


def _tag_key_fault(key: Any) -> str:
    if not isinstance(key, str):
        return _mistyped("invalid_key", key, {})
    prefix = next((one for one in ("aws:", "ctwatch:") if key.casefold().startswith(one)), "")
    if prefix:
        keeper = "AWS" if prefix == "aws:" else "ctwatch"
        return f"begins with '{prefix}', which {keeper} keeps for itself"
    return _tag_fault(key, _TAG_KEY) if key.strip() else "is no key: it is empty"


def _tag_fault(text: str, longest: int) -> str:
    if len(text) > longest:
        return f"is {len(text)} characters long, and AWS takes {longest} at most"
    if _NO_TAG.search(text):
        return "may hold only letters, digits, spaces and _ . : / = + - @"
    return ""


def _same_keys(keys: list[str]) -> Iterator[Complaint]:
    first: dict[str, str] = {}
    for key in keys:
        if (before := first.setdefault(key.casefold(), key)) != key:
            reason = (
                f"differs from '{_word(before)}' in upper and lower case only, which IAM refuses"
            )
            yield Complaint(f"tags.{_word(key)}", reason)


def _twice(path: str, values: list[Any]) -> Iterator[Complaint]:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if not isinstance(value, str):
            continue
        if (before := first.setdefault(value.casefold(), index)) != index:
            reason = f"{_shown(value)} is already at {path.format(before)}"
            yield Complaint(path.format(index), reason)


# --------------------------------------------------------------------------- pydantic's words


def _translated(error: ValidationError) -> Iterator[Complaint]:
    for each in error.errors(include_url=False):
        # Said of a channel's name when its type, whence the name comes, is wrong itself.
        if each["type"] != "default_factory_not_called":
            yield _translate(each)


def _translate(error: ErrorDetails) -> Complaint:
    location, kind, value = error["loc"], error["type"], error["input"]
    context = error.get("ctx", {})
    path = _path(location)
    if kind == "ctwatch":
        return Complaint(path, context["reason"], context["near"])
    if kind == "extra_forbidden":
        return _unknown(location)
    if value is None:
        return Complaint(path, "is empty: give it a value or remove the key")
    if kind == "literal_error" and isinstance(value, str):
        allowed = re.findall(r"'([^']*)'", context["expected"])
        reason = f"{_shown(value)} may not stand here; possible: {', '.join(allowed)}"
        return Complaint(path, reason, nearest(value, allowed))
    if kind == "missing":
        how = f": {HOW_TO_WRITE}" if location[-1] == "url" else ""
        return Complaint(path, f"this key is missing{how}")
    return Complaint(path, _mistyped(kind, value, context))


def _mistyped(kind: str, value: Any, context: dict[str, Any]) -> str:
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        tuple: "a list",
        dict: "a mapping",
    }
    given = kinds.get(type(value), type(value).__name__)
    text = f"must be text, not {given}" + " (put it in quotes)" * isinstance(value, int | float)
    reasons = {
        "string_type": text,
        "literal_error": text,
        "invalid_key": "a key must be text",
        "int_type": f"must be a whole number, not {given}",
        "bool_type": f"must be true or false, not {given}",
        "tuple_type": f"must be a list, not {given}",
        "model_type": f"must be a mapping of keys, not {given}",
        "dict_type": f"must be a mapping of keys, not {given}",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "less_than_equal": f"must be at most {context.get('le')}",
    }
    return reasons.get(kind, "cannot be understood")


def _path(location: Iterable[str | int]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{_word(part)}"
    return text.removeprefix(".")


def _word(key: str) -> str:
    return key if _shown(key) != "the value" else "(a key that is not shown)"


def _unknown(location: tuple[str | int, ...]) -> Complaint:
    *parents, key = location
    section: type[BaseModel] = Config
    for part in parents:
        if isinstance(part, str):
            section = _section(_keys(section)[part].annotation) or section
    near = nearest(str(key), _keys(section)) or _elsewhere(str(key))
    known = "" if near else f"; known here: {', '.join(_keys(section))}"
    return Complaint(_path(location), f"unknown key{known}", near)


def _keys(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields by the keys that the file has for them: `except` is no name in Python."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section that a field's type speaks of: itself, or in a list or a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section, get_args(annotation))), None)


def _elsewhere(key: str) -> str:
    """The full path of the nearest key that is known in exactly one section."""
    sections = {name: _section(field.annotation) for name, field in _keys(Config).items()}
    known = [
        (name, inner) for name, section in sections.items() if section for inner in _keys(section)
    ]
    near = nearest(key, [inner for _, inner in known])
    paths = [f"{name}.{inner}" for name, inner in known if inner == near]
    return paths[0] if len(paths) == 1 else ""


# --------------------------------------------------------------------------- YAML


class _Loader(yaml.SafeLoader):
    """YAML without anchors, aliases and tags, and not deep: nothing that can grow or run."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it out
        complaint = ""
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            complaint = "anchors and aliases (& and *) may not be used here"
        elif event.tag:
            complaint = "tags (!) may not be used here"
        elif self.depth >= _DEEPEST:
            complaint = f"more than {_DEEPEST} levels deep"
        if complaint:
            raise yaml.MarkedYAMLError(problem=complaint, problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _read(path: Path) -> tuple[dict[str, Any], list[Complaint]]:
    """The file's mapping, and a complaint for each key that is written twice."""
    text = _text(path)
    repeated: list[Complaint] = []
    try:
        node = _Loader(text).get_single_node()
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        reason = _syntax(error, text)
    else:
        document = _value(node, (), repeated) if node else None
        if isinstance(document, dict):
            return document, repeated
        reason = "must be a mapping of keys such as 'name: ctwatch'"
        if document is None:
            reason = "is empty; at least a channel or an e-mail address must stand there"
    raise InvalidConfigError(str(path), [Complaint("", reason)])


def _text(path: Path) -> str:
    hint = ""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) <= _LARGEST:
            return content.decode()
        reason = "is larger than 256 KB, that is no configuration"
    except FileNotFoundError:
        reason, hint = "there is no such file", f"Write one with: ctwatch init --config {path}"
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 text (byte {error.start}){_other_encoding(content)}"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    raise InvalidConfigError(str(path), [Complaint("", reason)], hint)


def _syntax(error: Exception, text: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        words = ", ".join(filter(None, (error.context, error.problem)))
        # The parser repeats a tag's handle, which may be a piece of a secret.
        words = re.sub(r"tag handle .*", "tag handle", words)
        return f"line {mark.line + 1}, column {mark.column + 1}: {words}"
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        character = f"the character U+{ord(text[error.position]):04X} may not stand here"
        return f"line {line}: {character}{_other_encoding(text.encode())}"
    return "is not YAML that can be understood"


def _other_encoding(content: bytes) -> str:
    """What to say of bytes that look like UTF-16, as some editors of Windows save them."""
    marked, begun = content[:2] in {b"\xff\xfe", b"\xfe\xff"}, content[:1000]
    every_other = len(begun) < 4 * begun.count(0) < 3 * len(begun)
    return ", it looks like UTF-16: save it as UTF-8" if marked or every_other else ""


def _value(node: yaml.Node, path: tuple[str | int, ...], repeated: list[Complaint]) -> Any:
    if isinstance(node, yaml.CollectionNode) and len(node.value) > _LONGEST:
        reason = f"has {len(node.value)} entries, and {_LONGEST} at most may stand there"
        repeated.append(Complaint(_path(path), reason))
        del node.value[_LONGEST:]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, repeated)
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, (*path, at), repeated) for at, each in enumerate(node.value)]
    return _scalar(node)


def _mapping(
    node: yaml.MappingNode, path: tuple[str | int, ...], complaints: list[Complaint]
) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            complaints.append(Complaint(_path(path), f"line {line}: a key must be a single word"))
            continue
        key = _encodable(key_node.value)
        if key in mapping:
            reason = f"written twice, on line {lines[key]} and on line {line}"
            complaints.append(Complaint(_path((*path, key)), reason))
        lines[key] = line
        mapping[key] = _value(value_node, (*path, key), complaints)
    return mapping


def _scalar(node: yaml.Node) -> Any:
    """Text, or one of the few other things that may stand in a configuration."""
    text = _encodable(node.value)
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.casefold() in {"true", "yes", "on"}
    if kind in {"int", "float"}:
        try:
            return int(text) if kind == "int" else float(text)
        except ValueError:  # YAML 1.1's 0x1F, 1:30 and the like: no key of ours takes them
            return text
    return text


def _encodable(text: str) -> str:
    # An escape such as "\ud800" gives half a character, which no terminal can print.
    return text.encode(errors="replace").decode()
