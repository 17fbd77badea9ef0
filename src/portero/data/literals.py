"""Text of a request read as PostgreSQL reads it: one function a type, text in, Python value out.

PostgreSQL's own input is the measure, on both databases: what it takes is taken, what it refuses is refused with its
SQLSTATE and sentence. Left out: special words for dates (`now`, `infinity`), BC and other styles than ISO 8601, and the
numbers that JSON has no word for (NaN, Infinity).

Obeys contract data.md §4.3 and §4.10; PostgreSQL's documentation, "Data Types".
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from portero import strict_json
from portero.errors import DataError

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?\Z")
_DAY = re.compile(r"([0-9]{4,6})-([0-9]{1,2})-([0-9]{1,2})")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]*)?)?")
_ZONE = re.compile(r"\s*(?:(Z|UTC|GMT)|([+-])([0-9]{1,2})(?::?([0-9]{2})(?::?([0-9]{2}))?)?)\Z", re.IGNORECASE)
_UUID = re.compile(r"\{?[0-9a-fA-F]{4}(?:-?[0-9a-fA-F]{4}){7}\}?\Z")
_OCTAL = re.compile(r"\\(?:\\|([0-3][0-7]{2}))")
_BLANK = " \t\n\r\v\f"

TRUE_WORDS = ("t", "tr", "tru", "true", "y", "ye", "yes", "on", "1")
FALSE_WORDS = ("f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0")

_BITS = {"smallint": 15, "integer": 31, "bigint": 63}
_MOST_DIGITS = 1000  # a longer number is an attack on the arithmetic, not a number
_EXACT = Context(prec=3 * _MOST_DIGITS)  # Python's own stops at 28 digits


def invalid(type_name: str, text: str) -> DataError:
    """Make the refusal 22P02 (22007 for dates and times) of a literal.

    >>> invalid("integer", "x").message
    'invalid input syntax for type integer: "x"'
    """
    code = "22007" if type_name.startswith(("date", "time")) else "22P02"
    return DataError(400, code, f'invalid input syntax for type {type_name}: "{text}"')


def out_of_range(type_name: str, text: str) -> DataError:
    """Make the refusal 22003 of a number."""
    return DataError(400, "22003", f'value "{text}" is out of range for type {type_name}')


def read_text(text: str) -> str:
    """Take any text but one with a NUL, which PostgreSQL cannot keep and SQLite cuts in places (22P05).

    Raises:
        DataError: 22P05 (400).
    """
    if "\0" in text:
        raise DataError(
            400, "22P05", "unsupported Unicode escape sequence", details="\\u0000 cannot be converted to text."
        )
    return text


def read_limited(text: str, length: int, type_name: str) -> str:
    """Take text of at most `length` characters; blanks beyond it are cut, as SQL demands (22001).

    Raises:
        DataError: 22001 (400) longer; 22P05 (400) a NUL.
    """
    read_text(text)
    if len(text) <= length:
        return text
    if text[length:].strip(" "):
        raise DataError(400, "22001", f"value too long for type {type_name}({length})")
    return text[:length]


def read_integer(text: str, type_name: str) -> int:
    """Read a smallint, integer or bigint.

    >>> read_integer(" -12", "integer")
    -12

    Raises:
        DataError: 22P02 (400) no whole number; 22003 (400) out of the type's range.
    """
    digits = read_text(text).strip(_BLANK)
    if not _INTEGER.match(digits):
        raise invalid(type_name, text)
    if len(digits) > _MOST_DIGITS:
        raise out_of_range(type_name, text)
    number, bound = int(digits), 1 << _BITS[type_name]
    if not -bound <= number < bound:
        raise out_of_range(type_name, text)
    return number


def read_numeric(text: str, precision: int | None = None, scale: int | None = None) -> Decimal:
    """Read a numeric, exactly; with a precision it is rounded to the scale as PostgreSQL does, and bounded.

    >>> read_numeric("1.005", 5, 2)
    Decimal('1.01')

    Raises:
        DataError: 22P02 (400) no number; 22003 (400) beyond the precision, or too long to compute with.
    """
    digits = read_text(text).strip(_BLANK)
    if not _DECIMAL.match(digits):
        raise invalid("numeric", text)
    number = Decimal(digits)
    if len(digits) > _MOST_DIGITS or not -_MOST_DIGITS < number.adjusted() < _MOST_DIGITS:
        raise DataError(400, "22003", "value overflows numeric format")
    if precision is None:
        return number
    places = scale or 0
    try:
        number = number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP, context=_EXACT)
    except InvalidOperation:
        raise _field_overflow(precision, places) from None
    if number and number.adjusted() >= precision - places:
        raise _field_overflow(precision, places)
    return number


def _field_overflow(precision: int, scale: int) -> DataError:
    return DataError(
        400,
        "22003",
        "numeric field overflow",
        details=f"A field with precision {precision}, scale {scale} must round to an absolute value less than "
        f"10^{precision - scale}.",
    )


def read_double(text: str) -> float:
    """Read a double precision; an overflow to infinity is refused.

    Raises:
        DataError: 22P02 (400) no number; 22003 (400) an overflow.
    """
    digits = read_text(text).strip(_BLANK)
    if not _DECIMAL.match(digits):
        raise invalid("double precision", text)
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise out_of_range("double precision", text)
    return number


def read_boolean(text: str) -> bool:
    """Read a boolean in any letter case: t, true, yes, on, 1 and their opposites.

    >>> read_boolean("True"), read_boolean("0")
    (True, False)

    Raises:
        DataError: 22P02 (400).
    """
    word = read_text(text).strip(_BLANK).lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise invalid("boolean", text)


def read_uuid(text: str) -> UUID:
    """Read a UUID, with or without dashes and braces.

    Raises:
        DataError: 22P02 (400).
    """
    if not _UUID.match(read_text(text)) or text.startswith("{") != text.endswith("}"):
        raise invalid("uuid", text)
    return UUID(text.strip("{}"))


def read_bytes(text: str) -> bytes:
    r"""Read a bytea: `\x` and hexadecimal digits, or PostgreSQL's escape form.

    >>> read_bytes("\\x00ff")
    b'\x00\xff'

    Raises:
        DataError: 22023 (400) other digits; 22P02 (400) neither form.
    """
    read_text(text)
    if text.startswith("\\x"):
        try:
            return bytes.fromhex(text[2:])
        except ValueError:
            raise DataError(400, "22023", "invalid hexadecimal data") from None
    if "\\" in _OCTAL.sub("", text):
        raise invalid("bytea", text)
    plain = text.encode()
    return re.sub(rb"\\(?:(\\)|([0-3][0-7]{2}))", lambda found: found[1] or bytes([int(found[2], 8)]), plain)


def read_json(text: str, type_name: str) -> Any:
    """Read a JSON document strictly (22P02); NUL inside is refused as in text.

    Raises:
        DataError: 22P02 (400) not strict JSON; 22P05 (400) a NUL.
    """
    try:
        value = strict_json.parse(text)
    except ValueError as error:
        raise DataError(400, "22P02", f"invalid input syntax for type {type_name}", details=str(error)) from None
    if "\\u0000" in text or "\0" in text:
        refuse_nul(value)
    return value


def refuse_nul(value: Any) -> None:
    """Refuse a NUL in any text of a JSON value (22P05).

    Raises:
        DataError: 22P05 (400).
    """
    match value:
        case str():
            read_text(value)
        case dict():
            for name, member in value.items():
                read_text(name)
                refuse_nul(member)
        case list():
            for member in value:
                refuse_nul(member)


def read_date(text: str) -> date:
    """Read a date; a time behind it is dropped, as PostgreSQL does.

    Raises:
        DataError: 22007 (400) no date; 22008 (400) no such day; what `read_timestamp` refuses.
    """
    stripped = read_text(text).strip(_BLANK)
    found = _DAY.match(stripped)
    if found is None:
        raise invalid("date", text)
    if found.end() < len(stripped):
        read_timestamp(text, with_zone=False, type_name="date")
    return _day(found, text)


def _day(found: re.Match[str], text: str) -> date:
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        raise _bad_field(text) from None


def _bad_field(text: str) -> DataError:
    return DataError(400, "22008", f'date/time field value out of range: "{text}"')


def read_time(text: str) -> time:
    """Read a time of day without a zone.

    Raises:
        DataError: 22007 (400) no time; 22008 (400) no such time.
    """
    stripped = read_text(text).strip(_BLANK)
    found = _CLOCK.match(stripped)
    if found is None or found.end() < len(stripped):
        raise invalid("time", text)
    return (datetime.min + _since_midnight(found, text)).time()


def _since_midnight(found: re.Match[str], text: str) -> timedelta:
    hours, minutes, seconds = int(found[1]), int(found[2]), int(found[3] or 0)
    if hours > 24 or minutes > 59 or seconds > 60 or (hours == 24 and (minutes or seconds)):
        raise _bad_field(text)
    fraction = Decimal("0" + (found[4] or ".0").ljust(2, "0"))
    micro = int((fraction * 1_000_000).to_integral_value())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=micro)


def read_timestamp(text: str, *, with_zone: bool, type_name: str = "") -> datetime:
    """Read an instant: aware UTC with a zone, naive without one (an offset in the text is then ignored).

    >>> read_timestamp("2026-01-01T10:00:00+02:00", with_zone=True).isoformat()
    '2026-01-01T08:00:00+00:00'

    Raises:
        DataError: 22007 (400) no instant; 22008 (400) no such day or time; 22009 (400) no such offset.
    """
    type_name = type_name or ("timestamp with time zone" if with_zone else "timestamp")
    stripped = read_text(text).strip(_BLANK)
    day = _DAY.match(stripped)
    if day is None:
        raise invalid(type_name, text)
    moment, rest = timedelta(), stripped[day.end() :]
    clock = _CLOCK.match(rest[1:].lstrip(" ")) if rest[:1] in ("T", "t", " ") else None
    if clock is not None:
        moment = _since_midnight(clock, text)
        rest = rest[1:].lstrip(" ")[clock.end() :]
    zone = _ZONE.match(rest) if rest else None
    if rest and zone is None:
        raise invalid(type_name, text)
    try:
        local = datetime.combine(_day(day, text), time()) + moment
        return (local - _offset(zone, text)).replace(tzinfo=UTC) if with_zone else local
    except OverflowError:
        raise DataError(400, "22008", f'timestamp out of range: "{text}"') from None


def _offset(zone: re.Match[str] | None, text: str) -> timedelta:
    if zone is None or zone[1]:
        return timedelta()
    hours, minutes, seconds = (int(zone[place] or 0) for place in (3, 4, 5))
    if hours > 15 or minutes > 59 or seconds > 59:
        raise DataError(400, "22009", f'time zone displacement out of range: "{text}"')
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return -offset if zone[2] == "-" else offset


def read_array(text: str) -> list[Any]:
    """Read PostgreSQL's `{a,"b c",NULL,{…}}` into nested lists of text and None.

    >>> read_array('{a,"b,c",NULL}')
    ['a', 'b,c', None]

    Raises:
        DataError: 22P02 (400).
    """
    stripped = read_text(text).strip(_BLANK)
    try:
        value, end = _array(stripped, 0)
    except (IndexError, ValueError):
        raise _malformed(text) from None
    if end != len(stripped):
        raise _malformed(text)
    return value


def _malformed(text: str) -> DataError:
    return DataError(400, "22P02", f'malformed array literal: "{text}"')


_DEEPEST_ARRAY = 6  # PostgreSQL's MAXDIM


def _array(text: str, place: int, depth: int = 1) -> tuple[list[Any], int]:
    if text[place] != "{" or depth > _DEEPEST_ARRAY:
        raise ValueError(place)
    place = _skip(text, place + 1)
    values: list[Any] = []
    if text[place] == "}":
        return values, place + 1
    while True:
        value, place = _array(text, place, depth + 1) if text[place] == "{" else _element(text, place)
        values.append(value)
        place = _skip(text, place)
        if text[place] == "}":
            return values, place + 1
        if text[place] != ",":
            raise ValueError(place)
        place = _skip(text, place + 1)


def _skip(text: str, place: int) -> int:
    while text[place] in _BLANK:
        place += 1
    return place


_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE = re.compile(r'(?:[^{}",\\]|\\.)+', re.DOTALL)


def _element(text: str, place: int) -> tuple[str | None, int]:
    quoted = _QUOTED.match(text, place)
    if quoted:
        return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL), quoted.end()
    bare = _BARE.match(text, place)
    if bare is None:
        raise ValueError(place)
    word = bare[0].strip(_BLANK)
    return (None if word.upper() == "NULL" else re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL)), bare.end()
