"""One connection to PostgreSQL as libpq has it: prepared statements, psycopg's adapters, several in one round trip.

psycopg's cursors cost more than many a statement does: they are made anew, parse the text, and wait in Python. Here
libpq runs a statement by itself (`psycopg.pq`), prepared at its second use on a connection, while psycopg's adapters
turn values into PostgreSQL's and back, so that a value looks as it does everywhere else.

A statement whose answer only has to be judged before the next one's counts is sent together with it (`run_before`).
Its judge speaks first, and nothing is committed before it has. Statements that a pooler between us and the server has
forgotten are run unprepared. It never makes SQL, and ends no transaction but one in which nothing was run yet.
"""

from __future__ import annotations

import secrets
import select
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

from psycopg import errors, pq
from psycopg.adapt import Transformer

from portero.errors import DatabaseUnavailable
from portero.store.driver_calls import Again
from portero.store.long_statements import LONGEST_KEPT
from portero.store.postgresql_statements import Bound, Context, Document, Outcome, Parameters, Shared, Statement

Judge = Callable[[list[tuple[Any, ...]]], None]
#: Texts that a connection keeps prepared (the server keeps a plan for each, in each of its processes), each for so many
#: combinations of its values' types; and texts that were run once: whoever asks something new again and again pushes
#: out only these.
MOST_PREPARED: Final = 128
_MOST_WAYS = 4
_MOST_SEEN = 256
_LONGEST_SILENCE = 15.0
#: The server does not know the prepared statement; its table was altered so that it would answer with other types, if
#: the place in the server is this one: others refuse with that code what they do not support.
_UNKNOWN, _ALTERED, _ALTERED_IN = b"26000", b"0A000", b"RevalidateCachedQuery"
DONE: Final = pq.ExecStatus.COMMAND_OK
_ROWS: Final = pq.ExecStatus.TUPLES_OK
_FINE: Final = frozenset({DONE, _ROWS})
_IDLE: Final = pq.TransactionStatus.IDLE


class LostConnection(Again):
    """The connection was gone before the statement's answer came."""


class Line:
    """One connection; whoever has it is alone with it.

    Args:
        connection: psycopg's.
        begins: its statements belong into transactions; a missing one is begun in the same round trip.
        longest_silence: seconds without a sign of the server after which the connection is given up; the server's own
            time limits come first.
        shared: what it shares with the other lines of its database.

    Attributes:
        begun: what began the transaction, while nothing was run in it yet: it can be begun anew.
        statements: those it keeps prepared.
    """

    def __init__(
        self,
        connection: Any,
        *,
        begins: bool,
        longest_silence: float = _LONGEST_SILENCE,
        shared: Shared | None = None,
    ) -> None:
        self.connection = connection
        self._shared = shared or Shared()
        self._shared.join(self)
        self._heard = self._shared.altered
        self._begins = begins
        self._longest_silence = longest_silence * 1000
        self._libpq = connection.pgconn
        self._adapters = Transformer(Context(connection))
        self.statements: OrderedDict[str, Statement] = OrderedDict()
        self._seen: OrderedDict[int, None] = OrderedDict()
        # Behind a pooler others prepare on the same server: a name of theirs must never be taken for one of ours.
        self._names = f"portero_{secrets.token_hex(6)}"
        self._named = 0
        self._prepares = True
        self._outdated: list[bytes] = []
        self._waiting: list[tuple[str, Parameters, Judge]] = []
        self.begun: bytes | None = None
        self._poll: Any = None

    def run(self, sql: str, parameters: Parameters) -> Outcome:
        """Run one statement and what waits to go before it; begin a transaction where there has to be one.

        Raises:
            Again: the connection is gone, or the server forgot what was prepared in a transaction.
            psycopg.Error: what the server refused.
            Exception: what a judge raises.
        """
        return self._outcome(self._ran(sql, parameters))

    def document(self, sql: str, parameters: Parameters, *, prepares: bool = True) -> Document:
        """Run a statement whose one row is a JSON document and, behind it, whole numbers or NULL.

        The document is handed on as it came: psycopg would take it apart, and the database would copy it twice to make
        a text of it.

        Args:
            sql: of type `json` is what it gives first.
            parameters: as of `run`.
            prepares: without, it cannot fail for what a prepared statement can (`Again`).

        Raises:
            Again: as `run`.
            psycopg.Error: as `run`.
            Exception: as `run`.
        """
        result = self._ran(sql, parameters, prepares)
        numbers = [result.get_value(0, place) for place in range(1, result.nfields)]
        return result.get_value(0, 0), *[number if number is None else int(number) for number in numbers]

    def _ran(self, sql: str, parameters: Parameters, prepares: bool = True) -> Any:
        if self._waiting or (self._begins and self._libpq.transaction_status == _IDLE):
            return self._run_together(sql, parameters, prepares)
        bound, libpq = self._bound(sql, parameters, prepares), self._libpq
        statement, given, types, formats, name, is_new = bound
        if is_new:
            [result] = self._results([bound])  # prepared and run in one round trip
            self.tidy()
        elif name is None:
            result = libpq.exec_params(statement.text, given, types, formats)
        else:
            result = libpq.exec_prepared(name, given, formats)
        if result.status not in _FINE:
            result = self._run_again(bound, result)
        self.begun = None
        return result

    def run_before(self, sql: str, parameters: Parameters, judge: Judge) -> None:
        """Run a statement together with the next one; its rows are judged before anything is made of that one's."""
        self._waiting.append((sql, parameters, judge))

    def settle(self) -> None:
        """Run what waits; a transaction must not be committed before.

        Raises:
            Again: as `run`.
            psycopg.Error: as `run`.
            Exception: as `run`.
        """
        if self._waiting:
            self._run_together()
        self.begun = None

    @property
    def is_idle(self) -> bool:
        """Whether it is there, in no transaction, and nothing of an answer is still to come."""
        libpq = self._libpq
        is_quiet = not self.is_lost and libpq.pipeline_status == pq.PipelineStatus.OFF
        return is_quiet and bool(libpq.transaction_status == _IDLE)

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return bool(self._libpq.status != pq.ConnStatus.OK)

    def close(self) -> None:
        """Close it."""
        self.connection.close()

    def forget_waiting(self) -> None:
        """Leave away what waits: the transaction is undone."""
        self._waiting.clear()

    def _bound(self, sql: str, parameters: Parameters, prepares: bool = True) -> Bound:
        statement = self.statements.get(sql) if prepares else Statement(sql, is_kept=False)
        if statement is None:
            statement = self._found(sql)
        elif prepares:
            self._shared.hits += 1
            self.statements.move_to_end(sql)
        values, formats = statement.values(parameters), statement.formats
        if len(values) != len(formats):
            raise errors.ProgrammingError(f"a statement of {len(formats)} values was given {len(values)}")
        adapters = self._adapters
        given = adapters.dump_sequence(values, formats)
        types = adapters.types or ()
        if None in given:
            types = statement.typed(given, types)
        name = statement.prepared.get(types)
        is_new = name is None and statement.is_kept and self._prepares
        if is_new:
            self._named += 1
            name = f"{self._names}_{self._named}".encode()
        return Bound(statement, given, types, adapters.formats or (), name, is_new)

    def _run_again(self, bound: Bound, result: Any) -> Any:
        """Run a prepared statement unprepared that the server has forgotten or that no longer fits its tables.

        A pooler that gives each statement another server cannot keep any: after such an answer none is prepared.
        """
        if not self._is_forgotten(bound, result):
            raise self._error(result)
        if self._libpq.transaction_status != _IDLE and not self._is_begun_anew():
            raise Again("the database server forgot a prepared statement")
        result = self._libpq.exec_params(bound.statement.text, bound.given, bound.types, bound.formats)
        if result.status not in _FINE:
            raise self._error(result)
        return result

    def _is_begun_anew(self) -> bool:
        """Begin the transaction again that a forgotten statement ended, if that was the first one in it."""
        begun, self.begun = self.begun, None
        if begun is None:
            return False
        self._libpq.exec_(b"ROLLBACK")
        self.tidy()
        return bool(self._libpq.exec_(begun).status == DONE)

    def _is_forgotten(self, bound: Bound, result: Any) -> bool:
        state, prepared = result.error_field(pq.DiagnosticField.SQLSTATE), bound.statement.prepared
        if state not in (_UNKNOWN, _ALTERED) or bound.types not in prepared:
            return False
        if state == _UNKNOWN:
            # Who forgot one forgot all: each would fail once otherwise.
            self._prepares = False
            for each in (bound.statement, *self.statements.values()):
                each.prepared.clear()
            self._outdated.clear()
            return True
        if result.error_field(pq.DiagnosticField.SOURCE_FUNCTION) != _ALTERED_IN:
            return False
        self._outdated.append(prepared.pop(bound.types))
        if self._heard == self._shared.altered:
            self._shared.altered += 1
        self.tidy()
        return True

    def tidy(self) -> None:
        """Have the server forget what is outdated: between transactions, for a name it lacks would end one."""
        is_current = self._heard == self._shared.altered
        if (is_current and not self._outdated) or self._libpq.transaction_status != _IDLE:
            return
        if not is_current:
            self._heard = self._shared.altered
            for each in self.statements.values():
                self._outdated.extend(each.prepared.values())
                each.prepared.clear()
        while self._outdated and not self.is_lost:
            self._libpq.exec_(b"DEALLOCATE " + self._outdated.pop())

    def _keep(self, bound: Bound, name: bytes) -> None:
        """Note a prepared statement; a text that comes with ever other types pushes out its own ones."""
        statement = bound.statement
        replaced = statement.prepared.pop(bound.types, None)
        if replaced is None and len(statement.prepared) >= _MOST_WAYS:
            replaced = statement.prepared.pop(next(iter(statement.prepared)))
        if replaced is not None:
            self._outdated.append(replaced)
        statement.prepared[bound.types] = name
        statement.learn(bound.types)

    def _run_together(self, sql: str = "", parameters: Parameters = (), prepares: bool = True) -> Any:
        """Send what waits, and the statement if there is one, in one round trip; judge, and give the last result."""
        self.tidy()
        waiting, self._waiting = self._waiting, []
        every = [self._bound(one, values) for one, values, _ in waiting]
        if sql:
            every.append(self._bound(sql, parameters, prepares))
        judges: list[Judge | None] = [judge for _, _, judge in waiting]
        result = None
        for bound, result, judge in zip(every, self._results(every), [*judges, None], strict=False):
            if result.status not in _FINE:
                if not self._is_forgotten(bound, result):
                    raise self._error(result)
                if not self._is_begun_anew():
                    raise Again("the database server forgot a prepared statement")
                self._waiting = waiting
                return self._run_together(sql, parameters, prepares)
            if judge is not None:
                judge(self._outcome(result).rows)
        self.begun = None
        return result

    def _results(self, every: Sequence[Bound]) -> list[Any]:
        """Send statements in one go, a BEGIN before them if it is needed; give the result of each."""
        libpq = self._libpq
        begins = self._begins and libpq.transaction_status == _IDLE
        is_over = False
        try:
            libpq.enter_pipeline_mode()
            if begins:
                libpq.send_query_params(b"BEGIN", None)
            for bound in every:
                self._send(bound)
            libpq.pipeline_sync()
            results = self._received(every, begins)
            is_over = True
        except errors.OperationalError as error:
            raise LostConnection("the database server cannot be reached") from error
        finally:
            if not is_over:
                # Answers may still be on their way, whatever ended the wait for them: nobody may read them as theirs.
                self.close()
            elif not self.is_lost:
                libpq.exit_pipeline_mode()
        if begins:
            begun = results.pop(0)
            if begun.status != DONE:
                raise self._error(begun)
            self.begun = b"BEGIN"
        return results

    def _send(self, bound: Bound) -> None:
        libpq, statement = self._libpq, bound.statement
        if bound.name is None:
            libpq.send_query_params(statement.text, bound.given, bound.types, bound.formats)
            return
        if bound.is_new:
            libpq.send_prepare(bound.name, statement.text, bound.types)
        libpq.send_query_prepared(bound.name, bound.given, bound.formats)

    def _received(self, every: Sequence[Bound], begins: bool) -> list[Any]:
        """Read the results up to the end of the round trip, one a statement, before them that of a BEGIN."""
        results = [self._next()] if begins else []
        for bound in every:
            result = self._next()
            if bound.is_new:
                if result.status == DONE and bound.name is not None:
                    self._keep(bound, bound.name)
                ran = self._next()
                result = ran if result.status == DONE else result
            results.append(result)
        self._wait()
        self._libpq.get_result()  # the end of the round trip
        return results

    def _next(self) -> Any:
        """Read one command's result, and the mark behind it."""
        self._wait()
        result = self._libpq.get_result()
        if result is None:
            raise errors.OperationalError("the connection was lost")
        self._wait()
        self._libpq.get_result()
        return result

    def _wait(self) -> None:
        """Wait until a result is there, while other threads run.

        What the socket did not take at once has to be sent here: libpq keeps it, and the server would wait for it.
        """
        libpq = self._libpq
        while libpq.is_busy():
            if self._poll is None:
                self._poll = select.poll()
                self._poll.register(libpq.socket, select.POLLIN)
            if libpq.flush():
                self._poll.modify(libpq.socket, select.POLLIN | select.POLLOUT)
                moved = self._poll.poll(self._longest_silence)
                self._poll.modify(libpq.socket, select.POLLIN)
            else:
                moved = self._poll.poll(self._longest_silence)
            if not moved:
                raise DatabaseUnavailable("the database server does not answer")
            libpq.consume_input()

    def _found(self, sql: str) -> Statement:
        """Keep a text that was seen before; of a new one remember only that it was there."""
        self._shared.misses += 1
        seen = hash(sql)
        statement = Statement(sql, seen in self._seen and len(sql) <= LONGEST_KEPT)
        if not statement.is_kept:
            self._seen[seen] = None
            if len(self._seen) > _MOST_SEEN:
                self._seen.popitem(last=False)
            return statement
        del self._seen[seen]
        if len(self.statements) >= MOST_PREPARED:
            _, oldest = self.statements.popitem(last=False)
            self._outdated.extend(oldest.prepared.values())
            self.tidy()
        self.statements[sql] = statement
        return statement

    def _outcome(self, result: Any) -> Outcome:
        if result.status == DONE:
            return Outcome([], result.command_tuples or 0)
        adapters, many = self._adapters, result.ntuples
        adapters.set_pgresult(result)
        return Outcome(adapters.load_rows(0, many, tuple), many)

    def _error(self, result: Any) -> Exception:
        refused: Exception = errors.error_from_result(result)
        if not self.is_lost:
            return refused
        lost = LostConnection("the database server cannot be reached")
        lost.__cause__ = refused
        return lost
