"""The canary: a disposable trail that a drill makes, strikes and deletes again.

It is in the bucket's policy beside the watch's own trail, covers one region, and logs for seconds
at most, as each copy of the log after the first is paid for. A watch has one at a time.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from ctwatch.aws import Aws, unless
from ctwatch.diff import State
from ctwatch.permissions import Actions, allow
from ctwatch.resources.base import Live, Resource, owner, pairs
from ctwatch.resources.bucket import Bucket
from ctwatch.resources.trail import once_loaded

DRILL = "ctwatch:drill"
"""The tag that says whose it is: the drill's run id, its start in UTC, its limit in seconds."""


LASTS = 60.0
"""Seconds after which a canary is left over: it is made, struck and deleted within a few, and the
proof is waited for without it."""


@dataclass(frozen=True)
class Standing:
    """A canary that is there.

    Attributes:
        owner: the watch that it belongs to; None for a stranger's trail of that name.
        run: the id of the drill that made it.
        since: when it did, by AWS's clock.
        over: whether that is longer ago than it may last, so that its drill was cut off.
    """

    owner: str | None
    run: str
    since: datetime
    over: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Canary(Resource):
    """A trail beside the watch's own, which must not be there but during a drill.

    Attributes:
        bucket: where its log files go.
        at_work: whether one that a drill is using now counts as there, too.
    """

    bucket: Bucket
    at_work: bool = False

    kind: ClassVar[str] = "trail"
    origin: ClassVar[str] = "of a drill that was cut off"
    heard: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[Resource, ...]:
        """Nothing: as it is unwanted, nothing waits for it."""
        return ()

    @property
    def arn(self) -> str:
        """Its ARN, in the home region."""
        return self.place.arn("cloudtrail", f"trail/{self.name}")

    @property
    def wanted(self) -> State:
        """No promise: it is never compared."""
        return {}

    @property
    def actions(self) -> Actions:
        """https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudtrail.html."""
        return Actions(
            read=(allow("cloudtrail", "DescribeTrails"), allow("cloudtrail", "ListTags", self.arn)),
            write=(allow("cloudtrail", "CreateTrail AddTags StartLogging", self.arn),),
            delete=(allow("cloudtrail", "DeleteTrail", self.arn),),
        )

    def read(self, aws: Aws) -> Live | None:
        """One that was left over; one that a drill is using now only counts with `at_work`."""
        found = self.standing(aws)
        if found is None or (found.owner == self.watch and not (found.over or self.at_work)):
            return None
        return Live({}, found.owner, {"since": found.since})

    def standing(self, aws: Aws) -> Standing | None:
        """What is there under its name, a stranger's included."""
        listed = aws.cloudtrail.describe_trails(
            trailNameList=[self.name], includeShadowTrails=False
        )["trailList"]
        if not listed:
            return None
        answer = unless(
            lambda: aws.cloudtrail.list_tags(ResourceIdList=[self.arn]),
            "CloudTrailARNInvalidException",
            "ResourceNotFoundException",
        )
        if answer is None:  # gone in between
            return None
        worn = [tag for one in answer["ResourceTagList"] for tag in one.get("TagsList", [])]
        run, since, limit = _told(pairs(worn).get(DRILL, ""))
        over = aws.date(answer) - since > timedelta(seconds=limit)
        return Standing(owner(worn), run, since, over)

    def write(self, aws: Aws, live: Live | None) -> None:
        """Never done: only a drill makes one, by `make`."""
        raise NotImplementedError

    def make(self, aws: Aws, run: str, limit: float) -> None:
        """Make it, not logging yet.

        Args:
            aws: the account.
            run: the id of the drill.
            limit: seconds that the drill may take; the canary is needed for `LASTS` at the most,
                and is left over after whichever is less.

        Raises:
            ClientError: among others TrailAlreadyExistsException, where another drill was faster.
        """
        mark = f"{run} {aws.time():%Y-%m-%dT%H:%M:%SZ} {min(limit, LASTS):g}"
        aws.cloudtrail.create_trail(
            Name=self.name,
            S3BucketName=self.bucket.name,
            IsMultiRegionTrail=False,
            IncludeGlobalServiceEvents=True,
            EnableLogFileValidation=True,
            TagsList=[*self.tag_list, {"Key": DRILL, "Value": mark}],
        )

    def start(self, aws: Aws) -> None:
        """Let it log."""
        once_loaded(aws, lambda: aws.cloudtrail.start_logging(Name=self.arn))

    def delete(self, aws: Aws) -> None:
        """Delete it."""
        unless(lambda: aws.cloudtrail.delete_trail(Name=self.arn), "TrailNotFoundException")


def _told(mark: str) -> tuple[str, datetime, float]:
    """What the tag says; where it says nothing that can be read, the drill is long over."""
    try:
        run, since, limit = mark.split()
        return run, datetime.fromisoformat(since).astimezone(UTC), float(limit)
    except ValueError:
        return "", datetime.min.replace(tzinfo=UTC), 0.0
