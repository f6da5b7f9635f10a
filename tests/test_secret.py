import socket
import ssl
import threading
import time
import traceback
import urllib.error
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctwatch import secret
from ctwatch.errors import AwsError, ConfigError, CtwatchError

TOKEN = "Zq3-S3cret_" + "x" * 57
REAL = f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}"
STAND_IN = f"http://127.0.0.1:8123/api/webhooks/1/{TOKEN}"


def resolve(reference, folder, *, environ=None, read_parameter=None, key=""):
    return secret.resolve(
        reference, environ=environ or {}, read_parameter=read_parameter, folder=folder, key=key
    )


def everything_said(error):
    return "".join(traceback.format_exception(error)) + error.hint


# ------------------------------------------------------------------ references


@pytest.mark.parametrize(
    "reference", ["env:DISCORD_WEBHOOK_URL", "env:_x1", "ssm:/ctwatch/discord", "file:a/b c.txt"]
)
def test_a_well_written_reference_has_no_fault(reference):
    assert secret.reference_fault(reference) == ""


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (REAL, "it is a secret"),
        (f"env:{REAL}", "it is a secret"),
        (f"file:discord.com/api/webhooks/1/{TOKEN}", "it is a secret"),
        (TOKEN, "is not a reference"),
        (f"vault:{TOKEN}", "is not a reference"),
        ("env", "is not a reference"),
        ("env:", "environment variable"),
        (f"env:1{TOKEN}", "environment variable"),
        ("env:A B", "environment variable"),
        ("ssm:ctwatch", "SSM parameter"),
        ("ssm:/a//b", "SSM parameter"),
        ("ssm:" + "/a" * 16, "SSM parameter"),
        ("ssm:/" + "a" * 1011, "SSM parameter"),
        ("file:", "a path"),
        ("file:a\0b", "a path"),
    ],
)
def test_a_badly_written_reference_is_named_without_its_value(reference, words):
    fault = secret.reference_fault(reference)
    assert words in fault
    assert TOKEN not in fault


# ------------------------------------------------------------------ resolving


def test_an_environment_variable_gives_its_value(tmp_path):
    assert resolve("env:HOOK", tmp_path, environ={"HOOK": REAL}) == REAL


def test_a_parameter_gives_its_value_by_name(tmp_path):
    assert resolve("ssm:/a/b", tmp_path, read_parameter={"/a/b": REAL}.__getitem__) == REAL


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_file_beside_the_configuration_gives_its_text_without_the_last_newline(tmp_path, ending):
    (tmp_path / "hook").write_bytes(f"\ufeff{REAL}{ending}".encode())
    assert resolve("file:hook", tmp_path) == REAL


def test_only_one_newline_is_taken_off(tmp_path):
    assert resolve("env:HOOK", tmp_path, environ={"HOOK": "x\n\n"}) == "x\n"


def test_an_absolute_path_stands_for_itself(tmp_path):
    (tmp_path / "hook").write_text(REAL)
    assert resolve(f"file:{tmp_path / 'hook'}", tmp_path / "elsewhere") == REAL


def test_an_unset_variable_is_named_with_its_key(tmp_path):
    with pytest.raises(ConfigError) as caught:
        resolve("env:DISCORD_WEBHOOK_URL", tmp_path, key="channels[0].url")
    assert caught.value.problem == (
        "channels[0].url: env:DISCORD_WEBHOOK_URL: "
        "the environment variable DISCORD_WEBHOOK_URL is not set"
    )
    assert "export DISCORD_WEBHOOK_URL" in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", ["", "\n", " \t\n"])
def test_an_empty_secret_is_refused(tmp_path, value):
    with pytest.raises(ConfigError, match=r"^env:HOOK: it is empty$"):
        resolve("env:HOOK", tmp_path, environ={"HOOK": value})


def test_a_reference_that_is_a_url_is_refused_without_repeating_it(tmp_path):
    with pytest.raises(ConfigError) as caught:
        resolve(REAL, tmp_path, key="channels[0].url")
    assert caught.value.problem.startswith("channels[0].url: a URL may not stand here")
    assert TOKEN not in everything_said(caught.value)


def test_a_parameter_needs_aws(tmp_path):
    with pytest.raises(ConfigError, match=r"ssm:/a: an SSM parameter cannot be read here"):
        resolve("ssm:/a", tmp_path)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("ParameterNotFound", ConfigError, "ssm:/a: the SSM parameter /a does not exist"),
        ("AccessDeniedException", AwsError, "GetParameter was refused"),
    ],
)
def test_a_missing_parameter_is_a_config_error_and_a_denied_one_stays_an_aws_error(
    tmp_path, code, kind, words
):
    def read(_name):
        raise AwsError("GetParameter was refused", code=code)

    with pytest.raises(kind, match=words):
        resolve("ssm:/a", tmp_path, read_parameter=read)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no file"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"x" * 65_537, "is larger than 64 KB"),
    ],
)
def test_a_file_that_cannot_be_the_secret_is_named(tmp_path, content, words):
    if content is not None:
        (tmp_path / "hook").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        resolve("file:hook", tmp_path)
    assert words in caught.value.problem
    assert str(tmp_path / "hook") in caught.value.problem


def test_a_folder_is_no_secret(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        resolve("file:.", tmp_path)


# ------------------------------------------------------------------ webhooks


@pytest.mark.parametrize(
    "url",
    [
        REAL,
        f"https://discordapp.com/api/webhooks/1/{TOKEN}",
        f"https://ptb.discord.com/api/v10/webhooks/1/{TOKEN}",
        f"https://canary.discord.com/api/webhooks/1/{TOKEN}?thread_id=5",
    ],
)
def test_every_form_of_a_discord_webhook_is_taken(url):
    secret.check_webhook(url, "discord", loopback_allowed=False)


def test_the_stand_in_is_taken_with_the_sandbox_only():
    secret.check_webhook(STAND_IN, "discord", loopback_allowed=True)
    with pytest.raises(ConfigError, match="AWS is not the sandbox"):
        secret.check_webhook(STAND_IN, "discord", loopback_allowed=False)


def test_a_real_channel_is_refused_with_the_sandbox():
    with pytest.raises(ConfigError, match="would post to a real channel") as caught:
        secret.check_webhook(REAL, "discord", loopback_allowed=True, key="channels[0].url")
    assert caught.value.problem.startswith("channels[0].url: ")
    assert TOKEN not in everything_said(caught.value)


@pytest.mark.parametrize("sandbox", [True, False])
@pytest.mark.parametrize(
    ("url", "words"),
    [
        (REAL + "\n", "white space"),
        (f"{REAL}/slack", "leave that off"),
        (REAL.replace("https", "http"), "must begin with https://"),
        (REAL.replace("discord.com", "discord.com.evil.example"), "this is not the URL"),
        (REAL.replace("discord.com", "discord.com@evil.example"), "this is not the URL"),
        (REAL.replace("discord.com", "evil-discord.com"), "this is not the URL"),
        (REAL.replace("discord.com", "discordxcom"), "this is not the URL"),
        (REAL.replace("webhooks", "channels"), "this is not the URL"),
        (STAND_IN.replace("127.0.0.1", "10.0.0.1"), "this is not the URL"),
        (STAND_IN.replace("127.0.0.1", "127.0.0.1.evil.example"), "this is not the URL"),
        (f"{REAL}/messages/1", "this is not the URL"),
        ("", "this is not the URL"),
    ],
)
def test_what_is_no_webhook_is_refused_without_repeating_it(url, words, sandbox):
    with pytest.raises(ConfigError, match=words) as caught:
        secret.check_webhook(url, "discord", loopback_allowed=sandbox)
    assert TOKEN not in everything_said(caught.value)


SLACK = "https://hooks.slack.com/services/T0ABCDEF1/B0ABCDEF2/" + TOKEN.replace("-", "").replace(
    "_", ""
)
FLOW = (
    "triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=" + TOKEN
)
TEAMS = f"https://prod-23.westeurope.logic.azure.com:443/workflows/0a1b2c/{FLOW}"
PLATFORM = (
    "https://default0a.1b.environment.api.powerplatform.com:443/powerautomate/automations/direct"
    f"/workflows/0a1b2c/{FLOW}"
)
ANY = f"https://alerts.example.com/in/{TOKEN}"
LOCAL = "http://127.0.0.1:8123"


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("slack", SLACK),
        ("slack", SLACK.replace("slack.com", "slack-gov.com")),
        ("teams", TEAMS),
        ("teams", TEAMS.replace(":443", "")),
        ("teams", PLATFORM),
        ("webhook", ANY),
        ("webhook", "https://example.com"),
        ("webhook", "https://example.com:8443?key=a&b=%20"),
        ("webhook", "https://9.9.9.9/x"),
        ("webhook", "https://[2620:fe::fe]:8443/x"),
    ],
)
def test_every_form_of_the_other_webhooks_is_taken_but_not_with_the_sandbox(kind, url):
    secret.check_webhook(url, kind, loopback_allowed=False)
    with pytest.raises(ConfigError, match="would post to a real channel") as caught:
        secret.check_webhook(url, kind, loopback_allowed=True)
    assert secret.VARIABLES[kind] in caught.value.problem
    assert TOKEN not in everything_said(caught.value)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("slack", SLACK.removeprefix("https://hooks.slack.com")),
        ("teams", f"/workflows/0a1b2c/{FLOW}"),
        ("webhook", f"/hooks/{TOKEN}"),
    ],
)
def test_every_stand_in_is_taken_with_the_sandbox_only(kind, path):
    secret.check_webhook(LOCAL + path, kind, loopback_allowed=True)
    with pytest.raises(ConfigError, match="AWS is not the sandbox"):
        secret.check_webhook(LOCAL + path, kind, loopback_allowed=False)


@pytest.mark.parametrize("sandbox", [True, False])
@pytest.mark.parametrize(
    ("kind", "url", "words"),
    [
        ("slack", SLACK + "\n", "white space"),
        ("slack", SLACK.replace("https", "http"), "must begin with https://"),
        ("slack", SLACK.replace("slack.com", "slack.com.evil.example"), "not the URL of a Slack"),
        ("slack", SLACK.replace("/services/", "/triggers/"), "not the URL of a Slack"),
        ("slack", f"{SLACK}/more", "not the URL of a Slack"),
        ("teams", TEAMS.replace("https", "http"), "must begin with https://"),
        ("teams", TEAMS.partition("&")[0], "has lost its end"),
        ("teams", TEAMS.replace("azure.com", "azure.com.evil.example"), "not the URL of a Teams"),
        (
            "teams",
            TEAMS.replace("logic.azure.com", "evil-logic.azure.com"),
            "not the URL of a Teams",
        ),
        ("teams", f"https://evil.example/x.logic.azure.com/workflows/1?sig={TOKEN}", "not the URL"),
        ("webhook", f"http://alerts.example.com/{TOKEN}", "must begin with https://"),
        ("webhook", f"http://localhost:1/{TOKEN}", "must begin with https://"),
        ("webhook", f"https://me:{TOKEN}@example.com/", "not the URL of a webhook"),
        ("webhook", f"https://example.com/{TOKEN} x", "not the URL of a webhook"),
        ("webhook", f"https://example.com/{TOKEN}\u00e9", "not the URL of a webhook"),
        ("webhook", f"ftp://example.com/{TOKEN}", "not the URL of a webhook"),
        ("webhook", TOKEN, "not the URL of a webhook"),
        ("slack", REAL, "write type: discord"),
        ("webhook", REAL, "write type: discord"),
        ("discord", SLACK, "write type: slack"),
        ("slack", TEAMS, "write type: teams"),
    ],
)
def test_what_is_no_webhook_of_its_type_is_refused_without_repeating_it(kind, url, words, sandbox):
    if kind == "webhook" and url == REAL and sandbox:
        words = "would post to a real channel"
    with pytest.raises(ConfigError, match=words) as caught:
        secret.check_webhook(url, kind, loopback_allowed=sandbox)
    assert TOKEN not in everything_said(caught.value)
    assert SLACK[-20:] not in everything_said(caught.value)


NOWHERE = (
    *(
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.0.0.1",
        "127.1",
        "127.255.0.9",
        "0.0.0.0",
        "0",
    ),
    *("2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]"),
    *("169.254.169.254", "[fe80::1]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
    *("[fd00::1]", "224.0.0.1", "[ff02::1]", "255.255.255.255", "[2001:db8::1]"),
)


@pytest.mark.parametrize("sandbox", [True, False])
@pytest.mark.parametrize("host", NOWHERE)
def test_an_address_that_is_not_on_the_internet_is_refused(host, sandbox):
    for port in ("", ":8443"):
        with pytest.raises(ConfigError, match="this machine or into a private") as caught:
            secret.check_webhook(
                f"https://{host}{port}/{TOKEN}", "webhook", loopback_allowed=sandbox
            )
        assert TOKEN not in everything_said(caught.value)
    for kind, tail in (("webhook", ""), ("discord", "/api/webhooks/1/")):
        if sandbox and host == "127.0.0.1":
            continue
        with pytest.raises(ConfigError):
            secret.check_webhook(f"http://{host}{tail}{TOKEN}", kind, loopback_allowed=sandbox)


@pytest.mark.parametrize("host", ["localhost.example.com", "127.example.com", "10.0.0.1.nip.io"])
def test_a_name_is_taken_as_it_is(host):
    secret.check_webhook(f"https://{host}/x", "webhook", loopback_allowed=False)


@pytest.mark.parametrize("kind", ["teams", "webhook", "discord"])
@pytest.mark.parametrize("host", ["contoso.webhook.office.com", "outlook.office.com"])
def test_a_retired_connector_is_refused_with_what_to_do_instead(kind, host):
    with pytest.raises(ConfigError, match="which Microsoft has retired: make a workflow") as caught:
        secret.check_webhook(f"https://{host}/webhookb2/{TOKEN}", kind, loopback_allowed=False)
    assert TOKEN not in everything_said(caught.value)


@given(st.text())
def test_any_text_is_either_taken_or_refused_as_a_webhook(text):
    with pytest.raises(ConfigError):
        secret.check_webhook(f"x{text}", "discord", loopback_allowed=False)


def test_a_fingerprint_is_short_stable_and_differs():
    assert secret.fingerprint("abc") == "sha256:ba7816bf8f01cfea"
    assert secret.fingerprint("abd") != secret.fingerprint("abc")
    assert len(secret.fingerprint("\udcff")) == len("sha256:") + 16


# ------------------------------------------------------------------ the probe


class Discord(BaseHTTPRequestHandler):
    status = 200
    seen: list

    def do_GET(self):
        self.seen.append((self.path, self.headers["User-Agent"]))
        if self.status is None:
            self.wfile.write(b"garbage\r\n\r\n")
            return
        self.send_response(self.status)
        self.send_header("Location", "/moved")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def discord():
    handler = type("Handler", (Discord,), {"seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        handler.url = f"http://127.0.0.1:{server.server_port}/api/webhooks/1/{TOKEN}"
        yield handler
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [200, 204, 302, 401, 404, 500])
def test_the_probe_asks_once_and_returns_the_status(discord, status):
    discord.status = status
    assert secret.probe(discord.url) == status
    agent = "DiscordBot (https://github.com/ctwatch/ctwatch, 0.1.0)"
    assert discord.seen == [(f"/api/webhooks/1/{TOKEN}", agent)]


def test_the_probe_goes_round_the_proxy_to_the_stand_in(discord, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert secret.probe(discord.url) == 200


def test_an_answer_that_is_not_http_is_said_without_the_url(discord):
    discord.status = None
    with pytest.raises(CtwatchError, match="the answer was not HTTP") as caught:
        secret.probe(discord.url)
    assert TOKEN not in everything_said(caught.value)


def test_nobody_listening_is_said_without_the_url():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/api/webhooks/1/{TOKEN}"
        with pytest.raises(CtwatchError, match="the connection was refused") as caught:
            secret.probe(url)
    assert TOKEN not in everything_said(caught.value)


def test_the_probe_waits_five_seconds():
    assert secret.TIMEOUT == 5


def test_no_answer_in_time_is_said_without_the_url(monkeypatch):
    monkeypatch.setattr(secret, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api/webhooks/1/{TOKEN}"
        started = time.monotonic()
        with pytest.raises(CtwatchError, match="no answer within") as caught:
            secret.probe(url)
        assert time.monotonic() - started < 2
    assert TOKEN not in everything_said(caught.value)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (socket.gaierror(-2, f"no {REAL}"), "its host name was not found"),
        (ssl.SSLCertVerificationError(1, REAL), "its TLS certificate was not accepted"),
        (ConnectionResetError(104, REAL), "the connection was cut"),
        (OSError(101, REAL), "OSError"),
    ],
)
def test_a_failure_of_the_network_is_said_in_our_own_words(monkeypatch, cause, words):
    def fail(_url):
        raise urllib.error.URLError(cause)

    monkeypatch.setattr(secret, "_status", fail)
    with pytest.raises(CtwatchError, match=words) as caught:
        secret.probe(REAL)
    assert TOKEN not in everything_said(caught.value)


def test_a_url_that_the_library_refuses_is_not_repeated():
    with pytest.raises(CtwatchError, match="could not be reached: ValueError") as caught:
        secret.probe(f"discord.com/{TOKEN}")
    assert TOKEN not in everything_said(caught.value)


# ------------------------------------------------------------------ what others repeat


@pytest.mark.parametrize(
    "said",
    [REAL, f"Value '{REAL}' is bad", REAL[:-20], REAL[-30:], f"/{TOKEN}", f"x{TOKEN[:40]}\u2026"],
)
def test_what_others_repeat_of_a_secret_is_masked_even_where_they_have_cut_it(said):
    masked = secret.masked(f"before {said} after", REAL)
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "(secret)" in masked
    assert not {TOKEN[:16], TOKEN[-16:]} & {masked[i : i + 16] for i in range(len(masked))}


def test_what_is_no_part_of_a_secret_stays():
    said = "creating secret /ctwatch/discord: PutParameter answered ValidationException: too long"
    assert secret.masked(said, REAL) == said
