"""What psycopg alone does: the very statements that Portero sends, and nothing else, behind the same server.

A WSGI callable without Portero's work: no token is verified, no request parsed, nothing planned, no header made but the
two that an answer needs. The statement and the values of a request are asked of Portero the first time it comes, and
kept. Each thread has a connection of its own in autocommit; psycopg prepares, runs and fetches. `JWT_SECRET_KEY` and
`PORTERO_DATABASE_URL` (PostgreSQL) come from outside, as for `portero_app`.
"""

import os
import threading
import time
from datetime import UTC, datetime

import psycopg
import sqlalchemy as sa

from benchmarks.portero_app import app as portero_app
from portero.data.execute import facts_of, parameters_of
from portero.data.nodes import HttpRequest

_PREFIX = "/rest/v1"
_kept: dict = {}
_own = threading.local()


def app(environ, start_response):
    """Answer GET below /rest/v1 with what the statement gives; anything else means that the server is there."""
    key = environ["PATH_INFO"], environ["QUERY_STRING"], environ.get("HTTP_AUTHORIZATION", "")
    if not key[0].startswith(_PREFIX):
        start_response("200 OK", [])
        return (b"",)
    found = _kept.get(key)
    if found is None:
        found = _kept[key] = _asked(*key)
    connection = getattr(_own, "connection", None) or _connected()
    [row] = connection.execute(*found, prepare=True).fetchall()
    body = row[0].encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return (body,)


def _connected():
    url = sa.make_url(os.environ["PORTERO_DATABASE_URL"]).set(drivername="postgresql")
    _own.connection = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
    return _own.connection


def _asked(path, query, authorization):
    runtime = portero_app.extensions["portero"].freeze(portero_app)
    principal = runtime.identity.access_tokens.principal(authorization.removeprefix("Bearer "), time.time())
    http = HttpRequest("GET", path.removeprefix(_PREFIX), query)
    filled = runtime.data.reads.prepare(http, principal.role, guarded=True).filled
    return filled.compiled.sql, tuple(parameters_of(filled, facts_of(principal, datetime.now(UTC))))
