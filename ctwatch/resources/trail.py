"""The trail: without a logging trail EventBridge hears nothing of CloudTrail.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar

from botocore.exceptions import ClientError

from ctwatch.aws import Aws, unless
from ctwatch.diff import State
from ctwatch.permissions import Actions, Grant, allow, passing
from ctwatch.prices import EVENTS, FILES, WRITES, Price, per
from ctwatch.resources.base import Live, Resource, owner, pairs
from ctwatch.resources.bucket import Bucket
from ctwatch.resources.key import GivenKey, Key, facts_of, looking_at, named
from ctwatch.resources.log_group import LogGroup
from ctwatch.resources.role import Role
from ctwatch.resources.topic import Topic

T = TypeVar("T")

INSIGHTS = {"api-call-rate": "ApiCallRateInsight", "api-error-rate": "ApiErrorRateInsight"}
"""The config's words for CloudTrail's Insights types."""

_ANALYSED = {"api-call-rate": WRITES, "api-error-rate": EVENTS}
"""How many events each of them analyses: writes alone, or all."""

EVERYTHING: State = {"management": "All", "excluded": [], "data": []}
"""What a new trail records: all management events, read and write, and no data events."""

LOOK_AT_TRAIL = "GetTrailStatus GetEventSelectors"
"""The actions by which a trail, anybody's, tells whether it records now."""

# The promise's word for each of GetTrail's and UpdateTrail's.
_SETTINGS = {
    "bucket": "S3BucketName",
    "prefix": "S3KeyPrefix",
    "multi_region": "IsMultiRegionTrail",
    "global_events": "IncludeGlobalServiceEvents",
    "validation": "LogFileValidationEnabled",
    "key": "KmsKeyId",
    "log_group": "CloudWatchLogsLogGroupArn",
    "log_role": "CloudWatchLogsRoleArn",
    "notifications": "SnsTopicARN",
    "organization": "IsOrganizationTrail",
}
_OPTIONS = ("key", "log_group", "log_role", "notifications")
_SOURCE = "cloudtrail.amazonaws.com"

# https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html#API_CreateTrail_Errors
_UNSEEN = {
    *("S3BucketDoesNotExistException", "InsufficientS3BucketPolicyException"),
    *("InvalidCloudWatchLogsLogGroupArnException", "InvalidCloudWatchLogsRoleArnException"),
    *("InvalidSnsTopicNameException", "InsufficientSnsTopicPolicyException"),
}
_UNSEEN_KEY = {"KmsKeyNotFoundException", "InsufficientEncryptionPolicyException"}

# UpdateTrail and CreateTrail use other names than GetTrail for two of them.
_IN = {"LogFileValidationEnabled": "EnableLogFileValidation", "SnsTopicARN": "SnsTopicName"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Trail(Resource):
    """A trail with its home in the watch's region.

    Attributes:
        bucket: where its log files go.
        insights: Insights types to record, in the config's words.
        multi_region: whether it records every region, not its home alone.
        key: what encrypts its log files; None for S3's own.
        log_group: where it also delivers, with `log_role`; None for nowhere.
        log_role: as which it does.
        deliveries: the topic that it tells of each log file; None for none.
    """

    bucket: Bucket
    insights: tuple[str, ...] = ()
    multi_region: bool = True
    key: Key | GivenKey | None = None
    log_group: LogGroup | None = None
    log_role: Role | None = None
    deliveries: Topic | None = None

    kind: ClassVar[str] = "trail"
    heard: ClassVar[bool] = True

    @property
    def arn(self) -> str:
        """Its ARN, in its home region."""
        return self.place.arn("cloudtrail", f"trail/{self.name}")

    @property
    def wanted(self) -> State:
        """Every management event of every region, validated, logging."""
        return {
            "bucket": self.bucket.name,
            "prefix": None,
            "multi_region": self.multi_region,
            "global_events": True,
            "validation": True,
            "key": self.key.arn if self.key else None,
            "log_group": f"{self.log_group.arn}:*" if self.log_group else None,
            "log_role": self.log_role.arn if self.log_role else None,
            "notifications": self.deliveries.arn if self.deliveries else None,
            "organization": False,
            "selectors": EVERYTHING,
            "insights": sorted(self.insights),
            "logging": True,
        }

    @property
    def actions(self) -> Actions:
        """https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudtrail.html."""
        mine, one = self.arn, self.log_role
        selectors = "PutEventSelectors PutInsightSelectors"
        return Actions(
            read=(
                allow("cloudtrail", "DescribeTrails"),
                allow("cloudtrail", f"{LOOK_AT_TRAIL} GetInsightSelectors ListTags", mine),
                *looking_at(self.key),
            ),
            write=(
                allow("cloudtrail", f"CreateTrail AddTags UpdateTrail {selectors}", mine),
                allow("cloudtrail", "StartLogging", mine),
                *((passing(one.arn, one.service),) if one else ()),
            ),
            delete=(allow("cloudtrail", "DeleteTrail", mine),),
            tampering=(allow("cloudtrail", "StopLogging RemoveTags PutEventConfiguration", mine),),
        )

    @property
    def price(self) -> tuple[Price, ...]:
        """Insights by the event, and its key by the file; the first copy of the log is free.

        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/insights-events-costs.html
        """
        found = [
            Price(
                f"Insights {one}",
                per(100_000, _ANALYSED[one], "0.35"),
                f"{_ANALYSED[one]:,} events at $0.35 per 100,000",
            )
            for one in sorted(self.insights)
        ]
        if self.key:
            how = f"{FILES:,} at $0.03 per 10,000"
            found.append(Price("files encrypted", per(10_000, FILES, "0.03"), how))
        return tuple(found)

    def read(self, aws: Aws) -> Live | None:
        """Look at the trail, and at the others that would tell EventBridge in its stead."""
        seen, (key, facts) = aws.together(
            lambda: self._answers(aws), lambda: facts_of(self.key, aws)
        )
        if seen is None:
            return None
        trail, status, selectors, insights, tags = seen
        # What was once set and is no more reads as an empty text.
        state = {ours: _set(trail.get(theirs)) for ours, theirs in _SETTINGS.items()}
        state |= {
            "key": named(self.key, key, state["key"]),
            "selectors": recorded(selectors),
            "insights": _insights(insights or {}),
            "logging": status["IsLogging"],
        }
        facts |= {name: status.get(name) for name in DELIVERY}
        worn = tags[0].get("TagsList") if tags else []
        return Live(state, owner(worn), facts, pairs(worn))

    def _answers(self, aws: Aws) -> tuple[Any, ...] | None:
        """What CloudTrail tells of it, call by call; None where it is not there."""
        cloudtrail = aws.cloudtrail
        trail = next((one for one in known_trails(aws) if one.get("TrailARN") == self.arn), None)
        if trail is None:
            return None
        more = aws.together(
            lambda: cloudtrail.get_trail_status(Name=self.arn),
            lambda: cloudtrail.get_event_selectors(TrailName=self.arn),
            lambda: unless(
                lambda: cloudtrail.get_insight_selectors(TrailName=self.arn),
                "InsightNotEnabledException",
            ),
            lambda: cloudtrail.list_tags(ResourceIdList=[self.arn])["ResourceTagList"],
        )
        return trail, *more

    def write(self, aws: Aws, live: Live | None) -> None:
        """Write only what differs: CloudTrail takes one write a second.

        https://docs.aws.amazon.com/general/latest/gr/ct.html
        """
        have = live.state if live else self._create(aws)
        if self._settings(have) != self._settings(self.wanted):
            self._update(aws, have)
        name = self.arn
        if have["selectors"] != self.wanted["selectors"]:
            once_loaded(
                aws,
                lambda: aws.cloudtrail.put_event_selectors(
                    TrailName=name, EventSelectors=_ALL_MANAGEMENT
                ),
            )
        if have["insights"] != self.wanted["insights"]:
            chosen: Any = [{"InsightType": INSIGHTS[one]} for one in self.wanted["insights"]]
            once_loaded(
                aws,
                lambda: aws.cloudtrail.put_insight_selectors(
                    TrailName=name, InsightSelectors=chosen
                ),
            )
        if not have["logging"]:
            once_loaded(aws, lambda: aws.cloudtrail.start_logging(Name=name))

    def _create(self, aws: Aws) -> State:
        """Create the trail; returns the state that AWS gives a new one: it does not log yet."""
        options = self._sent(aws, [ours for ours in _OPTIONS if self.wanted[ours] is not None])
        self._once_writable(
            aws,
            lambda: aws.cloudtrail.create_trail(
                Name=self.name,
                S3BucketName=self.bucket.name,
                IsMultiRegionTrail=self.multi_region,
                IncludeGlobalServiceEvents=True,
                EnableLogFileValidation=True,
                TagsList=self.tag_list,
                **options,
            ),
        )
        return {**self.wanted, "insights": [], "logging": False}

    def _update(self, aws: Aws, have: State) -> None:
        """Send only what differs: what UpdateTrail is not given keeps its value."""
        changed = self._sent(aws, [ours for ours in _SETTINGS if have[ours] != self.wanted[ours]])
        self._once_writable(aws, lambda: aws.cloudtrail.update_trail(Name=self.arn, **changed))

    def _sent(self, aws: Aws, some: list[str]) -> Any:
        """Settings as CreateTrail and UpdateTrail take them."""
        wanted = self.wanted
        if self.key and "key" in some:
            wanted["key"] = self.key.found(aws)
        return {
            _IN.get(theirs, theirs): "" if wanted[ours] is None else wanted[ours]
            for ours, theirs in _SETTINGS.items()
            if ours in some
        }

    def _once_writable(self, aws: Aws, call: Any) -> None:
        """CloudTrail may see late what was just made for it, and that it may use it.

        That the policy of a key of the user's says no is believed at once.
        """
        unseen = _UNSEEN if isinstance(self.key, GivenKey) else {*_UNSEEN, *_UNSEEN_KEY}
        aws.patiently(call, code=(*unseen, "ConflictException"))

    @staticmethod
    def _settings(state: State) -> State:
        return {ours: state[ours] for ours in _SETTINGS}

    def label(self, aws: Aws) -> None:
        """Put them on."""
        aws.patiently(
            lambda: aws.cloudtrail.add_tags(ResourceId=self.arn, TagsList=self.tag_list),
            code="ConflictException",
        )

    def delete(self, aws: Aws) -> None:
        """Delete it while it logs: a trail stopped first would not be heard being deleted."""
        unless(lambda: aws.cloudtrail.delete_trail(Name=self.arn), "TrailNotFoundException")


def once_loaded(aws: Aws, call: Callable[[], T]) -> T:
    """CloudTrail may not have loaded, or not show, a trail that it has just made.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StartLogging.html
    """
    return aws.patiently(call, code=("ConflictException", "TrailNotFoundException"))


def _set(value: Any) -> Any:
    return None if value == "" else value


DELIVERY = (
    "StartLoggingTime",
    "LatestDeliveryError",
    "LatestDeliveryTime",
    "LatestDigestDeliveryError",
    "LatestDigestDeliveryTime",
    "LatestCloudWatchLogsDeliveryError",
    "LatestNotificationError",
)
"""What GetTrailStatus tells of the last deliveries, in its own words."""

_ALL_MANAGEMENT: Any = [
    {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
]


def recorded(selectors: Any) -> State:
    """What a trail records, from GetEventSelectors' answer.

    Returns:
        Basic selectors as {"management": "All" | "WriteOnly" | "ReadOnly" | None, "excluded":
        event sources, "data": resources}; advanced ones as {"advanced": [...]}, as they stand.
    """
    if selectors.get("AdvancedEventSelectors"):
        return {"advanced": selectors["AdvancedEventSelectors"]}
    basic = selectors.get("EventSelectors") or [{}]
    kinds = {
        one.get("ReadWriteType", "All") for one in basic if one.get("IncludeManagementEvents", True)
    }
    both = "All" if len(kinds) > 1 else next(iter(kinds), None)
    return {
        "management": both,
        "excluded": sorted(
            x for one in basic for x in one.get("ExcludeManagementEventSources", [])
        ),
        "data": [resource for one in basic for resource in one.get("DataResources", [])],
    }


def records_writes(selectors: State) -> bool:
    """Whether a trail with these selectors (see `recorded`) records write management events."""
    if "advanced" not in selectors:
        return selectors["management"] in {"All", "WriteOnly"}
    return any(_advanced_writes(one) for one in selectors["advanced"])


# The fields of a selector for management events, each with what it must let pass, so that writes to
# CloudTrail are recorded. One that asks for more, or in another way, is not counted on.
# https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_AdvancedFieldSelector.html
_WRITES = {"eventCategory": "Management", "readOnly": "false", "eventSource": _SOURCE}


def _advanced_writes(selector: Any) -> bool:
    asked = selector.get("FieldSelectors", [])
    management = any("Management" in one.get("Equals", []) for one in asked)
    return management and all(_lets_writes_pass(one) for one in asked)


def _lets_writes_pass(asked: Any) -> bool:
    needed = _WRITES.get(asked["Field"])
    ways = {way: values for way, values in asked.items() if way != "Field" and values}
    if ways.keys() == {"NotEquals"}:
        return needed not in {None, *ways["NotEquals"]}
    return ways.keys() == {"Equals"} and needed in ways["Equals"]


def _insights(answer: Any) -> list[str]:
    types = {one["InsightType"] for one in answer.get("InsightSelectors", [])}
    return sorted(word for word, kind in INSIGHTS.items() if kind in types)


def other_recorders(aws: Aws, but: str) -> list[str]:
    """ARNs of the other trails that tell EventBridge of management events in this region.

    Any logging trail counts, shadows of trails elsewhere and of the organization's included:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html

    Args:
        aws: the account, seen from the region that is asked about.
        but: the ARN of the trail that does not count.

    Raises:
        ClientError: one may not be looked at, and none of those that may be does record.
    """
    others = [one for one in known_trails(aws) if one.get("TrailARN") not in {None, but}]
    found, refusals = recorders(aws, others)
    if refusals and not found:
        raise refusals[0]
    return found


def recorders(aws: Aws, trails: Sequence[Any]) -> tuple[list[str], list[ClientError]]:
    """ARNs of those of the trails that tell EventBridge of what is written in this region.

    Args:
        aws: the account, seen from the region that is asked about.
        trails: as DescribeTrails answers them.

    Returns:
        With them, why it cannot be told of others: an organization's may not show itself.
    """
    answers = aws.together(*(partial(_tells, aws, one) for one in trails))
    told = zip(trails, answers, strict=True)
    refusals = [one for one in answers if isinstance(one, ClientError)]
    return [trail["TrailARN"] for trail, answer in told if answer is True], refusals


def looking_at_any(partition: str) -> Grant:
    """What it takes to know of every trail that is shown whether it records now."""
    return allow("cloudtrail", LOOK_AT_TRAIL, f"arn:{partition}:cloudtrail:*:*:trail/*")


def known_trails(aws: Aws) -> list[Any]:
    """All that CloudTrail shows in the region: shadows of trails elsewhere are among them.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DescribeTrails.html
    """
    return list(aws.cloudtrail.describe_trails(includeShadowTrails=True)["trailList"])


def _tells(aws: Aws, trail: Any) -> bool | ClientError:
    """Whether it tells EventBridge, or why AWS does not say."""
    try:
        status, records = state_of(aws, trail)
    except ClientError as error:
        return error
    return bool(status["IsLogging"]) and records_writes(records)


def state_of(aws: Aws, trail: Any) -> tuple[Any, State]:
    """How any trail is doing, and what it records, as `recorded` tells it.

    Its selectors are shown to its own account alone ("AccountID in ARN is wrong"); so it is known
    of an organization's trail only where it has none but the default.
    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Trail.html

    Args:
        aws: the account, seen from any region that shows the trail.
        trail: as DescribeTrails answers it.

    Raises:
        ClientError: it may not be looked at.
    """
    arn, everything = trail["TrailARN"], not trail.get("HasCustomEventSelectors", True)

    def records() -> State:
        if everything and trail.get("IsOrganizationTrail"):
            return EVERYTHING
        return recorded(aws.cloudtrail.get_event_selectors(TrailName=arn))

    status, told = aws.together(lambda: aws.cloudtrail.get_trail_status(Name=arn), records)
    return status, told
