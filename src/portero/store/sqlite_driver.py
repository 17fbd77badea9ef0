"""Which SQLite library this process uses, and whether it is safe with several writers.

Two copies of the library in one process on one file lose each other's locks (POSIX locks belong to the process), and
with them acknowledged writes. So there is one: `pysqlite3`, which carries a SQLite without the WAL-reset race, or the
standard library's where `pysqlite3` has no wheel. It opens no file.

The race: SQLite 3.7.0 to 3.51.2; fixed in 3.51.3, and in the back-ports 3.50.7 and 3.44.6 (sqlite.org/wal.html).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from portero.errors import ConfigurationError

_FIXED = ((3, 44, 6), (3, 50, 7))
_FIXED_FROM = (3, 51, 3)


def _choose() -> ModuleType:
    if importlib.util.find_spec("pysqlite3") is not None:
        # An optional driver: it has wheels for the common platforms only.
        return importlib.import_module("pysqlite3.dbapi2")
    return importlib.import_module("sqlite3.dbapi2")


#: The DB-API module of the one library.
DRIVER: Any = _choose()


def is_safe(version: tuple[int, ...]) -> bool:
    """Tell whether a SQLite of this version may have several writers on one file.

    >>> is_safe((3, 40, 1)), is_safe((3, 44, 6)), is_safe((3, 51, 2)), is_safe((3, 53, 4))
    (False, True, False, True)
    """
    if version >= _FIXED_FROM:
        return True
    return any(version[:2] == fixed[:2] and version >= fixed for fixed in _FIXED)


def use_one_library() -> None:
    """Make SQLAlchemy's sqlite dialect use the one library, for every engine made from now on."""

    def import_dbapi(cls: type[SQLiteDialect_pysqlite]) -> Any:
        return DRIVER

    SQLiteDialect_pysqlite.import_dbapi = classmethod(import_dbapi)  # type: ignore[assignment]


def refuse_other_library(engine: sa.Engine) -> None:
    """Refuse an SQLite engine that was made with another library than Portero's.

    Raises:
        ConfigurationError: it was made before `import portero`, or names another driver.
    """
    if engine.dialect.name == "sqlite" and engine.dialect.dbapi is not DRIVER:
        used = getattr(engine.dialect.dbapi, "__name__", "another driver")
        raise ConfigurationError(
            f"An engine on Portero's database uses {used}, Portero uses {DRIVER.__name__}: two SQLite libraries in one "
            "process lose each other's locks. Import portero before the engine is made, and name no driver in its URL."
        )


def file_of(url: sa.URL) -> Path:
    """Give the file that a SQLite URL names.

    Raises:
        ConfigurationError: a database in memory, a `file:` URI, another driver.
    """
    name = url.database or ""
    if name in ("", ":memory:") or url.query.get("mode") == "memory":
        raise ConfigurationError(
            "SQLite in memory is not shared by threads and workers: name a file (sqlite:////path/app.db); "
            "portero.testing uses a temporary one."
        )
    if name.startswith("file:"):
        raise ConfigurationError("Name the SQLite file by its path (sqlite:////path/app.db), not by a file: URI.")
    if url.get_driver_name() not in ("pysqlite", "sqlite"):
        raise ConfigurationError(f"sqlite+{url.get_driver_name()} is another driver than Portero's: write sqlite:///…")
    return Path(name).absolute()
