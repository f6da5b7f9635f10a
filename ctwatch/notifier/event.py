"""What Lambda was invoked with -> Event. Whatever comes in, an Event comes out.

Three wrappings are known: SNS round an EventBridge event, the EventBridge event itself, and all
else, which becomes an Event that says so. In an EventBridge event four things are known: an API
call, a console sign-in, an Insights event (all three CloudTrail records) and S3's own
notification that an object was deleted. Any field may be null, absent or strange; nothing here
raises, and nothing here renders.

Record contents:
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html

`ctwatch simulate` marks what it makes up, beside `detail`: `"ctwatch": {"synthetic": true}`.
EventBridge builds that envelope itself and PutEvents cannot add to it, so no event that a rule
passes on as it came can bear the mark; it needs a direct invocation of the function, a publication
to the topic, or a target that rewrites what it is given. An intruder who can do that gains nothing
by it: the mark only adds a word to the alert. It hides no alert, lowers no severity, and what is
marked is remembered apart, so that it cannot pass for a real event that comes later.
"""

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from .changes import Change, changes, consequences, insight_changes
from .shapes import first, listing, mapping, string, text

SUCCEEDED, FAILED, DENIED = "succeeded", "failed", "denied"
CALL, SIGN_IN, INSIGHT, OBJECT = "call", "sign-in", "insight", "object"
PROBE = "ctwatch-probe-"  # what `ctwatch simulate` calls its targets that do not exist

_TRAIL_ARN = re.compile(r"arn:[^:]*:cloudtrail:([^:]*):([^:]*):trail/(.*)", re.DOTALL)
_DENIAL = re.compile(r"AccessDenied|Unauthori[sz]ed|NotAuthori[sz]ed|^AuthorizationError$")
_CLOUDTRAIL_KEYS = ("eventName", "eventID", "eventSource", "userIdentity")
_TRAIL_KEYS = ("name", "trailName")  # PutEventSelectors alone says trailName
# Where the calls that the catalogue knows say what they are about, the most telling first.
_TARGET_KEYS = (
    *_TRAIL_KEYS,
    "rule",
    "subscriptionArn",
    "topicArn",
    "functionName",
    "bucketName",
    "roleName",
    "roleArn",
    "logGroupName",
    "logGroupIdentifier",
    "resourceIdentifier",
    "names",
    "queueUrl",
    "keyId",
    "aliasName",
    "tableName",
    "groupId",
    "groupName",
    "detectorId",
    "configurationRecorderName",
    "deliveryChannelName",
    "eventDataStore",
    "channel",
    "importId",
    "resourceArn",
    "resourceARN",
    "resource",
    "resourceId",
    "eventBusName",
    "memberAccountId",
    "delegatedAdminAccountId",
)
# A name of ours, bare or at the end of what AWS lets stand before it: an ARN with a type, or a
# part of one for a function, a queue's URL, the folder of a log group or parameter, "alias/".
_PROBES = re.compile(
    r"(arn:[^:]*:[^:]*:[^:]*:[^:]*:([a-z-]+[:/])?|([0-9]{12}:)?function:)?"
    r"(alias/|/aws/lambda/|/|https?://[^/]+/[0-9]{12}/)?" + PROBE,
)
_NOT_HOME = "InvalidHomeRegionException"
_HIDDEN_NAME = "HIDDEN_DUE_TO_SECURITY_REASONS"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event as an alert needs it; texts are "" where the record says nothing.

    Attributes:
        kind: CALL, SIGN_IN, INSIGHT or OBJECT.
        key: what makes a second arrival recognisable; "" when nothing does.
        id: CloudTrail's eventID; for OBJECT that of the envelope.
        request_id: the requestID that the caller was answered with.
        time: eventTime as recorded.
        actor: ARN, or the best there is.
        hidden: the name that was tried at a sign-in is no user's, and AWS tells it to nobody.
        identity: the type of userIdentity ("AssumedRole").
        issuer: who stands behind temporary credentials.
        home: the actor's account, when it is not the account of the event.
        mfa: "yes", "no" or "".
        trail: name or ARN as the caller typed it.
        trail_arn: the ARN as CloudTrail answered, or as typed.
        target: what the call was about when it was no trail.
        targets: all that it names, a trail too.
        result: SUCCEEDED, FAILED or DENIED.
        state: of an Insights event, "Start" or "End".
        code: errorCode.
        error: errorMessage.
        requested: the other request parameters, as JSON.
        changes: what became otherwise, or would have.
        consequences: what follows from the call if it succeeds: keys of severity.CONSEQUENCES.
        drill: a call on a probe's name that failed, as `ctwatch simulate` makes it.
        synthetic: made up by `ctwatch simulate`, which said so.
        unreadable: the key of the reason why this is no CloudTrail event; "" when it is.
        excerpt: what came instead.
        envelope: the whole EventBridge event.
    """

    kind: str = CALL
    key: str = ""
    id: str = ""
    request_id: str = ""
    name: str = ""
    source: str = ""
    time: str = ""
    region: str = ""
    account: str = ""
    actor: str = ""
    hidden: bool = False
    identity: str = ""
    issuer: str = ""
    home: str = ""
    mfa: str = ""
    ip: str = ""
    agent: str = ""
    trail: str = ""
    trail_arn: str = ""
    target: str = ""
    targets: tuple[str, ...] = ()
    result: str = SUCCEEDED
    state: str = ""
    code: str = ""
    error: str = ""
    requested: str = ""
    changes: tuple[Change, ...] = ()
    consequences: frozenset[str] = frozenset()
    drill: bool = False
    synthetic: bool = False
    unreadable: str = ""
    excerpt: str = ""
    envelope: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def is_on(self, trail_arn: str) -> bool | None:
        """Whether the call was about the trail with this ARN; None when that cannot be told.

        A bare name means a trail of the event's own region and account; where CloudTrail answers
        that the region is not the trail's home, it knew the name for one of its home region.
        https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StopLogging.html
        """
        ours = _TRAIL_ARN.fullmatch(trail_arn)
        if not ours or not self.trail:
            return None
        if self.trail_arn:
            return self.trail_arn == trail_arn
        region, account, name = ours.groups()
        elsewhere = self.region not in {"", region} and self.code != _NOT_HOME
        return not elsewhere and (self.account or account, self.trail) == (account, name)

    def is_foreign_to(self, trail_arn: str) -> bool:
        """Whether the event is of another account than the trail with this ARN.

        The topic lets EventBridge publish without a condition, and so another account's rule.
        """
        ours = _TRAIL_ARN.fullmatch(trail_arn)
        return bool(ours and self.account and self.account != ours[2])


def is_probe(target: str) -> bool:
    """Whether it is named as `ctwatch simulate` names what it strikes at."""
    return _PROBES.match(target) is not None


def unpack(invocation: Any) -> list[Event]:
    """Every event in what Lambda was invoked with; never empty.

    SNS hands over one record today; all that come are read.
    https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
    """
    records = mapping(invocation).get("Records")
    if isinstance(records, list) and records:
        return [_from_sns(record) for record in records]
    return [_from_eventbridge(invocation)]


def _from_sns(record: Any) -> Event:
    sns = mapping(mapping(record).get("Sns"))
    message, key = sns.get("Message"), string(sns.get("MessageId"))
    if not isinstance(message, str):
        return _unreadable("no_record", record, key)
    try:
        envelope = json.loads(message)
    except (ValueError, RecursionError):
        return _unreadable("no_json", message, key)
    return _from_eventbridge(envelope, key)


def _from_eventbridge(envelope: Any, key: str = "") -> Event:
    detail = mapping(mapping(envelope).get("detail"))
    if _is_object_deleted(mapping(envelope)):
        event = _read_object(detail, envelope, key)
    elif detail.get("eventType") == "AwsCloudTrailInsight":
        event = _read_insight(detail, envelope, key)
    elif any(detail.get(known) for known in _CLOUDTRAIL_KEYS):
        event = _read(detail, envelope, key)
    else:
        event = _unreadable("no_record", envelope, key)
    event = replace(event, envelope=mapping(envelope))
    return _marked(event) if _is_synthetic(mapping(envelope)) else event


def _is_synthetic(envelope: dict[str, Any]) -> bool:
    return mapping(envelope.get("ctwatch")).get("synthetic") is True


def _marked(event: Event) -> Event:
    return replace(event, synthetic=True, key=event.key and f"synthetic:{event.key}")


def _unreadable(reason: str, body: Any, key: str) -> Event:
    return Event(key=key, unreadable=reason, excerpt=text(body))


def _read(detail: dict[str, Any], envelope: dict[str, Any], key: str) -> Event:
    identity = mapping(detail.get("userIdentity"))
    name, source = text(detail.get("eventName")), text(detail.get("eventSource"))
    asked, code = detail.get("requestParameters"), text(detail.get("errorCode"))
    common = _common(detail, envelope, key)
    home = text(identity.get("accountId"))
    targets, trails = _targets(asked), _trails(asked, source)
    about = (*targets, *_resources(detail))
    return replace(
        common,
        kind=SIGN_IN if detail.get("eventType") == "AwsConsoleSignIn" else CALL,
        request_id=text(detail.get("requestID")),
        name=name,
        source=source,
        actor=_actor(identity),
        hidden=identity.get("userName") == _HIDDEN_NAME,
        identity=text(identity.get("type")),
        issuer=_issuer(identity),
        home=home if home != common.account else "",
        mfa=_mfa(detail, identity),
        ip=text(detail.get("sourceIPAddress")),
        agent=text(detail.get("userAgent")),
        trail=trails[0] if trails else "",
        trail_arn=_trail_arn(detail, trails),
        target="" if trails else first(*about),
        targets=about,
        result=_result(detail),
        code=code,
        error=text(detail.get("errorMessage")),
        requested=_requested(asked),
        changes=changes(source, name, asked),
        consequences=consequences(source, name, asked),
        drill=bool(targets and code) and all(map(is_probe, targets)),
    )


def _common(detail: dict[str, Any], envelope: dict[str, Any], key: str) -> Event:
    """What every CloudTrail record says, and its envelope where it does not."""
    return Event(
        key=string(detail.get("eventID")) or string(envelope.get("id")) or key,
        id=text(detail.get("eventID")),
        time=text(detail.get("eventTime")) or text(envelope.get("time")),
        region=text(detail.get("awsRegion")) or text(envelope.get("region")),
        account=text(detail.get("recipientAccountId")) or text(envelope.get("account")),
    )


def _read_insight(detail: dict[str, Any], envelope: dict[str, Any], key: str) -> Event:
    """An unusual rate of calls or errors; who made them stands among the attributions.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-insight-details.html
    """
    details = mapping(detail.get("insightDetails"))
    error = text(details.get("errorCode"))
    return replace(
        _common(detail, envelope, key),
        kind=INSIGHT,
        name=text(details.get("eventName")),
        source=text(details.get("eventSource")),
        state=text(details.get("state")),
        actor=_attributed(details, "userIdentityArn"),
        agent=_attributed(details, "userAgent"),
        target=" ".join(filter(None, [text(details.get("eventSource")), error])),
        changes=insight_changes(details),
    )


def _attributed(details: dict[str, Any], attribute: str) -> str:
    """Who stood behind most of the unusual calls: the first of the list."""
    found = listing(mapping(details.get("insightContext")).get("attributions"))
    lists = [mapping(one).get("insight") for one in found if _is_about(one, attribute)]
    return first(*(mapping(one).get("value") for each in lists for one in listing(each)))


def _is_about(attribution: Any, attribute: str) -> bool:
    return bool(mapping(attribution).get("attribute") == attribute)


def _is_object_deleted(envelope: dict[str, Any]) -> bool:
    said = (envelope.get("source"), envelope.get("detail-type"))
    return said == ("aws.s3", "Object Deleted")


def _read_object(detail: dict[str, Any], envelope: dict[str, Any], key: str) -> Event:
    """S3's notification: no CloudTrail record, and no identity but the requester's account.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    bucket = text(mapping(detail.get("bucket")).get("name"))
    deleted = mapping(detail.get("object"))
    how = {"reason": detail.get("reason"), "version-id": deleted.get("version-id")}
    kind = text(detail.get("deletion-type"))
    return Event(
        kind=OBJECT,
        key=string(envelope.get("id")) or key,
        id=text(envelope.get("id")),
        request_id=text(detail.get("request-id")),
        name="Object Deleted",
        source="s3.amazonaws.com",
        time=text(envelope.get("time")),
        region=text(envelope.get("region")),
        account=text(envelope.get("account")),
        actor=text(detail.get("requester")),
        ip=text(detail.get("source-ip-address")),
        target=bucket and f"{bucket}/{text(deleted.get('key'))}",
        targets=(bucket,) if bucket else (),
        requested=text({key: value for key, value in how.items() if value} or None),
        changes=(Change("change.deletion", kind),) if kind else (),
        consequences=frozenset({"lost_for_good"} if kind == "Permanently Deleted" else ()),
    )


def _actor(identity: dict[str, Any]) -> str:
    """Who: what each type of identity has to say is documented with userIdentity.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
    """
    issuer = mapping(mapping(identity.get("sessionContext")).get("sessionIssuer"))
    return first(
        identity.get("arn"),
        issuer.get("arn"),
        identity.get("userName"),
        mapping(identity.get("onBehalfOf")).get("userId"),
        identity.get("invokedBy"),
        identity.get("principalId"),
        identity.get("type"),
    )


def _issuer(identity: dict[str, Any]) -> str:
    issuer = mapping(mapping(identity.get("sessionContext")).get("sessionIssuer"))
    return first(
        issuer.get("arn"),
        issuer.get("userName"),
        mapping(identity.get("onBehalfOf")).get("identityStoreArn"),
        identity.get("identityProvider"),
    )


def _mfa(detail: dict[str, Any], identity: dict[str, Any]) -> str:
    """A console sign-in says it in additionalEventData, a session in its attributes.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-aws-console-sign-in-events.html
    """
    attributes = mapping(mapping(identity.get("sessionContext")).get("attributes"))
    said = first(
        mapping(detail.get("additionalEventData")).get("MFAUsed"),
        attributes.get("mfaAuthenticated"),
    )
    return {"yes": "yes", "true": "yes", "no": "no", "false": "no"}.get(said.lower(), "")


def _result(detail: dict[str, Any]) -> str:
    """A failed console sign-in has no errorCode, only a message and `ConsoleLogin: Failure`."""
    code = text(detail.get("errorCode"))
    if _DENIAL.search(code):
        return DENIED
    answers = mapping(detail.get("responseElements")).values()
    if code or detail.get("errorMessage") or "Failure" in answers:
        return FAILED
    return SUCCEEDED


def _targets(asked: Any) -> list[str]:
    within = mapping(mapping(asked).get("ModifySecurityGroupRulesRequest"))  # so EC2 records it
    named = [*(mapping(asked).get(key) for key in _TARGET_KEYS), within.get("GroupId")]
    lists = (name if isinstance(name, list) else [name] for name in named if name)
    return [text(name) for names in lists for name in names]


def _resources(detail: dict[str, Any]) -> list[str]:
    """The ARNs that the service itself names; KMS often names the key there alone."""
    named = (string(mapping(one).get("ARN")) for one in listing(detail.get("resources")))
    return list(filter(None, named))


def _trails(asked: Any, source: str) -> list[str]:
    """What the call names as its trail; `name` is something else to another service."""
    if source not in {"", "cloudtrail.amazonaws.com"}:
        return []
    named = (mapping(asked).get(key) for key in _TRAIL_KEYS)
    return [text(name) for name in named if name]


def _trail_arn(detail: dict[str, Any], targets: list[str]) -> str:
    answered = text(mapping(detail.get("responseElements")).get("trailARN"))
    typed = [target for target in targets if target.startswith("arn:")]
    return answered or (typed[0] if typed else "")


def _requested(asked: Any) -> str:
    """What was asked for besides the name. The record never says what was before."""
    if isinstance(asked, dict):
        asked = {key: value for key, value in asked.items() if key not in _TRAIL_KEYS}
    return text(asked) if asked else ""
