"""`ctwatch init`: a config of one's own out of the commented example."""

import io
import os

import pytest
import yaml

from ctwatch.cli import main
from ctwatch.config import load, parse
from ctwatch.errors import ConfigError
from ctwatch.start import example, fresh

MINE = {"region": "us-east-1", "email": "me@example.org", "webhook": "ssm:/mine/hook"}


def initialised(path, monkeypatch, *answers, options=()):
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{one}\n" for one in answers)))
    return main(["init", "--config", str(path), *options])


def test_the_example_is_right_and_says_what_the_defaults_are():
    config = parse(yaml.safe_load(example()), "config.example.yaml")
    assert (config.region, config.topic.emails) == ("ap-northeast-2", ("security@example.com",))


def test_a_packaged_example_is_preferred_to_that_of_a_checkout(tmp_path, monkeypatch):
    (tmp_path / "config.example.yaml").write_text("packaged", encoding="utf-8")
    monkeypatch.setattr("ctwatch.start.files", lambda _: tmp_path)
    assert example() == "packaged"


def test_defaults_ask_nothing_and_write_the_example(tmp_path, monkeypatch, capsys):
    path = tmp_path / "config.yaml"
    assert initialised(path, monkeypatch, options=["--defaults"]) == 0
    assert path.read_text("utf-8") == example()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"Wrote {path}.")


def test_three_answers_make_a_config_of_ones_own_with_all_its_comments(tmp_path, monkeypatch):
    path = tmp_path / "config.yaml"
    assert initialised(path, monkeypatch, *MINE.values()) == 0
    config = load(path)
    assert config.region == "us-east-1"
    assert config.topic.emails == ("me@example.org",)
    assert [one.url for one in config.channels] == ["ssm:/mine/hook"]
    comments = [line for line in path.read_text("utf-8").splitlines() if line.startswith("#")]
    assert comments == [line for line in example().splitlines() if line.startswith("#")]


def test_no_answer_takes_what_is_proposed(tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    path = tmp_path / "config.yaml"
    assert initialised(path, monkeypatch, "", "", "") == 0
    alerts = {"language": "en", "timezone": "UTC"}
    assert load(path) == parse(yaml.safe_load(example()) | {"alerts": alerts})


def test_the_alerts_speak_the_language_of_the_terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    path = tmp_path / "config.yaml"
    assert initialised(path, monkeypatch, "", "", "") == 0
    assert load(path) == parse(yaml.safe_load(example()))


def test_several_people_may_get_mail(tmp_path, monkeypatch):
    path = tmp_path / "config.yaml"
    assert initialised(path, monkeypatch, "", "me@example.org, you@example.org", "") == 0
    assert load(path).topic.emails == ("me@example.org", "you@example.org")


@pytest.mark.parametrize(
    "wrong",
    [
        {"region": "nowhere"},
        {"email": "me"},
        {"email": "me@example.org, you"},
        {"webhook": "https://discord.com/api/webhooks/1/secret"},
        {"email": "me@example.org]\nname: other"},
    ],
    ids=["region", "email", "one of two", "a webhook itself", "YAML"],
)
def test_a_wrong_answer_is_named_and_nothing_is_written(tmp_path, monkeypatch, capsys, wrong):
    path = tmp_path / "config.yaml"
    with pytest.raises(ConfigError):
        fresh(example(), "en", **MINE | wrong)
    if "\n" not in wrong.get("email", ""):
        assert initialised(path, monkeypatch, *(MINE | wrong).values()) == 130
        said = capsys.readouterr().err
        assert "Error: " in said
        assert "secret\n" not in said
    assert not path.exists()


def test_a_wrong_answer_is_asked_for_again_at_once(tmp_path, monkeypatch, capsys):
    path = tmp_path / "config.yaml"
    answers = ["nowhere", "us-east-1", "me", "me@example.org", "hook", "ssm:/mine/hook"]
    assert initialised(path, monkeypatch, *answers) == 0
    said = capsys.readouterr().err
    assert "Error: 'nowhere' is not an AWS region" in said
    assert said.count("Who gets mail") == said.count("Home region") == 2
    config = load(path)
    assert (config.region, config.topic.emails) == ("us-east-1", ("me@example.org",))
    assert config.channels[0].url == "ssm:/mine/hook"


@pytest.mark.parametrize("address", ["{a}@example.org", "*a@example.org", "a#b@example.org"])
def test_an_address_is_not_read_as_yaml(address):
    text = fresh(example(), "en", **MINE | {"email": address})
    assert parse(yaml.safe_load(text)).topic.emails == (address,)


@pytest.mark.parametrize("reference", ['file:my "hook"', "file:훅\\n", "env:HOOK"])
def test_a_reference_is_kept_as_it_was_given(reference):
    text = fresh(example(), "en", **MINE | {"webhook": reference})
    assert parse(yaml.safe_load(text)).channels[0].url == reference


def test_init_never_writes_over_what_is_there(tmp_path, monkeypatch, capsys):
    path = tmp_path / "config.yaml"
    path.write_text("mine", encoding="utf-8")
    assert initialised(path, monkeypatch, options=["--defaults"]) == 1
    assert path.read_text("utf-8") == "mine"
    assert "is there already" in capsys.readouterr().err


def test_what_came_there_between_the_question_and_the_answer_is_not_written_over(
    tmp_path, monkeypatch, capsys
):
    path = tmp_path / "config.yaml"

    def answer(_):
        path.write_text("mine", encoding="utf-8")
        return ""

    monkeypatch.setattr("click.termui.visible_prompt_func", answer)
    assert main(["init", "--config", str(path)]) == 1
    assert path.read_text("utf-8") == "mine"
    assert "cannot be written: File exists" in capsys.readouterr().err


def test_init_writes_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("CTWATCH_CONFIG", str(tmp_path / "there.yaml"))
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--defaults"]) == 0
    assert os.listdir(tmp_path) == ["there.yaml"]  # noqa: PTH208 - names are what is asked for
