"""A small application for the tests of writes: notes of users, tags on them, pages of all, a log without a key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

from portero.data.caller import me
from portero.data.catalogue import Catalogue, build
from portero.data.dialects import SQLITE_FUNCTIONS
from portero.data.exposure import Exposure, expose, exposure_of, own
from portero.data.nodes import DataAnswer, HttpRequest
from portero.data.pipeline import DataApi
from portero.data.policy import Verb, allow_all
from portero.principal import ANON, AUTHENTICATED, SERVICE_ROLE, Principal
from portero.settings import Settings
from portero.store.engine import Database
from portero.store.tables import Session, User

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ANNA, BEN = UUID(int=0xA), UUID(int=0xB)
SESSIONS = {ANNA: UUID(int=0x1A), BEN: UUID(int=0x1B)}


class Base(DeclarativeBase):
    """The application's own models."""


@expose(own("owner_id"), hidden=["secret"])
class Note(Base):
    """A note of one user; the title is unique for each user."""

    __tablename__ = "notes"
    __table_args__ = (
        sa.UniqueConstraint("owner_id", "title"),
        sa.CheckConstraint("stars >= 0", name="notes_stars_check"),
        sa.CheckConstraint("secret <> 'x'", name="notes_secret_check"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(sa.Uuid, index=True)
    title: Mapped[str] = mapped_column(sa.String(40))
    stars: Mapped[int] = mapped_column(default=0)
    price: Mapped[Decimal | None] = mapped_column(sa.Numeric(10, 2))
    done: Mapped[bool] = mapped_column(server_default=sa.false())
    info: Mapped[Any | None] = mapped_column(sa.JSON)
    at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    secret: Mapped[str | None] = mapped_column(unique=True)
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("notes.id"))


def _sees_note(row: Any) -> Any:
    return sa.exists().where(Note.id == row.note_id, Note.owner_id == me.id)


@expose(select=_sees_note, insert=_sees_note, delete=_sees_note)
class Tag(Base):
    """A word on a note; it is visible and writable with its note, and never updated."""

    __tablename__ = "tags"

    note_id: Mapped[int] = mapped_column(sa.ForeignKey("notes.id"), primary_key=True)
    word: Mapped[str] = mapped_column(primary_key=True)


@expose(insert=allow_all)
class Complaint(Base):
    """Everybody may leave one; nobody may read them."""

    __tablename__ = "complaints"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


@expose(select=allow_all, insert=allow_all, update=lambda page: page.is_open, delete=lambda page: page.is_open)
class Page(Base):
    """A wiki page: everybody's, until it is closed."""

    __tablename__ = "pages"

    slug: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str | None]
    is_open: Mapped[bool] = mapped_column(default=True)
    size: Mapped[int | None] = mapped_column(sa.Computed("length(text)", persisted=True))


@expose(select=allow_all, insert=lambda step: ~sa.exists().where(_OTHER.number > step.number))
class Step(Base):
    """Steps are only added at the end: a policy about the model's own table."""

    __tablename__ = "steps"

    number: Mapped[int] = mapped_column(primary_key=True)


_OTHER = aliased(Step)

LOG = sa.Table("log", Base.metadata, sa.Column("line", sa.Text), sa.Column("level", sa.Integer, server_default="3"))


def catalogue(dialect: str) -> Catalogue:
    """Build the scene's catalogue."""
    log = Exposure(LOG, dict.fromkeys(Verb, allow_all), {}, (), None, None, None, None, None)
    marked = [exposure_of(model) for model in (Note, Tag, Complaint, Page, Step)]
    return build([*(each for each in marked if each), log], dialect)


def standing() -> sa.ColumnElement[Any]:
    """Say whether the session's row is there."""
    found = sa.exists().where(Session.id == sa.bindparam("portero_session_id", type_=sa.Uuid()))
    return sa.case((found, 1), else_=0)


@dataclass(frozen=True, slots=True)
class Scene:
    """The application on one database; `ask` is one HTTP request."""

    database: Database
    api: DataApi

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: UUID | str = ANNA,
        prefer: str = "",
        accept: str = "",
        content_type: str = "",
    ) -> DataAnswer:
        """Send one request as a user, or as a role without a user."""
        name, _, query = path.partition("?")
        text = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        http = HttpRequest(method, name, query, accept, prefer, content_type=content_type, body=text)
        return self.api.answer(http, caller(who), NOW)

    def rows(self, table: sa.Table | type) -> list[dict[str, Any]]:
        """Read a whole table past every policy, in order of its first column."""
        held = table if isinstance(table, sa.Table) else table.__table__  # type: ignore[attr-defined]
        with self.database.reading() as connection:
            return [dict(row) for row in connection.execute(sa.select(held).order_by(next(iter(held.c)))).mappings()]

    def with_settings(self, **changes: Any) -> Scene:
        """Give the same application under other settings."""
        settings = replace(self.api.settings, **changes)
        return Scene(self.database, DataApi(self.api.catalogue, self.database, settings, standing()))


def caller(who: UUID | str) -> Principal:
    """Make the principal of a user, or of `anon` or `service_role`."""
    if isinstance(who, UUID):
        return Principal(AUTHENTICATED, who, SESSIONS[who])
    return Principal(who)


def answered(answer: DataAnswer) -> tuple[int, Any]:
    """Give status and JSON body."""
    return answer.status, json.loads(answer.body) if answer.body else None


def refused(answer: DataAnswer) -> tuple[int, str, str]:
    """Give status, code and message of a refusal."""
    members = json.loads(answer.body)
    assert list(members) == ["code", "message", "details", "hint"]
    return answer.status, members["code"], members["message"]


def headers(answer: DataAnswer) -> Mapping[str, str]:
    """Give the headers by name."""
    return dict(answer.headers)


@contextmanager
def opened(url: str) -> Iterator[Scene]:
    """Open the application on an empty database: two users, a note each (Anna 1, Ben 2)."""
    database = Database.open(url, sqlite_functions=SQLITE_FUNCTIONS)
    try:
        with database.writing() as connection:
            User.metadata.create_all(connection)
            Base.metadata.create_all(connection)
            _fill(connection)
        yield Scene(database, DataApi(catalogue(database.dialect_name), database, Settings(), standing()))
    finally:
        database.close()


def _fill(connection: sa.Connection) -> None:
    users = [{"id": who, "email": f"{name}@example.org"} for who, name in ((ANNA, "anna"), (BEN, "ben"))]
    connection.execute(sa.insert(User).values(created_at=NOW, updated_at=NOW), users)
    sessions = [{"id": SESSIONS[who], "user_id": who} for who in (ANNA, BEN)]
    connection.execute(sa.insert(Session).values(created_at=NOW), sessions)
    notes = [
        {"owner_id": ANNA, "title": "hers", "secret": "a"},
        {"owner_id": BEN, "title": "his", "secret": "b"},
    ]
    connection.execute(sa.insert(Note), notes)
    connection.execute(sa.insert(Tag), [{"note_id": 1, "word": "red"}, {"note_id": 2, "word": "blue"}])
    pages = [{"slug": "home", "text": "hi", "is_open": True}, {"slug": "law", "text": "no", "is_open": False}]
    connection.execute(sa.insert(Page), pages)
    connection.execute(sa.insert(Step), [{"number": 5}])


ANYBODY, SERVICE = ANON, SERVICE_ROLE
