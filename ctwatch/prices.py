"""What things cost a month: AWS's list prices at a date, and how much of each is assumed.

A resource says what it costs (`Resource.price`); `monthly` adds that up. What costs nothing at the
amounts assumed is not mentioned: SSM's standard parameters, SQS, SNS, mails, Lambda and the events
of EventBridge, all of which have free amounts that no watch comes near.

https://aws.amazon.com/cloudtrail/pricing/
https://aws.amazon.com/s3/pricing/
https://aws.amazon.com/kms/pricing/
https://aws.amazon.com/cloudwatch/pricing/
https://aws.amazon.com/eventbridge/pricing/
https://aws.amazon.com/athena/pricing/
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

AS_OF = "November 2026"
"""The month that the prices are of, those of us-east-1; elsewhere they differ by some percent."""

READS, WRITES = 900_000, 100_000
"""Management events a month: those that only read, and the others."""
EVENTS = READS + WRITES

FILES = 30_000
"""Log and digest files a month: in 2 busy regions one every 5 minutes, in 17 a digest an hour."""

_GIGABYTE = Decimal(10**9)
RAW = Decimal(EVENTS * 1_400) / _GIGABYTE
"""Gigabytes of events a month, as they are."""
PACKED = Decimal(EVENTS * 200) / _GIGABYTE
"""Gigabytes of them in log files, which are compressed."""
KEPT = Decimal(12)
"""Months for which logs are counted as kept where nothing deletes them earlier."""

ASSUMPTIONS = (
    f"{EVENTS:,} management events a month, {WRITES:,} of them writes",
    f"{FILES:,} log and digest files, {PACKED:.1f} GB",
    f"logs kept for {KEPT} months, unless the config keeps them for less",
    "no trail beside those that record now (a copy after the first costs $2.00 per 100,000 events)",
    "few alerts, text messages not counted",
)
"""What the sums go by, in words."""


@dataclass(frozen=True)
class Price:
    """One thing on the bill.

    Attributes:
        what: what is paid for.
        dollars: a month, not rounded.
        how: from what that is worked out.
    """

    what: str
    dollars: Decimal
    how: str


@dataclass(frozen=True)
class Cost:
    """What a watch costs a month.

    Attributes:
        items: (title of the resource, what it costs), as far as that is a cent.
    """

    items: tuple[tuple[str, Price], ...]

    @property
    def dollars(self) -> Decimal:
        """The sum of what the items show, in cents."""
        return sum((cents(one.dollars) for _, one in self.items), Decimal("0.00"))


def per(number: int, amount: Decimal | int, dollars: str) -> Decimal:
    """The price of an amount of which `number` cost so many dollars."""
    return Decimal(amount) * Decimal(dollars) / number


def cents(dollars: Decimal) -> Decimal:
    """Rounded to cents."""
    return dollars.quantize(Decimal("0.01"), ROUND_HALF_UP)


_TERABYTE = 10**12
_LEAST = 10_000_000
"""Bytes for which a query of Athena's is billed at least."""


def athena_query(size: int) -> Decimal:
    """What one query of Athena's costs that reads so many bytes, in dollars.

    That is no part of what a watch costs a month: it is paid when `ctwatch history` asks. In a few
    regions it is up to twice as much.
    """
    return per(_TERABYTE, max(size, _LEAST), "5.00")


def second_copy() -> Price:
    """What each trail after the first that records the same events costs."""
    how = f"{EVENTS:,} at $2.00 per 100,000, as another trail records them already"
    return Price("second copy of the events", per(100_000, EVENTS, "2.00"), how)


def monthly(priced: Iterable[tuple[str, Iterable[Price]]]) -> Cost:
    """What some resources cost together.

    Args:
        priced: each resource's title and its prices.
    """
    found = ((title, one) for title, prices in priced for one in prices)
    return Cost(tuple((title, one) for title, one in found if cents(one.dollars)))
