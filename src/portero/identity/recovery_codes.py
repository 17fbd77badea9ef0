"""Recovery codes: one set a user, for who has lost the other factors (auth.md §1.4; threats MF-07, MF-08).

The set is a factor of its own kind, which never stands alone. Each code raises a session once. Codes are shown when
they are made and never again: kept are their digests, sealed.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import field
from typing import Final
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.crypto import recovery_codes as codes
from portero.errors import AuthError
from portero.events import Happening
from portero.identity import assurance, factor_limits, factor_secrets, hook_calls, mfa, notices, sessions
from portero.identity.assurance import Asking, Holder
from portero.identity.context import Change, IdentityContext, Opened, SignedIn
from portero.identity.hooks import Point
from portero.identity.mail_templates import MailKind
from portero.records import dataclass
from portero.store import factors
from portero.store import recovery_codes as rows
from portero.store.factors import FactorRecord
from portero.store.recovery_codes import RecoveryCodeRecord

DEFAULT_NAME: Final = "Recovery codes"


@dataclass(frozen=True, slots=True)
class Status:
    """A set, without its codes.

    Attributes:
        factor: the set as a factor.
        total: how many codes it has.
        remaining: how many of them were not used.
    """

    factor: FactorRecord
    total: int
    remaining: int


@dataclass(frozen=True, slots=True)
class Made:
    """A new set, and its codes, which nobody is shown again."""

    factor: FactorRecord
    codes: tuple[str, ...] = field(repr=False)


def status(context: IdentityContext, account_factors: Sequence[FactorRecord]) -> Status:
    """Tell how many codes are left, at any assurance level.

    Args:
        context: the application's.
        account_factors: the factors of the caller.

    Raises:
        AuthError: 404 mfa_factor_not_found.
    """
    factor = _set_of(account_factors)
    with context.database.reading() as connection:
        kept = rows.of_factor(connection, factor.id)
    return Status(factor, len(kept), sum(code.used_at is None for code in kept))


def generate(context: IdentityContext, asking: Asking, friendly_name: str = "") -> Made:
    """Make the user's set of codes.

    Raises:
        AuthError: 422 mfa_recovery_codes_enroll_not_enabled, mfa_recovery_codes_sole_factor (no other factor counts),
            mfa_verified_factor_exists (there is a set), mfa_factor_name_conflict; 403 insufficient_aal,
            no_authorization, session_not_found; 400 validation_failed.
    """
    _check_enabled(context)
    mfa.check_name(friendly_name)
    name = friendly_name or DEFAULT_NAME
    with context.changing() as change:
        holder = assurance.enter(change, asking)
        _check_new(holder, name)
        factor = FactorRecord(
            id=uuid4(),
            user_id=holder.user.id,
            factor_type="recovery_code",
            status="verified",
            friendly_name=name,
            created_at=asking.now,
            updated_at=asking.now,
        )
        factors.insert(change.connection, factor)
        return _fill(context, change, asking, holder, factor)


def regenerate(context: IdentityContext, asking: Asking) -> Made:
    """Put a new set of codes in the place of the former one, which is worth nothing from now on.

    Raises:
        AuthError: 422 mfa_recovery_codes_enroll_not_enabled; 404 mfa_factor_not_found; 403 insufficient_aal,
            no_authorization, session_not_found.
    """
    _check_enabled(context)
    with context.changing() as change:
        holder = assurance.enter(change, asking)
        factor = _set_of(holder.factors)
        _require_aal2(holder)
        return _fill(context, change, asking, holder, factor)


def verify(context: IdentityContext, asking: Asking, typed: str) -> SignedIn:
    """Raise the caller's session to aal2 with a code that was not used before, and return its new tokens.

    Raises:
        AuthError: 404 mfa_factor_not_found; 422 mfa_verification_failed, mfa_recovery_codes_verify_not_enabled; 403
            no_authorization, session_not_found; 429 over_request_rate_limit, mfa_recovery_codes_locked.
    """
    if not context.settings.mfa_verify:
        message = "MFA verification is disabled for recovery codes"
        raise AuthError(422, "mfa_recovery_codes_verify_not_enabled", message)
    with context.changing() as change:
        holder = assurance.enter(change, asking)
        factor = _set_of(holder.factors)
        refusal = factor_limits.count_request(context, change, asking)
        outcome: Opened | AuthError | None = refusal
        outcome = outcome or factor_limits.take_try(context, change, asking, "recovery-code")
        if outcome is None and not context.hooks.has(Point.MFA_VERIFICATION_ATTEMPT):
            outcome = _judge(context, change, asking, holder, factor, typed)
    if outcome is None:
        outcome = _judge_with_hook(context, asking, factor, typed)
    # Raised only here: the counts must outlive the refusal.
    if isinstance(outcome, AuthError):
        raise outcome
    return sessions.tokens_for(context, outcome, asking.now)


def remove(context: IdentityContext, asking: Asking) -> UUID:
    """Remove the set, and return the id it had.

    Raises:
        AuthError: 404 mfa_factor_not_found; 403 insufficient_aal, no_authorization, session_not_found.
    """
    with context.changing() as change:
        holder = assurance.enter(change, asking)
        factor = _set_of(holder.factors)
        _require_aal2(holder)
        mfa.remove_within(context, change, holder.user, asking, factor)
        return factor.id


def _check_enabled(context: IdentityContext) -> None:
    if not context.settings.mfa_enroll:
        message = "MFA enroll is disabled for recovery codes"
        raise AuthError(422, "mfa_recovery_codes_enroll_not_enabled", message)


def _check_new(holder: Holder, name: str) -> None:
    if not holder.verified:
        message = "Recovery codes need another verified factor beside them"
        raise AuthError(422, "mfa_recovery_codes_sole_factor", message)
    _require_aal2(holder)
    if any(factor.factor_type == "recovery_code" for factor in holder.factors):
        raise AuthError(422, "mfa_verified_factor_exists", "Recovery codes exist already; regenerate them instead")
    if any(factor.friendly_name == name for factor in holder.factors):
        raise mfa.name_conflict(name)


def _require_aal2(holder: Holder) -> None:
    if not holder.is_at_aal2:
        raise AuthError(403, "insufficient_aal", "AAL2 required to manage recovery codes")


def _set_of(held: Sequence[FactorRecord]) -> FactorRecord:
    for factor in held:
        if factor.factor_type == "recovery_code":
            return factor
    raise AuthError(404, "mfa_factor_not_found", "Factor not found")


def _fill(context: IdentityContext, change: Change, asking: Asking, holder: Holder, factor: FactorRecord) -> Made:
    made = codes.generate()
    rows.replace(change.connection, factor.id, [_sealed(context, factor.id, code) for code in made])
    factor_limits.forget_tries(context, change, asking, "recovery-code")
    assurance.record(change, Happening.RECOVERY_CODES_CREATED, asking, factor)
    notices.tell_of_factor(context, change, MailKind.FACTOR_ENROLLED, holder.user, factor.factor_type, asking)
    return Made(factor, made)


def _sealed(context: IdentityContext, factor_id: UUID, code: str) -> RecoveryCodeRecord:
    row_id = uuid4()
    sealed = factor_secrets.seal(context, codes.digest(code, factor_id), row_id)
    return RecoveryCodeRecord(id=row_id, factor_id=factor_id, sealed_digest=sealed)


def _judge(
    context: IdentityContext, change: Change, asking: Asking, holder: Holder, factor: FactorRecord, typed: str
) -> Opened | AuthError:
    code = codes.canonical(typed)
    found = None if code is None else _find(context, change.connection, factor.id, code)
    if found is None or not rows.spend(change.connection, found, asking.now):
        assurance.record(change, Happening.FACTOR_REFUSED, asking, factor)
        return AuthError(422, "mfa_verification_failed", "Invalid recovery code entered")
    factor_limits.try_was_right(context, change, asking)
    return assurance.raise_session(change, holder, factor, asking)


def _judge_with_hook(context: IdentityContext, asking: Asking, factor: FactorRecord, typed: str) -> Opened | AuthError:
    """Ask the hook between two transactions: it must not hold up every writer, and may write itself."""
    code = codes.canonical(typed)
    with context.database.reading() as connection:
        found = None if code is None else _find(context, connection, factor.id, code)
        unused = {row.id for row in rows.of_factor(connection, factor.id) if row.used_at is None}
    hook_calls.factor_tried(context, asking, factor, found in unused)
    with context.changing() as change:
        holder = assurance.enter(change, asking)
        return _judge(context, change, asking, holder, _set_of(holder.factors), typed)


def _find(context: IdentityContext, connection: sa.Connection, factor_id: UUID, code: str) -> UUID | None:
    wanted, found = codes.digest(code, factor_id), None
    for row in rows.of_factor(connection, factor_id):
        kept = factor_secrets.unseal(context, row.sealed_digest, row.id)
        if kept is not None and hmac.compare_digest(kept, wanted):
            found = row.id
    return found
