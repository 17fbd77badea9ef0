"""What `portero new` writes: the recognisable project, private from the first byte, whose own tests pass."""

from __future__ import annotations

import ast
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from portero.errors import ConfigurationError
from portero.scaffold import write_private, write_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path / "shop")
    return tmp_path / "shop"


def test_the_application_has_the_shape_every_flask_reader_knows(project: Path) -> None:
    lines = (project / "app" / "__init__.py").read_text().splitlines()
    for line in (
        "from flask import Flask",
        "from portero import JWTManager",
        "app = Flask(__name__)",
        "jwt = JWTManager(app)",
    ):
        assert line in lines
    assert any(line.startswith('app.config["JWT_SECRET_KEY"] = ') for line in lines)
    assert any(line.startswith("from app import routes") for line in lines)


def test_everything_a_project_needs_is_there(project: Path) -> None:
    written = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert {
        ".env",
        ".gitignore",
        "README.md",
        "alembic.ini",
        "app/__init__.py",
        "app/models.py",
        "app/routes.py",
        "migrations/env.py",
        "migrations/script.py.mako",
        "migrations/versions/0001_notes.py",
        "pyproject.toml",
        "tests/conftest.py",
        "tests/test_notes.py",
    } == written
    assert 'name = "shop"' in (project / "pyproject.toml").read_text()
    assert "PROJECT_NAME" not in "".join(path.read_text() for path in project.rglob("*") if path.is_file())


def test_every_python_file_is_python(project: Path) -> None:
    files = list(project.rglob("*.py"))
    assert {"__init__.py", "models.py", "routes.py"} <= {path.name for path in files}
    for path in files:
        ast.parse(path.read_text())


def test_the_secret_is_new_each_time_and_never_committed(project: Path, tmp_path: Path) -> None:
    write_project(tmp_path / "other")
    secrets = {(tmp_path / name / ".env").read_text() for name in ("shop", "other")}
    assert 2 == len(secrets)
    assert ".env" in (project / ".gitignore").read_text().splitlines()


def test_the_secret_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_project(tmp_path / "open")
    finally:
        os.umask(before)
    assert 0o600 == stat.S_IMODE((tmp_path / "open" / ".env").stat().st_mode)


def test_a_secret_is_never_replaced(tmp_path: Path) -> None:
    write_private(tmp_path / ".env", "first")
    with pytest.raises(FileExistsError):
        write_private(tmp_path / ".env", "second")
    assert ["first"] == [path.read_text() for path in tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["a b", "$(touch x)", "-x", "ñ"])
def test_a_name_that_a_shell_or_a_package_would_read_otherwise_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a project's name"):
        write_project(tmp_path / name)


def test_the_projects_own_tests_pass(project: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("JWT_", "PORTERO_"))}
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error"],
        cwd=project,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, True) == (answer.returncode, "5 passed" in answer.stdout), answer.stdout


def test_flask_run_serves_the_project(project: Path) -> None:
    """`flask --app app run` reads `.env` itself; routes are listed without a request."""
    flask = [sys.executable, "-m", "flask", "--app", "app", "routes"]
    answer = subprocess.run(flask, cwd=project, capture_output=True, text=True, check=True)
    for path in ("/login", "/protected", "/notes/recent", "/auth/v1/signup", "/auth/v1/token"):
        assert f" {path}" in answer.stdout
