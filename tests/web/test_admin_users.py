"""`/admin/users` over HTTP: who passes, each answer and each refusal of contract auth.md §6, and what is audited."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import bcrypt
import pytest
from tests.identity.people import PASSWORD
from tests.web.administering import Admin
from tests.web.callers import Api, code_of, now
from tests.web.conftest import Make
from tests.web.test_auth import AN_ID, AN_INSTANT
from tests.web.test_factors import ann_on

from portero.identity import admin as admins

STRANGER = "9d1e5f8c-6a43-4a57-8f7e-0d6b1c2a3e4f"
OTHER = "eight dry stones"


@pytest.fixture
def admin(api: Api) -> Admin:
    return Admin(api)


@pytest.fixture
def any_admin(any_api: Api) -> Admin:
    return Admin(any_api)


def made_of(email: str, user_id: str, *, confirmed: bool = True, **more: Any) -> dict[str, Any]:
    """Return the whole User of somebody an administrator made."""
    data = {"sub": user_id, "email": email, "email_verified": confirmed, "phone_verified": False}
    return {
        "id": user_id,
        "aud": "authenticated",
        "role": "authenticated",
        "email": email,
        "phone": "",
        **({"email_confirmed_at": AN_INSTANT, "confirmed_at": AN_INSTANT} if confirmed else {}),
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {"email_verified": True} if confirmed else {},
        "identities": [
            {
                "identity_id": AN_ID,
                "id": user_id,
                "user_id": user_id,
                "identity_data": data,
                "provider": "email",
                "created_at": AN_INSTANT,
                "updated_at": AN_INSTANT,
                "email": email,
            }
        ],
        "created_at": AN_INSTANT,
        "updated_at": AN_INSTANT,
        "is_anonymous": False,
        **more,
    }


# The gate


def test_nobody_without_an_administrators_key_passes(admin: Admin) -> None:
    """Threats CR-26, CR-27: an ordinary user administers nobody, not even themselves."""
    api, session = admin.api, admin.api.sign_up()
    publishable = api.context.api_keys.create("publishable", "tests", now()).value
    expected = {
        None: (401, "no_authorization"),
        "nonsense": (403, "bad_jwt"),
        "sb_secret_nonsense": (401, "no_authorization"),
        publishable: (403, "not_admin"),
        session["access_token"]: (403, "not_admin"),
    }
    paths = [("GET", "/admin/users"), ("PUT", f"/admin/users/{session['user']['id']}"), ("GET", "/admin/audit")]
    paths.append(("GET", "/admin/metrics"))
    for method, path in paths:
        for token, refusal in expected.items():
            assert refusal == code_of(api.call(method, path, token=token)), (path, token)
    assert session["user"] == api.call("GET", "/user", token=session["access_token"]).get_json()


def test_a_secret_key_passes_as_bearer_and_as_apikey_but_from_no_browser(admin: Admin) -> None:
    api, browser = admin.api, {"User-Agent": "Mozilla/5.0"}
    assert 200 == api.call("GET", "/admin/users", headers={"apikey": admin.key}).status_code
    both = {"apikey": admin.key, "Authorization": f"bearer {admin.key}"}
    assert 200 == api.call("GET", "/admin/users", headers=both).status_code
    assert (401, "no_authorization") == code_of(admin.call("GET", "/admin/users", headers=browser))
    assert (401, "no_authorization") == code_of(api.call("GET", "/admin/users", headers={**both, **browser}))


def test_a_users_own_token_beside_a_secret_key_speaks_for_the_user(admin: Admin) -> None:
    token = admin.api.sign_up()["access_token"]
    answer = admin.api.call("GET", "/admin/users", token=token, headers={"apikey": admin.key})
    assert (403, "not_admin") == code_of(answer)


def test_a_user_with_an_administrators_role_passes_while_the_session_stands(make: Make) -> None:
    api = make(session_time_box=3600)
    admin = Admin(api)
    admin.create(role="service_role", password=PASSWORD)
    token = api.sign_in().get_json()["access_token"]
    assert 200 == api.call("GET", "/admin/users", token=token).status_code
    short = make(session_time_box=0, session_idle=0, session_single=True)
    assert 200 == short.call("GET", "/admin/users", token=token).status_code
    api.call("POST", "/logout", token=token)
    assert (403, "session_not_found") == code_of(api.call("GET", "/admin/users", token=token))


def test_an_administrator_with_a_second_factor_has_to_show_it(make: Make) -> None:
    """Otherwise the password alone would remove the factor here."""
    api = make(throttle_mfa=0)
    ann = ann_on(api).raised()
    user_id = ann.user()["id"]
    assert 200 == Admin(api).call("PUT", f"/admin/users/{user_id}", {"role": "supabase_admin"}).status_code
    again, path = ann.signed_in_again(), f"/admin/users/{user_id}/factors"
    assert (403, "insufficient_aal") == code_of(again.call("DELETE", f"{path}/{ann.factor['id']}"))
    assert [ann.factor["id"]] == [each["id"] for each in again.raised().call("GET", path).get_json()]


# Making


def test_a_made_user_is_answered_whole_and_nothing_is_mailed(any_admin: Admin) -> None:
    given = {"email": "Ann@example.org", "email_confirm": True, "password": "short", "unknown": 1}
    answer = any_admin.call("POST", "/admin/users", given)
    user = answer.get_json()
    assert (200, made_of("ann@example.org", user["id"])) == (answer.status_code, user)
    assert user == any_admin.call("GET", f"/admin/users/{user['id']}").get_json()
    assert ["user_created"] == any_admin.happened
    assert [] == any_admin.api.mails
    assert 200 == any_admin.api.sign_in(password="short").status_code


def test_every_field_of_a_new_user(any_admin: Admin) -> None:
    user_id = str(uuid4())
    given = {
        "id": user_id,
        "email": "ann@example.org",
        "phone": "+34 600000000",
        "phone_confirm": True,
        "role": "editor",
        "aud": "shop",
        "user_metadata": {"colour": "red"},
        "app_metadata": {"org": 7},
        "ban_duration": "1h30m",
        "password": None,
    }
    user = any_admin.call("POST", "/admin/users", given).get_json()
    assert (user_id, "34600000000", "editor", "shop") == (user["id"], user["phone"], user["role"], user["aud"])
    assert {"provider": "email", "providers": ["email", "phone"], "org": 7} == user["app_metadata"]
    assert {"colour": "red"} == user["user_metadata"]
    assert {"phone_confirmed_at", "confirmed_at", "banned_until"} <= user.keys()
    assert "email_confirmed_at" not in user
    assert ["email", "phone"] == sorted(identity["provider"] for identity in user["identities"])


def test_imported_hashes_sign_in_and_are_renewed(admin: Admin) -> None:
    """bcrypt and argon2, as other servers export them."""
    hashes = [bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(), admin.api.context.passwords.hash(PASSWORD)]
    for number, password_hash in enumerate(hashes):
        admin.create(f"u{number}@example.org", password_hash=password_hash)
        assert 200 == admin.api.sign_in(f"u{number}@example.org").status_code
    found = admins.find(admin.api.context, "u0@example.org")
    assert found is not None and (found.user.password_hash or "").startswith("$argon2id$")


# Looking


def test_pages_tell_the_clients_where_the_others_are(any_admin: Admin) -> None:
    """supabase-js splits the header at `,`, `;` and `=`: the page comes first."""
    users = [any_admin.create(f"u{number}@example.org") for number in range(5)]
    answer = any_admin.call("GET", "/admin/users?page=2&per_page=2")
    body = answer.get_json()
    assert {"users", "aud"} == body.keys()
    assert [users[2], users[1]] == body["users"]
    assert "5" == answer.headers["X-Total-Count"]
    links = [link.split(";") for link in answer.headers["Link"].split(",")]
    assert [("3", "next"), ("3", "last")] == [
        (address.split("=")[1][:1], json.loads(rel.split("=")[1])) for address, rel in links
    ]
    last = any_admin.call("GET", "/admin/users?page=3&per_page=2")
    assert 'rel="next"' not in last.headers["Link"]
    assert 5 == len(any_admin.call("GET", "/admin/users?page=&per_page=").get_json()["users"])


def test_users_are_found_by_a_part_of_address_or_name_and_by_the_address(any_admin: Admin) -> None:
    ann = any_admin.create("ann@example.org", user_metadata={"full_name": "Ann O'Lee"})
    bob = any_admin.create("bob_1@example.org")

    def found(query: str) -> list[dict[str, Any]]:
        users: list[dict[str, Any]] = any_admin.call("GET", f"/admin/users?{query}").get_json()["users"]
        return users

    assert [ann] == found("filter=o%27lee")
    assert [bob] == found("filter=B_1")
    assert [] == found("filter=b%251")
    assert [bob, ann] == found("filter=EXAMPLE")
    assert [ann] == found("email=ANN@example.org")
    assert [] == found("email=ann")
    assert [ann, bob] == found("sort=created_at+asc")
    answer = any_admin.call("GET", "/admin/users?filter=a%2Cb%3Bexample&per_page=1")
    assert {"filter": ["a,b;example"], "page": ["1"], "per_page": ["1"]} == parse_qs(
        urlsplit(answer.headers["Link"].partition(">")[0][1:]).query
    )


@pytest.mark.parametrize(
    "query",
    [
        *("page=x", "page=0", "per_page=0", "per_page=1001", "page=-1", "page=9999999999"),
        *("sort=email", "filter=%00", "page=1&page=2", "email=%00"),
    ],
)
def test_a_bad_page_is_refused(admin: Admin, query: str) -> None:
    """`per_page=0` too, which stops the original server."""
    assert (400, "validation_failed") == code_of(admin.call("GET", f"/admin/users?{query}"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/users/{}"),
        ("PUT", "/admin/users/{}"),
        ("DELETE", "/admin/users/{}"),
        ("GET", "/admin/users/{}/factors"),
        ("DELETE", f"/admin/users/{{}}/factors/{STRANGER}"),
        ("GET", "/admin/users/{}/sessions"),
        ("DELETE", "/admin/users/{}/sessions"),
    ],
)
def test_nobody_is_404_and_no_id_too(admin: Admin, method: str, path: str) -> None:
    json_body = {} if method == "PUT" else None
    assert (404, "user_not_found") == code_of(admin.call(method, path.format(STRANGER), json_body))
    assert (404, "validation_failed") == code_of(admin.call(method, path.format("7"), json_body))


# Changing


def test_metadata_is_merged_and_null_takes_away(any_admin: Admin) -> None:
    user = any_admin.create(user_metadata={"a": 1, "b": 2}, app_metadata={"org": 7})
    given = {"user_metadata": {"a": None, "c": 3}, "app_metadata": {"org": None, "plan": "x"}, "role": None}
    answer = any_admin.call("PUT", f"/admin/users/{user['id']}", given)
    expected = {
        **user,
        "user_metadata": {"b": 2, "c": 3, "email_verified": True},
        "app_metadata": {"provider": "email", "providers": ["email"], "plan": "x"},
        "updated_at": AN_INSTANT,
    }
    assert (200, expected) == (answer.status_code, answer.get_json())
    assert ["user_created", "user_updated"] == any_admin.happened


def test_an_address_changes_at_once_and_is_proven_only_if_it_is_said(any_admin: Admin) -> None:
    user = any_admin.create()
    path = f"/admin/users/{user['id']}"
    changed = any_admin.call("PUT", path, {"email": "New@example.org"}).get_json()
    assert "new@example.org" == changed["email"] == changed["identities"][0]["email"]
    assert changed["identities"][0]["identity_data"]["email_verified"] is False
    proven = any_admin.call("PUT", path, {"email_confirm": True}).get_json()
    assert proven["identities"][0]["identity_data"]["email_verified"] is True
    assert ["user_created", "email_changed", "email_confirmed"] == any_admin.happened
    any_admin.create("bob@example.org")
    assert (422, "email_exists") == code_of(any_admin.call("PUT", path, {"email": "bob@example.org"}))


def test_a_changed_address_voids_what_was_mailed_to_the_former_one(admin: Admin) -> None:
    """Threats MF-20."""
    user = admin.create(password=PASSWORD)
    admin.api.call("POST", "/recover", {"email": "ann@example.org"})
    (mail,) = admin.api.mails
    admin.call("PUT", f"/admin/users/{user['id']}", {"email": "new@example.org"})
    assert "otp_expired" in admin.api.follow(mail.link).headers["Location"]


@pytest.mark.parametrize(
    ("happening", "given"),
    [
        ("password_changed", {"password": OTHER}),
        ("role_changed", {"role": "editor"}),
        ("user_banned", {"ban_duration": "24h"}),
    ],
)
def test_what_takes_a_right_away_signs_out_everywhere(any_admin: Admin, happening: str, given: dict[str, Any]) -> None:
    """Threats CR-28 as the contract has it: administrators set passwords; it is audited, and ends the sessions."""
    session = any_admin.api.sign_up()
    answer = any_admin.call("PUT", f"/admin/users/{session['user']['id']}", given)
    assert 200 == answer.status_code
    assert (403, "session_not_found") == code_of(any_admin.api.call("GET", "/user", token=session["access_token"]))
    assert {happening, "session_ended"} <= set(any_admin.happened)


def test_a_ban_is_lifted_by_none(admin: Admin) -> None:
    user = admin.create(password=PASSWORD, ban_duration="876000h")
    assert (400, "user_banned") == code_of(admin.api.sign_in())
    lifted = admin.call("PUT", f"/admin/users/{user['id']}", {"ban_duration": "none"}).get_json()
    assert "banned_until" not in lifted
    assert 200 == admin.api.sign_in().status_code
    assert "user_updated" in admin.happened


def test_a_password_is_judged_here(admin: Admin) -> None:
    path = f"/admin/users/{admin.create()['id']}"
    assert (422, "weak_password") == code_of(admin.call("PUT", path, {"password": "password1"}))
    assert (400, "validation_failed") == code_of(admin.call("PUT", path, {"password": OTHER, "password_hash": "x"}))
    assert (400, "validation_failed") == code_of(admin.call("PUT", path, {"role": "a b"}))
    assert (400, "validation_failed") == code_of(admin.call("PUT", path, {"phone": "0"}))


def test_a_number_that_another_user_has_is_refused(any_admin: Admin) -> None:
    any_admin.create("bob@example.org", phone="34600000000")
    path = f"/admin/users/{any_admin.create()['id']}"
    assert (422, "phone_exists") == code_of(any_admin.call("PUT", path, {"phone": "+34600000000"}))
    changed = any_admin.call("PUT", path, {"phone": "+34600000001", "phone_confirm": True}).get_json()
    assert ("34600000001", ["email", "phone"]) == (changed["phone"], changed["app_metadata"]["providers"])
    again = any_admin.call("PUT", path, {"phone": "+34600000002"}).get_json()
    assert ["34600000002"] == [
        identity["identity_data"]["phone"] for identity in again["identities"] if identity["provider"] == "phone"
    ]


def test_an_anonymous_user_becomes_permanent_with_a_confirmed_address(make: Make) -> None:
    api = make(anonymous_users=True)
    admin, session = Admin(api), api.call("POST", "/signup", {}).get_json()
    path = f"/admin/users/{session['user']['id']}"
    waiting = admin.call("PUT", path, {"email": "ann@example.org"}).get_json()
    assert waiting["is_anonymous"] is True
    assert {"provider": "email", "providers": ["email"]} == waiting["app_metadata"]
    done = admin.call("PUT", path, {"email_confirm": True, "password": OTHER}).get_json()
    assert done["is_anonymous"] is False
    assert 200 == api.sign_in(password=OTHER).status_code


# Deleting


def test_a_deleted_user_is_gone_and_the_address_is_free(any_admin: Admin) -> None:
    session = any_admin.api.sign_up()
    path = f"/admin/users/{session['user']['id']}"
    answer = any_admin.call("DELETE", path)
    assert (200, {}) == (answer.status_code, answer.get_json())
    assert (404, "user_not_found") == code_of(any_admin.call("DELETE", path, {"should_soft_delete": False}))
    assert (403, "user_not_found") == code_of(any_admin.api.call("GET", "/user", token=session["access_token"]))
    assert session["user"]["id"] != any_admin.api.sign_up()["user"]["id"]


def test_a_softly_deleted_user_keeps_the_row_and_nothing_in_it(any_admin: Admin) -> None:
    """The address is free again, the sessions are over, and no name can be read back."""
    ann = ann_on(any_admin.api)
    path = f"/admin/users/{ann.user()['id']}"
    for _ in range(2):
        assert (200, {}) == (any_admin.call("DELETE", path, {"should_soft_delete": True}).status_code, {})
    left = any_admin.call("GET", path).get_json()
    assert "deleted_at" in left
    assert ({}, {}) == (left["user_metadata"], left["app_metadata"])
    assert "example.org" not in json.dumps(left)
    assert "factors" not in left
    assert (403, "user_not_found") == code_of(any_admin.api.call("GET", "/user", token=ann.token))
    assert (404, "user_not_found") == code_of(any_admin.call("PUT", path, {"role": "editor"}))
    assert 400 == any_admin.api.sign_in().status_code
    assert left["id"] != any_admin.api.sign_up()["user"]["id"]
    assert 1 == any_admin.happened.count("user_deleted")


# Factors, sessions, audit


def test_an_administrator_removes_a_factor(any_admin: Admin) -> None:
    """The way back in for who lost the phone; sessions it raised fall back."""
    ann = ann_on(any_admin.api).raised()
    path = f"/admin/users/{ann.user()['id']}/factors"
    factors = any_admin.call("GET", path).get_json()
    assert [ann.factor["id"]] == [factor["id"] for factor in factors]
    removed = any_admin.call("DELETE", f"{path}/{ann.factor['id']}")
    assert (200, factors[0]) == (removed.status_code, removed.get_json())
    assert [] == any_admin.call("GET", path).get_json()
    assert (404, "mfa_factor_not_found") == code_of(any_admin.call("DELETE", f"{path}/{STRANGER}"))
    assert (404, "validation_failed") == code_of(any_admin.call("DELETE", f"{path}/7"))
    assert "factor_removed" in any_admin.happened


def test_an_administrator_sees_and_ends_sessions(any_admin: Admin) -> None:
    first, second = any_admin.api.sign_up(), any_admin.api.sign_in().get_json()
    path = f"/admin/users/{first['user']['id']}/sessions"
    found = any_admin.call("GET", path).get_json()
    assert 2 == len(found)
    assert {"id", "created_at", "refreshed_at", "ip", "user_agent", "aal", "amr"} == found[0].keys()
    assert (200, {}) == (any_admin.call("DELETE", f"{path}/{found[1]['id']}").status_code, {})
    assert (404, "session_not_found") == code_of(any_admin.call("DELETE", f"{path}/{found[1]['id']}"))
    assert [found[0]] == any_admin.call("GET", path).get_json()
    assert 200 == any_admin.call("DELETE", path).status_code
    for session in (first, second):
        assert (403, "session_not_found") == code_of(any_admin.api.call("GET", "/user", token=session["access_token"]))


def test_the_audit_tells_what_happened_in_pages(any_admin: Admin) -> None:
    session = any_admin.api.sign_up()
    any_admin.create("bob@example.org")
    answer = any_admin.call("GET", "/admin/audit?page=1&per_page=2")
    assert ("4", 2) == (answer.headers["X-Total-Count"], len(answer.get_json()))
    (entry,) = any_admin.call("GET", "/admin/audit?query=action:signed_in").get_json()
    payload = {
        "action": "signed_in",
        "timestamp": AN_INSTANT,
        "actor_id": session["user"]["id"],
        "session_id": AN_ID,
        "traits": {"method": "password"},
    }
    assert {"id": AN_ID, "payload": payload, "created_at": AN_INSTANT, "ip_address": "127.0.0.1"} == entry
    for author in ("ann@example.org", session["user"]["id"]):
        found = any_admin.call("GET", f"/admin/audit?query=author:{author}").get_json()
        assert ["signed_in", "user_created"] == sorted(each["payload"]["action"] for each in found)
    assert [] == any_admin.call("GET", "/admin/audit?query=author:nobody").get_json()
    for query in ("author:", "action:nothing", "type:x", "x"):
        assert (400, "validation_failed") == code_of(any_admin.call("GET", f"/admin/audit?query={query}"))
