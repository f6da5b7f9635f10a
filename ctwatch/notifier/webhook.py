"""Message -> any webhook: one JSON document, the same fields every time, for a program to read.

    schema         "ctwatch.alert/1"; a later one may add fields, and another number would be
                   another document
    watch          the name of the watch
    headline       the verdict in one line, in the language of the watch
    result         "succeeded", "failed" or "denied"; null when the event cannot be read
    severity       "low", "medium", "high" or "critical"
    drill          true for a call of `ctwatch simulate` on something that does not exist
    synthetic      true for an event that `ctwatch simulate` made up
    detections     ids of the catalogue, the most particular first; may be empty
    mitre          ATT&CK technique ids; may be empty
    consequences   what follows from it ("blinds", "moves_bucket", ...: severity.CONSEQUENCES)
    notes          sentences, in the language of the watch
    event          {kind, name, source, id, request_id, time, region, account}; kind is "call",
                   "sign-in", "insight", "object" or "unreadable"
    actor          {name, type, issuer, account, mfa}; account only when it is another's, mfa
                   true, false or null
    origin         {ip, user_agent}
    trail          {name, arn, ours}; ours true, false or null
    target         what the call was about when it was no trail
    error          {code, message}
    changes        [{what, before, after}]
    requested      the other request parameters, as JSON in a text
    link           the event in the AWS console
    text           the whole alert as people read it, one fact a line
    excerpt        of an event that cannot be read

Texts are as recorded, at most 4,000 characters each, and a stranger may have chosen them: a
program that shows them to people has to make them harmless. What is not known is "" or null.
"""

from typing import Any

from . import plain
from .message import Message
from .post import Service

SCHEMA = "ctwatch.alert/1"
quote = plain.quote

_MOST = 4000


def payload(message: Message) -> dict[str, Any]:
    """The document, as this module's docstring describes it."""
    return {
        "schema": SCHEMA,
        "watch": message.watch,
        **_verdict(message),
        **_record(message),
        "link": message.link,
        "text": plain.body(message),
        "excerpt": _cut(message.event.excerpt),
    }


def _verdict(message: Message) -> dict[str, Any]:
    event = message.event
    return {
        "headline": message.headline,
        "result": None if event.unreadable else event.result,
        "severity": message.level,
        "drill": event.drill,
        "synthetic": event.synthetic,
        "detections": list(message.detections),
        "mitre": list(message.mitre),
        "consequences": list(message.consequences),
        "notes": list(message.notes),
    }


def _record(message: Message) -> dict[str, Any]:
    event = message.event
    named = ("name", "source", "id", "request_id", "time", "region", "account")
    return {
        "event": {
            "kind": "unreadable" if event.unreadable else event.kind,
            **{name: _cut(getattr(event, name)) for name in named},
        },
        "actor": {
            "name": _cut(event.actor),
            "type": _cut(event.identity),
            "issuer": _cut(event.issuer),
            "account": _cut(event.home),
            "mfa": {"yes": True, "no": False}.get(event.mfa),
        },
        "origin": {"ip": _cut(event.ip), "user_agent": _cut(event.agent)},
        "trail": {
            "name": _cut(event.trail),
            "arn": _cut(event.trail_arn),
            "ours": message.ours,
        },
        "target": _cut(event.target),
        "error": {"code": _cut(event.code), "message": _cut(event.error)},
        "changes": [
            {
                "what": _cut(one.what.removeprefix("change.")),
                "before": _cut(one.before),
                "after": _cut(one.after),
            }
            for one in event.changes[:20]
        ],
        "requested": _cut(event.requested),
    }


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


send = Service("The webhook", payload).send
