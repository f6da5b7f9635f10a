"""The drills: what an intruder does to CloudTrail, as complete and valid calls.

A technique only knows how to strike a trail of a given name. Which name that is, what is proven
afterwards and what is healed is `simulate`'s affair. None of them may be given a name that is not
ours.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ctwatch.aws import Aws
from ctwatch.errors import ConfigError

ALL = "all"

Strike = Callable[[Aws, str], Any]
"""Calls the real API on the trail of that name; lets botocore's ClientError pass."""


@dataclass(frozen=True)
class Technique:
    """One way to tamper with a trail.

    Attributes:
        name: how it is asked for, "stop-logging".
        story: what an intruder gains by it.
        detection: the detection that must tell.
        operation: the API operation, which is also CloudTrail's event name.
        strike: makes the call.
    """

    name: str
    story: str
    detection: str
    operation: str
    strike: Strike


def _stop_logging(aws: Aws, trail: str) -> Any:
    return aws.cloudtrail.stop_logging(Name=trail)


def _delete_trail(aws: Aws, trail: str) -> Any:
    return aws.cloudtrail.delete_trail(Name=trail)


def _update_trail(aws: Aws, trail: str) -> Any:
    return aws.cloudtrail.update_trail(Name=trail, IncludeGlobalServiceEvents=True)


def _put_event_selectors(aws: Aws, trail: str) -> Any:
    every_management_event: Any = {"ReadWriteType": "All", "IncludeManagementEvents": True}
    return aws.cloudtrail.put_event_selectors(
        TrailName=trail, EventSelectors=[every_management_event]
    )


TECHNIQUES = {
    one.name: one
    for one in (
        Technique(
            "stop-logging",
            "The trail stays and looks well, and records nothing from now on.",
            "trail-tampering",
            "StopLogging",
            _stop_logging,
        ),
        Technique(
            "delete-trail",
            "The trail goes, and with it the order to keep any log at all.",
            "trail-tampering",
            "DeleteTrail",
            _delete_trail,
        ),
        Technique(
            "update-trail",
            "The log goes elsewhere, covers one region, or can be forged unnoticed.",
            "trail-tampering",
            "UpdateTrail",
            _update_trail,
        ),
        Technique(
            "put-event-selectors",
            "The trail logs on, but no longer what the intruder does.",
            "trail-tampering",
            "PutEventSelectors",
            _put_event_selectors,
        ),
    )
}


def chosen(names: Sequence[str], listened: Collection[str] | None = None) -> list[Technique]:
    """The techniques of these names, each once, in the order asked for.

    Args:
        names: `all` means every one that the watch listens for.
        listened: ids of the detections that the watch has rules of; None where it is not known.

    Raises:
        ConfigError: there is no technique of that name, or `all` means none.
    """
    known = TECHNIQUES.values()
    every = [one.name for one in known if listened is None or one.detection in listened]
    if ALL in names and not every:
        raise ConfigError(
            f"no technique strikes what this watch listens for: {', '.join(listened or ())}",
            "ctwatch status tells whether its rules are as promised.",
        )
    wanted = [one for name in names for one in (every if name == ALL else [name])]
    for name in wanted:
        if name not in TECHNIQUES:
            raise ConfigError(
                f"there is no technique {name!r}", f"Choose from: {', '.join(TECHNIQUES)}, {ALL}"
            )
    return [TECHNIQUES[name] for name in dict.fromkeys(wanted)]
