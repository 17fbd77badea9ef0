"""The journey of two users through supabase-py, a program of its own; `journey.mjs` is the same journey in JavaScript.

Environment: BASE, KEY. Prints `ok <step>` for each step that holds; the first that does not ends it with status 1.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pyotp
from postgrest.exceptions import APIError
from supabase import Client, ClientOptions, create_client
from supabase_auth.errors import AuthApiError

PASSWORD = "a-long-enough-passphrase"


class Journey:
    """What the steps share: two users with a client each, their ids, notes, and tokens that will be old."""

    def __init__(self, base: str, key: str) -> None:
        self.base = base
        self.key = key
        self.run = secrets.token_hex(4)
        self.anna = self.new_client()
        self.bruno = self.new_client()
        self.elsewhere = self.new_client()
        self.owners: dict[str, str] = {}
        self.notes: dict[str, list[dict[str, Any]]] = {}
        self.topic: dict[str, Any] = {}
        self.old: list[str] = []
        self.clara = self.new_client()
        self.clara_elsewhere = self.new_client()
        self.factor: Any = None
        self.used = ""

    def new_client(self) -> Client:
        return create_client(self.base, self.key, ClientOptions(persist_session=False, auto_refresh_token=False))

    def address(self, name: str) -> str:
        return f"{name}-{self.run}@example.com"

    def two_users_sign_up(self) -> None:
        for name, client in (("anna", self.anna), ("bruno", self.bruno)):
            options = {"data": {"name": name, "colour": "red"}}
            answer = client.auth.sign_up({"email": self.address(name), "password": PASSWORD, "options": options})
            assert answer.session.access_token
            assert answer.session.refresh_token
            assert self.address(name) == answer.user.email
            self.owners[name] = answer.user.id
        refused = _refusal(
            AuthApiError,
            lambda: self.new_client().auth.sign_up({"email": self.address("anna"), "password": PASSWORD}),
        )
        assert refused.code == "user_already_exists"

    def each_inserts_notes(self) -> None:
        self.topic = self.anna.table("topics").insert({"name": f"topic {self.run}"}).execute().data[0]
        topic_id = self.topic["id"]
        for name, client, numbers in (
            ("anna", self.anna, ("one", "two", "three")),
            ("bruno", self.bruno, ("one", "two")),
        ):
            rows = [{"title": f"{name} {number}", "topic_id": topic_id} for number in numbers]
            self.notes[name] = client.table("notes").insert(rows).execute().data
            assert [self.owners[name]] * len(numbers) == [note["owner_id"] for note in self.notes[name]]

    def lists_hold_only_ones_own_notes(self) -> None:
        assert _titles(self.anna.table("notes").select("*").execute().data) == ["anna one", "anna three", "anna two"]
        assert _titles(self.bruno.table("notes").select("*").execute().data) == ["bruno one", "bruno two"]
        assert self.new_client().table("notes").select("*").execute().data == []

    def counts_count_only_ones_own_notes(self) -> None:
        assert self.anna.table("notes").select("*", count="exact", head=True).execute().count == 3
        assert self.bruno.table("notes").select("id", count="exact").limit(1).execute().count == 2

    def embeds_show_only_ones_own_notes(self) -> None:
        def embedded(client: Client) -> list[str]:
            query = client.table("topics").select("name, notes(title)").eq("id", self.topic["id"]).single()
            return _titles(query.execute().data["notes"])

        assert embedded(self.anna) == ["anna one", "anna three", "anna two"]
        assert embedded(self.bruno) == ["bruno one", "bruno two"]
        query = self.bruno.table("notes").select("title, about:topics(name)").order("title").limit(1)
        assert query.execute().data == [{"title": "bruno one", "about": {"name": self.topic["name"]}}]

    def filters_find_only_ones_own_notes(self) -> None:
        foreign = self.notes["bruno"][0]["id"]
        notes = self.anna.table("notes")
        assert notes.select("*").eq("id", foreign).execute().data == []
        assert notes.select("*").in_("owner_id", [self.owners["bruno"]]).execute().data == []
        assert notes.select("*").ilike("title", "bruno%").execute().data == []
        either = notes.select("title").or_("title.eq.bruno one,title.eq.anna one").execute()
        assert either.data == [{"title": "anna one"}]
        missing = _refusal(APIError, lambda: notes.select("*").eq("id", foreign).single().execute())
        assert missing.code == "PGRST116"

    def a_note_cannot_be_given_away(self) -> None:
        mine = self.notes["anna"][0]["id"]
        notes, to_bruno = self.anna.table("notes"), {"owner_id": self.owners["bruno"]}
        assert _refusal(APIError, lambda: notes.update(to_bruno).eq("id", mine).execute()).code == "42501"
        _refusal(APIError, lambda: notes.insert({"title": "planted"} | to_bruno).execute())
        assert self.bruno.table("notes").select("*", count="exact", head=True).execute().count == 2
        assert notes.select("*").eq("id", mine).single().execute().data["owner_id"] == self.owners["anna"]

    def a_note_cannot_be_grabbed(self) -> None:
        theirs = self.notes["anna"][0]["id"]
        notes = self.bruno.table("notes")
        assert notes.update({"owner_id": self.owners["bruno"]}).eq("id", theirs).execute().data == []
        assert notes.update({"title": "mine"}).eq("id", theirs).execute().data == []
        assert notes.delete().eq("id", theirs).execute().data == []
        assert self.anna.table("notes").select("*").eq("id", theirs).single().execute().data["title"] == "anna one"

    def ones_own_notes_change_and_go(self) -> None:
        mine = self.notes["bruno"][1]["id"]
        notes = self.bruno.table("notes")
        (changed,) = notes.update({"title": "bruno again"}).eq("id", mine).execute().data
        assert changed["title"] == "bruno again"
        notes.delete().eq("id", mine).execute()
        assert _titles(notes.select("*").execute().data) == ["bruno one"]

    def the_session_refreshes(self) -> None:
        before = self.anna.auth.get_session()
        after = self.anna.auth.refresh_session().session
        assert after.access_token != before.access_token
        assert after.refresh_token != before.refresh_token
        assert _claims(after.access_token)["session_id"] == _claims(before.access_token)["session_id"]
        assert len(self.anna.table("notes").select("*").execute().data) == 3

    def metadata_changes(self) -> None:
        self.anna.auth.update_user({"data": {"name": "Anna B.", "colour": None, "city": "Zürich"}})
        user = self.anna.auth.get_user().user
        assert user.user_metadata["name"] == "Anna B."
        assert user.user_metadata["city"] == "Zürich"
        assert "colour" not in user.user_metadata
        assert user.id == self.owners["anna"]

    def both_workers_accept_the_access_tokens(self) -> None:
        form = {"email": self.address("anna"), "password": PASSWORD}
        signed_in = self.elsewhere.auth.sign_in_with_password(form)
        self.old = [self.anna.auth.get_session().access_token, signed_in.session.access_token]
        for token in self.old:
            assert self.statuses_of_both_workers(token) == ["auth 200", "rest 200"]

    def sign_out_everywhere(self) -> None:
        self.anna.auth.sign_out({"scope": "global"})
        assert self.anna.auth.get_session() is None

    def the_old_access_tokens_are_refused_at_once_by_both_workers(self) -> None:
        for token in self.old:
            assert self.statuses_of_both_workers(token) == ["auth 403", "rest 401"]

    def the_other_session_cannot_refresh(self) -> None:
        assert _refusal(AuthApiError, self.elsewhere.auth.refresh_session).status in (400, 403)

    def a_new_sign_in_finds_the_notes_again(self) -> None:
        self.anna.auth.sign_in_with_password({"email": self.address("anna"), "password": PASSWORD})
        assert self.anna.table("notes").select("*", count="exact", head=True).execute().count == 3
        assert _titles(self.bruno.table("notes").select("*").execute().data) == ["bruno one"]

    def clara_signs_in_elsewhere(self) -> None:
        self.clara_elsewhere.auth.sign_in_with_password({"email": self.address("clara"), "password": PASSWORD})

    def a_second_factor_is_enrolled(self) -> None:
        self.clara.auth.sign_up({"email": self.address("clara"), "password": PASSWORD})
        self.clara_signs_in_elsewhere()
        self.factor = self.clara.auth.mfa.enroll({"factor_type": "totp", "friendly_name": "phone"})
        assert ("totp", "phone") == (self.factor.type, self.factor.friendly_name)
        assert self.factor.totp.qr_code.startswith("data:image/svg+xml;utf-8,<svg")
        assert self.factor.totp.uri.startswith("otpauth://totp/")
        found = self.clara.auth.mfa.list_factors()
        assert (1, 0, "unverified") == (len(found.all), len(found.totp), found.all[0].status)

    def a_code_raises_the_session_and_ends_the_others(self) -> None:
        mfa = self.clara.auth.mfa
        challenge = mfa.challenge({"factor_id": self.factor.id})
        self.used = pyotp.TOTP(self.factor.totp.secret).now()
        raised = mfa.verify({"factor_id": self.factor.id, "challenge_id": challenge.id, "code": self.used})
        assert ["verified"] == [factor.status for factor in raised.user.factors]
        level = mfa.get_authenticator_assurance_level()
        assert ("aal2", "aal2") == (level.current_level, level.next_level)
        assert "totp" == level.current_authentication_methods[0].method
        assert 1 == len(mfa.list_factors().totp)
        self.clara.auth.refresh_session()
        assert "aal2" == mfa.get_authenticator_assurance_level().current_level
        assert "session_not_found" == _refusal(AuthApiError, self.clara_elsewhere.auth.get_user).code

    def the_same_code_is_not_taken_again(self) -> None:
        given = {"factor_id": self.factor.id, "code": self.used}
        refused = _refusal(AuthApiError, lambda: self.clara.auth.mfa.challenge_and_verify(given))
        assert (422, "mfa_verification_failed") == (refused.status, refused.code)

    def a_new_sign_in_must_show_the_factor_before_sensitive_changes(self) -> None:
        self.clara_signs_in_elsewhere()
        auth = self.clara_elsewhere.auth
        level = auth.mfa.get_authenticator_assurance_level()
        assert ("aal1", "aal2") == (level.current_level, level.next_level)
        for status, ask in (
            (401, lambda: auth.update_user({"password": "another-long-passphrase"})),
            (403, lambda: auth.mfa.enroll({"factor_type": "totp", "friendly_name": "thief"})),
            (422, lambda: auth.mfa.unenroll({"factor_id": self.factor.id})),
        ):
            refused = _refusal(AuthApiError, ask)
            assert (status, "insufficient_aal") == (refused.status, refused.code)

    def a_recovery_code_raises_a_session_once(self) -> None:
        codes = self.recovery_codes(self.clara, "POST", "", {"friendly_name": "paper"})["codes"]
        assert 10 == len(codes)
        typed = {"code": f" {codes[0].upper()} "}
        raised = self.recovery_codes(self.clara_elsewhere, "POST", "/verify", typed)
        self.clara_elsewhere.auth.set_session(raised["access_token"], raised["refresh_token"])
        level = self.clara_elsewhere.auth.mfa.get_authenticator_assurance_level()
        assert "aal2" == level.current_level
        assert "mfa/recovery_code" == level.current_authentication_methods[0].method
        assert "mfa_verification_failed" == self.recovery_codes(self.clara_elsewhere, "POST", "/verify", typed)["code"]
        assert 9 == self.recovery_codes(self.clara, "GET")["remaining"]
        assert 10 == len(self.recovery_codes(self.clara, "POST", "/regenerate")["codes"])

    def without_its_factor_the_session_falls_back(self) -> None:
        mfa = self.clara.auth.mfa
        assert self.factor.id == mfa.unenroll({"factor_id": self.factor.id}).id
        self.clara.auth.refresh_session()
        assert "aal1" == mfa.get_authenticator_assurance_level().current_level
        assert [] == mfa.list_factors().all

    def recovery_codes(self, client: Client, method: str, path: str = "", body: Any = None) -> dict[str, Any]:
        """Ask what supabase-py has no method for yet."""
        token = client.auth.get_session().access_token
        headers = {"apikey": self.key, "Authorization": f"Bearer {token}", "X-Supabase-Api-Version": "2024-01-01"}
        url = f"{self.base}/auth/v1/factors/recovery-codes{path}"
        answered: dict[str, Any] = httpx.request(method, url, headers=headers, json=body).json()
        return answered

    def statuses_of_both_workers(self, token: str) -> list[str]:
        """Ask both APIs, connection after connection, until two workers have answered three times each."""
        met: Counter[int] = Counter()
        statuses: set[str] = set()
        headers = {"apikey": self.key, "Authorization": f"Bearer {token}"}
        for _ in range(200):
            with httpx.Client(base_url=self.base) as connection:  # all requests of a connection meet one worker
                met[connection.get("/worker").json()["worker"]] += 1
                statuses.add(f"auth {connection.get('/auth/v1/user', headers=headers).status_code}")
                statuses.add(f"rest {connection.get('/rest/v1/notes?select=id', headers=headers).status_code}")
            if len(met) == 2 and min(met.values()) >= 3:
                return sorted(statuses)
        raise AssertionError(f"only {len(met)} worker answered")


def _titles(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["title"] for row in rows)


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _refusal(kind: type[Exception], ask: Callable[[], object]) -> Any:
    try:
        ask()
    except kind as refusal:
        return refusal
    raise AssertionError(f"no {kind.__name__}")


STEPS: dict[str, Callable[[Journey], None]] = {
    "two users sign up": Journey.two_users_sign_up,
    "each inserts notes": Journey.each_inserts_notes,
    "lists hold only one's own notes": Journey.lists_hold_only_ones_own_notes,
    "counts count only one's own notes": Journey.counts_count_only_ones_own_notes,
    "embeds show only one's own notes": Journey.embeds_show_only_ones_own_notes,
    "filters find only one's own notes": Journey.filters_find_only_ones_own_notes,
    "a note cannot be given away": Journey.a_note_cannot_be_given_away,
    "a note cannot be grabbed": Journey.a_note_cannot_be_grabbed,
    "one's own notes change and go": Journey.ones_own_notes_change_and_go,
    "the session refreshes": Journey.the_session_refreshes,
    "metadata changes": Journey.metadata_changes,
    "both workers accept the access tokens": Journey.both_workers_accept_the_access_tokens,
    "sign-out everywhere": Journey.sign_out_everywhere,
    "the old access tokens are refused at once by both workers": (
        Journey.the_old_access_tokens_are_refused_at_once_by_both_workers
    ),
    "the other session cannot refresh": Journey.the_other_session_cannot_refresh,
    "a new sign-in finds the notes again": Journey.a_new_sign_in_finds_the_notes_again,
    "a second factor is enrolled": Journey.a_second_factor_is_enrolled,
    "a code raises the session and ends the others": Journey.a_code_raises_the_session_and_ends_the_others,
    "the same code is not taken again": Journey.the_same_code_is_not_taken_again,
    "a new sign-in must show the factor before sensitive changes": (
        Journey.a_new_sign_in_must_show_the_factor_before_sensitive_changes
    ),
    "a recovery code raises a session once": Journey.a_recovery_code_raises_a_session_once,
    "without its factor the session falls back": Journey.without_its_factor_the_session_falls_back,
}


def main() -> int:
    """Go the steps in order."""
    journey = Journey(os.environ["BASE"], os.environ["KEY"])
    for sentence, step in STEPS.items():
        try:
            step(journey)
        except Exception as error:
            print(f"not ok {sentence}: {type(error).__name__}: {error}", flush=True)
            raise
        print(f"ok {sentence}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
