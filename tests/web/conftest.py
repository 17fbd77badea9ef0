"""A small Flask application on a real database, and callers of its auth API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from tests.identity.people import context_on
from tests.web.callers import Api

from portero.store.engine import Database
from portero.web.routes import blueprint
from portero.web.runtime import EXTENSION, Runtime

Make = Callable[..., Api]


def make_api(database: Database, **settings: Any) -> Api:
    """Build an application with nothing but the auth API and a route of the developer's own."""
    app = Flask("app")
    context = context_on(database, None, **settings)
    held = Runtime(context.settings, database, context)
    app.extensions[EXTENSION] = held
    app.register_blueprint(blueprint(context.settings))

    @app.get("/own")
    def own() -> str:
        return "own"

    return Api(app, held)


@pytest.fixture
def make(sqlite_database: Database) -> Make:
    """Build an application on SQLite under settings of one's choice."""
    return lambda **settings: make_api(sqlite_database, **settings)


@pytest.fixture
def api(make: Make) -> Api:
    """An application on SQLite under the default settings."""
    return make()


@pytest.fixture
def any_api(database: Database) -> Api:
    """An application on each kind of database."""
    return make_api(database)
