"""`me`: the facts of the caller that a policy can ask for, as SQL expressions that hold no caller.

`me.id` and `me.role` are bound from the verified token (a change of role ends the user's sessions). Everything that can
change under a standing session is read from the caller's own row inside the statement, so that taking a right away
counts at once. `user_metadata` is not offered: users write it themselves.

Obeys docs/explanation/policies.md.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from portero.errors import ConfigurationError
from portero.store.sessions import USER_ID
from portero.store.tables import User

ME_ID: Final = USER_ID
ME_ROLE: Final = "portero_me_role"
#: The user's id as the wire has it, for columns that hold nothing else.
ME_TEXT: Final = "portero_me_text"

_USERS = User.metadata.tables["portero_users"]


class UuidOfText(FunctionElement[Any]):
    """Text of a UUID as the database keeps UUIDs; NULL where it is none."""

    type = sa.Uuid()
    name = "uuid_of_text"
    inherit_cache = True


@compiles(UuidOfText)
def _uuid_in_words(element: Any, compiler: Any, **options: Any) -> str:
    """SQLAlchemy compiles for no database where it is asked what a statement reads, and where one is printed."""
    return f"uuid_of_text({compiler.process(element.clauses, **options)})"


@compiles(UuidOfText, "sqlite")
def _uuid_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    digits = f"replace(lower({compiler.process(element.clauses, **options)}), '-', '')"
    return f"CASE WHEN length({digits}) = 32 AND {digits} NOT GLOB '*[^0-9a-f]*' THEN {digits} END"


@compiles(UuidOfText, "postgresql")
def _uuid_on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    return f"CASE WHEN pg_input_is_valid({text}, 'uuid') THEN CAST({text} AS UUID) END"


class Caller:
    """The caller of the running statement; there is one, `me`.

    >>> print(sa.column("owner_id") == me.id)
    owner_id = :portero_me_id
    """

    @property
    def id(self) -> sa.ColumnElement[Any]:
        """The user's id (UUID), NULL for callers who are nobody; a comparison with NULL is never true."""
        return sa.bindparam(ME_ID, type_=sa.Uuid())

    @property
    def role(self) -> sa.ColumnElement[str]:
        """The role: `anon`, `authenticated`, `service_role` or an application's own."""
        return sa.bindparam(ME_ROLE, type_=sa.Text())

    @property
    def email(self) -> sa.ColumnElement[str]:
        """The user's e-mail address, lower-case, as it is now."""
        return self._own(_USERS.c.email)

    @property
    def username(self) -> sa.ColumnElement[str]:
        """The user's name, as it is now."""
        return self._own(_USERS.c.username)

    def claim(self, *path: Any) -> sa.ColumnElement[Any]:
        """Read a fact of the user's `app_metadata` as it is now: `me.claim("app_metadata", "org_id", Uuid)`.

        Args:
            path: `"app_metadata"`, the member names (or list places), and last the SQLAlchemy type: Text (the default),
                Integer, Float, Boolean or Uuid.

        Raises:
            ConfigurationError: another document, no member, or another type.
        """
        names = [step for step in path if isinstance(step, str | int)]
        types = [step for step in path[-1:] if not isinstance(step, str | int)]
        kind = sa.types.to_instance(types[0]) if types else sa.Text()
        if names[:1] != ["app_metadata"] or len(names) < 2 or len(names) + len(types) != len(path):
            raise ConfigurationError(
                f"me.claim{path!r}: the path is 'app_metadata' and at least one member; users write their own "
                "user_metadata, so no policy may rest on it."
            )
        return self._own(_typed(_USERS.c.app_metadata[tuple(names[1:])], kind, path))

    def _own(self, expression: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.select(expression).where(_USERS.c.id == self.id).correlate(None).scalar_subquery()


def _typed(member: Any, kind: Any, path: Any) -> sa.ColumnElement[Any]:
    match kind:
        case sa.Uuid():
            return UuidOfText(member.as_string())
        case sa.Boolean():
            return sa.type_coerce(member.as_boolean(), sa.Boolean())
        case sa.Integer():
            return sa.type_coerce(member.as_integer(), kind)
        case sa.Float():
            return sa.type_coerce(member.as_float(), kind)
        case sa.String():
            return sa.type_coerce(member.as_string(), kind)
    raise ConfigurationError(f"me.claim{path!r}: a claim is Text, Integer, Float, Boolean or Uuid.")


me: Final = Caller()
"""The caller, in policies and in `fill`."""
