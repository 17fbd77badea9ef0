"""Reads the conformance pack's `fixture.json` into tables, rows and a refill that puts every table back.

It is what a developer would have written by hand for these tables, made from the description; it knows nothing of
Portero and never guesses: a type it does not know is an error. Obeys the README of the pack, "The fixture".
"""

from __future__ import annotations

import datetime
import decimal
import json
import pathlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint, CreateTable

Description = Mapping[str, Any]

PORTABLE_TYPES: dict[str, Callable[[Description], sa.types.TypeEngine[Any]]] = {
    "integer": lambda column: sa.Integer(),
    "bigint": lambda column: sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
    "smallint": lambda column: sa.SmallInteger(),
    "text": lambda column: sa.Text(),
    "varchar": lambda column: sa.String(column.get("length")),
    "char": lambda column: sa.CHAR(column.get("length")),
    "boolean": lambda column: sa.Boolean(),
    "numeric": lambda column: sa.Numeric(),
    "double": lambda column: sa.Double(),
    "date": lambda column: sa.Date(),
    "time": lambda column: sa.Time(),
    "timestamp": lambda column: sa.DateTime(),
    "timestamptz": lambda column: sa.DateTime(timezone=True),
    "uuid": lambda column: sa.Uuid(),
    "json": lambda column: sa.JSON(none_as_null=True),
    "jsonb": lambda column: sa.JSON(none_as_null=True),
    "array": lambda column: sa.ARRAY(PORTABLE_TYPES[column["items"]](column)).with_variant(
        sa.JSON(none_as_null=True), "sqlite"
    ),
}

POSTGRESQL_TYPES: dict[str, Callable[[Description], sa.types.TypeEngine[Any]]] = {
    "json": lambda column: postgresql.JSON(none_as_null=True),
    "jsonb": lambda column: postgresql.JSONB(none_as_null=True),
    "array": lambda column: postgresql.ARRAY(PORTABLE_TYPES[column["items"]](column)),
}

#: Types that only PostgreSQL has, by the name PostgreSQL gives them.
POSTGRESQL_ONLY: dict[str, Callable[[], sa.types.TypeEngine[Any]]] = {
    "tsvector": postgresql.TSVECTOR,
    "money": postgresql.MONEY,
    "bit(5)": lambda: postgresql.BIT(5),
    "bit(5)[]": lambda: postgresql.ARRAY(postgresql.BIT(5)),
    "character(5)[]": lambda: postgresql.ARRAY(sa.CHAR(5)),
    "bytea": sa.LargeBinary,
    "oid": postgresql.OID,
    "oid[]": lambda: postgresql.ARRAY(postgresql.OID()),
    "numrange": postgresql.NUMRANGE,
}

READERS: dict[str, Callable[[Any], Any]] = {
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timestamp": datetime.datetime.fromisoformat,
    "timestamptz": datetime.datetime.fromisoformat,
    "uuid": uuid.UUID,
    "numeric": lambda value: decimal.Decimal(str(value)),
}


def read(path: pathlib.Path, dialect: str) -> list[Description]:
    """Give the descriptions of the tables this database can have."""
    described: list[Description] = json.loads(path.read_text(encoding="utf-8"))["tables"]
    return [table for table in described if dialect == "postgresql" or table["tier"] == "portable"]


def compact(value: Any) -> str:
    """Write JSON without blanks: PostgreSQL's `json` keeps the text, and some answers show it.

    >>> compact({"a": [1, "é"]})
    '{"a":[1,"é"]}'
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def quote(name: str) -> str:
    """Quote a name of the fixture (names hold blanks, semicolons, dollars) for both databases.

    >>> quote('say "hi"')
    '"say ""hi\"""'
    """
    return '"' + name.replace('"', '""') + '"'


def build(described: Sequence[Description], metadata: sa.MetaData, dialect: str) -> list[sa.Table]:
    """Make one table for each description, in the order of the fixture."""
    return [_table(table, metadata, dialect) for table in described]


def _table(described: Description, metadata: sa.MetaData, dialect: str) -> sa.Table:
    parts: list[sa.schema.SchemaItem] = [_column(column, dialect) for column in described["columns"]]
    if described["primary_key"]:
        parts.append(sa.PrimaryKeyConstraint(*described["primary_key"], name=described["primary_key_name"]))
    parts += [sa.UniqueConstraint(*unique["columns"], name=unique["name"]) for unique in described["unique"]]
    parts += [_foreign_key(key) for key in described["foreign_keys"]]
    return sa.Table(described["name"], metadata, *parts)


def _foreign_key(described: Description) -> sa.ForeignKeyConstraint:
    rules = {rule: described[rule] for rule in ("on_update", "on_delete") if described[rule] != "NO ACTION"}
    return sa.ForeignKeyConstraint(
        described["columns"],
        [f"{described['ref_table']}.{column}" for column in described["ref_columns"]],
        name=described["name"],
        onupdate=rules.get("on_update"),
        ondelete=rules.get("on_delete"),
    )


def _column(described: Description, dialect: str) -> sa.Column[Any]:
    default = described.get("default") or {}
    extra: list[sa.schema.SchemaItem] = []
    if described.get("generated"):
        extra.append(sa.Computed(described["generated"], persisted=True))
    if "identity" in default:
        extra.append(sa.Identity(always=default["identity"] == "always"))
    return sa.Column(
        described["name"],
        _type(described, dialect),
        *extra,
        nullable=described["nullable"],
        autoincrement="sequence" in default or "identity" in default,
        server_default=_server_default(default),
    )


def _type(described: Description, dialect: str) -> sa.types.TypeEngine[Any]:
    if dialect == "postgresql" and described.get("pg_only"):
        return POSTGRESQL_ONLY[described["pg_type"]]()
    if dialect == "postgresql" and described["pg_type"] == "real":
        return sa.REAL()
    if dialect == "postgresql" and described["type"] in POSTGRESQL_TYPES:
        return POSTGRESQL_TYPES[described["type"]](described)
    return PORTABLE_TYPES[described["type"]](described)


def _server_default(default: Description) -> Any:
    if "now" in default:
        return sa.func.now()
    if "literal" not in default:
        return None
    literal = default["literal"]
    if isinstance(literal, (dict, list)):
        return sa.text("'" + compact(literal).replace("'", "''").replace(":", r"\:") + "'")
    return str(literal)


def load(engine: sa.Engine, described: Sequence[Description], tables: Sequence[sa.Table]) -> None:
    """Create the tables and insert every row in the order of the fixture."""
    on_postgresql = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        for table in tables:
            # `departments` and `agents` refer to each other: PostgreSQL gets its foreign keys after the rows.
            connection.execute(CreateTable(table, include_foreign_key_constraints=[] if on_postgresql else None))
        for description, table in zip(described, tables, strict=True):
            _insert_rows(connection, description, table)
        if on_postgresql:
            for table in tables:
                _finish_on_postgresql(connection, table)
            # As PostgREST's own fixtures do: planned counts are what the planner knows of the rows.
            connection.exec_driver_sql("ANALYZE")


def _insert_rows(connection: sa.Connection, described: Description, table: sa.Table) -> None:
    if connection.dialect.name == "postgresql":
        _generate(connection, table, "BY DEFAULT")
    stored = [(at, column) for at, column in enumerate(described["columns"]) if not column.get("generated")]
    for row in described["rows"]:  # one at a time: the order of the rows is the order of the file
        connection.execute(table.insert().values({c["name"]: _value(c, row[at], table) for at, c in stored}))


def _finish_on_postgresql(connection: sa.Connection, table: sa.Table) -> None:
    _generate(connection, table, "ALWAYS")
    for key in table.foreign_key_constraints:
        connection.execute(AddConstraint(key))


def _generate(connection: sa.Connection, table: sa.Table, when: str) -> None:
    """Let ids that are always generated be given while the rows of the fixture go in."""
    for column in table.columns:
        if column.identity is not None and column.identity.always:
            connection.exec_driver_sql(
                f"ALTER TABLE {quote(table.name)} ALTER COLUMN {quote(column.name)} SET GENERATED {when}"
            )


def _value(described: Description, value: Any, table: sa.Table) -> Any:
    kind = table.c[described["name"]].type
    if described.get("pg_only") and not isinstance(kind, sa.Text):
        return sa.cast(sa.literal(value, sa.Text()), kind)
    reader = READERS.get(described["type"])
    return value if reader is None or value is None else reader(value)
