"""`column::type` and JSON paths in `select`: a closed set of types, never a type name of the request in SQL.

Obeys contract data.md §4.2 (Cast, JSON path); threat DA-22.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from portero.data.dialects import Sql
from portero.data.read_plan import PlannedColumn
from portero.data.wire_types import Kind
from portero.errors import DataError

Clause = sa.ColumnElement[Any]

INSTANT: Final = "timestamp with time zone"
_TIMES: Final = 8
"""How tightly SQLAlchemy says that a division binds: sums in it are put in parentheses."""
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
    "timestamptz": INSTANT,
}
_ARRAYS: Final = {
    **dict.fromkeys(("_int4", "int4[]", "int[]", "integer[]", "_int8", "int8[]", "bigint[]"), "integer"),
    **dict.fromkeys(("_text", "text[]", "_varchar", "varchar[]"), "text"),
    **dict.fromkeys(("_numeric", "numeric[]", "_float8", "float8[]"), "numeric"),
}
_KINDS: Final = {"text": Kind.TEXT, "integer": Kind.NUMBER, "numeric": Kind.NUMBER, "boolean": Kind.BOOLEAN}


def kind_of(item: PlannedColumn) -> tuple[Kind, str]:
    """Give the kind of a member's value, and the name of its type in messages."""
    if item.cast is not None:
        target = _TYPES.get(item.cast)
        if target is None:
            return item.column.wire.kind, item.cast
        return _KINDS.get(target, Kind.JSON), target
    if item.steps:
        return (Kind.TEXT, "text") if item.steps[-1].as_text else (Kind.JSON, "jsonb")
    return item.column.wire.kind, item.column.wire.name


def is_instant(item: PlannedColumn) -> bool:
    """Say whether a member with a cast shows an instant, which a time zone then concerns."""
    is_shown = item.cast == "timestamptz" or _TYPES.get(str(item.cast)) == "text"
    return not item.steps and item.column.wire.name == INSTANT and is_shown


def cast_json(item: PlannedColumn, held: Clause, sql: Sql) -> Clause:
    """Write the JSON of a column with a path or a cast.

    Raises:
        DataError: 42704 (400) an unknown type; PGRST127 (400) a cast that is not served for this column.
    """
    wire = item.column.wire
    if wire.kind is Kind.CONVERTED:
        raise _unserved(item)
    if item.steps and item.cast is None:
        return sql.json_at(held, item.steps)
    name = str(item.cast)
    target = _TYPES.get(name)
    if target is None and name in _OWN:
        return _moment(item, held)
    if target is None and name in _ARRAYS:
        return _array(item, held, sql)
    if target is None:
        raise unknown_type(name)
    value = sql.json_at(held, item.steps) if item.steps else None
    if target == "json":
        return sql.as_json(value) if value is not None else wire.json_sql(held)
    if target == "text":
        if value is None:
            return wire.text_sql(held) if wire.kind is not Kind.ARRAY else sql.array_text(held)
        return value if item.steps[-1].as_text else sql.json_text(value)
    if value is None and wire.scale is not None:
        return wire.json_sql(held) if target == "numeric" else sql.cast(_rounded(held, wire.scale), target)
    if value is None and wire.kind is Kind.NUMBER and target == "integer" and wire.name != "numeric":
        return held
    if value is None and target == "integer" and wire.name == "numeric":
        held = sa.func.round(held)  # halves away from zero, as PostgreSQL casts a numeric
    plain = value if value is not None else (held if wire.kind in (Kind.NUMBER, Kind.TEXT) else wire.text_sql(held))
    return sql.cast(plain, target)


def _rounded(held: Clause, scale: int) -> Clause:
    """Round units to whole numbers, halves away from zero, as PostgreSQL does."""
    one = sa.literal_column(str(10**scale), sa.BigInteger())
    half = sa.literal_column(str(10**scale // 2), sa.BigInteger())
    zero = sa.literal_column("0", sa.BigInteger())
    units = sa.type_coerce(held, sa.BigInteger())
    down, up = ((units + each).op("/", precedence=_TIMES)(one) for each in (-half, half))
    return sa.case((units < zero, down), else_=up)


def cast_value(value: Clause, name: str, sql: Sql) -> Clause:
    """Cast what an aggregate gave.

    Raises:
        DataError: 42704 (400) a type that is not served here.
    """
    target = _TYPES.get(name)
    if target == "text":
        return sa.cast(value, sa.Text())
    if target in ("integer", "numeric"):
        return sql.cast(value, target)
    raise unknown_type(name)


def unknown_type(name: str) -> DataError:
    """Make the refusal of a type that no cast knows."""
    return DataError(400, "42704", f'type "{name[:63]}" does not exist')


def _moment(item: PlannedColumn, held: Clause) -> Clause:
    """A cast to the column's own type changes nothing; others are not served."""
    if item.steps or item.column.wire.name != _OWN[str(item.cast)]:
        raise _unserved(item)
    return item.column.wire.json_sql(held)


def _array(item: PlannedColumn, held: Clause, sql: Sql) -> Clause:
    """A cast of an array to an array is PostgreSQL's own."""
    if item.steps or sql.name == "sqlite":
        raise _unserved(item)
    elements: dict[str, TypeEngine[Any]] = {"integer": sa.BigInteger(), "text": sa.Text(), "numeric": sa.Numeric()}
    return sa.cast(held, sa.ARRAY(elements[_ARRAYS[str(item.cast)]]))


def _unserved(item: PlannedColumn) -> DataError:
    details = f"The cast of {item.column.wire.name} to {item.cast} is not available."
    return DataError(400, "PGRST127", "Feature not implemented", details=details)
