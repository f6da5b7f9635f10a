"""The SNS topic that every alert passes."""

import json
from dataclasses import dataclass
from typing import ClassVar

from ctwatch.aws import Aws, unless
from ctwatch.diff import State, statements
from ctwatch.resources.base import Live, Resource, owner

_OWNER_ACTIONS = [
    "SNS:GetTopicAttributes",
    "SNS:SetTopicAttributes",
    "SNS:AddPermission",
    "SNS:RemovePermission",
    "SNS:DeleteTopic",
    "SNS:Subscribe",
    "SNS:ListSubscriptionsByTopic",
    "SNS:Publish",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Topic(Resource):
    """A standard topic.

    Attributes:
        from_rules: whether EventBridge may publish to it.
    """

    from_rules: bool = True

    kind: ClassVar[str] = "topic"

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.place.arn("sns", self.name)

    @property
    def policy(self) -> State:
        """Its owner, and EventBridge without a Condition, which EventBridge does not support here.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
        """
        owner_statement = {
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": _OWNER_ACTIONS,
            "Resource": self.arn,
            "Condition": {"StringEquals": {"AWS:SourceOwner": self.place.account}},
        }
        from_rules = {
            "Sid": "AllowEventBridgePublish",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": self.arn,
        }
        granted = [owner_statement, *([from_rules] if self.from_rules else [])]
        return {"Version": "2012-10-17", "Statement": granted}

    @property
    def wanted(self) -> State:
        """Its policy, and no key that EventBridge might not be allowed to use."""
        return {"policy": statements(self.policy), "key": None}

    def read(self, aws: Aws) -> Live | None:
        """Look at its attributes and tags."""
        attributes, listeners, tags = aws.together(
            lambda: unless(lambda: aws.sns.get_topic_attributes(TopicArn=self.arn), "NotFound"),
            lambda: unless(lambda: self._listeners(aws), "NotFound"),
            lambda: unless(
                lambda: aws.sns.list_tags_for_resource(ResourceArn=self.arn)["Tags"],
                "ResourceNotFound",
                "NotFound",
            ),
        )
        if attributes is None:
            return None
        live = attributes["Attributes"]
        state = {
            "policy": statements(live.get("Policy"), statements(self.policy)),
            "key": live.get("KmsMasterKeyId") or None,
        }
        return Live(state, owner(tags), {"subscriptions": listeners or []})

    def _listeners(self, aws: Aws) -> list[tuple[str, str, str]]:
        """Protocol, endpoint and ARN of each subscription, those still pending included."""
        pages = aws.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self.arn)
        return [
            (one["Protocol"], one["Endpoint"], one["SubscriptionArn"])
            for page in pages
            for one in page["Subscriptions"]
            if one["SubscriptionArn"] != "Deleted"
        ]

    def write(self, aws: Aws, live: Live | None) -> None:
        """Create it whole in one call, or set the attributes that differ."""
        policy = json.dumps(self.policy)
        if live is None:
            # A topic deleted a moment ago may refuse new tags for a while.
            aws.patiently(
                lambda: aws.sns.create_topic(
                    Name=self.name, Attributes={"Policy": policy}, Tags=self.tag_list
                ),
                code=("StaleTag", "ConcurrentAccess"),
            )
            return
        for part, attribute, value in (
            ("policy", "Policy", policy),
            ("key", "KmsMasterKeyId", ""),
        ):
            if live.state[part] != self.wanted[part]:
                aws.sns.set_topic_attributes(
                    TopicArn=self.arn, AttributeName=attribute, AttributeValue=value
                )

    def delete(self, aws: Aws) -> None:
        """Delete it with its subscriptions, those still pending included."""
        unless(lambda: aws.sns.delete_topic(TopicArn=self.arn), "NotFound")
