"""`@jwt_required()` on the developer's own routes: Flask-JWT-Extended's, with a short way for what is asked most often.

A session's token in the `Authorization` header, whose signature this process has verified before, goes the short way:
what Flask-JWT-Extended would find is there already, and only what may change is asked: whether the session stands, and
every loader of the developer's. Everything else is Flask-JWT-Extended's own function, and on either way the same is
refused, called and kept in `g`. It answers nothing itself.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import flask_jwt_extended
from flask import Flask, Request, current_app, g, request
from flask_jwt_extended import exceptions
from flask_jwt_extended.view_decorators import _load_user, _verify_token_is_fresh

from portero import developer_tokens
from portero.developer_tokens import Scheme, SessionClaims
from portero.web.runtime import EXTENSION, FROZEN, Runtime

#: Where the short way looks; an application that looks anywhere else first is served the long way.
_LOCATION: Final = "headers"
_SEVERAL: Final = (list, tuple)
_SCHEME: Final = "bearer"
_PREFIX: Final = _SCHEME + " "

Locations = str | Sequence[str] | None


def jwt_required(
    optional: bool = False,
    fresh: bool = False,
    refresh: bool = False,
    locations: Locations = None,
    verify_type: bool = True,
    skip_revocation_check: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Demand a token of who calls a view; see `flask_jwt_extended.jwt_required`."""

    def protect(view: Callable[..., Any]) -> Callable[..., Any]:
        # What Flask asks of it at each call.
        is_plain = not inspect.iscoroutinefunction(view)

        @functools.wraps(view)
        def protected(*arguments: Any, **named: Any) -> Any:
            verify_jwt_in_request(optional, fresh, refresh, locations, verify_type, skip_revocation_check)
            ensure_sync = _application().ensure_sync
            if is_plain and getattr(ensure_sync, "__func__", None) is Flask.ensure_sync:
                return view(*arguments, **named)
            return ensure_sync(view)(*arguments, **named)

        return protected

    return protect


def verify_jwt_in_request(
    optional: bool = False,
    fresh: bool = False,
    refresh: bool = False,
    locations: Locations = None,
    verify_type: bool = True,
    skip_revocation_check: bool = False,
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Verify the token of this request; see `flask_jwt_extended.verify_jwt_in_request`.

    Raises:
        flask_jwt_extended.exceptions.JWTExtendedException, jwt.InvalidTokenError: there is none, or it is refused.
        DatabaseUnavailable: whether its session stands cannot be asked now.
    """
    found = None if refresh or locations else _remembered()
    if found is None:
        verified: tuple[dict[str, Any], dict[str, Any]] | None = flask_jwt_extended.verify_jwt_in_request(
            optional, fresh, refresh, locations, verify_type, skip_revocation_check
        )
        return verified
    manager, runtime, header, claims = found
    # From here on in Flask-JWT-Extended's order.
    if fresh:
        _verify_token_is_fresh(header, claims)
    if not skip_revocation_check and manager._is_revoked_in(runtime, header, claims):
        raise exceptions.RevokedTokenError(header, claims)
    if not manager._token_verification_callback(header, claims):
        raise exceptions.UserClaimsVerificationError("User claims verification failed", header, claims)
    user = None if manager._user_lookup_callback is None else _load_user(header, claims)
    kept: Any = g._get_current_object()
    kept._jwt_extended_jwt_user = user
    kept._jwt_extended_jwt_header = header
    kept._jwt_extended_jwt = claims
    kept._jwt_extended_jwt_location = _LOCATION
    return header, claims


def get_jwt_identity() -> Any:
    """Give whom the token of this request stands for; see `flask_jwt_extended.get_jwt_identity`.

    Raises:
        RuntimeError: nothing has verified a token in this request.
    """
    claims: Mapping[str, Any] | None = g._get_current_object().get("_jwt_extended_jwt")
    if claims is None:
        return flask_jwt_extended.get_jwt_identity()
    return claims.get(_application().config["JWT_IDENTITY_CLAIM"])


def _application() -> Flask:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return app


def _remembered() -> tuple[Any, Runtime, dict[str, Any], SessionClaims] | None:
    """Give all that the short way needs for a session's token that was verified before; None where the long is due."""
    app = _application()
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]
    authorization: str = asked.environ.get("HTTP_AUTHORIZATION", "")
    extensions = app.extensions
    runtime: Runtime | None = extensions.get(FROZEN)
    if runtime is None or asked.method == "OPTIONS" or authorization[:7].lower() != _PREFIX:
        return None
    manager = extensions["flask-jwt-extended"]
    if manager is not extensions[EXTENSION] or not _is_usual(app.config):
        return None
    # Found means: letter for letter a token that was verified. Blanks or a second value make it another text.
    known = runtime.identity.access_tokens.remembered(authorization[7:], time.time())
    read = None if known is None else developer_tokens.of_remembered(runtime, known)
    return None if read is None else (manager, runtime, *read)


def _is_usual(config: Mapping[str, Any]) -> bool:
    places = config["JWT_TOKEN_LOCATION"]
    if places != _LOCATION and not (isinstance(places, _SEVERAL) and places and places[0] == _LOCATION):
        return False
    scheme = config["JWT_HEADER_TYPE"]
    # The usual one without its own comparison, which would fold both words.
    is_bearer = scheme.lower() == _SCHEME if type(scheme) is Scheme else scheme == "Bearer"
    return is_bearer and bool(config["JWT_HEADER_NAME"] == "Authorization")
