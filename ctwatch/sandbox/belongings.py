"""What IAM knows of the things that a call is on: their tags, their keys, their full names.

It reads moto's own memory, as an API call for each question would cost more than the call that
raises it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from moto.awslambda_simple.models import lambda_simple_backends
from moto.cloudtrail.models import cloudtrail_backends
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, iam_backends
from moto.kms.models import kms_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends

from ctwatch.sandbox.calls import Call
from ctwatch.sandbox.cloud import tagged
from ctwatch.sandbox.policies import Document
from ctwatch.sandbox.queries import WORKGROUPS

_TAGGED: Mapping[str, Any] = {
    "kms": kms_backends,
    "lambda": lambda_simple_backends,
    "logs": logs_backends,
    "s3": s3_backends,
    "sns": sns_backends,
}


def tags(account: str, arn: str) -> dict[str, str]:
    """The tags of a thing, as it is there now; none where it is not, or its kind is not known."""
    if arn.count(":") < 5:  # noqa: PLR2004 - no ARN
        return {}
    _, _, service, region, _, _ = arn.split(":", 5)
    if service in {"events", "cloudtrail"}:
        return next((worn for one, worn in tagged(account, region) if one == arn), {})
    bare = arn.partition("/")[0] if service == "s3" else arn.removesuffix(":log-stream:")
    if service not in _TAGGED:
        return {}
    there = _TAGGED[service][account][region or "aws"].iter_tagged_resources()
    return next((one.tags for one in there if one.arn.removesuffix(":*") == bare), {})


def key(call: Call, name: str) -> str | None:
    """The ARN of a key by its id, its ARN or an alias; None where the alias leads to none."""
    backend: Any = kms_backends[call.account][call.region]
    bare = name.rpartition(":")[2].removeprefix("key/")
    found = backend.get_key_id_from_alias(bare) if bare.startswith("alias/") else bare
    where = f"arn:aws:kms:{call.region}:{call.account}:key/"
    return where + found.removeprefix("key/") if found else None


def topic_key(call: Call) -> str | None:
    """The ARN of the key of the topic that a call is on."""
    topics: Any = sns_backends[call.account][call.region].topics
    found = topics.get(call.params.get("TopicArn"))
    return key(call, found.kms_master_key_id) if found and found.kms_master_key_id else None


def workgroup(query: str) -> str:
    """The workgroup of a query; "primary" for one that nobody knows."""
    return WORKGROUPS.get(query, "primary")


def trail_keys(account: str, bucket: str) -> Iterator[str]:
    """The ARNs of the keys of the trails that write into a bucket."""
    for region in list(cloudtrail_backends[account]):
        for one in cloudtrail_backends[account][region].trails.values():
            if one.bucket_name == bucket and one.kms_key_id:
                yield str(one.kms_key_id)


def principal(account: str, kind: str, name: str) -> str:
    """The ARN of a role, a user or a group, with its path where it has one."""
    found = _of_kind(account, kind, name)
    return found.arn if found else f"arn:aws:iam::{account}:{kind}/{name}"


def holdings(account: str, arn: str) -> tuple[list[Document], Document | None] | None:
    """The policies of a role or a user, its groups' among them, and its permissions boundary.

    None where there is no such role or user.
    """
    kind, _, name = arn.rpartition(":")[2].partition("/")
    found = _of_kind(account, kind, name.rpartition("/")[2])
    if found is None:
        return None
    groups = [one for one in _iam(account).groups.values() if found in one.users]
    held = [document for one in (found, *groups) for document in _documents(one)]
    bounded = getattr(found, _BOUNDARY, None)
    return held, (managed(account, bounded) or {}) if bounded else None


def managed(account: str, arn: str) -> Document | None:
    """The document of a managed policy, as it counts; None where there is none."""
    if ":iam::aws:policy/" in arn:
        learn_managed(account)
    found = _iam(account).managed_policies.get(arn)
    return _default(found) if found else None


_BOUNDARY = "permissions_boundary_arn"
"""As moto has it of roles, and of users since `bound`."""


def bound(account: str, user: str, arn: str | None) -> bool:
    """Give a user a permissions boundary, or take it away; tell whether there is such a user."""
    found = _of_kind(account, "user", user)
    if found:
        setattr(found, _BOUNDARY, arn)
    return found is not None


def learn_managed(account: str) -> None:
    """Let the account know the policies that AWS manages, which moto reads only if told to."""
    iam = _iam(account)
    if iam.aws_managed_policies:
        return
    told = json.loads(aws_managed_policies_data)
    iam.aws_managed_policies = [
        AWSManagedPolicy.from_data(name, account, "us-east-1", one) for name, one in told.items()
    ]
    iam.managed_policies |= {one.arn: one for one in iam.aws_managed_policies}


def parsed(document: Any) -> Document:
    """IAM keeps policies as they came, which may be URL-encoded."""
    return unquote(document) if isinstance(document, str) else document


def _iam(account: str) -> Any:
    return iam_backends[account]["aws"]


def _of_kind(account: str, kind: str, name: str) -> Any:
    there = getattr(_iam(account), f"{kind}s").values()
    return next((one for one in there if one.name == name), None)


def _documents(holder: Any) -> Iterator[Document]:
    yield from map(parsed, list(holder.policies.values()))
    yield from map(_default, list(holder.managed_policies.values()))


def _default(policy: Any) -> Document:
    """The version of a managed policy that counts."""
    return next((parsed(one.document) for one in policy.versions if one.is_default), None)
