"""The data engine: one request of the PostgREST protocol becomes one SQL statement and its answer; it knows no Flask."""
