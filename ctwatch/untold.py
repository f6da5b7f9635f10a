"""Which channels the last alert has not reached, as far as AWS has given it up.

Most webhooks cannot be asked whether they take alerts, and one that answers when it is asked may
still refuse what is posted to it. What is known of such a channel is what became of the last alert
that it was to be told of, and the function's own log says that by channel.

The log is read only while alerts lie in the dead-letter queue: before that AWS still tries again.
So there are two ways out for whoever has mended the channel. A drill that it takes is younger than
what it missed, and whoever has read the dead letters and empties the queue has done with them: old
letters alone hold no watch down. What never came as far as the function (a letter of EventBridge's
or of SNS's) stands in no log and counts against no channel; what kept it is seen at its own hop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from operator import attrgetter

from ctwatch.alerts import Alert, NoLogError, alerts
from ctwatch.aws import Aws
from ctwatch.errors import AwsError
from ctwatch.findings import Finding
from ctwatch.permissions import Grant, allow
from ctwatch.resources.base import Resource
from ctwatch.watch import Watch


@dataclass(frozen=True)
class Untold:
    """What is known of it.

    Attributes:
        why: what the log says of the last alert, by channel; of those that it did not reach.
        error: why the log could not be read, which leaves that open; None where it could.
    """

    why: Mapping[str, str] = field(default_factory=dict)
    error: AwsError | None = None


def untold(watch: Watch, looks: Mapping[Resource, Finding], aws: Aws) -> Untold:
    """Which channels the last alert has not reached.

    Args:
        watch: which.
        looks: a look at its dead-letter queue.
        aws: the account.
    """
    letters = looks[watch.dead_letter].live
    if not watch.function or not letters or not letters.facts.get("messages"):
        return Untold()
    since = aws.clock.now() - timedelta(seconds=watch.dead_letter.retention)
    try:
        return Untold(missed(alerts(aws, watch.function.log_group.name, since)))
    except NoLogError:  # that it is not there is a fault of its own
        return Untold()
    except AwsError as error:
        return Untold(error=error)


def missed(found: Sequence[Alert]) -> dict[str, str]:
    """Why, by channel: of those whose last alert failed, with no other delivered since.

    That one was skipped, or came again after it had been delivered, says nothing of the channel.
    """
    told = [one for alert in found for one in alert.channels if one.outcome in _TOLD]
    last = {one.channel: one for one in sorted(told, key=attrgetter("sent"))}
    failed = [one for one in last.values() if one.outcome == "failed"]
    return {one.channel: one.error or "the log does not say why" for one in failed}


_TOLD = {"delivered", "failed"}


def needs(watch: Watch) -> list[Grant]:
    """What it takes to read the function's log."""
    log_group = watch.function.log_group if watch.function else None
    return [allow("logs", "FilterLogEvents", f"{log_group.arn}:*")] if log_group else []
