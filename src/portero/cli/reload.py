"""Restarting a development server when a file of the project changes.

The server runs as a child; this process only looks at modification times. A child that fails stays down until the next
change, so that a typing error is corrected, not started again and again. On Linux the child is a fork: this process has
loaded everything but the project, and each start is spared that. Once a file that is loaded here has changed, each
child is a process of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import click

_TICK: Final = 0.5
_LEFT_OUT: Final = frozenset({"node_modules", "__pycache__", "instance", "venv"})
_WATCHED: Final = frozenset({".py", ".env"})
#: Elsewhere libraries of the system do not bear it.
_FORKS: Final = sys.platform == "linux"


class Server(Protocol):
    """What is asked of a child; `subprocess.Popen` has it."""

    def poll(self) -> int | None:
        """Give the exit code; None while it runs."""

    def terminate(self) -> None:
        """Ask it to end."""

    def wait(self) -> int:
        """Wait until it ends."""


class Fork:
    """A child that was forked."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Give the exit code; None while it runs."""
        return self._look(os.WNOHANG)

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self._pid, signal.SIGTERM)

    def wait(self) -> int:
        """Wait until it ends."""
        return self._look(0) or 0

    def _look(self, options: int) -> int | None:
        if self._code is None:
            try:
                pid, status = os.waitpid(self._pid, options)
            except ChildProcessError:
                # Whoever started this process lets it ignore its children: the system keeps no code of theirs.
                pid, status = self._pid, 0
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code


def run_and_reload(command: Sequence[str], directory: Path) -> int | None:
    """Run the server, and again after each change below `directory`, until a signal ends this process.

    Args:
        command: this very call, but for whether there is a reloader.
        directory: of the project.

    Returns:
        The exit code for this process; None in one that was forked, which is to go on and serve.
    """
    former, child, forks = signal.signal(signal.SIGTERM, _interrupt), None, _FORKS
    try:
        child = _start(command, forks)
        seen = snapshot(directory)
        while child is not None:
            time.sleep(_TICK)
            now = snapshot(directory)
            if now == seen:
                continue
            changed = sorted({path for path, _ in now ^ seen})
            click.echo(f"  {changed[0]} changed; starting again")
            seen = now
            stop(child)
            forks = forks and not is_loaded(directory / path for path in changed)
            child = _start(command, forks)
    except KeyboardInterrupt:
        # Who ends a whole group may say it twice (timeout, make): the child is waited for all the same.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if child is not None:
            stop(child)
        return 0
    signal.signal(signal.SIGTERM, former)
    return None


def _start(command: Sequence[str], forks: bool) -> Server | None:
    """Start the server; None in the server itself, where it is a fork."""
    if not forks:
        return subprocess.Popen([*command, "--no-reload"])  # noqa: S603 - our own command line
    pid = os.fork()
    return Fork(pid) if pid else None


def is_loaded(paths: Iterable[Path]) -> bool:
    """Tell whether this process has loaded one of the files."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return not files.isdisjoint(str(path.resolve()) for path in paths)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def stop(child: Server) -> None:
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
