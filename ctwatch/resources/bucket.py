"""The S3 bucket that keeps the trail's log files. It is data: `down` keeps it unless told."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from ctwatch.aws import Aws, unless
from ctwatch.diff import State, statements
from ctwatch.errors import AwsError
from ctwatch.resources.base import Live, Resource, owner, pairs

# What S3 gives every new bucket, so that no call need restate it.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
_AS_BORN: State = {
    "versioning": "Off",
    "encryption": "AES256",
    "public_access_block": {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    },
    "ownership": "BucketOwnerEnforced",
    "lifecycle": None,
    "policy": {},
}


EVENTBRIDGE = "EventBridgeConfiguration"
"""In a bucket's notification configuration: that it tells EventBridge."""
_IN_PROGRESS = "OperationAborted"
"""Another change of the bucket is not finished, its deletion a moment ago among them.
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bucket(Resource):
    """A log bucket.

    Attributes:
        account_regional: whether its name is in the account-regional namespace, where nobody else
            can take it: https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html
        writers: ARNs of the trails that may write to it.
        lifecycle: S3's lifecycle rules, or None for none.
        announces: whether it tells EventBridge of what becomes of its objects. Only then is its
            notification configuration looked at, and of that nothing but this: what else is told
            of them, and to whom (a SIEM's queue), is the business of who set it up.
    """

    account_regional: bool
    writers: tuple[str, ...]
    lifecycle: list[State] | None = None
    announces: bool = False

    kind: ClassVar[str] = "bucket"
    data: ClassVar[bool] = True

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.place.bucket_arn(self.name)

    @property
    def policy(self) -> State:
        """Who may write: CloudTrail for our trails; nobody without TLS.

        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
        """
        trails = {"aws:SourceArn": list(self.writers)}
        cloudtrail = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}}
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "AWSCloudTrailAclCheck20150319",
                    **cloudtrail,
                    "Action": "s3:GetBucketAcl",
                    "Resource": self.arn,
                    "Condition": {"StringEquals": trails},
                },
                {
                    "Sid": "AWSCloudTrailWrite20150319",
                    **cloudtrail,
                    "Action": "s3:PutObject",
                    "Resource": f"{self.arn}/AWSLogs/{self.place.account}/*",
                    "Condition": {
                        "StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", **trails}
                    },
                },
                {
                    "Sid": "DenyInsecureTransport",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [self.arn, f"{self.arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ],
        }

    @property
    def wanted(self) -> State:
        """Private, versioned, encrypted, written by CloudTrail alone."""
        return {
            **_AS_BORN,
            "versioning": "Enabled",
            "lifecycle": self.lifecycle,
            "policy": statements(self.policy),
            **({"eventbridge": True} if self.announces else {}),
        }

    @property
    def _ours(self) -> dict[str, str]:
        return {"Bucket": self.name, "ExpectedBucketOwner": self.place.account}

    def read(self, aws: Aws) -> Live | None:
        """Look at all of it in one round."""
        s3, ours = aws.s3, cast("Any", self._ours)

        def get(call: Callable[..., Any], *absent: str) -> Callable[[], Any]:
            return lambda: unless(lambda: call(**ours), "NoSuchBucket", "404", *absent) or {}

        head, versioning, encryption, block, ownership, lifecycle, policy, tags, *told = (
            aws.together(
                get(s3.head_bucket),
                get(s3.get_bucket_versioning),
                get(s3.get_bucket_encryption, "ServerSideEncryptionConfigurationNotFoundError"),
                get(s3.get_public_access_block, "NoSuchPublicAccessBlockConfiguration"),
                get(s3.get_bucket_ownership_controls, "OwnershipControlsNotFoundError"),
                get(s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
                get(s3.get_bucket_policy, "NoSuchBucketPolicy"),
                get(s3.get_bucket_tagging, "NoSuchTagSet"),
                *((get(s3.get_bucket_notification_configuration),) if self.announces else ()),
            )
        )
        if not head:
            return None
        state = {
            "versioning": versioning.get("Status", "Off"),
            "encryption": _encryption(encryption),
            "public_access_block": block.get("PublicAccessBlockConfiguration", {}),
            "ownership": _ownership(ownership),
            "lifecycle": lifecycle.get("Rules") or None,
            "policy": statements(policy.get("Policy"), statements(self.policy)),
            **({"eventbridge": EVENTBRIDGE in told[0]} if told else {}),
        }
        worn, facts = tags.get("TagSet"), {"region": head.get("BucketRegion")}
        return Live(state, owner(worn), facts, pairs(worn))

    def write(self, aws: Aws, live: Live | None) -> None:
        """Create it when it is not there, then put only the parts that differ, one by one.

        S3 refuses calls that change one bucket side by side (OperationAborted).
        """
        if live is None:
            self._create(aws)
        have, wanted = (live.state if live else _AS_BORN), self.wanted
        s3, ours = aws.s3, cast("Any", self._ours)
        puts: dict[str, Callable[[], Any]] = {
            "versioning": lambda: s3.put_bucket_versioning(
                **ours, VersioningConfiguration={"Status": "Enabled"}
            ),
            "encryption": lambda: s3.put_bucket_encryption(
                **ours, ServerSideEncryptionConfiguration=_SSE_S3
            ),
            "public_access_block": lambda: s3.put_public_access_block(
                **ours, PublicAccessBlockConfiguration=wanted["public_access_block"]
            ),
            "ownership": lambda: s3.put_bucket_ownership_controls(
                **ours, OwnershipControls={"Rules": [{"ObjectOwnership": wanted["ownership"]}]}
            ),
            "lifecycle": lambda: self._put_lifecycle(aws),
            "policy": lambda: s3.put_bucket_policy(**ours, Policy=json.dumps(self.policy)),
            "eventbridge": lambda: self._announce(aws, on=True),
        }
        for part, put in puts.items():
            if have.get(part) != wanted.get(part):
                aws.patiently(put, code=("NoSuchBucket", _IN_PROGRESS))

    def _create(self, aws: Aws) -> None:
        # us-east-1 is the one region that refuses its own name as a location.
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
        where: State = {"Tags": self.tag_list}
        if self.place.region != "us-east-1":
            where["LocationConstraint"] = self.place.region
        namespace = {"BucketNamespace": "account-regional"} if self.account_regional else {}
        aws.patiently(
            lambda: aws.s3.create_bucket(
                Bucket=self.name,
                CreateBucketConfiguration=cast("Any", where),
                **cast("Any", namespace),
            ),
            code=_IN_PROGRESS,
            limit=120,
        )

    def _put_lifecycle(self, aws: Aws) -> None:
        ours = cast("Any", self._ours)
        if not self.lifecycle:
            aws.s3.delete_bucket_lifecycle(**ours)
            return
        rules = cast("Any", {"Rules": self.lifecycle})
        aws.s3.put_bucket_lifecycle_configuration(**ours, LifecycleConfiguration=rules)

    def _announce(self, aws: Aws, *, on: bool) -> None:
        """Turn the notification of EventBridge on or off, and hand back whatever else is there.

        A call sets the whole configuration. That a stranger's queue has gone meanwhile must not
        keep ours from being set, so S3 is told not to try the others.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
        """
        ours = cast("Any", self._ours)
        found = cast("State", aws.s3.get_bucket_notification_configuration(**ours))
        others = {k: v for k, v in found.items() if k not in {EVENTBRIDGE, "ResponseMetadata"}}
        aws.s3.put_bucket_notification_configuration(
            **ours,
            NotificationConfiguration=cast("Any", others | ({EVENTBRIDGE: {}} if on else {})),
            SkipDestinationValidation=bool(others),
        )

    def label(self, aws: Aws) -> None:
        """Put them beside the others, all of which S3 replaces at once."""
        ours = cast("Any", self._ours)
        found: Any = unless(lambda: aws.s3.get_bucket_tagging(**ours), "NoSuchTagSet") or {}
        every = {**pairs(found.get("TagSet")), **self.tags}
        tags: Any = [{"Key": key, "Value": value} for key, value in every.items()]
        aws.s3.put_bucket_tagging(**ours, Tagging={"TagSet": tags})

    def delete(self, aws: Aws) -> None:
        """Announce nothing more, stop deliveries, delete all versions, then the bucket itself."""
        unless(lambda: self._delete(aws), "NoSuchBucket")

    def _delete(self, aws: Aws) -> None:
        ours = cast("Any", self._ours)
        if self.announces:
            self._announce(aws, on=False)
        aws.s3.delete_bucket_policy(**ours)

        def empty_and_delete() -> None:
            self._empty(aws)
            aws.s3.delete_bucket(**ours)

        # CloudTrail may still deliver for minutes after its trail is gone.
        aws.patiently(empty_and_delete, code="BucketNotEmpty", limit=300)

    def _empty(self, aws: Aws) -> None:
        """Delete all versions and delete markers; a page of the listing is one call's worth."""
        ours = cast("Any", self._ours)
        for page in aws.s3.get_paginator("list_object_versions").paginate(**ours):
            doomed = [
                {"Key": one["Key"], "VersionId": one["VersionId"]}
                for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            ]
            if doomed:
                batch = cast("Any", {"Objects": doomed, "Quiet": True})
                self._check(aws.s3.delete_objects(**ours, Delete=batch).get("Errors", []))

    def _check(self, refused: Sequence[Any]) -> None:
        """DeleteObjects answers 200 whatever became of each object."""
        if refused:
            first = refused[0]
            raise AwsError(
                f"emptying {self.title}: {len(refused)} objects were not deleted, the first "
                f"{first.get('Key')}: {first.get('Code')}: {first.get('Message')}",
                "A retention lock keeps objects until its date; everything else goes on a new run.",
                code=str(first.get("Code")),
                operation="DeleteObjects",
            )


_SSE_S3: Any = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}


def _encryption(answer: State) -> str | None:
    """The default encryption: "AES256", or the algorithm and its key, or None."""
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    default = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
    named = [default[key] for key in ("SSEAlgorithm", "KMSMasterKeyID") if key in default]
    return " ".join(named) or None


def _ownership(answer: State) -> str | None:
    rules = answer.get("OwnershipControls", {}).get("Rules", [])
    return rules[0]["ObjectOwnership"] if rules else None
