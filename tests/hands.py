"""The hands of a saboteur: one call on one part of an armed watch, for lines to be made of.

`at` is the name that the table of the lines has for the part.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from sabotage import Break, Document, Ground, Policy

# The bucket

BLOCK = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)


def on_bucket(operation: str, at: str = "bucket", **given: Any) -> Break:
    return lambda ground: getattr(ground.s3, operation)(Bucket=ground.at(at).name, **given)


def unblocked(key: str) -> Break:
    return on_bucket(
        "put_public_access_block", PublicAccessBlockConfiguration={**BLOCK, key: False}
    )


def encrypted_with(algorithm: str) -> Break:
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}]
    configuration = {"Rules": rules}
    return on_bucket("put_bucket_encryption", ServerSideEncryptionConfiguration=configuration)


def bucket_policy(at: str = "bucket") -> Policy:
    def get(ground: Ground) -> str:
        return str(on_bucket("get_bucket_policy", at)(ground)["Policy"])

    def put(ground: Ground, policy: Document) -> None:
        on_bucket("put_bucket_policy", at, Policy=json.dumps(policy))(ground)

    return Policy(at, "policy", "policy", get, put)


# The trail


def update_trail(**given: Any) -> Break:
    return lambda ground: ground.cloudtrail.update_trail(Name=ground.at("trail").name, **given)


def on_trail(operation: str, **given: Any) -> Break:
    return lambda ground: getattr(ground.cloudtrail, operation)(
        TrailName=ground.at("trail").name, **given
    )


def basic(**given: Any) -> Break:
    selector = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
    return on_trail("put_event_selectors", EventSelectors=[{**selector, **given}])


def advanced(**fields: Any) -> Break:
    asked = [{"Field": name, **test} for name, test in fields.items()]
    selectors = [{"Name": "theirs", "FieldSelectors": asked}]
    return on_trail("put_event_selectors", AdvancedEventSelectors=selectors)


# The rule


def put_rule(change: Callable[[Any], Any] | None = None, at: str = "rule", **given: Any) -> Break:
    """Put the rule with its pattern changed in place, or with other settings."""

    def by(ground: Ground) -> None:
        rule = ground.at(at)
        pattern = json.loads(json.dumps(rule.pattern))
        if change:
            change(pattern)
        ground.events.put_rule(**{"Name": rule.name, "EventPattern": json.dumps(pattern), **given})

    return by


def put_target(
    change: Callable[[Ground, Any], Any], target_id: str = "topic", at: str = "rule"
) -> Break:
    """Put the rule's target changed in place, or the changed one beside it."""

    def by(ground: Ground) -> None:
        rule = ground.at(at)
        [target] = deepcopy(rule._targets)
        change(ground, target)
        ground.events.put_targets(Rule=rule.name, Targets=[{**target, "Id": target_id}])

    return by


def with_target(**given: Any) -> Break:
    return put_target(lambda _, target: target.update(given))


# The topic


def set_topic(attribute: str, value: str, at: str = "topic") -> Break:
    return lambda ground: ground.sns.set_topic_attributes(
        TopicArn=ground.at(at).arn, AttributeName=attribute, AttributeValue=value
    )


def topic_policy(at: str = "topic") -> Policy:
    def get(ground: Ground) -> str:
        found = ground.sns.get_topic_attributes(TopicArn=ground.at(at).arn)
        return str(found["Attributes"]["Policy"])

    def put(ground: Ground, policy: Document) -> None:
        set_topic("Policy", json.dumps(policy), at)(ground)

    return Policy(at, "policy", "policy", get, put)


# The queues


def set_queue(at: str, **attributes: str) -> Break:
    return lambda ground: ground.sqs.set_queue_attributes(
        QueueUrl=queue_url(ground, at), Attributes=attributes
    )


def queue_url(ground: Ground, at: str) -> str:
    return str(ground.sqs.get_queue_url(QueueName=ground.at(at).name)["QueueUrl"])


def queue_policy(at: str) -> Policy:
    def get(ground: Ground) -> str:
        url = queue_url(ground, at)
        found = ground.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        return str(found["Attributes"]["Policy"])

    def put(ground: Ground, policy: Document) -> None:
        set_queue(at, Policy=json.dumps(policy))(ground)

    return Policy(at, "policy", "policy", get, put)


# The subscriptions


def subscription(ground: Ground, at: str) -> str:
    one = ground.at(at)
    listed = ground.sns.list_subscriptions_by_topic(TopicArn=one.topic.arn)["Subscriptions"]
    [found] = [x["SubscriptionArn"] for x in listed if x["Endpoint"] == one.endpoint]
    return str(found)


def set_subscription(at: str, attribute: str, value: str) -> Break:
    return lambda ground: ground.sns.set_subscription_attributes(
        SubscriptionArn=subscription(ground, at), AttributeName=attribute, AttributeValue=value
    )


def unsubscribe(at: str) -> Break:
    return lambda ground: ground.sns.unsubscribe(SubscriptionArn=subscription(ground, at))


# The function


def configure(**given: Any) -> Break:
    return lambda ground: ground.lambda_.update_function_configuration(
        FunctionName=ground.at("function").name, **given
    )


def on_function(operation: str, **given: Any) -> Break:
    return lambda ground: getattr(ground.lambda_, operation)(
        FunctionName=ground.at("function").name, **given
    )


def with_variable(name: str, value: str) -> Break:
    def by(ground: Ground) -> None:
        variables = dict(ground.at("function").environment)
        configure(Environment={"Variables": {**variables, name: value}})(ground)

    return by


# The role, its log group, its secret


def on_role(operation: str, at: str = "role", **given: Any) -> Break:
    return lambda ground: getattr(ground.iam, operation)(RoleName=ground.at(at).name, **given)


def trust(at: str = "role") -> Policy:
    def get(ground: Ground) -> Any:
        return on_role("get_role", at)(ground)["Role"]["AssumeRolePolicyDocument"]

    def put(ground: Ground, policy: Document) -> None:
        document = json.dumps(policy)
        on_role("update_assume_role_policy", at, PolicyDocument=document)(ground)

    return Policy(at, "trust", "trust", get, put)


def inline_policy(name: str, at: str = "role") -> Policy:
    def get(ground: Ground) -> Any:
        return on_role("get_role_policy", at, PolicyName=name)(ground)["PolicyDocument"]

    def put(ground: Ground, policy: Document) -> None:
        put_inline(name, policy, at)(ground)

    return Policy(at, f"inline.{name}", "policy", get, put)


def put_inline(name: str, policy: Document, at: str = "role") -> Break:
    document = json.dumps(policy)
    return on_role("put_role_policy", at, PolicyName=name, PolicyDocument=document)


def put_secret(value: str, at: str = "secret") -> Break:
    return lambda ground: ground.ssm.put_parameter(
        Name=ground.at(at).name, Value=value, Type="SecureString", Overwrite=True
    )


def on_log_group(operation: str, at: str = "log group", **given: Any) -> Break:
    return lambda ground: getattr(ground.logs, operation)(logGroupName=ground.at(at).name, **given)
