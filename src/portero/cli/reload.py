"""Restarting a development server when a file of the project changes.

The server runs as a child; this process only looks at modification times. A child that fails stays down until the next
change, so that a typing error is corrected, not started again and again.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

_TICK: Final = 0.5
_LEFT_OUT: Final = frozenset({"node_modules", "__pycache__", "instance", "venv"})
_WATCHED: Final = frozenset({".py", ".env"})


def run_and_reload(command: Sequence[str], directory: Path) -> int:
    """Run `command`, and again after each change below `directory`, until a signal ends this process.

    Returns:
        The exit code for this process.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    child = subprocess.Popen(command)  # noqa: S603 - our own command line
    seen = snapshot(directory)
    try:
        while True:
            time.sleep(_TICK)
            now = snapshot(directory)
            if now == seen:
                continue
            changed = sorted({path for path, _ in now ^ seen})
            click.echo(f"  {changed[0]} changed; starting again")
            seen = now
            stop(child)
            child = subprocess.Popen(command)  # noqa: S603 - our own command line
    except KeyboardInterrupt:
        stop(child)
        return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a child gracefully and wait for it."""
    if child.poll() is None:
        child.terminate()
    child.wait()


def snapshot(directory: Path) -> frozenset[tuple[str, int]]:
    """Give every watched file with its modification time."""
    return frozenset((str(path.relative_to(directory)), path.stat().st_mtime_ns) for path in watched(directory))


def watched(directory: Path) -> Iterator[Path]:
    """Walk over the Python files and `.env` below a directory; hidden directories and dependencies are left out."""
    for path in directory.iterdir():
        if path.is_dir():
            if path.name not in _LEFT_OUT and not path.name.startswith("."):
                yield from watched(path)
        elif path.suffix in _WATCHED or path.name in _WATCHED:
            yield path
