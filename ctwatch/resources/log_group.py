"""Log groups: the notifier's, and the one that the trail delivers to.

The notifier's is made before the function so that we own its retention. It is a resource of its
own, beside the function, as it carries its own tag, waits for no role, and may be there already
from a function that somebody else once had under that name.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from ctwatch.aws import Aws, unless
from ctwatch.diff import State
from ctwatch.permissions import Actions, allow
from ctwatch.prices import KEPT, PACKED, RAW, Price, per
from ctwatch.resources.base import Live, Resource, owner, pairs

OF_FUNCTIONS = "/aws/lambda/"
"""What the name of the log group of every function begins with."""
OF_TRAILS = "/aws/cloudtrail/"
"""What the name of a log group that one of our trails delivers to begins with."""

_GONE = "ResourceNotFoundException"


@dataclass(frozen=True, kw_only=True, eq=False)
class LogGroup(Resource):
    """A log group.

    Attributes:
        retention: days, one of the numbers CloudWatch Logs takes:
            https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
    """

    retention: int

    kind: ClassVar[str] = "log group"

    @property
    def arn(self) -> str:
        """Its ARN, without the ":*" that stands for its streams."""
        return self.place.arn("logs", f"log-group:{self.name}")

    @property
    def wanted(self) -> State:
        """Its retention."""
        return {"retention": self.retention}

    @property
    def actions(self) -> Actions:
        """Its tags are under its ARN, and all else under that with ":*".

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
        https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html
        """
        tags, rest = self.arn, f"{self.arn}:*"
        return Actions(
            read=(allow("logs", "DescribeLogGroups"), allow("logs", "ListTagsForResource", tags)),
            write=(
                allow("logs", "CreateLogGroup PutRetentionPolicy", rest),
                allow("logs", "TagResource", tags),
            ),
            delete=(allow("logs", "DeleteLogGroup", rest),),
            tampering=(
                allow("logs", "DeleteLogStream DeleteRetentionPolicy", rest),
                allow("logs", "UntagResource", tags),
            ),
        )

    def read(self, aws: Aws) -> Live | None:
        """Look at it and at its tags."""
        groups, tags = aws.together(
            lambda: aws.logs.describe_log_groups(logGroupNamePrefix=self.name)["logGroups"],
            lambda: unless(
                lambda: aws.logs.list_tags_for_resource(resourceArn=self.arn)["tags"], _GONE
            ),
        )
        group = next((one for one in groups if one["logGroupName"] == self.name), None)
        if group is None:
            return None
        return Live({"retention": group.get("retentionInDays")}, owner(tags), tags=pairs(tags))

    def write(self, aws: Aws, live: Live | None) -> None:
        """Create it, and set its retention."""
        if live is None:
            aws.logs.create_log_group(logGroupName=self.name, tags=self.tags)
        aws.logs.put_retention_policy(logGroupName=self.name, retentionInDays=self.retention)

    def label(self, aws: Aws) -> None:
        """Put them on."""
        aws.logs.tag_resource(resourceArn=self.arn, tags=self.tags)

    def delete(self, aws: Aws) -> None:
        """Delete it with its logs."""
        unless(lambda: aws.logs.delete_log_group(logGroupName=self.name), _GONE)


@dataclass(frozen=True, kw_only=True, eq=False)
class DeliveredLogs(LogGroup):
    """The log group that CloudTrail delivers to, which holds what nobody can make again."""

    data: ClassVar[bool] = True

    @property
    def price(self) -> tuple[Price, ...]:
        """All events are taken in; they are kept compressed."""
        stored = PACKED * min(Decimal(self.retention) / 30, KEPT)
        return (
            Price("events taken in", per(1, RAW, "0.50"), f"{RAW:.1f} GB at $0.50"),
            Price("storage", per(1, stored, "0.03"), f"{stored:.1f} GB at $0.03"),
        )
