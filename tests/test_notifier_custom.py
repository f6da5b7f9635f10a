"""Detections that the user wrote himself, as the notifier names and grades them."""

import copy
import json
import zipfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from notifier_records import TRAIL, event

from ctwatch import patterns
from ctwatch.bundle import bundle
from ctwatch.detections import SAMPLE, catalogue
from ctwatch.notifier import discord, main, plain
from ctwatch.notifier.custom import Custom, parse_custom, read_custom
from ctwatch.notifier.detections import detections_of
from ctwatch.notifier.event import unpack
from ctwatch.notifier.matching import matches
from ctwatch.notifier.message import compose
from ctwatch.notifier.settings import Channel, Settings
from ctwatch.notifier.severity import severity

STOPPED = {
    "source": ["aws.cloudtrail"],
    "detail": {
        "eventName": ["StopLogging"],
        "userIdentity": {"arn": [{"anything-but": ["arn:aws:iam::1:user/x"]}, {"exists": False}]},
    },
}


def own(severity="low", **changes):
    whole = {
        "id": "my-trail",
        "ko": "내 추적",
        "en": "My trail",
        "severity": severity,
        "mitre": "T1485",
        "patterns": [STOPPED],
    }
    return parse_custom(json.dumps([{**whole, **changes}]).encode())


def watch(*custom, language="en", channels=()):
    return Settings("ctwatch", TRAIL, language, "UTC", channels, custom=custom)


def stopped(**changes):
    return {**event(eventName="StopLogging", **changes), "source": "aws.cloudtrail"}


def test_it_is_named_first_by_its_title_and_its_techniques():
    for language, title in (("en", "My trail: StopLogging"), ("ko", "내 추적: StopLogging")):
        message = compose(unpack(stopped())[0], watch(*own(), language=language), plain.quote)
        assert title in message.title
        assert message.detections == ("my-trail", "trail-tampering")
        assert message.mitre == ("T1485", "T1562.008", "T1685.002")


@pytest.mark.parametrize("level", ["low", "medium", "high", "critical"])
def test_it_is_graded_by_its_own_severity(level):
    ours = stopped(requestParameters={"name": TRAIL})
    assert severity(unpack(ours)[0], watch(*own(level))) == level
    assert severity(unpack(ours)[0], watch()) == "high"


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_longest_title_and_name_fit_into_discords(language):
    names = [{"source": ["aws.cloudtrail"]}]
    mine = own(ko="가" * 80, en="x" * 80, patterns=names)
    long = event(eventName="`" * 200, requestParameters={"name": "ctwatch-probe-x"})
    drilled = {**long, "source": "aws.cloudtrail", "ctwatch": {"synthetic": True}}
    drilled["detail"]["errorCode"] = "AccessDenied"
    message = compose(unpack(drilled)[0], watch(*mine, language=language), discord.quote)
    assert mine[0].id in message.detections
    assert len(message.title) <= 256


def test_what_its_rules_leave_out_is_not_called_by_its_name():
    other = stopped(userIdentity={"type": "IAMUser", "arn": "arn:aws:iam::1:user/x"})
    assert detections_of(unpack(other)[0], watch(*own())) == ("trail-tampering",)


def test_a_channel_may_want_it_alone():
    [mine], event_ = own(), unpack(stopped())[0]
    wanting = Channel("mine", "discord", only=frozenset({"my-trail"}))
    other = Channel("other", "discord", only=frozenset({"root-login"}))
    settings = watch(mine, channels=(wanting, other))
    assert main._wants(wanting, event_, settings)
    assert not main._wants(other, event_, settings)
    deleted = unpack({**event(eventName="DeleteTrail"), "source": "aws.cloudtrail"})[0]
    assert not main._wants(wanting, deleted, settings)


def test_the_zip_carries_it_and_a_broken_file_only_loses_the_name(tmp_path):
    (tmp_path / "function.zip").write_bytes(bundle(custom='[{"id": "x"}]'))
    with zipfile.ZipFile(tmp_path / "function.zip") as archive:
        assert archive.read("notifier/custom.json") == b'[{"id": "x"}]'
    assert bundle(custom="") == bundle() != bundle(custom="[]")
    assert [parse_custom(text) for text in (b"{", b"5", b"[5]", b'[{"id": "x"}]')] == [()] * 4
    assert read_custom() == ()  # none lies beside the source
    assert isinstance(own()[0], Custom)


# --- the same answer as EventBridge's

EXAMPLES = [one for d in catalogue().values() for one in (*d.examples.fires, *d.examples.quiet)]
PATTERNS = [part.pattern for d in catalogue().values() for part in d.filled(SAMPLE)]


@pytest.mark.parametrize("number", range(len(PATTERNS)))
def test_the_patterns_of_the_catalogue_fit_what_they_fit(number):
    pattern = patterns.canonical(PATTERNS[number])
    compiled = patterns.compile_pattern(pattern)
    for one in EXAMPLES:
        assert matches(pattern, one) is compiled.matches(one)


texts = st.text("ab*\\", max_size=3)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.integers(-4, 4).map(lambda number: number / 2)
    | texts
)
names = st.sampled_from("xyz")
some_texts = st.lists(texts, min_size=1, max_size=2)
stars = st.sampled_from(["a*", "*b", "a*b", "*", r"a\*", r"\\*", "ab"])
likes = st.one_of(
    st.fixed_dictionaries({"prefix": texts}),
    st.fixed_dictionaries({"suffix": texts}),
    st.fixed_dictionaries({"prefix": st.fixed_dictionaries({"equals-ignore-case": texts})}),
    st.fixed_dictionaries({"equals-ignore-case": texts}),
    st.fixed_dictionaries({"exactly": texts}),
    st.fixed_dictionaries({"wildcard": stars}),
)
operators = st.one_of(
    likes,
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.fixed_dictionaries({"anything-but": some_texts | texts | st.integers(-2, 2)}),
    st.fixed_dictionaries(
        {"anything-but": st.fixed_dictionaries({"wildcard": st.lists(stars, min_size=1)})}
    ),
    st.fixed_dictionaries(
        {"anything-but": st.fixed_dictionaries({"prefix": st.sampled_from(["a", "ab"])})}
    ),
    st.sampled_from([{"numeric": [">", 0, "<=", 2]}, {"numeric": ["=", 1]}]),
)
leaves = st.lists(scalars | operators, min_size=1, max_size=3)
flat = st.dictionaries(names, leaves, min_size=1, max_size=2)
nested = st.dictionaries(names, leaves | flat, min_size=1, max_size=3)
eithers = st.fixed_dictionaries({"$or": st.lists(nested, min_size=2, max_size=2)})
values = scalars | st.lists(scalars, max_size=2)
events = st.dictionaries(names, values | st.dictionaries(names, values, max_size=2), max_size=3)


@given(nested | eithers, events)
def test_any_pattern_fits_what_eventbridge_says(pattern, one):
    try:
        wanted = patterns.canonical(pattern)
    except patterns.PatternError:
        return
    assert matches(wanted, one) is patterns.matches(wanted, one)


@given(leaves, st.just({}) | st.fixed_dictionaries({"x": values | st.just({"y": 1})}))
@example([1], {"x": True})
@example([{"exists": True}], {"x": {"y": 1}})
@example([{"exists": False}], {"x": []})
@example([{"anything-but": ["a", "b"]}], {"x": "a"})
@example([{"anything-but": ["a"]}], {"x": ["a", "b"]})
@example([{"anything-but": ["a"]}], {})
@example([5], {"x": 5.0})
def test_any_field_fits_what_eventbridge_says(leaf, one):
    try:
        wanted = patterns.canonical({"x": leaf})
    except patterns.PatternError:
        return
    assert matches(wanted, one) is patterns.matches(wanted, one)


CIDR = {"sourceIPAddress": [{"cidr": "10.0.0.0/8"}]}


@pytest.mark.parametrize("value", ["10.1.2.3", "11.1.2.3", "lambda.amazonaws.com", None, 5])
def test_addresses_fit_a_network(value):
    one = {"sourceIPAddress": value}
    assert matches(CIDR, one) is patterns.matches(CIDR, one)


@pytest.mark.parametrize("wrong", [None, [], "x", 5, {"detail": 5}, {"detail": [None, {}]}])
def test_whatever_comes_is_no_reason_to_fail(wrong):
    assert matches(STOPPED, copy.deepcopy(wrong)) is False
