"""`Portero`, whose other name is `JWTManager`: what a Flask application holds, and where everything is put together.

It is a `flask_jwt_extended.JWTManager`, so an application moves here by changing one import. `init_app` only
registers; `freeze` reads settings, models and keys once, at the first request or in `serve`, and nothing changes
afterwards. It decides nothing about users or rows. Obeys ARCHITECTURE.md, "Start".
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, Final, TypeVar

import flask_jwt_extended
from flask import Flask, Response, current_app, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from portero import assembly, developer_tokens, python_api
from portero.crypto.passwords import Passwords
from portero.data.functions import marked_in
from portero.errors import AuthError, ConfigurationError, DatabaseUnavailable, TooBusy
from portero.identity.context import SignedIn
from portero.identity.hooks import Hook, hooks_in
from portero.settings import Settings, read_settings
from portero.web import problems
from portero.web.auth_mount import AuthMount
from portero.web.routes import blueprint
from portero.web.runtime import EXTENSION, FROZEN, INHERITED, Runtime
from portero.web.url_rules import matching_rules
from portero.web.wsgi import DataMount

Models = TypeVar("Models")
Blocklist = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]

_METHODS: Final = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"]
_LATE: Final = (
    "{what} comes after the application was frozen (at its first request, or by `portero serve`): "
    "do it in the module that makes the application."
)


def _answered(error: Exception) -> Response:
    """Answer what a developer's route let through, as `/auth/v1` would."""
    problem = problems.auth_problem(error, request.headers.get(problems.VERSION_HEADER))
    return Response(problem.body, problem.status, list(problem.headers))


_extensions: weakref.WeakSet[Portero] = weakref.WeakSet()


class Portero(flask_jwt_extended.JWTManager):
    """Give a Flask application sign-in at `/auth/v1`, a data API at `/rest/v1`, and `@jwt_required()` on its routes.

    Args:
        app: the application; without it, call `init_app`.
        add_context_processor: whether templates know `current_user`.
        models: what may be exposed: a declarative base, a `MetaData`, what `expose_table` gave, or a list of these.
            With Flask-SQLAlchemy nothing needs to be named.
        functions: the functions served at `/rpc/<name>`: marked with `rpc`, or modules of such, or a list of these.

    Raises:
        ConfigurationError: a missing or unfit secret, an unknown setting, a token place that is not served.
    """

    def __init__(
        self,
        app: Flask | None = None,
        add_context_processor: bool = False,
        *,
        models: Any = None,
        functions: Any = None,
    ) -> None:
        self._models: list[Any] = []
        self._hooks: list[Hook] = []
        self._functions: list[Any] = []
        self._apps: weakref.WeakSet[Flask] = weakref.WeakSet()
        self._lock = threading.RLock()
        _extensions.add(self)
        self._developer_blocklist: Blocklist = lambda header, claims: False
        super().__init__()
        self._invalid_token_callback = developer_tokens.refuse_invalid
        if models is not None:
            self.models(models)
        if functions is not None:
            self.functions(functions)
        if app is not None:
            self.init_app(app, add_context_processor)

    def init_app(self, app: Flask, add_context_processor: bool = False) -> None:
        """Register Portero with an application; models and further settings may still follow.

        Raises:
            ConfigurationError: a missing or unfit secret, an unknown setting, a token place that is not served.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError(f"The application {app.name!r} has a Portero already.")
        settings = read_settings(app.config, os.environ)
        assembly.check_tokens_config(app.config)
        assembly.secrets_of(app.config)
        default_lifetime = app.config.get("JWT_ACCESS_TOKEN_EXPIRES") is None
        super().init_app(app, add_context_processor)
        if default_lifetime:
            app.config["JWT_ACCESS_TOKEN_EXPIRES"] = assembly.DEFAULT_LIFETIME
        # The scheme of a credential is matched without regard to case (RFC 9110 §11.1).
        app.config["JWT_HEADER_TYPE"] = developer_tokens.Scheme(app.config["JWT_HEADER_TYPE"])
        app.extensions[EXTENSION] = self
        self._apps.add(app)
        with matching_rules(app):
            app.register_blueprint(blueprint(settings))
        for refusal in (AuthError, DatabaseUnavailable, TooBusy):
            app.register_error_handler(refusal, _answered)
        self._mount(app, settings)

    def models(self, models: Models) -> Models:
        """Name what may be exposed; also a decorator of a declarative base.

        Raises:
            ConfigurationError: an application of this Portero is frozen already, or it is none of the four kinds.
        """
        self._refuse_late("jwt.models(…)")
        self._models += assembly.flattened(models)
        return models

    def functions(self, functions: Models) -> Models:
        """Serve functions marked with `rpc` at `/rpc/<name>`: one, a module of them, or a list; also a decorator.

        Raises:
            ConfigurationError: an application of this Portero is frozen already, or it is none of these.
        """
        self._refuse_late("jwt.functions(…)")
        self._functions += marked_in(functions)
        return functions

    def _refuse_late(self, what: str) -> None:
        if any(not app.extensions.keys().isdisjoint((FROZEN, INHERITED)) for app in self._apps):
            raise ConfigurationError(_LATE.format(what=what))

    def hooks(self, *what: Any) -> None:
        """Put functions that `on` marked to work, or all of those in a module; several of a point run in this order.

        Raises:
            ConfigurationError: an application of this Portero is frozen already, or it is none of the two.
        """
        self._refuse_late("jwt.hooks(…)")
        self._hooks = list(dict.fromkeys([*self._hooks, *(hook for each in what for hook in hooks_in(each))]))

    def freeze(self, app: Flask) -> Runtime:
        """Read settings, models and keys of an application, open its store, and give its runtime; once.

        Raises:
            ConfigurationError: something cannot be served; the sentence says what and what to do.
            DatabaseUnavailable: the database cannot be reached.
        """
        frozen: Runtime | None = app.extensions.get(FROZEN)
        if frozen is not None:
            return frozen
        app = getattr(app, "_get_current_object", lambda: app)()
        with self._lock:
            frozen = app.extensions.get(FROZEN)
            if frozen is None:
                frozen = app.extensions.pop(INHERITED, None) or self.assemble(app)
                app.extensions[FROZEN] = frozen
                if not app.testing:
                    frozen.begin()
        return frozen

    def assemble(self, app: Flask, passwords: Passwords | None = None) -> Runtime:
        """Build a runtime without holding it; `portero.testing` gives passwords that cost less."""
        return assembly.assemble(app, self._models, passwords, tuple(dict.fromkeys(self._functions)), hooks=self._hooks)

    def hold(self, app: Flask, runtime: Runtime | None) -> Runtime | None:
        """Put another runtime in the place of the present one, for a test, and give the present one back."""
        with self._lock:
            present: Runtime | None = app.extensions.pop(FROZEN, None) or app.extensions.pop(INHERITED, None)
            if runtime is not None:
                app.extensions[FROZEN] = runtime
        return present

    def close(self, app: Flask) -> None:
        """Close the store of an application and forget its runtime; the next request freezes it again."""
        runtime = self.hold(app, None)
        if runtime is not None:
            runtime.close()

    def _after_fork(self) -> None:
        """Let the first request in a child begin what is done beside the requests: threads stayed with the parent."""
        self._lock = threading.RLock()
        for app in list(self._apps):
            if FROZEN in app.extensions:
                app.extensions[INHERITED] = app.extensions.pop(FROZEN)

    def open_store(self, app: Flask) -> assembly.Store:
        """Open an application's database before its tables are there; the caller closes it."""
        return assembly.open_store(app, self._models)

    def sign_in(self, login: str, password: str) -> SignedIn:
        """Sign somebody in; see `portero.sign_in`."""
        return python_api.sign_in(login, password)

    def reading(self) -> AbstractContextManager[Session]:
        """Open a session that reads; see `portero.reading`."""
        return python_api.reading()

    def writing(self, *, timeout: timedelta | None = None) -> AbstractContextManager[Session]:
        """Open a session that writes; see `portero.writing`."""
        return python_api.writing(timeout=timeout)

    def _mount(self, app: Flask, settings: Settings) -> None:
        mount = functools.partial(DataMount, runtime_of=functools.partial(self.freeze, app), path=settings.data_path)
        if not settings.data_through_flask:
            assembly.mount_innermost(app, lambda flask: mount(AuthMount(flask, app, settings)))
            return

        served = mount(app.wsgi_app)

        def data_api(rest: str = "") -> BaseResponse:
            return app.response_class.from_app(served, request.environ)

        for rule in (f"{settings.data_path}/", f"{settings.data_path}/<path:rest>"):
            app.add_url_rule(rule, "portero_data", data_api, methods=_METHODS, provide_automatic_options=False)

    @property
    def _token_in_blocklist_callback(self) -> Blocklist:
        """What Flask-JWT-Extended asks of every token: first whether the session stands, then the developer's list."""
        return self._is_revoked

    @_token_in_blocklist_callback.setter
    def _token_in_blocklist_callback(self, callback: Blocklist) -> None:
        self._developer_blocklist = callback

    def _is_revoked(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
        return self._is_revoked_in(self.freeze(current_app), header, claims)

    def _is_revoked_in(self, runtime: Runtime, header: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
        return developer_tokens.is_ended(runtime, claims) or self._developer_blocklist(header, claims)

    def _encode_jwt_from_config(self, identity: Any, token_type: str, *arguments: Any, **options: Any) -> str:
        if token_type != "access":  # noqa: S105 - a word
            raise ConfigurationError(developer_tokens.NO_REFRESH_TOKENS)
        token: str = super()._encode_jwt_from_config(identity, token_type, *arguments, **options)
        return developer_tokens.not_too_long(token)

    def _decode_jwt_from_config(
        self, encoded_token: str, csrf_value: str | None = None, allow_expired: bool = False
    ) -> dict[str, Any]:
        reader = developer_tokens.Reader(self.freeze(current_app), self._decode_key_callback)
        return reader.read(encoded_token, csrf_value, allow_expired=allow_expired)


JWTManager = Portero


def _after_fork() -> None:
    for extension in list(_extensions):
        extension._after_fork()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_after_fork)
