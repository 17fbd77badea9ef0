"""The floor: figures may rise, and a run below them ends with status 1."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from tests.conformance import run


def judged(passed: int, floor: Path, monkeypatch: pytest.MonkeyPatch, **options: object) -> int:
    arguments = argparse.Namespace(**({"cases": "", "only": [], "raise_floor": False} | options))
    monkeypatch.setattr(run, "FLOOR", floor)
    return run._judge(arguments, run.Tally(rates={"sqlite default portable": passed}))


@pytest.fixture
def floor(tmp_path: Path) -> Path:
    """A floor of 200 cases."""
    path = tmp_path / "floor.json"
    path.write_text(json.dumps({"sqlite default portable": 200}))
    return path


def test_a_run_at_the_floor_passes(floor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 == judged(200, floor, monkeypatch)


def test_a_run_below_the_floor_fails(floor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 == judged(199, floor, monkeypatch)


def test_a_raise_never_lowers_the_floor(floor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(199, floor, monkeypatch, raise_floor=True)
    assert {"sqlite default portable": 200} == json.loads(floor.read_text())


def test_other_cases_are_only_reported(floor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 == judged(0, floor, monkeypatch, cases="other.jsonl", raise_floor=True)
    assert {"sqlite default portable": 200} == json.loads(floor.read_text())
