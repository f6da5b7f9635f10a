"""Who hears the topic: a person by e-mail or text message, the function, the receipts queue.

A subscription has no tags. One on our topic is ours; it is found by protocol and endpoint. A number
is subscribed without being asked; whoever answers a text message with STOP gets no more of them
from the account, which the subscription itself does not show.
https://docs.aws.amazon.com/sns/latest/dg/sms_manage.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ctwatch.aws import Aws, unless
from ctwatch.diff import State
from ctwatch.permissions import Actions, allow
from ctwatch.resources.base import Live, Resource, owner
from ctwatch.resources.queue import Queue
from ctwatch.resources.topic import Topic

PENDING = "PendingConfirmation"
_SMS = "sms"

_CLICK = (
    "Copy the link of Confirm subscription out of the mail from AWS Notifications and run: ctwatch "
    "confirm 'LINK'. To follow it confirms, too, but then a click in any mail ends it. No mail? "
    "Look in the spam folder. A link older than two days is void: run ctwatch up for a new one"
)

_STOPPED = (
    "Ask whoever has that telephone whether it shall be told again, then: aws sns "
    "opt-in-phone-number --phone-number NUMBER. AWS allows that once in 30 days"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Subscription(Resource):
    """One listener of the topic.

    Attributes:
        topic: what it listens to.
        protocol: "email", "sms", "lambda" or "sqs".
        listener: the function or queue that it ends in; None for a person.
        dead_letter: where a notification goes that could not be delivered; None for a person.
    """

    topic: Topic
    protocol: str
    listener: Resource | None = None
    dead_letter: Queue | None = None

    kind: ClassVar[str] = "subscription"
    tagged: ClassVar[bool] = False

    @property
    def by_hand(self) -> Mapping[str, str]:
        """What a person has to say yes to."""
        return {"confirmed": _CLICK, "opted_in": _STOPPED}

    @property
    def arn(self) -> str:
        """The topic's ARN: only AWS knows the rest."""
        return self.topic.arn

    def hinders(self, other: Resource) -> bool:
        """A function that still listens to the topic must not begin to publish to it."""
        return self.listener is not None and self.listener.arn == other.arn

    @property
    def endpoint(self) -> str:
        """An address, or the listener's ARN."""
        return self.listener.arn if self.listener else self.name

    @property
    def wanted(self) -> State:
        """Confirmed, unfiltered, wrapped by SNS, with its dead-letter queue; a number opted in."""
        return {
            "confirmed": True,
            "filter": None,
            "raw": False,
            "dead_letter": self.dead_letter.arn if self.dead_letter else None,
            **({"opted_in": True} if self.protocol == _SMS else {}),
        }

    @property
    def actions(self) -> Actions:
        """Once there is a subscription, its actions take no ARN.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
        """
        number = " CheckIfPhoneNumberIsOptedOut" if self.protocol == _SMS else ""
        return Actions(
            read=(
                allow("sns", "ListSubscriptionsByTopic ListTagsForResource", self.topic.arn),
                allow("sns", f"GetSubscriptionAttributes{number}"),
            ),
            write=(
                allow("sns", "Subscribe", self.topic.arn),
                allow("sns", "SetSubscriptionAttributes"),
            ),
            delete=(allow("sns", "Unsubscribe"),),
        )

    def read(self, aws: Aws) -> Live | None:
        """Find it among the topic's subscriptions; the topic's tag says whose it is."""
        found, tags = aws.together(
            lambda: self._found(aws),
            lambda: unless(
                lambda: aws.sns.list_tags_for_resource(ResourceArn=self.topic.arn)["Tags"],
                "ResourceNotFound",
                "NotFound",
            ),
        )
        if found is None:
            return None
        if found == PENDING:
            return Live({**self.wanted, "confirmed": False}, owner(tags), {"arn": None})
        answer = unless(
            lambda: aws.sns.get_subscription_attributes(SubscriptionArn=found), "NotFound"
        )
        if answer is None:
            return None
        state = {**_state(answer["Attributes"]), **self._opted_in(aws)}
        return Live(state, owner(tags), {"arn": found, **_facts(answer)})

    def _opted_in(self, aws: Aws) -> State:
        """Whether a number takes text messages of this account; nothing for others."""
        if self.protocol != _SMS:
            return {}
        answer = aws.sns.check_if_phone_number_is_opted_out(phoneNumber=self.name)
        return {"opted_in": not answer["isOptedOut"]}

    def _found(self, aws: Aws) -> str | None:
        """Its ARN, the literal "PendingConfirmation", or None."""
        pages = aws.sns.get_paginator("list_subscriptions_by_topic").paginate(
            TopicArn=self.topic.arn
        )
        listed: Any = unless(
            lambda: [x for page in pages for x in page["Subscriptions"]], "NotFound"
        )
        for one in listed or []:
            same = (one["Protocol"], one["Endpoint"]) == (self.protocol, self.endpoint)
            if same and one["SubscriptionArn"] != "Deleted":
                return str(one["SubscriptionArn"])
        return None

    def write(self, aws: Aws, live: Live | None) -> None:
        """Subscribe, or set the attributes that differ."""
        redrive = self._redrive
        if live is None:
            aws.sns.subscribe(
                TopicArn=self.topic.arn,
                Protocol=self.protocol,
                Endpoint=self.endpoint,
                Attributes={"RedrivePolicy": redrive} if redrive else {},
                ReturnSubscriptionArn=True,
            )
            return
        for part, attribute, value in (
            ("filter", "FilterPolicy", "{}"),
            ("raw", "RawMessageDelivery", "false"),
            ("dead_letter", "RedrivePolicy", redrive),
        ):
            if live.state[part] != self.wanted[part]:
                # SNS takes a redrive policy away when no value is sent, and refuses an empty one.
                sent: Any = {"AttributeValue": value} if value else {}
                aws.sns.set_subscription_attributes(
                    SubscriptionArn=live.facts["arn"], AttributeName=attribute, **sent
                )

    @property
    def _redrive(self) -> str:
        if not self.dead_letter:
            return ""
        return json.dumps({"deadLetterTargetArn": self.dead_letter.arn})

    @property
    def goes_with(self) -> Resource:
        """SNS deletes a topic and all its subscriptions.

        https://docs.aws.amazon.com/sns/latest/api/API_DeleteTopic.html
        """
        return self.topic

    def delete(self, aws: Aws) -> None:
        """Unsubscribe. One still pending cannot be: it goes with its topic, or after two days."""
        found = self._found(aws)
        if found and found != PENDING:
            unless(lambda: aws.sns.unsubscribe(SubscriptionArn=found), "NotFound")


def _state(attributes: Any) -> State:
    redrive = json.loads(attributes.get("RedrivePolicy") or "{}")
    return {
        "confirmed": attributes.get("PendingConfirmation", "false") == "false",
        "filter": json.loads(attributes.get("FilterPolicy") or "{}") or None,
        "raw": attributes.get("RawMessageDelivery", "false") == "true",
        "dead_letter": redrive.get("deadLetterTargetArn"),
    }


def _facts(answer: Any) -> State:
    authenticated = answer["Attributes"].get("ConfirmationWasAuthenticated", "false")
    return {"authenticated": authenticated == "true"}
