"""Recovery codes: sixteen lower-case characters, 80 random bits each, for who has lost the other factors.

What is kept of one is a digest bound to its factor, which its caller seals. Never keeps a code, never tells whether one
was used: that is a conditional UPDATE.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final
from uuid import UUID

#: How many make a set.
COUNT: Final = 10
LENGTH: Final = 16
#: Crockford's base32: no letter that is taken for a digit, or for another letter.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_MISREAD: Final = str.maketrans({"o": "0", "i": "1", "l": "1", "-": None})


def generate(count: int = COUNT) -> tuple[str, ...]:
    """Make a set of codes.

    >>> {len(code) for code in generate()}, len(set(generate()))
    ({16}, 10)
    """
    return tuple("".join(secrets.choice(_ALPHABET) for _ in range(LENGTH)) for _ in range(count))


def canonical(typed: str) -> str | None:
    """Read a code as its owner typed it, in whatever case, with blanks and hyphens; None if it has not the form.

    >>> canonical(" K4M9-X7QP 2AB8-HTOZ ")
    'k4m9x7qp2ab8ht0z'
    >>> canonical("k4m9") is None
    True
    """
    code = "".join(typed.lower().split()).translate(_MISREAD)
    return code if len(code) == LENGTH and set(code) <= set(_ALPHABET) else None


def digest(code: str, factor_id: UUID) -> bytes:
    """Give what is kept of a code, sealed: 32 bytes, another for each factor.

    Args:
        code: in canonical form.
        factor_id: the set it belongs to.
    """
    return hashlib.sha256(b"portero/1/recovery-code" + factor_id.bytes + code.encode()).digest()
