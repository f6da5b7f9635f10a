"""What was read of the account, kept until something may have changed.

On its way an event asks for the same policies, roles and settings again and again: several reads
at each hop. So do `up` and `status`, which look at everything. An answer is given from memory as
long as nobody has called that service to change anything. What only moves messages and log lines
changes none of what is remembered.
"""

import copy
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore.awsrequest import AWSResponse

from ctwatch.sandbox.calls import Call

_REMEMBERED: Mapping[str, frozenset[str]] = {
    "cloudtrail": frozenset(
        {"DescribeTrails", "GetEventSelectors", "GetInsightSelectors", "GetTrail", "ListTags"}
    ),
    "events": frozenset(
        {
            *("DescribeEventBus", "DescribeRule", "ListRules", "ListTagsForResource"),
            "ListTargetsByRule",
        }
    ),
    "iam": frozenset(
        {
            *("GetRole", "ListRolePolicies", "GetRolePolicy", "ListAttachedRolePolicies"),
            *("GetPolicy", "GetPolicyVersion"),
        }
    ),
    "kms": frozenset(
        {
            *("DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "ListAliases"),
            "ListResourceTags",
        }
    ),
    "lambda": frozenset(
        {
            *("GetFunction", "GetFunctionConfiguration", "GetPolicy", "GetFunctionConcurrency"),
            "GetFunctionEventInvokeConfig",
        }
    ),
    "logs": frozenset({"DescribeLogGroups", "ListTagsForResource"}),
    "s3": frozenset(
        {
            *("GetBucketEncryption", "GetBucketLifecycleConfiguration", "GetBucketPolicy"),
            *("GetBucketNotificationConfiguration", "GetBucketOwnershipControls"),
            *("GetBucketTagging", "GetBucketVersioning", "GetObjectLockConfiguration"),
            *("GetPublicAccessBlock", "HeadBucket"),
        }
    ),
    "sns": frozenset(
        {
            *("GetSubscriptionAttributes", "GetTopicAttributes", "ListSubscriptionsByTopic"),
            "ListTagsForResource",
        }
    ),
    "sqs": frozenset({"GetQueueUrl", "GetQueueAttributes", "ListQueueTags"}),
    "ssm": frozenset({"GetParameter", "ListTagsForResource"}),
}
# Not GetBucketLocation, whose answer botocore takes off the wire once more than parsing does.
_TAGS_OF_ALL = "resourcegroupstaggingapi"  # whose changes are in other services
_QUEUE_POLICY = re.compile(r"""["']AttributeNames["']: \[["']Policy["']\]""")
"""Of a queue's attributes, the one that stays."""
_OF_MESSAGES = frozenset(
    {
        *("SendMessage", "ReceiveMessage", "DeleteMessage", "Publish"),
        *("CreateLogStream", "PutLogEvents"),
    }
)
_KEY = "ctwatch.sandbox.memory"

T = TypeVar("T")


class Memory:
    """The answers of one account.

    An answer is as old as the last change that was begun or ended before it was asked for: one that
    was asked for while a change was under way is never given again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ages: Counter[str] = Counter()
        self._known: dict[Any, tuple[int, Any]] = {}

    def changed(self, service: str, operation: str) -> None:
        """Forget what was read of a service: it was, or is about to be, told to change."""
        if operation not in _OF_MESSAGES:
            with self._lock:
                self._ages.update(_REMEMBERED.keys() if service == _TAGS_OF_ALL else [service])

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

    def once(self, call: Call, protocol: str, ask: Callable[[], T]) -> T:
        """What `ask` says to a call, which is asked only if that may be another than before.

        Args:
            call: what somebody has called.
            protocol: in which the answer is written.
            ask: asks moto.
        """
        asked = repr(call.params)
        if not _lasts(call.service, call.operation, asked):
            return ask()
        key = (call.region, call.operation, protocol, asked)
        age, known = self.recall(call.service, key)
        if known is None:
            known = ask()
            self.keep(call.service, key, age, known)
        answer: T = known
        return answer

    def recall(self, service: str, key: Any) -> tuple[int, Any]:
        """How often the service has changed, and what is known of it since."""
        with self._lock:
            age = self._ages[service]
            known = self._known.get((service, key))
        return age, known[1] if known and known[0] == age else None

    def keep(self, service: str, key: Any, age: int, answered: Any) -> None:
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
        asked = (params["url"], str(params["body"]))  # a bucket is named in the host or the path
        if not _lasts(self.service, model.name, asked[1]):
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


def _lasts(service: str, operation: str, asked: str) -> bool:
    """Whether an answer stays right until the service is told to change something."""
    if operation == "GetQueueAttributes":
        return bool(_QUEUE_POLICY.search(asked))
    return operation in _REMEMBERED.get(service, ())
