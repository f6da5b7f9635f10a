"""What the notifier is told of the watch's own, and what it makes of it."""

import json
from typing import Any

import pytest
from watch_world import EVERY_CHANNEL, PLACE, planned

from ctwatch.config import parse
from ctwatch.detections import catalogue
from ctwatch.listening import names_of
from ctwatch.notifier.detections import OWN, detections_of
from ctwatch.notifier.event import unpack
from ctwatch.notifier.settings import Settings, read_settings
from ctwatch.notifier.severity import severity

KEY = PLACE.arn("kms", "key/0a0b0c0d-0e0f-4a4b-8c8d-0123456789ab")
WATCHED: dict[str, Any] = {
    **EVERY_CHANNEL,
    "name": "guard",
    "bucket": {"name": "the-logs-of-{account}"},
    "topic": {"name": "the-topic"},
    "function": {"name": "the-function"},
    "trail": {
        "name": "the-trail",
        "insights": ["api-call-rate"],
        "kms": KEY,
        "delivery_notifications": True,
    },
    "rules": [{"name": f"rule-on-{one}", "detection": one} for one in catalogue()],
}
BUILT = sorted(OWN & set(catalogue()))


def environment(config: dict[str, Any]) -> dict[str, str]:
    function = planned(config).function
    assert function
    return {name: value or "" for name, value in function.environment.items()}


def told(config: dict[str, Any]) -> Settings:
    return read_settings(environment(config))


@pytest.mark.parametrize("detection", BUILT)
def test_whatever_is_done_to_the_watch_is_known_to_be_done_to_it(detection: str) -> None:
    config = parse(WATCHED).filled(account=PLACE.account)
    events = catalogue()[detection].fires_on(names_of(config, PLACE))
    settings = told(WATCHED)
    assert settings.own
    known = [detections_of(unpack(one)[0], settings) for one in events]
    assert [one for one in known if detection not in one] == []


@pytest.mark.parametrize("detection", BUILT)
def test_the_same_done_to_another_watch_is_not(detection: str) -> None:
    """But for the default bus, which is everybody's, a probe, and what does not say whose it is."""
    settings = told(WATCHED)
    theirs = [unpack(one)[0] for one in catalogue()[detection].examples.fires]
    named = [one for one in theirs if one.targets and not any(map(_neutral, one.targets))]
    assert named
    assert [one.name for one in named if detection in detections_of(one, settings)] == []


def _neutral(target: str) -> bool:
    return target == "default" or "ctwatch-probe-" in target


def test_a_function_of_another_s_that_is_throttled_is_less_bad_than_ours() -> None:
    settings = told(WATCHED)

    def throttled(name: str) -> str:
        detail = {
            "eventSource": "lambda.amazonaws.com",
            "eventName": "PutFunctionConcurrency20171031",
            "requestParameters": {"functionName": name, "reservedConcurrentExecutions": 0},
            "userIdentity": {"type": "IAMUser"},
        }
        return severity(unpack({"detail": detail})[0], settings)

    assert throttled("the-function") == "critical"
    assert throttled(PLACE.arn("lambda", "function:the-function")) == "critical"
    assert throttled("somebody-elses") == "medium"


def test_all_detections_and_channels_fit_into_what_a_function_may_be_told() -> None:
    variables = environment(WATCHED)
    assert "CTWATCH_OWN" in variables
    assert sum(len(name) + len(value) for name, value in variables.items()) <= 3_000


def test_where_the_names_do_not_fit_everything_counts_as_ours() -> None:
    rules = [{"name": f"{number:060}", "detection": "trail-tampering"} for number in range(50)]
    variables = environment({**WATCHED, "rules": rules})
    assert "CTWATCH_OWN" not in variables
    assert read_settings(variables).own is None
    assert json.loads(variables["CTWATCH_CHANNELS"])
