import pytest

from ctwatch.aws import connect
from ctwatch.detections import catalogue
from ctwatch.errors import ConfigError
from ctwatch.patterns import matches
from ctwatch.simulate import PROBE, probe
from ctwatch.techniques import TECHNIQUES, chosen

EVERY = ["stop-logging", "delete-trail", "update-trail", "put-event-selectors"]

each = pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=TECHNIQUES.keys())


def names(*wanted):
    return [one.name for one in chosen(wanted)]


def test_all_is_every_technique():
    assert names("all") == EVERY == list(TECHNIQUES)


def test_the_order_is_that_of_the_asking():
    assert names("update-trail", "stop-logging") == ["update-trail", "stop-logging"]
    assert names("delete-trail", "all") == [
        "delete-trail",
        *[x for x in EVERY if x != "delete-trail"],
    ]


def test_each_is_struck_once_however_often_it_is_asked_for():
    assert names("stop-logging", "stop-logging") == ["stop-logging"]
    assert names("all", "all", "stop-logging") == EVERY
    assert names() == []


def test_an_unknown_one_is_told_with_what_there_is():
    with pytest.raises(ConfigError, match="there is no technique 'stop-loging'") as told:
        chosen(["stop-logging", "stop-loging"])
    assert told.value.hint == f"Choose from: {', '.join(EVERY)}, all"
    assert told.value.exit_code == 2


def test_all_is_what_the_watch_listens_for():
    assert [one.name for one in chosen(["all"], ["trail-tampering", "root-login"])] == EVERY
    with pytest.raises(ConfigError, match=r"no technique strikes .* listens for: root-login"):
        chosen(["all"], ["root-login"])
    assert [one.name for one in chosen(["stop-logging"], ["root-login"])] == ["stop-logging"]


@each
def test_its_detection_is_in_the_catalogue_and_fires_on_it(technique):
    detection = catalogue()[technique.detection]
    [fires] = [
        one for one in detection.examples.fires if one["detail"]["eventName"] == technique.operation
    ][:1]
    assert matches(detection.pattern, fires)


@each
def test_it_has_a_name_and_a_story(technique):
    assert TECHNIQUES[technique.name] is technique
    assert technique.story.endswith(".")


ASKED = {
    "stop-logging": {"Name"},
    "delete-trail": {"Name"},
    "update-trail": {"Name", "IncludeGlobalServiceEvents"},
    "put-event-selectors": {"TrailName", "EventSelectors"},
}


@each
def test_it_makes_one_complete_call_on_a_trail_that_does_not_exist(technique, sandbox):
    aws = connect(None, sandbox.region)
    with sandbox.recording() as calls:
        blow = probe(technique, aws)
    [call] = calls
    assert (call.service, call.operation) == ("cloudtrail", technique.operation)
    assert call.writes
    assert set(call.params) == ASKED[technique.name]
    assert call.params.get("Name", call.params.get("TrailName")) == blow.target
    assert blow.target.startswith(PROBE)
    assert call.error == blow.answer == "TrailNotFoundException"


@each
def test_it_touches_nothing_that_is_there(technique, sandbox, open_watch):
    watch = open_watch().watch
    aws = connect(None, sandbox.region)
    for part in (watch.bucket, watch.trail):
        part.write(aws, None)
    before = watch.trail.read(aws).state
    probe(technique, aws)
    assert watch.trail.read(aws).state == before


@each
def test_struck_on_a_trail_that_is_there_it_is_accepted(technique, sandbox, open_watch):
    watch = open_watch().watch
    aws = connect(None, sandbox.region)
    for part in (watch.bucket, watch.trail):
        part.write(aws, None)
    answer = technique.strike(aws, watch.trail.name)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
