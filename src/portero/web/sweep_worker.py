"""Removing what is over, by itself, while a process serves; of all workers on one database, one does it at a time.

Each worker asks for its turn about as often as the setting says, not all at the same moment; whoever is first in an
interval sweeps. The first time is some while after the start, for `portero serve` sweeps before it serves.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Final

from portero.settings import Settings
from portero.store.engine import Database
from portero.store.sweep import Limits, Swept, sweep, sweep_in_turn
from portero.web.background import Background
from portero.web.runtime import Runtime

#: A worker's pause is longer or shorter by up to this part.
_JITTER: Final = 0.2


def sweep_now(runtime: Runtime) -> Swept:
    """Sweep the store of an application by its own limits, whoever else does.

    Raises:
        DatabaseUnavailable: the database cannot be written now.
    """
    return sweep(runtime.database, datetime.now(UTC), limits_of(runtime.settings))


def sweeper(settings: Settings, database: Database) -> Background | None:
    """Make the thread that sweeps; None where the setting says never."""
    interval = settings.sweep_interval
    if not interval:
        return None

    def work() -> None:
        # A turn is over before the next pause can be, so the pauses decide and not the turns.
        sweep_in_turn(database, datetime.now(UTC), limits_of(settings), interval * (1 - _JITTER))

    def pause() -> float:
        return interval.total_seconds() * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret

    return Background("portero-sweep", work, pause, begins_with_pause=True)


def limits_of(settings: Settings) -> Limits:
    """Give how long an application keeps what."""
    return Limits(
        time_box=settings.session_time_box,
        idle=settings.session_idle,
        audit=settings.audit_kept,
        unconfirmed=settings.unconfirmed_kept,
    )
