"""Message -> an SNS topic, as text that people read in a mail, with the verdict as its subject.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

import json
from typing import Any

from . import aws, plain
from .errors import DeliveryError
from .inert import cut
from .message import Message
from .post import Receipt

quote = plain.quote

_TO_ASCII = str.maketrans({"“": '"', "”": '"', "…": "..."})
_SUBJECT = 99  # "less than 100 characters long"
_SMS = 1600


def subject(text: str) -> str:
    """One line below 100 characters, without any control character."""
    return cut(" ".join(text.split()), _SUBJECT)


def ascii_subject(text: str) -> str:
    """As it had to be before October 2024, should a region still ask for it.

    ASCII that begins with a letter, a number or a punctuation mark.
    """
    shown = text.translate(_TO_ASCII).encode("ascii", "replace").decode()
    return " ".join(shown.strip("? ").split())[:_SUBJECT]


def parts(message: Message) -> dict[str, str]:
    """What is published: the whole text, and another for those who get a text message.

    SNS refuses to send a text message of more than 1,600 characters:
    https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-topic.html
    """
    return {"default": plain.body(message), "sms": cut(plain.brief(message), _SMS, str)}


def send(topic: str, message: Message) -> Receipt:
    """Publish it, and once more with an ASCII subject when the other one is refused.

    Args:
        topic: the topic's ARN.
        message: what to say.

    Raises:
        DeliveryError: it was not taken; says why in AWS's word for it.
    """
    try:
        return _publish(aws.client("sns", _region(topic)), topic, message)
    except aws.failures() as error:
        problem = f"SNS did not take it: {aws.code(error)}."
    raise DeliveryError(problem)


def _region(topic: str) -> str:
    """arn:partition:sns:REGION:account:name."""
    return (topic.split(":") + [""] * 4)[3]


def _publish(client: Any, topic: str, message: Message) -> Receipt:
    told = json.dumps(parts(message), ensure_ascii=False)
    asked = {"TopicArn": topic, "Message": told, "MessageStructure": "json"}
    try:
        answer = client.publish(Subject=subject(message.headline), **asked)
    except aws.failures() as error:
        if not _is_about_subject(error):
            raise
        answer = client.publish(Subject=ascii_subject(message.ascii_headline), **asked)
    return Receipt(200, str(answer.get("MessageId", ""))[:40])


def _is_about_subject(error: Exception) -> bool:
    return aws.code(error) == "InvalidParameter" and "Subject" in str(error)
