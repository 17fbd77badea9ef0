"""What counts as a device, and for how long it is known."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.identity.people import ELSEWHERE, HOME, NOW, signed_up

from portero.identity import devices
from portero.identity.context import Caller, IdentityContext

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile Safari/604.1"


@pytest.mark.parametrize(
    ("expected", "user_agent"),
    [
        ("Firefox, Linux", FIREFOX),
        ("Chrome, Windows", CHROME),
        ("Safari, iPhone", SAFARI),
        ("Edge, Windows", CHROME + " Edg/141.0"),
        ("Opera, Windows", CHROME + " OPR/120.0"),
        ("Chrome, Android", "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/141.0 Mobile Safari/537.36"),
        ("Firefox, iPhone", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) FxiOS/140.0 Safari/604.1"),
        ("Python", "python-httpx/0.28.1"),
        ("Node.js", "node"),
        ("", "Your account is closed, go to https://evil.example"),
        ("", ""),
    ],
)
def test_a_user_agent_is_told_in_words_of_ours_or_not_at_all(expected: str, user_agent: str) -> None:
    assert expected == devices.device_of(user_agent)


def test_a_device_is_known_for_ninety_days_from_its_last_sign_in(any_context: IdentityContext) -> None:
    user = signed_up(any_context, "ben@example.org", caller=ELSEWHERE).user

    def is_new(days: int, caller: Caller) -> bool:
        with any_context.changing() as change:
            return devices.note(any_context, change, user, caller, NOW + timedelta(days=days))

    laptop, updated, other = (Caller("192.0.2.1", agent) for agent in (FIREFOX, FIREFOX.replace("140", "152"), CHROME))
    assert [True, False, False] == [is_new(0, laptop), is_new(1, laptop), is_new(80, updated)]
    assert [True, True, False] == [is_new(81, other), is_new(81, Caller("192.0.2.2", FIREFOX)), is_new(169, laptop)]
    assert is_new(169 + 90, laptop)


def test_addresses_of_one_ipv6_network_are_one_device(context: IdentityContext) -> None:
    user = signed_up(context, "ben@example.org", caller=ELSEWHERE).user
    found = []
    for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"):
        with context.changing() as change:
            found.append(devices.note(context, change, user, Caller(address, FIREFOX), NOW))
    assert [True, False, True] == found


def test_the_application_itself_is_no_device_and_devices_are_kept_as_macs(context: IdentityContext) -> None:
    user = signed_up(context).user
    with context.changing() as change:
        assert not devices.note(context, change, user, Caller("", FIREFOX), NOW)
        devices.note(context, change, user, HOME, NOW)
        kept = change.connection.exec_driver_sql("SELECT name FROM portero_counters").scalars().all()
    assert not any(HOME.address in name or "Firefox" in name for name in kept)
