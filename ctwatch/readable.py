"""A rule's words for people: the InputTransformer that makes a mail of an event without any code.

A transformer knows no conditions and no time zones: the labels are fixed, the time is UTC, the
result is the raw code, and where an event lacks a field the line stays and is empty. Every line is
a string of its own, or EventBridge would run them together; it delivers them in their quotation
marks. Event id, request id and trail are always among the lines, by which a drill finds its own.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html

Pure.
"""

from typing import Literal

from ctwatch.detections import Detection, Language
from ctwatch.diff import State

_Line = tuple[str, str, str]
"""The label in Korean, in English, and the template of the value."""

Subject = Literal["record", "object", "insight"]
"""What an event is about: a call or sign-in, S3's own notice of an object, an Insights event."""

_PATHS: dict[str, str] = {
    "event": "$.detail.eventName",
    "code": "$.detail.errorCode",
    "signin": "$.detail.responseElements.ConsoleLogin",
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
    "queue": "$.detail.requestParameters.queueUrl",
    "keyId": "$.detail.requestParameters.keyId",
    "table": "$.detail.requestParameters.tableName",
    "group": "$.detail.requestParameters.groupId",
    "detector": "$.detail.requestParameters.detectorId",
    "recorder": "$.detail.requestParameters.configurationRecorderName",
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

# Of these a call has one, as a rule; what it does not have is empty.
_TARGETS = (
    "<rule><topic><subscription><function><bucketName><role><roleArn><logs><queue><keyId><table>"
    "<group><detector><recorder><resource>"
)

_LINES: dict[Subject, tuple[_Line, ...]] = {
    "record": (
        ("이벤트", "Event", "<event>"),
        ("결과(비어 있으면 성공)", "Result (empty: it succeeded)", "<signin> <code>"),
        ("추적", "Trail", "<name><trail>"),
        ("대상", "Target", _TARGETS),
        ("발생 시각(UTC)", "Time (UTC)", "<at>"),
        ("행위자", "Actor", "<actor><service>"),
        ("자격 증명", "Identity", "<type>"),
        ("MFA", "MFA", "<session><login>"),
        ("소스 IP", "Source IP", "<ip>"),
        ("리전", "Region", "<region>"),
        ("계정", "Account", "<account>"),
        ("이벤트 ID", "Event ID", "<id>"),
        ("요청 ID", "Request ID", "<request>"),
    ),
    "object": (
        ("버킷", "Bucket", "<bucket>"),
        ("객체", "Object", "<key>"),
        ("버전", "Version", "<version>"),
        ("삭제 방식", "How", "<reason>, <deletion>"),
        ("요청자", "Requester", "<requester>"),
        ("발생 시각(UTC)", "Time (UTC)", "<sent>"),
        ("소스 IP", "Source IP", "<address>"),
        ("리전", "Region", "<where>"),
        ("계정", "Account", "<account>"),
        ("이벤트 ID", "Event ID", "<envelope>"),
    ),
    "insight": (
        ("이벤트", "Event", "<kind>: <observed> (<of>)"),
        ("상태", "State", "<state>"),
        ("발생 시각(UTC)", "Time (UTC)", "<at>"),
        ("리전", "Region", "<region>"),
        ("계정", "Account", "<account>"),
        ("이벤트 ID", "Event ID", "<id>"),
    ),
}

_SEVERITY = {"ko": "성공했을 때 심각도", "en": "severity if it succeeded"}
_LEVELS = {
    "ko": {"low": "낮음", "medium": "보통", "high": "높음", "critical": "심각"},
    "en": {level: level for level in ("low", "medium", "high", "critical")},
}


def transformer(detection: Detection, subject: Subject, language: Language, watch: str) -> State:
    """The InputTransformer of a rule's topic target, as PutTargets takes it.

    Args:
        detection: whose title and severity stand in the first line.
        subject: what the rule's events are about.
        language: of the labels.
        watch: the name of the watch, which signs.
    """
    level = _LEVELS[language][detection.severity]
    head = f"{detection.title[language]} ({_SEVERITY[language]}: {level})"
    column = ("ko", "en").index(language)
    lines = [f"{line[column]}: {line[2]}" for line in _LINES[subject]]
    used = {name for name in _PATHS if any(f"<{name}>" in line for line in lines)}
    return {
        "InputPathsMap": {name: path for name, path in _PATHS.items() if name in used},
        "InputTemplate": "\n".join(map(_quoted, (_plain(head), *lines, f"ctwatch · {watch}"))),
    }


def _plain(text: str) -> str:
    """Text in which nothing stands that a template would take for its own."""
    return text.translate({ord("<"): "(", ord(">"): ")", ord('"'): "'", ord("\\"): "/"})


def _quoted(line: str) -> str:
    return f'"{line}"'


def subject_of(detail_types: list[str]) -> Subject:
    """What the events of a pattern with these detail-types are about."""
    if "Object Deleted" in detail_types:
        return "object"
    return "insight" if "AWS Insight via CloudTrail" in detail_types else "record"
