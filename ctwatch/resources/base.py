"""What every resource is: a promise and three verbs.

A resource is one thing that a user would name. It says what it promises (`wanted`, pure), looks at
what is there (`read`), makes it so from nothing or from drift (`write`), and goes (`delete`). What
it leans on are its own fields, and these fields are the dependency graph. It never decides whether
it may act: ownership and order are the engine's.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from ctwatch.aws import Aws, Place, complaint
from ctwatch.diff import State
from ctwatch.errors import AwsError
from ctwatch.permissions import Actions, Condition
from ctwatch.prices import Price
from ctwatch.secret import masked

TAG = "ctwatch:watch"
"""The tag that every resource carries from its creation; its value is the watch's name."""


@dataclass(frozen=True)
class Live:
    """What was found.

    Attributes:
        state: what is there, in the shape of the promise.
        owner: the value of our tag on it, or None where the tag is missing.
        facts: what nobody promised and `status` wants (delivery errors, queue depth); "anothers"
            says whose it is where that is known to be somebody else.
        tags: all tags on it.
    """

    state: State
    owner: str | None
    facts: State = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Resource(ABC):
    """One thing of the watch.

    Attributes:
        name: its name in AWS.
        place: where it lives.
        watch: the name of the watch it belongs to.
        away: whether `place` is not the home region, so that the region is part of its title.
        labels: the tags that the config wants on all that the watch makes.
    """

    name: str
    place: Place
    watch: str
    away: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)

    kind: ClassVar[str]
    data: ClassVar[bool] = False
    """Whether it holds what nobody can make again; kept by `down` unless told otherwise."""
    heard: ClassVar[bool] = False
    """Whether the alarm itself listens for its deletion, so that it goes first."""
    given: ClassVar[bool] = False
    """Whether it is somebody else's: looked at, and never written, tagged or deleted."""
    tagged: ClassVar[bool] = True
    """Whether AWS lets it carry tags."""
    tied: ClassVar[bool] = False
    """Whether AWS wants it untied from what it leans on before it is deleted."""
    asked_for: ClassVar[bool] = False
    """Whether a command makes it when it first needs it, so that only `down` looks for it."""
    lingers: ClassVar[str] = ""
    """What becomes of it after it was deleted, in a sentence; "" where it is simply gone."""
    origin: ClassVar[str] = "of an earlier config"
    """Where it comes from when it is found and must not be there."""

    @property
    def needs(self) -> "tuple[Resource, ...]":
        """What this leans on: its fields that are resources."""
        found: list[Resource] = []
        for one in fields(self):
            value = getattr(self, one.name)
            found += [x for x in (value if isinstance(value, tuple) else (value,)) if is_one(x)]
        return tuple(found)

    @property
    def goes_with(self) -> "Resource | None":
        """What takes it along when that is deleted, so that nothing need be done for it."""
        return None

    def reads_as(self, other: "Resource") -> bool:
        """Whether what `read` finds for `other`, this with another promise, it finds for this."""
        return self.wanted == other.wanted

    def hinders(self, other: "Resource") -> bool:
        """Whether `other` must not be written as long as this, which is unwanted, is there."""
        del other
        return False

    @property
    def overwrites(self) -> bool:
        """Whether AWS, asked to create it, changes what is there by its name, whosever it is."""
        return False

    @property
    def title(self) -> str:
        """How it is called in front of people: "trail ct-trail-monitor"."""
        return f"{self.kind} {self.name}" + f" in {self.place.region}" * self.away

    @property
    def tags(self) -> dict[str, str]:
        """The tags it is created with."""
        return {**self.labels, TAG: self.watch}

    @property
    def tag_list(self) -> list[Any]:
        """The same tags in the Key and Value form that most services take."""
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]

    @property
    def confidential(self) -> tuple[str, ...]:
        """Values that it is given and that no sentence about it may repeat."""
        return ()

    @property
    def by_hand(self) -> Mapping[str, str]:
        """Paths that only a person can mend, each with what that person does."""
        return {}

    @property
    def note(self) -> str:
        """What of it is not compared with the promise, and why; "" for nothing."""
        return ""

    @property
    @abstractmethod
    def arn(self) -> str:
        """Its ARN, which follows from its name."""

    @property
    @abstractmethod
    def wanted(self) -> State:
        """The promise."""

    @property
    @abstractmethod
    def actions(self) -> Actions:
        """What IAM has to allow for its verbs."""

    @property
    def price(self) -> tuple[Price, ...]:
        """What it costs a month; nothing, for most."""
        return ()

    @abstractmethod
    def read(self, aws: Aws) -> Live | None:
        """What is there, or None; raises botocore's ClientError when it may not look."""

    @abstractmethod
    def write(self, aws: Aws, live: Live | None) -> None:
        """Make the promise true, from nothing (None) or from drift."""

    @abstractmethod
    def delete(self, aws: Aws) -> None:
        """Remove it; already gone is fine."""

    def untie(self, aws: Aws, live: Live) -> None:
        """Take off what was found to tie it to what it leans on, if it is `tied`."""
        raise NotImplementedError

    def delete_found(self, aws: Aws, live: Live) -> None:
        """Remove it as it was found, so that nothing that is known need be asked again."""
        del live
        self.delete(aws)

    def label(self, aws: Aws) -> None:
        """Put its tags on it again; other tags on it stay."""
        raise NotImplementedError

    def complaint(self, error: Exception, doing: str) -> AwsError:
        """Our sentence for AWS's refusal, which may repeat what AWS was sent.

        Args:
            error: what botocore raised.
            doing: what was being done to this, "creating".
        """
        told = complaint(error, f"{doing} {self.title}")
        problem = told.problem
        for secret in self.confidential:
            problem = masked(problem, secret)
        return AwsError(problem, told.hint, code=told.code, operation=told.operation)


def is_one(value: Any) -> bool:
    """Whether `value` is a resource."""
    return isinstance(value, Resource)


def if_tagged(watch: str) -> Condition:
    """That what an action is on carries our tag.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-resourcetag
    """
    return Condition("StringEquals", f"aws:ResourceTag/{TAG}", watch)


Tags = Mapping[str, str] | list[Any] | None
"""Tags as AWS answers them: a mapping, or a list of Key and Value."""


def pairs(tags: Tags) -> dict[str, str]:
    """AWS's tags, in either form, as a mapping."""
    if isinstance(tags, Mapping):
        return dict(tags)
    return {tag["Key"]: tag["Value"] for tag in tags or []}


def owner(tags: Tags) -> str | None:
    """The value of our tag among AWS's tags."""
    return pairs(tags).get(TAG)
