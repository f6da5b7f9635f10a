"""The notifier, from what Lambda is invoked with to what Discord receives."""

import json
import re
import time
import traceback
import unicodedata
from datetime import UTC
from types import SimpleNamespace

import pytest
from fake_discord import HANG, RESET, WEBHOOK, Answer, FakeDiscord
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from notifier_records import (
    ACCOUNT,
    EVENT_ID,
    IDENTITIES,
    REGION,
    REQUEST_ID,
    ROLE_SESSION,
    TRAIL,
    any_json,
    event,
    sns,
)
from trials import trials

from ctwatch.notifier import discord, main
from ctwatch.notifier.errors import DeliveryError, NotifierError, SettingsError
from ctwatch.notifier.event import unpack
from ctwatch.notifier.message import compose, console_link, time_zone, when
from ctwatch.notifier.post import Receipt
from ctwatch.notifier.settings import Secrets, Settings, read_settings
from ctwatch.notifier.severity import severity
from ctwatch.notifier.words import LANGUAGES, words

TOKEN = WEBHOOK.rsplit("/", 1)[1]
PROBE = "ctwatch-probe-abc123"
ONE = [{"name": "discord", "type": "discord", "secret": "env:DISCORD_WEBHOOK_URL"}]


def watch(language="en", timezone="Asia/Seoul", trail=TRAIL):
    return Settings("ctwatch", trail, language, timezone, ())


def body(invocation, **options):
    return discord.payload(compose(unpack(invocation)[0], watch(**options), discord.quote))


def as_read(posted):
    """The message as a person reads it."""
    embed = posted["embeds"][0]
    lines = [posted["content"], "", embed["title"]]
    lines += [embed["description"]] if "description" in embed else []
    lines += [f"{field['name']}: {field['value']}" for field in embed["fields"]]
    return "\n".join([*lines, embed["footer"]["text"]])


def facts(invocation, **options):
    fields = body(invocation, **options)["embeds"][0]["fields"]
    return {field["name"]: field["value"] for field in fields}


@pytest.fixture
def fake():
    with FakeDiscord() as server:
        yield server


@pytest.fixture
def lambda_(fake, monkeypatch):
    """The handler in a fresh container whose environment is as `ctwatch up` writes it."""
    return container(monkeypatch, fake.url)


def container(patch, url, channels=ONE, language="en"):
    patch.setenv("DISCORD_WEBHOOK_URL", url)
    patch.setenv("CTWATCH_WATCH", "ctwatch")
    patch.setenv("CTWATCH_TRAIL", TRAIL)
    patch.setenv("CTWATCH_LANGUAGE", language)
    patch.setenv("CTWATCH_TIMEZONE", "Asia/Seoul")
    patch.setenv("CTWATCH_CHANNELS", json.dumps(channels))
    patch.setattr(main, "_SENT", main.Sent())
    patch.setattr(main, "_SECRETS", Secrets())
    return main.handler


def logged(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# --- the whole message, word for word --------------------------------------------------------


SUCCEEDED_KO = f"""\
🟠 StopLogging · 성공 · 심각도 높음 · 추적 `ct-trail-monitor` (우리 추적)

🟠 CloudTrail 로깅 중지 · 성공 · 심각도 높음
이벤트: StopLogging
결과: 성공 · 오류 코드 없음
추적: `ct-trail-monitor` (우리 추적)
행위자: `arn:aws:sts::123456789012:assumed-role/Admin/alice@example.com`
자격 증명: `AssumedRole` · 역할 세션 · 발급자 `arn:aws:iam::123456789012:role/Admin`
MFA: 사용 안 함
소스 IP: `203.0.113.7`
사용자 에이전트: `aws-cli/2.31.0`
발생 시각: 2026-11-21 14:03:22 KST
2026-11-21 05:03:22 UTC
리전: `ap-northeast-2`
계정: `123456789012`
탐지: trail-tampering
MITRE ATT&CK: T1562.008 → T1685.002
이벤트 ID: `{EVENT_ID}`
요청 ID: `{REQUEST_ID}`
ctwatch · ctwatch"""

SUCCEEDED_EN = f"""\
🟠 StopLogging · SUCCEEDED · Severity high · Trail `ct-trail-monitor` (ours)

🟠 Stop CloudTrail logging · SUCCEEDED · Severity high
Event: StopLogging
Result: SUCCEEDED · no error code
Trail: `ct-trail-monitor` (ours)
Actor: `arn:aws:sts::123456789012:assumed-role/Admin/alice@example.com`
Identity: `AssumedRole` · a role session · issued by `arn:aws:iam::123456789012:role/Admin`
MFA: no
Source IP: `203.0.113.7`
User agent: `aws-cli/2.31.0`
Time: 2026-11-21 14:03:22 KST
2026-11-21 05:03:22 UTC
Region: `ap-northeast-2`
Account: `123456789012`
Detection: trail-tampering
MITRE ATT&CK: T1562.008 → T1685.002
Event ID: `{EVENT_ID}`
Request ID: `{REQUEST_ID}`
ctwatch · ctwatch"""

DRILL_KO = f"""\
🟠 훈련 · DeleteTrail · 실패한 시도 · 심각도 높음 · 추적 `{PROBE}` (우리 추적 아님)

🟠 훈련 · CloudTrail 추적 삭제 · 실패한 시도 · 심각도 높음
훈련입니다: 존재하지 않는 추적에 대한 호출이 실패했고, 바뀐 것은 없습니다.
이벤트: DeleteTrail
결과: 실패한 시도 · `TrailNotFoundException` · `Unknown trail: {PROBE}`
추적: `{PROBE}` (우리 추적 아님)
행위자: `arn:aws:iam::123456789012:user/Alice`
자격 증명: `IAMUser` · IAM 사용자
MFA: 기록 없음
소스 IP: `203.0.113.7`
사용자 에이전트: `aws-cli/2.31.0`
발생 시각: 2026-11-21 14:03:22 KST
2026-11-21 05:03:22 UTC
리전: `ap-northeast-2`
계정: `123456789012`
탐지: trail-tampering
MITRE ATT&CK: T1562.008 → T1685.002
이벤트 ID: `{EVENT_ID}`
요청 ID: `{REQUEST_ID}`
ctwatch · ctwatch"""

DRILL_EN = f"""\
🟠 DRILL · DeleteTrail · FAILED ATTEMPT · Severity high · Trail `{PROBE}` (not ours)

🟠 DRILL · Delete a CloudTrail trail · FAILED ATTEMPT · Severity high
A drill: a call on a trail that does not exist has failed, and nothing was changed.
Event: DeleteTrail
Result: FAILED ATTEMPT · `TrailNotFoundException` · `Unknown trail: {PROBE}`
Trail: `{PROBE}` (not ours)
Actor: `arn:aws:iam::123456789012:user/Alice`
Identity: `IAMUser` · an IAM user
MFA: not recorded
Source IP: `203.0.113.7`
User agent: `aws-cli/2.31.0`
Time: 2026-11-21 14:03:22 KST
2026-11-21 05:03:22 UTC
Region: `ap-northeast-2`
Account: `123456789012`
Detection: trail-tampering
MITRE ATT&CK: T1562.008 → T1685.002
Event ID: `{EVENT_ID}`
Request ID: `{REQUEST_ID}`
ctwatch · ctwatch"""

UNREADABLE_KO = """\
🟡 읽을 수 없는 이벤트 · 심각도 보통

🟡 읽을 수 없는 이벤트 · 심각도 보통
감시 경로로 들어왔지만 읽을 수 없습니다. 내용을 믿지 말고 누가 보냈는지 확인하세요.
이유: JSON이 아닙니다.
받은 내용(일부): `hello \uff20everyone`
ctwatch · ctwatch"""

UNREADABLE_EN = """\
🟡 Unreadable event · Severity medium

🟡 Unreadable event · Severity medium
It came by the watch's own path. Do not trust what it says; find out who sent it.
Reason: It is not JSON.
What arrived (excerpt): `hello \uff20everyone`
ctwatch · ctwatch"""

DRILL = event(
    eventName="DeleteTrail",
    userIdentity=IDENTITIES["IAMUser"][0],
    requestParameters={"name": PROBE},
    errorCode="TrailNotFoundException",
    errorMessage=f"Unknown trail: {PROBE}",
)


@pytest.mark.parametrize(
    ("language", "invocation", "text"),
    [
        ("ko", sns(event()), SUCCEEDED_KO),
        ("en", sns(event()), SUCCEEDED_EN),
        ("ko", DRILL, DRILL_KO),
        ("en", DRILL, DRILL_EN),
        ("ko", sns("hello @everyone"), UNREADABLE_KO),
        ("en", sns("hello @everyone"), UNREADABLE_EN),
    ],
)
def test_a_message_reads_like_this(language, invocation, text):
    assert as_read(body(invocation, language=language)) == text


def test_the_title_leads_to_the_event_in_the_console():
    assert body(event())["embeds"][0]["url"] == (
        f"https://{REGION}.console.aws.amazon.com/cloudtrailv2/home?region={REGION}#/events/{EVENT_ID}"
    )


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
        ("us-gov-west-1", "https://console.amazonaws-us-gov.com/"),
        ("evil.example/x-1", ""),
    ],
)
def test_a_link_is_made_for_the_partition_or_not_at_all(region, host):
    link = console_link(unpack(event(awsRegion=region))[0])
    assert link.startswith(host)
    assert bool(link) == bool(host)


def test_no_link_is_made_of_an_event_id_that_is_none():
    assert "url" not in body(event(eventID="../../evil"))["embeds"][0]


def test_both_languages_say_everything():
    assert LANGUAGES == ("ko", "en")
    assert all(all(words(language).values()) for language in LANGUAGES)
    assert {key for key, text in words("ko").items() if text == words("en")[key]} == {
        "mfa",
        "mitre",
    }


# --- who, what, when, whose ------------------------------------------------------------------


@pytest.mark.parametrize("kind", IDENTITIES)
def test_every_documented_identity_is_named(kind):
    identity, actor, line = IDENTITIES[kind]
    told = facts(event(userIdentity=identity))
    assert told["Actor"] == f"`{actor}`"
    assert told["Identity"].startswith(f"`{kind}` · ")
    assert line in told["Identity"]


@pytest.mark.parametrize("kind", IDENTITIES)
def test_every_identity_type_has_its_word_in_both_languages(kind):
    assert all(words(language)[f"identity.{kind}"] for language in LANGUAGES)


def test_the_actor_of_an_identity_without_arn_is_who_issued_the_session():
    identity = {key: value for key, value in ROLE_SESSION.items() if key != "arn"}
    told = facts(event(userIdentity=identity))
    assert told["Actor"] == f"`arn:aws:iam::{ACCOUNT}:role/Admin`"
    assert told["Identity"] == "`AssumedRole` · a role session"


def test_an_identity_type_of_tomorrow_is_shown_as_it_is():
    assert facts(event(userIdentity={"type": "Robot"}))["Identity"] == "`Robot`"


@pytest.mark.parametrize("identity", [None, {}, [], "someone", 7, {"arn": None}])
def test_an_empty_or_strange_identity_is_not_recorded(identity):
    told = facts(event(userIdentity=identity))
    assert (told["Actor"], told["Identity"]) == ("not recorded", "not recorded")


def test_a_strange_value_is_shown_and_not_dropped():
    told = facts(event(userIdentity={"arn": {"a": 1}}, sourceIPAddress=["10.0.0.1"]))
    assert told["Actor"] == '`{"a": 1}`'
    assert told["Source IP"] == '`["10.0.0.1"]`'


@pytest.mark.parametrize("source", ["cloudformation.amazonaws.com", "AWS Internal"])
def test_a_call_from_an_aws_service_says_so(source):
    assert facts(event(sourceIPAddress=source))["Source IP"] == f"`{source}` (an AWS service)"


@pytest.mark.parametrize(
    ("changes", "mfa"),
    [
        ({"userIdentity": {"sessionContext": {"attributes": {"mfaAuthenticated": "true"}}}}, "yes"),
        ({"userIdentity": {"sessionContext": {"attributes": {"mfaAuthenticated": False}}}}, "no"),
        ({"additionalEventData": {"MFAUsed": "Yes"}}, "yes"),
        ({"userIdentity": {"sessionContext": None}}, "not recorded"),
        ({"userIdentity": {"sessionContext": {"attributes": None}}}, "not recorded"),
    ],
)
def test_mfa_is_read_where_it_is_recorded(changes, mfa):
    assert facts(event(**changes))["MFA"] == mfa


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, "SUCCEEDED · no error code"),
        ({"errorCode": "AccessDenied"}, "DENIED ATTEMPT · `AccessDenied`"),
        ({"errorCode": "AccessDeniedException"}, "DENIED ATTEMPT · `AccessDeniedException`"),
        (
            {"errorCode": "Client.UnauthorizedOperation"},
            "DENIED ATTEMPT · `Client.UnauthorizedOperation`",
        ),
        ({"errorCode": "AuthorizationError"}, "DENIED ATTEMPT · `AuthorizationError`"),
        ({"errorCode": "ThrottlingException"}, "FAILED ATTEMPT · `ThrottlingException`"),
        (
            {"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Failure"}},
            "FAILED ATTEMPT · no error code",
        ),
        (
            {"errorMessage": "Failed authentication"},
            "FAILED ATTEMPT · no error code · `Failed authentication`",
        ),
        ({"responseElements": {"ConsoleLogin": "Success"}}, "SUCCEEDED · no error code"),
    ],
)
def test_the_result_is_told_with_its_code(changes, result):
    assert facts(event(**changes))["Result"] == result


def test_an_attempt_that_did_not_succeed_is_labelled_at_the_top():
    posted = body(event(errorCode="AccessDenied"))
    assert "DENIED ATTEMPT" in posted["content"]
    assert "DENIED ATTEMPT" in posted["embeds"][0]["title"]
    assert "Find out who tried" in posted["embeds"][0]["description"]


@pytest.mark.parametrize(
    ("changes", "whose"),
    [
        ({"requestParameters": {"name": TRAIL}}, f"`{TRAIL}` (ours)"),
        ({"requestParameters": {"trailName": "ct-trail-monitor"}}, "`ct-trail-monitor` (ours)"),
        ({"requestParameters": {"name": "another"}}, "`another` (not ours)"),
        ({"awsRegion": "us-east-1"}, "`ct-trail-monitor` (not ours)"),
        ({"recipientAccountId": "999988887777"}, "`ct-trail-monitor` (not ours)"),
        ({"responseElements": {"trailARN": TRAIL + "-2"}}, "`ct-trail-monitor` (not ours)"),
        ({"requestParameters": None}, "not recorded"),
        ({"requestParameters": {"name": None}}, "not recorded"),
    ],
)
def test_the_trail_is_told_to_be_ours_or_not(changes, whose):
    assert facts(event(**changes))["Trail"] == whose


def test_without_a_trail_of_its_own_the_notifier_does_not_claim_whose_it_is():
    assert facts(event(), trail="")["Trail"] == "`ct-trail-monitor` (cannot tell whether ours)"


def test_an_event_of_another_account_is_told_to_be_suspect():
    assert (
        "may be forged"
        in body(event(recipientAccountId="999988887777"))["embeds"][0]["description"]
    )
    assert "description" not in body(event())["embeds"][0]


def test_what_was_asked_for_is_told_without_the_name():
    asked = {"name": "ct-trail-monitor", "isMultiRegionTrail": False, "s3BucketName": "evil"}
    told = facts(event(eventName="UpdateTrail", requestParameters=asked))
    assert told["Requested"] == '`{"isMultiRegionTrail": false, "s3BucketName": "evil"}`'


@pytest.mark.parametrize(
    "asked",
    [
        "requestParameters too large",
        {"reason": "requestParameters too large", "originalSize": 200000, "omitted": True},
    ],
)
def test_omitted_request_parameters_are_told(asked):
    told = facts(event(requestParameters=asked))
    assert "requestParameters too large" in told["Requested"]
    assert told["Trail"] == "not recorded"


@pytest.mark.parametrize(
    ("zone", "recorded", "told"),
    [
        ("Asia/Seoul", "2026-11-21T05:03:22Z", "2026-11-21 14:03:22 KST|2026-11-21 05:03:22 UTC"),
        (
            "Europe/Paris",
            "2026-07-01T22:30:00Z",
            "2026-07-02 00:30:00 CEST|2026-07-01 22:30:00 UTC",
        ),
        ("UTC", "2026-11-21T05:03:22Z", "2026-11-21 05:03:22 UTC"),
        ("No/Such", "2026-11-21T05:03:22Z", "2026-11-21 05:03:22 UTC"),
        ("../etc", "2026-11-21T05:03:22Z", "2026-11-21 05:03:22 UTC"),
        ("Asia", "2026-11-21T05:03:22Z", "2026-11-21 05:03:22 UTC"),
        ("UTC", "2026-11-21T05:03:22", "2026-11-21 05:03:22 UTC"),
        ("UTC", "2026-11-21T07:03:22+02:00", "2026-11-21 05:03:22 UTC"),
        ("Asia/Seoul", "yesterday", ""),
        ("Asia/Seoul", "9999-12-31T23:59:59Z", ""),
    ],
)
def test_time_is_told_in_the_configured_zone_and_in_utc(zone, recorded, told):
    assert "|".join(when(recorded, time_zone(zone))) == told


@pytest.mark.parametrize("error", [KeyError, ValueError, OSError])
def test_a_runtime_without_time_zones_tells_utc(monkeypatch, error):
    def missing(name):
        raise error(name)

    monkeypatch.setattr("zoneinfo.ZoneInfo", missing)
    assert time_zone("Europe/Paris") is UTC


@pytest.fixture
def _new_york(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "EST5EDT")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_new_york")
def test_a_time_without_a_zone_is_utc_wherever_the_machine_is():
    assert when("2026-11-21T05:03:22", UTC) == ("2026-11-21 05:03:22 UTC",)


def test_a_time_that_is_none_is_told_as_recorded():
    assert facts(event(eventTime="yesterday"))["Time"] == "`yesterday`"


def test_what_the_record_lacks_is_taken_from_the_envelope():
    missing = {"eventTime": None, "awsRegion": None, "recipientAccountId": None}
    told = facts(event(**missing))
    assert told["Time"].endswith("2026-11-21 05:03:22 UTC")
    assert (told["Region"], told["Account"]) == (f"`{REGION}`", f"`{ACCOUNT}`")


def test_a_record_of_nulls_is_still_a_message():
    told = facts({"detail": dict.fromkeys(event()["detail"]) | {"eventName": "StopLogging"}})
    assert told.pop("Event") == "StopLogging"
    assert told.pop("Result") == "SUCCEEDED · no error code"
    assert set(told.values()) == {"not recorded"}


# --- how bad, and when it is a drill ---------------------------------------------------------

READS = [{"readWriteType": "ReadOnly", "includeManagementEvents": True}]
DATA = [{"readWriteType": "All", "includeManagementEvents": False}]
ALL = [{"readWriteType": "All", "includeManagementEvents": True}]
MANAGEMENT = {"field": "eventCategory", "equals": ["Management"]}
ONLY_READS = {"field": "readOnly", "equals": ["true"]}


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"eventName": "StopLogging"}, "high"),
        ({"eventName": "DeleteTrail"}, "critical"),
        ({"eventName": "UpdateTrail"}, "medium"),
        ({"eventName": "PutEventSelectors"}, "high"),
        ({"eventName": "SomethingNew"}, "medium"),
        ({"eventName": "DeleteTrail", "errorCode": "AccessDenied"}, "high"),
        ({"eventName": "StopLogging", "errorCode": "TrailNotFoundException"}, "medium"),
        ({"eventName": "SomethingNew", "errorCode": "X"}, "low"),
    ],
)
def test_severity_follows_the_table_and_drops_a_step_for_an_attempt(changes, level):
    assert severity(unpack(event(**changes))[0], watch()) == level


@pytest.mark.parametrize(
    ("asked", "level"),
    [
        ({"eventSelectors": READS}, "critical"),
        ({"eventSelectors": DATA}, "critical"),
        ({"eventSelectors": ALL}, "high"),
        ({"eventSelectors": [*READS, *ALL]}, "high"),
        ({"eventSelectors": [{}]}, "high"),
        ({"advancedEventSelectors": None}, "high"),
        ({"advancedEventSelectors": [{"fieldSelectors": [MANAGEMENT]}]}, "high"),
        ({"advancedEventSelectors": [{"fieldSelectors": [MANAGEMENT, ONLY_READS]}]}, "critical"),
        ({"advancedEventSelectors": [{"fieldSelectors": None}]}, "critical"),
    ],
)
def test_selectors_that_blind_the_watch_are_critical(asked, level):
    told = event(eventName="PutEventSelectors", requestParameters={"trailName": TRAIL, **asked})
    assert severity(unpack(told)[0], watch()) == level
    blind = "no longer records write events" in str(body(told)["embeds"][0].get("description"))
    assert blind == (level == "critical")


@pytest.mark.parametrize("asked", [
    {"eventSelectors": []},
    {"advancedEventSelectors": []},
    {"eventSelectors": [], "advancedEventSelectors": []},
])  # fmt: skip
def test_an_empty_list_which_aws_refuses_is_an_attempt_like_that_of_selectors_that_blind(asked):
    refused = {"errorCode": "InvalidEventSelectorsException"}
    told, other = (
        event(
            eventName="PutEventSelectors", requestParameters={"trailName": TRAIL, **one}, **refused
        )
        for one in (asked, {"eventSelectors": READS})
    )
    assert severity(unpack(told)[0], watch()) == severity(unpack(other)[0], watch()) == "high"
    assert "no longer records" not in body(told)["embeds"][0]["description"]


def test_selectors_beside_an_empty_list_are_what_counts():
    asked = {"trailName": TRAIL, "eventSelectors": ALL, "advancedEventSelectors": []}
    told = event(eventName="PutEventSelectors", requestParameters=asked)
    assert severity(unpack(told)[0], watch()) == "high"


def test_selectors_that_were_refused_are_a_step_lower_and_blind_nobody():
    asked = {"trailName": TRAIL, "eventSelectors": READS}
    told = event(eventName="PutEventSelectors", requestParameters=asked, errorCode="AccessDenied")
    assert severity(unpack(told)[0], watch()) == "high"
    assert "no longer records" not in body(told)["embeds"][0]["description"]


def test_no_event_is_worse_than_critical():
    told = event(
        eventName="DeleteTrail", requestParameters={"name": TRAIL, "eventSelectors": READS}
    )
    assert severity(unpack(told)[0], watch()) == "critical"


PROBE_ARN = TRAIL.replace("ct-trail-monitor", PROBE)


@pytest.mark.parametrize(
    ("asked", "code", "drill"),
    [
        ({"name": PROBE}, "TrailNotFoundException", True),
        ({"trailName": PROBE}, "AccessDenied", True),
        ({"name": PROBE_ARN}, "TrailNotFoundException", True),
        ({"name": PROBE}, None, False),
        ({"name": PROBE}, "", False),
        ({"name": "ct-trail-monitor"}, "TrailNotFoundException", False),
        ({"name": "my-" + PROBE}, "TrailNotFoundException", False),
        ({"name": "x/trail/" + PROBE}, "TrailNotFoundException", False),
        ({"name": PROBE, "trailName": "ct-trail-monitor"}, "AccessDenied", False),
        ({"s3BucketName": PROBE}, "AccessDenied", False),
        (None, "AccessDenied", False),
    ],
)
def test_a_drill_is_a_failed_call_on_a_probes_name_and_nothing_else(asked, code, drill):
    told = event(requestParameters=asked, errorCode=code, userAgent="ctwatch-probe-agent")
    posted = body(told)
    assert ("DRILL" in posted["content"]) == drill
    assert ("DRILL" in posted["embeds"][0]["title"]) == drill


# --- inert and within limits -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("alice@example.com", "`alice@example.com`"),
        ("@everyone", "`\uff20everyone`"),
        ("x@HERE", "`x\uff20HERE`"),
        ("<@&123>", "`<\uff20&123>`"),
        ("a`b``c", "`a\u02cbb\u02cb\u02cbc`"),
        ("one\ntwo\r\t\x00", "`one\\ntwo\\r\\t\\x00`"),
        ("a\u202eb\u200bc\u2028", "`a\\u202eb\\u200bc\\u2028`"),
        ("blank\u3164\u00a0", "`blank\\u3164\\xa0`"),
        ("o\u0301\u0301", "`o\\u0301\\u0301`"),
        ("\ud800", "`\\ud800`"),
        ("한글 🟠", "`한글 🟠`"),
        ("[x](https://evil.example)", "`[x](https://evil.example)`"),
    ],
)
def test_a_strangers_text_is_inert_and_readable(text, shown):
    assert discord.quote(text, 100) == shown


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("abcdefg", 10, "`abcdefg`"),
        ("abcdefgh", 10, "`abcdefg…`"),
        ("a" * 50, 10, "`aaaaaaa…`"),
        ("🟠🟠🟠🟠", 10, "`🟠🟠🟠…`"),
        ("a\n\n\n\n", 10, "`a\\n\\n\\n…`"),
    ],
)
def test_what_is_too_long_is_cut_and_shown_to_be_cut(text, most, shown):
    assert discord.quote(text, most) == shown


def units(text):
    return len(text.encode("utf-16-le")) // 2


def assert_within_limits(posted):
    """https://discord.com/developers/docs/resources/message#embed-object-embed-limits"""
    embed = posted["embeds"][0]
    parts = [embed["title"], embed.get("description", ""), embed["footer"]["text"]]
    parts += [field[key] for field in embed["fields"] for key in ("name", "value")]
    assert 0 < units(posted["content"]) <= 2000
    assert 0 < units(embed["title"]) <= 256
    assert len(embed["fields"]) <= 25
    assert all(0 < units(field["value"]) <= 1024 for field in embed["fields"])
    assert sum(map(units, parts)) <= 6000
    assert posted["allowed_mentions"] == {"parse": []}


def texts(posted):
    embed = posted["embeds"][0]
    yield from (posted["content"], embed["title"], embed.get("description", ""))
    yield from (field["value"] for field in embed["fields"])


def assert_inert(posted, hostile="EVIL!"):
    for text in texts(posted):
        outside = re.sub(r"`[^`]+`", "", text)
        assert "`" not in outside
        assert hostile not in outside
        assert not re.search(r"@(everyone|here)|<@", text, re.IGNORECASE)
        odd = {char for char in text if unicodedata.category(char)[0] in "CM"} - {"\n"}
        assert not odd


HOSTILE = "EVIL!`@everyone <@1> [a](https://evil.example) ** \n# big\u202e\u200b|| ``` @here"
json_values = any_json(HOSTILE, HOSTILE * 300)
KEYS = [*event()["detail"], "errorCode", "errorMessage", "additionalEventData"]
records = st.dictionaries(st.sampled_from(KEYS), json_values)
identities = st.dictionaries(
    st.sampled_from(["type", "arn", "userName", "accountId", "sessionContext", "onBehalfOf"]),
    json_values,
)
odd_events = st.builds(
    lambda detail, identity, asked: event(
        **{"userIdentity": identity, "requestParameters": asked, **detail}
    ),
    records,
    identities,
    st.dictionaries(st.sampled_from(["name", "trailName", "eventSelectors", "x"]), json_values),
)


@given(odd_events | json_values, st.sampled_from(LANGUAGES))
@example({"detail": {"eventName": "StopLogging", "requestParameters": {"n": 10**5000}}}, "en")
@settings(deadline=None)
def test_any_event_becomes_a_message_within_limits_and_inert(invocation, language):
    posted = body(invocation, language=language)
    assert_within_limits(posted)
    assert_inert(posted)
    json.dumps(posted).encode()


@pytest.mark.parametrize("text", ["@everyone`\n" * 9999, "\u202e" * 99999, "🟠" * 99999])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_record_keeps_the_limits(text, language):
    detail = dict.fromkeys(KEYS, text)
    asked = {"name": text, "isMultiRegionTrail": text}
    identity = {
        "type": text,
        "arn": text,
        "accountId": text + "x",
        "sessionContext": {"sessionIssuer": {"arn": text + "y"}},
    }
    detail |= {"requestParameters": asked, "userIdentity": identity, "eventName": "UpdateTrail"}
    posted = body(event(**detail), language=language)
    assert_within_limits(posted)
    assert_inert(posted)


def test_a_message_too_deep_for_json_is_unreadable_and_not_fatal():
    assert unpack(sns("[" * 200_000))[0].unreadable == "no_json"


def test_request_parameters_too_deep_to_write_are_shown_as_cut():
    asked: dict = {}
    for _ in range(50_000):
        asked = {"x": asked}
    assert facts(event(requestParameters=asked))["Requested"] == "`…`"


# --- what Lambda is invoked with -------------------------------------------------------------


def test_every_record_from_sns_is_sent(lambda_, fake):
    second = event(eventID="second", eventName="DeleteTrail")
    assert lambda_(sns(event(), second), None) == {"delivered": 2, "duplicates": 0}
    assert [request.body["content"].split()[1] for request in fake.requests] == [
        "StopLogging",
        "DeleteTrail",
    ]


def test_a_raw_eventbridge_event_is_sent(lambda_, fake):
    lambda_(event(), None)
    assert as_read(fake.requests[0].body) == SUCCEEDED_EN


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        {},
        [],
        "text",
        7,
        {"Records": []},
        {"Records": None},
        {"Records": ["x"]},
        {"Records": [{"Sns": None}]},
        {"Records": [{"Sns": {"Message": None}}]},
        {"Records": [{"Sns": {"Message": {"detail": {}}}}]},
        sns(""),
        sns("not json"),
        sns("[1, 2]"),
        sns("null"),
        {"detail": None},
        {"detail": {"other": 1}},
        {"detail": {"eventName": None}},
    ],
)
def test_garbage_is_alerted_as_unreadable(lambda_, fake, capsys, garbage):
    assert lambda_(garbage, None) == {"delivered": 1, "duplicates": 0}
    assert "Unreadable event" in fake.requests[0].body["content"]
    assert_within_limits(fake.requests[0].body)
    assert logged(capsys)[0]["ctwatch"] == "delivered"


def test_an_empty_message_is_told_to_be_empty():
    assert facts(sns(""))["What arrived (excerpt)"] == "empty"


def test_garbage_beside_an_event_hides_nothing(lambda_, fake):
    assert lambda_(sns("garbage", event()), None)["delivered"] == 2
    assert len(fake.requests) == 2


@pytest.fixture(scope="module")
def steady():
    with FakeDiscord() as server, pytest.MonkeyPatch.context() as patch:
        container(patch, server.url)
        yield server


@given(odd_events | json_values, st.sampled_from([200, 500]))
@settings(
    deadline=None,
    max_examples=trials(180).max_examples,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_invocation_is_delivered_or_raises_our_error(steady, capsys, invocation, status):
    steady.requests.clear()
    steady.answers = [Answer(status)]
    main._SENT.__init__()
    try:
        main.handler(invocation, None)
    except NotifierError:
        assert status == 500
    assert len(steady.requests) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1


# --- Discord ---------------------------------------------------------------------------------


def post(fake, *answers, url=None, **options):
    fake.answers = list(answers)
    message = compose(unpack(event())[0], watch(), discord.quote)
    return discord.send(url or fake.url, message, **options)


def test_discord_is_asked_as_its_documentation_says(fake):
    receipt = post(fake, Answer(200, {"id": "777"}))
    (request,) = fake.requests
    assert receipt == Receipt(200, "777")
    assert request.path == WEBHOOK + "?wait=true"
    assert request.headers["User-Agent"] == (
        "DiscordBot (https://github.com/ctwatch/ctwatch, 0.1.0)"
    )
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("?thread_id=5", "?thread_id=5&wait=true"),
        ("?wait=false&thread_id=5", "?thread_id=5&wait=true"),
        ("?with_components=", "?with_components=&wait=true"),
        ("#fragment", "?wait=true"),
    ],
)
def test_wait_joins_the_query_that_is_there(fake, query, asked):
    post(fake, url=fake.url + query)
    assert fake.requests[0].path == WEBHOOK + asked


def test_an_answer_without_a_body_is_a_success_without_an_id(fake):
    assert post(fake, Answer(204)) == Receipt(204, "")


@pytest.mark.parametrize("answer", [b"not json", b"[]", b"\xff\xfe"])
def test_an_answer_that_is_no_message_is_a_success_without_an_id(fake, answer):
    assert post(fake, Answer(200, answer)) == Receipt(200, "")


def test_a_short_pause_is_waited_for_once(fake):
    pauses = []
    receipt = post(fake, Answer(429, {"retry_after": 0.7}), sleep=pauses.append)
    assert (receipt.status, pauses, len(fake.requests)) == (200, [0.7], 2)


def test_a_second_refusal_after_the_pause_raises(fake):
    limited = Answer(429, {"retry_after": 1})
    with pytest.raises(DeliveryError, match="429, too many requests"):
        post(fake, limited, limited, sleep=lambda _: None)
    assert len(fake.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        {"retry_after": 5.1},
        {"retry_after": 10**400},
        {"retry_after": -1},
        {"retry_after": "1"},
        {"retry_after": float("nan")},
        {},
        b"error code: 1015",
        b"[" * 50_000,
    ],
)
def test_any_other_pause_is_left_to_lambda(fake, answer):
    with pytest.raises(DeliveryError) as raised:
        post(fake, Answer(429, answer), sleep=pytest.fail)
    assert (raised.value.status, len(fake.requests)) == (429, 1)


def test_no_pause_is_waited_for_that_the_functions_time_does_not_allow(lambda_, fake):
    fake.answers = [Answer(429, {"retry_after": 2})]
    hurried = SimpleNamespace(get_remaining_time_in_millis=lambda: 7900)
    with pytest.raises(DeliveryError, match="429"):
        lambda_(event(), hurried)


def test_a_pause_that_fits_into_the_functions_time_is_waited_for(lambda_, fake):
    fake.answers = [Answer(429, {"retry_after": 0.01})]
    at_ease = SimpleNamespace(get_remaining_time_in_millis=lambda: 14000)
    assert lambda_(event(), at_ease)["delivered"] == 1


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (302, "a redirect is not followed"),
        (400, "no"),
        (401, "the webhook's token is wrong"),
        (403, "no"),
        (404, "the webhook does not exist any more"),
        (500, "no"),
    ],
)
def test_a_refusal_raises_with_its_status_and_reason(fake, status, why):
    elsewhere = {"Location": fake.address + "/elsewhere"}
    with pytest.raises(DeliveryError) as raised:
        post(fake, Answer(status, {"code": 10015}, elsewhere))
    assert str(raised.value) == f'Discord answered {status}, {why}: `{{"code": 10015}}`'
    assert raised.value.status == status
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (HANG, "Discord did not answer within 0.2 s."),
        (RESET, "Discord could not be reached: "),
    ],
)
def test_silence_and_a_broken_connection_raise(fake, answer, problem):
    with pytest.raises(DeliveryError, match=problem) as raised:
        post(fake, answer, timeout=0.2)
    assert raised.value.status is None


def everything(error):
    """All that any log could print of an exception."""
    chain = []
    while error:
        chain.append(error)
        error = error.__cause__ or error.__context__
    text = "".join("".join(traceback.format_exception(each)) for each in chain)
    return text + "".join(map(repr, chain))


@pytest.mark.parametrize(
    "answer",
    [
        HANG,
        RESET,
        Answer(400, {"message": f"bad {WEBHOOK}"}),
        Answer(302, b"see " + WEBHOOK.encode()),
        Answer(429, TOKEN.encode()),
    ],
)
def test_no_error_ever_tells_the_webhook(fake, answer):
    with pytest.raises(DeliveryError) as raised:
        post(fake, answer, timeout=0.2)
    assert TOKEN not in everything(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        f"https://127.0.0.1:1{WEBHOOK}",
        f"https://127.0.0.1:port{WEBHOOK}",
        f"https://[{WEBHOOK}",
        f"http://127.0.0.1:1{WEBHOOK}\x7f",
        f"http://127.0.0.1:1{WEBHOOK}é",
        f"http://discord.example{WEBHOOK}",
        f"https://{WEBHOOK}",
        f"ftp://127.0.0.1{WEBHOOK}",
        TOKEN,
    ],
)
def test_no_bad_webhook_is_told_either(fake, url):
    with pytest.raises(DeliveryError) as raised:
        post(fake, url=url)
    assert TOKEN not in everything(raised.value)
    assert fake.requests == []


@pytest.mark.parametrize("start", ["http://discord.example", "ftp://127.0.0.1", "https://", ""])
def test_a_webhook_is_https_or_on_loopback(fake, start):
    with pytest.raises(DeliveryError, match=r"The webhook is not an https URL\."):
        post(fake, url=start + WEBHOOK)


def test_a_percent_encoded_token_that_comes_back_decoded_is_not_told(fake):
    with pytest.raises(DeliveryError) as raised:
        post(fake, Answer(400, b"bad to ken!"), url=fake.address + "/api/webhooks/1/to%20ken!/")
    assert "to ken!" not in str(raised.value)


# --- the log, the memory, the channels -------------------------------------------------------


def test_a_delivery_is_one_line_of_json(lambda_, fake, capsys):
    fake.answers = [Answer(200, {"id": "777"})]
    lambda_(sns(event()), None)
    (line,) = logged(capsys)
    assert list(line) == [
        "ctwatch",
        "event_id",
        "request_id",
        "event_name",
        "title",
        "severity",
        "result",
        "label",
        "actor",
        "channel",
        "status",
        "ms",
        "received",
        "sent",
        "message_id",
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["received"])
    assert line["received"] <= line.pop("sent")
    assert 0 <= line.pop("ms") < 5000
    del line["received"]
    assert line == {
        "ctwatch": "delivered",
        "event_id": EVENT_ID,
        "request_id": REQUEST_ID,
        "event_name": "StopLogging",
        "title": "Stop CloudTrail logging",
        "severity": "high",
        "result": "succeeded",
        "label": "",
        "actor": ROLE_SESSION["arn"],
        "channel": "discord",
        "status": 200,
        "message_id": "777",
    }


PROBED = {"requestParameters": {"name": "ctwatch-probe-1"}, "errorCode": "TrailNotFoundException"}
MADE_UP = {**event(), "ctwatch": {"synthetic": True}}


@pytest.mark.parametrize(
    ("invocation", "said"),
    [
        (event(**PROBED), ("Stop CloudTrail logging", "medium", "failed", "DRILL")),
        (MADE_UP, ("Stop CloudTrail logging", "high", "succeeded", "SYNTHETIC")),
        (event(eventName="Odd"), ("", "medium", "succeeded", "")),
        (event(errorCode="AccessDenied"), ("Stop CloudTrail logging", "medium", "denied", "")),
        ("garbage", ("Unreadable event", "medium", "", "")),
    ],
)
def test_a_line_says_what_it_is_how_bad_and_whether_it_is_real(lambda_, capsys, invocation, said):
    lambda_(invocation, None)
    (line,) = logged(capsys)
    assert tuple(line[word] for word in ("title", "severity", "result", "label")) == said


def test_a_failure_is_logged_and_raised_without_the_secret(lambda_, fake, capsys):
    fake.answers = [Answer(404, {"message": f"Unknown {TOKEN}"})]
    with pytest.raises(
        DeliveryError, match=r"1 of 1 not delivered\. discord: Discord answered 404"
    ):
        lambda_(event(), None)
    out = capsys.readouterr().out
    (line,) = map(json.loads, out.splitlines())
    assert (line["ctwatch"], line["status"], line["message_id"]) == ("failed", 404, None)
    assert line["received"] <= line["sent"]
    assert "does not exist any more" in line["error"]
    assert (line["title"], line["severity"]) == ("Stop CloudTrail logging", "high")
    assert TOKEN not in out


def test_the_log_is_plain_ascii_and_short(lambda_, capsys):
    lambda_(event(userIdentity={"arn": "\u202e\n한" * 9999}), None)
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    assert len(out) < 5000


def test_an_event_is_sent_once_by_a_warm_container(lambda_, fake, capsys):
    lambda_(sns(event()), None)
    assert lambda_(event(), None) == {"delivered": 0, "duplicates": 1}
    assert len(fake.requests) == 1
    assert [line["ctwatch"] for line in logged(capsys)] == ["delivered", "duplicate"]


def test_an_event_that_failed_is_sent_again(lambda_, fake):
    fake.answers = [Answer(500)]
    with pytest.raises(DeliveryError):
        lambda_(event(), None)
    assert lambda_(event(), None) == {"delivered": 1, "duplicates": 0}


def test_events_without_any_id_are_never_taken_for_duplicates(lambda_, fake):
    lambda_("garbage", None)
    lambda_("garbage", None)
    assert len(fake.requests) == 2


def test_a_retry_of_an_unreadable_message_is_known_by_its_sns_id(lambda_):
    lambda_(sns("garbage"), None)
    assert lambda_(sns("garbage"), None) == {"delivered": 0, "duplicates": 1}


def test_an_event_without_event_id_is_known_by_the_id_of_its_envelope(lambda_):
    lambda_(event(eventID=None), None)
    assert lambda_(event(eventID=None), None) == {"delivered": 0, "duplicates": 1}


def test_the_memory_is_bounded_and_forgets_the_oldest():
    sent = main.Sent(most=2)
    for key in ("a", "b", "a", "c"):
        sent.add((key, "discord"))
    assert [sent.has((key, "discord")) for key in "abc"] == [True, False, True]


def two_channels(monkeypatch, fake, first):
    second = {"name": "second", "type": "discord", "secret": "env:DISCORD_WEBHOOK_URL"}
    return container(monkeypatch, fake.url, channels=[{**ONE[0], **first}, second])


@pytest.mark.parametrize(
    ("first", "problem"),
    [
        ({"secret": "env:NOT_THERE"}, "discord: The secret env:NOT_THERE is empty or not there."),
        ({"type": "pager"}, "discord: The channel discord is of no known type."),
        ({"secret": "https://x/TOKEN"}, "discord: A channel's secret is neither env:NAME nor"),
    ],
)
def test_one_failing_channel_does_not_stop_the_other(fake, monkeypatch, first, problem):
    handler = two_channels(monkeypatch, fake, first)
    with pytest.raises(DeliveryError) as raised:
        handler(event(), None)
    assert str(raised.value).startswith(f"1 of 2 not delivered. {problem}")
    assert "TOKEN" not in str(raised.value)
    assert len(fake.requests) == 1


def test_a_retry_goes_only_to_the_channel_that_failed(fake, monkeypatch, capsys):
    handler = two_channels(monkeypatch, fake, {})
    fake.answers = [Answer(500), Answer(200)]
    with pytest.raises(DeliveryError):
        handler(event(), None)
    assert handler(event(), None) == {"delivered": 1, "duplicates": 1}
    told = [line["ctwatch"] for line in logged(capsys)]
    assert (sorted(told[:2]), sorted(told[2:])) == (
        ["delivered", "failed"],
        ["delivered", "duplicate"],
    )


def test_an_error_that_is_not_ours_is_told_by_place_alone(lambda_, capsys, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError(TOKEN)

    monkeypatch.setattr(discord, "send", broken)
    with pytest.raises(DeliveryError, match=r"RuntimeError at test_notifier\.py:\d+\.") as raised:
        lambda_(event(), None)
    assert TOKEN not in everything(raised.value) + capsys.readouterr().out


# --- settings and secrets --------------------------------------------------------------------


def test_the_environment_is_read_as_up_writes_it(lambda_, monkeypatch):
    del lambda_
    monkeypatch.setenv("CTWATCH_LANGUAGE", "ko")
    import os  # noqa: PLC0415 - only this test looks at the real environment

    told = read_settings(os.environ)
    assert (told.watch, told.trail, told.language) == ("ctwatch", TRAIL, "ko")
    assert [(each.name, each.type, each.secret) for each in told.channels] == [
        ("discord", "discord", "env:DISCORD_WEBHOOK_URL")
    ]


def test_an_unknown_language_still_gets_its_alert():
    told = read_settings({"CTWATCH_CHANNELS": json.dumps(ONE), "CTWATCH_LANGUAGE": "fr"})
    assert (told.language, told.timezone) == ("en", "UTC")


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", "null", '["x"]', '[{"name": "a"}]'])
def test_an_environment_that_names_no_channel_raises(lambda_, monkeypatch, text):
    monkeypatch.setenv("CTWATCH_CHANNELS", text)
    with pytest.raises(SettingsError, match="CTWATCH_CHANNELS"):
        lambda_(event(), None)


def parameter(value):
    return Answer(200, {"Parameter": {"Name": "/ctwatch/discord", "Value": value}})


@pytest.fixture
def ssm(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_REGION", REGION)
    with FakeDiscord() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        yield server


def test_a_secret_in_ssm_is_decrypted_and_kept_for_five_minutes(ssm):
    now = [1000.0]
    secrets = Secrets(clock=lambda: now[0])
    ssm.answers = [parameter("first\n"), parameter("rotated")]
    assert [secrets.get("ssm:/ctwatch/discord") for _ in range(2)] == ["first", "first"]
    now[0] += 299
    assert secrets.get("ssm:/ctwatch/discord") == "first"
    now[0] += 1
    assert secrets.get("ssm:/ctwatch/discord") == "rotated"
    assert [request.body for request in ssm.requests] == [
        {"Name": "/ctwatch/discord", "WithDecryption": True}
    ] * 2


def test_a_clock_set_back_does_not_keep_a_secret_for_ever(ssm):
    now = [1000.0]
    secrets = Secrets(clock=lambda: now[0])
    ssm.answers = [parameter("first"), parameter("rotated")]
    secrets.get("ssm:/ctwatch/discord")
    now[0] = 10.0
    assert secrets.get("ssm:/ctwatch/discord") == "rotated"


def test_a_webhook_that_was_replaced_is_found_at_the_next_try(fake, monkeypatch, ssm):
    channel = {"name": "discord", "type": "discord", "secret": "ssm:/ctwatch/discord"}
    handler = container(monkeypatch, "", channels=[channel])
    ssm.answers = [parameter(fake.address + "/old/a"), parameter(fake.address + "/new/b")]
    fake.answers = [Answer(404)]
    with pytest.raises(DeliveryError):
        handler(event(), None)
    assert handler(event(), None)["delivered"] == 1
    assert [request.path for request in fake.requests] == ["/old/a?wait=true", "/new/b?wait=true"]


def test_a_parameter_that_may_not_be_read_is_named_with_the_reason(ssm):
    ssm.answers = [Answer(400, {"__type": "ParameterNotFound", "message": "no"})]
    with pytest.raises(DeliveryError, match="/ctwatch/discord could not be read: ParameterNotFou"):
        Secrets().get("ssm:/ctwatch/discord")


def test_ssm_out_of_reach_is_a_delivery_error(ssm, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(DeliveryError, match="could not be read: EndpointConnectionError"):
        Secrets().get("ssm:/ctwatch/discord")
    assert ssm.requests == []
