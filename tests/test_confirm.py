"""`ctwatch confirm`: a link in any wrapping, by a signed call, and what it is worth."""

import base64
import io
import quopri
import re
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from urllib.parse import urlencode, urlsplit

import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from watch_world import ADDRESS, MAIL_ONLY, World, world_of

from ctwatch.confirmation import confirm, link_in
from ctwatch.demo import confirmation_link, follow
from ctwatch.errors import AwsError, ConfigError

TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:sns-cloudtrail-alarm"
TOKEN = "2336412f37fb687f5d51e6e241d09c805a5a57b30d712f79" * 4
ASKED = {"TopicArn": TOPIC, "Token": TOKEN, "Endpoint": "a@example.com"}
LINK = f"https://sns.ap-northeast-2.amazonaws.com/confirmation.html?{urlencode(ASKED)}"
RAW = LINK.replace("%3A", ":").replace("%40", "@")
CHINA = TOPIC.replace("arn:aws:sns:ap-northeast-2", "arn:aws-cn:sns:cn-north-1")
CHINESE = LINK.replace("ap-northeast-2.amazonaws.com", "cn-north-1.amazonaws.com.cn").replace(
    urlencode({"TopicArn": TOPIC}), urlencode({"TopicArn": CHINA})
)
SAFE = f"https://x.safelinks.protection.outlook.com/?{urlencode({'url': LINK, 'data': '05'})}"
SAID = f"You have chosen to subscribe to the topic:\n{TOPIC}\n\nTo confirm, visit:\n"
HTML = f'<p>To confirm:</p><a href="{RAW.replace("&", "&amp;")}">Confirm subscription</a> 확인'


def mail(text, subtype="plain", cte="quoted-printable"):
    message = EmailMessage()
    message["From"] = "AWS Notifications <no-reply@sns.amazonaws.com>"
    message["Subject"] = "AWS Notification - Subscription Confirmation"
    message.set_content(text, subtype=subtype, cte=cte)
    return message


def both():
    message = mail("See the other part.")
    message.add_alternative(HTML, subtype="html")
    return message.as_string()


@pytest.mark.parametrize(
    "text",
    [
        LINK,
        RAW,
        f"  <{RAW}>\n",
        f'"{LINK}"',
        SAID + LINK + "\n",
        SAFE,
        HTML,
        mail(SAID + LINK).as_string(),
        mail(SAID + LINK, cte="base64").as_string(),
        mail(HTML, "html").as_string(),
        both(),
        quopri.encodestring((SAID + LINK).encode()).decode(),
    ],
)
def test_the_link_is_found_in_whatever_wraps_it(text):
    link = link_in(text)
    assert (link.topic_arn, link.token) == (TOPIC, TOKEN)
    assert TOKEN not in repr(link)


def test_the_link_of_another_partition_is_one_too():
    assert link_in(CHINESE).topic_arn == CHINA


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "https://example.com/",
        "https://[x",
        LINK.replace("Token", "token"),
        LINK.replace("TopicArn", "Topic"),
        f"https://sns.us-east-1.amazonaws.com/unsubscribe.html?SubscriptionArn={TOPIC}:1",
        "Content-Type: text/plain; charset=none\n\n\xff",
        "Content-Transfer-Encoding: base64\n\n" + base64.b64encode(b"no link").decode(),
    ],
)
def test_what_holds_no_link_is_one_sentence_and_a_hint(text):
    with pytest.raises(ConfigError, match="there is no confirmation link in what was") as no:
        link_in(text)
    assert "ctwatch confirm 'https://" in no.value.hint


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_that_is_piped_in_is_a_traceback(before, after):
    assert link_in(f"{before} {LINK} {after}").topic_arn == TOPIC
    with pytest.raises(ConfigError):
        link_in(f"{before}\n\n{after}")


# Against the sandbox


@pytest.fixture(scope="module")
def world(running, tmp_path_factory) -> Iterator[World]:
    """A watch of mails alone, which is enough."""
    with world_of(running, tmp_path_factory.mktemp("home")) as world:
        world.use(MAIL_ONLY)
        assert world.run("up").code == 0
        yield world


def newest(world):
    """The newest confirmation mail's link."""
    world.settle()
    return confirmation_link(
        next(one for one in reversed(world.sandbox.inbox.mails) if "/confirm?" in one.text)
    )


def person(world):
    listed = world.client("sns").list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]
    return next((one["SubscriptionArn"] for one in listed if one["Protocol"] == "email"), "")


@pytest.fixture
def asked(world) -> str:
    """The link of a mail that nobody has answered."""
    sns, arn = world.client("sns"), person(world)
    if arn.startswith(TOPIC):
        sns.unsubscribe(SubscriptionArn=arn)
    sns.subscribe(TopicArn=TOPIC, Protocol="email", Endpoint=ADDRESS)
    return newest(world)


def unsubscribe(world):
    """Click on the link at the foot of a mail."""
    world.client("sns").publish(TopicArn=TOPIC, Message="an alert")
    world.settle()
    foot = world.sandbox.inbox.mails[-1].text.split()[-1]
    assert "/unsubscribe?" in foot
    try:
        follow(foot)
    except OSError as refusal:
        return str(refusal)
    return "done"


def test_what_is_confirmed_by_the_command_no_click_can_end(world, asked):
    one = world.run("confirm", asked)
    assert (one.code, one.err) == (0, "")
    assert one.out == (
        "✓ security@example.com is confirmed; the unsubscribe link in its mails does nothing"
    )
    assert "403" in unsubscribe(world)
    assert person(world).startswith(f"{TOPIC}:")
    assert world.run("confirm", asked).code == 0


def test_what_was_confirmed_by_a_click_is_not_made_safe_by_the_command(world, asked):
    follow(asked)
    arn = person(world)
    one = world.run("confirm", asked)
    assert (one.code, one.err) == (3, "")
    assert one.out.startswith("! security@example.com was confirmed before, by somebody or someth")
    said = re.search(
        r"→ aws sns unsubscribe --region (\S+) --subscription-arn (\S+), then", one.out
    )
    assert said.groups() == ("ap-northeast-2", arn)
    assert unsubscribe(world) == "done"


def test_what_the_remedy_says_makes_it_safe(world, asked):
    follow(asked)
    world.client("sns").unsubscribe(SubscriptionArn=person(world))
    assert world.run("up").code == 0
    assert newest(world) != asked
    assert world.run("confirm", newest(world)).code == 0


@pytest.mark.parametrize("arguments", [["confirm"], ["confirm", "-"]])
def test_the_mail_may_be_piped_in(world, asked, monkeypatch, arguments):
    assert asked
    monkeypatch.setattr("sys.stdin", io.StringIO(world.sandbox.inbox.mails[-1].path.read_text()))
    assert world.run(*arguments).code == 0


def test_a_mail_that_is_no_utf_8_may_be_piped_in_too(world, asked, monkeypatch):
    raw = io.BytesIO(b"\xff\xfe " + asked.encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(raw, encoding="utf-8"))
    assert world.run("confirm").code == 0


def test_without_a_link_at_a_terminal_it_is_asked_for(world, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    one = world.run("confirm")
    assert one.code == 2
    assert "Give the LINK of the confirmation mail, or pipe the mail in." in one.err


def test_a_token_that_is_none_is_refused_and_never_repeated(world):
    one = world.run("confirm", LINK)
    assert (one.code, one.out) == (1, "")
    assert "ConfirmSubscription answered InvalidParameter: Invalid parameter: Token" in one.err
    assert "a link is void after two days" in one.err
    assert TOKEN not in one.err


def test_a_link_of_three_days_ago_is_void_and_up_has_a_new_one_sent(world, asked, monkeypatch):
    later = world.sandbox.clock.now() + timedelta(days=3)
    monkeypatch.setattr(world.sandbox.clock, "now", lambda: later)
    one = world.run("confirm", asked)
    assert (one.code, one.out) == (1, "")
    assert "ctwatch up has AWS send a new one" in one.err
    assert world.run("up").code == 0
    assert world.run("confirm", newest(world)).code == 0


def test_a_token_that_aws_repeats_is_not_repeated_by_us(world):
    opened = world.open()
    with Stubber(opened.aws.sns) as stub:
        said = f"Invalid parameter: Token {TOKEN}"
        stub.add_client_error("confirm_subscription", "InvalidParameter", said)
        with pytest.raises(AwsError, match=r"Token \(token\)") as refused:
            confirm(opened.aws, opened.watch.topic, link_in(LINK))
    assert refused.value.__suppress_context__


def test_the_link_of_another_topic_is_refused_before_aws_is_asked(world, asked):
    other = asked.replace("sns-cloudtrail-alarm", "another")
    before = len(world.sandbox.calls)
    one = world.run("confirm", other)
    assert (one.code, one.out) == (2, "")
    assert (
        f"the link is for topic {TOPIC.rpartition(':')[0]}:another, and the watch's is" in one.err
    )
    assert "ConfirmSubscription" not in [x.operation for x in world.sandbox.calls[before:]]


def test_who_may_not_confirm_is_told_so(world, asked):
    world.refuse = lambda _, name, __: (
        ("AuthorizationError", "no") if name == "ConfirmSubscription" else None
    )
    one = world.run("confirm", asked)
    world.refuse = lambda *_: None
    assert one.code == 1
    assert "Your credentials may not call ConfirmSubscription" in one.err


def test_who_may_not_look_is_told_that_it_was_confirmed(world, asked):
    world.refuse = lambda _, name, __: (
        ("AuthorizationError", "no") if name == "GetSubscriptionAttributes" else None
    )
    one = world.run("confirm", asked)
    world.refuse = lambda *_: None
    assert one.code == 1
    assert "confirmed; looking whether it is protected: GetSubscriptionAttributes" in one.err


def test_the_link_says_whom_it_asks(asked):
    assert "Endpoint=security%40example.com" in urlsplit(asked).query
