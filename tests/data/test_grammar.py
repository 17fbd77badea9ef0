"""The grammar refuses with PGRST100 and nothing else, whatever the text; what it reads is in its doctests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portero.data.filter_grammar import parse_key, parse_operation, parse_path, parse_tree, split_list
from portero.data.grammar import parse_order, parse_select
from portero.data.nodes import ColumnItem, Condition, EmbedItem, Field, OrderTerm, Tree
from portero.errors import DataError

PIECES = st.sampled_from(
    [
        "a",
        "b c",
        "*",
        ",",
        ".",
        "(",
        ")",
        "()",
        "!",
        "!inner",
        ":",
        "::",
        "->",
        "->>",
        "-1",
        "...",
        '"',
        "\\",
        "{",
        "}",
        "eq.",
        "not.",
        "in.",
        "is.null",
        "and(",
        "or",
        "count",
        "sum",
        "desc",
        "nullsfirst",
        " ",
        "é",
        "'",
        "\x00",
        "0",
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=14).map("".join), st.text(max_size=40))


@given(TEXTS)
def test_every_parser_gives_nodes_or_raises_data_error(text: str) -> None:
    """Nothing else comes out: no IndexError, no RecursionError, no loop."""
    for parse in (
        parse_select,
        parse_order,
        parse_key,
        parse_path,
        split_list,
        lambda value: parse_operation(Field("a"), value, []),
        lambda value: parse_tree("or", False, value, []),
    ):
        try:
            parse(text)
        except DataError as refusal:
            assert "PGRST100" == refusal.code


@given(st.lists(st.text(alphabet='ab,.()" \\', max_size=6), max_size=5))
def test_a_list_whose_elements_are_quoted_comes_back_whole(elements: list[str]) -> None:
    """Quoting with backslashes loses nothing."""
    quoted = ['"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"' for one in elements]
    assert elements == split_list(f"({','.join(quoted)})")


@pytest.mark.parametrize(
    "text",
    ["a,,b", "a(", "a(b", "a)", "a:", "a::", "a.nope()", "a.sum", "...a", "->b", "a->", '"a', "a!inner", "*a", "a->(b"],
)
def test_a_broken_select_is_refused(text: str) -> None:
    """PGRST100, with the place."""
    with pytest.raises(DataError) as caught:
        parse_select(text)
    assert (400, "PGRST100") == (caught.value.status, caught.value.code)


def test_embeds_deeper_than_the_setting_are_refused() -> None:
    """Six levels where five are allowed."""
    with pytest.raises(DataError, match="nested too deeply"):
        parse_select("a(b(c(d(e(f(g))))))", max_depth=5)


def test_a_logic_tree_two_hundred_deep_is_refused() -> None:
    """threats DA-26."""
    with pytest.raises(DataError, match="nested too deeply"):
        parse_tree("and", False, "(and" * 200 + "(a.eq.1" + ")" * 201, [])


def test_count_is_an_aggregate_alone_and_an_embed_with_items() -> None:
    """`count()` against `count(id)`."""
    assert (ColumnItem(Field("*"), aggregate="count"),) == parse_select("count()")
    assert (EmbedItem("count", (ColumnItem(Field("id")),)),) == parse_select("count(id)")


def test_hints_and_join_kinds_come_in_any_order() -> None:
    """`!inner!fk` and `!fk!left`."""
    first, second = parse_select("a!inner!fk(b),a!fk!left(b)")
    assert isinstance(first, EmbedItem)
    assert isinstance(second, EmbedItem)
    assert ("fk", "inner", "fk", "left") == (first.hint, first.join, second.hint, second.join)


def test_a_value_in_a_tree_is_quoted_a_group_or_plain() -> None:
    """`"a,b"`, `{a,b}` and text up to the comma; a quote in the middle is data."""
    values: list[str] = []
    tree = parse_tree("and", True, '(a.eq."x,y",b.cs.{1,"}"},c.not.eq.d"e,f.in.("1",2))', values)
    assert ["x,y", '{1,"}"}', 'd"e', '("1",2)'] == values
    assert isinstance(tree, Tree)
    assert tree.is_negated
    assert Condition(Field("c"), "eq", 2, is_negated=True) == tree.operands[2]


@pytest.mark.parametrize("text", ["eq", "nope.1", "neq(any).{1}", "eq(some).{1}", "is.maybe", "in.1", "not.1"])
def test_a_broken_filter_is_refused(text: str) -> None:
    """PGRST100; the text of the refusal says what was expected."""
    with pytest.raises(DataError) as caught:
        parse_operation(Field("a"), text, [])
    assert "PGRST100" == caught.value.code
    assert str(caught.value.details).startswith("unexpected")


def test_an_order_may_be_by_a_place_in_a_document_or_by_a_related_column() -> None:
    """`info->>studio.desc` and `directors(name)`."""
    terms = parse_order("info->>studio.desc.nullsfirst, directors(name)")
    assert terms[0].is_descending
    assert terms[0].nulls_first
    assert OrderTerm(Field("name"), "directors") == terms[1]
    assert () == parse_order("")
