"""A film library for the tests of reads: every kind of relation, a policy on films, a hidden column."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from portero.data.caller import me
from portero.data.catalogue import Catalogue, build
from portero.data.dialects import SQLITE_FUNCTIONS
from portero.data.exposure import expose, exposure_of
from portero.data.nodes import DataAnswer, HttpRequest
from portero.data.pipeline import DataApi
from portero.data.policy import allow_all
from portero.principal import NOBODY, Principal
from portero.settings import Settings
from portero.store import sessions
from portero.store.engine import Database
from portero.store.tables import OwnTable

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ANNA, BEN = UUID(int=0xA), UUID(int=0xB)
ANNAS_SESSION = UUID(int=0x1A)


class Base(DeclarativeBase):
    """The library's models."""


@expose(select=allow_all)
class Director(Base):
    """Everybody may see directors."""

    __tablename__ = "directors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@expose(select=lambda film: film.is_public | (film.owner_id == me.id), hidden=["budget"])
class Film(Base):
    """Public films are everybody's to see, the others their owner's."""

    __tablename__ = "films"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    year: Mapped[int | None]
    seen: Mapped[bool] = mapped_column(default=False)
    info: Mapped[Any | None] = mapped_column(sa.JSON)
    shot_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    owner_id: Mapped[UUID | None]
    is_public: Mapped[bool] = mapped_column(default=True)
    budget: Mapped[int] = mapped_column(default=7)
    director_id: Mapped[int | None] = mapped_column(sa.ForeignKey("directors.id"))


@expose(select=allow_all)
class Poster(Base):
    """One poster a film."""

    __tablename__ = "posters"
    film_id: Mapped[int] = mapped_column(sa.ForeignKey("films.id"), primary_key=True)
    url: Mapped[str]


@expose(select=allow_all)
class Actor(Base):
    """Actors play roles in films."""

    __tablename__ = "actors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@expose(select=lambda role: role.name != "secret")
class Role(Base):
    """The junction of films and actors; secret roles are nobody's to see."""

    __tablename__ = "roles"
    film_id: Mapped[int] = mapped_column(sa.ForeignKey("films.id"), primary_key=True)
    actor_id: Mapped[int] = mapped_column(sa.ForeignKey("actors.id"), primary_key=True)
    name: Mapped[str]


@expose()
class Ledger(Base):
    """Exposed without a policy: nobody but service_role reads it."""

    __tablename__ = "ledgers"
    id: Mapped[int] = mapped_column(primary_key=True)


class Vault(Base):
    """Not exposed: it does not exist for the API."""

    __tablename__ = "vaults"
    id: Mapped[int] = mapped_column(primary_key=True)


MODELS = (Director, Film, Poster, Actor, Role, Ledger)
SHOT = datetime(1995, 3, 1, 12, 30, 0, 500000, tzinfo=UTC)
ROWS: Mapping[Any, list[dict[str, Any]]] = {
    Director: [{"id": 1, "name": "Mann"}, {"id": 2, "name": "Hill"}, {"id": 3, "name": "Nobody"}],
    Film: [
        {
            "id": 1,
            "title": "Heat",
            "year": 1995,
            "seen": True,
            "director_id": 1,
            "shot_at": SHOT,
            "info": {"studio": "Regency", "cast": ["Pacino", "De Niro"], "cost": 60, "tags": ["crime", "heist"]},
        },
        {"id": 2, "title": "Thief", "year": 1981, "director_id": 1, "info": {"studio": "UA", "cost": 5}},
        {"id": 3, "title": "the Driver", "year": 1978, "director_id": 2},
        {"id": 4, "title": "Ärger*", "year": None},
        {"id": 5, "title": "Annas", "year": 2020, "owner_id": ANNA, "is_public": False, "director_id": 2},
        {"id": 6, "title": "Bens", "year": 2021, "owner_id": BEN, "is_public": False, "director_id": 2},
    ],
    Poster: [{"film_id": 1, "url": "heat.png"}, {"film_id": 6, "url": "ben.png"}],
    Actor: [{"id": 1, "name": "Pacino"}, {"id": 2, "name": "Caan"}, {"id": 3, "name": "Spy"}],
    Role: [
        {"film_id": 1, "actor_id": 1, "name": "Hanna"},
        {"film_id": 2, "actor_id": 2, "name": "Frank"},
        {"film_id": 1, "actor_id": 3, "name": "secret"},
    ],
}


def catalogue(dialect: str) -> Catalogue:
    """Build the library's catalogue."""
    return build([each for each in map(exposure_of, MODELS) if each is not None], dialect)


@dataclass(frozen=True, slots=True)
class Library:
    """The data API over a filled library."""

    api: DataApi
    database: Database

    def ask(self, target: str, who: Principal = NOBODY, method: str = "GET", **headers: str) -> DataAnswer:
        """Send one request."""
        path, _, query = target.partition("?")
        return self.api.answer(HttpRequest(method, path, query, **headers), who, NOW)

    def rows(self, target: str, who: Principal = NOBODY, **headers: str) -> Any:
        """Send a GET that must succeed, and give its body."""
        answer = self.ask(target, who, **headers)
        assert answer.status in (200, 206), answer.body
        return json.loads(answer.body)

    def refusal(self, target: str, who: Principal = NOBODY, **headers: str) -> tuple[int, str]:
        """Send a GET that must fail, and give status and code; the body has all four keys."""
        answer = self.ask(target, who, **headers)
        body = json.loads(answer.body)
        assert set(body) == {"code", "message", "details", "hint"}
        return answer.status, body["code"]


def user(user_id: UUID, session_id: UUID | None = None) -> Principal:
    """A signed-in caller."""
    return Principal("authenticated", user_id, session_id)


@contextmanager
def opened(url: str, **settings: Any) -> Iterator[Library]:
    """Open a filled library."""
    database = Database.open(url, sqlite_functions=SQLITE_FUNCTIONS)
    try:
        with database.writing() as connection:
            OwnTable.metadata.create_all(connection)
            Base.metadata.create_all(connection)
            for model, rows in ROWS.items():
                for row in rows:
                    connection.execute(sa.insert(model), row)
        chosen = Settings(**settings)
        yield Library(DataApi(catalogue(database.dialect_name), database, chosen, sessions.standing()), database)
    finally:
        database.close()


def headers_of(answer: DataAnswer) -> dict[str, str]:
    """Give an answer's headers by name."""
    return dict(answer.headers)
