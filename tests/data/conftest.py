"""What the tests of the data API share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.data.films import Library, opened


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A filled library, once for each database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('films') / 'films.db'}"
    else:
        url = request.getfixturevalue("postgresql_url")
        _empty(url)
    with opened(url) as found:
        yield found


def _empty(url: str) -> None:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
