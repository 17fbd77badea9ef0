"""How a column's values come in from the wire and go out to it, for SQLite and PostgreSQL.

For every column the catalogue holds one `WireType`: how a filter literal is read, how a JSON body value is read, and
which SQL expression writes the value as JSON. A type without all three is refused at freeze, by name. PostgreSQL's
types are the measure on both databases: an `Integer` is 32 bits wide on SQLite too. Nothing here executes anything.

A TypeDecorator that converts values goes through Python on the way out (`conversions`), and takes what its
`python_type` says on the way in. A type may also say its wire form itself: a method
`portero_wire_type(dialect) -> WireType`.

Obeys contract data.md §4.3 (literals are checked against the column's type before they are bound), §4.10 (SQLSTATEs)
and §4.14, rows 1, 2 and 12.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine, UserDefinedType

from portero.data import decorators, literals, wire_sql
from portero.data.intervals import interval_text, read_interval
from portero.errors import ConfigurationError, DataError
from portero.records import dataclass
from portero.store.types import LateJsonb, UtcDateTime

Expression = sa.ColumnElement[Any]


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
    CONVERTED = "converted"


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
        json_sql: column expression → expression that `json_object`/`json_build_object` and
            `json_group_array`/`json_agg` write as this type's JSON (true, a T in timestamps, JSON as JSON).
        text_sql: column expression → its text as PostgreSQL's `::text` gives it (CSV, casts).
        element: the type of the elements of an array, else None.
        result: the JSON of the stored value → that of the answer, where the type converts in Python, else None.
        scale: a number is kept as a whole number of units of 10^-scale; None where it is kept as it is.
    """

    name: str
    kind: Kind
    parse: Callable[[str], Any]
    parse_json: Callable[[Any], Any]
    bind_type: TypeEngine[Any]
    json_sql: Callable[[Expression], Expression] = wire_sql.as_it_is
    text_sql: Callable[[Expression], Expression] = wire_sql.cast_to_text
    element: WireType | None = None
    result: Callable[[Any], Any] | None = None
    scale: int | None = None


def wire_type(type_: TypeEngine[Any], dialect: str) -> WireType:
    """Give the wire type of a column type on `dialect` (`sqlite` or `postgresql`).

    >>> wire_type(sa.Integer(), "sqlite").parse("12")
    12

    Raises:
        ConfigurationError: the type has no wire form; the sentence names it.
    """
    wire = _wire_type(type_, dialect)
    if wire is None:
        raise ConfigurationError(f"The type {type_!r} has no wire form on {dialect}.")
    return wire


def _wire_type(type_: TypeEngine[Any], dialect: str) -> WireType | None:
    own = getattr(type_, "portero_wire_type", None)
    if own is not None:
        given: WireType = own(dialect)
        return given
    if isinstance(type_, sa.Interval) and dialect == "sqlite":
        return _interval(type_)
    if isinstance(type_, LateJsonb):
        return _wire_type(type_.itself(), dialect)
    if isinstance(type_, sa.TypeDecorator) and not isinstance(type_, sa.Interval):
        return _decorated(type_, dialect)
    variant = type_._variant_mapping.get(dialect)
    if variant is not None and not _says_more(type_, variant):
        return _wire_type(variant, dialect)
    wire = _of_sqlalchemy(type_, dialect)
    if dialect == "postgresql":
        return _on_postgresql(type_, wire)
    return wire


def _says_more(type_: TypeEngine[Any], variant: TypeEngine[Any]) -> bool:
    """SQLite's variants are often only its way to keep a type: the generic type knows the range or the elements."""
    is_wider = isinstance(type_, sa.BigInteger) and isinstance(variant, sa.Integer)
    is_array = isinstance(type_, sa.ARRAY) and isinstance(variant, sa.JSON)
    return is_wider or is_array


def _decorated(type_: sa.TypeDecorator[Any], dialect: str) -> WireType | None:
    """A decorator that only adds to a type goes as that type; one that converts in SQL must say its wire form."""
    stored = _wire_type(type_.impl_instance, dialect)
    if stored is None or decorators.overrides(type_, decorators.IN_SQL_OR_DRIVER):
        return None
    if isinstance(type_, UtcDateTime) or not decorators.overrides(type_, decorators.IN_PYTHON):
        return replace(stored, bind_type=type_)
    spoken = _wire_type(decorators.spoken_type(type_), dialect)
    return None if spoken is None else _converting(type_, stored, spoken, dialect)


def _converting(type_: sa.TypeDecorator[Any], stored: WireType, spoken: WireType, dialect: str) -> WireType:
    """Filters compare with what the decorator stores; answers show what it makes of it."""
    name = type(type_).__name__.lower()
    check = decorators.check_of(type_, name, dialect)
    return replace(
        stored,
        name=name,
        kind=Kind.CONVERTED,
        parse=lambda text: check(spoken.parse(text)),
        parse_json=lambda value: check(spoken.parse_json(value)),
        bind_type=type_,
        element=None,
        result=decorators.result_of(type_, stored.parse_json, dialect),
    )


def _interval(type_: sa.Interval) -> WireType:
    """SQLAlchemy keeps an interval on SQLite as the instant so long after 1970."""
    stored = _scalar("interval", Kind.MOMENT, read_interval, type_, wire_sql.local, wire_sql.local_text)

    def result(value: Any) -> Any:
        return None if value is None else interval_text(datetime.fromisoformat(value) - datetime(1970, 1, 1))

    return replace(stored, kind=Kind.CONVERTED, result=result)


def _on_postgresql(type_: TypeEngine[Any], wire: WireType | None) -> WireType | None:
    """PostgreSQL writes every type as JSON itself; of the types only it knows, it also reads the literals itself."""
    if wire is not None:
        return replace(wire, json_sql=wire_sql.as_it_is, text_sql=wire_sql.cast_to_text)
    is_its_own = type(type_).__module__.startswith("sqlalchemy.dialects.postgresql")
    if not is_its_own and not isinstance(type_, UserDefinedType | sa.Interval):
        return None
    name = str(type_.compile(dialect=sa.make_url("postgresql+psycopg://").get_dialect()())).lower()
    return WireType(name, Kind.OTHER, literals.read_text, as_text, wire_sql.TextOf(type_))


def _scalar(
    name: str,
    kind: Kind,
    read: Callable[[str], Any],
    type_: TypeEngine[Any],
    json_sql: Callable[[Expression], Expression] = wire_sql.as_it_is,
    text_sql: Callable[[Expression], Expression] = wire_sql.cast_to_text,
) -> WireType:
    """A type whose JSON values are read like its literals, as `json_populate_record` does."""

    def read_json(value: Any) -> Any:
        return read(value if isinstance(value, str) else as_text(value))

    return WireType(name, kind, read, read_json, type_, json_sql, text_sql)


def _of_sqlalchemy(type_: TypeEngine[Any], dialect: str) -> WireType | None:
    match type_:
        case sa.ARRAY():
            return _array(type_, dialect)
        case sa.Enum():
            return _scalar(type_.name or "enum", Kind.TEXT, partial(_read_label, type_), type_)
        case sa.String():
            return _text(type_, dialect)
        case sa.Integer():
            name = _integer_name(type_)
            return _scalar(name, Kind.NUMBER, partial(literals.read_integer, type_name=name), type_)
        case sa.Float():
            return _scalar("double precision", Kind.NUMBER, literals.read_double, type_)
        case sa.Numeric():
            return _numeric(type_, dialect)
        case sa.Boolean():
            sql = wire_sql.boolean, wire_sql.boolean_text
            return _scalar("boolean", Kind.BOOLEAN, literals.read_boolean, type_, *sql)
        case sa.Uuid():
            read = literals.read_uuid if type_.as_uuid else (lambda text: str(literals.read_uuid(text)))
            return _scalar("uuid", Kind.UUID, read, type_, wire_sql.uuid, wire_sql.uuid)
        case sa.LargeBinary():
            return _scalar("bytea", Kind.BYTES, literals.read_bytes, type_, wire_sql.hexadecimal, wire_sql.hexadecimal)
        case sa.JSON():
            name = "jsonb" if type_.__visit_name__ == "JSONB" or dialect == "sqlite" else "json"
            return _json(name, type_)
    return _moment(type_)


def _integer_name(type_: sa.Integer) -> str:
    if isinstance(type_, sa.SmallInteger):
        return "smallint"
    return "bigint" if isinstance(type_, sa.BigInteger) else "integer"


def _text(type_: sa.String, dialect: str) -> WireType:
    if type_.length is None:
        return _scalar("text", Kind.TEXT, literals.read_text, type_)
    length = type_.length
    if not isinstance(type_, sa.CHAR):
        read = partial(literals.read_limited, length=length, type_name="character varying")
        return _scalar("character varying", Kind.TEXT, read, type_)

    def read_padded(text: str) -> str:
        """SQLite does not fill a CHAR up with blanks as SQL says; PostgreSQL does it itself."""
        limited = literals.read_limited(text, length, "character")
        return limited.ljust(length) if dialect == "sqlite" else limited

    return _scalar("character", Kind.TEXT, read_padded, type_)


def _numeric(type_: sa.Numeric[Any], dialect: str) -> WireType:
    read = partial(literals.read_numeric, precision=type_.precision, scale=type_.scale)
    wire = _scalar("numeric", Kind.NUMBER, read, type_ if type_.precision is None else sa.Numeric())
    if dialect != "sqlite":
        # What is only compared with is not rounded to the column's places.
        return replace(wire, parse=literals.read_numeric)

    def read_double(text: str) -> Decimal:
        """SQLite keeps a numeric as a double: a filter may be rounded to one, but not to infinity."""
        return checked(literals.read_numeric(text))

    def checked(number: Decimal) -> Decimal:
        literals.read_double(str(number))
        return number

    def read_exact(value: Any) -> Decimal:
        """A written number must not change silently: what a double cannot give back digit for digit is refused."""
        number = checked(read(as_text(value)))
        if Decimal(repr(float(number))) != number:
            raise DataError(
                400,
                "22003",
                f'value "{as_text(value)}" cannot be kept exactly in a numeric on SQLite',
                hint="SQLite keeps a numeric as a double, with 15 significant digits; portero.Decimal keeps 18.",
            )
        return number

    return replace(wire, parse=read_double, parse_json=read_exact)


def _json(name: str, type_: sa.JSON) -> WireType:
    read = partial(literals.read_json, type_name=name)
    bind_type = type_.copy()
    bind_type.none_as_null = True  # a JSON null on the wire is SQL NULL, as PostgREST has it
    return WireType(name, Kind.JSON, read, read_document, bind_type, wire_sql.document)


def read_document(value: Any) -> Any:
    """Take a JSON document of a body: numbers that were read exactly are plain ones again.

    Raises:
        DataError: 22P05 (400) a NUL.
    """
    literals.refuse_nul(value)
    return _with_floats(value)


def _with_floats(value: Any) -> Any:
    """Decimals stand for the numbers of an exactly read body; inside a document they are plain numbers again."""
    match value:
        case Decimal():
            return float(value)
        case dict():
            return {name: _with_floats(member) for name, member in value.items()}
        case list():
            return [_with_floats(member) for member in value]
    return value


def _moment(type_: TypeEngine[Any]) -> WireType | None:
    match type_:
        case sa.DateTime():
            with_zone = bool(type_.timezone)
            read = partial(literals.read_timestamp, with_zone=with_zone)
            name = "timestamp with time zone" if with_zone else "timestamp without time zone"
            sql = (wire_sql.instant, wire_sql.instant_text) if with_zone else (wire_sql.local, wire_sql.local_text)
            return _scalar(name, Kind.MOMENT, read, type_, *sql)
        case sa.Date():
            return _scalar("date", Kind.MOMENT, literals.read_date, type_, wire_sql.date, wire_sql.date)
        case sa.Time() if not type_.timezone:
            return _scalar("time", Kind.MOMENT, literals.read_time, type_, wire_sql.time, wire_sql.time)
    return None


def _read_label(type_: sa.Enum, text: str) -> str:
    if text not in type_.enums:
        raise DataError(400, "22P02", f'invalid input value for enum {type_.name or "enum"}: "{text}"')
    return text


def _array(type_: sa.ARRAY[Any], dialect: str) -> WireType | None:
    element = _wire_type(type_.item_type, dialect)
    if (
        element is None
        or element.kind is Kind.CONVERTED
        or element.scale is not None
        or (dialect == "sqlite" and element.kind not in (Kind.TEXT, Kind.NUMBER, Kind.BOOLEAN))
    ):
        return None

    def read(text: str) -> list[Any]:
        return _each(literals.read_array(text), element.parse)

    def read_json(value: Any) -> list[Any]:
        if isinstance(value, list):
            return _each(value, element.parse_json)
        if isinstance(value, str):
            return read(value)
        raise DataError(400, "22P02", "expected JSON array")

    def kept(value: list[Any]) -> Any:
        return _with_floats(value) if dialect == "sqlite" else value

    return WireType(
        name=f"{element.name}[]",
        kind=Kind.ARRAY,
        parse=lambda text: kept(read(text)),
        parse_json=lambda value: kept(read_json(value)),
        bind_type=sa.JSON(none_as_null=True) if dialect == "sqlite" else type_,
        json_sql=wire_sql.document,
        element=element,
    )


def _each(values: list[Any], read: Callable[[Any], Any]) -> list[Any]:
    return [
        _each(value, read) if isinstance(value, list) else None if value is None else read(value) for value in values
    ]


def as_text(value: Any) -> str:
    """Give a JSON value as the text that its column's type reads, as `json_populate_record` does.

    >>> as_text(True), as_text(1.5), as_text({"a": [1]})
    ('true', '1.5', '{"a": [1]}')
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case float():
            return repr(value)
    return json.dumps(_with_floats(value), ensure_ascii=False)
