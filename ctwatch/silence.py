"""Why a hop stayed silent: what AWS's own evidence says, asked only when one did.

    the event history      has CloudTrail recorded the call at all?
    metrics                did the rule match, did its targets take it, did the topic deliver?
    the dead-letter queue  what could not be delivered, with the reason
    status                 the policy, filter, switch or permission that is not as promised

None of it is proof: it comes late, or for all events of a minute together. It says where to look.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ctwatch.aws import TROUBLE, Aws, complaint
from ctwatch.blows import Blow, Proof
from ctwatch.diagnose import SILENT, Diagnosis
from ctwatch.listening import GLOBAL
from ctwatch.permissions import Grant, allow
from ctwatch.proof import Receipt
from ctwatch.simulate import Drill
from ctwatch.techniques import Probe
from ctwatch.watch import Watch

_EVENTS, _SNS, _LAMBDA = "AWS/Events", "AWS/SNS", "AWS/Lambda"
_MINUTE = 60
_LOOKUPS = 5
"""Event names that are looked up at the most: LookupEvents may be called twice a second."""
_LOOKED_AT = 250
"""Events of one name that are looked at, the newest first; fifty are a page."""
_PAGES = 3
_HIDDEN = 2
"""Seconds for which a message that was looked at is hidden from others."""


@dataclass(frozen=True)
class Reason:
    """One piece of evidence.

    Attributes:
        source: who says so: "event history", "metric", "dead-letter queue", "status".
        sentence: what it says.
        remedy: what mends it, where that is known; "" else.
    """

    source: str
    sentence: str
    remedy: str = ""


def reasons(silent: Sequence[Drill], watch: Watch, diagnosis: Diagnosis, aws: Aws) -> list[Reason]:
    """What may have kept the alerts of some drills back; AWS's refusal to say is among it.

    Args:
        silent: drills of which a hop was not proven, at least one.
        watch: the watch that should have told.
        diagnosis: a fresh one.
        aws: the account.
    """
    blows = [one.blow for one in silent]
    since = min(one.at for one in blows) - timedelta(seconds=_MINUTE)
    hops = {rung.hop for one in silent for rung in one.rungs if rung.proof is Proof.SILENT}
    unheard = [one for one in blows if "recorded" in hops and isinstance(one.technique, Probe)]
    sources: dict[str, Callable[[], Iterable[str]]] = {
        "event history": partial(_history, unheard, GLOBAL[watch.place.partition], aws, since),
        "metric": partial(_metrics, blows, hops, watch, aws, since),
        "dead-letter queue": partial(_undelivered, blows, watch, aws),
    }
    asked = aws.together(*(partial(_evidence, source, ask) for source, ask in sources.items()))
    told = [one for one in diagnosis.faults if one.path != SILENT]
    faults = [Reason("status", one.sentence, one.remedy) for one in told]
    return list(dict.fromkeys([*(one for found in asked for one in found), *faults]))


def needs(watch: Watch) -> Iterator[Grant]:
    """What the evidence needs; its first two sources take no ARN.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudtrail.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
    """
    yield allow("cloudtrail", "LookupEvents")
    yield allow("cloudwatch", "GetMetricData")
    yield allow("sqs", "GetQueueUrl ReceiveMessage", watch.dead_letter.arn)


def _evidence(source: str, ask: Callable[[], Iterable[str]]) -> list[Reason]:
    try:
        return [Reason(source, sentence) for sentence in ask()]
    except TROUBLE as error:
        told = complaint(error, f"asking the {source}")
        return [Reason(source, told.problem, told.hint)]


# ---------------------------------------------------------------- the event history


def _history(blows: Sequence[Blow], home: str, aws: Aws, since: datetime) -> Iterator[str]:
    """Whether CloudTrail has recorded the calls; a trail has no part in that.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html
    """
    by_name: dict[tuple[str, str], set[str]] = {}
    for one in blows:
        if isinstance(one.technique, Probe):
            region = home if one.technique.elsewhere else aws.region
            by_name.setdefault((one.technique.operation, region), set()).add(one.request_id)
    asked = list(by_name.items())[:_LOOKUPS]
    total = sum(len(ids) for _, ids in asked)
    shown = sum(
        len(ids & _recorded(operation, aws.at(region), since)) for (operation, region), ids in asked
    )
    if shown:
        calls = "the call" if total == 1 else f"{shown} of {total} calls"
        yield f"CloudTrail has recorded {calls}: what comes after it is silent"
    elif total:
        calls = "the call" if total == 1 else f"any of {total} calls"
        yield f"CloudTrail does not show {calls} yet, which may take it 15 minutes"


def _recorded(operation: str, aws: Aws, since: datetime) -> set[str]:
    """Request ids of the calls of this name that the history shows."""
    pages = aws.cloudtrail.get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": operation}],
        StartTime=since,
        PaginationConfig={"MaxItems": _LOOKED_AT},
    )
    written = [
        json.loads(one.get("CloudTrailEvent", "{}")) for page in pages for one in page["Events"]
    ]
    return {str(one.get("requestID")) for one in written}


# ---------------------------------------------------------------- metrics

_DIMENSIONS = {_EVENTS: "RuleName", _SNS: "TopicName", _LAMBDA: "FunctionName"}
_MATCHED = "MatchedEvents"
_TROUBLES = (
    (_EVENTS, "FailedInvocations", "could not be handed to a target"),
    (_SNS, "NumberOfNotificationsFilteredOut", "held back by a filter policy"),
    (_SNS, "NumberOfNotificationsFailed", "not delivered to a subscriber"),
    (_LAMBDA, "Throttles", "throttled"),
    (_LAMBDA, "Errors", "ended with an error"),
)


@dataclass(frozen=True)
class _Metric:
    namespace: str
    name: str
    metric: str

    def query(self, number: int) -> Any:
        """As GetMetricData takes it."""
        dimension = {"Name": _DIMENSIONS[self.namespace], "Value": self.name}
        metric = {
            "Namespace": self.namespace,
            "MetricName": self.metric,
            "Dimensions": [dimension],
        }
        stat = {"Metric": metric, "Period": _MINUTE, "Stat": "Sum"}
        return {"Id": f"m{number}", "MetricStat": stat}


def _metrics(
    blows: Sequence[Blow], hops: set[str], watch: Watch, aws: Aws, since: datetime
) -> Iterator[str]:
    """What the rules, the topic and the function have counted since the first call."""
    struck = {one.technique.detection for one in blows}
    rules = [one.name for one in watch.rules if one.detection in struck]
    names = {
        _EVENTS: rules,
        _SNS: [watch.topic.name],
        _LAMBDA: [watch.function.name] if watch.function else [],
    }
    troubles = {
        _Metric(namespace, name, metric): said
        for namespace, metric, said in _TROUBLES
        for name in names[namespace]
    }
    matches = [_Metric(_EVENTS, name, _MATCHED) for name in rules]
    sums = _sums([*matches, *troubles], aws, since)
    if rules and "matched" in hops and not any(sums[one] for one in matches):
        late = "metrics may be minutes late"
        yield f"{', '.join(rules)} matched nothing ({_MATCHED}; {late})"
    for one, said in troubles.items():
        if sums[one]:
            yield f"{one.name}: {sums[one]} {said} ({one.metric})"


def _sums(asked: Sequence[_Metric], aws: Aws, since: datetime) -> Counter[_Metric]:
    """Each metric's sum; AWS answers nothing at all for one that counted nothing."""
    queries = [one.query(number) for number, one in enumerate(asked)]
    answer = aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=queries,
        StartTime=since.replace(second=0),
        EndTime=aws.clock.now() + timedelta(seconds=_MINUTE),
    )
    by_id = {f"m{number}": one for number, one in enumerate(asked)}
    return Counter(
        {by_id[one["Id"]]: int(sum(one["Values"])) for one in answer["MetricDataResults"]}
    )


# ---------------------------------------------------------------- the dead-letter queue


def _undelivered(blows: Sequence[Blow], watch: Watch, aws: Aws) -> Iterator[str]:
    """What of these drills lies in the queue, and why; nothing is taken out of it."""
    url = watch.dead_letter.url(aws)
    if url is None:
        return
    whys: Counter[str] = Counter()
    for message in _letters(url, aws):
        receipt = Receipt({}, aws.clock.now(), message["Body"])
        if any(one.is_in(receipt) for one in blows):
            whys[_why(message)] += 1
    for why, number in whys.items():
        yield f"{watch.dead_letter.name} holds {number} of these alerts: {why}"


def _letters(url: str, aws: Aws) -> Iterator[Any]:
    for _ in range(_PAGES):
        answer = aws.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_HIDDEN,
            MessageAttributeNames=["All"],
        )
        yield from answer.get("Messages", [])


def _why(message: Any) -> str:
    """What EventBridge and SNS say in attributes, and Lambda in the record itself.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    said = {
        key.replace("_", "").lower(): value.get("StringValue", "")
        for key, value in message.get("MessageAttributes", {}).items()
    }
    if "errorcode" in said:
        return ": ".join(filter(None, (said["errorcode"], said.get("errormessage"))))
    try:
        record = json.loads(message["Body"])
        condition = str(record["requestContext"]["condition"])
        failure = record.get("responsePayload") or {}
        return ": ".join(filter(None, (condition, failure.get("errorMessage"))))
    except (ValueError, LookupError, TypeError, AttributeError):
        return "it does not say why"
