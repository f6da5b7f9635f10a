import dataclasses
import re

import botocore.session
import pytest
import yaml

import ctwatch.detections
from ctwatch import patterns
from ctwatch.detections import Detection, catalogue, parse
from ctwatch.errors import CtwatchError

# eventSource -> botocore's name of the service, where the two differ.
SERVICES: dict[str, str] = {}
# (eventSource, eventName in the record) -> operation in the API, where CloudTrail's name differs.
RENAMED: dict[tuple[str, str], str] = {}

DETECTIONS = list(catalogue().values())
each_detection = pytest.mark.parametrize("detection", DETECTIONS, ids=lambda d: d.id)


def examples(kind):
    return [
        pytest.param(d.pattern, event, id=f"{d.id}-{kind}-{i}")
        for d in DETECTIONS
        for i, event in enumerate(getattr(d.examples, kind))
    ]


@pytest.mark.parametrize(("pattern", "event"), examples("fires"))
def test_an_example_that_fires_matches_the_pattern(pattern, event):
    assert patterns.matches(pattern, event)


@pytest.mark.parametrize(("pattern", "event"), examples("quiet"))
def test_a_near_miss_stays_quiet(pattern, event):
    assert not patterns.matches(pattern, event)


@pytest.mark.parametrize(
    "event",
    [event for d in DETECTIONS for event in (*d.examples.fires, *d.examples.quiet)],
)
def test_an_example_is_a_whole_event_with_a_whole_record(event):
    assert set(event) == {
        *("version", "id", "detail-type", "source", "account", "time", "region"),
        *("resources", "detail"),
    }
    assert set(event["detail"]) >= {
        *("eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion"),
        *("sourceIPAddress", "userAgent", "requestParameters", "responseElements", "requestID"),
        *("eventID", "readOnly", "eventType", "managementEvent", "recipientAccountId"),
        "eventCategory",
    }
    assert event["account"] == event["detail"]["recipientAccountId"]
    assert event["time"] == event["detail"]["eventTime"]
    assert ("errorCode" in event["detail"]) == ("errorMessage" in event["detail"])


@each_detection
def test_the_pattern_fits_the_quota_and_pins_a_source_of_aws(detection):
    assert patterns.size(detection.pattern) <= patterns.MAX_SIZE
    assert all(source.startswith("aws.") for source in detection.pattern["source"])


@each_detection
def test_every_event_name_is_a_call_of_that_service(detection):
    detail = detection.pattern["detail"]
    session = botocore.session.get_session()
    for source in detail["eventSource"]:
        service = SERVICES.get(source, source.removesuffix(".amazonaws.com"))
        calls = session.get_service_model(service).operation_names
        for name in detail["eventName"]:
            assert RENAMED.get((source, name), name) in calls


@each_detection
def test_a_detection_fires_on_every_event_name_it_lists(detection):
    shown = {event["detail"]["eventName"] for event in detection.examples.fires}
    assert shown >= set(detection.pattern["detail"]["eventName"])


@each_detection
def test_a_detection_speaks_both_languages_and_names_its_techniques(detection):
    for text in (detection.title, detection.why):
        assert re.search("[가-힣]", text["ko"])
        assert not re.search("[가-힣]", text["en"])
    assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", technique) for technique in detection.mitre)


def test_trail_tampering_is_the_default_rule_of_the_product():
    detection = catalogue()["trail-tampering"]
    assert detection.pattern == {
        "source": ["aws.cloudtrail"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {
            "eventSource": ["cloudtrail.amazonaws.com"],
            "eventName": ["StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"],
        },
    }
    assert (detection.where, detection.read_only) == ("home", False)
    assert detection.severity == "critical"
    assert detection.mitre == ("T1562.008", "T1685.002")
    codes = {event["detail"].get("errorCode") for event in detection.examples.fires}
    assert codes == {None, "TrailNotFoundException", "AccessDenied"}


def test_the_catalogue_is_read_once_and_holds_examples_that_share_nothing():
    assert catalogue() is catalogue()
    first, second, *_ = catalogue()["trail-tampering"].examples.fires
    assert first["detail"]["userIdentity"] is not second["detail"]["userIdentity"]
    assert first["detail"]["tlsDetails"] is not second["detail"]["tlsDetails"]


def test_a_detection_cannot_be_changed_by_accident():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DETECTIONS[0].severity = "low"


GOOD = {
    "id": "quake",
    "title": {"ko": "지진", "en": "Quake"},
    "why": {"ko": "흔들림", "en": "It shakes"},
    "severity": "high",
    "mitre": ["T1562"],
    "where": "every-region",
    "read_only": True,
    "pattern": {"source": ["aws.quake"]},
}
EXAMPLES = {"fires": [{"source": "aws.quake"}], "quiet": [{"source": "custom"}]}


def test_a_detection_of_ones_own_is_read_the_same_way():
    detection = parse("quake", yaml.safe_dump(GOOD), yaml.safe_dump(EXAMPLES))
    assert isinstance(detection, Detection)
    assert detection.read_only
    assert detection.examples.fires == ({"source": "aws.quake"},)


BROKEN = [
    ({"id": "other"}, "id must be quake, as the file is named"),
    ({"title": {"en": "Quake"}}, "title must hold a text for each of ko, en"),
    ({"title": {"en": "Quake", "ko": " "}}, "title must hold a text for each of ko, en"),
    ({"why": "because"}, "why must hold a text for each of ko, en"),
    ({"severity": "huge"}, "severity must be one of low, medium, high, critical"),
    ({"where": ["home"]}, "where must be one of home, us-east-1, every-region"),
    ({"read_only": "no"}, "read_only must be true or false"),
    ({"mitre": ["T15"]}, "mitre must list ATT&CK technique ids such as T1562.008"),
    ({"mitre": []}, "mitre must list ATT&CK technique ids such as T1562.008"),
    ({"mitre": "T1562"}, "mitre must list ATT&CK technique ids such as T1562.008"),
    ({"pattern": "{}"}, "pattern must be an object"),
    ({"pattern": {}}, "pattern is refused by EventBridge (Empty objects are not allowed)"),
    (
        {"pattern": {"source": ["a", {"prefiks": "b"}]}},
        "pattern.source[1] is refused by EventBridge (Unrecognized match type prefiks)",
    ),
    ({"pattern": {"source": ["x" * 2048]}}, "pattern has 2063 characters, over 2048"),
    ({"colour": "red"}, "missing or unknown keys: colour"),
]


@pytest.mark.parametrize(("change", "problem"), BROKEN)
def test_a_broken_detection_is_told_in_one_sentence(change, problem):
    with pytest.raises(CtwatchError) as caught:
        parse("quake", yaml.safe_dump(GOOD | change), yaml.safe_dump(EXAMPLES))
    assert caught.value.problem == f"The detection file quake.yaml is broken: {problem}."
    assert caught.value.hint


def test_a_missing_key_is_named():
    text = yaml.safe_dump({key: value for key, value in GOOD.items() if key != "mitre"})
    with pytest.raises(CtwatchError, match="missing or unknown keys: mitre"):
        parse("quake", text, yaml.safe_dump(EXAMPLES))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", r"broken: not YAML \(.*\)\.$"),
        ("- a", "its keys are missing"),
        ("fires: [{a: 1}]", "quiet must list at least one whole event"),
        ("{fires: [], quiet: [{a: 1}]}", "fires must list at least one whole event"),
        ("{fires: [{a: 2026-03-02}], quiet: [{a: 1}]}", "fires holds what JSON cannot"),
    ],
)
def test_broken_examples_are_told_in_one_sentence(text, problem):
    with pytest.raises(CtwatchError, match=problem) as caught:
        parse("quake", yaml.safe_dump(GOOD), text)
    assert "quake.examples.yaml" in caught.value.problem
    assert "\n" not in caught.value.problem


def test_a_detection_without_its_examples_is_a_broken_installation(tmp_path, monkeypatch):
    (tmp_path / "quake.yaml").write_text(yaml.safe_dump(GOOD), "utf-8")
    monkeypatch.setattr(ctwatch.detections.importlib.resources, "files", lambda _name: tmp_path)
    with pytest.raises(CtwatchError, match=r"quake\.examples\.yaml is broken: it cannot be read"):
        catalogue.__wrapped__()
