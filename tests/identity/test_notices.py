"""Who is told what by mail, unasked (threats CR-03, CR-29, MF-19)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from tests.identity.people import ELSEWHERE, HOME, NOW, PASSWORD, context_on, signed_up, with_settings
from tests.identity.second_factors import asking, enrolled, verified, with_second_factor

from portero.identity import admin, admin_update, mail, mfa, recovery_codes, sign_in, throttle, user, verification
from portero.identity.admin_update import Changes
from portero.identity.context import Caller, IdentityContext, SignedIn
from portero.store import outbox, users
from portero.store.engine import Database
from portero.testing import ReceivedMail, mail_box

MINUTE = timedelta(minutes=1)
LAPTOP = Caller("192.0.2.77", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0", "es")


@pytest.fixture
def mailing(database: Database) -> IdentityContext:
    """A context whose mails go somewhere, on each kind of database."""
    return context_on(database, dev=True)


def kinds(context: IdentityContext) -> list[str]:
    return [each.kind.removesuffix("_notification") for each in mail_box(context)]


def enter(context: IdentityContext, caller: Caller, now: datetime = NOW + MINUTE) -> SignedIn:
    return sign_in.with_password(context, "ann@example.org", PASSWORD, caller, now)


def last(context: IdentityContext) -> ReceivedMail:
    return mail_box(context)[-1]


def test_a_sign_in_with_a_new_device_is_told_with_when_whence_and_what_and_no_more(mailing: IdentityContext) -> None:
    signed_up(mailing)
    enter(mailing, HOME)
    assert [] == mail_box(mailing)
    enter(mailing, LAPTOP)
    enter(mailing, LAPTOP)
    (notice,) = mail_box(mailing)
    assert ("ann@example.org", "Una entrada con un dispositivo nuevo") == (notice.to, notice.subject)
    for text in (notice.text, notice.html):
        assert "Cuándo: 2026-03-01 12:01 UTC\nCon: Firefox, Linux\nDesde: 192.0.2.77" in text
        assert "{{" not in text
    assert ("", "") == (notice.link, notice.code)


def test_what_a_caller_says_of_itself_is_no_part_of_a_notice(mailing: IdentityContext) -> None:
    signed_up(mailing)
    enter(mailing, Caller("192.0.2.77", "Your account is closed: https://evil.example"))
    assert "evil" not in last(mailing).text + last(mailing).html
    assert "When: 2026-03-01 12:01 UTC\nFrom: 192.0.2.77\n" in last(mailing).text


def test_somebodys_first_sign_in_is_no_news(mailing: IdentityContext) -> None:
    admin.create(mailing, admin.NewUser(email="ann@example.org", password=PASSWORD), NOW)
    enter(mailing, HOME)
    enter(mailing, ELSEWHERE)
    assert ["new_device"] == kinds(mailing)


def test_a_refused_sign_in_is_told_nobody_and_makes_no_device_known(mailing: IdentityContext) -> None:
    signed_up(mailing)
    with pytest.raises(Exception, match="invalid_credentials"):
        sign_in.with_password(mailing, "ann@example.org", "wrong", LAPTOP, NOW)
    assert [] == mail_box(mailing)
    enter(mailing, LAPTOP)
    assert ["new_device"] == kinds(mailing)


def test_a_new_password_is_told_by_whomever_it_was_set(mailing: IdentityContext) -> None:
    """Threats CR-29."""
    signed_in = signed_up(mailing)
    wishes = user.Wishes(password="eight dry stones")
    user.update(mailing, signed_in.user, signed_in.session.id, wishes, LAPTOP, NOW)
    assert "Desde: 192.0.2.77" in last(mailing).text
    admin.set_password(mailing, signed_in.user.id, "nine dry stones", NOW + MINUTE)
    hashed = Changes(password="ten dry stones")
    admin_update.update(mailing, signed_in.user.id, hashed, LAPTOP, NOW + 2 * MINUTE)
    assert ["password_changed"] * 3 == kinds(mailing)
    assert "192.0.2.77" not in last(mailing).text  # nothing of the administrator is told


def test_a_changed_address_is_told_to_the_former_one(mailing: IdentityContext) -> None:
    """Threats CR-29, MF-19."""
    signed_in = signed_up(mailing)
    admin_update.update(mailing, signed_in.user.id, Changes(email="new@example.org"), HOME, NOW)
    notice = last(mailing)
    assert ("email_changed_notification", "ann@example.org") == (notice.kind, notice.to)
    assert "from ann@example.org to new@example.org" in notice.text


def test_an_address_that_is_only_wished_for_is_told_when_it_is_proven(mailing: IdentityContext) -> None:
    proving = with_settings(mailing, confirm_email="yes")
    signed_in = signed_up(mailing)
    user.update(proving, signed_in.user, signed_in.session.id, user.Wishes(email="new@example.org"), HOME, NOW)
    (asked,) = mail_box(proving)
    assert ("email_change", "new@example.org") == (asked.kind, asked.to)
    token = asked.token_hash
    verification.by_link(proving, "email_change", token, HOME, NOW + MINUTE)
    assert ["email_change", "email_changed"] == kinds(proving)
    assert "ann@example.org" == last(proving).to


def test_a_factor_is_told_when_it_counts_and_when_it_goes(mailing: IdentityContext) -> None:
    signed_in = signed_up(mailing)
    app = enrolled(mailing, signed_in)
    assert [] == mail_box(mailing)
    raised = verified(mailing, signed_in, app)
    assert "an authenticator app" in last(mailing).text
    recovery_codes.generate(mailing, asking(raised, NOW + MINUTE))
    assert "recovery codes" in last(mailing).text
    mfa.unenrol(mailing, asking(raised, NOW + 2 * MINUTE), app.factor_id)
    assert ["mfa_factor_enrolled"] * 2 + ["mfa_factor_unenrolled"] == kinds(mailing)
    assert "an authenticator app" in last(mailing).text


def test_an_enrolment_that_nobody_finished_is_removed_without_a_word(mailing: IdentityContext) -> None:
    signed_in = signed_up(mailing)
    mfa.unenrol(mailing, asking(signed_in), enrolled(mailing, signed_in).factor_id)
    assert [] == mail_box(mailing)


def test_an_administrator_who_removes_a_factor_is_not_named(mailing: IdentityContext) -> None:
    app, raised = with_second_factor(mailing)
    mfa.remove(mailing, raised.user.id, app.factor_id, NOW + MINUTE)
    assert "mfa_factor_unenrolled" == kinds(mailing)[-1]
    assert "When: 2026-03-01 12:01 UTC\n\n" in last(mailing).text


def test_one_notice_of_a_kind_goes_out_in_a_minute(mailing: IdentityContext) -> None:
    signed_in = signed_up(mailing)
    for seconds, password in ((0, "eight dry stones"), (30, "nine dry stones"), (60, "ten dry stones")):
        admin.set_password(mailing, signed_in.user.id, password, NOW + timedelta(seconds=seconds))
    assert 2 == len(mail_box(mailing))


def test_nobody_silences_notices_by_using_up_what_mails_there_are(database: Database) -> None:
    context = context_on(database, dev=True, mails_per_hour=1)
    signed_in = signed_up(context)
    for number in range(3):
        with context.database.writing() as connection:
            refused = throttle.check_mail(context, connection, "recovery", f"{number}@example.org", NOW)
    assert refused is not None
    admin.set_password(context, signed_in.user.id, "eight dry stones", NOW)
    assert ["password_changed"] == kinds(context)


@pytest.mark.parametrize("settings", [{"notices": ()}, {"dev": False}, {"notices": ("email_changed",)}])
def test_what_is_switched_off_or_cannot_be_sent_is_not_written(
    sqlite_database: Database, settings: dict[str, object]
) -> None:
    context = context_on(sqlite_database, **{"dev": True, **settings})
    signed_in = signed_up(context)
    enter(context, LAPTOP)
    admin.set_password(context, signed_in.user.id, "eight dry stones", NOW)
    with context.database.reading() as connection:
        assert [] == list(outbox.latest(connection, 10))
        assert not connection.exec_driver_sql("SELECT 1 FROM portero_counters WHERE name LIKE 'device%'").all()


def test_an_address_that_is_nobodys_yet_is_told_nothing(mailing: IdentityContext) -> None:
    signed_in = signed_up(mailing)
    with mailing.database.writing() as connection:
        users.update(connection, signed_in.user.id, NOW, email_confirmed_at=None)
    admin.set_password(mailing, signed_in.user.id, "eight dry stones", NOW)
    assert [] == mail_box(mailing)


def test_a_notice_is_written_with_what_it_tells_or_not_at_all(mailing: IdentityContext) -> None:
    """One transaction: where the change is undone, nobody is told of it."""
    signed_in = signed_up(mailing)
    signed_up(mailing, "ben@example.org")
    taken = Changes(email="ben@example.org", password="eight dry stones")
    with pytest.raises(Exception, match="email_exists"):
        admin_update.update(mailing, signed_in.user.id, taken, HOME, NOW)
    assert [] == mail_box(mailing)


def test_a_notice_is_not_sent_when_it_is_no_news_any_more(mailing: IdentityContext) -> None:
    signed_in = signed_up(mailing)
    admin.set_password(mailing, signed_in.user.id, "eight dry stones", NOW)
    with mailing.database.reading() as connection:
        (record,) = outbox.latest(connection, 10)
    assert NOW + timedelta(days=3) == record.expires_at
    assert mail.read(mailing, record) is not None
