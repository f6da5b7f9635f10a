"""Resources of which nothing but the name is known: enough to look at them and to delete them.

Their promises are empty, so they are never written and never compared.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ctwatch.aws import Place
from ctwatch.resources.athena import Catalog, Workgroup
from ctwatch.resources.base import Resource
from ctwatch.resources.bucket import Bucket
from ctwatch.resources.function import Function
from ctwatch.resources.key import ALIAS_TAG, Key
from ctwatch.resources.log_group import OF_FUNCTIONS, DeliveredLogs, LogGroup
from ctwatch.resources.queue import Queue
from ctwatch.resources.role import Role
from ctwatch.resources.rule import Rule
from ctwatch.resources.secret import Secret
from ctwatch.resources.topic import Topic
from ctwatch.resources.trail import Trail


@dataclass(frozen=True)
class Remains:
    """Makes the resources of one watch in one region.

    Attributes:
        watch: the watch's name.
        place: where they are.
        home: the watch's home region.
    """

    watch: str
    place: Place
    home: str

    @property
    def away(self) -> bool:
        """Whether the region is another than the home region."""
        return self.place.region != self.home

    def of(self, arn: str, tags: Mapping[str, str]) -> Resource | None:
        """What an ARN names; None for what no watch ever has in such a region.

        Args:
            arn: as the tagging API tells it.
            tags: of the same.
        """
        _, _, service, _, _, name = arn.split(":", 5)
        if service == "kms":
            alias = "" if self.away else tags.get(ALIAS_TAG, "")
            return self.key(alias.removeprefix("alias/"))
        prefix, make = (_AWAY if self.away else _AT_HOME).get(service, ("", None))
        on_another_bus = service == "events" and name.count("/") > 1  # where no rule of ours is
        if make is None or on_another_bus or not name.startswith(prefix):
            return None
        return make(self, name.removeprefix(prefix).removesuffix(":*"))

    def _mine(self, name: str) -> dict[str, Any]:
        return {"name": name, "place": self.place, "watch": self.watch, "away": self.away}

    def workgroup(self, name: str) -> Workgroup:
        """A workgroup of Athena's."""
        return Workgroup(**self._mine(name))

    def catalog(self, name: str) -> Catalog:
        """A database of Glue's."""
        return Catalog(**self._mine(name))

    def bucket(self, name: str) -> Bucket:
        """A bucket."""
        # Only in a new bucket's creation does it matter where its name is kept.
        return Bucket(account_regional=False, writers=(), **self._mine(name))

    def function(self, name: str) -> Function:
        """A function."""
        return Function(
            runtime="",
            architecture="",
            environment={},
            channels=(),
            invokers=(),
            role=self.role(""),
            log_group=self.log_group(f"{OF_FUNCTIONS}{name}"),
            dead_letter=self.queue(""),
            **self._mine(name),
        )

    def key(self, name: str) -> Key | None:
        """A key by its alias, without which none of ours was ever made."""
        return Key(grants=(), **self._mine(name)) if name else None

    def log_group(self, name: str) -> LogGroup:
        """A log group; that of a function holds nothing that anybody would miss."""
        kind = LogGroup if name.startswith(OF_FUNCTIONS) else DeliveredLogs
        return kind(retention=0, **self._mine(name))

    def queue(self, name: str) -> Queue:
        """A queue."""
        return Queue(senders=(), retention=0, **self._mine(name))

    def role(self, name: str) -> Role:
        """A role."""
        return Role(service="", grants=(), **self._mine(name))

    def rule(self, name: str) -> Rule:
        """A rule."""
        dead_letter = self.queue("")
        return Rule(
            pattern={}, detection="", targets=(), dead_letter=dead_letter, **self._mine(name)
        )

    def secret(self, name: str) -> Secret:
        """A secret."""
        return Secret(value=None, **self._mine(name))

    def topic(self, name: str) -> Topic:
        """A topic."""
        return Topic(**self._mine(name))

    def trail(self, name: str) -> Trail:
        """A trail."""
        return Trail(bucket=self.bucket(""), **self._mine(name))


_Shape = tuple[str, Callable[[Remains, str], Resource]]

_AWAY: dict[str, _Shape] = {"events": ("rule/", Remains.rule), "sqs": ("", Remains.queue)}
_AT_HOME: dict[str, _Shape] = {
    **_AWAY,
    "athena": ("workgroup/", Remains.workgroup),
    "cloudtrail": ("trail/", Remains.trail),
    "glue": ("database/", Remains.catalog),
    "lambda": ("function:", Remains.function),
    "logs": ("log-group:", Remains.log_group),
    "s3": ("", Remains.bucket),
    "sns": ("", Remains.topic),
    "ssm": ("parameter", Remains.secret),
}
"""By the service of an ARN, what stands before the name in it, and what it is."""
