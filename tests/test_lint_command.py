"""`ctwatch detections --lint FILE`, and which detections a config may name."""

import json

import pytest

from ctwatch.cli import main
from ctwatch.config import parse
from ctwatch.detections import catalogue
from ctwatch.errors import ConfigError

GOOD = {
    "source": ["aws.cloudtrail"],
    "detail-type": ["AWS API Call via CloudTrail"],
    "detail": {"eventSource": ["cloudtrail.amazonaws.com"], "eventName": ["StopLogging"]},
}


@pytest.fixture
def lint(tmp_path, capsys):
    def run(text):
        path = tmp_path / "pattern.json"
        path.write_text(text, encoding="utf-8")
        code = main(["detections", "--lint", str(path)])
        return code, capsys.readouterr()

    return run


def test_a_pattern_without_fault_is_said_to_be_one(lint):
    code, said = lint(json.dumps(GOOD))
    assert (code, said.out.strip()) == (0, "nothing to complain about")


def test_a_misspelt_event_is_named_with_the_nearest_right_one(lint):
    detail = {**GOOD["detail"], "eventName": ["StopLoging"]}
    code, said = lint(json.dumps({**GOOD, "detail": detail}))
    assert code == 3
    assert "StopLoging" in said.out
    assert "did you mean 'StopLogging'?" in said.out


def test_a_pattern_that_anybody_can_forge_is_refused(lint):
    code, said = lint(json.dumps({"detail": GOOD["detail"]}))
    assert code == 3
    assert "source" in said.out


def test_a_yaml_detection_of_ones_own_is_read_too(lint):
    code, said = lint(
        f"id: mine\ntitle: t\nseverity: low\nwhere: home\npattern: {json.dumps(GOOD)}"
    )
    assert (code, said.out.strip()) == (0, "nothing to complain about")


@pytest.mark.parametrize("text", ["", "- a\n- b", "{", '{"a": [1], "a": [2]}'])
def test_a_file_that_holds_no_mapping_is_one_sentence(lint, text):
    code, said = lint(text)
    assert code == 2
    assert said.err.startswith("Error: ")


def test_a_config_names_what_can_be_built_and_is_told_of_the_rest():
    people = {
        "topic": {"emails": ["a@example.com"]},
        "trail": {"insights": ["api-call-rate"], "kms": "create"},
    }
    for one in catalogue().values():
        config = {**people, "rules": [{"name": "rule", "detection": one.id}]}
        if one.buildable:
            assert parse(config).rules[0].detection == one.id
            continue
        with pytest.raises(ConfigError, match="in this version"):
            parse(config)
    lacking = {one.id for one in catalogue().values() if not one.buildable}
    assert lacking == set()


def test_a_key_that_is_watched_is_there():
    watch = {"topic": {"emails": ["a@example.com"]}}
    watch["rules"] = [{"name": "rule", "detection": "log-key-tampering"}]
    with pytest.raises(ConfigError, match=r"rules\[0\].detection: .* hears nothing without a key"):
        parse(watch)
    assert parse({**watch, "topic": {"emails": ["a@example.com"], "kms": "create"}})


def test_insight_needs_insights():
    rules = {"rules": [{"name": "rule", "detection": "insight"}]}
    with pytest.raises(ConfigError, match="hears nothing while trail"):
        parse({"topic": {"emails": ["a@example.com"]}, **rules})
