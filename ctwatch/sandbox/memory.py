"""What the sandbox's own clients have read of the account, kept until something may have changed.

On its way an event asks for the same policies, roles and settings again and again: several reads
at each hop. An answer is given from memory as long as nobody has called that service to change
anything. What only moves messages and log lines changes none of what is remembered.
"""

import copy
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from botocore.awsrequest import AWSResponse

_REMEMBERED: Mapping[str, frozenset[str]] = {
    "iam": frozenset(
        {
            *("GetRole", "ListRolePolicies", "GetRolePolicy", "ListAttachedRolePolicies"),
            *("GetPolicy", "GetPolicyVersion"),
        }
    ),
    "lambda": frozenset({"GetFunctionConfiguration", "GetPolicy", "GetFunctionConcurrency"}),
    "logs": frozenset({"DescribeLogGroups"}),
    "sqs": frozenset({"GetQueueUrl", "GetQueueAttributes"}),
    "sns": frozenset({"GetTopicAttributes", "ListSubscriptionsByTopic"}),
    "kms": frozenset({"DescribeKey", "GetKeyPolicy"}),
}
_QUEUE_POLICY = '"AttributeNames": ["Policy"]'  # of a queue's attributes, the one that stays
_OF_MESSAGES = frozenset(
    {
        *("SendMessage", "ReceiveMessage", "DeleteMessage", "Publish"),
        *("CreateLogStream", "PutLogEvents"),
    }
)
_KEY = "ctwatch.sandbox.memory"

_Answered = tuple[int, dict[str, Any]]
"""The status and the parsed answer."""


class Memory:
    """The answers of one account.

    An answer is as old as the last change that was begun or ended before it was asked for: one that
    was asked for while a change was under way is never given again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ages: Counter[str] = Counter()
        self._known: dict[Any, tuple[int, _Answered]] = {}

    def changed(self, service: str, operation: str) -> None:
        """Forget what was read of a service: it was, or is about to be, told to change."""
        if operation not in _OF_MESSAGES:
            with self._lock:
                self._ages[service] += 1

    def forget(self) -> None:
        """Forget everything."""
        with self._lock:
            self._ages.update(_REMEMBERED.keys())
            self._known.clear()

    def watch(self, client: Any, reads: Callable[[str], bool]) -> None:
        """Let a client's reads be remembered, and its other calls be known.

        Args:
            client: of botocore's.
            reads: tells by an operation's name whether it only reads.
        """
        meta = client.meta
        seen = _Seen(self, meta.service_model.service_name, meta.region_name, reads)
        name = meta.service_model.service_id.hyphenize()
        meta.events.register("before-call", seen.before)
        meta.events.register("after-call", seen.after)
        for operation in _REMEMBERED.get(seen.service, ()):
            # Before botocore's own, which decode a policy in the very answer.
            meta.events.register_first(f"after-call.{name}.{operation}", seen.answered)

    def recall(self, service: str, key: Any) -> tuple[int, _Answered | None]:
        """How often the service has changed, and what is known of it since."""
        with self._lock:
            age = self._ages[service]
            known = self._known.get((service, key))
        return age, known[1] if known and known[0] == age else None

    def keep(self, service: str, key: Any, age: int, answered: _Answered) -> None:
        """Remember an answer to what was asked when the service had changed so often."""
        with self._lock:
            self._known[service, key] = age, answered


class _Seen:
    """What one client asks and hears."""

    def __init__(
        self, memory: Memory, service: str, region: str, reads: Callable[[str], bool]
    ) -> None:
        self.memory, self.service, self.region, self.reads = memory, service, region, reads

    def before(self, model: Any, params: Any, context: dict[str, Any], **_: Any) -> Any:
        """The remembered answer, so that nobody need be asked."""
        if not self.reads(model.name):
            self.memory.changed(self.service, model.name)
            return None
        asked = (params["url_path"], str(params["query_string"]), str(params["body"]))
        if model.name not in _REMEMBERED.get(self.service, ()) or not _lasts(model.name, asked[2]):
            return None
        key = (self.region, model.name, *asked)
        age, known = self.memory.recall(self.service, key)
        if known is None:
            context[_KEY] = key, age
            return None
        nothing: Any = {}
        return AWSResponse("", known[0], nothing, None), copy.deepcopy(known[1])

    def answered(self, http_response: Any, parsed: Any, context: dict[str, Any], **_: Any) -> None:
        """Keep what was answered."""
        if _KEY in context:
            key, age = context.pop(_KEY)
            answered = http_response.status_code, copy.deepcopy(parsed)
            self.memory.keep(self.service, key, age, answered)

    def after(self, model: Any, **_: Any) -> None:
        """Know that a change has ended."""
        if not self.reads(model.name):
            self.memory.changed(self.service, model.name)


def _lasts(operation: str, body: str) -> bool:
    """Whether an answer stays right while messages come and go."""
    return operation != "GetQueueAttributes" or _QUEUE_POLICY in body
