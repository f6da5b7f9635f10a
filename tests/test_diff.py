import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctwatch.diff import MISSING, Difference, compare, granted, statements

ACCOUNT = "123456789012"
TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:sns-cloudtrail-alarm"
RULE = "arn:aws:events:ap-northeast-2:123456789012:rule/eventbridge-ct-detect"
EVENTS = "events.amazonaws.com"


def paths(wanted, live):
    return [one.path for one in compare(wanted, live)]


# ---------------------------------------------------------------- compare


def test_what_is_as_promised_shows_no_difference():
    assert paths({"a": {"b": [1, {"c": None}]}}, {"a": {"b": [1, {"c": None}]}}) == []


@pytest.mark.parametrize(
    ("wanted", "live", "difference"),
    [
        ({"a": 1}, {"a": 2}, Difference("a", 1, 2)),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, Difference("a.b.c", 1, 2)),
        ({"a": 1}, {}, Difference("a", 1, MISSING)),
        ({}, {"a": 1}, Difference("a", MISSING, 1)),
        ({"a": {}}, {}, Difference("a", {}, MISSING)),
        ({"a": None}, {}, Difference("a", None, MISSING)),
        ({"a": {"b": 1}}, {"a": [1]}, Difference("a", {"b": 1}, [1])),
        ({"a": [1, 2]}, {"a": [2, 1]}, Difference("a", [1, 2], [2, 1])),
        ({"a": [1]}, {"a": [1, 1]}, Difference("a", [1], [1, 1])),
        ("x", "y", Difference("", "x", "y")),
    ],
)
def test_a_difference_names_its_leaf_and_both_sides(wanted, live, difference):
    assert list(compare(wanted, live)) == [difference]


@pytest.mark.parametrize(
    ("wanted", "live"),
    [(True, 1), (0, False), (1, 1.0), ("1", 1), (None, "null"), ({}, []), ("", None)],
)
def test_what_python_or_a_careless_eye_calls_equal_is_not(wanted, live):
    for around in (lambda x: x, lambda x: {"a": x}, lambda x: [x], lambda x: [{"a": [x]}]):
        assert list(compare(around(wanted), around(live)))


def test_a_text_that_reads_like_absence_is_not_absence():
    assert paths({}, {"state": str(MISSING)}) == ["state"]
    assert paths({"state": str(MISSING)}, {}) == ["state"]
    assert json.dumps(MISSING) == '"(absent)"'


def test_differences_come_in_the_order_of_their_paths():
    assert paths({"b": 1, "a": {"z": 1, "y": 1}}, {"c": 1}) == ["a", "b", "c"]
    assert paths({"b": 1, "a": {"z": 1, "y": 1}}, {"b": 2, "a": {}}) == ["a.y", "a.z", "b"]


scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 0.5])
documents = st.recursive(
    scalars | st.text("ab(absent)", max_size=8) | st.just(str(MISSING)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(documents)
def test_nothing_differs_from_itself(document):
    assert list(compare(document, json.loads(json.dumps(document)))) == []


@given(documents, documents)
def test_there_is_no_difference_exactly_when_the_json_is_the_same(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (list(compare(one, other)) == []) == same


@given(documents, documents)
def test_the_two_sides_differ_at_the_same_leaves_either_way(one, other):
    assert paths(one, other) == paths(other, one)


# ---------------------------------------------------------------- statements

GRANT = {
    "Sid": "AllowEventBridgePublish",
    "Effect": "Allow",
    "Principal": {"Service": EVENTS},
    "Action": "sns:Publish",
    "Resource": TOPIC,
}
WRITE = {
    "Sid": "Write",
    "Effect": "Allow",
    "Principal": {"AWS": ACCOUNT},
    "Action": ["s3:PutObject", "s3:GetBucketAcl"],
    "Resource": ["arn:aws:s3:::logs", "arn:aws:s3:::logs/*"],
    "Condition": {"StringEquals": {"aws:SourceArn": [RULE, "x"], "s3:x-amz-acl": "full"}},
}
TLS = {
    "Sid": "DenyInsecureTransport",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def policy(*given):
    return {"Version": "2012-10-17", "Statement": list(given)}


WANTED = statements(policy(GRANT, WRITE, TLS))


def seen(*given):
    """What differs between the promise and a live policy of these statements."""
    return paths(WANTED, statements(policy(*given), WANTED))


def test_a_statement_in_normal_form():
    assert statements(policy(WRITE))["Write"] == {
        "effect": "Allow",
        "principal": {"AWS": [ACCOUNT]},
        "action": ["s3:getbucketacl", "s3:putobject"],
        "resource": ["arn:aws:s3:::logs", "arn:aws:s3:::logs/*"],
        "condition": {
            "StringEquals": {"aws:sourcearn": [RULE, "x"], "s3:x-amz-acl": ["full"]},
        },
    }


@pytest.mark.parametrize("nothing", [None, "", {}, "{}", '{"Statement": []}', policy()])
def test_no_policy_has_no_statements(nothing):
    assert statements(nothing) == {}


def test_text_and_document_are_read_alike():
    assert statements(json.dumps(policy(GRANT))) == statements(policy(GRANT))


def test_a_single_statement_need_not_stand_in_a_list():
    assert statements({"Statement": GRANT}) == statements(policy(GRANT))


@pytest.mark.parametrize(
    ("was", "change"),
    [
        (WRITE, {"Action": ["s3:GetBucketAcl", "s3:PutObject"]}),
        (WRITE, {"Action": ["S3:putobject", "s3:GETBUCKETACL"]}),
        (WRITE, {"Action": [*WRITE["Action"], "s3:PutObject"]}),
        (WRITE, {"Resource": WRITE["Resource"][::-1]}),
        (WRITE, {"Principal": {"AWS": [ACCOUNT]}}),
        (WRITE, {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}),
        (WRITE, {"Principal": {"AWS": [f"arn:aws-cn:iam::{ACCOUNT}:root"]}}),
        (
            WRITE,
            {"Condition": {"StringEquals": {"AWS:sourcearn": ["x", RULE], "S3:X-AMZ-ACL": "full"}}},
        ),
        (GRANT, {"Action": ["SNS:Publish"]}),
        (GRANT, {"Principal": {"Service": [EVENTS]}}),
        (GRANT, {"Resource": [TOPIC]}),
        (GRANT, {"Sid": "SomethingElse"}),
        (TLS, {"Principal": {"AWS": "*"}}),
        (TLS, {"Condition": {"Bool": {"aws:SecureTransport": False}}}),
        (TLS, {"Condition": {"Bool": {"aws:SecureTransport": ["false"]}}}),
    ],
)
def test_what_aws_rewrites_means_the_same(was, change):
    rest = [one for one in (GRANT, WRITE, TLS) if one is not was]
    assert seen(*rest, {**was, **change}) == []


@pytest.mark.parametrize(
    ("was", "change", "path"),
    [
        (GRANT, {"Effect": "Deny"}, "AllowEventBridgePublish.effect"),
        (GRANT, {"Action": "sns:*"}, "AllowEventBridgePublish.action"),
        (GRANT, {"Resource": "*"}, "AllowEventBridgePublish.resource"),
        (GRANT, {"Resource": TOPIC.upper()}, "AllowEventBridgePublish.resource"),
        (GRANT, {"Principal": {"Service": EVENTS, "AWS": "*"}},
         "AllowEventBridgePublish.principal.AWS"),
        (GRANT, {"Condition": {"Bool": {"aws:SecureTransport": True}}},
         "AllowEventBridgePublish.condition"),
        (WRITE, {"Principal": {"AWS": "210987654321"}}, "Write.principal.AWS"),
        (WRITE, {"Condition": {"StringEquals": {"aws:SourceArn": RULE, "s3:x-amz-acl": "full"}}},
         "Write.condition.StringEquals.aws:sourcearn"),
        (WRITE, {"Condition": {"StringLike": WRITE["Condition"]["StringEquals"]}},
         "Write.condition.StringEquals"),
        (TLS, {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
         "DenyInsecureTransport.condition.Bool.aws:securetransport"),
    ],
)  # fmt: skip
def test_what_means_something_else_is_seen_at_its_path(was, change, path):
    rest = [one for one in (GRANT, WRITE, TLS) if one is not was]
    assert path in seen(*rest, {**was, **change})


def test_a_negated_element_is_not_its_opposite():
    turned = {key: value for key, value in GRANT.items() if key != "Action"}
    assert seen(WRITE, TLS, {**turned, "NotAction": "sns:Publish"}) == [
        "AllowEventBridgePublish.action",
        "AllowEventBridgePublish.notAction",
    ]


def test_a_condition_key_in_two_spellings_is_seen():
    twice = {"aws:sourcearn": "evil", **WRITE["Condition"]["StringEquals"]}
    assert seen(GRANT, TLS, {**WRITE, "Condition": {"StringEquals": twice}}) == [
        "Write.condition.StringEquals.aws:sourcearn"
    ]


def test_two_statements_with_one_sid_are_both_kept():
    given = [{**TLS, "Effect": effect, "Action": what} for effect in ("Allow", "Deny")
             for what in ("a:b", "c:d")]  # fmt: skip
    found = statements(policy(*given))
    assert len(found) == 4
    assert {(one["effect"], *one["action"]) for one in found.values()} == {
        ("Allow", "a:b"), ("Allow", "c:d"), ("Deny", "a:b"), ("Deny", "c:d"),
    }  # fmt: skip


def test_a_statement_without_sid_has_a_name_that_stays():
    nameless = {key: value for key, value in GRANT.items() if key != "Sid"}
    [name] = statements(policy(nameless))
    assert name in statements(policy(TLS, nameless))
    assert statements(policy(nameless))[name] == WANTED["AllowEventBridgePublish"]


def test_a_statement_that_is_there_twice_means_what_it_means_once():
    assert seen(GRANT, WRITE, TLS, GRANT, {**GRANT, "Sid": "Again"}) == []


@pytest.mark.parametrize("ours_first", [True, False])
def test_nobody_hides_behind_the_name_of_one_of_ours(ours_first):
    evil = {**TLS, "Sid": GRANT["Sid"], "Condition": {}}
    ours = {key: value for key, value in GRANT.items() if key != "Sid"}
    both = [ours, evil] if ours_first else [evil, ours]
    assert "AllowEventBridgePublish.effect" in seen(WRITE, TLS, *both)
    live = statements(policy(WRITE, TLS, *both), WANTED)
    assert len(live) == 4
    assert live["AllowEventBridgePublish"]["effect"] == "Deny"


@st.composite
def a_statement(draw):
    def some(values):
        chosen = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True))
        return chosen[0] if len(chosen) == 1 and draw(st.booleans()) else chosen

    one = {
        "Effect": draw(st.sampled_from(["Allow", "Deny"])),
        "Principal": draw(
            st.just("*")
            | st.just({"AWS": some(["*", ACCOUNT, "arn:aws:iam::123456789012:user/a"])})
            | st.just({"Service": some([EVENTS, "sns.amazonaws.com"])})
        ),
        draw(st.sampled_from(["Action", "NotAction"])): some(["sns:Publish", "s3:*", "sqs:A"]),
        "Resource": some([TOPIC, "*", "arn:aws:s3:::logs"]),
    }
    if draw(st.booleans()):
        one["Condition"] = {"StringLike": {"aws:SourceArn": some([RULE, "*"])}}
    if draw(st.booleans()):
        one["Sid"] = draw(st.sampled_from("AB"))
    return one


some_statements = st.lists(a_statement(), max_size=4)


@st.composite
def a_policy_and_the_same_rewritten(draw):
    given_statements = draw(some_statements)

    def rewritten(value):
        if isinstance(value, list):
            value = draw(st.permutations(value))
            return value[0] if len(value) == 1 and draw(st.booleans()) else value
        if isinstance(value, dict):
            return {key: rewritten(inner) for key, inner in draw(st.permutations([*value.items()]))}
        if value == ACCOUNT:
            return draw(st.sampled_from([ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"]))
        return value

    again = [rewritten(one) for one in draw(st.permutations(given_statements))]
    for one in again:
        if draw(st.booleans()):
            one["Sid"] = draw(st.sampled_from("ABC"))
    return given_statements, again


@given(a_policy_and_the_same_rewritten())
def test_shuffling_and_rewriting_a_policy_never_changes_its_meaning(both):
    wanted = statements(policy(*both[0]))
    live = statements(policy(*both[1]), wanted)
    assert list(compare(wanted, live)) == []


@given(some_statements, a_statement(), st.integers(0, 4))
def test_a_statement_more_always_shows(before, more, at):
    wanted = statements(policy(*before))
    meanings = list(wanted.values())
    [new] = statements(policy(more)).values()
    after = [*before[:at], more, *before[at:]]
    shown = list(compare(wanted, statements(policy(*after), wanted)))
    assert bool(shown) == (new not in meanings)


@given(some_statements.filter(bool))
def test_a_statement_less_always_shows(before):
    wanted = statements(policy(*before))
    [gone] = statements(policy(before[0])).values()
    rest = [one for one in before if gone not in statements(policy(one)).values()]
    assert list(compare(wanted, statements(policy(*rest), wanted)))


# ---------------------------------------------------------------- granted


def may(*given, action="sns:publish", resource=TOPIC, source=None):
    return granted(statements(policy(*given)), EVENTS, action, resource, source)


DENY = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
OF_RULE = {"Condition": {"ArnLike": {"AWS:SourceArn": RULE}}}


def without(key, statement=GRANT):
    return {one: value for one, value in statement.items() if one != key}


def test_a_grant_grants():
    assert may(GRANT)
    assert not may()


@pytest.mark.parametrize(
    "change",
    [
        {"Action": "*"}, {"Action": "sns:*"}, {"Action": "SNS:Pub*"}, {"Action": "sns:publis?"},
        {"Resource": "*"}, {"Resource": "arn:aws:sns:*:*:sns-cloudtrail-*"},
        {"Principal": "*"}, {"Principal": {"AWS": "*"}}, {"Condition": {}},
        {"Principal": {"Service": ["sns.amazonaws.com", EVENTS]}},
    ],
)  # fmt: skip
def test_a_wider_grant_grants_too(change):
    assert may({**GRANT, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"Action": "sns:Subscribe"}, {"Resource": TOPIC + "x"}, {"Effect": "Deny"},
        {"Resource": TOPIC.replace("alarm", "alar[m]")}, {"Action": "sns:[p]ublish"},
        {"Principal": {"Service": "sns.amazonaws.com"}}, {"Principal": {"AWS": ACCOUNT}},
        {"Condition": {"StringEquals": {"AWS:SourceOwner": ACCOUNT}}}, OF_RULE,
    ],
)  # fmt: skip
def test_what_grants_something_else_does_not(change):
    assert not may({**GRANT, **change})


def test_what_is_left_over_by_a_negation_is_granted():
    assert may({**without("Action"), "NotAction": "sns:Subscribe"})
    assert not may({**without("Action"), "NotAction": "sns:Publish"})
    assert may({**without("Resource"), "NotResource": "arn:aws:s3:::*"})
    assert not may({**without("Resource"), "NotResource": TOPIC})
    assert may({**without("Principal"), "NotPrincipal": {"AWS": ACCOUNT}})
    assert not may({**without("Principal"), "NotPrincipal": {"Service": EVENTS}})


def test_a_statement_without_resource_says_nothing_of_one():
    assert not may(without("Resource"))


@pytest.mark.parametrize(
    "change",
    [
        {}, {"Action": "sns:Publish"}, {"Resource": TOPIC}, {"Principal": {"Service": EVENTS}},
        {"Principal": {"Service": "*"}},
        {"Condition": {"StringNotEquals": {"aws:SourceAccount": "1"}}}, OF_RULE,
    ],
)  # fmt: skip
def test_any_denial_that_may_apply_counts(change):
    assert not may(GRANT, {**DENY, **change})


def test_a_denial_of_all_but_something_else_counts():
    assert not may(GRANT, {**without("Action", DENY), "NotAction": "s3:GetObject"})
    assert not may(GRANT, {**without("Resource", DENY), "NotResource": "arn:aws:s3:::x"})
    assert not may(GRANT, {**without("Principal", DENY), "NotPrincipal": {"AWS": ACCOUNT}})


@pytest.mark.parametrize(
    "change",
    [
        {"Action": "sns:Subscribe"}, {"Resource": "arn:aws:sns:*:*:other"},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:user/a"}},
        {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Condition": {"Bool": {"AWS:SecureTransport": False}}},
    ],
)  # fmt: skip
def test_a_denial_of_something_else_or_of_plain_http_does_not(change):
    assert may(GRANT, {**DENY, **change})


@pytest.mark.parametrize("operator", ["ArnEquals", "ArnLike", "StringEquals", "StringLike"])
def test_a_grant_on_behalf_of_the_source_counts_for_it_alone(operator):
    one = {**GRANT, "Condition": {operator: {"aws:SourceArn": ["x", RULE]}}}
    assert may(one, source=RULE)
    assert not may(one, source=RULE + "2")
    assert not may(one, source=None)


def test_wildcards_in_a_source_are_wild_but_for_string_equals():
    wild = RULE.replace("eventbridge", "*")
    for operator, counts in [("ArnEquals", True), ("ArnLike", True), ("StringLike", True),
                             ("StringEquals", False)]:  # fmt: skip
        one = {**GRANT, "Condition": {operator: {"aws:SourceArn": wild}}}
        assert may(one, source=RULE) == counts


@pytest.mark.parametrize(
    "condition",
    [
        {"StringNotEquals": {"aws:SourceArn": RULE}},
        {"StringEquals": {"aws:SourceArn": RULE, "aws:SourceAccount": ACCOUNT}},
        {"StringEquals": {"aws:SourceArn": RULE}, "Bool": {"aws:SecureTransport": "true"}},
        {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    ],
)
def test_a_grant_with_any_other_condition_is_not_sure(condition):
    assert not may({**GRANT, "Condition": condition}, source=RULE)


def test_one_sure_grant_among_unsure_ones_is_enough():
    assert may({**GRANT, **OF_RULE}, GRANT)
