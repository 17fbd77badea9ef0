"""Writes as clients see them, on SQLite and PostgreSQL: who asks, what, and what stands in the tables afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from tests.data import scene as app
from tests.data.scene import (
    ANNA,
    ANYBODY,
    BEN,
    NOW,
    SERVICE,
    Complaint,
    Note,
    Page,
    Scene,
    Step,
    Tag,
    answered,
    caller,
    headers,
    refused,
)

from portero.data.catalogue import build
from portero.data.exposure import Exposure
from portero.data.nodes import HttpRequest
from portero.data.pipeline import DataApi
from portero.data.policy import Verb, allow_all
from portero.data.shape_budget import ShapeBudget
from portero.errors import DataError

SHOW = "return=representation"
OWNED = {"owner_id": str(BEN)}
UNKNOWN = "Could not find the '{}' column of 'notes' in the schema cache"
RLS = 'new row violates row-level security policy for table "notes"'

#: Whoever inserts a note, Ben has it.
GIVES_AWAY = {
    "sqlite": [
        "CREATE TRIGGER gives AFTER INSERT ON notes BEGIN "
        f"UPDATE notes SET owner_id = '{BEN.hex}' WHERE id = NEW.id; END"
    ],
    "postgresql": [
        "CREATE FUNCTION gives() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN NEW.owner_id := '{BEN}'; RETURN NEW; END $$",
        "CREATE TRIGGER gives BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION gives()",
    ],
}


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    """The application, once on each database."""
    with app.opened(database_url) as opened:
        yield opened


def titles(scene: Scene, owner: object = None) -> list[str]:
    """The titles in the table, past every policy."""
    return [row["title"] for row in scene.rows(Note) if owner in (None, row["owner_id"])]


# --- POST ------------------------------------------------------------------------------------------------------------


def test_an_insert_answers_201_without_a_body(scene: Scene) -> None:
    answer = scene.ask("POST", "/notes", {"title": "new"})
    assert (201, b"") == (answer.status, answer.body)
    assert "*/*" == headers(answer)["Content-Range"]
    assert "Content-Type" not in headers(answer)


def test_an_insert_gives_the_row_back_as_the_database_has_it(scene: Scene) -> None:
    """Defaults of Python and of the database, and the filled owner, are in it; the hidden column is not (DA-12)."""
    note = {"title": "new", "price": 12.30, "info": {"a": [1, None]}, "at": "2026-05-01T10:00:00.5+02:00"}
    expected = {
        "id": 3,
        "owner_id": str(ANNA),
        "title": "new",
        "stars": 0,
        "price": 12.3,
        "done": False,
        "info": {"a": [1, None]},
        "at": "2026-05-01T08:00:00.5+00:00",
        "parent_id": None,
    }
    assert (201, [expected]) == answered(scene.ask("POST", "/notes", note, prefer=SHOW))


def test_a_row_given_back_has_the_selected_shape_and_embeds(scene: Scene) -> None:
    answer = scene.ask("POST", "/notes?select=name:title,parent:parent_id(title),tags(word)",
                       {"title": "new", "parent_id": 1}, prefer=SHOW)  # fmt: skip
    assert (201, [{"name": "new", "parent": {"title": "hers"}, "tags": []}]) == answered(answer)


def test_many_rows_come_back_in_the_order_of_the_body(scene: Scene) -> None:
    body = [{"title": f"t{number}"} for number in (3, 1, 2)]
    answer = scene.ask("POST", '/notes?columns="title"&select=title', body, prefer=f"{SHOW},count=exact")
    assert (201, body) == answered(answer)
    assert ("*/3", "return=representation, count=exact") == (
        headers(answer)["Content-Range"],
        headers(answer)["Preference-Applied"],
    )


def test_missing_default_leaves_absent_keys_to_the_column(scene: Scene) -> None:
    body = [{"title": "a", "stars": 4}, {"title": "b"}, {"title": "c", "stars": 5}]
    path = "/notes?columns=title,stars&select=title,stars"
    answer = scene.ask("POST", path, body, prefer=f"{SHOW},missing=default")
    assert (201, [("a", 4), ("b", 0), ("c", 5)]) == (
        answer.status,
        [(row["title"], row["stars"]) for row in answered(answer)[1]],
    )
    code = refused(scene.ask("POST", path, [{"title": "d"}], prefer=SHOW))[1]
    assert "23502" == code, "without the preference an absent key is NULL"


def test_an_empty_object_takes_every_default(scene: Scene) -> None:
    assert (201, [{"id": 1, "text": "x"}]) == answered(
        scene.ask("POST", "/complaints", {"text": "x"}, who=SERVICE, prefer=SHOW)
    )
    assert (
        400,
        "23502",
        'null value in column "text" of relation "complaints" violates not-null constraint',
    ) == refused(scene.ask("POST", "/complaints", {}, who=SERVICE))
    assert (201, [{"line": None, "level": 3}] * 2) == answered(scene.ask("POST", "/log", [{}, {}], prefer=SHOW))


def test_an_empty_list_inserts_nothing(scene: Scene) -> None:
    assert (201, []) == answered(scene.ask("POST", "/notes?columns=", [], prefer=SHOW))
    assert (200, []) == answered(scene.ask("POST", "/notes", [], prefer=f"{SHOW},resolution=merge-duplicates"))


def test_a_table_without_a_key_gives_its_rows_back(scene: Scene) -> None:
    body = [{"line": "a", "level": 1}, {"line": "a", "level": 1}]
    assert (201, body) == answered(scene.ask("POST", "/log", body, prefer=SHOW))
    assert (200, [{"line": "b", "level": 1}] * 2) == answered(
        scene.ask("PATCH", "/log?line=eq.a", {"line": "b"}, prefer=SHOW)
    )
    assert (200, [{"line": "b", "level": 1}] * 2) == answered(scene.ask("DELETE", "/log?level=eq.1", prefer=SHOW))
    assert [] == scene.rows(app.LOG)


def test_headers_only_names_the_new_row(scene: Scene) -> None:
    answer = scene.ask("POST", "/pages", {"slug": "a b&c"}, prefer="return=headers-only")
    assert (201, b"", "/pages?slug=eq.a%20b%26c") == (answer.status, answer.body, headers(answer)["Location"])


def test_a_row_for_somebody_else_is_refused(scene: Scene) -> None:
    """DA-13: nobody inserts in another's name; not among good rows either, and then nothing is written (DA-17)."""
    body = [{"title": "ok", "owner_id": str(ANNA)}, {"title": "bad", "owner_id": str(BEN)}]
    assert (403, "42501", RLS) == refused(scene.ask("POST", "/notes", body[1]))
    assert (403, "42501", RLS) == refused(scene.ask("POST", "/notes", body, prefer=SHOW))
    assert ["hers", "his"] == titles(scene)


def test_a_filled_column_may_be_sent_with_the_right_value(scene: Scene) -> None:
    assert 201 == scene.ask("POST", "/notes", {"title": "ok", "owner_id": str(ANNA)}).status
    assert (403, "42501", RLS) == refused(scene.ask("POST", "/notes", {"title": "no", "owner_id": None}))


def test_a_caller_who_is_nobody_is_told_to_sign_in(scene: Scene) -> None:
    answer = scene.ask("POST", "/notes", {"title": "x"}, who=ANYBODY)
    assert (401, "42501", RLS) == refused(answer)
    assert "Bearer" == headers(answer)["WWW-Authenticate"]


def test_the_service_role_passes_every_policy_and_sets_the_owner_itself(scene: Scene) -> None:
    body = {"title": "made", "owner_id": str(BEN)}
    assert (201, [body]) == answered(scene.ask("POST", "/notes?select=title,owner_id", body, who=SERVICE, prefer=SHOW))


def test_a_policy_over_another_table_guards_an_insert(scene: Scene) -> None:
    assert 201 == scene.ask("POST", "/tags", {"note_id": 1, "word": "new"}).status
    assert 403 == scene.ask("POST", "/tags", {"note_id": 2, "word": "new"}).status


def test_a_row_that_would_be_shown_is_refused_and_undone_where_its_policy_hides_it(scene: Scene) -> None:
    answer = scene.ask("POST", "/tags", {"note_id": 1, "word": "shown"}, prefer=SHOW)
    assert (201, [{"note_id": 1, "word": "shown"}]) == answered(answer)
    before = scene.rows(Tag)
    assert (403, "42501") == refused(scene.ask("POST", "/tags", {"note_id": 2, "word": "no"}, prefer=SHOW))[:2]
    assert before == scene.rows(Tag)


def test_a_row_that_a_trigger_gives_away_is_refused_and_undone(scene: Scene) -> None:
    with scene.database.writing() as connection:
        for statement in GIVES_AWAY[scene.database.dialect_name]:
            connection.exec_driver_sql(statement)
    for prefer in ("", SHOW):
        assert (403, "42501", RLS) == refused(scene.ask("POST", "/notes", {"title": "mine"}, prefer=prefer))
    assert ["hers", "his"] == titles(scene)


def test_a_policy_over_the_models_own_table_sees_the_new_row_beside_the_others(scene: Scene) -> None:
    assert 403 == scene.ask("POST", "/steps", {"number": 4}).status
    assert 403 == scene.ask("POST", "/steps", [{"number": 6}, {"number": 7}]).status
    assert 201 == scene.ask("POST", "/steps", {"number": 6}).status
    assert [5, 6] == [row["number"] for row in scene.rows(Step)]


def test_insert_without_read_is_possible_but_gives_nothing_back(scene: Scene) -> None:
    assert 201 == scene.ask("POST", "/complaints", {"text": "x"}, who=ANYBODY).status
    assert (401, "42501", "permission denied for table complaints") == refused(
        scene.ask("POST", "/complaints", {"text": "y"}, who=ANYBODY, prefer=SHOW)
    )
    assert ["x"] == [row["text"] for row in scene.rows(Complaint)]


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/steps"), ("DELETE", "/complaints"), ("PATCH", "/tags")])
def test_a_verb_without_a_policy_is_refused(scene: Scene, method: str, path: str) -> None:
    """DA-01: no policy means nobody."""
    assert (403, "42501", f"permission denied for table {path[1:]}") == refused(scene.ask(method, path, {}))
    assert 401 == scene.ask(method, path, {}, who=ANYBODY).status


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"", "PGRST102", "Empty or invalid json"),
        (b"}{", "PGRST102", "Empty or invalid json"),
        (b'{"title": "a", "title": "b"}', "PGRST102", "Empty or invalid json"),
        (b'[{"title": "a"}, {"stars": 1}]', "PGRST102", "All object keys must match"),
        (b'[{"title": "a"}, 7]', "PGRST102", "All object keys must match"),
        (b'{"nope": 1}', "PGRST204", UNKNOWN.format("nope")),
        (b'{"secret": "s"}', "PGRST204", UNKNOWN.format("secret")),
        (b'{"title": {"a": 1}, "tags": []}', "PGRST204", UNKNOWN.format("tags")),
        (b'{"title": "a", "stars": "x"}', "22P02", 'invalid input syntax for type integer: "x"'),
        (b'{"title": "a", "stars": 9223372036854775808}', "22003", f'value "{2**63}" is out of range for type integer'),
        (b'{"title": "a", "at": "noon"}', "22007", 'invalid input syntax for type timestamp with time zone: "noon"'),
        (b'{"title": "' + b"a" * 41 + b'"}', "22001", "value too long for type character varying(40)"),
        (b'{"title": "a\\u0000b"}', "22P05", "unsupported Unicode escape sequence"),
        (b'{"title": "a", "info": {"k": "a\\u0000b"}}', "22P05", "unsupported Unicode escape sequence"),
        (b'{"title": "a", "price": 100000000}', "22003", "numeric field overflow"),
    ],
)  # fmt: skip
def test_a_body_that_does_not_fit_is_refused_before_the_database(
    scene: Scene, body: bytes, code: str, message: str
) -> None:
    """DA-18, DA-24, DA-25, DA-37: unknown, hidden and nested members; NUL; numbers out of range."""
    assert (400, code, message) == refused(scene.ask("POST", "/notes", body))


def test_a_generated_column_is_not_written(scene: Scene) -> None:
    """DA-18."""
    assert (400, "428C9", 'cannot insert a non-DEFAULT value into column "size"') == refused(
        scene.ask("POST", "/pages", {"slug": "a", "size": 3})
    )


def test_a_batch_has_a_bound(scene: Scene) -> None:
    small = scene.with_settings(max_batch=2)
    assert (413, "54000", "more than 2 rows in one request") == refused(
        small.ask("POST", "/steps", [{"number": 9}] * 3)
    )


def test_constraints_answer_in_postgresqls_words(scene: Scene) -> None:
    assert (409, "23505", 'duplicate key value violates unique constraint "notes_owner_id_title_key"') == refused(
        scene.ask("POST", "/notes", {"title": "hers"})
    )
    assert (409, "23505", 'duplicate key value violates unique constraint "pages_pkey"') == refused(
        scene.ask("POST", "/pages", {"slug": "home"})
    )
    assert (
        409,
        "23503",
        'insert or update on table "notes" violates foreign key constraint "notes_parent_id_fkey"',
    ) == refused(scene.ask("POST", "/notes", {"title": "new", "parent_id": 99}))
    assert (400, "23514", 'new row for relation "notes" violates check constraint "notes_stars_check"') == refused(
        scene.ask("POST", "/notes", {"title": "new", "stars": -1})
    )
    assert (400, "23502", 'null value in column "title" of relation "notes" violates not-null constraint') == refused(
        scene.ask("PATCH", "/notes?id=eq.1", {"title": None})
    )
    assert (409, "23503", 'update or delete on table "notes" violates foreign key constraint') == refused(
        scene.ask("DELETE", "/notes?id=eq.1")
    )
    assert ["hers", "his"] == titles(scene)


@pytest.mark.parametrize("prefer", ["", "resolution=ignore-duplicates"])
def test_who_may_not_write_a_row_does_not_learn_that_its_key_is_taken(scene: Scene, prefer: str) -> None:
    """Threats DA-32: the answer is that of a free key, as PostgreSQL's row-level security gives it."""
    for who, status in ((ANYBODY, 401), (ANNA, 403)):
        for number in (2, 77):
            for title in ("his", "free"):
                body = {"id": number, "title": title, "owner_id": str(BEN)}
                assert (status, "42501", RLS) == refused(scene.ask("POST", "/notes", body, who=who, prefer=prefer))
    of_tags = RLS.replace("notes", "tags")
    for tag in ({"note_id": 2, "word": "blue"}, {"note_id": 2, "word": "free"}, {"note_id": 99, "word": "free"}):
        assert (403, "42501", of_tags) == refused(scene.ask("POST", "/tags", tag, prefer=prefer))
    assert ["hers", "his"] == titles(scene)


def test_who_may_write_a_row_is_told_that_its_key_is_taken(scene: Scene) -> None:
    """The owner's own title, another's number, and a policy about the table itself."""
    sent = ({"title": "hers"}, {"id": 2, "title": "new", "info": {"a": 1}, "at": "2026-01-01T00:00:00Z", "price": 1.5})
    for body in (*sent, {"title": "hers", "owner_id": str(ANNA)}):
        assert (409, "23505") == refused(scene.ask("POST", "/notes", body))[:2]
        assert (409, "23505") == refused(scene.ask("POST", "/notes", [body, body]))[:2]
    assert (409, "23505") == refused(scene.ask("POST", "/tags", {"note_id": 1, "word": "red"}))[:2]
    assert (409, "23505") == refused(scene.ask("POST", "/steps", {"number": 5}))[:2]
    assert (403, "42501") == refused(scene.ask("POST", "/steps", [{"number": 5}, {"number": 4}]))[:2]
    assert (409, "23505") == refused(scene.ask("POST", "/notes", {"id": 2, "title": "x"} | OWNED, who=SERVICE))[:2]


def test_one_row_left_out_that_may_not_be_written_undoes_the_others(scene: Scene) -> None:
    """With the rows before it; rows that may be written are left out in peace."""
    own, foreign = {"note_id": 1, "word": "red"}, {"note_id": 2, "word": "blue"}
    new = {"note_id": 1, "word": "new"}
    ignore = "resolution=ignore-duplicates"
    assert 403 == scene.ask("POST", "/tags", [new, foreign], prefer=ignore).status
    assert 2 == len(scene.rows(Tag))
    assert 201 == scene.ask("POST", "/tags", [own, new, own], prefer=ignore).status
    assert 3 == len(scene.rows(Tag))


# --- PATCH -----------------------------------------------------------------------------------------------------------


def test_an_update_answers_204_or_the_rows(scene: Scene) -> None:
    answer = scene.ask("PATCH", "/notes?id=eq.1", {"stars": 4})
    assert (204, b"", "0-0/*") == (answer.status, answer.body, headers(answer)["Content-Range"])
    answer = scene.ask("PATCH", "/notes?title=eq.hers&select=stars", {"stars": 5}, prefer=f"{SHOW},count=exact")
    assert (200, [{"stars": 5}]) == answered(answer)
    assert "0-0/1" == headers(answer)["Content-Range"]


def test_an_update_reaches_only_rows_the_caller_sees(scene: Scene) -> None:
    """DA-03: another's row is not found, whatever the filter (DA-05), and stays as it is."""
    for path in ("/notes?id=eq.2", "/notes?or=(id.eq.2,owner_id.eq." + str(BEN) + ")"):
        assert (200, []) == answered(scene.ask("PATCH", path, {"title": "mine"}, prefer=SHOW))
    assert 204 == scene.ask("PATCH", "/notes?id=neq.0", {"stars": 9}).status
    assert [9, 0] == [row["stars"] for row in scene.rows(Note)]


def test_a_row_is_not_given_away(scene: Scene) -> None:
    """DA-14."""
    assert (403, "42501", RLS) == refused(scene.ask("PATCH", "/notes?id=eq.1", {"owner_id": str(BEN)}))
    assert [ANNA, BEN] == [row["owner_id"] for row in scene.rows(Note)]


def test_the_new_row_must_pass_the_update_policy_too(scene: Scene) -> None:
    assert 403 == scene.ask("PATCH", "/pages?slug=eq.home", {"is_open": False}).status
    assert (200, []) == answered(scene.ask("PATCH", "/pages?slug=eq.law", {"is_open": True}, prefer=SHOW))
    assert [True, False] == [row["is_open"] for row in scene.rows(Page)]


def test_a_changed_key_is_followed(scene: Scene) -> None:
    assert (200, [{"slug": "house", "text": "hi", "is_open": True, "size": 2}]) == answered(
        scene.ask("PATCH", "/pages?slug=eq.home", {"slug": "house"}, prefer=SHOW)
    )


def test_an_update_of_nothing_changes_nothing(scene: Scene) -> None:
    for body in ({}, [], [{}]):
        answer = scene.ask("PATCH", "/notes", body, prefer=SHOW)
        assert (200, []) == answered(answer)
        assert "*/*" == headers(answer)["Content-Range"]


def test_columns_chooses_what_an_update_takes(scene: Scene) -> None:
    assert 204 == scene.ask("PATCH", "/notes?id=eq.1&columns=stars", {"stars": 3, "title": "no", "x": 1}).status
    assert ("hers", 3) == (scene.rows(Note)[0]["title"], scene.rows(Note)[0]["stars"])
    scene.ask("PATCH", "/log", {"level": 9})
    path = "/notes?id=eq.1&columns=stars,done,info,title"
    assert 204 == scene.ask("PATCH", path, {"title": "t"}, prefer="missing=default").status
    row = scene.rows(Note)[0]
    assert ("t", 0, False, None) == (row["title"], row["stars"], row["done"], row["info"])


# --- DELETE ----------------------------------------------------------------------------------------------------------


def test_a_delete_gives_back_what_is_gone(scene: Scene) -> None:
    assert (200, [{"word": "red", "notes": {"title": "hers"}}]) == answered(
        scene.ask("DELETE", "/tags?word=eq.red&select=word,notes(title)", {}, prefer=SHOW)
    )
    answer = scene.ask("DELETE", "/notes?id=eq.1", prefer="count=exact")
    assert (204, "*/1") == (answer.status, headers(answer)["Content-Range"])
    assert ["his"] == titles(scene)


def test_a_delete_reaches_only_rows_the_caller_sees(scene: Scene) -> None:
    """DA-03, DA-16: a delete without a filter takes the caller's own rows at most."""
    assert 204 == scene.ask("DELETE", "/tags").status
    assert 204 == scene.ask("DELETE", "/notes").status
    assert (["his"], 1) == (titles(scene), len(scene.rows(app.Tag)))


# --- what the caller demands -----------------------------------------------------------------------------------------


def test_a_single_object_is_one_row_or_nothing_happens(scene: Scene) -> None:
    one = "application/vnd.pgrst.object+json"
    assert (201, {"number": 6}) == answered(scene.ask("POST", "/steps", [{"number": 6}], prefer=SHOW, accept=one))
    for prefer in (SHOW, "return=minimal"):
        answer = scene.ask("POST", "/log", [{"line": "a"}, {"line": "b"}], prefer=prefer, accept=one)
        assert (406, "PGRST116", "Cannot coerce the result to a single JSON object") == refused(answer)
        assert 406 == scene.ask("DELETE", "/notes?id=eq.77", prefer=prefer, accept=one).status
        assert 406 == scene.ask("PATCH", "/pages?text=eq.none", {"text": "x"}, prefer=prefer, accept=one).status
    assert [] == scene.rows(app.LOG)


def test_max_affected_undoes_a_write_that_reaches_further(scene: Scene) -> None:
    """DA-16."""
    scene.ask("POST", "/log", [{"line": str(number)} for number in range(4)])
    strict = "handling=strict,max-affected=3"
    for prefer in (strict, f"{strict},{SHOW}"):
        answer = scene.ask("DELETE", "/log", prefer=prefer)
        assert (400, "PGRST124", "Query result exceeds max-affected preference constraint") == refused(answer)
        assert 400 == scene.ask("PATCH", "/log", {"line": "x"}, prefer=prefer).status
    assert ["0", "1", "2", "3"] == sorted(row["line"] for row in scene.rows(app.LOG))
    assert 204 == scene.ask("DELETE", "/log?line=neq.0", prefer=strict).status
    assert 204 == scene.ask("DELETE", "/log", prefer="handling=lenient,max-affected=0").status


def test_a_filter_can_be_required(scene: Scene) -> None:
    """DA-16."""
    careful = scene.with_settings(require_write_filter=True)
    assert (400, "21000", "DELETE requires a WHERE clause") == refused(careful.ask("DELETE", "/notes"))
    assert (400, "21000", "UPDATE requires a WHERE clause") == refused(careful.ask("PATCH", "/notes", {"stars": 1}))
    assert 204 == careful.ask("PATCH", "/notes", {}).status
    assert 204 == careful.ask("PATCH", "/notes?id=eq.1", {"stars": 1}).status


@pytest.mark.parametrize(
    ("end", "prefer", "stays"),
    [
        ("commit", "tx=rollback", True),
        ("rollback", "tx=commit", False),
        ("commit-allow-override", "tx=rollback", False),
        ("rollback-allow-override", "", False),
        ("rollback-allow-override", "tx=commit", True),
    ],
)
def test_a_transaction_ends_as_the_settings_say(scene: Scene, end: str, prefer: str, stays: bool) -> None:
    other = scene.with_settings(transaction_end=end)
    assert (201, [{"number": 6}]) == answered(other.ask("POST", "/steps", {"number": 6}, prefer=f"{SHOW},{prefer}"))
    assert stays == (len(scene.rows(Step)) == 2)


def test_an_ended_session_writes_nothing(scene: Scene) -> None:
    """The session is asked for inside the write's own transaction."""
    with scene.database.writing() as connection:
        connection.execute(sa.delete(app.Session).where(app.Session.user_id == ANNA))
    for method, body in (("POST", {"title": "x"}), ("PATCH", {"stars": 1}), ("DELETE", None)):
        assert (401, "PGRST303", "JWT session ended") == refused(scene.ask(method, "/notes", body))
    assert 201 == scene.ask("POST", "/notes", {"title": "x"}, who=BEN).status


def test_whose_session_has_ended_is_not_told_what_is_in_the_table(scene: Scene) -> None:
    with scene.database.writing() as connection:
        connection.execute(sa.delete(app.Session).where(app.Session.user_id == ANNA))
    for body in (
        {"title": "hers"},
        {"title": "y", "owner_id": str(BEN)},
    ):
        for prefer in ("", SHOW):
            assert 401 == scene.ask("POST", "/notes", body, prefer=prefer).status
    assert ["hers", "his"] == titles(scene)


# --- upsert ----------------------------------------------------------------------------------------------------------

MERGE = f"{SHOW},resolution=merge-duplicates"
IGNORE = f"{SHOW},resolution=ignore-duplicates"


def test_merging_updates_what_is_there_and_adds_the_rest(scene: Scene) -> None:
    body = [{"slug": "new", "text": "b"}, {"slug": "home", "text": "a"}]
    answer = scene.ask("POST", "/pages?select=slug,text", body, prefer=MERGE)
    assert (201, body) == answered(answer)
    assert "resolution=merge-duplicates, return=representation" == headers(answer)["Preference-Applied"]
    assert (200, body[1:]) == answered(scene.ask("POST", "/pages?select=slug,text", body[1:], prefer=MERGE))


def test_ignoring_gives_back_only_what_is_new(scene: Scene) -> None:
    body = [{"slug": "law", "text": "b"}, {"slug": "new", "text": "a"}]
    answer = scene.ask("POST", "/pages?select=slug,text", body, prefer=IGNORE)
    assert (201, body[1:]) == answered(answer)
    assert "no" == scene.rows(Page)[1]["text"]


def test_a_conflict_target_is_a_unique_key(scene: Scene) -> None:
    body = {"title": "hers", "stars": 8}
    assert (200, [body]) == answered(
        scene.ask("POST", "/notes?on_conflict=owner_id,title&select=title,stars", body, prefer=MERGE)
    )
    assert (
        400,
        "42P10",
        "there is no unique or exclusion constraint matching the ON CONFLICT specification",
    ) == refused(scene.ask("POST", "/notes?on_conflict=title", body, prefer=MERGE))
    for name in ("nope", "secret"):
        assert (400, "42703", f"column notes.{name} does not exist") == refused(
            scene.ask("POST", f"/notes?on_conflict={name}", body, prefer=MERGE)
        )


def test_a_conflict_target_named_twice_counts_once(scene: Scene) -> None:
    """Neither database would find a key for it."""
    body = [{"slug": "home", "text": "a"}]
    for prefer, expected in ((MERGE, body), (IGNORE, [])):
        answer = scene.ask("POST", "/pages?on_conflict=slug,slug&select=slug,text", body, prefer=prefer)
        assert (200 if expected else 201, expected) == answered(answer)


def test_an_upsert_never_reaches_a_row_that_an_update_would_not(scene: Scene) -> None:
    """DA-15: neither a closed page nor another's note, by its key, is overwritten; nothing of the batch stays."""
    body = [{"slug": "new", "text": "x"}, {"slug": "law", "text": "x"}]
    assert 403 == scene.ask("POST", "/pages", body, prefer=MERGE).status
    assert (
        403 == scene.ask("POST", "/notes", {"id": 2, "title": "grabbed"}, prefer="resolution=merge-duplicates").status
    )
    assert (["home", "law"], ["hers", "his"]) == ([row["slug"] for row in scene.rows(Page)], titles(scene))


def test_a_merged_row_must_pass_the_update_policy(scene: Scene) -> None:
    assert 403 == scene.ask("POST", "/pages", {"slug": "home", "is_open": False}, prefer=MERGE).status
    assert 403 == scene.ask("POST", "/notes", {"id": 1, "title": "x", "owner_id": str(BEN)}, prefer=MERGE).status
    assert 403 == scene.ask("POST", "/tags", {"note_id": 1, "word": "red"}, prefer=MERGE).status


def test_a_merge_that_changes_the_rows_key_is_a_merge(scene: Scene) -> None:
    """Also for its policy: everybody may put up a door, nobody may lock one."""
    door = sa.Table(
        "doors",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, unique=True),
        sa.Column("is_open", sa.Boolean, nullable=False),
    )
    with scene.database.writing() as connection:
        door.create(connection)
        connection.execute(sa.insert(door), [{"id": 1, "name": "a", "is_open": True}])
    policies = dict.fromkeys((Verb.SELECT, Verb.INSERT), allow_all) | {Verb.UPDATE: lambda row: row.is_open}
    made = build([Exposure(door, policies, {}, (), None, None, None, None, None)], scene.database.dialect_name)
    doors = Scene(scene.database, DataApi(made, scene.database, scene.api.settings, app.standing()))
    locked = [{"id": 9, "name": "a", "is_open": False}, {"id": 8, "name": "b", "is_open": False}]
    assert 403 == doors.ask("POST", "/doors?on_conflict=name", locked, prefer=MERGE).status
    assert [{"id": 1, "name": "a", "is_open": True}] == scene.rows(door)
    moved = locked[0] | {"is_open": True}
    assert (200, [moved]) == answered(doors.ask("POST", "/doors?on_conflict=name", [moved], prefer=MERGE))
    both = [moved | {"id": 7}, locked[1]]
    assert (201, both) == answered(doors.ask("POST", "/doors?on_conflict=name", both, prefer=MERGE))


def test_an_upsert_of_many_rows_of_ones_own_merges_some_and_makes_the_others(scene: Scene) -> None:
    body = [{"id": 1, "title": "merged"}, {"id": 7, "title": "made"}, {"id": 8, "title": "made too"}]
    for prefer in (MERGE, "resolution=merge-duplicates"):
        assert 2 == scene.ask("POST", "/notes?select=id,title", body, prefer=prefer).status // 100
        assert ["merged", "made", "made too"] == titles(scene, ANNA)


def test_an_upsert_of_many_rows_reaches_no_row_that_an_update_would_not(scene: Scene) -> None:
    before = scene.rows(Note)
    for body in (
        [{"id": 2, "title": "a"}, {"id": 7, "title": "b"}],
        [{"id": 7, "title": "b"}, {"id": 2, "title": "a"}],
    ):
        assert 403 == scene.ask("POST", "/notes", body, prefer="resolution=merge-duplicates").status
    assert before == scene.rows(Note)


def test_one_upsert_meets_a_row_once(scene: Scene) -> None:
    twice = [{"slug": "home", "text": "a"}, {"slug": "home", "text": "b"}]
    code, message = "21000", "ON CONFLICT DO UPDATE command cannot affect row a second time"
    assert (400, code, message) == refused(scene.ask("POST", "/pages", twice, prefer=MERGE))
    assert (201, []) == answered(scene.ask("POST", "/pages", twice, prefer=IGNORE))


def test_a_key_that_is_null_is_refused(scene: Scene) -> None:
    refusal = (400, "23502", 'null value in column "id" of relation "notes" violates not-null constraint')
    for body in ({"id": None, "title": "x"}, [{"id": 7, "title": "x"}, {"id": None, "title": "y"}]):
        assert refusal == refused(scene.ask("POST", "/notes", body))
    assert refusal == refused(scene.ask("POST", "/notes?columns=id,title", {"title": "x"}))
    assert refusal == refused(scene.ask("PATCH", "/notes?id=eq.1", {"id": None}))
    assert 201 == scene.ask("POST", "/notes?columns=id,title", {"title": "x"}, prefer="missing=default").status


def test_without_a_key_an_upsert_is_an_insert(scene: Scene) -> None:
    answer = scene.ask("POST", "/log", {"line": "a", "level": 1}, prefer=MERGE)
    assert (201, [{"line": "a", "level": 1}]) == answered(answer)
    assert SHOW == headers(answer)["Preference-Applied"]


def test_an_upsert_without_the_key_makes_new_rows(scene: Scene) -> None:
    assert (201, [{"id": 3}]) == answered(scene.ask("POST", "/notes?select=id", {"title": "new"}, prefer=MERGE))
    assert (201, []) == answered(scene.ask("POST", "/log", [], prefer=IGNORE))


# --- PUT -------------------------------------------------------------------------------------------------------------


def test_put_makes_or_replaces_the_one_row_of_its_key(scene: Scene) -> None:
    body = {"slug": "new", "text": "1"}
    assert (201, [body]) == answered(scene.ask("PUT", "/pages?slug=eq.new&select=slug,text", [body], prefer=SHOW))
    assert (200, [body]) == answered(scene.ask("PUT", "/pages?slug=eq.new&select=slug,text", body, prefer=SHOW))
    assert 204 == scene.ask("PUT", "/pages?slug=eq.new", body).status


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/pages?slug=eq.new&limit=1", 400, "PGRST114"),
        ("/pages?slug=neq.new", 405, "PGRST105"),
        ("/pages?slug=not.eq.new", 405, "PGRST105"),
        ("/pages?and=(slug.eq.new)", 405, "PGRST105"),
        ("/pages?slug=eq.new&text=eq.a", 405, "PGRST105"),
        ("/pages", 405, "PGRST105"),
        ("/log", 405, "PGRST105"),
        ("/pages?slug=eq.other", 400, "PGRST115"),
    ],
)
def test_put_names_its_row_by_the_whole_key_and_nothing_else(scene: Scene, path: str, status: int, code: str) -> None:
    assert (status, code) == refused(scene.ask("PUT", path, {"slug": "new"}))[:2]


# --- other bodies ----------------------------------------------------------------------------------------------------


def test_csv_and_forms_are_read_by_the_columns_types(scene: Scene) -> None:
    answer = scene.ask("POST", "/log", b"line,level\nNULL,4\nx,5\n", content_type="text/csv", prefer=SHOW)
    assert (201, [{"line": None, "level": 4}, {"line": "x", "level": 5}]) == answered(answer)
    form = "application/x-www-form-urlencoded"
    answer = scene.ask("POST", "/log", b"line=a+b&level=7", content_type=form, prefer=SHOW)
    assert (201, [{"line": "a b", "level": 7}]) == answered(answer)
    answer = scene.ask("POST", "/log", b"line,level\nx\n", content_type="text/csv")
    assert (400, "PGRST102", "All lines must have same number of fields") == refused(answer)


def test_ten_thousand_rows_go_in_and_come_back_in_one_request(scene: Scene) -> None:
    wide = scene.with_settings(max_batch=10_000)
    body = [{"line": str(number), "level": number} for number in range(10_000)]
    assert (201, body) == answered(wide.ask("POST", "/log", body, prefer=SHOW))


def test_who_writes_ever_new_choices_of_columns_or_filters_is_told_to_wait(scene: Scene) -> None:
    """One that is known is served on."""
    scene.api.reads.budget = ShapeBudget(rate=1)

    def ask(method: str, query: str = "", **row: str | bool) -> int:
        http = HttpRequest(method, "/pages", query, content_type="application/json", body=json.dumps(row).encode())
        return scene.api.answer(http, caller(ANNA), NOW, None, lambda: str(ANNA)).status

    def post(**row: str | bool) -> int:
        return ask("POST", **row)

    assert 201 == post(slug="first", text="x")
    assert [204, 204] == [ask("PATCH", "slug=eq.a", text="y"), ask("DELETE", "slug=eq.a")]
    with pytest.raises(DataError, match="PORTERO429"):
        for _ in range(20):
            scene.api.reads.budget.spend(str(ANNA))
    assert [429, 201] == [post(slug="second", is_open=True), post(slug="third", text="y")]
    assert [429, 204] == [ask("PATCH", "slug=like.a", text="y"), ask("PATCH", "slug=eq.b", text="y")]
    assert [429, 204] == [ask("PATCH", "slug=eq.a", is_open=True), ask("DELETE", "slug=eq.b")]
    assert 429 == ask("DELETE", "slug=like.a")
