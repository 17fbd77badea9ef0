"""JSON read so strictly that no two readers can disagree about what it says (RFC 8259, RFC 7515 §4).

Refused: duplicate members, NaN and Infinity, numbers of more than 64 characters, nesting deeper than `max_depth`,
invalid UTF-8, lone surrogates, a byte-order mark. Raises ValueError only, whatever the input.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NoReturn

_LONGEST_NUMBER = 64
# A text without its closing quote counts as one, too: tried again from each quote inside, it would cost the square.
_STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)
_BLANK = " \t\n\r"
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(text: bytes | str, *, max_depth: int = 32, exact: bool = False) -> Any:
    """Read one JSON value; with `exact`, a number with a fraction or an exponent is a Decimal, digit for digit.

    >>> parse(b'{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    >>> parse('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    ValueError: duplicate member 'a'

    Raises:
        ValueError: the text is not strict JSON; the message says why and is safe to show.
    """
    is_decoded = isinstance(text, bytes)
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError("not valid UTF-8") from None
    _check_depth(text, max_depth)
    try:
        value = _read(_EXACT_DECODER if exact else _DECODER, text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos}") from None
    # In UTF-8 they cannot stand as they are.
    if "\\u" in text or (not is_decoded and _SURROGATE.search(text)):
        _refuse_surrogates(value)
    return value


def _read(decoder: json.JSONDecoder, text: str) -> Any:
    """Read as `decoder.decode` does, which looks for blanks with regular expressions and takes twice as long."""
    bare = text.strip(_BLANK)
    try:
        value, end = decoder.scan_once(bare, 0)  # type: ignore[attr-defined]
    except (StopIteration, json.JSONDecodeError):
        end = -1
    # It says what is wrong, and where.
    return value if end == len(bare) else decoder.decode(text)


def _check_depth(text: str, max_depth: int) -> None:
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for token in _STRUCTURE.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > max_depth:
                raise ValueError(f"nested deeper than {max_depth}")
        elif token[0] in "]}":
            depth -= 1


def _refuse_surrogates(value: Any) -> None:
    """A lone surrogate cannot be stored as UTF-8: refuse it here, not in the database driver."""
    match value:
        case str():
            if _SURROGATE.search(value):
                raise ValueError("a lone surrogate is not text")
        case dict():
            for name, member in value.items():
                _refuse_surrogates(name)
                _refuse_surrogates(member)
        case list():
            for member in value:
                _refuse_surrogates(member)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"duplicate member {name!r}")
            seen.add(name)
    return members


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError("a number of more than 64 characters")
    return int(digits)


def _fraction(digits: str) -> float:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError("a number of more than 64 characters")
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number out of range")
    return number


def _exact_fraction(digits: str) -> Decimal:
    _fraction(digits)
    return Decimal(digits)


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)
_EXACT_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_exact_fraction, parse_constant=_constant
)
