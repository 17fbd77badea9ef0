"""The first tables: users, identities, sessions, signing keys, API keys, counters, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Make the tables, parents first."""
    _create_api_keys()
    _create_audit()
    _create_counters()
    _create_signing_keys()
    _create_users()
    _create_identities()
    _create_sessions()


def downgrade() -> None:
    """Drop the tables and everything in them."""
    for name in ("sessions", "identities", "users", "signing_keys", "counters", "audit", "api_keys"):
        op.drop_table(f"portero_{name}")


def _create_api_keys() -> None:
    op.create_table(
        "portero_api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, nullable=True),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="portero_api_keys_pkey"),
        sa.UniqueConstraint("digest", name="portero_api_keys_digest_key"),
    )


def _create_audit() -> None:
    op.create_table(
        "portero_audit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("happening", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("details", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="portero_audit_pkey"),
    )
    op.create_index("portero_audit_at_idx", "portero_audit", ["at"], unique=False)
    op.create_index("portero_audit_user_id_idx", "portero_audit", ["user_id"], unique=False)


def _create_counters() -> None:
    op.create_table(
        "portero_counters",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("window_ends_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="portero_counters_pkey"),
    )
    op.create_index("portero_counters_window_ends_at_idx", "portero_counters", ["window_ends_at"], unique=False)


def _create_signing_keys() -> None:
    op.create_table(
        "portero_signing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("alg", sa.Text(), nullable=False),
        sa.Column("public_jwk", DOCUMENT, nullable=False),
        sa.Column("sealed_private_key", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("activated_at", INSTANT, nullable=True),
        sa.Column("retired_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("kid", name="portero_signing_keys_pkey"),
    )


def _create_users() -> None:
    op.create_table(
        "portero_users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("aud", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("email_confirmed_at", INSTANT, nullable=True),
        sa.Column("phone_confirmed_at", INSTANT, nullable=True),
        sa.Column("invited_at", INSTANT, nullable=True),
        sa.Column("confirmation_sent_at", INSTANT, nullable=True),
        sa.Column("recovery_sent_at", INSTANT, nullable=True),
        sa.Column("email_change", sa.Text(), nullable=True),
        sa.Column("email_change_sent_at", INSTANT, nullable=True),
        sa.Column("phone_change", sa.Text(), nullable=True),
        sa.Column("phone_change_sent_at", INSTANT, nullable=True),
        sa.Column("reauthentication_sent_at", INSTANT, nullable=True),
        sa.Column("last_sign_in_at", INSTANT, nullable=True),
        sa.Column("banned_until", INSTANT, nullable=True),
        sa.Column("deleted_at", INSTANT, nullable=True),
        sa.Column("app_metadata", DOCUMENT, nullable=False),
        sa.Column("user_metadata", DOCUMENT, nullable=False),
        sa.Column("is_anonymous", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="portero_users_pkey"),
        sa.UniqueConstraint("email", name="portero_users_email_key"),
        sa.UniqueConstraint("phone", name="portero_users_phone_key"),
        sa.UniqueConstraint("username", name="portero_users_username_key"),
    )
    op.create_index("portero_users_created_at_idx", "portero_users", ["created_at"], unique=False)


def _create_identities() -> None:
    op.create_table(
        "portero_identities",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("identity_data", DOCUMENT, nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("last_sign_in_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["portero_users.id"], name="portero_identities_user_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="portero_identities_pkey"),
        sa.UniqueConstraint("provider", "provider_id", name="portero_identities_provider_key"),
    )
    op.create_index("portero_identities_email_idx", "portero_identities", ["email"], unique=False)
    op.create_index("portero_identities_user_id_idx", "portero_identities", ["user_id"], unique=False)


def _create_sessions() -> None:
    op.create_table(
        "portero_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("refreshed_at", INSTANT, nullable=True),
        sa.Column("refresh_counter", sa.BigInteger(), nullable=False),
        sa.Column("aal", sa.Text(), nullable=False),
        sa.Column("amr", DOCUMENT, nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("tag", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["portero_users.id"], name="portero_sessions_user_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="portero_sessions_pkey"),
    )
    op.create_index("portero_sessions_created_at_idx", "portero_sessions", ["created_at"], unique=False)
    op.create_index("portero_sessions_user_id_idx", "portero_sessions", ["user_id"], unique=False)
