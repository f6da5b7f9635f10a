"""The KMS keys: one for what the trail writes, one for what waits in the topics.

KMS gives a key an id and no name, so its alias is its name here, and the promises of others name it
by that. CreateKey makes another key every time it is called: before one is made, the alias is
followed and, when that leads to none of ours, the account's keys are searched for the one with our
tags. A key is data: without it nothing that it encrypted can be read again. Deleted, it waits for
thirty days, in which `write` takes the deletion back rather than make another; a tag tells a
deletion of ours from an intruder's, which is no end but a drift.

https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from ctwatch.aws import Aws, Place, unless
from ctwatch.diff import State, statements
from ctwatch.parallel import settled
from ctwatch.permissions import ANY, Actions, Condition, Grant, allow
from ctwatch.prices import Price
from ctwatch.resources.base import TAG, Live, Resource, if_tagged, owner

ALIAS_TAG = "ctwatch:alias"
"""Tells the keys of one watch apart when an alias is gone."""

_LEFT_TAG = "ctwatch:down"
"""Says that `delete` had it deleted; KMS takes no tag once it is."""

ENABLED = "Enabled"
_PENDING = "PendingDeletion"
_GONE = "NotFoundException"
_INVALID = "KMSInvalidStateException"
_DENIED = "AccessDeniedException"
_DEFAULT = "default"  # the one name that a key's policy can have
_DELAY = 30  # days, the longest that KMS allows: https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html


@dataclass(frozen=True)
class _Seen:
    """A key that was found.

    Attributes:
        led: whether its alias leads to it.
        details: tells its policy, and whether it is renewed; what was not asked is asked then.
    """

    arn: str
    state: str
    tags: dict[str, str]
    led: bool
    details: "Callable[[], tuple[str, bool]]"


@dataclass(frozen=True, kw_only=True, eq=False)
class Key(Resource):
    """A symmetric key that KMS renews every year; its name is its alias without "alias/".

    Attributes:
        grants: what services may do with it, as statements of its policy.
    """

    grants: tuple[State, ...]

    kind: ClassVar[str] = "key"
    data: ClassVar[bool] = True
    lingers: ClassVar[str] = (
        f"KMS deletes it in {_DELAY} days, and all that it encrypted is lost then; until then "
        "ctwatch up takes it into use again"
    )

    @property
    def arn(self) -> str:
        """The ARN of its alias; its own only AWS knows."""
        return self.place.arn("kms", self.alias)

    @property
    def alias(self) -> str:
        """What leads to it."""
        return f"alias/{self.name}"

    @property
    def tags(self) -> dict[str, str]:
        """Those of all resources, and the alias's name."""
        return {**super().tags, ALIAS_TAG: self.alias}

    @property
    def policy(self) -> State:
        """The account, whose IAM policies then decide, and what services may do.

        https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
        """
        account: State = {
            "Sid": "EnableIAMUserPermissions",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:{self.place.partition}:iam::{self.place.account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
        return {"Version": "2012-10-17", "Statement": [account, *self.grants]}

    @property
    def wanted(self) -> State:
        """In use, renewed every year, found by its alias, and open to those who need it."""
        return {
            "state": ENABLED,
            "rotation": True,
            "alias": self.alias,
            "policy": statements(self.policy),
        }

    @property
    def every(self) -> str:
        """The ARNs of all keys of the account in its region, as its own cannot be known."""
        return self.place.arn("kms", "key/*")

    @property
    def price(self) -> tuple[Price, ...]:
        """As long as it was never renewed; each of its first two renewals adds as much."""
        return (Price("the key", Decimal("1.00"), "$1.00, and as much for each of two renewals"),)

    @property
    def finding(self) -> tuple[Grant, ...]:
        """What `found` needs."""
        return allow("kms", "ListKeys"), allow("kms", "DescribeKey ListResourceTags", self.every)

    @property
    def actions(self) -> Actions:
        """To look for it, any key; to change one, a key with our tag.

        The tag that a new key gets, or a lost one put back, is asked for itself.
        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
        https://docs.aws.amazon.com/kms/latest/developerguide/tag-permissions.html
        """
        ours = if_tagged(self.watch)
        tagging = Condition("StringEquals", f"aws:RequestTag/{TAG}", self.watch)
        mend = "CancelKeyDeletion UntagResource EnableKey PutKeyPolicy EnableKeyRotation"
        leave = "CancelKeyDeletion TagResource ScheduleKeyDeletion"
        harm = "DisableKey DisableKeyRotation DeleteImportedKeyMaterial RevokeGrant"

        def on_alias(calls: str) -> tuple[Grant, Grant]:
            """KMS asks for them on the alias, and on each key that it leads to."""
            keys = replace(allow("kms", calls, self.every), protective=False)
            return allow("kms", calls, self.arn), keys

        return Actions(
            read=(*self.finding, allow("kms", "GetKeyPolicy GetKeyRotationStatus", self.every)),
            write=(
                Grant(("kms:CreateKey",), (ANY,), tagging),
                allow("kms", "TagResource", self.every).only_if(tagging),
                allow("kms", mend, self.every).only_if(ours),
                allow("kms", "ListAliases"),
                *on_alias("CreateAlias UpdateAlias"),
            ),
            delete=(
                allow("kms", leave, self.every).only_if(ours),
                *on_alias("DeleteAlias"),
            ),
            tampering=(allow("kms", harm, self.every).only_if(ours),),
        )

    def found(self, aws: Aws) -> str | None:
        """Its own ARN, or None while AWS has not made it."""
        seen = self._seen(aws)
        return seen.arn if seen and owner(seen.tags) == self.watch else None

    def is_led_to(self, aws: Aws) -> bool:
        """Whether its alias leads anywhere."""
        return unless(lambda: aws.kms.describe_key(KeyId=self.arn), _GONE) is not None

    def _seen(self, aws: Aws, *, whole: bool = False) -> _Seen | None:
        """Follow the alias; where that does not lead to ours, search for it by its tags."""
        led = self._described(aws, self.arn, led=True, whole=whole)
        if led and owner(led.tags) == self.watch:
            return led
        return self._tagged(aws) or led

    @staticmethod
    def _described(aws: Aws, name: str, *, led: bool, whole: bool = False) -> _Seen | None:
        found = unless(lambda: aws.kms.describe_key(KeyId=name)["KeyMetadata"], _GONE)
        if found is None:
            return None
        arn = found["Arn"]
        ask = partial(_details, aws, arn)
        tags, details = aws.together(
            partial(_tags, aws, arn), partial(settled, ask) if whole else lambda: ask
        )
        return _Seen(arn, found["KeyState"], tags, led, details)

    def _tagged(self, aws: Aws) -> _Seen | None:
        found = self._every_tagged(aws)
        return min(found, key=lambda one: one.state == _PENDING, default=None)

    def _every_tagged(self, aws: Aws) -> list[_Seen]:
        """All with our tags: as KMS makes one at each call, an answer that was lost left a twin.

        It is `delete` that clears it away: `ctwatch up` may delete no key at all.
        """
        mine = {TAG: self.watch, ALIAS_TAG: self.alias}
        arns = [arn for arn, tags in _every_key(aws) if mine.items() <= tags.items()]
        return list(
            filter(
                None,
                aws.together(*(partial(self._described, aws, arn, led=False) for arn in arns)),
            )
        )

    def read(self, aws: Aws) -> Live | None:
        """Look at it; one as `delete` leaves it is gone."""
        seen = self._seen(aws, whole=True)
        if seen is None or (seen.state == _PENDING and _LEFT_TAG in seen.tags and not seen.led):
            return None
        policy, rotation = seen.details()
        state = {
            "state": seen.state,
            "rotation": rotation,
            "alias": self.alias if seen.led else None,
            "policy": statements(policy, statements(self.policy)),
        }
        return Live(state, owner(seen.tags), {"arn": seen.arn}, seen.tags)

    def write(self, aws: Aws, live: Live | None) -> None:
        """Make it, or take it back; then mend what differs, its state first."""
        arn, have = (live.facts["arn"], live.state) if live else self._obtained(aws)
        kms, wanted = aws.kms, self.wanted
        if have["state"] == _PENDING:
            # Where it was taken back, and the answer was lost, there is nothing to take back.
            unless(lambda: kms.cancel_key_deletion(KeyId=arn), _INVALID)
            kms.untag_resource(KeyId=arn, TagKeys=[_LEFT_TAG])
        if have["state"] != ENABLED:
            kms.enable_key(KeyId=arn)
        if have["alias"] is None:
            self._lead(aws, arn)
        if have["policy"] != wanted["policy"]:
            kms.put_key_policy(KeyId=arn, PolicyName=_DEFAULT, Policy=json.dumps(self.policy))
        if not have["rotation"]:
            _once_seen(aws, lambda: kms.enable_key_rotation(KeyId=arn))

    def _obtained(self, aws: Aws) -> tuple[str, State]:
        """One of ours that is being deleted, or a new one: its ARN, and what it is like."""
        seen = self._tagged(aws)
        if seen:
            return seen.arn, {"state": seen.state, "alias": None, "policy": {}, "rotation": False}
        made = aws.kms.create_key(
            Policy=json.dumps(self.policy),
            Description=f"{self.name}, for the watch {self.watch}",
            Tags=self._kms_tags,
        )
        return made["KeyMetadata"]["Arn"], {**self.wanted, "alias": None, "rotation": False}

    def _lead(self, aws: Aws, arn: str) -> None:
        """Let the alias lead to it, which may lead elsewhere now."""
        listed = aws.kms.get_paginator("list_aliases").paginate().search("Aliases[].AliasName")
        change = aws.kms.update_alias if self.alias in listed else aws.kms.create_alias
        _once_seen(aws, lambda: change(AliasName=self.alias, TargetKeyId=arn))

    def delete(self, aws: Aws) -> None:
        """Have it deleted after the longest wait there is, and take its alias away."""
        seen = self._seen(aws)
        every = [*self._every_tagged(aws), *([seen] if seen else [])]
        for one in {each.arn: each for each in every}.values():
            self._schedule(aws, one)
        if seen and seen.led:
            unless(lambda: aws.kms.delete_alias(AliasName=self.alias), _GONE)

    @staticmethod
    def _schedule(aws: Aws, one: _Seen) -> None:
        """Mark one as left by us, and have it deleted; one that we left stays as it is.

        Another's deletion is taken back first, as KMS takes no tag on what waits for its own.
        https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
        """
        if one.state == _PENDING:
            if _LEFT_TAG in one.tags:
                return
            unless(lambda: aws.kms.cancel_key_deletion(KeyId=one.arn), _INVALID)
        left: Any = [{"TagKey": _LEFT_TAG, "TagValue": "deleted"}]
        aws.kms.tag_resource(KeyId=one.arn, Tags=left)
        unless(
            lambda: aws.kms.schedule_key_deletion(KeyId=one.arn, PendingWindowInDays=_DELAY),
            _INVALID,  # it was scheduled, and the answer was lost
        )

    def label(self, aws: Aws) -> None:
        """Put them on."""
        aws.kms.tag_resource(KeyId=str(self.found(aws)), Tags=self._kms_tags)

    @property
    def _kms_tags(self) -> Any:
        return [{"TagKey": key, "TagValue": value} for key, value in self.tags.items()]


@dataclass(frozen=True)
class GivenKey:
    """A key of the user's: used, looked at, and never changed."""

    arn: str

    def found(self, _: Aws) -> str:
        """Its ARN."""
        return self.arn

    def seen(self, aws: Aws) -> State:
        """Its state, None where there is no such key, and its policy's statements."""
        found, policy = aws.together(
            lambda: unless(lambda: aws.kms.describe_key(KeyId=self.arn)["KeyMetadata"], _GONE),
            lambda: unless(
                lambda: aws.kms.get_key_policy(KeyId=self.arn, PolicyName=_DEFAULT)["Policy"], _GONE
            ),
        )
        state = found["KeyState"] if found else None
        return {"arn": self.arn, "state": state, "policy": statements(policy)}


def facts_of(key: Key | GivenKey | None, aws: Aws) -> tuple[str | None, State]:
    """What one that is encrypted wants to know of its key: its ARN, and facts about a given one."""
    if key is None:
        return None, {}
    return key.found(aws), {"key": key.seen(aws)} if isinstance(key, GivenKey) else {}


def looking_at(key: Key | GivenKey | None) -> tuple[Grant, ...]:
    """What `facts_of` needs; a key of the watch's own is a resource and says so itself."""
    if not isinstance(key, GivenKey):
        return ()
    return (allow("kms", "DescribeKey GetKeyPolicy", key.arn),)


def decrypting(key: Key | GivenKey | None) -> tuple[Grant, ...]:
    """What whoever reads what is encrypted with this key needs."""
    return tuple(replace(one, actions=("kms:Decrypt",)) for one in using(key))


def using(key: Key | GivenKey | None) -> tuple[Grant, ...]:
    """What whoever publishes to a topic with this key needs."""
    if key is None:
        return ()
    if isinstance(key, GivenKey):
        return (Grant(USE, (key.arn,)),)
    return (Grant(USE, (key.every,), if_tagged(key.watch)),)


def named(key: Key | GivenKey | None, known: str | None, live: str | None) -> str | None:
    """How a promise names the key that a thing is encrypted with.

    Args:
        key: what it shall be encrypted with.
        known: the ARN of that.
        live: the ARN of what it is encrypted with, or None.
    """
    return key.arn if key and live and live == known else live


def for_trail(place: Place, trail: str) -> tuple[State, ...]:
    """Lets CloudTrail encrypt what one trail writes.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
    """
    its_own = {"aws:SourceArn": trail}
    context = f"arn:{place.partition}:cloudtrail:*:{place.account}:trail/*"
    encrypted = {"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": context}}
    return (
        _grant("AllowCloudTrailEncrypt", "cloudtrail", "kms:GenerateDataKey*",
               {"StringEquals": its_own, **encrypted}),
        _grant("AllowCloudTrailDescribe", "cloudtrail", "kms:DescribeKey",
               {"StringEquals": its_own}),
    )  # fmt: skip


USE = ("kms:GenerateDataKey*", "kms:Decrypt")
"""What whoever publishes to an encrypted topic has to do with its key.

https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
"""


def for_topics(notifying: str | None, *, from_rules: bool = True) -> tuple[State, ...]:
    """Lets those publish who do: EventBridge, and CloudTrail for a trail that tells of deliveries.

    The function publishes as its role, of which the account's IAM decides.

    EventBridge without a Condition, of which SNS's page says that it does not support any here.
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services

    Args:
        notifying: the ARN of that trail; None where there is none.
        from_rules: whether EventBridge publishes.
    """
    found = [_grant("AllowEventBridgeUse", "events", list(USE))] if from_rules else []
    if notifying:
        condition = {"StringEquals": {"aws:SourceArn": notifying}}
        found.append(_grant("AllowCloudTrailUse", "cloudtrail", list(USE), condition))
    return tuple(found)


def _grant(sid: str, service: str, action: Any, condition: State | None = None) -> State:
    statement: State = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": action,
        "Resource": "*",
    }
    return {**statement, "Condition": condition} if condition else statement


def marked_keys(aws: Aws, watch: str) -> set[str]:
    """The names of the keys that carry the tags of a watch.

    Raises:
        ClientError: KMS would not say.
    """
    found = (tags for _, tags in _every_key(aws) if tags.get(TAG) == watch)
    return {tags.get(ALIAS_TAG, "").removeprefix("alias/") for tags in found}


def _once_seen(aws: Aws, call: Any) -> None:
    """KMS may not show a key that it has just made.

    https://docs.aws.amazon.com/kms/latest/developerguide/accessing-kms.html#programming-eventual-consistency
    """
    aws.patiently(call, code=_GONE)


def _details(aws: Aws, arn: str) -> tuple[str, bool]:
    policy, rotation = aws.together(
        lambda: aws.kms.get_key_policy(KeyId=arn, PolicyName=_DEFAULT)["Policy"],
        lambda: aws.kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"],
    )
    return policy, rotation


def _tags(aws: Aws, arn: str) -> dict[str, str]:
    pages = aws.kms.get_paginator("list_resource_tags").paginate(KeyId=arn)
    return {tag["TagKey"]: tag["TagValue"] for page in pages for tag in page["Tags"]}


def _every_key(aws: Aws) -> Iterator[tuple[str, dict[str, str]]]:
    """The ARN and the tags of every key that shows us its tags.

    Ours lets the account's IAM decide; one that does not answer while others do is a stranger's.

    Raises:
        ClientError: none of them answers.
    """
    pages = aws.kms.get_paginator("list_keys").paginate()
    arns = [key["KeyArn"] for page in pages for key in page["Keys"]]
    answers = aws.together(*(partial(_tags_or_why, aws, arn) for arn in arns))
    refusals = [one for one in answers if isinstance(one, ClientError)]
    if refusals and len(refusals) == len(arns):
        raise refusals[0]
    for arn, told in zip(arns, answers, strict=True):
        if not isinstance(told, ClientError):
            yield arn, told


def _tags_or_why(aws: Aws, arn: str) -> dict[str, str] | ClientError:
    try:
        return _tags(aws, arn)
    except ClientError as error:
        return error
