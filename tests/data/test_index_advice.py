"""What policies and embeds look rows up by, and which of it the database has no index for."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from tests.data import films, scene

from portero.data.caller import me
from portero.data.catalogue import Catalogue, build
from portero.data.exposure import Exposure
from portero.data.index_advice import missing_indexes
from portero.data.policy import Policy, Verb, allow_all
from portero.store.engine import Database

METADATA = sa.MetaData()
NOTES = sa.Table(
    "notes",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("owner_id", sa.Uuid),
    sa.Column("team_id", sa.Integer, index=True),
)
MEMBERS = sa.Table(
    "members", METADATA, sa.Column("team_id", sa.Integer), sa.Column("user_id", sa.Uuid), sa.Column("rank", sa.Integer)
)
TAGS = sa.Table("tags", METADATA, sa.Column("note_id", sa.ForeignKey("notes.id")), sa.Column("word", sa.Text))
PARTIAL = sa.Index("notes_owned", NOTES.c.owner_id, sqlite_where=NOTES.c.id > 5, postgresql_where=NOTES.c.id > 5)


def exposed(table: sa.Table, dialect: str, *others: sa.Table, **policies: Policy) -> Catalogue:
    """Expose a table with these policies, and others to everybody."""
    given = {table: {Verb(name): policy for name, policy in policies.items()}}
    given |= {other: {Verb.SELECT: allow_all} for other in others}
    return build(
        [Exposure(each, which, {}, (), None, None, None, None, None) for each, which in given.items()], dialect
    )


def advice(database: Database, table: sa.Table, *others: sa.Table, **policies: Any) -> list[str]:
    """Make the tables, and ask."""
    with database.writing() as connection:
        METADATA.create_all(connection)
    with database.reading() as connection:
        return missing_indexes(exposed(table, database.dialect_name, *others, **policies), connection)


def test_an_owners_column_without_an_index_is_named(database: Database) -> None:
    """A partial index does not count; each column is named once, whatever asks for it."""
    owns = {verb: lambda note: note.owner_id == me.id for verb in ("select", "update", "delete")}
    (sentence,) = advice(database, NOTES, **owns)
    assert sentence.startswith("No index on notes.owner_id: the select policy of notes compares it with the caller.")


def test_a_claim_of_the_caller_is_looked_up_too(database: Database) -> None:
    """Here with an index: there is nothing to say. Of an insert there is nothing to find."""
    by_team = {"select": lambda note: note.team_id == me.claim("app_metadata", "team", sa.Integer)}
    assert [] == advice(database, NOTES, **by_team)
    assert [] == advice(database, NOTES, insert=lambda note: note.owner_id == me.id)
    (sentence,) = advice(database, NOTES, select=lambda note: note.owner_id == me.claim("app_metadata", "org", sa.Uuid))
    assert sentence.startswith("No index on notes.owner_id: the select policy of notes compares it with the caller.")


def test_a_table_that_a_policy_looks_into_is_named(database: Database) -> None:
    """One index on either column would do."""

    def is_member(note: Any) -> Any:
        return sa.exists().where(MEMBERS.c.team_id == note.team_id, MEMBERS.c.user_id == me.id)

    (sentence,) = advice(database, NOTES, select=is_member)
    assert sentence.startswith("No index on members.team_id or members.user_id: the select policy of notes looks into")


def test_joins_and_aliases_are_followed(database: Database) -> None:
    """The tags of a note that is in one's team."""
    other = NOTES.alias()

    def in_team(tag: Any) -> Any:
        joined = other.join(MEMBERS, MEMBERS.c.team_id == other.c.team_id)
        return sa.exists().select_from(joined).where(other.c.id == tag.note_id).correlate(TAGS)

    (sentence,) = advice(database, TAGS, select=in_team)
    assert sentence.startswith("No index on members.team_id:")


def test_a_table_that_is_read_as_a_whole_is_named(database: Database) -> None:
    """Nothing of it is compared for equality."""

    def is_below(note: Any) -> Any:
        return sa.exists().where(MEMBERS.c.rank > note.team_id)

    (sentence,) = advice(database, NOTES, select=is_below)
    assert sentence.startswith("All of members is read for each row: the select policy of notes looks into members")


def test_a_foreign_key_that_embeds_follow_is_named(database: Database) -> None:
    """Reading notes with their tags finds the tags by note_id."""
    (sentence,) = advice(database, NOTES, TAGS, select=allow_all)
    assert sentence.startswith("No index on tags.note_id: an embed of tags in notes finds its rows by it.")


def test_a_junction_is_looked_up_from_both_sides(sqlite_database: Database) -> None:
    """Its key begins with one column: the other needs an index."""
    with sqlite_database.writing() as connection:
        films.Base.metadata.create_all(connection)
    with sqlite_database.reading() as connection:
        found = missing_indexes(films.catalogue("sqlite"), connection)
    named = [sentence.split(":")[0] for sentence in found]
    assert ["No index on films.owner_id", "No index on films.director_id", "No index on roles.actor_id"] == named


@pytest.mark.parametrize("application", [scene])
def test_tables_that_are_not_there_are_not_spoken_of(application: Any, sqlite_database: Database) -> None:
    """Another finding tells of them."""
    with sqlite_database.reading() as connection:
        assert [] == missing_indexes(application.catalogue("sqlite"), connection)
