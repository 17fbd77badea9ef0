"""What a developer's own tests stand on: an empty database, clients that sign in by name, nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import portero
from portero import JWTManager, expose, own
from portero.errors import AuthError, ConfigurationError
from portero.testing import Api, running

SECRET = "q8Zr5mY2vK7dT1wX9cL4bN6hJ3gF0sPeUiAoRtMyQxWv"


class Base(DeclarativeBase):
    pass


@expose(own("owner_id"))
class Note(Base):
    __tablename__ = "notes"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey(portero.User.id))
    title: Mapped[str]


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    app = Flask("tested", instance_path=str(tmp_path / "instance"))
    app.config["JWT_SECRET_KEY"] = SECRET
    JWTManager(app, models=Base)
    return app


@pytest.fixture
def api(app: Flask, tmp_path: Path) -> Iterator[Api]:
    with running(app, tmp_path) as api:
        yield api


def test_a_signed_in_client_sends_every_method(api: Api) -> None:
    anna = api.sign_in("anna")
    assert 201 == anna.post("/rest/v1/notes", json={"title": "first"}).status_code
    assert 204 == anna.patch("/rest/v1/notes?title=eq.first", json={"title": "second"}).status_code
    assert [{"title": "second"}] == anna.get("/rest/v1/notes?select=title").json
    assert 200 == anna.put("/auth/v1/user", json={"data": {"shoe_size": 39}}).status_code
    assert 204 == anna.delete("/rest/v1/notes?title=eq.second").status_code
    assert [] == anna.get("/rest/v1/notes").json


def test_headers_of_a_test_win_over_the_clients(api: Api) -> None:
    anna = api.sign_in("anna")
    assert 401 == anna.get("/auth/v1/user", headers={"Authorization": "Basic x"}).status_code


def test_signing_in_twice_is_one_user_with_two_sessions(api: Api) -> None:
    first, second = api.sign_in("anna"), api.sign_in("anna")
    assert first.user.id == second.user.id
    assert first.access_token != second.access_token


def test_each_run_has_a_database_of_its_own(app: Flask, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with running(app, tmp_path / name) as api:
            with app.app_context():
                assert 0 == portero.users.page().total
            api.sign_in("anna")


def test_the_application_is_as_it_was(app: Flask, tmp_path: Path) -> None:
    app.config["PORTERO_DATABASE_URL"] = f"sqlite:///{tmp_path / 'before.db'}"
    app.testing = True
    extension = app.extensions["portero"]
    before = extension.freeze(app)
    with running(app, tmp_path):
        assert before is not extension.freeze(app)
    assert before is extension.freeze(app)
    assert f"sqlite:///{tmp_path / 'before.db'}" == app.config["PORTERO_DATABASE_URL"]
    extension.close(app)


def test_an_application_without_portero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no Portero"), running(Flask("plain"), tmp_path):
        raise AssertionError


def test_users_are_changed_through_the_python_api(api: Api) -> None:
    anna = api.sign_in("anna")
    with api.application.app_context():
        user_id = anna.user.id
        assert "editor" == portero.users.set_role(user_id, "editor").role
        changed = portero.users.set_metadata(user_id, app_metadata={"org": "north"}, user_metadata={"pet": "cat"})
        assert ("north", "cat") == (changed.app_metadata["org"], changed.user_metadata["pet"])
        assert user_id == portero.users.set_password(user_id, "another long walk").id
        portero.users.ban(user_id)
        assert portero.users.unban(user_id).banned_until is None
        portero.sign_in("anna", "another long walk")
        assert 1 == portero.users.end_sessions(user_id)
        portero.users.delete(user_id)
        assert portero.users.find("anna") is None
        with pytest.raises(AuthError, match="user_not_found"):
            portero.users.delete(user_id)


def test_outside_a_request_the_caller_has_no_address(api: Api) -> None:
    with api.application.app_context():
        portero.users.create(username="ben", password="a long walk in October")
        assert portero.sign_in("ben", "a long walk in October").session.address is None
