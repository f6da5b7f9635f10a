"""Confirming a subscription so that the link at the foot of each mail cannot end it.

Whoever follows the link of a confirmation mail confirms without a signature, and from then on
anybody who has one of the mails, a reader it was forwarded to or a scanner that follows links, can
unsubscribe by one click of which CloudTrail records nothing. Confirmed by a signed call that asks
for it, only a signed call can end the subscription.
https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html
https://docs.aws.amazon.com/sns/latest/dg/logging-using-cloudtrail.html

The link is taken apart and never opened: what counts is the token in it, and that the topic is the
watch's. Where it leads is no matter.
"""

import html
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_string, policy
from urllib.parse import parse_qs, urlsplit

from ctwatch.aws import TROUBLE, Aws, complaint
from ctwatch.errors import AwsError, ConfigError
from ctwatch.permissions import Grant, allow
from ctwatch.resources.topic import Topic

_URL = re.compile(r"https?://[^\s\"'<>]+")
_TEXT = {"text/plain", "text/html"}
_VOID = (
    "Was it copied whole? Take the link of the newest mail: a link is void after two days. Where "
    "there is none, ctwatch up has AWS send a new one, once the old request has expired."
)


@dataclass(frozen=True)
class Link:
    """What the link of a confirmation mail says; whoever has the token can confirm."""

    topic_arn: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Confirmed:
    """A subscription, as AWS tells of it after it was confirmed.

    Attributes:
        arn: its ARN.
        endpoint: who is told: an address.
        pending: whether it is still to be confirmed all the same.
        protected: whether only a signed call can end it.
    """

    arn: str
    endpoint: str
    pending: bool
    protected: bool

    @property
    def remedy(self) -> str:
        """What makes it protected after all; "" where it is."""
        if self.protected:
            return ""
        region = self.arn.split(":")[3]
        return (
            f"aws sns unsubscribe --region {region} --subscription-arn {self.arn}, then ctwatch "
            "up, then ctwatch confirm with the link of the new mail, which nobody may follow before"
        )


def link_in(text: str) -> Link:
    """The link in what was given: the link itself, the text of a mail, or the whole mail.

    Raises:
        ConfigError: there is none.
    """
    for readable in _readings(text):
        for url in _URL.findall(readable):
            for link in _links(url):
                return link
    raise ConfigError(
        "there is no confirmation link in what was given: none that names a TopicArn and a Token",
        "It stands behind Confirm subscription in the mail from AWS Notifications. Copy it without "
        "following it, and put it in quotation marks: ctwatch confirm 'https://sns.…'",
    )


def _readings(text: str) -> Iterator[str]:
    """The text as it is, and as a mail may have wrapped it."""
    yield text
    for part in message_from_string(text, policy=policy.default).walk():
        if part.get_content_type() in _TEXT:
            try:
                yield html.unescape(str(part.get_content()))
            except (LookupError, KeyError, ValueError):  # of a charset that is none
                continue
    yield html.unescape(quopri.decodestring(text.encode()).decode("utf-8", "replace"))


def _links(url: str) -> Iterator[Link]:
    """The link that a URL is, or that a mail scanner has put into a URL of its own."""
    try:
        query = parse_qs(urlsplit(url).query)
    except ValueError:
        return
    if "TopicArn" in query and "Token" in query:
        yield Link(query["TopicArn"][0], query["Token"][0])
    for inner in (value for values in query.values() for value in values):
        if _URL.fullmatch(inner):
            yield from _links(inner)


def needs(topic: Topic) -> Iterator[Grant]:
    """What `confirm` needs.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
    """
    yield allow("sns", "ConfirmSubscription", topic.arn)
    yield allow("sns", "GetSubscriptionAttributes")


def confirm(aws: Aws, topic: Topic, link: Link) -> Confirmed:
    """Confirm by a signed call, and look what has become of it.

    A subscription that was confirmed before stays as it was: AWS answers as if it had been now.

    Raises:
        ConfigError: the link is for another topic.
        AwsError: AWS has refused it, for one as the token is void; its text never holds the token.
    """
    if link.topic_arn != topic.arn:
        raise ConfigError(
            f"the link is for topic {link.topic_arn}, and the watch's is {topic.arn}",
            "Name the config of the watch that sent it (--config), and its account (--profile).",
        )
    try:
        answer = aws.sns.confirm_subscription(
            TopicArn=topic.arn, Token=link.token, AuthenticateOnUnsubscribe="true"
        )
    except TROUBLE as error:
        raise _refused(
            complaint(error, f"confirming by the link for {topic.title}"), link
        ) from None
    return _seen(aws, answer["SubscriptionArn"])


def _refused(told: AwsError, link: Link) -> AwsError:
    """The same without the token; AWS calls one that is void an invalid parameter."""
    hint = _VOID if told.code in {"InvalidParameter", "NotFound"} else told.hint
    problem = told.problem.replace(link.token, "(token)")
    return AwsError(problem, hint, code=told.code, operation=told.operation)


def _seen(aws: Aws, arn: str) -> Confirmed:
    """Look at it. https://docs.aws.amazon.com/sns/latest/api/API_GetSubscriptionAttributes.html."""
    try:
        answer = aws.patiently(
            lambda: aws.sns.get_subscription_attributes(SubscriptionArn=arn),
            code="NotFound",
            limit=10,
        )
    except TROUBLE as error:
        raise complaint(error, "confirmed; looking whether it is protected") from error
    found = answer["Attributes"]
    return Confirmed(
        arn=arn,
        endpoint=found["Endpoint"],
        pending=found.get("PendingConfirmation") == "true",
        protected=found.get("ConfirmationWasAuthenticated") == "true",
    )
