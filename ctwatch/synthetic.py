"""What no call brings about, made up: an event of the real shape that says that it is none.

    an example of the detection, with the watch's names, a fresh id and the time of now
      ─ TestEventPattern, in each region that has the rule: would it match, as it is there now?
      ─ to each of the rule's targets, as EventBridge would have sent it: sns:Publish on the topic,
        lambda:Invoke of the function, sqs:SendMessage to the receipts queue

AWS refuses PutEvents with a source of its own, so that what comes before the topic cannot be
walked. The mark stands beside `detail`, in the part of the event that EventBridge writes by itself:
nothing that a rule passes on as it came can bear it. In the alert it adds a word, and takes nothing
away, so that nobody can have a real one taken for a drill by it.
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
"""

import copy
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ctwatch.aws import TROUBLE, Aws, complaint
from ctwatch.diff import State
from ctwatch.permissions import Grant, allow
from ctwatch.resources.base import Resource
from ctwatch.resources.function import Function
from ctwatch.resources.key import using
from ctwatch.resources.rule import Rule
from ctwatch.resources.topic import Topic

MARK = "ctwatch"
"""The key beside `detail` that says so; the notifier knows it."""

_SUBJECT = "SYNTHETIC: ctwatch is being tested"
_SAID = "SYNTHETIC: made up by ctwatch simulate, nothing happened in AWS"


def made_up(rule: Rule, run: str, now: datetime) -> State:
    """An event that the rule must fire on, as if it came now; without the mark.

    Args:
        rule: has at least one example in `fires`.
        run: what the event is recognised by.
        now: in UTC.
    """
    event: State = copy.deepcopy(dict(rule.fires[0]))
    stamp = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    event |= {"id": str(uuid.uuid4()), "time": stamp}
    fresh = {"eventID": str(uuid.uuid4()), "eventTime": stamp, "requestID": run, "request-id": run}
    event["detail"] |= {key: value for key, value in fresh.items() if event["detail"].get(key)}
    return event


def marked(event: State, run: str) -> State:
    """The event with the mark, which is the first thing that is read of it."""
    return {MARK: {"synthetic": True, "said": _SAID, "run": run}, **event}


def would_match(rule: Rule, pattern: Any, event: State, aws: Aws) -> bool:
    """Whether AWS says, in the rule's region, that a pattern matches the event.

    Args:
        rule: whose pattern it is.
        pattern: as it is there now.
        event: without the mark, which AWS would never send.
        aws: the account.

    Raises:
        AwsError: AWS would not say.
    """
    try:
        answer = aws.at(rule.place.region).events.test_event_pattern(
            EventPattern=json.dumps(pattern), Event=json.dumps(event)
        )
    except TROUBLE as error:
        raise complaint(error, f"testing the pattern of {rule.title}") from error
    return answer["Result"]


def hand_over(rule: Rule, event: State, run: str, aws: Aws) -> Any:
    """Hand the event, marked, to all that the rule hands its events to; returns an answer of AWS's.

    Raises:
        AwsError: one of them did not take it.
    """
    whole = json.dumps(marked(event, run))
    words = f"{_SAID} ({run})\n{rendered(rule.text, event)}" if rule.text else whole
    answer, *_ = [_to(target, whole, words, aws) for target in rule.targets]
    return answer


def _to(target: Resource, whole: str, words: str, aws: Aws) -> Any:
    """The event to those who read it, what is made of it for people to the topic."""
    try:
        if isinstance(target, Topic):
            return aws.sns.publish(TopicArn=target.arn, Subject=_SUBJECT, Message=words)
        if isinstance(target, Function):
            return aws.functions.invoke(
                FunctionName=target.name, InvocationType="Event", Payload=whole
            )
        url = target.place.queue_url(target.name)
        return aws.sqs.send_message(QueueUrl=url, MessageBody=whole)
    except TROUBLE as error:
        raise complaint(error, f"handing what is made up to {target.title}") from error


def needs(rule: Rule) -> Iterator[Grant]:
    """What it takes to make something up for a rule, and to hand it over."""
    yield allow("events", "TestEventPattern")
    for target in rule.targets:
        if isinstance(target, Topic):
            yield allow("sns", "Publish", target.arn)
            yield from using(target.key)
        elif isinstance(target, Function):
            yield allow("lambda", "InvokeFunction", target.arn)
        else:
            yield allow("sqs", "SendMessage", target.arn)


def rendered(transformer: Mapping[str, Any], event: State) -> str:
    """The text that an InputTransformer makes of an event; what the event lacks is empty.

    As EventBridge does: nothing is escaped, and a list within a string has no quotation marks.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
    """
    found = {name: _at(path, event) for name, path in transformer["InputPathsMap"].items()}
    return re.sub(r"<(\w+)>", lambda name: found[name[1]], transformer["InputTemplate"])


def _at(path: str, event: Any) -> str:
    for key in path.split(".")[1:]:
        event = event.get(key) if isinstance(event, dict) else None
    if event is None:
        return ""
    if isinstance(event, str):
        return event
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).replace('"', "")
