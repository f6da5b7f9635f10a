"""How bad it is: one table and two rules."""

from .event import SUCCEEDED, Event

LEVELS = ("low", "medium", "high", "critical")

SEVERITY = {
    "StopLogging": "high",
    "DeleteTrail": "critical",
    "UpdateTrail": "high",
    "PutEventSelectors": "high",
}
UNKNOWN = "medium"


def severity(event: Event) -> str:
    """One of LEVELS: an attempt that did not succeed is a step lower, blinding a step higher."""
    level = LEVELS.index(SEVERITY.get(event.name, UNKNOWN))
    if event.blinds:
        level += 1
    if event.result != SUCCEEDED:
        level -= 1
    return LEVELS[min(level, len(LEVELS) - 1)]
