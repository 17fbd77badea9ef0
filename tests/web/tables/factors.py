"""`/factors` and `/factors/recovery-codes`: every answer (auth.md §1.4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from tests.identity.people import PASSWORD
from tests.web.scenarios import AN_ID, ANY, BAD_JSON, LONG_AGO, WAIT, Row, Scene, Values, ann, session

from portero.crypto import totp

STRANGER = str(UUID(int=1))
ENROL, CODES = "POST /factors", "POST /factors/recovery-codes"
CHALLENGE, VERIFY, REMOVE = "POST /factors/$factor/challenge", "POST /factors/$factor/verify", "DELETE /factors/$factor"
SPEND, ANEW, STATUS, FORGET = (
    f"{CODES}/verify",
    f"{CODES}/regenerate",
    "GET /factors/recovery-codes",
    "DELETE /factors/recovery-codes",
)
APP = {"factor_type": "totp", "friendly_name": "app"}
ANSWER = {"challenge_id": "$challenge", "code": "$right"}
NO_FACTOR = (404, "mfa_factor_not_found", "Factor not found")
NO_CHALLENGE = (422, "mfa_factor_not_found", "MFA factor with the provided challenge ID not found")
OVER = "MFA challenge has expired, verify against another challenge or create a new challenge."
MISMATCH = (422, "mfa_ip_address_mismatch", "Challenge and verify IP addresses mismatch.")
WRONG = (422, "mfa_verification_failed", "Invalid TOTP code entered")
WRONG_CODE = (422, "mfa_verification_failed", "Invalid recovery code entered")
NOT_RAISED = (403, "insufficient_aal", "AAL2 required to manage recovery codes")
MANAGED_ELSEWHERE = (400, "validation_failed", "Recovery codes are verified at /factors/recovery-codes/verify")


def code_of(secret: str, steps: int = 0) -> str:
    return totp.code_at(secret, int(time.time()) // totp.STEP + steps)


def enrolled(scene: Scene) -> Values:
    """Ann has begun to enrol a factor."""
    found = ann(scene)
    factor = scene.made(ENROL, APP, token=found["token"])
    return {**found, "factor": factor["id"], "secret": factor["totp"]["secret"]}


def challenged(scene: Scene) -> Values:
    """And is asked for a code."""
    found = enrolled(scene)
    return {**found, **_challenge(scene, found)}


def _challenge(scene: Scene, found: Values, steps: int = 0) -> Values:
    made = scene.made(f"POST /factors/{found['factor']}/challenge", {}, token=found["token"])
    return {"challenge": made["id"], "right": code_of(found["secret"], steps)}


def verified(scene: Scene) -> Values:
    """Ann is at aal2; `low` is another session of hers at aal1; the next challenge is asked already."""
    found = challenged(scene)
    answer = {"challenge_id": found["challenge"], "code": found["right"]}
    raised = scene.made(f"POST /factors/{found['factor']}/verify", answer, token=found["token"])
    low = scene.made("POST /token?grant_type=password", {"email": scene.ann, "password": PASSWORD})
    found = {**found, "token": raised["access_token"], "low": low["access_token"]}
    return {**found, "used": found["right"], "spent": found["challenge"], **_challenge(scene, found, 1)}


def with_codes(scene: Scene) -> Values:
    """And has recovery codes, of which one is used."""
    found = verified(scene)
    made = scene.made(CODES, {}, token=found["token"])
    first, second, *_ = made["codes"]
    scene.made(SPEND, {"code": first}, token=found["token"])
    low = scene.made("POST /token?grant_type=password", {"email": scene.ann, "password": PASSWORD})
    return {**found, "codes": made["id"], "first": first, "second": second, "low": low["access_token"]}


def doing(given: Callable[[Scene], Values], times: int, ask: str, **body: str) -> Callable[[Scene], Values]:
    """After something else was asked so many times."""

    def done(scene: Scene) -> Values:
        found = given(scene)
        path = ask.replace("$factor", str(found.get("factor", "")))
        sent = {name: found.get(value[1:], value) for name, value in body.items()}
        for _ in range(times):
            scene.call(path, sent, token=found["token"])
        return found

    return done


def ten(scene: Scene) -> Values:
    found = ann(scene)
    for number in range(10):
        scene.made(ENROL, APP | {"friendly_name": str(number)}, token=found["token"])
    return found


def over(scene: Scene) -> Values:
    found = challenged(scene)
    scene.sql("challenges", expires_at=LONG_AGO)
    return found


def hooked(scene: Scene) -> Values:
    found = challenged(scene)
    scene.made("PUT /user", {"data": {"far_away": True}}, token=found["token"])
    return found


def row(sentence: str, ask: str, body: Any = None, **more: Any) -> Row:
    return Row(sentence, ask, body, **{"given": enrolled, "who": "token", **more})


SHOWN = {"id": AN_ID, "type": "totp", "friendly_name": "app", "totp": {"qr_code": ANY, "secret": ANY, "uri": ANY}}
ENROLMENT = (
    row("a factor is enrolled", ENROL, APP, given=ann, gives=(200, SHOWN), events="factor_enrolled"),
    row(
        "no kind",
        ENROL,
        {},
        refuses=(400, "validation_failed", "factor_type needs to be totp, phone, or webauthn"),
    ),
    row(
        "numbers are off",
        ENROL,
        {"factor_type": "phone", "phone": "1"},
        refuses=(422, "mfa_phone_enroll_not_enabled", "MFA enroll is disabled for Phone"),
    ),
    row(
        "keys are off",
        ENROL,
        {"factor_type": "webauthn"},
        refuses=(422, "mfa_webauthn_enroll_not_enabled", "MFA enroll is disabled for WebAuthn"),
    ),
    row(
        "enrolment may be off",
        ENROL,
        APP,
        given=ann,
        world="unenrolling",
        refuses=(422, "mfa_totp_enroll_not_enabled", "MFA enroll is disabled for TOTP"),
    ),
    row(
        "one of each name",
        ENROL,
        APP,
        refuses=(
            422,
            "mfa_factor_name_conflict",
            'A factor with the friendly name "app" for this user already exists',
        ),
    ),
    row(
        "a name can be read",
        ENROL,
        APP | {"friendly_name": "a\0b"},
        refuses=(400, "validation_failed", "friendly_name holds at most 255 printable characters"),
    ),
    row(
        "a name is not long",
        ENROL,
        APP | {"friendly_name": "x" * 256},
        refuses=(400, "validation_failed", "friendly_name holds at most 255 printable characters"),
    ),
    row(
        "a kind is a text",
        ENROL,
        {"factor_type": 5},
        refuses=(400, "bad_json", BAD_JSON + "factor_type must be a string"),
    ),
    row(
        "an issuer is not long",
        ENROL,
        {"factor_type": "totp", "issuer": "x" * 65},
        refuses=(400, "validation_failed", "issuer holds at most 64 printable characters"),
    ),
    row(
        "an issuer too",
        ENROL,
        {"factor_type": "totp", "issuer": "\n"},
        refuses=(400, "validation_failed", "issuer holds at most 64 printable characters"),
    ),
    row(
        "ten are enough",
        ENROL,
        APP,
        given=ten,
        refuses=(
            422,
            "too_many_enrolled_mfa_factors",
            "Maximum number of verified factors reached, unenroll to continue",
        ),
    ),
    row(
        "a second one needs the first",
        ENROL,
        APP | {"friendly_name": "other"},
        given=verified,
        who="low",
        refuses=(403, "insufficient_aal", "AAL2 required to enroll a new factor"),
    ),
    row(
        "without it nothing one signs in with changes",
        "PUT /user",
        {"password": "eight dry stones"},
        given=verified,
        who="low",
        refuses=(
            401,
            "insufficient_aal",
            "AAL2 session is required to update email or password when MFA is enabled.",
        ),
    ),
)

ASKED = {"id": AN_ID, "type": "totp", "expires_at": ANY}
VERIFICATION = (
    row("a code is asked for", CHALLENGE, {}, gives=(200, ASKED), events="factor_challenged"),
    row("of a factor that is there", f"POST /factors/{STRANGER}/challenge", {}, refuses=NO_FACTOR),
    row("by its id", "POST /factors/7/challenge", {}, refuses=(404, "validation_failed", "factor_id must be an UUID")),
    row("not of recovery codes", "POST /factors/$codes/challenge", {}, given=with_codes, refuses=MANAGED_ELSEWHERE),
    row(
        "fifteen times a minute",
        CHALLENGE,
        {},
        given=doing(enrolled, 15, CHALLENGE),
        refuses=(429, "over_request_rate_limit", WAIT),
        events="factor_throttled",
    ),
    row(
        "the right one raises the session",
        VERIFY,
        ANSWER,
        given=challenged,
        gives=(200, session()),
        events="factor_verified",
        mails=["mfa_factor_enrolled_notification to $ann"],
    ),
    row(
        "and ends those that are not raised",
        VERIFY,
        ANSWER,
        given=verified,
        gives=(200, session()),
        events="factor_verified session_ended",
    ),
    row("a wrong one", VERIFY, ANSWER | {"code": "000000"}, given=challenged, refuses=WRONG, events="factor_refused"),
    row(
        "one that was used", VERIFY, ANSWER | {"code": "$used"}, given=verified, refuses=WRONG, events="factor_refused"
    ),
    row(
        "none",
        VERIFY,
        ANSWER | {"code": " "},
        given=challenged,
        refuses=(400, "validation_failed", "Code needs to be non-empty"),
    ),
    row(
        "a text",
        VERIFY,
        ANSWER | {"code": 5},
        given=challenged,
        refuses=(400, "bad_json", BAD_JSON + "code must be a string"),
    ),
    row("to no challenge", VERIFY, ANSWER | {"challenge_id": STRANGER}, given=challenged, refuses=NO_CHALLENGE),
    row(
        "to no id",
        VERIFY,
        ANSWER | {"challenge_id": "7"},
        given=challenged,
        refuses=(400, "bad_json", BAD_JSON + "challenge_id must be a UUID"),
    ),
    row(
        "to a challenge that was answered",
        VERIFY,
        ANSWER | {"challenge_id": "$spent"},
        given=verified,
        refuses=MISMATCH,
    ),
    row("to one that is over", VERIFY, ANSWER, given=over, refuses=(422, "mfa_challenge_expired", OVER)),
    row(
        "to one that was answered wrongly five times",
        VERIFY,
        ANSWER,
        given=doing(challenged, 5, VERIFY, challenge_id="$challenge", code="000000"),
        refuses=(422, "mfa_challenge_expired", OVER),
    ),
    row(
        "a hook may refuse, and all sessions end",
        VERIFY,
        ANSWER,
        given=hooked,
        world="hooked",
        refuses=(403, "mfa_verification_rejected", "Not from there"),
        events="factor_refused session_ended",
    ),
    row(
        "a factor is removed",
        REMOVE,
        given=verified,
        gives=(200, {"id": "$factor"}),
        events="factor_removed",
        mails=["mfa_factor_unenrolled_notification to $ann"],
    ),
    row("an unfinished one at any level", REMOVE, gives=(200, {"id": "$factor"}), events="factor_removed"),
    row(
        "a verified one by who showed it",
        REMOVE,
        given=verified,
        who="low",
        refuses=(422, "insufficient_aal", "AAL2 required to unenroll verified factor"),
    ),
    row("one that is there", f"DELETE /factors/{STRANGER}", refuses=NO_FACTOR),
)

MADE = {"id": AN_ID, "type": "recovery_code", "friendly_name": "Recovery codes", "total": 10, "codes": [ANY] * 10}
RECOVERY_CODES = (
    row("recovery codes are made", CODES, {}, given=verified, gives=(200, MADE), events="recovery_codes_created"),
    row(
        "beside another factor",
        CODES,
        {},
        refuses=(422, "mfa_recovery_codes_sole_factor", "Recovery codes need another verified factor beside them"),
    ),
    row("by who showed it", CODES, {}, given=verified, who="low", refuses=NOT_RAISED),
    row(
        "once",
        CODES,
        {},
        given=with_codes,
        refuses=(
            422,
            "mfa_verified_factor_exists",
            "Recovery codes exist already; regenerate them instead",
        ),
    ),
    row(
        "unless that is off",
        CODES,
        {},
        given=ann,
        world="unenrolling",
        refuses=(422, "mfa_recovery_codes_enroll_not_enabled", "MFA enroll is disabled for recovery codes"),
    ),
    row(
        "under a name of their own",
        CODES,
        {"friendly_name": "app"},
        given=verified,
        refuses=(
            422,
            "mfa_factor_name_conflict",
            'A factor with the friendly name "app" for this user already exists',
        ),
    ),
    row(
        "one raises a session",
        SPEND,
        {"code": "$second"},
        given=with_codes,
        gives=(200, session()),
        events="factor_verified session_ended",
    ),
    row("once each", SPEND, {"code": "$first"}, given=with_codes, refuses=WRONG_CODE, events="factor_refused"),
    row("not a guess", SPEND, {"code": "guess"}, given=with_codes, refuses=WRONG_CODE, events="factor_refused"),
    row("where there are some", SPEND, {"code": "guess"}, given=verified, refuses=NO_FACTOR),
    row(
        "twenty tries an hour",
        SPEND,
        {"code": "$second"},
        given=doing(with_codes, 20, SPEND, code="guess"),
        world="patient",
        refuses=(
            429,
            "mfa_recovery_codes_locked",
            "Too many recovery codes were tried; wait, or use another factor",
        ),
        events="factor_throttled",
    ),
    row(
        "how many are left",
        STATUS,
        given=with_codes,
        gives=(200, {"id": "$codes", "type": "recovery_code", "total": 10, "remaining": 9}),
    ),
    row("of none", STATUS, refuses=NO_FACTOR),
    row(
        "they are made anew",
        ANEW,
        given=with_codes,
        gives=(200, MADE | {"id": "$codes"}),
        events="recovery_codes_created",
    ),
    row("by who showed a factor", ANEW, given=with_codes, who="low", refuses=NOT_RAISED),
    row("where there are none", ANEW, refuses=NO_FACTOR),
    row(
        "they are removed",
        FORGET,
        given=with_codes,
        gives=(200, {"id": "$codes"}),
        events="factor_removed",
        mails=["mfa_factor_unenrolled_notification to $ann"],
    ),
    row("by who showed one", FORGET, given=with_codes, who="low", refuses=NOT_RAISED),
    row("where none are", FORGET, refuses=NO_FACTOR),
)

TABLE = (*ENROLMENT, *VERIFICATION, *RECOVERY_CODES)
