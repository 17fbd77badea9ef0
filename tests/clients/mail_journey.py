"""The journey of mailed links and codes through supabase-py; `mail_journey.mjs` is the same journey in JavaScript.

Environment: BASE. Prints `ok <step>` for each step that holds; the first that does not ends it with status 1.
"""

from __future__ import annotations

import html
import os
import re
import secrets
import sys
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
from supabase_auth import SyncGoTrueClient
from supabase_auth.errors import AuthApiError

PASSWORD = "a-long-enough-passphrase"
BASE = os.environ.get("BASE", "")
RUN = secrets.token_hex(4)


def address(name: str) -> str:
    return f"{name}-{RUN}@example.com"


def new_client(flow_type: str = "implicit") -> SyncGoTrueClient:
    options: Any = {"flow_type": flow_type}
    return SyncGoTrueClient(url=f"{BASE}/auth/v1", auto_refresh_token=False, **options)


def refusal(error: AuthApiError) -> tuple[int, str | None]:
    return error.status, error.code


class Mail:
    """The newest mail to an address, from the page of the local mail box."""

    def __init__(self, to: str) -> None:
        page = httpx.get(f"{BASE}/auth/v1/mail-box").text
        section = next(each for each in page.split("<section>") if f"<p>To {to}," in each)
        links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', section)]
        self.link = next((link for link in links if "/verify" in link), "")
        found = re.search(r"^\d{6}$", section, re.MULTILINE)
        assert found is not None
        self.code = found[0]
        self.hash = parse_qs(urlsplit(self.link).query).get("token", [""])[0]


def follow(link: str) -> str:
    """Press the button of the page a link leads to, and give where the browser is sent."""
    parts = urlsplit(link)
    answer = httpx.post(f"{BASE}{parts.path}", data=dict(parse_qsl(parts.query)), follow_redirects=False)
    assert 303 == answer.status_code
    return answer.headers["location"]


def a_sign_up_waits_for_its_mail_and_the_code_signs_in() -> None:
    anna = new_client()
    answer = anna.sign_up({"email": address("anna"), "password": PASSWORD})
    assert answer.session is None
    assert 1 == len(answer.user.identities)
    try:
        anna.sign_in_with_password({"email": address("anna"), "password": PASSWORD})
        raise AssertionError("it was not refused")
    except AuthApiError as error:
        assert (400, "email_not_confirmed") == refusal(error)
    code = Mail(address("anna")).code
    assert anna.verify_otp({"email": address("anna"), "token": code, "type": "signup"}).session.access_token


def an_address_that_is_taken_is_not_told() -> None:
    magic, client = address("taken"), new_client()
    client.sign_in_with_otp({"email": magic})
    client.verify_otp({"email": magic, "token": Mail(magic).code, "type": "email"})
    answer = new_client().sign_up({"email": magic, "password": PASSWORD})
    assert (None, []) == (answer.session, answer.user.identities)


def a_wrong_code_is_refused() -> None:
    try:
        new_client().verify_otp({"email": address("anna"), "token": "000000", "type": "email"})
        raise AssertionError("it was not refused")
    except AuthApiError as error:
        assert (403, "otp_expired") == refusal(error)


def a_magic_link_leads_to_a_session_in_the_fragment() -> None:
    client = new_client()
    client.sign_in_with_otp({"email": address("anna"), "options": {"should_create_user": False}})
    target = urlsplit(follow(Mail(address("anna")).link))
    assert ("https", "app.example") == (target.scheme, target.hostname)
    values = dict(parse_qsl(target.fragment))
    found = client.set_session(values["access_token"], values["refresh_token"])
    assert address("anna") == found.user.email


def a_recovery_by_pkce_leads_to_a_code_that_is_exchanged_once() -> None:
    client = new_client("pkce")
    client.reset_password_for_email(address("anna"), {"redirect_to": "https://app.example/reset"})
    code = parse_qs(urlsplit(follow(Mail(address("anna")).link)).query)["code"][0]
    parameters: Any = {"auth_code": code}
    client.exchange_code_for_session(parameters)
    client.update_user({"password": f"{PASSWORD}-2"})
    again = new_client().sign_in_with_password({"email": address("anna"), "password": f"{PASSWORD}-2"})
    assert again.session is not None


def a_sign_up_is_mailed_once_more() -> None:
    new_client().sign_up({"email": address("bruno"), "password": PASSWORD})
    first = Mail(address("bruno"))
    new_client().resend({"type": "signup", "email": address("bruno")})
    second = Mail(address("bruno"))
    assert first.hash != second.hash
    assert address("bruno") == new_client().verify_otp({"token_hash": second.hash, "type": "signup"}).user.email


def an_address_changes_when_both_have_agreed() -> None:
    client = new_client()
    client.sign_in_with_password({"email": address("bruno"), "password": PASSWORD})
    assert address("bruno2") == client.update_user({"email": address("bruno2")}).user.new_email
    half = client.verify_otp({"token_hash": Mail(address("bruno")).hash, "type": "email_change"})
    assert half.session is None
    code = Mail(address("bruno2")).code
    found = client.verify_otp({"email": address("bruno2"), "token": code, "type": "email_change"})
    assert address("bruno2") == found.user.email


def a_nonce_is_mailed_and_spent() -> None:
    client = new_client()
    client.sign_in_with_password({"email": address("bruno2"), "password": PASSWORD})
    client.reauthenticate()
    code = Mail(address("bruno2")).code
    try:
        client.update_user({"password": f"{PASSWORD}-3", "nonce": "1" if code == "000000" else "000000"})
        raise AssertionError("it was not refused")
    except AuthApiError as error:
        assert (422, "reauthentication_not_valid") == refusal(error)
    client.update_user({"password": f"{PASSWORD}-3", "nonce": code})


def an_anonymous_user_becomes_permanent() -> None:
    client = new_client()
    user = client.sign_in_anonymously().user
    assert user.is_anonymous
    client.update_user({"email": address("clara")})
    code = Mail(address("clara")).code
    found = client.verify_otp({"email": address("clara"), "token": code, "type": "email_change"})
    assert (user.id, False) == (found.user.id, found.user.is_anonymous)


WALK = {
    "a sign-up waits for its mail and the code signs in": a_sign_up_waits_for_its_mail_and_the_code_signs_in,
    "an address that is taken is not told": an_address_that_is_taken_is_not_told,
    "a wrong code is refused": a_wrong_code_is_refused,
    "a magic link leads to a session in the fragment": a_magic_link_leads_to_a_session_in_the_fragment,
    "a recovery by PKCE leads to a code that is exchanged once": (
        a_recovery_by_pkce_leads_to_a_code_that_is_exchanged_once
    ),
    "a sign-up is mailed once more": a_sign_up_is_mailed_once_more,
    "an address changes when both have agreed": an_address_changes_when_both_have_agreed,
    "a nonce is mailed and spent": a_nonce_is_mailed_and_spent,
    "an anonymous user becomes permanent": an_anonymous_user_becomes_permanent,
}
STEPS = tuple(WALK)


def main() -> None:
    for sentence, walk in WALK.items():
        try:
            walk()
        except Exception as error:
            print(f"not ok {sentence}: {type(error).__name__}: {error}")
            sys.exit(1)
        print(f"ok {sentence}")


if __name__ == "__main__":
    main()
