"""Planning: every node has a policy, and a shape is planned without its values."""

from __future__ import annotations

import pytest
from tests.data.films import catalogue

from portero.data.nodes import HttpRequest
from portero.data.read_plan import Planner, ReadPlan, is_grouped
from portero.data.request import read_request
from portero.errors import DataError
from portero.settings import Settings


def plan(target: str, role: str = "anon", *, aggregates: bool = False, prefer: str = "") -> ReadPlan:
    """Plan a request for a role."""
    path, _, query = target.partition("?")
    shape = read_request(HttpRequest("GET", path, query, prefer=prefer), Settings()).shape
    return Planner(catalogue("sqlite"), role, 1000, aggregates).plan(shape)


def test_every_node_and_every_junction_carries_its_policy() -> None:
    """Also those of embeds without members."""
    root = plan("/films?select=id,actors(name),directors()").root
    assert "films.is_public" in str(root.policy)
    actors, directors = root.embeds
    assert "roles.name" in str(actors.junction_policy)
    assert directors.node.policy is not None


@pytest.mark.parametrize(
    ("target", "role", "count"),
    [
        ("/actors?select=id,name", "anon", "planned"),
        ("/actors?select=id,roles(name)", "anon", "exact"),
        ("/actors?select=id,films(title)", "anon", "exact"),
        ("/films?select=id", "authenticated", "exact"),
        ("/films?select=id,actors(roles(name))", "service_role", "planned"),
    ],
)
def test_counts_are_planned_only_where_nothing_is_hidden(target: str, role: str, count: str) -> None:
    """A policy of an embed or of a junction hides as well."""
    assert count == plan(target, role, prefer="count=planned").shape.count


def test_a_model_without_a_policy_is_for_service_role_only() -> None:
    """401 for strangers, 403 for users."""
    assert plan("/ledgers", "service_role").root.policy is not None
    for role, status in (("anon", 401), ("authenticated", 403)):
        with pytest.raises(DataError) as caught:
            plan("/ledgers?select=nope", role)
        assert (status, "42501") == (caught.value.status, caught.value.code)


def test_aggregates_are_refused_with_the_code_of_their_setting() -> None:
    """PGRST123 while they are off; the bare word `count` is one of them, as no column is called so."""
    for select, code in (("year.max()", "PGRST123"), ("...directors(count())", "PGRST123"), ("count", "PGRST123")):
        with pytest.raises(DataError) as caught:
            plan(f"/films?select={select}")
        assert code == caught.value.code
        assert "PORTERO_AGGREGATES" in str(caught.value.hint)
    assert is_grouped(plan("/films?select=year.max()", aggregates=True).root)
    assert is_grouped(plan("/films?select=count", aggregates=True).root)


def test_nulls_stand_where_postgresql_puts_them() -> None:
    """Last ascending, first descending, unless said."""
    orders = plan("/films?order=year,year.desc,year.desc.nullslast").root.orders
    assert [False, True, False] == [order.nulls_first for order in orders]
