"""What a database refuses while it reads: failed casts, statements too large. The database's own text stays inside."""

from __future__ import annotations

from typing import Final

from portero.errors import DataError

_SQLITE: Final = (
    ("user-defined function raised", "22P02", "invalid input for the type of a value"),
    ("no such table: portero_search_", "PGRST127", "The search index of this column is not there"),
    ("malformed JSON", "22P02", "invalid input syntax for type json"),
    ("JSON cannot hold BLOB", "22P02", "invalid input syntax for type json"),
    ("integer overflow", "22003", "integer out of range"),
    ("pattern too complex", "54000", "the pattern is too complex"),
    ("too large", "54001", "the request is too complex"),
    ("overflow", "54001", "the request is too complex"),
    ("too many", "54001", "the request is too complex"),
    ("too big", "54000", "the answer is too large"),
)
_STATES: Final = {
    "42704": "a name in the request, of a type or of a text search configuration, does not exist",
    "42601": "syntax error in the value of an operator",
    "2201B": "invalid regular expression",
}
#: A column or a table that the database lacks: names come from the catalogue, so no request is at fault.
LACKING: Final = frozenset({"42703", "42P01"})
_CLASSES: Final = {
    "22": "invalid input for the type of a value",
    "42": "an operator is not available for these types",
    "54": "the request is too complex",
}
_NO_MATCH: Final = "No {} matches the given name and argument types. You might need to add explicit type casts."
_NO_OPERATOR: Final = _NO_MATCH.format("operator")


def no_operator(left: str, symbol: str, right: str = "unknown") -> DataError:
    """Make the refusal 42883 (404) of an operator that a type does not have.

    >>> no_operator("integer", "~~").message
    'operator does not exist: integer ~~ unknown'
    """
    return DataError(404, "42883", f"operator does not exist: {left} {symbol} {right}", hint=_NO_OPERATOR)


def no_function(name: str, argument: str) -> DataError:
    """Make the refusal 42883 (404) of a function that a type does not have."""
    return DataError(404, "42883", f"function {name}({argument}) does not exist", hint=_NO_MATCH.format("function"))


def refusal_of_read(error: Exception) -> Exception:
    """Name a driver's error, or SQLAlchemy's around it; one that no request can cause is given back.

    >>> refusal_of_read(RuntimeError("user-defined function raised exception"))
    DataError('22P02: invalid input for the type of a value')
    """
    error = getattr(error, "orig", None) or error
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return _postgresql(error, state)
    text = str(error)
    for mark, code, message in _SQLITE:
        if mark in text:
            return DataError(400, code, message)
    return error


def _postgresql(error: Exception, state: str) -> Exception:
    if state == "XX000" and "tsquery stack too small" in str(error):
        state = "54001"  # more operators one in another than the parser of searches holds
    message = None if state in LACKING else _STATES.get(state) or _CLASSES.get(state[:2])
    if message is None:
        return error
    if state == "42883":
        return DataError(404, state, message, hint=_NO_OPERATOR)
    return DataError(400, state, message)
