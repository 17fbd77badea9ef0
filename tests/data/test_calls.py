"""Functions at `/rpc/<name>` as clients see them, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from openapi_spec_validator import validate
from sqlalchemy.orm import Session
from tests.data import scene as app
from tests.data.scene import (
    ANNA,
    ANYBODY,
    BEN,
    NOW,
    SERVICE,
    Note,
    Page,
    Scene,
    Tag,
    answered,
    caller,
    headers,
    refused,
)

from portero.data.arguments import argument_type
from portero.data.functions import Functions, marked_in, rpc
from portero.data.nodes import HttpRequest
from portero.data.pipeline import DataApi
from portero.errors import ConfigurationError, DataError
from portero.principal import Principal

EVERYBODY = ("anon", "authenticated")
OBJECT = "application/vnd.pgrst.object+json"


@rpc(read_only=True, allow=EVERYBODY)
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@rpc(read_only=True)
def echo(
    text: str | None = None,
    flag: bool = False,
    ratio: float = 0.0,
    price: Decimal = Decimal(0),
    day: date | None = None,
    at: datetime | None = None,
    ident: UUID | None = None,
    facts: dict[str, Any] | None = None,
    numbers: list[int] | None = None,
) -> dict[str, Any]:
    """Give every argument back."""
    return dict(locals())


@rpc(read_only=True, allow=EVERYBODY)
def titled(start: str = "") -> Any:
    """Select notes; the latest first."""
    return sa.select(Note).where(Note.title.startswith(start)).order_by(Note.id.desc())


@rpc(read_only=True)
def first_note() -> Any:
    """Select the first note there is: of those that the caller may see."""
    return sa.select(Note).order_by(Note.id).limit(1)


@rpc(read_only=True, allow=EVERYBODY)
def tags_joined() -> Any:
    """Select tags, joined with the table that their own policy looks into."""
    return sa.select(Tag).join(Note, Note.id == Tag.note_id).where(Note.stars == 0).order_by(Note.title)


@rpc(read_only=True)
def listed() -> Any:
    """Select notes by lists of constants."""
    return sa.select(Note).where(Note.title.in_(["hers", "his"]), Note.owner_id.in_([ANNA, BEN]))


@rpc(read_only=True)
def tagged(word: str) -> Any:
    """Select notes by their tags."""
    return sa.select(Note).join(Tag, Tag.note_id == Note.id).where(Tag.word == word)


@rpc
def take_note(session: Session, caller: Principal, title: str, stars: int = 0) -> Any:
    """Write a note of the caller's, and select it."""
    assert caller.user_id is not None
    note = Note(owner_id=caller.user_id, title=title, stars=stars)
    session.add(note)
    session.flush()
    return sa.select(Note).where(Note.id == note.id)


@rpc
def rename_page(session: Session, slug: str, text: str) -> None:
    """Change a page, past its policies, and say nothing."""
    session.execute(sa.update(Page).where(Page.slug == slug).values(text=text))


@rpc(read_only=True)
def sneaky(session: Session) -> int:
    """Write although it is declared read-only."""
    session.execute(sa.update(Page).values(text="gone"))
    return 1


@rpc(read_only=True)
def many() -> list[dict[str, Any]]:
    """Give three rows."""
    return [{"n": n, "half": Decimal(n) / 2} for n in (1, 2, 3)]


@rpc(read_only=True)
def counted(session: Session) -> Any:
    """Give rows of a statement of its own."""
    return session.execute(sa.select(Note.title, sa.func.length(Note.title).label("size")).order_by(Note.id))


@rpc
def refuse() -> None:
    """Refuse in its own words."""
    raise DataError(400, "P0001", "Not today", hint="Come tomorrow")


@rpc
def orphan(session: Session) -> None:
    """Add a row whose parent is looked for at the commit."""
    session.execute(sa.text("INSERT INTO orphans VALUES (77)"))


@rpc(read_only=True)
def leak() -> Any:
    """Return what no policy could guard."""
    return sa.select(Note.secret)


@rpc(allow=())
def for_servers() -> str:
    """Only the service role calls this."""
    return "ok"


FUNCTIONS = [
    add,
    echo,
    titled,
    first_note,
    tags_joined,
    listed,
    tagged,
    take_note,
    rename_page,
    sneaky,
    many,
    counted,
    refuse,
    orphan,
    leak,
    for_servers,
]


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    """The application with functions, once on each database."""
    with app.opened(database_url) as opened:
        yield with_functions(opened)


def with_functions(opened: Scene, **changes: Any) -> Scene:
    """Serve the functions of this module."""
    settings = replace(opened.api.settings, **changes)
    functions = Functions(FUNCTIONS)
    api = DataApi(opened.api.catalogue, opened.database, settings, app.standing(), functions)
    return Scene(opened.database, api)


# --- arguments -------------------------------------------------------------------------------------------------------


def test_a_scalar_is_answered_bare(scene: Scene) -> None:
    assert (200, 3) == answered(scene.ask("POST", "/rpc/add", {"a": 1, "b": 2}))
    assert (200, 3) == answered(scene.ask("GET", "/rpc/add?a=1&b=2"))
    assert (200, 2) == answered(scene.ask("POST", "/rpc/add", {"a": "1"}))


def test_a_form_is_a_call_too(scene: Scene) -> None:
    form = "application/x-www-form-urlencoded"
    assert (200, 3) == answered(scene.ask("POST", "/rpc/add", b"a=1&b=2", content_type=form))
    assert 400 == scene.ask("POST", "/rpc/add", b"a=1&b=%ff", content_type=form).status


def test_head_answers_without_a_body(scene: Scene) -> None:
    answer = scene.ask("HEAD", "/rpc/add?a=1")
    assert (200, b"") == (answer.status, answer.body)


def test_every_type_comes_in_by_its_annotation_and_goes_out_as_json(scene: Scene) -> None:
    sent = {
        "text": "x",
        "flag": True,
        "ratio": 1.5,
        "price": "12345678901234567890.10",
        "day": "2026-05-01",
        "at": "2026-05-01T12:00:00Z",
        "ident": str(ANNA),
        "facts": {"a": [1, 1.5]},
        "numbers": [1, 2],
    }
    answer = scene.ask("POST", "/rpc/echo", sent)
    status, given = answered(answer)
    assert 200 == status
    assert {**sent, "at": "2026-05-01T12:00:00+00:00", "price": given["price"]} == given
    assert b'"price":12345678901234567890.10' in answer.body


def test_arrays_of_a_query_are_written_in_braces(scene: Scene) -> None:
    assert [1, 2, 3] == answered(scene.ask("GET", "/rpc/echo?numbers={1,2,3}"))[1]["numbers"]


@pytest.mark.parametrize("text", ["{{1},{2}}", "{{}}", "{1,{2}}"])
def test_an_array_in_an_array_is_refused_where_a_number_is_wanted(scene: Scene, text: str) -> None:
    """In a query and in a body; it was a 500."""
    for method, query, body in (("GET", f"?numbers={text}", None), ("POST", "", {"numbers": text})):
        answer = scene.ask(method, f"/rpc/echo{query}", body)
        assert (400, "22P02") == refused(answer)[:2]


def test_arrays_of_arrays_come_in_from_text() -> None:
    wanted = argument_type(list[list[int]])
    assert wanted is not None
    assert [[1, None], None, [2]] == wanted.parse('{{1,NULL},NULL,{"2"}}')


def test_a_value_of_another_type_is_named(scene: Scene) -> None:
    answer = scene.ask("POST", "/rpc/add", {"a": "x"})
    assert (400, "22P02", 'invalid input syntax for type bigint: "x"') == refused(answer)
    assert b"The argument a of public.add(a, b) is of type bigint" in answer.body
    assert (400, "22004") == refused(scene.ask("POST", "/rpc/add", {"a": None}))[:2]
    assert (400, "22003") == refused(scene.ask("POST", "/rpc/add", {"a": 2**63}))[:2]


@pytest.mark.parametrize("sent", [{}, {"a": 1, "c": 2}, {"b": 2}])
def test_missing_and_unknown_arguments_find_no_function(scene: Scene, sent: dict[str, int]) -> None:
    answer = scene.ask("POST", "/rpc/add", sent)
    assert (404, "PGRST202") == refused(answer)[:2]
    assert b"Perhaps you meant to call the function public.add(a, b)" in answer.body


def test_an_unknown_function_is_told_the_nearest(scene: Scene) -> None:
    answer = scene.ask("POST", "/rpc/adds", {"a": 1})
    message = "Could not find the function public.adds(a) in the schema cache"
    assert (404, "PGRST202", message) == refused(answer)
    assert b"Searched for the function public.adds with parameter a, but no matches were found" in answer.body
    assert b'"hint":"Perhaps you meant to call the function public.add"' in answer.body
    assert (404, "PGRST125") == refused(scene.ask("POST", "/rpc/add/more", {}))[:2]


@pytest.mark.parametrize("body", [b"[1]", b"{", b'"x"', b"\xff"])
def test_a_body_that_is_no_object_is_refused(scene: Scene, body: bytes) -> None:
    assert (400, "PGRST102") == refused(scene.ask("POST", "/rpc/add", body))[:2]


def test_other_content_is_refused(scene: Scene) -> None:
    assert (400, "PGRST102") == refused(scene.ask("POST", "/rpc/add", b"a", content_type="text/csv"))[:2]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_verbs_are_refused(scene: Scene, method: str) -> None:
    answer = scene.ask(method, "/rpc/add")
    assert (405, "PGRST101", f"Cannot use the {method} method on RPC") == refused(answer)
    assert "OPTIONS,GET,HEAD,POST" == headers(answer)["Allow"]


def test_a_function_that_may_write_is_not_called_by_get(scene: Scene) -> None:
    answer = scene.ask("GET", "/rpc/rename_page?slug=home&text=x")
    assert (405, "PGRST101") == refused(answer)[:2]
    assert "OPTIONS,POST" == headers(answer)["Allow"]
    assert "OPTIONS,POST" == headers(scene.api.describe("/rpc/rename_page", "anon"))["Allow"]


# --- who -------------------------------------------------------------------------------------------------------------


def test_a_constraint_that_is_checked_at_the_commit_is_the_callers_conflict(scene: Scene) -> None:
    with scene.database.writing() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE orphans (step INTEGER REFERENCES steps (number) DEFERRABLE INITIALLY DEFERRED)"
        )
    assert (409, "23503") == refused(scene.ask("POST", "/rpc/orphan", {}))[:2]


def test_only_the_roles_of_a_function_may_call_it(scene: Scene) -> None:
    assert (200, 2) == answered(scene.ask("POST", "/rpc/add", {"a": 1}, who=ANYBODY))
    assert (401, "42501", "permission denied for function echo") == refused(
        scene.ask("POST", "/rpc/echo", {}, who=ANYBODY)
    )
    assert (403, "42501") == refused(scene.ask("POST", "/rpc/for_servers", {}))[:2]
    assert (200, "ok") == answered(scene.ask("POST", "/rpc/for_servers", {}, who=SERVICE))


def test_a_session_that_ended_calls_nothing(scene: Scene) -> None:
    http = HttpRequest("POST", "/rpc/rename_page", body=b'{"slug":"home","text":"x"}')
    gone = replace(caller(ANNA), session_id=UUID(int=9))
    assert (401, "PGRST303") == refused(scene.api.answer(http, gone, NOW))[:2]
    assert ["hi", "no"] == [row["text"] for row in scene.rows(Page)]


# --- selects ---------------------------------------------------------------------------------------------------------


def test_a_select_gives_only_rows_its_models_policy_lets_through(scene: Scene) -> None:
    assert ["hers"] == [row["title"] for row in answered(scene.ask("POST", "/rpc/titled", {}))[1]]
    assert ["his"] == [row["title"] for row in answered(scene.ask("GET", "/rpc/titled", who=BEN))[1]]
    assert (200, []) == answered(scene.ask("GET", "/rpc/titled", who=ANYBODY))
    assert [2, 1] == [row["id"] for row in answered(scene.ask("GET", "/rpc/titled", who=SERVICE))[1]]


def test_hidden_columns_stay_hidden(scene: Scene) -> None:
    assert "secret" not in answered(scene.ask("POST", "/rpc/titled", {}))[1][0]
    assert (400, "42703") == refused(scene.ask("POST", "/rpc/titled?select=secret", {}))[:2]
    assert (400, "42703") == refused(scene.ask("POST", "/rpc/titled?secret=eq.a", {}))[:2]


def test_the_read_grammar_applies_to_a_select(scene: Scene) -> None:
    for title in ("a1", "a2", "a3"):
        assert 201 == scene.ask("POST", "/notes", {"title": title}).status
    query = "/rpc/titled?start=a&select=title&title=neq.a2&order=title"
    assert (200, [{"title": "a1"}, {"title": "a3"}]) == answered(scene.ask("GET", query))
    answer = scene.ask("POST", "/rpc/titled?select=title&limit=1&offset=1", {"start": "a"}, prefer="count=exact")
    assert (206, [{"title": "a2"}]) == answered(answer)
    assert "1-1/3" == headers(answer)["Content-Range"]
    tags = scene.ask("GET", "/rpc/tagged?word=red&select=title,tags(word)")
    assert (200, [{"title": "hers", "tags": [{"word": "red"}]}]) == answered(tags)
    assert (200, []) == answered(scene.ask("GET", "/rpc/tagged?word=blue"))


@pytest.mark.parametrize("count", ["exact", "planned", "estimated"])
def test_a_count_is_exact_whatever_was_asked(scene: Scene, count: str) -> None:
    answer = scene.ask("GET", "/rpc/titled?limit=1", who=SERVICE, prefer=f"count={count}")
    assert "0-0/2" == headers(answer)["Content-Range"]


def test_a_selects_own_order_and_limit_stand_unless_the_request_says_more(scene: Scene) -> None:
    assert [2, 1] == [row["id"] for row in answered(scene.ask("GET", "/rpc/titled", who=SERVICE))[1]]
    ordered = scene.ask("GET", "/rpc/titled?order=id", who=SERVICE)
    assert [1, 2] == [row["id"] for row in answered(ordered)[1]]
    assert ["hers"] == [row["title"] for row in answered(scene.ask("GET", "/rpc/first_note"))[1]]
    assert ["his"] == [row["title"] for row in answered(scene.ask("GET", "/rpc/first_note", who=BEN))[1]]


def test_a_policy_with_a_subquery_does_not_tie_itself_to_what_the_statement_joins(scene: Scene) -> None:
    assert ["red"] == [row["word"] for row in answered(scene.ask("GET", "/rpc/tags_joined"))[1]]
    assert ["blue"] == [row["word"] for row in answered(scene.ask("GET", "/rpc/tags_joined", who=BEN))[1]]
    assert (200, []) == answered(scene.ask("GET", "/rpc/tags_joined", who=ANYBODY))


def test_a_select_may_hold_lists_of_constants(scene: Scene) -> None:
    assert ["hers"] == [row["title"] for row in answered(scene.ask("GET", "/rpc/listed"))[1]]


def test_a_single_object_must_be_one(scene: Scene) -> None:
    assert "hers" == answered(scene.ask("POST", "/rpc/titled", {}, accept=OBJECT))[1]["title"]
    assert (406, "PGRST116") == refused(scene.ask("GET", "/rpc/titled", who=SERVICE, accept=OBJECT))[:2]


def test_a_select_past_the_models_is_no_answer(scene: Scene) -> None:
    with pytest.raises(TypeError, match="not over one exposed model"):
        scene.ask("GET", "/rpc/leak")


def test_csv_goes_out(scene: Scene) -> None:
    assert b"n,half\n1,0.5\n2,1\n3,1.5" == scene.ask("GET", "/rpc/many", accept="text/csv").body
    assert b"title\nhers" == scene.ask("GET", "/rpc/titled?select=title", accept="text/csv").body


# --- plain values ----------------------------------------------------------------------------------------------------


def test_a_list_is_counted_paged_and_narrowed(scene: Scene) -> None:
    answer = scene.ask("GET", "/rpc/many?limit=1&offset=1&select=number:n", prefer="count=exact")
    assert (206, [{"number": 2}]) == answered(answer)
    assert "1-1/3" == headers(answer)["Content-Range"]
    assert (400, "42703") == refused(scene.ask("GET", "/rpc/many?select=nope"))[:2]
    assert (400, "PGRST127") == refused(scene.ask("GET", "/rpc/many?n=eq.1"))[:2]
    assert (400, "PGRST127") == refused(scene.ask("GET", "/rpc/many?select=n::text"))[:2]


def test_rows_of_a_statement_of_its_own_are_given_as_they_are(scene: Scene) -> None:
    assert [{"title": "hers", "size": 4}, {"title": "his", "size": 3}] == answered(scene.ask("GET", "/rpc/counted"))[1]


def test_rows_are_capped(scene: Scene) -> None:
    assert 2 == len(answered(with_functions(scene, max_rows=2).ask("GET", "/rpc/many"))[1])


def test_max_affected_speaks_of_sets_only(scene: Scene) -> None:
    strict = "handling=strict, max-affected=2"
    assert (400, "PGRST124") == refused(scene.ask("POST", "/rpc/many", {}, prefer=strict))[:2]
    assert (400, "PGRST128") == refused(scene.ask("POST", "/rpc/add", {"a": 1}, prefer=strict))[:2]


# --- writes ----------------------------------------------------------------------------------------------------------


def test_a_function_writes_in_the_callers_name_and_selects_what_it_wrote(scene: Scene) -> None:
    answer = scene.ask("POST", "/rpc/take_note?select=title,owner_id", {"title": "new"})
    assert (200, [{"title": "new", "owner_id": str(ANNA)}]) == answered(answer)


def test_nothing_is_204(scene: Scene) -> None:
    answer = scene.ask("POST", "/rpc/rename_page", {"slug": "law", "text": "yes"})
    assert (204, b"") == (answer.status, answer.body)
    assert "Content-Type" not in headers(answer)
    assert ["hi", "yes"] == [row["text"] for row in scene.rows(Page)]


def test_minimal_is_204_with_the_count(scene: Scene) -> None:
    answer = scene.ask("POST", "/rpc/many", {}, prefer="return=minimal, count=exact")
    assert (204, b"", "0-2/3") == (answer.status, answer.body, headers(answer)["Content-Range"])


def test_a_write_in_a_read_only_function_is_405(scene: Scene) -> None:
    for answer in (scene.ask("GET", "/rpc/sneaky"), scene.ask("POST", "/rpc/sneaky", {})):
        assert (405, "25006", "cannot write in a read-only transaction") == refused(answer)
    assert ["hi", "no"] == [row["text"] for row in scene.rows(Page)]


def test_a_refusal_after_the_write_undoes_it(scene: Scene) -> None:
    strict = "handling=strict, max-affected=0"
    assert (400, "PGRST124") == refused(scene.ask("POST", "/rpc/take_note", {"title": "n"}, prefer=strict))[:2]
    assert (400, "42703") == refused(scene.ask("POST", "/rpc/take_note?select=nope", {"title": "n"}))[:2]
    assert ["hers", "his"] == [row["title"] for row in scene.rows(Note)]


def test_constraints_speak_without_names(scene: Scene) -> None:
    answer = scene.ask("POST", "/rpc/take_note", {"title": "hers"})
    assert (409, "23505", "duplicate key value violates unique constraint") == refused(answer)
    assert (400, "23514", "a row violates check constraint") == refused(
        scene.ask("POST", "/rpc/take_note", {"title": "n", "stars": -1})
    )


def test_a_function_refuses_in_its_own_words(scene: Scene) -> None:
    answer = scene.ask("POST", "/rpc/refuse", {})
    assert (400, "P0001", "Not today") == refused(answer)
    assert b"Come tomorrow" in answer.body


def test_tx_rollback_undoes_a_call(scene: Scene) -> None:
    dry = with_functions(scene, transaction_end="commit-allow-override")
    answer = dry.ask("POST", "/rpc/take_note?select=title", {"title": "new"}, prefer="tx=rollback")
    assert (200, [{"title": "new"}]) == answered(answer)
    assert ["hers", "his"] == [row["title"] for row in scene.rows(Note)]


# --- what cannot be served -------------------------------------------------------------------------------------------


def test_what_has_no_form_on_the_wire_is_refused_at_start() -> None:
    @rpc
    def bare(a) -> int:  # type: ignore[no-untyped-def]
        return 1

    @rpc
    def odd(a: complex) -> int:
        return 1

    @rpc
    def spread(*a: int) -> int:
        return 1

    @rpc
    async def later() -> int:
        return 1

    for function in (bare, odd, spread, later):
        with pytest.raises(ConfigurationError):
            Functions([function])
    with pytest.raises(ConfigurationError, match="Two functions"):
        Functions([add, rpc(name="add")(lambda: 1)])
    with pytest.raises(ConfigurationError, match="list of roles"):
        rpc(allow="anon")


def test_functions_are_named_by_themselves_or_by_their_module() -> None:
    import sys

    assert len(FUNCTIONS) == len(marked_in(sys.modules[__name__]))
    assert [add, echo] == marked_in([add, [echo]])
    for wrong in (len, 7, app):
        with pytest.raises(ConfigurationError):
            marked_in(wrong)


# --- described -------------------------------------------------------------------------------------------------------


def test_the_document_lists_what_a_role_may_call(scene: Scene) -> None:
    paths = answered(scene.ask("GET", "/"))[1]["paths"]
    assert {"get", "head", "post", "options"} == set(paths["/rpc/add"])
    assert {"post", "options"} == set(paths["/rpc/rename_page"])
    assert "Add two numbers." == paths["/rpc/add"]["post"]["summary"]
    body = paths["/rpc/echo"]["post"]["requestBody"]
    assert not body["required"]
    properties = body["content"]["application/json"]["schema"]["properties"]
    assert {"type": ["string", "null"], "format": "uuid"} == properties["ident"]
    arguments = {each["name"]: each for each in paths["/rpc/add"]["get"]["parameters"]}
    assert arguments["a"]["required"]
    assert not arguments["b"]["required"]
    assert "/rpc/for_servers" not in paths
    assert {"/rpc/add", "/rpc/titled", "/rpc/tags_joined"} == {
        path for path in document_of_anybody(scene) if path.startswith("/rpc/")
    }


def document_of_anybody(scene: Scene) -> list[str]:
    """The paths that callers without a session are told."""
    return list(answered(scene.ask("GET", "/", who=ANYBODY))[1]["paths"])


def test_the_document_is_openapi(scene: Scene) -> None:
    validate(answered(scene.ask("GET", "/"))[1])
