"""The page on the auth clients' methods is what a run of every method on both databases makes of it.

Two workers serve each database, so that what one of them writes the other must see.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.clients.auth_methods_run import CLIENTS, PAGE, Outcomes, outcomes, page
from tests.clients.test_methods import fresh_database

#: The methods behind the contract's MUST rows (auth.md §1), and those that ask nothing of a server.
EVERYDAY = {
    "auth-js": """
        initialize signUp signInAnonymously signInWithPassword signInWithOtp verifyOtp exchangeCodeForSession
        resetPasswordForEmail resend getSession refreshSession setSession getUser getClaims getUserIdentities updateUser
        reauthenticate signOut onAuthStateChange startAutoRefresh stopAutoRefresh mfa.enroll mfa.challenge mfa.verify
        mfa.challengeAndVerify mfa.listFactors mfa.getAuthenticatorAssuranceLevel mfa.unenroll
        mfa.recoveryCodes.generate mfa.recoveryCodes.getStatus mfa.recoveryCodes.verify mfa.recoveryCodes.regenerate
        mfa.recoveryCodes.unenroll admin.createUser admin.listUsers admin.getUserById admin.updateUserById
        admin.deleteUser admin.inviteUserByEmail admin.generateLink admin.signOut admin.mfa.listFactors
        admin.mfa.deleteFactor
    """,
    "supabase-auth": """
        initialize initialize_from_storage initialize_from_url sign_up sign_in_anonymously sign_in_with_password
        sign_in_with_otp verify_otp exchange_code_for_session reset_password_for_email reset_password_email resend
        get_session refresh_session set_session get_user get_claims get_user_identities update_user reauthenticate
        sign_out on_auth_state_change mfa.enroll mfa.challenge mfa.verify mfa.challenge_and_verify mfa.list_factors
        mfa.get_authenticator_assurance_level mfa.unenroll admin.create_user admin.list_users admin.get_user_by_id
        admin.update_user_by_id admin.delete_user admin.invite_user_by_email admin.generate_link admin.sign_out
        admin.mfa.list_factors admin.mfa.delete_factor
    """,
}


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcomes]:
    """Every method, on SQLite."""
    folder = tmp_path_factory.mktemp("sqlite")
    return outcomes(f"sqlite:///{folder}/methods.db", folder, folder)


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory, postgresql_url: str) -> Mapping[str, Outcomes]:
    """Every method, on a PostgreSQL database of its own."""
    folder = tmp_path_factory.mktemp("postgresql")
    return outcomes(fresh_database(postgresql_url), folder, folder)


@pytest.mark.parametrize("client", CLIENTS)
def test_every_everyday_method_works_on_both_databases(
    on_sqlite: Mapping[str, Outcomes], on_postgresql: Mapping[str, Outcomes], client: str
) -> None:
    for found in (on_sqlite, on_postgresql):
        assert dict.fromkeys(EVERYDAY[client].split(), "works") == {
            method: outcome for method, outcome in found[client].items() if method in EVERYDAY[client].split()
        }


@pytest.mark.parametrize("client", CLIENTS)
def test_what_does_not_work_is_refused_with_a_code(
    on_sqlite: Mapping[str, Outcomes], on_postgresql: Mapping[str, Outcomes], client: str
) -> None:
    for found in (on_sqlite, on_postgresql):
        assert {} == {method: outcome for method, outcome in found[client].items() if outcome.startswith("wrong")}


def test_the_page_is_the_one_that_the_run_makes(
    on_sqlite: Mapping[str, Outcomes], on_postgresql: Mapping[str, Outcomes]
) -> None:
    """If not: python -m tests.clients.auth_methods_run."""
    assert page(on_sqlite, on_postgresql) == PAGE.read_text(encoding="utf-8")
