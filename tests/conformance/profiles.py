"""What each profile of the pack asks of the server, as Portero's settings; one without a setting is named as such."""

from __future__ import annotations

import dataclasses
from typing import Any

from portero.settings import PREFIX, Settings

#: Every profile: no row cap, and bounds that a test suite's requests do not meet.
ALWAYS: dict[str, Any] = {
    "PORTERO_DEV": True,  # its own tables are made at start
    "PORTERO_MAX_ROWS": 1_000_000,
    "PORTERO_MAX_BATCH": 100_000,
    "PORTERO_MAX_BODY": 64 * 1024 * 1024,
    "PORTERO_MAX_EMBED_DEPTH": 10,
    "PORTERO_STATEMENT_TIMEOUT": 30,
    "PORTERO_MAX_NEW_SHAPES": 0,  # the packs ask hundreds of kinds, from one address
}

PROFILES: dict[str, dict[str, Any]] = {
    "default": {},
    "aggregates": {"PORTERO_AGGREGATES": True},
    "max-rows-2": {"PORTERO_MAX_ROWS": 2},
    "tx-rollback": {"PORTERO_TRANSACTION_END": "rollback"},
    "tx-rollback-allow-override": {"PORTERO_TRANSACTION_END": "rollback-allow-override"},
    "safe-update": {"PORTERO_REQUIRE_WRITE_FILTER": True},
    "server-timing": {"PORTERO_SERVER_TIMING": True},
    "target-names": {"PORTERO_EMBED_NAMES": "alias"},
    "minimal-errors": {"PORTERO_ERRORS": "minimal"},
    "trace-header": {"PORTERO_TRACE_HEADER": "X-Request-Id"},
    "cors-any": {"PORTERO_CORS_ORIGINS": "*"},
    "cors-list": {"PORTERO_CORS_ORIGINS": "http://example.com,http://example2.com"},
}


def settings_of(profile: str) -> tuple[dict[str, Any], list[str]]:
    """Give the settings to start with, and the names of those the profile wants and Portero does not have.

    >>> settings_of("max-rows-2")[0]["PORTERO_MAX_ROWS"], settings_of("unheard-of")[1]
    (2, ['a profile called unheard-of'])
    """
    wanted = PROFILES.get(profile)
    if wanted is None:
        return dict(ALWAYS), [f"a profile called {profile}"]
    known = {PREFIX + row.name.upper() for row in dataclasses.fields(Settings)}
    missing = sorted(set(wanted) - known)
    return ALWAYS | {name: value for name, value in wanted.items() if name in known}, missing
