"""The project that `portero new` writes, once for each journey."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.journeys.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh project with its tables."""
    subprocess.run([sys.executable, "-m", "portero", "new", "shop", "--quiet"], cwd=tmp_path, check=True)
    return Project(tmp_path / "shop")
