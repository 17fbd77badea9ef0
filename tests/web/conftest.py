"""A small Flask application with Portero in it, on a real database, and callers of its auth API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from flask import Flask
from tests.identity.people import SECRET
from tests.web.callers import Api

from portero import JWTManager
from portero.crypto.passwords import Passwords

Make = Callable[..., Api]


def make_api(database_url: str, /, *, hooks: Sequence[Any] = (), **settings: Any) -> Api:
    """Build an application with nothing but Portero and a route of the developer's own; hashes cost next to nothing."""
    app = Flask("app")
    app.config.update(TESTING=True, JWT_SECRET_KEY=SECRET, PORTERO_DATABASE_URL=database_url)
    app.config.update({f"PORTERO_{name.upper()}": value for name, value in settings.items()})
    jwt = JWTManager(app)
    if hooks:
        jwt.hooks(*hooks)

    @app.get("/own")
    def own() -> str:
        return "own"

    held = jwt.assemble(app, Passwords(8, time_cost=1, memory_cost=8))
    jwt.hold(app, held)
    return Api(app, held)


@pytest.fixture
def make(sqlite_url: str) -> Iterator[Make]:
    """Build applications on SQLite under settings of one's choice."""
    made: list[Api] = []

    def build(**settings: Any) -> Api:
        made.append(make_api(sqlite_url, **settings))
        return made[-1]

    yield build
    for api in made:
        api.runtime.database.close()


@pytest.fixture
def make_any(database_url: str) -> Iterator[Make]:
    """Build applications on each kind of database under settings of one's choice."""
    made: list[Api] = []

    def build(**settings: Any) -> Api:
        made.append(make_api(database_url, **settings))
        return made[-1]

    yield build
    for api in made:
        api.runtime.database.close()


@pytest.fixture
def api(make: Make) -> Api:
    """An application on SQLite under the default settings."""
    return make()


@pytest.fixture
def any_api(database_url: str) -> Iterator[Api]:
    """An application on each kind of database."""
    api = make_api(database_url)
    yield api
    api.runtime.database.close()
