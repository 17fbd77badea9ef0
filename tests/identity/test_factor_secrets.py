"""Secrets of second factors at rest: sealed, and sealed anew when the application's secret changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.identity.people import NOW, SECRET
from tests.identity.second_factors import STEP, asking, verified, with_second_factor

from portero.errors import AuthError
from portero.identity import factor_secrets, recovery_codes
from portero.identity.context import IdentityContext
from portero.identity.keys import KeyRing

NEW = "4n0th3r-Fr3sh-0ne-f0r-4ll-0f-th3-n3xt-y34r"


def under(context: IdentityContext, secret: str, *fallbacks: str) -> IdentityContext:
    keyring = KeyRing.open(context.database, secret, list(fallbacks), now=NOW.timestamp())
    return replace(context, keyring=keyring)


def test_a_changed_secret_locks_nobody_out(any_context: IdentityContext) -> None:
    """The former secret is a fallback for one start, and then forgotten."""
    app, ann = with_second_factor(any_context)
    codes = recovery_codes.generate(any_context, asking(ann)).codes
    between = under(any_context, NEW, SECRET)
    assert "aal2" == verified(between, ann, app, NOW + STEP).session.aal
    assert 11 == factor_secrets.reseal_all(between)
    assert 0 == factor_secrets.reseal_all(between)
    afterwards = under(any_context, NEW)
    assert "aal2" == verified(afterwards, ann, app, NOW + 2 * STEP).session.aal
    assert "aal2" == recovery_codes.verify(afterwards, asking(ann), codes[0]).session.aal


def test_many_factors_are_sealed_anew_page_by_page(context: IdentityContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factor_secrets, "_PAGE", 2)
    for number in range(3):
        with_second_factor(context, f"{number}@example.org")
    assert 3 == factor_secrets.reseal_all(under(context, NEW, SECRET))


def test_without_a_former_secret_nothing_is_looked_at(context: IdentityContext) -> None:
    with_second_factor(context)
    assert 0 == factor_secrets.reseal_all(context)


def test_what_no_secret_opens_is_no_right_code_and_no_failure(
    context: IdentityContext, caplog: pytest.LogCaptureFixture
) -> None:
    app, ann = with_second_factor(context)
    codes = recovery_codes.generate(context, asking(ann)).codes
    lost = under(context, NEW)
    with pytest.raises(AuthError, match="mfa_verification_failed"):
        verified(lost, ann, app, NOW + STEP)
    with pytest.raises(AuthError, match="mfa_verification_failed"):
        recovery_codes.verify(lost, asking(ann), codes[0])
    assert "no longer configured" in caplog.text
    assert app.secret not in caplog.text
    assert 0 == factor_secrets.reseal_all(under(context, NEW, "4nd-4-th1rd-0ne-th4t-n3v3r-s34l3d-4nyth1ng"))
