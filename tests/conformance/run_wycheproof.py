"""Run the Wycheproof vectors for JWS and JWK against Portero's verifier and key loader.

    python -m tests.conformance.run_wycheproof [FOLDER]

FOLDER holds `json_web_signature_test.json` and `json_web_key_test.json` (C2SP/wycheproof, Apache-2.0); without it,
the environment's PORTERO_PACKS is asked for the folder `wycheproof`. Prints a line for each failure, one for each file,
and last `N passed, N failed`. Any exception but the two refusals is a failure, whatever the case wants.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from portero.crypto import jwk, jws
from portero.crypto.keyring import KeySet
from portero.errors import ConfigurationError, InvalidToken

#: Cases whose label in the file is wrong, and what the strict verifier must do instead. Counted as passed only then.
EXCEPTIONS: Mapping[int, tuple[str, str]] = {
    346: ("invalid", "the key is for PS256 and the token says PS384: a key has one algorithm (RFC 8725 §3.1)"),
    350: ("invalid", "the key is for PS256 and the token says PS384: a key has one algorithm (RFC 8725 §3.1)"),
    347: ("invalid", "the key names the algorithm ES521, which is not registered (RFC 7518 §3.1 has ES512)"),
    351: ("invalid", "the key names the algorithm ES521, which is not registered (RFC 7518 §3.1 has ES512)"),
    367: ("valid", "labelled 'invalid padding' but byte for byte the valid case 357"),
    370: ("valid", "labelled 'invalid padding' but byte for byte the valid case 357"),
    372: ("invalid", "holds a '?' inside its header segment: not base64url (RFC 7515 §2)"),
    373: ("invalid", "holds a '?' inside its payload segment: not base64url (RFC 7515 §2)"),
}


def key_of(group: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the JWK (or JWK Set) that verifies a group's cases."""
    found: Mapping[str, Any] = group.get("public") or group["private"]
    return found


def signature_keys(group: Mapping[str, Any]) -> KeySet:
    """Load the one key of a group of the signature file."""
    return KeySet([jwk.verification_key(key_of(group))])


def key_file_keys(group: Mapping[str, Any]) -> KeySet:
    """Load the JWK Set of a group of the key file."""
    return jwk.verification_keys(key_of(group))


def outcome(load: Callable[[Mapping[str, Any]], KeySet], group: Mapping[str, Any], token: str) -> str:
    """Say `valid`, `invalid`, or which exception it was that should not have left."""
    try:
        jws.verify(token, load(group))
    except (InvalidToken, ConfigurationError):
        return "invalid"
    except Exception as error:
        return f"{type(error).__name__} left the verifier"
    return "valid"


def cases(path: Path) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Give every case of a file with its group."""
    for group in json.loads(path.read_text())["testGroups"]:
        for case in group["tests"]:
            yield group, case


def run_file(
    path: Path, load: Callable[[Mapping[str, Any]], KeySet], exceptions: Mapping[int, tuple[str, str]]
) -> tuple[int, int]:
    """Run one file; prints its failures and its line, gives (passed, failed)."""
    passed = failed = 0
    for group, case in cases(path):
        wanted = exceptions.get(case["tcId"], (case["result"], ""))[0]
        got = outcome(load, group, case["jws"])
        if got == wanted:
            passed += 1
        else:
            failed += 1
            print(f"FAILED {path.name} {case['tcId']} {case['comment']}: {wanted} wanted, {got} given")
    print(f"{path.name}: {passed} passed, {failed} failed, {len(exceptions)} labels of the file are known to be wrong")
    return passed, failed


def main(arguments: list[str]) -> int:
    """Run both files; the exit status is 0 where nothing failed, 2 where the files are not there."""
    folder = Path(arguments[0]) if arguments else Path(os.environ.get("PORTERO_PACKS", "")) / "wycheproof"
    signatures, keys = folder / "json_web_signature_test.json", folder / "json_web_key_test.json"
    if not (signatures.is_file() and keys.is_file()):
        print(f"The Wycheproof vectors are not in {folder}.", file=sys.stderr)
        return 2
    tallies = [run_file(signatures, signature_keys, EXCEPTIONS), run_file(keys, key_file_keys, {})]
    passed, failed = (sum(column) for column in zip(*tallies, strict=True))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
