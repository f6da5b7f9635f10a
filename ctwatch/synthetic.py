"""What no call brings about, made up: an event of the real shape that says that it is none.

    an example of the detection, with the watch's names, a fresh id and the time of now
      ─ TestEventPattern, in each region that has the rule: would it match, as it is there now?
      ─ to the rule's targets, as EventBridge would have sent it: sns:Publish on the topic, of the
        event or of the text that the rule makes of it; lambda:InvokeFunction on the function

AWS refuses PutEvents with a source of its own, so that what comes before the topic cannot be
walked. The mark stands beside `detail`, in the part of the event that EventBridge writes by itself:
nothing that a rule passes on as it came can bear it. In the alert it adds a word, and takes nothing
away, so that nobody can have a real one taken for a drill by it.
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
"""

import copy
import json
import uuid
from datetime import datetime
from typing import Any

from ctwatch.aws import TROUBLE, Aws, complaint
from ctwatch.diff import State
from ctwatch.readable import filled
from ctwatch.resources.base import Resource
from ctwatch.resources.rule import Rule

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


def hand_on(event: State, run: str, rule: Rule, aws: Aws) -> Any:
    """Hand a made-up event, marked, to those whom the rule tells; returns AWS's last answer.

    Raises:
        AwsError: AWS did not take it.
    """
    give = {"topic": _publish, "function": _invoke}
    told = [one for one in rule.targets if one.kind in give]
    answers = [give[one.kind](one, marked(event, run), rule, aws) for one in told]
    return answers[-1]


def _publish(topic: Resource, event: State, rule: Rule, aws: Aws) -> Any:
    text = f"{_SAID}\n{filled(rule.text, event)}" if rule.text else json.dumps(event)
    try:
        return aws.sns.publish(TopicArn=topic.arn, Subject=_SUBJECT, Message=text)
    except TROUBLE as error:
        raise complaint(error, f"publishing to {topic.title}") from error


def _invoke(function: Resource, event: State, rule: Rule, aws: Aws) -> Any:
    del rule
    payload = json.dumps(event).encode()
    try:
        return aws.functions.invoke(
            FunctionName=function.name, InvocationType="Event", Payload=payload
        )
    except TROUBLE as error:
        raise complaint(error, f"invoking {function.title}") from error
