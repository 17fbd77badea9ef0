"""The root of the data API: the OpenAPI document, made once for each role (contract data.md §4.1, §4.8, §4.12)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import orjson

from portero.data.answer import VARY
from portero.data.catalogue import Catalogue
from portero.data.functions import Function
from portero.data.media import media_range, ranked, unavailable
from portero.data.nodes import DataAnswer
from portero.data.openapi import document
from portero.data.request import READ_METHODS, check_profile
from portero.errors import DataError
from portero.figures import CacheFigures, of_lru

PATHS: Final = ("", "/")
_OPENAPI: Final = "application/openapi+json"
_JSON: Final = "application/json"
_MEDIA: Final = {"*/*": _OPENAPI, "application/*": _OPENAPI, _OPENAPI: _OPENAPI, _JSON: _JSON}


class Root:
    """Answers requests to the root.

    Args:
        catalogue: the exposed models.
        path: where the data API is served.
        is_served: the document is served at all.
        functions: those that are served.
        most_operations: most operations of one batch.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        path: str,
        *,
        is_served: bool,
        functions: Iterable[Function] = (),
        most_operations: int = 100,
    ) -> None:
        self.is_served = is_served
        self._made_of = (path, functions, most_operations)
        self._catalogue = catalogue
        self._document = lru_cache(32)(self._made)

    def caches(self) -> dict[str, CacheFigures]:
        """Give the figures of the documents that are kept, one a role."""
        return {"documents": of_lru(self._document.cache_info())}

    def _made(self, role: str) -> bytes:
        return orjson.dumps(document(self._catalogue, role, *self._made_of))

    def answer(self, method: str, accept: str, profile: str, role: str) -> DataAnswer:
        """Give the document for a role.

        Raises:
            DataError: PGRST126 (404) it is not served; PGRST117 (405) a write; PGRST106, PGRST107 (406).
        """
        if not self.is_served:
            raise DataError(404, "PGRST126", "Root endpoint metadata is disabled")
        if method not in READ_METHODS:
            raise DataError(405, "PGRST117", f"Unsupported HTTP method: {method[:20]}")
        check_profile(profile)
        media = choose(accept)
        return DataAnswer(200, [("Content-Type", f"{media}; charset=utf-8"), VARY], self._document(role))

    def describe(self) -> DataAnswer:
        """Answer OPTIONS."""
        return DataAnswer(200, [("Allow", "OPTIONS,GET,HEAD")])


def choose(accept: str) -> str:
    """Choose the media type of the document, as `media.choose_media` does.

    >>> choose(""), choose("text/html, application/json;q=0.9")
    ('application/openapi+json', 'application/json')

    Raises:
        DataError: PGRST107 (406).
    """
    if not accept.strip():
        return _OPENAPI
    for name, _ in ranked([media_range(part) for part in accept.lower().split(",")]):
        found = _MEDIA.get(name)
        if found is not None:
            return found
    raise unavailable(accept)
