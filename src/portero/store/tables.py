"""The tables that are Portero's own. Users and sessions are mapped: a developer's model refers to them by class.

The others are nobody's but this floor's, and plain: to map a table costs four times as much, at each start. The names
begin with `portero_` on both databases and stand in the default schema (docs/decisions says why). The rows are written
by this floor's modules alone: nothing here decides anything, and no secret stands in the clear.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from portero.store.types import JsonDocument, UtcDateTime

PREFIX = "portero_"
_INSTANT: Final = UtcDateTime()
_UUID: Final = sa.Uuid()
_TEXT: Final = sa.Text()
_given = partial(sa.Column, nullable=False)
_optional = partial(sa.Column, nullable=True)


class OwnTable(DeclarativeBase):
    """What Portero's mapped tables are made from; its metadata holds all tables of Portero's own and no others."""

    metadata = sa.MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_name)s_key",
            "ix": "%(table_name)s_%(column_0_name)s_idx",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a plain attribute
        datetime: _INSTANT,
        dict[str, Any]: JsonDocument,
        list[Any]: JsonDocument,
        UUID: _UUID,
        str: _TEXT,
    }
    if TYPE_CHECKING:
        __table__: ClassVar[sa.Table]  # each of them is a table, which SQLAlchemy's own annotation leaves open


class User(OwnTable):
    """Somebody who can sign in. `portero.User`; a developer's models may have foreign keys to `User.id`."""

    __tablename__ = "portero_users"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    aud: Mapped[str] = mapped_column(default="authenticated")
    role: Mapped[str] = mapped_column(default="authenticated")
    email: Mapped[str | None] = mapped_column(unique=True)
    username: Mapped[str | None] = mapped_column(unique=True)
    phone: Mapped[str | None] = mapped_column(unique=True)
    password_hash: Mapped[str | None]
    email_confirmed_at: Mapped[datetime | None]
    phone_confirmed_at: Mapped[datetime | None]
    invited_at: Mapped[datetime | None]
    confirmation_sent_at: Mapped[datetime | None]
    recovery_sent_at: Mapped[datetime | None]
    email_change: Mapped[str | None]
    email_change_sent_at: Mapped[datetime | None]
    phone_change: Mapped[str | None]
    phone_change_sent_at: Mapped[datetime | None]
    reauthentication_sent_at: Mapped[datetime | None]
    last_sign_in_at: Mapped[datetime | None]
    banned_until: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    app_metadata: Mapped[dict[str, Any]] = mapped_column(default=dict)
    user_metadata: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_anonymous: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(index=True)
    updated_at: Mapped[datetime]


class Session(OwnTable):
    """One sign-in that stands. An ended session is a row that is not there: nothing can bring it back."""

    __tablename__ = "portero_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(index=True)
    refreshed_at: Mapped[datetime | None]
    refresh_counter: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    aal: Mapped[str] = mapped_column(default="aal1")
    amr: Mapped[list[Any]] = mapped_column(default=list)
    address: Mapped[str | None]
    user_agent: Mapped[str | None]
    tag: Mapped[str | None]
    factor_id: Mapped[UUID | None]


#: One way a user is known: the e-mail address, or an account elsewhere (provider and its subject).
IDENTITIES: Final = sa.Table(
    "portero_identities",
    OwnTable.metadata,
    _given("id", _UUID, primary_key=True, default=uuid4),
    _given("user_id", _UUID, sa.ForeignKey(User.id, ondelete="CASCADE"), index=True),
    _given("provider", _TEXT),
    _given("provider_id", _TEXT),
    _given("identity_data", JsonDocument, default=dict),
    _optional("email", _TEXT, index=True),
    _optional("last_sign_in_at", _INSTANT),
    _given("created_at", _INSTANT),
    _given("updated_at", _INSTANT),
    sa.UniqueConstraint("provider", "provider_id"),
)

#: A second factor of a user: a TOTP secret, sealed, or the one set of recovery codes.
FACTORS: Final = sa.Table(
    "portero_factors",
    OwnTable.metadata,
    _given("id", _UUID, primary_key=True, default=uuid4),
    _given("user_id", _UUID, sa.ForeignKey(User.id, ondelete="CASCADE"), index=True),
    _given("factor_type", _TEXT),
    _given("status", _TEXT),
    _given("friendly_name", _TEXT, default=""),
    _optional("sealed_secret", sa.LargeBinary()),
    _optional("last_step", sa.BigInteger()),
    _optional("last_challenged_at", _INSTANT),
    _given("created_at", _INSTANT),
    _given("updated_at", _INSTANT),
    sa.UniqueConstraint("user_id", "friendly_name"),
)

#: The question for a code of one factor: good for a few minutes, a few tries, and one right answer.
CHALLENGES: Final = sa.Table(
    "portero_challenges",
    OwnTable.metadata,
    _given("id", _UUID, primary_key=True, default=uuid4),
    _given("factor_id", _UUID, sa.ForeignKey(FACTORS.c.id, ondelete="CASCADE"), index=True),
    _given("address", _TEXT, default=""),
    _given("created_at", _INSTANT),
    _given("expires_at", _INSTANT, index=True),
    _given("tries", sa.Integer(), default=0),
    _optional("verified_at", _INSTANT),
)

#: One recovery code: its digest, sealed; used once.
RECOVERY_CODES: Final = sa.Table(
    "portero_recovery_codes",
    OwnTable.metadata,
    _given("id", _UUID, primary_key=True, default=uuid4),
    _given("factor_id", _UUID, sa.ForeignKey(FACTORS.c.id, ondelete="CASCADE"), index=True),
    _given("sealed_digest", sa.LargeBinary()),
    _optional("used_at", _INSTANT),
)

#: One PKCE flow: the client's challenge, and the digest of the code that is exchanged for a session, once.
FLOW_STATES: Final = sa.Table(
    "portero_flow_states",
    OwnTable.metadata,
    _given("id", _UUID, primary_key=True, default=uuid4),
    _given("user_id", _UUID, sa.ForeignKey(User.id, ondelete="CASCADE"), index=True),
    _given("authentication_method", _TEXT),
    _given("code_challenge", _TEXT),
    _given("code_challenge_method", _TEXT),
    _given("created_at", _INSTANT, index=True),
    _optional("code_digest", _TEXT, unique=True),
    _optional("code_issued_at", _INSTANT),
    _optional("spent_at", _INSTANT),
)

#: One link and code that was mailed: digests only, one pending for each user and purpose.
ONE_TIME_TOKENS: Final = sa.Table(
    "portero_one_time_tokens",
    OwnTable.metadata,
    _given("id", _UUID, primary_key=True, default=uuid4),
    _given("user_id", _UUID, sa.ForeignKey(User.id, ondelete="CASCADE"), index=True),
    _given("purpose", _TEXT),
    _given("kind", _TEXT),
    _given("address", _TEXT, index=True),
    _optional("link_digest", _TEXT, unique=True),
    _given("code_mac", _TEXT),
    _optional("flow_state_id", _UUID, sa.ForeignKey(FLOW_STATES.c.id, ondelete="SET NULL")),
    _given("tries", sa.Integer(), default=0),
    _given("created_at", _INSTANT),
    _given("code_expires_at", _INSTANT),
    _given("expires_at", _INSTANT, index=True),
    _optional("spent_at", _INSTANT),
    sa.UniqueConstraint("user_id", "purpose"),
)

#: One mail, sealed, from the transaction that wants it until it was sent; the sealed text goes when it was.
OUTBOX: Final = sa.Table(
    "portero_outbox",
    OwnTable.metadata,
    _given("id", _UUID, primary_key=True, default=uuid4),
    _optional("user_id", _UUID, sa.ForeignKey(User.id, ondelete="CASCADE"), index=True),
    _given("kind", _TEXT),
    _optional("sealed_message", sa.LargeBinary()),
    _given("created_at", _INSTANT, index=True),
    _given("expires_at", _INSTANT),
    _optional("next_try_at", _INSTANT, index=True),
    _given("tries", sa.Integer(), default=0),
    _optional("sent_at", _INSTANT),
    _optional("failed_at", _INSTANT),
    _given("last_fault", _TEXT, default=""),
)

#: A key that signs access tokens; the private half is sealed, the public half is what JWKS publishes.
SIGNING_KEYS: Final = sa.Table(
    "portero_signing_keys",
    OwnTable.metadata,
    _given("kid", _TEXT, primary_key=True),
    _given("alg", _TEXT),
    _given("public_jwk", JsonDocument),
    _optional("sealed_private_key", sa.LargeBinary()),
    _given("status", _TEXT),
    _given("created_at", _INSTANT),
    _optional("activated_at", _INSTANT),
    _optional("retired_at", _INSTANT),
)

#: A publishable or secret API key, known by its digest; `value` is filled for the publishable kind only.
API_KEYS: Final = sa.Table(
    "portero_api_keys",
    OwnTable.metadata,
    _given("id", _UUID, primary_key=True, default=uuid4),
    _given("name", _TEXT),
    _given("kind", _TEXT),
    _given("digest", _TEXT, unique=True),
    _given("hint", _TEXT),
    _optional("value", _TEXT),
    _given("created_at", _INSTANT),
    _optional("last_used_at", _INSTANT),
    _optional("expires_at", _INSTANT),
    _optional("revoked_at", _INSTANT),
)

#: How often something happened in a window (attempts, refreshes); shared by all workers, swept when over.
COUNTERS: Final = sa.Table(
    "portero_counters",
    OwnTable.metadata,
    _given("name", _TEXT, primary_key=True),
    _given("hits", sa.BigInteger()),
    _given("window_ends_at", _INSTANT, index=True),
)

#: One thing that happened, as `events.Event` says it; entries outlive the user they speak of.
AUDIT: Final = sa.Table(
    "portero_audit",
    OwnTable.metadata,
    _given("id", _UUID, primary_key=True, default=uuid4),
    _given("happening", _TEXT),
    _given("at", _INSTANT, index=True),
    _optional("user_id", _UUID, index=True),
    _optional("session_id", _UUID),
    _given("address", _TEXT, default=""),
    _given("details", JsonDocument, default=dict),
)

#: Portero's tables by name, parents first.
OWN_TABLES = {table.name: table for table in OwnTable.metadata.sorted_tables}
