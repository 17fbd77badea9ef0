"""Hooks: the developer's own functions that are asked, or told, at six points of signing up and in (auth.md §4.3).

`on` marks a function and holds no application's state; an application names its hooks (`jwt.hooks(…)`). A hook that
raises refuses the operation: `Refused` with a sentence for the caller, anything else as an error of the server. A hook
never runs inside a write transaction of ours, so it may read and write itself. Payloads hold no password and no hash.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime
from enum import StrEnum
from types import ModuleType
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

from portero import deadline
from portero.errors import ConfigurationError
from portero.records import dataclass
from portero.store.factors import FactorType
from portero.store.sessions import SessionRecord
from portero.store.users import UserRecord

Marked = TypeVar("Marked", bound=Callable[..., Any])
Hook = Callable[[Any], Any]
Way = Literal["sign_up", "anonymous", "magic_link", "administrator"]

_MARK: Final = "__portero_hooks__"
#: Claims a hook cannot change: they say which session a token belongs to, and for how long.
FIXED_CLAIMS: Final = ("iss", "sub", "aud", "exp", "iat", "session_id", "jti", "aal", "amr", "is_anonymous")
#: Claims a hook may change and not take away.
REQUIRED_CLAIMS: Final = ("email", "phone", "role")


class Point(StrEnum):
    """Where a hook runs."""

    BEFORE_USER_CREATED = "before_user_created"
    AFTER_USER_CREATED = "after_user_created"
    CUSTOM_ACCESS_TOKEN = "custom_access_token"  # noqa: S105 - a name
    SEND_EMAIL = "send_email"
    PASSWORD_VERIFICATION_ATTEMPT = "password_verification_attempt"  # noqa: S105 - a name
    MFA_VERIFICATION_ATTEMPT = "mfa_verification_attempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeUserCreated:
    """Somebody is about to become a user; raise `Refused` to forbid it.

    Attributes:
        email, username, phone: their names in stored form, or None.
        user_metadata: what they, or an administrator, said about them.
        app_metadata: what an administrator said.
        by: how they come; for `sign_up` also an address that turns out to be taken, so that nobody learns it.
        address: the caller's network address, or "".
        at: when, UTC.
    """

    email: str | None = None
    username: str | None = None
    phone: str | None = None
    user_metadata: Mapping[str, Any] = field(default_factory=dict)
    app_metadata: Mapping[str, Any] = field(default_factory=dict)
    by: Way
    address: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AfterUserCreated:
    """Somebody became a user, and the database has it: a hook that raises fails the request, and the user stays."""

    user: UserRecord


@dataclass(frozen=True, slots=True)
class CustomAccessToken:
    """An access token is about to be made; return its claims, or None to leave them.

    Attributes:
        user: whose.
        session: of which session.
        method: how the session was opened or raised last: `password`, `otp`, `totp` …
        claims: all claims; a copy, which may be changed and returned.
    """

    user: UserRecord
    session: SessionRecord
    method: str
    claims: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SendEmail:
    """A mail is to be sent, by this hook in the place of the mail server; raise to have it tried again later.

    Attributes:
        message_id: the same if the mail is tried again.
        user_id: whom it is about, while they are there.
        kind: `confirmation`, `magic_link`, `recovery`, `invite`, `email_change`, `reauthentication`, or a notice's name
            with `_notification`.
        to: the address.
        subject, text, html: as the templates made it.
        values: what the templates were filled with: `Token`, `TokenHash`, `ConfirmationURL`, `RedirectTo`, `SiteURL` …
    """

    message_id: str
    user_id: UUID | None
    kind: str
    to: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasswordVerificationAttempt:
    """A password was tried; raise `Refused` to refuse the sign-in, and with `end_sessions` to end the others.

    Attributes:
        user_id: whose it should be; None if nobody has this name: the hook is asked all the same, so that the time
            an answer takes says nothing.
        valid: whether it was right.
        address: the caller's network address, or "".
        at: when, UTC.
    """

    user_id: UUID | None
    valid: bool
    address: str
    at: datetime


@dataclass(frozen=True, slots=True)
class MfaVerificationAttempt:
    """A code of a second factor was tried; raise `Refused` to refuse it, which ends all sessions of the user.

    Attributes:
        user_id: whose.
        factor_id: which factor.
        factor_type: `totp` or `recovery_code`.
        valid: whether it is right.
        address: the caller's network address, or "".
        at: when, UTC.
    """

    user_id: UUID
    factor_id: UUID
    factor_type: FactorType
    valid: bool
    address: str
    at: datetime


def on(point: str) -> Callable[[Marked], Marked]:
    """Mark a function as the hook of a point; `jwt.hooks(…)` puts it to work.

    >>> @on("before_user_created")
    ... def only_colleagues(new: BeforeUserCreated) -> None: ...

    Raises:
        ConfigurationError: there is no such point, or it is no ordinary function of one argument.
    """
    if point not in set(Point):
        raise ConfigurationError(f"There is no hook {point!r}; there are {', '.join(Point)}.")

    def marked(function: Marked) -> Marked:
        if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
            raise ConfigurationError(f"on({point!r}) marks an ordinary function; {function!r} is none.")
        if len(inspect.signature(function).parameters) != 1:
            raise ConfigurationError(f"The hook {function.__qualname__!r} takes one argument: what it is asked about.")
        setattr(function, _MARK, (*points_of(function), Point(point)))
        return function

    return marked


def points_of(function: Any) -> tuple[Point, ...]:
    """Return the points a function was marked for; none if it was not."""
    found: tuple[Point, ...] = getattr(function, _MARK, ())
    return found


def hooks_in(what: Any) -> list[Hook]:
    """Return the hooks among a function or the members of a module, in the order they stand there.

    Raises:
        ConfigurationError: there is none.
    """
    members = vars(what).values() if isinstance(what, ModuleType) else (what,)
    found = [each for each in members if inspect.isfunction(each) and points_of(each)]
    if not found:
        raise ConfigurationError(f"{what!r} is no function marked with @on, and no module with such functions.")
    return list(dict.fromkeys(found))


class Hooks:
    """The hooks of one application; frozen.

    Args:
        hooks: pairs of a point and a function; several of one point run in this order.
    """

    def __init__(self, hooks: Iterable[tuple[Point, Hook]] = ()) -> None:
        listed = list(hooks)
        self._hooks: dict[Point, tuple[Hook, ...]] = {
            point: tuple(hook for at, hook in listed if at is point) for point in {at for at, _ in listed}
        }

    @property
    def are_there(self) -> bool:
        """Whether there is any hook at all."""
        return bool(self._hooks)

    def has(self, point: Point) -> bool:
        """Tell whether anything is to be asked at a point."""
        return point in self._hooks

    def run(self, point: Point, payload: object) -> None:
        """Ask every hook of a point; what one of them raises goes up. Its time counts as the request's."""
        for hook in self._hooks.get(point, ()):
            hook(payload)
            deadline.check()

    def claims(self, user: UserRecord, session: SessionRecord, claims: Mapping[str, Any]) -> dict[str, Any]:
        """Return the claims of an access token as the hooks want them, with those that must be there.

        Raises:
            ConfigurationError: a hook returned something else than claims.
        """
        method = str(session.amr[0]["method"]) if session.amr else ""
        present, shown = dict(claims), replace(user, password_hash=None)
        for hook in self._hooks.get(Point.CUSTOM_ACCESS_TOKEN, ()):
            returned = hook(CustomAccessToken(shown, session, method, dict(present)))
            deadline.check()
            if returned is None:
                continue
            if not isinstance(returned, Mapping):
                raise ConfigurationError("A custom_access_token hook returns the claims, or None.")
            present = kept(claims, returned)
            if any(not isinstance(present.get(name), str) for name in REQUIRED_CLAIMS):
                raise ConfigurationError(f"{', '.join(REQUIRED_CLAIMS)} are texts in every access token.")
        return present


def kept(ours: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims that were wanted, with ours where they cannot be changed or must not be missing.

    >>> kept({"sub": "u", "role": "r", "email": "e"}, {"sub": "v", "role": "s", "plan": "x", "type": "access"})
    {'role': 's', 'plan': 'x', 'sub': 'u', 'email': 'e'}
    """
    # A `type` would make it a developer's own token, which is none of a session.
    found = {name: value for name, value in wanted.items() if name not in FIXED_CLAIMS and name != "type"}
    fixed = {name: ours[name] for name in FIXED_CLAIMS if name in ours}
    return {**found, **fixed, **{name: ours[name] for name in REQUIRED_CLAIMS if name in ours and name not in found}}
