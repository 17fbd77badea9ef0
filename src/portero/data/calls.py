"""Calls of functions: one transaction, the caller's session checked in it, the developer's code, then the answer.

A function that is declared read-only runs in a read-only transaction; the others in the one writing transaction, and
whatever fails, the answer included, undoes what they wrote. Functions are the developer's code and as trusted as their
routes: what they do with the session no policy sees; a select they return is planned with its model's policies.

Obeys contract data.md §4.9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from portero import strict_json
from portero.data.answer import VARY, check_affected, not_single, read_answer
from portero.data.execute import ResultSet, compile_read, fill, run_on
from portero.data.filter_grammar import has_operator
from portero.data.function_results import is_set, model_of, one_of, picked, rows_of
from portero.data.functions import PREFIX, Function, Functions
from portero.data.nodes import DataAnswer, DataRequest, HttpRequest
from portero.data.prefer import applied
from portero.data.read_errors import refusal_of_read
from portero.data.reads import Reads
from portero.data.request import RESERVED, check_profile, decode, read_request
from portero.data.row_version import check_no_version
from portero.data.standing import check_session
from portero.data.statement_errors import refusal_of_statement
from portero.data.undone import Undone, is_undone
from portero.errors import DataError
from portero.principal import Principal
from portero.records import dataclass
from portero.settings import Settings
from portero.store.engine import Database
from portero.store.prepared import Prepared

Around = Callable[[sa.Connection, Principal], AbstractContextManager[Session]]
_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_QUERY_WORDS: Final = RESERVED | {"select", "columns", "on_conflict"}


def session_on(connection: sa.Connection, principal: Principal) -> Session:
    """Open a session on a connection; its commit and rollback concern what the function did, no more."""
    return Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One call, read and typed: the function, its arguments, and what is asked of its rows."""

    function: Function
    arguments: Mapping[str, Any]
    request: DataRequest
    method: str


class Calls:
    """Answers requests to `/rpc/<name>`.

    Args:
        functions: those that are served.
        database: the store.
        settings: the limits.
        reads: plans the statements that functions return.
        standing: asks whether the caller's session stands.
        around: what a function runs in: it gives the session, and at the edge an application context.
    """

    def __init__(
        self,
        functions: Functions,
        database: Database,
        settings: Settings,
        reads: Reads,
        standing: Prepared[int | None],
        around: Around = session_on,
    ) -> None:
        self.functions = functions
        self.database = database
        self.settings = settings
        self.reads = reads
        self.standing = standing
        self.around = around

    def answer(self, http: HttpRequest, principal: Principal, now: datetime) -> DataAnswer:
        """Call, and answer.

        Raises:
            DataError: any refusal; nothing is written then.
            DatabaseUnavailable: the database cannot be asked now.
        """
        call = self.read(http, principal.role)
        opened = self.database.reading if call.function.is_read_only else self.database.writing
        try:
            with opened() as connection:
                check_session(connection, self.standing, principal, now)
                answer = self.run(connection, call, principal, now)
                if is_undone(self.settings, call.request.preferences):
                    raise Undone(answer)
        except Undone as undone:
            answer = undone.made
        except sa.exc.DBAPIError as error:
            # A constraint that is checked at the commit.
            raise refusal_of_statement(error) or error from error
        return answer

    def read(self, http: HttpRequest, role: str) -> Call:
        """Find the function and type the arguments; the database is not asked.

        Raises:
            DataError: PGRST101 (405), PGRST102, PGRST202 (404), 42501, 22xxx, and what a read's parser refuses.
        """
        if http.method not in _METHODS:
            raise DataError(405, "PGRST101", f"Cannot use the {http.method[:20]} method on RPC")
        if http.method == "POST":
            check_no_version(http.if_match)
            check_profile(http.content_profile)
            http = http._replace(accept_profile="")
        query = http.query.split("&") if http.query else []
        given: Mapping[str, Any]
        if http.method == "POST":
            given, is_text = _body(http, self.settings.max_json_depth)
            function = self.functions.find(http.path, given)
        else:
            known = self.functions.by_name.get(http.path.removeprefix(PREFIX).removesuffix("/"))
            given, query = _split(query, known)
            is_text, function = True, self.functions.find(http.path, given)
        function.check_caller(role)
        if http.method != "POST" and not function.is_read_only:
            raise DataError(405, "PGRST101", f"Cannot use the {http.method} method on RPC")
        arguments = function.bind(given, is_text=is_text)
        # What is asked of the rows is a read, whatever the method of the call.
        request = read_request(http._replace(method="GET", path=PREFIX[:-1], query="&".join(query)), self.settings)
        return Call(function, arguments, request, http.method)

    def run(self, connection: sa.Connection, call: Call, principal: Principal, now: datetime) -> DataAnswer:
        """Call the function on this connection, and answer.

        Raises:
            DataError: what the function or the database refuses.
        """
        function = call.function
        try:
            with self.around(connection, principal) as session:
                given = {"session": session, "principal": principal}
                also = {name: given[kind] for name, kind in function.given.items()}
                value = function.call(**call.arguments, **also)
                if isinstance(value, sa.Result | sa.ScalarResult):
                    value = value.all()
                session.flush()
                if isinstance(value, sa.Select):
                    value = self._selected(connection, call, value, principal, now)
                session.commit()
        except sa.exc.DBAPIError as error:
            raise refusal_of_statement(error) or error from error
        return self._answered(call, value)

    def _selected(
        self, connection: sa.Connection, call: Call, statement: sa.Select[Any], principal: Principal, now: datetime
    ) -> ResultSet:
        """Run a function's select with its model's policies and what the request asks of it."""
        model = model_of(statement, self.reads.catalogue, call.function.name)
        # Planned and estimated counts of a function's rows are exact: there is no table to estimate.
        shape = replace(call.request.shape, model=model.name, count=call.request.shape.count and "exact")
        plan = self.reads.planner(principal.role).plan(shape)
        plan.root.origin = picked(statement, model, plan.root.policy)
        compiled = compile_read(plan, self.reads.sql, self.reads.limits, None)
        filled = fill(compiled, call.request.values)
        try:
            return run_on(connection, filled, principal, now, prepares=False)
        except sa.exc.DBAPIError as error:
            raise refusal_of_read(error) from error

    def _answered(self, call: Call, value: Any) -> DataAnswer:
        request, media = call.request, call.request.shape.media
        headers = [VARY]
        followed = applied(request.preferences, method=call.method)
        if followed:
            headers.append(("Preference-Applied", followed))
        if value is None and call.function.returns in (None, type(None)):
            return DataAnswer(204, headers)
        if not isinstance(value, ResultSet) and is_set(value):
            value = rows_of(value, request, self.settings.max_rows)
        if isinstance(value, ResultSet):
            check_affected(value.size, request.preferences)
            answer = read_answer(value, media, headers)
        else:
            answer = self._single(request, value, headers)
        if call.method == "HEAD" or request.preferences.returns == "minimal":
            kept = [each for each in answer.headers if call.method == "HEAD" or each[0] != "Content-Type"]
            return DataAnswer(answer.status if call.method == "HEAD" else 204, kept)
        return answer

    def _single(self, request: DataRequest, value: Any, headers: list[tuple[str, str]]) -> DataAnswer:
        """Answer one value; there is nothing to page or to count."""
        if request.preferences.handling == "strict" and request.preferences.max_affected is not None:
            message = "Function must return SETOF or TABLE when max-affected preference is used with handling=strict"
            raise DataError(400, "PGRST128", message)
        shape = request.shape
        value = one_of(value, request)
        if shape.media.kind == "csv":
            if not isinstance(value, dict):
                raise DataError(406, "PGRST107", "None of these media types are available: text/csv")
            return read_answer(ResultSet(orjson.dumps([value]), 1, None, 0, tuple(value)), shape.media, headers)
        if shape.media.kind == "object" and value is None:
            raise not_single(0)
        if isinstance(value, dict) and shape.media.nulls_stripped:
            value = {name: member for name, member in value.items() if member is not None}
        return DataAnswer(200, [("Content-Type", shape.media.name), *headers], orjson.dumps(value))


def _body(http: HttpRequest, deepest: int) -> tuple[Mapping[str, Any], bool]:
    """Read the arguments of a POST; an empty body has none."""
    media = http.content_type.partition(";")[0].strip().lower()
    if not http.body.strip():
        return {}, False
    try:
        if media == "application/x-www-form-urlencoded":
            return dict(parse_qsl(http.body.decode("utf-8"), keep_blank_values=True, errors="strict")), True
        if media not in ("", "application/json"):
            raise DataError(400, "PGRST102", f"Content-Type not acceptable: {media[:100]}")
        value = strict_json.parse(http.body, max_depth=deepest, exact=True)
    except ValueError as error:
        raise DataError(400, "PGRST102", "Empty or invalid json", details=str(error)) from None
    if not isinstance(value, dict):
        raise DataError(400, "PGRST102", "Empty or invalid json", details="The arguments are a JSON object")
    return value, False


def _split(query: list[str], function: Function | None) -> tuple[Mapping[str, str], list[str]]:
    """Tell the arguments of a GET from what is asked of its rows: a parameter's name is always an argument."""
    arguments: dict[str, str] = {}
    rest: list[str] = []
    for part in query:
        name, _, value = part.partition("=")
        name, value = decode(name), decode(value)
        is_argument = function is not None and name in function.parameters
        is_asked = name.rpartition(".")[2] in _QUERY_WORDS or has_operator(value)
        if name and (is_argument or not is_asked):
            arguments[name] = value
        else:
            rest.append(part)
    return arguments, rest
