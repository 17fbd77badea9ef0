"""`POST /otp`, `/magiclink`, `/recover`, `/resend`: what is mailed, and what is said (auth.md §1.2)."""

from __future__ import annotations

from tests.web.scenarios import BAD_JSON, INVALID_ADDRESS, TOO_SOON, WAIT, Row, Scene, Values, proven, waiting

OTP, RECOVER, RESEND = "POST /otp", "POST /recover", "POST /resend"
ANN = {"email": "$ann"}
SIGN_UP, CHANGE = {"type": "signup", "email": "$ann"}, {"type": "email_change", "email": "$ann"}
MUTE = "Email logins are disabled: no mail server is configured"
NO_SIGN_UP = (422, "otp_disabled", "Signups not allowed for otp")
TOO_MANY = (429, "over_request_rate_limit", WAIT)
BOTH = (400, "validation_failed", "Only an email address or phone number should be provided.")
TYPES = "Missing one of these types: signup, email_change, sms, phone_change"


def waiting_a_minute(scene: Scene) -> Values:
    found = waiting(scene)
    scene.later()
    return found


def wishing(scene: Scene) -> Values:
    """Ann wants another address, and both have a mail."""
    found = proven(scene)
    scene.made("PUT /user", {"email": scene.bob}, token=found["token"])
    scene.later()
    return found


def asked(ask: str, **body: str):  # type: ignore[no-untyped-def]
    def given(scene: Scene) -> Values:
        found = proven(scene)
        scene.made(ask, {"email": scene.ann, **body})
        return found

    return given


def asked_twenty_times(ask: str, **body: str):  # type: ignore[no-untyped-def]
    def given(scene: Scene) -> Values:
        for number in range(20):
            scene.made(ask, {"email": f"{number}-{scene.bob}", **body})
        return {}

    return given


def phones(ask: str, message: str, **body: str) -> Row:
    return Row("numbers are off", ask, {"phone": "15550100", **body}, refuses=(400, "phone_provider_disabled", message))


OF_OTP = (
    Row(
        "a known address gets a magic link",
        OTP,
        ANN,
        given=proven,
        world="proving",
        gives=(200, {}),
        events="mail_requested",
        mails=["magic_link to $ann"],
    ),
    Row(
        "by the older name too",
        "POST /magiclink",
        ANN | {"create_user": False},
        given=proven,
        world="proving",
        gives=(200, {}),
        events="mail_requested",
        mails=["magic_link to $ann"],
    ),
    Row(
        "a new one is signed up and gets a confirmation",
        OTP,
        ANN,
        world="proving",
        gives=(200, {}),
        events="user_created mail_requested",
        mails=["confirmation to $ann"],
    ),
    Row(
        "where sign-ups confirm themselves, a magic link",
        OTP,
        ANN,
        gives=(200, {}),
        events="user_created mail_requested",
        mails=["magic_link to $ann"],
    ),
    Row(
        "one that waits gets a confirmation",
        OTP,
        ANN,
        given=waiting,
        world="proving",
        gives=(200, {}),
        events="mail_requested",
        mails=["confirmation to $ann"],
    ),
    Row("nobody is made who is not to be", OTP, ANN | {"create_user": False}, refuses=NO_SIGN_UP),
    Row("no address is nobody's", OTP, {"email": "ann", "create_user": False}, refuses=NO_SIGN_UP),
    Row("where it is wanted, without a word", OTP, ANN | {"create_user": False}, world="silent", gives=(200, {})),
    Row(
        "sign-ups may be off",
        OTP,
        ANN,
        world="closed",
        refuses=(422, "signup_disabled", "Signups not allowed for this instance"),
    ),
    Row("mails may be off", OTP, ANN, world="mute", refuses=(422, "email_provider_disabled", MUTE)),
    phones(OTP, "Unsupported phone provider"),
    Row("an address is needed", OTP, {}, refuses=(400, "validation_failed", "One of email or phone must be set")),
    Row(
        "one address at a time",
        OTP,
        ANN | {"phone": "15550100"},
        refuses=(400, "validation_failed", "One of email or phone must be set"),
    ),
    Row(
        "a channel is for numbers",
        OTP,
        ANN | {"channel": "sms"},
        refuses=(400, "validation_failed", "Channel should only be specified with Phone OTP"),
    ),
    Row(
        "a truth is one",
        OTP,
        ANN | {"create_user": "yes"},
        refuses=(400, "bad_json", BAD_JSON + "create_user must be true or false"),
    ),
    Row(
        "a challenge is long enough",
        OTP,
        ANN | {"code_challenge": "short", "code_challenge_method": "s256"},
        refuses=(400, "validation_failed", "code challenge has to be between 43 and 128 URL-safe characters"),
    ),
    Row("an address has its form", OTP, {"email": "ann"}, refuses=INVALID_ADDRESS),
    Row(
        "one mail a minute",
        OTP,
        ANN,
        given=asked(OTP),
        world="proving",
        refuses=(429, "over_email_send_rate_limit", TOO_SOON),
    ),
    Row("twenty a minute from one address", OTP, ANN, given=asked_twenty_times(OTP), refuses=TOO_MANY),
    Row(
        "a hook may refuse somebody new",
        OTP,
        {"email": "refused-$ann"},
        world="hooked",
        refuses=(422, "unknown", "Colleagues only"),
    ),
)

OF_RECOVER = (
    Row(
        "a known address gets a link",
        RECOVER,
        ANN,
        given=proven,
        world="proving",
        gives=(200, {}),
        events="mail_requested",
        mails=["recovery to $ann"],
    ),
    Row("a stranger is told the same and gets none", RECOVER, ANN, gives=(200, {})),
    Row("within the minute nobody gets one", RECOVER, ANN, given=asked(RECOVER), world="proving", gives=(200, {})),
    Row("an address is needed", RECOVER, {}, refuses=INVALID_ADDRESS),
    Row("an address has its form", RECOVER, {"email": "ann"}, refuses=INVALID_ADDRESS),
    Row("mails may be off", RECOVER, ANN, world="mute", refuses=(400, "email_provider_disabled", MUTE)),
    Row("twenty a minute from one address", RECOVER, ANN, given=asked_twenty_times(RECOVER), refuses=TOO_MANY),
)

OF_RESEND = (
    Row(
        "what waits is mailed once more",
        RESEND,
        SIGN_UP,
        given=waiting_a_minute,
        world="proving",
        gives=(200, {}),
        events="mail_requested",
        mails=["confirmation to $ann"],
    ),
    Row(
        "both halves of a change are",
        RESEND,
        CHANGE,
        given=wishing,
        world="proving",
        gives=(200, {}),
        events="mail_requested",
        mails=["email_change to $ann", "email_change to $bob"],
    ),
    Row("a stranger is told the same and gets none", RESEND, SIGN_UP, gives=(200, {})),
    Row("nothing waits", RESEND, SIGN_UP, given=proven, world="proving", gives=(200, {})),
    Row("nothing is wished", RESEND, CHANGE, given=proven, world="proving", gives=(200, {})),
    Row(
        "within the minute nobody gets one",
        RESEND,
        SIGN_UP,
        given=asked(RESEND, type="signup"),
        world="proving",
        gives=(200, {}),
    ),
    Row("what is to be sent is said", RESEND, ANN, refuses=(400, "validation_failed", TYPES)),
    Row(
        "a recovery is asked for elsewhere",
        RESEND,
        ANN | {"type": "recovery"},
        refuses=(400, "validation_failed", TYPES),
    ),
    Row(
        "an address is needed",
        RESEND,
        {"type": "signup"},
        refuses=(400, "validation_failed", "Missing email address or phone number"),
    ),
    Row("one address at a time", RESEND, SIGN_UP | {"phone": "15550100"}, refuses=BOTH),
    Row(
        "of the kind that it goes to",
        RESEND,
        {"type": "signup", "phone": "15550100"},
        refuses=(400, "validation_failed", "Type provided requires an email address"),
    ),
    Row(
        "of the other kind",
        RESEND,
        ANN | {"type": "sms"},
        refuses=(400, "validation_failed", "Type provided requires a phone number"),
    ),
    phones(RESEND, "Phone signups are disabled", type="sms"),
    Row("an address has its form", RESEND, {"type": "signup", "email": "ann"}, refuses=INVALID_ADDRESS),
    Row("mails may be off", RESEND, SIGN_UP, world="mute", refuses=(400, "email_provider_disabled", MUTE)),
    Row(
        "twenty a minute from one address",
        RESEND,
        SIGN_UP,
        given=asked_twenty_times(RESEND, type="signup"),
        refuses=TOO_MANY,
    ),
)

TABLE = (*OF_OTP, *OF_RECOVER, *OF_RESEND)
