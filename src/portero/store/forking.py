"""Database connections never cross a fork: they are closed before it, and the child opens its own.

SQLite must not be carried into a child (sqlite.org/howtocorrupt.html §2.6): locks do not follow, and closing an
inherited connection can remove a log that the parent still writes.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What holds connections."""

    def before_fork(self) -> None:
        """Close what can be closed; runs in the parent."""

    def after_fork(self) -> None:
        """Forget what was inherited, without touching it; runs in the child."""


_holders: weakref.WeakSet[Forkable] = weakref.WeakSet()


def watch(holder: Forkable) -> None:
    """Tell this holder of every fork while it lives."""
    _holders.add(holder)


def _before() -> None:
    for holder in list(_holders):
        holder.before_fork()


def _after() -> None:
    for holder in list(_holders):
        holder.after_fork()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(before=_before, after_in_child=_after)
