import json

import pytest

from ctwatch.sandbox.faults import Undeliverable
from ctwatch.sandbox.inputs import shape

RULE = "arn:aws:events:ap-northeast-2:123456789012:rule/detect"
EVENT = {
    "source": "aws.cloudtrail",
    "resources": ["arn:1", "arn:2"],
    "detail": {
        "eventName": "StopLogging",
        "mfa": True,
        "count": 3,
        "who": {"arn": "arn:kim", "a-b/c": "dashed"},
        "items": [{"n": 1}, {"n": 2}, {}],
        "quoted": 'say "hi"',
        "none": None,
    },
}


def fill(template, **paths):
    target = {"InputTransformer": {"InputTemplate": template, "InputPathsMap": paths}}
    return shape(target, EVENT, RULE, "2026-11-21T05:00:00Z")


def test_a_target_gets_the_whole_event_unless_told_otherwise():
    assert json.loads(shape({}, EVENT, RULE, "")) == EVENT


def test_a_constant_is_handed_on_as_it_is():
    assert shape({"Input": '{"a":  1}'}, EVENT, RULE, "") == '{"a":  1}'


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", EVENT),
        ("$.detail.eventName", "StopLogging"),
        ("$.detail['eventName']", "StopLogging"),
        ('$["source"]', "aws.cloudtrail"),
        ("$.detail.who.a-b/c", "dashed"),
        ("$.resources[1]", "arn:2"),
        ("$.resources[9]", None),
        ("$.resources.name", None),
        ("$.resources[*]", ["arn:1", "arn:2"]),
        ("$.detail.items[*].n", [1, 2]),
        ("$.detail.who.*", ["arn:kim", "dashed"]),
        ("$.detail.items[*].none", None),
        ("$.absent.deep", None),
        ("$.source.deep", None),
        ("$!", None),
    ],
)
def test_an_input_path_hands_on_a_part(path, expected):
    assert json.loads(shape({"InputPath": path}, EVENT, RULE, "")) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('"<name> by <arn>"', '"StopLogging by arn:kim"'),
        ('"one <name>"\n"two <count>"', '"one StopLogging"\n"two 3"'),
        ('"[<absent>]"', '"[]"'),
        ("<name>", '"StopLogging"'),
        ('{"n": <name>, "c": <count>, "m": <mfa>}', '{"n": "StopLogging", "c": 3, "m": true}'),
        ('{"n": "<name>"}', '{"n": "StopLogging"}'),
        ('{"w": <who>}', '{"w": {"arn":"arn:kim","a-b/c":"dashed"}}'),
        ('"who: <who>"', '"who: {arn:arn:kim,a-b/c:dashed}"'),
        ('{"r": <resources>}', '{"r": ["arn:1","arn:2"]}'),
        ('{"e": "\\"<name>\\""}', '{"e": "\\"StopLogging\\""}'),
        ('{"a": <unknown>"x"}', '{"a": "x"}'),
        ('{"z": <none>}', '{"z": null}'),
    ],
)
def test_a_template_is_filled_in(template, expected):
    paths = {
        "name": "$.detail.eventName", "arn": "$.detail.who.arn", "count": "$.detail.count",
        "mfa": "$.detail.mfa", "who": "$.detail.who", "resources": "$.resources",
        "absent": "$.nowhere", "none": "$.detail.none",
    }  # fmt: skip
    assert fill(template, **paths) == expected


def test_reserved_variables_stand_for_the_rule_and_the_event():
    template = (
        '{"arn": <aws.events.rule-arn>, "name": "<aws.events.rule-name>", '
        '"at": <aws.events.event.ingestion-time>, "all": <aws.events.event.json>, '
        '"rest": <aws.events.event>}'
    )
    rest = {key: value for key, value in EVENT.items() if key != "detail"}
    assert json.loads(fill(template)) == {
        "arn": RULE, "name": "detect", "at": "2026-11-21T05:00:00Z", "all": EVENT, "rest": rest,
    }  # fmt: skip


def test_values_are_not_escaped_so_a_quotation_mark_breaks_json():
    assert fill('"<q>"', q="$.detail.quoted") == '"say "hi""'
    with pytest.raises(Undeliverable) as failed:
        fill('{"q": "<q>"}', q="$.detail.quoted")
    assert failed.value.code == "INVALID_JSON"
    assert not failed.value.retryable
