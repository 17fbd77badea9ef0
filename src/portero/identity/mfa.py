"""Second factors: enrolled, asked for, verified, removed (auth.md §1.4; threats MF-01 to MF-06).

A factor counts only after a code of it was right. A TOTP code is taken once, whatever challenge it answers; a challenge
takes one right code and few wrong ones. Each of these is one conditional UPDATE. A secret is shown by the enrolment and
never again. Telephones and WebAuthn are refused with the contract's codes.
"""

from __future__ import annotations

import logging
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.crypto import totp
from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import assurance, factor_limits, factor_secrets, hook_calls, notices, sessions
from portero.identity.addresses import network_of
from portero.identity.assurance import Asking, Holder
from portero.identity.context import Caller, Change, IdentityContext, Opened, SignedIn
from portero.identity.hooks import Point
from portero.identity.mail_templates import MailKind
from portero.records import dataclass
from portero.store import challenges, factors, users
from portero.store.challenges import ChallengeRecord
from portero.store.factors import FactorRecord
from portero.store.users import UserRecord

LOG: Final = logging.getLogger("portero.identity")
MOST_FACTORS: Final = 10
LONGEST_NAME: Final = 255
CHALLENGE_LIFETIME: Final = timedelta(seconds=300)
#: After this an enrolment that nobody finished is removed by the next one.
UNVERIFIED_LIFETIME: Final = timedelta(minutes=5)

_OFF: Final = {
    "phone": ("mfa_phone_enroll_not_enabled", "MFA enroll is disabled for Phone"),
    "webauthn": ("mfa_webauthn_enroll_not_enabled", "MFA enroll is disabled for WebAuthn"),
}
_CODE_WRONG: Final = "Invalid TOTP code entered"
_CHALLENGE_OVER: Final = "MFA challenge has expired, verify against another challenge or create a new challenge."
_CHALLENGE_UNKNOWN: Final = "MFA factor with the provided challenge ID not found"
_MISMATCH: Final = "Challenge and verify IP addresses mismatch."


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to enrol; absent members are empty.

    Attributes:
        factor_type: `totp`, or what is off.
        friendly_name: what the user calls it; one of each name, also of the empty one.
        issuer: what authenticator apps call the application; default: its host name.
    """

    factor_type: str = ""
    friendly_name: str = ""
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A factor that waits for its first code, and its secret in three forms, which nobody is shown again."""

    factor: FactorRecord
    secret: str = field(repr=False)
    uri: str = field(repr=False)
    qr_code: str = field(repr=False)


def enrol(context: IdentityContext, asking: Asking, wish: Wish) -> Enrolled:
    """Enrol a factor; it counts after its first right code.

    Raises:
        AuthError: 400 validation_failed; 422 mfa_phone_enroll_not_enabled, mfa_webauthn_enroll_not_enabled,
            mfa_totp_enroll_not_enabled, mfa_factor_name_conflict, too_many_enrolled_mfa_factors; 403
            insufficient_aal, no_authorization, session_not_found.
    """
    _check_wish(context, wish)
    factor_id, secret = uuid4(), totp.new_secret()
    sealed = factor_secrets.seal(context, secret.encode(), factor_id)
    with context.changing() as change:
        holder = assurance.enter(change, asking)
        if factors.delete_stale(change.connection, asking.now - UNVERIFIED_LIFETIME, holder.user.id):
            holder = replace(holder, factors=factors.of_user(change.connection, holder.user.id))
        _check_room(holder, wish.friendly_name)
        factor = FactorRecord(
            id=factor_id,
            user_id=holder.user.id,
            factor_type="totp",
            friendly_name=wish.friendly_name,
            sealed_secret=sealed,
            created_at=asking.now,
            updated_at=asking.now,
        )
        factors.insert(change.connection, factor)
        assurance.record(change, Happening.FACTOR_ENROLLED, asking, factor)
    account = holder.user.email or holder.user.username or str(holder.user.id)
    uri = totp.key_uri(secret, account, wish.issuer or urlsplit(context.settings.url).hostname or "Portero")
    return Enrolled(factor, secret, uri, totp.qr_code(uri))


def challenge(context: IdentityContext, asking: Asking, factor_id: UUID) -> ChallengeRecord:
    """Ask for a code of a factor; the answer has five minutes, and must come from the same network.

    Raises:
        AuthError: 404 mfa_factor_not_found; 400 validation_failed (recovery codes are not asked for); 403
            no_authorization, session_not_found; 422 mfa_totp_verify_not_enabled; 429 over_request_rate_limit.
    """
    _check_verification(context)
    with context.changing() as change:
        holder = assurance.enter(change, asking)
        factor = _totp_factor(holder, factor_id)
        outcome = factor_limits.count_request(context, change, asking) or _insert_challenge(change, asking, factor)
    # Raised only here: the count must outlive the refusal.
    if isinstance(outcome, AuthError):
        raise outcome
    return outcome


def verify(context: IdentityContext, asking: Asking, factor_id: UUID, challenge_id: UUID, code: str) -> SignedIn:
    """Raise the caller's session to aal2 with a code of a factor, and return its new tokens.

    The first right code makes the factor count, and removes unfinished enrolments of its type. The user's other
    sessions at aal1 end.

    Raises:
        AuthError: 400 validation_failed (no code, recovery codes); 404 mfa_factor_not_found; 422
            mfa_factor_not_found (challenge), mfa_ip_address_mismatch, mfa_challenge_expired,
            mfa_verification_failed, mfa_totp_verify_not_enabled; 403 insufficient_aal, no_authorization,
            session_not_found; 429 over_request_rate_limit.
    """
    if not code.strip():
        raise AuthError(400, "validation_failed", "Code needs to be non-empty")
    _check_verification(context)
    with context.changing() as change:
        holder = assurance.enter(change, asking)
        factor = _totp_factor(holder, factor_id)
        if not factor.is_verified and holder.verified and not holder.is_at_aal2:
            raise AuthError(403, "insufficient_aal", "AAL2 required to verify a new factor")
        outcome: Opened | AuthError | None = _take_try(context, change, asking, factor, challenge_id)
        if outcome is None and not context.hooks.has(Point.MFA_VERIFICATION_ATTEMPT):
            outcome = _judge(context, change, asking, holder, factor, challenge_id, code)
    if outcome is None:
        outcome = _judge_with_hook(context, asking, factor, challenge_id, code)
    # Raised only here: counts, and the spent step, must outlive the refusal.
    if isinstance(outcome, AuthError):
        raise outcome
    return sessions.tokens_for(context, outcome, asking.now)


def unenrol(context: IdentityContext, asking: Asking, factor_id: UUID) -> None:
    """Remove one of the caller's factors; sessions that it raised fall back to aal1.

    Recovery codes are nothing alone: they go with the last factor that counts.

    Raises:
        AuthError: 404 mfa_factor_not_found; 422 insufficient_aal; 403 no_authorization, session_not_found.
    """
    with context.changing() as change:
        holder = assurance.enter(change, asking)
        factor = _own(holder, factor_id)
        if factor.is_verified and not holder.is_at_aal2:
            raise AuthError(422, "insufficient_aal", "AAL2 required to unenroll verified factor")
        remove_within(context, change, holder.user, asking, factor)


def remove(context: IdentityContext, user_id: UUID, factor_id: UUID, now: datetime) -> FactorRecord:
    """Remove a user's factor for an administrator, and return what it was.

    Raises:
        AuthError: 404 user_not_found, mfa_factor_not_found.
    """
    with context.changing() as change:
        user, factor = _of_user(change, user_id, factor_id)
        remove_within(context, change, user, Asking(user_id, None, Caller(), now), factor)
    return factor


def rename(context: IdentityContext, user_id: UUID, factor_id: UUID, name: str, now: datetime) -> FactorRecord:
    """Give a user's factor another name for an administrator, and return it.

    Raises:
        AuthError: 404 user_not_found, mfa_factor_not_found; 400 validation_failed; 422 mfa_factor_name_conflict.
    """
    check_name(name)
    try:
        with context.changing() as change:
            user, factor = _of_user(change, user_id, factor_id)
            factors.rename(change.connection, factor.id, name, now)
            details = {"by": "administrator", "changed": "factors"}
            change.record(Event(Happening.USER_UPDATED, now, user.id, details=details))
    except sa.exc.IntegrityError as cause:
        raise name_conflict(name) from cause
    return replace(factor, friendly_name=name, updated_at=now)


def remove_within(
    context: IdentityContext, change: Change, user: UserRecord, asking: Asking, factor: FactorRecord
) -> None:
    """Remove a user's factor inside the caller's transaction, and recovery codes that would be left alone."""
    assurance.lower_sessions(change, factor)
    factors.delete(change.connection, factor.id)
    assurance.record(change, Happening.FACTOR_REMOVED, asking, factor)
    if factor.is_verified:
        notices.tell_of_factor(context, change, MailKind.FACTOR_UNENROLLED, user, factor.factor_type, asking)
    left = [each for each in factors.of_user(change.connection, factor.user_id) if each.is_verified]
    if [each.factor_type for each in left] == ["recovery_code"]:
        remove_within(context, change, user, asking, left[0])


def check_name(name: str) -> None:
    """Refuse a name that no screen shows or no database keeps.

    Raises:
        AuthError: 400 validation_failed.
    """
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise AuthError(400, "validation_failed", f"friendly_name holds at most {LONGEST_NAME} printable characters")


def name_conflict(name: str) -> AuthError:
    """Return 422 `mfa_factor_name_conflict`."""
    message = f'A factor with the friendly name "{name}" for this user already exists'
    return AuthError(422, "mfa_factor_name_conflict", message)


def _check_wish(context: IdentityContext, wish: Wish) -> None:
    if wish.factor_type in _OFF:
        code, message = _OFF[wish.factor_type]
        raise AuthError(422, code, message)
    if wish.factor_type != "totp":
        raise AuthError(400, "validation_failed", "factor_type needs to be totp, phone, or webauthn")
    if not context.settings.mfa_enroll:
        raise AuthError(422, "mfa_totp_enroll_not_enabled", "MFA enroll is disabled for TOTP")
    check_name(wish.friendly_name)
    if len(wish.issuer) > totp.LONGEST_ISSUER or not wish.issuer.isprintable():
        message = f"issuer holds at most {totp.LONGEST_ISSUER} printable characters"
        raise AuthError(400, "validation_failed", message)


def _check_verification(context: IdentityContext) -> None:
    if not context.settings.mfa_verify:
        raise AuthError(422, "mfa_totp_verify_not_enabled", "MFA verification is disabled for TOTP")


def _check_room(holder: Holder, name: str) -> None:
    if any(factor.friendly_name == name for factor in holder.factors):
        raise name_conflict(name)
    enrolled = [factor for factor in holder.factors if factor.factor_type != "recovery_code"]
    if len(enrolled) >= MOST_FACTORS:
        message = "Maximum number of verified factors reached, unenroll to continue"
        raise AuthError(422, "too_many_enrolled_mfa_factors", message)
    if holder.verified and not holder.is_at_aal2:
        raise AuthError(403, "insufficient_aal", "AAL2 required to enroll a new factor")


def _own(holder: Holder, factor_id: UUID) -> FactorRecord:
    for factor in holder.factors:
        if factor.id == factor_id:
            return factor
    raise _unknown_factor()


def _of_user(change: Change, user_id: UUID, factor_id: UUID) -> tuple[UserRecord, FactorRecord]:
    user = users.by_id(change.connection, user_id, lock=True)
    if user is None:
        raise AuthError(404, "user_not_found", "User not found")
    found = [each for each in factors.of_user(change.connection, user_id) if each.id == factor_id]
    if not found:
        raise _unknown_factor()
    return user, found[0]


def _unknown_factor() -> AuthError:
    return AuthError(404, "mfa_factor_not_found", "Factor not found")


def _totp_factor(holder: Holder, factor_id: UUID) -> FactorRecord:
    factor = _own(holder, factor_id)
    if factor.factor_type != "totp":
        raise AuthError(400, "validation_failed", "Recovery codes are verified at /factors/recovery-codes/verify")
    return factor


def _insert_challenge(change: Change, asking: Asking, factor: FactorRecord) -> ChallengeRecord:
    made = ChallengeRecord(
        factor_id=factor.id,
        address=network_of(asking.caller.address),
        created_at=asking.now,
        expires_at=asking.now + CHALLENGE_LIFETIME,
    )
    challenges.insert(change.connection, made)
    factors.note_challenge(change.connection, factor.id, asking.now)
    assurance.record(change, Happening.FACTOR_CHALLENGED, asking, factor)
    return made


def _take_try(
    context: IdentityContext, change: Change, asking: Asking, factor: FactorRecord, challenge_id: UUID
) -> AuthError | None:
    """Count everything there is to count before the code is looked at; return the first refusal."""
    refusal = factor_limits.count_request(context, change, asking)
    if refusal is not None:
        return refusal
    found = challenges.of_factor(change.connection, factor.id, challenge_id)
    if found is None:
        return AuthError(422, "mfa_factor_not_found", _CHALLENGE_UNKNOWN)
    if found.verified_at is not None or found.address != network_of(asking.caller.address):
        return AuthError(422, "mfa_ip_address_mismatch", _MISMATCH)
    if found.expires_at <= asking.now:
        return AuthError(422, "mfa_challenge_expired", _CHALLENGE_OVER)
    refusal = factor_limits.take_try(context, change, asking, "totp")
    if refusal is not None:
        return refusal
    if not challenges.take_try(change.connection, found.id, factor_limits.TRIES_OF_A_CHALLENGE):
        return AuthError(422, "mfa_challenge_expired", _CHALLENGE_OVER)
    return None


def _judge(
    context: IdentityContext,
    change: Change,
    asking: Asking,
    holder: Holder,
    factor: FactorRecord,
    challenge_id: UUID,
    code: str,
) -> Opened | AuthError:
    connection = change.connection
    step = _step_of(context, factor, code, asking.now)
    if step is None or not factors.take_step(connection, factor.id, step):
        assurance.record(change, Happening.FACTOR_REFUSED, asking, factor)
        return AuthError(422, "mfa_verification_failed", _CODE_WRONG)
    if not challenges.spend(connection, challenge_id, asking.now):
        return AuthError(422, "mfa_ip_address_mismatch", _MISMATCH)
    factor_limits.try_was_right(context, change, asking)
    factors.verify(connection, factor.id, asking.now)
    if not factor.is_verified:
        notices.tell_of_factor(context, change, MailKind.FACTOR_ENROLLED, holder.user, factor.factor_type, asking)
    factors.delete_unverified(connection, holder.user.id, factor.factor_type)
    return assurance.raise_session(change, holder, factor, asking)


def _judge_with_hook(
    context: IdentityContext, asking: Asking, factor: FactorRecord, challenge_id: UUID, code: str
) -> Opened | AuthError:
    """Ask the hook between two transactions: it must not hold up every writer, and may write itself."""
    step = _step_of(context, factor, code, asking.now)
    hook_calls.factor_tried(context, asking, factor, step is not None and step > (factor.last_step or -1))
    with context.changing() as change:
        holder = assurance.enter(change, asking)
        present = _totp_factor(holder, factor.id)
        return _judge(context, change, asking, holder, present, challenge_id, code)


def _step_of(context: IdentityContext, factor: FactorRecord, code: str, now: datetime) -> int | None:
    secret = factor_secrets.unseal(context, factor.sealed_secret or b"", factor.id)
    if secret is None:
        LOG.error("factor %s was sealed with a JWT_SECRET_KEY that is no longer configured", factor.id)
        return None
    return totp.matching_step(secret.decode(), code, now.timestamp())
