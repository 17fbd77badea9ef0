"""From HTTP values to a request: keys, paths, pages, profiles, and only DataError for refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portero.data.nodes import DataRequest, HttpRequest, Page
from portero.data.request import decode, model_name, read_limit, read_offset, read_request
from portero.errors import ConfigurationError, DataError
from portero.settings import Settings, read_settings


def read(query: str = "", method: str = "GET", path: str = "/films", **headers: str) -> DataRequest:
    """Parse one request with the default settings."""
    return read_request(HttpRequest(method, path, query, **headers), Settings())


def refused(query: str = "", method: str = "GET", path: str = "/films", **headers: str) -> tuple[int, str]:
    """Parse a request that must be refused."""
    with pytest.raises(DataError) as caught:
        read(query, method, path, **headers)
    return caught.value.status, caught.value.code


def test_repeated_keys_are_two_conditions() -> None:
    """`year=gte.1990&year=lt.2000`."""
    assert (["1990", "2000"], 2) == (
        list(read("year=gte.1990&year=lt.2000").values),
        len(read("year=gte.1990&year=lt.2000").shape.filters),
    )


def test_requests_that_differ_in_values_only_share_a_shape() -> None:
    """The key of the plan cache."""
    assert read("id=eq.1&limit=2").shape == read("id=eq.77&limit=9").shape
    assert hash(read("id=in.(1,2)").shape) == hash(read("id=in.(3)").shape)
    assert read("id=eq.1").shape != read("id=neq.1").shape


def test_a_filter_without_a_value_is_ignored() -> None:
    """`films?year=` and parameters without an equals sign."""
    assert () == read("year=&x&limit=").shape.filters


def test_plus_is_a_blank_and_percent_2b_a_plus() -> None:
    """As forms have it."""
    assert ["a b+c"] == list(read("title=eq.a+b%2Bc").values)


def test_what_is_not_utf_8_or_holds_a_nul_is_refused() -> None:
    """Strict decoding (threats DA-24)."""
    assert (400, "PGRST100") == refused("title=eq.%ff")
    assert (400, "PGRST100") == refused("title=eq.a%00b")
    with pytest.raises(DataError):
        decode("\udcff")


def test_pages_and_trees_reach_embeds() -> None:
    """`films.limit`, `films.not.or`."""
    request = read("select=name,films(title)&films.limit=2&films.offset=1&films.not.or=(id.eq.1,id.eq.2)&order=name")
    assert (Page(("films",), 0, 1),) == request.shape.pages
    assert ("films",) == request.shape.filters[0].path
    assert ("2", "1", "1", "2") == tuple(request.values)


@pytest.mark.parametrize(
    ("header", "query", "offset", "limit"),
    [
        ("0-9", "", "0", "10"),
        ("5-", "", "5", None),
        ("0-1", "limit=3", "0", "2"),
        ("1-5", "limit=3&offset=2", "2", "3"),
        ("items=0-0", "", "0", "1"),
    ],
)
def test_a_range_header_cuts_the_page(header: str, query: str, offset: str, limit: str | None) -> None:
    """Intersected with limit and offset."""
    request = read(query, range=header, range_unit="items")
    page = request.shape.pages[0]
    assert page.offset is not None
    assert (offset, limit) == (
        request.values[page.offset],
        None if page.limit is None else request.values[page.limit],
    )


def test_a_range_that_runs_backwards_is_416_and_a_strange_one_is_ignored() -> None:
    """RFC 9110 §14.2 lets a server ignore what it does not understand."""
    assert (416, "PGRST103") == refused(range="9-0")
    assert () == read(range="bytes=0-1").shape.pages
    assert () == read(range="0-1", range_unit="bytes").shape.pages


def test_limits_and_offsets_are_whole_numbers() -> None:
    """A negative limit is 416, a negative offset ignored."""
    assert (3, 0) == (read_limit("3"), read_offset("-4"))
    for text, read_it, code in (
        ("x", read_limit, "PGRST100"),
        ("-1", read_limit, "PGRST103"),
        ("1.5", read_offset, "PGRST100"),
    ):
        with pytest.raises(DataError) as caught:
            read_it(text)
        assert code == caught.value.code


def test_paths_profiles_and_verbs_that_are_not_served_are_refused() -> None:
    """Each with its code."""
    assert (404, "PGRST125") == refused(path="/a/b")
    assert (404, "PGRST126") == refused(path="/")
    assert (404, "PGRST202") == refused(path="/rpc/top")
    assert (405, "PGRST117") == refused(method="TRACE")
    assert (406, "PGRST106") == refused(accept_profile="private")
    assert (406, "PGRST106") == refused(method="POST", content_profile="private")
    assert "films" == read(accept_profile="public").model
    assert "Film Titles" == model_name("/Film Titles")


def test_more_conditions_than_the_setting_are_refused() -> None:
    """Counted through trees (threats DA-26)."""
    assert (400, "PGRST100") == refused("&".join(f"id=eq.{n}" for n in range(101)))
    assert (400, "PGRST100") == refused("or=(" + ",".join(f"id.eq.{n}" for n in range(1001)) + ")")


def test_columns_and_conflict_targets_are_names() -> None:
    """Quoted or plain; a blank `columns` is the empty list of supabase-py."""
    request = read('columns="title","year"&on_conflict=id', method="POST")
    assert (("title", "year"), ("id",)) == (request.columns, request.on_conflict)
    assert () == read("columns=", method="POST").columns
    assert (400, "PGRST100") == refused("columns=a b.c", method="POST")


PARTS = st.sampled_from(
    [
        "select=",
        "order=",
        "limit=",
        "offset=",
        "or=",
        "and=",
        "films.",
        "not.",
        "a=",
        "eq.",
        "in.",
        "(1)",
        "&",
        "=",
        "%",
        "%zz",
        "%00",
        "+",
        "is.null",
        "->>",
        "1",
        "-1",
        "x",
        ",",
        '"',
        "\ud800",
        "columns=",
        "on_conflict=",
    ]
)


@given(st.lists(PARTS, max_size=12).map("".join), st.text(max_size=12), st.text(max_size=12))
def test_any_query_and_any_header_give_a_request_or_data_error(query: str, prefer: str, ranged: str) -> None:
    """No 5xx from any input."""
    try:
        read(query, prefer=prefer, range=ranged)
    except DataError as refusal:
        assert 400 <= refusal.status < 500


@pytest.mark.parametrize(
    ("limits", "query"),
    [
        ({"max_conditions": 2}, "id=eq.1&year=eq.2&title=eq.x"),
        ({"max_conditions": 2}, "id=eq.1&order=id,year"),
        ({"max_embeds": 1}, "select=directors(name),actors(name)"),
        ({"max_embeds": 1}, "select=directors(films(id))"),
        ({"max_embed_depth": 1}, "select=directors(films(id))"),
        ({"max_select": 2}, "select=id,title,year"),
        ({"max_select": 2}, "select=id,directors(name)"),
        ({"max_tree_depth": 1}, "or=(id.eq.1,and(id.eq.2))"),
        ({"max_json_path": 1}, "select=info->a->b"),
        ({"max_json_path": 1}, "info->a->>b=eq.1"),
        ({"max_json_path": 1}, "order=info->a->b"),
        ({"max_json_path": 1}, "or=(info->a->>b.eq.1)"),
    ],
)
def test_every_bound_of_a_request_is_a_setting_with_a_clear_refusal(limits: dict[str, int], query: str) -> None:
    """PGRST100; one more would be served."""
    http = HttpRequest("GET", "/films", query)
    with pytest.raises(DataError, match="PGRST100"):
        read_request(http, Settings(**limits))
    assert read_request(http, Settings(**{name: most + 1 for name, most in limits.items()})).shape.model == "films"


def test_a_setting_of_words_takes_only_them() -> None:
    """A typing error must not choose."""
    assert "minimal" == read_settings({"PORTERO_ERRORS": "Minimal"}, {}).errors
    with pytest.raises(ConfigurationError, match="PORTERO_EMBED_NAMES"):
        read_settings({"PORTERO_EMBED_NAMES": "aliases"}, {})
