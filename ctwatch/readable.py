"""A rule's words for people: the InputTransformer that makes a mail of an event without any code.

A transformer knows no conditions and no time zones: the labels are fixed, the time is UTC, the
result is the raw code, and where an event lacks a field the line stays and is empty. Which lines
there are therefore follows from what the rule listens for: only where CloudTrail's own calls are
told is a trail spoken of, and only where there is a request, its id. Every line is a string of its
own, or EventBridge would run them together; it delivers them in their quotation marks, and escapes
nothing that it puts between them.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html

So the head of a mail, down to the event id and the link to it, holds AWS's own words alone: what
a caller types (the name of a trail, a session, an object) comes after it, and may look like more
lines or another link. From there on nothing is certain but by opening the event.

The event id is always among the lines, the request id and the name of what was touched wherever
they are recorded: by these a drill finds its own. The user agent is not, which a caller chooses
freely and at length: SNS sends no text message of more than 1,600 characters.
https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-topic.html

Pure.
"""

from collections.abc import Mapping
from typing import Any, Literal

from ctwatch.detections import Detection, Language
from ctwatch.diff import State

_Line = tuple[str, str, str]
"""The label in Korean, in English, and the template of the value."""

_Subject = Literal["trail", "call", "signin", "object", "insight"]
"""What an event is about: a call of CloudTrail's, any call, a sign-in at the console, S3's own
notice of an object, an Insights event."""

_PATHS: dict[str, str] = {
    "event": "$.detail.eventName",
    "code": "$.detail.errorCode",
    "from": "$.detail.eventSource",
    "signin": "$.detail.responseElements.ConsoleLogin",
    "switch": "$.detail.responseElements.SwitchRole",
    "name": "$.detail.requestParameters.name",
    "trail": "$.detail.requestParameters.trailName",
    "rule": "$.detail.requestParameters.rule",
    "topic": "$.detail.requestParameters.topicArn",
    "subscription": "$.detail.requestParameters.subscriptionArn",
    "function": "$.detail.requestParameters.functionName",
    "bucketName": "$.detail.requestParameters.bucketName",
    "role": "$.detail.requestParameters.roleName",
    "roleArn": "$.detail.requestParameters.roleArn",
    "logs": "$.detail.requestParameters.logGroupName",
    "logsToo": "$.detail.requestParameters.logGroupIdentifier",
    "queue": "$.detail.requestParameters.queueUrl",
    "alias": "$.detail.requestParameters.aliasName",
    "keyId": "$.detail.requestParameters.keyId",
    "table": "$.detail.requestParameters.tableName",
    "group": "$.detail.requestParameters.groupId",
    "groupToo": "$.detail.requestParameters.ModifySecurityGroupRulesRequest.GroupId",
    "detector": "$.detail.requestParameters.detectorId",
    "recorder": "$.detail.requestParameters.configurationRecorderName",
    "recorderToo": "$.detail.requestParameters.configurationRecorderArn",
    "recorderPut": "$.detail.requestParameters.configurationRecorder.name",
    "channelName": "$.detail.requestParameters.deliveryChannelName",
    "channelPut": "$.detail.requestParameters.deliveryChannel.name",
    "leaver": "$.detail.requestParameters.accountId",
    "admin": "$.detail.requestParameters.adminAccountId",
    "member": "$.detail.requestParameters.memberAccountId",
    "delegate": "$.detail.requestParameters.delegatedAdminAccountId",
    "store": "$.detail.requestParameters.eventDataStore",
    "channel": "$.detail.requestParameters.channel",
    "import": "$.detail.requestParameters.importId",
    "names": "$.detail.requestParameters.names",
    "resourceId": "$.detail.requestParameters.resourceId",
    "identifier": "$.detail.requestParameters.resourceIdentifier",
    "resource": "$.detail.requestParameters.resourceArn",
    "at": "$.detail.eventTime",
    "actor": "$.detail.userIdentity.arn",
    "type": "$.detail.userIdentity.type",
    "service": "$.detail.userIdentity.invokedBy",
    "ip": "$.detail.sourceIPAddress",
    "session": "$.detail.userIdentity.sessionContext.attributes.mfaAuthenticated",
    "login": "$.detail.additionalEventData.MFAUsed",
    "region": "$.detail.awsRegion",
    "account": "$.account",
    "id": "$.detail.eventID",
    "request": "$.detail.requestID",
    "envelope": "$.id",
    "sent": "$.time",
    "where": "$.region",
    "bucket": "$.detail.bucket.name",
    "key": "$.detail.object.key",
    "version": "$.detail.object.version-id",
    "reason": "$.detail.reason",
    "deletion": "$.detail.deletion-type",
    "requester": "$.detail.requester",
    "address": "$.detail.source-ip-address",
    "observed": "$.detail.insightDetails.eventName",
    "of": "$.detail.insightDetails.eventSource",
    "kind": "$.detail.insightDetails.insightType",
    "state": "$.detail.insightDetails.state",
}

# Of these a call has one, as a rule, and what it does not have is empty; what may stand beside
# another is set apart.
_TRAIL = "<name><trail>"
_OF_TRAILS = "<resource><resourceId><store><channel><import><member><delegate>"
_OF_OTHERS = (
    "<rule><topic><subscription><function><bucketName><role><logs><logsToo><queue><alias><keyId>"
    "<table><group><groupToo><recorder><recorderToo><recorderPut><channelName><channelPut><leaver>"
    "<admin><identifier><names> <detector><roleArn>"
)

_EVENT: _Line = ("이벤트", "Event", "<event>")
_RESULT: _Line = ("결과(비어 있으면 성공)", "Result (empty: it succeeded)", "<signin><code>")
_WHO: tuple[_Line, ...] = (
    ("발생 시각(UTC)", "Time (UTC)", "<at>"),
    ("행위자", "Actor", "<actor><service>"),
    ("자격 증명", "Identity", "<type>"),
    ("MFA(비어 있으면 기록 없음)", "MFA (empty: not recorded)", "<session><login>"),
    ("소스 IP", "Source IP", "<ip>"),
)
_WHERE: tuple[_Line, ...] = (("리전", "Region", "<region>"), ("계정", "Account", "<account>"))
_ID: _Line = ("이벤트 ID", "Event ID", "<id>")
_REQUEST: _Line = ("요청 ID", "Request ID", "<request>")

_HEADS: dict[_Subject, tuple[_Line, ...]] = {
    "trail": (_EVENT, _RESULT, _ID),
    "call": (("이벤트", "Event", "<event> (<from>)"), _RESULT, _ID),
    "signin": (_EVENT, ("결과", "Result", "<signin><switch>"), _ID),
    "object": (("버킷", "Bucket", "<bucket>"), ("이벤트 ID", "Event ID", "<envelope>")),
    "insight": (
        ("이벤트", "Event", "<kind>: <observed> (<of>)"),
        ("상태", "State", "<state>"),
        _ID,
    ),
}
"""What AWS alone words; nothing here was typed by a caller."""

_LINES: dict[_Subject, tuple[_Line, ...]] = {
    "trail": (
        ("추적", "Trail", _TRAIL),
        ("그 밖의 대상", "Other target", _OF_TRAILS),
        *(*_WHO, *_WHERE, _REQUEST),
    ),
    "call": (
        ("대상", "Target", _TRAIL + _OF_TRAILS + _OF_OTHERS),
        *(*_WHO, *_WHERE, _REQUEST),
    ),
    "signin": (*_WHO, *_WHERE),
    "object": (
        ("객체", "Object", "<key>"),
        ("버전", "Version", "<version>"),
        ("삭제 방식", "How", "<reason>, <deletion>"),
        ("발생 시각(UTC)", "Time (UTC)", "<sent>"),
        ("요청한 계정 또는 서비스", "Requesting account or service", "<requester>"),
        ("소스 IP", "Source IP", "<address>"),
        ("리전", "Region", "<where>"),
        ("계정", "Account", "<account>"),
    ),
    "insight": (("발생 시각(UTC)", "Time (UTC)", "<at>"), *_WHERE),
}

# A host of AWS's own, and no region in it: what stands in an event must not lead elsewhere.
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}

_SEVERITY = {"ko": "심각도", "en": "severity"}
_IF_DONE = {"ko": "성공했을 때 심각도", "en": "severity if it succeeded"}
_LEVELS = {
    "ko": {"low": "낮음", "medium": "보통", "high": "높음", "critical": "심각"},
    "en": {level: level for level in ("low", "medium", "high", "critical")},
}


def transformer(
    detection: Detection,
    pattern: Mapping[str, Any],
    language: Language,
    watch: str,
    partition: str = "aws",
) -> State:
    """The InputTransformer of a rule's topic target, as PutTargets takes it.

    Args:
        detection: whose title and severity stand in the first line.
        pattern: the rule's, from which follows what its events are about.
        language: of the labels.
        watch: the name of the watch, which signs.
        partition: whose console shows the event.
    """
    subject, column = _subject(pattern), ("ko", "en").index(language)
    severity = _IF_DONE if _may_fail(subject, pattern) else _SEVERITY
    level = _LEVELS[language][detection.severity]
    head = f"{detection.title[language]} ({severity[language]}: {level})"
    shown = (*_HEADS[subject], *_link(subject, partition), *_LINES[subject])
    lines = [f"{line[column]}: {line[2]}" for line in shown]
    used = {name for name in _PATHS if any(f"<{name}>" in line for line in lines)}
    return {
        "InputPathsMap": {name: path for name, path in _PATHS.items() if name in used},
        "InputTemplate": "\n".join(map(_quoted, (_plain(head), *lines, f"ctwatch · {watch}"))),
    }


def _link(subject: _Subject, partition: str) -> tuple[_Line, ...]:
    """The event in CloudTrail's event history, where it is a record."""
    page = f"https://{_CONSOLES[partition]}/cloudtrailv2/home?region=<region>#/events/<id>"
    return (
        (("AWS 콘솔에서 보기", "See it in the AWS console", page),) if subject != "object" else ()
    )


def _plain(text: str) -> str:
    """Text in which nothing stands that a template would take for its own."""
    return text.translate({ord("<"): "(", ord(">"): ")", ord('"'): "'", ord("\\"): "/"})


def _quoted(line: str) -> str:
    return f'"{line}"'


_SIGN_INS = {"AWS Console Sign In via CloudTrail", "AWS Console Signin via CloudTrail"}


def _subject(pattern: Mapping[str, Any]) -> _Subject:
    """What the events of a pattern are about."""
    types = {one for one in pattern.get("detail-type", []) if isinstance(one, str)}
    if "Object Deleted" in types:
        return "object"
    if "AWS Insight via CloudTrail" in types:
        return "insight"
    if types and types <= _SIGN_INS:
        return "signin"
    return "trail" if pattern.get("source") == ["aws.cloudtrail"] else "call"


def _may_fail(subject: _Subject, pattern: Mapping[str, Any]) -> bool:
    """Whether what is told may have been a mere attempt; a failure that is sought is no attempt."""
    answer = pattern.get("detail", {}).get("responseElements")
    return subject in {"trail", "call", "signin"} and not answer
