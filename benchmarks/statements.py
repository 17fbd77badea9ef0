"""Writes the statements that Portero runs, with their values: `python -m benchmarks.statements TOKENS FILE WORKLOAD …`.

For the peer that runs them with psycopg alone. FILE is a pickle: (path, query, authorization) → (statement, values).
"""

from __future__ import annotations

import importlib
import json
import pathlib
import pickle
import sys
import time
from datetime import UTC, datetime
from typing import Any

from benchmarks.workloads import MAKERS, Tokens, by_hand, prepared
from portero.data.execute import parameters_of
from portero.data.nodes import HttpRequest

_MOUNT = "/rest/v1"


def main() -> None:
    """Prepare each request as Portero does and write the result."""
    app: Any = importlib.import_module("benchmarks.portero_app").app
    runtime = app.extensions["portero"].freeze(app)
    written = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    tokens = Tokens({int(number): token for number, token in written.items()})
    makers, made = MAKERS["portero"], {}
    for workload in sys.argv[3:]:
        _, _, checked = by_hand(makers, workload, tokens)
        for request in [checked, *prepared(makers, workload, tokens)]:
            authorization = request.headers["Authorization"]
            principal = runtime.identity.access_tokens.principal(authorization.removeprefix("Bearer "), time.time())
            path, _, query = request.path.partition("?")
            http = HttpRequest("GET", path.removeprefix(_MOUNT), query)
            filled = runtime.data.reads.prepare(http, principal.role, guarded=True).filled
            values = parameters_of(filled, principal, datetime.now(UTC))
            made[path, query, authorization] = filled.sql, tuple(values)
    pathlib.Path(sys.argv[2]).write_bytes(pickle.dumps(made))


if __name__ == "__main__":
    main()
