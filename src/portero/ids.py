"""Ids that are made for every request: `uuid.UUID`s, past its constructor, which looks for five spellings of each.

Random ones are version 4 of RFC 9562, as `uuid.uuid4` makes them. It reads no text that somebody sent.
"""

from __future__ import annotations

import os
from typing import Final
from uuid import UUID, SafeUUID

_VERSION_AND_VARIANT: Final = (4 << 76) | (0b10 << 62)
_RANDOM: Final = ~((0xF << 76) | (0b11 << 62))
# An enumeration of the standard library looks a member up by code of its own, which takes longer than all else here.
_UNKNOWN: Final = SafeUUID.unknown


def random_id() -> UUID:
    """Make a random id.

    >>> made = random_id()
    >>> made.version, made.variant, made == UUID(str(made))
    (4, 'specified in RFC 4122', True)
    """
    return id_of(int.from_bytes(os.urandom(16), "big") & _RANDOM | _VERSION_AND_VARIANT)


def id_of(number: int) -> UUID:
    """Give the id of a number of 128 bits, which is not checked.

    >>> id_of(255)
    UUID('00000000-0000-0000-0000-0000000000ff')
    """
    made = object.__new__(UUID)
    # Its two slots are all that it has.
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", _UNKNOWN)
    return made
