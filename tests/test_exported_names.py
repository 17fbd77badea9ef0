"""The public names: everything of Flask-JWT-Extended, and Portero's own; what is listed is there."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import flask_jwt_extended
import pytest
from flask_jwt_extended import JWTManager as TheirManager

import portero


def test_every_name_of_flask_jwt_extended_is_here() -> None:
    theirs = {
        name
        for name, value in vars(flask_jwt_extended).items()
        if not name.startswith("_") and type(value) is not ModuleType
    }
    assert set() == theirs - set(portero.__all__)


def test_the_names_of_flask_jwt_extended_are_the_same_objects_except_the_manager() -> None:
    assert portero.jwt_required is flask_jwt_extended.jwt_required
    assert portero.current_user is flask_jwt_extended.current_user
    assert portero.JWTManager is portero.Portero
    assert issubclass(portero.JWTManager, TheirManager)


@pytest.mark.parametrize("name", portero.__all__)
def test_what_is_listed_is_there(name: str) -> None:
    assert hasattr(portero, name)


def test_what_is_listed_is_sorted_and_listed_once() -> None:
    assert sorted(set(portero.__all__)) == portero.__all__


@pytest.mark.parametrize("module", ["portero.alembic", "portero.testing", "portero.users", "portero.errors"])
def test_the_public_modules_can_be_imported_first(module: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", f"import {module}"], check=True)
    assert importlib.import_module(module).__doc__
