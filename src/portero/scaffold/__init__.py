"""The project that `portero new` writes: plain Flask and plain SQLAlchemy, a policy, a test, Alembic, and a secret.

The texts stand in `project/`, with `.txt` added to their names so that no tool takes them for Portero's own code. It
never writes over a file that is there.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Final

from portero.errors import ConfigurationError

_HIDDEN: Final = {"gitignore": ".gitignore"}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def write_project(directory: Path) -> list[Path]:
    """Write a new project into `directory`, which must be new or empty, and give the files written.

    Raises:
        ConfigurationError: the directory holds files, or its name is not a plain name.
    """
    name = directory.resolve().name
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} cannot be a project's name: letters, digits, '.', '_' and '-' only.")
    if directory.exists() and any(directory.iterdir()):
        raise ConfigurationError(f"{directory} is not empty; `portero new` writes into a new directory only.")
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for relative, source in _sources(resources.files(__package__) / "project"):
        path = directory / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source.read_text(encoding="utf-8").replace("PROJECT_NAME", name), encoding="utf-8")
        written.append(path)
    secret_file = directory / ".env"
    write_private(secret_file, f"JWT_SECRET_KEY={secrets.token_urlsafe(48)}\n")
    return [*written, secret_file]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from the first byte on and whatever the umask.

    Raises:
        FileExistsError: it is there; a secret is never replaced unseen.
    """
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.link(unfinished, path)  # unlike a rename, this fails where the file exists
    finally:
        unfinished.unlink()


def _sources(directory: Traversable, prefix: str = "") -> Iterator[tuple[PurePosixPath, Traversable]]:
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _sources(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".txt"):
            plain = entry.name.removesuffix(".txt")
            yield PurePosixPath(prefix + _HIDDEN.get(plain, plain)), entry
