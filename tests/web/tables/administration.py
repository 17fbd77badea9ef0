"""`/admin/…` and `/invite`: every answer to an administrator (auth.md §6)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from tests.identity.people import PASSWORD
from tests.web.administering import Admin
from tests.web.scenarios import (
    AN_ID,
    AN_INSTANT,
    ANY,
    BAD_JSON,
    INVALID_ADDRESS,
    LONG_AGO,
    OTHER,
    Row,
    Scene,
    Values,
    ann,
    facts,
    pending_user,
    weak,
)
from tests.web.tables import factors
from tests.web.test_admin_users import made_of

from portero import User

NOTES = sa.Table("scenario_notes", sa.MetaData(), sa.Column("owner_id", sa.ForeignKey(User.id)))
STRANGER = str(UUID(int=1))
USERS, LINK, INVITE = "/admin/users", "POST /admin/generate_link", "POST /invite"
NO_MAIL = (404, "validation_failed", "There is no such mail that waits or failed and is worth sending")
NO_USER = (404, "user_not_found", "User not found")
TAKEN = (422, "email_exists", "A user with this email address has already been registered")
MADE = made_of("$ann", AN_ID)  # type: ignore[arg-type]
UNPROVEN = made_of("$ann", AN_ID, confirmed=False)  # type: ignore[arg-type]
ROLE = (400, "validation_failed", "A role is made of letters, digits and _")
PAGE = "Bad Pagination Parameters: page starts at 1, per_page is 1 to 1000"
MADE_LINK = dict.fromkeys(("action_link", "hashed_token", "redirect_to"), ANY) | {"email_otp": ANY}


def key(scene: Scene) -> Values:
    return {"key": Admin(scene.api).key}


def made(scene: Scene) -> Values:
    """An administrator has made Ann."""
    admin = Admin(scene.api)
    return {"key": admin.key, "id": admin.create(scene.ann, password=PASSWORD)["id"]}


def with_bob(scene: Scene) -> Values:
    Admin(scene.api).create(scene.bob, phone=f"3460{scene.number:07d}")
    return {**made(scene), "phone": f"3460{scene.number:07d}"}


def with_mail(scene: Scene) -> Values:
    """Ann waits for a mail."""
    found = made(scene)
    scene.made("POST /recover", {"email": scene.ann})
    return {**found, "mail": scene.newest_mail_id}


def signed_in(scene: Scene) -> Values:
    """Ann is signed in; `session` is the id of her session."""
    found = ann(scene)
    (listed,) = scene.made("GET /user/sessions", token=found["token"])
    return {**key(scene), **found, "session": listed["id"]}


def with_factor(scene: Scene) -> Values:
    return {**key(scene), **factors.verified(scene)}


def owning(scene: Scene) -> Values:
    """A row of the application refers to Ann."""
    found = made(scene)
    with scene.api.context.database.writing() as connection:
        NOTES.create(connection, checkfirst=True)
        connection.execute(NOTES.insert().values(owner_id=UUID(found["id"])))
    return found


def administrator(**sessions: Any):  # type: ignore[no-untyped-def]
    """Ann administers users by her own token."""

    def given(scene: Scene) -> Values:
        admin = Admin(scene.api)
        admin.create(scene.ann, password=PASSWORD, role="service_role")
        found = scene.made("POST /token?grant_type=password", {"email": scene.ann, "password": PASSWORD})
        if sessions:
            scene.sql("sessions", **sessions)
        return {"token": found["access_token"]}

    return given


def low_administrator(scene: Scene) -> Values:
    factors.verified(scene)
    scene.sql("users", role="service_role")
    return {
        "token": scene.made("POST /token?grant_type=password", {"email": scene.ann, "password": PASSWORD})[
            "access_token"
        ]
    }


def row(sentence: str, ask: str, body: Any = None, **more: Any) -> Row:
    return Row(sentence, ask, body, **{"given": made, "who": "key", **more})


def creating(sentence: str, body: dict[str, Any], **more: Any) -> Row:
    return row(sentence, f"POST {USERS}", body, **{"given": key, **more})


def changing(sentence: str, body: dict[str, Any], **more: Any) -> Row:
    return row(sentence, f"PUT {USERS}/$id", body, **more)


CREATING = (
    creating(
        "a user is made, and nothing is mailed",
        {"email": "$ann", "email_confirm": True},
        gives=(200, MADE),
        events="user_created",
    ),
    creating(
        "not confirmed unless it is said",
        {"email": "$ann", "password": "short"},
        gives=(200, UNPROVEN),
        events="user_created",
    ),
    creating(
        "no name at all",
        {},
        refuses=(400, "validation_failed", "Cannot create a user without either an email or phone"),
    ),
    creating("an address has its form", {"email": "ann"}, refuses=INVALID_ADDRESS),
    creating(
        "a number too",
        {"phone": "x"},
        refuses=(400, "validation_failed", "Invalid phone number format (E.164 required)"),
    ),
    creating("an address that is taken", {"email": "$bob"}, given=with_bob, refuses=TAKEN),
    creating(
        "a number that is taken",
        {"phone": "$phone"},
        given=with_bob,
        refuses=(422, "phone_exists", "Phone number already registered by another user"),
    ),
    creating(
        "an id that is taken",
        {"email": "x-$ann", "id": "$id"},
        given=made,
        refuses=(422, "user_already_exists", "A user with this user name or id exists already"),
    ),
    creating(
        "an id has its form",
        {"email": "$ann", "id": "7"},
        refuses=(400, "validation_failed", "ID must conform to the uuid v4 format"),
    ),
    creating(
        "an id is one",
        {"email": "$ann", "id": str(UUID(int=0))},
        refuses=(400, "validation_failed", "ID cannot be a nil uuid"),
    ),
    creating("a role has its form", {"email": "$ann", "role": "a b"}, refuses=ROLE),
    creating(
        "a password or a hash",
        {"email": "$ann", "password": "x", "password_hash": "y"},
        refuses=(400, "validation_failed", "Only a password or a password hash should be provided"),
    ),
    creating(
        "a hash that is known",
        {"email": "$ann", "password_hash": "$$fbscrypt$$v=1"},
        refuses=(400, "validation_failed", "The password hash is not one of argon2 or bcrypt"),
    ),
    creating(
        "a password has at most 1 KiB",
        {"email": "$ann", "password": "x" * 1025},
        refuses=(400, "validation_failed", "Password cannot be longer than 1024 bytes"),
    ),
    creating(
        "a ban has its form",
        {"email": "$ann", "ban_duration": "soon"},
        refuses=(400, "validation_failed", "invalid format for ban duration: 'soon'"),
    ),
    creating(
        "a ban is one",
        {"email": "$ann", "ban_duration": "0s"},
        refuses=(400, "validation_failed", "invalid format for ban duration: '0s'"),
    ),
    creating(
        "a ban begins now",
        {"email": "$ann", "ban_duration": "-1h"},
        refuses=(400, "validation_failed", "invalid format for ban duration: '-1h'"),
    ),
    creating(
        "a truth is one",
        {"email": "$ann", "email_confirm": "yes"},
        refuses=(400, "bad_json", BAD_JSON + "email_confirm must be true or false"),
    ),
    creating(
        "an object is one",
        {"email": "$ann", "app_metadata": [1]},
        refuses=(400, "bad_json", BAD_JSON + "app_metadata must be an object"),
    ),
    creating("a text is a text", {"email": 5}, refuses=(400, "bad_json", BAD_JSON + "email must be a string")),
    creating(
        "a hook may refuse",
        {"email": "refused-$ann"},
        world="hooked",
        refuses=(422, "unknown", "Colleagues only"),
    ),
)

LOOKING = (
    row("users are listed", f"GET {USERS}?email=$ann", gives=(200, {"users": [MADE], "aud": "authenticated"})),
    row("in pages from one", f"GET {USERS}?page=0", refuses=(400, "validation_failed", PAGE)),
    row("of one user at least", f"GET {USERS}?per_page=0", refuses=(400, "validation_failed", PAGE)),
    row(
        "by numbers",
        f"GET {USERS}?page=x",
        refuses=(400, "validation_failed", "Bad Pagination Parameters: page is no number"),
    ),
    row(
        "by the time they were made",
        f"GET {USERS}?sort=email",
        refuses=(400, "validation_failed", "Bad Sort Parameters: users are sorted by created_at asc or desc"),
    ),
    row(
        "by what a database holds",
        f"GET {USERS}?filter=%00",
        refuses=(400, "validation_failed", "A text of the query holds a NUL character"),
    ),
    row("one user", f"GET {USERS}/$id", gives=(200, MADE)),
    row("nobody", f"GET {USERS}/{STRANGER}", refuses=NO_USER),
    row("no id", f"GET {USERS}/7", refuses=(404, "validation_failed", "user_id must be an UUID")),
    row("a user's factors", f"GET {USERS}/$id/factors", gives=(200, [])),
    row("a user's sessions", f"GET {USERS}/$id/sessions", given=signed_in, gives=(200, [ANY])),
    row("what happened to a user", "GET /admin/audit?query=author:$id", gives=(200, [ANY])),
    row("what became of mails", "GET /admin/mails?state=waiting", gives=(200, {"mails": ANY, "counts": ANY})),
    row(
        "in a state there is",
        "GET /admin/mails?state=lost",
        refuses=(400, "validation_failed", "state is one of waiting, failed, sent"),
    ),
    row("a mail once more", "POST /admin/mails/$mail/retry", given=with_mail, gives=(200, {})),
    row("but no mail that is not there", f"POST /admin/mails/{STRANGER}/retry", refuses=NO_MAIL),
    row(
        "a query that is understood",
        "GET /admin/audit?query=x",
        refuses=(400, "validation_failed", "Invalid query: author:<id or address> and action:<name> are understood"),
    ),
)

CHANGING = (
    changing(
        "metadata is merged",
        {"user_metadata": {"colour": "red"}},
        gives=(200, MADE | {"user_metadata": {"colour": "red", "email_verified": True}}),
        events="user_updated",
    ),
    changing(
        "an address changes at once, and the former one is told",
        {"email": "x-$ann"},
        gives=(200, ANY),
        events="email_changed",
        mails=["email_changed_notification to $ann"],
    ),
    changing(
        "a password signs out everywhere",
        {"password": OTHER},
        given=signed_in,
        gives=(200, ANY),
        events="password_changed session_ended",
        mails=["password_changed_notification to $ann"],
    ),
    changing("a role too", {"role": "editor"}, given=signed_in, gives=(200, ANY), events="role_changed session_ended"),
    changing(
        "a ban too", {"ban_duration": "24h"}, given=signed_in, gives=(200, ANY), events="session_ended user_banned"
    ),
    changing(
        "a weak password", {"password": "k7-Zq1"}, refuses=weak("length", "Password should be at least 8 characters.")
    ),
    changing("an address that is taken", {"email": "$bob"}, given=with_bob, refuses=TAKEN),
    changing(
        "a number that is taken",
        {"phone": "$phone"},
        given=with_bob,
        refuses=(422, "phone_exists", "Phone number already registered by another user"),
    ),
    changing("a role has its form", {"role": "a b"}, refuses=ROLE),
    row("nobody", f"PUT {USERS}/{STRANGER}", {}, refuses=NO_USER),
)

ENDING = (
    row("a user is deleted", f"DELETE {USERS}/$id", gives=(200, {}), events="user_deleted"),
    row(
        "with the sessions",
        f"DELETE {USERS}/$id",
        given=signed_in,
        gives=(200, {}),
        events="session_ended user_deleted",
    ),
    row("or only emptied", f"DELETE {USERS}/$id", {"should_soft_delete": True}, gives=(200, {}), events="user_deleted"),
    row(
        "not while rows of the application refer to them",
        f"DELETE {USERS}/$id",
        given=owning,
        refuses=(409, "conflict", "Rows of the application refer to this user"),
    ),
    row("nobody", f"DELETE {USERS}/{STRANGER}", refuses=NO_USER),
    row(
        "all sessions of a user end",
        f"DELETE {USERS}/$id/sessions",
        given=signed_in,
        gives=(200, {}),
        events="session_ended",
    ),
    row("or one", f"DELETE {USERS}/$id/sessions/$session", given=signed_in, gives=(200, {}), events="session_ended"),
    row(
        "of theirs",
        f"DELETE {USERS}/$id/sessions/{STRANGER}",
        given=signed_in,
        refuses=(404, "session_not_found", "Session not found"),
    ),
    row(
        "a factor gets another name",
        f"PUT {USERS}/$id/factors/$factor",
        {"friendly_name": "the old phone", "phone": "3460000"},
        given=with_factor,
        gives=(200, ANY),
        events="user_updated",
    ),
    row(
        "and nothing else",
        f"PUT {USERS}/$id/factors/$factor",
        {"phone": "3460000"},
        given=with_factor,
        refuses=(400, "validation_failed", "friendly_name is what can be changed"),
    ),
    row(
        "of theirs",
        f"PUT {USERS}/$id/factors/{STRANGER}",
        {"friendly_name": "x"},
        refuses=(404, "mfa_factor_not_found", "Factor not found"),
    ),
    row(
        "a factor is removed",
        f"DELETE {USERS}/$id/factors/$factor",
        given=with_factor,
        gives=(200, ANY),
        events="factor_removed",
        mails=["mfa_factor_unenrolled_notification to $ann"],
    ),
    row(
        "of theirs", f"DELETE {USERS}/$id/factors/{STRANGER}", refuses=(404, "mfa_factor_not_found", "Factor not found")
    ),
)

INVITED = pending_user(user_metadata={"team": 7, **facts(verified=False)}, invited_at=AN_INSTANT)
CHANGE = {"type": "email_change_current", "email": "$ann"}
LINKS = (
    row(
        "somebody is invited",
        INVITE,
        {"email": "$ann", "data": {"team": 7}},
        given=key,
        gives=(200, INVITED),
        events="mail_requested user_created",
        mails=["invite to $ann"],
    ),
    row("not who is here", INVITE, {"email": "$ann"}, refuses=TAKEN),
    row("an address has its form", INVITE, {"email": "ann"}, refuses=INVALID_ADDRESS),
    row(
        "nor where no mail can be sent",
        INVITE,
        {"email": "$ann"},
        given=key,
        world="mute",
        refuses=(422, "email_provider_disabled", "Email logins are disabled: no mail server is configured"),
    ),
    row(
        "a link is handed over, and nothing is mailed",
        LINK,
        {"type": "recovery", "email": "$ann"},
        gives=(200, MADE | MADE_LINK | {"verification_type": "recovery", "recovery_sent_at": AN_INSTANT}),
        events="link_generated",
    ),
    row(
        "that of somebody new makes them",
        LINK,
        {"type": "magiclink", "email": "$ann"},
        given=key,
        gives=(200, pending_user() | MADE_LINK | {"verification_type": "signup"}),
        events="link_generated user_created",
    ),
    row(
        "of a kind",
        LINK,
        {"type": "x", "email": "$ann"},
        refuses=(400, "validation_failed", "Invalid email action link type requested: 'x'"),
    ),
    row(
        "to an address", LINK, {"type": "magiclink"}, refuses=(400, "validation_failed", "An email address is required")
    ),
    row(
        "with a password where it signs up",
        LINK,
        {"type": "signup", "email": "$bob"},
        refuses=(400, "validation_failed", "Signup requires a valid password"),
    ),
    row(
        "with one that is not weak",
        LINK,
        {"type": "signup", "email": "$bob", "password": "password1"},
        refuses=weak("pwned", "Password is known to be weak and easy to guess, please choose a different one."),
    ),
    row("to an address that has its form", LINK, {"type": "magiclink", "email": "bob"}, refuses=INVALID_ADDRESS),
    row("not to invite who is here", LINK, {"type": "invite", "email": "$ann"}, refuses=TAKEN),
    row("nor for a new address that is taken", LINK, CHANGE | {"new_email": "$ann"}, refuses=TAKEN),
    row("nor for a new address that is none", LINK, CHANGE, refuses=INVALID_ADDRESS),
    row(
        "nor for nobody's new address",
        LINK,
        {"type": "email_change_new", "email": "$bob", "new_email": "x-$bob"},
        refuses=(404, "user_not_found", "User with this email not found"),
    ),
    row(
        "not for nobody",
        LINK,
        {"type": "recovery", "email": "$bob"},
        refuses=(404, "user_not_found", "User with this email not found"),
    ),
    row("nor to sign up who is here", LINK, {"type": "signup", "email": "$ann", "password": OTHER}, refuses=TAKEN),
)

BY_TOKEN = (
    Row(
        "a user with an administrator's role passes",
        f"GET {USERS}?email=$ann",
        given=administrator(),
        who="token",
        gives=(200, ANY),
    ),
    Row(
        "not in a session that is over",
        f"GET {USERS}",
        given=administrator(created_at=LONG_AGO),
        who="token",
        refuses=(403, "session_expired", "Session is no longer valid"),
    ),
    Row(
        "nor without the second factor they have",
        f"GET {USERS}",
        given=low_administrator,
        who="token",
        refuses=(403, "insufficient_aal", "AAL2 session is required to administer users when MFA is enabled."),
    ),
)

TABLE = (*CREATING, *LOOKING, *CHANGING, *ENDING, *LINKS, *BY_TOKEN)
