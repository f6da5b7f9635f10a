"""Who stands behind an access key: the caller of a call, as CloudTrail and STS name them.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ctwatch.sandbox.policies import Document

USER = "sandbox"
ACCESS_KEY = "AKIACTWATCHSANDBOX00"
SECRET_KEY = "not-a-secret"  # noqa: S105 - nothing in the sandbox checks it
ROOT_KEY = "AKIACTWATCHSANDBOXRT"
"""The root user's, who has one where nobody has followed AWS's advice."""
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True)
class Identity:
    """A caller.

    Attributes:
        arn: as GetCallerIdentity tells it.
        user_id: as GetCallerIdentity tells it.
        element: the `userIdentity` element of its CloudTrail records.
        session_policies: what limits a role's session, beside the role's own policies.
    """

    arn: str
    user_id: str
    element: Mapping[str, Any]
    session_policies: tuple[Document, ...] = ()

    @property
    def principal(self) -> str:
        """The ARN of who has the policies: of a session, its role."""
        session = self.element.get("sessionContext")
        return str(session["sessionIssuer"]["arn"]) if session else self.arn


class Identities:
    """The access keys that the sandbox knows, each with its caller."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._known: dict[str, Identity] = {}
        self.clear()

    def clear(self) -> None:
        """Forget every key but the first, and the root user's."""
        with self._lock:
            self._known = {
                ACCESS_KEY: _user(
                    self._account, f"arn:aws:iam::{self._account}:user/{USER}", ACCESS_KEY
                ),
                ROOT_KEY: _root(self._account, ROOT_KEY),
            }

    def of(self, access_key: str) -> Identity | None:
        """Who the key belongs to; None when nobody's."""
        with self._lock:
            return self._known.get(access_key)

    def add_user(self, arn: str, access_key: str) -> None:
        """Learn the key of an IAM user."""
        with self._lock:
            self._known[access_key] = _user(self._account, arn, access_key)

    def forget(self, access_key: str) -> None:
        """Know a key no more."""
        with self._lock:
            self._known.pop(access_key, None)

    def add_session(
        self,
        role_arn: str,
        session: str,
        access_key: str,
        role_id: str,
        session_policies: tuple[Document, ...] = (),
    ) -> None:
        """Learn the key of a role's session."""
        lent = _session(self._account, role_arn, session, access_key, role_id)
        with self._lock:
            self._known[access_key] = replace(lent, session_policies=session_policies)

    def lend(self, role_arn: str, session: str) -> str:
        """A fresh access key for a session of a role."""
        access_key = "ASIA" + _random()
        self.add_session(role_arn, session, access_key, "AROA" + _random())
        return access_key


def _random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def _root(account: str, access_key: str) -> Identity:
    arn = f"arn:aws:iam::{account}:root"
    element = {
        "type": "Root",
        "principalId": account,
        "arn": arn,
        "accountId": account,
        "accessKeyId": access_key,
    }
    return Identity(arn, account, element)


def _user(account: str, arn: str, access_key: str) -> Identity:
    user_id = "AIDA" + access_key[4:]
    element = {
        "type": "IAMUser",
        "principalId": user_id,
        "arn": arn,
        "accountId": account,
        "accessKeyId": access_key,
        "userName": arn.rpartition("/")[2],
    }
    return Identity(arn, user_id, element)


def _session(account: str, role_arn: str, session: str, access_key: str, role_id: str) -> Identity:
    role = role_arn.rsplit("/", 1)[-1]
    arn = f"arn:aws:sts::{account}:assumed-role/{role}/{session}"
    user_id = f"{role_id}:{session}"
    issuer = {
        "type": "Role",
        "principalId": role_id,
        "arn": role_arn,
        "accountId": account,
        "userName": role,
    }
    element = {
        "type": "AssumedRole",
        "principalId": user_id,
        "arn": arn,
        "accountId": account,
        "accessKeyId": access_key,
        "sessionContext": {
            "sessionIssuer": issuer,
            "attributes": {"mfaAuthenticated": "false"},
        },
    }
    return Identity(arn, user_id, element)
