"""`/factors/recovery-codes`: the caller's one set of recovery codes (auth.md §1.4).

Codes leave once, in the answer that makes them.
"""

from __future__ import annotations

from flask import Response

from portero.identity import recovery_codes
from portero.identity.recovery_codes import Made
from portero.web.auth import body
from portero.web.auth.call import Call, answer
from portero.web.auth.factors import asking
from portero.web.auth.shapes import session_json
from portero.web.auth.token import diagnostics


def get(call: Call) -> Response:
    """Tell how many codes are left."""
    found = recovery_codes.status(call.identity, call.user.account.factors)
    return answer({**_set(str(found.factor.id)), "total": found.total, "remaining": found.remaining})


def generate(call: Call) -> Response:
    """Make the set; the body is optional."""
    given = body.read_optional(call.request)
    return _made(recovery_codes.generate(call.identity, asking(call), given.text("friendly_name") or ""))


def verify(call: Call) -> Response:
    """Raise the caller's session to aal2 with one of the codes; answer with its new tokens."""
    given = body.read(call.request)
    signed_in = recovery_codes.verify(call.identity, asking(call), given.text("code") or "")
    return answer(session_json(signed_in), headers=diagnostics(signed_in))


def regenerate(call: Call) -> Response:
    """Put new codes in the place of the former ones."""
    return _made(recovery_codes.regenerate(call.identity, asking(call)))


def delete(call: Call) -> Response:
    """Remove the set."""
    return answer({"id": str(recovery_codes.remove(call.identity, asking(call)))})


def _made(made: Made) -> Response:
    name = {"friendly_name": made.factor.friendly_name}
    return answer({**_set(str(made.factor.id)), **name, "total": len(made.codes), "codes": list(made.codes)})


def _set(factor_id: str) -> dict[str, str]:
    return {"id": factor_id, "type": "recovery_code"}
