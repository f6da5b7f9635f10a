"""What a difference means for the user, in the words of `ctwatch status`.

A sentence names the thing and the exact path, says whether that was added, changed or taken away,
and what comes of it. What is known of a path itself is said in its own words; else the words of the
nearest path above it follow.
"""

from ctwatch.diff import MISSING, Difference
from ctwatch.resources.base import Resource


def sentence(one: Resource, difference: Difference) -> str:
    """What is wrong at one path of a resource, and what that means."""
    where, path = f"{one.title}: {difference.path}", difference.path
    added = difference.wanted == MISSING
    if not added and (known := _EXACTLY.get((one.kind, path))):
        return f"{where}: {known.format(live=difference.live)}"
    gone = "is missing" if difference.live == MISSING else "was changed"
    shut_out = added and _names_account(difference)
    comes = _NO_ACCOUNT if shut_out else _consequence(one.kind, path)
    return f"{where} {'was added' if added else gone}, {comes}"


def _names_account(difference: Difference) -> bool:
    """Whether it conditions that EventBridge may call the function, by the account."""
    told = f"{difference.path} {difference.live}"
    return told.startswith("permissions.events-") and "aws:sourceaccount" in told


def _consequence(kind: str, path: str) -> str:
    """What comes of a difference at or below a path; "" where nothing is known of it."""
    words = path.split(".")
    for length in range(len(words), 0, -1):
        if said := _BELOW.get((kind, ".".join(words[:length]))):
            return said
    return _TAGS if words[0] == "tags" else ""


_TAGS = "what goes by that tag does not find it"
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html
_NO_ACCOUNT = "EventBridge names no account when it calls, so it is shut out"

_EXACTLY = {
    ("bucket", "eventbridge"): "off, nobody would be told of a deleted log file",
    ("trail", "logging"): "stopped, CloudTrail records nothing",
    ("trail", "records"): "{live}, so EventBridge is told nothing of what is written",
    ("trail", "validation"): "off, a forged log file would not be noticed",
    ("trail", "multi_region"): "off, other regions are not recorded",
    ("trail", "bucket"): "the log files go to another bucket",
    ("trail", "key"): "the log files are encrypted with another key, or with none",
    ("topic", "key"): "another key, which EventBridge may not be allowed to use, or none",
    ("key", "state"): "not enabled, nothing can be encrypted with it",
    ("key", "alias"): "gone, or leads to another key",
    ("key", "rotation"): "off, the key is not renewed",
    ("key", "policy.AllowEventBridgeUse"): "removed, EventBridge may not publish to the topic",
    ("rule", "state"): "disabled, the rule hears nothing",
    ("rule", "targets.topic"): "removed, the rule does not tell the topic",
    ("rule", "targets.function"): "removed, the rule does not tell the function",
    ("rule", "targets.receipts"): "removed, ctwatch simulate cannot prove that the rule matched",
    ("rule", "targets.home"): "removed, nothing from there reaches the home region",
    ("topic", "policy.AllowEventBridgePublish"): "removed, EventBridge may not publish",
    ("subscription", "confirmed"): "not yet, nobody has followed the link in the mail",
    ("subscription", "opted_in"): "no, somebody has answered STOP and gets no text message now",
    ("subscription", "filter"): "a filter keeps alerts back",
    ("function", "code"): "not the code that ctwatch uploaded, whether it tells is not known",
    ("function", "concurrency"): "limited, at 0 the function never runs",
    ("secret", "value"): "not the webhook that the config names",
}
"""By the kind of the thing and the path, what is said of just that one."""

_OF_TARGET = "what the rule hears may not reach what it was meant for"
_BELOW = {
    ("bucket", "encryption"): "new log files are not encrypted as promised",
    ("bucket", "lifecycle"): "log files may be deleted sooner, or be kept longer, than promised",
    ("bucket", "ownership"): "others may own what they put among the log files",
    ("bucket", "policy"): "CloudTrail may be kept from writing log files, or others be let in",
    ("bucket", "public_access_block"): "the log files could be made public",
    ("bucket", "versioning"): "a log file that is overwritten or deleted is gone",
    ("trail", "global_events"): "what IAM and other global services do is not recorded",
    ("trail", "insights"): "unusual activity is not looked for as promised",
    ("trail", "log_group"): "records go to another log group, or to none",
    ("trail", "log_role"): "CloudTrail may not be able to write to the log group",
    ("trail", "notifications"): "the news of log files goes elsewhere, or nowhere",
    ("trail", "organization"): "it records other accounts than promised",
    ("trail", "prefix"): "the log files go where nobody looks for them",
    ("trail", "selectors"): "it records other events than promised",
    ("rule", "pattern"): "it may hear less than it should, or more",
    ("rule", "role"): "it acts as a role that it needs not",
    ("rule", "schedule"): "it also fires by the clock",
    ("rule", "targets"): _OF_TARGET,
    ("topic", "policy"): "alerts may be kept from it, or others be let in",
    ("topic", "policy.AllowEventBridgePublish"): "EventBridge may not publish",
    ("topic", "policy.AllowEventBridgePublish.condition"): (
        "EventBridge supports no Condition here, so it may not publish"
    ),
    ("subscription", "dead_letter"): "what cannot be delivered is lost",
    ("subscription", "raw"): "the receiver does not get what it can read",
    ("function", "architecture"): "it runs on other processors than promised",
    ("function", "environment"): "it may tell others, tell otherwise, or tell nobody",
    ("function", "handler"): "Lambda does not find the notifier in it",
    ("function", "layers"): "foreign code runs in it",
    ("function", "memory"): "it may be slower, or run out of memory",
    ("function", "network"): "it may not reach the channels",
    ("function", "on_failure"): "what it cannot deliver is lost",
    ("function", "permissions"): "who should call it may be shut out, or others be let in",
    ("function", "retries"): "it is not tried again as often when it fails",
    ("function", "role"): "it may lack the rights that it needs, or have more",
    ("function", "runtime"): "the notifier may not run in it",
    ("function", "timeout"): "it may be stopped before it has told all channels",
    ("role", "attached"): "it may do more than promised, or less",
    ("role", "boundary"): "it may do less than promised",
    ("role", "inline"): "it may lack a right that it needs, or have more",
    ("role", "trust"): "its service may not be able to act as it, or others may",
    ("log group", "retention"): "what was logged is kept for another time than promised",
    ("queue", "delay"): "proof of arrival comes late",
    ("queue", "key"): "SNS and EventBridge may not be allowed to use its key",
    ("queue", "policy"): "messages may be kept from it, or others be let in",
    ("queue", "redrive"): "what it holds is moved elsewhere",
    ("queue", "retention"): "what it holds is kept for another time than promised",
    ("queue", "visibility"): "who reads it keeps others from reading for another time",
    ("secret", "type"): "the webhook is not encrypted",
    ("key", "policy"): "who needs the key may be kept from it, or others be let in",
    ("key", "state"): "nothing can be encrypted with it",
}
"""By the kind of the thing and a path, what comes of a difference there or below."""
