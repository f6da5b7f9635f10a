"""What CloudWatch knows of the alarm: sums per minute, and nothing where nothing happened.

    AWS/Events   RuleName      MatchedEvents, Invocations, FailedInvocations
    AWS/SNS      TopicName     NumberOfMessagesPublished, NumberOfNotificationsDelivered,
                               NumberOfNotificationsFailed, NumberOfNotificationsFilteredOut
    AWS/Lambda   FunctionName  Invocations, Errors, Throttles

On AWS they come one to three minutes late; here at once.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
"""

import threading
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from ctwatch.clock import Clock
from ctwatch.sandbox.calls import Call, Forward, Refusal

EVENTS, SNS, LAMBDA = "AWS/Events", "AWS/SNS", "AWS/Lambda"
_DIMENSIONS = {EVENTS: "RuleName", SNS: "TopicName", LAMBDA: "FunctionName"}
_MINUTE = 60


class Metrics:
    """The metrics of one account.

    Args:
        clock: when something happens.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sums: Counter[tuple[str, str, str, str, int]] = Counter()

    def count(self, namespace: str, metric: str, arn: str) -> None:
        """Add one to a metric of what an ARN names."""
        region, name = arn.split(":")[3], arn.replace("/", ":").rsplit(":", 1)[-1]
        minute = int(self._clock.now().timestamp()) // _MINUTE
        with self._lock:
            self._sums[namespace, region, name, metric, minute] += 1

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._sums.clear()

    def data(self, call: Call, _: Forward) -> dict[str, Any]:
        """Answer GetMetricData for sums per minute of what is kept here.

        Raises:
            Refusal: something else is asked for.
        """
        start, end = (call.params[name].timestamp() for name in ("StartTime", "EndTime"))
        asked = call.params["MetricDataQueries"]
        return {"MetricDataResults": [self._result(call.region, one, start, end) for one in asked]}

    def _result(self, region: str, asked: dict[str, Any], start: float, end: float) -> Any:
        wish = asked.get("MetricStat") or {}
        if wish.get("Stat") != "Sum" or wish.get("Period") != _MINUTE:
            raise Refusal("ValidationError", "The sandbox keeps sums of 60 seconds, and no more.")
        metric = wish["Metric"]
        [dimension] = metric["Dimensions"]
        if _DIMENSIONS.get(metric["Namespace"]) != dimension["Name"]:
            raise Refusal("ValidationError", f"The sandbox has no {metric['Namespace']} by that.")
        key = (metric["Namespace"], region, dimension["Value"], metric["MetricName"])
        with self._lock:
            found = {
                minute * _MINUTE: float(number)
                for (*known, minute), number in self._sums.items()
                if tuple(known) == key and start <= minute * _MINUTE < end
            }
        times = sorted(found, reverse=True)
        return {
            "Id": asked["Id"],
            "Label": metric["MetricName"],
            "Timestamps": [datetime.fromtimestamp(one, UTC) for one in times],
            "Values": [found[one] for one in times],
            "StatusCode": "Complete",
        }
