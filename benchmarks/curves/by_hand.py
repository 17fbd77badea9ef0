"""The same notes asked by hand: what a developer would write, through the database's driver alone.

What a request costs beyond it is Portero's; what grows in both is the database's. It checks no token and no session,
applies no policy but the owner it names, and but for `as_json` makes no JSON.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from psycopg.abc import Buffer
from psycopg.adapt import Loader

from portero.store.sqlite_driver import DRIVER

FIELDS = ("id", "owner", "title", "body", "done", "created_at")
_COLUMNS = ", ".join(FIELDS)
_MEMBERS = ", ".join(f"'{name}', {name}" for name in FIELDS)
BY_ID = f"SELECT {_COLUMNS} FROM notes WHERE id = ? AND owner = ?"
NEWEST_OWN = f"SELECT {_COLUMNS} FROM notes WHERE owner = ? AND NOT done ORDER BY created_at DESC LIMIT 20"
COUNT = "SELECT count(*) FROM notes WHERE owner = ? AND NOT done"
Asked = tuple[tuple[str, tuple[Any, ...]], ...]


class _Bytes(Loader):
    """Hands a document on as it came."""

    def load(self, data: Buffer) -> bytes:
        """Give its bytes."""
        return bytes(data)


class ByHand:
    """One connection of the driver's.

    Args:
        url: of the database.
        pages: megabytes of pages that SQLite keeps for a connection of Portero's, and for this one.
    """

    def __init__(self, url: sa.URL, pages: int) -> None:
        self._is_sqlite = url.get_backend_name() == "sqlite"
        if self._is_sqlite:
            self._connection = DRIVER.connect(f"file:{url.database}?mode=ro", uri=True, isolation_level=None)
            self._connection.execute(f"PRAGMA cache_size = -{pages * 1024}")
        else:
            plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
            self._connection = psycopg.connect(plain, autocommit=True, prepare_threshold=1)
            self._connection.adapters.register_loader("json", _Bytes)

    def id_of(self, number: int) -> Any:
        """Give the id of a copied user as the database keeps it."""
        return UUID(int=number).hex if self._is_sqlite else UUID(int=number)

    def as_json(self, limit: int) -> str:
        """Give the statement of the newest notes as one JSON document."""
        newest = f"(SELECT {_COLUMNS} FROM notes WHERE owner = ? ORDER BY created_at DESC LIMIT {limit}) AS n"
        if self._is_sqlite:
            return f"SELECT CAST(json_group_array(json_object({_MEMBERS})) AS BLOB) FROM {newest}"
        return f"SELECT json_agg(n) FROM {newest}"

    def in_turn(self, requests: Sequence[Asked]) -> Callable[[], None]:
        """Give what asks the statements of one request after the other."""
        each = itertools.cycle([[(self._text(sql), values) for sql, values in asked] for asked in requests])
        execute = self._connection.execute

        def work() -> None:
            for sql, values in next(each):
                assert execute(sql, values).fetchall()

        return work

    def _text(self, sql: str) -> str:
        return sql if self._is_sqlite else sql.replace("?", "%s")
