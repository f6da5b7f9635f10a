"""What Lambda was invoked with -> Event. Whatever comes in, an Event comes out.

Three shapes are known: SNS round an EventBridge event, the EventBridge event itself, and all
else, which becomes an Event that says so. Any field of a CloudTrail record may be null, absent
or strange; nothing here raises, and nothing here renders.

Record contents:
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

import json
import re
from dataclasses import dataclass
from typing import Any

SUCCEEDED, FAILED, DENIED = "succeeded", "failed", "denied"
PROBE = "ctwatch-probe-"  # what `ctwatch simulate` calls its trails that do not exist

_TRAIL_ARN = re.compile(r"arn:[^:]*:cloudtrail:([^:]*):([^:]*):trail/(.*)", re.DOTALL)
_DENIAL = re.compile(r"AccessDenied|Unauthori[sz]ed|NotAuthori[sz]ed|^AuthorizationError$")
_CLOUDTRAIL_KEYS = ("eventName", "eventID", "eventSource", "userIdentity")
_TARGET_KEYS = ("name", "trailName")  # PutEventSelectors alone says trailName


@dataclass(frozen=True, kw_only=True)
class Event:
    """One CloudTrail event as an alert needs it; texts are "" where the record says nothing.

    Attributes:
        key: what makes a second arrival recognisable; "" when nothing does.
        id: CloudTrail's eventID.
        request_id: the requestID that the caller was answered with.
        time: eventTime as recorded.
        actor: ARN, or the best there is.
        identity: the type of userIdentity ("AssumedRole").
        issuer: who stands behind temporary credentials.
        home: the actor's account, when it is not the account of the event.
        mfa: "yes", "no" or "".
        trail: name or ARN as the caller typed it.
        trail_arn: the ARN as CloudTrail answered, or as typed.
        result: SUCCEEDED, FAILED or DENIED.
        code: errorCode.
        error: errorMessage.
        requested: the other request parameters, as JSON.
        drill: a call on a probe's name that failed, as `ctwatch simulate` makes it.
        blinds: the trail was told to record no management write events any more.
        unreadable: the key of the reason why this is no CloudTrail event; "" when it is.
        excerpt: what came instead.
    """

    key: str = ""
    id: str = ""
    request_id: str = ""
    name: str = ""
    source: str = ""
    time: str = ""
    region: str = ""
    account: str = ""
    actor: str = ""
    identity: str = ""
    issuer: str = ""
    home: str = ""
    mfa: str = ""
    ip: str = ""
    agent: str = ""
    trail: str = ""
    trail_arn: str = ""
    result: str = SUCCEEDED
    code: str = ""
    error: str = ""
    requested: str = ""
    drill: bool = False
    blinds: bool = False
    unreadable: str = ""
    excerpt: str = ""

    def is_on(self, trail_arn: str) -> bool | None:
        """Whether the call was about the trail with this ARN; None when that cannot be told.

        A bare name means a trail of the event's own region and account.
        """
        ours = _TRAIL_ARN.fullmatch(trail_arn)
        if not ours or not self.trail:
            return None
        if self.trail_arn:
            return self.trail_arn == trail_arn
        region, account, name = ours.groups()
        return (self.region or region, self.account or account, self.trail) == (
            region,
            account,
            name,
        )

    def is_foreign_to(self, trail_arn: str) -> bool:
        """Whether the event is of another account than the trail with this ARN.

        The topic lets EventBridge publish without a condition, and so another account's rule.
        """
        ours = _TRAIL_ARN.fullmatch(trail_arn)
        return bool(ours and self.account and self.account != ours[2])


def unpack(invocation: Any) -> list[Event]:
    """Every event in what Lambda was invoked with; never empty.

    SNS hands over one record today; all that come are read.
    https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
    """
    records = _mapping(invocation).get("Records")
    if isinstance(records, list) and records:
        return [_from_sns(record) for record in records]
    return [_from_eventbridge(invocation)]


def _from_sns(record: Any) -> Event:
    sns = _mapping(_mapping(record).get("Sns"))
    message, key = sns.get("Message"), _string(sns.get("MessageId"))
    if not isinstance(message, str):
        return _unreadable("no_record", record, key)
    try:
        envelope = json.loads(message)
    except (ValueError, RecursionError):
        return _unreadable("no_json", message, key)
    return _from_eventbridge(envelope, key)


def _from_eventbridge(envelope: Any, key: str = "") -> Event:
    detail = _mapping(_mapping(envelope).get("detail"))
    if not any(detail.get(known) for known in _CLOUDTRAIL_KEYS):
        return _unreadable("no_record", envelope, key)
    return _read(detail, envelope, key)


def _unreadable(reason: str, body: Any, key: str) -> Event:
    return Event(key=key, unreadable=reason, excerpt=_text(body))


def _read(detail: dict[str, Any], envelope: dict[str, Any], key: str) -> Event:
    identity = _mapping(detail.get("userIdentity"))
    account = _text(detail.get("recipientAccountId")) or _text(envelope.get("account"))
    home = _text(identity.get("accountId"))
    asked = detail.get("requestParameters")
    targets = _targets(asked)
    code, result = _text(detail.get("errorCode")), _result(detail)
    return Event(
        key=_string(detail.get("eventID")) or _string(envelope.get("id")) or key,
        id=_text(detail.get("eventID")),
        request_id=_text(detail.get("requestID")),
        name=_text(detail.get("eventName")),
        source=_text(detail.get("eventSource")),
        time=_text(detail.get("eventTime")) or _text(envelope.get("time")),
        region=_text(detail.get("awsRegion")) or _text(envelope.get("region")),
        account=account,
        actor=_actor(identity),
        identity=_text(identity.get("type")),
        issuer=_issuer(identity),
        home=home if home != account else "",
        mfa=_mfa(detail, identity),
        ip=_text(detail.get("sourceIPAddress")),
        agent=_text(detail.get("userAgent")),
        trail=targets[0] if targets else "",
        trail_arn=_trail_arn(detail, targets),
        result=result,
        code=code,
        error=_text(detail.get("errorMessage")),
        requested=_requested(asked),
        drill=bool(targets and code) and all(map(_is_probe, targets)),
        blinds=result == SUCCEEDED and _blinds(_mapping(asked)),
    )


def _actor(identity: dict[str, Any]) -> str:
    """Who: what each type of identity has to say is documented with userIdentity.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
    """
    issuer = _mapping(_mapping(identity.get("sessionContext")).get("sessionIssuer"))
    return _first(
        identity.get("arn"),
        issuer.get("arn"),
        identity.get("userName"),
        _mapping(identity.get("onBehalfOf")).get("userId"),
        identity.get("invokedBy"),
        identity.get("principalId"),
        identity.get("type"),
    )


def _issuer(identity: dict[str, Any]) -> str:
    issuer = _mapping(_mapping(identity.get("sessionContext")).get("sessionIssuer"))
    return _first(
        issuer.get("arn"),
        issuer.get("userName"),
        _mapping(identity.get("onBehalfOf")).get("identityStoreArn"),
        identity.get("identityProvider"),
    )


def _mfa(detail: dict[str, Any], identity: dict[str, Any]) -> str:
    """A console sign-in says it in additionalEventData, a session in its attributes.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-aws-console-sign-in-events.html
    """
    attributes = _mapping(_mapping(identity.get("sessionContext")).get("attributes"))
    said = _first(
        _mapping(detail.get("additionalEventData")).get("MFAUsed"),
        attributes.get("mfaAuthenticated"),
    )
    return {"yes": "yes", "true": "yes", "no": "no", "false": "no"}.get(said.lower(), "")


def _result(detail: dict[str, Any]) -> str:
    """A failed console sign-in has no errorCode, only a message and `ConsoleLogin: Failure`."""
    code = _text(detail.get("errorCode"))
    if _DENIAL.search(code):
        return DENIED
    answers = _mapping(detail.get("responseElements")).values()
    if code or detail.get("errorMessage") or "Failure" in answers:
        return FAILED
    return SUCCEEDED


def _targets(asked: Any) -> list[str]:
    named = (_mapping(asked).get(key) for key in _TARGET_KEYS)
    return [_text(name) for name in named if name]


def _trail_arn(detail: dict[str, Any], targets: list[str]) -> str:
    answered = _text(_mapping(detail.get("responseElements")).get("trailARN"))
    typed = [target for target in targets if target.startswith("arn:")]
    return answered or (typed[0] if typed else "")


def _is_probe(target: str) -> bool:
    arn = _TRAIL_ARN.fullmatch(target)
    return (arn[3] if arn else target).startswith(PROBE)


def _requested(asked: Any) -> str:
    """What was asked for besides the trail's name. The record never says what was before."""
    if isinstance(asked, dict):
        asked = {key: value for key, value in asked.items() if key not in _TARGET_KEYS}
    return _text(asked) if asked else ""


def _blinds(asked: dict[str, Any]) -> bool:
    """Whether event selectors were set and none of them records management write events.

    EventBridge gets only what a trail records:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
    """
    basic, advanced = asked.get("eventSelectors"), asked.get("advancedEventSelectors")
    if isinstance(advanced, list) and advanced:
        return not any(_records_writes_advanced(_mapping(selector)) for selector in advanced)
    if isinstance(basic, list) and basic:
        return not any(_records_writes(_mapping(selector)) for selector in basic)
    return False


def _records_writes(selector: dict[str, Any]) -> bool:
    # Both members default to the wider choice:
    # https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_EventSelector.html
    managed = selector.get("includeManagementEvents") is not False
    return managed and selector.get("readWriteType") != "ReadOnly"


def _records_writes_advanced(selector: dict[str, Any]) -> bool:
    fields = selector.get("fieldSelectors")
    fields = [_mapping(field) for field in fields] if isinstance(fields, list) else []
    said = {_string(field.get("field")): field.get("equals") for field in fields}
    return said.get("eventCategory") == ["Management"] and said.get("readOnly") != ["true"]


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _first(*values: Any) -> str:
    return next((text for text in map(_text, values) if text), "")


def _text(value: Any) -> str:
    """A text as it is, null as nothing, and what is strange as JSON, so that it is seen."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        return "…"
