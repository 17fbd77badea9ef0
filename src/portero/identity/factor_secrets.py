"""What is kept of second factors, sealed: TOTP secrets and digests of recovery codes, each bound to its row.

The keys are derived from the application's secret and its former ones. Whatever a former one sealed is sealed anew when
the application starts, so that it can be taken away later without locking anybody out. Never shows a key.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import sqlalchemy as sa

from portero.crypto import sealing
from portero.crypto.derived_keys import SEAL_FACTORS
from portero.identity.context import IdentityContext
from portero.store import factors, recovery_codes
from portero.store.factors import FactorRecord

_PAGE: Final = 200


def seal(context: IdentityContext, data: bytes, row_id: UUID) -> bytes:
    """Seal what belongs to a row."""
    return sealing.seal(data, context.keyring.derived(SEAL_FACTORS)[0], str(row_id))


def unseal(context: IdentityContext, sealed: bytes, row_id: UUID) -> bytes | None:
    """Open what belongs to a row; None if the secret that sealed it is no longer among the application's."""
    try:
        return sealing.unseal(sealed, context.keyring.derived(SEAL_FACTORS), str(row_id))[0]
    except ValueError:
        return None


def reseal_all(context: IdentityContext) -> int:
    """Seal anew whatever a former secret sealed; give how many rows. Costs nothing where there is no former secret."""
    if len(context.keyring.derived(SEAL_FACTORS)) == 1:
        return 0
    count, after = 0, None
    while True:
        with context.changing() as change:
            page = factors.page(change.connection, after, _PAGE)
            count += sum(_reseal(context, change.connection, factor) for factor in page)
        if len(page) < _PAGE:
            return count
        after = page[-1].id


def _reseal(context: IdentityContext, connection: sa.Connection, factor: FactorRecord) -> int:
    count = 0
    if factor.sealed_secret is not None:
        anew = _anew(context, factor.sealed_secret, factor.id)
        count += anew is not None and factors.reseal(connection, factor.id, factor.sealed_secret, anew)
    for code in recovery_codes.of_factor(connection, factor.id):
        anew = _anew(context, code.sealed_digest, code.id)
        count += anew is not None and recovery_codes.reseal(connection, code.id, code.sealed_digest, anew)
    return count


def _anew(context: IdentityContext, sealed: bytes, row_id: UUID) -> bytes | None:
    """Give the same data sealed under the present secret; None if it is already, or cannot be opened."""
    keys = context.keyring.derived(SEAL_FACTORS)
    try:
        data, key = sealing.unseal(sealed, keys, str(row_id))
    except ValueError:
        return None
    return None if key is keys[0] else sealing.seal(data, keys[0], str(row_id))
