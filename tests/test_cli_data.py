"""`portero explain` and what `portero doctor` says of indexes, in a project with a model or two."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from portero.cli import portero

APPLICATION = """
import sqlalchemy as sa
from flask import Flask
from portero import JWTManager, allow_all, expose, own
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid import UUID

app = Flask(__name__)
app.config.update(JWT_SECRET_KEY="kX7-0sVq2mJ9tZ4wR1yB8nC5uE3gH6fLpDaSoTiQ", PORTERO_DEV=True)
jwt = JWTManager(app)

@jwt.models
class Base(DeclarativeBase):
    pass

@expose(own("owner_id"))
class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    title: Mapped[str]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with one application and one user."""
    (tmp_path / "shop.py").write_text(APPLICATION, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(os, "environ", {**os.environ, "PORTERO_DATABASE_URL": f"sqlite:///{tmp_path}/shop.db"})
    assert 0 == run("users", "create", "ana@example.org", stdin="a long walk in October\n").exit_code
    yield tmp_path
    sys.modules.pop("shop", None)


def run(*arguments: str, stdin: str = "") -> Result:
    """Run a command in a fresh application."""
    sys.modules.pop("shop", None)
    return CliRunner().invoke(portero, ["--app", "shop", *arguments], input=stdin)


def test_a_read_is_told_for_a_user() -> None:
    """The plan, the policy, the SQL, the database's plan; the mount's path may be there or not."""
    for path in ("/notes", "/rest/v1/notes"):
        result = run("explain", f"GET {path}?select=title&order=title", "--as", "ana@example.org")
        assert 0 == result.exit_code, result.output
        assert "As ana@example.org (role authenticated, me.id " in result.output
        assert "rows of notes where notes.owner_id = me.id" in result.output
        assert "SELECT CAST(" in result.output
        assert "The plan of SQLite" in result.output
        assert "SCAN notes" in result.output


def test_a_read_is_told_for_a_role() -> None:
    """anon is nobody; the service role passes every policy."""
    assert "As anon (role anon, me.id NULL)" in run("explain", "/notes").output
    assert "rows of notes where TRUE" in run("explain", "/notes", "--role", "service_role").output


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["/filmz"], 1, "404 PGRST205"),
        (["DELETE /notes"], 1, "405 PGRST117"),
        (["/notes", "--as", "bob@example.org"], 1, "There is no user 'bob@example.org'."),
        (["/notes", "--as", "ana@example.org", "--role", "anon"], 2, "exclude each other"),
        (["GET"], 1, "404 PGRST205"),
        (["GET /notes HTTP/1.1"], 2, "REQUEST is a method and a path"),
    ],
)
def test_what_cannot_be_told_is_refused_in_a_sentence(arguments: list[str], code: int, sentence: str) -> None:
    """As the server would refuse it, or as a wrong use of the command."""
    result = run("explain", *arguments)
    assert code == result.exit_code
    assert sentence in result.output


def test_doctor_names_an_owners_column_without_an_index() -> None:
    """It is a note: nothing is unsafe."""
    output = run("doctor").output
    assert "note  No index on notes.owner_id: the select policy of notes compares it with the caller." in output


def test_doctor_names_what_callers_filter_by_without_an_index(project: Path) -> None:
    """Off an access log, or what is piped in; without either it says how."""
    assert "What callers filter by was not looked at" in run("doctor").output
    (project / "access.log").write_text('127.0.0.1 "GET /rest/v1/notes?title=eq.x HTTP/1.1" 200\n' * 2 + "noise\n")
    found = run("doctor", "--requests", "access.log").output
    assert "No index on notes.title: 2 requests filter by it" in found
    assert "Requests looked at: 2, 1 other lines" in found
    assert "1 request orders by it" in run("doctor", "--requests", "-", stdin="/notes?order=title\n").output


def test_the_policies_are_printed_as_a_script() -> None:
    """Also where the application runs on SQLite: nothing is executed."""
    output = run("policies", "sql", "--role", "reports").output
    assert "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;" in output
    assert "CREATE POLICY portero_select_notes ON notes FOR SELECT TO reports USING (notes.owner_id = (SELECT" in output
    assert output.endswith("COMMIT;\n")
