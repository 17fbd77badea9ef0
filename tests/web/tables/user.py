"""What signed-in users ask about themselves: `/user`, `/logout`, `/reauthenticate`, `/user/sessions` (auth.md §1.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.identity.people import PASSWORD
from tests.web.callers import now
from tests.web.scenarios import (
    AN_ID,
    AN_INSTANT,
    ANY,
    INVALID_ADDRESS,
    OTHER,
    TOO_SOON,
    WAIT,
    Row,
    Scene,
    Values,
    ann,
    facts,
    mailed,
    proven,
    user,
    weak,
)

GET, PUT, LOGOUT, SESSIONS = "GET /user", "PUT /user", "POST /logout", "GET /user/sessions"
NONCE = "GET /reauthenticate"
TAKEN = (422, "email_exists", "A user with this email address has already been registered")
AUDIENCE = (400, "validation_failed", "Token audience doesn't match request audience")
NO_ID = (404, "validation_failed", "session_id must be an UUID")
CONFIRMED = user(confirmation_sent_at=AN_INSTANT, identities=ANY)
LISTED = {
    "id": AN_ID,
    "created_at": AN_INSTANT,
    "refreshed_at": None,
    "ip": ANY,
    "user_agent": ANY,
    "aal": "aal1",
    "amr": [{"method": "password", "timestamp": ANY}],
}


def twice(scene: Scene) -> Values:
    """Ann is signed in twice; `other` is the id of the earlier session."""
    first = ann(scene)
    (listed,) = scene.made(SESSIONS, token=first["token"])
    second = scene.made("POST /token?grant_type=password", {"email": scene.ann, "password": PASSWORD})
    return {**first, "token": second["access_token"], "other": listed["id"]}


def with_bob(scene: Scene) -> Values:
    bob = scene.made("POST /signup", {"email": scene.bob, "password": PASSWORD})
    (listed,) = scene.made(SESSIONS, token=bob["access_token"])
    return {**ann(scene), "other": listed["id"]}


def nobody(scene: Scene) -> Values:
    """Somebody without an address."""
    return {"token": scene.made("POST /signup", {})["access_token"]}


def asked(scene: Scene) -> Values:
    """Ann has been mailed a nonce."""
    found = proven(scene)
    scene.made(NONCE, token=found["token"])
    return {**found, **mailed(scene, scene.ann)}


def spent(scene: Scene) -> Values:
    found = asked(scene)
    scene.made(PUT, {"password": "nine grey stones", "nonce": found["code"]}, token=found["token"])
    return found


def old(scene: Scene) -> Values:
    found = proven(scene)
    scene.sql("sessions", created_at=now() - timedelta(days=2))
    return found


def wishing(scene: Scene) -> Values:
    found = proven(scene)
    scene.made(PUT, {"email": scene.bob}, token=found["token"])
    return found


def full(scene: Scene) -> Values:
    """Ann keeps as much about herself as one may."""
    found = ann(scene)
    for number in range(4):
        scene.made(PUT, {"data": {str(number): "x" * 15_000}}, token=found["token"])
    return found


def thirty_before(scene: Scene) -> Values:
    found = ann(scene)
    for _ in range(30):
        scene.made(PUT, {"data": {}}, token=found["token"])
    return found


def unproven_now(scene: Scene) -> Values:
    """An administrator gave a session's user an address that nobody confirmed."""
    found = ann(scene)
    scene.sql("users", email_confirmed_at=None)
    return found


def put(sentence: str, body: dict[str, Any], **more: Any) -> Row:
    return Row(sentence, PUT, body, **{"given": ann, "who": "token", **more})


CHANGES = (
    put(
        "data is merged, and null takes away",
        {"data": {"colour": "red", "phone_verified": None}},
        gives=(
            200,
            user(user_metadata={"colour": "red", "sub": AN_ID, "email": "$ann", "email_verified": True}),
        ),
        events="user_updated",
    ),
    put("nothing is nothing", {}, gives=(200, user())),
    put("the address one has is none", {"email": "$ann"}, gives=(200, user())),
    put(
        "a proven address agrees to a new one",
        {"email": "$bob"},
        given=proven,
        world="proving",
        gives=(200, CONFIRMED | {"new_email": "$bob", "email_change_sent_at": AN_INSTANT}),
        events="mail_requested user_updated",
        mails=["email_change to $ann", "email_change to $bob"],
    ),
    put(
        "one that nobody proved has no say",
        {"email": "$bob"},
        gives=(200, user(new_email="$bob", email_change_sent_at=AN_INSTANT)),
        events="mail_requested user_updated",
        mails=["email_change to $bob"],
    ),
    put(
        "nobody in particular becomes somebody",
        {"email": "$ann", "password": PASSWORD},
        given=nobody,
        world="anonymous",
        gives=(200, user(last_sign_in_at=AN_INSTANT, identities=ANY, user_metadata=facts(verified=True))),
        events="password_changed user_updated",
    ),
    put(
        "a new password",
        {"password": OTHER},
        gives=(200, user()),
        events="password_changed",
        mails=["password_changed_notification to $ann"],
    ),
    put(
        "a new password ends the other sessions",
        {"password": OTHER, "current_password": PASSWORD},
        given=twice,
        gives=(200, user()),
        events="password_changed session_ended",
        mails=["password_changed_notification to $ann"],
    ),
    put(
        "an old session changes the password with a nonce",
        {"password": OTHER, "nonce": "$code"},
        given=asked,
        world="reauthenticating",
        gives=(200, ANY),
        events="password_changed",
        mails=["password_changed_notification to $ann"],
    ),
    put(
        "and not without",
        {"password": OTHER},
        given=old,
        world="reauthenticating",
        refuses=(400, "reauthentication_needed", "Password update requires reauthentication"),
    ),
    put(
        "a wrong nonce",
        {"password": OTHER, "nonce": "$wrong"},
        given=asked,
        world="proving",
        refuses=(422, "reauthentication_not_valid", "Nonce has expired or is invalid"),
        events="link_refused",
    ),
    put(
        "a spent nonce",
        {"password": OTHER, "nonce": "$code"},
        given=spent,
        world="proving",
        refuses=(422, "reauthentication_not_valid", "Nonce has expired or is invalid"),
        events="link_refused",
    ),
    put(
        "the password one has",
        {"password": PASSWORD},
        refuses=(422, "same_password", "New password should be different from the old password."),
    ),
    put(
        "a wrong current password",
        {"password": OTHER, "current_password": "wrong"},
        refuses=(400, "current_password_invalid", "Current password is not valid"),
    ),
    put(
        "none, where it is demanded",
        {"password": OTHER},
        world="demanding",
        refuses=(400, "current_password_required", "Current password required when setting new password."),
    ),
    put("an empty password", {"password": ""}, refuses=weak("length", "Password should be at least 8 characters.")),
    put(
        "a password has at most 1 KiB",
        {"password": "x" * 1025},
        refuses=(400, "validation_failed", "Password cannot be longer than 1024 bytes"),
    ),
    put(
        "metadata are no store of files",
        {"data": {"more": "x" * 15_000}},
        given=full,
        refuses=(400, "validation_failed", "user_metadata holds at most 65536 bytes"),
    ),
    put("an address has its form", {"email": "ann"}, refuses=INVALID_ADDRESS),
    put("another's address", {"email": "$bob"}, given=with_bob, refuses=TAKEN),
    put(
        "one change of the address a minute",
        {"email": "x-$bob"},
        given=wishing,
        world="proving",
        refuses=(429, "over_email_send_rate_limit", TOO_SOON),
    ),
    put(
        "what administrators change",
        {"app_metadata": {"admin": True}},
        refuses=(403, "not_admin", "Updating app_metadata requires admin privileges"),
    ),
    put(
        "numbers are off", {"phone": "15550100"}, refuses=(400, "phone_provider_disabled", "Phone signups are disabled")
    ),
    put(
        "nobody in particular has no password",
        {"password": PASSWORD},
        given=nobody,
        world="anonymous",
        refuses=(
            422,
            "validation_failed",
            "Updating password of an anonymous user without an email or phone is not allowed",
        ),
    ),
    put(
        "thirty changes in five minutes",
        {"data": {}},
        given=thirty_before,
        refuses=(429, "over_request_rate_limit", WAIT),
    ),
)

TABLE = (
    Row("a user sees the own record", GET, given=ann, who="token", gives=(200, user())),
    Row("of an audience that is not theirs", GET, given=ann, who="token", headers={"X-JWT-AUD": "x"}, refuses=AUDIENCE),
    *CHANGES,
    Row("sign-out ends all sessions", LOGOUT, given=twice, who="token", gives=(204, None), events="session_ended"),
    Row("or this one", f"{LOGOUT}?scope=local", given=twice, who="token", gives=(204, None), events="session_ended"),
    Row("or the others", f"{LOGOUT}?scope=others", given=twice, who="token", gives=(204, None), events="session_ended"),
    Row("of which there may be none", f"{LOGOUT}?scope=others", given=ann, who="token", gives=(204, None)),
    Row(
        "and nothing else",
        f"{LOGOUT}?scope=all",
        given=ann,
        who="token",
        refuses=(400, "validation_failed", 'Unsupported logout scope "all"'),
    ),
    Row(
        "a nonce is mailed",
        NONCE,
        given=proven,
        world="proving",
        who="token",
        gives=(200, {}),
        events="mail_requested",
        mails=["reauthentication to $ann"],
    ),
    Row(
        "one a minute",
        NONCE,
        given=asked,
        world="proving",
        who="token",
        refuses=(429, "over_email_send_rate_limit", TOO_SOON),
    ),
    Row(
        "not to nobody in particular",
        NONCE,
        given=nobody,
        world="anonymous",
        who="token",
        refuses=(400, "validation_failed", "Reauthentication requires the user to have an email or a phone number"),
    ),
    Row(
        "nor to an address that waits",
        NONCE,
        given=unproven_now,
        who="token",
        refuses=(422, "email_not_confirmed", "Please verify your email first."),
    ),
    Row(
        "nor where no mail can be sent",
        NONCE,
        given=ann,
        world="mute",
        who="token",
        refuses=(400, "email_provider_disabled", "Email logins are disabled: no mail server is configured"),
    ),
    Row(
        "a user sees the own sessions",
        SESSIONS,
        given=twice,
        who="token",
        gives=(200, [LISTED | {"current": True}, LISTED | {"current": False, "id": "$other"}]),
    ),
    Row(
        "and ends one",
        "DELETE /user/sessions/$other",
        given=twice,
        who="token",
        gives=(204, None),
        events="session_ended",
    ),
    Row(
        "of the own",
        "DELETE /user/sessions/$other",
        given=with_bob,
        who="token",
        refuses=(404, "session_not_found", "Session not found"),
    ),
    Row("by its id", "DELETE /user/sessions/7", given=ann, who="token", refuses=NO_ID),
)
