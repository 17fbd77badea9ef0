"""The data engine: a request of the PostgREST protocol becomes one SQL statement and its answer. It knows no Flask."""
