"""SQLite as Portero uses it: one writer per file over all processes, readers that cannot write, fsync at each commit.

It never opens a database in memory, never waits without a bound, and never carries a connection across a fork.
What it obeys: sqlite.org/wal.html, pragma.html (synchronous=FULL), howtocorrupt.html.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from portero import deadline
from portero.errors import ConfigurationError, DatabaseUnavailable
from portero.figures import CacheFigures, CommitFigures
from portero.records import dataclass
from portero.store import forking, long_statements
from portero.store.compiled_statements import MOST_OWN, CompiledStatements
from portero.store.group_commit import GroupCommit, Undo
from portero.store.long_statements import LONGEST_KEPT
from portero.store.sqlite_driver import DRIVER, file_of, is_safe, use_one_library
from portero.store.sqlite_errors import translated, unavailable
from portero.store.sqlite_readers import Clock, Reader, Readers
from portero.store.sqlite_writer import Writer, begun, driver_of, set_for_once
from portero.store.writer_turn import WriterTurn

#: How long a writer waits for its turn, and SQLite for a lock that a foreign program holds.
LONGEST_WAIT = timedelta(seconds=5)
_LONGEST_MIGRATION = timedelta(minutes=10)
_READERS = 32
#: Statements that a connection keeps compiled, of at most `LONGEST_KEPT` characters; and one of SQLAlchemy's pool, of
#: which there may be as many as threads.
_MOST_KEPT, _MOST_KEPT_POOLED = 256, 64
#: How many of SQLite's steps pass between two looks at the clock: some milliseconds; a short statement never looks.
_STEPS = 100_000
#: What SQLite can count; beyond it keeps nothing.
_MOST_CACHE = 2**31 - 1
_JOURNAL_LIMIT = 64 * 1024 * 1024
_WRONG_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR}


Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class SqliteFunction:
    """A function that SQL may call; `deterministic` lets SQLite use it in indexes and call it once for equal input."""

    name: str
    arguments: int
    function: Callable[..., Any]
    deterministic: bool = True


class SqliteFile:
    """One SQLite file, opened by this process on first use."""

    def __init__(
        self,
        url: sa.URL,
        statement_timeout: timedelta,
        longest_wait: timedelta,
        cache: int,
        functions: Sequence[SqliteFunction],
    ) -> None:
        self.path = file_of(url)
        self._limit = statement_timeout.total_seconds()
        self._wait = longest_wait.total_seconds()
        self._cache = f"cache_size=-{min(cache * 1000, _MOST_CACHE)}"  # below zero it is in kibibytes
        self._functions = functions
        self._must_refuse = False
        self._turn = WriterTurn(self.path.with_name(self.path.name + ".writer"))
        self._alone = WriterTurn(self.path.with_name(self.path.name + ".process"))
        use_one_library()
        self._compiled = CompiledStatements(MOST_OWN)
        self.engine = self._make_engine(
            self._connect_reader, pool_size=_READERS, max_overflow=0, pool_use_lifo=True, pool_timeout=2
        )
        sa.event.listen(self.engine, "begin", _begin)
        writers = self._make_engine(self._connect_writer, poolclass=sa.StaticPool)
        self._writer = Writer(writers, self._turn, self._prepare, self._limit, self._wait)
        self._reset()
        forking.watch(self)

    def _reset(self) -> None:
        self._readers = Readers(self._open_reader)
        self._readers_of_long = Readers(lambda: self._open_reader(kept=0))
        self._is_prepared = False
        self._is_carried = False
        self._group = GroupCommit(self._writer.transact, self._writer.run, self._wait)

    # -- reading

    def fetch_all(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Run one reading statement on a connection that is free; all rows at once (an unread cursor would keep it).

        Raises:
            DatabaseUnavailable: see `sqlite_errors`.
        """
        # The same to the end: all may be closed meanwhile, and be others then.
        readers = self._readers if len(sql) <= LONGEST_KEPT else self._readers_of_long
        try:
            reader = readers.free.pop()
        except IndexError:
            reader = readers.another()
        reader.clock.started = time.monotonic()
        try:
            rows: list[tuple[Any, ...]] = reader.cursor.execute(sql, parameters).fetchall()
        except DRIVER.DatabaseError as error:
            raise unavailable(error) or error from error
        finally:
            readers.give_back(reader)
        return rows

    fetch_documents = fetch_all  # a document comes as bytes anyway

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection in one read transaction."""
        with translated(writing=False), self.engine.connect() as connection:
            clock: Clock = connection.info["clock"]
            clock.limit, clock.started = deadline.bounded(self._limit), time.monotonic()
            yield connection
            if long_statements.are_too_many(connection.info):
                connection.invalidate()

    # -- writing

    @contextmanager
    def writing(self, timeout: timedelta | None = None, durable: bool = True) -> Iterator[sa.Connection]:
        """Give the one writing connection in `BEGIN IMMEDIATE`; committed and synced at the end."""
        limit = self._limit if timeout is None else timeout.total_seconds()
        with self._writer.turn(deadline.bounded(limit)) as writer:
            if durable:
                with writer.begin():
                    yield writer
            else:
                with set_for_once(writer, "synchronous", "NORMAL", "FULL"), begun(writer):
                    yield writer

    def write_together(self, work: Callable[[sa.Connection], Made], undo: Undo) -> Made:
        """Do work in a transaction that writers of this process share; see `group_commit`.

        Raises:
            RuntimeError: this thread writes already.
        """
        self._writer.check_not_mine()
        return self._group.write(work, undo)

    def commits(self) -> CommitFigures:
        """Give how many writes shared how many commits since the database was opened."""
        return self._group.figures()

    def caches(self) -> dict[str, CacheFigures]:
        """Give the figures of what SQLAlchemy compiled; of what SQLite compiled the driver tells nothing."""
        return {"own_statements": self._compiled.figures()}

    @contextmanager
    def migrating(self) -> Iterator[sa.Connection]:
        """Give the writing connection with foreign keys checked at the end: dropping a table would empty others.

        Raises:
            ConfigurationError: a row would refer to nothing.
            DatabaseUnavailable: as `writing`.
        """
        with (
            self._writer.turn(_LONGEST_MIGRATION.total_seconds()) as writer,
            set_for_once(writer, "foreign_keys", "OFF", "ON"),
            writer.begin(),
        ):
            yield writer
            broken = writer.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise ConfigurationError(f"The migration would leave rows of {broken[0][0]} that refer to nothing.")

    # -- opening and closing

    def close(self) -> None:
        """Close every connection of this process."""
        with self._writer.mutex:
            self._close()

    def _close(self) -> None:
        self._readers.close()
        self._readers_of_long.close()
        self._writer.drop()
        self.engine.dispose()
        self._turn.close()
        self._alone.close()
        self._reset()

    def before_fork(self) -> None:
        """Close what is idle, so that the child inherits no open SQLite."""
        if self._writer.is_mine():
            self._must_refuse = True
            return
        self._writer.mutex.acquire()
        is_idle = self._readers.close_if_idle() and self._readers_of_long.close_if_idle()
        self._must_refuse = not is_idle or bool(self.engine.pool.checkedout())  # type: ignore[attr-defined]
        if not self._must_refuse:
            self._close()
        self._writer.mutex.release()

    def after_fork(self) -> None:
        """Forget what was inherited; refuse later use where another thread's connection came along."""
        # Whatever another thread opened until the very fork is among it.
        _inherited.append((self._readers, self._readers_of_long, self._writer.after_fork(), self.engine.pool))
        self.engine.dispose(close=False)
        self._turn.after_fork()
        self._alone.after_fork()
        self._reset()
        self._is_carried = self._must_refuse

    def _prepare_once(self) -> None:
        if not self._is_prepared:  # a new reader does not wait for whoever writes now, which may be this very thread
            with self._writer.mutex:
                self._prepare()

    def _prepare(self) -> None:
        """Make the file, private, and switch it to WAL: once a process, one process at a time."""
        if self._is_prepared:
            return
        if self._is_carried:
            raise ConfigurationError("This process was forked while the database was in use: fork before, or spawn.")
        self._make_private()
        if not is_safe(DRIVER.sqlite_version_info):
            self._stay_alone()
        self._turn.take(self._wait)
        try:
            with translated(writing=True):
                connection = self._connect(Clock(self._limit))
                mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
                connection.close()
        finally:
            self._turn.give_back()
        if mode != "wal":
            raise ConfigurationError(f"{self.path} cannot have a write-ahead log: is it on a network file system?")
        self._is_prepared = True

    def _stay_alone(self) -> None:
        try:
            self._alone.take(0)
        except DatabaseUnavailable:
            raise ConfigurationError(
                f"SQLite {DRIVER.sqlite_version} can lose writes when several processes share a file: "
                f"run one worker, or install pysqlite3. Another process has {self.path}."
            ) from None

    def _make_private(self) -> None:
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            for name in ("", "-wal", "-shm", ".writer"):
                _shut(self.path.with_name(self.path.name + name))
        except OSError as error:
            if error.errno in _WRONG_PLACE:
                raise ConfigurationError(f"{self.path} cannot be opened for writing: {error.strerror}.") from None
            raise DatabaseUnavailable("the database file cannot be opened") from error

    def _open_reader(self, kept: int = _MOST_KEPT) -> Reader:
        self._prepare_once()
        clock = Clock(self._limit)
        connection = self._connect(clock, "query_only=ON", "wal_autocheckpoint=0", self._cache, kept=kept)
        return Reader(clock, connection, connection.cursor())

    def _connect_reader(self, clock: Clock) -> Any:
        self._prepare_once()
        return self._connect(clock, "query_only=ON", "wal_autocheckpoint=0", kept=_MOST_KEPT_POOLED)

    def _connect_writer(self, clock: Clock) -> Any:
        return self._connect(clock)

    def _connect(self, clock: Clock, *pragmas: str, kept: int = _MOST_KEPT) -> Any:
        connection = DRIVER.connect(  # `timeout` sets busy_timeout before anything else can meet a lock
            str(self.path), timeout=self._wait, isolation_level=None, cached_statements=kept, check_same_thread=False
        )
        for pragma in (
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "mmap_size=0",
            f"journal_size_limit={_JOURNAL_LIMIT}",
            *pragmas,
        ):
            connection.execute(f"PRAGMA {pragma}").close()  # words of this module only
        for each in self._functions:
            connection.create_function(each.name, each.arguments, each.function, deterministic=each.deterministic)
        connection.set_progress_handler(clock.is_over, _STEPS)
        return connection

    def _make_engine(self, connect: Callable[[Clock], Any], **options: Any) -> sa.Engine:
        def creator(record: Any) -> Any:
            record.info["clock"] = clock = Clock(self._limit)
            return connect(clock)

        made = sa.create_engine(
            f"sqlite:///{self.path}",
            creator=creator,
            hide_parameters=True,
            execution_options=self._compiled.options,
            **options,
        )
        sa.event.listen(made, "after_cursor_execute", _note_long)
        return made


#: Connections that came across a fork, kept so that nothing closes them.
_inherited: list[Any] = []


def _note_long(connection: sa.Connection, _cursor: Any, sql: str, *_: Any) -> None:
    if len(sql) > LONGEST_KEPT:
        long_statements.note(connection, sql)


def _shut(path: Path) -> None:
    """Let nobody else read a file, if it is there: another process's last connection takes it along at any moment."""
    with suppress(FileNotFoundError):
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def _begin(connection: sa.Connection) -> None:
    driver_of(connection).execute("BEGIN").close()
