"""Who is asking: the one record that `identity` makes and `data` reads. It holds verified facts only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, Literal
from uuid import UUID

from portero.records import dataclass

ANON: Final = "anon"
AUTHENTICATED: Final = "authenticated"
SERVICE_ROLE: Final = "service_role"

AssuranceLevel = Literal["aal1", "aal2"]


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose token (or key) was verified; whether the session still stands is asked of the database each time.

    Attributes:
        role: `anon`, `authenticated`, `service_role` or an application's own; picks the plan on the data side.
        user_id: the user, or None for anonymous callers and keys.
        session_id: the session the access token belongs to, or None (anonymous callers, keys).
        assurance_level: `aal1`, or `aal2` after a second factor.
        claims: the verified claims; not shown by `repr`.
        forms: what a database's driver takes for these facts, made once for the many requests of one token. It adds
            nothing to them: the floors below fill it, and it counts for no comparison.
    """

    role: str
    user_id: UUID | None = None
    session_id: UUID | None = None
    assurance_level: AssuranceLevel = "aal1"
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    forms: dict[str, Any] = field(default_factory=dict, repr=False, compare=False, init=False)


NOBODY: Final = Principal(role=ANON)
