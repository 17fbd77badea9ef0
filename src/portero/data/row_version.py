"""The version of one row: what `ETag` says and `If-Match` asks (RFC 9110 §8.8.3, §13.1.1). An extension of PostgREST.

A version is a hash of all the columns that the data API knows of a row, as its JSON. So the version that a read showed
is the one that a write compares, whatever the write selects; a hidden column changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from portero.data.catalogue import Model
from portero.data.nodes import STAR, Condition, ReadShape
from portero.errors import DataError

_TAG: Final = re.compile(r'(?:W/)?("[!#-~]*")')


def version_of(body: bytes) -> str:
    """Give the version of the one row in a JSON array, as an entity tag.

    >>> version_of(b'[{"id":1}]')
    '"fb99b88946be19f653a2cf5983bfd09b"'
    """
    return f'"{hashlib.blake2b(body.strip(), digest_size=16).hexdigest()}"'


def is_whole(shape: ReadShape) -> bool:
    """Say whether a request shows rows with all their columns and nothing else."""
    return shape.items == STAR and shape.zone is None and shape.media.kind != "csv"


def names_a_row(shape: ReadShape, model: Model) -> bool:
    """Say whether a read is of one whole row: a single object is asked for, or the primary key is given."""
    if not is_whole(shape):
        return False
    if shape.media.kind == "object":
        return True
    given = {
        one.expression.field.name
        for one in shape.filters
        if isinstance(one.expression, Condition) and not one.path and _is_plain_eq(one.expression)
    }
    return bool(model.primary_key) and given.issuperset(model.primary_key)


def _is_plain_eq(one: Condition) -> bool:
    return one.operator == "eq" and not one.is_negated and one.modifier is None and not one.field.steps


def check_no_version(if_match: str) -> None:
    """Refuse a POST that names versions: what is made, or called, has none yet (RFC 9110 §13.1.1).

    `*` holds, for the table or function that a POST is sent to is there.

    Raises:
        DataError: PORTERO412 (412).
    """
    if if_match and if_match.strip() != "*":
        details = "If-Match names the version of a row that is there; a POST makes rows or calls a function"
        hint = "Use PATCH, PUT or DELETE to write over one row, or send no If-Match."
        raise DataError(412, "PORTERO412", "Precondition failed", details=details, hint=hint)


def check_version(if_match: str, version: str | None, count: int) -> None:
    """Refuse a write whose row is not the one that was read.

    Weak tags match too: a proxy that compresses makes them weak, and a version is of the row, not of the bytes.

    >>> check_version('"a", W/"b"', '"b"', 1)

    Args:
        if_match: the header: tags, or `*` for any row that is there.
        version: of the row; None if there is not exactly one.
        count: how many rows the request names (2 for more).

    Raises:
        DataError: PORTERO412 (412).
    """
    if version is not None and (if_match.strip() == "*" or version in _TAG.findall(if_match)):
        return
    what = "The row has changed since it was read" if count == 1 else "There is no such row"
    details = what if count < 2 else "If-Match is for one row, and the request names several"
    hint = "Read the row again and decide anew." if count == 1 else None
    raise DataError(412, "PORTERO412", "Precondition failed", details=details, hint=hint)
