"""Where the databases of a case are: a folder of SQLite files, or a PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.postgresql import Server

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, slots=True)
class Databases:
    """Makes empty databases.

    Args:
        kind: `sqlite` or `postgresql`.
        place: the folder, or what psycopg connects to.
        prefix: what their names begin with.
    """

    kind: str
    place: str
    prefix: str

    def new(self, name: str) -> str:
        """Give the SQLAlchemy URL of a new database."""
        if self.kind == "sqlite":
            return f"sqlite:///{self.place}/{self.prefix}{name}.db"
        return Server(self.place).new_database(f"{self.prefix}{name}")
