"""Where the models have gone ahead of the database, in sentences; Portero's own tables are left out. Read only."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.schema import ColumnCollectionConstraint

from portero.alembic import include_object
from portero.assembly import Store
from portero.data import search_index


def differences(store: Store) -> list[str]:
    """Compare the project's models with the database; Portero's own tables are left out."""
    found: list[Any] = []
    with store.database.reading() as connection:
        for metadata in store.metadatas:
            found += compare_metadata(_comparing(connection), metadata)
    return [_described(difference) for difference in found]


def missing_searches(store: Store) -> list[str]:
    """Say which declared full-text indexes the database lacks."""
    tables = [table for metadata in store.metadatas for table in metadata.sorted_tables]
    with store.database.reading() as connection:
        return search_index.missing_indexes(tables, connection)


def _comparing(connection: sa.Connection) -> MigrationContext:
    return MigrationContext.configure(
        connection, opts={"include_object": include_object, "compare_type": False, "version_table": "alembic_version"}
    )


def _described(difference: Any) -> str:
    if isinstance(difference, list):
        return "; ".join(_described(each) for each in difference)
    kind, *rest = difference
    names = [_name(each) for each in rest if each is not None and not isinstance(each, dict)]
    return " ".join([str(kind).replace("_fk", " foreign key").replace("_", " "), *names])


def _name(part: Any) -> str:
    """A constraint often has no name; its columns have."""
    if isinstance(part, ColumnCollectionConstraint) and part.name is None:
        return f"on {part.table.name} ({', '.join(part.columns.keys())})"
    return str(getattr(part, "name", part))
