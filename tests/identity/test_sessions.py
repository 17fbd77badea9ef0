"""Sessions: refreshed, ended by sign-out, by time, by theft (contract auth.md §2.6, threats §1.2)."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from tests.identity.people import HOME, NOW, PASSWORD, happenings, signed_up, with_settings
from tests.identity.second_factors import with_second_factor

from portero.crypto import refresh_tokens
from portero.crypto.claims import LEEWAY
from portero.errors import AuthError, InvalidToken
from portero.identity import admin, sessions, sign_in
from portero.identity.context import IdentityContext, SignedIn
from portero.store import sessions as rows
from portero.store.tables import OWN_TABLES

DAY = timedelta(days=1)


def refreshed(context: IdentityContext, token: str, after: timedelta = timedelta()) -> SignedIn:
    return sessions.refresh(context, token, HOME, NOW + after)


def refusal(context: IdentityContext, token: str, after: timedelta = timedelta()) -> tuple[int, str]:
    with pytest.raises(AuthError) as caught:
        refreshed(context, token, after)
    return caught.value.status, caught.value.code


def stands(context: IdentityContext, session_id: UUID) -> bool:
    with context.database.reading() as connection:
        return rows.is_standing(connection, session_id, NOW)


def test_the_current_token_advances_the_session(any_context: IdentityContext) -> None:
    first = signed_up(any_context)
    second = refreshed(any_context, first.refresh_token, timedelta(minutes=5))
    assert first.session.id == second.session.id
    assert first.session.refresh_counter + 1 == second.session.refresh_counter
    assert first.refresh_token != second.refresh_token
    assert first.access_token != second.access_token
    assert NOW + timedelta(minutes=5) == second.session.refreshed_at
    assert list(first.session.amr) == list(second.session.amr)
    assert "session_refreshed" == happenings(any_context)[-1]


def test_the_direct_parent_gets_the_same_successor_however_late(any_context: IdentityContext) -> None:
    """Threats SE-10: a lost answer is normal; there is no window."""
    first = signed_up(any_context)
    second = refreshed(any_context, first.refresh_token)
    again = refreshed(any_context, first.refresh_token, timedelta(days=3))
    assert second.refresh_token == again.refresh_token
    assert stands(any_context, first.session.id)


def test_a_grandparent_ends_the_session_for_good(any_context: IdentityContext) -> None:
    """Threats SE-08: somebody has a copy; who it is cannot be told, so nobody goes on."""
    first = signed_up(any_context)
    second = refreshed(any_context, first.refresh_token)
    third = refreshed(any_context, second.refresh_token)
    assert (400, "refresh_token_already_used") == refusal(any_context, first.refresh_token)
    assert not stands(any_context, first.session.id)
    assert (400, "refresh_token_not_found") == refusal(any_context, third.refresh_token)
    assert {"refresh_token_reused", "session_ended"} <= set(happenings(any_context))


def test_twenty_refreshes_of_one_token_have_one_successor(any_context: IdentityContext) -> None:
    """Threats SE-09: all succeed with the same token, the counter moved once, nobody is signed out."""
    first = signed_up(any_context)
    found: list[str] = []
    start = threading.Barrier(20)

    def refresh() -> None:
        start.wait()
        found.append(refreshed(any_context, first.refresh_token).refresh_token)

    threads = [threading.Thread(target=refresh) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 20 == len(found)
    assert 1 == len(set(found))
    assert 1 == refreshed(any_context, first.refresh_token).session.refresh_counter
    assert 2 == refreshed(any_context, found[0]).session.refresh_counter


@pytest.mark.parametrize("token", ["", "x", "abcdefghijkl", "A" * 51, "A" * 5000, "\u00e9" * 51, "..."])
def test_what_has_not_the_form_of_a_refresh_token_is_told_so(context: IdentityContext, token: str) -> None:
    assert (400, "validation_failed") == refusal(context, token)


def test_a_forged_token_ends_nothing(context: IdentityContext) -> None:
    """Overrides.md "refresh": without the MAC, knowing the session's id is worth nothing."""
    first = signed_up(context)
    forged = refresh_tokens.encode(first.session.id, 0, b"another key of thirty-two bytes.")
    assert (400, "refresh_token_not_found") == refusal(context, forged)
    assert stands(context, first.session.id)


def test_a_counter_ahead_of_the_session_is_refused_and_ends_nothing(context: IdentityContext) -> None:
    """It can come from a database that was restored; the session goes on."""
    first = signed_up(context)
    ahead = refresh_tokens.encode(first.session.id, 5, context.refresh_mac_keys[0])
    assert (400, "validation_failed") == refusal(context, ahead)
    assert stands(context, first.session.id)


def test_a_session_that_is_not_there_is_not_found(context: IdentityContext) -> None:
    token = refresh_tokens.encode(uuid4(), 0, context.refresh_mac_keys[0])
    assert (400, "refresh_token_not_found") == refusal(context, token)


def test_a_banned_user_gets_no_new_tokens(context: IdentityContext) -> None:
    """Threats SE-19: a ban ends the sessions; one that another process left is refused too."""
    first = signed_up(context)
    admin.ban(context, first.user.id, NOW)
    assert (400, "refresh_token_not_found") == refusal(context, first.refresh_token)
    with context.changing() as change:
        rows.insert(change.connection, first.session)
    assert (400, "user_banned") == refusal(context, first.refresh_token)


@pytest.mark.parametrize(
    ("message", "step"),
    [("Invalid Refresh Token: Session Expired", 10), ("Invalid Refresh Token: Session Expired (Inactivity)", 14)],
)
def test_a_session_ends_by_age_and_by_idleness(context: IdentityContext, message: str, step: int) -> None:
    """Threats SE-11, SE-12: 30 days from the sign-in however often it is refreshed, 14 days without a refresh."""
    current, after = signed_up(context), timedelta()
    with pytest.raises(AuthError) as caught:
        for _ in range(4):
            after += step * DAY
            current = refreshed(context, current.refresh_token, after)
    assert (400, "session_expired", message) == (caught.value.status, caught.value.code, caught.value.message)
    assert not stands(context, current.session.id)


@pytest.mark.parametrize(("setting", "lives"), [("session_time_box", [600, 200]), ("session_idle", [600, 600])])
def test_no_access_token_outlives_its_session(context: IdentityContext, setting: str, lives: list[int]) -> None:
    """So a limit holds at every API to the moment, and a client that is there refreshes in time."""
    limited = with_settings(context, **{setting: timedelta(minutes=10)})
    first = signed_up(limited)
    then = timedelta(seconds=400)
    second = refreshed(limited, first.refresh_token, then)
    assert lives == [first.expires_in, second.expires_in]
    end = (NOW + timedelta(minutes=10)).timestamp()
    assert limited.access_tokens.principal(first.access_token, end - 1).session_id == first.session.id
    with pytest.raises(InvalidToken, match="expired"):
        limited.access_tokens.principal(first.access_token, end + LEEWAY + 1)


def test_a_token_lives_a_second_at_least(context: IdentityContext) -> None:
    """A client takes a life of nothing for no session."""
    limited = with_settings(context, session_time_box=timedelta(milliseconds=300))
    assert 1 == signed_up(limited).expires_in


def test_a_session_that_stays_below_its_users_second_factor_ends(any_context: IdentityContext) -> None:
    limited = with_settings(any_context, session_low_aal=timedelta(hours=1))
    without = signed_up(limited, "bob@example.org")
    _, raised = with_second_factor(limited)
    low = sign_in.with_password(limited, "ann@example.org", PASSWORD, HOME, NOW)
    assert refreshed(limited, low.refresh_token, timedelta(minutes=59)).session.id == low.session.id
    for fine in (without, raised):
        assert refreshed(limited, fine.refresh_token, timedelta(hours=2)).session.id == fine.session.id
    with pytest.raises(AuthError) as caught:
        refreshed(limited, low.refresh_token, timedelta(hours=1))
    message = "Invalid Refresh Token: Session Expired (Low AAL: User Needs MFA Verification)"
    assert (400, "session_expired", message) == (caught.value.status, caught.value.code, caught.value.message)
    assert not stands(limited, low.session.id)


def test_a_limit_of_nothing_is_no_limit(context: IdentityContext) -> None:
    endless = with_settings(context, session_time_box=timedelta(), session_idle=timedelta())
    first = signed_up(endless)
    assert first.session.id == refreshed(endless, first.refresh_token, timedelta(days=4000)).session.id


def test_a_session_is_refreshed_so_often_a_minute(context: IdentityContext) -> None:
    limited = with_settings(context, throttle_refresh=2)
    token = signed_up(limited).refresh_token
    for _ in range(2):
        token = refreshed(limited, token).refresh_token
    assert (429, "over_request_rate_limit") == refusal(limited, token)
    assert refreshed(limited, token, timedelta(minutes=1)).refresh_token


@pytest.mark.parametrize(
    ("scope", "standing"),
    [("global", [False, False, False]), ("local", [False, True, True]), ("others", [True, False, False])],
)
def test_sign_out_ends_the_sessions_of_its_scope(
    context: IdentityContext, scope: sessions.Scope, standing: list[bool]
) -> None:
    """Threats SE-01, SE-03: the row is gone, so every token of it is refused; another user is not concerned."""
    mine = [signed_up(context)]
    with context.changing() as change:
        mine += [
            replace(mine[0], session=sessions.open_session(change, mine[0].user, "password", HOME, NOW))
            for _ in range(2)
        ]
    theirs = signed_up(context, "bob@example.org")
    ended = sessions.end(context, mine[0].user.id, mine[0].session.id, scope, NOW)
    assert standing == [stands(context, each.session.id) for each in mine]
    assert ended == standing.count(False)
    assert stands(context, theirs.session.id)


def test_ending_what_has_ended_is_no_event(context: IdentityContext) -> None:
    first = signed_up(context)
    assert 1 == sessions.end(context, first.user.id, first.session.id, "local", NOW)
    assert 0 == sessions.end(context, first.user.id, first.session.id, "local", NOW)
    assert 0 == sessions.end(context, first.user.id, None, "local", NOW)
    assert 1 == happenings(context).count("session_ended")


def test_ids_of_sessions_do_not_tell_their_order(context: IdentityContext) -> None:
    """Threats SE-20: random version 4, so neither time nor a counter shows."""
    unlimited = with_settings(context, throttle_sign_up=0)
    ids = [signed_up(unlimited, f"u{number}@example.org").session.id for number in range(20)]
    assert {4} == {each.version for each in ids}
    assert ids != sorted(ids)


def test_the_database_holds_no_token_and_no_password(context: IdentityContext) -> None:
    """Threats SE-14: what is stored gives nobody a session."""
    first = signed_up(context)
    with context.database.reading() as connection:
        held = "".join(str(connection.execute(sa.select(table)).all()) for table in OWN_TABLES.values())
    for secret in (first.refresh_token, first.access_token, "seven wet stones"):
        assert secret not in held
    assert "$argon2id$v=19$" in held
