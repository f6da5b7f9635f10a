"""The function that carries alerts to the channels: code, configuration, permission, retries."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from ctwatch.aws import Aws, unless
from ctwatch.bundle import bundle, code_sha256
from ctwatch.diff import State, statements
from ctwatch.errors import AwsError
from ctwatch.permissions import Actions, allow, passing
from ctwatch.resources.base import Live, Resource, owner, pairs
from ctwatch.resources.log_group import LogGroup
from ctwatch.resources.queue import Queue
from ctwatch.resources.role import Role
from ctwatch.resources.secret import Secret
from ctwatch.secret import fingerprint

HANDLER = "notifier.main.handler"
TIMEOUT = 15
MEMORY = 256

_GONE = "ResourceNotFoundException"
_BUSY = "ResourceConflictException"
_SETTLING = ("in progress", "state: Pending")
_SETTLE_LIMIT = 300.0
_INVALID = "InvalidParameterValueException"
_UNSEEN_ROLE = ("role", "CreateGrant")
_ROLE_LIMIT = 120.0

# The promise's word for each of GetFunctionConfiguration's that UpdateFunctionConfiguration takes.
_CONFIGURATION = {
    "role": "Role",
    "runtime": "Runtime",
    "handler": "Handler",
    "timeout": "Timeout",
    "memory": "MemorySize",
    "environment": "Environment",
    "layers": "Layers",
    "network": "VpcConfig",
}

# https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
_CONDITION = ("State", "StateReason", "LastUpdateStatus", "LastUpdateStatusReason")


@dataclass(frozen=True, kw_only=True, eq=False)
class Function(Resource):
    """The notifier.

    Attributes:
        runtime: "python3.13".
        architecture: "x86_64" or "arm64".
        environment: its variables; what is secret among them is named by `hidden`.
        hidden: names of variables that hold secrets; their values may be None where the reference
            could not be resolved here, and are then not compared.
        channels: the names of the channels it serves.
        unasked: those of them that cannot be asked whether they are there without posting.
        choosy: those of them that are told of some alerts only.
        invokers: who may invoke it, as (service principal, source ARN) pairs.
        role: what it runs as.
        log_group: where it writes, made beforehand.
        dead_letter: where an event goes that it failed to deliver.
        custom: JSON of the user's own detections, for its zip; "" for none.
        secrets: what it reads: one for each channel, in their order, or none where they stand
            in its environment.
    """

    runtime: str
    architecture: str
    environment: Mapping[str, str | None] = field(repr=False)
    hidden: frozenset[str] = frozenset()
    channels: tuple[str, ...]
    unasked: frozenset[str] = frozenset()
    choosy: frozenset[str] = frozenset()
    invokers: tuple[tuple[str, str], ...]
    role: Role
    log_group: LogGroup
    dead_letter: Queue
    secrets: tuple[Secret, ...] = ()
    custom: str = ""

    kind: ClassVar[str] = "function"

    @property
    def confidential(self) -> tuple[str, ...]:
        """The values of its variables that are secret."""
        return tuple(value for name in self.hidden if (value := self.environment.get(name)))

    @property
    def note(self) -> str:
        """Whether its secret variables are compared."""
        unknown = sorted(name for name in self.hidden if self.environment.get(name, "") is None)
        if not unknown:
            return ""
        return f"{', '.join(unknown)} is not compared, as the config's value is not at hand"

    def secrets_of(self, channel: str) -> tuple[Secret, ...]:
        """What it reads for one channel."""
        by_name = dict(zip(self.channels, self.secrets, strict=False))
        return (by_name[channel],) if channel in by_name else ()

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.place.arn("lambda", f"function:{self.name}")

    @property
    def _zip(self) -> bytes:
        return _bundled(self.custom)

    @property
    def policy(self) -> State:
        """Who may invoke it; a SourceAccount would shut EventBridge out.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html
        """
        return {
            "Statement": [
                {
                    "Sid": _sid(service, source),
                    "Effect": "Allow",
                    "Principal": {"Service": service},
                    "Action": "lambda:InvokeFunction",
                    "Resource": self.arn,
                    "Condition": {"ArnLike": {"AWS:SourceArn": source}},
                }
                for service, source in self.invokers
            ]
        }

    @property
    def wanted(self) -> State:
        """Its code and all that decides whether and how it runs."""
        return {
            "code": code_sha256(self._zip),
            "architecture": self.architecture,
            "role": self.role.arn,
            "runtime": self.runtime,
            "handler": HANDLER,
            "timeout": TIMEOUT,
            "memory": MEMORY,
            "environment": self._seen(self.environment),
            "layers": [],
            "network": [],
            "concurrency": None,
            "permissions": statements(self.policy),
            "on_failure": self.dead_letter.arn,
            "retries": 2,
        }

    def _seen(self, variables: Mapping[str, str | None]) -> State:
        """Variables with secrets as fingerprints, and without those that are not compared."""
        return {
            name: fingerprint(value or "") if self._is_hidden(name) else value
            for name, value in variables.items()
            if self.environment.get(name, "") is not None
        }

    def _is_hidden(self, name: str) -> bool:
        """Whether a variable is not to be shown: a secret of ours, or anything a stranger added."""
        return name in self.hidden or name not in self.environment

    def reads_as(self, other: Resource) -> bool:
        """As long as the same variables are shown, whatever shall be in them."""
        shown = isinstance(other, Function) and _shown(self) == _shown(other)
        return shown and {**self.wanted, "environment": {}} == {**other.wanted, "environment": {}}

    @property
    def actions(self) -> Actions:
        """https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html."""
        mine = self.arn
        look = "GetFunction ListTags GetPolicy GetFunctionEventInvokeConfig GetFunctionConcurrency"
        make = "CreateFunction TagResource UpdateFunctionConfiguration UpdateFunctionCode"
        mend = "DeleteFunctionConcurrency AddPermission RemovePermission"
        harm = "PutFunctionConcurrency DeleteFunctionEventInvokeConfig PutFunctionRecursionConfig"
        return Actions(
            read=(allow("lambda", look, mine),),
            write=(
                allow("lambda", f"{make} {mend} PutFunctionEventInvokeConfig", mine),
                passing(self.role.arn, self.role.service),
            ),
            delete=(allow("lambda", "DeleteFunction", mine),),
            tampering=(allow("lambda", f"{harm} UntagResource", mine),),
        )

    def read(self, aws: Aws) -> Live | None:
        """Look at its configuration, permissions, concurrency and retries in one round."""
        function, policy, invoke, concurrency = aws.together(
            lambda: unless(lambda: aws.functions.get_function(FunctionName=self.name), _GONE),
            lambda: unless(lambda: aws.functions.get_policy(FunctionName=self.name), _GONE),
            lambda: unless(
                lambda: aws.functions.get_function_event_invoke_config(FunctionName=self.name),
                _GONE,
            ),
            lambda: unless(
                lambda: aws.functions.get_function_concurrency(FunctionName=self.name), _GONE
            ),
        )
        if function is None:
            return None
        if hidden := function.get("TagsError"):
            # GetFunction answers all the same where its caller may not see the tags.
            # https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html
            raise AwsError(
                f"looking at {self.title}: its tags were not shown: {hidden.get('Message')}",
                "Your credentials may not call ListTags: ask for that permission.",
                code=str(hidden.get("ErrorCode")),
                operation="ListTags",
            )
        live = function["Configuration"]
        invoke = invoke or {}
        on_failure = invoke.get("DestinationConfig", {}).get("OnFailure", {})
        state = {
            "code": live["CodeSha256"],
            "architecture": (live.get("Architectures") or ["x86_64"])[0],
            **{ours: live.get(theirs) for ours, theirs in _CONFIGURATION.items()},
            "environment": self._seen((live.get("Environment") or {}).get("Variables", {})),
            "layers": [one["Arn"] for one in live.get("Layers") or []],
            "network": (live.get("VpcConfig") or {}).get("SubnetIds") or [],
            "concurrency": (concurrency or {}).get("ReservedConcurrentExecutions"),
            "permissions": statements((policy or {}).get("Policy"), statements(self.policy)),
            "on_failure": on_failure.get("Destination"),
            "retries": invoke.get("MaximumRetryAttempts"),
        }
        facts = {key: live.get(key) for key in _CONDITION}
        worn = function.get("Tags")
        return Live(state, owner(worn), facts, pairs(worn))

    def write(self, aws: Aws, live: Live | None) -> None:
        """Create it or mend what differs: configuration, code, permissions, retries."""
        have = live.state if live else self._create(aws)
        if any(have[part] != self.wanted[part] for part in _CONFIGURATION):
            self._settled(aws, self._configure)
        if any(have[part] != self.wanted[part] for part in ("code", "architecture")):
            self._settled(aws, self._upload)
        if have["concurrency"] is not None:
            self._settled(aws, self._free)
        # Lambda keeps these two apart from each other, and from the function.
        retries = any(have[part] != self.wanted[part] for part in ("on_failure", "retries"))
        aws.together(
            lambda: self._permit(aws, have["permissions"]),
            *((lambda: self._settled(aws, self._set_retries),) if retries else ()),
        )

    def _create(self, aws: Aws) -> State:
        """Create it as soon as Lambda may assume the role; returns what it then is."""
        # A new role, and its policy, reach Lambda seconds after IAM has said yes.
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html
        aws.patiently(
            lambda: aws.functions.create_function(
                FunctionName=self.name,
                Code={"ZipFile": self._zip},
                Architectures=[cast("Any", self.architecture)],
                Description=said_of_function(self.watch),
                Tags=self.tags,
                **self._settings(),
            ),
            code=_INVALID,
            says=_UNSEEN_ROLE,
            limit=_ROLE_LIMIT,
        )
        return {**self.wanted, "permissions": {}, "on_failure": None, "retries": None}

    def _settings(self) -> Any:
        variables = {name: value or "" for name, value in self.environment.items()}
        return {
            "Role": self.role.arn,
            "Runtime": self.runtime,
            "Handler": HANDLER,
            "Timeout": TIMEOUT,
            "MemorySize": MEMORY,
            "Environment": {"Variables": variables},
        }

    def _configure(self, aws: Aws) -> None:
        aws.functions.update_function_configuration(
            FunctionName=self.name,
            Layers=[],
            VpcConfig={"SubnetIds": [], "SecurityGroupIds": []},
            **self._settings(),
        )

    def _free(self, aws: Aws) -> None:
        aws.functions.delete_function_concurrency(FunctionName=self.name)

    def _upload(self, aws: Aws) -> None:
        aws.functions.update_function_code(
            FunctionName=self.name,
            ZipFile=self._zip,
            Architectures=[cast("Any", self.architecture)],
        )

    def _set_retries(self, aws: Aws) -> None:
        # Lambda checks that the role may send there, and may see the role's policy late.
        aws.patiently(
            lambda: aws.functions.put_function_event_invoke_config(
                FunctionName=self.name,
                MaximumRetryAttempts=2,
                DestinationConfig={"OnFailure": {"Destination": self.dead_letter.arn}},
            ),
            code=_INVALID,
            says=_UNSEEN_ROLE,
            limit=_ROLE_LIMIT,
        )

    def _permit(self, aws: Aws, have: State) -> None:
        """Mend its permissions one after another: side by side, Lambda loses some."""
        wanted = statements(self.policy)
        for sid in have:
            if have[sid] != wanted.get(sid):
                self._settled(aws, _unpermission(self.name, sid))
        for service, source in self.invokers:
            sid = _sid(service, source)
            if have.get(sid) != wanted[sid]:
                self._settled(aws, _permission(self.name, sid, service, source))

    def _settled(self, aws: Aws, call: Callable[[Aws], None]) -> None:
        """Make a change as soon as Lambda has carried out the one before.

        https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
        """
        aws.patiently(lambda: call(aws), code=_BUSY, says=_SETTLING, limit=_SETTLE_LIMIT)

    def label(self, aws: Aws) -> None:
        """Put them on."""
        aws.functions.tag_resource(Resource=self.arn, Tags=self.tags)

    def delete(self, aws: Aws) -> None:
        """Delete it with its permissions, as soon as Lambda has carried out the last change."""
        self._settled(aws, self._delete)

    def _delete(self, aws: Aws) -> None:
        unless(lambda: aws.functions.delete_function(FunctionName=self.name), _GONE)


def _shown(one: Function) -> set[str]:
    """The names of the variables whose values are read as they stand."""
    known = {name for name, value in one.environment.items() if value is not None}
    return known - one.hidden


def said_of_function(watch: str) -> str:
    """The description of a watch's function."""
    return f"Carries the alerts of the watch {watch} to its channels"


@functools.cache
def _bundled(custom: str) -> bytes:
    """The zip, which is asked for at every look at a promise; a run promises one code."""
    return bundle(custom=custom)


def _sid(service: str, source: str) -> str:
    """A statement's name: "sns-sns-cloudtrail-alarm"."""
    name = source.rpartition(":")[2].rpartition("/")[2].replace(".", "-")
    return f"{service.partition('.')[0]}-{name}"[:100]


def _unpermission(function: str, sid: str) -> Callable[[Aws], None]:
    def remove(aws: Aws) -> None:
        unless(
            lambda: aws.functions.remove_permission(FunctionName=function, StatementId=sid), _GONE
        )

    return remove


def _permission(function: str, sid: str, service: str, source: str) -> Callable[[Aws], None]:
    def add(aws: Aws) -> None:
        aws.functions.add_permission(
            FunctionName=function,
            StatementId=sid,
            Action="lambda:InvokeFunction",
            Principal=service,
            SourceArn=source,
        )

    return add
