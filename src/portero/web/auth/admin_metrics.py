"""`GET /admin/metrics`: figures of the process that answers, in Prometheus' text format. An extension of the contract.

With several workers each scrape meets one of them; `pid` tells which. It says nothing of users or requests.
Obeys the Prometheus exposition format, version 0.0.4.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final

from flask import Response

from portero.figures import CacheFigures, CommitFigures, of_process
from portero.web.auth.call import Call

_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def get(call: Call) -> Response:
    """Answer with the figures."""
    runtime = call.runtime
    identity = runtime.identity
    caches = {"tokens": identity.access_tokens.figures(), "api_keys": identity.api_keys.figures()}
    caches |= runtime.data.caches() | runtime.database.caches() | of_process()
    lines = [*_cache_lines(caches, os.getpid()), *_commit_lines(runtime.database.commits(), os.getpid())]
    return Response("\n".join([*lines, ""]), content_type=_TYPE)


def _cache_lines(caches: Mapping[str, CacheFigures], pid: int) -> Iterator[str]:
    kinds = {"hits": "hits_total", "misses": "misses_total", "entries": "entries", "most": "entries_max"}
    for field, name in kinds.items():
        yield f"# TYPE portero_cache_{name} {'counter' if name.endswith('_total') else 'gauge'}"
        for cache, figures in caches.items():
            yield f'portero_cache_{name}{{cache="{cache}",pid="{pid}"}} {getattr(figures, field)}'


def _commit_lines(figures: CommitFigures, pid: int) -> Iterator[str]:
    for name, value in (("writes", figures.writes), ("commits", figures.groups)):
        yield f"# TYPE portero_shared_{name}_total counter"
        yield f'portero_shared_{name}_total{{pid="{pid}"}} {value}'
