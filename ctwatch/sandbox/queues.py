"""Handing a message to an SQS queue on a service's behalf, if the queue lets it."""

from collections.abc import Mapping
from typing import Any

from ctwatch.sandbox import policies
from ctwatch.sandbox.calls import World
from ctwatch.sandbox.faults import Undeliverable, translated


class Queues:
    """The queues of the sandbox as services reach them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send(
        self,
        arn: str,
        body: str,
        *,
        principal: str | None,
        source_arn: str = "",
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Send one message.

        Args:
            arn: the queue's.
            body: the message.
            principal: the service that sends, checked against the queue's policy; None when a
                role sends whose own policy was checked already.
            source_arn: the rule or topic behind it (`aws:SourceArn`).
            attributes: SQS message attributes in botocore's shape.

        Raises:
            Undeliverable: no such queue, the queue's policy forbids it, or SQS failed.
        """
        client = self._world.client("sqs", arn.split(":")[3])
        with translated():
            url = client.get_queue_url(QueueName=arn.split(":")[5])["QueueUrl"]
            if principal is not None:
                asked = client.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
                policy = asked.get("Attributes", {}).get("Policy")
                self._admit(policy, arn, principal, source_arn)
            client.send_message(
                QueueUrl=url, MessageBody=body, MessageAttributes=dict(attributes or {})
            )

    def _admit(self, policy: str | None, arn: str, principal: str, source_arn: str) -> None:
        context = {"aws:SourceArn": source_arn, "aws:SourceAccount": self._world.account}
        decision = policies.explain(
            policy, principal=principal, action="sqs:SendMessage", resource=arn, context=context
        )
        if not decision.allowed:
            name = arn.split(":")[5]
            raise Undeliverable(
                "NO_PERMISSIONS",
                f"the policy of queue {name} does not let {principal} send: {decision.reason}",
            )


def text(value: str) -> dict[str, str]:
    """A string as an SQS message attribute."""
    return {"DataType": "String", "StringValue": value}
