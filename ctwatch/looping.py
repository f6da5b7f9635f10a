"""What the watch itself does to deliver an alert or a log file, as it is told to EventBridge.

A rule that tells of any of it tells for ever: of its own alert, and of the alert about that; or of
log files, which come about every five minutes, alert or no alert. So each call is held against each
rule before anything is built, as a whole record of the documented shape, with the line of the
config that leaves it out.

    the notifier starts          sts:AssumeRole by Lambda, logs:CreateLogStream
    it fetches its secrets       ssm:GetParameter, and the kms:Decrypt that makes
    an event is forwarded        sts:AssumeRole by EventBridge
    the topic has a key          kms:GenerateDataKey, kms:Decrypt
    an event is handed on        sns:Publish, sqs:SendMessage, lambda:Invoke

    CloudTrail files a log       s3:PutObject, and S3's Object Created where the bucket announces it
    the log has a key            kms:GenerateDataKey
    CloudWatch Logs gets it      sts:AssumeRole and logs:PutLogEvents by CloudTrail
    a topic is told of it        sns:Publish, and kms:GenerateDataKey, kms:Decrypt with its key

What hands an event on is a data event, and so are s3:PutObject and logs:PutLogEvents: only a trail
that logs those records them, and this watch's own does not; another trail of the account may.
CloudTrail's log stream is made once and lasts, so that telling of it is not endless.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html

Pure.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ctwatch.detections import Names

_LAMBDA, _EVENTS, _SNS, _TRAIL = (
    f"{one}.amazonaws.com" for one in ("lambda", "events", "sns", "cloudtrail")
)


@dataclass(frozen=True)
class Doing:
    """One call that an alert, or a log file, brings with it.

    Attributes:
        call: "logs:CreateLogStream".
        event: the whole EventBridge event of it.
        actor: the ARN under `except.actors` that leaves it out; "" where a service makes the call.
        service: what under `except.ips` leaves it out; "" where a role makes the call. Neither is
            there where nothing leaves it out.
        by_itself: whether it comes with each log file, whether or not there was an alert.
    """

    call: str
    event: Mapping[str, Any]
    actor: str = ""
    service: str = ""
    by_itself: bool = False

    @property
    def reading(self) -> bool:
        """Whether only a rule that also gets read-only events can match it."""
        return bool(self.event["detail"].get("readOnly"))

    @property
    def data(self) -> bool:
        """Whether only a trail that logs data events records it."""
        return bool(self.event["detail"].get("eventCategory") == "Data")


def doings(
    names: Names, *, notified: bool, publishing: bool, encrypted: bool, forwarded: bool
) -> tuple[Doing, ...]:
    """What a watch does for an alert.

    Args:
        names: what this watch's own is called, as in `ctwatch.detections.SAMPLE`.
        notified: whether it has a function.
        publishing: whether that writes the mails, and so publishes to the topic.
        encrypted: whether the topic has a key.
        forwarded: whether some of its rules are in another region.
    """
    by_service, by_function = _Recorder(names), _Recorder(names)
    found = list(_handing_on(names, by_service, notified=notified))
    notifier, forwarder, *_ = (str(one) for one in names["roles"])
    if forwarded:
        found.append(by_service.assumes(forwarder, _EVENTS, "events"))
    if notified:
        found.append(by_service.assumes(notifier, _LAMBDA, f"{names['function']}"))
        found += _at_work(names, by_function)
    if encrypted:
        found += _unlocking(by_service)
    if publishing:
        asked = {"topicArn": names["topic_arn"]}
        found.append(by_function.does("sns", "Publish", asked, reading=False, data=True))
    return tuple(found)


def filings(  # noqa: PLR0913 - one for each wish of the config
    names: Names, *, encrypted: bool, announced: bool, logged: bool, told: bool, sealed: bool
) -> tuple[Doing, ...]:
    """What CloudTrail does for each log file of a watch.

    Args:
        names: as for `doings`, and with the role by which CloudTrail writes to a log group as the
            last of `roles`.
        encrypted: whether the log files have a key, the first of `keys`.
        announced: whether the log bucket tells EventBridge of its objects.
        logged: whether CloudWatch Logs gets it too, in the last of `log_groups`.
        told: whether a topic is told of it.
        sealed: whether that topic has a key.
    """
    record = _Recorder(names)
    found = [_filed(names, record)]
    if encrypted:
        found.append(_unlocked_log(names, record))
    if announced:
        found.append(record.announces(_log_file(names)))
    if logged:
        found += _copied(names, record)
    if told:
        found += _told(record, sealed=sealed)
    return tuple(replace(one, by_itself=True) for one in found)


def _log_file(names: Names) -> str:
    """The key of a log file.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-examples.html
    """
    account, region = names["account"], names["region"]
    name = f"{account}_CloudTrail_{region}_20260302T0410Z_1a2b3c4d5e6f7a8b.json.gz"
    return f"AWSLogs/{account}/CloudTrail/{region}/2026/03/02/{name}"


def _filed(names: Names, record: "_Recorder") -> Doing:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html."""
    asked = {"bucketName": names["bucket"], "key": _log_file(names)}
    asked |= {"x-amz-acl": "bucket-owner-full-control"}
    return record.serves("s3", "PutObject", asked, _TRAIL)


def _unlocked_log(names: Names, record: "_Recorder") -> Doing:
    """S3 asks for a data key on behalf of CloudTrail, each time.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-kms-works-with-cloudtrail.html
    """
    file = f"{names['bucket_arn']}/{_log_file(names)}"
    context = {"aws:cloudtrail:arn": names["trail_arn"], "aws:s3:arn": file}
    asked = {"keyId": names["keys"][0], "keySpec": "AES_256", "encryptionContext": context}
    return record.serves("kms", "GenerateDataKey", asked, _TRAIL, data=False)


def _copied(names: Names, record: "_Recorder") -> Iterator[Doing]:
    """CloudTrail takes on its role, for an hour at most, and writes under it.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/send-cloudtrail-events-to-cloudwatch-logs.html
    """
    role, session = str(names["roles"][-1]), "CLOUDWATCH_LOGS_DELIVERY_SESSION"
    yield record.assumes(role, _TRAIL, session)
    stream = f"{names['account']}_CloudTrail_{names['region']}"
    asked = {"logGroupName": names["log_groups"][-1], "logStreamName": stream}
    writer = _Recorder(names, role=role, session=session)
    yield writer.does("logs", "PutLogEvents", asked, reading=False, data=True, within=_TRAIL)


def _told(record: "_Recorder", *, sealed: bool) -> Iterator[Doing]:
    """CloudTrail tells the topic for that, which is not that of the alerts.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-permissions-for-sns-notifications.html
    """
    yield record.serves("sns", "Publish", {"topicArn": record.names["deliveries_arn"]}, _TRAIL)
    for call in ("GenerateDataKey", "Decrypt") if sealed else ():
        asked = {"encryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        yield record.serves("kms", call, asked, _TRAIL, data=False)


def _handing_on(names: Names, record: "_Recorder", *, notified: bool) -> Iterator[Doing]:
    """What EventBridge and SNS are recorded to do for the watch, whatever its route.

    https://docs.aws.amazon.com/sns/latest/dg/logging-using-cloudtrail.html
    https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-logging-using-cloudtrail.html
    """
    yield record.serves("sns", "Publish", {"topicArn": names["topic_arn"]}, _EVENTS)
    for service in (_EVENTS, _SNS):
        yield record.serves("sqs", "SendMessage", {"queueUrl": names["queue_urls"][0]}, service)
        if notified:
            yield record.serves(
                "lambda", "Invoke", {"functionName": names["function_arn"]}, service
            )


def _unlocking(record: "_Recorder") -> Iterator[Doing]:
    """What EventBridge and SNS do with the topic's key.

    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """
    for call in ("GenerateDataKey", "Decrypt"):
        for service in (_EVENTS, _SNS):
            asked = {"encryptionAlgorithm": "SYMMETRIC_DEFAULT"}
            yield record.serves("kms", call, asked, service, data=False)


def _at_work(names: Names, record: "_Recorder") -> Iterator[Doing]:
    """What the notifier does under its own role.

    https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
    """
    stream = "2026/03/02/[$LATEST]0a1b2c3d4e5f60718293a4b5c6d7e8f9"
    asked = {"logGroupName": f"/aws/lambda/{names['function']}", "logStreamName": stream}
    yield record.does("logs", "CreateLogStream", asked, reading=False)
    yield record.does("logs", "PutLogEvents", asked, reading=False, data=True)
    for name in names["parameters"]:
        yield record.does("ssm", "GetParameter", {"name": name, "withDecryption": True})
        where = f"arn:{record.partition}:ssm:{record.region}:{record.account}:parameter{name}"
        context = {"PARAMETER_ARN": where}
        sealed = {"encryptionAlgorithm": "SYMMETRIC_DEFAULT", "encryptionContext": context}
        yield record.does("kms", "Decrypt", sealed, within="AWS Internal")
    failed = {"queueUrl": names["queue_urls"][1]}
    yield record.does("sqs", "SendMessage", failed, reading=False, data=True)


class _Recorder:
    """Writes records as CloudTrail does: of a role's session, the notifier's, or of a service.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
    """

    def __init__(self, names: Names, *, role: str = "", session: str = "") -> None:
        self.names = names
        self.acting = role or str(names["roles"][0])
        self.session = session or str(names["function"])
        self.account, self.region = f"{names['account']}", f"{names['region']}"
        self.partition = str(names["topic_arn"]).split(":")[1]

    def assumes(self, role: str, service: str, session: str) -> Doing:
        """A service takes on a role of the watch."""
        asked = {"roleArn": self._role(role), "roleSessionName": session}
        return Doing(
            "sts:AssumeRole",
            self._event("sts", "AssumeRole", asked, self._service(service), reading=True),
            service=service,
        )

    def serves(
        self, service: str, name: str, asked: Mapping[str, Any], by: str, *, data: bool = True
    ) -> Doing:
        """A service does its part; what is no data event only reads."""
        detail = self._service(by)
        event = self._event(service, name, asked, detail, reading=not data, data=data)
        return Doing(f"{service}:{name}", event, service=by)

    def does(  # noqa: PLR0913 - the parts of one record
        self,
        service: str,
        name: str,
        asked: Mapping[str, Any],
        *,
        reading: bool = True,
        data: bool = False,
        within: str = "",
    ) -> Doing:
        """The session calls; `within` is what AWS calls itself when it makes the call for it."""
        actor = self._role(self.acting)
        detail = self._within(within) if within else self._outside
        event = self._event(service, name, asked, detail, reading=reading, data=data)
        return Doing(f"{service}:{name}", event, actor=actor)

    def announces(self, key: str) -> Doing:
        """S3 says that there is a new object, which is no call and names nobody.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
        """
        detail = {
            "version": "0",
            "bucket": {"name": self.names["bucket"]},
            "object": {"key": key, "size": 2048, "etag": "d41d8cd98f00b204e9800998ecf8427e"},
            "request-id": "0BH729840619AG5K",
            "requester": _TRAIL,
            "source-ip-address": "203.0.113.24",
            "reason": "PutObject",
        }
        return Doing("S3's Object Created", self._envelope("s3", "Object Created", detail))

    def _role(self, name: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"

    @functools.cached_property
    def _outside(self) -> dict[str, Any]:
        """The session of the role; that of the notifier's is called as the function is."""
        role, session = self.acting, self.session
        issuer = {
            "type": "Role",
            "principalId": "AROAEXAMPLEEXAMPLE00",
            "arn": self._role(role),
            "accountId": self.account,
            "userName": role,
        }
        attributes = {"creationDate": "2026-03-02T04:11:00Z", "mfaAuthenticated": "false"}
        identity = {
            "type": "AssumedRole",
            "principalId": f"AROAEXAMPLEEXAMPLE00:{session}",
            "arn": f"arn:{self.partition}:sts::{self.account}:assumed-role/{role}/{session}",
            "accountId": self.account,
            "accessKeyId": "ASIAEXAMPLEEXAMPLE00",
            "sessionContext": {"sessionIssuer": issuer, "attributes": attributes},
        }
        return {
            "userIdentity": identity,
            "sourceIPAddress": "203.0.113.24",
            "userAgent": "Boto3/1.40.0 md/Botocore#1.40.0 exec-env/AWS_Lambda_python3.13",
        }

    def _within(self, by: str) -> dict[str, Any]:
        identity = {**self._outside["userIdentity"], "invokedBy": by}
        return {"userIdentity": identity, "sourceIPAddress": by, "userAgent": by}

    @staticmethod
    def _service(name: str) -> dict[str, Any]:
        return {
            "userIdentity": {"type": "AWSService", "invokedBy": name},
            "sourceIPAddress": name,
            "userAgent": name,
        }

    def _event(  # noqa: PLR0913 - the parts of one record
        self,
        service: str,
        name: str,
        asked: Mapping[str, Any],
        by: Mapping[str, Any],
        *,
        reading: bool,
        data: bool = False,
    ) -> dict[str, Any]:
        detail = {
            "eventVersion": "1.11",
            **by,
            "eventTime": "2026-03-02T04:11:09Z",
            "eventSource": f"{service}.amazonaws.com",
            "eventName": name,
            "awsRegion": self.region,
            "requestParameters": dict(asked),
            "responseElements": None,
            "requestID": "0b4c9f0e-63d5-4b1f-8a1c-3f6d0f9b7e21",
            "eventID": "6a9e1f7c-2d7b-47c5-9d0f-7b1f7a3f4c55",
            "readOnly": reading,
            "eventType": "AwsApiCall",
            "managementEvent": not data,
            "recipientAccountId": self.account,
            "eventCategory": "Data" if data else "Management",
        }
        return self._envelope(service, "AWS API Call via CloudTrail", detail)

    def _envelope(self, service: str, kind: str, detail: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "version": "0",
            "id": "3f0d1b6c-6f6e-4c1e-9a43-5a3f5c1f2a10",
            "detail-type": kind,
            "source": f"aws.{service}",
            "account": self.account,
            "time": "2026-03-02T04:11:09Z",
            "region": self.region,
            "resources": [],
            "detail": detail,
        }
