"""`column::type` and JSON paths in `select`: a closed set of types, never a type name of the request in SQL.

Obeys contract data.md §4.2 (Cast, JSON path); threats.md DA-22.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from portero.data.dialects import Sql
from portero.data.read_plan import PlannedColumn
from portero.data.wire_types import Kind
from portero.errors import DataError

Clause = sa.ColumnElement[Any]

_TYPES: Final = {
    **dict.fromkeys(("text", "varchar", "character varying", "char", "bpchar", "citext"), "text"),
    **dict.fromkeys(("int", "integer", "int2", "int4", "int8", "smallint", "bigint"), "integer"),
    **dict.fromkeys(("numeric", "decimal", "float4", "float8", "real", "double precision"), "numeric"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("json", "jsonb"), "json"),
}
_OWN: Final = {
    "date": "date",
    "uuid": "uuid",
    "time": "time without time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
}


def cast_json(item: PlannedColumn, held: Clause, sql: Sql) -> Clause:
    """Write the JSON of a column with a path or a cast.

    Raises:
        DataError: 42704 (400) an unknown type; PGRST127 (400) a cast that is not served for this column.
    """
    wire = item.column.wire
    if item.steps and item.cast is None:
        return sql.json_at(held, item.steps)
    target = _TYPES.get(str(item.cast))
    if target is None and item.cast in _OWN:
        return _moment(item, held)
    if target is None:
        raise DataError(400, "42704", f'type "{str(item.cast)[:63]}" does not exist')
    value = sql.json_at(held, item.steps) if item.steps else None
    if target == "json":
        return sql.as_json(value) if value is not None else wire.json_sql(held)
    if target == "text":
        return value if value is not None else wire.text_sql(held)
    if value is None and wire.kind is Kind.NUMBER and target == "integer" and wire.name != "numeric":
        return held
    plain = value if value is not None else (held if wire.kind in (Kind.NUMBER, Kind.TEXT) else wire.text_sql(held))
    return sql.cast(plain, target)


def _moment(item: PlannedColumn, held: Clause) -> Clause:
    """A cast to the column's own type changes nothing; others are not served."""
    if item.steps or item.column.wire.name != _OWN[str(item.cast)]:
        details = f"The cast of {item.column.wire.name} to {item.cast} is not available."
        raise DataError(400, "PGRST127", "Feature not implemented", details=details)
    return item.column.wire.json_sql(held)
