"""Everything that is good for one use, made ready for twenty who want it at one time; the single-use journey spends it.

Prepared in this process, on the database of the servers that are asked afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.at_once import MANY
from tests.identity.people import PASSWORD
from tests.web.administering import Admin
from tests.web.callers import Api
from tests.web.test_mailed_links import S256, SITE, VERIFIER

from portero.crypto import totp

VERIFY, PKCE, REFRESH = "/verify", "/token?grant_type=pkce", "/token?grant_type=refresh_token"
OVER = {(403, "otp_expired")}


@dataclass(frozen=True)
class Spending:
    """What twenty send, and what becomes of it.

    Attributes:
        path, bodies, token: the requests, one body each.
        email: whose sessions are counted.
        refusals: status and code of those who come too late.
        successes: how many are answered well.
        sessions: how many sessions of the user are there afterwards.
        event, events: what stands in the audit, and how often.
        method: PUT for a change.
        as_form: as the button of a link's page sends it: answered by a redirect.
    """

    path: str
    bodies: Sequence[dict[str, Any]]
    email: str
    refusals: set[tuple[int, str]]
    event: str
    sessions: int
    successes: int = 1
    events: int = 1
    token: str | None = None
    method: str = "POST"
    as_form: bool = False


@dataclass
class Person:
    """Somebody of one spending, on an application of this process."""

    api: Api
    email: str
    session: dict[str, Any] = field(default_factory=dict)

    @property
    def token(self) -> str:
        return str(self.session["access_token"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        token = self.token if self.session else None
        answer = self.api.call(method, path, body, token=token)
        assert answer.status_code < 400, (path, answer.get_data(as_text=True))
        return answer.get_json()

    def mail(self, to: str = "") -> Any:
        return next(mail for mail in reversed(self.api.mails) if mail.to == (to or self.email))

    def proven(self) -> Person:
        """Sign up and prove the address."""
        self.ask("POST", "/signup", {"email": self.email, "password": PASSWORD})
        self.session = self.ask("POST", VERIFY, {"type": "signup", "token_hash": self.mail().token_hash})
        return self

    def same(self, body: dict[str, Any], path: str = VERIFY, **more: Any) -> Spending:
        """Twenty times the same."""
        usual = {"refusals": OVER, "event": "signed_in", "sessions": 2, "events": 2}
        return Spending(path, [body] * MANY, self.email, **{**usual, **more})


def by_link(kind: str, ask: str) -> Callable[[Person], Spending]:
    def prepare(ann: Person) -> Spending:
        ann.proven().ask("POST", ask, {"email": ann.email})
        return ann.same({"type": kind, "token_hash": ann.mail().token_hash})

    return prepare


def by_code(kind: str, ask: str) -> Callable[[Person], Spending]:
    def prepare(ann: Person) -> Spending:
        ann.proven().ask("POST", ask, {"email": ann.email})
        return ann.same({"type": kind, "email": ann.email, "token": ann.mail().code}, refusals=OVER | TOO_MANY)

    return prepare


#: Twenty codes an hour of one address are looked at: those of the preparation and of the journey are more.
TOO_MANY = {(429, "over_request_rate_limit")}


def sign_up_link(ann: Person) -> Spending:
    ann.ask("POST", "/signup", {"email": ann.email, "password": PASSWORD})
    return ann.same({"type": "signup", "token_hash": ann.mail().token_hash}, sessions=1, events=1)


def sign_up_button(ann: Person) -> Spending:
    ann.ask("POST", "/signup", {"email": ann.email, "password": PASSWORD})
    form = {"type": "signup", "token": ann.mail().token_hash, "redirect_to": SITE}
    return ann.same(form, sessions=1, events=1, as_form=True, refusals={(303, "otp_expired")})


def sign_up_code(ann: Person) -> Spending:
    ann.ask("POST", "/signup", {"email": ann.email, "password": PASSWORD})
    return ann.same({"type": "signup", "email": ann.email, "token": ann.mail().code}, sessions=1, events=1)


def invitation(ann: Person) -> Spending:
    Admin(ann.api).call("POST", "/invite", {"email": ann.email})
    return ann.same({"type": "invite", "token_hash": ann.mail().token_hash}, sessions=1, events=1)


def generated_link(ann: Person) -> Spending:
    ann.proven()
    wish = {"type": "magiclink", "email": ann.email}
    found = Admin(ann.api).call("POST", "/admin/generate_link", wish).get_json()
    return ann.same({"type": "magiclink", "token_hash": found["hashed_token"]})


def address_change(ann: Person) -> Spending:
    """Both halves, ten times each: one of each passes, and they make one change."""
    new = f"new-{ann.email}"
    ann.proven().ask("PUT", "/user", {"email": new})
    hashes = [ann.mail(to).token_hash for to in (ann.email, new)]
    bodies = [{"type": "email_change", "token_hash": hashes[number % 2]} for number in range(MANY)]
    return Spending(VERIFY, bodies, new, OVER, "email_changed", sessions=2, successes=2)


def nonce(ann: Person) -> Spending:
    """Twenty passwords, each other than the one before: one is set."""
    ann.proven().ask("GET", "/reauthenticate")
    code = ann.mail().code
    bodies = [{"password": f"stones by the dozen {number}", "nonce": code} for number in range(MANY)]
    # A new password is a guess at the present one, and guesses are counted: some of the twenty are told to wait.
    late = {(422, "reauthentication_not_valid"), (409, "conflict"), (429, "over_request_rate_limit")}
    return Spending("/user", bodies, ann.email, late, "password_changed", 1, token=ann.token, method="PUT")


def pkce_code(ann: Person) -> Spending:
    ann.proven().ask("POST", "/recover", {"email": ann.email, **S256})
    location = ann.api.follow(ann.mail().link).headers["Location"]
    code = parse_qs(urlsplit(location).query)["code"][0]
    late = {(404, "flow_state_not_found")}
    return ann.same({"auth_code": code, "code_verifier": VERIFIER}, PKCE, refusals=late)


def _factor(ann: Person) -> tuple[str, str]:
    made = ann.proven().ask("POST", "/factors", {"factor_type": "totp", "friendly_name": "app"})
    return made["id"], made["totp"]["secret"]


def _code(secret: str, steps: int = 0) -> str:
    return totp.code_at(secret, int(time.time()) // totp.STEP + steps)


def challenge(ann: Person) -> Spending:
    """One challenge, one code."""
    factor, secret = _factor(ann)
    asked = ann.ask("POST", f"/factors/{factor}/challenge", {})["id"]
    body = {"challenge_id": asked, "code": _code(secret)}
    late = {(422, "mfa_ip_address_mismatch"), (422, "mfa_challenge_expired"), (422, "mfa_verification_failed")}
    path = f"/factors/{factor}/verify"
    return ann.same(body, path, refusals=late, event="factor_verified", sessions=1, events=1, token=ann.token)


def code_at_many_challenges(ann: Person) -> Spending:
    """One code, at a challenge for each."""
    factor, secret = _factor(ann)
    asked = [ann.ask("POST", f"/factors/{factor}/challenge", {})["id"] for _ in range(MANY)]
    bodies = [{"challenge_id": each, "code": _code(secret)} for each in asked]
    late, path = {(422, "mfa_verification_failed")}, f"/factors/{factor}/verify"
    return Spending(path, bodies, ann.email, late, "factor_verified", 1, token=ann.token)


def recovery_code(ann: Person) -> Spending:
    factor, secret = _factor(ann)
    asked = ann.ask("POST", f"/factors/{factor}/challenge", {})["id"]
    ann.session = ann.ask("POST", f"/factors/{factor}/verify", {"challenge_id": asked, "code": _code(secret)})
    code = ann.ask("POST", "/factors/recovery-codes", {})["codes"][0]
    late, path = {(422, "mfa_verification_failed")}, "/factors/recovery-codes/verify"
    return ann.same({"code": code}, path, refusals=late, event="factor_verified", sessions=1, events=2, token=ann.token)


def refresh_generation(ann: Person) -> Spending:
    """All are answered well, with the one successor: the session moves on once."""
    ann.proven()
    body = {"refresh_token": ann.session["refresh_token"]}
    return ann.same(body, REFRESH, refusals=set(), successes=MANY, event="session_refreshed", sessions=1, events=1)


def address(ann: Person) -> Spending:
    """An address becomes one user's; where it waits for its proof, nobody is told who was first."""
    body = {"email": ann.email, "password": PASSWORD}
    late = {(429, "over_email_send_rate_limit")}
    return ann.same(body, "/signup", refusals=late, event="user_created", sessions=0, events=1)


PREPARED: dict[str, Callable[[Person], Spending]] = {
    "an address": address,
    "a sign-up's link": sign_up_link,
    "the button of its page": sign_up_button,
    "a sign-up's code": sign_up_code,
    "an invitation": invitation,
    "a recovery link": by_link("recovery", "/recover"),
    "a recovery code of six digits": by_code("recovery", "/recover"),
    "a magic link": by_link("magiclink", "/otp"),
    "a magic link's code": by_code("email", "/otp"),
    "a generated link": generated_link,
    "both halves of an address change": address_change,
    "a nonce": nonce,
    "a PKCE code": pkce_code,
    "a challenge": challenge,
    "a code of an authenticator app": code_at_many_challenges,
    "a recovery code": recovery_code,
    "a refresh token": refresh_generation,
}
