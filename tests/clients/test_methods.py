"""The page on the clients' methods is what a run of every method on both databases makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest
from tests import node_packages
from tests.clients.methods_run import PAGE, Outcomes, outcomes, page

OF_CLIENTS = ("postgrest-js", "postgrest-py")


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Node finds supabase-js as the lock file pins it."""
    return node_packages.beside(tmp_path_factory.mktemp("methods"))


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory, node_modules: Path) -> Mapping[str, Outcomes]:
    """Every method, on SQLite."""
    folder = tmp_path_factory.mktemp("sqlite")
    return outcomes(f"sqlite:///{folder}/methods.db", folder, node_modules)


@pytest.fixture(scope="module")
def on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, node_modules: Path, postgresql_url: str
) -> Mapping[str, Outcomes]:
    """Every method, on a PostgreSQL database of its own."""
    return outcomes(fresh_database(postgresql_url), tmp_path_factory.mktemp("postgresql"), node_modules)


def fresh_database(url: str) -> str:
    """Empty the server's database, as the function-scoped fixture does."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return url


@pytest.mark.parametrize("client", OF_CLIENTS)
def test_no_answer_is_wrong(
    on_sqlite: Mapping[str, Outcomes], on_postgresql: Mapping[str, Outcomes], client: str
) -> None:
    """A method works, or is refused with a code: none gives other rows than PostgREST would."""
    for found in (on_sqlite, on_postgresql):
        assert {} == {method: outcome for method, outcome in found[client].items() if outcome.startswith("wrong")}


def test_the_page_is_the_one_that_the_run_makes(
    on_sqlite: Mapping[str, Outcomes], on_postgresql: Mapping[str, Outcomes]
) -> None:
    """If not: python -m tests.clients.methods_run."""
    assert page(on_sqlite, on_postgresql) == PAGE.read_text(encoding="utf-8")
