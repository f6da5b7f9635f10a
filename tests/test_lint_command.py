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
    def run(text, *more):
        path = tmp_path / "pattern.json"
        path.write_text(text, encoding="utf-8")
        code = main(["detections", "--lint", str(path), *more])
        return code, capsys.readouterr()

    return run


OWN = {"id": "mine", "title": "Mine", "severity": "high", "pattern": GOOD}
CONFIG = {
    "topic": {"emails": ["a@example.com"]},
    "detections": [OWN],
    "rules": [{"name": "rule", "detection": "mine", "except": {"user_agents": ["terraform*"]}}],
}


def test_json_is_honoured(lint):
    code, said = lint(json.dumps(GOOD), "--json")
    assert (code, json.loads(said.out)) == (0, [])
    code, said = lint(json.dumps({**OWN, "severity": "hihg"}), "--json")
    [one] = json.loads(said.out)
    assert (code, one["path"], one["suggestion"]) == (3, "severity", "high")
    assert (one["level"], set(one)) == ("error", {"path", "reason", "suggestion", "level"})


def test_a_config_is_checked_with_all_its_detections_and_exclusions(lint):
    code, said = lint(json.dumps(CONFIG))
    assert (code, said.out.splitlines()[-1]) == (0, "1 warning")
    assert "rules[0].except.user_agents[0]: " in said.out
    code, said = lint(json.dumps({**CONFIG, "detections": [{**OWN, "titel": "x"}]}))
    assert code == 3
    assert "error: detections[0].titel: there is no such key, did you mean 'title'?" in said.out


def test_without_a_file_it_is_the_config_that_is_checked(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG), encoding="utf-8")
    assert main(["detections", "--lint"]) == 0
    assert "1 warning" in capsys.readouterr().out
    (tmp_path / "other.yaml").write_text(json.dumps({**CONFIG, "rules": []}), encoding="utf-8")
    assert main(["detections", "--lint", "--config", "other.yaml"]) == 3
    assert "error: rules: nothing would be detected" in capsys.readouterr().out


@pytest.mark.parametrize("more", [["--language", "ko"], ["trail-tampering"]])
def test_what_linting_cannot_heed_is_refused(lint, more):
    code, said = lint(json.dumps(GOOD), *more)
    assert code == 2
    assert "it speaks English" in said.err


def test_a_file_that_is_not_there_is_refused(capsys):
    assert main(["detections", "--lint", "nowhere.json"]) == 2
    assert "There is no file 'nowhere.json'" in capsys.readouterr().err


def test_a_detection_that_is_not_there_is_told_with_the_nearest(capsys):
    assert main(["detections", "trail-tamperin"]) == 2
    assert "Did you mean trail-tampering? There are: assume-role" in capsys.readouterr().err


def test_the_config_s_own_are_listed_and_shown_where_there_is_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["detections", "mine"]) == 2
    assert "there is no detection 'mine'" in capsys.readouterr().err
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG), encoding="utf-8")
    assert main(["detections"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].split() == ["mine", "high", "home", "Mine"]
    assert "Of your own: mine." in said.err
    assert main(["detections", "mine"]) == 0
    assert "Severity high, seen in the trail's home region.\n" in capsys.readouterr().out
    assert main(["detections", "--json"]) == 0
    owned = {one["id"]: one["own"] for one in json.loads(capsys.readouterr().out)}
    assert (owned["mine"], owned["trail-tampering"]) == (True, False)


def test_a_config_with_mistakes_hides_the_catalogue_only_when_it_was_asked_for(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("rules: []", encoding="utf-8")
    assert main(["detections"]) == 0
    said = capsys.readouterr()
    assert "trail-tampering" in said.out
    assert "Without your own: config.yaml has mistakes" in said.err
    assert main(["detections", "--config", "config.yaml"]) == 2
    assert main(["detections", "--config", "none.yaml"]) == 2


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


def test_a_rule_can_be_made_of_every_detection():
    people = {
        "topic": {"emails": ["a@example.com"]},
        "trail": {"insights": ["api-call-rate"], "kms": "create"},
    }
    for one in catalogue().values():
        config = {**people, "rules": [{"name": "rule", "detection": one.id}]}
        assert parse(config).rules[0].detection == one.id


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
