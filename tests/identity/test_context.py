"""Changes and their log lines."""

from __future__ import annotations

import json
import logging
from uuid import UUID

import pytest
from tests.identity.people import NOW, happenings, signed_up

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity.context import IdentityContext, line_of


def test_what_is_rolled_back_is_neither_audited_nor_logged(
    context: IdentityContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "portero.audit")
    with pytest.raises(AuthError), context.changing() as change:
        change.record(Event(Happening.USER_CREATED, NOW))
        raise AuthError(400, "validation_failed", "no")
    assert [] == happenings(context)
    assert [] == caplog.records


def test_a_log_line_is_one_line_of_json_whatever_is_in_it() -> None:
    """Threats OP-04: line breaks, escapes and U+2028 stay inside the text."""
    details = {"agent": 'x\r\n{"happening": "forged"}\x1b[2J\u2028'}
    line = line_of(Event(Happening.SIGNED_IN, NOW, UUID(int=1), UUID(int=2), "192.0.2.1", details))
    assert line.isascii()
    assert 1 == len(line.splitlines())
    assert details["agent"] == json.loads(line)["agent"]


def test_a_sign_up_says_in_the_log_that_it_confirmed_itself_and_nothing_secret(
    context: IdentityContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Threats OP-03; docs/decisions/0008-sign-in.md."""
    caplog.set_level(logging.INFO, "portero.audit")
    found = signed_up(context)
    assert "itself: no mail server is configured" in caplog.text
    assert "ann@example.org" not in caplog.text
    for secret in ("seven wet stones", found.access_token, found.refresh_token):
        assert secret not in caplog.text + repr(found) + repr(context)
