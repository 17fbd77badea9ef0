"""An application with every kind of column, relation and policy, for tests that are driven by its OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tests.identity.people import SECRET

from portero import JWTManager, allow_all, expose, expose_table, me, own


def make_app() -> Flask:
    """Make the application, with models of its own: an exposed model belongs to one application."""

    class Base(DeclarativeBase):
        """The models of this application."""

    class Topic(Base):
        """What signed-in callers read and add to."""

        __tablename__ = "topics"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(sa.String(40), unique=True)

    class Note(Base):
        """One's own notes, with a column of every type."""

        __tablename__ = "notes"
        id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
        owner_id: Mapped[UUID] = mapped_column(index=True)
        topic_id: Mapped[int | None] = mapped_column(sa.ForeignKey("topics.id"), index=True)
        title: Mapped[str] = mapped_column(sa.String(200))
        stars: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
        price: Mapped[Decimal | None] = mapped_column(sa.Numeric(10, 2))
        weight: Mapped[float | None]
        done: Mapped[bool] = mapped_column(default=False)
        mood: Mapped[str | None] = mapped_column(sa.Enum("happy", "sad", name="mood"))
        info: Mapped[Any | None] = mapped_column(sa.JSON)
        tags: Mapped[list[str] | None] = mapped_column(sa.ARRAY(sa.Text).with_variant(sa.JSON(), "sqlite"))
        at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
        data: Mapped[bytes | None]
        size: Mapped[int | None] = mapped_column(sa.Computed("length(title)", persisted=True))

    class Complaint(Base):
        """Everybody may leave one; nobody may read them."""

        __tablename__ = "complaints"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str]

    class Secret(Base):
        """Nobody but the service role."""

        __tablename__ = "secrets"
        id: Mapped[int] = mapped_column(primary_key=True)

    expose(select=allow_all, insert=lambda topic: me.id.is_not(None))(Topic)
    expose(own("owner_id"))(Note)
    expose(insert=allow_all)(Complaint)
    expose()(Secret)
    log = sa.Table("log book", Base.metadata, sa.Column("the line", sa.Text), sa.Column("limit", sa.Integer))

    app = Flask("described")
    # Whoever explores a description asks more kinds in a second than a person does in a day.
    app.config.update(JWT_SECRET_KEY=SECRET, PORTERO_MAX_NEW_SHAPES=0)
    everybody = expose_table(log, select=allow_all, insert=allow_all, update=allow_all, delete=allow_all)
    JWTManager(app, models=[Base, everybody])
    return app
