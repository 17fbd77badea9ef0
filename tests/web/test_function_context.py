"""Functions in a Flask application: `db.session`, application context, the caller's token, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from portero import ConfigurationError, DataError, JWTManager, expose, get_jwt_identity, own, rpc
from portero.testing import Api, running


class Base(DeclarativeBase):
    """The application's models."""


db = SQLAlchemy(model_class=Base)


@expose(own("owner_id"))
class Note(db.Model):  # type: ignore[name-defined,misc]
    """A note of its owner."""

    __tablename__ = "function_notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    title: Mapped[str]


@rpc
def jot(title: str, fails: bool = False) -> Any:
    """Write a note through Flask-SQLAlchemy, and commit, which keeps nothing before the answer stands."""
    note = Note(owner_id=UUID(get_jwt_identity()), title=title)
    db.session.add(note)
    db.session.commit()
    if fails:
        raise DataError(400, "P0001", "Not today")
    return sa.select(Note).where(Note.id == note.id)


@rpc(read_only=True, allow=("anon", "authenticated"))
def app_name() -> str:
    """Give the application's name."""
    return current_app.name


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """An application that serves both functions."""
    app = Flask("shop", instance_path=str(tmp_path / "instance"))
    app.config.update(
        JWT_SECRET_KEY="q8Zr5mY2vK7dT1wX9cL4bN6hJ3gF0sPeUiAoRtMyQxWv",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'shop.db'}",
        TESTING=True,
    )
    db.init_app(app)
    JWTManager(app, functions=[jot, app_name])
    return app


@pytest.fixture
def api(app: Flask, tmp_path: Path) -> Iterator[Api]:
    """The application on an empty database."""
    with running(app, tmp_path) as api:
        yield api


def test_a_function_has_the_application_and_needs_no_one_signed_in(api: Api) -> None:
    assert "shop" == api.get("/rest/v1/rpc/app_name").get_json()


def test_db_session_writes_in_the_requests_transaction(api: Api) -> None:
    anna = api.sign_in("anna")
    answer = anna.post("/rest/v1/rpc/jot?select=title", json={"title": "milk"})
    assert (200, [{"title": "milk"}]) == (answer.status_code, answer.get_json())
    refused = anna.post("/rest/v1/rpc/jot", json={"title": "eggs", "fails": True})
    assert (400, "Not today") == (refused.status_code, refused.get_json()["message"])
    assert [{"title": "milk"}] == anna.get("/rest/v1/function_notes?select=title").get_json()
    assert [] == api.sign_in("ben").get("/rest/v1/function_notes").get_json()


def test_functions_come_before_the_first_request(api: Api, app: Flask) -> None:
    api.get("/rest/v1/rpc/app_name")
    with pytest.raises(ConfigurationError, match=r"jwt\.functions"):
        app.extensions["portero"].functions(app_name)
