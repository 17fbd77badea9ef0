"""What a function at `/rpc/<name>` runs in: an application context, with Flask-SQLAlchemy's session on its connection.

So `db.session`, `current_app` and `get_jwt()` mean in a function what they mean in a view, but every statement is part
of the request's one transaction. It decides nothing about the call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from flask import Flask, g
from sqlalchemy.orm import Session

from portero.data.calls import session_on
from portero.principal import Principal


@contextmanager
def session_in_context(app: Flask, connection: sa.Connection, principal: Principal) -> Iterator[Session]:
    """Open a session on a connection, inside an application context of its own, where it also is `db.session`."""
    with app.app_context(), session_on(connection, principal) as session:
        # Where Flask-JWT-Extended looks for the claims of the token that `verify_jwt_in_request` read.
        g._jwt_extended_jwt = dict(principal.claims)
        db = app.extensions.get("sqlalchemy")
        if db is not None:
            # Of this application context only; Flask-SQLAlchemy removes it with the context.
            db.session.registry.set(session)
        yield session
