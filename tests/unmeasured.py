"""Coverage looks away while pytest, botocore and moto work.

No line of theirs is counted, and yet Python's tracer stops at every one of them: that alone would
double the time these tests take. Python 3.12's monitoring does not, and then nothing is done here.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import _pytest.assertion.rewrite
import botocore.client
import botocore.session
import moto.moto_server.werkzeug_app

BUSY: tuple[tuple[Any, str], ...] = (
    (_pytest.assertion.rewrite, "_rewrite_test"),
    (botocore.client.BaseClient, "_make_api_call"),
    (botocore.session.Session, "create_client"),
    (moto.moto_server.werkzeug_app.DomainDispatcherApplication, "__call__"),
)


def look_away() -> None:
    """Measure nothing inside of the busiest functions of others, from now on."""
    for owner, name in BUSY:
        setattr(owner, name, untraced(getattr(owner, name)))


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        tracer = sys.gettrace()
        if tracer is None:
            return function(*given, **named)
        sys.settrace(None)
        try:
            return function(*given, **named)
        finally:
            sys.settrace(tracer)

    return call
