"""What `portero serve` prints to copy: the publishable key, and three commands that work as they stand."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from typing import Final

from portero.identity import admin
from portero.web.runtime import Runtime

_PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - an example, printed for the development server only
_READER: Final = (
    "import json, sys; answer = json.load(sys.stdin); "
    'print(answer.get("access_token") or sys.exit(answer.get("msg") or str(answer))); '
    'print("Signed up as", answer["user"]["email"], file=sys.stderr)'
)
#: The shell puts eight random letters into the address, so that the command works each time it is pasted.
_HEX: Final = "'$(python3 -c \"import secrets; print(secrets.token_hex(4))\")'"


def examples_for(runtime: Runtime, url: str, *, commands: bool) -> list[str]:
    """Give the lines to print: the publishable key (made if there is none), and the commands if `notes` exist."""
    key = runtime.identity.api_keys.ensure_publishable(datetime.now(UTC))
    lines = [f"  Publishable key: {key}", ""]
    has_notes = "notes" in runtime.data.catalogue.models
    return [*lines, *three_commands(runtime, url, key)] if commands and has_notes else lines


def three_commands(runtime: Runtime, url: str, key: str) -> list[str]:
    """Give the commands to sign up, add a note and list the notes; each sign-up takes an address of its own."""
    number = admin.page(runtime.identity, size=1).total + 1
    auth, data = runtime.settings.auth_path, runtime.settings.data_path
    apikey, as_json = f"apikey: {key}", "Content-Type: application/json"
    sign_up = _curl(
        f"{url}{auth}/signup", apikey, as_json, body={"email": f"user{number}-HEX@example.com", "password": _PASSWORD}
    )
    sign_up = sign_up.replace("HEX", _HEX)
    add = _curl(f"{url}{data}/notes", apikey, as_json, "Prefer: return=representation", body={"title": "My first note"})
    notes = _curl(f"{url}{data}/notes?select=id,title,created_at", apikey)
    bearer = '-H "Authorization: Bearer $TOKEN"'
    return [
        "  Sign up:",
        f"TOKEN=$({sign_up} | python3 -c {shlex.quote(_READER)})",
        "",
        "  Add a note:",
        f"{add} {bearer}",
        "",
        "  List my notes:",
        f"{notes} {bearer}",
        "",
    ]


def _curl(url: str, *headers: str, body: dict[str, str] | None = None) -> str:
    words = ["curl", "-sS", url]
    for header in headers:
        words += ["-H", header]
    if body is not None:
        words += ["-d", json.dumps(body)]
    return shlex.join(words)
