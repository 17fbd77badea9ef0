"""The public names: everything of Flask-JWT-Extended, and Portero's own; what is listed is there."""

from __future__ import annotations

import importlib
import inspect
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


def test_the_names_of_flask_jwt_extended_are_the_same_objects_except_the_manager_and_what_protects() -> None:
    ours = {"JWTManager", "get_jwt_identity", "jwt_required", "verify_jwt_in_request"}
    named = {name: value for name, value in vars(flask_jwt_extended).items() if name in portero.__all__}
    assert ours == {name for name, value in named.items() if getattr(portero, name) is not value}
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


@pytest.mark.parametrize("name", ["get_jwt_identity", "jwt_required", "verify_jwt_in_request"])
def test_what_protects_takes_what_flask_jwt_extendeds_takes(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (portero, flask_jwt_extended))
    assert [(each.name, each.default) for each in theirs.values()] == [
        (each.name, each.default) for each in ours.values()
    ]


IMPORTED = """
import gc
import portero
print(gc.isenabled(), gc.get_freeze_count(), gc.get_count()[0] < gc.get_threshold()[0])
"""


def test_the_collector_works_after_the_import_and_does_not_walk_at_once_through_all_that_was_made() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], check=True, capture_output=True, text=True)
    assert "True 0 True\n" == done.stdout
