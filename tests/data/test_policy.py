"""Policies: what is refused at freeze, what the caller's facts become, and that the database still uses its indexes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column, relationship
from tests.data.test_relations import exposure

from portero.data import truth_guard
from portero.data.caller import me
from portero.data.catalogue import Model, build
from portero.data.exposure import expose, exposure_of, own
from portero.data.native_policies import script
from portero.data.policy import Policies, Verb, allow_all, deny_all, readable_rows, refused
from portero.errors import ConfigurationError, DataError
from portero.store.engine import Database
from portero.store.tables import OwnTable, User

DIALECTS = {"sqlite": sqlite.dialect, "postgresql": postgresql.dialect}


class Base(DeclarativeBase):
    """The models of these tests."""


class Team(Base):
    __tablename__ = "teams"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]


class Paper(Base):
    __tablename__ = "papers"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID | None] = mapped_column(sa.Uuid, index=True)
    is_public: Mapped[bool]
    title: Mapped[str | None]
    team_id: Mapped[int | None] = mapped_column(sa.ForeignKey("teams.id"))
    team: Mapped[Team | None] = relationship()


Other = aliased(Paper)


def model(select: Any, dialect: str = "sqlite") -> Model:
    """Freeze `Paper` under one select policy."""
    expose(select=select)(Paper)
    each = exposure_of(Paper)
    assert each is not None
    return build([each], dialect).model("papers")


def where(policy: Any, dialect: str = "sqlite") -> str:
    """The policy as it stands in a read's row source."""
    held = model(policy, dialect)
    rows = readable_rows(held.table, [held.table.c.id], held.policies.of(Verb.SELECT, "authenticated"), "r")
    text = str(sa.select(rows.c.id).compile(dialect=DIALECTS[dialect]()))
    return " ".join(text.partition("WHERE ")[2].rpartition(")")[0].split())


@pytest.mark.parametrize(
    "policy",
    [
        lambda row: row.owner_id == me.id and row.id == 1,
        lambda row: row.owner_id == me.id or row.is_public,
        lambda row: row.is_public or row.owner_id == me.id,
        lambda row: row.is_public and row.owner_id == me.id,
        lambda row: not (row.owner_id == me.id),  # noqa: SIM201
        lambda row: row.owner_id in [me.id],  # noqa: FURB171
        lambda row: row.is_public if row.owner_id != me.id else row.id == 1,
        lambda row: me.id and row.is_public,
        lambda row: (row.id > 1) and row.is_public,
        lambda row: 1 < row.id < 5,
        lambda row: sa.and_(row.id == 1, row.is_public) or row.is_public,
    ],
)
def test_pythons_words_for_truth_are_refused(policy: Callable[[Any], Any]) -> None:
    """They would silently keep one half of the condition."""
    with pytest.raises(ConfigurationError, match=r"the select policy of 'papers' .* use &, \|, ~ .* and \.in_\(\)"):
        model(policy)


async def _coroutine(row: Any) -> Any:
    return row.is_public


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (lambda row: True, "gives a plain True, not a condition: say allow_all or deny_all"),
        (lambda row: row.owner_id is None, "gives a plain False"),
        (lambda row: None, "gives a NoneType, not a condition"),
        (lambda row: "is_public", "gives a str, not a condition"),
        (lambda row: row.id, "not a condition over the row"),
        (lambda row: me.id, "gives a BindParameter, not a condition"),
        (_coroutine, "is a coroutine"),
        (lambda row: "secret" in row.title, "cannot be evaluated"),
        (lambda: True, "cannot be evaluated"),
        (lambda row: row.nope == 1, "cannot be evaluated: .*nope"),
        (True, "must be a function of the row"),
        (lambda row: Team.user_id == me.id, "names teams outside a subquery"),
        (lambda row: sa.exists().where(Paper.owner_id == me.id), "give the other rows an alias"),
        (lambda row: sa.exists(sa.select(Paper.id).join(Paper.team)), "give the other rows an alias"),
        (lambda row: row.id.in_(sa.select(Paper.id)), "give the other rows an alias"),
    ],
)
def test_what_is_no_condition_is_refused(policy: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the select policy of 'papers'.*{reason}"):
        model(policy)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (own("owner_id").owns, "papers.owner_id = ?"),
        (lambda row: (row.owner_id == me.id) | row.is_public, "papers.owner_id = ? OR papers.is_public = 1"),
        (lambda row: row.is_public, "papers.is_public = 1"),
        (lambda row: ~row.is_public & (me.role == "editor"), "papers.is_public = 0 AND ? = ?"),
        (allow_all, "1 = 1"),
        (deny_all, "0 = 1"),
        (
            lambda row: sa.exists().where(Team.id == row.team_id, Team.user_id == me.id),
            "EXISTS (SELECT * FROM teams WHERE teams.id = papers.team_id AND teams.user_id = ?)",
        ),
        (
            lambda row: sa.exists().where(Other.team_id == row.team_id, Other.owner_id == me.id),
            "EXISTS (SELECT * FROM papers AS papers_1 "
            "WHERE papers_1.team_id = papers.team_id AND papers_1.owner_id = ?)",
        ),
        (
            lambda row: Paper.team.has(Team.user_id == me.id),
            "EXISTS (SELECT 1 FROM teams WHERE teams.id = papers.team_id AND teams.user_id = ?)",
        ),
        (
            lambda row: sa.exists(sa.select(Other.id).join(Other.team).where(Team.user_id == row.owner_id)),
            "EXISTS (SELECT papers_1.id FROM papers AS papers_1 JOIN teams ON teams.id = papers_1.team_id "
            "WHERE teams.user_id = papers.owner_id)",
        ),
        (
            lambda row: me.email == "root@example.org",
            "(SELECT portero_users.email FROM portero_users WHERE portero_users.id = ?) = ?",
        ),
    ],
)  # fmt: skip
def test_a_policy_stands_beside_its_own_table_only(policy: Any, expected: str) -> None:
    assert expected == where(policy)


def test_a_policy_brings_no_orm_into_a_statement() -> None:
    for policy in (
        lambda row: me.claim("app_metadata", "org", sa.Uuid) == row.owner_id,
        lambda row: Paper.team.has(),
        lambda row: row.is_public,
    ):
        held = model(policy)
        assert not sa.select(sa.literal(1)).where(held.policies.of(Verb.SELECT, "x"))._propagate_attrs


def test_a_plain_table_is_given_its_columns() -> None:
    each = exposure(Paper.__table__)
    each.policies[Verb.SELECT] = lambda row: row.is_public  # type: ignore[index]
    assert "papers.is_public" == str(build([each], "sqlite").model("papers").policies.select)


def test_a_verb_without_a_policy_is_for_the_service_role_only() -> None:
    """DA-01; 401 tells an anonymous caller to sign in."""
    policies = Policies("papers")
    assert isinstance(policies.of(Verb.DELETE, "service_role"), sa.True_)
    for role, status in (("authenticated", 403), ("anon", 401), ("editor", 403)):
        with pytest.raises(DataError) as caught:
            policies.of(Verb.DELETE, role)
        expected = (status, "42501", "permission denied for table papers")
        assert expected == (caught.value.status, caught.value.code, caught.value.message)
        assert "papers has no delete policy: expose(…, delete=…)." == caught.value.hint
    assert (("WWW-Authenticate", "Bearer"),) == refused("no", "anon").headers


def test_own_gives_all_four_policies_and_the_fill() -> None:
    expose(own("owner_id"), delete=deny_all, fill={"is_public": False})(Paper)
    each = exposure_of(Paper)
    assert each is not None
    assert set(Verb) == set(each.policies)
    assert deny_all is each.policies[Verb.DELETE]
    assert {"owner_id", "is_public"} == set(each.fill)


def test_a_subclass_is_not_exposed_with_its_parent() -> None:
    expose(own("owner_id"))(Paper)
    assert exposure_of(type("Draft", (), {})) is None
    assert exposure_of(type("Sub", (Team,), {"__abstract__": True})) is None


@pytest.mark.parametrize("options", [{"hidden": "secret"}, {"columns": "id"}, {"policies": lambda row: row.is_public}])
def test_options_of_the_wrong_kind_are_refused(options: dict[str, Any]) -> None:
    policies = options.pop("policies", None)
    with pytest.raises(ConfigurationError, match=r"expose\(Team\)"):
        expose(policies, **options)(Team)


def test_the_guard_leaves_other_threads_and_other_times_alone() -> None:
    clause = sa.column("a") == sa.column("b")
    seen: list[bool] = []
    with truth_guard.guarded():
        thread = threading.Thread(target=lambda: seen.append(bool(clause)))
        thread.start()
        thread.join()
    assert [False] == seen
    assert bool(clause) is False
    assert bool(Paper.is_public) is True


@pytest.mark.parametrize(
    "path",
    [("user_metadata", "org"), ("app_metadata",), (), ("app_metadata", "org", sa.LargeBinary), ("app_metadata", 3.5)],
)
def test_a_claim_is_a_member_of_app_metadata(path: tuple[Any, ...]) -> None:
    """Users write their own user_metadata: no policy may rest on it."""
    with pytest.raises(ConfigurationError, match="claim"):
        me.claim(*path)


def test_the_callers_facts_are_read_from_the_callers_own_row(database: Database) -> None:
    """JV-33: a right taken away counts at the next statement."""
    who, org = uuid4(), uuid4()
    rights = {"org": str(org), "level": 3, "share": 0.5, "boss": True, "name": "Anna", "list": [7]}
    facts = sa.select(
        me.id,
        me.role,
        me.email,
        me.username,
        me.claim("app_metadata", "org", sa.Uuid),
        me.claim("app_metadata", "level", sa.Integer),
        me.claim("app_metadata", "share", sa.Float),
        me.claim("app_metadata", "boss", sa.Boolean()),
        me.claim("app_metadata", "name"),
        me.claim("app_metadata", "list", 0, sa.Integer),
        me.claim("app_metadata", "none", sa.Uuid),
    )
    now = sa.func.now()
    with database.writing() as connection:
        OwnTable.metadata.create_all(connection)
        user = {"id": who, "email": "a@example.org", "username": "anna", "app_metadata": rights}
        connection.execute(sa.insert(User).values(**user, created_at=now, updated_at=now))
        caller = {"portero_me_id": who, "portero_me_role": "editor"}
        expected = (who, "editor", "a@example.org", "anna", org, 3, 0.5, True, "Anna", 7, None)
        assert expected == tuple(connection.execute(facts, caller).one())
        connection.execute(sa.update(User).values(app_metadata={"org": "no uuid"}))
        assert (None, None) == tuple(connection.execute(facts, caller).one())[5:7]
        nobody = {"portero_me_id": None, "portero_me_role": "anon"}
        assert {None} == set(connection.execute(facts, nobody).one()[2:])


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM ({rows}) r WHERE r.id = 7",
        "SELECT count(*) FROM ({rows}) r WHERE r.owner_id = 'x'",
        "SELECT (SELECT json_group_array(q.id) FROM (SELECT r.id FROM ({rows}) r WHERE r.team_id = t.id LIMIT 5) q) "
        "FROM teams t WHERE t.id = 1",
        "SELECT r.id FROM teams t LEFT JOIN ({rows}) r ON r.id = t.id WHERE t.id = 1",
    ],
)
def test_sqlite_looks_through_the_row_source_and_uses_its_indexes(sqlite_database: Database, statement: str) -> None:
    """The policy stands in a subquery so that it cannot be forgotten; that must not cost a scan."""
    held = model(own("owner_id").owns)
    rows = sa.select(*held.table.c).where(held.policies.of(Verb.SELECT, "authenticated"))
    text = str(rows.compile(dialect=sqlite.dialect()))
    with sqlite_database.writing() as connection:
        Base.metadata.create_all(connection)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement.format(rows=text)}", ("x",)).all()
    steps = [str(row[3]) for row in plan if "papers" in str(row[3])]
    assert steps
    assert all(step.startswith("SEARCH papers USING") for step in steps), plan


def test_what_stands_in_a_relationships_condition_is_rewritten_too() -> None:
    """A list is spelled out, and the second wall puts the session's facts in the places of the caller's."""

    def policy(paper: Any) -> Any:
        return paper.team.has((Team.user_id == me.id) & Team.id.in_([1, 2]))

    team = "SELECT 1 FROM teams WHERE teams.id = papers.team_id AND teams.user_id = ? AND teams.id IN (?, ?)"
    assert f"EXISTS ({team})" == where(policy)
    model(policy, "postgresql")
    each = exposure_of(Paper)
    assert each is not None
    assert "current_setting('portero.me_id', true)" in script(build([each], "postgresql"), "other")
