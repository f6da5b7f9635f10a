"""A trail that is there already: the watch builds everything but trail and bucket.

What its rules and its notifier have to name of that trail (where it delivers to, in which regions
it and its bucket are touched) only AWS knows; `ctwatch.resources.given` asks. Pure.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExistingTrail:
    """What AWS tells of a trail that the watch leans on and never changes.

    The words that a `config.TrailConfig` has too mean the same here.

    Attributes:
        arn: its ARN, which names the account and the home region that it has.
        bucket: the bucket of its log files; "" where nobody knows it any more.
        bucket_region: where that bucket is; "" for the trail's home region.
        multi_region: whether it records every region.
        insights: whether it records any Insights.
        kms: the ARN of the key of its log files, or None.
        log_group: the name of the log group that it delivers to, or "".
        log_role: the name of the role by which it does, or "".
        deliveries: the ARN of the topic that it tells of each log file, or "".
    """

    arn: str
    bucket: str = ""
    bucket_region: str = ""
    multi_region: bool = True
    insights: bool = False
    kms: str | None = None
    log_group: str = ""
    log_role: str = ""
    deliveries: str = ""

    @property
    def name(self) -> str:
        """Its name."""
        return self.arn.rpartition("/")[2]

    @property
    def home(self) -> str:
        """Its home region, in which alone it can be changed."""
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        """Whose it is: an organization's is its management account's."""
        return self.arn.split(":")[4]

    @property
    def delivery_notifications(self) -> bool:
        """Whether it tells a topic of each log file."""
        return bool(self.deliveries)

    @property
    def regions(self) -> tuple[str, ...]:
        """Where what is done to it, and to its bucket and key, is recorded."""
        key = [self.kms.split(":")[3]] if self.kms else []
        return tuple(dict.fromkeys([self.home, self.bucket_region or self.home, *key]))
