"""The same past from each source: what one of them answers, all do."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import past
import pytest
from test_history import ASKED_FOR, INSTANCE, QUESTIONS, STOP, one
from watch_world import PLACE, PLAIN, world_of

from ctwatch.detections import SAMPLE, catalogue
from ctwatch.sandbox.trails import every_trail

pytestmark = pytest.mark.exhaustive

SOURCES = ("lookup", "bucket", "athena", "folder")
REGIONS = [PLACE.region, "us-east-1"]
NOW = datetime.now(UTC).replace(microsecond=0)


def happened():
    """What the questions are about, what the catalogue tells, and everyday, of the last hour."""
    examples = [
        event["detail"]
        for each in catalogue().values()
        for event in (*each.fires_on(SAMPLE), *each.examples.quiet)
        if "readOnly" in event["detail"] and event["detail"].get("eventType") != "AwsServiceEvent"
    ]
    stops = [one(STOP, timedelta()) for _ in range(3)]
    several = [*ASKED_FOR, *examples, *stops, *past.records("sources", 100)]
    for number, each in enumerate(several):
        at = NOW - timedelta(minutes=50) + timedelta(seconds=5 * number)
        region = REGIONS[number % len(REGIONS)]
        more = {"eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}", "awsRegion": region}
        yield each | more | {"eventID": str(uuid.uuid4()), "userIdentity": each["userIdentity"]}


class Past:
    """What happened, and who is asked for it."""

    def __init__(self, world, folder):
        self._world, self._folder = world, folder
        self.records = list(happened())
        sandbox = world.sandbox
        [trail] = every_trail(sandbox._cloud)
        for each in self.records:
            sandbox._history.add(each)
            sandbox._log_files.add([trail], each)
        sandbox.deliver_logs(sandbox.clock.now())
        self.span = ("--since", f"{NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")
        # Of what came behind, the making of the watch, the trail does not know the beginning.
        self.span += ("--until", f"{NOW - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}")
        cached = ("ask", "root", "--from", "bucket", "--cache", str(folder))
        assert world.run("history", *cached).code == 0

    def ask(self, source, *words):
        """The document that a source answers with."""
        where = str(self._folder) if source == "folder" else source
        ran = self._world.run("history", *words, "--from", where, *self.span, "--json")
        assert ran.code in {0, 3}, ran
        return json.loads(ran.out)


@pytest.fixture(scope="module")
def kept(running, tmp_path_factory):
    with (
        world_of(running, tmp_path_factory.mktemp("watch")) as world,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("ctwatch.sandbox.server._BY_DEFAULT", REGIONS)
        patch.setattr("ctwatch.history.athena._FIRST_PAUSE", 0.01)
        world.use(PLAIN)
        assert world.run("up").code == 0
        yield Past(world, tmp_path_factory.mktemp("cache"))


ASKED = [words for words in QUESTIONS if words[0] not in {"event", "actor"}]


@pytest.mark.parametrize("words", ASKED, ids=" ".join)
def test_a_question_has_one_answer(kept, words):
    lookup, *others = [
        sorted(map(str, kept.ask(source, "ask", *words)["rows"])) for source in SOURCES
    ]
    assert all(each == lookup for each in others)
    assert bool(lookup) == bool(QUESTIONS[words][1])


def test_so_has_what_somebody_did_around_a_time(kept):
    meant = kept.records[0]
    words = ("ask", "actor", meant["userIdentity"]["arn"], "--around", meant["eventTime"])
    lookup, *others = [
        sorted(map(str, kept.ask(source, *words, "--within", "10m")["rows"])) for source in SOURCES
    ]
    assert all(each == lookup for each in others)
    assert len(lookup) > 1


def test_an_event_is_the_same_record(kept):
    meant = kept.records[0]
    assert meant["requestParameters"] == {
        "instancesSet": {"items": [{"instanceId": INSTANCE}]},
    }
    for source in SOURCES:
        [found] = kept.ask(source, "ask", "event", meant["eventID"])["records"]
        assert found == meant


def test_gaps_are_the_same(kept):
    told = [kept.ask(source, "ask", "gaps") for source in SOURCES]
    for name in ("gaps", "stops"):
        lookup, *others = [sorted(map(str, each[name])) for each in told]
        assert all(each == lookup for each in others)
        assert lookup or name == "gaps"


def test_each_detection_fires_as_often(kept):
    lookup, *others = [
        {
            each["id"]: (
                each["count"],
                each["days"],
                each["last"],
                each["actors"],
                each["exclusions"],
            )
            for each in kept.ask(source)["detections"]
            if each["id"] != "insight"
        }
        for source in SOURCES
    ]
    for each in others:
        assert each == lookup
    silent = {name for name, told in lookup.items() if not told[0]}
    assert silent <= {"log-object-deletion", "organization-tampering"}
