"""The runner of the Wycheproof vectors counts rightly, on vectors made here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.conformance import run_wycheproof
from tests.crypto.forging import SECRET, b64, hmac_token

KEY = {"kty": "oct", "alg": "HS256", "use": "sig", "kid": "k", "k": b64(SECRET)}
GOOD = hmac_token({"alg": "HS256", "kid": "k"}, b"foo")
BAD = hmac_token({"alg": "HS256", "kid": "k"}, b"foo", "another secret")


def case(number: int, token: str, result: str) -> dict[str, Any]:
    """Write a case as the files hold it."""
    return {"tcId": number, "comment": f"case {number}", "jws": token, "result": result, "flags": []}


def pack(folder: Path, signature_cases: list[dict[str, Any]], key_cases: list[dict[str, Any]]) -> list[str]:
    """Write both files and give the runner's arguments."""
    signatures = {"testGroups": [{"private": KEY, "tests": signature_cases}]}
    keys = {"testGroups": [{"private": {"keys": [KEY]}, "tests": key_cases}]}
    (folder / "json_web_signature_test.json").write_text(json.dumps(signatures))
    (folder / "json_web_key_test.json").write_text(json.dumps(keys))
    return [str(folder)]


def test_right_answers_are_counted_and_the_tally_comes_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = pack(tmp_path, [case(1, GOOD, "valid"), case(2, BAD, "invalid")], [case(1, GOOD, "valid")])
    assert 0 == run_wycheproof.main(arguments)
    assert "3 passed, 0 failed" == capsys.readouterr().out.splitlines()[-1]


def test_a_wrong_answer_fails_and_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run_wycheproof.main(pack(tmp_path, [case(7, BAD, "valid")], [case(1, GOOD, "invalid")]))
    lines = capsys.readouterr().out.splitlines()
    assert "FAILED json_web_signature_test.json 7 case 7: valid wanted, invalid given" == lines[0]
    assert "0 passed, 2 failed" == lines[-1]


def test_a_wrong_label_passes_only_where_the_verifier_does_the_strict_thing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = pack(tmp_path, [case(372, BAD, "valid"), case(367, GOOD, "invalid"), case(373, GOOD, "valid")], [])
    assert 1 == run_wycheproof.main(arguments)
    assert "2 passed, 1 failed" == capsys.readouterr().out.splitlines()[-1]


def test_the_exceptions_are_the_eight_documented_ones() -> None:
    assert {346, 347, 350, 351, 367, 370, 372, 373} == set(run_wycheproof.EXCEPTIONS)


def test_another_exception_is_a_failure_in_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(group: Any) -> Any:
        raise KeyError(group)

    assert "KeyError left the verifier" == run_wycheproof.outcome(broken, {}, GOOD)


def test_a_missing_pack_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORTERO_PACKS", str(tmp_path))
    assert 2 == run_wycheproof.main([])
    assert "are not in" in capsys.readouterr().err
