"""What every command does first: the config, the account, the secrets, the watch they make.

Secrets are resolved as far as the command needs them: `up` must have them, for the rest a secret
that is not at hand reads "not compared".
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal
from uuid import UUID

from ctwatch.aws import LOGGED_OUT, TROUBLE, Aws, Place, complaint, connect, listing_regions
from ctwatch.config import (
    ALL_REGIONS,
    Complaint,
    Config,
    check_existing,
    key_names,
    load,
    unlisted_region,
    warnings,
)
from ctwatch.errors import AwsError, CtwatchError
from ctwatch.existing import ExistingTrail
from ctwatch.listening import hears_elsewhere, partition_of
from ctwatch.parallel import settled
from ctwatch.permissions import Grant, allow
from ctwatch.resources.given import NoTrailError, find, finding_needs, remembered
from ctwatch.secret import ASKED, check_webhook, probe, resolve
from ctwatch.watch import Watch, plan

_GONE = range(400, 500)
"""Answers of a webhook that say that it will never take an alert."""
_TOO_MANY = 429
_THERE = 200
_IN_AWS = "ssm:"


@dataclass(frozen=True)
class Choice:
    """What the user chose on the command line.

    Attributes:
        config: the config file.
        profile: the AWS profile, or None for the environment's.
        region: the home region, or None for the config's.
    """

    config: Path
    profile: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class Opened:
    """A watch, and the account to look for it in.

    Attributes:
        caller: who we are, as STS names us.
        keys: the ids of its own keys, as far as AWS has made them, by their names; None where that
            was left open, and the watch is planned with something in their places.
        existing: what AWS knows of the trail that the watch leans on, if it leans on one.
        doubts: what in the config is right, but hardly meant so; as the user wrote it, as regions
            that AWS itself has named are in no doubt.
        unseen: what of earlier configs could not be looked for, as AWS refused it.
    """

    config: Config
    watch: Watch
    aws: Aws
    secrets: Mapping[str, str | None] = field(repr=False)
    caller: str
    keys: Mapping[str, str] | None
    existing: ExistingTrail | None = None
    doubts: tuple[Complaint, ...] = ()
    unseen: tuple[str, ...] = ()


def opened(
    choice: Choice,
    *,
    need_secrets: bool = False,
    need_trail: bool = False,
    search: Literal["", "near", "thorough"] = "",
    need_keys: bool = True,
) -> Opened:
    """Load the config, ask AWS who we are, and plan the watch.

    Args:
        choice: the config, and whose credentials.
        need_secrets: whether it is an error that one is not at hand.
        need_trail: whether it is an error that the trail is not there that the config calls
            existing. A watch that has lost it can still be looked at and cleared away.
        search: how it will be looked for what earlier configs left (see `strays`). Where that takes
            the regions of the account, AWS is asked for them while it tells who we are.
        need_keys: whether the ids of its keys are asked for; else whoever looks at all of it next
            finds them: see `with_keys`.

    Raises:
        ConfigError: the config is wrong, or something that is needed is missing.
        AwsError: AWS would not say who we are, or what else has to be known.
    """
    config = load(choice.config)
    if choice.region:
        config = config.with_region(choice.region)
    doubts = tuple(warnings(config.document))
    aws = connect(choice.profile, config.region)
    if need_secrets:
        check_at_hand(config, choice.config.parent, aws)
    aws.ahead()
    caller, regions = aws.together(
        partial(_caller, aws, config.region),
        partial(settled, aws.regions if _asks_regions(config, search) else list),
    )
    place = Place.of(caller, config.region)
    if ALL_REGIONS in config.regions:
        config = config.with_regions(regions())
    config = config.filled(account=place.account)
    secrets = _secrets(config, choice.config.parent, aws, need=need_secrets)
    existing = _existing(config, place, aws, need=need_trail)
    watch = plan(config, place, secrets, _open_keys(config, place), existing)
    there = Opened(config, watch, aws, secrets, caller, None, existing, doubts)
    return with_keys(there, known_keys(watch, aws)) if need_keys else there


def _asks_regions(config: Config, search: str) -> bool:
    """Whether it takes the account's regions to plan the watch, or to look for its strays."""
    near = search == "near" and hears_elsewhere(config)
    return ALL_REGIONS in config.regions or search == "thorough" or near


def _open_keys(config: Config, place: Place) -> dict[str, str]:
    """What stands in the place of the ids of keys, as long as they, until these are known."""
    numbered = enumerate(key_names(config.name))
    return {name: place.arn("kms", f"key/{UUID(int=number)}") for number, name in numbered}


def with_keys(opened: Opened, keys: Mapping[str, str]) -> Opened:
    """The watch, planned with the ids of its own keys; all that is unwanted stays the same.

    Args:
        opened: with its keys left open.
        keys: their ARNs, by their names.
    """
    before = opened.watch
    if not before.keys:
        return replace(opened, keys=keys)
    watch = plan(opened.config, before.place, opened.secrets, keys, opened.existing)
    return replace(opened, watch=replace(watch, unwanted=before.unwanted), keys=keys)


def with_its_keys(opened: Opened) -> Opened:
    """The watch, planned with the ids of its own keys, which have just been made.

    Raises:
        AwsError: AWS would not say.
    """
    before = opened.watch
    keys = known_keys(before, opened.aws)
    watch = plan(opened.config, before.place, opened.secrets, keys, opened.existing)
    planned = {one.arn for one in (*watch.resources, *watch.unwanted)}
    strays = [one for one in before.unwanted if one.arn not in planned]
    return replace(opened, watch=replace(watch, unwanted=(*watch.unwanted, *strays)), keys=keys)


def located(
    choice: Choice, account: str | None = None
) -> tuple[Config, Place, ExistingTrail | None]:
    """Load the config, and say where its watch lives and which trail it leans on, if any.

    Args:
        choice: what the user chose.
        account: the account's id; None to ask AWS, which else is asked for nothing.

    Raises:
        ConfigError: the config is wrong.
        AwsError: AWS would not say who we are, or what trail that is.
    """
    config = load(choice.config)
    if choice.region:
        config = config.with_region(choice.region)
    if account:
        place = Place(partition_of(config.region), account, config.region)
        wish = config.trail.existing or ""
        arn = wish if wish.startswith("arn:") else place.arn("cloudtrail", f"trail/{wish}")
        return config, place, ExistingTrail(arn, bucket="*") if wish else None
    aws = connect(choice.profile, config.region)
    place = Place.of(_caller(aws, config.region), config.region)
    filled = config.filled(account=place.account)
    return config, place, _existing(filled, place, aws, need=False)


def _caller(aws: Aws, region: str) -> str:
    """Who we are; a region that may be a slip of the finger is named if AWS is not there.

    Raises:
        AwsError: AWS would not say who we are, or the region is not enabled.
    """
    try:
        return aws.caller()
    except AwsError as error:
        if error.code in LOGGED_OUT and _is_off(aws, region):
            raise AwsError(*not_enabled(region), code=error.code) from error.__cause__
        if not (doubt := unlisted_region(region)):
            raise
        hint = f"region: {doubt}. {error.hint}".strip()
        raise AwsError(
            error.problem, hint, code=error.code, operation=error.operation
        ) from error.__cause__


def _is_off(aws: Aws, region: str) -> bool:
    """Whether a region refuses us because the account has not opted in.

    It does so as if it did not know us. Where that is true, nothing else is answered either.
    https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
    """
    try:
        return not aws.opted_in(region).startswith("ENABLED")
    except AwsError:
        return False


def not_enabled(region: str) -> tuple[str, str]:
    """What to say of a region that the account has not enabled, and what to do about it."""
    how = f"aws account enable-region --region-name {region}"
    return (
        f"the region {region} is not enabled for this account",
        f"Enable it, which takes some minutes: {how}; or choose another region in the config.",
    )


def _existing(config: Config, place: Place, aws: Aws, *, need: bool) -> ExistingTrail | None:
    """What AWS knows of the trail that the config calls existing; None where it names none.

    Raises:
        ConfigError: there is no such trail and there must be, or it is not one to lean on.
        AwsError: AWS would not say; the rules that name what it writes to cannot be planned then.
    """
    wish = config.trail.existing
    if wish is None:
        return None
    try:
        found = find(aws, wish, place, config.name)
    except TROUBLE as error:
        raise complaint(error, f"looking for the trail {wish}") from error
    except NoTrailError:
        if need:
            raise
        return remembered(aws, wish, place, config.function.name)
    check_existing(config, found)
    return found


def known_keys(watch: Watch, aws: Aws) -> dict[str, str]:
    """The ARNs of the watch's own keys that AWS has made, by the keys' names.

    Raises:
        AwsError: AWS would not say; what is told by a key's ARN cannot be planned then.
    """
    try:
        arns = aws.together(*(partial(key.found, aws) for key in watch.keys))
    except TROUBLE as error:
        raise complaint(error, "looking for the watch's keys") from error
    names = (key.name for key in watch.keys)
    return {name: arn for name, arn in zip(names, arns, strict=True) if arn}


def check_at_hand(config: Config, folder: Path, aws: Aws) -> None:
    """Refuse a webhook that leads where no alert may go before AWS is asked for anything.

    One that AWS keeps is looked at when it has been read.

    Raises:
        ConfigError: it leads there, or is not at hand.
    """
    for number, channel in enumerate(config.channels):
        if not channel.url.startswith(_IN_AWS):
            key = f"channels[{number}].url"
            url = resolve(
                channel.url, environ=os.environ, read_parameter=None, folder=folder, key=key
            )
            check_webhook(url, channel.type, loopback_allowed=aws.on_loopback, key=key)


def _secrets(config: Config, folder: Path, aws: Aws, *, need: bool) -> dict[str, str | None]:
    def read_parameter(name: str) -> str:
        try:
            answer = aws.ssm.get_parameter(Name=name, WithDecryption=True)
        except TROUBLE as error:
            raise complaint(error, f"reading the secret {name}") from error
        return answer["Parameter"]["Value"]

    found: dict[str, str | None] = {}
    for number, channel in enumerate(config.channels):
        try:
            found[channel.name] = resolve(
                channel.url,
                environ=os.environ,
                read_parameter=read_parameter,
                folder=folder,
                key=f"channels[{number}].url",
            )
        except CtwatchError:
            if need:
                raise
            found[channel.name] = None
    return found


def needs(config: Config, watch: Watch) -> Iterator[Grant]:
    """What `opened` needs.

    To ask who one is needs no permission:
    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    kept = [one.url.removeprefix(_IN_AWS) for one in config.channels if one.url.startswith(_IN_AWS)]
    if kept:
        arns = (watch.place.arn("ssm", f"parameter{name}") for name in kept)
        yield allow("ssm", "GetParameter", *arns)
    if ALL_REGIONS in config.regions:
        yield listing_regions(watch.place)
    for key in watch.keys:
        yield from key.finding
    account = f"arn:{watch.place.partition}:account::{watch.place.account}:account"
    yield allow("account", "GetRegionOptStatus", account)
    if config.trail.existing:
        yield from finding_needs(watch.trail.arn, watch.place, config.function.name)


def check_webhooks(opened: Opened) -> list[str]:
    """Make sure that every webhook leads somewhere, by a GET that posts nothing.

    Only Discord can be asked so; of the others nothing but the URL's form is looked at.

    Returns:
        Warnings: what could not be checked from here.

    Raises:
        ConfigError: a webhook leads where it must not.
        CtwatchError: the service says that the webhook is no more.
    """
    warnings: list[str] = []
    for number, channel in enumerate(opened.config.channels):
        url, key = opened.secrets[channel.name] or "", f"channels[{number}].url"
        check_webhook(url, channel.type, loopback_allowed=opened.aws.on_loopback, key=key)
        if channel.type in ASKED:
            warnings += _asked(url, channel.type, key)
    return warnings


def _asked(url: str, kind: str, key: str) -> list[str]:
    """What could not be found out by asking one webhook.

    Raises:
        CtwatchError: the service says that the webhook is no more.
    """
    try:
        status = probe(url)
    except CtwatchError as error:
        return [f"{key}: could not be checked from here: {error.problem}"]
    if status in _GONE and status != _TOO_MANY:
        raise CtwatchError(
            f"{key}: {kind} answers {status}: the webhook was deleted or is not right",
            "Make a new webhook in the channel's settings and store its URL again.",
        )
    if status != _THERE:
        return [f"{key}: could not be checked from here: it answers {status}"]
    return []
