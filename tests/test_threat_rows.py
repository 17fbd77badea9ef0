"""The threats that this server answers, row by row: each is shown by a test, or it is said why there is none.

The rows are those of tokens (JV), sessions (SE), browsers (BR), passwords (CR), and second factors and mails (MF). A
test shows a row by naming it in its docstring: `grep -rn SE-08 tests` finds those of a row.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
HOW_MANY = {"JV": 36, "SE": 22, "BR": 18, "CR": 29, "MF": 26}

#: Rows that ask for what is not there, or is another way by the contract.
WITHOUT_A_TEST = {
    "JV-36": "the vectors of Wycheproof are run by `make conformance`",
    "SE-02": "signing out asks for an access token that stands; both clients refresh an expired one first",
    "SE-13": "a refresh token travels in a JSON body only",
    "SE-22": "there is no introspection: access tokens are verified, everything else is opaque",
    "BR-01": "no cookie is set at /auth/v1; those of a developer's routes are Flask-JWT-Extended's",
    "BR-14": "there is no console; pages of ours show nothing a user has written",
    "BR-15": "no cookie is set that could be left",
    "BR-16": "no cookie is read",
    "MF-10": "there are no passkeys yet",
    "MF-11": "there are no passkeys yet",
    "MF-12": "there are no passkeys yet",
    "MF-13": "there are no passkeys yet",
    "MF-14": "there are no passkeys yet",
    "MF-24": "nobody signs in through another server yet",
    "MF-25": "nobody signs in through another server yet",
    "MF-26": "nobody signs in through another server yet",
}
ROWS = {f"{part}-{number:02}" for part, count in HOW_MANY.items() for number in range(1, count + 1)}


def shown() -> set[str]:
    """Give the rows that docstrings of tests name."""
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found |= set(re.findall(r"\b(?:JV|SE|BR|CR|MF)-\d\d\b", ast.get_docstring(node) or ""))
    return found


def test_every_row_is_shown_or_it_is_said_why_not() -> None:
    assert set() == ROWS - shown() - set(WITHOUT_A_TEST)


def test_what_is_said_to_be_missing_is() -> None:
    assert set() == set(WITHOUT_A_TEST) & shown()


def test_no_test_names_a_row_that_is_none() -> None:
    assert set() == shown() - ROWS
