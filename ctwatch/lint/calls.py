"""Which calls CloudTrail records, under which names, with which parameters, in which region.

By botocore's models, each read when its service is first asked for, and by the tables here for
what CloudTrail calls otherwise than the API.
"""

import functools
import gzip
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ctwatch.lint.record import API, INSIGHT, SIGN_IN_TYPES, TYPES

# Calls whose name in a record is not the API's. Prefix of the eventSource -> API -> record.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html
# https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html
RENAMED: dict[str, dict[str, str]] = {
    "s3": {
        "PutBucketLifecycleConfiguration": "PutBucketLifecycle",
        "GetBucketLifecycleConfiguration": "GetBucketLifecycle",
        "PutBucketNotificationConfiguration": "PutBucketNotification",
        "GetBucketNotificationConfiguration": "GetBucketNotification",
        "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
        "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
        "DeletePublicAccessBlock": "DeleteBucketPublicAccessBlock",
    },
    "lambda": {
        **{
            name: f"{name}20150331"
            for name in (
                *("CreateAlias", "CreateEventSourceMapping", "CreateFunction", "DeleteAlias"),
                *("DeleteEventSourceMapping", "DeleteFunction", "PublishVersion", "UpdateAlias"),
                "UpdateEventSourceMapping",
            )
        },
        **{
            name: f"{name}20150331v2"
            for name in (
                *("AddPermission", "RemovePermission"),
                *("UpdateFunctionCode", "UpdateFunctionConfiguration"),
            )
        },
        "PublishLayerVersion": "PublishLayerVersion20181031",
        "PutFunctionConcurrency": "PutFunctionConcurrency20171031",
        "DeleteFunctionConcurrency": "DeleteFunctionConcurrency20171031",
        "TagResource": "TagResource20170331v2",
        "UntagResource": "UntagResource20170331v2",
    },
}
# The same page: what S3's account-level API, which signs as S3, leaves in the record.
_ACCOUNT_LEVEL = {
    f"{verb}PublicAccessBlock": f"{verb}AccountPublicAccessBlock"
    for verb in ("Put", "Get", "Delete")
}
# Names of S3 that the page has had besides the API's, at one time or another.
_ALSO: dict[str, dict[str, str]] = {
    "s3": {
        "PutBucketObjectLockConfiguration": "PutObjectLockConfiguration",
        "GetBucketObjectLockConfiguration": "GetObjectLockConfiguration",
        "PutAccelerateConfiguration": "PutBucketAccelerateConfiguration",
        "GetAccelerateConfiguration": "GetBucketAccelerateConfiguration",
        "PostObject": "PutObject",
    }
}
# Lambda and CloudFront put the date of an API's version behind some names.
_DATED = frozenset({"lambda", "cloudfront"})
_DATE = re.compile(r"20[0-9]{2}_?[0-9]{2}_?[0-9]{2}(v[0-9]+)?\Z")

# Actions of IAM policies that are no calls, and the call they allow, if there is one.
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
PERMISSIONS: dict[str, str] = {
    "PassRole": "",
    "PutEncryptionConfiguration": "PutBucketEncryption",
    "GetEncryptionConfiguration": "GetBucketEncryption",
    "PutLifecycleConfiguration": "PutBucketLifecycle",
    "GetLifecycleConfiguration": "GetBucketLifecycle",
    "PutReplicationConfiguration": "PutBucketReplication",
    "GetReplicationConfiguration": "GetBucketReplication",
    "PutBucketCORS": "PutBucketCors",
    "GetBucketCORS": "GetBucketCors",
    "ReplicateObject": "",
    "ReplicateDelete": "",
    "ReplicateTags": "",
    "ObjectOwnerOverrideToBucketOwner": "",
    "BypassGovernanceRetention": "",
    "ListBucket": "ListObjects",
    "ListBucketVersions": "ListObjectVersions",
    "ListAllMyBuckets": "ListBuckets",
    "GetObjectVersion": "GetObject",
    "DeleteObjectVersion": "DeleteObject",
    "PutObjectVersionAcl": "PutObjectAcl",
    "InvokeFunction": "Invoke",
    "ReEncryptFrom": "ReEncrypt",
    "ReEncryptTo": "ReEncrypt",
    "TagSession": "AssumeRole",
    "SetSourceIdentity": "AssumeRole",
}

# What people call a service, and the first word of its eventSource.
NICKNAMES = {
    "eventbridge": "events",
    "cloudwatchevents": "events",
    "cloudwatch": "monitoring",
    "cloudwatchlogs": "logs",
    "console": "signin",
    "stepfunctions": "states",
    "sfn": "states",
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "emr": "elasticmapreduce",
    "efs": "elasticfilesystem",
    "opensearch": "es",
    "accessanalyzer": "access-analyzer",
    "resourcegroupstaggingapi": "tagging",
    "mwaa": "airflow",
    "s3control": "s3",
    "s3-control": "s3",
    "email": "ses",
    "sso-admin": "sso",
}

# Recorded in us-east-1 wherever they are called from.
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events
# https://docs.aws.amazon.com/organizations/latest/userguide/orgs_cloudtrail-integration.html
US_EAST_1 = "us-east-1"
GLOBAL = frozenset({"iam", "organizations", "account", "cloudfront", "route53"})
# Also recorded elsewhere: by the endpoint that was used.
BY_ENDPOINT = frozenset({"sts", "signin"})
# Taken in the trail's home region only.
# https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StopLogging.html
OF_TRAILS = frozenset(
    {
        *("StartLogging", "StopLogging", "DeleteTrail", "UpdateTrail"),
        *("PutEventSelectors", "PutInsightSelectors"),
    }
)

# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html
_READING = re.compile(r"(?!Get(FederationToken|SessionToken)\Z)(Get|List|Describe|Head|Lookup)")
_READS = frozenset(
    {
        *("AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"),
        *("Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
    }
)

# Calls on what lies in a thing, not on the thing: recorded only by a trail that logs data events.
# S3's are those with a Key.
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html
_DATA: dict[str, frozenset[str]] = {
    "s3": frozenset({"DeleteObjects", "ListObjects", "ListObjectsV2", "ListObjectVersions"}),
    "lambda": frozenset({"Invoke", "InvokeAsync", "InvokeWithResponseStream"}),
    "sns": frozenset({"Publish", "PublishBatch"}),
    "sqs": frozenset({"SendMessage", "ReceiveMessage", "DeleteMessage"}),
    "dynamodb": frozenset({"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"}),
}

# What the console's sign-in leaves, and the detail-types it comes with; no API has these names.
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-aws-console-sign-in-events.html
SIGN_INS = {
    **dict.fromkeys(("ConsoleLogin", "CheckMfa", "SwitchRole", "ExitRole"), SIGN_IN_TYPES),
    **dict.fromkeys(
        (
            *("RenewRole", "GetSigninToken", "PasswordRecoveryRequested", "EmailUpdated"),
            *("PasswordRecoveryCompleted", "PasswordUpdated", "UserAuthentication"),
            *("CredentialChallenge", "CredentialVerification"),
        ),
        frozenset(TYPES) - {API, INSIGHT},
    ),
    # `aws login`; not said whether they come as sign-ins or as calls.
    # https://docs.aws.amazon.com/signin/latest/userguide/command-line-sign-in.html
    **dict.fromkeys(("AuthorizeOAuth2Access", "CreateOAuth2Token"), frozenset(TYPES) - {INSIGHT}),
}

# Services to look in first for a name that stands at the wrong one.
FAMILIAR = (
    *("cloudtrail", "signin", "iam", "sts", "s3", "ec2", "kms", "events", "sns", "sqs", "lambda"),
    *("logs", "monitoring", "config", "guardduty", "organizations", "ssm", "dynamodb", "account"),
    *("securityhub", "cloudformation", "secretsmanager", "rds"),
)

# Two services whose records hold a call's parameters in other shapes than the API's.
_SHAPELESS = frozenset({"ec2", "apigateway", "s3control"})
# What may stand beside the parameters or instead of them: a request too large for a record.
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
OMITTED = frozenset({"omitted", "reason", "originalSize"})


@dataclass(frozen=True, eq=False)
class Parameters:
    """The keys that a call's `requestParameters` may hold.

    Attributes:
        keys: those of the first level; camelCase, as CloudTrail writes them.
        below: the names under a path of at least one key; None where anything may stand.
        certain: whether there can be no others.
        markers: keys of S3 that are always there and always empty, such as `logging`.
    """

    keys: frozenset[str]
    below: Callable[[Sequence[str]], Collection[str] | None] = lambda _path: None
    certain: bool = True
    markers: frozenset[str] = frozenset()

    def missing(self, path: Sequence[str]) -> tuple[str, Collection[str]] | None:
        """The first key of the path that cannot be there, and those that can; None: it can.

        Args:
            path: as ["eventSelectors", "readWriteType"].
        """
        if path[0] in OMITTED:
            return None
        names: Collection[str] | None = self.keys
        for at, key in enumerate(path):
            if names is None:
                break
            if key not in names:
                return key, names
            names = self.below(path[: at + 1])
        return None


@dataclass(frozen=True, eq=False)
class Call:
    """What CloudTrail records under one eventName.

    Attributes:
        name: the eventName.
        types: the detail-types it comes with.
        parameters: of its request; None when they are not known.
        read_only: whether it only reads, so that a rule must ask for such events.
        data: whether it is a data event, which a trail must be told to log.
    """

    name: str
    types: frozenset[str] = frozenset({API})
    parameters: Parameters | None = None
    read_only: bool = False
    data: bool = False


Calls: TypeAlias = Mapping[str, Call]
Known: TypeAlias = Mapping[str, Calls]
"""First word of an eventSource -> eventName -> what is recorded."""


class _Models(Mapping[str, Calls]):
    """All services that botocore has a model of, each read when it is first asked for."""

    def __init__(self) -> None:
        from botocore.loaders import Loader  # noqa: PLC0415 - seldom needed, and slow to import

        self._loader = Loader()
        self._read: dict[str, Calls] = {}

    @functools.cached_property
    def _services(self) -> dict[str, list[str]]:
        """First word of an eventSource -> botocore's names of the services that have it."""
        found: dict[str, list[str]] = {"signin": []}
        for service in self._loader.list_available_services("service-2"):
            for word in _words(self._metadata(service)) - set(NICKNAMES) - {"signin"}:
                found.setdefault(word, []).append(service)
        return found

    def _metadata(self, service: str) -> dict[str, Any]:
        """A model's metadata, from the head of its file: whole, they are 4 s of reading."""
        version = self._loader.determine_latest_version(service, "service-2")
        for folder in self._loader.search_paths:
            file = Path(folder, service, version, "service-2.json.gz")
            if file.is_file():
                with gzip.open(file) as model:
                    head = model.read(4096).decode(errors="ignore")
                return dict(re.findall(r'"(endpointPrefix|signingName)":\s*"([^"]+)"', head))
        metadata = self._loader.load_service_model(service, "service-2")["metadata"]
        return dict(metadata)

    def __getitem__(self, word: str) -> Calls:
        if word not in self._read:
            found: dict[str, Call] = {}
            if word == "signin":
                found = {name: Call(name, types) for name, types in SIGN_INS.items()}
            # A call of several services is that of the service with the word's own name; of two
            # others (two generations of load balancers), either.
            for service in sorted(self._services[word], key=lambda each: each != word):
                model = self._loader.load_service_model(service, "service-2")
                for name, call in _calls_of(word, service, model).items():
                    shared = name in found and word not in self._services[word]
                    found[name] = Call(name) if shared else found.get(name, call)
            self._read[word] = found
        return self._read[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._services)

    def __len__(self) -> int:
        return len(self._services)


def _words(metadata: Mapping[str, Any]) -> set[str]:
    """The words by which a service may sign its records: "api.ecr" is "ecr"."""
    words = {metadata.get(key) or "" for key in ("endpointPrefix", "signingName")}
    return {word.rpartition(".")[2] for word in words} - {""}


@functools.cache
def models() -> Known:
    """What botocore and the tables here know of all services."""
    return _Models()


def _calls_of(word: str, service: str, model: Mapping[str, Any]) -> dict[str, Call]:
    renamed = _ACCOUNT_LEVEL if service == "s3control" else RENAMED.get(word, {})
    calls = {}
    for api, operation in model["operations"].items():
        name = renamed.get(api, api)
        parameters = None if service in _SHAPELESS else _parameters(model, operation)
        objects = parameters is not None and {"bucketName", "key"} <= parameters.keys
        calls[name] = Call(
            name,
            parameters=parameters,
            read_only=bool(_READING.match(name)) or name in _READS,
            data=objects or name in _DATA.get(word, ()),
        )
    also = _ALSO.get(word, {}) if service == word else {}
    return calls | {name: calls[api] for name, api in also.items() if api in calls}


def _parameters(model: Mapping[str, Any], operation: Mapping[str, Any]) -> Parameters:
    shapes = model["shapes"]
    shape = shapes.get(operation.get("input", {}).get("shape"), {"members": {}})
    if model["metadata"]["endpointPrefix"] == "s3":
        return _s3_parameters(operation, shape)
    keys = frozenset(_members(shape))
    if model["metadata"]["protocol"] == "rest-xml":
        return Parameters(keys)
    return Parameters(keys, functools.partial(_below, shapes, shape))


def _members(shape: Mapping[str, Any]) -> dict[str, str]:
    """Key in a record -> the shape there; the member's name, or the one it has in the request."""
    return {
        name[:1].lower() + name[1:]: member["shape"]
        for api, member in shape["members"].items()
        for name in (api, member.get("locationName", api))
    }


def _below(
    shapes: Mapping[str, Any], shape: Mapping[str, Any], path: Sequence[str]
) -> Collection[str] | None:
    """The names under a path of a shape; lists are looked through, maps may hold anything."""
    for key in path:
        shape = shapes[_members(shape)[key]]
        while shape["type"] == "list":
            shape = shapes[shape["member"]["shape"]]
        if shape["type"] == "map" or shape.get("document"):
            return None
        if shape["type"] != "structure":
            return ()
    return _members(shape)


def _s3_parameters(operation: Mapping[str, Any], shape: Mapping[str, Any]) -> Parameters:
    """S3 writes its own: bucketName, the subresource, headers, the body under its XML name."""
    query = operation["http"]["requestUri"].partition("?")[2]
    markers = frozenset(part for part in query.split("&") if part and "=" not in part)
    keys = {"Host", "bucketName", *markers}
    for api, member in shape["members"].items():
        keys.add({"Bucket": "bucketName", "Key": "key"}.get(api, member.get("locationName", api)))
    if "Policy" in shape["members"]:
        keys.add("bucketPolicy")
    return Parameters(frozenset(keys), certain=False, markers=markers)


def lookup(calls: Calls, word: str, name: str) -> Call | None:
    """The call of that name; a date behind it that the model does not know is no other call."""
    if name in calls or word not in _DATED:
        return calls.get(name)
    bare = _DATE.sub("", name)
    if bare == name and word == "lambda":  # Lambda's dated calls have no record without the date
        return None
    return next((call for each, call in calls.items() if _DATE.sub("", each) == bare), None)
