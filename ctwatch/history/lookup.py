"""CloudTrail's own event history, asked page by page: 90 days of each region's management events.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html

An account may ask twice a second in each region, for fifty events at a time. So all regions are
asked side by side, a page of each in turn, and no turn begins within half a second of the last
call. Where somebody else asks as well, AWS refuses some; those are asked again in the next turn.
Where only some names or one id can be meant, only those are asked for, one after the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ctwatch.aws import TROUBLE, Aws, code_of, complaint, listing_regions
from ctwatch.aws import Place as Account
from ctwatch.errors import AwsError
from ctwatch.history.search import Found, Searching
from ctwatch.parallel import side_by_side
from ctwatch.permissions import Grant, allow

KEPT = timedelta(days=90)
"""How far back it goes."""
_TURN = 0.5
_WORKERS = 32
_PATIENCE = 60
"""Turns in a row in which a region may be refused for being asked too often."""
_TOO_OFTEN = {"ThrottlingException", "Throttling", "RequestLimitExceeded"}


def needs(place: Account) -> Iterator[Grant]:
    """What it takes to ask it."""
    yield listing_regions(place)
    yield allow("cloudtrail", "LookupEvents")


Attribute = tuple[str, str]
"""What LookupEvents can be asked for: its key and value."""
_KEYS = {"eventID": "EventId", "eventName": "EventName"}


@dataclass
class _Region:
    """A region that is being asked.

    Attributes:
        name: its name.
        left: attributes of events that are still to be asked for, the current one first; None
            stands for all events.
        many: how many there were.
        token: of the next page; None before the first.
        refused: how often it was in a row.
        reached: how much of it all has been gone through, of 1.
        asked: when it was last, by the clock.
    """

    name: str
    left: list[Attribute | None]
    many: int
    token: str | None = None
    refused: int = 0
    reached: float = 0.0
    asked: float = 0.0


@dataclass
class Lookup:
    """The event history as a source.

    Args:
        aws: the account.
        regions: that are asked.
        since: the first moment that counts.
        until: the first that counts no more.
    """

    aws: Aws
    regions: Sequence[str]
    since: datetime
    until: datetime
    _doubts: list[str] = field(default_factory=list)

    @property
    def what(self) -> str:
        """What it is called."""
        return "CloudTrail's event history"

    @property
    def size(self) -> int:
        """Not worth a process: AWS takes far longer to answer than it takes to read."""
        return 0

    @property
    def total(self) -> float:
        """Each region's time: AWS answers from the newest to the oldest."""
        return float(len(self.regions))

    @property
    def notes(self) -> Sequence[str]:
        """What it does not hold."""
        told = f"The event history goes back {KEPT.days} days, without data events and Insights"
        return [f"{told}: --from bucket reads all that was delivered."]

    @property
    def doubts(self) -> Sequence[str]:
        """Regions that could not be asked."""
        return self._doubts

    def through(self, searching: Searching) -> Iterator[tuple[float, Found]]:
        """Ask all regions, a page of each in turn.

        Raises:
            AwsError: no region would say anything.
        """
        wanted = _attributes(searching)
        asking = [_Region(one, [*wanted], len(wanted)) for one in self.regions]
        while asking:
            ahead: list[_Region] = []
            for region, page in side_by_side(asking, self._page, _WORKERS):
                if isinstance(page, AwsError):
                    self._lost(region, page)
                    yield 1 - region.reached, Found()
                    continue
                if page is not None:
                    yield (
                        self._gone_through(region, page),
                        searching.document(f"{self.what} of {region.name}", _document(page)),
                    )
                if region.left:
                    ahead.append(region)
            asking = ahead
            if asking:
                last = max(one.asked for one in asking)
                self.aws.clock.sleep(last + _TURN - self.aws.clock.monotonic())

    def _page(self, region: _Region) -> tuple[_Region, Any]:
        """The next page of a region; None where it was asked too often; or why there is none."""
        more: dict[str, Any] = {"NextToken": region.token} if region.token else {}
        if attribute := region.left[0]:
            key, value = attribute
            more["LookupAttributes"] = [{"AttributeKey": key, "AttributeValue": value}]
        region.asked = self.aws.clock.monotonic()
        try:
            page = self.aws.at(region.name).cloudtrail.lookup_events(
                StartTime=self.since, EndTime=self.until, MaxResults=50, **more
            )
        except TROUBLE as error:
            region.refused += 1
            if code_of(error) in _TOO_OFTEN and region.refused < _PATIENCE:
                return region, None
            return region, complaint(error, f"looking up events of {region.name}")
        region.refused, region.token = 0, page.get("NextToken")
        if not region.token:
            region.left = region.left[1:]
        return region, page

    def _gone_through(self, region: _Region, page: Any) -> float:
        """How much further the region is, by the time of the oldest event so far."""
        before, done = region.reached, float(region.many - len(region.left))
        if region.token and page["Events"]:
            oldest = page["Events"][-1]["EventTime"]
            done += (self.until - oldest) / (self.until - self.since)
        region.reached = min(max(before, done / region.many), 1.0)
        return region.reached - before

    def _lost(self, region: _Region, why: AwsError) -> None:
        """Note a region that cannot be asked; where none can, that is an error."""
        self._doubts.append(f"{region.name} is not told of, or not all of it: {why.problem}")
        if len(self._doubts) == len(self.regions):
            raise why


def _attributes(searching: Searching) -> list[Attribute | None]:
    """What events can be asked for so that all that is looked for is among them."""
    if searching.named is None:
        return [None]
    field, values = searching.named
    return [(_KEYS[field], one) for one in values]


def _document(page: Any) -> bytes:
    """The records of a page, as a log file would hold them."""
    records = (one.get("CloudTrailEvent") or "null" for one in page["Events"])
    return f'{{"Records":[{",".join(records)}]}}'.encode()
