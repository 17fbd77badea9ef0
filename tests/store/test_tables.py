"""Tests of portero.store.tables and portero.alembic: a developer's models beside Portero's."""

from __future__ import annotations

from uuid import UUID

import pytest
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from portero.alembic import include_object
from portero.store.engine import Database
from portero.store.tables import OWN_TABLES, User
from portero.store.users import UserRecord


class Developers(DeclarativeBase):
    pass


class Note(Developers):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"))
    owner: Mapped[User] = relationship(User)


def test_every_own_table_has_the_prefix() -> None:
    assert set(OWN_TABLES) == {
        "portero_users", "portero_identities", "portero_sessions", "portero_signing_keys",
        "portero_api_keys", "portero_counters", "portero_audit",
        "portero_factors", "portero_challenges", "portero_recovery_codes",
        "portero_flow_states", "portero_one_time_tokens", "portero_outbox",
    }  # fmt: skip


def test_a_developers_model_refers_to_users_by_class(database: Database, ana: UserRecord) -> None:
    with database.writing() as connection:
        Developers.metadata.create_all(connection)
        with Session(connection) as session:
            session.add(Note(owner_id=ana.id))
            session.flush()
            assert session.scalars(sa.select(Note)).one().owner.email == "ana@example.org"
    with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
        connection.execute(sa.insert(Note).values(owner_id=UUID(int=1)))


def test_autogenerate_makes_the_developers_tables_and_drops_none_of_ours(database: Database) -> None:
    with database.reading() as connection:
        options = {"target_metadata": Developers.metadata, "include_object": include_object}
        script = produce_migrations(MigrationContext.configure(connection, opts=options), Developers.metadata)
    assert script.upgrade_ops is not None
    assert [operation.table_name for operation in script.upgrade_ops.ops] == ["notes"]
