"""moto's handlers of each service, called straight.

moto serves each service by a web application of Flask's. Its contexts, sessions and origin checks
are a third of what a call costs there, and nothing that a client of AWS would notice. Here are its
paths and its handlers without them.
"""

import functools
from typing import Any, cast

import botocore.session
from botocore.exceptions import ClientError
from moto.core import utils
from moto.moto_server.utilities import RegexConverter
from moto.moto_server.werkzeug_app import (
    BackendRequest,
    DomainDispatcherApplication,
    create_backend_app,
)
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Response

from ctwatch.sandbox.wire import Answer

_BackendRequest: Any = BackendRequest
_Utils: Any = utils
_STATUS_HEADERS_BODY = 3


class Handlers:
    """The handlers of one service by their paths.

    Args:
        application: moto's own of the service.
    """

    def __init__(self, application: Any) -> None:
        paths = Map(converters={"regex": RegexConverter})
        for rule in application.url_map.iter_rules():
            handler = application.view_functions[rule.endpoint].callback
            paths.add(Rule(rule.rule, endpoint=handler, strict_slashes=False))
        self._paths = paths.bind("127.0.0.1")

    def answer(self, environ: dict[str, Any]) -> Answer:
        """What moto answers to a WSGI request; whatever it stumbles over is raised."""
        request = _BackendRequest(environ)
        try:
            handler: Any = self._paths.match(request.path, request.method)[0]
            told = handler(request, request.raw_url, dict(request.headers))
        except HTTPException as error:  # moto refuses by them, too
            response: Any = error.get_response(environ)
        except ClientError as error:
            response = Response(error.response["Error"]["Message"], 400)
        else:
            response = _response(told)
        chunks, _, headers = response.get_wsgi_response(environ)  # no body where there is none
        return Answer(response.status_code, dict(headers), b"".join(chunks))


def _response(told: Any) -> Response:
    whole = len(told) == _STATUS_HEADERS_BODY
    status, headers, body = told if whole else (200, {}, told)
    response = _Response(body, status, headers)
    if "content-length" in headers:  # HEAD tells of what it does not send
        response.headers["Content-Length"] = headers["content-length"]
    return response


class _Response(Response):
    default_mimetype = "text/html"  # Flask's


class Dispatcher(DomainDispatcherApplication):
    """Which service a request is for; moto's own, which lists its folder anew for every request."""

    @functools.lru_cache(maxsize=256)  # noqa: B019 - one lives as long as its sandbox
    def get_backend_for_host(self, host: str | None) -> Any:
        """The backend that answers for a host."""
        return super().get_backend_for_host(host)

    def handlers(self, environ: dict[str, Any]) -> Handlers:
        """Those of the service that a request is for."""
        found: Any = self.get_application(environ)
        return cast("Handlers", found)


@functools.cache
def dispatcher() -> Dispatcher:
    """One for all, as it makes the handlers of each service; it keeps nothing else.

    For each of them moto would look through botocore's folders twice, and is given one loader and
    one session for all.
    """
    _Utils.create_loader = functools.cache(_Utils.create_loader)
    _Utils.Session = functools.cache(_Utils.Session)
    return Dispatcher(_handlers)


def _handlers(service: Any) -> Any:
    """The handlers of a service, whose models are imported with it.

    SSM's bring EC2's, which ask three sessions for their regions: each would read all of botocore's
    endpoints and of EC2's model. They get one loader.
    """
    sessions: Any = botocore.session
    anew = sessions.create_loader
    sessions.create_loader = functools.cache(anew)
    try:
        return Handlers(create_backend_app(service))
    finally:
        sessions.create_loader = anew
