"""Portero's side: the same two tables as models with policies; `JWT_SECRET_KEY` and `PORTERO_…` come from outside."""

import os
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from flask import Flask, jsonify
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from portero import JWTManager, User, expose, get_jwt_identity, jwt_required, me, own

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = os.environ["JWT_SECRET_KEY"]
jwt = JWTManager(app)


@jwt.models
class Base(DeclarativeBase):
    pass


@expose(select=lambda profile: me.id.is_not(None))
class Profile(Base):
    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(sa.ForeignKey(User.id), primary_key=True)
    name: Mapped[str]


@expose(own("owner"))
class Note(Base):
    __tablename__ = "notes"
    __table_args__ = (sa.Index("notes_owner_created_at", "owner", "created_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[UUID] = mapped_column(sa.ForeignKey(Profile.id))
    title: Mapped[str]
    body: Mapped[str]
    done: Mapped[bool] = mapped_column(server_default=sa.false())
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.current_timestamp())


@app.get("/whoami")
@jwt_required()
def whoami():
    return jsonify(logged_in_as=get_jwt_identity())
