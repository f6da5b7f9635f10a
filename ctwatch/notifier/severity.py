"""How bad it is: what the call is, what really follows from it, whose trail, and whether it went.

    base       of the user's own detection, else of the event's name, else of its detection in the
               catalogue, else medium
    raised     to the level of the worst consequence that the record shows
    a step     lower for a trail that is not this watch's, and for a call that did not succeed

A console sends settings that stay along with those that change. Where the trail is this watch's
own, what it delivers to and its key are known, and naming them again is no consequence; a log group
and a topic count as dropped only where it has one.
"""

from .changes import same, undated
from .detections import DETECTIONS, OWN, custom_of, described, detections_of
from .event import OBJECT, SUCCEEDED, Event
from .settings import LEVELS, Settings

UNKNOWN = "medium"

# Worse or better than the detection that an event belongs to: (service, event) -> level.
_BASE: dict[str, dict[str, str]] = {
    "cloudtrail": {
        "critical": "DeleteTrail",
        "high": "StopLogging PutEventSelectors DeleteEventDataStore StopEventDataStoreIngestion "
        "UpdateEventDataStore RegisterOrganizationDelegatedAdmin "
        "DeregisterOrganizationDelegatedAdmin",
        "medium": "UpdateTrail PutInsightSelectors PutEventConfiguration PutResourcePolicy "
        "DeleteResourcePolicy RemoveTags DeleteChannel DisableFederation",
        "low": "CreateTrail StartLogging StartImport StopImport UpdateChannel",
    },
    "s3": {
        "critical": "DeleteBucket DeleteBucketPolicy",
        "high": "PutBucketPolicy PutBucketLifecycle PutBucketEncryption DeleteBucketEncryption "
        "DeleteBucketPublicAccessBlock PutBucketPublicAccessBlock PutBucketAcl "
        "PutBucketReplication",
        "medium": "PutBucketVersioning PutBucketNotification PutBucketOwnershipControls "
        "PutBucketLogging PutBucketTagging",
    },
    "kms": {
        "critical": "DisableKey ScheduleKeyDeletion DeleteImportedKeyMaterial",
        "high": "PutKeyPolicy RevokeGrant",
        "medium": "DeleteAlias UpdateAlias",
        "low": "DisableKeyRotation",
    },
    "events": {
        "high": "PutRule PutTargets UpdateEventBus PutPermission",
        "medium": "RemovePermission TagResource UntagResource",
    },
    "sns": {
        "critical": "DeleteTopic",
        "high": "SetTopicAttributes SetSubscriptionAttributes Unsubscribe RemovePermission "
        "PutDataProtectionPolicy",
        "medium": "AddPermission Subscribe TagResource UntagResource",
    },
    "lambda": {
        "critical": "DeleteFunction RemovePermission DeleteResourcePolicy",
        "high": "UpdateFunctionCode UpdateFunctionConfiguration PutResourcePolicy",
        "medium": "PutFunctionConcurrency AddPermission PutFunctionEventInvokeConfig "
        "UpdateFunctionEventInvokeConfig DeleteFunctionEventInvokeConfig "
        "PutRuntimeManagementConfig TagResource UntagResource",
        "low": "DeleteFunctionConcurrency",
    },
    "logs": {
        "medium": "DeleteLogGroup DeleteLogStream AssociateKmsKey DeleteSubscriptionFilter "
        "DeleteMetricFilter PutDataProtectionPolicy TagLogGroup UntagLogGroup TagResource "
        "UntagResource",
        "low": "PutRetentionPolicy PutLogGroupDeletionProtection",
    },
    "ssm": {
        "critical": "DeleteParameter DeleteParameters",
        "high": "PutParameter",
        "medium": "AddTagsToResource RemoveTagsFromResource",
    },
    "sqs": {
        "high": "SetQueueAttributes",
        "medium": "DeleteQueue PurgeQueue AddPermission RemovePermission TagQueue UntagQueue",
    },
    "iam": {
        "high": "PutRolePolicy",
        "medium": "AttachRolePolicy DeleteRolePermissionsBoundary TagRole UntagRole",
    },
    "guardduty": {"critical": "DeleteDetector", "medium": "UpdateDetector"},
}
_LEVELS = {
    (service, name): level
    for service, levels in _BASE.items()
    for level, names in levels.items()
    for name in names.split()
}

CONSEQUENCES = {
    "blinds": "critical",
    "moves_bucket": "critical",
    "single_region": "critical",
    "no_global_events": "critical",
    "no_validation": "high",
    "changes_key": "high",
    "drops_log_group": "high",
    "drops_topic": "high",
    "no_organization": "high",
    "suspends_versioning": "high",
    "silences_rule": "critical",
    "throttles": "critical",
    "stops_detector": "critical",
    "opens_to_world": "high",
    "lost_for_good": "critical",
    "without_mfa": "critical",
    "omitted": "high",
}
"""What may follow from an event, and how bad it is then; words.py has a note for each."""
_OF_OWN = {"silences_rule", "throttles", "suspends_versioning", "lost_for_good"}


def severity(event: Event, settings: Settings) -> str:
    """One of LEVELS."""
    worst = [_base(event, settings), *(CONSEQUENCES[one] for one in follows(event, settings))]
    level = max(map(LEVELS.index, worst))
    level -= _is_anothers(event, settings)
    level -= event.result != SUCCEEDED
    return LEVELS[max(level, 0)]


def follows(event: Event, settings: Settings) -> frozenset[str]:
    """The consequences that are real as far as this watch can tell: keys of CONSEQUENCES."""
    found = event.consequences
    if OWN.isdisjoint(detections_of(event, settings)):
        found -= _OF_OWN
    if _is_root_login(event) and event.mfa == "no" and event.result == SUCCEEDED:
        found |= {"without_mfa"}
    named = {change.what: change.after for change in event.changes}
    if not _is_another(named.get("change.log_group"), event, settings, settings.log_group):
        found -= {"drops_log_group"}
    if not _is_another(named.get("change.topic"), event, settings, settings.deliveries):
        found -= {"drops_topic"}
    if event.is_on(settings.trail):
        found -= {"moves_bucket"} if named.get("change.bucket") == settings.bucket else set()
        found -= {"changes_key"} if named.get("change.key") == settings.key else set()
    return found


def _is_another(named: str | None, event: Event, settings: Settings, ours: str) -> bool:
    """Whether this watch's own trail no longer delivers to that ARN; "" is none."""
    if not ours or not event.is_on(settings.trail):
        return False
    return not same(named or "", ours)


def _base(event: Event, settings: Settings) -> str:
    if custom := custom_of(event, settings):
        return max((described(one, settings).severity for one in custom), key=LEVELS.index)
    if event.kind == OBJECT:
        return "high"  # a delete marker can be taken away again
    known = detections_of(event, settings)
    if known[:1] == ("insight",) and event.state == "End":
        return "low"
    call = (event.source.partition(".")[0], undated(event.name))
    if call in _LEVELS and known and known[0] != "root-activity":
        return _LEVELS[call]
    return DETECTIONS[known[0]].severity if known else UNKNOWN


def _is_anothers(event: Event, settings: Settings) -> bool:
    """Whether it is another trail of this account; a drill's trail stands for this watch's."""
    foreign = event.is_foreign_to(settings.trail)
    return event.is_on(settings.trail) is False and not (event.drill or foreign)


def _is_root_login(event: Event) -> bool:
    return event.name == "ConsoleLogin" and event.identity == "Root"
