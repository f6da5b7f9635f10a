"""CloudTrail's event history, asked no oftener than it may be, and what it will not answer."""

import json
from datetime import timedelta
from itertools import pairwise

import pytest
from botocore.exceptions import ClientError

from ctwatch.clock import Clock
from ctwatch.history import questions
from ctwatch.history.lookup import Lookup
from ctwatch.history.search import Search, Searching

DAY = timedelta(days=1)


class Pages:
    """A client of CloudTrail's with pages for one region, that counts when it was asked."""

    def __init__(self, clock, pages, refusals=0):
        self.clock, self.pages, self.refusals = clock, list(pages), refusals
        self.asked, self.spans = [], []

    def lookup_events(self, **params):
        self.asked.append(self.clock.monotonic())
        self.spans.append((params["StartTime"], params["EndTime"]))
        if self.refusals:
            self.refusals -= 1
            error = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
            raise ClientError(error, "LookupEvents")
        at = int(params.get("NextToken", 0))
        more = {"NextToken": str(at + 1)} if at + 1 < len(self.pages) else {}
        return {"Events": self.pages[at], **more}


class Account:
    """An account of which nothing is known but each region's pages."""

    def __init__(self, clock, regions):
        self.clock, self.regions = clock, regions

    def at(self, region):
        view = type("View", (), {})()
        view.cloudtrail = self.regions[region]
        return view


def events(*names):
    now = Clock().now()
    record = {"eventTime": "2026", "userIdentity": {"type": "Root"}}
    return [
        {
            "EventTime": now,
            "CloudTrailEvent": json.dumps({**record, "eventName": one, "eventID": f"{at}{one}"}),
        }
        for at, one in enumerate(names)
    ]


EVERYTHING = questions.root()


def test_a_region_is_asked_twice_a_second_at_the_most_and_again_where_it_was_too_often():
    clock = Clock(speed=50)
    regions = {
        "a": Pages(clock, [events("A"), events("B"), events("C")], refusals=2),
        "b": Pages(clock, [[]]),
    }
    now = clock.now()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ctwatch.history.lookup._TURN", 0.5)
        source = Lookup(Account(clock, regions), list(regions), now - 90 * DAY, now)
        with Searching(Search((EVERYTHING,)), source.size) as searching:
            parts = list(source.through(searching))
    assert len([one for _, found in parts for one in found.findings]) == 3
    assert sum(progress for progress, _ in parts) == pytest.approx(source.total)
    asked = regions["a"].asked
    assert len(asked) == 5
    assert set(regions["a"].spans + regions["b"].spans) == {(now - 90 * DAY, now)}
    assert all(later - before >= 0.5 for before, later in pairwise(asked))
    assert not source.doubts


def test_a_region_that_will_not_answer_is_told_of_and_the_others_are_searched():
    clock = Clock(speed=5000)
    regions = {"a": Pages(clock, [events("X")], refusals=1000), "b": Pages(clock, [events("X")])}
    source = Lookup(Account(clock, regions), list(regions), clock.now() - DAY, clock.now())
    with Searching(Search((EVERYTHING,)), source.size) as searching:
        records = sum(found.seen.records for _, found in source.through(searching))
    assert records == 1
    [doubt] = source.doubts
    assert doubt.startswith("a is not told of")
