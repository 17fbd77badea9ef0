"""Writes `settings.md` from `portero.settings`: `python docs/reference/make_settings.py`. A test says when to."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

from portero.settings import PREFIX, Settings

HEAD = """\
# Settings

Every setting is read once: from Flask's configuration, else from the environment (or `.env`). A name that begins with
`PORTERO_` and is not here stops the start: a typing error must not switch a protection off. `portero doctor --settings`
shows what holds in your application. Durations are seconds or a `timedelta`; lists in the environment are separated by
commas; yes and no are `yes`/`no`, `on`/`off`, `1`/`0`, `true`/`false`.

This page is made from `portero/settings.py`.

| setting | default | |
|---|---|---|
"""
TAIL = """
## Settings of Flask-JWT-Extended

The `JWT_*` settings keep their meaning on your own routes. These have a part in Portero too:

* `JWT_SECRET_KEY`: required, at least 32 random bytes; `portero keys secret` prints one. Flask's `SECRET_KEY` serves if
  it is missing. It signs tokens (HS256) until there are published keys, and other keys are derived from it.
* `JWT_SECRET_KEY_FALLBACKS`: a list of former secrets. Tokens that they signed are accepted.
* `JWT_ACCESS_TOKEN_EXPIRES`: also the life of a session's access token if you set it, one hour at most. Default: one
  hour for sessions, 15 minutes for `create_access_token`.
* `JWT_TOKEN_LOCATION`: `headers` and `cookies`. `query_string` and `json` are refused.
* `JWT_ALGORITHM`: of `create_access_token`. Sessions are signed with HS256, or with the keys of `portero keys new`.
"""


def page() -> str:
    """Give the whole page."""
    rows = [
        f"| `{PREFIX}{row.name.upper()}` | {shown(row.default)} | {row.metadata['sentence']} |"
        for row in dataclasses.fields(Settings)
    ]
    return HEAD + "\n".join(rows) + "\n" + TAIL


def shown(default: Any) -> str:
    """Write a default as it would stand in the environment."""
    match default:
        case "" | ():
            return ""
        case bool():
            return "yes" if default else "no"
        case timedelta():
            return f"`{int(default.total_seconds())}`"
        case tuple():
            return f"`{','.join(default)}`"
    return f"`{default}`"


if __name__ == "__main__":
    Path(__file__).with_name("settings.md").write_text(page(), encoding="utf-8")
