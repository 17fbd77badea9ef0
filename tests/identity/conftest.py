"""An identity context on a real database, with hashes that cost next to nothing."""

from __future__ import annotations

import pytest
from tests.identity.people import context_on

from portero.identity.context import IdentityContext
from portero.store.engine import Database


@pytest.fixture
def context(sqlite_database: Database) -> IdentityContext:
    """A context on SQLite."""
    return context_on(sqlite_database)


@pytest.fixture
def any_context(database: Database) -> IdentityContext:
    """A context on each kind of database."""
    return context_on(database)
