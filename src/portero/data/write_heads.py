"""The heads of writes, all of a request but its body and versions: read once for many of a kind.

Who may write can make ever new ones, so only short heads are kept: what is read of one holds up to 64 bytes a letter,
which is 64 KiB. Bodies and callers are never kept, and no refusal. Obeys docs/explanation/speed.md.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from portero.data.nodes import DataRequest, HttpRequest
from portero.data.request import read_request
from portero.figures import CacheFigures, of_lru
from portero.records import new_tuple
from portero.settings import Settings

#: Heads that are kept, and the letters of one.
_MOST = 512
_LONGEST = 1024


class WriteHeads:
    """Reads writes, and keeps their heads.

    Args:
        settings: the limits of `read_request`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept = lru_cache(_MOST)(lambda head: read_request(HttpRequest(*head), settings))

    def caches(self) -> dict[str, CacheFigures]:
        """Give the figures of the heads that are kept."""
        return {"writes": of_lru(self._kept.cache_info())}

    def read(self, http: HttpRequest) -> DataRequest:
        """Parse a write; all but its body is read once for many of its kind.

        Raises:
            DataError: as `read_request`.
        """
        head: tuple[Any, ...] = http[:-2]
        if len("".join(head)) > _LONGEST:
            return read_request(http, self._settings)
        return new_tuple(DataRequest, (*self._kept(head)[:-2], http.body, http.if_match))
