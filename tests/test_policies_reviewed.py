"""Every policy that ctwatch writes or prints, as a careful reviewer reads it.

Who is let in is named, and for whom: a service of AWS may be anybody's, so that it is held to this
account by a condition that AWS honours there. What may be done is named, and on what. Whatever
departs from that is in a table below with its reason and AWS's own page, and goes from there once
it is needed no more.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from test_policy import BIGGEST, EVERYTHING, LATER
from watch_world import CONFIGS, PLACE, planned

from ctwatch.blows import On
from ctwatch.config import parse
from ctwatch.diff import statements
from ctwatch.policy import COMMANDS, policy, protection, subject

OPTIONS: dict[str, dict[str, Any]] = {
    **CONFIGS,
    "everything": EVERYTHING,
    "biggest": BIGGEST,
    "all regions": LATER,
    "text messages": {"topic": {"sms": ["+821012345678"]}, "channels": [], "route": "formatted"},
    "keys of one's own": {
        **CONFIGS["plain"],
        "trail": {"kms": PLACE.arn("kms", "key/0a0b0c0d-0e0f-4a4b-8c8d-0123456789ab")},
    },
    "its own bucket name": {**CONFIGS["plain"], "bucket": {"name": "logs-{region}"}},
}


@dataclass(frozen=True)
class Statement:
    """One statement, and whose it is: "topic policy", "role trust", "policy up"."""

    holder: str
    sid: str
    says: Mapping[str, Any]

    def get(self, key: str) -> Any:
        return self.says.get(key, [])

    @property
    def services(self) -> list[str]:
        return self.principal.get("Service", [])

    @property
    def principal(self) -> dict[str, list[str]]:
        found = self.says.get("principal", {})
        return {"AWS": [found]} if isinstance(found, str) else dict(found)

    @property
    def keys(self) -> set[str]:
        """What its condition compares, unless it lets pass what does not say."""
        return {
            key
            for operator, compared in self.says.get("condition", {}).items()
            if not operator.startswith("ForAllValues:") and not operator.endswith("IfExists")
            for key, values in compared.items()
            if values and not any(value in {"*", ""} for value in values)
        }


# Which conditions AWS honours for a service that comes to a resource; no other holds it back.
CLOUDTRAIL = "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/"
HONOURED = {
    ("cloudtrail", "bucket policy"): CLOUDTRAIL + "create-s3-bucket-policy-for-cloudtrail.html",
    ("cloudtrail", "topic policy"): (
        CLOUDTRAIL + "cloudtrail-permissions-for-sns-notifications.html"
    ),
    ("cloudtrail", "key policy"): CLOUDTRAIL + "create-kms-key-policy-for-cloudtrail.html",
    ("events", "function permissions"): "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html",
    ("events", "queue policy"): "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html",
    ("events", "role trust"): "https://docs.aws.amazon.com/eventbridge/latest/userguide/cross-service-confused-deputy-prevention.html",
    ("sns", "function permissions"): "https://docs.aws.amazon.com/sns/latest/dg/lambda-console.html",
    ("sns", "queue policy"): "https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html",
}  # fmt: skip
"""(service, holder) -> AWS's page that says so of `aws:SourceArn`."""

UNHELD = {
    ("events", "topic policy"): (
        "a Condition is not supported there",
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html",
    ),
    ("events", "key policy"): (
        "nor for the key of such a topic",
        "https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html",
    ),
    ("lambda", "role trust"): (
        "an execution role's trust has none: iam:PassRole says who may hand it over",
        "https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html",
    ),
    ("cloudtrail", "role trust"): (
        "AWS's own trust has none, and what the role allows is one stream of one log group",
        CLOUDTRAIL + "cloudtrail-required-policy-for-cloudwatch-logs.html",
    ),
}
"""(service, holder) -> why no condition holds it to this account, and AWS's page."""

OPEN_TO_ALL = {
    ("topic policy", "__default_statement_ID"): (
        "aws:sourceowner",
        "https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html",
    ),
}
"""(holder, Sid) that name anybody -> the condition that leaves only this account of that."""

WHOLE_SERVICE = {
    ("key policy", "EnableIAMUserPermissions", "kms:*"): (
        "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html"
    ),
}
"""What would lock everybody out of a key for ever if it were less."""

FAMILIES = {
    "kms:generatedatakey*": CLOUDTRAIL + "create-kms-key-policy-for-cloudtrail.html",
}
"""Actions with a star that AWS itself asks for: it calls one of them or another."""

REFERENCE = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_"
WITHOUT_ARN = {
    "kms:createkey": REFERENCE + "awskeymanagementservice.html",
    "sns:setsubscriptionattributes": REFERENCE + "amazonsns.html",
    "sns:unsubscribe": REFERENCE + "amazonsns.html",
}
"""What changes something and takes no ARN; what only looks is not listed."""

_LOOKS = ("get", "list", "describe", "lookup", "test", "check", "receive")


def written() -> Iterator[Statement]:
    """All that is written into the account, by every config."""
    for config in OPTIONS.values():
        for one in planned(config).resources:
            for part, found in one.wanted.items():
                documents = found.values() if part == "inline" else [found]
                for document in documents if part in _POLICIES else ():
                    for sid, says in document.items():
                        yield Statement(f"{one.kind} {part}", sid, says)


_POLICIES = {"policy", "trust", "inline", "permissions"}


def printed() -> Iterator[Statement]:
    """All that `ctwatch policy` prints for each command; that for all of them is made of these."""
    for config in OPTIONS.values():
        for on in On:
            about = subject(parse(config), PLACE, data=True, on=on, logs=True)
            for command in COMMANDS if on is On.PROBE else ("simulate",):
                for document in policy(command, about):
                    for sid, says in statements(document).items():
                        yield Statement(f"policy {command}", sid, says)


def guarding() -> Iterator[Statement]:
    """All that `ctwatch policy --scp` prints."""
    for config in OPTIONS.values():
        for document in protection(subject(parse(config), PLACE), ["arn:aws:iam::*:role/ace"]):
            for sid, says in statements(document).items():
                yield Statement("scp", sid, says)


class Review:
    """What is wrong with a statement, and which exceptions it has used."""

    def __init__(self) -> None:
        self.used: set[Any] = set()

    def faults(self, one: Statement) -> Iterator[str]:
        for key in one.says:
            if key.startswith("not"):
                yield f"{key} allows what nobody has thought of"
        if one.says["effect"] == "Allow":
            yield from self._who(one)
            yield from self._what(one)
            yield from self._on(one)

    def _excused(self, table: Mapping[Any, Any], key: Any) -> Any:
        if key in table:
            self.used.add(key)
        return table.get(key)

    def _who(self, one: Statement) -> Iterator[str]:
        for kind, named in one.principal.items():
            for who in named:
                if "*" in who:
                    held_by = self._excused(OPEN_TO_ALL, (one.holder, one.sid))
                    if not held_by or held_by[0] not in one.keys:
                        yield f"lets in {kind} {who}"
                elif kind == "Service":
                    yield from self._service(one, who.removesuffix(".amazonaws.com"))
                elif PLACE.account not in who:
                    yield f"lets in {who}, who is not of this account"

    def _service(self, one: Statement, service: str) -> Iterator[str]:
        if self._excused(UNHELD, (service, one.holder)):
            if "aws:sourcearn" in one.keys or "aws:sourceaccount" in one.keys:
                yield f"{service} would never come in: no condition is honoured there"
            return
        if not self._excused(HONOURED, (service, one.holder)):
            yield f"nobody has said what holds {service} to this account"
        if "aws:sourcearn" not in one.keys:
            yield f"lets in {service} on behalf of anybody"
        sources = [
            value
            for compared in one.says.get("condition", {}).values()
            for value in compared.get("aws:sourcearn", [])
        ]
        if any(PLACE.account not in value for value in sources):
            yield f"lets in {service} for others: {sources}"

    def _what(self, one: Statement) -> Iterator[str]:
        for action in one.get("action"):
            if action.endswith(":*") or ":" not in action:
                if not self._excused(WHOLE_SERVICE, (one.holder, one.sid, action)):
                    yield f"may do all of {action}"
            elif "*" in action and not self._excused(FAMILIES, action):
                yield f"may do more than is named: {action}"

    def _on(self, one: Statement) -> Iterator[str]:
        changing = [
            action
            for action in one.get("action")
            if not action.partition(":")[2].startswith(_LOOKS)
        ]
        if one.holder in {"role trust", "key policy"}:  # there a policy has no other resource
            return
        for arn in one.get("resource"):
            if arn == "*":
                wide = [each for each in changing if not self._excused(WITHOUT_ARN, each)]
                yield from (f"may {each} on everything" for each in wide)
            elif changing and not self._is_ours(one, arn):
                yield f"may {changing} on what is not this account's: {arn}"

    def _is_ours(self, one: Statement, arn: str) -> bool:
        """By the account in it, by the bucket's whole name, or by our tag."""
        if PLACE.account in arn or "aws:resourcetag/ctwatch:watch" in one.keys:
            return True
        bucket = arn.removeprefix("arn:aws:s3:::").partition("/")[0]
        return bucket != arn and "*" not in bucket


def told(statements: Iterator[Statement], review: Review) -> set[str]:
    return {
        f"{one.holder} {one.sid}: {fault}" for one in statements for fault in review.faults(one)
    }


REVIEW = Review()


@pytest.fixture(scope="module")
def faults() -> set[str]:
    """Those of all that is written and printed."""
    return told(written(), REVIEW) | told(printed(), REVIEW)


def test_what_is_written_and_printed_lets_in_nobody_else_and_allows_no_more(
    faults: set[str],
) -> None:
    assert faults == set()


def test_every_kind_of_policy_is_reviewed() -> None:
    kinds = {one.holder for one in written()}
    assert kinds == {
        *("bucket policy", "topic policy", "queue policy", "key policy", "function permissions"),
        *("role trust", "role inline"),
    }


def test_what_guards_denies_and_allows_nothing() -> None:
    assert {one.says["effect"] for one in guarding()} == {"Deny"}
    assert told(guarding(), Review()) == set()
    for one in guarding():
        assert "aws:principalarn" in one.keys  # else it would shut out the watch itself
        assert "*" not in one.get("resource")


@pytest.mark.usefixtures("faults")
def test_no_exception_is_left_over_and_each_has_its_page() -> None:
    tables = (HONOURED, UNHELD, OPEN_TO_ALL, WHOLE_SERVICE, FAMILIES, WITHOUT_ARN)
    assert {key for table in tables for key in table} == REVIEW.used
    for table in tables:
        for value in table.values():
            page = value if isinstance(value, str) else value[1]
            assert page.startswith("https://docs.aws.amazon.com/")


GOOD: dict[str, Any] = {
    "Sid": "Sns",
    "Effect": "Allow",
    "Principal": {"Service": "sns.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": PLACE.arn("sqs", "q"),
    "Condition": {"ArnEquals": {"aws:SourceArn": PLACE.arn("sns", "t")}},
}
BAD = {
    "lets in AWS *": {"Principal": "*"},
    "lets in AWS arn:aws:iam::*:root": {"Principal": {"AWS": "arn:aws:iam::*:root"}},
    "who is not of this account": {"Principal": {"AWS": "210987654321"}},
    "on behalf of anybody": {"Condition": {}},
    "sns on behalf of anybody": {
        "Condition": {"ArnEqualsIfExists": {"aws:SourceArn": PLACE.arn("sns", "t")}}
    },
    "lets in sns on behalf": {"Condition": {"StringLike": {"aws:SourceArn": "*"}}},
    "lets in sns for others": {
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:sns-cloudtrail-alarm"}}
    },
    "nobody has said what holds s3": {"Principal": {"Service": "s3.amazonaws.com"}},
    "may do all of sqs:*": {"Action": "sqs:*"},
    "may do all of *": {"Action": "*"},
    "may do more than is named": {"Action": "sqs:Send*"},
    "on everything": {"Resource": "*"},
    "on what is not this account's": {"Resource": "arn:aws:sqs:*:*:q"},
    "notAction allows": {"NotAction": "sqs:DeleteQueue"},
}


@pytest.mark.parametrize("words", BAD)
def test_a_reviewer_would_see_it(words: str) -> None:
    assert list(_reviewed(GOOD)) == []
    changed = {**GOOD, **BAD[words]}
    if "NotAction" in changed:
        del changed["Action"]
    assert any(words in fault for fault in _reviewed(changed)), list(_reviewed(changed))


def _reviewed(statement: dict[str, Any]) -> Iterator[str]:
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for sid, says in statements(document).items():
        yield from Review().faults(Statement("queue policy", sid, says))
