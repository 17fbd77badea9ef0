"""Column types that mean the same on SQLite and PostgreSQL. They hold no rows and open nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


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
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Give the stored instant its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: A JSON document: text on SQLite, `jsonb` on PostgreSQL. Python's None is SQL's NULL, never JSON's null.
JsonDocument = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
