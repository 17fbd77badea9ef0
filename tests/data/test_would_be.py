"""A row that was never stored: values, fills and defaults stand in it for its policy as they would in the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from tests.data import scene as app
from tests.data.scene import ANNA, BEN, LOG, Note, Page, Scene

from portero.data.caller import ME_ID, ME_ROLE, me
from portero.data.would_be import are_let_in
from portero.data.write_plan import insert_rules

CALLER = {ME_ID: ANNA, ME_ROLE: "authenticated"}
NOTES, PAGES = sa.inspect(Note).local_table.c, sa.inspect(Page).local_table.c
SENT = {"title": "new", "at": datetime(2026, 1, 1, tzinfo=UTC), "price": Decimal("9.50"), "info": {"a": 1}}
Passes = Callable[..., bool]


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    """The application, once on each database."""
    with app.opened(database_url) as opened:
        yield opened


@pytest.fixture
def passes(scene: Scene) -> Passes:
    """Say whether a row of a model passes a condition."""

    def ask(check: Any, model: str = "notes", sent: dict[str, Any] = SENT) -> bool:
        reads = scene.api.reads
        given = reads.catalogue.model(model)
        rules = insert_rules(given, tuple(sent), "authenticated", None, None, is_shown=False)
        row = CALLER | {f"portero_v{place}": value for place, value in enumerate(sent.values())}
        with scene.database.reading() as connection:
            return are_let_in(connection, replace(rules, check=check), rules.columns, [row], reads.sql)

    return ask


@pytest.mark.parametrize(
    ("passing", "failing"),
    [
        (NOTES.title == "new", NOTES.title == "hers"),
        (NOTES.owner_id == me.id, NOTES.owner_id == BEN),
        (NOTES.at > datetime(2025, 1, 1, tzinfo=UTC), NOTES.at > datetime(2027, 1, 1, tzinfo=UTC)),
        (NOTES.price < 10, NOTES.price > 10),
        (NOTES.stars == 0, NOTES.stars > 0),
        (~NOTES.done, NOTES.done),
        (NOTES.secret.is_(None), NOTES.id > 0),
    ],
)
def test_a_row_is_what_was_sent_filled_and_left_to_defaults(passes: Passes, passing: Any, failing: Any) -> None:
    """A serial number is not known yet."""
    assert (True, False) == (passes(passing), passes(failing))


def test_defaults_of_the_database_count_by_their_type(passes: Passes) -> None:
    """A number that stands in the table's definition as a text, and a generated column."""
    assert (True, False) == (passes(LOG.c.level < 10, "log", {"line": "x"}), passes(LOG.c.level > 5, "log", {}))
    assert (True, False) == (passes(PAGES.is_open, "pages", {"slug": "x"}), passes(PAGES.size >= 0, "pages", {}))


def test_a_policy_that_fails_on_a_row_refuses_it(passes: Passes) -> None:
    assert not passes(sa.func.no_such_function(NOTES.title) == 1)
    assert passes(sa.true())
