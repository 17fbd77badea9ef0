"""`POST /token`: every answer of every grant (auth.md §1.2, §2.6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import ANY
from uuid import UUID

from tests.identity.people import PASSWORD
from tests.web.administering import Admin
from tests.web.callers import now
from tests.web.scenarios import (
    LONG_AGO,
    WAIT,
    Given,
    Row,
    Scene,
    Values,
    ann,
    flow_code,
    session,
    user,
    waiting,
)
from tests.web.test_auth import AN_INSTANT
from tests.web.test_mailed_links import VERIFIER

from portero.crypto import refresh_tokens
from portero.identity import admin
from portero.identity.admin import NewUser

PASSWORD_GRANT = "POST /token?grant_type=password"
REFRESH = "POST /token?grant_type=refresh_token"
PKCE = "POST /token?grant_type=pkce"
ANN = {"email": "$ann", "password": PASSWORD}
WRONG = {"email": "$ann", "password": "wrong"}
INVALID = (400, "invalid_credentials", "Invalid login credentials")
NOT_FOUND = (400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
EXPIRED = "Invalid Refresh Token: Session Expired"
NO_FLOW = (404, "flow_state_not_found", "invalid flow state, no valid flow state found")
WEAK = {"message": "Your password no longer meets the requirements; please choose another.", "reasons": ["length"]}
EXCHANGE = {"auth_code": "$flow", "code_verifier": VERIFIER}
TWO = {"email": "$ann", "phone": "15550100", "password": "x"}


def banned(scene: Scene) -> Values:
    found = ann(scene)
    scene.sql("users", banned_until=now() + timedelta(hours=1))
    return found


def without_password(scene: Scene) -> Values:
    admin.create(scene.api.context, NewUser(email=scene.ann), now())
    return {}


def with_weak_password(scene: Scene) -> Values:
    """An administrator may set one that a user may not."""
    Admin(scene.api).create(scene.ann, password="short")
    return {}


def ann_as(**metadata: Any) -> Given:
    """Ann, with something hooks look at."""

    def given(scene: Scene) -> Values:
        found = ann(scene)
        scene.made("PUT /user", {"data": metadata}, token=found["token"])
        return found

    return given


def five_wrong(scene: Scene) -> Values:
    found = ann(scene)
    for number in range(5):
        scene.call(PASSWORD_GRANT, {"email": scene.ann, "password": "wrong"}, environ_base=elsewhere(number))
    return found


def elsewhere(number: int) -> dict[str, str]:
    return {"REMOTE_ADDR": f"172.16.0.{number}"}


def thirty_before(scene: Scene) -> Values:
    for number in range(30):
        scene.call(PASSWORD_GRANT, {"email": f"{number}-{scene.bob}", "password": "x"})
    return {}


def refreshed(scene: Scene) -> Values:
    first = ann(scene)
    second = scene.made(REFRESH, {"refresh_token": first["refresh"]})
    return {**first, "second": second["refresh_token"]}


def refreshed_twice(scene: Scene) -> Values:
    found = refreshed(scene)
    scene.made(REFRESH, {"refresh_token": found["second"]})
    return found


def made_by_hand(scene: Scene) -> Values:
    """A token of a counter to come, and one under another key."""
    found = ann(scene)
    session_id = UUID(scene.made("GET /user/sessions", token=found["token"])[0]["id"])
    ahead = refresh_tokens.encode(session_id, 5, scene.api.context.refresh_mac_keys[0])
    return {"ahead": ahead, "forged": refresh_tokens.encode(session_id, 0, b"another key of thirty-two bytes.")}


def aged(**columns: Any) -> Given:
    def given(scene: Scene) -> Values:
        found = ann(scene)
        scene.sql("sessions", **columns)
        return found

    return given


def newer(scene: Scene) -> Values:
    found = ann(scene)
    scene.made(PASSWORD_GRANT, {"email": scene.ann, "password": PASSWORD})
    return found


def sixty_before(scene: Scene) -> Values:
    found = ann(scene)
    for _ in range(60):
        scene.made(REFRESH, {"refresh_token": found["refresh"]})
    return found


def exchanged(scene: Scene) -> Values:
    found = flow_code(scene)
    scene.made(PKCE, {"auth_code": found["flow"], "code_verifier": VERIFIER})
    return found


def flow_of_long_ago(scene: Scene) -> Values:
    found = flow_code(scene)
    scene.sql("flow_states", code_issued_at=LONG_AGO)
    return found


def flow_of_somebody_banned(scene: Scene) -> Values:
    found = flow_code(scene)
    scene.sql("users", banned_until=now() + timedelta(hours=1))
    return found


REFRESH_BODY = {"refresh_token": "$refresh"}
TABLE = (
    Row(
        "the right password signs in", PASSWORD_GRANT, ANN, given=ann, gives=(200, session(user())), events="signed_in"
    ),
    Row(
        "from another device, which is told",
        PASSWORD_GRANT,
        ANN,
        given=ann,
        address="172.16.0.98",
        gives=(200, session(user())),
        events="signed_in",
        mails=["new_device_notification to $ann"],
    ),
    Row(
        "in any case of the address",
        PASSWORD_GRANT,
        {"email": "ANN$number@example.org", "password": PASSWORD},
        given=ann,
        gives=(200, session(user())),
        events="signed_in",
    ),
    Row(
        "a password that would be refused today is pointed out",
        PASSWORD_GRANT,
        {"email": "$ann", "password": "short"},
        given=with_weak_password,
        gives=(200, session(weak_password=WEAK)),
        events="signed_in",
    ),
    Row("a wrong one is refused", PASSWORD_GRANT, WRONG, given=ann, refuses=INVALID, events="sign_in_refused"),
    Row("a stranger likewise", PASSWORD_GRANT, WRONG, refuses=INVALID, events="sign_in_refused"),
    Row(
        "who has no password likewise",
        PASSWORD_GRANT,
        WRONG,
        given=without_password,
        refuses=INVALID,
        events="sign_in_refused",
    ),
    Row("who is banned likewise", PASSWORD_GRANT, WRONG, given=banned, refuses=INVALID, events="sign_in_refused"),
    Row(
        "no address at all likewise",
        PASSWORD_GRANT,
        {"email": "ann", "password": "x"},
        refuses=INVALID,
        events="sign_in_refused",
    ),
    Row(
        "no password at all likewise",
        PASSWORD_GRANT,
        {"email": "$ann"},
        given=ann,
        refuses=INVALID,
        events="sign_in_refused",
    ),
    Row(
        "who knows the password is told of a ban",
        PASSWORD_GRANT,
        ANN,
        given=banned,
        refuses=(400, "user_banned", "User is banned"),
        events="sign_in_refused",
    ),
    Row(
        "and of an address that waits",
        PASSWORD_GRANT,
        ANN,
        given=waiting,
        world="proving",
        refuses=(400, "email_not_confirmed", "Email not confirmed"),
        events="sign_in_refused",
    ),
    Row(
        "the sixth try in a row waits",
        PASSWORD_GRANT,
        ANN,
        given=five_wrong,
        address="172.16.0.99",
        refuses=(429, "over_request_rate_limit", WAIT),
        events="sign_in_throttled",
    ),
    Row(
        "thirty tries a minute from one address",
        PASSWORD_GRANT,
        ANN,
        given=thirty_before,
        refuses=(429, "over_request_rate_limit", WAIT),
        events="sign_in_throttled",
    ),
    Row(
        "a hook may refuse a try",
        PASSWORD_GRANT,
        ANN,
        given=ann_as(suspicious=True),
        world="hooked",
        refuses=(400, "invalid_credentials", "Too suspicious"),
        events="session_ended sign_in_refused",
    ),
    Row(
        "a hook may refuse a token, and the session is over",
        PASSWORD_GRANT,
        ANN,
        given=ann_as(closed=True),
        world="hooked",
        refuses=(403, "unknown", "Come back tomorrow"),
        events="session_ended signed_in",
    ),
    Row(
        "an address is needed",
        PASSWORD_GRANT,
        {"password": "x"},
        refuses=(400, "validation_failed", "missing email or phone"),
    ),
    Row(
        "one address at a time",
        PASSWORD_GRANT,
        TWO,
        refuses=(400, "validation_failed", "Only an email address or phone number should be provided on login."),
    ),
    Row(
        "numbers are off",
        PASSWORD_GRANT,
        {"phone": "15550100", "password": "x"},
        refuses=(422, "phone_provider_disabled", "Phone logins are disabled"),
    ),
    Row("no grant", "POST /token", ANN, refuses=(400, "invalid_credentials", "unsupported_grant_type")),
    Row(
        "an unknown grant",
        "POST /token?grant_type=magic",
        ANN,
        refuses=(400, "invalid_credentials", "unsupported_grant_type"),
    ),
    Row(
        "two grants",
        "POST /token?grant_type=password&grant_type=pkce",
        ANN,
        refuses=(400, "validation_failed", "grant_type is given more than once"),
    ),
    Row(
        "other servers' tokens are off",
        "POST /token?grant_type=id_token",
        {"provider": "google", "id_token": "x", "issuer": "https://a.example"},
        refuses=(400, "provider_disabled", 'Provider (issuer "https://a.example") is not enabled'),
    ),
    Row(
        "wallets are off",
        "POST /token?grant_type=web3",
        {"chain": "solana"},
        refuses=(422, "web3_provider_disabled", "Web3 provider is disabled"),
    ),
    Row(
        "the current refresh token advances the session",
        REFRESH,
        REFRESH_BODY,
        given=ann,
        gives=(200, session(user())),
        events="session_refreshed",
    ),
    Row(
        "its parent gets the successor again",
        REFRESH,
        REFRESH_BODY,
        given=refreshed,
        gives=(200, session(refresh_token="$second")),
    ),
    Row(
        "a grandparent ends the session",
        REFRESH,
        REFRESH_BODY,
        given=refreshed_twice,
        refuses=(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used"),
        events="refresh_token_reused session_ended",
    ),
    Row("a forged one ends nothing", REFRESH, {"refresh_token": "$forged"}, given=made_by_hand, refuses=NOT_FOUND),
    Row(
        "one of a counter to come ends nothing",
        REFRESH,
        {"refresh_token": "$ahead"},
        given=made_by_hand,
        refuses=(400, "validation_failed", "Invalid Refresh Token: Not Issued By This Server"),
    ),
    Row(
        "what has no form",
        REFRESH,
        {"refresh_token": "abcdefghijkl"},
        refuses=(400, "validation_failed", "Refresh token is not valid"),
    ),
    Row("none", REFRESH, {"refresh_token": ""}, refuses=(400, "validation_failed", "refresh_token required")),
    Row(
        "an access token is none",
        REFRESH,
        {"refresh_token": "$token"},
        given=ann,
        refuses=(400, "validation_failed", "Refresh token is not valid"),
    ),
    Row(
        "of who was banned meanwhile",
        REFRESH,
        REFRESH_BODY,
        given=banned,
        refuses=(400, "user_banned", "User is banned"),
    ),
    Row(
        "after thirty days",
        REFRESH,
        REFRESH_BODY,
        given=aged(created_at=LONG_AGO, refreshed_at=now()),
        refuses=(400, "session_expired", EXPIRED),
        events="session_ended",
    ),
    Row(
        "after fourteen days without one",
        REFRESH,
        REFRESH_BODY,
        given=aged(created_at=now() - timedelta(days=15)),
        refuses=(400, "session_expired", f"{EXPIRED} (Inactivity)"),
        events="session_ended",
    ),
    Row(
        "where one session is wanted, after a newer sign-in",
        REFRESH,
        REFRESH_BODY,
        given=newer,
        world="single",
        refuses=(400, "session_expired", f"{EXPIRED} (Revoked by Newer Login)"),
        events="session_ended",
    ),
    Row(
        "sixty a minute of one session",
        REFRESH,
        REFRESH_BODY,
        given=sixty_before,
        refuses=(429, "over_request_rate_limit", WAIT),
    ),
    Row(
        "the code of a link and its verifier give a session",
        PKCE,
        EXCHANGE,
        given=flow_code,
        world="proving",
        gives=(200, session(user(recovery_sent_at=AN_INSTANT, confirmation_sent_at=AN_INSTANT, identities=ANY))),
        events="signed_in",
    ),
    Row("once", PKCE, EXCHANGE, given=exchanged, world="proving", refuses=NO_FLOW),
    Row("an unknown code", PKCE, EXCHANGE | {"auth_code": "x"}, refuses=NO_FLOW),
    Row(
        "another verifier, which leaves the code alive",
        PKCE,
        EXCHANGE | {"code_verifier": "w" * 64},
        given=flow_code,
        world="proving",
        refuses=(400, "bad_code_verifier", "code challenge does not match previously saved code verifier"),
        events="link_refused",
    ),
    Row(
        "one of both is empty",
        PKCE,
        {"auth_code": "x", "code_verifier": None},
        refuses=(400, "validation_failed", "invalid request: both auth code and code verifier should be non-empty"),
    ),
    Row(
        "more than five minutes later",
        PKCE,
        EXCHANGE,
        given=flow_of_long_ago,
        world="proving",
        refuses=(422, "flow_state_expired", "invalid flow state, flow state has expired"),
    ),
    Row(
        "of who was banned meanwhile, by a code",
        PKCE,
        EXCHANGE,
        given=flow_of_somebody_banned,
        world="proving",
        refuses=(400, "user_banned", "User is banned"),
    ),
)
