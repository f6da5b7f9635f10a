"""SNS as it behaves: subscriptions that wait for a click, strict Publish, delivery that may fail.

moto keeps topics and subscriptions; this module keeps what moto does not know (who has confirmed,
which token) and delivers: to mailboxes, text messages, queues and functions, each subscription on
its own. A delivery that fails goes to the subscription's dead-letter queue or is lost; it never
fails the publisher.
"""

import json
import re
import secrets
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from ctwatch import patterns
from ctwatch.sandbox import keys, policies
from ctwatch.sandbox.calls import Call, Forward, Handler, Hop, Refusal, World
from ctwatch.sandbox.faults import Undeliverable, refused, translated
from ctwatch.sandbox.functions import Functions
from ctwatch.sandbox.inbox import Inbox
from ctwatch.sandbox.messages import (
    Message,
    check_batch,
    notification,
    passes,
    requested,
    unsubscribe_link,
)
from ctwatch.sandbox.metrics import SNS
from ctwatch.sandbox.queues import Queues, text
from ctwatch.sandbox.work import Work

_EVENTS = "events.amazonaws.com"
_PENDING = "PendingConfirmation"
_BACKOFF = ((3, 0.0), (5, 1.0), (15, 10.0), (100_015, 20.0))
"""How long SNS waits before the attempt after so many failures.

https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
"""
_LIFE = timedelta(hours=48)
"""How long a token is good, and a subscription waits to be confirmed.

https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
https://docs.aws.amazon.com/sns/latest/dg/sns-delete-subscription-topic.html
"""
_ASKED = {"email", "email-json", "http", "https"}
_MAILBOX = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+")
_FUNCTION = re.compile(r"arn:[\w-]+:lambda:[\w-]+:\d{12}:function:[\w-]+(:[\w$-]+)?")


class Topics:
    """The topics of the sandbox.

    Args:
        world: for moto's clients, the clock, the story and the links' address.
        inbox: where mails and text messages end.
        work: where deliveries run.
        queues: for queue subscriptions and dead-letter queues.
        functions: for function subscriptions.
    """

    def __init__(
        self, world: World, inbox: Inbox, work: Work, queues: Queues, functions: Functions
    ) -> None:
        self._world = world
        self._inbox = inbox
        self._work = work
        self._queues = queues
        self._functions = functions
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[str, datetime]] = {}
        self._pending: dict[str, datetime] = {}
        self._authenticated: dict[str, bool] = {}

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """What this module answers itself."""
        answered: dict[tuple[str, str], Handler] = {
            ("sns", "Subscribe"): self._subscribe,
            ("sns", "ConfirmSubscription"): self._confirm,
            ("sns", "Unsubscribe"): self._unsubscribe,
            ("sns", "ListSubscriptions"): self._list,
            ("sns", "ListSubscriptionsByTopic"): self._list,
            ("sns", "GetSubscriptionAttributes"): self._attributes,
            ("sns", "SetSubscriptionAttributes"): self._set_attributes,
            ("sns", "GetTopicAttributes"): self._topic_attributes,
            ("sns", "DeleteTopic"): self._delete_topic,
            ("sns", "Publish"): self._publish,
            ("sns", "PublishBatch"): self._publish_batch,
            ("sns", "CheckIfPhoneNumberIsOptedOut"): self._is_opted_out,
            ("sns", "OptInPhoneNumber"): self._opt_in,
        }
        return {name: partial(self._in_time, handler) for name, handler in answered.items()}

    def _in_time(self, handler: Handler, call: Call, forward: Forward) -> dict[str, Any]:
        """Answer after what was not confirmed in time is gone."""
        now = self._world.clock.now()
        with self._lock:
            over = [arn for arn, asked in self._pending.items() if now - asked > _LIFE]
        for arn in over:
            self._client(arn).unsubscribe(SubscriptionArn=arn)
            self._forget(arn)
        return handler(call, forward)

    def reset(self) -> None:
        """Forget who has confirmed."""
        with self._lock:
            self._tokens.clear()
            self._pending.clear()
            self._authenticated.clear()

    def confirm(self, topic_arn: str, token: str, *, authenticated: bool = False) -> str:
        """Follow the link of a confirmation mail; the subscription's ARN.

        Args:
            topic_arn: as the link has it.
            token: as the link has it; good more than once, for two days.
            authenticated: whether a signed call asked that only signed calls may unsubscribe.

        Raises:
            Refusal: InvalidParameter for a token that is not this topic's.
        """
        with self._lock:
            now = self._world.clock.now()
            arn, asked = self._tokens.get(token, ("", now))
            if arn.rpartition(":")[0] != topic_arn or now - asked > _LIFE:
                raise Refusal("InvalidParameter", "Invalid parameter: Token")
            if arn in self._pending:
                self._authenticated[arn] = authenticated
            self._pending.pop(arn, None)
        return arn

    def admit(self, arn: str) -> None:
        """Check that EventBridge may publish to a topic.

        Its policy must grant it without a condition: EventBridge supports none here.
        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html

        Raises:
            Undeliverable: no such topic, no such grant, or AWS's own key, which it cannot use.
        """
        with translated():
            found = self._client(arn).get_topic_attributes(TopicArn=arn)["Attributes"]
        policy = policies.without_conditioned_grants(found.get("Policy"), _EVENTS)
        decision = policies.explain(
            policy, principal=_EVENTS, action="sns:Publish", resource=arn, context={}
        )
        if not decision.allowed:
            raise Undeliverable("NO_PERMISSIONS", _why_not(arn, found.get("Policy")))
        self._admit_key(arn, found.get("KmsMasterKeyId"))

    def publish(self, arn: str, message: str) -> None:
        """Publish on a service's behalf, whose permission was checked.

        Raises:
            Undeliverable: no such topic.
        """
        with translated():
            self._client(arn).get_topic_attributes(TopicArn=arn)
        self._spread(Message(arn, message, self._world.clock.now()))

    def _client(self, arn: str) -> Any:
        return self._world.client("sns", arn.split(":")[3])

    def _admit_key(self, arn: str, key: str | None) -> None:
        """An encrypted topic needs a key whose policy lets EventBridge use it.

        https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        """
        if not key:
            return
        if key.endswith("alias/aws/sns"):
            raise Undeliverable(
                "NO_PERMISSIONS", f"{_name(arn)} is encrypted with alias/aws/sns, "
                "which EventBridge cannot use; it needs a customer managed key"
            )  # fmt: skip
        found = keys.kept(self._world.client("kms", arn.split(":")[3]), key)
        if found is None or found.state != keys.ENABLED:
            state = found.state if found else "not there"
            raise Undeliverable("NO_PERMISSIONS", f"the key of {_name(arn)} is {state}")
        grants = policies.without_conditioned_grants(found.policy, _EVENTS)
        for action in ("kms:GenerateDataKey", "kms:Decrypt"):
            if not policies.allowed(
                grants, principal=_EVENTS, action=action, resource=found.arn, context={}
            ):
                raise Undeliverable(
                    "NO_PERMISSIONS", f"the key of {_name(arn)} does not let {_EVENTS} {action}"
                )

    def _check_key(self, arn: str) -> None:
        """Nobody publishes to a topic whose key cannot be used.

        https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors
        """
        with refused():
            attributes = self._client(arn).get_topic_attributes(TopicArn=arn)["Attributes"]
        key = attributes.get("KmsMasterKeyId")
        if not key or key.endswith("alias/aws/sns"):
            return
        found = keys.kept(self._world.client("kms", arn.split(":")[3]), key)
        if found is None:
            raise Refusal("KMSNotFound", f"Key {key} does not exist")
        if found.state != keys.ENABLED:
            code = "KMSDisabled" if found.state == "Disabled" else "KMSInvalidState"
            raise Refusal(code, f"{found.arn} is {found.state}.")

    def _subscribe(self, call: Call, forward: Forward) -> dict[str, Any]:
        topic, protocol = call.params["TopicArn"], call.params["Protocol"]
        endpoint = call.params.get("Endpoint", "")
        _check_endpoint(protocol, endpoint)
        for name, value in (call.params.get("Attributes") or {}).items():
            _check_setting(name, value)
        known = self._known(call, topic, protocol, endpoint)
        if known:
            self._same_attributes(call, known)
            arn = known
        else:
            arn = forward(call)["SubscriptionArn"]
        if protocol in _ASKED and (known is None or arn in self._pending):
            self._ask(arn, topic, protocol, endpoint)
        if arn in self._pending and not call.params.get("ReturnSubscriptionArn"):
            return {"SubscriptionArn": "pending confirmation"}
        return {"SubscriptionArn": arn}

    def _known(self, call: Call, topic: str, protocol: str, endpoint: str) -> str | None:
        client = self._world.client("sns", call.region)
        try:
            pages = client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
            subscriptions = [one for page in pages for one in page["Subscriptions"]]
        except client.exceptions.NotFoundException:
            return None  # moto says so itself, in its answer to the call
        for one in subscriptions:
            if (one["Protocol"], one["Endpoint"]) == (protocol, endpoint):
                return str(one["SubscriptionArn"])
        return None

    def _same_attributes(self, call: Call, arn: str) -> None:
        client = self._world.client("sns", call.region)
        live = client.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        for name, value in (call.params.get("Attributes") or {}).items():
            if _meaning(live.get(name, "")) != _meaning(value):
                raise Refusal(
                    "InvalidParameter",
                    "Invalid parameter: Attributes Reason: "
                    "Subscription already exists with different attributes",
                )

    def _ask(self, arn: str, topic: str, protocol: str, endpoint: str) -> None:
        """Hold the subscription back until its endpoint says yes."""
        token = secrets.token_hex(64)
        with self._lock:
            self._pending[arn] = now = self._world.clock.now()
            self._tokens[token] = arn, now
        if not protocol.startswith("email"):
            self._tell("topic", topic, False, f"{endpoint}: the sandbox calls no HTTP endpoint, "
                                              "so this subscription stays pending")  # fmt: skip
            return
        said = {"TopicArn": topic, "Token": token, "Endpoint": endpoint}
        link = f"{self._world.url}/confirm?{urlencode(said)}"
        self._inbox.put_mail(
            endpoint,
            "AWS Notification - Subscription Confirmation",
            "You have chosen to subscribe to the topic:\n"
            f"{topic}\n\nTo confirm this subscription, visit the link below "
            f"(if this was in error, no action is necessary):\n{link}\n",
            self._from(topic),
        )
        self._tell("mail", endpoint, True, f"asked to confirm: {link}", link=link)

    def _confirm(self, call: Call, _: Forward) -> dict[str, Any]:
        topic = call.params["TopicArn"]
        with refused():
            self._client(topic).get_topic_attributes(TopicArn=topic)
        asked = str(call.params.get("AuthenticateOnUnsubscribe", "")).lower() == "true"
        signed = bool(call.access_key)
        arn = self.confirm(topic, call.params["Token"], authenticated=signed and asked)
        return {"SubscriptionArn": arn}

    def _unsubscribe(self, call: Call, forward: Forward) -> dict[str, Any]:
        arn = call.params["SubscriptionArn"]
        self._may_end(arn, authenticated=bool(call.access_key))
        answer = forward(call)
        self._forget(arn)
        return answer

    def _may_end(self, arn: str, authenticated: bool) -> None:
        if arn.count(":") < 6:  # noqa: PLR2004 - the colons of a subscription's ARN
            parts = arn.count(":") + 1
            raise Refusal(
                "InvalidParameter",
                "Invalid parameter: SubscriptionArn Reason: "
                f"An ARN must have at least 6 elements, not {parts}",
            )
        if arn in self._pending:
            raise Refusal(
                "InvalidParameter",
                "Invalid parameter: SubscriptionArn Reason: "
                "Cannot unsubscribe a subscription that is pending confirmation",
            )
        if self._authenticated.get(arn) and not authenticated:
            raise Refusal("AuthorizationError", "Only an authenticated caller may unsubscribe", 403)

    def _forget(self, prefix: str) -> None:
        """Drop what is kept about a subscription, or about all of a topic."""
        with self._lock:
            kept = [*(arn for arn, _ in self._tokens.values()), *self._authenticated]
            gone = {arn for arn in kept if arn == prefix or arn.startswith(f"{prefix}:")}
            self._pending = {a: asked for a, asked in self._pending.items() if a not in gone}
            self._tokens = {t: one for t, one in self._tokens.items() if one[0] not in gone}
            self._authenticated = {a: v for a, v in self._authenticated.items() if a not in gone}

    def _list(self, call: Call, forward: Forward) -> dict[str, Any]:
        answer = forward(call)
        shown = [
            {**one, "SubscriptionArn": _PENDING} if one["SubscriptionArn"] in self._pending else one
            for one in answer.get("Subscriptions", [])
        ]
        return {**answer, "Subscriptions": shown}

    def _attributes(self, call: Call, forward: Forward) -> dict[str, Any]:
        arn = call.params["SubscriptionArn"]
        answer = forward(call)
        confirmed = self._authenticated.get(arn, answer["Attributes"]["Protocol"] not in _ASKED)
        own = {
            _PENDING: _said(arn in self._pending),
            "ConfirmationWasAuthenticated": _said(confirmed),
        }
        return {**answer, "Attributes": answer["Attributes"] | own}

    def _set_attributes(self, call: Call, forward: Forward) -> dict[str, Any]:
        _check_setting(call.params["AttributeName"], call.params.get("AttributeValue") or "")
        return forward(call)

    def _topic_attributes(self, call: Call, forward: Forward) -> dict[str, Any]:
        """Add the counts of subscriptions: moto counts none as confirmed."""
        answer = forward(call)
        arns = [one["SubscriptionArn"] for one in self._subscriptions(call.params["TopicArn"])]
        pending = sum(arn in self._pending for arn in arns)
        counts = {
            "SubscriptionsPending": str(pending),
            "SubscriptionsConfirmed": str(len(arns) - pending),
        }
        return {**answer, "Attributes": answer["Attributes"] | counts}

    def _delete_topic(self, call: Call, forward: Forward) -> dict[str, Any]:
        answer = forward(call)
        self._forget(call.params["TopicArn"])
        return answer

    def _publish(self, call: Call, _: Forward) -> dict[str, Any]:
        params = call.params
        arn = params.get("TopicArn") or params.get("TargetArn")
        message = requested(arn or "", params, call.time)
        if arn is None:
            self._text(params.get("PhoneNumber", ""), message)
            return {"MessageId": message.id}
        self._check_key(arn)
        self._spread(message)
        return {"MessageId": message.id}

    def _publish_batch(
        self,
        call: Call,
        _: Forward,
    ) -> dict[str, Any]:
        arn, entries = call.params["TopicArn"], call.params["PublishBatchRequestEntries"]
        check_batch(entries)
        self._check_key(arn)
        answer: dict[str, Any] = {"Successful": [], "Failed": []}
        for entry in entries:
            try:
                message = requested(arn, entry, call.time)
            except Refusal as refusal:
                fault = {"Code": refusal.code, "Message": refusal.message, "SenderFault": True}
                answer["Failed"].append({"Id": entry["Id"], **fault})
            else:
                self._spread(message)
                answer["Successful"].append({"Id": entry["Id"], "MessageId": message.id})
        return answer

    def _subscriptions(self, topic: str) -> list[dict[str, Any]]:
        pages = self._client(topic).get_paginator("list_subscriptions_by_topic")
        return [one for page in pages.paginate(TopicArn=topic) for one in page["Subscriptions"]]

    def _spread(self, message: Message) -> None:
        """Hand a message to every subscription, each on its own."""
        self._work.start(partial(self._spread_now, message))

    def _spread_now(self, message: Message) -> None:
        self._world.metrics.count(SNS, "NumberOfMessagesPublished", message.topic_arn)
        subscriptions = self._subscriptions(message.topic_arn)
        if not subscriptions:
            self._tell("topic", message.topic_arn, False, "published; nobody has subscribed")
        for one in sorted(subscriptions, key=lambda one: one["Protocol"] != "lambda"):
            self._work.start(partial(self._deliver, message, one))

    def _deliver(self, message: Message, subscription: dict[str, Any]) -> None:
        arn, protocol = subscription["SubscriptionArn"], subscription["Protocol"]
        target = f"{protocol} {_endpoint_name(subscription)}"
        if arn in self._pending:
            self._tell("topic", message.topic_arn, False,
                       f"{target}: pending confirmation, gets nothing until the link in its "
                       "mail is followed")  # fmt: skip
            return
        client = self._client(arn)
        settings = client.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        if not passes(settings, message):
            self._world.metrics.count(SNS, "NumberOfNotificationsFilteredOut", message.topic_arn)
            self._tell(
                "topic", message.topic_arn, False, f"{target}: its filter policy held it back"
            )
            return
        self._hand_over(message, subscription, settings)

    def _hand_over(
        self,
        message: Message,
        subscription: dict[str, Any],
        settings: dict[str, Any],
        failures: int = 0,
    ) -> None:
        """Deliver, and try again as SNS does when that is worth it."""
        target = f"{subscription['Protocol']} {_endpoint_name(subscription)}"
        deliver = {
            "lambda": self._to_function,
            "sqs": self._to_queue,
            "email": self._to_mailbox,
            "email-json": self._to_mailbox,
            "sms": self._to_phone,
        }.get(subscription["Protocol"], _to_nowhere)
        try:
            deliver(message, subscription, settings)
        except Undeliverable as error:
            wait = _pause(failures) if error.retryable else None
            if wait is None:
                said = f"{target}: {error.message}; AWS does not try again"
                self._tell("topic", message.topic_arn, False, said)
                self._world.metrics.count(SNS, "NumberOfNotificationsFailed", message.topic_arn)
                self._bury(message, subscription, settings, error)
                return
            said = f"{target}: {error.message}; AWS tries again after {wait:.0f} s"
            self._tell("topic", message.topic_arn, False, said)
            again = partial(self._hand_over, message, subscription, settings, failures + 1)
            self._work.later(wait, again)
        else:
            self._world.metrics.count(SNS, "NumberOfNotificationsDelivered", message.topic_arn)
            self._tell("topic", message.topic_arn, True, f"{target}: delivered", id=message.id)

    def _bury(
        self,
        message: Message,
        subscription: dict[str, Any],
        settings: dict[str, Any],
        error: Undeliverable,
    ) -> None:
        """Send what could not be delivered to the subscription's dead-letter queue.

        https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
        """
        queue = json.loads(settings.get("RedrivePolicy") or "{}").get("deadLetterTargetArn")
        if not queue:
            said = f"lost for {_endpoint_name(subscription)}: it has no dead-letter queue"
            self._tell("topic", message.topic_arn, False, said)
            return
        attributes = {
            "RequestID": text(message.id),
            "ErrorCode": text(error.code),
            "ErrorMessage": text(error.message),
        }
        body = json.dumps(notification(message, subscription, self._world.url), ensure_ascii=False)
        try:
            self._send(queue, body, message.topic_arn, attributes)
        except Undeliverable as fault:
            self._tell("queue", queue, False, f"message lost: {fault.message}")
        else:
            self._tell("queue", queue, True, "kept what could not be delivered")

    def _send(self, queue: str, body: str, topic: str, attributes: Mapping[str, Any]) -> None:
        self._queues.send(
            queue, body, principal="sns.amazonaws.com", source_arn=topic, attributes=attributes
        )

    def _to_function(
        self, message: Message, subscription: dict[str, Any], settings: dict[str, Any]
    ) -> None:
        del settings
        arn, account = subscription["Endpoint"], self._world.account
        self._functions.admit(arn, "sns.amazonaws.com", message.topic_arn, SourceAccount=account)
        sns = notification(message, subscription, self._world.url, for_function=True)
        record = {
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": subscription["SubscriptionArn"],
            "Sns": sns,
        }
        self._functions.accept(arn, json.dumps({"Records": [record]}, ensure_ascii=False))

    def _to_queue(
        self, message: Message, subscription: dict[str, Any], settings: dict[str, Any]
    ) -> None:
        queue = subscription["Endpoint"]
        if str(settings.get("RawMessageDelivery")).lower() == "true":
            self._send(queue, message.body("sqs"), message.topic_arn, message.attributes)
            return
        body = json.dumps(
            notification(message, subscription, self._world.url), ensure_ascii=False, indent=2
        )
        self._send(queue, body, message.topic_arn, {})

    def _to_mailbox(
        self, message: Message, subscription: dict[str, Any], settings: dict[str, Any]
    ) -> None:
        del settings
        address = subscription["Endpoint"]
        if subscription["Protocol"] == "email-json":
            body = json.dumps(
                notification(message, subscription, self._world.url), ensure_ascii=False
            )
        else:
            link = unsubscribe_link(self._world.url, subscription["SubscriptionArn"])
            body = (
                f"{message.body('email')}\n\n--\nIf you wish to stop receiving notifications from "
                f"this topic, please click or visit the link below to unsubscribe:\n{link}\n"
            )
        subject = message.subject or "AWS Notification Message"
        self._inbox.put_mail(address, subject, body, self._from(message.topic_arn))
        self._tell("mail", address, True, f"received: {subject}")

    def _to_phone(
        self, message: Message, subscription: dict[str, Any], settings: dict[str, Any]
    ) -> None:
        del settings
        self._text(subscription["Endpoint"], message)

    def _text(self, number: str, message: Message) -> None:
        """To a telephone, unless somebody has answered STOP there.

        https://docs.aws.amazon.com/sns/latest/dg/sms_stats_cloudwatch.html
        """
        if self._inbox.has_stopped(number):
            self._tell("topic", number, False, "no text message: Phone number is opted out")
            return
        self._inbox.put_text(number, message.body("sms"))

    def _is_opted_out(self, call: Call, _: Forward) -> dict[str, Any]:
        return {"isOptedOut": self._inbox.has_stopped(call.params["phoneNumber"])}

    def _opt_in(self, call: Call, _: Forward) -> dict[str, Any]:
        self._inbox.resume_texts(call.params["phoneNumber"])
        return {}

    def _from(self, topic: str) -> str:
        """A topic's display name is what its mails come from."""
        found = self._client(topic).get_topic_attributes(TopicArn=topic)["Attributes"]
        return str(found.get("DisplayName") or "")

    def _tell(self, stage: str, subject: str, ok: bool, said: str, **extra: Any) -> None:
        self._world.tell(Hop(self._world.clock.now(), stage, _name(subject), ok, said, extra))


def _to_nowhere(message: Message, subscription: dict[str, Any], settings: dict[str, Any]) -> None:
    del message, settings
    protocol = subscription["Protocol"]
    raise Undeliverable("NO_RESOURCE", f"the sandbox does not deliver to {protocol}")


def _name(subject: str) -> str:
    """The name in an ARN; anything else as it is."""
    return subject.rsplit(":", 1)[-1] if subject.startswith("arn:") else subject


def _endpoint_name(subscription: dict[str, Any]) -> str:
    return _name(subscription["Endpoint"])


def _said(value: bool) -> str:
    return "true" if value else "false"


def _why_not(arn: str, policy: policies.Document) -> str:
    """Why EventBridge may not publish, with the classical mistake called by its name."""
    beginning = f"the policy of topic {_name(arn)} does not let events.amazonaws.com publish"
    named = [one for one in policies.statements(policy) if _EVENTS in str(one.get("Principal"))]
    if any(one.get("Condition") for one in named):
        return (
            f"{beginning}: its grant has a Condition, which EventBridge does not support "
            "in topic policies"
        )
    return f"{beginning}: no statement without a Condition grants it sns:Publish"


def _pause(failures: int) -> float | None:
    return next((wait for most, wait in _BACKOFF if failures < most), None)


def _meaning(value: Any) -> Any:
    """An attribute's value apart from how it is written."""
    try:
        return json.loads(str(value).lower() if isinstance(value, bool) else value)
    except ValueError:
        return value


def _check_endpoint(protocol: str, endpoint: str) -> None:
    """Check what moto does not."""
    if protocol.startswith("email") and not _MAILBOX.fullmatch(endpoint):
        raise Refusal("InvalidParameter", "Invalid parameter: Email address")
    if protocol == "lambda" and not _FUNCTION.fullmatch(endpoint):
        raise Refusal("InvalidParameter", "Invalid parameter: Lambda endpoint ARN")


def _check_setting(name: str, value: str) -> None:
    if name not in {"FilterPolicy", "RedrivePolicy"} or not value:
        return
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Refusal("InvalidParameter", f"Invalid parameter: {name}: failed to parse JSON.")
    if name == "FilterPolicy" and parsed:
        try:
            patterns.check(parsed)
        except patterns.PatternError as error:
            raise Refusal(
                "InvalidParameter", f"Invalid parameter: FilterPolicy: {error}"
            ) from error
