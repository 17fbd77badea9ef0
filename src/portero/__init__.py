"""Portero: sign-in and a data API for Flask applications. The public names, nothing else."""

from portero.store import sqlite_driver

# Before any engine is made: two SQLite libraries in one process lose each other's locks, and with them writes.
sqlite_driver.use_one_library()
