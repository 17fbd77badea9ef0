"""Bodies of writes, before any column or type is known."""

from __future__ import annotations

from decimal import Decimal

import pytest

from portero.data.payload import Payload, read_payload
from portero.errors import DataError


@pytest.mark.parametrize(
    ("body", "columns", "expected"),
    [
        (b'{"a": 1}', None, Payload(("a",), ({"a": 1},))),
        (b' [{"b": 1, "a": 2}, {"a": 3, "b": 4}] ', None, Payload(("b", "a"), ({"b": 1, "a": 2}, {"a": 3, "b": 4}))),
        (b'[{"a": 1}, {"b": 2}]', ("b", "a", "b"), Payload(("b", "a"), ({"a": 1}, {"b": 2}))),
        (b"[{}, {}]", None, Payload((), ({}, {}))),
        (b"[]", None, Payload((), ())),
        (b"[]", (), Payload((), ())),
        (b'"text"', None, Payload((), ())),
    ],
)
def test_json_becomes_rows(body: bytes, columns: tuple[str, ...] | None, expected: Payload) -> None:
    assert expected == read_payload(body, "application/json; charset=utf-8", columns, 500)


def test_numbers_keep_their_digits() -> None:
    rows = read_payload(b'{"a": 0.10000000000000000555}', "", None, 500).rows
    assert Decimal("0.10000000000000000555") == rows[0]["a"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"a": NaN}', b'{"a": 1e400}', b'{"a":1,"a":2}', b"\xff", b"[" * 99, b'{"a": "\\ud800"}']
)
def test_what_is_not_strict_json_is_refused(body: bytes) -> None:
    with pytest.raises(DataError, match="PGRST102: Empty or invalid json"):
        read_payload(body, "", None, 500)


@pytest.mark.parametrize("body", [b'[{"a":1},{"b":1}]', b'[{"a":1},{}]', b'[{"a":1},1]', b"[[]]"])
def test_rows_have_the_same_keys(body: bytes) -> None:
    with pytest.raises(DataError, match="PGRST102: All object keys must match"):
        read_payload(body, "", None, 500)


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"a,b\n1,NULL\n", [{"a": "1", "b": None}]),
        (b'a,b\r\n"x,""y""\nz",\r\n', [{"a": 'x,"y"\nz', "b": ""}]),
        (b"a\n", []),
        (b"", []),
    ],
)
def test_csv_becomes_rows(body: bytes, rows: list[dict[str, str | None]]) -> None:
    assert rows == list(read_payload(body, "text/csv", None, 500).rows)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"a,b\n1\n", "All lines must have same number of fields"),
        (b"a,a\n1,2\n", "A CSV column stands twice"),
        (b'a\n"x"y\n', "Invalid CSV"),
        (b"a\n\xff\n", "The body is not valid UTF-8"),
    ],
)
def test_csv_that_does_not_fit_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"PGRST102: {message}"):
        read_payload(body, "text/csv", None, 500)


def test_csv_is_read_no_further_than_one_row_too_many() -> None:
    """A body of a megabyte can be half a million lines; the one row more is what the refusal is made of."""
    body = b"a\n" + b"1\n" * 4 + b"not,one,field\n"
    assert 4 == len(read_payload(body, "text/csv", None, 3).rows)


def test_a_form_is_one_row() -> None:
    media = "application/x-www-form-urlencoded"
    assert ({"a": "1 2", "b": ""},) == read_payload(b"a=1+2&b=", media, None, 500).rows
    with pytest.raises(DataError, match="PGRST102: The body is not valid UTF-8"):
        read_payload(b"a=%ff", media, None, 500)


def test_another_content_type_is_refused() -> None:
    with pytest.raises(DataError, match="PGRST102: Content-Type not acceptable: text/html"):
        read_payload(b"{}", "text/html", None, 500)
