"""What a watch leans on that is somebody else's: a trail that was there already, and its bucket.

They are looked at and never written, tagged or deleted: the engine leaves alone what is `given`,
and `write` and `delete` do nothing here, so that nothing would be lost even if it did not.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from ctwatch.aws import TROUBLE, Aws, Place, unless
from ctwatch.diff import State
from ctwatch.errors import ConfigError
from ctwatch.existing import ExistingTrail
from ctwatch.permissions import Actions, Grant, allow
from ctwatch.resources.base import TAG, Live, Resource, pairs
from ctwatch.resources.bucket import EVENTBRIDGE
from ctwatch.resources.trail import DELIVERY, LOOK_AT_TRAIL, known_trails, records_writes, state_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Given(Resource):
    """A thing of somebody else's."""

    given: ClassVar[bool] = True
    tagged: ClassVar[bool] = False

    @property
    def note(self) -> str:
        """Whose it is."""
        return "it was there already and stays as it is"

    def write(self, aws: Aws, live: Live | None) -> None:
        """Do nothing: it is not the watch's."""

    def delete(self, aws: Aws) -> None:
        """Do nothing: it is not the watch's."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenTrail(Given):
    """A trail that is there already, as it is seen from the watch's home region.

    Attributes:
        known: what AWS told of it.
    """

    known: ExistingTrail

    kind: ClassVar[str] = "trail"

    @property
    def by_hand(self) -> Mapping[str, str]:
        """What its owner does in its home region: nowhere else can a trail be changed."""
        which = f"{self.arn} --region {self.known.home}"
        return {
            "": "Name another trail in trail.existing, or none, and run: ctwatch up",
            "logging": f"aws cloudtrail start-logging --name {which}",
            "records": f"aws cloudtrail put-event-selectors --trail-name {which}, with a selector "
            "for write management events",
        }

    @property
    def arn(self) -> str:
        """Its ARN, in its own home region and account."""
        return self.known.arn

    @property
    def multi_region(self) -> bool:
        """Whether it records every region."""
        return self.known.multi_region

    @property
    def wanted(self) -> State:
        """That it tells EventBridge of what is written; all else is its owner's business."""
        return {"logging": True, "records": _WRITES}

    @property
    def actions(self) -> Actions:
        """A look, and no more."""
        look = allow("cloudtrail", LOOK_AT_TRAIL, self.arn)
        return Actions(read=(allow("cloudtrail", "DescribeTrails"), look))

    def read(self, aws: Aws) -> Live | None:
        """Look at it; a shadow of another region's, or an organization's, answers to its ARN."""
        trail = next((one for one in known_trails(aws) if one["TrailARN"] == self.arn), None)
        if trail is None:
            return None
        status, records = state_of(aws, trail)
        state = {
            "logging": status["IsLogging"],
            "records": _WRITES if records_writes(records) else _in_words(records),
        }
        facts = {name: status.get(name) for name in DELIVERY}
        return Live(state, None, {**facts, "records": _in_words(records)})


_WRITES = "write management events"
_KINDS = {
    "All": "all management events",
    "WriteOnly": _WRITES,
    "ReadOnly": "read-only management events alone",
    None: "no management events",
}


def _in_words(selectors: State) -> str:
    """What a trail records, of management events, in words (see `trail.recorded`)."""
    if "advanced" in selectors:
        return json.dumps([one["FieldSelectors"] for one in selectors["advanced"]])
    without = f" but those of {', '.join(selectors['excluded'])}" if selectors["excluded"] else ""
    return _KINDS[selectors["management"]] + without


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenBucket(Given):
    """The bucket of such a trail, as far as it tells EventBridge of its objects by itself."""

    kind: ClassVar[str] = "bucket"

    @property
    def by_hand(self) -> Mapping[str, str]:
        """What its owner does."""
        return {"eventbridge": "Turn Amazon EventBridge on in the properties of that bucket"}

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.place.bucket_arn(self.name)

    @property
    def wanted(self) -> State:
        """That it tells."""
        return {"eventbridge": True}

    @property
    def actions(self) -> Actions:
        """A look, and no more."""
        return Actions(read=(allow("s3", "GetBucketNotification", self.arn),))

    def read(self, aws: Aws) -> Live | None:
        """Look at what it tells of; whose it is does not matter."""
        told: Any = unless(
            lambda: aws.s3.get_bucket_notification_configuration(Bucket=self.name), "NoSuchBucket"
        )
        return None if told is None else Live({"eventbridge": EVENTBRIDGE in told}, None)


class NoTrailError(ConfigError):
    """The trail that the config calls existing is not there."""


def find(aws: Aws, wish: str, place: Place, watch: str) -> ExistingTrail:
    """Ask AWS for the trail that the config calls existing.

    Args:
        aws: the account, seen from the home region.
        wish: its name or its ARN.
        place: where the watch lives.
        watch: its name; a trail that it has made itself is not somebody else's.

    Raises:
        ConfigError: there is none, or more than one, or it is the watch's own.
        ClientError: AWS would not say.
    """
    seen = known_trails(aws)
    named = [one for one in seen if wish in {one["TrailARN"], one["Name"]}]
    here = [one for one in named if one["TrailARN"] == place.arn("cloudtrail", f"trail/{wish}")]
    if len(here or named) != 1:
        raise _not_one(wish, place.region, seen, named)
    trail = (here or named)[0]
    if _owner(aws, trail["TrailARN"], place) == watch:
        raise ConfigError(
            f"trail.existing: {wish} is a trail that this watch has made itself",
            "Write trail.name in the place of trail.existing.",
        )
    return _described(aws, trail)


def finding_needs(trail: str, place: Place, function: str) -> Iterator[Grant]:
    """What `find` and `remembered` need; which bucket it is, the trail alone tells.

    Args:
        trail: the trail's ARN.
        place: where the watch lives.
        function: the name of the notifier.
    """
    yield allow("cloudtrail", "DescribeTrails")
    yield allow("cloudtrail", "ListTags", trail)
    yield allow("s3", "ListBucket", place.bucket_arn("*"))
    yield allow("lambda", "GetFunctionConfiguration", place.arn("lambda", f"function:{function}"))


def _not_one(wish: str, region: str, seen: Sequence[Any], named: Sequence[Any]) -> ConfigError:
    if named:
        arns = " or ".join(one["TrailARN"] for one in named)
        said = f"trail.existing: {len(named)} trails in {region} are called {wish}"
        return ConfigError(said, f"Write the ARN of one: {arns}.")
    names = ", ".join(one["Name"] for one in seen)
    shown = f"CloudTrail shows {names} there." if seen else "CloudTrail shows none there."
    said = f"trail.existing: there is no trail {wish} in {region}"
    return NoTrailError(said, f"{shown} Without the key, ctwatch makes a trail of its own.")


def _owner(aws: Aws, arn: str, place: Place) -> str | None:
    """The watch that has made a trail; only one at home here can be this one's."""
    if not arn.startswith(place.arn("cloudtrail", "trail/")):
        return None
    tags = aws.cloudtrail.list_tags(ResourceIdList=[arn])["ResourceTagList"]
    return pairs(tags[0].get("TagsList") if tags else None).get(TAG)


def _described(aws: Aws, trail: Mapping[str, Any]) -> ExistingTrail:
    bucket = trail["S3BucketName"]
    return ExistingTrail(
        arn=trail["TrailARN"],
        bucket=bucket,
        bucket_region=_region(aws, bucket),
        multi_region=trail.get("IsMultiRegionTrail", False),
        insights=trail.get("HasInsightSelectors", False),
        kms=trail.get("KmsKeyId") or None,
        log_group=_group(trail.get("CloudWatchLogsLogGroupArn")),
        log_role=(trail.get("CloudWatchLogsRoleArn") or "").rpartition("/")[2],
        deliveries=trail.get("SnsTopicARN") or "",
    )


def _group(arn: str | None) -> str:
    """The name in the ARN of a log group."""
    return arn.split(":")[6] if arn else ""


def _region(aws: Aws, bucket: str) -> str:
    """Where a bucket is, which S3 tells even those who may not look at it; "" where it does not.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    """
    try:
        answer: Any = aws.s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(answer.get("BucketRegion") or headers.get("x-amz-bucket-region", ""))


def remembered(aws: Aws, wish: str, place: Place, function: str) -> ExistingTrail:
    """The trail as the notifier was told of it, for when it is no more: AWS keeps no other trace.

    Args:
        aws: the account, seen from the home region.
        wish: its name or its ARN.
        place: where the watch lives.
        function: the name of the notifier.
    """
    told = dict(_variables(aws, function))
    arn = told.get("CTWATCH_TRAIL", "")
    if wish not in {arn, arn.rpartition("/")[2]}:
        missing = wish if wish.startswith("arn:") else place.arn("cloudtrail", f"trail/{wish}")
        return ExistingTrail(missing)
    bucket = told.get("CTWATCH_BUCKET", "")
    return ExistingTrail(
        arn=arn,
        bucket=bucket,
        bucket_region=_region(aws, bucket) if bucket else "",
        insights=True,
        kms=told.get("CTWATCH_KEY"),
        log_group=_group(told.get("CTWATCH_LOG_GROUP")),
        deliveries=told.get("CTWATCH_DELIVERIES", ""),
    )


def _variables(aws: Aws, function: str) -> Iterator[tuple[str, str]]:
    try:
        answer: Any = aws.functions.get_function_configuration(FunctionName=function)
    except TROUBLE:  # there is none, or nobody may look: then nothing is remembered
        return
    yield from answer.get("Environment", {}).get("Variables", {}).items()
