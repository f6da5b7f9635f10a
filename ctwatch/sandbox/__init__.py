"""A local AWS on loopback; needs the extra `ctwatch[sandbox]`, which importing this does not."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ctwatch.errors import SandboxError

if TYPE_CHECKING:
    from ctwatch.sandbox.server import Sandbox

NEEDS = ("moto", "flask", "flask_cors", "werkzeug")


def sandbox_class() -> "type[Sandbox]":
    """The `Sandbox` class, imported only now.

    Raises:
        SandboxError: the extra is not installed.
    """
    if any(find_spec(name) is None for name in NEEDS):
        raise SandboxError(
            "The sandbox is not installed with ctwatch.",
            "Install ctwatch with its extra; in a clone: pip install '.[sandbox]'",
        )
    from ctwatch.sandbox.server import Sandbox  # noqa: PLC0415 - moto is an extra

    return Sandbox
