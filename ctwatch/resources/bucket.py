"""The S3 bucket that keeps the trail's log files. It is data: `down` keeps it unless told."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, cast

from botocore.exceptions import ClientError

from ctwatch.aws import Aws, code_of, unless
from ctwatch.diff import State, statements
from ctwatch.emptying import Contents, Emptied, check, contents, emptied, emptying_needs
from ctwatch.errors import AwsError
from ctwatch.permissions import Actions, allow
from ctwatch.prices import FILES, KEPT, PACKED, Price, per
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


# HeadBucket is ListBucket, and a tag in CreateBucket is TagResource.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
_LOOK = (
    "ListBucket GetBucketVersioning GetEncryptionConfiguration GetBucketPublicAccessBlock "
    "GetBucketOwnershipControls GetLifecycleConfiguration GetBucketPolicy GetBucketTagging"
)
_MAKE = (
    "CreateBucket TagResource PutBucketVersioning PutEncryptionConfiguration PutBucketTagging "
    "PutBucketPublicAccessBlock PutBucketOwnershipControls PutLifecycleConfiguration "
    "PutBucketPolicy"
)
_CLEAR = "DeleteBucketPolicy DeleteBucket"

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
    def overwrites(self) -> bool:
        """In this one region CreateBucket succeeds on a bucket that the account has.

        https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        """
        return self.place.region == "us-east-1"

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
    def actions(self) -> Actions:
        """Many of them have another name than the call.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
        """
        mine, objects = self.arn, f"{self.arn}/*"
        notes = self.announces
        return Actions(
            read=(allow("s3", _LOOK + " GetBucketNotification" * notes, mine),),
            write=(allow("s3", _MAKE + " PutBucketNotification" * notes, mine),),
            delete=(
                allow("cloudtrail", "DescribeTrails"),
                allow("s3", _CLEAR + " PutBucketNotification" * notes, mine),
                *emptying_needs(mine),
            ),
            tampering=(
                allow("s3", "PutBucketAcl PutReplicationConfiguration", mine),
                allow("s3", "DeleteObject PutObject PutObjectAcl", objects),
            ),
        )

    @property
    def price(self) -> tuple[Price, ...]:
        """What CloudTrail puts there, and what is kept of it; archived earlier, it costs less."""
        stored = PACKED * min(self._months, KEPT)
        told = Price("news of objects", per(10**6, FILES, "1.00"), f"{FILES:,} at $1.00 a million")
        return (
            Price("files put", per(1_000, FILES, "0.005"), f"{FILES:,} at $0.005 per 1,000"),
            Price("storage", per(1, stored, "0.023"), f"{stored:.1f} GB at $0.023"),
            *((told,) if self.announces else ()),
        )

    @property
    def _months(self) -> Decimal:
        """For how long log files stay; for ever, as far as it costs, without a lifecycle."""
        days = [rule["Expiration"]["Days"] for rule in self.lifecycle or ()]
        return Decimal(min(days)) / 30 if days else KEPT

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

    def contents(self, aws: Aws) -> Contents | None:
        """What it holds, as far as one call tells; None where it is not there."""
        return contents(aws, self._ours)

    def delete(self, aws: Aws) -> None:
        """Empty it, then delete it; see `clearing`."""
        for _ in self.clearing(aws):
            pass

    def clearing(self, aws: Aws) -> Iterator[Emptied]:
        """Announce nothing more, stop deliveries, delete all versions, then the bucket itself.

        This is `delete` for whoever wants to see how far it is: a command takes the values out one
        by one and shows them. So the engine need not know that one resource takes long, and no
        callback leads upstairs. Left anywhere, it goes on when it is called again.

        Yields:
            What has become of the versions and delete markers so far, after each call.

        Raises:
            AwsError: a trail still delivers to it, something in it cannot be deleted, or more and
                more arrives.
        """
        self._refuse_while_written(aws)
        try:
            self._shut(aws)
            yield from self._emptied_and_deleted(aws)
        except ClientError as error:
            if code_of(error) != "NoSuchBucket":
                raise

    def _emptied_and_deleted(self, aws: Aws) -> Iterator[Emptied]:
        so_far = Emptied()
        end: float | None = None  # what had gathered before takes as long as it takes
        while True:
            before = so_far
            for now in emptied(aws, self._ours):
                so_far = before + now
                yield so_far
            check(so_far, self.title)
            if self._gone(aws):
                return
            end = end or aws.clock.monotonic() + _ARRIVES
            if aws.clock.monotonic() > end:
                raise AwsError(_MORE.format(self.title, _ARRIVES), _WHO_WRITES)
            aws.clock.sleep(_PAUSE)

    def _refuse_while_written(self, aws: Aws) -> None:
        """A trail whose bucket goes is a trail that records nothing more: it goes first.

        Shadows of trails with their home elsewhere are seen here, too; of those that record one
        other region alone nothing is known here.
        https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DescribeTrails.html
        """
        known = aws.cloudtrail.describe_trails(includeShadowTrails=True)["trailList"]
        writers = [one["TrailARN"] for one in known if one.get("S3BucketName") == self.name]
        if writers:
            raise AwsError(
                f"deleting {self.title}: {', '.join(writers)} still delivers to it",
                "Nothing in it was touched. Delete that trail first, or let it deliver elsewhere.",
            )

    def _shut(self, aws: Aws) -> None:
        """Let it announce nothing, and CloudTrail deliver nothing more."""
        if self.announces:
            self._announce(aws, on=False)
        aws.s3.delete_bucket_policy(**cast("Any", self._ours))

    def _gone(self, aws: Aws) -> bool:
        """Delete it, unless something has arrived meanwhile."""
        try:
            aws.s3.delete_bucket(**cast("Any", self._ours))
        except ClientError as error:
            if code_of(error) == "BucketNotEmpty":
                return False
            raise
        return True


_ARRIVES = 300.0
"""Seconds for which objects may still arrive: CloudTrail delivers what it has gathered before."""
_PAUSE = 2.0
_MORE = "deleting {}: after {:.0f} s there is still more arriving in it"
_WHO_WRITES = "What had arrived is gone. See who else writes there; then run again."

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
