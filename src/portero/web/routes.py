"""Every URL of `/auth/v1` with its gate and its limit on one screen; the views are in `web/auth`.

| gate | who passes |
|---|---|
| free | anybody; no key is looked at (scanners, browsers' navigations, load balancers) |
| open | anybody whose `apikey`, if any, is known; `Authorization` is ignored, whatever it holds |
| user | a Bearer access token of a session that stands |
| named | the same, and not of an anonymous user |
| admin | a secret key, or a token of an administrator's role |
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from flask import Blueprint, Request, Response, current_app, request
from werkzeug.exceptions import NotFound
from werkzeug.routing import RequestRedirect

from portero import deadline
from portero.errors import AuthError, DatabaseUnavailable, DeadlinePassed, TooBusy
from portero.records import dataclass
from portero.settings import Settings
from portero.web import cors, guard, health, mail_box, problems, start_page
from portero.web.answers import Headers, OwnAnswer
from portero.web.auth import (
    admin_audit,
    admin_links,
    admin_mails,
    admin_metrics,
    admin_users,
    factors,
    logout,
    meta,
    not_served,
    otp,
    reauthenticate,
    recover,
    recovery_codes,
    resend,
    sign_up,
    token,
    user,
    user_sessions,
    verify,
)
from portero.web.auth.call import Call
from portero.web.caller import caller_of
from portero.web.headers import security_headers
from portero.web.runtime import Runtime, frozen, runtime
from portero.web.whole_answers import sent_at_once

LOG: Final = logging.getLogger("portero.web")
_READS: Final = ("GET", "HEAD")
View = Callable[[Call], Response]


class Gate(StrEnum):
    """Who may pass; see the module's docstring."""

    FREE = "free"
    OPEN = "open"
    USER = "user"
    NAMED = "named"
    ADMIN = "admin"


_SIGNED_IN: Final = (Gate.USER, Gate.NAMED)


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    Attributes:
        method: the HTTP method; HEAD goes with GET.
        path: below `settings.auth_path`.
        gate: who may pass.
        limit: the setting that bounds how often, or "" (counted in `identity/throttle`, before any work).
        view: what answers.
    """

    method: str
    path: str
    gate: Gate
    limit: str
    view: View


ROUTES: Final = (
    Route("POST", "/signup", Gate.OPEN, "throttle_sign_up", sign_up.post),
    Route("POST", "/token", Gate.OPEN, "throttle_sign_in, throttle_refresh", token.post),
    Route("POST", "/otp", Gate.OPEN, "throttle_sign_up", otp.post),
    Route("POST", "/magiclink", Gate.OPEN, "throttle_sign_up", otp.post),
    Route("POST", "/recover", Gate.OPEN, "throttle_sign_up", recover.post),
    Route("POST", "/resend", Gate.OPEN, "throttle_sign_up", resend.post),
    Route("GET", "/verify", Gate.FREE, "", verify.get),
    Route("POST", "/verify", Gate.FREE, "throttle_sign_in", verify.post),
    Route("GET", "/mail-box", Gate.FREE, "", mail_box.show),
    Route("GET", "/user", Gate.USER, "", user.get),
    Route("PUT", "/user", Gate.USER, "throttle_update", user.put),
    Route("GET", "/reauthenticate", Gate.USER, "", reauthenticate.get),
    Route("POST", "/logout", Gate.USER, "", logout.post),
    Route("POST", "/factors", Gate.NAMED, "", factors.enrol),
    Route("POST", "/factors/<factor_id>/challenge", Gate.NAMED, "throttle_mfa", factors.challenge),
    Route("POST", "/factors/<factor_id>/verify", Gate.NAMED, "throttle_mfa", factors.verify),
    Route("DELETE", "/factors/<factor_id>", Gate.NAMED, "", factors.unenrol),
    Route("GET", "/factors/recovery-codes", Gate.NAMED, "", recovery_codes.get),
    Route("POST", "/factors/recovery-codes", Gate.NAMED, "", recovery_codes.generate),
    Route("POST", "/factors/recovery-codes/verify", Gate.NAMED, "throttle_mfa", recovery_codes.verify),
    Route("POST", "/factors/recovery-codes/regenerate", Gate.NAMED, "", recovery_codes.regenerate),
    Route("DELETE", "/factors/recovery-codes", Gate.NAMED, "", recovery_codes.delete),
    Route("GET", "/user/sessions", Gate.USER, "", user_sessions.get),
    Route("DELETE", "/user/sessions/<session_id>", Gate.USER, "", user_sessions.delete),
    Route("GET", "/admin/users", Gate.ADMIN, "", admin_users.page),
    Route("POST", "/admin/users", Gate.ADMIN, "", admin_users.create),
    Route("GET", "/admin/users/<user_id>", Gate.ADMIN, "", admin_users.get),
    Route("PUT", "/admin/users/<user_id>", Gate.ADMIN, "", admin_users.put),
    Route("DELETE", "/admin/users/<user_id>", Gate.ADMIN, "", admin_users.delete),
    Route("GET", "/admin/users/<user_id>/factors", Gate.ADMIN, "", admin_users.factors),
    Route("PUT", "/admin/users/<user_id>/factors/<factor_id>", Gate.ADMIN, "", admin_users.put_factor),
    Route("DELETE", "/admin/users/<user_id>/factors/<factor_id>", Gate.ADMIN, "", admin_users.delete_factor),
    Route("GET", "/admin/users/<user_id>/sessions", Gate.ADMIN, "", admin_users.list_sessions),
    Route("DELETE", "/admin/users/<user_id>/sessions", Gate.ADMIN, "", admin_users.end_sessions),
    Route("DELETE", "/admin/users/<user_id>/sessions/<session_id>", Gate.ADMIN, "", admin_users.end_session),
    Route("POST", "/invite", Gate.ADMIN, "", admin_links.invite),
    Route("POST", "/admin/generate_link", Gate.ADMIN, "", admin_links.generate),
    Route("GET", "/admin/audit", Gate.ADMIN, "", admin_audit.get),
    Route("GET", "/admin/mails", Gate.ADMIN, "", admin_mails.get),
    Route("POST", "/admin/mails/<mail_id>/retry", Gate.ADMIN, "", admin_mails.retry),
    Route("GET", "/admin/metrics", Gate.ADMIN, "", admin_metrics.get),
    Route("GET", "/settings", Gate.OPEN, "", meta.settings),
    Route("GET", "/health", Gate.FREE, "", meta.health),
    Route("GET", "/.well-known/jwks.json", Gate.FREE, "", meta.jwks),
    Route("GET", "/.well-known/openid-configuration", Gate.FREE, "", meta.openid_configuration),
)


#: What every client asks for all day: answered in front of Flask where that makes no difference (`web/auth_mount.py`).
BUSIEST: Final = tuple(
    route
    for route in ROUTES
    if (route.method, route.path) in {("POST", "/token"), ("GET", "/user"), ("POST", "/logout")}
)

#: What clients may ask for and is off: method and path, the gate, and what refuses.
NOT_SERVED: Final = (
    Route("POST", "/passkeys/authentication/options", Gate.OPEN, "", not_served.passkeys),
    Route("POST", "/passkeys/authentication/verify", Gate.OPEN, "", not_served.passkeys),
    Route("POST", "/passkeys/registration/options", Gate.OPEN, "", not_served.passkeys),
    Route("POST", "/passkeys/registration/verify", Gate.OPEN, "", not_served.passkeys),
    Route("GET", "/passkeys", Gate.OPEN, "", not_served.passkeys),
    Route("PATCH", "/passkeys/<passkey_id>", Gate.OPEN, "", not_served.passkeys),
    Route("DELETE", "/passkeys/<passkey_id>", Gate.OPEN, "", not_served.passkeys),
    Route("GET", "/admin/users/<user_id>/passkeys", Gate.ADMIN, "", not_served.passkeys),
    Route("DELETE", "/admin/users/<user_id>/passkeys/<passkey_id>", Gate.ADMIN, "", not_served.passkeys),
    Route("GET", "/authorize", Gate.FREE, "", not_served.authorize),
    Route("GET", "/callback", Gate.FREE, "", not_served.callback),
    Route("POST", "/callback", Gate.FREE, "", not_served.callback),
    Route("GET", "/user/identities/authorize", Gate.USER, "", not_served.linking),
    Route("DELETE", "/user/identities/<identity_id>", Gate.USER, "", not_served.linking),
    Route("GET", "/.well-known/oauth-authorization-server", Gate.FREE, "", not_served.oauth_server),
    Route("POST", "/oauth/clients/register", Gate.OPEN, "", not_served.oauth_server),
    Route("GET", "/oauth/authorize", Gate.FREE, "", not_served.oauth_server),
    Route("GET", "/oauth/authorizations/<authorization_id>", Gate.OPEN, "", not_served.oauth_server),
    Route("POST", "/oauth/authorizations/<authorization_id>/consent", Gate.OPEN, "", not_served.oauth_server),
    Route("POST", "/oauth/token", Gate.FREE, "", not_served.oauth_server),
    Route("GET", "/oauth/userinfo", Gate.FREE, "", not_served.oauth_server),
    Route("GET", "/user/oauth/grants", Gate.USER, "", not_served.oauth_server),
    Route("DELETE", "/user/oauth/grants", Gate.USER, "", not_served.oauth_server),
    Route("GET", "/admin/oauth/clients", Gate.ADMIN, "", not_served.oauth_server),
    Route("POST", "/admin/oauth/clients", Gate.ADMIN, "", not_served.oauth_server),
    Route("GET", "/admin/oauth/clients/<client_id>", Gate.ADMIN, "", not_served.oauth_server),
    Route("PUT", "/admin/oauth/clients/<client_id>", Gate.ADMIN, "", not_served.oauth_server),
    Route("DELETE", "/admin/oauth/clients/<client_id>", Gate.ADMIN, "", not_served.oauth_server),
    Route("POST", "/admin/oauth/clients/<client_id>/regenerate_secret", Gate.ADMIN, "", not_served.oauth_server),
    Route("GET", "/admin/custom-providers", Gate.ADMIN, "", not_served.custom_providers),
    Route("POST", "/admin/custom-providers", Gate.ADMIN, "", not_served.custom_providers),
    Route("GET", "/admin/custom-providers/<identifier>", Gate.ADMIN, "", not_served.custom_providers),
    Route("PUT", "/admin/custom-providers/<identifier>", Gate.ADMIN, "", not_served.custom_providers),
    Route("DELETE", "/admin/custom-providers/<identifier>", Gate.ADMIN, "", not_served.custom_providers),
    Route("POST", "/sso", Gate.OPEN, "", not_served.saml),
    Route("GET", "/sso/saml/metadata", Gate.FREE, "", not_served.saml),
    Route("POST", "/sso/saml/acs", Gate.FREE, "", not_served.saml),
    Route("GET", "/admin/sso/providers", Gate.ADMIN, "", not_served.saml),
    Route("POST", "/admin/sso/providers", Gate.ADMIN, "", not_served.saml),
    Route("GET", "/admin/sso/providers/<provider_id>", Gate.ADMIN, "", not_served.saml),
    Route("PUT", "/admin/sso/providers/<provider_id>", Gate.ADMIN, "", not_served.saml),
    Route("DELETE", "/admin/sso/providers/<provider_id>", Gate.ADMIN, "", not_served.saml),
)


def blueprint(settings: Settings) -> Blueprint:
    """Return the blueprint that serves Supabase Auth's contract under `settings.auth_path`, and `/health`.

    Register it without a `url_prefix`. It answers JSON for everything below its path: 404, 405, 413 and 500 too. An
    application's own `/health` comes first.
    """
    made = Blueprint("portero", __name__)
    for route in ROUTES + NOT_SERVED:
        endpoint = f"{route.method}:{route.path}".replace(".", "-")
        made.add_url_rule(settings.auth_path + route.path, endpoint, Guarded(route), methods=[route.method])
    edge = Edge(settings)
    made.before_app_request(edge.answer_early)
    made.after_app_request(edge.add_headers)
    made.register_error_handler(Exception, lambda error: refusal(error, _present()))
    return made


@dataclass(frozen=True, slots=True)
class Guarded:
    """What Flask calls for one line of the table; `web/auth_mount` knows by it that nobody took its place."""

    route: Route

    def __call__(self, **_: str) -> Response:
        """Answer Flask's present request."""
        return answer(self.route, _present(), runtime())


def _present() -> Request:
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    return asked


def answer(route: Route, asked: Request, held: Runtime) -> Response:
    """Answer one request by its line of the table; it asks for no context of Flask's.

    Raises:
        Exception: whatever the view raises; `refusal` names it.
    """
    begun = deadline.begin(held.settings.request_timeout.total_seconds())
    try:
        return _passed(route, asked, held)
    except (DatabaseUnavailable, TooBusy):
        # What was not to be had in the time there was is told as the time that is over.
        deadline.check()
        raise
    finally:
        deadline.end(begun)


def _passed(route: Route, asked: Request, held: Runtime) -> Response:
    now, environ = datetime.now(UTC), asked.environ
    _check_query(environ.get("QUERY_STRING", ""))
    if route.gate is not Gate.FREE:
        guard.check_api_key(environ, held, now.timestamp())
    if route.gate is Gate.ADMIN:
        guard.administrator(environ, held, now)
    signed_in = guard.signed_in_user(environ, held, now) if route.gate in _SIGNED_IN else None
    if route.gate is Gate.NAMED and signed_in is not None and signed_in.account.user.is_anonymous:
        raise AuthError(403, "no_authorization", "Anonymous user not allowed to perform these actions")
    caller = caller_of(environ, held.settings.trusted_proxies)
    return route.view(Call(asked, held, caller, now, signed_in))


def _check_query(query: str) -> None:
    """Refuse bytes that are no text, before anything reads them; WSGI hands them over as latin-1."""
    if query.isascii():
        return
    try:
        query.encode("latin-1").decode()
    except UnicodeDecodeError:
        raise AuthError(400, "validation_failed", "The query is not UTF-8") from None


def refusal(error: Exception, asked: Request) -> Response:
    """Turn whatever a view raised into the contract's answer; what nobody foresaw is logged with its trace.

    "Not now" is foreseen: one line says why, or a busy hour would fill the log.
    """
    problem = problems.auth_problem(error, asked.headers.get(problems.VERSION_HEADER))
    if isinstance(error, DatabaseUnavailable | TooBusy | DeadlinePassed):
        LOG.warning("%s %s answered %d: %s", asked.method, asked.path, problem.status, error)
    elif problem.status >= 500:
        LOG.error("%s %s answered %d", asked.method, asked.path, problem.status, exc_info=error)
    return Response(problem.body, problem.status, list(problem.headers))


def _preflight(settings: Settings) -> Response:
    response = Response(status=204, headers=cors.preflight_headers(request.headers.get("Origin"), settings))
    del response.headers["Content-Type"]
    return response


class Edge:
    """What holds for every path below ours, found or not; the application's own paths are left alone."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._security: Headers = tuple(security_headers(settings))
        self._path, self._below = settings.auth_path, settings.auth_path + "/"

    def answer_early(self) -> Response | None:
        """Answer preflights, and what no route fits, before anything else runs."""
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]
        missing = asked.routing_exception
        if missing is None and asked.method != "OPTIONS":
            return None
        if not self._is_ours(asked.path):
            is_missing = isinstance(missing, NotFound) and asked.method in _READS
            return self._at_the_root() if is_missing else None
        if asked.method == "OPTIONS":
            return _preflight(self.settings)
        # A redirect is how Flask puts doubled slashes right; the guard stands behind it.
        return None if missing is None or isinstance(missing, RequestRedirect) else refusal(missing, asked)

    def _at_the_root(self) -> Response | None:
        """Answer for the two paths outside ours that an application may leave to us."""
        if request.path == health.PATH:
            return Response(health.body(frozen()), content_type="application/json")
        if request.path == start_page.PATH and start_page.is_development(current_app, self.settings):
            return start_page.answer(current_app, request, self.settings)
        return None

    def add_headers(self, response: Response) -> Response:
        """Add the headers every answer carries, refusals included; those of the application's own paths are its own."""
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]
        return self.dressed(response, asked.environ) if self._is_ours(asked.path) else sent_at_once(response)

    def dressed(self, response: Response, environ: Mapping[str, Any]) -> Response:
        """Give the answer to a request below our path with the headers that every answer carries."""
        carried = self.carried(environ)
        if isinstance(response, OwnAnswer):
            response.carried = carried
            return response
        # Flask's headers are a list: looked through once, not once for each name.
        there = {name.lower() for name in response.headers.keys()}  # noqa: SIM118 - iterating it gives pairs
        response.headers.extend([pair for pair in carried if pair[0].lower() not in there])
        return response

    def carried(self, environ: Mapping[str, Any]) -> Headers:
        """Give the headers that every answer to a request carries."""
        origin = environ.get("HTTP_ORIGIN")
        return self._security if origin is None else (*self._security, *cors.answer_headers(origin, self.settings))

    def _is_ours(self, path: str) -> bool:
        return path.startswith(self._below) or path == self._path
