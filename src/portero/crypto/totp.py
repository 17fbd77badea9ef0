"""Time-based one-time passwords (RFC 6238): six digits, 30 seconds, SHA-1, as every authenticator app makes them.

It tells which step a code belongs to, so that its caller can let a step pass once (threats MF-01); it remembers nothing
itself. Codes of the step before and the step after pass too, no others (MF-02).
"""

from __future__ import annotations

import hmac
import io
from typing import Final

import pyotp

STEP: Final = 30
DIGITS: Final = 6
#: Characters; the longest issuer that always fits a QR code, in whatever script.
LONGEST_ISSUER: Final = 64
#: How many steps a code may be early or late: clocks differ, and typing takes time.
_SKEW: Final = 1


def new_secret() -> str:
    """Make a secret of 160 random bits, in base32.

    >>> len(new_secret())
    32
    """
    return pyotp.random_base32()


def code_at(secret: str, step: int) -> str:
    """Give the code of one step; RFC 6238's table is its test.

    >>> code_at("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 1111111109 // STEP)
    '081804'
    """
    return pyotp.TOTP(secret, digits=DIGITS, interval=STEP).generate_otp(step)


def matching_step(secret: str, typed: str, now: float) -> int | None:
    """Tell the step that a typed code belongs to; None if it is no code of now.

    Args:
        secret: base32, from `new_secret`.
        typed: what the user typed; blanks, which apps show for legibility, are left out.
        now: Unix seconds.

    >>> matching_step("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "081 804", 1111111109)
    37037036
    >>> matching_step("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "081804", 1111111109 + 2 * STEP) is None
    True
    """
    given = "".join(typed.split()).encode()
    current = int(now) // STEP
    steps = [step for step in range(current - _SKEW, current + _SKEW + 1) if step >= 0]
    # Each is compared, whichever fits: the time says nothing.
    fitting = [step for step in steps if hmac.compare_digest(code_at(secret, step).encode(), given)]
    return max(fitting, default=None)


def key_uri(secret: str, account: str, issuer: str) -> str:
    """Write the `otpauth:` address that authenticator apps read.

    Args:
        secret: base32.
        account: how the user knows the account; an e-mail address or a name.
        issuer: how the user knows the application, at most `LONGEST_ISSUER` characters.

    >>> key_uri("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "ann@example.org", "The Shop")
    'otpauth://totp/The%20Shop:ann%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=The%20Shop'
    """
    return pyotp.TOTP(secret, digits=DIGITS, interval=STEP).provisioning_uri(name=account, issuer_name=issuer)


def qr_code(uri: str) -> str:
    """Draw an address as a QR code: raw SVG, black on white.

    Clients put it behind `data:image/svg+xml;utf-8,` as it is, so it holds no `#`, which would end such an address.

    >>> svg = qr_code(key_uri(new_secret(), "ann@example.org", "The Shop"))
    >>> svg.startswith("<svg"), svg.endswith("</svg>"), "#" in svg
    (True, True, False)
    """
    drawn = io.BytesIO()
    # Asked for by who enrols a factor, in few processes ever; each start would wait for it.
    import segno  # noqa: PLC0415

    code = segno.make(uri, micro=False, error="l")
    code.save(drawn, kind="svg", scale=4, xmldecl=False, nl=False, svgclass=None, lineclass=None, light="white")
    return drawn.getvalue().decode().replace("#000", "black").replace("#fff", "white")
