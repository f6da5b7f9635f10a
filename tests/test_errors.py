import pytest

from ctwatch import errors
from ctwatch.config import InvalidConfigError
from ctwatch.errors import AwsError, ConfigError, CtwatchError, ForeignError, SandboxError
from ctwatch.patterns import PatternError


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (CtwatchError, 1),
        (ConfigError, 2),
        (InvalidConfigError, 2),
        (PatternError, 2),
        (AwsError, 1),
        (ForeignError, 1),
        (SandboxError, 1),
    ],
)
def test_each_complaint_has_its_exit_code_and_its_place_in_the_family_tree(kind, code):
    assert issubclass(kind, CtwatchError)
    assert kind.exit_code == code
    assert kind.__name__ in errors.__doc__


def test_a_complaint_is_a_sentence_and_a_hint():
    complaint = CtwatchError("the trail is gone", "Run: ctwatch up")
    assert str(complaint) == complaint.problem == "the trail is gone"
    assert complaint.hint == "Run: ctwatch up"
    assert CtwatchError("the trail is gone").hint == ""


def test_an_aws_error_names_the_code_and_the_operation():
    error = AwsError("no", "do", code="TrailNotFoundException", operation="StopLogging")
    assert (error.code, error.operation) == ("TrailNotFoundException", "StopLogging")
    assert (AwsError("no").code, AwsError("no").operation) == ("", "")


@pytest.mark.parametrize(
    ("code", "denied"),
    [
        ("AccessDenied", True),
        ("AccessDeniedException", True),
        ("AuthorizationError", True),
        ("403", True),
        ("404", False),
        ("TrailNotFoundException", False),
        ("ThrottlingException", False),
        ("", False),
    ],
)
def test_denied_is_told_from_every_other_refusal(code, denied):
    assert AwsError("no", code=code).denied is denied
