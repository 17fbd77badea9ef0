"""What the database said becomes status, headers and body."""

from __future__ import annotations

import pytest

from portero.data.answer import body_of, error_answer, read_answer, write_csv
from portero.data.execute import ResultSet
from portero.data.media import choose_media
from portero.data.nodes import Media
from portero.errors import DataError

ARRAY = Media()


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (ResultSet(b"[1]", 1, None, 0), (200, "0-0/*")),
        (ResultSet(b"[1]", 1, 1, 0), (200, "0-0/1")),
        (ResultSet(b"[1]", 1, 3, 2), (206, "2-2/3")),
        (ResultSet(b"[]", 0, 3, 3), (206, "*/3")),
        (ResultSet(b"[]", 0, 0, 0), (200, "*/0")),
        (ResultSet(b"[]", 0, None, 7), (200, "*/*")),
    ],
)
def test_content_range_says_where_the_page_is(result: ResultSet, expected: tuple[int, str]) -> None:
    """206 only where a count was asked and rows are left."""
    answer = read_answer(result, ARRAY, ())
    assert expected == (answer.status, dict(answer.headers)["Content-Range"])


def test_an_offset_past_the_end_is_416_with_the_number_of_rows() -> None:
    """The words of contract data.md §4.5."""
    with pytest.raises(DataError) as caught:
        read_answer(ResultSet(b"[]", 0, 3, 50), ARRAY, ())
    assert "An offset of 50 was requested, but there are only 3 rows." == caught.value.details
    assert (("Content-Range", "*/3"),) == caught.value.headers


def test_a_single_object_is_the_array_without_its_brackets() -> None:
    """PostgreSQL writes blanks, SQLite none."""
    media = choose_media("application/vnd.pgrst.object+json")
    assert b'{"a" : 1}' == body_of(ResultSet(b'[{"a" : 1}]', 1, None, 0), media)
    with pytest.raises(DataError):
        body_of(ResultSet(b"[]", 0, None, 0), media)


def test_stripped_nulls_leave_numbers_digit_for_digit() -> None:
    """Also a numeric that no double holds, which was a 500."""
    media = choose_media("application/vnd.pgrst.array+json;nulls=stripped")
    body = b'[{"a":1.50,"b":12345678901234.567800,"c":[null,12345678901234567890,1e400],"d":null}]'
    kept = b'[{"a":1.50,"b":12345678901234.567800,"c":[null,12345678901234567890,1E+400]}]'
    assert kept == body_of(ResultSet(body, 1, None, 0), media)


def test_csv_keeps_numbers_letter_for_letter_and_disarms_formulas() -> None:
    """threats DA-36: negative numbers are no formulas, texts that start like one are."""
    body = b'[{"n":-1.10,"t":"=1","d":{"a":[1,2.5,null]},"b":false}]'
    assert 'n,t,d,b\n-1.10,\'=1,"{""a"": [1, 2.5, null]}",f' == write_csv(body, ("n", "t", "d", "b")).decode()


def test_a_refusal_has_its_four_keys_and_names_its_code() -> None:
    """Headers of the refusal go out too."""
    answer = error_answer(DataError(300, "PGRST201", "m", details=[{"a": "b"}], hint="h", headers=[("X", "y")]))
    assert b'{"code":"PGRST201","message":"m","details":[{"a":"b"}],"hint":"h"}' == answer.body
    assert ("PostgREST; error=PGRST201", "y") == (dict(answer.headers)["Proxy-Status"], dict(answer.headers)["X"])
