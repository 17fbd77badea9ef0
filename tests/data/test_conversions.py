"""Types that convert in Python answer as the types whose JSON the database writes; equal on every type."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.data.films import NOW, headers_of

from portero.data.catalogue import build
from portero.data.dialects import SQLITE_FUNCTIONS
from portero.data.exposure import expose_table, exposure_of
from portero.data.intervals import interval_text, read_interval
from portero.data.nodes import DataAnswer, HttpRequest
from portero.data.pipeline import DataApi
from portero.data.policy import allow_all
from portero.errors import DataError
from portero.principal import NOBODY
from portero.settings import Settings
from portero.store import sessions
from portero.store.engine import Database
from portero.store.tables import OwnTable


class Colour(enum.Enum):
    """Kept by name."""

    RED = 1
    BLUE = 2


TYPES: dict[str, tuple[Any, Any]] = {
    "text": (sa.Text(), 'é, "x"\n'),
    "limited": (sa.String(9), "abc"),
    "number": (sa.Integer(), -7),
    "big": (sa.BigInteger(), 2**62),
    "double": (sa.Double(), 1.5),
    "numeric": (sa.Numeric(20, 2), Decimal("12345678901.25")),
    "truth": (sa.Boolean(), True),
    "day": (sa.Date(), date(2026, 2, 3)),
    "clock": (sa.Time(), time(4, 5, 6, 500000)),
    "local": (sa.DateTime(), datetime(2026, 2, 3, 4, 5, 6, 120000)),
    "instant": (sa.DateTime(timezone=True), datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)),
    "id": (sa.Uuid(), UUID(int=0xABC)),
    "bytes": (sa.LargeBinary(), b"\x00\xffx"),
    "json": (sa.JSON(none_as_null=True), {"a": [1, 2.5, None, "é"]}),
    "colour": (sa.Enum(Colour, name="colour"), Colour.BLUE),
}


def passing(type_: Any) -> Any:
    """Make a decorator that converts nothing, but in Python."""

    class Passing(sa.TypeDecorator[Any]):
        impl = type_
        cache_ok = True

        def process_bind_param(self, value: Any, dialect: Any) -> Any:
            return value

        def process_result_value(self, value: Any, dialect: Any) -> Any:
            return value

    return Passing()


class Reversed(sa.TypeDecorator[str]):
    """A text kept backwards, as bytes: what is stored must never be shown."""

    impl = sa.LargeBinary
    cache_ok = True
    python_type = str

    def process_bind_param(self, value: str | None, dialect: Any) -> bytes | None:
        """Refuse digits, too."""
        if value is not None and value.isdigit():
            raise ValueError(value)
        return None if value is None else value[::-1].encode()

    def process_result_value(self, value: bytes | None, dialect: Any) -> str | None:
        """Turn it round."""
        return None if value is None else value.decode()[::-1]


metadata = sa.MetaData()
plain = sa.Table(
    "plain", metadata, sa.Column("at", sa.Integer, primary_key=True), *(sa.Column(n, t) for n, (t, _) in TYPES.items())
)
through = sa.Table(
    "through",
    metadata,
    sa.Column("at", sa.Integer, primary_key=True),
    *(sa.Column(name, passing(type_)) for name, (type_, _) in TYPES.items() if name != "colour"),
)
secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("at", sa.Integer, primary_key=True),
    sa.Column("word", Reversed),
    sa.Column("span", sa.Interval),
    sa.Column("of", sa.ForeignKey("secrets.at")),
    sa.Column("exact", sa.Numeric(20, 2)),
)
for table in (plain, through, secrets):
    expose_table(table, select=allow_all, insert=allow_all, update=allow_all)


@contextmanager
def opened(url: str) -> Iterator[DataApi]:
    """Open a database with the three tables."""
    database = Database.open(url, sqlite_functions=SQLITE_FUNCTIONS)
    values = {name: value for name, (_, value) in TYPES.items()}
    with database.writing() as connection:
        OwnTable.metadata.create_all(connection)
        metadata.create_all(connection)
        connection.execute(plain.insert(), [{"at": 1, **values}])
        connection.execute(plain.insert(), [{"at": 2}])
        del values["colour"]
        connection.execute(through.insert(), [{"at": 1, **values}])
        connection.execute(through.insert(), [{"at": 2}])
        rows = [
            {"at": 1, "word": "open", "span": timedelta(days=1, hours=2), "of": None, "exact": Decimal("1.50")},
            {"at": 2, "word": None, "span": timedelta(seconds=90), "of": 1, "exact": Decimal("99999999999.99")},
        ]
        connection.execute(secrets.insert(), rows)
    exposures = [exposure for table in (plain, through, secrets) if (exposure := exposure_of(table))]
    try:
        yield DataApi(build(exposures, database.dialect_name), database, Settings(), sessions.standing())
    finally:
        with database.writing() as connection:
            metadata.drop_all(connection)
        database.close()


@pytest.fixture
def api(database_url: str) -> Iterator[DataApi]:
    """The data API over the three tables, once for each database."""
    with opened(database_url) as found:
        yield found


def ask(api: DataApi, target: str, method: str = "GET", **more: Any) -> DataAnswer:
    """Send one request."""
    path, _, query = target.partition("?")
    return api.answer(HttpRequest(method, path, query, **more), NOBODY, NOW)


def rows(api: DataApi, target: str) -> Any:
    """Send a GET that must succeed, and give its body with numbers digit for digit."""
    answer = ask(api, target)
    assert 200 == answer.status, answer.body
    return json.loads(answer.body, parse_float=str)


def test_every_type_comes_out_alike_on_both_paths(api: DataApi) -> None:
    """By JSON in SQL and through Python: the same members and the same digits."""
    for name in TYPES:
        if name != "colour":
            select = f"?select=at,{name}&order=at"
            assert rows(api, "/plain" + select) == rows(api, "/through" + select), name
    assert [{"colour": "BLUE"}, {"colour": None}] == rows(api, "/plain?select=colour&order=at")


def test_every_type_is_found_by_its_literal_on_both_paths(api: DataApi) -> None:
    """What an answer shows is what a filter takes."""
    shown = rows(api, "/plain?at=eq.1")[0]
    for name in TYPES:
        if name in ("json", "colour", "text"):
            continue
        value = str(shown[name]).lower() if name == "truth" else str(shown[name])
        for table in ("plain", "through"):
            target = f"/{table}?{name}=eq.{value.replace('+', '%2B')}&select=at"
            assert [{"at": 1}] == rows(api, target), (table, name)
            listed = target.replace("=eq.", "=in.(").replace("&select", ")&select")
            assert [{"at": 1}] == rows(api, listed), (table, name)


def test_a_converted_column_is_shown_converted_wherever_it_stands(api: DataApi) -> None:
    """At the top, under an alias, in embeds and in spreads; numbers beside it keep their digits."""
    exact = ["1.50", "99999999999.99"]
    assert [{"word": "open", "exact": exact[0]}, {"word": None, "exact": exact[1]}] == rows(
        api, "/secrets?select=word,exact&order=at"
    ) or api.database.dialect_name == "sqlite"
    assert [{"w": "open"}] == rows(api, "/secrets?select=w:word&at=eq.1")
    assert [{"parent": {"word": "open"}}] == rows(api, "/secrets?select=parent:of(word)&at=eq.2")
    assert [{"children": [{"word": None}]}] == rows(api, "/secrets?select=children:secrets!of(word)&at=eq.1")
    assert [{"theirs": "open"}] == rows(api, "/secrets?select=...of(theirs:word)&at=eq.2")
    assert "word\nopen" == ask(api, "/secrets?select=word&at=eq.1", accept="text/csv").body.decode()


def test_a_converted_column_is_filtered_by_what_it_shows(api: DataApi) -> None:
    """The stored form is nobody's business: no casts, no patterns, no aggregates of it."""
    assert [{"at": 1}] == rows(api, "/secrets?word=eq.open&select=at")
    assert [{"at": 1}] == rows(api, "/secrets?word=in.(open,shut)&select=at")
    assert [{"at": 2}] == rows(api, "/secrets?word=is.null&select=at")
    for target, code in (
        ("?word=eq.12", "22P02"),
        ("?word=like.o*", "42883"),
        ("?select=word::text", "PGRST127"),
        ("?word->x=eq.1", "42883"),
    ):
        assert code == json.loads(ask(api, "/secrets" + target).body)["code"]


def test_a_converted_value_is_written_and_read_back(api: DataApi) -> None:
    """The representation of a write passes the same way."""
    answer = ask(
        api,
        "/secrets?select=word,span",
        "POST",
        prefer="return=representation",
        body=b'{"at":3,"word":"new","span":"90 minutes"}',
    )
    assert (201, b'[{"word":"new","span":"01:30:00"}]') == (
        answer.status,
        answer.body.replace(b" :", b":").replace(b": ", b":"),
    )
    assert "application/json; charset=utf-8" == headers_of(answer)["Content-Type"]


@pytest.mark.parametrize("table", ["plain", "through", "secrets"])
def test_an_inserted_row_is_shown_as_a_read_shows_it_whatever_its_types(api: DataApi, table: str) -> None:
    [one, *_] = json.loads(ask(api, f"/{table}?at=eq.1").body)
    [none, *_] = json.loads(ask(api, f"/{table}?at=eq.2").body)
    for at, row in ((8, one), (9, none)):
        body = json.dumps({**row, "at": at}).encode()
        answer = ask(api, f"/{table}", "POST", prefer="return=representation", body=body)
        assert (201, ask(api, f"/{table}?at=eq.{at}").body) == (answer.status, answer.body)


def test_intervals_are_written_as_postgresql_writes_them(api: DataApi) -> None:
    """On SQLite they are kept as instants."""
    assert [{"span": "1 day 02:00:00"}, {"span": "00:01:30"}] == rows(api, "/secrets?select=span&order=at")
    assert [{"at": 2}] == rows(api, "/secrets?span=eq.00:01:30&select=at")
    assert [{"at": 1}] == rows(api, "/secrets?span=gt.2 hours&select=at")


@pytest.mark.parametrize("text", ["", "x", "1 month", "1:2:3:4", "P", "PT"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    """A month has no length."""
    with pytest.raises(DataError) as caught:
        read_interval(text)
    assert "22007" == caught.value.code


def test_an_interval_reads_back_as_it_was_written() -> None:
    """Days, clocks, fractions, negative ones."""
    for value in (timedelta(0), timedelta(days=-2, seconds=5), timedelta(seconds=1.25), timedelta(days=400)):
        assert value == read_interval(interval_text(value))
    assert timedelta(days=8, hours=-1) == read_interval("1 week 1 day -01:00")
    with pytest.raises(DataError):
        read_interval("999999999 weeks")
