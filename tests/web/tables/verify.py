"""`/verify`: a link's page, its button, and what clients spend (auth.md §1.2, §4.4)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from tests.web.administering import Admin
from tests.web.callers import now
from tests.web.scenarios import (
    AN_INSTANT,
    ANY,
    BAD_CODE,
    BAD_JSON,
    BAD_LINK,
    LONG_AGO,
    SITE,
    WAIT,
    Like,
    Row,
    Scene,
    Values,
    mailed,
    proven,
    session,
    user,
    waiting,
)
from tests.web.test_mailed_links import S256

ASK = "POST /verify"
CODE = {"type": "signup", "email": "$ann", "token": "$code"}
HASH = {"type": "signup", "token_hash": "$hash"}
CHANGE = {"type": "email_change", "token_hash": "$hash"}
LINK = {"type": "signup", "token": "$hash", "redirect_to": f"{SITE}/in?x=1"}
NO_CODE, NO_LINK = (403, "otp_expired", BAD_CODE), (403, "otp_expired", BAD_LINK)
CONFIRMED = session(user(confirmation_sent_at=AN_INSTANT, identities=ANY))
HALF = "Confirmation link accepted. Please proceed to confirm link sent to the other email"
TOKENS = dict.fromkeys(("access_token", "expires_at", "expires_in", "refresh_token"), ANY) | {"token_type": "bearer"}
EXPIRED = {"error": "access_denied", "error_code": "otp_expired", "error_description": BAD_LINK}


def spent(scene: Scene) -> Values:
    found = waiting(scene)
    scene.made(ASK, {"type": "signup", "token_hash": found["hash"]})
    return found


def over(scene: Scene) -> Values:
    found = waiting(scene)
    scene.sql("one_time_tokens", expires_at=LONG_AGO, code_expires_at=LONG_AGO)
    return found


def five_wrong(scene: Scene) -> Values:
    found = waiting(scene)
    for _ in range(5):
        scene.call(ASK, {"type": "signup", "email": scene.ann, "token": found["wrong"]})
    return found


def twenty_wrong(scene: Scene) -> Values:
    found = waiting(scene)
    for _ in range(20):
        scene.call(ASK, {"type": "signup", "email": scene.ann, "token": found["wrong"]})
    return found


def thirty_before(scene: Scene) -> Values:
    found = waiting(scene)
    for number in range(30):
        scene.call(ASK, {"type": "signup", "token_hash": f"{number:056x}"})
    return found


def banned(scene: Scene) -> Values:
    found = waiting(scene)
    scene.sql("users", banned_until=now() + timedelta(hours=1))
    return found


def asking(ask: str, kind: str, **more: str):  # type: ignore[no-untyped-def]
    """Ann has proven her address, and asks for a mail."""

    def given(scene: Scene) -> Values:
        found = proven(scene)
        scene.made(ask, {"email": scene.ann, **more})
        return {**found, **mailed(scene, scene.ann), "type": kind}

    return given


def with_challenge(scene: Scene) -> Values:
    found = proven(scene)
    scene.made("POST /recover", {"email": scene.ann, **S256})
    return {**found, **mailed(scene, scene.ann)}


def another_signed_up(scene: Scene) -> Values:
    """Somebody else has signed up with Ann's address; she asks for a code."""
    waiting(scene)
    scene.made("POST /otp", {"email": scene.ann})
    return mailed(scene, scene.ann)


def invited(scene: Scene) -> Values:
    Admin(scene.api).call("POST", "/invite", {"email": scene.ann})
    return mailed(scene, scene.ann)


def wishing(scene: Scene) -> Values:
    found = proven(scene)
    scene.made("PUT /user", {"email": scene.bob}, token=found["token"])
    return {**found, **mailed(scene, scene.ann)}


def half_done(scene: Scene) -> Values:
    wishing(scene)
    scene.made(ASK, {"type": "email_change", "token_hash": mailed(scene, scene.ann)["hash"]})
    return mailed(scene, scene.bob)


def taken_meanwhile(scene: Scene) -> Values:
    found = half_done(scene)
    Admin(scene.api).create(scene.bob)
    return found


def invalid(sentence: str, message: str, **body: Any) -> Row:
    return Row(sentence, ASK, body, refuses=(400, "validation_failed", message))


ONE = "Only an email address or phone number should be provided on verify"
HASH_ALONE = "Only the token_hash and type should be provided"
EITHER = "Verify requires either a token or a token hash"

BY_CLIENTS = (
    Row(
        "a code proves the address and signs in",
        ASK,
        CODE,
        given=waiting,
        world="proving",
        gives=(200, CONFIRMED),
        events="email_confirmed signed_in",
    ),
    Row(
        "the link's token does too",
        ASK,
        HASH,
        given=waiting,
        world="proving",
        gives=(200, CONFIRMED),
        events="email_confirmed signed_in",
    ),
    Row(
        "a recovery's code signs in",
        ASK,
        CODE | {"type": "recovery"},
        given=asking("POST /recover", "recovery"),
        world="proving",
        gives=(200, session()),
        events="signed_in",
    ),
    Row(
        "a magic link's token signs in",
        ASK,
        HASH | {"type": "magiclink"},
        given=asking("POST /otp", "magiclink"),
        world="proving",
        gives=(200, session()),
        events="signed_in",
    ),
    Row(
        "an invitation does",
        ASK,
        HASH | {"type": "invite"},
        given=invited,
        world="proving",
        gives=(200, session()),
        events="email_confirmed signed_in",
    ),
    Row(
        "the first proof removes what somebody else put there",
        ASK,
        CODE | {"type": "email"},
        given=another_signed_up,
        world="proving",
        gives=(200, session()),
        events="credentials_removed email_confirmed signed_in",
    ),
    Row(
        "one half of an address change says so",
        ASK,
        CHANGE,
        given=wishing,
        world="proving",
        gives=(200, {"msg": HALF, "code": "200"}),
    ),
    Row(
        "the other half changes it",
        ASK,
        {"type": "email_change", "email": "$bob", "token": "$code"},
        given=half_done,
        world="proving",
        gives=(200, session()),
        events="email_changed signed_in",
        mails=["email_changed_notification to $ann"],
    ),
    Row(
        "unless it was taken meanwhile",
        ASK,
        CHANGE,
        given=taken_meanwhile,
        world="proving",
        refuses=(422, "email_exists", "A user with this email address has already been registered"),
    ),
    Row(
        "a wrong code",
        ASK,
        CODE | {"token": "$wrong"},
        given=waiting,
        world="proving",
        refuses=NO_CODE,
        events="link_refused",
    ),
    Row(
        "a code of another kind",
        ASK,
        CODE | {"type": "recovery"},
        given=waiting,
        world="proving",
        refuses=NO_CODE,
        events="link_refused",
    ),
    Row(
        "a code of no digits",
        ASK,
        CODE | {"token": "\U0001f600"},
        given=waiting,
        world="proving",
        refuses=NO_CODE,
        events="link_refused",
    ),
    Row("a type is a text", ASK, {"type": 5}, refuses=(400, "bad_json", BAD_JSON + "type must be a string")),
    Row("a code to nobody", ASK, CODE | {"token": "123456"}, refuses=NO_CODE, events="link_refused"),
    Row("a code that is spent", ASK, CODE, given=spent, world="proving", refuses=NO_CODE, events="link_refused"),
    Row("a token that is spent", ASK, HASH, given=spent, world="proving", refuses=NO_LINK, events="link_refused"),
    Row("a code that is over", ASK, CODE, given=over, world="proving", refuses=NO_CODE, events="link_refused"),
    Row("a token that is over", ASK, HASH, given=over, world="proving", refuses=NO_LINK, events="link_refused"),
    Row("a token that never was", ASK, HASH | {"token_hash": "x" * 5000}, refuses=NO_LINK, events="link_refused"),
    Row(
        "after five wrong codes the right one",
        ASK,
        CODE,
        given=five_wrong,
        world="proving",
        refuses=NO_CODE,
        events="link_refused",
    ),
    Row(
        "after five wrong codes the link is good all the same",
        ASK,
        HASH,
        given=five_wrong,
        world="proving",
        gives=(200, CONFIRMED),
        events="email_confirmed signed_in",
    ),
    Row(
        "twenty codes an hour of one address",
        ASK,
        CODE,
        given=twenty_wrong,
        world="proving",
        refuses=(429, "over_request_rate_limit", WAIT),
    ),
    Row(
        "thirty tries a minute from one address",
        ASK,
        HASH,
        given=thirty_before,
        world="proving",
        refuses=(429, "over_request_rate_limit", WAIT),
    ),
    Row(
        "of somebody who is banned",
        ASK,
        HASH,
        given=banned,
        world="proving",
        refuses=(403, "user_banned", "User is banned"),
    ),
    invalid("a type is needed", "Verify requires a verification type"),
    invalid("a token is needed", EITHER, type="signup"),
    invalid("one token", EITHER, type="signup", token="1", token_hash="a", email="$ann"),
    invalid("an address is needed", ONE, type="signup", token="123456"),
    invalid("one address", ONE, type="signup", token="123456", email="$ann", phone="15550100"),
    invalid("a hash stands alone", HASH_ALONE, type="signup", token_hash="a", email="$ann"),
    invalid("a hash leads nowhere", HASH_ALONE, type="signup", token_hash="a", redirect_to=SITE),
    invalid("an unknown type", "Invalid email verification type", type="x", token="123456", email="$ann"),
    invalid(
        "a number's type for an address", "Invalid email verification type", type="sms", token="123456", email="$ann"
    ),
    invalid(
        "an address's type for a number", "Invalid sms verification type", type="signup", token="1", phone="15550100"
    ),
    Row("a number has no code", ASK, {"type": "sms", "token": "123456", "phone": "15550100"}, refuses=NO_CODE),
    Row(
        "an address has its form",
        ASK,
        CODE | {"token": "1", "email": "ann"},
        refuses=(422, "validation_failed", "Invalid email format"),
    ),
)

IN_BROWSERS = (
    Row("a link shows a page", "GET /verify?token=$hash&type=signup", given=waiting, world="proving", gives=(200, ANY)),
    Row(
        "a link has a token",
        "GET /verify?type=signup",
        refuses=(400, "validation_failed", "Verify requires a token or a token hash"),
    ),
    Row(
        "a link has a type",
        "GET /verify?token=a",
        refuses=(400, "validation_failed", "Verify requires a verification type"),
    ),
    Row(
        "its button signs in",
        ASK,
        form=LINK,
        given=waiting,
        world="proving",
        leads=(f"{SITE}/in?x=1", TOKENS | {"type": "signup"}),
        events="email_confirmed signed_in",
    ),
    Row(
        "a PKCE flow goes on with a code",
        ASK,
        form=LINK | {"type": "recovery"},
        given=with_challenge,
        world="proving",
        leads=(Like(re.compile(rf"{SITE}/in\?x=1&code=[0-9a-f-]{{36}}")), None),
    ),
    Row(
        "one half of a change says so",
        ASK,
        form=LINK | {"type": "email_change"},
        given=wishing,
        world="proving",
        leads=(f"{SITE}/in?x=1", {"message": HALF}),
    ),
    Row(
        "a spent one says so",
        ASK,
        form=LINK,
        given=spent,
        world="proving",
        leads=(f"{SITE}/in?x=1", EXPIRED),
        events="link_refused",
    ),
    Row(
        "another site's form does not sign its visitor in",
        ASK,
        form=LINK,
        given=waiting,
        world="proving",
        headers={"Sec-Fetch-Site": "cross-site"},
        refuses=(403, "validation_failed", "This form is posted from its own page only"),
    ),
)

TABLE = (*BY_CLIENTS, *IN_BROWSERS)
