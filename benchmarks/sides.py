"""Who is measured: each side with its database, its tokens, what it is asked, and the command that serves it.

Portero's databases are filled anew for every round, because access tokens live an hour; the peers' are copied.
"""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from benchmarks import peer_setup, plain
from benchmarks.data import MANY_USERS, USERS
from benchmarks.load import LOAD_CORE, SERVER_CORE, CouldNotRun, pinned
from benchmarks.postgresql import Server
from benchmarks.workloads import MAKERS, Maker, Tokens
from portero.cli.serve import serve

ROOT = pathlib.Path(__file__).resolve().parents[1]
THROTTLES = ("SIGN_IN", "SIGN_UP", "REFRESH", "UPDATE")
RAISED = 1_000_000_000
REFRESHED = 1_000
ON_POSTGRESQL = ("W1", "W2", "W5")
_READS = ("W0", "W0t", "W1", "W2", "W5", "W8")
_FULL = ("W10", "W3")
_OF_MANY = ("W9", "W6", "W7")
FLOOD = "flood"


@dataclass(frozen=True, slots=True)
class Side:
    """One served application.

    Attributes:
        name: unique among the sides.
        column: where its figures stand in the table.
        workloads: what it is asked.
        command: serves it on the port that stands in place of `{port}`.
        environ: what the command runs in; `{database}` is the path of its SQLite file.
        makers: workload → what is asked.
        tokens: of its users.
        database: the SQLite file it begins with, or None.
        folder: where it runs.
        cores: those it may use.
    """

    name: str
    column: str
    workloads: tuple[str, ...]
    command: tuple[str, ...]
    environ: Mapping[str, str]
    makers: Mapping[str, Maker]
    tokens: Tokens
    database: pathlib.Path | None = None
    folder: pathlib.Path = ROOT
    cores: tuple[int, ...] = (SERVER_CORE,)

    def serving(self, port: int) -> list[str]:
        """Give the command, on its cores."""
        return pinned(*[part.replace("{port}", str(port)) for part in self.command], cores=self.cores)

    def environ_of(self, database: pathlib.Path, port: int) -> dict[str, str]:
        """Give the environment for a copy of the database."""
        return {
            name: value.replace("{database}", str(database)).replace("{port}", str(port))
            for name, value in self.environ.items()
        }


def plain_environ() -> dict[str, str]:
    """Give this process's environment without settings of applications, with a new secret."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTERO_", "JWT_", "FLASK_"))}
    return kept | {"JWT_SECRET_KEY": secrets.token_urlsafe(48)}


def portero_environ(url: str, **settings: str) -> dict[str, str]:
    """Give the environment of a Portero whose throttles count, but have room."""
    raised = {f"PORTERO_THROTTLE_{name}": str(RAISED) for name in THROTTLES}
    return plain_environ() | raised | {"PORTERO_URL": "http://127.0.0.1:8000", "PORTERO_DATABASE_URL": url} | settings


def serve_portero(workers: int, app: str = "benchmarks.portero_app") -> tuple[str, ...]:
    """Give the command that serves Portero, as a user would."""
    python = (sys.executable, "-m", "portero", "--app", app)
    return (*python, "serve", "--port", "{port}", "--workers", str(workers))


def server_options() -> tuple[str, ...]:
    """Give granian's options as `portero serve` has them, for what is to stand behind the same server."""
    threads = next(str(option.default) for option in serve.params if option.name == "threads")
    served = ("--interface", "wsgi", "--workers", "1", "--blocking-threads", threads)
    return (*served, "--runtime-mode", "st", "--log-level", "warning")


def seed_portero(
    environ: Mapping[str, str], tokens: pathlib.Path, *, users: int = USERS, refreshed: int = 0, ended: int = 0
) -> Tokens:
    """Fill the database the environment names, and give its tokens.

    Raises:
        CouldNotRun: it was not filled.
    """
    numbers = [str(number) for number in (users, refreshed, ended)]
    command = [sys.executable, "-m", "benchmarks.seed", str(tokens), *numbers]
    done = subprocess.run(command, cwd=ROOT, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        raise CouldNotRun(f"Portero's database was not filled:\n{done.stdout}{done.stderr}")
    written = json.loads(tokens.read_text(encoding="utf-8"))
    access = {int(number): token for number, token in written["access"].items()}
    first, second = written["refreshed"]
    return Tokens(access, (tuple(first), tuple(second)), tuple(written["ended"]))


@dataclass(slots=True)
class Sides:
    """Makes the sides of each round.

    Args:
        folder: for databases.
        asked: the workloads of the run; what none of them needs is not made.
        ended: how many sessions W7 can end in a round.
        server: a PostgreSQL, or None.
    """

    folder: pathlib.Path
    asked: frozenset[str]
    ended: int
    server: Server | None
    missing: dict[str, str] = field(default_factory=dict)
    _peers: list[Side] = field(default_factory=list)

    def prepare(self) -> None:
        """Set the peers up and fill their databases; say in `missing` what could not be set up, and why."""
        if self.asked == {FLOOD}:
            return
        self._peers += self._flask()
        for column, make in (("fastapi", self._fastapi), ("fastify", self._fastify)):
            try:
                self._peers += make()
            except peer_setup.NotSetUp as error:
                self.missing[column] = str(error)

    def of_round(self, number: int) -> Iterator[Side]:
        """Give all sides of a round, with databases as new."""
        yield from self._peers
        yield from self._portero(number)
        if self.server is not None:
            yield from self._on_postgresql(number, self.server)

    def _peer(self, column: str, command: tuple[str, ...], folder: pathlib.Path = ROOT) -> Side:
        """Fill both sizes of a peer's database, the larger for W9 alone; give the side on the smaller one."""
        environ = plain_environ() | {"DB": "{database}", "PORT": "{port}"}
        for users in (USERS, MANY_USERS):
            plain.fill(self.folder / f"seed-{column}-{users}.db", plain.stored_password(column), users)
        tokens = Tokens(plain.tokens(column, environ["JWT_SECRET_KEY"], USERS))
        database = self.folder / f"seed-{column}-{USERS}.db"
        return Side(column, column, (), command, environ, MAKERS[column], tokens, database, folder)

    def _variants(self, side: Side) -> list[Side]:
        """Give a tutorial's own way, the same written ahead, and the same on more rows."""
        ahead = dict(side.environ) | {"WAL": "1"}
        return [
            replace(side, workloads=(*_READS, "W3d", "W4")),
            replace(side, name=f"{side.name}-full", environ=ahead, workloads=_FULL),
            self._larger(side),
        ]

    def _larger(self, side: Side) -> Side:
        tokens = Tokens(plain.tokens(side.column, side.environ["JWT_SECRET_KEY"], MANY_USERS))
        database = self.folder / f"seed-{side.column}-{MANY_USERS}.db"
        return replace(side, name=f"{side.name}-large", workloads=("W9",), tokens=tokens, database=database)

    def _flask(self) -> list[Side]:
        # One blocking thread is this application's best figure.
        granian = (sys.executable, "-m", "granian", "--interface", "wsgi", "--port", "{port}", "--workers", "1")
        rest = ("--blocking-threads", "1", "--log-level", "warning", "benchmarks.peers.flask_tutorial:app")
        return self._variants(self._peer("flask", (*granian, *rest)))

    def _fastapi(self) -> list[Side]:
        programs = peer_setup.fastapi()
        uvicorn = (str(programs / "uvicorn"), "--host", "127.0.0.1", "--port", "{port}", "--loop", "uvloop")
        rest = ("--http", "httptools", "--log-level", "warning", "--no-access-log", "application:app")
        return self._variants(self._peer("fastapi", (*uvicorn, *rest), peer_setup.PEERS / "fastapi"))

    def _fastify(self) -> list[Side]:
        folder = peer_setup.fastify()
        side = self._peer("fastify", (str(peer_setup.NODE), "server.mjs"), folder)
        side = replace(side, environ=dict(side.environ) | {"NODE_ENV": "production"}, workloads=(*_READS, *_FULL, "W4"))
        kept = dict(side.environ) | {"TOKEN_CACHE": "1"}
        cached = replace(
            side, name="fastify-cache", column="fastify-cache", environ=kept, workloads=("W0", "W0t", "W1", "W2", "W5")
        )
        return [side, cached, self._larger(side)]

    def _portero(self, number: int) -> Iterator[Side]:
        seeds = {}
        sizes = {USERS: 0} | ({MANY_USERS: self.ended} if self.asked & set(_OF_MANY) else {})
        for users, ended in sizes.items():
            database = self.folder / f"seed-portero-{number}-{users}.db"
            environ = portero_environ(f"sqlite:///{database}")
            refreshed = REFRESHED if users == MANY_USERS and "W6" in self.asked else 0
            file = self.folder / "tokens.json"
            tokens = seed_portero(environ, file, users=users, refreshed=refreshed, ended=ended)
            environ["PORTERO_DATABASE_URL"] = "sqlite:///{database}"
            seeds[users] = environ, tokens, database
        environ, tokens, database = seeds[USERS]
        makers = MAKERS["portero"]
        alone = ("W0", "W0t", "W1", "W2", "W2c", "W5", "W8", "W10", "W3", "W4")
        side = Side("portero", "portero", alone, serve_portero(1), environ, makers, tokens, database)
        yield side
        # Two workers are for two cores; the load takes its part of the second one.
        two = replace(side, name="portero-two", column="portero, two workers", cores=(SERVER_CORE, LOAD_CORE))
        yield replace(two, workloads=_FULL, command=serve_portero(2))
        if MANY_USERS in seeds:
            environ, tokens, database = seeds[MANY_USERS]
            larger = replace(side, name="portero-large", environ=environ, tokens=tokens, database=database)
            yield replace(larger, workloads=_OF_MANY)

    def _on_postgresql(self, number: int, server: Server) -> Iterator[Side]:
        url = server.new_database(f"round{number}")
        environ = portero_environ(url)
        tokens = seed_portero(environ, self.folder / "tokens.json")
        makers = MAKERS["portero"]
        column = "portero, PostgreSQL"
        yield Side("portero-pg", column, ON_POSTGRESQL, serve_portero(1), environ, makers, tokens)
        statements = self.folder / f"statements-{number}.pickle"
        write_statements(environ, tokens, statements, ON_POSTGRESQL)
        granian = (sys.executable, "-m", "granian", "--port", "{port}", *server_options())
        alone = plain_environ() | {"STATEMENTS": str(statements), "DSN": server.dsn(f"round{number}")}
        yield Side(
            "psycopg",
            "psycopg alone",
            ON_POSTGRESQL,
            (*granian, "benchmarks.peers.statement_alone:app"),
            alone,
            makers,
            tokens,
        )


def write_statements(environ: Mapping[str, str], tokens: Tokens, file: pathlib.Path, workloads: Sequence[str]) -> None:
    """Write down the statements of all that is asked, for the peer that runs them alone.

    Raises:
        CouldNotRun: Portero did not give them.
    """
    given = file.with_suffix(".json")
    given.write_text(json.dumps(dict(tokens.access)), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.statements", str(given), str(file), *workloads]
    done = subprocess.run(command, cwd=ROOT, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        raise CouldNotRun(f"Portero's statements could not be had:\n{done.stdout}{done.stderr}")


def copied(side: Side, folder: pathlib.Path) -> pathlib.Path:
    """Copy the side's database for one round, over the copy of the round before."""
    copy = folder / f"{side.name}.db"
    if side.database is not None:
        copy_database(side.database, copy)
    return copy


def copy_database(database: pathlib.Path, copy: pathlib.Path) -> None:
    """Copy a SQLite file that nobody has open, with what is written ahead and not yet in it."""
    for suffix in ("", "-wal", "-shm", ".writer"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
    for suffix in ("", "-wal"):
        source = database.with_name(database.name + suffix)
        if source.exists():
            shutil.copy(source, copy.with_name(copy.name + suffix))
