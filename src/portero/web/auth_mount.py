"""The auth mount: answers the busiest routes of `/auth/v1` in front of Flask, where nothing else has a say.

Flask's way to a view and back takes longer than all that a refresh asks of the database. It is there for what an
application hangs on its requests: functions before and after, signals, a session of its own, hooks that look at the
request, limits around our views. Where there is any of that, the request goes to Flask, whose blueprint answers with
the same functions (`routes.answer`). So it never answers otherwise than Flask would, and it holds no rule of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

from flask import Flask, Request, Response, signals
from flask.sessions import SecureCookieSessionInterface
from werkzeug.exceptions import HTTPException

from portero.settings import Settings
from portero.web import routes
from portero.web.answers import OwnAnswer
from portero.web.routes import Edge, Guarded
from portero.web.runtime import FROZEN, Runtime

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_SIGNALS: Final = (
    signals.request_started,
    signals.request_finished,
    signals.request_tearing_down,
    signals.got_request_exception,
    signals.appcontext_pushed,
    signals.appcontext_popped,
    signals.appcontext_tearing_down,
)
_receivers_of: Final = attrgetter("receivers")
#: Where functions hang that see our requests: on the application, and on our blueprint.
_SCOPES: Final = (None, "portero")
#: What Flask refuses a body with: an application's handler of such a status comes before ours of every exception.
_OF_BODIES: Final = frozenset({400, 413, 415})
#: With it the test client asks to look into Flask's context after the answer.
_LOOKED_INTO: Final = "werkzeug.debug.preserve_context"


class _Asked(Request):
    """A request whose parts are only made where somebody looks at them: a refresh asks for the environment alone."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ

    def __getattr__(self, name: str) -> Any:
        if "headers" in vars(self):
            raise AttributeError(name)
        super().__init__(self.environ)
        return getattr(self, name)


class AuthMount:
    """Serves `routes.BUSIEST` for one application; everything else goes to `next_app`.

    Args:
        next_app: the application behind: Flask's `wsgi_app`.
        app: whose requests they are.
        settings: as they were read when it was put there.
    """

    def __init__(self, next_app: Application, app: Flask, settings: Settings) -> None:
        self.next_app = next_app
        self._flask = app
        self._edge = Edge(settings)
        self._is_usual: bool | None = None
        self._routes = {(route.method, settings.auth_path + route.path): route for route in routes.BUSIEST}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        route = self._routes.get((environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")))
        if route is None:
            return self.next_app(environ, start_response)
        held: Runtime | None = self._flask.extensions.get(FROZEN)
        if held is None or self._is_for_flask(environ, held):
            return self._answered_by_flask(environ, start_response)
        asked = _Asked(environ)
        try:
            response = routes.answer(route, asked, held)
        except Exception as error:
            # The edge: every refusal becomes an answer here, as in the blueprint.
            response = routes.refusal(error, asked)
        if type(response) is OwnAnswer:  # nobody has had it in hands
            body, status, headers = response.as_made(self._edge.carried(environ))
            start_response(status, headers)
            return body
        dressed = self._edge.dressed(response, environ)
        parts, status, headers = dressed.get_wsgi_response(environ)
        start_response(status, headers)
        sent = list(parts)  # a list is sent at once: see `DataMount`
        dressed.close()
        return sent

    def _answered_by_flask(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        answer = self.next_app(environ, start_response)
        if self._is_usual is None:
            # After its first request Flask lets nothing more be hung on an application.
            app = self._flask
            self._is_usual = not _is_heard(app) and not _is_made_anew(app) and self._are_ours(app)
        return answer

    def _are_ours(self, app: Flask) -> bool:
        """Whether Flask would call our own views: no route of the application's stands before them, nothing around."""
        urls = app.url_map.bind("localhost")
        try:
            found = [(route, urls.match(path, method)[0]) for (method, path), route in self._routes.items()]
        except HTTPException:
            return False
        return all(app.view_functions.get(endpoint) == Guarded(route) for route, endpoint in found)

    def _is_for_flask(self, environ: Mapping[str, Any], held: Runtime) -> bool:
        return (
            not self._is_usual
            or held.identity.hooks.are_there
            or _LOOKED_INTO in environ
            or self._flask.config["SESSION_COOKIE_NAME"] in environ.get("HTTP_COOKIE", "")
            or any(map(_receivers_of, _SIGNALS))
        )


def _is_heard(app: Flask) -> bool:
    """Whether a function of the application is called with each request."""
    hung = (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs, app.url_value_preprocessors)
    functions = [each for place in hung for scope in _SCOPES for each in place.get(scope, ())]
    return not all(isinstance(getattr(each, "__self__", None), Edge) for each in functions)


def _is_made_anew(app: Flask) -> bool:
    """Whether an application has put something in the place of Flask's own way from a request to its answer."""
    return (
        type(app) is not Flask
        or app.request_class is not Request
        or app.response_class is not Response
        or type(app.session_interface) is not SecureCookieSessionInterface
        or any(inspect.isroutine(getattr(Flask, name, None)) for name in vars(app) if name != "wsgi_app")
        or app.url_map.host_matching
        or app.subdomain_matching
        or bool(app.config.get("TRUSTED_HOSTS"))
        or not _OF_BODIES.isdisjoint(app.error_handler_spec[None])
    )
