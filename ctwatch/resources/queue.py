"""The SQS queues: receipts prove arrival, dead letters keep what was not delivered."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from ctwatch.aws import Aws, unless
from ctwatch.diff import State, statements
from ctwatch.permissions import Actions, allow
from ctwatch.resources.base import Live, Resource, owner, pairs

_GONE = ("NonExistentQueue", "QueueDoesNotExist")

# What SQS gives a new queue where we say nothing.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
_SHAPE = {
    "retention": "MessageRetentionPeriod",
    "visibility": "VisibilityTimeout",
    "delay": "DelaySeconds",
}

# Messages that wait, and those that somebody is just reading; both are approximate.
_HELD = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


@dataclass(frozen=True, kw_only=True, eq=False)
class Queue(Resource):
    """A standard queue.

    Attributes:
        senders: who may send, as (service principal, source ARN) pairs.
        retention: how long a message is kept, in seconds.
        visibility: how long a message that was received stays hidden from others, in seconds.
    """

    senders: tuple[tuple[str, str], ...]
    retention: int
    visibility: int = 30

    kind: ClassVar[str] = "queue"

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.place.arn("sqs", self.name)

    @property
    def policy(self) -> State:
        """Each service, from its sources; in few statements, as SQS takes no more than 20.

        https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html
        """
        sources: dict[str, list[str]] = {}
        for service, source in self.senders:
            sources.setdefault(service, []).append(source)
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": service.partition(".")[0].title(),
                    "Effect": "Allow",
                    "Principal": {"Service": service},
                    "Action": "sqs:SendMessage",
                    "Resource": self.arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": arns}},
                }
                for service, arns in sources.items()
            ],
        }

    @property
    def wanted(self) -> State:
        """Who may send, how long messages stay, and that SQS's own key encrypts them."""
        return {
            "policy": statements(self.policy),
            "retention": self.retention,
            "visibility": self.visibility,
            "delay": 0,
            "key": None,
            "redrive": None,
        }

    @property
    def _attributes(self) -> dict[str, str]:
        numbers = {theirs: str(self.wanted[ours]) for ours, theirs in _SHAPE.items()}
        return {"Policy": json.dumps(self.policy), **numbers}

    @property
    def actions(self) -> Actions:
        """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html."""
        mine = self.arn
        return Actions(
            read=(allow("sqs", "GetQueueUrl GetQueueAttributes ListQueueTags", mine),),
            write=(allow("sqs", "CreateQueue SetQueueAttributes TagQueue", mine),),
            delete=(allow("sqs", "DeleteQueue", mine),),
            tampering=(allow("sqs", "AddPermission RemovePermission PurgeQueue UntagQueue", mine),),
        )

    def url(self, aws: Aws) -> str | None:
        """Its URL, or None when it is not there."""
        found = unless(lambda: aws.sqs.get_queue_url(QueueName=self.name), *_GONE)
        return found["QueueUrl"] if found else None

    def read(self, aws: Aws) -> Live | None:
        """Look at its attributes, how much it holds, and its tags."""
        url = self.url(aws)
        if url is None:
            return None
        attributes, tags = aws.together(
            lambda: unless(
                lambda: aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]), *_GONE
            ),
            lambda: unless(lambda: aws.sqs.list_queue_tags(QueueUrl=url), *_GONE),
        )
        if attributes is None:
            return None
        live = attributes.get("Attributes", {})
        state: State = {ours: int(live.get(theirs, 0)) for ours, theirs in _SHAPE.items()}
        state |= {
            "policy": statements(live.get("Policy"), statements(self.policy)),
            "key": live.get("KmsMasterKeyId") or None,
            "redrive": json.loads(live.get("RedrivePolicy") or "null"),
        }
        worn = (tags or {}).get("Tags", {})
        facts = {"messages": sum(int(live.get(one, 0)) for one in _HELD), "url": url}
        return Live(state, owner(worn), facts, pairs(worn))

    def write(self, aws: Aws, live: Live | None) -> None:
        """Create it whole in one call, or set what differs in one call."""
        if live is None:
            # A name is free again a minute after its queue was deleted.
            aws.patiently(
                lambda: aws.sqs.create_queue(
                    QueueName=self.name,
                    Attributes=cast("Any", self._attributes),
                    tags=self.tags,
                ),
                code="QueueDeletedRecently",
                limit=90,
            )
            return
        wanted = {**self._attributes, "KmsMasterKeyId": "", "RedrivePolicy": ""}
        names = {**_SHAPE, "policy": "Policy", "key": "KmsMasterKeyId", "redrive": "RedrivePolicy"}
        changed = {
            theirs: wanted[theirs]
            for ours, theirs in names.items()
            if live.state[ours] != self.wanted[ours]
        }
        url = self.url(aws)
        aws.sqs.set_queue_attributes(QueueUrl=str(url), Attributes=cast("Any", changed))

    def label(self, aws: Aws) -> None:
        """Put them on."""
        aws.sqs.tag_queue(QueueUrl=str(self.url(aws)), Tags=self.tags)

    def delete(self, aws: Aws) -> None:
        """Delete it with what is in it."""
        if url := self.url(aws):
            _delete(aws, url)

    def delete_found(self, aws: Aws, live: Live) -> None:
        """The same, by the URL that was found."""
        _delete(aws, live.facts["url"])


def _delete(aws: Aws, url: str) -> None:
    unless(lambda: aws.sqs.delete_queue(QueueUrl=url), *_GONE)
