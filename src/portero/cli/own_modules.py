"""What stands in the modules of the application itself, and has no effect there. Read only; nothing is imported."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import sqlalchemy as sa
from flask import Flask

from portero.data.exposure import Exposure, exposure_of


def own_modules(app: Flask) -> Iterator[tuple[str, ModuleType]]:
    """Give the loaded modules that are the application's, and not of an environment that lies in its directory."""
    root = Path(app.root_path)
    for name, module in sorted(sys.modules.items()):
        path = Path(getattr(module, "__file__", None) or "")
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            yield name, module


def unnamed_models(app: Flask, exposures: Iterable[Exposure]) -> list[str]:
    """Say which models are marked with `expose` although nobody named their base: the API does not know them."""
    named = {id(exposure) for exposure in exposures}
    found: dict[int, str] = {}
    for name, module in own_modules(app):
        for value in list(vars(module).values()):
            exposure = exposure_of(value) if isinstance(value, type | sa.Table) else None
            if exposure is not None and id(exposure) not in named:
                found.setdefault(id(exposure), f"{name}.{getattr(value, '__name__', value)}")
    return [
        f"{model} is marked with expose, but the API does not know it: name its base, jwt.models(Base)"
        for model in found.values()
    ]
