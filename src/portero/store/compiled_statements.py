"""What SQLAlchemy has compiled, bounded in number and weight, and counted.

SQLAlchemy's own cache counts nothing, and keeps with a statement the values it was first run with: a body of a megabyte
stays as long as its statement. It makes no statement and runs none.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from typing import Any, Final

from portero.figures import CacheFigures
from portero.weights import weight_of

#: Statements of Portero's own on one database; there are about a hundred.
MOST_OWN: Final = 256
#: Bytes of a statement that is kept, as far as they can be told: its text, each parameter with what SQLAlchemy knows of
#: it, and the values.
_HEAVIEST = 192 * 1024
_OF_A_STATEMENT = 8 * 1024
_OF_A_PARAMETER = 2560


class CompiledStatements:
    """A `compiled_cache` for SQLAlchemy; shared by threads.

    Args:
        most: statements.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        #: What hands it to SQLAlchemy, for an engine or one execution.
        self.options = {"compiled_cache": self}
        self._lock = threading.Lock()
        self._held: OrderedDict[Any, Any] = OrderedDict()
        self._hits = self._misses = 0

    def get(self, key: Any) -> Any:
        """Give what was compiled for a key, or None."""
        found = self._held.get(key)
        if found is None:
            self._misses += 1
            return None
        self._hits += 1
        with suppress(KeyError):  # another thread has just pushed it out
            self._held.move_to_end(key)
        return found

    def __setitem__(self, key: Any, compiled: Any) -> None:
        if _weight_of(compiled) > _HEAVIEST:
            return
        with self._lock:
            self._held[key] = compiled
            while len(self._held) > self._most:
                self._held.popitem(last=False)

    def __bool__(self) -> bool:
        return True

    def figures(self) -> CacheFigures:
        """Give how often a statement was there."""
        return CacheFigures(self._hits, self._misses, len(self._held), self._most)


def _weight_of(compiled: Any) -> int:
    binds = getattr(compiled, "binds", {})
    values = weight_of([bind.value for bind in binds.values()])
    return _OF_A_STATEMENT + 2 * weight_of(str(compiled.string)) + _OF_A_PARAMETER * len(binds) + values
