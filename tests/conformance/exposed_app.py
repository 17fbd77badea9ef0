"""The Flask application the conformance cases are sent to: every table of the fixture, open to everybody.

A server loads it by its factory, `tests.conformance.exposed_app:create_app`. What it serves comes from the environment
(`CONFORMANCE_…`, set by `run.py`); it makes no tables and no rows.
"""

from __future__ import annotations

import json
import os
import pathlib
import secrets

import sqlalchemy as sa
from flask import Flask
from tests.conformance.fixture_tables import build, read
from tests.conformance.refill import RESET_PATH, refill_of

from portero import JWTManager, allow_all, expose_table


def create_app() -> Flask:
    """Build the application with the settings of the wanted profile."""
    url = os.environ["CONFORMANCE_URL"]
    dialect = sa.make_url(url).get_backend_name()
    described = read(pathlib.Path(os.environ["CONFORMANCE_FIXTURE"]), dialect)
    metadata = sa.MetaData()
    for table in build(described, metadata, dialect):
        expose_table(table, select=allow_all, insert=allow_all, update=allow_all, delete=allow_all)

    app = Flask(__name__)
    app.config["JWT_SECRET_KEY"] = secrets.token_urlsafe(48)
    app.config["PORTERO_DATABASE_URL"] = url
    app.config.update(json.loads(os.environ["CONFORMANCE_SETTINGS"]))
    JWTManager(app, models=metadata)

    refill = refill_of(url, described, os.environ["CONFORMANCE_WAITING"])

    @app.post(RESET_PATH)
    def reset() -> tuple[str, int]:
        refill()
        return "", 204

    return app
