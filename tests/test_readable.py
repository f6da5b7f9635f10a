"""The mails that EventBridge writes by itself, of every detection, in both languages, as files.

    tests/golden/mails/DETECTION.LANGUAGE.txt

They are what the sandbox's EventBridge makes of the detection's own examples by the target that
`plan` promises, in the route `direct`. Written anew with CTWATCH_GOLDEN=write, at no other time.
"""

from dataclasses import replace
from functools import cache

import pytest
from golden_text import GOLDEN, WRITES, hold
from test_notifier_messages import telling
from watch_world import ADDRESS, DISCORD, planned

from ctwatch.detections import catalogue
from ctwatch.detections.names import SAMPLE
from ctwatch.notifier.words import LANGUAGES
from ctwatch.readable import transformer
from ctwatch.sandbox.inputs import shape
from ctwatch.synthetic import rendered

MAILS = GOLDEN / "mails"
LONGEST = 8_192, 100
"""Characters of a template, and paths.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_InputTransformer.html
"""
LONGEST_SMS = 1_600  # https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-topic.html


@cache
def rules(detection, language, route="direct"):
    """Those of its rules that tell the topic by a text."""
    config = {
        "route": route,
        "topic": {"emails": [ADDRESS]},
        "channels": DISCORD,
        "alerts": {"language": language},
        "trail": {"kms": "create", "insights": ["api-call-rate"]},
        "rules": [{"name": "rule", "detection": detection}],
    }
    return [one for one in planned(config).rules if "InputTransformer" in one.aims.get("topic", {})]


def mail(rule, event):
    """What EventBridge hands the topic."""
    [target] = [one for one in rule._targets if one["Id"] == "topic"]
    return shape(target, event, rule.arn, "2026-03-02T04:11:10Z")


def file_name(detection, language):
    return f"{detection}.{language}.txt"


def lines(text):
    return [line.strip('"') for line in text.splitlines()]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("detection", catalogue())
def test_every_mail_reads_as_it_was_reviewed(detection, language):
    told = [(one.name, mail(one, event)) for one in rules(detection, language)
            for event in telling(one.fires)]  # fmt: skip
    assert told
    text = "\n".join(f"--- {name}\n{body}\n" for name, body in told)
    hold(MAILS / file_name(detection, language), text)


@pytest.mark.parametrize("detection", catalogue())
def test_what_a_drill_makes_up_reads_as_what_eventbridge_would_write(detection):
    for rule in rules(detection, "ko"):
        for event in rule.fires:
            assert rendered(rule.text, event) == mail(rule, event)


@pytest.mark.parametrize("detection", catalogue())
def test_every_mail_says_by_what_a_drill_finds_it(detection):
    for rule in rules(detection, "en"):
        for event in rule.fires:
            detail, text = event["detail"], mail(rule, event)
            assert f"Event ID: {detail.get('eventID', event['id'])}" in lines(text)
            assert str(detail.get("requestID", "")) in text
            assert len(text) <= LONGEST_SMS


def test_no_mail_is_kept_of_what_is_no_more():
    known = {file_name(one, language) for one in catalogue() for language in LANGUAGES}
    stale = {path for path in MAILS.iterdir() if path.name not in known}
    if WRITES:
        for path in stale:
            path.unlink()
        stale = set()
    assert stale == set()


def test_the_guard_writes_the_same_whatever_the_route_of_the_others():
    texts = [[one.text for one in rules("pipeline-tampering", "en", route)]
             for route in ("direct", "formatted")]  # fmt: skip
    assert texts[0] == texts[1]


@pytest.mark.parametrize("detection", catalogue())
def test_no_text_is_more_than_eventbridge_takes(detection):
    for rule in rules(detection, "ko"):
        assert len(rule.text["InputTemplate"]) <= LONGEST[0]
        assert len(rule.text["InputPathsMap"]) <= LONGEST[1]


def stopped(**detail):
    [rule] = rules("trail-tampering", "en")
    event = rule.fires[0]
    return rule, event, {**event, "detail": {**event["detail"], **detail}}


def test_a_path_that_is_not_there_leaves_its_line_empty():
    """AWS creates no variable for it, and null has nothing below it."""
    rule, event, bare = stopped(requestParameters=None, responseElements=None)
    region, one = event["detail"]["awsRegion"], event["detail"]["eventID"]
    page = f"https://console.aws.amazon.com/cloudtrailv2/home?region={region}#/events/{one}"
    for missing in ("errorCode", "requestID", "userIdentity", "sourceIPAddress"):
        bare["detail"].pop(missing, None)
    assert lines(mail(rule, bare))[1:] == [
        "Event: StopLogging",
        "Result (empty: it succeeded): ",
        f"Event ID: {one}",
        f"See it in the AWS console: {page}",
        "Trail: ",
        "Other target: ",
        f"Time (UTC): {event['detail']['eventTime']}",
        *("Actor: ", "Identity: ", "MFA (empty: not recorded): ", "Source IP: "),
        f"Region: {region}",
        f"Account: {event['account']}",
        "Request ID: ",
        "ctwatch · ctwatch",
    ]


def test_what_an_intruder_types_is_put_in_as_it_is_and_keeps_no_mail_from_going():
    """EventBridge escapes nothing; a line break in a value breaks the line and no more."""
    typed = 'a"b\\n\\"<ip>\nResult (empty: it succeeded): AccessDenied'
    rule, event, call = stopped(requestParameters={"name": typed})
    text = mail(rule, call)
    assert f'"Trail: {typed}"' in text
    assert text.replace(typed, "") == mail(rule, event).replace("ct-trail-monitor", "")


def typed_into(value):
    """The same with every text an intruder's."""
    if isinstance(value, dict):
        return {key: typed_into(one) for key, one in value.items()}
    if isinstance(value, list):
        return [typed_into(one) for one in value]
    return "TYPED" if isinstance(value, str) else value


@pytest.mark.parametrize("detection", catalogue())
def test_the_head_of_a_mail_holds_nothing_that_a_caller_types(detection):
    """The verdict, the event's name, result and id, and the link: the same whatever he typed."""
    chosen = ("requestParameters", "userIdentity", "userAgent", "errorMessage", "object")
    for rule in rules(detection, "en"):
        for event in rule.fires:
            typed = {key: typed_into(one) for key, one in event["detail"].items() if key in chosen}
            text = mail(rule, {**event, "detail": {**event["detail"], **typed}})
            head = lines(text.partition("TYPED")[0])[:-1]
            assert head == lines(mail(rule, event))[: len(head)]
            last = [one for one in head if one.startswith(("Event ID: ", "See it in the AWS "))]
            assert len(last) == (1 if "object" in event["detail"] else 2)


def test_where_the_link_leads_no_event_decides():
    rule, _, call = stopped(awsRegion="evil.example/", eventID="x@evil.example")
    [link] = [line for line in lines(mail(rule, call)) if "https://" in line]
    assert link.split("https://")[1].startswith("console.aws.amazon.com/cloudtrailv2/home?")


@pytest.mark.parametrize(
    ("partition", "host"),
    [("aws-cn", "console.amazonaws.cn"), ("aws-us-gov", "console.amazonaws-us-gov.com")],
)
def test_other_partitions_have_consoles_of_their_own(partition, host):
    detection = catalogue()["trail-tampering"]
    [part] = detection.filled(SAMPLE)
    text = transformer(detection, part.pattern, "en", "w", partition)["InputTemplate"]
    assert f"https://{host}/cloudtrailv2/home?region=<region>" in text


def test_a_title_of_ones_own_is_not_taken_for_a_part_of_the_template():
    rule, event, _ = stopped()
    mine = replace(catalogue()["trail-tampering"], title={"ko": "", "en": 'My "<ip>" \\'})
    text = mail(replace(rule, text=transformer(mine, rule.pattern, "en", "w")), event)
    assert text.splitlines()[0] == "\"My '(ip)' / (severity if it succeeded: critical)\""
