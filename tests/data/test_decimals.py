"""`portero.Decimal`: exact decimals, the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import decimal
import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from tests.data.films import NOW

from portero import Decimal
from portero.data.catalogue import build
from portero.data.decimals import compared
from portero.data.dialects import SQLITE_FUNCTIONS
from portero.data.exposure import expose, exposure_of
from portero.data.nodes import DataAnswer, HttpRequest
from portero.data.pipeline import DataApi
from portero.data.policy import allow_all
from portero.errors import ConfigurationError, DataError
from portero.principal import NOBODY
from portero.settings import Settings
from portero.store import sessions
from portero.store.engine import Database
from portero.store.tables import OwnTable

D = decimal.Decimal
SHOW = "return=representation"


class Base(DeclarativeBase):
    """One model."""


@expose(
    select=lambda row: (row.price < D("900000000000000.00")) | row.price.is_(None),
    insert=allow_all,
    update=allow_all,
    delete=allow_all,
    aggregates=True,
)
class Bill(Base):
    """A bill; very large ones are nobody's to see."""

    __tablename__ = "bills"

    id: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[D | None] = mapped_column(Decimal(18, 2), index=True, default=D("9.90"))
    rate: Mapped[D | None] = mapped_column(Decimal(6, 4))
    count: Mapped[D | None] = mapped_column(Decimal(9, 0))


PRICES = ["0.10", "0.20", "-0.05", "12.50", "123456789012345.67", None]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataApi]:
    """Six bills, once on each database; what is written is undone."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('bills') / 'bills.db'}"
    else:
        url = request.getfixturevalue("postgresql_url")
    database = Database.open(url, sqlite_functions=SQLITE_FUNCTIONS)
    with database.writing() as connection:
        Base.metadata.drop_all(connection)
        OwnTable.metadata.create_all(connection)
        Base.metadata.create_all(connection)
        with Session(connection) as session:
            session.add_all(
                Bill(price=D(price) if price else sa.null(), rate=D("1.23455"), count=D(place))
                for place, price in enumerate(PRICES, 1)
            )
            session.commit()
    exposure = exposure_of(Bill)
    assert exposure is not None
    yield DataApi(
        build([exposure], database.dialect_name), database, Settings(transaction_end="rollback"), sessions.standing()
    )
    with database.writing() as connection:
        Base.metadata.drop_all(connection)
    database.close()


def ask(api: DataApi, query: str, method: str = "GET", body: bytes = b"", accept: str = "") -> DataAnswer:
    """Send a request; a write is shown."""
    prefer = "" if method == "GET" else SHOW
    return api.answer(HttpRequest(method, "/bills", query, accept, prefer, body=body), NOBODY, NOW)


def ids(api: DataApi, query: str) -> list[int]:
    """The ids that a filter finds."""
    answer = ask(api, f"select=id&order=id&{query}")
    assert 200 == answer.status, answer.body
    return [row["id"] for row in json.loads(answer.body)]


def text(api: DataApi, query: str) -> str:
    """The body of a read, letter for letter but for blanks."""
    return ask(api, query).body.decode().replace(" ", "").replace("\n", "")


def test_decimals_go_out_digit_for_digit_with_all_their_places(api: DataApi) -> None:
    assert (
        '[{"price":0.10},{"price":0.20},{"price":-0.05},{"price":12.50},{"price":123456789012345.67},{"price":null}]'
    ) == text(api, "select=price&order=id")
    assert '[{"rate":1.2346,"count":1}]' == text(api, "select=rate,count&id=eq.1")
    csv = ask(api, "select=id,price&id=in.(3,6)&order=id", accept="text/csv")
    assert b"id,price\n3,-0.05\n6," == csv.body


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("price=eq.0.1", [1]),
        ("price=eq.0.10000", [1]),
        ("price=eq.0.101", []),
        ("price=neq.0.101", [1, 2, 3, 4, 5]),
        ("price=gt.0.104", [2, 4, 5]),
        ("price=gte.0.1", [1, 2, 4, 5]),
        ("price=lt.0.1001", [1, 3]),
        ("price=lt.-0.049", [3]),
        ("price=gt.1e30", []),
        ("price=lt.1e30", [1, 2, 3, 4, 5]),
        ("price=gt.-1e30", [1, 2, 3, 4, 5]),
        ("price=in.(0.2,12.5,7)", [2, 4]),
        ("price=not.in.(0.2,12.505,1e40)", [1, 3, 4, 5]),
        ("price=eq(any).{0.1,0.2}", [1, 2]),
        ("price=isdistinct.0.1", [2, 3, 4, 5, 6]),
        ("price=is.null", [6]),
        ("price=eq.123456789012345.67", [5]),
        ("count=eq.3", [3]),
        ("or=(price.eq.12.5,rate.gt.2)", [4]),
    ],
)
def test_decimals_compare_exactly(api: DataApi, query: str, expected: list[int]) -> None:
    assert expected == ids(api, query)


def test_decimals_order_as_numbers(api: DataApi) -> None:
    assert [3, 1, 2, 4, 5, 6] == [row["id"] for row in json.loads(ask(api, "select=id&order=price").body)]


def test_sums_are_exact(api: DataApi) -> None:
    read = "select=price.sum(),price.min(),price.max(),price.count()"
    assert '[{"sum":123456789012358.42,"min":-0.05,"max":123456789012345.67,"count":5}]' == text(api, read)
    assert '[{"sum":"0.30"}]' == text(api, "select=price.sum()::text&id=lt.3")
    assert 0.15 == json.loads(ask(api, "select=price.avg()&id=lt.3").body)[0]["avg"]
    assert [{"price": -0.05, "count": 1}] == json.loads(ask(api, "select=price,count()&id=eq.3").body)


def test_casts_round_as_postgresql_does(api: DataApi) -> None:
    read = "select=t:price::text,i:price::int,n:price::numeric&order=id&id=in.(3,4)"
    assert '[{"t":"-0.05","i":0,"n":-0.05},{"t":"12.50","i":13,"n":12.50}]' == text(api, read)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"1.005", "1.01"),
        (b"-1.005", "-1.01"),
        (b'"7"', "7.00"),
        (b"9999999999999999.99", None),
        (b"0.1", "0.10"),
        (b"1e2", "100.00"),
    ],
)
def test_what_is_written_is_kept_exactly(api: DataApi, sent: bytes, kept: str | None) -> None:
    answer = ask(api, "select=price", "POST", b'{"price":' + sent + b"}")
    if kept is None:  # the policy hides it
        assert 401 == answer.status
    else:
        assert '[{"price":' + kept + "}]" == answer.body.decode().replace(" ", "")


@pytest.mark.parametrize(
    ("sent", "code"), [(b"1e17", "22003"), (b'"x"', "22P02"), (b"true", "22P02"), (b"99999999999999999.995", "22003")]
)
def test_what_does_not_fit_is_refused(api: DataApi, sent: bytes, code: str) -> None:
    answer = ask(api, "select=price", "POST", b'{"price":' + sent + b"}")
    assert (400, code) == (answer.status, json.loads(answer.body)["code"])


def test_the_orm_reads_writes_and_compares_decimals(api: DataApi) -> None:
    with api.database.reading() as connection, Session(connection) as session:
        assert D("12.50") == session.scalar(sa.select(Bill.price).where(Bill.id == 4))
        assert [3] == list(session.scalars(sa.select(Bill.id).where(Bill.price < D("0.0001"))))
        assert [] == list(session.scalars(sa.select(Bill.id).where(Bill.price == D("0.101"))))
        assert D("0.30") == session.scalar(sa.select(sa.func.sum(Bill.price)).where(Bill.id < 3))
        assert [1, 2] == list(session.scalars(sa.select(Bill.id).where(Bill.price.in_([D("0.1"), D("0.2")]))))


def test_more_digits_than_fit_are_refused_when_the_model_is_made() -> None:
    for arguments in ((19, 2), (4, 5), (0, 0), (5, -1)):
        with pytest.raises(ConfigurationError, match="at most 18 digits"):
            Decimal(*arguments)


def test_a_default_of_the_database_would_be_in_other_units_and_is_refused_on_sqlite() -> None:
    class Other(DeclarativeBase):
        """One more model."""

    @expose(select=allow_all)
    class Thing(Other):
        """With a default in the database."""

        __tablename__ = "things"
        id: Mapped[int] = mapped_column(primary_key=True)
        price: Mapped[D] = mapped_column(Decimal(5, 2), server_default="1.50")

    with pytest.raises(ConfigurationError, match="Give default="):
        build([exposure for exposure in [exposure_of(Thing)] if exposure], "sqlite")


def test_arrays_of_decimals_have_no_form_on_sqlite() -> None:
    from portero.data.wire_types import wire_type

    with pytest.raises(ConfigurationError):
        wire_type(sa.ARRAY(Decimal(5, 2)).with_variant(sa.JSON(), "sqlite"), "sqlite")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=5), st.integers(-(10**12), 10**12))
def test_a_number_of_more_places_lies_where_it_lay_among_the_kept_ones(value: D, units: int) -> None:
    """Never beyond the whole numbers around it: an order of doubles would move it."""
    try:
        scaled: Any = compared(value, 2)
    except DataError:
        assert abs(value) > 10**13
        return
    kept = D(units).scaleb(-2)
    assert (value < kept, value == kept) == (scaled < units, scaled == units)
