"""What SQLAlchemy compiled is counted and bounded, and no value of a request stays with it."""

from __future__ import annotations

import sqlalchemy as sa

from portero.store import compiled_statements
from portero.store.compiled_statements import CompiledStatements
from portero.store.engine import Database


def test_a_statement_that_comes_again_is_a_hit_and_the_oldest_goes(sqlite_database: Database) -> None:
    kept = CompiledStatements(2)
    with sqlite_database.reading() as connection:
        for sql in ("SELECT 1", "SELECT 2", "SELECT 1", "SELECT 3", "SELECT 2", "SELECT 3"):
            connection.execute(sa.text(sql), execution_options=kept.options)
    assert (2, 4, 2, 2) == kept.figures()


def test_a_statement_with_a_heavy_value_is_run_and_not_kept(sqlite_database: Database) -> None:
    kept = CompiledStatements(8)
    with sqlite_database.reading() as connection:
        for value in ("x" * 300_000, [f"x{n}" for n in range(10_000)], "x"):
            found = connection.execute(sa.select(sa.literal(value, sa.JSON())), execution_options=kept.options)
            assert value == found.scalar()
    assert (0, 3, 1, 8) == kept.figures()


def test_a_statement_with_very_many_parameters_is_not_kept(sqlite_database: Database) -> None:
    """SQLAlchemy knows more than two kilobytes of each."""
    kept = CompiledStatements(8)
    most = compiled_statements._HEAVIEST // compiled_statements._OF_A_PARAMETER
    with sqlite_database.reading() as connection:
        connection.execute(sa.select(*[sa.literal(n) for n in range(most)]), execution_options=kept.options)
    assert 0 == kept.figures().entries


def test_portero_s_own_statements_are_counted(database: Database) -> None:
    for _ in range(2):
        with database.reading() as connection:
            connection.execute(sa.select(sa.literal(7)))
    assert 1 <= database.caches()["own_statements"].hits
