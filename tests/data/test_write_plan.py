"""What a write means before a database is asked: columns, values, and the policies it is bound to."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from tests.data.scene import catalogue

from portero.data.nodes import DataRequest, Preferences, ReadShape
from portero.data.put import check_put
from portero.data.write_plan import DEFAULT, InsertPlan, InsertRules, Picked, plan_delete, plan_insert, plan_update
from portero.errors import DataError
from portero.settings import Settings

CATALOGUE = catalogue("sqlite")


def request(method: str, model: str, body: Any, columns: tuple[str, ...] | None = None, **said: Any) -> DataRequest:
    return DataRequest(
        method, model, ReadShape(model), [], Preferences(**said), columns=columns, body=json.dumps(body).encode()
    )


def planned(model: str, body: Any, role: str = "authenticated", **options: Any) -> InsertPlan:
    asked = request("POST", model, body, **options)
    return plan_insert(asked, CATALOGUE.model(model), role, Settings())


def insert(model: str, body: Any, role: str = "authenticated", **options: Any) -> InsertRules:
    return planned(model, body, role, **options).rules


def sql(clause: Any) -> str:
    return str(clause.compile(dialect=sqlite.dialect()))


OWNED = "notes.owner_id = ?"


def test_the_check_of_a_plain_insert_is_its_policy() -> None:
    assert OWNED == sql(insert("notes", {"title": "x"}).check)


def test_rows_that_come_back_must_be_visible_too() -> None:
    assert OWNED == sql(insert("notes", {"title": "x"}, returns="representation").check)
    rules = insert("notes", {"title": "x", "owner_id": None}, returns="representation")
    assert f"{OWNED} AND notes.owner_id IS ?" == sql(rules.check)


def test_a_filled_column_that_is_sent_must_be_what_the_server_sets() -> None:
    plan = insert("notes", {"title": "x", "owner_id": "00000000-0000-0000-0000-00000000000b"})
    assert f"{OWNED} AND notes.owner_id IS ?" == sql(plan.check)
    assert {} == plan.fill
    assert ["owner_id"] == list(insert("notes", {"title": "x"}).fill)


def test_the_service_role_is_bound_to_nothing() -> None:
    plan = insert("notes", {"title": "x"}, role="service_role", returns="representation")
    assert (True, {}) == (isinstance(plan.check, sa.True_), plan.fill)


def test_rows_with_the_same_absent_columns_go_together() -> None:
    rows = [{"title": "a", "stars": 1}, {"title": "b"}, {"title": "c", "stars": "2"}]
    plan = planned("notes", rows, columns=("title", "stars"), missing="default")
    assert [
        (["title", "stars"], (("a", 1), ("c", 2)), (0, 2)),
        (["title"], (("b",),), (1,)),
    ] == [([column.name for column in group.columns], group.rows, group.places) for group in plan.groups]
    plan = planned("notes", rows, columns=("title", "stars"))
    assert [(("a", 1), ("b", None), ("c", 2))] == [group.rows for group in plan.groups]


def test_an_update_is_bound_to_what_is_seen_what_may_be_changed_and_what_was_asked() -> None:
    model = CATALOGUE.model("notes")
    asked = request("PATCH", "notes", [{"stars": 3}], missing="default", columns=("stars", "done"))
    plan = plan_update(
        asked, model, "authenticated", Settings(), Picked(model.table.c.id == 7, {}, is_kept=True, kind=())
    )
    assert f"{OWNED} AND notes.id = ?" == sql(plan.rows.condition)
    assert [("stars", 3), ("done", DEFAULT)] == [(column.name, value) for column, value in plan.values]
    assert "DEFAULT" == repr(DEFAULT)


def test_a_delete_is_bound_to_what_is_seen_and_what_may_go() -> None:
    model = CATALOGUE.model("pages")
    plan = plan_delete(model, "authenticated", Settings(), None)
    assert "pages.is_open = 1" == sql(plan.rows.condition)


@pytest.mark.parametrize("role", ["authenticated", "anon", "editor"])
def test_a_verb_without_a_policy_is_not_planned(role: str) -> None:
    with pytest.raises(DataError, match="42501: permission denied for table steps"):
        plan_update(request("PATCH", "steps", {}), CATALOGUE.model("steps"), role, Settings(), None)


def test_an_upsert_falls_back_to_the_primary_key() -> None:
    conflict = insert("pages", {"slug": "a"}, resolution="merge-duplicates").conflict
    assert conflict is not None
    assert (("slug",), True) == (conflict.columns, conflict.merges)
    assert "pages.is_open = 1" == sql(conflict.rows)
    assert insert("log", {"line": "a"}, resolution="ignore-duplicates").conflict is None


def test_an_upsert_that_merges_needs_the_update_policy() -> None:
    with pytest.raises(DataError, match="42501"):
        insert("steps", {"number": 1}, resolution="merge-duplicates")
    conflict = insert("steps", {"number": 1}, resolution="ignore-duplicates").conflict
    assert conflict is not None
    assert not conflict.merges


def test_put_on_a_table_without_a_key_is_refused() -> None:
    with pytest.raises(DataError, match="PGRST105"):
        check_put(request("PUT", "log", {"line": "a"}), CATALOGUE.model("log"))


def test_inserts_of_one_shape_share_their_rules() -> None:
    """So SQLAlchemy's work is done once for a shape, not for a request."""
    assert insert("notes", {"title": "a"}) is insert("notes", {"title": "b"})
    assert insert("notes", {"title": "a"}) is not insert("notes", {"title": "a"}, role="anon")
