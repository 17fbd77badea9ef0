"""How a column's values come in from the wire and go out to it, for SQLite and PostgreSQL.

For every column the catalogue holds one `WireType`: how a filter literal is read, how a JSON body value is read, and which
SQL expression writes the value as JSON. A type without all three is refused at freeze, by name. Nothing here
executes anything or knows requests.

Obeys contract data.md §4.3 (literals are checked against the column's type before they are bound), §4.10 (SQLSTATEs) and
§4.14, rows 1, 2 and 12; design hot-path.md §4 (JSON shapes in SQL).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine


class Kind(StrEnum):
    """The family of a wire type; operators ask it (`like` wants TEXT, `cs` wants ARRAY or JSON, `sum` wants NUMBER)."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    MOMENT = "moment"
    UUID = "uuid"
    BYTES = "bytes"
    JSON = "json"
    ARRAY = "array"
    OTHER = "other"


@dataclass(frozen=True, slots=True, eq=False)
class WireType:
    """One column type on one database.

    Attributes:
        name: PostgreSQL's word for the type, as it stands in messages (`integer`, `timestamp with time zone`).
        kind: the family.
        parse: text of a filter → the value for a SQLAlchemy bind of type `bind_type`; raises DataError (22P02, 22003,
            22007, 22008, 22001).
        parse_json: a JSON body value (never None: null is SQL NULL) → the same; raises the same.
        bind_type: the SQLAlchemy type for `bindparam(…, type_=…)`.
        json_sql: column expression → expression that `json_object`/`json_build_object` and `json_group_array`/`json_agg`
            write as this type's JSON (bool as true, timestamps with a T, JSON as JSON).
        text_sql: column expression → its text as PostgreSQL's `::text` gives it (CSV, casts).
        element: the type of the elements of an array, else None.
    """

    name: str
    kind: Kind
    parse: Callable[[str], Any]
    parse_json: Callable[[Any], Any]
    bind_type: TypeEngine[Any]
    json_sql: Callable[[sa.ColumnElement[Any]], sa.ColumnElement[Any]]
    text_sql: Callable[[sa.ColumnElement[Any]], sa.ColumnElement[Any]]
    element: WireType | None = None


def wire_type(type_: TypeEngine[Any], dialect: str) -> WireType:
    """Give the wire type of a column type on `dialect` (`sqlite` or `postgresql`).

    Raises:
        ConfigurationError: the type has no wire form; the sentence names it.
    """
    raise NotImplementedError
