"""Every method of `auth.admin` in supabase-py, a program of its own; `administration.mjs` is the same in JavaScript.

Environment: BASE, KEY (a secret key), PUBLIC (a publishable one). Prints `ok <step>` for each step that holds; the
first that does not ends it with status 1.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from typing import Any

import pyotp
from supabase import Client, ClientOptions, create_client
from supabase_auth.errors import AuthApiError

PASSWORD = "a-long-enough-passphrase"
RUN = secrets.token_hex(4)
BASE, KEY, PUBLIC = (os.environ.get(name, "") for name in ("BASE", "KEY", "PUBLIC"))


def client(key: str) -> Client:
    """Make a client that keeps nothing."""
    return create_client(BASE, key, ClientOptions(persist_session=False, auto_refresh_token=False))


def address(name: str) -> str:
    """Give an address of this run."""
    return f"{name}-{RUN}@example.com"


ADMIN: Any = None
IDS: dict[str, str] = {}


def users_are_created() -> None:
    for name in ("ada", "bea", "cem"):
        given = {"email": address(name), "password": PASSWORD, "email_confirm": True, "user_metadata": {"name": name}}
        made = ADMIN.create_user(given).user
        IDS[name] = made.id
        assert (address(name), {"name": name, "email_verified": True}) == (made.email, made.user_metadata)


def a_taken_address_is_refused() -> None:
    assert "email_exists" == refusal(lambda: ADMIN.create_user({"email": address("ada")}))


def users_are_listed_in_pages() -> None:
    first = ADMIN.list_users(page=1, per_page=2)
    assert [IDS["cem"], IDS["bea"]] == [user.id for user in first]
    assert IDS["ada"] in [user.id for user in ADMIN.list_users(page=2, per_page=2)]


def a_user_is_found_by_id() -> None:
    assert address("ada") == ADMIN.get_user_by_id(IDS["ada"]).user.email
    assert "user_not_found" == refusal(lambda: ADMIN.get_user_by_id("6f1c1a4e-0d5e-4e0c-8b7a-2f3b1c9d8e7f"))


def a_user_is_changed() -> None:
    wanted = {"email": address("ada2"), "email_confirm": True, "app_metadata": {"org": 7}, "ban_duration": "24h"}
    changed = ADMIN.update_user_by_id(IDS["ada"], wanted).user
    assert (address("ada2"), 7) == (changed.email, changed.app_metadata["org"])
    assert "user_banned" == refusal(lambda: signed_in("ada2"))
    ADMIN.update_user_by_id(IDS["ada"], {"ban_duration": "none"})
    signed_in("ada2")


def factors_are_listed_and_removed() -> None:
    bea = signed_in("bea")
    factor = bea.auth.mfa.enroll({"factor_type": "totp", "friendly_name": "app"})
    code = pyotp.TOTP(factor.totp.secret).now()
    bea.auth.mfa.challenge_and_verify({"factor_id": factor.id, "code": code})
    listed = ADMIN.mfa.list_factors({"user_id": IDS["bea"]})
    found = [each.id for each in (listed.factors if hasattr(listed, "factors") else listed)]
    assert [factor.id] == found
    assert factor.id == ADMIN.mfa.delete_factor({"user_id": IDS["bea"], "id": factor.id}).id


def links_are_generated() -> None:
    made = ADMIN.generate_link({"type": "signup", "email": address("dan"), "password": PASSWORD})
    proven = verified(made.properties.hashed_token, "signup")
    assert made.user.id == proven
    for kind, name in (("magiclink", "dan"), ("recovery", "dan")):
        made = ADMIN.generate_link({"type": kind, "email": address(name)})
        assert kind == made.properties.verification_type
        assert f"type={kind}" in made.properties.action_link
        assert proven == verified(made.properties.hashed_token, kind)
    invited = ADMIN.generate_link({"type": "invite", "email": address("eli")})
    assert invited.user.id == verified(invited.properties.hashed_token, "invite")
    wanted = {"type": "email_change_new", "email": address("dan"), "new_email": address("dan2")}
    assert 6 == len(ADMIN.generate_link(wanted).properties.email_otp)


def users_are_invited() -> None:
    invited = ADMIN.invite_user_by_email(address("fay"), {"data": {"team": 7}}).user
    assert (address("fay"), 7) == (invited.email, invited.user_metadata["team"])


def users_are_signed_out() -> None:
    cem = signed_in("cem")
    session = cem.auth.get_session()
    ADMIN.sign_out(session.access_token)
    assert "session_not_found" == refusal(lambda: cem.auth.get_user(session.access_token))


def users_are_deleted() -> None:
    ADMIN.delete_user(IDS["bea"])
    ADMIN.delete_user(IDS["cem"], should_soft_delete=True)
    assert "user_not_found" == refusal(lambda: ADMIN.get_user_by_id(IDS["bea"]))
    assert "invalid_credentials" == refusal(lambda: signed_in("cem"))


def a_publishable_key_administers_nobody() -> None:
    assert "not_admin" == refusal(client(PUBLIC).auth.admin.list_users)


def refusal(call: Callable[[], object]) -> str | None:
    """Give the code with which a call is refused."""
    try:
        call()
    except AuthApiError as error:
        return error.code
    raise AssertionError("not refused")


def signed_in(name: str) -> Client:
    """Sign somebody in."""
    made = client(PUBLIC)
    made.auth.sign_in_with_password({"email": address(name), "password": PASSWORD})
    return made


def verified(token_hash: str, kind: str) -> str:
    """Spend a link, and give whose it was."""
    answer = client(PUBLIC).auth.verify_otp({"token_hash": token_hash, "type": kind})
    assert answer.session.access_token
    return str(answer.user.id)


STEPS = {
    "users are created": users_are_created,
    "a taken address is refused": a_taken_address_is_refused,
    "users are listed in pages": users_are_listed_in_pages,
    "a user is found by id": a_user_is_found_by_id,
    "a user is changed": a_user_is_changed,
    "factors are listed and removed": factors_are_listed_and_removed,
    "links are generated": links_are_generated,
    "users are invited": users_are_invited,
    "users are signed out": users_are_signed_out,
    "users are deleted": users_are_deleted,
    "a publishable key administers nobody": a_publishable_key_administers_nobody,
}


def main() -> int:
    """Go the steps in order."""
    globals()["ADMIN"] = client(KEY).auth.admin
    for sentence, step in STEPS.items():
        try:
            step()
        except Exception as error:
            print(f"not ok {sentence}: {type(error).__name__}: {error}", flush=True)
            raise
        print(f"ok {sentence}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
