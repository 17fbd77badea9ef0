"""What is mailed: flow states (PKCE), one-time tokens, and the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, parents first."""
    _create_flow_states()
    _create_one_time_tokens()
    _create_outbox()


def downgrade() -> None:
    """Drop the tables and everything in them: what was mailed and not yet used is void."""
    for name in ("outbox", "one_time_tokens", "flow_states"):
        op.drop_table(f"portero_{name}")


def _create_flow_states() -> None:
    op.create_table(
        "portero_flow_states",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("authentication_method", sa.Text(), nullable=False),
        sa.Column("code_challenge", sa.Text(), nullable=False),
        sa.Column("code_challenge_method", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("code_digest", sa.Text(), nullable=True),
        sa.Column("code_issued_at", INSTANT, nullable=True),
        sa.Column("spent_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["portero_users.id"], name="portero_flow_states_user_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="portero_flow_states_pkey"),
        sa.UniqueConstraint("code_digest", name="portero_flow_states_code_digest_key"),
    )
    for name in ("user_id", "created_at"):
        op.create_index(f"portero_flow_states_{name}_idx", "portero_flow_states", [name], unique=False)


def _create_one_time_tokens() -> None:
    op.create_table(
        "portero_one_time_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("link_digest", sa.Text(), nullable=True),
        sa.Column("code_mac", sa.Text(), nullable=False),
        sa.Column("flow_state_id", sa.Uuid(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("code_expires_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("spent_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["flow_state_id"],
            ["portero_flow_states.id"],
            name="portero_one_time_tokens_flow_state_id_fkey",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["portero_users.id"], name="portero_one_time_tokens_user_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="portero_one_time_tokens_pkey"),
        sa.UniqueConstraint("link_digest", name="portero_one_time_tokens_link_digest_key"),
        sa.UniqueConstraint("user_id", "purpose", name="portero_one_time_tokens_user_id_key"),
    )
    for name in ("user_id", "address", "expires_at"):
        op.create_index(f"portero_one_time_tokens_{name}_idx", "portero_one_time_tokens", [name], unique=False)


def _create_outbox() -> None:
    op.create_table(
        "portero_outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sealed_message", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("next_try_at", INSTANT, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sent_at", INSTANT, nullable=True),
        sa.Column("failed_at", INSTANT, nullable=True),
        sa.Column("last_fault", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["portero_users.id"], name="portero_outbox_user_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="portero_outbox_pkey"),
    )
    for name in ("user_id", "created_at", "next_try_at"):
        op.create_index(f"portero_outbox_{name}_idx", "portero_outbox", [name], unique=False)
