"""Second factors: factors, challenges, recovery codes, and which factor raised a session."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, parents first."""
    op.add_column("portero_sessions", sa.Column("factor_id", sa.Uuid(), nullable=True))
    _create_factors()
    _create_challenges()
    _create_recovery_codes()


def downgrade() -> None:
    """Drop the tables and everything in them; no session stays at aal2."""
    for name in ("recovery_codes", "challenges", "factors"):
        op.drop_table(f"portero_{name}")
    op.execute("DELETE FROM portero_sessions WHERE aal = 'aal2'")
    op.drop_column("portero_sessions", "factor_id")


def _create_factors() -> None:
    op.create_table(
        "portero_factors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("factor_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("friendly_name", sa.Text(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=True),
        sa.Column("last_challenged_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["portero_users.id"], name="portero_factors_user_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="portero_factors_pkey"),
        sa.UniqueConstraint("user_id", "friendly_name", name="portero_factors_user_id_key"),
    )
    op.create_index("portero_factors_user_id_idx", "portero_factors", ["user_id"], unique=False)


def _create_challenges() -> None:
    op.create_table(
        "portero_challenges",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("factor_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("verified_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["factor_id"], ["portero_factors.id"], name="portero_challenges_factor_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="portero_challenges_pkey"),
    )
    op.create_index("portero_challenges_factor_id_idx", "portero_challenges", ["factor_id"], unique=False)
    op.create_index("portero_challenges_expires_at_idx", "portero_challenges", ["expires_at"], unique=False)


def _create_recovery_codes() -> None:
    op.create_table(
        "portero_recovery_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("factor_id", sa.Uuid(), nullable=False),
        sa.Column("sealed_digest", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["factor_id"], ["portero_factors.id"], name="portero_recovery_codes_factor_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="portero_recovery_codes_pkey"),
    )
    op.create_index("portero_recovery_codes_factor_id_idx", "portero_recovery_codes", ["factor_id"], unique=False)
