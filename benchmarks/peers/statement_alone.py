"""The limit of a read: the very statements that Portero runs, with their values made beforehand, by the driver alone.

No token is verified, no request parsed, nothing planned: what statement, driver and server cost. `STATEMENTS` is a file
that `benchmarks.statements` wrote: (path, query, authorization) → (statement, values). `DSN` names a PostgreSQL, `DB` a
SQLite file.
"""

import os
import pickle
import threading

#: Where the JSON stands in the one row of a read.
BODY = 0
with open(os.environ["STATEMENTS"], "rb") as file:
    STATEMENTS = pickle.load(file)
own = threading.local()

if "DSN" in os.environ:
    import psycopg
    from psycopg.types.string import TextLoader

    def cursor():
        """Each thread has one connection and one cursor; a statement is prepared at its first run, JSON stays text."""
        own.cursor = psycopg.connect(os.environ["DSN"], autocommit=True, prepare_threshold=0).cursor()
        own.cursor.adapters.register_loader("json", TextLoader)
        return own.cursor
else:
    from pysqlite3 import dbapi2 as sqlite

    def cursor():
        """Each thread has one connection and one cursor, as Portero's have."""
        connection = sqlite.connect(os.environ["DB"], isolation_level=None, cached_statements=256)
        connection.execute("PRAGMA query_only = 1")
        connection.execute("PRAGMA mmap_size = 268435456")
        own.cursor = connection.cursor()
        return own.cursor


def app(environ, start_response):
    """Answer a request that was prepared; refuse any other."""
    asked = environ["PATH_INFO"], environ["QUERY_STRING"], environ.get("HTTP_AUTHORIZATION")
    if asked not in STATEMENTS:
        start_response("401 Unauthorized", [("Content-Length", "0")])
        return []
    statement, values = STATEMENTS[asked]
    body = (getattr(own, "cursor", None) or cursor()).execute(statement, values).fetchall()[0][BODY]
    content = body if isinstance(body, bytes) else body.encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
    return [content]
