import re
import sys
from pathlib import Path

import pytest
import yaml
from botocore.exceptions import ClientError

from ctwatch.aws import Aws
from ctwatch.errors import AwsError, ConfigError, CtwatchError
from ctwatch.opening import Choice, check_webhooks, opened

VARIABLE = "DISCORD_WEBHOOK_URL"
REAL = "https://discord.com/api/webhooks/123456789012345678/abc-DEF_ghi"


@pytest.fixture
def config(sandbox, tmp_path):
    """Writes a config with these channels and gives its path."""

    def write(*urls, **more):
        channels = [{"type": "discord", "name": f"c{n}", "url": url} for n, url in enumerate(urls)]
        document = {"channels": channels, "topic": {"emails": ["a@example.com"]}, **more}
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    return write


# ---------------------------------------------------------------- opening


def test_a_watch_is_opened_with_account_and_region_filled_in(config, sandbox):
    found = opened(Choice(config()))
    assert found.watch.place.account == sandbox.account
    assert found.aws.region == found.watch.place.region == found.config.region == "ap-northeast-2"
    assert found.watch.bucket.name == f"s3-cloudtrail-monitor-{sandbox.account}-ap-northeast-2-an"


def test_credentials_that_cannot_be_had_are_told_as_such(config, monkeypatch, tmp_path):
    fails = f"[default]\ncredential_process = {sys.executable} -c raise(SystemExit(1))\n"
    (tmp_path / "aws").write_text(fails, encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(AwsError, match=r"asking AWS who you are: .*custom-process"):
        opened(Choice(config()))


def test_opening_writes_nothing(config, sandbox):
    with sandbox.recording() as calls:
        opened(Choice(config(f"env:{VARIABLE}")), need_secrets=True)
    assert [call.operation for call in calls] == ["GetCallerIdentity"]


def test_the_region_of_the_command_line_outweighs_the_config_s(config):
    found = opened(Choice(config(region="eu-west-1"), region="us-west-2"))
    assert found.aws.region == found.watch.place.region == "us-west-2"
    assert found.watch.bucket.name.endswith("-us-west-2-an")
    assert found.watch.topic.arn.split(":")[3] == "us-west-2"


def test_a_region_that_is_none_is_refused(config):
    with pytest.raises(ConfigError, match="is not an AWS region"):
        opened(Choice(config(), region="us-wset-2"))


def test_a_region_that_aws_itself_has_named_is_in_no_doubt(config, monkeypatch):
    monkeypatch.setattr("ctwatch.config._REGIONS", ("ap-northeast-2",))  # as of long ago
    found = opened(Choice(config(regions="all")))
    assert {"ap-northeast-2", "eu-west-1"} < set(found.config.regions)
    assert found.doubts == ()
    [doubt] = opened(Choice(config(regions=["ap-northeast-2", "eu-west-1"]))).doubts
    assert doubt.path == "regions[1]"


@pytest.mark.parametrize(("region", "doubted"), [("ap-northeast-9", True), ("eu-west-1", False)])
def test_where_aws_does_not_say_who_we_are_a_region_that_is_not_known_is_doubted(
    config, monkeypatch, region, doubted
):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AwsError) as told:
        opened(Choice(config(region=region)))
    assert told.value.hint.startswith(f"region: '{region}' is no region") is doubted
    assert ("beside it are ap-northeast-1, ap-northeast-2" in told.value.hint) is doubted


def test_a_profile_that_is_not_there_is_refused(config):
    with pytest.raises(ConfigError, match="--profile"):
        opened(Choice(config(), profile="nobody"))


def test_without_credentials_nothing_is_opened(config, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AwsError, match="no AWS credentials were found"):
        opened(Choice(config()))


@pytest.mark.usefixtures("sandbox")
def test_a_config_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file") as told:
        opened(Choice(tmp_path / "none.yaml"))
    assert told.value.exit_code == 2


# ---------------------------------------------------------------- secrets


def test_a_secret_comes_from_the_environment(config, sandbox):
    found = opened(Choice(config(f"env:{VARIABLE}")), need_secrets=True)
    assert found.secrets == {"c0": sandbox.inbox.webhook_url}
    [secret] = found.watch.function.secrets
    assert secret.value == sandbox.inbox.webhook_url


def test_a_secret_comes_from_a_file_beside_the_config_wherever_one_stands(
    config, sandbox, tmp_path, monkeypatch
):
    path, url = config("file:hook"), sandbox.inbox.webhook_url
    (tmp_path / "hook").write_text(f"{url}\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for given in (path, Path("..", "config.yaml")):
        assert opened(Choice(given), need_secrets=True).secrets == {"c0": url}


def test_a_secret_comes_from_a_parameter_in_the_home_region(config):
    path = config("ssm:/my/hook", region="eu-west-1")
    opened(Choice(path)).aws.ssm.put_parameter(Name="/my/hook", Value=REAL, Type="SecureString")
    assert opened(Choice(path), need_secrets=True).secrets == {"c0": REAL}
    with pytest.raises(ConfigError, match="does not exist in this account and region"):
        opened(Choice(path, region="us-west-2"), need_secrets=True)


MISSING = [
    ("env:NOT_SET", "NOT_SET is not set"),
    ("file:none", "there is no file"),
    ("ssm:/none", "the SSM parameter /none does not exist"),
]


@pytest.mark.parametrize(("reference", "sentence"), MISSING)
def test_a_missing_secret_that_is_needed_is_told_with_its_key(config, reference, sentence):
    path = config(f"env:{VARIABLE}", reference)
    with pytest.raises(ConfigError, match=re.escape(sentence)) as told:
        opened(Choice(path), need_secrets=True)
    assert told.value.problem.startswith("channels[1].url: ")


@pytest.mark.parametrize("reference", [reference for reference, _ in MISSING])
def test_a_missing_secret_that_is_not_needed_is_not_compared(config, sandbox, reference):
    found = opened(Choice(config(f"env:{VARIABLE}", reference)))
    assert found.secrets == {"c0": sandbox.inbox.webhook_url, "c1": None}
    assert "value" not in found.watch.function.secrets[1].wanted


class Denied:
    def get_parameter(self, **_):
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetParameter")


def test_a_parameter_that_may_not_be_read_is_not_an_absent_one(config, monkeypatch):
    monkeypatch.setattr(Aws, "ssm", property(lambda _: Denied()))
    path = config("ssm:/my/hook")
    with pytest.raises(AwsError, match="reading the secret /my/hook: GetParameter") as told:
        opened(Choice(path), need_secrets=True)
    assert told.value.denied
    assert opened(Choice(path)).secrets == {"c0": None}


# ---------------------------------------------------------------- webhooks


@pytest.fixture
def check(config, sandbox, monkeypatch):
    """Checks a webhook that the environment names."""

    def of(url=sandbox.inbox.webhook_url):
        monkeypatch.setenv(VARIABLE, url)
        return check_webhooks(opened(Choice(config(f"env:{VARIABLE}")), need_secrets=True))

    return of


def test_a_webhook_that_answers_is_right_and_nothing_is_posted_to_it(check, sandbox):
    assert check() == []
    assert sandbox.inbox.posts == ()


def test_without_channels_there_is_nothing_to_check(config):
    assert check_webhooks(opened(Choice(config()), need_secrets=True)) == []


@pytest.mark.parametrize(
    ("was", "becomes", "status"), [(r"/(\d+)/", "/1/", 404), (r"/[^/]+$", "/wrong", 401)]
)
def test_a_webhook_that_is_no_more_is_refused(check, sandbox, was, becomes, status):
    url = re.sub(was, becomes, sandbox.inbox.webhook_url)
    with pytest.raises(CtwatchError, match=f"discord answers {status}") as told:
        check(url)
    assert told.value.problem.startswith("channels[0].url: ")
    assert "new webhook" in told.value.hint
    assert url not in told.value.problem + told.value.hint


def test_a_webhook_that_cannot_be_reached_is_a_warning(check):
    [warning] = check("http://127.0.0.1:9/api/webhooks/1/abc")
    assert warning.startswith("channels[0].url: could not be checked from here: ")
    assert "abc" not in warning


@pytest.mark.parametrize("status", [204, 301, 429, 500, 503])
def test_an_answer_that_says_neither_is_a_warning(check, monkeypatch, status):
    monkeypatch.setattr("ctwatch.opening.probe", lambda _: status)
    [warning] = check()
    assert str(status) in warning


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("slack", "https://hooks.slack.com/services/T0/B0/abc"),
        ("teams", "https://x.logic.azure.com/workflows/1?sig=abc"),
        ("webhook", "https://example.com/abc"),
    ],
)
def test_what_only_takes_posts_is_neither_asked_nor_warned_of(
    config, tmp_path, monkeypatch, kind, url
):
    asked = []
    path = config(f"env:{VARIABLE}")
    path.write_text(path.read_text().replace("type: discord", f"type: {kind}"))
    monkeypatch.setenv(VARIABLE, url)
    monkeypatch.setattr(Aws, "on_loopback", False)
    monkeypatch.setattr("ctwatch.opening.probe", asked.append)
    assert check_webhooks(opened(Choice(path), need_secrets=True)) == []
    monkeypatch.setenv(VARIABLE, "http://example.com/abc")
    with pytest.raises(ConfigError, match=r"channels\[0\].url: ") as told:
        check_webhooks(opened(Choice(path), need_secrets=True))
    assert "abc" not in told.value.problem + told.value.hint
    assert asked == []


def test_a_real_channel_is_never_asked_from_the_sandbox(check, monkeypatch):
    asked = []
    monkeypatch.setattr("ctwatch.opening.probe", asked.append)
    with pytest.raises(ConfigError, match="the webhook is a real Discord channel"):
        check(REAL)
    assert asked == []


def test_the_stand_in_is_refused_where_aws_is_real(check, monkeypatch):
    monkeypatch.setattr(Aws, "on_loopback", False)
    with pytest.raises(ConfigError, match="but AWS is not the sandbox"):
        check()


def test_a_real_channel_is_asked_where_aws_is_real(check, monkeypatch):
    asked = []
    monkeypatch.setattr(Aws, "on_loopback", False)
    monkeypatch.setattr("ctwatch.opening.probe", lambda url: asked.append(url) or 200)
    assert check(REAL) == []
    assert asked == [REAL]


def test_what_is_no_webhook_is_refused_without_being_repeated(check):
    with pytest.raises(ConfigError, match="not the URL of a Discord webhook") as told:
        check("https://example.com/secret")
    assert "example.com" not in told.value.problem
