"""What the watch itself does to deliver an alert, as CloudTrail records it.

A rule that tells of any of it tells of its own alert, and of the alert about that, for ever. So
each call is held against each rule before anything is built, as a whole record of the documented
shape, with the line of the config that leaves it out.

    the notifier starts          sts:AssumeRole by Lambda, logs:CreateLogStream
    it fetches its secrets       ssm:GetParameter, and the kms:Decrypt that makes
    an event is forwarded        sts:AssumeRole by EventBridge
    the topic has a key          kms:GenerateDataKey, kms:Decrypt
    an event is handed on        sns:Publish, sqs:SendMessage, lambda:Invoke

The last are data events, and so is logs:PutLogEvents: only a trail that logs those records them,
and this watch's own does not; another trail of the account may.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html

Pure.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ctwatch.detections import Names

_LAMBDA, _EVENTS, _SNS = (f"{one}.amazonaws.com" for one in ("lambda", "events", "sns"))


@dataclass(frozen=True)
class Doing:
    """One call that an alert brings with it.

    Attributes:
        call: "logs:CreateLogStream".
        event: the whole EventBridge event of it.
        actor: the ARN under `except.actors` that leaves it out; "" where a service makes the call.
        service: what under `except.ips` leaves it out; "" where the notifier makes the call.
    """

    call: str
    event: Mapping[str, Any]
    actor: str = ""
    service: str = ""

    @property
    def reading(self) -> bool:
        """Whether only a rule that also gets read-only events can match it."""
        return bool(self.event["detail"]["readOnly"])

    @property
    def data(self) -> bool:
        """Whether only a trail that logs data events records it."""
        return bool(self.event["detail"]["eventCategory"] == "Data")


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
    by_service, by_function = _Recorder(names), _Recorder(names, session=True)
    found = list(_handing_on(names, by_service, notified=notified))
    notifier, forwarder, *_ = (str(one) for one in names["roles"])
    if forwarded:
        found.append(by_service.assumes(forwarder, _EVENTS))
    if notified:
        found.append(by_service.assumes(notifier, _LAMBDA))
        found += _at_work(names, by_function)
    if encrypted:
        found += _unlocking(by_service)
    if publishing:
        asked = {"topicArn": names["topic_arn"]}
        found.append(by_function.does("sns", "Publish", asked, reading=False, data=True))
    return tuple(found)


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
        yield record.does("kms", "Decrypt", sealed, inside=True)
    failed = {"queueUrl": names["queue_urls"][1]}
    yield record.does("sqs", "SendMessage", failed, reading=False, data=True)


class _Recorder:
    """Writes records as CloudTrail does: of the notifier's session, or of an AWS service.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
    """

    def __init__(self, names: Names, *, session: bool = False) -> None:
        self.names, self.session = names, session
        self.account, self.region = f"{names['account']}", f"{names['region']}"
        self.partition = str(names["topic_arn"]).split(":")[1]

    def assumes(self, role: str, service: str) -> Doing:
        """A service takes on a role of the watch."""
        session = str(self.names["function"]) if service == _LAMBDA else "events"
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
        inside: bool = False,
    ) -> Doing:
        """The notifier calls; `inside` when AWS makes the call in its name."""
        actor = self._role(self.names["roles"][0])
        detail = self._within if inside else self._outside
        event = self._event(service, name, asked, detail, reading=reading, data=data)
        return Doing(f"{service}:{name}", event, actor=actor)

    def _role(self, name: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"

    @functools.cached_property
    def _outside(self) -> dict[str, Any]:
        """The session of the notifier's role; it is called as the function is."""
        role, function = self.names["roles"][0], str(self.names["function"])
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
            "principalId": f"AROAEXAMPLEEXAMPLE00:{function}",
            "arn": f"arn:{self.partition}:sts::{self.account}:assumed-role/{role}/{function}",
            "accountId": self.account,
            "accessKeyId": "ASIAEXAMPLEEXAMPLE00",
            "sessionContext": {"sessionIssuer": issuer, "attributes": attributes},
        }
        return {
            "userIdentity": identity,
            "sourceIPAddress": "203.0.113.24",
            "userAgent": "Boto3/1.40.0 md/Botocore#1.40.0 exec-env/AWS_Lambda_python3.13",
        }

    @functools.cached_property
    def _within(self) -> dict[str, Any]:
        identity = {**self._outside["userIdentity"], "invokedBy": "AWS Internal"}
        inside = dict.fromkeys(("sourceIPAddress", "userAgent"), "AWS Internal")
        return {"userIdentity": identity, **inside}

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
        return {
            "version": "0",
            "id": "3f0d1b6c-6f6e-4c1e-9a43-5a3f5c1f2a10",
            "detail-type": "AWS API Call via CloudTrail",
            "source": f"aws.{service}",
            "account": self.account,
            "time": "2026-03-02T04:11:09Z",
            "region": self.region,
            "resources": [],
            "detail": detail,
        }
