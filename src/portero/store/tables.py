"""The tables that are Portero's own, mapped, so that a developer's model can refer to them by class.

The names begin with `portero_` on both databases and stand in the default schema (docs/decisions says why). The
rows are written by this floor's modules alone: nothing here decides anything, and no secret stands in the clear.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from portero.store.types import JsonDocument, UtcDateTime

PREFIX = "portero_"


class OwnTable(DeclarativeBase):
    """What every table of Portero's own is made from; its metadata holds those tables and no others."""

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
        datetime: UtcDateTime(),
        dict[str, Any]: JsonDocument,
        list[Any]: JsonDocument,
        UUID: sa.Uuid(),
        str: sa.Text(),
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


class Identity(OwnTable):
    """One way a user is known: the e-mail address, or an account elsewhere (provider and its subject)."""

    __tablename__ = "portero_identities"
    __table_args__ = (sa.UniqueConstraint("provider", "provider_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), index=True)
    provider: Mapped[str]
    provider_id: Mapped[str]
    identity_data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    email: Mapped[str | None] = mapped_column(index=True)
    last_sign_in_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
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


class Factor(OwnTable):
    """A second factor of a user: a TOTP secret, sealed, or the one set of recovery codes."""

    __tablename__ = "portero_factors"
    __table_args__ = (sa.UniqueConstraint("user_id", "friendly_name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), index=True)
    factor_type: Mapped[str]
    status: Mapped[str]
    friendly_name: Mapped[str] = mapped_column(default="")
    sealed_secret: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    last_step: Mapped[int | None] = mapped_column(sa.BigInteger)
    last_challenged_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Challenge(OwnTable):
    """The question for a code of one factor: good for a few minutes, a few tries, and one right answer."""

    __tablename__ = "portero_challenges"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    factor_id: Mapped[UUID] = mapped_column(sa.ForeignKey(Factor.id, ondelete="CASCADE"), index=True)
    address: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    tries: Mapped[int] = mapped_column(default=0)
    verified_at: Mapped[datetime | None]


class RecoveryCode(OwnTable):
    """One recovery code: its digest, sealed; used once."""

    __tablename__ = "portero_recovery_codes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    factor_id: Mapped[UUID] = mapped_column(sa.ForeignKey(Factor.id, ondelete="CASCADE"), index=True)
    sealed_digest: Mapped[bytes] = mapped_column(sa.LargeBinary)
    used_at: Mapped[datetime | None]


class FlowState(OwnTable):
    """One PKCE flow: the client's challenge, and the digest of the code that is exchanged for a session, once."""

    __tablename__ = "portero_flow_states"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), index=True)
    authentication_method: Mapped[str]
    code_challenge: Mapped[str]
    code_challenge_method: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(index=True)
    code_digest: Mapped[str | None] = mapped_column(unique=True)
    code_issued_at: Mapped[datetime | None]
    spent_at: Mapped[datetime | None]


class OneTimeToken(OwnTable):
    """One link and code that was mailed: digests only, one pending for each user and purpose."""

    __tablename__ = "portero_one_time_tokens"
    __table_args__ = (sa.UniqueConstraint("user_id", "purpose"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), index=True)
    purpose: Mapped[str]
    kind: Mapped[str]
    address: Mapped[str] = mapped_column(index=True)
    link_digest: Mapped[str | None] = mapped_column(unique=True)
    code_mac: Mapped[str]
    flow_state_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey(FlowState.id, ondelete="SET NULL"))
    tries: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    code_expires_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    spent_at: Mapped[datetime | None]


class OutgoingMail(OwnTable):
    """One mail, sealed, from the transaction that wants it until it was sent; the sealed text goes when it was."""

    __tablename__ = "portero_outbox"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey(User.id, ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    sealed_message: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(index=True)
    expires_at: Mapped[datetime]
    next_try_at: Mapped[datetime | None] = mapped_column(index=True)
    tries: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    last_fault: Mapped[str] = mapped_column(default="")


class SigningKey(OwnTable):
    """A key that signs access tokens; the private half is sealed, the public half is what JWKS publishes."""

    __tablename__ = "portero_signing_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    alg: Mapped[str]
    public_jwk: Mapped[dict[str, Any]]
    sealed_private_key: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    status: Mapped[str]
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]


class ApiKey(OwnTable):
    """A publishable or secret API key, known by its digest; `value` is filled for the publishable kind only."""

    __tablename__ = "portero_api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str]
    kind: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    value: Mapped[str | None]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Counter(OwnTable):
    """How often something happened in a window (attempts, refreshes); shared by all workers, swept when over."""

    __tablename__ = "portero_counters"

    name: Mapped[str] = mapped_column(primary_key=True)
    hits: Mapped[int] = mapped_column(sa.BigInteger)
    window_ends_at: Mapped[datetime] = mapped_column(index=True)


class AuditEntry(OwnTable):
    """One thing that happened, as `events.Event` says it; entries outlive the user they speak of."""

    __tablename__ = "portero_audit"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    happening: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)
    user_id: Mapped[UUID | None] = mapped_column(index=True)
    session_id: Mapped[UUID | None]
    address: Mapped[str] = mapped_column(default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)


#: Portero's tables by name, parents first.
OWN_TABLES = {table.name: table for table in OwnTable.metadata.sorted_tables}
