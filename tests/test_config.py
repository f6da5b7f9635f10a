import re
import time
import traceback
import tracemalloc
from pathlib import Path

import pytest
import yaml
from golden_text import GOLDEN, hold
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ctwatch import config
from ctwatch.config import Complaint, Config, InvalidConfigError
from ctwatch.errors import ConfigError
from ctwatch.secret import HOW_TO_WRITE

EXAMPLE = Path(__file__).parent.parent / "config.example.yaml"
CHANNEL = {"type": "discord", "url": "env:DISCORD_WEBHOOK_URL"}
TOKEN = "Zq3-S3cret_" + "x" * 57
URL = f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}"


def complaints(document):
    with pytest.raises(InvalidConfigError) as caught:
        config.parse(document)
    return caught.value.complaints


def complaint(**document):
    """The only complaint about a configuration that is otherwise right."""
    (only,) = complaints({"channels": [CHANNEL], **document})
    return only


def written(folder, content):
    path = folder / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(folder, content):
    with pytest.raises(InvalidConfigError) as caught:
        config.load(written(folder, content))
    return caught.value


# ------------------------------------------------------------------ what is right


def test_one_channel_is_enough_and_the_rest_is_the_workbook():
    watch = config.parse({"channels": [CHANNEL]})
    assert watch.document == {
        "name": "ctwatch",
        "region": "ap-northeast-2",
        "regions": (),
        "route": "fanout",
        "bucket": {"name": "s3-cloudtrail-monitor-{account}-{region}-an", "lifecycle": None},
        "trail": {
            "existing": None,
            "name": "ct-trail-monitor",
            "multi_region": True,
            "insights": (),
            "kms": None,
            "cloudwatch_logs": False,
            "log_retention_days": 365,
            "delivery_notifications": False,
        },
        "topic": {"name": "sns-cloudtrail-alarm", "emails": (), "sms": (), "kms": None},
        "function": {
            "name": "lambda-ct-detect-alarm",
            "runtime": "python3.13",
            "architecture": "x86_64",
            "secret": "ssm",
            "log_retention_days": 30,
        },
        "channels": ({**CHANNEL, "name": "discord", "min_severity": "low", "only": ()},),
        "alerts": {"language": "ko", "timezone": "Asia/Seoul"},
        "detections": (),
        "rules": (
            {
                "name": "eventbridge-ct-detect",
                "detection": "trail-tampering",
                "except": {"actors": (), "ips": (), "user_agents": ()},
            },
        ),
        "tags": (),
    }


def test_one_address_is_enough():
    assert config.parse({"topic": {"emails": ["a.b+c@mail.example.com"]}}).channels == ()
    assert config.parse({"topic": {"sms": ["+821012345678"]}}).topic.sms == ("+821012345678",)


def test_a_root_login_at_home_in_us_east_1_needs_no_other_region():
    rules = [{"name": "r", "detection": "root-login"}]
    document = {"region": "us-east-1", "trail": {"multi_region": False}, "rules": rules}
    assert config.parse({"channels": [CHANNEL], **document}).trail.multi_region is False


def test_all_regions_become_those_of_the_account():
    watch = config.parse({"channels": [CHANNEL], "regions": "all"})
    assert watch.regions == (config.ALL_REGIONS,)
    assert watch.with_regions(["eu-west-1", "us-east-1"]).regions == ("eu-west-1", "us-east-1")


def test_channels_of_every_type_stand_beside_each_other_each_with_its_own_wishes():
    given = [
        {"type": "discord", "url": "env:A"},
        {"type": "slack", "url": "ssm:/b", "min_severity": "high"},
        {"type": "teams", "url": "file:c", "only": ["trail-tampering", "root-login"]},
        {"type": "webhook", "url": "env:D", "min_severity": "medium", "only": []},
        {"type": "webhook", "url": "env:E", "name": "second"},
    ]
    found = config.parse({"channels": given}).filled("123456789012").channels
    assert [(one.type, one.name, one.url, one.min_severity, one.only) for one in found] == [
        ("discord", "discord", "env:A", "low", ()),
        ("slack", "slack", "ssm:/b", "high", ()),
        ("teams", "teams", "file:c", "low", ("trail-tampering", "root-login")),
        ("webhook", "webhook", "env:D", "medium", ()),
        ("webhook", "second", "env:E", "low", ()),
    ]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"type": "slak"},
            (
                "channels[0].type: 'slak' may not stand here; possible: discord, slack, teams,"
                " webhook, did you mean 'slack'?"
            ),
        ),
        (
            {"type": "Webhook"},
            (
                "channels[0].type: the value may not stand here; possible: discord, slack, teams,"
                " webhook, did you mean 'webhook'?"
            ),
        ),
        (
            {"min_severity": "hgih"},
            (
                "channels[0].min_severity: 'hgih' may not stand here; possible: low, medium, high,"
                " critical, did you mean 'high'?"
            ),
        ),
        (
            {"min_severity": 3},
            "channels[0].min_severity: must be text, not a number (put it in quotes)",
        ),
        (
            {"min_severity": None},
            "channels[0].min_severity: is empty: give it a value or remove the key",
        ),
        ({"severity": "high"}, "channels[0].severity: unknown key, did you mean 'min_severity'?"),
        ({"only": "root-login"}, "channels[0].only: must be a list, not text"),
        (
            {"only": ["trail-tampering", "root-logn"]},
            "channels[0].only[1]: there is no detection 'root-logn', did you mean 'root-login'?",
        ),
        ({"only": [1]}, "channels[0].only[0]: must be text, not a number (put it in quotes)"),
        (
            {"only": ["root-login", "root-login"]},
            "channels[0].only[1]: 'root-login' is already at channels[0].only[0]",
        ),
    ],
)
def test_what_is_wrong_with_a_channel_is_named(entry, said):
    assert str(complaint(channels=[{**CHANNEL, **entry}])) == said


def test_two_channels_of_a_type_need_a_name_that_tells_them_apart():
    two = [{"type": "webhook", "url": "env:A"}, {"type": "webhook", "url": "env:B"}]
    said = str(complaint(channels=two))
    assert said == "channels[1].name: 'webhook' is already at channels[0].name"


def test_a_config_cannot_be_changed_and_can_be_a_key():
    watch = config.parse({"channels": [CHANNEL]})
    with pytest.raises(ValidationError):
        watch.name = "other"
    assert {watch: 1}[config.parse({"channels": [CHANNEL]})] == 1


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("bucket", "lifecycle", {"expire_days": 1}),
        ("bucket", "name", "a.b-c1"),
        ("trail", "name", "a" * 121),
        ("trail", "insights", ("api-call-rate", "api-error-rate")),
        ("topic", "name", "a_" * 128),
        ("function", "name", "f_-" + "a" * 61),
        ("function", "runtime", "python3.11"),
        ("function", "architecture", "arm64"),
        ("function", "log_retention_days", 3653),
        ("alerts", "language", "en"),
        ("alerts", "timezone", "America/Argentina/Ushuaia"),
    ],
)
def test_every_allowed_value_is_taken(section, key, value):
    watch = config.parse({"channels": [CHANNEL], section: {key: value}})
    given = getattr(getattr(watch, section), key)
    assert (given.model_dump(exclude_unset=True) if key == "lifecycle" else given) == value


@pytest.mark.parametrize(
    "region", ["us-gov-west-1", "cn-northwest-1", "ap-southeast-8", "eusc-de-east-1"]
)
def test_a_region_of_any_partition_or_of_next_year_is_taken(region):
    document = {"channels": [CHANNEL], "bucket": {"name": "logs"}, "region": region}
    assert config.parse(document).region == region


# ------------------------------------------------------------------ what is wrong


def test_all_mistakes_are_told_at_once_one_on_each_line(tmp_path):
    path = written(
        tmp_path,
        "tirail: {}\nregion: ap-notheast-2\ntopic: {emails: [foo]}\nname: a\nname: b\n"
        "channels: [{type: discord, url: env:A}, {type: discord, url: env:B}]\n"
        "rules: [{name: x y, detection: trail-tamper}]\n",
    )
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert caught.value.problem.splitlines() == [
        f"{path}: {line}"
        for line in (
            "name: 'b' is 1 characters long, the name of a watch has 2 to 40",
            "region: 'ap-notheast-2' is not an AWS region, did you mean 'ap-northeast-2'?",
            "topic.emails[0]: 'foo' is not an e-mail address",
            "rules[0].name: 'x y' may hold only letters, digits, '.', '_' and '-'",
            (
                "rules[0].detection: there is no detection 'trail-tamper', "
                "did you mean 'trail-tampering'?"
            ),
            "tirail: unknown key, did you mean 'trail'?",
            "name: written twice, on line 4 and on line 5",
            "channels[1].name: 'discord' is already at channels[0].name",
        )
    ]
    assert caught.value.exit_code == 2
    assert "config.example.yaml" in caught.value.hint
    assert caught.value.complaints[-3] == Complaint("tirail", "unknown key", "trail")


@pytest.mark.parametrize(
    ("document", "path", "reason", "suggestion"),
    [
        ({"emails": ["a@b.co"]}, "emails", "unknown key", "topic.emails"),
        ({"timezone": "UTC"}, "timezone", "unknown key", "alerts.timezone"),
        ({"Trail": {}}, "Trail", "unknown key", "trail"),
        ({"trail": {"insight": []}}, "trail.insight", "unknown key", "insights"),
        (
            {"alerts": {"zz": 1}},
            "alerts.zz",
            "unknown key; known here: language, timezone",
            "",
        ),
        (
            {"bucket": {"lifecycle": {"expire_days": 2, "archive_day": 1}}},
            "bucket.lifecycle.archive_day",
            "unknown key",
            "archive_days",
        ),
        ({"channels": [{**CHANNEL, "nmae": "x"}]}, "channels[0].nmae", "unknown key", "name"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_right_one(document, path, reason, suggestion):
    assert complaint(**document) == Complaint(path, reason, suggestion)


@pytest.mark.parametrize(
    ("document", "path", "reason"),
    [
        ({"name": 42}, "name", "must be text, not a number (put it in quotes)"),
        (
            {"alerts": {"language": False}},
            "alerts.language",
            "must be text, not true or false (put it in quotes)",
        ),
        ({"name": ["a"]}, "name", "must be text, not a list"),
        ({"trail": "x"}, "trail", "must be a mapping of keys, not text"),
        ({"trail": None}, "trail", "is empty: give it a value or remove the key"),
        ({"channels": ["x"]}, "channels[0]", "must be a mapping of keys, not text"),
        ({"topic": {"emails": "a@b.co"}}, "topic.emails", "must be a list, not text"),
        ({"topic": {"emails": {"a": 1}}}, "topic.emails", "must be a list, not a mapping"),
        (
            {"function": {"log_retention_days": "30"}},
            "function.log_retention_days",
            "a whole number, not text",
        ),
        (
            {"function": {"log_retention_days": True}},
            "function.log_retention_days",
            "not true or false",
        ),
        (
            {"bucket": {"lifecycle": {"expire_days": 0}}},
            "bucket.lifecycle.expire_days",
            "must be at least 1",
        ),
        (
            {"bucket": {"lifecycle": {"expire_days": 10**9}}},
            "bucket.lifecycle.expire_days",
            "must be at most 36500",
        ),
        ({"bucket": {"lifecycle": {}}}, "bucket.lifecycle.expire_days", "this key is missing"),
        (
            {"bucket": {"lifecycle": {"expire_days": 9, "archive_days": 9}}},
            "bucket.lifecycle",
            "archive_days must be less than expire_days",
        ),
        (
            {"channels": [{"type": "discord"}]},
            "channels[0].url",
            f"this key is missing: {HOW_TO_WRITE}",
        ),
        ({"channels": [{"url": "env:A"}]}, "channels[0].type", "this key is missing"),
        ({"regions": 5}, "regions", "must be a list, not a number"),
        ({"regions": ["eu-west-1", "all"]}, "regions", "'all' stands by itself: regions: all"),
        ({"topic": {"sms": [821012345678]}}, "topic.sms[0]", "not a number (put it in quotes)"),
        ({"topic": {"sms": ["010-1234"]}}, "topic.sms[0]", "as in '+821012345678' (E.164)"),
        (
            {"channels": [{**CHANNEL, "name": "topic"}]},
            "channels[0].name",
            "'topic' is what the log calls the topic itself: choose another name",
        ),
        (
            {"trail": {"multi_region": False}, "regions": "all"},
            "regions",
            "a trail of one region tells EventBridge nothing of another",
        ),
        (
            {
                "trail": {"multi_region": False},
                "rules": [{"name": "r", "detection": "root-login"}],
            },
            "rules[0].detection",
            f"'root-login' is recorded in us-east-1, and {config._ONE_REGION}",
        ),
        ({"rules": []}, "rules", "nothing would be detected: add a rule or remove the key"),
        ({5: 6}, "[5]", "a key must be text"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_with_what_belongs_there(document, path, reason):
    found = complaints({"channels": [CHANNEL], **document})
    assert [each.path for each in found] == [path]
    assert found[0].reason.endswith(reason)


@pytest.mark.parametrize(
    ("document", "path", "suggestion"),
    [
        ({"route": "fan-out"}, "route", "fanout"),
        ({"trail": {"insights": ["api-call"]}}, "trail.insights[0]", "api-call-rate"),
        ({"function": {"runtime": "python313"}}, "function.runtime", "python3.13"),
        ({"function": {"architecture": "x86-64"}}, "function.architecture", "x86_64"),
        ({"function": {"log_retention_days": 31}}, "function.log_retention_days", "30"),
        ({"alerts": {"timezone": "Asia/Soul"}}, "alerts.timezone", "Asia/Seoul"),
        ({"region": "us-esat-1"}, "region", "us-east-1"),
        ({"trail": {"name": "t-{acount}"}}, "trail.name", "{account}"),
        (
            {"rules": [{"name": "{regoin}", "detection": "trail-tampering"}]},
            "rules[0].name",
            "{region}",
        ),
    ],
)
def test_the_nearest_right_value_is_suggested(document, path, suggestion):
    found = complaint(**document)
    assert (found.path, found.suggestion) == (path, suggestion)


@pytest.mark.parametrize("zone", ["", "Asia", "/etc/localtime", "../UTC", "a\0b", "KST+9x"])
def test_what_is_no_time_zone_is_refused(zone):
    assert "not an IANA time zone" in complaint(alerts={"timezone": zone}).reason


@pytest.mark.parametrize(
    "region", ["", "seoul", "ap-northeast-2a", "AP-NORTHEAST-2", "ap-nord-1", "ap-northeast-٢"]
)
def test_what_is_no_region_is_refused(region):
    assert complaint(region=region).path == "region"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "foo",
        "a@b",
        "a@@b.co",
        "a b@c.co",
        "a@b..co",
        ".a@b.co",
        "a@-b.co",
        "한글@b.co",
        "a@b.co\n",
        "a" * 65 + "@b.co",
        "a@" + "b." * 130 + "co",
        "a,b@c.co",
        "mailto:a@b.co",
        "a@1.2.3.4",
    ],
)
def test_what_is_no_address_is_refused(address):
    assert complaint(topic={"emails": [address]}).path == "topic.emails[0]"


NAMES = {
    "bucket": [
        "ab",
        "a" * 64,
        "Upper",
        "a_b",
        "-ab",
        "ab-",
        "a..b",
        "1.2.3.4",
        "xn--a",
        "sthree-a",
        "amzn-s3-demo-a",
        "a-s3alias",
        "a--ol-s3",
        "a.mrap",
        "a--x-s3",
        "a--table-s3",
        "로그",
        "aws-controltower-x",
        "{account",
        "x-an",
        "-{account}-{region}-an",
        "x-{region}-{account}-an",
        "x-{account}-us-east-1-an",
        "a" * 33 + "-{account}-{region}-an",
    ],
    "trail": [
        "ab",
        "a" * 122,
        "-ab",
        "ab.",
        "a--b",
        "a._b",
        "a b",
        "1.2.3.4",
        "트레일",
        "{x}ab",
        "aws-controltower-BaselineCloudTrail",
    ],
    "topic": ["", "a" * 257, "a.b", "a.fifo", "주제", "aws-controltower-x"],
    "function": ["", "a" * 65, "a.b", "함수", "AWS-ControlTower-x", "f-{account}" + "a" * 51],
}


@pytest.mark.parametrize(("section", "name"), [(k, n) for k, names in NAMES.items() for n in names])
def test_a_name_that_aws_would_refuse_is_refused(section, name):
    assert complaint(**{section: {"name": name}}).path == f"{section}.name"


@pytest.mark.parametrize("name", ["", "a" * 65, "a b", "규칙", "a/b", "aws-controltower-x"])
def test_a_rule_name_that_aws_would_refuse_is_refused(name):
    rule = {"name": name, "detection": "trail-tampering"}
    assert complaint(rules=[rule]).path == "rules[0].name"


@pytest.mark.parametrize(
    "name", ["a", "a" * 41, "a_b", "a.b", "aws-watch", "SSM1", "-a", "a-", "{account}"]
)
def test_a_watch_name_that_could_not_begin_other_names_is_refused(name):
    assert complaint(name=name).path == "name"


@pytest.mark.parametrize("name", ["", "a" * 33, "A", "a_b", "채널"])
def test_a_channel_name_is_plain(name):
    assert complaint(channels=[{**CHANNEL, "name": name}]).path == "channels[0].name"


def test_reasons_say_what_a_name_may_be():
    assert complaint(bucket={"name": "My_Logs"}).reason == (
        "'My_Logs' may hold only lowercase letters, digits, '.' and '-'"
    )
    assert complaint(bucket={"name": "a" * 33 + "-{account}-{region}-an"}).reason == (
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-{account}-{region}-an' is 64 characters long, "
        "the name of a bucket has 3 to 63 (filled in)"
    )
    assert "leave off '.fifo'" in complaint(topic={"name": "a.fifo"}).reason


def test_a_region_without_account_regional_names_says_so():
    assert "leave off '-an'" in complaint(region="me-south-1").reason
    document = {"channels": [CHANNEL], "region": "me-south-1", "bucket": {"name": "x-{account}"}}
    assert not config.parse(document).bucket.account_regional


@pytest.mark.parametrize(
    "document", [{}, {"channels": []}, {"channels": None, "topic": {"emails": []}}]
)
def test_a_watch_that_nobody_would_hear_is_refused(document):
    found = [each for each in complaints(document) if "nobody would hear" in each.reason]
    assert [each.path for each in found] == ["channels"]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"topic": {"emails": ["a@b.co", "A@B.co"]}}, "topic.emails[1]"),
        ({"trail": {"insights": ["api-call-rate"] * 2}}, "trail.insights[1]"),
        (
            {"channels": [{**CHANNEL, "name": "x"}, CHANNEL, {**CHANNEL, "name": "x"}]},
            "channels[2].name",
        ),
        ({"rules": [{"name": "r", "detection": "trail-tampering"}] * 2}, "rules[1].name"),
    ],
)
def test_what_stands_twice_is_refused(document, path):
    found = complaint(**document)
    assert found.path == path
    assert "is already at" in found.reason


def test_the_environment_has_room_for_one_channel():
    two = [CHANNEL, {**CHANNEL, "name": "second"}]
    assert complaint(channels=two, function={"secret": "env"}).path == "function.secret"
    assert len(config.parse({"channels": two}).channels) == 2
    assert (
        config.parse({"channels": [CHANNEL], "function": {"secret": "env"}}).function.secret
        == "env"
    )


# ------------------------------------------------------------------ secrets


@pytest.mark.parametrize(
    "document",
    [
        {"channels": [{"type": "discord", "url": URL}]},
        {"channels": [{"type": "discord", "url": TOKEN}]},
        {"channels": [{"type": "discord", "url": [TOKEN]}]},
        {"channels": [{"type": URL, "url": "env:A"}]},
        {"channels": [{**CHANNEL, URL: None}]},
        {"channels": [URL]},
        {"channels": [{**CHANNEL, "webhook": URL}]},
        {"channels": [{**CHANNEL, "name": URL}]},
        {"channels": URL},
        {"topic": {"emails": [URL, URL]}},
        {"topic": {"name": TOKEN + "."}},
        {"function": {"secret": URL}},
        {"rules": [{"name": "x", "detection": URL}]},
        {"trail": {"name": "{" + URL + "}"}},
        {URL: 1},
    ],
)
def test_a_secret_in_any_place_is_never_repeated(document):
    with pytest.raises(ConfigError) as caught:
        config.parse({"channels": [CHANNEL], **document})
    said = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert TOKEN not in said
    assert all(TOKEN not in each.suggestion + each.path for each in caught.value.complaints)


@pytest.mark.parametrize(
    "text",
    [
        f"url: !{URL} x",
        f"url: *{TOKEN}",
        f"url: &{TOKEN} x",
        f"url: {{{URL}",
        f"url: '{URL}",
        f"url: !{TOKEN}!x y",
        f"- {URL}",
        URL,
        f"%TAG {URL}\n---\na: b",
        f"? {{{TOKEN}: 1}}\n: 2",
        f"{TOKEN}: 1\n{TOKEN}: 2",
    ],
)
def test_a_secret_in_broken_yaml_is_never_repeated(tmp_path, text):
    error = refused(tmp_path, text)
    assert TOKEN not in "".join(traceback.format_exception(error)) + error.hint


@pytest.mark.parametrize(
    "value", ["https://hooks.slack.com/services/T0/B0/abc", "discord.com/api/webhooks/1/abc"]
)
def test_a_short_secret_url_is_not_repeated_either(value):
    found = complaint(function={"name": value})
    assert found.reason == "the value may hold only letters, digits, '_' and '-'"


def test_a_url_is_refused_with_how_to_write_it():
    found = complaint(channels=[{"type": "discord", "url": URL}])
    assert found.path == "channels[0].url"
    assert "env:NAME, ssm:/path or file:path" in found.reason


# ------------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty; at least a channel"),
        ("# nothing\n---\n", "is empty; at least a channel"),
        ("- a\n", "must be a mapping of keys such as 'name: ctwatch'"),
        ("text", "must be a mapping of keys such as 'name: ctwatch'"),
        (b"name: \xff", "is not UTF-8 text (byte 6)"),
        (b"#" * 262_145, "is larger than 256 KB, that is no configuration"),
        ("name: two".encode("utf-16"), "is not UTF-8 text (byte 0), it looks like UTF-16: save"),
        (
            "name: two".encode("utf-16-le"),
            "line 1: the character U+0000 may not stand here, it looks like UTF-16: save it as",
        ),
        (
            "name: two".encode("utf-16-be"),
            "line 1: the character U+0000 may not stand here, it looks like UTF-16: save it as",
        ),
        ("name: \xe4\n".encode("latin-1"), "is not UTF-8 text (byte 6)"),
        (b"name: two\0\n", "line 1: the character U+0000 may not stand here"),
        ("a: &a [1]\nb: &b [*a, *a]\nc: [*b, *b]", "line 1, column 4: anchors and aliases"),
        ("<<: {name: two}", "unknown key"),
        ("a: b: c", "line 1, column 5: mapping values are not allowed here"),
        ("name: a\n\tregion: b", "line 2, column 1: while scanning"),
        (
            "trail: [a\nregion: b",
            "line 2, column 7: while parsing a flow sequence, expected ',' or ']'",
        ),
        (
            "a: 1\n---\nb: 2",
            "line 2, column 1: expected a single document in the stream, but found",
        ),
        (
            "a: &x [1]\nb: *x",
            "line 1, column 4: anchors and aliases (& and *) may not be used here",
        ),
        ("a: *x", "line 1, column 4: anchors and aliases"),
        ("a: !!python/object:os.system x", "line 1, column 4: tags (!) may not be used here"),
        ("a: !!str 5", "line 1, column 4: tags"),
        ("a: " + "[" * 5000, "line 1, column 23: more than 20 levels deep"),
        ("a: 1\nb: \x07", "line 2: the character U+0007 may not stand here"),
        (r'a: "\U7fffffff"', "is not YAML that can be understood"),
        ("{[a]: 1}", "line 1: a key must be a single word"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_with_the_place(tmp_path, content, reason):
    error = refused(tmp_path, content)
    assert error.exit_code == 2
    assert any(each.reason.startswith(reason) for each in error.complaints), error.problem
    assert error.problem.startswith(f"{tmp_path / 'config.yaml'}: ")


def refusal(text):
    return lambda path: path.write_bytes(text)


def sparse(path):
    with path.open("wb") as file:
        file.truncate(10_000_000)


# What is refused, and what a reader without bounds would take ages or gigabytes for.
BOMBS = {
    "ten megabytes": sparse,
    "a billion laughs": refusal(
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(
            b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 9)) for n in range(98, 107)
        )
    ),
    "a thousand levels of lists": refusal(b"a: " + b"[" * 1000 + b"]" * 1000),
    "a thousand levels of mappings": refusal(b"{a: " * 1000 + b"}" * 1000),
    "a thousand levels of indentation": refusal(
        b"".join(b" " * n + b"a:\n" for n in range(1000))[:200_000]
    ),
    "keys of keys": refusal(b"? " * 1000),
    "an object": refusal(b"a: !!python/object/apply:os.system [exit]"),
    "an integer of a hundred thousand digits": refusal(b"region: " + b"9" * 100_000),
    "the same key again and again": refusal(b"name: two\n" * 20_000),
    "nothing but unknown keys": refusal(b"".join(b"regoin%d: x\n" % n for n in range(15_000))),
    "nothing but wrong regions": refusal(b"regions: [" + b"us-esat-1, " * 20_000 + b"]"),
    "nothing but wrong addresses": refusal(
        b"topic: {emails: [" + b"".join(b"a%d.., " % n for n in range(20_000)) + b"]}"
    ),
    "an address of one letter": refusal(b"topic: {emails: [" + b"a" * 200_000 + b"!]}"),
    "a name of braces": refusal(b"topic: {name: '" + b"{" * 200_000 + b"'}"),
    "sequences in a row": refusal(b"a: [" + b"{a: b}, " * 20_000 + b"]"),
}
_SMALL = {"a billion laughs", "a thousand levels of lists", "keys of keys", "an object"}


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(one, marks=[] if name in _SMALL else pytest.mark.exhaustive, id=name)
        for name, one in BOMBS.items()
    ],
)
def test_a_bomb_is_refused_in_seconds_and_megabytes(tmp_path, bomb):
    bomb(path := tmp_path / "config.yaml")
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidConfigError) as caught:
            config.load(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 30  # tracing takes most of it: 2 without
    assert most < 200_000_000
    assert caught.value.exit_code == 2
    assert len(caught.value.problem.splitlines()) <= 101


def test_of_very_many_mistakes_the_first_are_told_and_the_rest_counted(tmp_path):
    text = "topic: {emails: [a@b.co]}\n" + "".join(f"zz{n}: x\n" for n in range(150))
    error = refused(tmp_path, text)
    lines = error.problem.splitlines()
    assert len(error.complaints) == 150
    assert len(lines) == 101
    assert lines[-1].endswith("config.yaml: and 50 mistakes more")
    long = refused(tmp_path, f"regions: [{'us-east-1, ' * 1001}]\ntopic: {{emails: [a@b.co]}}")
    assert long.complaints[0] == Complaint(
        "regions", "has 1001 entries, and 1000 at most may stand there"
    )


EVERY_KIND = """\
tirail: {}
emials: [a@b.co]
name: a
name: b
region: ap-notheast-2
route: fnout
tags: {"aws:x": "1", cost: 12, "": "x"}
bucket:
  name: UPPER
  lifecycle: {expire_days: 0, archive_dais: 30}
trail:
  name: two..dots
  insights: [api-call-rte]
  kms: alias/mine
  multi_region: perhaps
topic:
  emails: [foo, a@b.co, a@b.co]
  sms: ["0101234"]
function: {timezone: UTC, runtime: python3, memory: lots, secret: enc}
channels:
  - {type: discrod, url: env:A}
  - {type: slack, url: https://hooks.slack.com/services/T0/B0/abc}
  - {type: teams}
  - {type: webhook, url: env:A, min_severity: hihg, only: [trail-tamper]}
  - text
alerts: {language: kr, timezone: Asia/Soeul}
rules:
  - {name: x y, detection: trail-tampering}
  - {name: ok, detection: root-lgoin, except: {actors: ["*"], adresses: [x]}}
  - {name: OK, detection: [a]}
detections: [{id: Mine}]
"""


def test_a_config_with_every_kind_of_mistake_tells_all_of_them_at_once(tmp_path):
    told = refused(tmp_path, EVERY_KIND).problem.replace(f"{tmp_path / 'config.yaml'}: ", "")
    hold(GOLDEN / "mistakes.txt", f"{told}\n")


def test_a_missing_file_comes_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "config.yaml")
    assert caught.value.problem == f"{tmp_path / 'config.yaml'}: there is no such file"
    assert caught.value.hint == f"Write one with: ctwatch init --config {tmp_path / 'config.yaml'}"


def test_a_folder_is_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        config.load(tmp_path)


def test_a_path_that_the_system_refuses_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: File name too long"):
        config.load(tmp_path / ("x" * 300))


def test_a_key_written_twice_is_named_with_both_lines(tmp_path):
    error = refused(tmp_path, "topic: {emails: [a@b.co]}\ntrail:\n  name: abc\n  name: abd\n")
    assert error.complaints == (Complaint("trail.name", "written twice, on line 3 and on line 4"),)
    assert (
        "on line 1 and on line 1"
        in refused(tmp_path, "{topic: {emails: [a@b.co]}, name: ab, name: ab}").problem
    )


def test_a_byte_order_mark_and_windows_newlines_do_not_matter(tmp_path):
    path = written(tmp_path, b"\xef\xbb\xbfname: two\r\ntopic:\r\n  emails: [a@b.co]\r\n")
    assert config.load(path).name == "two"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("~", None),
        ("on", True),
        ("No", False),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("0x1F", "0x1F"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("=", "="),
        ("9" * 5000, "9" * 5000),
        ('"12"', "12"),
        (r'"\ud800"', "?"),
        ("'on'", "on"),
    ],
)
def test_a_scalar_means_what_it_looks_like(tmp_path, text, value):
    document, _ = config._read(written(tmp_path, f"a: {text}"))
    assert document == {"a": value}


words = st.sampled_from(
    ["name", "channels", "topic", "emails", "url", "type", "rules", "trail", "bucket", "lifecycle"]
)
marks = [": ", "\n", "- ", "{", "}", "[", "]", ", ", "'", '"', "&a ", "*a", "!x ", "? ", "| ", "> "]
marks += ["%", "\t", "  ", "#", "<<", "1_", "0b_", "---\n", "...", "\\U", "\ufeff"]
piece = words | st.sampled_from(marks) | st.text(max_size=4)
yamlish = st.text(max_size=60) | st.lists(piece, max_size=25).map("".join)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=5), inner),
    max_leaves=12,
)


def outcome(read, document):
    """The configuration, or else the error: nothing other may come out."""
    try:
        return read(document)
    except InvalidConfigError as error:
        return error


def is_told_line_by_line(error, source):
    lines = error.problem.splitlines()
    return len(lines) == len(error.complaints) and all(x.startswith(f"{source}: ") for x in lines)


@given(yamlish)
def test_any_text_gives_a_config_or_a_config_error(tmp_path_factory, text):
    path = written(tmp_path_factory.getbasetemp(), text.encode(errors="surrogatepass"))
    result = outcome(config.load, path)
    assert isinstance(result, Config) or is_told_line_by_line(result, path)


@given(st.dictionaries(words | st.sampled_from(sorted(Config.model_fields)), plain))
def test_any_document_gives_a_config_or_a_config_error(document):
    result = outcome(config.parse, document)
    assert isinstance(result, Config) or is_told_line_by_line(result, "config")


# ------------------------------------------------------------------ filling in


def test_placeholders_are_filled_in_everywhere():
    watch = config.parse(
        {
            "channels": [CHANNEL],
            "region": "us-east-1",
            "trail": {"name": "t-{region}"},
            "rules": [{"name": "r-{account}", "detection": "trail-tampering"}],
        }
    )
    filled = watch.filled("210987654321")
    assert filled.bucket.name == "s3-cloudtrail-monitor-210987654321-us-east-1-an"
    assert filled.trail.name == "t-us-east-1"
    assert filled.rules[0].name == "r-210987654321"
    assert filled.filled("210987654321") == filled
    assert watch.filled("210987654321", "eu-west-1").bucket.name.endswith("-eu-west-1-an")
    assert watch.filled("210987654321", "eu-west-1").region == "eu-west-1"
    assert watch.trail.name == "t-{region}"


def test_a_bucket_is_account_regional_before_and_after_filling_in():
    watch = config.parse({"channels": [CHANNEL]})
    assert watch.bucket.account_regional
    assert watch.filled("210987654321").bucket.account_regional
    other = config.parse({"channels": [CHANNEL], "bucket": {"name": "logs-{account}-{region}"}})
    assert not other.filled("210987654321").bucket.account_regional


def test_another_region_may_make_a_name_too_long():
    document = {"channels": [CHANNEL], "region": "us-east-1"}
    watch = config.parse({**document, "bucket": {"name": "b" * 37 + "-{account}-{region}-an"}})
    for change in (watch.with_region, lambda region: watch.filled("210987654321", region)):
        with pytest.raises(InvalidConfigError, match="is 68 characters long") as caught:
            change("ap-northeast-2")
        assert [each.path for each in caught.value.complaints] == ["bucket.name"]


def test_the_name_of_another_accounts_namespace_is_refused():
    bucket = {"name": "logs-111111111111-ap-northeast-2-an"}
    watch = config.parse({"channels": [CHANNEL], "bucket": bucket})
    assert watch.filled("111111111111").bucket.name == bucket["name"]
    with pytest.raises(InvalidConfigError, match=re.escape("only as -{account}-{region}-an")):
        watch.filled("222222222222")


@pytest.mark.parametrize(
    "account", ["", "12345678901", "1234567890123", "١٢٣٤٥٦٧٨٩٠١٢", "12345678901x"]
)
def test_what_is_no_account_is_refused(account):
    with pytest.raises(ConfigError, match="those have 12 digits"):
        config.parse({"channels": [CHANNEL]}).filled(account)


def test_rules_that_become_one_when_filled_in_are_refused():
    rules = [
        {"name": f"r-{end}", "detection": "trail-tampering"}
        for end in ("{account}", "210987654321")
    ]
    watch = config.parse({"channels": [CHANNEL], "rules": rules})
    with pytest.raises(InvalidConfigError, match=r"rules\[1\].name: .* is already at"):
        watch.filled("210987654321")


def test_another_region_leaves_the_rest():
    watch = config.parse({"channels": [CHANNEL]})
    assert watch.with_region("us-west-2") == config.parse(
        {"channels": [CHANNEL], "region": "us-west-2"}
    )
    with pytest.raises(ConfigError, match="did you mean 'us-west-2'"):
        watch.with_region("us-wset-2")


def test_a_region_that_is_not_known_is_taken_and_doubted():
    regions = ["eu-west-9", "us-east-1", "il-central-3"]
    document = {"channels": [CHANNEL], "region": "ap-northeast-9", "regions": regions}
    assert config.parse(document).region == "ap-northeast-9"
    told = {one.path: one.reason for one in config.warnings(document)}
    assert told == {
        "region": "'ap-northeast-9' is no region that this version of ctwatch knows; beside it are"
        " ap-northeast-1, ap-northeast-2, ap-northeast-3",
        "regions[0]": "'eu-west-9' is no region that this version of ctwatch knows; beside it are"
        " eu-west-1, eu-west-2, eu-west-3",
        "regions[2]": "'il-central-3' is no region that this version of ctwatch knows; beside it"
        " are il-central-1",
    }
    assert config.warnings({"region": "us-gov-west-1", "regions": "all"}) == []
    assert config.warnings({"region": 7, "regions": ["all", None]}) == []


@pytest.mark.parametrize(
    ("document", "linted"),
    [
        ({"detections": [{"id": "x"}], "rules": [{"name": "a", "detection": "x"}]}, True),
        (
            {"rules": [{"name": "a", "detection": "trail-tampering", "except": {"ips": ["x"]}}]},
            True,
        ),
        ({"rules": [{"name": "a", "detection": "trail-tempering"}]}, False),
        ({"detections": [{"id": "x"}], "nmae": "x"}, False),
    ],
)
def test_a_judgement_on_what_a_rule_hears_is_followed_by_the_way_to_lint_it(document, linted):
    with pytest.raises(InvalidConfigError) as caught:
        config.parse({"channels": [CHANNEL], **document})
    assert caught.value.hint.startswith(
        "ctwatch detections --lint FILE tells" if linted else "config.example.yaml shows"
    )


# ------------------------------------------------------------------ the example


def flat(value, path=""):
    """Each leaf's path and value; of a list, its first entry."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from flat(each, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        yield from flat(value[0], path)
    else:
        yield path, list(value) if isinstance(value, tuple) else value


def stated():
    """What the example says is the default of each key, by path."""
    parents = {}
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if key := re.match(r"(?:# )?([ -]*)(\w+):(?: |$)", line):
            indent = len(key[1])
            parents = {at: name for at, name in parents.items() if at < indent} | {indent: key[2]}
            if default := re.search(r"[#;] default: (.+)$", line):
                yield (
                    ".".join(name for _, name in sorted(parents.items())),
                    yaml.safe_load(default[1]),
                )


def test_the_example_is_right():
    watch = config.load(EXAMPLE)
    assert watch.trail.insights == ("api-call-rate", "api-error-rate")
    assert watch.topic.emails == ("security@example.com",)
    assert watch.channels[0].url == "env:DISCORD_WEBHOOK_URL"


def test_the_example_without_insights_and_people_is_the_default():
    document = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    del document["trail"]["insights"], document["topic"]["emails"]
    assert config.parse(document) == config.parse({"channels": [CHANNEL]})


def test_the_example_shows_every_key():
    document = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    assert [path for path, _ in flat(document)] == [
        path for path, _ in flat(config.parse({"channels": [CHANNEL]}).document)
    ]
    text = EXAMPLE.read_text("utf-8")
    for field in config.LifecycleConfig.model_fields:
        assert re.search(rf"^  #     {field}: ", text, re.MULTILINE)


def test_every_default_that_the_example_states_is_the_default():
    whole = config.parse({"channels": [CHANNEL]})
    defaults = dict(flat({**whole.document, "tags": whole.labels}))
    said = dict(stated())
    assert {path: value for path, value in said.items() if "lifecycle." not in path} == {
        path: value
        for path, value in defaults.items()
        if path not in {"channels.type", "channels.url", "channels.name"}
    }


def test_the_other_channel_in_the_examples_comment_can_be_uncommented():
    text = EXAMPLE.read_text("utf-8")
    shown = re.sub(r"(?m)^# (?=  (- type: slack|  (url|name|min_severity|only):))", "", text)
    channels = config.parse(yaml.safe_load(shown)).channels
    assert [one.name for one in channels] == ["discord", "on-call"]
    assert (channels[1].min_severity, channels[1].only) == ("high", ("trail-tampering",))


def test_the_detection_and_the_rule_in_the_examples_comments_can_be_uncommented():
    text = EXAMPLE.read_text("utf-8").replace("detections: []", "detections:")
    begin, end = text.index("#   - id: "), text.index("# Which calls raise an alert")
    mine = re.sub(r"(?m)^#(?= )", "", text[begin:end])
    rule = text.index("#   - name: ")
    after = text.index("\n\n", rule)
    rules = re.sub(r"(?m)^# ", "", text[rule:after])
    shown = text[:begin] + mine + text[end:rule] + rules + text[after:]
    watch = config.parse(yaml.safe_load(shown))
    assert [one.detection for one in watch.rules] == ["trail-tampering", "logs-opened"]
    assert watch.known["logs-opened"].severity == "critical"
    assert watch.rules[1].excepted.ips == ("198.51.100.0/24", "203.0.113.7")


def test_the_lifecycle_in_the_examples_comment_can_be_uncommented():
    text = EXAMPLE.read_text("utf-8").replace("  lifecycle: null", "")
    shown = re.sub(
        r"^  #   (  )?(lifecycle|expire_days|archive_\w+):", r"  \1\2:", text, flags=re.MULTILINE
    )
    lifecycle = config.parse(yaml.safe_load(shown)).bucket.lifecycle
    assert lifecycle.model_dump() == {
        "expire_days": 365,
        "archive_days": 90,
        "archive_class": "GLACIER_IR",
    }
    fields = config.LifecycleConfig.model_fields
    for field in ("archive_days", "archive_class"):
        (default,) = re.findall(rf"#     {field}: .*default: (\w+)", text)
        assert yaml.safe_load(default) == fields[field].default
