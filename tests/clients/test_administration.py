"""The admin methods of both clients, pinned, against a served application. Nothing is skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import node_packages
from tests.clients.administration import STEPS
from tests.clients.methods_run import ROOT
from tests.served import free_port, served, tail

HERE = Path(__file__).resolve().parent
APPLICATION = "tests.clients.methods_app:create_app"


@dataclass(frozen=True, slots=True)
class Running:
    """The served application, and what its clients are told."""

    environ: dict[str, str]
    log: Path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An application in development, which needs no mail server."""
    folder = tmp_path_factory.mktemp("administration")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTERO_", "JWT_", "FLASK_"))}
    path = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    environ = {**kept, "METHODS_URL": f"sqlite:///{folder}/portero.db", "PYTHONPATH": path}
    command = [sys.executable, "-m", "portero", "--app", APPLICATION]
    port, log = free_port(), folder / "serve.log"
    serve = [*command, "serve", "--workers", "1", "--port", str(port)]
    with served(serve, port=port, path="/auth/v1/health", environ=environ, cwd=folder, log=log) as base:
        keys = {}
        for name, kind in (("KEY", "secret"), ("PUBLIC", "publishable")):
            made = subprocess.run(
                [*command, "keys", "api", "new", kind],
                env=environ,
                cwd=folder,
                capture_output=True,
                text=True,
                check=True,
            )
            keys[name] = made.stdout.split()[-1]
        yield Running({**environ, **keys, "BASE": base}, log)


def _told(done: subprocess.CompletedProcess[str], running: Running) -> list[str]:
    """Give what a program printed, and for the case that it failed why."""
    why = "" if done.returncode == 0 else f"{done.stderr}\nThe server: {tail(running.log)}"
    return [*done.stdout.splitlines(), why]


@pytest.fixture(scope="module")
def in_javascript(running: Running, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the steps through supabase-js print."""
    folder = tmp_path_factory.mktemp("javascript")
    done = node_packages.run(HERE / "administration.mjs", folder, running.environ)
    return _told(done, running)


@pytest.fixture(scope="module")
def in_python(running: Running) -> list[str]:
    """What the steps through supabase-py print."""
    command = [sys.executable, str(HERE / "administration.py")]
    done = subprocess.run(command, env=running.environ, capture_output=True, text=True, check=False)
    return _told(done, running)


@pytest.mark.parametrize("step", STEPS)
def test_supabase_js(in_javascript: list[str], step: str) -> None:
    """Each step holds in JavaScript."""
    assert f"ok {step}" in in_javascript, in_javascript


@pytest.mark.parametrize("step", STEPS)
def test_supabase_py(in_python: list[str], step: str) -> None:
    """Each step holds in Python."""
    assert f"ok {step}" in in_python, in_python
