"""Pages of the admin API: `page` and `per_page`, and the two headers clients read (contract auth.md §6).

supabase-js takes the `Link` header apart with string splits: the first parameter of each address is `page`, and
nothing in it may hold a comma, a semicolon or a further `=` before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from portero.errors import AuthError
from portero.records import dataclass
from portero.web.auth.call import Call

_NUMBER: Final = re.compile(r"[0-9]{1,9}")
DEFAULT_SIZE: Final = 50


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page is asked for; both from 1."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        """How many rows come before it."""
        return (self.number - 1) * self.size


def read(call: Call) -> Paging:
    """Read the page a request asks for; empty parameters mean the default.

    Raises:
        AuthError: 400 validation_failed.
    """
    paging = Paging(_number(call, "page", 1), _number(call, "per_page", DEFAULT_SIZE))
    if paging.number < 1 or not 1 <= paging.size <= 1000:
        raise _bad("page starts at 1, per_page is 1 to 1000")
    return paging


def headers(path: str, paging: Paging, total: int, more: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a page.

    >>> headers("/admin/users", Paging(1, 2), 5, {})["Link"]
    '</admin/users?page=2&per_page=2>; rel="next", </admin/users?page=3&per_page=2>; rel="last"'

    Args:
        path: of the request.
        paging: the page that is answered.
        total: rows on all pages.
        more: further parameters of the request, which its other pages need too.
    """
    last = max(1, -(-total // paging.size))
    pages = [("next", paging.number + 1)] if paging.number < last else []
    links = [
        f'<{path}?{urlencode({"page": number, "per_page": paging.size, **more})}>; rel="{rel}"'
        for rel, number in [*pages, ("last", last)]
    ]
    return {"X-Total-Count": str(total), "Link": ", ".join(links)}


def _number(call: Call, name: str, default: int) -> int:
    asked = call.query(name)
    if not asked:
        return default
    if _NUMBER.fullmatch(asked) is None:
        raise _bad(f"{name} is no number")
    return int(asked)


def _bad(why: str) -> AuthError:
    return AuthError(400, "validation_failed", f"Bad Pagination Parameters: {why}")
