"""What a watch costs a month: the sums, worked out by hand from AWS's list prices."""

from decimal import Decimal
from typing import Any

import pytest
from watch_world import CONFIGS, MAIL_ONLY, PLAIN, RICH, planned

from ctwatch.prices import AS_OF, ASSUMPTIONS, Cost, Price, cents, monthly, per
from ctwatch.render import cost_json, cost_view


def cost(config: dict[str, Any]) -> Cost:
    return monthly((one.title, one.price) for one in planned(config).resources)


def lines(config: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(title, one.what, str(cents(one.dollars))) for title, one in cost(config).items]


BUCKET = "bucket s3-cloudtrail-monitor-123456789012-ap-northeast-2-an"
LOGS = [
    (BUCKET, "files put", "0.15"),  # 30,000 x 0.005 / 1,000
    (BUCKET, "storage", "0.06"),  # 12 months of 1,000,000 events of 200 bytes: 2.4 GB x 0.023
]


@pytest.mark.parametrize("config", [PLAIN, MAIL_ONLY])
def test_a_watch_without_options_costs_what_its_log_files_cost(config: dict[str, Any]) -> None:
    assert lines(config) == LOGS
    assert cost(config).dollars == Decimal("0.21")


@pytest.mark.parametrize(
    ("trail", "more"),
    [
        # 100,000 writes, at 0.35 per 100,000
        ({"insights": ["api-call-rate"]}, [("Insights api-call-rate", "0.35")]),
        # 1,000,000 events, reads as well
        ({"insights": ["api-error-rate"]}, [("Insights api-error-rate", "3.50")]),
        # with both, writes are analysed twice
        (
            {"insights": ["api-error-rate", "api-call-rate"]},
            [("Insights api-call-rate", "0.35"), ("Insights api-error-rate", "3.50")],
        ),
        # 30,000 files, at 0.03 per 10,000
        (
            {"kms": "arn:aws:kms:ap-northeast-2:123456789012:key/1"},
            [("files encrypted", "0.09")],
        ),
        ({"delivery_notifications": True}, []),
    ],
)
def test_what_the_trail_itself_adds(trail: Any, more: list[tuple[str, str]]) -> None:
    added = [("trail ct-trail-monitor", *one) for one in more]
    assert sorted(lines({**PLAIN, "trail": trail})) == sorted([*LOGS, *added])


def test_what_cloudwatch_logs_adds_hangs_on_how_long_it_keeps_them() -> None:
    for days, stored in ((365, "0.07"), (30, "0.01"), (3653, "0.07")):
        trail = {"cloudwatch_logs": True, "log_retention_days": days}
        group = "log group /aws/cloudtrail/ct-trail-monitor"
        assert lines({**PLAIN, "trail": trail})[2:] == [
            (group, "events taken in", "0.70"),  # 1,000,000 events of 1,400 bytes, at 0.50 a GB
            (group, "storage", stored),  # 0.2 GB a month of those kept, 12 at the most, at 0.03
        ]


def test_a_lifecycle_keeps_less() -> None:
    bucket = {"lifecycle": {"expire_days": 90}}
    [_, storage] = lines({**PLAIN, "bucket": bucket})
    assert storage == (BUCKET, "storage", "0.01")  # 3 months: 0.6 GB x 0.023


def test_everything_together() -> None:
    """Two keys 2.00, one used 0.09; Insights 3.85; the bucket 0.15 + 0.06 + 0.03; the log 0.77."""
    assert cost(RICH).dollars == Decimal("6.95")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_sum_is_that_of_what_is_shown_and_nothing_shown_is_free(name: str) -> None:
    told = lines(CONFIGS[name])
    assert cost(CONFIGS[name]).dollars == sum(Decimal(one) for *_, one in told)
    assert all(Decimal(one) > 0 for *_, one in told)


def test_half_a_cent_is_a_cent_and_less_is_not_shown() -> None:
    assert per(100_000, 330_000, "0.35") == Decimal("1.155")
    prices = [Price("half", Decimal("0.005"), ""), Price("less", Decimal("0.0049"), "")]
    found = monthly([("thing", prices)])
    assert [(one.what, cents(one.dollars)) for _, one in found.items] == [("half", Decimal("0.01"))]


def test_what_is_told_is_the_sum_with_its_date_and_what_it_goes_by() -> None:
    total, *items, assumed = (getattr(one, "body", one) for one in cost_view(cost(PLAIN)))
    assert total == "About $0.21 a month, by list prices of us-east-1 in November 2026:"
    assert str(items[0]) == f"{BUCKET}, files put: 30,000 at $0.005 per 1,000"
    assert all(one in str(assumed) for one in ASSUMPTIONS)


def test_what_costs_nothing_says_so() -> None:
    """As with a trail that was there already: what it costs is paid for by its owner."""
    told, _ = cost_view(monthly([("thing", [])]))
    assert told == "Less than a cent a month, by list prices of us-east-1 in November 2026."


def test_programs_are_told_the_same() -> None:
    told = cost_json(cost(PLAIN))
    assert told["dollars_a_month"] == 0.21
    assert told["prices_of"] == AS_OF
    assert told["items"][0] == {
        "resource": BUCKET,
        "what": "files put",
        "dollars_a_month": 0.15,
        "how": "30,000 at $0.005 per 1,000",
    }
    assert told["assumptions"] == list(ASSUMPTIONS)
