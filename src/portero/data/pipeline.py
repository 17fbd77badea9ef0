"""The data API: each kind of request goes to those who answer it, and a refusal becomes an answer here.

A read is HTTP values → `DataRequest` → plan → one statement (`Reads.prepare`) → row → `DataAnswer` (ARCHITECTURE.md,
"Two journeys"). It knows no Flask and no WSGI; `web/wsgi.py` brings the request in and the answer out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from portero.data import batch
from portero.data.answer import error_answer
from portero.data.calls import Around, Calls, session_on
from portero.data.catalogue import Catalogue
from portero.data.execute import (
    FilledRead,
    PreparedRead,
    ResultSet,
    estimated,
    parameters_of,
    result_of,
    run_prepared_on,
)
from portero.data.functions import PREFIX, Functions
from portero.data.nodes import DataAnswer, HttpRequest
from portero.data.openapi import methods_of
from portero.data.read_errors import refusal_of_read
from portero.data.reads import Reads, answered
from portero.data.request import READ_METHODS, model_name, read_request
from portero.data.root import PATHS, Root
from portero.data.shape_budget import Payer
from portero.data.standing import check_session, session_ended, standing_of
from portero.data.timing import Stopwatch
from portero.data.writes import Writes
from portero.errors import DataError
from portero.figures import CacheFigures
from portero.principal import Principal
from portero.settings import Settings
from portero.store.engine import Database


class DataApi:
    """Answers requests to exposed models.

    Args:
        catalogue: the exposed models, built for the database's dialect.
        database: the store; on SQLite opened with `dialects.SQLITE_FUNCTIONS`.
        settings: the limits.
        standing: `store.sessions.standing()`: 1 while the session of `portero_session_id` stands at `portero_now`.
        functions: those served at `/rpc/<name>`.
        around: what a function runs in; the edge gives it an application context.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        database: Database,
        settings: Settings,
        standing: sa.ColumnElement[Any],
        functions: Functions | None = None,
        around: Around = session_on,
    ) -> None:
        self.catalogue = catalogue
        self.database = database
        self.settings = settings
        self.reads = Reads(catalogue, settings, standing)
        self.writes = Writes(database, settings, self.reads, standing)
        self.functions = functions or Functions()
        served = tuple(self.functions.by_name.values())
        self.root = Root(
            catalogue,
            settings.data_path,
            is_served=settings.openapi,
            functions=served,
            most_operations=settings.max_operations,
        )
        self._standing = standing_of(standing, self.reads.sql)
        self.calls = Calls(self.functions, database, settings, self.reads, self._standing, around)
        self.batch = batch.Batch(settings, self.reads, self.writes, self.calls)
        self._driver_error: type[Exception] = database.engine.dialect.loaded_dbapi.Error

    def answer(
        self,
        http: HttpRequest,
        principal: Principal,
        now: datetime,
        watch: Stopwatch | None = None,
        payer: Payer | None = None,
    ) -> DataAnswer:
        """Answer one request; a refusal becomes its answer here.

        Args:
            http: the request.
            principal: who asks; the token is verified, the session is checked here.
            now: aware UTC.
            watch: notes how long each stage took, where somebody asked.
            payer: who pays for a kind of request that is new; None for the application's own, which nobody counts.

        Raises:
            DatabaseUnavailable: the database cannot be asked now.
        """
        try:
            if http.path in PATHS:
                return self.read_root(http, principal, now)
            if http.path.startswith(PREFIX):
                return self.calls.answer(http, principal, now)
            if http.path == batch.PATH:
                return self.batch.answer(http, principal, now, payer)
            if http.method in READ_METHODS:
                return self.read(http, principal, now, watch, payer)
            return self.write(http, principal, now, watch, payer)
        except DataError as refusal:
            return self._refused(refusal, http, principal.role)

    def read(
        self,
        http: HttpRequest,
        principal: Principal,
        now: datetime,
        watch: Stopwatch | None = None,
        payer: Payer | None = None,
    ) -> DataAnswer:
        """Answer GET and HEAD: one statement, whatever the embeds.

        Raises:
            DataError: any refusal of the read path.
        """
        if watch is not None:
            # Only to be measured: the next stage keeps requests whole.
            read_request(http, self.settings)
            watch.mark("parse")
        prepared = self.reads.prepare(http, principal.role, guarded=principal.session_id is not None, payer=payer)
        if watch is not None:
            watch.mark("plan")
        result = self.run(prepared, principal, now)
        if watch is not None:
            watch.mark("transaction")
        if not result.stands:
            raise session_ended()
        return answered(prepared, result, http.method)

    def run(self, prepared: PreparedRead, principal: Principal, now: datetime) -> ResultSet:
        """Run a prepared read.

        Raises:
            DataError: what the database refuses of it.
            DatabaseUnavailable: the database cannot be asked now.
        """
        filled = prepared.filled
        compiled = filled.compiled
        try:
            if compiled.zone is not None:
                # PostgreSQL is told the time zone first, in a transaction of its own.
                with self.database.reading() as connection:
                    return run_prepared_on(connection, prepared, principal, now, self.settings.max_rows)
            rows = self.database.fetch_documents(filled.sql, parameters_of(filled, principal, now))
            result = result_of(filled, rows[0])
            return result if prepared.estimate is None else self._estimated(result, prepared.estimate, principal, now)
        except (self._driver_error, sa.exc.DBAPIError) as error:
            raise refusal_of_read(error) from error

    def _estimated(self, result: ResultSet, estimate: FilledRead, principal: Principal, now: datetime) -> ResultSet:
        """Ask PostgreSQL's planner how many rows there are."""
        plan = self.database.fetch_all(estimate.sql, parameters_of(estimate, principal, now))[0][0]
        return estimated(result, plan, self.settings.max_rows)

    def caches(self) -> dict[str, CacheFigures]:
        """Give the figures of the caches, by what they keep."""
        return self.reads.caches() | self.writes.caches() | self.root.caches()

    def read_root(self, http: HttpRequest, principal: Principal, now: datetime) -> DataAnswer:
        """Answer requests to the root: the OpenAPI document for the caller's role.

        Raises:
            DataError: PGRST303 the session has ended; PGRST106, PGRST107, PGRST117, PGRST126.
        """
        if principal.session_id is not None:
            with self.database.reading() as connection:
                check_session(connection, self._standing, principal, now)
        return self.root.answer(http.method, http.accept, http.accept_profile, principal.role)

    def write(
        self,
        http: HttpRequest,
        principal: Principal,
        now: datetime,
        watch: Stopwatch | None = None,
        payer: Payer | None = None,
    ) -> DataAnswer:
        """Answer POST, PATCH, DELETE, PUT.

        Raises:
            DataError: any refusal of the write path.
        """
        request = self.writes.heads.read(http)
        if watch is None:
            return self.writes.answer(request, principal, now, payer)
        watch.mark("parse")
        watch.mark("plan")
        answer = self.writes.answer(request, principal, now, payer)
        watch.mark("transaction")
        return answer

    def describe(self, path: str, role: str) -> DataAnswer:
        """Answer OPTIONS: what callers of a role may do; the database is not asked."""
        if path in PATHS:
            return self.root.describe()
        if path == batch.PATH:
            return DataAnswer(200, [("Allow", "OPTIONS,POST")])
        try:
            if path.startswith(PREFIX):
                return DataAnswer(200, [("Allow", ",".join(self.functions.find(path).methods))])
            model = self.catalogue.model(model_name(path))
        except DataError as refusal:
            return error_answer(refusal, self.settings.errors)
        return DataAnswer(200, [("Allow", ",".join(methods_of(model, role)))])

    def _refused(self, refusal: DataError, http: HttpRequest, role: str) -> DataAnswer:
        """Answer a refusal; a method that is not served is told the others (RFC 9110 §15.5.6)."""
        answer = error_answer(refusal, self.settings.errors)
        if answer.status == 405:
            answer.headers.extend(each for each in self.describe(http.path, role).headers if each[0] == "Allow")
        return answer
