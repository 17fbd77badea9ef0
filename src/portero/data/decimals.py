"""`portero.Decimal`: decimals that are exact on SQLite too, and the same on PostgreSQL.

SQLite has no decimals: SQLAlchemy's `Numeric` is a double there. This type is kept as the whole number of its smallest
units (12.50 with two places is 1250), which compares, orders, adds up and is indexed as a number; 18 digits fit into
SQLite's 64 bits. On PostgreSQL it is `numeric(precision, scale)`. On the wire both are the same JSON number, digit for
digit. It never rounds a written value silently beyond what `numeric` does.
"""

from __future__ import annotations

import decimal
from dataclasses import replace
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from portero.data import literals
from portero.data.wire_types import WireType, as_text, wire_type
from portero.errors import ConfigurationError

_MOST_DIGITS: Final = 18
_BEYOND: Final = 1e19
"""Larger than every value that is kept: what is compared with a number that cannot be kept."""
_EXACT: Final = 2**53
Expression = sa.ColumnElement[Any]


class Decimal(sa.TypeDecorator[decimal.Decimal]):
    """A column of exact decimals: `mapped_column(portero.Decimal(10, 2))`.

    Args:
        precision: digits in all, at most 18.
        scale: digits after the point.

    >>> Decimal(10, 2).process_bind_param(decimal.Decimal("12.5"), _SQLITE)
    1250
    >>> Decimal(10, 2).process_result_value(1250, _SQLITE)
    Decimal('12.50')

    Raises:
        ConfigurationError: more digits than fit, or a scale beyond them.
    """

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int = _MOST_DIGITS, scale: int = 2) -> None:
        if not 0 <= scale <= precision <= _MOST_DIGITS or precision < 1:
            raise ConfigurationError(f"portero.Decimal({precision}, {scale}): at most {_MOST_DIGITS} digits fit.")
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Keep it as a whole number on SQLite."""
        plain = sa.BigInteger() if dialect.name == "sqlite" else sa.Numeric(self.precision, self.scale)
        return dialect.type_descriptor(plain)

    def coerce_compared_value(self, op: Any, value: Any) -> sa.types.TypeEngine[Any]:
        """Compare with a number of more places without rounding it."""
        return _Compared(self.precision, self.scale)

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        """Round a value to the scale as PostgreSQL does, and scale it.

        Raises:
            DataError: 22P02 (400) no number; 22003 (400) more digits than the precision.
        """
        if value is None or dialect.name != "sqlite":
            return value
        return _units(literals.read_numeric(as_text(value), self.precision, self.scale), self.scale)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> decimal.Decimal | None:
        """Give the decimal back."""
        if value is None or dialect.name != "sqlite":
            return None if value is None else decimal.Decimal(value)
        return decimal.Decimal(value).scaleb(-self.scale)

    def portero_wire_type(self, dialect: str) -> WireType:
        """Give the wire form: a JSON number with all its places."""
        wire = wire_type(sa.Numeric(self.precision, self.scale), "postgresql")
        if dialect != "sqlite":
            return wire
        write = partial(literals.read_numeric, precision=self.precision, scale=self.scale)
        shown = partial(number_text, scale=self.scale)
        return replace(
            wire,
            parse=lambda text: compared(literals.read_numeric(text), self.scale),
            parse_json=lambda value: _units(write(as_text(value)), self.scale),
            bind_type=_Units(),
            json_sql=lambda held: sa.func.json(shown(held), type_=sa.Text()),
            text_sql=shown,
            scale=self.scale,
        )


class _Units(sa.types.UserDefinedType[Any]):
    """What is bound as it is: units, or what they are compared with."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        """Not a column's type."""
        return "NUMERIC"


class _Compared(sa.TypeDecorator[decimal.Decimal]):
    """The other side of a comparison with a `Decimal`."""

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__()
        self.precision = precision
        self.scale = scale

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Let SQLite's driver pass numbers as they are."""
        return dialect.type_descriptor(_Units() if dialect.name == "sqlite" else sa.Numeric())

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        """Scale the value, unrounded."""
        if value is None or dialect.name != "sqlite":
            return value
        return compared(literals.read_numeric(as_text(value)), self.scale)


def _units(value: decimal.Decimal, scale: int) -> int:
    return int(value.scaleb(scale, _CONTEXT))


_CONTEXT: Final = decimal.Context(prec=2000)
_SQLITE: Final = sa.make_url("sqlite://").get_dialect()()


def compared(value: decimal.Decimal, scale: int) -> int | float:
    """Scale a number that is only compared with: it may have more places, or be larger than any value that is kept.

    >>> [compared(decimal.Decimal(text), 2) for text in ("1.5", "1.505", "-1e30")]
    [150, 150.5, -1e+19]

    Raises:
        DataError: 22003 (400) it has more places, and more digits than a double tells apart.
    """
    scaled = value.scaleb(scale, _CONTEXT)
    if abs(scaled) >= 10**_MOST_DIGITS:
        return _BEYOND if scaled > 0 else -_BEYOND
    whole = int(scaled.to_integral_value(decimal.ROUND_FLOOR, _CONTEXT))
    if whole == scaled:
        return whole
    if abs(whole) < _EXACT:
        return float(scaled) if float(scaled) not in (whole, whole + 1) else whole + 0.5
    raise literals.out_of_range("numeric", str(value))


def number_text(held: Expression, scale: int) -> Expression:
    """Write the kept whole number as a decimal's text, on SQLite."""
    if scale == 0:
        return sa.cast(held, sa.Text())
    units = sa.type_coerce(held, sa.BigInteger())
    one = sa.literal_column(str(10**scale), sa.BigInteger())
    size = sa.func.abs(units, type_=sa.BigInteger())
    sign = sa.case((units < sa.literal_column("0"), sa.literal_column("'-'")), else_=sa.literal_column("''"))
    form = sa.literal_column(f"'%s%d.%0{scale}d'", sa.Text())
    text = sa.func.printf(form, sign, size.op("/")(one), size.op("%")(one), type_=sa.Text())
    return sa.case((units.is_not(None), text))
