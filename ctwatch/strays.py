"""What earlier configs of a watch left behind: found by our tag and by listing, then looked at.

A rule that was renamed, a channel, an option or a region that was taken out of the config: nothing
that is planned now names them. The tagging API knows all that carries our tag, but not at once, not
the roles, and not for everybody who may run `ctwatch up`; so what has a name that follows from the
watch's is asked for by that, and `down`, which promises to leave nothing, lists as well. Whatever
is found so is only a candidate: the engine looks whether it is there and carries our tag.

Another region is entered with care, as a watch of the same name may live there. A region that has
a receipts queue of that name is somebody's home, and stays untouched: what was seen there meanwhile
is forgotten.

All regions, and all ways to look in each, are gone side by side, and what one finds is looked at
while others still search: how long it takes grows neither with the regions nor with the ways.

Knows AWS's listings and names, and makes resources that know nothing but their names: enough to be
looked at and deleted.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from threading import Lock
from typing import Any

from ctwatch.aws import LOGGED_OUT, TROUBLE, Aws, complaint, listing_regions, unless
from ctwatch.config import deliveries_name, key_names
from ctwatch.engine import look
from ctwatch.errors import AwsError, CtwatchError
from ctwatch.findings import Finding
from ctwatch.parallel import abreast
from ctwatch.permissions import Grant, allow
from ctwatch.remains import Remains
from ctwatch.resources.athena import database_name, workgroup_name
from ctwatch.resources.base import TAG, Resource, if_tagged, pairs
from ctwatch.resources.function import said_of_function
from ctwatch.resources.given import GivenTrail
from ctwatch.resources.key import marked_keys
from ctwatch.resources.log_group import OF_FUNCTIONS, OF_TRAILS
from ctwatch.resources.rule import Rule, default_bus, said_of_rule
from ctwatch.watch import Watch

FORWARDER = "forwarder"
_ROLES = ("notifier", FORWARDER, "trail-logs")
_QUEUES = ("receipts", "dead-letter")
_REGIONS = "other regions"


@dataclass(frozen=True)
class Strays:
    """What was found.

    Attributes:
        findings: a look at each candidate; none of them is part of the watch.
        warnings: where it could not be looked, a sentence each.
        unseen: what could not be looked for, and where: "its tag in us-east-1".
    """

    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    unseen: tuple[str, ...] = ()

    @property
    def resources(self) -> tuple[Resource, ...]:
        """The candidates."""
        return tuple(one.resource for one in self.findings)


def strays(watch: Watch, aws: Aws, *, thorough: bool = False) -> Strays:
    """Look for what earlier configs of a watch may have left behind.

    Without `thorough`, other regions than those of the config are looked into only where the watch
    has a forwarder: without one nothing there can ever have worked.

    Args:
        watch: as it is planned now.
        aws: the account, seen from the home region.
        thorough: whether to list, too, and to look into every region that the account has.
    """
    search = _Search(watch, aws, thorough=thorough)
    roles, *found = abreast(search.roles, search.at_home, search.elsewhere)
    if any(one.resource.name == search.forwarder for one in roles):
        found.append(search.elsewhere(surely=True))
    every = sorted(chain(*found), key=lambda one: (one.resource.away, one.resource.arn))
    return Strays((*roles, *every), tuple(search.warnings), tuple(search.unseen))


def _lent(watch: Watch) -> set[str]:
    """The ARN of the bucket of an existing trail, which is left alone whatever tag it carries."""
    if not isinstance(watch.trail, GivenTrail):
        return set()
    return {watch.place.bucket_arn(watch.trail.known.bucket)}


class _Search:
    """One search, and where it was refused."""

    def __init__(self, watch: Watch, aws: Aws, *, thorough: bool) -> None:
        self.watch, self.aws, self.home, self.thorough = watch, aws, watch.place, thorough
        self.refusals: dict[str, str] = {}  # by what was looked for
        self.forwarder = _name(watch, FORWARDER)
        self._entered = {self.home.region}
        self._known = {one.arn for one in (*watch.resources, *watch.unwanted)} | _lent(watch)
        self._lock = Lock()

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

    def elsewhere(self, *, surely: bool = False) -> list[Finding]:
        """What the other regions hold in which something of the watch may be, once each.

        Args:
            surely: whether something was found by which it is known that something may be.
        """
        regions = {one.place.region for one in self.watch.resources}
        names = {one.name for one in self.watch.resources}
        if surely or self.thorough or self.forwarder in names:
            regions |= self.regions()
        regions -= self._entered
        self._entered |= regions
        found = abreast(*(partial(self._within, one) for one in sorted(regions)))
        return list(chain.from_iterable(found))

    def at_home(self) -> list[Finding]:
        """What the home region holds."""
        return self._within(self.home.region)

    def _within(self, region: str) -> list[Finding]:
        """What one region holds, unless another watch of the same name lives there."""
        there = replace(self.home, region=region)
        remains, view = Remains(self.watch.name, there, self.home.region), self.aws.at(region)
        listed = (_AWAY if remains.away else _AT_HOME) if self.thorough else ()
        ways = [("its tag", _tagged), *listed]
        seekers = (partial(self._sought, f"{what} in {region}", way, remains) for what, way in ways)
        is_home, *found = abreast(partial(self._is_home, remains, view), *seekers)
        if not is_home:
            return list(chain.from_iterable(found))
        for what in list(self.refusals):
            if what.endswith(f" in {region}") and what != _namesake(region):
                del self.refusals[what]
        return []

    def _sought(self, what: str, way: "_Way", remains: Remains) -> list[Finding]:
        """What one way leads to; what it did before it was refused counts all the same."""
        found: list[Resource] = []
        view = self.aws.at(remains.place.region)
        self._asked(what, partial(_gather, found, way, view, remains))
        wanted = [one for one in found if self.thorough or not one.asked_for]
        looks = self.aws.crew.map(partial(self._looked, view), filter(self._is_new, wanted))
        return [one for one in looks if one]

    def _is_new(self, one: Resource) -> bool:
        """Whether it is neither the watch's nor found already, in another way."""
        with self._lock:
            known = one.arn in self._known
            self._known.add(one.arn)
        return not known

    def _looked(self, view: Aws, one: Resource) -> Finding | None:
        """A look at it; None for a rule that is not ours, whatever it wears."""
        return None if self._feeds_others(view, one) else look(one, self.aws, unwanted=True)

    def _feeds_others(self, view: Aws, one: Resource) -> bool:
        """Whether it is a rule elsewhere that hands on to another region than ours."""
        if not (one.away and isinstance(one, Rule)):
            return False
        unknown = [{"Arn": "unknown"}]
        ask = partial(unless, partial(one.listed, view), _NO_RULE)
        targets = self._asked(f"the targets of {one.title}", ask, unknown) or ()
        return any(target["Arn"] != default_bus(self.home) for target in targets)

    def roles(self) -> list[Finding]:
        """The roles that are there and not wanted, which the tagging API does not know."""
        remains = Remains(self.watch.name, self.home, self.home.region)
        names = [_name(self.watch, role) for role in _ROLES]
        unwanted = [one for one in names if remains.role(one).arn not in self._known]
        return self._sought("its roles", partial(_roles, unwanted), remains)

    def _is_home(self, remains: Remains, view: Aws) -> bool:
        """Whether a namesake lives there, or nobody knows."""
        receipts = remains.queue(self.watch.receipts.name)
        ask = partial(receipts.url, view)
        return remains.away and self._asked(_namesake(view.region), ask, "unknown") is not None

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


def _namesake(region: str) -> str:
    return f"its namesake in {region}"


def _name(watch: Watch, role: str) -> str:
    return f"{watch.name}-{role}"


def _gather(found: list[Resource], way: "_Way", aws: Aws, remains: Remains) -> None:
    found.extend(way(aws, remains))


def _roles(names: Iterable[str], aws: Aws, remains: Remains) -> Iterator[Resource]:
    """Those of these names that are there."""
    asks = (partial(_role, aws, name) for name in names)
    yield from (remains.role(name) for name in filter(None, aws.together(*asks)))


def _role(aws: Aws, name: str) -> str | None:
    return name if unless(lambda: aws.iam.get_role(RoleName=name), _NO_ROLE) else None


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


def _log_groups(beginning: str, aws: Aws, remains: Remains) -> Iterator[Resource]:
    """Those with our tag whose name begins so, also where the function was never made.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html
    """
    pages = aws.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=beginning)
    for page in pages:
        groups = [remains.log_group(one["logGroupName"]) for one in page["logGroups"]]
        yield from _ours(aws, remains, {one: partial(_tags_of_group, aws, one) for one in groups})


def _tags_of_group(aws: Aws, group: Resource) -> dict[str, str]:
    ask = partial(aws.logs.list_tags_for_resource, resourceArn=group.arn)
    found: Any = unless(ask, "ResourceNotFoundException")
    return pairs(found["tags"] if found else None)


def _topics(aws: Aws, remains: Remains) -> Iterator[Resource]:
    """Those with our tag.

    https://docs.aws.amazon.com/sns/latest/api/API_ListTopics.html
    """
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


def _deliveries(_: Aws, remains: Remains) -> Iterator[Resource]:
    """The one with news of log files."""
    yield remains.topic(deliveries_name(remains.watch))


def _keys(aws: Aws, remains: Remains) -> Iterator[Resource]:
    """Those that an alias of ours leads to, and those that only their tags tell."""
    names = key_names(remains.watch)
    known = filter(None, map(remains.key, names))
    marked, *led = aws.together(
        partial(marked_keys, aws, remains.watch), *(partial(one.is_led_to, aws) for one in known)
    )
    there = {name for name, leads in zip(names, led, strict=True) if leads} | marked
    yield from filter(None, (remains.key(name) for name in names if name in there))


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

_AWAY: tuple[tuple[str, _Way], ...] = (("rules", _rules), ("queues", _queues))
_AT_HOME: tuple[tuple[str, _Way], ...] = (
    ("trails", _trails),
    *_AWAY,
    ("functions", _functions),
    ("log groups", partial(_log_groups, OF_FUNCTIONS)),
    ("log groups", partial(_log_groups, OF_TRAILS)),
    ("parameters", _parameters),
    ("topics", _topics),
    ("topics", _deliveries),
    ("buckets", _buckets),
    ("keys", _keys),
)
"""What is looked for, and how the region's services tell of it."""


def search_needs(watch: Watch, *, thorough: bool) -> Iterator[Grant]:
    """What it takes to find what is left, and to look at it."""
    yield allow("tag", "GetResources")
    yield listing_regions(watch.place)
    for one in _kinds(watch):
        yield from one.actions.read
    if thorough:
        for one in _asked_for(watch):
            yield from one.actions.read
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


def asked_for_needs(watch: Watch) -> Iterator[Grant]:
    """What it takes to delete what commands made when they needed it."""
    for one in _asked_for(watch):
        yield from one.actions.delete


def _asked_for(watch: Watch) -> tuple[Resource, ...]:
    here = Remains(watch.name, watch.place, watch.place.region)
    return here.workgroup(workgroup_name(watch.name)), here.catalog(database_name(watch.name))


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
    yield from filter(None, map(here.key, key_names(watch.name)))


_LISTED = (
    ("events", "ListRules"),
    ("lambda", "ListFunctions"),
    ("s3", "ListAllMyBuckets"),
    ("sns", "ListTopics"),
    ("ssm", "DescribeParameters"),
)
"""What is listed only by a thorough search, and takes no ARN."""
