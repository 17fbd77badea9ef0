"""Arrays on both databases, ranges and PostgreSQL's own types on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from tests.data.films import NOW

from portero.data.catalogue import build
from portero.data.dialects import SQLITE_FUNCTIONS
from portero.data.exposure import expose_table, exposure_of
from portero.data.nodes import HttpRequest
from portero.data.pipeline import DataApi
from portero.data.policy import allow_all
from portero.principal import NOBODY
from portero.settings import Settings
from portero.store import sessions
from portero.store.engine import Database
from portero.store.tables import OwnTable

both = sa.MetaData()
lists = sa.Table(
    "lists",
    both,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("tags", sa.ARRAY(sa.Text).with_variant(sa.JSON(none_as_null=True), "sqlite")),
    sa.Column("numbers", sa.ARRAY(sa.Integer).with_variant(sa.JSON(none_as_null=True), "sqlite")),
    sa.Column("raw", sa.LargeBinary),
)
papers = sa.Table(
    "papers",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("info", sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")),
    sa.Column("price", sa.Numeric(10, 2)),
)
PAPERS = [
    {"id": 1, "info": [1], "price": Decimal("12.50")},
    {"id": 2, "info": {"a": [1]}, "price": Decimal("-2.5")},
    {"id": 3, "info": 1, "price": None},
]
own = sa.MetaData()
spans = sa.Table(
    "spans",
    own,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("span", postgresql.INT4RANGE),
    sa.Column("price", postgresql.MONEY),
    sa.Column("place", postgresql.OID),
    sa.Column("words", postgresql.TSVECTOR),
    sa.Column("address", postgresql.INET),
)
for table in (lists, papers, spans):
    expose_table(table, select=allow_all)
ROWS = [
    {"id": 1, "tags": ["crime", "heist"], "numbers": [1, 2], "raw": b"\x01a"},
    {"id": 2, "tags": [], "numbers": [3], "raw": b"\xff"},
    {"id": 3, "tags": None, "numbers": None, "raw": None},
]


def opened(url: str, table: sa.Table, rows: list[dict[str, Any]]) -> Iterator[DataApi]:
    """Open a data API over one filled table."""
    database = Database.open(url, sqlite_functions=SQLITE_FUNCTIONS)
    with database.writing() as connection:
        OwnTable.metadata.create_all(connection)
        table.metadata.create_all(connection)
        connection.execute(table.insert(), rows)
    exposure = exposure_of(table)
    assert exposure is not None
    yield DataApi(build([exposure], database.dialect_name), database, Settings(), sessions.standing())
    with database.writing() as connection:
        table.metadata.drop_all(connection)
    database.close()


@pytest.fixture
def arrays(database_url: str) -> Iterator[DataApi]:
    """Arrays, once for each database."""
    yield from opened(database_url, lists, ROWS)


@pytest.fixture
def documents(database_url: str) -> Iterator[DataApi]:
    """Documents and numbers, once for each database."""
    yield from opened(database_url, papers, PAPERS)


@pytest.fixture
def ranges(empty_postgresql_url: str) -> Iterator[DataApi]:
    """Ranges and the like, on PostgreSQL."""
    rows = [
        {"id": 1, "span": "[1,5)", "price": "12.50", "place": 7, "words": "fat:1 rat:2", "address": "10.0.0.1"},
        {"id": 2, "span": "[10,20)", "price": "3", "place": 8, "words": None, "address": None},
    ]
    insert = [{**row, "span": row["span"]} for row in rows]
    yield from opened(empty_postgresql_url, spans, insert)


def ids(api: DataApi, table: str, query: str) -> list[int]:
    """Give the ids of the rows that a filter finds."""
    answer = api.answer(HttpRequest("GET", f"/{table}", f"select=id&order=id&{query}"), NOBODY, NOW)
    assert 200 == answer.status, answer.body
    return [row["id"] for row in json.loads(answer.body)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("tags=cs.{heist}", [1]),
        ("tags=cs.{}", [1, 2]),
        ("tags=cd.{crime,heist,x}", [1, 2]),
        ("tags=ov.{x,crime}", [1]),
        ("numbers=ov.{2,3}", [1, 2]),
        ("tags=eq.{crime,heist}", [1]),
        ("tags=eq.{}", [2]),
        ('tags=in.("{crime,heist}","{x}")', [1]),
        ('numbers=in.("{1,2}","{3}")', [1, 2]),
        ('numbers=eq(any).{"{3}","{4}"}', [2]),
        ("numbers=neq.{1,2}", [2]),
        ("numbers=isdistinct.{1,2}", [2, 3]),
        ("tags->>0=eq.crime", [1]),
        ("numbers->1=eq.2", [1]),
        ("tags=not.is.null", [1, 2]),
        (r"raw=eq.\x0161", [1]),
        (r"raw=in.(\xff,\x00)", [2]),
        (r"raw=gt.\x02", [2]),
    ],
)
def test_arrays_and_bytes_are_compared_alike_on_both_databases(
    arrays: DataApi, query: str, expected: list[int]
) -> None:
    """Literals of PostgreSQL."""
    assert expected == ids(arrays, "lists", query)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("info=in.([1],1)", [1, 3]),
        (r'info=in.("{\"a\":[1]}",[2])', [2]),
        ("info=eq(any).{[1],1}", [1, 3]),
        ("info=not.eq(any).{[1],[2]}", [2, 3]),
        ("info=eq(all).{[1]}", [1]),
        ("info=eq.1", [3]),
        ("info=neq.1", [1, 2]),
    ],
)
def test_documents_are_compared_whole_alone_and_in_lists(documents: DataApi, query: str, expected: list[int]) -> None:
    assert expected == ids(documents, "papers", query)


def test_a_numeric_is_cast_to_an_integer_with_halves_away_from_zero(documents: DataApi) -> None:
    answer = documents.answer(HttpRequest("GET", "/papers", "select=price::int&order=id"), NOBODY, NOW)
    assert [13, -3, None] == [row["price"] for row in json.loads(answer.body)]


def test_an_array_as_text_is_postgresqls_literal_on_both_databases(arrays: DataApi) -> None:
    answer = arrays.answer(HttpRequest("GET", "/lists", "select=tags::text,numbers::text&order=id"), NOBODY, NOW)
    assert [
        {"tags": "{crime,heist}", "numbers": "{1,2}"},
        {"tags": "{}", "numbers": "{3}"},
        {"tags": None, "numbers": None},
    ] == json.loads(answer.body)
    csv = arrays.answer(HttpRequest("GET", "/lists", "select=id,tags,numbers&order=id", "text/csv"), NOBODY, NOW)
    assert b'id,tags,numbers\n1,"{crime,heist}","{1,2}"\n2,{},{3}\n3,,' == csv.body


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("span=cs.[2,3]", [1]),
        ("span=cd.[0,50]", [1, 2]),
        ("span=ov.[4,12]", [1, 2]),
        ("span=sl.[6,7]", [1]),
        ("span=sr.[6,7]", [2]),
        ("span=nxr.[1,9]", [1]),
        ("span=nxl.[5,9]", [2]),
        ("span=adj.[5,9]", [1, 2]),
        ("span=eq.[1,4]", [1]),
        ("price=gt.5", [1]),
        ("place=in.(7,9)", [1]),
        ("words=plfts.fat rat", [1]),
        ("words=not.fts(simple).cat", [1]),
        ("address=eq.10.0.0.1", [1]),
        ('or=(span.sr."[6,7]",place.eq.7)', [1, 2]),
    ],
)
def test_types_of_postgresql_are_compared_as_it_does(ranges: DataApi, query: str, expected: list[int]) -> None:
    """Ranges by their place, money, object ids, search vectors, addresses."""
    assert expected == ids(ranges, "spans", query)


@pytest.mark.parametrize(
    ("query", "code"), [("span=cs.x", "22P02"), ("price=sl.1", "42883"), ("address=eq.x", "22P02")]
)
def test_what_postgresql_refuses_is_a_refusal_of_the_request(ranges: DataApi, query: str, code: str) -> None:
    """Never a fault."""
    answer = ranges.answer(HttpRequest("GET", "/spans", query), NOBODY, NOW)
    assert code == json.loads(answer.body)["code"]
