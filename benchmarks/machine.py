"""What the figures were measured on: a figure without its machine says nothing."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import sqlite3
import subprocess

from benchmarks.peer_setup import INSTALLED, NODE

PACKAGES = ("portero", "granian", "flask", "flask-jwt-extended", "sqlalchemy", "flask-sqlalchemy", "pysqlite3")
_OF_FASTAPI = ("fastapi", "sqlmodel", "uvicorn")
_OF_FASTIFY = ("fastify", "@fastify/jwt", "better-sqlite3")


def describe() -> dict[str, str]:
    """Describe processor, system and versions."""
    described = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "system": f"{_distribution()}, {platform.system()} {platform.release()}, {platform.machine()}",
        "load of the machine at the end": f"{os.getloadavg()[1]:.1f}",
        "python": f"{platform.python_version()} (its SQLite: {sqlite3.sqlite_version})",
        "wrk": _wrk(),
    }
    for name in PACKAGES:
        described[name] = importlib.metadata.version(name)
    return described | _of_peers()


def _of_peers() -> dict[str, str]:
    """Give the versions of the peers that are installed."""
    found = {}
    for site in (INSTALLED / "fastapi").glob("lib/python*/site-packages"):
        for distribution in importlib.metadata.distributions(path=[str(site)]):
            if distribution.name in _OF_FASTAPI:
                found[distribution.name] = distribution.version
    for name in _OF_FASTIFY:
        about = INSTALLED / "fastify" / "node_modules" / name / "package.json"
        if about.exists():
            found[name] = json.loads(about.read_text(encoding="utf-8"))["version"]
    if "fastify" in found:
        asked = subprocess.run([str(NODE), "--version"], capture_output=True, text=True, check=False)
        found["node"] = asked.stdout.strip().removeprefix("v")
    return found


def _processor() -> str:
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.platform()


def _wrk() -> str:
    program = shutil.which("wrk")
    if program is None:
        return "none"
    # It writes its version and ends with status 1.
    return subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stdout.split("[")[0].strip()
