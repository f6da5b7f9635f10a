import contextlib
import itertools
import json
from collections import OrderedDict
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trials import trials

from ctwatch import patterns
from ctwatch.errors import ConfigError
from ctwatch.patterns import PatternError, canonical, check, compile_pattern, matches, size

TAMPER = {
    "source": ["aws.cloudtrail"],
    "detail-type": ["AWS API Call via CloudTrail"],
    "detail": {
        "eventSource": ["cloudtrail.amazonaws.com"],
        "eventName": ["StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"],
    },
}
TAMPERED = {
    "source": "aws.cloudtrail",
    "detail-type": "AWS API Call via CloudTrail",
    "resources": [],
    "detail": {
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging",
        "requestParameters": {"name": "ct-trail-monitor"},
        "responseElements": None,
    },
}
MISSING = object()

# What the one field "f" must hold, a value it has (MISSING: no such field), whether they match.
FIELD = [
    # a bare value
    (["a"], "a", True),
    (["a"], "A", False),
    (["a", "b"], "b", True),
    ([""], "", True),
    ([""], " ", False),
    (["a"], MISSING, False),
    (["5"], 5, False),
    ([5], "5", False),
    ([5], 5.0, True),
    ([5.0], 5, True),
    ([3.018e2], 301.8, True),
    ([0], -0.0, True),
    ([1], True, False),
    ([True], 1, False),
    ([True], True, True),
    ([False], False, True),
    ([False], None, False),
    ([False], 0, False),
    (["true"], True, False),
    ([None], None, True),
    ([None], MISSING, False),
    ([None], "null", False),
    ([None], [], False),
    ([123456789012], 123456789012, True),
    ([123456789012], 123456789013, False),
    ([0.1234567], 0.1234567, True),
    ([0.1234567], 0.1234568, False),
    ([5], datetime(2026, 3, 2, tzinfo=UTC), False),
    (["a"], bytearray(b"a"), False),
    ([{"anything-but": ["a"]}], bytearray(b"a"), True),
    # an address is equal however it is spelt
    (["10.0.0.1"], "10.0.0.1", True),
    (["10.0.0.1"], "010.0.0.01", True),
    (["10.0.0.1"], "10.0.0.2", False),
    (["10.0.0.1"], 10, False),
    (["::1"], "0:0:0:0:0:0:0:1", True),
    (["::ffff:a00:1"], "10.0.0.1", True),
    (["999.0.0.1"], "999.0.0.1", True),
    ([":::"], ":::", True),
    # arrays in the event
    (["a"], ["x", "a"], True),
    (["a"], [], False),
    (["a"], [["x"], ["a"]], True),
    (["a"], ("x", "a"), True),
    ([None], ["x", None], True),
    (["a"], [{"f": "a"}], False),
    (["a"], {"f": "a"}, False),
    # prefix and suffix
    ([{"prefix": "Put"}], "PutBucketPolicy", True),
    ([{"prefix": "Put"}], "DeletePut", False),
    ([{"prefix": ""}], "", True),
    ([{"prefix": ""}], None, False),
    ([{"prefix": "1"}], 12, False),
    ([{"suffix": ".png"}], "a.png", True),
    ([{"suffix": ".png"}], "a.png.exe", False),
    ([{"suffix": ""}], "anything", True),
    ([{"prefix": {"equals-ignore-case": "put"}}], "PUTBucket", True),
    ([{"prefix": {"equals-ignore-case": "put"}}], "outputPUT", False),
    ([{"prefix": {"equals-ignore-case": "a.b"}}], "AxB", False),
    ([{"suffix": {"equals-ignore-case": ".PNG"}}], "a.png", True),
    ([{"suffix": {"equals-ignore-case": ".PNG"}}], "a.png\n", False),
    ([{"suffix": {"equals-ignore-case": ".PNG"}}], 1, False),
    # equals-ignore-case
    ([{"equals-ignore-case": "Alice"}], "aLICE", True),
    ([{"equals-ignore-case": "Alice"}], "Alicia", False),
    ([{"equals-ignore-case": "alice"}], "malice", False),
    ([{"equals-ignore-case": ""}], "", True),
    ([{"equals-ignore-case": ""}], "a", False),
    ([{"equals-ignore-case": "é{0}"}], "É{0}", True),
    ([{"equals-ignore-case": "k"}], "\u212a", False),  # the Kelvin sign is no k for the engine
    ([{"equals-ignore-case": "ß"}], "SS", True),
    # exactly
    ([{"exactly": "a"}], "a", True),
    ([{"exactly": "::1"}], "0::1", False),
    # anything-but
    ([{"anything-but": "a"}], "b", True),
    ([{"anything-but": "a"}], "a", False),
    ([{"anything-but": "a"}], MISSING, False),
    ([{"anything-but": "a"}], None, True),
    ([{"anything-but": "a"}], True, True),
    ([{"anything-but": "a"}], 5, True),
    ([{"anything-but": "a"}], {"x": 1}, False),
    ([{"anything-but": "a"}], [], False),
    ([{"anything-but": "a"}], ["a", "b"], True),
    ([{"anything-but": "a"}], ["a", "a"], False),
    ([{"anything-but": ["a", "b"]}], "b", False),
    ([{"anything-but": ["a", "b"]}], "c", True),
    ([{"anything-but": 5}], 5.0, False),
    ([{"anything-but": 5}], "5", True),
    ([{"anything-but": 1}], True, True),
    ([{"anything-but": [100, 200]}], 200, False),
    ([{"anything-but": [100, 200]}], 300, True),
    ([{"anything-but": 0}], 0.0, False),
    ([{"anything-but": {"prefix": "init"}}], "initial", False),
    ([{"anything-but": {"prefix": "init"}}], "ready", True),
    ([{"anything-but": {"prefix": "init"}}], 123, True),
    ([{"anything-but": {"prefix": "init"}}], MISSING, False),
    ([{"anything-but": {"prefix": ["a", "b"]}}], "bc", False),
    ([{"anything-but": {"prefix": ["a", "b"]}}], "c", True),
    ([{"anything-but": {"suffix": ".png"}}], "a.png", False),
    ([{"anything-but": {"suffix": [".png", ".jpg"]}}], "a.txt", True),
    ([{"anything-but": {"suffix": [".png", ".jpg"]}}], "a.jpg", False),
    ([{"anything-but": {"equals-ignore-case": "a"}}], "A", False),
    ([{"anything-but": {"equals-ignore-case": ["a", "b"]}}], "B", False),
    ([{"anything-but": {"equals-ignore-case": ["a", "b"]}}], "c", True),
    ([{"anything-but": {"equals-ignore-case": ["a", "b"]}}], None, True),
    ([{"anything-but": {"wildcard": "*/lib/*"}}], "/usr/lib/x", False),
    ([{"anything-but": {"wildcard": ["*/lib/*", "*.so"]}}], "x.so", False),
    ([{"anything-but": {"wildcard": ["*/lib/*", "*.so"]}}], "/bin/x", True),
    ([{"anything-but": {"wildcard": ""}}], "", False),
    # numeric
    ([{"numeric": ["=", 5]}], 5.0, True),
    ([{"numeric": ["=", 5]}], "5", False),
    ([{"numeric": ["=", 1]}], True, False),
    ([{"numeric": ["<", 10]}], 9.999999, True),
    ([{"numeric": ["<", 10]}], 10, False),
    ([{"numeric": ["<=", 10]}], 10, True),
    ([{"numeric": [">", 0]}], 0, False),
    ([{"numeric": [">=", 0]}], 0, True),
    ([{"numeric": [">", 0, "<=", 5]}], 5, True),
    ([{"numeric": [">", 0, "<=", 5]}], 0, False),
    ([{"numeric": [">=", 0, "<", 5]}], 5, False),
    ([{"numeric": [">", -5e9]}], 5_000_000_000, True),
    ([{"numeric": [">", 0]}], 5_000_000_001, False),
    ([{"numeric": [">", 0]}], 1.0000001, False),
    ([{"numeric": [">", 0]}], [-1, 1], True),
    # exists
    ([{"exists": True}], "", True),
    ([{"exists": True}], None, True),
    ([{"exists": True}], ["x"], True),
    ([{"exists": True}], MISSING, False),
    ([{"exists": True}], {"x": 1}, False),
    ([{"exists": True}], [], False),
    ([{"exists": True}], [{"x": 1}], False),
    ([{"exists": True}], datetime(2026, 3, 2, tzinfo=UTC), True),
    ([{"exists": False}], MISSING, True),
    ([{"exists": False}], None, False),
    ([{"exists": False}], {"x": 1}, True),
    ([{"exists": False}], [], True),
    ([{"exists": False}], [{"x": 1}], True),
    ([{"exists": False}], ["x"], False),
    ([{"anything-but": "a"}, {"exists": False}], MISSING, True),
    ([{"anything-but": "a"}, {"exists": False}], "a", False),
    # cidr
    ([{"cidr": "10.0.0.0/24"}], "10.0.0.255", True),
    ([{"cidr": "10.0.0.0/24"}], "10.0.1.0", False),
    ([{"cidr": "10.0.0.77/24"}], "10.0.0.1", True),
    ([{"cidr": "10.0.0.0/24"}], "cloudformation.amazonaws.com", False),
    ([{"cidr": "10.0.0.0/24"}], 10, False),
    ([{"cidr": "0.0.0.0/0"}], "203.0.113.24", True),
    ([{"cidr": "0.0.0.0/0"}], "::1", False),
    ([{"cidr": "2001:db8::/32"}], "2001:db8:1::5", True),
    ([{"cidr": "2001:db8::/32"}], "2001:db9::5", False),
    ([{"cidr": "10.0.0.0/31"}], "10.0.0.1", True),
    # wildcard
    ([{"wildcard": "arn:*:trail/*"}], "arn:aws:cloudtrail:x:1:trail/", True),
    ([{"wildcard": "arn:*:trail/*"}], "arn:trail/", False),
    ([{"wildcard": "*"}], "", True),
    ([{"wildcard": "a"}], "a", True),
    ([{"wildcard": "a"}], "ab", False),
    ([{"wildcard": "a*a"}], "a", False),
    ([{"wildcard": "a*a"}], "aa", True),
    ([{"wildcard": "*ab*b"}], "abab", True),
    ([{"wildcard": r"a\*b"}], "a*b", True),
    ([{"wildcard": r"a\*b"}], "axb", False),
    ([{"wildcard": r"a\\*"}], r"a\b", True),
    ([{"wildcard": "a*"}], "a\nb", True),
    ([{"wildcard": "*"}], 5, False),
    # alternatives of different kinds
    (["a", 5, {"prefix": "b"}, None], 5, True),
    (["a", 5, {"prefix": "b"}, None], "bb", True),
    (["a", 5, {"prefix": "b"}, None], None, True),
    (["a", 5, {"prefix": "b"}, None], "c", False),
]


@pytest.mark.parametrize(("values", "value", "expected"), FIELD)
def test_a_field_matches_as_in_aws(values, value, expected):
    event = {} if value is MISSING else {"f": value}
    compiled = compile_pattern({"f": values, "always": ["there"]})
    assert compiled.matches({**event, "always": "there"}) is expected
    assert compile_pattern({"d": {"f": values}}).matches({"d": {"always": 1, **event}}) is expected


EVENT = [
    ("a whole event", TAMPER, TAMPERED, True),
    ("another source", TAMPER, {**TAMPERED, "source": "custom.tools"}, False),
    ("another detail", TAMPER, {**TAMPERED, "detail": {"eventName": "StopLogging"}}, False),
    ("no detail", TAMPER, {"source": "aws.cloudtrail"}, False),
    ("detail null", {"detail": {"x": [{"exists": False}]}}, {"detail": None}, True),
    ("detail a string", {"detail": {"x": [1]}}, {"detail": "x"}, False),
    ("a deep absence", {"a": {"b": {"c": [{"exists": False}]}}}, {"a": {}}, True),
    ("a deep presence", {"a": {"b": {"c": [{"exists": False}]}}}, {"a": {"b": {"c": 0}}}, False),
    # one key with a dot is a path, on either side
    ("dotted pattern", {"detail.eventName": ["StopLogging"]}, TAMPERED, True),
    ("dotted event", {"a": {"b": ["x"]}}, {"a.b": "x"}, True),
    ("dotted deep", {"a": {"b": {"c": ["x"]}}}, {"a": {"b.c": "x"}}, True),
    ("dotted both", {"a.b": ["x"]}, {"a.b": "x"}, True),
    ("dotted and nested", {"a": {"b": ["x"]}}, {"a.b": "x", "a": {"b": "y"}}, True),
    ("dotted is there", {"a": {"b": [{"exists": False}]}}, {"a.b": "x"}, False),
    ("dots at the ends", {".": {"": ["x"]}}, {"": {"": {"": "x"}}}, True),
    # arrays of objects: all fields in the same element
    (
        "same element",
        {"a": {"x": [1], "y": [2]}},
        {"a": [{"x": 1, "y": 9}, {"x": 1, "y": 2}]},
        True,
    ),
    (
        "different elements",
        {"a": {"x": [1], "y": [2]}},
        {"a": [{"x": 1, "y": 9}, {"x": 9, "y": 2}]},
        False,
    ),
    ("one of an array", {"a": {"x": [1]}}, {"a": [{"x": 0}, {"x": 1}]}, True),
    ("none of an array", {"a": {"x": [1]}}, {"a": [{"x": 0}, {}]}, False),
    (
        "two arrays are independent",
        {"a": {"x": [1]}, "b": {"y": [2]}},
        {"a": [{"x": 0}, {"x": 1}], "b": [{"y": 2}, {"y": 0}]},
        True,
    ),
    (
        "arrays in arrays keep together",
        {"a": {"x": [1], "b": {"y": [2]}}},
        {"a": [{"x": 1, "b": [{"y": 0}]}, {"x": 0, "b": [{"y": 2}]}]},
        False,
    ),
    (
        "arrays in arrays found",
        {"a": {"x": [1], "b": {"y": [2], "z": [3]}}},
        {"a": [{"x": 0}, {"x": 1, "b": [{"y": 2}, {"y": 2, "z": 3}]}]},
        True,
    ),
    (
        "two leaves deep in the same nest",
        {"a": {"b": {"y": [2]}, "c": {"z": [3]}}},
        {"a": [{"b": [{"y": 2}], "c": [{"z": 0}]}, {"b": [{"y": 0}], "c": [{"z": 3}]}]},
        False,
    ),
    ("arrays of arrays", {"a": {"x": [1]}}, {"a": [[{"x": 0}], [{"x": 0}, {"x": 1}]]}, True),
    (
        "arrays of arrays, same element",
        {"a": {"x": [1], "y": [2]}},
        {"a": [[{"x": 1}, {"y": 2}], [{"x": 2, "y": 1}]]},
        False,
    ),
    (
        "a scalar belongs to no element",
        {"a": {"x": [1]}, "a.x": [1], "b": ["q"]},
        {"a": [{"x": 1}, "s"], "b": ["p", "q"]},
        True,
    ),
    (
        "a scalar and an object of one array",
        {"a": ["s"], "a.x": [1]},
        {"a": ["s", {"x": 1}]},
        True,
    ),
    (
        "or, torn between elements",
        {"$or": [{"a": {"x": [1], "y": [2]}}, {"b": [1]}]},
        {"a": [{"x": 1}, {"y": 2}]},
        False,
    ),
    (
        "scalars of one array for two fields",
        {"t": ["p"], "u": ["q"]},
        {"t": ["o", "p"], "u": ["q"]},
        True,
    ),
    (
        "absent in the chosen element",
        {"a": {"x": [1], "y": [{"exists": False}]}},
        {"a": [{"x": 1}, {"x": 2, "y": 3}]},
        True,
    ),
    (
        "absent in no chosen element",
        {"a": {"x": [1], "y": [{"exists": False}]}},
        {"a": [{"x": 1, "y": 3}, {"x": 2}]},
        False,
    ),
    (
        "absence is asked in the order of the paths",
        {"a": {"x": [{"exists": False}], "y": [1]}},
        {"a": [{"x": 1}, {"y": 1}]},
        False,
    ),
    (
        "absent beside a nested array",
        {"a": {"b": {"y": [2]}, "z": [{"exists": False}]}},
        {"a": [{"b": [{"y": 2}], "z": 1}, {"b": [{"y": 2}]}]},
        True,
    ),
    # $or
    ("or, first", {"$or": [{"a": [1]}, {"b": [2]}]}, {"a": 1}, True),
    ("or, second", {"$or": [{"a": [1]}, {"b": [2]}]}, {"b": 2}, True),
    ("or, neither", {"$or": [{"a": [1]}, {"b": [2]}]}, {"a": 2, "b": 1}, False),
    ("or and more", {"s": ["x"], "$or": [{"a": [1]}, {"b": [2]}]}, {"s": "y", "a": 1}, False),
    ("or below", {"d": {"$or": [{"a": [1]}, {"b": [2]}]}}, {"d": {"b": 2}}, True),
    ("or below, elsewhere", {"d": {"$or": [{"a": [1]}, {"b": [2]}]}}, {"b": 2}, False),
    (
        "two ors are both asked",
        {"$or": [{"a": [1]}, {"b": [2]}], "d": {"$or": [{"x": [1]}, {"y": [2]}]}},
        {"a": 1, "d": {"x": 2, "y": 1}},
        False,
    ),
    (
        "two ors are both met",
        {"$or": [{"a": [1]}, {"b": [2]}], "d": {"$or": [{"x": [1]}, {"y": [2]}]}},
        {"b": 2, "d": {"x": 1}},
        True,
    ),
    (
        "or in or",
        {"$or": [{"a": [1]}, {"b": [2], "$or": [{"c": [3]}, {"d": [4]}]}]},
        {"b": 2, "d": 4},
        True,
    ),
    (
        "or in or, half",
        {"$or": [{"a": [1]}, {"b": [2], "$or": [{"c": [3]}, {"d": [4]}]}]},
        {"d": 4},
        False,
    ),
    (
        "or with objects below",
        {"d": {"$or": [{"r": {"name": ["t"]}}, {"r": {"omitted": [True]}}]}},
        {"d": {"r": {"omitted": True}}},
        True,
    ),
    (
        "or over an array",
        {"a": {"$or": [{"x": [1], "y": [2]}, {"z": [3]}]}},
        {"a": [{"z": 3}]},
        True,
    ),
    (
        "or over an array, torn",
        {"a": {"$or": [{"x": [1], "y": [2]}, {"z": [3]}], "k": [0]}},
        {"a": [{"x": 1, "k": 0}, {"y": 2}, {"z": 3, "k": 1}]},
        False,
    ),
    (
        "a shared field in an array",
        {"a": {"k": [0], "$or": [{"x": [1]}, {"y": [2]}]}},
        {"a": [{"k": 0, "y": 2}, {"k": 1, "x": 1}]},
        True,
    ),
    (
        "a later or replaces the same path",
        {"a": ["x"], "$or": [{"a": ["y"]}, {"b": [1]}]},
        {"a": "y"},
        True,
    ),
    (
        "a later path replaces the or's",
        {"$or": [{"a": ["y"]}, {"b": [1]}], "a": ["x"]},
        {"a": "y", "b": 1},
        False,
    ),
]


@pytest.mark.parametrize(
    ("pattern", "event", "expected"), [c[1:] for c in EVENT], ids=[c[0] for c in EVENT]
)
def test_an_event_matches_as_in_aws(pattern, event, expected):
    assert matches(pattern, event) is expected
    assert matches(json.dumps(pattern), event) is expected
    assert matches(canonical(pattern), event) is expected


def test_any_mapping_is_an_event_or_a_pattern():
    detail = MappingProxyType({"eventName": "StopLogging", "tags": ({"k": "a"}, {"k": "b"})})
    event = OrderedDict(source="aws.cloudtrail", detail=detail)
    pattern = MappingProxyType({"source": ("aws.cloudtrail",), "detail": {"tags": {"k": ["b"]}}})
    assert matches(pattern, event)
    assert not matches({"detail": {"eventName": ["StartLogging"]}}, event)


def test_a_string_of_a_class_of_its_own_is_a_string():
    class Name(str):
        __slots__ = ()

    assert matches({"f": ["a"]}, {"f": Name("a")})
    assert not matches({"f": [{"exists": False}]}, {"f": Name("a")})


def test_a_doubled_key_counts_as_its_last_as_in_aws():
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-content-based-filtering.html
    text = (
        '{"detail": {"location": [{"prefix": "us-"}], "location": [{"anything-but": "us-east"}]}}'
    )
    assert matches(text, {"detail": {"location": "eu-west"}})
    assert not matches(text, {"detail": {"location": "us-east"}})


def test_objects_under_a_doubled_key_are_both_asked():
    text = '{"a": {"x": [1]}, "a": {"y": [2]}}'
    assert matches(text, {"a": {"x": 1, "y": 2}})
    assert not matches(text, {"a": {"y": 2}})


# ------------------------------------------------------------------------------ refused patterns

INVALID = [
    ("", "not JSON: Expecting value: line 1 column 1 (char 0)", ""),
    ("{'a': [1]}", "not JSON: Expecting property name enclosed in double quotes", ""),
    ('{"a": [1]} x', "not JSON: Extra data", ""),
    ('{"a": [NaN]}', "not JSON: NaN is not JSON", ""),
    ('{"a": [-Infinity]}', "not JSON: -Infinity is not JSON", ""),
    (f'{{"a": [{"9" * 5000}]}}', "not JSON: Exceeds the limit", ""),
    ("[1]", "Filter is not an object", ""),
    ("null", "Filter is not an object", ""),
    (None, "Filter is not an object", ""),
    (5, "Filter is not an object", ""),
    ([("a", [1])], "Filter is not an object", ""),
    ({}, "Empty objects are not allowed", ""),
    ({"a": {}}, "Empty objects are not allowed", "a"),
    ({"a": {"b": {}}}, "Empty objects are not allowed", "a.b"),
    ({"a": []}, "Empty arrays are not allowed", "a"),
    ({"a": "x"}, '"a" must be an object or an array', "a"),
    ({"a": {"b": 5}}, '"b" must be an object or an array', "a.b"),
    ({"a": None}, '"a" must be an object or an array', "a"),
    ({1: ["x"]}, "a field name must be a string, not 1", ""),
    ({"a": {None: ["x"]}}, "a field name must be a string, not None", "a"),
    ({"a": [["x"]]}, "Match value must be String, number, true, false, or null", "a[0]"),
    ({"a": ["x", {"y"}]}, "Match value must be String, number, true, false, or null", "a[1]"),
    ({"a": [float("nan")]}, "Match value must be String, number, true, false, or null", "a[0]"),
    ({"a": [{}]}, "Match expression name not found", "a[0]"),
    ({"a": [1, {"EXISTS": True}]}, "Unrecognized match type EXISTS", "a[1]"),
    ({"a": [{"$or": [{"b": [1]}, {"c": [1]}]}]}, "Unrecognized match type $or", "a[0]"),
    ({"a": [{"prefix": "x", "suffix": "y"}]}, "Only one key allowed in match expression", "a[0]"),
    ('{"a": [{"prefix": "x", "prefix": "y"}]}', "Only one key allowed", "a[0]"),
    ({"a": [{"prefix": "x", "z": 1}]}, "Only one key allowed in match expression", "a[0]"),
    # strings
    ({"a": [{"exactly": 1}]}, "exact match pattern must be a string", "a[0]"),
    ({"a": [{"prefix": 1}]}, "prefix match pattern must be a string", "a[0]"),
    ({"a": [{"prefix": ["x"]}]}, "prefix match pattern must be a string", "a[0]"),
    ({"a": [{"prefix": {"suffix": "x"}}]}, "Unsupported prefix pattern: suffix", "a[0]"),
    ({"a": [{"prefix": {}}]}, "Match expression name not found", "a[0]"),
    (
        {"a": [{"prefix": {"equals-ignore-case": ["x"]}}]},
        "equals-ignore-case match pattern must be a string",
        "a[0]",
    ),
    (
        {"a": [{"prefix": {"equals-ignore-case": "x", "y": 1}}]},
        "Only one key allowed in match expression",
        "a[0]",
    ),
    ({"a": [{"suffix": None}]}, "suffix match pattern must be a string", "a[0]"),
    ({"a": [{"suffix": {"prefix": "x"}}]}, "Unsupported suffix pattern: prefix", "a[0]"),
    (
        {"a": [{"equals-ignore-case": ["x"]}]},
        "equals-ignore-case match pattern must be a string",
        "a[0]",
    ),
    ({"a": [{"exists": "true"}]}, "exists match pattern must be either true or false.", "a[0]"),
    ({"a": [{"exists": 1}]}, "exists match pattern must be either true or false.", "a[0]"),
    # wildcard
    ({"a": [{"wildcard": 1}]}, "wildcard match pattern must be a string", "a[0]"),
    ({"a": [{"wildcard": "a**b"}]}, "Consecutive wildcard characters at pos 2", "a[0]"),
    ({"a": [{"wildcard": r"a\b"}]}, "Invalid escape character at pos 2", "a[0]"),
    ({"a": [{"wildcard": "a\\"}]}, "Invalid escape character at pos 2", "a[0]"),
    # cidr
    ({"a": [{"cidr": 10}]}, "prefix match pattern must be a string", "a[0]"),
    ({"a": [{"cidr": "10.0.0.1"}]}, "Malformed CIDR, one '/' required", "a[0]"),
    ({"a": [{"cidr": "10.0.0.1/8/8"}]}, "Malformed CIDR, one '/' required", "a[0]"),
    ({"a": [{"cidr": "10.0.0.1/x"}]}, "Malformed CIDR, mask bits must be an integer", "a[0]"),
    ({"a": [{"cidr": "10.0.0.1/-1"}]}, "Malformed CIDR, mask bits must not be negative", "a[0]"),
    ({"a": [{"cidr": "10.0.0.1/32"}]}, "IPv4 mask bits must be < 32", "a[0]"),
    ({"a": [{"cidr": "::1/128"}]}, "IPv6 mask bits must be < 128", "a[0]"),
    ({"a": [{"cidr": "host/8"}]}, "Nonstandard IP address: host", "a[0]"),
    ({"a": [{"cidr": "10.0.0.256/8"}]}, "Nonstandard IP address: 10.0.0.256", "a[0]"),
    # numeric
    ({"a": [{"numeric": 5}]}, "Value of numeric must be an array.", "a[0]"),
    ({"a": [{"numeric": []}]}, "Invalid member in numeric match: ", "a[0]"),
    ({"a": [{"numeric": [5]}]}, "Invalid member in numeric match: 5", "a[0]"),
    ({"a": [{"numeric": ["!", 5]}]}, "Unrecognized numeric range operator: !", "a[0]"),
    ({"a": [{"numeric": ["="]}]}, "Value of equals must be numeric", "a[0]"),
    ({"a": [{"numeric": [">", "5"]}]}, "Value of > must be numeric", "a[0]"),
    ({"a": [{"numeric": ["<", True]}]}, "Value of < must be numeric", "a[0]"),
    ({"a": [{"numeric": ["=", 5, "<", 9]}]}, "Too many elements in numeric expression", "a[0]"),
    ({"a": [{"numeric": ["<", 9, ">", 5]}]}, "Too many elements in numeric expression", "a[0]"),
    ({"a": [{"numeric": [">", 0, ">", 0]}]}, "Bad numeric range operator: >", "a[0]"),
    ({"a": [{"numeric": [">", 0, 5]}]}, "Bad value in numeric range: 5", "a[0]"),
    ({"a": [{"numeric": [">", 0, "<"]}]}, "Value of < must be numeric", "a[0]"),
    ({"a": [{"numeric": [">", 0, "<", 5, 6]}]}, "Too many terms in numeric range", "a[0]"),
    ({"a": [{"numeric": [">=", 5, "<=", 5]}]}, "Bottom must be less than top", "a[0]"),
    ({"a": [{"numeric": ["<", -5e9]}]}, "Bottom must be less than top", "a[0]"),
    ({"a": [{"numeric": [">=", 5e9]}]}, "Bottom must be less than top", "a[0]"),
    ({"a": [{"numeric": ["<", 6e9]}]}, "Value must be between -5.0E9 and 5.0E9", "a[0]"),
    ({"a": [{"numeric": ["<", 0.1234567]}]}, "Only values upto 6 decimals", "a[0]"),
    # anything-but
    ({"a": [{"anything-but": None}]}, "Value of anything-but must be", "a[0]"),
    ({"a": [{"anything-but": True}]}, "Value of anything-but must be", "a[0]"),
    ({"a": [{"anything-but": []}]}, "Inside anything but list, either all values", "a[0]"),
    ({"a": [{"anything-but": ["x", 1]}]}, "Inside anything but list, either all values", "a[0]"),
    ({"a": [{"anything-but": ["x", None]}]}, "Inside anything but list, start|null", "a[0]"),
    ({"a": [{"anything-but": [["x"]]}]}, "Inside anything but list, start|null", "a[0]"),
    ({"a": [{"anything-but": [123456789012]}]}, "Value must be between -5.0E9", "a[0]"),
    ({"a": [{"anything-but": {}}]}, "Match expression name not found", "a[0]"),
    ({"a": [{"anything-but": {"numeric": ["=", 1]}}]}, "Unsupported anything-but", "a[0]"),
    ({"a": [{"anything-but": {"exists": True}}]}, "Unsupported anything-but pattern", "a[0]"),
    (
        {"a": [{"anything-but": {"prefix": "a", "suffix": "b"}}]},
        "Too many elements in numeric expression",
        "a[0]",
    ),
    ({"a": [{"anything-but": {"prefix": ""}}]}, "Null prefix/suffix not allowed", "a[0]"),
    ({"a": [{"anything-but": {"suffix": ["a", ""]}}]}, "Null prefix/suffix not allowed", "a[0]"),
    ({"a": [{"anything-but": {"prefix": 1}}]}, "prefix/suffix match pattern must be", "a[0]"),
    ({"a": [{"anything-but": {"suffix": [1]}}]}, "prefix/suffix match pattern must be", "a[0]"),
    ({"a": [{"anything-but": {"wildcard": 1}}]}, "wildcard match pattern must be", "a[0]"),
    ({"a": [{"anything-but": {"wildcard": "**"}}]}, "Consecutive wildcard characters", "a[0]"),
    (
        {"a": [{"anything-but": {"equals-ignore-case": 1}}]},
        "Inside anything-but/equals-ignore-case list, number|start|null|boolean",
        "a[0]",
    ),
    (
        {"a": [{"anything-but": {"prefix": {"equals-ignore-case": "x"}}}]},
        "Value of anything-but must be an array or single string/number value.",
        "a[0]",
    ),
    ({"a": [{"anything-but": {"prefix": []}}]}, "Value of anything-but must be", "a[0]"),
    ({"a": [{"anything-but": {"prefix": None}}]}, "Value of anything-but must be", "a[0]"),
    # $or
    ({"$or": {"a": [1]}}, "It must be an Array followed with $or.", "$or"),
    ({"$or": []}, "There must have at least 2 Objects in $or relationship.", "$or"),
    ({"d": {"$or": [{"a": [1]}]}}, "There must have at least 2 Objects", "d.$or"),
    ({"$or": [{"a": [1]}, 5]}, "Only JSON object is allowed in array of $or", "$or[1]"),
    ({"$or": [{"a": [1]}, {}]}, "Empty objects are not allowed", "$or[1]"),
    ({"$or": [{"a": [1]}, {"prefix": [1]}]}, "prefix is Ruler reserved fieldName", "$or[1].prefix"),
    (
        {"$or": [{"a": [1]}, {"b": {"numeric": [1]}}]},
        "numeric is Ruler reserved fieldName",
        "$or[1].b.numeric",
    ),
    (
        {"d": {"$or": [{"a": [1]}, {"b": ["x", {"prefix": 1}]}]}},
        "prefix match pattern must be a string",
        "d.$or[1].b[1]",
    ),
    (
        {f"d{i}": {"$or": [{"a": [j]} for j in range(4)]} for i in range(5)},
        "over 1000 rule combinations",
        "d4.$or",
    ),
]


@pytest.mark.parametrize(("pattern", "reason", "path"), INVALID)
def test_a_pattern_is_refused_with_reason_and_path(pattern, reason, path):
    for judge in (compile_pattern, check, canonical):
        with pytest.raises(PatternError) as caught:
            judge(pattern)
        assert caught.value.reason.startswith(reason)
        assert caught.value.path == path


def test_a_refusal_is_one_sentence_with_a_hint():
    with pytest.raises(ConfigError) as caught:
        check({"detail": {"eventName": ["a", {"prefiks": "b"}]}})
    assert caught.value.problem == (
        "The event pattern is not valid at detail.eventName[1]: Unrecognized match type prefiks"
    )
    assert caught.value.hint.endswith("/eb-event-patterns.html")
    assert caught.value.exit_code == 2
    with pytest.raises(PatternError, match=r"^The event pattern is not valid: Filter is not"):
        check("[]")


def test_a_word_of_the_language_is_a_plain_field_name_outside_or():
    assert matches(
        {"prefix": ["a"], "exists": {"numeric": [1]}}, {"prefix": "a", "exists": {"numeric": 1}}
    )


def test_a_thousand_combinations_are_accepted():
    pattern = {f"d{i}": {"$or": [{"a": [j]} for j in range(10)]} for i in range(3)}
    assert matches(pattern, {f"d{i}": {"a": 9} for i in range(3)})
    assert not matches(pattern, {f"d{i}": {"a": 10} for i in range(3)})


@pytest.mark.parametrize("opening", ['{"a":', '{"$or":[{"a":[1]},', "["])
def test_deep_nesting_is_refused_and_crashes_nothing(opening):
    with pytest.raises(PatternError):
        compile_pattern(opening * 200_000)
    closing = {'{"a":': "[1]" + "}" * 5000, "[": "]" * 5000}.get(opening, '{"b":[1]}' + "]}" * 5000)
    with pytest.raises(PatternError, match="nested deeper than 100 levels"):
        compile_pattern(opening * 5000 + closing)


def test_a_mapping_nested_deeply_or_in_itself_is_refused():
    pattern = {}
    pattern["a"] = pattern
    with pytest.raises(PatternError, match="nested deeper than 100 levels"):
        compile_pattern(pattern)


def test_an_event_nested_deeply_crashes_nothing():
    value = {"x": 1}
    for _ in range(5000):
        value = [value]
    assert matches({"a": {"x": [1]}}, {"a": value})


def test_long_arrays_are_joined_without_trying_every_combination():
    """The combinations are 25 million and more: trying them all would not end in a test's time."""
    event = {
        "a": [{"x": 1, "y": 2, "z": 0} for _ in range(5000)],
        "b": [{"z": 1} for _ in range(5000)],
    }
    pattern = compile_pattern({"a": {"x": [1], "y": [3]}, "b": {"z": [1]}})
    absent = compile_pattern({"a": {"x": [1], "y": [{"exists": False}]}})
    between = compile_pattern({"a.x": [1], "a.y": ["t"], "a.z": [3]})
    assert not pattern.matches(event)
    assert not absent.matches(event)
    assert not between.matches({**event, "a.y": ["t"] * 5000})


def test_many_wildcards_are_matched_without_trying_every_split():
    """A matcher that goes back over its choices would not end at all."""
    pattern = compile_pattern({"f": [{"wildcard": "a*" * 30 + "b"}]})
    assert not pattern.matches({"f": "a" * 100_000})


# --------------------------------------------------------------------- size and canonical form


def test_size_counts_the_characters_of_the_compact_json():
    assert size({"source": ["aws.s3", "소스"]}) == len('{"source":["aws.s3","소스"]}')
    assert size('{ "a": [ 1,\n 2 ] }') == len('{"a":[1,2]}')
    assert size('{"a": [1], "a": [2]}') == len('{"a":[1],"a":[2]}')
    assert size(TAMPER) < patterns.MAX_SIZE == 2048


EQUAL = [
    ({"a": ["x", "y"]}, {"a": ["y", "x", "y"]}),
    ({"a": [5, "5"]}, {"a": ["5", 5.0, 5]}),
    ({"a": [0]}, {"a": [-0.0]}),
    ({"a": [1], "b": [2]}, {"b": [2], "a": [1]}),
    ({"a": [{"anything-but": "x"}]}, {"a": [{"anything-but": ["x", "x"]}]}),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": [{"anything-but": ["y", "x"]}]}),
    ({"a": [{"anything-but": [1, 2]}]}, {"a": [{"anything-but": [2.0, 1.0]}]}),
    (
        {"a": [{"anything-but": {"prefix": ["x", "y"]}}]},
        {"a": [{"anything-but": {"prefix": ["y", "x"]}}]},
    ),
    (
        {"a": [{"anything-but": {"suffix": "x"}}]},
        {"a": [{"anything-but": {"suffix": ["x"]}}]},
    ),
    ({"a": [{"cidr": "10.0.0.9/24"}]}, {"a": [{"cidr": "10.0.0.0/24"}]}),
    ({"a": [{"numeric": [">", 1.0]}]}, {"a": [{"numeric": [">", 1]}]}),
    (
        {"$or": [{"a": [1, 2]}, {"b": [1]}]},
        {"$or": [{"b": [1]}, {"a": [2, 1]}, {"b": [1, 1]}]},
    ),
    ({"$or": [{"a": [1]}, {"a": [1]}]}, {"$or": [{"a": [1]}, {"a": [1]}, {"a": [1]}]}),
    (
        {"d": {"a": [{"prefix": {"equals-ignore-case": "x"}}, "b"]}},
        {"d": {"a": ["b", {"prefix": {"equals-ignore-case": "x"}}]}},
    ),
    ('{"a": [1], "a": [3, 2]}', {"a": [2, 3]}),
    ('{"d": {"a": [1], "a": [2]}}', {"d.a": [2]}),
    (
        '{"$or": [{"a": [1]}, {"b": [1]}], "$or": [{"c": [2]}, {"c": [2]}]}',
        '{"$or": [{"c": [2]}, {"c": [2]}], "$or": [{"b": [1]}, {"a": [1]}]}',
    ),
]


def spelt(form):
    return json.dumps(form, sort_keys=True)  # tells 1 from 1.0 and true, as == does not


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_the_canonical_form_knows_equal_patterns(one, other):
    assert spelt(canonical(one)) == spelt(canonical(other))


DIFFERENT = [
    ({"a": [1]}, {"a": [True]}),
    ({"a": [1]}, {"a": ["1"]}),
    ({"a": [None]}, {"a": ["null"]}),
    ({"a": ["x"]}, {"a": ["x", "y"]}),
    ({"a": ["x"]}, {"a": [{"anything-but": "x"}]}),
    ({"a": [{"numeric": [">", 1, "<", 2]}]}, {"a": [{"numeric": [">", 1]}]}),
    ({"a": [{"exists": True}]}, {"a": [{"exists": False}]}),
    (TAMPER, {**TAMPER, "account": ["123456789012"]}),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_the_canonical_form_tells_different_patterns_apart(one, other):
    assert spelt(canonical(one)) != spelt(canonical(other))


def test_the_canonical_form_of_the_default_pattern_is_sorted_and_leaves_the_original_alone():
    before = json.dumps(TAMPER)
    assert canonical(TAMPER)["detail"]["eventName"] == [
        *("DeleteTrail", "PutEventSelectors", "StopLogging", "UpdateTrail"),
    ]
    assert json.dumps(TAMPER) == before


# ------------------------------------------------------------------------------------ properties

words = st.sampled_from(["", "a", "b", "ab", "B", "aB", "10.0.0.1", "::1", "a*b"])
numbers = st.sampled_from([0, 1, 2, 1.0, 1.5, -3, 5e9, 123456789012, 0.12345678])
comparable = st.sampled_from([0, 1, 2, 1.0, 1.5, -3])
scalars = st.one_of(words, numbers, st.booleans(), st.none())
names = st.sampled_from(["a", "b", "c"])


def lists(strategy, **kw):
    return st.lists(strategy, min_size=1, max_size=3, **kw)


exceptions = st.one_of(
    words,
    comparable,
    lists(words),
    lists(comparable),
    st.builds(
        lambda op, v: {op: v}, st.sampled_from(["prefix", "suffix"]), lists(words.filter(bool))
    ),
    st.builds(lambda v: {"equals-ignore-case": v}, st.one_of(words, lists(words))),
    st.builds(lambda v: {"wildcard": v}, st.one_of(words, lists(words))),
)
alternatives = st.one_of(
    scalars,
    st.builds(lambda v: {"prefix": v}, words),
    st.builds(lambda v: {"suffix": {"equals-ignore-case": v}}, words),
    st.builds(lambda v: {"equals-ignore-case": v}, words),
    st.builds(lambda v: {"wildcard": v}, words),
    st.builds(lambda v: {"exists": v}, st.booleans()),
    st.builds(lambda v: {"anything-but": v}, exceptions),
    st.builds(lambda op, v: {"numeric": [op, v]}, st.sampled_from(["=", "<", ">="]), comparable),
    st.just({"numeric": [">", 0, "<=", 1.5]}),
    st.just({"cidr": "10.0.0.7/8"}),
)
objects = st.recursive(
    st.dictionaries(names, lists(alternatives), min_size=1, max_size=3),
    lambda inner: st.one_of(
        st.dictionaries(names, st.one_of(inner, lists(alternatives)), min_size=1, max_size=3),
        st.builds(lambda choices: {"$or": choices}, st.lists(inner, min_size=2, max_size=3)),
        st.builds(
            lambda o, choices: {**o, "$or": choices}, inner, st.lists(inner, min_size=2, max_size=2)
        ),
    ),
    max_leaves=4,
)
events = st.dictionaries(
    names,
    st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=3,
)


@settings(deadline=None)
@given(objects, events)
def test_the_canonical_form_matches_the_same_events_and_is_its_own(pattern, event):
    sorted_form = canonical(pattern)
    assert matches(sorted_form, event) is matches(pattern, event)
    assert canonical(sorted_form) == sorted_form


@settings(deadline=None)
@given(st.data(), objects)
def test_the_order_of_alternatives_never_matters(data, pattern):
    def shuffled(value):
        if isinstance(value, dict):
            return {k: v if k == "numeric" else shuffled(v) for k, v in value.items()}
        if isinstance(value, list):
            return data.draw(st.permutations([shuffled(item) for item in value]))
        return value

    assert canonical(shuffled(pattern)) == canonical(pattern)


@settings(deadline=None)
@given(st.one_of(lists(words), lists(comparable)), scalars)
def test_anything_but_is_the_complement_on_scalars_that_are_there(named, scalar):
    # An address among the named is compared letter by letter here, unlike a bare one.
    plain = [{"exactly": v} if isinstance(v, str) else v for v in named]
    assert matches({"f": [{"anything-but": named}]}, {"f": scalar}) is not matches(
        {"f": plain}, {"f": scalar}
    )


@settings(deadline=None)
@given(st.one_of(scalars, st.lists(scalars), st.dictionaries(names, scalars)))
def test_exists_false_is_the_complement_of_exists_true(value):
    event = {"f": value}
    assert matches({"f": [{"exists": True}]}, event) is not matches(
        {"f": [{"exists": False}]}, event
    )


# The language once more, in the plainest words: flatten, then try every combination of fields.


def flat(value, path=(), inside=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, (*path, key), inside)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            here = () if not isinstance(item, dict | list) else ((path, inside, i),)
            yield from flat(item, path, inside + here)
    else:
        yield ".".join(path), value, inside


def ways(pattern, prefix=""):
    branches = [{}]
    for key, value in pattern.items():
        if key == "$or":
            choices = [way for choice in value for way in ways(choice, prefix)]
        elif isinstance(value, dict):
            choices = ways(value, f"{prefix}{key}.")
        else:
            choices = [{prefix + key: value}]
        branches = [{**one, **other} for one in branches for other in choices]
    return branches


def fits(alternative, scalar):
    is_text, is_number = isinstance(scalar, str), type(scalar) in {int, float}
    match alternative:
        case {"prefix": text}:
            return is_text and scalar[: len(text)] == text
        case {"exists": wanted}:
            return wanted
        case {"anything-but": [*named]}:
            return not any(fits(one, scalar) for one in named)
        case {"numeric": ["<", bound]}:
            return is_number and scalar < bound
        case _:
            same_kind = type(scalar) is type(alternative)
            both_numbers = is_number and type(alternative) in {int, float}
            return (same_kind or both_numbers) and scalar == alternative


def together(memberships):
    chosen = {}
    return all(
        chosen.setdefault((path, inside), i) == i
        for membership in memberships
        for path, inside, i in membership
    )


def naive(pattern, event):
    fields = list(flat(event))
    for branch in ways(pattern):
        options = [
            [
                inside
                for path, scalar, inside in fields
                if path == wanted and any(fits(one, scalar) for one in values)
            ]
            for wanted, values in branch.items()
        ]
        if any(together(choice) for choice in itertools.product(*options)):
            return True
    return False


plain_words = st.sampled_from(["a", "b", "ab"])
plain_numbers = st.sampled_from([0, 1, 2, 1.5])
plain = st.one_of(
    plain_words,
    plain_numbers,
    st.none(),
    st.booleans(),
    st.builds(lambda v: {"prefix": v}, plain_words),
    st.builds(lambda v: {"anything-but": v}, st.one_of(lists(plain_words), lists(plain_numbers))),
    st.builds(lambda v: {"numeric": ["<", v]}, plain_numbers),
    st.just({"exists": True}),
)
plain_objects = st.recursive(
    st.dictionaries(names, lists(plain), min_size=1, max_size=3),
    lambda inner: st.one_of(
        st.dictionaries(names, st.one_of(inner, lists(plain)), min_size=1, max_size=3),
        st.builds(lambda choices: {"$or": choices}, st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=4,
)
plain_scalars = st.one_of(plain_words, plain_numbers, st.booleans(), st.none())
plain_events = st.dictionaries(
    names,
    st.recursive(
        plain_scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)
        ),
        max_leaves=10,
    ),
    max_size=3,
)


@trials(300)
@given(plain_objects, plain_events)
@example({"a": {"b": [1], "c": [1]}}, {"a": [[{"b": 1}, {"c": 1}], [{"b": 1, "c": 1}]]})
def test_the_compiled_pattern_agrees_with_the_language_said_plainly(pattern, event):
    assert matches(pattern, event) is naive(pattern, event)


anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from([*patterns._OPERATORS, "$or", "10.0.0.0/8", "**", "\\", "<", "="]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.text(max_size=3), st.sampled_from([*patterns._OPERATORS, "$or", "a"])),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=12,
)


@trials(300)
@given(
    st.one_of(anything, st.dictionaries(names, st.lists(anything, max_size=3), max_size=3)), events
)
def test_any_json_is_a_pattern_or_a_pattern_error(value, event):
    for given_as in (value, json.dumps(value)):
        try:
            compiled = compile_pattern(given_as)
        except PatternError:
            continue
        assert compiled.matches(event) in {True, False}
        assert compile_pattern(canonical(given_as)).matches(event) is compiled.matches(event)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_a_pattern_or_a_pattern_error(text):
    with contextlib.suppress(PatternError):
        assert compile_pattern(text).matches({}) in {True, False}


@settings(deadline=None)
@given(st.text("ab*", max_size=8).filter(lambda text: "**" not in text), st.text("ab", max_size=8))
def test_a_wildcard_stands_for_any_stretch(wildcard, text):
    def stands(pattern, rest):
        if not pattern:
            return not rest
        if pattern[0] == "*":
            return any(stands(pattern[1:], rest[i:]) for i in range(len(rest) + 1))
        return rest[:1] == pattern[0] and stands(pattern[1:], rest[1:])

    assert matches({"f": [{"wildcard": wildcard}]}, {"f": text}) is stands(wildcard, text)
