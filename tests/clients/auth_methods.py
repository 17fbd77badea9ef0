"""Every method of supabase-auth, tried on a server that `mail_app.py` is served by: `auth_methods.mjs` in Python.

Environment: BASE, KEY (a secret key), PUBLIC (a publishable one). Prints one JSON line for each method: its name and
"works", or the code of the refusal, or what was wrong.
"""

from __future__ import annotations

import html
import json
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pyotp
from supabase_auth import SyncGoTrueClient
from supabase_auth.errors import AuthApiError, AuthError

# Without a server the module can still be imported (doctests are collected from every file).
BASE = os.environ.get("BASE", "http://127.0.0.1:0")
KEY, PUBLIC = os.environ.get("KEY", ""), os.environ.get("PUBLIC", "")
PASSWORD, SITE = "a-long-enough-passphrase", "https://app.example"
SOME_ID = "6f1c1a4e-0d5e-4e0c-8b7a-2f3b1c9d8e7f"
RUN, NUMBERS = secrets.token_hex(4), count(1)
Attempt = Callable[[], object]


def client(key: str = PUBLIC, flow_type: str = "implicit") -> Any:
    """Make a client that keeps nothing on disk."""
    headers = {"apikey": key, "Authorization": f"Bearer {key}"}
    options: Any = {"flow_type": flow_type}
    return SyncGoTrueClient(url=f"{BASE}/auth/v1", headers=headers, auto_refresh_token=False, **options)


def address() -> str:
    """Give an address nobody has used."""
    return f"p{next(NUMBERS)}-{RUN}@example.com"


class Mail:
    """The newest mail to an address, from the page of the local mail box."""

    def __init__(self, to: str) -> None:
        page = httpx.get(f"{BASE}/auth/v1/mail-box").text
        section = next(each for each in page.split("<section>") if f"<p>To {to}," in each)
        links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', section)]
        self.link = next((link for link in links if "/verify" in link), "")
        found = re.search(r"^\d{6}$", section, re.MULTILINE)
        self.code = found[0] if found else ""
        self.hash = parse_qs(urlsplit(self.link).query).get("token", [""])[0]


def follow(link: str) -> Any:
    """Press the button of the page a link leads to, and give where the browser is sent."""
    parts = urlsplit(link)
    answer = httpx.post(f"{BASE}{parts.path}", data=dict(parse_qsl(parts.query)), follow_redirects=False)
    return urlsplit(answer.headers["location"])


@dataclass
class Person:
    """Somebody who has signed up, proven the address and is signed in; perhaps with a second factor."""

    auth: Any
    email: str
    session: Any
    factor: Any = None

    @classmethod
    def new(cls) -> Person:
        """Sign up and prove the address."""
        auth, email = client(), address()
        auth.sign_up({"email": email, "password": PASSWORD})
        answer = auth.verify_otp({"email": email, "token": Mail(email).code, "type": "signup"})
        return cls(auth, email, answer.session)

    @classmethod
    def enrolling(cls) -> Person:
        """And begin to enrol a factor."""
        person = cls.new()
        person.factor = person.auth.mfa.enroll({"factor_type": "totp", "friendly_name": "app"})
        return person

    @classmethod
    def raised(cls) -> Person:
        """And show it."""
        person = cls.enrolling()
        person.auth.mfa.challenge_and_verify({"factor_id": person.factor.id, "code": person.code()})
        return person

    def code(self) -> str:
        """Give what the authenticator app shows."""
        return pyotp.TOTP(self.factor.totp.secret).now()


ADMIN: Any = client(KEY).admin if KEY else None


def made(**more: Any) -> Any:
    """Have an administrator make somebody."""
    return ADMIN.create_user({"email": address(), **more}).user


def same(expected: object, found: object) -> None:
    assert expected == found, found


def refusal(call: Callable[[], object]) -> str | None:
    """Give the code with which a call is refused."""
    try:
        call()
    except AuthApiError as error:
        return error.code
    raise AssertionError("not refused")


def sign_up() -> None:
    answer = client().sign_up({"email": address(), "password": PASSWORD})
    same((1, None), (len(answer.user.identities), answer.session))


def sign_in_with_password() -> None:
    person = Person.new()
    same(person.email, client().sign_in_with_password({"email": person.email, "password": PASSWORD}).user.email)


def sign_in_with_otp() -> None:
    email = address()
    client().sign_in_with_otp({"email": email})
    assert client().verify_otp({"email": email, "token": Mail(email).code, "type": "email"}).session


def verify_otp() -> None:
    person = Person.new()
    client().sign_in_with_otp({"email": person.email})
    answer = client().verify_otp({"token_hash": Mail(person.email).hash, "type": "magiclink"})
    same(person.email, answer.session.user.email)


def exchange_code_for_session() -> None:
    person, auth = Person.new(), client(flow_type="pkce")
    auth.reset_password_for_email(person.email, {"redirect_to": f"{SITE}/reset"})
    code = parse_qs(follow(Mail(person.email).link).query)["code"][0]
    same(person.email, auth.exchange_code_for_session({"auth_code": code}).user.email)


def reset(name: str) -> Attempt:
    def attempt() -> None:
        person = Person.new()
        getattr(client(), name)(person.email)
        assert "type=recovery" in follow(Mail(person.email).link).fragment

    return attempt


def resend() -> None:
    email = address()
    client().sign_up({"email": email, "password": PASSWORD})
    first = Mail(email).hash
    client().resend({"type": "signup", "email": email})
    assert Mail(email).hash != first


def refresh_session() -> None:
    person = Person.new()
    assert person.auth.refresh_session().session.refresh_token != person.session.refresh_token


def set_session() -> None:
    session = Person.new().session
    same(session.user.id, client().set_session(session.access_token, session.refresh_token).user.id)


def get_user_identities() -> None:
    same(["email"], [each.provider for each in Person.new().auth.get_user_identities().identities])


def update_user() -> None:
    changed = Person.new().auth.update_user({"data": {"colour": "red"}})
    same("red", changed.user.user_metadata["colour"])


def reauthenticate() -> None:
    person = Person.new()
    person.auth.reauthenticate()
    person.auth.update_user({"password": f"{PASSWORD}-2", "nonce": Mail(person.email).code})


def sign_out() -> None:
    person = Person.new()
    person.auth.sign_out()
    same("session_not_found", refusal(lambda: client().get_user(person.session.access_token)))


def on_auth_state_change() -> None:
    told: list[str] = []
    person = Person.new()
    subscription = person.auth.on_auth_state_change(lambda event, _: told.append(event))
    person.auth.sign_out()
    subscription.unsubscribe()
    assert "SIGNED_OUT" in told, told


def initialize_from_url() -> None:
    """What a browser's address bar would hold."""
    person = Person.new()
    client().sign_in_with_otp({"email": person.email})
    auth, target = client(), follow(Mail(person.email).link)
    auth.initialize_from_url(target.geturl())
    same(person.email, auth.get_user().user.email)


def mfa_verify() -> None:
    person = Person.enrolling()
    challenge = person.auth.mfa.challenge({"factor_id": person.factor.id})
    given = {"factor_id": person.factor.id, "challenge_id": challenge.id, "code": person.code()}
    assert person.auth.mfa.verify(given).access_token


def mfa_unenroll() -> None:
    person = Person.raised()
    same(person.factor.id, person.auth.mfa.unenroll({"factor_id": person.factor.id}).id)


def admin_list_users() -> None:
    same([made().id], [user.id for user in ADMIN.list_users(page=1, per_page=1)])


def admin_get_user_by_id() -> None:
    user = made()
    same(user.email, ADMIN.get_user_by_id(user.id).user.email)


def admin_update_user_by_id() -> None:
    changed = ADMIN.update_user_by_id(made().id, {"app_metadata": {"org": 7}}).user
    same(7, changed.app_metadata["org"])


def admin_delete_user() -> None:
    user = made()
    ADMIN.delete_user(user.id)
    same("user_not_found", refusal(lambda: ADMIN.get_user_by_id(user.id)))


def admin_invite_user_by_email() -> None:
    email = address()
    user = ADMIN.invite_user_by_email(email, {"data": {"team": 7}}).user
    same(user.id, client().verify_otp({"token_hash": Mail(email).hash, "type": "invite"}).user.id)


def admin_generate_link() -> None:
    link = ADMIN.generate_link({"type": "signup", "email": address(), "password": PASSWORD})
    found = client().verify_otp({"token_hash": link.properties.hashed_token, "type": "signup"})
    same(link.user.id, found.user.id)


def admin_sign_out() -> None:
    person = Person.new()
    ADMIN.sign_out(person.session.access_token, "global")
    same("session_not_found", refusal(lambda: client().get_user(person.session.access_token)))


def admin_list_factors() -> None:
    person = Person.raised()
    listed = ADMIN.mfa.list_factors({"user_id": person.session.user.id})
    same([person.factor.id], [each.id for each in (listed.factors if hasattr(listed, "factors") else listed)])


def admin_delete_factor() -> None:
    person = Person.raised()
    given = {"user_id": person.session.user.id, "id": person.factor.id}
    same(person.factor.id, ADMIN.mfa.delete_factor(given).id)


def sign_in_with_oauth() -> None:
    """It gives an address for a browser, which is asked here."""
    url = client().sign_in_with_oauth({"provider": "google"}).url
    answer = httpx.get(url, headers={"X-Supabase-Api-Version": "2024-01-01"}).json()
    raise AuthApiError(answer["message"], 404, answer["code"])


THERE: dict[str, Attempt] = {
    "initialize": lambda: client().initialize(),
    "initialize_from_storage": lambda: client().initialize_from_storage(),
    "initialize_from_url": initialize_from_url,
    "sign_up": sign_up,
    "sign_in_anonymously": lambda: same(True, client().sign_in_anonymously().user.is_anonymous),
    "sign_in_with_password": sign_in_with_password,
    "sign_in_with_otp": sign_in_with_otp,
    "verify_otp": verify_otp,
    "exchange_code_for_session": exchange_code_for_session,
    "reset_password_for_email": reset("reset_password_for_email"),
    "reset_password_email": reset("reset_password_email"),
    "resend": resend,
    "get_session": lambda: same(True, bool(Person.new().auth.get_session().access_token)),
    "refresh_session": refresh_session,
    "set_session": set_session,
    "get_user": lambda: same(True, Person.new().auth.get_user().user.email.endswith("@example.com")),
    "get_claims": lambda: same("authenticated", Person.new().auth.get_claims()["claims"]["role"]),
    "get_user_identities": get_user_identities,
    "update_user": update_user,
    "reauthenticate": reauthenticate,
    "sign_out": sign_out,
    "on_auth_state_change": on_auth_state_change,
    "mfa.enroll": lambda: same(
        True, Person.enrolling().factor.totp.qr_code.startswith("data:image/svg+xml;utf-8,<svg")
    ),
    "mfa.challenge": lambda: (person := Person.enrolling()).auth.mfa.challenge({"factor_id": person.factor.id}),
    "mfa.verify": mfa_verify,
    "mfa.challenge_and_verify": Person.raised,
    "mfa.list_factors": lambda: same(1, len(Person.raised().auth.mfa.list_factors().totp)),
    "mfa.get_authenticator_assurance_level": lambda: same(
        "aal2", Person.raised().auth.mfa.get_authenticator_assurance_level().current_level
    ),
    "mfa.unenroll": mfa_unenroll,
    "admin.create_user": lambda: same(True, made(email_confirm=True).email_confirmed_at is not None),
    "admin.list_users": admin_list_users,
    "admin.get_user_by_id": admin_get_user_by_id,
    "admin.update_user_by_id": admin_update_user_by_id,
    "admin.delete_user": admin_delete_user,
    "admin.invite_user_by_email": admin_invite_user_by_email,
    "admin.generate_link": admin_generate_link,
    "admin.sign_out": admin_sign_out,
    "admin.mfa.list_factors": admin_list_factors,
    "admin.mfa.delete_factor": admin_delete_factor,
}
NOT_YET: dict[str, Attempt] = {
    "sign_in_with_id_token": lambda: client().sign_in_with_id_token({"provider": "google", "token": "x"}),
    "sign_in_with_oauth": sign_in_with_oauth,
    "sign_in_with_sso": lambda: client().sign_in_with_sso({"domain": "example.com"}),
    "link_identity": lambda: Person.new().auth.link_identity({"provider": "google"}),
    "unlink_identity": lambda: (person := Person.new()).auth.unlink_identity(person.session.user.identities[0]),
    "admin.oauth.list_clients": lambda: ADMIN.oauth.list_clients(),  # noqa: PLW0108 - none without a server
    "admin.oauth.create_client": lambda: ADMIN.oauth.create_client({"client_name": "x", "redirect_uris": [SITE]}),
    "admin.oauth.get_client": lambda: ADMIN.oauth.get_client(SOME_ID),
    "admin.oauth.update_client": lambda: ADMIN.oauth.update_client(SOME_ID, {"client_name": "y"}),
    "admin.oauth.delete_client": lambda: ADMIN.oauth.delete_client(SOME_ID),
    "admin.oauth.regenerate_client_secret": lambda: ADMIN.oauth.regenerate_client_secret(SOME_ID),
}


def there() -> set[str]:
    """Give every method that the package has, by the name one calls it."""

    def of(holder: object, prefix: str = "") -> set[str]:
        names = {name for name in dir(holder) if not name.startswith("_") and callable(getattr(holder, name))}
        return {prefix + name for name in names - {"close", "clone_header"}}

    auth = client()
    groups = {"mfa.": auth.mfa, "admin.": auth.admin, "admin.mfa.": auth.admin.mfa, "admin.oauth.": auth.admin.oauth}
    found = of(type(auth)).union(*(of(holder, prefix) for prefix, holder in groups.items()))
    # Groups of methods, which can themselves be called in nobody's name.
    return found - {"admin.mfa", "admin.oauth"}


def main() -> None:
    """Try every method, and print what came of it."""
    methods = {**THERE, **NOT_YET}
    missing = sorted(there() - set(methods))
    assert not missing, f"methods that nobody tries: {missing}"
    for method, attempt in methods.items():
        outcome = "works"
        try:
            attempt()
        except AuthError as error:
            outcome = str(error.code or error.message)
        except Exception as error:
            outcome = f"wrong: {type(error).__name__} {error}"
        print(json.dumps([method, outcome]), flush=True)


if __name__ == "__main__":
    main()
