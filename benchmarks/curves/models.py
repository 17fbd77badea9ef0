"""The models of the curves: notes of one owner, rows behind policies that look elsewhere, chains, wide rows."""

from __future__ import annotations

import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from portero import User, allow_all, expose, me, own

CHAIN = 4
LOOKED_INTO = 3
COLUMNS = 64


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


class Badge(Base):
    """A user has badges of several kinds; the policies of papers look for them."""

    __tablename__ = "badges"

    kind: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey(User.id), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)


def _policy(looks: int) -> Any:
    def policy(row: Any) -> Any:
        found = row.owner == me.id
        for kind in range(looks):
            badge = sa.alias(Badge.__table__)
            has = (badge.c.kind == kind) & (badge.c.user_id == me.id) & (badge.c.place == getattr(row, f"place{kind}"))
            found &= sa.exists(sa.select(1).select_from(badge).where(has))
        return found

    return policy


def _paper(looks: int) -> type[Base]:
    """Make the model whose policy looks so many times into another table."""
    table = f"papers{looks}"
    columns: dict[str, Any] = {
        "__tablename__": table,
        "__table_args__": (sa.Index(f"{table}_owner_created_at", "owner", "created_at"),),
        "id": sa.Column(sa.Integer, primary_key=True),
        "owner": sa.Column(sa.Uuid, sa.ForeignKey(User.id), nullable=False),
        "title": sa.Column(sa.Text, nullable=False),
        "created_at": sa.Column(sa.DateTime, nullable=False),
    }
    columns |= {f"place{kind}": sa.Column(sa.Integer, nullable=False) for kind in range(LOOKED_INTO)}
    return expose(select=_policy(looks))(type(f"Paper{looks}", (Base,), columns))


def _step(number: int) -> type[Base]:
    """Make one model of a chain: each row belongs to one row of the next model."""
    columns: dict[str, Any] = {
        "__tablename__": f"steps{number}",
        "id": sa.Column(sa.Integer, primary_key=True),
        "title": sa.Column(sa.Text, nullable=False),
    }
    if number < CHAIN - 1:
        following = sa.ForeignKey(f"steps{number + 1}.id")
        columns["next_id"] = sa.Column(sa.Integer, following, nullable=False, index=True)
    return expose(select=allow_all)(type(f"Step{number}", (Base,), columns))


PAPERS = [_paper(looks) for looks in range(LOOKED_INTO + 1)]
STEPS = [_step(number) for number in range(CHAIN)]
Wide = expose(select=allow_all)(
    type(
        "Wide",
        (Base,),
        {"__tablename__": "wide", "id": sa.Column(sa.Integer, primary_key=True)}
        | {f"c{number}": sa.Column(sa.Text, nullable=False) for number in range(COLUMNS)},
    )
)


@expose(select=allow_all)
class Text(Base):
    """One text, of a length of its own."""

    __tablename__ = "texts"

    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]
