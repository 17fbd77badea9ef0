"""Reads, from the request to the row, with the caches that make the usual read cheap (docs/reference/caches.md).

Three caches stand one behind the other, all bounded and all free of callers but for the role: the whole request (path,
query, headers, role) → its filled statement; the request without the values of its comparisons → its template; and
(shape, role) → the compiled statement. A refusal is never kept. A new catalogue is a new `Reads`, so nothing in them
can go stale.

An `lru_cache` keeps whatever its function returns, so what is not to be kept leaves the function as an exception:
`NotKept` brings what was made, `_Unpaid` says that the request is of a new kind, whose planning the caller's budget has
to pay for first. The functions behind the caches are called `…_to_keep`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from sys import getsizeof
from typing import Any

import sqlalchemy as sa

from portero.data.answer import VARY, read_answer
from portero.data.catalogue import Catalogue
from portero.data.dialects import sql_of
from portero.data.execute import (
    CompiledRead,
    Headers,
    PreparedRead,
    ResultSet,
    compile_read,
    fill,
    run_on,
)
from portero.data.keys import key_text
from portero.data.nodes import DataAnswer, DataRequest, HttpRequest, ReadShape
from portero.data.operators import Limits
from portero.data.prefer import applied
from portero.data.read_plan import Planner
from portero.data.read_templates import (
    Template,
    cut,
    decoded_all,
    has_marks,
    location_of,
    marked,
    read_marked,
    template_of,
)
from portero.data.request import read_request
from portero.data.row_version import names_a_row, version_of
from portero.data.shape_budget import KnownKinds, Payer, ShapeBudget
from portero.data.target_names import warnings
from portero.figures import CacheFigures, of_lru
from portero.principal import ANON, SERVICE_ROLE, Principal
from portero.settings import Settings
from portero.weights import NotKept, weight_of

_REQUESTS = 8192
_TEMPLATES = 1024
_STATEMENTS = 1024
_STRANGERS = 1024
#: Bytes of a request that is kept, its statement included, and of a statement that is kept and its shape: everybody can
#: make heavy ones, all different.
_HEAVIEST_REQUEST = 20 * 1024
_HEAVIEST_STATEMENT = 64 * 1024
#: Of the objects around the texts of a request, and of a value in a list.
_OF_A_REQUEST, _OF_AN_ELEMENT = 1024, 64
#: Of the texts around a value in a template.
_OF_A_COMPARISON = 160
#: How many letters a letter of a request is in all that is kept of it: itself, of up to four bytes, and once more in
#: Content-Location, where three letters or twelve may stand for one.
_COPIES, _COPIES_IN_ASCII = 16, 4
#: Characters of a request that is kept: a header that means nothing here takes as much room as one that does.
_LONGEST_KEPT = 2048


def answered(prepared: PreparedRead, result: ResultSet, method: str) -> DataAnswer:
    """Answer a read with what it gave; one whole row has its version."""
    answer = read_answer(result, prepared.media, prepared.headers)
    if prepared.is_row and result.size == 1:
        answer.headers.append(("ETag", version_of(result.body)))
    return DataAnswer(answer.status, answer.headers) if method == "HEAD" else answer


class _Unpaid(Exception):
    """No such request was planned yet, and nobody has paid for it; what was read of it, or with marks, comes along."""

    def __init__(self, request: DataRequest | None = None, marked: DataRequest | None = None) -> None:
        super().__init__()
        self.request = request
        self.marked = marked


class Reads:
    """Plans, keeps and runs reads.

    Args:
        catalogue: the exposed models.
        settings: row, list, pattern and depth limits.
        standing: the column that says whether the caller's session stands.
    """

    def __init__(self, catalogue: Catalogue, settings: Settings, standing: sa.ColumnElement[Any]) -> None:
        self.catalogue = catalogue
        self.settings = settings
        self.standing = standing
        self.sql = sql_of(catalogue.dialect)
        self.limits = Limits(settings.max_list, settings.max_pattern, settings.max_sources)
        self.budget = ShapeBudget(settings.max_new_shapes)
        self._thread = threading.local()
        self._anonymous = KnownKinds(_STRANGERS)
        self._cached_read = lru_cache(_REQUESTS)(self._read_to_keep)
        self._cached_template = lru_cache(_TEMPLATES)(self._template_to_keep)
        self._cached_statement = lru_cache(_STATEMENTS)(self._statement_to_keep)

    def caches(self) -> dict[str, CacheFigures]:
        """Give the figures of requests, templates and statements that are kept, and of what is known of strangers."""
        return {
            "requests": of_lru(self._cached_read.cache_info()),
            "templates": of_lru(self._cached_template.cache_info()),
            "statements": of_lru(self._cached_statement.cache_info()),
            "strange_shapes": self._anonymous.figures(),
            "shape_budgets": self.budget.figures(),
        }

    def prepare(self, http: HttpRequest, role: str, *, guarded: bool, payer: Payer | None = None) -> PreparedRead:
        """Give the filled statement of a read.

        Args:
            http: the request.
            role: the caller's.
            guarded: the caller has a session, which the statement asks for.
            payer: who pays for a kind of request that is new; None for the application's own requests.

        Raises:
            DataError: everything the parser, the planner and the codecs refuse; PORTERO429.
        """
        try:
            return self._cached_read(http, role, guarded)
        except NotKept as large:
            prepared: PreparedRead = large.made
            return prepared
        except _Unpaid as refused:
            unpaid = refused
        self.pay(role, payer)
        with self._paid():
            return self._make(http, role, guarded, unpaid)

    def pay(self, role: str, payer: Payer | None) -> None:
        """Have the caller's budget pay for a kind of request that is new.

        Raises:
            DataError: PORTERO429.
        """
        if payer is not None and role != SERVICE_ROLE:
            self.budget.spend(payer())

    @contextmanager
    def _paid(self) -> Iterator[None]:
        """Let this thread plan what is new: it is paid for."""
        self._thread.has_paid = True
        try:
            yield
        finally:
            self._thread.has_paid = False

    def _read_to_keep(self, http: HttpRequest, role: str, guarded: bool) -> PreparedRead:
        prepared = self._make(http, role, guarded)
        if sum(map(len, http)) > _LONGEST_KEPT or _weight_of_request(http, prepared) > _HEAVIEST_REQUEST:
            raise NotKept(prepared)
        return prepared

    def _make(self, http: HttpRequest, role: str, guarded: bool, unpaid: _Unpaid | None = None) -> PreparedRead:
        """Make a read, of its template if it has one; `unpaid` brings what was read before it was paid for."""
        texts, compared = cut(http.query)
        decoded = decoded_all(compared) if compared and sum(map(len, http)) <= _LONGEST_KEPT else None
        if decoded is not None:
            template = self._template_for(http._replace(query=""), texts, role, guarded, unpaid)
            if template is not None:
                return template.filled(compared, decoded)
        return self._make_without_template(http, role, guarded, None if unpaid is None else unpaid.request)

    def _template_for(
        self, head: HttpRequest, texts: tuple[str, ...], role: str, guarded: bool, unpaid: _Unpaid | None
    ) -> Template | None:
        if unpaid is not None:
            return self._make_template(marked(head, texts), unpaid.marked, role, guarded) if unpaid.marked else None
        try:
            return self._cached_template(head, texts, role, guarded)
        except NotKept as other:
            template: Template | None = other.made
            return template

    def _template_to_keep(self, head: HttpRequest, texts: tuple[str, ...], role: str, guarded: bool) -> Template | None:
        http, count = marked(head, texts), len(texts) // 2
        request = read_marked(http, self.settings)
        if request is None or not has_marks(request, count):
            raise NotKept(None)
        try:
            template = self._make_template(http, request, role, guarded)
        except _Unpaid as unpaid:
            raise _Unpaid(marked=unpaid.request) from None
        weight = template.compiled.weight + _own_weight(http) + count * _OF_A_COMPARISON
        if weight > _HEAVIEST_REQUEST:
            raise NotKept(template)
        return template

    def _make_template(self, http: HttpRequest, request: DataRequest, role: str, guarded: bool) -> Template:
        compiled = self._statement_of(request, role, guarded)
        is_row = names_a_row(request.shape, self.catalogue.model(request.model))
        return template_of(request, compiled, location_of(http), self._more_headers(request), is_row=is_row)

    def _statement_of(self, request: DataRequest, role: str, guarded: bool) -> CompiledRead:
        try:
            return self._statement_of_shape(request.shape, role, guarded)
        except _Unpaid:
            raise _Unpaid(request) from None

    def _make_without_template(
        self, http: HttpRequest, role: str, guarded: bool, request: DataRequest | None = None
    ) -> PreparedRead:
        request = request or read_request(http, self.settings)
        compiled = self._statement_of(request, role, guarded)
        estimate = None if compiled.estimate is None else fill(compiled.estimate, request.values)
        is_row = names_a_row(request.shape, self.catalogue.model(request.model))
        headers = (VARY, ("Content-Location", location_of(http)), *self._more_headers(request))
        return PreparedRead(fill(compiled, request.values), request.shape.media, headers, estimate, is_row)

    def _more_headers(self, request: DataRequest) -> Headers:
        overrides = self.settings.transaction_end.endswith("-override")
        followed = applied(request.preferences, method=request.method, overrides_transaction=overrides)
        preferences = [("Preference-Applied", followed)] if followed else []
        return (*preferences, *warnings(request.shape))

    def _statement_of_shape(self, shape: ReadShape, role: str, guarded: bool) -> CompiledRead:
        """Anybody can make shapes: an anonymous one is kept only when it comes back, so passers-by push nothing out."""
        # Of a stranger's shape its hash is remembered only: the shape itself may be as long as a URL can be.
        if role == ANON and self._anonymous.has_new(shape):
            self._refuse_unpaid()
            self._anonymous.add(shape)
            return self.compile(shape, role, guarded)
        return self._kept_statement(shape, role, guarded)

    def _kept_statement(self, shape: ReadShape, role: str, guarded: bool) -> CompiledRead:
        try:
            return self._cached_statement(shape, role, guarded)
        except NotKept as large:
            compiled: CompiledRead = large.made
            return compiled

    def _refuse_unpaid(self) -> None:
        if not getattr(self._thread, "has_paid", False):
            raise _Unpaid

    def _statement_to_keep(self, shape: ReadShape, role: str, guarded: bool) -> CompiledRead:
        self._refuse_unpaid()
        compiled = self.compile(shape, role, guarded)
        if compiled.weight + weight_of(shape) > _HEAVIEST_STATEMENT:
            raise NotKept(compiled)
        return compiled

    def compile(self, shape: ReadShape, role: str, guarded: bool) -> CompiledRead:
        """Plan a shape for a role and write its statement."""
        plan = self.planner(role).plan(shape)
        compiled = compile_read(plan, self.sql, self.limits, self.standing if guarded else None)
        return replace(compiled, weight=weight_of(compiled))

    def planner(self, role: str) -> Planner:
        """Give the planner of a role."""
        return Planner(
            self.catalogue,
            role,
            self.settings.max_rows,
            self.settings.aggregates,
            by_alias=self.settings.embed_names == "alias",
        )

    def keyed_statement(self, request: DataRequest, role: str, payer: Payer | None = None) -> CompiledRead:
        """Plan the read of rows by their keys, as a write needs it; `payer` as for `prepare`.

        Raises:
            DataError: as a read.
        """
        shape = request.shape.keyed
        try:
            return self._kept_statement(shape, role, False)
        except _Unpaid:
            self.pay(role, payer)
        with self._paid():
            return self._kept_statement(shape, role, False)

    def keyed(
        self,
        connection: sa.Connection,
        request: DataRequest,
        principal: Principal,
        keys: Sequence[Sequence[Any]],
        now: datetime,
    ) -> ResultSet:
        """Read rows back by their keys inside a write's transaction, as the caller may see them.

        Args:
            connection: the writing connection.
            request: the write; its select, filters on embeds, orders of embeds and media count.
            principal: who asks.
            keys: values of `Model.row_key`, in the order of the answer.
            now: aware UTC.

        Raises:
            DataError: as a read.
        """
        compiled = self.keyed_statement(request, principal.role)
        filled = fill(compiled, request.values)
        text = key_text(keys, [key.type for key in self.catalogue.model(request.model).row_key], self.sql)
        return run_on(connection, filled, principal, now, text)


def _own_weight(http: HttpRequest) -> int:
    is_ascii = http.query.isascii() and http.path.isascii()
    return _OF_A_REQUEST + sum(map(len, http)) * (_COPIES_IN_ASCII if is_ascii else _COPIES)


def _weight_of_request(http: HttpRequest, prepared: PreparedRead) -> int:
    """Count a kept request with all that stays as long as it does, shared or not; each with new values comes here."""
    filled, estimate = prepared.filled, prepared.estimate
    own = _own_weight(http) + sum(map(getsizeof, filled.parameters))
    own += _OF_AN_ELEMENT * sum([len(each) for each in filled.parameters if isinstance(each, list | tuple)])
    if filled.sql is not filled.compiled.sql:
        own += getsizeof(filled.sql)
    if estimate is not None:
        own += getsizeof(estimate.sql) + sum(map(getsizeof, estimate.parameters))
    return filled.compiled.weight + own
