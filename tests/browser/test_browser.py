"""A real browser against the project that `portero new` writes, served for development by two workers.

The application's own page comes from another origin, with the pinned supabase-js in it. To see what a person sees, name
a folder: `SCREENSHOTS=/tmp/shots pytest tests/browser`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import node_packages
from tests.served import free_port, served, tail

HERE = Path(__file__).resolve().parent
LONGEST = 600
MAILED = (
    "a sign-up waits for its mail",
    "the link shows a page with one button, and the button leads back signed in",
    "the same link does nothing more and says so where it leads",
    "a forgotten password is asked for, and its link leads to the form for a new one",
    "the new password is set and the other sessions end at once",
    "the new password signs in, the old one does not",
)
COMPLAINTS = "the browser complained of nothing else"
MAILS = (*[f"{flow}: {step}" for flow in ("implicit", "pkce") for step in MAILED], COMPLAINTS)
TABS = (
    "tabs that refresh at one moment without a lock get one successor",
    "tabs that share the Web Lock refresh once",
    "each holder of the Web Lock who asks for a refresh gets one generation",
    "where the browser has no Web Lock a lock of each tab alone is enough",
    "a tab whose answer was lost asks again and stays signed in",
    "a sign-out in one tab reaches the others",
)
PAGES = (
    "the mail box shows each mail, and its links as links",
    "the page to try the API on shows what nobody may do",
    "a wrong password is told there",
    "who signs in there adds a note and finds it",
    "it shows the document",
    "nothing in it runs that is not its own",
    COMPLAINTS,
)


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PORTERO_", "JWT_", "FLASK_"))}


@dataclass(frozen=True, slots=True)
class Served:
    """The running project: what its browsers are told, and its log."""

    told: Mapping[str, str]
    log: Path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The project, served for development, where addresses are to be confirmed."""
    folder = tmp_path_factory.mktemp("browser")
    portero = [sys.executable, "-m", "portero"]
    subprocess.run([*portero, "new", "shop", "--quiet"], cwd=folder, env=_environ(), check=True)
    project, port, site = folder / "shop", free_port(), f"http://127.0.0.1:{free_port()}"
    new_key = [*portero, "keys", "api", "new", "publishable"]
    made = subprocess.run(new_key, cwd=project, env=_environ(), capture_output=True, text=True, check=True)
    unthrottled = {f"PORTERO_THROTTLE_{name}": "0" for name in ("SIGN_IN", "SIGN_UP", "REFRESH", "UPDATE")}
    environ = _environ() | unthrottled | {"PORTERO_CONFIRM_EMAIL": "yes", "PORTERO_SITE_URL": site}
    command = [*portero, "serve", "--dev", "--no-reload", "--workers", "2", "--port", str(port)]
    log = project / "serve.log"
    with served(command, port=port, path="/auth/v1/health", environ=environ, cwd=project, log=log) as base:
        yield Served({"BASE": base, "SITE": site, "KEY": made.stdout.split()[-1]}, log)


def _walk(script: str, running: Served, folder: Path) -> list[str]:
    """Give what a script prints, and for the case that it fails why."""
    others = [HERE / "browser.mjs", HERE / "page.html"]
    environ = os.environ | node_packages.chromium() | running.told
    done = node_packages.run(HERE / script, folder, environ, *others, timeout=LONGEST)
    why = "" if done.returncode == 0 else f"{done.stderr}\nThe server: {tail(running.log)}"
    return [*done.stdout.splitlines(), why]


@pytest.fixture(scope="module")
def mails(running: Served, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the journeys through mailed links print."""
    return _walk("mails.mjs", running, tmp_path_factory.mktemp("mails"))


@pytest.fixture(scope="module")
def tabs(running: Served, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the steps with many tabs print."""
    return _walk("tabs.mjs", running, tmp_path_factory.mktemp("tabs"))


@pytest.fixture(scope="module")
def pages(running: Served, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the steps on the development server's own pages print."""
    return _walk("pages.mjs", running, tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("step", MAILS)
def test_mailed_links(mails: list[str], step: str) -> None:
    """Each step through a mailed link holds."""
    assert f"ok {step}" in mails, "\n".join(mails)


@pytest.mark.parametrize("step", TABS)
def test_tabs(tabs: list[str], step: str) -> None:
    """Each step with many tabs holds."""
    assert f"ok {step}" in tabs, "\n".join(tabs)


@pytest.mark.parametrize("step", PAGES)
def test_pages(pages: list[str], step: str) -> None:
    """Each step on the development server's own pages holds."""
    assert f"ok {step}" in pages, "\n".join(pages)
