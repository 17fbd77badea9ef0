"""Starts a program that serves HTTP on a free port of this machine, waits until it answers, and ends it for certain."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence


class DidNotStart(Exception):
    """The server ended or did not answer in time; the text is what it wrote."""


def free_port() -> int:
    """Give a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def served(
    command: Sequence[str], *, port: int, path: str, environ: Mapping[str, str], cwd: pathlib.Path, log: pathlib.Path
) -> Iterator[str]:
    """Run the command while the block runs; give the base URL. Any HTTP answer at `path` counts as started."""
    with serving(command, port=port, path=path, environ=environ, cwd=cwd, log=log):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def serving(
    command: Sequence[str], *, port: int, path: str, environ: Mapping[str, str], cwd: pathlib.Path, log: pathlib.Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Do the same; give the process."""
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command, cwd=cwd, env=dict(environ), stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}{path}", log)
            yield process
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: pathlib.Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise DidNotStart(f"the server ended with status {process.returncode}:\n{tail(log)}")
        try:
            urllib.request.urlopen(url, timeout=20).close()
        except urllib.error.HTTPError as answered:
            answered.close()
            if answered.code >= 500:
                raise DidNotStart(f"{url} answers {answered.code}:\n{tail(log)}") from None
        except OSError:
            time.sleep(0.01)
            continue
        return
    raise DidNotStart(f"no answer at {url} in {seconds:.0f} s:\n{tail(log)}")


def tail(log: pathlib.Path, characters: int = 4000) -> str:
    """Give the end of what the server wrote."""
    return log.read_text(encoding="utf-8", errors="replace")[-characters:]


def _end(process: subprocess.Popen[bytes]) -> None:
    # The server leads its own process group: its workers must not outlive it either.
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
