"""Column types that mean the same on SQLite and PostgreSQL. They hold no rows and open nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from portero.figures import kept
from portero.ids import id_of

#: What a count is raised by, as part of a statement's text: bound, it would be handed over each time.
ONE: Final = sa.literal_column("1", sa.BigInteger)


class UtcDateTime(sa.TypeDecorator[datetime]):
    """An instant: aware UTC in and out, on both databases; kept like SQLAlchemy's own `DateTime`.

    SQLite keeps text without an offset, so an aware value of another zone would lose it silently: every value is
    turned to UTC first, and one without a zone is refused.

    >>> from datetime import timedelta, timezone
    >>> noon = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    >>> UtcDateTime().process_bind_param(noon, None).isoformat()
    '2026-01-01T10:00:00+00:00'
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Turn an aware instant to UTC.

        Raises:
            ValueError: the instant has no zone.
        """
        return None if value is None else _in_utc(value)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Give the stored instant its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class LateJsonb(sa.TypeDecorator[Any]):
    """PostgreSQL's `jsonb`, which is not loaded before a PostgreSQL is spoken to; it converts nothing."""

    impl = sa.JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Give the type itself, as SQLAlchemy asks for it."""
        return dialect.type_descriptor(self.itself())

    @staticmethod
    def itself() -> sa.JSON:
        """Give the type itself."""
        # The words of an optional driver: a start on SQLite would wait for them, a twentieth of its time.
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415

        return postgresql.JSONB(none_as_null=True)


#: A JSON document: text on SQLite, `jsonb` on PostgreSQL. Python's None is SQL's NULL, never JSON's null.
JsonDocument = sa.JSON(none_as_null=True).with_variant(LateJsonb(), "postgresql")

Process = Callable[[Any], Any]
_DECODER: Final = json.JSONDecoder()
_decode: Final = _DECODER.decode
_scan: Final = _DECODER.scan_once  # type: ignore[attr-defined]
#: How many characters SQLAlchemy writes of an instant on SQLite.
_WRITTEN: Final = len("2026-01-01 10:00:00.000000")


def quick_binder(kind: sa.types.TypeEngine[Any]) -> Process | None:
    """Give what turns a value into what SQLite keeps: what SQLAlchemy would make of it, at a fraction of the cost.

    None for a type of which SQLAlchemy's own conversion serves. It is never given None.
    """
    if isinstance(kind, UtcDateTime):
        return _text_of_instant
    if isinstance(kind, sa.Uuid) and kind.as_uuid:
        return _text_of_uuid
    return _text_of_document if _is_document(kind) else None


def quick_reader(kind: sa.types.TypeEngine[Any]) -> Process | None:
    """Give what turns back what SQLite keeps; None where SQLAlchemy's own conversion serves. It is never given None."""
    if isinstance(kind, UtcDateTime):
        return _instant_of
    if isinstance(kind, sa.Uuid) and kind.as_uuid:
        return _uuid_of
    return _document_of if _is_document(kind) else None


@kept("seconds", 2)
def second_of(seconds: int) -> datetime:
    """Give the instant of a whole second; the requests of one second have the same object."""
    return datetime.fromtimestamp(seconds, UTC)


def _is_document(kind: Any) -> bool:
    return type(kind) is sa.JSON and kind.none_as_null


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return value.astimezone(UTC)


def _text_of_instant(value: datetime) -> str:
    # In other zones two instants can be equal to each other: an hour that comes twice.
    return _text_of_utc(value if value.tzinfo is UTC else _in_utc(value))


# One request writes its time into many rows, and the requests of a second ask with one.
@kept("instant_texts", 64)
def _text_of_utc(value: datetime) -> str:
    return value.isoformat(" ", "microseconds")[:_WRITTEN]


# A row says an instant and an id several times over, and so do the rows of one answer.
@kept("text_instants", 1024)
def _instant_of(text: str) -> datetime:
    # Written by somebody else it may have another form, and an offset.
    found = datetime.fromisoformat(text + "+00:00" if len(text) == _WRITTEN else text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _text_of_uuid(value: UUID) -> str:
    return f"{value.int:032x}"  # as `UUID.hex` says it, without a call more


@kept("text_ids", 1024)
def _uuid_of(text: str) -> UUID:
    return id_of(int(text, 16))


def _text_of_document(value: Any) -> str:
    return "{}" if value == {} else json.dumps(value)


def _document_of(text: str) -> Any:
    if text == "{}":
        return {}
    # The scanner in C does all of it, but for what stands around a document that somebody else wrote.
    try:
        found, end = _scan(text, 0)
    except StopIteration:
        return _decode(text)
    return found if end == len(text) else _decode(text)
