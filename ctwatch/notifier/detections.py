"""Which detections of the catalogue an event belongs to, and what they are called.

EventBridge does not tell a target which rule it came by, so it is told again from the record's
service and name. The catalogue itself (`ctwatch/detections`) is not in the function's zip; a test
holds this table equal to it.

Detections that the user wrote himself come with their rules' patterns (`custom`), and are asked
first: who writes one means it to have the last word on the name.
"""

import re
from dataclasses import dataclass

from .custom import Custom
from .event import CALL, INSIGHT, OBJECT, SUCCEEDED, Event, is_probe
from .settings import Settings


@dataclass(frozen=True)
class Detection:
    """A detection's title by language, how bad it is when it succeeds, and its ATT&CK ids.

    `mitre` separates them by spaces.
    """

    ko: str
    en: str
    severity: str
    mitre: str


DETECTIONS = {
    "trail-tampering": Detection(
        "CloudTrail 추적 변조", "CloudTrail trail tampering", "critical", "T1562.008 T1685.002"
    ),
    "trail-reconfiguration": Detection(
        "CloudTrail 구성 변경", "CloudTrail reconfiguration", "medium", "T1562.008 T1685.002"
    ),
    "log-bucket-tampering": Detection(
        "로그 버킷 변조", "Log bucket tampering", "high", "T1562.008 T1685.002 T1485"
    ),
    "log-object-deletion": Detection(
        "로그 파일 삭제", "Log file deletion", "critical", "T1070 T1485"
    ),
    "log-key-tampering": Detection(
        "로그 암호화 키 변조",
        "Log encryption key tampering",
        "critical",
        "T1562.008 T1685.002 T1485",
    ),
    "pipeline-tampering": Detection(
        "알림 경로 변조", "Alert pipeline tampering", "critical", "T1562.001 T1562.008 T1685.002"
    ),
    "root-login": Detection(
        "루트 사용자 콘솔 로그인", "Root user console sign-in", "high", "T1078.004"
    ),
    "root-activity": Detection("루트 사용자 활동", "Root user activity", "high", "T1078.004"),
    "console-login-failure": Detection(
        "콘솔 로그인 실패", "Failed console sign-in", "low", "T1110"
    ),
    "assume-role": Detection("역할 수임", "Role assumed", "low", "T1078.004 T1548.005"),
    "dynamodb-delete-table": Detection(
        "DynamoDB 테이블 삭제", "DynamoDB table deleted", "high", "T1485"
    ),
    "security-group-ingress": Detection(
        "보안 그룹 인바운드 규칙 변경", "Security group ingress changed", "medium", "T1562.007"
    ),
    "guardduty-tampering": Detection("GuardDuty 변조", "GuardDuty tampering", "high", "T1562.001"),
    "config-recorder-tampering": Detection(
        "AWS Config 레코더 변조", "AWS Config recorder tampering", "high", "T1562.008 T1685.002"
    ),
    "organization-leave": Detection(
        "조직 탈퇴", "Account leaves its organization", "critical", "T1666"
    ),
    "insight": Detection(
        "CloudTrail Insights 이상 활동", "CloudTrail Insights anomaly", "medium", "T1078.004"
    ),
}

# What looks at nothing but a watch's own resources.
OWN = {"log-bucket-tampering", "log-object-deletion", "log-key-tampering", "pipeline-tampering"}

# Service -> detection -> its calls; a name that ends in * is the beginning of several.
_CALLS: dict[str, dict[str, str]] = {
    "cloudtrail": {
        "trail-tampering": "StopLogging DeleteTrail UpdateTrail PutEventSelectors",
        "trail-reconfiguration": "CreateTrail StartLogging RemoveTags PutInsightSelectors "
        "PutEventConfiguration PutResourcePolicy DeleteResourcePolicy "
        "RegisterOrganizationDelegatedAdmin DeregisterOrganizationDelegatedAdmin "
        "UpdateEventDataStore DeleteEventDataStore StopEventDataStoreIngestion DisableFederation "
        "UpdateChannel DeleteChannel StartImport StopImport",
    },
    "s3": {
        "log-bucket-tampering": "PutBucket* DeleteBucket* PutAccountPublicAccessBlock "
        "DeleteAccountPublicAccessBlock"
    },
    "kms": {
        "log-key-tampering": "DisableKey ScheduleKeyDeletion PutKeyPolicy DisableKeyRotation "
        "DeleteImportedKeyMaterial RevokeGrant DeleteAlias UpdateAlias"
    },
    "events": {
        "pipeline-tampering": "DisableRule DeleteRule PutRule PutTargets RemoveTargets "
        "UpdateEventBus PutPermission RemovePermission TagResource UntagResource"
    },
    "sns": {
        "pipeline-tampering": "DeleteTopic SetTopicAttributes AddPermission RemovePermission "
        "PutDataProtectionPolicy Subscribe Unsubscribe SetSubscriptionAttributes TagResource "
        "UntagResource"
    },
    "lambda": {
        "pipeline-tampering": "DeleteFunction* UpdateFunction* PutFunction* AddPermission* "
        "RemovePermission* PutRuntimeManagementConfig* PutResourcePolicy* DeleteResourcePolicy* "
        "TagResource* UntagResource*"
    },
    "logs": {
        "pipeline-tampering": "DeleteLogGroup DeleteLogStream PutRetentionPolicy "
        "DeleteSubscriptionFilter DeleteMetricFilter AssociateKmsKey PutDataProtectionPolicy "
        "PutLogGroupDeletionProtection TagLogGroup UntagLogGroup TagResource UntagResource"
    },
    "ssm": {
        "pipeline-tampering": "PutParameter DeleteParameter DeleteParameters AddTagsToResource "
        "RemoveTagsFromResource"
    },
    "sqs": {
        "pipeline-tampering": "DeleteQueue PurgeQueue SetQueueAttributes AddPermission "
        "RemovePermission TagQueue UntagQueue"
    },
    "iam": {
        "pipeline-tampering": "DeleteRole DeleteRolePolicy PutRolePolicy AttachRolePolicy "
        "DetachRolePolicy UpdateAssumeRolePolicy PutRolePermissionsBoundary "
        "DeleteRolePermissionsBoundary TagRole UntagRole"
    },
    "sts": {"assume-role": "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity AssumeRoot"},
    "dynamodb": {"dynamodb-delete-table": "DeleteTable"},
    "ec2": {"security-group-ingress": "AuthorizeSecurityGroupIngress ModifySecurityGroupRules"},
    "guardduty": {
        "guardduty-tampering": "DeleteDetector UpdateDetector UpdateMemberDetectors "
        "UpdateOrganizationConfiguration DeletePublishingDestination UpdatePublishingDestination "
        "StopMonitoringMembers DisassociateMembers DeleteMembers DisassociateFromMasterAccount "
        "DisassociateFromAdministratorAccount DisableOrganizationAdminAccount ArchiveFindings "
        "CreateFilter UpdateFilter CreateIPSet UpdateIPSet CreateTrustedEntitySet "
        "UpdateTrustedEntitySet UpdateThreatIntelSet DeleteThreatIntelSet UpdateThreatEntitySet "
        "DeleteThreatEntitySet"
    },
    "config": {
        "config-recorder-tampering": "StopConfigurationRecorder DeleteConfigurationRecorder "
        "PutConfigurationRecorder DeleteServiceLinkedConfigurationRecorder "
        "DisassociateResourceTypes DeleteDeliveryChannel PutDeliveryChannel "
        "PutRetentionConfiguration"
    },
    "organizations": {
        "organization-leave": "LeaveOrganization RemoveAccountFromOrganization DeleteOrganization"
    },
}
_KINDS = {INSIGHT: "insight", OBJECT: "log-object-deletion"}


def detections_of(event: Event, settings: Settings) -> tuple[str, ...]:
    """The ids of the detections that the event belongs to, the most particular first."""
    if event.unreadable:
        return ()
    calls = _CALLS.get(event.source.partition(".")[0], {})
    known = [one for one in calls if _is_among(event.name, calls[one])]
    if event.kind in _KINDS:
        known = [_KINDS[event.kind]]
    own = [one for one in known if one not in OWN or _is_own(event, settings)]
    return (*custom_of(event, settings), *_sign_in(event), *own, *_root(event))


def custom_of(event: Event, settings: Settings) -> tuple[str, ...]:
    """The ids of those among them that the user wrote himself."""
    if event.unreadable:
        return ()
    return tuple(one.id for one in settings.custom if one.fits(event.envelope))


def described(one: str, settings: Settings) -> Detection | Custom:
    """The detection of that id."""
    return DETECTIONS.get(one) or next(each for each in settings.custom if each.id == one)


def _is_among(name: str, calls: str) -> bool:
    listed = calls.split()
    beginnings = tuple(call[:-1] for call in listed if call.endswith("*"))
    return name in listed or (bool(beginnings) and name.startswith(beginnings))


def _is_own(event: Event, settings: Settings) -> bool:
    """Whether it was about this watch's own resource, or may have been.

    A record that does not say what it was about may have been about anything; the default bus is
    everybody's. Names are sought among the parts of ARNs, URLs and paths, and whatever their
    case: IAM does not tell it apart. A log group's own holds slashes.
    """
    if settings.own is None or not event.targets or "default" in event.targets:
        return True
    if any(map(is_probe, event.targets)):
        return True
    cuts = ((target, *target.split(":"), *_PARTS.split(target)) for target in event.targets)
    parts = {part for cut in cuts for part in cut}
    return not settings.own.isdisjoint(part.casefold() for part in parts)


_PARTS = re.compile("[:/]")


def _sign_in(event: Event) -> tuple[str, ...]:
    if event.name != "ConsoleLogin":
        return ()
    root = ("root-login",) if event.identity == "Root" else ()
    return root if event.result == SUCCEEDED else (*root, "console-login-failure")


def _root(event: Event) -> tuple[str, ...]:
    return ("root-activity",) if event.identity == "Root" and event.kind == CALL else ()
