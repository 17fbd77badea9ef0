"""`POST /signup`: every answer (auth.md §1.2)."""

from __future__ import annotations

from typing import Any

from tests.identity.people import PASSWORD
from tests.web.scenarios import (
    BAD_JSON,
    INVALID_ADDRESS,
    LONG_AGO,
    OTHER,
    TOO_SOON,
    WAIT,
    Row,
    Scene,
    Values,
    ann,
    facts,
    pending_user,
    proven,
    session,
    user,
    waiting,
    weak,
)
from tests.web.test_auth import AN_INSTANT

ASK = "POST /signup"
ANN = {"email": "$ann", "password": PASSWORD}
CHALLENGE = {"code_challenge": "c" * 43, "code_challenge_method": "s256"}
PAIR = "PKCE flow requires code_challenge_method and code_challenge"


def waiting_a_minute(scene: Scene) -> Values:
    found = waiting(scene)
    scene.later()
    return found


def invited(scene: Scene) -> Values:
    scene.made(ASK, {"email": scene.ann, "password": PASSWORD, "data": {"colour": "red"}})
    scene.sql("users", invited_at=LONG_AGO)
    scene.later()
    return {}


def twenty_before(scene: Scene) -> Values:
    for number in range(20):
        scene.call(ASK, {"email": f"{number}-{scene.bob}", "password": PASSWORD})
    return {}


def all_hashing(scene: Scene) -> Values:
    """As many passwords as the machine bears are being hashed."""
    scene.stack.enter_context(scene.overloaded())
    return {}


def anonymous(**more: Any) -> dict[str, Any]:
    absent = dict.fromkeys(("email_confirmed_at", "confirmed_at"), ...)
    return user("", **absent, app_metadata={}, user_metadata={}, identities=[], is_anonymous=True) | more


MADE_UP = pending_user(role="", identities=[])
COMMON = "Password is known to be weak and easy to guess, please choose a different one."

TABLE = (
    Row("somebody signs up", ASK, ANN, gives=(200, session(user())), events="user_created signed_in"),
    Row(
        "the address is kept in small letters, the data beside what is known of it",
        ASK,
        {"email": "ANN$number@Example.org", "password": PASSWORD, "data": {"colour": "red"}},
        gives=(200, session(user(user_metadata={"colour": "red", **facts(verified=True)}))),
        events="user_created signed_in",
    ),
    Row(
        "where addresses are proven, a sign-up waits",
        ASK,
        ANN,
        world="proving",
        gives=(200, pending_user()),
        events="user_created mail_requested",
        mails=["confirmation to $ann"],
    ),
    Row(
        "with a challenge it is answered alike",
        ASK,
        ANN | CHALLENGE,
        world="proving",
        gives=(200, pending_user()),
        events="user_created mail_requested",
        mails=["confirmation to $ann"],
    ),
    Row(
        "who waits is mailed again, a minute later",
        ASK,
        {"email": "$ann", "password": OTHER, "data": {"colour": "blue"}},
        given=waiting_a_minute,
        world="proving",
        gives=(200, pending_user()),
        events="mail_requested",
        mails=["confirmation to $ann"],
    ),
    Row(
        "from elsewhere it also removes a password that may be somebody else's",
        ASK,
        {"email": "$ann", "password": OTHER},
        given=waiting_a_minute,
        world="proving",
        address="172.16.0.97",
        gives=(200, pending_user()),
        events="credentials_removed mail_requested",
        mails=["confirmation to $ann"],
    ),
    Row(
        "what an administrator wrote about somebody invited is not for who types the address",
        ASK,
        ANN,
        given=invited,
        world="proving",
        gives=(200, pending_user(user_metadata={}, invited_at=AN_INSTANT)),
        events="mail_requested",
        mails=["confirmation to $ann"],
    ),
    Row(
        "within the minute nobody is mailed",
        ASK,
        ANN,
        given=waiting,
        world="proving",
        refuses=(429, "over_email_send_rate_limit", TOO_SOON),
    ),
    Row(
        "a taken address gets somebody made up, and its owner is told",
        ASK,
        ANN,
        given=proven,
        world="proving",
        gives=(200, MADE_UP),
        mails=["account_exists_notification to $ann"],
    ),
    Row(
        "where sign-ups confirm themselves, a taken address is told",
        ASK,
        ANN,
        given=ann,
        refuses=(422, "user_already_exists", "User already registered"),
    ),
    Row(
        "nobody in particular signs up",
        ASK,
        {"data": {"colour": "red"}},
        world="anonymous",
        gives=(200, session(anonymous(user_metadata={"colour": "red"}))),
        events="user_created signed_in",
    ),
    Row(
        "unless that is off",
        ASK,
        {"data": {}},
        refuses=(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled"),
    ),
    Row(
        "sign-ups may be off",
        ASK,
        ANN,
        world="closed",
        refuses=(422, "signup_disabled", "Signups not allowed for this instance"),
    ),
    Row(
        "for nobody in particular too",
        ASK,
        {},
        world="closed",
        refuses=(422, "signup_disabled", "Signups not allowed for this instance"),
    ),
    Row(
        "a number is no address here",
        ASK,
        {"phone": "15550100", "password": PASSWORD},
        refuses=(400, "phone_provider_disabled", "Phone signups are disabled"),
    ),
    Row(
        "a number goes with no challenge",
        ASK,
        {"phone": "15550100", "password": PASSWORD} | CHALLENGE,
        refuses=(400, "validation_failed", "PKCE not supported for phone signups"),
    ),
    Row(
        "one address at a time",
        ASK,
        ANN | {"phone": "15550100"},
        refuses=(400, "validation_failed", "Only an email address or phone number should be provided on signup."),
    ),
    Row(
        "a password is needed",
        ASK,
        {"email": "$ann", "password": ""},
        refuses=(400, "validation_failed", "Signup requires a valid password"),
    ),
    Row(
        "a short one is refused",
        ASK,
        {"email": "$ann", "password": "k7-Zq1"},
        refuses=weak("length", "Password should be at least 8 characters."),
    ),
    Row(
        "a common one too",
        ASK,
        {"email": "$ann", "password": "password1"},
        refuses=weak("pwned", COMMON),
    ),
    Row(
        "one with the address in it too",
        ASK,
        {"email": "$ann", "password": "x-ann$number-x"},
        refuses=weak("pwned", "Password should not contain your name, your address or the name of this service."),
    ),
    Row(
        "a password has at most 1 KiB",
        ASK,
        {"email": "$ann", "password": "x" * 1025},
        refuses=(400, "validation_failed", "Password cannot be longer than 1024 bytes"),
    ),
    Row("an address has its form", ASK, ANN | {"email": "ann"}, refuses=INVALID_ADDRESS),
    Row("and at most 254 characters", ASK, ANN | {"email": f"{'a' * 250}@b.org"}, refuses=INVALID_ADDRESS),
    Row("and no second line", ASK, ANN | {"email": "a@b.org\r\nBcc: c@b.org"}, refuses=INVALID_ADDRESS),
    Row(
        "a challenge has two parts",
        ASK,
        ANN | {"code_challenge": "c" * 43},
        refuses=(400, "validation_failed", PAIR),
    ),
    Row(
        "a challenge is long enough",
        ASK,
        ANN | CHALLENGE | {"code_challenge": "short"},
        refuses=(400, "validation_failed", "code challenge has to be between 43 and 128 URL-safe characters"),
    ),
    Row(
        "a challenge has a method that is known",
        ASK,
        ANN | CHALLENGE | {"code_challenge_method": "md5"},
        refuses=(400, "validation_failed", "Invalid code challenge method"),
    ),
    Row(
        "a link leads to allowed addresses only; in development that is said",
        f"{ASK}?redirect_to=https://evil.example",
        ANN,
        refuses=(
            400,
            "validation_failed",
            "redirect_to https://evil.example is not in the allow list; add it to PORTERO_REDIRECT_URLS",
        ),
    ),
    Row("a text is a text", ASK, ANN | {"email": 5}, refuses=(400, "bad_json", BAD_JSON + "email must be a string")),
    Row(
        "an object is an object", ASK, ANN | {"data": 1}, refuses=(400, "bad_json", BAD_JSON + "data must be an object")
    ),
    Row("a body is needed", ASK, b"", refuses=(400, "bad_json", BAD_JSON + "the body is empty")),
    Row("a body is an object", ASK, [], refuses=(400, "bad_json", BAD_JSON + "an object is wanted")),
    Row("a body is not large", ASK, b"x" * 20_000, refuses=(413, "request_entity_too_large", "Request body too large")),
    Row(
        "a body is not packed",
        ASK,
        b"{}",
        headers={"Content-Encoding": "gzip"},
        refuses=(415, "validation_failed", "Content-Encoding is not supported"),
    ),
    Row(
        "twenty a minute from one address",
        ASK,
        ANN,
        given=twenty_before,
        refuses=(429, "over_request_rate_limit", WAIT),
    ),
    Row(
        "a hook may refuse",
        ASK,
        {"email": "refused-$ann", "password": PASSWORD},
        world="hooked",
        refuses=(422, "unknown", "Colleagues only"),
    ),
    Row(
        "a hook that fails afterwards fails the request",
        ASK,
        {"email": "broken-$ann", "password": PASSWORD},
        world="hooked",
        refuses=(500, "unexpected_failure", "Unexpected failure, please check server logs for more information"),
        events="user_created signed_in",
    ),
    Row(
        "a busy machine says when to come back",
        ASK,
        ANN,
        given=all_hashing,
        world="busy",
        refuses=(503, "unexpected_failure", "The server is busy, please try again"),
    ),
)
