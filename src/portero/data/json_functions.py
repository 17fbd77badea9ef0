"""Functions that SQLite lacks, and how texts of the wire become JSON: containment, strict casts, Unicode lower case.

They run inside SQL statements: no I/O, no state, bounded work. A cast that fails raises `ValueError`, which the
statement reports as PostgreSQL's 22P02.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from portero import strict_json
from portero.data.filter_grammar import split_list
from portero.data.literals import FALSE_WORDS, TRUE_WORDS
from portero.data.scanner import Scanner
from portero.errors import DataError

_INTEGER = re.compile(r" *[+-]?[0-9]{1,18} *")
_NUMBER = re.compile(r" *[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})? *")
_MOST_COMPARISONS = 100_000
_LARGEST = 2**63 - 1


def lower(text: Any) -> Any:
    """Lower the case of a text beyond ASCII; other values pass.

    >>> lower("ÄB"), lower(None)
    ('äb', None)

    Letter by letter, as PostgreSQL does: Python makes another sigma at the end of a word, and two letters of an `İ`.

    >>> lower("ΟΔΟΣ"), lower("İZMİR")
    ('οδοσ', 'izmir')
    """
    if not isinstance(text, str):
        return text
    return text.lower() if text.isascii() else text.replace("Σ", "σ").replace("İ", "i").lower()


def integer(value: Any) -> int | None:
    """Read a whole number.

    >>> integer(" 12"), integer(2.5), integer(None)
    (12, 2, None)

    Raises:
        ValueError: it is none.
    """
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return round(value)
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise ValueError("22P02 integer")
    return int(value)


def number(value: Any) -> int | float | None:
    """Read a number.

    >>> number("1.5"), number("7"), number(None)
    (1.5, 7.0, None)

    Raises:
        ValueError: it is none.
    """
    if value is None or isinstance(value, (int, float)):
        return value
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise ValueError("22P02 numeric")
    return float(value)


def boolean(value: Any) -> str | None:
    """Read a truth value, as JSON text.

    >>> boolean("Yes"), boolean(0), boolean(7), boolean(None)
    ('true', 'false', 'true', None)

    Raises:
        ValueError: it is none.
    """
    if value is None:
        return None
    if isinstance(value, int):
        return "true" if value else "false"
    word = str(value).strip().lower()
    if word not in TRUE_WORDS and word not in FALSE_WORDS:
        raise ValueError("22P02 boolean")
    return "true" if word in TRUE_WORDS else "false"


def contains(outer: Any, inner: Any) -> int | None:
    """Say whether one JSON document contains another, as PostgreSQL's `jsonb @>` does.

    >>> contains('{"a":[1,2],"b":3}', '{"a":[2]}'), contains('["x"]', '"x"'), contains("[1]", "[3]")
    (1, 1, 0)

    Raises:
        ValueError: it takes too long to say.
    """
    sides = _documents(outer, inner)
    if sides is None:
        return None
    one, other = sides
    # An array contains a bare primitive at the top, PostgreSQL's one special case.
    wanted = [other] if isinstance(one, list) and not isinstance(other, (list, dict)) else other
    return int(_holds(one, wanted, _Patience()))


def canonical(document: Any) -> Any:
    """Write a JSON document so that equal ones have equal texts; what is none stays.

    >>> canonical('{"b": [1, 2], "a": null}'), canonical(None)
    ('{"a":null,"b":[1,2]}', None)

    SQLite keeps a document that is a number as a number.

    >>> canonical(5)
    '5'
    """
    if isinstance(document, (int, float)):
        return canonical_of(document)
    if not isinstance(document, (str, bytes)):
        return document
    try:
        return canonical_of(orjson.loads(document))
    except orjson.JSONDecodeError:
        return document


def canonical_of(value: Any) -> str:
    """Write a value as `canonical` does.

    Raises:
        DataError: 22003 (400): a whole number of more than 64 bits.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=float).decode()
    except TypeError:
        raise DataError(400, "22003", "a number in the document is out of range") from None


def overlaps(left: Any, right: Any) -> int | None:
    """Say whether two JSON arrays share an element.

    >>> overlaps('["a","b"]', '["b"]'), overlaps("[1]", "[2]"), overlaps('[{"a":1}]', '[{"a":1}]')
    (1, 0, 1)

    Raises:
        ValueError: it takes too long to say.
    """
    sides = _documents(left, right)
    if sides is None:
        return None
    first, second = sides
    if not isinstance(first, list) or not isinstance(second, list):
        return 0
    elements, patience = _Elements(first), _Patience()
    return int(any(elements.has(one) or patience.find(one, elements.containers) for one in second))


def _documents(left: Any, right: Any) -> tuple[Any, Any] | None:
    if left is None or right is None:
        return None
    try:
        return orjson.loads(left), orjson.loads(right)
    except orjson.JSONDecodeError:
        return None


class _Patience:
    """How many comparisons one call may still make: SQLite cannot interrupt a function, however long it runs."""

    def __init__(self) -> None:
        self.left = _MOST_COMPARISONS

    def spend(self, count: int) -> None:
        """Count comparisons.

        Raises:
            ValueError: too many.
        """
        self.left -= count
        if self.left < 0:
            raise ValueError("54001 too many comparisons")

    def find(self, wanted: Any, containers: list[Any]) -> bool:
        """Say whether one of the arrays and objects equals `wanted`."""
        if not isinstance(wanted, (list, dict)):
            return False
        self.spend(len(containers))
        return wanted in containers


class _Elements:
    """The elements of an array: a scalar is found at once, whatever the length.

    `{1,2}` gives texts, also where the stored array holds numbers: a text equal to a number's text is the same. So is
    one equal to a truth value's word.
    """

    def __init__(self, elements: list[Any]) -> None:
        self.containers = [each for each in elements if isinstance(each, (list, dict))]
        scalars = [each for each in elements if not isinstance(each, (list, dict))]
        self._words = {str(each).lower() for each in scalars}
        self._truths = {str(each).lower() for each in scalars if isinstance(each, bool)}
        self._plain = {each for each in scalars if not isinstance(each, bool)}
        self._numbers = {str(each) for each in scalars if isinstance(each, (int, float))}

    def has(self, wanted: Any) -> bool:
        """Say whether a scalar is among them."""
        if isinstance(wanted, (list, dict)):
            return False
        if isinstance(wanted, bool):
            return str(wanted).lower() in self._words
        return wanted in self._plain or wanted in self._numbers or str(wanted).lower() in self._truths


def _holds(outer: Any, inner: Any, patience: _Patience) -> bool:
    patience.spend(1)
    if isinstance(outer, dict) and isinstance(inner, dict):
        return all(name in outer and _holds(outer[name], member, patience) for name, member in inner.items())
    if isinstance(outer, list) and isinstance(inner, list):
        elements = _Elements(outer)
        return all(
            elements.has(wanted) or any(_holds(one, wanted, patience) for one in _alike(elements, wanted))
            for wanted in inner
        )
    return _same(outer, inner)


def _alike(elements: _Elements, wanted: Any) -> list[Any]:
    return elements.containers if isinstance(wanted, (list, dict)) else []


def _same(left: Any, right: Any) -> bool:
    """Compare two values as `_Elements` does."""
    if isinstance(left, bool) or isinstance(right, bool):
        return str(left).lower() == str(right).lower()
    if isinstance(right, str) and isinstance(left, (int, float)):
        return bool(str(left) == right)
    return bool(left == right)


def scalar_of(text: str) -> Any:
    """Read a JSON literal to compare with a place in a document: numbers as numbers, texts as texts, the rest as JSON.

    >>> scalar_of("1990"), scalar_of('"x"'), scalar_of('{ "b": 2 }'), scalar_of("true")
    (1990, 'x', '{"b":2}', 1)

    Raises:
        DataError: 22P02 (400).
    """
    value = read_json(text)
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    if isinstance(value, int):
        # Above SQLite's whole numbers there are doubles; its driver would raise OverflowError.
        return int(value) if value <= _LARGEST else float(value)
    return value


def read_json(text: str) -> Any:
    """Read a JSON literal.

    Raises:
        DataError: 22P02 (400).
    """
    try:
        value = strict_json.parse(text)
        orjson.dumps(value)
    except (ValueError, TypeError, RecursionError):
        raise DataError(400, "22P02", "invalid input syntax for type json", details=f"{text[:80]!r}") from None
    return value


def document_text(text: str) -> str:
    """Read what `cs`, `cd`, `ov` compare with: JSON, or an array literal `{a,b}`, as JSON text.

    >>> document_text("{crime,heist}"), document_text('{"studio": "x"}')
    ('["crime","heist"]', '{"studio":"x"}')

    Raises:
        DataError: 22P02 (400).
    """
    try:
        return orjson.dumps(read_json(text)).decode()
    except DataError:
        if not (text.startswith("{") and text.endswith("}")):
            raise
    return orjson.dumps(group_elements(text, 10_000)).decode()


def list_elements(text: str, longest: int) -> list[str]:
    """Take `(a,b)` apart.

    Raises:
        DataError: PGRST100, also when it is longer than `longest`.
    """
    return _bounded(split_list(text), longest)


def group_elements(text: str, longest: int) -> list[str]:
    r"""Take `{a,"b,c"}` apart.

    >>> group_elements('{a,"b,c"}', 10), group_elements("{}", 10)
    (['a', 'b,c'], [])

    Raises:
        DataError: 22P02 not a group; PGRST100 longer than `longest`.
    """
    if not (text.startswith("{") and text.endswith("}")):
        raise DataError(400, "22P02", f'malformed array literal: "{text[:80]}"')
    scanner, found = Scanner(text[1:-1] + ",", "filter"), []
    while not scanner.at_end():
        scanner.skip_blanks()
        if scanner.peek('"'):
            found.append(scanner.quoted())
            scanner.expect(",")
            continue
        end = scanner.text.index(",", scanner.at)
        found.append(scanner.text[scanner.at : end].strip())
        scanner.at = end + 1
    return [] if found == [""] else _bounded(found, longest)


def _bounded(found: list[str], longest: int) -> list[str]:
    if len(found) > longest:
        raise DataError(400, "PGRST100", f"a list is longer than {longest}")
    return found
