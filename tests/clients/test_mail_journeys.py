"""The real clients, pinned, through every mailed link and code, against two workers and their local mail box."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import node_packages
from tests.clients.mail_journey import STEPS
from tests.served import free_port, served, tail

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The application, served; its address and its log."""
    folder = tmp_path_factory.mktemp("mails")
    port, log = free_port(), folder / "serve.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTERO_", "JWT_", "FLASK_"))}
    path = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    environ = {
        **kept,
        "PYTHONPATH": path,
        "MAIL_URL": f"sqlite:///{folder / 'mails.db'}",
        "MAIL_SECRET": secrets.token_urlsafe(48),
    }
    application = "tests.clients.mail_app:create_app"
    command = [sys.executable, "-m", "portero", "--app", application, "serve", "--workers", "2", "--port", str(port)]
    with served(command, port=port, path="/health", environ=environ, cwd=folder, log=log) as base:
        yield base, log


@pytest.fixture(scope="module")
def in_javascript(running: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the journey through supabase-js prints."""
    base, log = running
    folder = tmp_path_factory.mktemp("javascript")
    walked = node_packages.run(HERE / "mail_journey.mjs", folder, os.environ | {"BASE": base})
    return _steps(walked, log)


@pytest.fixture(scope="module")
def in_python(running: tuple[str, Path]) -> str:
    """What the journey through supabase-py prints."""
    base, log = running
    command = [sys.executable, str(HERE / "mail_journey.py")]
    done = subprocess.run(command, env=os.environ | {"BASE": base}, capture_output=True, text=True, check=False)
    return _steps(done, log)


def _steps(done: subprocess.CompletedProcess[str], log: Path) -> str:
    return done.stdout if done.returncode == 0 else f"{done.stdout}{done.stderr}\nThe server: {tail(log)}"


@pytest.mark.parametrize("step", STEPS)
def test_supabase_js(in_javascript: str, step: str) -> None:
    """Each step of the journey in JavaScript holds."""
    assert f"ok {step}" in in_javascript.splitlines(), in_javascript


@pytest.mark.parametrize("step", STEPS)
def test_supabase_py(in_python: str, step: str) -> None:
    """Each step of the journey in Python holds."""
    assert f"ok {step}" in in_python.splitlines(), in_python
