"""Rows of `portero_one_time_tokens`: each is spent once, by one conditional UPDATE, and holds no link and no code.

A user has one pending row for each purpose: a new one takes the place of the former, so only the newest mail counts
(threats MF-15). Tries of a code are counted before it is looked at (MF-22).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, field
from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.records import dataclass
from portero.store.tables import ONE_TIME_TOKENS as _TABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimeTokenRecord:
    """One link and code that was mailed.

    Attributes:
        purpose: what it proves; one pending row for each user and purpose.
        kind: the `type` in the link, which is more exact (`recovery` or `magiclink`).
        address: whom it was sent to; it proves nothing about another address.
        link_digest: of the link's token; None where only a code is sent.
        code_mac: of the code.
        flow_state_id: the PKCE flow it continues, if one.
        tries: how many codes were tried.
        code_expires_at, expires_at: until when the code and the link are good.
        spent_at: when it was used, or None.
    """

    id: UUID = field(default_factory=uuid4)
    user_id: UUID
    purpose: str
    kind: str
    address: str
    link_digest: str | None = field(default=None, repr=False)
    code_mac: str = field(repr=False)
    flow_state_id: UUID | None = None
    tries: int = 0
    created_at: datetime
    code_expires_at: datetime
    expires_at: datetime
    spent_at: datetime | None = None


def replace(connection: sa.Connection, token: OneTimeTokenRecord) -> OneTimeTokenRecord:
    """Insert a token in the place of the user's former one for the same purpose; the caller holds the user's row."""
    former = (_TABLE.c.user_id == token.user_id) & (_TABLE.c.purpose == token.purpose)
    connection.execute(sa.delete(_TABLE).where(former))
    connection.execute(sa.insert(_TABLE).values(asdict(token)))
    return token


def by_link(connection: sa.Connection, digest: str, purposes: Collection[str]) -> OneTimeTokenRecord | None:
    """Find a token by the digest of its link."""
    query = sa.select(*_TABLE.c).where(_TABLE.c.link_digest == digest, _TABLE.c.purpose.in_(purposes))
    return next(iter(_all(connection, query)), None)


def by_address(
    connection: sa.Connection, address: str, purposes: Collection[str], limit: int
) -> Sequence[OneTimeTokenRecord]:
    """Find the pending tokens that were sent to an address, newest first."""
    query = sa.select(*_TABLE.c).where(_TABLE.c.address == address, _TABLE.c.purpose.in_(purposes))
    pending = query.where(_TABLE.c.spent_at.is_(None)).order_by(_TABLE.c.created_at.desc(), _TABLE.c.id)
    return _all(connection, pending.limit(limit))


def of_user(connection: sa.Connection, user_id: UUID, purpose: str) -> OneTimeTokenRecord | None:
    """Find a user's token for a purpose, spent or not."""
    query = sa.select(*_TABLE.c).where(_TABLE.c.user_id == user_id, _TABLE.c.purpose == purpose)
    return next(iter(_all(connection, query)), None)


def take_try(connection: sa.Connection, token_id: UUID, most: int, now: datetime) -> bool:
    """Count one try of a code; false if `most` were made, or the code's time is over, or it is spent."""
    standing = (_TABLE.c.tries < most) & _TABLE.c.spent_at.is_(None) & (_TABLE.c.code_expires_at > now)
    statement = sa.update(_TABLE).where(_TABLE.c.id == token_id, standing).values(tries=_TABLE.c.tries + 1)
    return connection.execute(statement).rowcount == 1


def spend(connection: sa.Connection, token_id: UUID, now: datetime) -> bool:
    """Mark a token as used: true for exactly one of all who try it at one time, and only before its end."""
    standing = _TABLE.c.spent_at.is_(None) & (_TABLE.c.expires_at > now)
    return (
        connection.execute(sa.update(_TABLE).where(_TABLE.c.id == token_id, standing).values(spent_at=now)).rowcount
        == 1
    )


def delete_of_user(connection: sa.Connection, user_id: UUID, purposes: Collection[str] | None = None) -> int:
    """Void a user's tokens, all or those of some purposes; give how many."""
    statement = sa.delete(_TABLE).where(_TABLE.c.user_id == user_id)
    if purposes is not None:
        statement = statement.where(_TABLE.c.purpose.in_(purposes))
    return connection.execute(statement).rowcount


def over(now: datetime) -> sa.ColumnElement[bool]:
    """Give the condition of tokens whose time is over."""
    return _TABLE.c.expires_at <= now


def _all(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> Sequence[OneTimeTokenRecord]:
    return [OneTimeTokenRecord(**row) for row in connection.execute(query).mappings()]
