"""Full-text indexes on SQLite: an FTS5 table beside a model's table, kept by triggers, for `expose(search=[…])`.

The index holds words and no rows (before SQLite 3.43, which cannot delete from such an index, the texts too), goes by
the row's integer key, and is asked only which keys match: policies apply to the rows as ever. On PostgreSQL nothing is
made: it searches any text by itself. Identifiers come from models, never from requests. Obeys SQLite's documentation,
"FTS5" (contentless-delete tables).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from portero.data.search_queries import EVERY
from portero.errors import ConfigurationError
from portero.records import dataclass
from portero.store.sqlite_driver import DRIVER
from portero.store.tables import PREFIX

_TOKENIZER: Final = "unicode61 remove_diacritics 0"
_WITHOUT_TEXTS: Final = "content='', contentless_delete=1, "
_DELETES_WITHOUT_TEXTS: Final = (3, 43)
_EVENTS: Final = ("insert", "update", "delete")
#: A column in the body of a trigger.
_NEW: Final = re.compile(r'new\."((?:[^"]|"")*)"')
_MARK: Final = "__portero_search__"


@dataclass(frozen=True, slots=True)
class SearchColumn:
    """Where the words of one column are: the index's name, and the column's number there."""

    index: str
    number: int


def index_name(table: str) -> str:
    """Name the index of a table; the prefix keeps Alembic's autogenerate away from it.

    >>> index_name("notes")
    'portero_search_notes'
    """
    return f"{PREFIX}search_{table}"


def statements(
    table: str, columns: Sequence[str], key: str, version: tuple[int, ...] = DRIVER.sqlite_version_info
) -> Iterator[str]:
    """Give the statements that make the index of a table and fill it, dropping what is there.

    Args:
        table: the table's name.
        columns: those that are searched.
        key: the column of its primary key, a whole number.
        version: of the SQLite that runs them.
    """
    index, held = _quoted(index_name(table)), [_quoted(name) for name in columns]
    numbers = [f"c{place}" for place in range(len(columns))]
    into = f"INSERT INTO {index}(rowid, {', '.join(numbers)}, {EVERY})"
    yield from drop_statements(table)
    yield (
        f"CREATE VIRTUAL TABLE {index} USING fts5({', '.join(numbers)}, {EVERY}, "
        f"{_WITHOUT_TEXTS if version >= _DELETES_WITHOUT_TEXTS else ''}tokenize='{_TOKENIZER}')"
    )
    new = ", ".join(f"new.{name}" for name in [_quoted(key), *held])
    added = f"{into} VALUES ({new}, 'x');"
    gone = f"DELETE FROM {index} WHERE rowid = old.{_quoted(key)};"  # noqa: S608 - names of models, quoted
    of = ", ".join(dict.fromkeys([_quoted(key), *held]))
    bodies = {"insert": added, "update": f"{gone} {added}", "delete": gone}
    for event, body in bodies.items():
        when = f"UPDATE OF {of}" if event == "update" else event.upper()
        yield f"CREATE TRIGGER {_trigger(table, event)} AFTER {when} ON {_quoted(table)} BEGIN {body} END"
    yield f"{into} SELECT {_quoted(key)}, {', '.join(held)}, 'x' FROM {_quoted(table)}"  # noqa: S608 - as above


def drop_statements(table: str) -> Iterator[str]:
    """Give the statements that drop the index of a table, as far as it is there."""
    for event in _EVENTS:
        yield f"DROP TRIGGER IF EXISTS {_trigger(table, event)}"
    yield f"DROP TABLE IF EXISTS {_quoted(index_name(table))}"


def make_with_table(table: sa.Table, columns: Sequence[str]) -> None:
    """Let SQLAlchemy make the index whenever it makes the table on SQLite."""
    if _MARK in table.info:
        return
    table.info[_MARK] = tuple(columns)

    def make(target: sa.Table, connection: sa.Connection, **_: Any) -> None:
        if connection.dialect.name == "sqlite":
            make_index(target, columns, connection)

    sa.event.listen(table, "after_create", make)


def make_index(table: sa.Table, columns: Sequence[str], connection: sa.Connection) -> None:
    """Make the index of a table and fill it.

    Raises:
        ConfigurationError: the table's key is not one whole number.
    """
    for statement in statements(str(table.name), columns, key_of(table)):
        connection.exec_driver_sql(statement)


def make_missing(tables: Iterable[sa.Table], connection: sa.Connection) -> None:
    """Make the indexes that are declared for these tables and not there, or over other columns, on SQLite."""
    for table in tables:
        columns = declared(table)
        if columns and connection.dialect.name == "sqlite" and not fits(table, connection):
            make_index(table, columns, connection)


def declared(table: sa.Table) -> list[str]:
    """Give the columns of a table that its model wants searched, in order."""
    return list(table.info.get(_MARK, ()))


def missing_indexes(tables: Iterable[sa.Table], connection: sa.Connection) -> list[str]:
    """Say in sentences which declared indexes are not there, not kept any more, or over other columns."""
    if connection.dialect.name != "sqlite":
        return []
    return [_sentence(table, connection) for table in tables if not fits(table, connection)]


def _sentence(table: sa.Table, connection: sa.Connection) -> str:
    name, columns, there = str(table.name), declared(table), held(str(table.name), connection)
    if not columns:
        return f"{name} has a search index, which its model does not declare: portero.alembic.drop_search(op, {name!r})"
    says = f"a migration says portero.alembic.create_search(op, {name!r}, {columns!r}, {key_of(table)!r})"
    if there is None:
        return f"The search index of {name} is missing, or its triggers are: {says}"
    return f"The search index of {name} is over {', '.join(there.columns)} by {there.key}: {says}"


class Held(NamedTuple):
    """What an index is over, as its triggers say: the columns in order, and the key it goes by."""

    columns: list[str]
    key: str


def held(table: str, connection: sa.Connection) -> Held | None:
    """Say what the index of a table is over; None where it is not in the database, or one of its triggers is not."""
    insert, *others = (f"{index_name(table)}_{event}" for event in _EVENTS)
    master = sa.table("sqlite_master", sa.column("name"), sa.column("sql"))
    found = sa.select(master.c.name, master.c.sql).where(master.c.name.in_([index_name(table), insert, *others]))
    texts = {str(row.name): str(row.sql) for row in connection.execute(found)}
    if len(texts) <= len(_EVENTS):
        return None
    key, *columns = (name.replace('""', '"') for name in _NEW.findall(texts[insert]))
    return Held(columns, key)


def fits(table: sa.Table, connection: sa.Connection) -> bool:
    """Say whether the index that a table has, or has not, is the one its model declares."""
    there, columns = held(str(table.name), connection), declared(table)
    return there == (Held(columns, key_of(table)) if columns else None)


def key_of(table: sa.Table) -> str:
    """Give the column that the index goes by.

    Raises:
        ConfigurationError: the table's key is not one whole number.
    """
    keys = list(table.primary_key)
    if len(keys) != 1 or not isinstance(keys[0].type, sa.Integer):
        raise ConfigurationError(
            f"{table.name} declares search=…: on SQLite that needs a primary key of one column with whole numbers."
        )
    return str(keys[0].name)


def _trigger(table: str, event: str) -> str:
    return _quoted(f"{index_name(table)}_{event}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
