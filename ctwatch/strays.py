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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

from ctwatch.aws import LOGGED_OUT, TROUBLE, Aws, complaint, listing_regions, unless
from ctwatch.config import deliveries_name, key_name
from ctwatch.errors import AwsError, CtwatchError
from ctwatch.parallel import abreast
from ctwatch.permissions import Grant, allow
from ctwatch.remains import Remains
from ctwatch.resources.base import TAG, Resource, if_tagged, pairs
from ctwatch.resources.function import said_of_function
from ctwatch.resources.given import GivenTrail
from ctwatch.resources.log_group import OF_FUNCTIONS, OF_TRAILS
from ctwatch.resources.role import Role
from ctwatch.resources.rule import Rule, default_bus, said_of_rule
from ctwatch.watch import Watch

FORWARDER = "forwarder"
_ROLES = ("notifier", FORWARDER, "trail-logs")
_KEYS = ("trail", "topic")
_QUEUES = ("receipts", "dead-letter")
_REGIONS = "other regions"


@dataclass(frozen=True)
class Strays:
    """What was found.

    Attributes:
        resources: candidates, each to be looked at; none of them is part of the watch.
        warnings: where it could not be looked, a sentence each.
        unseen: what could not be looked for, and where: "its tag in us-east-1".
    """

    resources: tuple[Resource, ...]
    warnings: tuple[str, ...]
    unseen: tuple[str, ...] = ()


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
    within = partial(search.within, thorough=thorough)
    roles, home, listed = abreast(
        search.roles, partial(within, watch.place.region), search.regions if thorough else set
    )
    away = aws.crew.map(within, search.elsewhere(roles, listed))
    candidates = [*roles, *home, *chain.from_iterable(away)]
    mine = {one.arn for one in (*watch.resources, *watch.unwanted)} | _lent(watch)
    by_arn = {one.arn: one for one in candidates if one.arn not in mine}
    return Strays(tuple(by_arn.values()), tuple(search.warnings), tuple(search.unseen))


def _lent(watch: Watch) -> set[str]:
    """The ARN of the bucket of an existing trail, which is left alone whatever tag it carries."""
    if not isinstance(watch.trail, GivenTrail):
        return set()
    return {watch.place.bucket_arn(watch.trail.known.bucket)}


class _Search:
    """One search, and where it was refused."""

    def __init__(self, watch: Watch, aws: Aws) -> None:
        self.watch, self.aws, self.home = watch, aws, watch.place
        self.refusals: dict[str, str] = {}  # by what was looked for

    @property
    def warnings(self) -> Iterator[str]:
        """One for all, as what is refused in one region is mostly refused in each."""
        if self.refusals:
            more = f" (and {len(self.refusals) - 1} more)" * (len(self.refusals) > 1)
            first = self.refusals[min(self.refusals, key=lambda what: (what != _REGIONS, what))]
            yield f"what an earlier config left may stay unseen: {first}{more}"

    @property
    def unseen(self) -> Iterator[str]:
        """What was refused, each once, with the regions or with how many they are."""
        where: dict[str, list[str]] = {}
        for one in sorted(self.refusals):
            what, _, region = one.partition(" in ")
            where.setdefault(what, []).extend([region] if region else [])
        for what, regions in where.items():
            told = ", ".join(regions) if len(regions) <= _FEW else f"{len(regions)} regions"
            yield f"{what} in {told}" if told else what

    def regions(self) -> set[str]:
        """Those that the account has."""
        return set(self._asked(_REGIONS, self.aws.regions, ()))

    def elsewhere(self, roles: Sequence[Role], listed: set[str]) -> list[str]:
        """The other regions in which something of the watch may be, those listed among them."""
        known = {one.place.region for one in self.watch.resources} | listed
        names = {one.name for one in (*roles, *self.watch.resources)}
        if not listed and _name(self.watch, FORWARDER) in names:
            known |= self.regions()
        return sorted(known - {self.home.region})

    def within(self, region: str, *, thorough: bool) -> list[Resource]:
        """What one region holds, unless another watch of the same name lives there."""
        there = replace(self.home, region=region)
        remains, view = Remains(self.watch.name, there, self.home.region), self.aws.at(region)
        if remains.away and self._is_home(remains, view):
            return []
        known = _AWAY if remains.away else _AT_HOME
        ways = {"its tag": _tagged, **(known if thorough else {})}
        found: list[list[Resource]] = [[] for _ in ways]  # before a refusal it counts all the same
        seekers = (
            partial(self._asked, f"{what} in {region}", partial(_gather, one, way, view, remains))
            for one, (what, way) in zip(found, ways.items(), strict=True)
        )
        self.aws.together(*seekers)
        every = list(chain.from_iterable(found))
        return [one for one in every if not (one.away and self._feeds_others(view, one))]

    def _feeds_others(self, view: Aws, one: Resource) -> bool:
        """Whether it is a rule that hands on to another region than ours."""
        if not isinstance(one, Rule):
            return False
        unknown = [{"Arn": "unknown"}]
        ask = partial(unless, partial(one.listed, view), _NO_RULE)
        targets = self._asked(f"the targets of {one.title}", ask, unknown) or ()
        return any(target["Arn"] != default_bus(self.home) for target in targets)

    def roles(self) -> list[Role]:
        """The roles that are there and not wanted, which the tagging API does not know."""
        wanted = {one.name for one in self.watch.resources if isinstance(one, Role)}
        names = [name for role in _ROLES if (name := _name(self.watch, role)) not in wanted]
        ask = partial(self.aws.together, *(partial(_role, self.aws, name) for name in names))
        found = self._asked("its roles", ask, [None] * len(names))
        remains = Remains(self.watch.name, self.home, self.home.region)
        return [remains.role(name) for name, there in zip(names, found, strict=True) if there]

    def _is_home(self, remains: Remains, view: Aws) -> bool:
        receipts = remains.queue(self.watch.receipts.name)
        ask = partial(receipts.url, view)
        return self._asked(f"its namesake in {view.region}", ask, "unknown") is not None

    def _asked(self, what: str, call: Callable[[], Any], otherwise: Any = None) -> Any:
        """The answer, or, with a warning, what stands in for one that AWS refuses."""
        try:
            return call()
        except TROUBLE as error:
            self._refused(what, complaint(error, f"looking for {what}"))
        except CtwatchError as error:
            self._refused(what, error)
        return otherwise

    def _refused(self, what: str, told: CtwatchError) -> None:
        logged_out = isinstance(told, AwsError) and told.code in LOGGED_OUT
        hint = f". {told.hint}".removesuffix(".") if logged_out else ""
        self.refusals[what] = f"{told.problem}{hint}"


_FEW = 3
_NO_ROLE, _NO_RULE = "NoSuchEntity", "ResourceNotFoundException"


def _role(aws: Aws, name: str) -> Any:
    return unless(lambda: aws.iam.get_role(RoleName=name), _NO_ROLE)


def _name(watch: Watch, role: str) -> str:
    return f"{watch.name}-{role}"


def _gather(found: list[Resource], way: "_Way", aws: Aws, remains: Remains) -> None:
    found.extend(way(aws, remains))


def _tagged(aws: Aws, remains: Remains) -> Iterator[Resource]:
    """All that carries our tag in a region, as far as the tagging API knows.

    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
    """
    pages = aws.client("resourcegroupstaggingapi").get_paginator("get_resources")
    for page in pages.paginate(TagFilters=[{"Key": TAG, "Values": [remains.watch]}]):
        for one in page["ResourceTagMappingList"]:
            found = remains.of(one["ResourceARN"], pairs(one["Tags"]))
            yield from (found,) if found else ()


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


def _log_groups(aws: Aws, remains: Remains) -> Iterator[Resource]:
    """Those of functions and of trails with our tag, also where the function was never made.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html
    """
    pages = aws.logs.get_paginator("describe_log_groups")
    for beginning in (OF_FUNCTIONS, OF_TRAILS):
        for page in pages.paginate(logGroupNamePrefix=beginning):
            groups = [remains.log_group(one["logGroupName"]) for one in page["logGroups"]]
            yield from _ours(
                aws, remains, {one: partial(_tags_of_group, aws, one) for one in groups}
            )


def _tags_of_group(aws: Aws, group: Resource) -> dict[str, str]:
    ask = partial(aws.logs.list_tags_for_resource, resourceArn=group.arn)
    found: Any = unless(ask, "ResourceNotFoundException")
    return pairs(found["tags"] if found else None)


def _topics(aws: Aws, remains: Remains) -> Iterator[Resource]:
    """The one with news of log files, and those with our tag.

    https://docs.aws.amazon.com/sns/latest/api/API_ListTopics.html
    """
    yield remains.topic(deliveries_name(remains.watch))
    for page in aws.sns.get_paginator("list_topics").paginate():
        topics = [remains.topic(one["TopicArn"].rpartition(":")[2]) for one in page["Topics"]]
        yield from _ours(aws, remains, {one: partial(_tags_of_topic, aws, one) for one in topics})


def _tags_of_topic(aws: Aws, topic: Resource) -> dict[str, str]:
    ask = partial(aws.sns.list_tags_for_resource, ResourceArn=topic.arn)
    found: Any = unless(ask, "ResourceNotFound", "NotFound")
    return pairs(found["Tags"] if found else None)


def _ours(
    aws: Aws, remains: Remains, asks: Mapping[Resource, Callable[[], dict[str, str]]]
) -> Iterator[Resource]:
    """Those whose tags, asked for side by side, make them ours."""
    for one, tags in zip(asks, aws.together(*asks.values()), strict=True):
        if tags.get(TAG) == remains.watch:
            yield one


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


_Way = Callable[[Aws, Remains], Iterator[Resource]]

_AWAY: dict[str, _Way] = {"rules": _rules, "queues": _queues}
_AT_HOME: dict[str, _Way] = {
    "trails": _trails,
    **_AWAY,
    "functions": _functions,
    "log groups": _log_groups,
    "parameters": _parameters,
    "topics": _topics,
    "buckets": _buckets,
    "keys": _keys,
}
"""By what is looked for, how the region's services tell of it."""


def search_needs(watch: Watch, *, thorough: bool) -> Iterator[Grant]:
    """What it takes to find what is left, and to look at it."""
    yield allow("tag", "GetResources")
    yield listing_regions(watch.place)
    for one in _kinds(watch):
        yield from one.actions.read
    if thorough:
        yield allow("cloudtrail", "ListTags", watch.place.arn("cloudtrail", "trail/*"))
        yield from (allow(service, call) for service, call in _LISTED)


def removal_needs(watch: Watch, *, data: bool) -> Iterator[Grant]:
    """What it takes to delete what was found, which carries our tag, or has a name of our own.

    S3 goes by a bucket's tag only where that was switched on for the bucket:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging-enable-abac.html

    Args:
        watch: as it is planned now.
        data: whether what holds what nobody can make again is deleted, too.
    """
    for one in _kinds(watch):
        if data or not one.data:
            named = one.name.startswith((watch.name, f"/{watch.name}/"))
            ours = one.actions.delete
            yield from ours if named else (each.only_if(if_tagged(watch.name)) for each in ours)


def _kinds(watch: Watch) -> Iterator[Resource]:
    """One for each kind of what may be left, by its own name or by "*"."""
    home = watch.place
    here = Remains(watch.name, home, home.region)
    anywhere = replace(here, place=replace(home, region="*"))
    yield from (here.trail("*"), anywhere.rule("*"), here.function("*"), here.topic("*"))
    yield from (here.log_group(f"{OF_FUNCTIONS}*"), here.log_group("*"), here.bucket("*"))
    yield here.secret(f"/{watch.name}/*")
    yield from (anywhere.queue(_name(watch, role)) for role in _QUEUES)
    yield from (here.role(_name(watch, role)) for role in _ROLES)
    yield from filter(None, (here.key(key_name(watch.name, role)) for role in _KEYS))


_LISTED = (
    ("events", "ListRules"),
    ("lambda", "ListFunctions"),
    ("s3", "ListAllMyBuckets"),
    ("sns", "ListTopics"),
    ("ssm", "DescribeParameters"),
)
"""What is listed only by a thorough search, and takes no ARN."""
