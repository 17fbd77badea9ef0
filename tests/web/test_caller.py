"""Where a request came from (threats CR-08, HT-12)."""

from __future__ import annotations

import pytest

from portero.identity.context import Caller
from portero.web.caller import caller_of


@pytest.mark.parametrize(
    ("expected", "proxies", "forwarded"),
    [
        ("10.0.0.1", 0, "192.0.2.7"),
        ("192.0.2.7", 1, "192.0.2.7"),
        ("192.0.2.7", 1, "6.6.6.6, 192.0.2.7"),
        ("192.0.2.7", 2, "6.6.6.6, 192.0.2.7, 198.51.100.1"),
        ("10.0.0.1", 2, "192.0.2.7"),
        ("10.0.0.1", 1, ""),
        ("10.0.0.1", 1, "unknown"),
        ("192.0.2.7", 1, "192.0.2.7:4711"),
        ("2001:db8::7", 1, "[2001:db8::7]:4711"),
        ("2001:db8::7", 1, "2001:db8::7"),
    ],
)
def test_only_what_trusted_proxies_wrote_is_believed(expected: str, proxies: int, forwarded: str) -> None:
    environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": forwarded, "HTTP_X_REAL_IP": "6.6.6.6"}
    assert expected == caller_of(environ, proxies).address


def test_a_user_agent_is_cut_and_holds_nothing_that_moves_a_terminal() -> None:
    """Threats OP-04."""
    agent = "\x1b[2Jcurl\r\n" + "x" * 1000
    assert Caller("", "[2Jcurl" + "x" * 245) == caller_of({"HTTP_USER_AGENT": agent}, 0)
    assert Caller("", "") == caller_of({}, 0)
