"""Several operations in one transaction: `POST /-/batch`, all or nothing. An extension of PostgREST.

Each operation is a request of its own and goes through the stages that it would go through alone, with the same
policies; the session is checked once. Everything that needs no database (names, bodies, values) is done before the
transaction begins. The first refusal undoes all and is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import orjson
import sqlalchemy as sa

from portero import strict_json
from portero.data.answer import JSON_TYPE, error_answer
from portero.data.calls import Call, Calls
from portero.data.execute import PreparedRead, run_prepared_on, set_zone
from portero.data.functions import PREFIX
from portero.data.nodes import DataAnswer, DataRequest, HttpRequest
from portero.data.prefer import parse_prefer
from portero.data.read_errors import refusal_of_read
from portero.data.reads import Reads, answered
from portero.data.request import READ_METHODS, read_request
from portero.data.shape_budget import Payer
from portero.data.standing import check_session
from portero.data.statement_errors import refusal_of_statement
from portero.data.undone import Undone, is_undone
from portero.data.write_plan import WritePlan, wants_rows
from portero.data.writes import Writes
from portero.errors import DataError
from portero.principal import Principal
from portero.records import dataclass
from portero.settings import Settings

PATH: Final = "/-/batch"
_SHOWN: Final = re.compile(r"([0-9]+)-([0-9]+)/")
_MEMBERS: Final = frozenset({"method", "path", "headers", "body"})
_HEADERS: Final = {
    "accept": "accept",
    "prefer": "prefer",
    "range": "range",
    "range-unit": "range_unit",
    "accept-profile": "accept_profile",
    "content-profile": "content_profile",
    "content-type": "content_type",
    "if-match": "if_match",
}
_AROUND: Final = 2
"""How much deeper the JSON of an operation's body stands in the batch's."""
Run = Callable[[sa.Connection], "_Done"]


@dataclass(frozen=True, slots=True)
class _Done:
    """The answer of an operation, and how many rows it gives back."""

    answer: DataAnswer
    rows: int


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation, ready to run; `is_read` is true if it writes nothing, `is_call` if a function is called."""

    run: Run
    is_read: bool
    is_call: bool = False


class _Failed(Exception):
    """An operation was refused: the transaction is undone, and this is the answer."""

    def __init__(self, place: int, refusal: DataError) -> None:
        super().__init__()
        self.place = place
        self.refusal = refusal


class Batch:
    """Runs batches.

    Args:
        settings: the limits; `max_batch` bounds each insert, `max_batch_rows` what all operations give back.
        reads, writes, calls: what runs operations.
    """

    def __init__(self, settings: Settings, reads: Reads, writes: Writes, calls: Calls) -> None:
        self.settings = settings
        self.reads = reads
        self.writes = writes
        self.calls = calls

    def answer(self, http: HttpRequest, principal: Principal, now: datetime, payer: Payer | None = None) -> DataAnswer:
        """Run a batch, and answer each operation, or the refusal of the first that was refused; `payer` as for reads.

        Raises:
            DataError: PGRST117 (405) another method; PGRST102 no list of operations; 54000 (413) too many of them,
                or too many rows to give back; PGRST303 (401) the session has ended.
            DatabaseUnavailable: the database cannot be asked now.
        """
        if http.method != "POST":
            raise DataError(405, "PGRST117", f"Unsupported HTTP method: {http.method[:20]}")
        preferences = parse_prefer(http.prefer)
        try:
            listed = enumerate(_listed(http.body, self.settings))
            operations = [self._operation(place, one, principal, now, payer) for place, one in listed]
            answers = self._run(operations, principal, now, is_kept=not is_undone(self.settings, preferences))
        except _Failed as failed:
            answer = error_answer(failed.refusal, self.settings.errors)
            members = orjson.loads(answer.body) | {"operation": failed.place}
            return DataAnswer(answer.status, answer.headers, orjson.dumps(members))
        return DataAnswer(200, [("Content-Type", JSON_TYPE)], orjson.dumps([_written(each) for each in answers]))

    def _run(
        self, operations: list[_Operation], principal: Principal, now: datetime, *, is_kept: bool
    ) -> list[DataAnswer]:
        database = self.writes.database
        writes = not all(each.is_read for each in operations)

        def work(connection: sa.Connection) -> list[DataAnswer]:
            check_session(connection, self.writes.standing, principal, now)
            answers = list(self._answers(operations, connection))
            if not is_kept:
                raise Undone(answers)
            return answers

        try:
            if not any(each.is_call for each in operations):
                return database.do_alone(work, writes=writes)
            with database.writing() if writes else database.reading() as connection:
                return work(connection)
        except Undone as undone:
            made: list[DataAnswer] = undone.made
            return made
        except sa.exc.DBAPIError as error:
            # What a commit refuses (a constraint that is deferred) belongs to no single operation.
            raise refusal_of_statement(error) or error from error

    def _answers(self, operations: list[_Operation], connection: sa.Connection) -> Iterator[DataAnswer]:
        """Run the operations in order, until they give back too many rows together."""
        left = most = self.settings.max_batch_rows
        for place, operation in enumerate(operations):
            done = _ran(place, operation, connection)
            left -= done.rows
            if left < 0:
                hint = "Ask for fewer rows, or in several batches."
                raise _Failed(place, DataError(413, "54000", f"more than {most} rows to give back", hint=hint))
            yield done.answer

    def _operation(self, place: int, one: Any, principal: Principal, now: datetime, payer: Payer | None) -> _Operation:
        """Do everything of an operation that needs no database."""
        try:
            http = _request(one, self.settings.data_path)
            if http.path.startswith(PREFIX):
                call = self.calls.read(http, principal.role)
                return _Operation(partial(self._call, call, principal, now), call.function.is_read_only, True)
            if http.method in READ_METHODS:
                prepared = self.reads.prepare(http, principal.role, guarded=False, payer=payer)
                return _Operation(partial(self._read, http, prepared, principal, now), is_read=True)
            request = read_request(http, self.settings)
            plan = self.writes.plan(request, principal.role)
            self.writes.pay(plan, principal.role, payer)
            if wants_rows(request):
                self.reads.keyed_statement(request, principal.role, payer)
            return _Operation(partial(self._write, request, plan, principal, now), is_read=False)
        except DataError as refusal:
            raise _Failed(place, refusal) from refusal

    def _call(self, call: Call, principal: Principal, now: datetime, connection: sa.Connection) -> _Done:
        with _read_only(connection) if call.function.is_read_only else nullcontext():
            answer = self.calls.run(connection, call, principal, now)
        return _Done(_in_utc(answer, call.request.shape.zone, connection), _shown_rows(answer))

    def _read(
        self,
        http: HttpRequest,
        prepared: PreparedRead,
        principal: Principal,
        now: datetime,
        connection: sa.Connection,
    ) -> _Done:
        try:
            result = run_prepared_on(connection, prepared, principal, now, self.settings.max_rows)
        except sa.exc.DBAPIError as error:
            raise refusal_of_read(error) from error
        answer = answered(prepared, result, http.method)
        return _Done(_in_utc(answer, prepared.filled.compiled.zone, connection), result.size)

    def _write(
        self, request: DataRequest, plan: WritePlan, principal: Principal, now: datetime, connection: sa.Connection
    ) -> _Done:
        try:
            written = self.writes.perform(connection, request, plan, principal, now)
        except sa.exc.DBAPIError as error:
            raise self.writes.refusal(error, plan, principal) from error
        answer = _in_utc(self.writes.answer_of(request, written), request.shape.zone, connection)
        return _Done(answer, 0 if written.rows is None else written.rows.size)


def _shown_rows(answer: DataAnswer) -> int:
    """A function's rows are those its Content-Range speaks of; without one it gives one value."""
    found = _SHOWN.match(dict(answer.headers).get("Content-Range", ""))
    return 1 if found is None else int(found[2]) - int(found[1]) + 1


def _ran(place: int, operation: _Operation, connection: sa.Connection) -> _Done:
    try:
        return operation.run(connection)
    except DataError as refusal:
        raise _Failed(place, refusal) from refusal


@contextmanager
def _read_only(connection: sa.Connection) -> Iterator[None]:
    """Let a function that is declared read-only write nothing, though its neighbours in the transaction may."""
    if connection.dialect.name == "postgresql":
        with connection.begin_nested():
            # Until the end of the savepoint: PostgreSQL then goes back to what was before.
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            yield
        return
    is_reading = connection.exec_driver_sql("PRAGMA query_only").scalar() == 1
    connection.exec_driver_sql("PRAGMA query_only=ON")
    try:
        yield
    finally:
        if not is_reading:
            connection.exec_driver_sql("PRAGMA query_only=OFF")


def _in_utc(answer: DataAnswer, zone: str | None, connection: sa.Connection) -> DataAnswer:
    """Let the next operation show instants in UTC again: PostgreSQL keeps a zone as long as the transaction."""
    if zone is not None and connection.dialect.name == "postgresql":
        set_zone(connection, "UTC")
    return answer


def _listed(body: bytes, settings: Settings) -> list[Any]:
    """Read the list of operations."""
    try:
        operations = strict_json.parse(body, max_depth=settings.max_json_depth + _AROUND, exact=True)
    except ValueError as error:
        raise DataError(400, "PGRST102", "Empty or invalid json", details=str(error)) from None
    if not isinstance(operations, list):
        raise DataError(400, "PGRST102", "A batch is a list of operations")
    if len(operations) > settings.max_operations:
        message = f"more than {settings.max_operations} operations in one batch"
        raise DataError(413, "54000", message, hint="Send them in several batches.")
    return operations


def _request(one: Any, mount: str) -> HttpRequest:
    """Read one operation: `{"method": …, "path": …, "headers"?: {…}, "body"?: …}`."""
    if not isinstance(one, dict) or not isinstance(one.get("path"), str) or not isinstance(one.get("method"), str):
        raise _bad("An operation is an object with method and path")
    unknown = sorted(one.keys() - _MEMBERS)
    if unknown:
        raise _bad(f"An operation has no member {unknown[0][:100]!r}")
    path, _, query = one["path"].partition("?")
    path = path.removeprefix(mount) if path.startswith(f"{mount}/") else path
    if not path.startswith("/") or path == PATH:
        raise _bad("The path of an operation is a table's, such as /notes?id=eq.1, or a function's")
    try:
        path = unquote_to_bytes(path).decode("utf-8")
        query.encode("utf-8")
    except UnicodeError:
        raise _bad("The path of an operation is not valid UTF-8") from None
    headers = _headers(one.get("headers", {}))
    if parse_prefer(headers.get("prefer", "")).transaction is not None:
        raise _bad("Prefer: tx=… is the batch's own: its operations are kept or undone together")
    body = one.get("body")
    is_text = isinstance(body, str) and "json" not in headers.get("content_type", "json")
    text = b"" if body is None else body.encode() if is_text else orjson.dumps(_as_it_came(body))
    if len(text) and one["method"] in READ_METHODS:
        raise _bad("GET and HEAD have no body")
    return HttpRequest(one["method"], path, query, body=text, **headers)


def _as_it_came(value: Any) -> Any:
    """Let numbers be written as they were read: with all digits, and an exponent where they had one."""
    match value:
        case Decimal():
            return orjson.Fragment(str(value))
        case int() if not isinstance(value, bool):
            return orjson.Fragment(str(value))
        case dict():
            return {name: _as_it_came(member) for name, member in value.items()}
        case list():
            return [_as_it_came(member) for member in value]
    return value


def _headers(given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping) or not all(isinstance(value, str) for value in given.values()):
        raise _bad("The headers of an operation are an object of texts")
    unknown = [name for name in given if name.lower() not in _HEADERS]
    if unknown:
        raise _bad(f"An operation has no header {unknown[0][:100]!r}: the batch's own say who asks")
    return {_HEADERS[name.lower()]: value for name, value in given.items()}


def _bad(message: str) -> DataError:
    return DataError(400, "PGRST102", message)


def _written(answer: DataAnswer) -> dict[str, Any]:
    """Write one answer: its body as JSON where it is JSON, else as text, null without one."""
    headers = dict(answer.headers)
    body: Any = None
    if answer.body:
        is_json = "json" in headers.get("Content-Type", "")
        body = orjson.Fragment(answer.body) if is_json else answer.body.decode("utf-8", "replace")
    return {"status": answer.status, "headers": headers, "body": body}
