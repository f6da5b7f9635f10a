"""The SNS topics: the one that every alert passes, and one for news of log files."""

import json
from dataclasses import dataclass
from typing import ClassVar

from ctwatch.aws import Aws, unless
from ctwatch.diff import State, statements
from ctwatch.permissions import Actions, allow
from ctwatch.resources.base import Live, Resource, owner, pairs
from ctwatch.resources.key import GivenKey, Key, facts_of, looking_at, named

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
        key: what encrypts the messages that wait in it; None for nothing.
    """

    from_rules: bool = True
    key: Key | GivenKey | None = None

    kind: ClassVar[str] = "topic"

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.place.arn("sns", self.name)

    @property
    def policy(self) -> State:
        """Its owner, and who publishes."""
        owner_statement = {
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": _OWNER_ACTIONS,
            "Resource": self.arn,
            "Condition": {"StringEquals": {"AWS:SourceOwner": self.place.account}},
        }
        publish = {"Effect": "Allow", "Action": "sns:Publish", "Resource": self.arn}
        granted = [owner_statement, *({**one, **publish} for one in self.publishers)]
        return {"Version": "2012-10-17", "Statement": granted}

    @property
    def publishers(self) -> tuple[State, ...]:
        """EventBridge, where rules aim at it: without a Condition, which it does not support here.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
        """
        principal = {"Service": "events.amazonaws.com"}
        events = {"Sid": "AllowEventBridgePublish", "Principal": principal}
        return (events,) if self.from_rules else ()

    @property
    def wanted(self) -> State:
        """Its policy, and its key or none: another EventBridge might not be allowed to use."""
        return {
            "policy": statements(self.policy),
            "key": self.key.arn if self.key else None,
        }

    @property
    def actions(self) -> Actions:
        """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html."""
        mine, look = self.arn, "GetTopicAttributes ListSubscriptionsByTopic ListTagsForResource"
        harm = "AddPermission RemovePermission PutDataProtectionPolicy Subscribe UntagResource"
        return Actions(
            read=(allow("sns", look, mine), *looking_at(self.key)),
            write=(allow("sns", "CreateTopic SetTopicAttributes TagResource", mine),),
            delete=(allow("sns", "DeleteTopic", mine),),
            tampering=(allow("sns", harm, mine),),
        )

    def read(self, aws: Aws) -> Live | None:
        """Look at its attributes and tags."""
        attributes, listeners, tags, (key, facts) = aws.together(
            lambda: unless(lambda: aws.sns.get_topic_attributes(TopicArn=self.arn), "NotFound"),
            lambda: unless(lambda: self._listeners(aws), "NotFound"),
            lambda: unless(
                lambda: aws.sns.list_tags_for_resource(ResourceArn=self.arn)["Tags"],
                "ResourceNotFound",
                "NotFound",
            ),
            lambda: facts_of(self.key, aws),
        )
        if attributes is None:
            return None
        live = attributes["Attributes"]
        state = {
            "policy": statements(live.get("Policy"), statements(self.policy)),
            "key": named(self.key, key, live.get("KmsMasterKeyId") or None),
        }
        facts |= {"subscriptions": listeners or []}
        return Live(state, owner(tags), facts, pairs(tags))

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
        policy, key = json.dumps(self.policy), self._key(aws)
        if live is None:
            attributes = {"Policy": policy, "KmsMasterKeyId": key}
            # A topic deleted a moment ago may refuse new tags for a while.
            aws.patiently(
                lambda: aws.sns.create_topic(
                    Name=self.name, Attributes=_filled(attributes), Tags=self.tag_list
                ),
                code=("StaleTag", "ConcurrentAccess"),
            )
            return
        for part, attribute, value in (
            ("policy", "Policy", policy),
            ("key", "KmsMasterKeyId", key),
        ):
            if live.state[part] != self.wanted[part]:
                aws.sns.set_topic_attributes(
                    TopicArn=self.arn, AttributeName=attribute, AttributeValue=value
                )

    def _key(self, aws: Aws) -> str:
        """The ARN of its key, or "" for none."""
        return (self.key.found(aws) or "") if self.key else ""

    def label(self, aws: Aws) -> None:
        """Put them on."""
        aws.sns.tag_resource(ResourceArn=self.arn, Tags=self.tag_list)

    def delete(self, aws: Aws) -> None:
        """Delete it with its subscriptions, those still pending included."""
        unless(lambda: aws.sns.delete_topic(TopicArn=self.arn), "NotFound")


def _filled(attributes: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if value}


@dataclass(frozen=True, kw_only=True, eq=False)
class DeliveryTopic(Topic):
    """A topic that CloudTrail tells of each log file; machines listen, and whoever wants to.

    Attributes:
        trail: the ARN of the one trail that may publish.
    """

    trail: str

    @property
    def publishers(self) -> tuple[State, ...]:
        """CloudTrail, for that trail.

        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-permissions-for-sns-notifications.html
        """
        cloudtrail = {
            "Sid": "AWSCloudTrailSNSPolicy20131101",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Condition": {"StringEquals": {"aws:SourceArn": self.trail}},
        }
        return (cloudtrail,)
