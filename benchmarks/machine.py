"""What the figures were measured on: a figure without its machine says nothing."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform
import shutil
import subprocess

PACKAGES = ("portero", "granian", "flask", "flask-jwt-extended", "sqlalchemy", "flask-sqlalchemy", "pysqlite3")


def describe() -> dict[str, str]:
    """Describe processor, system and versions."""
    described = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{_distribution()}, {platform.system()} {platform.release()}, {platform.machine()}",
        "python": platform.python_version(),
        "wrk": _wrk(),
    }
    for name in PACKAGES:
        described[name] = importlib.metadata.version(name)
    return described


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
