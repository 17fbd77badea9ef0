"""What a developer's own code calls: sign somebody in, and read or write through Portero's own engine.

The functions work on the current Flask application, inside a request or an app context, as Flask-JWT-Extended's do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from flask import has_request_context, request
from sqlalchemy.orm import Session

from portero.errors import AuthError
from portero.identity import sign_in as identity_sign_in
from portero.identity.context import Caller, SignedIn
from portero.web.caller import caller_of
from portero.web.runtime import runtime


def sign_in(login: str, password: str) -> SignedIn:
    """Sign somebody in and open a session; the attempt counts against account and address as at `/auth/v1/token`.

    Args:
        login: an e-mail address or a user name.
        password: as typed.

    Raises:
        AuthError: 400 invalid_credentials, user_banned, email_not_confirmed, validation_failed; 429
            over_request_rate_limit. Uncaught, it becomes that answer.
    """
    if not isinstance(login, str) or not isinstance(password, str):
        raise AuthError(400, "validation_failed", "User name and password are texts")
    return identity_sign_in.with_password(runtime().identity, login, password, _caller(), datetime.now(UTC))


@contextmanager
def reading() -> Iterator[Session]:
    """Open an SQLAlchemy session that reads one state of the database; nothing it does is kept.

    Raises:
        DatabaseUnavailable: the database cannot be asked now.
    """
    with runtime().database.reading() as connection, Session(connection, expire_on_commit=False) as session:
        yield session


@contextmanager
def writing(*, timeout: timedelta | None = None) -> Iterator[Session]:
    """Open an SQLAlchemy session in a transaction: committed and on disk at the end, undone at an exception.

    On SQLite one writer at a time, over all workers: keep it short, and do not nest it.

    Args:
        timeout: how long its statements may run; default: the setting.

    Raises:
        DatabaseUnavailable: the turn to write did not come in time.
    """
    with runtime().database.writing(timeout=timeout) as connection, Session(connection) as session:
        yield session
        session.flush()


def _caller() -> Caller:
    if not has_request_context():
        return Caller()
    return caller_of(request.environ, runtime().settings.trusted_proxies)
