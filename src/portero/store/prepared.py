"""Statements that are written once: SQLAlchemy compiles them at the first use, after that only values go in and out.

Building, keying and wrapping a statement costs SQLAlchemy a hundred microseconds or more, the database often less than
ten. So what each sign-in and each request asks is kept as text with its binders and readers. The types' own conversions
are applied, so a value looks as it does through SQLAlchemy. It holds no values and opens nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import sqlalchemy as sa

from portero.figures import kept
from portero.records import dataclass
from portero.store.driver_calls import line_of, run
from portero.store.engine import Database
from portero.store.hidden_values import HidingDialect
from portero.store.types import quick_binder, quick_reader
from portero.store.wide_rows import columns_of, packed, reader_of, unpacked

Made = TypeVar("Made")
Record = TypeVar("Record")
Process = Callable[[Any], Any]
Conversions = tuple[tuple[int, Process, bool], ...]

#: Of PostgreSQL's `pg_type`.
_FLOAT8 = 701
_NUMERIC = 1700


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement as one database takes it.

    Attributes:
        sql: in the driver's paramstyle.
        names: of the parameters, in order.
        binders: (place, conversion, whether it is asked of None too) of those parameters that have one.
        constants: values that stand in the statement itself, by the names SQLAlchemy gave them.
        readers: the same of those columns that have one.
        is_packed: the columns come as one array: see `wide_rows`.
    """

    sql: str
    names: tuple[str, ...]
    binders: Conversions
    constants: dict[str, Any]
    readers: Conversions
    is_packed: bool

    def parameters(self, values: dict[str, Any]) -> Sequence[Any]:
        given = {**self.constants, **values} if self.constants else values
        # Each write comes through here, and a loop in C takes a third of one in Python.
        return _converted(list(map(given.__getitem__, self.names)), self.binders)

    def read(self, row: Sequence[Any]) -> list[Any]:
        return _converted(unpacked(row[0]) if self.is_packed else list(row), self.readers)


def _converted(values: list[Any], conversions: Conversions) -> list[Any]:
    """Convert in place; None is NULL in Portero's own types, a developer's may make something of it."""
    for place, process, takes_none in conversions:
        value = values[place]
        if value is not None or takes_none:
            values[place] = process(value)
    return values


@dataclass(frozen=True, slots=True)
class Begun:
    """A statement of which one value is still to come, with each run.

    Attributes:
        sql: in the driver's paramstyle.
        parameters: what is known, as the driver takes it.
        places: where the value that is to come belongs.
        process: converts it; None where the driver takes it as it is.
    """

    sql: str
    parameters: list[Any]
    places: tuple[int, ...]
    process: Process | None

    def fetch(self, database: Database, value: Any) -> list[tuple[Any, ...]]:
        """Run a statement that only reads by itself, on the hot path; the rows are given as the driver gives them.

        Raises:
            DatabaseUnavailable: the database cannot be asked now.
        """
        parameters = self.parameters.copy()
        if self.process is not None:
            value = self.process(value)
        for place in self.places:
            parameters[place] = value
        return database.fetch_all(self.sql, parameters)


class Prepared(Generic[Made]):
    """One statement and what is made of each of its rows.

    Args:
        statement: with a `bindparam` for each value; or what gives it for `sqlite` and for `postgresql`.
        make: makes the result from a row's values, as the columns' types give them.
        values: of an INSERT without `values`: the columns that are bound, under their own names.
        dialect: what writes the text, instead of what is usual for the database.
    """

    def __init__(
        self,
        statement: sa.Executable | Callable[[str], sa.Executable],
        make: Callable[[list[Any]], Made],
        values: Sequence[str] | None = None,
        dialect: sa.Dialect | None = None,
    ) -> None:
        self._statement = statement
        self._dialect = dialect
        self._make = make
        self._values = values
        self._texts: dict[str, _Text] = {}

    def all(self, connection: sa.Connection, /, **values: Any) -> list[Made]:
        """Run it inside the connection's transaction and give what its rows make.

        Raises:
            sqlalchemy.exc.DBAPIError: as the database says it.
        """
        text = self._text(connection.dialect.name)
        return [self._make(text.read(row)) for row in run(connection, text.sql, text.parameters(values)).fetchall()]

    def first(self, connection: sa.Connection, /, **values: Any) -> Made | None:
        """Run it like `all`, and give what the first row makes, if there is one."""
        found = self.all(connection, **values)
        return found[0] if found else None

    def changed(self, connection: sa.Connection, /, **values: Any) -> int:
        """Run a statement that gives no rows, inside the connection's transaction; give how many it changed.

        Raises:
            sqlalchemy.exc.DBAPIError: as the database says it.
        """
        text = self._text(connection.dialect.name)
        count: int = run(connection, text.sql, text.parameters(values)).rowcount
        return count

    def judged(self, connection: sa.Connection, judge: Callable[[list[Made]], None], /, **values: Any) -> None:
        """Let `judge` look at what its rows make before the next statement counts, and before the commit.

        Where a round trip is spared by it, both statements are sent together: then `judge` is called with the next one.

        Raises:
            sqlalchemy.exc.DBAPIError: as the database says it.
            Exception: what `judge` raises.
        """
        text = self._text(connection.dialect.name)
        line = line_of(connection)
        if line is None:
            judge(self.all(connection, **values))
            return
        line.run_before(
            text.sql, text.parameters(values), lambda rows: judge([self._make(text.read(row)) for row in rows])
        )

    def fetch(self, database: Database, /, **values: Any) -> list[Made]:
        """Run a statement that only reads by itself, on the hot path.

        Raises:
            DatabaseUnavailable: the database cannot be asked now.
        """
        text = self._text(database.dialect_name)
        return [self._make(text.read(row)) for row in database.fetch_all(text.sql, text.parameters(values))]

    def begun(self, dialect_name: str, last: str, /, **values: Any) -> Begun:
        """Convert all values but that of the parameter `last`, once for many runs."""
        text = self._text(dialect_name)
        places = tuple(place for place, name in enumerate(text.names) if name == last)
        given = {**text.constants, **values, last: None}
        others = tuple(each for each in text.binders if each[0] not in places)
        processes = [process for place, process, _ in text.binders if place in places]
        parameters = _converted([given[name] for name in text.names], others)
        return Begun(text.sql, parameters, places, processes[0] if processes else None)

    def _text(self, dialect_name: str) -> _Text:
        text = self._texts.get(dialect_name)
        if text is None:
            text = self._texts[dialect_name] = self._compiled(dialect_name)
        return text

    def _compiled(self, dialect_name: str) -> _Text:
        statement: Any = self._statement
        if not isinstance(statement, sa.Executable):
            statement = statement(dialect_name)
        dialect = self._dialect or _dialect(dialect_name)
        wide = packed(statement) if dialect_name == "sqlite" else None
        compiled: Any = (statement if wide is None else wide).compile(dialect=dialect, column_keys=self._values)
        written = written_out(compiled)
        binders = _placed((_binder(compiled, name), written.processors.get(name)) for name in written.names)
        constants = {name: written.values[name] for name in written.names if not _is_asked(compiled, name)}
        columns = compiled._result_columns if wide is None else columns_of(statement)
        readers = _placed(_reader(dialect, each.type, wide is not None) for each in columns)
        return _Text(written.sql, written.names, binders, constants, readers, wide is not None)


class WrittenOut(NamedTuple):
    """A compiled statement whose lists are written value by value.

    Attributes:
        sql: in the paramstyle it was compiled for.
        names: of the parameters, in order.
        values: of all parameters; None for those that each execution gives.
        processors: what SQLAlchemy converts each value by.
    """

    sql: str
    names: tuple[str, ...]
    values: Mapping[str, Any]
    processors: Mapping[str, Process]


def written_out(compiled: Any) -> WrittenOut:
    """Give the text of a statement and what goes into it; SQLAlchemy would write lists of `IN` only when it runs."""
    values = compiled.construct_params(_check=False)
    # Of a name that the driver cannot take, the values have the one that stands for it, the places the one it was.
    values.update({name: values[escaped] for name, escaped in compiled.escaped_bind_names.items()})
    processors = compiled._bind_processors
    if not compiled.post_compile_params and not compiled.literal_execute_params:
        return WrittenOut(compiled.string, tuple(compiled.positiontup or ()), values, processors)
    state = compiled._process_parameters_for_postcompile(values)
    names = tuple(state.positiontup or ())
    return WrittenOut(state.statement, names, state.parameters, {**processors, **state.processors})


def inserting(table: sa.Table) -> Prepared[None]:
    """Prepare the insert of one row; every column is bound under its own name."""
    return Prepared(sa.insert(table), _nothing, table.c.keys())


def returning(table: sa.Table, record: type[Record]) -> Prepared[Record]:
    """Prepare the insert of one row that is given back as stored."""
    names = table.c.keys()
    return Prepared(sa.insert(table).returning(*table.c), made_by(record, names), names)


def made_by(record: type[Record], names: Sequence[str]) -> Callable[[list[Any]], Record]:
    """Give the maker of a record, a dataclass without slots whose fields are named like the columns, in any order.

    It fills the record's dictionary at once and goes past the constructor, which sets one field after the other, at ten
    times the cost; so the columns must be all the fields.
    """
    assert {each.name for each in dataclasses.fields(record)} == set(names), "a field would stay empty"  # type: ignore[arg-type]
    assert not hasattr(record, "__slots__"), "a record with slots has no dictionary to fill"

    def make(values: list[Any]) -> Record:
        made = object.__new__(record)
        made.__dict__.update(zip(names, values, strict=True))
        return made

    return make


def altered(record: Record, **values: Any) -> Record:
    """Give a record, as `made_by` makes them, with other values in some fields; `dataclasses.replace` takes longer."""
    different = object.__new__(type(record))
    different.__dict__.update(record.__dict__, **values)
    return different


def changing(statement: sa.Executable | Callable[[str], sa.Executable]) -> Prepared[None]:
    """Prepare a statement that gives no rows, for `changed`."""
    return Prepared(statement, _nothing)


def _is_asked(compiled: Any, name: str) -> bool:
    """Whether each execution gives this parameter; a value of a list has no parameter of its own."""
    return name in compiled.binds and bool(compiled.binds[name].required)


def _binder(compiled: Any, name: str) -> Process | None:
    is_known = compiled.dialect.name == "sqlite" and name in compiled.binds
    return quick_binder(compiled.binds[name].type) if is_known else None


def _reader(dialect: sa.Dialect, kind: Any, is_packed: bool) -> tuple[Process | None, Process | None]:
    reader = reader_of if is_packed else quick_reader
    quick = reader(kind) if dialect.name == "sqlite" else None
    return quick, kind._cached_result_processor(dialect, _number_sent_as(kind))


def _number_sent_as(kind: Any) -> int | None:
    """Give PostgreSQL's number of a column's type where SQLAlchemy asks for it: of numbers with a point."""
    if isinstance(kind, sa.TypeDecorator):
        return _number_sent_as(kind.impl_instance)
    if isinstance(kind, sa.Float):
        return _FLOAT8
    return _NUMERIC if isinstance(kind, sa.Numeric) else None


def _placed(conversions: Iterable[tuple[Process | None, Process | None]]) -> Conversions:
    """Place the quick conversions, which are never asked of None, and SQLAlchemy's where there is no quick one."""
    chosen = [(place, quick or own, quick is None) for place, (quick, own) in enumerate(conversions)]
    return tuple((place, process, takes_none) for place, process, takes_none in chosen if process is not None)


def _nothing(values: list[Any]) -> None:
    return None


@kept("dialects", 2)
def _dialect(name: str) -> sa.Dialect:
    """Give a dialect that compiles for the driver's positional parameters; it is connected to nothing."""
    if name == "sqlite":
        return HidingDialect()
    options: dict[str, Any] = {"paramstyle": "format"}
    return sa.make_url("postgresql+psycopg://").get_dialect()(**options)
