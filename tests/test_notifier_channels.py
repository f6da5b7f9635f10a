"""Slack, Teams, any webhook and SNS: what each is sent, what its answers mean, who is told what."""

import json
import re
import threading
import unicodedata
from types import SimpleNamespace

import pytest
from fake_discord import HANG, Answer, FakeDiscord
from fake_sns import TOPIC, FakeSns
from hypothesis import example, given, settings
from hypothesis import strategies as st
from notifier_records import ACCOUNT, EVENT_ID, REGION, REQUEST_ID, TRAIL, any_json, event, sns

from ctwatch.notifier import main, plain, slack, teams, webhook
from ctwatch.notifier import sns as sns_channel
from ctwatch.notifier.errors import DeliveryError, SettingsError
from ctwatch.notifier.event import unpack
from ctwatch.notifier.message import compose
from ctwatch.notifier.settings import Secrets, Settings, read_settings
from ctwatch.notifier.words import LANGUAGES

HOOKS = {
    "slack": "/services/T00000000/B00000000/xoxSECRETslackTOKEN",
    "teams": "/workflows/abc/triggers/manual/paths/invoke?api-version=1&sig=SECRETteamsSIGN",
    "webhook": "/alerts/SECRETwebhookPATH/v1/in",
}
SECRETS = {"slack": "xoxSECRET", "teams": "SECRETteams", "webhook": "SECRETwebhook"}
GOOD = {"slack": Answer(200, b"ok"), "teams": Answer(202, b""), "webhook": Answer(204)}
MODULES = {"slack": slack, "teams": teams, "webhook": webhook}
HOSTILE = (
    "EVIL! `code` <!channel> <@U1> <https://evil.example|here> @everyone [x](https://evil.example)"
    ' **b** {{DATE(2026-01-01T00:00:00Z)}} “q”\n# big\r\n결과: 성공\u202e\u200b & "json"'
)


def watch(language="en", **options):
    return Settings("ctwatch", TRAIL, language, "Asia/Seoul", (), **options)


def composed(invocation, quote, language="en", **options):
    return compose(unpack(invocation)[0], watch(language, **options), quote)


def of_slack(invocation, language="en"):
    return slack.payload(composed(invocation, slack.quote, language))


def of_teams(invocation, language="en"):
    return teams.payload(composed(invocation, teams.quote, language))


def of_webhook(invocation, **options):
    return webhook.payload(composed(invocation, webhook.quote, **options))


def mail(invocation, language="en"):
    return plain.body(composed(invocation, plain.quote, language))


@pytest.fixture
def fake():
    with FakeDiscord() as server:
        yield server


@pytest.fixture
def topic(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with FakeSns() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        yield server


# --- Slack -----------------------------------------------------------------------------------


def test_slack_gets_the_verdict_as_text_and_the_facts_as_blocks():
    body = of_slack(event())
    kinds = [block["type"] for block in body["blocks"]]
    assert body["text"].startswith("🟠 StopLogging · SUCCEEDED · Severity high")
    assert kinds == ["header", "section", "section", "context"]
    assert (
        body["blocks"][0]["text"]["text"]
        == "🟠 Stop CloudTrail logging · SUCCEEDED · Severity high"
    )
    assert f"*Event ID*  `{EVENT_ID}`" in body["blocks"][1]["text"]["text"]
    assert body["blocks"][2]["text"]["text"] == (
        f"<https://{REGION}.console.aws.amazon.com/cloudtrailv2/home?region={REGION}"
        f"#/events/{EVENT_ID}|See it in the AWS console>"
    )


def test_slack_is_told_nothing_that_it_would_act_upon():
    shown = slack.quote(HOSTILE, 1000)
    assert "&lt;!channel&gt;" in shown
    assert not set("<>\n") & set(shown)
    assert shown.count("`") == 2


def test_an_escape_counts_for_what_it_takes():
    assert slack.quote("&&&&", 14) == "`&amp;&amp;…`"


def slack_texts(body):
    yield body["text"]
    for block in body["blocks"]:
        for text in [block["text"]] if "text" in block else block["elements"]:
            yield text["text"]


def assert_slack_takes(body):
    """https://docs.slack.dev/reference/block-kit/blocks"""
    assert len(body["blocks"]) <= 50
    assert 0 < len(body["blocks"][0]["text"]["text"]) <= 150
    texts = list(slack_texts(body))
    assert all(0 < len(text) <= 3000 for text in texts)
    assert sum(map(len, texts)) <= 13_000


# --- Teams -----------------------------------------------------------------------------------


def card(body):
    return body["attachments"][0]["content"]


def runs(body):
    return [run["text"] for block in card(body)["body"] for run in block["inlines"]]


def test_teams_gets_one_adaptive_card_in_a_message():
    body = of_teams(event())
    assert (body["type"], len(body["attachments"])) == ("message", 1)
    assert body["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert (card(body)["type"], card(body)["version"]) == ("AdaptiveCard", "1.4")
    assert runs(body)[0] == "🟠 Stop CloudTrail logging · SUCCEEDED · Severity high"
    assert runs(body)[-5:-3] == ["Event ID: ", EVENT_ID]
    assert card(body)["actions"][0]["url"].endswith(EVENT_ID)


def test_every_text_on_the_card_is_one_without_markdown():
    blocks = card(of_teams(event(userAgent=HOSTILE, eventName=HOSTILE)))["body"]
    assert {block["type"] for block in blocks} == {"RichTextBlock"}
    assert {run["type"] for block in blocks for run in block["inlines"]} == {"TextRun"}


def test_a_card_calls_no_function_that_a_stranger_wrote():
    assert "{{" not in teams.quote("{{{DATE(x)}}}", 100)


SAID = (
    *("eventID", "requestID", "errorCode", "errorMessage", "userAgent", "awsRegion", "eventTime"),
    *("sourceIPAddress", "recipientAccountId"),
)


def longest(text):
    named = ["name", "s3BucketName", "kmsKeyId", "snsTopicName", "s3KeyPrefix"]
    asked = dict.fromkeys(named, text)
    issuer = {"sessionContext": {"sessionIssuer": {"arn": text + "y"}}}
    identity = {"type": text, "arn": text, "accountId": text + "x", **issuer}
    told = dict.fromkeys(SAID, text) | {"userIdentity": identity, "requestParameters": asked}
    return event(**told, eventName="UpdateTrail")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("char", ["한", '"', "\\", "\u202e", "🟠", "&"])
def test_the_longest_alert_keeps_within_every_limit(fake, language, char):
    came = longest(char * 9999)
    fake.answers = [Answer(202, b"")]
    teams.send(fake.url, composed(came, teams.quote, language))
    assert int(fake.requests[0].headers["Content-Length"]) < 28_000
    assert_slack_takes(of_slack(came, language))


# --- plain text, and SNS ---------------------------------------------------------------------


def test_a_mail_tells_each_fact_on_a_line_of_its_own():
    assert (
        mail(event(), "ko")
        == f"""\
🟠 StopLogging · 성공 · 심각도 높음 · 추적 ct-trail-monitor (우리 추적)

이벤트: StopLogging
결과: 성공 · 오류 코드 없음
추적: ct-trail-monitor (우리 추적)
행위자: arn:aws:sts::{ACCOUNT}:assumed-role/Admin/alice@example.com
자격 증명: AssumedRole · 역할 세션 · 발급자 arn:aws:iam::{ACCOUNT}:role/Admin
MFA: 사용 안 함
소스 IP: 203.0.113.7
사용자 에이전트: aws-cli/2.31.0
발생 시각: 2026-11-21 14:03:22 KST · 2026-11-21 05:03:22 UTC
리전: {REGION}
계정: {ACCOUNT}
탐지: trail-tampering
MITRE ATT&CK: T1562.008 → T1685.002
이벤트 ID: {EVENT_ID}
요청 ID: {REQUEST_ID}
AWS 콘솔에서 보기: https://{REGION}.console.aws.amazon.com/cloudtrailv2/home?region={REGION}#/events/{EVENT_ID}

ctwatch · ctwatch"""
    )


LOGIN = event(
    eventSource="signin.amazonaws.com",
    eventName="ConsoleLogin",
    eventType="AwsConsoleSignIn",
    requestID=None,
    requestParameters=None,
    responseElements={"ConsoleLogin": "Success"},
)


@pytest.mark.parametrize("invocation", [event(), LOGIN, sns("garbage")])
def test_every_text_names_the_trail_or_says_that_none_is_recorded(invocation):
    assert len(re.findall("^Trail: ", mail(invocation), re.MULTILINE)) == 1


def test_a_text_message_is_short_and_says_which_event_it_is():
    told = plain.brief(composed(event(), plain.quote))
    assert told.splitlines()[0].startswith("🟠 StopLogging · SUCCEEDED")
    assert [line.partition(":")[0] for line in told.splitlines()[1:]] == [
        "Trail",
        "Actor",
        "Source IP",
        "Time",
        "Region",
        "Account",
        "Event ID",
        "Request ID",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("arn:aws:iam::1:user/x", "arn:aws:iam::1:user/x"),
        ("two words", "“two words”"),
        ("x (ours)", "“x (ours)”"),
        ("a”b", "“a″b”"),
        ("one\nTrail: two", "“one\\nTrail: two”"),
        ("see https://evil.example", "“see https[:]//evil.example”"),
        ("https://evil.example", "“https[:]//evil.example”"),
        ("a" * 40, "“" + "a" * 17 + "…”"),
    ],
)
def test_a_strangers_text_is_one_word_or_stands_between_quotation_marks(text, shown):
    assert plain.quote(text, 20 if len(text) > 30 else 100) == shown


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("🟠 StopLogging · 성공", "🟠 StopLogging · 성공"),
        ("a\r\nb\tc", "a b c"),
        ("a\x00b\u2028c\x7f", "a\\x00b c\\x7f"),
        ("가" * 120, "가" * 98 + "…"),
        ("🟠" * 60, "🟠" * 49 + "…"),
    ],
)
def test_a_subject_is_one_line_below_100_characters(text, subject):
    assert sns_channel.subject(text) == subject


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("StopLogging - SUCCEEDED", "StopLogging - SUCCEEDED"),
        ("“x y” …", '"x y" ...'),
        ("추적 x", "x"),
        ("x" * 120, "x" * 99),
    ],
)
def test_an_old_subject_is_ascii(text, subject):
    assert sns_channel.ascii_subject(text) == subject


def published(topic):
    return [{**request, **json.loads(request["Message"])} for request in topic.requests]


def test_sns_is_asked_in_the_topics_own_region(topic):
    receipt = sns_channel.send(TOPIC, composed(event(), sns_channel.quote, "ko"))
    (request,) = published(topic)
    assert (receipt.status, receipt.message_id) == (200, "sns-777")
    assert (request["TopicArn"], request["MessageStructure"]) == (TOPIC, "json")
    assert request["Subject"] == (
        "🟠 StopLogging · 성공 · 심각도 높음 · 추적 ct-trail-monitor (우리 추적)"
    )
    assert request["default"] == mail(event(), "ko")
    assert request["sms"].splitlines()[0] == request["Subject"]
    assert f"/{REGION}/sns/" in topic.hosts[0]


def test_a_refused_subject_is_said_once_more_in_ascii(topic):
    topic.refusals = [("InvalidParameter", "Invalid parameter: Subject")]
    sns_channel.send(TOPIC, composed(event(), sns_channel.quote, "ko"))
    first, second = published(topic)
    assert second["Subject"] == (
        "StopLogging - SUCCEEDED - Severity high - Trail ct-trail-monitor (ours)"
    )
    assert second["default"] == first["default"]


@pytest.mark.parametrize(
    "refusals",
    [
        [("AuthorizationError", "no")],
        [("InvalidParameter", "Invalid parameter: TopicArn")],
        [("NotFound", "Topic does not exist: Subject")],
        [("InvalidParameter", "Invalid parameter: Subject")] * 2,
    ],
)
def test_any_other_refusal_raises_with_its_code(topic, refusals):
    topic.refusals = list(refusals)
    with pytest.raises(DeliveryError, match=rf"SNS did not take it: {refusals[0][0]}\."):
        sns_channel.send(TOPIC, composed(event(), sns_channel.quote))
    assert len(topic.requests) == len(refusals)


def test_sns_out_of_reach_is_a_delivery_error(topic, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(DeliveryError, match="SNS did not take it: EndpointConnectionError"):
        sns_channel.send(TOPIC, composed(event(), sns_channel.quote))
    assert topic.requests == []


def test_a_topic_that_is_no_arn_is_a_delivery_error(topic, monkeypatch):
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(DeliveryError, match="NoRegionError"):
        sns_channel.send("no-arn", composed(event(), sns_channel.quote))
    assert topic.requests == []


# --- any webhook -----------------------------------------------------------------------------

UPDATE = event(
    eventName="UpdateTrail",
    requestParameters={"name": "ct-trail-monitor", "s3BucketName": "evil"},
    errorCode="AccessDenied",
    errorMessage="no <b>",
    userAgent=HOSTILE,
)


def test_the_document_is_as_its_module_says():
    document = of_webhook(UPDATE)
    text = document.pop("text")
    assert text == mail(UPDATE)
    assert document == {
        "schema": "ctwatch.alert/1",
        "watch": "ctwatch",
        "headline": "🟠 UpdateTrail · DENIED ATTEMPT · Severity high · "
        "Trail ct-trail-monitor (ours)",
        "result": "denied",
        "severity": "high",
        "drill": False,
        "synthetic": False,
        "detections": ["trail-tampering"],
        "mitre": ["T1562.008", "T1685.002"],
        "consequences": ["moves_bucket"],
        "notes": ["This call did not succeed. Find out who tried, and why."],
        "event": {
            "kind": "call",
            "name": "UpdateTrail",
            "source": "cloudtrail.amazonaws.com",
            "id": EVENT_ID,
            "request_id": REQUEST_ID,
            "time": "2026-11-21T05:03:22Z",
            "region": REGION,
            "account": ACCOUNT,
        },
        "actor": {
            "name": f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/alice@example.com",
            "type": "AssumedRole",
            "issuer": f"arn:aws:iam::{ACCOUNT}:role/Admin",
            "account": "",
            "mfa": False,
        },
        "origin": {"ip": "203.0.113.7", "user_agent": HOSTILE},
        "trail": {"name": "ct-trail-monitor", "arn": "", "ours": True},
        "target": "",
        "error": {"code": "AccessDenied", "message": "no <b>"},
        "changes": [{"what": "bucket", "before": "", "after": "evil"}],
        "requested": '{"s3BucketName": "evil"}',
        "link": f"https://{REGION}.console.aws.amazon.com/cloudtrailv2/home?region={REGION}"
        f"#/events/{EVENT_ID}",
        "excerpt": "",
    }


def shape(value):
    return {key: shape(each) for key, each in value.items()} if isinstance(value, dict) else None


@pytest.mark.parametrize("invocation", [LOGIN, sns("garbage"), event(userIdentity=None)])
def test_the_document_has_the_same_fields_for_every_event(invocation):
    assert shape(of_webhook(invocation)) == shape(of_webhook(UPDATE))


def test_the_docstring_names_every_field_of_the_document():
    described = set(re.findall(r"^    (\w+) ", webhook.__doc__, re.MULTILINE))
    assert described == set(of_webhook(UPDATE))


def test_what_cannot_be_read_has_no_result_and_shows_what_came():
    document = of_webhook(sns("garbage"))
    assert (document["result"], document["event"]["kind"]) == (None, "unreadable")
    assert document["excerpt"] == "garbage"


def test_a_document_is_never_large():
    document = of_webhook(event(userAgent="x" * 99_999, requestParameters={"y": "z" * 99_999}))
    assert document["origin"]["user_agent"] == "x" * 3999 + "…"
    assert len(json.dumps(document)) < 20_000


# --- all that are posted ---------------------------------------------------------------------


def post(fake, channel, *answers, **options):
    fake.answers = list(answers)
    module = MODULES[channel]
    url = fake.address + HOOKS[channel]
    return module.send(url, composed(event(), module.quote), **options)


@pytest.mark.parametrize("channel", HOOKS)
def test_a_webhook_is_posted_to_as_its_url_says(fake, channel):
    receipt = post(fake, channel, GOOD[channel])
    (request,) = fake.requests
    assert receipt.status == GOOD[channel].status
    assert request.path == HOOKS[channel]
    assert request.headers["User-Agent"] == "ctwatch/0.1.0 (+https://github.com/ctwatch/ctwatch)"
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("channel", HOOKS)
def test_a_pause_in_the_header_is_waited_for_once(fake, channel):
    pauses = []
    busy = Answer(429, b"rate_limited", {"Retry-After": "2"})
    receipt = post(fake, channel, busy, GOOD[channel], sleep=pauses.append)
    assert (receipt.status, pauses) == (GOOD[channel].status, [2.0])
    with pytest.raises(DeliveryError, match="429, too many requests from here"):
        post(fake, channel, busy, busy, sleep=pauses.append)


@pytest.mark.parametrize(
    "header", ["6", "", "-1", "1.5", "soon", "²", "9" * 400, "Sat, 21 Nov 2026 05:03:22 GMT"]
)
def test_any_other_pause_is_left_to_lambda(fake, header):
    busy = Answer(429, b"", {"Retry-After": header} if header else {})
    with pytest.raises(DeliveryError) as raised:
        post(fake, "slack", busy, sleep=pytest.fail)
    assert (raised.value.status, len(fake.requests)) == (429, 1)


@pytest.mark.parametrize("channel", HOOKS)
@pytest.mark.parametrize("status", [404, 410])
def test_a_dead_webhook_is_told_to_be_dead(fake, channel, status):
    with pytest.raises(DeliveryError, match=f"{status}, the webhook does not exist any more"):
        post(fake, channel, Answer(status, b"no_service"))
    assert len(fake.requests) == 1


@pytest.mark.parametrize("answer", [Answer(200, b"<html>"), Answer(202, b"ok"), Answer(204)])
def test_slack_has_taken_it_only_when_it_says_ok(fake, answer):
    with pytest.raises(DeliveryError, match=f"Slack answered {answer.status}, no"):
        post(fake, "slack", answer)


@pytest.mark.parametrize("channel", HOOKS)
@pytest.mark.parametrize("status", [200, 500])
def test_of_an_answer_without_end_only_the_beginning_is_read(fake, channel, status):
    endless = Answer(status, b"x" * 32 * 1024 * 1024)  # more than lies in any socket's buffers
    if status == 500 or channel == "slack":
        with pytest.raises(DeliveryError, match=f"answered {status}"):
            post(fake, channel, endless)
    else:
        assert post(fake, channel, endless).status == 200
    assert fake.hung_up.wait(5)


@pytest.mark.parametrize("channel", HOOKS)
def test_no_channels_error_tells_its_webhook(fake, channel):
    token = next(part for part in re.split("[/=&?]", HOOKS[channel]) if "SECRET" in part)
    echoed = (f"{fake.address}{HOOKS[channel]}", HOOKS[channel], f"unknown {token}!")
    for answer in (*(Answer(400, text.encode()) for text in echoed), HANG):
        with pytest.raises(DeliveryError) as raised:
            post(fake, channel, answer, timeout=0.2)
        assert SECRETS[channel] not in str(raised.value)


# --- inert and within limits, whatever comes -------------------------------------------------

json_values = any_json(HOSTILE, HOSTILE * 200)
SOURCES = [f"{name}.amazonaws.com" for name in ("cloudtrail", "ec2", "events", "sns", "s3", "kms")]
NAMES = ["UpdateTrail", "PutEventSelectors", "ModifySecurityGroupRules", "PutRule", "ConsoleLogin"]
ASKED = [
    *("name", "trailName", "rule", "s3BucketName", "kmsKeyId", "attributeName", "ipPermissions"),
    *("advancedEventSelectors", "eventSelectors", "state", "names", "cidrIp", "omitted"),
]
calls = st.builds(
    lambda source, name, asked, detail: event(
        **{"eventSource": source, "eventName": name, "requestParameters": asked, **detail}
    ),
    st.sampled_from(SOURCES) | json_values,
    st.sampled_from(NAMES) | json_values,
    st.dictionaries(st.sampled_from(ASKED), json_values) | json_values,
    st.dictionaries(st.sampled_from([*event()["detail"], "resources", "errorCode"]), json_values),
)
insights = st.builds(
    lambda details: event(eventType="AwsCloudTrailInsight", insightDetails=details),
    st.dictionaries(
        st.sampled_from(["state", "eventName", "eventSource", "insightContext", "errorCode"]),
        json_values
        | st.fixed_dictionaries(
            {},
            optional={
                "attributions": st.lists(
                    st.fixed_dictionaries(
                        {"attribute": st.just("userIdentityArn"), "insight": json_values}
                    )
                ),
                "statistics": json_values,
            },
        ),
    ),
)
deleted = st.builds(
    lambda detail, ours: {
        "source": "aws.s3",
        "detail-type": "Object Deleted",
        "detail": detail,
        **ours,
    },
    st.dictionaries(
        st.sampled_from(["bucket", "object", "requester", "deletion-type", "reason"]),
        json_values | st.fixed_dictionaries({"name": json_values, "key": json_values}),
    )
    | json_values,
    st.dictionaries(st.sampled_from(["id", "time", "region", "ctwatch"]), json_values),
)


def visible_only(text):
    return not {char for char in text if unicodedata.category(char)[0] in "CM"} - {"\n"}


def assert_slack_inert(body):
    for text in slack_texts(body):
        outside = re.sub(r"`[^`]+`", "", text)
        assert "`" not in outside
        assert "EVIL!" not in outside or text == body["blocks"][0]["text"]["text"]
        assert not re.search(r"<(?!https://[\w.-]+\.(aws\.amazon|amazonaws)[\w.-]*/)", text)
        assert visible_only(text)


@given(calls | insights | deleted, st.sampled_from(LANGUAGES))
@example({"detail": {"eventName": "StopLogging", "requestParameters": {"n": 10**5000}}}, "en")
@example(event(userAgent="&" * 9999, errorMessage="<" * 9999, errorCode="X"), "ko")
@settings(deadline=None)
def test_whatever_comes_every_channel_gets_a_message_within_limits_and_inert(came, language):
    chat = of_slack(came, language)
    assert_slack_takes(chat)
    assert_slack_inert(chat)
    on_card = of_teams(came, language)
    assert all(visible_only(text) and "\n" not in text for text in runs(on_card))
    assert not any("{{" in text or "https://" in text for text in runs(on_card))
    encoded = json.dumps(on_card, ensure_ascii=False).encode("utf-8", "replace")
    assert len(encoded) < 28_000
    json.dumps(of_webhook(came, language=language)).encode()
    message = composed(came, sns_channel.quote, language)
    assert_mail(message)


def assert_mail(message):
    parts = sns_channel.parts(message)
    subject = sns_channel.subject(message.headline)
    old = sns_channel.ascii_subject(message.ascii_headline)
    assert len(subject.encode("utf-16-le")) // 2 < 100
    assert 0 < len(old) < 100
    assert old.isascii()
    assert old.isprintable()
    assert subject.isprintable()
    assert len(parts["sms"]) <= 1600
    assert visible_only(parts["default"])
    own = "".join(line for line in parts["default"].splitlines() if message.link not in line)
    assert "://" not in (own if message.link else parts["default"])


# --- who is told -----------------------------------------------------------------------------


@pytest.fixture
def lambda_(fake, monkeypatch):
    """A function whose channels are all webhooks at the same server, each with its own path."""

    def made(*channels):
        entries = []
        for number, options in enumerate(channels):
            monkeypatch.setenv(f"HOOK_{number}", f"{fake.address}/{number}")
            base = {"name": str(number), "type": "webhook", "secret": f"env:HOOK_{number}"}
            entries.append(base | options)
        monkeypatch.setenv("CTWATCH_TRAIL", TRAIL)
        monkeypatch.setenv("CTWATCH_CHANNELS", json.dumps(entries))
        monkeypatch.setattr(main, "_SENT", main.Sent())
        monkeypatch.setattr(main, "_SECRETS", Secrets())
        return lambda came: main.handler(came, None)

    return made


def told(fake):
    return sorted(request.path.strip("/") for request in fake.requests)


def test_every_type_of_channel_is_told_side_by_side(lambda_, fake, topic):
    del topic
    handler = lambda_(
        {"type": "discord"},
        {"type": "teams"},
        {"type": "webhook"},
        {"type": "sns", "topic": TOPIC},
    )
    assert handler(event())["delivered"] == 4
    assert told(fake) == ["0?wait=true", "1", "2"]


def test_slack_is_told_too(lambda_, fake):
    fake.answers = [Answer(200, b"ok")]
    assert lambda_({"type": "slack"})(event())["delivered"] == 1


@pytest.mark.parametrize(
    ("least", "name", "expected"),
    [
        ("low", "StartLogging", ["0"]),
        ("medium", "StartLogging", []),
        ("high", "StopLogging", ["0"]),
        ("critical", "StopLogging", []),
        ("critical", "DeleteTrail", ["0"]),
        ("nonsense", "StartLogging", ["0"]),
        (None, "StartLogging", ["0"]),
    ],
)
def test_a_channel_is_told_what_is_bad_enough(lambda_, fake, least, name, expected):
    lambda_({"min_severity": least})(event(eventName=name))
    assert told(fake) == expected


def test_a_channel_may_want_only_some_detections(lambda_, fake):
    handler = lambda_({"only": ["root-login"]}, {"only": ["trail-tampering"]}, {})
    handler(event())
    assert told(fake) == ["1", "2"]


def test_an_event_of_two_detections_is_told_to_those_who_want_either(lambda_, fake):
    handler = lambda_({"only": ["root-activity"]}, {"only": ["trail-tampering"]}, {"only": ["x"]})
    handler(event(userIdentity={"type": "Root"}))
    assert told(fake) == ["0", "1"]


@pytest.mark.parametrize("came", [event(eventName="Unheard"), sns("garbage")])
def test_what_no_catalogue_knows_goes_where_all_goes(lambda_, fake, came):
    lambda_({"only": ["root-login"]}, {})(came)
    assert told(fake) == ["1"]


@pytest.mark.parametrize("came", [event(eventName="Unheard"), sns("garbage")])
def test_what_no_catalogue_knows_goes_to_everybody_rather_than_to_nobody(lambda_, fake, came):
    lambda_({"only": ["root-login"]}, {"only": ["insight"]})(came)
    assert told(fake) == ["0", "1"]


def test_what_cannot_be_read_is_bad_enough_for_everybody(lambda_, fake):
    lambda_({"min_severity": "critical"})(sns("garbage"))
    assert told(fake) == ["0"]


def test_a_channel_that_is_left_out_is_a_line_of_the_log(lambda_, capsys):
    result = lambda_({"only": ["insight"]})(event())
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert result == {"delivered": 0, "duplicates": 0}
    assert (line["ctwatch"], line["event_id"], line["status"]) == ("skipped", EVENT_ID, None)


def test_a_channel_that_hangs_uses_up_nobody_elses_time(lambda_, fake, monkeypatch):
    arrived = threading.Event()
    send = webhook.send

    def hangs(url, message, **_):
        if url.endswith("/0"):
            assert arrived.wait(10)
            raise DeliveryError("The webhook did not answer.")
        receipt = send(url, message)
        arrived.set()
        return receipt

    monkeypatch.setattr(webhook, "send", hangs)
    with pytest.raises(DeliveryError, match="1 of 2 not delivered"):
        lambda_({}, {})(event())
    assert told(fake) == ["1"]


def test_a_retry_goes_only_to_those_who_were_not_told(lambda_, fake, monkeypatch):
    handler = lambda_({}, {}, {"min_severity": "critical"})
    monkeypatch.setenv("HOOK_0", "http://127.0.0.1:1/0")
    with pytest.raises(DeliveryError, match=r"1 of 3 not delivered\. 0: The webhook could not be"):
        handler(event())
    monkeypatch.setenv("HOOK_0", f"{fake.address}/0")
    assert handler(event()) == {"delivered": 1, "duplicates": 1}
    assert told(fake) == ["0", "1"]


def test_each_channel_gets_the_events_in_their_order(lambda_, fake):
    lambda_({}, {})(sns(event(), event(eventID="2", eventName="DeleteTrail")))
    for path in ("/0", "/1"):
        bodies = [request.body for request in fake.requests if request.path == path]
        assert [body["event"]["name"] for body in bodies] == ["StopLogging", "DeleteTrail"]


def test_a_log_that_cannot_be_written_is_no_success(lambda_, monkeypatch):
    handler = lambda_({}, {})

    def full(_):
        raise OSError("no space left")

    monkeypatch.setattr(main.sys, "stdout", SimpleNamespace(write=full))
    with pytest.raises(OSError, match="no space left"):
        handler(event())


# --- the environment -------------------------------------------------------------------------


def read(*channels, **variables):
    return read_settings({"CTWATCH_CHANNELS": json.dumps(channels), **variables})


def test_a_topic_is_a_channel_without_a_secret():
    (channel,) = read({"name": "mail", "type": "sns", "topic": TOPIC}).channels
    assert (channel.topic, channel.secret) == (TOPIC, "")


@pytest.mark.parametrize(
    ("entry", "needed"),
    [
        ({"name": "mail", "type": "sns", "secret": "env:X"}, "topic"),
        ({"name": "chat", "type": "slack", "topic": TOPIC}, "secret"),
    ],
)
def test_a_channel_without_an_address_is_refused(entry, needed):
    with pytest.raises(SettingsError, match=f"name, type, {needed}"):
        read(entry)


def test_what_a_channel_wants_is_read_with_it():
    options = {"min_severity": "high", "only": ["insight", "root-login"]}
    (channel,) = read({"name": "a", "type": "slack", "secret": "env:X", **options}).channels
    assert (channel.min_severity, channel.only) == ("high", {"insight", "root-login"})


@pytest.mark.parametrize("options", [{"min_severity": 7, "only": "x"}, {"min_severity": []}])
def test_a_wish_that_is_none_is_passed_over(options):
    (channel,) = read({"name": "a", "type": "slack", "secret": "env:X", **options}).channels
    assert (channel.min_severity, channel.only) == ("low", frozenset())


def test_what_is_the_watchs_own_is_read_when_it_is_there():
    entry = {"name": "a", "type": "slack", "secret": "env:X"}
    full = read(entry, CTWATCH_BUCKET="b", CTWATCH_KEY="", CTWATCH_OWN='["Topic", "Rule"]')
    assert (full.bucket, full.key, full.own) == ("b", "", {"topic", "rule"})
    bare = read(entry)
    assert (bare.bucket, bare.key, bare.own) == (None, None, None)
    assert (bare.log_group, bare.deliveries) == ("", "")
    delivering = read(entry, CTWATCH_LOG_GROUP="arn:g", CTWATCH_DELIVERIES="arn:t")
    assert (delivering.log_group, delivering.deliveries) == ("arn:g", "arn:t")


@pytest.mark.parametrize("text", ["nonsense", "{}", "7", "null"])
def test_an_own_that_is_no_list_counts_everything(text):
    assert read({"name": "a", "type": "slack", "secret": "env:X"}, CTWATCH_OWN=text).own is None
