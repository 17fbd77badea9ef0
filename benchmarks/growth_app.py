"""The application whose tables grow: notes of one owner, documents of teams, letters shared one by one."""

from __future__ import annotations

import datetime
import itertools
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import portero
from benchmarks.data import PASSWORD, Written, notes
from portero import JWTManager, User, expose, me, own

SECRET = secrets.token_urlsafe(48)
_BATCH = 5_000
_START = datetime.datetime(2026, 1, 1)


class Base(DeclarativeBase):
    """What grows."""


@expose(own("owner"))
class Note(Base):
    """A note is its owner's; its policy has an index, in the order the notes are asked for."""

    __tablename__ = "notes"
    __table_args__ = (sa.Index("notes_owner_created_at", "owner", "created_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[UUID] = mapped_column(sa.ForeignKey(User.id))
    title: Mapped[str]
    body: Mapped[str]
    done: Mapped[bool] = mapped_column(server_default=sa.false())
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=sa.func.current_timestamp())


class Member(Base):
    """A user is a member of many teams; the data API does not serve this table."""

    __tablename__ = "members"

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey(User.id), primary_key=True)
    team_id: Mapped[int] = mapped_column(primary_key=True)


@expose(select=lambda row: sa.exists().where(Member.team_id == row.team_id, Member.user_id == me.id))
class Document(Base):
    """A document is its team's: the policy looks into the members of that team."""

    __tablename__ = "documents"
    __table_args__ = (sa.Index("documents_team_id", "team_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int]
    title: Mapped[str]
    created_at: Mapped[datetime.datetime]


class Share(Base):
    """A letter is shared with many users; the data API does not serve this table."""

    __tablename__ = "shares"

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey(User.id), primary_key=True)
    letter_id: Mapped[int] = mapped_column(sa.ForeignKey("letters.id"), primary_key=True)


@expose(select=lambda row: sa.exists().where(Share.letter_id == row.id, Share.user_id == me.id))
class Letter(Base):
    """A letter is read by those it is shared with."""

    __tablename__ = "letters"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    created_at: Mapped[datetime.datetime]


class Growing:
    """The application on one database, asked through its WSGI callable.

    Args:
        url: an SQLAlchemy URL.
        settings: `PORTERO_…` settings without the prefix.
    """

    def __init__(self, url: str, **settings: Any) -> None:
        self.app = Flask(__name__)
        self.app.config.update({"JWT_SECRET_KEY": SECRET, "PORTERO_DATABASE_URL": url, "PORTERO_DEV": "yes"})
        self.app.config.update({f"PORTERO_{name.upper()}": value for name, value in settings.items()})
        self.runtime = JWTManager(self.app, models=Base).freeze(self.app)
        self.database = self.runtime.database

    def users(self, many: int) -> list[tuple[UUID, str]]:
        """Make users and sign them in: (id, access token) of each."""
        made = []
        with self.app.app_context():
            for number in range(many):
                email = f"user{number}@example.com"
                user = portero.users.create(email=email, password=PASSWORD)
                made.append((user.id, portero.sign_in(email, PASSWORD).access_token))
        return made

    def insert(self, table: type[Base], rows: Iterator[dict[str, Any]]) -> None:
        """Insert rows past the data API, some thousands in a transaction."""
        while batch := list(itertools.islice(rows, _BATCH)):
            with self.database.writing() as connection:
                connection.execute(sa.insert(table), batch)

    def settle(self) -> None:
        """Let the database look at what it holds, and write down what it still has to."""
        with self.database.writing() as connection:
            connection.exec_driver_sql("ANALYZE")

    def ask(
        self, method: str, path: str, token: str, *, body: bytes = b"", **headers: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request; headers by name with underscores."""
        path, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": f"/rest/v1/{path}",
            "QUERY_STRING": query,
            "HTTP_AUTHORIZATION": f"Bearer {token}",
        }
        if body:
            content_type = headers.pop("content_type", "application/json")
            environ |= {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body)), "wsgi.input": _Body(body)}
        environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        started: list[Any] = []
        answer = b"".join(self.app.wsgi_app(environ, lambda status, headers, *_: started.extend((status, headers))))
        return int(started[0][:3]), dict(started[1]), answer


class _Body:
    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def read(self, size: int = -1) -> bytes:
        """Read as a server's stream does: a piece at a time."""
        end = len(self.body) if size < 0 else self.at + size
        part = self.body[self.at : end]
        self.at += len(part)
        return part


def note_rows(many: int, owners: Sequence[UUID]) -> Iterator[dict[str, Any]]:
    """Give notes, those of one owner spread over the whole table."""
    texts = [*notes()]
    for number in range(many):
        yield note_row(texts[number % len(texts)], number) | {"owner": owners[number % len(owners)]}


def note_row(text: Written, number: int) -> dict[str, Any]:
    """Give one note without its owner; its instant is unrelated to its number."""
    created_at = _START + datetime.timedelta(seconds=number * 7_919 % 26_000_000)
    return {"id": number + 1, "title": text.title, "body": text.body, "done": text.done, "created_at": created_at}


def document_rows(many: int, teams: int) -> Iterator[dict[str, Any]]:
    """Give documents, the same number for each team."""
    for number in range(many):
        yield _titled(number) | {"team_id": number % teams}


def letter_rows(many: int) -> Iterator[dict[str, Any]]:
    """Give letters."""
    return (_titled(number) for number in range(many))


def _titled(number: int) -> dict[str, Any]:
    created_at = _START + datetime.timedelta(seconds=number * 7_919 % 26_000_000)
    return {"id": number + 1, "title": f"number {number} of many", "created_at": created_at}


def bulk_body(many: int, owner: UUID) -> bytes:
    """Write the body of a bulk insert of notes."""
    texts = itertools.islice(itertools.cycle(notes()), many)
    rows = [{"owner": str(owner), "title": text.title, "body": text.body, "done": text.done} for text in texts]
    return json.dumps(rows).encode()
