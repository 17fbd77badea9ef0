"""What a caller may not see changes nothing: the same database with and without hidden rows answers identically.

Two libraries hold the same rows that a stranger may see; one holds hidden films, secret roles, a ledger and other
values of a hidden column besides. Reads are generated; status, headers (counts among them), bodies, errors and hints
must be equal. Not so by nature, and documented: planned counts, conflicts of keys, ids that the database gives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.data.films import (
    ANNA,
    BEN,
    ROWS,
    Actor,
    Base,
    Director,
    Film,
    Ledger,
    Library,
    Poster,
    Role,
    catalogue,
    user,
)

from portero.data.dialects import SQLITE_FUNCTIONS
from portero.data.pipeline import DataApi
from portero.principal import NOBODY
from portero.settings import Settings
from portero.store import sessions
from portero.store.engine import Database
from portero.store.tables import OwnTable

SEEN: Mapping[Any, list[dict[str, Any]]] = {
    Director: ROWS[Director],
    Film: [row for row in ROWS[Film] if row.get("is_public", True)],
    Poster: [{"film_id": 1, "url": "heat.png"}],
    Actor: ROWS[Actor],
    Role: [row for row in ROWS[Role] if row["name"] != "secret"],
}
HIDDEN: Mapping[Any, list[dict[str, Any]]] = {
    Film: [
        {
            "id": -1,
            "title": "",
            "is_public": False,
            "owner_id": BEN,
            "director_id": 3,
            "year": 1,
            "info": {"cost": "x"},
        },
        {"id": 6, "title": "Heat", "is_public": False, "owner_id": BEN, "director_id": 1, "year": 1995, "info": [1]},
        {"id": 7, "title": "Zzz", "is_public": False, "owner_id": BEN, "seen": True, "info": "text", "year": 9999},
    ],
    Role: [
        {"film_id": 1, "actor_id": 3, "name": "secret"},
        {"film_id": 6, "actor_id": 1, "name": "secret"},
        {"film_id": 3, "actor_id": 2, "name": "secret"},
    ],
    Ledger: [{"id": 1}],
}


@contextmanager
def filled(url: str, rows: list[tuple[Any, dict[str, Any]]]) -> Iterator[Library]:
    """Open a library with these rows."""
    database = Database.open(url, sqlite_functions=SQLITE_FUNCTIONS)
    try:
        with database.writing() as connection:
            OwnTable.metadata.create_all(connection)
            Base.metadata.create_all(connection)
            for model, row in rows:
                connection.execute(sa.insert(model), row)
        chosen = Settings(aggregates=True)
        yield Library(DataApi(catalogue(database.dialect_name), database, chosen, sessions.standing()), database)
    finally:
        database.close()


def rows_of(*, with_hidden: bool) -> list[tuple[Any, dict[str, Any]]]:
    """Give the rows in the order of their insertion: hidden ones lie before, between and after."""
    found = []
    for model, rows in SEEN.items():
        hidden = list(HIDDEN.get(model, [])) if with_hidden else []
        for row in rows:
            if hidden:
                found.append((model, hidden.pop(0)))
            kept = {**row, "budget": 1 + row["id"]} if model is Film and with_hidden else row
            found.append((model, kept))
        found += [(model, row) for row in hidden]
    return found + ([(Ledger, row) for row in HIDDEN[Ledger]] if with_hidden else [])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def libraries(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Library, Library]]:
    """One library without hidden rows and one with them."""
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("libraries")
        urls = [f"sqlite:///{folder / name}.db" for name in ("bare", "full")]
    else:
        server = sa.make_url(request.getfixturevalue("postgresql_url"))
        urls = []
        with psycopg.connect(_plain(server), autocommit=True) as connection:
            for name in ("noninterference_bare", "noninterference_full"):
                connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
                connection.execute(f"CREATE DATABASE {name}".encode())
                urls.append(server.set(database=name).render_as_string(hide_password=False))
    with ExitStack() as stack:
        bare, full = (stack.enter_context(filled(url, rows_of(with_hidden=at == 1))) for at, url in enumerate(urls))
        yield bare, full


def _plain(url: sa.URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


MEMBERS = {
    "films": ["id", "title", "year", "seen", "info", "shot_at", "owner_id", "is_public", "director_id"],
    "directors": ["id", "name"],
    "posters": ["film_id", "url"],
    "actors": ["id", "name"],
    "roles": ["film_id", "actor_id", "name"],
}
EMBEDS = {
    "films": ["directors", "posters", "actors", "roles"],
    "directors": ["films"],
    "posters": ["films"],
    "actors": ["films", "roles"],
    "roles": ["films", "actors"],
}
KEYS = {"posters": "film_id", "roles": "film_id,actor_id"}
STRANGE = ["budget", "nope", "budgets", "title::int", "id->x"]
NUMBERS = ["eq.1", "neq.2", "eq.7", "gt.1980", "lte.1995", "in.(1,6,7)", "not.in.(1,2)", "is.null", "gt(any).{1,6}"]
TEXTS = [
    "eq.Heat",
    "neq.Heat",
    "like.*e*",
    "not.ilike.h*",
    "match.^H",
    "gte.Heat",
    "in.(Heat,Zzz)",
    "fts.heat",
    "is.null",
]
TESTS = {
    **dict.fromkeys(("title", "name", "url", "info->>studio"), TEXTS),
    "info": ["is.null", 'cs.{"cost":5}', "not.cs.[1]", "cd.{}"],
    "seen": ["is.true", "eq.false", "not.is.true", "eq.x"],
    "is_public": ["is.true", "is.false"],
    "owner_id": ["is.null", f"eq.{BEN}", f"neq.{BEN}"],
    "shot_at": ["is.null", "gt.1990-01-01", "lt.now"],
    "info->cost": ["gt.1", "eq.5", "is.null"],
}
AGGREGATES = [
    "count()",
    "year.sum()",
    "id.max()",
    "title.min()",
    "year.avg()",
    "budget.max()",
    "info->>cost::int.sum()",
]


def _rarely(draw: st.DrawFn, usual: list[str], strange: list[str]) -> str:
    return draw(st.sampled_from(strange if draw(st.integers(0, 29)) == 17 else usual))


def _column(draw: st.DrawFn, model: str) -> str:
    found = MEMBERS.get(model, ["id"])
    return _rarely(draw, [*found, "info->cost", "info->>studio"] if model == "films" else found, STRANGE)


def _test(draw: st.DrawFn, column: str) -> str:
    return _rarely(draw, TESTS.get(column, NUMBERS), ["sl.[1,2]", "eq.", "fts.x", "eq.Heat", "is.true", "ov.{1}"])


def _select(draw: st.DrawFn, model: str, depth: int, embeds: list[str]) -> str:
    """Write the items of a model; `embeds` gets the names of what it embeds."""
    items = [_column(draw, model) for _ in range(draw(st.integers(0, 3)))]
    if draw(st.integers(0, 5)) == 0:
        items.append(draw(st.sampled_from(AGGREGATES if model == "films" else AGGREGATES[:1])))
    for _ in range(draw(st.integers(0, 2)) if depth else 0):
        name = _rarely(draw, EMBEDS.get(model, ["films"]), ["vaults", "film"])
        spread = draw(st.sampled_from(["", "", "..."]))
        join = draw(st.sampled_from(["", "", "!inner"]))
        embeds.append(name)
        items.append(f"{spread}{name}{join}({_select(draw, name, depth - 1, [])})")
    return ",".join(items) or "*"


@st.composite
def reads(draw: st.DrawFn) -> str:
    """Generate a read; rows come in the order of their keys wherever a page is cut."""
    model = _rarely(draw, [*MEMBERS, "films", "directors"], ["ledgers", "vaults", "film", "Films"])
    embeds: list[str] = []
    parts = [f"select={_select(draw, model, 2, embeds)}"]
    for _ in range(draw(st.integers(0, 2))):
        below = draw(st.sampled_from([model, *embeds]))
        column = _column(draw, below)
        parts.append(f"{'' if below == model else below + '.'}{column}={_test(draw, column)}")
    if embeds and draw(st.booleans()):
        parts.append(f"{draw(st.sampled_from(embeds))}={draw(st.sampled_from(['is.null', 'not.is.null']))}")
    if draw(st.integers(0, 3)) == 0:
        columns = [_column(draw, model) for _ in range(2)]
        trees = ",".join(f"{column}.{_test(draw, column)}" for column in columns)
        parts.append(f"{draw(st.sampled_from(['or', 'not.and']))}=({trees})")
    if not any(word in parts[0] for word in AGGREGATES) and draw(st.booleans()):
        first = draw(st.sampled_from(["", f"{_column(draw, model)}.desc,"]))
        parts.append(f"order={first}{KEYS.get(model, 'id')}")
        parts.append(f"limit={draw(st.integers(0, 5))}&offset={draw(st.integers(0, 6))}")
    return f"/{model}?" + "&".join(parts)


def shown(library: Library, target: str, who: Any, headers: Mapping[str, str]) -> tuple[Any, ...]:
    """Give everything that a caller gets; rows whose order nobody asked for are put in one."""
    answer = library.ask(target, who, **headers)
    body = json.loads(answer.body) if answer.body else None
    return answer.status, sorted(answer.headers), _sorted(body, keeps="order=" in target)


def _sorted(value: Any, *, keeps: bool = False) -> Any:
    """Sort the arrays of a body but, where it keeps its order, the one at the top."""
    match value:
        case list():
            found = [_sorted(each) for each in value]
            return found if keeps else sorted(found, key=json.dumps)
        case dict():
            return {name: _sorted(member) for name, member in value.items()}
    return value


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    target=reads(),
    who=st.sampled_from([NOBODY, user(ANNA)]),
    prefer=st.sampled_from(["", "count=exact", "timezone=Asia/Tokyo", "handling=strict,count=exact"]),
    accept=st.sampled_from(["", "", "text/csv", "application/vnd.pgrst.object+json"]),
)
@example(target="/films?select=info->>cost::int.sum()", who=NOBODY, prefer="", accept="")
@example(target="/films?select=actors(count())&id=eq.1", who=NOBODY, prefer="count=exact", accept="")
@example(target="/films?select=id&budget=gt.5", who=NOBODY, prefer="count=exact", accept="")
@example(target="/actors?select=name,films!inner(id)&order=id", who=NOBODY, prefer="count=exact", accept="")
@example(target="/directors?select=name&films=is.null", who=NOBODY, prefer="count=exact", accept="")
def test_hidden_rows_and_columns_change_no_answer(
    libraries: tuple[Library, Library], target: str, who: Any, prefer: str, accept: str
) -> None:
    """Status, headers, rows, counts, errors and hints."""
    if accept == "text/csv" and "order=" not in target:
        accept = ""
    bare, full = libraries
    headers = {"prefer": prefer, "accept": accept}
    if accept == "text/csv":
        one, other = (library.ask(target, who, **headers) for library in libraries)
        assert (one.status, one.body) == (other.status, other.body)
        return
    assert shown(bare, target, who, headers) == shown(full, target, who, headers)


def test_the_hidden_rows_are_there(libraries: tuple[Library, Library]) -> None:
    """Their owner sees them: the two libraries differ."""
    bare, full = libraries
    assert [4, 7] == [library.rows("/films?select=count()", user(BEN))[0]["count"] for library in (bare, full)]
