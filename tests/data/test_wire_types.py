"""Values in and out: each type read as PostgreSQL reads it, and written as JSON as PostgreSQL writes it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from time import process_time
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.types import UserDefinedType

from portero import strict_json
from portero.data.dialects import sql_of
from portero.data.wire_types import Kind, WireType, wire_type
from portero.errors import ConfigurationError, DataError
from portero.store.engine import Database
from portero.store.types import UtcDateTime

BOTH = ("sqlite", "postgresql")


class Mood(Enum):
    GLAD = 1
    SAD = 2


class Shouting(sa.TypeDecorator[str]):
    """Adds nothing that converts values."""

    impl = sa.String(10)
    cache_ok = True


class Secretive(sa.TypeDecorator[str]):
    """Converts in Python: answers show what it makes of what is stored."""

    impl = sa.Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return value


class SecretiveInSql(sa.TypeDecorator[str]):
    """Converts in SQL, and does not say how it looks on the wire."""

    impl = sa.Text
    cache_ok = True

    def column_expression(self, column: Any) -> Any:
        return sa.func.reverse(column)


class Reversed(Secretive):
    """Converts, and says so."""

    cache_ok = True

    def portero_wire_type(self, dialect: str) -> WireType:
        text = wire_type(sa.Text(), dialect)
        return WireType("reversed", Kind.TEXT, lambda text: text[::-1], text.parse_json, self)


TEXTS = sa.ARRAY(sa.Text).with_variant(sa.JSON(), "sqlite")
NUMBERS = sa.ARRAY(sa.Integer).with_variant(sa.JSON(), "sqlite")
UUID_TEXT = "0a1b2c3d-0000-4000-8000-00000000000f"


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [
        (sa.Integer(), " +12 ", 12),
        (sa.SmallInteger(), "-32768", -32768),
        (sa.BigInteger(), str(-(2**63)), -(2**63)),
        (sa.BigInteger().with_variant(sa.Integer(), "sqlite"), str(2**63 - 1), 2**63 - 1),
        (sa.Numeric(), "1e3", Decimal(1000)),
        (sa.Numeric(5, 2), "2.345", Decimal("2.345")),
        (sa.Numeric(5, 2), "1e300", Decimal("1e300")),
        (sa.Float(), "1.5e-3", 0.0015),
        (sa.Double(), "7", 7.0),
        *[(sa.Boolean(), word, True) for word in ("true", "True", "TRUE", "t", "1", "yes", "on", " y ")],
        *[(sa.Boolean(), word, False) for word in ("false", "False", "f", "0", "no", "off", "n")],
        (sa.Text(), "a,b.c\"'", "a,b.c\"'"),
        (sa.String(3), "abc", "abc"),
        (sa.String(3), "abc  ", "abc"),
        (sa.Uuid(), UUID_TEXT, UUID(UUID_TEXT)),
        (sa.Uuid(), "{" + UUID_TEXT.upper().replace("-", "") + "}", UUID(UUID_TEXT)),
        (sa.Uuid(as_uuid=False), UUID_TEXT, UUID_TEXT),
        (sa.Date(), "2026-02-28", date(2026, 2, 28)),
        (sa.Date(), "2026-02-28T10:00:00Z", date(2026, 2, 28)),
        (sa.Time(), "09:30", time(9, 30)),
        (sa.Time(), "09:30:01.25", time(9, 30, 1, 250000)),
        (sa.DateTime(), "2026-02-28", datetime(2026, 2, 28)),
        (sa.DateTime(), "2026-02-28 09:30:01+05:00", datetime(2026, 2, 28, 9, 30, 1)),
        (sa.DateTime(timezone=True), "2026-02-28T09:30:00+02", datetime(2026, 2, 28, 7, 30, tzinfo=UTC)),
        (sa.DateTime(timezone=True), "2026-02-28 09:30:00 -05:30", datetime(2026, 2, 28, 15, tzinfo=UTC)),
        (sa.DateTime(timezone=True), "2026-02-28t24:00z", datetime(2026, 3, 1, tzinfo=UTC)),
        (UtcDateTime(), "2026-02-28", datetime(2026, 2, 28, tzinfo=UTC)),
        (sa.LargeBinary(), "\\x00fF", b"\x00\xff"),
        (sa.LargeBinary(), "a\\\\b\\001", b"a\\b\x01"),
        (sa.JSON(), '{"a": [1, null]}', {"a": [1, None]}),
        (sa.Enum(Mood, name="mood"), "GLAD", "GLAD"),
        (sa.Enum("a", "b", name="letter"), "b", "b"),
        (TEXTS, '{a,"b,\\"c\\"", NULL ,"NULL",d\\,e}', ["a", 'b,"c"', None, "NULL", "d,e"]),
        (NUMBERS, "{{1,2},{3,4}}", [[1, 2], [3, 4]]),
        (NUMBERS, " { } ", []),
        (Shouting(), "abc", "abc"),
        (Reversed(), "abc", "cba"),
    ],
)
def test_a_literal_is_read_as_its_columns_type(dialect: str, type_: Any, text: str, expected: Any) -> None:
    value = wire_type(type_, dialect).parse(text)
    assert expected == value
    assert type(expected) is type(value)


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize(
    ("type_", "text", "code", "message"),
    [
        (sa.Integer(), "x", "22P02", 'invalid input syntax for type integer: "x"'),
        (sa.Integer(), "1.0", "22P02", 'invalid input syntax for type integer: "1.0"'),
        (sa.Integer(), "٣", "22P02", 'invalid input syntax for type integer: "٣"'),
        (sa.Integer(), "", "22P02", 'invalid input syntax for type integer: ""'),
        (sa.Integer(), "2147483648", "22003", 'value "2147483648" is out of range for type integer'),
        (sa.SmallInteger(), "32768", "22003", 'value "32768" is out of range for type smallint'),
        (sa.BigInteger(), str(2**63), "22003", f'value "{2**63}" is out of range for type bigint'),
        (sa.Integer(), "9" * 2000, "22003", f'value "{"9" * 2000}" is out of range for type integer'),
        (sa.Numeric(), "NaN", "22P02", 'invalid input syntax for type numeric: "NaN"'),
        (sa.Numeric(), "1e999999999", "22003", "value overflows numeric format"),
        (sa.Float(), "Infinity", "22P02", 'invalid input syntax for type double precision: "Infinity"'),
        (sa.Float(), "1e400", "22003", 'value "1e400" is out of range for type double precision'),
        (sa.Boolean(), "o", "22P02", 'invalid input syntax for type boolean: "o"'),
        (sa.Boolean(), "2", "22P02", 'invalid input syntax for type boolean: "2"'),
        (sa.Uuid(), "abc", "22P02", 'invalid input syntax for type uuid: "abc"'),
        (sa.Uuid(), "{" + UUID_TEXT, "22P02", 'invalid input syntax for type uuid: "{' + UUID_TEXT + '"'),
        (sa.Date(), "28.02.2026", "22007", 'invalid input syntax for type date: "28.02.2026"'),
        (sa.Date(), "2026-02-30", "22008", 'date/time field value out of range: "2026-02-30"'),
        (sa.Date(), "2026-02-03x", "22007", 'invalid input syntax for type date: "2026-02-03x"'),
        (sa.Time(), "25:00", "22008", 'date/time field value out of range: "25:00"'),
        (sa.Time(), "noon", "22007", 'invalid input syntax for type time: "noon"'),
        (sa.DateTime(), "now", "22007", 'invalid input syntax for type timestamp: "now"'),
        (sa.DateTime(timezone=True), "2026-01-01T10:00+16:00", "22009",
         'time zone displacement out of range: "2026-01-01T10:00+16:00"'),
        (sa.DateTime(), "9999-12-31 24:00", "22008", 'timestamp out of range: "9999-12-31 24:00"'),
        (sa.DateTime(), "12345-01-01", "22008", 'date/time field value out of range: "12345-01-01"'),
        (sa.LargeBinary(), "\\x0", "22023", "invalid hexadecimal data"),
        (sa.LargeBinary(), "a\\9", "22P02", 'invalid input syntax for type bytea: "a\\9"'),
        (sa.Enum(Mood, name="mood"), "1", "22P02", 'invalid input value for enum mood: "1"'),
        (sa.String(3), "abcd", "22001", "value too long for type character varying(3)"),
        (sa.CHAR(3), "abcd", "22001", "value too long for type character(3)"),
        (sa.Text(), "a\0b", "22P05", "unsupported Unicode escape sequence"),
        (sa.Integer(), "1\0", "22P05", "unsupported Unicode escape sequence"),
        (TEXTS, "a,b", "22P02", 'malformed array literal: "a,b"'),
        (TEXTS, "{a,b", "22P02", 'malformed array literal: "{a,b"'),
        (TEXTS, "{a}b", "22P02", 'malformed array literal: "{a}b"'),
        (TEXTS, '{"a"b}', "22P02", 'malformed array literal: "{"a"b}"'),
        (TEXTS, "{,}", "22P02", 'malformed array literal: "{,}"'),
        (TEXTS, "{" * 9 + "}" * 9, "22P02", f'malformed array literal: "{"{" * 9 + "}" * 9}"'),
        (NUMBERS, "{1,x}", "22P02", 'invalid input syntax for type integer: "x"'),
    ],
)  # fmt: skip
def test_a_wrong_literal_is_refused_in_postgresqls_words(
    dialect: str, type_: Any, text: str, code: str, message: str
) -> None:
    """DA-24, DA-25; SQLite would take them, or cut them, or overflow in the driver."""
    with pytest.raises(DataError) as caught:
        wire_type(type_, dialect).parse(text)
    assert (400, code, message) == (caught.value.status, caught.value.code, caught.value.message)


@pytest.mark.parametrize("dialect", BOTH)
def test_a_written_numeric_is_rounded_to_its_places_and_bounded(dialect: str) -> None:
    """What is only compared with is not: a price of 2.35 is not less than 2.345."""
    wire = wire_type(sa.Numeric(5, 2), dialect)
    assert (Decimal("2.35"), Decimal("-0.50")) == (wire.parse_json("2.345"), wire.parse_json("-.5"))
    for text in ("1000", "999.995", "1e300"):
        with pytest.raises(DataError) as caught:
            wire.parse_json(text)
        assert ("22003", "numeric field overflow") == (caught.value.code, caught.value.message)


@pytest.mark.parametrize("dialect", BOTH)
def test_a_wrong_document_is_refused(dialect: str) -> None:
    for text in ("{", '{"a": 1, "a": 2}', "NaN", '"\\ud800"'):
        with pytest.raises(DataError, match=r"22P02: invalid input syntax for type json"):
            wire_type(sa.JSON(), dialect).parse(text)
    with pytest.raises(DataError, match="22P05"):
        wire_type(sa.JSON(), dialect).parse('{"a\\u0000": 1}')


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        (sa.Integer(), 5, 5),
        (sa.Integer(), "5", 5),
        (sa.Text(), 5, "5"),
        (sa.Text(), True, "true"),
        (sa.Text(), Decimal("1.50"), "1.50"),
        (sa.Text(), {"a": Decimal("1.5")}, '{"a": 1.5}'),
        (sa.Boolean(), True, True),
        (sa.Boolean(), "no", False),
        (sa.Numeric(), Decimal("1.10"), Decimal("1.10")),
        (sa.Float(), 3, 3.0),
        (sa.Float(), 0.25, 0.25),
        (sa.JSON(), {"a": [Decimal("1.5")]}, {"a": [1.5]}),
        (sa.JSON(), "text", "text"),
        (TEXTS, ["a", None, 5], ["a", None, "5"]),
        (TEXTS, "{a}", ["a"]),
        (NUMBERS, [[1], ["2"]], [[1], [2]]),
    ],
)
def test_a_body_value_is_read_as_json_populate_record_reads_it(
    dialect: str, type_: Any, value: Any, expected: Any
) -> None:
    assert expected == wire_type(type_, dialect).parse_json(value)


@pytest.mark.parametrize(
    ("type_", "value", "code"),
    [(sa.Integer(), {"a": 1}, "22P02"), (sa.Integer(), True, "22P02"), (sa.Integer(), 1.5, "22P02"),
     (sa.Boolean(), 2, "22P02"), (sa.Uuid(), [], "22P02"), (sa.Date(), 5, "22007"), (TEXTS, {"a": 1}, "22P02"),
     (sa.JSON(), ["\0"], "22P05"), (sa.JSON(), {"\0": 1}, "22P05")],
)  # fmt: skip
def test_a_body_value_of_another_type_is_refused(type_: Any, value: Any, code: str) -> None:
    """contract data.md §4.14, row 1: no text in integer columns."""
    for dialect in BOTH:
        with pytest.raises(DataError) as caught:
            wire_type(type_, dialect).parse_json(value)
        assert code == caught.value.code


@pytest.mark.parametrize("type_", [sa.Numeric(10, 2), sa.Numeric(), sa.Float(), sa.Integer()])
def test_a_long_text_that_is_no_number_is_refused_at_once(type_: Any) -> None:
    """A pattern that tries every split of the digits takes hours for what fits into one body."""
    began = process_time()
    for read in (wire_type(type_, "sqlite").parse, wire_type(type_, "postgresql").parse_json):
        with pytest.raises(DataError, match="22P02"):
            read("1" * 200_000 + "x")
    assert process_time() - began < 1


def test_sqlite_refuses_a_number_that_it_would_change() -> None:
    """SQLite keeps a numeric as a double; silent rounding of money is no option, a filter may be rounded."""
    wire = wire_type(sa.Numeric(), "sqlite")
    assert Decimal("12345678901.25") == wire.parse_json(Decimal("12345678901.25"))
    exact = strict_json.parse("0.12345678901234567890123", exact=True)
    with pytest.raises(DataError, match=r"22003: value .* cannot be kept exactly"):
        wire.parse_json(exact)
    assert exact == wire.parse(str(exact))
    assert exact == wire_type(sa.Numeric(), "postgresql").parse_json(exact)
    with pytest.raises(DataError, match="22003"):
        wire.parse("1e400")


@pytest.mark.parametrize(
    "type_",
    [
        sa.PickleType(),
        sa.types.NullType(),
        SecretiveInSql(),
        sa.ARRAY(Secretive()),
        sa.ARRAY(sa.Uuid).with_variant(sa.JSON(), "sqlite"),
        sa.Time(timezone=True),
        postgresql.INET(),
    ],
)
def test_a_type_without_a_wire_form_is_refused_by_name_on_sqlite(type_: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"The type {type(type_).__name__}"):
        wire_type(type_, "sqlite")


def test_an_unknown_type_is_refused_on_postgresql_too() -> None:
    for type_ in (SecretiveInSql(), sa.PickleType(), sa.types.NullType(), sa.ARRAY(Secretive())):
        with pytest.raises(ConfigurationError, match="has no wire form on postgresql"):
            wire_type(type_, "postgresql")


class Money(UserDefinedType[str]):
    """A type that only PostgreSQL knows."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        return "money"


COLUMNS: dict[str, tuple[Any, str, Any]] = {
    "small": (sa.SmallInteger(), "7", 7),
    "big": (sa.BigInteger(), str(2**62), 2**62),
    "number": (sa.Numeric(20, 4), "12345.6789", 12345.6789),
    "double": (sa.Double(), "0.1", 0.1),
    "yes": (sa.Boolean(), "true", True),
    "no": (sa.Boolean(), "false", False),
    "text": (sa.Text(), 'ä"\\\n', 'ä"\\\n'),
    "short": (sa.String(5), "abc", "abc"),
    "fixed": (sa.CHAR(5), "abc", "abc  "),
    "uuid": (sa.Uuid(), UUID_TEXT.upper(), UUID_TEXT),
    "uuid_text": (sa.Uuid(as_uuid=False), UUID_TEXT, UUID_TEXT),
    "day": (sa.Date(), "2026-02-28", "2026-02-28"),
    "clock": (sa.Time(), "09:30:10.5", "09:30:10.5"),
    "clock_whole": (sa.Time(), "09:30:10", "09:30:10"),
    "local": (sa.DateTime(), "2026-02-28 09:30:10.120", "2026-02-28T09:30:10.12"),
    "local_whole": (sa.DateTime(), "2026-02-28 09:30", "2026-02-28T09:30:00"),
    "instant": (sa.DateTime(timezone=True), "2026-02-28 09:30:10+01", "2026-02-28T08:30:10+00:00"),
    "utc": (UtcDateTime(), "2026-02-28 09:30:10.000001Z", "2026-02-28T09:30:10.000001+00:00"),
    "bytes": (sa.LargeBinary(), "\\x00ff", "\\x00ff"),
    "doc": (sa.JSON(), '{"a":[1,"x",null,true]}', {"a": [1, "x", None, True]}),
    "jsonb": (sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), '"x"', "x"),
    "mutable": (MutableDict.as_mutable(sa.JSON()), '{"k":1}', {"k": 1}),
    "mood": (sa.Enum(Mood, name="mood"), "SAD", "SAD"),
    "texts": (TEXTS, '{a,"b c",NULL}', ["a", "b c", None]),
    "numbers": (NUMBERS, "{1,2}", [1, 2]),
    "plain": (Shouting(), "abc", "abc"),
}
ON_POSTGRESQL: dict[str, tuple[Any, str, Any]] = {
    "address": (postgresql.INET(), "10.0.0.1", "10.0.0.1"),
    "lasting": (sa.Interval(), "1 day", "1 day"),
    "money": (Money(), "$3.99", "$3.99"),
    "range": (postgresql.INT4RANGE(), "[1,5)", "[1,5)"),
}


def test_every_type_goes_in_and_comes_out_alike_on_both_databases(database: Database) -> None:
    """Read by `parse`, found again by equality, written by the database as JSON (contract data.md §4.14, row 12)."""
    dialect = database.dialect_name
    given = COLUMNS if dialect == "sqlite" else COLUMNS | ON_POSTGRESQL
    wires = {name: wire_type(type_, dialect) for name, (type_, _, _) in given.items()}
    columns = [sa.Column(name, type_) for name, (type_, _, _) in given.items()]
    table = sa.Table("each", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *columns)
    values = {name: wires[name].parse(text) for name, (_, text, _) in given.items()}
    binds = {name: sa.bindparam(None, value, type_=wires[name].bind_type) for name, value in values.items()}
    documents = {name for name, wire in wires.items() if wire.kind in (Kind.JSON, Kind.ARRAY)}
    same = sa.and_(*[table.c[name] == bind for name, bind in binds.items() if name not in documents])
    with database.writing() as connection:
        table.create(connection)
        connection.execute(sa.insert(table).values(binds))
        connection.execute(sa.insert(table).values({name: sa.null() for name in given}))
        sql = sql_of(dialect)
        pairs = [(sa.literal_column(f"'{name}'"), wires[name].json_sql(table.c[name])) for name in given]
        found = sa.select(sql.body(sql.json_array(sql.json_object(pairs)))).select_from(table)
        body = connection.execute(found.where(same)).scalar()
        nothing = connection.execute(found.where(table.c.text.is_(None))).scalar()
        texts = {name: wires[name].text_sql(table.c[name]).label(name) for name in given}
        row = connection.execute(sa.select(*texts.values()).where(same)).mappings().one()
    assert [{name: expected for name, (_, _, expected) in given.items()}] == json.loads(body)
    assert [dict.fromkeys(given)] == json.loads(nothing)
    expected_texts = {"yes": "true", "no": "false", "uuid": UUID_TEXT, "bytes": "\\x00ff", "day": "2026-02-28",
                      "local": "2026-02-28 09:30:10.12", "instant": "2026-02-28 08:30:10+00", "small": "7"}  # fmt: skip
    assert expected_texts == {name: row[name] for name in expected_texts}


def test_sqlite_reads_a_broken_document_as_text(sqlite_database: Database) -> None:
    """Another program may have written it: one bad row must not fail every read."""
    table = sa.Table("docs", sa.MetaData(), sa.Column("doc", sa.JSON))
    shown = wire_type(sa.JSON(), "sqlite").json_sql(table.c.doc)
    with sqlite_database.writing() as connection:
        table.create(connection)
        connection.exec_driver_sql("INSERT INTO docs VALUES ('{broken'), ('[1, 2]'), (NULL)")
        found = connection.execute(sa.select(sa.func.json_group_array(shown))).scalar()
    assert ["{broken", [1, 2], None] == json.loads(found)  # type: ignore[arg-type]
