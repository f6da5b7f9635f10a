"""What earlier configs of a watch left behind: found by our tag and by listing, then looked at.

A rule that was renamed, a channel, an option or a region that was taken out of the config: nothing
that is planned now names them. The tagging API knows all that carries our tag, but not at once, not
the roles, and not for everybody who may run `ctwatch up`; so what has a name that follows from the
watch's is asked for by that, and `down`, which promises to leave nothing, lists as well. Whatever
is found so is only a candidate: the engine looks whether it is there and carries our tag.

Another region is entered with care, as a watch of the same name may live there. A region that has
a receipts queue of that name is somebody's home, and stays untouched.

Knows AWS's listings and names, and makes resources that know nothing but their names: enough to be
looked at and deleted.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ctwatch.aws import TROUBLE, Aws, complaint, unless
from ctwatch.config import deliveries_name, key_name
from ctwatch.remains import Remains
from ctwatch.resources.base import TAG, Resource, pairs
from ctwatch.resources.function import said_of_function
from ctwatch.resources.role import Role
from ctwatch.resources.rule import Rule, default_bus, said_of_rule
from ctwatch.watch import Watch

FORWARDER = "forwarder"
_ROLES = ("notifier", FORWARDER, "trail-logs")
_KEYS = ("trail", "topic")


@dataclass(frozen=True)
class Strays:
    """What was found.

    Attributes:
        resources: candidates, each to be looked at; none of them is part of the watch.
        warnings: where it could not be looked, a sentence each.
    """

    resources: tuple[Resource, ...]
    warnings: tuple[str, ...]


def strays(watch: Watch, aws: Aws, *, thorough: bool = False) -> Strays:
    """Look for what earlier configs of a watch may have left behind.

    Without `thorough`, other regions than those of the config are looked into only where the watch
    has a forwarder: without one nothing there can ever have worked.

    Args:
        watch: as it is planned now.
        aws: the account, seen from the home region.
        thorough: whether to list, too, and to look into every region that the account has.
    """
    search = _Search(watch, aws)
    for region in search.regions(everywhere=thorough):
        search.by_tag(region)
        if thorough:
            search.by_listing(region)
    mine = {one.arn for one in (*watch.resources, *watch.unwanted)}
    found = {one.arn: one for one in search.found if one.arn not in mine}
    return Strays(tuple(found.values()), tuple(dict.fromkeys(search.warnings)))


class _Search:
    """One search: what it has found so far, and where it was refused."""

    def __init__(self, watch: Watch, aws: Aws) -> None:
        self.watch, self.aws, self.home = watch, aws, watch.place
        self.found: list[Resource] = []
        self.warnings: list[str] = []

    def regions(self, *, everywhere: bool) -> Iterator[str]:
        """The home region, then those where something of the watch may be."""
        yield self.home.region
        roles = self._asked("its roles", self._roles, ())
        self.found += roles
        known = {one.place.region for one in self.watch.resources}
        names = {one.name for one in (*roles, *self.watch.resources)}
        if everywhere or _name(self.watch, FORWARDER) in names:
            known |= set(self._asked("other regions", self.aws.regions, ()))
        others = sorted(known - {self.home.region})
        homes = self.aws.together(*(partial(self._is_home, one) for one in others))
        yield from (one for one, taken in zip(others, homes, strict=True) if not taken)

    def by_tag(self, region: str) -> None:
        """Take what the tagging API knows in a region."""
        remains, view = self._in(region)
        found = self._asked(
            f"its tag in {region}", lambda: list(_tagged(view, self.watch.name)), ()
        )
        self._take(view, filter(None, (remains.of(arn, tags) for arn, tags in found)))

    def by_listing(self, region: str) -> None:
        """Take what the services themselves list in a region."""
        remains, view = self._in(region)
        for what, listing in (_AWAY if remains.away else _AT_HOME).items():
            found = self._asked(f"{what} in {region}", partial(_all, listing, view, remains), ())
            self._take(view, found)

    def _in(self, region: str) -> tuple[Remains, Aws]:
        there = replace(self.home, region=region)
        return Remains(self.watch.name, there, self.home.region), self.aws.at(region)

    def _take(self, view: Aws, found: Iterable[Resource]) -> None:
        """Take it, but for the rules elsewhere that feed another region than ours."""
        for one in found:
            if not (one.away and isinstance(one, Rule) and self._feeds_others(view, one)):
                self.found.append(one)

    def _feeds_others(self, view: Aws, rule: Rule) -> bool:
        targets = unless(lambda: rule.listed(view), _NO_RULE) or ()
        return any(one["Arn"] != default_bus(self.home) for one in targets)

    def _roles(self) -> list[Role]:
        """The roles that are there, which the tagging API does not know."""
        names = [_name(self.watch, one) for one in _ROLES]
        wanted = {one.name for one in self.watch.resources if isinstance(one, Role)}
        remains, _ = self._in(self.home.region)
        asked = [name for name in names if name not in wanted]
        answers = self.aws.together(*(partial(_role, self.aws, name) for name in asked))
        return [remains.role(name) for name, there in zip(asked, answers, strict=True) if there]

    def _is_home(self, region: str) -> bool:
        """Whether another watch of the same name lives in a region."""
        receipts = replace(self.watch.receipts, place=replace(self.home, region=region))
        view = self.aws.at(region)
        taken = self._asked(f"its namesakes in {region}", lambda: receipts.url(view), "unknown")
        return taken is not None

    def _asked(self, what: str, call: Callable[[], Any], otherwise: Any) -> Any:
        """The answer, or, with a warning, what stands in for one that AWS refuses."""
        try:
            return call()
        except TROUBLE as error:
            why = complaint(error, f"looking for {what}").problem
            self.warnings.append(f"what an earlier config left may stay unseen: {why}")
            return otherwise


_NO_ROLE, _NO_RULE = "NoSuchEntity", "ResourceNotFoundException"


def _role(aws: Aws, name: str) -> Any:
    return unless(lambda: aws.iam.get_role(RoleName=name), _NO_ROLE)


def _name(watch: Watch, role: str) -> str:
    return f"{watch.name}-{role}"


def _tagged(aws: Aws, watch: str) -> Iterator[tuple[str, dict[str, str]]]:
    """ARN and tags of all that carries our tag in a region.

    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
    """
    pages = aws.client("resourcegroupstaggingapi").get_paginator("get_resources")
    for page in pages.paginate(TagFilters=[{"Key": TAG, "Values": [watch]}]):
        for one in page["ResourceTagMappingList"]:
            yield one["ResourceARN"], pairs(one["Tags"])


def _rules(aws: Aws, remains: Remains) -> Iterator[Resource]:
    """Those that say that they are of the watch."""
    for page in aws.events.get_paginator("list_rules").paginate():
        for one in page["Rules"]:
            if one.get("Description", "").endswith(said_of_rule(remains.watch)):
                yield remains.rule(one["Name"])


def _queues(_: Aws, remains: Remains) -> Iterator[Resource]:
    yield remains.queue(f"{remains.watch}-dead-letter")
    if not remains.away:
        yield remains.queue(f"{remains.watch}-receipts")


def _trails(aws: Aws, remains: Remains) -> Iterator[Resource]:
    """Those with our tag; a region holds five."""
    known = aws.cloudtrail.describe_trails(includeShadowTrails=False)["trailList"]
    arns = [one["TrailARN"] for one in known]
    listed = aws.cloudtrail.list_tags(ResourceIdList=arns)["ResourceTagList"] if arns else []
    for one in listed:
        if pairs(one.get("TagsList")).get(TAG) == remains.watch:
            yield remains.trail(one["ResourceId"].rpartition("/")[2])


def _functions(aws: Aws, remains: Remains) -> Iterator[Resource]:
    """Those that say that they are of the watch, each with its log group."""
    for page in aws.functions.get_paginator("list_functions").paginate():
        for one in page["Functions"]:
            if one.get("Description") == said_of_function(remains.watch):
                yield (function := remains.function(one["FunctionName"]))
                yield function.log_group


def _parameters(aws: Aws, remains: Remains) -> Iterator[Resource]:
    """Those in the watch's folder."""
    beginning: Any = [{"Key": "Name", "Option": "BeginsWith", "Values": [f"/{remains.watch}/"]}]
    pages = aws.ssm.get_paginator("describe_parameters").paginate(ParameterFilters=beginning)
    for page in pages:
        yield from (remains.secret(one["Name"]) for one in page["Parameters"])


def _topics(aws: Aws, remains: Remains) -> Iterator[Resource]:
    """The one with news of log files, and those that the receipts queue listens to."""
    yield remains.topic(deliveries_name(remains.watch))
    receipts = remains.queue(f"{remains.watch}-receipts").arn
    for page in aws.sns.get_paginator("list_subscriptions").paginate():
        for one in page["Subscriptions"]:
            if one["Endpoint"] == receipts:
                yield remains.topic(one["TopicArn"].rpartition(":")[2])


def _keys(_: Aws, remains: Remains) -> Iterator[Resource]:
    yield from filter(None, (remains.key(key_name(remains.watch, role)) for role in _KEYS))


def _buckets(aws: Aws, remains: Remains) -> Iterator[Resource]:
    """Those of the region with our tag."""
    here = aws.s3.list_buckets(BucketRegion=aws.region)["Buckets"]
    names = [one["Name"] for one in here]
    for name, tags in zip(names, aws.together(*(_tags_of(aws, one) for one in names)), strict=True):
        if tags.get(TAG) == remains.watch:
            yield remains.bucket(name)


def _tags_of(aws: Aws, bucket: str) -> Callable[[], dict[str, str]]:
    """Asks a bucket for its tags; one that may not be asked, or is gone, is not ours."""

    def ask() -> dict[str, str]:
        codes = ("NoSuchTagSet", "NoSuchBucket", "AccessDenied")
        found: Any = unless(lambda: aws.s3.get_bucket_tagging(Bucket=bucket), *codes)
        return pairs(found["TagSet"] if found else None)

    return ask


def _all(listing: "_Listing", aws: Aws, remains: Remains) -> list[Resource]:
    return list(listing(aws, remains))


_Listing = Callable[[Aws, Remains], Iterator[Resource]]

_AWAY: dict[str, _Listing] = {"rules": _rules, "queues": _queues}
_AT_HOME: dict[str, _Listing] = {
    "trails": _trails,
    **_AWAY,
    "functions": _functions,
    "parameters": _parameters,
    "topics": _topics,
    "buckets": _buckets,
    "keys": _keys,
}
"""By what is looked for, how the region's services tell of it."""
