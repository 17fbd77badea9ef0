"""SQL expressions that turn a stored value into its wire form; all but `as_it_is` and `cast_to_text` are for SQLite.

SQLite keeps SQLAlchemy's types in forms of its own (a Uuid as 32 hexadecimal digits, an instant as text with a blank),
and these must never reach the wire. Constants are literals, so that a statement carries no parameter for them.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine, UserDefinedType

Expression = sa.ColumnElement[Any]


def _word(text: str) -> Expression:
    return sa.literal_column(f"'{text}'", sa.Text())


def _number(value: int) -> Expression:
    return sa.literal_column(str(value), sa.Integer())


def _text(value: Expression) -> Expression:
    return sa.type_coerce(value, sa.Text())


def _part(value: Expression, start: int, length: int | None = None) -> Expression:
    places = [_number(start)] if length is None else [_number(start), _number(length)]
    return sa.func.substr(_text(value), *places, type_=sa.Text())


def as_it_is(value: Expression) -> Expression:
    """Leave the value to the database's own JSON functions."""
    return value


def cast_to_text(value: Expression) -> Expression:
    """Cast to text."""
    return sa.cast(value, sa.Text())


def boolean_text(value: Expression) -> Expression:
    """Write a boolean as the word true or false."""
    return _of_boolean(value, _word("true"), _word("false"))


def boolean(value: Expression) -> Expression:
    """Write a boolean as JSON's true or false; SQLite reads the two constants once a statement, not once a row."""
    return _of_boolean(value, *(sa.func.json(_word(word), type_=sa.Text()) for word in ("true", "false")))


def _of_boolean(value: Expression, true: Expression, false: Expression) -> Expression:
    whole = sa.type_coerce(value, sa.Integer())
    return sa.case((_number(1), true), (_number(0), false), value=whole)


def uuid(value: Expression) -> Expression:
    """Put the dashes back; `concat_ws` takes half the time of `||`, but makes an empty text of NULL."""
    parts = [_part(value, *place) for place in ((1, 8), (9, 4), (13, 4), (17, 4), (21,))]
    return sa.case((value.is_not(None), sa.func.concat_ws(_word("-"), *parts, type_=sa.Text())))


def hexadecimal(value: Expression) -> Expression:
    r"""Write bytes as PostgreSQL does: `\x` and hexadecimal digits."""
    digits = sa.func.lower(sa.func.hex(value, type_=sa.Text()), type_=sa.Text())
    return sa.case((value.is_not(None), _word("\\x").concat(digits)))


def document(value: Expression) -> Expression:
    """Write stored JSON as JSON; text that is none (written by another program) as a string, so no read fails."""
    text = _text(value)
    shown = sa.case((sa.func.json_valid(text) == _number(1), text), (text.is_not(None), sa.func.json_quote(text)))
    return sa.func.json(shown, type_=sa.Text())


def date(value: Expression) -> Expression:
    """Write a date as it is kept."""
    return _text(value)


def time(value: Expression) -> Expression:
    """Write a time of day without the zeros at the end of its fraction."""
    return _part(value, 1, 8).concat(_fraction(_part(value, 9)))


def local(value: Expression) -> Expression:
    """Write a timestamp without a zone as ISO 8601 with a T, as PostgreSQL's JSON has it."""
    return _moment(value, "T")


def instant(value: Expression) -> Expression:
    """Write an instant (kept as UTC) as ISO 8601 with a T and its offset."""
    return _moment(value, "T").concat(_word("+00:00"))


def local_text(value: Expression) -> Expression:
    """Write a timestamp without a zone as PostgreSQL's text."""
    return _moment(value, " ")


def instant_text(value: Expression) -> Expression:
    """Write an instant as PostgreSQL's text, in UTC."""
    return _moment(value, " ").concat(_word("+00"))


def _moment(value: Expression, between: str) -> Expression:
    """The usual kinds, without a fraction or with SQLAlchemy's six zeros, are told by one look and go the short way."""
    text = _text(value)

    def joined(moment: Expression) -> Expression:
        return moment if between == " " else sa.func.replace(moment, _word(" "), _word(between), type_=sa.Text())

    whole = joined(_part(text, 1, 19))
    return sa.case((_word(".000000"), whole), (_word(""), whole), value=_part(value, 20), else_=_fraction(joined(text)))


def _fraction(value: Expression) -> Expression:
    without_zeros = sa.func.rtrim(value, _word("0"), type_=sa.Text())
    return sa.func.rtrim(without_zeros, _word("."), type_=sa.Text())


class TextOf(UserDefinedType[str]):
    """Text bound as a value of a type that only the database reads (`inet`, `interval`, a range)."""

    cache_ok = True

    def __init__(self, type_: TypeEngine[Any]) -> None:
        self.type_ = type_

    def get_col_spec(self, **options: Any) -> str:
        """Not a column's type: `bind_expression` is all there is to it."""
        return "TEXT"

    def bind_expression(self, bindvalue: sa.BindParameter[str]) -> Expression:
        """Let the database cast the text."""
        return sa.cast(sa.type_coerce(bindvalue, sa.Text()), self.type_)
