"""The family of complaints: everything ctwatch says no with.

    CtwatchError            one sentence (what, where, why), a hint (what to do now), an exit code
    ├── ConfigError         the configuration or an argument is wrong; exit code 2
    │   ├── InvalidConfigError  every complaint about a config file at once (in `config`)
    │   └── PatternError        an event pattern that AWS would refuse (in `patterns`)
    ├── AwsError            an AWS call failed; names the call, the resource, AWS's own code
    ├── NoLogError          the log that tells of alerts is not there; exit code 3 (in `alerts`)
    ├── ForeignError        something has our name but not our tag; shown, never touched
    └── SandboxError        the local AWS could not be started or is not our own

Only `cli` prints them. Nothing below it prints or exits.
"""


class CtwatchError(Exception):
    """What went wrong and what to do now.

    Args:
        problem: one sentence: what, where, why.
        hint: what to do now; may be empty.
    """

    exit_code = 1

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


class ConfigError(CtwatchError):
    """The configuration or a command's argument is wrong."""

    exit_code = 2


class AwsError(CtwatchError):
    """An AWS call was refused or failed.

    Args:
        problem: the sentence.
        hint: what to do now.
        code: AWS's error code, as boto3 reports it ("TrailNotFoundException"), or "".
        operation: the API operation ("StopLogging"), or "".
    """

    def __init__(
        self, problem: str, hint: str = "", *, code: str = "", operation: str = ""
    ) -> None:
        super().__init__(problem, hint)
        self.code = code
        self.operation = operation

    @property
    def denied(self) -> bool:
        """Whether AWS refused for want of permission (which never means "absent")."""
        return self.code in {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"}


class ForeignError(CtwatchError):
    """A thing has our name but does not carry our tag."""


class SandboxError(CtwatchError):
    """The sandbox is not installed, could not start, or the server that answers is not ours."""
